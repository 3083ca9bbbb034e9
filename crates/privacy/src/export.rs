//! What a person is given of themselves: JSON for machines, and the same as a page for people.

use db::args;
use maud::{DOCTYPE, html};
use runtime::Scope;
use runtime::personal::{self, Told};
use serde_json::{Map, Value, json};
use types::{Code, Error, PersonId, Result, Timestamp};

use crate::person::Identifier;
use crate::retention;

/// Rows of a person that one file tells of.
const ROWS_MAX: usize = 200_000;
/// Rows read at a time.
const PAGE: i64 = 1_000;

/// All that is kept of a person, or only what they have given, as JSON.
///
/// # Errors
/// [`Code::TooLarge`] for more rows than a file takes; when the database does not answer.
pub(crate) async fn gather(
    scope: &Scope,
    person: PersonId,
    identifiers: &[Identifier],
    (given_alone, before): (bool, Timestamp),
    own: Map<String, Value>,
) -> Result<Vec<u8>> {
    let terms = retention::terms(scope).await?;
    let (mut tables, mut total) = (Vec::new(), 0);
    for table in personal::tables(scope.runtime()) {
        let mut rows = Vec::new();
        for way in table.ways {
            let Some(export) = way.export.filter(|export| export.given || !given_alone) else { continue };
            for identifier in identifiers.iter().filter(|one| one.is(way.by)) {
                let mut behind = i64::MIN;
                loop {
                    let mut tx = scope.read().await?;
                    let page: Vec<Told> = tx
                        .all(export.select, args![scope.tenant(), identifier.value.as_str(), behind, PAGE])
                        .await?;
                    drop(tx);
                    let Some(last) = page.last() else { break };
                    behind = last.k;
                    total += page.len();
                    if total > ROWS_MAX {
                        let why = format!("there are more than {ROWS_MAX} rows about this person");
                        return Err(Error::new(Code::TooLarge, why));
                    }
                    rows.extend(page.into_iter().map(|told| row(export.fields, told)));
                }
            }
        }
        if !rows.is_empty() {
            tables.push(json!({
                "what": table.title, "table": table.table, "purpose": table.purpose,
                "legal_basis": table.basis.words(), "kept": retention::kept(table.kept, &terms), "rows": rows,
            }));
        }
    }
    let identifiers: Vec<String> = identifiers.iter().map(Identifier::shown).collect();
    let mut whole = json!({
        "format": "switchboard person 1", "person": person, "made_at": before, "identifiers": identifiers,
        "data": tables,
    });
    if let Some(fields) = whole.as_object_mut() {
        fields.extend(own);
    }
    serde_json::to_vec_pretty(&whole).map_err(Error::internal)
}

fn row(fields: &[&str], told: Told) -> Value {
    let pairs = fields.iter().zip(told.fields);
    pairs.filter_map(|(name, text)| text.map(|text| ((*name).to_owned(), Value::String(text)))).collect()
}

/// The same for people: no script, no style from elsewhere.
pub(crate) fn page(whole: &Value) -> String {
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tables = whole["data"].as_array().cloned().unwrap_or_default();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "What is kept about you" } }
            body {
                h1 { "What is kept about you" }
                p { "Made at " (words(&whole["made_at"])) "." }
                @for table in &tables {
                    h2 { (words(&table["what"])) }
                    p { "For " (words(&table["purpose"])) "; by " (words(&table["legal_basis"])) "; kept " (words(&table["kept"])) "." }
                    @for row in table["rows"].as_array().into_iter().flatten() {
                        dl {
                            @for (name, value) in row.as_object().into_iter().flatten() {
                                dt { (name) } dd { (words(value)) }
                            }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}
