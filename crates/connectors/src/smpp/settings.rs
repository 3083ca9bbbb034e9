//! What an operator says about one connection.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// One connection to a carrier. All times are milliseconds. Zero counts as one where zero would make no sense
/// (`binds`, `window`, time-outs, pauses).
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The connection's name, for logs.
    pub name: String,
    /// Host name (asked of the DNS at each attempt) or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Who we are: at most 15 octets.
    pub system_id: String,
    /// At most 8 octets by the specification; up to 64 are sent.
    pub password: String,
    /// At most 12 octets; mostly empty.
    pub system_type: String,
    /// Which binds are kept.
    pub bind: BindKind,
    /// How many of them; for [`BindKind::TransmitterReceiver`] how many pairs.
    pub binds: u16,
    /// Unanswered requests that each bind may have (SMPP v5 §2.6).
    pub window: u16,
    /// Parts per second over all binds together, 0 for no limit of ours.
    pub throughput: u32,
    /// `interface_version` of the bind: 0x34 or 0x50.
    pub version: u8,
    /// The addresses that we serve; mostly empty.
    pub address_range: String,
    /// Type of number of `address_range`.
    pub addr_ton: u8,
    /// Numbering plan of `address_range`.
    pub addr_npi: u8,
    /// Silence after which the peer is asked with `enquire_link`.
    pub enquire_link_ms: u64,
    /// Unanswered `enquire_link` after which the bind is given up.
    pub enquire_missed_max: u32,
    /// How long an answer is awaited: of the bind, of a submit_sm, of an `enquire_link`.
    pub response_timeout_ms: u64,
    /// How long name resolution and TCP connect may take together.
    pub connect_timeout_ms: u64,
    /// First pause before a bind is tried again.
    pub reconnect_min_ms: u64,
    /// Longest pause before a bind is tried again.
    pub reconnect_max_ms: u64,
    /// First pause of the whole connection after `ESME_RTHROTTLED`.
    pub throttle_min_ms: u64,
    /// Longest pause of the whole connection after `ESME_RTHROTTLED`.
    pub throttle_max_ms: u64,
    /// Largest PDU that is taken from the peer, header included.
    pub pdu_bytes_max: usize,
    /// Octets waiting to be written to one bind, above which nothing more is handed to it.
    pub write_queue_bytes_max: usize,
}

/// A password does not belong in a log, so `Debug` leaves it out.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("system_id", &self.system_id)
            .field("system_type", &self.system_type)
            .field("bind", &self.bind)
            .field("binds", &self.binds)
            .field("window", &self.window)
            .field("throughput", &self.throughput)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
