//! Mails under kill -9: whatever the moment, between the end of a mail and its 250 too, a mail whose client tries until it is
//! taken has become one message for each recipient, and no more.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use serde_json::json;
use testkit::mail::Talker;
use testkit::process::Place;
use testkit::{Process, postgres};

const KILLS: usize = 10;

/// Sends mails one after the other, each until it is taken, as a mail server does; gives how many were taken.
async fn post(
    address: SocketAddr,
    password: String,
    mut number: u32,
    mut stop: tokio::sync::oneshot::Receiver<()>,
) -> u32 {
    while stop.try_recv().is_err() {
        let Ok(socket) = tokio::net::TcpStream::connect(address).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        drop(socket);
        number = session(address, &password, number).await;
    }
    number
}

/// One session: mails until it breaks; gives the number of the first that was not taken.
async fn session(address: SocketAddr, password: &str, mut number: u32) -> u32 {
    let Some(mut client) = Talker::try_connect(address).await else { return number };
    if !client.try_sign_in("mailer", password).await {
        return number;
    }
    loop {
        let content = format!("Message-ID: <{number}@x.example>\nSubject: x\n\nmail {number}.");
        let to = ["<+33612345678@sms.example>", "<+33612345679@sms.example>"];
        let reply = client.send("<anna@x.example>", &to, &content).await;
        if !reply.starts_with("250 ") {
            return number;
        }
        number += 1;
    }
}

/// How often each text is there.
async fn texts(process: &Process) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    let mut path = "/api/v1/messages?limit=200&direction=out".to_owned();
    loop {
        let page = process.admin.get(&path).await.expect(200);
        for message in page["items"].as_array().unwrap() {
            *found.entry(message["text"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/messages?limit=200&direction=out&after={next}"),
            None => return found,
        }
    }
}

async fn survive(data: &Path, database: Option<&str>) {
    let mut place = Place::new(data, database);
    let smtp = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap();
    for (name, value) in [
        ("SWITCHBOARD__SMTP__ENABLED", "true".to_owned()),
        ("SWITCHBOARD__SMTP__LISTEN", smtp.to_string()),
        ("SWITCHBOARD__SMTP__DOMAIN", "sms.example".to_owned()),
        ("SWITCHBOARD__SMTP__PLAIN_AUTH", "true".to_owned()),
        ("SWITCHBOARD__SIMULATOR__LISTEN", "127.0.0.1:0".to_owned()),
    ] {
        place.settings.push((name.to_owned(), value));
    }
    let mut process = Process::start(&place).await;
    let new = json!({ "system_id": "mailer", "settings": { "binds_max": 20 } });
    let account = process.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let password = account["password"].as_str().unwrap().to_owned();
    let (end, stop) = tokio::sync::oneshot::channel();
    let (told, taken) = tokio::sync::oneshot::channel();
    runtime::Tasks::new().spawn("client", async move {
        told.send(post(smtp, password, 0, stop).await).unwrap();
    });
    for _ in 0..KILLS {
        let lives_ms = rand::rng().random_range(100..1_000);
        tokio::time::sleep(Duration::from_millis(lives_ms)).await;
        process.kill();
        process = Process::start(&place).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    end.send(()).unwrap();
    // A session goes on until it breaks.
    process.kill();
    let taken = taken.await.unwrap();
    let process = Process::start(&place).await;
    assert!(taken > 50, "only {taken} mails were taken");
    let texts = texts(&process).await;
    for number in 0..taken {
        assert_eq!(texts.get(&format!("mail {number}.")), Some(&2), "mail {number} of {taken}");
    }
    // The last one may be there without its 250; nothing else is.
    assert!(texts.len() <= taken as usize + 1, "{} texts of {taken} mails", texts.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_become_messages_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_become_messages_once_on_postgres() {
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
