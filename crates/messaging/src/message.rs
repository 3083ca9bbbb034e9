//! A message: what it is, its states, and what may be asked of it.

use serde::{Deserialize, Serialize};
use sms::Encoding;
use types::{AccountId, Address, ConnectionId, MessageId, Npi, TenantId, Timestamp, Ton};

use crate::gate::held::Held;
use crate::intent::Intent;
use crate::mail::notice::MailReturn;

pub mod api;
pub mod cancel;
pub(crate) mod confidential;
mod find;
mod kept;
mod own;
pub(crate) mod owners;
pub mod pages;
pub mod pdu;
pub mod query;
pub mod quote;
pub mod replace;
pub mod sm;
pub mod submit;
pub mod timeline;

/// Where a message stands. Each message is in exactly one state, so the states' sums are what was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// Waits for a place on its connection, or for the next try.
    Queued,
    /// The carrier has taken it over; its receipt is awaited.
    Sent,
    /// It left, and no answer came; a receipt or the end of its validity will tell.
    Indeterminate,
    /// On the phone.
    Delivered,
    /// The carrier gave it up.
    Failed,
    /// Refused by the carrier.
    Rejected,
    /// Its validity ended first.
    Expired,
    /// Taken back before it left.
    Cancelled,
    /// Came in from a phone.
    Received,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Scheduled,
        Self::Queued,
        Self::Sent,
        Self::Indeterminate,
        Self::Delivered,
        Self::Failed,
        Self::Rejected,
        Self::Expired,
        Self::Cancelled,
        Self::Received,
    ];

    /// The name that the API and the database hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Indeterminate => "indeterminate",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Received => "received",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing more will come of it.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Queued | Self::Sent | Self::Indeterminate)
    }

    /// The state as a delivery receipt says it (SMPP v5 §4.7.15).
    pub const fn receipt(self) -> sms::MessageState {
        match self {
            Self::Scheduled => sms::MessageState::Scheduled,
            Self::Queued | Self::Sent => sms::MessageState::Enroute,
            Self::Indeterminate => sms::MessageState::Unknown,
            Self::Delivered | Self::Received => sms::MessageState::Delivered,
            Self::Failed => sms::MessageState::Undeliverable,
            Self::Rejected => sms::MessageState::Rejected,
            Self::Expired => sms::MessageState::Expired,
            Self::Cancelled => sms::MessageState::Deleted,
        }
    }

    /// The state that a carrier's receipt brings a message to, if it brings it to an end.
    pub const fn from_receipt(state: sms::MessageState) -> Option<Self> {
        match state {
            sms::MessageState::Delivered => Some(Self::Delivered),
            sms::MessageState::Expired => Some(Self::Expired),
            sms::MessageState::Deleted | sms::MessageState::Undeliverable | sms::MessageState::Skipped => {
                Some(Self::Failed)
            }
            sms::MessageState::Rejected => Some(Self::Rejected),
            _ => None,
        }
    }
}

/// What is seldom asked for; kept as JSON, absent for most messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// SMPP service_type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_type: String,
    /// TP-PID.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub protocol_id: u8,
    /// esm_class as submitted; the header indicator and reply path are passed on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub esm_class: u8,
    /// SMPP priority_flag.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: u8,
    /// Optional parameters to pass on: tag and octets in hex.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tlvs: Vec<(u16, String)>,
    /// Whether its sender chose the validity, so that the carrier is told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub validity_chosen: bool,
    /// How long its receipt waits for the customer's system, in seconds, where that is not the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts_keep_s: Option<u32>,
    /// Where receipts are posted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// How the sender of the mail that it came in hears of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Box<MailReturn>>,
    /// Where reports go by GET, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dlr: Option<crate::sendsms::dlr::Dlr>,
    /// Why it is held, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The message that failed and that this one is sent for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive_of: Option<MessageId>,
    /// Whether a test key sent it: it goes to the simulator and to nobody else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// The firewall rules that marked it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// What it says, sealed: its row's text is not what goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<confidential::SealedText>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &u8) -> bool {
    *value == 0
}

/// A message on its way out, as the engine holds it.
#[derive(Debug)]
pub struct Outgoing {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The SMPP account it came from, if it came so.
    pub account: Option<AccountId>,
    /// Who sends.
    pub sender: Address,
    /// Who receives.
    pub recipient: Address,
    /// The content in its coding, without a header of ours.
    pub body: Vec<u8>,
    /// The coding, which also says how the body may be split.
    pub encoding: Encoding,
    /// data_coding as it goes out.
    pub data_coding: u8,
    /// The parts that were counted when it was accepted.
    pub parts: u8,
    /// What it is for.
    pub intent: Intent,
    /// registered_delivery as submitted.
    pub registered: u8,
    /// What is seldom asked for.
    pub options: Option<Box<Options>>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it is worth nothing any more.
    pub expires_at: Timestamp,
    /// Whether its sender chose the validity.
    pub validity_chosen: bool,
    /// How often it has been handed over.
    pub attempts: u32,
    /// Whether it may have reached a carrier before.
    pub maybe_twice: bool,
    /// Parts that a carrier has taken over already: bit n is part n + 1.
    pub parts_done: PartSet,
}

impl Outgoing {
    /// Whether what it says is for its recipient alone.
    pub fn is_confidential(&self) -> bool {
        self.options.as_deref().is_some_and(|options| options.sealed.is_some())
    }
}

#[cfg(test)]
impl Outgoing {
    /// A message of one part.
    pub(crate) fn of_test(id: i64) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self {
            id: MessageId::from_raw(id),
            tenant: TenantId::from_raw(1),
            account: None,
            sender: address_of("ACME".to_owned(), 0),
            recipient: address_of("33612345678".to_owned(), 0),
            body: Vec::new(),
            encoding: Encoding::GSM7,
            data_coding: 0,
            parts: 1,
            intent: Intent::Transactional,
            registered: 1,
            options: None,
            accepted_at: Timestamp::from_unix_ms(0),
            expires_at: Timestamp::from_unix_ms(1),
            validity_chosen: false,
            attempts: 0,
            maybe_twice: false,
            parts_done: PartSet::default(),
        })
    }
}

/// A set of part numbers, 1 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartSet([u128; 2]);

impl PartSet {
    /// Adds a part.
    pub fn insert(&mut self, part: u8) {
        let bit = part.saturating_sub(1);
        self.0[usize::from(bit >> 7)] |= 1 << (bit & 127);
    }

    /// Whether a part is in it.
    pub fn contains(self, part: u8) -> bool {
        let bit = part.saturating_sub(1);
        self.0[usize::from(bit >> 7)] & (1 << (bit & 127)) != 0
    }

    /// How many parts it holds.
    pub fn len(self) -> u32 {
        self.0[0].count_ones() + self.0[1].count_ones()
    }

    /// Whether it holds none.
    pub fn is_empty(self) -> bool {
        self.0 == [0, 0]
    }
}

/// An address's kind as one number for the database: TON × 256 + NPI.
pub fn kind_of(address: &Address) -> i64 {
    i64::from(address.ton.0) << 8 | i64::from(address.npi.0)
}

/// An address from its text and kind.
pub fn address_of(text: String, kind: i64) -> Address {
    Address { text, ton: Ton((kind >> 8 & 0xff) as u8), npi: Npi((kind & 0xff) as u8) }
}

/// Why a connection was chosen, kept with the message from the moment of the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The connection.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What each rule said that was asked; the last one decided.
    #[serde(rename = "k", default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<crate::route::Kept>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_ends_are_ends() {
        for state in State::ALL {
            assert_eq!(State::named(state.as_str()), Some(state));
        }
        assert!(State::Delivered.is_final() && !State::Indeterminate.is_final());
    }

    #[test]
    fn parts_are_kept_over_the_whole_range() {
        let mut parts = PartSet::default();
        for part in [1, 128, 129, 255] {
            assert!(!parts.contains(part));
            parts.insert(part);
            assert!(parts.contains(part));
        }
        assert_eq!(parts.len(), 4);
    }

    #[test]
    fn an_address_keeps_its_kind() {
        let address = Address::sender("ACME").unwrap();
        assert_eq!(address_of(address.text.clone(), kind_of(&address)), address);
    }
}
