//! Why a message was not delivered, in words that are the same for every carrier.

use connectors::Class;
use serde::{Deserialize, Serialize};
use smpp::Status;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $text:literal;)*) => {
        /// A carrier's error in our own words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Fault { $(#[doc = $text] $variant,)* }

        impl Fault {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that programs see.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its number, three digits: `err` of receipts where an account wants it so.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }

            /// What it means.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

faults! {
    UnknownSubscriber = 1, "unknown_subscriber", "the number is not in use";
    AbsentSubscriber = 2, "absent_subscriber", "the phone is off or out of reach";
    Barred = 3, "barred", "the subscriber is barred from receiving";
    NotProvisioned = 4, "not_provisioned", "the subscriber has no short message service";
    MemoryFull = 5, "memory_full", "the phone's memory is full";
    HandsetError = 6, "handset_error", "the phone refused it";
    HandsetBusy = 7, "handset_busy", "the phone was busy";
    NetworkError = 8, "network_error", "a network on the way failed";
    Ported = 9, "ported", "the number was ported, and its network is not known";
    InvalidRecipient = 10, "invalid_recipient", "the recipient is no number that can be reached";
    InvalidSender = 11, "invalid_sender", "the sender is not allowed";
    InvalidContent = 12, "invalid_content", "the content is not allowed, or cannot be carried";
    Filtered = 13, "filtered", "a filter against spam stopped it";
    OptedOut = 14, "opted_out", "the recipient does not want such messages";
    NoCredit = 15, "no_credit", "there is no credit";
    NoRoute = 16, "no_route", "no route leads to the recipient";
    TooFast = 17, "too_fast", "the carrier is sent more than it takes";
    QueueFull = 18, "queue_full", "the carrier's queue is full";
    Expired = 19, "expired", "its validity ended";
    NotPermitted = 20, "not_permitted", "the operation or service is not permitted";
    Malformed = 21, "malformed", "the carrier does not take a field as it is";
    Duplicate = 22, "duplicate", "the carrier has it already";
    CarrierError = 23, "carrier_error", "the carrier has a fault";
    Unknown = 99, "unknown", "the carrier does not say why";
}

/// A reason as it is kept: the carrier's own words, and behind them ours where the connection's table has some.
///
/// `0x402 [filtered] blocked by the carrier's firewall`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason<'a> {
    /// What the carrier said.
    pub raw: &'a str,
    /// What it means.
    pub fault: Option<Fault>,
    /// What the table adds.
    pub text: &'a str,
}

impl<'a> Reason<'a> {
    /// Reads what [`Reason::kept`] wrote; what has no fault of ours in it is all the carrier's.
    #[must_use]
    pub fn read(kept: &'a str) -> Self {
        let found = kept.rsplit_once(" [").and_then(|(raw, rest)| {
            let (name, text) = rest.split_once(']')?;
            let fault = Fault::ALL.iter().find(|fault| fault.as_str() == name)?;
            Some(Self { raw, fault: Some(*fault), text: text.trim_start() })
        });
        found.unwrap_or(Self { raw: kept, fault: None, text: "" })
    }

    /// The text that is kept.
    #[must_use]
    pub fn kept(self) -> String {
        let Self { raw, fault, text } = self;
        match (fault, text) {
            (None, _) => raw.to_owned(),
            (Some(fault), "") => format!("{raw} [{}]", fault.as_str()),
            (Some(fault), text) => format!("{raw} [{}] {text}", fault.as_str()),
        }
    }

    /// What it means: as the table said, or as the status of SMPP's own table does.
    #[must_use]
    pub fn meaning(self) -> Option<Fault> {
        self.fault.or_else(|| {
            let words = self.raw.split(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
            words
                .filter_map(|word| Status::ALL.iter().find(|status| status.name() == Some(word)))
                .find_map(of_status)
        })
    }
}

/// What a status of SMPP means.
fn of_status(status: &Status) -> Option<Fault> {
    Some(match *status {
        Status::ROK => return None,
        Status::RINVSRCADR | Status::RINVSRCTON | Status::RINVSRCNPI | Status::RINVSRCADDRSUBUNIT => {
            Fault::InvalidSender
        }
        Status::RINVDSTADR | Status::RINVDSTTON | Status::RINVDSTNPI | Status::RINVDSTADDRSUBUNIT => {
            Fault::InvalidRecipient
        }
        Status::RTHROTTLED => Fault::TooFast,
        Status::RMSGQFUL => Fault::QueueFull,
        Status::RINVMSGLEN | Status::RINVDCS => Fault::InvalidContent,
        Status::RINVSERTYP
        | Status::RSERTYPUNAUTH
        | Status::RPROHIBITED
        | Status::RSERTYPUNAVAIL
        | Status::RSERTYPDENIED => Fault::NotPermitted,
        Status::RSYSERR
        | Status::RX_T_APPN
        | Status::RINVBNDSTS
        | Status::RBINDFAIL
        | Status::RDELIVERYFAILURE => Fault::CarrierError,
        Status::RX_P_APPN | Status::RX_R_APPN | Status::RSUBMITFAIL | Status::RUNKNOWNERR => Fault::Unknown,
        _ => Fault::Malformed,
    })
}

/// What to do after a carrier's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The message ends.
    Permanent,
    /// It is tried again later.
    Temporary,
    /// The whole connection pauses, and the same is sent again; no attempt is counted.
    Throttled,
    /// The whole connection pauses for longer; it is tried again later.
    QueueFull,
    /// The session is bound anew; it is tried again later.
    Reconnect,
    /// The message ends, and everything else that waits for the same recipient on this connection.
    BlockedDestination,
    /// All is well: the carrier has it.
    Success,
}

impl ErrorClass {
    /// As the connection acts upon it; none for success.
    #[must_use]
    pub const fn class(self) -> Option<Class> {
        Some(match self {
            Self::Permanent => Class::Permanent,
            Self::Temporary => Class::Temporary,
            Self::Throttled => Class::Throttled,
            Self::QueueFull => Class::QueueFull,
            Self::Reconnect => Class::Reconnect,
            Self::BlockedDestination => Class::Blocked,
            Self::Success => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_as_it_was_kept() {
        for (raw, fault, text) in [
            ("0x402", Some(Fault::Filtered), "blocked by the firewall"),
            ("ESME_RX_P_APPN", Some(Fault::Unknown), ""),
            ("no receipt [ever] came", None, ""),
        ] {
            let reason = Reason { raw, fault, text };
            assert_eq!(Reason::read(&reason.kept()), reason);
        }
    }

    #[test]
    fn numbers_and_names_are_told_apart() {
        let mut numbers: Vec<_> = Fault::ALL.iter().map(|fault| fault.number()).collect();
        assert!(numbers.is_sorted());
        numbers.dedup();
        assert_eq!(numbers.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.as_str());
        }
    }

    #[test]
    fn a_status_has_its_meaning_without_a_table() {
        let meaning = |kept| Reason::read(kept).meaning();
        assert_eq!(meaning("ESME_RINVDSTADR"), Some(Fault::InvalidRecipient));
        assert_eq!(meaning("given up after 3 attempts: ESME_RMSGQFUL"), Some(Fault::QueueFull));
        assert_eq!(meaning("the bind was lost"), None);
    }
}
