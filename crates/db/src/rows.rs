//! A batch of rows as one statement: `from rows(id bigint, state text) r`.
//!
//! The words stand where a table could. On PostgreSQL they become one array for each column, unnested; on SQLite a list
//! of values, of one of a few lengths and filled up with rows of nulls, which the statement does not see: so few texts
//! are compiled, each of them is used again and again, and a batch is one trip to the thread that holds the connection.
//! Nothing is written as JSON and parsed again, which was a third of the embedded engine's work for a batch.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use crate::Engine;
use crate::value::Arg;

/// The rows of a batch, each as wide as the statement's `rows(…)` has columns.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    width: usize,
    values: Vec<Arg>,
}

impl Rows {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// None yet, with room for so many of that width.
    pub fn with_capacity(rows: usize, width: usize) -> Self {
        Self { width, values: Vec::with_capacity(rows * width) }
    }

    /// Adds a row. All rows of a batch are built by the same line of code, and so have the same width.
    pub fn push<const WIDTH: usize>(&mut self, row: [Arg; WIDTH]) {
        debug_assert!(self.values.is_empty() || self.width == WIDTH, "rows of one batch have one width");
        self.width = WIDTH;
        self.values.extend(row);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn into_values(self) -> Vec<Arg> {
        self.values
    }
}

impl<const WIDTH: usize> FromIterator<[Arg; WIDTH]> for Rows {
    fn from_iter<I: IntoIterator<Item = [Arg; WIDTH]>>(rows: I) -> Self {
        let mut batch = Self::new();
        rows.into_iter().for_each(|row| batch.push(row));
        batch
    }
}

/// The type of a column of `rows(…)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Text,
    Bytes,
    Bool,
    Real,
}

impl Type {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Int, "bigint"),
        (Self::Text, "text"),
        (Self::Bytes, "bytea"),
        (Self::Bool, "boolean"),
        (Self::Real, "double precision"),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, word)| *word == name).map(|(kind, _)| kind)
    }

    fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("text", |(_, word)| word)
    }
}

/// The lengths of SQLite's lists of values. A compiled statement takes about a hundred octets for each placeholder and is
/// kept, so the longest is no longer than it takes to make the trip to the engine's thread cheap.
const LENGTHS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// A statement with `rows(…)`, taken apart once.
#[derive(Debug)]
pub(crate) struct Shape {
    before: &'static str,
    after: &'static str,
    alias: &'static str,
    columns: Vec<(&'static str, Type)>,
    /// How many placeholders stand beside the rows.
    scalars: usize,
    sqlite: [OnceLock<Arc<str>>; LENGTHS.len()],
    postgres: OnceLock<Arc<str>>,
}

const WORD: &str = " rows(";

impl Shape {
    /// Takes a text apart; `None` where it has no `rows(…)`, or one that cannot be read.
    pub(crate) fn of(text: &'static str) -> Option<Arc<Self>> {
        static KNOWN: LazyLock<RwLock<HashMap<&'static str, Arc<Shape>>>> = LazyLock::new(RwLock::default);
        if let Some(shape) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Some(shape.clone());
        }
        let shape = Arc::new(Self::read(text)?);
        KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(text, shape.clone());
        Some(shape)
    }

    fn read(text: &'static str) -> Option<Self> {
        let (before, rest) = text.split_once(WORD)?;
        let (signature, rest) = rest.split_once(") ")?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (alias, after) = rest.split_at(end);
        let columns = signature.split(',').map(|column| {
            let (name, kind) = column.trim().split_once(' ')?;
            Some((name, Type::named(kind)?))
        });
        let scalars = |text: &str| {
            let numbers = text.split('$').skip(1);
            numbers.filter_map(|rest| leading_number(rest).map(|(number, _)| number)).max().unwrap_or(0)
        };
        Some(Self {
            before,
            after,
            alias,
            columns: columns.collect::<Option<_>>()?,
            scalars: scalars(before).max(scalars(after)),
            sqlite: [const { OnceLock::new() }; LENGTHS.len()],
            postgres: OnceLock::new(),
        })
    }

    pub(crate) fn types(&self) -> impl ExactSizeIterator<Item = Type> + '_ {
        self.columns.iter().map(|(_, kind)| *kind)
    }

    pub(crate) fn scalars(&self) -> usize {
        self.scalars
    }

    /// The list that so many rows go into on SQLite: one that they fill to three quarters at least, or else the longest that
    /// they fill, and what is over goes into another.
    pub(crate) fn length(rows: usize) -> usize {
        let filled = |length: &usize| rows.saturating_mul(4) >= length * 3;
        LENGTHS.into_iter().rev().find(filled).unwrap_or(1)
    }

    /// The text for a list of values of that length. Rows whose first column is null are none.
    ///
    /// The values come first and unnumbered: a numbered placeholder costs the engine a look at all of them. What stands
    /// beside the rows is numbered behind them.
    pub(crate) fn sqlite(&self, length: usize) -> Arc<str> {
        let write = || {
            let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
            let row = format!("({})", vec!["?"; names.len()].join(","));
            let values = vec![row.as_str(); length].join(",");
            let (joint, before) = match self.before.strip_prefix("with ") {
                Some(before) => (",", before),
                None => ("", self.before),
            };
            let numbered = |text| renumbered(text, length * names.len());
            let (before, after) = (numbered(before), numbered(self.after));
            let (alias, names) = (self.alias, names.join(","));
            let rows = format!("select * from (values {values}) where column1 is not null");
            Arc::from(format!("with {alias}({names}) as ({rows}){joint} {before} {alias}{after}"))
        };
        let at = LENGTHS.iter().position(|known| *known == length).unwrap_or(LENGTHS.len() - 1);
        self.sqlite[at].get_or_init(write).clone()
    }

    /// The text with one array for each column, behind what stands beside the rows.
    pub(crate) fn postgres(&self) -> Arc<str> {
        let write = || {
            let arrays = self
                .columns
                .iter()
                .enumerate()
                .map(|(at, (_, kind))| format!("${}::{}[]", self.scalars + at + 1, kind.word()));
            let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
            let rows = format!(
                " unnest({}) as {}({})",
                arrays.collect::<Vec<_>>().join(","),
                self.alias,
                names.join(",")
            );
            Arc::from(format!("{}{rows}{}", self.before, self.after))
        };
        self.postgres.get_or_init(write).clone()
    }
}

fn leading_number(text: &str) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// The text with `$1` as `?1` and so on, each number that much higher.
fn renumbered(text: &str, by: usize) -> String {
    let mut pieces = text.split('$');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match leading_number(piece) {
            Some((number, rest)) => {
                let _ = write!(out, "?{}{rest}", number + by);
            }
            None => {
                out.push('$');
                out.push_str(piece);
            }
        }
    }
    out
}

/// The text that a statement with `rows(…)` is compiled as, for one row.
pub(crate) fn sample(engine: Engine, text: &'static str) -> Option<Cow<'static, str>> {
    let shape = Shape::of(text)?;
    Some(Cow::Owned(match engine {
        Engine::Sqlite => shape.sqlite(1).to_string(),
        Engine::Postgres => shape.postgres().to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &str = "update t set state = r.state, at = $1 from rows(id bigint, state text) r where t.id = r.id and t.at < $2";

    #[test]
    fn the_words_become_values_here_and_arrays_there() {
        let shape = Shape::of(UPDATE).unwrap();
        assert_eq!(
            &*shape.sqlite(2),
            "with r(id,state) as (select * from (values (?,?),(?,?)) where column1 is not null) update t set state = r.state, at = ?5 from r where t.id = r.id and t.at < ?6"
        );
        assert_eq!(
            &*shape.postgres(),
            "update t set state = r.state, at = $1 from unnest($3::bigint[],$4::text[]) as r(id,state) where t.id = r.id and t.at < $2"
        );
        let with =
            Shape::of("with a as (select 1) select a.x from rows(id bigint) n join a on a.x = n.id").unwrap();
        assert_eq!(
            &*with.sqlite(1),
            "with n(id) as (select * from (values (?)) where column1 is not null), a as (select 1) select a.x from n join a on a.x = n.id"
        );
        assert!(Shape::of("select 1 from json_rows($1) r").is_none());
    }

    #[test]
    fn a_list_is_as_long_as_its_rows_or_a_little_longer() {
        assert_eq!([1, 2, 3, 65, 96, 200, 700].map(Shape::length), [1, 2, 4, 64, 128, 256, 256]);
        assert!((1..=700).all(|rows| 3 * Shape::length(rows) <= 4 * rows));
    }

    #[tokio::test]
    async fn every_row_counts_once_whatever_the_length() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let db = crate::Db::open(&url, &crate::Options::default()).await.unwrap();
        let mut tx = db.write(crate::Tenancy::Every).await.unwrap();
        tx.raw("create table t (id integer primary key, n integer, s text)").await.unwrap();
        let mut first = 1_i64;
        for rows in [1_i64, 3, 64, 65, 600, 1_500] {
            let ids = first..first + rows;
            first += rows;
            let new: Rows =
                ids.clone().map(|id| [id.into(), Arg::Int(None), format!("row {id}").into()]).collect();
            let insert =
                "insert into t (id, n, s) select r.id, r.n, r.s from rows(id bigint, n bigint, s text) r";
            assert_eq!(tx.execute_rows(insert, vec![], new).await.unwrap(), rows as u64);
            let update =
                "update t set n = r.n + $1 from rows(id bigint, n bigint) r where t.id = r.id and t.s <> $2";
            let args = vec![7_i64.into(), "row 3".into()];
            let changed =
                tx.execute_rows(update, args, ids.map(|id| [id.into(), id.into()]).collect()).await.unwrap();
            assert_eq!(changed, rows as u64 - u64::from(rows == 3));
        }
        let sums: Sums =
            tx.one("select sum(n) as n, count(*) as rows from t where n = id + 7", vec![]).await.unwrap();
        assert_eq!((sums.rows, sums.n), (first - 2, (1..first).map(|id| id + 7).sum::<i64>() - 10));
        let wrong = tx.execute_rows(
            "delete from t where id in (select r.id from rows(id bigint) r)",
            vec![],
            [[1_i64.into(), 2_i64.into()]].into_iter().collect(),
        );
        assert!(wrong.await.is_err(), "rows that are too wide are refused");
    }

    crate::record! { struct Sums { n: i64, rows: i64 } }
}
