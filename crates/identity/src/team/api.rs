//! Teams over the API.

use axum::extract::Path;
use types::{Page, TeamId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Writer};

use super::{NewTeam, Team, TeamPatch};

/// The tenant's teams, by name.
#[utoipa::path(get, path = "/api/v1/teams", tag = "teams",
    responses((status = 200, body = Page<Team>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Team>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Create a team.
#[utoipa::path(post, path = "/api/v1/teams", tag = "teams", request_body = NewTeam,
    responses((status = 201, body = Team), (status = 409, description = "The name is taken", body = ProblemBody)))]
async fn create(Writer(scope): Writer<201>, Json(new): Json<NewTeam>) -> Result<Answer<201, Team>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One team.
#[utoipa::path(get, path = "/api/v1/teams/{id}", tag = "teams", params(("id" = TeamId, Path)),
    responses((status = 200, body = Team), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Team>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Change a team, and who is in it; what is absent stays.
#[utoipa::path(patch, path = "/api/v1/teams/{id}", tag = "teams", params(("id" = TeamId, Path)), request_body = TeamPatch,
    responses((status = 200, body = Team), (status = 404, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(patch): Json<TeamPatch>,
) -> Result<Answer<200, Team>, Problem> {
    Ok(Answer(super::update(&scope, id.parse()?, patch).await?))
}

/// Delete a team; its members stay.
#[utoipa::path(delete, path = "/api/v1/teams/{id}", tag = "teams", params(("id" = TeamId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, delete))
}
