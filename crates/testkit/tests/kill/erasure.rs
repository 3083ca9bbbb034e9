//! The erasure of a tenant under kill -9: whatever the moment, it comes to its end, nothing is left, and the certificate counts
//! each row once.

use std::path::Path;
use std::time::Duration;

use db::{Db, Options, Tenancy, args, record};
use rand::RngExt;
use serde_json::{Value, json};
use testkit::process::Place;
use testkit::{Process, postgres};
use types::TenantId;

const KILLS: usize = 6;
const NUMBERS: usize = 20_000;

record! { struct Counted { n: i64 } }

async fn survive(data: &Path, database: Option<&str>) {
    let mut place = Place::new(data, database);
    for name in ["SWITCHBOARD__SIMULATOR__ENABLED", "SWITCHBOARD__DEMO__ENABLED"] {
        place.settings.push((name.to_owned(), "false".to_owned()));
    }
    let mut process = Process::start(&place).await;
    let (tenant, neighbour): (TenantId, _) = process.admin.neighbour().await;
    for part in 0..NUMBERS / 5_000 {
        let numbers: Vec<_> = (0..5_000).map(|n| format!("+336{:08}", part * 5_000 + n)).collect();
        neighbour.post("/api/v1/blacklist/import", &json!({ "text": numbers.join("\n") })).await.expect(200);
    }
    let asked = json!({ "name": "Neighbour", "grace_h": 0 });
    process.admin.post(&format!("/api/v1/tenants/{tenant}/erasure"), &asked).await.expect(202);
    let mut done = Value::Null;
    for round in 0..600 {
        if round < KILLS {
            tokio::time::sleep(Duration::from_millis(rand::rng().random_range(50..600))).await;
            process.kill();
            process = Process::start(&place).await;
        }
        done = process.admin.get("/api/v1/erasures").await.expect(200)["items"][0].clone();
        if done["erased_at"].is_string() && round >= KILLS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let body: Value = serde_json::from_str(done["body"].as_str().unwrap_or_default()).unwrap_or_default();
    assert_eq!(body["tables"]["blacklist"], NUMBERS, "{done:#}");
    assert_eq!(process.admin.get(&format!("/api/v1/tenants/{tenant}")).await.status, 404);
    let verified = process.admin.get("/api/v1/audit/verify").await.expect(200);
    assert_eq!(verified["whole"], true, "{verified}");
    process.kill();
    let url = match database {
        Some(url) => url.to_owned(),
        None => format!("sqlite:{}", data.join("switchboard/switchboard.db").display()),
    };
    let db = Db::open(&url, &Options::default()).await.unwrap();
    for table in server::serve::tables() {
        let text: &'static str = format!("select count(*) as n from {table} where tenant_id = $1").leak();
        let mut tx = db.read(Tenancy::Every).await.unwrap();
        let Counted { n } = tx.one(text, args![tenant]).await.unwrap();
        assert_eq!(n, 0, "{table}");
    }
    db.close().await;
}

#[tokio::test]
async fn an_erasure_comes_to_its_end_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test]
async fn an_erasure_comes_to_its_end_on_postgres() {
    if postgres::programs().is_none() {
        return;
    }
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
