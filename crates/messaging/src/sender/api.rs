//! Senders, their pools and policies over the JSON API.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use types::{Page, PoolId, SenderId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::policy::{self, PolicyRecord, SetPolicy};
use super::pool::{self, NewPool, Pool, PoolPatch};
use super::{NewSender, Sender, SenderPatch};
use crate::api::{Gateway, Tagged, decided_on, follow};

fn tagged<const STATUS: u16>(record: Sender) -> Tagged<STATUS, Sender> {
    Tagged { revision: record.revision, answer: record }
}

/// The senders that the tenant has registered, by name.
#[utoipa::path(get, path = "/api/v1/senders", tag = "senders",
    responses((status = 200, body = Page<Sender>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Sender>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Register a sender.
#[utoipa::path(post, path = "/api/v1/senders", tag = "senders", request_body = NewSender,
    responses((status = 201, body = Sender), (status = 409, description = "The name is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewSender>,
) -> Result<Tagged<201, Sender>, Problem> {
    let made = super::create(&scope, new).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(tagged(made))
}

/// One registered sender. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/senders/{id}", tag = "senders", params(("id" = SenderId, Path)),
    responses((status = 200, body = Sender), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, Sender>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Change where a sender is registered. What is absent stays, and null brings the default back. With `If-Match`, or
/// `revision` in the body, only when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/senders/{id}", tag = "senders",
    params(("id" = SenderId, Path), ("If-Match" = Option<String>, Header)), request_body = SenderPatch,
    responses((status = 200, body = Sender), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<SenderPatch>,
) -> Result<Tagged<200, Sender>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let changed = super::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(tagged(changed))
}

/// Take a sender off the register.
#[utoipa::path(delete, path = "/api/v1/senders/{id}", tag = "senders", params(("id" = SenderId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(Answer(()))
}

fn pool_tagged<const STATUS: u16>(record: Pool) -> Tagged<STATUS, Pool> {
    Tagged { revision: record.revision, answer: record }
}

/// The tenant's sender pools, by name.
#[utoipa::path(get, path = "/api/v1/sender-pools", tag = "senders",
    responses((status = 200, body = Page<Pool>), (status = 403, body = ProblemBody)))]
async fn pool_list(Caller(scope): Caller) -> Result<Answer<200, Page<Pool>>, Problem> {
    Ok(Answer(pool::list(&scope).await?))
}

/// Create a sender pool.
#[utoipa::path(post, path = "/api/v1/sender-pools", tag = "senders", request_body = NewPool,
    responses((status = 201, body = Pool), (status = 409, description = "The name is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn pool_create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewPool>,
) -> Result<Tagged<201, Pool>, Problem> {
    let made = pool::create(&scope, new).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(pool_tagged(made))
}

/// One sender pool. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/sender-pools/{id}", tag = "senders", params(("id" = PoolId, Path)),
    responses((status = 200, body = Pool), (status = 404, body = ProblemBody)))]
async fn pool_get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, Pool>, Problem> {
    Ok(pool_tagged(pool::get(&scope, id.parse()?).await?))
}

/// Change a sender pool. What is absent stays, and null brings the default back. With `If-Match`, or
/// `revision` in the body, only when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/sender-pools/{id}", tag = "senders",
    params(("id" = PoolId, Path), ("If-Match" = Option<String>, Header)), request_body = PoolPatch,
    responses((status = 200, body = Pool), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn pool_change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<PoolPatch>,
) -> Result<Tagged<200, Pool>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let changed = pool::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(pool_tagged(changed))
}

/// Delete a sender pool.
#[utoipa::path(delete, path = "/api/v1/sender-pools/{id}", tag = "senders", params(("id" = PoolId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn pool_delete(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    pool::delete(&scope, id.parse()?).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(Answer(()))
}

/// Who may send as whom.
#[utoipa::path(get, path = "/api/v1/sender-policies", tag = "senders",
    responses((status = 200, body = Page<PolicyRecord>), (status = 403, body = ProblemBody)))]
async fn policies(Caller(scope): Caller) -> Result<Answer<200, Page<PolicyRecord>>, Problem> {
    Ok(Answer(policy::list(&scope).await?))
}

/// Set who may send as whom: for everyone, for the API, or for an SMPP account. A policy that lets everything through and
/// has no default takes the former one away.
#[utoipa::path(put, path = "/api/v1/sender-policies", tag = "senders", request_body = SetPolicy,
    responses((status = 200, body = PolicyRecord), (status = 422, body = ProblemBody)))]
async fn set_policy(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(new): Json<SetPolicy>,
) -> Result<Answer<200, PolicyRecord>, Problem> {
    let set = policy::set(&scope, new).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(Answer(set))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(pool_list, pool_create))
        .routes(routes!(pool_get, pool_change, pool_delete))
        .routes(routes!(policies, set_policy))
}
