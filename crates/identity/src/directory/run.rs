//! Readings of a whole directory: users follow it, or it is only said what they would.

use db::{Tenancy, Tx, args, record, sql};
use runtime::job;
use runtime::{Actor, Origin, Runtime, Scope, Write};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, DirectoryId, DirectoryRunId, Error, Event, Page, Permission, Result, TenantId, Timestamp};
use web::Paging;

use super::enter::acting;
pub use super::plan::Action;
use super::{Directory, KIND, find};

/// Readings of a directory that are kept.
const RUNS_MAX: i64 = 50;
/// Changes that a reading's outcome lists.
pub(super) const LISTED_MAX: usize = 200;
/// Readings whose jobs are no more that are ended at one look.
const LOST_MAX: i64 = 100;

/// What a reading has changed, or would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct RunOutcome {
    /// People who became users.
    pub created: u64,
    /// Users who were tied to their entries.
    pub tied: u64,
    /// Users who got another role.
    pub roles: u64,
    /// Users who got another name.
    pub renamed: u64,
    /// Users who were shut out.
    pub left: u64,
    /// Users who were let in again.
    pub returned: u64,
    /// People who are no users here, and stay so: without a role, an address, or by the settings.
    pub skipped: u64,
    /// Users who were left alone because they reach over all tenants.
    pub spared: u64,
    /// Why it failed, or is held back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Users who would go, where it is held back for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving: Option<u64>,
    /// The first 200 changes.
    pub changes: Vec<Action>,
}

record! {
    struct RunRow {
        id: DirectoryRunId,
        dry: bool,
        state: String,
        asked_by: String,
        leavers_max: Option<i64>,
        started_at: Timestamp,
        ended_at: Option<Timestamp>,
        entries: i64,
        outcome: String,
    }
}

/// A reading of a directory.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DirectoryRun {
    /// Its id.
    pub id: DirectoryRunId,
    /// Whether it only says what it would change.
    pub dry: bool,
    /// `waiting`, `running`, `done`, `held` (somebody must say that so many may go) or `failed`.
    pub state: String,
    /// Who asked for it.
    pub asked_by: String,
    /// The most users who may go, where somebody has said so.
    pub leavers_max: Option<i64>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// People read so far.
    pub entries: i64,
    /// What it has changed, or would change.
    pub outcome: RunOutcome,
}

impl From<RunRow> for DirectoryRun {
    fn from(row: RunRow) -> Self {
        Self {
            id: row.id,
            dry: row.dry,
            state: row.state,
            asked_by: row.asked_by,
            leavers_max: row.leavers_max,
            started_at: row.started_at,
            ended_at: row.ended_at,
            entries: row.entries,
            outcome: serde_json::from_str(&row.outcome).unwrap_or_default(),
        }
    }
}

/// A reading that is wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewRun {
    /// Whether it only says what it would change; false when not given.
    pub dry: bool,
    /// The most users who may go in it, where that is more than the directory's own bound allows.
    pub leavers_max: Option<i64>,
}

/// What the job of a reading knows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) directory: DirectoryId,
    pub(super) run: DirectoryRunId,
}

/// The readings of a directory that are kept, newest first.
///
/// # Errors
/// Without `identity_provider.view`; `not_found`; a malformed cursor or limit.
pub async fn list(scope: &Scope, id: DirectoryId, paging: &Paging) -> Result<Page<DirectoryRun>> {
    scope.require(Permission::ProviderView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let mut tx = scope.read().await?;
    find(&mut tx, scope.tenant(), id).await?;
    let rows = tx
        .all(
            sql!(
                "select id, dry, state, asked_by, leavers_max, started_at, ended_at, entries, outcome from directory_run \
                 where tenant_id = $1 and directory_id = $2 and id < $3 order by id desc limit $4"
            ),
            args![scope.tenant(), id, behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row: &RunRow| row.id.raw()).map(DirectoryRun::from))
}

pub(super) async fn find_run(tx: &mut Tx, tenant: TenantId, id: DirectoryRunId) -> Result<DirectoryRun> {
    let row: Option<RunRow> = tx
        .optional(
            sql!(
                "select id, dry, state, asked_by, leavers_max, started_at, ended_at, entries, outcome from directory_run \
                 where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    row.map(DirectoryRun::from).ok_or_else(|| Error::not_found("reading of the directory"))
}

/// Begins a reading, which goes on by itself.
///
/// # Errors
/// Without `identity_provider.change`; `not_found`; `conflict` while another runs, and for a directory that is switched off, unless
/// it is only to say what it would change; `step_up_required` to say that more may go than the directory's own bound allows.
pub async fn start(scope: &Scope, id: DirectoryId, wanted: NewRun) -> Result<DirectoryRun> {
    scope.require(Permission::ProviderChange)?;
    if wanted.leavers_max.is_some_and(|most| most < 0) {
        return Err(Error::invalid("leavers_max", "give how many users may go at most"));
    }
    if wanted.leavers_max.is_some() && !wanted.dry {
        scope.require_fresh()?;
    }
    let mut write = scope.write().await?;
    let directory = find(&mut write, scope.tenant(), id).await?;
    if !directory.active && !wanted.dry {
        return Err(Error::new(Code::Conflict, "the directory is switched off")
            .hint("switch it on, or ask for what a reading would change."));
    }
    let Some(run) = begin(&mut write, scope.runtime(), &directory, &wanted, scope.actor()).await? else {
        return Err(Error::new(Code::Conflict, "the directory is being read already"));
    };
    let run = find_run(&mut write, scope.tenant(), run).await?;
    let run = write.commit(run).await?;
    scope.runtime().job_wake.notify_one();
    Ok(run)
}

record! { struct Running { id: DirectoryRunId } }

/// Puts a reading and its job into a transaction; nothing while another runs.
pub(super) async fn begin(
    tx: &mut Tx,
    runtime: &Runtime,
    directory: &Directory,
    wanted: &NewRun,
    by: &Actor,
) -> Result<Option<DirectoryRunId>> {
    let (tenant, now) = (directory.tenant, runtime.clock.now());
    // One that waits for this row sees what the other has begun.
    tx.execute(
        sql!("update directory set revision = revision where tenant_id = $1 and id = $2"),
        args![tenant, directory.id],
    )
    .await?;
    let running: Option<Running> = tx
        .optional(
            sql!(
                "select r.id from directory_run r join job j on j.tenant_id = r.tenant_id and j.id = r.job_id and not j.dead \
                 where r.tenant_id = $1 and r.directory_id = $2 and r.ended_at is null order by r.id desc limit 1"
            ),
            args![tenant, directory.id],
        )
        .await?;
    if running.is_some() {
        return Ok(None);
    }
    let run: DirectoryRunId = runtime.ids.next();
    let job = job::enqueue(tx, runtime, tenant, KIND, &Waiting { directory: directory.id, run }, now).await?;
    tx.execute(
        sql!(
            "insert into directory_run (id, tenant_id, directory_id, dry, state, asked_by, leavers_max, started_at, entries, \
             outcome, job_id) values ($1, $2, $3, $4, 'waiting', $5, $6, $7, 0, '{}', $8)"
        ),
        args![run, tenant, directory.id, wanted.dry, by.to_string(), wanted.leavers_max, now, job],
    )
    .await?;
    tx.execute(
        sql!(
            "delete from directory_run where tenant_id = $1 and directory_id = $2 and id not in (select id from directory_run \
             where tenant_id = $1 and directory_id = $2 order by id desc limit $3)"
        ),
        args![tenant, directory.id, RUNS_MAX],
    )
    .await?;
    Ok(Some(run))
}

record! { struct Lost { id: DirectoryRunId, tenant_id: TenantId, directory_id: DirectoryId, entries: i64 } }

/// Ends the readings that nothing carries out any more, because their jobs were given up or are gone. A reading whose server was
/// killed is none of them: its job is taken up again.
///
/// # Errors
/// When the database does not answer; what was not ended is ended at the next look.
pub async fn end_lost(runtime: &Runtime) -> Result<()> {
    let lost: Vec<Lost> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select r.id, r.tenant_id, r.directory_id, r.entries from directory_run r \
                 left join job j on j.tenant_id = r.tenant_id and j.id = r.job_id and not j.dead \
                 where r.ended_at is null and j.id is null order by r.id limit $1 /* every tenant: each ends its own */"
            ),
            args![LOST_MAX],
        )
        .await?;
    for one in lost {
        let scope = acting(runtime, one.tenant_id, Origin::default());
        let mut write = scope.write().await?;
        let directory = find(&mut write, one.tenant_id, one.directory_id).await?;
        let reason = "the work was given up before its end".to_owned();
        let outcome = RunOutcome { reason: Some(reason), ..RunOutcome::default() };
        let entries = usize::try_from(one.entries).unwrap_or(0);
        end(&mut write, &scope, (&directory, one.id), ("failed", entries), &outcome).await?;
        write.commit(()).await?;
    }
    Ok(())
}

/// Whom a long search tells how far it is.
#[derive(Clone, Copy)]
pub(super) enum Progress<'a> {
    /// Nobody.
    Untold,
    /// Whoever looks at a reading.
    Run(&'a Scope, DirectoryRunId),
}

impl Progress<'_> {
    /// So many entries were read.
    pub(super) async fn at(self, entries: usize) {
        let Self::Run(scope, run) = self else { return };
        if let Err(error) = progress(scope, run, entries).await {
            tracing::debug!(?error, "how far a reading is could not be written");
        }
    }
}

/// Writes how far a reading is.
pub(super) async fn progress(scope: &Scope, run: DirectoryRunId, entries: usize) -> Result<()> {
    let mut write = scope.write().await?;
    write
        .execute(
            sql!(
                "update directory_run set state = 'running', entries = $3 where tenant_id = $1 and id = $2 and ended_at is null"
            ),
            args![scope.tenant(), run, entries as i64],
        )
        .await?;
    write.commit(()).await
}

/// Ends a reading in a transaction, with the event that tells of it.
pub(super) async fn end(
    write: &mut Write,
    scope: &Scope,
    (directory, run): (&Directory, DirectoryRunId),
    (state, entries): (&str, usize),
    outcome: &RunOutcome,
) -> Result<()> {
    write
        .execute(
            sql!(
                "update directory_run set state = $3, entries = $4, outcome = $5, ended_at = $6 where tenant_id = $1 and id = $2"
            ),
            args![
                scope.tenant(),
                run,
                state,
                entries as i64,
                serde_json::to_string(outcome).map_err(Error::internal)?,
                scope.now()
            ],
        )
        .await?;
    let told = find_run(write, scope.tenant(), run).await?;
    // Each change has an event of its own; here it is how many.
    let told = DirectoryRun { outcome: RunOutcome { changes: Vec::new(), ..told.outcome }, ..told };
    write.happened(Event::DirectoryRead(Change {
        id: directory.id.to_string(),
        name: directory.name.clone(),
        before: None,
        after: serde_json::to_value(&told).ok(),
    }));
    Ok(())
}
