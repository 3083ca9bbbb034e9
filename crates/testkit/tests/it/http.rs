//! Carriers over HTTP: the real program as a customer of the simulator's providers, and `/cgi-bin/sendsms` for its own.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::{Clock, Config, Tasks};
use serde_json::{Value, json};
use simulator::provider::{Provider, Settings, Style};
use testkit::House;

const STYLES: [(&str, Style); 4] = [
    ("twilio", Style::Twilio),
    ("infobip", Style::Infobip),
    ("vonage", Style::Vonage),
    ("kannel", Style::Kannel),
];

/// Lets the program be found by its hooks' addresses, and find providers on this machine.
fn reachable(config: &mut Config) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config.http.listen = ([127, 0, 0, 1], port).into();
    config.http.public_url = format!("http://127.0.0.1:{port}");
    config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    config.simulator.enabled = false;
}

/// The program with one connection, over which everything goes, to a provider of this dialect.
struct Carried {
    house: House,
    provider: Provider,
    tasks: Tasks,
    path: String,
}

impl Carried {
    async fn over(dialect: &str, change: impl FnOnce(&mut Settings), more: Value) -> Self {
        let tasks = Tasks::new();
        let mut settings = Settings { accounts: vec![("us".into(), "secret".into())], ..Settings::default() };
        change(&mut settings);
        let provider = Provider::start(settings, &tasks, Clock::system()).await.unwrap();
        let house = House::start_with(reachable).await;
        let mut settings = json!({
            "protocol": "http", "system_id": "us", "window": 20, "reconnect_min_ms": 20, "reconnect_max_ms": 200,
            "throttle_min_ms": 50, "throttle_max_ms": 200, "http": { "dialect": dialect, "url": provider.url() },
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let new = json!({ "name": "Provider", "password": "secret", "settings": settings });
        let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
        let route = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
        house.admin.post("/api/v1/routes", &route).await.expect(201);
        let path = format!("/api/v1/connections/{}", connection["id"].as_str().unwrap());
        let carried = Self { house, provider, tasks, path };
        carried
            .house
            .until("the provider is reached", async || carried.status().await["state"] == "bound")
            .await;
        carried
    }

    async fn status(&self) -> Value {
        self.house.admin.get(&self.path).await.expect(200)["status"].clone()
    }

    async fn hook(&self, what: &str) -> String {
        self.house.admin.get(&format!("{}/hooks", self.path)).await.expect(200)[what]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn send(&self, to: &str, text: &str) -> String {
        let message = json!({ "to": to, "from": "ACME & Co", "text": text });
        let accepted = self.house.admin.post("/api/v1/messages", &message).await.expect(202);
        accepted["id"].as_str().unwrap().to_owned()
    }

    async fn until_state(&self, id: &str, state: &str) -> Value {
        let message = async || self.house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200);
        self.house.until(&format!("{id} is {state}"), async || message().await["state"] == state).await;
        message().await
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

#[tokio::test]
async fn each_provider_gets_texts_of_every_kind_and_its_receipts_come_back() {
    let long = "A text that goes on and on, with @ and _ and € in it. ".repeat(8);
    for (dialect, _) in STYLES {
        let carried = Carried::over(dialect, |_| {}, json!({})).await;
        for (at, text) in ["Hello ID1 & \"you\" =?", "Ж ID2 🍝", long.as_str()].into_iter().enumerate() {
            let id = carried.send(&format!("+3361234567{at}"), text).await;
            let message = carried.until_state(&id, "delivered").await;
            assert!(message["error"].is_null(), "{dialect}: {message}");
        }
        let counts = carried.provider.counts();
        // Kannel is given parts; the others split themselves.
        let wanted = if dialect == "kannel" { 5 } else { 3 };
        assert_eq!(
            (counts.accepted, counts.receipts, counts.receipts_lost),
            (wanted, wanted, 0),
            "{dialect}"
        );
        assert_eq!(carried.provider.seen().distinct, 2, "{dialect}");
        carried.stop().await;
    }
}

#[tokio::test]
async fn what_is_refused_or_not_delivered_says_why() {
    let carried = Carried::over("twilio", |settings| settings.undelivered_percent = 100.0, json!({})).await;
    let id = carried.send("+33612345678", "nobody there").await;
    let failed = carried.until_state(&id, "failed").await;
    assert!(failed["error"].to_string().contains("30003"), "{failed}");
    carried.provider.change(|settings| settings.refused_percent = 100.0);
    let id = carried.send("+33612345678", "never").await;
    let rejected = carried.until_state(&id, "rejected").await;
    assert!(rejected["error"].to_string().contains("HTTP 400: Invalid 'To'"), "{rejected}");
    carried.stop().await;
}

#[tokio::test]
async fn a_throttling_provider_gets_every_message_once() {
    for (dialect, _) in [STYLES[0], STYLES[2]] {
        let carried = Carried::over(dialect, |settings| settings.throughput = 40, json!({})).await;
        let messages: Vec<Value> = (0..120)
            .map(|n| json!({ "to": format!("+33600000{n:03}"), "text": format!("ID{n} fast") }))
            .collect();
        carried
            .house
            .admin
            .post("/api/v1/messages/batch", &json!({ "messages": messages }))
            .await
            .expect(202);
        carried.until_all(120, "delivered").await;
        let seen = carried.provider.seen();
        assert_eq!((seen.total, seen.distinct), (120, 120), "{dialect}");
        assert!(carried.provider.counts().throttled > 0, "{dialect}");
        carried.stop().await;
    }
}

#[tokio::test]
async fn silence_leaves_the_fate_open_and_wrong_credentials_stop_all() {
    let silent = |settings: &mut Settings| {
        settings.unanswered_percent = 100.0;
        settings.receipt_delay_ms = 3_600_000;
    };
    let carried = Carried::over("infobip", silent, json!({ "response_timeout_ms": 300 })).await;
    let message = json!({ "to": "+33612345678", "text": "perhaps", "intent": "marketing" });
    let id = carried.house.admin.post("/api/v1/messages", &message).await.expect(202);
    carried.until_state(id["id"].as_str().unwrap(), "indeterminate").await;
    carried.provider.change(|settings| {
        settings.unanswered_percent = 0.0;
        settings.receipt_delay_ms = 0;
        settings.accounts = vec![("us".into(), "another".into())];
    });
    let id = carried.send("+33612345679", "wait").await;
    carried
        .house
        .until("the refusal is shown", async || {
            carried.status().await["binds"][0]["last_error"].to_string().contains("credentials are refused")
        })
        .await;
    // Nothing is lost by it.
    carried.provider.change(|settings| settings.accounts = vec![("us".into(), "secret".into())]);
    carried.until_state(&id, "delivered").await;
    carried.stop().await;
}

#[tokio::test]
async fn messages_from_phones_come_by_each_provider() {
    for (dialect, style) in STYLES {
        let carried = Carried::over(dialect, |_| {}, json!({})).await;
        let hook = carried.hook("inbound").await;
        let status =
            carried.provider.inject_mo(style, &hook, "+33612345678", "20000", "réponse & Ж").await.unwrap();
        assert_eq!(status, 200, "{dialect}");
        let listed = carried.house.admin.get("/api/v1/messages?direction=in").await.expect(200);
        let items = listed["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "it is kept when the hook has answered: {listed}");
        assert_eq!(
            (&items[0]["text"], &items[0]["from"]),
            (&json!("réponse & Ж"), &json!("+33612345678")),
            "{dialect}"
        );
        carried.stop().await;
    }
}

#[tokio::test]
async fn hooks_take_nothing_unsigned_and_take_also_while_the_connection_is_stopped() {
    let carried = Carried::over("twilio", |settings| settings.receipt_delay_ms = 1_500, json!({})).await;
    let house = &carried.house;
    let at = |url: &str| url[url.find("/hooks").unwrap()..].to_owned();
    let hook = at(&carried.hook("receipts").await);
    let form = "MessageSid=SM1&MessageStatus=delivered";
    let forged = [("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")];
    assert_eq!(house.anonymous().form(&hook, &forged, form).await.status, 401);
    assert_eq!(house.anonymous().form(&hook, &[], form).await.status, 401);
    assert_eq!(house.anonymous().form("/hooks/connections/0123/receipts", &forged, form).await.status, 404);
    let large = "x".repeat(1_100_000);
    assert_eq!(house.anonymous().form(&hook, &forged, &large).await.status, 413);

    let id = carried.send("+33612345678", "late").await;
    carried.until_state(&id, "sent").await;
    house.admin.post(&format!("{}/stop", carried.path), &json!({})).await.expect(200);
    carried.until_state(&id, "delivered").await;

    let renewed = house.admin.post(&format!("{}/hooks/renew", carried.path), &json!({})).await.expect(200);
    assert_ne!(at(renewed["receipts"].as_str().unwrap()), hook);
    assert_eq!(
        house.anonymous().form(&hook, &forged, form).await.status,
        404,
        "the former address is closed"
    );
    house.admin.post(&format!("{}/start", carried.path), &json!({})).await.expect(200);
    let id = carried.send("+33612345678", "by the new address").await;
    carried.until_state(&id, "delivered").await;
    carried.stop().await;
}

#[tokio::test]
async fn vonages_signed_receipts_are_verified() {
    let signs = |settings: &mut Settings| settings.signature_secret = "shh".into();
    let carried = Carried::over("vonage", signs, json!({})).await;
    let signature = json!({ "kind": "hmac", "over": "{pairs}", "at": "sig", "timestamp": "timestamp" });
    let http = json!({ "url": carried.provider.url(), "dialect": "vonage", "signature": signature });
    let change = json!({ "hook_secret": "shh", "settings": { "http": http } });
    carried.house.admin.send("PATCH", &carried.path, &change).await.expect(200);
    let id = carried.send("+33612345678", "signed").await;
    carried.until_state(&id, "delivered").await;
    let change = json!({ "hook_secret": "other" });
    carried.house.admin.send("PATCH", &carried.path, &change).await.expect(200);
    let id = carried.send("+33612345678", "signed by somebody else").await;
    carried.until_state(&id, "sent").await;
    carried
        .house
        .until("the receipt is given up", async || carried.provider.counts().receipts_lost == 1)
        .await;
    carried.until_state(&id, "sent").await;
    carried.stop().await;
}

#[tokio::test]
async fn a_request_can_be_seen_before_and_after_and_shows_no_secret() {
    let carried = Carried::over("twilio", |_| {}, json!({})).await;
    let sample = json!({ "to": "+33612345678", "from": "ACME", "text": "1 & 2" });
    let seen = carried.house.admin.post(&format!("{}/preview", carried.path), &sample).await.expect(200);
    let text = seen[0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("POST /2010-04-01/Accounts/us/Messages.json HTTP/1.1\r\nHost: 127.0.0.1:"),
        "{text}"
    );
    assert!(text.contains("Body=1%20%26%202") && text.contains("Authorization: Basic ********"), "{text}");
    assert_eq!(carried.provider.counts().submits, 0, "nothing was sent");
    let id = carried.send("+33612345678", "seen").await;
    let pdus = carried.house.admin.get(&format!("/api/v1/messages/{id}/pdus")).await.expect(200);
    let text = pdus[0]["text"].as_str().unwrap();
    assert!(text.contains("Body=seen") && !text.contains("c2VjcmV0"), "{text}");
    carried.stop().await;
}

#[tokio::test]
async fn a_description_is_judged_at_its_place_and_changed_in_part() {
    let house = House::start_with(reachable).await;
    let create = async |settings: Value| {
        house.admin.post("/api/v1/connections", &json!({ "name": "x", "settings": settings })).await
    };
    for (settings, place) in [
        (json!({ "protocol": "http" }), "settings.http"),
        (json!({ "protocol": "http", "http": { "dialect": "nobody" } }), "settings.http.dialect"),
        (
            json!({ "protocol": "http", "http": { "dialect": "twilio", "url": "ftp://x" } }),
            "settings.http.url",
        ),
        (
            json!({ "protocol": "http", "http": { "dialect": "twilio", "url": "http://10.0.0.1" } }),
            "settings.http.url",
        ),
        (
            json!({ "protocol": "http", "http": { "dialect": "twilio", "request": { "query": { "a": "{b}" } } } }),
            "settings.http.request.query.a",
        ),
        (
            json!({ "protocol": "http", "long_messages": "udh8", "http": { "dialect": "twilio" } }),
            "settings.long_messages",
        ),
    ] {
        let refused = create(settings.clone()).await;
        assert_eq!(
            (refused.status, refused.json()["at"].as_str()),
            (422, Some(place)),
            "{settings}: {}",
            refused.text
        );
    }
    let made =
        create(json!({ "protocol": "http", "http": { "dialect": "kannel", "url": "http://127.0.0.1:1" } }))
            .await;
    let made = made.expect(201);
    assert_eq!((&made["settings"]["port"], &made["settings"]["long_messages"]), (&json!(1), &json!("udh8")));
    let path = format!("/api/v1/connections/{}", made["id"].as_str().unwrap());
    let patch = async |http: Value| {
        let change = json!({ "settings": { "http": http } });
        house.admin.send("PATCH", &path, &change).await.expect(200)["settings"].clone()
    };
    let changed = patch(json!({ "request": { "query": { "smsc": "one", "priority": null } } })).await;
    let query = &changed["http"]["request"]["query"];
    assert_eq!((&query["smsc"], &query["priority"]), (&json!("one"), &json!("{priority|at_most:3}")));
    assert_eq!(query["text"], json!("{text|or:binary}"), "what is not named stays");
    let changed = patch(json!({ "dialect": "infobip" })).await;
    assert_eq!(
        (&changed["http"]["url"], &changed["long_messages"]),
        (&json!("https://api.infobip.com"), &json!("payload"))
    );
    assert!(!changed.to_string().contains("sendsms"), "{changed}");
    house.stop().await;
}

/// Somebody's web server, which notes what it is asked and answers 200.
fn web_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, mut heard) = (socket.unwrap(), [0; 8192]);
            let n = socket.read(&mut heard).unwrap_or(0);
            let line = String::from_utf8_lossy(&heard[..n]).lines().next().unwrap_or_default().to_owned();
            seen.lock().unwrap().push(line);
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (url, asked)
}

#[tokio::test]
async fn who_speaks_to_kannel_can_speak_to_us() {
    let house = House::start_with(|config| {
        config.sendsms.enabled = true;
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let new = json!({ "system_id": "box", "password": "secret77", "settings": { "throughput": 0 } });
    let account = house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let (url, asked) = web_server();
    let ask = async |query: &str| {
        house.anonymous().get(&format!("/cgi-bin/sendsms?username=box&password=secret77&{query}")).await
    };
    let dlr = format!("{url}/?k=%25d%26p=%25p%26P=%25P%26id=%25F");
    let sent =
        ask(&format!("from=ACME&to=%2B33612345678&text=Hello+ID1+%C3%A9&dlr-mask=31&dlr-url={dlr}")).await;
    assert_eq!((sent.status, sent.text.as_str()), (202, "0: Accepted for delivery"));
    let reports = || asked.lock().unwrap().clone();
    house.until("both reports came", async || reports().len() == 2).await;
    let mut kinds: Vec<_> = reports().iter().map(|line| line[..10].to_owned()).collect();
    kinds.sort();
    assert_eq!(kinds, ["GET /?k=1&", "GET /?k=8&"], "{:?}", reports());
    assert!(reports().iter().all(|line| line.contains("p=%2B33612345678&P=ACME&id=msg_")), "{:?}", reports());

    let message = house.admin.get("/api/v1/messages?direction=out").await.expect(200)["items"][0].clone();
    assert_eq!((&message["text"], &message["account"]), (&json!("Hello ID1 é"), &account["id"]), "{message}");
    for (query, status, body) in [
        ("to=abc&text=x", 400, "rejected"),
        ("text=x", 400, "Missing receiver number, rejected"),
        ("to=33612345678&text=x&coding=7", 400, "coding"),
        ("to=33612345678&text=x&dlr-mask=1&dlr-url=ftp://x", 400, "dlr-url"),
        ("to=33612345678&text=x&udh=%05%00", 400, "UDH field misformed"),
    ] {
        let refused = ask(query).await;
        assert_eq!(refused.status, status, "{query}: {}", refused.text);
        assert!(refused.text.contains(body), "{query}: {}", refused.text);
    }
    let stranger =
        house.anonymous().get("/cgi-bin/sendsms?username=box&password=wrong&to=33612345678&text=x").await;
    assert_eq!((stranger.status, stranger.text.as_str()), (403, "Authorization failed for sendsms"));

    // Several, in UCS-2, as a form; then with Kannel's headers.
    let form = "user=box&pass=secret77&to=33612345671+33612345672&coding=2&charset=UTF-8&text=%D0%96";
    let sent = house.anonymous().form("/cgi-bin/sendsms", &[], form).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    let headers = [
        ("x-kannel-username", "box"),
        ("x-kannel-password", "secret77"),
        ("x-kannel-to", "33612345673"),
        ("x-kannel-from", "10000"),
        ("content-type", "text/plain; charset=iso-8859-1"),
    ];
    let sent = house.anonymous().ask("POST", "/cgi-bin/sendsms", &headers, Some(b"\xe9t\xe9".to_vec())).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    let texts = house.admin.get("/api/v1/messages?direction=out").await.expect(200);
    let texts: Vec<_> =
        texts["items"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["été", "Ж", "Ж", "Hello ID1 é"]);

    // What the account may not do any more is known at once.
    let account = format!("/api/v1/smpp-accounts/{}", account["id"].as_str().unwrap());
    house.admin.send("PATCH", &account, &json!({ "settings": { "throughput": 2 } })).await.expect(200);
    let said: Vec<u16> = [
        ask("to=33612345678&text=x").await,
        ask("to=33612345678&text=x").await,
        ask("to=33612345678&text=x").await,
    ]
    .iter()
    .map(|answer| answer.status)
    .collect();
    assert!(said[0] == 202 && said.contains(&503), "{said:?}");
    house.admin.send("PATCH", &account, &json!({ "active": false })).await.expect(200);
    assert_eq!(ask("to=33612345678&text=x").await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn the_door_for_kannels_customers_is_closed_unless_it_is_opened() {
    let house = House::start().await;
    let answer = house.anonymous().get("/cgi-bin/sendsms?username=demo&password=x&to=1&text=x").await;
    assert_eq!(answer.status, 404);
    house.stop().await;
}
