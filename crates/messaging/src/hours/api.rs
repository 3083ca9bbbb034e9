//! Hours over the JSON API.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use types::{HoursId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::{Hours, HoursPatch, NewHours};
use crate::api::{Gateway, Tagged, decided_on, follow};

fn tagged<const STATUS: u16>(record: Hours) -> Tagged<STATUS, Hours> {
    Tagged { revision: record.revision, answer: record }
}

/// The tenant's working hours and limits, the oldest first.
#[utoipa::path(get, path = "/api/v1/hours", tag = "hours",
    responses((status = 200, body = Page<Hours>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Hours>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Create a rule of working hours and limits.
#[utoipa::path(post, path = "/api/v1/hours", tag = "hours", request_body = NewHours,
    responses((status = 201, body = Hours), (status = 409, description = "The name is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewHours>,
) -> Result<Tagged<201, Hours>, Problem> {
    let made = super::create(&scope, new).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(tagged(made))
}

/// One rule of hours and limits. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/hours/{id}", tag = "hours", params(("id" = HoursId, Path)),
    responses((status = 200, body = Hours), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, Hours>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Change a rule of working hours and limits. What is absent stays, and null brings the default back. With `If-Match`, or
/// `revision` in the body, only when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/hours/{id}", tag = "hours",
    params(("id" = HoursId, Path), ("If-Match" = Option<String>, Header)), request_body = HoursPatch,
    responses((status = 200, body = Hours), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<HoursPatch>,
) -> Result<Tagged<200, Hours>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let changed = super::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(tagged(changed))
}

/// Delete a rule of working hours and limits. Messages that it postponed keep their time.
#[utoipa::path(delete, path = "/api/v1/hours/{id}", tag = "hours", params(("id" = HoursId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete))
}
