//! Directories that people of a tenant sign in with: OpenLDAP, Active Directory and others that speak LDAP (RFC 4511).
//!
//! A person's password is checked by a bind in their name and never kept ([`enter`]). Readings of the whole directory let users
//! follow it: their roles, and whether they are let in ([`run`]).

use db::{OnConflict, Tx, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::{Access, Change};
use types::{Code, DirectoryId, Error, Event, Page, Permission, Result, TenantId, Timestamp, UserId};
use web::Paging;

use crate::encryption::{self, Sealed};
use crate::{name, provider};

pub mod api;
mod carry;
pub(crate) mod enter;
mod entry;
mod job;
pub mod pages;
mod plan;
pub mod run;
mod settings;
pub mod trial;
mod wire;

pub use job::{KIND, handler, start_due};
pub use run::end_lost;
pub use settings::{DirectorySettings, Groups, Kind};
pub use wire::TrialStep;

/// The table that a password is sealed for.
const TABLE: &str = "directory";
/// Our passwords at directories.
pub const SEALED: Sealed = Sealed {
    title: "Our passwords at directories",
    table: TABLE,
    column: "bind_password_sealed",
    row: |id| DirectoryId::from_raw(id).to_string(),
    count: sql!("select count(*) as n from directory where tenant_id = $1 and bind_password_sealed like $2"),
    walk: sql!(
        "select id, bind_password_sealed as sealed from directory \
         where tenant_id = $1 and id > $2 and bind_password_sealed is not null order by id limit $3"
    ),
    replace: sql!(
        "update directory set bind_password_sealed = r.new from rows(id bigint, old text, new text) r \
         where directory.tenant_id = $1 and directory.id = r.id and directory.bind_password_sealed = r.old"
    ),
};
/// The longest password that we ask with.
const PASSWORD_CHARS_MAX: usize = 500;
/// Directories of one tenant.
const DIRECTORIES_MAX: i64 = 20;

record! {
    pub(crate) struct Stored {
        id: DirectoryId,
        tenant_id: TenantId,
        name: String,
        active: bool,
        bind_password_sealed: Option<String>,
        settings: String,
        revision: i64,
        read_next_at: Option<Timestamp>,
        created_at: Timestamp,
        changed_at: Timestamp,
    }
}

/// A directory that people sign in with. The password that we ask it with is not shown.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Directory {
    /// Its id.
    pub id: DirectoryId,
    #[serde(skip)]
    pub(crate) tenant: TenantId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// Whether people can sign in with it, and users follow it.
    pub active: bool,
    /// Whether we ask with a password.
    pub has_bind_password: bool,
    /// How it is asked, and what its people get here.
    pub settings: DirectorySettings,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it is read next; absent where it is read on demand alone.
    pub read_next_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
    #[serde(skip)]
    sealed: Option<String>,
}

impl From<Stored> for Directory {
    fn from(row: Stored) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant_id,
            name: row.name,
            active: row.active,
            has_bind_password: row.bind_password_sealed.is_some(),
            settings: serde_json::from_str(&row.settings).unwrap_or_default(),
            revision: row.revision,
            read_next_at: row.read_next_at,
            created_at: row.created_at,
            changed_at: row.changed_at,
            sealed: row.bind_password_sealed,
        }
    }
}

/// A directory to be added.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDirectory {
    /// What people call it.
    pub name: String,
    /// The password of the entry that we ask as.
    #[serde(default, skip_serializing)]
    pub bind_password: Option<String>,
    /// Whether people can sign in with it, and users follow it; false when not given, so that it can be tried first.
    #[serde(default)]
    pub active: bool,
    /// How it is asked, and what its people get here.
    pub settings: DirectorySettings,
}

/// What to change of a directory; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryPatch {
    /// What people call it.
    pub name: Option<String>,
    /// The password of the entry that we ask as. It must be given anew with other servers, issuers or another entry.
    #[serde(default, skip_serializing)]
    pub bind_password: Option<String>,
    /// Whether people can sign in with it, and users follow it.
    pub active: Option<bool>,
    /// How it is asked, and what its people get here, whole.
    pub settings: Option<DirectorySettings>,
    /// The revision that was read; a change of a later one is refused.
    pub revision: Option<i64>,
}

/// The tenant's directories, newest first.
///
/// # Errors
/// Without `identity_provider.view`; a malformed cursor or limit.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Directory>> {
    scope.require(Permission::ProviderView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let rows = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, tenant_id, name, active, bind_password_sealed, settings, revision, read_next_at, created_at, changed_at \
                 from directory where tenant_id = $1 and id < $2 order by id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row: &Stored| row.id.raw()).map(Directory::from))
}

/// A directory by its id.
///
/// # Errors
/// Without `identity_provider.view`; `not_found`.
pub async fn get(scope: &Scope, id: DirectoryId) -> Result<Directory> {
    scope.require(Permission::ProviderView)?;
    find(&mut scope.read().await?, scope.tenant(), id).await
}

async fn find(tx: &mut Tx, tenant: TenantId, id: DirectoryId) -> Result<Directory> {
    let row: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, active, bind_password_sealed, settings, revision, read_next_at, created_at, changed_at \
                 from directory where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    row.map(Directory::from).ok_or_else(|| Error::not_found("directory"))
}

impl Directory {
    /// The password that we ask with; empty where there is none.
    async fn password(&self, runtime: &runtime::Runtime) -> Result<runtime::config::Secret> {
        let Some(sealed) = &self.sealed else { return Ok(runtime::config::Secret::new(String::new())) };
        encryption::open(runtime, self.tenant, TABLE, "bind_password_sealed", &self.id.to_string(), sealed)
            .await
    }
}

/// Whoever decides who comes in by a directory, and as what, must be able to give all of it; else that would be a way up.
async fn may_map(tx: &mut Tx, scope: &Scope, settings: &DirectorySettings) -> Result<()> {
    provider::may_give_mapped(tx, scope, &settings.group_roles, settings.default_role.as_deref()).await?;
    if settings.link_by_email && !provider::may_tie_anybody(tx, scope).await? {
        let why = "whoever ties users by their address lets the directory be any of them, and you may not do all that they may";
        return Err(Error::new(Code::Forbidden, why).at("settings.link_by_email"));
    }
    Ok(())
}

fn checked(scope: &Scope, settings: DirectorySettings) -> Result<DirectorySettings> {
    settings.checked(scope.runtime().config.directory.allow_plain)
}

async fn sealed(scope: &Scope, id: DirectoryId, password: Option<&str>) -> Result<Option<String>> {
    let Some(password) = password.filter(|password| !password.is_empty()) else { return Ok(None) };
    if password.chars().count() > PASSWORD_CHARS_MAX {
        return Err(Error::invalid("bind_password", format!("give at most {PASSWORD_CHARS_MAX} characters")));
    }
    Ok(Some(encryption::seal(scope, TABLE, "bind_password_sealed", &id.to_string(), password).await?))
}

/// An entry without a password would be nobody's bind (RFC 4513 §5.1.2), which many servers answer with yes.
fn needs_password(settings: &DirectorySettings, has_one: bool) -> Result<()> {
    if settings.bind_dn.is_empty() || has_one {
        return Ok(());
    }
    Err(Error::invalid("bind_password", "give the password of the entry that we ask as"))
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("the name {name:?} is taken")).at("name")
}

/// When a directory is read next: at once when that is new, otherwise after its pause.
fn next_reading(active: bool, settings: &DirectorySettings, now: Timestamp) -> Option<Timestamp> {
    (active && settings.read_minutes > 0).then_some(now)
}

record! { struct Count { n: i64 } }

/// Adds a directory.
///
/// # Errors
/// Without `identity_provider.create`; `step_up_required`; `forbidden` for a role that allows more than the caller may;
/// `already_exists` for its name, or for a domain that leads elsewhere; `conflict` for too many; `invalid_value`.
pub async fn create(scope: &Scope, new: NewDirectory) -> Result<Directory> {
    scope.require(Permission::ProviderCreate)?;
    scope.require_fresh()?;
    let id: DirectoryId = scope.runtime().ids.next();
    let settings = checked(scope, new.settings)?;
    let given_name = name::given("name", &new.name)?;
    let sealed = sealed(scope, id, new.bind_password.as_deref()).await?;
    needs_password(&settings, sealed.is_some())?;
    refuse_foreign(scope, &settings.domains).await?;
    let mut write = scope.write().await?;
    let Count { n } = write
        .one(sql!("select count(*) as n from directory where tenant_id = $1"), args![scope.tenant()])
        .await?;
    if n >= DIRECTORIES_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {n} directories; more are not kept")));
    }
    may_map(&mut write, scope, &settings).await?;
    let now = scope.now();
    write
        .execute(
            sql!(
                "insert into directory (id, tenant_id, name, active, bind_password_sealed, settings, revision, read_next_at, \
                 created_at, changed_at) values ($1, $2, $3, $4, $5, $6, 1, $7, $8, $8)"
            ),
            args![
                id,
                scope.tenant(),
                &given_name,
                new.active,
                sealed,
                serde_json::to_string(&settings).map_err(Error::internal)?,
                next_reading(new.active, &settings, now),
                now
            ],
        )
        .await
        .on_unique(|| taken(&given_name))?;
    lead(&mut write, scope, id, &settings.domains).await?;
    let directory = find(&mut write, scope.tenant(), id).await?;
    write.happened(Event::DirectoryCreated(change(&directory, None)));
    write.commit(directory).await
}

record! { struct Elsewhere { domain: String } }

/// Refuses a domain that leads to a sign-in service of another tenant: its people's passwords are not ours to ask for.
async fn refuse_foreign(scope: &Scope, domains: &[String]) -> Result<()> {
    let mut tx = scope.runtime().db.read(db::Tenancy::Every).await?;
    for domain in domains {
        let elsewhere: Option<Elsewhere> = tx
            .optional(
                sql!(
                    "select domain from identity_domain where domain = $1 and tenant_id <> $2 \
                     /* every tenant: whose the domain is shows nobody more than a refusal */"
                ),
                args![domain, scope.tenant()],
            )
            .await?;
        if let Some(Elsewhere { domain }) = elsewhere {
            return Err(leads_elsewhere(&domain));
        }
    }
    Ok(())
}

fn leads_elsewhere(domain: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("{domain} leads elsewhere")).at("settings.domains")
}

/// Lets these domains, and no others, lead to a directory.
async fn lead(tx: &mut Tx, scope: &Scope, id: DirectoryId, domains: &[String]) -> Result<()> {
    tx.execute(
        sql!("delete from directory_domain where tenant_id = $1 and directory_id = $2"),
        args![scope.tenant(), id],
    )
    .await?;
    for domain in domains {
        tx.execute(
            sql!("insert into directory_domain (domain, tenant_id, directory_id) values ($1, $2, $3)"),
            args![domain, scope.tenant(), id],
        )
        .await
        .on_unique(|| leads_elsewhere(domain))?;
    }
    Ok(())
}

/// Whether users are tied to a directory.
async fn has_people(tx: &mut Tx, tenant: TenantId, id: DirectoryId) -> Result<bool> {
    let Count { n } = tx
        .one(
            sql!("select count(*) as n from directory_person where tenant_id = $1 and directory_id = $2"),
            args![tenant, id],
        )
        .await?;
    Ok(n > 0)
}

/// Changes a directory.
///
/// # Errors
/// Without `identity_provider.change`; `step_up_required`; `not_found`; `conflict` for a revision that was changed; `forbidden`
/// for other servers or filters where users are tied and may do more than the caller: the directory could then be any of them;
/// otherwise as [`create`].
pub async fn update(scope: &Scope, id: DirectoryId, wanted: DirectoryPatch) -> Result<Directory> {
    scope.require(Permission::ProviderChange)?;
    scope.require_fresh()?;
    let sealed = sealed(scope, id, wanted.bind_password.as_deref()).await?;
    let settings = wanted.settings.map(|settings| checked(scope, settings)).transpose()?;
    refuse_foreign(scope, settings.as_ref().map_or(&[], |settings| &settings.domains)).await?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    if wanted.revision.is_some_and(|revision| revision != before.revision) {
        return Err(Error::new(Code::Conflict, "the directory was changed meanwhile"));
    }
    let given_name = match &wanted.name {
        Some(name) => name::given("name", name)?,
        None => before.name.clone(),
    };
    let settings = settings.unwrap_or_else(|| before.settings.clone());
    let active = wanted.active.unwrap_or(before.active);
    may_map(&mut write, scope, &settings).await?;
    if !settings.goes_to_as(&before.settings)
        && before.has_bind_password
        && sealed.is_none()
        && !settings.bind_dn.is_empty()
    {
        let why = "give the password again: it would go elsewhere than where it was meant for";
        return Err(Error::invalid("bind_password", why));
    }
    needs_password(&settings, sealed.is_some() || before.has_bind_password)?;
    let stays = settings.asks_as(&before.settings);
    if !stays
        && has_people(&mut write, scope.tenant(), id).await?
        && !provider::may_tie_anybody(&mut write, scope).await?
    {
        let why = "users are tied to this directory: whoever changes where it is asked could be any of them";
        return Err(Error::new(Code::Forbidden, why).at("settings.servers"));
    }
    let now = scope.now();
    let paced = (before.active, before.settings.read_minutes) == (active, settings.read_minutes);
    let next = if paced { before.read_next_at } else { next_reading(active, &settings, now) };
    let changed = write
        .execute(
            sql!(
                "update directory set name = $3, active = $4, bind_password_sealed = coalesce($5, bind_password_sealed), \
                 settings = $6, read_next_at = $7, revision = revision + 1, changed_at = $8 where tenant_id = $1 and id = $2"
            ),
            args![
                scope.tenant(),
                id,
                &given_name,
                active,
                sealed,
                serde_json::to_string(&settings).map_err(Error::internal)?,
                next,
                now
            ],
        )
        .await;
    changed.on_unique(|| taken(&given_name))?;
    lead(&mut write, scope, id, &settings.domains).await?;
    let after = find(&mut write, scope.tenant(), id).await?;
    write.happened(Event::DirectoryChanged(change(&after, Some(&before))));
    write.commit(after).await
}

/// Removes a directory: nobody signs in with it any more, and its people stay users, with whatever else they sign in by.
///
/// # Errors
/// Without `identity_provider.delete`; `step_up_required`; `not_found`.
pub async fn delete(scope: &Scope, id: DirectoryId) -> Result<()> {
    scope.require(Permission::ProviderDelete)?;
    scope.require_fresh()?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    lead(&mut write, scope, id, &[]).await?;
    for statement in [
        sql!("delete from directory_person where tenant_id = $1 and directory_id = $2"),
        sql!("delete from directory_run where tenant_id = $1 and directory_id = $2"),
        sql!("delete from directory where tenant_id = $1 and id = $2"),
    ] {
        write.execute(statement, args![scope.tenant(), id]).await?;
    }
    let gone = change(&before, None);
    write.happened(Event::DirectoryDeleted(Change { before: gone.after.clone(), after: None, ..gone }));
    write.commit(()).await
}

record! {
    /// A user who is tied to an entry of a directory.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct DirectoryPerson {
        /// The entry's own id there.
        pub entry: String,
        /// Where the entry stood when it was last seen.
        pub dn: String,
        /// The user.
        pub user_id: UserId,
        /// Their name.
        pub user_name: String,
        /// Their role.
        pub role: String,
        /// `active` or `disabled`.
        pub status: String,
        /// Since when they are tied.
        pub tied_at: Timestamp,
        /// Since when they are shut out because the directory has them no longer.
        pub left_at: Option<Timestamp>,
    }
}

/// Who is tied to a directory, by their user's id, the newest user first.
///
/// # Errors
/// Without `identity_provider.view`; `not_found`; a malformed cursor or limit.
pub async fn people(scope: &Scope, id: DirectoryId, paging: &Paging) -> Result<Page<DirectoryPerson>> {
    scope.require(Permission::ProviderView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let mut tx = scope.read().await?;
    find(&mut tx, scope.tenant(), id).await?;
    let rows = tx
        .all(
            sql!(
                "select p.entry, p.dn, p.user_id, u.name as user_name, u.role, u.status, p.tied_at, p.left_at \
                 from directory_person p join users u on u.id = p.user_id and u.tenant_id = p.tenant_id \
                 where p.tenant_id = $1 and p.directory_id = $2 and p.user_id < $3 order by p.user_id desc limit $4"
            ),
            args![scope.tenant(), id, behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row: &DirectoryPerson| row.user_id.raw()))
}

/// A user who is to follow a directory no longer.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UntiedPerson {
    /// The user.
    pub user_id: UserId,
}

/// Ties a user to a directory no longer: they sign in by what they have here, and no reading changes them. Where users are tied by
/// their address, the next reading ties them again.
///
/// # Errors
/// Without `identity_provider.change`; `step_up_required`; `not_found`.
pub async fn untie(scope: &Scope, id: DirectoryId, untied: &UntiedPerson) -> Result<()> {
    scope.require(Permission::ProviderChange)?;
    scope.require_fresh()?;
    let mut write = scope.write().await?;
    let directory = find(&mut write, scope.tenant(), id).await?;
    let person = crate::user::find(&mut write, scope.tenant(), untied.user_id).await?;
    let gone = write
        .execute(
            sql!("delete from directory_person where tenant_id = $1 and directory_id = $2 and user_id = $3"),
            args![scope.tenant(), id, untied.user_id],
        )
        .await?;
    if gone == 0 {
        return Err(Error::not_found("person of this directory"));
    }
    write.happened(Event::UserUnlinked(Access { who: person.email, by: directory.name, reason: None }));
    write.commit(()).await
}

/// What the audit trail keeps of a change to a directory.
fn change(directory: &Directory, before: Option<&Directory>) -> Change {
    Change {
        id: directory.id.to_string(),
        name: directory.name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(directory).ok(),
    }
}
