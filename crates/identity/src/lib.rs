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
//! | [`client`] | applications that ask for tokens |
//! | [`consent`] | what people let applications do; codes and refresh tokens |
//! | [`token`] | access tokens, and the keys that sign them |
//! | [`provider`] | services that people sign in with |
//! | [`federation`] | signing in with them (OpenID Connect) |
//! | [`oauth`] | the endpoints of OAuth 2.0 |
//! | [`role`] | system roles and the permission catalogue |
//! | [`audit`] | who did what |
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
pub mod client;
pub mod consent;
pub mod encryption;
pub mod federation;
pub mod first_start;
pub mod key;
pub mod link;
pub mod name;
mod network;
pub mod oauth;
mod pages;
pub mod password;
pub mod provider;
pub mod role;
pub mod session;
pub mod tenant;
pub mod token;
pub mod user;

pub use pages::{NAV, doors, pages};

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "identity/0001_identity", text: include_str!("../migrations/0001_identity.sql") },
    Migration { name: "identity/0016_machines", text: include_str!("../migrations/0016_machines.sql") },
    Migration { name: "identity/0018_federation", text: include_str!("../migrations/0018_federation.sql") },
    Migration { name: "identity/0020_encryption", text: include_str!("../migrations/0020_encryption.sql") },
];

/// The columns of this crate that hold sealed texts.
pub const SEALED: &[encryption::Sealed] = &[provider::SEALED];

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
        .merge(client::api::router())
        .merge(consent::api::router())
        .merge(provider::api::router())
        .merge(role::api::router())
        .merge(audit::api::router())
        .merge(encryption::api::router())
}
