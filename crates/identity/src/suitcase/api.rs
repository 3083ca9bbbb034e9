//! Tenants that leave and come, over the API.

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use types::{Error, Page, SuitcaseId, TenantId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{AskRestore, AskSuitcase, Hashes, Octets, Suitcase};

/// Octets that are read at once for whoever takes a file away.
const CHUNK: usize = 1 << 16;

/// Take your own organisation away: all of it in one file, shut by a passphrase. The file is ready a while later.
#[utoipa::path(post, path = "/api/v1/organisation/suitcases", tag = "organisation", request_body = AskSuitcase,
    responses((status = 202, body = Suitcase), (status = 409, description = "It is the installation's own", body = ProblemBody)))]
async fn ask_own(
    Writer(scope): Writer<202>,
    Json(asked): Json<AskSuitcase>,
) -> Result<Answer<202, Suitcase>, Problem> {
    Ok(Answer(super::ask_own(&scope, asked).await?))
}

/// The suitcases of your own organisation, newest first.
#[utoipa::path(get, path = "/api/v1/organisation/suitcases", tag = "organisation", params(Paging),
    responses((status = 200, body = Page<Suitcase>), (status = 403, body = ProblemBody)))]
async fn list_own(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Suitcase>>, Problem> {
    Ok(Answer(super::list_own(&scope, &paging).await?))
}

/// A suitcase of your own organisation, with how far it has come.
#[utoipa::path(get, path = "/api/v1/organisation/suitcases/{id}", tag = "organisation", params(("id" = SuitcaseId, Path)),
    responses((status = 200, body = Suitcase), (status = 404, body = ProblemBody)))]
async fn get_own(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Suitcase>, Problem> {
    Ok(Answer(super::get_own(&scope, id.parse()?).await?))
}

/// The file of a suitcase of your own organisation.
#[utoipa::path(get, path = "/api/v1/organisation/suitcases/{id}/file", tag = "organisation", params(("id" = SuitcaseId, Path)),
    responses((status = 200, description = "The file", body = String, content_type = "application/octet-stream"),
        (status = 404, body = ProblemBody), (status = 409, description = "It is not ready", body = ProblemBody)))]
async fn file_own(Caller(scope): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(download(&scope, id.parse()?, true).await?)
}

/// Take a tenant away: all of it in one file, shut by a passphrase. The file is ready a while later.
#[utoipa::path(post, path = "/api/v1/tenants/{id}/suitcases", tag = "tenants", params(("id" = TenantId, Path)), request_body = AskSuitcase,
    responses((status = 202, body = Suitcase), (status = 404, body = ProblemBody)))]
async fn ask(
    Writer(scope): Writer<202>,
    Path(id): Path<String>,
    Json(asked): Json<AskSuitcase>,
) -> Result<Answer<202, Suitcase>, Problem> {
    Ok(Answer(super::ask_any(&scope, id.parse()?, asked).await?))
}

/// The rows and the hash of each table of a tenant: the same on every installation that has it. All rows are read for it.
#[utoipa::path(get, path = "/api/v1/tenants/{id}/hashes", tag = "tenants", params(("id" = TenantId, Path)),
    responses((status = 200, body = Hashes), (status = 404, body = ProblemBody)))]
async fn hashes(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Hashes>, Problem> {
    Ok(Answer(super::hashes_of(&scope, id.parse()?).await?))
}

/// All suitcases, of tenants that leave and of those that come, newest first.
#[utoipa::path(get, path = "/api/v1/suitcases", tag = "tenants", params(Paging),
    responses((status = 200, body = Page<Suitcase>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Suitcase>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Begin to upload a suitcase. Its octets follow in pieces.
#[utoipa::path(post, path = "/api/v1/suitcases", tag = "tenants",
    responses((status = 201, body = Suitcase), (status = 403, body = ProblemBody)))]
async fn begin_upload(Writer(scope): Writer<201>) -> Result<Answer<201, Suitcase>, Problem> {
    Ok(Answer(super::begin_upload(&scope).await?))
}

/// One suitcase, with how far it has come.
#[utoipa::path(get, path = "/api/v1/suitcases/{id}", tag = "tenants", params(("id" = SuitcaseId, Path)),
    responses((status = 200, body = Suitcase), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Suitcase>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Remove the file of a suitcase that nothing works on; what was done stays done.
#[utoipa::path(delete, path = "/api/v1/suitcases/{id}", tag = "tenants", params(("id" = SuitcaseId, Path)),
    responses((status = 200, body = Suitcase), (status = 409, description = "It is worked on", body = ProblemBody)))]
async fn remove(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
) -> Result<Answer<200, Suitcase>, Problem> {
    Ok(Answer(super::remove(&scope, id.parse()?).await?))
}

/// The file of a suitcase. It holds its own signed hashes.
#[utoipa::path(get, path = "/api/v1/suitcases/{id}/file", tag = "tenants", params(("id" = SuitcaseId, Path)),
    responses((status = 200, description = "The file", body = String, content_type = "application/octet-stream"),
        (status = 409, description = "It is not ready", body = ProblemBody)))]
async fn file(Caller(scope): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(download(&scope, id.parse()?, false).await?)
}

/// Where a piece begins.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Offset {
    /// Octets that were sent before: the suitcase's `bytes`. 0 when not given.
    offset: Option<i64>,
    /// Octets of the whole file. Where it was said, nothing is restored before all are there, and no other file goes on.
    total: Option<i64>,
}

/// Upload the next octets of a suitcase, at most `http.body_bytes_max` at once. What broke off goes on at `bytes`.
#[utoipa::path(put, path = "/api/v1/suitcases/{id}/file", tag = "tenants", params(("id" = SuitcaseId, Path), Offset),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Suitcase), (status = 409, description = "Another place is the next", body = ProblemBody)))]
async fn receive(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Query(Offset { offset, total }): Query<Offset>,
    octets: Bytes,
) -> Result<Answer<200, Suitcase>, Problem> {
    let sent = Octets { offset: offset.unwrap_or(0), total, octets: octets.to_vec() };
    Ok(Answer(super::receive(&scope, id.parse()?, sent).await?))
}

/// Restore a suitcase that was uploaded. Everything is checked before anything is written; its state says what came of it.
#[utoipa::path(post, path = "/api/v1/suitcases/{id}/restore", tag = "tenants", params(("id" = SuitcaseId, Path)), request_body = AskRestore,
    responses((status = 202, body = Suitcase), (status = 422, description = "The passphrase does not open it", body = ProblemBody)))]
async fn restore(
    Writer(scope): Writer<202>,
    Path(id): Path<String>,
    Json(asked): Json<AskRestore>,
) -> Result<Answer<202, Suitcase>, Problem> {
    Ok(Answer(super::ask_restore(&scope, id.parse()?, asked).await?))
}

/// Streams the file of a suitcase.
pub(super) async fn download(scope: &runtime::Scope, id: SuitcaseId, own: bool) -> types::Result<Response> {
    let (one, path) = super::file(scope, id, own).await?;
    let open = tokio::fs::File::open(&path).await.map_err(Error::internal)?;
    let chunks = futures::stream::try_unfold(open, |mut open| async move {
        let mut chunk = vec![0; CHUNK];
        let read = open.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((chunk, open)))
    });
    let name = one.tenant.map_or_else(|| id.to_string(), |tenant| tenant.to_string());
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, one.bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.suitcase\"")),
        (HeaderName::from_static("cache-control"), "private, no-store, no-transform".to_owned()),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ask_own, list_own))
        .routes(routes!(get_own))
        .routes(routes!(file_own))
        .routes(routes!(ask))
        .routes(routes!(hashes))
        .routes(routes!(list, begin_upload))
        .routes(routes!(get, remove))
        .routes(routes!(file, receive))
        .routes(routes!(restore))
}
