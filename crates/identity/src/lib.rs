#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! | module | what |
//! | --- | --- |
//! | [`tenant`] | organisations |
//! | [`encryption`] | the sealing of their secrets, and the keys that do it |
//! | [`user`] | people who sign in |
//! | [`link`] | one-time sign-in links |
//! | [`session`] | signing in and out; signed-in browsers |
//! | [`password`] | argon2id |
//! | [`attempt`] | how often somebody may guess |
//! | [`key`] | API keys |
//! | [`role`] | roles, the permission catalogue, what somebody holds and why |
//! | [`grant`] | what a user is given for a time |
//! | [`team`] | whose records a permission for one's team reaches |
//! | [`audit`] | who did what, as a chain that shows what is done to it |
//! | [`name`] | what names and addresses look like |
//! | [`authenticate`] | a request's credentials become a scope |
//! | [`first_start`] | what an empty database begins with |
//!
//! A capability's folder holds its `api` (JSON) and `pages` (console).

use db::Migration;
use runtime::job::Handler;
use utoipa_axum::router::OpenApiRouter;
use web::App;

pub mod attempt;
pub mod audit;
pub mod authenticate;
pub mod encryption;
pub mod first_start;
pub mod grant;
pub mod key;
pub mod link;
pub mod name;
mod pages;
pub mod password;
pub mod role;
pub mod session;
pub mod team;
pub mod tenant;
pub mod user;

pub use pages::{NAV, pages};

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "identity/0001_identity", text: include_str!("../migrations/0001_identity.sql") },
    Migration { name: "identity/0014_audit", text: include_str!("../migrations/0014_audit.sql") },
    Migration { name: "identity/0015_roles", text: include_str!("../migrations/0015_roles.sql") },
    Migration { name: "identity/0020_encryption", text: include_str!("../migrations/0020_encryption.sql") },
];

/// The sealed columns of this crate.
pub const SEALED: &[encryption::Sealed] = &[audit::checkpoint::SEALED];

/// The jobs of this crate, by their kinds.
pub fn jobs() -> Vec<(&'static str, Handler)> {
    vec![(encryption::reseal::KIND, encryption::reseal::handler())]
}

/// The JSON API of this crate.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(tenant::api::router())
        .merge(user::api::router())
        .merge(key::api::router())
        .merge(role::api::router())
        .merge(audit::api::router())
        .merge(grant::api::router())
        .merge(team::api::router())
        .merge(encryption::api::router())
}
