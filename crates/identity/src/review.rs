//! Reviews of who may do what: once a quarter somebody looks at every user, key and temporary grant, and decides line by line
//! what stays. A decision to revoke is carried out with it, by the same operations and with the reviewer's own rights.
//!
//! A review is opened by itself in each quarter ([`open_due`]), and whoever may decide it is told by mail.

use db::{Rows, Tenancy, Tx, args, record, sql};
use runtime::outbox::{self, Happened};
use runtime::{Actor, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, ReviewId, TenantId, Timestamp, UserId};
use web::Paging;

use crate::mail::{self, Letter, Mail};
use crate::role::rights;
use crate::user::{self, Status, UserChange};
use crate::{grant, key};

pub mod api;
mod lines;
pub mod pages;

/// Lines of a review.
const LINES_MAX: i64 = 5_000;
/// Days without a sign-in or a use after which a user or a key is dormant.
const DORMANT_DAYS: i64 = 90;
/// Letters of a note.
const NOTE_CHARS_MAX: usize = 500;
/// People who are told that a review waits.
const TOLD_MAX: i64 = 100;
/// Tenants that one look opens reviews for.
const TENANTS_MAX: i64 = 200;
const DAY_MS: i64 = 86_400_000;

record! {
    struct Stored {
        id: ReviewId, quarter: String, opened_at: Timestamp, opened_by: String, closed_at: Option<Timestamp>,
        closed_by: Option<String>, lines: i64, undecided: i64, revoked: i64,
    }
}

record! {
    struct StoredLine {
        number: i64, kind: String, subject: String, name: String, held: String, since: Timestamp,
        last_used_at: Option<Timestamp>, ends_at: Option<Timestamp>, remarks: String, decision: Option<String>,
        note: Option<String>, decided_by: Option<String>, decided_at: Option<Timestamp>,
    }
}

/// A review.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// The quarter it is of (UTC), such as `2026-Q4`.
    pub quarter: String,
    /// When it was opened: what it says is what was then.
    pub opened_at: Timestamp,
    /// Who opened it.
    pub opened_by: String,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Who closed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    /// Its lines.
    pub lines: i64,
    /// Lines that nobody has decided yet.
    pub undecided: i64,
    /// Lines whose rights were taken away.
    pub revoked: i64,
}

/// A line: a user, a key or something given for a time.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReviewLine {
    /// Its number in the review, from 1.
    pub number: i64,
    /// `user`, `key` or `grant`.
    pub kind: String,
    /// The id of the user, key or grant.
    pub subject: String,
    /// What it is called.
    pub name: String,
    /// What is held: a role, or permissions.
    pub held: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last used: the last sign-in, or the key's last request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// What speaks for a second look: `never_used`, `dormant`, `wide` (rights over people and keys, or all), `idle_rights`
    /// (rights to change that were not used for 90 days), `no_end` (a key that never expires), `ownerless` (a key without an
    /// owner).
    pub remarks: Vec<String>,
    /// `keep` or `revoke`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// What was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
}

/// A review with its lines.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReviewShown {
    /// The review.
    #[serde(flatten)]
    pub review: Review,
    /// Its lines, at most 5,000.
    pub all: Vec<ReviewLine>,
}

/// A decision about a line.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReviewDecision)]
pub struct Decision {
    /// The line's number.
    pub line: i64,
    /// `keep`, or `revoke`: a user is disabled, a key revoked, a grant ended.
    pub decision: String,
    /// Why, up to 500 letters.
    pub note: Option<String>,
}

impl Stored {
    fn review(self) -> Review {
        let Self { id, quarter, opened_at, opened_by, closed_at, closed_by, lines, undecided, revoked } =
            self;
        Review { id, quarter, opened_at, opened_by, closed_at, closed_by, lines, undecided, revoked }
    }
}

impl StoredLine {
    fn line(self) -> ReviewLine {
        ReviewLine {
            number: self.number,
            kind: self.kind,
            subject: self.subject,
            name: self.name,
            held: self.held,
            since: self.since,
            last_used_at: self.last_used_at,
            ends_at: self.ends_at,
            remarks: serde_json::from_str(&self.remarks).unwrap_or_default(),
            decision: self.decision,
            note: self.note,
            decided_by: self.decided_by,
            decided_at: self.decided_at,
        }
    }
}

/// The quarter of an instant (UTC).
fn quarter(at: Timestamp) -> String {
    let day = at.to_string();
    let month: u32 = day.get(5..7).and_then(|month| month.parse().ok()).unwrap_or(1);
    format!("{}-Q{}", day.get(..4).unwrap_or_default(), month.saturating_sub(1) / 3 + 1)
}

async fn find(tx: &mut Tx, tenant: TenantId, id: ReviewId) -> Result<Review> {
    let row: Option<Stored> = tx
        .optional(
            sql!(
                "select r.id, r.quarter, r.opened_at, r.opened_by, r.closed_at, r.closed_by, \
                 (select count(*) from review_line l where l.tenant_id = r.tenant_id and l.review_id = r.id) as lines, \
                 (select count(*) from review_line l where l.tenant_id = r.tenant_id and l.review_id = r.id \
                 and l.decision is null) as undecided, \
                 (select count(*) from review_line l where l.tenant_id = r.tenant_id and l.review_id = r.id \
                 and l.decision = 'revoke') as revoked from review r where r.tenant_id = $1 and r.id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    row.map(Stored::review).ok_or_else(|| Error::not_found("review"))
}

/// The tenant's reviews, newest first.
///
/// # Errors
/// Without `review.view`; a malformed cursor or limit.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Review>> {
    scope.require(Permission::ReviewView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let rows: Vec<Stored> = scope
        .read()
        .await?
        .all(
            sql!(
                "select r.id, r.quarter, r.opened_at, r.opened_by, r.closed_at, r.closed_by, \
                 (select count(*) from review_line l where l.tenant_id = r.tenant_id and l.review_id = r.id) as lines, \
                 (select count(*) from review_line l where l.tenant_id = r.tenant_id and l.review_id = r.id \
                 and l.decision is null) as undecided, \
                 (select count(*) from review_line l where l.tenant_id = r.tenant_id and l.review_id = r.id \
                 and l.decision = 'revoke') as revoked from review r where r.tenant_id = $1 and r.id < $2 \
                 order by r.id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row| row.id.raw()).map(Stored::review))
}

/// A review with its lines.
///
/// # Errors
/// Without `review.view`; `not_found`.
pub async fn get(scope: &Scope, id: ReviewId) -> Result<ReviewShown> {
    scope.require(Permission::ReviewView)?;
    let mut tx = scope.read().await?;
    let review = find(&mut tx, scope.tenant(), id).await?;
    let rows: Vec<StoredLine> = tx
        .all(
            sql!(
                "select number, kind, subject, name, held, since, last_used_at, ends_at, remarks, decision, note, decided_by, \
                 decided_at from review_line where tenant_id = $1 and review_id = $2 order by number limit $3"
            ),
            args![scope.tenant(), id, LINES_MAX],
        )
        .await?;
    Ok(ReviewShown { review, all: rows.into_iter().map(StoredLine::line).collect() })
}

/// Puts a review with its lines into a transaction.
async fn insert(tx: &mut Tx, runtime: &Runtime, tenant: TenantId, by: &Actor) -> Result<Review> {
    let (id, now) = (runtime.ids.next::<types::kind::Review>(), runtime.clock.now());
    tx.execute(
        sql!("insert into review (id, tenant_id, quarter, opened_at, opened_by) values ($1, $2, $3, $4, $5)"),
        args![id, tenant, quarter(now), now, by.to_string()],
    )
    .await?;
    let mut rows = Rows::new();
    for (number, line) in (1_i64..).zip(lines::lines(tx, tenant, now).await?) {
        let remarks = serde_json::to_string(&line.remarks).map_err(Error::internal)?;
        rows.push([
            number.into(),
            db::Arg::word(line.kind),
            line.subject.into(),
            line.name.into(),
            line.held.into(),
            line.since.into(),
            line.last_used_at.into(),
            line.ends_at.into(),
            remarks.into(),
        ]);
    }
    tx.execute_rows(
        sql!(
            "insert into review_line (tenant_id, review_id, number, kind, subject, name, held, since, last_used_at, ends_at, \
             remarks) select $1, $2, r.number, r.kind, r.subject, r.name, r.held, r.since, r.last_used_at, r.ends_at, r.remarks \
             from rows(number bigint, kind text, subject text, name text, held text, since bigint, last_used_at bigint, \
             ends_at bigint, remarks text) r"
        ),
        args![tenant, id],
        rows,
    )
    .await?;
    find(tx, tenant, id).await
}

record! { struct Open { id: ReviewId } }

async fn open_one(tx: &mut Tx, tenant: TenantId) -> Result<Option<Open>> {
    Ok(tx
        .optional(
            sql!("select id from review where tenant_id = $1 and closed_at is null order by id desc limit 1"),
            args![tenant],
        )
        .await?)
}

/// Opens a review now.
///
/// # Errors
/// Without `review.decide`; `conflict` while another is open.
pub async fn open(scope: &Scope) -> Result<Review> {
    scope.require(Permission::ReviewDecide)?;
    let mut write = scope.write().await?;
    if let Some(Open { id }) = open_one(&mut write, scope.tenant()).await? {
        return Err(Error::new(Code::Conflict, format!("the review {id} is open")).hint("Close it first."));
    }
    let review = insert(&mut write, scope.runtime(), scope.tenant(), scope.actor()).await?;
    write.happened(Event::ReviewOpened(change(&review, None)));
    write.commit(review).await
}

/// Decides about a line, and carries out what is to be revoked.
///
/// # Errors
/// Without `review.decide`; `step_up_required`; `not_found`; `conflict` for a review that is closed and a line that was revoked;
/// what the operation refuses that takes the rights away: without `user.change`, `key.revoke` or `grant.end`, and for a user who
/// may do more than the reviewer.
pub async fn decide(scope: &Scope, id: ReviewId, wanted: Decision) -> Result<ReviewLine> {
    scope.require(Permission::ReviewDecide)?;
    scope.require_fresh()?;
    let shown = get(scope, id).await?;
    if shown.review.closed_at.is_some() {
        return Err(Error::new(Code::Conflict, "the review is closed"));
    }
    let before = shown.all.into_iter().find(|line| line.number == wanted.line);
    let before = before.ok_or_else(|| Error::invalid("line", "the review has no such line"))?;
    if !["keep", "revoke"].contains(&wanted.decision.as_str()) {
        return Err(Error::invalid("decision", "give keep or revoke"));
    }
    let note = wanted.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
        return Err(Error::invalid("note", format!("give at most {NOTE_CHARS_MAX} letters")));
    }
    if before.decision.as_deref() == Some("revoke") {
        return Err(Error::new(Code::Conflict, "what this line is about was taken away already"));
    }
    if wanted.decision == "revoke" {
        // Before the decision is kept: what stands there as revoked is revoked. A crash between the two leaves the line
        // open, and revoking again changes nothing.
        revoke(scope, &before).await?;
    }
    let mut write = scope.write().await?;
    let after = ReviewLine {
        decision: Some(wanted.decision),
        note,
        decided_by: Some(scope.actor().to_string()),
        decided_at: Some(scope.now()),
        ..before.clone()
    };
    write
        .execute(
            sql!(
                "update review_line set decision = $4, note = $5, decided_by = $6, decided_at = $7 \
                 where tenant_id = $1 and review_id = $2 and number = $3"
            ),
            args![
                scope.tenant(),
                id,
                after.number,
                after.decision.clone(),
                after.note.clone(),
                after.decided_by.clone(),
                after.decided_at
            ],
        )
        .await?;
    // Under the id of whom or what it is about: a name would have to be found here when its owner is erased.
    let told = |line: &ReviewLine| {
        serde_json::to_value(ReviewLine { name: line.subject.clone(), note: None, ..line.clone() }).ok()
    };
    write.happened(Event::ReviewDecided(Change {
        id: id.to_string(),
        name: format!("{} {}", after.kind, after.subject),
        before: told(&before),
        after: told(&after),
    }));
    write.commit(after).await
}

/// Takes away what a line is about. What is gone already is fine.
async fn revoke(scope: &Scope, line: &ReviewLine) -> Result<()> {
    // The request's Idempotency-Key belongs to the decision, not to what that carries out.
    let scope = &scope.without_key();
    let done = match line.kind.as_str() {
        "key" => key::revoke(scope, line.subject.parse()?).await.map(|_| ()),
        "grant" => grant::end(scope, line.subject.parse()?).await.map(|_| ()),
        _ => {
            let wanted = UserChange { status: Some(Status::Disabled), ..UserChange::default() };
            user::update(scope, line.subject.parse()?, wanted).await.map(|_| ())
        }
    };
    match done {
        Err(error) if error.code() == Code::NotFound => Ok(()),
        done => done,
    }
}

/// Closes a review whose lines are all decided.
///
/// # Errors
/// Without `review.decide`; `not_found`; `conflict` while lines wait.
pub async fn close(scope: &Scope, id: ReviewId) -> Result<Review> {
    scope.require(Permission::ReviewDecide)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    if before.undecided > 0 {
        return Err(Error::new(Code::Conflict, format!("{} lines wait for a decision", before.undecided)));
    }
    if before.closed_at.is_some() {
        return write.commit(before).await;
    }
    write
        .execute(
            sql!(
                "update review set closed_at = $3, closed_by = $4 where tenant_id = $1 and id = $2 and closed_at is null"
            ),
            args![scope.tenant(), id, scope.now(), scope.actor().to_string()],
        )
        .await?;
    let after = find(&mut write, scope.tenant(), id).await?;
    write.happened(Event::ReviewClosed(change(&after, Some(&before))));
    write.commit(after).await
}

/// A review as CSV (RFC 4180), with a heading. Fields that a spreadsheet would take for a formula begin with an apostrophe.
///
/// # Errors
/// Without `review.view`; `not_found`.
pub async fn csv(scope: &Scope, id: ReviewId) -> Result<String> {
    let shown = get(scope, id).await?;
    let mut text = String::from(
        "number,kind,subject,name,held,since,last_used_at,ends_at,remarks,decision,note,decided_by,decided_at\r\n",
    );
    let at = |at: Option<Timestamp>| at.map_or(String::new(), |at| at.to_string());
    for line in shown.all {
        let fields = [
            line.number.to_string(),
            line.kind,
            line.subject,
            line.name,
            line.held,
            line.since.to_string(),
            at(line.last_used_at),
            at(line.ends_at),
            line.remarks.join(" "),
            line.decision.unwrap_or_default(),
            line.note.unwrap_or_default(),
            line.decided_by.unwrap_or_default(),
            at(line.decided_at),
        ];
        let quoted = fields.map(|field| {
            let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
            format!("\"{guard}{}\"", field.replace('"', "\"\""))
        });
        text.push_str(&quoted.join(","));
        text.push_str("\r\n");
    }
    Ok(text)
}

record! { struct Due { id: TenantId } }
record! { pub(crate) struct Reviewer { id: UserId, pub(crate) email: String, pub(crate) language: String } }

/// Opens the review of this quarter for each tenant that has none yet and whose last one is closed, and tells by mail whoever
/// may decide it.
///
/// # Errors
/// When the database does not answer; what was not opened is opened at the next look.
pub async fn open_due(runtime: &Runtime) -> Result<()> {
    let now = runtime.clock.now();
    let due: Vec<Due> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select t.id from tenant t where t.status = 'active' and t.created_at < $1 and not exists (select 1 from review r \
                 where r.tenant_id = t.id and (r.quarter = $2 or r.closed_at is null)) order by t.id limit $3"
            ),
            args![now.plus_ms(-DORMANT_DAYS * DAY_MS), quarter(now), TENANTS_MAX],
        )
        .await?;
    for Due { id } in due {
        open_for(runtime, id).await?;
    }
    Ok(())
}

async fn open_for(runtime: &Runtime, tenant: TenantId) -> Result<()> {
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    if open_one(&mut tx, tenant).await?.is_some() {
        return Ok(());
    }
    let review = insert(&mut tx, runtime, tenant, &ACTOR).await?;
    for reviewer in people_who_may(&mut tx, tenant, Permission::ReviewDecide, runtime.clock.now()).await? {
        let url = format!("{}/reviews/{}", runtime.config.public_url(), review.id);
        let letter = Letter::ReviewDue { quarter: &review.quarter, lines: review.lines, url: &url };
        let mail = Mail::written_for(runtime, tenant, &reviewer.email, &reviewer.language, &letter).await?;
        mail::enqueue(mail.as_ref(), &mut tx, runtime).await?;
    }
    let happened = Happened {
        tenant,
        at: runtime.clock.now(),
        actor: ACTOR.to_string(),
        request_id: None,
        from: None,
        events: vec![Event::ReviewOpened(change(&review, None))],
    };
    let written = outbox::write(&mut tx, vec![happened]).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    runtime.job_wake.notify_one();
    Ok(())
}

/// Who opens reviews that are due.
const ACTOR: Actor = Actor::System("reviews");

/// The people who may do something in all of the tenant, as many as are told of it.
pub(crate) async fn people_who_may(
    tx: &mut Tx,
    tenant: TenantId,
    permission: Permission,
    now: Timestamp,
) -> Result<Vec<Reviewer>> {
    let people: Vec<Reviewer> = tx
        .all(
            sql!("select id, email, language from users where tenant_id = $1 and status = 'active' order by id limit $2"),
            args![tenant, LINES_MAX],
        )
        .await?;
    let mut able = Vec::new();
    for person in people {
        let facts = rights::of_user(tx, tenant, person.id, now).await?;
        if facts.allows(permission, None, now) {
            able.push(person);
        }
        if able.len() as i64 >= TOLD_MAX {
            break;
        }
    }
    Ok(able)
}

/// What the audit trail keeps of a review.
fn change(review: &Review, before: Option<&Review>) -> Change {
    Change {
        id: review.id.to_string(),
        name: review.quarter.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(review).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_those_of_the_calendar() {
        let of = |text: &str| quarter(Timestamp::parse(text).unwrap());
        assert_eq!(of("2026-01-01T00:00:00Z"), "2026-Q1");
        assert_eq!(of("2026-03-31T23:59:59Z"), "2026-Q1");
        assert_eq!(of("2026-04-01T00:00:00Z"), "2026-Q2");
        assert_eq!(of("2026-12-31T00:00:00Z"), "2026-Q4");
    }
}
