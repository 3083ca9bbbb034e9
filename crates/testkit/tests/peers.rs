//! Other people's SMPP implementations on both sides of the real program: as customers that bind to it, as carriers that it
//! binds to. What needs a peer that is not installed fails and says what brings it: `cargo xtask test peers` does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use runtime::{Clock, Tasks};
use serde_json::{Value, json};
use simulator::text_centre::{Protocol, Settings, TextCentre};
use testkit::House;
use testkit::peers::{self, Outcome, Seen, Smsc};

#[path = "peers/directory.rs"]
mod directory;
#[path = "peers/kms.rs"]
mod kms;
#[path = "peers/sign_in.rs"]
mod sign_in;

/// Messages that each customer sends at each window.
const MANY: u32 = 10_000;
/// At window 1, where each waits for a commit of its own, unless `PEERS_FULL` is set.
const SINGLY: u32 = 2_000;
/// A password that every library takes: SMPP has room for 8 octets.
const PASSWORD: &str = "secret12";
/// Messages that a customer sends in another protocol than SMPP.
const OTHERS: u32 = 1_000;
/// Messages that go out to a foreign carrier, in batches.
const OUTWARD: usize = 2_000;
const BATCH: usize = 500;

/// Fails with words where a peer's program is missing.
fn require(program: &str) {
    let found = ["/usr/bin", "/usr/sbin"].iter().any(|folder| Path::new(folder).join(program).exists());
    assert!(found, "{program} is not installed: cargo xtask install");
}

/// The sums, which must balance at every look.
async fn sums(house: &House) -> Value {
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["balanced"], true, "{sums}");
    sums
}

/// How many messages are in a state.
fn in_state(sums: &Value, state: &str) -> u64 {
    let states = sums["states"].as_array().unwrap();
    states.iter().find(|one| one["name"] == state).map_or(0, |one| one["n"].as_u64().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "a long run is asked for by its environment")]
fn singly() -> u32 {
    if std::env::var_os("PEERS_FULL").is_some() { MANY } else { SINGLY }
}

/// One customer binds for each window, sends, waits for its receipts and unbinds; then what the customer
/// says, our sums and the carrier behind us must agree on every message.
async fn serve<F>(customer: impl Fn(SocketAddr, u32, u32) -> F)
where
    F: Future<Output = anyhow::Result<Outcome>>,
{
    let house = House::start().await;
    let settings = json!({ "window_max": 200, "throughput": 0 });
    let new = json!({ "system_id": "peer", "password": PASSWORD, "settings": settings });
    let account = house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let mut sent: Vec<Range<u64>> = Vec::new();
    for (count, window) in [(singly(), 1), (MANY, 10), (MANY, 100)] {
        let outcome = customer(house.server.smpp, count, window).await.unwrap();
        outcome.assert_complete(count);
        eprintln!("{count} messages at window {window}: {:.1} s", outcome.seconds);
        sent.push(u64::from(outcome.first)..u64::from(outcome.first + count));
    }
    let binds = || house.server.engine.account_binds(account["id"].as_str().unwrap().parse().unwrap());
    house.until("nobody is bound", async || binds().is_empty()).await;

    let total: u64 = sent.iter().map(|ids| ids.end - ids.start).sum();
    let sums = sums(&house).await;
    assert_eq!((sums["accepted"].as_u64(), in_state(&sums, "delivered")), (Some(total), total), "{sums}");
    let carrier = house.server.simulator.clone().unwrap();
    let seen = carrier.seen();
    assert_eq!((seen.total, seen.distinct, seen.beyond), (total, total, 0), "each id once at the carrier");
    for ids in sent {
        assert_eq!(carrier.missing(ids), Vec::<u64>::new());
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_smpp_is_served() {
    serve(|addr, count, window| peers::node_smpp_client(addr, "peer", PASSWORD, count, window)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smpplib_is_served() {
    serve(|addr, count, window| peers::smpplib_client(addr, "peer", PASSWORD, count, window)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aiosmpplib_is_served() {
    serve(|addr, count, window| peers::aiosmpplib_client(addr, "peer", PASSWORD, count, window)).await;
}

/// Its queue for deliver_sm is short: what does not fit is answered with ESME_RTHROTTLED and must come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "nothing installs jSMPP: crates/testkit/peers/README.md"]
async fn jsmpp_is_served() {
    serve(|addr, count, window| peers::jsmpp_client(addr, "peer", PASSWORD, count, window)).await;
}

/// At window 1 Kannel takes ten milliseconds for each message, whoever the carrier is: its acknowledgements are delayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kannel_is_served() {
    require("bearerbox");
    serve(|addr, count, window| peers::kannel_client(addr, "peer", PASSWORD, count, window)).await;
}

/// Kannel's EMI module is UCP as a customer's system speaks it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kannel_is_served_over_ucp() {
    require("bearerbox");
    let house = House::start_with(|config| config.ucp.enabled = true).await;
    let settings = json!({ "window_max": 100, "throughput": 0, "numbers": ["20000"] });
    let new = json!({ "system_id": "peer", "settings": settings });
    let account = house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let password = account["password"].as_str().unwrap().to_owned();
    let address = house.server.ucp.unwrap();
    let carrier = house.server.simulator.clone().unwrap();
    let customer = peers::kannel_client_over("emi", address, ("peer", &password), (OTHERS, 50), 1);
    let binds = || house.server.engine.account_binds(account["id"].as_str().unwrap().parse().unwrap());
    let phone = async {
        house.until("Kannel has a session", async || !binds().is_empty()).await;
        carrier.inject_mo("+33611111111", "20000", "a reply with @ and é").unwrap();
    };
    let (outcome, ()) = tokio::join!(customer, phone);
    let outcome = outcome.unwrap();
    outcome.assert_complete(OTHERS);
    assert_eq!(outcome.inbound, ["a reply with @ and é"]);
    house.until("the session is over", async || binds().is_empty()).await;
    let sums = sums(&house).await;
    assert_eq!(
        (in_state(&sums, "delivered"), carrier.seen().distinct),
        (OTHERS.into(), OTHERS.into()),
        "{sums}"
    );
    house.stop().await;
}

/// The simulator's centres speak their protocols so that somebody else's client understands them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kannel_is_served_by_the_simulators_text_centres() {
    require("bearerbox");
    for (name, protocol) in [("emi", Protocol::Ucp), ("cimd2", Protocol::Cimd2)] {
        let tasks = Tasks::new();
        let settings =
            Settings { accounts: vec![("peer".into(), "secret".into())], ..Settings::of(protocol) };
        let centre = TextCentre::start(settings, &tasks, Clock::system()).await.unwrap();
        let account = ("peer", "secret");
        let customer = peers::kannel_client_over(name, centre.address(), account, (OTHERS, 20), 1);
        // Behind the first message both of Kannel's programs are up: what comes before that one of them may drop.
        let phone = async {
            for _ in 0..3_000 {
                if centre.counts().accepted > 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            centre.inject_mo("+33611111111", "10000", "a reply with @ and é").unwrap();
        };
        let (outcome, ()) = tokio::join!(customer, phone);
        let outcome = outcome.unwrap();
        outcome.assert_complete(OTHERS);
        assert_eq!(outcome.inbound, ["a reply with @ and é"], "{name}");
        let counts = centre.counts();
        assert_eq!(
            (counts.accepted, counts.unreadable, centre.seen().distinct),
            (OTHERS.into(), 0, OTHERS.into())
        );
        tasks.stop(Duration::from_secs(1)).await;
    }
}

/// The program without its own carrier, bound to a foreign one that takes everything. Gives the connection's path.
async fn bound_to(carrier: &Smsc) -> (House, String) {
    bound_with(carrier, &json!({})).await
}

/// The same, with settings of the connection.
async fn bound_with(carrier: &Smsc, more: &Value) -> (House, String) {
    let house = House::start_with(|config| config.simulator.enabled = false).await;
    let mut settings = json!({
        "host": carrier.addr.ip().to_string(), "port": carrier.addr.port(), "system_id": "us", "window": 50,
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let new = json!({ "name": "Foreign", "password": "secret", "settings": settings });
    let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
    let route = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
    house.admin.post("/api/v1/routes", &route).await.expect(201);
    let path = format!("/api/v1/connections/{}", connection["id"].as_str().unwrap());
    house
        .until("the connection is bound", async || {
            house.admin.get(&path).await.expect(200)["status"]["state"] == "bound"
        })
        .await;
    (house, path)
}

/// Stops the connection, which unbinds, and then the program.
async fn stop(house: House, path: &str) {
    house.admin.post(&format!("{path}/stop"), &json!({})).await.expect(200);
    house
        .until("the connection is stopped", async || {
            let connection = house.admin.get(path).await.expect(200);
            connection["status"].is_null() || connection["status"]["state"] == "stopped"
        })
        .await;
    house.stop().await;
}

async fn send(house: &House, texts: Range<usize>) {
    let messages: Vec<Value> = texts
        .map(|n| json!({ "to": format!("+4915100{n:06}"), "text": format!("ID{n} to a carrier") }))
        .collect();
    let count = messages.len();
    let answer =
        house.admin.post("/api/v1/messages/batch", &json!({ "messages": messages })).await.expect(202);
    let accepted = answer["results"].as_array().unwrap().iter().filter(|one| one["id"].is_string()).count();
    assert_eq!(accepted, count, "{answer}");
}

async fn until_all(house: &House, count: usize, state: &str) {
    house
        .until(&format!("all {count} messages are {state}"), async || {
            in_state(&sums(house).await, state) == count as u64
        })
        .await;
}

/// All goes out to a carrier, and all its receipts come back.
async fn is_carried_and_reported(carrier: Smsc) {
    let (house, path) = bound_to(&carrier).await;
    for begin in (0..OUTWARD).step_by(BATCH) {
        send(&house, begin..begin + BATCH).await;
    }
    until_all(&house, OUTWARD, "delivered").await;
    stop(house, &path).await;
    let count = Some(OUTWARD as u64);
    let seen = carrier.stop().await.unwrap();
    let Seen { binds, unbinds, .. } = seen;
    assert!(binds == unbinds && binds.is_some_and(|binds| binds > 0), "every bind ended by unbind: {seen:?}");
    let all = Seen {
        binds,
        unbinds,
        submits: OUTWARD as u64,
        messages: OUTWARD as u64,
        receipts: count,
        errors: Vec::new(),
    };
    assert_eq!(seen, all);
}

/// Kannel's smsbox is our provider, and hands everything on to a centre; receipts come back by its `dlr-url`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kannel_carries_over_http_and_reports() {
    require("bearerbox");
    let tasks = Tasks::new();
    let centre =
        simulator::Smsc::start(simulator::Settings::default(), &tasks, Clock::system()).await.unwrap();
    let carrier = peers::kannel_provider("us", "secret", centre.address()).await.unwrap();
    let house = House::start_with(|config| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        config.http.listen = SocketAddr::from(([127, 0, 0, 1], port));
        config.http.public_url = format!("http://127.0.0.1:{port}");
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.simulator.enabled = false;
    })
    .await;
    let http = json!({ "dialect": "kannel", "url": format!("http://{}", carrier.addr) });
    let settings = json!({ "protocol": "http", "system_id": "us", "window": 20, "http": http });
    let new = json!({ "name": "Kannel", "password": "secret", "settings": settings });
    let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
    let route = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
    house.admin.post("/api/v1/routes", &route).await.expect(201);
    send(&house, 0..BATCH).await;
    send(&house, BATCH..OTHERS as usize).await;
    until_all(&house, OTHERS as usize, "delivered").await;
    // Long, in another alphabet, and with what an address has to be escaped for.
    let text = "Ж & ? = % # + ".repeat(12);
    let long = json!({ "to": "+4915199999999", "from": "A&B", "text": text });
    house.admin.post("/api/v1/messages", &long).await.expect(202);
    until_all(&house, OTHERS as usize + 1, "delivered").await;
    let screen = centre.phones().screen("+4915199999999");
    assert_eq!((screen.len(), screen[0].text.as_str(), screen[0].peer.as_str()), (1, text.as_str(), "A&B"));
    let seen = centre.seen();
    assert_eq!((seen.total, seen.distinct), (OTHERS.into(), OTHERS.into()), "each once at the centre");
    house.stop().await;
    let seen = carrier.stop().await.unwrap();
    assert_eq!(seen.errors, Vec::<String>::new());
    tasks.stop(Duration::from_secs(1)).await;
}

/// Kannel's HTTP module speaks to another smsbox, and to our door as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kannel_is_served_over_http() {
    require("bearerbox");
    let house = House::start_with(|config| {
        config.sendsms.enabled = true;
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let new = json!({ "system_id": "peer", "settings": { "throughput": 0 } });
    let account = house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let password = account["password"].as_str().unwrap().to_owned();
    let carrier = house.server.simulator.clone().unwrap();
    // Kannel knows a message for its reports once it has read the answer to its request, and forgets it after the final one;
    // reports that are made within one moment may overtake each other.
    carrier.change(|settings| {
        settings.latency.ms = 300;
        settings.receipt_delay.ms = 1_000;
    });
    let customer = peers::kannel_client_over("http", house.server.http, ("peer", &password), (OTHERS, 20), 0);
    let outcome = customer.await.unwrap();
    outcome.assert_complete(OTHERS);
    let sums = sums(&house).await;
    let seen = carrier.seen();
    assert_eq!((in_state(&sums, "delivered"), seen.total), (OTHERS.into(), OTHERS.into()), "{sums}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_smpp_carries_and_reports() {
    is_carried_and_reported(peers::node_smpp_smsc("us", "secret").await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "nothing installs jSMPP: crates/testkit/peers/README.md"]
async fn jsmpp_carries_and_reports() {
    is_carried_and_reported(peers::jsmpp_smsc("us", "secret").await.unwrap()).await;
}

/// Kannel's own centre knows transmitters and receivers only, gives no ids, and sends receipts that belong to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kannels_centre_carries() {
    let carrier = peers::kannel_smsc("smpp", "us", "secret").await.unwrap();
    let (house, path) = bound_with(&carrier, &json!({ "bind": "transmitter_receiver" })).await;
    send(&house, 0..BATCH).await;
    until_all(&house, BATCH, "sent").await;
    stop(house, &path).await;
    let seen = carrier.stop().await.unwrap();
    assert_eq!((seen.submits, seen.messages), (BATCH as u64, BATCH as u64), "{seen:?}");
    assert_eq!((seen.receipts, seen.errors.len()), (Some(20), 0), "each delivery is answered once: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kannels_cimd2_centre_carries() {
    let carrier = peers::kannel_smsc("cimd2", "us", "secret").await.unwrap();
    let (house, path) = bound_with(&carrier, &json!({ "protocol": "cimd2", "window": 8 })).await;
    send(&house, 0..BATCH).await;
    until_all(&house, BATCH, "sent").await;
    stop(house, &path).await;
    let seen = carrier.stop().await.unwrap();
    let count = BATCH as u64;
    assert_eq!(
        (seen.submits, seen.messages, seen.binds, seen.unbinds),
        (count, count, Some(1), Some(1)),
        "{seen:?}"
    );
}

/// It answers every message with the same id and never reports, so a message stays `sent`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn osmo_msc_carries_and_is_silent() {
    require("osmo-msc");
    let carrier = peers::osmo_msc("us", "secret").await.unwrap();
    let (house, path) = bound_to(&carrier).await;
    send(&house, 0..20).await;
    until_all(&house, 20, "sent").await;
    stop(house, &path).await;
    let seen = carrier.stop().await.unwrap();
    assert_eq!((seen.submits, seen.messages, seen.errors), (20, 20, Vec::new()));
}

/// Mails of Python's smtplib become messages, and messages become mails that aiosmtpd takes and whose notification comes back.
#[tokio::test]
async fn mail_meets_smtplib_and_aiosmtpd() {
    const MAILS: u32 = 100;
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let (certificate, private) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&private, key.serialize_pem()).unwrap();
    let house = House::start_with(move |config| {
        config.smtp.enabled = true;
        config.smtp.domain = "sms.example".to_owned();
        config.smtp.tls.certificate = certificate;
        config.smtp.tls.key = private;
    })
    .await;
    let gateway = house.server.smtp.as_ref().unwrap().address;
    let account =
        house.admin.post("/api/v1/smpp-accounts", &json!({ "system_id": "peer" })).await.expect(201);
    let password = account["password"].as_str().unwrap();
    let outcome = peers::smtplib_client(gateway, "peer", password, MAILS).await.unwrap();
    assert_eq!((outcome.accepted, outcome.errors.as_slice()), (u64::from(MAILS), &[][..]), "{outcome:?}");
    house
        .until("all are delivered", async || in_state(&sums(&house).await, "delivered") == u64::from(MAILS))
        .await;
    let list = house.admin.get("/api/v1/messages?limit=1").await.expect(200);
    let last = outcome.first + MAILS - 1;
    assert_eq!(list["items"][0]["text"], format!("ID{last} Ünïcode €"));

    let server = peers::MailServer::start(gateway).await.unwrap();
    let settings = json!({ "protocol": "mail", "host": "127.0.0.1", "port": server.addr.port(), "mail_to": "full{to}@x.example",
        "mail_subject": "From {from}", "mail_receipts": "notification" });
    let made =
        house.admin.post("/api/v1/connections", &json!({ "name": "Mail", "settings": settings })).await;
    let rule = json!({ "recipient_prefixes": ["49"], "targets": [made.expect(201)["id"]] });
    let route = json!({ "name": "By mail", "priority": 900, "rule": rule });
    house.admin.post("/api/v1/routes", &route).await.expect(201);
    // aiosmtpd does not know DSN and says so: nothing is asked of it that it would refuse.
    let body = json!({ "to": "+4915112345678", "from": "ACME", "text": "Grüße, 🍝" });
    house.admin.post("/api/v1/messages", &body).await.expect(202);
    house.until("its notification came back", async || in_state(&sums(&house).await, "failed") == 1).await;
    let mails = server.stop().await.unwrap();
    assert_eq!(mails.len(), 1, "{mails:?}");
    let mail = (&mails[0]["to"][0], &mails[0]["subject"], &mails[0]["text"]);
    assert_eq!(mail, (&json!("full4915112345678@x.example"), &json!("From ACME"), &json!("Grüße, 🍝")));
    house.stop().await;
}

/// What the API's description says is what the API does, whoever asks for what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_the_api_as_described() {
    let house = House::start().await;
    // Without a mail server a test mail is refused as unavailable, as it should be.
    let but = ["/api/v1/mail/test"];
    if let Err(found) = peers::schemathesis(house.server.http, testkit::house::ADMIN_KEY, &but).await {
        panic!("{found}");
    }
    house.stop().await;
}
