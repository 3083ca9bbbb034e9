//! Dead letters and dead jobs over the JSON API.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Paging, Problem, Query, Writer};

use super::jobs::{self as dead, DeadJob, DeadSelection, Moved};
use super::redrive::{self, Redrive, Redriven};
use super::{DeadFilter, DeadLetter, Reason};
use crate::api::Gateway;

/// Messages that ended without reaching a phone, the newest first.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "queue", params(DeadFilter),
    responses((status = 200, body = Page<DeadLetter>), (status = 400, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<DeadFilter>,
) -> Result<Answer<200, Page<DeadLetter>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// Why messages ended without reaching a phone, the most frequent reason first.
#[utoipa::path(get, path = "/api/v1/dead-letters/reasons", tag = "queue", params(DeadFilter),
    responses((status = 200, body = Vec<Reason>), (status = 400, body = ProblemBody)))]
async fn reasons(
    Caller(scope): Caller,
    Query(filter): Query<DeadFilter>,
) -> Result<Answer<200, Vec<Reason>>, Problem> {
    Ok(Answer(super::reasons(&scope, &filter).await?))
}

/// Dead letters as CSV (RFC 4180), the newest first, at most 10,000.
#[utoipa::path(get, path = "/api/v1/dead-letters/export", tag = "queue", params(DeadFilter),
    responses((status = 200, description = "The rows, with a heading", body = String, content_type = "text/csv"),
        (status = 400, body = ProblemBody)))]
async fn export(Caller(scope): Caller, Query(filter): Query<DeadFilter>) -> Result<Response, Problem> {
    Ok(as_file(super::export(&scope, &filter).await?))
}

/// The export as a browser saves it.
pub(super) fn as_file(rows: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"dead-letters.csv\""),
    ];
    (headers, rows).into_response()
}

/// Send dead letters again, as new messages that name the old ones.
///
/// Each is sent again once, however often it is asked for. Those that cannot be have their own error.
#[utoipa::path(post, path = "/api/v1/dead-letters/redrive", tag = "queue", request_body = Redrive,
    responses((status = 200, body = Redriven), (status = 422, body = ProblemBody)))]
async fn again(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(asked): Json<Redrive>,
) -> Result<Answer<200, Redriven>, Problem> {
    Ok(Answer(redrive::redrive(&scope, &gateway.engine, &asked).await?))
}

/// Jobs that were given up, such as callbacks that no receiver took, the newest first.
#[utoipa::path(get, path = "/api/v1/dead-jobs", tag = "queue", params(Paging),
    responses((status = 200, body = Page<DeadJob>), (status = 403, body = ProblemBody)))]
async fn jobs(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<DeadJob>>, Problem> {
    Ok(Answer(dead::list(&scope, paging.behind(i64::MAX)?, paging.limit()?).await?))
}

/// Run dead jobs again, with all their attempts before them; at most 1,000 at once.
#[utoipa::path(post, path = "/api/v1/dead-jobs/redrive", tag = "queue", request_body = DeadSelection,
    responses((status = 200, body = Moved), (status = 422, body = ProblemBody)))]
async fn run_again(
    Writer(scope): Writer<200>,
    Json(selection): Json<DeadSelection>,
) -> Result<Answer<200, Moved>, Problem> {
    Ok(Answer(dead::redrive(&scope, &selection).await?))
}

/// Throw dead jobs away; at most 1,000 at once.
#[utoipa::path(post, path = "/api/v1/dead-jobs/discard", tag = "queue", request_body = DeadSelection,
    responses((status = 200, body = Moved), (status = 422, body = ProblemBody)))]
async fn discard(
    Writer(scope): Writer<200>,
    Json(selection): Json<DeadSelection>,
) -> Result<Answer<200, Moved>, Problem> {
    Ok(Answer(dead::discard(&scope, &selection).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(reasons))
        .routes(routes!(export))
        .routes(routes!(again))
        .routes(routes!(jobs))
        .routes(routes!(run_again))
        .routes(routes!(discard))
}
