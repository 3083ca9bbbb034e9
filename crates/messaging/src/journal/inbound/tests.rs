use db::{Arg, Tenancy};
use serde_json::json;

use super::*;
use crate::tests::House;

/// A batch of its own around some work, committed.
async fn write(house: &House, work: impl AsyncFnOnce(&mut Batch) -> Result<()>) {
    let mut batch = Batch::begin(&house.runtime, &std::sync::Arc::default()).await.unwrap();
    work(&mut batch).await.unwrap();
    batch.tx.commit().await.unwrap();
}

async fn came(house: &House, number: u8, text: &str) {
    let part = InboundPart {
        tenant: house.ours.tenant(),
        connection: ConnectionId::from_raw(1),
        sender: received("33612345678"),
        recipient: received("10000"),
        data_coding: 0,
        body: text.as_bytes().to_vec(),
        place: Some((7, 2, number)),
        account: None,
    };
    let work = [(None, Entry::Inbound(Box::new(part), None))];
    write(house, async |batch| inbound(batch, &work).await).await;
}

/// Text and error of each message, the oldest first.
async fn messages(house: &House) -> Vec<(String, Option<String>)> {
    let mut tx = house.runtime.db.read(Tenancy::Every).await.unwrap();
    let rows: Vec<Row> = tx
        .all(sql!("select text, error from message where tenant_id <> 0 order by id"), args![])
        .await
        .unwrap();
    rows.into_iter().map(|row| (row.text, row.error)).collect()
}

record! { struct Row { text: String, error: Option<String> } }

async fn waiting(house: &House) -> i64 {
    let mut tx = house.runtime.db.read(Tenancy::Every).await.unwrap();
    let count: Count =
        tx.one(sql!("select count(*) as n from inbound_part where tenant_id <> 0"), args![]).await.unwrap();
    count.n
}

fn incomplete(text: &str, why: &str) -> (String, Option<String>) {
    (text.to_owned(), Some(format!("incomplete, 1 of 2 parts: {why}")))
}

#[tokio::test]
async fn parts_are_joined_whatever_their_order_and_repetition() {
    let house = House::build().await;
    for (number, text) in [(2, "world"), (2, "world"), (1, "hello ")] {
        came(&house, number, text).await;
    }
    assert_eq!(messages(&house).await, [("hello world".to_owned(), None)]);
    assert_eq!(waiting(&house).await, 0);
}

#[tokio::test]
async fn a_part_is_not_joined_with_another_messages() {
    let house = House::build().await;
    came(&house, 1, "old ").await;
    house.runtime.clock.advance_ms(86_400_001);
    came(&house, 2, "new").await;
    let late = incomplete("old ", "its other parts did not come in time");
    assert_eq!(messages(&house).await, std::slice::from_ref(&late));
    came(&house, 2, "newer").await;
    let reused = incomplete("new", "its sender began another message with the same reference");
    assert_eq!(messages(&house).await, [late.clone(), reused.clone()]);
    came(&house, 1, "even ").await;
    assert_eq!(messages(&house).await, [late, reused, ("even newer".to_owned(), None)]);
    assert_eq!(waiting(&house).await, 0);
}

#[tokio::test]
async fn what_is_left_over_is_shown_in_time() {
    let house = House::build().await;
    came(&house, 1, "lonely").await;
    write(&house, async |batch| inbound(batch, &[(None, Entry::Wake)]).await).await;
    assert_eq!((messages(&house).await.len(), waiting(&house).await), (0, 1));
    house.runtime.clock.advance_ms(86_400_001);
    write(&house, async |batch| inbound(batch, &[(None, Entry::Wake)]).await).await;
    assert_eq!(messages(&house).await, [incomplete("lonely", "its other parts did not come in time")]);
    assert_eq!(waiting(&house).await, 0);
}

#[tokio::test]
async fn the_oldest_is_shown_where_too_many_wait() {
    let house = House::build().await;
    let most = i64::try_from(house.runtime.config.messaging.reassembly_max).unwrap();
    let now = house.runtime.clock.now().unix_ms();
    let rows: Vec<_> = (0..most + 2).map(|n| json!({ "n": n, "at": now - n })).collect();
    write(&house, async |batch| {
        let rows = Arg::json(&rows)?;
        batch
            .tx
            .execute(
                sql!(
                    "insert into inbound_part (id, tenant_id, connection_id, sender, recipient, reference, total, part, \
                     data_coding, octets, received_at) \
                     select cast(r.value ->> 'n' as bigint), $2, 1, r.value ->> 'n', '10000', 7, 2, 1, 0, '61', \
                     cast(r.value ->> 'at' as bigint) from json_rows($1) r"
                ),
                vec![rows, Arg::from(house.ours.tenant())],
            )
            .await?;
        sweep(batch).await
    })
    .await;
    let shown = incomplete("a", "too many others waited for their parts");
    assert_eq!(messages(&house).await, [shown.clone(), shown]);
    assert_eq!(waiting(&house).await, most);
    assert_eq!(received("ACME").ton, Ton::ALPHANUMERIC);
}
