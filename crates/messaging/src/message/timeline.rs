//! A message's way, step by step.

use db::{args, record, sql};
use runtime::Scope;
use runtime::personal::Sight;
use serde::Serialize;
use types::{ConnectionId, MessageId, Result, Timestamp};

use super::kept::{self, Kept};
use super::query::{self, FaultTold};
use crate::inquiry::ASKED;
use crate::journal::ACKNOWLEDGED;
use crate::recover::MessageRecord;

/// Something on a message's way.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What, by name: `accepted`, `scheduled`, `sent`, `attempted`, `asked` (the carrier, by query_sm), `acknowledged` (by the phone),
    /// `delivered` …
    pub what: String,
    /// Which part, for what concerns one part of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u8>,
    /// Through which connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The carrier's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// More, in words; a carrier's reason in its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What that reason means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultTold>,
    /// On which of the connection's binds it left, from 1, where the connection keeps what goes over the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<u64>,
    /// How long it took in milliseconds: of a hand-over until the carrier's answer, where the connection keeps that; of an
    /// end from the carrier's answer to its receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
    /// The receipt's text as the carrier wrote it, where the connection keeps that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

record! {
    struct PartRecord {
        part: u8, connection_id: ConnectionId, provider_id: Option<String>, state: String, error: Option<String>,
        sent_at: Timestamp, done_at: Option<Timestamp>,
    }
}

record! { struct AttemptRecord { part: u8, connection_id: Option<ConnectionId>, at: Timestamp, outcome: String } }

/// A message's way, oldest first. Each state that it was in has its step.
///
/// # Errors
/// [`types::Code::NotFound`].
pub async fn timeline(scope: &Scope, id: MessageId) -> Result<Vec<Step>> {
    let record = query::record(scope, id).await?;
    let mut tx = scope.read().await?;
    let parts: Vec<PartRecord> = tx
        .all(
            sql!(
                "select part, connection_id, provider_id, state, error, sent_at, done_at from part \
                 where tenant_id = $1 and message_id = $2 order by part, attempt limit 2000"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    let attempts: Vec<AttemptRecord> = tx
        .all(
            sql!(
                "select part, connection_id, at, outcome from attempt where tenant_id = $1 and message_id = $2 order by id limit 2000"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    drop(tx);
    let mut steps = steps(&record, parts, attempts);
    for step in &mut steps {
        if let Some((raw, fault)) = step.detail.as_deref().map(FaultTold::split) {
            (step.detail, step.fault) = (Some(raw), fault);
        }
    }
    add_kept(&mut steps, kept::of(scope, id).await?, record.parts > 1);
    let sight = Sight::of(scope);
    for step in &mut steps {
        // A receipt's text repeats how the message begins, and a carrier's words may name the phone.
        step.raw = step.raw.take().map(|raw| sight.text(sight.words(raw)));
        step.detail = step.detail.take().map(|detail| sight.words(detail));
    }
    Ok(steps)
}

fn steps(record: &MessageRecord, parts: Vec<PartRecord>, attempts: Vec<AttemptRecord>) -> Vec<Step> {
    let several = record.parts > 1;
    let step = |at, what: &str| Step {
        at,
        what: what.to_owned(),
        part: None,
        connection: None,
        provider_id: None,
        detail: None,
        fault: None,
        bind: None,
        took_ms: None,
        raw: None,
    };
    let begin = if record.direction == "in" { "received" } else { "accepted" };
    let mut steps = vec![Step {
        connection: record.connection_id.filter(|_| begin == "received"),
        ..step(record.accepted_at, begin)
    }];
    for attempt in attempts {
        let told = [("asked", ASKED), ("acknowledged", ACKNOWLEDGED)]
            .into_iter()
            .find_map(|(what, begin)| Some((what, attempt.outcome.strip_prefix(begin)?.to_owned())));
        let (what, words) = told.map_or(("attempted", None), |(what, words)| (what, Some(words)));
        steps.push(Step {
            part: Some(attempt.part).filter(|part| several && *part > 0),
            connection: attempt.connection_id,
            detail: Some(words.unwrap_or_else(|| in_words(attempt.outcome))),
            ..step(attempt.at, what)
        });
    }
    let mut last_sent = None;
    for part in parts {
        let number = Some(part.part).filter(|_| several);
        let connection = Some(part.connection_id);
        steps.push(Step {
            part: number,
            connection,
            provider_id: part.provider_id.clone(),
            ..step(part.sent_at, "sent")
        });
        last_sent = last_sent.max(Some(part.sent_at));
        if let Some(done_at) = part.done_at {
            let took_ms = Some(done_at.since_ms(part.sent_at) as f64);
            let end = step(done_at, &part.state);
            steps.push(Step { part: number, connection, detail: part.error, took_ms, ..end });
        }
    }
    steps.sort_by_key(|step| step.at);
    let last_is_told = steps.last().is_some_and(|last| last.what == record.state && last.part.is_none());
    match record.done_at {
        Some(done_at) if !last_is_told && record.state != "received" => {
            // With one part its end is the receipt's.
            let sent_at = last_sent.filter(|_| !several);
            let took_ms = sent_at.map(|sent_at| done_at.since_ms(sent_at) as f64);
            steps.push(Step { detail: record.error.clone(), took_ms, ..step(done_at, &record.state) });
        }
        None if record.state == "scheduled" => steps.push(Step {
            detail: record.wake_at.map(|at| format!("until {at}")),
            ..step(record.accepted_at, "scheduled")
        }),
        None if record.state == "indeterminate" => {
            steps.push(Step { detail: record.error.clone(), ..step(record.updated_at, "indeterminate") });
        }
        _ => {}
    }
    steps
}

/// Adds what is kept of hand-overs and receipts to the steps that they led to. A receipt that led to none is a step of its own.
fn add_kept(steps: &mut Vec<Step>, kept: Vec<Kept>, several: bool) {
    for one in kept {
        let part = Some(one.part).filter(|_| several);
        let left = one.kind == "submit";
        let of_it = |step: &&mut Step| {
            let handed_over = step.what == "sent" || step.what == "attempted";
            let fits = step.part == part
                && step.at == one.at
                && !["asked", "acknowledged", "accepted"].contains(&step.what.as_str());
            fits && handed_over == left
        };
        let found = steps.iter_mut().find(of_it);
        match (found, left) {
            (Some(step), true) => {
                step.bind = one.bind.and_then(|bind| u64::try_from(bind).ok());
                step.took_ms = one.took_us.map(|us| us as f64 / 1_000.0);
            }
            (Some(step), false) => step.raw = Some(one.content),
            (None, true) => {}
            (None, false) => {
                let at = steps.partition_point(|step| step.at <= one.at);
                let receipt = Step {
                    at: one.at,
                    what: "receipt".to_owned(),
                    part,
                    connection: None,
                    provider_id: None,
                    detail: None,
                    fault: None,
                    bind: None,
                    took_ms: None,
                    raw: Some(one.content),
                };
                steps.insert(at, receipt);
            }
        }
    }
}

/// A carrier's status in words, behind its name: `refused: ESME_RINVDSTADR (invalid destination address)`.
fn in_words(outcome: String) -> String {
    let named = |status: &&smpp::Status| status.name().is_some_and(|name| outcome.ends_with(name));
    match smpp::Status::ALL.iter().find(named) {
        Some(status) => format!("{outcome} ({})", status.describe()),
        None => outcome,
    }
}
