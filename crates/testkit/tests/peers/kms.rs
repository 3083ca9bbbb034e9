//! The root key behind a key management service: AWS KMS as moto plays it, which checks signatures, rights and contexts.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::Clock;
use runtime::config::{Config, KmsProvider, Secret};
use serde_json::json;
use server::Server;
use testkit::House;
use testkit::peers::{self, KeyService};

fn with(config: &mut Config, kms: &KeyService) {
    config.kms.provider = KmsProvider::Aws;
    config.kms.url = kms.url.clone();
    config.kms.region = kms.region.clone();
    config.kms.key = kms.key.clone();
    config.kms.access_key_id = Secret::new(kms.id.clone());
    config.kms.secret_access_key = Secret::new(kms.secret.clone());
    config.kms.timeout_ms = 3_000;
}

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("root.key")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Why a start is refused.
async fn refused(config: Config) -> String {
    match Server::start(config, Clock::system()).await {
        Ok(_) => panic!("it starts"),
        Err(error) => error.to_string(),
    }
}

/// Ends the service, and waits until nobody is there.
async fn end(kms: KeyService) {
    let address = kms.url.trim_start_matches("http://").to_owned();
    drop(kms);
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(&address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the service does not end");
}

async fn root(house: &House) -> serde_json::Value {
    house.admin.get("/api/v1/root-keys").await.expect(200)
}

/// Turns the root key into the service, out of it and in again, while messages are sent.
async fn turn_under_load(house: &House, folder: &Path) {
    let stop = AtomicBool::new(false);
    let sender = async {
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            let body = json!({ "to": "+33612345678", "text": "while keys move" });
            house.admin.post("/api/v1/messages", &body).await.expect(202);
            sent += 1;
        }
        sent
    };
    let turner = async {
        for (to, closed) in [("", true), ("?to=file", false), ("?to=kms", true)] {
            let path = format!("/api/v1/root-keys/turn{to}");
            let turned = house.admin.post(&path, &json!({})).await.expect(200);
            assert_eq!((&turned["closed"], &turned["to_wrap"]), (&json!(closed), &json!(0)), "{turned}");
            let form = if closed { "kms.aws." } else { "v1." };
            assert!(lines(folder).iter().all(|line| line.starts_with(form)));
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(sender, turner);
    assert!(sent > 3, "{sent} messages went beside it");
}

/// A start asks the service, and refuses what is not as it was.
async fn strangers_do_not_start(config: &Config, folder: &Path) {
    let mut nobody = config.clone();
    nobody.kms.provider = KmsProvider::Off;
    assert!(refused(nobody).await.contains("set kms.provider"));
    let mut stranger = config.clone();
    stranger.kms.secret_access_key = Secret::new("not-the-secret-of-the-user".to_owned());
    let why = refused(stranger).await;
    assert!(why.contains("403") && !why.contains("not-the-secret"), "{why}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join("root.key"), elsewhere.path().join("root.key")).unwrap();
    let mut taken = config.clone();
    taken.data_dir = elsewhere.path().to_owned();
    let why = refused(taken).await;
    assert!(why.contains("InvalidCiphertextException"), "another installation's context: {why}");
}

#[tokio::test]
async fn the_root_key_moves_to_the_service_and_back_under_load() {
    let kms = peers::aws_kms().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The connection in the database leads to the same simulator after each start.
    let simulator = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap();
    let at = |config: &mut Config| {
        config.data_dir = folder.path().to_owned();
        config.simulator.listen = simulator;
    };
    let house = House::start_with(at).await;
    let first = root(&house).await;
    assert_eq!((&first["closed"], first.get("service")), (&json!(false), None));
    let none = house.admin.post("/api/v1/root-keys/turn?to=kms", &json!({})).await;
    assert_eq!(none.problem(), "conflict");
    house.stop().await;

    let house = House::start_with(|config| {
        at(config);
        with(config, &kms);
    })
    .await;
    assert_eq!(root(&house).await["closed"], false, "as it lay");
    turn_under_load(&house, folder.path()).await;
    assert_eq!(lines(folder.path()).len(), 4, "the present one and three former ones");
    let wrong = house.admin.post("/api/v1/root-keys/turn?to=paper", &json!({})).await;
    assert_eq!((wrong.problem(), wrong.json()["at"].clone()), ("invalid_value".to_owned(), json!("to")));
    house.admin.post("/api/v1/root-keys/forget", &json!({})).await.expect(200);
    assert!(lines(folder.path()).len() == 1 && lines(folder.path())[0].starts_with("kms.aws."));
    let config = (*house.server.runtime.config).clone();
    house.stop().await;

    strangers_do_not_start(&config, folder.path()).await;

    let house = House::start_with(|config| {
        at(config);
        with(config, &kms);
    })
    .await;
    assert_eq!(root(&house).await["closed"], true);
    // A running server goes on without the service, and turns nothing half.
    let before = root(&house).await;
    end(kms).await;
    let (now, body) = (root(&house).await, json!({ "to": "+33612345678", "text": "without it" }));
    assert_eq!(now["to_wrap"], 0);
    let file = lines(folder.path());
    let turned = house.admin.post("/api/v1/root-keys/turn", &json!({})).await;
    assert_eq!(turned.problem(), "unavailable");
    assert!(turned.text.contains("see that it runs"), "{}", turned.text);
    assert_eq!((root(&house).await["key"].clone(), lines(folder.path())), (now["key"].clone(), file));
    assert!(before["key"].is_string());
    house.admin.post("/api/v1/messages", &body).await.expect(202);
    // To the file it goes without the service, which is how one leaves a service that is gone.
    let turned = house.admin.post("/api/v1/root-keys/turn?to=file", &json!({})).await.expect(200);
    assert_eq!(turned["closed"], false);
    house.stop().await;
    assert!(lines(folder.path()).iter().all(|line| line.starts_with("v1.")));
    let house = House::start_with(at).await;
    house.admin.post("/api/v1/messages", &body).await.expect(202);
    house.stop().await;
}

#[tokio::test]
async fn a_start_without_the_service_is_refused_with_what_to_do() {
    let kms = peers::aws_kms().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let house = House::start_with(|config| {
        config.data_dir = folder.path().to_owned();
        with(config, &kms);
    })
    .await;
    assert_eq!(root(&house).await["closed"], true, "a new key is closed at once");
    let config = (*house.server.runtime.config).clone();
    house.stop().await;
    let before = lines(folder.path());
    end(kms).await;
    let why = refused(config).await;
    assert!(why.contains("does not answer") && why.contains("see that it runs"), "{why}");
    assert_eq!(lines(folder.path()), before);
}
