//! For how long a tenant keeps each class of its data.
//!
//! A tenant sets a term within the bounds that the installation gives ([`runtime::retention`]), for texts shorter than for the
//! rows, and for each purpose of messages its own. What would go can be asked before; what went is counted. [`sweep`](self)
//! carries it out, and a person whom a legal hold keeps is passed over.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use db::{Tenancy, Tx, args, record, sql};
use runtime::personal::{By, Kept};
use runtime::retention::{self, Bounds, Class, Walk, Whose};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use types::event::Change;
use types::{Error, Event, Permission, Result, TenantId, Timestamp};

use crate::person::{Blind, MARK_BYTES, known_blind};

pub(crate) mod api;
pub(crate) mod classes;
pub(crate) mod pages;
mod sweep;

pub use sweep::{HoldBack, keep, sweep_all};

const HOUR_MS: i64 = 3_600_000;
/// Hours that a term takes at most: a hundred years.
pub const KEEP_H_MAX: u32 = 876_000;
/// Rows that a preview looks at; what is beyond them is not counted.
pub const PREVIEW_ROWS_MAX: usize = 100_000;
/// Persons who are held, of one tenant.
const HELD_MAX: i64 = 100_000;

/// For how long a class of data is kept, or the part of it that has one purpose.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = RetentionTerm)]
pub struct Term {
    /// The class: `message.text`.
    pub class: &'static str,
    /// What the rows are for: `otp`, `transactional` or `marketing`; absent for all that have no term of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<&'static str>,
    /// What people call it.
    pub title: &'static str,
    /// What goes and what stays.
    pub about: &'static str,
    /// Hours that the tenant has set; absent where it has set nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_h: Option<u32>,
    /// Hours that are in force; absent where it is kept for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force_h: Option<u32>,
    /// Hours that can be set at least.
    pub least_h: u32,
    /// Hours that can be set at most, after which the installation lets it go in any case; absent without a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_h: Option<u32>,
    /// The sweep that runs, or the last one that found something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Swept>,
}

record! {
    /// What a sweep has done.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    #[schema(as = RetentionSweep)]
    pub struct Swept {
        /// When it began.
        pub started_at: Timestamp,
        /// What is from before this goes.
        pub before_at: Timestamp,
        /// When it came to its end; absent while it runs.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ended_at: Option<Timestamp>,
        /// Rows that went.
        pub gone: i64,
        /// Rows that a legal hold keeps.
        pub held: i64,
    }
}

/// What a tenant sets.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[schema(as = RetentionChange)]
#[serde(deny_unknown_fields)]
pub struct TermChange {
    /// The class: `message.text`.
    pub class: String,
    /// What the rows are for; without it, all that have no term of their own.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Hours, within the class's bounds; null or absent: as the installation says.
    #[serde(default)]
    pub keep_h: Option<u32>,
}

/// Which term a preview is of.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// The class: `message.text`.
    pub class: String,
    /// What the rows are for.
    pub purpose: Option<String>,
    /// Hours, as they would be set; without it, as the installation says.
    pub keep_h: Option<u32>,
}

/// What would go.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
#[schema(as = RetentionPreview)]
pub struct Preview {
    /// Rows, or files, that would go.
    pub rows: u64,
    /// When the oldest of them was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// What is from before this would go; absent where it is kept for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Rows that a legal hold keeps.
    pub held: u64,
    /// Whether nothing goes while somebody is held, because persons stand in it among other things.
    pub waits_for_holds: bool,
    /// Whether all was looked at; otherwise there is more.
    pub complete: bool,
}

record! { struct TermRow { class: String, purpose: String, keep_h: i64 } }

/// What a tenant has set, by class and purpose.
type Set = BTreeMap<(String, String), u32>;

async fn set_by(runtime: &Runtime, tenant: TenantId) -> Result<Set> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let rows: Vec<TermRow> = tx
        .all(
            sql!("select class, purpose, keep_h from retention_term where tenant_id = $1 limit 1000"),
            args![tenant],
        )
        .await?;
    let hours = |row: &TermRow| u32::try_from(row.keep_h).unwrap_or(u32::MAX);
    Ok(rows.into_iter().map(|row| ((row.class.clone(), row.purpose.clone()), hours(&row))).collect())
}

/// The hours that are in force; nothing for ever.
fn in_force(set: &Set, class: &str, purpose: &str, bounds: Bounds) -> Option<u32> {
    let of = |purpose: &str| set.get(&(class.to_owned(), purpose.to_owned())).copied();
    match of(purpose).or_else(|| of("")) {
        Some(hours) => Some(hours.max(bounds.least_h).min(bounds.most_h.unwrap_or(u32::MAX))),
        None => bounds.most_h,
    }
}

/// The instant before which something goes.
fn cut(now: Timestamp, hours: u32) -> Timestamp {
    now.plus_ms(-i64::from(hours) * HOUR_MS)
}

record! {
    struct SweepRow {
        class: String, purpose: String, started_at: Timestamp, before_at: Timestamp, ended_at: Option<Timestamp>, gone: i64,
        held: i64,
    }
}

/// The parts of a class that have a term: all of it, and each purpose.
fn parts(class: &Class) -> impl Iterator<Item = Option<&'static str>> + use<> {
    let purposes = class.purposes;
    std::iter::once(None).chain(purposes.iter().copied().map(Some))
}

/// The terms, for other operations of this crate.
pub(crate) async fn terms(scope: &Scope) -> Result<Vec<Term>> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let set = set_by(runtime, tenant).await?;
    let mut tx = scope.read().await?;
    let rows: Vec<SweepRow> = tx
        .all(
            sql!(
                "select class, purpose, started_at, before_at, ended_at, gone, held from retention_sweep \
                 where tenant_id = $1 and (gone > 0 or held > 0 or ended_at is null) limit 1000"
            ),
            args![tenant],
        )
        .await?;
    drop(tx);
    let swept = |class: &str, purpose: &str| {
        rows.iter().find(|row| row.class == class && row.purpose == purpose).map(|row| Swept {
            started_at: row.started_at,
            before_at: row.before_at,
            ended_at: row.ended_at,
            gone: row.gone,
            held: row.held,
        })
    };
    let mut terms = Vec::new();
    for class in retention::classes(runtime) {
        let bounds = (class.bounds)(&runtime.config);
        for purpose in parts(&class) {
            let named = purpose.unwrap_or_default();
            terms.push(Term {
                class: class.name,
                purpose,
                title: class.title,
                about: class.about,
                keep_h: set.get(&(class.name.to_owned(), named.to_owned())).copied(),
                in_force_h: in_force(&set, class.name, named, bounds),
                least_h: bounds.least_h,
                most_h: bounds.most_h,
                sweep: swept(class.name, named),
            });
        }
    }
    Ok(terms)
}

/// For how long each class of the tenant's data is kept.
///
/// # Errors
/// Without `privacy.view`.
pub async fn list(scope: &Scope) -> Result<Vec<Term>> {
    scope.require(Permission::PrivacyView)?;
    terms(scope).await
}

/// A term in words.
pub fn words(hours: Option<u32>) -> String {
    match hours {
        None => "for ever".to_owned(),
        Some(1) => "1 hour".to_owned(),
        Some(hours) if hours % 24 == 0 && hours >= 48 => format!("{} days", hours / 24),
        Some(hours) => format!("{hours} hours"),
    }
}

/// For how long a table's personal data is kept, in words, under the terms that are in force.
pub(crate) fn kept(kept: Kept, terms: &[Term]) -> String {
    let classes = match kept {
        Kept::Until(words) => return words.to_owned(),
        Kept::For(classes) => classes,
    };
    let of = |class: &&str| {
        let mut parts = terms.iter().filter(|term| term.class == *class);
        let whole = parts.next()?;
        let mut text = format!("{}: {}", whole.title, words(whole.in_force_h));
        for part in parts.filter(|part| part.in_force_h != whole.in_force_h) {
            text = format!("{text}, {} {}", part.purpose.unwrap_or_default(), words(part.in_force_h));
        }
        Some(text)
    };
    classes.iter().filter_map(of).collect::<Vec<_>>().join("; ")
}

/// The class and the purpose that somebody names.
fn named(
    runtime: &Runtime,
    class: &str,
    purpose: Option<&str>,
    keep_h: Option<u32>,
) -> Result<(Class, &'static str)> {
    let classes = retention::classes(runtime);
    let known = classes.iter().find(|known| known.name == class).copied().ok_or_else(|| {
        let names: Vec<_> = classes.iter().map(|class| class.name).collect();
        Error::invalid("class", format!("{class:?} is no class of data; they are {}", names.join(", ")))
    })?;
    let purpose = match purpose.filter(|purpose| !purpose.is_empty()) {
        None => "",
        Some(purpose) => known.purposes.iter().copied().find(|known| *known == purpose).ok_or_else(|| {
            let those = match known.purposes.is_empty() {
                true => "it has one term for all".to_owned(),
                false => format!("its purposes are {}", known.purposes.join(", ")),
            };
            Error::invalid("purpose", format!("{class} knows no purpose {purpose:?}: {those}"))
        })?,
    };
    let bounds = (known.bounds)(&runtime.config);
    let most = bounds.most_h.unwrap_or(KEEP_H_MAX);
    match keep_h {
        Some(hours) if hours < bounds.least_h => Err(Error::invalid(
            "keep_h",
            format!("{} is kept for {} at least", known.title, words(Some(bounds.least_h))),
        )
        .hint("whoever runs the installation sets this bound, as the law demands")),
        Some(hours) if hours > most => Err(Error::invalid(
            "keep_h",
            format!("{} is kept for {} at most", known.title, words(Some(most))),
        )
        .hint("whoever runs the installation sets this bound")),
        _ => Ok((known, purpose)),
    }
}

/// Sets for how long a class of data is kept, and begins to let go what is older. What went does not come back: ask
/// [`preview`] first.
///
/// # Errors
/// Without `privacy.manage`; a class or a purpose that is none; a term beyond the bounds.
pub async fn set(scope: &Scope, change: &TermChange) -> Result<Vec<Term>> {
    scope.require(Permission::PrivacyManage)?;
    scope.require_fresh()?;
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let (class, purpose) = named(runtime, &change.class, change.purpose.as_deref(), change.keep_h)?;
    let before = set_by(runtime, tenant).await?.get(&(class.name.to_owned(), purpose.to_owned())).copied();
    let mut write = scope.write().await?;
    match change.keep_h {
        Some(hours) => {
            write
                .execute(
                    sql!(
                        "insert into retention_term (tenant_id, class, purpose, keep_h, changed_at) values ($1, $2, $3, $4, $5) \
                         on conflict (tenant_id, class, purpose) do update set keep_h = excluded.keep_h, \
                         changed_at = excluded.changed_at"
                    ),
                    args![tenant, class.name, purpose, i64::from(hours), scope.now()],
                )
                .await?;
        }
        None => {
            write
                .execute(
                    sql!("delete from retention_term where tenant_id = $1 and class = $2 and purpose = $3"),
                    args![tenant, class.name, purpose],
                )
                .await?;
        }
    }
    let told = |hours: Option<u32>| serde_json::json!({ "purpose": purpose, "keep_h": hours });
    write.happened(Event::RetentionChanged(Change {
        id: class.name.to_owned(),
        name: class.title.to_owned(),
        before: Some(told(before)),
        after: Some(told(change.keep_h)),
    }));
    write.commit(()).await?;
    wake(runtime).0.notify_one();
    let terms = terms(scope).await?;
    Ok(terms.into_iter().filter(|term| term.class == class.name).collect())
}

/// What would go if a term were set.
///
/// # Errors
/// Without `privacy.view`; as [`set`].
pub async fn preview(scope: &Scope, asked: &Asked) -> Result<Preview> {
    scope.require(Permission::PrivacyView)?;
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let (class, purpose) = named(runtime, &asked.class, asked.purpose.as_deref(), asked.keep_h)?;
    let mut set = set_by(runtime, tenant).await?;
    let key = (class.name.to_owned(), purpose.to_owned());
    match asked.keep_h {
        Some(hours) => set.insert(key, hours),
        None => set.remove(&key),
    };
    let bounds = (class.bounds)(&runtime.config);
    let mut told = Preview { complete: true, ..Preview::default() };
    // What has a term of its own is not touched by the one for all.
    let own = |purpose: &&str| set.contains_key(&(class.name.to_owned(), (*purpose).to_owned()));
    let purposes: Vec<&str> = match (class.purposes.is_empty(), purpose) {
        (true, _) => vec![""],
        (false, "") => class.purposes.iter().copied().filter(|purpose| !own(purpose)).collect(),
        (false, one) => vec![one],
    };
    let held = Held::of(runtime, tenant).await?;
    told.waits_for_holds = class.whose == Whose::Many && held.anybody();
    for purpose in purposes {
        let Some(hours) = in_force(&set, class.name, purpose, bounds) else { continue };
        let before = cut(scope.now(), hours);
        told.before = told.before.into_iter().chain([before]).max();
        count(scope, &class, purpose, (before, &held), &mut told).await?;
    }
    Ok(told)
}

record! { struct Counted { n: i64, oldest: Option<Timestamp> } }

/// Adds what a term would let go.
async fn count(
    scope: &Scope,
    class: &Class,
    purpose: &str,
    (before, held): (Timestamp, &Held),
    told: &mut Preview,
) -> Result<()> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let older = |one: Option<Timestamp>, other: Option<Timestamp>| one.into_iter().chain(other).min();
    let page = match class.walk {
        Walk::Rows { page, .. } => page,
        Walk::Whole { count, .. } => {
            let mut tx = scope.read().await?;
            let counted: Counted = tx.one(count, args![tenant, before, PREVIEW_ROWS_MAX as i64]).await?;
            told.rows += counted.n.unsigned_abs();
            told.oldest = older(told.oldest, counted.oldest);
            told.complete &= counted.n < PREVIEW_ROWS_MAX as i64;
            return Ok(());
        }
    };
    let mut behind = sweep::floor(runtime, tenant, class.name, purpose).await?;
    let known = |by: By, who: &str| held.knows(by, who);
    for _ in 0..PREVIEW_ROWS_MAX / retention::ROWS_MAX {
        let look =
            retention::look(runtime, tenant, (page, class.whose), purpose, (behind, before), &known).await?;
        told.rows += look.due.len() as u64;
        told.held += look.held;
        told.oldest = older(told.oldest, look.oldest);
        behind = look.last.unwrap_or(behind);
        if !look.more {
            return Ok(());
        }
    }
    told.complete = false;
    Ok(())
}

record! { struct Mark { mark: String } }

/// Persons whom a legal hold keeps.
pub(crate) struct Held {
    blind: Option<Blind>,
    marks: HashSet<[u8; MARK_BYTES]>,
    holds: Holds,
}

record! {
    /// How many persons are held, and since when the last one is: another answer is another set.
    #[derive(PartialEq, Eq)]
    struct Holds { n: i64, last: Option<Timestamp> }
}

async fn holds(tx: &mut Tx, tenant: TenantId) -> Result<Holds> {
    Ok(tx
        .one(
            sql!(
                "select count(*) as n, max(held_at) as last from person where tenant_id = $1 and held_at is not null"
            ),
            args![tenant],
        )
        .await?)
}

impl Held {
    /// A tenant's, as they are now.
    pub(crate) async fn of(runtime: &Runtime, tenant: TenantId) -> Result<Self> {
        let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
        let rows: Vec<Mark> = tx
            .all(
                sql!(
                    "select m.mark from person p join person_mark m on m.tenant_id = p.tenant_id and m.person_id = p.id \
                     where p.tenant_id = $1 and p.held_at is not null limit $2"
                ),
                args![tenant, HELD_MAX],
            )
            .await?;
        let holds = holds(&mut tx, tenant).await?;
        drop(tx);
        let blind = if rows.is_empty() { None } else { known_blind(runtime, tenant).await? };
        let mark = |row: &Mark| BASE64.decode(&row.mark).ok().and_then(|octets| octets.try_into().ok());
        Ok(Self { blind, marks: rows.iter().filter_map(mark).collect(), holds })
    }

    /// Whether somebody is held.
    pub(crate) fn anybody(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Whether they are the same still, seen by the transaction that lets go.
    pub(crate) async fn still(&self, tx: &mut Tx, tenant: TenantId) -> Result<bool> {
        Ok(holds(tx, tenant).await? == self.holds)
    }

    /// Whether whoever has this identifier is.
    pub(crate) fn knows(&self, by: By, who: &str) -> bool {
        self.blind.as_ref().is_some_and(|blind| self.marks.contains(&blind.mark(by, who)))
    }
}

/// What wakes the sweep before its time.
#[derive(Default)]
struct Wake(Notify);

fn wake(runtime: &Runtime) -> Arc<Wake> {
    runtime.kept(|_| Wake::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_stays_within_the_bounds_and_a_purpose_goes_before_all() {
        let bounds = Bounds { least_h: 24, most_h: Some(720) };
        let mut set = Set::new();
        assert_eq!(in_force(&set, "message", "otp", bounds), Some(720));
        set.insert(("message".to_owned(), String::new()), 100);
        assert_eq!(in_force(&set, "message", "otp", bounds), Some(100));
        set.insert(("message".to_owned(), "otp".to_owned()), 1);
        assert_eq!(in_force(&set, "message", "otp", bounds), Some(24));
        assert_eq!(in_force(&set, "message", "marketing", bounds), Some(100));
        set.insert(("message".to_owned(), "otp".to_owned()), 1_000);
        assert_eq!(in_force(&set, "message", "otp", bounds), Some(720));
        assert_eq!(in_force(&Set::new(), "message", "", Bounds { least_h: 1, most_h: None }), None);
    }

    #[test]
    fn terms_are_said_in_hours_and_days() {
        let said = [None, Some(1), Some(24), Some(36), Some(48), Some(720)].map(words);
        assert_eq!(said, ["for ever", "1 hour", "24 hours", "36 hours", "2 days", "30 days"]);
    }
}
