//! What a user or a key may do.

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($name:ident $text:tt $group:literal $title:literal;)*) => {
        /// A permission. The console, the API and enforcement all read this one catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum Permission { $(#[doc = $title] #[serde(rename = $text)] $name,)* }

        impl Permission {
            /// The whole catalogue, in the order it is shown.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name that keys and roles hold: `message.send`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The capability it belongs to.
            pub const fn group(self) -> &'static str {
                match self { $(Self::$name => $group,)* }
            }

            /// What it allows, in words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

permissions! {
    MessageSend "message.send" "Messages" "Send messages";
    MessageView "message.view" "Messages" "See messages and their timeline";
    MessageCancel "message.cancel" "Messages" "Cancel and replace messages that wait";
    AccountView "account.view" "SMPP accounts" "See SMPP accounts and their binds";
    AccountManage "account.manage" "SMPP accounts" "Create, change and delete SMPP accounts";
    ConnectionView "connection.view" "Connections" "See connections and their state";
    ConnectionManage "connection.manage" "Connections" "Create, change and delete connections";
    ConnectionOperate "connection.operate" "Connections" "Start, stop and drain connections";
    TraceUse "trace.use" "Connections" "Trace PDUs of connections and accounts";
    RouteView "route.view" "Routes" "See routes and ask where a message would go";
    RouteManage "route.manage" "Routes" "Create, change and delete routes";
    SenderView "sender.view" "Senders" "See senders, pools and who may send as whom";
    SenderManage "sender.manage" "Senders" "Change senders, pools and who may send as whom";
    BlacklistView "blacklist.view" "Blacklist" "See the blacklist";
    BlacklistManage "blacklist.manage" "Blacklist" "Add to the blacklist and remove from it";
    FirewallView "firewall.view" "Firewall" "See firewall rules and refusals, and try a message";
    FirewallManage "firewall.manage" "Firewall" "Change firewall rules, and release held messages";
    HoursView "hours.view" "Hours" "See working hours and limits";
    HoursManage "hours.manage" "Hours" "Change working hours and limits";
    InboundView "inbound.view" "Inbound" "See numbers and their keywords";
    InboundManage "inbound.manage" "Inbound" "Change numbers and their keywords";
    OptOutView "opt_out.view" "Inbound" "See who opted out";
    OptOutManage "opt_out.manage" "Inbound" "Change who opted out";
    QueueView "queue.view" "Queue" "See what waits, what is paused and what failed";
    QueueManage "queue.manage" "Queue" "Pause, resume, hold, release, cancel and redrive";
    KeyView "key.view" "API keys" "See API keys";
    KeyManage "key.manage" "API keys" "Create and revoke API keys";
    ClientView "client.view" "Applications" "See applications and their secrets' first characters";
    ClientCreate "client.create" "Applications" "Register applications";
    ClientChange "client.change" "Applications" "Change applications, and give them new secrets";
    ClientDelete "client.delete" "Applications" "Remove applications";
    ProviderView "identity_provider.view" "Sign-in" "See the services that people sign in with";
    ProviderCreate "identity_provider.create" "Sign-in" "Add services that people sign in with";
    ProviderChange "identity_provider.change" "Sign-in" "Change services that people sign in with";
    ProviderDelete "identity_provider.delete" "Sign-in" "Remove services that people sign in with";
    UserView "user.view" "Users" "See users";
    UserManage "user.manage" "Users" "Create and change users, and make sign-in links";
    AuditView "audit.view" "Audit" "See who did what";
    EncryptionView "encryption.view" "Encryption" "See which keys seal secrets, and how far a new one has come";
    EncryptionManage "encryption.manage" "Encryption" "Give the tenant a new data key";
    EventView "event.view" "Events" "Read the event stream";
    CdrView "cdr.view" "Records" "See and download call detail records";
    CdrManage "cdr.manage" "Records" "Change how call detail records are written, and close their files";
    SimulatorUse "simulator.use" "Simulator" "See the simulator's phones and reply from them";
    TenantView "tenant.view" "Platform" "See all tenants";
    TenantManage "tenant.manage" "Platform" "Create and change tenants";
    SystemView "system.view" "Platform" "See the system's state";
    SystemManage "system.manage" "Platform" "Read the configuration again";
}

impl Permission {
    /// The permission of this name, if the catalogue has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name)
    }

    /// Permissions over all tenants, which only the platform's own administrators may hold.
    pub const fn is_platform(self) -> bool {
        matches!(self, Self::TenantView | Self::TenantManage | Self::SystemView | Self::SystemManage)
    }

    const fn bit(self) -> u64 {
        1 << (self as u32)
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u64);

impl Permissions {
    /// No permission.
    pub const NONE: Self = Self(0);

    /// The whole catalogue.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// The whole catalogue within one tenant.
    pub fn all_of_a_tenant() -> Self {
        Permission::ALL.iter().copied().filter(|permission| !permission.is_platform()).collect()
    }

    /// Whether the set holds a permission.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// What both sets hold.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set holds all that another holds.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The members, in the catalogue's order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(members: I) -> Self {
        Self(members.into_iter().fold(0, |set, member| set | member.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_fits_its_bits_and_names_are_found() {
        assert!(Permission::ALL.len() <= 64, "widen the set");
        for permission in Permission::ALL {
            assert_eq!(Permission::named(permission.as_str()), Some(*permission));
            assert!(Permissions::all().contains(*permission));
            assert_eq!(Permissions::all_of_a_tenant().contains(*permission), !permission.is_platform());
        }
        assert_eq!(Permissions::all().iter().count(), Permission::ALL.len());
        assert!(!Permissions::NONE.contains(Permission::MessageSend));
        assert!(Permissions::all().covers(Permissions::all_of_a_tenant()));
        assert!(!Permissions::all_of_a_tenant().covers(Permissions::all()));
    }
}
