//! Self-registration over the API: who may, and who waits.

use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{DecideRegistration, Registration, RegistrationPolicy};

/// Who may register by themselves.
#[utoipa::path(get, path = "/api/v1/registration-policy", tag = "users",
    responses((status = 200, body = RegistrationPolicy), (status = 403, body = ProblemBody)))]
async fn get_policy(Caller(scope): Caller) -> Result<Answer<200, RegistrationPolicy>, Problem> {
    Ok(Answer(super::get_policy(&scope).await?))
}

/// Change who may register by themselves.
#[utoipa::path(put, path = "/api/v1/registration-policy", tag = "users", request_body = RegistrationPolicy,
    responses((status = 200, body = RegistrationPolicy), (status = 403, body = ProblemBody),
        (status = 409, description = "It is to be opened, and no mail can be sent", body = ProblemBody)))]
async fn set_policy(
    Writer(scope): Writer<200>,
    Json(wanted): Json<RegistrationPolicy>,
) -> Result<Answer<200, RegistrationPolicy>, Problem> {
    Ok(Answer(super::set_policy(&scope, wanted).await?))
}

/// Newcomers who have shown that their address is theirs and wait to be let in, newest first.
#[utoipa::path(get, path = "/api/v1/registrations", tag = "users", params(Paging),
    responses((status = 200, body = Page<Registration>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Registration>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Let a newcomer in who waits, or forget them.
#[utoipa::path(post, path = "/api/v1/registrations/decide", tag = "users", request_body = DecideRegistration,
    responses((status = 200, body = Registration), (status = 404, body = ProblemBody),
        (status = 409, description = "Somebody has the address by now", body = ProblemBody)))]
async fn decide(
    Writer(scope): Writer<200>,
    Json(decided): Json<DecideRegistration>,
) -> Result<Answer<200, Registration>, Problem> {
    Ok(Answer(super::decide(&scope, decided).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_policy, set_policy)).routes(routes!(list)).routes(routes!(decide))
}
