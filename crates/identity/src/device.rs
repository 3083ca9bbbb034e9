//! Browsers that a user has signed in with: a new one is told to the user, and one can be remembered so that it is not asked
//! for the second step again.
//!
//! A browser's cookie holds a token for each of a few people who use it; the database has their hashes. A token that a
//! browser brings is only ever looked up, and never taken over for somebody else.

use db::{Tx, args, record, sql};
use runtime::Scope;
use runtime::config::Secret;
use runtime::secrets::{sha256_hex, token};
use serde::Serialize;
use types::event::Access;
use types::{DeviceId, Error, Event, Result, TenantId, Timestamp, UserId};

use crate::journal::{self, Kind};
use crate::sign_in::Browser;
use crate::user;

/// Browsers of one user; a further one replaces the one that rested longest.
const DEVICES_MAX: i64 = 50;
/// How long a browser that is not seen is known at most, where its tenant has not chosen less.
pub(crate) const KNOWN_DAYS: u32 = 365;

record! {
    /// A browser that a user has signed in with.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Device {
        /// Its id.
        pub id: DeviceId,
        /// When it was first seen.
        pub created_at: Timestamp,
        /// When it last signed in.
        pub last_seen_at: Timestamp,
        /// Until when it is not asked for the second step.
        pub trusted_until: Option<Timestamp>,
        /// The network address it last signed in from.
        pub from_address: Option<String>,
        /// Its description of itself.
        pub user_agent: Option<String>,
    }
}

record! { struct Found { id: DeviceId, trusted_until: Option<Timestamp> } }
record! { struct Many { n: i64 } }

/// What a browser is to a user who signs in with it.
pub(crate) struct Seen {
    /// Its new token, where it was not known.
    pub(crate) token: Option<Secret>,
    /// It is new, and not the user's first.
    pub(crate) is_news: bool,
}

async fn find(tx: &mut Tx, tenant: TenantId, user: UserId, browser: &Browser) -> Result<Option<Found>> {
    for token in &browser.devices {
        let found: Option<Found> = tx
            .optional(
                sql!(
                    "select id, trusted_until from device where tenant_id = $1 and user_id = $2 and token_hash = $3"
                ),
                args![tenant, user, sha256_hex(token)],
            )
            .await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Whether the browser is not to be asked for the user's second step.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn is_trusted(
    tx: &mut Tx,
    tenant: TenantId,
    user: UserId,
    browser: &Browser,
    now: Timestamp,
) -> Result<bool> {
    let found = find(tx, tenant, user, browser).await?;
    Ok(found.and_then(|found| found.trusted_until).is_some_and(|until| until > now))
}

/// Notes that a user has signed in with a browser, and remembers it if asked to.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn seen(
    write: &mut runtime::Write,
    scope: &Scope,
    (user, email): (UserId, &str),
    browser: &Browser,
    remember: bool,
) -> Result<Seen> {
    let (now, tenant) = (scope.now(), scope.tenant());
    let days = i64::from(scope.runtime().config.security.remember_days);
    let trusted = (remember && days > 0).then(|| now.plus_ms(days * 86_400_000));
    let from = browser.origin.from.clone();
    let agent = browser.user_agent.clone();
    if trusted.is_some() {
        journal::note(write, scope, user, Kind::DeviceRemembered, None, agent.as_deref()).await?;
    }
    if let Some(found) = find(write, tenant, user, browser).await? {
        write
            .execute(
                sql!(
                    "update device set last_seen_at = $3, from_address = $4, user_agent = $5, \
                     trusted_until = coalesce($6, trusted_until) where tenant_id = $1 and id = $2"
                ),
                args![tenant, found.id, now, from, agent, trusted],
            )
            .await?;
        return Ok(Seen { token: None, is_news: false });
    }
    let others: Many = write
        .one(
            sql!("select count(*) as n from device where tenant_id = $1 and user_id = $2"),
            args![tenant, user],
        )
        .await?;
    write
        .execute(
            sql!(
                "delete from device where tenant_id = $1 and user_id = $2 and id not in (select id from device \
                 where tenant_id = $1 and user_id = $2 order by last_seen_at desc, id desc limit $3)"
            ),
            args![tenant, user, DEVICES_MAX - 1],
        )
        .await?;
    let secret = token(32).map_err(Error::internal)?;
    let id: DeviceId = scope.runtime().ids.next();
    write
        .execute(
            sql!(
                "insert into device (id, tenant_id, user_id, token_hash, created_at, last_seen_at, trusted_until, \
                 from_address, user_agent) values ($1, $2, $3, $4, $5, $5, $6, $7, $8)"
            ),
            args![id, tenant, user, sha256_hex(&secret), now, trusted, from, agent.clone()],
        )
        .await?;
    let is_news = others.n > 0;
    if is_news {
        journal::note(write, scope, user, Kind::NewDevice, None, agent.as_deref()).await?;
        write.happened(Event::UserNewDevice(Access {
            who: email.to_owned(),
            by: "browser".to_owned(),
            reason: agent,
        }));
    }
    Ok(Seen { token: Some(Secret::new(secret)), is_news })
}

/// One's own browsers, the one seen last first.
///
/// # Errors
/// `forbidden` for a program.
pub async fn list_own(scope: &Scope) -> Result<Vec<Device>> {
    let id = user::person(scope)?;
    Ok(scope
        .read()
        .await?
        .all(
            sql!(
                "select id, created_at, last_seen_at, trusted_until, from_address, user_agent from device \
                 where tenant_id = $1 and user_id = $2 order by last_seen_at desc, id desc limit $3"
            ),
            args![scope.tenant(), id, DEVICES_MAX],
        )
        .await?)
}

/// Forgets one of one's own browsers, and the trust in it; one that is gone already is fine.
///
/// # Errors
/// `forbidden` for a program.
pub async fn forget_own(scope: &Scope, device: DeviceId) -> Result<()> {
    let id = user::person(scope)?;
    let mut write = scope.write().await?;
    let gone = write
        .execute(
            sql!("delete from device where tenant_id = $1 and user_id = $2 and id = $3"),
            args![scope.tenant(), id, device],
        )
        .await?;
    if gone > 0 {
        let user = user::find(&mut write, scope.tenant(), id).await?;
        journal::note(&mut write, scope, id, Kind::DeviceForgotten, None, None).await?;
        write.happened(Event::UserDeviceForgotten(Access {
            who: user.email,
            by: "browser".to_owned(),
            reason: None,
        }));
    }
    write.commit(()).await
}

/// Ends the trust in all browsers of a user: after a change of what it was in place of.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn distrust_all(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<()> {
    tx.execute(
        sql!("update device set trusted_until = null where tenant_id = $1 and user_id = $2"),
        args![tenant, user],
    )
    .await?;
    Ok(())
}
