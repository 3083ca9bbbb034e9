//! Retention under kill -9: whatever the moment, everything goes that is due, it is counted once, and every sum stands.

use std::path::Path;
use std::time::Duration;

use db::{Db, Options, Tenancy, args, record};
use rand::RngExt;
use serde_json::{Value, json};
use testkit::process::Place;
use testkit::{Process, postgres};

const MESSAGES: i64 = 5_000;
const KILLS: usize = 3;
/// When a sweep goes on after a start.
const RESUMED_MS: u64 = 5_000;
/// Three hours, as they stand in ids.
const THREE_HOURS: i64 = 3 * 3_600_000 * (1 << 21);

record! { struct Count { n: i64 } }

async fn open(url: &str) -> Db {
    Db::open(url, &Options::default()).await.unwrap()
}

/// Makes all messages three hours older.
async fn age(url: &str) {
    let db = open(url).await;
    let mut tx = db.write(Tenancy::Every).await.unwrap();
    for text in [
        "update message set id = id - $1, done_at = done_at - 10800000, accepted_at = accepted_at - 10800000 /* every tenant: a test */",
        "update part set message_id = message_id - $1 /* every tenant: a test */",
    ] {
        tx.execute(text, args![THREE_HOURS]).await.unwrap();
    }
    tx.commit().await.unwrap();
    db.close().await;
}

async fn texts(url: &str) -> i64 {
    let db = open(url).await;
    let mut tx = db.read(Tenancy::Every).await.unwrap();
    let text = "select count(*) as n from message where text is not null /* every tenant: a test */";
    let left = tx.one::<Count>(text, args![]).await.unwrap().n;
    drop(tx);
    db.close().await;
    left
}

async fn ended(process: &Process) {
    for _ in 0..1_200 {
        let sums = process.admin.get("/api/v1/messages/sums").await.expect(200);
        let under_way = ["scheduled", "queued", "sent"];
        let states = sums["states"].as_array().unwrap();
        let open = states
            .iter()
            .any(|one| under_way.contains(&one["name"].as_str().unwrap()) && one["n"] != json!(0));
        if sums["accepted"] == json!(MESSAGES) && !open {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the messages have not come to their end");
}

async fn swept(process: &Process) -> Value {
    for _ in 0..1_200 {
        let terms = process.admin.get("/api/v1/privacy/retention").await.expect(200);
        let all = terms["items"].as_array().unwrap().clone();
        let one = all.into_iter().find(|term| term["class"] == "message.text" && term["purpose"] == "otp");
        let sweep = one.map(|term| term["sweep"].clone()).unwrap_or_default();
        if sweep["ended_at"].is_string() {
            return sweep;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the sweep has not come to its end");
}

async fn survive(data: &Path, database: Option<&str>) {
    let mut place = Place::new(data, database);
    place.settings.push(("SWITCHBOARD__SIMULATOR__RECEIPT_DELAY_MS".to_owned(), "0".to_owned()));
    let file = place.data.join("switchboard").join("switchboard.db");
    let url = database.map_or_else(|| format!("sqlite:{}", file.display()), str::to_owned);
    let mut process = Process::start(&place).await;
    for chunk in 0..MESSAGES / 100 {
        let one = |n: i64| json!({ "to": format!("+336{:08}", chunk * 100 + n), "text": format!("{n}"), "intent": "otp" });
        let messages: Vec<Value> = (0..100).map(one).collect();
        process.admin.post("/api/v1/messages/batch", &json!({ "messages": messages })).await.expect(202);
    }
    ended(&process).await;
    let sums = process.admin.get("/api/v1/messages/sums").await.expect(200);
    process.kill();
    age(&url).await;
    assert_eq!(texts(&url).await, MESSAGES);
    process = Process::start(&place).await;
    let term = json!({ "class": "message.text", "purpose": "otp", "keep_h": 1 });
    process.admin.send("PUT", "/api/v1/privacy/retention", &term).await.expect(200);
    let mut last = MESSAGES;
    for n in 0..KILLS {
        let idle = if n == 0 { 0 } else { RESUMED_MS };
        tokio::time::sleep(Duration::from_millis(idle + rand::rng().random_range(50..400))).await;
        process.kill();
        let left = texts(&url).await;
        assert!(left <= last, "{left} of {last}");
        last = left;
        process = Process::start(&place).await;
    }
    assert!(last < MESSAGES, "no kill came while it was under way");
    let sweep = swept(&process).await;
    assert_eq!(sweep["gone"], json!(MESSAGES), "each is counted once: {sweep}");
    let after = process.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(after, sums, "no sum has moved");
    process.kill();
    assert_eq!(texts(&url).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_goes_to_its_end_through_kills() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_goes_to_its_end_through_kills_on_postgres() {
    if postgres::programs().is_none() {
        return;
    }
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
