//! Reviews over the API.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use types::{Page, ReviewId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{Decision, Review, ReviewLine, ReviewShown};

/// Reviews of who may do what, newest first.
#[utoipa::path(get, path = "/api/v1/reviews", tag = "security",
    params(("after" = Option<String>, Query), ("limit" = Option<String>, Query)),
    responses((status = 200, body = Page<Review>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Review>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Open a review now. One is opened by itself in each quarter.
#[utoipa::path(post, path = "/api/v1/reviews", tag = "security",
    responses((status = 201, body = Review), (status = 409, description = "Another is open", body = ProblemBody)))]
async fn open(Writer(scope): Writer<201>) -> Result<Answer<201, Review>, Problem> {
    Ok(Answer(super::open(&scope).await?))
}

/// One review with its lines.
#[utoipa::path(get, path = "/api/v1/reviews/{id}", tag = "security", params(("id" = ReviewId, Path)),
    responses((status = 200, body = ReviewShown), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, ReviewShown>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// One review as a file.
pub(super) fn as_file(id: ReviewId, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.csv\"")),
    ];
    (headers, text).into_response()
}

/// One review as CSV, a row for each line.
#[utoipa::path(get, path = "/api/v1/reviews/{id}/csv", tag = "security", params(("id" = ReviewId, Path)),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 404, body = ProblemBody)))]
async fn csv(Caller(scope): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = id.parse()?;
    Ok(as_file(id, super::csv(&scope, id).await?))
}

/// Decide about a line of a review. What is to be revoked is taken away at once: a user is disabled, a key revoked, a grant
/// ended.
#[utoipa::path(post, path = "/api/v1/reviews/{id}/decide", tag = "security", params(("id" = ReviewId, Path)),
    request_body = Decision,
    responses((status = 200, body = ReviewLine), (status = 404, body = ProblemBody),
        (status = 409, description = "The review is closed, or the line was revoked", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn decide(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<Decision>,
) -> Result<Answer<200, ReviewLine>, Problem> {
    Ok(Answer(super::decide(&scope, id.parse()?, wanted).await?))
}

/// Close a review whose lines are all decided.
#[utoipa::path(post, path = "/api/v1/reviews/{id}/close", tag = "security", params(("id" = ReviewId, Path)),
    responses((status = 200, body = Review), (status = 404, body = ProblemBody),
        (status = 409, description = "Lines wait for a decision", body = ProblemBody)))]
async fn close(Writer(scope): Writer<200>, Path(id): Path<String>) -> Result<Answer<200, Review>, Problem> {
    Ok(Answer(super::close(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, open))
        .routes(routes!(get))
        .routes(routes!(csv))
        .routes(routes!(decide))
        .routes(routes!(close))
}
