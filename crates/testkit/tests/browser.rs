//! The console in a real browser: what people do, with the keys and clicks they do it with, and axe-core's judgement of each
//! page on the way. A page that complains on its console fails its test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "browser/access.rs"]
mod access;
#[path = "browser/gates.rs"]
mod gates;
#[path = "browser/gateway.rs"]
mod gateway;
#[path = "browser/languages.rs"]
mod languages;
#[path = "browser/live.rs"]
mod live;
#[path = "browser/machines.rs"]
mod machines;
#[path = "browser/mail.rs"]
mod mail;
#[path = "browser/owners.rs"]
mod owners;
#[path = "browser/people.rs"]
mod people;
#[path = "browser/person.rs"]
mod person;
#[path = "browser/privacy.rs"]
mod privacy;
#[path = "browser/queue.rs"]
mod queue;
#[path = "browser/records.rs"]
mod records;
#[path = "browser/rights.rs"]
mod rights;
#[path = "browser/security.rs"]
mod security;
#[path = "browser/sending.rs"]
mod sending;
#[path = "browser/suitcase.rs"]
mod suitcase;
#[path = "browser/tenants.rs"]
mod tenants;
