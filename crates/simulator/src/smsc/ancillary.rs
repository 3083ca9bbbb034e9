//! query_sm, cancel_sm and replace_sm.

use smpp::{COctetString, CancelSm, CommandId, MessageState, Pdu, QuerySm, QuerySmResp, ReplaceSm, Status};

use super::centre::Centre;
use super::settings::Settings;
use super::submit::encode;
use super::{id, receipt};

/// Answers one of the three; any other request has an operation that this centre does not offer.
pub(super) fn answer(
    centre: &mut Centre,
    account: u32,
    now_ms: i64,
    request: &Pdu,
    sequence: u32,
    settings: &Settings,
    out: &mut Vec<u8>,
) {
    let answer = match request {
        Pdu::QuerySm(query) => query_sm(centre, account, now_ms, query, settings)
            .map(Pdu::QuerySmResp)
            .ok_or((CommandId::QUERY_SM_RESP, Status::RQUERYFAIL)),
        Pdu::CancelSm(cancel) => cancel_sm(centre, account, now_ms, cancel, settings)
            .map(|()| Pdu::CancelSmResp)
            .ok_or((CommandId::CANCEL_SM_RESP, Status::RCANCELFAIL)),
        Pdu::ReplaceSm(replace) => replace_sm(centre, account, now_ms, replace, settings)
            .map(|()| Pdu::ReplaceSmResp)
            .ok_or((CommandId::REPLACE_SM_RESP, Status::RREPLACEFAIL)),
        other => match other.command_id().response() {
            Some(response) => Err((response, Status::RPROHIBITED)),
            // Responses to what was never asked, and notices.
            None => return,
        },
    };
    match answer {
        Ok(response) => encode(&response, sequence, out),
        Err((response, status)) => smpp::encode_header(response, status, sequence, out),
    }
}

fn query_sm(
    centre: &Centre,
    account: u32,
    now_ms: i64,
    query: &QuerySm,
    settings: &Settings,
) -> Option<QuerySmResp> {
    let number = id::read(settings.id_form, query.message_id.as_bytes())?;
    let message = centre.book.get(number).filter(|message| message.account == account)?;
    let settled = message.done_ms <= now_ms;
    let final_date = if settled {
        smpp::time::format_absolute(message.done_ms, 0).unwrap_or(COctetString::EMPTY)
    } else {
        COctetString::EMPTY
    };
    let message_state = if settled { message.state } else { MessageState::ENROUTE };
    let error_code = u8::from(settled && message.state != MessageState::DELIVERED);
    Some(QuerySmResp { message_id: query.message_id.clone(), final_date, message_state, error_code })
}

/// Cancels a message that is not settled yet; one without an id is not looked for. Its receipt says
/// DELETED.
fn cancel_sm(
    centre: &mut Centre,
    account: u32,
    now_ms: i64,
    cancel: &CancelSm,
    settings: &Settings,
) -> Option<()> {
    let number = id::read(settings.id_form, cancel.message_id.as_bytes())?;
    let message = centre.book.get_mut(number)?;
    let fits = message.account == account && message.source == cancel.source && message.done_ms > now_ms;
    if fits {
        message.state = MessageState::DELETED;
        message.arrival = None;
    }
    fits.then_some(())
}

/// Gives a message that is not settled yet another text.
fn replace_sm(
    centre: &mut Centre,
    account: u32,
    now_ms: i64,
    replace: &ReplaceSm,
    settings: &Settings,
) -> Option<()> {
    let number = id::read(settings.id_form, replace.message_id.as_bytes())?;
    let message = centre.book.get_mut(number)?;
    let fits = message.account == account && message.source == replace.source && message.done_ms > now_ms;
    if fits {
        let text = replace.tlvs.message_payload().unwrap_or(&replace.short_message);
        if let Some(arrival) = &mut message.arrival {
            arrival.replace(text);
        }
        message.excerpt = receipt::excerpt(text, false, smpp::DataCoding::DEFAULT);
    }
    fits.then_some(())
}
