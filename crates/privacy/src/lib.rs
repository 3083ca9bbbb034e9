#![doc = include_str!("../README.md")]

use db::{Migration, Travel};
use identity::encryption::Sealed;
use runtime::job::Handler;
use utoipa_axum::router::OpenApiRouter;
use web::App;

pub mod breach;
pub mod certificate;
pub mod consent;
pub mod erase;
mod export;
mod pages;
pub mod person;
pub mod personal;
pub mod register;
pub mod request;
pub mod retention;
pub mod standing;
pub mod tombstone;

pub use pages::{NAV, pages};
pub use personal::PERSONAL;
pub use retention::classes::CLASSES as RETENTION;

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "privacy/0025_privacy", text: include_str!("../migrations/0025_privacy.sql") },
    Migration { name: "privacy/0026_consents", text: include_str!("../migrations/0026_consents.sql") },
    Migration { name: "privacy/0035_retention", text: include_str!("../migrations/0035_retention.sql") },
];

/// The tables of this crate that hold tenants' rows, each behind those that it refers to.
pub const TABLES: &[&str] = &[
    "privacy_tenant",
    "person",
    "person_mark",
    "privacy_request",
    "privacy_step",
    "privacy_file",
    "privacy_erased",
    "tombstone",
    "consent",
    "breach",
    "breach_step",
    "retention_term",
    "retention_sweep",
];

/// How they travel with their tenant.
pub const TRAVEL: &[Travel] = &[
    Travel::whole("privacy_tenant"),
    Travel::whole("person"),
    Travel::whole("person_mark"),
    Travel::whole("privacy_request"),
    Travel::whole("privacy_step"),
    Travel::whole("privacy_file"),
    Travel::whole("privacy_erased"),
    Travel::whole("tombstone"),
    Travel::whole("consent"),
    Travel::whole("breach"),
    Travel::whole("breach_step"),
    Travel::whole("retention_term"),
    Travel::whole("retention_sweep"),
];

/// The columns of this crate that hold texts sealed by the tenant's key. What a person's key locks is not among them: it
/// is the person's key that is sealed anew.
pub const SEALED: &[Sealed] = &[person::KEYS, person::BLIND];

/// The jobs of this crate, by their kinds.
pub fn jobs() -> Vec<(&'static str, Handler)> {
    vec![
        (request::job::KIND, request::job::handler()),
        (tombstone::KIND, tombstone::handler()),
        (consent::follow::KIND, consent::follow::handler()),
    ]
}

/// The JSON API of this crate.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(register::api::router())
        .merge(retention::api::router())
        .merge(request::api::router())
        .merge(consent::api::router())
        .merge(breach::api::router())
}
