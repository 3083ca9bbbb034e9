//! Retention over the API.

use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Query, Writer};

use super::{Asked, Preview, Term, TermChange};

fn all(items: Vec<Term>) -> Answer<200, Page<Term>> {
    Answer(Page { items, next: None })
}

/// For how long each class of data is kept, within which bounds, and what the last sweep did.
#[utoipa::path(get, path = "/api/v1/privacy/retention", tag = "privacy",
    responses((status = 200, body = Page<Term>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Term>>, Problem> {
    Ok(all(super::list(&scope).await?))
}

/// Set for how long a class of data is kept; what is older goes at once. Ask for the preview first: what went does not come
/// back. The answer has the terms of the class.
#[utoipa::path(put, path = "/api/v1/privacy/retention", tag = "privacy", request_body = TermChange,
    responses((status = 200, body = Page<Term>), (status = 422, description = "The term is beyond the bounds", body = ProblemBody)))]
async fn set(
    Writer(scope): Writer<200>,
    Json(change): Json<TermChange>,
) -> Result<Answer<200, Page<Term>>, Problem> {
    Ok(all(super::set(&scope, &change).await?))
}

/// What would go if a term were set: how many rows, and from when the oldest is.
#[utoipa::path(get, path = "/api/v1/privacy/retention/preview", tag = "privacy", params(Asked),
    responses((status = 200, body = Preview), (status = 422, body = ProblemBody)))]
async fn preview(Caller(scope): Caller, Query(asked): Query<Asked>) -> Result<Answer<200, Preview>, Problem> {
    Ok(Answer(super::preview(&scope, &asked).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, set)).routes(routes!(preview))
}
