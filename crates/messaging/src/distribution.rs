//! Distribution lists: recipients under one name, to which a customer's system sends with submit_multi (SMPP v5 §4.2.3).

use db::{OnConflict, Tenancy, args, record, sql};
use runtime::personal::Sight;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{
    AccountId, Address, Code, DistributionListId, Error, Event, Page, Permission, Result, TenantId, Timestamp,
};
use web::Paging;

use crate::settings::{self, Patch};

pub mod api;
pub mod pages;

/// A list of recipients.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DistributionList {
    /// Its id.
    pub id: DistributionListId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// dl_name: 1 to 20 printable ASCII characters without blanks; unique within the tenant.
    pub name: String,
    /// Who is on it, and who may use it.
    pub rule: ListRule,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// Who is on a list, and who may use it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListRule {
    /// The recipients in international form, at most 1,000; each once.
    pub members: Vec<String>,
    /// The SMPP accounts that may send to it, at most 100; empty for all of the tenant's.
    pub accounts: Vec<AccountId>,
}

/// A list to be created.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDistributionList {
    /// dl_name.
    pub name: String,
    /// Who is on it, and who may use it.
    #[serde(default)]
    #[schema(value_type = ListRule)]
    pub rule: Patch,
}

/// A change to a list. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DistributionListPatch {
    /// dl_name.
    pub name: Option<String>,
    /// Who is on it, and who may use it; null brings a member's default back.
    #[serde(default)]
    #[schema(value_type = ListRule)]
    pub rule: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

const MEMBERS_MAX: usize = 1_000;
const ACCOUNTS_MAX: usize = 100;
/// What dl_name holds beside its NUL (SMPP v5 §4.7.8).
const NAME_CHARS_MAX: usize = 20;
/// Lists of a tenant.
const LISTS_MAX: i64 = 1_000;

impl ListRule {
    /// The rule in its normal form, when every value is one that its field takes.
    fn checked(mut self) -> Result<Self> {
        settings::at_most("rule.members", &self.members, MEMBERS_MAX)?;
        settings::at_most("rule.accounts", &self.accounts, ACCOUNTS_MAX)?;
        for (at, member) in self.members.iter_mut().enumerate() {
            let recipient =
                Address::recipient(member).map_err(|error| error.at(format!("rule.members[{at}]")))?;
            *member = recipient.to_string();
        }
        let mut seen = std::collections::HashSet::new();
        self.members.retain(|member| seen.insert(member.clone()));
        Ok(self)
    }
}

record! {
    struct Stored {
        id: DistributionListId, tenant_id: TenantId, name: String, rule: String, revision: i64, created_at: Timestamp,
        changed_at: Timestamp,
    }
}

impl Stored {
    fn list(self) -> Result<DistributionList> {
        Ok(DistributionList {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            rule: settings::stored(&self.rule)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

record! { struct Count { n: i64 } }

/// Creates a list.
///
/// # Errors
/// [`Code::AlreadyExists`] for a name that another of the tenant's lists has; refusals of its values.
pub async fn create(scope: &Scope, new: NewDistributionList) -> Result<DistributionList> {
    scope.require(Permission::DistributionCreate)?;
    let now = scope.now();
    let defaults = ListRule::default();
    settings::c_octets("name", &new.name, &(1..=NAME_CHARS_MAX))?;
    let list = DistributionList {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        name: new.name,
        rule: settings::changed("rule", &defaults, &defaults, &new.rule)?.checked()?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    let count: Count = write
        .one(sql!("select count(*) as n from distribution_list where tenant_id = $1"), args![list.tenant])
        .await?;
    if count.n >= LISTS_MAX {
        return Err(Error::invalid("name", format!("there are {LISTS_MAX} lists already")));
    }
    let inserted = write.execute(
        sql!(
            "insert into distribution_list (id, tenant_id, name, rule, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $6)"
        ),
        args![list.id, list.tenant, &list.name, settings::to_store(&list.rule)?, list.revision, now],
    );
    inserted.await.on_unique(|| taken(&list.name))?;
    write.happened(Event::DistributionListCreated(audited(&list, None, Some(&list))?));
    write.commit(list).await
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is a list named {name:?} already")).at("name")
}

/// Lists, newest first.
///
/// # Errors
/// [`Code::Forbidden`], [`Code::InvalidCursor`], [`Code::InvalidFilter`].
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<DistributionList>> {
    scope.require(Permission::DistributionView)?;
    let limit = paging.limit()?;
    let mut tx = scope.read().await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, rule, revision, created_at, changed_at from distribution_list
                 where tenant_id = $1 and id < $2 order by id desc limit $3"
            ),
            args![scope.tenant(), paging.behind(i64::MAX)?, limit as i64 + 1],
        )
        .await?;
    let lists = stored.into_iter().map(|one| Ok(seen(scope, one.list()?))).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfull(lists, limit, |list| list.id.raw()))
}

/// One list.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: DistributionListId) -> Result<DistributionList> {
    scope.require(Permission::DistributionView)?;
    Ok(seen(scope, present(&mut scope.read().await?, scope.tenant(), id).await?))
}

/// A list as somebody may see it: who is on it is masked for some.
fn seen(scope: &Scope, mut list: DistributionList) -> DistributionList {
    let sight = Sight::of(scope);
    list.rule.members = list.rule.members.into_iter().map(|one| sight.identifier(one)).collect();
    list
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: DistributionListId) -> Result<DistributionList> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, rule, revision, created_at, changed_at from distribution_list
                 where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("distribution list"))?.list()
}

/// Changes a list.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`]; refusals
/// of its values.
pub async fn change(
    scope: &Scope,
    id: DistributionListId,
    patch: DistributionListPatch,
) -> Result<DistributionList> {
    scope.require(Permission::DistributionChange)?;
    // Who sees phones masked would save the masks.
    if !patch.rule.is_empty() {
        scope.require(Permission::IdentifierView)?;
    }
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("list", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        settings::c_octets("name", &name, &(1..=NAME_CHARS_MAX))?;
        after.name = name;
    }
    after.rule = settings::changed("rule", &before.rule, &ListRule::default(), &patch.rule)?.checked()?;
    after.revision += 1;
    after.changed_at = scope.now();
    let changed = write.execute(
        sql!(
            "update distribution_list set name = $3, rule = $4, revision = $5, changed_at = $6
             where tenant_id = $1 and id = $2 and revision = $7"
        ),
        args![
            scope.tenant(),
            id,
            &after.name,
            settings::to_store(&after.rule)?,
            after.revision,
            after.changed_at,
            before.revision,
        ],
    );
    if changed.await.on_unique(|| taken(&after.name))? == 0 {
        return Err(settings::outdated("list", after.revision));
    }
    write.happened(Event::DistributionListChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(seen(scope, after)).await
}

/// Deletes a list. Messages that were sent to it stay.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: DistributionListId) -> Result<()> {
    scope.require(Permission::DistributionDelete)?;
    let mut write = scope.write().await?;
    let list = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(
            sql!("delete from distribution_list where tenant_id = $1 and id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    write.happened(Event::DistributionListDeleted(audited(&list, Some(&list), None)?));
    write.commit(()).await
}

/// The recipients of a list that an account names; nothing where it may use none of that name.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn members(
    runtime: &Runtime,
    tenant: TenantId,
    account: AccountId,
    name: &str,
) -> Result<Option<Vec<String>>> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, rule, revision, created_at, changed_at from distribution_list
                 where tenant_id = $1 and name = $2"
            ),
            args![tenant, name],
        )
        .await?;
    let Some(list) = found.map(Stored::list).transpose()? else { return Ok(None) };
    let may = list.rule.accounts.is_empty() || list.rule.accounts.contains(&account);
    Ok(may.then_some(list.rule.members))
}

fn audited(
    list: &DistributionList,
    before: Option<&DistributionList>,
    after: Option<&DistributionList>,
) -> Result<Change> {
    Ok(Change {
        id: list.id.to_string(),
        name: list.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

#[cfg(test)]
mod tests;
