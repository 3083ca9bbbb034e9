//! Messages over the API.

use axum::extract::{Path, State as Extract};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use serde::{Deserialize, Serialize};
use types::{MessageId, Page};
use web::{Answer, Caller, Json, Problem, Query, Writer};

use super::cancel;
use super::pdu::{self, WirePdu};
use super::query::{self, Message, MessageFilter, Reasons, Sums};
use super::quote::{self, ItemQuote, Quote};
use super::replace::{self, Replace};
use super::submit::{self, Accepted, ItemResult, SendMessage};
use super::timeline::{self as steps, Step};
use crate::api::Gateway;
use crate::inquiry::{self, Told};

/// Send a message.
///
/// Accepted means durable: when this answers, the message will be sent though the process dies.
#[utoipa::path(post, path = "/api/v1/messages", tag = "messages", request_body = SendMessage,
    responses((status = 202, body = Accepted)))]
async fn send(
    Writer(scope): Writer<202>,
    Extract(gateway): Extract<Gateway>,
    Json(message): Json<SendMessage>,
) -> Result<Answer<202, Accepted>, Problem> {
    Ok(Answer(submit::send(&scope, &gateway.engine, &message).await?))
}

/// Many messages.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SendBatch {
    /// The messages, at most 1,000.
    messages: Vec<SendMessage>,
}

/// Each message's result, in the order of the request.
#[derive(Serialize, utoipa::ToSchema)]
struct BatchResults {
    results: Vec<ItemResult>,
}

/// Send many messages.
///
/// Each has its own result; those refused do not hold up the others.
#[utoipa::path(post, path = "/api/v1/messages/batch", tag = "messages", request_body = SendBatch,
    responses((status = 202, body = BatchResults)))]
async fn send_batch(
    Writer(scope): Writer<202>,
    Extract(gateway): Extract<Gateway>,
    Json(batch): Json<SendBatch>,
) -> Result<Answer<202, BatchResults>, Problem> {
    let results = submit::send_batch(&scope, &gateway.engine, &batch.messages).await?;
    Ok(Answer(BatchResults { results }))
}

/// Messages, newest first.
#[utoipa::path(get, path = "/api/v1/messages", tag = "messages", params(MessageFilter),
    responses((status = 200, body = Page<Message>)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<MessageFilter>,
) -> Result<Answer<200, Page<Message>>, Problem> {
    Ok(Answer(query::list(&scope, &filter).await?))
}

/// One message.
#[utoipa::path(get, path = "/api/v1/messages/{id}", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = Message)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Message>, Problem> {
    Ok(Answer(query::get(&scope, id.parse()?).await?))
}

/// A message's way, step by step.
#[utoipa::path(get, path = "/api/v1/messages/{id}/timeline", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = Vec<Step>)))]
async fn timeline(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Vec<Step>>, Problem> {
    Ok(Answer(steps::timeline(&scope, id.parse()?).await?))
}

/// Why a message went where it went.
#[utoipa::path(get, path = "/api/v1/messages/{id}/why", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = Reasons)))]
async fn why(
    Caller(scope): Caller,
    Extract(gateway): Extract<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<200, Reasons>, Problem> {
    Ok(Answer(query::why(&scope, &gateway.engine, id.parse()?).await?))
}

/// The PDUs of a message on the wire.
///
/// As they were handed over, where the connection keeps that (`keep_pdus`); else as its dialect writes them now. The sequence
/// number, which each session gives anew, is 0.
#[utoipa::path(get, path = "/api/v1/messages/{id}/pdus", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = Vec<WirePdu>)))]
async fn pdus(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Vec<WirePdu>>, Problem> {
    Ok(Answer(pdu::pdus(&scope, id.parse()?).await?))
}

/// Take a message back that has not left.
#[utoipa::path(post, path = "/api/v1/messages/{id}/cancel", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = Message)))]
async fn cancel(
    Writer(scope): Writer<200>,
    Extract(gateway): Extract<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<200, Message>, Problem> {
    let id: MessageId = id.parse()?;
    Ok(Answer(cancel::cancel(&scope, &gateway.engine, id).await?))
}

/// Put another text, time or validity into a message that is scheduled or held.
#[utoipa::path(post, path = "/api/v1/messages/{id}/replace", tag = "messages", params(("id" = String, Path)),
    request_body = Replace, responses((status = 200, body = Message)))]
async fn replace_message(
    Writer(scope): Writer<200>,
    Extract(gateway): Extract<Gateway>,
    Path(id): Path<String>,
    Json(with): Json<Replace>,
) -> Result<Answer<200, Message>, Problem> {
    Ok(Answer(replace::replace(&scope, &gateway.engine, id.parse()?, &with).await?))
}

/// What a message would take and what would become of it. Nothing is sent, counted or kept.
#[utoipa::path(post, path = "/api/v1/messages/quote", tag = "messages", request_body = SendMessage,
    responses((status = 200, body = Quote)))]
async fn quote_one(
    Caller(scope): Caller,
    Extract(gateway): Extract<Gateway>,
    Json(message): Json<SendMessage>,
) -> Result<Answer<200, Quote>, Problem> {
    Ok(Answer(quote::quote(&scope, &gateway.engine, &message)?))
}

/// Each message's quote, in the order of the request.
#[derive(Serialize, utoipa::ToSchema)]
struct BatchQuotes {
    results: Vec<ItemQuote>,
}

/// What each message of a batch would take. Nothing is sent, counted or kept.
#[utoipa::path(post, path = "/api/v1/messages/batch/quote", tag = "messages", request_body = SendBatch,
    responses((status = 200, body = BatchQuotes)))]
async fn quote_batch(
    Caller(scope): Caller,
    Extract(gateway): Extract<Gateway>,
    Json(batch): Json<SendBatch>,
) -> Result<Answer<200, BatchQuotes>, Problem> {
    Ok(Answer(BatchQuotes { results: quote::quote_batch(&scope, &gateway.engine, &batch.messages)? }))
}

/// Ask the carrier what became of a message.
///
/// By query_sm, for each part that the carrier has an id for. What it says is written down: an end ends the message as a
/// receipt does. It takes as long as the carrier does.
#[utoipa::path(post, path = "/api/v1/messages/{id}/query", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = Told)))]
async fn query_carrier(
    Writer(scope): Writer<200>,
    Extract(gateway): Extract<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<200, Told>, Problem> {
    Ok(Answer(inquiry::ask(&scope, &gateway.engine, id.parse()?).await?))
}

/// What was accepted, and where all of it stands.
#[utoipa::path(get, path = "/api/v1/messages/sums", tag = "messages", responses((status = 200, body = Sums)))]
async fn sums(Caller(scope): Caller) -> Result<Answer<200, Sums>, Problem> {
    Ok(Answer(query::sums(&scope).await?))
}

/// This capability's routes.
pub fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(send, list))
        .routes(routes!(send_batch))
        .routes(routes!(sums))
        .routes(routes!(quote_one))
        .routes(routes!(quote_batch))
        .routes(routes!(replace_message))
        .routes(routes!(get))
        .routes(routes!(timeline))
        .routes(routes!(why))
        .routes(routes!(pdus))
        .routes(routes!(cancel))
        .routes(routes!(query_carrier))
}
