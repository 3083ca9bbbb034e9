//! Services that people sign in with: OpenID Connect providers such as Keycloak, a tenant's own.

use db::{OnConflict, Tx, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, ProviderId, Result, TenantId, Timestamp};
use web::Paging;

use crate::domain;
use crate::encryption::{self, Sealed};
use crate::key;
use crate::name;
use crate::role::{TENANT_ADMIN, rights};

pub mod api;
pub(crate) mod led;
pub mod pages;
pub mod subject;

/// The table that a secret is sealed for.
const TABLE: &str = "identity_provider";
/// Our secrets at services.
pub const SEALED: Sealed = Sealed {
    title: "Our secrets at sign-in services",
    table: TABLE,
    column: "secret_sealed",
    row: |id| ProviderId::from_raw(id).to_string(),
    count: sql!("select count(*) as n from identity_provider where tenant_id = $1 and secret_sealed like $2"),
    walk: sql!(
        "select id, secret_sealed as sealed from identity_provider \
         where tenant_id = $1 and id > $2 and secret_sealed is not null order by id limit $3"
    ),
    replace: sql!(
        "update identity_provider set secret_sealed = r.new from rows(id bigint, old text, new text) r \
         where identity_provider.tenant_id = $1 and identity_provider.id = r.id and identity_provider.secret_sealed = r.old"
    ),
};
/// Groups that are mapped, and domains that lead here.
const ENTRIES_MAX: usize = 100;
/// The longest of a provider's texts.
const TEXT_CHARS_MAX: usize = 500;

/// A group of the service and the role that its members have here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRole {
    /// The group's name, as the service says it.
    pub group: String,
    /// A role's name.
    pub role: String,
}

/// What people who sign in with a service get here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = IdentityProviderSettings)]
pub struct ProviderSettings {
    /// What is asked for; `openid email profile` when not given.
    pub scopes: Vec<String>,
    /// The claim that names a person's groups; `groups` when not given.
    pub groups_claim: String,
    /// The first group of a person that stands here gives their role, at each sign-in.
    pub group_roles: Vec<GroupRole>,
    /// The role of people of none of these groups; without one they are not let in.
    pub default_role: Option<String>,
    /// Whether people who are not known yet become users; false when not given.
    pub create_users: bool,
    /// Whether a user whose e-mail address the service has verified is tied to it; false when not given. A user may also
    /// be tied to only one service's person.
    pub link_by_email: bool,
    /// The domains of e-mail addresses that lead here from the sign-in page and whose people may become users.
    pub domains: Vec<String>,
    /// Values of `amr` (RFC 8176) or `acr`, such as `mfa`, by which the service says that it has asked for a second step itself.
    /// Who comes with one of them is not asked for one here. None when not given: everybody is asked as the tenant says.
    pub second_step_by: Vec<String>,
    /// What bearers of the service's own access tokens may do at most, beside what the user may whom the token names. None are
    /// taken when not given.
    pub token_scopes: Vec<Permission>,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            groups_claim: "groups".to_owned(),
            group_roles: Vec::new(),
            default_role: None,
            create_users: false,
            link_by_email: false,
            domains: Vec::new(),
            second_step_by: Vec::new(),
            token_scopes: Vec::new(),
        }
    }
}

record! {
    struct Stored {
        id: ProviderId,
        tenant_id: TenantId,
        name: String,
        active: bool,
        issuer: String,
        client_id: String,
        secret_sealed: Option<String>,
        settings: String,
        revision: i64,
        created_at: Timestamp,
        changed_at: Timestamp,
    }
}

/// A service that people sign in with. Its secret is not shown.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = IdentityProvider)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    #[serde(skip)]
    pub(crate) tenant: TenantId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// Whether people can sign in with it.
    pub active: bool,
    /// Its address, by which it is found (OpenID Connect Discovery 1.0).
    pub issuer: String,
    /// What we are called there.
    pub client_id: String,
    /// Whether we have a secret there.
    pub has_secret: bool,
    /// What people who sign in with it get here.
    pub settings: ProviderSettings,
    /// The address that the service must lead people back to.
    pub redirect_uri: String,
    /// The address at which people sign in with it.
    pub sign_in_url: String,
    /// The audience that the service must make access tokens for, where the API takes them.
    pub token_audience: String,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
    #[serde(skip)]
    secret_sealed: Option<String>,
}

/// Where a service leads people back to: the address at which they began.
pub(crate) fn redirect_uri(url: &str) -> String {
    format!("{url}/sign-in/callback")
}

/// All addresses that a service of the caller's tenant may lead people back to: the installation's, and that of the tenant's
/// own domain, where it has one.
pub(crate) async fn redirect_uris(scope: &Scope) -> Result<Vec<String>> {
    let here = scope.runtime().config.public_url();
    let own = domain::public_url(&mut scope.read().await?, scope.runtime(), scope.tenant()).await?;
    let own = (own != here).then(|| redirect_uri(&own));
    Ok([redirect_uri(&here)].into_iter().chain(own).collect())
}

/// What the audiences of all services begin with.
fn audiences(runtime: &runtime::Runtime) -> String {
    format!("{}/identity-providers/", runtime.config.public_url())
}

/// The service whose audience this is.
pub(crate) fn of_audience(runtime: &runtime::Runtime, audience: &str) -> Option<ProviderId> {
    audience.strip_prefix(&audiences(runtime))?.parse().ok()
}

impl Stored {
    fn provider(self, runtime: &runtime::Runtime) -> Provider {
        Provider {
            redirect_uri: redirect_uri(&runtime.config.public_url()),
            sign_in_url: format!("{}/sign-in/with/{}", runtime.config.public_url(), self.id),
            token_audience: format!("{}{}", audiences(runtime), self.id),
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            active: self.active,
            issuer: self.issuer,
            client_id: self.client_id,
            has_secret: self.secret_sealed.is_some(),
            settings: serde_json::from_str(&self.settings).unwrap_or_default(),
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
            secret_sealed: self.secret_sealed,
        }
    }
}

/// A service to be added.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewIdentityProvider)]
pub struct NewProvider {
    /// What people call it.
    pub name: String,
    /// Its address, as its own metadata names it.
    pub issuer: String,
    /// What we are called there.
    pub client_id: String,
    /// Our secret there; none for a client without one.
    pub client_secret: Option<String>,
    /// Whether people can sign in with it; true when not given.
    pub active: Option<bool>,
    /// What people who sign in with it get here.
    #[serde(default)]
    pub settings: ProviderSettings,
}

/// What to change of a service; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IdentityProviderPatch)]
pub struct ProviderPatch {
    /// What people call it.
    pub name: Option<String>,
    /// Its address. People who were known by the former one are not known by the new one.
    pub issuer: Option<String>,
    /// What we are called there.
    pub client_id: Option<String>,
    /// Our secret there.
    pub client_secret: Option<String>,
    /// Whether people can sign in with it.
    pub active: Option<bool>,
    /// What people who sign in with it get here, whole.
    pub settings: Option<ProviderSettings>,
    /// The revision that was read; a change of a later one is refused.
    pub revision: Option<i64>,
}

/// The tenant's services, newest first.
///
/// # Errors
/// Without `identity_provider.view`; a malformed cursor or limit.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Provider>> {
    scope.require(Permission::ProviderView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let rows = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, tenant_id, name, active, issuer, client_id, secret_sealed, settings, revision, created_at, \
                 changed_at from identity_provider where tenant_id = $1 and id < $2 order by id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1],
        )
        .await?;
    let runtime = scope.runtime();
    Ok(Page::from_overfull(rows, limit, |row: &Stored| row.id.raw()).map(|row| row.provider(runtime)))
}

/// A service by its id.
///
/// # Errors
/// Without `identity_provider.view`; `not_found`.
pub async fn get(scope: &Scope, id: ProviderId) -> Result<Provider> {
    scope.require(Permission::ProviderView)?;
    find(&mut scope.read().await?, scope, id).await
}

async fn find(tx: &mut Tx, scope: &Scope, id: ProviderId) -> Result<Provider> {
    let row: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, active, issuer, client_id, secret_sealed, settings, revision, created_at, \
                 changed_at from identity_provider where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    row.map(|row| row.provider(scope.runtime())).ok_or_else(|| Error::not_found("identity provider"))
}

/// Whoever decides which roles groups give must be able to give each of them; else that would be a way up.
pub(crate) async fn may_give_mapped(
    tx: &mut Tx,
    scope: &Scope,
    group_roles: &[GroupRole],
    default_role: Option<&str>,
) -> Result<()> {
    for one in group_roles {
        let given = rights::may_give(tx, scope, &one.role).await;
        given.map_err(|error| error.at("settings.group_roles"))?;
    }
    if let Some(role) = default_role {
        let given = rights::may_give(tx, scope, role).await;
        given.map_err(|error| error.at("settings.default_role"))?;
    }
    Ok(())
}

/// Whether somebody may let another system say who any user of the tenant is.
pub(crate) async fn may_tie_anybody(tx: &mut Tx, scope: &Scope) -> Result<bool> {
    let customs = rights::customs(tx, scope.tenant()).await?;
    Ok(scope.held().covers(&rights::held_by_role(&customs, TENANT_ADMIN)))
}

/// Whoever decides who comes in by a service, and as what, must be able to give all of it; else that would be a way up.
async fn may_map(tx: &mut Tx, scope: &Scope, settings: &ProviderSettings) -> Result<()> {
    may_give_mapped(tx, scope, &settings.group_roles, settings.default_role.as_deref()).await?;
    if !settings.token_scopes.is_empty() {
        let given = key::check_scopes(scope, &settings.token_scopes);
        given.map_err(|error| error.at("settings.token_scopes"))?;
    }
    if settings.link_by_email && !may_tie_anybody(tx, scope).await? {
        let why = "whoever ties users by their address lets the service be any of them, and you may not do all that they may";
        return Err(Error::new(Code::Forbidden, why).at("settings.link_by_email"));
    }
    Ok(())
}

/// Checks what people get, and brings it into its normal form.
fn checked(settings: ProviderSettings) -> Result<ProviderSettings> {
    let mut settings = settings;
    let short = |field: &str, texts: &[String]| match texts.iter().find(|text| !fits(text)) {
        Some(_) => Err(Error::invalid(field, format!("a text has 1 to {TEXT_CHARS_MAX} plain characters"))),
        None if texts.len() > ENTRIES_MAX => {
            Err(Error::invalid(field, format!("it takes at most {ENTRIES_MAX} entries")))
        }
        None => Ok(()),
    };
    if !settings.scopes.iter().any(|scope| scope == "openid") {
        settings.scopes.insert(0, "openid".to_owned());
    }
    short("settings.scopes", &settings.scopes)?;
    if let Some(bad) = settings.scopes.iter().find(|scope| scope.contains(' ')) {
        return Err(Error::invalid("settings.scopes", format!("{bad:?} has a blank in it")));
    }
    short("settings.groups_claim", std::slice::from_ref(&settings.groups_claim))?;
    short("settings.second_step_by", &settings.second_step_by)?;
    let groups: Vec<_> = settings.group_roles.iter().map(|one| one.group.clone()).collect();
    short("settings.group_roles", &groups)?;
    settings.domains = led::domains(&settings.domains)?;
    Ok(settings)
}

pub(crate) fn fits(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.contains(char::is_control)
}

fn plain(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if fits(text) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(field, format!("give 1 to {TEXT_CHARS_MAX} plain characters")))
}

fn issuer(scope: &Scope, text: &str) -> Result<String> {
    let text = plain("issuer", text)?;
    let refuse = |why: String| Error::new(Code::InvalidUrl, why).at("issuer");
    scope.runtime().outbound.check_url(&text).map_err(|error| refuse(error.to_string()))?;
    if text.contains(['?', '#']) {
        return Err(refuse("an issuer has no query and no fragment".to_owned()));
    }
    Ok(text)
}

/// Adds a service.
///
/// # Errors
/// Without `identity_provider.create`; `step_up_required`; `forbidden` for a role that allows more than the caller may; `already_exists` for its
/// name, or for a domain that leads elsewhere; `invalid_value`, `invalid_url`.
pub async fn create(scope: &Scope, new: NewProvider) -> Result<Provider> {
    scope.require(Permission::ProviderCreate)?;
    scope.require_fresh()?;
    let id: ProviderId = scope.runtime().ids.next();
    let settings = checked(new.settings)?;
    let given_name = name::given("name", &new.name)?;
    let issuer = issuer(scope, &new.issuer)?;
    let client_id = plain("client_id", &new.client_id)?;
    let sealed = sealed(scope, id, new.client_secret.as_deref()).await?;
    led::refuse_foreign(scope, &settings.domains).await?;
    let mut write = scope.write().await?;
    may_map(&mut write, scope, &settings).await?;
    let now = scope.now();
    write
        .execute(
            sql!(
                "insert into identity_provider (id, tenant_id, name, active, issuer, client_id, secret_sealed, settings, \
                 revision, created_at, changed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9)"
            ),
            args![
                id,
                scope.tenant(),
                &given_name,
                new.active.unwrap_or(true),
                &issuer,
                &client_id,
                sealed,
                serde_json::to_string(&settings).map_err(Error::internal)?,
                now
            ],
        )
        .await
        .on_unique(|| taken(&given_name))?;
    led::lead(&mut write, scope, id, &settings.domains).await?;
    let provider = find(&mut write, scope, id).await?;
    write.happened(Event::ProviderCreated(change(&provider, None)));
    write.commit(provider).await
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("the name {name:?} is taken")).at("name")
}

async fn sealed(scope: &Scope, id: ProviderId, secret: Option<&str>) -> Result<Option<String>> {
    match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => {
            Ok(Some(encryption::seal(scope, TABLE, "secret_sealed", &id.to_string(), secret).await?))
        }
        None => Ok(None),
    }
}

/// Changes a service.
///
/// # Errors
/// Without `identity_provider.change`; `step_up_required`; `not_found`; `conflict` for a revision that was changed; otherwise as [`create`].
pub async fn update(scope: &Scope, id: ProviderId, wanted: ProviderPatch) -> Result<Provider> {
    scope.require(Permission::ProviderChange)?;
    scope.require_fresh()?;
    let secret = sealed(scope, id, wanted.client_secret.as_deref()).await?;
    let settings = wanted.settings.map(checked).transpose()?;
    led::refuse_foreign(scope, settings.as_ref().map_or(&[], |settings| &settings.domains)).await?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
    if wanted.revision.is_some_and(|revision| revision != before.revision) {
        return Err(Error::new(Code::Conflict, "the service was changed meanwhile"));
    }
    let given_name = match &wanted.name {
        Some(name) => name::given("name", name)?,
        None => before.name.clone(),
    };
    let issuer = wanted.issuer.as_deref().map(|text| issuer(scope, text)).transpose()?;
    let issuer = issuer.unwrap_or_else(|| before.issuer.clone());
    let client_id = wanted.client_id.as_deref().map(|text| plain("client_id", text)).transpose()?;
    let settings = settings.unwrap_or_else(|| before.settings.clone());
    may_map(&mut write, scope, &settings).await?;
    if issuer != before.issuer {
        // A subject is unique within its issuer alone (OpenID Connect Core 1.0 §2).
        write
            .execute(
                sql!("delete from user_identity where tenant_id = $1 and provider_id = $2"),
                args![scope.tenant(), id],
            )
            .await?;
    }
    let changed = write
        .execute(
            sql!(
                "update identity_provider set name = $3, active = $4, issuer = $5, client_id = $6, \
                 secret_sealed = coalesce($7, secret_sealed), settings = $8, revision = revision + 1, changed_at = $9 \
                 where tenant_id = $1 and id = $2"
            ),
            args![
                scope.tenant(),
                id,
                &given_name,
                wanted.active.unwrap_or(before.active),
                &issuer,
                client_id.unwrap_or_else(|| before.client_id.clone()),
                secret,
                serde_json::to_string(&settings).map_err(Error::internal)?,
                scope.now()
            ],
        )
        .await;
    changed.on_unique(|| taken(&given_name))?;
    led::lead(&mut write, scope, id, &settings.domains).await?;
    let after = find(&mut write, scope, id).await?;
    write.happened(Event::ProviderChanged(change(&after, Some(&before))));
    write.commit(after).await
}

/// Removes a service: nobody signs in with it any more. Its people stay users, with whatever else they sign in by.
///
/// # Errors
/// Without `identity_provider.delete`; `step_up_required`; `not_found`.
pub async fn delete(scope: &Scope, id: ProviderId) -> Result<()> {
    scope.require(Permission::ProviderDelete)?;
    scope.require_fresh()?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
    led::lead(&mut write, scope, id, &[]).await?;
    for statement in [
        sql!("delete from user_identity where tenant_id = $1 and provider_id = $2"),
        sql!("delete from identity_provider where tenant_id = $1 and id = $2"),
    ] {
        write.execute(statement, args![scope.tenant(), id]).await?;
    }
    let gone = change(&before, None);
    write.happened(Event::ProviderDeleted(Change { before: gone.after.clone(), after: None, ..gone }));
    write.commit(()).await
}

/// A service that people can sign in with now, of whatever tenant.
pub(crate) async fn open(runtime: &runtime::Runtime, id: ProviderId) -> Result<Provider> {
    let mut tx = runtime.db.read(db::Tenancy::Every).await?;
    let row: Option<Stored> = tx
        .optional(
            sql!(
                "select p.id, p.tenant_id, p.name, p.active, p.issuer, p.client_id, p.secret_sealed, p.settings, p.revision, \
                 p.created_at, p.changed_at from identity_provider p join tenant t on t.id = p.tenant_id \
                 where p.id = $1 and p.active and t.status = 'active' /* every tenant: the address says whose it is */"
            ),
            args![id],
        )
        .await?;
    row.map(|row| row.provider(runtime)).ok_or_else(|| Error::not_found("identity provider"))
}

impl Provider {
    /// Our secret at the service.
    pub(crate) async fn secret(&self, runtime: &runtime::Runtime) -> Result<Option<runtime::config::Secret>> {
        let Some(sealed) = &self.secret_sealed else { return Ok(None) };
        let row = self.id.to_string();
        Ok(Some(encryption::open(runtime, self.tenant, TABLE, "secret_sealed", &row, sealed).await?))
    }
}

/// What the audit trail keeps of a change to a service.
fn change(provider: &Provider, before: Option<&Provider>) -> Change {
    Change {
        id: provider.id.to_string(),
        name: provider.name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(provider).ok(),
    }
}
