//! The audit trail under kill -9: whatever the moment, every change that was answered stands in the trail exactly once, its
//! numbers have no gap, and all of it verifies.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use identity::audit::verify;
use rand::RngExt;
use runtime::Tasks;
use serde_json::{Value, json};
use testkit::process::Place;
use testkit::{Process, postgres};

const KILLS: usize = 10;
/// Programs that change things at the same time.
const WRITERS: usize = 3;

async fn survive(data: &Path, database: Option<&str>) {
    let mut place = Place::new(data, database);
    for (name, value) in [
        ("SWITCHBOARD__SIMULATOR__ENABLED", "false"),
        ("SWITCHBOARD__DEMO__ENABLED", "false"),
        // The trail is taken further all the time, so that a kill often comes while it is.
        ("SWITCHBOARD__AUDIT__POLL_MS", "10"),
        ("SWITCHBOARD__AUDIT__CHECKPOINT_ROWS", "10"),
    ] {
        place.settings.push((name.to_owned(), value.to_owned()));
    }
    let answered: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut process = Process::start(&place).await;
    for round in 0..KILLS {
        let tasks = Tasks::new();
        for writer in 0..WRITERS {
            let (admin, answered) = (process.admin.clone(), Arc::clone(&answered));
            tasks.spawn("writer", async move {
                for n in 0..100_000 {
                    let name = format!("s{round}x{writer}x{n}");
                    let body = json!({ "kind": "sender", "value": name });
                    // Without an answer it panics, and this task ends.
                    if admin.post("/api/v1/blacklist", &body).await.status == 201 {
                        answered.lock().unwrap().push(name);
                    }
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(200..900))).await;
        process.kill();
        tasks.stop(Duration::from_secs(5)).await;
        process = Process::start(&place).await;
    }
    let answered = answered.lock().unwrap().clone();
    assert!(answered.len() > 50, "only {} changes were answered", answered.len());

    let verified = process.admin.get("/api/v1/audit/verify").await.expect(200);
    assert_eq!(verified["whole"], true, "{verified}");
    let export = process.admin.get("/api/v1/audit/export").await;
    assert_eq!(export.status, 200);
    let report = verify::file(export.text.as_bytes(), None).unwrap();
    assert!(report.whole && report.checkpoints > 3, "{report:?}");

    let (mut seen, mut seqs): (BTreeMap<String, u32>, Vec<i64>) = (BTreeMap::new(), Vec::new());
    for line in export.text.lines().filter(|line| line.starts_with("{\"row\":")) {
        let line: Value = serde_json::from_str(line).unwrap();
        let row = &line["row"];
        seqs.push(row["seq"].as_i64().unwrap());
        if row["type"] == "blacklist.added" {
            let value = row["data"]["after"]["value"].as_str().unwrap_or_default().to_lowercase();
            *seen.entry(value).or_default() += 1;
        }
    }
    assert!(seqs.is_sorted_by(|one, next| one < next), "no event twice, none out of its order");
    assert!(seen.values().all(|times| *times == 1), "none doubled");
    for name in &answered {
        assert!(seen.contains_key(name), "{name} was answered and is missing in the trail");
    }
    drop(process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_survives_kills_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_survives_kills_on_postgres() {
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
