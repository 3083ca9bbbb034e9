//! The closed sets that a connection's settings choose from.

use serde::{Deserialize, Serialize};
use types::{Error, Result};

/// What a carrier speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// SMPP 3.4 or 5.0.
    #[default]
    Smpp,
    /// UCP/EMI 4.6 to 5.2.
    Ucp,
    /// CIMD2.
    Cimd2,
    /// Mail by SMTP.
    Mail,
    /// HTTP, as a description says.
    Http,
}

impl Protocol {
    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smpp => "SMPP",
            Self::Ucp => "UCP",
            Self::Cimd2 => "CIMD2",
            Self::Mail => "mail",
            Self::Http => "HTTP",
        }
    }

    /// Requests that a session can leave unanswered: the protocol has no more numbers.
    pub(super) const fn window_max(self) -> u16 {
        match self {
            Self::Smpp | Self::Http => u16::MAX,
            Self::Ucp => 100,
            Self::Cimd2 => 128,
            Self::Mail => 1_000,
        }
    }
}

/// `interface_version` of a bind (SMPP v5 §4.7.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SmppVersion)]
pub enum Version {
    /// SMPP 3.4, which nearly every carrier speaks.
    #[default]
    #[serde(rename = "3.4")]
    V34,
    /// SMPP 5.0.
    #[serde(rename = "5.0")]
    V50,
}

impl Version {
    /// The octet that the bind carries.
    pub const fn interface_version(self) -> u8 {
        match self {
            Self::V34 => 0x34,
            Self::V50 => 0x50,
        }
    }
}

/// What a carrier takes data_coding 0 for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ConnectionAlphabet)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// The GSM default alphabet, one septet in each octet.
    #[default]
    Gsm7,
    /// The GSM default alphabet, eight septets packed into seven octets.
    Gsm7Packed,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, most significant octet first.
    Ucs2,
}

/// How a text of several parts is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LongMessages {
    /// Parts with a user data header and an 8-bit reference (3GPP TS 23.040 §9.2.3.24.1).
    #[default]
    Udh8,
    /// Parts with a user data header and a 16-bit reference (3GPP TS 23.040 §9.2.3.24.8).
    Udh16,
    /// Parts with sar_msg_ref_num, sar_total_segments and sar_segment_seqnum (SMPP v3.4 §5.3.2.22).
    Sar,
    /// Whole, in message_payload (SMPP v3.4 §5.3.2.32); the carrier splits it.
    Payload,
}

/// How the ids in a carrier's receipts relate to those in its responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptIds {
    /// Tried in every form that is in use: as it is, in either base, in either case, with or without zeros in front.
    #[default]
    Auto,
    /// The same text.
    Same,
    /// Hexadecimal in the response, decimal in the receipt.
    HexToDecimal,
    /// Decimal in the response, hexadecimal in the receipt.
    DecimalToHex,
}

/// An optional parameter (SMPP v3.4 §5.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraTlv {
    /// Its tag: 5120 to 16383 (0x1400 to 0x3FFF) are the carriers' own.
    pub tag: u16,
    /// Its value in hexadecimal, at most 255 octets.
    pub hex: String,
}

impl ExtraTlv {
    /// The value's octets; nothing where the text is not hexadecimal, which no stored one is.
    pub fn octets(&self) -> Option<Vec<u8>> {
        let digits = self.hex.as_bytes();
        if !digits.len().is_multiple_of(2) {
            return None;
        }
        let digit = |octet: u8| char::from(octet).to_digit(16);
        digits.chunks(2).map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()).collect()
    }
}

/// When binds on standby are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standby {
    /// When no other bind can send.
    #[default]
    Cold,
    /// All the time; they are used when no other bind can send.
    Warm,
}

/// How a validity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// As an instant in UTC: `261130045500000+`.
    #[default]
    Absolute,
    /// As a time from now: `000002000000000R`.
    Relative,
    /// Not at all: the carrier's own default holds.
    None,
}

/// What becomes of a message that left and was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// One-time codes and transactional messages are sent again and marked, marketing waits for its receipt.
    #[default]
    ByIntent,
    /// It waits for its receipt, and ends with its validity.
    Wait,
    /// It is sent again, and marked.
    Resend,
}

/// The languages that have a national table (3GPP TS 23.038 §6.2.1.2.4).
pub(super) const LANGUAGES: [(&str, sms::Language); 13] = [
    ("turkish", sms::Language::Turkish),
    ("spanish", sms::Language::Spanish),
    ("portuguese", sms::Language::Portuguese),
    ("bengali", sms::Language::Bengali),
    ("gujarati", sms::Language::Gujarati),
    ("hindi", sms::Language::Hindi),
    ("kannada", sms::Language::Kannada),
    ("malayalam", sms::Language::Malayalam),
    ("oriya", sms::Language::Oriya),
    ("punjabi", sms::Language::Punjabi),
    ("tamil", sms::Language::Tamil),
    ("telugu", sms::Language::Telugu),
    ("urdu", sms::Language::Urdu),
];

/// The language of this name.
pub(crate) fn language(name: &str) -> Option<sms::Language> {
    LANGUAGES.iter().find(|(known, _)| *known == name).map(|(_, language)| *language)
}

/// A state that a carrier names in its own way: `ACCEPTD=delivered`.
pub(crate) fn receipt_state(text: &str) -> Option<(&str, sms::MessageState)> {
    let (stat, state) = text.split_once('=')?;
    let stat = stat.trim();
    let known = [
        ("enroute", sms::MessageState::Enroute),
        ("accepted", sms::MessageState::Accepted),
        ("delivered", sms::MessageState::Delivered),
        ("expired", sms::MessageState::Expired),
        ("deleted", sms::MessageState::Deleted),
        ("undeliverable", sms::MessageState::Undeliverable),
        ("rejected", sms::MessageState::Rejected),
        ("unknown", sms::MessageState::Unknown),
    ];
    let state = known.into_iter().find(|(name, _)| *name == state.trim())?.1;
    (!stat.is_empty() && stat.len() <= STAT_OCTETS_MAX && stat.is_ascii()).then_some((stat, state))
}

const STAT_OCTETS_MAX: usize = 20;

/// A host with its port: `smsc2.example:2775`, `[2001:db8::1]:2775`.
pub(crate) fn host(field: &str, text: &str) -> Result<connectors::Host> {
    let parts = text.trim().rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    let name = |name: &str| name.trim_start_matches('[').trim_end_matches(']').to_owned();
    match parts {
        Some((host, port)) if port > 0 && is_host(&name(host)) => {
            Ok(connectors::Host { name: name(host), port })
        }
        _ => Err(Error::invalid(
            field,
            format!("{text:?} is not a host and its port, such as smsc2.example:2775"),
        )),
    }
}

/// The longest host name (RFC 1035 §2.3.4).
const HOST_CHARS_MAX: usize = 253;

/// Whether this reads like a host name or address.
pub(super) fn is_host(name: &str) -> bool {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '-' | '_' | ':');
    !name.is_empty() && name.len() <= HOST_CHARS_MAX && name.chars().all(plain)
}
