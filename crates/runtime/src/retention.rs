//! Classes of data: what is kept for a time, and goes.
//!
//! Each crate names its classes beside its tables. A tenant says for how long each is kept, within bounds that the
//! installation's configuration gives; `privacy::retention` carries it out. A table with personal data names the classes that
//! reach it ([`Kept::For`](crate::personal::Kept)), so that none is forgotten.

use std::sync::OnceLock;

use db::{Tenancy, Tx, args, record};
use futures::future::BoxFuture;
use types::{Event, Result, TenantId, Timestamp};

use crate::personal::By;
use crate::{Config, Runtime};

mod tables;

pub use tables::{CLASSES, numbers};

/// What the installation allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Hours for which it is kept at least.
    pub least_h: u32,
    /// Hours after which it goes in any case; nothing where the installation keeps it for ever.
    pub most_h: Option<u32>,
}

impl Bounds {
    /// Bounds of days as the configuration has them, where 0 days at most is for ever. What the installation does not keep
    /// itself, nobody has to keep.
    pub fn days(least: u32, most: u32) -> Self {
        let most_h = Some(most.saturating_mul(24)).filter(|hours| *hours > 0);
        let least_h = least.saturating_mul(24).max(1);
        Self { least_h: most_h.map_or(least_h, |most| most.min(least_h)), most_h }
    }
}

/// How what a row says of persons is known to those who hold it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It names nobody.
    Nobody,
    /// `who` is such an identifier.
    One(By),
    /// Persons stand in it among other things: nothing of it goes while anybody of the tenant is held.
    Many,
}

/// Forgets the named rows of a tenant, within the transaction that counts them, and gives how many.
pub type ForgetRows = for<'a> fn(&'a Runtime, &'a mut Tx, TenantId, &'a [i64]) -> BoxFuture<'a, Result<u64>>;

/// How the rows that one look found go.
#[derive(Clone, Copy)]
pub enum Forget {
    /// By statements over `rows(k bigint)` of tenant `$1`, one after the other; the last says how many.
    Statements(&'static [&'static str]),
    /// By a function, where more belongs to it.
    Function(ForgetRows),
}

impl Forget {
    /// Forgets them.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn run(self, runtime: &Runtime, tx: &mut Tx, tenant: TenantId, ks: &[i64]) -> Result<u64> {
        let texts = match self {
            Self::Statements(texts) => texts,
            Self::Function(forget) => return forget(runtime, tx, tenant, ks).await,
        };
        let mut gone = 0;
        for text in texts {
            gone = tx.execute_rows(text, args![tenant], numbers(ks)).await?;
        }
        Ok(gone)
    }
}

/// Forgets a batch of what is from before an instant, within the transaction that counts it, and says what happened beside it;
/// 0 when there is no more.
pub type ForgetBefore = for<'a> fn(
    &'a Runtime,
    &'a mut Tx,
    TenantId,
    Timestamp,
    &'a mut Vec<Event>,
) -> BoxFuture<'a, Result<u64>>;

/// How a class is walked.
#[derive(Clone, Copy)]
pub enum Walk {
    /// Row by row, in the order of a number that grows with time.
    Rows {
        /// Rows of tenant `$1` behind the number `$2` and before the number `$3`, which is the id of the instant `$4` (Unix
        /// milliseconds), at most `$5`, in the order of the number: it as `k`, `at`, the `purpose`, `who` the row is about, and
        /// its `standing`: `due`, `open` when it may be due later, `held`, or `done` when nothing of it is left to go.
        page: &'static str,
        /// What makes them go.
        forget: Forget,
    },
    /// From its beginning on, as a whole.
    Whole {
        /// How many of tenant `$1` are from before `$2` (Unix milliseconds), counted up to `$3`: `n`, and the `oldest`.
        count: &'static str,
        /// What makes a batch of them go.
        forget: ForgetBefore,
    },
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rows { .. } => "Rows",
            Self::Whole { .. } => "Whole",
        })
    }
}

/// A class of data that is kept for a time.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// The name that the API and the database hold: `message.text`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What goes, what stays, and from when its time is counted.
    pub about: &'static str,
    /// The tables that it reaches, parted by blanks.
    pub tables: &'static str,
    /// What its rows may be for, where that has a time of its own.
    pub purposes: &'static [&'static str],
    /// What the installation allows.
    pub bounds: fn(&Config) -> Bounds,
    /// Of whom its rows speak.
    pub whose: Whose,
    /// Whether call detail records are made of it: it waits for them.
    pub recorded: bool,
    /// How it is walked.
    pub walk: Walk,
}

#[derive(Default)]
struct Register(OnceLock<Vec<Class>>);

/// Names the classes. Called once, at the start.
pub fn name_classes(runtime: &Runtime, classes: Vec<Class>) {
    // A second call would be a second start of the same runtime; the first one's word stands.
    let _ = runtime.kept(|_| Register::default()).0.set(classes);
}

/// The classes, in the order in which they are shown.
pub fn classes(runtime: &Runtime) -> Vec<Class> {
    runtime.kept(|_| Register::default()).0.get().cloned().unwrap_or_default()
}

/// Rows that one look reads, and one transaction lets go: few enough that nobody waits long for the writer.
pub const ROWS_MAX: usize = 500;

record! { struct Row { k: i64, at: Timestamp, purpose: String, who: String, standing: String } }

/// What one look found.
#[derive(Debug, Default)]
pub struct Look {
    /// What is due.
    pub due: Vec<i64>,
    /// Rows that are held.
    pub held: u64,
    /// The first row that may be due later.
    pub open: Option<i64>,
    /// When the oldest that is due was made.
    pub oldest: Option<Timestamp>,
    /// The last row that was looked at, from which the next look goes on.
    pub last: Option<i64>,
    /// Whether there may be more behind it.
    pub more: bool,
}

/// Looks at the next rows of a class for one purpose, or for all of them when it is empty.
///
/// # Errors
/// When the database does not answer.
pub async fn look(
    runtime: &Runtime,
    tenant: TenantId,
    (page, whose): (&'static str, Whose),
    purpose: &str,
    (behind, before): (i64, Timestamp),
    held: &(dyn Fn(By, &str) -> bool + Sync),
) -> Result<Look> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let end = types::MessageId::from_parts(before, 0);
    let rows: Vec<Row> = tx.all(page, args![tenant, behind, end, before, ROWS_MAX as i64]).await?;
    drop(tx);
    let last = rows.last().map(|row| row.k);
    let mut look = Look { last, more: rows.len() >= ROWS_MAX, ..Look::default() };
    for row in rows.iter().filter(|row| purpose.is_empty() || row.purpose == purpose) {
        let kept_back = || matches!(whose, Whose::One(by) if held(by, &row.who));
        match row.standing.as_str() {
            "open" => look.open = look.open.or(Some(row.k)),
            "held" => look.held += 1,
            "due" if kept_back() => look.held += 1,
            "due" => {
                look.due.push(row.k);
                look.oldest = look.oldest.into_iter().chain([row.at]).min();
            }
            _ => {}
        }
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_to_keep_what_the_installation_does_not() {
        assert_eq!(Bounds::days(0, 0), Bounds { least_h: 1, most_h: None });
        assert_eq!(Bounds::days(365, 0), Bounds { least_h: 8_760, most_h: None });
        assert_eq!(Bounds::days(365, 30), Bounds { least_h: 720, most_h: Some(720) });
    }
}
