//! Senders: what a tenant has registered, where it is approved, and who may send as whom.

use db::{OnConflict, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Address, Code, Error, Event, Page, Permission, Result, SenderId, TenantId, Timestamp};

use crate::gate::{country_code, fold};
use crate::settings::{self, Patch};

pub mod api;
mod decide;
pub mod pages;
pub mod policy;
pub mod pool;

pub(crate) use decide::Senders;

/// A sender that the tenant has registered, or means to.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Sender {
    /// Its id.
    pub id: SenderId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// The name, number or short code, as phones show it; unique within the tenant in either case.
    pub name: String,
    /// Where it is registered.
    #[serde(flatten)]
    pub record: SenderRecord,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// Where a sender is registered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SenderRecord {
    /// One for each country; one for `*` is for all others.
    pub registrations: Vec<Registration>,
    /// What people should know about it.
    pub note: Option<String>,
}

/// A registration with the networks of a country.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// ISO 3166-1 alpha-2 such as `FR`; `*` for every country that has none of its own.
    pub country: String,
    /// How it stands.
    pub state: RegistrationState,
    /// The first day it is good for, in the tenant's zone: `2027-01-01`.
    pub from: Option<String>,
    /// The last day it is good for; after it the registration counts as expired.
    pub until: Option<String>,
    /// The authority's reference, what is missing, and the like.
    pub note: Option<String>,
}

/// How a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// Not asked for yet.
    Draft,
    /// Asked for.
    Pending,
    /// Granted.
    Approved,
    /// Refused.
    Refused,
    /// Over.
    Expired,
}

impl RegistrationState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Pending, Self::Approved, Self::Refused, Self::Expired];

    /// The name that the API and forms hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

/// The country of a registration for every country that has none of its own.
pub(crate) const EVERYWHERE: &str = "*";
/// Senders of a tenant.
const SENDERS_MAX: i64 = 10_000;
const REGISTRATIONS_MAX: usize = 300;
const NOTE_CHARS_MAX: usize = 1_000;

/// A note in its normal form.
///
/// # Errors
/// At `field` for one that is too long.
pub(crate) fn note(field: &str, note: Option<String>) -> Result<Option<String>> {
    let note = note.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if note.as_deref().is_some_and(|text| text.chars().count() > NOTE_CHARS_MAX || text.contains('\0')) {
        return Err(Error::invalid(field, format!("a note has at most {NOTE_CHARS_MAX} characters")));
    }
    Ok(note)
}

/// A day in its normal form.
///
/// # Errors
/// At `field` for what is no day.
fn day(field: &str, text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let date: jiff::civil::Date = text
        .trim()
        .parse()
        .map_err(|_| Error::invalid(field, format!("{text:?} is not a day such as 2027-01-01")))?;
    Ok(Some(date.to_string()))
}

impl SenderRecord {
    fn checked(mut self) -> Result<Self> {
        settings::at_most("record.registrations", &self.registrations, REGISTRATIONS_MAX)?;
        for one in &mut self.registrations {
            if one.country.trim() == EVERYWHERE {
                EVERYWHERE.clone_into(&mut one.country);
            } else {
                one.country = country_code("record.registrations", &one.country)?;
            }
            one.from = day("record.registrations", one.from.take())?;
            one.until = day("record.registrations", one.until.take())?;
            one.note = note("record.registrations", one.note.take())?;
        }
        self.registrations.sort_by(|one, other| one.country.cmp(&other.country));
        let twice = self.registrations.windows(2).find(|pair| pair[0].country == pair[1].country);
        if let Some(pair) = twice {
            let why = format!("there are two registrations for {}", pair[0].country);
            return Err(Error::invalid("record.registrations", why));
        }
        self.note = note("record.note", self.note.take())?;
        Ok(self)
    }
}

/// A sender to be registered.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSender {
    /// The name, number or short code.
    pub name: String,
    /// Where it is registered.
    #[serde(default)]
    #[schema(value_type = SenderRecord)]
    pub record: Patch,
}

/// A change to a sender. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SenderPatch {
    /// Where it is registered; a list takes the former one's place.
    #[serde(default)]
    #[schema(value_type = SenderRecord)]
    pub record: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: SenderId, tenant_id: TenantId, name: String, record: String, revision: i64, created_at: Timestamp,
        changed_at: Timestamp,
    }
}

impl Stored {
    fn sender(self) -> Result<Sender> {
        Ok(Sender {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            record: settings::stored(&self.record)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// A tenant's senders, by name.
pub(crate) async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Sender>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, record, revision, created_at, changed_at from sender
                 where tenant_id = $1 order by folded limit $2"
            ),
            args![tenant, SENDERS_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::sender).collect()
}

/// Registers a sender. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`] for a name that is registered; [`Code::Conflict`] when the tenant has as many as it may;
/// refusals of its values.
pub async fn create(scope: &Scope, new: NewSender) -> Result<Sender> {
    scope.require(Permission::SenderCreate)?;
    let now = scope.now();
    let nothing = SenderRecord::default();
    let sender = Sender {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        name: Address::sender(&new.name).map_err(|error| error.at("name"))?.to_string(),
        record: settings::changed("record", &nothing, &nothing, &new.record)?.checked()?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    if of_tenant(&mut write, sender.tenant).await?.len() as i64 >= SENDERS_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {SENDERS_MAX} senders already")));
    }
    let inserted = write.execute(
        sql!(
            "insert into sender (id, tenant_id, name, folded, record, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)"
        ),
        args![
            sender.id,
            sender.tenant,
            &sender.name,
            fold(&sender.name),
            settings::to_store(&sender.record)?,
            sender.revision,
            now
        ],
    );
    inserted.await.on_unique(|| {
        Error::new(Code::AlreadyExists, format!("the sender {:?} is registered already", sender.name))
            .at("name")
    })?;
    write.happened(Event::SenderCreated(audited(&sender, None, Some(&sender))?));
    write.commit(sender).await
}

/// All senders, by name; there is one page, because a tenant has 10,000 at most.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<Sender>> {
    scope.require(Permission::SenderView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One sender.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: SenderId) -> Result<Sender> {
    scope.require(Permission::SenderView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: SenderId) -> Result<Sender> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, record, revision, created_at, changed_at from sender
                 where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("sender"))?.sender()
}

/// Changes where a sender is registered. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::NotFound`]; refusals of its values.
pub async fn change(scope: &Scope, id: SenderId, patch: SenderPatch) -> Result<Sender> {
    scope.require(Permission::SenderChange)?;
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("sender", before.revision));
    }
    let mut after = before.clone();
    let nothing = SenderRecord::default();
    after.record = settings::changed("record", &before.record, &nothing, &patch.record)?.checked()?;
    after.revision += 1;
    after.changed_at = scope.now();
    let changed = write
        .execute(
            sql!(
                "update sender set record = $3, revision = $4, changed_at = $5
                 where tenant_id = $1 and id = $2 and revision = $6"
            ),
            args![
                after.tenant,
                id,
                settings::to_store(&after.record)?,
                after.revision,
                after.changed_at,
                before.revision
            ],
        )
        .await?;
    if changed == 0 {
        return Err(settings::outdated("sender", after.revision));
    }
    write.happened(Event::SenderChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Takes a sender off the register. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: SenderId) -> Result<()> {
    scope.require(Permission::SenderDelete)?;
    let mut write = scope.write().await?;
    let sender = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from sender where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::SenderDeleted(audited(&sender, Some(&sender), None)?));
    write.commit(()).await
}

fn audited(sender: &Sender, before: Option<&Sender>, after: Option<&Sender>) -> Result<Change> {
    Ok(Change {
        id: sender.id.to_string(),
        name: sender.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}
