#![doc = include_str!("../README.md")]

pub mod browser;
pub mod client;
pub mod customer;
pub mod house;
pub mod mail;
pub mod peers;
pub mod postgres;
pub mod process;
pub mod slapd;
pub mod tether;

pub use client::Client;
pub use customer::Customer;
pub use house::House;
pub use process::Process;
