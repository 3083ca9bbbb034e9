//! Writing the deliver_sm of a push (SMPP v5 §4.3.1, v3.4 appendix B).

use std::io::Write;

use smpp::{
    AddressRef, COctetString, DataCoding, DataSm, EncodeError, EsmClass, MessageState, NetworkErrorCode, Npi,
    Pdu, SmRef, Status, Tlvs, Ton, Version, encode_deliver_sm,
};
use sms::receipt::{Date, WithSeconds};
use sms::{Encoding, Receipt, segment};
use types::{Address, Timestamp};

use crate::account::{AccountSettings, ReceiptDates, ReceiptFormat, ReceiptsIn};
use crate::fault::Reason;
use crate::journal::By;
use crate::message::State;
use crate::push::{Push, PushKind};

/// A push as the parts it is given in, each with its esm_class and text.
pub(crate) struct Parts {
    parts: Vec<(EsmClass, Vec<u8>)>,
    data_coding: DataCoding,
    tlvs: Tlvs,
    /// A data_sm, whose text stands in message_payload.
    as_data: bool,
}

/// network_error_code's network for an error that is the status of another SMPP centre.
const NETWORK_SMPP: u8 = 7;
/// And for one that only that centre knows (SMPP v5 §4.8.4.42).
const NETWORK_CENTRE: u8 = 8;

/// What is to be sent for a push, to a peer of this version, as its account wants it.
///
/// A message that is too long for one part is given as a phone would have sent it, in parts with a user data header: every
/// client joins those, while message_payload is unknown to many. That stands in for more than 255 parts only.
///
/// # Errors
/// Why it can never be sent.
pub(crate) fn parts(
    push: &Push,
    version: Version,
    settings: &AccountSettings,
) -> Result<Parts, &'static str> {
    match &push.kind {
        PushKind::Receipt { state, error } => {
            let esm_class = if state.is_final() { EsmClass::RECEIPT } else { INTERMEDIATE };
            let error = error.as_deref().filter(|_| *state != State::Delivered);
            receipt(push, (esm_class, state.receipt()), error, version, settings)
        }
        PushKind::Notice { state, error } => {
            receipt(push, (INTERMEDIATE, *state), error.as_deref(), version, settings)
        }
        PushKind::Ack { by, words } => Ok(acknowledgement(push, *by, words, version, settings)),
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
        if self.as_data {
            let data = DataSm {
                source: smpp_address(&push.sender),
                destination: smpp_address(&push.recipient),
                esm_class: *esm_class,
                data_coding: self.data_coding,
                tlvs: self.tlvs.clone(),
                ..DataSm::default()
            };
            return Pdu::DataSm(data).encode(sequence, Status::ROK, out);
        }
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

fn smpp_address(address: &Address) -> smpp::Address {
    smpp::Address {
        ton: Ton(address.ton.0),
        npi: Npi(address.npi.0),
        addr: COctetString::from(address.text.as_str()),
    }
}

/// SMPP v5 §4.7.12: what is not the end is an intermediate notification.
const INTERMEDIATE: EsmClass = EsmClass(0x20);
/// The receiving device acknowledges (SMPP v3.4 §5.2.12).
const DELIVERY_ACK: EsmClass = EsmClass(0x08);
/// Its owner does.
const USER_ACK: EsmClass = EsmClass(0x10);
/// What short_message holds in SMPP 3.4.
const SHORT_MESSAGE_MAX: usize = 254;

fn receipt(
    push: &Push,
    (esm_class, told): (EsmClass, sms::MessageState),
    error: Option<&str>,
    version: Version,
    settings: &AccountSettings,
) -> Result<Parts, &'static str> {
    let id = settings.id_form.write(push.message);
    let (err, network) = error_of(error, settings);
    let receipt = Receipt {
        id: Some(id.as_str().into()),
        sub: Some(1),
        dlvrd: Some(u32::from(told == sms::MessageState::Delivered)),
        submit_date: date(push.accepted_at),
        done_date: date(push.at),
        state: Some(told),
        err: Some(&err),
        ..Receipt::default()
    };
    let mut text = Vec::with_capacity(128);
    if settings.receipt_format != ReceiptFormat::Tlvs || !version.has_tlvs() {
        let written = match settings.receipt_dates {
            ReceiptDates::Minutes => write!(text, "{receipt}"),
            ReceiptDates::Seconds => write!(text, "{}", WithSeconds(&receipt)),
        };
        written.expect("a vector takes everything");
    }
    let mut tlvs = Tlvs::new();
    if version.has_tlvs() && settings.receipt_format != ReceiptFormat::Text {
        let id = COctetString::from(id.as_str());
        tlvs.set_receipted_message_id(&id).expect("19 octets are not too many");
        tlvs.set_message_state(MessageState(told.number()));
        if let Some(network) = network {
            tlvs.set_network_error_code(network);
        }
    }
    // Whoever cannot be sent optional parameters cannot be sent a data_sm either, which has no other place for a text.
    let as_data = settings.receipts_in == ReceiptsIn::DataSm && version.has_tlvs();
    if as_data && !text.is_empty() {
        tlvs.set_message_payload(&text).map_err(|_| "longer than any message can be")?;
    }
    Ok(Parts { parts: vec![(esm_class, text)], data_coding: DataCoding::DEFAULT, tlvs, as_data })
}

/// What a phone said for itself (SMPP v3.4 §2.11): its words, with the message's id beside them, or before them for a peer
/// without optional parameters.
fn acknowledgement(push: &Push, by: By, words: &str, version: Version, settings: &AccountSettings) -> Parts {
    let id = settings.id_form.write(push.message);
    let mut tlvs = Tlvs::new();
    let mut text = if version.has_tlvs() {
        let id = COctetString::from(id.as_str());
        tlvs.set_receipted_message_id(&id).expect("19 octets are not too many");
        Encoding::GSM7.encode_lossy(words)
    } else {
        Encoding::GSM7.encode_lossy(&format!("id:{id} text:{words}"))
    };
    text.truncate(SHORT_MESSAGE_MAX);
    let esm_class = match by {
        By::Device => DELIVERY_ACK,
        By::Person => USER_ACK,
    };
    Parts { parts: vec![(esm_class, text)], data_coding: DataCoding::DEFAULT, tlvs, as_data: false }
}

/// The instant as a date in UTC.
fn date(at: Timestamp) -> Option<Date> {
    smpp::time::format_absolute(at.unix_ms(), 0).ok().and_then(|digits| Date::parse(&digits.as_str()))
}

/// `err`, three characters, and network_error_code for the reason that stands with the message: a carrier's own error, the
/// name of an SMPP status, or words of ours, which have no number.
fn error_of(error: Option<&str>, settings: &AccountSettings) -> (String, Option<NetworkErrorCode>) {
    let Some(error) = error else { return ("000".to_owned(), None) };
    let reason = Reason::read(error);
    let (err, network) = carriers_error(reason.raw.trim());
    (settings.code_of(reason).unwrap_or(err), network)
}

fn carriers_error(error: &str) -> (String, Option<NetworkErrorCode>) {
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
    Ok(Parts { parts, data_coding: DataCoding(data_coding), tlvs, as_data: false })
}

/// The reference that a message's parts share: the same whenever it is given again, and seldom that of its neighbours,
/// whose ids differ in the milliseconds or in the counter below.
fn reference(id: i64) -> u16 {
    ((id >> 21) ^ id) as u16
}

#[cfg(test)]
mod tests;
