//! Firewall rules over the JSON API.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use types::{Page, RuleId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::{NewRule, Rule, RulePatch};
use crate::api::{Gateway, Tagged, decided_on, follow};

fn tagged<const STATUS: u16>(record: Rule) -> Tagged<STATUS, Rule> {
    Tagged { revision: record.revision, answer: record }
}

/// The tenant's firewall rules, in the order in which they are asked.
#[utoipa::path(get, path = "/api/v1/firewall-rules", tag = "firewall",
    responses((status = 200, body = Page<Rule>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Rule>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Create a firewall rule.
#[utoipa::path(post, path = "/api/v1/firewall-rules", tag = "firewall", request_body = NewRule,
    responses((status = 201, body = Rule), (status = 409, description = "The name is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewRule>,
) -> Result<Tagged<201, Rule>, Problem> {
    let made = super::create(&scope, new).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(tagged(made))
}

/// One firewall rule. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/firewall-rules/{id}", tag = "firewall", params(("id" = RuleId, Path)),
    responses((status = 200, body = Rule), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, Rule>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Change a firewall rule. What is absent stays, and null brings the default back. With `If-Match`, or
/// `revision` in the body, only when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/firewall-rules/{id}", tag = "firewall",
    params(("id" = RuleId, Path), ("If-Match" = Option<String>, Header)), request_body = RulePatch,
    responses((status = 200, body = Rule), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<RulePatch>,
) -> Result<Tagged<200, Rule>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let changed = super::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.gates_changed(scope.tenant())).await;
    Ok(tagged(changed))
}

/// Delete a firewall rule. Messages that it holds stay held.
#[utoipa::path(delete, path = "/api/v1/firewall-rules/{id}", tag = "firewall", params(("id" = RuleId, Path)),
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
