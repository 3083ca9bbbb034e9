//! Our side of an SMPP connection: a client (ESME) that keeps several binds to one message centre alive.

mod wire;

pub use crate::report::{Answer, Class, Content, Delivered, NoAnswer, Queried, Refusal, Report, Verdict};
pub use crate::status::{BindStatus, Counters, State, Status};
pub use crate::tcp::{BindKind, Places, Stopped};
pub use wire::{Login, Wire};

/// A connection to one SMPP centre.
pub type Link<T> = crate::tcp::Link<T, Wire>;

/// Its settings.
pub type Settings = crate::tcp::Settings<Login>;
