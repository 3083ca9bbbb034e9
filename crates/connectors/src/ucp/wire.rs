//! UCP as a connection speaks it.

use runtime::Clock;
use runtime::trace::{Protocol, Tap};
use smpp::{Address, EsmClass, Npi, Sm, SmRef, SmppTime, Ton};
use sms::{Alphabet, Encoding, MessageState, gsm};
use ucp::{
    Alert, Body, Content as Text, DeliveryStatus, ErrorCode, Framer, Notifications, Operation, Originator,
    Outcome, Pdu, Session, ShortMessage, TRNS, Time, Trns, xser,
};

use super::Settings;
use crate::report::{Answer, Content, Owed, Receipt, Refusal, Verdict, named_by_time};
use crate::tcp::{self, BindKind, Heard, Lost};

/// What UCP adds to the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// OTON of operation 60: 6 for the short number of an application.
    pub oton: String,
    /// ONPI of operation 60: 5 for a private numbering plan.
    pub onpi: String,
    /// PID of operation 31: 0539 for a computer over TCP/IP.
    pub alert_pid: String,
    /// NAdC: where notifications go in place of the sender; mostly empty.
    pub notification_address: String,
    /// NPID: the kind of that address; mostly empty.
    pub notification_pid: String,
    /// The centre's clock before UTC, minutes.
    pub utc_offset_minutes: i16,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            oton: "6".to_owned(),
            onpi: "5".to_owned(),
            alert_pid: "0539".to_owned(),
            notification_address: String::new(),
            notification_pid: String::new(),
            utc_offset_minutes: 0,
        }
    }
}

/// What writing a message needs.
#[derive(Debug, Default)]
pub struct Writer {
    login: Login,
    /// Who is there, in operation 31.
    system_id: String,
}

/// The reading side of a session.
pub struct Wire {
    framer: Framer,
    tap: Tap,
}

/// Octets that may stand between frames, over a session's life, before the stream is none of ours. Some centres send line
/// breaks.
const NOISE_MAX: u64 = 64 * 1024;

impl tcp::Wire for Wire {
    type Login = Login;
    type Writer = Writer;
    type Numbers = Trns;

    const NAME: &'static str = "UCP";
    const TRACED: Protocol = Protocol::Ucp;
    const LEFT: &'static str = "closed the session";
    const LOGIN: &'static str = "session open";
    const QUESTION: &'static str = "alert (31)";
    const WINDOW_MAX: u16 = TRNS as u16;
    const NUMBERS_RECUR: bool = true;

    fn begin(settings: &Settings, tap: Tap) -> Self {
        Self { framer: Framer::new(settings.pdu_bytes_max), tap }
    }

    fn numbers() -> Trns {
        // The login itself was number 0.
        let mut trns = Trns::default();
        let _ = trns.take(|_| false);
        trns
    }

    fn take_number(numbers: &mut Trns, in_use: impl Fn(u32) -> bool) -> Option<u32> {
        numbers.take(|trn| in_use(u32::from(trn))).map(u32::from)
    }

    fn writer(settings: &Settings, _clock: &Clock) -> Writer {
        Writer { login: settings.login.clone(), system_id: settings.system_id.clone() }
    }

    fn log_in(settings: &Settings, _kind: BindKind, out: &mut Vec<u8>) -> Result<bool, String> {
        if settings.password.is_empty() {
            // Centres that know their customers by address or line take no operation 60.
            return Ok(false);
        }
        let session = Session {
            oton: settings.login.oton.clone(),
            onpi: settings.login.onpi.clone(),
            opid: "39".to_owned(),
            ..Session::open(&settings.system_id, &settings.password)
        };
        let pdu = Pdu::new(0, Body::Session(Operation::SESSION, session));
        pdu.encode(out).map(|()| true).map_err(|error| error.to_string())
    }

    fn submit(writer: &Writer, number: u32, sm: &SmRef<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let message = message(&writer.login, sm)?;
        let pdu = Pdu::new(trn(number), Body::Message(Operation::SUBMIT, Box::new(message)));
        pdu.encode(out).map_err(|error| error.to_string())
    }

    fn ask(writer: &Writer, number: u32, out: &mut Vec<u8>) {
        let alert = Alert { adc: writer.system_id.clone(), pid: writer.login.alert_pid.clone() };
        // A name that fitted the login fits here; where there was none and it does not, the silence says so.
        let _ = Pdu::new(trn(number), Body::Alert(alert)).encode(out);
    }

    fn log_out(_number: u32, _out: &mut Vec<u8>) -> bool {
        false
    }

    fn buffer(&mut self, room: usize) -> &mut Vec<u8> {
        self.framer.buffer(room)
    }

    fn heard(&mut self, _kind: BindKind) -> Result<Option<Heard>, Lost> {
        let Some(frame) = self.framer.next_frame() else {
            if self.framer.skipped() > NOISE_MAX {
                let why = "what the peer sends is no UCP: nothing but noise between frames".to_owned();
                return Err(Lost { why, last_word: Vec::new() });
            }
            return Ok(None);
        };
        self.tap.read(frame);
        Ok(Some(match Pdu::decode(frame) {
            Ok(pdu) => meaning(&pdu),
            Err(error) if error.is_result => Heard::Odd(Vec::new()),
            Err(error) => Heard::Odd(written(&error.answer())),
        }))
    }
}

fn trn(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn written(pdu: &Pdu) -> Vec<u8> {
    let mut out = Vec::new();
    // An answer that repeats what was read fits as that did.
    let _ = pdu.encode(&mut out);
    out
}

/// A message in the fields of operation 51.
fn message(login: &Login, sm: &SmRef<'_>) -> Result<ShortMessage, String> {
    let recipient = String::from_utf8_lossy(sm.destination.addr);
    let mut message =
        ShortMessage { adc: recipient.trim_start_matches('+').to_owned(), ..ShortMessage::default() };
    message.set_originator(&originator(sm));
    let wanted = sm.registered_delivery;
    message.set_notifications(Notifications {
        delivery: wanted.on_success(),
        non_delivery: wanted.on_failure(),
        buffered: wanted.intermediate(),
    });
    if !message.nrq.is_empty() {
        login.notification_address.clone_into(&mut message.nadc);
        login.notification_pid.clone_into(&mut message.npid);
    }
    if let Some(until) = validity(sm.validity_period, login.utc_offset_minutes)? {
        message.vp = until.ten_digits();
    }
    if sm.protocol_id != 0 {
        message.rpid = format!("{:04}", sm.protocol_id);
    }
    if sm.priority_flag > 0 {
        "1".clone_into(&mut message.pr);
    }
    set_content(&mut message, sm)?;
    Ok(message)
}

fn originator(sm: &SmRef<'_>) -> Originator {
    let text = String::from_utf8_lossy(sm.source.addr);
    let digits = text.trim_start_matches('+');
    if sm.source.ton == Ton::ALPHANUMERIC || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Originator::Alphanumeric(gsm::encode_lossy(&text, Alphabet::DEFAULT));
    }
    Originator::Number { digits: digits.to_owned(), international: sm.source.ton == Ton::INTERNATIONAL }
}

/// An absolute time of SMPP in the centre's time.
fn validity(field: &[u8], utc_offset_minutes: i16) -> Result<Option<Time>, String> {
    if field.is_empty() {
        return Ok(None);
    }
    let unreadable = || "the validity period is no time".to_owned();
    let until = SmppTime::parse(field).map_err(|_| unreadable())?;
    let unix_s = until.resolve(0) / 1_000 + i64::from(utc_offset_minutes) * 60;
    Time::from_unix_s(unix_s).map(Some).ok_or_else(unreadable)
}

fn set_content(message: &mut ShortMessage, sm: &SmRef<'_>) -> Result<(), String> {
    let (header, body) = parted(sm)?;
    let encoding = Encoding::from_data_coding(sm.data_coding.0, Encoding::GSM7);
    message.set_content(&match encoding {
        Encoding::Gsm7(_) => Text::Text(body.to_vec()),
        _ => Text::Transparent(body.to_vec()),
    });
    if !header.is_empty() && !xser::push(&mut message.xser, xser::UDH, header) {
        return Err("the user data header is too long".to_owned());
    }
    let dcs = data_coding_scheme(sm.data_coding.0, encoding);
    if dcs != message.data_coding() {
        xser::push(&mut message.xser, xser::DCS, &[dcs]);
    }
    Ok(())
}

/// The user data header with its length octet, and what follows it.
pub(crate) fn parted<'a>(sm: &SmRef<'a>) -> Result<(&'a [u8], &'a [u8]), String> {
    let content = sm.content();
    if !sm.esm_class.udhi() {
        return Ok((&[], content));
    }
    let (_, body) = sms::udh::split(content).map_err(|error| error.to_string())?;
    Ok(content.split_at(content.len() - body.len()))
}

/// data_coding as 3GPP TS 23.038 §4 has it: below 16 SMPP numbers its codings itself.
pub(crate) fn data_coding_scheme(data_coding: u8, encoding: Encoding) -> u8 {
    match encoding {
        _ if data_coding >= 0x10 => data_coding,
        Encoding::Gsm7(_) => 0x00,
        Encoding::Ucs2 => 0x08,
        _ => 0x04,
    }
}

/// One whole operation or result of the peer.
fn meaning(pdu: &Pdu) -> Heard {
    match &pdu.body {
        Body::Result(Operation::SUBMIT, outcome) => {
            Heard::Answered { number: u32::from(pdu.trn), answer: answer(outcome), congestion: None }
        }
        Body::Result(Operation::SESSION, outcome) => logged_in(outcome),
        Body::Result(Operation::ALERT, _) => Heard::Alive,
        Body::Result(..) => Heard::Odd(Vec::new()),
        Body::Message(Operation::DELIVER, message) => match inbound(message) {
            Some(sm) => Heard::Delivered(Content::Sm(Box::new(sm)), owed(pdu, &message.adc, &message.scts)),
            None => Heard::Odd(written(&pdu.answer(Outcome::nack(ErrorCode::SYNTAX)))),
        },
        Body::Message(Operation::NOTIFICATION, message) => {
            Heard::Delivered(Content::Receipt(receipt(message)), owed(pdu, &message.adc, &message.scts))
        }
        Body::Call(call) => {
            let message = ShortMessage {
                adc: call.adc.clone(),
                oadc: call.oadc.clone(),
                mt: call.mt.clone(),
                msg: call.msg.clone(),
                ..ShortMessage::default()
            };
            match inbound(&message) {
                Some(sm) => Heard::Delivered(Content::Sm(Box::new(sm)), owed(pdu, &call.adc, "")),
                None => Heard::Odd(written(&pdu.answer(Outcome::nack(ErrorCode::SYNTAX)))),
            }
        }
        Body::Alert(_) => Heard::Asked(written(&pdu.answer(Outcome::ack("0000")))),
        Body::Message(..) | Body::Session(..) | Body::Transfer(_) | Body::Other(..) => {
            Heard::Odd(written(&pdu.answer(Outcome::nack(ErrorCode::NOT_SUPPORTED))))
        }
    }
}

fn answer(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Ack { message, .. } => {
            let (recipient, time_stamp) = message.rsplit_once(':').unwrap_or(("", message));
            Answer::Accepted { message_id: named_by_time(recipient.trim(), time_stamp.trim()) }
        }
        Outcome::Nack { error, .. } => Answer::refused(Refusal::Ucp(*error)),
    }
}

fn logged_in(outcome: &Outcome) -> Heard {
    match outcome {
        Outcome::Ack { message, .. } => Heard::LoggedIn { peer: message.clone() },
        Outcome::Nack { error, message } => Heard::LoginRefused {
            why: format!("session refused: {error} {message}").trim_end().to_owned(),
            // Wrong credentials stay wrong; "not allowed" may mean that the last session is still there.
            lasting: error.class() == ucp::Class::Permanent,
        },
    }
}

/// The result of a 52, 53 or 01.
fn owed(pdu: &Pdu, adc: &str, scts: &str) -> Owed {
    let system_message = if scts.is_empty() { String::new() } else { format!("{adc}:{scts}") };
    let (trn, operation) = (pdu.trn, pdu.operation());
    Box::new(move |verdict, out| {
        let outcome = match verdict {
            Verdict::Taken => Outcome::ack(system_message),
            Verdict::NotNow => Outcome::nack(ErrorCode::NOT_ALLOWED),
            Verdict::Never => Outcome::nack(ErrorCode::ADC_INVALID),
        };
        // What was read fits.
        let _ = Pdu::new(trn, Body::Result(operation, outcome)).encode(out);
    })
}

/// A message from a phone, in the fields of deliver_sm; `None` where its content cannot be read.
fn inbound(message: &ShortMessage) -> Option<Sm> {
    let (data_coding, body) = match message.content()? {
        Text::Numeric(digits) => (0, digits.into_bytes()),
        Text::Text(septets) => (message.data_coding(), septets),
        Text::Transparent(octets) => (message.data_coding(), octets),
    };
    let header = message.user_data_header();
    let mut short_message = header.clone().unwrap_or_default();
    short_message.extend_from_slice(&body);
    Some(Sm {
        source: source(message),
        destination: number(&message.adc, false),
        esm_class: EsmClass::DEFAULT.with_udhi(header.is_some()),
        data_coding: smpp::DataCoding(data_coding),
        short_message,
        ..Sm::default()
    })
}

fn source(message: &ShortMessage) -> Address {
    match message.originator() {
        Originator::Number { digits, international } => number(&digits, international),
        Originator::Alphanumeric(septets) => {
            Address::alphanumeric(gsm::decode(&septets, Alphabet::DEFAULT).as_str())
        }
    }
}

fn number(digits: &str, international: bool) -> Address {
    if international || digits.len() > 6 {
        Address::international(digits)
    } else {
        Address::new(Ton::UNKNOWN, Npi::UNKNOWN, digits)
    }
}

/// A receipt. The recipient of the message stands where the originator does, for the notification is about it.
fn receipt(message: &ShortMessage) -> Receipt {
    let state = match message.delivery_status() {
        Some(DeliveryStatus::Delivered) => MessageState::Delivered,
        Some(DeliveryStatus::Buffered) => MessageState::Enroute,
        Some(DeliveryStatus::NotDelivered) => MessageState::Undeliverable,
        Some(DeliveryStatus::Other(_)) | None => MessageState::Unknown,
    };
    Receipt {
        phone: message.oadc.clone(),
        sender: message.adc.clone(),
        message_id: named_by_time(&message.oadc, &message.scts),
        state,
        error: Some(message.rsn.clone()).filter(|reason| reason.bytes().any(|digit| digit != b'0')),
    }
}

#[cfg(test)]
mod tests;
