//! Over the API: the browsers that are signed in.

use axum::extract::Path;
use types::UserId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Problem, Writer};

use super::Session;

/// One's own signed-in browsers, newest first.
#[utoipa::path(get, path = "/api/v1/me/sessions", tag = "users",
    responses((status = 200, body = Vec<Session>), (status = 403, description = "A program asks", body = ProblemBody)))]
async fn list_own(Caller(scope): Caller) -> Result<Answer<200, Vec<Session>>, Problem> {
    Ok(Answer(super::list_own(&scope, None).await?))
}

/// A user's signed-in browsers, newest first.
#[utoipa::path(get, path = "/api/v1/users/{id}/sessions", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = Vec<Session>), (status = 404, body = ProblemBody)))]
async fn list_of(
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Answer<200, Vec<Session>>, Problem> {
    Ok(Answer(super::list_of(&scope, id.parse()?).await?))
}

/// Sign a user out everywhere: all their browsers, and whatever was under way to sign in. Browsers are not remembered any more.
#[utoipa::path(delete, path = "/api/v1/users/{id}/sessions", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = Vec<Session>), (status = 404, body = ProblemBody),
        (status = 409, description = "It is oneself", body = ProblemBody)))]
async fn end_of(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
) -> Result<Answer<200, Vec<Session>>, Problem> {
    Ok(Answer(super::end_of(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_own)).routes(routes!(list_of, end_of))
}
