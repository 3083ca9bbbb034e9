//! The console's pages of this crate, in one place.

use axum::Router;
use types::Permission;
use web::App;
use web::console::NavEntry;
use web::ui::icon::Icon;

/// The console's pages of this crate.
pub fn pages() -> Router<App> {
    Router::new()
        .merge(crate::sign_in::pages::router())
        .merge(crate::user::pages::router())
        .merge(crate::impersonation::pages::router())
        .merge(crate::registration::pages::router())
        .merge(crate::proof::pages::router())
        .merge(crate::policy::pages::router())
        .merge(crate::key::pages::router())
        .merge(crate::client::pages::router())
        .merge(crate::consent::pages::router())
        .merge(crate::provider::pages::router())
        .merge(crate::federation::pages::router())
        .merge(crate::directory::pages::router())
        .merge(crate::tenant::pages::router())
        .merge(crate::organisation::pages::router())
        .merge(crate::domain::pages::router())
        .merge(crate::erasure::pages::router())
        .merge(crate::suitcase::pages::router())
        .merge(crate::audit::pages::router())
        .merge(crate::role::pages::router())
        .merge(crate::grant::pages::router())
        .merge(crate::team::pages::router())
        .merge(crate::encryption::pages::router())
        .merge(crate::security_event::pages::router())
        .merge(crate::alert::pages::router())
        .merge(crate::value_list::pages::router())
        .merge(crate::review::pages::router())
}

/// What applications ask by the standards of OAuth 2.0, which is no part of our own API.
pub fn doors() -> Router<App> {
    crate::oauth::api::router()
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
        label: "Applications",
        href: "/oauth-clients",
        icon: Icon::Plug,
        key: None,
        permission: Permission::ClientView,
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
        label: "Registrations",
        href: "/registrations",
        icon: Icon::Plus,
        key: None,
        permission: Permission::UserCreate,
    },
    NavEntry {
        group: "Access",
        label: "Roles",
        href: "/roles",
        icon: Icon::Shield,
        key: None,
        permission: Permission::RoleView,
    },
    NavEntry {
        group: "Access",
        label: "Teams",
        href: "/teams",
        icon: Icon::Users,
        key: None,
        permission: Permission::TeamView,
    },
    NavEntry {
        group: "Access",
        label: "Explain",
        href: "/explain",
        icon: Icon::Search,
        key: None,
        permission: Permission::AccessExplain,
    },
    NavEntry {
        group: "Access",
        label: "Sign-in",
        href: "/sign-in-policy",
        icon: Icon::Shield,
        key: None,
        permission: Permission::SecurityManage,
    },
    NavEntry {
        group: "Access",
        label: "Sign-in services",
        href: "/identity-providers",
        icon: Icon::Exit,
        key: None,
        permission: Permission::ProviderView,
    },
    NavEntry {
        group: "Access",
        label: "Directories",
        href: "/directories",
        icon: Icon::Book,
        key: None,
        permission: Permission::ProviderView,
    },
    NavEntry {
        group: "Oversight",
        label: "Audit",
        href: "/audit",
        icon: Icon::Shield,
        key: Some('d'),
        permission: Permission::AuditView,
    },
    NavEntry {
        group: "Oversight",
        label: "Security events",
        href: "/security-events",
        icon: Icon::Warning,
        key: None,
        permission: Permission::SecurityEventView,
    },
    NavEntry {
        group: "Oversight",
        label: "Alerts",
        href: "/alert-rules",
        icon: Icon::Bell,
        key: None,
        permission: Permission::SecurityEventView,
    },
    NavEntry {
        group: "Oversight",
        label: "Reviews",
        href: "/reviews",
        icon: Icon::Book,
        key: None,
        permission: Permission::ReviewView,
    },
    NavEntry {
        group: "Organisation",
        label: "Settings",
        href: "/organisation",
        icon: Icon::Gear,
        key: None,
        permission: Permission::OrganisationView,
    },
    // Nobody of the installation's own tenant holds this permission: for them it stands under Platform.
    NavEntry {
        group: "Organisation",
        label: "Tenants",
        href: "/tenants",
        icon: Icon::Globe,
        key: Some('t'),
        permission: Permission::SubtenantView,
    },
    NavEntry {
        group: "Organisation",
        label: "Value lists",
        href: "/value-lists",
        icon: Icon::List,
        key: None,
        permission: Permission::ValueListView,
    },
    NavEntry {
        group: "Organisation",
        label: "Encryption",
        href: "/encryption",
        icon: Icon::Lock,
        key: None,
        permission: Permission::EncryptionView,
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
