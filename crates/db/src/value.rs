//! Values in, rows out.

use std::borrow::Cow;

use serde::Serialize;
use sqlx::Row as _;
use types::{Id, Timestamp};

use crate::failure::{Failure, Result};

/// A value for a placeholder. A null keeps its column type, which PostgreSQL wants to know.
#[derive(Debug, Clone)]
pub enum Arg {
    /// `bigint`
    Int(Option<i64>),
    /// `text`
    Text(Option<Cow<'static, str>>),
    /// `bytea`
    Bytes(Option<Vec<u8>>),
    /// `boolean`
    Bool(Option<bool>),
    /// `double precision`
    Real(Option<f64>),
}

impl Arg {
    /// A text that stands in the program: it need not be copied.
    pub fn word(word: &'static str) -> Self {
        Self::Text(Some(Cow::Borrowed(word)))
    }

    /// A batch for `json_rows`: the rows as one JSON text.
    ///
    /// # Errors
    /// When a row cannot be JSON, such as a map whose keys are no texts.
    pub fn json<T: Serialize + ?Sized>(rows: &T) -> Result<Self> {
        serde_json::to_string(rows)
            .map(Self::from)
            .map_err(|error| sqlx::Error::Encode(Box::new(error)).into())
    }
}

macro_rules! into {
    ($($name:ident $variant:ident($type:ty) $convert:expr;)*) => {
        /// The value, where it is one of the column's type; null otherwise.
        impl Arg {$(
            pub(crate) fn $name(self) -> Option<$type> {
                match self {
                    Self::$variant(value) => value.map($convert),
                    _ => None,
                }
            }
        )*}
    };
}

into! {
    into_int Int(i64) std::convert::identity;
    into_text Text(String) Cow::into_owned;
    into_bytes Bytes(Vec<u8>) std::convert::identity;
    into_bool Bool(bool) std::convert::identity;
    into_real Real(f64) std::convert::identity;
}

macro_rules! from {
    ($($type:ty => $variant:ident($value:ident) $convert:expr;)*) => {$(
        impl From<$type> for Arg {
            fn from($value: $type) -> Self { Self::$variant(Some($convert)) }
        }
        impl From<Option<$type>> for Arg {
            fn from(value: Option<$type>) -> Self { Self::$variant(value.map(|$value| $convert)) }
        }
    )*};
}

from! {
    i64 => Int(value) value;
    i32 => Int(value) i64::from(value);
    u32 => Int(value) i64::from(value);
    u16 => Int(value) i64::from(value);
    u8 => Int(value) i64::from(value);
    Timestamp => Int(value) value.unix_ms();
    String => Text(value) Cow::Owned(value);
    &String => Text(value) Cow::Owned(value.clone());
    &str => Text(value) Cow::Owned(value.to_owned());
    Vec<u8> => Bytes(value) value;
    bool => Bool(value) value;
    f64 => Real(value) value;
}

impl<K> From<Id<K>> for Arg {
    fn from(id: Id<K>) -> Self {
        Self::Int(Some(id.raw()))
    }
}

impl<K> From<Option<Id<K>>> for Arg {
    fn from(id: Option<Id<K>>) -> Self {
        Self::Int(id.map(Id::raw))
    }
}

/// A row that a statement gave.
pub enum Row {
    #[doc(hidden)]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[doc(hidden)]
    Postgres(sqlx::postgres::PgRow),
}

impl Row {
    /// A column's value.
    ///
    /// # Errors
    /// When the row has no such column, or it holds another type or an unexpected null.
    pub fn get<T: Column>(&self, name: &str) -> Result<T> {
        T::read(self, name)
    }
}

/// A type that a column can be read as.
pub trait Column: Sized {
    /// Reads the named column.
    ///
    /// # Errors
    /// When the row has no such column, or it holds another type or an unexpected null.
    fn read(row: &Row, name: &str) -> Result<Self>;
}

macro_rules! native {
    ($($type:ty)*) => {$(
        impl Column for $type {
            fn read(row: &Row, name: &str) -> Result<Self> {
                Ok(match row {
                    Row::Sqlite(row) => row.try_get(name)?,
                    Row::Postgres(row) => row.try_get(name)?,
                })
            }
        }
    )*};
}

native! { i64 String Vec<u8> bool f64 Option<i64> Option<String> Option<Vec<u8>> Option<bool> Option<f64> }

macro_rules! narrow {
    ($($type:ty)*) => {$(
        impl Column for $type {
            fn read(row: &Row, name: &str) -> Result<Self> {
                let wide = i64::read(row, name)?;
                Self::try_from(wide).map_err(|error| Failure::decode(name, error))
            }
        }
        impl Column for Option<$type> {
            fn read(row: &Row, name: &str) -> Result<Self> {
                Option::<i64>::read(row, name)?
                    .map(|wide| <$type>::try_from(wide).map_err(|error| Failure::decode(name, error)))
                    .transpose()
            }
        }
    )*};
}

narrow! { u8 u16 u32 i32 }

impl<K> Column for Id<K> {
    fn read(row: &Row, name: &str) -> Result<Self> {
        i64::read(row, name).map(Self::from_raw)
    }
}

impl<K> Column for Option<Id<K>> {
    fn read(row: &Row, name: &str) -> Result<Self> {
        Ok(Option::<i64>::read(row, name)?.map(Id::from_raw))
    }
}

impl Column for Timestamp {
    fn read(row: &Row, name: &str) -> Result<Self> {
        i64::read(row, name).map(Self::from_unix_ms)
    }
}

impl Column for Option<Timestamp> {
    fn read(row: &Row, name: &str) -> Result<Self> {
        Ok(Option::<i64>::read(row, name)?.map(Timestamp::from_unix_ms))
    }
}

/// A shape that a row can be read as; [`record!`](crate::record) writes it.
pub trait Record: Sized + Send {
    /// Reads the row.
    ///
    /// # Errors
    /// When a column is missing or holds another type.
    fn read(row: &Row) -> Result<Self>;
}
