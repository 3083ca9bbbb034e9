//! Hooks: where providers of connections over HTTP post receipts and messages from phones.
//!
//! Each connection has an address of its own that nobody can guess. It takes while the connection stands in the database,
//! also while that is stopped: who posts a receipt does so once, and asks no session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use connectors::http::{HookReply, HookRequest, Hooks, Refused};
use db::{Tenancy, args, record, sql};
use identity::encryption::Sealed;
use runtime::{Runtime, Scope};
use serde::Serialize;
use types::{Code, ConnectionId, Error, Permission, Result, TenantId};

use super::{Connection, Protocol};
use crate::engine::Engine;
use crate::journal::Entry;
use crate::reports::{Numbers, Tongue, inbound_part};

pub mod api;

/// The addresses to give to a connection's provider. Who knows them can post there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HookAddresses {
    /// Where it posts receipts.
    pub receipts: String,
    /// Where it posts messages from phones.
    pub inbound: String,
}

impl HookAddresses {
    pub(super) fn of(runtime: &Runtime, token: &str) -> Self {
        let at = |what: &str| format!("{}/hooks/connections/{token}/{what}", runtime.config.public_url());
        Self { receipts: at("receipts"), inbound: at("inbound") }
    }
}

record! { struct Stored { token: String, secret_sealed: String } }

/// What a hook can be told by its address.
pub(super) struct HookSecrets {
    pub(super) token: String,
    pub(super) secret: String,
}

/// The longest secret.
const SECRET_CHARS_MAX: usize = 1_000;
/// Octets of an address that nobody can guess.
const TOKEN_OCTETS: usize = 20;

fn made_token() -> String {
    crate::journal::hex(&rand::random::<[u8; TOKEN_OCTETS]>())
}

/// The secrets of hooks.
pub const SEALED: Sealed = Sealed {
    title: "Secrets of hooks",
    table: "connection_hook",
    column: "secret_sealed",
    row: |id| ConnectionId::from_raw(id).to_string(),
    count: sql!("select count(*) as n from connection_hook where tenant_id = $1 and secret_sealed like $2"),
    walk: sql!(
        "select connection_id as id, secret_sealed as sealed from connection_hook \
         where tenant_id = $1 and connection_id > $2 order by connection_id limit $3"
    ),
    replace: sql!(
        "update connection_hook set secret_sealed = r.new from rows(id bigint, old text, new text) r \
         where connection_hook.tenant_id = $1 and connection_hook.connection_id = r.id and connection_hook.secret_sealed = r.old"
    ),
};

/// Seals a hook's secret.
pub(super) async fn sealed(scope: &Scope, id: ConnectionId, secret: &str) -> Result<String> {
    let plain = secret.chars().all(|ch| !ch.is_control());
    if secret.len() > SECRET_CHARS_MAX || !plain {
        let why = format!("it takes at most {SECRET_CHARS_MAX} characters");
        return Err(Error::invalid("hook_secret", why));
    }
    identity::encryption::seal(scope, "connection_hook", "secret_sealed", &id.to_string(), secret).await
}

/// Gives a connection its hook where it has none, and the secret where one is given. `empty` is the sealed secret of a new one.
pub(super) async fn keep(
    tx: &mut db::Tx,
    connection: &Connection,
    sealed: Option<&str>,
    empty: &str,
) -> Result<()> {
    if connection.settings.protocol != Protocol::Http {
        return Ok(());
    }
    tx.execute(
        sql!(
            "insert into connection_hook (connection_id, tenant_id, token, secret_sealed, changed_at) values ($1, $2, $3, $4, $5)
             on conflict (connection_id) do nothing"
        ),
        args![connection.id, connection.tenant, made_token(), sealed.unwrap_or(empty), connection.changed_at],
    )
    .await?;
    if let Some(sealed) = sealed {
        tx.execute(
            sql!("update connection_hook set secret_sealed = $3, changed_at = $4 where tenant_id = $1 and connection_id = $2"),
            args![connection.tenant, connection.id, sealed, connection.changed_at],
        )
        .await?;
    }
    Ok(())
}

/// Takes a connection's hook away with it.
pub(super) async fn remove(tx: &mut db::Tx, tenant: TenantId, id: ConnectionId) -> Result<()> {
    tx.execute(
        sql!("delete from connection_hook where tenant_id = $1 and connection_id = $2"),
        args![tenant, id],
    )
    .await?;
    Ok(())
}

/// A connection's hook with its secret opened; nothing for one that has none.
///
/// # Errors
/// When the secret does not open.
pub(super) async fn of(runtime: &Runtime, connection: &Connection) -> Result<Option<HookSecrets>> {
    let mut tx = runtime.db.read(Tenancy::Tenant(connection.tenant)).await?;
    let stored: Option<Stored> = tx
        .optional(
            sql!(
                "select token, secret_sealed from connection_hook where tenant_id = $1 and connection_id = $2"
            ),
            args![connection.tenant, connection.id],
        )
        .await?;
    let Some(stored) = stored else { return Ok(None) };
    let row = connection.id.to_string();
    let sealed = &stored.secret_sealed;
    let opened = identity::encryption::open(
        runtime,
        connection.tenant,
        "connection_hook",
        "secret_sealed",
        &row,
        sealed,
    )
    .await?;
    Ok(Some(HookSecrets { token: stored.token, secret: opened.expose().to_owned() }))
}

/// The addresses to give to a connection's provider.
///
/// # Errors
/// [`Code::Forbidden`]; [`Code::NotFound`], also for a connection that is not over HTTP.
pub async fn addresses(scope: &Scope, id: ConnectionId) -> Result<HookAddresses> {
    scope.require(Permission::ConnectionHook)?;
    let connection = super::present(&mut scope.read().await?, scope.tenant(), id).await?;
    let hook = of(scope.runtime(), &connection).await?;
    let hook = hook.filter(|_| connection.settings.protocol == Protocol::Http);
    hook.map(|hook| HookAddresses::of(scope.runtime(), &hook.token)).ok_or_else(|| {
        Error::not_found("hook").hint("connections over HTTP have hooks; those of other protocols need none")
    })
}

/// Gives a connection new addresses; the former ones are closed at once. Tell the engine after it.
///
/// # Errors
/// As [`addresses`].
pub async fn renew(scope: &Scope, id: ConnectionId) -> Result<HookAddresses> {
    scope.require(Permission::ConnectionHook)?;
    let mut write = scope.write().await?;
    let connection = super::present(&mut write, scope.tenant(), id).await?;
    let token = made_token();
    let renewed = write
        .execute(
            sql!("update connection_hook set token = $3, changed_at = $4 where tenant_id = $1 and connection_id = $2"),
            args![scope.tenant(), id, &token, scope.now()],
        )
        .await?;
    if renewed == 0 || connection.settings.protocol != Protocol::Http {
        return Err(Error::not_found("hook"));
    }
    // The link tells the provider its address with each message, so it begins anew.
    let mut after = connection.clone();
    super::store(&mut write, scope.now(), &connection, &mut after).await?;
    write.happened(types::Event::ConnectionChanged(super::audited(&after, Some(&connection), Some(&after))?));
    write.commit(HookAddresses::of(scope.runtime(), &token)).await
}

/// A hook that listens.
pub(crate) struct Open {
    tenant: TenantId,
    connection: ConnectionId,
    /// How the provider says what became of messages.
    tongue: Tongue,
    hooks: Hooks,
}

/// The hooks that listen, by what nobody can guess.
#[derive(Default)]
pub(crate) struct Listening {
    open: Mutex<HashMap<String, Arc<Open>>>,
}

impl Listening {
    /// Lets a connection's hook be what it is now.
    ///
    /// # Errors
    /// When the database does not answer, or the secret does not open.
    pub(crate) async fn follow(
        &self,
        runtime: &Runtime,
        id: ConnectionId,
        connection: Option<&Connection>,
    ) -> Result<()> {
        let mut opened = None;
        if let Some(connection) =
            connection.filter(|connection| connection.settings.protocol == Protocol::Http)
            && let Some(description) = connection.settings.http.as_deref()
            && let Some(found) = of(runtime, connection).await?
        {
            // Providers that sign with what they know us by need no second secret.
            let secret = match found.secret.as_str() {
                "" => super::password::open(runtime, connection).await?,
                secret => secret.to_owned(),
            };
            let hooks = Hooks::read(description, &secret)
                .map_err(|flaw| Error::internal(format!("{}: {}", flaw.at, flaw.why)))?;
            let tongue = Tongue::of(&connection.settings);
            let open = Open { tenant: connection.tenant, connection: connection.id, tongue, hooks };
            opened = Some((found.token, Arc::new(open)));
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, known| known.connection != id);
        open.extend(opened);
        Ok(())
    }

    fn named(&self, token: &str) -> Option<Arc<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// What is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Posted {
    /// Receipts.
    Receipts,
    /// Messages from phones.
    Inbound,
}

/// Takes what a provider posts. When this returns it is kept.
///
/// # Errors
/// [`Code::NotFound`] for an address that is none; [`Code::Unauthenticated`] for a wrong signature; [`Code::BadRequest`] for what
/// cannot be read; [`Code::Unavailable`] and its kin where it should be posted again.
pub(crate) async fn take(
    engine: &Engine,
    numbers: &Numbers,
    token: &str,
    posted: Posted,
    request: &HookRequest<'_>,
) -> Result<HookReply> {
    let open = engine.hooks().named(token).ok_or_else(|| Error::not_found("hook"))?;
    let entries: Result<Vec<Entry>, Refused> = match posted {
        Posted::Receipts => open.hooks.receipts(request).map(|receipts| {
            let said = |receipt| open.tongue.said((open.tenant, open.connection), receipt);
            receipts.iter().map(|receipt| Entry::Receipt(Box::new(said(receipt)), None)).collect()
        }),
        Posted::Inbound => open.hooks.inbound(request).map(|messages| {
            let part = |sm| inbound_part((open.tenant, open.connection), numbers, sm);
            messages.iter().map(|sm| Entry::Inbound(Box::new(part(sm)), None)).collect()
        }),
    };
    let what = if posted == Posted::Receipts { "receipts" } else { "inbound" };
    let entries = entries.map_err(|refused| {
        let (code, why) = match refused {
            Refused::Unproven(why) => (Code::Unauthenticated, why),
            Refused::Unreadable(why) => (Code::BadRequest, why),
            Refused::NotDescribed => {
                (Code::NotFound, format!("the connection's description reads no {what}"))
            }
        };
        metrics::counter!("switchboard_hook_refused_total", "what" => what, "code" => code.as_str())
            .increment(1);
        tracing::warn!(connection = %open.connection, what, %why, "what came to a hook was not taken");
        Error::new(code, why)
    })?;
    metrics::counter!("switchboard_hook_taken_total", "what" => what).increment(entries.len() as u64);
    // All wait for one batch, not each for its own.
    let kept: Result<Vec<_>> = entries.into_iter().map(|entry| engine.journal().enqueue(entry)).collect();
    for committed in kept? {
        committed.await.map_err(|_| Error::new(Code::Unavailable, "the program stops"))??;
    }
    Ok(open.hooks.reply().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{ConnectionPatch, NewConnection, change, create, delete};
    use crate::tests::{House, patch};
    use serde_json::json;

    async fn made(house: &House) -> Connection {
        let new = NewConnection {
            name: "provider".to_owned(),
            password: Some("hunter2!".to_owned()),
            hook_secret: Some("hook-secret".to_owned()),
            settings: patch(json!({"protocol": "http", "http": {"dialect": "twilio"}})),
            ..NewConnection::default()
        };
        create(&house.ours, new).await.unwrap()
    }

    #[tokio::test]
    async fn a_hook_has_an_address_of_its_own_that_can_be_renewed() {
        let house = House::build().await;
        let connection = made(&house).await;
        let first = addresses(&house.ours, connection.id).await.unwrap();
        assert!(first.receipts.contains("/hooks/connections/") && first.receipts.ends_with("/receipts"));
        let renewed = renew(&house.ours, connection.id).await.unwrap();
        assert_ne!(renewed, first);
        assert_eq!(addresses(&house.ours, connection.id).await.unwrap(), renewed);
        assert!(!house.events().await.contains(&renewed.receipts), "an address is a secret");
        let viewer = house.scope(house.ours.tenant(), [Permission::ConnectionView].into_iter().collect());
        assert_eq!(addresses(&viewer, connection.id).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(addresses(&house.theirs, connection.id).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(renew(&house.theirs, connection.id).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(addresses(&house.ours, connection.id).await.unwrap(), renewed);
        delete(&house.ours, connection.id).await.unwrap();
        assert!(of(&house.runtime, &connection).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn its_secret_is_sealed_and_stays_until_another_is_given() {
        let house = House::build().await;
        let connection = made(&house).await;
        let secret = async || of(&house.runtime, &connection).await.unwrap().unwrap().secret;
        assert_eq!(secret().await, "hook-secret");
        change(
            &house.ours,
            connection.id,
            ConnectionPatch { name: Some("n".to_owned()), ..ConnectionPatch::default() },
        )
        .await
        .unwrap();
        assert_eq!(secret().await, "hook-secret");
        let other = ConnectionPatch { hook_secret: Some("other".to_owned()), ..ConnectionPatch::default() };
        change(&house.ours, connection.id, other).await.unwrap();
        assert_eq!(secret().await, "other");
        assert!(!house.events().await.contains("hook-secret"));
    }
}
