//! Packets: `ZZ:NNN` TAB `PPP:value` TAB … and perhaps a checksum (CIMD2 3-0 §3.2).

use std::fmt;

use crate::{ETX, ErrorCode, Operation, Parameter, STX, parameter};

const TAB: u8 = 0x09;
/// Parameters that one packet may have; a submit has at most twenty kinds, and lists of destinations are what can be longer.
const PARAMETERS_MAX: usize = 256;

/// One request or response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub operation: Operation,
    /// Its number; a response has that of its request.
    pub number: u8,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
}

/// A packet that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Its number, where it could be read: the nack carries it.
    pub number: Option<u8>,
    /// Its operation, where it could be read.
    pub operation: Option<Operation>,
    /// What is wrong, in words.
    pub why: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unreadable packet: {}", self.why)
    }
}

impl std::error::Error for DecodeError {}

impl DecodeError {
    /// The nack to answer (99): please send it again.
    #[must_use]
    pub fn answer(self) -> Packet {
        Packet::new(Operation::NACK, self.number.unwrap_or(0))
    }
}

/// A value that its parameter cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Which parameter.
    pub code: u16,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameter {:03} cannot have this value", self.code)
    }
}

impl std::error::Error for Unfit {}

impl Packet {
    /// A packet without parameters.
    #[must_use]
    pub fn new(operation: Operation, number: u8) -> Self {
        Self { operation, number, parameters: Vec::new() }
    }

    /// The response to this request, without parameters. What is no request is answered by a nack.
    #[must_use]
    pub fn answer(&self) -> Self {
        Self::new(self.operation.response().unwrap_or(Operation::NACK), self.number)
    }

    /// The response that refuses this request.
    #[must_use]
    pub fn refusal(&self, error: ErrorCode) -> Self {
        let mut answer = self.answer();
        answer.parameters.push(Parameter { code: parameter::ERROR, value: error.0.to_string().into_bytes() });
        answer
    }

    /// Appends a parameter.
    ///
    /// # Errors
    /// A value that is longer than its parameter may be, or holds what separates packets and parameters.
    pub fn push(&mut self, code: u16, value: impl Into<Vec<u8>>) -> Result<(), Unfit> {
        let value = value.into();
        let separates = |octet: &u8| matches!(*octet, 0 | STX | ETX | TAB);
        let full = self.parameters.len() >= PARAMETERS_MAX;
        if full || code > 999 || value.len() > parameter::value_max(code) || value.iter().any(separates) {
            return Err(Unfit { code });
        }
        self.parameters.push(Parameter { code, value });
        Ok(())
    }

    /// Appends a number.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_number(&mut self, code: u16, value: u32) -> Result<(), Unfit> {
        self.push(code, value.to_string())
    }

    /// Appends octets in hexadecimal.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_hex(&mut self, code: u16, octets: &[u8]) -> Result<(), Unfit> {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 0x0F]);
        self.push(code, digits.map(|digit| DIGITS[usize::from(digit)]).collect::<Vec<u8>>())
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, code: u16) -> Option<&[u8]> {
        self.parameters.iter().find(|parameter| parameter.code == code).map(|parameter| &parameter.value[..])
    }

    /// The first value of a parameter as text, octets above ASCII read as Latin-1; empty where it is not there.
    #[must_use]
    pub fn text(&self, code: u16) -> String {
        self.get(code).unwrap_or_default().iter().copied().map(char::from).collect()
    }

    /// The first value of a parameter as a number; `None` where it is not there or is none.
    #[must_use]
    pub fn number_of(&self, code: u16) -> Option<i32> {
        std::str::from_utf8(self.get(code)?).ok()?.trim().parse().ok()
    }

    /// The first value of a parameter as the octets that its hexadecimal digits stand for; `None` where it is not there
    /// or they do not.
    #[must_use]
    pub fn octets(&self, code: u16) -> Option<Vec<u8>> {
        let digits = self.get(code)?;
        if !digits.len().is_multiple_of(2) {
            return None;
        }
        let digit = |octet: u8| char::from(octet).to_digit(16);
        digits.chunks(2).map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()).collect()
    }

    /// The error that this response carries; `None` where it carries none, or 0. A general error and a nack are errors
    /// also without a number.
    #[must_use]
    pub fn error(&self) -> Option<ErrorCode> {
        let code = self
            .number_of(parameter::ERROR)
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| *code > 0);
        match self.operation {
            Operation::GENERAL_ERROR => Some(code.map_or(ErrorCode::SYSTEM, ErrorCode)),
            // What could not be read may be read the next time.
            Operation::NACK => Some(code.map_or(ErrorCode::UNEXPECTED, ErrorCode)),
            _ => code.map(ErrorCode),
        }
    }

    /// Reads what stands between STX and ETX.
    ///
    /// # Errors
    /// A header or a parameter that is none, or a checksum that is not the packet's own. A packet without one is taken.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let mut error = DecodeError { number: None, operation: None, why: "no header" };
        let mut pieces = frame.split(|octet| *octet == TAB);
        let head = pieces.next().unwrap_or_default();
        error.operation =
            head.get(..2).and_then(digits).and_then(|code| u8::try_from(code).ok()).map(Operation);
        let behind_colon = head.get(2..).and_then(|rest| rest.strip_prefix(b":"));
        error.number = behind_colon.and_then(digits).and_then(|number| u8::try_from(number).ok());
        let (Some(operation), Some(number)) = (error.operation, error.number) else { return Err(error) };
        if head.len() != 6 {
            return Err(error);
        }
        let mut pieces: Vec<&[u8]> = pieces.collect();
        let Some(sum) = pieces.pop() else {
            return Err(DecodeError { why: "no end of the header", ..error });
        };
        if !sum.is_empty() && hex_octet(sum) != Some(checksum(&frame[..frame.len() - sum.len()])) {
            return Err(DecodeError { why: "wrong checksum", ..error });
        }
        if pieces.len() > PARAMETERS_MAX {
            return Err(DecodeError { why: "too many parameters", ..error });
        }
        let parameters: Option<Vec<_>> = pieces.into_iter().map(read_parameter).collect();
        let parameters = parameters.ok_or(DecodeError { why: "a parameter without a number", ..error })?;
        Ok(Self { operation, number, parameters })
    }

    /// The packet from STX to ETX, with its checksum.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(true, &mut out);
        out
    }

    /// Appends the packet from STX to ETX, with or without a checksum, which peers must not insist on.
    pub fn encode(&self, with_checksum: bool, out: &mut Vec<u8>) {
        out.push(STX);
        let start = out.len();
        // Two digits hold no more; an operation above them is none.
        out.extend_from_slice(format!("{:02}:{:03}\t", self.operation.0.min(99), self.number).as_bytes());
        for Parameter { code, value } in &self.parameters {
            out.extend_from_slice(format!("{:03}:", code.min(&999)).as_bytes());
            out.extend_from_slice(value);
            out.push(TAB);
        }
        if with_checksum {
            let sum = checksum(&out[start..]);
            out.extend_from_slice(format!("{sum:02X}").as_bytes());
        }
        out.push(ETX);
    }
}

/// The low eight bits of the sum of all octets from STX, which is not among these, to the last TAB.
fn checksum(octets: &[u8]) -> u8 {
    octets.iter().fold(STX, |sum, octet| sum.wrapping_add(*octet))
}

fn digits(octets: &[u8]) -> Option<u16> {
    let all = !octets.is_empty() && octets.len() <= 3 && octets.iter().all(u8::is_ascii_digit);
    all.then(|| octets.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

fn hex_octet(digits: &[u8]) -> Option<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16);
    match digits {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    }
}

fn read_parameter(piece: &[u8]) -> Option<Parameter> {
    let code = digits(piece.get(..3)?)?;
    (piece.get(3) == Some(&b':')).then(|| Parameter { code, value: piece[4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(packet: &[u8]) -> Result<Packet, DecodeError> {
        Packet::decode(packet)
    }

    #[test]
    fn a_login_with_and_without_its_checksum() {
        let mut login = Packet::new(Operation::LOGIN, 1);
        login.push(parameter::USER, "user1").unwrap();
        login.push(parameter::PASSWORD, "qwerty").unwrap();
        let wire = login.encoded();
        assert_eq!(wire, b"\x0201:001\t010:user1\t011:qwerty\t7C\x03");
        assert_eq!(frame(&wire[1..wire.len() - 1]), Ok(login.clone()));
        assert_eq!(frame(b"01:001\t010:user1\t011:qwerty\t"), Ok(login));
    }

    #[test]
    fn what_is_damaged_says_how_and_what_it_was() {
        let told = |octets| frame(octets).map_err(|error| (error.why, error.number));
        assert_eq!(told(b"01:001\t010:user1\t00"), Err(("wrong checksum", Some(1))));
        assert_eq!(told(b"01:001\t010:user1\t0"), Err(("wrong checksum", Some(1))));
        assert_eq!(told(b"01:001\tuser\t"), Err(("a parameter without a number", Some(1))));
        assert_eq!(told(b"01:001"), Err(("no end of the header", Some(1))));
        assert_eq!(told(b"1:001\t"), Err(("no header", None)));
        assert_eq!(told(b"01:300\t"), Err(("no header", None)));
        assert_eq!(told(b""), Err(("no header", None)));
        let nack = frame(b"03:007\tx\t").unwrap_err().answer();
        assert_eq!((nack.operation, nack.number), (Operation::NACK, 7));
    }

    #[test]
    fn refusals_carry_their_number() {
        let submit = Packet::new(Operation::SUBMIT, 9);
        assert_eq!(submit.answer().error(), None);
        let refusal = submit.refusal(ErrorCode::DESTINATION);
        assert_eq!((refusal.operation, refusal.error()), (Operation(53), Some(ErrorCode(300))));
        assert_eq!(Packet::new(Operation::GENERAL_ERROR, 9).error(), Some(ErrorCode::SYSTEM));
        assert_eq!(Packet::new(Operation::NACK, 9).error(), Some(ErrorCode::UNEXPECTED));
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let mut packet = Packet::new(Operation::SUBMIT, 3);
        assert_eq!(packet.push(parameter::DESTINATION, "1".repeat(21)), Err(Unfit { code: 21 }));
        assert_eq!(packet.push(parameter::USER_DATA, "a\tb"), Err(Unfit { code: 33 }));
        assert_eq!(packet.push_hex(parameter::USER_DATA_BINARY, &[0x04, 0xFE]), Ok(()));
        assert_eq!(packet.octets(parameter::USER_DATA_BINARY), Some(vec![0x04, 0xFE]));
        packet.push_number(parameter::STATUS_REPORT_REQUEST, 14).unwrap();
        assert_eq!(packet.number_of(parameter::STATUS_REPORT_REQUEST), Some(14));
    }
}
