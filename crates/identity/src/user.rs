//! People who sign in.

use db::{OnConflict, Tx, args, record, sql};
use runtime::{Actor, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, TenantId, Timestamp, UserId};
use web::Paging;

use crate::attempt::{Attempts, Step};
use crate::journal::{self, Kind};
use crate::role::rights::{self, Reaching};
use crate::sign_in::recovery;
use crate::{device, impersonation, mail, name, password, session};

pub mod address;
pub mod api;
pub mod pages;

record! {
    /// A person who signs in.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct User {
        /// Their id.
        pub id: UserId,
        /// Their e-mail address, by which they sign in; unique over all tenants.
        pub email: String,
        /// What to call them.
        pub name: String,
        /// The role that says what they may do.
        pub role: String,
        /// The language they read: `en`, `fr`, `ar`.
        pub language: String,
        /// `active` or `disabled`.
        pub status: String,
        /// Whether they have set a password.
        pub has_password: bool,
        /// When they were created.
        pub created_at: Timestamp,
        /// When they last signed in.
        pub last_sign_in_at: Option<Timestamp>,
    }
}

/// Whether a user is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = UserStatus)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// They are.
    Active,
    /// They are not, and neither are their keys.
    Disabled,
}

impl Status {
    /// The name that rows and answers hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// A user to be created.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Their e-mail address.
    pub email: String,
    /// What to call them.
    pub name: String,
    /// A role's name.
    pub role: String,
    /// `en`, `fr` or `ar`; that of the tenant's locale when not given, or `en`.
    pub language: Option<String>,
    /// The hash of their password as another system has made it: bcrypt (`$2b$12$…`), which is hashed anew at the first
    /// sign-in, or argon2id. Absent: they get in by a link and set one.
    #[serde(default, skip_serializing)]
    pub password_hash: Option<String>,
}

/// What to change of a user; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// What to call them.
    pub name: Option<String>,
    /// A role's name.
    pub role: Option<String>,
    /// `en`, `fr` or `ar`.
    pub language: Option<String>,
    /// Whether they are let in.
    pub status: Option<Status>,
}

/// The tenant's users, newest first.
///
/// # Errors
/// Without `user.view`; a malformed cursor or limit.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<User>> {
    scope.require(Permission::UserView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let reaching = Reaching::of(scope, Permission::UserView)?;
    let users = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, email, name, role, language, status, (password_hash is not null) as has_password, created_at, \
                 last_sign_in_at from users where tenant_id = $1 and id < $2 and ($4 or id in \
                 (select cast(r.value ->> 'id' as bigint) from json_rows($5) r)) order by id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1, reaching.all, reaching.people],
        )
        .await?;
    Ok(Page::from_overfull(users, limit, |user: &User| user.id.raw()))
}

/// A user by their id.
///
/// # Errors
/// Without `user.view`; `not_found`.
pub async fn get(scope: &Scope, id: UserId) -> Result<User> {
    scope.require(Permission::UserView)?;
    if !scope.held().allows(Permission::UserView, Some(id)) {
        return Err(Error::not_found("user"));
    }
    find(&mut scope.read().await?, scope.tenant(), id).await
}

/// The signed-in user's own record, which needs no permission.
///
/// # Errors
/// `forbidden` for a program: a key is nobody's person.
pub async fn own(scope: &Scope) -> Result<User> {
    let id = person(scope)?;
    find(&mut scope.read().await?, scope.tenant(), id).await
}

/// The id of the person who asks.
pub(crate) fn person(scope: &Scope) -> Result<UserId> {
    match scope.actor() {
        Actor::User(id) => Ok(*id),
        Actor::As { .. } => Err(impersonation::own_alone()),
        _ => Err(Error::new(Code::Forbidden, "only a person who has signed in can do this")),
    }
}

pub(crate) async fn find(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<User> {
    tx.optional(
        sql!(
            "select id, email, name, role, language, status, (password_hash is not null) as has_password, created_at, \
             last_sign_in_at from users where tenant_id = $1 and id = $2"
        ),
        args![tenant, id],
    )
    .await?
    .ok_or_else(|| Error::not_found("user"))
}

/// Creates a user, who gets in by a sign-in link first.
///
/// # Errors
/// Without `user.create`; a role that allows more than the caller may; `already_exists`.
pub async fn create(scope: &Scope, new: NewUser) -> Result<User> {
    scope.require(Permission::UserCreate)?;
    let mut write = scope.write().await?;
    rights::may_give(&mut write, scope, &new.role).await?;
    let user = insert(&mut write, scope.runtime(), scope.tenant(), new).await?;
    write.happened(Event::UserCreated(change(&user, None)));
    write.commit(user).await
}

record! { struct Located { locale: String } }

/// The language of a tenant's locale, where it is one that people can read here; English otherwise.
pub(crate) async fn spoken(tx: &mut Tx, tenant: TenantId) -> Result<String> {
    let located: Option<Located> =
        tx.optional(sql!("select locale from tenant where id = $1"), args![tenant]).await?;
    let tag = located.and_then(|Located { locale }| locale.split('-').next().map(str::to_ascii_lowercase));
    Ok(tag.and_then(|tag| name::language(&tag).ok()).unwrap_or_else(|| "en".to_owned()))
}

/// Checks and inserts a user of a tenant.
pub(crate) async fn insert(tx: &mut Tx, runtime: &Runtime, tenant: TenantId, new: NewUser) -> Result<User> {
    let cost = new.password_hash.as_deref().map(password::imported).transpose()?.flatten();
    let language = match new.language.as_deref() {
        Some(tag) => name::language(tag)?,
        None => spoken(tx, tenant).await?,
    };
    let user = User {
        id: runtime.ids.next(),
        email: name::email(&new.email)?,
        name: name::given("name", &new.name)?,
        role: new.role,
        language,
        status: Status::Active.as_str().to_owned(),
        has_password: new.password_hash.is_some(),
        created_at: runtime.clock.now(),
        last_sign_in_at: None,
    };
    tx.execute(
        sql!(
            "insert into users (id, tenant_id, email, email_folded, name, role, language, status, created_at, password_hash, \
             imported_cost) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ),
        args![
            user.id,
            tenant,
            &user.email,
            name::folded(&user.email),
            &user.name,
            &user.role,
            &user.language,
            &user.status,
            user.created_at,
            new.password_hash,
            cost.map(i64::from)
        ],
    )
    .await
    .on_unique(|| Error::new(Code::AlreadyExists, "this e-mail address is in use").at("email"))?;
    Ok(user)
}

/// Changes a user. Nobody takes away their own rights: so an administrator always remains.
///
/// # Errors
/// Without `user.change`, and for a role `user.role`; for a user or role with more rights than the caller's; `conflict` for one's own role or state.
pub async fn update(scope: &Scope, id: UserId, wanted: UserChange) -> Result<User> {
    let other = wanted.name.is_some() || wanted.language.is_some() || wanted.status.is_some();
    if other || wanted.role.is_none() {
        scope.require(Permission::UserChange)?;
    }
    if wanted.role.is_some() {
        scope.require(Permission::UserRole)?;
    }
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    if other {
        scope.require_for(Permission::UserChange, Some(id))?;
    }
    may_govern(&mut write, scope, &before).await?;
    if wanted.role.is_some() || wanted.status.is_some() {
        scope.require_fresh()?;
    }
    if let Some(role) = &wanted.role {
        scope.require_for(Permission::UserRole, Some(id))?;
        rights::may_give(&mut write, scope, role).await?;
    }
    if scope.actor().is_person(id) && (wanted.role.is_some() || wanted.status.is_some()) {
        return Err(Error::new(Code::Conflict, "you cannot change your own role or state")
            .hint("another administrator can."));
    }
    let wanted = UserChange {
        name: wanted.name.map(|name| name::given("name", &name)).transpose()?,
        language: wanted.language.map(|tag| name::language(&tag)).transpose()?,
        ..wanted
    };
    save(&mut write, scope.tenant(), id, &wanted).await?;
    let after = find(&mut write, scope.tenant(), id).await?;
    if after.role != before.role || after.status != before.status {
        impersonation::break_off(&mut write, scope.tenant(), id, scope.now()).await?;
    }
    if after.status == Status::Disabled.as_str() {
        session::end_all(&mut write, scope.tenant(), id, None).await?;
    }
    write.happened(Event::UserChanged(change(&after, Some(&before))));
    write.commit(after).await
}

/// Whether a user is let in nowhere any more; for what must not happen to who still works here.
///
/// # Errors
/// `not_found`, also for another tenant's.
pub async fn is_shut_out(scope: &Scope, id: UserId) -> Result<bool> {
    let user = find(&mut scope.read().await?, scope.tenant(), id).await?;
    Ok(user.status == Status::Disabled.as_str())
}

/// Changes one's own name and language.
///
/// # Errors
/// `forbidden` for a program; `invalid_value`.
pub async fn update_own(scope: &Scope, new_name: &str, language: &str) -> Result<User> {
    let id = person(scope)?;
    let wanted = UserChange {
        name: Some(name::given("name", new_name)?),
        language: Some(name::language(language)?),
        ..UserChange::default()
    };
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    save(&mut write, scope.tenant(), id, &wanted).await?;
    let after = find(&mut write, scope.tenant(), id).await?;
    write.happened(Event::UserChanged(change(&after, Some(&before))));
    write.commit(after).await
}

/// Writes what is wanted and nothing else: a change that another one overlaps must not put back what that took away.
pub(crate) async fn save(tx: &mut Tx, tenant: TenantId, id: UserId, wanted: &UserChange) -> Result<()> {
    tx.execute(
        sql!(
            "update users set name = coalesce($3, name), role = coalesce($4, role), language = coalesce($5, language), \
             status = coalesce($6, status) where tenant_id = $1 and id = $2"
        ),
        args![
            tenant,
            id,
            wanted.name.as_deref(),
            wanted.role.as_deref(),
            wanted.language.as_deref(),
            wanted.status.map(Status::as_str)
        ],
    )
    .await?;
    Ok(())
}

record! { struct PasswordHash { email_folded: String, password_hash: Option<String> } }

/// Sets or changes one's own password. Every other session of the user ends, and no browser is remembered any more; the
/// session with the kept token stays.
///
/// # Errors
/// `weak_password`; `invalid_value` at `current` when that is not the present password, `too_many_requests` when it was
/// guessed too often; `step_up_required` where there is no present one.
pub async fn set_own_password(
    scope: &Scope,
    current: &str,
    new: &str,
    keep_token: Option<&str>,
) -> Result<()> {
    let id = person(scope)?;
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let mut tx = scope.read().await?;
    let row: Option<PasswordHash> = tx
        .optional(
            sql!("select email_folded, password_hash from users where tenant_id = $1 and id = $2"),
            args![tenant, id],
        )
        .await?;
    let before = find(&mut tx, tenant, id).await?;
    drop(tx);
    let held = row.ok_or_else(|| Error::not_found("user"))?;
    let owner = password::Owner { name: &before.name, email: &before.email };
    password::check(runtime, owner, new)?;
    match held.password_hash.clone() {
        None => scope.require_fresh()?,
        Some(hash) => {
            let attempts = runtime.kept(Attempts::new);
            let from = scope.origin().from.as_deref();
            attempts.admit(Step::First, &held.email_folded, from, scope.now(), None)?;
            if !password::verify(runtime, current, Some(hash)).await? {
                return Err(Error::invalid("current", "this is not your present password"));
            }
            attempts.forgive(Step::First, &held.email_folded, from);
        }
    }
    password::refuse_former(runtime, tenant, id, held.password_hash.as_deref(), new).await?;
    let hash = password::hash(runtime, new).await?;
    let notice = recovery::password_notice(scope, &before.email, &before.language).await?;
    let mut write = scope.write().await?;
    password::replace(&mut write, runtime, (tenant, id), held.password_hash.as_deref(), hash).await?;
    session::end_all(&mut write, tenant, id, keep_token).await?;
    device::distrust_all(&mut write, tenant, id).await?;
    journal::note(&mut write, scope, id, Kind::PasswordChanged, None, None).await?;
    write.happened(Event::UserPasswordChanged(Change {
        id: id.to_string(),
        name: before.name,
        before: None,
        after: Some(serde_json::json!({ "password": "changed" })),
    }));
    mail::enqueue(notice.as_ref(), &mut write, runtime).await?;
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}

/// A user may be governed by whoever may do all that the user may; else a sign-in link would be a way up.
pub(crate) async fn may_govern(tx: &mut Tx, scope: &Scope, user: &User) -> Result<()> {
    let theirs = rights::of_user(tx, scope.tenant(), user.id, scope.now()).await?;
    if scope.held().covers(&theirs.held(scope.now())) {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, "this user may do more than you"))
}

/// What the audit trail keeps of a change to a user.
pub(crate) fn change(user: &User, before: Option<&User>) -> Change {
    Change {
        id: user.id.to_string(),
        name: user.name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(user).ok(),
    }
}
