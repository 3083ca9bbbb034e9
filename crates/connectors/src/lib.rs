#![doc = include_str!("../README.md")]

pub mod cimd;
pub mod http;
mod link;
pub mod mail;
mod report;
pub mod smpp;
mod status;
pub mod tcp;
pub mod ucp;

pub use link::{Link, Settings};
pub use report::{
    Answer, Class, Classed, Content, Delivered, HttpRefusal, NoAnswer, Owed, Queried, Receipt, Refusal,
    Report, Verdict, Way, is_named_by_time, named_by_time,
};
pub use status::{BindStatus, Counters, State, Status};
pub use tcp::{Adapted, BindKind, Host, Places, Reach, Stopped};
