//! CIMD2 as the centre speaks it.

use cimd::{ErrorCode, Operation, Packet, StatusCode, Unfit, parameter, text};
use smpp::{Address, DataCoding, EsmClass, Sm};
use sms::{Alphabet, Encoding, gsm};
use ucp::Time;

use super::centre::{Delivery, Inbound, Report, Submit, Verdict};
use super::session::Said;

/// The bits of a status report request that ask for a success, and for a failure.
const SUCCESS: i32 = 8;
const FAILURE: i32 = 2 | 4;

/// One packet of a peer.
pub(super) fn read(frame: &[u8]) -> Said {
    let packet = match Packet::decode(frame) {
        Ok(packet) => packet,
        Err(error) if error.operation.is_some_and(Operation::is_response) => return Said::Other(Vec::new()),
        Err(error) => return Said::Unreadable(error.answer().encoded()),
    };
    let refusal = |error| packet.refusal(error).encoded();
    match packet.operation {
        Operation::LOGIN => Said::Login {
            user: packet.text(parameter::USER),
            password: packet.text(parameter::PASSWORD),
            welcome: packet.answer().encoded(),
            refusal: refusal(ErrorCode::INVALID_LOGIN),
        },
        Operation::SUBMIT => match submit(&packet) {
            Some(submit) => {
                let refusal = refusal(ErrorCode::UNEXPECTED);
                let answer = move |submit: &Submit, verdict| match verdict {
                    Verdict::Refused(error) => packet.refusal(ErrorCode(error)).encoded(),
                    Verdict::Taken(at_ms) => {
                        let mut answer = packet.answer();
                        let fill = |answer: &mut Packet| {
                            answer.push(parameter::DESTINATION, submit.recipient.as_str())?;
                            answer.push(parameter::TIME_STAMP, stamp(at_ms))
                        };
                        encoded(&mut answer, fill)
                    }
                };
                Said::Submit { submit: Box::new(submit), answer: Box::new(answer), refusal }
            }
            None => Said::Other(refusal(ErrorCode::USER_DATA)),
        },
        Operation::ALIVE => Said::Alive(packet.answer().encoded()),
        Operation::LOGOUT => Said::Logout(packet.answer().encoded()),
        other if other.is_response() => {
            Said::Answer { number: packet.number, taken: packet.error().is_none() }
        }
        _ => Said::Other(refusal(ErrorCode::UNEXPECTED)),
    }
}

fn encoded(packet: &mut Packet, fill: impl FnOnce(&mut Packet) -> Result<(), Unfit>) -> Vec<u8> {
    if let Err(unfit) = fill(packet) {
        tracing::warn!(%unfit, "a packet lacks a parameter");
    }
    packet.encoded()
}

/// Operation 03 in the fields of a submit_sm; `None` where its content cannot be read.
fn submit(packet: &Packet) -> Option<Submit> {
    let body = match packet.get(parameter::USER_DATA) {
        Some(user_data) => text::decode(user_data),
        None if packet.get(parameter::USER_DATA_BINARY).is_some() => {
            packet.octets(parameter::USER_DATA_BINARY)?
        }
        None => Vec::new(),
    };
    let header = packet.octets(parameter::USER_DATA_HEADER).unwrap_or_default();
    let coding =
        packet.number_of(parameter::DATA_CODING).and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
    let source = match packet.get(parameter::ALPHANUMERIC_ORIGINATOR) {
        Some(name) => Address::alphanumeric(gsm::decode(&text::decode(name), Alphabet::DEFAULT).as_str()),
        None => Address::international(packet.text(parameter::ORIGINATOR).as_str()),
    };
    let recipient = packet.text(parameter::DESTINATION);
    let wanted = packet.number_of(parameter::STATUS_REPORT_REQUEST).unwrap_or(0);
    Some(Submit {
        sm: Sm {
            source,
            destination: Address::international(recipient.trim_start_matches('+')),
            esm_class: EsmClass::DEFAULT.with_udhi(!header.is_empty()),
            data_coding: DataCoding(coding),
            short_message: [header, body].concat(),
            ..Sm::default()
        },
        recipient,
        wants_success: wanted & SUCCESS != 0,
        wants_failure: wanted & FAILURE != 0,
    })
}

/// `yymmddhhmmss`.
fn stamp(unix_ms: i64) -> String {
    let Time { year, month, day, hour, minute, second } =
        Time::from_unix_s(unix_ms.div_euclid(1_000)).unwrap_or_default();
    format!("{:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}", year % 100)
}

/// Operation 23 or 20.
pub(super) fn delivery(number: u8, delivery: &Delivery) -> Vec<u8> {
    match delivery {
        Delivery::Receipt(report) => {
            let mut packet = Packet::new(Operation::STATUS_REPORT, number);
            encoded(&mut packet, |packet| status_report(packet, report))
        }
        Delivery::Inbound(inbound) => {
            let mut packet = Packet::new(Operation::DELIVER, number);
            encoded(&mut packet, |packet| deliver(packet, inbound))
        }
    }
}

fn status_report(packet: &mut Packet, report: &Report) -> Result<(), Unfit> {
    let (status, error) =
        if report.delivered { (StatusCode::DELIVERED, 0) } else { (StatusCode::FAILED, 107) };
    packet.push(parameter::DESTINATION, report.recipient.as_str())?;
    packet.push(parameter::TIME_STAMP, stamp(report.taken_ms))?;
    packet.push_number(parameter::STATUS, u32::from(status.0))?;
    if error > 0 {
        packet.push_number(parameter::STATUS_ERROR, error)?;
    }
    packet.push(parameter::DISCHARGE_TIME, stamp(report.done_ms))
}

fn deliver(packet: &mut Packet, inbound: &Inbound) -> Result<(), Unfit> {
    packet.push(parameter::DESTINATION, inbound.to.as_str())?;
    packet.push(parameter::ORIGINATOR, format!("+{}", inbound.from))?;
    packet.push(parameter::TIME_STAMP, stamp(inbound.at_ms))?;
    if !inbound.header.is_empty() {
        packet.push_hex(parameter::USER_DATA_HEADER, &inbound.header)?;
    }
    match inbound.encoding {
        Encoding::Gsm7(_) => packet.push(parameter::USER_DATA, text::encode(&inbound.body)),
        other => {
            packet.push_number(parameter::DATA_CODING, u32::from(other.data_coding()))?;
            packet.push_hex(parameter::USER_DATA_BINARY, &inbound.body)
        }
    }
}
