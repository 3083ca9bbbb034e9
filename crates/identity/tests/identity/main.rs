//! The promises of the crate, kept on a real database.

#![cfg(test)]

mod access;
mod chain;
mod encryption;
mod house;
mod pages;
mod reviews;
mod roles;
mod security;
mod sign_in;
mod trail;
