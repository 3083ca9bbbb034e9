//! The job that reads a whole directory, and the clock that asks for it.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use db::{Rows, Tenancy, args, record, sql};
use futures::FutureExt as _;
use runtime::job::{Handler, Outcome};
use runtime::{Actor, Origin, Runtime, Scope};
use types::{Code, DirectoryId, DirectoryRunId, Error, Result, TenantId, Timestamp, UserId};

use super::enter::acting;
use super::entry::{self, Found};
use super::plan::{Action, Known, Plan, Step, Users, leavers_max, plan};
use super::run::{self, DirectoryRun, LISTED_MAX, NewRun, Progress, RunOutcome, Waiting};
use super::wire::{Session, Steps, Trouble};
use super::{Directory, carry, find};
use crate::security_event::{self, Finding, Severity};
use crate::{name, user};

/// The kind of these jobs.
pub const KIND: &str = "identity.directory";
/// Attempts until a reading is given up; the next one comes by the clock.
const ATTEMPTS_MAX: u32 = 4;
/// Changes in one transaction.
const BATCH: usize = 100;
/// Users that one statement reads.
const USERS_AT_ONCE: i64 = 2_000;
/// Directories that are begun at one look.
const DUE_MAX: i64 = 100;
/// Who asks for readings when their time has come.
const CLOCK: Actor = Actor::System("schedule");

record! { struct Due { id: DirectoryId, tenant_id: TenantId } }

/// Begins a reading of each directory whose time has come.
///
/// # Errors
/// When the database does not answer; what was not begun is begun at the next look.
pub async fn start_due(runtime: &Runtime) -> Result<()> {
    let now = runtime.clock.now();
    let due: Vec<Due> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select d.id, d.tenant_id from directory d join tenant t on t.id = d.tenant_id where d.read_next_at <= $1 \
                 and d.active and t.status = 'active' order by d.read_next_at limit $2 /* every tenant: the clock is everybody's */"
            ),
            args![now, DUE_MAX],
        )
        .await?;
    for Due { id, tenant_id } in due {
        let mut tx = runtime.db.write(Tenancy::Tenant(tenant_id)).await?;
        let directory = find(&mut tx, tenant_id, id).await?;
        let pause_ms = i64::from(directory.settings.read_minutes) * 60_000;
        tx.execute(
            sql!("update directory set read_next_at = $3 where tenant_id = $1 and id = $2"),
            args![tenant_id, id, (pause_ms > 0).then(|| now.plus_ms(pause_ms))],
        )
        .await?;
        run::begin(&mut tx, runtime, &directory, &NewRun::default(), &CLOCK).await?;
        tx.commit().await?;
        runtime.job_wake.notify_one();
    }
    Ok(())
}

/// What runs these jobs.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, attempts| {
        async move {
            let Ok(Waiting { directory, run }) = serde_json::from_str(&payload) else {
                return Outcome::Dead("the job cannot be read".to_owned());
            };
            let scope = acting(scope.runtime(), scope.tenant(), Origin::default());
            match read(&scope, directory, run).await {
                Ok(()) => Outcome::Done,
                // It was removed meanwhile.
                Err(error) if error.code() == Code::NotFound => Outcome::Done,
                Err(error) if attempts >= ATTEMPTS_MAX => {
                    match given_up(&scope, directory, run, &error).await {
                        Ok(()) => Outcome::Done,
                        Err(again) => Outcome::Retry(again.message().to_owned()),
                    }
                }
                Err(error) => {
                    tracing::warn!(?error, %directory, "a reading could not be carried out; trying again");
                    Outcome::Retry(error.message().to_owned())
                }
            }
        }
        .boxed()
    })
}

async fn given_up(scope: &Scope, id: DirectoryId, run: DirectoryRunId, error: &Error) -> Result<()> {
    tracing::error!(?error, directory = %id, "a reading is given up");
    let mut tx = scope.read().await?;
    let directory = find(&mut tx, scope.tenant(), id).await?;
    let wanted = run::find_run(&mut tx, scope.tenant(), run).await?;
    drop(tx);
    let outcome = RunOutcome { reason: Some(error.message().to_owned()), ..RunOutcome::default() };
    let entries = usize::try_from(wanted.entries).unwrap_or(0);
    Reading { scope, directory: &directory, wanted: &wanted }.end("failed", entries, &outcome).await
}

async fn read(scope: &Scope, id: DirectoryId, run: DirectoryRunId) -> Result<()> {
    let mut tx = scope.read().await?;
    let directory = find(&mut tx, scope.tenant(), id).await?;
    let wanted = run::find_run(&mut tx, scope.tenant(), run).await?;
    drop(tx);
    if wanted.ended_at.is_some() {
        return Ok(());
    }
    run::progress(scope, run, 0).await?;
    // The library trusts what it is sent to be LDAP; what is not must end this reading alone.
    let people = AssertUnwindSafe(people(scope, &directory, run)).catch_unwind().await;
    let people = people.unwrap_or_else(|_| Err(Trouble::new("the server sent what is no LDAP")));
    if scope.runtime().tasks.stopping().is_cancelled() {
        return Err(Error::new(Code::ShuttingDown, "the server stops"));
    }
    let reading = Reading { scope, directory: &directory, wanted: &wanted };
    match people {
        Ok(people) => reading.follow(people).await,
        Err(Trouble { why, .. }) => {
            let outcome = RunOutcome { reason: Some(why), ..RunOutcome::default() };
            reading.end("failed", 0, &outcome).await
        }
    }
}

async fn people(scope: &Scope, directory: &Directory, run: DirectoryRunId) -> Result<Vec<Found>, Trouble> {
    let (runtime, settings) = (scope.runtime(), &directory.settings);
    let own = directory.password(runtime).await;
    let own = own.map_err(|_| Trouble::new("the password that we ask with cannot be opened"))?;
    let mut session = Session::open(runtime, settings, &mut Steps::default()).await?;
    session.bind_own(&settings.bind_dn, own.expose()).await?;
    let most = runtime.config.directory.entries_max;
    let told = Progress::Run(scope, run);
    entry::read_all(&mut session, settings, (scope.now(), most), told).await
}

record! {
    struct UserRow {
        id: UserId,
        email_folded: String,
        name: String,
        role: String,
        status: String,
        directory_id: Option<DirectoryId>,
        entry: Option<String>,
        dn: Option<String>,
        left_at: Option<Timestamp>,
    }
}

#[derive(serde::Serialize)]
struct Mail {
    mail: String,
}

record! { struct Taken { email_folded: String } }

/// A reading under way.
struct Reading<'a> {
    scope: &'a Scope,
    directory: &'a Directory,
    wanted: &'a DirectoryRun,
}

impl Reading<'_> {
    /// Lets users follow what was read, or says what they would.
    async fn follow(&self, people: Vec<Found>) -> Result<()> {
        let entries = people.len();
        let (users, moved) = self.users(&people).await?;
        let Plan { steps, skipped, leaving, present } = plan(&self.directory.settings, people, &users);
        let listed = steps.iter().take(LISTED_MAX).map(|step| step.action.clone()).collect();
        let mut outcome = RunOutcome { skipped: skipped as u64, changes: listed, ..RunOutcome::default() };
        let bound = leavers_max(&self.directory.settings, present, entries == 0);
        let bound =
            self.wanted.leavers_max.map_or(bound, |said| usize::try_from(said).unwrap_or(0).max(bound));
        if leaving > bound {
            outcome.leaving = Some(leaving as u64);
            outcome.reason = Some(format!("{leaving} of {present} users would go; {bound} may"));
        }
        if self.wanted.dry {
            steps.iter().for_each(|step| count(&mut outcome, &step.action));
            return self.end("done", entries, &outcome).await;
        }
        if leaving > bound {
            self.alert(leaving, present).await?;
            return self.end("held", entries, &outcome).await;
        }
        self.note_moved(moved).await?;
        for batch in steps.chunks(BATCH) {
            if scope_is_stopping(self.scope) {
                return Err(Error::new(Code::ShuttingDown, "the server stops"));
            }
            self.carry_out(batch, &mut outcome).await?;
        }
        self.end("done", entries, &outcome).await
    }

    /// One batch, in one transaction. What was decided on is looked at again: a directory that was switched off, changed or
    /// removed meanwhile changes nobody.
    async fn carry_out(&self, batch: &[Step], outcome: &mut RunOutcome) -> Result<()> {
        let mut write = self.scope.write().await?;
        let now = find(&mut write, self.scope.tenant(), self.directory.id).await?;
        if now.revision != self.directory.revision || !now.active {
            return Err(Error::new(Code::Conflict, "the directory was changed meanwhile"));
        }
        for step in batch {
            match carry::carry_out(&mut write, self.scope, self.directory, step).await? {
                Some(_) => count(outcome, &step.action),
                None => outcome.spared += 1,
            }
        }
        write.commit(()).await
    }

    /// The tenant's users, the addresses of these people that somebody has, and the entries that stand elsewhere than before.
    async fn users(&self, people: &[Found]) -> Result<(Users, Rows)> {
        let seen: HashMap<&str, &str> =
            people.iter().map(|found| (found.entry.as_str(), found.dn.as_str())).collect();
        let (mut users, mut moved) = (Users::default(), Rows::new());
        let mut behind = 0;
        let mut tx = self.scope.read().await?;
        loop {
            let rows: Vec<UserRow> = tx
                .all(
                    sql!(
                        "select u.id, u.email_folded, u.name, u.role, u.status, p.directory_id, p.entry, p.dn, p.left_at \
                         from users u left join directory_person p on p.user_id = u.id and p.tenant_id = u.tenant_id \
                         where u.tenant_id = $1 and u.id > $2 order by u.id limit $3"
                    ),
                    args![self.scope.tenant(), behind, USERS_AT_ONCE],
                )
                .await?;
            let Some(last) = rows.last() else { break };
            behind = last.id.raw();
            for row in rows {
                let known = Known {
                    user: row.id,
                    name: row.name,
                    role: row.role,
                    active: row.status == user::Status::Active.as_str(),
                    left: row.left_at.is_some(),
                };
                match (row.directory_id, row.entry) {
                    (Some(directory), Some(entry)) if directory == self.directory.id => {
                        if let Some(dn) =
                            seen.get(entry.as_str()).filter(|dn| row.dn.as_deref() != Some(**dn))
                        {
                            moved.push([entry.clone().into(), (*dn).to_owned().into()]);
                        }
                        users.tied.insert(entry, known);
                    }
                    (Some(_), _) => {}
                    _ => {
                        users.free.insert(row.email_folded, known);
                    }
                }
            }
        }
        drop(tx);
        users.taken = self.taken(people).await?;
        Ok((users, moved))
    }

    /// Addresses are unique over all tenants, so each of these people's is asked for there.
    async fn taken(&self, people: &[Found]) -> Result<HashSet<String>> {
        let mut taken = HashSet::new();
        let mut tx = self.scope.runtime().db.read(Tenancy::Every).await?;
        for some in people.chunks(USERS_AT_ONCE as usize) {
            let mails = some.iter().filter_map(|found| found.mail.as_deref());
            let mails: Vec<_> = mails.map(|mail| Mail { mail: name::folded(mail) }).collect();
            let rows: Vec<Taken> = tx
                .all(
                    sql!(
                        "select email_folded from users where email_folded in (select r.value ->> 'mail' from json_rows($1) r) \
                         limit $2 /* every tenant: addresses are unique over all of them */"
                    ),
                    vec![db::Arg::json(&mails)?, USERS_AT_ONCE.into()],
                )
                .await?;
            taken.extend(rows.into_iter().map(|row| row.email_folded));
        }
        Ok(taken)
    }

    async fn note_moved(&self, moved: Rows) -> Result<()> {
        if moved.is_empty() {
            return Ok(());
        }
        let mut write = self.scope.write().await?;
        write
            .execute_rows(
                sql!(
                    "update directory_person set dn = r.dn from rows(entry text, dn text) r \
                     where directory_person.tenant_id = $1 and directory_person.directory_id = $2 and directory_person.entry = r.entry"
                ),
                args![self.scope.tenant(), self.directory.id],
                moved,
            )
            .await?;
        write.commit(()).await
    }

    /// Tells those who watch that many would go at once.
    async fn alert(&self, leaving: usize, present: usize) -> Result<()> {
        let finding = Finding {
            tenant: self.scope.tenant(),
            kind: security_event::Kind::DirectoryShrunk,
            severity: Severity::High,
            subject: self.directory.name.clone(),
            user: None,
            detail: format!(
                "{leaving} of {present} users would be shut out; nothing was changed until somebody says yes"
            ),
            count: 1,
            at: self.scope.now(),
        };
        security_event::raise_now(self.scope.runtime(), &finding).await
    }

    async fn end(&self, state: &str, entries: usize, outcome: &RunOutcome) -> Result<()> {
        let mut write = self.scope.write().await?;
        run::end(&mut write, self.scope, (self.directory, self.wanted.id), (state, entries), outcome).await?;
        write.commit(()).await
    }
}

fn scope_is_stopping(scope: &Scope) -> bool {
    scope.runtime().tasks.stopping().is_cancelled()
}

fn count(outcome: &mut RunOutcome, action: &Action) {
    let counted = match action {
        Action::Create { .. } => &mut outcome.created,
        Action::Tie { .. } => &mut outcome.tied,
        Action::Role { .. } => &mut outcome.roles,
        Action::Rename { .. } => &mut outcome.renamed,
        Action::Leave { .. } => &mut outcome.left,
        Action::Return { .. } => &mut outcome.returned,
    };
    *counted += 1;
}
