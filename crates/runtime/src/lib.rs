//! Configuration, clock, tasks, jobs, events, outbound HTTP, secrets, logs, metrics

pub mod config;
pub mod outbound;
pub mod pace;
pub mod secrets;
pub mod telemetry;
