//! What a connection looks like now: for the console, the API and the operator.

use std::net::SocketAddr;

use serde::Serialize;
use types::Timestamp;

use crate::BindKind;

/// A picture of one connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// All binds together.
    pub state: State,
    /// Until when the whole connection pauses at the peer's wish, in milliseconds from now; 0 for no pause.
    pub pause_ms: u64,
    /// Parts per second that the peer was found to take; `None` while it has not complained of late.
    pub learned_per_second: Option<u32>,
    /// Each session; of a transmitter and receiver pair both.
    pub binds: Vec<BindStatus>,
    /// Since the start.
    pub counters: Counters,
    /// Parts handed over per second, over the last seconds.
    pub parts_per_second: f64,
}

/// The state of a connection, or of one of its binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Ended for good.
    Stopped,
    /// Connecting or binding.
    Binding,
    /// At work.
    Bound,
    /// Bound, and pausing because the peer asked for it.
    Throttled,
    /// Takes nothing more and waits for open answers.
    Draining,
    /// Lost or refused; waits for the next attempt.
    Down,
}

impl State {
    /// A connection's state from those of its sessions, each with whether the connection is up for its sake: a receiver
    /// beside transmitters is not what makes it so.
    pub(crate) fn of_sessions(running: bool, pause_ms: u64, sessions: &[(Self, bool)]) -> Self {
        let any = |wanted| sessions.iter().any(|(state, counts)| *counts && *state == wanted);
        if sessions.iter().all(|(state, _)| *state == Self::Stopped) {
            Self::Stopped
        } else if !running {
            Self::Draining
        } else if any(Self::Bound) {
            if pause_ms > 0 { Self::Throttled } else { Self::Bound }
        } else if any(Self::Binding) {
            Self::Binding
        } else {
            Self::Down
        }
    }
}

/// One session of a connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BindStatus {
    /// Its number, from 1.
    pub number: u64,
    /// Transceiver, transmitter or receiver.
    pub kind: BindKind,
    /// Binding, bound, draining, down or stopped.
    pub state: State,
    /// The host that it is, or is to be, bound to, with its port.
    pub host: String,
    /// Whether it is used only while no other bind can send.
    pub standby: bool,
    /// Whom it is connected to.
    pub peer: Option<SocketAddr>,
    /// What the peer calls itself.
    pub peer_system_id: Option<String>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Unanswered requests.
    pub window_used: usize,
    /// How many there may be now; fewer than configured while the peer says it is congested.
    pub window_limit: usize,
    /// Why it was last lost or refused, in words.
    pub last_error: Option<String>,
    /// Time between the last answered message and its answer, microseconds.
    pub last_round_trip_us: Option<u64>,
    /// How long 50, 95 and 99 percent of its answers took at most since the connection was started, microseconds, right to
    /// within an eighth; `None` before the first.
    pub answers_us: Option<[u64; 3]>,
    /// Messages or parts handed over on it since the connection was started.
    pub submitted: u64,
    /// Sessions that it has had since then.
    pub sessions: u64,
}

/// Counts since the connection was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Messages or parts handed over.
    pub submitted: u64,
    /// Of them accepted by the peer.
    pub accepted: u64,
    /// Of them refused, throttling included.
    pub refused: u64,
    /// Of the refused: "too fast" and "my queue is full".
    pub throttled: u64,
    /// Of the submitted: did not fit a PDU and never left.
    pub unfit: u64,
    /// Without an answer in time.
    pub timed_out: u64,
    /// Of those, answered later.
    pub late: u64,
    /// Open when their bind was lost.
    pub lost: u64,
    /// Messages and receipts that the peer handed us.
    pub delivered: u64,
    /// What the peer tells without waiting for an answer, such as alert_notification.
    pub notices: u64,
    /// Requests of the peer that could not be read, are unknown or not allowed, and answers to nothing.
    pub odd: u64,
    /// Successful binds.
    pub binds: u64,
}
