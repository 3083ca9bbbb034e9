//! The audit trail over the API.

use types::Page;
use types::event::Recorded;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Problem, Query};

use super::Filter;

/// Who did what, newest first. A page may be empty and still have a `next`: the filter then looks further back from there.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Filter),
    responses((status = 200, body = Page<Recorded>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<Filter>,
) -> Result<Answer<200, Page<Recorded>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}
