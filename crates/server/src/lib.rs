#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! - [`serve`]: starting, and stopping
//! - [`demo`]: the first connection, route and account
//! - [`http`]: all routes in one place
//! - [`isolation`]: whether tenants meet
//! - `listen`: the HTTP port
//! - [`system`]: how the program runs, and its configuration read again
//! - `upkeep`: what runs beside everything
//! - [`docs`]: the API reference
//! - [`phones`]: the simulator's phones in the console
//! - [`cli`]: the command line

pub mod cli;
pub mod demo;
pub mod docs;
pub mod http;
pub mod isolation;
mod listen;
pub mod phones;
pub mod serve;
pub mod system;
mod upkeep;

pub use serve::Server;
