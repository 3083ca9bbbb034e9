//! What a person asks for: taken in, checked, carried out by the system, or refused with its reason; each has its clock.

use db::{Tenancy, Tx, args, record, sql};
use runtime::personal::Sight;
use runtime::{Runtime, Scope, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::event::{Change, Exported};
use types::{Error, Event, Page, Permission, PersonId, PrivacyRequestId, Result, TenantId, Timestamp};

use crate::certificate::SignedCertificate;
use crate::erase::{self, Erased};
use crate::person::{self, IDENTIFIERS_MAX, Identifier, Key};
use crate::register;

pub mod api;
pub mod decide;
pub mod job;
pub mod pages;

const DAY_MS: i64 = 86_400_000;
const NOTE_CHARS_MAX: usize = 4_000;
const TABLE: &str = "privacy_request";
const ABOUT: &str = "about_locked";

/// What a person may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PrivacyRequestKind)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// To be told what is kept (GDPR article 15).
    Access,
    /// To be given what they have given, for machines (article 20).
    Portability,
    /// To have it corrected or completed (article 16).
    Rectification,
    /// To have it erased (article 17).
    Erasure,
    /// To have it kept and not used (article 18).
    Restriction,
    /// To get no marketing (article 21).
    Objection,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Access,
        Self::Portability,
        Self::Rectification,
        Self::Erasure,
        Self::Restriction,
        Self::Objection,
    ];

    /// The name that the API and the database hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Portability => "portability",
            Self::Rectification => "rectification",
            Self::Erasure => "erasure",
            Self::Restriction => "restriction",
            Self::Objection => "objection",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A request to be taken in.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// What is asked for.
    pub kind: Kind,
    /// Phones (`+33612345678`), mail addresses or ids of users that are the person's, 1 to 20.
    pub identifiers: Vec<String>,
    /// What the person says, at most 4,000 characters; for a rectification what is right.
    #[serde(default)]
    pub note: String,
    /// When it came in, where that was earlier: the clock runs from then.
    pub received_at: Option<Timestamp>,
}

/// A request of a person.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = PrivacyRequest)]
pub struct Request {
    /// Its id.
    pub id: PrivacyRequestId,
    /// The person.
    pub person: PersonId,
    /// What is asked for.
    pub kind: Kind,
    /// `open`, `working`, `done` or `refused`.
    pub state: String,
    /// The person's identifiers; none once they are erased.
    pub identifiers: Vec<String>,
    /// What the person says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it came in.
    pub opened_at: Timestamp,
    /// Until when the law wants an answer.
    pub due_at: Timestamp,
    /// Whether that is over and it has none.
    pub overdue: bool,
    /// When somebody noted how the person's identity was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// When the time was extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_at: Option<Timestamp>,
    /// What carrying out waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Until when the gathered file can be downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_until: Option<Timestamp>,
    /// Its size in octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<i64>,
    /// Whether there is a certificate of the erasure.
    pub certified: bool,
    /// What was done, the first step first; empty in lists.
    pub steps: Vec<Step>,
}

/// Something that was done about a request.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = PrivacyStep)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// What: `opened`, `checked`, `extended`, `refused`, `started`, `done`, `lifted`.
    pub step: String,
    /// In words; absent once the person is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A step with its reason.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[schema(as = PrivacyReason)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// How the identity was checked, why it is extended or refused: 3 to 4,000 characters.
    pub reason: String,
}

/// What is locked with a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) note: String,
}

record! {
    pub(crate) struct Stored {
        id: PrivacyRequestId, person_id: PersonId, kind: String, state: String, about_locked: String,
        opened_at: Timestamp, due_at: Timestamp, checked_at: Option<Timestamp>, extended_at: Option<Timestamp>,
        started_at: Option<Timestamp>, waits_for: Option<String>, ended_at: Option<Timestamp>,
        file_until: Option<Timestamp>, file_bytes: Option<i64>, certificate: Option<String>, signature: Option<String>,
        public_key: Option<String>, revision: i64,
    }
}

record! { struct StoredStep { id: i64, at: Timestamp, actor: String, step: String, note_locked: Option<String> } }

impl Stored {
    pub(crate) fn kind(&self) -> Kind {
        // What a later version asks for is carried out by that version alone; here it is only shown.
        Kind::named(&self.kind).unwrap_or(Kind::Access)
    }

    pub(crate) fn about(&self, key: &Key) -> Result<About> {
        let plain = key.open(TABLE, ABOUT, &self.id.to_string(), &self.about_locked)?;
        serde_json::from_slice(&plain).map_err(Error::internal)
    }

    async fn request(self, scope: &Scope) -> Result<Request> {
        let key = person::key(scope.runtime(), scope.tenant(), self.person_id).await?;
        let about = key.map(|key| self.about(&key)).transpose()?;
        let sight = Sight::of(scope);
        let (identifiers, note) = about.map_or((Vec::new(), None), |about| {
            let shown = about.identifiers.iter().map(|one| sight.identifier(one.shown())).collect();
            (shown, Some(about.note).filter(|note| !note.is_empty()))
        });
        Ok(Request {
            kind: self.kind(),
            overdue: self.ended_at.is_none() && self.due_at < scope.now(),
            certified: self.certificate.is_some(),
            id: self.id,
            person: self.person_id,
            state: self.state,
            identifiers,
            note,
            opened_at: self.opened_at,
            due_at: self.due_at,
            checked_at: self.checked_at,
            extended_at: self.extended_at,
            waits_for: self.waits_for,
            ended_at: self.ended_at,
            file_until: self.file_until.filter(|until| *until > scope.now()),
            file_bytes: self.file_bytes,
            steps: Vec::new(),
        })
    }
}

pub(crate) async fn stored(tx: &mut Tx, tenant: TenantId, id: PrivacyRequestId) -> Result<Stored> {
    let row: Option<Stored> = tx
        .optional(sql!("select * from privacy_request where tenant_id = $1 and id = $2"), args![tenant, id])
        .await?;
    row.ok_or_else(|| Error::not_found("privacy request"))
}

fn words(field: &str, text: &str, least: usize) -> Result<String> {
    let text = text.trim();
    let chars = text.chars().count();
    if chars < least || chars > NOTE_CHARS_MAX || text.contains('\0') {
        return Err(Error::invalid(field, format!("it takes {least} to {NOTE_CHARS_MAX} characters")));
    }
    Ok(text.to_owned())
}

/// Reads identifiers, each once.
pub(crate) fn identifiers(given: &[String]) -> Result<Vec<Identifier>> {
    if given.is_empty() || given.len() > IDENTIFIERS_MAX {
        return Err(Error::invalid("identifiers", format!("give 1 to {IDENTIFIERS_MAX} of them")));
    }
    let mut read: Vec<Identifier> = Vec::with_capacity(given.len());
    for (at, text) in given.iter().enumerate() {
        let one = Identifier::read(text).map_err(|error| error.at(format!("identifiers[{at}]")))?;
        if !read.contains(&one) {
            read.push(one);
        }
    }
    Ok(read)
}

/// Adds a step and its event.
pub(crate) async fn step(
    write: &mut Write,
    scope: &Scope,
    key: Option<&Key>,
    request: &Stored,
    name: &'static str,
    note: &str,
) -> Result<()> {
    let id = scope.runtime().ids.next::<types::kind::PrivacyRequest>().raw();
    let locked = match key.filter(|_| !note.is_empty()) {
        Some(key) => Some(key.lock("privacy_step", "note_locked", &id.to_string(), note.as_bytes())?),
        None => None,
    };
    write
        .execute(
            sql!(
                "insert into privacy_step (id, tenant_id, request_id, at, actor, step, note_locked) \
                 values ($1, $2, $3, $4, $5, $6, $7)"
            ),
            args![id, scope.tenant(), request.id, scope.now(), scope.actor().to_string(), name, locked],
        )
        .await?;
    // The trail says what was done and never about whom but by number.
    write.happened(Event::PrivacyRequestChanged(Change {
        id: request.id.to_string(),
        name: format!("{} {name}", request.kind),
        before: None,
        after: Some(serde_json::json!({ "person": request.person_id, "kind": request.kind, "step": name })),
    }));
    Ok(())
}

/// Takes in a request.
///
/// # Errors
/// Without `privacy.open`; identifiers that are none, or of different persons.
pub async fn open(scope: &Scope, new: NewRequest) -> Result<Request> {
    scope.require(Permission::PrivacyOpen)?;
    let about = About { identifiers: identifiers(&new.identifiers)?, note: words("note", &new.note, 0)? };
    let now = scope.now();
    let opened_at = new.received_at.unwrap_or(now);
    if opened_at > now || now.since_ms(opened_at) > 366 * DAY_MS {
        return Err(Error::invalid("received_at", "give a time within the last year"));
    }
    if new.kind == Kind::Rectification && about.note.is_empty() {
        return Err(Error::invalid("note", "say what is right"));
    }
    let settings = register::settings(scope).await?;
    let key = person::of(scope, &about.identifiers).await?;
    let id: PrivacyRequestId = scope.runtime().ids.next();
    let plain = serde_json::to_vec(&about).map_err(Error::internal)?;
    let locked = key.lock(TABLE, ABOUT, &id.to_string(), &plain)?;
    let due_at = opened_at.plus_ms(i64::from(settings.response_days) * DAY_MS);
    let mut write = scope.write().await?;
    write
        .execute(
            sql!(
                "insert into privacy_request (id, tenant_id, person_id, kind, state, about_locked, opened_at, due_at, revision) \
                 values ($1, $2, $3, $4, 'open', $5, $6, $7, 1)"
            ),
            args![id, scope.tenant(), key.person, new.kind.as_str(), locked, opened_at, due_at],
        )
        .await?;
    let row = stored(&mut write, scope.tenant(), id).await?;
    step(&mut write, scope, Some(&key), &row, "opened", "").await?;
    let request = row.request(scope).await?;
    write.commit(request).await
}

/// Which requests.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RequestFilter {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only what is not answered and overdue: `true`.
    pub overdue: Option<String>,
}

/// Requests, newest first.
///
/// # Errors
/// Without `privacy.view`; a filter or cursor that is none.
pub async fn list(scope: &Scope, filter: &RequestFilter) -> Result<Page<Request>> {
    scope.require(Permission::PrivacyView)?;
    let paging = web::Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let overdue = filter.overdue.as_deref() == Some("true");
    let mut tx = scope.read().await?;
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select * from privacy_request where tenant_id = $1 and id < $2 and (cast($3 as text) is null or state = $3) \
                 and (cast($4 as text) is null or kind = $4) and ($5 = false or (ended_at is null and due_at < $6)) \
                 order by id desc limit $7"
            ),
            args![
                scope.tenant(),
                before,
                filter.state.clone(),
                filter.kind.clone(),
                overdue,
                scope.now(),
                limit as i64 + 1
            ],
        )
        .await?;
    drop(tx);
    let page = Page::from_overfull(rows, limit, |row| row.id.raw());
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(row.request(scope).await?);
    }
    Ok(Page { items, next: page.next })
}

/// One request with what was done about it.
///
/// # Errors
/// Without `privacy.view`; `not_found`, also for another tenant's.
pub async fn get(scope: &Scope, id: PrivacyRequestId) -> Result<Request> {
    scope.require(Permission::PrivacyView)?;
    present(scope, id).await
}

async fn present(scope: &Scope, id: PrivacyRequestId) -> Result<Request> {
    let mut tx = scope.read().await?;
    let row = stored(&mut tx, scope.tenant(), id).await?;
    let steps: Vec<StoredStep> = tx
        .all(
            sql!(
                "select id, at, actor, step, note_locked from privacy_step where tenant_id = $1 and request_id = $2 \
                 order by id limit 200"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    drop(tx);
    let key = person::key(scope.runtime(), scope.tenant(), row.person_id).await?;
    let mut request = row.request(scope).await?;
    for one in steps {
        let note = match (&key, one.note_locked) {
            (Some(key), Some(locked)) => {
                let plain = key.open("privacy_step", "note_locked", &one.id.to_string(), &locked)?;
                Some(String::from_utf8_lossy(&plain).into_owned())
            }
            _ => None,
        };
        request.steps.push(Step { at: one.at, actor: one.actor, step: one.step, note });
    }
    Ok(request)
}

/// What is there about the person now, by table: what carrying the request out would reach.
///
/// # Errors
/// Without `privacy.view`; `conflict` when the person is erased.
pub async fn preview(scope: &Scope, id: PrivacyRequestId) -> Result<Vec<Erased>> {
    scope.require(Permission::PrivacyView)?;
    let row = stored(&mut scope.read().await?, scope.tenant(), id).await?;
    let key = person::living(scope.runtime(), scope.tenant(), row.person_id).await?;
    erase::found(scope, &row.about(&key)?.identifiers, scope.now().plus_ms(1)).await
}

record! { struct Piece { body_locked: String } }

/// What was gathered for a request: JSON.
///
/// # Errors
/// Without `privacy.download`; `not_found` when there is none, or no more.
pub async fn file(scope: &Scope, id: PrivacyRequestId) -> Result<Vec<u8>> {
    scope.require(Permission::PrivacyDownload)?;
    let row = stored(&mut scope.read().await?, scope.tenant(), id).await?;
    if row.file_until.is_none_or(|until| until <= scope.now()) {
        return Err(Error::not_found("file of this request"));
    }
    let key = person::living(scope.runtime(), scope.tenant(), row.person_id).await?;
    let mut tx = scope.read().await?;
    let pieces: Vec<Piece> = tx
        .all(
            sql!(
                "select body_locked from privacy_file where tenant_id = $1 and request_id = $2 order by piece limit 10000"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    drop(tx);
    let mut whole = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        whole.extend(key.open("privacy_file", "body_locked", &format!("{id}/{at}"), &piece.body_locked)?);
    }
    let mut write = scope.write().await?;
    let what = Exported { what: "person".into(), name: Some(id.to_string()), records: None };
    write.happened(Event::DataExported(what));
    write.commit(()).await?;
    Ok(whole)
}

/// Forgets gathered files whose time is over, at most so many requests' at a time, and gives how many.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_files(runtime: &Runtime, before: Timestamp, at_most: usize) -> Result<u64> {
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    tx.execute(
        sql!(
            "delete from privacy_file where (tenant_id, request_id) in (select tenant_id, id from privacy_request \
             where file_until <= $1 order by file_until limit $2)"
        ),
        args![before, at_most as i64],
    )
    .await?;
    let forgotten = tx
        .execute(
            sql!(
                "update privacy_request set file_until = null, file_bytes = null where (tenant_id, id) in \
                 (select tenant_id, id from privacy_request where file_until <= $1 order by file_until limit $2)"
            ),
            args![before, at_most as i64],
        )
        .await?;
    tx.commit().await?;
    Ok(forgotten)
}

/// The certificate of an erasure.
///
/// # Errors
/// Without `privacy.view`; `not_found` before it is done.
pub async fn certificate(scope: &Scope, id: PrivacyRequestId) -> Result<SignedCertificate> {
    scope.require(Permission::PrivacyView)?;
    let row = stored(&mut scope.read().await?, scope.tenant(), id).await?;
    match (row.certificate, row.signature, row.public_key) {
        (Some(certificate), Some(signature), Some(public_key)) => {
            Ok(SignedCertificate { certificate, signature, public_key })
        }
        _ => Err(Error::not_found("certificate of this request")),
    }
}

/// What the file of a person says beside the tables.
pub(crate) fn beside(about: &About) -> serde_json::Map<String, Value> {
    let mut own = serde_json::Map::new();
    if !about.note.is_empty() {
        own.insert("request".to_owned(), Value::String(about.note.clone()));
    }
    own
}
