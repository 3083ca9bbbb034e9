//! The books over the JSON API.

use axum::extract::State;
use types::Permission;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Problem};

use super::Books;
use super::watch::{self, Standing};
use crate::api::Gateway;

/// Whether the books balance.
///
/// Everything of the tenant is counted row by row in one consistent look, and held against the kept sums, the event stream
/// and the memory. What does not add up is named. It costs a look at each message; the server does a piece of it by itself
/// all the time, see `/api/v1/accounting/watch`.
#[utoipa::path(get, path = "/api/v1/accounting", tag = "messages",
    responses((status = 200, body = Books), (status = 403, body = ProblemBody)))]
async fn books(Caller(scope): Caller, State(gateway): State<Gateway>) -> Result<Answer<200, Books>, Problem> {
    Ok(Answer(super::check(&scope, &gateway.engine).await?))
}

/// How the running check of all tenants' books stands.
#[utoipa::path(get, path = "/api/v1/accounting/watch", tag = "messages",
    responses((status = 200, body = Standing), (status = 403, body = ProblemBody)))]
async fn watched(Caller(scope): Caller) -> Result<Answer<200, Standing>, Problem> {
    scope.require(Permission::SystemView)?;
    Ok(Answer(watch::standing(scope.runtime())))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(books)).routes(routes!(watched))
}
