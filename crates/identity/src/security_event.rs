//! Security events: what was noticed and looks like an attack or a misuse, and what people did about it.
//!
//! [`watch`] notices, [`raise`] keeps: what is noticed again within a time is the same event, which counts on. Who is told is in
//! [`alert`](crate::alert). Events that belong to no tenant, such as a stranger who scans, are the platform's own: they lie
//! under [`PLATFORM`] and are for those who may see the system.

use db::{Tenancy, Tx, args, record, sql};
use runtime::outbox::{self, Written};
use runtime::personal::Sight;
use runtime::{Actor, Runtime, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, SecurityEventId, TenantId, Timestamp, UserId};
use web::Paging;

use crate::{alert, user, value_list};

pub mod api;
pub mod pages;
mod patterns;
pub mod watch;

/// Whose the events are that belong to no tenant. No tenant has this id.
pub const PLATFORM: TenantId = TenantId::from_raw(0);
/// The list that says why an event was closed.
pub const CLOSING: &str = "security_closing";
/// Letters of a note.
const NOTE_CHARS_MAX: usize = 1_000;
/// Letters of what was seen.
const DETAIL_CHARS_MAX: usize = 500;
/// Letters of a subject.
const SUBJECT_CHARS_MAX: usize = 200;
/// Days that a summary counts.
const DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;

macro_rules! kinds {
    ($($name:ident $text:literal $title:literal;)*) => {
        /// What was noticed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[schema(as = SecurityEventKind)]
        pub enum Kind { $(#[doc = $title] #[serde(rename = $text)] $name,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name that rows and answers hold.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What people call it.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

kinds! {
    BruteForce "brute_force" "Guessing of passwords";
    PasswordSpraying "password_spraying" "Few passwords tried on many users";
    NewDevice "new_device" "New browser of a user";
    NewNetwork "new_network" "New network of a user";
    PrivilegeChange "privilege_change" "Rights were widened";
    Impersonation "impersonation" "Somebody acts as another user";
    MassExport "mass_export" "Many records read or taken away";
    Scanning "scanning" "A stranger tries doors";
    StolenToken "stolen_token" "A token was used after its use";
    KeyMisuse "key_misuse" "A program's secret used where it may not be";
    AuditDamaged "audit_damaged" "The audit trail is not as it was written";
    DirectoryShrunk "directory_shrunk" "Many users would go with a directory at once";
    TollFraud "toll_fraud" "Burst of traffic to a new country";
}

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// How bad it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth a look today.
    Medium,
    /// Look now.
    High,
}

impl Severity {
    /// All, the mildest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// The name that rows and answers hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The severity of this name; what a later version has written counts as the worst.
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|one| one.as_str() == name).unwrap_or(Self::High)
    }
}

/// The states of an event.
pub const STATES: [&str; 3] = ["open", "acknowledged", "closed"];

record! {
    /// Something that was noticed.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct SecurityEvent {
        /// Its id.
        pub id: SecurityEventId,
        /// What it is, such as `brute_force`.
        pub kind: String,
        /// How bad: `low`, `medium` or `high`.
        pub severity: String,
        /// About whom or what: an e-mail address, a network, a key, an account.
        pub subject: String,
        /// The user it is about, where it is about one.
        pub user_id: Option<UserId>,
        /// What was seen, in words.
        pub detail: String,
        /// When it was first seen.
        pub first_at: Timestamp,
        /// When it was last seen.
        pub last_at: Timestamp,
        /// How often.
        pub count: i64,
        /// `open`, `acknowledged` or `closed`.
        pub state: String,
        /// Why it was closed: a value of the list `security_closing`.
        pub reason: Option<String>,
        /// What was noted.
        pub note: Option<String>,
        /// Who changed its state last.
        pub handled_by: Option<String>,
        /// When.
        pub handled_at: Option<Timestamp>,
        /// 1, 2, 3 … with each change of its state.
        pub revision: i64,
    }
}

/// Something that [`watch`] has noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whose; [`PLATFORM`] for what belongs to no tenant.
    pub tenant: TenantId,
    /// What.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// About whom or what. With the kind it says what is the same event.
    pub subject: String,
    /// The user it is about.
    pub user: Option<UserId>,
    /// What was seen.
    pub detail: String,
    /// How often, since it was last told.
    pub count: i64,
    /// When.
    pub at: Timestamp,
}

/// Who raises events.
const ACTOR: Actor = Actor::System("security");

record! { struct Same { id: SecurityEventId, severity: String } }

/// Keeps what was noticed: counts on the event that it is the same as, or opens a new one and has those told who want to know.
/// The transaction must reach the finding's tenant, and every tenant for one of the platform's own.
///
/// # Errors
/// When the database refuses.
pub async fn raise(tx: &mut Tx, runtime: &Runtime, finding: &Finding) -> Result<Option<Written>> {
    let Finding { tenant, kind, severity, user, count, at, .. } = *finding;
    let subject: String = finding.subject.chars().take(SUBJECT_CHARS_MAX).collect();
    let detail: String = finding.detail.chars().take(DETAIL_CHARS_MAX).collect();
    let same_ms = i64::from(runtime.config.watch.same_m) * 60_000;
    let same: Option<Same> = tx
        .optional(
            sql!(
                "select id, severity from security_event where tenant_id = $1 and kind = $2 and subject = $3 \
                 and last_at >= $4 and state <> 'closed' order by id desc limit 1"
            ),
            args![tenant, kind.as_str(), &subject, at.plus_ms(-same_ms)],
        )
        .await?;
    let id = same.as_ref().map_or_else(|| runtime.ids.next(), |same| same.id);
    let before = same.as_ref().map(|same| Severity::named(&same.severity));
    let severity = before.map_or(severity, |before| before.max(severity));
    match before {
        Some(_) => {
            tx.execute(
                sql!(
                    "update security_event set count = count + $3, last_at = $4, detail = $5, severity = $6 \
                     where tenant_id = $1 and id = $2"
                ),
                args![tenant, id, count, at, detail, severity.as_str()],
            )
            .await?;
        }
        None => {
            tx.execute(
                sql!(
                    "insert into security_event (id, tenant_id, kind, severity, subject, user_id, detail, first_at, last_at, \
                     count, state, revision) values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, 'open', 1)"
                ),
                args![id, tenant, kind.as_str(), severity.as_str(), subject, user, detail, at, count],
            )
            .await?;
        }
    }
    // Told once, and again when it is worse than what was told.
    if before.is_some_and(|before| severity <= before) {
        return Ok(None);
    }
    let event = find(tx, tenant, id).await?;
    metrics::counter!("switchboard_security_events_total", "kind" => kind.as_str(), "severity" => severity.as_str())
        .increment(1);
    tracing::warn!(
        kind = kind.as_str(),
        severity = severity.as_str(),
        subject = event.subject,
        "a security event"
    );
    alert::enqueue(tx, runtime, tenant, &event).await?;
    if tenant == PLATFORM {
        return Ok(None);
    }
    let happened = outbox::Happened {
        tenant,
        at,
        actor: ACTOR.to_string(),
        request_id: None,
        from: None,
        events: vec![Event::SecurityEventRaised(change(&event, None))],
    };
    Ok(Some(outbox::write(tx, vec![happened]).await?))
}

/// Keeps a finding in a transaction of its own.
///
/// # Errors
/// When the database refuses.
pub async fn raise_now(runtime: &Runtime, finding: &Finding) -> Result<()> {
    let reach = if finding.tenant == PLATFORM { Tenancy::Every } else { Tenancy::Tenant(finding.tenant) };
    let mut tx = runtime.db.write(reach).await?;
    let written = raise(&mut tx, runtime, finding).await?;
    tx.commit().await?;
    if let Some(written) = written {
        written.tell(&runtime.live);
    }
    runtime.job_wake.notify_one();
    Ok(())
}

pub(crate) async fn find(tx: &mut Tx, tenant: TenantId, id: SecurityEventId) -> Result<SecurityEvent> {
    tx.optional(
        sql!(
            "select id, kind, severity, subject, user_id, detail, first_at, last_at, count, state, reason, note, handled_by, \
             handled_at, revision from security_event where tenant_id = $1 and id = $2"
        ),
        args![tenant, id],
    )
    .await?
    .ok_or_else(|| Error::not_found("security event"))
}

/// Which events are wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only this kind.
    pub kind: Option<String>,
    /// Only those that are at least so bad: `low`, `medium` or `high`.
    pub severity: Option<String>,
    /// Only those in this state: `open`, `acknowledged` or `closed`.
    pub state: Option<String>,
    /// Only those about this user.
    pub user: Option<String>,
    /// Only those whose subject holds this.
    pub subject: Option<String>,
    /// The platform's own instead of the tenant's; for those who may see the system.
    pub platform: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
}

fn given<'a>(field: &str, value: Option<&'a str>, known: &[&'static str]) -> Result<Option<&'a str>> {
    match value.filter(|value| !value.is_empty()) {
        Some(value) if !known.contains(&value) => {
            Err(Error::new(Code::InvalidFilter, format!("{value:?} is not one of {}", known.join(", ")))
                .at(field))
        }
        value => Ok(value),
    }
}

impl Filter {
    fn of_platform(&self) -> Result<bool> {
        Ok(given("platform", self.platform.as_deref(), &["true", "false"])? == Some("true"))
    }
}

/// Whose events are meant.
fn whose(scope: &Scope, platform: bool) -> Result<TenantId> {
    match platform {
        true => scope.require(Permission::SystemView).map(|()| PLATFORM),
        false => Ok(scope.tenant()),
    }
}

/// Security events, newest first.
///
/// # Errors
/// Without `security_event.view`, and for the platform's own without `system.view`; a malformed filter, cursor or limit.
pub async fn list(scope: &Scope, filter: &Filter) -> Result<Page<SecurityEvent>> {
    scope.require(Permission::SecurityEventView)?;
    let tenant = whose(scope, filter.of_platform()?)?;
    let paging = Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = given("kind", filter.kind.as_deref(), &kinds)?;
    let state = given("state", filter.state.as_deref(), &STATES)?;
    let least = given("severity", filter.severity.as_deref(), &Severity::ALL.map(Severity::as_str))?;
    let least = least.map_or(Severity::Low, Severity::named);
    let bad = |severity: Severity| least <= severity;
    let user = filter.user.as_deref().filter(|id| !id.is_empty()).map(str::parse::<UserId>).transpose()?;
    let subject = filter.subject.as_deref().filter(|text| !text.is_empty()).map(str::to_lowercase);
    let events = read(scope, tenant)
        .await?
        .all(
            sql!(
                "select id, kind, severity, subject, user_id, detail, first_at, last_at, count, state, reason, note, \
                 handled_by, handled_at, revision from security_event where tenant_id = $1 and id < $2 \
                 and (cast($3 as text) is null or kind = $3) and (cast($4 as text) is null or state = $4) \
                 and ($5 or severity <> 'low') and ($6 or severity <> 'medium') \
                 and (cast($7 as bigint) is null or user_id = $7) \
                 and (cast($8 as text) is null or lower(subject) like '%' || $8 || '%' escape '\\') \
                 order by id desc limit $9"
            ),
            args![
                tenant,
                behind,
                kind.map(str::to_owned),
                state.map(str::to_owned),
                bad(Severity::Low),
                bad(Severity::Medium),
                user,
                subject.map(|text| text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")),
                limit as i64 + 1
            ],
        )
        .await?;
    let page = Page::from_overfull(events, limit, |event: &SecurityEvent| event.id.raw());
    Ok(page.map(|event| seen(scope, event)))
}

/// An event as somebody may see it.
fn seen(scope: &Scope, event: SecurityEvent) -> SecurityEvent {
    let sight = Sight::of(scope);
    SecurityEvent {
        subject: sight.words(event.subject),
        detail: sight.words(event.detail),
        note: event.note.map(|note| sight.words(note)),
        ..event
    }
}

/// A transaction that reads the events of a tenant or of the platform.
async fn read(scope: &Scope, tenant: TenantId) -> Result<Tx> {
    Ok(scope.runtime().db.read(Tenancy::Tenant(tenant)).await?)
}

/// One's own events: those about the person who asks, newest first.
///
/// # Errors
/// `forbidden` for a program; a malformed cursor or limit.
pub async fn own(scope: &Scope, paging: &Paging) -> Result<Page<SecurityEvent>> {
    let id = user::person(scope)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let events = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, kind, severity, subject, user_id, detail, first_at, last_at, count, state, reason, note, \
                 handled_by, handled_at, revision from security_event where tenant_id = $1 and user_id = $2 and id < $3 \
                 order by id desc limit $4"
            ),
            args![scope.tenant(), id, behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(events, limit, |event: &SecurityEvent| event.id.raw()))
}

/// Whose an event is: the tenant's, or the platform's for somebody who may see those.
async fn owner(scope: &Scope, id: SecurityEventId) -> Result<(TenantId, SecurityEvent)> {
    match find(&mut scope.read().await?, scope.tenant(), id).await {
        Err(error)
            if error.code() == Code::NotFound && scope.permissions().contains(Permission::SystemView) =>
        {
            Ok((PLATFORM, find(&mut read(scope, PLATFORM).await?, PLATFORM, id).await?))
        }
        found => Ok((scope.tenant(), found?)),
    }
}

/// One event.
///
/// # Errors
/// Without `security_event.view`; `not_found`.
pub async fn get(scope: &Scope, id: SecurityEventId) -> Result<SecurityEvent> {
    scope.require(Permission::SecurityEventView)?;
    Ok(seen(scope, owner(scope, id).await?.1))
}

/// What somebody does about an event.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecurityEventHandling)]
pub struct Handling {
    /// `open`, `acknowledged` or `closed`.
    pub state: String,
    /// Why it is closed: a value of the list `security_closing`; needed to close it.
    pub reason: Option<String>,
    /// What is to be noted, up to 1,000 letters; the note stays where none is given.
    pub note: Option<String>,
    /// The revision that this was decided on; when it is not the present one it is refused.
    pub revision: Option<i64>,
}

/// Takes an event up, closes it or opens it again.
///
/// # Errors
/// Without `security_event.handle`; `not_found`; `conflict` when somebody else was faster; an unknown state or reason.
pub async fn handle(scope: &Scope, id: SecurityEventId, wanted: Handling) -> Result<SecurityEvent> {
    scope.require(Permission::SecurityEventHandle)?;
    if !STATES.contains(&wanted.state.as_str()) {
        return Err(Error::invalid("state", format!("give one of {}", STATES.join(", "))));
    }
    let note = wanted.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
        return Err(Error::invalid("note", format!("give at most {NOTE_CHARS_MAX} letters")));
    }
    let (tenant, before) = owner(scope, id).await?;
    let mut write = if tenant == PLATFORM { scope.write_every().await? } else { scope.write().await? };
    let reason = match wanted.state.as_str() {
        "closed" => {
            let reason = wanted.reason.filter(|reason| !reason.is_empty());
            let reason = reason.ok_or_else(|| Error::invalid("reason", "say why it is closed"))?;
            Some(value_list::chosen(&mut write, scope.tenant(), CLOSING, "reason", &reason).await?)
        }
        _ => None,
    };
    if wanted.revision.is_some_and(|revision| revision != before.revision) {
        return Err(outdated(before.revision));
    }
    let changed = write
        .execute(
            sql!(
                "update security_event set state = $3, reason = $4, note = coalesce($5, note), handled_by = $6, \
                 handled_at = $7, revision = revision + 1 where tenant_id = $1 and id = $2 and revision = $8"
            ),
            args![
                tenant,
                id,
                wanted.state,
                reason,
                note,
                scope.actor().to_string(),
                scope.now(),
                before.revision
            ],
        )
        .await?;
    if changed == 0 {
        return Err(outdated(before.revision + 1));
    }
    let after = find(&mut write, tenant, id).await?;
    write.happened(Event::SecurityEventHandled(change(&after, Some(&before))));
    write.commit(after).await
}

fn outdated(revision: i64) -> Error {
    Error::new(
        Code::Conflict,
        format!("the security event was changed meanwhile; it is at revision {revision}"),
    )
    .at("revision")
}

/// Events of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SecurityDay {
    /// The day (UTC), such as `2026-01-31`.
    pub day: String,
    /// Events that were first seen on it.
    pub events: i64,
}

/// How things stand.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SecuritySummary {
    /// Open events of low severity.
    pub low: i64,
    /// Open events of medium severity.
    pub medium: i64,
    /// Open events of high severity.
    pub high: i64,
    /// Acknowledged events.
    pub acknowledged: i64,
    /// The last 30 days, the oldest first.
    pub days: Vec<SecurityDay>,
}

record! { struct OfDay { day: i64, n: i64 } }
record! { struct OfState { state: String, severity: String, n: i64 } }

/// How many events wait, and how many there were on each of the last 30 days.
///
/// # Errors
/// Without `security_event.view`, and for the platform's own without `system.view`.
pub async fn summary(scope: &Scope, platform: bool) -> Result<SecuritySummary> {
    scope.require(Permission::SecurityEventView)?;
    let tenant = whose(scope, platform)?;
    let today = scope.now().unix_ms().div_euclid(DAY_MS);
    let since = SecurityEventId::from_parts(Timestamp::from_unix_ms((today - DAYS + 1) * DAY_MS), 0);
    let mut tx = read(scope, tenant).await?;
    let days: Vec<OfDay> = tx
        .all(
            sql!(
                "select first_at / 86400000 as day, count(*) as n from security_event where tenant_id = $1 and id >= $2 \
                 group by first_at / 86400000 order by 1 limit 100"
            ),
            args![tenant, since],
        )
        .await?;
    let states: Vec<OfState> = tx
        .all(
            sql!(
                "select state, severity, count(*) as n from security_event where tenant_id = $1 and state <> 'closed' \
                 group by state, severity order by 1, 2 limit 100"
            ),
            args![tenant],
        )
        .await?;
    let sum =
        |wanted: &dyn Fn(&OfState) -> bool| states.iter().filter(|one| wanted(one)).map(|one| one.n).sum();
    let open = |severity: &str| sum(&|one| one.state == "open" && one.severity == severity);
    let day = |day: i64| SecurityDay {
        day: Timestamp::from_unix_ms(day * DAY_MS).to_string().chars().take(10).collect(),
        events: days.iter().find(|of| of.day == day).map_or(0, |of| of.n),
    };
    Ok(SecuritySummary {
        low: open("low"),
        medium: open("medium"),
        high: open("high"),
        acknowledged: sum(&|one| one.state == "acknowledged"),
        days: (today - DAYS + 1..=today).map(day).collect(),
    })
}

/// What the stream and the audit trail keep of an event: no word of whom it is about, so that an erasure need not look for them
/// there. The event itself says it.
fn change(event: &SecurityEvent, before: Option<&SecurityEvent>) -> Change {
    let kept = |event: &SecurityEvent| {
        json!({
            "kind": event.kind, "severity": event.severity, "user_id": event.user_id, "count": event.count,
            "state": event.state, "reason": event.reason, "revision": event.revision,
        })
    };
    Change {
        id: event.id.to_string(),
        name: event.kind.clone(),
        before: before.map(kept),
        after: Some(kept(event)),
    }
}
