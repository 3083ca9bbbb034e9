//! Pauses over the JSON API.

use axum::extract::{Path, State};
use types::{Page, PauseId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::{NewPause, Pause};
use crate::api::{Gateway, follow};

/// What is paused, the oldest first.
#[utoipa::path(get, path = "/api/v1/pauses", tag = "queue",
    responses((status = 200, body = Page<Pause>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Pause>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Pause a connection, an account, a route, an intent or the whole tenant.
///
/// Its messages are accepted and kept, also over a restart; what a carrier has already is not called back.
#[utoipa::path(post, path = "/api/v1/pauses", tag = "queue", request_body = NewPause,
    responses((status = 201, body = Pause), (status = 409, description = "It is paused already", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewPause>,
) -> Result<Answer<201, Pause>, Problem> {
    let made = super::create(&scope, new).await?;
    follow(gateway.engine.pauses_changed()).await;
    Ok(Answer(made))
}

/// One pause.
#[utoipa::path(get, path = "/api/v1/pauses/{id}", tag = "queue", params(("id" = PauseId, Path)),
    responses((status = 200, body = Pause), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Pause>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Let go on what is paused. What waited goes as places come free, under every limit.
#[utoipa::path(delete, path = "/api/v1/pauses/{id}", tag = "queue", params(("id" = PauseId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn end(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    super::end(&scope, id.parse()?).await?;
    follow(gateway.engine.pauses_changed()).await;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, end))
}
