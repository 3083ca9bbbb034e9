//! How the simulated message centre behaves.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Everything that the message centre does well or badly. The default is a fast, faithful centre.
///
/// Shares are percent, 0 to 100, fractions allowed. All can be changed while it runs, with
/// [`Smsc::change`](super::Smsc::change), but for `listen`, `first_id`, `seed` and `connections_max`, which
/// count at the start only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at once; further ones are closed at once.
    pub connections_max: usize,
    /// What it calls itself in bind responses: at most 15 characters.
    pub system_id: String,
    /// Who may bind. Empty: anybody.
    pub accounts: Vec<Credentials>,
    /// sc_interface_version in bind responses: 0x34 or 0x50; 0 says nothing, as many centres do.
    pub version: u8,
    /// How long a submit waits for its response.
    pub latency: Delay,
    /// How long after the response a message reaches its final state and its receipt is sent.
    pub receipt_delay: Delay,
    /// Submits that are refused, by status.
    pub errors: Vec<ErrorShare>,
    /// Submits per second and account above which the answer is ESME_RTHROTTLED; 0 for no limit.
    pub throughput: u32,
    /// Submits that are taken, and then the connection is closed without an answer.
    pub drop_after_accept_percent: f64,
    /// PDUs after which a connection is closed; 0 for never.
    pub drop_every: u64,
    /// Responses that are late enough for others to overtake them.
    pub out_of_order_percent: f64,
    /// Messages whose receipt is sent before their response.
    pub receipt_first_percent: f64,
    /// Messages that are taken and then reported as undelivered.
    pub undelivered_percent: f64,
    /// Receipts that were asked for and are never sent.
    pub no_receipt_percent: f64,
    /// Receipts that are sent twice.
    pub duplicate_receipt_percent: f64,
    /// Responses in whose place nonsense is sent: noise, impossible lengths, unknown operations.
    pub nonsense_percent: f64,
    /// Which bind of the account receipts and inbound messages take.
    pub receipt_path: ReceiptPath,
    /// What receipts look like.
    pub receipt_style: ReceiptStyle,
    /// How responses write message ids.
    pub id_form: IdForm,
    /// How receipts write them.
    pub receipt_id_form: IdForm,
    /// The first message's number. By default made of the time, so that a restarted centre repeats no id.
    pub first_id: Option<u64>,
    /// Makes chance repeatable.
    pub seed: Option<u64>,
    /// Unanswered deliver_sm on one bind.
    pub delivery_window: usize,
    /// Settled messages that query_sm still finds.
    pub remembered: usize,
    /// Messages, receipts and inbound messages that wait; above it the oldest are forgotten.
    pub pending_max: usize,
    /// Concatenated inbound messages carry SAR TLVs in place of a user data header.
    pub inbound_sar: bool,
    /// Messages that the phones remember; 0 for no phones.
    pub inbox_max: usize,
    /// Whether the `ID<digits>` markers of texts are counted.
    pub ledger: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            connections_max: 1_000,
            system_id: "SIMULATOR".to_owned(),
            accounts: Vec::new(),
            version: 0x34,
            latency: Delay::default(),
            receipt_delay: Delay::default(),
            errors: Vec::new(),
            throughput: 0,
            drop_after_accept_percent: 0.0,
            drop_every: 0,
            out_of_order_percent: 0.0,
            receipt_first_percent: 0.0,
            undelivered_percent: 0.0,
            no_receipt_percent: 0.0,
            duplicate_receipt_percent: 0.0,
            nonsense_percent: 0.0,
            receipt_path: ReceiptPath::default(),
            receipt_style: ReceiptStyle::default(),
            id_form: IdForm::default(),
            receipt_id_form: IdForm::default(),
            first_id: None,
            seed: None,
            delivery_window: 1_000,
            remembered: 10_000,
            pending_max: 1_000_000,
            inbound_sar: false,
            inbox_max: 1_000,
            ledger: true,
        }
    }
}

impl From<&runtime::config::Simulator> for Settings {
    fn from(config: &runtime::config::Simulator) -> Self {
        let errors = match config.error_percent {
            0 => Vec::new(),
            percent => vec![ErrorShare { status: smpp::Status::RSYSERR.0, percent: f64::from(percent) }],
        };
        Self {
            listen: config.listen,
            latency: Delay::of_ms(config.latency_ms),
            receipt_delay: Delay::of_ms(config.receipt_delay_ms),
            undelivered_percent: f64::from(config.undelivered_percent),
            errors,
            throughput: config.throughput,
            inbox_max: config.inbox_max,
            ..Self::default()
        }
    }
}

/// Who may bind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// At most 15 characters.
    pub system_id: String,
    /// At most 8 characters.
    pub password: String,
}

/// A time that is drawn anew for each message, evenly from `ms - jitter_ms` to `ms + jitter_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delay {
    /// Milliseconds in the middle.
    pub ms: u64,
    /// Milliseconds to either side; never below zero in all.
    pub jitter_ms: u64,
}

impl Delay {
    /// A delay without jitter.
    #[must_use]
    pub fn of_ms(ms: u64) -> Self {
        Self { ms, jitter_ms: 0 }
    }
}

/// A share of the submits that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorShare {
    /// The command_status to answer, such as 8 for ESME_RSYSERR.
    pub status: u32,
    /// The share, 0 to 100.
    pub percent: f64,
}

/// Which bind of the account receipts and inbound messages take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptPath {
    /// Any that may receive, in turns.
    #[default]
    Any,
    /// The one that submitted, if it is still there and may receive; else any.
    Same,
    /// Receivers alone, never a transceiver.
    Receiver,
}

/// What receipts look like; each is met at real centres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptStyle {
    /// SMPP v3.4 appendix B with receipted_message_id and message_state.
    #[default]
    Standard,
    /// Appendix B without TLVs.
    TextOnly,
    /// TLVs without text.
    TlvOnly,
    /// Appendix B in UCS-2, without TLVs.
    Ucs2,
    /// Appendix B without TLVs and without the receipt bit of esm_class.
    NoClass,
    /// Dates with seconds: twelve digits.
    Seconds,
    /// Dates with seconds and a year of four digits.
    FullYear,
    /// `id:… stat:… err:…` alone.
    Terse,
    /// Names in capitals, underlines in the dates' names, the state in small letters.
    Spelling,
    /// Another order of the fields, with commas.
    Reordered,
    /// The text in message_payload.
    Payload,
    /// In a data_sm.
    DataSm,
    /// Each of the others in turn.
    Mixed,
}

impl ReceiptStyle {
    /// Every style but [`ReceiptStyle::Mixed`].
    pub const ALL: [Self; 12] = [
        Self::Standard,
        Self::TextOnly,
        Self::TlvOnly,
        Self::Ucs2,
        Self::NoClass,
        Self::Seconds,
        Self::FullYear,
        Self::Terse,
        Self::Spelling,
        Self::Reordered,
        Self::Payload,
        Self::DataSm,
    ];
}

/// How a message's number is written as its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdForm {
    /// `1790000000000`
    #[default]
    Decimal,
    /// Decimal with zeros in front, 20 digits in all.
    DecimalPadded,
    /// Small hexadecimal digits.
    Hex,
    /// Capital hexadecimal digits.
    HexUpper,
    /// Small hexadecimal digits with zeros in front, 16 in all.
    HexPadded,
    /// The form of a UUID, its last 64 bits being the number.
    Uuid,
}
