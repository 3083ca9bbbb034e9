//! The blacklist: numbers, prefixes, network addresses, senders, API keys and phrases from which, to which or with which
//! nothing is let through.

use std::collections::HashSet;

use db::{Arg, args, record, sql};
use runtime::Scope;
use runtime::config::Network;
use runtime::personal::Sight;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{
    Address, BlacklistedId, Code, Error, Event, KeyId, Page, Permission, Result, TenantId, Timestamp,
};

use crate::engine::Engine;
use crate::gate::{plain, sender_pattern};
use crate::settings;

pub mod api;
mod decide;
pub mod pages;

pub(crate) use decide::Lists;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BlacklistKind)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A recipient's number.
    Number,
    /// The beginning of recipients' numbers.
    Prefix,
    /// A network address or network that messages come from.
    Ip,
    /// A sender; with `*` at its end, senders that begin so.
    Sender,
    /// An API key, by its id.
    Key,
    /// A phrase in a text, in either case.
    Content,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Number, Self::Prefix, Self::Sender, Self::Content, Self::Ip, Self::Key];

    /// The name that the API and the database hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Prefix => "prefix",
            Self::Ip => "ip",
            Self::Sender => "sender",
            Self::Key => "key",
            Self::Content => "content",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// A value in its normal form.
    fn normal(self, text: &str) -> Result<String> {
        let refuse = |why: &str| Error::invalid("value", format!("{text:?} {why}"));
        let text = text.trim();
        match self {
            Self::Number => Ok(Address::recipient(text).map_err(|error| error.at("value"))?.text),
            Self::Prefix => {
                let digits = text.trim_start_matches('+');
                let plain = !digits.is_empty()
                    && digits.len() <= decide::PREFIX_DIGITS_MAX
                    && digits.bytes().all(|octet| octet.is_ascii_digit());
                plain
                    .then(|| digits.to_owned())
                    .ok_or_else(|| refuse("is not the beginning of a number, such as 336"))
            }
            Self::Ip => {
                let network: Network = text.parse().map_err(|why: String| Error::invalid("value", why))?;
                Ok(network.to_string())
            }
            Self::Sender => sender_pattern("value", text),
            Self::Key => Ok(text.parse::<KeyId>().map_err(|error| error.at("value"))?.to_string()),
            Self::Content => {
                let phrase = plain(text);
                let chars = phrase.chars().count();
                if !(PHRASE_CHARS_MIN..=PHRASE_CHARS_MAX).contains(&chars) || phrase.contains('\0') {
                    return Err(refuse(&format!(
                        "has not {PHRASE_CHARS_MIN} to {PHRASE_CHARS_MAX} characters"
                    )));
                }
                Ok(phrase)
            }
        }
    }
}

/// An entry of the blacklist.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Entry {
    /// Its id.
    pub id: BlacklistedId,
    /// What it is about.
    pub kind: Kind,
    /// The number's digits, the sender, the phrase … in its normal form.
    pub value: String,
    /// Why, for people; senders of refused messages see it.
    pub reason: String,
    /// Where it came from: who complained, which list was imported.
    pub source: String,
    /// Until when it is in force; for ever when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Something to be put on the blacklist. What is on it already gets the new reason, source and expiry.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    /// `number`, `prefix`, `ip`, `sender`, `key` or `content`.
    pub kind: Option<Kind>,
    /// The number, prefix, network, sender, key's id or phrase.
    #[schema(example = "+33612345678")]
    pub value: String,
    /// Why, at most 200 characters.
    pub reason: Option<String>,
    /// Where it comes from, at most 100 characters; who adds it when not given.
    pub source: Option<String>,
    /// Until when; for ever when not given.
    pub expires_at: Option<Timestamp>,
}

/// Many entries as text.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = BlacklistImport)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// What lines without a kind are: `number` when not given.
    pub kind: Option<Kind>,
    /// One entry a line: `value`, or comma-separated `value,reason,expires_at`, or with a heading line that names the columns
    /// among `kind`, `value`, `reason`, `source` and `expires_at`. A field may stand in double quotes.
    pub text: String,
    /// Why, for lines that do not say.
    pub reason: Option<String>,
    /// Where the list comes from.
    pub source: Option<String>,
    /// Until when, for lines that do not say.
    pub expires_at: Option<Timestamp>,
}

/// What became of an import. All lines that could be read are on the list, or none where the import failed.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = BlacklistImported)]
pub struct Imported {
    /// Entries that are on the list now.
    pub added: usize,
    /// Lines that could not be read, at most 100.
    pub refused: Vec<RefusedLine>,
    /// How many could not be read.
    pub refused_count: usize,
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RefusedLine {
    /// Its number, the first is 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// Entries of a tenant.
const ENTRIES_MAX: i64 = 500_000;
/// Lines of an import.
const LINES_MAX: usize = 100_000;
const REFUSED_SHOWN: usize = 100;
const PHRASE_CHARS_MIN: usize = 2;
const PHRASE_CHARS_MAX: usize = 100;
const REASON_CHARS_MAX: usize = 200;
const SOURCE_CHARS_MAX: usize = 100;
/// Rows of one statement.
const ROWS: usize = 5_000;

fn short(field: &str, text: Option<&str>, max: usize) -> Result<String> {
    let text = text.unwrap_or_default().trim();
    if text.chars().count() > max || text.contains('\0') {
        return Err(Error::invalid(field, format!("it takes at most {max} characters")));
    }
    Ok(text.to_owned())
}

record! {
    struct Stored {
        id: BlacklistedId, kind: String, value: String, reason: String, source: String, expires_at: Option<Timestamp>,
        created_at: Timestamp,
    }
}

impl Stored {
    /// The entry; nothing for one of a kind that only a later version knows.
    fn entry(self) -> Option<Entry> {
        Some(Entry {
            id: self.id,
            kind: Kind::named(&self.kind)?,
            value: self.value,
            reason: self.reason,
            source: self.source,
            expires_at: self.expires_at,
            created_at: self.created_at,
        })
    }
}

/// A tenant's whole blacklist.
pub(crate) async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Entry>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, kind, value, reason, source, expires_at, created_at from blacklist
                 where tenant_id = $1 order by id limit $2"
            ),
            args![tenant, ENTRIES_MAX],
        )
        .await?;
    Ok(stored.into_iter().filter_map(Stored::entry).collect())
}

#[derive(Serialize)]
struct Row {
    id: i64,
    k: &'static str,
    v: String,
    r: String,
    s: String,
    x: Option<i64>,
}

fn row(scope: &Scope, new: &NewEntry) -> Result<Row> {
    let kind = new.kind.ok_or_else(|| Error::invalid("kind", "name what the entry is about"))?;
    let by = scope.actor().to_string();
    Ok(Row {
        id: scope.runtime().ids.next::<types::kind::Blacklisted>().raw(),
        k: kind.as_str(),
        v: kind.normal(&new.value)?,
        r: short("reason", new.reason.as_deref(), REASON_CHARS_MAX)?,
        s: short("source", Some(new.source.as_deref().unwrap_or(&by)), SOURCE_CHARS_MAX)?,
        x: new.expires_at.map(Timestamp::unix_ms),
    })
}

async fn insert(tx: &mut db::Tx, tenant: TenantId, rows: &[Row], now: Timestamp) -> Result<()> {
    record! { struct Count { n: i64 } }
    let known: Count =
        tx.one(sql!("select count(*) as n from blacklist where tenant_id = $1"), args![tenant]).await?;
    if known.n + rows.len() as i64 > ENTRIES_MAX {
        return Err(Error::new(Code::Conflict, format!("a blacklist has at most {ENTRIES_MAX} entries")));
    }
    for some in rows.chunks(ROWS) {
        tx.execute(
            sql!(
                "insert into blacklist (id, tenant_id, kind, value, reason, source, expires_at, created_at) \
                 select cast(r.value ->> 'id' as bigint), $2, r.value ->> 'k', r.value ->> 'v', r.value ->> 'r', \
                 r.value ->> 's', cast(r.value ->> 'x' as bigint), $3 from json_rows($1) r where true \
                 on conflict (tenant_id, kind, value) do update set reason = excluded.reason, \
                 source = excluded.source, expires_at = excluded.expires_at"
            ),
            vec![Arg::json(some)?, tenant.into(), now.into()],
        )
        .await?;
    }
    Ok(())
}

/// Puts something on the blacklist. Tell the engine after it.
///
/// # Errors
/// Refusals of its values; [`Code::Conflict`] when the list is full.
pub async fn add(scope: &Scope, new: &NewEntry) -> Result<Entry> {
    scope.require(Permission::BlacklistAdd)?;
    let row = row(scope, new)?;
    let mut write = scope.write().await?;
    insert(&mut write, scope.tenant(), std::slice::from_ref(&row), scope.now()).await?;
    let stored: Stored = write
        .one(
            sql!(
                "select id, kind, value, reason, source, expires_at, created_at from blacklist
                 where tenant_id = $1 and kind = $2 and value = $3"
            ),
            args![scope.tenant(), row.k, &row.v],
        )
        .await?;
    let entry = stored.entry().ok_or_else(|| Error::internal("an entry has a kind"))?;
    write.happened(Event::BlacklistAdded(audited(&entry, None, Some(&entry))?));
    write.commit(entry).await
}

/// Puts many entries on the blacklist. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when the list is full; [`Code::InvalidValue`] for too many lines. Nothing is added then.
pub async fn import(scope: &Scope, import: &Import) -> Result<Imported> {
    scope.require(Permission::BlacklistImport)?;
    let read = lines(import)?;
    let (mut rows, mut refused, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (line, read) in read {
        match read.and_then(|new| row(scope, &new)) {
            Ok(row) => {
                if seen.insert((row.k, row.v.clone())) {
                    rows.push(row);
                }
            }
            Err(error) => refused.push(RefusedLine { line, why: error.message().to_owned() }),
        }
    }
    let imported = Imported {
        added: rows.len(),
        refused_count: refused.len(),
        refused: refused.into_iter().take(REFUSED_SHOWN).collect(),
    };
    let mut write = scope.write().await?;
    insert(&mut write, scope.tenant(), &rows, scope.now()).await?;
    if imported.added > 0 {
        let source = import.source.clone().unwrap_or_default();
        write.happened(Event::BlacklistAdded(Change {
            id: "import".to_owned(),
            name: format!("{} entries {source}", imported.added).trim_end().to_owned(),
            before: None,
            after: Some(serde_json::json!({ "added": imported.added, "source": source })),
        }));
    }
    write.commit(imported).await
}

/// A line that was read, with its number.
type Line = (usize, Result<NewEntry>);

/// The lines of an import.
fn lines(import: &Import) -> Result<Vec<Line>> {
    let mut columns = ["value", "reason", "expires_at"].map(str::to_owned).to_vec();
    let mut read = Vec::new();
    for (at, line) in import.text.lines().enumerate() {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields = fields(line);
        let is_heading = |name: &String| COLUMNS.contains(&name.to_lowercase().as_str());
        if read.is_empty()
            && fields.iter().all(is_heading)
            && fields.iter().any(|name| name.eq_ignore_ascii_case("value"))
        {
            columns = fields.iter().map(|name| name.to_lowercase()).collect();
            continue;
        }
        if read.len() >= LINES_MAX {
            return Err(Error::invalid("text", format!("an import has at most {LINES_MAX} lines")));
        }
        read.push((at + 1, entry(import, &columns, fields)));
    }
    if read.is_empty() {
        return Err(Error::invalid("text", "there is no line to import"));
    }
    Ok(read)
}

/// The columns that a heading may name.
const COLUMNS: [&str; 5] = ["kind", "value", "reason", "source", "expires_at"];

/// The fields of a line, by commas or semicolons; within double quotes both are part of the field, and two quotes are one.
pub(crate) fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("there is always a field");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => fields.push(String::new()),
            letter => field.push(letter),
        }
    }
    fields.into_iter().map(|field| field.trim().to_owned()).collect()
}

fn entry(import: &Import, columns: &[String], fields: Vec<String>) -> Result<NewEntry> {
    let mut new = NewEntry {
        kind: Some(import.kind.unwrap_or(Kind::Number)),
        value: String::new(),
        reason: import.reason.clone(),
        source: import.source.clone(),
        expires_at: import.expires_at,
    };
    if fields.len() > columns.len() {
        return Err(Error::invalid(
            "text",
            format!("{} fields, and there are {} columns", fields.len(), columns.len()),
        ));
    }
    for (column, field) in columns.iter().zip(fields).filter(|(_, field)| !field.is_empty()) {
        match column.as_str() {
            "kind" => {
                let kind = Kind::named(&field.to_lowercase());
                new.kind = Some(
                    kind.ok_or_else(|| Error::invalid("kind", format!("{field:?} is no kind of entry")))?,
                );
            }
            "value" => new.value = field,
            "reason" => new.reason = Some(field),
            "source" => new.source = Some(field),
            _ => {
                let at = Timestamp::parse(&field);
                new.expires_at =
                    Some(at.map_err(|why| Error::invalid("expires_at", format!("{field:?}: {why}")))?);
            }
        }
    }
    Ok(new)
}

/// Which entries.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EntryFilter {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only entries that catch this number, sender, network address, key or text now.
    pub catches: Option<String>,
}

/// Entries, newest first.
///
/// # Errors
/// [`Code::Forbidden`]; a filter or cursor that is none.
pub async fn list(scope: &Scope, engine: &Engine, filter: &EntryFilter) -> Result<Page<Entry>> {
    scope.require(Permission::BlacklistView)?;
    let paging = web::Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    if let Some(kind) = filter.kind.as_deref().filter(|kind| Kind::named(kind).is_none()) {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        let why = format!("{kind:?} is no kind of entry; they are {known}");
        return Err(Error::new(Code::InvalidFilter, why).at("kind"));
    }
    let caught = filter.catches.as_deref().map(|value| {
        let gates = engine.gates().tenant(scope.tenant());
        gates.map_or_else(Vec::new, |gates| gates.lists.catching(value.trim(), scope.now()))
    });
    let ids: Vec<_> = caught.iter().flatten().map(|id| serde_json::json!({ "id": id })).collect();
    let mut tx = scope.read().await?;
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select id, kind, value, reason, source, expires_at, created_at from blacklist \
                 where tenant_id = $1 and id < $2 and (cast($3 as text) is null or kind = $3) \
                 and ($4 = 0 or id in (select cast(r.value ->> 'id' as bigint) from json_rows($5) r)) \
                 order by id desc limit $6"
            ),
            args![
                scope.tenant(),
                before,
                filter.kind.clone(),
                i64::from(caught.is_some()),
                Arg::json(&ids)?,
                limit as i64 + 1
            ],
        )
        .await?;
    let next = rows.get(limit).is_some();
    let last = rows.get(limit - 1).map(|row| row.id.raw()).filter(|_| next);
    let sight = Sight::of(scope);
    let items =
        rows.into_iter().take(limit).filter_map(Stored::entry).map(|entry| seen(sight, entry)).collect();
    Ok(Page { items, next: last.map(|last| types::Cursor::at(last).to_string()) })
}

/// One entry.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: BlacklistedId) -> Result<Entry> {
    scope.require(Permission::BlacklistView)?;
    let entry = present(&mut scope.read().await?, scope.tenant(), id).await?;
    Ok(seen(Sight::of(scope), entry))
}

/// An entry as somebody may see it.
fn seen(sight: Sight, entry: Entry) -> Entry {
    Entry {
        value: sight.words(entry.value),
        reason: sight.words(entry.reason),
        source: sight.words(entry.source),
        ..entry
    }
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: BlacklistedId) -> Result<Entry> {
    let stored: Option<Stored> = tx
        .optional(
            sql!(
                "select id, kind, value, reason, source, expires_at, created_at from blacklist
                 where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    stored.and_then(Stored::entry).ok_or_else(|| Error::not_found("blacklist entry"))
}

/// Takes an entry off the blacklist. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn remove(scope: &Scope, id: BlacklistedId) -> Result<()> {
    scope.require(Permission::BlacklistRemove)?;
    let mut write = scope.write().await?;
    let entry = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from blacklist where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::BlacklistRemoved(audited(&entry, Some(&entry), None)?));
    write.commit(()).await
}

fn audited(entry: &Entry, before: Option<&Entry>, after: Option<&Entry>) -> Result<Change> {
    Ok(Change {
        id: entry.id.to_string(),
        name: format!("{} {}", entry.kind.as_str(), entry.value),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

#[cfg(test)]
mod tests;
