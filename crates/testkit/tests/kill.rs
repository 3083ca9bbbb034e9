//! kill -9 under load, at random moments: nothing that was accepted is lost, no receipt is missing, nothing goes out twice
//! unless its intent allows it, and then it is marked.

#![expect(clippy::unwrap_used, reason = "a test says by its panic what is wrong")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::RngExt;
use runtime::{Clock, Tasks};
use serde_json::{Value, json};
use simulator::bench::{self, Options, Report};
use simulator::smsc::{Credentials, Delay};
use simulator::{Settings, Smsc};
use smpp::Pdu;
use testkit::customer::{numbered, receipted};
use testkit::process::Place;
use testkit::{Customer, Process, postgres};

#[path = "kill/audit.rs"]
mod audit;
#[path = "kill/cdr.rs"]
mod cdr;
#[path = "kill/erasure.rs"]
mod erasure;
#[path = "kill/mail.rs"]
mod mail;
#[path = "kill/phones.rs"]
mod phones;
#[path = "kill/privacy.rs"]
mod privacy;
#[path = "kill/retention.rs"]
mod retention;
#[path = "kill/suitcase.rs"]
mod suitcase;

/// Kills where `KILLS` does not say.
const KILLS: u64 = 20;
/// Seconds from one kill to the next, restart included, at most on average.
const KILL_S: f64 = 1.5;
/// Messages a second from each of the customers that stay.
const RATE: u32 = 130;
/// The customers that stay, one for each intent.
const INTENTS: [&str; 3] = ["otp", "transactional", "marketing"];
/// Where each one's numbers begin: this many times its place in [`INTENTS`].
const NUMBERS: u64 = 1_000_000;
/// The customer that leaves all the time, and its window.
const RESTLESS: &str = "restless";
const RESTLESS_WINDOW: u64 = 20;
const RESTLESS_FIRST: u64 = 9_000_000;
/// How long a message is worth something: what was claimed and never left ends as failed after that.
const VALIDITY_S: u64 = 45;

/// A carrier that outlives the process under test.
async fn carrier(tasks: &Tasks) -> Smsc {
    let settings = Settings {
        accounts: vec![Credentials { system_id: "us".to_owned(), password: "secret".to_owned() }],
        latency: Delay { ms: 5, jitter_ms: 5 },
        receipt_delay: Delay { ms: 60, jitter_ms: 50 },
        receipt_first_percent: 2.0,
        drop_after_accept_percent: 0.05,
        ..Settings::default()
    };
    Smsc::start(settings, tasks, Clock::system()).await.unwrap()
}

/// A connection to the carrier, a route, and an account for each intent and for the restless one; gives the passwords.
async fn furnish(process: &Process, carrier: &Smsc) -> HashMap<&'static str, String> {
    let admin = &process.admin;
    let settings = json!({
        "host": "127.0.0.1", "port": carrier.address().port(), "system_id": "us", "binds": 2, "window": 100,
        "reconnect_min_ms": 50, "reconnect_max_ms": 200, "response_timeout_ms": 2_000,
    });
    let new = json!({ "name": "Carrier", "password": "secret", "settings": settings });
    let connection = admin.post("/api/v1/connections", &new).await.expect(201);
    admin
        .post("/api/v1/routes", &json!({ "name": "All", "rule": { "targets": [connection["id"]] } }))
        .await
        .expect(201);
    let mut passwords = HashMap::new();
    for name in INTENTS.into_iter().chain([RESTLESS]) {
        let intent = if name == RESTLESS { "transactional" } else { name };
        let new = json!({ "system_id": name, "settings": { "intent_default": intent, "window_max": 200 } });
        let account = admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
        passwords.insert(name, account["password"].as_str().unwrap().to_owned());
    }
    passwords
}

fn load(place: &Place, intent: &str, password: &str, ids: &Range<u64>) -> Options {
    Options {
        target: place.smpp.to_string(),
        system_id: intent.to_owned(),
        password: password.to_owned(),
        binds: 1,
        window: 50,
        rate: RATE,
        count: Some(ids.end - ids.start),
        first_id: ids.start,
        // A recipient each, so that an address tells a message.
        destinations: 10_000_000,
        source: intent[..3].to_owned(),
        receipt_timeout_ms: (VALIDITY_S + 25) * 1_000,
        response_timeout_ms: 5_000,
        ..Options::default()
    }
}

/// The ids of messages that may have gone out twice, by what their texts say.
async fn marked(process: &Process) -> HashSet<u64> {
    let mut found = HashSet::new();
    let mut path = "/api/v1/messages?direction=out&limit=200".to_owned();
    loop {
        let page = process.admin.get(&path).await.expect(200);
        for message in
            page["items"].as_array().unwrap().iter().filter(|message| message["maybe_twice"] == true)
        {
            let text = message["text"].as_str().unwrap();
            let id = text.split("ID").nth(1).unwrap().trim_end_matches('.');
            found.insert(id.parse().unwrap());
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/messages?direction=out&limit=200&after={next}"),
            None => return found,
        }
    }
}

async fn sums(process: &Process) -> Value {
    process.admin.get("/api/v1/messages/sums").await.expect(200)
}

/// Waits until the customers that stay have bound: a load whose first bind fails gives up.
async fn until_bound(process: &Process) {
    let accounts = process.admin.get("/api/v1/smpp-accounts").await.expect(200);
    for account in accounts["items"].as_array().unwrap() {
        if INTENTS.iter().all(|intent| account["system_id"] != *intent) {
            continue;
        }
        let path = format!("/api/v1/smpp-accounts/{}/binds", account["id"].as_str().unwrap());
        while process.admin.get(&path).await.expect(200)["items"].as_array().is_none_or(Vec::is_empty) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How many kills are wanted.
#[expect(clippy::disallowed_methods, reason = "a long run is asked for by its environment")]
fn kills() -> u64 {
    std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().expect("KILLS is a number"))
}

/// What the restless customer learnt.
#[derive(Default)]
struct Restless {
    /// Its messages that were answered, by their ids.
    answered: HashMap<String, u64>,
    /// Ids of messages whose receipt came.
    receipts: HashSet<String>,
    next: u64,
}

impl Restless {
    fn note(&mut self, pdu: &Pdu, number: impl FnOnce() -> u64) {
        if let Pdu::SubmitSmResp(response) = pdu
            && !response.message_id.is_empty()
        {
            self.answered.insert(response.message_id.as_str().into_owned(), number());
        }
        self.receipts.extend(receipted(pdu));
    }

    /// Sends a window and leaves before all of it is answered: by a reset, by an end, or by an unbind.
    async fn visit(&mut self, address: SocketAddr, password: &str) -> std::io::Result<()> {
        let mut customer = Customer::bound(address, RESTLESS, password).await?;
        let way = rand::rng().random_range(0..3);
        let from = self.next;
        self.next += RESTLESS_WINDOW;
        let mut window: Vec<Pdu> = (from..self.next).map(|n| numbered(RESTLESS_FIRST + n)).collect();
        window.extend((way == 0).then_some(Pdu::Unbind));
        let first = customer.say(&window).await?;
        let stays = rand::rng().random_range(0..2 * RESTLESS_WINDOW);
        for _ in 0..stays {
            let Some((header, pdu)) = customer.hear_within(Duration::from_secs(1)).await else { break };
            self.note(&pdu, || RESTLESS_FIRST + from + u64::from(header.sequence - first));
            if matches!(pdu, Pdu::DeliverSm(_)) {
                customer.take(&header).await?;
            }
        }
        if way == 1 {
            customer.socket.set_zero_linger()?;
        }
        Ok(())
    }

    /// Comes and goes until it is enough.
    async fn live(mut self, address: SocketAddr, password: String, enough: Arc<AtomicBool>) -> Self {
        while !enough.load(Ordering::Relaxed) {
            // Whoever is killed in the middle of it is tried again.
            drop(self.visit(address, &password).await);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        self
    }

    /// Stays until every receipt of what was answered has come.
    async fn settle(&mut self, address: SocketAddr, password: &str) {
        let mut customer = Customer::bound(address, RESTLESS, password).await.unwrap();
        let by = std::time::Instant::now() + Duration::from_secs(VALIDITY_S + 25);
        while self.answered.keys().any(|id| !self.receipts.contains(id)) && std::time::Instant::now() < by {
            if let Some((header, pdu)) = customer.hear_within(Duration::from_secs(1)).await {
                self.note(&pdu, || 0);
                if matches!(pdu, Pdu::DeliverSm(_)) {
                    customer.take(&header).await.unwrap();
                }
            }
        }
    }
}

async fn survive(data: &Path, database: Option<&str>) {
    let mut place = Place::new(data, database);
    for (name, value) in [
        ("SWITCHBOARD__SIMULATOR__ENABLED", "false"),
        ("SWITCHBOARD__DEMO__ENABLED", "false"),
        ("SWITCHBOARD__MESSAGING__VALIDITY_DEFAULT_S", &VALIDITY_S.to_string()),
    ] {
        place.settings.push((name.to_owned(), value.to_owned()));
    }
    let tasks = Tasks::new();
    let carrier = carrier(&tasks).await;
    let mut process = Process::start(&place).await;
    let passwords = furnish(&process, &carrier).await;

    let total = (f64::from(RATE) * KILL_S * kills() as f64) as u64;
    assert!(total < NUMBERS, "too many kills for the numbers that there are");
    let mut loads = tokio::task::JoinSet::new();
    for (place_of, intent) in (0..).zip(INTENTS) {
        let ids = place_of * NUMBERS..place_of * NUMBERS + total;
        let (options, tasks) = (load(&place, intent, &passwords[intent], &ids), tasks.clone());
        loads.spawn(async move { (intent, ids, bench::smpp(options, &tasks).await.unwrap()) });
    }
    let enough = Arc::new(AtomicBool::new(false));
    let mut restless = tokio::task::JoinSet::new();
    let coming = Restless::default().live(place.smpp, passwords[RESTLESS].clone(), Arc::clone(&enough));
    restless.spawn(coming);
    until_bound(&process).await;
    for _ in 0..kills() {
        let pause = rand::rng().random_range(200..1_300);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        process.kill();
        process = Process::start(&place).await;
        let sums = sums(&process).await;
        assert_eq!(sums["balanced"], true, "at every look the states' sum is what was accepted: {sums}");
    }
    enough.store(true, Ordering::Relaxed);
    let mut restless = restless.join_next().await.unwrap().unwrap();
    // From here on the carrier keeps its connections, so that all comes to an end.
    carrier.change(|settings| settings.drop_after_accept_percent = 0.0);
    restless.settle(place.smpp, &passwords[RESTLESS]).await;
    let loads = loads.join_all().await;
    judge(&process, &carrier, &loads, &restless).await;
    drop(process);
    tasks.stop(Duration::from_secs(2)).await;
}

async fn judge(
    process: &Process,
    carrier: &Smsc,
    loads: &[(&'static str, Range<u64>, Report)],
    restless: &Restless,
) {
    let seen = carrier.seen();
    let doubled: HashSet<u64> = seen.duplicates.iter().map(|(id, _)| *id).collect();
    let marked = marked(process).await;
    for (intent, ids, report) in loads {
        let receipts = report.receipts.as_ref().unwrap();
        let twice = doubled.iter().filter(|id| ids.contains(id)).count();
        eprintln!(
            "{intent}: {} accepted, {} delivered, {} failed, {} without a receipt, {} without an answer, {twice} twice at the carrier",
            report.accepted, receipts.delivered, receipts.failed, receipts.missing, report.indeterminate
        );
        assert!(report.accepted > 1_000 && report.rejected.is_empty(), "{intent}: {report}");
        assert_eq!(receipts.missing, 0, "{intent}: of the accepted none is without its receipt: {report}");
        // What never came to the carrier was never accepted, or was claimed and ended as failed.
        let never = carrier.missing(ids.clone()).len() as u64;
        let excused = report.indeterminate + report.unsent + receipts.failed;
        assert!(never <= excused, "{intent}: {never} never came: {report}");
        assert!(*intent != "marketing" || twice == 0, "marketing never goes out twice");
    }
    let unmarked: Vec<_> = doubled.difference(&marked).collect();
    assert!(unmarked.is_empty(), "twice at the carrier without a mark: {unmarked:?}");
    let left: Vec<_> = restless.answered.iter().filter(|(id, _)| !restless.receipts.contains(*id)).collect();
    assert!(left.is_empty(), "answered to the one that leaves, and no receipt: {left:?}");
    assert!(restless.answered.len() > 10, "{} answered", restless.answered.len());
    eprintln!("{RESTLESS}: {} answered, each with its receipt", restless.answered.len());
    // What was accepted without an answer is nobody's to wait for, and ends with its validity at the latest.
    let by = std::time::Instant::now() + Duration::from_secs(VALIDITY_S + 25);
    loop {
        let sums = sums(process).await;
        assert_eq!(sums["balanced"], true, "{sums}");
        let mut states = sums["states"].as_array().unwrap().iter();
        let open = ["queued", "scheduled", "sent", "indeterminate"];
        if !states.any(|state| open.contains(&state["name"].as_str().unwrap())) {
            return;
        }
        assert!(std::time::Instant::now() < by, "all came to an end: {sums}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_on_postgres() {
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
