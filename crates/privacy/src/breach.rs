//! Breaches of personal data: what happened, who was told, and until when the authority must hear of it (GDPR article 33: 72
//! hours; other laws have other times, which the tenant sets).

use db::{Tx, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{BreachId, Code, Error, Event, Page, Permission, Result, TenantId, Timestamp};

use crate::register;

pub mod api;

const TITLE_CHARS_MAX: usize = 200;
const TEXT_CHARS_MAX: usize = 8_000;
const HOUR_MS: i64 = 3_600_000;

/// A breach to be noted.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBreach {
    /// In a line, 3 to 200 characters.
    pub title: String,
    /// What happened, which data, which consequences are likely: at most 8,000 characters.
    #[serde(default)]
    pub about: String,
    /// When it was discovered; now when not given. The clock runs from then.
    pub discovered_at: Option<Timestamp>,
    /// About how many persons it concerns.
    pub persons: Option<i64>,
}

/// A breach of personal data.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Breach {
    /// Its id.
    pub id: BreachId,
    /// In a line.
    pub title: String,
    /// What happened.
    pub about: String,
    /// When it was discovered.
    pub discovered_at: Timestamp,
    /// Until when the authority must hear of it.
    pub due_at: Timestamp,
    /// Whether that is over and it has not.
    pub overdue: bool,
    /// When the authority was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_told_at: Option<Timestamp>,
    /// When the persons were told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persons_told_at: Option<Timestamp>,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// About how many persons it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persons: Option<i64>,
    /// What was done, the first step first; empty in lists.
    pub steps: Vec<BreachStep>,
}

/// Something that was done about a breach.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BreachStep {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// What.
    pub step: StepKind,
    /// In words.
    pub note: String,
}

/// A kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BreachStepKind)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Something was found out or done.
    Note,
    /// The authority was told.
    AuthorityTold,
    /// The persons were told.
    PersonsTold,
    /// Nothing more is to be done.
    Closed,
}

impl StepKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::AuthorityTold => "authority_told",
            Self::PersonsTold => "persons_told",
            Self::Closed => "closed",
        }
    }

    fn named(name: &str) -> Self {
        [Self::AuthorityTold, Self::PersonsTold, Self::Closed]
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .unwrap_or(Self::Note)
    }
}

/// A step to be noted.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBreachStep {
    /// What.
    pub step: StepKind,
    /// Who was told what, or what was done: 3 to 8,000 characters.
    pub note: String,
}

record! {
    struct Stored {
        id: BreachId, title: String, about: String, discovered_at: Timestamp, due_at: Timestamp,
        authority_told_at: Option<Timestamp>, persons_told_at: Option<Timestamp>, closed_at: Option<Timestamp>,
        persons: Option<i64>, revision: i64,
    }
}
record! { struct StepRow { at: Timestamp, actor: String, step: String, note: String } }

impl Stored {
    fn breach(self, now: Timestamp) -> Breach {
        Breach {
            overdue: self.authority_told_at.is_none() && self.closed_at.is_none() && self.due_at < now,
            id: self.id,
            title: self.title,
            about: self.about,
            discovered_at: self.discovered_at,
            due_at: self.due_at,
            authority_told_at: self.authority_told_at,
            persons_told_at: self.persons_told_at,
            closed_at: self.closed_at,
            persons: self.persons,
            steps: Vec::new(),
        }
    }
}

fn words(field: &str, text: &str, (least, most): (usize, usize)) -> Result<String> {
    let text = text.trim();
    let chars = text.chars().count();
    if chars < least || chars > most || text.contains('\0') {
        return Err(Error::invalid(field, format!("it takes {least} to {most} characters")));
    }
    Ok(text.to_owned())
}

async fn stored(tx: &mut Tx, tenant: TenantId, id: BreachId) -> Result<Stored> {
    let row = tx.optional(
        sql!(
            "select id, title, about, discovered_at, due_at, authority_told_at, persons_told_at, closed_at, persons, revision \
             from breach where tenant_id = $1 and id = $2"
        ),
        args![tenant, id],
    );
    row.await?.ok_or_else(|| Error::not_found("breach"))
}

/// Notes a breach; its clock runs from the discovery.
///
/// # Errors
/// Without `breach.manage`; a value that its field does not take.
pub async fn note(scope: &Scope, new: NewBreach) -> Result<Breach> {
    scope.require(Permission::BreachManage)?;
    let title = words("title", &new.title, (3, TITLE_CHARS_MAX))?;
    let about = words("about", &new.about, (0, TEXT_CHARS_MAX))?;
    let discovered_at = new.discovered_at.unwrap_or_else(|| scope.now());
    if discovered_at > scope.now() {
        return Err(Error::invalid("discovered_at", "give a time that is not in the future"));
    }
    if new.persons.is_some_and(|persons| persons < 0) {
        return Err(Error::invalid("persons", "it takes 0 or more"));
    }
    let hours = register::settings(scope).await?.breach_hours;
    let id: BreachId = scope.runtime().ids.next();
    let mut write = scope.write().await?;
    write
        .execute(
            sql!(
                "insert into breach (id, tenant_id, title, about, discovered_at, due_at, persons, revision) \
                 values ($1, $2, $3, $4, $5, $6, $7, 1)"
            ),
            args![
                id,
                scope.tenant(),
                &title,
                about,
                discovered_at,
                discovered_at.plus_ms(i64::from(hours) * HOUR_MS),
                new.persons
            ],
        )
        .await?;
    let breach = stored(&mut write, scope.tenant(), id).await?.breach(scope.now());
    write.happened(Event::BreachChanged(Change {
        id: id.to_string(),
        name: title,
        before: None,
        after: Some(serde_json::json!({ "due_at": breach.due_at })),
    }));
    write.commit(breach).await
}

/// Breaches, newest first.
///
/// # Errors
/// Without `breach.view`; a cursor that is none.
pub async fn list(scope: &Scope, paging: &web::Paging) -> Result<Page<Breach>> {
    scope.require(Permission::BreachView)?;
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let mut tx = scope.read().await?;
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select id, title, about, discovered_at, due_at, authority_told_at, persons_told_at, closed_at, persons, revision \
                 from breach where tenant_id = $1 and id < $2 order by id desc limit $3"
            ),
            args![scope.tenant(), before, limit as i64 + 1],
        )
        .await?;
    let now = scope.now();
    Ok(Page::from_overfull(rows, limit, |row| row.id.raw()).map(|row| row.breach(now)))
}

/// One breach with what was done about it.
///
/// # Errors
/// Without `breach.view`; [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: BreachId) -> Result<Breach> {
    scope.require(Permission::BreachView)?;
    present(scope, id).await
}

async fn present(scope: &Scope, id: BreachId) -> Result<Breach> {
    let mut tx = scope.read().await?;
    let mut breach = stored(&mut tx, scope.tenant(), id).await?.breach(scope.now());
    let steps: Vec<StepRow> = tx
        .all(
            sql!(
                "select at, actor, step, note from breach_step where tenant_id = $1 and breach_id = $2 order by id limit 1000"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    breach.steps = steps
        .into_iter()
        .map(|row| BreachStep {
            at: row.at,
            actor: row.actor,
            step: StepKind::named(&row.step),
            note: row.note,
        })
        .collect();
    Ok(breach)
}

/// Notes what was done about a breach.
///
/// # Errors
/// Without `breach.manage`; [`Code::Conflict`] when it is closed.
pub async fn add_step(scope: &Scope, id: BreachId, new: &NewBreachStep) -> Result<Breach> {
    scope.require(Permission::BreachManage)?;
    let note = words("note", &new.note, (3, TEXT_CHARS_MAX))?;
    let mut write = scope.write().await?;
    let row = stored(&mut write, scope.tenant(), id).await?;
    if row.closed_at.is_some() {
        return Err(Error::new(Code::Conflict, "the breach is closed"));
    }
    let at = |kind: StepKind, before: Option<Timestamp>| before.or((new.step == kind).then(|| scope.now()));
    write
        .execute(
            sql!(
                "update breach set authority_told_at = $3, persons_told_at = $4, closed_at = $5, revision = revision + 1 \
                 where tenant_id = $1 and id = $2"
            ),
            args![
                scope.tenant(),
                id,
                at(StepKind::AuthorityTold, row.authority_told_at),
                at(StepKind::PersonsTold, row.persons_told_at),
                at(StepKind::Closed, row.closed_at)
            ],
        )
        .await?;
    write
        .execute(
            sql!(
                "insert into breach_step (id, tenant_id, breach_id, at, actor, step, note) values ($1, $2, $3, $4, $5, $6, $7)"
            ),
            args![
                scope.runtime().ids.next::<types::kind::Breach>(),
                scope.tenant(),
                id,
                scope.now(),
                scope.actor().to_string(),
                new.step.as_str(),
                note
            ],
        )
        .await?;
    write.happened(Event::BreachChanged(Change {
        id: id.to_string(),
        name: row.title,
        before: None,
        after: Some(serde_json::json!({ "step": new.step })),
    }));
    write.commit(()).await?;
    present(scope, id).await
}
