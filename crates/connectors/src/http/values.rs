//! What a message is, in the names that templates use.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smpp::{SmRef, SmppTime, Ton};
use sms::{Encoding, udh};

use super::template::Values;

/// What stands for a secret where people look on.
pub(super) const MASK: &str = "********";

/// What a connection gives to every message.
#[derive(Clone, Debug, Default)]
pub(super) struct Fixed {
    pub(super) url: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) receipts_url: String,
    pub(super) inbound_url: String,
    pub(super) parameters: BTreeMap<String, String>,
}

impl Fixed {
    /// The same with its secrets hidden.
    pub(super) fn masked(&self) -> Self {
        let hidden = if self.password.is_empty() { String::new() } else { MASK.to_owned() };
        Self { password: hidden, ..self.clone() }
    }

    fn value(&self, name: &str) -> Option<&str> {
        Some(match name {
            "url" => &self.url,
            "user" => &self.user,
            "password" => &self.password,
            "receipts_url" => &self.receipts_url,
            "inbound_url" => &self.inbound_url,
            _ => self.parameters.get(name.strip_prefix("parameters.")?)?,
        })
    }
}

/// Names of values that each message has of its own.
const NAMES: [&str; 25] = [
    "to",
    "to_e164",
    "from",
    "from_e164",
    "from_kind",
    "text",
    "gsm_text",
    "octets",
    "binary",
    "body",
    "udh",
    "binary_udh",
    "encoding",
    "coding",
    "data_coding",
    "class",
    "part",
    "parts",
    "id",
    "reference",
    "validity_s",
    "validity_ms",
    "validity_min",
    "priority",
    "receipt",
];

/// Whether a name means something in a request's templates.
pub(super) fn is_known(name: &str, parameters: &BTreeMap<String, String>) -> bool {
    let of_message = NAMES.contains(&name);
    of_message
        || matches!(name, "url" | "user" | "password" | "receipts_url" | "inbound_url")
        || name.strip_prefix("parameters.").is_some_and(|name| parameters.contains_key(name))
}

/// A message's values.
pub(super) struct Message<'a> {
    fixed: &'a Fixed,
    own: [Vec<u8>; NAMES.len()],
}

impl Values for Message<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match NAMES.iter().position(|known| *known == name) {
            Some(at) => Some(Cow::Borrowed(self.own[at].as_slice())),
            None => self.fixed.value(name).map(|text| Cow::Borrowed(text.as_bytes())),
        }
    }
}

impl<'a> Message<'a> {
    /// Reads a message. `id` is our name for it, and `reference` that of the part.
    ///
    /// # Errors
    /// What cannot be read, in words.
    pub(super) fn read(
        fixed: &'a Fixed,
        sm: &SmRef<'_>,
        (id, part): (&str, u8),
        now_ms: i64,
    ) -> Result<Self, String> {
        let content = sm.content();
        let (header, body) = crate::ucp::parted(sm)?;
        let place = udh::split(content)
            .ok()
            .filter(|_| sm.esm_class.udhi())
            .and_then(|(header, _)| header.concatenation());
        let encoding = Encoding::from_data_coding(sm.data_coding.0, Encoding::GSM7);
        let (name, coding) = match encoding {
            Encoding::Gsm7(_) => ("gsm7", "0"),
            Encoding::Binary => ("binary", "1"),
            _ => ("ucs2", "2"),
        };
        let text = if encoding == Encoding::Binary { String::new() } else { encoding.decode(body) };
        let validity_s = match sm.validity_period {
            b"" => None,
            field => {
                let until =
                    SmppTime::parse(field).map_err(|_| "the validity period is no time".to_owned())?;
                Some(((until.resolve(now_ms) - now_ms) / 1_000).max(1))
            }
        };
        let validity =
            |of: fn(i64) -> i64| validity_s.map(|s| of(s).to_string()).unwrap_or_default().into_bytes();
        let octets = |text: &str| text.as_bytes().to_vec();
        let (to, from) = (address(sm.destination.addr), address(sm.source.addr));
        let named = sm.source.ton == Ton::ALPHANUMERIC || !digits(&from);
        Ok(Self {
            fixed,
            own: [
                octets(&to),
                octets(&e164(&to, sm.destination.ton == Ton::INTERNATIONAL)),
                octets(&from),
                octets(&e164(&from, sm.source.ton == Ton::INTERNATIONAL)),
                octets(if from.is_empty() {
                    ""
                } else if named {
                    "name"
                } else {
                    "number"
                }),
                octets(&text),
                if name == "gsm7" { text.into_bytes() } else { Vec::new() },
                if name == "gsm7" { Vec::new() } else { body.to_vec() },
                if name == "binary" { body.to_vec() } else { Vec::new() },
                body.to_vec(),
                header.to_vec(),
                if name == "binary" { header.to_vec() } else { Vec::new() },
                octets(name),
                octets(coding),
                octets(&crate::ucp::data_coding_scheme(sm.data_coding.0, encoding).to_string()),
                octets(&class(sm.data_coding.0)),
                octets(&place.map_or(1, |place| place.part).to_string()),
                octets(&place.map_or(1, |place| place.total).to_string()),
                octets(id),
                octets(&reference(id, part)),
                validity(|s| s),
                validity(|s| s.saturating_mul(1_000)),
                validity(|s| (s / 60).max(1)),
                octets(&if sm.priority_flag > 0 { sm.priority_flag.to_string() } else { String::new() }),
                octets(if sm.registered_delivery.0 & 0b11 == 0 { "" } else { "1" }),
            ],
        })
    }
}

/// The name that we give a part.
pub(super) fn reference(id: &str, part: u8) -> String {
    format!("{id}.{part}")
}

/// An address without its sign.
fn address(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).trim_start_matches('+').to_owned()
}

fn digits(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_digit())
}

fn e164(text: &str, international: bool) -> String {
    if international && !text.is_empty() && digits(text) { format!("+{text}") } else { text.to_owned() }
}

/// The message class of a data coding scheme (3GPP TS 23.038 §4), 0 for flash; empty for none.
fn class(data_coding: u8) -> String {
    let classed = matches!(data_coding & 0xF0, 0x10 | 0x30 | 0xF0);
    if classed { (data_coding & 0b11).to_string() } else { String::new() }
}
