use db::{Tenancy, args};
use serde_json::json;
use types::{Code, MessageId};

use super::{Entry, congestion};
use crate::engine::Engine;
use crate::message::cancel;
use crate::tests::House;

#[test]
fn congestion_is_the_share_of_places_taken() {
    let told = [0, 79, 80, 7_999, 8_000, 9_000].map(|waiting| congestion(waiting, 8_000));
    assert_eq!(told, [0, 0, 1, 99, 100, 100]);
}

/// Takes a table away that every batch needs, or brings it back.
async fn rename(house: &House, text: &'static str) {
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    tx.execute(text, args![]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Waits until a message is in its lane.
async fn in_its_lane(engine: &Engine, id: MessageId) {
    for _ in 0..1_000 {
        if engine.queue().has_place(id) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{id} has no place");
}

#[tokio::test]
async fn what_a_failed_batch_took_from_its_lane_comes_back() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let id = house.send(&engine, json!({ "to": "+33612345678", "text": "Hello" })).await;
    assert!(engine.queue().has_place(id));
    rename(&house, "alter table tally rename to tally_away").await;
    assert_eq!(cancel::cancel(&house.ours, &engine, id).await.unwrap_err().code(), Code::Internal);
    assert!(!engine.queue().withdraw(id), "it is out of its lane");
    rename(&house, "alter table tally_away rename to tally").await;
    in_its_lane(&engine, id).await;
    rename(&house, "alter table tally rename to tally_away").await;
    let hold = Entry::Hold { tenant: house.ours.tenant(), messages: vec![id], by: "Ana".to_owned() };
    assert!(engine.journal().write(hold).await.is_err());
    rename(&house, "alter table tally_away rename to tally").await;
    in_its_lane(&engine, id).await;
    let books = crate::accounting::check(&house.ours, &engine).await.unwrap();
    assert!(books.balanced, "{:?}", books.discrepancies);
    cancel::cancel(&house.ours, &engine, id).await.unwrap();
}
