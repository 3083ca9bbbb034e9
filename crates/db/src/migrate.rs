//! Migrations and the schema that results.

use types::{Code, Error};

use crate::engine::{Db, Engine, Tenancy};
use crate::failure::Result;
use crate::portable;
use crate::tx::Tx;
use crate::{args, record, sql};

/// One step of the schema, written for PostgreSQL in the portable subset. Steps are only ever added, and run in the order given.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// `crate/0001_what`; unique for ever.
    pub name: &'static str,
    /// Its statements.
    pub text: &'static str,
}

record! {
    struct Applied { name: String, text_hash: i64 }
}

record! {
    /// A column of a table, as the engine reports it; the two engines' reports are made alike.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Table {
        /// The table's name.
        pub table_name: String,
        /// The column's name.
        pub column_name: String,
        /// `bigint`, `text`, `bytea`, `boolean` or `double precision`.
        pub type_name: String,
        /// Whether it refuses null.
        pub required: bool,
    }
}

record! { struct Name { name: String } }

/// The lock that lets one node migrate while the others wait; any number that nobody else uses.
const POSTGRES_LOCK: &str = "select pg_advisory_xact_lock(7385021)";

impl Db {
    /// Brings the schema to the given steps and gives the names of those it ran. All of them, or none.
    ///
    /// # Errors
    /// [`Code::Conflict`] when an applied step's text has changed, or the database has steps this program does not
    /// know (a newer version ran here).
    pub async fn migrate(&self, steps: &[Migration]) -> types::Result<Vec<&'static str>> {
        let mut tx = self.write(Tenancy::Every).await?;
        if self.engine() == Engine::Postgres {
            tx.raw(POSTGRES_LOCK).await?;
        }
        tx.raw(&portable::migration(
            self.engine(),
            "create table if not exists schema_migration (name text primary key, text_hash bigint not null)",
        ))
        .await?;
        let applied: Vec<Applied> = tx
            .all(sql!("select name, text_hash from schema_migration order by name limit 10000"), args![])
            .await?;
        for known in &applied {
            let step = steps.iter().find(|step| step.name == known.name).ok_or_else(|| {
                Error::new(
                    Code::Conflict,
                    format!("the database has the migration {}, which this version does not know", known.name),
                )
                .hint("a newer version has run on this database; start that one, or restore a backup from before it")
            })?;
            if fingerprint(step.text) != known.text_hash {
                return Err(Error::new(
                    Code::Conflict,
                    format!("the migration {} was changed after it was applied", step.name),
                )
                .hint("migrations are only ever added; put the change into a new one"));
            }
        }
        let mut ran = Vec::new();
        for step in steps.iter().filter(|step| applied.iter().all(|known| known.name != step.name)) {
            tx.raw(&portable::migration(self.engine(), step.text)).await?;
            tx.execute(
                sql!("insert into schema_migration (name, text_hash) values ($1, $2)"),
                args![step.name, fingerprint(step.text)],
            )
            .await?;
            ran.push(step.name);
        }
        if self.engine() == Engine::Postgres && !ran.is_empty() {
            lock_tenants_apart(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(ran)
    }

    /// The columns of every table, in order, for the test that compares the engines and for `switchboard doctor`.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn schema(&self) -> Result<Vec<Table>> {
        let mut tx = self.read(Tenancy::Every).await?;
        match self.engine() {
            Engine::Sqlite => tx.all(SQLITE_SCHEMA, args![]).await,
            Engine::Postgres => tx.all(POSTGRES_SCHEMA, args![]).await,
        }
    }
}

// A primary key column of SQLite may report itself nullable though its rows never are.
const SQLITE_SCHEMA: &str = "select m.name as table_name, c.name as column_name, \
    case lower(c.type) when 'integer' then 'bigint' when 'blob' then 'bytea' when 'real' then 'double precision' else lower(c.type) end as type_name, \
    (c.\"notnull\" = 1 or c.pk > 0) as required \
    from sqlite_master m join pragma_table_info(m.name) c on true \
    where m.type = 'table' and m.name not like 'sqlite_%' order by m.name, c.name";

const POSTGRES_SCHEMA: &str = "select c.table_name::text, c.column_name::text, c.data_type::text as type_name, \
    (c.is_nullable = 'NO') as required from information_schema.columns c \
    where c.table_schema = current_schema() order by c.table_name collate \"C\", c.column_name collate \"C\"";

const TENANT_TABLES: &str = "select table_name::text as name from information_schema.columns \
    where table_schema = current_schema() and column_name = 'tenant_id'";

/// Row-level security beneath every table that has a tenant: a statement that forgot its tenant finds nothing. Forced,
/// because the program owns its tables and owners are otherwise exempt.
async fn lock_tenants_apart(tx: &mut Tx) -> Result<()> {
    let tables: Vec<Name> = tx.all(TENANT_TABLES, args![]).await?;
    for Name { name } in tables {
        tx.raw(&format!(
            "alter table {name} enable row level security; alter table {name} force row level security; \
             drop policy if exists tenant on {name}; create policy tenant on {name} using ( \
             current_setting('switchboard.tenant', true) = 'every' or \
             tenant_id = nullif(current_setting('switchboard.tenant', true), 'every')::bigint)"
        ))
        .await?;
    }
    Ok(())
}

/// A fingerprint of a migration's text (FNV-1a, 64 bits): to notice an edit, not an attack.
fn fingerprint(text: &str) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for octet in text.bytes().filter(|octet| !octet.is_ascii_whitespace()) {
        hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    }
    hash.cast_signed()
}
