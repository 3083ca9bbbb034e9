#![doc = include_str!("../README.md")]

pub mod accent;
pub mod access;
pub mod assets;
pub mod body;
pub mod console;
mod forwarded;
pub mod idempotency;
mod marker;
pub mod observe;
pub mod problem;
mod rate;
pub mod refused;
pub mod reply;
pub mod shield;
pub mod stream;
pub mod style_page;
pub mod ui;

pub use access::{App, Caller, Visitor, Writer};
pub use body::{Form, Json, Paging, Query};
pub use problem::{PageProblem, Problem};
pub use refused::Refused;
pub use reply::Answer;
