//! Opening a database and beginning transactions.

use std::str::FromStr;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use types::{Code, Error, TenantId};

use crate::failure::Result;
use crate::portable;
use crate::rows;
use crate::statement::{Connected, Open};
use crate::tx::Tx;
use crate::writer::Writer;

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
    Sqlite { write: Writer, read: SqlitePool },
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
                // That a step finds nothing to drop is no news to whoever starts the program.
                .options([("plan_cache_mode", "force_custom_plan"), ("client_min_messages", "warning")]);
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
            // Nothing can be written through it.
            let write = Writer::open(&connect, options.wait).await?;
            Ok(Pools::Sqlite { write, read: Self::readers(connect, options).await? })
        };
        let pools = open.await.map_err(|error: sqlx::Error| {
            Error::new(Code::Unavailable, format!("the database cannot be opened: {error}"))
                .hint("name its folder by --data, or its address by --database")
        })?;
        Ok(Self { pools })
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
        let write = Writer::open(&connect.clone().pragma("cache_size", WRITER_CACHE), options.wait).await?;
        let connect = connect.read_only(true).pragma("cache_size", READER_CACHE);
        Ok(Pools::Sqlite { write, read: Self::readers(connect, options).await? })
    }

    async fn readers(connect: SqliteConnectOptions, options: &Options) -> Result<SqlitePool, sqlx::Error> {
        SqlitePoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.wait)
            .test_before_acquire(false)
            .connect_with(connect)
            .await
    }

    pub(crate) fn sqlite_writer(&self) -> Option<&Writer> {
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

    /// Begins a transaction that only reads: one consistent look, whose statements all see the database as it is at the first
    /// of them.
    ///
    /// # Errors
    /// When no connection comes free in time.
    pub fn read(&self, tenancy: Tenancy) -> BoxFuture<'_, Result<Tx>> {
        Box::pin(async move {
            match &self.pools {
                Pools::Sqlite { read, .. } => {
                    Ok(Tx::begun(Open::Sqlite(Connected::Reading(read.begin().await?))))
                }
                Pools::Postgres(pool) => {
                    // Otherwise each statement would see what was committed since the last one, and sums would not agree.
                    let begin = "begin isolation level repeatable read, read only";
                    Self::begin_postgres(pool, tenancy, begin).await
                }
            }
        })
    }

    /// Begins a transaction that may write. Dropping it without [`Tx::commit`] undoes it.
    ///
    /// # Errors
    /// When the writer does not come free in time.
    pub fn write(&self, tenancy: Tenancy) -> BoxFuture<'_, Result<Tx>> {
        Box::pin(async move {
            match &self.pools {
                Pools::Sqlite { write, .. } => {
                    Ok(Tx::begun(Open::Sqlite(Connected::Writing(write.begin().await?))))
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
        Ok(Tx::begun(Open::Postgres(tx)))
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
                write.turn().await?.prepare(text).await?;
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
