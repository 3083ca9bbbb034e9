//! Alert rules: who is told of which security events, by mail to people of the tenant and by a signed webhook.
//!
//! What is told is a job in the transaction that raises the event. A webhook is signed as
//! [Standard Webhooks](https://www.standardwebhooks.com) has it and goes out only to where this server may speak.

use db::{Arg, OnConflict, Tx, args, record, sql};
use runtime::{Scope, webhook};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{AlertRuleId, Code, Error, Event, Page, Permission, Result, TenantId, Timestamp, UserId};

use crate::encryption::{self, Sealed};
use crate::security_event::{Kind, SecurityEvent, Severity};
use crate::{name, user};

pub mod api;
pub mod pages;
mod told;

pub(crate) use told::enqueue;
pub use told::{AlertTrial, KIND, handler, test};

/// Rules of a tenant.
const RULES_MAX: i64 = 50;
/// People that a rule tells.
const PEOPLE_MAX: usize = 50;

/// The sealed secrets, for whoever seals them anew.
pub const SEALED: Sealed = Sealed {
    title: "Secrets of alerts' webhooks",
    table: "alert_rule",
    column: "secret_sealed",
    row: |id| AlertRuleId::from_raw(id).to_string(),
    count: sql!("select count(*) as n from alert_rule where tenant_id = $1 and secret_sealed like $2"),
    walk: sql!(
        "select id, secret_sealed as sealed from alert_rule where tenant_id = $1 and id > $2 and secret_sealed <> '' \
         order by id limit $3"
    ),
    replace: sql!(
        "update alert_rule set secret_sealed = r.new from rows(id bigint, old text, new text) r \
         where alert_rule.tenant_id = $1 and alert_rule.id = r.id and alert_rule.secret_sealed = r.old"
    ),
};

record! {
    struct Stored {
        id: AlertRuleId, tenant_id: TenantId, name: String, active: bool, platform: bool, kinds: String, severity: String,
        people: String, url: String, secret_sealed: String, revision: i64, created_at: Timestamp, changed_at: Timestamp,
    }
}

/// Who is told of which events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AlertRule {
    /// Its id.
    pub id: AlertRuleId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// Whether it counts at all.
    pub active: bool,
    /// Whether it is about the platform's own events, not the tenant's.
    pub platform: bool,
    /// The kinds of events; none for all.
    pub kinds: Vec<Kind>,
    /// Events that are at least so bad.
    pub severity: Severity,
    /// The people who get a mail.
    pub people: Vec<UserId>,
    /// Where it is posted; empty for nowhere.
    pub url: String,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// A rule, and the secret of its webhook where a new one was made.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AlertRuleShown {
    /// The rule.
    #[serde(flatten)]
    pub rule: AlertRule,
    /// What the webhook is signed with (`whsec_…`), shown this once; absent when the answer is a repetition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A rule to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAlertRule {
    /// What people call it.
    pub name: String,
    /// Whether it counts at all; true when not given.
    pub active: Option<bool>,
    /// Whether it is about the platform's own events, for those who may see the system; false when not given.
    pub platform: Option<bool>,
    /// The kinds of events; all when none is given.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Events that are at least so bad; `medium` when not given.
    pub severity: Option<Severity>,
    /// The people of the tenant who get a mail, at most 50.
    #[serde(default)]
    pub people: Vec<UserId>,
    /// Where it is posted: an http or https address on a public host. One of `people` and `url` must be given.
    pub url: Option<String>,
}

/// What to change of a rule; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRulePatch {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it counts at all.
    pub active: Option<bool>,
    /// The kinds of events, all of them.
    pub kinds: Option<Vec<Kind>>,
    /// Events that are at least so bad.
    pub severity: Option<Severity>,
    /// The people who get a mail, all of them.
    pub people: Option<Vec<UserId>>,
    /// Where it is posted; empty for nowhere.
    pub url: Option<String>,
    /// Whether the webhook is signed with a new secret from now on.
    pub new_secret: Option<bool>,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

impl Stored {
    fn rule(self) -> AlertRule {
        AlertRule {
            id: self.id,
            name: self.name,
            active: self.active,
            platform: self.platform,
            kinds: serde_json::from_str(&self.kinds).unwrap_or_default(),
            severity: Severity::named(&self.severity),
            people: serde_json::from_str(&self.people).unwrap_or_default(),
            url: self.url,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        }
    }
}

impl AlertRule {
    fn wants(&self, event: &SecurityEvent) -> bool {
        let kind = Kind::named(&event.kind);
        let kinds = self.kinds.is_empty() || kind.is_some_and(|kind| self.kinds.contains(&kind));
        self.active && kinds && Severity::named(&event.severity) >= self.severity
    }
}

async fn of_tenant(tx: &mut Tx, tenant: TenantId) -> Result<Vec<AlertRule>> {
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, active, platform, kinds, severity, people, url, secret_sealed, revision, \
                 created_at, changed_at from alert_rule where tenant_id = $1 order by name limit $2"
            ),
            args![tenant, RULES_MAX],
        )
        .await?;
    Ok(rows.into_iter().map(Stored::rule).collect())
}

async fn stored(tx: &mut Tx, tenant: TenantId, id: AlertRuleId) -> Result<Stored> {
    tx.optional(
        sql!(
            "select id, tenant_id, name, active, platform, kinds, severity, people, url, secret_sealed, revision, \
             created_at, changed_at from alert_rule where tenant_id = $1 and id = $2"
        ),
        args![tenant, id],
    )
    .await?
    .ok_or_else(|| Error::not_found("alert rule"))
}

/// The tenant's rules, by name.
///
/// # Errors
/// Without `security_event.view`.
pub async fn list(scope: &Scope) -> Result<Page<AlertRule>> {
    scope.require(Permission::SecurityEventView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One rule.
///
/// # Errors
/// Without `security_event.view`; `not_found`.
pub async fn get(scope: &Scope, id: AlertRuleId) -> Result<AlertRule> {
    scope.require(Permission::SecurityEventView)?;
    Ok(stored(&mut scope.read().await?, scope.tenant(), id).await?.rule())
}

/// Refuses a rule that tells nobody, or somebody who is not the tenant's.
async fn check(tx: &mut Tx, scope: &Scope, rule: &mut AlertRule) -> Result<()> {
    rule.kinds.sort_by_key(|kind| kind.as_str());
    rule.kinds.dedup();
    rule.people.sort_unstable();
    rule.people.dedup();
    if rule.people.is_empty() && rule.url.is_empty() {
        return Err(Error::invalid("people", "name somebody, or give an address to post to"));
    }
    if rule.people.len() > PEOPLE_MAX {
        return Err(Error::invalid("people", format!("name at most {PEOPLE_MAX} people")));
    }
    for id in &rule.people {
        let known = user::find(tx, scope.tenant(), *id).await;
        known.map_err(|_| Error::invalid("people", format!("there is no user {id}")))?;
    }
    if !rule.url.is_empty() {
        let usable = scope.runtime().outbound.check_url(&rule.url);
        usable.map_err(|error| Error::new(Code::InvalidUrl, error.to_string()).at("url"))?;
    }
    if rule.platform {
        scope.require(Permission::SystemView)?;
    }
    Ok(())
}

/// A new secret and its sealed form.
async fn fresh_secret(scope: &Scope, id: AlertRuleId) -> Result<(String, String)> {
    let secret = webhook::new_secret()?.expose().to_owned();
    let sealed = encryption::seal(scope, SEALED.table, SEALED.column, &id.to_string(), &secret).await?;
    Ok((secret, sealed))
}

fn texts(rule: &AlertRule) -> Result<(String, String)> {
    let kinds = serde_json::to_string(&rule.kinds).map_err(Error::internal)?;
    Ok((kinds, serde_json::to_string(&rule.people).map_err(Error::internal)?))
}

/// Creates a rule.
///
/// # Errors
/// Without `alert_rule.change`; `step_up_required`; `already_exists`; `conflict` when there are as many as there may be;
/// refusals of its values.
pub async fn create(scope: &Scope, new: NewAlertRule) -> Result<AlertRuleShown> {
    scope.require(Permission::AlertRuleChange)?;
    scope.require_fresh()?;
    let now = scope.now();
    let mut rule = AlertRule {
        id: scope.runtime().ids.next(),
        name: name::given("name", &new.name)?,
        active: new.active.unwrap_or(true),
        platform: new.platform.unwrap_or(false),
        kinds: new.kinds,
        severity: new.severity.unwrap_or(Severity::Medium),
        people: new.people,
        url: new.url.unwrap_or_default().trim().to_owned(),
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let (secret, sealed) = match rule.url.is_empty() {
        true => (None, String::new()),
        false => fresh_secret(scope, rule.id).await.map(|(secret, sealed)| (Some(secret), sealed))?,
    };
    let mut write = scope.write().await?;
    if of_tenant(&mut write, scope.tenant()).await?.len() as i64 >= RULES_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {RULES_MAX} alert rules already")));
    }
    check(&mut write, scope, &mut rule).await?;
    let (kinds, people) = texts(&rule)?;
    let inserted = write.execute(
        sql!(
            "insert into alert_rule (id, tenant_id, name, active, platform, kinds, severity, people, url, secret_sealed, \
             revision, created_at, changed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $11)"
        ),
        args![
            rule.id,
            scope.tenant(),
            &rule.name,
            rule.active,
            rule.platform,
            kinds,
            rule.severity.as_str(),
            people,
            &rule.url,
            sealed,
            now
        ],
    );
    inserted.await.on_unique(|| taken(&rule.name))?;
    write.happened(Event::AlertRuleCreated(change(&rule, None, Some(&rule))));
    write.commit_keeping(&AlertRuleShown { rule: rule.clone(), secret: None }).await?;
    Ok(AlertRuleShown { rule, secret })
}

/// Changes a rule.
///
/// # Errors
/// Without `alert_rule.change`; `step_up_required`; `not_found`; `conflict` when it is no longer at the patch's revision;
/// `already_exists`; refusals of its values.
pub async fn update(scope: &Scope, id: AlertRuleId, patch: AlertRulePatch) -> Result<AlertRuleShown> {
    scope.require(Permission::AlertRuleChange)?;
    scope.require_fresh()?;
    let fresh = fresh_secret(scope, id).await?;
    let mut write = scope.write().await?;
    let row = stored(&mut write, scope.tenant(), id).await?;
    let former = row.secret_sealed.clone();
    let before = row.rule();
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(outdated(before.revision));
    }
    let mut after = AlertRule {
        name: patch.name.map_or_else(|| Ok(before.name.clone()), |name| name::given("name", &name))?,
        active: patch.active.unwrap_or(before.active),
        kinds: patch.kinds.unwrap_or_else(|| before.kinds.clone()),
        severity: patch.severity.unwrap_or(before.severity),
        people: patch.people.unwrap_or_else(|| before.people.clone()),
        url: patch.url.map_or_else(|| before.url.clone(), |url| url.trim().to_owned()),
        revision: before.revision + 1,
        changed_at: scope.now(),
        ..before.clone()
    };
    check(&mut write, scope, &mut after).await?;
    let renew = !after.url.is_empty() && (patch.new_secret == Some(true) || former.is_empty());
    let (secret, sealed) = match (renew, after.url.is_empty()) {
        (true, _) => (Some(fresh.0), fresh.1),
        (false, true) => (None, String::new()),
        (false, false) => (None, former),
    };
    let (kinds, people) = texts(&after)?;
    let changed = write.execute(
        sql!(
            "update alert_rule set name = $3, active = $4, kinds = $5, severity = $6, people = $7, url = $8, \
             secret_sealed = $9, revision = $10, changed_at = $11 where tenant_id = $1 and id = $2 and revision = $12"
        ),
        args![
            scope.tenant(),
            id,
            &after.name,
            after.active,
            kinds,
            after.severity.as_str(),
            people,
            &after.url,
            sealed,
            after.revision,
            after.changed_at,
            before.revision
        ],
    );
    if changed.await.on_unique(|| taken(&after.name))? == 0 {
        return Err(outdated(after.revision));
    }
    write.happened(Event::AlertRuleChanged(change(&after, Some(&before), Some(&after))));
    write.commit_keeping(&AlertRuleShown { rule: after.clone(), secret: None }).await?;
    Ok(AlertRuleShown { rule: after, secret })
}

/// Deletes a rule.
///
/// # Errors
/// Without `alert_rule.change`; `step_up_required`; `not_found`.
pub async fn delete(scope: &Scope, id: AlertRuleId) -> Result<()> {
    scope.require(Permission::AlertRuleChange)?;
    scope.require_fresh()?;
    let mut write = scope.write().await?;
    let rule = stored(&mut write, scope.tenant(), id).await?.rule();
    write
        .execute(sql!("delete from alert_rule where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::AlertRuleDeleted(change(&rule, Some(&rule), None)));
    write.commit(()).await
}

record! { struct Person { id: UserId, name: String } }

/// The tenant's active people, by name, for the choice of who is told.
pub(crate) async fn people(scope: &Scope) -> Result<Vec<(UserId, String)>> {
    let people: Vec<Person> = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, name from users where tenant_id = $1 and status = 'active' order by name, id limit 500"
            ),
            vec![Arg::from(scope.tenant())],
        )
        .await?;
    Ok(people.into_iter().map(|one| (one.id, one.name)).collect())
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is an alert rule named {name:?} already")).at("name")
}

fn outdated(revision: i64) -> Error {
    Error::new(Code::Conflict, format!("the alert rule was changed meanwhile; it is at revision {revision}"))
        .at("revision")
}

/// What the audit trail keeps of a change to a rule.
fn change(rule: &AlertRule, before: Option<&AlertRule>, after: Option<&AlertRule>) -> Change {
    Change {
        id: rule.id.to_string(),
        name: rule.name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: after.and_then(|after| serde_json::to_value(after).ok()),
    }
}
