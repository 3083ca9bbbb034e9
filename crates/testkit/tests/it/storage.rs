//! When the disk is full, when the database is locked, when a carrier talks nonsense: refused in words, nothing lost, and on it goes.

use std::time::Duration;

use db::{Db, Options, Tenancy, record};
use serde_json::{Value, json};
use testkit::House;

record! { struct Pages { page_count: i64 } }
record! { struct Count { n: i64 } }

const OPEN: [&str; 3] = ["queued", "sent", "indeterminate"];

/// Waits until each message has come to its end; says how far those are that have not.
async fn all_ended(house: &House) {
    for _ in 0..400 {
        let sums = house.admin.get("/api/v1/messages/sums").await.json();
        let open = |state: &Value| OPEN.contains(&state["name"].as_str().unwrap_or_default());
        if sums["balanced"] == true
            && !sums["states"].as_array().is_some_and(|states| states.iter().any(open))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut left = Vec::new();
    for state in OPEN {
        let some = house.admin.get(&format!("/api/v1/messages?state={state}&limit=3")).await.json();
        for message in some["items"].as_array().into_iter().flatten() {
            let id = message["id"].as_str().unwrap_or_default();
            let timeline = house.admin.get(&format!("/api/v1/messages/{id}/timeline")).await.json();
            left.push(format!("{message:#}\n{timeline:#}"));
        }
    }
    panic!("after 20 seconds these are still open:\n{}", left.join("\n"));
}

#[tokio::test]
async fn what_a_look_sees_does_not_change_under_it() {
    let house = House::start().await;
    let messages = "select count(*) as n from message";
    let mut look = house.server.runtime.db.read(Tenancy::Every).await.unwrap();
    let before: Count = look.one(messages, vec![]).await.unwrap();
    house.admin.post("/api/v1/messages", &json!({ "to": "+33612345678", "text": "Hello" })).await.expect(202);
    let after: Count = look.one(messages, vec![]).await.unwrap();
    assert_eq!(after.n, before.n, "sums of several statements would not agree");
    drop(look);
    let mut look = house.server.runtime.db.read(Tenancy::Every).await.unwrap();
    let next: Count = look.one(messages, vec![]).await.unwrap();
    assert_eq!(next.n, before.n + 1);
    drop(look);
    house.stop().await;
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    if testkit::house::on_postgres() {
        return;
    }
    let house = House::start().await;
    let db = &house.server.runtime.db;
    let mut tx = db.write(Tenancy::Every).await.unwrap();
    let Pages { page_count } = tx.one("select page_count from pragma_page_count", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    // SQLite answers as on a full disk when the file may not grow.
    limit(db, page_count + 20).await;
    let text = "x".repeat(1_000);
    let mut accepted = 0;
    let mut refused = None;
    for n in 0..2_000 {
        let answer =
            house.admin.post("/api/v1/messages", &json!({ "to": format!("+336{n:08}"), "text": text })).await;
        match answer.status {
            202 => accepted += 1,
            _ => {
                refused = Some(answer);
                break;
            }
        }
    }
    let refused = refused.expect("the disk filled up");
    assert_eq!((refused.status, refused.problem().as_str()), (503, "storage_full"));
    assert_eq!(house.admin.get("/health").await.status, 200);
    limit(db, 1 << 30).await;
    house.admin.post("/api/v1/messages", &json!({ "to": "+33699999999", "text": "again" })).await.expect(202);
    all_ended(&house).await;
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(
        sums["accepted"],
        accepted + 1,
        "what was accepted is all there, what was refused is not: {sums}"
    );
    house.stop().await;
}

async fn limit(db: &Db, pages: i64) {
    // The writer is one connection, so the limit is its own.
    let mut tx = db.write(Tenancy::Every).await.unwrap();
    let text: &'static str = format!("pragma max_page_count = {pages}").leak();
    tx.execute(text, vec![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_locked_database_is_waited_for_and_then_refused() {
    if testkit::house::on_postgres() {
        return;
    }
    let house = House::start_with(|config| config.database.busy_timeout_ms = 300).await;
    let url = house.server.runtime.config.database_url();
    let other = Db::open(url.expose(), &Options::default()).await.unwrap();
    let lock = other.write(Tenancy::Every).await.unwrap();
    let answer =
        house.admin.post("/api/v1/messages", &json!({ "to": "+33612345678", "text": "locked out" })).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "database_busy"));
    drop(lock);
    house
        .until("it is accepted again", async || {
            house.admin.post("/api/v1/messages", &json!({ "to": "+33612345678", "text": "in" })).await.status
                == 202
        })
        .await;
    all_ended(&house).await;
    other.close().await;
    house.stop().await;
}

#[tokio::test]
async fn a_carrier_that_talks_nonsense_harms_nobody() {
    // A lost bind takes its whole window along, so many tries come together; their pauses are kept short here.
    let house = House::start_with(|config| {
        config.messaging.retry_min_ms = 100;
    })
    .await;
    let simulator = house.server.simulator.clone().unwrap();
    let connection =
        house.admin.get("/api/v1/connections").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let quick = json!({ "settings": { "response_timeout_ms": 500, "reconnect_min_ms": 20, "reconnect_max_ms": 100 } });
    house.admin.send("PATCH", &format!("/api/v1/connections/{connection}"), &quick).await.expect(200);
    simulator.change(|settings| {
        settings.nonsense_percent = 10.0;
        settings.drop_after_accept_percent = 2.0;
        settings.out_of_order_percent = 10.0;
    });
    let messages: Vec<_> =
        (0..200).map(|n| json!({ "to": format!("+336{n:08}"), "text": format!("ID{n}") })).collect();
    house.admin.post("/api/v1/messages/batch", &json!({ "messages": messages })).await.expect(202);
    tokio::time::sleep(Duration::from_secs(2)).await;
    simulator.change(|settings| {
        settings.nonsense_percent = 0.0;
        settings.drop_after_accept_percent = 0.0;
    });
    all_ended(&house).await;
    assert_eq!(simulator.missing(0..200), Vec::<u64>::new(), "each came to the carrier");
    assert_eq!(simulator.counts().undeliverable, 0, "no receipt was refused for good");
    house.stop().await;
}
