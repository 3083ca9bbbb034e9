//! Everything that can happen.
//!
//! A change writes its events in its own transaction; whoever wants to react reads the stream. The enum is closed, so
//! every reader's `match` is exhaustive, and a text search for a variant finds all who react to it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AccountId, CdrFileId, Code, ConnectionId, MessageId};

/// A record that people or programs configure, before and after a change. Secrets are left out by whoever writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// The record's id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// As it was; absent when it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// As it is; absent when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Somebody came in, went out, or was turned away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Access {
    /// Who: a user's e-mail address, as given.
    pub who: String,
    /// How: `password`, `link`, `passkey`, and the second step behind a plus: `password+totp`.
    pub by: String,
    /// Why it was refused, for a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Somebody took many records away at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Exported {
    /// What, by name: `audit`, `opt_outs`, `dead_letters`, `cdr_file`.
    pub what: std::borrow::Cow<'static, str>,
    /// Which, in words: the filter, or a file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Records, where that is known before they leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<i64>,
}

/// A message came to a new state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageChange {
    /// The message.
    #[serde(rename = "id")]
    pub message: MessageId,
    /// Its state now, by the name that the API shows.
    pub state: std::borrow::Cow<'static, str>,
    /// Who sent it, where it came by SMPP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Through which carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The carrier's or our own reason, for an ending that is no delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A part of a message that had come to its end got its receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PartChange {
    /// The message.
    #[serde(rename = "id")]
    pub message: MessageId,
    /// Which part, from 1.
    pub part: u8,
    /// The part's state now, by the name that the API shows.
    pub state: std::borrow::Cow<'static, str>,
    /// The carrier's reason, where it is no delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A file of call detail records was closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileClosed {
    /// The file.
    pub id: CdrFileId,
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: i64,
    /// Its rows.
    pub rows: i64,
}

/// How the kept sums stand against the messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accounting {
    /// The rule that does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<std::borrow::Cow<'static, str>>,
    /// The first message that does not add up, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// What was found, in words.
    pub detail: String,
}

/// A session of the wire protocols opened or closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SessionLink)]
pub struct Link {
    /// The account or connection.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The far side's address.
    pub peer: String,
    /// The kind of bind, or why it ended.
    pub detail: String,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($data:ty) $text:tt $audited:literal;)*) => {
        /// Something that happened to a tenant.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(tag = "type", content = "data")]
        pub enum Event { $($(#[$doc])* #[serde(rename = $text)] $name($data),)* }

        impl Event {
            /// The names of every kind of event, for the documentation and for filters.
            pub const KINDS: &'static [&'static str] = &[$($text,)*];

            /// The names of the kinds that belong in the audit trail.
            pub fn audited_kinds() -> impl Iterator<Item = &'static str> {
                [$(($text, $audited),)*].into_iter().filter(|(_, audited)| *audited).map(|(kind, _)| kind)
            }

            /// The name that readers of the stream see: `message.sent`.
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => $text,)* }
            }

            /// Whether it belongs in the audit trail: what somebody did, not what traffic did.
            pub const fn audited(&self) -> bool {
                match self { $(Self::$name(_) => $audited,)* }
            }
        }
    };
}

events! {
    /// A tenant was created.
    TenantCreated(Change) "tenant.created" true;
    /// A tenant's name, locale, time zone or state was changed.
    TenantChanged(Change) "tenant.changed" true;
    /// A tenant was moved beneath another one, or to the root.
    TenantMoved(Change) "tenant.moved" true;
    /// The erasure of a tenant was asked for; until its time it can be called off.
    ErasureAsked(Change) "tenant.erasure_asked" true;
    /// The erasure of a tenant was called off.
    ErasureCalledOff(Change) "tenant.erasure_called_off" true;
    /// A tenant is erased: nothing of it is left but the certificate.
    TenantErased(Change) "tenant.erased" true;
    /// Somebody asked for all of a tenant in one file.
    TenantExportAsked(Change) "tenant.export_asked" true;
    /// All of a tenant stands in one file.
    TenantExported(Change) "tenant.exported" true;
    /// A tenant was restored from a file.
    TenantRestored(Change) "tenant.restored" true;
    /// A tenant's looks were changed: its logo or its colour.
    BrandChanged(Change) "organisation.brand_changed" true;
    /// A domain of a tenant's own was added; it is to be proved.
    DomainAdded(Change) "domain.added" true;
    /// A domain of a tenant's own was proved, and serves that tenant now.
    DomainProved(Change) "domain.proved" true;
    /// A domain of a tenant's own was removed.
    DomainRemoved(Change) "domain.removed" true;
    /// A user was created.
    UserCreated(Change) "user.created" true;
    /// A user's name, roles or state was changed.
    UserChanged(Change) "user.changed" true;
    /// A user signed in.
    UserSignedIn(Access) "user.signed_in" true;
    /// A sign-in was refused.
    UserRefused(Access) "user.refused" true;
    /// A user signed out.
    UserSignedOut(Access) "user.signed_out" true;
    /// A one-time sign-in link was made for a user.
    LinkIssued(Access) "user.link_issued" true;
    /// A user's second factor was added, removed or taken away, or their backup codes were made anew.
    UserFactorChanged(Change) "user.factor_changed" true;
    /// A user's password was set, changed or reset.
    UserPasswordChanged(Change) "user.password_changed" true;
    /// A signed-in user proved again who they are.
    UserProved(Access) "user.proved" true;
    /// A user signed in from a browser that was not known for theirs.
    UserNewDevice(Access) "user.new_device" true;
    /// A browser of a user was forgotten, and with it the trust in it.
    UserDeviceForgotten(Access) "user.device_forgotten" true;
    /// Somebody guesses: a user's failed sign-ins have reached the number from which each must wait.
    UserLockedOut(Access) "user.locked_out" true;
    /// An administrator let a user who was locked out try again.
    UserUnlocked(Access) "user.unlocked" true;
    /// Somebody began to act as another user, for a time.
    UserImpersonated(Change) "user.impersonated" true;
    /// Somebody acts as another user no longer: by their own will, by another's, or because the time was over.
    ImpersonationEnded(Change) "user.impersonation_ended" true;
    /// A newcomer has shown that their address is theirs: they are a user now, or wait for somebody to let them in.
    UserRegistered(Change) "user.registered" true;
    /// A newcomer who waited was not let in.
    RegistrationRefused(Change) "user.registration_refused" true;
    /// Who may register by themselves was changed.
    RegistrationPolicyChanged(Change) "registration_policy.changed" true;
    /// A user's e-mail address was changed by themselves, who showed that the new one is theirs.
    UserEmailChanged(Change) "user.email_changed" true;
    /// How people of the tenant sign in was changed.
    SignInPolicyChanged(Change) "sign_in_policy.changed" true;
    /// Something was noticed that looks like an attack or a misuse.
    SecurityEventRaised(Change) "security_event.raised" false;
    /// Somebody took up, closed or opened again what had been noticed.
    SecurityEventHandled(Change) "security_event.handled" true;
    /// A rule that tells people and programs of security events was created.
    AlertRuleCreated(Change) "alert_rule.created" true;
    /// A rule that tells people and programs of security events was changed.
    AlertRuleChanged(Change) "alert_rule.changed" true;
    /// A rule that tells people and programs of security events was deleted.
    AlertRuleDeleted(Change) "alert_rule.deleted" true;
    /// A review of who may do what was opened.
    ReviewOpened(Change) "review.opened" true;
    /// Somebody decided about a line of a review.
    ReviewDecided(Change) "review.decided" true;
    /// A review of who may do what was closed.
    ReviewClosed(Change) "review.closed" true;
    /// A list of values was created.
    ValueListCreated(Change) "value_list.created" true;
    /// A list of values was changed.
    ValueListChanged(Change) "value_list.changed" true;
    /// A list of values was deleted.
    ValueListDeleted(Change) "value_list.deleted" true;
    /// An API key was created.
    KeyCreated(Change) "key.created" true;
    /// An API key was revoked.
    KeyRevoked(Change) "key.revoked" true;
    /// A role was created.
    RoleCreated(Change) "role.created" true;
    /// A role was changed.
    RoleChanged(Change) "role.changed" true;
    /// A role was deleted; its users have another one now.
    RoleDeleted(Change) "role.deleted" true;
    /// A user was given something for a time.
    GrantCreated(Change) "grant.created" true;
    /// What a user was given for a time ended, by itself or by somebody.
    GrantEnded(Change) "grant.ended" true;
    /// A team was created.
    TeamCreated(Change) "team.created" true;
    /// A team, or who is in it, was changed.
    TeamChanged(Change) "team.changed" true;
    /// A team was deleted.
    TeamDeleted(Change) "team.deleted" true;
    /// The oldest part of the audit trail was cut off, as the configuration keeps it no longer.
    AuditCut(Change) "audit.cut" true;
    /// The audit trail was found damaged.
    AuditDamaged(Change) "audit.damaged" true;
    /// Many records were taken away at once.
    DataExported(Exported) "data.exported" true;
    /// An API key's name, networks or rate was changed, it got a new secret, or its former one ended.
    KeyChanged(Change) "key.changed" true;
    /// An API key or an application was refused: it was used from an address that its list does not hold.
    KeyRefused(Access) "key.refused" true;
    /// An application was registered.
    ClientCreated(Change) "client.created" true;
    /// An application was changed, or got a new secret.
    ClientChanged(Change) "client.changed" true;
    /// An application was removed: its tokens stop working.
    ClientDeleted(Change) "client.deleted" true;
    /// A person let an application act for them.
    ConsentGiven(Change) "consent.given" true;
    /// What an application might do for a person has ended.
    ConsentEnded(Change) "consent.ended" true;
    /// A spent refresh token or code was shown again: somebody has a copy, so all that came of it has ended.
    RefreshReused(Access) "refresh_token.reused" true;
    /// An access token was revoked before its time.
    TokenRevoked(Change) "token.revoked" true;
    /// A service that people sign in with was added.
    ProviderCreated(Change) "identity_provider.created" true;
    /// A service that people sign in with was changed.
    ProviderChanged(Change) "identity_provider.changed" true;
    /// A service that people sign in with was removed.
    ProviderDeleted(Change) "identity_provider.deleted" true;
    /// A user was tied to themselves at a service that people sign in with.
    UserLinked(Access) "user.linked" true;
    /// A user is tied no longer to whom they were at such a service.
    UserUnlinked(Access) "user.unlinked" true;
    /// A directory that people sign in with was added.
    DirectoryCreated(Change) "directory.created" true;
    /// A directory was changed.
    DirectoryChanged(Change) "directory.changed" true;
    /// A directory was removed.
    DirectoryDeleted(Change) "directory.deleted" true;
    /// A directory was read, and users follow it; or that failed, or is held back until somebody says yes.
    DirectoryRead(Change) "directory.read" true;
    /// An SMPP account was created.
    AccountCreated(Change) "account.created" true;
    /// An SMPP account was changed.
    AccountChanged(Change) "account.changed" true;
    /// An SMPP account was deleted.
    AccountDeleted(Change) "account.deleted" true;
    /// A connection was created.
    ConnectionCreated(Change) "connection.created" true;
    /// A connection was changed, started, stopped or drained.
    ConnectionChanged(Change) "connection.changed" true;
    /// A session of a connection was ended by somebody, and came back.
    ConnectionRenewed(Change) "connection.renewed" true;
    /// A session of an account was ended by somebody.
    AccountEnded(Change) "account.ended" true;
    /// Somebody began to trace the PDUs of a connection or an account.
    TraceStarted(Change) "trace.started" true;
    /// Somebody took a trace away as a file.
    TraceDownloaded(Change) "trace.downloaded" true;
    /// A trace was deleted.
    TraceDeleted(Change) "trace.deleted" true;
    /// The configuration was read again.
    SystemReloaded(Change) "system.reloaded" true;
    /// A tenant got a new data key.
    DataKeyTurned(Change) "encryption.key_turned" true;
    /// A former data key is gone: everything is sealed anew.
    DataKeyRemoved(Change) "encryption.key_removed" true;
    /// A new root key wraps the data keys.
    RootKeyTurned(Change) "encryption.root_key_turned" true;
    /// The former root keys were dropped.
    RootKeysForgotten(Change) "encryption.root_keys_forgotten" true;
    /// The next key that signs access tokens was made before its time.
    SigningKeyTurned(Change) "encryption.signing_key_turned" true;
    /// All keys that signed access tokens were dropped, and every token with them.
    SigningKeysRevoked(Change) "encryption.signing_keys_revoked" true;
    /// A connection was deleted.
    ConnectionDeleted(Change) "connection.deleted" true;
    /// A routing rule was created.
    RouteCreated(Change) "route.created" true;
    /// A routing rule was changed.
    RouteChanged(Change) "route.changed" true;
    /// A routing rule was deleted.
    RouteDeleted(Change) "route.deleted" true;
    /// A sender was registered.
    SenderCreated(Change) "sender.created" true;
    /// A sender's registrations were changed.
    SenderChanged(Change) "sender.changed" true;
    /// A sender was taken off the register.
    SenderDeleted(Change) "sender.deleted" true;
    /// A pool of senders was created.
    PoolCreated(Change) "sender_pool.created" true;
    /// A pool of senders was changed.
    PoolChanged(Change) "sender_pool.changed" true;
    /// A pool of senders was deleted.
    PoolDeleted(Change) "sender_pool.deleted" true;
    /// Who may send as whom was changed.
    SenderPolicyChanged(Change) "sender_policy.changed" true;
    /// Something was put on the blacklist; an import of many is one such event.
    BlacklistAdded(Change) "blacklist.added" true;
    /// Something was taken off the blacklist.
    BlacklistRemoved(Change) "blacklist.removed" true;
    /// A firewall rule was created.
    FirewallRuleCreated(Change) "firewall_rule.created" true;
    /// A firewall rule was changed.
    FirewallRuleChanged(Change) "firewall_rule.changed" true;
    /// A firewall rule was deleted.
    FirewallRuleDeleted(Change) "firewall_rule.deleted" true;
    /// A rule of working hours and throughput was created.
    HoursCreated(Change) "hours.created" true;
    /// A rule of working hours and throughput was changed.
    HoursChanged(Change) "hours.changed" true;
    /// A rule of working hours and throughput was deleted.
    HoursDeleted(Change) "hours.deleted" true;
    /// A distribution list was created.
    DistributionListCreated(Change) "distribution_list.created" true;
    /// A distribution list was changed.
    DistributionListChanged(Change) "distribution_list.changed" true;
    /// A distribution list was deleted.
    DistributionListDeleted(Change) "distribution_list.deleted" true;
    /// A number that phones write to was created.
    InboundNumberCreated(Change) "inbound_number.created" true;
    /// A number that phones write to, or its keywords, was changed.
    InboundNumberChanged(Change) "inbound_number.changed" true;
    /// A number that phones write to was deleted.
    InboundNumberDeleted(Change) "inbound_number.deleted" true;
    /// A mail gateway was created.
    MailGatewayCreated(Change) "mail_gateway.created" true;
    /// A mail gateway was changed.
    MailGatewayChanged(Change) "mail_gateway.changed" true;
    /// A mail gateway was deleted.
    MailGatewayDeleted(Change) "mail_gateway.deleted" true;
    /// A phone opted out, or was put on the list by somebody.
    OptOutAdded(Change) "opt_out.added" true;
    /// A phone opted in again, or was taken off the list by somebody.
    OptOutRemoved(Change) "opt_out.removed" true;
    /// A held message was released by a person.
    MessageReleased(MessageChange) "message.released" true;
    /// Something was paused: a connection, an account, a route, an intent or the whole tenant.
    PauseCreated(Change) "pause.created" true;
    /// Something that was paused goes on.
    PauseEnded(Change) "pause.ended" true;
    /// Somebody held, released, cancelled or redrove waiting or failed messages.
    QueueSteered(Change) "queue.steered" true;
    /// A waiting message was held until a person releases it.
    MessageHeld(MessageChange) "message.held" false;
    /// The sums and the messages do not agree any more.
    AccountingUnbalanced(Accounting) "accounting.unbalanced" false;
    /// The sums and the messages agree again.
    AccountingBalanced(Accounting) "accounting.balanced" false;
    /// All routing rules were replaced at once: rolled back, or by a published draft.
    RoutesReplaced(Change) "route.replaced" true;
    /// A draft of the routing rules was begun, changed or discarded.
    RouteDraftChanged(Change) "route.draft_changed" true;
    /// A look-up service for numbers was added.
    LookupCreated(Change) "lookup.created" true;
    /// A look-up service for numbers was changed.
    LookupChanged(Change) "lookup.changed" true;
    /// A look-up service for numbers was deleted.
    LookupDeleted(Change) "lookup.deleted" true;
    /// A numbering plan was imported.
    NumberPlanImported(Change) "number_plan.imported" true;
    /// A customer's system bound to one of the tenant's accounts.
    AccountBound(Link) "account.bound" false;
    /// A customer's system went away.
    AccountUnbound(Link) "account.unbound" false;
    /// A bind to a carrier was established.
    ConnectionBound(Link) "connection.bound" false;
    /// A bind to a carrier ended.
    ConnectionLost(Link) "connection.lost" false;
    /// A message was accepted.
    MessageAccepted(MessageChange) "message.accepted" false;
    /// A message, or its last part, was taken over by the carrier.
    MessageSent(MessageChange) "message.sent" false;
    /// A message came to an end.
    MessageEnded(MessageChange) "message.ended" false;
    /// A message's fate is not known: it left, and no answer came.
    MessageIndeterminate(MessageChange) "message.indeterminate" false;
    /// A message was put back for another try.
    MessageRetried(MessageChange) "message.retried" false;
    /// A message came in from a phone.
    MessageReceived(MessageChange) "message.received" false;
    /// A part of a message that had come to its end got its receipt; the message's state stays.
    MessageAmended(PartChange) "message.amended" false;
    /// A person's request by data protection law was taken in, or came to its next step.
    PrivacyRequestChanged(Change) "privacy.request_changed" true;
    /// Everything about a person was erased.
    PersonErased(Change) "privacy.person_erased" true;
    /// A person's restriction, objection or legal hold was set or lifted.
    PersonChanged(Change) "privacy.person_changed" true;
    /// A person has given a consent, or withdrawn it.
    ConsentRecorded(Change) "privacy.consent_recorded" true;
    /// A breach of personal data was noted, or came to its next step.
    BreachChanged(Change) "privacy.breach_changed" true;
    /// Times, retention or the processing register of a tenant were changed.
    PrivacySettingsChanged(Change) "privacy.settings_changed" true;
    /// A tenant has set for how long a class of its data is kept.
    RetentionChanged(Change) "privacy.retention_changed" true;
    /// What was older than a class of data is kept has gone.
    RetentionSwept(Change) "privacy.retention_swept" true;
    /// How call detail records are written was changed.
    CdrChanged(Change) "cdr.changed" true;
    /// A file of call detail records was closed.
    CdrClosed(FileClosed) "cdr.closed" false;
}

/// An event with its place in its tenant's stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recorded {
    /// 1, 2, 3 … without a gap, for each tenant.
    pub seq: i64,
    /// When its change was made.
    pub at: crate::Timestamp,
    /// Who made the change: a user, a key, an account, or a part of the system.
    pub actor: String,
    /// The request that asked for it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The network address it was asked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Reads the name of a kind of event.
///
/// # Errors
/// [`Code::InvalidFilter`] for a name that no event has.
pub fn kind_named(name: &str) -> crate::Result<&'static str> {
    Event::KINDS.iter().find(|known| **known == name).copied().ok_or_else(|| {
        crate::Error::new(Code::InvalidFilter, format!("{name:?} is no kind of event"))
            .at("type")
            .hint(format!("the kinds are {}", Event::KINDS.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn the_stored_form_reads_back() {
        let recorded = Recorded {
            seq: 7,
            at: Timestamp::from_unix_ms(0),
            actor: "system".to_owned(),
            request_id: None,
            from: None,
            event: Event::MessageEnded(MessageChange {
                message: MessageId::from_raw(1),
                state: "delivered".into(),
                account: None,
                connection: None,
                error: None,
            }),
        };
        let text = serde_json::to_string(&recorded).unwrap();
        assert_eq!(
            text,
            r#"{"seq":7,"at":"1970-01-01T00:00:00.000Z","actor":"system","type":"message.ended","data":{"id":"msg_0000000000001","state":"delivered"}}"#
        );
        assert_eq!(serde_json::from_str::<Recorded>(&text).unwrap(), recorded);
        assert_eq!(recorded.event.kind(), "message.ended");
    }
}
