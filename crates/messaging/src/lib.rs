#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! - [`account`]: customers' systems that bind to us
//! - [`connection`]: carriers that we bind to
//! - [`route`]: which message goes through which connection
//! - [`engine`]: what of these is alive

use db::Migration;

pub mod engine;

pub use engine::Engine;

/// The tables of accounts, connections, routes and messages.
pub const MIGRATIONS: &[Migration] =
    &[Migration { name: "messaging/0001_messaging", text: include_str!("../migrations/0001_messaging.sql") }];
