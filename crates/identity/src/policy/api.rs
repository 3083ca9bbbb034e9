//! How people sign in, over the API.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Writer};

use super::SignInPolicy;

/// How people of the tenant sign in.
#[utoipa::path(get, path = "/api/v1/sign-in-policy", tag = "users",
    responses((status = 200, body = SignInPolicy), (status = 403, body = ProblemBody)))]
async fn get(Caller(scope): Caller) -> Result<Answer<200, SignInPolicy>, Problem> {
    Ok(Answer(super::get(&scope).await?))
}

/// Change how people of the tenant sign in. Sessions of those who need a second factor now and have none end at once.
#[utoipa::path(put, path = "/api/v1/sign-in-policy", tag = "users", request_body = SignInPolicy,
    responses((status = 200, body = SignInPolicy), (status = 403, body = ProblemBody)))]
async fn set(
    Writer(scope): Writer<200>,
    Json(wanted): Json<SignInPolicy>,
) -> Result<Answer<200, SignInPolicy>, Problem> {
    Ok(Answer(super::set(&scope, wanted).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get, set))
}
