//! What a connection tells its owner.

use std::fmt;
use std::net::SocketAddr;

use runtime::wire::Outlet;
use smpp::{CommandId, EncodeError, Header, MessageIdResp, Pdu, Sm, Status, encode_deliver_sm_resp};

use super::BindKind;

/// Something happened on the connection.
#[derive(Debug)]
pub enum Report<T> {
    /// A bind was accepted.
    Bound {
        /// Which.
        kind: BindKind,
        /// Whom it is bound to.
        peer: SocketAddr,
    },
    /// A bind was lost or closed, or could not be made. Failed attempts in a row are reported once for each new reason;
    /// what its open requests came to was reported before.
    Lost {
        /// Which.
        kind: BindKind,
        /// Whom it was bound to; `None` where it never came to a connection.
        peer: Option<SocketAddr>,
        /// The reason, in words for the operator.
        why: String,
    },
    /// What became of a submit_sm: exactly one for each that [`Link::submit`](super::Link::submit) took.
    Answered {
        /// The caller's mark.
        tag: T,
        /// What became of it.
        answer: Answer,
        /// When, Unix milliseconds.
        at_ms: i64,
    },
    /// The answer to a submit_sm that had been reported as [`NoAnswer::TimedOut`] came after all, on the same bind. At most
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
}

/// What became of a submit_sm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The peer has taken it over.
    Accepted {
        /// The peer's name for it, which its receipts will carry. Empty where the peer gave none. Octets that are not
        /// UTF-8 are read as Latin-1.
        message_id: String,
    },
    /// The peer does not take it; [`Status::class`] says what to do. After `ESME_RTHROTTLED` and `ESME_RMSGQFUL` the
    /// connection has paused itself already.
    Refused {
        /// Why, also from a generic_nack.
        status: Status,
    },
    /// It left, and its fate is not known: it may have been sent on.
    NoAnswer(NoAnswer),
    /// A field does not fit its place in the PDU: it never left, and never will as it is.
    Unfit(EncodeError),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// None came in time. One may still come, as [`Report::Late`].
    TimedOut,
    /// The bind was lost; none will come (SMPP v5 §2.6.3).
    BindLost,
}

/// A deliver_sm or data_sm from the message centre: an inbound message or a receipt.
///
/// Store it, then [`accept`](Self::accept). Dropped without an answer it is refused with a temporary error, so that the
/// peer tries again.
#[derive(Debug)]
pub struct Delivered {
    /// The message; of a data_sm the fields it has, its content as usual in [`Sm::content`].
    pub sm: Box<Sm>,
    /// [`CommandId::DELIVER_SM`] or [`CommandId::DATA_SM`].
    pub operation: CommandId,
    /// Who sent it.
    pub peer: SocketAddr,
    /// When it came, Unix milliseconds.
    pub at_ms: i64,
    pub(super) reply: Reply,
}

impl Delivered {
    /// Answers `ESME_ROK`: it is ours now. Where the bind is gone there is nobody to tell, and the peer sends it again.
    pub fn accept(self) {
        self.reply.send(Status::ROK);
    }

    /// Answers with an error. `ESME_RX_T_APPN` asks the peer to try again, `ESME_RX_R_APPN` not to.
    pub fn refuse(self, status: Status) {
        self.reply.send(status);
    }
}

/// The answer that is owed to one request of the peer, on the bind it came from.
pub(super) struct Reply {
    outlet: Outlet,
    command: CommandId,
    sequence: u32,
    owed: bool,
}

impl Reply {
    /// Owes the answer to the deliver_sm or data_sm with this header.
    pub(super) fn new(outlet: Outlet, header: Header) -> Self {
        Self { outlet, command: header.command_id, sequence: header.sequence, owed: true }
    }

    fn send(mut self, status: Status) {
        self.write(status);
    }

    fn write(&mut self, status: Status) {
        if !std::mem::take(&mut self.owed) {
            return;
        }
        let sequence = self.sequence;
        // Closed means the bind is gone: the peer will deliver again on the next.
        let _ = match self.command {
            CommandId::DATA_SM => {
                let resp = Pdu::DataSmResp(MessageIdResp::default());
                // The empty id of the response always fits.
                self.outlet.write(|out| resp.encode(sequence, status, out).unwrap_or_default())
            }
            _ => self.outlet.write(|out| encode_deliver_sm_resp(sequence, status, out)),
        };
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.write(Status::RX_T_APPN);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.command, self.sequence)
    }
}
