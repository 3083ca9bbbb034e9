//! Tombstones: an erased person stays erased when the database is taken back to a backup from before.
//!
//! They stand in the database and, one line each, in a file of the data folder that no restoring of the database touches. The
//! line is on the disk before the person's key is destroyed. At the start the file is held against the database: what the
//! database does not know, it was restored from before; a job then finds the person's rows by their marks, erases what is
//! older than the erasure, and destroys the key that came back.

use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use db::{Tenancy, Tx, args, record, sql};
use runtime::job::{self, Handler, Outcome};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{Error, Permission, PersonId, Result, TenantId, Timestamp};

use crate::standing::Standings;
use crate::{erase, person};

/// The kind of the job that erases again.
pub const KIND: &str = "privacy.reapply";
/// The file in the data folder.
const FILE: &str = "erased-persons.jsonl";
/// The longest line that is read.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Tombstones of a tenant that are applied at once.
const TOMBSTONES_MAX: i64 = 1_000_000;

/// A person who was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    pub(crate) tenant: TenantId,
    pub(crate) marks: Vec<String>,
    pub(crate) erased_at: Timestamp,
    pub(crate) objected: bool,
}

fn path(runtime: &Runtime) -> PathBuf {
    runtime.config.data_dir.join(FILE)
}

/// Puts a tombstone on the disk, beside the database; it is there when this returns.
pub(crate) fn keep(runtime: &Runtime, tombstone: &Tombstone) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let line = serde_json::to_string(tombstone).map_err(Error::internal)?;
    let written = || {
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path(runtime))?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()?;
        std::fs::File::open(&runtime.config.data_dir)?.sync_all()
    };
    written().map_err(Error::internal)
}

/// Writes a tombstone's rows.
pub(crate) async fn insert(tx: &mut Tx, tombstone: &Tombstone) -> Result<u64> {
    let mut fresh = 0;
    for mark in &tombstone.marks {
        fresh += tx
            .execute(
                sql!(
                    "insert into tombstone (tenant_id, mark, erased_at, objected) values ($1, $2, $3, $4) \
                     on conflict (tenant_id, mark, erased_at) do nothing"
                ),
                args![tombstone.tenant, mark, tombstone.erased_at, tombstone.objected],
            )
            .await?;
    }
    Ok(fresh)
}

record! { struct Exists { n: i64 } }

/// Holds the file against the database: what the database does not know is erased again. Gives how many tenants that is.
///
/// # Errors
/// When the file or the database cannot be read.
pub async fn after_start(runtime: &Runtime) -> Result<usize> {
    let file = match std::fs::File::open(path(runtime)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(Error::internal(error)),
    };
    let mut tenants: BTreeMap<TenantId, Vec<Tombstone>> = BTreeMap::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(Error::internal)?;
        // A last line that a crash has cut belongs to an erasure that was not finished and goes on by itself.
        let Some(one) = (line.len() <= LINE_BYTES_MAX).then(|| serde_json::from_str::<Tombstone>(&line).ok())
        else {
            continue;
        };
        if let Some(one) = one {
            tenants.entry(one.tenant).or_default().push(one);
        }
    }
    let mut again = 0;
    for (tenant, tombstones) in tenants {
        let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
        let Exists { n } =
            tx.one(sql!("select count(*) as n from tenant where id = $1"), args![tenant]).await?;
        if n == 0 {
            continue;
        }
        let mut fresh = 0;
        for one in &tombstones {
            fresh += insert(&mut tx, one).await?;
        }
        if fresh > 0 {
            tracing::warn!(%tenant, fresh, "the database was restored from before erasures; erasing again");
            job::enqueue(&mut tx, runtime, tenant, KIND, &(), runtime.clock.now()).await?;
            again += 1;
        }
        tx.commit().await?;
    }
    Ok(again)
}

/// Erases again what tombstones say, such as after a late import. A job does it.
///
/// # Errors
/// Without `privacy.erase`.
pub async fn reapply(scope: &Scope) -> Result<Reapplied> {
    scope.require(Permission::PrivacyErase)?;
    let mut write = scope.write().await?;
    let Exists { n } = write
        .one(sql!("select count(*) as n from tombstone where tenant_id = $1"), args![scope.tenant()])
        .await?;
    job::enqueue(&mut write, scope.runtime(), scope.tenant(), KIND, &(), scope.now()).await?;
    let answer = write.commit(Reapplied { tombstones: n }).await?;
    scope.runtime().job_wake.notify_one();
    Ok(answer)
}

/// That erasures are carried out again.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Reapplied {
    /// Marks that are looked for.
    pub tombstones: i64,
}

/// The job.
pub(crate) fn handler() -> Handler {
    Arc::new(|scope, _, _| {
        Box::pin(async move {
            match again(&scope).await {
                Ok(_) => Outcome::Done,
                Err(error) => Outcome::Retry(error.to_string()),
            }
        })
    })
}

record! { struct Stone { mark: String, erased_at: Timestamp } }
record! { struct Back { person_id: PersonId } }

/// Erases everything older than its tombstone. Gives how many rows.
///
/// # Errors
/// When the database does not answer.
pub async fn again(scope: &Scope) -> Result<u64> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let Some(blind) = person::known_blind(runtime, tenant).await? else { return Ok(0) };
    let mut tx = scope.read().await?;
    let stones: Vec<Stone> = tx
        .all(
            sql!("select mark, erased_at from tombstone where tenant_id = $1 order by erased_at limit $2"),
            args![tenant, TOMBSTONES_MAX],
        )
        .await?;
    drop(tx);
    let mut wanted: HashMap<[u8; person::MARK_BYTES], Timestamp> = HashMap::new();
    for stone in &stones {
        let octets = BASE64.decode(&stone.mark).ok().and_then(|octets| octets.try_into().ok());
        wanted.extend(octets.map(|mark| (mark, stone.erased_at)));
    }
    let found =
        erase::search(runtime, tenant, |by, value| wanted.contains_key(&blind.mark(by, value))).await?;
    let mut erased = 0;
    for one in found {
        let by = [runtime::personal::By::Phone, runtime::personal::By::Mail, runtime::personal::By::User]
            .into_iter()
            .find(|by| one.is(*by));
        let Some(before) = by.and_then(|by| wanted.get(&blind.mark(by, &one.value))) else { continue };
        erased += erase::sweep(scope, None, std::slice::from_ref(&one), *before).await?;
    }
    for stone in &stones {
        shred_again(scope, stone).await?;
    }
    Standings::changed(runtime, tenant).await?;
    Ok(erased)
}

/// Destroys the key of a person who was erased and came back with a backup; one who came after the erasure stays.
async fn shred_again(scope: &Scope, stone: &Stone) -> Result<()> {
    let mut tx = scope.runtime().db.write(Tenancy::Tenant(scope.tenant())).await?;
    let back: Option<Back> = tx
        .optional(
            sql!(
                "select m.person_id from person_mark m join person p on p.tenant_id = m.tenant_id and p.id = m.person_id \
                 where m.tenant_id = $1 and m.mark = $2 and p.created_at <= $3"
            ),
            args![scope.tenant(), &stone.mark, stone.erased_at],
        )
        .await?;
    if let Some(Back { person_id }) = back {
        person::shred(&mut tx, scope.tenant(), person_id, stone.erased_at).await?;
    }
    tx.commit().await?;
    Ok(())
}
