//! SMPP accounts over the JSON API.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use types::{AccountId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Paging, Problem, Query, Writer};

use super::{Account, AccountPatch, Credentials, NewAccount};
use crate::api::{Gateway, Tagged, decided_on, follow};
use crate::engine::Bound;

fn tagged<const STATUS: u16>(account: Account) -> Tagged<STATUS, Account> {
    Tagged { revision: account.revision, answer: account }
}

/// The tenant's SMPP accounts, newest first.
#[utoipa::path(get, path = "/api/v1/smpp-accounts", tag = "smpp-accounts", params(Paging),
    responses((status = 200, body = Page<Account>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Account>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Create an SMPP account. The answer tells its password, this once; a repetition of the request does not.
#[utoipa::path(post, path = "/api/v1/smpp-accounts", tag = "smpp-accounts", request_body = NewAccount,
    responses((status = 201, body = Credentials),
        (status = 409, description = "The system_id is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewAccount>,
) -> Result<Answer<201, Credentials>, Problem> {
    let made = super::create(&scope, new).await?;
    follow(gateway.engine.account_changed(made.account.id)).await;
    Ok(Answer(made))
}

/// One SMPP account. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/smpp-accounts/{id}", tag = "smpp-accounts", params(("id" = AccountId, Path)),
    responses((status = 200, body = Account), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, Account>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Change an SMPP account; what is absent stays, and null brings a setting's default back. With `If-Match`, or `revision` in
/// the body, only when nobody changed it meanwhile. Sessions that the change no longer allows end.
#[utoipa::path(patch, path = "/api/v1/smpp-accounts/{id}", tag = "smpp-accounts",
    params(("id" = AccountId, Path), ("If-Match" = Option<String>, Header)), request_body = AccountPatch,
    responses((status = 200, body = Account), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<AccountPatch>,
) -> Result<Tagged<200, Account>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let account = super::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.account_changed(account.id)).await;
    Ok(tagged(account))
}

/// Delete an SMPP account. Its sessions end; its messages stay.
#[utoipa::path(delete, path = "/api/v1/smpp-accounts/{id}", tag = "smpp-accounts", params(("id" = AccountId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody),
        (status = 409, description = "A route is for it", body = ProblemBody)))]
async fn delete(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    let id: AccountId = id.parse()?;
    super::delete(&scope, id).await?;
    follow(gateway.engine.account_changed(id)).await;
    Ok(Answer(()))
}

/// Give an SMPP account a new password. The answer tells it, this once; a repetition of the request does not. Sessions
/// that are bound stay.
#[utoipa::path(post, path = "/api/v1/smpp-accounts/{id}/password", tag = "smpp-accounts",
    params(("id" = AccountId, Path)),
    responses((status = 200, body = Credentials), (status = 404, body = ProblemBody)))]
async fn reset_password(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
) -> Result<Answer<200, Credentials>, Problem> {
    Ok(Answer(super::reset_password(&scope, id.parse()?).await?))
}

/// The sessions of an SMPP account that are bound now.
#[utoipa::path(get, path = "/api/v1/smpp-accounts/{id}/binds", tag = "smpp-accounts", params(("id" = AccountId, Path)),
    responses((status = 200, body = Page<Bound>), (status = 404, body = ProblemBody)))]
async fn binds(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<200, Page<Bound>>, Problem> {
    let account = super::get(&scope, id.parse()?).await?;
    Ok(Answer(Page { items: gateway.engine.account_binds(account.id), next: None }))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(reset_password))
        .routes(routes!(binds))
}
