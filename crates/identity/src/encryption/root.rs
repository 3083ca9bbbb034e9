//! A new root key: on the disk first, in the clear or closed by a key management service, then every data key is wrapped anew.

use db::{Rows, Tenancy, Tx, args, record, sql};
use runtime::secrets::{Lying, SecretsError};
use runtime::{Actor, Origin, Runtime, Scope};
use serde::Serialize;
use types::event::Change;
use types::{Code, Error, Event, Permission, Permissions, Result, TenantId, Timestamp};

use crate::token::keys;

/// Data keys that one transaction wraps anew.
const KEYS_AT_ONCE: i64 = 200;

/// The root keys, by their ids. The keys themselves are in no database and in no answer.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RootKeys {
    /// The one that wraps: 16 hexadecimal digits; no secret.
    pub key: String,
    /// Those before it, which open what they have wrapped, the latest first.
    pub former: Vec<String>,
    /// The file that holds them; absent when the configuration hands them over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The key management service that opens them at the start, where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Whether they lie closed: whoever takes the file has nothing without the service.
    pub closed: bool,
    /// Data keys that a former root key has wrapped and the current one has not yet.
    pub to_wrap: i64,
}

record! { struct TenantKey { id: TenantId, data_key: String } }
record! { struct FormerKey { tenant_id: TenantId, key_id: String, wrapped: String } }
record! { struct Counted { n: i64 } }

/// The root keys.
///
/// # Errors
/// Without `system.view`.
pub async fn show(scope: &Scope) -> Result<RootKeys> {
    scope.require(Permission::SystemView)?;
    state(scope.runtime()).await
}

async fn state(runtime: &Runtime) -> Result<RootKeys> {
    let (vault, mut tx) = (&runtime.vault, runtime.db.read(Tenancy::Every).await?);
    let ours = format!("v1.{}.%", vault.key_id());
    let current: Counted = tx
        .one(
            sql!(
                "select count(*) as n from tenant where data_key not like $1 /* every tenant: each has one */"
            ),
            args![&ours],
        )
        .await?;
    let former: Counted = tx
        .one(
            sql!("select count(*) as n from former_data_key where wrapped not like $1 /* every tenant: each may have some */"),
            args![&ours],
        )
        .await?;
    Ok(RootKeys {
        key: vault.key_id(),
        former: vault.former_key_ids(),
        file: vault.file().map(|path| path.display().to_string()),
        service: vault.service(),
        closed: vault.is_closed(),
        to_wrap: current.n + former.n + keys::to_wrap(&mut tx, &ours).await?,
    })
}

/// The id of this installation: what a key management service binds our root keys to. Made once, and never changed.
///
/// # Errors
/// When the database does not answer.
pub async fn installation(db: &db::Db, now: Timestamp) -> Result<String> {
    record! { struct Installation { id: String } }
    let fresh = runtime::secrets::token(16).map_err(Error::internal)?;
    let mut tx = db.write(Tenancy::Every).await?;
    tx.execute(
        sql!("insert into installation (number, id, made_at) values (1, $1, $2) on conflict (number) do nothing"),
        args![fresh, now],
    )
    .await?;
    let one: Installation = tx.one(sql!("select id from installation where number = 1"), args![]).await?;
    tx.commit().await?;
    Ok(one.id)
}

/// Makes a new root key and wraps every data key anew. The one before it stays in the file, for backups. All of them lie
/// there as they are to from then on: closed by the key management service, where one is configured, unless the caller says
/// otherwise.
///
/// # Errors
/// Without `system.manage`; `conflict` when the configuration hands the root key over, when they are to be closed and no
/// service is configured, or too many former keys are in the file; `unavailable` when the service does not close them or the
/// file cannot be written. Nothing has changed then.
pub async fn turn(scope: &Scope, lying: Option<Lying>) -> Result<RootKeys> {
    scope.require(Permission::SystemManage)?;
    scope.require_fresh()?;
    scope.runtime().vault.turn(lying).await.map_err(|error| refused(&error))?;
    wrap_anew(scope).await?;
    let keys = state(scope.runtime()).await?;
    scope.write().await?.commit(keys).await
}

/// Drops the former root keys. Backups that were made under them can no longer be read.
///
/// # Errors
/// Without `system.manage`; `conflict` while a data key still needs one of them, or when the configuration hands them over.
pub async fn forget(scope: &Scope) -> Result<RootKeys> {
    scope.require(Permission::SystemManage)?;
    scope.require_fresh()?;
    let before = state(scope.runtime()).await?;
    if before.to_wrap > 0 {
        let why = format!("{} data keys are still wrapped by a former root key", before.to_wrap);
        return Err(Error::new(Code::Conflict, why).hint("turn the root key once more, or start again"));
    }
    // The event first: a key that is gone without a trace would be worse than a trace of one that stayed.
    let mut write = scope.write().await?;
    write.happened(Event::RootKeysForgotten(Change {
        id: before.key.clone(),
        name: "root key".to_owned(),
        before: Some(serde_json::json!({ "former": before.former })),
        after: None,
    }));
    let answer = write.commit(RootKeys { former: Vec::new(), ..before }).await?;
    scope.runtime().vault.forget().await.map_err(|error| refused(&error))?;
    Ok(answer)
}

/// After a start: finishes what a crash has left between a new root key and the wrapping anew, and takes a new one over
/// that the configuration hands over.
///
/// # Errors
/// When a data key was wrapped by a root key that is not here.
pub async fn finish(runtime: &Runtime, tenant: TenantId) -> Result<()> {
    if state(runtime).await?.to_wrap == 0 {
        return Ok(());
    }
    let actor = Actor::System("start");
    wrap_anew(&Scope::grant(runtime.clone(), tenant, actor, Permissions::all(), Origin::default())).await
}

fn refused(error: &SecretsError) -> Error {
    let code = match error {
        SecretsError::Handed | SecretsError::TooMany | SecretsError::NoService => Code::Conflict,
        _ => Code::Unavailable,
    };
    Error::new(code, error.to_string())
}

/// Wraps every data key that a former root key has wrapped, a page at a time. The event stands with the first page: what a
/// crash leaves open, the next start finishes, and says so again.
async fn wrap_anew(scope: &Scope) -> Result<()> {
    // The kept answer of a keyed request belongs to its last transaction, not to these.
    let (actor, origin) = (scope.actor().clone(), scope.origin().clone());
    let scope = Scope::grant(scope.runtime().clone(), scope.tenant(), actor, Permissions::all(), origin);
    let vault = &scope.runtime().vault;
    let mut turned = Some(Event::RootKeyTurned(Change {
        id: vault.key_id(),
        name: "root key".to_owned(),
        before: Some(serde_json::json!({ "key": vault.former_key_ids().first() })),
        after: Some(serde_json::json!({ "key": vault.key_id() })),
    }));
    loop {
        let mut write = scope.write_every().await?;
        let mut wrapped = wrap_current(&mut write, scope.runtime()).await?;
        if wrapped == 0 {
            wrapped = wrap_former(&mut write, scope.runtime()).await?;
        }
        if wrapped == 0 {
            wrapped = keys::wrap_anew(&mut write, scope.runtime()).await?;
        }
        if wrapped == 0 {
            return Ok(());
        }
        turned.take().into_iter().for_each(|event| write.happened(event));
        write.commit(()).await?;
    }
}

fn anew(runtime: &Runtime, tenant: TenantId, wrapped: &str) -> Result<String> {
    runtime.vault.rewrap(&tenant.to_string(), wrapped).map_err(|error| {
        Error::new(Code::Conflict, format!("the data key of {tenant} cannot be wrapped anew: {error}"))
            .hint("start with the root key that this database was made with: security.root_key_file, or root.key in the data folder that it came from")
    })
}

async fn wrap_current(tx: &mut Tx, runtime: &Runtime) -> Result<usize> {
    let page: Vec<TenantKey> = tx
        .all(
            sql!(
                "select id, data_key from tenant where data_key not like $1 order by id limit $2 \
                 /* every tenant: the root key is the installation's */"
            ),
            args![format!("v1.{}.%", runtime.vault.key_id()), KEYS_AT_ONCE],
        )
        .await?;
    let mut rows = Rows::new();
    for TenantKey { id, data_key } in page {
        let wrapped = anew(runtime, id, &data_key)?;
        rows.push([id.into(), data_key.into(), wrapped.into()]);
    }
    let wrapped = rows.len();
    if wrapped > 0 {
        tx.execute_rows(
            sql!(
                "update tenant set data_key = r.new from rows(id bigint, old text, new text) r \
                 where tenant.id = r.id and tenant.data_key = r.old /* every tenant: as above */"
            ),
            args![],
            rows,
        )
        .await?;
    }
    Ok(wrapped)
}

async fn wrap_former(tx: &mut Tx, runtime: &Runtime) -> Result<usize> {
    let page: Vec<FormerKey> = tx
        .all(
            sql!(
                "select tenant_id, key_id, wrapped from former_data_key where wrapped not like $1 \
                 order by tenant_id, key_id limit $2 /* every tenant: the root key is the installation's */"
            ),
            args![format!("v1.{}.%", runtime.vault.key_id()), KEYS_AT_ONCE],
        )
        .await?;
    let mut rows = Rows::new();
    for FormerKey { tenant_id, key_id, wrapped } in page {
        let wrapped = anew(runtime, tenant_id, &wrapped)?;
        rows.push([tenant_id.into(), key_id.into(), wrapped.into()]);
    }
    let wrapped = rows.len();
    if wrapped > 0 {
        tx.execute_rows(
            sql!(
                "update former_data_key set wrapped = r.wrapped from rows(tenant bigint, key_id text, wrapped text) r \
                 where former_data_key.tenant_id = r.tenant and former_data_key.key_id = r.key_id"
            ),
            args![],
            rows,
        )
        .await?;
    }
    Ok(wrapped)
}
