//! Rows as they happen, straight from the event stream: the same rows, under the same numbers, as the file will hold.

use db::{args, record, sql};
use runtime::Scope;
use runtime::personal::Sight;
use serde::Serialize;
use types::{Code, Error, Permission, Result};

use super::gather::{Position, gather};
use super::row::Row;
use super::{control, lock, stream_of};

/// Stretches of the stream that one request walks through to find its beginning.
const STRETCHES_MAX: usize = 500;

/// Rows, oldest first.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Rows {
    /// The rows; those of one message are not parted, so there may be some more than were asked for.
    pub items: Vec<Row>,
    /// Where to go on, also when there was nothing: give it as `after`.
    pub next: String,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.event, self.row)
    }
}

/// Where a reader wants to begin.
enum Beginning {
    /// Behind the closed files.
    Open,
    /// With what happens from now on.
    Now,
    /// Behind a row.
    Row(i64),
    /// Where it was.
    At(Position),
}

fn beginning(after: Option<&str>) -> Result<Beginning> {
    let refused = || {
        Error::new(Code::InvalidCursor, "after is neither `next` of an answer, nor a row's seq, nor \"now\"")
            .at("after")
    };
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(refused);
    match after {
        None => Ok(Beginning::Open),
        Some("now") => Ok(Beginning::Now),
        Some(text) => match text.split_once('-') {
            Some((event, row)) => Ok(Beginning::At(Position { event: number(event)?, row: number(row)? })),
            None => number(text).map(Beginning::Row),
        },
    }
}

record! { struct Reached { event_seq: i64, last_seq: i64 } }

/// The tenant's rows behind a place: `next` of an answer, a row's seq, `now`, or nothing for what is in no closed file yet.
///
/// # Errors
/// [`Code::InvalidCursor`] for what is no place, or lies so far back that only files have it; [`Code::Conflict`] when
/// records were never switched on.
pub async fn rows(scope: &Scope, after: Option<&str>, limit: usize) -> Result<Rows> {
    scope.require(Permission::CdrView)?;
    let sight = Sight::of(scope);
    let seen = |row: Row| Row {
        sender: sight.identifier(row.sender),
        recipient: sight.identifier(row.recipient),
        ..row
    };
    let beginning = beginning(after)?;
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let mut tx = scope.read().await?;
    let stream = stream_of(&mut tx, tenant).await?.ok_or_else(|| {
        Error::new(Code::Conflict, "call detail records have never been switched on")
            .hint("switch them on under Records, or with `switchboard cdr set --active true`")
    })?;
    let committed = Position { event: stream.event_seq, row: stream.row_seq };
    let marks = lock(&control(runtime).open).get(&tenant).map(|one| one.marks.clone()).unwrap_or_default();
    let known = |row: i64| marks.iter().copied().filter(|mark| mark.row <= row).max_by_key(|mark| mark.row);
    // Rows up to this one are walked over.
    let (mut position, passed) = match beginning {
        Beginning::Open => (committed, committed.row),
        Beginning::At(position) => (position, position.row),
        Beginning::Now => (known(i64::MAX).unwrap_or(committed), i64::MAX),
        Beginning::Row(row) if row >= committed.row => (known(row).unwrap_or(committed), row),
        Beginning::Row(row) => {
            let reached: Option<Reached> = tx
                .optional(
                    sql!(
                        "select event_seq, last_seq from cdr_file where tenant_id = $1 and last_seq <= $2 \
                         order by number desc limit 1"
                    ),
                    args![tenant, row],
                )
                .await?;
            let reached = reached.ok_or_else(only_in_files)?;
            (Position { event: reached.event_seq, row: reached.last_seq }, row)
        }
    };
    drop(tx);
    let mut items = Vec::new();
    for _ in 0..STRETCHES_MAX {
        let gathered = gather(&runtime.db, tenant, position).await?;
        if gathered.lost > 0 {
            return Err(only_in_files());
        }
        for group in gathered.groups {
            position = group.position;
            items.extend(group.rows.into_iter().filter(|row| row.seq > passed).map(seen));
            if items.len() >= limit {
                return Ok(Rows { items, next: position.to_string() });
            }
        }
        position = gathered.position;
        if gathered.at.is_none() {
            break;
        }
    }
    Ok(Rows { items, next: position.to_string() })
}

fn only_in_files() -> Error {
    Error::new(Code::InvalidCursor, "what happened there is forgotten; only closed files have those rows")
        .at("after")
        .hint("download the files, or begin without `after`")
}
