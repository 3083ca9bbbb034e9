//! Directories that people sign in with, over the API.

use axum::extract::Path;
use types::{DirectoryId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::run::{self, DirectoryRun, NewRun};
use super::trial::{self, DirectoryTrial, NewTrial};
use super::{Directory, DirectoryPatch, DirectoryPerson, NewDirectory, UntiedPerson};

/// The directories that people of the tenant sign in with, newest first.
#[utoipa::path(get, path = "/api/v1/directories", tag = "directories", params(Paging),
    responses((status = 200, body = Page<Directory>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Directory>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Add a directory that people sign in with (LDAP).
#[utoipa::path(post, path = "/api/v1/directories", tag = "directories", request_body = NewDirectory,
    responses((status = 201, body = Directory), (status = 409, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewDirectory>,
) -> Result<Answer<201, Directory>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One directory.
#[utoipa::path(get, path = "/api/v1/directories/{id}", tag = "directories", params(("id" = DirectoryId, Path)),
    responses((status = 200, body = Directory), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Directory>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Change a directory.
#[utoipa::path(patch, path = "/api/v1/directories/{id}", tag = "directories", params(("id" = DirectoryId, Path)),
    request_body = DirectoryPatch, responses((status = 200, body = Directory), (status = 404, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<DirectoryPatch>,
) -> Result<Answer<200, Directory>, Problem> {
    Ok(Answer(super::update(&scope, id.parse()?, wanted).await?))
}

/// Remove a directory. Its people stay users.
#[utoipa::path(delete, path = "/api/v1/directories/{id}", tag = "directories", params(("id" = DirectoryId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    Ok(Answer(super::delete(&scope, id.parse()?).await?))
}

/// Try a directory: connecting, TLS, bind and the search for one person, each step in words. Nothing is changed.
#[utoipa::path(post, path = "/api/v1/directories/{id}/try", tag = "directories", params(("id" = DirectoryId, Path)),
    request_body = NewTrial, responses((status = 200, body = DirectoryTrial), (status = 404, body = ProblemBody)))]
async fn attempt(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Json(wanted): Json<NewTrial>,
) -> Result<Answer<200, DirectoryTrial>, Problem> {
    Ok(Answer(trial::attempt(&scope, id.parse()?, &wanted).await?))
}

/// The last readings of a directory, newest first.
#[utoipa::path(get, path = "/api/v1/directories/{id}/runs", tag = "directories",
    params(("id" = DirectoryId, Path), Paging),
    responses((status = 200, body = Page<DirectoryRun>), (status = 404, body = ProblemBody)))]
async fn runs(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<DirectoryRun>>, Problem> {
    Ok(Answer(run::list(&scope, id.parse()?, &paging).await?))
}

/// Read a directory now, so that users follow it; or only say what they would. It goes on by itself.
#[utoipa::path(post, path = "/api/v1/directories/{id}/runs", tag = "directories", params(("id" = DirectoryId, Path)),
    request_body = NewRun,
    responses((status = 202, body = DirectoryRun), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
async fn start(
    Writer(scope): Writer<202>,
    Path(id): Path<String>,
    Json(wanted): Json<NewRun>,
) -> Result<Answer<202, DirectoryRun>, Problem> {
    Ok(Answer(run::start(&scope, id.parse()?, wanted).await?))
}

/// Which users are tied to which entries, the newest user first.
#[utoipa::path(get, path = "/api/v1/directories/{id}/people", tag = "directories",
    params(("id" = DirectoryId, Path), Paging),
    responses((status = 200, body = Page<DirectoryPerson>), (status = 404, body = ProblemBody)))]
async fn people(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<DirectoryPerson>>, Problem> {
    Ok(Answer(super::people(&scope, id.parse()?, &paging).await?))
}

/// Tie a user to a directory no longer.
#[utoipa::path(post, path = "/api/v1/directories/{id}/people/untie", tag = "directories",
    params(("id" = DirectoryId, Path)), request_body = UntiedPerson,
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn untie(
    Writer(scope): Writer<204>,
    Path(id): Path<String>,
    Json(untied): Json<UntiedPerson>,
) -> Result<Answer<204, ()>, Problem> {
    Ok(Answer(super::untie(&scope, id.parse()?, &untied).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(attempt))
        .routes(routes!(runs, start))
        .routes(routes!(people))
        .routes(routes!(untie))
}
