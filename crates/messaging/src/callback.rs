//! Receipts by HTTP: posted to the address that came with the message, until it answers 2xx.

use std::sync::Arc;

use runtime::job::{self, Handler, Outcome};
use runtime::outbound::{Answer, OutboundError};
use serde::{Deserialize, Serialize};
use types::{MessageId, Result, Timestamp};

use crate::fault::Fault;
use crate::journal::{After, Batch, Ending};
use crate::message::State;
use crate::message::query::FaultTold;

/// The kind of these jobs.
pub const KIND: &str = "messaging.callback";

/// What is posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    url: String,
    body: CallbackBody,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CallbackBody {
    #[serde(rename = "type")]
    kind: String,
    id: MessageId,
    to: String,
    from: String,
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    /// The failed message that this one was sent for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redrive_of: Option<MessageId>,
    accepted_at: Timestamp,
    done_at: Timestamp,
}

/// Enqueues a message's end for its callback address, in the transaction that ends it.
pub(crate) async fn enqueue(batch: &mut Batch, ending: &Ending, url: &str) -> Result<()> {
    let reason = ending.error.as_deref().map(FaultTold::split);
    let (error, fault) = reason.map_or((None, None), |(raw, told)| (Some(raw), told));
    let body = CallbackBody {
        kind: "message.ended".to_owned(),
        id: ending.message,
        to: ending.recipient.to_string(),
        from: ending.sender.to_string(),
        state: ending.to,
        error,
        fault: fault.map(|told| told.code),
        redrive_of: ending.options.as_ref().and_then(|options| options.redrive_of),
        accepted_at: ending.accepted_at,
        done_at: batch.now,
    };
    let callback = Callback { url: url.to_owned(), body };
    let (runtime, now) = (batch.runtime.clone(), batch.now);
    job::enqueue(&mut batch.tx, &runtime, ending.tenant, KIND, &callback, now).await?;
    batch.after.push(After::JobsWaiting);
    Ok(())
}

/// Posts callbacks.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            let callback: Callback = match serde_json::from_str(&payload) {
                Ok(callback) => callback,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            let body = match serde_json::to_vec(&callback.body) {
                Ok(body) => body,
                Err(error) => return Outcome::Dead(error.to_string()),
            };
            let headers = [("content-type", "application/json")];
            outcome(scope.runtime().outbound.post(&callback.url, &headers, body).await)
        })
    })
}

/// Only the status counts, so a body that is too long to be read takes nothing from it.
pub(crate) fn outcome(answer: Result<Answer, OutboundError>) -> Outcome {
    let status = match answer {
        Ok(Answer { status, .. }) | Err(OutboundError::TooLarge { status, .. }) => status,
        Err(error) if error.is_temporary() => return Outcome::Retry(error.to_string()),
        Err(error) => return Outcome::Dead(error.to_string()),
    };
    match status {
        200..=299 => Outcome::Done,
        // Gone (RFC 9110 §15.5.11): the receiver says that it will never want it.
        410 => Outcome::Dead("the receiver answered 410 Gone".to_owned()),
        _ => Outcome::Retry(format!("the receiver answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides_however_long_the_body_is() {
        let long = |status| Err(OutboundError::TooLarge { host: "h".to_owned(), status, limit_bytes: 1 });
        assert!(matches!(outcome(long(200)), Outcome::Done));
        assert!(matches!(outcome(long(500)), Outcome::Retry(_)));
        assert!(matches!(outcome(long(410)), Outcome::Dead(_)));
        let silent = OutboundError::Timeout { host: "h".to_owned(), limit_ms: 1 };
        assert!(matches!(outcome(Err(silent)), Outcome::Retry(_)));
        let wrong = OutboundError::Scheme { scheme: "ftp".to_owned() };
        assert!(matches!(outcome(Err(wrong)), Outcome::Dead(_)));
    }
}
