//! What a message from a phone leaves to be done: calling a webhook, and answering.

use std::sync::Arc;

use db::{args, sql};
use runtime::Scope;
use runtime::job::{Handler, Outcome};
use runtime::scope::Keyed;
use serde::{Deserialize, Serialize};
use types::{Code, ConnectionId, Error, InboundNumberId, MessageId, Result, Timestamp};

use crate::engine::Engine;
use crate::intent::Intent;
use crate::message::submit::{self, SendMessage};

/// The kind of jobs that post a message.
pub const WEBHOOK: &str = "messaging.received";
/// The kind of jobs that answer one.
pub const REPLY: &str = "messaging.reply";

/// A message to be posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) body: Received,
}

/// What is posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Received {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: MessageId,
    pub(super) from: String,
    pub(super) to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// In hex, where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) octets: Option<String>,
    pub(super) number: InboundNumberId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keyword: Option<String>,
    pub(super) connection: ConnectionId,
    pub(super) received_at: Timestamp,
}

/// An answer to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) message: MessageId,
    pub(super) number: InboundNumberId,
    pub(super) rule: String,
    pub(super) every_minutes: u32,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) text: String,
}

/// Posts messages from phones, as callbacks are posted.
pub fn webhook() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            let webhook: Webhook = match serde_json::from_str(&payload) {
                Ok(webhook) => webhook,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            let body = match serde_json::to_vec(&webhook.body) {
                Ok(body) => body,
                Err(error) => return Outcome::Dead(error.to_string()),
            };
            let headers = [("content-type", "application/json")];
            crate::callback::outcome(scope.runtime().outbound.post(&webhook.url, &headers, body).await)
        })
    })
}

/// Answers messages from phones.
pub fn reply(engine: Engine) -> Handler {
    Arc::new(move |scope, payload, _attempt| {
        let engine = engine.clone();
        Box::pin(async move {
            let answer: Answer = match serde_json::from_str(&payload) {
                Ok(answer) => answer,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            match send(&scope, &engine, &answer).await {
                Ok(()) => Outcome::Done,
                Err(error) if matches!(error.code().status(), 429 | 500..) => {
                    Outcome::Retry(error.message().to_owned())
                }
                Err(error) => Outcome::Dead(error.message().to_owned()),
            }
        })
    })
}

/// Sends an answer unless this phone was answered by this rule just before. However often the job runs, one message is
/// sent: its acceptance is kept under a key of the answered message.
async fn send(scope: &Scope, engine: &Engine, answer: &Answer) -> Result<()> {
    let key = format!("reply {} {}", answer.message, answer.rule);
    if runtime::scope::kept_answer(scope, &key).await?.is_some() || !may(scope, answer).await? {
        return Ok(());
    }
    let message = SendMessage {
        to: answer.to.clone(),
        from: Some(answer.from.clone()),
        text: Some(answer.text.clone()),
        intent: Some(Intent::Transactional),
        ..SendMessage::default()
    };
    let keyed = scope.keyed(Keyed { key, request_hash: String::new(), status: 202 });
    match submit::send(&keyed, engine, &message).await {
        Ok(_) => Ok(()),
        // Another run was faster.
        Err(error) if error.code() == Code::KeyInProgress => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether this phone may be answered by this rule now; it is noted that it was. The same message may be answered again,
/// because its first run may have ended before it sent.
async fn may(scope: &Scope, answer: &Answer) -> Result<bool> {
    let (now, pause_ms) = (scope.now(), i64::from(answer.every_minutes) * 60_000);
    let phone = answer.to.trim_start_matches('+');
    let mut write = scope.write().await?;
    let noted = write
        .execute(
            sql!(
                "insert into inbound_reply (tenant_id, number_id, rule, phone, message_id, at) \
                 values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id, number_id, rule, phone) do update set \
                 message_id = excluded.message_id, at = excluded.at \
                 where inbound_reply.at <= $7 or inbound_reply.message_id = excluded.message_id"
            ),
            args![
                scope.tenant(),
                answer.number,
                &answer.rule,
                phone,
                answer.message,
                now,
                now.plus_ms(-pause_ms)
            ],
        )
        .await
        .map_err(Error::from)?;
    // Nothing is remembered for longer than the longest pause; a few go with each answer.
    write
        .execute(
            sql!("delete from inbound_reply where tenant_id = $1 and at < $2 and number_id = $3"),
            args![scope.tenant(), now.plus_ms(-LONGEST_PAUSE_MS), answer.number],
        )
        .await?;
    write.commit(()).await?;
    Ok(noted == 1)
}

const LONGEST_PAUSE_MS: i64 = 10_080 * 60_000;
