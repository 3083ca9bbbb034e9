//! What an operator says about one connection.

use std::fmt;

use std::sync::Arc;

use runtime::outbound::Dial;
use runtime::trace::Point;
use serde::{Deserialize, Serialize};

use crate::Classed;

/// Which binds a connection keeps (SMPP v5 §2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindKind {
    /// One session for both directions.
    Transceiver,
    /// A pair of sessions, one for each direction. Reports and status name each half as what it is.
    TransmitterReceiver,
    /// Submits only.
    Transmitter,
    /// Receives only.
    Receiver,
}

impl BindKind {
    /// The sessions that one bind of this kind is made of.
    pub(super) fn sessions(self) -> &'static [Self] {
        match self {
            Self::Transceiver => &[Self::Transceiver],
            Self::TransmitterReceiver => &[Self::Transmitter, Self::Receiver],
            Self::Transmitter => &[Self::Transmitter],
            Self::Receiver => &[Self::Receiver],
        }
    }

    /// Whether a session of this kind may submit.
    pub(super) fn submits(self) -> bool {
        self != Self::Receiver
    }

    /// Its name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transceiver => "transceiver",
            Self::TransmitterReceiver => "transmitter and receiver",
            Self::Transmitter => "transmitter",
            Self::Receiver => "receiver",
        }
    }
}

impl fmt::Display for BindKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whom a connection over TLS trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The host name or address that the peer's certificate must be for; the host that is connected to when empty.
    pub server_name: String,
    /// PEM text of who may have issued it; empty for the roots of this machine.
    pub ca: String,
}

/// A place where a peer listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Host name (asked of the DNS at each attempt) or address.
    pub name: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// The hosts of a peer that has several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Hosts beside the first. Each has its share of the binds; one that is down is stood in for by the next.
    pub hosts: Vec<Host>,
    /// Hosts that are used while no bind to any of the others can send.
    pub standby: Vec<Host>,
    /// Whether those are bound all the time, or only when they are needed.
    pub warm: bool,
    /// How long no other bind must have been there before those that are not warm are bound.
    pub standby_after_ms: u64,
    /// How often a bind that stands with another host than its own looks whether that is back; 0 for never.
    pub rebalance_ms: u64,
}

/// One connection to a carrier. All times are milliseconds. Zero counts as one where zero would make no sense
/// (`binds`, `window`, time-outs, pauses). `L` is what the protocol adds.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings<L> {
    /// The connection's name, for logs.
    pub name: String,
    /// The first host.
    pub host: Host,
    /// The others.
    pub reach: Reach,
    /// Which addresses they may have.
    pub dial: Dial,
    /// What its refusals mean, where that is not what its protocol says.
    pub classes: Arc<[Classed]>,
    /// Who we are: `system_id` of SMPP, OAdC of UCP's operation 60, user identity of CIMD2.
    pub system_id: String,
    /// What proves it.
    pub password: String,
    /// Which sessions are kept.
    pub bind: BindKind,
    /// How many of them; for [`BindKind::TransmitterReceiver`] how many pairs.
    pub binds: u16,
    /// Unanswered requests that each session may have (SMPP v5 §2.6); at most as many as the protocol has numbers.
    pub window: u16,
    /// Parts per second over all sessions together, 0 for no limit of ours.
    pub throughput: u32,
    /// Silence after which the peer is asked whether it is there: `enquire_link`, operation 31, alive.
    pub enquire_link_ms: u64,
    /// Unanswered questions after which the session is given up.
    pub enquire_missed_max: u32,
    /// How long an answer is awaited: of the login, of a message, of a question.
    pub response_timeout_ms: u64,
    /// How it is encrypted; not at all where this is absent.
    pub tls: Option<Tls>,
    /// How long name resolution, TCP connect and the TLS handshake may take together.
    pub connect_timeout_ms: u64,
    /// First pause before a session is tried again.
    pub reconnect_min_ms: u64,
    /// Longest pause before a session is tried again.
    pub reconnect_max_ms: u64,
    /// First pause of the whole connection after the peer said "too fast".
    pub throttle_min_ms: u64,
    /// Longest pause of the whole connection after the peer said "too fast".
    pub throttle_max_ms: u64,
    /// Largest PDU that is taken from the peer, all included.
    pub pdu_bytes_max: usize,
    /// Octets waiting to be written to one session, above which nothing more is handed to it.
    pub write_queue_bytes_max: usize,
    /// Where its sessions can be listened to.
    pub point: Point,
    /// What the protocol adds.
    pub login: L,
}

/// A password does not belong in a log, so `Debug` leaves it out.
impl<L: fmt::Debug> fmt::Debug for Settings<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("reach", &self.reach)
            .field("system_id", &self.system_id)
            .field("bind", &self.bind)
            .field("binds", &self.binds)
            .field("window", &self.window)
            .field("throughput", &self.throughput)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}
