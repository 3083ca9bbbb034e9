//! What a message passes before it is accepted: each refusal by its name, over HTTP and SMPP, and nothing half-happens.

use std::time::Duration;

use runtime::Clock;
use serde_json::{Value, json};
use server::Server;
use smpp::{Address, Bind, Destination, Framer, Mode, Pdu, Sm, Status, SubmitMulti, decode};
use testkit::{Client, House};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A customer's system, bound as a transceiver.
struct Customer {
    socket: TcpStream,
    framer: Framer,
    sequence: u32,
}

impl Customer {
    async fn bind(house: &House) -> Self {
        let new = json!({ "system_id": "gates", "password": "secret12" });
        house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
        let socket = TcpStream::connect(house.server.smpp).await.unwrap();
        let mut customer = Self { socket, framer: Framer::new(smpp::DEFAULT_MAX_PDU), sequence: 0 };
        let bind = Bind { system_id: "gates".into(), password: "secret12".into(), ..Bind::default() };
        assert_eq!(customer.ask(&Pdu::BindTransceiver(bind)).await.0, Status::ROK);
        customer
    }

    /// The answer's status and body; what the server asks meanwhile is passed over.
    async fn ask(&mut self, pdu: &Pdu) -> (Status, Pdu) {
        self.sequence += 1;
        let mut out = Vec::new();
        pdu.encode(self.sequence, Status::ROK, &mut out).unwrap();
        self.socket.write_all(&out).await.unwrap();
        loop {
            if let Some(octets) = self.framer.next_pdu().unwrap() {
                let (header, pdu) = decode(octets, Mode::Lenient).unwrap();
                if header.sequence == self.sequence && header.command_id.is_response() {
                    return (header.status, pdu);
                }
                continue;
            }
            let read = self.socket.read_buf(self.framer.buffer(4096));
            let read = tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer in time");
            assert!(read.unwrap() > 0, "the server closed the connection");
        }
    }

    async fn submit(&mut self, from: &str, to: &str, text: &str) -> Status {
        self.ask(&Pdu::SubmitSm(sm(from, to, text))).await.0
    }
}

fn sm(from: &str, to: &str, text: &str) -> Sm {
    Sm {
        source: Address::alphanumeric(from),
        destination: Address::international(to),
        short_message: text.as_bytes().to_vec(),
        ..Sm::default()
    }
}

async fn send(client: &Client, from: &str, to: &str, text: &str) -> (u16, String) {
    let body = match from {
        "" => json!({ "to": format!("+{to}"), "text": text }),
        from => json!({ "to": format!("+{to}"), "from": from, "text": text }),
    };
    let answer = client.post("/api/v1/messages", &body).await;
    match answer.status {
        202 => (202, String::new()),
        status => (status, answer.problem()),
    }
}

async fn rule(house: &House, name: &str, rule: Value) {
    house.admin.post("/api/v1/firewall-rules", &json!({ "name": name, "rule": rule })).await.expect(201);
}

async fn list(house: &House, kind: &str, value: &str) -> Value {
    let new = json!({ "kind": kind, "value": value, "reason": "asked not to" });
    house.admin.post("/api/v1/blacklist", &new).await.expect(201)
}

/// A window that is closed now, wherever the clock stands: three days from today.
fn closed_now(house: &House) -> Value {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    // 1 January 1970 was a Thursday.
    let today = house.server.runtime.clock.now().unix_ms() / 86_400_000 + 3;
    let day = DAYS[usize::try_from((today + 3) % 7).unwrap()];
    json!([{ "days": [day], "from": "08:00", "to": "20:00" }])
}

async fn set_up(house: &House) {
    list(house, "number", "+33600000001").await;
    list(house, "prefix", "3460").await;
    list(house, "sender", "EvilCo").await;
    list(house, "content", "Free Money").await;
    rule(
        house,
        "No links",
        json!({ "when": { "kind": "url" }, "action": "refuse", "reach": { "countries": ["FR"] } }),
    )
    .await;
    rule(
        house,
        "Forged",
        json!({ "when": { "kind": "impersonates", "names": ["PayPal"] }, "action": "refuse" }),
    )
    .await;
    rule(house, "Again", json!({ "when": { "kind": "duplicate", "minutes": 5 }, "action": "refuse", "reach": { "countries": ["ES"] } })).await;
    rule(house, "One a day", json!({ "when": { "kind": "per_day", "max": 1 }, "action": "refuse", "reach": { "countries": ["DE"] } })).await;
    let registrations =
        json!([{ "country": "FR", "state": "refused" }, { "country": "*", "state": "approved" }]);
    let sender = json!({ "name": "ACME", "record": { "registrations": registrations } });
    house.admin.post("/api/v1/senders", &sender).await.expect(201);
    let policy = json!({ "whose": "everyone", "policy": { "blocked": ["blocked*"] } });
    house.admin.send("PUT", "/api/v1/sender-policies", &policy).await.expect(200);
    let hours =
        json!({ "reach": { "countries": ["IT"] }, "windows": closed_now(house), "outside": "refuse" });
    house.admin.post("/api/v1/hours", &json!({ "name": "Italy", "rule": hours })).await.expect(201);
    // One part in the first second; a slow machine must not see the second.
    let slow = json!({ "reach": { "countries": ["PT"] }, "parts_per_second": 1 });
    house.admin.post("/api/v1/hours", &json!({ "name": "Portugal", "rule": slow })).await.expect(201);
}

/// From, to, text, the HTTP status and code, the SMPP status.
const CASES: [(&str, &str, &str, u16, &str, Status); 10] = [
    ("Bakery", "33600000001", "x", 422, "recipient_blacklisted", Status::RSUBMITFAIL),
    ("Bakery", "34600000001", "x", 422, "recipient_blacklisted", Status::RSUBMITFAIL),
    ("evilco", "33600000002", "x", 422, "sender_blacklisted", Status::RINVSRCADR),
    ("Bakery", "33600000002", "get FREE money", 422, "content_blocked", Status::RSUBMITFAIL),
    ("Bakery", "33600000002", "see http://example.com/", 422, "content_blocked", Status::RSUBMITFAIL),
    ("PayPa1", "33600000002", "x", 422, "sender_impersonation", Status::RINVSRCADR),
    ("Blocked Inc", "33600000002", "x", 422, "sender_not_allowed", Status::RINVSRCADR),
    ("ACME", "33600000002", "x", 422, "sender_not_registered", Status::RINVSRCADR),
    ("Bakery", "393331234567", "x", 422, "outside_hours", Status::RSUBMITFAIL),
    ("Bakery", "34611111111", "twice", 422, "duplicate_message", Status::RSUBMITFAIL),
];

#[tokio::test]
async fn each_refusal_has_its_name_over_http_and_smpp_and_nothing_half_happens() {
    let house = House::start().await;
    set_up(&house).await;
    let mut customer = Customer::bind(&house).await;
    // Let through: what comes first, and what no rule is about.
    let mut accepted = 0;
    for (from, to, text) in [
        ("Bakery", "34611111111", "twice"),
        ("Bakery", "4915112345678", "first of the day"),
        ("ACME", "34611111111", "approved there"),
        ("PayPal", "33600000002", "the real one"),
        ("Bakery", "34622222222", "see http://example.com/"),
    ] {
        assert_eq!(send(&house.admin, from, to, text).await, (202, String::new()), "{from} {to} {text}");
        accepted += 1;
    }
    for (from, to, text, status, code, on_the_wire) in CASES {
        assert_eq!(send(&house.admin, from, to, text).await, (status, code.to_owned()), "{from} {to} {text}");
        assert_eq!(customer.submit(from, to, text).await, on_the_wire, "{from} {to} {text}");
    }
    assert_eq!(
        send(&house.admin, "Bakery", "4915112345678", "second").await,
        (422, "recipient_limit".to_owned())
    );
    assert_eq!(customer.submit("Bakery", "4915112345678", "third").await, Status::RSUBMITFAIL);
    // Too fast: the second of two at once.
    let portugal = |n: u32| format!("35191234567{n}");
    let (to_1, to_2) = (portugal(1), portugal(2));
    let both =
        tokio::join!(send(&house.admin, "Bakery", &to_1, "x"), send(&house.admin, "Bakery", &to_2, "x"));
    let mut both = [both.0, both.1];
    both.sort();
    assert_eq!(both, [(202, String::new()), (429, "rate_exceeded".to_owned())]);
    accepted += 1;
    // One recipient of a submit_multi is refused, the other gets it.
    let multi = SubmitMulti {
        destinations: ["33600000001", "33600000003"]
            .map(|to| Destination::Address(Address::international(to)))
            .to_vec(),
        message: sm("Bakery", "", "multi"),
    };
    let (status, answer) = customer.ask(&Pdu::SubmitMulti(multi)).await;
    let Pdu::SubmitMultiResp(answer) = answer else { panic!("{answer:?}") };
    assert_eq!((status, answer.unsuccessful.len()), (Status::ROK, 1));
    assert_eq!(answer.unsuccessful[0].status, Status::RSUBMITFAIL);
    accepted += 1;

    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!((&sums["accepted"], &sums["balanced"]), (&json!(accepted), &json!(true)));
    are_kept(&house).await;
    house.stop().await;
}

/// The refusals of the cases are listed, filtered and counted; texts are nowhere.
async fn are_kept(house: &House) {
    // Each case twice, the day's limit twice, one of the submit_multi.
    let wanted = CASES.len() * 2 + 3;
    house
        .until("all refusals are kept", async || {
            let refusals = house.admin.get("/api/v1/refusals?limit=200").await.expect(200);
            refusals["items"].as_array().unwrap().len() == wanted
        })
        .await;
    let refusals =
        house.admin.get("/api/v1/refusals?code=sender_impersonation&from=PayPa1").await.expect(200);
    let items = refusals["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert!(
        items.iter().any(|one| one["account"].is_string())
            && items.iter().any(|one| one["key"].is_string() || one["account"].is_null())
    );
    assert_eq!((&items[0]["rule_name"], &items[0]["to"]), (&json!("Forged"), &json!("33600000002")));
    assert!(items[0]["rule"].as_str().unwrap().starts_with("fwr_") && items[0].get("text").is_none());
    let all = house.admin.get("/api/v1/refusals?limit=200").await.text;
    assert!(!all.contains("FREE") && !all.contains("example.com"), "{all}");
    let answer = house.admin.get("/api/v1/refusals?code=nonsense").await;
    assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid_filter"));

    let counts = house.admin.get("/api/v1/gates/counts").await.expect(200);
    let count = |outcome: &str| -> i64 {
        let all = counts["items"].as_array().unwrap().iter();
        all.filter(|one| one["outcome"] == outcome).map(|one| one["n"].as_i64().unwrap()).sum()
    };
    assert_eq!(
        (count("duplicate_message"), count("rate_exceeded"), count("recipient_blacklisted")),
        (2, 1, 5)
    );
    let metrics = house.anonymous().get("/metrics").await.text;
    // The metrics are of the whole process, which other tests share.
    assert!(metrics.contains("switchboard_gate_refusals_total{code=\"outside_hours\"}"));
}

#[tokio::test]
async fn another_tenants_rules_are_its_own() {
    let house = House::start().await;
    let (_, neighbour) = house.neighbour().await;
    let theirs = json!({ "name": "Nothing", "rule": { "when": { "kind": "pattern", "pattern": "." }, "action": "refuse" } });
    neighbour.post("/api/v1/firewall-rules", &theirs).await.expect(201);
    neighbour.post("/api/v1/blacklist", &json!({ "kind": "prefix", "value": "3" })).await.expect(201);
    assert_eq!(send(&house.admin, "Bakery", "33612345678", "x").await, (202, String::new()));
    assert_eq!(
        send(&neighbour, "Bakery", "33612345678", "x").await,
        (422, "recipient_blacklisted".to_owned())
    );
    house
        .until("the neighbour's refusal is kept", async || {
            neighbour.get("/api/v1/refusals").await.expect(200)["items"].as_array().unwrap().len() == 1
        })
        .await;
    assert_eq!(house.admin.get("/api/v1/refusals").await.expect(200)["items"], json!([]));
    let question = json!({ "to": "+33612345678", "text": "x" });
    let ours = house.admin.post("/api/v1/gates/check", &question).await.expect(200);
    assert_eq!((&ours["verdict"], &ours["looked_at"]), (&json!("accepted"), &json!([])));
    let theirs = neighbour.post("/api/v1/gates/check", &question).await.expect(200);
    assert_eq!((&theirs["verdict"], &theirs["code"]), (&json!("refused"), &json!("recipient_blacklisted")));
    house.stop().await;
}

#[tokio::test]
async fn counters_are_there_after_a_restart() {
    let house = House::start().await;
    rule(&house, "Again", json!({ "when": { "kind": "duplicate", "minutes": 60 }, "action": "refuse" }))
        .await;
    rule(&house, "Three a day", json!({ "when": { "kind": "per_day", "max": 3 }, "action": "refuse" })).await;
    assert_eq!(send(&house.admin, "Bakery", "33612345678", "one").await.0, 202);
    assert_eq!(send(&house.admin, "Bakery", "33612345678", "two €").await.0, 202);
    let config = runtime::Config::clone(&house.server.runtime.config);
    house.server.stop().await;
    let server = Server::start(config, Clock::system()).await.expect("it starts again");
    let admin = Client::anonymous(server.http).with_key(testkit::house::ADMIN_KEY);
    for text in ["one", "two €"] {
        assert_eq!(send(&admin, "Bakery", "33612345678", text).await, (422, "duplicate_message".to_owned()));
    }
    assert_eq!(send(&admin, "Bakery", "33612345678", "three").await.0, 202);
    assert_eq!(send(&admin, "Bakery", "33612345678", "four").await, (422, "recipient_limit".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn a_held_message_waits_for_a_person() {
    let house = House::start().await;
    let admin = &house.admin;
    rule(&house, "Look at links", json!({ "when": { "kind": "url" }, "action": "hold" })).await;
    rule(&house, "Note links", json!({ "when": { "kind": "url" }, "action": "mark" })).await;
    let mut ids = Vec::new();
    for n in 0..2 {
        let body =
            json!({ "to": "+33612345678", "from": "Bakery", "text": format!("see www.example.com/{n}") });
        let accepted = admin.post("/api/v1/messages", &body).await.expect(202);
        assert_eq!(
            (&accepted["state"], &accepted["held_by"]),
            (&json!("scheduled"), &json!("Look at links"))
        );
        ids.push(accepted["id"].as_str().unwrap().to_owned());
    }
    let held = admin.get("/api/v1/messages/held").await.expect(200);
    assert_eq!(held["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&held["items"][0]["held_by"], &held["items"][0]["marks"]),
        (&json!("Look at links"), &json!(["Note links"]))
    );
    // Whoever may not release sees it, and no more.
    let looker = house.key(&["held.view", "message.view"]).await;
    assert_eq!(looker.get("/api/v1/messages/held").await.status, 200);
    assert_eq!(looker.post(&format!("/api/v1/messages/{}/release", ids[0]), &json!({})).await.status, 403);

    let released = admin.post(&format!("/api/v1/messages/{}/release", ids[0]), &json!({})).await.expect(200);
    assert!(released.get("held_by").is_none() && released["marks"] == json!(["Note links"]), "{released}");
    house
        .until("the released message is delivered", async || {
            admin.get(&format!("/api/v1/messages/{}", ids[0])).await.json()["state"] == "delivered"
        })
        .await;
    let again = admin.post(&format!("/api/v1/messages/{}/release", ids[0]), &json!({})).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "conflict"));
    admin.post(&format!("/api/v1/messages/{}/cancel", ids[1]), &json!({})).await.expect(200);
    assert_eq!(admin.get("/api/v1/messages/held").await.expect(200)["items"], json!([]));
    let sums = admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!((&sums["accepted"], &sums["balanced"]), (&json!(2), &json!(true)));
    let trail = admin.get("/api/v1/audit?type=message.released").await.expect(200);
    assert_eq!(trail["items"].as_array().unwrap().len(), 1);
    house.stop().await;
}

#[tokio::test]
async fn promotions_are_postponed_and_a_sender_is_chosen() {
    let house = House::start().await;
    let admin = &house.admin;
    let shop = json!({ "reach": { "intents": ["marketing"] }, "windows": closed_now(&house) });
    admin.post("/api/v1/hours", &json!({ "name": "Shop", "rule": shop })).await.expect(201);
    let pool = json!({ "name": "France", "rule": { "choice": "country", "members": [{ "sender": "Bakery FR", "countries": ["FR"] }] } });
    let pool = admin.post("/api/v1/sender-pools", &pool).await.expect(201);
    let policy = json!({ "whose": "api", "policy": { "defaults": [{ "sender": "Bakery" }, { "countries": ["FR"], "pool": pool["id"] }] } });
    admin.send("PUT", "/api/v1/sender-policies", &policy).await.expect(200);
    let in_use = admin.delete(&format!("/api/v1/sender-pools/{}", pool["id"].as_str().unwrap())).await;
    assert_eq!((in_use.status, in_use.problem().as_str()), (409, "still_in_use"));

    let body = json!({ "to": "+33612345678", "text": "Sale", "intent": "marketing" });
    let accepted = admin.post("/api/v1/messages", &body).await.expect(202);
    assert_eq!(accepted["state"], "scheduled");
    let opens = accepted["postponed_to"].as_str().unwrap();
    assert!(opens.ends_with("08:00:00.000Z"), "{opens}");
    let message =
        admin.get(&format!("/api/v1/messages/{}", accepted["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((&message["state"], &message["from"]), (&json!("scheduled"), &json!("Bakery FR")));
    assert!(message["expires_at"].as_str().unwrap() > opens, "its validity counts from when it goes");
    // One whose validity ends before is refused; a code goes at once, from the default for all.
    let short = json!({ "to": "+33612345678", "text": "Sale", "intent": "marketing", "validity_s": 3600 });
    let refused = admin.post("/api/v1/messages", &short).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "outside_hours"));
    let code = admin
        .post("/api/v1/messages", &json!({ "to": "+34612345678", "text": "123", "intent": "otp" }))
        .await
        .expect(202);
    let message = admin.get(&format!("/api/v1/messages/{}", code["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(message["from"], "Bakery");
    house.stop().await;
}

#[tokio::test]
async fn a_list_is_imported_looked_up_and_taken_off() {
    let house = House::start().await;
    let admin = &house.admin;
    let text = "value,reason\n+33612345678,opt-out\nnonsense,\n+33612345679,\"moved, twice\"\n";
    let imported =
        admin.post("/api/v1/blacklist/import", &json!({ "text": text, "source": "crm" })).await.expect(200);
    assert_eq!(
        (&imported["added"], &imported["refused_count"], &imported["refused"][0]["line"]),
        (&json!(2), &json!(1), &json!(3))
    );
    let found = admin.get("/api/v1/blacklist?catches=%2B33612345679").await.expect(200);
    assert_eq!(
        (&found["items"][0]["reason"], &found["items"][0]["source"]),
        (&json!("moved, twice"), &json!("crm"))
    );
    assert_eq!(admin.get("/api/v1/blacklist?catches=33700000000").await.expect(200)["items"], json!([]));
    assert_eq!(send(admin, "Bakery", "33612345679", "x").await.1, "recipient_blacklisted");
    let id = found["items"][0]["id"].as_str().unwrap();
    assert_eq!(admin.delete(&format!("/api/v1/blacklist/{id}")).await.status, 204);
    assert_eq!(send(admin, "Bakery", "33612345679", "x").await.0, 202);
    // An expired entry lets pass; adding the same again replaces it.
    let expired = json!({ "kind": "number", "value": "+33612345678", "expires_at": "2020-01-01T00:00:00Z" });
    admin.post("/api/v1/blacklist", &expired).await.expect(201);
    assert_eq!(send(admin, "Bakery", "33612345678", "x").await.0, 202);
    house.stop().await;
}
