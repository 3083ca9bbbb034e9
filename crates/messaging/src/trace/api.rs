//! Traces over the JSON API.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use types::{Page, TraceId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Query, Writer};

use super::{Format, NewTrace, Trace, TracedPdus};
use crate::api::Gateway;

/// The traces that are kept, the latest first. They are in memory, and gone with the program.
#[utoipa::path(get, path = "/api/v1/traces", tag = "traces",
    responses((status = 200, body = Page<Trace>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Trace>>, Problem> {
    Ok(Answer(Page { items: super::list(&scope)?, next: None }))
}

/// Trace the PDUs of a connection, of an account, or of one of their binds. Passwords are covered in what is kept.
#[utoipa::path(post, path = "/api/v1/traces", tag = "traces", request_body = NewTrace,
    responses((status = 201, body = Trace), (status = 404, body = ProblemBody),
        (status = 409, description = "It is traced already, or too many traces run", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn start(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewTrace>,
) -> Result<Answer<201, Trace>, Problem> {
    Ok(Answer(super::start(&scope, &gateway.engine, new).await?))
}

/// One trace: what it is of, whether it runs, how much it holds.
#[utoipa::path(get, path = "/api/v1/traces/{id}", tag = "traces", params(("id" = TraceId, Path)),
    responses((status = 200, body = Trace), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Trace>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?)?))
}

/// End a trace. What it holds stays.
#[utoipa::path(post, path = "/api/v1/traces/{id}/stop", tag = "traces", params(("id" = TraceId, Path)),
    responses((status = 200, body = Trace), (status = 404, body = ProblemBody)))]
async fn stop(Writer(scope): Writer<200>, Path(id): Path<String>) -> Result<Answer<200, Trace>, Problem> {
    Ok(Answer(super::stop(&scope, id.parse()?).await?))
}

/// End a trace and throw away what it holds.
#[utoipa::path(delete, path = "/api/v1/traces/{id}", tag = "traces", params(("id" = TraceId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    Ok(Answer(()))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Behind {
    /// The last number seen; 0, or nothing, for the beginning.
    after: Option<u64>,
    /// At most so many, 1 to 500; 100 when not given.
    limit: Option<usize>,
}

/// The PDUs of a trace, oldest first, each field by field and in hex. Texts are covered for those who may not see messages.
#[utoipa::path(get, path = "/api/v1/traces/{id}/pdus", tag = "traces", params(("id" = TraceId, Path), Behind),
    responses((status = 200, body = TracedPdus), (status = 404, body = ProblemBody)))]
async fn pdus(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Query(from): Query<Behind>,
) -> Result<Answer<200, TracedPdus>, Problem> {
    let (after, limit) = (from.after.unwrap_or(0), from.limit.unwrap_or(100));
    Ok(Answer(super::pdus(&scope, id.parse()?, after, limit)?))
}

/// A trace as a file for Wireshark (pcapng).
#[utoipa::path(get, path = "/api/v1/traces/{id}/pcapng", tag = "traces", params(("id" = TraceId, Path)),
    responses((status = 200, content_type = "application/x-pcapng", body = Vec<u8>), (status = 404, body = ProblemBody)))]
async fn pcapng(Caller(scope): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: TraceId = id.parse()?;
    Ok(attached(id, "pcapng", super::file(&scope, id, Format::Pcapng).await?))
}

/// A trace as JSON lines, one PDU a line.
#[utoipa::path(get, path = "/api/v1/traces/{id}/jsonl", tag = "traces", params(("id" = TraceId, Path)),
    responses((status = 200, content_type = "application/jsonl", body = String), (status = 404, body = ProblemBody)))]
async fn jsonl(Caller(scope): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: TraceId = id.parse()?;
    Ok(attached(id, "jsonl", super::file(&scope, id, Format::JsonLines).await?))
}

/// A file to be kept.
pub(super) fn attached(id: TraceId, extension: &str, octets: Vec<u8>) -> Response {
    let kind = if extension == "pcapng" { "application/x-pcapng" } else { "application/jsonl" };
    let name = format!("attachment; filename=\"{id}.{extension}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], octets).into_response()
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(get, delete))
        .routes(routes!(stop))
        .routes(routes!(pdus))
        .routes(routes!(pcapng))
        .routes(routes!(jsonl))
}
