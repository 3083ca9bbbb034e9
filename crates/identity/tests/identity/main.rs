//! The promises of the crate, kept on a real database.

#![cfg(test)]

mod access;
mod console;
mod house;
mod trail;
