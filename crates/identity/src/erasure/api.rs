//! The end of tenants over the API.

use axum::extract::Path;
use types::{ErasureId, Page, TenantId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{AskErasure, Erasure};

/// The erasure that was last asked for of your own organisation.
#[utoipa::path(get, path = "/api/v1/organisation/erasure", tag = "organisation",
    responses((status = 200, body = Erasure), (status = 404, body = ProblemBody)))]
async fn own(Caller(scope): Caller) -> Result<Answer<200, Erasure>, Problem> {
    Ok(Answer(super::own(&scope).await?))
}

/// Ask for the erasure of your own organisation: everything of it, for ever. It can be called off until `erase_at`.
#[utoipa::path(post, path = "/api/v1/organisation/erasure", tag = "organisation", request_body = AskErasure,
    responses((status = 202, body = Erasure), (status = 409, description = "It was asked for before", body = ProblemBody)))]
async fn ask_own(
    Writer(scope): Writer<202>,
    Json(asked): Json<AskErasure>,
) -> Result<Answer<202, Erasure>, Problem> {
    Ok(Answer(super::ask_own(&scope, asked).await?))
}

/// Call the erasure of your own organisation off.
#[utoipa::path(delete, path = "/api/v1/organisation/erasure", tag = "organisation",
    responses((status = 200, body = Erasure), (status = 409, description = "It has begun", body = ProblemBody)))]
async fn call_off_own(Writer(scope): Writer<200>) -> Result<Answer<200, Erasure>, Problem> {
    Ok(Answer(super::call_off_own(&scope).await?))
}

/// All erasures with their certificates, newest first.
#[utoipa::path(get, path = "/api/v1/erasures", tag = "tenants", params(Paging),
    responses((status = 200, body = Page<Erasure>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Erasure>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// One erasure, with its certificate when it is done.
#[utoipa::path(get, path = "/api/v1/erasures/{id}", tag = "tenants", params(("id" = ErasureId, Path)),
    responses((status = 200, body = Erasure), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Erasure>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Ask for the erasure of a tenant: everything of it, for ever. It can be called off until `erase_at`.
#[utoipa::path(post, path = "/api/v1/tenants/{id}/erasure", tag = "tenants", params(("id" = TenantId, Path)), request_body = AskErasure,
    responses((status = 202, body = Erasure), (status = 409, description = "It was asked for before", body = ProblemBody)))]
async fn ask(
    Writer(scope): Writer<202>,
    Path(id): Path<String>,
    Json(asked): Json<AskErasure>,
) -> Result<Answer<202, Erasure>, Problem> {
    Ok(Answer(super::ask_any(&scope, id.parse()?, asked).await?))
}

/// Call the erasure of a tenant off.
#[utoipa::path(delete, path = "/api/v1/tenants/{id}/erasure", tag = "tenants", params(("id" = TenantId, Path)),
    responses((status = 200, body = Erasure), (status = 409, description = "It has begun", body = ProblemBody)))]
async fn call_off(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
) -> Result<Answer<200, Erasure>, Problem> {
    Ok(Answer(super::call_off_any(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(own, ask_own, call_off_own))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(ask, call_off))
}
