//! Alert rules over the API.

use axum::extract::Path;
use axum::http::HeaderMap;
use types::{AlertRuleId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::reply::{Tagged, decided_on};
use web::{Answer, App, Caller, Json, Problem, Writer};

use super::{AlertRule, AlertRulePatch, AlertRuleShown, AlertTrial, NewAlertRule};

fn tagged<const STATUS: u16>(shown: AlertRuleShown) -> Tagged<STATUS, AlertRuleShown> {
    Tagged { revision: shown.rule.revision, answer: shown }
}

/// The tenant's alert rules, by name.
#[utoipa::path(get, path = "/api/v1/alert-rules", tag = "security",
    responses((status = 200, body = Page<AlertRule>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<AlertRule>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Create an alert rule. The secret that its webhook is signed with is shown this once.
#[utoipa::path(post, path = "/api/v1/alert-rules", tag = "security", request_body = NewAlertRule,
    responses((status = 201, body = AlertRuleShown), (status = 409, description = "The name is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewAlertRule>,
) -> Result<Tagged<201, AlertRuleShown>, Problem> {
    Ok(tagged(super::create(&scope, new).await?))
}

/// One alert rule. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/alert-rules/{id}", tag = "security", params(("id" = AlertRuleId, Path)),
    responses((status = 200, body = AlertRule), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, AlertRule>, Problem> {
    let rule = super::get(&scope, id.parse()?).await?;
    Ok(Tagged { revision: rule.revision, answer: rule })
}

/// Change an alert rule; what is absent stays. With `If-Match`, or `revision` in the body, only when nobody changed it
/// meanwhile.
#[utoipa::path(patch, path = "/api/v1/alert-rules/{id}", tag = "security",
    params(("id" = AlertRuleId, Path), ("If-Match" = Option<String>, Header)), request_body = AlertRulePatch,
    responses((status = 200, body = AlertRuleShown), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<AlertRulePatch>,
) -> Result<Tagged<200, AlertRuleShown>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    Ok(tagged(super::update(&scope, id.parse()?, patch).await?))
}

/// Delete an alert rule.
#[utoipa::path(delete, path = "/api/v1/alert-rules/{id}", tag = "security", params(("id" = AlertRuleId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    Ok(Answer(()))
}

/// Tell an alert rule's people and its webhook of an event that did not happen.
#[utoipa::path(post, path = "/api/v1/alert-rules/{id}/test", tag = "security", params(("id" = AlertRuleId, Path)),
    responses((status = 200, body = AlertTrial), (status = 404, body = ProblemBody)))]
async fn test(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
) -> Result<Answer<200, AlertTrial>, Problem> {
    Ok(Answer(super::test(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(test))
}
