//! The promises of the crate, kept on a real database.

#![cfg(test)]

mod access;
mod encryption;
mod federation;
mod house;
mod machines;
mod oauth;
mod pages;
mod trail;
