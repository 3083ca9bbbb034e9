//! The limits of the HTTP port: connections, slow clients, rates, streams.

use std::time::Duration;

use serde_json::json;
use testkit::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

/// What the server says until it closes, which it must soon.
async fn last_words(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end, too.
    drop(timeout(SOON, stream.read_to_end(&mut said)).await.expect("the server closes the connection"));
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_client_that_is_slow_to_ask_is_cut_off() {
    let house = House::start_with(|config| config.http.header_timeout_ms = 300).await;
    // Silence; an octet that could begin either version of HTTP; headers that do not end.
    for begun in ["", "P", "GET /health HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(house.server.http).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let said = last_words(&mut stream).await;
        assert!(!said.contains("200 OK"), "{begun:?}: {said}");
    }
    // Who asks in time and then waits for the answer is no slow client, and may ask again.
    let mut stream = TcpStream::connect(house.server.http).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer[..], b"HTTP/1.1 200");
        while timeout(Duration::from_millis(50), stream.read_u8()).await.is_ok() {}
    }
    house.stop().await;
}

#[tokio::test]
async fn the_next_connection_waits_until_another_ends() {
    let house = House::start_with(|config| config.http.connections_max = 2).await;
    let ask = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    // The house's own client holds one connection open.
    let first = TcpStream::connect(house.server.http).await.unwrap();
    let mut second = TcpStream::connect(house.server.http).await.unwrap();
    second.write_all(ask).await.unwrap();
    let mut octet = [0; 1];
    let answered = timeout(Duration::from_millis(300), second.read(&mut octet)).await;
    assert!(answered.is_err(), "both places are taken");
    drop(first);
    assert!(last_words(&mut second).await.starts_with("HTTP/1.1 200"));
    house.stop().await;
}

#[tokio::test]
async fn who_asks_too_fast_is_told_when_to_come_again() {
    let house = House::start_with(|config| {
        config.http.rate_per_second = 1;
        config.http.rate_burst = 40;
    })
    .await;
    let key = house.key(&["message.view"]).await;
    let other = house.key(&["message.view"]).await;
    let mut answers = Vec::new();
    for _ in 0..45 {
        answers.push(key.get("/api/v1/me").await);
    }
    assert_eq!(answers[0].status, 200);
    // Every answer tells how it stands, not only the refusal.
    assert_eq!(answers[0].headers["ratelimit-policy"].to_str().unwrap(), "\"default\";q=40;w=40");
    assert_eq!(answers[0].headers["ratelimit"].to_str().unwrap(), "\"default\";r=39;t=1");
    let refused = answers.last().unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too_many_requests"));
    let header = |name: &str| refused.headers[name].to_str().unwrap();
    assert_eq!(header("retry-after"), "1");
    assert_eq!(header("ratelimit-policy"), "\"default\";q=40;w=40");
    assert_eq!(header("ratelimit"), "\"default\";r=0;t=1");
    other.get("/api/v1/me").await.expect(200);
    house.stop().await;
}

#[tokio::test]
async fn a_tenant_and_an_address_have_limits_of_their_own() {
    let house = House::start_with(|config| {
        config.http.tenant_rate_per_second = 1;
        config.http.tenant_rate_burst = 30;
    })
    .await;
    let keys = [house.key(&["message.view"]).await, house.key(&["message.view"]).await];
    let mut last = None;
    for n in 0..40 {
        last = Some(keys[n % 2].get("/api/v1/me").await);
    }
    let refused = last.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too_many_requests"));
    assert_eq!(refused.headers["ratelimit-policy"].to_str().unwrap(), "\"tenant\";q=30;w=30");
    assert!(refused.headers.contains_key("retry-after"));
    house.stop().await;

    let house = House::start_with(|config| {
        config.http.address_rate_per_second = 1;
        config.http.address_rate_burst = 30;
    })
    .await;
    let mut last = None;
    for _ in 0..40 {
        last = Some(house.anonymous().get("/api/v1/me").await);
    }
    let refused = last.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too_many_requests"));
    assert_eq!(refused.headers["ratelimit"].to_str().unwrap(), "\"address\";r=0;t=1");
    assert_eq!(house.anonymous().get("/health").await.status, 200, "who watches is not asked");
    house.stop().await;
}

#[tokio::test]
async fn streams_are_counted_and_kept_open_by_a_heartbeat() {
    let house = House::start_with(|config| {
        config.live.clients_max = 1;
        config.live.heartbeat_ms = 100;
    })
    .await;
    let after = house.admin.get("/api/v1/events?limit=1000").await.expect(200)["after"].clone();
    let request = format!(
        "GET /api/v1/events?after={after} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer {}\r\n\r\n",
        testkit::house::ADMIN_KEY
    );
    let mut first = TcpStream::connect(house.server.http).await.unwrap();
    first.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    while !said.contains("\n:") {
        let mut some = [0; 1024];
        let read = timeout(SOON, first.read(&mut some)).await.expect("a heartbeat").unwrap();
        assert!(read > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&some[..read]));
    }
    let follow = || house.admin.ask("GET", "/api/v1/events", &[("accept", "text/event-stream")], None);
    let second = follow().await;
    assert_eq!((second.status, second.problem().as_str()), (503, "unavailable"));
    assert!(second.headers.contains_key("retry-after"));
    house.admin.get("/api/v1/events").await.expect(200);
    drop(first);
    house
        .until("the place is free again", async || {
            let mut stream = TcpStream::connect(house.server.http).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
            &answer[..] == b"HTTP/1.1 200"
        })
        .await;
    house.stop().await;
}

#[tokio::test]
async fn metrics_are_for_the_networks_that_are_named() {
    let house = House::start_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    for (from, status) in [("127.0.0.1", 200), ("::1", 200), ("198.51.100.7", 403)] {
        let answer = house.anonymous().ask("GET", "/metrics", &[("x-forwarded-for", from)], None).await;
        assert_eq!(answer.status, status, "{from}: {}", answer.text);
        assert_eq!(answer.text.contains("switchboard_"), status == 200, "{}", answer.text);
    }
    house.stop().await;
}

#[tokio::test]
async fn a_proxys_word_counts_where_it_is_trusted() {
    for (trusted, expected) in [(true, "198.51.100.7"), (false, "127.0.0.1")] {
        let house = House::start_with(|config| {
            if trusted {
                config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
            }
        })
        .await;
        let body = serde_json::to_vec(&json!({ "system_id": "seen" })).unwrap();
        let headers =
            [("content-type", "application/json"), ("x-forwarded-for", "203.0.113.1, 198.51.100.7")];
        house.admin.ask("POST", "/api/v1/smpp-accounts", &headers, Some(body)).await.expect(201);
        let trail = house.admin.get("/api/v1/audit").await.expect(200);
        let entries = trail["items"].as_array().unwrap();
        let created = entries
            .iter()
            .find(|entry| entry["type"] == "account.created" && entry["from"] != serde_json::Value::Null);
        assert_eq!(created.expect("the change is there")["from"], expected, "{trail}");
        house.stop().await;
    }
}
