//! A code to sign in under kill -9: once the person was told that it is on its way, it comes, although the program was killed
//! before it left; and it opens the sign-in that was begun before.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::client::Client;
use testkit::process::Place;
use testkit::{Process, postgres};

const PASSWORD: &str = "correct+horse+battery";

/// A browser: what it was told to keep.
struct Browser(Vec<(String, String)>);

impl Browser {
    async fn ask(&mut self, place: &Place, method: &str, path: &str, form: &str) -> (u16, String) {
        let client = Client::anonymous(place.http);
        let cookies: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let headers = [("cookie", cookies.as_str())];
        let answer = match method {
            "GET" => client.ask("GET", path, &headers, None).await,
            _ => client.form(path, &headers, form).await,
        };
        for value in answer.headers.get_all("set-cookie") {
            let text = value.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = text.split_once('=').unwrap();
            self.0.retain(|(known, _)| known != name);
            self.0.push((name.to_owned(), value.to_owned()));
        }
        (answer.status, answer.text)
    }

    async fn post(&mut self, place: &Place, path: &str, form: &str) -> String {
        let (status, text) = self.ask(place, "POST", path, form).await;
        assert!(status < 400, "{path}: {status} {text}");
        text
    }

    /// The code on the simulator's phone.
    async fn texted(&mut self, place: &Place) -> String {
        let by = Instant::now() + Duration::from_secs(30);
        loop {
            let (_, page) = self.ask(place, "GET", "/phones/33612345678?with=10000", "").await;
            if let Some((_, rest)) = page.split_once("Your code to sign in is ") {
                return rest[..6].to_owned();
            }
            assert!(Instant::now() < by, "no code has come");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn survive(data: &Path, database: Option<&str>) {
    let mut place = Place::new(data, database);
    // The connection in the database leads to the same simulator after the kill.
    let simulator = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap();
    place.settings.push(("SWITCHBOARD__SIMULATOR__LISTEN".to_owned(), simulator.to_string()));
    let process = Process::start(&place).await;
    let policy =
        json!({ "sms_codes": true, "sms_alone": true, "sms_prefixes": ["+33"], "sms_sender": "10000" });
    process.admin.send("PUT", "/api/v1/sign-in-policy", &policy).await.expect(200);
    let users = process.admin.get("/api/v1/users").await.expect(200);
    let (id, email) = (&users["items"][0]["id"], users["items"][0]["email"].as_str().unwrap());
    let link = format!("/api/v1/users/{}/link", id.as_str().unwrap());
    let link = process.admin.post(&link, &json!({})).await.expect(201)["url"].as_str().unwrap().to_owned();
    let (mut ana, mut other) = (Browser(Vec::new()), Browser(Vec::new()));
    ana.post(&place, "/sign-in/link", &format!("token={}", link.split_once("token=").unwrap().1)).await;
    ana.post(&place, "/account/password", &format!("password={PASSWORD}&repeated={PASSWORD}")).await;
    ana.post(&place, "/account/security/phone", "phone=%2B33612345678").await;
    let code = ana.texted(&place).await;
    ana.post(&place, "/account/security/phone/confirm", &format!("code={code}")).await;
    // Nothing of the kind leaves before the kill.
    let pause = json!({ "kind": "intent", "target": "otp" });
    let pause = process.admin.post("/api/v1/pauses", &pause).await.expect(201);
    other.post(&place, "/sign-in", &format!("email={email}&password={PASSWORD}")).await;
    other.post(&place, "/sign-in/second/phone", "").await;
    process.kill();
    let process = Process::start(&place).await;
    process.admin.delete(&format!("/api/v1/pauses/{}", pause["id"].as_str().unwrap())).await.expect(204);
    // The simulator's phones were killed too: what they show came afterwards.
    let code = ana.texted(&place).await;
    let (status, page) = other.ask(&place, "POST", "/sign-in/second", &format!("code={code}")).await;
    assert_eq!(status, 303, "{page}");
    assert_eq!(other.ask(&place, "GET", "/account/security", "").await.0, 200);
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_comes_once_it_was_promised_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_comes_once_it_was_promised_on_postgres() {
    let database = postgres::start().database();
    let folder = tempfile::tempdir().unwrap();
    survive(folder.path(), Some(&database.url)).await;
}
