//! API keys over the API.

use axum::extract::Path;
use types::{KeyId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{CreatedKey, Key, KeyPatch, NewKey, Rotation};

/// The tenant's API keys, newest first, the revoked ones too.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "api keys", params(Paging),
    responses((status = 200, body = Page<Key>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Key>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Create an API key. Its secret is shown this once; a repetition of the request gives the answer without it.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "api keys", request_body = NewKey,
    responses((status = 201, body = CreatedKey), (status = 403, description = "A scope that the caller lacks", body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewKey>,
) -> Result<Answer<201, CreatedKey>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One API key, without its secret.
#[utoipa::path(get, path = "/api/v1/api-keys/{id}", tag = "api keys", params(("id" = KeyId, Path)),
    responses((status = 200, body = Key), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Key>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Revoke an API key: the next request with it is refused. The record stays, with the time of its revocation.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", tag = "api keys", params(("id" = KeyId, Path)),
    responses((status = 200, body = Key), (status = 404, body = ProblemBody)))]
async fn revoke(Writer(scope): Writer<200>, Path(id): Path<String>) -> Result<Answer<200, Key>, Problem> {
    Ok(Answer(super::revoke(&scope, id.parse()?).await?))
}

/// Change an API key's name, networks or rate.
#[utoipa::path(patch, path = "/api/v1/api-keys/{id}", tag = "api keys", params(("id" = KeyId, Path)),
    request_body = KeyPatch, responses((status = 200, body = Key), (status = 404, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<KeyPatch>,
) -> Result<Answer<200, Key>, Problem> {
    Ok(Answer(super::update(&scope, id.parse()?, wanted).await?))
}

/// Give an API key a new secret.
///
/// The new one is let in at once and shown this once; the former one is let in beside it for as long as `overlap_s` says,
/// and the key shows when that was last used.
#[utoipa::path(post, path = "/api/v1/api-keys/{id}/rotate", tag = "api keys", params(("id" = KeyId, Path)),
    request_body = Rotation, responses((status = 200, body = CreatedKey), (status = 404, body = ProblemBody)))]
async fn rotate(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(rotation): Json<Rotation>,
) -> Result<Answer<200, CreatedKey>, Problem> {
    Ok(Answer(super::rotate(&scope, id.parse()?, &rotation).await?))
}

/// End an API key's former secret before its time.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}/former-secret", tag = "api keys", params(("id" = KeyId, Path)),
    responses((status = 200, body = Key), (status = 404, body = ProblemBody)))]
async fn end_former(Writer(scope): Writer<200>, Path(id): Path<String>) -> Result<Answer<200, Key>, Problem> {
    Ok(Answer(super::end_former(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, revoke))
        .routes(routes!(rotate))
        .routes(routes!(end_former))
}
