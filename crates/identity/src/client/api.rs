//! Applications over the API.

use axum::extract::Path;
use types::{ClientId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{Client, ClientPatch, CreatedClient, NewClient};
use crate::key::Rotation;

/// The tenant's applications, newest first.
#[utoipa::path(get, path = "/api/v1/oauth-clients", tag = "applications", params(Paging),
    responses((status = 200, body = Page<Client>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Client>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Register an application. The secret of a confidential one is shown this once.
#[utoipa::path(post, path = "/api/v1/oauth-clients", tag = "applications", request_body = NewClient,
    responses((status = 201, body = CreatedClient), (status = 403, description = "A scope that the caller lacks", body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewClient>,
) -> Result<Answer<201, CreatedClient>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One application, without its secret.
#[utoipa::path(get, path = "/api/v1/oauth-clients/{id}", tag = "applications", params(("id" = ClientId, Path)),
    responses((status = 200, body = Client), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Client>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Change an application's name, permissions, addresses or networks.
#[utoipa::path(patch, path = "/api/v1/oauth-clients/{id}", tag = "applications", params(("id" = ClientId, Path)),
    request_body = ClientPatch, responses((status = 200, body = Client), (status = 404, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<ClientPatch>,
) -> Result<Answer<200, Client>, Problem> {
    Ok(Answer(super::update(&scope, id.parse()?, wanted).await?))
}

/// Remove an application: its tokens are refused from the next request on.
#[utoipa::path(delete, path = "/api/v1/oauth-clients/{id}", tag = "applications", params(("id" = ClientId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    Ok(Answer(super::delete(&scope, id.parse()?).await?))
}

/// Give a confidential application a new secret; the former is let in for as long as `overlap_s` says.
#[utoipa::path(post, path = "/api/v1/oauth-clients/{id}/rotate", tag = "applications", params(("id" = ClientId, Path)),
    request_body = Rotation, responses((status = 200, body = CreatedClient), (status = 404, body = ProblemBody)))]
async fn rotate(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(rotation): Json<Rotation>,
) -> Result<Answer<200, CreatedClient>, Problem> {
    Ok(Answer(super::rotate(&scope, id.parse()?, &rotation).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(rotate))
}
