//! The draft of the routes over the JSON API.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Query, Writer};

use super::{Draft, NewDraft, Publish};
use crate::api::{Gateway, follow};
use crate::route::diff::Diff;
use crate::route::replay::{self, Replay, Replayed};
use crate::route::version::Version;

/// The draft: routes that no message follows yet.
#[utoipa::path(get, path = "/api/v1/route-draft", tag = "routes",
    responses((status = 200, body = Draft), (status = 404, description = "There is none", body = ProblemBody)))]
async fn get(Caller(scope): Caller) -> Result<Answer<200, Draft>, Problem> {
    Ok(Answer(super::get(&scope).await?))
}

/// Begin a draft with a copy of the routes in use. An earlier draft is discarded.
#[utoipa::path(post, path = "/api/v1/route-draft", tag = "routes",
    responses((status = 201, body = Draft), (status = 403, body = ProblemBody)))]
async fn begin(Writer(scope): Writer<201>) -> Result<Answer<201, Draft>, Problem> {
    Ok(Answer(super::begin(&scope).await?))
}

/// Put whole routes into the draft. A route with an id stands for the one in use; one without would be added.
#[utoipa::path(put, path = "/api/v1/route-draft", tag = "routes", request_body = NewDraft,
    responses((status = 200, body = Draft), (status = 422, body = ProblemBody)))]
async fn put(Writer(scope): Writer<200>, Json(new): Json<NewDraft>) -> Result<Answer<200, Draft>, Problem> {
    Ok(Answer(super::put(&scope, new).await?))
}

/// Discard the draft.
#[utoipa::path(delete, path = "/api/v1/route-draft", tag = "routes",
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn discard(Writer(scope): Writer<204>) -> Result<Answer<204, ()>, Problem> {
    super::discard(&scope).await?;
    Ok(Answer(()))
}

/// What publishing the draft would change.
#[utoipa::path(get, path = "/api/v1/route-draft/diff", tag = "routes",
    responses((status = 200, body = Diff), (status = 404, body = ProblemBody)))]
async fn diff(Caller(scope): Caller) -> Result<Answer<200, Diff>, Problem> {
    Ok(Answer(super::compare(&scope).await?))
}

/// Where the last messages would have gone by the routes in use and by the draft, counted by connection. Connections that
/// are down count as up: outages are not what a draft is about.
#[utoipa::path(get, path = "/api/v1/route-draft/replay", tag = "routes", params(Replay),
    responses((status = 200, body = Replayed), (status = 404, body = ProblemBody)))]
async fn replayed(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Query(replay): Query<Replay>,
) -> Result<Answer<200, Replayed>, Problem> {
    Ok(Answer(replay::replay(&scope, &replay, gateway.engine.queue()).await?))
}

/// Put the draft in the place of the routes in use. That is a new version, and can be rolled back.
#[utoipa::path(post, path = "/api/v1/route-draft/publish", tag = "routes", request_body = Publish,
    responses((status = 200, body = Version), (status = 404, body = ProblemBody),
        (status = 409, description = "The routes in use were changed meanwhile", body = ProblemBody)))]
async fn publish(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(how): Json<Publish>,
) -> Result<Answer<200, Version>, Problem> {
    let version = super::publish(&scope, &how).await?;
    follow(gateway.engine.routes_changed()).await;
    Ok(Answer(version))
}

/// The draft.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(get, begin, put, discard))
        .routes(routes!(diff))
        .routes(routes!(replayed))
        .routes(routes!(publish))
}
