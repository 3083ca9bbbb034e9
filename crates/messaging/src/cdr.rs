//! Call detail records: a row for each part of each message that came to its end, in files.
//!
//! The hot path knows nothing of it. The journal writes each message's end into the event stream in the change's own
//! transaction; [`writer`](self) follows that stream behind it, with reads alone, and makes the rows. A file's registration
//! and the place in the stream that it reaches are one transaction, so after a crash what is not registered is written again
//! from that place, under the same numbers.
//!
//! - [`row`]: the columns
//! - [`format`], [`read`]: how files are written and read again
//! - [`verify`], [`load`]: what is done with files, without a server
//! - [`hook`]: what happens to a closed file

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use db::{args, record, sql};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};
use types::event::{Change, Exported};
use types::{CdrFileId, Code, Error, Event, Page, Permission, Result, TenantId, Timestamp};

use crate::settings::{self, Patch};

pub(crate) mod api;
pub(crate) mod file;
pub mod format;
mod gather;
pub mod hook;
pub(crate) mod keep;
mod live;
pub mod load;
pub(crate) mod pages;
pub mod read;
mod register;
pub mod row;
pub mod verify;
mod writer;

pub use format::{Compression, Format};
pub use keep::hold_back;
pub use live::{Rows, rows};

/// A tenant's folders of closed and archived files, each under the name that it has in the tenant's suitcase.
pub fn folders(config: &runtime::Config, tenant: TenantId) -> Vec<(&'static str, PathBuf)> {
    vec![("cdr", file::folder(config, tenant)), ("cdr_archive", file::archive(config, tenant))]
}
pub(crate) use writer::start;

/// How a tenant's records are written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CdrSettings {
    /// `csv`, `jsonl` or `parquet`; `csv` when not given.
    pub format: Format,
    /// `none`, `gzip` or `zstd`; `gzip` when not given. Parquet compresses its own pages by it.
    pub compression: Compression,
    /// Where each closed file is put by HTTP PUT, under its name behind this address; nowhere when not given.
    pub upload_url: Option<String>,
}

/// A tenant's records: whether and how they are written, and how far they have come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CdrStream {
    /// Whether records are written. They begin with what happens after it was switched on.
    pub active: bool,
    /// How.
    pub settings: CdrSettings,
    /// Counted up by each change.
    pub revision: i64,
    /// The last row that is in a closed file.
    pub closed_seq: i64,
    /// The last file that was closed.
    pub closed_number: i64,
    /// The file that is open now.
    pub open: Option<OpenFile>,
}

/// A change of how records are written; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CdrPatch {
    /// Whether records are written.
    pub active: Option<bool>,
    /// Members of the settings; null brings the default back.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: Patch,
    /// Only if it still has this revision.
    pub revision: Option<i64>,
}

/// A file that is being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OpenFile {
    /// The number that it will have.
    pub number: i64,
    /// Its first row.
    pub first_seq: i64,
    /// Its last row so far.
    pub last_seq: i64,
    /// Its octets so far, before compression.
    pub bytes: u64,
    /// Since when.
    pub opened_at: Timestamp,
}

/// A closed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CdrFile {
    /// Its id.
    pub id: CdrFileId,
    /// 1, 2, 3 … without a gap.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// `csv`, `jsonl` or `parquet`.
    pub format: String,
    /// `none`, `gzip` or `zstd`.
    pub compression: String,
    /// Its first row.
    pub first_seq: i64,
    /// Its last row.
    pub last_seq: i64,
    /// Its rows.
    pub rows: i64,
    /// Events that had been forgotten before they could be written; 0 unless the writer was down for longer than
    /// `cdr.hold_days`.
    pub lost: i64,
    /// Its octets, compressed.
    pub bytes: i64,
    /// SHA-256 of its octets, in hex.
    pub sha256: String,
    /// Its rows by the state of their message.
    pub states: BTreeMap<String, i64>,
    /// `closed`, `archived`, or `removed` when its time was over: then its registration is left alone.
    pub state: String,
    /// Why it was closed: `lines`, `bytes`, `age`, `asked`, `settings`, `off` or `shutdown`.
    pub reason: String,
    /// When its first row was written.
    pub opened_at: Timestamp,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// When it was put where it is uploaded to.
    pub uploaded_at: Option<Timestamp>,
}

record! {
    struct StoredFile {
        id: CdrFileId, number: i64, name: String, format: String, compression: String, first_seq: i64, last_seq: i64,
        row_count: i64, lost: i64, bytes: i64, sha256: String, states: String, state: String, reason: String,
        opened_at: Timestamp, closed_at: Timestamp, uploaded_at: Option<Timestamp>,
    }
}

impl StoredFile {
    fn file(self) -> Result<CdrFile> {
        Ok(CdrFile {
            id: self.id,
            number: self.number,
            name: self.name,
            format: self.format,
            compression: self.compression,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            rows: self.row_count,
            lost: self.lost,
            bytes: self.bytes,
            sha256: self.sha256,
            states: serde_json::from_str(&self.states).map_err(Error::internal)?,
            state: self.state,
            reason: self.reason,
            opened_at: self.opened_at,
            closed_at: self.closed_at,
            uploaded_at: self.uploaded_at,
        })
    }
}

record! {
    /// A tenant's row.
    #[derive(Clone)]
    struct StoredStream {
        tenant_id: TenantId, active: bool, settings: String, revision: i64, event_seq: i64, row_seq: i64,
        file_number: i64, parked: bool, head: i64,
    }
}

/// What the writer shows and is asked for, shared by all of a program.
#[derive(Default)]
pub(crate) struct Control {
    asked: Mutex<Vec<Asked>>,
    wake: Notify,
    open: Mutex<HashMap<TenantId, Progress>>,
}

/// Somebody waits for a tenant's file to be closed.
struct Asked {
    tenant: TenantId,
    reply: oneshot::Sender<Result<Option<CdrFile>>>,
}

/// What the writer is at, for those who read the open file's rows.
#[derive(Clone)]
struct Progress {
    file: OpenFile,
    /// Places on the way, so that a reader need not begin at the file's beginning.
    marks: Vec<gather::Position>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn control(runtime: &Runtime) -> Arc<Control> {
    runtime.kept(|_| Control::default())
}

async fn stream_of(tx: &mut db::Tx, tenant: TenantId) -> Result<Option<StoredStream>> {
    Ok(tx
        .optional(
            sql!(
                "select s.tenant_id, s.active, s.settings, s.revision, s.event_seq, s.row_seq, s.file_number, s.parked, \
                 coalesce(h.seq, 0) as head from cdr_stream s left join event_head h on h.tenant_id = s.tenant_id \
                 where s.tenant_id = $1"
            ),
            args![tenant],
        )
        .await?)
}

fn shown(runtime: &Runtime, tenant: TenantId, stored: Option<&StoredStream>) -> Result<CdrStream> {
    let open = lock(&control(runtime).open).get(&tenant).map(|progress| progress.file.clone());
    let Some(stored) = stored else {
        let settings = CdrSettings::default();
        return Ok(CdrStream { active: false, settings, revision: 0, closed_seq: 0, closed_number: 0, open });
    };
    Ok(CdrStream {
        active: stored.active,
        settings: settings::stored(&stored.settings)?,
        revision: stored.revision,
        closed_seq: stored.row_seq,
        closed_number: stored.file_number,
        open,
    })
}

/// Whether and how the tenant's records are written, and how far they have come.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn get(scope: &Scope) -> Result<CdrStream> {
    scope.require(Permission::CdrView)?;
    let stored = stream_of(&mut scope.read().await?, scope.tenant()).await?;
    shown(scope.runtime(), scope.tenant(), stored.as_ref())
}

record! { struct Head { seq: i64 } }

/// Switches the tenant's records on or off, or changes how they are written. A file that is open is closed first.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::InvalidUrl`]; refusals of its values.
pub async fn change(scope: &Scope, patch: CdrPatch) -> Result<CdrStream> {
    scope.require(Permission::CdrChange)?;
    let (runtime, tenant, now) = (scope.runtime(), scope.tenant(), scope.now());
    let mut write = scope.write().await?;
    let stored = stream_of(&mut write, tenant).await?;
    let before = shown(runtime, tenant, stored.as_ref())?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("record settings", before.revision));
    }
    let changed = settings::changed("settings", &before.settings, &CdrSettings::default(), &patch.settings)?;
    if let Some(url) = &changed.upload_url {
        let checked = runtime.outbound.check_url(url);
        checked.map_err(|error| Error::new(Code::InvalidUrl, error.to_string()).at("settings.upload_url"))?;
    }
    let active = patch.active.unwrap_or(before.active);
    let after = CdrStream { active, settings: changed, revision: before.revision + 1, ..before.clone() };
    // Records begin with what comes from now on. Of what was switched off and not parked yet, the writer has still to close
    // the last file: it simply goes on.
    let from_now = stored.as_ref().is_none_or(|stored| stored.parked && active);
    let head: Option<Head> =
        write.optional(sql!("select seq from event_head where tenant_id = $1"), args![tenant]).await?;
    let event_seq = match &stored {
        Some(stored) if !from_now => stored.event_seq,
        _ => head.map_or(0, |head| head.seq),
    };
    let parked = stored.as_ref().is_none_or(|stored| stored.parked) && !active;
    let mut values = args![tenant, active, settings::to_store(&after.settings)?, after.revision, now];
    values.extend(args![event_seq, parked, before.revision, from_now]);
    let written = write
        .execute(
            sql!(
                "insert into cdr_stream (tenant_id, active, settings, revision, changed_at, event_seq, row_seq, file_number, \
                 event_at, parked) values ($1, $2, $3, $4, $5, $6, 0, 0, $5, $7) \
                 on conflict (tenant_id) do update set active = excluded.active, settings = excluded.settings, \
                 revision = excluded.revision, changed_at = excluded.changed_at, parked = excluded.parked, \
                 event_seq = case when $9 then excluded.event_seq else cdr_stream.event_seq end, \
                 event_at = case when $9 then excluded.event_at else cdr_stream.event_at end \
                 where cdr_stream.revision = $8"
            ),
            values,
        )
        .await?;
    if written == 0 {
        return Err(settings::outdated("record settings", after.revision));
    }
    let audited = |stream: &CdrStream| {
        settings::shown(&serde_json::json!({ "active": stream.active, "settings": stream.settings }))
    };
    write.happened(Event::CdrChanged(Change {
        id: tenant.to_string(),
        name: "call detail records".to_owned(),
        before: Some(audited(&before)?),
        after: Some(audited(&after)?),
    }));
    let after = write.commit(after).await?;
    control(runtime).wake.notify_one();
    Ok(after)
}

/// The tenant's closed files, the newest first, from before a number.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope, before: i64, limit: usize) -> Result<Page<CdrFile>> {
    scope.require(Permission::CdrView)?;
    let stored: Vec<StoredFile> = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, number, name, format, compression, first_seq, last_seq, row_count, lost, bytes, sha256, states, \
                 state, reason, opened_at, closed_at, uploaded_at from cdr_file \
                 where tenant_id = $1 and number < $2 order by number desc limit $3"
            ),
            args![scope.tenant(), before, limit as i64 + 1],
        )
        .await?;
    let files = stored.into_iter().map(StoredFile::file).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfull(files, limit, |file| file.number))
}

/// One closed file.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get_file(scope: &Scope, id: CdrFileId) -> Result<CdrFile> {
    scope.require(Permission::CdrView)?;
    find_file(scope, id).await
}

async fn find_file(scope: &Scope, id: CdrFileId) -> Result<CdrFile> {
    let found: Option<StoredFile> = scope
        .read()
        .await?
        .optional(
            sql!(
                "select id, number, name, format, compression, first_seq, last_seq, row_count, lost, bytes, sha256, states, \
                 state, reason, opened_at, closed_at, uploaded_at from cdr_file where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("record file"))?.file()
}

/// Where a closed file lies. Phones stand in it, so it needs `identifier.view` too.
///
/// # Errors
/// [`Code::NotFound`] when its time was over, or somebody took it away.
pub async fn content(scope: &Scope, id: CdrFileId) -> Result<(CdrFile, PathBuf)> {
    scope.require(Permission::CdrDownload)?;
    scope.require(Permission::IdentifierView)?;
    let found = find_file(scope, id).await?;
    let path = file::find(&scope.runtime().config, scope.tenant(), &found.name);
    let path = path.ok_or_else(|| {
        Error::new(Code::NotFound, format!("the content of {} is not here any more", found.name))
    })?;
    let (name, records) = (Some(found.name.clone()), Some(found.rows));
    let mut write = scope.write().await?;
    write.happened(Event::DataExported(Exported { what: "cdr_file".into(), name, records }));
    write.commit(()).await?;
    Ok((found, path))
}

/// Writes what has happened so far and closes the open file. Gives it, or nothing where there was no row to write.
///
/// # Errors
/// [`Code::Conflict`] when records are switched off or the writer does not run; what kept the file from being closed.
pub async fn rotate(scope: &Scope) -> Result<Option<CdrFile>> {
    scope.require(Permission::CdrRotate)?;
    let runtime = scope.runtime();
    let stored = stream_of(&mut scope.read().await?, scope.tenant()).await?;
    if !stored.is_some_and(|stored| stored.active) || !runtime.config.cdr.enabled {
        return Err(Error::new(Code::Conflict, "call detail records are switched off")
            .hint("switch them on under Records, or with `switchboard cdr set --active true`"));
    }
    let (reply, answer) = oneshot::channel();
    let control = control(runtime);
    lock(&control.asked).push(Asked { tenant: scope.tenant(), reply });
    control.wake.notify_one();
    answer.await.map_err(|_| Error::new(Code::ShuttingDown, "the writer of records has stopped"))?
}

/// Rows of a day by the state of their message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CdrDay)]
pub struct Day {
    /// The day on which the files were closed, in UTC: `2027-01-31`.
    pub day: String,
    /// Rows by state.
    pub states: BTreeMap<String, i64>,
}

/// Files that sums are made of; with the usual age of an hour they reach back for more than a month.
const SUMMED_MAX: usize = 1_000;

/// The rows of closed files by day and state, the newest day first.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn sums(scope: &Scope) -> Result<Vec<Day>> {
    let files = list(scope, i64::MAX, SUMMED_MAX).await?.items;
    let mut days: Vec<Day> = Vec::new();
    for file in files {
        let day: String = file.closed_at.to_string().chars().take(10).collect();
        if days.last().is_none_or(|last| last.day != day) {
            days.push(Day { day, states: BTreeMap::new() });
        }
        if let Some(last) = days.last_mut() {
            for (state, rows) in file.states {
                *last.states.entry(state).or_default() += rows;
            }
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests;
