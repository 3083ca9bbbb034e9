//! Call detail records under kill -9: whatever the moment, closed files have neither a gap nor a double, and in the end each
//! part of each message stands there exactly once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use messaging::cdr::{read, verify};
use rand::RngExt;
use runtime::Tasks;
use serde_json::{Value, json};
use simulator::bench;
use testkit::process::Place;
use testkit::{Process, postgres};

use super::{RATE, carrier, furnish, load, sums};

const KILLS: usize = 12;
/// What the carrier never answered for ends after this.
const VALIDITY_S: &str = "15";

/// The closed files; what they hold is whole at every moment.
fn closed(data: &Path) -> Vec<PathBuf> {
    let folder = data.join("switchboard/cdr");
    let files = if folder.exists() { verify::files_under(&folder).unwrap() } else { Vec::new() };
    let report = verify::files(&files);
    assert!(report.ok, "{report:?}");
    files
}

async fn all_ended(process: &Process) -> Value {
    let began = Instant::now();
    loop {
        let sums = sums(process).await;
        let open = sums["states"].as_array().unwrap().iter().any(|state| {
            ["queued", "scheduled", "sent", "indeterminate"].contains(&state["name"].as_str().unwrap())
        });
        if !open {
            return sums;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "still open: {sums}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Every message's id and parts, as the API has them.
async fn messages(process: &Process) -> HashMap<String, i64> {
    let mut found = HashMap::new();
    let mut path = "/api/v1/messages?limit=200".to_owned();
    loop {
        let page = process.admin.get(&path).await.expect(200);
        for message in page["items"].as_array().unwrap() {
            found.insert(message["id"].as_str().unwrap().to_owned(), message["parts"].as_i64().unwrap());
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/messages?limit=200&after={next}"),
            None => return found,
        }
    }
}

async fn survive(data: &Path, database: Option<&str>) {
    let mut place = Place::new(data, database);
    for (name, value) in [
        ("SWITCHBOARD__SIMULATOR__ENABLED", "false"),
        ("SWITCHBOARD__DEMO__ENABLED", "false"),
        ("SWITCHBOARD__MESSAGING__VALIDITY_DEFAULT_S", VALIDITY_S),
        // Files close all the time, so that a kill often comes while one does.
        ("SWITCHBOARD__CDR__LINES_MAX", "40"),
        ("SWITCHBOARD__CDR__POLL_MS", "20"),
    ] {
        place.settings.push((name.to_owned(), value.to_owned()));
    }
    let tasks = Tasks::new();
    let carrier = carrier(&tasks).await;
    let mut process = Process::start(&place).await;
    let passwords = furnish(&process, &carrier).await;
    process.admin.send("PATCH", "/api/v1/cdr-settings", &json!({ "active": true })).await.expect(200);

    let mut options = load(&place, "transactional", &passwords["transactional"], &(0..u64::from(RATE) * 18));
    options.receipt_timeout_ms = 40_000;
    let (running, under_load) = (tasks.clone(), tokio::sync::oneshot::channel());
    let (done, load_done) = under_load;
    tasks.spawn("load", async move {
        drop(done.send(bench::smpp(options, &running).await.map(|report| report.accepted)));
    });
    let mut seen = 0;
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(200..1_300))).await;
        process.kill();
        let files = closed(data).len();
        assert!(files >= seen, "closed files stay");
        seen = files;
        process = Process::start(&place).await;
    }
    let accepted = load_done.await.unwrap().unwrap();
    assert!(accepted > 1_000 && seen > 5, "{accepted} accepted, {seen} files closed under load");
    all_ended(&process).await;
    process.admin.post("/api/v1/cdr-files/rotate", &json!({})).await.expect(200);
    let verified = process.admin.get("/api/v1/cdr-files/verify").await.expect(200);
    assert_eq!(verified["ok"], true, "{verified}");

    let (mut rows, mut last) = (HashMap::new(), 0);
    let mut ended: HashSet<(String, i64)> = HashSet::new();
    for row in closed(data).iter().flat_map(|path| read::open(path).unwrap()) {
        let row = row.unwrap();
        assert_eq!(row.seq, last + 1, "numbers go on from file to file");
        last = row.seq;
        if row.revision == 1 {
            assert!(ended.insert((row.message_id.clone(), row.part)), "{} twice", row.message_id);
            *rows.entry(row.message_id).or_insert(0) += 1;
        }
    }
    assert_eq!(verified["rows"], last, "the registry knows every row");
    assert_eq!(rows, messages(&process).await, "each message's parts, and nothing else");
    drop(process);
    tasks.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_survive_kills_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_survive_kills_on_postgres() {
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
