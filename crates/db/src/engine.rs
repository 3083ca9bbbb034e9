//! Opening a database and running statements.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use types::{Code, Error, TenantId};

use crate::failure::Result;
use crate::portable;
use crate::rows::{self, Rows, Shape, Type};
use crate::value::{Arg, Record, Row};

/// The two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded; one writer, many readers.
    Sqlite,
    /// For more than one machine.
    Postgres,
}

/// SQLite's pages in memory, in KiB as it writes them: what the hot path touches again and again.
const WRITER_CACHE: &str = "-16384";
/// The same for each reader, of which there are several; what they miss is in the system's own cache.
const READER_CACHE: &str = "-4096";

/// Compiled statements that a connection keeps: those of batches are there in several lengths.
const STATEMENTS_KEPT: usize = 400;

/// How a database is opened; the configuration's `database` section.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that read (SQLite), or all connections (PostgreSQL).
    pub connections: u32,
    /// How long a caller waits for a free connection.
    pub wait: Duration,
    /// How long a statement waits for a lock that another program holds on the file (SQLite).
    pub lock_wait: Duration,
    /// Whether each commit waits for the disk (survives a power cut) or only for the operating system (survives a
    /// killed process).
    pub flush_each_commit: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 4,
            wait: Duration::from_secs(10),
            lock_wait: Duration::from_secs(5),
            flush_each_commit: true,
        }
    }
}

/// Whose rows a transaction may see. On PostgreSQL row-level security enforces it beneath the statements' own
/// `tenant_id = $1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// One tenant's.
    Tenant(TenantId),
    /// Every tenant's: the data plane's batches, recovery, sign-in before the tenant is known, migrations.
    Every,
}

/// An open database. Cloning shares it.
#[derive(Clone)]
pub struct Db {
    pools: Pools,
}

#[derive(Clone)]
enum Pools {
    // One writer: a second one would only wait for the first one's lock, and fail where waiting is not allowed.
    Sqlite { write: SqlitePool, read: SqlitePool },
    Postgres(PgPool),
}

impl Db {
    /// Opens `sqlite:<path>` (made when absent) or `postgres://…`.
    ///
    /// # Errors
    /// [`Code::Unavailable`] with the reason when the address is no such URL or nothing answers there.
    pub async fn open(url: &str, options: &Options) -> types::Result<Self> {
        let unavailable = |error: sqlx::Error| {
            Error::new(Code::Unavailable, format!("the database cannot be opened: {error}"))
                .hint("check database.url; `switchboard config check` shows where it was set")
        };
        let pools = if url.starts_with("sqlite:") {
            Self::open_sqlite(url, options).await.map_err(unavailable)?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            // A plan is made for each run: one kept from when a table was empty would scan it when it is full.
            let connect = PgConnectOptions::from_str(url)
                .map_err(unavailable)?
                .options([("plan_cache_mode", "force_custom_plan")]);
            let pool = sqlx::postgres::PgPoolOptions::new()
                .max_connections(options.connections)
                .acquire_timeout(options.wait)
                .connect_with(connect)
                .await
                .map_err(unavailable)?;
            Pools::Postgres(pool)
        } else {
            return Err(Error::new(
                Code::Unavailable,
                "the database's address begins with neither sqlite: nor postgres:",
            )
            .hint(
                "give sqlite:/var/lib/switchboard/switchboard.db or postgres://user:password@host/database",
            ));
        };
        Ok(Self { pools })
    }

    /// Opens a database that exists to look at it, never to change it; a program that runs on it is not disturbed.
    ///
    /// # Errors
    /// As [`Db::open`], and when there is no such file.
    pub async fn open_to_read(url: &str, options: &Options) -> types::Result<Self> {
        if !url.starts_with("sqlite:") {
            return Self::open(url, options).await;
        }
        let open = async {
            let connect =
                SqliteConnectOptions::from_str(url)?.read_only(true).busy_timeout(options.lock_wait);
            SqlitePoolOptions::new()
                .max_connections(options.connections)
                .acquire_timeout(options.wait)
                .connect_with(connect)
                .await
        };
        let read = open.await.map_err(|error: sqlx::Error| {
            Error::new(Code::Unavailable, format!("the database cannot be opened: {error}"))
                .hint("name its folder by --data, or its address by --database")
        })?;
        // Nothing can be written through it.
        Ok(Self { pools: Pools::Sqlite { write: read.clone(), read } })
    }

    async fn open_sqlite(url: &str, options: &Options) -> Result<Pools, sqlx::Error> {
        let connect = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(if options.flush_each_commit {
                SqliteSynchronous::Full
            } else {
                SqliteSynchronous::Normal
            })
            .foreign_keys(true)
            .busy_timeout(options.lock_wait)
            .pragma("temp_store", "memory")
            .pragma("wal_autocheckpoint", "4000")
            .statement_cache_capacity(STATEMENTS_KEPT)
            .optimize_on_close(true, None);
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.wait)
            .connect_with(connect.clone().pragma("cache_size", WRITER_CACHE))
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.wait)
            .connect_with(connect.read_only(true).pragma("cache_size", READER_CACHE))
            .await?;
        Ok(Pools::Sqlite { write, read })
    }

    pub(crate) fn sqlite_writer(&self) -> Option<&SqlitePool> {
        match &self.pools {
            Pools::Sqlite { write, .. } => Some(write),
            Pools::Postgres(_) => None,
        }
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Begins a transaction that only reads: one consistent look.
    ///
    /// # Errors
    /// When no connection comes free in time.
    pub fn read(&self, tenancy: Tenancy) -> BoxFuture<'_, Result<Tx>> {
        Box::pin(async move {
            match &self.pools {
                Pools::Sqlite { read, .. } => Ok(Tx { inner: Inner::Sqlite(read.begin().await?) }),
                Pools::Postgres(pool) => Self::begin_postgres(pool, tenancy, "begin").await,
            }
        })
    }

    /// Begins a transaction that only reads and whose statements all see the database as it is at the first of them.
    ///
    /// # Errors
    /// When no connection comes free in time.
    pub fn look(&self, tenancy: Tenancy) -> BoxFuture<'_, Result<Tx>> {
        match &self.pools {
            Pools::Sqlite { .. } => self.read(tenancy),
            Pools::Postgres(pool) => Box::pin(Self::begin_postgres(
                pool,
                tenancy,
                "begin isolation level repeatable read, read only",
            )),
        }
    }

    /// Begins a transaction that may write. Dropping it without [`Tx::commit`] undoes it.
    ///
    /// # Errors
    /// When the writer does not come free in time.
    pub fn write(&self, tenancy: Tenancy) -> BoxFuture<'_, Result<Tx>> {
        Box::pin(async move {
            match &self.pools {
                // Immediate: a deferred transaction that turns to writing fails at once when another writes, whatever the
                // wait.
                Pools::Sqlite { write, .. } => {
                    Ok(Tx { inner: Inner::Sqlite(write.begin_with("begin immediate").await?) })
                }
                Pools::Postgres(pool) => Self::begin_postgres(pool, tenancy, "begin").await,
            }
        })
    }

    async fn begin_postgres(pool: &PgPool, tenancy: Tenancy, begin: &'static str) -> Result<Tx> {
        let mut tx = pool.begin_with(begin).await?;
        let tenant = match tenancy {
            Tenancy::Tenant(id) => id.raw().to_string(),
            Tenancy::Every => "every".to_owned(),
        };
        sqlx::query("select set_config('switchboard.tenant', $1, true)")
            .bind(tenant)
            .execute(&mut *tx)
            .await?;
        Ok(Tx { inner: Inner::Postgres(tx) })
    }

    /// Asks the engine to compile a statement without running it; the test suite does so for every text marked `sql!`.
    ///
    /// # Errors
    /// The engine's own complaint.
    pub async fn prepare(&self, text: &'static str) -> Result<()> {
        use sqlx::{Executor, SqlSafeStr};
        let text =
            rows::sample(self.engine(), text).unwrap_or_else(|| portable::statement(self.engine(), text));
        let text = AssertSqlSafe(text.into_owned()).into_sql_str();
        match &self.pools {
            Pools::Sqlite { write, .. } => {
                write.acquire().await?.prepare(text).await?;
            }
            Pools::Postgres(pool) => {
                pool.acquire().await?.prepare(text).await?;
            }
        }
        Ok(())
    }

    /// Closes all connections; SQLite folds its log into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// What is done with each row.
type Each<'a> = &'a mut (dyn FnMut(&Row) -> Result<()> + Send);

/// A transaction.
///
/// What waits for an engine is boxed: an engine's futures are types of great depth, and would be checked anew in every future
/// that has them within, which took most of the time of compiling their callers.
pub struct Tx {
    pub(crate) inner: Inner,
}

pub(crate) enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
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
pub(crate) use bind_all;

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

/// A statement's shape, when the batch fits into it. What does not fit is a mistake of ours, which must not become a
/// statement with shifted values.
fn fitting(text: &'static str, args: &[Arg], rows: &Rows) -> Result<Arc<Shape>> {
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

impl Tx {
    pub(crate) fn engine(&self) -> Engine {
        match self.inner {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a statement and gives the number of rows it changed.
    ///
    /// # Errors
    /// A constraint, a full disk, a lock not had in time.
    pub fn execute(&mut self, text: &'static str, args: Vec<Arg>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let text = AssertSqlSafe(portable::statement(self.engine(), text).into_owned());
            Ok(match &mut self.inner {
                Inner::Sqlite(tx) => {
                    bind_all!(sqlx::query(text), args).execute(&mut **tx).await?.rows_affected()
                }
                Inner::Postgres(tx) => {
                    bind_all!(sqlx::query(text), args).execute(&mut **tx).await?.rows_affected()
                }
            })
        })
    }

    /// All rows of a statement, which must bound itself by `limit` or by its batch.
    ///
    /// # Errors
    /// As [`Tx::execute`], and when a row has not the shape asked for.
    pub async fn all<T: Record>(&mut self, text: &'static str, args: Vec<Arg>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.fetch(text, args, &mut |row| {
            all.push(T::read(row)?);
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// Hands each row of a statement on.
    fn fetch<'a>(
        &'a mut self,
        text: &'static str,
        args: Vec<Arg>,
        each: Each<'a>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let text = AssertSqlSafe(portable::statement(self.engine(), text).into_owned());
            match &mut self.inner {
                Inner::Sqlite(tx) => {
                    let mut found = bind_all!(sqlx::query(text), args).fetch(&mut **tx);
                    while let Some(row) = found.try_next().await? {
                        each(&Row::Sqlite(row))?;
                    }
                }
                Inner::Postgres(tx) => {
                    let mut found = bind_all!(sqlx::query(text), args).fetch(&mut **tx);
                    while let Some(row) = found.try_next().await? {
                        each(&Row::Postgres(row))?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Runs a statement for all rows of a batch at the place of its `rows(…)`, and gives the number of rows it changed.
    ///
    /// # Errors
    /// As [`Tx::execute`], and when the batch is not as wide as the statement says.
    pub fn execute_rows(
        &mut self,
        text: &'static str,
        args: Vec<Arg>,
        rows: Rows,
    ) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let shape = fitting(text, &args, &rows)?;
            let mut changed = 0;
            match &mut self.inner {
                Inner::Sqlite(tx) => {
                    for (text, args) in lists(&shape, &args, rows) {
                        let query = bind_all!(sqlx::query(text), args);
                        changed += query.execute(&mut **tx).await?.rows_affected();
                    }
                }
                Inner::Postgres(tx) => {
                    let query = bind_all!(sqlx::query(AssertSqlSafe(shape.postgres())), args);
                    changed = bind_columns!(query, &shape, rows).execute(&mut **tx).await?.rows_affected();
                }
            }
            Ok(changed)
        })
    }

    /// All rows that a statement gives for a batch. On SQLite long batches run in pieces: an order holds within a piece.
    ///
    /// # Errors
    /// As [`Tx::all`], and when the batch is not as wide as the statement says.
    pub async fn all_rows<T: Record>(
        &mut self,
        text: &'static str,
        args: Vec<Arg>,
        rows: Rows,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.fetch_rows(text, args, rows, &mut |row| {
            all.push(T::read(row)?);
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// Hands each row on that a statement gives for a batch.
    fn fetch_rows<'a>(
        &'a mut self,
        text: &'static str,
        args: Vec<Arg>,
        rows: Rows,
        each: Each<'a>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let shape = fitting(text, &args, &rows)?;
            match &mut self.inner {
                Inner::Sqlite(tx) => {
                    for (text, args) in lists(&shape, &args, rows) {
                        let mut found = bind_all!(sqlx::query(text), args).fetch(&mut **tx);
                        while let Some(row) = found.try_next().await? {
                            each(&Row::Sqlite(row))?;
                        }
                    }
                }
                Inner::Postgres(tx) => {
                    let query = bind_all!(sqlx::query(AssertSqlSafe(shape.postgres())), args);
                    let mut found = bind_columns!(query, &shape, rows).fetch(&mut **tx);
                    while let Some(row) = found.try_next().await? {
                        each(&Row::Postgres(row))?;
                    }
                }
            }
            Ok(())
        })
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`Tx::all`].
    pub async fn optional<T: Record>(&mut self, text: &'static str, args: Vec<Arg>) -> Result<Option<T>> {
        Ok(self.all(text, args).await?.into_iter().next())
    }

    /// The one row that there must be.
    ///
    /// # Errors
    /// As [`Tx::all`], and when there is none.
    pub async fn one<T: Record>(&mut self, text: &'static str, args: Vec<Arg>) -> Result<T> {
        self.optional(text, args).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Runs statements as they stand, without arguments: migrations.
    pub(crate) async fn raw(&mut self, text: &str) -> Result<()> {
        let text = AssertSqlSafe(text.to_owned());
        match &mut self.inner {
            Inner::Sqlite(tx) => sqlx::raw_sql(text).execute(&mut **tx).await.map(drop)?,
            Inner::Postgres(tx) => sqlx::raw_sql(text).execute(&mut **tx).await.map(drop)?,
        }
        Ok(())
    }

    /// Makes the changes durable and visible. Only after this returns may anyone be told of them.
    ///
    /// # Errors
    /// When the commit failed: nothing of the transaction happened.
    pub fn commit(self) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            match self.inner {
                Inner::Sqlite(tx) => tx.commit().await?,
                Inner::Postgres(tx) => tx.commit().await?,
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn the_wait_for_a_lock_and_the_wait_for_a_connection_are_two() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let (short, long) = (Duration::from_millis(50), Duration::from_secs(60));
        let for_a_lock = Options { lock_wait: short, wait: long, ..Options::default() };
        let ours = Db::open(&url, &for_a_lock).await.unwrap();
        let for_a_connection = Options { lock_wait: long, wait: short, ..Options::default() };
        let theirs = Db::open(&url, &for_a_connection).await.unwrap();
        let held = theirs.write(Tenancy::Every).await.unwrap();
        let began = Instant::now();
        assert!(ours.write(Tenancy::Every).await.err().unwrap().is_passing(), "another program has the lock");
        assert!(theirs.write(Tenancy::Every).await.err().unwrap().is_passing(), "the one writer is taken");
        assert!(began.elapsed() < Duration::from_secs(20));
        drop(held);
        theirs.write(Tenancy::Every).await.unwrap();
    }
}
