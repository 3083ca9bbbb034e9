//! What can be set about a connection: where it leads, how fast it goes, and what the carrier's side is like.

use super::BindKind;
use super::errors::{self, ErrorConvention, ErrorRule};
use super::words::{
    self, Alphabet, ExtraTlv, LongMessages, Protocol, ReceiptIds, Standby, TimeFormat, Unanswered, Version,
};
use connectors::http::Description;
use connectors::mail::{Letter, filled};
use runtime::Config;
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::mail::outgoing;
use crate::settings;

/// Everything about a connection but its name and password. Times are milliseconds; what is not given has the
/// installation's default of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionSettings {
    /// What the carrier speaks: `smpp`, `ucp` (UCP/EMI), `cimd2`, `http` or `mail` (SMTP). What follows is SMPP's unless it
    /// says otherwise.
    pub protocol: Protocol,
    /// The carrier's host name or address; over HTTP that of `http.url`.
    pub host: String,
    /// Its TCP port; 2775 when not given. Over HTTP that of `http.url`.
    pub port: u16,
    /// More hosts of the carrier, each with its port, at most 8: `smsc2.example:2775`. The binds are dealt out over all of
    /// them in turns; while one is down the next stands in for it.
    pub hosts: Vec<String>,
    /// Hosts with their ports, at most 8, that are used while no bind to any of the others can send.
    pub standby_hosts: Vec<String>,
    /// `cold`: binds to those are made when they are needed. `warm`: they are there all the time, as many as `binds` says.
    pub standby: Standby,
    /// How long no other bind must have been there before cold ones are made, 100 to 3,600,000.
    pub standby_after_ms: u64,
    /// How often a bind that stands with another host than its own looks whether that is back, 100 to 86,400,000; 0 for never.
    pub rebalance_ms: u64,
    /// Whether the connection is encrypted with TLS, 1.2 or 1.3; whatever the protocol.
    pub tls: bool,
    /// The name that the carrier's certificate must be for; `host` when empty.
    pub tls_server_name: String,
    /// The certificates, as PEM, of who may have issued the carrier's, at most 65,536 characters; empty for the roots of
    /// the machine that Switchboard runs on.
    pub tls_ca: String,
    /// The name that we bind with, 1 to 15 characters; of a UCP large account 1 to 16, of a CIMD2 user 1 to 32. Over
    /// HTTP the user or account, `{user}` in the description's templates, at most 255; perhaps none.
    pub system_id: String,
    /// What kind of system we are, as the carrier wants it; mostly empty, at most 12 characters.
    pub system_type: String,
    /// `transceiver`, `transmitter_receiver` (one session for each direction), `transmitter` or `receiver`.
    #[schema(value_type = String, example = "transceiver")]
    pub bind: BindKind,
    /// Sessions (or pairs of them) held at once, 1 to 100.
    pub binds: u16,
    /// The version that the bind announces: `3.4` or `5.0`.
    pub version: Version,
    /// The addresses whose inbound messages this bind wants; mostly empty, at most 40 characters.
    pub address_range: String,
    /// Type of number of the address range.
    pub addr_ton: u8,
    /// Numbering plan of the address range.
    pub addr_npi: u8,
    /// Requests that each session leaves unanswered at once (SMPP v5 §2.6); at most `smpp.window_max` of the configuration,
    /// over UCP 100 and over CIMD2 128.
    pub window: u16,
    /// Message parts a second over all sessions, as the contract allows; 0 for no limit of ours.
    pub throughput: u32,
    /// Message parts a second of one sender, as carriers allow for a long number; 0 for no limit, at most 10,000. What is
    /// faster waits, and other senders' messages pass it.
    pub sender_per_second: u32,
    /// The least time between two messages to one phone; 0 for none, at most 60,000. What is sooner waits.
    pub recipient_every_ms: u32,
    /// Silence after which the carrier is asked whether it is there, 100 to 3,600,000.
    pub enquire_link_ms: u64,
    /// Unanswered questions after which the session is given up, 1 to 100.
    pub enquire_missed_max: u32,
    /// How long an answer is awaited, 100 to 600,000.
    pub response_timeout_ms: u64,
    /// How long connecting may take, 100 to 120,000.
    pub connect_timeout_ms: u64,
    /// First pause before a lost session is bound again, 10 to 3,600,000; it doubles, with jitter.
    pub reconnect_min_ms: u64,
    /// Longest pause before a lost session is bound again, 10 to 3,600,000.
    pub reconnect_max_ms: u64,
    /// First pause after the carrier said that we are too fast, 10 to 600,000; it doubles, with jitter.
    pub throttle_min_ms: u64,
    /// Longest pause after the carrier said that we are too fast, 10 to 600,000.
    pub throttle_max_ms: u64,
    /// What data_coding 0 means to the carrier (SMPP v3.4 §5.2.19 leaves it open).
    pub default_alphabet: Alphabet,
    /// National languages whose tables the carrier's phones know, at most 13: `turkish`, `spanish`, `portuguese`, `bengali`,
    /// `gujarati`, `hindi`, `kannada`, `malayalam`, `oriya`, `punjabi`, `tamil`, `telugu`, `urdu`. A text that would go as
    /// UCS-2 goes in one of them where that takes fewer parts (3GPP TS 23.038 §6.2.1.2.4). With `udh8` and `udh16` only.
    pub national_tables: Vec<String>,
    /// Whether typographic characters are replaced by plain ones where that keeps a text out of UCS-2.
    pub smart_replace: bool,
    /// How a text of several parts is handed over.
    pub long_messages: LongMessages,
    /// How the ids in receipts relate to those in responses; `auto` finds out, and the connection's
    /// `learned_ids` says what was found.
    pub receipt_ids: ReceiptIds,
    /// States that the carrier names in its own way, at most 32: `ACCEPTD=delivered`. The states are `enroute`, `accepted`,
    /// `delivered`, `expired`, `deleted`, `undeliverable`, `rejected` and `unknown`.
    pub receipt_states: Vec<String>,
    /// SMPP, UCP and CIMD2: whether what goes over the wire is kept with each message: its PDUs, the bind and the time that
    /// the answer took, and the text of SMPP receipts. It costs a row for each of them.
    pub keep_pdus: bool,
    /// Seconds after which the carrier is asked by query_sm for a message that it took over and no receipt came for: 1 to
    /// 604,800; 0, never, when not given. Messages that are on their way when it is changed are not asked for.
    pub query_after_s: u32,
    /// Seconds between two such questions for one message, 1 to 604,800; 3,600 when not given.
    pub query_every_s: u32,
    /// Such questions for one message, 1 to 100; 3 when not given.
    pub query_times: u8,
    /// Such questions in a second over the whole connection, 1 to 1,000; 10 when not given. Each needs a place in the window.
    pub query_per_second: u16,
    /// What the carrier's errors mean and what is done about them, at most 200 lines; the first that fits counts.
    pub errors: Vec<ErrorRule>,
    /// The ready table behind those: `standard`, `gsm_map` or `aggregator`.
    pub error_convention: ErrorConvention,
    /// What becomes of a message that left and was not answered: `by_intent`, `wait` or `resend`.
    pub unanswered: Unanswered,
    /// Type of number that every sender is given, 0 to 255; as the sender's form tells when not given.
    pub source_ton: Option<u8>,
    /// Numbering plan that every sender is given, 0 to 255; as the sender's form tells when not given.
    pub source_npi: Option<u8>,
    /// Type of number that every recipient is given, 0 to 255; as it was submitted when not given.
    pub dest_ton: Option<u8>,
    /// Numbering plan that every recipient is given, 0 to 255; as it was submitted when not given.
    pub dest_npi: Option<u8>,
    /// Digits that are taken away from the front of a recipient that begins with them; mostly empty, at most 20.
    pub dest_strip: String,
    /// What is put in their place, or before every recipient where none are taken away: digits or `+`; mostly empty, at
    /// most 20.
    pub dest_prefix: String,
    /// How the validity that a sender chose is written: `absolute`, `relative` or `none`.
    pub validity_format: TimeFormat,
    /// protocol_id of every message, 0 to 255; as it was submitted when not given.
    pub protocol_id: Option<u8>,
    /// replace_if_present_flag of every message.
    pub replace_if_present: bool,
    /// priority_flag of one-time codes that name none, 0 to 255; 0 when not given.
    pub priority_otp: Option<u8>,
    /// priority_flag of transactional messages that name none, 0 to 255; 0 when not given.
    pub priority_transactional: Option<u8>,
    /// priority_flag of marketing messages that name none, 0 to 255; 0 when not given.
    pub priority_marketing: Option<u8>,
    /// registered_delivery of every message (SMPP v3.4 §5.2.17), 0 to 255; when not given the final outcome (1), and
    /// intermediate notifications and acknowledgements of the phone as each message asks.
    pub registered_delivery: Option<u8>,
    /// service_type of every message, at most 5 characters; mostly empty.
    pub service_type: String,
    /// Parameters that the carrier wants with every message, at most 16.
    pub extra: Vec<ExtraTlv>,
    /// UCP: type of number of the large account (OTON), 0 to 9; 6, abbreviated, when not given.
    pub oton: u8,
    /// UCP: numbering plan of the large account (ONPI), 0 to 9; 5, private, when not given.
    pub onpi: u8,
    /// UCP: PID of the operation 31 that asks whether the carrier is there; `0539`, over TCP/IP, when not given.
    pub alert_pid: String,
    /// UCP: where notifications go in place of the sender (NAdC), at most 16 digits; mostly empty.
    pub notification_address: String,
    /// UCP: the kind of that address (NPID), four digits; mostly empty.
    pub notification_pid: String,
    /// UCP: the carrier's clock before UTC in minutes, -720 to 840, for validity periods.
    pub utc_offset_minutes: i16,
    /// CIMD2: which of the user's connections this is, at most 3 digits; mostly empty.
    pub subaddress: String,
    /// CIMD2: whether the login names the window.
    pub announce_window: bool,
    /// CIMD2: whether packets carry a checksum.
    pub checksum: bool,
    /// Mail: whether TLS begins with STARTTLS, where `tls` is set; from the first octet on otherwise.
    pub starttls: bool,
    /// Mail: the address that it comes from. When empty that of the configuration's section `mail`, or `switchboard` at the
    /// SMTP server's domain.
    pub mail_from: String,
    /// Mail: what makes the address that it goes to: `{to}` is the recipient's digits, `{from}` the sender. Such as
    /// `{to}@sms.example`.
    pub mail_to: String,
    /// Mail: what makes the subject, of `{to}`, `{from}` and `{text}`; at most 200 characters.
    pub mail_subject: String,
    /// Mail: what makes the body; at most 2,000 characters.
    pub mail_body: String,
    /// Mail: what a receipt is: `accepted` (the server's 250 counts as delivered) or `notification` (the server is asked for
    /// one; one that does not offer DSN, RFC 3461, tells of failures alone).
    pub mail_receipts: MailReceipts,
    /// HTTP: what is asked, how answers are read, and what comes back by itself. `{"dialect": "twilio"}` is enough to begin
    /// with: a ready dialect is copied, and what else is named here is changed in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Description>)]
    pub http: Option<Box<Description>>,
}

/// What a receipt of a mail connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailReceipts {
    /// The server's 250.
    #[default]
    Accepted,
    /// A delivery status notification, which comes back to our SMTP server.
    Notification,
}

/// Refuses what is not digits, or too many.
fn digits(field: &str, text: &str, most: usize) -> Result<()> {
    if text.len() <= most && text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("it takes at most {most} digits")))
}

const SUBJECT_CHARS_MAX: usize = 200;
const BODY_CHARS_MAX: usize = 2_000;
const EXTRA_MAX: usize = 16;
const EXTRA_OCTETS_MAX: usize = 255;
/// Room for some dozen issuers.
const CA_CHARS_MAX: usize = 65_536;
const HOSTS_MAX: usize = 8;
const STATES_MAX: usize = 32;
const PREFIX_CHARS_MAX: usize = 20;

impl Default for ConnectionSettings {
    #[expect(clippy::too_many_lines, reason = "a line for each setting")]
    fn default() -> Self {
        Self {
            protocol: Protocol::Smpp,
            host: String::new(),
            port: 2775,
            hosts: Vec::new(),
            standby_hosts: Vec::new(),
            standby: Standby::Cold,
            standby_after_ms: 10_000,
            rebalance_ms: 60_000,
            tls: false,
            tls_server_name: String::new(),
            tls_ca: String::new(),
            system_id: String::new(),
            system_type: String::new(),
            bind: BindKind::Transceiver,
            binds: 1,
            version: Version::V34,
            address_range: String::new(),
            addr_ton: 0,
            addr_npi: 0,
            window: 10,
            throughput: 0,
            sender_per_second: 0,
            recipient_every_ms: 0,
            enquire_link_ms: 30_000,
            enquire_missed_max: 2,
            response_timeout_ms: 30_000,
            connect_timeout_ms: 10_000,
            reconnect_min_ms: 1_000,
            reconnect_max_ms: 30_000,
            throttle_min_ms: 1_000,
            throttle_max_ms: 30_000,
            default_alphabet: Alphabet::Gsm7,
            national_tables: Vec::new(),
            smart_replace: false,
            long_messages: LongMessages::Udh8,
            receipt_ids: ReceiptIds::Auto,
            receipt_states: Vec::new(),
            keep_pdus: false,
            query_after_s: 0,
            query_every_s: 3_600,
            query_times: 3,
            query_per_second: 10,
            errors: Vec::new(),
            error_convention: ErrorConvention::Standard,
            unanswered: Unanswered::ByIntent,
            dest_ton: None,
            dest_npi: None,
            dest_strip: String::new(),
            dest_prefix: String::new(),
            validity_format: TimeFormat::Absolute,
            protocol_id: None,
            replace_if_present: false,
            priority_otp: None,
            priority_transactional: None,
            priority_marketing: None,
            source_ton: None,
            source_npi: None,
            registered_delivery: None,
            service_type: String::new(),
            extra: Vec::new(),
            oton: 6,
            onpi: 5,
            alert_pid: "0539".to_owned(),
            notification_address: String::new(),
            notification_pid: String::new(),
            utc_offset_minutes: 0,
            subaddress: String::new(),
            announce_window: false,
            checksum: true,
            starttls: false,
            mail_from: String::new(),
            mail_to: String::new(),
            mail_subject: String::new(),
            mail_body: "{text}".to_owned(),
            mail_receipts: MailReceipts::Accepted,
            http: None,
        }
    }
}

impl ConnectionSettings {
    /// What a connection has that says nothing itself.
    pub fn defaults(config: &Config) -> Self {
        let smpp = &config.smpp;
        Self {
            window: u16::try_from(smpp.window_default).unwrap_or(u16::MAX),
            enquire_link_ms: smpp.enquire_link_ms,
            enquire_missed_max: smpp.enquire_missed_max,
            response_timeout_ms: smpp.response_timeout_ms,
            connect_timeout_ms: smpp.connect_timeout_ms,
            reconnect_min_ms: smpp.reconnect_min_ms,
            reconnect_max_ms: smpp.reconnect_max_ms,
            throttle_min_ms: smpp.throttle_min_ms,
            throttle_max_ms: smpp.throttle_max_ms,
            ..Self::default()
        }
    }

    /// The settings in their normal form, when every value is one that its field takes.
    pub(super) fn checked(mut self, config: &Config) -> Result<Self> {
        self.host = self.host.trim().trim_start_matches('[').trim_end_matches(']').to_owned();
        if !words::is_host(&self.host) {
            let why = "give the carrier's host name or address, without a port";
            return Err(Error::invalid("settings.host", why));
        }
        settings::within("settings.port", &self.port, &(1..=u16::MAX))?;
        self.check_hosts()?;
        self.check_dialect()?;
        self = self.checked_tls()?;
        self.check_protocol()?;
        settings::c_octets("settings.system_type", &self.system_type, &(0..=12))?;
        settings::c_octets("settings.service_type", &self.service_type, &(0..=5))?;
        settings::c_octets("settings.address_range", &self.address_range, &(0..=40))?;
        settings::within("settings.binds", &self.binds, &(1..=100))?;
        let window_max =
            u16::try_from(config.smpp.window_max).unwrap_or(u16::MAX).min(self.protocol.window_max());
        settings::within("settings.window", &self.window, &(1..=window_max))?;
        settings::within("settings.throughput", &self.throughput, &(0..=1_000_000))?;
        settings::within("settings.sender_per_second", &self.sender_per_second, &(0..=10_000))?;
        settings::within("settings.recipient_every_ms", &self.recipient_every_ms, &(0..=60_000))?;
        self.check_times()?;
        settings::at_most("settings.extra", &self.extra, EXTRA_MAX)?;
        for extra in &self.extra {
            if extra.octets().is_none_or(|octets| octets.len() > EXTRA_OCTETS_MAX) {
                let why = format!(
                    "the value of parameter {:#06x} is not hexadecimal, two digits an octet, at most {EXTRA_OCTETS_MAX} octets",
                    extra.tag
                );
                return Err(Error::invalid("settings.extra", why));
            }
        }
        Ok(self)
    }

    fn check_hosts(&self) -> Result<()> {
        for (field, hosts) in
            [("settings.hosts", &self.hosts), ("settings.standby_hosts", &self.standby_hosts)]
        {
            settings::at_most(field, hosts, HOSTS_MAX)?;
            for host in hosts {
                words::host(field, host)?;
            }
        }
        settings::within("settings.standby_after_ms", &self.standby_after_ms, &(100..=3_600_000))?;
        if self.rebalance_ms > 0 {
            settings::within("settings.rebalance_ms", &self.rebalance_ms, &(100..=86_400_000))?;
        }
        Ok(())
    }

    fn check_dialect(&self) -> Result<()> {
        errors::check(&self.errors)?;
        settings::at_most("settings.national_tables", &self.national_tables, words::LANGUAGES.len())?;
        if let Some(unknown) = self.national_tables.iter().find(|name| words::language(name).is_none()) {
            let known: Vec<_> = words::LANGUAGES.iter().map(|(name, _)| *name).collect();
            let why = format!("{unknown:?} has no national table; there are {}", known.join(", "));
            return Err(Error::invalid("settings.national_tables", why));
        }
        settings::at_most("settings.receipt_states", &self.receipt_states, STATES_MAX)?;
        for state in &self.receipt_states {
            if words::receipt_state(state).is_none() {
                let why = format!(
                    "{state:?} is not what the carrier writes and a state, such as ACCEPTD=delivered"
                );
                return Err(Error::invalid("settings.receipt_states", why));
            }
        }
        self.check_queries()?;
        digits("settings.dest_strip", &self.dest_strip, PREFIX_CHARS_MAX)?;
        digits("settings.dest_prefix", self.dest_prefix.trim_start_matches('+'), PREFIX_CHARS_MAX - 1)
    }

    fn check_queries(&self) -> Result<()> {
        if self.query_after_s > 0 {
            settings::within("settings.query_after_s", &self.query_after_s, &(1..=604_800))?;
            if self.protocol != Protocol::Smpp || self.bind == BindKind::Receiver {
                let why = "only SMPP has query_sm, and only binds that submit may ask";
                return Err(Error::invalid("settings.query_after_s", why));
            }
        }
        settings::within("settings.query_every_s", &self.query_every_s, &(1..=604_800))?;
        settings::within("settings.query_times", &self.query_times, &(1..=100))?;
        settings::within("settings.query_per_second", &self.query_per_second, &(1..=1_000))
    }

    fn checked_tls(mut self) -> Result<Self> {
        self.tls_server_name = self.tls_server_name.trim().to_owned();
        if !self.tls_server_name.is_empty() && !words::is_host(&self.tls_server_name) {
            return Err(Error::invalid(
                "settings.tls_server_name",
                "give a host name or address, without a port",
            ));
        }
        // A form sends line ends as CR LF.
        self.tls_ca = self.tls_ca.replace("\r\n", "\n").trim().to_owned();
        if self.tls_ca.len() > CA_CHARS_MAX {
            let why = format!("it is longer than {CA_CHARS_MAX} characters");
            return Err(Error::invalid("settings.tls_ca", why));
        }
        if !self.tls_ca.is_empty() {
            runtime::tls::roots(self.tls_ca.as_bytes())
                .map_err(|why| Error::invalid("settings.tls_ca", why))?;
        }
        Ok(self)
    }

    /// What each protocol takes of the fields that all have, and of its own.
    fn check_protocol(&self) -> Result<()> {
        let length = match self.protocol {
            Protocol::Smpp => 1..=15,
            Protocol::Ucp => 1..=16,
            Protocol::Cimd2 => 1..=32,
            // Without a name there is no sign-in.
            Protocol::Mail => 0..=256,
            Protocol::Http => 0..=255,
        };
        settings::c_octets("settings.system_id", &self.system_id, &length)?;
        digits("settings.alert_pid", &self.alert_pid, 4)?;
        digits("settings.notification_address", &self.notification_address, 16)?;
        digits("settings.notification_pid", &self.notification_pid, 4)?;
        digits("settings.subaddress", &self.subaddress, 3)?;
        settings::within("settings.oton", &self.oton, &(0..=9))?;
        settings::within("settings.onpi", &self.onpi, &(0..=9))?;
        settings::within("settings.utc_offset_minutes", &self.utc_offset_minutes, &(-720..=840))?;
        if self.protocol == Protocol::Smpp {
            return Ok(());
        }
        let only = |place: &str, what: &str| {
            Err(Error::invalid(place, format!("{} has {what}", self.protocol.name())))
        };
        if self.protocol == Protocol::Ucp && self.system_id.contains('/') {
            return only("settings.system_id", "no name with a slash");
        }
        if self.protocol == Protocol::Mail {
            return self.check_mail();
        }
        if self.bind != BindKind::Transceiver {
            return only("settings.bind", "sessions for both directions only: transceiver");
        }
        let whole = self.protocol == Protocol::Http && self.long_messages == LongMessages::Payload;
        if !whole && !matches!(self.long_messages, LongMessages::Udh8 | LongMessages::Udh16) {
            return only(
                "settings.long_messages",
                "parts with a user data header only: udh8 or udh16, and over HTTP payload",
            );
        }
        if self.default_alphabet != Alphabet::Gsm7 {
            return only("settings.default_alphabet", "one default alphabet: gsm7");
        }
        if !self.extra.is_empty() {
            return only("settings.extra", "no optional parameters");
        }
        Ok(())
    }

    fn check_mail(&self) -> Result<()> {
        if !self.hosts.is_empty() || !self.standby_hosts.is_empty() {
            return Err(Error::invalid(
                "settings.hosts",
                "mail has one host; a second connection has another",
            ));
        }
        if !self.mail_from.is_empty() {
            outgoing::checked("settings.mail_from", &self.mail_from)?;
        }
        let sample = Letter { to: "33612345678".to_owned(), from: "ACME".to_owned(), text: String::new() };
        let shown = filled(&self.mail_to, &sample);
        outgoing::checked("settings.mail_to", &shown).map_err(|error| {
            error.hint(
                "write an address in which {to} stands for the recipient's digits, such as {to}@sms.example",
            )
        })?;
        for (field, text, most) in [
            ("settings.mail_subject", &self.mail_subject, SUBJECT_CHARS_MAX),
            ("settings.mail_body", &self.mail_body, BODY_CHARS_MAX),
        ] {
            if text.chars().count() > most {
                return Err(Error::invalid(field, format!("it takes at most {most} characters")));
            }
        }
        if !self.mail_body.contains("{text}") && !self.mail_subject.contains("{text}") {
            let why = "neither body nor subject holds the message: write {text}";
            return Err(Error::invalid("settings.mail_body", why));
        }
        Ok(())
    }

    fn check_times(&self) -> Result<()> {
        settings::within("settings.enquire_link_ms", &self.enquire_link_ms, &(100..=3_600_000))?;
        settings::within("settings.enquire_missed_max", &self.enquire_missed_max, &(1..=100))?;
        settings::within("settings.response_timeout_ms", &self.response_timeout_ms, &(100..=600_000))?;
        settings::within("settings.connect_timeout_ms", &self.connect_timeout_ms, &(100..=120_000))?;
        settings::within("settings.reconnect_min_ms", &self.reconnect_min_ms, &(10..=3_600_000))?;
        settings::within(
            "settings.reconnect_max_ms",
            &self.reconnect_max_ms,
            &(self.reconnect_min_ms..=3_600_000),
        )?;
        settings::within("settings.throttle_min_ms", &self.throttle_min_ms, &(10..=600_000))?;
        settings::within("settings.throttle_max_ms", &self.throttle_max_ms, &(self.throttle_min_ms..=600_000))
    }
}

#[cfg(test)]
mod tests;
