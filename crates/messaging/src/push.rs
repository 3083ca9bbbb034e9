//! What customers' systems must be given: receipts and inbound messages, kept until they are taken.

use types::{AccountId, Address, MessageId, TenantId, Timestamp};

use crate::message::State;

/// A receipt or an inbound message for a customer's system. It stands in the table `push` until that system has
/// answered for it.
#[derive(Debug, Clone)]
pub struct Push {
    /// Its id; order by id is order of making.
    pub id: i64,
    /// Whose.
    pub tenant: TenantId,
    /// For which account.
    pub account: AccountId,
    /// The message that it is about, or is.
    pub message: MessageId,
    /// What it is.
    pub kind: PushKind,
    /// Who sends the deliver_sm: for a receipt the message's recipient.
    pub sender: Address,
    /// Who receives the deliver_sm: for a receipt the message's sender.
    pub recipient: Address,
    /// When the message was accepted.
    pub accepted_at: Timestamp,
    /// When it came to its end, or came in.
    pub at: Timestamp,
    /// When it is worth nothing any more.
    pub expires_at: Timestamp,
}

/// What a push is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushKind {
    /// A delivery receipt.
    Receipt {
        /// The state that the message came to.
        state: State,
        /// The carrier's or our reason, where it is no delivery.
        error: Option<String>,
    },
    /// A message from a phone.
    Message {
        /// How its octets are to be read.
        data_coding: u8,
        /// Its octets.
        body: Vec<u8>,
    },
}

impl PushKind {
    /// The columns kind, state and error.
    pub(crate) fn columns(&self) -> (&'static str, &'static str, Option<&str>) {
        match self {
            Self::Receipt { state, error } => ("receipt", state.as_str(), error.as_deref()),
            Self::Message { .. } => ("message", State::Received.as_str(), None),
        }
    }
}

/// The pushes of all accounts, in memory as far as bounds allow.
#[derive(Debug, Default)]
pub struct Pushes {}

impl Pushes {
    /// No push yet.
    pub fn new(_runtime: &runtime::Runtime) -> Self {
        Self {}
    }

    /// Takes a committed push.
    pub fn put(&self, push: Push) {
        drop(push);
    }
}
