//! The queue over public doors: pauses, holds, dead letters, and the books.

use db::{Tenancy, args, sql};
use serde_json::{Value, json};
use testkit::House;

async fn send(house: &House, to: &str) -> String {
    let message = json!({ "to": to, "from": "ACME", "text": "Hello" });
    let accepted = house.admin.post("/api/v1/messages", &message).await.expect(202);
    accepted["id"].as_str().unwrap().to_owned()
}

async fn message(house: &House, id: &str) -> Value {
    house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200)
}

#[tokio::test]
async fn a_paused_connection_keeps_messages_and_resumes() {
    let house = House::start().await;
    let connections = house.admin.get("/api/v1/connections").await.json();
    let target = connections["items"][0]["id"].clone();
    let new = json!({ "kind": "connection", "target": target, "reason": "The carrier asked" });
    let pause = house.admin.post("/api/v1/pauses", &new).await.expect(201);
    let id = send(&house, "+33612345678").await;
    house.until("it rests", async || message(&house, &id).await["paused_by"] == pause["id"]).await;
    assert_eq!(message(&house, &id).await["state"], "queued");
    let why = house.admin.get(&format!("/api/v1/messages/{id}/why")).await.expect(200);
    assert_eq!(why["paused"]["reason"], "The carrier asked");
    let queue = house.admin.get("/api/v1/queue").await.expect(200);
    assert_eq!((&queue["paused"], &queue["connections"][0]["state"]), (&json!(1), &json!("paused")));

    let (_, neighbour) = house.neighbour().await;
    let theirs = neighbour.get("/api/v1/queue").await.expect(200);
    assert_eq!((&theirs["paused"], &theirs["pauses"], theirs.get("tenants")), (&json!(0), &json!([]), None));

    house.admin.delete(&format!("/api/v1/pauses/{}", pause["id"].as_str().unwrap())).await.expect(204);
    house.until("it is delivered", async || message(&house, &id).await["state"] == "delivered").await;
    let books = house.admin.get("/api/v1/accounting").await.expect(200);
    assert_eq!(books["balanced"], true, "{books}");
    house.stop().await;
}

#[tokio::test]
async fn what_is_held_is_cancelled_or_released() {
    let house = House::start().await;
    house.admin.post("/api/v1/pauses", &json!({ "kind": "tenant" })).await.expect(201);
    let (first, second) = (send(&house, "+33612345678").await, send(&house, "+33612345679").await);
    let hold = json!({ "to": "+33612345678" });
    let held = house.admin.post("/api/v1/queue/hold", &hold).await.expect(200);
    assert_eq!(held, json!({ "done": 1, "passed_over": 0, "more": false }));
    assert_eq!(message(&house, &first).await["state"], "scheduled");
    house.admin.post("/api/v1/queue/release", &hold).await.expect(200);
    let cancelled = house.admin.post("/api/v1/queue/cancel", &json!({ "ids": [second] })).await.expect(200);
    assert_eq!(cancelled["done"], 1);
    assert_eq!(message(&house, &second).await["state"], "cancelled");
    let nothing = house.admin.post("/api/v1/queue/cancel", &json!({})).await;
    assert_eq!((nothing.status, nothing.problem().as_str()), (422, "invalid_value"));
    house.stop().await;
}

#[tokio::test]
async fn what_never_left_is_sent_again_as_another() {
    let house = House::start().await;
    let pause = house.admin.post("/api/v1/pauses", &json!({ "kind": "tenant" })).await.expect(201);
    let message_of = json!({ "to": "+33612345678", "text": "Late", "validity_s": 1 });
    let accepted = house.admin.post("/api/v1/messages", &message_of).await.expect(202);
    let id = accepted["id"].as_str().unwrap().to_owned();
    house.until("it expires", async || message(&house, &id).await["state"] == "expired").await;
    let dead = house.admin.get("/api/v1/dead-letters?class=never_left").await.expect(200);
    assert_eq!(dead["items"][0]["id"], json!(id));
    let reasons = house.admin.get("/api/v1/dead-letters/reasons").await.expect(200);
    assert_eq!((&reasons[0]["class"], &reasons[0]["n"]), (&json!("never_left"), &json!(1)));
    let csv = house.admin.get("/api/v1/dead-letters/export").await;
    assert!(csv.status == 200 && csv.text.contains(&id), "{}", csv.text);

    house.admin.delete(&format!("/api/v1/pauses/{}", pause["id"].as_str().unwrap())).await.expect(204);
    let asked = json!({ "filter": { "class": "never_left" }, "validity_s": 600 });
    let done = house.admin.post("/api/v1/dead-letters/redrive", &asked).await.expect(200);
    let new = done["redriven"][0]["new"].as_str().unwrap().to_owned();
    house.until("it is delivered", async || message(&house, &new).await["state"] == "delivered").await;
    assert_eq!(message(&house, &new).await["redrive_of"], json!(id));
    let again = house.admin.post("/api/v1/dead-letters/redrive", &json!({ "ids": [id] })).await.expect(200);
    assert_eq!(again["refused"][0]["error"]["code"], "conflict");
    let books = house.admin.get("/api/v1/accounting").await.expect(200);
    assert_eq!(books["balanced"], true, "{books}");
    house.stop().await;
}

#[tokio::test]
async fn a_callback_that_nobody_took_is_seen_and_run_again() {
    let house = House::start_with(|config| {
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.jobs.attempts_max = 1;
    })
    .await;
    let message_of =
        json!({ "to": "+33612345678", "text": "Hello", "callback_url": "http://127.0.0.1:1/hook?secret=x" });
    house.admin.post("/api/v1/messages", &message_of).await.expect(202);
    let dead = async || house.admin.get("/api/v1/dead-jobs").await.expect(200);
    house.until("the callback is dead", async || dead().await["items"][0]["id"].is_string()).await;
    let job = dead().await["items"][0].clone();
    assert_eq!(
        (&job["kind"], &job["url"]),
        (&json!("messaging.callback"), &json!("http://127.0.0.1:1/hook"))
    );
    let (_, neighbour) = house.neighbour().await;
    let theirs =
        neighbour.post("/api/v1/dead-jobs/discard", &json!({ "ids": [job["id"]] })).await.expect(200);
    assert_eq!(theirs["done"], 0);
    let again =
        house.admin.post("/api/v1/dead-jobs/redrive", &json!({ "ids": [job["id"]] })).await.expect(200);
    assert_eq!(again["done"], 1);
    house
        .until("it is dead once more", async || {
            dead().await["items"][0]["dead_since"].as_str() > job["dead_since"].as_str()
        })
        .await;
    let gone = house.admin.post("/api/v1/dead-jobs/discard", &json!({ "all": true })).await.expect(200);
    assert_eq!((&gone["done"], &dead().await["items"]), (&json!(1), &json!([])));
    house.stop().await;
}

#[tokio::test]
async fn a_broken_row_is_named_by_the_check_and_by_the_watch() {
    let house = House::start_with(|config| config.messaging.accounting_every_s = 1).await;
    let id = send(&house, "+33612345678").await;
    house.until("it is delivered", async || message(&house, &id).await["state"] == "delivered").await;
    let watch = async || house.admin.get("/api/v1/accounting/watch").await.expect(200);
    house.until("the watch has looked", async || watch().await["balanced"] == true).await;
    let mut tx = house.server.runtime.db.write(Tenancy::Every).await.unwrap();
    let raw: types::MessageId = id.parse().unwrap();
    tx.execute(
        sql!("update message set state = 'queued' where id = $1 /* every tenant: the test breaks a row */"),
        args![raw],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let books = house.admin.get("/api/v1/accounting").await.expect(200);
    assert_eq!((&books["balanced"], &books["discrepancies"][0]["message"]), (&json!(false), &json!(id)));
    house.until("the watch has seen it", async || watch().await["balanced"] == false).await;
    assert_eq!(watch().await["unbalanced"][0]["message"], json!(id));
    let ready = house.anonymous().get("/ready").await.expect(200);
    assert_eq!((&ready["ready"], &ready["balanced"]), (&json!(true), &json!(false)));
    let metrics = house.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("switchboard_accounting_unbalanced_tenants 1"), "{metrics}");
    let offline = messaging::accounting::verify(&house.server.runtime.db, house.server.runtime.clock.now());
    let offline = offline.await.unwrap();
    assert!(offline.iter().any(|books| books.discrepancies.iter().any(|found| found.message == Some(raw))));
    house.stop().await;
}
