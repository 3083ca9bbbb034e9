//! Carriers over UCP/EMI and CIMD2: the real program as their client, against the simulator's centres.

use std::time::Duration;

use runtime::{Clock, Tasks};
use serde_json::{Value, json};
use simulator::text_centre::{Protocol, Settings, TextCentre};
use testkit::House;

/// The program with one connection, over which everything goes, to a centre of this protocol.
struct Carried {
    house: House,
    centre: TextCentre,
    tasks: Tasks,
    path: String,
}

impl Carried {
    async fn over(protocol: Protocol, change: impl FnOnce(&mut Settings)) -> Self {
        let tasks = Tasks::new();
        let mut settings =
            Settings { accounts: vec![("10000".into(), "secret".into())], ..Settings::of(protocol) };
        change(&mut settings);
        let centre = TextCentre::start(settings, &tasks, Clock::system()).await.unwrap();
        let house = House::start_with(|config| config.simulator.enabled = false).await;
        let settings = json!({
            "protocol": protocol, "host": "127.0.0.1", "port": centre.address().port(), "system_id": "10000",
            "window": 20, "reconnect_min_ms": 20, "reconnect_max_ms": 200,
            "throttle_min_ms": 50, "throttle_max_ms": 200,
        });
        let new = json!({ "name": "Carrier", "password": "secret", "settings": settings });
        let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
        let route = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
        house.admin.post("/api/v1/routes", &route).await.expect(201);
        let path = format!("/api/v1/connections/{}", connection["id"].as_str().unwrap());
        let carried = Self { house, centre, tasks, path };
        carried.until_bound().await;
        carried
    }

    async fn status(&self) -> Value {
        self.house.admin.get(&self.path).await.expect(200)["status"].clone()
    }

    async fn until_bound(&self) {
        self.house.until("the connection is bound", async || self.status().await["state"] == "bound").await;
    }

    async fn send(&self, to: &str, text: &str) -> String {
        let message = json!({ "to": to, "from": "10000", "text": text });
        let accepted = self.house.admin.post("/api/v1/messages", &message).await.expect(202);
        accepted["id"].as_str().unwrap().to_owned()
    }

    async fn message(&self, id: &str) -> Value {
        self.house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200)
    }

    async fn until_state(&self, id: &str, state: &str) {
        self.house
            .until(&format!("{id} is {state}"), async || self.message(id).await["state"] == state)
            .await;
    }

    async fn until_all(&self, count: u64, state: &str) {
        self.house
            .until(&format!("all {count} are {state}"), async || {
                let sums = self.house.admin.get("/api/v1/messages/sums").await.expect(200);
                assert_eq!(sums["balanced"], true, "{sums}");
                let states = sums["states"].as_array().unwrap();
                states.iter().any(|one| one["name"] == state && one["n"].as_u64() == Some(count))
            })
            .await;
    }

    async fn stop(self) {
        self.house.stop().await;
        self.tasks.stop(Duration::from_secs(1)).await;
    }
}

const BOTH: [Protocol; 2] = [Protocol::Ucp, Protocol::Cimd2];

#[tokio::test]
async fn texts_of_every_length_and_alphabet_are_delivered() {
    for protocol in BOTH {
        let carried = Carried::over(protocol, |_| {}).await;
        let long = "A text that goes on and on, with @ and _ and € in it. ".repeat(8);
        for (number, text) in [
            ("33600000001", "Hello {ID1} @ £5 é Δ_"),
            ("33600000002", long.trim()),
            ("33600000003", "Привет, мир 👋"),
        ] {
            let id = carried.send(number, text).await;
            carried.until_state(&id, "delivered").await;
            assert_eq!(carried.centre.screen(number)[0].text, text, "{protocol:?}");
            assert_eq!(carried.centre.screen(number)[0].peer, "10000");
        }
        let id = carried.send("33600000004", "as it stands on the wire").await;
        let pdus = carried.house.admin.get(&format!("/api/v1/messages/{id}/pdus")).await.expect(200);
        assert!(pdus[0]["hex"].as_str().unwrap().starts_with("0230"), "{pdus}");
        carried.stop().await;
    }
}

#[tokio::test]
async fn what_the_carrier_refuses_or_cannot_deliver_is_told() {
    for (protocol, error, words) in [
        (Protocol::Ucp, 6, "UCP error 06 AdC invalid"),
        (Protocol::Cimd2, 302, "CIMD2 error 302 syntax error in user data"),
    ] {
        let carried = Carried::over(protocol, |settings| settings.undelivered_percent = 100.0).await;
        let id = carried.send("33600000001", "nobody is there").await;
        carried.until_state(&id, "failed").await;
        assert_eq!(carried.message(&id).await["error"], "107");
        carried.centre.change(|settings| settings.error = (error, 100.0));
        let id = carried.send("33600000002", "not like this").await;
        carried.until_state(&id, "rejected").await;
        assert_eq!(carried.message(&id).await["error"], words);
        carried.stop().await;
    }
}

#[tokio::test]
async fn messages_from_phones_come_in_whole() {
    for protocol in BOTH {
        let carried = Carried::over(protocol, |_| {}).await;
        let long = "From a phone, and longer than one part can be. ".repeat(5);
        for text in ["yes @ €", long.trim(), "да"] {
            carried.centre.inject_mo("+33611111111", "10000", text).unwrap();
            carried
                .house
                .until("the message came in", async || {
                    let page = carried.house.admin.get("/api/v1/messages?direction=in").await.expect(200);
                    page["items"].as_array().unwrap().iter().any(|one| {
                        one["text"] == text
                            && one["from"].as_str().is_some_and(|from| from.contains("33611111111"))
                    })
                })
                .await;
        }
        carried.house.until("they are acknowledged", async || carried.centre.counts().waiting == 0).await;
        carried.stop().await;
    }
}

#[tokio::test]
async fn two_messages_in_one_second_are_told_apart_by_their_order() {
    for protocol in BOTH {
        let carried = Carried::over(protocol, |settings| settings.receipt_delay_ms = 50).await;
        let messages: Vec<Value> = (0..6)
            .map(|n| json!({ "to": "33600000001", "from": "10000", "text": format!("ID{n}") }))
            .collect();
        carried
            .house
            .admin
            .post("/api/v1/messages/batch", &json!({ "messages": messages }))
            .await
            .expect(202);
        carried.until_all(6, "delivered").await;
        carried.stop().await;
    }
}

#[tokio::test]
async fn a_lost_session_comes_back_and_nothing_is_lost_or_doubled() {
    for protocol in BOTH {
        let carried = Carried::over(protocol, |settings| settings.receipt_delay_ms = 300).await;
        for n in 0..20 {
            carried.send(&format!("336000001{n:02}"), &format!("ID{n} before")).await;
        }
        carried
            .house
            .until("all are answered", async || carried.status().await["counters"]["accepted"] == 20)
            .await;
        carried.centre.disconnect();
        carried.house.until("it logged in again", async || carried.centre.counts().logins >= 2).await;
        carried.until_bound().await;
        for n in 20..40 {
            carried.send(&format!("336000001{n:02}"), &format!("ID{n} after")).await;
        }
        carried.until_all(40, "delivered").await;
        let seen = carried.centre.seen();
        assert_eq!((seen.distinct, seen.repeated), (40, 0), "{protocol:?}");
        carried.stop().await;
    }
}

/// Numbers come round: a late answer must not be taken for another message's.
#[tokio::test]
async fn a_message_that_is_left_unanswered_ends_its_session_and_goes_out_again() {
    for protocol in BOTH {
        let carried = Carried::over(protocol, |settings| settings.unanswered_percent = 100.0).await;
        let patch = json!({ "settings": { "response_timeout_ms": 300 } });
        carried.house.admin.send("PATCH", &carried.path, &patch).await.expect(200);
        carried.until_bound().await;
        let id = carried.send("33600000001", "ID1 is there anybody").await;
        carried.house.until("it was taken", async || carried.centre.counts().accepted == 1).await;
        let logins = carried.centre.counts().logins;
        carried.centre.change(|settings| settings.unanswered_percent = 0.0);
        carried.until_state(&id, "delivered").await;
        assert!(carried.centre.counts().logins > logins, "{protocol:?}");
        assert_eq!(carried.message(&id).await["maybe_twice"], true);
        carried.stop().await;
    }
}

#[tokio::test]
async fn a_carrier_that_says_too_fast_gets_everything_all_the_same() {
    for protocol in BOTH {
        let carried = Carried::over(protocol, |settings| settings.throughput = 50).await;
        let messages: Vec<Value> = (0..60)
            .map(|n| json!({ "to": format!("336000002{n:02}"), "from": "10000", "text": format!("ID{n}") }))
            .collect();
        carried
            .house
            .admin
            .post("/api/v1/messages/batch", &json!({ "messages": messages }))
            .await
            .expect(202);
        carried.until_all(60, "delivered").await;
        let counts = carried.centre.counts();
        assert!(counts.throttled > 0 && counts.accepted == 60, "{protocol:?}: {counts:?}");
        assert!(carried.status().await["counters"]["throttled"].as_u64().unwrap() > 0);
        carried.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_and_a_silent_carrier_asked() {
    for protocol in BOTH {
        let carried = Carried::over(protocol, |_| {}).await;
        let patch = json!({ "settings": { "enquire_link_ms": 100 } });
        carried.house.admin.send("PATCH", &carried.path, &patch).await.expect(200);
        carried.house.until("it was asked", async || carried.centre.counts().alive > 2).await;
        carried.house.admin.send("PATCH", &carried.path, &json!({ "password": "wrong" })).await.expect(200);
        carried
            .house
            .until("the refusal is shown", async || {
                let error = carried.status().await["binds"][0]["last_error"].clone();
                error.as_str().is_some_and(|error| error.contains("refused"))
            })
            .await;
        assert_eq!(carried.status().await["state"], "down");
        carried.stop().await;
    }
}

/// One gateway is the other's carrier: our client and our server, with the whole program behind each.
#[tokio::test]
async fn one_gateway_is_the_others_carrier() {
    let carrier = House::start_with(|config| config.ucp.enabled = true).await;
    let account = json!({ "system_id": "20000", "settings": { "numbers": ["20000"], "throughput": 0 } });
    let account = carrier.admin.post("/api/v1/smpp-accounts", &account).await.expect(201);
    let house = House::start_with(|config| config.simulator.enabled = false).await;
    let settings = json!({
        "protocol": "ucp", "host": "127.0.0.1", "port": carrier.server.ucp.unwrap().port(), "system_id": "20000",
        "reconnect_min_ms": 20, "reconnect_max_ms": 200,
    });
    let new = json!({ "name": "Carrier", "password": account["password"], "settings": settings });
    let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
    let route = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
    house.admin.post("/api/v1/routes", &route).await.expect(201);
    let long = "Through two gateways, and longer than one part can be. ".repeat(5);
    let phones = carrier.server.simulator.as_ref().unwrap().phones();
    for (number, text) in
        [("33600000001", "short @ €"), ("33600000002", long.trim()), ("33600000003", "Привет")]
    {
        let message = json!({ "to": number, "from": "20000", "text": text });
        let id = house.admin.post("/api/v1/messages", &message).await.expect(202)["id"].clone();
        let path = format!("/api/v1/messages/{}", id.as_str().unwrap());
        house
            .until("it is delivered", async || house.admin.get(&path).await.json()["state"] == "delivered")
            .await;
        assert_eq!(phones.screen(number)[0].text, text);
    }
    for text in ["a reply with @", "ответ"] {
        phones.reply("33600000001", "20000", text).unwrap();
        house
            .until("the reply came in", async || {
                let page = house.admin.get("/api/v1/messages?direction=in").await.expect(200);
                page["items"].as_array().unwrap().iter().any(|one| one["text"] == text)
            })
            .await;
    }
    house.stop().await;
    carrier.stop().await;
}

/// Who only opens connections, dribbles octets or sends noise gets no more than the bounds, and others are served.
#[tokio::test]
async fn strangers_on_the_ucp_port_cost_little() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let house = House::start_with(|config| {
        config.ucp.enabled = true;
        config.smpp.session_init_ms = 300;
        config.smpp.unbound_max = 3;
    })
    .await;
    let address = house.server.ucp.unwrap();
    let mut strangers = Vec::new();
    for _ in 0..5 {
        strangers.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let began = std::time::Instant::now();
    for (at, mut stranger) in strangers.into_iter().enumerate() {
        let dribble = async {
            loop {
                // Closed at last: that is what is waited for.
                let _ = stranger.write_all(if at == 0 { b"\x0200/" } else { b"x" }).await;
                let mut octets = [0; 64];
                let read = tokio::time::timeout(Duration::from_millis(20), stranger.read(&mut octets)).await;
                if matches!(read, Ok(Ok(0) | Err(_))) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), dribble).await.expect("closed in time");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Places are free again.
    let mut late = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut session = Vec::new();
    let open = ucp::Body::Session(ucp::Operation::SESSION, ucp::Session::open("nobody", "x"));
    ucp::Pdu::new(1, open).encode(&mut session).unwrap();
    late.write_all(&session).await.unwrap();
    let mut octets = [0; 64];
    let read = tokio::time::timeout(Duration::from_secs(5), late.read(&mut octets)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&octets[..read]).contains("/R/60/N/07/"));
    house.stop().await;
}
