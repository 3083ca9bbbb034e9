//! The firewall: rules about what messages say, who they seem to come from and how often they come.

use db::{OnConflict, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, RuleId, TenantId, Timestamp};

use crate::gate::Reach;
use crate::settings::{self, Patch};

pub mod api;
mod decide;
mod lookalike;
pub mod pages;
mod url;

pub(crate) use decide::Firewall;

/// A firewall rule. Rules are asked in their order; the first that refuses decides.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = FirewallMatch)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What people call it; unique within the tenant. Senders of refused messages see it.
    pub name: String,
    /// Its place: the highest is asked first; of equals the oldest.
    pub priority: i32,
    /// Whether it is asked at all.
    pub active: bool,
    /// When it holds, for whose messages, and what happens then.
    pub rule: FirewallRule,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// When a rule holds, for whose messages, and what happens then.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FirewallRule {
    /// When it holds.
    pub when: Condition,
    /// For whose messages; all when empty.
    pub reach: Reach,
    /// What happens to the message.
    pub action: Action,
}

/// When a rule holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The text holds a web address.
    #[default]
    Url,
    /// The text holds a web address whose domain is neither one of these nor below one.
    UrlNotOnList {
        /// Domains such as `example.com`.
        domains: Vec<String>,
    },
    /// The text holds one of these words or phrases, in either case.
    Words {
        /// The words.
        words: Vec<String>,
        /// Whether they must stand alone, so that `win` is not found in `window`.
        #[serde(default)]
        whole: bool,
    },
    /// The text matches a regular expression in the syntax of the crate `regex`, which has neither look-around nor
    /// back-references. `(?i)` at its beginning ignores case.
    Pattern {
        /// At most 1,000 characters.
        pattern: String,
    },
    /// The sender can be taken for one of these names: look-alike letters and digits, marks, blanks and dashes put aside.
    Impersonates {
        /// Protected names.
        names: Vec<String>,
        /// Whether the very name counts too; otherwise only what looks like it.
        #[serde(default)]
        exactly: bool,
    },
    /// There were so many messages within so many seconds, counted from the first.
    Flood {
        /// Counted for each recipient or each sender.
        per: Per,
        /// As many pass, 1 to 1,000,000.
        max: u32,
        /// Within so many seconds, 1 to 86,400.
        seconds: u32,
    },
    /// The same content was accepted for the same recipient so recently.
    Duplicate {
        /// Within so many minutes, 1 to 10,080.
        minutes: u32,
    },
    /// There were so many messages to the recipient on this day of the tenant's zone.
    PerDay {
        /// As many pass, 1 to 1,000,000.
        max: u32,
    },
}

/// What a flood is counted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each recipient.
    #[default]
    Recipient,
    /// Each sender.
    Sender,
}

/// What happens to a message that a rule holds for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = FirewallAction)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is refused.
    Refuse,
    /// It is accepted and waits until a person releases it, or its validity ends.
    Hold,
    /// It is let through and bears the rule's name.
    Mark,
    /// It is let through and counted: a rule on trial.
    #[default]
    Count,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Refuse, Self::Hold, Self::Mark, Self::Count];

    /// The name that the API and forms hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Hold => "hold",
            Self::Mark => "mark",
            Self::Count => "count",
        }
    }
}

/// Priorities are from -this to this.
const PRIORITY_MAX: i32 = 1_000_000;
/// What a rule has that names no priority; room on both sides.
const PRIORITY_DEFAULT: i32 = 100;
/// Rules of a tenant.
const RULES_MAX: i64 = 200;
const DOMAINS_MAX: usize = 5_000;
const WORDS_MAX: usize = 1_000;
const WORD_CHARS_MAX: usize = 100;
const NAMES_MAX: usize = 1_000;
const PATTERN_CHARS_MAX: usize = 1_000;

fn texts(field: &str, list: &mut [String], max: usize) -> Result<()> {
    settings::at_most(field, list, max)?;
    for text in list.iter_mut() {
        *text = text.trim().to_owned();
        if text.is_empty() || text.chars().count() > WORD_CHARS_MAX || text.contains('\0') {
            return Err(Error::invalid(field, format!("an entry has 1 to {WORD_CHARS_MAX} characters")));
        }
    }
    if list.is_empty() {
        return Err(Error::invalid(field, "it takes at least one entry"));
    }
    Ok(())
}

impl Condition {
    /// The name that the API and forms hold.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::UrlNotOnList { .. } => "url_not_on_list",
            Self::Words { .. } => "words",
            Self::Pattern { .. } => "pattern",
            Self::Impersonates { .. } => "impersonates",
            Self::Flood { .. } => "flood",
            Self::Duplicate { .. } => "duplicate",
            Self::PerDay { .. } => "per_day",
        }
    }

    fn checked(mut self) -> Result<Self> {
        match &mut self {
            Self::Url => {}
            Self::UrlNotOnList { domains } => {
                texts("rule.when.domains", domains, DOMAINS_MAX)?;
                for domain in domains.iter_mut() {
                    let lower = domain.to_lowercase();
                    let bare = lower.trim_start_matches("https://").trim_start_matches("http://");
                    let bare = bare.strip_prefix("www.").unwrap_or(bare).trim_end_matches('/');
                    if bare.contains(['/', ' ', '@']) || !bare.contains('.') {
                        return Err(Error::invalid("rule.when.domains", format!("{domain:?} is no domain")));
                    }
                    *domain = bare.to_owned();
                }
            }
            Self::Words { words, .. } => texts("rule.when.words", words, WORDS_MAX)?,
            Self::Pattern { pattern } => {
                if pattern.is_empty() || pattern.chars().count() > PATTERN_CHARS_MAX || pattern.contains('\0')
                {
                    let why = format!("a pattern has 1 to {PATTERN_CHARS_MAX} characters");
                    return Err(Error::invalid("rule.when.pattern", why));
                }
                decide::pattern(pattern)?;
            }
            Self::Impersonates { names, .. } => {
                texts("rule.when.names", names, NAMES_MAX)?;
                if let Some(name) = names.iter().find(|name| lookalike::skeleton(name).chars().count() < 3) {
                    let why = format!("{name:?} is too short: too much looks like it");
                    return Err(Error::invalid("rule.when.names", why));
                }
            }
            Self::Flood { max, seconds, .. } => {
                settings::within("rule.when.max", max, &(1..=1_000_000))?;
                settings::within("rule.when.seconds", seconds, &(1..=86_400))?;
            }
            Self::Duplicate { minutes } => settings::within("rule.when.minutes", minutes, &(1..=10_080))?,
            Self::PerDay { max } => settings::within("rule.when.max", max, &(1..=1_000_000))?,
        }
        Ok(self)
    }
}

impl FirewallRule {
    fn checked(self) -> Result<Self> {
        Ok(Self { when: self.when.checked()?, reach: self.reach.checked()?, action: self.action })
    }
}

/// A rule to be created.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// What people call it.
    pub name: String,
    /// Its place, -1,000,000 to 1,000,000: the highest is asked first; 100 when not given.
    pub priority: Option<i32>,
    /// Whether it is asked at all; true when not given.
    pub active: Option<bool>,
    /// When it holds, for whose messages, and what happens then; `count` when no action is given.
    #[schema(value_type = FirewallRule)]
    pub rule: Patch,
}

/// A change to a rule. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulePatch {
    /// What people call it.
    pub name: Option<String>,
    /// Its place.
    pub priority: Option<i32>,
    /// Whether it is asked at all.
    pub active: Option<bool>,
    /// When it holds, for whose messages, and what happens then.
    #[serde(default)]
    #[schema(value_type = FirewallRule)]
    pub rule: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: RuleId, tenant_id: TenantId, name: String, priority: i32, active: bool, rule: String, revision: i64,
        created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn rule(self) -> Result<Rule> {
        Ok(Rule {
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

/// A tenant's rules in the order in which they are asked.
pub(crate) async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Rule>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, priority, active, rule, revision, created_at, changed_at
                 from firewall_rule where tenant_id = $1 order by priority desc, id limit $2"
            ),
            args![tenant, RULES_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::rule).collect()
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is a firewall rule named {name:?} already")).at("name")
}

fn priority(priority: i32) -> Result<i32> {
    settings::within("priority", &priority, &(-PRIORITY_MAX..=PRIORITY_MAX))?;
    Ok(priority)
}

/// Creates a rule. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`]; [`Code::Conflict`] when the tenant has as many as it may; refusals of its values.
pub async fn create(scope: &Scope, new: NewRule) -> Result<Rule> {
    scope.require(Permission::FirewallManage)?;
    let now = scope.now();
    let nothing = FirewallRule::default();
    let rule = Rule {
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
    if of_tenant(&mut write, rule.tenant).await?.len() as i64 >= RULES_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {RULES_MAX} firewall rules already")));
    }
    let inserted = write.execute(
        sql!(
            "insert into firewall_rule (id, tenant_id, name, priority, active, rule, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)"
        ),
        args![
            rule.id,
            rule.tenant,
            &rule.name,
            rule.priority,
            rule.active,
            settings::to_store(&rule.rule)?,
            rule.revision,
            now
        ],
    );
    inserted.await.on_unique(|| taken(&rule.name))?;
    write.happened(Event::FirewallRuleCreated(audited(&rule, None, Some(&rule))?));
    write.commit(rule).await
}

/// All rules, in the order in which they are asked; there is one page, because a tenant has 200 at most.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<Rule>> {
    scope.require(Permission::FirewallView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One rule.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: RuleId) -> Result<Rule> {
    scope.require(Permission::FirewallView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: RuleId) -> Result<Rule> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, priority, active, rule, revision, created_at, changed_at
                 from firewall_rule where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("firewall rule"))?.rule()
}

/// Changes a rule. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`]; refusals
/// of its values.
pub async fn change(scope: &Scope, id: RuleId, patch: RulePatch) -> Result<Rule> {
    scope.require(Permission::FirewallManage)?;
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("firewall rule", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    after.priority = priority(patch.priority.unwrap_or(before.priority))?;
    after.active = patch.active.unwrap_or(before.active);
    let nothing = FirewallRule::default();
    after.rule = settings::changed("rule", &before.rule, &nothing, &patch.rule)?.checked()?;
    after.revision += 1;
    after.changed_at = scope.now();
    let changed = write.execute(
        sql!(
            "update firewall_rule set name = $3, priority = $4, active = $5, rule = $6, revision = $7, changed_at = $8
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
            before.revision
        ],
    );
    if changed.await.on_unique(|| taken(&after.name))? == 0 {
        return Err(settings::outdated("firewall rule", after.revision));
    }
    write.happened(Event::FirewallRuleChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Deletes a rule. Messages that it holds stay held. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: RuleId) -> Result<()> {
    scope.require(Permission::FirewallManage)?;
    let mut write = scope.write().await?;
    let rule = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(
            sql!("delete from firewall_rule where tenant_id = $1 and id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    write.happened(Event::FirewallRuleDeleted(audited(&rule, Some(&rule), None)?));
    write.commit(()).await
}

fn audited(rule: &Rule, before: Option<&Rule>, after: Option<&Rule>) -> Result<Change> {
    Ok(Change {
        id: rule.id.to_string(),
        name: rule.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}
