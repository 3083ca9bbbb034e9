//! Secrets that must be read back: sealed by their tenant's data key, which a root key wraps.
//!
//! Both kinds of keys turn while everything runs. A new root key wraps all data keys anew (`encryption/root.rs`); a new data
//! key of a tenant seals its fields anew, a page at a time (`encryption/reseal.rs`). Until that is done, and for a day
//! after it, the former key opens what it has sealed: no reader meets a text without its key, and a text that was read
//! before still opens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use db::{Tenancy, Tx, args, record, sql};
use runtime::config::Secret;
use runtime::secrets::{DataKey, Place, sealing_key_id};
use runtime::{Runtime, Scope, job};
use serde::Serialize;
use types::event::Change;
use types::{Code, Error, Event, Permission, Result, TenantId, Timestamp};

pub mod api;
pub mod pages;
pub mod reseal;
pub mod root;
pub mod signing;

/// Tenants whose data keys are held unwrapped in memory; beyond them all are unwrapped anew.
const TENANTS_MAX: usize = 10_000;
/// Former data keys of a tenant. Each is gone a day after its successor has sealed everything anew.
const FORMER_MAX: usize = 16;

/// A column of sealed texts, and the statements that walk it. Whoever adds such a column, whose name ends in `_sealed`, adds
/// one of these: a column that is not known here would keep its old key.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    /// What it holds, in words.
    pub title: &'static str,
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's id, as its text is bound to it.
    pub row: fn(i64) -> String,
    /// How many texts of tenant `$1` are like `$2`: `n`.
    pub count: &'static str,
    /// Texts of tenant `$1` in rows behind `$2`, `$3` at most, by id: `id`, `sealed`.
    pub walk: &'static str,
    /// Puts a new text in the place of an old one, of tenant `$1`: `rows(id bigint, old text, new text)`.
    pub replace: &'static str,
}

/// The sealed columns of this program.
#[derive(Default)]
struct Columns(OnceLock<Vec<Sealed>>);

/// Names the sealed columns. Called once, at the start.
pub fn name_columns(runtime: &Runtime, columns: Vec<Sealed>) {
    // A second call would be a second start of the same runtime; the first one's word stands.
    let _ = runtime.kept(|_| Columns::default()).0.set(columns);
}

fn columns(runtime: &Runtime) -> Vec<Sealed> {
    runtime.kept(|_| Columns::default()).0.get().cloned().unwrap_or_default()
}

/// A tenant's data keys.
struct Ring {
    current: DataKey,
    former: Vec<DataKey>,
}

impl Ring {
    fn key(&self, id: &str) -> Option<&DataKey> {
        std::iter::once(&self.current).chain(&self.former).find(|key| key.id() == id)
    }
}

/// The data keys that were unwrapped already.
#[derive(Default)]
struct Rings(Mutex<Held>);

#[derive(Default)]
struct Held {
    rings: HashMap<TenantId, Arc<Ring>>,
    /// Grows when something is forgotten: what was read before that must not be held after it, or a key that is gone
    /// would go on sealing.
    generation: u64,
}

impl Rings {
    fn of(runtime: &Runtime) -> Arc<Self> {
        runtime.kept(|_| Self::default())
    }

    fn held(&self, tenant: TenantId) -> (Option<Arc<Ring>>, u64) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (held.rings.get(&tenant).cloned(), held.generation)
    }

    fn hold(&self, tenant: TenantId, ring: &Arc<Ring>, read_at: u64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.generation != read_at {
            return;
        }
        if held.rings.len() >= TENANTS_MAX {
            held.rings.clear();
        }
        held.rings.insert(tenant, Arc::clone(ring));
    }

    fn forget(&self, tenant: TenantId) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.rings.remove(&tenant);
        held.generation += 1;
    }
}

/// Forgets a tenant's data keys, which are gone.
pub(crate) fn forget(runtime: &Runtime, tenant: TenantId) {
    Rings::of(runtime).forget(tenant);
}

record! { struct CurrentKey { data_key: String } }
record! { struct FormerRow { key_id: String, wrapped: String, retired_at: Timestamp } }

async fn current(tx: &mut Tx, tenant: TenantId) -> Result<String> {
    let row: Option<CurrentKey> =
        tx.optional(sql!("select data_key from tenant where id = $1"), args![tenant]).await?;
    Ok(row.ok_or_else(|| Error::not_found("tenant"))?.data_key)
}

async fn former(tx: &mut Tx, tenant: TenantId) -> Result<Vec<FormerRow>> {
    let rows = tx.all(
        sql!(
            "select key_id, wrapped, retired_at from former_data_key where tenant_id = $1 \
             order by retired_at desc limit $2"
        ),
        args![tenant, FORMER_MAX as i64],
    );
    Ok(rows.await?)
}

async fn ring(runtime: &Runtime, tenant: TenantId) -> Result<Arc<Ring>> {
    let rings = Rings::of(runtime);
    let (held, generation) = rings.held(tenant);
    if let Some(ring) = held {
        return Ok(ring);
    }
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let (wrapped, former) = (current(&mut tx, tenant).await?, former(&mut tx, tenant).await?);
    let name = tenant.to_string();
    let unwrap = |wrapped: &str| runtime.vault.unwrap(&name, wrapped).map_err(Error::internal);
    let former = former.iter().map(|row| unwrap(&row.wrapped)).collect::<Result<_>>()?;
    let ring = Arc::new(Ring { current: unwrap(&wrapped)?, former });
    rings.hold(tenant, &ring, generation);
    Ok(ring)
}

/// Seals a secret of the scope's tenant that must be read back, such as a carrier's password. The text opens only for
/// the same tenant, table, column and row.
///
/// # Errors
/// When the tenant's data key cannot be had.
pub async fn seal(
    scope: &Scope,
    table: &'static str,
    column: &'static str,
    row: &str,
    plaintext: &str,
) -> Result<String> {
    seal_for(scope.runtime(), scope.tenant(), table, column, row, plaintext).await
}

/// As [`seal`], for what the product itself keeps of a tenant.
pub(crate) async fn seal_for(
    runtime: &Runtime,
    tenant: TenantId,
    table: &'static str,
    column: &'static str,
    row: &str,
    plaintext: &str,
) -> Result<String> {
    let ring = ring(runtime, tenant).await?;
    let tenant = tenant.to_string();
    ring.current
        .seal(Place { tenant: &tenant, table, column, row }, plaintext.as_bytes())
        .map_err(Error::internal)
}

/// Opens what [`seal`] sealed.
///
/// # Errors
/// `internal` when it was sealed for another place or with another key, or was changed.
pub async fn open(
    runtime: &Runtime,
    tenant: TenantId,
    table: &'static str,
    column: &'static str,
    row: &str,
    sealed: &str,
) -> Result<Secret> {
    let id = sealing_key_id(sealed).map_err(Error::internal)?;
    let mut keys = ring(runtime, tenant).await?;
    if keys.key(id).is_none() {
        // Another process on this database may have turned the key.
        Rings::of(runtime).forget(tenant);
        keys = ring(runtime, tenant).await?;
    }
    let name = tenant.to_string();
    let key = keys.key(id).unwrap_or(&keys.current);
    let octets = key.open(Place { tenant: &name, table, column, row }, sealed).map_err(Error::internal)?;
    let text = std::str::from_utf8(&octets).map_err(Error::internal)?;
    Ok(Secret::new(text.to_owned()))
}

/// How a tenant's secrets are sealed.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Encryption {
    /// The cipher.
    pub cipher: &'static str,
    /// Id of the data key that seals, 16 hexadecimal digits; no secret.
    pub key: String,
    /// The data keys before it, which still open what they have sealed, the latest first.
    pub former: Vec<FormerKey>,
    /// What is sealed, by column.
    pub columns: Vec<Column>,
}

/// A data key that a newer one has replaced.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FormerKey {
    /// Its id.
    pub key: String,
    /// When it was replaced.
    pub retired_at: Timestamp,
}

/// A column of sealed texts.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Column {
    /// What it holds, in words.
    pub title: &'static str,
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// Its texts.
    pub sealed: i64,
    /// Those of them that the current key has sealed.
    pub current: i64,
}

record! { struct Counted { n: i64 } }

/// How the tenant's secrets are sealed, and how far a new key has come.
///
/// # Errors
/// Without `encryption.view`.
pub async fn show(scope: &Scope) -> Result<Encryption> {
    scope.require(Permission::EncryptionView)?;
    let key = ring(scope.runtime(), scope.tenant()).await?.current.id().to_owned();
    let mut tx = scope.read().await?;
    let mut counted = Vec::new();
    for column in columns(scope.runtime()) {
        let Counted { n: sealed } = tx.one(column.count, args![scope.tenant(), "v1.%"]).await?;
        let Counted { n: current } =
            tx.one(column.count, args![scope.tenant(), format!("v1.{key}.%")]).await?;
        let Sealed { title, table, column, .. } = column;
        counted.push(Column { title, table, column, sealed, current });
    }
    let former = former(&mut tx, scope.tenant()).await?.into_iter();
    let former = former.map(|row| FormerKey { key: row.key_id, retired_at: row.retired_at }).collect();
    Ok(Encryption { cipher: "AES-256-GCM", key, former, columns: counted })
}

/// A key that has taken another's place.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Turned {
    /// Id of the key that seals from now on.
    pub key: String,
    /// Id of the one before it.
    pub before: String,
}

/// Gives the tenant a new data key. It seals from now on, and a job seals anew what the former ones have sealed.
///
/// # Errors
/// Without `encryption.manage`; `conflict` while too many former keys are still needed.
pub async fn turn(scope: &Scope) -> Result<Turned> {
    scope.require(Permission::EncryptionManage)?;
    scope.require_fresh()?;
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let name = tenant.to_string();
    let mut write = scope.write().await?;
    let wrapped = current(&mut write, tenant).await?;
    if former(&mut write, tenant).await?.len() >= FORMER_MAX {
        let why = format!("{FORMER_MAX} former keys are still kept");
        return Err(Error::new(Code::Conflict, why)
            .hint("a former key goes a day after its successor has sealed everything anew"));
    }
    let before = runtime.vault.unwrap(&name, &wrapped).map_err(Error::internal)?;
    let (key, newly_wrapped) = runtime.vault.create_data_key(&name).map_err(Error::internal)?;
    write
        .execute(
            sql!(
                "insert into former_data_key (tenant_id, key_id, wrapped, retired_at) values ($1, $2, $3, $4)"
            ),
            args![tenant, before.id(), &wrapped, scope.now()],
        )
        .await?;
    let changed = write
        .execute(
            sql!("update tenant set data_key = $2 where id = $1 and data_key = $3"),
            args![tenant, newly_wrapped, wrapped],
        )
        .await?;
    if changed == 0 {
        return Err(Error::new(Code::Conflict, "the key was just turned by somebody else"));
    }
    job::enqueue(&mut write, runtime, tenant, reseal::KIND, &(), scope.now()).await?;
    let turned = Turned { key: key.id().to_owned(), before: before.id().to_owned() };
    write.happened(Event::DataKeyTurned(Change {
        id: name,
        name: "data key".to_owned(),
        before: Some(serde_json::json!({ "key": turned.before })),
        after: Some(serde_json::json!({ "key": turned.key })),
    }));
    let turned = write.commit(turned).await;
    Rings::of(runtime).forget(tenant);
    runtime.job_wake.notify_one();
    turned
}
