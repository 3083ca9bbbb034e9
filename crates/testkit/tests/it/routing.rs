//! Routing over the public doors: conditions, strategies, fail-over from a silent carrier, versions, drafts, trials.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use runtime::{Clock, Tasks};
use serde_json::{Value, json};
use simulator::{Settings, Smsc};
use testkit::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A network between us and a carrier that can go silent: it stays connected and carries nothing any more.
struct Line {
    address: SocketAddr,
    silent: watch::Sender<bool>,
}

impl Line {
    async fn to(carrier: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, _) = watch::channel(false);
        let heard = silent.clone();
        #[expect(clippy::disallowed_methods, reason = "a test's own task")]
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(carrier).await else { continue };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::spawn(carry(near_in, far_out, heard.subscribe()));
                tokio::spawn(carry(far_in, near_out, heard.subscribe()));
            }
        });
        Self { address, silent }
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut silent: watch::Receiver<bool>,
) {
    let mut octets = vec![0; 4096];
    loop {
        if silent.wait_for(|silent| !silent).await.is_err() {
            return;
        }
        let read = tokio::select! {
            read = from.read(&mut octets) => read,
            _ = silent.wait_for(|silent| *silent) => continue,
        };
        match read {
            Ok(read) if read > 0 => {
                if silent.wait_for(|silent| !silent).await.is_err()
                    || to.write_all(&octets[..read]).await.is_err()
                {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// A carrier of its own, not the house's simulator.
async fn carrier() -> (Smsc, Tasks) {
    let tasks = Tasks::new();
    let smsc = Smsc::start(Settings::default(), &tasks, Clock::system()).await.unwrap();
    (smsc, tasks)
}

async fn connect(house: &House, name: &str, address: SocketAddr) -> String {
    let settings = json!({
        "host": "127.0.0.1", "port": address.port(), "system_id": "us", "window": 10,
        "enquire_link_ms": ENQUIRE_MS, "enquire_missed_max": 2, "response_timeout_ms": 4_000,
        "reconnect_min_ms": 50, "reconnect_max_ms": 200,
    });
    let new = json!({ "name": name, "settings": settings });
    let made = house.admin.post("/api/v1/connections", &new).await.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    house
        .until("it is bound", async || {
            house.admin.get(&format!("/api/v1/connections/{id}")).await.json()["status"]["state"] == "bound"
        })
        .await;
    id
}

/// The pause before an enquire_link on the connections of these tests.
const ENQUIRE_MS: u64 = 1_500;

async fn send(house: &House, to: &str, text: &str, intent: &str) -> String {
    let body = json!({ "to": to, "text": text, "intent": intent });
    house.admin.post("/api/v1/messages", &body).await.expect(202)["id"].as_str().unwrap().to_owned()
}

async fn message(house: &House, id: &str) -> Value {
    house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200)
}

#[tokio::test]
async fn a_silent_carrier_is_left_within_one_enquire_period() {
    let house = House::start_with(|config| {
        config.messaging.retry_min_ms = 100;
        config.messaging.retry_max_ms = 200;
    })
    .await;
    let ((first, _first), (second, _second)) = (carrier().await, carrier().await);
    let line = Line::to(first.address()).await;
    let silent = connect(&house, "First", line.address).await;
    let sound = connect(&house, "Second", second.address()).await;
    let rule = json!({ "recipient_prefixes": ["336"], "targets": [silent, sound] });
    let route = json!({ "name": "Both", "priority": 900, "rule": rule });
    house.admin.post("/api/v1/routes", &route).await.expect(201);
    let before = send(&house, "+33600000000", "before", "transactional").await;
    house
        .until("the first carrier works", async || message(&house, &before).await["state"] == "delivered")
        .await;
    assert_eq!(message(&house, &before).await["connection"], silent);

    line.silent.send(true).unwrap();
    let begun = Instant::now();
    // More than its window holds: what stands behind must not wait for the window's time-outs.
    let mut ids = Vec::new();
    for n in 0..30 {
        let intent = if n % 2 == 0 { "transactional" } else { "marketing" };
        ids.push((send(&house, &format!("+336000001{n:02}"), "during", intent).await, intent));
    }
    house
        .until("the silent one is left", async || {
            let tried = house.admin.post("/api/v1/routes/try", &json!({ "to": "+33600000000" })).await.json();
            tried["chosen"]["connection"] == sound.as_str()
                && tried["looked_at"][0]["passed_over"][0]["state"] == "down"
        })
        .await;
    let left = begun.elapsed();
    // Its own rhythm of looking, and that of this test, come on top.
    assert!(left < Duration::from_millis(ENQUIRE_MS + 600), "it took {left:?}");
    house
        .until("what waited went through the other", async || {
            let mut delivered = 0;
            for (id, _) in &ids {
                delivered += usize::from(message(&house, id).await["state"] == "delivered");
            }
            delivered >= 20
        })
        .await;
    assert!(
        begun.elapsed() < Duration::from_millis(4_000),
        "before the first time-outs: {:?}",
        begun.elapsed()
    );
    let after = send(&house, "+33600000002", "after", "marketing").await;
    house
        .until("a new one goes through the other", async || {
            message(&house, &after).await["state"] == "delivered"
        })
        .await;
    assert_eq!(message(&house, &after).await["connection"], sound.as_str());

    what_was_out_follows_its_intent(&house, &ids, &sound).await;
    assert_eq!(house.admin.get("/api/v1/messages/sums").await.expect(200)["balanced"], true);
    house.stop().await;
}

/// What was out and stays unanswered is sent again by the other where its intent allows that, and unknown where not.
async fn what_was_out_follows_its_intent(house: &House, ids: &[(String, &str)], sound: &str) {
    house
        .until("each came to what its intent says", async || {
            let mut settled = true;
            for (id, intent) in ids {
                let message = message(house, id).await;
                settled &= message["state"] == "delivered"
                    || (*intent == "marketing" && message["state"] == "indeterminate");
            }
            settled
        })
        .await;
    let mut unknown = 0;
    for (id, intent) in ids {
        let message = message(house, id).await;
        unknown += usize::from(message["state"] == "indeterminate");
        if *intent == "transactional" {
            assert_eq!(message["connection"], sound);
        }
    }
    assert!((1..=10).contains(&unknown), "no more than a window: {unknown}");
}

#[tokio::test]
async fn turns_and_conditions_decide_and_say_why() {
    let house = House::start().await;
    let ((first, _first), (second, _second)) = (carrier().await, carrier().await);
    let one = connect(&house, "One", first.address()).await;
    let two = connect(&house, "Two", second.address()).await;
    let codes = json!({ "traffic": ["otp"], "countries": ["FR"], "targets": [two] });
    house
        .admin
        .post("/api/v1/routes", &json!({ "name": "Codes", "priority": 900, "rule": codes }))
        .await
        .expect(201);
    let turns = json!({ "countries": ["FR"], "strategy": "weighted", "targets": [
        { "connection": one, "weight": 3, "cost": { "amount_milli": 3500, "currency": "eur" } }, { "connection": two },
    ]});
    let made = house
        .admin
        .post("/api/v1/routes", &json!({ "name": "Turns", "priority": 800, "rule": turns }))
        .await
        .expect(201);
    assert_eq!(made["rule"]["targets"][0]["cost"]["currency"], "EUR");

    let code = send(&house, "+33600000001", "Your code is 482913", "transactional").await;
    let why = house.admin.get(&format!("/api/v1/messages/{code}/why")).await.expect(200);
    assert_eq!((&why["connection"], &why["traffic"]["traffic"]), (&json!(two), &json!("otp")));
    let mut shares = std::collections::HashMap::new();
    for n in 0..8 {
        let id = send(&house, &format!("+3360000010{n}"), "See you at the station", "transactional").await;
        let why = house.admin.get(&format!("/api/v1/messages/{id}/why")).await.expect(200);
        *shares.entry(why["connection"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        let turns = &why["then"][1];
        assert_eq!(
            (&turns["name"], &turns["passed_over"][0]["why"]),
            (&json!("Turns"), &json!("not_its_turn"))
        );
        assert_eq!(why["then"][0]["verdict"], "other_traffic");
    }
    assert_eq!(shares, std::collections::HashMap::from([(one, 6), (two, 2)]));
    house.stop().await;
}

/// A look-up service that knows every number as ported to one network.
async fn lookup_double() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test's own task")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            let body = r#"{"mcc":"208","mnc":"20","ported":true}"#;
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_ported_number_goes_by_its_network() {
    let house = House::start_with(|config| {
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let (other, _tasks) = carrier().await;
    let theirs = connect(&house, "Theirs", other.address()).await;
    let rule = json!({ "networks": ["208-20"], "targets": [theirs] });
    house
        .admin
        .post("/api/v1/routes", &json!({ "name": "Ported", "priority": 900, "rule": rule }))
        .await
        .expect(201);
    let csv = "prefix,mcc,mnc,name,country\n33612,208,01,Orange,FR";
    let imported = house.admin.send("PUT", "/api/v1/number-plan", &json!({ "csv": csv })).await.expect(200);
    assert_eq!(imported["lines"], 1);
    let by_plan = send(&house, "+33612345678", "hello", "transactional").await;
    let why = house.admin.get(&format!("/api/v1/messages/{by_plan}/why")).await.expect(200);
    assert_eq!(
        (&why["network"]["code"], &why["then"][0]["verdict"]),
        (&json!("208-01"), &json!("other_network"))
    );

    let service = json!({ "name": "Hub", "secret_headers": { "X-Key": "hunter2!" }, "settings": {
        "url": format!("http://{}/{{number}}", lookup_double().await), "prefixes": ["336"], "ported": "/ported",
    }});
    let made = house.admin.post("/api/v1/lookup-providers", &service).await.expect(201);
    assert!(!made.to_string().contains("hunter2!"));
    let ported = send(&house, "+33612345678", "hello", "transactional").await;
    let why = house.admin.get(&format!("/api/v1/messages/{ported}/why")).await.expect(200);
    assert_eq!((&why["connection"], &why["network"]["ported"]), (&json!(theirs), &json!(true)));
    let looked = house.admin.post("/api/v1/lookups", &json!({ "number": "+33612345678" })).await.expect(200);
    assert_eq!((&looked["network"]["source"], &looked["asked"]), (&json!("lookup"), &json!([])));
    house.stop().await;
}

#[tokio::test]
async fn changes_are_staged_compared_replayed_and_undone() {
    let house = House::start().await;
    let (other, _tasks) = carrier().await;
    let next = connect(&house, "Next", other.address()).await;
    let id = send(&house, "+33600000001", "hello", "transactional").await;
    house.until("it went", async || message(&house, &id).await["state"] == "delivered").await;
    send(&house, "+4915100000001", "hallo", "transactional").await;

    let draft = house.admin.post("/api/v1/route-draft", &json!({})).await.expect(201);
    let mut routes = draft["routes"].as_array().unwrap().clone();
    routes.push(
        json!({ "name": "France", "priority": 900, "rule": { "countries": ["FR"], "targets": [next] } }),
    );
    house.admin.send("PUT", "/api/v1/route-draft", &json!({ "routes": routes })).await.expect(200);
    let diff = house.admin.get("/api/v1/route-draft/diff").await.expect(200);
    assert_eq!(
        (&diff["added"][0]["name"], &diff["changed"], &diff["removed"]),
        (&json!("France"), &json!([]), &json!([]))
    );
    let replayed = house.admin.get("/api/v1/route-draft/replay?messages=100").await.expect(200);
    assert_eq!((&replayed["messages"], &replayed["moved"]), (&json!(2), &json!(1)));
    let share =
        replayed["by_connection"].as_array().unwrap().iter().find(|one| one["connection"] == next.as_str());
    assert_eq!((&share.unwrap()["before"], &share.unwrap()["after"]), (&json!(0), &json!(1)));

    let ask = |draft: bool| json!({ "to": "+33600000001", "draft": draft });
    let chosen = async |draft| {
        house.admin.post("/api/v1/routes/try", &ask(draft)).await.expect(200)["chosen"]["connection"].clone()
    };
    assert_ne!(chosen(false).await, next.as_str());
    assert_eq!(chosen(true).await, next.as_str());
    let version = house
        .admin
        .post("/api/v1/route-draft/publish", &json!({ "comment": "France apart" }))
        .await
        .expect(200);
    assert_eq!(version["comment"], "France apart");
    assert_eq!(chosen(false).await, next.as_str());

    let number = version["number"].as_i64().unwrap();
    let back = house
        .admin
        .post(&format!("/api/v1/route-versions/{}/rollback", number - 1), &json!({}))
        .await
        .expect(200);
    assert_eq!(back["number"], number + 1);
    assert_ne!(chosen(false).await, next.as_str());
    let undone = house.admin.get(&format!("/api/v1/route-versions/{}/diff", number + 1)).await.expect(200);
    assert_eq!(undone["removed"][0]["name"], "France");
    let versions = house.admin.get("/api/v1/route-versions").await.expect(200);
    assert_eq!(versions["items"][0]["id"], back["id"]);
    assert_eq!(house.admin.get("/api/v1/route-draft").await.status, 404);
    house.stop().await;
}
