#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! | module | what |
//! | --- | --- |
//! | [`tenant`] | organisations, and the sealing of their secrets |
//! | [`user`] | people who sign in |
//! | [`link`] | one-time sign-in links |
//! | [`session`] | signing in and out; signed-in browsers |
//! | [`password`] | argon2id |
//! | [`attempt`] | how often somebody may guess |
//! | [`key`] | API keys |
//! | [`role`] | system roles and the permission catalogue |
//! | [`audit`] | who did what |
//! | [`name`] | what names and addresses look like |
//! | [`authenticate`] | a request's credentials become a scope |
//! | [`first_start`] | what an empty database begins with |
//!
//! A capability's folder holds its `api` (JSON) and `pages` (console).

use axum::Router;
use db::Migration;
use types::Permission;
use utoipa_axum::router::OpenApiRouter;
use web::App;
use web::console::NavEntry;
use web::ui::icon::Icon;

pub mod attempt;
pub mod audit;
pub mod authenticate;
pub mod first_start;
pub mod key;
pub mod link;
pub mod name;
pub mod password;
pub mod role;
pub mod session;
pub mod tenant;
pub mod user;

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] =
    &[Migration { name: "identity/0001_identity", text: include_str!("../migrations/0001_identity.sql") }];

/// The JSON API of this crate.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(tenant::api::router())
        .merge(user::api::router())
        .merge(key::api::router())
        .merge(role::api::router())
        .merge(audit::api::router())
}

/// The console's pages of this crate.
pub fn pages() -> Router<App> {
    Router::new()
        .merge(session::pages::router())
        .merge(user::pages::router())
        .merge(key::pages::router())
        .merge(tenant::pages::router())
        .merge(audit::pages::router())
}

/// The pages of this crate in the console's navigation.
pub const NAV: &[NavEntry] = &[
    NavEntry {
        group: "Access",
        label: "API keys",
        href: "/api-keys",
        icon: Icon::Key,
        key: Some('k'),
        permission: Permission::KeyView,
    },
    NavEntry {
        group: "Access",
        label: "Users",
        href: "/users",
        icon: Icon::Users,
        key: Some('u'),
        permission: Permission::UserView,
    },
    NavEntry {
        group: "Access",
        label: "Audit",
        href: "/audit",
        icon: Icon::Shield,
        key: Some('d'),
        permission: Permission::AuditView,
    },
    NavEntry {
        group: "Platform",
        label: "Tenants",
        href: "/tenants",
        icon: Icon::Globe,
        key: Some('t'),
        permission: Permission::TenantView,
    },
];
