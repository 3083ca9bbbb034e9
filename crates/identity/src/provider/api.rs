//! Services that people sign in with, over the API.

use axum::extract::Path;
use types::{Page, ProviderId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::subject::{self, NewSubject, Subject, UntiedSubject};
use super::{NewProvider, Provider, ProviderPatch};

/// The services that people of the tenant sign in with, newest first.
#[utoipa::path(get, path = "/api/v1/identity-providers", tag = "identity providers", params(Paging),
    responses((status = 200, body = Page<Provider>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Provider>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Add a service that people sign in with.
#[utoipa::path(post, path = "/api/v1/identity-providers", tag = "identity providers", request_body = NewProvider,
    responses((status = 201, body = Provider), (status = 409, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewProvider>,
) -> Result<Answer<201, Provider>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One service that people sign in with.
#[utoipa::path(get, path = "/api/v1/identity-providers/{id}", tag = "identity providers", params(("id" = ProviderId, Path)),
    responses((status = 200, body = Provider), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Provider>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Change a service that people sign in with.
#[utoipa::path(patch, path = "/api/v1/identity-providers/{id}", tag = "identity providers", params(("id" = ProviderId, Path)),
    request_body = ProviderPatch, responses((status = 200, body = Provider), (status = 404, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<ProviderPatch>,
) -> Result<Answer<200, Provider>, Problem> {
    Ok(Answer(super::update(&scope, id.parse()?, wanted).await?))
}

/// Remove a service that people sign in with. Its people stay users.
#[utoipa::path(delete, path = "/api/v1/identity-providers/{id}", tag = "identity providers", params(("id" = ProviderId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    Ok(Answer(super::delete(&scope, id.parse()?).await?))
}

/// Who of a service is tied to which user, the last tied first.
#[utoipa::path(get, path = "/api/v1/identity-providers/{id}/subjects", tag = "identity providers",
    params(("id" = ProviderId, Path), Paging),
    responses((status = 200, body = Page<Subject>), (status = 404, body = ProblemBody)))]
async fn subjects(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Subject>>, Problem> {
    Ok(Answer(subject::list(&scope, id.parse()?, &paging).await?))
}

/// Tie a subject of a service, such as a program's, to a user.
#[utoipa::path(post, path = "/api/v1/identity-providers/{id}/subjects", tag = "identity providers",
    params(("id" = ProviderId, Path)), request_body = NewSubject,
    responses((status = 201, body = Subject), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
async fn tie(
    Writer(scope): Writer<201>,
    Path(id): Path<String>,
    Json(new): Json<NewSubject>,
) -> Result<Answer<201, Subject>, Problem> {
    Ok(Answer(subject::tie(&scope, id.parse()?, new).await?))
}

/// Tie a subject of a service to nobody any more.
#[utoipa::path(post, path = "/api/v1/identity-providers/{id}/subjects/untie", tag = "identity providers",
    params(("id" = ProviderId, Path)), request_body = UntiedSubject,
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn untie(
    Writer(scope): Writer<204>,
    Path(id): Path<String>,
    Json(untied): Json<UntiedSubject>,
) -> Result<Answer<204, ()>, Problem> {
    Ok(Answer(subject::untie(&scope, id.parse()?, &untied).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(subjects, tie))
        .routes(routes!(untie))
}
