//! Personal data: which columns hold it, how a person is found in them, and what erasure does there.
//!
//! Each crate names its tables beside its migrations, all of their columns: those that hold personal data, and those that do
//! not. A test compares that with the schema, so that no new column is forgotten. Access, erasure and the processing register
//! (GDPR article 30) are made of these lines and of nothing else.

use std::sync::OnceLock;

use db::{Record, Row, Tx, args, record, sql};
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use types::{Permission, Result, TenantId, Timestamp, mask};

use crate::{Runtime, Scope};

mod answers;
mod tables;

pub use answers::{clear_answers, names};
pub use tables::PERSONAL;

/// By which right personal data is processed (GDPR article 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A contract with the person, or on the way to one.
    Contract,
    /// A duty by law.
    LegalObligation,
    /// The interest of whoever runs this, such as its safety.
    LegitimateInterest,
    /// The person has agreed.
    Consent,
}

impl Basis {
    /// The same in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::LegalObligation => "legal obligation",
            Self::LegitimateInterest => "legitimate interest",
            Self::Consent => "consent",
        }
    }
}

/// By what a person is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A phone number: digits without `+`.
    Phone,
    /// A mail address in lower case.
    Mail,
    /// A user: the number of their id.
    User,
    /// The same user, by the text of their id, as it stands where somebody did something.
    Actor,
}

impl By {
    /// The name that rows and answers hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Mail => "mail",
            Self::User => "user",
            Self::Actor => "actor",
        }
    }
}

/// Erases a batch of what tenant has with an identifier from before an instant, within the transaction that also counts it.
pub type Eraser =
    for<'a> fn(&'a Runtime, &'a mut Tx, TenantId, &'a str, Timestamp) -> BoxFuture<'a, Result<u64>>;

/// What erasure does to what is found.
#[derive(Clone, Copy)]
pub enum Erasure {
    /// A statement that deletes, or overwrites, at most `$4` rows of tenant `$1` with the identifier `$2` from before `$3`
    /// (Unix milliseconds). What it has done it does not find again.
    Sql(&'static str),
    /// As such a statement does, where one is not enough: gives how many rows it changed, 0 when there are no more.
    Code(Eraser),
    /// Nothing: the law, or a right that weighs more, keeps it; why.
    Keep(&'static str),
}

impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sql(_) => "Sql",
            Self::Code(_) => "Code",
            Self::Keep(_) => "Keep",
        })
    }
}

/// What a person is told of their rows.
#[derive(Debug, Clone, Copy)]
pub struct Export {
    /// Rows of tenant `$1` with the identifier `$2`, behind the number `$3`, at most `$4`, in the order of that number: it as
    /// `k`, and texts as `f1`, `f2` … in the order of `fields`.
    pub select: &'static str,
    /// What the texts are called.
    pub fields: &'static [&'static str],
    /// Whether the person has given it themselves, so that portability reaches it (GDPR article 20).
    pub given: bool,
}

/// One way to a person's rows in a table.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// By what.
    pub by: By,
    /// How many rows of tenant `$1` have the identifier `$2` and are from before `$3`: `n`. Empty for texts in which it stands
    /// among other things.
    pub count: &'static str,
    /// What is told of them; nothing where a further way tells it, or where the rows say no more than others.
    pub export: Option<Export>,
    /// What erasure does.
    pub erase: Erasure,
    /// The identifiers that stand in the table of tenant `$1`, behind the text `$2`, at most `$3`, in their order: `v`. For
    /// finding an erased person again in a database that was restored.
    pub names: Option<&'static str>,
}

/// For how long a table's personal data is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// As long as these classes say ([`crate::retention`]).
    For(&'static [&'static str]),
    /// By no clock that a tenant sets; in words.
    Until(&'static str),
}

/// A table that holds personal data, or none.
#[derive(Debug, Clone, Copy)]
pub struct Personal {
    /// The table.
    pub table: &'static str,
    /// What it holds about a person, in words; empty where it holds nothing personal.
    pub title: &'static str,
    /// Whose data it is.
    pub subjects: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// By which right.
    pub basis: Basis,
    /// For how long.
    pub kept: Kept,
    /// The columns that hold personal data, parted by blanks.
    pub columns: &'static str,
    /// The columns that hold none.
    pub others: &'static str,
    /// How a person is found in it.
    pub ways: &'static [Way],
}

impl Personal {
    /// A table without personal data, all its columns named.
    pub const fn none(table: &'static str, others: &'static str) -> Self {
        Self {
            table,
            title: "",
            subjects: "",
            purpose: "",
            basis: Basis::LegitimateInterest,
            kept: Kept::Until(""),
            columns: "",
            others,
            ways: &[],
        }
    }
}

/// A row as a person is told it.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its number.
    pub k: i64,
    /// Its texts.
    pub fields: Vec<Option<String>>,
}

/// Texts of a row at most.
const FIELDS_MAX: usize = 10;
const FIELD_NAMES: [&str; FIELDS_MAX] = ["f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10"];

impl Record for Told {
    fn read(row: &Row) -> db::Result<Self> {
        let k = row.get("k")?;
        // A statement has as many columns as it tells of.
        let fields = FIELD_NAMES.iter().map_while(|name| row.get(name).ok()).collect();
        Ok(Self { k, fields })
    }
}

/// The tables of this program.
#[derive(Default)]
struct Register(OnceLock<Vec<Personal>>);

/// Names the tables. Called once, at the start.
pub fn name_tables(runtime: &Runtime, tables: Vec<Personal>) {
    // A second call would be a second start of the same runtime; the first one's word stands.
    let _ = runtime.kept(|_| Register::default()).0.set(tables);
}

/// The tables, in the order in which erasure walks them.
pub fn tables(runtime: &Runtime) -> Vec<Personal> {
    runtime.kept(|_| Register::default()).0.get().cloned().unwrap_or_default()
}

/// What stands in the place of an identifier that was erased.
pub const ERASED: &str = "erased";

/// A text without an identifier. A phone's digits are taken out where no further digit stands beside them, an address in
/// either case.
pub fn scrub(text: &str, identifier: &str) -> String {
    if identifier.is_empty() {
        return text.to_owned();
    }
    let phone = identifier.bytes().all(|octet| octet.is_ascii_digit());
    let folded = text.to_ascii_lowercase();
    let (octets, mut clean, mut at) = (text.as_bytes(), String::with_capacity(text.len()), 0);
    while let Some(found) = folded[at..].find(identifier) {
        let (from, to) = (at + found, at + found + identifier.len());
        let digit = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_digit);
        let part_of_more = phone && (digit(octets[..from].last()) || digit(octets.get(to)));
        clean.push_str(&text[at..from]);
        clean.push_str(if part_of_more { &text[from..to] } else { ERASED });
        at = to;
    }
    clean.push_str(&text[at..]);
    clean
}

/// What is left of an event's data when a person is taken out of it; nothing where they do not stand in it. What is about the
/// person alone, an entry of a list, keeps the number of its record and no more.
pub fn scrub_event(kind: &str, data: &str, identifier: &str) -> Option<String> {
    let clean = scrub(data, identifier);
    if clean == data {
        return None;
    }
    let about_them = ["opt_out.", "blacklist."].iter().any(|list| kind.starts_with(list));
    let record = serde_json::from_str::<Value>(data).ok().filter(|_| about_them);
    let record = record.and_then(|value| value.get("id").cloned());
    Some(record.map_or(clean, |id| json!({ "id": id, "name": ERASED }).to_string()))
}

record! { struct Page { k: i64, doc: String } }

/// Pages of the stream that one transaction cleans.
const PAGES: i64 = 100;

/// A user who is taken out of events.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The text of their id: what is about them has it.
    pub id: &'a str,
    /// What they are called, taken out of what is about them alone: others may have the same name.
    pub name: &'a str,
}

impl Named<'_> {
    /// A record's data, as JSON, without the user's name.
    ///
    /// # Errors
    /// None in practice: a name is a JSON text.
    pub fn taken_out(self, data: &str) -> Result<String> {
        let literal = serde_json::to_string(self.name).map_err(types::Error::internal)?;
        Ok(data.replace(&literal, "\"erased\""))
    }
}

/// Takes a person out of a batch of the stream's audited pages from before an instant; what traffic does names nobody.
///
/// # Errors
/// When the database does not answer.
pub async fn scrub_stream(
    tx: &mut Tx,
    tenant: TenantId,
    (identifier, named): (&str, Option<Named<'_>>),
    before: Timestamp,
) -> Result<u64> {
    let like = |text: &str| format!("%{}%", text.replace(['%', '\\'], "_").to_lowercase());
    let (like, about) = (like(identifier), like(named.map_or(identifier, |named| named.id)));
    let (mut behind, mut done) = (0, 0);
    while done == 0 {
        let pages: Vec<Page> = tx
            .all(
                sql!(
                    "select last_seq as k, events as doc from event_page where tenant_id = $1 and audited and at < $3 \
                     and last_seq > $4 and (lower(events) like $2 or lower(events) like $6) order by last_seq limit $5"
                ),
                args![tenant, like.as_str(), before, behind, PAGES, about.as_str()],
            )
            .await?;
        let Some(last) = pages.last() else { break };
        behind = last.k;
        for Page { k, doc } in pages {
            let Some(doc) = scrub_page(&doc, identifier, named)? else { continue };
            done += tx
                .execute(
                    sql!("update event_page set events = $3 where tenant_id = $1 and last_seq = $2"),
                    args![tenant, k, doc],
                )
                .await?;
        }
    }
    Ok(done)
}

/// A page without a person; nothing where they do not stand in it.
fn scrub_page(doc: &str, identifier: &str, named: Option<Named<'_>>) -> Result<Option<String>> {
    let mut events: Vec<Value> = serde_json::from_str(doc).map_err(types::Error::internal)?;
    let mut changed = false;
    for event in &mut events {
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        let was = event["data"].to_string();
        let mut clean = scrub_event(&kind, &was, identifier).unwrap_or_else(|| was.clone());
        if let Some(named) = named.filter(|named| event["data"]["id"] == named.id) {
            clean = named.taken_out(&clean)?;
        }
        if clean != was {
            event["data"] = serde_json::from_str(&clean).map_err(types::Error::internal)?;
            changed = true;
        }
    }
    Ok(changed.then(|| Value::from(events).to_string()))
}

/// Deletes work that waits and names an identifier: a phone, or an address in lower case.
///
/// # Errors
/// When the database does not answer.
pub async fn delete_jobs(tx: &mut Tx, tenant: TenantId, identifier: &str) -> Result<u64> {
    let like = format!("%{}%", identifier.replace(['%', '\\'], "_"));
    Ok(tx
        .execute(
            sql!(
                "delete from job where tenant_id = $1 and lower(payload) like $2 and kind not like 'privacy.%'"
            ),
            args![tenant, like],
        )
        .await?)
}

/// How much somebody may see of persons. It is asked wherever a phone, an address or a text leaves.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// Whether phones and addresses are shown in full.
    pub identifiers: bool,
    /// Whether texts are shown.
    pub content: bool,
}

/// What stands in the place of a text that somebody may not read.
pub const HIDDEN: &str = "[hidden]";

impl Sight {
    /// For the product itself.
    pub const WHOLE: Self = Self { identifiers: true, content: true };

    /// What a scope may see.
    pub fn of(scope: &Scope) -> Self {
        let held = scope.permissions();
        Self {
            identifiers: held.contains(Permission::IdentifierView),
            content: held.contains(Permission::ContentView),
        }
    }

    /// A phone or an address as it is shown.
    #[must_use]
    pub fn identifier(self, whole: String) -> String {
        if self.identifiers { whole } else { mask::identifier(&whole) }
    }

    /// Running text in which phones and addresses may stand, as it is shown.
    #[must_use]
    pub fn words(self, whole: String) -> String {
        if self.identifiers { whole } else { mask::text(&whole) }
    }

    /// Data in which phones and addresses may stand in any of its texts, as it is shown.
    #[must_use]
    pub fn value(self, whole: Value) -> Value {
        if self.identifiers { whole } else { masked(whole) }
    }

    /// A record in which phones and addresses may stand in any of its texts, as it is shown.
    ///
    /// # Errors
    /// None in practice: what is written as JSON reads back.
    pub fn record<T: Serialize + DeserializeOwned>(self, whole: T) -> Result<T> {
        if self.identifiers {
            return Ok(whole);
        }
        let value = serde_json::to_value(&whole).map_err(types::Error::internal)?;
        serde_json::from_value(masked(value)).map_err(types::Error::internal)
    }

    /// A text as it is shown.
    #[must_use]
    pub fn text(self, text: String) -> String {
        if self.content { text } else { HIDDEN.to_owned() }
    }
}

fn masked(whole: Value) -> Value {
    match whole {
        Value::String(text) => Value::String(mask::text(&text)),
        Value::Array(all) => all.into_iter().map(masked).collect(),
        Value::Object(all) => all.into_iter().map(|(name, one)| (mask::text(&name), masked(one))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_taken_out_and_no_part_of_a_longer_number() {
        let text = r#"{"a":"+33612345678","b":"133612345678","c":"33612345678x33612345678"}"#;
        let clean = scrub(text, "33612345678");
        assert_eq!(clean, r#"{"a":"+erased","b":"133612345678","c":"erasedxerased"}"#);
        assert_eq!(scrub("Anna@Example.org, x", "anna@example.org"), "erased, x");
        assert_eq!(scrub("é Ünna", ""), "é Ünna");
    }
}
