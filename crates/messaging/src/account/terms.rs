//! What an account may do, and how it wants to be told.

use runtime::config::Network;
use runtime::{Config, Runtime};
use serde::{Deserialize, Serialize};
use types::{Address, Code, Error, Result};

use super::receipts::{self, IdForm, ReceiptDates, ReceiptErrors, ReceiptFormat, ReceiptsIn};
use super::{TlvPolicy, TlvTag};
use crate::connection;
use crate::intent::Intent;
use crate::settings;

/// What an account may do, and what its messages are when they do not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccountSettings {
    /// Sessions bound at once, 1 to 1,000.
    pub binds_max: u16,
    /// Requests that each session may leave unanswered, and that we leave unanswered towards it (SMPP v5 §2.6); at most
    /// `smpp.window_max` of the configuration.
    pub window_max: u16,
    /// Message parts a second over all its sessions, 0 for no limit.
    pub throughput: u32,
    /// Networks that it may bind from, such as `203.0.113.0/24`; empty for everywhere.
    #[schema(value_type = Vec<String>)]
    pub allow_from: Vec<Network>,
    /// Whether it may bind over TLS only (not over UCP either, which has none here).
    pub require_tls: bool,
    /// The sender of its messages that name none.
    pub sender_default: Option<String>,
    /// The senders that it may use; empty for any.
    pub senders: Vec<String>,
    /// What its messages are for when they do not say.
    pub intent_default: Intent,
    /// Whether messages whose text reads like a one-time code are sent as one, whatever `intent_default` says.
    pub detect_otp: bool,
    /// Which optional parameters of its messages go on to the carrier: `pass` (all), `allow` or `deny` those of `tlv_tags`.
    pub tlv_policy: TlvPolicy,
    /// Tags such as `0x1401`, at most 64.
    #[schema(value_type = Vec<String>)]
    pub tlv_tags: Vec<TlvTag>,
    /// The numbers whose inbound messages it gets.
    pub numbers: Vec<String>,
    /// Seconds that receipts wait for it while it is not bound, 60 to 2,592,000.
    pub receipts_keep_s: u32,
    /// Where receipts are posted, instead of waiting for a session that takes them. Inbound messages wait for a session all the same.
    pub callback_url: Option<String>,
    /// The kinds of bind that it may use: `transmitter`, `receiver`, `transceiver`; empty for all.
    pub bind_kinds: Vec<String>,
    /// The service types that its messages may name, at most 32; empty for any. One that names none is always taken.
    pub service_types: Vec<String>,
    /// The service type of its messages that name none, at most 5 characters; mostly empty.
    pub service_type_default: String,
    /// How message ids are written towards it: `native`, `decimal` or `hex`.
    pub id_form: IdForm,
    /// What its receipts consist of: `both`, `text` or `tlvs`.
    pub receipt_format: ReceiptFormat,
    /// The dates of its receipts: `minutes` (ten digits) or `seconds` (twelve).
    pub receipt_dates: ReceiptDates,
    /// What `err` of its receipts says: `carrier`, or `fault` for our number, the same for every carrier.
    pub receipt_errors: ReceiptErrors,
    /// Codes of its own for our faults, such as `filtered=045`, at most 64; they go before `receipt_errors`.
    pub receipt_codes: Vec<String>,
    /// The operation that brings its receipts: `deliver_sm` or `data_sm`.
    pub receipts_in: ReceiptsIn,
    /// Host and port where its system listens for outbind, such as `esme.example:2776`; mostly empty. We connect there when
    /// something waits for it and no session of it receives; it binds on that connection.
    pub outbind: String,
    /// Whether its sessions are told by alert_notification that a phone to which it sent last can be reached again, also
    /// where the message did not ask for that with set_dpf.
    pub alerts: bool,
}

/// Three days: what most carriers keep a receipt for.
pub const RECEIPTS_KEEP_S: u32 = 259_200;
const NETWORKS_MAX: usize = 64;
const SENDERS_MAX: usize = 500;
const NUMBERS_MAX: usize = 1_000;
const SERVICE_TYPES_MAX: usize = 32;
const BIND_KINDS: [&str; 3] = ["transmitter", "receiver", "transceiver"];

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            binds_max: 4,
            window_max: 100,
            throughput: 0,
            allow_from: Vec::new(),
            require_tls: false,
            sender_default: None,
            senders: Vec::new(),
            intent_default: Intent::Transactional,
            detect_otp: false,
            tlv_policy: TlvPolicy::Pass,
            tlv_tags: Vec::new(),
            numbers: Vec::new(),
            receipts_keep_s: RECEIPTS_KEEP_S,
            callback_url: None,
            bind_kinds: Vec::new(),
            service_types: Vec::new(),
            service_type_default: String::new(),
            id_form: IdForm::Native,
            receipt_format: ReceiptFormat::Both,
            receipt_dates: ReceiptDates::Minutes,
            receipt_errors: ReceiptErrors::Carrier,
            receipt_codes: Vec::new(),
            receipts_in: ReceiptsIn::DeliverSm,
            outbind: String::new(),
            alerts: false,
        }
    }
}

impl AccountSettings {
    /// What an account has that says nothing itself.
    pub fn defaults(config: &Config) -> Self {
        let narrow = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        Self {
            binds_max: narrow(config.smpp.binds_per_account_default),
            window_max: narrow(config.smpp.window_default),
            throughput: config.smpp.throughput_default,
            ..Self::default()
        }
    }

    /// What only SMPP has.
    fn check_smpp(&self) -> Result<()> {
        settings::at_most("settings.bind_kinds", &self.bind_kinds, BIND_KINDS.len())?;
        if let Some(kind) = self.bind_kinds.iter().find(|kind| !BIND_KINDS.contains(&kind.as_str())) {
            let why = format!("{kind:?} is no kind of bind; they are {}", BIND_KINDS.join(", "));
            return Err(Error::invalid("settings.bind_kinds", why));
        }
        settings::at_most("settings.service_types", &self.service_types, SERVICE_TYPES_MAX)?;
        for service_type in &self.service_types {
            settings::c_octets("settings.service_types", service_type, &(1..=5))?;
        }
        settings::c_octets("settings.service_type_default", &self.service_type_default, &(0..=5))?;
        receipts::check(&self.receipt_codes)?;
        match self.outbind.as_str() {
            "" => Ok(()),
            outbind => connection::host("settings.outbind", outbind).map(drop),
        }
    }

    /// Whether a bind of this kind may be used.
    pub(crate) fn may_bind(&self, kind: &str) -> bool {
        self.bind_kinds.is_empty() || self.bind_kinds.iter().any(|allowed| allowed == kind)
    }

    /// Whether a message may name this service type.
    pub(crate) fn may_use(&self, service_type: &[u8]) -> bool {
        let known = |allowed: &String| allowed.as_bytes() == service_type;
        service_type.is_empty() || self.service_types.is_empty() || self.service_types.iter().any(known)
    }

    /// The settings in their normal form, when every value is one that its field takes.
    pub(super) fn checked(mut self, runtime: &Runtime) -> Result<Self> {
        let window_max = u16::try_from(runtime.config.smpp.window_max).unwrap_or(u16::MAX);
        settings::within("settings.binds_max", &self.binds_max, &(1..=1_000))?;
        settings::within("settings.window_max", &self.window_max, &(1..=window_max))?;
        settings::within("settings.throughput", &self.throughput, &(0..=1_000_000))?;
        settings::within("settings.receipts_keep_s", &self.receipts_keep_s, &(60..=2_592_000))?;
        settings::at_most("settings.allow_from", &self.allow_from, NETWORKS_MAX)?;
        settings::at_most("settings.senders", &self.senders, SENDERS_MAX)?;
        settings::at_most("settings.tlv_tags", &self.tlv_tags, 64)?;
        settings::at_most("settings.numbers", &self.numbers, NUMBERS_MAX)?;
        self.check_smpp()?;
        if let Some(sender) = &mut self.sender_default {
            *sender =
                Address::sender(sender).map_err(|error| error.at("settings.sender_default"))?.to_string();
        }
        for sender in &mut self.senders {
            *sender = Address::sender(sender).map_err(|error| error.at("settings.senders"))?.to_string();
        }
        for number in &mut self.numbers {
            *number = Address::recipient(number).map_err(|error| error.at("settings.numbers"))?.to_string();
        }
        if let Some(sender) = &self.sender_default
            && !self.senders.is_empty()
            && !self.senders.contains(sender)
        {
            let why = format!("{sender:?} is not among the senders that the account may use");
            return Err(Error::invalid("settings.sender_default", why));
        }
        if let Some(url) = &self.callback_url {
            runtime.outbound.check_url(url).map_err(|error| {
                Error::new(Code::InvalidUrl, error.to_string()).at("settings.callback_url")
            })?;
        }
        Ok(self)
    }
}
