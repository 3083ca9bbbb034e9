//! Writing the deliver_sm of a push (SMPP v5 §4.3.1, v3.4 appendix B).

use std::io::Write;

use smpp::{
    AddressRef, COctetString, DataCoding, EncodeError, EsmClass, MessageState, NetworkErrorCode, Npi, SmRef,
    Status, Tlvs, Ton, Version, encode_deliver_sm,
};
use sms::receipt::Date;
use sms::{Encoding, Receipt, segment};
use types::{Address, Timestamp};

use crate::message::State;
use crate::push::{Push, PushKind};

/// A push as the parts it is given in, each with its esm_class and text.
pub(crate) struct Parts {
    parts: Vec<(EsmClass, Vec<u8>)>,
    data_coding: DataCoding,
    tlvs: Tlvs,
}

/// network_error_code's network for an error that is the status of another SMPP centre.
const NETWORK_SMPP: u8 = 7;
/// And for one that only that centre knows (SMPP v5 §4.8.4.42).
const NETWORK_CENTRE: u8 = 8;

/// What is to be sent for a push, to a peer of this version.
///
/// A message that is too long for one part is given as a phone would have sent it, in parts with a user data header: every
/// client joins those, while message_payload is unknown to many. That stands in for more than 255 parts only.
///
/// # Errors
/// Why it can never be sent.
pub(crate) fn parts(push: &Push, version: Version) -> Result<Parts, &'static str> {
    match &push.kind {
        PushKind::Receipt { state, error } => Ok(receipt(push, *state, error.as_deref(), version)),
        PushKind::Message { data_coding, body } => message(push, *data_coding, body, version),
    }
}

impl Parts {
    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.parts.len()
    }

    /// Appends one of them, counted from 0, to `out`.
    ///
    /// # Errors
    /// A field that does not fit; `out` is as it was.
    pub(crate) fn encode(
        &self,
        part: usize,
        push: &Push,
        sequence: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let (esm_class, text) = &self.parts[part];
        let sm = SmRef {
            source: address(&push.sender),
            destination: address(&push.recipient),
            esm_class: *esm_class,
            data_coding: self.data_coding,
            short_message: text,
            tlvs: self.tlvs.view(),
            ..SmRef::default()
        };
        encode_deliver_sm(sequence, &sm, out)
    }
}

fn address(address: &Address) -> AddressRef<'_> {
    AddressRef { ton: Ton(address.ton.0), npi: Npi(address.npi.0), addr: address.text.as_bytes() }
}

fn receipt(push: &Push, state: State, error: Option<&str>, version: Version) -> Parts {
    let id = push.message.bare();
    let (err, network) = error_of(state, error);
    let told = state.receipt();
    let receipt = Receipt {
        id: Some(id.as_str().into()),
        sub: Some(1),
        dlvrd: Some(u32::from(state == State::Delivered)),
        submit_date: date(push.accepted_at),
        done_date: date(push.at),
        state: Some(told),
        err: Some(&err),
        ..Receipt::default()
    };
    let mut text = Vec::with_capacity(128);
    write!(text, "{receipt}").expect("a vector takes everything");
    let mut tlvs = Tlvs::new();
    if version.has_tlvs() {
        let id = COctetString::from(id.as_str());
        tlvs.set_receipted_message_id(&id).expect("13 octets are not too many");
        tlvs.set_message_state(MessageState(told.number()));
        if let Some(network) = network {
            tlvs.set_network_error_code(network);
        }
    }
    // SMPP v5 §4.7.12: what is not the end is an intermediate notification.
    let esm_class = if state.is_final() { EsmClass::RECEIPT } else { EsmClass(0x20) };
    Parts { parts: vec![(esm_class, text)], data_coding: DataCoding::DEFAULT, tlvs }
}

/// The instant's ten digits, in UTC.
fn date(at: Timestamp) -> Option<Date> {
    smpp::time::format_absolute(at.unix_ms(), 0).ok().and_then(|digits| Date::parse(&digits.as_str()))
}

/// `err`, three characters, and network_error_code for the reason that stands with the message: a carrier's own error, the
/// name of an SMPP status, or words of ours, which have no number.
fn error_of(state: State, error: Option<&str>) -> (String, Option<NetworkErrorCode>) {
    let Some(error) = error.filter(|_| state != State::Delivered) else { return ("000".to_owned(), None) };
    let error = error.trim();
    if !error.is_empty() && error.len() <= 3 && error.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        let code = error.parse().ok().map(|code| NetworkErrorCode { network: NETWORK_CENTRE, code });
        return (format!("{error:0>3}"), code);
    }
    let named = |word: &str| Status::ALL.iter().find(|status| status.name() == Some(word));
    let words = error.split(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
    match words.filter_map(named).map(|status| status.0).next() {
        Some(code) => {
            let code = u16::try_from(code).unwrap_or(u16::MAX);
            (format!("{code:03}"), Some(NetworkErrorCode { network: NETWORK_SMPP, code }))
        }
        None => (format!("{:03}", Status::RUNKNOWNERR.0), None),
    }
}

fn message(push: &Push, data_coding: u8, body: &[u8], version: Version) -> Result<Parts, &'static str> {
    let encoding = Encoding::from_data_coding(data_coding, Encoding::GSM7);
    let options = segment::Options { reference: reference(push.id), ..segment::Options::default() };
    let mut tlvs = Tlvs::new();
    let parts = match segment(body, encoding, &options) {
        Ok(parts) => parts
            .iter()
            .map(|part| (EsmClass::DEFAULT.with_udhi(part.has_header()), part.short_message()))
            .collect(),
        Err(_) if version.has_tlvs() => {
            tlvs.set_message_payload(body).map_err(|_| "longer than any message can be")?;
            vec![(EsmClass::DEFAULT, Vec::new())]
        }
        Err(_) => return Err("too long for a peer without message_payload"),
    };
    Ok(Parts { parts, data_coding: DataCoding(data_coding), tlvs })
}

/// The reference that a message's parts share: the same whenever it is given again, and seldom that of its neighbours,
/// whose ids differ in the milliseconds or in the counter below.
fn reference(id: i64) -> u16 {
    ((id >> 21) ^ id) as u16
}

#[cfg(test)]
mod tests;
