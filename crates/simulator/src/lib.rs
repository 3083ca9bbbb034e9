#![doc = include_str!("../README.md")]

pub mod bench;
pub mod phones;
pub mod provider;
pub mod smsc;
pub mod text_centre;

pub use phones::Phones;
pub use provider::Provider;
pub use smsc::{Settings, Smsc};
pub use text_centre::TextCentre;
