#![doc = include_str!("../README.md")]

pub mod address;
pub mod error;
pub mod event;
pub mod id;
pub mod mask;
pub mod page;
pub mod permission;
pub mod time;

pub use address::{Address, Npi, Ton};
pub use error::{Code, Error, Result};
pub use event::Event;
pub use id::{Id, IdKind, kind};
pub use page::{Cursor, Page};
pub use permission::{Permission, Permissions, Reach};
pub use time::Timestamp;

/// The id of a tenant: the organisation whose rows are its own.
pub type TenantId = Id<kind::Tenant>;
/// The id of a user.
pub type UserId = Id<kind::User>;
/// The id of a tenant's own domain.
pub type DomainId = Id<kind::Domain>;
/// The id of a tenant's erasure.
pub type ErasureId = Id<kind::Erasure>;
/// The id of a suitcase.
pub type SuitcaseId = Id<kind::Suitcase>;
/// The id of an API key.
pub type KeyId = Id<kind::Key>;
/// The id of an application.
pub type ClientId = Id<kind::Client>;
/// The id of a service that people sign in with.
pub type ProviderId = Id<kind::Provider>;
/// The id of a directory.
pub type DirectoryId = Id<kind::Directory>;
/// The id of a reading of a directory.
pub type DirectoryRunId = Id<kind::DirectoryRun>;
/// The id of what an application may do for a person.
pub type ConsentId = Id<kind::Consent>;
/// The id of a signed-in browser's session.
pub type SessionId = Id<kind::Session>;
/// The id of a user's passkey.
pub type PasskeyId = Id<kind::Passkey>;
/// The id of a browser that a user has signed in with.
pub type DeviceId = Id<kind::Device>;
/// The id of an entry of a user's security history.
pub type SecurityEntryId = Id<kind::SecurityEntry>;
/// The id of a message, in either direction.
pub type MessageId = Id<kind::Message>;
/// The id of an SMPP account: a customer's system that binds to us.
pub type AccountId = Id<kind::Account>;
/// The id of a connection: a carrier that we bind to.
pub type ConnectionId = Id<kind::Connection>;
/// The id of a routing rule.
pub type RouteId = Id<kind::Route>;
/// The id of a closed file of call detail records.
pub type CdrFileId = Id<kind::CdrFile>;
/// The id of a version of a tenant's routes.
pub type RouteVersionId = Id<kind::RouteVersion>;
/// The id of a look-up service for numbers.
pub type LookupId = Id<kind::Lookup>;
/// The id of a durable job.
pub type JobId = Id<kind::Job>;
/// The id of a sender that a tenant has registered.
pub type SenderId = Id<kind::Sender>;
/// The id of a pool of senders.
pub type PoolId = Id<kind::Pool>;
/// The id of an entry of the blacklist.
pub type BlacklistedId = Id<kind::Blacklisted>;
/// The id of a firewall rule.
pub type RuleId = Id<kind::Rule>;
/// The id of a rule of working hours and throughput.
pub type HoursId = Id<kind::Hours>;
/// The id of a refusal that is kept.
pub type RefusalId = Id<kind::Refusal>;
/// The id of a number that phones write to.
pub type InboundNumberId = Id<kind::InboundNumber>;
/// The id of a trace of PDUs.
pub type TraceId = Id<kind::Trace>;
/// The id of an entry of the opt-out list.
pub type OptOutId = Id<kind::OptOut>;
/// The id of a mail gateway of an account.
pub type MailGatewayId = Id<kind::MailGateway>;
/// Recipients under one name.
pub type DistributionListId = Id<kind::DistributionList>;
/// A pause's id.
pub type PauseId = Id<kind::Pause>;
/// The id of something that a user was given for a time.
pub type GrantId = Id<kind::Grant>;
/// A team's id.
pub type TeamId = Id<kind::Team>;
/// The id of a person about whom something is kept.
pub type PersonId = Id<kind::Person>;
/// The id of what a person has asked for by data protection law.
pub type PrivacyRequestId = Id<kind::PrivacyRequest>;
/// The id of an entry of the consent ledger.
pub type ConsentEntryId = Id<kind::ConsentEntry>;
/// The id of a breach of personal data.
pub type BreachId = Id<kind::Breach>;
/// The id of a security event.
pub type SecurityEventId = Id<kind::SecurityEvent>;
/// The id of a time in which somebody acts as another user.
pub type ImpersonationId = Id<kind::Impersonation>;
/// The id of a newcomer who registers by themselves.
pub type RegistrationId = Id<kind::Registration>;
/// The id of a review.
pub type ReviewId = Id<kind::Review>;
/// The id of an alert rule.
pub type AlertRuleId = Id<kind::AlertRule>;
