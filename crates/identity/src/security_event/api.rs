//! Security events over the API.

use axum::extract::Path;
use axum::http::HeaderMap;
use serde::Deserialize;
use types::{Page, SecurityEventId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::reply::{Tagged, decided_on};
use web::{Answer, App, Caller, Json, Paging, Problem, Query, Writer};

use super::{Filter, Handling, SecurityEvent, SecuritySummary};

fn tagged(event: SecurityEvent) -> Tagged<200, SecurityEvent> {
    Tagged { revision: event.revision, answer: event }
}

/// Security events, newest first.
#[utoipa::path(get, path = "/api/v1/security-events", tag = "security", params(Filter),
    responses((status = 200, body = Page<SecurityEvent>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<Filter>,
) -> Result<Answer<200, Page<SecurityEvent>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// Whose events a summary counts.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// The platform's own instead of the tenant's; for those who may see the system.
    platform: Option<bool>,
}

/// How many security events wait, and how many there were on each of the last 30 days.
#[utoipa::path(get, path = "/api/v1/security-events/summary", tag = "security", params(Whose),
    responses((status = 200, body = SecuritySummary), (status = 403, body = ProblemBody)))]
async fn summary(
    Caller(scope): Caller,
    Query(whose): Query<Whose>,
) -> Result<Answer<200, SecuritySummary>, Problem> {
    Ok(Answer(super::summary(&scope, whose.platform.unwrap_or(false)).await?))
}

/// One's own security events: those about the person who asks, newest first.
#[utoipa::path(get, path = "/api/v1/me/security-events", tag = "security",
    params(("after" = Option<String>, Query), ("limit" = Option<String>, Query)),
    responses((status = 200, body = Page<SecurityEvent>), (status = 403, description = "A key is nobody's person", body = ProblemBody)))]
async fn own(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<SecurityEvent>>, Problem> {
    Ok(Answer(super::own(&scope, &paging).await?))
}

/// One security event. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/security-events/{id}", tag = "security", params(("id" = SecurityEventId, Path)),
    responses((status = 200, body = SecurityEvent), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, SecurityEvent>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Take a security event up, close it or open it again. With `If-Match`, or `revision` in the body, only when nobody changed
/// it meanwhile.
#[utoipa::path(patch, path = "/api/v1/security-events/{id}", tag = "security",
    params(("id" = SecurityEventId, Path), ("If-Match" = Option<String>, Header)), request_body = Handling,
    responses((status = 200, body = SecurityEvent), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn handle(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut wanted): Json<Handling>,
) -> Result<Tagged<200, SecurityEvent>, Problem> {
    wanted.revision = decided_on(&headers, wanted.revision)?;
    Ok(tagged(super::handle(&scope, id.parse()?, wanted).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(summary))
        .routes(routes!(own))
        .routes(routes!(get, handle))
}
