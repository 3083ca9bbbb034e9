//! Rows as lines, and the sums over them. A line is the compact JSON array of a row's values in the order of its columns'
//! names, so it is the same whatever engine the row lies in.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use db::{Arg, Kind, Shape, Tx, args, record, sql};
use runtime::Runtime;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use types::{Error, Result, TenantId};

use super::lock::damaged;

/// A row's line, without its end.
pub(super) fn line(values: Vec<Arg>) -> Result<String> {
    let value = |arg: Arg| match arg {
        Arg::Int(Some(value)) => Value::from(value),
        Arg::Text(Some(text)) => Value::from(text.into_owned()),
        Arg::Bytes(Some(octets)) => Value::from(BASE64.encode(octets)),
        Arg::Bool(Some(value)) => Value::from(value),
        Arg::Real(Some(value)) => Value::from(value),
        Arg::Int(None) | Arg::Text(None) | Arg::Bytes(None) | Arg::Bool(None) | Arg::Real(None) => {
            Value::Null
        }
    };
    let values: Vec<Value> = values.into_iter().map(value).collect();
    serde_json::to_string(&values).map_err(Error::internal)
}

/// The values of a line, as its table's columns have them.
pub(super) fn read(shape: &Shape, line: &str) -> Result<Vec<Arg>> {
    let wrong = || damaged(&format!("a row of the table {}", shape.travel.table));
    let values: Vec<Value> = serde_json::from_str(line).map_err(|_| wrong())?;
    if values.len() != shape.columns.len() {
        return Err(wrong());
    }
    let arg = |(value, (_, kind)): (Value, &(String, Kind))| match (kind, value) {
        (Kind::Int, Value::Null) => Some(Arg::Int(None)),
        (Kind::Text, Value::Null) => Some(Arg::Text(None)),
        (Kind::Bytes, Value::Null) => Some(Arg::Bytes(None)),
        (Kind::Bool, Value::Null) => Some(Arg::Bool(None)),
        (Kind::Real, Value::Null) => Some(Arg::Real(None)),
        (Kind::Int, value) => value.as_i64().map(Arg::from),
        (Kind::Text, Value::String(text)) => Some(Arg::from(text)),
        (Kind::Bytes, Value::String(text)) => BASE64.decode(text).ok().map(Arg::from),
        (Kind::Bool, Value::Bool(value)) => Some(Arg::from(value)),
        (Kind::Real, value) => value.as_f64().map(Arg::from),
        (Kind::Text | Kind::Bytes | Kind::Bool, _) => None,
    };
    values.into_iter().zip(&shape.columns).map(arg).collect::<Option<_>>().ok_or_else(wrong)
}

/// A column's text in a row.
pub(super) fn text<'a>(shape: &Shape, row: &'a [Arg], column: &str) -> Option<&'a str> {
    match row.get(shape.place(column)?)? {
        Arg::Text(text) => text.as_deref(),
        Arg::Int(_) | Arg::Bytes(_) | Arg::Bool(_) | Arg::Real(_) => None,
    }
}

/// What a table holds of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TableSum {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over its rows' lines, each with its line feed, in the order of their keys.
    pub sha256: String,
}

/// A sum under way.
#[derive(Default)]
pub(super) struct Sum {
    hash: Sha256,
    pub(super) rows: u64,
}

impl Sum {
    pub(super) fn add(&mut self, line: &str) {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.rows += 1;
    }

    pub(super) fn end(self, table: &str) -> TableSum {
        TableSum { table: table.to_owned(), rows: self.rows, sha256: hex(&self.hash.finalize()) }
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// One digest over all tables: SHA-256 over a line `table rows sha256` for each.
pub(super) fn digest(tables: &[TableSum]) -> String {
    let lines: Vec<String> =
        tables.iter().map(|one| format!("{} {} {}\n", one.table, one.rows, one.sha256)).collect();
    hex(&Sha256::digest(lines.concat()))
}

/// The tenant's data keys: wrapped as they lie in the database, and their ids, which stand in their place in lines. So lines
/// are the same under every root key, and hold no key.
pub(super) struct Keys {
    pub(super) wrapped: HashMap<String, String>,
}

record! { struct Wrapped { wrapped: String } }

/// The columns in which a wrapped key stands.
const KEYED: [(&str, &str); 2] = [("tenant", "data_key"), ("former_data_key", "wrapped")];

impl Keys {
    /// Reads them.
    pub(super) async fn read(tx: &mut Tx, runtime: &Runtime, tenant: TenantId) -> Result<Self> {
        let wrapped: Vec<Wrapped> = tx
            .all(
                sql!(
                    "select data_key as wrapped from tenant where id = $1 \
                     union all select wrapped from former_data_key where tenant_id = $1 limit 1000"
                ),
                args![tenant],
            )
            .await?;
        let id = |Wrapped { wrapped }| {
            let key = runtime.vault.unwrap(&tenant.to_string(), &wrapped).map_err(Error::internal)?;
            Ok((wrapped, key.id().to_owned()))
        };
        let wrapped: HashMap<String, String> = wrapped.into_iter().map(id).collect::<Result<_>>()?;
        match wrapped.is_empty() {
            true => Err(Error::not_found("tenant")),
            false => Ok(Self { wrapped }),
        }
    }

    /// Puts ids in the place of wrapped keys.
    fn hide(&self, shape: &Shape, row: &mut [Arg]) {
        swap(shape, row, |wrapped| self.wrapped.get(wrapped).cloned());
    }
}

/// Puts something else in the place of what stands for a data key.
pub(super) fn swap(shape: &Shape, row: &mut [Arg], other: impl Fn(&str) -> Option<String>) {
    for (table, column) in KEYED {
        if shape.travel.table == table
            && let Some(new) = text(shape, row, column).and_then(&other)
            && let Some(place) = shape.place(column)
        {
            row[place] = Arg::from(new);
        }
    }
}

/// Hands the lines of a table's rows over, and gives their sum.
pub(super) async fn lines(
    tx: &mut Tx,
    shape: &Shape,
    (tenant, keys): (TenantId, &Keys),
    each: &mut (dyn FnMut(&str) -> Result<()> + Send),
) -> Result<TableSum> {
    let mut sum = Sum::default();
    let mut row = |mut values: Vec<Arg>| {
        keys.hide(shape, &mut values);
        let line = line(values)?;
        sum.add(&line);
        each(&line)
    };
    tx.walk(shape, tenant, &mut row).await?;
    Ok(sum.end(shape.travel.table))
}

/// The rows of all tables.
pub(super) async fn count(tx: &mut Tx, shapes: &[Shape], tenant: TenantId) -> Result<u64> {
    let mut rows = 0;
    for shape in shapes {
        rows += tx.count_travelling(shape, tenant).await?;
    }
    Ok(rows)
}

/// The sums of all tables. `each` is told the table of each row that was read.
pub(super) async fn sums(
    tx: &mut Tx,
    shapes: &[Shape],
    (tenant, keys): (TenantId, &Keys),
    each: &mut (dyn FnMut(&str) -> Result<()> + Send),
) -> Result<Vec<TableSum>> {
    let mut tables = Vec::with_capacity(shapes.len());
    for shape in shapes {
        tables.push(lines(tx, shape, (tenant, keys), &mut |_| each(shape.travel.table)).await?);
    }
    Ok(tables)
}
