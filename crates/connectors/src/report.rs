//! What a connection tells its owner, whichever protocol it speaks.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use runtime::mail::MailCode;
use runtime::wire::Outlet;
use smpp::{RetryClass, Sm, Status};
use sms::MessageState;

use crate::BindKind;

/// Something happened on the connection.
#[derive(Debug)]
pub enum Report<T> {
    /// A session was opened.
    Bound {
        /// Which.
        kind: BindKind,
        /// With whom: an address, over HTTP the host.
        peer: String,
    },
    /// A session was lost or closed, or could not be made. Failed attempts in a row are reported once for each new reason;
    /// what its open requests came to was reported before.
    Lost {
        /// Which.
        kind: BindKind,
        /// With whom it was; `None` where it never came to a connection.
        peer: Option<String>,
        /// The reason, in words for the operator.
        why: String,
    },
    /// What became of a message: exactly one for each that the link took.
    Answered {
        /// The caller's mark.
        tag: T,
        /// What became of it.
        answer: Answer,
        /// How it left; absent where it did not, and where there are no sessions.
        way: Option<Way>,
        /// When, Unix milliseconds.
        at_ms: i64,
    },
    /// The answer to a message that had been reported as [`NoAnswer::TimedOut`] came after all, on the same session. At most
    /// one for each; the oldest of many are forgotten.
    Late {
        /// The caller's mark, as in the first report.
        tag: T,
        /// [`Answer::Accepted`] or [`Answer::Refused`].
        answer: Answer,
        /// When, Unix milliseconds.
        at_ms: i64,
    },
    /// The peer hands us a message or a receipt, and waits for an answer.
    Delivered(Delivered),
    /// The peer says that a phone can be reached again: alert_notification (SMPP v5 §4.1.3).
    Reachable {
        /// Its number, as the peer writes it.
        phone: String,
    },
}

/// How a message left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// On which session, by its number from 1.
    pub bind: u64,
    /// How long its answer took or was waited for, microseconds.
    pub took_us: u64,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The peer has taken it over.
    Accepted {
        /// The peer's name for it, which its receipts will carry: an id, or [`named_by_time`] in protocols without one.
        /// Empty where the peer gave none. Octets that are not UTF-8 are read as Latin-1.
        message_id: String,
    },
    /// The peer does not take it. After [`Class::Throttled`] and [`Class::QueueFull`] the connection has paused itself already.
    Refused {
        /// Why.
        refusal: Refusal,
        /// What to do: as the connection's settings say, or the protocol's table.
        class: Class,
    },
    /// It left, and its fate is not known: it may have been sent on.
    NoAnswer(NoAnswer),
    /// It does not fit the protocol, in words: it never left, and never will as it is.
    Unfit(String),
    /// It surely never left, in words: nobody could be reached.
    NotSent(String),
}

/// What comes of asking a peer for a message that it has taken over: query_sm (SMPP v5 §4.5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queried {
    /// The peer says how it stands.
    Told {
        /// Its `message_state`.
        state: MessageState,
        /// When it came to that, as the peer writes it; empty while it has not come to an end.
        final_date: String,
        /// The network's error in the peer's own numbers; 0 for none.
        error_code: u8,
    },
    /// The peer does not say: it knows no such message any more, or answers no such questions.
    Refused(Refusal),
    /// It was asked, and no answer came.
    NoAnswer(NoAnswer),
    /// It was not asked, in words: the protocol has no such question, or no session was there.
    NotAsked(String),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// None came in time. One may still come, as [`Report::Late`].
    TimedOut,
    /// The session was lost; none will come (SMPP v5 §2.6.3).
    BindLost,
    /// One came that nobody can read.
    Unclear,
}

/// Why a peer does not take a message, in its protocol's own table. `Display` gives what the protocol calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// command_status, also of a generic_nack.
    Smpp(Status),
    /// EC of a negative result.
    Ucp(ucp::ErrorCode),
    /// Parameter 900.
    Cimd(cimd::ErrorCode),
    /// Reply code and enhanced status code of SMTP.
    Mail(MailCode),
    /// An answer over HTTP, as the connection's description reads it.
    Http(HttpRefusal),
}

/// A refusal over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRefusal {
    /// What to do after it.
    pub class: Class,
    /// The status (RFC 9110 §15).
    pub status: u16,
    /// The provider's words; perhaps none.
    pub words: Arc<str>,
}

impl fmt::Display for HttpRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if self.words.is_empty() { Ok(()) } else { write!(f, ": {}", self.words) }
    }
}

/// What to do after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The same again will be refused again.
    Permanent,
    /// The same may be taken later.
    Temporary,
    /// Too fast: slow down, then send the same again.
    Throttled,
    /// The peer's queue is full: wait longer, then send the same again.
    QueueFull,
    /// The peer does not know the session any more: open it anew, then send the same again.
    Reconnect,
    /// This will be refused again, and so will everything else to its destination.
    Blocked,
}

/// What an operator says about a peer's refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classed {
    /// The numbers of the protocol's own table, first and last.
    pub codes: RangeInclusive<u32>,
    /// What to do; `None` where the peer means that all is well.
    pub class: Option<Class>,
}

impl Answer {
    /// A refusal with the class that its protocol's table gives it.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        let class = refusal.class();
        Self::Refused { refusal, class }
    }

    /// The answer as an operator wants its refusals to be read; the first that names it counts.
    #[must_use]
    pub fn read_by(self, classes: &[Classed]) -> Self {
        let Self::Refused { refusal, class } = self else { return self };
        let number = refusal.number();
        match classes.iter().find(|classed| classed.codes.contains(&number)) {
            None => Self::Refused { refusal, class },
            Some(Classed { class: Some(class), .. }) => Self::Refused { refusal, class: *class },
            Some(_) => Self::Accepted { message_id: String::new() },
        }
    }
}

impl Refusal {
    /// Its number in its protocol's table.
    #[must_use]
    pub fn number(&self) -> u32 {
        match self {
            Self::Http(refusal) => u32::from(refusal.status),
            Self::Smpp(status) => status.0,
            Self::Ucp(error) => u32::from(error.0),
            Self::Cimd(error) => u32::from(error.0),
            Self::Mail(code) => u32::from(code.code),
        }
    }

    /// What to do after it, by that table.
    pub fn class(&self) -> Class {
        match self {
            Self::Http(refusal) => refusal.class,
            Self::Smpp(status) => match status.class() {
                RetryClass::Throttled => Class::Throttled,
                RetryClass::QueueFull => Class::QueueFull,
                RetryClass::Temporary => Class::Temporary,
                RetryClass::ReconnectNeeded => Class::Reconnect,
                RetryClass::DestinationBlocked => Class::Blocked,
                RetryClass::Success | RetryClass::Permanent => Class::Permanent,
            },
            // Of a message, not of a login: the centre has forgotten the session.
            Self::Ucp(ucp::ErrorCode::AUTHENTICATION) | Self::Cimd(cimd::ErrorCode::UNEXPECTED) => {
                Class::Reconnect
            }
            Self::Ucp(error) => match error.class() {
                ucp::Class::Permanent => Class::Permanent,
                ucp::Class::Temporary => Class::Temporary,
                ucp::Class::Throttled => Class::Throttled,
            },
            Self::Cimd(error) => match error.class() {
                cimd::Class::Permanent => Class::Permanent,
                cimd::Class::Temporary => Class::Temporary,
                cimd::Class::Throttled => Class::Throttled,
            },
            Self::Mail(code) if code.is_permanent() => Class::Permanent,
            // The system takes no messages now, or not so many (RFC 3463 §3.4, §3.5).
            Self::Mail(MailCode { subject: 3, detail: 2, .. } | MailCode { subject: 4, detail: 5, .. }) => {
                Class::Throttled
            }
            Self::Mail(_) => Class::Temporary,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smpp(status) => status.fmt(f),
            Self::Ucp(error) => write!(f, "UCP error {error}"),
            Self::Cimd(error) => write!(f, "CIMD2 error {error}"),
            Self::Mail(code) => write!(f, "SMTP {code}"),
            Self::Http(refusal) => refusal.fmt(f),
        }
    }
}

/// What the peer hands over.
#[derive(Debug)]
pub enum Content {
    /// A message from a phone; from an SMPP centre perhaps a receipt, which its reader tells by the connection's dialect.
    /// Other protocols' messages are given in the same fields.
    Sm(Box<Sm>),
    /// A receipt, of a protocol that says so.
    Receipt(Receipt),
}

/// What has become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The phone it went to, as the peer writes it.
    pub phone: String,
    /// Whom it was from.
    pub sender: String,
    /// The message's name, as in [`Answer::Accepted`].
    pub message_id: String,
    /// Where it stands.
    pub state: MessageState,
    /// Why it stands there, in the peer's own numbers.
    pub error: Option<String>,
}

/// The name of a message in protocols that have no ids: its recipient and the centre's time stamp. Peers write the same
/// number with and without the sign of its international form, so that is left away.
///
/// Messages to one recipient within one second have the same name; receipts for them are taken in the order in which the
/// messages were.
#[must_use]
pub fn named_by_time(recipient: &str, time_stamp: &str) -> String {
    if time_stamp.is_empty() {
        return String::new();
    }
    let digits = recipient.trim_start_matches('+');
    format!("{time_stamp}:{}", digits.strip_prefix("00").unwrap_or(digits))
}

/// Whether a message's name is one that others can have too: [`named_by_time`] made it.
#[must_use]
pub fn is_named_by_time(message_id: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    message_id.split_once(':').is_some_and(|(time_stamp, recipient)| digits(time_stamp) && digits(recipient))
}

/// A message or a receipt from the message centre.
///
/// Store it, then [`accept`](Self::accept). Dropped without an answer it is refused for now, so that the peer tries again.
#[derive(Debug)]
pub struct Delivered {
    /// What it is.
    pub content: Content,
    /// Who sent it.
    pub peer: SocketAddr,
    /// When it came, Unix milliseconds.
    pub at_ms: i64,
    pub(crate) reply: Reply,
}

/// What we say to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is ours now.
    Taken,
    /// Not now: please try again.
    NotNow,
    /// Never: do not try again.
    Never,
}

impl Delivered {
    /// It is ours now. Where the session is gone there is nobody to tell, and the peer sends it again.
    pub fn accept(self) {
        self.reply.send(Verdict::Taken);
    }

    /// Answers with what the protocol has for this.
    pub fn refuse(self, verdict: Verdict) {
        self.reply.send(verdict);
    }
}

/// Writes the answer to a delivery.
pub type Owed = Box<dyn FnOnce(Verdict, &mut Vec<u8>) + Send + Sync>;

/// The answer that is owed to one request of the peer, on the session it came from.
pub(crate) struct Reply {
    outlet: Outlet,
    owed: Option<Owed>,
}

impl Reply {
    pub(crate) fn new(outlet: Outlet, owed: Owed) -> Self {
        Self { outlet, owed: Some(owed) }
    }

    fn send(mut self, verdict: Verdict) {
        self.write(verdict);
    }

    fn write(&mut self, verdict: Verdict) {
        if let Some(owed) = self.owed.take() {
            // Closed means the session is gone: the peer will deliver again on the next.
            let _ = self.outlet.write(|out| owed(verdict, out));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.write(Verdict::NotNow);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.owed.is_some() { "owed" } else { "sent" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocols_refusals_have_a_class_and_its_own_words() {
        for (refusal, class, words) in [
            (Refusal::Smpp(Status::RTHROTTLED), Class::Throttled, "ESME_RTHROTTLED"),
            (Refusal::Smpp(Status::RINVDSTADR), Class::Permanent, "ESME_RINVDSTADR"),
            (
                Refusal::Ucp(ucp::ErrorCode::NOT_ALLOWED),
                Class::Throttled,
                "UCP error 04 operation not allowed",
            ),
            (Refusal::Ucp(ucp::ErrorCode::ADC_INVALID), Class::Permanent, "UCP error 06 AdC invalid"),
            (
                Refusal::Ucp(ucp::ErrorCode::AUTHENTICATION),
                Class::Reconnect,
                "UCP error 07 authentication failure",
            ),
            (
                Refusal::Cimd(cimd::ErrorCode::CONGESTION),
                Class::Throttled,
                "CIMD2 error 10 temporary congestion",
            ),
            (Refusal::Cimd(cimd::ErrorCode::SYSTEM), Class::Temporary, "CIMD2 error 6 general system error"),
            (Refusal::Mail(MailCode::read(550, "5.1.1 nobody")), Class::Permanent, "SMTP 550 5.1.1"),
            (Refusal::Mail(MailCode::read(451, "try later")), Class::Temporary, "SMTP 451"),
            (Refusal::Mail(MailCode::read(450, "4.3.2 busy")), Class::Throttled, "SMTP 450 4.3.2"),
        ] {
            assert_eq!((refusal.class(), refusal.to_string().as_str()), (class, words));
        }
    }

    #[test]
    fn names_by_time_do_not_depend_on_the_form_of_the_number() {
        for number in ["+33612345678", "0033612345678", "33612345678"] {
            assert_eq!(named_by_time(number, "201126101500"), "201126101500:33612345678");
        }
        assert_eq!(named_by_time("33612345678", ""), "");
        assert!(is_named_by_time(&named_by_time("+33612345678", "201126101500")));
        for id in ["", ":", "201126101500", "1a:2b", "201126101500:"] {
            assert!(!is_named_by_time(id), "{id}");
        }
    }
}
