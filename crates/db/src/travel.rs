//! What takes all rows of one tenant from one database to another. Each crate says of each of its tables how it travels, and
//! these statements are made of that; so a table that comes new is served by its line there.

use types::TenantId;

use crate::engine::{Db, Engine};
use crate::failure::Result;
use crate::statement::Open;
use crate::tx::Tx;
use crate::value::{Arg, Row};
use crate::{Tenancy, args, record};

/// How the rows of a table travel with their tenant.
#[derive(Debug, Clone, Copy)]
pub struct Travel {
    /// The table.
    pub table: &'static str,
    /// What of it travels.
    pub how: How,
    /// Which of its rows are of tenant `$1`.
    whose: &'static str,
}

/// What of a table travels.
#[derive(Debug, Clone, Copy)]
pub enum How {
    /// All rows as they are.
    Whole,
    /// All rows, with some columns as these say.
    But(&'static [Told]),
    /// No row: why.
    Stays(&'static str),
}

/// A column that is told otherwise than it lies in the table.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// The column.
    pub column: &'static str,
    /// What is told instead, in the words that both engines have.
    pub as_sql: &'static str,
    /// Why.
    pub why: &'static str,
}

impl Travel {
    /// A table whose rows travel as they are.
    pub const fn whole(table: &'static str) -> Self {
        Self { table, how: How::Whole, whose: "tenant_id = $1" }
    }

    /// A table of which some columns are told otherwise.
    pub const fn but(table: &'static str, told: &'static [Told]) -> Self {
        Self { table, how: How::But(told), whose: "tenant_id = $1" }
    }

    /// A table whose rows stay.
    pub const fn stays(table: &'static str, why: &'static str) -> Self {
        Self { table, how: How::Stays(why), whose: "tenant_id = $1" }
    }

    /// Its rows are found otherwise than by a column `tenant_id`: the condition, with the tenant as `$1`.
    #[must_use]
    pub const fn found_by(mut self, whose: &'static str) -> Self {
        self.whose = whose;
        self
    }

    /// Whether rows travel.
    pub const fn travels(&self) -> bool {
        !matches!(self.how, How::Stays(_))
    }
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `bigint`
    Int,
    /// `text`
    Text,
    /// `bytea`
    Bytes,
    /// `boolean`
    Bool,
    /// `double precision`
    Real,
}

impl Kind {
    /// The name that migrations use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Int => "bigint",
            Self::Text => "text",
            Self::Bytes => "bytea",
            Self::Bool => "boolean",
            Self::Real => "double precision",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Int, Self::Text, Self::Bytes, Self::Bool, Self::Real]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    fn read(self, row: &Row, name: &str) -> Result<Arg> {
        Ok(match self {
            Self::Int => Arg::Int(row.get(name)?),
            Self::Text => Arg::Text(row.get::<Option<String>>(name)?.map(Into::into)),
            Self::Bytes => Arg::Bytes(row.get(name)?),
            Self::Bool => Arg::Bool(row.get(name)?),
            Self::Real => Arg::Real(row.get(name)?),
        })
    }
}

/// A table that travels, with its columns as the schema has them: the same on both engines.
#[derive(Debug, Clone)]
pub struct Shape {
    /// How it travels.
    pub travel: Travel,
    /// Its columns by name, in the order of their names.
    pub columns: Vec<(String, Kind)>,
    /// The columns of its primary key, in their order.
    pub key: Vec<String>,
    /// The columns of which a value is there once in the whole database, whoever's row it is.
    pub unique: Vec<String>,
}

impl Shape {
    /// Where a column stands in a row.
    pub fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|(name, _)| name == column)
    }

    fn told(&self, column: &str) -> String {
        let table = self.travel.table;
        let other = match self.travel.how {
            How::But(told) => told.iter().find(|told| told.column == column),
            How::Whole | How::Stays(_) => None,
        };
        match other {
            Some(told) => format!("{} as {column}", told.as_sql),
            None => format!("{table}.{column}"),
        }
    }

    fn select(&self, engine: Engine) -> String {
        let table = self.travel.table;
        let columns: Vec<String> = self.columns.iter().map(|(name, _)| self.told(name)).collect();
        let order: Vec<String> = self
            .key
            .iter()
            .map(|name| match (engine, self.place(name).map(|at| self.columns[at].1)) {
                // As SQLite compares: octet by octet.
                (Engine::Postgres, Some(Kind::Text)) => format!("{table}.{name} collate \"C\""),
                _ => format!("{table}.{name}"),
            })
            .collect();
        let whose = self.travel.whose;
        format!("select {} from {table} where {whose} order by {}", columns.join(", "), order.join(", "))
    }

    /// An insertion of so many rows.
    fn insert(&self, rows: usize) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let width = names.len();
        let row = |at: usize| {
            let binds: Vec<String> = (1..=width).map(|column| format!("${}", at * width + column)).collect();
            format!("({})", binds.join(", "))
        };
        let values: Vec<String> = (0..rows).map(row).collect();
        format!("insert into {} ({}) values {}", self.travel.table, names.join(", "), values.join(", "))
    }
}

/// What is done with each row that is told; a refusal ends the walk.
pub type EachRow<'a> = &'a mut (dyn FnMut(Vec<Arg>) -> types::Result<()> + Send);

/// Values that one statement binds; SQLite takes 32,766 at most.
const BINDS_MAX: usize = 8_192;

record! { struct KeyColumn { table_name: String, column_name: String } }

const SQLITE_KEYS: &str = "select m.name as table_name, c.name as column_name from sqlite_master m \
    join pragma_table_info(m.name) c on true where m.type = 'table' and m.name not like 'sqlite_%' and c.pk > 0 \
    order by m.name, c.pk";

const POSTGRES_KEYS: &str = "select k.table_name::text, k.column_name::text from information_schema.table_constraints t \
    join information_schema.key_column_usage k on k.constraint_name = t.constraint_name \
    and k.constraint_schema = t.constraint_schema and k.table_name = t.table_name \
    where t.constraint_type = 'PRIMARY KEY' and t.table_schema = current_schema() \
    order by k.table_name, k.ordinal_position";

const SQLITE_UNIQUE: &str = "select m.name as table_name, c.name as column_name from sqlite_master m \
    join pragma_index_list(m.name) i on true join pragma_index_info(i.name) c on true \
    where m.type = 'table' and i.\"unique\" = 1 and i.partial = 0 \
    and (select count(*) from pragma_index_info(i.name)) = 1 order by m.name, c.name";

const POSTGRES_UNIQUE: &str = "select t.relname::text as table_name, a.attname::text as column_name from pg_index i \
    join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace \
    join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0] \
    where i.indisunique and i.indnatts = 1 and i.indpred is null and n.nspname = current_schema() \
    order by t.relname, a.attname";

impl Db {
    /// The tables that travel, in the order given, with their columns and keys as the schema has them.
    ///
    /// # Errors
    /// When the engine does not answer, or has no such table.
    pub async fn shapes(&self, travels: &[Travel]) -> Result<Vec<Shape>> {
        let schema = self.schema().await?;
        let mut tx = self.read(Tenancy::Every).await?;
        let (keys, unique) = match self.engine() {
            Engine::Sqlite => (SQLITE_KEYS, SQLITE_UNIQUE),
            Engine::Postgres => (POSTGRES_KEYS, POSTGRES_UNIQUE),
        };
        let keys: Vec<KeyColumn> = tx.all(keys, args![]).await?;
        let unique: Vec<KeyColumn> = tx.all(unique, args![]).await?;
        let shape = |travel: &Travel| {
            let columns: Vec<(String, Kind)> = schema
                .iter()
                .filter(|column| column.table_name == travel.table)
                .filter_map(|column| Some((column.column_name.clone(), Kind::named(&column.type_name)?)))
                .collect();
            let of = |all: &[KeyColumn]| -> Vec<String> {
                let of = all.iter().filter(|column| column.table_name == travel.table);
                of.map(|column| column.column_name.clone()).collect()
            };
            let (key, mut unique) = (of(&keys), of(&unique));
            if let [alone] = key.as_slice() {
                unique.push(alone.clone());
            }
            unique.sort_unstable();
            unique.dedup();
            unique.retain(|column| column != "tenant_id");
            match columns.is_empty() || key.is_empty() {
                true => Err(sqlx::Error::ColumnNotFound(travel.table.to_owned()).into()),
                false => Ok(Shape { travel: *travel, columns, key, unique }),
            }
        };
        travels.iter().filter(|travel| travel.travels()).map(shape).collect()
    }
}

impl Tx {
    /// Hands a tenant's rows of a table over, one after the other in the order of their keys, each with its values in the order
    /// of the shape's columns. Only one row is in memory.
    ///
    /// # Errors
    /// When the database refuses; what `each` gives.
    pub async fn walk(&mut self, shape: &Shape, tenant: TenantId, each: EachRow<'_>) -> types::Result<()> {
        let open: &mut Open = self.here().await?;
        let text = shape.select(open.engine());
        let mut refused = None;
        let mut read = |row: &Row| {
            let values = shape.columns.iter().map(|(name, kind)| kind.read(row, name));
            each(values.collect::<Result<_>>()?).map_err(|error| {
                refused = Some(error);
                sqlx::Error::Protocol("the walk was ended".into()).into()
            })
        };
        let walked = open.stream(text, args![tenant], &mut read).await;
        match refused {
            Some(error) => Err(error),
            None => Ok(walked?),
        }
    }

    /// How many rows of a tenant a table would tell.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn count_travelling(&mut self, shape: &Shape, tenant: TenantId) -> Result<u64> {
        let Travel { table, whose, .. } = shape.travel;
        let text = format!("select count(*) as n from {table} where {whose}");
        let n = self.here().await?.number(text, args![tenant]).await?;
        Ok(n.unwrap_or(0).unsigned_abs())
    }

    /// Inserts rows as [`Tx::walk`] gave them.
    ///
    /// # Errors
    /// When the database refuses: a row that is there already, or one that another of its references is not there for.
    pub async fn put(&mut self, shape: &Shape, rows: Vec<Vec<Arg>>) -> Result<()> {
        let open = self.here().await?;
        let at_once = (BINDS_MAX / shape.columns.len().max(1)).max(1);
        let mut rows = rows.into_iter();
        loop {
            let batch: Vec<Vec<Arg>> = rows.by_ref().take(at_once).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let text = shape.insert(batch.len());
            open.run(text, batch.into_iter().flatten().collect()).await?;
        }
    }

    /// Of some values, one that a column has already, whoever's row it is.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn taken(
        &mut self,
        table: &str,
        column: (&str, Kind),
        values: Vec<Arg>,
    ) -> Result<Option<Arg>> {
        let (name, kind) = column;
        let mut values = values.into_iter();
        loop {
            let batch: Vec<Arg> = values.by_ref().take(BINDS_MAX).collect();
            if batch.is_empty() {
                return Ok(None);
            }
            let binds: Vec<String> = (1..=batch.len()).map(|at| format!("${at}")).collect();
            let text = format!("select {name} from {table} where {name} in ({}) limit 1", binds.join(", "));
            let mut found = None;
            let open = self.here().await?;
            open.stream(text, batch, &mut |row| {
                found = Some(kind.read(row, name)?);
                Ok(())
            })
            .await?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
}
