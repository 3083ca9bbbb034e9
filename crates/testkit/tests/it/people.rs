//! How people sign in, over the public doors: steps, mail, fresh proofs, and what a stranger can learn.

use std::time::Duration;

use serde_json::json;
use testkit::House;
use testkit::client::{Answer, Client};
use testkit::mail::Sink;
use totp_rs::{Builder, Secret};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const ADMIN: &str = "admin@localhost";

pub(crate) async fn with_mail(sink: &Sink) -> House {
    let port = sink.address.port();
    House::start_with(|config| {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.port = port;
        config.mail.tls = runtime::config::Encryption::None;
        config.mail.from = "console@sms.example".to_owned();
        config.jobs.retry_min_ms = 50;
        config.security.mails_max = 100;
    })
    .await
}

/// A person's browser: what it was told to keep.
pub(crate) struct Browser {
    pub(crate) client: Client,
    jar: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(house: &House) -> Self {
        Self { client: house.anonymous(), jar: Vec::new() }
    }

    pub(crate) fn cookies(&self) -> String {
        let pairs = self.jar.iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: Answer) -> Answer {
        for value in answer.headers.get_all("set-cookie") {
            let text = value.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = text.split_once('=').unwrap();
            self.jar.retain(|(known, _)| known != name);
            self.jar.push((name.to_owned(), value.to_owned()));
        }
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let answer = self.client.ask("GET", path, &[("cookie", &self.cookies())], None).await;
        self.keep(answer)
    }

    pub(crate) async fn post(&mut self, path: &str, form: &str) -> Answer {
        let answer = self.client.form(path, &[("cookie", &self.cookies())], form).await;
        self.keep(answer)
    }

    pub(crate) async fn json(&mut self, method: &str, path: &str, body: &serde_json::Value) -> Answer {
        let (cookies, body) = (self.cookies(), body.to_string().into_bytes());
        let headers = [("cookie", cookies.as_str()), ("content-type", "application/json")];
        self.client.ask(method, path, &headers, Some(body)).await
    }

    pub(crate) async fn password(&mut self, email: &str, password: &str) -> Answer {
        self.post("/sign-in", &format!("email={email}&password={}", password.replace(' ', "+"))).await
    }
}

pub(crate) fn to(answer: &Answer) -> &str {
    answer.headers.get("location").map_or("", |value| value.to_str().unwrap())
}

/// The administrator's browser, with a password set.
pub(crate) async fn admin(house: &House) -> Browser {
    let link = identity::first_start::new_link(&house.server.runtime, ADMIN).await.unwrap();
    let mut browser = Browser::new(house);
    let token = link.path.split_once("token=").unwrap().1.to_owned();
    assert_eq!(browser.post("/sign-in/link", &format!("token={token}")).await.status, 303);
    let form = format!("password={0}&repeated={0}", PASSWORD.replace(' ', "+"));
    assert_eq!(to(&browser.post("/account/password", &form).await), "/account/security");
    browser
}

/// Waits for the so-many-th mail, and gives the path of the link in it, or its text.
pub(crate) async fn mail(house: &House, sink: &Sink, number: usize) -> String {
    house.until("the mail has come", async || sink.taken().len() >= number).await;
    // Quoted-printable (RFC 2045 §6.7), as far as these mails use it.
    sink.taken()[number - 1].content.replace("=\r\n", "").replace("=3D", "=")
}

pub(crate) fn path_in(mail: &str) -> String {
    let line =
        mail.lines().find(|line| line.contains("token=")).unwrap_or_else(|| panic!("no link in {mail}"));
    let (_, rest) = line.split_once("://").unwrap();
    rest[rest.find('/').unwrap()..].trim().to_owned()
}

pub(crate) fn token_of(path: &str) -> &str {
    path.split_once("token=").unwrap().1
}

/// What an authenticator with the secret of this page shows.
fn shown(house: &House, page: &str, steps: i64) -> String {
    let at = page.find("id=\"secret\"").expect("a secret");
    let rest = &page[at..];
    let secret = &rest[rest.find('>').unwrap() + 1..rest.find('<').unwrap()];
    let now = house.server.runtime.clock.now().unix_ms() / 1_000 + steps * 30;
    let app = Builder::new()
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .with_account_name("x")
        .build()
        .unwrap();
    app.generate(now as u64).to_string()
}

#[tokio::test]
async fn a_password_alone_is_not_enough_once_there_is_an_authenticator() {
    let house = House::start().await;
    let mut ana = admin(&house).await;
    let page = ana.get("/account/security/totp").await;
    assert_eq!(page.headers.get("cache-control").unwrap(), "no-store");
    assert!(page.text.contains("<svg"), "the picture is in the page");
    let codes = ana.post("/account/security/totp", &format!("code={}", shown(&house, &page.text, 0))).await;
    assert!(codes.text.contains("backup-codes"), "{}", codes.text);
    let mut other = Browser::new(&house);
    assert_eq!(to(&other.password(ADMIN, PASSWORD).await), "/sign-in/second");
    // The first step opens nothing: neither pages nor the API.
    assert_eq!(other.get("/users").await.status, 303);
    let pending = other.jar.iter().find(|(name, _)| name == "switchboard_pending").unwrap().1.clone();
    for cookie in [other.cookies(), format!("switchboard_session={pending}")] {
        let answer = other.client.ask("GET", "/api/v1/me", &[("cookie", &cookie)], None).await;
        assert_eq!(answer.status, 401);
    }
    let asks = other.get("/sign-in/second").await;
    assert!(asks.text.contains("autocomplete=\"one-time-code\""));
    let used = other.post("/sign-in/second", &format!("code={}", shown(&house, &page.text, 0))).await;
    assert_eq!(used.status, 422, "the code was used to confirm the authenticator");
    // A browser without the cookie has nothing of the sign-in.
    let mut thief = Browser::new(&house);
    let stolen = thief.post("/sign-in/second", &format!("code={}", shown(&house, &page.text, 1))).await;
    assert_eq!((stolen.status, to(&stolen)), (401, ""));
    let entered =
        other.post("/sign-in/second", &format!("code={}&remember=true", shown(&house, &page.text, 1))).await;
    assert_eq!((entered.status, to(&entered)), (303, "/"));
    assert_eq!(other.get("/users").await.status, 200);
    // This browser is remembered now.
    other.post("/sign-out", "").await;
    assert_eq!(to(&other.password(ADMIN, PASSWORD).await), "/");
    house.stop().await;
}

#[tokio::test]
async fn an_asked_mail_tells_nothing_and_its_link_works_once() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let mut ana = Browser::new(&house);
    assert!(ana.get("/sign-in").await.text.contains("/sign-in/mail?wanted=link"));
    let known = ana.post("/sign-in/mail", &format!("wanted=link&email={ADMIN}")).await;
    let unknown = ana.post("/sign-in/mail", "wanted=link&email=nobody@example.com").await;
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    let content = mail(&house, &sink, 1).await;
    assert!(content.contains("Auto-Submitted: auto-generated"), "{content}");
    let path = path_in(&content);
    assert_eq!(ana.get(&path).await.status, 200, "looking uses nothing up");
    let form = format!("token={}", token_of(&path));
    assert_eq!(ana.post("/sign-in/link", &form).await.status, 303);
    assert_eq!(ana.post("/sign-in/link", &form).await.status, 401);
    let page = ana.get("/account/security").await;
    assert!(page.text.contains("known to be yours"), "the mail has proved the address");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sink.taken().len(), 1, "nobody got a mail for the unknown address");
    house.stop().await;
}

#[tokio::test]
async fn a_reset_sets_the_password_once_and_ends_every_session() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let mut ana = admin(&house).await;
    let mut number = 1;
    assert!(mail(&house, &sink, number).await.contains("Your password was changed"));
    for _ in 0..2 {
        ana.post("/sign-in/mail", &format!("wanted=reset&email={ADMIN}")).await;
        number += 1;
        mail(&house, &sink, number).await;
    }
    let path = path_in(&mail(&house, &sink, number).await);
    let other = path_in(&mail(&house, &sink, number - 1).await);
    let mut anywhere = Browser::new(&house);
    assert!(anywhere.get(&path).await.text.contains(ADMIN));
    let form = |path: &str, word: &str| format!("token={}&password={word}&repeated={word}", token_of(path));
    let weak = anywhere.post("/sign-in/reset", &form(&path, "short")).await;
    assert_eq!(weak.status, 422, "and nothing was used up");
    let done = anywhere.post("/sign-in/reset", &form(&path, "a+new+and+better+one")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(!done.headers.contains_key("set-cookie"), "it does not sign in by itself");
    for spent in [&path, &other] {
        let again = anywhere.post("/sign-in/reset", &form(spent, "yet+another+good+one")).await;
        assert_eq!(again.status, 401, "used, or made useless by the other");
    }
    assert_eq!(ana.get("/account").await.status, 303, "the session has ended");
    assert_eq!(anywhere.password(ADMIN, PASSWORD).await.status, 401);
    assert_eq!(to(&anywhere.password(ADMIN, "a new and better one").await), "/");
    assert!(mail(&house, &sink, number + 1).await.contains("Your password was changed"));
    house.stop().await;
}

#[tokio::test]
async fn a_mailed_code_stands_in_only_where_the_tenant_allows_it() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let mut ana = admin(&house).await;
    mail(&house, &sink, 1).await;
    assert_eq!(ana.post("/account/security/verify", "").await.status, 303);
    let path = path_in(&mail(&house, &sink, 2).await);
    let verified = ana.post("/sign-in/verify", &format!("token={}", token_of(&path))).await;
    assert_eq!(verified.status, 200);
    assert_eq!(ana.post("/sign-in/verify", &format!("token={}", token_of(&path))).await.status, 401);
    let page = ana.get("/account/security/totp").await;
    ana.post("/account/security/totp", &format!("code={}", shown(&house, &page.text, 0))).await;
    assert!(mail(&house, &sink, 3).await.contains("How you sign in was changed"));
    let mut other = Browser::new(&house);
    other.password(ADMIN, PASSWORD).await;
    assert!(!other.get("/sign-in/second").await.text.contains("/sign-in/second/mail"));
    assert_eq!(other.post("/sign-in/second/mail", "").await.status, 409);
    let policy = json!({ "mail_codes": true });
    house.admin.send("PUT", "/api/v1/sign-in-policy", &policy).await.expect(200);
    assert!(other.get("/sign-in/second").await.text.contains("/sign-in/second/mail"));
    assert_eq!(to(&other.post("/sign-in/second/mail", "").await), "/sign-in/second");
    let content = mail(&house, &sink, 4).await;
    let code: String = content.split("Your code to sign in is ").nth(1).unwrap().chars().take(6).collect();
    // It is of this browser's sign-in, and of no other.
    let mut thief = Browser::new(&house);
    thief.password(ADMIN, PASSWORD).await;
    assert_eq!(thief.post("/sign-in/second", &format!("code={code}")).await.status, 422);
    assert_eq!(to(&other.post("/sign-in/second", &format!("code={code}")).await), "/");
    house.stop().await;
}

#[tokio::test]
async fn who_must_add_a_second_factor_is_led_to_it() {
    let house = House::start().await;
    let mut ana = admin(&house).await;
    let user = json!({ "email": "dev@example.com", "name": "Dev", "role": "developer" });
    let user = house.admin.post("/api/v1/users", &user).await.expect(201);
    let policy = json!({ "second_factor_roles": ["developer"] });
    house.admin.send("PUT", "/api/v1/sign-in-policy", &policy).await.expect(200);
    let link = format!("/api/v1/users/{}/link", user["id"].as_str().unwrap());
    let link = house.admin.post(&link, &json!({})).await.expect(201);
    let mut dev = Browser::new(&house);
    let token = token_of(link["url"].as_str().unwrap()).to_owned();
    assert_eq!(to(&dev.post("/sign-in/link", &format!("token={token}")).await), "/sign-in/second");
    assert_eq!(to(&dev.get("/sign-in/second").await), "/sign-in/enrol");
    assert_eq!(dev.get("/").await.status, 303);
    let page = dev.get("/sign-in/enrol").await;
    assert_eq!(dev.post("/sign-in/enrol", "code=000000").await.status, 422);
    let codes = dev.post("/sign-in/enrol", &format!("code={}", shown(&house, &page.text, 0))).await;
    assert!(codes.status == 200 && codes.text.contains("backup-codes"), "{}", codes.text);
    assert_eq!(dev.get("/messages").await.status, 200);
    let id = user["id"].as_str().unwrap();
    let security = house.admin.get(&format!("/api/v1/users/{id}/security")).await.expect(200);
    assert_eq!(
        (security["backup_codes"].as_i64(), security["second_factor_required"].as_bool()),
        (Some(10), Some(true))
    );
    let history = house.admin.get(&format!("/api/v1/users/{id}/security/history?limit=1")).await.expect(200);
    assert!(history["next"].is_string() && history["items"][0]["kind"] == "signed_in", "{history}");
    assert!(ana.get(&format!("/users/{id}")).await.text.contains("authenticator"));
    house.admin.delete(&format!("/api/v1/users/{id}/factors")).await.expect(200);
    let security = house.admin.get(&format!("/api/v1/users/{id}/security")).await.expect(200);
    assert_eq!(security["authenticator"], json!(null));
    house.stop().await;
}

#[tokio::test]
async fn a_stale_session_is_asked_for_a_proof_and_a_key_is_not() {
    let house = House::start_with(|config| config.security.step_up_m = 0).await;
    let link = identity::first_start::new_link(&house.server.runtime, ADMIN).await.unwrap();
    let mut ana = Browser::new(&house);
    ana.post("/sign-in/link", &format!("token={}", token_of(&link.path))).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let users = house.admin.get("/api/v1/users").await.expect(200);
    let id = users["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{id}/link");
    let answer = ana.client.ask("POST", &path, &[("cookie", &ana.cookies())], None).await;
    assert_eq!((answer.status, answer.problem().as_str()), (403, "step_up_required"));
    house.admin.post(&path, &json!({})).await.expect(201);
    let headers = [("cookie", ana.cookies()), ("referer", format!("http://127.0.0.1/users/{id}?x=1"))];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let led = ana.client.form(&format!("/users/{id}/link"), &headers, "").await;
    assert_eq!((led.status, to(&led)), (303, format!("/step-up?back=%2Fusers%2F{id}%3Fx%3D1").as_str()));
    let fragment = [headers[0], headers[1], ("hx-request", "true")];
    let led = ana.client.form(&format!("/users/{id}/link"), &fragment, "").await;
    assert!(led.headers.contains_key("hx-redirect"));
    assert_eq!(to(&ana.get("/account/security/totp").await), "/step-up?back=%2Faccount%2Fsecurity%2Ftotp");
    assert!(ana.get("/step-up").await.text.contains("nothing to prove it with"), "no password, no factor");
    house.stop().await;
}

#[tokio::test]
async fn mails_cannot_be_asked_for_without_end() {
    let sink = Sink::start().await;
    let port = sink.address.port();
    let house = House::start_with(|config| {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.port = port;
        config.mail.tls = runtime::config::Encryption::None;
        config.mail.from = "console@sms.example".to_owned();
        config.security.mails_max = 2;
    })
    .await;
    let mut anyone = Browser::new(&house);
    for email in ["nobody@example.com", ADMIN] {
        assert_eq!(anyone.post("/sign-in/mail", &format!("wanted=reset&email={email}")).await.status, 200);
    }
    for email in ["nobody@example.com", ADMIN] {
        assert_eq!(anyone.post("/sign-in/mail", &format!("wanted=reset&email={email}")).await.status, 429);
    }
    house.stop().await;
}

/// The medians of many asks in turn, for a known and an unknown address.
#[tokio::test]
async fn a_mail_is_asked_for_in_the_same_time_whoever_the_address_is_of() {
    let sink = Sink::start().await;
    let port = sink.address.port();
    let house = House::start_with(|config| {
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.port = port;
        config.mail.tls = runtime::config::Encryption::None;
        config.mail.from = "console@sms.example".to_owned();
        config.security.mails_max = 1_000;
    })
    .await;
    let mut anyone = Browser::new(&house);
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..60 {
        let email = [ADMIN, "nobody@example.com"][n % 2];
        let begun = std::time::Instant::now();
        let answer = anyone.post("/sign-in/mail", &format!("wanted=reset&email={email}")).await;
        times[n % 2].push(begun.elapsed().as_micros());
        assert_eq!(answer.status, 200);
        // What the job does afterwards is no part of the answer.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let [known, unknown] = times.map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2] as f64
    });
    assert!(known / unknown < 2.0 && unknown / known < 2.0, "known {known} µs, unknown {unknown} µs");
    house.stop().await;
}
