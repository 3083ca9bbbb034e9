//! One's own applications over the API.

use axum::extract::Path;
use types::ConsentId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Problem, Writer};

use super::Consent;

/// What one's own applications may do, newest first, at most 200.
#[utoipa::path(get, path = "/api/v1/me/consents", tag = "applications",
    responses((status = 200, body = Vec<Consent>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Vec<Consent>>, Problem> {
    Ok(Answer(super::list_own(&scope).await?))
}

/// End what one of one's own applications may do: its tokens are refused from the next request on.
#[utoipa::path(delete, path = "/api/v1/me/consents/{id}", tag = "applications", params(("id" = ConsentId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn end(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    Ok(Answer(super::end_own(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(end))
}
