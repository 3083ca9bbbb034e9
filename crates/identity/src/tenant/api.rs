//! Tenants over the API, for the platform's administrators.

use axum::extract::Path;
use types::{Page, TenantId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{CreatedTenant, NewTenant, Tenant, TenantChange};

/// All tenants, newest first.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", params(Paging),
    responses((status = 200, body = Page<Tenant>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Tenant>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Create a tenant and, if told, its first administrator, whose sign-in link is shown this once.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", request_body = NewTenant,
    responses((status = 201, body = CreatedTenant), (status = 409, description = "The slug or address is taken", body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewTenant>,
) -> Result<Answer<201, CreatedTenant>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{id}", tag = "tenants", params(("id" = TenantId, Path)),
    responses((status = 200, body = Tenant), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Change a tenant; what is absent stays. A suspended tenant's people and programs are refused at once.
#[utoipa::path(patch, path = "/api/v1/tenants/{id}", tag = "tenants", params(("id" = TenantId, Path)), request_body = TenantChange,
    responses((status = 200, body = Tenant), (status = 404, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<TenantChange>,
) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(super::update(&scope, id.parse()?, wanted).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update))
}
