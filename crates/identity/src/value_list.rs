//! Value lists: what people choose from where a reason, a title or a category is asked for.
//!
//! Each tenant has the lists of [`seeds`], and makes others beside them. A value is known by its code, which stays as it is
//! for ever because records hold it; what people read is its title in their language. A tenant gives its values other titles,
//! another order, switches them off and adds its own. A value that came with the product is never deleted: records of any
//! age may hold it.

use std::collections::{BTreeMap, BTreeSet};

use db::{Arg, OnConflict, Tenancy, Tx, args, record, sql};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, TenantId, Timestamp};

use crate::name;

pub mod api;
pub mod pages;
mod seeds;

/// Lists of a tenant.
const LISTS_MAX: i64 = 100;
/// Values in a list.
const VALUES_MAX: usize = 300;
/// Letters of a title.
const TITLE_CHARS_MAX: usize = 100;
/// Letters of a code or a list's name.
const CODE_CHARS_MAX: usize = 60;
/// Tenants that are seeded in one look.
const TENANTS_MAX: i64 = 100_000;

/// A title by language: `en`, `fr`, `ar`. English is always there.
pub type Titles = BTreeMap<String, String>;

/// A value of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ListValue)]
pub struct Item {
    /// What records hold: 1 to 60 of a to z, 0 to 9 and `_`; it never changes.
    pub code: String,
    /// What people read, by language: `en`, `fr`, `ar`; English must be there.
    pub titles: Titles,
    /// Whether it can be chosen; true when not given.
    #[serde(default = "yes")]
    pub active: bool,
    /// Whether it came with the product; not taken from who changes a list.
    #[serde(default)]
    pub system: bool,
}

fn yes() -> bool {
    true
}

/// A list of values, in the order in which people are shown them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ValueList {
    /// Its name, such as `security_closing`.
    pub name: String,
    /// What people call it, by language.
    pub titles: Titles,
    /// The values in their order.
    pub values: Vec<Item>,
    /// Whether it came with the product.
    pub system: bool,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// A list to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewValueList {
    /// Its name: 1 to 60 of a to z, 0 to 9 and `_`; it never changes.
    pub name: String,
    /// What people call it, by language; English must be there.
    pub titles: Titles,
    /// The values in their order, up to 300.
    #[serde(default)]
    pub values: Vec<Item>,
}

/// What to change of a list; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueListPatch {
    /// What people call it, by language, all of it.
    pub titles: Option<Titles>,
    /// The values in their new order, all of them. One that is left out is deleted; one that came with the product must not
    /// be.
    pub values: Option<Vec<Item>>,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored { name: String, titles: String, items: String, system: bool, revision: i64, changed_at: Timestamp }
}

impl Stored {
    fn list(self) -> Result<ValueList> {
        Ok(ValueList {
            name: self.name,
            titles: serde_json::from_str(&self.titles).map_err(Error::internal)?,
            values: serde_json::from_str(&self.items).map_err(Error::internal)?,
            system: self.system,
            revision: self.revision,
            changed_at: self.changed_at,
        })
    }
}

/// The title in a language, in English where there is none.
pub fn title<'a>(titles: &'a Titles, language: &str) -> &'a str {
    titles.get(language).or_else(|| titles.get("en")).map_or("", String::as_str)
}

fn is_code(text: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_';
    (1..=CODE_CHARS_MAX).contains(&text.len()) && text.bytes().all(plain)
}

fn checked_titles(field: &str, titles: Titles) -> Result<Titles> {
    let mut checked = Titles::new();
    for (language, title) in titles {
        let at = format!("{field}/{language}");
        if !name::LANGUAGES.iter().any(|(tag, _)| *tag == language) {
            return Err(Error::invalid(&at, format!("{language:?} is no language of ours")));
        }
        let title = title.trim().to_owned();
        if title.is_empty() {
            continue;
        }
        if title.chars().count() > TITLE_CHARS_MAX || title.chars().any(char::is_control) {
            return Err(Error::invalid(&at, format!("give one line of at most {TITLE_CHARS_MAX} letters")));
        }
        checked.insert(language, title);
    }
    if !checked.contains_key("en") {
        return Err(Error::invalid(
            &format!("{field}/en"),
            "give an English title: it stands in for missing ones",
        ));
    }
    Ok(checked)
}

/// Brings values into their normal form; whether one came with the product is known from what was there.
fn checked(values: Vec<Item>, before: &[Item]) -> Result<Vec<Item>> {
    if values.len() > VALUES_MAX {
        return Err(Error::invalid("values", format!("give at most {VALUES_MAX} values")));
    }
    let system = |code: &str| before.iter().any(|item| item.code == code && item.system);
    let mut seen = BTreeSet::new();
    let mut checked = Vec::with_capacity(values.len());
    for (at, item) in values.into_iter().enumerate() {
        if !is_code(&item.code) {
            let wrong =
                format!("{:?} is no code: take a to z, 0 to 9 and _, at most {CODE_CHARS_MAX}", item.code);
            return Err(Error::invalid(&format!("values/{at}/code"), wrong));
        }
        if !seen.insert(item.code.clone()) {
            return Err(Error::invalid(
                &format!("values/{at}/code"),
                format!("{} stands there twice", item.code),
            ));
        }
        let titles = checked_titles(&format!("values/{at}/titles"), item.titles)?;
        checked.push(Item { titles, system: system(&item.code), ..item });
    }
    if let Some(lost) = before.iter().find(|item| item.system && !seen.contains(&item.code)) {
        return Err(Error::new(
            Code::Conflict,
            format!("{} came with the product and cannot be deleted", lost.code),
        )
        .at("values")
        .hint("Switch it off instead: it is not offered any more, and old records keep their reason."));
    }
    Ok(checked)
}

async fn find(tx: &mut Tx, tenant: TenantId, name: &str) -> Result<ValueList> {
    let row: Option<Stored> = tx
        .optional(
            sql!(
                "select name, titles, items, system, revision, changed_at from value_list where tenant_id = $1 and name = $2"
            ),
            args![tenant, name],
        )
        .await?;
    row.ok_or_else(|| Error::not_found("value list"))?.list()
}

/// The tenant's lists, by name.
///
/// # Errors
/// Without `value_list.view`.
pub async fn list(scope: &Scope) -> Result<Page<ValueList>> {
    scope.require(Permission::ValueListView)?;
    let rows: Vec<Stored> = scope
        .read()
        .await?
        .all(
            sql!(
                "select name, titles, items, system, revision, changed_at from value_list where tenant_id = $1 \
                 order by name limit $2"
            ),
            args![scope.tenant(), LISTS_MAX],
        )
        .await?;
    Ok(Page { items: rows.into_iter().map(Stored::list).collect::<Result<_>>()?, next: None })
}

/// One list, by its name.
///
/// # Errors
/// Without `value_list.view`; `not_found`.
pub async fn get(scope: &Scope, name: &str) -> Result<ValueList> {
    scope.require(Permission::ValueListView)?;
    find(&mut scope.read().await?, scope.tenant(), name).await
}

record! { struct Many { n: i64 } }

/// Creates a list.
///
/// # Errors
/// Without `value_list.change`; `already_exists`; `conflict` when there are as many as there may be; refusals of its values.
pub async fn create(scope: &Scope, new: NewValueList) -> Result<ValueList> {
    scope.require(Permission::ValueListChange)?;
    if !is_code(&new.name) {
        return Err(Error::invalid("name", format!("take a to z, 0 to 9 and _, at most {CODE_CHARS_MAX}")));
    }
    let list = ValueList {
        titles: checked_titles("titles", new.titles)?,
        values: checked(new.values, &[])?,
        name: new.name,
        system: false,
        revision: 1,
        changed_at: scope.now(),
    };
    let mut write = scope.write().await?;
    let many: Many = write
        .one(sql!("select count(*) as n from value_list where tenant_id = $1"), args![scope.tenant()])
        .await?;
    if many.n >= LISTS_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {LISTS_MAX} value lists already")));
    }
    let inserted = write.execute(
        sql!(
            "insert into value_list (tenant_id, name, titles, items, system, revision, changed_at) \
             values ($1, $2, $3, $4, false, 1, $5)"
        ),
        args![
            scope.tenant(),
            &list.name,
            Arg::json(&list.titles)?,
            Arg::json(&list.values)?,
            list.changed_at
        ],
    );
    inserted.await.on_unique(|| {
        Error::new(Code::AlreadyExists, format!("there is a value list {} already", list.name)).at("name")
    })?;
    write.happened(Event::ValueListCreated(change(&list, None, Some(&list))));
    write.commit(list).await
}

/// Changes a list: titles, order, what is offered, and a tenant's own values.
///
/// # Errors
/// Without `value_list.change`; `not_found`; `conflict` when it is no longer at the patch's revision, and for a value that came
/// with the product and is left out; refusals of its values.
pub async fn update(scope: &Scope, name: &str, patch: ValueListPatch) -> Result<ValueList> {
    scope.require(Permission::ValueListChange)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), name).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(outdated(before.revision));
    }
    let after = ValueList {
        titles: match patch.titles {
            Some(titles) => checked_titles("titles", titles)?,
            None => before.titles.clone(),
        },
        values: match patch.values {
            Some(values) => checked(values, &before.values)?,
            None => before.values.clone(),
        },
        revision: before.revision + 1,
        changed_at: scope.now(),
        ..before.clone()
    };
    let changed = write
        .execute(
            sql!(
                "update value_list set titles = $3, items = $4, revision = $5, changed_at = $6 \
                 where tenant_id = $1 and name = $2 and revision = $7"
            ),
            args![
                scope.tenant(),
                name,
                Arg::json(&after.titles)?,
                Arg::json(&after.values)?,
                after.revision,
                after.changed_at,
                before.revision
            ],
        )
        .await?;
    if changed == 0 {
        return Err(outdated(after.revision));
    }
    write.happened(Event::ValueListChanged(change(&after, Some(&before), Some(&after))));
    write.commit(after).await
}

/// Deletes a list that the tenant has made.
///
/// # Errors
/// Without `value_list.change`; `not_found`; `conflict` for one that came with the product.
pub async fn delete(scope: &Scope, name: &str) -> Result<()> {
    scope.require(Permission::ValueListChange)?;
    let mut write = scope.write().await?;
    let list = find(&mut write, scope.tenant(), name).await?;
    if list.system {
        return Err(Error::new(Code::Conflict, "this list came with the product and cannot be deleted")
            .hint("Switch off the values that are not to be offered."));
    }
    write
        .execute(
            sql!("delete from value_list where tenant_id = $1 and name = $2"),
            args![scope.tenant(), name],
        )
        .await?;
    write.happened(Event::ValueListDeleted(change(&list, Some(&list), None)));
    write.commit(()).await
}

/// The code of a value that somebody has chosen, where it is offered.
///
/// # Errors
/// At `field` for what the list does not offer.
pub async fn chosen(tx: &mut Tx, tenant: TenantId, list: &str, field: &str, code: &str) -> Result<String> {
    let list = find(tx, tenant, list).await?;
    let offered = || list.values.iter().filter(|item| item.active);
    match offered().find(|item| item.code == code) {
        Some(item) => Ok(item.code.clone()),
        None => {
            let codes: Vec<&str> = offered().map(|item| item.code.as_str()).collect();
            Err(Error::invalid(field, format!("{code:?} is not on the list {}", list.name))
                .hint(format!("It offers {}.", codes.join(", "))))
        }
    }
}

/// What a list offers, code and title in a language, in its order; nothing where there is no such list. What is offered in a
/// form is no secret to whoever may fill it in.
///
/// # Errors
/// When the database does not answer.
pub async fn offered(scope: &Scope, list: &str, language: &str) -> Result<Vec<(String, String)>> {
    match find(&mut scope.read().await?, scope.tenant(), list).await {
        Ok(list) => {
            let items = list.values.into_iter().filter(|item| item.active);
            Ok(items.map(|item| (item.code.clone(), title(&item.titles, language).to_owned())).collect())
        }
        Err(error) if error.code() == Code::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The title of a code, also of one that is not offered any more; the code itself where nothing is known of it.
///
/// # Errors
/// When the database does not answer.
pub async fn title_of(scope: &Scope, list: &str, code: &str, language: &str) -> Result<String> {
    match find(&mut scope.read().await?, scope.tenant(), list).await {
        Ok(list) => {
            let item = list.values.iter().find(|item| item.code == code);
            Ok(item.map_or(code, |item| title(&item.titles, language)).to_owned())
        }
        Err(error) if error.code() == Code::NotFound => Ok(code.to_owned()),
        Err(error) => Err(error),
    }
}

record! { struct Lacking { id: TenantId } }

/// Gives a new tenant the lists that come with the product, in the transaction that makes it.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn seed(tx: &mut Tx, tenant: TenantId, at: Timestamp) -> Result<()> {
    for list in seeds::lists() {
        tx.execute(
            sql!(
                "insert into value_list (tenant_id, name, titles, items, system, revision, changed_at) \
                 values ($1, $2, $3, $4, true, 1, $5) on conflict (tenant_id, name) do nothing"
            ),
            args![tenant, list.name, Arg::json(&list.titles)?, Arg::json(&list.items)?, at],
        )
        .await?;
    }
    Ok(())
}

/// Gives the tenants that lack them the lists that come with the product: at the first start of a version that has new ones.
///
/// # Errors
/// When the database does not answer.
pub async fn seed_all(runtime: &Runtime) -> Result<()> {
    let known: Vec<_> = seeds::lists().iter().map(|list| serde_json::json!({ "name": list.name })).collect();
    let lacking: Vec<Lacking> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select t.id from tenant t where (select count(*) from value_list v where v.tenant_id = t.id and v.name in \
                 (select r.value ->> 'name' from json_rows($1) r)) < $2 order by t.id limit $3"
            ),
            args![Arg::json(&known)?, known.len() as i64, TENANTS_MAX],
        )
        .await?;
    for Lacking { id } in lacking {
        let mut tx = runtime.db.write(Tenancy::Tenant(id)).await?;
        seed(&mut tx, id, runtime.clock.now()).await?;
        tx.commit().await?;
    }
    Ok(())
}

fn outdated(revision: i64) -> Error {
    Error::new(Code::Conflict, format!("the value list was changed meanwhile; it is at revision {revision}"))
        .at("revision")
}

/// What the audit trail keeps of a change to a list.
fn change(list: &ValueList, before: Option<&ValueList>, after: Option<&ValueList>) -> Change {
    Change {
        id: list.name.clone(),
        name: title(&list.titles, "en").to_owned(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: after.and_then(|after| serde_json::to_value(after).ok()),
    }
}
