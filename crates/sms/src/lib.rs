#![doc = include_str!("../README.md")]

pub mod analysis;
pub mod country;
pub mod gsm;
pub mod id;
pub mod receipt;
pub mod segment;
pub mod text;
pub mod udh;

pub use analysis::{Analysis, Count, analyse, count};
pub use country::country;
pub use gsm::{Alphabet, Language, Undecodable, Unencodable};
pub use receipt::{MessageState, Receipt};
pub use segment::{Part, segment};
pub use text::Encoding;
pub use udh::{ConcatRef, Width};
