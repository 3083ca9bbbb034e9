//! The promises of the crate, kept on a real database.

#![cfg(test)]

mod access;
mod chain;
mod encryption;
#[path = "pages/federation.rs"]
mod federation;
mod house;
mod impersonation;
mod machines;
#[path = "pages/oauth.rs"]
mod oauth;
mod pages;
mod phones;
mod registration;
mod resellers;
mod reviews;
mod roles;
mod security;
mod sign_in;
mod trail;
