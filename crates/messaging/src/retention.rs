//! What the gateway keeps for a time: messages, what they say, what lies beside them, refusals, and files of records.
//!
//! A message that goes leaves its state, and is counted once more, so that the sums name it. What a message says can go before
//! it: the row stays, and every sum is what it was.

use std::collections::BTreeMap;

use db::{Arg, Tx, args, record, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::Runtime;
use runtime::personal::By;
use runtime::retention::{Bounds, Class, Forget, Walk, Whose, numbers};
use serde::Serialize;
use types::{MessageId, Result, TenantId};

use crate::cdr;

const PURPOSES: &[&str] = &["otp", "transactional", "marketing"];

record! { struct Old { id: MessageId, direction: String, state: String } }

#[derive(Serialize)]
struct TallyRow<'a> {
    t: i64,
    b: i64,
    n: &'a str,
    v: i64,
}

/// Forgets messages with their parts and attempts. The sums stay right: a forgotten message leaves its state, and what was
/// accepted can still be accounted for.
fn messages<'a>(
    runtime: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    ks: &'a [i64],
) -> BoxFuture<'a, Result<u64>> {
    async move {
        // Looked at again where nothing else writes: what was done by others since they were found stays done.
        let old: Vec<Old> = tx
            .all_rows(
                sql!(
                    "select m.id, m.direction, m.state from message m join rows(k bigint) r on r.k = m.id \
                     where m.tenant_id = $1 and m.wake_at is null"
                ),
                args![tenant],
                numbers(ks),
            )
            .await?;
        let ids: Vec<i64> = old.iter().map(|one| one.id.raw()).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        for beside in [
            sql!(
                "delete from part where tenant_id = $1 and message_id in (select r.k from rows(k bigint) r)"
            ),
            sql!(
                "delete from attempt where tenant_id = $1 and message_id in (select r.k from rows(k bigint) r)"
            ),
            sql!("delete from pdu where tenant_id = $1 and message_id in (select r.k from rows(k bigint) r)"),
            // A phone of which nothing newer is kept has no conversation any more.
            sql!(
                "delete from conversation where tenant_id = $1 and last_id in (select r.k from rows(k bigint) r)"
            ),
            sql!(
                "delete from redrive where tenant_id = $1 and message_id in (select r.k from rows(k bigint) r)"
            ),
        ] {
            tx.execute_rows(beside, args![tenant], numbers(&ids)).await?;
        }
        let forgotten = tx
            .execute_rows(
                sql!("delete from message where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"),
                args![tenant],
                numbers(&ids),
            )
            .await?;
        let minute = runtime.clock.now().unix_ms() / 60_000 * 60_000;
        tx.execute(
            sql!(
                "insert into tally (tenant_id, bucket, name, n) \
                 select cast(r.value ->> 't' as bigint), cast(r.value ->> 'b' as bigint), r.value ->> 'n', \
                 cast(r.value ->> 'v' as bigint) from json_rows($1) r where true \
                 on conflict (tenant_id, bucket, name) do update set n = tally.n + excluded.n"
            ),
            vec![Arg::json(&tally(tenant, &old, minute))?],
        )
        .await?;
        Ok(forgotten)
    }
    .boxed()
}

/// What is forgotten leaves its state, and is counted once more so that the sums can name it. In the order of the keys,
/// like the journal, so that neither waits for the other in turns.
fn tally(tenant: TenantId, old: &[Old], minute: i64) -> Vec<TallyRow<'_>> {
    let mut sums: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    for one in old {
        *sums.entry((0, &one.state)).or_default() -= 1;
        if one.direction == "out" {
            *sums.entry((minute, "forgotten")).or_default() += 1;
        }
    }
    sums.into_iter().map(|((b, n), v)| TallyRow { t: tenant.raw(), b, n, v }).collect()
}

/// Overwrites what messages say, and forgets the PDUs that say it too.
const TEXTS: Forget = Forget::Statements(&[
    sql!("delete from pdu where tenant_id = $1 and message_id in (select r.k from rows(k bigint) r)"),
    sql!(
        "update message set text = null, octets = null from rows(k bigint) r \
         where message.tenant_id = $1 and message.id = r.k and message.wake_at is null"
    ),
]);

/// A class of messages; each is looked at where it lies.
const fn of_messages(
    (name, title, about): (&'static str, &'static str, &'static str),
    purposes: &'static [&'static str],
    page: &'static str,
    forget: Forget,
) -> Class {
    Class {
        name,
        title,
        about,
        tables: "message part attempt pdu conversation redrive",
        purposes,
        bounds: |config| Bounds::days(0, config.messaging.keep_days),
        whose: Whose::One(By::Phone),
        recorded: true,
        walk: Walk::Rows { page, forget },
    }
}

// A message that its customer's system has still to be told of stays; it was noted within a minute of the message's end, which
// is 60,000 times 2^21 in ids.

/// What the gateway keeps for a time.
pub const CLASSES: &[Class] = &[
    of_messages(
        (
            "message.text",
            "Texts of messages",
            "What messages said, and the PDUs that say it too. Each message stays with its state, times and parts; counted from its end.",
        ),
        PURPOSES,
        sql!(
            "select m.id as k, m.accepted_at as at, m.intent as purpose, m.recipient as who, \
             case when m.wake_at is not null or m.done_at is null or m.done_at >= $4 or m.id in (select p.message_id \
             from push p where p.tenant_id = $1 and p.id < cast($3 as bigint) + 125829120000) then 'open' \
             when m.text is null and m.octets is null then 'done' else 'due' end as standing from message m \
             where m.tenant_id = $1 and m.id > $2 and m.id < $3 and m.direction = 'out' order by m.id limit $5"
        ),
        TEXTS,
    ),
    of_messages(
        (
            "message",
            "Messages",
            "Messages that were sent, with their parts, attempts and PDUs; counted from their end. Sums stay what they were.",
        ),
        PURPOSES,
        sql!(
            "select m.id as k, m.accepted_at as at, m.intent as purpose, m.recipient as who, \
             case when m.wake_at is not null or m.done_at is null or m.done_at >= $4 or m.id in (select p.message_id \
             from push p where p.tenant_id = $1 and p.id < cast($3 as bigint) + 125829120000) then 'open' \
             else 'due' end as standing from message m \
             where m.tenant_id = $1 and m.id > $2 and m.id < $3 and m.direction = 'out' order by m.id limit $5"
        ),
        Forget::Function(messages),
    ),
    of_messages(
        (
            "inbound.text",
            "Texts of messages from phones",
            "What people wrote. Each message stays in its conversation with its time; counted from when it came in.",
        ),
        &[],
        sql!(
            "select m.id as k, m.accepted_at as at, '' as purpose, m.sender as who, \
             case when m.wake_at is not null or m.done_at is null or m.done_at >= $4 or m.id in (select p.message_id \
             from push p where p.tenant_id = $1 and p.id < cast($3 as bigint) + 125829120000) then 'open' \
             when m.text is null and m.octets is null then 'done' else 'due' end as standing from message m \
             where m.tenant_id = $1 and m.id > $2 and m.id < $3 and m.direction = 'in' order by m.id limit $5"
        ),
        TEXTS,
    ),
    of_messages(
        (
            "inbound",
            "Messages from phones, and conversations",
            "Messages that came in; with a phone's last one its conversation goes.",
        ),
        &[],
        sql!(
            "select m.id as k, m.accepted_at as at, '' as purpose, m.sender as who, \
             case when m.wake_at is not null or m.done_at is null or m.done_at >= $4 or m.id in (select p.message_id \
             from push p where p.tenant_id = $1 and p.id < cast($3 as bigint) + 125829120000) then 'open' \
             else 'due' end as standing from message m \
             where m.tenant_id = $1 and m.id > $2 and m.id < $3 and m.direction = 'in' order by m.id limit $5"
        ),
        Forget::Function(messages),
    ),
    Class {
        name: "message.pdu",
        title: "PDUs of messages",
        about: "What went over the wire, where a connection keeps that. The messages stay.",
        tables: "pdu",
        purposes: &[],
        bounds: |config| Bounds::days(0, config.messaging.keep_days),
        whose: Whose::One(By::Phone),
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select p.id as k, p.at, '' as purpose, case when m.direction = 'in' then m.sender else m.recipient end \
                 as who, case when p.at < $4 then 'due' else 'open' end as standing from pdu p join message m \
                 on m.tenant_id = p.tenant_id and m.id = p.message_id \
                 where p.tenant_id = $1 and p.id > $2 and p.id < $3 order by p.id limit $5"
            ),
            forget: Forget::Statements(&[sql!(
                "delete from pdu where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"
            )]),
        },
    },
    Class {
        name: "refusal",
        title: "Refused messages",
        about: "Messages that were not accepted: their sender, recipient and reason. The counts of rules stay.",
        tables: "refusal",
        purposes: &[],
        bounds: |config| Bounds::days(0, config.gates.refusals_keep_days),
        whose: Whose::One(By::Phone),
        recorded: false,
        walk: Walk::Rows {
            page: sql!(
                "select id as k, at, '' as purpose, recipient as who, case when at < $4 then 'due' else 'open' end as standing \
                 from refusal where tenant_id = $1 and id > $2 and id < $3 order by id limit $5"
            ),
            forget: Forget::Statements(&[sql!(
                "delete from refusal where tenant_id = $1 and id in (select r.k from rows(k bigint) r)"
            )]),
        },
    },
    Class {
        name: "cdr",
        title: "Files of call detail records",
        about: "Closed files on this machine, archived or not; counted from when they were closed. Their registration stays.",
        tables: "cdr_file",
        purposes: &[],
        bounds: |config| Bounds::days(config.retention.cdr_days_min, config.cdr.keep_days),
        whose: Whose::Many,
        recorded: false,
        walk: Walk::Whole {
            count: sql!(
                "select count(*) as n, min(x.closed_at) as oldest from (select closed_at from cdr_file \
                 where tenant_id = $1 and closed_at < $2 and state <> 'removed' order by closed_at limit $3) x"
            ),
            forget: cdr::keep::remove,
        },
    },
];

#[cfg(test)]
mod tests {
    use db::Tenancy;
    use runtime::retention;
    use types::event::MessageChange;
    use types::{Event, Timestamp};

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
                 data_coding, parts, intent, lane, registered, attempts, maybe_twice, text, accepted_at, expires_at, \
                 updated_at, done_at, wake_at) \
                 values ($1, $2, 'out', $3, 'A', 0, '336', 0, 0, 1, 'transactional', 1, 0, 1, false, 'hello', $4, $4, $4, $5, $6)"
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
    async fn what_ended_long_ago_goes_and_the_sums_stay_right() {
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
        assert_eq!(swept(&house, CLASSES, "message.text", before).await, 3);
        assert_eq!(swept(&house, CLASSES, "message.text", before).await, 0);
        assert_eq!(rows(&house).await, [6, 6, 6, 3], "the texts are gone, the messages stay");
        let sums = query::sums(&house.ours).await.unwrap();
        assert_eq!((sums.accepted, sums.forgotten, sums.balanced), (Some(6), Some(0), Some(true)));
        assert_eq!(swept(&house, CLASSES, "message", before).await, 3);
        assert_eq!(swept(&house, CLASSES, "message", before).await, 0);
        assert_eq!(
            rows(&house).await,
            [3, 3, 3, 3],
            "the young, the open and the one to be told of are there"
        );

        let sums = query::sums(&house.ours).await.unwrap();
        assert_eq!((sums.accepted, sums.forgotten, sums.balanced), (Some(6), Some(3), Some(true)));
        let states = query::states_now(&house.ours).await.unwrap();
        let delivered = states.iter().find(|state| state.name == "delivered").map(|state| state.n);
        assert_eq!(delivered, Some(2));
    }

    /// What retention does to a class of the first tenant from before an instant, while nobody is held.
    async fn swept(house: &House, classes: &[Class], name: &str, before: Timestamp) -> u64 {
        let class = classes.iter().find(|class| class.name == name).unwrap();
        let Walk::Rows { page, forget } = class.walk else { panic!("{name} is walked by rows") };
        let (runtime, tenant) = (&house.runtime, house.ours.tenant());
        let look = retention::look(runtime, tenant, (page, class.whose), "", (0, before), &|_, _| false);
        let due = look.await.unwrap().due;
        let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await.unwrap();
        let gone = forget.run(runtime, &mut tx, tenant, &due).await.unwrap();
        tx.commit().await.unwrap();
        gone
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
        assert_eq!(swept(&house, retention::CLASSES, "event", now).await, 0, "nothing is older than now");
        assert_eq!(swept(&house, retention::CLASSES, "event", now.plus_ms(1)).await, 1);
        let events = house.events().await;
        assert!(!events.contains("message.accepted") && events.contains("tenant.created"), "{events}");
    }
}
