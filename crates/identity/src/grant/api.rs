//! Temporary grants over the API.

use axum::extract::Path;
use types::{GrantId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Query, Writer};

use super::{Grant, GrantFilter, NewGrant};

/// What users were given for a time, newest first.
#[utoipa::path(get, path = "/api/v1/grants", tag = "roles", params(GrantFilter),
    responses((status = 200, body = Page<Grant>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<GrantFilter>,
) -> Result<Answer<200, Page<Grant>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// Give a user a role or permissions for a time, after which it ends by itself.
#[utoipa::path(post, path = "/api/v1/grants", tag = "roles", request_body = NewGrant,
    responses((status = 201, body = Grant), (status = 403, description = "What the caller does not hold", body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewGrant>,
) -> Result<Answer<201, Grant>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One temporary grant.
#[utoipa::path(get, path = "/api/v1/grants/{id}", tag = "roles", params(("id" = GrantId, Path)),
    responses((status = 200, body = Grant), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Grant>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// End a temporary grant before its time; the next request is refused what rested on it.
#[utoipa::path(delete, path = "/api/v1/grants/{id}", tag = "roles", params(("id" = GrantId, Path)),
    responses((status = 200, body = Grant), (status = 404, body = ProblemBody)))]
async fn end(Writer(scope): Writer<200>, Path(id): Path<String>) -> Result<Answer<200, Grant>, Problem> {
    Ok(Answer(super::end(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, end))
}
