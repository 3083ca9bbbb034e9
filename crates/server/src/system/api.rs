//! The program itself over the JSON API.

use axum::extract::State;
use messaging::Gateway;
use runtime::config::reload::Reloaded;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Problem, Writer};

use super::System;

/// How the program runs: version, listeners, database, disk, memory, and the configuration in force with where each value
/// came from. Secrets are masked.
#[utoipa::path(get, path = "/api/v1/system", tag = "system",
    responses((status = 200, body = System), (status = 403, body = ProblemBody)))]
async fn look(Caller(scope): Caller, State(gateway): State<Gateway>) -> Result<Answer<200, System>, Problem> {
    Ok(Answer(super::look(&scope, &gateway.engine).await?))
}

/// Read the configuration again: the file, the environment and the flags that the program was started with. What can be
/// taken over at once is; the answer lists that, and what needs a restart. A configuration that is wrong is refused whole,
/// with every mistake, and the former one stays in force.
#[utoipa::path(post, path = "/api/v1/system/reload", tag = "system",
    responses((status = 200, body = serde_json::Value), (status = 403, body = ProblemBody),
        (status = 422, description = "The configuration is wrong", body = ProblemBody)))]
async fn reload(Writer(scope): Writer<200>) -> Result<Answer<200, Reloaded>, Problem> {
    Ok(Answer(super::reload(&scope).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(look)).routes(routes!(reload))
}
