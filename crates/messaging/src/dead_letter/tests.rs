use db::{Tenancy, args, sql};
use serde_json::{Value, json};
use types::{Code, MessageId};

use super::redrive::{Redrive, redrive};
use super::*;
use crate::accounting;
use crate::engine::Engine;
use crate::tests::House;

/// Lets a message come to an end, as the journal would have: its row and its sums.
async fn ends(house: &House, message: MessageId, state: &'static str, error: &'static str) {
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    let tenant = house.ours.tenant();
    tx.execute(
        sql!(
            "update message set state = $3, error = $4, wake_at = null, done_at = accepted_at where tenant_id = $1 and id = $2"
        ),
        args![tenant, message, state, error],
    )
    .await
    .unwrap();
    for (name, n) in [("queued", -1), (state, 1)] {
        tx.execute(
            sql!(
                "insert into tally (tenant_id, bucket, name, n) values ($1, 0, $2, $3) \
                 on conflict (tenant_id, bucket, name) do update set n = tally.n + excluded.n"
            ),
            args![tenant, name, i64::from(n)],
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn dead(
    house: &House,
    engine: &Engine,
    intent: &str,
    state: &'static str,
    error: &'static str,
) -> MessageId {
    let message = json!({ "to": "+33612345678", "text": "Hello", "intent": intent, "client_ref": "=1+1" });
    let id = house.send(engine, message).await;
    engine.queue().withdraw(id);
    ends(house, id, state, error).await;
    id
}

fn asked(value: Value) -> Redrive {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn the_dead_are_listed_counted_and_exported_by_reason() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let refused = dead(&house, &engine, "otp", "rejected", "ESME_RINVDSTADR").await;
    let again = dead(&house, &engine, "transactional", "rejected", "ESME_RINVDSTADR").await;
    let silent = dead(&house, &engine, "marketing", "expired", "no receipt came within its validity").await;
    let late = dead(&house, &engine, "marketing", "expired", "its validity ended before it left").await;
    house.send(&engine, json!({ "to": "+33612345678", "text": "alive" })).await;
    let all = list(&house.ours, &DeadFilter::default()).await.unwrap();
    let found: Vec<_> = all.items.iter().map(|one| (one.message.id, one.class)).collect();
    let expected = [
        (late, Class::NeverLeft),
        (silent, Class::NoReceipt),
        (again, Class::Refused),
        (refused, Class::Refused),
    ];
    assert_eq!(found, expected);
    assert!(list(&house.theirs, &DeadFilter::default()).await.unwrap().items.is_empty());
    let only = DeadFilter { class: Some("no_receipt".to_owned()), ..DeadFilter::default() };
    assert_eq!(list(&house.ours, &only).await.unwrap().items[0].message.id, silent);
    let wrong = DeadFilter { class: Some("gone".to_owned()), ..DeadFilter::default() };
    assert_eq!(list(&house.ours, &wrong).await.unwrap_err().place(), Some("class"));

    let reasons = reasons(&house.ours, &DeadFilter::default()).await.unwrap();
    assert_eq!((reasons[0].class.as_str(), reasons[0].n, reasons[0].redriven), ("refused", 2, 0));
    assert_eq!(reasons.len(), 3);
    let rows = String::from_utf8(export(&house.ours, &DeadFilter::default()).await.unwrap()).unwrap();
    assert!(rows.starts_with("id,state,class,error,"), "{rows}");
    assert_eq!(rows.lines().count(), 5);
    assert!(rows.contains(",'=1+1,"), "no spreadsheet takes a reference for a formula: {rows}");
}

#[tokio::test]
async fn what_failed_is_sent_again_once_as_a_message_that_names_it() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let id = dead(&house, &engine, "transactional", "rejected", "ESME_RINVDSTADR").await;
    let other = dead(&house, &engine, "transactional", "failed", "given up after 3 attempts: busy").await;
    let filter = asked(json!({ "filter": { "class": "refused" } }));
    let done = redrive(&house.ours, &engine, &filter).await.unwrap();
    assert_eq!((done.redriven.len(), done.refused.len(), &done.next), (1, 0, &None));
    assert_eq!(done.redriven[0].message, id);
    let new = crate::message::query::get(&house.ours, done.redriven[0].new).await.unwrap();
    assert_eq!((new.redrive_of, new.state, new.text.as_deref()), (Some(id), State::Queued, Some("Hello")));
    assert_eq!(new.client_ref.as_deref(), Some("=1+1"));

    let twice = redrive(&house.ours, &engine, &filter).await.unwrap();
    assert!(twice.redriven.is_empty() && twice.refused.is_empty(), "it does not fit any more");
    let named = asked(json!({ "ids": [id, other] }));
    let twice = redrive(&house.ours, &engine, &named).await.unwrap();
    assert_eq!((twice.redriven.len(), twice.refused[0].message), (1, id));
    let listed = list(&house.ours, &DeadFilter::default()).await.unwrap();
    assert!(listed.items.iter().all(|letter| letter.redriven_as.is_some()));
    let books = accounting::check(&house.ours, &engine).await.unwrap();
    let unbalanced: Vec<_> = books.discrepancies.iter().filter(|found| found.rule != "stream").collect();
    assert!(unbalanced.is_empty(), "{unbalanced:?}");
    let foreign = redrive(&house.theirs, &engine, &named).await.err().unwrap();
    assert_eq!(foreign.code(), Code::NotFound);
    assert!(redrive(&house.ours, &engine, &asked(json!({}))).await.is_err());
}

#[tokio::test]
async fn what_may_have_arrived_is_sent_again_only_when_asked_and_advertising_never() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let silent = "no receipt came within its validity";
    let plain = dead(&house, &engine, "transactional", "expired", silent).await;
    let offer = dead(&house, &engine, "marketing", "failed", "its fate stayed unknown").await;
    let careful = redrive(&house.ours, &engine, &asked(json!({ "filter": {} }))).await.unwrap();
    assert_eq!((careful.redriven.len(), careful.refused.len()), (0, 2));
    let daring = json!({ "filter": {}, "may_have_arrived": true, "validity_s": 60 });
    let daring = redrive(&house.ours, &engine, &asked(daring)).await.unwrap();
    assert_eq!((daring.redriven[0].message, daring.redriven.len()), (plain, 1));
    assert_eq!((daring.refused[0].message, daring.refused[0].error.code), (offer, "conflict"));
    let new = crate::message::query::get(&house.ours, daring.redriven[0].new).await.unwrap();
    assert_eq!(new.expires_at.since_ms(new.accepted_at), 60_000);
}
