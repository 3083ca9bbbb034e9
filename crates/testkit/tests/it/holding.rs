//! What it costs to hold many peers who do nothing: idle binds, connections that never bind, requests that never end.

use std::time::Duration;

use serde_json::json;
use testkit::process::Place;
use testkit::{Customer, Process};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const BINDS: usize = 1_000;
const SLOW: usize = 200;
/// What `docs/operations.md` promises for all of them together.
const MEMORY_MAX_KIB: u64 = 96 * 1_024;

/// Memory that a process holds, in KiB.
fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn slow(address: std::net::SocketAddr, begun: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..SLOW {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(begun).await.unwrap();
        open.push(socket);
    }
    open
}

#[tokio::test]
async fn a_thousand_idle_binds_and_hundreds_of_slow_peers_stay_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = Place::new(folder.path(), None);
    for (name, value) in [
        ("SWITCHBOARD__SMPP__SESSION_INIT_MS", "120000"),
        ("SWITCHBOARD__HTTP__HEADER_TIMEOUT_MS", "120000"),
        ("SWITCHBOARD__SECURITY__ARGON2_MEMORY_KIB", "8"),
        ("SWITCHBOARD__SECURITY__ARGON2_PASSES", "1"),
    ] {
        place.settings.push((name.to_owned(), value.to_owned()));
    }
    let process = Process::start(&place).await;
    let new = json!({ "system_id": "idle", "password": "secret12", "settings": { "binds_max": BINDS } });
    process.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let before = resident_kib(&process);

    let mut bound = Vec::new();
    for _ in 0..BINDS {
        bound.push(Customer::bound(place.smpp, "idle", "secret12").await.unwrap());
    }
    let with_binds = resident_kib(&process);
    // Half a header of a bind, and headers of a request that do not end.
    let at_smpp = slow(place.smpp, &[0, 0, 0, 40, 0, 0]).await;
    let at_http = slow(place.http, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let with_all = resident_kib(&process);
    eprintln!(
        "{before} KiB; {BINDS} idle binds: {} KiB more; {SLOW} slow peers at each port: {} KiB more",
        with_binds.saturating_sub(before),
        with_all.saturating_sub(with_binds)
    );
    assert!(with_all.saturating_sub(before) < MEMORY_MAX_KIB, "{before} KiB before, {with_all} KiB with all");

    // And others are still served.
    process.admin.get("/ready").await.expect(200);
    let accounts = process.admin.get("/api/v1/smpp-accounts").await.expect(200);
    let idle = accounts["items"].as_array().unwrap().iter().find(|one| one["system_id"] == "idle").unwrap();
    let path = format!("/api/v1/smpp-accounts/{}/binds", idle["id"].as_str().unwrap());
    let sessions = process.admin.get(&path).await.expect(200);
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(BINDS), "each bind is held");
    drop((bound, at_smpp, at_http));
}
