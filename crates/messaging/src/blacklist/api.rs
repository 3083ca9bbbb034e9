//! The blacklist over the JSON API.

use axum::extract::{Path, State};
use types::{BlacklistedId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Query, Writer};

use super::{Entry, EntryFilter, Import, Imported, NewEntry};
use crate::api::{Gateway, follow};

/// The tenant's blacklist, newest first. `catches` looks up what is about a number, a sender, an address, a key or a text.
#[utoipa::path(get, path = "/api/v1/blacklist", tag = "blacklist", params(EntryFilter),
    responses((status = 200, body = Page<Entry>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Query(filter): Query<EntryFilter>,
) -> Result<Answer<200, Page<Entry>>, Problem> {
    Ok(Answer(super::list(&scope, &gateway.engine, &filter).await?))
}

/// Put something on the blacklist. What is on it already gets the new reason, source and expiry.
#[utoipa::path(post, path = "/api/v1/blacklist", tag = "blacklist", request_body = NewEntry,
    responses((status = 201, body = Entry), (status = 422, body = ProblemBody)))]
async fn add(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewEntry>,
) -> Result<Answer<201, Entry>, Problem> {
    let entry = super::add(&scope, &new).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(Answer(entry))
}

/// Put many entries on the blacklist, from text or CSV. Lines that cannot be read are named; all others are on the list.
#[utoipa::path(post, path = "/api/v1/blacklist/import", tag = "blacklist", request_body = Import,
    responses((status = 200, body = Imported), (status = 409, description = "The list is full", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn import(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(list): Json<Import>,
) -> Result<Answer<200, Imported>, Problem> {
    let imported = super::import(&scope, &list).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(Answer(imported))
}

/// One entry of the blacklist.
#[utoipa::path(get, path = "/api/v1/blacklist/{id}", tag = "blacklist", params(("id" = BlacklistedId, Path)),
    responses((status = 200, body = Entry), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Entry>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Take an entry off the blacklist.
#[utoipa::path(delete, path = "/api/v1/blacklist/{id}", tag = "blacklist", params(("id" = BlacklistedId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn remove(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    super::remove(&scope, id.parse()?).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(import)).routes(routes!(get, remove))
}
