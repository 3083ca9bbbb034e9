//! Asking after, taking back and changing a message: 55, 56 and 54 (EMI/UCP 5.2 §5.6 to §5.8).
//!
//! The result says that the message is known; what has become of it comes as an operation of ours, 57 or 58.

use types::{Code, Error, Result};
use ucp::{Body, Content, Operation, Outcome, Pdu, ShortMessage, Time};

use super::delivery::{stamp, standing};
use super::submit::{plain_number, refusal};
use crate::engine::Engine;
use crate::message::State;
use crate::message::sm::{ReplacedTimes, Sender};

/// What is said to a 54, 55 or 56: its result, and what follows it.
pub(super) struct Said {
    pub(super) result: Pdu,
    pub(super) follows: Option<(Operation, ShortMessage)>,
}

/// Carries out one of the three.
pub(super) async fn operation(
    engine: &Engine,
    sender: &Sender,
    trn: u8,
    operation: Operation,
    message: &ShortMessage,
) -> Said {
    match carried_out(engine, sender, operation, message).await {
        Ok(follows) => {
            let outcome = Outcome::ack(format!("{}:{}", message.adc, message.scts));
            let result = Pdu::new(trn, Body::Result(operation, outcome));
            Said { result, follows }
        }
        Err(error) => {
            let code = super::error_code(error.code());
            Said { result: refusal(trn, operation, code, error.message()), follows: None }
        }
    }
}

async fn carried_out(
    engine: &Engine,
    sender: &Sender,
    operation: Operation,
    message: &ShortMessage,
) -> Result<Option<(Operation, ShortMessage)>> {
    let second =
        Time::parse(&message.scts).ok_or_else(|| Error::new(Code::InvalidId, "SCTS is no time"))?.unix_s();
    let id = engine.named_by_time(sender, plain_number(&message.adc), second).await?;
    match operation {
        Operation::MODIFY => {
            let unreadable = || Error::new(Code::InvalidBinary, "the message is not digits of its type");
            let text = match message.content().ok_or_else(unreadable)? {
                Content::Numeric(digits) => digits.into_bytes(),
                Content::Text(octets) | Content::Transparent(octets) => octets,
            };
            engine.replace_sm(sender, &id, "", &text, ReplacedTimes::default()).await?;
            Ok(None)
        }
        Operation::DELETE => {
            engine.cancel_sm(sender, &id, "", "").await?;
            Ok(Some((Operation::DELETE_RESPONSE, told(message, State::Cancelled, None))))
        }
        _ => {
            let found = engine.query_sm(sender, &id, "").await?;
            let state = State::from_receipt(found.state).unwrap_or(State::Queued);
            let done_at = found.done_at.map(stamp);
            Ok(Some((Operation::INQUIRY_RESPONSE, told(message, state, done_at))))
        }
    }
}

/// What 57 and 58 say: the fields of a notification.
fn told(asked: &ShortMessage, state: State, done_at: Option<String>) -> ShortMessage {
    let (dst, rsn, words) = standing(state, None);
    let mut message = ShortMessage {
        adc: asked.oadc.clone(),
        oadc: asked.adc.clone(),
        scts: asked.scts.clone(),
        dst: dst.to_owned(),
        rsn,
        dscts: done_at.unwrap_or_default(),
        ..ShortMessage::default()
    };
    let text = format!("Message for {}, with identification {} {words}", asked.adc, asked.scts);
    message.set_content(&Content::Text(text.into_bytes()));
    message
}
