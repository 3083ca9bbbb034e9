//! All of a tenant in one file, and its restoring elsewhere.
//!
//! A suitcase holds each row of the tenant as a line that is the same on both engines, with the count and the hash of each
//! table, and a manifest of them that the key of the tenant's audit trail signs. It is shut by a passphrase. What was sealed
//! stays sealed: only the tenant's data keys change hands, wrapped by the suitcase's key on the way, and by the new
//! installation's root key at its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use db::{Migration, Tenancy, Travel, Tx, args, record, sql};
use runtime::outbox::{self, Happened, Written};
use runtime::{Actor, Config, Runtime, Scope};
use serde::Serialize;
use types::event::Change;
use types::{Code, Error, Event, Permission, Result, TenantId};

use crate::security_event::watch;
use crate::tenant::{self, ERASING};

pub mod api;
mod keeper;
mod lock;
mod pack;
pub mod pages;
mod records;
mod restore;
mod row;
mod unpack;

pub use keeper::{Arrive, Step, forget_tenant, keep};
pub use pack::{FileSum, Manifest};
pub use records::{
    AskRestore, AskSuitcase, Direction, Octets, Suitcase, ask_any, ask_own, ask_restore, begin_upload, file,
    get, get_own, list, list_own, receive, remove,
};
pub use row::TableSum;

use lock::Lock;

/// The name and version of the format.
const FORMAT: &str = "switchboard/suitcase/1";

/// Folders of a tenant beside the database, each under the name that it has in a suitcase.
pub type Folders = fn(&Config, TenantId) -> Vec<(&'static str, PathBuf)>;

/// What goes into a suitcase, as all crates say together.
#[derive(Clone)]
pub struct Luggage {
    /// The tables, each behind those that it refers to, the tenant's own first.
    pub travels: Vec<Travel>,
    /// The steps of the schema.
    pub migrations: Vec<Migration>,
    /// What lies beside the database.
    pub folders: Folders,
}

#[derive(Default)]
struct Named(OnceLock<Arc<Luggage>>);

/// Names what goes into suitcases. Called once, at the start.
pub fn name_luggage(runtime: &Runtime, luggage: Luggage) {
    // A second call would be a second start of the same runtime; the first one's word stands.
    let _ = runtime.kept(|_| Named::default()).0.set(Arc::new(luggage));
}

fn luggage(runtime: &Runtime) -> Result<Arc<Luggage>> {
    let named = runtime.kept(|_| Named::default());
    named.0.get().cloned().ok_or_else(|| Error::internal("what goes into a suitcase was not named"))
}

/// How far the work has come.
struct At<'a> {
    step: Step,
    /// The table under way; empty where it is none.
    table: &'a str,
    /// Rows that the step has done.
    rows: u64,
    /// How much of the step is done, and how much it is altogether.
    share: (u64, u64),
}

/// Is told how far the work has come. A refusal ends the work.
type Progress = dyn Fn(At<'_>) -> Result<()> + Send + Sync;

/// What a tenant holds, in a form that is the same on every installation that has the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Hashes {
    /// The tenant.
    pub tenant: TenantId,
    /// Rows of all tables together.
    pub rows: u64,
    /// Each table's rows and hash.
    pub tables: Vec<TableSum>,
    /// SHA-256 over a line `table rows sha256` for each table.
    pub digest: String,
}

/// The hashes of a tenant's tables at one moment.
///
/// # Errors
/// `not_found` for a tenant that is not there; when the database does not answer.
pub async fn hashes(runtime: &Runtime, tenant: TenantId) -> Result<Hashes> {
    let luggage = luggage(runtime)?;
    let shapes = runtime.db.shapes(&luggage.travels).await?;
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let keys = row::Keys::read(&mut tx, runtime, tenant).await?;
    let tables = row::sums(&mut tx, &shapes, (tenant, &keys), &mut |_| Ok(())).await?;
    let rows = tables.iter().map(|table| table.rows).sum();
    Ok(Hashes { tenant, rows, digest: row::digest(&tables), tables })
}

/// The hashes of a tenant's tables, for whoever may take the tenant away.
///
/// # Errors
/// Without `tenant.export`; otherwise as [`hashes`].
pub async fn hashes_of(scope: &Scope, tenant: TenantId) -> Result<Hashes> {
    scope.require(Permission::TenantExport)?;
    hashes(scope.runtime(), tenant).await
}

/// Begins an export: what is to be told in the tenant's own trail, which travels, and in the platform's. The tenant is shut
/// first where that is wanted, so that it never lives twice.
async fn begin_export(tx: &mut Tx, whose: TenantId, suspend: bool) -> Result<Vec<(TenantId, Event)>> {
    let before = tenant::find(tx, whose).await?;
    let platform = tenant::platform(tx).await?;
    if platform == whose {
        return Err(Error::new(Code::Conflict, "this is the installation's own tenant, which stays with it")
            .at("tenant")
            .hint("move the whole installation instead: its database, its data folder and its root key"));
    }
    if before.status == ERASING {
        return Err(Error::new(Code::Conflict, "the tenant is being erased").at("tenant"));
    }
    if suspend {
        tx.execute(
            sql!("update tenant set status = 'suspended', suspended_by = null where id = $1"),
            args![whose],
        )
        .await?;
    }
    let after = tenant::find(tx, whose).await?;
    let told = Change {
        id: whose.to_string(),
        name: before.name.clone(),
        before: None,
        after: Some(serde_json::json!({ "suspended": suspend })),
    };
    let mut events =
        vec![(whose, Event::TenantExportAsked(told.clone())), (platform, Event::TenantExportAsked(told))];
    if suspend && before.status != after.status {
        events.push((platform, Event::TenantChanged(tenant::change(&after, Some(&before)))));
    }
    Ok(events)
}

/// Says in the platform's trail that a suitcase is packed.
async fn exported(tx: &mut Tx, runtime: &Runtime, manifest: &Manifest, by: &str) -> Result<Written> {
    let platform = tenant::platform(tx).await?;
    let told = Change {
        id: manifest.tenant.to_string(),
        name: manifest.name.clone(),
        before: None,
        after: Some(serde_json::json!({
            "rows": manifest.rows, "digest": manifest.digest, "in_flight": manifest.in_flight,
        })),
    };
    outbox::write(tx, vec![happened(runtime, platform, by, vec![Event::TenantExported(told)])]).await
}

fn happened(runtime: &Runtime, tenant: TenantId, by: &str, events: Vec<Event>) -> Happened {
    let at = runtime.clock.now();
    Happened { tenant, at, actor: by.to_owned(), request_id: None, from: None, events }
}

/// Who acts where no server runs.
const BESIDE: Actor = Actor::System("command line");

/// Packs a tenant beside the database, with no server to ask.
///
/// # Errors
/// `not_found`; `conflict` for the installation's own tenant; `invalid_value` for a passphrase too short; when the disk or the
/// database refuses.
pub async fn export_offline(
    runtime: &Runtime,
    tenant: TenantId,
    suspend: bool,
    (path, passphrase): (&Path, &str),
) -> Result<Manifest> {
    let (luggage, by) = (luggage(runtime)?, BESIDE.to_string());
    let lock = Lock::new(passphrase)?;
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let mut told: BTreeMap<TenantId, Vec<Event>> = BTreeMap::new();
    for (of, event) in begin_export(&mut tx, tenant, suspend).await? {
        told.entry(of).or_default().push(event);
    }
    let told = told.into_iter().map(|(of, events)| happened(runtime, of, &by, events)).collect();
    let written = outbox::write(&mut tx, told).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    // What follows the stream is taken up to here, so that nothing of the tenant moves behind the look by itself.
    watch::round(runtime).await?;
    let manifest = pack::pack(runtime, &luggage, tenant, (path, &lock), &|_| Ok(())).await?;
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let written = exported(&mut tx, runtime, &manifest, &by).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    Ok(manifest)
}

/// Restores a suitcase beside the database, with no server to ask.
///
/// # Errors
/// `suitcase_locked`, `suitcase_damaged`, `suitcase_version`, `suitcase_rights`, `tenant_exists`, `suitcase_conflict`. Nothing
/// of it happened then.
pub async fn import_offline(
    runtime: &Runtime,
    (path, passphrase): (&Path, &str),
    open: bool,
    public_key: Option<&str>,
) -> Result<Manifest> {
    let luggage = luggage(runtime)?;
    let file = std::fs::File::open(path).map_err(lock::storage)?;
    let lock = Lock::of(std::io::BufReader::new(file), passphrase)?;
    let manifest = restore::check(runtime, &luggage, (path, &lock), public_key, &|_| Ok(())).await?;
    let wish = restore::Wish { open, by: BESIDE.to_string(), record: None };
    restore::restore(runtime, &luggage, (path, &lock), (&wish, &manifest), &|_| Ok(())).await?;
    Ok(manifest)
}

/// The tenant of an id, a short name or a name, beside the database.
///
/// # Errors
/// `not_found`; `conflict` where several have the name.
pub async fn named(runtime: &Runtime, given: &str) -> Result<TenantId> {
    if let Ok(id) = given.parse() {
        return Ok(id);
    }
    record! { struct Found { id: TenantId } }
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let found: Vec<Found> = tx
        .all(
            sql!(
                "select id from tenant where slug = $1 or name = $1 order by id limit 2 \
                 /* every tenant: the operator names one */"
            ),
            args![given],
        )
        .await?;
    match found.as_slice() {
        [one] => Ok(one.id),
        [] => Err(Error::not_found("tenant")),
        _ => Err(Error::new(Code::Conflict, "several tenants have this name").hint("give the id instead")),
    }
}

/// The closed files of a folder by name; none where there is no folder.
fn files_in(folder: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(lock::storage(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(lock::storage)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What is still being written is written anew at the new place.
        let open = [".open", ".tmp"].iter().any(|ending| name.ends_with(ending));
        if !open && entry.path().is_file() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
