//! kill -9 under load, at random moments: nothing that was accepted is lost, no receipt is missing, nothing goes out twice
//! unless its intent allows it, and then it is marked.

#![expect(clippy::unwrap_used, reason = "a test says by its panic what is wrong")]

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use runtime::{Clock, Tasks};
use serde_json::{Value, json};
use simulator::bench::{self, Options, Report};
use simulator::smsc::{Credentials, Delay};
use simulator::{Settings, Smsc};
use testkit::process::Place;
use testkit::{Process, postgres};

#[path = "kill/cdr.rs"]
mod cdr;
#[path = "kill/mail.rs"]
mod mail;

const KILLS: usize = 20;
/// Messages a second from each of the two customers.
const RATE: u32 = 200;
/// How long a message is worth something: what was claimed and never left ends as failed after that.
const VALIDITY_S: u64 = 45;

/// A carrier that outlives the process under test.
async fn carrier(tasks: &Tasks) -> Smsc {
    let settings = Settings {
        accounts: vec![Credentials { system_id: "us".to_owned(), password: "secret".to_owned() }],
        latency: Delay { ms: 5, jitter_ms: 5 },
        receipt_delay: Delay { ms: 60, jitter_ms: 50 },
        receipt_first_percent: 2.0,
        ..Settings::default()
    };
    Smsc::start(settings, tasks, Clock::system()).await.unwrap()
}

/// A connection to the carrier, a route, and an account for each intent; gives the accounts' passwords.
async fn furnish(process: &Process, carrier: &Smsc) -> [String; 2] {
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
    let mut passwords = Vec::new();
    for intent in ["transactional", "marketing"] {
        let new = json!({ "system_id": intent, "settings": { "intent_default": intent, "window_max": 200 } });
        let account = admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
        passwords.push(account["password"].as_str().unwrap().to_owned());
    }
    passwords.try_into().unwrap()
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
        source: intent[..5].to_owned(),
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

    let total = u64::from(RATE) * 30;
    let ranges = [0..total, 1_000_000..1_000_000 + total];
    let mut loads = tokio::task::JoinSet::new();
    for ((intent, password), ids) in ["transactional", "marketing"].iter().zip(&passwords).zip(&ranges) {
        let (options, tasks) = (load(&place, intent, password, ids), tasks.clone());
        loads.spawn(async move { (options.first_id, bench::smpp(options.clone(), &tasks).await.unwrap()) });
    }
    for _ in 0..KILLS {
        let pause = rand::rng().random_range(200..1_300);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        process.kill();
        process = Process::start(&place).await;
        let sums = sums(&process).await;
        assert_eq!(sums["balanced"], true, "at every look the states' sum is what was accepted: {sums}");
    }
    let mut reports = loads.join_all().await;
    reports.sort_by_key(|(first_id, _)| *first_id);
    let reports: Vec<Report> = reports.into_iter().map(|(_, report)| report).collect();
    judge(&process, &carrier, &reports, &ranges).await;
    drop(process);
    tasks.stop(Duration::from_secs(2)).await;
}

async fn judge(process: &Process, carrier: &Smsc, reports: &[Report], ranges: &[Range<u64>; 2]) {
    let seen = carrier.seen();
    let doubled: HashSet<u64> = seen.duplicates.iter().map(|(id, _)| *id).collect();
    let marked = marked(process).await;
    for (report, ids) in reports.iter().zip(ranges) {
        let receipts = report.receipts.as_ref().unwrap();
        assert!(report.accepted > 1_000 && report.rejected.is_empty(), "{report}");
        assert_eq!(receipts.missing, 0, "of the accepted none is without its receipt: {report}");
        // What never came to the carrier was never accepted, or was claimed and ended as failed.
        let never = carrier.missing(ids.clone()).len() as u64;
        assert!(
            never <= report.indeterminate + report.unsent + receipts.failed,
            "{never} never came: {report}"
        );
    }
    let unmarked: Vec<_> = doubled.difference(&marked).collect();
    assert!(unmarked.is_empty(), "twice at the carrier without a mark: {unmarked:?}");
    assert!(!doubled.iter().any(|id| ranges[1].contains(id)), "marketing never goes out twice");
    let sums = sums(process).await;
    assert_eq!(sums["balanced"], true, "{sums}");
    let open = sums["states"].as_array().unwrap().iter().filter(|state| {
        ["queued", "scheduled", "sent", "indeterminate"].contains(&state["name"].as_str().unwrap())
    });
    assert_eq!(open.count(), 0, "all came to an end: {sums}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_on_postgres() {
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
