//! Who did what: the audited part of the event stream, as a chain that shows what is done to it.

use db::{Tenancy, args, record, sql};
use runtime::personal::Sight;
use runtime::{Runtime, Scope, sighting};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, TenantId, Timestamp, UserId, event};
use web::Paging;

pub mod api;
mod chain;
pub mod checkpoint;
pub mod erase;
pub mod export;
pub mod follow;
pub mod keep;
pub mod pages;
pub mod verify;

pub use checkpoint::Checkpoint;
pub use verify::Report;

use chain::{Linked, Stored};

/// The key by which a tenant's trail is signed, to sign something else that its tenant answers for.
///
/// # Errors
/// `not_found` where the tenant has no trail yet.
pub(crate) async fn signing(runtime: &Runtime, whose: TenantId) -> Result<checkpoint::Signing> {
    follow::catch_up(runtime, whose).await?;
    let mut tx = runtime.db.read(Tenancy::Tenant(whose)).await?;
    let chain = chain::standing(&mut tx, whose).await?.ok_or_else(|| Error::not_found("audit trail"))?;
    drop(tx);
    checkpoint::key(runtime, whose, &chain).await
}

/// Letters that a search takes.
const TEXT_CHARS_MAX: usize = 200;
/// Checkpoints on a page.
const CHECKPOINTS_SHOWN: i64 = 50;

/// Which entries are wanted, and how many.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only what this actor did: `usr_…`, `key_…`; of a user also what others did as them, and what they did as others.
    pub actor: Option<String>,
    /// Only this kind, such as `key.created`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only what was done to this record: its id, or an e-mail address for sign-ins.
    pub subject: Option<String>,
    /// From this instant on (RFC 3339), or this day (`2026-01-31`).
    pub since: Option<String>,
    /// Before this instant, or up to the end of this day.
    pub until: Option<String>,
    /// Only entries with these letters in them, upper or lower case.
    pub text: Option<String>,
    /// `next` of the page before: entries before that one.
    pub after: Option<String>,
    /// Entries on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
}

/// A filter that was read.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    actor: Option<String>,
    kind: Option<&'static str>,
    subject: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    text: Option<String>,
}

fn instant(given: Option<&str>, at: &str, end_of_day: bool) -> Result<Option<Timestamp>> {
    let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else { return Ok(None) };
    let whole = match given.len() {
        10 => format!("{given}T00:00:00Z"),
        _ => given.to_owned(),
    };
    let parsed = Timestamp::parse(&whole).map_err(|_| {
        Error::new(Code::InvalidFilter, format!("{given:?} is no instant"))
            .at(at)
            .hint("give a day such as 2026-01-31, or an instant such as 2026-01-31T12:00:00Z")
    })?;
    Ok(Some(if end_of_day && given.len() == 10 { parsed.plus_ms(86_400_000) } else { parsed }))
}

impl Filter {
    pub(crate) fn wanted(&self) -> Result<Wanted> {
        let filled = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let text = filled(&self.text).map(|text| text.to_lowercase());
        if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return Err(
                Error::new(Code::InvalidFilter, format!("more than {TEXT_CHARS_MAX} letters")).at("text")
            );
        }
        Ok(Wanted {
            actor: filled(&self.actor),
            kind: filled(&self.kind).as_deref().map(event::kind_named).transpose()?,
            subject: filled(&self.subject),
            since: instant(self.since.as_deref(), "since", false)?,
            until: instant(self.until.as_deref(), "until", true)?,
            text,
        })
    }

    /// The filter in words; nothing when everything is wanted.
    pub(crate) fn in_words(&self) -> Option<String> {
        let pairs = [
            ("actor", &self.actor),
            ("type", &self.kind),
            ("subject", &self.subject),
            ("since", &self.since),
            ("until", &self.until),
            ("text", &self.text),
        ];
        let filled = pairs.into_iter().filter_map(|(name, value)| {
            let value = value.as_deref().filter(|value| !value.trim().is_empty())?;
            Some(format!("{name}={value}"))
        });
        Some(filled.collect::<Vec<_>>().join(" ")).filter(|words| !words.is_empty())
    }
}

/// The two who stand in an actor's text where one acts as the other.
fn pair(actor: &str) -> [Option<&str>; 2] {
    let both = actor.split_once(" by ");
    [both.map(|(user, _)| user), both.map(|(_, by)| by)]
}

impl Wanted {
    /// Whether a row is one of those that are wanted; the same as the statement of [`list`] asks.
    fn fits(&self, linked: &Linked) -> bool {
        let Linked { row, folded, .. } = linked;
        self.actor
            .as_ref()
            .is_none_or(|actor| *actor == row.actor || pair(&row.actor).contains(&Some(actor.as_str())))
            && self.kind.is_none_or(|kind| kind == row.kind)
            && self.subject.as_ref().is_none_or(|subject| row.subject.as_ref() == Some(subject))
            && self.since.is_none_or(|since| row.at >= since)
            && self.until.is_none_or(|until| row.at < until)
            && self.text.as_ref().is_none_or(|text| folded.contains(text.as_str()))
    }

    /// The text as a pattern of `like`, in which a backslash takes the meaning from what follows.
    fn pattern(&self) -> Option<String> {
        let text = self.text.as_ref()?;
        Some(format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")))
    }
}

/// An entry of the audit trail.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// 1, 2, 3 … without a gap, for each tenant.
    pub number: i64,
    /// The event's number in the event stream.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who: a user, a key, an account, or a part of the system; `usr_… by usr_…` for a user as whom another one acted.
    pub actor: String,
    /// The request that asked for it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The network address it was asked from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What, by name.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it was done to: a record's id, or the e-mail address of a sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What happened: of a change the record before and after.
    pub data: Value,
    /// The hash of the entry before.
    pub previous: String,
    /// The entry's own hash.
    pub hash: String,
}

impl Entry {
    fn of(stored: Stored, tenant: TenantId) -> Result<Self> {
        let Linked { row, hash, .. } = stored.linked(tenant)?;
        Ok(Self {
            number: row.number,
            seq: row.seq,
            at: row.at,
            actor: row.actor,
            request_id: row.request_id,
            from: row.from,
            kind: row.kind,
            subject: row.subject,
            data: serde_json::from_str(row.data.get()).map_err(Error::internal)?,
            previous: row.previous,
            hash,
        })
    }
}

/// The tenant's audit trail, newest first, with all that has happened until now.
///
/// # Errors
/// Without `audit.view`; a malformed cursor, limit or instant, a kind that no event has.
pub async fn list(scope: &Scope, filter: &Filter) -> Result<Page<Entry>> {
    scope.require(Permission::AuditView)?;
    let paging = Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let wanted = filter.wanted()?;
    follow::catch_up(scope.runtime(), scope.tenant()).await?;
    let rows: Vec<Stored> = scope
        .read()
        .await?
        .all(
            sql!(
                "select r.number, r.seq, r.at, r.actor, r.request_id, r.from_address, r.kind, r.subject, r.data, r.folded, \
                 r.previous, r.hash from audit_row r join audit_chain c on c.tenant_id = r.tenant_id \
                 where r.tenant_id = $1 and r.number < $2 and r.number >= c.first \
                 and (cast($3 as text) is null or r.actor = $3 or r.actor like cast($10 as text) || ' by %' \
                 or r.actor like '% by ' || cast($10 as text)) and (cast($4 as text) is null or r.kind = $4) \
                 and (cast($5 as text) is null or r.subject = $5) and (cast($6 as bigint) is null or r.at >= $6) \
                 and (cast($7 as bigint) is null or r.at < $7) \
                 and (cast($8 as text) is null or r.folded like $8 escape '\\') order by r.number desc limit $9"
            ),
            args![
                scope.tenant(),
                before,
                wanted.actor.clone(),
                wanted.kind.map(str::to_owned),
                wanted.subject.clone(),
                wanted.since,
                wanted.until,
                wanted.pattern(),
                limit as i64 + 1,
                wanted.actor.filter(|actor| actor.parse::<UserId>().is_ok())
            ],
        )
        .await?;
    if filter.after.is_some() || scope.seat().is_none() {
        sighting::read(scope, "audit", rows.len());
    }
    let sight = Sight::of(scope);
    let entries: Result<Vec<Entry>> = rows
        .into_iter()
        .map(|row| {
            let entry = Entry::of(row, scope.tenant())?;
            Ok(Entry {
                subject: entry.subject.map(|subject| sight.words(subject)),
                data: sight.value(entry.data),
                ..entry
            })
        })
        .collect();
    Ok(Page::from_overfull(entries?, limit, |entry| entry.number))
}

record! { struct Body { body: String, signature: String } }

/// A checkpoint and its signature.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Signed {
    /// What it says.
    #[serde(flatten)]
    pub checkpoint: Checkpoint,
    /// The signature over the text of what it says, in base64url.
    pub signature: String,
    /// That text, octet for octet.
    pub signed: String,
}

/// Where the trail stands.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Standing {
    /// The first row that is kept.
    pub first: i64,
    /// The last row.
    pub last: i64,
    /// The last row's hash.
    pub hash: String,
    /// The id of the key that signs.
    pub key: String,
    /// The key to verify with, in base64url.
    pub public_key: String,
    /// The same as PEM.
    pub public_key_pem: String,
    /// The newest checkpoints, the newest first.
    pub checkpoints: Vec<Signed>,
}

/// Where the trail stands, the key to verify it with, and its newest checkpoints.
///
/// # Errors
/// Without `audit.view`; `not_found` where nothing was audited yet.
pub async fn standing(scope: &Scope) -> Result<Standing> {
    scope.require(Permission::AuditView)?;
    follow::catch_up(scope.runtime(), scope.tenant()).await?;
    let mut tx = scope.read().await?;
    let chain = chain::standing(&mut tx, scope.tenant()).await?;
    let chain = chain.ok_or_else(|| Error::not_found("audit trail"))?;
    let bodies: Vec<Body> = tx
        .all(
            sql!(
                "select body, signature from audit_checkpoint where tenant_id = $1 order by checkpoint desc limit $2"
            ),
            args![scope.tenant(), CHECKPOINTS_SHOWN],
        )
        .await?;
    let signed = bodies.into_iter().map(|Body { body, signature }| {
        let checkpoint = serde_json::from_str(&body).map_err(Error::internal)?;
        Ok(Signed { checkpoint, signature, signed: body })
    });
    Ok(Standing {
        first: chain.first,
        last: chain.number,
        hash: chain.hash,
        key: checkpoint::key_id(&chain.public_key),
        public_key_pem: checkpoint::pem(&chain.public_key),
        public_key: chain.public_key,
        checkpoints: signed.collect::<Result<_>>()?,
    })
}

/// Signs a checkpoint now, and gives where the trail stands.
///
/// # Errors
/// Without `audit.verify`; `conflict` when the trail grew at the same time.
pub async fn sign(scope: &Scope) -> Result<Standing> {
    scope.require(Permission::AuditVerify)?;
    follow::sign_now(scope.runtime(), scope.tenant()).await?;
    standing(scope).await
}

/// Verifies the tenant's trail from its first row to its last. What is found damaged is an event.
///
/// # Errors
/// Without `audit.verify`; when the database does not answer. Damage is no error: it stands in the report.
pub async fn check(scope: &Scope) -> Result<Report> {
    scope.require(Permission::AuditVerify)?;
    follow::catch_up(scope.runtime(), scope.tenant()).await?;
    let report = verify::stored(&scope.runtime().db, scope.tenant()).await?;
    if let Some(damage) = &report.damage {
        tracing::error!(tenant = %scope.tenant(), ?damage, "the audit trail is damaged");
        let mut write = scope.write().await?;
        write.happened(Event::AuditDamaged(Change {
            id: scope.tenant().to_string(),
            name: damage.detail.clone(),
            before: None,
            after: serde_json::to_value(damage).ok(),
        }));
        write.commit(()).await?;
    }
    Ok(report)
}
