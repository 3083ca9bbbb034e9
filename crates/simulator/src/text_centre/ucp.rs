//! UCP/EMI as the centre speaks it.

use smpp::{Address, DataCoding, EsmClass, Sm};
use sms::{Alphabet, Encoding, gsm};
use ucp::{Body, Content, ErrorCode, Operation, Originator, Outcome, Pdu, ShortMessage, Time, xser};

use super::centre::{Delivery, Inbound, Report, Submit, Verdict};
use super::session::Said;

fn written(pdu: &Pdu) -> Vec<u8> {
    let mut out = Vec::new();
    if pdu.encode(&mut out).is_err() {
        tracing::warn!(?pdu, "a PDU cannot be written");
    }
    out
}

/// One frame of a peer.
pub(super) fn read(frame: &[u8]) -> Said {
    let pdu = match Pdu::decode(frame) {
        Ok(pdu) => pdu,
        Err(error) if error.is_result => return Said::Other(Vec::new()),
        Err(error) => return Said::Unreadable(written(&error.answer())),
    };
    let refusal = |error| written(&pdu.answer(Outcome::nack(error)));
    match &pdu.body {
        Body::Session(Operation::SESSION, session) => Said::Login {
            user: session.oadc.clone(),
            password: session.password().unwrap_or_default(),
            welcome: written(&pdu.answer(Outcome::ack("BIND AUTHENTICATED"))),
            refusal: refusal(ErrorCode::AUTHENTICATION),
        },
        Body::Message(Operation::SUBMIT, message) => match submit(message) {
            Some(submit) => {
                let (trn, operation) = (pdu.trn, pdu.operation());
                let answer = move |submit: &Submit, verdict| {
                    let outcome = match verdict {
                        Verdict::Taken(at_ms) => {
                            Outcome::ack(format!("{}:{}", submit.recipient, stamp(at_ms)))
                        }
                        Verdict::Refused(error) => {
                            Outcome::nack(ErrorCode(u8::try_from(error).unwrap_or(u8::MAX)))
                        }
                    };
                    written(&Pdu::new(trn, Body::Result(operation, outcome)))
                };
                let refusal = refusal(ErrorCode::AUTHENTICATION);
                Said::Submit { submit: Box::new(submit), answer: Box::new(answer), refusal }
            }
            None => Said::Other(refusal(ErrorCode::SYNTAX)),
        },
        Body::Alert(_) => Said::Alive(written(&pdu.answer(Outcome::ack("0000")))),
        Body::Result(Operation::DELIVER | Operation::NOTIFICATION, outcome) => Said::Answer {
            number: pdu.trn,
            taken: !matches!(outcome, Outcome::Nack { error: ErrorCode::NOT_ALLOWED, .. }),
        },
        Body::Result(..) => Said::Other(Vec::new()),
        _ => Said::Other(refusal(ErrorCode::NOT_SUPPORTED)),
    }
}

/// Operation 51 in the fields of a submit_sm; `None` where its content cannot be read.
fn submit(message: &ShortMessage) -> Option<Submit> {
    let body = match message.content()? {
        Content::Numeric(digits) => digits.into_bytes(),
        Content::Text(octets) | Content::Transparent(octets) => octets,
    };
    let header = message.user_data_header();
    let mut short_message = header.clone().unwrap_or_default();
    short_message.extend_from_slice(&body);
    let source = match message.originator() {
        Originator::Number { digits, .. } => Address::international(digits.as_str()),
        Originator::Alphanumeric(septets) => {
            Address::alphanumeric(gsm::decode(&septets, Alphabet::DEFAULT).as_str())
        }
    };
    let wanted = message.notifications();
    Some(Submit {
        sm: Sm {
            source,
            destination: Address::international(message.adc.as_str()),
            esm_class: EsmClass::DEFAULT.with_udhi(header.is_some()),
            data_coding: DataCoding(message.data_coding()),
            short_message,
            ..Sm::default()
        },
        recipient: message.adc.clone(),
        wants_success: wanted.delivery,
        wants_failure: wanted.non_delivery,
    })
}

fn stamp(unix_ms: i64) -> String {
    Time::from_unix_s(unix_ms.div_euclid(1_000)).unwrap_or_default().twelve_digits()
}

/// Operation 53 or 52.
pub(super) fn delivery(trn: u8, delivery: &Delivery) -> Vec<u8> {
    let (operation, message) = match delivery {
        Delivery::Receipt(report) => (Operation::NOTIFICATION, notification(report)),
        Delivery::Inbound(inbound) => (Operation::DELIVER, deliver(inbound)),
    };
    written(&Pdu::new(trn, Body::Message(operation, Box::new(message))))
}

fn notification(report: &Report) -> ShortMessage {
    let (dst, rsn, words) =
        if report.delivered { ("0", "000", "delivered") } else { ("2", "107", "not delivered: absent") };
    let mut message = ShortMessage {
        adc: digits(&report.sender),
        oadc: report.recipient.clone(),
        scts: stamp(report.taken_ms),
        dst: dst.to_owned(),
        rsn: rsn.to_owned(),
        dscts: stamp(report.done_ms),
        ..ShortMessage::default()
    };
    let text =
        format!("Message for {}, with identification {}, {words}", report.recipient, stamp(report.taken_ms));
    message.set_content(&Content::Text(gsm::encode_lossy(&text, Alphabet::DEFAULT)));
    message
}

/// An address code has digits only; names have none.
fn digits(sender: &str) -> String {
    sender.chars().filter(char::is_ascii_digit).collect()
}

fn deliver(inbound: &Inbound) -> ShortMessage {
    let mut message = ShortMessage {
        adc: digits(&inbound.to),
        oadc: inbound.from.clone(),
        scts: stamp(inbound.at_ms),
        ..ShortMessage::default()
    };
    message.set_content(&match inbound.encoding {
        Encoding::Gsm7(_) => Content::Text(inbound.body.clone()),
        _ => Content::Transparent(inbound.body.clone()),
    });
    if !inbound.header.is_empty() {
        xser::push(&mut message.xser, xser::UDH, &inbound.header);
    }
    if inbound.encoding == Encoding::Ucs2 {
        xser::push(&mut message.xser, xser::DCS, &[inbound.encoding.data_coding()]);
    }
    message
}
