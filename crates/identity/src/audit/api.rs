//! The audit trail over the API.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Problem, Query, Writer};

use super::export::{self, Form};
use super::{Entry, Filter, Report, Standing};

/// Who did what, newest first, up to this moment.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Filter),
    responses((status = 200, body = Page<Entry>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<Filter>,
) -> Result<Answer<200, Page<Entry>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// Which entries are taken away, and in which form.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// `jsonl`, which verifies by itself, or `csv`; `jsonl` when not given.
    pub(super) format: Option<String>,
    /// Only what this actor did.
    pub(super) actor: Option<String>,
    /// Only this kind.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    /// Only what was done to this record.
    pub(super) subject: Option<String>,
    /// From this instant or day on.
    pub(super) since: Option<String>,
    /// Before this instant, or up to the end of this day.
    pub(super) until: Option<String>,
    /// Only entries with these letters in them.
    pub(super) text: Option<String>,
}

/// Take the trail away, oldest first: as JSON lines with checkpoints and a signed end, or as CSV. Without a filter the
/// JSON lines verify as a whole; of a selection each entry does.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "The file", body = String, content_type = "application/jsonl"),
        (status = 403, body = ProblemBody)))]
async fn export(Caller(scope): Caller, Query(query): Query<ExportQuery>) -> Result<Response, Problem> {
    Ok(as_file(&scope, query).await?)
}

/// The export as a browser saves it.
pub(super) async fn as_file(scope: &runtime::Scope, query: ExportQuery) -> types::Result<Response> {
    let form = Form::named(query.format.as_deref())?;
    let ExportQuery { actor, kind, subject, since, until, text, .. } = query;
    let filter = Filter { actor, kind, subject, since, until, text, ..Filter::default() };
    let pieces = export::begin(scope, &filter, form).await?;
    let (name, kind) = form.as_file();
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Verify the whole trail: every row's hash, every checkpoint's signature. `damage` names the first place that is not as it
/// was written.
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "audit",
    responses((status = 200, body = Report), (status = 403, body = ProblemBody)))]
async fn verify(Caller(scope): Caller) -> Result<Answer<200, Report>, Problem> {
    Ok(Answer(super::check(&scope).await?))
}

/// Where the trail stands: its last hash, the key to verify it with, the newest checkpoints.
#[utoipa::path(get, path = "/api/v1/audit/checkpoints", tag = "audit",
    responses((status = 200, body = Standing), (status = 403, body = ProblemBody)))]
async fn standing(Caller(scope): Caller) -> Result<Answer<200, Standing>, Problem> {
    Ok(Answer(super::standing(&scope).await?))
}

/// Sign a checkpoint now.
#[utoipa::path(post, path = "/api/v1/audit/checkpoints", tag = "audit",
    responses((status = 201, body = Standing), (status = 403, body = ProblemBody)))]
async fn sign(Writer(scope): Writer<201>) -> Result<Answer<201, Standing>, Problem> {
    Ok(Answer(super::sign(&scope).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(verify))
        .routes(routes!(standing, sign))
}
