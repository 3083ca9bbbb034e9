#![doc = include_str!("../README.md")]

mod auth;
mod data;
mod ehlo;
mod reply;
mod session;

pub use reply::{Code, Reply};
pub use session::{Asked, Letter, Notify, Offers, Recipient, Sender, Session, is_address};
