//! Over the API: how a user's account is kept safe, its history, and what an administrator does about it.

use axum::extract::Path;
use runtime::Scope;
use serde::Deserialize;
use types::{Code, Error, Page, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::Security;
use super::phone::{self, Confirmed};
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

/// A phone of one's own.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPhone {
    /// The number in international form.
    #[schema(example = "+33612345678")]
    phone: String,
}

/// The code that was sent.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PhoneCode {
    /// Six digits.
    #[schema(example = "482913")]
    code: String,
}

/// Add a phone that codes to sign in go to, or put another in its place: a code is sent to it. For a person in a browser's
/// session that has proved lately who they are.
#[utoipa::path(put, path = "/api/v1/me/phone", tag = "users", request_body = NewPhone,
    responses((status = 202, description = "A code is on its way"), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn add_phone(
    Writer(scope): Writer<202>,
    Json(new): Json<NewPhone>,
) -> Result<Answer<202, serde_json::Value>, Problem> {
    seated(&scope)?;
    phone::begin(&scope, &new.phone).await?;
    Ok(Answer(serde_json::json!({})))
}

/// Make the phone count, by the code that was sent to it.
#[utoipa::path(post, path = "/api/v1/me/phone/confirm", tag = "users", request_body = PhoneCode,
    responses((status = 200, body = Confirmed), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn confirm_phone(
    Writer(scope): Writer<200>,
    Json(given): Json<PhoneCode>,
) -> Result<Answer<200, Confirmed>, Problem> {
    seated(&scope)?;
    Ok(Answer(phone::confirm(&scope, &given.code).await?))
}

/// Remove one's own phone.
#[utoipa::path(delete, path = "/api/v1/me/phone", tag = "users",
    responses((status = 200, body = Security), (status = 403, body = ProblemBody)))]
async fn remove_phone(Writer(scope): Writer<200>) -> Result<Answer<200, Security>, Problem> {
    seated(&scope)?;
    Ok(Answer(phone::remove(&scope).await?))
}

/// How somebody signs in is changed by themselves, and not by an application that they once let act for them.
fn seated(scope: &Scope) -> types::Result<()> {
    match scope.seat() {
        Some(_) => Ok(()),
        None => {
            Err(Error::new(Code::Forbidden, "only a person in a browser's session changes how they sign in"))
        }
    }
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(security))
        .routes(routes!(history))
        .routes(routes!(take_away))
        .routes(routes!(unlock))
        .routes(routes!(add_phone, remove_phone))
        .routes(routes!(confirm_phone))
}
