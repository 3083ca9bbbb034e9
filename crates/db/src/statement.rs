//! Statements on an open transaction, in each engine's own way.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Postgres, Sqlite, SqliteConnection, Transaction};

use crate::Engine;
use crate::failure::Result;
use crate::portable;
use crate::rows::{Rows, Shape, Type};
use crate::value::{Arg, Row};
use crate::writer::Writing;

/// What is done with each row.
pub(crate) type Each<'a> = &'a mut (dyn FnMut(&Row) -> Result<()> + Send);

/// An engine's transaction. Dropping it undoes it.
pub(crate) enum Open {
    Sqlite(Connected),
    Postgres(Transaction<'static, Postgres>),
}

/// A transaction of SQLite, on the connection that it has.
pub(crate) enum Connected {
    Reading(Transaction<'static, Sqlite>),
    Writing(Writing),
}

impl Deref for Connected {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Reading(tx) => tx,
            Self::Writing(tx) => tx,
        }
    }
}

impl DerefMut for Connected {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Reading(tx) => tx,
            Self::Writing(tx) => tx,
        }
    }
}

macro_rules! bind_all {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value.map(std::borrow::Cow::into_owned)),
                Arg::Bytes(value) => query.bind(value),
                Arg::Bool(value) => query.bind(value),
                Arg::Real(value) => query.bind(value),
            };
        }
        query
    }};
}

/// One array for each column of a batch.
macro_rules! bind_columns {
    ($query:expr, $shape:expr, $rows:expr) => {{
        let (width, count) = ($rows.width(), $rows.len());
        let mut values = $rows.into_values();
        let mut query = $query;
        for (at, kind) in $shape.types().enumerate() {
            let column =
                (0..count).map(|row| std::mem::replace(&mut values[row * width + at], Arg::Int(None)));
            query = match kind {
                Type::Int => query.bind(column.map(Arg::into_int).collect::<Vec<_>>()),
                Type::Text => query.bind(column.map(Arg::into_text).collect::<Vec<_>>()),
                Type::Bytes => query.bind(column.map(Arg::into_bytes).collect::<Vec<_>>()),
                Type::Bool => query.bind(column.map(Arg::into_bool).collect::<Vec<_>>()),
                Type::Real => query.bind(column.map(Arg::into_real).collect::<Vec<_>>()),
            };
        }
        query
    }};
}

/// The shape of a statement with `rows(…)`, when the batch fits into it. What does not fit is a mistake of ours, which must not become a
/// statement with shifted values.
pub(crate) fn fitting(text: &'static str, args: &[Arg], rows: &Rows) -> Result<Arc<Shape>> {
    let wrong = |why: String| sqlx::Error::Encode(why.into());
    let shape = Shape::of(text).ok_or_else(|| wrong(format!("no rows(…) in: {text}")))?;
    let wanted = (shape.types().len(), shape.scalars());
    if (!rows.is_empty() && rows.width() != wanted.0) || args.len() != wanted.1 {
        let given = (rows.width(), args.len());
        return Err(
            wrong(format!("{given:?} columns and arguments where {wanted:?} are wanted: {text}")).into()
        );
    }
    Ok(shape)
}

/// SQLite's statements for a batch, with what each of them binds.
fn lists(
    shape: &Shape,
    args: &[Arg],
    rows: Rows,
) -> impl Iterator<Item = (AssertSqlSafe<Arc<str>>, Vec<Arg>)> {
    let (width, mut left) = (rows.width(), rows.len());
    let mut values = rows.into_values().into_iter();
    std::iter::from_fn(move || {
        let length = Shape::length((left > 0).then_some(left)?);
        left = left.saturating_sub(length);
        let mut bound: Vec<Arg> = Vec::with_capacity(length * width + args.len());
        bound.extend(values.by_ref().take(length * width));
        bound.resize(length * width, Arg::Int(None));
        bound.extend_from_slice(args);
        Some((AssertSqlSafe(shape.sqlite(length)), bound))
    })
}

impl Open {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    pub(crate) async fn execute(&mut self, text: &'static str, args: Vec<Arg>) -> Result<u64> {
        let text = AssertSqlSafe(portable::statement(self.engine(), text).into_owned());
        Ok(match self {
            Self::Sqlite(tx) => bind_all!(sqlx::query(text), args).execute(&mut **tx).await?.rows_affected(),
            Self::Postgres(tx) => {
                bind_all!(sqlx::query(text), args).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// Hands each row of a statement on.
    pub(crate) async fn fetch(&mut self, text: &'static str, args: Vec<Arg>, each: Each<'_>) -> Result<()> {
        let text = portable::statement(self.engine(), text).into_owned();
        self.stream(text, args, each).await
    }

    /// The same for a statement whose text names a table of ours that is known only now.
    pub(crate) async fn stream(&mut self, text: String, args: Vec<Arg>, each: Each<'_>) -> Result<()> {
        let text = AssertSqlSafe(text);
        match self {
            Self::Sqlite(tx) => {
                let mut found = bind_all!(sqlx::query(text), args).fetch(&mut **tx);
                while let Some(row) = found.try_next().await? {
                    each(&Row::Sqlite(row))?;
                }
            }
            Self::Postgres(tx) => {
                let mut found = bind_all!(sqlx::query(text), args).fetch(&mut **tx);
                while let Some(row) = found.try_next().await? {
                    each(&Row::Postgres(row))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn execute_rows(&mut self, shape: &Shape, args: Vec<Arg>, rows: Rows) -> Result<u64> {
        let mut changed = 0;
        match self {
            Self::Sqlite(tx) => {
                for (text, args) in lists(shape, &args, rows) {
                    let query = bind_all!(sqlx::query(text), args);
                    changed += query.execute(&mut **tx).await?.rows_affected();
                }
            }
            Self::Postgres(tx) => {
                let query = bind_all!(sqlx::query(AssertSqlSafe(shape.postgres())), args);
                changed = bind_columns!(query, shape, rows).execute(&mut **tx).await?.rows_affected();
            }
        }
        Ok(changed)
    }

    /// Hands each row on that a statement gives for a batch.
    pub(crate) async fn fetch_rows(
        &mut self,
        shape: &Shape,
        args: Vec<Arg>,
        rows: Rows,
        each: Each<'_>,
    ) -> Result<()> {
        match self {
            Self::Sqlite(tx) => {
                for (text, args) in lists(shape, &args, rows) {
                    let mut found = bind_all!(sqlx::query(text), args).fetch(&mut **tx);
                    while let Some(row) = found.try_next().await? {
                        each(&Row::Sqlite(row))?;
                    }
                }
            }
            Self::Postgres(tx) => {
                let query = bind_all!(sqlx::query(AssertSqlSafe(shape.postgres())), args);
                let mut found = bind_columns!(query, shape, rows).fetch(&mut **tx);
                while let Some(row) = found.try_next().await? {
                    each(&Row::Postgres(row))?;
                }
            }
        }
        Ok(())
    }

    /// Runs a statement whose text names a table of ours that is known only now, and gives the number of rows it changed.
    pub(crate) async fn run(&mut self, text: String, args: Vec<Arg>) -> Result<u64> {
        let text = AssertSqlSafe(text);
        Ok(match self {
            Self::Sqlite(tx) => bind_all!(sqlx::query(text), args).execute(&mut **tx).await?.rows_affected(),
            Self::Postgres(tx) => {
                bind_all!(sqlx::query(text), args).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// The number `n` of the one row that such a statement gives.
    pub(crate) async fn number(&mut self, text: String, args: Vec<Arg>) -> Result<Option<i64>> {
        let text = AssertSqlSafe(text);
        let row = match self {
            Self::Sqlite(tx) => Row::Sqlite(bind_all!(sqlx::query(text), args).fetch_one(&mut **tx).await?),
            Self::Postgres(tx) => {
                Row::Postgres(bind_all!(sqlx::query(text), args).fetch_one(&mut **tx).await?)
            }
        };
        row.get("n")
    }

    pub(crate) async fn raw(&mut self, text: &str) -> Result<()> {
        let text = AssertSqlSafe(text.to_owned());
        match self {
            Self::Sqlite(tx) => sqlx::raw_sql(text).execute(&mut **tx).await.map(drop)?,
            Self::Postgres(tx) => sqlx::raw_sql(text).execute(&mut **tx).await.map(drop)?,
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(Connected::Reading(tx)) => tx.commit().await?,
            Self::Sqlite(Connected::Writing(tx)) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}
