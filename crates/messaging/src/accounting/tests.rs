use db::{Tenancy, args, sql};
use serde_json::json;
use types::MessageId;

use super::*;
use crate::engine::Engine;
use crate::tests::House;

async fn send(house: &House, engine: &Engine) -> MessageId {
    house.send(engine, json!({ "to": "+33612345678", "text": "Hello" })).await
}

async fn break_by(house: &House, text: &'static str, message: MessageId) {
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    assert_eq!(tx.execute(text, args![house.ours.tenant(), message]).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_as_it_was_written_balances() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    for _ in 0..3 {
        send(&house, &engine).await;
    }
    let books = check(&house.ours, &engine).await.unwrap();
    assert!(books.balanced, "{:?}", books.discrepancies);
    assert_eq!((books.accepted, books.in_memory), (3, Some(3)));
    let queued = StateSum { name: "queued".to_owned(), rows: 3, kept: 3 };
    assert_eq!(books.states, [queued]);
    let theirs = check(&house.theirs, &engine).await.unwrap();
    assert_eq!((theirs.accepted, theirs.balanced, theirs.in_memory), (0, true, None));
    let all = verify(&house.runtime.db, house.runtime.clock.now()).await.unwrap();
    assert!(all.len() >= 2 && all.iter().all(|books| books.balanced));
}

#[tokio::test]
async fn a_row_whose_state_was_changed_behind_the_journal_is_named() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let (_first, broken) = (send(&house, &engine).await, send(&house, &engine).await);
    let text = sql!("update message set state = 'delivered' where tenant_id = $1 and id = $2");
    break_by(&house, text, broken).await;
    let all = verify(&house.runtime.db, house.runtime.clock.now()).await.unwrap();
    let books = all.iter().find(|books| books.tenant == house.ours.tenant()).unwrap();
    assert!(!books.balanced);
    assert_eq!((books.discrepancies[0].rule, books.discrepancies[0].message), ("state", Some(broken)));
    assert!(books.discrepancies.iter().any(|found| found.detail.contains("1 messages are delivered")));
}

#[tokio::test]
async fn a_row_that_fits_its_state_and_was_never_in_it_is_named_by_the_stream() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let (broken, _other) = (send(&house, &engine).await, send(&house, &engine).await);
    let text = sql!(
        "update message set state = 'failed', wake_at = null, done_at = accepted_at where tenant_id = $1 and id = $2"
    );
    break_by(&house, text, broken).await;
    let all = verify(&house.runtime.db, house.runtime.clock.now()).await.unwrap();
    let books = all.iter().find(|books| books.tenant == house.ours.tenant()).unwrap();
    assert_eq!((books.discrepancies[0].rule, books.discrepancies[0].message), ("stream", Some(broken)));
}

#[tokio::test]
async fn a_lost_row_is_named_and_the_watch_tells_once() {
    let mut house = House::build().await;
    house.reconfigure(|config| config.messaging.accounting_every_s = 0);
    let engine = house.engine_without_carrier().await;
    let (_other, lost) = (send(&house, &engine).await, send(&house, &engine).await);
    let text = sql!("delete from message where tenant_id = $1 and id = $2");
    break_by(&house, text, lost).await;
    let books = check(&house.ours, &engine).await.unwrap();
    assert_eq!((books.discrepancies[0].rule, books.discrepancies[0].message), ("stream", Some(lost)));
    assert!(books.discrepancies.iter().any(|found| found.rule == "accepted"));

    let mut memory = watch::Memory::default();
    for _ in 0..2 {
        watch::one_turn(&engine, &mut memory).await;
    }
    let standing = watch::standing(&house.runtime);
    assert_eq!((standing.balanced, standing.turns), (Some(false), 2));
    assert_eq!(standing.unbalanced[0].first.message, Some(lost));
    assert_eq!(house.events().await.matches("accounting.unbalanced").count(), 1);
}

#[tokio::test]
async fn a_claim_that_its_message_does_not_fit_is_named() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let (out, other) = (send(&house, &engine).await, send(&house, &engine).await);
    let claim = async |id: i64, messages: &[MessageId]| {
        let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
        let raw: Vec<i64> = messages.iter().map(|message| message.raw()).collect();
        let raw = serde_json::to_string(&raw).unwrap();
        let text = sql!(
            "insert into claim (id, connection_id, at, messages) select $1, c.id, 0, $2 from connection c where c.tenant_id = $3"
        );
        tx.execute(text, args![id, raw, house.ours.tenant()]).await.unwrap();
        tx.commit().await.unwrap();
    };
    let found = async |rule: &str| {
        let books = check(&house.ours, &engine).await.unwrap();
        let found = books.discrepancies.into_iter().filter(|found| found.rule == rule);
        found.map(|found| found.message).collect::<Vec<_>>()
    };
    claim(1, &[out]).await;
    assert_eq!(found("claim").await, [], "it is queued, and may be out");
    claim(2, &[out]).await;
    assert_eq!(found("claim").await, [Some(out)], "two claims name it");
    let gone = MessageId::from_raw(7);
    claim(3, &[gone]).await;
    assert_eq!(found("claim").await, [Some(gone), Some(out)]);
    assert_eq!(check(&house.theirs, &engine).await.unwrap().discrepancies, []);
    let text = sql!(
        "update message set state = 'cancelled', wake_at = null, done_at = accepted_at where tenant_id = $1 and id = $2"
    );
    break_by(&house, text, other).await;
    claim(4, &[other]).await;
    assert!(found("claim").await.contains(&Some(other)));
    assert!(engine.queue().withdraw(out));
    assert_eq!(found("lost_place").await, [Some(out)]);
}

#[tokio::test]
async fn a_message_that_memory_has_forgotten_is_named() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let (lost, _other) = (send(&house, &engine).await, send(&house, &engine).await);
    assert!(engine.queue().withdraw(lost));
    let books = check(&house.ours, &engine).await.unwrap();
    let found: Vec<_> = books.discrepancies.iter().map(|found| (found.rule, found.message)).collect();
    assert_eq!(found, [("lost_place", Some(lost))]);
}
