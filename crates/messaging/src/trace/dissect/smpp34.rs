//! SMPP (SMPP v5 §4): header, mandatory fields by operation, optional parameters by name.

use smpp::{CommandId, EsmClass, MessageState, Status, Tag};
use sms::Encoding;

use super::{Dissected, Field, Kind, hex, printable};

/// A cursor over a PDU that never runs over its end.
struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
    fields: Vec<Field>,
    data_coding: u8,
}

impl Reader<'_> {
    fn push(&mut self, name: impl Into<String>, value: String, length: usize, kind: Kind) {
        let end = (self.at + length).min(self.octets.len());
        self.fields.push(Field { name: name.into(), value, at: self.at..end, kind });
        self.at = end;
    }

    fn is_over(&self) -> bool {
        self.at >= self.octets.len()
    }

    fn rest(&self) -> &[u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    /// An octet; `words` says what it means.
    fn octet(&mut self, name: &str, words: impl Fn(u8) -> String) -> u8 {
        let Some(octet) = self.rest().first().copied() else { return 0 };
        let words = words(octet);
        let value = if words.is_empty() { octet.to_string() } else { format!("{octet} ({words})") };
        self.push(name, value, 1, Kind::Plain);
        octet
    }

    fn plain(&mut self, name: &str) -> u8 {
        self.octet(name, |_| String::new())
    }

    /// A C-octet string. Its NUL is no part of what may be covered.
    fn text(&mut self, name: &str, kind: Kind) {
        if self.is_over() {
            return;
        }
        let rest = self.rest();
        let length = rest.iter().position(|octet| *octet == 0).unwrap_or(rest.len());
        let value = match kind {
            Kind::Password => "*".repeat(length),
            _ => printable(&rest[..length]),
        };
        self.push(name, value, length, kind);
        self.at = (self.at + 1).min(self.octets.len());
    }

    fn address(&mut self, of: &str) {
        self.octet(&format!("{of}_addr_ton"), ton);
        self.octet(&format!("{of}_addr_npi"), npi);
        let name = if of == "dest" { "destination_addr".to_owned() } else { format!("{of}_addr") };
        self.text(&name, Kind::Address);
    }

    fn message(&mut self) {
        let length = usize::from(self.plain("sm_length"));
        let rest = self.rest();
        let content = rest.get(..length).unwrap_or(rest);
        let (value, length) = (self.content(content), content.len());
        self.push("short_message", value, length, Kind::Text);
    }

    fn content(&self, content: &[u8]) -> String {
        let encoding = Encoding::from_data_coding(self.data_coding, Encoding::GSM7);
        match encoding {
            Encoding::Binary => hex(content),
            _ if content.iter().all(|octet| *octet == super::MASK) => "*".repeat(content.len()),
            _ => encoding.decode(content).chars().map(|ch| if ch.is_control() { '.' } else { ch }).collect(),
        }
    }

    /// What submit_sm, deliver_sm and submit_multi have behind their addresses.
    fn settings(&mut self) {
        self.octet("esm_class", esm_class);
        self.plain("protocol_id");
        self.plain("priority_flag");
        self.text("schedule_delivery_time", Kind::Plain);
        self.text("validity_period", Kind::Plain);
        self.octet("registered_delivery", |octet| registered(octet).to_owned());
        self.plain("replace_if_present_flag");
        self.data_coding = self.octet("data_coding", data_coding);
        self.plain("sm_default_msg_id");
        self.message();
    }

    fn parameters(&mut self) {
        while let Some([a, b, c, d]) = self.rest().first_chunk::<4>().copied() {
            let (tag, length) = (Tag(u16::from_be_bytes([a, b])), usize::from(u16::from_be_bytes([c, d])));
            self.at += 4;
            let rest = self.rest();
            let value = rest.get(..length).unwrap_or(rest).to_vec();
            let kind = if tag == Tag::MESSAGE_PAYLOAD { Kind::Text } else { Kind::Plain };
            let name = tag.name().map_or_else(|| format!("0x{:04x}", tag.0), str::to_owned);
            let shown = self.parameter(tag, &value);
            self.push(name, shown, value.len(), kind);
        }
        if !self.is_over() {
            let left = hex(self.rest());
            self.push("unread", left, self.octets.len(), Kind::Text);
        }
    }

    fn parameter(&self, tag: Tag, value: &[u8]) -> String {
        match (tag, value) {
            (Tag::MESSAGE_PAYLOAD, value) => self.content(value),
            (Tag::MESSAGE_STATE, [state]) => {
                format!("{state} ({})", MessageState(*state).abbreviation().unwrap_or("reserved"))
            }
            (Tag::NETWORK_ERROR_CODE, [network, high, low]) => {
                format!("network {network}, error {}", u16::from_be_bytes([*high, *low]))
            }
            (_, value) => {
                let text = value.strip_suffix(&[0]).unwrap_or(value);
                let number = value.iter().fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet));
                match value.len() {
                    0 => String::new(),
                    1 | 2 | 4 => format!("{number} (0x{})", hex(value)),
                    _ if text.iter().all(|octet| (b' '..=b'~').contains(octet)) => printable(text),
                    _ => format!("0x{}", hex(value)),
                }
            }
        }
    }
}

/// Type of number (SMPP v5 §4.7.1).
fn ton(octet: u8) -> String {
    let words = ["unknown", "international", "national", "network specific", "subscriber", "alphanumeric"];
    words
        .get(usize::from(octet))
        .copied()
        .unwrap_or(if octet == 6 { "abbreviated" } else { "reserved" })
        .to_owned()
}

/// Numbering plan (SMPP v5 §4.7.2).
fn npi(octet: u8) -> String {
    match octet {
        0 => "unknown",
        1 => "E.164",
        3 => "X.121",
        4 => "telex",
        6 => "E.212",
        8 => "national",
        9 => "private",
        10 => "ERMES",
        14 => "Internet",
        18 => "WAP",
        _ => "reserved",
    }
    .to_owned()
}

fn esm_class(octet: u8) -> String {
    let class = EsmClass(octet);
    let mut words = vec![match class.message_type() {
        smpp::MessageType::Receipt => "receipt",
        smpp::MessageType::Intermediate => "intermediate notification",
        _ => "message",
    }];
    if class.udhi() {
        words.push("user data header");
    }
    if class.reply_path() {
        words.push("reply path");
    }
    words.join(", ")
}

/// Bits 0 and 1 of registered_delivery (SMPP v5 §4.7.21).
fn registered(octet: u8) -> &'static str {
    match octet & 3 {
        0 => "no receipt",
        1 => "receipt",
        2 => "receipt on failure",
        _ => "receipt on success",
    }
}

fn data_coding(octet: u8) -> String {
    match Encoding::from_data_coding(octet, Encoding::GSM7) {
        Encoding::Gsm7(_) => "GSM 03.38".to_owned(),
        Encoding::Ucs2 => "UCS-2".to_owned(),
        other => format!("{other:?}"),
    }
}

#[expect(clippy::too_many_lines, reason = "a line for each field, in the order of the standard")]
fn body(reader: &mut Reader<'_>, command: CommandId) {
    match command {
        CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER => {
            reader.text("system_id", Kind::Plain);
            reader.text("password", Kind::Password);
            reader.text("system_type", Kind::Plain);
            reader.octet("interface_version", |octet| format!("{}.{}", octet >> 4, octet & 15));
            reader.octet("addr_ton", ton);
            reader.octet("addr_npi", npi);
            reader.text("address_range", Kind::Plain);
        }
        CommandId::OUTBIND => {
            reader.text("system_id", Kind::Plain);
            reader.text("password", Kind::Password);
        }
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            reader.text("service_type", Kind::Plain);
            reader.address("source");
            reader.address("dest");
            reader.settings();
        }
        CommandId::DATA_SM => {
            reader.text("service_type", Kind::Plain);
            reader.address("source");
            reader.address("dest");
            reader.octet("esm_class", esm_class);
            reader.octet("registered_delivery", |octet| registered(octet).to_owned());
            reader.data_coding = reader.octet("data_coding", data_coding);
        }
        CommandId::SUBMIT_MULTI => {
            reader.text("service_type", Kind::Plain);
            reader.address("source");
            for _ in 0..reader.plain("number_of_dests") {
                match reader.octet("dest_flag", |flag| if flag == 1 { "address" } else { "list" }.to_owned())
                {
                    1 => reader.address("dest"),
                    2 => reader.text("dl_name", Kind::Plain),
                    _ => break,
                }
            }
            reader.settings();
        }
        CommandId::SUBMIT_MULTI_RESP => {
            reader.text("message_id", Kind::Plain);
            for _ in 0..reader.plain("no_unsuccess") {
                reader.address("dest");
                let status =
                    reader.rest().first_chunk::<4>().map(|octets| Status(u32::from_be_bytes(*octets)));
                let Some(status) = status else { break };
                reader.push("error_status_code", status.to_string(), 4, Kind::Plain);
            }
        }
        CommandId::QUERY_SM => {
            reader.text("message_id", Kind::Plain);
            reader.address("source");
        }
        CommandId::QUERY_SM_RESP => {
            reader.text("message_id", Kind::Plain);
            reader.text("final_date", Kind::Plain);
            let state = |octet| MessageState(octet).abbreviation().unwrap_or("reserved").to_owned();
            reader.octet("message_state", state);
            reader.plain("error_code");
        }
        CommandId::CANCEL_SM => {
            reader.text("service_type", Kind::Plain);
            reader.text("message_id", Kind::Plain);
            reader.address("source");
            reader.address("dest");
        }
        CommandId::REPLACE_SM => {
            reader.text("message_id", Kind::Plain);
            reader.address("source");
            reader.text("schedule_delivery_time", Kind::Plain);
            reader.text("validity_period", Kind::Plain);
            reader.octet("registered_delivery", |octet| registered(octet).to_owned());
            reader.plain("sm_default_msg_id");
            reader.message();
        }
        CommandId::ALERT_NOTIFICATION => {
            reader.address("source");
            reader.address("esme");
        }
        CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => {
            reader.text("system_id", Kind::Plain);
        }
        CommandId::SUBMIT_SM_RESP | CommandId::DELIVER_SM_RESP | CommandId::DATA_SM_RESP => {
            reader.text("message_id", Kind::Plain);
        }
        _ => {}
    }
    reader.parameters();
}

pub(super) fn dissect(octets: &[u8]) -> Dissected {
    let word =
        |at: usize| octets.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    let (Some(length), Some(command), Some(status), Some(sequence)) = (word(0), word(4), word(8), word(12))
    else {
        let fields = vec![Field {
            name: "unread".to_owned(),
            value: hex(octets),
            at: 0..octets.len(),
            kind: Kind::Text,
        }];
        return Dissected { name: "no PDU".to_owned(), fields, ..Dissected::default() };
    };
    let (command, status) = (CommandId(command), Status(status));
    let mut reader = Reader { octets, at: 0, fields: Vec::new(), data_coding: 0 };
    reader.push("command_length", length.to_string(), 4, Kind::Plain);
    reader.push("command_id", format!("{command} (0x{:08x})", command.0), 4, Kind::Plain);
    let words =
        if command.is_response() { format!("{status}: {}", status.describe()) } else { status.0.to_string() };
    reader.push("command_status", words.clone(), 4, Kind::Plain);
    reader.push("sequence_number", sequence.to_string(), 4, Kind::Plain);
    body(&mut reader, command);
    Dissected {
        name: command.to_string(),
        sequence,
        response: command.is_response(),
        status: command.is_response().then_some(words),
        fields: reader.fields,
    }
}
