//! Who does not want to be written to: phones that stopped, and those that somebody put on the list.
//!
//! Marketing is refused with [`Code::RecipientOptedOut`]; what a person waits for passes, unless the entry is for all. The
//! list is held in memory too, so that nothing is read while a message waits.

use std::collections::HashSet;

use db::{Arg, args, record, sql};
use runtime::Scope;
use runtime::personal::Sight;
use serde::{Deserialize, Serialize};
use types::event::{Change, Exported};
use types::{
    Address, Code, Error, Event, MessageId, OptOutId, Page, Permission, Result, TenantId, Timestamp,
};

use crate::engine::Engine;
use crate::gate::fold;
use crate::settings;

pub mod api;
mod list;
pub mod pages;

pub(crate) use list::{Noted, OptOuts};

/// What a phone gets no more of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Marketing from one sender.
    Number,
    /// All marketing of the tenant.
    #[default]
    Marketing,
    /// Every message of the tenant, one-time passwords too.
    All,
}

impl Extent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Number, Self::Marketing, Self::All];

    /// The name that the API and the database hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Marketing => "marketing",
            Self::All => "all",
        }
    }

    /// The extent of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extent| extent.as_str() == name)
    }

    /// The same in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Number => "marketing from this number",
            Self::Marketing => "all marketing",
            Self::All => "every message",
        }
    }
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct OptOut {
    /// Its id.
    pub id: OptOutId,
    /// The phone.
    #[schema(example = "+33612345678")]
    pub phone: String,
    /// What it gets no more of.
    pub scope: Extent,
    /// The sender that it is about, or the number that the phone wrote to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// What the phone wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// Where it comes from: `phone`, who added it, which list was imported.
    pub source: String,
    /// The message by which the phone opted out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Since when.
    pub at: Timestamp,
}

/// A phone to be put on the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOptOut {
    /// The phone, in international form.
    #[schema(example = "+33612345678")]
    pub phone: String,
    /// What it gets no more of; `marketing` when not given.
    pub scope: Option<Extent>,
    /// The sender, for the scope `number`.
    pub number: Option<String>,
    /// Where it comes from, at most 100 characters; who adds it when not given.
    pub source: Option<String>,
}

/// Many phones as text.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportOptOuts {
    /// Lines of CSV: `phone,scope,number`, of which only the phone must stand. A heading line is passed over, and so are
    /// further columns, such as those of an export.
    pub text: String,
    /// What lines without a scope are; `marketing` when not given.
    pub scope: Option<Extent>,
    /// Where the list comes from, at most 100 characters.
    pub source: Option<String>,
}

/// What became of an import. All lines that could be read are on the list, or none where the import failed.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ImportedOptOuts {
    /// Phones that are on the list now.
    pub added: usize,
    /// Lines that could not be read, at most 100.
    pub refused: Vec<crate::blacklist::RefusedLine>,
    /// How many could not be read.
    pub refused_count: usize,
}

/// Entries of a tenant that it may add; phones are heard however many there are.
const ENTRIES_MAX: i64 = 500_000;
/// Lines of an import.
const LINES_MAX: usize = 100_000;
const REFUSED_SHOWN: usize = 100;
const SOURCE_CHARS_MAX: usize = 100;
/// Rows of one statement.
const ROWS: usize = 5_000;

record! {
    struct Stored {
        id: OptOutId, phone: String, scope: String, number: String, word: String, source: String,
        message_id: Option<MessageId>, at: Timestamp,
    }
}

impl Stored {
    fn entry(self, sight: Sight) -> OptOut {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        OptOut {
            id: self.id,
            phone: sight.identifier(format!("+{}", self.phone)),
            // A scope that only a later version knows refuses no less than it should.
            scope: Extent::named(&self.scope).unwrap_or(Extent::All),
            number: text(self.number).map(|number| crate::inbound::shown_number(&number)),
            word: text(self.word).map(|word| sight.text(word)),
            source: sight.words(self.source),
            message: self.message_id,
            at: self.at,
        }
    }
}

/// A row to be written.
#[derive(Debug, Clone, Serialize)]
struct Row {
    id: i64,
    p: String,
    e: &'static str,
    n: String,
    s: String,
}

impl Row {
    fn noted(&self, tenant: TenantId) -> Noted {
        Noted::Out {
            tenant,
            id: OptOutId::from_raw(self.id),
            phone: self.p.clone(),
            extent: Extent::named(self.e).unwrap_or_default(),
            number: self.n.clone(),
        }
    }
}

fn row(scope: &Scope, new: &NewOptOut) -> Result<Row> {
    let address = Address::recipient(&new.phone).map_err(|error| error.at("phone"))?;
    let extent = new.scope.unwrap_or_default();
    let number = new.number.as_deref().map(str::trim).filter(|number| !number.is_empty());
    let number = match (extent, number) {
        (Extent::Number, None) => {
            return Err(Error::invalid("number", "name the sender that the scope `number` is about"));
        }
        (_, Some(number)) => fold(&Address::sender(number).map_err(|error| error.at("number"))?.text),
        (_, None) => String::new(),
    };
    let by = scope.actor().to_string();
    let source = new.source.as_deref().unwrap_or(&by).trim();
    if source.chars().count() > SOURCE_CHARS_MAX || source.contains('\0') {
        return Err(Error::invalid("source", format!("it takes at most {SOURCE_CHARS_MAX} characters")));
    }
    Ok(Row {
        id: scope.runtime().ids.next::<types::kind::OptOut>().raw(),
        p: address.text,
        e: extent.as_str(),
        n: number,
        s: source.to_owned(),
    })
}

async fn insert(tx: &mut db::Tx, tenant: TenantId, rows: &[Row], now: Timestamp) -> Result<()> {
    record! { struct Count { n: i64 } }
    let known: Count =
        tx.one(sql!("select count(*) as n from opt_out where tenant_id = $1"), args![tenant]).await?;
    if known.n + rows.len() as i64 > ENTRIES_MAX {
        return Err(Error::new(Code::Conflict, format!("the list has at most {ENTRIES_MAX} entries")));
    }
    for some in rows.chunks(ROWS) {
        tx.execute(
            sql!(
                "insert into opt_out (id, tenant_id, phone, scope, number, word, source, at) \
                 select cast(r.value ->> 'id' as bigint), $2, r.value ->> 'p', r.value ->> 'e', r.value ->> 'n', '', \
                 r.value ->> 's', $3 from json_rows($1) r where true \
                 on conflict (tenant_id, phone, scope, number) do update set id = excluded.id, source = excluded.source, \
                 word = '', message_id = null, at = excluded.at"
            ),
            vec![Arg::json(some)?, tenant.into(), now.into()],
        )
        .await?;
    }
    Ok(())
}

/// Puts a phone on the list.
///
/// # Errors
/// Refusals of its values; [`Code::Conflict`] when the list is full.
pub async fn add(scope: &Scope, engine: &Engine, new: &NewOptOut) -> Result<OptOut> {
    scope.require(Permission::OptOutAdd)?;
    let row = row(scope, new)?;
    let mut write = scope.write().await?;
    insert(&mut write, scope.tenant(), std::slice::from_ref(&row), scope.now()).await?;
    let entry = present(&mut write, scope.tenant(), OptOutId::from_raw(row.id), Sight::WHOLE).await?;
    write.happened(Event::OptOutAdded(audited(&entry, None, Some(&entry))?));
    let entry = write.commit(entry).await?;
    engine.opt_outs().note(&[row.noted(scope.tenant())]);
    Ok(entry)
}

/// Puts many phones on the list.
///
/// # Errors
/// [`Code::Conflict`] when the list is full; [`Code::InvalidValue`] for too many lines. Nothing is added then.
pub async fn import(scope: &Scope, engine: &Engine, import: &ImportOptOuts) -> Result<ImportedOptOuts> {
    scope.require(Permission::OptOutImport)?;
    let (mut rows, mut refused, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (line, new) in lines(import)? {
        match new.and_then(|new| row(scope, &new)) {
            Ok(row) => {
                if seen.insert((row.p.clone(), row.e, row.n.clone())) {
                    rows.push(row);
                }
            }
            Err(error) => {
                refused.push(crate::blacklist::RefusedLine { line, why: error.message().to_owned() });
            }
        }
    }
    let imported = ImportedOptOuts {
        added: rows.len(),
        refused_count: refused.len(),
        refused: refused.into_iter().take(REFUSED_SHOWN).collect(),
    };
    let mut write = scope.write().await?;
    insert(&mut write, scope.tenant(), &rows, scope.now()).await?;
    if imported.added > 0 {
        let source = import.source.clone().unwrap_or_default();
        write.happened(Event::OptOutAdded(Change {
            id: "import".to_owned(),
            name: format!("{} phones {source}", imported.added).trim_end().to_owned(),
            before: None,
            after: Some(serde_json::json!({ "added": imported.added, "source": source })),
        }));
    }
    let imported = write.commit(imported).await?;
    let noted: Vec<Noted> = rows.iter().map(|row| row.noted(scope.tenant())).collect();
    engine.opt_outs().note(&noted);
    Ok(imported)
}

type Line = (usize, Result<NewOptOut>);

fn lines(import: &ImportOptOuts) -> Result<Vec<Line>> {
    let mut read = Vec::new();
    for (at, line) in import.text.lines().enumerate() {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields = crate::blacklist::fields(line);
        let field = |at: usize| fields.get(at).map(String::as_str).filter(|text| !text.is_empty());
        let Some(phone) = field(0) else { continue };
        if read.is_empty() && phone.eq_ignore_ascii_case("phone") {
            continue;
        }
        if read.len() >= LINES_MAX {
            return Err(Error::invalid("text", format!("an import has at most {LINES_MAX} lines")));
        }
        let scope = match field(1) {
            None => Ok(import.scope),
            Some(name) => Extent::named(&name.to_lowercase())
                .map(Some)
                .ok_or_else(|| Error::invalid("scope", format!("{name:?} is no scope"))),
        };
        let new = scope.map(|scope| NewOptOut {
            phone: phone.to_owned(),
            scope,
            number: field(2).map(str::to_owned),
            source: import.source.clone(),
        });
        read.push((at + 1, new));
    }
    if read.is_empty() {
        return Err(Error::invalid("text", "there is no line to import"));
    }
    Ok(read)
}

/// Which entries.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OptOutFilter {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
    /// Only of this phone.
    pub phone: Option<String>,
    /// Only of this scope.
    pub scope: Option<String>,
}

/// Entries, newest first.
///
/// # Errors
/// [`Code::Forbidden`]; a filter or cursor that is none.
pub async fn list(scope: &Scope, filter: &OptOutFilter) -> Result<Page<OptOut>> {
    scope.require(Permission::OptOutView)?;
    let paging = web::Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    if let Some(name) = filter.scope.as_deref().filter(|name| Extent::named(name).is_none()) {
        let known = Extent::ALL.map(Extent::as_str).join(", ");
        let why = format!("{name:?} is no scope; they are {known}");
        return Err(Error::new(Code::InvalidFilter, why).at("scope"));
    }
    let phone = filter.phone.as_deref().map(|phone| {
        Address::recipient(phone).map_or_else(|_| phone.trim().to_owned(), |address| address.text)
    });
    let sight = Sight::of(scope);
    let mut tx = scope.read().await?;
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select id, phone, scope, number, word, source, message_id, at from opt_out \
                 where tenant_id = $1 and id < $2 and (cast($3 as text) is null or phone = $3) \
                 and (cast($4 as text) is null or scope = $4) order by id desc limit $5"
            ),
            args![scope.tenant(), before, phone, filter.scope.clone(), limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row| row.id.raw()).map(|row| row.entry(sight)))
}

/// The whole list as CSV with a heading line, oldest first: `phone,scope,number,word,source,at`.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn export(scope: &Scope) -> Result<String> {
    scope.require(Permission::OptOutExport)?;
    let mut write = scope.write().await?;
    write.happened(Event::DataExported(Exported { what: "opt_outs".into(), name: None, records: None }));
    write.commit(()).await?;
    let sight = Sight::of(scope);
    let mut out = csv::Writer::from_writer(Vec::new());
    let fault = |error: csv::Error| Error::internal(error);
    out.write_record(["phone", "scope", "number", "word", "source", "at"]).map_err(fault)?;
    let mut tx = scope.read().await?;
    let mut after = 0;
    loop {
        let rows: Vec<Stored> = tx
            .all(
                sql!(
                    "select id, phone, scope, number, word, source, message_id, at from opt_out \
                     where tenant_id = $1 and id > $2 order by id limit $3"
                ),
                args![scope.tenant(), after, ROWS as i64],
            )
            .await?;
        let Some(last) = rows.last().map(|row| row.id.raw()) else { break };
        after = last;
        for entry in rows.into_iter().map(|row| row.entry(sight)) {
            let (number, word) =
                (entry.number.unwrap_or_default(), plain_cell(&entry.word.unwrap_or_default()));
            let (source, at) = (plain_cell(&entry.source), entry.at.to_string());
            let fields: [&str; 6] = [&entry.phone, entry.scope.as_str(), &number, &word, &source, &at];
            out.write_record(fields).map_err(fault)?;
        }
    }
    let octets = out.into_inner().map_err(Error::internal)?;
    String::from_utf8(octets).map_err(Error::internal)
}

/// A cell that no spreadsheet takes for a formula; what phones write is anybody's.
fn plain_cell(text: &str) -> String {
    // One entry is one line, however it was written.
    let text = text.replace(['\r', '\n'], " ");
    if text.starts_with(['=', '+', '-', '@', '\t']) { format!("'{text}") } else { text }
}

/// One entry.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: OptOutId) -> Result<OptOut> {
    scope.require(Permission::OptOutView)?;
    present(&mut scope.read().await?, scope.tenant(), id, Sight::of(scope)).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: OptOutId, sight: Sight) -> Result<OptOut> {
    let stored: Option<Stored> = tx
        .optional(
            sql!(
                "select id, phone, scope, number, word, source, message_id, at from opt_out \
                 where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    stored.map(|row| row.entry(sight)).ok_or_else(|| Error::not_found("opt-out"))
}

/// Takes an entry off the list. Only with the recipient's consent: the audit trail says who did it.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn remove(scope: &Scope, engine: &Engine, id: OptOutId) -> Result<()> {
    scope.require(Permission::OptOutRemove)?;
    let mut write = scope.write().await?;
    let entry = present(&mut write, scope.tenant(), id, Sight::WHOLE).await?;
    write
        .execute(sql!("delete from opt_out where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::OptOutRemoved(audited(&entry, Some(&entry), None)?));
    write.commit(()).await?;
    let phone = entry.phone.trim_start_matches('+').to_owned();
    engine.opt_outs().note(&[Noted::Removed { tenant: scope.tenant(), id, phone }]);
    Ok(())
}

pub(crate) fn audited(entry: &OptOut, before: Option<&OptOut>, after: Option<&OptOut>) -> Result<Change> {
    Ok(Change {
        id: entry.id.to_string(),
        name: format!("{} {}", entry.phone, entry.scope.as_str()),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_can_be_read_again() {
        let text = "\u{feff}phone,scope,number,word,source,at\n+33612345678,number,ACME,STOP,phone,2026-01-01T00:00:00Z\n\
                    +33612345679\n# none\n+33612345670,everything\n";
        let import =
            ImportOptOuts { text: text.to_owned(), scope: Some(Extent::All), ..ImportOptOuts::default() };
        let read = lines(&import).unwrap();
        assert_eq!(read.len(), 3);
        let first = read[0].1.as_ref().unwrap();
        assert_eq!((first.scope, first.number.as_deref()), (Some(Extent::Number), Some("ACME")));
        assert_eq!(read[1].1.as_ref().unwrap().scope, Some(Extent::All));
        assert!(read[2].1.is_err() && read[2].0 == 5, "{:?}", read[2]);
        assert!(lines(&ImportOptOuts::default()).is_err());
    }

    #[test]
    fn what_phones_write_is_no_formula() {
        assert_eq!(plain_cell("=1+1"), "'=1+1");
        assert_eq!(plain_cell("STOP"), "STOP");
    }
}
