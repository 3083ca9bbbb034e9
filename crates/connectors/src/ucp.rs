//! Our side of a UCP/EMI connection: a large account that keeps several sessions to one message centre alive.
//!
//! Messages go out as operation 51 and are named by recipient and time stamp; receipts come as 53, messages from phones as
//! 52 (or 01). Operation 31 asks whether the centre is there. A transaction number comes round after a hundred operations,
//! so a session with an operation that was not answered in time is given up for a new one.

mod wire;

pub use wire::{Login, Wire, Writer};
pub(crate) use wire::{data_coding_scheme, parted};

/// A connection to one UCP centre.
pub type Link<T> = crate::tcp::Link<T, Wire>;

/// Its settings.
pub type Settings = crate::tcp::Settings<Login>;
