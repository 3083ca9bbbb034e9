//! Acknowledgements of phones (SMPP v3.4 §2.11): the device has the message, or its owner has answered for it. They change
//! no state, which is the receipts' to say; they stand in the timeline and go to whoever asked for them.

use serde::{Deserialize, Serialize};

use super::Batch;
use super::receipt::CarrierReceipt;
use super::rows::Attempt;
use super::settle::Notice;
use crate::push::{Push, PushKind};

/// Characters of a phone's words that are kept: in septets they fit one part.
const WORDS_CHARS_MAX: usize = 120;

/// How the timeline's note of an acknowledgement begins.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged: ";

/// Who acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The receiving device (esm_class 0x08).
    Device,
    /// Its owner (esm_class 0x10).
    Person,
}

impl By {
    /// Its name in the table.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Person => "person",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Self {
        if name == Self::Person.as_str() { Self::Person } else { Self::Device }
    }

    /// Whether a message's registered_delivery asks for it (SMPP v3.4 §5.2.17, bits 2 and 3).
    const fn wanted(self, registered: u8) -> bool {
        match self {
            Self::Device => registered & 0x04 != 0,
            Self::Person => registered & 0x08 != 0,
        }
    }
}

/// An acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ack {
    /// Who acknowledges.
    pub(crate) by: By,
    /// What came with it; mostly empty.
    pub(crate) words: String,
    /// The answer that was chosen, where the phone offers some: user_response_code.
    pub(crate) response: Option<u8>,
}

impl Ack {
    /// An acknowledgement with what came with it.
    pub(crate) fn new(by: By, words: &str, response: Option<u8>) -> Self {
        let words = words.chars().filter(|ch| *ch != '\0').take(WORDS_CHARS_MAX).collect();
        Self { by, words, response }
    }

    fn told(&self) -> String {
        let mut told = match self.by {
            By::Device => "by the phone".to_owned(),
            By::Person => "by its owner".to_owned(),
        };
        if let Some(response) = self.response {
            told.push_str(&format!(", response code {response}"));
        }
        if !self.words.is_empty() {
            told.push_str(&format!(": {}", self.words));
        }
        told
    }
}

/// Notes an acknowledgement for the timeline, and for the sender where it asked for it. `part` is 0 where there is one alone.
pub(super) fn taken(batch: &mut Batch, receipt: &CarrierReceipt, ack: &Ack, notice: Notice, part: u8) {
    batch.noted.push(Attempt {
        tenant: notice.tenant,
        message: notice.message,
        part,
        connection: Some(receipt.connection),
        outcome: format!("{ACKNOWLEDGED}{}", ack.told()),
    });
    let Some(account) = notice.account.filter(|_| ack.by.wanted(notice.registered)) else { return };
    let id = batch.runtime.ids.next::<types::kind::Job>().raw();
    let keep_ms = i64::from(crate::account::RECEIPTS_KEEP_S) * 1_000;
    batch.push(Push {
        id,
        tenant: notice.tenant,
        account,
        message: notice.message,
        kind: PushKind::Ack { by: ack.by, words: ack.words.clone() },
        sender: notice.recipient,
        recipient: notice.sender,
        accepted_at: notice.accepted_at,
        at: batch.now,
        expires_at: notice.expires_at.max(batch.now.plus_ms(keep_ms)),
    });
}
