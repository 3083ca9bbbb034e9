//! Asking after, taking back and replacing a message (SMPP v5 §4.5).

use smpp::{CancelSm, Header, MessageState, Pdu, QuerySm, QuerySmResp, ReplaceSm, Status};

use super::connection::{End, refuse};
use super::refusal::ancillary_status;
use super::session::Bound;
use crate::message::sm::ReplacedTimes;

/// query_sm.
pub(super) async fn query(bound: &Bound, header: &Header, query: &QuerySm) -> Result<(), End> {
    let (id, source) = (query.message_id.as_str(), query.source.addr.as_str());
    let found = match bound.engine.query_sm(&bound.session.sender(), &id, &source).await {
        Ok(found) => found,
        Err(error) => {
            refuse(&bound.outlet, header, ancillary_status(error.code(), Status::RQUERYFAIL));
            return Ok(());
        }
    };
    // A date that the format cannot hold is told as none.
    let final_date = found.done_at.and_then(|at| smpp::time::format_absolute(at.unix_ms(), 0).ok());
    let response = Pdu::QuerySmResp(QuerySmResp {
        message_id: query.message_id.clone(),
        final_date: final_date.unwrap_or_default(),
        message_state: MessageState(found.state.number()),
        error_code: found.error,
    });
    let written = bound.outlet.write(|out| response.encode(header.sequence, Status::ROK, out));
    if let Ok(Err(error)) = written {
        tracing::debug!(%error, "a query_sm could not be answered");
        refuse(&bound.outlet, header, Status::RQUERYFAIL);
    }
    Ok(())
}

/// cancel_sm: one message by its id, or without one those between source and destination.
pub(super) async fn cancel(bound: &Bound, header: &Header, cancel: &CancelSm) -> Result<(), End> {
    let id = cancel.message_id.as_str();
    let (source, destination) = (cancel.source.addr.as_str(), cancel.destination.addr.as_str());
    let status = if id.is_empty() && destination.is_empty() {
        Status::RINVDSTADR
    } else {
        match bound.engine.cancel_sm(&bound.session.sender(), &id, &source, &destination).await {
            Ok(()) => Status::ROK,
            Err(error) => ancillary_status(error.code(), Status::RCANCELFAIL),
        }
    };
    refuse(&bound.outlet, header, status);
    Ok(())
}

/// replace_sm: the text, and the times where they are given.
pub(super) async fn replace(bound: &Bound, header: &Header, replace: &ReplaceSm) -> Result<(), End> {
    // SMPP v5 §4.5.3: a text that does not fit short_message stands in message_payload.
    let text = replace.tlvs.message_payload().unwrap_or(&replace.short_message);
    let (id, source) = (replace.message_id.as_str(), replace.source.addr.as_str());
    let times = ReplacedTimes {
        schedule: replace.schedule_delivery_time.as_bytes(),
        validity: replace.validity_period.as_bytes(),
    };
    let sender = bound.session.sender();
    let status = match bound.engine.replace_sm(&sender, &id, &source, text, times).await {
        Ok(()) => Status::ROK,
        Err(error) => ancillary_status(error.code(), Status::RREPLACEFAIL),
    };
    refuse(&bound.outlet, header, status);
    Ok(())
}
