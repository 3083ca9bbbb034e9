//! Routes: which message goes through which connection.

use db::{OnConflict, Tenancy, args, record, sql};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{
    AccountId, Address, Code, ConnectionId, Error, Event, Page, Permission, Result, RouteId, TenantId,
    Timestamp,
};

use crate::connection;
use crate::intent::Intent;
use crate::settings::{self, Patch};

pub mod api;
mod decide;
pub mod pages;

pub use decide::{Ask, Candidate, Chosen, Decision, Kept, Liveness, Looked, Routes, Verdict};

/// A routing rule. Rules are asked in their order, and the first that takes the message and has a connection for it
/// decides.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// Its place: the highest is asked first; of equals the oldest.
    pub priority: i32,
    /// Whether it is asked at all.
    pub active: bool,
    /// What it takes, and where it leads.
    pub rule: RouteRule,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// What a route takes, and where it leads. A condition that is not given takes everything; all that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteRule {
    /// Only messages of this account.
    pub account: Option<AccountId>,
    /// Only messages from this sender, in either case; with `*` at its end, from senders that begin so.
    pub sender: Option<String>,
    /// Only messages to numbers that begin with one of these digits, country code first, without `+`.
    pub recipient_prefixes: Vec<String>,
    /// Only messages that are for this.
    pub intents: Vec<Intent>,
    /// The connections that it leads to: the first that is up takes the message, the others stand by.
    pub targets: Vec<ConnectionId>,
}

/// Priorities are from -this to this.
const PRIORITY_MAX: i32 = 1_000_000;
/// What a route has that names no priority; room on both sides.
const PRIORITY_DEFAULT: i32 = 100;
/// Routes of a tenant.
const ROUTES_MAX: i64 = 1_000;
const PREFIXES_MAX: usize = 2_000;
const TARGETS_MAX: usize = 16;
/// The most digits that a number has (E.164).
const PREFIX_DIGITS_MAX: usize = 15;
/// Routes that one look reads at most.
const READ_MAX: i64 = 1_000_000;

impl RouteRule {
    /// The rule in its normal form, when every condition is one that can be met.
    fn checked(mut self) -> Result<Self> {
        settings::at_most("rule.recipient_prefixes", &self.recipient_prefixes, PREFIXES_MAX)?;
        for prefix in &mut self.recipient_prefixes {
            let digits = prefix.trim().trim_start_matches('+').to_owned();
            let plain = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
            if !plain || digits.len() > PREFIX_DIGITS_MAX {
                let why = format!("{prefix:?} is not the beginning of a number, such as 336");
                return Err(Error::invalid("rule.recipient_prefixes", why));
            }
            *prefix = digits;
        }
        self.recipient_prefixes.sort();
        self.recipient_prefixes.dedup();
        if let Some(sender) = &mut self.sender {
            let (text, star) = sender.strip_suffix('*').map_or((sender.as_str(), ""), |text| (text, "*"));
            if text.is_empty() {
                return Err(Error::invalid("rule.sender", "leave it out where any sender will do"));
            }
            // The beginning of a number need not be a number.
            let number = text.trim_start_matches('+').bytes().all(|octet| octet.is_ascii_digit());
            if !(number && star == "*") {
                let address = Address::sender(text).map_err(|error| error.at("rule.sender"))?;
                *sender = format!("{}{star}", address.text);
            } else {
                *sender = format!("{}{star}", text.trim_start_matches('+'));
            }
        }
        self.intents.dedup();
        settings::at_most("rule.intents", &self.intents, Intent::ALL.len())?;
        settings::at_most("rule.targets", &self.targets, TARGETS_MAX)?;
        if self.targets.is_empty() {
            return Err(Error::invalid("rule.targets", "a route leads to at least one connection"));
        }
        Ok(self)
    }
}

/// A route to be created.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRoute {
    /// What people call it.
    pub name: String,
    /// Its place, -1,000,000 to 1,000,000: the highest is asked first; 100 when not given.
    pub priority: Option<i32>,
    /// Whether it is asked at all; true when not given.
    pub active: Option<bool>,
    /// What it takes, and where it leads. `targets` must be given.
    #[schema(value_type = RouteRule)]
    pub rule: Patch,
}

/// A change to a route. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutePatch {
    /// What people call it.
    pub name: Option<String>,
    /// Its place.
    pub priority: Option<i32>,
    /// Whether it is asked at all.
    pub active: Option<bool>,
    /// Conditions and targets; null takes a condition away.
    #[serde(default)]
    #[schema(value_type = RouteRule)]
    pub rule: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: RouteId, tenant_id: TenantId, name: String, priority: i32, active: bool, rule: String, revision: i64,
        created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn route(self) -> Result<Route> {
        Ok(Route {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            priority: self.priority,
            active: self.active,
            rule: settings::stored(&self.rule)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

record! { struct Found { id: i64 } }

/// Refuses a rule that names what is not the tenant's.
async fn refuse_strangers(tx: &mut db::Tx, tenant: TenantId, rule: &RouteRule) -> Result<()> {
    let targets: Vec<_> = rule.targets.iter().map(|id| serde_json::json!({ "id": id.raw() })).collect();
    let known: Vec<Found> = tx
        .all(
            sql!(
                "select id from connection where tenant_id = $1
                 and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
            ),
            args![tenant, db::Arg::json(&targets)?],
        )
        .await?;
    if let Some(stranger) = rule.targets.iter().find(|id| known.iter().all(|known| known.id != id.raw())) {
        return Err(Error::invalid("rule.targets", format!("there is no connection {stranger}")));
    }
    if let Some(account) = rule.account {
        let known: Option<Found> = tx
            .optional(
                sql!("select id from smpp_account where tenant_id = $1 and id = $2"),
                args![tenant, account],
            )
            .await?;
        if known.is_none() {
            return Err(Error::invalid("rule.account", format!("there is no SMPP account {account}")));
        }
    }
    Ok(())
}

/// Refuses to go on while one of the tenant's routes uses what is about to go.
///
/// # Errors
/// [`Code::StillInUse`] naming the route.
pub(crate) async fn refuse_use(
    tx: &mut db::Tx,
    tenant: TenantId,
    uses: impl Fn(&RouteRule) -> bool,
) -> Result<()> {
    match of_tenant(tx, tenant).await?.into_iter().find(|route| uses(&route.rule)) {
        None => Ok(()),
        Some(route) => Err(Error::new(Code::StillInUse, format!("the route {:?} uses it", route.name))
            .hint("change or delete that route first")),
    }
}

async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Route>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, priority, active, rule, revision, created_at, changed_at
                 from route where tenant_id = $1 order by priority desc, id limit $2"
            ),
            args![tenant, ROUTES_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::route).collect()
}

/// Creates a route. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`] for a name that another of the tenant's routes has; [`Code::Conflict`] when the tenant has as
/// many as it may; refusals of its values.
pub async fn create(scope: &Scope, new: NewRoute) -> Result<Route> {
    scope.require(Permission::RouteManage)?;
    let now = scope.now();
    let nothing = RouteRule::default();
    let route = Route {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        name: identity::name::given("name", &new.name)?,
        priority: priority(new.priority.unwrap_or(PRIORITY_DEFAULT))?,
        active: new.active.unwrap_or(true),
        rule: settings::changed("rule", &nothing, &nothing, &new.rule)?.checked()?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    if of_tenant(&mut write, route.tenant).await?.len() as i64 >= ROUTES_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {ROUTES_MAX} routes already")));
    }
    refuse_strangers(&mut write, route.tenant, &route.rule).await?;
    let inserted = write.execute(
        sql!(
            "insert into route (id, tenant_id, name, priority, active, rule, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)"
        ),
        args![
            route.id,
            route.tenant,
            &route.name,
            route.priority,
            route.active,
            settings::to_store(&route.rule)?,
            route.revision,
            now,
        ],
    );
    inserted.await.on_unique(|| taken(&route.name))?;
    write.happened(Event::RouteCreated(audited(&route, None, Some(&route))?));
    write.commit(route).await
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is a route named {name:?} already")).at("name")
}

fn priority(priority: i32) -> Result<i32> {
    settings::within("priority", &priority, &(-PRIORITY_MAX..=PRIORITY_MAX))?;
    Ok(priority)
}

/// All routes, in the order in which they are asked; there is one page, because a tenant has 1,000 at most.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<Route>> {
    scope.require(Permission::RouteView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One route.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: RouteId) -> Result<Route> {
    scope.require(Permission::RouteView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: RouteId) -> Result<Route> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, priority, active, rule, revision, created_at, changed_at
                 from route where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("route"))?.route()
}

/// Changes a route. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`]; refusals
/// of its values.
pub async fn change(scope: &Scope, id: RouteId, patch: RoutePatch) -> Result<Route> {
    scope.require(Permission::RouteManage)?;
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("route", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    after.priority = priority(patch.priority.unwrap_or(before.priority))?;
    after.active = patch.active.unwrap_or(before.active);
    after.rule = settings::changed("rule", &before.rule, &RouteRule::default(), &patch.rule)?.checked()?;
    after.revision += 1;
    after.changed_at = scope.now();
    refuse_strangers(&mut write, after.tenant, &after.rule).await?;
    let changed = write.execute(
        sql!(
            "update route set name = $3, priority = $4, active = $5, rule = $6, revision = $7, changed_at = $8
             where tenant_id = $1 and id = $2 and revision = $9"
        ),
        args![
            after.tenant,
            id,
            &after.name,
            after.priority,
            after.active,
            settings::to_store(&after.rule)?,
            after.revision,
            after.changed_at,
            before.revision,
        ],
    );
    if changed.await.on_unique(|| taken(&after.name))? == 0 {
        return Err(settings::outdated("route", after.revision));
    }
    write.happened(Event::RouteChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Deletes a route. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: RouteId) -> Result<()> {
    scope.require(Permission::RouteManage)?;
    let mut write = scope.write().await?;
    let route = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from route where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::RouteDeleted(audited(&route, Some(&route), None)?));
    write.commit(()).await
}

/// Every tenant's routes, ready to be asked.
///
/// # Errors
/// When the database does not answer.
pub async fn load_all(runtime: &Runtime) -> Result<Routes> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, priority, active, rule, revision, created_at, changed_at
                 from route order by id limit $1 /* every tenant: the engine serves all */"
            ),
            args![READ_MAX],
        )
        .await?;
    Ok(Routes::new(stored.into_iter().map(Stored::route).collect::<Result<Vec<_>>>()?))
}

/// A message that somebody wonders about.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The account that would send it; none for the API.
    pub account: Option<AccountId>,
    /// Its sender; none for no sender.
    pub from: Option<String>,
    /// Its recipient.
    pub to: String,
    /// What it would be for; transactional when not given.
    pub intent: Option<Intent>,
}

/// Where a message would go, in ids and in words.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Tried {
    /// The decision and its reasons.
    #[serde(flatten)]
    pub decision: Decision,
    /// The decision in a sentence.
    pub summary: String,
}

/// Where a message would go now, and why. Nothing is sent.
///
/// # Errors
/// [`Code::InvalidRecipient`], [`Code::InvalidSender`].
pub async fn try_out(
    scope: &Scope,
    trial: &Trial,
    alive: impl Fn(ConnectionId) -> Liveness,
) -> Result<Tried> {
    scope.require(Permission::RouteView)?;
    let recipient = Address::recipient(&trial.to)?;
    let sender = trial.from.as_deref().map(Address::sender).transpose()?;
    let routes = Routes::new(of_tenant(&mut scope.read().await?, scope.tenant()).await?);
    let ask = Ask {
        tenant: scope.tenant(),
        account: trial.account,
        sender: sender.as_ref().map_or("", |sender| sender.text.as_str()),
        recipient: &recipient.text,
        intent: trial.intent.unwrap_or(Intent::Transactional),
    };
    let decision = routes.explain(&ask, alive);
    let summary = match &decision.chosen {
        None if decision.looked_at.is_empty() => "It would be refused: there are no routes.".to_owned(),
        None => "It would be refused: no route takes it.".to_owned(),
        Some(chosen) => {
            let connections = connection::names(scope).await?;
            let connection = connections.iter().find(|named| named.id == chosen.connection);
            let connection = connection.map_or("a connection that is gone", |named| named.name.as_str());
            let route = decision.looked_at.last().map_or("", |looked| looked.name.as_str());
            match chosen.waits {
                false => format!("It would go through {connection}, by the route {route}."),
                true => format!("It would wait for {connection}, which is down, by the route {route}."),
            }
        }
    };
    Ok(Tried { decision, summary })
}

fn audited(route: &Route, before: Option<&Route>, after: Option<&Route>) -> Result<Change> {
    Ok(Change {
        id: route.id.to_string(),
        name: route.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

#[cfg(test)]
mod tests;
