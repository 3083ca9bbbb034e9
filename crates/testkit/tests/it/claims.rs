//! A message that finds nothing before it is claimed in the transaction that accepts it.

use std::time::Duration;

use db::{Tenancy, record};
use runtime::{Clock, Tasks};
use serde_json::json;
use simulator::smsc::{Delay, Settings, Smsc};
use testkit::House;

record! { struct Claim { at: i64, messages: String } }

/// How long the journal waits for company: two of its batches are at least so far apart.
const APART_MS: u64 = 40;

#[tokio::test]
async fn with_nothing_before_it_a_message_is_claimed_with_its_acceptance() {
    let tasks = Tasks::new();
    // A carrier that answers nobody: what is claimed stays claimed.
    let slow = Settings { latency: Delay::of_ms(600_000), ..Settings::default() };
    let centre = Smsc::start(slow, &tasks, Clock::system()).await.unwrap();
    let house = House::start_with(|config| {
        config.simulator.enabled = false;
        config.messaging.batch_delay_ms = APART_MS;
    })
    .await;
    let settings =
        json!({ "host": "127.0.0.1", "port": centre.address().port(), "system_id": "us", "window": 10 });
    let new = json!({ "name": "Carrier", "password": "secret", "settings": settings });
    let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
    house
        .admin
        .post("/api/v1/routes", &json!({ "name": "All", "rule": { "targets": [connection["id"]] } }))
        .await
        .expect(201);
    let path = format!("/api/v1/connections/{}", connection["id"].as_str().unwrap());
    house
        .until("the connection is bound", async || {
            house.admin.get(&path).await.expect(200)["status"]["state"] == "bound"
        })
        .await;
    for n in 0..3 {
        let message = json!({ "to": format!("3360000000{n}"), "text": "hello" });
        house.admin.post("/api/v1/messages", &message).await.expect(202);
    }
    house.until("all are claimed", async || claims(&house).await.len() == 3).await;
    let events = house.admin.get("/api/v1/events?type=message.accepted&limit=200").await.expect(200);
    let accepted = events["items"].as_array().unwrap();
    assert_eq!(accepted.len(), 3, "{events:#}");
    for (claim, event) in claims(&house).await.iter().zip(accepted) {
        let at = types::Timestamp::from_unix_ms(claim.at).to_string();
        assert_eq!(event["at"], json!(at), "the claim of {} is of another transaction", claim.messages);
    }
    tasks.stop(Duration::from_secs(1)).await;
    house.stop().await;
}

async fn claims(house: &House) -> Vec<Claim> {
    let mut tx = house.server.runtime.db.read(Tenancy::Every).await.unwrap();
    tx.all("select at, messages from claim order by id limit 100", vec![]).await.unwrap()
}
