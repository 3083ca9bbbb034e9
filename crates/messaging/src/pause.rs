//! Pauses: what is accepted and kept, and does not leave, until somebody lets it go on.
//!
//! A pause is about a connection, an account, a route, an intent or the whole tenant. Its messages stay `queued`, wait in
//! the table without a place in memory, and say which pause they wait for. When it is ended they come back as if their
//! time had come: as places come free, under every limit. What a carrier has already is not called back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use db::{OnConflict, Rows, Tenancy, Tx, args, record, sql};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{
    AccountId, Code, ConnectionId, Error, Event, MessageId, Page, PauseId, Permission, Result, RouteId,
    TenantId, Timestamp,
};

use crate::Intent;
use crate::journal::{After, Batch};
use crate::message::Outgoing;
use crate::queue::{Queue, Queued};
use crate::settings;

pub mod api;

/// What a pause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PauseKind)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Everything of the tenant.
    Tenant,
    /// What goes through a connection. It stays bound, and receipts come in.
    Connection,
    /// What an SMPP account has submitted, or the API.
    Account,
    /// What a route takes.
    Route,
    /// What is for one purpose.
    Intent,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Tenant, Self::Connection, Self::Account, Self::Route, Self::Intent];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Connection => "connection",
            Self::Account => "account",
            Self::Route => "route",
            Self::Intent => "intent",
        }
    }
}

/// Something that is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Pause {
    /// Its id.
    pub id: PauseId,
    /// Whose.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What it is about.
    pub kind: Kind,
    /// The connection's, account's or route's id; `api` for the API as an account; the intent; absent for the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why, in its maker's words.
    pub reason: String,
    /// Who paused it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    #[serde(skip)]
    number: i64,
}

/// A pause to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPause {
    /// What it is about.
    pub kind: Kind,
    /// The connection's, account's or route's id; `api` for the API as an account; `otp`, `transactional` or `marketing`.
    /// Absent for the tenant.
    pub target: Option<String>,
    /// Why, at most 200 characters.
    #[serde(default)]
    pub reason: String,
}

const REASON_CHARS_MAX: usize = 200;
/// Pauses that a tenant may have.
const PAUSES_MAX: i64 = 500;
/// The API, where accounts are named.
const API: &str = "api";

record! {
    struct Stored {
        id: PauseId, tenant_id: TenantId, kind: String, target: i64, reason: String, actor: String, created_at: Timestamp,
    }
}

impl Stored {
    fn pause(self) -> Option<Pause> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == self.kind)?;
        Some(Pause {
            id: self.id,
            tenant: self.tenant_id,
            kind,
            target: shown(kind, self.target),
            reason: self.reason,
            by: self.actor,
            since: self.created_at,
            number: self.target,
        })
    }
}

/// A target as people see it.
fn shown(kind: Kind, number: i64) -> Option<String> {
    match kind {
        Kind::Tenant => None,
        Kind::Connection => Some(ConnectionId::from_raw(number).to_string()),
        Kind::Account if number == 0 => Some(API.to_owned()),
        Kind::Account => Some(AccountId::from_raw(number).to_string()),
        Kind::Route => Some(RouteId::from_raw(number).to_string()),
        Kind::Intent => Intent::ALL
            .into_iter()
            .find(|intent| intent.lane() as i64 == number)
            .map(|it| it.as_str().to_owned()),
    }
}

record! { struct Found { id: i64 } }

/// The number of what a pause is about, if the tenant has it.
async fn number(tx: &mut Tx, tenant: TenantId, new: &NewPause) -> Result<i64> {
    let missing = || Error::invalid("target", "name what is to be paused").hint("an id, `api`, or an intent");
    let text = match (new.kind, new.target.as_deref()) {
        (Kind::Tenant, None) => return Ok(0),
        (Kind::Tenant, Some(_)) => {
            return Err(Error::invalid("target", "a pause of the tenant has no target"));
        }
        (_, None) => return Err(missing()),
        (_, Some(text)) => text,
    };
    let there: (i64, &'static str) = match new.kind {
        Kind::Tenant => return Ok(0),
        Kind::Account if text == API => return Ok(0),
        Kind::Intent => {
            let intent = Intent::named(text).ok_or_else(|| {
                Error::invalid(
                    "target",
                    format!("{text:?} is no intent; they are otp, transactional, marketing"),
                )
            })?;
            return Ok(intent.lane() as i64);
        }
        Kind::Connection => (
            text.parse::<ConnectionId>().map_err(|error| error.at("target"))?.raw(),
            sql!("select id from connection where tenant_id = $1 and id = $2"),
        ),
        Kind::Account => (
            text.parse::<AccountId>().map_err(|error| error.at("target"))?.raw(),
            sql!("select id from smpp_account where tenant_id = $1 and id = $2"),
        ),
        Kind::Route => (
            text.parse::<RouteId>().map_err(|error| error.at("target"))?.raw(),
            sql!("select id from route where tenant_id = $1 and id = $2"),
        ),
    };
    let found: Option<Found> = tx.optional(there.1, args![tenant, there.0]).await?;
    found
        .map(|found| found.id)
        .ok_or_else(|| Error::invalid("target", format!("there is no {} {text}", new.kind.as_str())))
}

/// The tenant's pauses, the oldest first; there is one page.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<Pause>> {
    scope.require(Permission::QueueView)?;
    let mut tx = scope.read().await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, kind, target, reason, actor, created_at from pause where tenant_id = $1 order by id limit $2"
            ),
            args![scope.tenant(), PAUSES_MAX],
        )
        .await?;
    Ok(Page { items: stored.into_iter().filter_map(Stored::pause).collect(), next: None })
}

/// One pause.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(scope: &Scope, id: PauseId) -> Result<Pause> {
    scope.require(Permission::QueueView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

/// The pause that keeps a message, for whoever may see the message; nothing when it has just ended.
pub(crate) async fn kept_by(scope: &Scope, id: PauseId) -> Result<Option<Pause>> {
    match present(&mut scope.read().await?, scope.tenant(), id).await {
        Ok(pause) => Ok(Some(pause)),
        Err(error) if error.code() == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn present(tx: &mut Tx, tenant: TenantId, id: PauseId) -> Result<Pause> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, kind, target, reason, actor, created_at from pause where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.and_then(Stored::pause).ok_or_else(|| Error::not_found("pause"))
}

/// Pauses something. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`] when it is paused already; refusals of its values.
pub async fn create(scope: &Scope, new: NewPause) -> Result<Pause> {
    scope.require(Permission::QueueManage)?;
    let reason = new.reason.trim();
    if reason.chars().count() > REASON_CHARS_MAX || reason.contains('\0') {
        return Err(Error::invalid("reason", format!("it takes at most {REASON_CHARS_MAX} characters")));
    }
    let mut write = scope.write().await?;
    let number = number(&mut write, scope.tenant(), &new).await?;
    let pause = Pause {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        kind: new.kind,
        target: shown(new.kind, number),
        reason: reason.to_owned(),
        by: scope.actor().to_string(),
        since: scope.now(),
        number,
    };
    let many: Vec<Found> = write
        .all(sql!("select id from pause where tenant_id = $1 limit $2"), args![scope.tenant(), PAUSES_MAX])
        .await?;
    if many.len() as i64 >= PAUSES_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {PAUSES_MAX} pauses already")));
    }
    let inserted = write.execute(
        sql!(
            "insert into pause (id, tenant_id, kind, target, reason, actor, created_at) values ($1, $2, $3, $4, $5, $6, $7)"
        ),
        args![pause.id, pause.tenant, pause.kind.as_str(), number, &pause.reason, &pause.by, pause.since],
    );
    inserted.await.on_unique(|| Error::new(Code::AlreadyExists, "it is paused already").at("target"))?;
    write.happened(Event::PauseCreated(audited(&pause, None, Some(&pause))?));
    write.commit(pause).await
}

/// Ends a pause: what waited for it goes on, as places come free. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn end(scope: &Scope, id: PauseId) -> Result<()> {
    scope.require(Permission::QueueManage)?;
    let mut write = scope.write().await?;
    let pause = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from pause where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::PauseEnded(audited(&pause, Some(&pause), None)?));
    write.commit(()).await
}

fn audited(pause: &Pause, before: Option<&Pause>, after: Option<&Pause>) -> Result<Change> {
    let target = pause.target.as_deref().unwrap_or_default();
    Ok(Change {
        id: pause.id.to_string(),
        name: format!("{} {target}", pause.kind.as_str()).trim_end().to_owned(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

/// Every tenant's pauses, and those that messages wait for.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn load_all(runtime: &Runtime) -> Result<(Pauses, Vec<PauseId>)> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, kind, target, reason, actor, created_at from pause order by id limit 1000000 \
                 /* every tenant: the engine serves all */"
            ),
            args![],
        )
        .await?;
    let waited_for: Vec<Found> = tx
        .all(
            sql!(
                "select distinct paused_by as id from message where paused_by is not null limit 100000 \
                 /* every tenant: the engine serves all */"
            ),
            args![],
        )
        .await?;
    let waited_for = waited_for.into_iter().map(|found| PauseId::from_raw(found.id)).collect();
    Ok((stored.into_iter().filter_map(Stored::pause).collect(), waited_for))
}

/// The pauses in force, ready to be asked for each message.
#[derive(Debug, Default)]
pub struct Pauses {
    by_scope: HashMap<(TenantId, Kind, i64), PauseId>,
    /// Whether any is about a route, so that a message's route must be found out.
    any_route: bool,
}

impl FromIterator<Pause> for Pauses {
    fn from_iter<I: IntoIterator<Item = Pause>>(pauses: I) -> Self {
        let by_scope: HashMap<_, _> =
            pauses.into_iter().map(|pause| ((pause.tenant, pause.kind, pause.number), pause.id)).collect();
        let any_route = by_scope.keys().any(|(_, kind, _)| *kind == Kind::Route);
        Self { by_scope, any_route }
    }
}

impl Pauses {
    /// The pause that a message for a connection waits for, if it does. `route` finds the route that takes it.
    pub(crate) fn of(
        &self,
        message: &Outgoing,
        connection: ConnectionId,
        route: impl FnOnce() -> Option<RouteId>,
    ) -> Option<PauseId> {
        if self.by_scope.is_empty() {
            return None;
        }
        let asked = |kind, number| self.by_scope.get(&(message.tenant, kind, number)).copied();
        asked(Kind::Tenant, 0)
            .or_else(|| asked(Kind::Connection, connection.raw()))
            .or_else(|| asked(Kind::Account, message.account.map_or(0, AccountId::raw)))
            .or_else(|| asked(Kind::Intent, message.intent.lane() as i64))
            .or_else(|| if self.any_route { asked(Kind::Route, route()?.raw()) } else { None })
    }

    fn contains(&self, id: PauseId) -> bool {
        self.by_scope.values().any(|known| *known == id)
    }
}

/// A message that a pause keeps and whose row does not say so yet. It has its place until then.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    message: Arc<Outgoing>,
    connection: ConnectionId,
    pause: PauseId,
}

/// What the queue knows of pauses.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    pauses: ArcSwap<Pauses>,
    /// Pauses that have ended and for which messages may still wait in the table.
    ended: Mutex<Vec<PauseId>>,
    /// Bounded by the places, which these messages keep.
    aside: Mutex<VecDeque<Aside>>,
}

impl Rest {
    /// The pauses in force.
    pub(crate) fn pauses(&self) -> Arc<Pauses> {
        self.pauses.load_full()
    }

    /// Uses other pauses from now on; what waits for those that are not among them goes on.
    pub(crate) fn set(&self, pauses: Pauses, waited_for: Vec<PauseId>) {
        let before = self.pauses.swap(Arc::new(pauses));
        let now = self.pauses.load();
        let mut ended = lock(&self.ended);
        let over = before.by_scope.values().copied().chain(waited_for).filter(|id| !now.contains(*id));
        let over: Vec<PauseId> = over.filter(|id| !ended.contains(id)).collect();
        ended.extend(over);
    }

    /// Sets a message aside for a pause.
    pub(crate) fn put(&self, message: Arc<Outgoing>, connection: ConnectionId, pause: PauseId) {
        lock(&self.aside).push_back(Aside { message, connection, pause });
    }

    /// Takes a message out that is set aside; false when it is not.
    pub(crate) fn withdraw(&self, message: MessageId) -> bool {
        let mut aside = lock(&self.aside);
        let at = aside.iter().position(|one| one.message.id == message);
        at.and_then(|at| aside.remove(at)).is_some()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Messages that one look puts to rest, or wakes.
const MOVED_MAX: usize = 1_000;

/// Puts messages to rest that a pause keeps: they stay queued and are looked at when their validity ends.
pub(crate) async fn rest(batch: &mut Batch, messages: &[(MessageId, PauseId)]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let rows: Rows = messages.iter().map(|(message, pause)| [(*message).into(), (*pause).into()]).collect();
    batch
        .tx
        .execute_rows(
            sql!(
                "update message set paused_by = r.pause, wake_at = expires_at from rows(id bigint, pause bigint) r \
                 where message.id = r.id and message.state = 'queued' /* every tenant: by ids that the journal made */"
            ),
            args![],
            rows,
        )
        .await?;
    Ok(())
}

/// Puts to rest what the queue has set aside. True when there may be more.
pub(crate) async fn set_aside(batch: &mut Batch, queue: &Queue) -> Result<bool> {
    let aside: Vec<Aside> = lock(&queue.rest.aside).iter().take(MOVED_MAX).cloned().collect();
    if aside.is_empty() {
        return Ok(false);
    }
    let pauses = queue.rest.pauses();
    let (kept, over): (Vec<_>, Vec<_>) = aside.into_iter().partition(|one| pauses.contains(one.pause));
    let full = kept.len() + over.len() == MOVED_MAX;
    let rows: Vec<_> = kept.iter().map(|one| (one.message.id, one.pause)).collect();
    rest(batch, &rows).await?;
    batch.after.extend(kept.iter().map(|one| After::Rests(one.message.id)));
    // Its pause has ended before its row was written: it goes on as it is.
    batch.after.extend(over.into_iter().map(|one| {
        After::Resumes(Queued { message: one.message, connection: one.connection, first: false })
    }));
    Ok(full)
}

record! { struct Resting { id: MessageId } }

/// Wakes some of what waits for a pause that has ended, the oldest first. True when there may be more.
pub(crate) async fn wake_some(batch: &mut Batch, queue: &Queue) -> Result<bool> {
    let Some(ended) = lock(&queue.rest.ended).first().copied() else { return Ok(false) };
    let some: Vec<Resting> = batch
        .tx
        .all(
            sql!(
                "select id from message where paused_by = $1 order by id limit $2 /* every tenant: by a pause's id */"
            ),
            args![ended, MOVED_MAX as i64],
        )
        .await?;
    if some.is_empty() {
        lock(&queue.rest.ended).retain(|known| *known != ended);
        return Ok(true);
    }
    batch
        .tx
        .execute_rows(
            sql!(
                "update message set paused_by = null, \
                 wake_at = case when state = 'queued' and wake_at = expires_at then accepted_at else wake_at end \
                 from rows(id bigint) r where message.id = r.id /* every tenant: by a pause's id */"
            ),
            args![],
            some.iter().map(|one| [one.id.into()]).collect(),
        )
        .await?;
    Ok(true)
}
