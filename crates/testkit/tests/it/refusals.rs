//! Bad input of every kind gets its documented error, and nothing happens.

use serde_json::{Value, json};
use testkit::House;

#[tokio::test]
async fn each_bad_message_has_its_own_code() {
    let house = House::start().await;
    let far = house.server.runtime.clock.now().plus_ms(400 * 86_400_000);
    let cases: Vec<(Value, u16, &str, &str)> = vec![
        (json!({ "text": "x" }), 400, "invalid_body", ""),
        (json!({ "to": "+33612345678", "txt": "x" }), 400, "unknown_field", "txt"),
        (json!({ "to": "", "text": "x" }), 422, "invalid_recipient", "to"),
        (json!({ "to": "+331234", "text": "x" }), 422, "invalid_recipient", "to"),
        (json!({ "to": "call me", "text": "x" }), 422, "invalid_recipient", "to"),
        (json!({ "to": 33612345678_i64, "text": "x" }), 400, "invalid_body", "to"),
        (json!({ "to": "+33612345678" }), 422, "empty_text", "text"),
        (json!({ "to": "+33612345678", "text": "" }), 422, "empty_text", "text"),
        (json!({ "to": "+33612345678", "text": "x".repeat(50_000) }), 422, "text_too_long", "text"),
        (json!({ "to": "+33612345678", "text": "x", "binary": "AA==" }), 422, "invalid_value", "binary"),
        (json!({ "to": "+33612345678", "binary": "not base64!" }), 422, "invalid_binary", "binary"),
        (
            json!({ "to": "+33612345678", "text": "x", "from": "A much too long name" }),
            422,
            "invalid_sender",
            "from",
        ),
        (
            json!({ "to": "+33612345678", "text": "x", "schedule_at": "2020-01-01T00:00:00Z" }),
            422,
            "invalid_schedule",
            "schedule_at",
        ),
        (
            json!({ "to": "+33612345678", "text": "x", "schedule_at": far }),
            422,
            "invalid_schedule",
            "schedule_at",
        ),
        (
            json!({ "to": "+33612345678", "text": "x", "schedule_at": "tomorrow" }),
            400,
            "invalid_body",
            "schedule_at",
        ),
        (
            json!({ "to": "+33612345678", "text": "x", "validity_s": 0 }),
            422,
            "invalid_validity",
            "validity_s",
        ),
        (json!({ "to": "+33612345678", "text": "x", "intent": "spam" }), 400, "invalid_body", "intent"),
        (
            json!({ "to": "+33612345678", "text": "x", "callback_url": "http://127.0.0.1:1/" }),
            422,
            "invalid_url",
            "callback_url",
        ),
        (
            json!({ "to": "+33612345678", "text": "x", "callback_url": "file:///etc/passwd" }),
            422,
            "invalid_url",
            "callback_url",
        ),
    ];
    for (body, status, code, at) in cases {
        let answer = house.admin.post("/api/v1/messages", &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{body}: {}", answer.text);
        let problem = answer.json();
        assert_eq!(problem["at"].as_str().unwrap_or_default(), at, "{body}");
        assert!(
            problem["detail"].as_str().is_some_and(|text| !text.is_empty()) && problem["hint"].is_string()
        );
    }
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["accepted"], 0, "a refusal never half-happens");
    house.stop().await;
}

#[tokio::test]
async fn garbage_on_the_http_port_harms_nobody() {
    let house = House::start().await;
    let json = [("content-type", "application/json")];
    let admin = &house.admin;
    for (body, code) in [
        (&b"{"[..], "invalid_body"),
        (b"\xff\xfe\x00", "invalid_body"),
        (b"[]", "invalid_body"),
        (b"null", "invalid_body"),
    ] {
        let answer = admin.ask("POST", "/api/v1/messages", &json, Some(body.to_vec())).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, code));
    }
    let answer =
        admin.ask("POST", "/api/v1/messages", &[("content-type", "text/plain")], Some(b"{}".to_vec())).await;
    assert_eq!((answer.status, answer.problem().as_str()), (415, "unsupported_media_type"));
    let huge = vec![b' '; house.server.runtime.config.http.body_bytes_max + 1];
    let answer = admin.ask("POST", "/api/v1/messages", &json, Some(huge)).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    let answer = admin.get("/api/v1/nothing").await;
    assert_eq!((answer.status, answer.problem().as_str()), (404, "not_found"));
    let answer = admin.send("PUT", "/api/v1/messages", &json!({})).await;
    assert_eq!((answer.status, answer.problem().as_str()), (405, "method_not_allowed"));
    for path in [
        "/api/v1/messages/msg_x",
        "/api/v1/messages/../../etc/passwd",
        "/api/v1/messages/usr_0000000000000",
        "/api/v1/messages?limit=0",
        "/api/v1/messages?after=x",
        "/api/v1/messages?state=lost",
        "/api/v1/messages?colour=red",
    ] {
        let answer = admin.get(path).await;
        assert!((400..=404).contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
    }
    use tokio::io::AsyncWriteExt;
    for noise in [
        &b"\x00\x01\x02\x03"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/messages HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
    ] {
        let mut socket = tokio::net::TcpStream::connect(house.server.http).await.unwrap();
        socket.write_all(noise).await.unwrap();
    }
    assert_eq!(admin.get("/health").await.status, 200);
    house.stop().await;
}

#[tokio::test]
async fn another_site_cannot_make_a_browser_write() {
    let house = House::start().await;
    let headers = [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "application/json"),
    ];
    let answer = house.admin.ask("POST", "/api/v1/messages", &headers, Some(b"{}".to_vec())).await;
    assert_eq!((answer.status, answer.problem().as_str()), (403, "cross_site"));
    house.stop().await;
}

#[tokio::test]
async fn the_program_says_how_it_is() {
    let house = House::start().await;
    let ready = house.anonymous().get("/ready").await.expect(200);
    assert_eq!((&ready["ready"], &ready["database"]), (&json!(true), &json!(true)));
    let metrics = house.anonymous().get("/metrics").await;
    assert!(
        metrics.status == 200 && metrics.text.contains("switchboard_http_requests_total"),
        "{}",
        metrics.text
    );
    house.stop().await;
}
