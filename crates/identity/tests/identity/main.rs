//! The promises of the crate, kept on a real database.

mod access;
mod console;
mod house;
mod trail;
