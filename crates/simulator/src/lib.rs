#![doc = include_str!("../README.md")]

pub mod bench;
pub mod phones;
pub mod smsc;

pub use phones::Phones;
pub use smsc::{Settings, Smsc};
