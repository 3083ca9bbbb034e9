//! People who sign in.

use db::{OnConflict, Tx, args, record, sql};
use runtime::{Actor, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, TenantId, Timestamp, UserId};
use web::Paging;

use crate::attempt::Attempts;
use crate::role::{self, Role};
use crate::{name, password, session};

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
    /// `en` when not given.
    pub language: Option<String>,
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
    let users = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, email, name, role, language, status, (password_hash is not null) as has_password, created_at, \
                 last_sign_in_at from users where tenant_id = $1 and id < $2 order by id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1],
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
/// Without `user.manage`; a role that allows more than the caller may; `already_exists`.
pub async fn create(scope: &Scope, new: NewUser) -> Result<User> {
    scope.require(Permission::UserManage)?;
    may_give(scope, &new.role)?;
    let mut write = scope.write().await?;
    let user = insert(&mut write, scope.runtime(), scope.tenant(), new).await?;
    write.happened(Event::UserCreated(change(&user, None)));
    write.commit(user).await
}

/// Checks and inserts a user of a tenant.
pub(crate) async fn insert(tx: &mut Tx, runtime: &Runtime, tenant: TenantId, new: NewUser) -> Result<User> {
    let user = User {
        id: runtime.ids.next(),
        email: name::email(&new.email)?,
        name: name::given("name", &new.name)?,
        role: known(&new.role)?.name.to_owned(),
        language: name::language(new.language.as_deref().unwrap_or("en"))?,
        status: Status::Active.as_str().to_owned(),
        has_password: false,
        created_at: runtime.clock.now(),
        last_sign_in_at: None,
    };
    tx.execute(
        sql!(
            "insert into users (id, tenant_id, email, email_folded, name, role, language, status, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
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
            user.created_at
        ],
    )
    .await
    .on_unique(|| Error::new(Code::AlreadyExists, "this e-mail address is in use").at("email"))?;
    Ok(user)
}

/// Changes a user. Nobody takes away their own rights: so an administrator always remains.
///
/// # Errors
/// Without `user.manage`; for a user or role with more rights than the caller's; `conflict` for one's own role or state.
pub async fn update(scope: &Scope, id: UserId, wanted: UserChange) -> Result<User> {
    scope.require(Permission::UserManage)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    may_govern(scope, &before)?;
    if let Some(role) = &wanted.role {
        may_give(scope, role)?;
    }
    if *scope.actor() == Actor::User(id) && (wanted.role.is_some() || wanted.status.is_some()) {
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
    if after.status == Status::Disabled.as_str() {
        session::end_all(&mut write, scope.tenant(), id, None).await?;
    }
    write.happened(Event::UserChanged(change(&after, Some(&before))));
    write.commit(after).await
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
async fn save(tx: &mut Tx, tenant: TenantId, id: UserId, wanted: &UserChange) -> Result<()> {
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

/// Sets or changes one's own password. Every other session of the user ends; the one with the kept token stays.
///
/// # Errors
/// `weak_password`; `invalid_value` at `current` when that is not the present password, `too_many_requests` when it was
/// guessed too often.
pub async fn set_own_password(
    scope: &Scope,
    current: &str,
    new: &str,
    keep_token: Option<&str>,
) -> Result<()> {
    let id = person(scope)?;
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    password::check(runtime, new)?;
    let row: Option<PasswordHash> = scope
        .read()
        .await?
        .optional(
            sql!("select email_folded, password_hash from users where tenant_id = $1 and id = $2"),
            args![tenant, id],
        )
        .await?;
    let held = row.ok_or_else(|| Error::not_found("user"))?;
    if let Some(hash) = held.password_hash.clone() {
        let attempts = runtime.kept(Attempts::new);
        let from = scope.origin().from.as_deref();
        attempts.admit(&held.email_folded, from, scope.now())?;
        if !password::verify(runtime, current, Some(hash)).await? {
            return Err(Error::invalid("current", "this is not your present password"));
        }
        attempts.forgive(&held.email_folded, from);
    }
    password::check(runtime, new)?;
    let hash = password::hash(runtime, new).await?;
    let mut write = scope.write().await?;
    let before = find(&mut write, tenant, id).await?;
    // The hash that was checked must still be the one that is replaced.
    let replaced = write
        .execute(
            sql!(
                "update users set password_hash = $3 where tenant_id = $1 and id = $2 \
                 and coalesce(password_hash, '') = $4"
            ),
            args![tenant, id, hash, held.password_hash.unwrap_or_default()],
        )
        .await?;
    if replaced == 0 {
        return Err(Error::new(Code::Conflict, "the password was changed meanwhile"));
    }
    session::end_all(&mut write, tenant, id, keep_token).await?;
    let happened = Change {
        id: id.to_string(),
        name: before.name,
        before: None,
        after: Some(serde_json::json!({ "password": "changed" })),
    };
    write.happened(Event::UserChanged(happened));
    write.commit(()).await
}

fn known(role: &str) -> Result<&'static Role> {
    Role::named(role).ok_or_else(|| {
        let names: Vec<_> = role::ROLES.iter().map(|role| role.name).collect();
        Error::invalid("role", format!("{role:?} is no role"))
            .hint(format!("the roles are {}", names.join(", ")))
    })
}

/// A role may be given by whoever may do all that it allows.
pub(crate) fn may_give(scope: &Scope, role: &str) -> Result<()> {
    if scope.permissions().covers(known(role)?.permissions()) {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, format!("the role {role} allows more than you may")).at("role"))
}

/// A user may be governed by whoever may do all that the user may; else a sign-in link would be a way up.
pub(crate) fn may_govern(scope: &Scope, user: &User) -> Result<()> {
    if scope.permissions().covers(role::permissions(&user.role)) {
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
