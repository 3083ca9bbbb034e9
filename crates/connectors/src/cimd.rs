//! Our side of a CIMD2 connection: an application that keeps several sessions to one message centre alive.
//!
//! Messages go out as operation 03 and are named by destination and time stamp; receipts come as 23, messages from phones
//! as 20. Operation 40 asks whether the centre is there. A packet number comes round after 128 packets, so a session with a
//! packet that was not answered in time is given up for a new one.

mod wire;

pub use wire::{Login, Wire, Writer};

/// A connection to one CIMD2 centre.
pub type Link<T> = crate::tcp::Link<T, Wire>;

/// Its settings.
pub type Settings = crate::tcp::Settings<Login>;
