//! Writing receipts the way centres do (SMPP v3.4 appendix B, and what became of it).

use std::io::Write;

use smpp::{
    AddressRef, COctetString, CommandId, DataCoding, DataSm, EncodeError, EsmClass, MessageState,
    NetworkErrorCode, Pdu, SmRef, Status, Tag, Tlvs,
};

use super::book::Message;
use super::id;
use super::settings::{ReceiptStyle, Settings};

/// Buffers that are used again for each receipt.
#[derive(Debug, Default)]
pub(super) struct Pen {
    id: Vec<u8>,
    text: Vec<u8>,
    wide: Vec<u8>,
    tlvs: Tlvs,
    /// Receipts written, for [`ReceiptStyle::Mixed`].
    written: usize,
}

/// network_error_code for what was not delivered: GSM, absent subscriber.
const ABSENT_SUBSCRIBER: NetworkErrorCode = NetworkErrorCode { network: 3, code: 27 };

impl Pen {
    /// Appends the PDU of a receipt; `tlvs` tells whether the peer's version has any.
    pub(super) fn write(
        &mut self,
        message: &Message,
        settings: &Settings,
        tlvs: bool,
        sequence: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let style = self.style(settings.receipt_style);
        self.id.clear();
        id::write(settings.receipt_id_form, message.id, &mut self.id);
        self.text.clear();
        write_text(style, &self.id, message, &mut self.text);
        self.tlvs.clear();
        let with_tlvs = matches!(
            style,
            ReceiptStyle::Standard | ReceiptStyle::TlvOnly | ReceiptStyle::Payload | ReceiptStyle::DataSm
        );
        if tlvs && with_tlvs {
            self.id.push(0);
            // An id is far shorter than what a TLV holds.
            _ = self.tlvs.push(Tag::RECEIPTED_MESSAGE_ID, &self.id);
            _ = self.tlvs.push(Tag::MESSAGE_STATE, &[message.state.0]);
            if message.state != MessageState::DELIVERED {
                self.tlvs.set_network_error_code(ABSENT_SUBSCRIBER);
            }
        }
        match style {
            ReceiptStyle::DataSm => self.write_data_sm(message, sequence, out),
            _ => self.write_deliver_sm(style, message, sequence, out),
        }
    }

    fn style(&mut self, style: ReceiptStyle) -> ReceiptStyle {
        if style != ReceiptStyle::Mixed {
            return style;
        }
        self.written += 1;
        ReceiptStyle::ALL[self.written % ReceiptStyle::ALL.len()]
    }

    fn write_deliver_sm(
        &mut self,
        style: ReceiptStyle,
        message: &Message,
        sequence: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut text: &[u8] = &self.text;
        let mut data_coding = DataCoding::DEFAULT;
        match style {
            ReceiptStyle::TlvOnly => text = b"",
            ReceiptStyle::Ucs2 => {
                self.wide.clear();
                // Two octets for each of at most 120: the text is cut to what short_message holds.
                self.wide.extend(self.text.iter().take(120).flat_map(|&octet| [0, octet]));
                text = &self.wide;
                data_coding = DataCoding::UCS2;
            }
            ReceiptStyle::Payload => {
                _ = self.tlvs.push(Tag::MESSAGE_PAYLOAD, &self.text);
                text = b"";
            }
            _ => {}
        }
        let esm_class = if style == ReceiptStyle::NoClass { EsmClass::DEFAULT } else { EsmClass::RECEIPT };
        let receipt = SmRef {
            source: message.destination.view(),
            destination: short(message.source.view()),
            esm_class,
            data_coding,
            short_message: text,
            tlvs: self.tlvs.view(),
            ..SmRef::default()
        };
        smpp::encode_deliver_sm(sequence, &receipt, out)
    }

    fn write_data_sm(
        &mut self,
        message: &Message,
        sequence: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        _ = self.tlvs.push(Tag::MESSAGE_PAYLOAD, &self.text);
        let receipt = DataSm {
            source: message.destination.clone(),
            destination: message.source.clone(),
            esm_class: EsmClass::RECEIPT,
            tlvs: self.tlvs.clone(),
            ..DataSm::default()
        };
        Pdu::DataSm(receipt).encode(sequence, Status::ROK, out)
    }
}

/// The address, cut to what a deliver_sm holds; only a data_sm has longer ones.
fn short(address: AddressRef<'_>) -> AddressRef<'_> {
    AddressRef { addr: &address.addr[..address.addr.len().min(20)], ..address }
}

/// The operation that carries receipts in this style.
pub(super) fn is_answer(command: CommandId) -> bool {
    matches!(command, CommandId::DELIVER_SM_RESP | CommandId::DATA_SM_RESP)
}

fn write_text(style: ReceiptStyle, id: &[u8], message: &Message, out: &mut Vec<u8>) {
    let digits = match style {
        ReceiptStyle::Seconds | ReceiptStyle::FullYear => 12,
        _ => 10,
    };
    let century: &[u8] = if style == ReceiptStyle::FullYear { b"20" } else { b"" };
    let delivered = message.state == MessageState::DELIVERED;
    let stat = message.state.abbreviation().unwrap_or("UNKNOWN");
    let (dlvrd, err): (&[u8], &[u8]) = if delivered { (b"001", b"000") } else { (b"000", b"027") };
    let (submitted, done) = (clock_digits(message.submitted_ms), clock_digits(message.done_ms));
    let (submitted, done) = (&submitted[..digits], &done[..digits]);
    let excerpt = message.excerpt.as_bytes();
    let parts: &[&[u8]] = match style {
        ReceiptStyle::TlvOnly => &[],
        ReceiptStyle::Terse => &[b"id:", id, b" stat:", stat.as_bytes(), b" err:", err],
        ReceiptStyle::Spelling => {
            let state = stat.to_ascii_lowercase();
            write!(out, "ID:{} SUB:001 DLVRD:{} ", id.escape_ascii(), dlvrd.escape_ascii())
                .expect("memory takes what is written to it");
            let dates: [&[u8]; 6] =
                [b"SUBMIT_DATE:", submitted, b" DONE_DATE:", done, b" STAT:", state.as_bytes()];
            out.extend(dates.into_iter().flatten());
            &[b" ERR:", err, b" Text:", excerpt]
        }
        ReceiptStyle::Reordered => &[
            b"stat:",
            stat.as_bytes(),
            b",err:",
            err,
            b",done date:",
            done,
            b",submit date:",
            submitted,
            b",dlvrd:",
            dlvrd,
            b",sub:001,id:",
            id,
        ],
        _ => &[
            b"id:",
            id,
            b" sub:001 dlvrd:",
            dlvrd,
            b" submit date:",
            century,
            submitted,
            b" done date:",
            century,
            done,
            b" stat:",
            stat.as_bytes(),
            b" err:",
            err,
            b" text:",
            excerpt,
        ],
    };
    out.extend(parts.iter().copied().flatten());
}

/// `YYMMDDhhmmss` in UTC.
fn clock_digits(unix_ms: i64) -> [u8; 12] {
    let time = smpp::time::format_absolute(unix_ms, 0).unwrap_or(COctetString::EMPTY);
    time.as_bytes().first_chunk().copied().unwrap_or([b'0'; 12])
}

/// The first twenty characters of a text as octets for a receipt: what is not plain ASCII shows a dot.
pub(super) fn excerpt(content: &[u8], udhi: bool, coding: DataCoding) -> COctetString {
    let text = if udhi { sms::udh::split(content).map_or(content, |(_, text)| text) } else { content };
    let ucs2 = sms::Encoding::from_data_coding(coding.0, sms::Encoding::GSM7) == sms::Encoding::Ucs2;
    let plain = |octet: u8| if (b' '..=b'~').contains(&octet) { octet } else { b'.' };
    let mut start = [0; sms::receipt::TEXT_CHARACTERS];
    let mut length = 0;
    let octets: &mut dyn Iterator<Item = u8> = if ucs2 {
        &mut text.chunks_exact(2).map(|unit| if unit[0] == 0 { unit[1] } else { b'.' })
    } else {
        &mut text.iter().copied()
    };
    for (place, octet) in start.iter_mut().zip(octets) {
        *place = plain(octet);
        length += 1;
    }
    COctetString::new(&start[..length])
}

#[cfg(test)]
mod tests;
