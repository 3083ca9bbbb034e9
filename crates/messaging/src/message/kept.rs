//! What went over the wire for a message, where its connection keeps that: read again.

use db::{args, record, sql};
use runtime::Scope;
use types::{MessageId, Result, Timestamp};

/// Rows that are read of one message; a part has at most a few for each try.
const KEPT_MAX: i64 = 2_000;

record! {
    /// One of them.
    pub(super) struct Kept {
        pub(super) part: u8, pub(super) at: Timestamp, pub(super) kind: String, pub(super) bind: Option<i64>,
        pub(super) took_us: Option<i64>, pub(super) content: String,
    }
}

/// What is kept of a message, oldest first.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn of(scope: &Scope, id: MessageId) -> Result<Vec<Kept>> {
    let mut tx = scope.read().await?;
    let kept = tx.all(
        sql!(
            "select part, at, kind, bind, took_us, content from pdu where tenant_id = $1 and message_id = $2 order by id limit $3"
        ),
        args![scope.tenant(), id, KEPT_MAX],
    );
    Ok(kept.await?)
}
