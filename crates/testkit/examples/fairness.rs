//! Fairness between tenants, measured: what one tenant's one-time codes wait for while another floods the gateway.
//!
//! `cargo build --release -p server && cargo run --release -p testkit --example fairness`
//!
//! The gateway is a process of its own with SQLite on the disk; generator and carriers are in this one. Codes are sent first alone and then beside the flood, one at a time by a
//! plan that does not wait, and each is timed to its response and to its arrival at the carrier. Exit code 1 when a 99th
//! percentile is more than 1.5 times that of the idle gateway.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on says so and ends")]
#![expect(clippy::print_stdout, reason = "a measurement tells what it measured")]

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use runtime::{Clock, Tasks};
use serde_json::json;
use simulator::bench::{self, Options};
use simulator::smsc::Credentials;
use simulator::{Settings, Smsc};
use smpp::{CommandId, Pdu};
use testkit::customer::numbered;
use testkit::process::Place;
use testkit::{Client, Customer, Process};

const CODES: u64 = 600;
const EVERY: Duration = Duration::from_millis(50);
const FLOOD_WINDOW: usize = 500;
/// How much slower a code may be than without the flood.
const RATIO_MAX: f64 = 1.5;
const PASSWORD: &str = "secret12";

async fn carrier(tasks: &Tasks) -> Smsc {
    let accounts = vec![Credentials { system_id: "us".to_owned(), password: "secret".to_owned() }];
    let settings = Settings { accounts, ..Settings::default() };
    Smsc::start(settings, tasks, Clock::system()).await.unwrap()
}

/// A tenant's carrier, route and account.
async fn furnish(tenant: &Client, carrier: &Smsc, system_id: &str, intent: &str) {
    let port = carrier.address().port();
    let settings = json!({ "host": "127.0.0.1", "port": port, "system_id": "us", "window": 500 });
    let new = json!({ "name": "Carrier", "password": "secret", "settings": settings });
    let connection = tenant.post("/api/v1/connections", &new).await.expect(201);
    let route = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
    tenant.post("/api/v1/routes", &route).await.expect(201);
    let settings = json!({ "intent_default": intent, "window_max": FLOOD_WINDOW, "throughput": 0 });
    let new = json!({ "system_id": system_id, "password": PASSWORD, "settings": settings });
    tenant.post("/api/v1/smpp-accounts", &new).await.expect(201);
}

/// Milliseconds of each code: to the response, and to the carrier.
#[derive(Default)]
struct Times {
    response: Vec<f64>,
    carrier: Vec<f64>,
}

/// Sends codes by plan and times them.
async fn codes(place: &Place, carrier: &Smsc, first: u64) -> Times {
    let mut customer = Customer::bound(place.smpp, "codes", PASSWORD).await.unwrap();
    let clock = Clock::system();
    let (mut times, mut sent, mut asked) = (Times::default(), HashMap::new(), HashMap::new());
    let began = Instant::now();
    let mut next = 0;
    while next < CODES || !asked.is_empty() {
        let due = EVERY * u32::try_from(next).unwrap();
        if next < CODES && began.elapsed() >= due {
            sent.insert(format!("ID{}", first + next), clock.now().unix_ms());
            let at = Instant::now();
            let sequence = customer.say(&[numbered(first + next)]).await.unwrap();
            asked.insert(sequence, at);
            next += 1;
            continue;
        }
        let pause = if next < CODES { due.saturating_sub(began.elapsed()) } else { Duration::from_secs(5) };
        match customer.hear_within(pause).await {
            Some((header, Pdu::DeliverSm(_))) => customer.take(&header).await.unwrap(),
            Some((header, _)) if header.command_id == CommandId::SUBMIT_SM_RESP => {
                let at: Instant = asked.remove(&header.sequence).expect("an answer to a question");
                assert!(header.status.is_ok(), "{:?}", header.status);
                times.response.push(at.elapsed().as_secs_f64() * 1e3);
            }
            _ => {}
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for phone in carrier.phones().list() {
        if let Some(at) = sent.get(&phone.latest.text) {
            times.carrier.push(phone.latest.at.since_ms(types::Timestamp::from_unix_ms(*at)) as f64);
        }
    }
    assert_eq!(
        (times.response.len() as u64, times.carrier.len() as u64),
        (CODES, CODES),
        "each code is timed"
    );
    times
}

/// The percentile of unsorted figures.
fn percentile(of: &mut [f64], percent: usize) -> f64 {
    of.sort_by(f64::total_cmp);
    of[(of.len() * percent / 100).min(of.len() - 1)]
}

fn told(what: &str, idle: &mut [f64], flooded: &mut [f64]) -> bool {
    let figures = |of: &mut [f64]| (percentile(of, 50), percentile(of, 99));
    let (idle, flooded) = (figures(idle), figures(flooded));
    let ratio = flooded.1 / idle.1;
    println!(
        "{what:<20} idle p50 {:6.1} p99 {:6.1} ms   flooded p50 {:6.1} p99 {:6.1} ms   ratio of p99 {ratio:.2}",
        idle.0, idle.1, flooded.0, flooded.1
    );
    ratio <= RATIO_MAX
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    let mut place = Place::new(folder.path(), None);
    for (name, value) in
        [("SWITCHBOARD__SIMULATOR__ENABLED", "false"), ("SWITCHBOARD__DEMO__ENABLED", "false")]
    {
        place.settings.push((name.to_owned(), value.to_owned()));
    }
    let process = Process::start(&place).await;
    let tasks = Tasks::new();
    let (of_flood, of_codes) = (carrier(&tasks).await, carrier(&tasks).await);
    of_flood.change(|settings| settings.inbox_max = 0);
    let (_, neighbour) = process.admin.neighbour().await;
    furnish(&process.admin, &of_flood, "flood", "marketing").await;
    furnish(&neighbour, &of_codes, "codes", "otp").await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    // The first codes find cold caches.
    codes(&place, &of_codes, 0).await;
    of_codes.phones().clear();
    let mut idle = codes(&place, &of_codes, CODES).await;
    of_codes.phones().clear();
    let seconds = EVERY.as_secs() + u64::try_from(EVERY.as_millis()).unwrap() * CODES / 1_000 + 6;
    let options = Options {
        target: place.smpp.to_string(),
        system_id: "flood".to_owned(),
        password: PASSWORD.to_owned(),
        window: FLOOD_WINDOW,
        count: None,
        duration_s: Some(seconds),
        destinations: 10_000_000,
        ..Options::default()
    };
    let (flood, flooded) = tokio::join!(bench::smpp(options, &tasks), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        codes(&place, &of_codes, 2 * CODES).await
    });
    let mut flooded = flooded;
    println!("{}", flood.unwrap());
    let response = told("submit to response", &mut idle.response, &mut flooded.response);
    let carrier = told("submit to carrier", &mut idle.carrier, &mut flooded.carrier);
    tasks.stop(Duration::from_secs(2)).await;
    if response && carrier { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
