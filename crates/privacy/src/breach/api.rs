//! Breaches of personal data over the API.

use axum::extract::Path;
use types::{BreachId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{Breach, NewBreach, NewBreachStep};

/// Breaches, newest first.
#[utoipa::path(get, path = "/api/v1/privacy/breaches", tag = "privacy", params(Paging),
    responses((status = 200, body = Page<Breach>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Breach>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Note a breach; its clock runs from the discovery.
#[utoipa::path(post, path = "/api/v1/privacy/breaches", tag = "privacy", request_body = NewBreach,
    responses((status = 201, body = Breach), (status = 422, body = ProblemBody)))]
async fn note(
    Writer(scope): Writer<201>,
    Json(new): Json<NewBreach>,
) -> Result<Answer<201, Breach>, Problem> {
    Ok(Answer(super::note(&scope, new).await?))
}

/// One breach with what was done about it.
#[utoipa::path(get, path = "/api/v1/privacy/breaches/{id}", tag = "privacy", params(("id" = BreachId, Path)),
    responses((status = 200, body = Breach), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Breach>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Note what was done about a breach: the authority or the persons were told, or it is closed.
#[utoipa::path(post, path = "/api/v1/privacy/breaches/{id}/steps", tag = "privacy", params(("id" = BreachId, Path)),
    request_body = NewBreachStep,
    responses((status = 201, body = Breach), (status = 409, description = "It is closed", body = ProblemBody)))]
async fn add_step(
    Writer(scope): Writer<201>,
    Path(id): Path<String>,
    Json(new): Json<NewBreachStep>,
) -> Result<Answer<201, Breach>, Problem> {
    Ok(Answer(super::add_step(&scope, id.parse()?, &new).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, note)).routes(routes!(get)).routes(routes!(add_step))
}
