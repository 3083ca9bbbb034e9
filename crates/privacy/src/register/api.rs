//! The processing register over the API.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Writer};

use super::{Register, Settings};

/// The processing register: what is kept about persons, what for, by which right and for how long.
#[utoipa::path(get, path = "/api/v1/privacy/register", tag = "privacy",
    responses((status = 200, body = Register), (status = 403, body = ProblemBody)))]
async fn register(Caller(scope): Caller) -> Result<Answer<200, Register>, Problem> {
    Ok(Answer(super::register(&scope).await?))
}

/// Times that the tenant's law gives, and the tenant's part of the register.
#[utoipa::path(get, path = "/api/v1/privacy/settings", tag = "privacy",
    responses((status = 200, body = Settings), (status = 403, body = ProblemBody)))]
async fn show(Caller(scope): Caller) -> Result<Answer<200, Settings>, Problem> {
    Ok(Answer(super::show(&scope).await?))
}

/// Replace them; what is absent gets its default.
#[utoipa::path(put, path = "/api/v1/privacy/settings", tag = "privacy", request_body = Settings,
    responses((status = 200, body = Settings), (status = 422, body = ProblemBody)))]
async fn put(
    Writer(scope): Writer<200>,
    Json(new): Json<Settings>,
) -> Result<Answer<200, Settings>, Problem> {
    Ok(Answer(super::put(&scope, new).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(register)).routes(routes!(show, put))
}
