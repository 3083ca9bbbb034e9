//! Call detail records over the JSON API.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use types::{CdrFileId, Error, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::body::Paging;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Query, Writer};

use super::verify::Report;
use super::{CdrFile, CdrPatch, CdrStream, Day, Rows};
use crate::api::{Gateway, Tagged};

/// Octets that are read from a file at once.
const CHUNK: usize = 1 << 16;

/// What was closed.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Rotated {
    /// The file; absent when there was no row to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<CdrFile>,
}

/// Whether and how call detail records are written, and how far they have come.
#[utoipa::path(get, path = "/api/v1/cdr-settings", tag = "records",
    responses((status = 200, body = CdrStream), (status = 403, body = ProblemBody)))]
async fn get_settings(Caller(scope): Caller) -> Result<Tagged<200, CdrStream>, Problem> {
    let stream = super::get(&scope).await?;
    Ok(Tagged { revision: stream.revision, answer: stream })
}

/// Switch call detail records on or off, or change how they are written; what is absent stays. A file that is open and does
/// not fit any more is closed.
#[utoipa::path(patch, path = "/api/v1/cdr-settings", tag = "records", request_body = CdrPatch,
    responses((status = 200, body = CdrStream), (status = 409, description = "It was changed meanwhile", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn change_settings(
    Writer(scope): Writer<200>,
    Json(patch): Json<CdrPatch>,
) -> Result<Tagged<200, CdrStream>, Problem> {
    let stream = super::change(&scope, patch).await?;
    Ok(Tagged { revision: stream.revision, answer: stream })
}

/// The closed files, the newest first.
#[utoipa::path(get, path = "/api/v1/cdr-files", tag = "records", params(Paging),
    responses((status = 200, body = Page<CdrFile>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<CdrFile>>, Problem> {
    Ok(Answer(super::list(&scope, paging.behind(i64::MAX)?, paging.limit()?).await?))
}

/// One closed file's registration.
#[utoipa::path(get, path = "/api/v1/cdr-files/{id}", tag = "records", params(("id" = CdrFileId, Path)),
    responses((status = 200, body = CdrFile), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, CdrFile>, Problem> {
    Ok(Answer(super::get_file(&scope, id.parse()?).await?))
}

/// A closed file as it lies on the disk, compressed. `X-Content-SHA256` has its hash.
#[utoipa::path(get, path = "/api/v1/cdr-files/{id}/content", tag = "records", params(("id" = CdrFileId, Path)),
    responses((status = 200, description = "The file", body = String, content_type = "application/octet-stream"),
        (status = 404, description = "There is no such file, or its time was over", body = ProblemBody)))]
async fn content(Caller(scope): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(download(&scope, id.parse()?).await?)
}

/// Streams a closed file.
pub(super) async fn download(scope: &runtime::Scope, id: CdrFileId) -> types::Result<Response> {
    let (file, path) = super::content(scope, id).await?;
    let open = tokio::fs::File::open(&path).await.map_err(Error::internal)?;
    let chunks = futures::stream::try_unfold(open, |mut open| async move {
        let mut chunk = vec![0; CHUNK];
        let read = open.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((chunk, open)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, file.bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file.name)),
        (HeaderName::from_static("x-content-sha256"), file.sha256),
        // It is compressed already, or was not to be.
        (header::CACHE_CONTROL, "private, no-transform".to_owned()),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Write what has happened so far and close the open file.
#[utoipa::path(post, path = "/api/v1/cdr-files/rotate", tag = "records",
    responses((status = 200, body = Rotated), (status = 409, description = "Records are switched off", body = ProblemBody)))]
async fn rotate(Writer(scope): Writer<200>) -> Result<Answer<200, Rotated>, Problem> {
    Ok(Answer(Rotated { closed: super::rotate(&scope).await? }))
}

/// Whether anything is missing or double: the files on the disk against their registration.
#[utoipa::path(get, path = "/api/v1/cdr-files/verify", tag = "records",
    responses((status = 200, body = Report), (status = 403, body = ProblemBody)))]
async fn verify(Caller(scope): Caller) -> Result<Answer<200, Report>, Problem> {
    Ok(Answer(super::verify::registered(&scope).await?))
}

/// The rows of closed files by day and state, the newest day first.
#[utoipa::path(get, path = "/api/v1/cdr-files/sums", tag = "records",
    responses((status = 200, body = Page<Day>), (status = 403, body = ProblemBody)))]
async fn sums(Caller(scope): Caller) -> Result<Answer<200, Page<Day>>, Problem> {
    Ok(Answer(Page { items: super::sums(&scope).await?, next: None }))
}

/// Rows as they happen, oldest first: the same rows under the same numbers as files hold. `after` is `next` of the answer
/// before, a row's `seq`, or `now`; without it the rows come that are in no closed file yet.
#[utoipa::path(get, path = "/api/v1/cdrs", tag = "records", params(Paging),
    responses((status = 200, body = Rows), (status = 400, description = "Only files have those rows", body = ProblemBody),
        (status = 409, description = "Records were never switched on", body = ProblemBody)))]
async fn rows(Caller(scope): Caller, Query(paging): Query<Paging>) -> Result<Answer<200, Rows>, Problem> {
    Ok(Answer(super::rows(&scope, paging.after.as_deref(), paging.limit()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(get_settings, change_settings))
        .routes(routes!(list))
        .routes(routes!(rotate))
        .routes(routes!(verify))
        .routes(routes!(sums))
        .routes(routes!(get))
        .routes(routes!(content))
        .routes(routes!(rows))
}
