//! Forgetting: messages and the events about them, when they are older than the configuration keeps.

use std::collections::BTreeMap;

use db::{Arg, Tenancy, args, record, sql};
use runtime::Runtime;
use serde::Serialize;
use types::{MessageId, Result, TenantId, Timestamp};

/// How much later than its message's end a push may have been noted, and still be found.
const MARGIN_MS: i64 = 60_000;

record! { struct Old { id: MessageId, tenant_id: TenantId, direction: String, state: String } }

#[derive(Serialize)]
struct OldRow {
    t: i64,
    m: i64,
}

#[derive(Serialize)]
struct TallyRow<'a> {
    t: i64,
    b: i64,
    n: &'a str,
    v: i64,
}

/// Forgets messages that came to their end before an instant, with their parts and attempts, at most so many at a time,
/// and gives how many. A message that its customer's system has still to be told of stays.
///
/// The sums stay right: a forgotten message leaves its state, and what was accepted can still be accounted for.
///
/// # Errors
/// When the database does not answer; nothing is forgotten then.
pub async fn forget_messages(runtime: &Runtime, before: Timestamp, at_most: usize) -> Result<u64> {
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    // Ids grow with time, so the oldest come first and the primary key finds them.
    let accepted_before = MessageId::from_parts(before, 0);
    let pushed_before = MessageId::from_parts(before.plus_ms(MARGIN_MS), 0);
    let old: Vec<Old> = tx
        .all(
            sql!(
                "select id, tenant_id, direction, state from message where id < $1 and wake_at is null and done_at < $2 \
                 and id not in (select message_id from push where id < $3) order by id limit $4 \
                 /* every tenant: age alone decides */"
            ),
            args![accepted_before, before, pushed_before, at_most as i64],
        )
        .await?;
    if old.is_empty() {
        return Ok(0);
    }
    let rows: Vec<OldRow> =
        old.iter().map(|one| OldRow { t: one.tenant_id.raw(), m: one.id.raw() }).collect();
    forget_beside(&mut tx, &rows).await?;
    let forgotten = tx
        .execute(
            sql!(
                "delete from message where id in (select cast(r.value ->> 'm' as bigint) from json_rows($1) r) \
                 /* every tenant: age alone decides */"
            ),
            vec![Arg::json(&rows)?],
        )
        .await?;
    let minute = runtime.clock.now().unix_ms() / 60_000 * 60_000;
    let tally = tally(&old, minute);
    tx.execute(
        sql!(
            "insert into tally (tenant_id, bucket, name, n) \
             select cast(r.value ->> 't' as bigint), cast(r.value ->> 'b' as bigint), r.value ->> 'n', \
             cast(r.value ->> 'v' as bigint) from json_rows($1) r where true \
             on conflict (tenant_id, bucket, name) do update set n = tally.n + excluded.n"
        ),
        vec![Arg::json(&tally)?],
    )
    .await?;
    tx.commit().await?;
    Ok(forgotten)
}

/// Forgets what lies beside messages: parts, attempts, PDUs, conversations, and as what they were sent again.
async fn forget_beside(tx: &mut db::Tx, rows: &[OldRow]) -> Result<()> {
    tx.execute(
        sql!(
            "delete from part where message_id in (select cast(r.value ->> 'm' as bigint) from json_rows($1) r) \
             /* every tenant: age alone decides */"
        ),
        vec![Arg::json(rows)?],
    )
    .await?;
    tx.execute(
        sql!(
            "delete from attempt where (tenant_id, message_id) in \
             (select cast(r.value ->> 't' as bigint), cast(r.value ->> 'm' as bigint) from json_rows($1) r)"
        ),
        vec![Arg::json(rows)?],
    )
    .await?;
    tx.execute(
        sql!(
            "delete from pdu where (tenant_id, message_id) in \
             (select cast(r.value ->> 't' as bigint), cast(r.value ->> 'm' as bigint) from json_rows($1) r)"
        ),
        vec![Arg::json(rows)?],
    )
    .await?;
    // A phone of which nothing newer is kept has no conversation any more.
    tx.execute(
        sql!(
            "delete from conversation where (tenant_id, last_id) in \
             (select cast(r.value ->> 't' as bigint), cast(r.value ->> 'm' as bigint) from json_rows($1) r)"
        ),
        vec![Arg::json(rows)?],
    )
    .await?;
    tx.execute(
        sql!(
            "delete from redrive where (tenant_id, message_id) in \
             (select cast(r.value ->> 't' as bigint), cast(r.value ->> 'm' as bigint) from json_rows($1) r)"
        ),
        vec![Arg::json(rows)?],
    )
    .await?;
    Ok(())
}

/// What is forgotten leaves its state, and is counted once more so that the sums can name it. In the order of the keys,
/// like the journal, so that neither waits for the other in turns.
fn tally(old: &[Old], minute: i64) -> Vec<TallyRow<'_>> {
    let mut sums: BTreeMap<(i64, i64, &str), i64> = BTreeMap::new();
    for one in old {
        let tenant = one.tenant_id.raw();
        *sums.entry((tenant, 0, &one.state)).or_default() -= 1;
        if one.direction == "out" {
            *sums.entry((tenant, minute, "forgotten")).or_default() += 1;
        }
    }
    sums.into_iter().map(|((t, b, n), v)| TallyRow { t, b, n, v }).collect()
}

/// Forgets pages of events from before an instant, at most so many at a time, and gives how many. What people and
/// programs did, the audit trail, stays.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_events(runtime: &Runtime, before: Timestamp, at_most: usize) -> Result<u64> {
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let forgotten = tx
        .execute(
            sql!(
                "delete from event_page where (tenant_id, last_seq) in \
                 (select tenant_id, last_seq from event_page where at < $1 and not audited limit $2)"
            ),
            args![before, at_most as i64],
        )
        .await?;
    tx.commit().await?;
    Ok(forgotten)
}

#[cfg(test)]
mod tests {
    use types::Event;
    use types::event::MessageChange;

    use super::*;
    use crate::message::query;
    use crate::tests::House;

    const DAY_MS: i64 = 86_400_000;

    /// A message that was accepted so long ago, and ended a second later if it did.
    async fn message(house: &House, age_ms: i64, state: &str, ended: bool) -> MessageId {
        let now = house.runtime.clock.now();
        let at = now.plus_ms(-age_ms);
        let id = MessageId::from_parts(at, age_ms as u32 & 0xffff);
        let done = ended.then(|| at.plus_ms(1_000));
        let wake = (!ended).then(|| now.plus_ms(DAY_MS));
        let tenant = house.ours.tenant();
        let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
        tx.execute(
            sql!(
                "insert into message (id, tenant_id, direction, state, sender, sender_kind, recipient, recipient_kind, \
                 data_coding, parts, intent, lane, registered, attempts, maybe_twice, accepted_at, expires_at, \
                 updated_at, done_at, wake_at) \
                 values ($1, $2, 'out', $3, 'A', 0, '336', 0, 0, 1, 'transactional', 1, 0, 1, false, $4, $4, $4, $5, $6)"
            ),
            args![id, tenant, state, at, done, wake],
        )
        .await
        .unwrap();
        tx.execute(
            sql!(
                "insert into part (message_id, part, attempt, tenant_id, connection_id, state, sent_at) \
                 values ($1, 1, 1, $2, 1, 'sent', $3)"
            ),
            args![id, tenant, at],
        )
        .await
        .unwrap();
        tx.execute(
            sql!(
                "insert into attempt (id, tenant_id, message_id, part, at, outcome) values ($1, $2, $1, 1, $3, 'refused')"
            ),
            args![id, tenant, at],
        )
        .await
        .unwrap();
        tx.execute(
            sql!(
                "insert into pdu (id, tenant_id, message_id, part, at, kind, content) values ($1, $2, $1, 1, $3, 'submit', '')"
            ),
            args![id, tenant, at],
        )
        .await
        .unwrap();
        for (bucket, name) in [(0, state), (60_000, "accepted")] {
            tx.execute(
                sql!(
                    "insert into tally (tenant_id, bucket, name, n) values ($1, $2, $3, 1) \
                     on conflict (tenant_id, bucket, name) do update set n = tally.n + 1"
                ),
                args![tenant, i64::from(bucket), name],
            )
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        id
    }

    record! { struct Count { n: i64 } }

    async fn rows(house: &House) -> [i64; 4] {
        let mut tx = house.runtime.db.read(Tenancy::Every).await.unwrap();
        let mut counts = [0; 4];
        for (at, text) in [
            sql!("select count(*) as n from message where tenant_id <> 0"),
            sql!("select count(*) as n from part where tenant_id <> 0"),
            sql!("select count(*) as n from attempt where tenant_id <> 0"),
            sql!("select count(*) as n from pdu where tenant_id <> 0"),
        ]
        .into_iter()
        .enumerate()
        {
            counts[at] = tx.one::<Count>(text, args![]).await.unwrap().n;
        }
        counts
    }

    #[tokio::test]
    async fn what_ended_long_ago_goes_a_batch_at_a_time_and_the_sums_stay_right() {
        let house = House::build().await;
        for age in [40, 39, 38] {
            message(&house, age * DAY_MS, "delivered", true).await;
        }
        message(&house, 35 * DAY_MS, "sent", false).await;
        let told_later = message(&house, 34 * DAY_MS, "delivered", true).await;
        message(&house, DAY_MS, "delivered", true).await;
        let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
        tx.execute(
            sql!(
                "insert into push (id, tenant_id, account_id, message_id, kind, state, at, expires_at) \
                 values ($1, $2, 1, $1, 'receipt', 'delivered', 0, 0)"
            ),
            args![told_later, house.ours.tenant()],
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(rows(&house).await, [6, 6, 6, 6]);

        let before = house.runtime.clock.now().plus_ms(-30 * DAY_MS);
        assert_eq!(forget_messages(&house.runtime, before, 2).await.unwrap(), 2);
        assert_eq!(forget_messages(&house.runtime, before, 2).await.unwrap(), 1);
        assert_eq!(forget_messages(&house.runtime, before, 2).await.unwrap(), 0);
        assert_eq!(
            rows(&house).await,
            [3, 3, 3, 3],
            "the young, the open and the one to be told of are there"
        );

        let sums = query::sums(&house.ours).await.unwrap();
        assert_eq!((sums.accepted, sums.forgotten, sums.balanced), (6, 3, true));
        let states = query::states_now(&house.ours).await.unwrap();
        let delivered = states.iter().find(|state| state.name == "delivered").map(|state| state.n);
        assert_eq!(delivered, Some(2));
    }

    #[tokio::test]
    async fn old_events_go_and_the_audit_trail_stays() {
        let house = House::build().await;
        let mut write = house.ours.write().await.unwrap();
        let message = MessageId::from_raw(1);
        write.happened(Event::MessageAccepted(MessageChange {
            message,
            state: "queued".into(),
            account: None,
            connection: None,
            error: None,
        }));
        write.commit(()).await.unwrap();
        assert!(house.events().await.contains("message.accepted"));
        let now = house.runtime.clock.now();
        assert_eq!(forget_events(&house.runtime, now, 10).await.unwrap(), 0, "nothing is older than now");
        assert_eq!(forget_events(&house.runtime, now.plus_ms(1), 10).await.unwrap(), 1);
        let events = house.events().await;
        assert!(!events.contains("message.accepted") && events.contains("tenant.created"), "{events}");
    }
}
