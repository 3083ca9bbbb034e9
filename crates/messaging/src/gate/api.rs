//! The gates over the JSON API: trying a message, refusals, counts, held messages.

use axum::extract::{Path, State};
use serde::Serialize;
use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Paging, Problem, Query, Writer};

use super::check::{self, Question};
use super::held;
use super::refusals::{self, KeptRefusal, RefusalFilter, RuleCount};
use crate::api::Gateway;
use crate::message::query::Message;

/// What the gates would say about a message now, and why. Nothing is sent, counted or kept.
#[utoipa::path(post, path = "/api/v1/gates/check", tag = "gates", request_body = Question,
    responses((status = 200, body = check::Answer), (status = 422, body = ProblemBody)))]
async fn check_message(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Json(question): Json<Question>,
) -> Result<Answer<200, check::Answer>, Problem> {
    Ok(Answer(check::check(&scope, &gateway.engine, &question)?))
}

/// What each rule did in the last 24 hours.
#[derive(Serialize, utoipa::ToSchema)]
struct RuleCounts {
    items: Vec<RuleCount>,
}

/// What each rule did in the last 24 hours. What happened within the last second may not be counted yet.
#[utoipa::path(get, path = "/api/v1/gates/counts", tag = "gates", responses((status = 200, body = RuleCounts)))]
async fn counts(Caller(scope): Caller) -> Result<Answer<200, RuleCounts>, Problem> {
    Ok(Answer(RuleCounts { items: refusals::counts(&scope).await? }))
}

/// Messages that were refused, newest first. What was refused within the last second may not be there yet.
#[utoipa::path(get, path = "/api/v1/refusals", tag = "gates", params(RefusalFilter),
    responses((status = 200, body = Page<KeptRefusal>), (status = 400, body = ProblemBody)))]
async fn refused(
    Caller(scope): Caller,
    Query(filter): Query<RefusalFilter>,
) -> Result<Answer<200, Page<KeptRefusal>>, Problem> {
    Ok(Answer(refusals::list(&scope, &filter).await?))
}

/// Messages that a firewall rule holds, newest first.
#[utoipa::path(get, path = "/api/v1/messages/held", tag = "gates", params(Paging),
    responses((status = 200, body = Page<Message>)))]
async fn held_messages(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Message>>, Problem> {
    Ok(Answer(held::list(&scope, &paging).await?))
}

/// Release a held message. To refuse it instead, cancel it.
#[utoipa::path(post, path = "/api/v1/messages/{id}/release", tag = "gates", params(("id" = String, Path)),
    responses((status = 200, body = Message), (status = 404, body = ProblemBody),
        (status = 409, description = "It is not held", body = ProblemBody)))]
async fn release(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
) -> Result<Answer<200, Message>, Problem> {
    Ok(Answer(held::release(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(check_message))
        .routes(routes!(counts))
        .routes(routes!(refused))
        .routes(routes!(held_messages))
        .routes(routes!(release))
}
