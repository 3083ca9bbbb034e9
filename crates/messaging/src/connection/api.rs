//! Connections over the JSON API.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use connectors::Status;
use serde::Serialize;
use types::{ConnectionId, Page, Permission};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Paging, Problem, Query, Writer};

use super::preview::{Previewed, Sample};
use super::{Connection, ConnectionPatch, ErrorConvention, ErrorRule, NewConnection, Wanted};
use crate::api::{Gateway, Tagged, decided_on, follow};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::journal::Learned;
use crate::message::query::FaultTold;

/// A connection and how it stands.
#[derive(Serialize, utoipa::ToSchema)]
struct Seen {
    /// The connection.
    #[serde(flatten)]
    connection: Connection,
    /// Its sessions, windows and counts; absent while it is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    status: Option<Status>,
    /// How its receipts write ids, as far as that was found out; absent before the first, and where it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    learned_ids: Option<Learned>,
}

fn seen(engine: &Engine, connection: Connection) -> Seen {
    let learned_ids = engine.journal().receipt_ids(connection.id);
    Seen { status: engine.connection_status(connection.id), learned_ids, connection }
}

/// A ready error table.
#[derive(Serialize, utoipa::ToSchema)]
struct Convention {
    /// Its name, as `error_convention` takes it.
    name: ErrorConvention,
    /// Its lines.
    rules: Vec<ErrorRule>,
}

/// The ready error tables, and what our own words for errors are.
#[derive(Serialize, utoipa::ToSchema)]
struct Conventions {
    /// The tables.
    conventions: Vec<Convention>,
    /// The words: each with its number and what it means.
    faults: Vec<FaultTold>,
}

/// The ready error tables, to be chosen or to begin one's own with, and our own words for errors.
#[utoipa::path(get, path = "/api/v1/error-conventions", tag = "connections",
    responses((status = 200, body = Conventions), (status = 403, body = ProblemBody)))]
async fn conventions(Caller(scope): Caller) -> Result<Answer<200, Conventions>, Problem> {
    scope.require(Permission::ConnectionView)?;
    let conventions = ErrorConvention::ALL.map(|name| Convention { name, rules: name.rules() }).into();
    let told =
        |fault: &Fault| FaultTold { code: *fault, number: fault.number(), text: fault.text().to_owned() };
    Ok(Answer(Conventions { conventions, faults: Fault::ALL.iter().map(told).collect() }))
}

fn tagged<const STATUS: u16>(connection: Connection) -> Tagged<STATUS, Connection> {
    Tagged { revision: connection.revision, answer: connection }
}

/// The tenant's connections and how they stand, newest first.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", params(Paging),
    responses((status = 200, body = Page<Seen>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Seen>>, Problem> {
    let page = super::list(&scope, &paging).await?;
    Ok(Answer(page.map(|connection| seen(&gateway.engine, connection))))
}

/// Create a connection to a carrier. It is started unless told otherwise.
#[utoipa::path(post, path = "/api/v1/connections", tag = "connections", request_body = NewConnection,
    responses((status = 201, body = Connection),
        (status = 409, description = "The name is taken", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewConnection>,
) -> Result<Tagged<201, Connection>, Problem> {
    let connection = super::create(&scope, new).await?;
    follow(gateway.engine.connection_changed(connection.id)).await;
    Ok(tagged(connection))
}

/// One connection and how it stands. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/connections/{id}", tag = "connections", params(("id" = ConnectionId, Path)),
    responses((status = 200, body = Seen), (status = 404, body = ProblemBody)))]
async fn get(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Tagged<200, Seen>, Problem> {
    let connection = super::get(&scope, id.parse()?).await?;
    Ok(Tagged { revision: connection.revision, answer: seen(&gateway.engine, connection) })
}

/// Change a connection; what is absent stays, and null brings a setting's default back. With `If-Match`, or `revision` in
/// the body, only when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/connections/{id}", tag = "connections",
    params(("id" = ConnectionId, Path), ("If-Match" = Option<String>, Header)), request_body = ConnectionPatch,
    responses((status = 200, body = Connection), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<ConnectionPatch>,
) -> Result<Tagged<200, Connection>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let connection = super::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.connection_changed(connection.id)).await;
    Ok(tagged(connection))
}

/// Delete a connection. Its messages stay.
#[utoipa::path(delete, path = "/api/v1/connections/{id}", tag = "connections", params(("id" = ConnectionId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody),
        (status = 409, description = "A route leads to it", body = ProblemBody)))]
async fn delete(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    let id: ConnectionId = id.parse()?;
    super::delete(&scope, id).await?;
    follow(gateway.engine.connection_changed(id)).await;
    Ok(Answer(()))
}

/// Bind, and take messages.
#[utoipa::path(post, path = "/api/v1/connections/{id}/start", tag = "connections", params(("id" = ConnectionId, Path)),
    responses((status = 200, body = Connection), (status = 404, body = ProblemBody)))]
async fn start(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Tagged<200, Connection>, Problem> {
    let connection = super::operate(&scope, id.parse()?, Wanted::Started).await?;
    follow(gateway.engine.connection_changed(connection.id)).await;
    Ok(tagged(connection))
}

/// Unbind. Messages wait.
#[utoipa::path(post, path = "/api/v1/connections/{id}/stop", tag = "connections", params(("id" = ConnectionId, Path)),
    responses((status = 200, body = Connection), (status = 404, body = ProblemBody)))]
async fn stop(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Tagged<200, Connection>, Problem> {
    let connection = super::operate(&scope, id.parse()?, Wanted::Stopped).await?;
    follow(gateway.engine.connection_changed(connection.id)).await;
    Ok(tagged(connection))
}

/// Take nothing more, but stay bound for answers and receipts.
#[utoipa::path(post, path = "/api/v1/connections/{id}/drain", tag = "connections", params(("id" = ConnectionId, Path)),
    responses((status = 200, body = Connection), (status = 404, body = ProblemBody)))]
async fn drain(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Tagged<200, Connection>, Problem> {
    let connection = super::operate(&scope, id.parse()?, Wanted::Draining).await?;
    follow(gateway.engine.connection_changed(connection.id)).await;
    Ok(tagged(connection))
}

/// What would be sent for a message, part by part. Nothing is sent; secrets are hidden.
#[utoipa::path(post, path = "/api/v1/connections/{id}/preview", tag = "connections", params(("id" = ConnectionId, Path)),
    request_body = Sample,
    responses((status = 200, body = Vec<Previewed>), (status = 404, body = ProblemBody),
        (status = 409, description = "The connection cannot carry it", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn preview(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Json(sample): Json<Sample>,
) -> Result<Answer<200, Vec<Previewed>>, Problem> {
    Ok(Answer(super::preview::preview(&scope, id.parse()?, &sample).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(conventions))
        .routes(routes!(start))
        .routes(routes!(stop))
        .routes(routes!(drain))
        .routes(routes!(preview))
        .merge(super::hook::api::router())
}
