#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! | module | what |
//! | --- | --- |
//! | [`tenant`] | organisations, as the platform and their resellers see them; who stands beneath whom |
//! | [`organisation`] | the caller's own: settings and looks |
//! | [`domain`] | hosts of a tenant's own |
//! | [`erasure`] | the end of a tenant, and its certificate |
//! | [`suitcase`] | all of a tenant in one file, and its restoring elsewhere |
//! | [`encryption`] | the sealing of their secrets, and the keys that do it |
//! | [`user`] | people who sign in |
//! | [`registration`] | newcomers who register by themselves |
//! | [`sign_in`] | signing in, a step at a time; ways in by mail |
//! | [`factor`] | the second step: authenticators, passkeys, phones, backup codes |
//! | [`proof`] | proving again who one is, before what is dangerous |
//! | [`device`] | browsers that a user has signed in with |
//! | [`link`] | one-time sign-in links |
//! | [`session`] | signed-in browsers; signing out |
//! | [`password`] | argon2id, and what a good one looks like |
//! | [`attempt`] | how often somebody may guess |
//! | [`policy`] | how people of a tenant sign in |
//! | [`impersonation`] | acting as another user, with a trace |
//! | [`journal`] | a user's security history |
//! | [`mail`] | mail to people |
//! | [`key`] | API keys |
//! | [`role`] | roles, the permission catalogue, what somebody holds and why |
//! | [`grant`] | what a user is given for a time |
//! | [`team`] | whose records a permission for one's team reaches |
//! | [`actor`] | what people call who acted |
//! | [`audit`] | who did what, as a chain that shows what is done to it |
//! | [`client`] | applications that ask for tokens |
//! | [`consent`] | what people let applications do; codes and refresh tokens |
//! | [`token`] | access tokens, and the keys that sign them |
//! | [`provider`] | services that people sign in with |
//! | [`federation`] | signing in with them (OpenID Connect) |
//! | [`directory`] | directories that people sign in with and users follow (LDAP) |
//! | [`oauth`] | the endpoints of OAuth 2.0 |
//! | [`security_event`] | what was noticed and looks like an attack, and what was done about it |
//! | [`alert`] | who is told of security events |
//! | [`review`] | who may do what, looked at once a quarter |
//! | [`value_list`] | reasons, titles and categories that people choose from |
//! | [`name`] | what names and addresses look like |
//! | [`authenticate`] | a request's credentials become a scope |
//! | [`first_start`] | what an empty database begins with |
//!
//! A capability's folder holds its `api` (JSON) and `pages` (console).

use db::{Migration, Told, Travel};
use runtime::job::Handler;
use utoipa_axum::router::OpenApiRouter;
use web::App;

pub mod actor;
pub mod alert;
pub mod attempt;
pub mod audit;
pub mod authenticate;
pub mod client;
pub mod consent;
pub mod device;
pub mod directory;
pub mod domain;
pub mod encryption;
pub mod erasure;
pub mod factor;
pub mod federation;
pub mod first_start;
pub mod grant;
pub mod impersonation;
pub mod journal;
pub mod key;
pub mod link;
pub mod mail;
pub mod name;
mod network;
pub mod oauth;
pub mod organisation;
mod pages;
pub mod password;
mod personal;
pub mod policy;
pub mod proof;
pub mod provider;
pub mod registration;
mod retention;
pub mod review;
pub mod role;
pub mod security_event;
pub mod session;
pub mod sign_in;
pub mod suitcase;
pub mod team;
pub mod tenant;
pub mod token;
pub mod user;
pub mod value_list;

pub use pages::{NAV, doors, pages};

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "identity/0001_identity", text: include_str!("../migrations/0001_identity.sql") },
    Migration { name: "identity/0014_audit", text: include_str!("../migrations/0014_audit.sql") },
    Migration { name: "identity/0015_roles", text: include_str!("../migrations/0015_roles.sql") },
    Migration { name: "identity/0013_people", text: include_str!("../migrations/0013_people.sql") },
    Migration { name: "identity/0020_encryption", text: include_str!("../migrations/0020_encryption.sql") },
    Migration { name: "identity/0021_machines", text: include_str!("../migrations/0021_machines.sql") },
    Migration { name: "identity/0022_federation", text: include_str!("../migrations/0022_federation.sql") },
    Migration {
        name: "identity/0027_security_events",
        text: include_str!("../migrations/0027_security_events.sql"),
    },
    Migration { name: "identity/0029_reviews", text: include_str!("../migrations/0029_reviews.sql") },
    Migration {
        name: "identity/0030_impersonation",
        text: include_str!("../migrations/0030_impersonation.sql"),
    },
    Migration {
        name: "identity/0031_registration",
        text: include_str!("../migrations/0031_registration.sql"),
    },
    Migration { name: "identity/0032_factors", text: include_str!("../migrations/0032_factors.sql") },
    Migration { name: "identity/0033_directories", text: include_str!("../migrations/0033_directories.sql") },
    Migration {
        name: "identity/0036_sign_in_history",
        text: include_str!("../migrations/0036_sign_in_history.sql"),
    },
    Migration { name: "identity/0023_tenants", text: include_str!("../migrations/0023_tenants.sql") },
    Migration { name: "identity/0024_erasure", text: include_str!("../migrations/0024_erasure.sql") },
    Migration { name: "identity/0034_suitcase", text: include_str!("../migrations/0034_suitcase.sql") },
    Migration { name: "identity/0037_resellers", text: include_str!("../migrations/0037_resellers.sql") },
    Migration { name: "identity/0039_runs", text: include_str!("../migrations/0039_runs.sql") },
];

/// The tables of this crate that hold tenants' rows, each behind those that it refers to.
pub const TABLES: &[&str] = &[
    "tenant_logo",
    "domain",
    "former_data_key",
    "users",
    "sign_in_link",
    "session",
    "impersonation",
    "api_key",
    "password_history",
    "totp",
    "backup_code",
    "passkey",
    "user_phone",
    "sms_code",
    "device",
    "pending_sign_in",
    "mailed_token",
    "failed_sign_in",
    "security_entry",
    "sign_in_policy",
    "registration_policy",
    "registration",
    "access_role",
    "access_grant",
    "team",
    "team_member",
    "audit_chain",
    "audit_row",
    "audit_checkpoint",
    "security_event",
    "security_watch",
    "alert_rule",
    "value_list",
    "review",
    "review_line",
    "oauth_client",
    "oauth_grant",
    "oauth_code",
    "refresh_token",
    "revoked_token",
    "identity_provider",
    "identity_domain",
    "user_identity",
    "directory",
    "directory_domain",
    "directory_person",
    "directory_run",
];

/// How they travel with their tenant, the tenant's own row before them.
pub const TRAVEL: &[Travel] = &[
    Travel::but(
        "tenant",
        &[
            Told {
                column: "status",
                as_sql: "'suspended'",
                why: "a tenant is opened by whoever restored it",
            },
            Told {
                column: "erase_at",
                as_sql: "cast(null as bigint)",
                why: "its erasure is asked for at one place",
            },
            Told { column: "platform", as_sql: "false", why: "the installation it comes to has its own" },
            Told {
                column: "parent",
                as_sql: "cast(null as bigint)",
                why: "whom it stands beneath is decided where it is restored",
            },
            Told {
                column: "reseller",
                as_sql: "false",
                why: "whether it may have tenants beneath it is decided where it is restored",
            },
            Told {
                column: "suspended_by",
                as_sql: "cast(null as bigint)",
                why: "a tenant is opened by whoever restored it",
            },
        ],
    )
    .found_by("id = $1"),
    Travel::whole("tenant_logo"),
    Travel::but(
        "domain",
        &[
            Told {
                column: "proved_at",
                as_sql: "cast(null as bigint)",
                why: "a domain is proved anew where it is served",
            },
            Told {
                column: "checked_at",
                as_sql: "cast(null as bigint)",
                why: "it was read from the old place",
            },
            Told { column: "problem", as_sql: "cast(null as text)", why: "it was read from the old place" },
        ],
    ),
    Travel::whole("former_data_key"),
    Travel::whole("users"),
    Travel::stays("sign_in_link", "each leads to the old place, and is good for minutes"),
    Travel::stays("session", "a browser is signed in at the old place; people sign in anew"),
    Travel::whole("impersonation"),
    Travel::whole("api_key"),
    Travel::whole("password_history"),
    Travel::whole("totp"),
    Travel::whole("backup_code"),
    Travel::whole("passkey"),
    Travel::but(
        "user_phone",
        &[
            Told {
                column: "wanted",
                as_sql: "cast(null as text)",
                why: "its code went out from the old place",
            },
            Told {
                column: "wanted_hash",
                as_sql: "cast(null as text)",
                why: "its code went out from the old place",
            },
            Told {
                column: "wanted_until",
                as_sql: "cast(null as bigint)",
                why: "its code went out from the old place",
            },
        ],
    ),
    Travel::stays("sms_code", "they count for an hour what was sent from the old place"),
    Travel::whole("device"),
    Travel::stays("pending_sign_in", "it goes on at the old place, or is begun anew"),
    Travel::stays("mailed_token", "each leads to the old place, and is good for hours"),
    Travel::whole("failed_sign_in"),
    Travel::whole("security_entry"),
    Travel::whole("sign_in_policy"),
    Travel::whole("registration_policy"),
    Travel::whole("registration"),
    Travel::whole("access_role"),
    Travel::whole("access_grant"),
    Travel::whole("team"),
    Travel::whole("team_member"),
    Travel::whole("audit_chain"),
    Travel::whole("audit_row"),
    Travel::whole("audit_checkpoint"),
    Travel::whole("security_event"),
    Travel::whole("security_watch"),
    Travel::but(
        "alert_rule",
        &[Told {
            column: "platform",
            as_sql: "false",
            why: "it may not hear of the new place's other tenants",
        }],
    ),
    Travel::whole("value_list"),
    Travel::whole("review"),
    Travel::whole("review_line"),
    Travel::whole("oauth_client"),
    Travel::whole("oauth_grant"),
    Travel::stays("oauth_code", "each is spent at the old place within a minute"),
    Travel::whole("refresh_token"),
    Travel::stays("revoked_token", "they were signed at the old place, and are nothing here"),
    Travel::whole("identity_provider"),
    Travel::whole("identity_domain"),
    Travel::whole("user_identity"),
    Travel::whole("directory"),
    Travel::whole("directory_domain"),
    Travel::whole("directory_person"),
    Travel::stays("directory_run", "they were made from the old place; the next reading is made from here"),
];

/// The columns of this crate that hold sealed texts.
pub const SEALED: &[encryption::Sealed] =
    &[audit::checkpoint::SEALED, factor::totp::SEALED, provider::SEALED, directory::SEALED, alert::SEALED];

pub use personal::PERSONAL;
pub use retention::CLASSES as RETENTION;

/// The jobs of this crate, by their kinds.
pub fn jobs() -> Vec<(&'static str, Handler)> {
    vec![
        (encryption::reseal::KIND, encryption::reseal::handler()),
        (mail::KIND, mail::handler()),
        (alert::KIND, alert::handler()),
        (directory::KIND, directory::handler()),
        (sign_in::recovery::KIND, sign_in::recovery::handler()),
        (registration::join::KIND, registration::join::handler()),
        (registration::waiting::KIND, registration::waiting::handler()),
        (user::address::KIND, user::address::handler()),
    ]
}

/// The JSON API of this crate.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(tenant::api::router())
        .merge(organisation::api::router())
        .merge(domain::api::router())
        .merge(erasure::api::router())
        .merge(suitcase::api::router())
        .merge(user::api::router())
        .merge(impersonation::api::router())
        .merge(registration::api::router())
        .merge(factor::api::router())
        .merge(session::api::router())
        .merge(policy::api::router())
        .merge(key::api::router())
        .merge(client::api::router())
        .merge(consent::api::router())
        .merge(provider::api::router())
        .merge(directory::api::router())
        .merge(role::api::router())
        .merge(audit::api::router())
        .merge(grant::api::router())
        .merge(team::api::router())
        .merge(encryption::api::router())
        .merge(security_event::api::router())
        .merge(alert::api::router())
        .merge(value_list::api::router())
        .merge(review::api::router())
}
