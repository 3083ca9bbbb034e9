#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! - [`Db`], [`Tenancy`]: opening and beginning, `engine.rs`
//! - SQLite's one writer: `writer.rs`
//! - [`Tx`]: running, `tx.rs`, and ahead of its caller, `ahead.rs`; each engine's way, `statement.rs`
//! - [`Arg`], [`Row`], [`Record`]: values in and rows out, `value.rs`
//! - [`Rows`]: a batch as one statement, `rows.rs`
//! - [`Failure`]: what can go wrong, `failure.rs`
//! - [`Migration`], schema reading: `migrate.rs`
//! - [`Window`]: taking all rows of one tenant away, `tenant.rs`
//! - [`Travel`], [`Shape`]: taking them to another database, `travel.rs`
//! - [`Batcher`]: group commit, `batch.rs`

mod ahead;
mod batch;
mod engine;
mod failure;
mod migrate;
mod portable;
mod rows;
mod statement;
mod tenant;
mod travel;
mod tx;
mod value;
mod writer;

pub use batch::{BatchLimits, Batcher, Fair, Refused, WriteBatch};
pub use engine::{Db, Engine, Options, Tenancy};
pub use failure::{Failure, OnConflict, Result};
pub use migrate::{Migration, Table};
pub use rows::Rows;
pub use tenant::Window;
pub use travel::{EachRow, How, Kind, Shape, Told, Travel};
pub use tx::Tx;
pub use value::{Arg, Column, Record, Row};

/// Marks the text of a statement, so that the test suite finds it and prepares it on both engines.
#[macro_export]
macro_rules! sql {
    ($text:literal) => {
        $text
    };
}

/// The values of a statement's placeholders, in their order.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::Arg::from($value)),*] };
}

/// Declares a struct whose fields are columns of the same name, and reads it from a row.
#[macro_export]
macro_rules! record {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty),* $(,)? }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type),* }
        impl $crate::Record for $name {
            fn read(row: &$crate::Row) -> $crate::Result<Self> {
                Ok(Self { $($field: row.get(stringify!($field))?),* })
            }
        }
    };
}
