//! Loading files into a database of the reader's own: many rows in one statement, and each row once however often.

use std::path::PathBuf;
use std::sync::LazyLock;

use db::{Arg, Db, Migration, Options, Tenancy};
use serde::Serialize;
use serde_json::Value;
use types::{Code, Error, Result};

use super::read;
use super::row::{COLUMNS, Cell, Kind, Row};

/// The table that rows are loaded into.
pub const MIGRATIONS: &[Migration] = &[Migration { name: "cdr/0001_cdr", text: include_str!("load.sql") }];

/// Rows of one statement.
const ROWS_AT_ONCE: usize = 1_000;
/// Rows of one transaction.
const ROWS_PER_COMMIT: usize = 50_000;

/// What was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Files.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Rows that were not there before.
    pub new: u64,
}

/// The one statement: a batch of rows as arrays, those that are there already left out.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let values: Vec<String> = COLUMNS
        .iter()
        .enumerate()
        .map(|(at, column)| match column.kind {
            Kind::Number | Kind::Instant => format!("cast(r.value ->> {at} as bigint)"),
            Kind::Flag => format!("cast(r.value ->> {at} as bigint) = 1"),
            Kind::Text => format!("r.value ->> {at}"),
        })
        .collect();
    format!(
        "insert into cdr ({}) select {} from json_rows($1) r where true on conflict (tenant, seq, revision) do nothing",
        names.join(", "),
        values.join(", ")
    )
});

/// Opens the database to load into and makes the table where there is none.
///
/// # Errors
/// [`Code::Unavailable`] when it cannot be opened; [`Code::Conflict`] when it is a server's own database.
pub async fn open(url: &str) -> Result<Db> {
    let db = Db::open(url, &Options::default()).await?;
    db.migrate(MIGRATIONS).await.map_err(|error| match error.code() {
        Code::Conflict => Error::new(Code::Conflict, "the database is not one for records alone")
            .hint("load into a database of its own, not into a server's")
            .because(error),
        _ => error,
    })?;
    Ok(db)
}

/// Loads files; rows that are there already, by tenant, seq and revision, stay as they are.
///
/// # Errors
/// [`Code::InvalidBody`] naming a file that cannot be read; what the database refuses. What was committed before stays, and
/// loading again goes on from there.
pub async fn into(db: &Db, paths: &[PathBuf]) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut tx = db.write(Tenancy::Every).await?;
    let mut uncommitted = 0;
    let mut batch: Vec<Row> = Vec::with_capacity(ROWS_AT_ONCE);
    for path in paths {
        let refused = |why: String| Error::new(Code::InvalidBody, format!("{}: {why}", path.display()));
        let mut rows = read::open(path).map_err(refused)?;
        loop {
            for row in rows.by_ref().take(ROWS_AT_ONCE) {
                batch.push(row.map_err(refused)?);
            }
            if batch.is_empty() {
                break;
            }
            let values: Vec<Vec<Value>> = batch.iter().map(values).collect();
            loaded.new += tx.execute(INSERT.as_str(), vec![Arg::json(&values)?]).await?;
            loaded.rows += batch.len() as u64;
            uncommitted += batch.len();
            batch.clear();
            if uncommitted >= ROWS_PER_COMMIT {
                tx.commit().await?;
                tx = db.write(Tenancy::Every).await?;
                uncommitted = 0;
            }
        }
        loaded.files += 1;
    }
    tx.commit().await?;
    Ok(loaded)
}

fn values(row: &Row) -> Vec<Value> {
    let value = |cell: Cell<'_>| match cell {
        Cell::None => Value::Null,
        Cell::Number(number) => number.into(),
        Cell::Text(text) => text.into_owned().into(),
        Cell::Flag(flag) => i64::from(flag).into(),
        Cell::Instant(at) => at.unix_ms().into(),
    };
    row.cells().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_column() {
        for column in COLUMNS {
            let kind = match column.kind {
                Kind::Number | Kind::Instant => "bigint",
                Kind::Text => "text",
                Kind::Flag => "boolean",
            };
            let line =
                format!("    {} {kind}{},", column.name, if column.required { " not null" } else { "" });
            assert!(MIGRATIONS[0].text.contains(&line), "{line}");
        }
    }
}
