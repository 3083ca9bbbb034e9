//! A keyed request happens once, and is answered the same for ever.

use serde_json::json;
use testkit::House;

#[tokio::test]
async fn a_repetition_gets_the_first_answer_byte_for_byte() {
    let house = House::start().await;
    let body = json!({ "to": "+33612345678", "text": "once" });
    let first = house.admin.post_keyed("/api/v1/messages", "order-1", &body).await;
    let second = house.admin.post_keyed("/api/v1/messages", "order-1", &body).await;
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.text, second.text);
    assert_eq!(second.headers.get("idempotent-replayed").unwrap(), "true");

    let other = house
        .admin
        .post_keyed("/api/v1/messages", "order-1", &json!({ "to": "+33612345678", "text": "twice" }))
        .await;
    assert_eq!((other.status, other.problem().as_str()), (422, "idempotency_key_reused"));

    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["accepted"], 1);
    house.stop().await;
}

#[tokio::test]
async fn many_at_once_with_one_key_happen_once() {
    let house = House::start().await;
    let body = json!({ "to": "+33612345678", "text": "once" });
    let asked = (0..12).map(|_| house.admin.post_keyed("/api/v1/messages", "storm", &body));
    let answers = futures::future::join_all(asked).await;
    let ids: std::collections::HashSet<_> =
        answers.iter().filter(|answer| answer.status == 202).map(|answer| answer.text.clone()).collect();
    assert_eq!(ids.len(), 1, "one message, however often it was asked for");
    assert!(answers.iter().all(|answer| matches!(answer.status, 202 | 409)));
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["accepted"], 1);
    house.stop().await;
}

#[tokio::test]
async fn keyed_changes_of_records_happen_once() {
    let house = House::start().await;
    let new = json!({ "system_id": "keyed", "name": "Keyed" });
    let first = house.admin.post_keyed("/api/v1/smpp-accounts", "account-1", &new).await;
    let second = house.admin.post_keyed("/api/v1/smpp-accounts", "account-1", &new).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json()["id"], second.json()["id"]);
    house.stop().await;
}
