//! The row: one table of columns from which every format, the reader, the loader and the documentation are made.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use types::Timestamp;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// True or false.
    Flag,
    /// An instant: RFC 3339 in UTC in text formats, milliseconds since 1970 in Parquet and in databases.
    Instant,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name in every format.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether every row has it.
    pub required: bool,
}

/// A cell's value on its way into a file or out of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing.
    None,
    /// A whole number.
    Number(i64),
    /// A text.
    Text(Cow<'a, str>),
    /// True or false.
    Flag(bool),
    /// An instant.
    Instant(Timestamp),
}

/// A type that a column can have.
pub trait CellType: Sized {
    /// What the column holds.
    const KIND: Kind;
    /// Whether every row has it.
    const REQUIRED: bool = true;
    /// The value for a file.
    fn cell(&self) -> Cell<'_>;
    /// The value from a file; nothing when it is of another kind or missing.
    fn of(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! cell_types {
    ($($type:ty => $kind:ident, |$value:ident| $cell:expr, $pattern:pat => $back:expr;)*) => {$(
        impl CellType for $type {
            const KIND: Kind = Kind::$kind;
            fn cell(&self) -> Cell<'_> { let $value = self; $cell }
            fn of(cell: Cell<'_>) -> Option<Self> { match cell { $pattern => Some($back), _ => None } }
        }
    )*};
}

cell_types! {
    i64 => Number, |value| Cell::Number(*value), Cell::Number(value) => value;
    bool => Flag, |value| Cell::Flag(*value), Cell::Flag(value) => value;
    Timestamp => Instant, |value| Cell::Instant(*value), Cell::Instant(value) => value;
    String => Text, |value| Cell::Text(Cow::Borrowed(value)), Cell::Text(value) => value.into_owned();
}

impl<T: CellType> CellType for Option<T> {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = false;
    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::None, CellType::cell)
    }
    fn of(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::None => Some(None),
            other => T::of(other).map(Some),
        }
    }
}

macro_rules! row {
    ($($(#[$doc:meta])* $name:ident : $type:ty;)*) => {
        /// A call detail record: one part of one message that came to its end.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        pub struct Row { $($(#[$doc])* pub $name: $type,)* }

        /// The columns, in their order. New ones are only ever added at the end.
        pub const COLUMNS: &[Column] = &[$(Column {
            name: stringify!($name), kind: <$type as CellType>::KIND, required: <$type as CellType>::REQUIRED,
        },)*];

        impl Row {
            /// The row's cells, in the order of [`COLUMNS`].
            pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
                [$(self.$name.cell(),)*].into_iter()
            }

            /// A row from the cells that `cell` finds for each column.
            ///
            /// # Errors
            /// The name of a column that is missing or of another kind.
            pub fn from_cells<'a>(mut cell: impl FnMut(usize, &'static str) -> Cell<'a>) -> Result<Self, &'static str> {
                let mut at = 0;
                Ok(Self { $($name: {
                    let found = cell(at, stringify!($name));
                    at += 1;
                    let _next = at;
                    <$type as CellType>::of(found).ok_or(stringify!($name))?
                },)* })
            }
        }
    };
}

row! {
    /// 1, 2, 3 … for each tenant, without a gap. What is missing was lost.
    seq: i64;
    /// 1 at the message's end; more when a receipt that came after it changed this part. The greatest seq counts.
    revision: i64;
    /// Whose message it is.
    tenant: String;
    /// The message.
    message_id: String;
    /// Which part of it, from 1.
    part: i64;
    /// How many parts it has.
    parts: i64;
    /// `out` to a phone, `in` from one.
    direction: String;
    /// The SMPP account that it came from or went to.
    account_id: Option<String>;
    /// The connection that it went through or came from.
    connection_id: Option<String>;
    /// How it came to us: `http` or `smpp`.
    protocol: String;
    /// Who sent it.
    sender: String;
    /// The sender's type of number (SMPP v5 §4.7.1).
    sender_ton: i64;
    /// The sender's numbering plan (SMPP v5 §4.7.2).
    sender_npi: i64;
    /// Who was to receive it.
    recipient: String;
    /// The recipient's type of number.
    recipient_ton: i64;
    /// The recipient's numbering plan.
    recipient_npi: i64;
    /// SMPP data_coding.
    data_coding: i64;
    /// Octets of the whole message in its coding, without headers.
    octets: i64;
    /// What it was for: `otp`, `transactional`, `marketing`.
    intent: String;
    /// Its sender's own reference.
    client_ref: Option<String>;
    /// The route that decided.
    route_id: Option<String>;
    /// The carrier's id of this part.
    provider_id: Option<String>;
    /// The message's last state: `delivered`, `failed`, `rejected`, `expired`, `cancelled`, `received`.
    state: String;
    /// This part's own state by the carrier's word: `sent` when it was taken over and no receipt has come; nothing when it
    /// was never taken over.
    part_state: Option<String>;
    /// Why it was not delivered.
    error: Option<String>;
    /// How often the message was handed over.
    attempts: i64;
    /// Whether it may have reached the carrier more than once.
    maybe_twice: bool;
    /// When it was accepted.
    accepted_at: Timestamp;
    /// When the carrier took this part over.
    sent_at: Option<Timestamp>;
    /// When this part's receipt came.
    receipt_at: Option<Timestamp>;
    /// When the message came to its end.
    ended_at: Timestamp;
    /// SHA-256 of the text in UTF-8, or of the octets where there is no text, in hex. The text itself is never written.
    text_sha256: Option<String>;
    /// The number in the tenant's event stream that ended the message, or changed the part.
    event_seq: i64;
}

#[cfg(test)]
pub(crate) fn sample(seq: i64) -> Row {
    Row {
        seq,
        revision: 1,
        tenant: "ten_0000000000001".to_owned(),
        message_id: format!("msg_{seq:013}"),
        part: 1,
        parts: 1,
        direction: "out".to_owned(),
        account_id: None,
        connection_id: Some("con_0000000000003".to_owned()),
        protocol: "http".to_owned(),
        sender: "=cmd|'/c calc'!A1".to_owned(),
        sender_ton: 5,
        sender_npi: 0,
        recipient: "+33612345678".to_owned(),
        recipient_ton: 1,
        recipient_npi: 1,
        data_coding: 0,
        octets: 5,
        intent: "transactional".to_owned(),
        client_ref: Some("a \"quoted\", reference\nof two lines".to_owned()),
        route_id: None,
        provider_id: Some("'-quoted".to_owned()),
        state: "delivered".to_owned(),
        part_state: Some("delivered".to_owned()),
        error: None,
        attempts: 1,
        maybe_twice: false,
        accepted_at: Timestamp::from_unix_ms(1_790_000_000_001),
        sent_at: Some(Timestamp::from_unix_ms(1_790_000_000_002)),
        receipt_at: None,
        ended_at: Timestamp::from_unix_ms(1_790_000_000_003),
        text_sha256: Some("00ff".to_owned()),
        event_seq: seq * 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_from_its_cells() {
        let row = sample(7);
        let cells: Vec<_> = row.cells().collect();
        assert_eq!(cells.len(), COLUMNS.len());
        assert_eq!(Row::from_cells(|at, _| cells[at].clone()).unwrap(), row);
        let missing = Row::from_cells(|at, name| if name == "part" { Cell::None } else { cells[at].clone() });
        assert_eq!(missing.unwrap_err(), "part");
    }

    #[test]
    fn no_column_holds_the_text() {
        assert!(COLUMNS.iter().all(|column| !["text", "body", "content"].contains(&column.name)));
    }

    #[test]
    fn the_manual_explains_every_column() {
        let manual = include_str!("../../../../docs/cdr.md");
        for column in COLUMNS {
            assert!(manual.contains(&format!("\n| `{}` | ", column.name)), "{}", column.name);
        }
    }
}
