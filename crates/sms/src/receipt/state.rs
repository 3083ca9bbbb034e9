//! States of a message (SMPP v3.4 §5.2.28, v5.0 §4.7.15) and their texts in receipts.

/// The state of a message. Numbers not assigned are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// 0: not yet tried, as its time has not come (v5.0).
    Scheduled,
    /// 1: on its way.
    Enroute,
    /// 2: at the handset.
    Delivered,
    /// 3: its validity ended first.
    Expired,
    /// 4: cancelled.
    Deleted,
    /// 5: refused by the network or the handset.
    Undeliverable,
    /// 6: taken over; in practice not the end.
    Accepted,
    /// 7: the centre does not know; in practice often a buffered message.
    Unknown,
    /// 8: refused by the centre.
    Rejected,
    /// 9: not sent on purpose (v5.0).
    Skipped,
    /// A number that no version assigns.
    Other(u8),
}

impl MessageState {
    /// The state of a `message_state` number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Scheduled,
            1 => Self::Enroute,
            2 => Self::Delivered,
            3 => Self::Expired,
            4 => Self::Deleted,
            5 => Self::Undeliverable,
            6 => Self::Accepted,
            7 => Self::Unknown,
            8 => Self::Rejected,
            9 => Self::Skipped,
            other => Self::Other(other),
        }
    }

    /// The `message_state` number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Scheduled => 0,
            Self::Enroute => 1,
            Self::Delivered => 2,
            Self::Expired => 3,
            Self::Deleted => 4,
            Self::Undeliverable => 5,
            Self::Accepted => 6,
            Self::Unknown => 7,
            Self::Rejected => 8,
            Self::Skipped => 9,
            Self::Other(number) => number,
        }
    }

    /// The state of a receipt's `stat`, in any case, with the abbreviations and synonyms met. `None` for
    /// others, and for numbers: centres that write numbers do not agree on them (0 is delivered on some), so
    /// a connection that sends them needs its own table.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        TEXTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|&(_, state)| state)
    }

    /// The text for `stat`, at most seven characters; `UNKNOWN` for numbers not assigned.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDLD",
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown | Self::Other(_) => "UNKNOWN",
            Self::Rejected => "REJECTD",
            Self::Skipped => "SKIPPED",
        }
    }

    /// Whether no other state follows. The standard calls ACCEPTED final and leaves UNKNOWN open; centres
    /// send both for messages that they still hold, so neither is final here, nor is a number not assigned. A
    /// connection whose centre means it otherwise has its own table.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered
                | Self::Expired
                | Self::Deleted
                | Self::Undeliverable
                | Self::Rejected
                | Self::Skipped
        )
    }
}

/// Texts of `stat`, the most frequent first.
const TEXTS: [(&str, MessageState); 25] = [
    ("DELIVRD", MessageState::Delivered),
    ("UNDELIV", MessageState::Undeliverable),
    ("EXPIRED", MessageState::Expired),
    ("REJECTD", MessageState::Rejected),
    ("ACCEPTD", MessageState::Accepted),
    ("ENROUTE", MessageState::Enroute),
    ("UNKNOWN", MessageState::Unknown),
    ("DELETED", MessageState::Deleted),
    ("SKIPPED", MessageState::Skipped),
    ("SCHEDLD", MessageState::Scheduled),
    ("DELIVERED", MessageState::Delivered),
    ("UNDELIVERED", MessageState::Undeliverable),
    ("UNDELIVERABLE", MessageState::Undeliverable),
    ("FAILED", MessageState::Undeliverable),
    ("REJECTED", MessageState::Rejected),
    ("DND_REJECTED", MessageState::Rejected),
    ("ACCEPTED", MessageState::Accepted),
    ("EN_ROUTE", MessageState::Enroute),
    ("BUFFRED", MessageState::Enroute),
    ("BUFFERD", MessageState::Enroute),
    ("BUFFERED", MessageState::Enroute),
    ("ACKED", MessageState::Enroute),
    ("CANCELLED", MessageState::Deleted),
    ("CANCELED", MessageState::Deleted),
    ("SCHEDULED", MessageState::Scheduled),
];
