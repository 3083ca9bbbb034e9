//! Security events over the public doors: what strangers and thieves do is noticed, and who wants to know is told.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::House;
use testkit::mail::Sink;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Takes one request and gives its head and body.
async fn one_request(listener: TcpListener) -> String {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut text = Vec::new();
    loop {
        let mut some = [0; 4096];
        let read = socket.read(&mut some).await.unwrap();
        text.extend_from_slice(&some[..read]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length:")
                    .map(|n| n.trim().parse::<usize>().unwrap())
            });
            if read == 0 || length.is_some_and(|length| body.len() >= length) {
                socket.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                return whole;
            }
        }
    }
}

async fn noticed(house: &House, query: &str) -> Value {
    let path = format!("/api/v1/security-events?{query}");
    let first = async || house.admin.get(&path).await.expect(200)["items"][0].clone();
    house.until("it is noticed", async || first().await.is_object()).await;
    first().await
}

#[tokio::test]
async fn a_stranger_who_scans_is_the_platforms_own_event() {
    let house = House::start_with(|config| {
        config.watch.turned_away_max = 20;
        config.watch.strangers_max = 2;
    })
    .await;
    let (_, neighbour) = house.neighbour().await;
    for n in 0..25 {
        house.anonymous().get(&format!("/api/v1/messages?limit={n}")).await;
    }
    for _ in 0..3 {
        let mut socket = TcpStream::connect(house.server.smpp).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await;
        drop(read.expect("the connection is ended"));
    }
    let found = async |door: &str| {
        let page = house.admin.get("/api/v1/security-events?platform=true&kind=scanning").await.expect(200);
        page["items"].as_array().unwrap().iter().any(|one| one["detail"].as_str().unwrap().contains(door))
    };
    house.until("both doors are noticed", async || found("SMPP").await || found("HTTP").await).await;
    let event = noticed(&house, "platform=true&kind=scanning").await;
    assert_eq!((event["subject"].as_str(), event["state"].as_str()), (Some("127.0.0.1"), Some("open")));
    let own = house.admin.get("/api/v1/security-events?kind=scanning").await.expect(200);
    assert_eq!(own["items"], json!([]), "it belongs to no tenant");
    neighbour.get("/api/v1/security-events?platform=true").await.expect(403);
    let path = format!("/api/v1/security-events/{}", event["id"].as_str().unwrap());
    neighbour.get(&path).await.expect(404);
    let closed = house.admin.send("PATCH", &path, &json!({ "state": "closed" })).await;
    assert_eq!((closed.status, closed.json()["at"].as_str()), (422, Some("reason")));
    let body = json!({ "state": "closed", "reason": "test", "note": "a trial" });
    let closed = house.admin.send("PATCH", &path, &body).await.expect(200);
    assert_eq!((closed["reason"].as_str(), closed["revision"].as_i64()), (Some("test"), Some(2)));
    house.stop().await;
}

#[tokio::test]
async fn an_alert_is_mailed_and_posted_with_a_signature_that_verifies() {
    let sink = Sink::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/hook", listener.local_addr().unwrap());
    let port = sink.address.port();
    let house = House::start_with(|config| {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.port = port;
        config.mail.tls = runtime::config::Encryption::None;
        config.mail.from = "console@sms.example".to_owned();
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let users = house.admin.get("/api/v1/users").await.expect(200);
    let admin = users["items"][0]["id"].as_str().unwrap().to_owned();
    let rule = json!({ "name": "Rights", "kinds": ["privilege_change"], "severity": "high", "people": [admin], "url": hook });
    let made = house.admin.post("/api/v1/alert-rules", &rule).await.expect(201);
    let secret = made["secret"].as_str().unwrap().to_owned();
    let shown = house.admin.get(&format!("/api/v1/alert-rules/{}", made["id"].as_str().unwrap())).await;
    assert_eq!(shown.headers["etag"].to_str().unwrap(), "\"1\"");
    assert!(!shown.text.contains("whsec_"), "the secret is shown once");
    let boss = json!({ "email": "boss@example.com", "name": "Boss", "role": "tenant_admin" });
    house.admin.post("/api/v1/users", &boss).await.expect(201);
    let posted =
        tokio::time::timeout(Duration::from_secs(30), one_request(listener)).await.expect("it is posted");
    let (head, body) = posted.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let found = head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.unwrap_or_else(|| panic!("{name} is missing in {head}"))
    };
    let at = header("webhook-timestamp").parse::<i64>().unwrap() * 1_000;
    let secret = runtime::config::Secret::new(secret);
    let id = header("webhook-id");
    let expected =
        runtime::webhook::headers(&secret, &id, types::Timestamp::from_unix_ms(at), body.as_bytes());
    assert_eq!(header("webhook-signature"), expected.unwrap()[2].1);
    let told: Value = serde_json::from_str(body).unwrap();
    assert_eq!(told["type"], "security_event.raised");
    assert_eq!(told["data"]["severity"], "high");
    let mailed = || sink.taken().into_iter().find(|mail| mail.content.contains("security-events"));
    house.until("it is mailed", async || mailed().is_some()).await;
    assert_eq!(mailed().unwrap().to, ["admin@localhost"]);
    house.stop().await;
}
