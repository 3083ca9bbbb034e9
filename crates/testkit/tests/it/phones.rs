//! Codes to sign in that go to phones: through the tenant's own gateway, read by nobody but the phone, good once.

use serde_json::{Value, json};
use testkit::House;
use testkit::mail::Sink;

use crate::people::{ADMIN, Browser, PASSWORD, admin, mail, to, with_mail};

const PHONE: &str = "33612345678";

/// The texts that the simulator's phone shows.
fn screen(house: &House) -> Vec<String> {
    let phones = house.server.simulator.as_ref().unwrap().phones();
    phones.screen(PHONE).iter().map(|shown| shown.text.clone()).collect()
}

/// Waits for the so-many-th message and gives its text and its code.
async fn texted(house: &House, number: usize) -> (String, String) {
    house.until("the code has come", async || screen(house).len() >= number).await;
    let text = screen(house)[number - 1].clone();
    let code = text.split("sign in is ").nth(1).unwrap()[..6].to_owned();
    assert!(code.bytes().all(|octet| octet.is_ascii_digit()), "{text}");
    (text, code)
}

fn other(code: &str) -> &'static str {
    if code == "111111" { "222222" } else { "111111" }
}

async fn allow(house: &House) {
    let policy =
        json!({ "sms_codes": true, "sms_alone": true, "sms_prefixes": ["+33"], "sms_sender": "ACME" });
    house.admin.send("PUT", "/api/v1/sign-in-policy", &policy).await.expect(200);
}

/// Adds the phone on the page of one's security; `number` messages have come to it then.
async fn add(house: &House, ana: &mut Browser, number: usize) -> String {
    let asked = ana.post("/account/security/phone", "phone=%2B33+6+12+34+56+78").await;
    assert_eq!(to(&asked), "/account/security/phone/confirm", "{}", asked.text);
    let (_, code) = texted(house, number).await;
    ana.post("/account/security/phone/confirm", &format!("code={code}")).await.text
}

#[tokio::test]
async fn a_code_on_the_phone_is_the_second_step_and_works_once() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let mut ana = admin(&house).await;
    mail(&house, &sink, 1).await;
    assert!(!ana.get("/account/security").await.text.contains("/account/security/phone"), "it is off");
    assert_eq!(ana.post("/account/security/phone", "phone=%2B33612345678").await.status, 409);
    let nowhere = house.admin.send("PUT", "/api/v1/sign-in-policy", &json!({ "sms_codes": true })).await;
    assert_eq!(
        (nowhere.problem(), nowhere.json()["at"].clone()),
        ("invalid_value".into(), json!("sms_prefixes"))
    );
    allow(&house).await;
    assert!(ana.get("/account/security/phone").await.text.contains("Weaker than an app"));
    let far = ana.post("/account/security/phone", "phone=%2B21620123456").await;
    assert!(far.status == 422 && far.text.contains("+33"), "{}", far.text);
    let wrong = ana.post("/account/security/phone", "phone=%2B33+6+12+34+56+78").await;
    assert_eq!(to(&wrong), "/account/security/phone/confirm");
    let (text, code) = texted(&house, 1).await;
    assert!(text.ends_with(&format!("#{code}")) || !text.contains('@'), "{text}");
    let page = ana.get("/account/security/phone/confirm").await;
    assert!(page.text.contains("autocomplete=\"one-time-code\"") && page.text.contains("+336******78"));
    let refused = ana.post("/account/security/phone/confirm", &format!("code={}", other(&code))).await;
    assert_eq!(refused.status, 422);
    let added = ana.post("/account/security/phone/confirm", &format!("code={code}")).await;
    assert!(added.text.contains("backup-codes"), "{}", added.text);
    let told = mail(&house, &sink, 2).await;
    assert!(told.contains("How you sign in was changed") && told.contains("+336******78"), "{told}");
    assert!(!told.contains(PHONE));

    let mut other_browser = Browser::new(&house);
    assert_eq!(to(&other_browser.password(ADMIN, PASSWORD).await), "/sign-in/second");
    assert!(other_browser.get("/sign-in/second").await.text.contains("/sign-in/second/phone"));
    assert_eq!(to(&other_browser.post("/sign-in/second/phone", "").await), "/sign-in/second");
    let (_, code) = texted(&house, 2).await;
    assert!(other_browser.get("/sign-in/second").await.text.contains("on its way to your phone"));
    // Bound to this sign-in: the same code in another browser, behind the same password, opens nothing.
    let mut thief = Browser::new(&house);
    thief.password(ADMIN, PASSWORD).await;
    assert_eq!(thief.post("/sign-in/second", &format!("code={code}")).await.status, 422);
    let wrong = other_browser.post("/sign-in/second", &format!("code={}", other(&code))).await;
    assert_eq!(wrong.status, 422);
    let entered = other_browser.post("/sign-in/second", &format!("code={code}&remember=true")).await;
    assert_eq!((entered.status, to(&entered)), (303, "/"));
    assert_eq!(thief.post("/sign-in/second", &format!("code={code}")).await.status, 422, "it is used up");
    // The browser is remembered.
    other_browser.post("/sign-out", "").await;
    assert_eq!(to(&other_browser.password(ADMIN, PASSWORD).await), "/");

    // Over the API as an administrator and as oneself; a program has no phone.
    let users = house.admin.get("/api/v1/users").await.expect(200);
    let id = users["items"][0]["id"].as_str().unwrap().to_owned();
    let seen = house.admin.get(&format!("/api/v1/users/{id}/security")).await.expect(200);
    assert_eq!(seen["phone"]["number"], "+336******78");
    let program = house.admin.send("PUT", "/api/v1/me/phone", &json!({ "phone": "+33612345678" })).await;
    assert_eq!(program.problem(), "forbidden");
    let changed = ana.json("PUT", "/api/v1/me/phone", &json!({ "phone": "+33612345678" })).await;
    assert_eq!(changed.status, 202, "{}", changed.text);
    let (_, code) = texted(&house, 3).await;
    let none = ana.json("POST", "/api/v1/me/phone/confirm", &json!({ "code": other(&code) })).await;
    assert_eq!(none.problem(), "code_refused");
    let confirmed = ana.json("POST", "/api/v1/me/phone/confirm", &json!({ "code": code })).await;
    assert_eq!(confirmed.expect(200), json!({ "backup_codes": [] }));
    // Three codes came to this person; five may within an hour.
    let mut greedy = Browser::new(&house);
    greedy.password(ADMIN, PASSWORD).await;
    for _ in 0..2 {
        assert_eq!(greedy.post("/sign-in/second/phone", "").await.status, 303);
    }
    assert_eq!(greedy.post("/sign-in/second/phone", "").await.status, 429);
    texted(&house, 5).await;
    let (_, neighbour) = house.neighbour().await;
    assert_eq!(neighbour.delete(&format!("/api/v1/users/{id}/factors")).await.status, 404);
    let removed = ana.json("DELETE", "/api/v1/me/phone", &Value::Null).await;
    assert!(removed.expect(200).get("phone").is_none());
    house.stop().await;
}

/// Nothing that anybody may look at says what the message says, nor does a file.
async fn tell_nobody(house: &House, ana: &mut Browser, (id, trace): (&str, &str), said: &str) {
    let hex: String = said.bytes().map(|octet| format!("{octet:02x}")).collect();
    let mut paths = vec![
        "/api/v1/messages".to_owned(),
        "/api/v1/conversations".to_owned(),
        "/api/v1/events?after=0".to_owned(),
        "/api/v1/audit".to_owned(),
        "/api/v1/refusals".to_owned(),
        format!("{trace}/pdus"),
        format!("{trace}/jsonl"),
    ];
    paths.extend(["", "/timeline", "/why", "/pdus"].map(|rest| format!("/api/v1/messages/{id}{rest}")));
    for path in &paths {
        let answer = house.admin.get(path).await;
        assert!(answer.status == 200 || answer.status == 404, "{path}: {} {}", answer.status, answer.text);
        assert!(!answer.text.contains(said) && !answer.text.contains(&hex), "{path} tells the code");
    }
    for path in ["/messages".to_owned(), format!("/messages/{id}"), "/account/security/history".to_owned()] {
        let page = ana.get(&path).await;
        assert!(page.status == 200 && !page.text.contains(said), "{path} tells the code");
    }
    // Not on the disk either, where the database is a file.
    let data = &house.server.runtime.config.data_dir;
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let octets = std::fs::read(&path).unwrap();
            let found = octets.windows(said.len()).any(|window| window == said.as_bytes());
            assert!(!found, "{} holds the code", path.display());
        }
    }
}

#[tokio::test]
async fn nobody_but_the_phone_reads_the_code() {
    let house = House::start().await;
    allow(&house).await;
    let connections = house.admin.get("/api/v1/connections").await.expect(200);
    let connection = connections["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/connections/{connection}");
    house.admin.send("PATCH", &path, &json!({ "settings": { "keep_pdus": true } })).await.expect(200);
    house
        .until("it is bound again", async || {
            house.admin.get(&path).await.json()["status"]["state"] == "bound"
        })
        .await;
    let trace = house.admin.post("/api/v1/traces", &json!({ "connection": connection })).await.expect(201);
    let trace = format!("/api/v1/traces/{}", trace["id"].as_str().unwrap());
    let mut ana = admin(&house).await;
    let codes = add(&house, &mut ana, 1).await;
    assert!(codes.contains("backup-codes"));
    // While the lane is paused the code rests in the table; it is found there again.
    let pause = json!({ "kind": "intent", "target": "otp" });
    let pause = house.admin.post("/api/v1/pauses", &pause).await.expect(201);
    let mut other_browser = Browser::new(&house);
    other_browser.password(ADMIN, PASSWORD).await;
    assert_eq!(to(&other_browser.post("/sign-in/second/phone", "").await), "/sign-in/second");
    let waits = house.admin.get("/api/v1/messages?limit=1").await.expect(200)["items"][0].clone();
    assert_eq!((&waits["state"], &waits["confidential"]), (&json!("queued"), &json!(true)), "{waits}");
    assert!(waits.get("text").is_none(), "{waits}");
    assert_eq!((&waits["intent"], &waits["from"]), (&json!("otp"), &json!("ACME")));
    house
        .until("the message rests in the table", async || {
            let path = format!("/api/v1/messages/{}", waits["id"].as_str().unwrap());
            house.admin.get(&path).await.json().get("paused_by").is_some()
        })
        .await;
    house.admin.delete(&format!("/api/v1/pauses/{}", pause["id"].as_str().unwrap())).await.expect(204);
    let (text, code) = texted(&house, 2).await;
    let entered = other_browser.post("/sign-in/second", &format!("code={code}")).await;
    assert_eq!(to(&entered), "/", "what came from the table is the right code");

    let id = waits["id"].as_str().unwrap();
    house
        .until("its receipt has come", async || {
            house.admin.get(&format!("/api/v1/messages/{id}")).await.json()["state"] == "delivered"
        })
        .await;
    let said = text.split('.').next().unwrap().to_owned();
    tell_nobody(&house, &mut ana, (id, &trace), &said).await;
    let shown = ana.get(&format!("/messages/{id}")).await;
    assert!(shown.text.contains("for its recipient alone"));
    let traced = house.admin.get(&format!("{trace}/pdus")).await.expect(200).to_string();
    assert!(
        traced.contains("submit_sm") && traced.contains(PHONE),
        "the trace has the PDU, and not its text"
    );
    // Other texts to other phones stand in the trace as ever.
    let plain = json!({ "to": "+33612345601", "from": "ACME", "text": "Nothing to hide" });
    house.admin.post("/api/v1/messages", &plain).await.expect(202);
    house
        .until("it is traced", async || {
            house.admin.get(&format!("{trace}/pdus")).await.text.contains("Nothing to hide")
        })
        .await;
    house.stop().await;
}
