//! System roles and the permission catalogue.

use serde::Serialize;
use types::{Permission, Permissions};

pub mod api;

/// A role that every installation has.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// The name that users' records hold: `tenant_admin`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Whom it is for.
    pub about: &'static str,
    grants: Grants,
}

#[derive(Debug, Clone, Copy)]
enum Grants {
    Everything,
    WholeTenant,
    Only(&'static [Permission]),
}

/// The name of the platform's administrators' role.
pub const PLATFORM_ADMIN: &str = "platform_admin";
/// The name of a tenant's administrators' role.
pub const TENANT_ADMIN: &str = "tenant_admin";

/// The system roles, the most powerful first.
pub const ROLES: &[Role] = &[
    Role {
        name: PLATFORM_ADMIN,
        title: "Platform administrator",
        about: "Runs the installation: all tenants and the system itself.",
        grants: Grants::Everything,
    },
    Role {
        name: TENANT_ADMIN,
        title: "Administrator",
        about: "Everything within one tenant.",
        grants: Grants::WholeTenant,
    },
    Role {
        name: "operator",
        title: "Operator",
        about: "Keeps the traffic going: accounts, connections, routes and the gates before them.",
        grants: Grants::Only(&[
            Permission::MessageView,
            Permission::MessageCancel,
            Permission::AccountView,
            Permission::AccountManage,
            Permission::ConnectionView,
            Permission::ConnectionManage,
            Permission::ConnectionOperate,
            Permission::TraceUse,
            Permission::RouteView,
            Permission::RouteManage,
            Permission::SenderView,
            Permission::SenderManage,
            Permission::BlacklistView,
            Permission::BlacklistManage,
            Permission::FirewallView,
            Permission::FirewallManage,
            Permission::HoursView,
            Permission::HoursManage,
            Permission::InboundView,
            Permission::InboundManage,
            Permission::OptOutView,
            Permission::OptOutManage,
            Permission::QueueView,
            Permission::QueueManage,
            Permission::EventView,
            Permission::CdrView,
            Permission::CdrManage,
            Permission::SimulatorUse,
        ]),
    },
    Role {
        name: "developer",
        title: "Developer",
        about: "Builds against the API: sends, makes keys, tries the simulator.",
        grants: Grants::Only(&[
            Permission::MessageSend,
            Permission::MessageView,
            Permission::MessageCancel,
            Permission::AccountView,
            Permission::ConnectionView,
            Permission::RouteView,
            Permission::KeyView,
            Permission::KeyManage,
            Permission::ClientView,
            Permission::ClientCreate,
            Permission::ClientChange,
            Permission::ClientDelete,
            Permission::SenderView,
            Permission::BlacklistView,
            Permission::FirewallView,
            Permission::HoursView,
            Permission::InboundView,
            Permission::OptOutView,
            Permission::QueueView,
            Permission::EventView,
            Permission::SimulatorUse,
        ]),
    },
    Role {
        name: "support",
        title: "Support",
        about: "Answers what became of a message, and stops those that wait.",
        grants: Grants::Only(&[
            Permission::MessageView,
            Permission::MessageCancel,
            Permission::AccountView,
            Permission::ConnectionView,
            Permission::RouteView,
            Permission::UserView,
            Permission::SenderView,
            Permission::BlacklistView,
            Permission::BlacklistManage,
            Permission::FirewallView,
            Permission::HoursView,
            Permission::InboundView,
            Permission::OptOutView,
            Permission::OptOutManage,
            Permission::QueueView,
            Permission::EventView,
        ]),
    },
    Role {
        name: "viewer",
        title: "Viewer",
        about: "Sees the traffic and its settings, changes nothing.",
        grants: Grants::Only(&[
            Permission::MessageView,
            Permission::AccountView,
            Permission::ConnectionView,
            Permission::RouteView,
            Permission::SenderView,
            Permission::BlacklistView,
            Permission::FirewallView,
            Permission::HoursView,
            Permission::InboundView,
            Permission::OptOutView,
            Permission::QueueView,
            Permission::EventView,
        ]),
    },
];

impl Role {
    /// The role of this name, if there is one.
    pub fn named(name: &str) -> Option<&'static Self> {
        ROLES.iter().find(|role| role.name == name)
    }

    /// What it allows.
    pub fn permissions(&self) -> Permissions {
        match self.grants {
            Grants::Everything => Permissions::all(),
            Grants::WholeTenant => Permissions::all_of_a_tenant(),
            Grants::Only(permissions) => permissions.iter().copied().collect(),
        }
    }
}

/// What a role of this name allows; a role that this version does not know allows nothing.
pub fn permissions(name: &str) -> Permissions {
    Role::named(name).map_or(Permissions::NONE, Role::permissions)
}

/// What people call a role; an unknown one goes by its name.
pub fn title(name: &str) -> &str {
    Role::named(name).map_or(name, |role| role.title)
}

/// A permission of the catalogue.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CatalogueEntry {
    /// The name that scopes use: `message.send`.
    pub name: Permission,
    /// The capability it belongs to.
    pub group: &'static str,
    /// What it allows, in words.
    pub title: &'static str,
    /// Whether it reaches over all tenants.
    pub platform: bool,
}

/// The whole catalogue, in the order it is shown.
pub fn catalogue() -> Vec<CatalogueEntry> {
    let entry = |permission: &Permission| CatalogueEntry {
        name: *permission,
        group: permission.group(),
        title: permission.title(),
        platform: permission.is_platform(),
    };
    Permission::ALL.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_platforms_role_reaches_over_tenants() {
        for role in ROLES {
            let over = role.permissions().iter().any(Permission::is_platform);
            assert_eq!(over, role.name == PLATFORM_ADMIN, "{}", role.name);
            assert!(permissions(PLATFORM_ADMIN).covers(role.permissions()));
        }
        assert_eq!(permissions("of a later version"), Permissions::NONE);
    }
}
