//! What the protocols do not have in common.

use std::fmt;

use runtime::Clock;
use runtime::trace::{Protocol, Tap};
use smpp::{Address, SmRef};

use super::{BindKind, Settings};
use crate::report::{Answer, Content, Owed, Queried};

/// One protocol, as a connection speaks it: octets in, what they mean out. A value of it is one session's reading side;
/// it does no I/O.
pub trait Wire: Send + Sized + 'static {
    /// What the protocol adds to the settings.
    type Login: Clone + fmt::Debug + PartialEq + Send + Sync + 'static;
    /// What writing a message needs, made once for each link.
    type Writer: Send + Sync + 'static;
    /// Gives the numbers of requests.
    type Numbers: Send + 'static;

    /// The protocol's name, for people.
    const NAME: &'static str;
    /// The protocol, for those who listen in.
    const TRACED: Protocol;
    /// What ended, for people: "unbound", "logged out".
    const LEFT: &'static str;
    /// What opens a session, for people.
    const LOGIN: &'static str;
    /// What asks whether the peer is there, for people.
    const QUESTION: &'static str;
    /// Requests that can be unanswered.
    const WINDOW_MAX: u16;
    /// Numbers come round so soon that a late answer could be taken for another's: a session with a request that was not
    /// answered in time is given up for a new one.
    const NUMBERS_RECUR: bool;

    /// The reading side of a session that begins; it shows the tap what it reads.
    fn begin(settings: &Settings<Self::Login>, tap: Tap) -> Self;

    /// The numbers of a session that begins, behind that of its login.
    fn numbers() -> Self::Numbers;

    /// The next number; `None` where all are in use.
    fn take_number(numbers: &mut Self::Numbers, in_use: impl Fn(u32) -> bool) -> Option<u32>;

    /// What writing needs.
    fn writer(settings: &Settings<Self::Login>, clock: &Clock) -> Self::Writer;

    /// Appends what opens a session; `false` where the peer wants nothing of the kind, and the session is open at once.
    ///
    /// # Errors
    /// Settings that do not fit their fields, in words.
    fn log_in(settings: &Settings<Self::Login>, kind: BindKind, out: &mut Vec<u8>) -> Result<bool, String>;

    /// Appends a message.
    ///
    /// # Errors
    /// What does not fit its field, in words; `out` is as it was.
    fn submit(writer: &Self::Writer, number: u32, sm: &SmRef<'_>, out: &mut Vec<u8>) -> Result<(), String>;

    /// Appends the question what became of a message, by the peer's name for it and by the sender that it was sent with. False
    /// where the protocol has no such question.
    ///
    /// # Errors
    /// What does not fit its field, in words; `out` is as it was.
    fn query(
        _writer: &Self::Writer,
        _number: u32,
        _message: (&str, &Address),
        _out: &mut Vec<u8>,
    ) -> Result<bool, String> {
        Ok(false)
    }

    /// Appends the question whether the peer is there.
    fn ask(writer: &Self::Writer, number: u32, out: &mut Vec<u8>);

    /// Appends what ends a session; `false` where the protocol has nothing of the kind.
    fn log_out(number: u32, out: &mut Vec<u8>) -> bool;

    /// The buffer to append the next read to.
    fn buffer(&mut self, room: usize) -> &mut Vec<u8>;

    /// What came next; `None` until more is read. `kind` is that of the session.
    ///
    /// # Errors
    /// [`Lost`]: the stream is none of this protocol.
    fn heard(&mut self, kind: BindKind) -> Result<Option<Heard>, Lost>;
}

/// Something that a peer said.
pub enum Heard {
    /// The session is open.
    LoggedIn {
        /// What the peer calls itself; empty where it does not say.
        peer: String,
    },
    /// The session is refused.
    LoginRefused {
        /// Why, in words.
        why: String,
        /// The same attempt will fail again until somebody changes the settings, here or there.
        lasting: bool,
    },
    /// The answer to a message.
    Answered {
        /// Its number.
        number: u32,
        /// [`Answer::Accepted`] or [`Answer::Refused`].
        answer: Answer,
        /// How busy the peer is, 0 to 100 (SMPP v5 §2.9).
        congestion: Option<u8>,
    },
    /// The answer to a question what became of a message.
    Told {
        /// Its number.
        number: u32,
        /// [`Queried::Told`], [`Queried::Refused`] or [`Queried::NoAnswer`].
        told: Queried,
    },
    /// A message or receipt, and how it is answered.
    Delivered(Content, Owed),
    /// A request that is answered at once.
    Asked(Vec<u8>),
    /// A request that could not be read, is not known or not allowed, with the answer to it (none where it is empty); or an
    /// answer to nothing.
    Odd(Vec<u8>),
    /// The peer tells something that nobody needs here.
    Notice,
    /// A phone can be reached again.
    Reachable {
        /// Its number, as the peer writes it.
        phone: String,
    },
    /// The peer answered a question of ours.
    Alive,
    /// The peer ends the session; the answer to that.
    Left(Vec<u8>),
    /// The peer has taken note that we end the session.
    MayLeave,
}

/// The stream cannot be read any further.
pub struct Lost {
    /// Why, in words.
    pub why: String,
    /// The last thing to tell the peer.
    pub last_word: Vec<u8>,
}
