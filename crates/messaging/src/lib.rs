#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! - [`account`]: customers' systems that bind to us
//! - [`connection`]: carriers that we bind to
//! - [`route`]: which message goes through which connection
//! - [`sendsms`]: a door for those who speak to Kannel
//! - [`gate`]: what a message passes before it is accepted: [`sender`], [`blacklist`], [`firewall`], [`hours`]
//! - [`inbound`]: what becomes of messages from phones, and [`opt_out`]: who does not want to be written to
//! - [`conversation`]: both directions in one thread
//! - [`mail`]: mail for phones, and messages as mail; [`smtp_server`] takes it
//! - [`inquiry`]: asking carriers what became of messages
//! - [`simulated`]: where a test's message may go
//! - [`lookup`]: which network a number is of
//! - [`distribution`]: recipients under one name, for submit_multi
//! - [`queue`]: what waits, by connection and lane; [`pause`]: what is kept from leaving; [`dead_letter`]: what came to
//!   nothing, sent again
//! - [`accounting`]: whether the books balance
//! - [`intent`]: what a message is for
//! - [`trace`]: PDUs as they pass
//! - [`fault`]: why a message was not delivered, in words that all carriers share
//! - [`cdr`]: call detail records
//! - [`settings`]: how settings are changed
//! - [`engine`]: what of these is alive, and [`live`]: what it does
//! - [`retention`]: what is forgotten in time

use db::{Migration, Travel};
use identity::encryption::Sealed;
use runtime::job::Handler;
use utoipa_axum::router::OpenApiRouter;

pub mod account;
pub mod accounting;
mod api;
pub mod assemble;
pub mod blacklist;
pub mod callback;
pub mod cdr;
pub mod connection;
pub mod conversation;
pub mod dead_letter;
mod deliver;
mod destinations;
pub mod dispatch;
pub mod distribution;
mod door;
pub mod engine;
pub mod fault;
pub mod firewall;
pub mod gate;
pub mod hours;
pub mod inbound;
pub mod inquiry;
pub mod intent;
pub mod journal;
pub mod leave;
pub mod live;
pub mod load;
pub mod lookup;
pub mod mail;
pub mod message;
pub mod opt_out;
mod pages;
pub mod pause;
mod personal;
pub mod push;
pub mod queue;
mod reachable;
pub mod recover;
pub mod reports;
pub mod retention;
pub mod route;
pub mod sender;
pub mod sendsms;
pub mod sessions;
pub mod settings;
pub mod simulated;
pub mod smpp_server;
pub mod smtp_server;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod ucp_server;

pub use api::{Gateway, doors};
pub use engine::Engine;
pub use intent::Intent;
pub use message::confidential::Codes as SignInCodes;
pub use pages::{NAV, pages};
pub use personal::PERSONAL;
pub use personal::traffic::Gateway as PersonalTraffic;
pub use retention::CLASSES as RETENTION;

/// The tables of accounts, connections, routes and messages.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "messaging/0001_messaging", text: include_str!("../migrations/0001_messaging.sql") },
    Migration { name: "messaging/0004_cdr", text: include_str!("../migrations/0004_cdr.sql") },
    Migration { name: "messaging/0005_gates", text: include_str!("../migrations/0005_gates.sql") },
    Migration { name: "messaging/0006_routing", text: include_str!("../migrations/0006_routing.sql") },
    Migration { name: "messaging/0007_inbound", text: include_str!("../migrations/0007_inbound.sql") },
    Migration { name: "messaging/0008_http", text: include_str!("../migrations/0008_http.sql") },
    Migration { name: "messaging/0009_mail", text: include_str!("../migrations/0009_mail.sql") },
    Migration { name: "messaging/0010_queue", text: include_str!("../migrations/0010_queue.sql") },
    Migration {
        name: "messaging/0012_distribution",
        text: include_str!("../migrations/0012_distribution.sql"),
    },
    Migration { name: "messaging/0019_gaps", text: include_str!("../migrations/0019_gaps.sql") },
    Migration { name: "messaging/0028_countries", text: include_str!("../migrations/0028_countries.sql") },
    Migration { name: "messaging/0036_pdus", text: include_str!("../migrations/0036_pdus.sql") },
    Migration { name: "messaging/0038_owners", text: include_str!("../migrations/0038_owners.sql") },
];

/// The tables of this crate that hold tenants' rows, each behind those that it refers to.
pub const TABLES: &[&str] = &[
    "smpp_account",
    "connection",
    "connection_hook",
    "route",
    "route_head",
    "route_version",
    "route_draft",
    "number_plan",
    "lookup_provider",
    "lookup_answer",
    "sender",
    "sender_pool",
    "sender_policy",
    "blacklist",
    "firewall_rule",
    "hours",
    "inbound_number",
    "mail_gateway",
    "distribution_list",
    "opt_out",
    "pause",
    "message",
    "part",
    "attempt",
    "pdu",
    "held_receipt",
    "push",
    "tally",
    "inbound_part",
    "inbound_reply",
    "conversation",
    "redrive",
    "refusal",
    "gate_tally",
    "cdr_stream",
    "cdr_file",
    "known_country",
    "country_watch",
];

/// How they travel with their tenant.
pub const TRAVEL: &[Travel] = &[
    Travel::whole("smpp_account"),
    Travel::whole("connection"),
    Travel::whole("connection_hook"),
    Travel::whole("route"),
    Travel::whole("route_head"),
    Travel::whole("route_version"),
    Travel::whole("route_draft"),
    Travel::whole("number_plan"),
    Travel::whole("lookup_provider"),
    Travel::whole("lookup_answer"),
    Travel::whole("sender"),
    Travel::whole("sender_pool"),
    Travel::whole("sender_policy"),
    Travel::whole("blacklist"),
    Travel::whole("firewall_rule"),
    Travel::whole("hours"),
    Travel::whole("inbound_number"),
    Travel::whole("mail_gateway"),
    Travel::whole("distribution_list"),
    Travel::whole("opt_out"),
    Travel::whole("pause"),
    Travel::whole("message"),
    Travel::whole("part"),
    Travel::whole("attempt"),
    Travel::whole("pdu"),
    Travel::whole("held_receipt"),
    Travel::whole("push"),
    Travel::whole("tally"),
    Travel::whole("inbound_part"),
    Travel::whole("inbound_reply"),
    Travel::whole("conversation"),
    Travel::whole("redrive"),
    Travel::whole("refusal"),
    Travel::whole("gate_tally"),
    Travel::whole("cdr_stream"),
    Travel::whole("cdr_file"),
    Travel::whole("known_country"),
    Travel::whole("country_watch"),
    // It names no tenant. What stands in a claim may have left, also at the new place.
    Travel::whole("claim").found_by("connection_id in (select id from connection where tenant_id = $1)"),
];

/// The columns of this crate that hold sealed texts.
pub const SEALED: &[Sealed] =
    &[connection::password::SEALED, connection::hook::SEALED, lookup::provider::SEALED];

/// The JSON API of this crate.
pub fn api() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .merge(message::api::router())
        .merge(account::api::router())
        .merge(distribution::api::router())
        .merge(accounting::api::router())
        .merge(connection::api::router())
        .merge(route::api::router())
        .merge(pause::api::router())
        .merge(queue::api::router())
        .merge(dead_letter::api::router())
        .merge(cdr::api::router())
        .merge(gate::api::router())
        .merge(sender::api::router())
        .merge(blacklist::api::router())
        .merge(firewall::api::router())
        .merge(hours::api::router())
        .merge(route::version::api::router())
        .merge(route::draft::api::router())
        .merge(lookup::api::router())
        .merge(inbound::api::router())
        .merge(opt_out::api::router())
        .merge(conversation::api::router())
        .merge(live::api::router())
        .merge(trace::api::router())
        .merge(mail::api::router())
}

/// What runs each kind of durable job of this crate.
pub fn jobs(engine: &Engine) -> Vec<(&'static str, Handler)> {
    vec![
        (callback::KIND, callback::handler()),
        (sendsms::dlr::KIND, sendsms::dlr::handler()),
        (inbound::job::WEBHOOK, inbound::job::webhook()),
        (inbound::job::REPLY, inbound::job::reply(engine.clone())),
        (mail::job::KIND, mail::job::handler()),
        (mail::notice::KIND, mail::notice::handler()),
        (cdr::hook::UPLOAD, cdr::hook::upload()),
        (cdr::hook::COMMAND, cdr::hook::command()),
    ]
}
