//! An erasure under kill -9: whatever the moment, it goes to its end, and a restored backup is cleaned again.

use std::path::Path;
use std::time::Duration;

use db::{Db, Options, Tenancy, args, record};
use rand::RngExt;
use serde_json::{Value, json};
use testkit::process::Place;
use testkit::{Process, postgres};

const PHONE: &str = "33698765432";
const MESSAGES: usize = 1_500;
const KILLS: usize = 5;

record! { struct Count { n: i64 } }

/// Rows that still hold the phone.
async fn left(url: &str) -> i64 {
    let db = Db::open(url, &Options::default()).await.unwrap();
    let mut tx = db.read(Tenancy::Every).await.unwrap();
    let mut all = 0;
    for text in [
        "select count(*) as n from message where recipient = $1 or sender = $1 /* every tenant: a test */",
        "select count(*) as n from opt_out where phone = $1 /* every tenant: a test */",
        "select count(*) as n from audit_row where data like '%' || cast($1 as text) || '%' /* every tenant: a test */",
        "select count(*) as n from event_page where events like '%' || cast($1 as text) || '%' /* every tenant: a test */",
    ] {
        all += tx.one::<Count>(text, args![PHONE]).await.unwrap().n;
    }
    drop(tx);
    db.close().await;
    all
}

async fn settled(process: &Process, path: &str) -> Value {
    for _ in 0..1_200 {
        let request = process.admin.get(path).await.expect(200);
        if request["state"] == "done" {
            return request;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the erasure has not come to its end");
}

/// Fills a house with what is about a person, and takes in that they want it erased. Gives the request's path.
async fn furnish(process: &Process) -> String {
    let admin = &process.admin;
    for chunk in 0..MESSAGES / 100 {
        let messages: Vec<Value> =
            (0..100).map(|n| json!({ "to": format!("+{PHONE}"), "text": format!("{chunk} {n}") })).collect();
        admin.post("/api/v1/messages/batch", &json!({ "messages": messages })).await.expect(202);
    }
    admin.post("/api/v1/opt-outs", &json!({ "phone": format!("+{PHONE}") })).await.expect(201);
    let body = json!({ "kind": "erasure", "identifiers": [format!("+{PHONE}")] });
    let made = admin.post("/api/v1/privacy/requests", &body).await.expect(201);
    let path = format!("/api/v1/privacy/requests/{}", made["id"].as_str().unwrap());
    admin.post(&format!("{path}/check"), &json!({ "reason": "in person" })).await.expect(200);
    path
}

async fn survive(data: &Path, database: Option<&str>) {
    let mut place = Place::new(data, database);
    for (name, value) in
        [("SWITCHBOARD__JOBS__LEASE_MS", "3000"), ("SWITCHBOARD__SIMULATOR__RECEIPT_DELAY_MS", "0")]
    {
        place.settings.push((name.to_owned(), value.to_owned()));
    }
    let file = place.data.join("switchboard").join("switchboard.db");
    let url = database.map_or_else(|| format!("sqlite:{}", file.display()), str::to_owned);
    let mut process = Process::start(&place).await;
    let path = furnish(&process).await;
    let sums = process.admin.get("/api/v1/messages/sums").await.expect(200);
    let backup = data.join("backup.db");
    if database.is_none() {
        process.kill();
        copy(&file, &backup);
        process = Process::start(&place).await;
    }
    process.admin.post(&format!("{path}/carry-out"), &json!({})).await.expect(202);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(20..400))).await;
        process.kill();
        process = Process::start(&place).await;
    }
    let request = settled(&process, &path).await;
    assert_eq!(request["certified"], json!(true));
    let after = process.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!((&after["accepted"], &after["balanced"]), (&sums["accepted"], &json!(true)));
    assert_eq!(process.admin.get("/api/v1/audit/verify").await.expect(200)["whole"], json!(true));
    process.kill();
    assert_eq!(left(&url).await, 0);
    if database.is_none() {
        copy(&backup, &file);
        assert!(left(&url).await > 0);
        let process = Process::start(&place).await;
        for _ in 0..600 {
            if left(&url).await == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(left(&url).await, 0, "the backup is not cleaned");
        process.kill();
    }
}

/// A database with what its log holds.
fn copy(from: &Path, to: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let name = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            std::path::PathBuf::from(name)
        };
        drop(std::fs::remove_file(name(to)));
        if name(from).exists() {
            std::fs::copy(name(from), name(to)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_goes_to_its_end_through_kills() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_goes_to_its_end_through_kills_on_postgres() {
    if postgres::programs().is_none() {
        return;
    }
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
