//! SQLite's one writer.
//!
//! A second one would only wait for the first one's lock, and fail where waiting is not allowed. So there is one connection
//! that writes, and callers have it in turns, in the order in which they came. A pool would do the same, but asks a connection
//! whether it still answers before each use and behind it, on a task of its own: between the commits of a busy journal that
//! was a tenth of the time, and a connection to a file does not break while nobody looks.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Database, SqlSafeStr, Sqlite, SqliteConnection};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};
use tokio::time::timeout;

use crate::failure::Result;

type Manager = <Sqlite as Database>::TransactionManager;

/// The connection that writes. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Writer {
    /// `None` once it is closed.
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    wait: Duration,
}

impl Writer {
    /// Opens it; who has it keeps others waiting for at most `wait`.
    pub(crate) async fn open(connect: &SqliteConnectOptions, wait: Duration) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: Arc::new(Mutex::new(Some(connect.connect().await?))), wait })
    }

    /// The connection, when its turn has come.
    ///
    /// # Errors
    /// When that takes too long, or it is closed.
    pub(crate) async fn turn(&self) -> Result<Turn, sqlx::Error> {
        let turn = timeout(self.wait, self.connection.clone().lock_owned());
        let connection = turn.await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        OwnedMutexGuard::try_map(connection, Option::as_mut).map(Turn).map_err(|_| sqlx::Error::PoolClosed)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`Writer::turn`], and when another program holds the file's lock.
    pub(crate) async fn begin(&self) -> Result<Writing, sqlx::Error> {
        let mut turn = self.turn().await?;
        // Immediate: a deferred transaction that turns to writing fails at once when another writes, whatever the wait.
        Manager::begin(&mut turn, Some(AssertSqlSafe("begin immediate").into_sql_str())).await?;
        Ok(Writing { turn, open: true })
    }

    /// Closes it, when its turn has come.
    pub(crate) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            // What was not folded now is when the file is opened again.
            drop(connection.close().await);
        }
    }
}

/// The connection, for as long as this is held.
pub(crate) struct Turn(OwnedMappedMutexGuard<Option<SqliteConnection>, SqliteConnection>);

impl Deref for Turn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

/// A transaction of the writer. Dropping it undoes it.
pub(crate) struct Writing {
    turn: Turn,
    open: bool,
}

impl Writing {
    /// Makes it durable.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        Manager::commit(&mut self.turn).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // The engine's thread undoes it before it does anything else.
        if self.open {
            Manager::start_rollback(&mut self.turn);
        }
    }
}

impl Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.turn
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.turn
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::join_all;

    use crate::{Db, Options, Tenancy, args};

    #[tokio::test]
    async fn turns_come_in_order_and_end_with_the_closing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let db = Db::open(&url, &Options::default()).await.unwrap();
        let first = db.write(Tenancy::Every).await.unwrap();
        let came = Mutex::new(Vec::new());
        let others = join_all((0..3).map(|n| {
            let (db, came) = (&db, &came);
            async move {
                let tx = db.write(Tenancy::Every).await.unwrap();
                came.lock().unwrap().push(n);
                drop(tx);
            }
        }));
        let end = async {
            assert!(came.lock().unwrap().is_empty(), "somebody else writes");
            first.commit().await.unwrap();
        };
        tokio::join!(others, end);
        assert_eq!(*came.lock().unwrap(), [0, 1, 2]);
        // What was left open by those who went holds nobody up.
        let mut last = db.write(Tenancy::Every).await.unwrap();
        last.execute("create table t (id integer primary key)", args![]).await.unwrap();
        last.commit().await.unwrap();
        db.close().await;
        assert!(db.write(Tenancy::Every).await.err().unwrap().is_passing());
    }
}
