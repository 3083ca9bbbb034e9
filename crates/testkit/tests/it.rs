//! The real program, asked through its public doors only; on SQLite, and with `TEST_DB=postgres` on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test says by its panic what is wrong")]

#[path = "it/bench.rs"]
mod bench;
#[path = "it/cdr.rs"]
mod cdr;
#[path = "it/claims.rs"]
mod claims;
#[path = "it/directory.rs"]
mod directory;
#[path = "it/disconnects.rs"]
mod disconnects;
#[path = "it/doors.rs"]
mod doors;
#[path = "it/encryption.rs"]
mod encryption;
#[path = "it/events.rs"]
mod events;
#[path = "it/gates.rs"]
mod gates;
#[path = "it/holding.rs"]
mod holding;
#[path = "it/http.rs"]
mod http;
#[path = "it/idempotency.rs"]
mod idempotency;
#[path = "it/impersonation.rs"]
mod impersonation;
#[path = "it/inbound.rs"]
mod inbound;
#[path = "it/limits.rs"]
mod limits;
#[path = "it/live.rs"]
mod live;
#[path = "it/machines.rs"]
mod machines;
#[path = "it/mail.rs"]
mod mail;
#[path = "it/masking.rs"]
mod masking;
#[path = "it/messages.rs"]
mod messages;
#[path = "it/owners.rs"]
mod owners;
#[path = "it/people.rs"]
mod people;
#[path = "it/phones.rs"]
mod phones;
#[path = "it/privacy.rs"]
mod privacy;
#[path = "it/queries.rs"]
mod queries;
#[path = "it/queue.rs"]
mod queue;
#[path = "it/rates.rs"]
mod rates;
#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/registration.rs"]
mod registration;
#[path = "it/resellers.rs"]
mod resellers;
#[path = "it/retention.rs"]
mod retention;
#[path = "it/routes.rs"]
mod routes;
#[path = "it/routing.rs"]
mod routing;
#[path = "it/schema.rs"]
mod schema;
#[path = "it/security.rs"]
mod security;
#[path = "it/smpp_carriers.rs"]
mod smpp_carriers;
#[path = "it/storage.rs"]
mod storage;
#[path = "it/suitcase.rs"]
mod suitcase;
#[path = "it/tenancy.rs"]
mod tenancy;
#[path = "it/tls.rs"]
mod tls;
#[path = "it/ucp.rs"]
mod ucp;
