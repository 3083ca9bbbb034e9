//! Roles and the permission catalogue.
//!
//! Every installation has the system roles of [`ROLES`]; a tenant makes others beside them in [`custom`]. What somebody
//! holds at this moment, and why, is in [`rights`].

use serde::Serialize;
use types::{Permission, Permissions, Reach};

use Permission as P;

pub mod api;
pub mod custom;
pub mod explain;
pub mod pages;
pub mod rights;

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
    Only(&'static [&'static [Permission]]),
    /// The first for all records, the second for those that it reaches.
    Reaching(&'static [Permission], &'static [Permission], Reach),
}

/// The name of the platform's administrators' role.
pub const PLATFORM_ADMIN: &str = "platform_admin";
/// The name of a tenant's administrators' role.
pub const TENANT_ADMIN: &str = "tenant_admin";

/// The name of the role of those who look after the tenants beneath their own.
pub const RESELLER: &str = "reseller";

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
        about: "Everything within one tenant, and over those beneath it where it may have any.",
        grants: Grants::WholeTenant,
    },
    Role {
        name: RESELLER,
        title: "Reseller",
        about: "Looks after the tenants beneath one's own, where it may have any: opens, changes and suspends them; sees nothing of what they do.",
        grants: Grants::Only(&[&[
            P::SubtenantView,
            P::SubtenantCreate,
            P::SubtenantChange,
            P::OrganisationView,
        ]]),
    },
    Role {
        name: "supervisor",
        title: "Supervisor",
        about: "Leads those who answer: sees all traffic, steers the queue, knows the people.",
        grants: Grants::Only(&[
            SEES,
            ANSWERS,
            STEERS,
            &[P::UserView, P::TeamView, P::MessageSend, P::MessageQuote, P::ValueListView],
        ]),
    },
    Role {
        name: "operator",
        title: "Operator",
        about: "Keeps the traffic going: accounts, connections, routes and the gates before them.",
        grants: Grants::Only(&[SEES, ANSWERS, STEERS, RUNS]),
    },
    Role {
        name: "developer",
        title: "Developer",
        about: "Builds against the API: sends, makes keys, tries the simulator.",
        grants: Grants::Only(&[
            SEES,
            &[
                P::MessageSend,
                P::MessageQuote,
                P::MessageCancel,
                P::MessageReplace,
                P::KeyView,
                P::KeyCreate,
                P::KeyChange,
                P::KeyRevoke,
                P::ClientView,
                P::ClientCreate,
                P::ClientChange,
                P::ClientDelete,
                P::SimulatorUse,
            ],
        ]),
    },
    Role {
        name: "agent",
        title: "Agent",
        about: "Talks with the people who write: reads conversations and answers them.",
        grants: Grants::Only(&[&[
            P::MessageSend,
            P::MessageQuote,
            P::MessageView,
            P::MessageCancel,
            P::ConversationView,
            P::OptOutView,
            P::IdentifierView,
            P::ContentView,
        ]]),
    },
    Role {
        name: "support",
        title: "Support",
        about: "Answers what became of a message, and stops those that wait.",
        grants: Grants::Only(&[SEES, ANSWERS, &[P::UserView]]),
    },
    Role {
        name: "analyst",
        title: "Analyst",
        about: "Reads figures and records, takes them away as files, changes nothing.",
        grants: Grants::Only(&[SEES, &[P::CdrView, P::CdrDownload, P::CdrVerify]]),
    },
    Role {
        name: "auditor",
        title: "Auditor",
        about: "Reads and verifies who did what, and who may do what; changes nothing.",
        grants: Grants::Only(&[&[
            P::AuditView,
            P::IdentifierView,
            P::AuditExport,
            P::AuditVerify,
            P::AccessExplain,
            P::UserView,
            P::KeyView,
            P::ClientView,
            P::ProviderView,
            P::RoleView,
            P::GrantView,
            P::TeamView,
            P::SecurityEventView,
            P::ReviewView,
            P::ValueListView,
        ]]),
    },
    Role {
        name: "privacy_officer",
        title: "Privacy officer",
        about: "Answers for personal data: requests of persons, consents, the processing register, breaches.",
        grants: Grants::Only(&[&[
            P::PrivacyView,
            P::PrivacyOpen,
            P::PrivacyDecide,
            P::PrivacyErase,
            P::PrivacyDownload,
            P::PrivacyManage,
            P::ConsentView,
            P::ConsentRecord,
            P::BreachView,
            P::BreachManage,
            P::IdentifierView,
            P::OptOutView,
            P::AuditView,
            P::UserView,
        ]]),
    },
    Role {
        name: "service",
        title: "Service",
        about: "For the owner of a program's keys: sends, asks what became of it, cancels.",
        grants: Grants::Only(&[&[
            P::MessageSend,
            P::MessageQuote,
            P::MessageView,
            P::MessageCancel,
            P::MessageReplace,
            P::EventView,
            P::IdentifierView,
            P::ContentView,
        ]]),
    },
    Role {
        name: "corporate",
        title: "Business user",
        about: "Works for the organisation itself: sends, sees what their team has sent, and looks after its keys and applications.",
        grants: Grants::Reaching(
            &[
                P::MessageSend,
                P::MessageQuote,
                P::IdentifierView,
                P::ContentView,
                P::KeyCreate,
                P::ClientCreate,
            ],
            &[
                P::MessageView,
                P::MessageCancel,
                P::MessageReplace,
                P::KeyView,
                P::KeyChange,
                P::KeyRevoke,
                P::ClientView,
                P::ClientChange,
                P::ClientDelete,
                P::UserView,
            ],
            Reach::Team,
        ),
    },
    Role {
        name: "customer",
        title: "Customer",
        about: "Somebody whom the organisation serves: sends, sees what they have sent, and has keys of their own; nothing of anybody else.",
        grants: Grants::Reaching(
            &[P::MessageSend, P::MessageQuote, P::IdentifierView, P::ContentView, P::KeyCreate],
            &[P::MessageView, P::MessageCancel, P::MessageReplace, P::KeyView, P::KeyChange, P::KeyRevoke],
            Reach::Own,
        ),
    },
    Role {
        name: "viewer",
        title: "Viewer",
        about: "Sees the traffic and its settings, changes nothing.",
        grants: Grants::Only(&[SEES]),
    },
];

/// The traffic and its settings, seen and not changed.
const SEES: &[P] = &[
    P::MessageView,
    P::MessagePdu,
    P::ConversationView,
    P::AccountingView,
    P::AccountView,
    P::DistributionView,
    P::MailView,
    P::ConnectionView,
    P::RouteView,
    P::RouteTry,
    P::RouteReplay,
    P::LookupView,
    P::NumberPlanView,
    P::SenderView,
    P::PoolView,
    P::SenderPolicyView,
    P::BlacklistView,
    P::FirewallView,
    P::GateCheck,
    P::RefusalView,
    P::HeldView,
    P::HoursView,
    P::InboundView,
    P::OptOutView,
    P::OptOutExport,
    P::QueueView,
    P::PauseView,
    P::DeadLetterView,
    P::DeadLetterExport,
    P::DeadJobView,
    P::EventView,
    P::IdentifierView,
    P::ContentView,
];

/// What people ask for who call because of a message.
const ANSWERS: &[P] = &[
    P::MessageCancel,
    P::MessageReplace,
    P::BlacklistAdd,
    P::BlacklistImport,
    P::BlacklistRemove,
    P::OptOutAdd,
    P::OptOutImport,
    P::OptOutRemove,
];

/// What waits and what failed.
const STEERS: &[P] = &[
    P::QueueHold,
    P::QueueRelease,
    P::PauseCreate,
    P::PauseEnd,
    P::DeadLetterRedrive,
    P::DeadJobSteer,
    P::HeldRelease,
];

/// What the traffic runs through.
const RUNS: &[P] = &[
    P::AccountCreate,
    P::AccountChange,
    P::AccountPassword,
    P::AccountEnd,
    P::AccountDelete,
    P::DistributionCreate,
    P::DistributionChange,
    P::DistributionDelete,
    P::MailCreate,
    P::MailChange,
    P::MailDelete,
    P::MailTest,
    P::ConnectionCreate,
    P::ConnectionChange,
    P::ConnectionDelete,
    P::ConnectionOperate,
    P::ConnectionRenew,
    P::ConnectionHook,
    P::TraceView,
    P::TraceStart,
    P::TraceStop,
    P::TraceDownload,
    P::RouteCreate,
    P::RouteChange,
    P::RouteDelete,
    P::RouteDraft,
    P::RoutePublish,
    P::RouteRollBack,
    P::LookupAsk,
    P::LookupCreate,
    P::LookupChange,
    P::LookupDelete,
    P::NumberPlanImport,
    P::SenderCreate,
    P::SenderChange,
    P::SenderDelete,
    P::PoolCreate,
    P::PoolChange,
    P::PoolDelete,
    P::SenderPolicyChange,
    P::FirewallCreate,
    P::FirewallChange,
    P::FirewallDelete,
    P::HoursCreate,
    P::HoursChange,
    P::HoursDelete,
    P::InboundCreate,
    P::InboundChange,
    P::InboundDelete,
    P::CdrView,
    P::CdrDownload,
    P::CdrVerify,
    P::CdrChange,
    P::CdrRotate,
    P::SimulatorUse,
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
            Grants::Only(groups) => groups.iter().copied().flatten().copied().collect(),
            Grants::Reaching(all, reached, _) => all.iter().chain(reached).copied().collect(),
        }
    }

    /// The same by whose records it is held for.
    pub fn sources(&self) -> Vec<(Permissions, Reach)> {
        match self.grants {
            Grants::Reaching(all, reached, reach) => {
                let set = |part: &[Permission]| part.iter().copied().collect();
                vec![(set(all), Reach::All), (set(reached), reach)]
            }
            Grants::Everything | Grants::WholeTenant | Grants::Only(_) => {
                vec![(self.permissions(), Reach::All)]
            }
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
    /// Whether it can be held for one's own or one's team's records alone.
    pub has_owner: bool,
}

/// The whole catalogue, in the order it is shown.
pub fn catalogue() -> Vec<CatalogueEntry> {
    let entry = |permission: &Permission| CatalogueEntry {
        name: *permission,
        group: permission.group(),
        title: permission.title(),
        platform: permission.is_platform(),
        has_owner: permission.has_owner(),
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

    #[test]
    fn rights_over_tenants_beneath_are_administrators_and_resellers() {
        for role in ROLES {
            let over = role.permissions().iter().any(Permission::is_of_reseller);
            let may = [PLATFORM_ADMIN, TENANT_ADMIN, RESELLER].contains(&role.name);
            assert_eq!(over, may, "{}", role.name);
        }
        for sight in [P::MessageView, P::UserView, P::KeyView, P::UserImpersonate, P::OrganisationErase] {
            assert!(!permissions(RESELLER).contains(sight), "{}", sight.as_str());
        }
    }

    #[test]
    fn who_is_served_reaches_their_own_records_and_no_others() {
        for (name, widest) in [("customer", Reach::Own), ("corporate", Reach::Team)] {
            let sources = Role::named(name).unwrap().sources();
            for (set, reach) in sources {
                for permission in set.iter().filter(|permission| permission.has_owner()) {
                    assert_eq!(reach, widest, "{name} {}", permission.as_str());
                }
            }
            // What they see in full is what they see at all.
            for sight in
                [P::ConversationView, P::EventView, P::CdrView, P::QueueView, P::AuditView, P::OptOutView]
            {
                assert!(!permissions(name).contains(sight), "{name} {}", sight.as_str());
            }
        }
    }
}
