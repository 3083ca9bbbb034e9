//! The opt-out list over the JSON API.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use types::{OptOutId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Query, Writer};

use super::{ImportOptOuts, ImportedOptOuts, NewOptOut, OptOut, OptOutFilter};
use crate::api::Gateway;

/// Who opted out, newest first.
#[utoipa::path(get, path = "/api/v1/opt-outs", tag = "inbound", params(OptOutFilter),
    responses((status = 200, body = Page<OptOut>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<OptOutFilter>,
) -> Result<Answer<200, Page<OptOut>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// Put a phone on the opt-out list. What is on it already is dated anew.
#[utoipa::path(post, path = "/api/v1/opt-outs", tag = "inbound", request_body = NewOptOut,
    responses((status = 201, body = OptOut), (status = 422, body = ProblemBody)))]
async fn add(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewOptOut>,
) -> Result<Answer<201, OptOut>, Problem> {
    Ok(Answer(super::add(&scope, &gateway.engine, &new).await?))
}

/// Put many phones on the opt-out list, from CSV. Lines that cannot be read are named; all others are on the list.
#[utoipa::path(post, path = "/api/v1/opt-outs/import", tag = "inbound", request_body = ImportOptOuts,
    responses((status = 200, body = ImportedOptOuts), (status = 409, description = "The list is full", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn import(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(list): Json<ImportOptOuts>,
) -> Result<Answer<200, ImportedOptOuts>, Problem> {
    Ok(Answer(super::import(&scope, &gateway.engine, &list).await?))
}

/// The whole opt-out list as CSV: `phone,scope,number,word,source,at`, oldest first. An import takes it back.
#[utoipa::path(get, path = "/api/v1/opt-outs/export", tag = "inbound",
    responses((status = 200, body = String, content_type = "text/csv"), (status = 403, body = ProblemBody)))]
async fn export(Caller(scope): Caller) -> Result<Response, Problem> {
    let text = super::export(&scope).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"opt-outs.csv\""),
    ];
    Ok((headers, text).into_response())
}

/// One entry of the opt-out list.
#[utoipa::path(get, path = "/api/v1/opt-outs/{id}", tag = "inbound", params(("id" = OptOutId, Path)),
    responses((status = 200, body = OptOut), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, OptOut>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Take an entry off the opt-out list, with the recipient's consent.
#[utoipa::path(delete, path = "/api/v1/opt-outs/{id}", tag = "inbound", params(("id" = OptOutId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn remove(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    super::remove(&scope, &gateway.engine, id.parse()?).await?;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(import))
        .routes(routes!(export))
        .routes(routes!(get, remove))
}
