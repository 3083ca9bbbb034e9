//! Over the API: how a user's account is kept safe, its history, and what an administrator does about it.

use axum::extract::Path;
use types::{Page, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Paging, Problem, Query, Writer};

use super::Security;
use crate::attempt;
use crate::journal::{self, SecurityEntry};

/// How a user's account is kept safe: second factors, verified address, failed attempts.
#[utoipa::path(get, path = "/api/v1/users/{id}/security", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = Security), (status = 404, body = ProblemBody)))]
async fn security(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Security>, Problem> {
    Ok(Answer(super::of(&scope, id.parse()?).await?))
}

/// A user's security history, newest first: sign-ins, refusals, new browsers, changes.
#[utoipa::path(get, path = "/api/v1/users/{id}/security/history", tag = "users", params(("id" = UserId, Path), Paging),
    responses((status = 200, body = Page<SecurityEntry>), (status = 404, body = ProblemBody)))]
async fn history(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<SecurityEntry>>, Problem> {
    Ok(Answer(journal::of(&scope, id.parse()?, &paging).await?))
}

/// Take all second factors of a user away, for one who has lost them.
#[utoipa::path(delete, path = "/api/v1/users/{id}/factors", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = Security), (status = 404, body = ProblemBody)))]
async fn take_away(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
) -> Result<Answer<200, Security>, Problem> {
    Ok(Answer(super::take_away(&scope, id.parse()?).await?))
}

/// Let a user whose failed attempts make them wait try again at once.
#[utoipa::path(post, path = "/api/v1/users/{id}/unlock", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = Security), (status = 404, body = ProblemBody)))]
async fn unlock(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
) -> Result<Answer<200, Security>, Problem> {
    Ok(Answer(attempt::unlock(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(security))
        .routes(routes!(history))
        .routes(routes!(take_away))
        .routes(routes!(unlock))
}
