//! Loading files into a database of the reader's own: many rows in one statement, and each row once however often.

use std::path::PathBuf;
use std::sync::LazyLock;

use db::{Arg, Db, Migration, Options, Rows, Tenancy};
use serde::Serialize;
use types::{Code, Error, Result};

use super::read;
use super::row::{COLUMNS, Cell, Column, Kind, Row};

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

/// The one statement: a batch of rows, those that are there already left out.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let joined = |each: &dyn Fn(&Column) -> String| COLUMNS.iter().map(each).collect::<Vec<_>>().join(", ");
    format!(
        "insert into cdr ({}) select {} from rows({}) r where true on conflict (tenant, seq, revision) do nothing",
        joined(&|column| column.name.to_owned()),
        joined(&|column| format!("r.{}", column.name)),
        joined(&|column| format!("{} {}", column.name, type_of(column.kind))),
    )
});

const fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Number | Kind::Instant => "bigint",
        Kind::Flag => "boolean",
        Kind::Text => "text",
    }
}

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
            loaded.rows += batch.len() as u64;
            uncommitted += batch.len();
            let rows: Rows = batch.drain(..).map(|row| values(&row)).collect();
            loaded.new += tx.execute_rows(INSERT.as_str(), Vec::new(), rows).await?;
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

fn values(row: &Row) -> [Arg; COLUMNS.len()] {
    let mut cells = row.cells();
    std::array::from_fn(|at| match (cells.next().unwrap_or(Cell::None), COLUMNS[at].kind) {
        (Cell::Number(number), _) => number.into(),
        (Cell::Text(text), _) => text.into_owned().into(),
        (Cell::Flag(flag), _) => flag.into(),
        (Cell::Instant(at), _) => at.into(),
        (Cell::None, Kind::Number | Kind::Instant) => Arg::Int(None),
        (Cell::None, Kind::Text) => Arg::Text(None),
        (Cell::None, Kind::Flag) => Arg::Bool(None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_column() {
        for column in COLUMNS {
            let kind = type_of(column.kind);
            let line =
                format!("    {} {kind}{},", column.name, if column.required { " not null" } else { "" });
            assert!(MIGRATIONS[0].text.contains(&line), "{line}");
        }
    }
}
