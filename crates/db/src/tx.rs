//! Transactions.

use futures::future::BoxFuture;

use crate::ahead::Ahead;
use crate::failure::Result;
use crate::rows::Rows;
use crate::statement::{Each, Open, fitting};
use crate::value::{Arg, Record};

/// A transaction. Dropping it without [`Tx::commit`] undoes it.
///
/// What waits for an engine is boxed: an engine's futures are types of great depth, and would be checked anew in every future
/// that has them within, which took most of the time of compiling their callers.
pub struct Tx {
    stands: Stands,
}

/// Where the engine's transaction is.
enum Stands {
    Here(Open),
    /// With the thread that runs what was left to it.
    Ahead(Ahead),
    /// A statement that was left failed.
    Undone,
}

impl Tx {
    pub(crate) fn begun(open: Open) -> Self {
        Self { stands: Stands::Here(open) }
    }

    /// The engine's transaction, when everything that was left has been run.
    pub(crate) async fn here(&mut self) -> Result<&mut Open> {
        if !matches!(self.stands, Stands::Here(_))
            && let Stands::Ahead(ahead) = std::mem::replace(&mut self.stands, Stands::Undone)
        {
            self.stands = Stands::Here(ahead.join().await?);
        }
        match &mut self.stands {
            Stands::Here(open) => Ok(open),
            Stands::Ahead(_) | Stands::Undone => Err(undone()),
        }
    }

    /// Runs a statement and gives the number of rows it changed.
    ///
    /// # Errors
    /// A constraint, a full disk, a lock not had in time; what an earlier [`Tx::leave_rows`] failed for.
    pub fn execute(&mut self, text: &'static str, args: Vec<Arg>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move { self.here().await?.execute(text, args).await })
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

    fn fetch<'a>(
        &'a mut self,
        text: &'static str,
        args: Vec<Arg>,
        each: Each<'a>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.here().await?.fetch(text, args, each).await })
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
            self.here().await?.execute_rows(&shape, args, rows).await
        })
    }

    /// As [`Tx::execute_rows`], but without waiting: the statement is run after those before it, while the caller goes on.
    ///
    /// That it failed is told by the next call that waits, at the latest by [`Tx::commit`]; nothing behind it is run then.
    /// So a batch computes its next rows while the engine writes the last ones.
    ///
    /// # Errors
    /// When the batch is not as wide as the statement says, or the transaction is undone already.
    pub fn leave_rows(
        &mut self,
        text: &'static str,
        args: Vec<Arg>,
        rows: Rows,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let shape = fitting(text, &args, &rows)?;
            self.stands = match std::mem::replace(&mut self.stands, Stands::Undone) {
                Stands::Here(open) => Stands::Ahead(Ahead::start(open)),
                elsewhere => elsewhere,
            };
            match &self.stands {
                Stands::Ahead(ahead) if ahead.leave((shape, args, rows)).await => Ok(()),
                // It failed at something before: say at what.
                Stands::Ahead(_) => self.here().await.and(Err(undone())),
                Stands::Here(_) | Stands::Undone => Err(undone()),
            }
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

    fn fetch_rows<'a>(
        &'a mut self,
        text: &'static str,
        args: Vec<Arg>,
        rows: Rows,
        each: Each<'a>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let shape = fitting(text, &args, &rows)?;
            self.here().await?.fetch_rows(&shape, args, rows, each).await
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
        self.here().await?.raw(text).await
    }

    /// Makes the changes durable and visible. Only after this returns may anyone be told of them.
    ///
    /// # Errors
    /// When the commit failed, or a statement that was left: nothing of the transaction happened.
    pub fn commit(mut self) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            self.here().await?;
            match self.stands {
                Stands::Here(open) => open.commit().await,
                Stands::Ahead(_) | Stands::Undone => Err(undone()),
            }
        })
    }
}

/// Nothing can be done in a transaction of which a statement has failed unseen.
fn undone() -> crate::Failure {
    sqlx::Error::Protocol("a statement of this transaction failed before, so nothing of it happens".into())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, Options, Tenancy, args};

    crate::record! { struct Sums { n: i64, rows: i64 } }

    const INSERT: &str = "insert into t (id, n) select r.id, r.n from rows(id bigint, n bigint) r";
    const DOUBLE: &str = "update t set n = t.n * 2 from rows(id bigint) r where t.id = r.id";

    async fn fresh() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let db = Db::open(&url, &Options::default()).await.unwrap();
        let mut tx = db.write(Tenancy::Every).await.unwrap();
        tx.raw("create table t (id integer primary key, n integer)").await.unwrap();
        tx.commit().await.unwrap();
        (folder, db)
    }

    fn rows(ids: std::ops::Range<i64>) -> Rows {
        ids.map(|id| [id.into(), 1_i64.into()]).collect()
    }

    async fn sums(db: &Db) -> (i64, i64) {
        let mut tx = db.read(Tenancy::Every).await.unwrap();
        let sums: Sums =
            tx.one("select coalesce(sum(n), 0) as n, count(*) as rows from t", vec![]).await.unwrap();
        (sums.n, sums.rows)
    }

    #[tokio::test]
    async fn what_is_left_runs_in_order_and_before_what_is_asked() {
        let (_folder, db) = fresh().await;
        let mut tx = db.write(Tenancy::Every).await.unwrap();
        let mut expected = 0;
        // More than may wait, so that the caller waits for places.
        for batch in 0..40 {
            tx.leave_rows(INSERT, args![], rows(batch * 100..batch * 100 + 100)).await.unwrap();
            tx.leave_rows(DOUBLE, args![], (batch * 100..batch * 100 + 50).map(|id| [id.into()]).collect())
                .await
                .unwrap();
            expected += 150;
        }
        let seen: Sums = tx.one("select sum(n) as n, count(*) as rows from t", vec![]).await.unwrap();
        assert_eq!((seen.n, seen.rows), (expected, 4_000), "a question sees all that was left before it");
        tx.leave_rows(INSERT, args![], rows(9_000..9_001)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(sums(&db).await, (expected + 1, 4_001));
    }

    #[tokio::test]
    async fn what_was_left_and_failed_is_told_and_nothing_happened() {
        let (_folder, db) = fresh().await;
        // By the commit, by a question, and by what is left after it.
        for told_by in 0..3 {
            let mut tx = db.write(Tenancy::Every).await.unwrap();
            tx.leave_rows(INSERT, args![], rows(0..10)).await.unwrap();
            tx.leave_rows(INSERT, args![], rows(5..15)).await.unwrap();
            let failure = match told_by {
                0 => tx.commit().await.unwrap_err(),
                1 => {
                    let asked = tx.one::<Sums>("select sum(n) as n, count(*) as rows from t", vec![]).await;
                    let failure = asked.err().unwrap();
                    assert!(tx.execute("delete from t", vec![]).await.is_err(), "it is undone for good");
                    assert!(tx.commit().await.is_err());
                    failure
                }
                _ => {
                    let failure = loop {
                        tokio::task::yield_now().await;
                        if let Err(failure) = tx.leave_rows(INSERT, args![], rows(20..21)).await {
                            break failure;
                        }
                    };
                    assert!(tx.commit().await.is_err());
                    failure
                }
            };
            assert!(failure.is_unique(), "{failure}");
            assert_eq!(sums(&db).await, (0, 0));
        }
    }

    #[tokio::test]
    async fn a_dropped_transaction_undoes_what_was_left() {
        let (_folder, db) = fresh().await;
        let mut tx = db.write(Tenancy::Every).await.unwrap();
        tx.leave_rows(INSERT, args![], rows(0..1_000)).await.unwrap();
        drop(tx);
        let tx = db.write(Tenancy::Every).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(sums(&db).await, (0, 0));
        let mut tx = db.write(Tenancy::Every).await.unwrap();
        assert!(
            tx.leave_rows(INSERT, args![], [[1_i64.into()]].into_iter().collect()).await.is_err(),
            "too narrow"
        );
        tx.leave_rows(INSERT, args![], rows(0..1)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(sums(&db).await, (1, 1));
    }
}
