#![doc = include_str!("../README.md")]

mod error;
mod fields;
mod frame;
pub mod hex;
mod message;
mod operation;
mod originator;
mod pdu;
pub mod time;
mod trn;
pub mod xser;

pub use error::{Class, ErrorCode};
pub use fields::{Alert, Call, Session, Transfer};
pub use frame::{DEFAULT_MAX_FRAME, ETX, Framer, STX};
pub use message::{Content, DeliveryStatus, Notifications, ShortMessage};
pub use operation::Operation;
pub use originator::Originator;
pub use pdu::{Body, DecodeError, Outcome, Pdu, Unfit, checksum};
pub use time::Time;
pub use trn::{TRNS, Trns};
