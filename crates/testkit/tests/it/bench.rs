//! The load generator over HTTP accounts for every message.

use runtime::Tasks;
use serde_json::json;
use simulator::bench::{self, HttpOptions};
use testkit::House;
use testkit::house::ADMIN_KEY;

fn load(house: &House) -> HttpOptions {
    HttpOptions {
        target: format!("http://{}", house.server.http),
        key: ADMIN_KEY.to_owned(),
        connections: 8,
        count: Some(400),
        ..HttpOptions::default()
    }
}

#[tokio::test]
async fn every_message_over_http_is_accounted_for() {
    let house = House::start().await;
    let tasks = Tasks::new();
    let report = bench::http(HttpOptions { keyed: true, ..load(&house) }, &tasks).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.messages, report.response.count), (400, 400));
    let listed = house.admin.get("/api/v1/messages?limit=1&to=%2B33600000399").await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");

    // At a rate, and with a warm-up that does not count.
    let paced = HttpOptions { first_id: 1_000, count: Some(100), rate: 500, warm_up_ms: 100, ..load(&house) };
    let report = bench::http(paced, &tasks).await.unwrap();
    assert!(report.is_clean() && report.response.count < 100 && report.elapsed_s >= 0.15, "{report}");

    // What is refused is told by its code.
    let nameless = HttpOptions { source: "A NAME THAT IS TOO LONG".to_owned(), ..load(&house) };
    let report = bench::http(nameless, &tasks).await.unwrap();
    assert_eq!((report.accepted, report.refused.get("422 invalid_sender")), (0, Some(&400)), "{report}");
    assert!(!report.is_clean());

    let stranger = HttpOptions { key: "nobody".to_owned(), count: Some(5), ..load(&house) };
    let report = bench::http(stranger, &tasks).await.unwrap();
    assert_eq!(report.refused.get("401 unauthenticated"), Some(&5), "{report}");
    for wrong in [
        HttpOptions { connections: 0, ..load(&house) },
        HttpOptions { count: None, ..load(&house) },
        HttpOptions { target: "https://127.0.0.1".to_owned(), ..load(&house) },
        HttpOptions { destination: "x".to_owned(), ..load(&house) },
    ] {
        let refusal = bench::http(wrong, &tasks).await.unwrap_err();
        assert_eq!(refusal.code(), types::Code::InvalidValue, "{refusal}");
    }
    let closed = HttpOptions { target: "http://127.0.0.1:1".to_owned(), ..load(&house) };
    assert_eq!(bench::http(closed, &tasks).await.unwrap_err().code(), types::Code::Unavailable);

    let sums = house.admin.get("/api/v1/messages?limit=1&to=%2B33600000004").await.expect(200);
    assert_eq!(sums["items"][0]["text"], json!("Hello from the bench, this is message ID4."), "{sums}");
    house.stop().await;
}
