//! Mail and messages: mail gateways (mail for a phone, sent as a message of an SMPP account), and what both directions share.
//!
//! Whoever sends mail is an SMPP account, so its senders, rate, routes and gates are the same as over SMPP. It signs in with
//! its system_id and password; or its mail gateway names networks and addresses that need no sign-in, and a name below the
//! SMTP server's domain that says whose gateway is meant.

use db::{OnConflict, Tenancy, args, record, sql};
use runtime::config::Network;
use runtime::personal::Sight;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{
    AccountId, Address, Code, Error, Event, MailGatewayId, Page, Permission, Result, TenantId, Timestamp,
};

use crate::intent::Intent;
use crate::settings::{self, Patch};

pub mod address;
pub mod api;
pub mod bounce;
pub mod job;
pub mod notice;
pub mod outgoing;
pub mod pages;
pub(crate) mod submit;
pub mod text;

/// How an account's mails become messages.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct MailGateway {
    /// Its id.
    pub id: MailGatewayId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// The SMPP account whose messages the mails become; an account has one gateway at most.
    pub account: AccountId,
    /// What people call it.
    pub name: String,
    /// Its name below the SMTP server's domain, unique over the whole platform: a mail to
    /// `+33612345678@SUBDOMAIN.DOMAIN` is this gateway's. An account that signs in may leave it out.
    #[schema(example = "acme")]
    pub subdomain: String,
    /// Whether it takes mail.
    pub active: bool,
    /// Who may send, and what becomes of the text.
    pub settings: GatewaySettings,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// Who may send, and what becomes of a mail's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// Networks from which mail needs no sign-in, such as that of your mail server; only with `senders`. At most 64.
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<Network>,
    /// Who may send from those networks: addresses (`anna@example.com`) or whole domains (`@example.com`), at most 500. An
    /// account that signs in may send from any address.
    pub senders: Vec<String>,
    /// What becomes of the subject: `ignore`, or `prefix` the text with it.
    pub subject: Subject,
    /// Whether a signature (what follows a line `--`) is cut off.
    pub cut_signature: bool,
    /// Whether a quoted mail below an answer is cut off.
    pub cut_quotes: bool,
    /// Beginnings of lines at which the text ends too, such as `Sent from my`; in either case, at most 50.
    pub cut_at: Vec<String>,
    /// Parts that a message may have, 1 to 255; as many as the installation allows when not given.
    pub parts_max: Option<u8>,
    /// What becomes of a longer text: `refuse` the mail, or `shorten` the text.
    pub too_long: TooLong,
    /// The sender of the messages; the account's own when not given.
    pub sender: Option<String>,
    /// Senders of single mail addresses, before `sender`; at most 500.
    pub sender_of: Vec<SenderOf>,
    /// What the messages are for; as the account says when not given.
    pub intent: Option<Intent>,
    /// Whether the mail's sender is told what became of its messages: `asked` (as its mail says, of failures where it says
    /// nothing), `always`, `never`.
    pub receipts: ReceiptsTold,
}

/// What becomes of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Nothing.
    #[default]
    Ignore,
    /// It stands before the text.
    Prefix,
}

/// What becomes of a text that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// The mail is refused.
    #[default]
    Refuse,
    /// The text is cut.
    Shorten,
}

/// Whether a mail's sender is told what became of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptsTold {
    /// As the mail asks (RFC 3461), of failures where it says nothing.
    #[default]
    Asked,
    /// Of each end, unless the mail says never.
    Always,
    /// Never.
    Never,
}

/// The sender of one mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SenderOf {
    /// The mail's sender: an address, or a domain such as `@example.com`.
    pub address: String,
    /// The messages' sender.
    pub sender: String,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            senders: Vec::new(),
            subject: Subject::Ignore,
            cut_signature: true,
            cut_quotes: true,
            cut_at: Vec::new(),
            parts_max: None,
            too_long: TooLong::Refuse,
            sender: None,
            sender_of: Vec::new(),
            intent: None,
            receipts: ReceiptsTold::Asked,
        }
    }
}

/// Gateways of a tenant.
const GATEWAYS_MAX: i64 = 1_000;
const NETWORKS_MAX: usize = 64;
const SENDERS_MAX: usize = 500;
const CUTS_MAX: usize = 50;
const CUT_CHARS_MAX: usize = 100;
/// The longest label of a domain name (RFC 1035 §2.3.4).
const SUBDOMAIN_CHARS_MAX: usize = 63;

/// An address, or a domain with `@` before it, in lower case.
fn checked_pattern(field: &str, text: &str) -> Result<String> {
    let pattern = text.trim().to_lowercase();
    let fits = match pattern.strip_prefix('@') {
        Some(domain) => address::is_domain(domain),
        None => smtp::is_address(&pattern),
    };
    if fits {
        return Ok(pattern);
    }
    Err(Error::new(Code::InvalidAddress, format!("{text:?} is neither an address nor @ and a domain"))
        .at(field))
}

/// Whether an address is the pattern's, or of its domain.
fn fits(pattern: &str, address: &str) -> bool {
    let address = address.to_lowercase();
    if pattern.starts_with('@') { address.ends_with(pattern) } else { address == pattern }
}

impl GatewaySettings {
    fn checked(mut self) -> Result<Self> {
        settings::at_most("settings.networks", &self.networks, NETWORKS_MAX)?;
        settings::at_most("settings.senders", &self.senders, SENDERS_MAX)?;
        settings::at_most("settings.sender_of", &self.sender_of, SENDERS_MAX)?;
        settings::at_most("settings.cut_at", &self.cut_at, CUTS_MAX)?;
        if self.networks.iter().any(Network::is_everything) {
            let why = "mail from everywhere needs a sign-in: anybody can write any sender's address";
            return Err(Error::invalid("settings.networks", why));
        }
        if !self.networks.is_empty() && self.senders.is_empty() {
            return Err(Error::invalid("settings.senders", "say who may send from the networks"));
        }
        for sender in &mut self.senders {
            *sender = checked_pattern("settings.senders", sender)?;
        }
        for of in &mut self.sender_of {
            of.address = checked_pattern("settings.sender_of", &of.address)?;
            of.sender = checked_sender("settings.sender_of", &of.sender)?;
        }
        if let Some(sender) = &mut self.sender {
            *sender = checked_sender("settings.sender", sender)?;
        }
        for cut in &mut self.cut_at {
            *cut = cut.trim().to_owned();
            if cut.is_empty() || cut.chars().count() > CUT_CHARS_MAX {
                let why = format!("the beginning of a line has 1 to {CUT_CHARS_MAX} characters");
                return Err(Error::invalid("settings.cut_at", why));
            }
        }
        if let Some(parts) = self.parts_max {
            settings::within("settings.parts_max", &parts, &(1..=u8::MAX))?;
        }
        Ok(self)
    }

    /// Whether a mail of this sender from this network address needs no sign-in.
    pub(crate) fn admits(&self, from: std::net::IpAddr, sender: &str) -> bool {
        self.networks.iter().any(|network| network.contains(from))
            && self.senders.iter().any(|pattern| fits(pattern, sender))
    }

    /// The sender of the messages of a mail from this address; the account's own where none is named.
    pub(crate) fn sender_for(&self, address: &str) -> Option<&str> {
        let own = self.sender_of.iter().find(|of| fits(&of.address, address));
        own.map(|of| of.sender.as_str()).or(self.sender.as_deref())
    }
}

fn checked_sender(field: &str, text: &str) -> Result<String> {
    Address::sender(text).map(|address| address.to_string()).map_err(|error| error.at(field))
}

fn checked_subdomain(text: &str) -> Result<String> {
    let name = text.trim().to_ascii_lowercase();
    let plain = |ch: char| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '-';
    let fits = (1..=SUBDOMAIN_CHARS_MAX).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits {
        return Ok(name);
    }
    let why = format!("write 1 to {SUBDOMAIN_CHARS_MAX} letters, digits and hyphens, such as \"acme\"");
    Err(Error::invalid("subdomain", why))
}

/// A gateway to be created.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMailGateway {
    /// The SMPP account whose messages the mails become.
    pub account: AccountId,
    /// Its name below the SMTP server's domain, unique over the whole platform: letters, digits and hyphens.
    #[schema(example = "acme")]
    pub subdomain: String,
    /// What people call it; the subdomain when not given.
    pub name: Option<String>,
    /// Whether it takes mail; true when not given.
    pub active: Option<bool>,
    /// Who may send, and what becomes of the text.
    #[serde(default)]
    #[schema(value_type = GatewaySettings)]
    pub settings: Patch,
}

/// A change to a gateway. What is not named stays; its account never changes.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailGatewayPatch {
    /// Its name below the SMTP server's domain.
    pub subdomain: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Whether it takes mail.
    pub active: Option<bool>,
    /// Who may send, and what becomes of the text; null brings a member's default back.
    #[serde(default)]
    #[schema(value_type = GatewaySettings)]
    pub settings: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: MailGatewayId, tenant_id: TenantId, account_id: AccountId, name: String, subdomain: String, active: bool,
        settings: String, revision: i64, created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn gateway(self) -> Result<MailGateway> {
        Ok(MailGateway {
            id: self.id,
            tenant: self.tenant_id,
            account: self.account_id,
            name: self.name,
            subdomain: self.subdomain,
            active: self.active,
            settings: settings::stored(&self.settings)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

record! { struct Found { id: i64 } }

fn taken(gateway: &MailGateway) -> Error {
    let why = format!("the account has a mail gateway already, or the name {:?} is taken", gateway.subdomain);
    Error::new(Code::AlreadyExists, why).at("subdomain")
}

/// Creates a gateway.
///
/// # Errors
/// [`Code::AlreadyExists`] where the account has one or the subdomain is somebody's; [`Code::Conflict`] when the tenant has as
/// many as it may; refusals of its values.
pub async fn create(scope: &Scope, new: NewMailGateway) -> Result<MailGateway> {
    scope.require(Permission::MailCreate)?;
    let now = scope.now();
    let subdomain = checked_subdomain(&new.subdomain)?;
    let nothing = GatewaySettings::default();
    let gateway = MailGateway {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        account: new.account,
        name: identity::name::given("name", new.name.as_deref().unwrap_or(&subdomain))?,
        subdomain,
        active: new.active.unwrap_or(true),
        settings: settings::changed("settings", &nothing, &nothing, &new.settings)?.checked()?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    let account: Option<Found> = write
        .optional(
            sql!("select id from smpp_account where tenant_id = $1 and id = $2"),
            args![gateway.tenant, gateway.account],
        )
        .await?;
    if account.is_none() {
        return Err(Error::invalid("account", format!("there is no SMPP account {}", gateway.account)));
    }
    if of_tenant(&mut write, gateway.tenant).await?.len() as i64 >= GATEWAYS_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {GATEWAYS_MAX} mail gateways already")));
    }
    let inserted = write.execute(
        sql!(
            "insert into mail_gateway (id, tenant_id, account_id, name, subdomain, active, settings, revision, created_at, \
             changed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)"
        ),
        args![
            gateway.id,
            gateway.tenant,
            gateway.account,
            &gateway.name,
            &gateway.subdomain,
            gateway.active,
            settings::to_store(&gateway.settings)?,
            gateway.revision,
            now
        ],
    );
    inserted.await.on_unique(|| taken(&gateway))?;
    write.happened(Event::MailGatewayCreated(audited(&gateway, None, Some(&gateway))?));
    write.commit(gateway).await
}

/// A tenant's gateways, the oldest first.
async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<MailGateway>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, account_id, name, subdomain, active, settings, revision, created_at, changed_at \
                 from mail_gateway where tenant_id = $1 order by id limit $2"
            ),
            args![tenant, GATEWAYS_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::gateway).collect()
}

/// All gateways, the oldest first; there is one page, because a tenant has 1,000 at most.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<MailGateway>> {
    scope.require(Permission::MailView)?;
    let all = of_tenant(&mut scope.read().await?, scope.tenant()).await?;
    let items = all.into_iter().map(|gateway| seen(scope, gateway)).collect::<Result<_>>()?;
    Ok(Page { items, next: None })
}

/// One gateway.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: MailGatewayId) -> Result<MailGateway> {
    scope.require(Permission::MailView)?;
    seen(scope, present(&mut scope.read().await?, scope.tenant(), id).await?)
}

/// A gateway as somebody may see it: who may send is masked for some.
fn seen(scope: &Scope, gateway: MailGateway) -> Result<MailGateway> {
    Ok(MailGateway { settings: Sight::of(scope).record(gateway.settings)?, ..gateway })
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: MailGatewayId) -> Result<MailGateway> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, account_id, name, subdomain, active, settings, revision, created_at, changed_at \
                 from mail_gateway where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("mail gateway"))?.gateway()
}

/// Changes a gateway; the next mail finds it as it then is.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`]; refusals of
/// its values.
pub async fn change(scope: &Scope, id: MailGatewayId, patch: MailGatewayPatch) -> Result<MailGateway> {
    scope.require(Permission::MailChange)?;
    // Who sees addresses masked would save the masks.
    if !patch.settings.is_empty() {
        scope.require(Permission::IdentifierView)?;
    }
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("mail gateway", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    if let Some(subdomain) = patch.subdomain {
        after.subdomain = checked_subdomain(&subdomain)?;
    }
    after.active = patch.active.unwrap_or(before.active);
    let nothing = GatewaySettings::default();
    after.settings = settings::changed("settings", &before.settings, &nothing, &patch.settings)?.checked()?;
    after.revision += 1;
    after.changed_at = scope.now();
    let changed = write.execute(
        sql!(
            "update mail_gateway set name = $3, subdomain = $4, active = $5, settings = $6, revision = $7, changed_at = $8 \
             where tenant_id = $1 and id = $2 and revision = $9"
        ),
        args![
            after.tenant,
            id,
            &after.name,
            &after.subdomain,
            after.active,
            settings::to_store(&after.settings)?,
            after.revision,
            after.changed_at,
            before.revision
        ],
    );
    if changed.await.on_unique(|| taken(&after))? == 0 {
        return Err(settings::outdated("mail gateway", after.revision));
    }
    write.happened(Event::MailGatewayChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(seen(scope, after)?).await
}

/// Deletes a gateway. Its account may still sign in and send, by the usual settings.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: MailGatewayId) -> Result<()> {
    scope.require(Permission::MailDelete)?;
    let mut write = scope.write().await?;
    let gateway = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from mail_gateway where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::MailGatewayDeleted(audited(&gateway, Some(&gateway), None)?));
    write.commit(()).await
}

/// The gateway of this name below the SMTP server's domain, whoever's it is.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn by_subdomain(runtime: &Runtime, subdomain: &str) -> Result<Option<MailGateway>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, account_id, name, subdomain, active, settings, revision, created_at, changed_at \
                 from mail_gateway where subdomain = $1 /* every tenant: a mail names no tenant */"
            ),
            args![subdomain],
        )
        .await?;
    found.map(Stored::gateway).transpose()
}

/// The gateway of an account that has signed in.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn of_account(
    runtime: &Runtime,
    tenant: TenantId,
    account: AccountId,
) -> Result<Option<MailGateway>> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, account_id, name, subdomain, active, settings, revision, created_at, changed_at \
                 from mail_gateway where tenant_id = $1 and account_id = $2"
            ),
            args![tenant, account],
        )
        .await?;
    found.map(Stored::gateway).transpose()
}

fn audited(
    gateway: &MailGateway,
    before: Option<&MailGateway>,
    after: Option<&MailGateway>,
) -> Result<Change> {
    Ok(Change {
        id: gateway.id.to_string(),
        name: gateway.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

#[cfg(test)]
mod tests;
