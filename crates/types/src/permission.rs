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
    MessageQuote "message.quote" "Messages" "Ask how a message would be split and routed, without sending it";
    MessageView "message.view" "Messages" "See messages and their timeline";
    MessagePdu "message.pdu" "Messages" "See the PDUs of a message";
    MessageCancel "message.cancel" "Messages" "Cancel messages that wait";
    MessageReplace "message.replace" "Messages" "Replace the text of messages that wait";
    ConversationView "conversation.view" "Messages" "Read conversations with phones";
    AccountingView "accounting.view" "Messages" "See whether the sums of messages balance";
    AccountView "account.view" "SMPP accounts" "See SMPP accounts and their binds";
    AccountCreate "account.create" "SMPP accounts" "Create SMPP accounts";
    AccountChange "account.change" "SMPP accounts" "Change SMPP accounts";
    AccountPassword "account.password" "SMPP accounts" "Give SMPP accounts a new password";
    AccountEnd "account.end" "SMPP accounts" "End sessions of SMPP accounts";
    AccountDelete "account.delete" "SMPP accounts" "Delete SMPP accounts";
    DistributionView "distribution_list.view" "Distribution lists" "See distribution lists";
    DistributionCreate "distribution_list.create" "Distribution lists" "Create distribution lists";
    DistributionChange "distribution_list.change" "Distribution lists" "Change distribution lists";
    DistributionDelete "distribution_list.delete" "Distribution lists" "Delete distribution lists";
    MailView "mail_gateway.view" "Mail" "See mail gateways";
    MailCreate "mail_gateway.create" "Mail" "Create mail gateways";
    MailChange "mail_gateway.change" "Mail" "Change mail gateways";
    MailDelete "mail_gateway.delete" "Mail" "Delete mail gateways";
    MailTest "mail.test" "Mail" "Send a test mail";
    ConnectionView "connection.view" "Connections" "See connections and their state";
    ConnectionCreate "connection.create" "Connections" "Create connections";
    ConnectionChange "connection.change" "Connections" "Change connections";
    ConnectionDelete "connection.delete" "Connections" "Delete connections";
    ConnectionOperate "connection.operate" "Connections" "Start, stop and drain connections";
    ConnectionRenew "connection.renew" "Connections" "End and renew single sessions of connections";
    ConnectionHook "connection.hook" "Connections" "See and renew the addresses that providers post to";
    TraceView "trace.view" "Traces" "See traces of PDUs";
    TraceStart "trace.start" "Traces" "Begin traces of PDUs";
    TraceStop "trace.stop" "Traces" "End and delete traces of PDUs";
    TraceDownload "trace.download" "Traces" "Take traces of PDUs away as a file";
    RouteView "route.view" "Routes" "See routes, their draft and their versions";
    RouteTry "route.try" "Routes" "Ask where a message would go";
    RouteReplay "route.replay" "Routes" "Play past messages against the draft of the routes";
    RouteCreate "route.create" "Routes" "Create routes";
    RouteChange "route.change" "Routes" "Change routes";
    RouteDelete "route.delete" "Routes" "Delete routes";
    RouteDraft "route.draft" "Routes" "Begin, change and discard the draft of the routes";
    RoutePublish "route.publish" "Routes" "Publish the draft of the routes";
    RouteRollBack "route.roll_back" "Routes" "Roll routes back to an earlier version";
    LookupView "lookup.view" "Look-ups" "See look-up services, and what is known of a number";
    LookupAsk "lookup.ask" "Look-ups" "Ask look-up services about a number";
    LookupCreate "lookup.create" "Look-ups" "Create look-up services";
    LookupChange "lookup.change" "Look-ups" "Change look-up services";
    LookupDelete "lookup.delete" "Look-ups" "Delete look-up services";
    NumberPlanView "number_plan.view" "Look-ups" "See the numbering plan";
    NumberPlanImport "number_plan.import" "Look-ups" "Import a numbering plan";
    SenderView "sender.view" "Senders" "See senders";
    SenderCreate "sender.create" "Senders" "Register senders";
    SenderChange "sender.change" "Senders" "Change senders";
    SenderDelete "sender.delete" "Senders" "Take senders off the register";
    PoolView "sender_pool.view" "Senders" "See pools of senders";
    PoolCreate "sender_pool.create" "Senders" "Create pools of senders";
    PoolChange "sender_pool.change" "Senders" "Change pools of senders";
    PoolDelete "sender_pool.delete" "Senders" "Delete pools of senders";
    SenderPolicyView "sender_policy.view" "Senders" "See who may send as whom";
    SenderPolicyChange "sender_policy.change" "Senders" "Change who may send as whom";
    BlacklistView "blacklist.view" "Blacklist" "See the blacklist";
    BlacklistAdd "blacklist.add" "Blacklist" "Add to the blacklist";
    BlacklistImport "blacklist.import" "Blacklist" "Import many entries into the blacklist";
    BlacklistRemove "blacklist.remove" "Blacklist" "Remove from the blacklist";
    FirewallView "firewall.view" "Firewall" "See firewall rules";
    FirewallCreate "firewall.create" "Firewall" "Create firewall rules";
    FirewallChange "firewall.change" "Firewall" "Change firewall rules";
    FirewallDelete "firewall.delete" "Firewall" "Delete firewall rules";
    GateCheck "gate.check" "Firewall" "Try what the gates would say to a message";
    RefusalView "refusal.view" "Firewall" "See what was refused and why";
    HeldView "held.view" "Firewall" "See messages that a rule holds";
    HeldRelease "held.release" "Firewall" "Release messages that a rule holds";
    HoursView "hours.view" "Hours" "See working hours and limits";
    HoursCreate "hours.create" "Hours" "Create working hours and limits";
    HoursChange "hours.change" "Hours" "Change working hours and limits";
    HoursDelete "hours.delete" "Hours" "Delete working hours and limits";
    InboundView "inbound.view" "Inbound" "See numbers and their keywords";
    InboundCreate "inbound.create" "Inbound" "Create numbers that phones write to";
    InboundChange "inbound.change" "Inbound" "Change numbers and their keywords";
    InboundDelete "inbound.delete" "Inbound" "Delete numbers that phones write to";
    OptOutView "opt_out.view" "Opt-outs" "See who opted out";
    OptOutAdd "opt_out.add" "Opt-outs" "Put phones on the opt-out list";
    OptOutImport "opt_out.import" "Opt-outs" "Import many phones into the opt-out list";
    OptOutExport "opt_out.export" "Opt-outs" "Take the opt-out list away as a file";
    OptOutRemove "opt_out.remove" "Opt-outs" "Take phones off the opt-out list";
    QueueView "queue.view" "Queue" "See what waits";
    QueueHold "queue.hold" "Queue" "Hold messages that wait";
    QueueRelease "queue.release" "Queue" "Release messages that a person holds";
    PauseView "pause.view" "Queue" "See what is paused";
    PauseCreate "pause.create" "Queue" "Pause connections, accounts, routes and intents";
    PauseEnd "pause.end" "Queue" "Let what is paused go on";
    DeadLetterView "dead_letter.view" "Queue" "See messages that failed";
    DeadLetterExport "dead_letter.export" "Queue" "Take failed messages away as a file";
    DeadLetterRedrive "dead_letter.redrive" "Queue" "Send failed messages again";
    DeadJobView "dead_job.view" "Queue" "See work that failed for good";
    DeadJobSteer "dead_job.steer" "Queue" "Try failed work again, or give it up";
    KeyView "key.view" "API keys" "See API keys";
    KeyCreate "key.create" "API keys" "Create API keys";
    KeyChange "key.change" "API keys" "Change API keys, and give them new secrets";
    KeyRevoke "key.revoke" "API keys" "Revoke API keys";
    ClientView "client.view" "Applications" "See applications and their secrets' first characters";
    ClientCreate "client.create" "Applications" "Register applications";
    ClientChange "client.change" "Applications" "Change applications, and give them new secrets";
    ClientDelete "client.delete" "Applications" "Remove applications";
    ProviderView "identity_provider.view" "Sign-in" "See the services that people sign in with";
    ProviderCreate "identity_provider.create" "Sign-in" "Add services that people sign in with";
    ProviderChange "identity_provider.change" "Sign-in" "Change services that people sign in with";
    ProviderDelete "identity_provider.delete" "Sign-in" "Remove services that people sign in with";
    UserView "user.view" "Users" "See users";
    UserCreate "user.create" "Users" "Create users";
    UserChange "user.change" "Users" "Change users, and shut them out";
    UserRole "user.role" "Users" "Give users another role";
    UserLink "user.link" "Users" "Make sign-in links for users";
    UserSecurity "user.security" "Users" "Take second factors away from users, and let them try again";
    UserImpersonate "user.impersonate" "Users" "Act as another user for a time, and end that";
    SecurityManage "security.manage" "Users" "Change how people sign in";
    RoleView "role.view" "Roles" "See roles and what they allow";
    RoleCreate "role.create" "Roles" "Create roles";
    RoleChange "role.change" "Roles" "Change roles";
    RoleDelete "role.delete" "Roles" "Delete roles";
    GrantView "grant.view" "Roles" "See temporary grants";
    GrantCreate "grant.create" "Roles" "Give temporary grants";
    GrantEnd "grant.end" "Roles" "End temporary grants before their time";
    TeamView "team.view" "Teams" "See teams";
    TeamCreate "team.create" "Teams" "Create teams";
    TeamChange "team.change" "Teams" "Change teams and who is in them";
    TeamDelete "team.delete" "Teams" "Delete teams";
    ValueListView "value_list.view" "Value lists" "See value lists";
    ValueListChange "value_list.change" "Value lists" "Create, change and delete value lists";
    SecurityEventView "security_event.view" "Security" "See security events, and who is told of them";
    SecurityEventHandle "security_event.handle" "Security" "Take up and close security events";
    AlertRuleChange "alert_rule.change" "Security" "Change who is told of security events";
    ReviewView "review.view" "Security" "See reviews of who may do what";
    ReviewDecide "review.decide" "Security" "Open, decide and close reviews of who may do what";
    AccessExplain "access.explain" "Audit" "Ask why somebody may do something, or may not";
    AuditView "audit.view" "Audit" "See who did what";
    AuditExport "audit.export" "Audit" "Take the audit trail away as a file";
    AuditVerify "audit.verify" "Audit" "Verify that the audit trail is whole";
    EventView "event.view" "Events" "Read the event stream";
    CdrView "cdr.view" "Records" "See call detail records and their files";
    CdrDownload "cdr.download" "Records" "Download files of call detail records";
    CdrVerify "cdr.verify" "Records" "Verify the files of call detail records";
    CdrChange "cdr.change" "Records" "Change how call detail records are written";
    CdrRotate "cdr.rotate" "Records" "Close the open file of call detail records";
    SimulatorUse "simulator.use" "Simulator" "See the simulator's phones and reply from them";
    IdentifierView "identifier.view" "Privacy" "See phones and mail addresses in full";
    ContentView "content.view" "Privacy" "Read what messages say";
    PrivacyView "privacy.view" "Privacy" "See requests of persons, their clocks, and the processing register";
    PrivacyOpen "privacy.open" "Privacy" "Take in requests of persons";
    PrivacyDecide "privacy.decide" "Privacy" "Check identities, extend, refuse and carry out requests of persons";
    PrivacyErase "privacy.erase" "Privacy" "Erase persons";
    PrivacyDownload "privacy.download" "Privacy" "Download what was gathered about a person";
    PrivacyManage "privacy.manage" "Privacy" "Change times, retention, legal holds and the processing register";
    ConsentView "consent.view" "Privacy" "See the consent ledger, and take it away as a file";
    ConsentRecord "consent.record" "Privacy" "Record consents and their withdrawal";
    BreachView "breach.view" "Privacy" "See breaches of personal data";
    BreachManage "breach.manage" "Privacy" "Note breaches of personal data and what was done about them";
    EncryptionView "encryption.view" "Encryption" "See which keys seal secrets, and how far a new one has come";
    EncryptionManage "encryption.manage" "Encryption" "Give the tenant a new data key";
    OrganisationView "organisation.view" "Organisation" "See the organisation's settings, looks and domains";
    OrganisationChange "organisation.change" "Organisation" "Change the organisation's settings and looks";
    DomainManage "organisation.domains" "Organisation" "Add, prove and remove the organisation's own domains";
    OrganisationErase "organisation.erase" "Organisation" "Ask for the erasure of the organisation, and call it off";
    OrganisationExport "organisation.export" "Organisation" "Take the whole organisation away as a file";
    SubtenantView "subtenant.view" "Reseller" "See the tenants beneath one's own";
    SubtenantCreate "subtenant.create" "Reseller" "Open tenants beneath one's own, and invite their first administrators";
    SubtenantChange "subtenant.change" "Reseller" "Change, suspend and let in again the tenants beneath one's own";
    TenantView "tenant.view" "Platform" "See all tenants";
    TenantCreate "tenant.create" "Platform" "Create tenants";
    TenantChange "tenant.change" "Platform" "Change and suspend tenants";
    TenantErase "tenant.erase" "Platform" "Erase tenants, call that off, and see the certificates";
    TenantExport "tenant.export" "Platform" "Take tenants away as files, and see the files";
    TenantRestore "tenant.restore" "Platform" "Restore tenants from files";
    SystemView "system.view" "Platform" "See the system's state";
    SystemManage "system.manage" "Platform" "Read the configuration again";
}

/// Names that allowed several things at once. A key or role that holds one may do what its successors allow; the
/// catalogue shows only those.
const RETIRED: &[(&str, &[Permission])] = {
    use Permission as P;
    &[
        (
            "account.manage",
            &[
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
            ],
        ),
        (
            "connection.manage",
            &[P::ConnectionCreate, P::ConnectionChange, P::ConnectionDelete, P::ConnectionHook],
        ),
        ("trace.use", &[P::TraceView, P::TraceStart, P::TraceStop, P::TraceDownload]),
        (
            "route.manage",
            &[
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
            ],
        ),
        (
            "sender.manage",
            &[
                P::SenderCreate,
                P::SenderChange,
                P::SenderDelete,
                P::PoolCreate,
                P::PoolChange,
                P::PoolDelete,
                P::SenderPolicyChange,
            ],
        ),
        ("blacklist.manage", &[P::BlacklistAdd, P::BlacklistImport, P::BlacklistRemove]),
        ("firewall.manage", &[P::FirewallCreate, P::FirewallChange, P::FirewallDelete, P::HeldRelease]),
        ("hours.manage", &[P::HoursCreate, P::HoursChange, P::HoursDelete]),
        ("inbound.manage", &[P::InboundCreate, P::InboundChange, P::InboundDelete, P::MailTest]),
        ("opt_out.manage", &[P::OptOutAdd, P::OptOutImport, P::OptOutRemove]),
        (
            "queue.manage",
            &[
                P::QueueHold,
                P::QueueRelease,
                P::PauseCreate,
                P::PauseEnd,
                P::DeadLetterRedrive,
                P::DeadJobSteer,
            ],
        ),
        ("key.manage", &[P::KeyCreate, P::KeyRevoke]),
        (
            "user.manage",
            &[P::UserCreate, P::UserChange, P::UserRole, P::UserLink, P::UserSecurity, P::SecurityManage],
        ),
        ("cdr.manage", &[P::CdrChange, P::CdrRotate]),
        ("tenant.manage", &[P::TenantCreate, P::TenantChange]),
    ]
};

impl Permission {
    /// The permission of this name, if the catalogue has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name)
    }

    /// Permissions over all tenants, which only the platform's own administrators may hold.
    pub const fn is_platform(self) -> bool {
        matches!(
            self,
            Self::TenantView
                | Self::TenantCreate
                | Self::TenantChange
                | Self::TenantErase
                | Self::TenantExport
                | Self::TenantRestore
                | Self::SystemView
                | Self::SystemManage
        )
    }

    /// Permissions over the tenants beneath one's own, which nobody holds in a tenant that may have none.
    pub const fn is_of_reseller(self) -> bool {
        matches!(self, Self::SubtenantView | Self::SubtenantCreate | Self::SubtenantChange)
    }

    /// Whether it is about records that somebody owns, so that it can be held for one's own or one's team's alone.
    pub const fn has_owner(self) -> bool {
        matches!(
            self,
            Self::MessageView
                | Self::MessagePdu
                | Self::MessageCancel
                | Self::MessageReplace
                | Self::QueueHold
                | Self::QueueRelease
                | Self::DeadLetterView
                | Self::DeadLetterExport
                | Self::DeadLetterRedrive
                | Self::KeyView
                | Self::KeyChange
                | Self::KeyRevoke
                | Self::ClientView
                | Self::ClientChange
                | Self::ClientDelete
                | Self::UserView
                | Self::UserChange
                | Self::UserRole
                | Self::UserLink
        )
    }
}

/// About whose records a permission is held.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Those that one owns, or is.
    Own,
    /// Those of the people in one's teams, and one's own.
    Team,
    /// All of the tenant.
    #[default]
    All,
}

impl Reach {
    /// The name that rows and answers hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Team => "team",
            Self::All => "all",
        }
    }
}

/// Words of 64 permissions each.
const WORDS: usize = 4;

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions([u64; WORDS]);

impl Permissions {
    /// No permission.
    pub const NONE: Self = Self([0; WORDS]);

    /// The whole catalogue.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// The whole catalogue within one tenant.
    pub fn all_of_a_tenant() -> Self {
        Permission::ALL.iter().copied().filter(|permission| !permission.is_platform()).collect()
    }

    /// All permissions over the tenants beneath one's own.
    pub fn of_a_reseller() -> Self {
        Permission::ALL.iter().copied().filter(|permission| permission.is_of_reseller()).collect()
    }

    /// What a name allows: a permission's own name, or one that stands for several.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(permission) = Permission::named(name) {
            return Some(Self::from_iter([permission]));
        }
        let (_, successors) = RETIRED.iter().find(|(retired, _)| *retired == name)?;
        Some(successors.iter().copied().collect())
    }

    /// Whether the set holds a permission.
    pub const fn contains(self, permission: Permission) -> bool {
        let place = permission as usize;
        self.0[place / 64] & (1 << (place % 64)) != 0
    }

    /// What both sets hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// What either set holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// What this set holds and the other does not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    /// Whether the set holds all that another holds.
    pub fn covers(self, other: Self) -> bool {
        other.without(self) == Self::NONE
    }

    /// The members, in the catalogue's order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(members: I) -> Self {
        let mut set = Self::NONE;
        for member in members {
            let place = member as usize;
            set.0[place / 64] |= 1 << (place % 64);
        }
        set
    }
}

/// Reads a list of names, a name that stands for several as those.
///
/// # Errors
/// For a name that the catalogue never had.
pub fn names<'de, D: serde::Deserializer<'de>>(given: D) -> Result<Vec<Permission>, D::Error> {
    let mut set = Permissions::NONE;
    for name in Vec::<String>::deserialize(given)? {
        let named = Permissions::named(&name)
            .ok_or_else(|| serde::de::Error::custom(format!("{name:?} is no permission")))?;
        set = set.or(named);
    }
    Ok(set.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_fits_its_bits_and_names_are_found() {
        assert!(Permission::ALL.len() <= 64 * WORDS, "widen the set");
        assert!(Permission::ALL.len() >= 80);
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

    #[test]
    fn a_name_that_was_split_stands_for_its_successors() {
        for (retired, successors) in RETIRED {
            assert_eq!(Permission::named(retired), None, "{retired} is both");
            let all = Permissions::named(retired).unwrap();
            assert_eq!(all.iter().count(), successors.len(), "{retired}");
        }
        let read = |text: &str| names(&mut serde_json::Deserializer::from_str(text));
        assert_eq!(
            read(r#"["key.manage", "key.revoke"]"#).unwrap(),
            [Permission::KeyCreate, Permission::KeyRevoke]
        );
        assert!(read(r#"["key.eat"]"#).unwrap_err().to_string().contains("key.eat"));
    }

    #[test]
    fn sets_are_joined_and_parted_over_all_words() {
        let (first, last) = (Permission::ALL[0], Permission::ALL[Permission::ALL.len() - 1]);
        let both = Permissions::from_iter([first]).or(Permissions::from_iter([last]));
        assert!(both.contains(first) && both.contains(last) && both.iter().count() == 2);
        assert_eq!(both.without(Permissions::from_iter([last])), Permissions::from_iter([first]));
        assert_eq!(Permissions::all().and(both), both);
    }
}
