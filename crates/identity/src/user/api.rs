//! Users over the API.

use axum::extract::Path;
use types::{Page, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{NewUser, User, UserChange};
use crate::link::{self, Link};

/// The tenant's users, newest first.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Paging),
    responses((status = 200, body = Page<User>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<User>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Create a user, who signs in by a link first.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = User), (status = 409, description = "The address is in use", body = ProblemBody)))]
async fn create(Writer(scope): Writer<201>, Json(new): Json<NewUser>) -> Result<Answer<201, User>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One user.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = User), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, User>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Change a user; what is absent stays. Sessions and keys of a disabled user are refused at once.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", params(("id" = UserId, Path)), request_body = UserChange,
    responses((status = 200, body = User), (status = 404, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<UserChange>,
) -> Result<Answer<200, User>, Problem> {
    Ok(Answer(super::update(&scope, id.parse()?, wanted).await?))
}

/// Make a one-time sign-in link for a user. A repetition of the request gives the answer without the link.
#[utoipa::path(post, path = "/api/v1/users/{id}/link", tag = "users", params(("id" = UserId, Path)),
    responses((status = 201, body = Link), (status = 404, body = ProblemBody)))]
async fn create_link(
    Writer(scope): Writer<201>,
    Path(id): Path<String>,
) -> Result<Answer<201, Link>, Problem> {
    Ok(Answer(link::create(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update))
        .routes(routes!(create_link))
}
