//! Taking messages: 51, and the older 01 and 30 (EMI/UCP 5.2 §4.2, §4.5, §5.3).
//!
//! The reader hands a message to the engine and puts its number with the promise of a commit into a queue as long as the
//! session's window; a second task waits for the commits in that order and answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use runtime::wire::Outlet;
use smpp::{Address, DataCoding, EsmClass, Npi, RegisteredDelivery, Sm, Ton};
use sms::{Alphabet, gsm};
use tokio::sync::mpsc;
use types::{Code, Error, Result};
use ucp::{Call, Content, ErrorCode, Operation, Originator, Outcome, Pdu, ShortMessage, Time, Transfer};

use super::delivery::stamp;
use super::refusal::error_code;
use crate::engine::Engine;
use crate::live::meter::code_of_ucp;
use crate::message::sm::Submitted;
use crate::sessions::Session;
use crate::smpp_server::submit::parts;

/// The session's requests that wait for their commit.
pub(super) struct Submits {
    waiting: mpsc::Sender<Waiting>,
}

/// A request that is answered after its commit.
struct Waiting {
    trn: u8,
    operation: Operation,
    /// The recipient as the customer wrote it.
    adc: String,
    submitted: Submitted,
}

impl Submits {
    /// Starts the task that answers; it ends with the session.
    pub(super) fn start(engine: &Engine, session: &Arc<Session>, outlet: &Outlet) -> Self {
        let (waiting, queue) = mpsc::channel(usize::from(ucp::TRNS));
        let answering = answer(engine.clone(), Arc::clone(session), outlet.clone(), queue);
        engine.runtime().tasks.spawn("ucp-answers", answering);
        Self { waiting }
    }

    /// Takes a message. The answer comes later, or at once where it is a refusal.
    ///
    /// # Errors
    /// The session is over.
    pub(super) async fn take(
        &self,
        engine: &Engine,
        session: &Session,
        (trn, operation): (u8, Operation),
        message: &ShortMessage,
    ) -> std::result::Result<Option<Pdu>, ()> {
        session.room(|| session.window().min(u32::from(ucp::TRNS))).await;
        let submitted = sm(message).and_then(|sm| {
            let sm = sm.view();
            if !session.may_submit(parts(&sm), engine.runtime().clock.now()) {
                return Err(Error::new(Code::TooManyRequests, "the account is above its rate"));
            }
            engine.take_sm(&session.sender(), &sm)
        });
        match submitted {
            Ok(submitted) => {
                session.asked(1);
                let waiting = Waiting { trn, operation, adc: message.adc.clone(), submitted };
                self.waiting.send(waiting).await.map_err(drop)?;
                Ok(None)
            }
            Err(error) => {
                let code = error_code(error.code());
                count(code);
                session.meter.refused(code_of_ucp(code), error.code() == Code::TooManyRequests, 1);
                Ok(Some(refusal(trn, operation, code, error.message())))
            }
        }
    }
}

fn count(code: ErrorCode) {
    metrics::counter!("switchboard_ucp_submits_total", "error" => format!("{:02}", code.0)).increment(1);
}

/// A negative result with words, as far as a frame takes them.
pub(super) fn refusal(trn: u8, operation: Operation, error: ErrorCode, words: &str) -> Pdu {
    let plain = |ch: &char| matches!(ch, ' '..='~') && *ch != '/';
    let message: String = words.chars().filter(plain).take(100).collect();
    Pdu::new(trn, ucp::Body::Result(operation, Outcome::Nack { error, message }))
}

/// Waits for each commit in turn and writes the result.
async fn answer(engine: Engine, session: Arc<Session>, outlet: Outlet, mut queue: mpsc::Receiver<Waiting>) {
    while let Some(Waiting { trn, operation, adc, submitted }) = queue.recv().await {
        let accepted_at = submitted.accepted_at;
        let committed = submitted.committed.await;
        if !matches!(committed, Ok(Ok(()))) {
            engine.gates().take_back(&submitted.counted);
        }
        let pdu = match committed {
            Ok(Ok(())) => {
                metrics::counter!("switchboard_ucp_submits_total", "error" => "").increment(1);
                session.meter.accepted.fetch_add(1, Ordering::Relaxed);
                let name = format!("{adc}:{}", stamp(accepted_at));
                Pdu::new(trn, ucp::Body::Result(operation, Outcome::ack(name)))
            }
            Ok(Err(error)) => {
                let code = error_code(error.code());
                session.meter.refused(code_of_ucp(code), false, 1);
                refusal(trn, operation, code, error.message())
            }
            Err(_) => refusal(trn, operation, ErrorCode::NOT_ALLOWED, "stopping"),
        };
        // A closed outlet has nobody behind it; and what repeats what was read fits.
        let _ = outlet.write(|out| pdu.encode(out));
        session.answered(1);
    }
}

/// A message of the 5x-series in the fields of submit_sm.
///
/// # Errors
/// What cannot be read.
pub(super) fn sm(message: &ShortMessage) -> Result<Sm> {
    let unreadable = || Error::new(Code::InvalidBinary, "the message is not digits of its type");
    let body = match message.content().ok_or_else(unreadable)? {
        Content::Numeric(digits) => digits.into_bytes(),
        Content::Text(octets) | Content::Transparent(octets) => octets,
    };
    let header = message.user_data_header().unwrap_or_default();
    let udhi = !header.is_empty();
    let time = |field: &str, code: Code| match field {
        "" => Ok(smpp::COctetString::EMPTY),
        digits => Time::parse(digits)
            .and_then(|time| smpp::time::format_absolute(time.unix_s() * 1_000, 0).ok())
            .ok_or_else(|| Error::new(code, format!("{digits} is no time"))),
    };
    let deferred = if message.dd == "1" { message.ddt.as_str() } else { "" };
    Ok(Sm {
        source: source(message),
        destination: number(&message.adc),
        esm_class: EsmClass::DEFAULT.with_udhi(udhi),
        protocol_id: message.rpid.parse::<u16>().ok().and_then(|id| u8::try_from(id).ok()).unwrap_or(0),
        priority_flag: u8::from(message.pr == "1"),
        schedule_delivery_time: time(deferred, Code::InvalidSchedule)?,
        validity_period: time(&message.vp, Code::InvalidValidity)?,
        registered_delivery: registered(message),
        data_coding: DataCoding(data_coding(message.data_coding())),
        short_message: [header, body].concat(),
        ..Sm::default()
    })
}

/// A data coding scheme as SMPP numbers it: below 16 it has numbers of its own, which agree in these three.
fn data_coding(dcs: u8) -> u8 {
    if dcs < 0x10 { dcs & 0x0C } else { dcs }
}

fn registered(message: &ShortMessage) -> RegisteredDelivery {
    let wanted = message.notifications();
    let ends = match (wanted.delivery, wanted.non_delivery) {
        (true, true) => 1,
        (false, true) => 2,
        (true, false) => 3,
        (false, false) => 0,
    };
    RegisteredDelivery(ends | u8::from(wanted.buffered) << 4)
}

fn source(message: &ShortMessage) -> Address {
    match message.originator() {
        Originator::Alphanumeric(septets) => {
            Address::alphanumeric(gsm::decode(&septets, Alphabet::DEFAULT).as_str())
        }
        Originator::Number { digits, .. } if digits.is_empty() => Address::default(),
        Originator::Number { digits, .. } => number(&digits),
    }
}

/// An address code: 00 stands before a number in its international form.
fn number(digits: &str) -> Address {
    let bare = plain_number(digits);
    if bare.len() > 6 { Address::international(bare) } else { Address::new(Ton::UNKNOWN, Npi::UNKNOWN, bare) }
}

/// A number as messages keep it.
pub(super) fn plain_number(digits: &str) -> &str {
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    digits.strip_prefix("00").unwrap_or(digits)
}

/// Operation 01 as a 51.
pub(super) fn of_call(call: &Call) -> ShortMessage {
    ShortMessage {
        adc: call.adc.clone(),
        oadc: call.oadc.clone(),
        mt: call.mt.clone(),
        msg: call.msg.clone(),
        ..ShortMessage::default()
    }
}

/// Operation 30 as a 51.
pub(super) fn of_transfer(transfer: &Transfer) -> ShortMessage {
    ShortMessage {
        adc: transfer.adc.clone(),
        oadc: transfer.oadc.clone(),
        nrq: transfer.nrq.clone(),
        dd: transfer.dd.clone(),
        ddt: transfer.ddt.clone(),
        vp: transfer.vp.clone(),
        mt: "3".to_owned(),
        msg: transfer.amsg.clone(),
        ..ShortMessage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submit_is_read_into_its_fields() {
        let mut message = ShortMessage {
            adc: "0033612345678".into(),
            nrq: "1".into(),
            nt: "3".into(),
            vp: "2911261530".into(),
            xser: "0106050003090201020108".into(),
            ..ShortMessage::default()
        };
        message.set_originator(&Originator::Alphanumeric(b"Shop".to_vec()));
        message.set_content(&Content::Transparent(vec![0x04, 0x3F]));
        let sm = sm(&message).unwrap();
        assert_eq!(
            (sm.destination.addr.as_str().as_ref(), sm.source.addr.as_str().as_ref()),
            ("33612345678", "Shop")
        );
        assert_eq!((sm.data_coding.0, sm.registered_delivery.0, sm.esm_class.udhi()), (8, 1, true));
        assert_eq!(sm.short_message, [5, 0, 3, 9, 2, 1, 0x04, 0x3F]);
        assert!(sm.validity_period.as_str().starts_with("261129153000"));
        assert!(sm.schedule_delivery_time.is_empty());
    }

    #[test]
    fn what_cannot_be_read_says_what() {
        let message = ShortMessage { mt: "3".into(), msg: "4".into(), ..ShortMessage::default() };
        assert_eq!(sm(&message).unwrap_err().code(), Code::InvalidBinary);
        let message = ShortMessage { mt: "3".into(), vp: "9".into(), ..ShortMessage::default() };
        assert_eq!(sm(&message).unwrap_err().code(), Code::InvalidValidity);
        let pdu = refusal(1, Operation::SUBMIT, ErrorCode::SYNTAX, "a/b é\n");
        assert!(pdu.encode(&mut Vec::new()).is_ok());
    }
}
