//! The restoring of a tenant under kill -9: at every moment the tenant is there whole or not at all, and in the end it is there.

use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use serde_json::{Value, json};
use testkit::process::Place;
use testkit::{Process, postgres};
use types::TenantId;

const KILLS: usize = 6;
const NUMBERS: usize = 20_000;
const PASSPHRASE: &str = "six words that nobody would guess";

fn place(data: &Path, database: Option<&str>) -> Place {
    let mut place = Place::new(data, database);
    for name in ["SWITCHBOARD__SIMULATOR__ENABLED", "SWITCHBOARD__DEMO__ENABLED"] {
        place.settings.push((name.to_owned(), "false".to_owned()));
    }
    place
}

/// The record of a suitcase when nothing works on it.
async fn ended(process: &Process, id: &str) -> Value {
    let mut one = Value::Null;
    for _ in 0..600 {
        one = process.admin.get(&format!("/api/v1/suitcases/{id}")).await.expect(200);
        if ["ready", "done", "failed"].iter().any(|state| one["state"] == *state) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    one
}

/// The tables whose rows are others here than they were packed.
fn differing<'a>(here: &'a Value, packed: &Value) -> Vec<&'a str> {
    let packed = packed["tables"].as_array().unwrap();
    let all = here["tables"].as_array().unwrap();
    assert_eq!(all.len(), packed.len());
    all.iter()
        .zip(packed)
        .filter(|(one, other)| one != other)
        .filter_map(|(one, _)| one["table"].as_str())
        .collect()
}

async fn survive(folder: &Path, database: Option<&str>) {
    let source = Process::start(&place(&folder.join("source"), None)).await;
    let (tenant, neighbour): (TenantId, _) = source.admin.neighbour().await;
    for part in 0..NUMBERS / 5_000 {
        let numbers: Vec<_> = (0..5_000).map(|n| format!("+336{:08}", part * 5_000 + n)).collect();
        neighbour.post("/api/v1/blacklist/import", &json!({ "text": numbers.join("\n") })).await.expect(200);
    }
    let asked = json!({ "passphrase": PASSPHRASE, "suspend": true });
    let asked = source.admin.post(&format!("/api/v1/tenants/{tenant}/suitcases"), &asked).await.expect(202);
    let packed = ended(&source, asked["id"].as_str().unwrap()).await;
    let octets =
        source.admin.octets(&format!("/api/v1/suitcases/{}/file", packed["id"].as_str().unwrap())).await;
    source.kill();

    let place = place(&folder.join("target"), database);
    let mut process = Process::start(&place).await;
    let id = process.admin.post("/api/v1/suitcases", &json!({})).await.expect(201)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let headers = [("content-type", "application/octet-stream")];
    process
        .admin
        .ask("PUT", &format!("/api/v1/suitcases/{id}/file"), &headers, Some(octets))
        .await
        .expect(200);
    let restore = json!({ "passphrase": PASSPHRASE });
    process.admin.post(&format!("/api/v1/suitcases/{id}/restore"), &restore).await.expect(202);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(50..1_500))).await;
        process.kill();
        process = Process::start(&place).await;
        let hashes = process.admin.get(&format!("/api/v1/tenants/{tenant}/hashes")).await;
        if hashes.status != 404 {
            assert_eq!(differing(&hashes.expect(200), &packed["manifest"]), [""; 0], "a part of it is there");
        }
    }
    let done = ended(&process, &id).await;
    assert_eq!(done["state"], "done", "{done}");
    let hashes = process.admin.get(&format!("/api/v1/tenants/{tenant}/hashes")).await.expect(200);
    assert_eq!(differing(&hashes, &packed["manifest"]), [""; 0]);
    assert_eq!(hashes["digest"], packed["manifest"]["digest"]);
    let blacklist =
        hashes["tables"].as_array().unwrap().iter().find(|sum| sum["table"] == "blacklist").unwrap();
    assert_eq!(blacklist["rows"], NUMBERS);
    process.kill();
}

#[tokio::test]
async fn a_restoring_comes_to_its_end_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test]
async fn a_restoring_comes_to_its_end_on_postgres() {
    if postgres::programs().is_none() {
        return;
    }
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
