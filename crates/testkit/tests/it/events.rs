//! The stream: gap-free, resumable, and its audit trail.

use std::time::Duration;

use serde_json::json;
use testkit::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn the_stream_has_no_gap_and_pages_join() {
    let house = House::start().await;
    let batch: Vec<_> =
        (0..60).map(|n| json!({ "to": format!("+336{n:08}"), "text": format!("ID{n}") })).collect();
    house.admin.post("/api/v1/messages/batch", &json!({ "messages": batch })).await.expect(202);
    house
        .until("all ended", async || {
            let sums = house.admin.get("/api/v1/messages/sums").await.json();
            sums["states"]
                .as_array()
                .is_some_and(|states| states.iter().any(|one| one["name"] == "delivered" && one["n"] == 60))
        })
        .await;
    let mut after = 0;
    let mut seen = Vec::new();
    loop {
        let page = house.admin.get(&format!("/api/v1/events?after={after}&limit=7")).await.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        if items.is_empty() {
            break;
        }
        seen.extend(items.iter().map(|event| event["seq"].as_i64().unwrap()));
        after = page["after"].as_i64().unwrap();
    }
    assert_eq!(seen, (1..=seen.len() as i64).collect::<Vec<_>>());
    let ended = house.admin.get("/api/v1/events?type=message.ended&limit=1000").await.expect(200);
    assert_eq!(ended["items"].as_array().unwrap().len(), 60);
    let unknown = house.admin.get("/api/v1/events?type=message.lost").await;
    assert_eq!((unknown.status, unknown.problem().as_str()), (400, "invalid_filter"));
    house.stop().await;
}

#[tokio::test]
async fn a_page_hears_what_happened_before_it_listened() {
    let house = House::start().await;
    let new = json!({ "name": "Other", "administrator": { "email": "ana@example.org", "name": "Ana" } });
    let made = house.admin.post("/api/v1/tenants", &new).await.expect(201);
    let cookie = house.sign_in(made["link"]["url"].as_str().unwrap()).await;
    let now = house.server.runtime.clock.now().unix_ms();
    for (since, told) in [(now, true), (now + 60_000, false)] {
        let request = format!("GET /live?since={since} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
        let mut stream = TcpStream::connect(house.server.http).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = String::new();
        let mut some = [0; 1024];
        let wait = Duration::from_millis(if told { 20_000 } else { 500 });
        while !said.contains("event: user")
            && let Ok(Ok(read @ 1..)) = timeout(wait, stream.read(&mut some)).await
        {
            said.push_str(&String::from_utf8_lossy(&some[..read]));
        }
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        assert_eq!(said.contains("event: user"), told, "{said}");
    }
    house.stop().await;
}

#[tokio::test]
async fn what_somebody_changed_is_in_the_audit_trail() {
    let house = House::start().await;
    let made =
        house.admin.post("/api/v1/smpp-accounts", &json!({ "system_id": "audited" })).await.expect(201);
    let id = made["id"].as_str().unwrap();
    house
        .admin
        .send("PATCH", &format!("/api/v1/smpp-accounts/{id}"), &json!({ "name": "After" }))
        .await
        .expect(200);
    let trail = house.admin.get("/api/v1/audit").await.expect(200);
    let entries = trail["items"].as_array().unwrap();
    let changed =
        entries.iter().find(|entry| entry["type"] == "account.changed").expect("the change is there");
    assert_eq!(changed["data"]["after"]["name"], "After");
    assert!(changed["actor"].as_str().unwrap().starts_with("key_"), "{changed}");
    assert!(changed["request_id"].is_string());
    let password = made["password"].as_str().unwrap();
    assert!(!trail.to_string().contains(password), "no secret stands in the trail");
    house.stop().await;
}
