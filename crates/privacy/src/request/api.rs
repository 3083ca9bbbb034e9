//! Requests of persons over the API.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use types::{Page, PrivacyRequestId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Query, Writer};

use super::decide::{self, Hold, HoldChange};
use super::{NewRequest, Reason, Request, RequestFilter};
use crate::certificate::SignedCertificate;
use crate::erase::Erased;
use crate::tombstone::{self, Reapplied};

type Shown = Result<Answer<200, Request>, Problem>;

/// Requests of persons, newest first.
#[utoipa::path(get, path = "/api/v1/privacy/requests", tag = "privacy", params(RequestFilter),
    responses((status = 200, body = Page<Request>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<RequestFilter>,
) -> Result<Answer<200, Page<Request>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// Take in a request of a person.
#[utoipa::path(post, path = "/api/v1/privacy/requests", tag = "privacy", request_body = NewRequest,
    responses((status = 201, body = Request), (status = 409, description = "The identifiers are of different persons", body = ProblemBody)))]
async fn open(
    Writer(scope): Writer<201>,
    Json(new): Json<NewRequest>,
) -> Result<Answer<201, Request>, Problem> {
    Ok(Answer(super::open(&scope, new).await?))
}

/// One request, with what was done about it.
#[utoipa::path(get, path = "/api/v1/privacy/requests/{id}", tag = "privacy", params(("id" = PrivacyRequestId, Path)),
    responses((status = 200, body = Request), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Shown {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// What is there about the person now, by table: what carrying the request out would reach.
#[utoipa::path(get, path = "/api/v1/privacy/requests/{id}/preview", tag = "privacy", params(("id" = PrivacyRequestId, Path)),
    responses((status = 200, body = Vec<Erased>), (status = 404, body = ProblemBody)))]
async fn preview(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Vec<Erased>>, Problem> {
    Ok(Answer(super::preview(&scope, id.parse()?).await?))
}

/// Note how the identity of whoever asks was checked.
#[utoipa::path(post, path = "/api/v1/privacy/requests/{id}/check", tag = "privacy", params(("id" = PrivacyRequestId, Path)),
    request_body = Reason, responses((status = 200, body = Request), (status = 409, body = ProblemBody)))]
async fn check(Writer(scope): Writer<200>, Path(id): Path<String>, Json(reason): Json<Reason>) -> Shown {
    Ok(Answer(decide::check(&scope, id.parse()?, &reason).await?))
}

/// Extend the time for an answer, once, with the reason.
#[utoipa::path(post, path = "/api/v1/privacy/requests/{id}/extend", tag = "privacy", params(("id" = PrivacyRequestId, Path)),
    request_body = Reason, responses((status = 200, body = Request), (status = 409, body = ProblemBody)))]
async fn extend(Writer(scope): Writer<200>, Path(id): Path<String>, Json(reason): Json<Reason>) -> Shown {
    Ok(Answer(decide::extend(&scope, id.parse()?, &reason).await?))
}

/// Refuse a request with its reason.
#[utoipa::path(post, path = "/api/v1/privacy/requests/{id}/refuse", tag = "privacy", params(("id" = PrivacyRequestId, Path)),
    request_body = Reason, responses((status = 200, body = Request), (status = 409, body = ProblemBody)))]
async fn refuse(Writer(scope): Writer<200>, Path(id): Path<String>, Json(reason): Json<Reason>) -> Shown {
    Ok(Answer(decide::refuse(&scope, id.parse()?, &reason).await?))
}

/// Carry a request out; a durable job does it. An erasure cannot be undone.
#[utoipa::path(post, path = "/api/v1/privacy/requests/{id}/carry-out", tag = "privacy", params(("id" = PrivacyRequestId, Path)),
    responses((status = 202, body = Request), (status = 409, description = "Nobody has checked who asks, or the law keeps the data", body = ProblemBody)))]
async fn carry_out(
    Writer(scope): Writer<202>,
    Path(id): Path<String>,
) -> Result<Answer<202, Request>, Problem> {
    Ok(Answer(decide::carry_out(&scope, id.parse()?).await?))
}

/// Lift the restriction, or take back the objection, that a request has brought.
#[utoipa::path(post, path = "/api/v1/privacy/requests/{id}/lift", tag = "privacy", params(("id" = PrivacyRequestId, Path)),
    request_body = Reason, responses((status = 200, body = Request), (status = 409, body = ProblemBody)))]
async fn lift(Writer(scope): Writer<200>, Path(id): Path<String>, Json(reason): Json<Reason>) -> Shown {
    Ok(Answer(decide::lift(&scope, id.parse()?, &reason).await?))
}

/// How a file is wanted.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FileQuery {
    /// `json` for machines, which is the default, or `html`: the same as a page for people.
    format: Option<String>,
}

/// What was gathered about the person, as JSON for machines or as a page for people.
#[utoipa::path(get, path = "/api/v1/privacy/requests/{id}/file", tag = "privacy",
    params(("id" = PrivacyRequestId, Path), FileQuery),
    responses((status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>), (status = 404, body = ProblemBody)))]
async fn file(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Query(query): Query<FileQuery>,
) -> Result<Response, Problem> {
    Ok(as_file(&scope, id.parse()?, &query).await?)
}

/// The file as a download, which no cache keeps.
pub(super) async fn as_file(
    scope: &runtime::Scope,
    id: PrivacyRequestId,
    query: &FileQuery,
) -> types::Result<Response> {
    let ending = match query.format.as_deref() {
        None | Some("json") => "json",
        Some("html") => "html",
        Some(other) => {
            let why = format!("{other:?} is no format; they are json, html");
            return Err(types::Error::new(types::Code::InvalidFilter, why).at("format"));
        }
    };
    let json = super::file(scope, id).await?;
    let (kind, octets) = match ending {
        "html" => {
            let whole = serde_json::from_slice(&json).map_err(types::Error::internal)?;
            ("text/html; charset=utf-8", crate::export::page(&whole).into_bytes())
        }
        _ => ("application/json", json),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.{ending}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, octets).into_response())
}

/// The certificate of an erasure, signed.
#[utoipa::path(get, path = "/api/v1/privacy/requests/{id}/certificate", tag = "privacy", params(("id" = PrivacyRequestId, Path)),
    responses((status = 200, body = SignedCertificate), (status = 404, body = ProblemBody)))]
async fn certificate(
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Answer<200, SignedCertificate>, Problem> {
    Ok(Answer(super::certificate(&scope, id.parse()?).await?))
}

/// Set or lift a person's legal hold: while it stands, nothing of them is erased.
#[utoipa::path(put, path = "/api/v1/privacy/holds", tag = "privacy", request_body = HoldChange,
    responses((status = 200, body = Hold), (status = 422, body = ProblemBody)))]
async fn hold(
    Writer(scope): Writer<200>,
    Json(change): Json<HoldChange>,
) -> Result<Answer<200, Hold>, Problem> {
    Ok(Answer(decide::hold(&scope, &change).await?))
}

/// Erase again everybody who was erased, such as after an old file was imported.
#[utoipa::path(post, path = "/api/v1/privacy/reapply", tag = "privacy",
    responses((status = 202, body = Reapplied), (status = 403, body = ProblemBody)))]
async fn reapply(Writer(scope): Writer<202>) -> Result<Answer<202, Reapplied>, Problem> {
    Ok(Answer(tombstone::reapply(&scope).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, open))
        .routes(routes!(get))
        .routes(routes!(preview))
        .routes(routes!(check))
        .routes(routes!(extend))
        .routes(routes!(refuse))
        .routes(routes!(carry_out))
        .routes(routes!(lift))
        .routes(routes!(file))
        .routes(routes!(certificate))
        .routes(routes!(hold))
        .routes(routes!(reapply))
}
