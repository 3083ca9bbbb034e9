//! The writer: one task that follows every tenant's stream, and closes files.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use db::{Tenancy, args, record, sql};
use runtime::Runtime;
use types::{CdrFileId, Error, Result, TenantId, Timestamp};

use super::file::{self, OPEN, TMP};
use super::format::{Compression, Format, Sink, Trailer};
use super::gather::{Gathered, Group, Position, gather};
use super::{
    Asked, CdrFile, CdrSettings, Control, OpenFile, Progress, StoredStream, control, keep, lock, register,
};
use crate::settings;

/// Stretches of the stream that one tenant gets before the next one's turn.
const STRETCHES_MAX: usize = 20;
/// How long a tenant whose file could not be written waits.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How often the place in the stream is noted while there is nothing to write.
const NOTED_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked for files whose time is over.
const SWEPT_EVERY: Duration = Duration::from_secs(600);
/// Places on the way that are remembered of an open file; beyond it every second one is forgotten.
const MARKS_MAX: usize = 1_024;

/// Starts the writer, where it is switched on.
pub(crate) fn start(runtime: &Runtime) {
    if runtime.config.cdr.enabled {
        runtime.writers.spawn("call detail records", Writer::new(runtime).run());
    }
}

/// Why a file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Lines,
    Bytes,
    Age,
    Asked,
    Settings,
    Off,
    Shutdown,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Bytes => "bytes",
            Self::Age => "age",
            Self::Asked => "asked",
            Self::Settings => "settings",
            Self::Off => "off",
            Self::Shutdown => "shutdown",
        }
    }
}

/// An open file.
struct Open {
    id: CdrFileId,
    number: i64,
    name: String,
    path: PathBuf,
    sink: Sink,
    format: Format,
    compression: Compression,
    first_seq: i64,
    states: BTreeMap<String, i64>,
    opened_at: Timestamp,
    marks: Vec<Position>,
}

/// A tenant whose stream is followed.
struct Followed {
    /// What is committed.
    committed: Position,
    file_number: i64,
    /// How far it has been read, and when what was read last happened.
    position: Position,
    at: Option<Timestamp>,
    lost: i64,
    open: Option<Open>,
    noted: Instant,
}

pub(super) struct Writer {
    runtime: Runtime,
    control: Arc<Control>,
    tenants: HashMap<TenantId, Followed>,
    failed: HashMap<TenantId, Instant>,
}

impl Writer {
    pub(super) fn new(runtime: &Runtime) -> Self {
        let control = control(runtime);
        Self { runtime: runtime.clone(), control, tenants: HashMap::new(), failed: HashMap::new() }
    }

    async fn run(mut self) {
        let stopping = self.runtime.writers.stopping();
        let poll = Duration::from_millis(self.runtime.config.cdr.poll_ms);
        let mut swept: Option<Instant> = None;
        while !stopping.is_cancelled() {
            let more = self.round().await;
            if swept.is_none_or(|swept| swept.elapsed() >= SWEPT_EVERY) {
                swept = Some(Instant::now());
                if let Err(error) = keep::sweep(&self.runtime).await {
                    tracing::warn!(?error, "old record files could not be put away; trying again");
                }
            }
            if !more {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = self.control.wake.notified() => {}
                    () = tokio::time::sleep(poll) => {}
                }
            }
        }
        self.shut().await;
    }

    /// Follows every stream a stretch further and closes what is due. True when there is more to read at once.
    pub(super) async fn round(&mut self) -> bool {
        let mut asked: Vec<Asked> = std::mem::take(&mut *lock(&self.control.asked));
        let streams = match register::streams(&self.runtime).await {
            Ok(streams) => streams,
            Err(error) => {
                tracing::warn!(?error, "the streams of records could not be read; trying again");
                lock(&self.control.asked).append(&mut asked);
                return false;
            }
        };
        let (mut more, mut behind) = (false, 0);
        for stream in streams {
            let tenant = stream.tenant_id;
            if self.failed.get(&tenant).is_some_and(|failed| failed.elapsed() < PAUSE_AFTER_FAILURE) {
                continue;
            }
            let (mine, others): (Vec<_>, Vec<_>) = asked.into_iter().partition(|one| one.tenant == tenant);
            asked = others;
            match self.follow(&stream, !mine.is_empty()).await {
                Ok(Pass { closed, more_to_read }) => {
                    self.failed.remove(&tenant);
                    more |= more_to_read;
                    if more_to_read {
                        // Closed when all that had happened is written.
                        lock(&self.control.asked).extend(mine);
                    } else {
                        mine.into_iter().for_each(|one| drop(one.reply.send(Ok(closed.clone()))));
                    }
                    behind += self.tenants.get(&tenant).map_or(0, |one| stream.head - one.position.event);
                }
                Err(error) => self.give_up(tenant, &error, mine),
            }
        }
        for one in asked {
            if self.failed.contains_key(&one.tenant) {
                // Its pause is not over: it is answered by the next try.
                lock(&self.control.asked).push(one);
            } else {
                // Switched off meanwhile: what was open is closed.
                drop(one.reply.send(Ok(None)));
            }
        }
        metrics::gauge!("switchboard_cdr_events_behind").set(behind as f64);
        more
    }

    /// Throws away what is open of a tenant: it is written again from what is committed.
    fn give_up(&mut self, tenant: TenantId, error: &Error, asked: Vec<Asked>) {
        tracing::error!(?error, %tenant, "records could not be written; they are written again from the last closed file");
        metrics::counter!("switchboard_cdr_failures_total").increment(1);
        self.tenants.remove(&tenant);
        lock(&self.control.open).remove(&tenant);
        self.failed.insert(tenant, Instant::now());
        for one in asked {
            drop(one.reply.send(Err(Error::new(error.code(), error.message()))));
        }
    }

    async fn follow(&mut self, stream: &StoredStream, asked: bool) -> Result<Pass> {
        let tenant = stream.tenant_id;
        let committed = Position { event: stream.event_seq, row: stream.row_seq };
        if self.tenants.get(&tenant).is_none_or(|one| one.committed != committed) {
            let fresh = self.begin(stream, committed).await?;
            self.tenants.insert(tenant, fresh);
        }
        let settings: CdrSettings = settings::stored(&stream.settings)?;
        let mut pass = Pass { closed: None, more_to_read: false };
        let odd = |open: &Open| open.format != settings.format || open.compression != settings.compression;
        if self.open(tenant).is_some_and(odd) {
            pass.closed = self.close(tenant, &settings, Reason::Settings).await?;
        }
        for stretch in 0..STRETCHES_MAX {
            let Some(followed) = self.tenants.get(&tenant) else { break };
            if followed.position.event >= stream.head {
                break;
            }
            let gathered = gather(&self.runtime.db, tenant, followed.position).await?;
            if gathered.at.is_none() {
                break;
            }
            if let Some(closed) = self.take(tenant, &settings, gathered).await? {
                pass.closed = Some(closed);
            }
            pass.more_to_read = stretch + 1 == STRETCHES_MAX;
        }
        let due = self.open(tenant).and_then(|open| self.due(open));
        let reason = match (pass.more_to_read, stream.active) {
            (true, _) => due,
            (false, false) => Some(Reason::Off),
            (false, true) => due.or(asked.then_some(Reason::Asked)),
        };
        if let Some(reason) = reason
            && let Some(closed) = self.close(tenant, &settings, reason).await?
        {
            pass.closed = Some(closed);
        }
        if stream.active || pass.more_to_read {
            self.note(tenant).await?;
        } else {
            self.park(tenant).await?;
        }
        self.show(tenant);
        Ok(pass)
    }

    fn open(&self, tenant: TenantId) -> Option<&Open> {
        self.tenants.get(&tenant)?.open.as_ref()
    }

    /// Takes a tenant up where the last closed file ends, and brings its folder to that.
    async fn begin(&self, stream: &StoredStream, committed: Position) -> Result<Followed> {
        let tenant = stream.tenant_id;
        let mut tx = self.runtime.db.read(Tenancy::Tenant(tenant)).await?;
        let last: Vec<Registered> = tx
            .all(
                sql!("select name, sha256 from cdr_file where tenant_id = $1 order by number desc limit 10"),
                args![tenant],
            )
            .await?;
        drop(tx);
        let registered = last.into_iter().map(|one| (one.name, one.sha256)).collect();
        let (folder, number) = (file::folder(&self.runtime.config, tenant), stream.file_number);
        let tidied =
            blocking(move || file::tidy(&folder, &registered, number).map_err(Error::internal)).await?;
        if tidied.set_aside > 0 {
            tracing::warn!(%tenant, files = tidied.set_aside,
                "closed record files are not registered: the database is older than their folder; they were set aside");
        }
        if tidied.renamed + tidied.thrown_away > 0 {
            tracing::info!(%tenant, renamed = tidied.renamed, thrown_away = tidied.thrown_away,
                "record files of an earlier run were taken up");
        }
        Ok(Followed {
            committed,
            file_number: number,
            position: committed,
            at: None,
            lost: 0,
            open: None,
            noted: Instant::now(),
        })
    }

    /// Writes what was gathered; a file is closed where it has its lines. Gives the last one that was closed.
    async fn take(
        &mut self,
        tenant: TenantId,
        settings: &CdrSettings,
        gathered: Gathered,
    ) -> Result<Option<CdrFile>> {
        let lines_max = self.runtime.config.cdr.lines_max;
        let mut closed = None;
        if let Some(followed) = self.tenants.get_mut(&tenant) {
            followed.lost += gathered.lost;
        }
        if gathered.lost > 0 {
            tracing::warn!(%tenant, lost = gathered.lost, "events were forgotten before their records were written");
            metrics::counter!("switchboard_cdr_lost_total").increment(gathered.lost.unsigned_abs());
        }
        let mut groups = gathered.groups.into_iter().peekable();
        while groups.peek().is_some() {
            let taken = self.open(tenant).map_or(0, |open| {
                self.tenants.get(&tenant).map_or(0, |one| one.position.row) - open.first_seq + 1
            });
            let mut room = lines_max - taken;
            let mut some: Vec<Group> = Vec::new();
            while let Some(group) = groups.next_if(|_| room > 0) {
                room -= group.rows.len() as i64;
                some.push(group);
            }
            self.write(tenant, settings, some).await?;
            if let Some(reason) = self.open(tenant).and_then(|open| self.due(open)) {
                closed = self.close(tenant, settings, reason).await?;
            }
        }
        if let Some(followed) = self.tenants.get_mut(&tenant) {
            followed.position = gathered.position;
            followed.at = gathered.at;
        }
        Ok(closed)
    }

    /// Writes whole groups into the open file, which begins with the first.
    async fn write(&mut self, tenant: TenantId, settings: &CdrSettings, groups: Vec<Group>) -> Result<()> {
        let Some(last) = groups.last().map(|group| (group.position, group.at)) else { return Ok(()) };
        let Some(followed) = self.tenants.get_mut(&tenant) else { return Ok(()) };
        let now = self.runtime.clock.now();
        let open = match followed.open.take() {
            Some(open) => open,
            None => {
                let number = followed.file_number + 1;
                let name = file::name(tenant, number, now, settings.format, settings.compression);
                let folder = file::folder(&self.runtime.config, tenant);
                let (id, first_seq) = (self.runtime.ids.next(), followed.position.row + 1);
                let (format, compression) = (settings.format, settings.compression);
                blocking(move || {
                    file::make_folder(&folder).map_err(Error::internal)?;
                    let path = folder.join(format!("{name}{OPEN}"));
                    let sink =
                        Sink::begin(file::create(&path).map_err(Error::internal)?, format, compression)?;
                    let (states, marks) = (BTreeMap::new(), Vec::new());
                    Ok(Open {
                        id,
                        number,
                        name,
                        path,
                        sink,
                        format,
                        compression,
                        first_seq,
                        states,
                        opened_at: now,
                        marks,
                    })
                })
                .await?
            }
        };
        let rows_before = followed.position.row;
        let open = blocking(move || {
            let mut open = open;
            for group in &groups {
                open.sink.write(&group.rows)?;
                for row in &group.rows {
                    match open.states.get_mut(&row.state) {
                        Some(rows) => *rows += 1,
                        None => drop(open.states.insert(row.state.clone(), 1)),
                    }
                }
            }
            open.sink.flush()?;
            Ok(open)
        })
        .await?;
        metrics::counter!("switchboard_cdr_rows_total").increment((last.0.row - rows_before).unsigned_abs());
        followed.position = last.0;
        followed.at = Some(last.1);
        let marks = &mut followed.open.insert(open).marks;
        marks.push(last.0);
        if marks.len() > MARKS_MAX {
            let mut at = 0;
            marks.retain(|_| {
                at += 1;
                at % 2 == 0
            });
        }
        Ok(())
    }

    /// Whether a file has all it may have.
    fn due(&self, open: &Open) -> Option<Reason> {
        let config = &self.runtime.config.cdr;
        let rows: i64 = open.states.values().sum();
        let age_ms = self.runtime.clock.now().since_ms(open.opened_at);
        if rows >= config.lines_max {
            Some(Reason::Lines)
        } else if open.sink.bytes() >= config.bytes_max {
            Some(Reason::Bytes)
        } else if age_ms >= config.age_max_s.saturating_mul(1_000) {
            Some(Reason::Age)
        } else {
            None
        }
    }

    /// Closes the open file: complete on the disk, then registered together with the place that it reaches, then named.
    /// Nobody sees a file under its name that is not registered, and what a crash leaves unregistered is written again.
    async fn close(
        &mut self,
        tenant: TenantId,
        settings: &CdrSettings,
        reason: Reason,
    ) -> Result<Option<CdrFile>> {
        let Some(followed) = self.tenants.get_mut(&tenant) else { return Ok(None) };
        let Some(open) = followed.open.take() else { return Ok(None) };
        let began = Instant::now();
        let Open { id, number, name, path, sink, format, compression, first_seq, states, opened_at, .. } =
            open;
        let rows: i64 = states.values().sum();
        let position = followed.position;
        let trailer =
            Trailer { file: number, rows, first_seq, last_seq: position.row, reason: reason.as_str() };
        let trailer = self.runtime.config.cdr.trailer.then_some(trailer);
        let folder = file::folder(&self.runtime.config, tenant);
        let (complete, closed) = (folder.join(format!("{name}{TMP}")), folder.join(&name));
        let passing = complete.clone();
        let made = blocking(move || {
            sink.finish(trailer.as_ref())?;
            file::compress(&path, &passing, compression, format).map_err(Error::internal)
        })
        .await?;
        let file = CdrFile {
            id,
            number,
            name,
            format: format.as_str().to_owned(),
            compression: compression.as_str().to_owned(),
            first_seq,
            last_seq: position.row,
            rows,
            lost: followed.lost,
            bytes: made.bytes,
            sha256: made.sha256,
            states,
            state: "closed".to_owned(),
            reason: reason.as_str().to_owned(),
            opened_at,
            closed_at: self.runtime.clock.now(),
            uploaded_at: None,
        };
        let at = followed.at.unwrap_or(file.closed_at);
        register::register(&self.runtime, tenant, &file, followed.committed, position, at, settings).await?;
        blocking(move || {
            std::fs::rename(&complete, &closed)
                .and_then(|()| file::sync_folder(&folder))
                .map_err(Error::internal)
        })
        .await?;
        followed.committed = position;
        followed.file_number = number;
        followed.lost = 0;
        followed.noted = Instant::now();
        metrics::counter!("switchboard_cdr_files_total", "reason" => file.reason.clone()).increment(1);
        metrics::histogram!("switchboard_cdr_close_seconds").record(began.elapsed().as_secs_f64());
        Ok(Some(file))
    }

    /// Notes now and then how far a stream has been read that has nothing to write, so that what was passed over may be
    /// forgotten.
    async fn note(&mut self, tenant: TenantId) -> Result<()> {
        let Some(followed) = self.tenants.get_mut(&tenant) else { return Ok(()) };
        let idle = followed.open.is_none() && followed.lost == 0 && followed.position != followed.committed;
        if !idle || followed.noted.elapsed() < NOTED_EVERY {
            return Ok(());
        }
        let at = followed.at.unwrap_or_else(|| self.runtime.clock.now());
        let mut tx = self.runtime.db.write(Tenancy::Tenant(tenant)).await?;
        let noted = tx
            .execute(
                sql!("update cdr_stream set event_seq = $3, event_at = $4 where tenant_id = $1 and event_seq = $2"),
                args![tenant, followed.committed.event, followed.position.event, at],
            )
            .await?;
        tx.commit().await?;
        if noted == 1 {
            followed.committed = followed.position;
        }
        followed.noted = Instant::now();
        Ok(())
    }

    /// Leaves a stream that was switched off, when all that came before is closed.
    async fn park(&mut self, tenant: TenantId) -> Result<()> {
        let mut tx = self.runtime.db.write(Tenancy::Tenant(tenant)).await?;
        tx.execute(
            sql!("update cdr_stream set parked = true where tenant_id = $1 and not active"),
            args![tenant],
        )
        .await?;
        tx.commit().await?;
        self.tenants.remove(&tenant);
        Ok(())
    }

    /// Lets the API see how far the open file is.
    fn show(&self, tenant: TenantId) {
        let mut shown = lock(&self.control.open);
        let followed = self.tenants.get(&tenant);
        let Some((followed, open)) = followed.and_then(|one| Some((one, one.open.as_ref()?))) else {
            shown.remove(&tenant);
            return;
        };
        let file = OpenFile {
            number: open.number,
            first_seq: open.first_seq,
            last_seq: followed.position.row,
            bytes: open.sink.bytes(),
            opened_at: open.opened_at,
        };
        shown.insert(tenant, Progress { file, marks: open.marks.clone() });
    }

    /// Reads what has happened until now, closes every file, and refuses whoever still waits.
    pub(super) async fn shut(&mut self) {
        self.round().await;
        let streams = register::streams(&self.runtime).await.unwrap_or_default();
        for stream in streams {
            let Ok(settings) = settings::stored(&stream.settings) else { continue };
            if let Err(error) = self.close(stream.tenant_id, &settings, Reason::Shutdown).await {
                tracing::warn!(?error, "a record file could not be closed; the next start writes it again");
            }
            self.show(stream.tenant_id);
        }
        lock(&self.control.asked).clear();
    }
}

/// What one turn of a tenant brought.
struct Pass {
    closed: Option<CdrFile>,
    more_to_read: bool,
}

record! { struct Registered { name: String, sha256: String } }

/// Work on the disk, beside the threads that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}
