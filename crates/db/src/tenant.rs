//! What takes all rows of one tenant away. These statements are made of the names of the tables that hold tenants' rows, which
//! each crate lists, so a table that comes new is served by its line there.

use sqlx::{Column as _, Row as _};
use types::TenantId;

use crate::args;
use crate::engine::{Db, Engine};
use crate::failure::Result;
use crate::tx::Tx;

/// Blocks of PostgreSQL that one window looks through.
const BLOCKS: i64 = 64;
/// One window of a table's walk.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Rows that were deleted.
    pub deleted: u64,
    /// Where the next window begins; nothing at the table's end.
    pub next: Option<i64>,
}

impl Tx {
    /// Deletes a tenant's rows from one window of a table, so that a transaction stays short however large the table is and
    /// whatever its indexes. `from` is 0 at first, then the last window's `next`.
    ///
    /// # Errors
    /// When the database refuses, also where rows of another table refer to these.
    pub async fn delete_window(
        &mut self,
        table: &str,
        tenant: TenantId,
        from: i64,
        rows: i64,
    ) -> Result<Window> {
        let open = self.here().await?;
        match open.engine() {
            Engine::Sqlite => {
                let reach = format!(
                    "select max(r) as n from (select rowid as r from {table} where rowid > $1 order by rowid limit $2)"
                );
                let Some(last) = open.number(reach, args![from, rows]).await? else {
                    return Ok(Window { deleted: 0, next: None });
                };
                let text = format!("delete from {table} where rowid > $1 and rowid <= $2 and tenant_id = $3");
                let deleted = open.run(text, args![from, last, tenant]).await?;
                Ok(Window { deleted, next: Some(last) })
            }
            Engine::Postgres => {
                let size = format!(
                    "select (pg_relation_size('{table}') / current_setting('block_size')::bigint)::bigint as n"
                );
                let blocks = open.number(size, args![]).await?.unwrap_or(0);
                let until = from + BLOCKS;
                let text = format!(
                    "delete from {table} where ctid >= '({from},0)'::tid and ctid < '({until},0)'::tid and tenant_id = $1"
                );
                let deleted = open.run(text, args![tenant]).await?;
                Ok(Window { deleted, next: (until < blocks).then_some(until) })
            }
        }
    }

    /// Deletes all of a tenant's rows that are left in a table, which are few.
    ///
    /// # Errors
    /// As [`Tx::delete_window`].
    pub async fn delete_rest(&mut self, table: &str, tenant: TenantId) -> Result<u64> {
        let text = format!("delete from {table} where tenant_id = $1");
        self.here().await?.run(text, args![tenant]).await
    }

    /// How many rows a tenant has in a table.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn count_rows(&mut self, table: &str, tenant: TenantId) -> Result<i64> {
        let text = format!("select count(*) as n from {table} where tenant_id = $1");
        Ok(self.here().await?.number(text, args![tenant]).await?.unwrap_or(0))
    }

    /// Lets SQLite write zeros over what is deleted on this connection; PostgreSQL's own upkeep gives the space away.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn overwrite_deleted(&mut self, yes: bool) -> Result<()> {
        let open = self.here().await?;
        match open.engine() {
            Engine::Sqlite => {
                open.raw(if yes { "pragma secure_delete = on" } else { "pragma secure_delete = off" }).await
            }
            Engine::Postgres => Ok(()),
        }
    }
}

impl Db {
    /// Writes a SQLite file anew without what was deleted, unless it has more octets than given, and empties its log; whether
    /// it did. On PostgreSQL that is the server's own upkeep.
    ///
    /// # Errors
    /// When the database refuses, such as for want of space.
    pub async fn rewrite(&self, bytes_max: i64) -> Result<bool> {
        let Some(writer) = self.sqlite_writer() else { return Ok(false) };
        let mut writer = writer.turn().await?;
        let size = sqlx::query("select page_count * page_size as n from pragma_page_count, pragma_page_size")
            .fetch_one(&mut *writer)
            .await?;
        let rewritten = size.try_get::<i64, _>(size.column(0).name())? <= bytes_max;
        if rewritten {
            // The copy that it makes goes to the disk: in memory it would be as large as the file.
            sqlx::query("pragma temp_store = file").execute(&mut *writer).await?;
            let done = sqlx::query("vacuum").execute(&mut *writer).await;
            sqlx::query("pragma temp_store = memory").execute(&mut *writer).await?;
            done?;
        }
        // A reader that is in the middle of something keeps the log; the next try finds it gone.
        sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut *writer).await?;
        Ok(rewritten)
    }
}
