//! Hours: when messages may go, and how many parts a second.

use db::{OnConflict, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, HoursId, KeyId, Page, Permission, Result, RouteId, TenantId, Timestamp};

use crate::gate::Reach;
use crate::settings::{self, Patch};

pub mod api;
mod decide;
pub mod pages;
pub mod week;

pub(crate) use decide::Calendar;
pub use week::{Day, Window};

/// A rule of working hours and throughput. All rules that are about a message hold: it goes when all of them are open, and
/// as fast as the slowest.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Hours {
    /// Its id.
    pub id: HoursId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What people call it; unique within the tenant. Senders of refused messages see it.
    pub name: String,
    /// Whether it is asked at all.
    pub active: bool,
    /// When messages may go, how fast, and whose.
    pub rule: HoursRule,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// When messages may go, how fast, and whose.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HoursRule {
    /// Whose messages; all when empty. For promotions give the intent `marketing`.
    pub reach: Reach,
    /// Only messages that these routes take.
    pub routes: Vec<RouteId>,
    /// Only messages of these API keys.
    pub keys: Vec<KeyId>,
    /// When they may go; at any time when empty.
    pub windows: Vec<Window>,
    /// Days on which no window begins: `2027-01-01`.
    pub holidays: Vec<String>,
    /// The zone of the windows (IANA); the tenant's own when not given.
    pub time_zone: Option<String>,
    /// What happens to a message outside of the windows.
    pub outside: Outside,
    /// Message parts a second over all that the rule is about, 1 to 1,000,000; as fast as they come when not given.
    pub parts_per_second: Option<u32>,
}

/// What happens to a message outside of the windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// It is accepted and goes when the next window begins, unless its sender's validity ends before.
    #[default]
    Postpone,
    /// It is refused.
    Refuse,
}

impl Outside {
    /// The name that the API and forms hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postpone => "postpone",
            Self::Refuse => "refuse",
        }
    }
}

/// Rules of a tenant.
const RULES_MAX: i64 = 200;
const ROUTES_MAX: usize = 100;
const KEYS_MAX: usize = 100;

impl HoursRule {
    fn checked(mut self) -> Result<Self> {
        self.reach = self.reach.checked()?;
        settings::at_most("rule.routes", &self.routes, ROUTES_MAX)?;
        settings::at_most("rule.keys", &self.keys, KEYS_MAX)?;
        if let Some(zone) = &self.time_zone {
            self.time_zone =
                Some(identity::name::time_zone(zone).map_err(|error| error.at("rule.time_zone"))?);
        }
        let zone = week::zone(self.time_zone.as_deref().unwrap_or("UTC"));
        week::Week::new(zone, &self.windows, &self.holidays)?;
        self.holidays = self.holidays.iter().map(|day| day.trim().to_owned()).collect();
        self.holidays.sort();
        self.holidays.dedup();
        if let Some(rate) = &self.parts_per_second {
            settings::within("rule.parts_per_second", rate, &(1..=1_000_000))?;
        }
        if self.windows.is_empty() && self.parts_per_second.is_none() {
            return Err(Error::invalid("rule.windows", "a rule has windows, a rate, or both"));
        }
        Ok(self)
    }
}

record! { struct Found { id: i64 } }

/// Refuses a rule that names what is not the tenant's.
async fn refuse_strangers(tx: &mut db::Tx, tenant: TenantId, rule: &HoursRule) -> Result<()> {
    let ids: Vec<_> = rule.routes.iter().map(|id| serde_json::json!({ "id": id.raw() })).collect();
    let known: Vec<Found> = tx
        .all(
            sql!(
                "select id from route where tenant_id = $1
                 and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
            ),
            args![tenant, db::Arg::json(&ids)?],
        )
        .await?;
    match rule.routes.iter().find(|id| known.iter().all(|known| known.id != id.raw())) {
        Some(stranger) => Err(Error::invalid("rule.routes", format!("there is no route {stranger}"))),
        None => Ok(()),
    }
}

/// A rule to be created.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHours {
    /// What people call it.
    pub name: String,
    /// Whether it is asked at all; true when not given.
    pub active: Option<bool>,
    /// When messages may go, how fast, and whose.
    #[schema(value_type = HoursRule)]
    pub rule: Patch,
}

/// A change to a rule. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoursPatch {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it is asked at all.
    pub active: Option<bool>,
    /// When messages may go, how fast, and whose.
    #[serde(default)]
    #[schema(value_type = HoursRule)]
    pub rule: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: HoursId, tenant_id: TenantId, name: String, active: bool, rule: String, revision: i64,
        created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn rule(self) -> Result<Hours> {
        Ok(Hours {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            active: self.active,
            rule: settings::stored(&self.rule)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// A tenant's rules, the oldest first.
pub(crate) async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Hours>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, active, rule, revision, created_at, changed_at
                 from hours where tenant_id = $1 order by id limit $2"
            ),
            args![tenant, RULES_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::rule).collect()
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is a hours rule named {name:?} already")).at("name")
}

/// Creates a rule. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`]; [`Code::Conflict`] when the tenant has as many as it may; refusals of its values.
pub async fn create(scope: &Scope, new: NewHours) -> Result<Hours> {
    scope.require(Permission::HoursCreate)?;
    let now = scope.now();
    let nothing = HoursRule::default();
    let rule = Hours {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        name: identity::name::given("name", &new.name)?,
        active: new.active.unwrap_or(true),
        rule: settings::changed("rule", &nothing, &nothing, &new.rule)?.checked()?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    if of_tenant(&mut write, rule.tenant).await?.len() as i64 >= RULES_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {RULES_MAX} hours rules already")));
    }
    refuse_strangers(&mut write, rule.tenant, &rule.rule).await?;
    let inserted = write.execute(
        sql!(
            "insert into hours (id, tenant_id, name, active, rule, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)"
        ),
        args![
            rule.id,
            rule.tenant,
            &rule.name,
            rule.active,
            settings::to_store(&rule.rule)?,
            rule.revision,
            now
        ],
    );
    inserted.await.on_unique(|| taken(&rule.name))?;
    write.happened(Event::HoursCreated(audited(&rule, None, Some(&rule))?));
    write.commit(rule).await
}

/// All rules,, the oldest first; there is one page, because a tenant has 200 at most.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<Hours>> {
    scope.require(Permission::HoursView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One rule.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: HoursId) -> Result<Hours> {
    scope.require(Permission::HoursView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: HoursId) -> Result<Hours> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, active, rule, revision, created_at, changed_at
                 from hours where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("hours rule"))?.rule()
}

/// Changes a rule. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`]; refusals
/// of its values.
pub async fn change(scope: &Scope, id: HoursId, patch: HoursPatch) -> Result<Hours> {
    scope.require(Permission::HoursChange)?;
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("hours rule", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    after.active = patch.active.unwrap_or(before.active);
    let nothing = HoursRule::default();
    after.rule = settings::changed("rule", &before.rule, &nothing, &patch.rule)?.checked()?;
    after.revision += 1;
    after.changed_at = scope.now();
    refuse_strangers(&mut write, after.tenant, &after.rule).await?;
    let changed = write.execute(
        sql!(
            "update hours set name = $3, active = $4, rule = $5, revision = $6, changed_at = $7
             where tenant_id = $1 and id = $2 and revision = $8"
        ),
        args![
            after.tenant,
            id,
            &after.name,
            after.active,
            settings::to_store(&after.rule)?,
            after.revision,
            after.changed_at,
            before.revision
        ],
    );
    if changed.await.on_unique(|| taken(&after.name))? == 0 {
        return Err(settings::outdated("hours rule", after.revision));
    }
    write.happened(Event::HoursChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Deletes a rule. Messages that it postponed keep their time. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: HoursId) -> Result<()> {
    scope.require(Permission::HoursDelete)?;
    let mut write = scope.write().await?;
    let rule = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from hours where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::HoursDeleted(audited(&rule, Some(&rule), None)?));
    write.commit(()).await
}

fn audited(rule: &Hours, before: Option<&Hours>, after: Option<&Hours>) -> Result<Change> {
    Ok(Change {
        id: rule.id.to_string(),
        name: rule.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}
