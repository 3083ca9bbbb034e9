//! Carriers over SMPP: the real program as their client, against the simulator's centre with each one's ways.

use std::time::{Duration, Instant};

use runtime::{Clock, Tasks};
use serde_json::{Value, json};
use simulator::smsc::{ErrorShare, IdForm, Settings, Smsc};
use testkit::House;

/// The program with one connection, over which everything goes.
struct Carried {
    house: House,
    centre: Smsc,
    tasks: Tasks,
    path: String,
}

impl Carried {
    async fn over(centre: Settings, settings: Value) -> Self {
        let tasks = Tasks::new();
        let centre = Smsc::start(centre, &tasks, Clock::system()).await.unwrap();
        let house = House::start_with(|config| {
            config.simulator.enabled = false;
            config.messaging.retry_min_ms = 50;
        })
        .await;
        let mut all = json!({
            "host": "127.0.0.1", "port": centre.address().port(), "system_id": "us", "window": 20,
            "reconnect_min_ms": 20, "reconnect_max_ms": 200, "throttle_min_ms": 50, "throttle_max_ms": 500,
        });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let new = json!({ "name": "Carrier", "password": "secret", "settings": all });
        let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
        let route = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
        house.admin.post("/api/v1/routes", &route).await.expect(201);
        let path = format!("/api/v1/connections/{}", connection["id"].as_str().unwrap());
        let carried = Self { house, centre, tasks, path };
        carried
            .house
            .until("the connection is bound", async || {
                carried.connection().await["status"]["state"] == "bound"
            })
            .await;
        carried
    }

    async fn connection(&self) -> Value {
        self.house.admin.get(&self.path).await.expect(200)
    }

    async fn change(&self, settings: Value) {
        self.house.admin.send("PATCH", &self.path, &json!({ "settings": settings })).await.expect(200);
        self.house
            .until("it is bound again", async || self.connection().await["status"]["state"] == "bound")
            .await;
    }

    async fn send(&self, to: &str) -> String {
        let message = json!({ "to": to, "from": "10000", "text": "hello" });
        let accepted = self.house.admin.post("/api/v1/messages", &message).await.expect(202);
        accepted["id"].as_str().unwrap().to_owned()
    }

    async fn message(&self, id: &str) -> Value {
        self.house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200)
    }

    async fn until_state(&self, id: &str, state: &str) -> Value {
        self.house
            .until(&format!("{id} is {state}"), async || self.message(id).await["state"] == state)
            .await;
        self.message(id).await
    }

    async fn send_many(&self, count: usize) {
        let numbers: Vec<usize> = (0..count).collect();
        for some in numbers.chunks(100) {
            let one = |n: &usize| json!({ "to": format!("3360{n:07}"), "from": "10000", "text": "hello" });
            let messages: Vec<Value> = some.iter().map(one).collect();
            let body = json!({ "messages": messages });
            let answer = self.house.admin.post("/api/v1/messages/batch", &body).await;
            assert!((200..300).contains(&answer.status), "{}", answer.text);
        }
    }

    async fn count(&self, state: &str) -> u64 {
        let sums = self.house.admin.get("/api/v1/messages/sums").await.expect(200);
        assert_eq!(sums["balanced"], true, "{sums}");
        let states = sums["states"].as_array().unwrap();
        states.iter().find(|one| one["name"] == state).and_then(|one| one["n"].as_u64()).unwrap_or(0)
    }

    async fn stop(self) {
        self.house.stop().await;
        self.tasks.stop(Duration::from_secs(1)).await;
    }
}

fn refusing(status: u32) -> Settings {
    Settings { errors: vec![ErrorShare { status, percent: 100.0 }], ..Settings::default() }
}

#[tokio::test]
async fn an_error_means_what_the_connections_table_says() {
    let carried = Carried::over(refusing(0x402), json!({})).await;
    let id = carried.send("33600000001").await;
    let message = carried.until_state(&id, "rejected").await;
    assert_eq!((&message["error"], &message["fault"]), (&json!("status 0x00000402"), &Value::Null));
    carried
        .change(json!({ "errors": [
            { "code": "0x402", "class": "permanent", "fault": "filtered", "text": "by its firewall" },
            { "code": "0x403", "class": "temporary", "retry_s": [1], "fault": "carrier_error" },
            { "code": "ESME_RSUBMITFAIL", "class": "success" },
        ] }))
        .await;
    let id = carried.send("33600000002").await;
    let message = carried.until_state(&id, "rejected").await;
    assert_eq!(message["error"], "status 0x00000402");
    assert_eq!(message["fault"]["code"], "filtered");
    assert_eq!(message["fault"]["text"], "a filter against spam stopped it: by its firewall");
    let why = carried.house.admin.get(&format!("/api/v1/messages/{id}/why")).await.expect(200);
    assert_eq!((&why["error"], &why["fault"]["number"]), (&json!("status 0x00000402"), &json!(13)));
    let timeline = carried.house.admin.get(&format!("/api/v1/messages/{id}/timeline")).await.expect(200);
    let told = |step: &Value| {
        step["fault"]["code"] == "filtered" && step["detail"].as_str().is_some_and(|raw| !raw.contains('['))
    };
    assert!(timeline.as_array().unwrap().iter().any(told), "{timeline}");

    carried.centre.change(|settings| settings.errors[0].status = 0x403);
    let began = Instant::now();
    let id = carried.send("33600000003").await;
    carried.house.until("it was tried", async || carried.message(&id).await["attempts"] == 1).await;
    carried.centre.change(|settings| settings.errors.clear());
    carried.until_state(&id, "delivered").await;
    assert!(began.elapsed() >= Duration::from_millis(900), "the schedule of its own line is kept");

    carried.centre.change(|settings| *settings = Settings { listen: settings.listen, ..refusing(0x45) });
    let id = carried.send("33600000004").await;
    carried.until_state(&id, "sent").await;
    carried.stop().await;
}

#[tokio::test]
async fn a_blocked_recipient_ends_what_waits_for_it_and_nothing_else() {
    let carried = Carried::over(Settings::default(), json!({ "throughput": 1, "window": 1 })).await;
    carried.centre.change(|settings| *settings = Settings { listen: settings.listen, ..refusing(0x65) });
    let mut same = Vec::new();
    for _ in 0..4 {
        same.push(carried.send("33600000001").await);
    }
    for id in &same {
        let message = carried.until_state(id, "rejected").await;
        assert_eq!(message["error"], "ESME_RX_P_APPN");
    }
    assert!(carried.centre.counts().submits < 4, "the last were ended before they left");
    carried.centre.change(|settings| settings.errors.clear());
    let id = carried.send("33600000001").await;
    carried.until_state(&id, "delivered").await;
    carried.stop().await;
}

#[tokio::test]
async fn the_form_of_receipts_ids_is_found_out() {
    let centre = Settings {
        id_form: IdForm::Hex,
        receipt_id_form: IdForm::Decimal,
        // Small numbers: many are other messages' in the other base.
        first_id: Some(1),
        ..Settings::default()
    };
    let carried = Carried::over(centre, json!({})).await;
    carried.send_many(300).await;
    carried.house.until("all are delivered", async || carried.count("delivered").await == 300).await;
    let learned = carried.connection().await["learned_ids"].clone();
    assert_eq!(
        (&learned["form"], &learned["certain"]),
        (&json!("hex_to_decimal"), &json!(true)),
        "{learned}"
    );
    // The carrier changes its ways: what was learned is given up for what is so now.
    carried.centre.change(|settings| settings.receipt_id_form = IdForm::Hex);
    carried.send_many(200).await;
    carried.house.until("all are delivered", async || carried.count("delivered").await == 500).await;
    let learned = carried.connection().await["learned_ids"].clone();
    assert_eq!(learned["form"], "same", "{learned}");
    carried.stop().await;
}

#[tokio::test]
async fn a_throttling_carrier_gets_nearly_all_it_takes_and_no_receipt_is_lost() {
    const RATE: u32 = 200;
    const MESSAGES: usize = 4_000;
    let centre = Settings { throughput: RATE, ..Settings::default() };
    let carried = Carried::over(centre, json!({ "binds": 3, "window": 50 })).await;
    carried.send_many(MESSAGES).await;
    // The first seconds are for finding out.
    carried.house.until("it has begun", async || carried.centre.counts().accepted > 600).await;
    let (began, before) = (Instant::now(), carried.centre.counts().accepted);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let taken = (carried.centre.counts().accepted - before) as f64;
    let goodput = taken / (f64::from(RATE) * began.elapsed().as_secs_f64());
    eprintln!("{goodput:.3} of what the carrier takes");
    // Nine tenths and more on a machine of its own; what else runs beside the test takes its part of that.
    assert!(goodput >= 0.7, "{goodput:.3} of what the carrier takes, {taken} messages");
    let counts = carried.centre.counts();
    assert!(counts.throttled > 0, "{counts:?}");
    let all = MESSAGES as u64;
    let patience = Instant::now() + Duration::from_secs(30);
    while carried.count("delivered").await < all {
        assert!(Instant::now() < patience, "{} of {all} are delivered", carried.count("delivered").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(carried.centre.counts().accepted, all, "each once");
    carried.stop().await;
}

#[tokio::test]
async fn a_failure_that_passes_is_sent_again_where_its_line_says_when() {
    let centre = Settings { undelivered_percent: 100.0, ..Settings::default() };
    let carried = Carried::over(centre, json!({})).await;
    let id = carried.send("33600000001").await;
    let failed = carried.until_state(&id, "failed").await;
    let code = failed["error"].as_str().unwrap().to_owned();
    let line = json!({ "place": "receipt", "code": code, "class": "temporary", "retry_s": [1], "fault": "absent_subscriber" });
    carried.change(json!({ "errors": [line] })).await;
    let id = carried.send("33600000002").await;
    carried
        .house
        .until("it is to be sent again", async || {
            let message = carried.message(&id).await;
            message["state"] == "queued" && message["fault"]["code"] == "absent_subscriber"
        })
        .await;
    carried.centre.change(|settings| settings.undelivered_percent = 0.0);
    let message = carried.until_state(&id, "delivered").await;
    assert_eq!((&message["attempts"], &message["error"]), (&json!(2), &Value::Null));
    carried.stop().await;
}

/// A carrier's host is named by whoever runs a tenant: that must not be a way into the operator's own network.
#[tokio::test]
async fn a_tenants_carriers_are_not_in_the_operators_network() {
    let house = House::start_with(|config| config.simulator.enabled = false).await;
    let (_, tenant) = house.admin.neighbour().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (protocol, host) in [("smpp", "127.0.0.1"), ("ucp", "localhost"), ("cimd2", "127.0.0.1")] {
        let settings = json!({ "protocol": protocol, "host": host, "port": port, "system_id": "us" });
        let new = json!({ "name": protocol, "password": "secret", "settings": settings });
        let made = tenant.post("/api/v1/connections", &new).await.expect(201);
        let path = format!("/api/v1/connections/{}", made["id"].as_str().unwrap());
        let told = async || {
            let status = tenant.get(&path).await.expect(200)["status"].to_string();
            status.contains("a loopback address; an operator can allow it with outbound.allow_private")
        };
        house.until("why it cannot connect is told", told).await;
    }
    // The installation's own administrators run the machine.
    let settings = json!({ "host": "127.0.0.1", "port": port, "system_id": "us" });
    let new = json!({ "name": "Ours", "password": "secret", "settings": settings });
    house.admin.post("/api/v1/connections", &new).await.expect(201);
    let (mut first, _) = listener.accept().await.unwrap();
    let mut begun = [0; 8];
    tokio::io::AsyncReadExt::read_exact(&mut first, &mut begun).await.unwrap();
    assert_eq!(begun[4..], 9_u32.to_be_bytes(), "the first who comes is ours, with a bind_transceiver");
}
