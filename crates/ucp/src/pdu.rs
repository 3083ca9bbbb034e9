//! Whole operations and results: `TRN/LEN/O|R/OT/…/CK` (EMI/UCP 5.2 §3).

use std::fmt;

use crate::{Alert, Call, ETX, ErrorCode, Operation, STX, Session, ShortMessage, TRNS, Transfer};

/// Octets from STX to ETX, both excluded, that LEN can say.
const LEN_MAX: usize = 99_999;
/// The header and its separators, `00/00000/O/00/`.
const HEADER: usize = 14;

/// One operation or result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdu {
    /// Transaction reference number, 0 to 99; a result has that of its operation.
    pub trn: u8,
    /// What it is.
    pub body: Body,
}

/// What a PDU is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Operation 01.
    Call(Call),
    /// Operation 30.
    Transfer(Transfer),
    /// Operation 31.
    Alert(Alert),
    /// An operation of the 5x-series.
    Message(Operation, Box<ShortMessage>),
    /// Operation 60 or 61.
    Session(Operation, Session),
    /// An operation that is not read here, with its fields.
    Other(Operation, Vec<String>),
    /// The result of an operation.
    Result(Operation, Outcome),
}

/// What a result says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `A`.
    Ack {
        /// The validity period that the centre chose instead, in results of 30 and of the 5x-series.
        modified_validity: String,
        /// System message; for 51 `AdC:SCTS`, the name of the message.
        message: String,
    },
    /// `N`.
    Nack {
        /// Why.
        error: ErrorCode,
        /// System message: free text.
        message: String,
    },
}

impl Outcome {
    /// A positive result with this system message.
    #[must_use]
    pub fn ack(message: impl Into<String>) -> Self {
        Self::Ack { modified_validity: String::new(), message: message.into() }
    }

    /// A negative result without words.
    #[must_use]
    pub fn nack(error: ErrorCode) -> Self {
        Self::Nack { error, message: String::new() }
    }
}

/// A frame that cannot be read, with what could be read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// 01 checksum, or 02 syntax.
    pub error: ErrorCode,
    /// Its number, where it could be read.
    pub trn: Option<u8>,
    /// Its operation, where it could be read.
    pub operation: Option<Operation>,
    /// Whether it is a result, which nobody answers.
    pub is_result: bool,
}

impl DecodeError {
    /// The negative result to answer; zeros stand for what could not be read.
    #[must_use]
    pub fn answer(self) -> Pdu {
        let operation = self.operation.unwrap_or(Operation(0));
        Pdu { trn: self.trn.unwrap_or(0), body: Body::Result(operation, Outcome::nack(self.error)) }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unreadable frame: {}", self.error)
    }
}

impl std::error::Error for DecodeError {}

/// A field holds what cannot be written: a separator, a control character, nothing of ASCII, or too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field holds what a UCP frame cannot carry")
    }
}

impl std::error::Error for Unfit {}

/// The checksum of everything from after STX up to and including the last separator: the low eight bits of the sum.
#[must_use]
pub fn checksum(octets: &[u8]) -> u8 {
    octets.iter().fold(0, |sum, octet| sum.wrapping_add(*octet))
}

impl Pdu {
    /// A PDU.
    #[must_use]
    pub fn new(trn: u8, body: Body) -> Self {
        Self { trn, body }
    }

    /// The result of this operation.
    #[must_use]
    pub fn answer(&self, outcome: Outcome) -> Self {
        Self { trn: self.trn, body: Body::Result(self.operation(), outcome) }
    }

    /// Its operation type; of a result that of the operation.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match &self.body {
            Body::Call(_) => Operation::CALL,
            Body::Transfer(_) => Operation::TRANSFER,
            Body::Alert(_) => Operation::ALERT,
            Body::Message(operation, _)
            | Body::Session(operation, _)
            | Body::Other(operation, _)
            | Body::Result(operation, _) => *operation,
        }
    }

    /// Reads what stands between STX and ETX.
    ///
    /// # Errors
    /// A header that is none, a length or checksum that is not the frame's own, octets that are not printable ASCII.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let mut error =
            DecodeError { error: ErrorCode::SYNTAX, trn: None, operation: None, is_result: false };
        let text = std::str::from_utf8(frame).map_err(|_| error)?;
        let mut head = text.splitn(5, '/');
        let mut next = || head.next().unwrap_or_default();
        let (trn, len, kind, ot, rest) = (next(), next(), next(), next(), next());
        let trn = number(trn, 2).and_then(|trn| u8::try_from(trn).ok());
        error.trn = trn;
        error.is_result = kind == "R";
        error.operation = number(ot, 2).and_then(|ot| u8::try_from(ot).ok()).map(Operation);
        let (Some(trn), Some(operation)) = (trn, error.operation) else { return Err(error) };
        let printable = frame.iter().all(|octet| (b' '..=b'~').contains(octet));
        if !printable || number(len, 5) != Some(frame.len()) || !matches!(kind, "O" | "R") {
            return Err(error);
        }
        let Some((data, sum)) = rest.rsplit_once('/') else { return Err(error) };
        let digits = crate::hex::decode(sum).filter(|sum| sum.len() == 1);
        if digits != Some(vec![checksum(&frame[..frame.len() - sum.len()])]) {
            return Err(DecodeError { error: ErrorCode::CHECKSUM, ..error });
        }
        let body =
            if error.is_result { result(operation, data) } else { Some(operation_body(operation, data)) };
        body.map(|body| Self { trn, body }).ok_or(error)
    }

    /// Appends the frame from STX to ETX.
    ///
    /// # Errors
    /// [`Unfit`]; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (kind, fields) = self.fields();
        let printable =
            |field: &&str| field.bytes().all(|octet| (b' '..=b'~').contains(&octet) && octet != b'/');
        let data: usize = fields.iter().map(|field| field.len() + 1).sum();
        let length = HEADER + data + 2;
        if self.trn >= TRNS || self.operation().0 > 99 || length > LEN_MAX || !fields.iter().all(printable) {
            return Err(Unfit);
        }
        out.reserve(length + 2);
        out.push(STX);
        let start = out.len();
        out.extend_from_slice(format!("{:02}/{length:05}/{kind}/{}/", self.trn, self.operation()).as_bytes());
        for field in fields {
            out.extend_from_slice(field.as_bytes());
            out.push(b'/');
        }
        let sum = checksum(&out[start..]);
        out.extend_from_slice(format!("{sum:02X}").as_bytes());
        out.push(ETX);
        Ok(())
    }

    fn fields(&self) -> (char, Vec<&str>) {
        match &self.body {
            Body::Call(call) => ('O', call.fields()),
            Body::Transfer(transfer) => ('O', transfer.fields()),
            Body::Alert(alert) => ('O', alert.fields()),
            Body::Message(_, message) => ('O', message.fields().to_vec()),
            Body::Session(_, session) => ('O', session.fields()),
            Body::Other(_, fields) => ('O', fields.iter().map(String::as_str).collect()),
            Body::Result(operation, Outcome::Ack { modified_validity, message }) => {
                if operation.acknowledges_validity() {
                    ('R', vec!["A", modified_validity, message])
                } else {
                    ('R', vec!["A", message])
                }
            }
            Body::Result(_, Outcome::Nack { error, message }) => {
                ('R', vec!["N", two_digits(*error), message])
            }
        }
    }
}

/// Digits, exactly so many.
fn number(text: &str, digits: usize) -> Option<usize> {
    (text.len() == digits && text.bytes().all(|octet| octet.is_ascii_digit())).then(|| text.parse().ok())?
}

fn two_digits(error: ErrorCode) -> &'static str {
    const DIGITS: &str = "00010203040506070809101112131415161718192021222324252627282930313233343536373839\
        4041424344454647484950515253545556575859606162636465666768697071727374757677787980818283848586878889\
        90919293949596979899";
    let at = usize::from(error.0.min(99)) * 2;
    &DIGITS[at..at + 2]
}

fn operation_body(operation: Operation, data: &str) -> Body {
    let fields = data.split('/');
    match operation {
        Operation::CALL => Body::Call(Call::read(fields)),
        Operation::TRANSFER => Body::Transfer(Transfer::read(fields)),
        Operation::ALERT => Body::Alert(Alert::read(fields)),
        Operation::SESSION | Operation::LIST => Body::Session(operation, Session::read(fields)),
        message if message.is_message() => Body::Message(message, Box::new(ShortMessage::read(fields))),
        other => Body::Other(other, fields.map(str::to_owned).collect()),
    }
}

/// `A` with one or two fields, or `N` with two; a peer that leaves empty ones out is understood all the same.
fn result(operation: Operation, data: &str) -> Option<Body> {
    let fields: Vec<&str> = data.split('/').collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
    let outcome = match fields.first().copied()? {
        "A" if operation.acknowledges_validity() && fields.len() >= 3 => {
            Outcome::Ack { modified_validity: field(1), message: field(2) }
        }
        "A" if field(1).is_empty() => Outcome::ack(field(2)),
        "A" => Outcome::ack(field(1)),
        "N" => {
            let error = field(1).parse().ok().filter(|error| *error <= 99)?;
            Outcome::Nack { error: ErrorCode(error), message: field(2) }
        }
        _ => return None,
    };
    Some(Body::Result(operation, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(frame: &str) -> Result<Pdu, DecodeError> {
        Pdu::decode(frame.as_bytes())
    }

    #[test]
    fn what_is_damaged_is_told_apart() {
        assert!(decoded("00/00022/R/51/N/31//07").is_ok());
        let told = |frame| decoded(frame).map_err(|error| (error.error, error.trn, error.operation));
        let alert = Some(Operation::ALERT);
        assert_eq!(told("02/00035/O/31/0234765439845/0139/A1"), Err((ErrorCode::CHECKSUM, Some(2), alert)));
        assert_eq!(told("02/00036/O/31/0234765439845/0139/A0"), Err((ErrorCode::SYNTAX, Some(2), alert)));
        assert_eq!(told("02"), Err((ErrorCode::SYNTAX, Some(2), None)));
        assert_eq!(told(""), Err((ErrorCode::SYNTAX, None, None)));
        assert_eq!(told("2/é"), Err((ErrorCode::SYNTAX, None, None)));
    }

    #[test]
    fn the_answer_to_a_damaged_frame_names_what_could_be_read() {
        let error = decoded("02/00035/O/31/0234765439845/0139/A1").unwrap_err();
        let mut out = Vec::new();
        error.answer().encode(&mut out).unwrap();
        assert_eq!(out, b"\x0202/00022/R/31/N/01//04\x03");
    }

    #[test]
    fn what_does_not_fit_leaves_the_buffer_as_it_was() {
        let mut out = b"before".to_vec();
        for adc in ["1/2", "1\x03", "é"] {
            let alert = Alert { adc: adc.into(), ..Alert::default() };
            assert_eq!(Pdu::new(1, Body::Alert(alert)).encode(&mut out), Err(Unfit));
        }
        assert_eq!(Pdu::new(100, Body::Alert(Alert::default())).encode(&mut out), Err(Unfit));
        assert_eq!(out, b"before");
    }

    #[test]
    fn every_error_has_its_two_digits() {
        for code in 0..=99 {
            assert_eq!(two_digits(ErrorCode(code)), format!("{code:02}"));
        }
    }
}
