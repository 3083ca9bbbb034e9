//! Live operations over the public doors: what connections and accounts do, traces, and changes that drop no bind.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use runtime::config::Sources;
use runtime::{Config, Tasks};
use serde_json::{Value, json};
use simulator::bench::{self, Options};
use simulator::smsc::{Delay, ErrorShare};
use smpp::{Address, Bind, Framer, Mode, Pdu, RegisteredDelivery, Sm, Status, decode};
use testkit::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A customer's system.
struct Customer {
    socket: TcpStream,
    framer: Framer,
    sequence: u32,
}

impl Customer {
    async fn bound(address: SocketAddr, system_id: &str) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let mut customer = Self { socket, framer: Framer::new(smpp::DEFAULT_MAX_PDU), sequence: 0 };
        let bind = Bind { system_id: system_id.into(), password: "secret12".into(), ..Bind::default() };
        assert_eq!(customer.ask(&Pdu::BindTransceiver(bind)).await, Status::ROK);
        customer
    }

    /// The status of the answer; what comes between is not answered.
    async fn ask(&mut self, pdu: &Pdu) -> Status {
        self.sequence += 1;
        let mut out = Vec::new();
        pdu.encode(self.sequence, Status::ROK, &mut out).unwrap();
        self.socket.write_all(&out).await.unwrap();
        loop {
            while let Some(octets) = self.framer.next_pdu().unwrap() {
                let (header, _) = decode(octets, Mode::Lenient).unwrap();
                if header.command_id.is_response() && header.sequence == self.sequence {
                    return header.status;
                }
            }
            let read = self.socket.read_buf(self.framer.buffer(4096));
            let read = tokio::time::timeout(Duration::from_secs(10), read).await.expect("something in time");
            assert!(read.unwrap() > 0, "the server closed the connection");
        }
    }

    async fn submit(&mut self, to: &str, text: &str) -> Status {
        let sm = Sm {
            source: Address::international("33600000001"),
            destination: Address::international(to),
            short_message: text.as_bytes().to_vec(),
            registered_delivery: RegisteredDelivery::FINAL,
            ..Sm::default()
        };
        self.ask(&Pdu::SubmitSm(sm)).await
    }
}

async fn account(house: &House, system_id: &str, settings: Value) -> String {
    let new = json!({ "system_id": system_id, "password": "secret12", "settings": settings });
    let made = house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn simulator(house: &House) -> String {
    let connections = house.admin.get("/api/v1/connections").await.expect(200);
    connections["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn metrics(house: &House, of: &str) -> Value {
    house.admin.get(&format!("/api/v1/{of}/metrics")).await.expect(200)
}

#[tokio::test]
async fn what_connections_and_accounts_do_is_told() {
    let house = House::start().await;
    let (connection, account) =
        (simulator(&house).await, account(&house, "watched", json!({ "throughput": 3 })).await);
    let mut customer = Customer::bound(house.server.smpp, "watched").await;
    let mut refused = 0;
    for n in 0..6 {
        refused +=
            u64::from(customer.submit("33612345678", &format!("hello {n}")).await == Status::RTHROTTLED);
    }
    assert!(refused >= 2, "{refused}");

    let of_connection = format!("connections/{connection}");
    house
        .until("the carrier's receipts are counted", async || {
            let told = metrics(&house, &of_connection).await;
            let minute = &told["lately"]["windows"][0];
            minute["accepted"].as_u64() >= Some(3)
                && minute["latency"]["p95_ms"].is_number()
                && minute["receipt_lag"]["count"].as_u64() >= Some(3)
                && told["receipts"][0]["name"] == "DELIVRD"
        })
        .await;
    let told = metrics(&house, &of_connection).await;
    assert_eq!((&told["state"], &told["bound"], &told["binds"]), (&json!("bound"), &json!(2), &json!(2)));
    assert_eq!(told["sessions"].as_array().map(Vec::len), Some(2), "{told}");
    assert!(told["seconds"].as_array().is_some_and(|seconds| !seconds.is_empty()));
    assert_eq!(told["status"]["binds"][0]["sessions"], 1);

    let of_account = format!("smpp-accounts/{account}");
    house
        .until("the refusals are counted", async || {
            let told = metrics(&house, &of_account).await;
            told["refusals"][0]["name"] == "ESME_RTHROTTLED" && told["refusals"][0]["n"] == refused
        })
        .await;
    let told = metrics(&house, &of_account).await;
    assert_eq!(told["binds"][0]["version"], "3.4", "{told}");
    assert!(told["last_activity"].is_string() && told["binds"][0]["window_limit"].is_number());
    assert_eq!((&told["sessions"][0]["what"], &told["bound"]), (&json!("bound"), &json!(1)));
    // Nobody answers the receipts, so they wait.
    house
        .until("receipts wait", async || metrics(&house, &of_account).await["waiting"].as_i64() > Some(0))
        .await;

    let live = house.admin.get("/api/v1/live").await.expect(200);
    assert_eq!(live["connections"][0]["id"], connection.as_str());
    assert!(live["accounts"].as_array().unwrap().iter().any(|one| one["system_id"] == "watched"));
    let only_connections = house.key(&["connection.view"]).await;
    assert_eq!(only_connections.get("/api/v1/live").await.expect(200)["accounts"], json!([]));

    let bind = told["binds"][0]["number"].as_u64().unwrap();
    let unbind = format!("/api/v1/smpp-accounts/{account}/unbind");
    assert_eq!(house.admin.post(&unbind, &json!({ "bind": bind + 100 })).await.status, 404);
    house.admin.post(&unbind, &json!({ "bind": bind })).await.expect(204);
    house
        .until("the bind is ended", async || {
            let told = metrics(&house, &of_account).await;
            told["bound"] == 0 && told["sessions"][0]["why"] == "ended by us"
        })
        .await;
    house
        .until("Prometheus is told", async || {
            let text = house.anonymous().get("/metrics").await.text;
            text.contains("switchboard_connection_parts_total{connection=\"Simulator\",outcome=\"accepted\"}")
        })
        .await;
    house.stop().await;
}

/// What happened to the sessions of a connection or an account: how many came, and why they went.
async fn sessions(house: &House, of: &str) -> (usize, Vec<String>) {
    let told = metrics(house, of).await;
    let events = told["sessions"].as_array().unwrap().clone();
    let lost = events.iter().filter(|event| event["what"] == "lost");
    let why = lost.map(|event| event["why"].as_str().unwrap_or_default().to_owned()).collect();
    (events.iter().filter(|event| event["what"] == "bound").count(), why)
}

fn configured(config: &mut Config, file: &Path) {
    let sources = Sources {
        file: Some(file.to_owned()),
        overrides: vec![
            ("data_dir".to_owned(), config.data_dir.display().to_string()),
            ("database.url".to_owned(), config.database.url.expose().to_owned()),
            ("database.pool_max".to_owned(), config.database.pool_max.to_string()),
            ("security.admin_key".to_owned(), config.security.admin_key.expose().to_owned()),
            ("security.argon2_memory_kib".to_owned(), "8".to_owned()),
            ("security.argon2_passes".to_owned(), "1".to_owned()),
            ("http.listen".to_owned(), "127.0.0.1:0".to_owned()),
            ("smpp.listen".to_owned(), "127.0.0.1:0".to_owned()),
            ("simulator.listen".to_owned(), "127.0.0.1:0".to_owned()),
            ("simulator.receipt_delay_ms".to_owned(), "0".to_owned()),
            ("log.filter".to_owned(), "warn".to_owned()),
        ],
        ..Sources::default()
    };
    *config = Config::load(&sources).unwrap();
}

#[tokio::test]
async fn changes_and_a_reload_under_load_drop_no_bind_and_lose_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, "[messaging]\nattempts_max = 7\n").unwrap();
    let house = House::start_with(|config| configured(config, &file)).await;
    let connection = simulator(&house).await;
    let account = account(&house, "loaded", json!({ "window_max": 20, "binds_max": 4 })).await;
    let options = Options {
        target: house.server.smpp.to_string(),
        system_id: "loaded".to_owned(),
        password: "secret12".to_owned(),
        binds: 2,
        window: 20,
        count: Some(2_000),
        rate: 400,
        ..Options::default()
    };
    let tasks = Tasks::new();
    let load = bench::smpp(options, &tasks);
    let changes = async {
        for round in 1..=10_u32 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let settings = json!({ "settings": {
                "window": 5 + round * 20, "throughput": 2_000 + round, "source_ton": round % 3,
                "extra": [{ "tag": 0x1400 + round, "hex": "0a" }],
                "enquire_link_ms": 20_000 + round, "response_timeout_ms": 20_000 + round,
            } });
            house
                .admin
                .send("PATCH", &format!("/api/v1/connections/{connection}"), &settings)
                .await
                .expect(200);
            let settings = json!({ "settings": { "window_max": 20 + round, "throughput": 5_000 + round } });
            house
                .admin
                .send("PATCH", &format!("/api/v1/smpp-accounts/{account}"), &settings)
                .await
                .expect(200);
            std::fs::write(
                &file,
                format!("[messaging]\nattempts_max = {}\nbatch_rows_max = 300\n", 7 + round),
            )
            .unwrap();
            let told = house.admin.post("/api/v1/system/reload", &json!({})).await.expect(200);
            assert_eq!(told["applied"][0]["key"], "messaging.attempts_max", "{told}");
            assert_eq!(told["after_restart"][0]["key"], "messaging.batch_rows_max", "{told}");
        }
    };
    let (report, ()) = tokio::join!(load, changes);
    let report = report.unwrap();
    let receipts = report.receipts.clone().unwrap();
    assert_eq!((report.accepted, report.indeterminate, report.reconnects), (2_000, 0, 0), "{report}");
    assert_eq!((receipts.delivered, receipts.missing, receipts.duplicate), (2_000, 0, 0), "{report}");
    assert_eq!(sessions(&house, &format!("connections/{connection}")).await, (2, Vec::new()));
    let (bound, lost) = sessions(&house, &format!("smpp-accounts/{account}")).await;
    assert_eq!((bound, lost.iter().any(|why| why != "unbound")), (2, false), "{lost:?}");
    let told = metrics(&house, &format!("connections/{connection}")).await;
    assert_eq!(told["window_limit"], 2 * (5 + 10 * 20), "{told}");
    assert_eq!(house.admin.get("/api/v1/messages/sums").await.expect(200)["balanced"], true);
    house.stop().await;
}

#[tokio::test]
async fn binds_are_scaled_and_renewed_one_by_one() {
    let house = House::start().await;
    let connection = simulator(&house).await;
    let path = format!("/api/v1/connections/{connection}");
    let bound = async |wanted: u64| {
        let told = metrics(&house, &format!("connections/{connection}")).await;
        told["bound"] == wanted && told["binds"] == wanted
    };
    for binds in [4_u64, 1, 3] {
        house.admin.send("PATCH", &path, &json!({ "settings": { "binds": binds } })).await.expect(200);
        house.until("so many are bound", async || bound(binds).await).await;
    }
    house.admin.post(&format!("{path}/renew"), &json!({ "bind": 1 })).await.expect(204);
    assert_eq!(
        house.admin.post(&format!("{path}/renew"), &json!({ "bind": 99 })).await.problem(),
        "not_found"
    );
    house
        .until("the first is another session", async || {
            let told = metrics(&house, &format!("connections/{connection}")).await;
            told["status"]["binds"][0]["sessions"] == 2 && told["bound"] == 3
        })
        .await;
    // What the peer learns when a session is opened makes all of them anew, and messages go on.
    house.admin.send("PATCH", &path, &json!({ "settings": { "system_type": "VMA" } })).await.expect(200);
    house
        .until("all are other sessions", async || {
            let told = metrics(&house, &format!("connections/{connection}")).await;
            let sessions: Vec<u64> = told["status"]["binds"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|bind| bind["sessions"].as_u64())
                .collect();
            told["bound"] == 3
                && sessions.len() == 3
                && sessions[0] == 3
                && sessions[1..].iter().all(|n| *n >= 2)
        })
        .await;
    let events = house.admin.get("/api/v1/events?type=connection.renewed").await.expect(200);
    assert_eq!(events["items"][0]["data"]["before"]["bind"], 1, "{events}");
    house.stop().await;
}

#[tokio::test]
async fn an_account_that_forbids_a_bind_ends_it() {
    let house = House::start().await;
    let account = account(&house, "strict", json!({})).await;
    let _customer = Customer::bound(house.server.smpp, "strict").await;
    let path = format!("/api/v1/smpp-accounts/{account}");
    let settings = json!({ "settings": { "allow_from": ["192.0.2.0/24"] } });
    house.admin.send("PATCH", &path, &settings).await.expect(200);
    house
        .until("it is ended", async || {
            metrics(&house, &format!("smpp-accounts/{account}")).await["bound"] == 0
        })
        .await;
    house.stop().await;
}

#[tokio::test]
async fn a_trace_tells_pdus_field_by_field_without_passwords_and_goes_to_wireshark() {
    let house = House::start().await;
    let account = account(&house, "traced", json!({})).await;
    let new = json!({ "account": account, "address": "33612345678" });
    let trace = house.admin.post("/api/v1/traces", &json!({ "account": account })).await.expect(201);
    assert_eq!(house.admin.post("/api/v1/traces", &new).await.problem(), "conflict");
    let mut customer = Customer::bound(house.server.smpp, "traced").await;
    assert_eq!(customer.submit("33612345678", "a secret text").await, Status::ROK);
    let path = format!("/api/v1/traces/{}", trace["id"].as_str().unwrap());
    house
        .until("the PDUs are there", async || {
            let held = house.admin.get(&path).await.expect(200);
            held["pdus"].as_u64() >= Some(4)
        })
        .await;
    let held = house.admin.get(&format!("{path}/pdus")).await.expect(200);
    let names: Vec<&str> =
        held["items"].as_array().unwrap().iter().filter_map(|pdu| pdu["name"].as_str()).collect();
    assert_eq!(
        names[..4],
        ["bind_transceiver", "bind_transceiver_resp", "submit_sm", "submit_sm_resp"],
        "{held}"
    );
    let field = |pdu: usize, name: &str| {
        let fields = held["items"][pdu]["fields"].as_array().unwrap().clone();
        fields.into_iter().find(|field| field["name"] == name).map(|field| field["value"].clone())
    };
    assert_eq!(field(0, "password"), Some(json!("********")));
    assert_eq!(field(2, "short_message"), Some(json!("a secret text")));
    assert!(!held.to_string().contains(&hex("secret12")), "the password is in the octets");
    assert!(held.to_string().contains(&hex("a secret text")));

    let without_texts = house.key(&["trace.use", "identifier.view", "account.view"]).await;
    let covered = without_texts.get(&format!("{path}/pdus")).await;
    assert!(!covered.text.contains("a secret text") && !covered.text.contains(&hex("a secret text")));
    assert!(covered.text.contains("33612345678"));
    let without_phones = house.key(&["trace.use", "account.view"]).await;
    assert_eq!(without_phones.get(&format!("{path}/pdus")).await.status, 403);
    let lines = without_texts.get(&format!("{path}/jsonl")).await;
    assert!(lines.text.lines().count() >= 4 && !lines.text.contains("secret"));

    dissected_by_wireshark(&house, &path).await;
    house.admin.post(&format!("{path}/stop"), &json!({})).await.expect(200);
    assert_eq!(house.admin.get(&path).await.expect(200)["why"], "it was stopped");

    // Narrowed to an address: the other's PDUs are not in it, the answers to its own are.
    let new = json!({ "account": account, "address": "+33687654321", "pdus": 2 });
    let narrow = house.admin.post("/api/v1/traces", &new).await.expect(201);
    let narrow = format!("/api/v1/traces/{}", narrow["id"].as_str().unwrap());
    customer.submit("33612345678", "not this").await;
    customer.submit("33687654321", "this").await;
    house
        .until("it is full", async || house.admin.get(&narrow).await.expect(200)["ended_at"].is_string())
        .await;
    let held = house.admin.get(&format!("{narrow}/pdus")).await.expect(200);
    assert!(held.to_string().contains("33687654321") && !held.to_string().contains("33612345678"), "{held}");
    assert_eq!(held["items"][1]["name"], "submit_sm_resp");

    house.admin.delete(&path).await.expect(204);
    assert_eq!(house.admin.get(&path).await.status, 404);
    let trail = house.admin.get("/api/v1/events?limit=1000").await.expect(200).to_string();
    for kind in ["trace.started", "trace.downloaded", "trace.deleted"] {
        assert!(trail.contains(kind), "{kind}");
    }
    house.stop().await;
}

fn hex(text: &str) -> String {
    text.bytes().map(|octet| format!("{octet:02x}")).collect()
}

/// Lets Wireshark's own dissector read the file, where it is installed.
async fn dissected_by_wireshark(house: &House, path: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.pcapng");
    std::fs::write(&file, octets(house, &format!("{path}/pcapng")).await).unwrap();
    let port = house.server.smpp.port();
    let command = tokio::process::Command::new("tshark")
        .args(["-r", file.to_str().unwrap(), "-d", &format!("tcp.port=={port},smpp"), "-Y", "smpp", "-V"])
        .output()
        .await;
    let Ok(told) = command else { return };
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for wanted in ["Bind_transceiver", "Submit_sm - resp", "Destination address: 33612345678"] {
        assert!(told.contains(wanted), "{wanted} is missing in\n{told}");
    }
    assert!(!told.contains("Malformed"), "{told}");
}

async fn octets(house: &House, path: &str) -> Vec<u8> {
    let url = format!("http://{}{path}", house.server.http);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(url).bearer_auth(testkit::house::ADMIN_KEY).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_refused_whole_and_the_former_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, "[http]\nrate_per_second = 0\n").unwrap();
    let house = House::start_with(|config| configured(config, &file)).await;
    let system = house.admin.get("/api/v1/system").await.expect(200);
    assert!(system["listeners"].as_array().is_some_and(|all| all.len() >= 3), "{system}");
    assert_eq!(system["database"]["answers"], true);
    let admin_key = testkit::house::ADMIN_KEY;
    assert!(!system.to_string().contains(admin_key), "a secret is shown");

    std::fs::write(
        &file,
        "[http]\nrate_per_second = -1\nno_such_key = 1\n[log]\nfilter = \"info,smpp=loud\"\n",
    )
    .unwrap();
    let refused = house.admin.post("/api/v1/system/reload", &json!({})).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid_configuration"));
    for wanted in ["http.rate_per_second", "no_such_key"] {
        assert!(refused.text.contains(wanted), "{}", refused.text);
    }
    let system = house.admin.get("/api/v1/system").await.expect(200);
    assert!(system["last_reload"]["mistakes"].as_array().is_some_and(|all| all.len() >= 2), "{system}");

    std::fs::write(&file, "[http]\nrate_per_second = 1\nrate_burst = 3\n").unwrap();
    let told = house.admin.post("/api/v1/system/reload", &json!({})).await.expect(200);
    assert_eq!(told["applied"].as_array().map(Vec::len), Some(2), "{told}");
    let mut limited = false;
    for _ in 0..10 {
        limited |= house.admin.get("/api/v1/me").await.status == 429;
    }
    assert!(limited, "the new rate counts at once");
    house.stop().await;
}

/// Waits until a message is in a state, and gives its timeline and its reasons.
async fn ended(house: &House, id: &str, state: &str) -> (Value, Value) {
    let path = format!("/api/v1/messages/{id}");
    house.until(state, async || house.admin.get(&path).await.expect(200)["state"] == state).await;
    let ask = async |what: &str| house.admin.get(&format!("{path}/{what}")).await.expect(200);
    (ask("timeline").await, ask("why").await)
}

#[tokio::test]
async fn no_message_that_has_ended_is_without_its_way_and_its_reasons() {
    let house = House::start_with(|config| {
        config.messaging.retry_min_ms = 50;
        config.messaging.retry_max_ms = 100;
    })
    .await;
    let carrier = house.server.simulator.clone().unwrap();
    let send = async |body: Value| {
        let made = house.admin.post("/api/v1/messages", &body).await.expect(202);
        made["id"].as_str().unwrap().to_owned()
    };
    let to = |text: &str, intent: &str| json!({ "to": "+33612345678", "text": text, "intent": intent });
    let is_out = async || {
        let live = house.admin.get("/api/v1/live").await.expect(200);
        live["connections"][0]["window_used"].as_u64() >= Some(1)
    };
    let mut outcomes = vec![(send(to("one", "transactional")).await, "delivered")];
    ended(&house, &outcomes[0].0, "delivered").await;
    carrier.change(|settings| settings.undelivered_percent = 100.0);
    let failed = send(to("two", "transactional")).await;
    ended(&house, &failed, "failed").await;
    carrier.change(|settings| {
        settings.undelivered_percent = 0.0;
        settings.errors = vec![ErrorShare { status: Status::RINVDSTADR.0, percent: 100.0 }];
    });
    let refused = send(to("three", "transactional")).await;
    ended(&house, &refused, "rejected").await;
    carrier.change(|settings| {
        settings.errors = Vec::new();
        settings.latency = Delay::of_ms(60_000);
    });
    let unknown = send(to("four", "marketing")).await;
    house.until("it is out", is_out).await;
    carrier.disconnect();
    ended(&house, &unknown, "indeterminate").await;
    carrier.change(|settings| settings.latency = Delay::of_ms(0));
    let pause = house.admin.post("/api/v1/pauses", &json!({ "kind": "tenant" })).await.expect(201);
    let expired = send(json!({ "to": "+33612345678", "text": "five", "validity_s": 1 })).await;
    let cancelled = send(to("six", "transactional")).await;
    house.admin.post(&format!("/api/v1/messages/{cancelled}/cancel"), &json!({})).await.expect(200);
    outcomes.extend([
        (failed, "failed"),
        (refused, "rejected"),
        (unknown, "indeterminate"),
        (expired, "expired"),
        (cancelled, "cancelled"),
    ]);
    for (id, state) in &outcomes {
        let (timeline, why) = ended(&house, id, state).await;
        let steps = timeline.as_array().or(timeline["items"].as_array()).unwrap().clone();
        assert_eq!(steps.first().unwrap()["what"], "accepted", "{state}: {timeline}");
        assert!(steps.iter().any(|step| step["what"] == *state), "{state}: {timeline}");
        assert!(why["route"].is_string() && !why["then"].as_array().unwrap().is_empty(), "{state}: {why}");
        assert!(why["gates"].is_array(), "{state}: {why}");
    }
    let (timeline, _) = ended(&house, &outcomes[2].0, "rejected").await;
    assert!(timeline.to_string().contains("refused: ESME_RINVDSTADR ("), "{timeline}");
    house.admin.delete(&format!("/api/v1/pauses/{}", pause["id"].as_str().unwrap())).await.expect(204);
    carrier.inject_mo("33612345678", "10000", "hello").unwrap();
    let inbound = async || house.admin.get("/api/v1/messages?direction=in").await.expect(200);
    house.until("it came in", async || inbound().await["items"][0]["id"].is_string()).await;
    let id = inbound().await["items"][0]["id"].as_str().unwrap().to_owned();
    let (timeline, why) = ended(&house, &id, "received").await;
    assert!(timeline.to_string().contains("received") && why["intent"].is_string(), "{timeline} {why}");
    house.stop().await;
}
