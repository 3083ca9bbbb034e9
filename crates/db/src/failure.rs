//! What can go wrong with a statement.

use std::fmt;

use types::{Code, Error};

/// The result of a statement.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A statement or connection that failed, sorted by what a caller can do about it.
pub struct Failure {
    kind: Kind,
    cause: Box<sqlx::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unique,
    ForeignKey,
    Busy,
    Full,
    Text,
    Other,
}

impl Failure {
    /// Whether a unique index refused the row.
    pub fn is_unique(&self) -> bool {
        self.kind == Kind::Unique
    }

    /// Whether a foreign key refused the change.
    pub fn is_foreign_key(&self) -> bool {
        self.kind == Kind::ForeignKey
    }

    /// Whether the same statement may succeed later: a busy or unreachable database, a full disk.
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Busy | Kind::Full)
    }

    pub(crate) fn decode(column: &str, why: impl fmt::Display) -> Self {
        sqlx::Error::Decode(format!("column {column}: {why}").into()).into()
    }
}

/// SQLite's primary result codes (sqlite.org, "Result and Error Codes"); the low octet of an extended code.
const SQLITE_BUSY: &str = "5";
const SQLITE_LOCKED: &str = "6";
const SQLITE_FULL: &str = "13";
const SQLITE_IOERR_WRITE: &str = "778";

impl From<sqlx::Error> for Failure {
    fn from(cause: sqlx::Error) -> Self {
        let kind = match &cause {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => Kind::Busy,
            sqlx::Error::Database(error) if error.is_unique_violation() => Kind::Unique,
            sqlx::Error::Database(error) if error.is_foreign_key_violation() => Kind::ForeignKey,
            sqlx::Error::Database(error) => match error.code().as_deref() {
                // PostgreSQL: serialization failure, deadlock, lock timeout, too many connections, shutting down.
                Some("40001" | "40P01" | "55P03" | "53300" | "57P01" | "57P03") => Kind::Busy,
                Some(SQLITE_BUSY | SQLITE_LOCKED | "261" | "517" | "262") => Kind::Busy,
                Some("53100" | SQLITE_FULL | SQLITE_IOERR_WRITE) => Kind::Full,
                // PostgreSQL: character not in repertoire. Texts are UTF-8, so it is the character zero.
                Some("22021") => Kind::Text,
                _ => Kind::Other,
            },
            _ => Kind::Other,
        };
        Self { kind, cause: Box::new(cause) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.cause)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Error {
    #[track_caller]
    fn from(failure: Failure) -> Self {
        let (code, message) = match failure.kind {
            Kind::Busy => (Code::DatabaseBusy, "the database did not answer in time"),
            Kind::Full => (Code::StorageFull, "the disk is full"),
            // A constraint that the operation did not expect: say that it clashed, not which index.
            Kind::Unique => (Code::AlreadyExists, "such a record exists already"),
            Kind::ForeignKey => (Code::StillInUse, "something else depends on it, or what it names is gone"),
            Kind::Text => (Code::InvalidValue, "a text holds the character zero, which no database keeps"),
            Kind::Other => (Code::Internal, "something broke on our side"),
        };
        Error::new(code, message).because(failure)
    }
}

/// Turns a refused constraint into the refusal that a caller understands, at the place that knows what it means.
pub trait OnConflict<T> {
    /// The given refusal for a unique violation; any other failure as it is.
    fn on_unique(self, refusal: impl FnOnce() -> Error) -> types::Result<T>;
    /// The given refusal for a foreign key violation; any other failure as it is.
    fn on_foreign_key(self, refusal: impl FnOnce() -> Error) -> types::Result<T>;
}

impl<T> OnConflict<T> for Result<T> {
    fn on_unique(self, refusal: impl FnOnce() -> Error) -> types::Result<T> {
        self.map_err(|failure| if failure.is_unique() { refusal().because(failure) } else { failure.into() })
    }

    fn on_foreign_key(self, refusal: impl FnOnce() -> Error) -> types::Result<T> {
        self.map_err(
            |failure| if failure.is_foreign_key() { refusal().because(failure) } else { failure.into() },
        )
    }
}
