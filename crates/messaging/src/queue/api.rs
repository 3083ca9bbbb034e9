//! The queue over the JSON API.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::steer::{self, Action, Selection, Steered};
use super::view::{self, QueueView};
use crate::api::Gateway;

/// What waits, by connection, lane and account; how fast it leaves; when it will have left.
#[utoipa::path(get, path = "/api/v1/queue", tag = "queue",
    responses((status = 200, body = QueueView), (status = 403, body = ProblemBody)))]
async fn show(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
) -> Result<Answer<200, QueueView>, Problem> {
    Ok(Answer(view::view(&scope, &gateway.engine).await?))
}

/// Hold waiting messages until somebody releases them: at most 1,000 at once, those that are due first.
#[utoipa::path(post, path = "/api/v1/queue/hold", tag = "queue", request_body = Selection,
    responses((status = 200, body = Steered), (status = 422, body = ProblemBody)))]
async fn hold(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(selection): Json<Selection>,
) -> Result<Answer<200, Steered>, Problem> {
    Ok(Answer(steer::steer(&scope, &gateway.engine, Action::Hold, &selection).await?))
}

/// Release messages that a person holds: at most 1,000 at once. What a firewall rule holds is released one by one.
#[utoipa::path(post, path = "/api/v1/queue/release", tag = "queue", request_body = Selection,
    responses((status = 200, body = Steered), (status = 422, body = ProblemBody)))]
async fn release(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(selection): Json<Selection>,
) -> Result<Answer<200, Steered>, Problem> {
    Ok(Answer(steer::steer(&scope, &gateway.engine, Action::Release, &selection).await?))
}

/// Take back messages that have not left: at most 1,000 at once, those that are due first.
#[utoipa::path(post, path = "/api/v1/queue/cancel", tag = "queue", request_body = Selection,
    responses((status = 200, body = Steered), (status = 422, body = ProblemBody)))]
async fn cancel(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(selection): Json<Selection>,
) -> Result<Answer<200, Steered>, Problem> {
    Ok(Answer(steer::steer(&scope, &gateway.engine, Action::Cancel, &selection).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(hold))
        .routes(routes!(release))
        .routes(routes!(cancel))
}
