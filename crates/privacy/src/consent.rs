//! The consent ledger: who has agreed to what, when, and what they were shown. Rows are added and never changed; a withdrawal
//! is a further row. Whom a row is about is locked by the person's key; erasing them leaves the row and its count.

use db::{args, record, sql};
use runtime::Scope;
use runtime::personal::Sight;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{ConsentEntryId, Error, Event, Page, Permission, PersonId, Result, Timestamp};

use crate::person::{self, Identifier};

pub mod api;
pub mod follow;

const NAME_CHARS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 4_000;

/// A consent or its withdrawal, to be recorded.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsent {
    /// The person's phone, mail address or user id.
    pub identifier: String,
    /// What for, such as `marketing`: 1 to 100 characters.
    pub purpose: String,
    /// By which channel, such as `sms`: 1 to 100 characters.
    pub channel: String,
    /// Whether it is given; otherwise it is withdrawn.
    pub given: bool,
    /// Where it comes from, such as `web form`: 1 to 100 characters.
    pub source: String,
    /// The text that the person was shown, at most 4,000 characters.
    #[serde(default)]
    pub shown: String,
    /// The network address that it came from.
    #[serde(default)]
    pub address: String,
    /// When; now when not given.
    pub at: Option<Timestamp>,
}

/// An entry of the ledger.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ConsentEntry {
    /// Its id.
    pub id: ConsentEntryId,
    /// The person.
    pub person: PersonId,
    /// Their identifier; absent once they are erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// When it was given or withdrawn.
    pub at: Timestamp,
    /// What for.
    pub purpose: String,
    /// By which channel.
    pub channel: String,
    /// Whether it is given; otherwise it is withdrawn.
    pub given: bool,
    /// Where it comes from.
    pub source: String,
    /// Who recorded it.
    pub actor: String,
    /// The text that the person was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// The network address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Evidence {
    identifier: Identifier,
    shown: String,
    address: String,
}

record! {
    struct Stored {
        id: ConsentEntryId, person_id: PersonId, at: Timestamp, purpose: String, channel: String, given: bool, source: String,
        actor: String, evidence_locked: String,
    }
}

fn name(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let chars = text.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX || text.contains('\0') {
        return Err(Error::invalid(field, format!("it takes 1 to {NAME_CHARS_MAX} characters")));
    }
    Ok(text.to_owned())
}

impl Stored {
    async fn entry(self, scope: &Scope) -> Result<ConsentEntry> {
        let key = person::key(scope.runtime(), scope.tenant(), self.person_id).await?;
        let evidence: Option<Evidence> = match key {
            Some(key) => {
                let row = self.id.to_string();
                let plain = key.open("consent", "evidence_locked", &row, &self.evidence_locked)?;
                Some(serde_json::from_slice(&plain).map_err(Error::internal)?)
            }
            None => None,
        };
        let sight = Sight::of(scope);
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(ConsentEntry {
            identifier: evidence.as_ref().map(|one| sight.identifier(one.identifier.shown())),
            shown: evidence.as_ref().and_then(|one| text(&one.shown)).map(|shown| sight.words(shown)),
            address: evidence.as_ref().filter(|_| sight.identifiers).and_then(|one| text(&one.address)),
            id: self.id,
            person: self.person_id,
            at: self.at,
            purpose: self.purpose,
            channel: self.channel,
            given: self.given,
            source: sight.words(self.source),
            actor: self.actor,
        })
    }
}

/// Records a consent or its withdrawal.
///
/// # Errors
/// Without `consent.record`; a value that its field does not take.
pub async fn record(scope: &Scope, new: NewConsent) -> Result<ConsentEntry> {
    scope.require(Permission::ConsentRecord)?;
    let identifier = Identifier::read(&new.identifier).map_err(|error| error.at("identifier"))?;
    let (purpose, channel) = (name("purpose", &new.purpose)?, name("channel", &new.channel)?);
    let source = name("source", &new.source)?;
    if new.shown.chars().count() > TEXT_CHARS_MAX {
        return Err(Error::invalid("shown", format!("it takes at most {TEXT_CHARS_MAX} characters")));
    }
    if new.address.chars().count() > NAME_CHARS_MAX {
        return Err(Error::invalid("address", format!("it takes at most {NAME_CHARS_MAX} characters")));
    }
    let at = new.at.unwrap_or_else(|| scope.now());
    if at > scope.now() {
        return Err(Error::invalid("at", "give a time that is not in the future"));
    }
    let key = person::of(scope, std::slice::from_ref(&identifier)).await?;
    let id: ConsentEntryId = scope.runtime().ids.next();
    let evidence = Evidence { identifier, shown: new.shown, address: new.address };
    let plain = serde_json::to_vec(&evidence).map_err(Error::internal)?;
    let locked = key.lock("consent", "evidence_locked", &id.to_string(), &plain)?;
    let mut write = scope.write().await?;
    let row = Stored {
        id,
        person_id: key.person,
        at,
        purpose,
        channel,
        given: new.given,
        source,
        actor: scope.actor().to_string(),
        evidence_locked: locked,
    };
    write
        .execute(
            sql!(
                "insert into consent (id, tenant_id, person_id, at, purpose, channel, given, source, actor, evidence_locked) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
            ),
            args![
                id,
                scope.tenant(),
                row.person_id,
                at,
                &row.purpose,
                &row.channel,
                row.given,
                &row.source,
                &row.actor,
                &row.evidence_locked
            ],
        )
        .await?;
    write.happened(Event::ConsentRecorded(Change {
        id: id.to_string(),
        name: format!("{} {}", row.purpose, row.channel),
        before: None,
        after: Some(serde_json::json!({ "person": row.person_id, "given": row.given, "source": row.source })),
    }));
    let entry = row.entry(scope).await?;
    write.commit(entry).await
}

/// Which entries.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConsentFilter {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
    /// Only of whoever has this phone, mail address or user id.
    pub identifier: Option<String>,
    /// Only for this purpose.
    pub purpose: Option<String>,
}

/// Entries, newest first.
///
/// # Errors
/// Without `consent.view`; a filter or cursor that is none.
pub async fn list(scope: &Scope, filter: &ConsentFilter) -> Result<Page<ConsentEntry>> {
    scope.require(Permission::ConsentView)?;
    let paging = web::Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let person = match &filter.identifier {
        None => None,
        Some(text) => {
            let identifier = Identifier::read(text).map_err(|error| error.at("identifier"))?;
            let found = person::found(scope, &identifier).await?;
            Some(found.unwrap_or_else(|| PersonId::from_raw(0)))
        }
    };
    let mut tx = scope.read().await?;
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select id, person_id, at, purpose, channel, given, source, actor, evidence_locked from consent \
                 where tenant_id = $1 and id < $2 and (cast($3 as bigint) is null or person_id = $3) \
                 and (cast($4 as text) is null or purpose = $4) order by id desc limit $5"
            ),
            args![scope.tenant(), before, person, filter.purpose.clone(), limit as i64 + 1],
        )
        .await?;
    drop(tx);
    let page = Page::from_overfull(rows, limit, |row| row.id.raw());
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(row.entry(scope).await?);
    }
    Ok(Page { items, next: page.next })
}
