//! The promises of the crate, kept on a real database.

#![cfg(test)]

mod access;
mod encryption;
mod house;
mod pages;
mod sign_in;
mod trail;
