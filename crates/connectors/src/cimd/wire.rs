//! CIMD2 as a connection speaks it.

use cimd::{ErrorCode, Framer, Numbers, Operation, Packet, StatusCode, Unfit, parameter, period, text};
use runtime::Clock;
use runtime::trace::{Protocol, Tap};
use smpp::{Address, EsmClass, Npi, Sm, SmRef, SmppTime, Ton};
use sms::{Alphabet, Encoding, MessageState, gsm};

use super::Settings;
use crate::report::{Answer, Content, Owed, Receipt, Refusal, Verdict, named_by_time};
use crate::tcp::{self, BindKind, Heard, Lost};
use crate::ucp::{data_coding_scheme, parted};

/// What CIMD2 adds to the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Which of a user's connections this is; mostly empty.
    pub subaddress: String,
    /// Whether the login names the window; centres of the first versions refuse that.
    pub announce_window: bool,
    /// Leave the checksum out.
    pub no_checksum: bool,
}

/// What writing a message needs.
pub struct Writer {
    with_checksum: bool,
    clock: Clock,
}

/// The reading side of a session.
pub struct Wire {
    framer: Framer,
    tap: Tap,
    with_checksum: bool,
    /// Before it is, a general error is about the login.
    open: bool,
}

/// Octets that may stand between packets, over a session's life, before the stream is none of ours.
const NOISE_MAX: u64 = 64 * 1024;
/// The login's number.
const LOGIN_NUMBER: u8 = 1;
/// Status reports of everything that ends a message: 2 expired, 4 failed, 8 delivered (CIMD2 3-0 §5.2).
const REPORT_ENDS: u32 = 14;
const REPORT_FAILURES: u32 = 6;

impl tcp::Wire for Wire {
    type Login = Login;
    type Writer = Writer;
    type Numbers = Numbers;

    const NAME: &'static str = "CIMD2";
    const TRACED: Protocol = Protocol::Cimd2;
    const LEFT: &'static str = "logged out";
    const LOGIN: &'static str = "login";
    const QUESTION: &'static str = "alive (40)";
    const WINDOW_MAX: u16 = Numbers::COUNT as u16;
    const NUMBERS_RECUR: bool = true;

    fn begin(settings: &Settings, tap: Tap) -> Self {
        Self {
            framer: Framer::new(settings.pdu_bytes_max),
            tap,
            with_checksum: !settings.login.no_checksum,
            open: false,
        }
    }

    fn numbers() -> Numbers {
        let mut numbers = Numbers::of_client();
        // The login's own.
        let _ = numbers.take(|_| false);
        numbers
    }

    fn take_number(numbers: &mut Numbers, in_use: impl Fn(u32) -> bool) -> Option<u32> {
        numbers.take(|number| in_use(u32::from(number))).map(u32::from)
    }

    fn writer(settings: &Settings, clock: &Clock) -> Writer {
        Writer { with_checksum: !settings.login.no_checksum, clock: clock.clone() }
    }

    fn log_in(settings: &Settings, _kind: BindKind, out: &mut Vec<u8>) -> Result<bool, String> {
        let mut packet = Packet::new(Operation::LOGIN, LOGIN_NUMBER);
        let fill = |packet: &mut Packet| {
            packet.push(parameter::USER, settings.system_id.as_str())?;
            packet.push(parameter::PASSWORD, settings.password.as_str())?;
            if !settings.login.subaddress.is_empty() {
                packet.push(parameter::SUBADDRESS, settings.login.subaddress.as_str())?;
            }
            if settings.login.announce_window {
                packet.push_number(parameter::WINDOW_SIZE, u32::from(settings.window))?;
            }
            Ok::<(), Unfit>(())
        };
        fill(&mut packet).map_err(|error| error.to_string())?;
        packet.encode(!settings.login.no_checksum, out);
        Ok(true)
    }

    fn submit(writer: &Writer, number: u32, sm: &SmRef<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let mut packet = Packet::new(Operation::SUBMIT, packet_number(number));
        let valid_s = valid_seconds(sm.validity_period, &writer.clock)?;
        fill(&mut packet, sm, valid_s)?;
        packet.encode(writer.with_checksum, out);
        Ok(())
    }

    fn ask(writer: &Writer, number: u32, out: &mut Vec<u8>) {
        Packet::new(Operation::ALIVE, packet_number(number)).encode(writer.with_checksum, out);
    }

    fn log_out(number: u32, out: &mut Vec<u8>) -> bool {
        Packet::new(Operation::LOGOUT, packet_number(number)).encode(true, out);
        true
    }

    fn buffer(&mut self, room: usize) -> &mut Vec<u8> {
        self.framer.buffer(room)
    }

    fn heard(&mut self, _kind: BindKind) -> Result<Option<Heard>, Lost> {
        let with_checksum = self.with_checksum;
        let Some(frame) = self.framer.next_frame() else {
            if self.framer.skipped() > NOISE_MAX {
                let why = "what the peer sends is no CIMD2: nothing but noise between packets".to_owned();
                return Err(Lost { why, last_word: Vec::new() });
            }
            return Ok(None);
        };
        self.tap.read(frame);
        Ok(Some(match Packet::decode(frame) {
            Ok(packet) if !self.open && is_of_login(packet.operation) => {
                let heard = logged_in(packet.error());
                self.open = matches!(heard, Heard::LoggedIn { .. });
                heard
            }
            Ok(packet) => meaning(&packet, with_checksum),
            Err(error) if error.operation.is_some_and(Operation::is_response) => Heard::Odd(Vec::new()),
            Err(error) => Heard::Odd(written(&error.answer(), with_checksum)),
        }))
    }
}

fn packet_number(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn written(packet: &Packet, with_checksum: bool) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(with_checksum, &mut out);
    out
}

/// Seconds that a message stays valid; `None` for the centre's own default.
fn valid_seconds(field: &[u8], clock: &Clock) -> Result<Option<u64>, String> {
    if field.is_empty() {
        return Ok(None);
    }
    let until = SmppTime::parse(field).map_err(|_| "the validity period is no time".to_owned())?;
    let now_ms = clock.now().unix_ms();
    Ok(Some(u64::try_from((until.resolve(now_ms) - now_ms) / 1_000).unwrap_or(0)))
}

/// The parameters of a submit.
fn fill(packet: &mut Packet, sm: &SmRef<'_>, valid_s: Option<u64>) -> Result<(), String> {
    let unfit = |error: Unfit| error.to_string();
    packet.push(parameter::DESTINATION, sm.destination.addr).map_err(unfit)?;
    set_originator(packet, sm).map_err(unfit)?;
    let (header, body) = parted(sm)?;
    let encoding = Encoding::from_data_coding(sm.data_coding.0, Encoding::GSM7);
    let dcs = data_coding_scheme(sm.data_coding.0, encoding);
    let mut rest = || {
        if dcs != 0 {
            packet.push_number(parameter::DATA_CODING, u32::from(dcs))?;
        }
        if !header.is_empty() {
            packet.push_hex(parameter::USER_DATA_HEADER, header)?;
        }
        match encoding {
            Encoding::Gsm7(_) => packet.push(parameter::USER_DATA, text::encode(body))?,
            _ => packet.push_hex(parameter::USER_DATA_BINARY, body)?,
        }
        if let Some(seconds) = valid_s {
            packet.push_number(parameter::VALIDITY_RELATIVE, u32::from(period::from_seconds(seconds)))?;
        }
        if sm.protocol_id != 0 {
            packet.push_number(parameter::PROTOCOL_ID, u32::from(sm.protocol_id))?;
        }
        let wanted = sm.registered_delivery;
        let bits = match (wanted.on_success(), wanted.on_failure()) {
            (true, _) => REPORT_ENDS,
            (false, true) => REPORT_FAILURES,
            (false, false) => 0,
        };
        packet.push_number(parameter::STATUS_REPORT_REQUEST, bits)
    };
    rest().map_err(unfit)
}

fn set_originator(packet: &mut Packet, sm: &SmRef<'_>) -> Result<(), Unfit> {
    if sm.source.addr.is_empty() {
        return Ok(());
    }
    let sender = String::from_utf8_lossy(sm.source.addr);
    let is_number = sender.trim_start_matches('+').bytes().all(|octet| octet.is_ascii_digit());
    if is_number && sm.source.ton != Ton::ALPHANUMERIC {
        packet.push(parameter::ORIGINATOR, sm.source.addr)
    } else {
        let septets = gsm::encode_lossy(&sender, Alphabet::DEFAULT);
        packet.push(parameter::ALPHANUMERIC_ORIGINATOR, text::encode(&septets))
    }
}

/// One whole packet of the peer.
fn meaning(packet: &Packet, with_checksum: bool) -> Heard {
    let number = u32::from(packet.number);
    let answered = |answer| Heard::Answered { number, answer, congestion: None };
    match packet.operation {
        Operation::DELIVER => match inbound(packet) {
            Some(sm) => Heard::Delivered(Content::Sm(Box::new(sm)), owed(packet, with_checksum)),
            None => Heard::Odd(written(&packet.refusal(ErrorCode::USER_DATA), with_checksum)),
        },
        Operation::STATUS_REPORT => {
            Heard::Delivered(Content::Receipt(receipt(packet)), owed(packet, with_checksum))
        }
        Operation::ALIVE => Heard::Asked(written(&packet.answer(), with_checksum)),
        Operation::LOGOUT => Heard::Left(written(&packet.answer(), with_checksum)),
        other if Some(other) == Operation::LOGOUT.response() => Heard::MayLeave,
        other if Some(other) == Operation::ALIVE.response() => Heard::Alive,
        other if Some(other) == Operation::SUBMIT.response() => answered(match packet.error() {
            Some(error) => Answer::refused(Refusal::Cimd(error)),
            None => {
                let (to, at) = (packet.text(parameter::DESTINATION), packet.text(parameter::TIME_STAMP));
                Answer::Accepted { message_id: named_by_time(&to, &at) }
            }
        }),
        Operation::GENERAL_ERROR | Operation::NACK => {
            // Of a request that the centre could not read or could not serve.
            let error = packet.error().unwrap_or(ErrorCode::SYSTEM);
            answered(Answer::refused(Refusal::Cimd(error)))
        }
        other if other.is_response() => Heard::Odd(Vec::new()),
        _ => Heard::Odd(written(&packet.refusal(ErrorCode::UNEXPECTED), with_checksum)),
    }
}

fn is_of_login(operation: Operation) -> bool {
    Some(operation) == Operation::LOGIN.response()
        || matches!(operation, Operation::GENERAL_ERROR | Operation::NACK)
}

fn logged_in(error: Option<ErrorCode>) -> Heard {
    match error {
        None => Heard::LoggedIn { peer: String::new() },
        Some(error) => Heard::LoginRefused {
            why: format!("login refused: {error}"),
            lasting: error.class() == cimd::Class::Permanent,
        },
    }
}

fn owed(packet: &Packet, with_checksum: bool) -> Owed {
    let (taken, later, never) =
        (packet.answer(), packet.refusal(ErrorCode(9)), packet.refusal(ErrorCode::DESTINATION));
    Box::new(move |verdict, out| {
        let answer = match verdict {
            Verdict::Taken => taken,
            Verdict::NotNow => later,
            Verdict::Never => never,
        };
        answer.encode(with_checksum, out);
    })
}

/// A message from a phone, in the fields of deliver_sm; `None` where its content cannot be read.
fn inbound(packet: &Packet) -> Option<Sm> {
    let data_coding =
        packet.number_of(parameter::DATA_CODING).and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
    let body = match packet.get(parameter::USER_DATA) {
        Some(user_data) => text::decode(user_data),
        None if packet.get(parameter::USER_DATA_BINARY).is_some() => {
            packet.octets(parameter::USER_DATA_BINARY)?
        }
        None => Vec::new(),
    };
    let header = packet.octets(parameter::USER_DATA_HEADER).filter(|header| !header.is_empty());
    let mut short_message = header.clone().unwrap_or_default();
    short_message.extend_from_slice(&body);
    let source = match packet.get(parameter::ALPHANUMERIC_ORIGINATOR) {
        Some(letters) => {
            Address::alphanumeric(gsm::decode(&text::decode(letters), Alphabet::DEFAULT).as_str())
        }
        None => number(&packet.text(parameter::ORIGINATOR)),
    };
    Some(Sm {
        source,
        destination: number(&packet.text(parameter::DESTINATION)),
        esm_class: EsmClass::DEFAULT.with_udhi(header.is_some()),
        data_coding: smpp::DataCoding(data_coding),
        short_message,
        ..Sm::default()
    })
}

fn number(text: &str) -> Address {
    let digits = text.trim_start_matches('+');
    if text.starts_with('+') || digits.len() > 6 {
        Address::international(digits)
    } else {
        Address::new(Ton::UNKNOWN, Npi::UNKNOWN, digits)
    }
}

fn receipt(packet: &Packet) -> Receipt {
    let status =
        packet.number_of(parameter::STATUS).and_then(|code| u16::try_from(code).ok()).map(StatusCode);
    let state = match status {
        Some(StatusCode::DELIVERED) => MessageState::Delivered,
        Some(StatusCode::EXPIRED) => MessageState::Expired,
        Some(StatusCode::CANCELLED | StatusCode::DELETED | StatusCode::DELETED_BY_CANCEL) => {
            MessageState::Deleted
        }
        Some(status) if status.is_final() => MessageState::Undeliverable,
        Some(StatusCode::IN_PROCESS | StatusCode::NO_RESPONSE) => MessageState::Enroute,
        Some(_) | None => MessageState::Unknown,
    };
    let phone = packet.text(parameter::DESTINATION);
    Receipt {
        message_id: named_by_time(&phone, &packet.text(parameter::TIME_STAMP)),
        phone,
        sender: packet.text(parameter::ORIGINATOR),
        state,
        error: packet
            .number_of(parameter::STATUS_ERROR)
            .filter(|code| *code > 0)
            .map(|code| format!("{code:03}")),
    }
}

#[cfg(test)]
mod tests;
