//! Suitcases as a server keeps them: asked for, worked on, handed out, gone after a time.

use std::io::{ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use db::{Tx, args, record, sql};
use runtime::{Config, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{Code, Error, Page, Permission, Result, SuitcaseId, TenantId, Timestamp};
use web::Paging;

use super::keeper::{self, Step};
use super::lock::{Lock, storage};
use super::pack::Manifest;

/// Suitcases that wait or are worked on, at most.
const OPEN_MAX: i64 = 20;

/// Whether a tenant leaves or comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It leaves.
    Export,
    /// It comes.
    Import,
}

/// A suitcase.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Suitcase {
    /// Its id.
    pub id: SuitcaseId,
    /// The tenant; of one that comes it is known when it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Whether the tenant leaves or comes.
    pub direction: Direction,
    /// `uploading`; `waits`, `working`, `arriving`; `ready` with its file, or `done`; `failed`; `gone` when its file is removed.
    pub state: String,
    /// Who asked for it.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// Of one that leaves, whether the tenant was shut before; of one that comes, whether it is opened behind.
    pub switched: bool,
    /// How many rows are packed or restored.
    pub rows_done: i64,
    /// The table under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_table: Option<String>,
    /// What the work under way is at; nothing while none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// How much of that step is done, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<u8>,
    /// Octets of its file that are here.
    pub bytes: i64,
    /// Of one that is uploaded, the octets that the whole file has, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<i64>,
    /// What it holds, table by table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// Why it failed, as a code and its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Until when its file is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_until: Option<Timestamp>,
}

record! {
    pub(super) struct Stored {
        pub(super) id: SuitcaseId, pub(super) tenant: Option<TenantId>, pub(super) direction: String, pub(super) state: String,
        pub(super) asked_by: String, pub(super) asked_at: Timestamp, pub(super) switched: bool,
        pub(super) public_key: Option<String>, pub(super) key_wrapped: Option<String>, pub(super) rows_done: i64,
        pub(super) at_table: Option<String>, pub(super) bytes: i64, pub(super) bytes_total: Option<i64>,
        pub(super) manifest: Option<String>,
        pub(super) problem: Option<String>, pub(super) ended_at: Option<Timestamp>, pub(super) file_until: Option<Timestamp>,
    }
}

impl Stored {
    /// The record with what is known of the work in this process, which no row says between two looks, and on SQLite not while
    /// a restoring has the writer.
    pub(super) fn told(self, runtime: &Runtime) -> Suitcase {
        let reached = keeper::reached(runtime, self.id).unwrap_or_default();
        let working = reached.step.is_some() && matches!(self.state.as_str(), "waits" | "working");
        Suitcase {
            id: self.id,
            tenant: self.tenant,
            direction: if self.direction == IMPORT { Direction::Import } else { Direction::Export },
            state: if working { "working".to_owned() } else { self.state },
            asked_by: self.asked_by,
            asked_at: self.asked_at,
            switched: self.switched,
            rows_done: if working { reached.rows } else { self.rows_done },
            at_table: if working { reached.table } else { self.at_table },
            step: reached.step.filter(|_| working),
            share: working.then_some(reached.share),
            bytes: self.bytes,
            bytes_total: self.bytes_total,
            manifest: self.manifest.and_then(|text| serde_json::from_str(&text).ok()),
            problem: self.problem,
            ended_at: self.ended_at,
            file_until: self.file_until,
        }
    }
}

pub(super) const IMPORT: &str = "import";
const UPLOADING: &str = "uploading";

/// A wish that a tenant be packed.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskSuitcase {
    /// What shuts the file: 12 to 1,024 characters. It is kept nowhere, and nobody opens the file without it.
    pub passphrase: String,
    /// Whether the tenant is shut first, so that it never lives twice; not when not given. Only the platform's administrators
    /// may.
    #[serde(default)]
    pub suspend: bool,
}

/// A wish that a suitcase be restored.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRestore {
    /// What it was shut by.
    pub passphrase: String,
    /// Whether the tenant is opened at once; not when not given.
    #[serde(default)]
    pub open: bool,
    /// The public key of the tenant's audit trail, as it was kept elsewhere (base64url, or PEM).
    pub public_key: Option<String>,
}

/// Where the file of a suitcase lies.
pub(super) fn path(config: &Config, id: SuitcaseId) -> PathBuf {
    config.data_dir.join("suitcases").join(format!("{}.suitcase", id.bare()))
}

pub(super) fn make_folder(config: &Config) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = config.data_dir.join("suitcases");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(storage)
}

/// Asks for all of the caller's own tenant in one file.
///
/// # Errors
/// Without `organisation.export`; `step_up_required`; `invalid_value`; `conflict` for the installation's own tenant.
pub async fn ask_own(scope: &Scope, asked: AskSuitcase) -> Result<Suitcase> {
    scope.require(Permission::OrganisationExport)?;
    if asked.suspend {
        return Err(Error::invalid("suspend", "only the platform's administrators shut a tenant")
            .hint("ask whoever runs the platform"));
    }
    ask(scope, scope.tenant(), asked).await
}

/// Asks for all of any tenant in one file.
///
/// # Errors
/// Without `tenant.export`, and a permission to create, change or erase tenants; otherwise as [`ask_own`].
pub async fn ask_any(scope: &Scope, tenant: TenantId, asked: AskSuitcase) -> Result<Suitcase> {
    scope.require(Permission::TenantExport)?;
    ask(scope, tenant, asked).await
}

async fn lock_apart(make: impl FnOnce() -> Result<Lock> + Send + 'static) -> Result<Lock> {
    tokio::task::spawn_blocking(make).await.map_err(Error::internal)?
}

async fn ask(scope: &Scope, whose: TenantId, asked: AskSuitcase) -> Result<Suitcase> {
    scope.require_fresh()?;
    let (runtime, now, id) =
        (scope.runtime(), scope.now(), scope.runtime().ids.next::<types::kind::Suitcase>());
    refuse_many(&mut scope.read().await?).await?;
    let passphrase = asked.passphrase;
    let lock = lock_apart(move || Lock::new(&passphrase)).await?;
    let kept = lock.keep(runtime, &id.to_string())?;
    let own = whose == scope.tenant();
    let mut write = if own { scope.write().await? } else { scope.write_every().await? };
    let events = super::begin_export(&mut write, whose, asked.suspend).await?;
    write
        .execute(
            sql!(
                "insert into suitcase (id, tenant, direction, state, asked_by, asked_at, switched, key_wrapped, rows_done, bytes) \
                 values ($1, $2, 'export', 'waits', $3, $4, $5, $6, 0, 0)"
            ),
            args![id, whose, scope.actor().to_string(), now, asked.suspend, kept],
        )
        .await?;
    // The platform's trail hears of one's own when it is packed.
    for (tenant, event) in events.into_iter().filter(|(tenant, _)| !own || *tenant == whose) {
        write.happened_to(tenant, event);
    }
    let made = stored(&mut write, id).await?;
    write.commit(made.told(runtime)).await
}

record! { struct Counted { n: i64 } }

async fn refuse_many(tx: &mut Tx) -> Result<()> {
    let Counted { n } = tx
        .one(
            sql!("select count(*) as n from suitcase where state in ('uploading', 'waits', 'working', 'arriving')"),
            args![],
        )
        .await?;
    match n >= OPEN_MAX {
        true => Err(Error::new(Code::QueueFull, format!("{OPEN_MAX} suitcases are under way already"))
            .hint("wait until one is done, or remove one that nobody needs")),
        false => Ok(()),
    }
}

pub(super) async fn stored(tx: &mut Tx, id: SuitcaseId) -> Result<Stored> {
    tx.optional(
        sql!(
            "select id, tenant, direction, state, asked_by, asked_at, switched, public_key, key_wrapped, rows_done, at_table, \
             bytes, bytes_total, manifest, problem, ended_at, file_until from suitcase where id = $1"
        ),
        args![id],
    )
    .await?
    .ok_or_else(|| Error::not_found("suitcase"))
}

/// All suitcases, newest first.
///
/// # Errors
/// Without `tenant.export`.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Suitcase>> {
    scope.require(Permission::TenantExport)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let found: Vec<Stored> = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, tenant, direction, state, asked_by, asked_at, switched, public_key, key_wrapped, rows_done, at_table, \
                 bytes, bytes_total, manifest, problem, ended_at, file_until from suitcase where id < $1 order by id desc limit $2"
            ),
            args![behind, limit as i64 + 1],
        )
        .await?;
    let found = found.into_iter().map(|one| one.told(scope.runtime())).collect();
    Ok(Page::from_overfull(found, limit, |one: &Suitcase| one.id.raw()))
}

/// Those in which the caller's own tenant leaves, newest first.
///
/// # Errors
/// Without `organisation.export`.
pub async fn list_own(scope: &Scope, paging: &Paging) -> Result<Page<Suitcase>> {
    scope.require(Permission::OrganisationExport)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let found: Vec<Stored> = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, tenant, direction, state, asked_by, asked_at, switched, public_key, key_wrapped, rows_done, at_table, \
                 bytes, bytes_total, manifest, problem, ended_at, file_until from suitcase \
                 where tenant = $1 and direction = 'export' and id < $2 order by id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1],
        )
        .await?;
    let found = found.into_iter().map(|one| one.told(scope.runtime())).collect();
    Ok(Page::from_overfull(found, limit, |one: &Suitcase| one.id.raw()))
}

/// One suitcase.
///
/// # Errors
/// Without `tenant.export`; `not_found`.
pub async fn get(scope: &Scope, id: SuitcaseId) -> Result<Suitcase> {
    scope.require(Permission::TenantExport)?;
    Ok(stored(&mut scope.read().await?, id).await?.told(scope.runtime()))
}

/// One in which the caller's own tenant leaves.
///
/// # Errors
/// Without `organisation.export`; `not_found`.
pub async fn get_own(scope: &Scope, id: SuitcaseId) -> Result<Suitcase> {
    scope.require(Permission::OrganisationExport)?;
    let one = stored(&mut scope.read().await?, id).await?.told(scope.runtime());
    match one.tenant == Some(scope.tenant()) && one.direction == Direction::Export {
        true => Ok(one),
        false => Err(Error::not_found("suitcase")),
    }
}

/// The file of a suitcase that is ready: of any tenant, or of the caller's own.
///
/// # Errors
/// Without `tenant.export` or `organisation.export`; `step_up_required`; `not_found`; `conflict` before it is ready.
pub async fn file(scope: &Scope, id: SuitcaseId, own: bool) -> Result<(Suitcase, PathBuf)> {
    let one = if own { get_own(scope, id).await? } else { get(scope, id).await? };
    scope.require_fresh()?;
    if one.state != "ready" {
        return Err(Error::new(
            Code::Conflict,
            format!("the suitcase has no file to take away: it is {}", one.state),
        ));
    }
    let path = path(&scope.runtime().config, id);
    Ok((one, path))
}

/// Begins to take a suitcase in; its octets follow by [`receive`].
///
/// # Errors
/// Without `tenant.restore`; `queue_full`.
pub async fn begin_upload(scope: &Scope) -> Result<Suitcase> {
    scope.require(Permission::TenantRestore)?;
    scope.require_fresh()?;
    let id = scope.runtime().ids.next::<types::kind::Suitcase>();
    let until = kept_until(scope.runtime());
    let mut write = scope.write().await?;
    refuse_many(&mut write).await?;
    write
        .execute(
            sql!(
                "insert into suitcase (id, direction, state, asked_by, asked_at, switched, rows_done, bytes, file_until) \
                 values ($1, 'import', 'uploading', $2, $3, false, 0, 0, $4)"
            ),
            args![id, scope.actor().to_string(), scope.now(), until],
        )
        .await?;
    let made = stored(&mut write, id).await?;
    write.commit(made.told(scope.runtime())).await
}

pub(super) fn kept_until(runtime: &Runtime) -> Timestamp {
    runtime.clock.now().plus_ms(i64::from(runtime.config.tenants.suitcase_keep_h) * 3_600_000)
}

/// Octets that come for a suitcase.
#[derive(Debug)]
pub struct Octets {
    /// How many went before them.
    pub offset: i64,
    /// How many the whole file has, where that is known.
    pub total: Option<i64>,
    /// They themselves.
    pub octets: Vec<u8>,
}

impl Octets {
    /// Refuses what does not fit: another file than the one that was begun, or one that is too large.
    fn check(&self, one: &Stored, most: i64) -> Result<()> {
        if one.state != UPLOADING || one.bytes != self.offset {
            let why = format!("it is {}, and has {} octets", one.state, one.bytes);
            return Err(Error::new(Code::Conflict, why).at("offset").hint("go on where it stands"));
        }
        if let (Some(begun), Some(total)) = (one.bytes_total, self.total)
            && begun != total
        {
            let why = format!("another file was begun, which has {begun} octets");
            return Err(Error::invalid("total", why).hint("go on with that one, or begin another suitcase"));
        }
        let behind = self.offset.saturating_add(self.octets.len() as i64);
        if behind.max(self.total.unwrap_or(0)) > most {
            return Err(
                Error::new(Code::TooLarge, format!("a suitcase has at most {most} octets")).at("file")
            );
        }
        match self.total.or(one.bytes_total) {
            Some(total) if behind > total => {
                Err(Error::invalid("total", format!("{behind} octets are more than the {total} that it has")))
            }
            _ => Ok(()),
        }
    }
}

/// Takes octets of a suitcase in, behind those that are there. What broke off goes on where `bytes` says.
///
/// # Errors
/// Without `tenant.restore`; `conflict` for another place than the next, or when it is complete; `invalid_value` at `total` for
/// another file than the one that was begun; `too_large`.
pub async fn receive(scope: &Scope, id: SuitcaseId, sent: Octets) -> Result<Suitcase> {
    scope.require(Permission::TenantRestore)?;
    let config = &scope.runtime().config;
    let mut write = scope.write().await?;
    // The row is locked first, so that two who send at once do not meet in the file.
    write
        .execute(sql!("update suitcase set bytes = bytes where id = $1 and state = 'uploading'"), args![id])
        .await?;
    sent.check(&stored(&mut write, id).await?, config.tenants.suitcase_bytes_max)?;
    let Octets { offset, total, octets } = sent;
    let bytes = offset + octets.len() as i64;
    make_folder(config)?;
    let path = path(config, id);
    let append = move || {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // What a process that died has written and not said is written anew.
        file.set_len(offset.unsigned_abs())?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(&octets)?;
        file.sync_all()
    };
    tokio::task::spawn_blocking(append).await.map_err(Error::internal)?.map_err(storage)?;
    write
        .execute(
            sql!(
                "update suitcase set bytes = $2, bytes_total = coalesce($3, bytes_total), file_until = $4 where id = $1"
            ),
            args![id, bytes, total, kept_until(scope.runtime())],
        )
        .await?;
    let made = stored(&mut write, id).await?;
    write.commit(made.told(scope.runtime())).await
}

/// Asks that a suitcase that was uploaded be restored. A wrong passphrase is told at once; everything else by its state.
///
/// # Errors
/// Without `tenant.restore`; `step_up_required`; `suitcase_locked`, `suitcase_damaged`; `conflict` when it is under way, and
/// at `file` before all of it was uploaded.
pub async fn ask_restore(scope: &Scope, id: SuitcaseId, asked: AskRestore) -> Result<Suitcase> {
    scope.require(Permission::TenantRestore)?;
    scope.require_fresh()?;
    let runtime = scope.runtime();
    let one = stored(&mut scope.read().await?, id).await?;
    if one.direction != IMPORT || !matches!(one.state.as_str(), "uploading" | "failed") {
        return Err(Error::new(Code::Conflict, format!("the suitcase is {}", one.state)));
    }
    if let Some(total) = one.bytes_total.filter(|total| one.bytes < *total) {
        let why = format!("{} of the {total} octets of the file are here", one.bytes);
        return Err(Error::new(Code::Conflict, why).at("file").hint("upload the rest first, on from there"));
    }
    let key = asked.public_key.as_deref().map(crate::audit::checkpoint::read_key).transpose()?;
    let (path, passphrase) = (path(&runtime.config, id), asked.passphrase);
    let lock = lock_apart(move || {
        let file = std::fs::File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(Code::Conflict, "nothing of the suitcase's file is here")
                .at("file")
                .hint("upload it first: PUT /api/v1/suitcases/{id}/file"),
            _ => storage(error),
        })?;
        Lock::of(std::io::BufReader::new(file), &passphrase)
    })
    .await?;
    let kept = lock.keep(runtime, &id.to_string())?;
    let mut write = scope.write().await?;
    let changed = write
        .execute(
            sql!(
                "update suitcase set state = 'waits', switched = $2, public_key = $3, key_wrapped = $4, problem = null, \
                 ended_at = null, rows_done = 0 where id = $1 and state in ('uploading', 'failed')"
            ),
            args![id, asked.open, key, kept],
        )
        .await?;
    if changed == 0 {
        return Err(Error::new(Code::Conflict, "the suitcase is under way already"));
    }
    let made = stored(&mut write, id).await?;
    write.commit(made.told(runtime)).await
}

/// Removes the file of a suitcase that nothing works on. Its record stays.
///
/// # Errors
/// Without `tenant.export`; `not_found`; `conflict` while it is worked on.
pub async fn remove(scope: &Scope, id: SuitcaseId) -> Result<Suitcase> {
    scope.require(Permission::TenantExport)?;
    let mut write = scope.write().await?;
    let one = stored(&mut write, id).await?;
    if matches!(one.state.as_str(), "working" | "arriving") {
        return Err(
            Error::new(Code::Conflict, "the suitcase is being worked on").hint("wait until it is done")
        );
    }
    forget(&mut write, scope.runtime(), &one).await?;
    let gone = stored(&mut write, id).await?;
    write.commit(gone.told(scope.runtime())).await
}

/// Removes a suitcase's file; one that was done stays done.
pub(super) async fn forget(tx: &mut Tx, runtime: &Runtime, one: &Stored) -> Result<()> {
    match std::fs::remove_file(path(&runtime.config, one.id)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(storage(error)),
        _ => {}
    }
    let state = if one.state == "done" { "done" } else { "gone" };
    tx.execute(
        sql!(
            "update suitcase set state = $2, key_wrapped = null, file_until = null, bytes = 0 where id = $1"
        ),
        args![one.id, state],
    )
    .await?;
    Ok(())
}
