//! Overwriting messages that went to a phone.

use std::collections::HashSet;

use db::{Rows, Tx, args, record, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::Runtime;
use runtime::personal::clear_answers;
use types::{MessageId, Result, TenantId, Timestamp};

/// Messages that one transaction overwrites.
const BATCH: i64 = 200;

record! { struct Sent { id: MessageId, named: bool, accepted_at: Timestamp } }

/// Overwrites a batch of messages to a phone, and with them what their sender called them in the answers that are kept for
/// repetitions. One that has still to come to its end needs its recipient; erasing waits for it.
pub(super) fn sent<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    phone: &'a str,
    before: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let batch: Vec<Sent> = tx
            .all(
                sql!(
                    "select id, client_ref is not null as named, accepted_at from message where tenant_id = $1 \
                     and direction = 'out' and recipient = $2 and accepted_at < $3 and wake_at is null order by id limit $4"
                ),
                args![tenant, phone, before, BATCH],
            )
            .await?;
        let named: HashSet<String> =
            batch.iter().filter(|one| one.named).map(|one| one.id.to_string()).collect();
        let since = batch.iter().filter(|one| one.named).map(|one| one.accepted_at).min();
        if let Some(since) = since {
            // An answer is kept a moment after its message was accepted, which may be after the instant.
            let span = (since, Timestamp::from_unix_ms(i64::MAX));
            clear_answers(tx, tenant, "client_ref", span, |one| {
                one.contains_key("client_ref")
                    && one.get("id").and_then(|id| id.as_str()).is_some_and(|id| named.contains(id))
            })
            .await?;
        }
        let mut rows = Rows::new();
        for one in &batch {
            rows.push([one.id.into()]);
        }
        Ok(tx
            .execute_rows(
                sql!(
                    "update message set recipient = 'erased', recipient_kind = 1280, text = null, octets = null, \
                     client_ref = null, options = null, why = null, \
                     error = case when error is null then null else 'erased' end \
                     from rows(id bigint) r where message.tenant_id = $1 and message.id = r.id"
                ),
                args![tenant],
                rows,
            )
            .await?)
    }
    .boxed()
}
