//! Keys turn while everything runs, and what is secret is in no file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use messaging::connection;
use serde_json::json;
use testkit::House;
use types::ConnectionId;

/// Stands in each secret; whoever finds it on the disk has found a plaintext.
const MARK: &str = "plaintext-mark";

/// A connection over SMPP, one over HTTP with a hook's secret, and a service with secret headers; the first one's id.
async fn secrets(house: &House) -> ConnectionId {
    let settings = json!({ "protocol": "smpp", "host": "127.0.0.1", "port": 9, "system_id": "us" });
    let body = json!({
        "name": "Carrier", "wanted": "stopped", "password": format!("{MARK}-1"), "settings": settings
    });
    let carrier = house.admin.post("/api/v1/connections", &body).await.expect(201);
    let body = json!({
        "name": "Provider", "wanted": "stopped", "hook_secret": format!("{MARK}-2"), "password": format!("{MARK}-3"),
        "settings": { "protocol": "http", "http": { "dialect": "twilio" } }
    });
    house.admin.post("/api/v1/connections", &body).await.expect(201);
    let body = json!({
        "name": "Hub", "settings": { "url": "https://lookup.example/{number}" },
        "secret_headers": { "Authorization": format!("Bearer {MARK}-4") }
    });
    house.admin.post("/api/v1/lookup-providers", &body).await.expect(201);
    carrier["id"].as_str().unwrap().parse().unwrap()
}

fn files_with(folder: &Path, mark: &str, found: &mut Vec<String>) -> usize {
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            looked_at += files_with(&path, mark, found);
            continue;
        }
        looked_at += 1;
        let octets = std::fs::read(&path).unwrap();
        if octets.windows(mark.len()).any(|part| part == mark.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    looked_at
}

#[tokio::test]
async fn keys_turn_under_load_and_no_read_fails() {
    let house = House::start().await;
    let carrier = secrets(&house).await;
    let (stop, reads, sent) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let reader = async {
        while !stop.load(Ordering::Relaxed) {
            let runtime = &house.server.runtime;
            let connection = connection::load(runtime, carrier).await.unwrap().unwrap();
            connection::link_settings(runtime, &connection).await.unwrap();
            reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    };
    let sender = async {
        while !stop.load(Ordering::Relaxed) {
            let body = json!({ "to": "+33612345678", "text": "while keys turn" });
            house.admin.post("/api/v1/messages", &body).await.expect(202);
            sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let turner = async {
        for _ in 0..5 {
            let turned = house.admin.post("/api/v1/encryption/turn", &json!({})).await.expect(200);
            house.admin.post("/api/v1/root-keys/turn", &json!({})).await.expect(200);
            house
                .until("everything is sealed by the new key", async || {
                    let now = house.admin.get("/api/v1/encryption").await.expect(200);
                    let columns = now["columns"].as_array().unwrap();
                    now["key"] == turned["key"] && columns.iter().all(|one| one["sealed"] == one["current"])
                })
                .await;
            let (read, accepted) = (reads.load(Ordering::Relaxed), sent.load(Ordering::Relaxed));
            house
                .until("secrets are read and messages accepted beside it", async || {
                    reads.load(Ordering::Relaxed) > read + 3 && sent.load(Ordering::Relaxed) > accepted + 3
                })
                .await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(reader, sender, turner);

    let now = house.admin.get("/api/v1/encryption").await.expect(200);
    assert_eq!(now["former"].as_array().unwrap().len(), 5, "kept for a day");
    for table in ["connection", "connection_hook", "lookup_provider"] {
        let columns = now["columns"].as_array().unwrap();
        assert!(columns.iter().any(|one| one["table"] == table && one["sealed"].as_i64() > Some(0)), "{now}");
    }
    let roots = house.admin.get("/api/v1/root-keys").await.expect(200);
    assert_eq!((roots["former"].as_array().unwrap().len(), &roots["to_wrap"]), (5, &json!(0)));
    house.admin.post("/api/v1/root-keys/forget", &json!({})).await.expect(200);

    let (mut found, folder) = (Vec::new(), house.server.runtime.config.data_dir.clone());
    assert!(files_with(&folder, MARK, &mut found) > 0, "the data folder was looked at");
    assert_eq!(found, Vec::<String>::new());
    // The key file that is left opens everything: read as the next start reads it.
    let vault = runtime::secrets::Vault::from_file(&house.server.runtime.config.root_key_file()).unwrap();
    assert_eq!((vault.key_id(), vault.former_key_ids()), (roots["key"].as_str().unwrap().to_owned(), vec![]));
    let connection = connection::load(&house.server.runtime, carrier).await.unwrap().unwrap();
    assert!(connection::link_settings(&house.server.runtime, &connection).await.is_ok());
    house.stop().await;
}

#[tokio::test]
async fn every_sealed_column_is_known_to_who_seals_anew() {
    let house = House::start().await;
    let known: Vec<_> = server::serve::sealed().iter().map(|one| (one.table, one.column)).collect();
    let mut seen = 0;
    for column in house.server.runtime.db.schema().await.unwrap() {
        if !column.column_name.ends_with("_sealed") {
            continue;
        }
        seen += 1;
        let name = (column.table_name.as_str(), column.column_name.as_str());
        assert!(known.contains(&name), "name {name:?} in the crate's SEALED, or a new key will not reach it");
    }
    assert_eq!(seen, known.len(), "{known:?}");
    house.stop().await;
}
