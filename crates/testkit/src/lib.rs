//! What tests need: the real program on free ports, users as types, peers, a browser

pub mod browser;
pub mod peers;
pub mod postgres;
pub mod tether;
