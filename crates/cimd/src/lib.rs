#![doc = include_str!("../README.md")]

mod error;
mod frame;
mod numbers;
mod operation;
mod packet;
pub mod parameter;
pub mod period;
mod status;
pub mod text;

pub use error::{Class, ErrorCode};
pub use frame::{DEFAULT_MAX_FRAME, ETX, Framer, STX};
pub use numbers::Numbers;
pub use operation::Operation;
pub use packet::{DecodeError, Packet, Unfit};
pub use parameter::Parameter;
pub use status::StatusCode;
