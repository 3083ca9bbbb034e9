//! The second step of signing in: what a user has for it, and taking it away.

use db::{Tx, args, record, sql};
use runtime::Scope;
use runtime::mail::one_line;
use serde::Serialize;
use types::event::Change;
use types::{Error, Event, PasskeyId, Permission, Result, TenantId, Timestamp, UserId};

use crate::attempt::{self, Lockout};
use crate::journal::{self, Kind};
use crate::mail::{self, Letter, Mail};
use crate::policy::{self, SignInPolicy};
use crate::user::{self, User};
use crate::{device, impersonation};

pub mod api;
pub mod backup;
pub mod passkey;
pub mod phone;
pub mod totp;

record! {
    /// A passkey of a user.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Passkey {
        /// Its id.
        pub id: PasskeyId,
        /// What its owner calls it.
        pub name: String,
        /// When it was added.
        pub created_at: Timestamp,
        /// When somebody last signed in with it.
        pub last_used_at: Option<Timestamp>,
    }
}

record! {
    /// An authenticator of a user.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Authenticator {
        /// Since when it counts.
        pub since: Timestamp,
        /// When a code of it was last accepted.
        pub last_used_at: Option<Timestamp>,
    }
}

/// How a user's account is kept safe.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Security {
    /// Whether they have set a password.
    pub has_password: bool,
    /// Since when their e-mail address is known to be theirs.
    pub email_verified_at: Option<Timestamp>,
    /// Their authenticator app.
    pub authenticator: Option<Authenticator>,
    /// Backup codes that are left.
    pub backup_codes: i64,
    /// Their passkeys, the oldest first.
    pub passkeys: Vec<Passkey>,
    /// Their phone that codes go to by SMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<phone::Phone>,
    /// Whether the tenant demands a second factor of their role.
    pub second_factor_required: bool,
    /// Failed attempts that still count.
    pub lockout: Option<Lockout>,
}

impl Security {
    /// Whether they have anything for a second step.
    pub fn has_second_factor(&self) -> bool {
        let alone = self.phone.as_ref().is_some_and(|phone| phone.alone);
        self.authenticator.is_some() || !self.passkeys.is_empty() || alone
    }
}

record! { struct Counted { n: i64 } }
record! { struct Verified { email_verified_at: Option<Timestamp> } }

/// How one's own account is kept safe.
///
/// # Errors
/// `forbidden` for a program.
pub async fn own(scope: &Scope) -> Result<Security> {
    let id = user::person(scope)?;
    let mut tx = scope.read().await?;
    let user = user::find(&mut tx, scope.tenant(), id).await?;
    read(&mut tx, scope, &user).await
}

/// How a user's account is kept safe.
///
/// # Errors
/// Without `user.view`; `not_found`.
pub async fn of(scope: &Scope, id: UserId) -> Result<Security> {
    scope.require(Permission::UserView)?;
    impersonation::refuse_on(scope, id)?;
    let mut tx = scope.read().await?;
    let user = user::find(&mut tx, scope.tenant(), id).await?;
    read(&mut tx, scope, &user).await
}

pub(crate) async fn read(tx: &mut Tx, scope: &Scope, user: &User) -> Result<Security> {
    let (tenant, id) = (scope.tenant(), user.id);
    let verified: Verified = tx
        .one(sql!("select email_verified_at from users where tenant_id = $1 and id = $2"), args![tenant, id])
        .await?;
    let codes: Counted = tx
        .one(
            sql!("select count(*) as n from backup_code where tenant_id = $1 and user_id = $2"),
            args![tenant, id],
        )
        .await?;
    let policy = policy::read(tx, tenant).await?;
    Ok(Security {
        has_password: user.has_password,
        email_verified_at: verified.email_verified_at,
        authenticator: authenticator(tx, tenant, id).await?,
        backup_codes: codes.n,
        passkeys: passkeys(tx, tenant, id).await?,
        phone: phone::of(tx, tenant, id, &policy).await?.map(|(phone, _)| phone),
        second_factor_required: policy.needs_second(&user.role),
        lockout: attempt::lockout(tx, scope.runtime(), tenant, id).await?,
    })
}

pub(crate) async fn authenticator(
    tx: &mut Tx,
    tenant: TenantId,
    id: UserId,
) -> Result<Option<Authenticator>> {
    Ok(tx
        .optional(
            sql!(
                "select confirmed_at as since, last_used_at from totp where tenant_id = $1 and user_id = $2 \
                 and confirmed_at is not null"
            ),
            args![tenant, id],
        )
        .await?)
}

pub(crate) async fn passkeys(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<Vec<Passkey>> {
    Ok(tx
        .all(
            sql!(
                "select id, name, created_at, last_used_at from passkey where tenant_id = $1 and user_id = $2 \
                 order by id limit $3"
            ),
            args![tenant, id, passkey::PASSKEYS_MAX],
        )
        .await?)
}

/// Whether a user has anything for a second step.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn has_any(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<bool> {
    let policy = policy::read(tx, tenant).await?;
    has_any_under(tx, tenant, id, &policy).await
}

/// As [`has_any`], where the tenant's people sign in as a policy says: it decides whether a phone is enough.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn has_any_under(
    tx: &mut Tx,
    tenant: TenantId,
    id: UserId,
    policy: &SignInPolicy,
) -> Result<bool> {
    if authenticator(tx, tenant, id).await?.is_some() || !passkeys(tx, tenant, id).await?.is_empty() {
        return Ok(true);
    }
    Ok(phone::of(tx, tenant, id, policy).await?.is_some_and(|(phone, _)| phone.alone))
}

/// A code that somebody reads and types: six digits (NIST SP 800-63B-4 §3.1.3.2), by the generator that the system seeds.
pub(crate) fn six_digits() -> String {
    format!("{:06}", rand::random_range(0..1_000_000_u32))
}

/// A mail to the owner about a change of their second step.
pub(crate) async fn notice(scope: &Scope, user: &User, what: &str) -> Result<Option<Mail>> {
    let from = scope.origin().from.clone().unwrap_or_default();
    let (what, at) = (one_line(what, 100), scope.now().to_minute());
    Mail::written(
        scope,
        &user.email,
        &user.language,
        &Letter::FactorChanged { what: &what, from: &from, at: &at },
    )
    .await
}

/// Notes a change of a user's second step in the transaction that makes it: history, event, mail.
pub(crate) async fn changed(
    write: &mut runtime::Write,
    scope: &Scope,
    user: &User,
    kind: Kind,
    what: &str,
    notice: Option<&Mail>,
) -> Result<()> {
    journal::note(write, scope, user.id, kind, Some(what.to_owned()), None).await?;
    write.happened(Event::UserFactorChanged(Change {
        id: user.id.to_string(),
        name: user.email.clone(),
        before: None,
        after: Some(serde_json::json!({ "change": kind.as_str(), "factor": what })),
    }));
    mail::enqueue(notice, write, scope.runtime()).await
}

/// After a factor went: without another one the backup codes and remembered browsers mean nothing any more.
pub(crate) async fn tidy_up(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<()> {
    device::distrust_all(tx, tenant, id).await?;
    if !has_any(tx, tenant, id).await? {
        tx.execute(sql!("delete from backup_code where tenant_id = $1 and user_id = $2"), args![tenant, id])
            .await?;
    }
    Ok(())
}

/// Takes all second factors of a user away, for one who has lost them. Their password stays, and so do their sessions.
///
/// # Errors
/// Without `user.security`; `step_up_required`; `not_found`; `forbidden` for a user who may do more than the caller, and for
/// oneself.
pub async fn take_away(scope: &Scope, id: UserId) -> Result<Security> {
    scope.require(Permission::UserSecurity)?;
    scope.require_fresh()?;
    if user::person(scope).is_ok_and(|own| own == id) {
        return Err(Error::new(types::Code::Conflict, "your own second factors are on your page Security"));
    }
    let mut tx = scope.read().await?;
    let user = user::find(&mut tx, scope.tenant(), id).await?;
    user::may_govern(&mut tx, scope, &user).await?;
    drop(tx);
    remove_all(scope, &user).await
}

/// Takes all second factors of the user of this address away without anybody asking over the network: for the command line
/// beside the database, when an administrator has lost theirs.
///
/// # Errors
/// `not_found` when no active user has the address.
pub async fn take_away_offline(runtime: &runtime::Runtime, email: &str) -> Result<()> {
    let (scope, id) = crate::link::offline(runtime, email).await?;
    take_away(&scope, id).await.map(drop)
}

async fn remove_all(scope: &Scope, user: &User) -> Result<Security> {
    let (tenant, id) = (scope.tenant(), user.id);
    let notice = notice(scope, user, "all taken away by an administrator").await?;
    let mut write = scope.write().await?;
    for text in [
        sql!("delete from totp where tenant_id = $1 and user_id = $2"),
        sql!("delete from backup_code where tenant_id = $1 and user_id = $2"),
        sql!("delete from passkey where tenant_id = $1 and user_id = $2"),
        sql!("delete from user_phone where tenant_id = $1 and user_id = $2"),
        sql!("delete from pending_sign_in where tenant_id = $1 and user_id = $2"),
    ] {
        write.execute(text, args![tenant, id]).await?;
    }
    device::distrust_all(&mut write, tenant, id).await?;
    changed(&mut write, scope, user, Kind::FactorsTaken, "all", notice.as_ref()).await?;
    let left = read(&mut write, scope, user).await?;
    write.commit(left).await
}

/// Refuses to take the last second factor where the tenant demands one; another one may take its place first.
pub(crate) async fn keep_demanded(tx: &mut Tx, scope: &Scope, user: &User) -> Result<()> {
    let demanded = policy::read(tx, scope.tenant()).await?.needs_second(&user.role);
    if demanded && !has_any(tx, scope.tenant(), user.id).await? {
        return Err(Error::new(
            types::Code::Conflict,
            "your role needs a second factor, and this is your last",
        )
        .hint("Add another one first."));
    }
    Ok(())
}
