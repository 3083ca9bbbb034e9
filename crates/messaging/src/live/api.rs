//! What is going on, over the JSON API.

use axum::extract::{Path, State};
use serde::Deserialize;
use types::{AccountId, ConnectionId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::{AccountMetrics, ConnectionMetrics, Overview};
use crate::api::Gateway;

/// Which session.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Its number, as the list of binds shows it.
    bind: u64,
}

/// Everything of the tenant, in one look: each connection and each account with its state, window, rates and errors.
#[utoipa::path(get, path = "/api/v1/live", tag = "live",
    responses((status = 200, body = Overview), (status = 403, body = ProblemBody)))]
async fn overview(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
) -> Result<Answer<200, Overview>, Problem> {
    Ok(Answer(super::overview(&scope, &gateway.engine).await?))
}

/// What a connection does: binds, rates over 1, 5 and 15 minutes, delays, errors, receipts, and what happened to its
/// sessions.
#[utoipa::path(get, path = "/api/v1/connections/{id}/metrics", tag = "connections", params(("id" = ConnectionId, Path)),
    responses((status = 200, body = ConnectionMetrics), (status = 404, body = ProblemBody)))]
async fn of_connection(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<200, ConnectionMetrics>, Problem> {
    Ok(Answer(super::of_connection(&scope, &gateway.engine, id.parse()?).await?))
}

/// What an account does: binds, rates over 1, 5 and 15 minutes, refusals, receipts that wait, and what happened to its
/// sessions.
#[utoipa::path(get, path = "/api/v1/smpp-accounts/{id}/metrics", tag = "smpp-accounts", params(("id" = AccountId, Path)),
    responses((status = 200, body = AccountMetrics), (status = 404, body = ProblemBody)))]
async fn of_account(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<200, AccountMetrics>, Problem> {
    Ok(Answer(super::of_account(&scope, &gateway.engine, id.parse()?).await?))
}

/// End one session of a connection when nothing is open on it, and open it anew.
#[utoipa::path(post, path = "/api/v1/connections/{id}/renew", tag = "connections", params(("id" = ConnectionId, Path)),
    request_body = Which,
    responses((status = 204), (status = 404, description = "No such connection or bind", body = ProblemBody)))]
async fn renew(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    Json(which): Json<Which>,
) -> Result<Answer<204, ()>, Problem> {
    super::renew(&scope, &gateway.engine, id.parse()?, which.bind).await?;
    Ok(Answer(()))
}

/// End one session of an account. What it has submitted is answered first; its system may bind again at once.
#[utoipa::path(post, path = "/api/v1/smpp-accounts/{id}/unbind", tag = "smpp-accounts", params(("id" = AccountId, Path)),
    request_body = Which,
    responses((status = 204), (status = 404, description = "No such account or bind", body = ProblemBody)))]
async fn end(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    Json(which): Json<Which>,
) -> Result<Answer<204, ()>, Problem> {
    super::end(&scope, &gateway.engine, id.parse()?, which.bind).await?;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(of_connection))
        .routes(routes!(of_account))
        .routes(routes!(renew))
        .routes(routes!(end))
}
