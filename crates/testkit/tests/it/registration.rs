//! Newcomers who register by themselves, and people who change their address, over the public doors: what a stranger can learn,
//! what opens when, and who is told.

use serde_json::{Value, json};
use testkit::House;
use testkit::mail::Sink;

use crate::people::{ADMIN, Browser, PASSWORD, admin, mail, path_in, to, token_of, with_mail};

const NEW: &str = "eve@example.com";

/// Opens registration at the first tenant and gives the address of its page.
async fn open(house: &House, policy: Value) -> String {
    house.admin.send("PUT", "/api/v1/registration-policy", &policy).await.expect(200);
    let slug = house.admin.get("/api/v1/me").await.expect(200)["tenant"]["slug"].as_str().unwrap().to_owned();
    format!("/register/{slug}")
}

fn form(email: &str) -> String {
    format!("name=Eve&email={email}&password={0}&repeated={0}", PASSWORD.replace(' ', "+"))
}

#[tokio::test]
async fn a_newcomer_shows_their_address_waits_and_is_let_in() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let page = open(&house, json!({ "open": true, "role": "support", "approval": true })).await;
    let mut eve = Browser::new(&house);
    assert_eq!(eve.get(&page).await.status, 200);
    let bad = eve.post(&page, "name=Eve&email=nowhere&password=short&repeated=short").await;
    assert_eq!(bad.status, 422);
    let weak = eve.post(&page, &format!("name=Eve&email={NEW}&password=short&repeated=short")).await;
    assert!(weak.status == 422 && weak.text.contains("value=\"Eve\""), "{}", weak.text);
    assert_eq!(eve.post(&page, &form(NEW)).await.status, 200);
    let path = path_in(&mail(&house, &sink, 1).await);
    // Nothing is usable yet, and nobody sees them.
    assert_eq!(eve.password(NEW, PASSWORD).await.status, 401);
    assert_eq!(house.admin.get("/api/v1/registrations").await.expect(200)["items"], json!([]));
    // A preview uses nothing up; the button does, once.
    assert_eq!(eve.get(&path).await.status, 200);
    let token = format!("token={}", token_of(&path));
    let shown = eve.post("/registration", &token).await;
    assert!(shown.status == 200 && shown.text.contains("must let you in"), "{}", shown.text);
    assert_eq!(eve.post("/registration", &token).await.status, 401);
    assert_eq!(eve.password(NEW, PASSWORD).await.status, 401, "they wait");

    let waiting = house.admin.get("/api/v1/registrations").await.expect(200);
    assert_eq!(waiting["items"][0]["email"], NEW);
    let decided = json!({ "registration": waiting["items"][0]["id"], "decision": "approve" });
    let (_, neighbour) = house.neighbour().await;
    assert_eq!(neighbour.get("/api/v1/registrations").await.expect(200)["items"], json!([]));
    assert_eq!(neighbour.post("/api/v1/registrations/decide", &decided).await.status, 404);
    house.admin.post("/api/v1/registrations/decide", &decided).await.expect(200);
    assert_eq!(house.admin.post("/api/v1/registrations/decide", &decided).await.status, 404, "once");
    assert!(mail(&house, &sink, 2).await.contains("Your account is ready"));
    assert_eq!(to(&eve.password(NEW, PASSWORD).await), "/");
    let me = eve.get("/api/v1/me").await.expect(200);
    assert_eq!((&me["user"]["role"], &me["user"]["name"]), (&json!("support"), &json!("Eve")));
    let trail = house.admin.get("/api/v1/audit?type=user.registered").await.expect(200);
    let states: Vec<_> =
        trail["items"].as_array().unwrap().iter().map(|one| &one["data"]["after"]["state"]).collect();
    assert_eq!(states, ["active", "waiting"]);
    house.stop().await;
}

#[tokio::test]
async fn a_newcomer_who_is_refused_hears_of_it() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let page = open(&house, json!({ "open": true, "approval": true })).await;
    let mut eve = Browser::new(&house);
    assert_eq!(eve.post(&page, &form(NEW)).await.status, 200);
    let path = path_in(&mail(&house, &sink, 1).await);
    assert_eq!(eve.post("/registration", &format!("token={}", token_of(&path))).await.status, 200);
    let waiting = house.admin.get("/api/v1/registrations").await.expect(200);
    let decided = json!({ "registration": waiting["items"][0]["id"], "decision": "refuse" });
    house.admin.post("/api/v1/registrations/decide", &decided).await.expect(200);
    let told = mail(&house, &sink, 2).await;
    assert!(told.contains("Your registration was not accepted"), "{told}");
    assert_eq!(sink.taken().last().unwrap().to, [NEW]);
    assert_eq!(house.admin.get("/api/v1/registrations").await.expect(200)["items"], json!([]));
    assert_eq!(eve.password(NEW, PASSWORD).await.status, 401);
    house.stop().await;
}

#[tokio::test]
async fn nobody_learns_who_has_an_account() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let page = open(&house, json!({ "open": true, "approval": false })).await;
    let mut anyone = Browser::new(&house);
    let (known, unknown) = (anyone.post(&page, &form(ADMIN)).await, anyone.post(&page, &form(NEW)).await);
    assert_eq!((known.status, unknown.status), (200, 200));
    assert_eq!(known.text, unknown.text, "octet for octet");
    house.until("both mails have come", async || sink.taken().len() == 2).await;
    let of = |to: &str| sink.taken().into_iter().find(|mail| mail.to == [to]).unwrap().content;
    assert!(of(ADMIN).contains("You have an account already") && !of(ADMIN).contains("token="));
    assert!(of(NEW).contains("token="));
    // The administrator's own password is as it was.
    assert_eq!(anyone.password(ADMIN, PASSWORD).await.status, 401);
    let token = format!("token={}", token_of(&path_in(&of(NEW).replace("=\r\n", "").replace("=3D", "="))));
    assert!(anyone.post("/registration", &token).await.text.contains("sign in with the password"));
    assert_eq!(to(&anyone.password(NEW, PASSWORD).await), "/");
    house.stop().await;
}

/// The medians of many asks in turn, for a known and an unknown address.
#[tokio::test]
async fn registering_takes_the_same_time_whoever_the_address_is_of() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let page = open(&house, json!({ "open": true })).await;
    let mut anyone = Browser::new(&house);
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..40 {
        let email = [ADMIN, NEW][n % 2];
        let begun = std::time::Instant::now();
        assert_eq!(anyone.post(&page, &form(email)).await.status, 200);
        times[n % 2].push(begun.elapsed().as_micros());
        // What the job does afterwards is no part of the answer.
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let [known, unknown] = times.map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2] as f64
    });
    assert!(known / unknown < 2.0 && unknown / known < 2.0, "known {known} µs, unknown {unknown} µs");
    house.stop().await;
}

#[tokio::test]
async fn a_door_is_closed_unless_the_tenant_opens_it_and_for_whom_it_says() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let slug = house.admin.get("/api/v1/me").await.expect(200)["tenant"]["slug"].as_str().unwrap().to_owned();
    let mut anyone = Browser::new(&house);
    let (closed, none) =
        (anyone.get(&format!("/register/{slug}")).await, anyone.get("/register/no-such").await);
    assert_eq!((closed.status, none.status, anyone.get("/register").await.status), (404, 404, 404));
    assert_eq!(anyone.post(&format!("/register/{slug}"), &form(NEW)).await.status, 404);
    // Roles that decide who gets in are not for newcomers.
    for role in ["tenant_admin", "platform_admin", "no_such_role"] {
        let refused = house
            .admin
            .send("PUT", "/api/v1/registration-policy", &json!({ "open": true, "role": role }))
            .await;
        assert_eq!(refused.problem(), "invalid_value", "{role}: {}", refused.text);
    }
    let page = open(&house, json!({ "open": true, "domains": ["Example.ORG"] })).await;
    let refused = anyone.post(&page, &form(NEW)).await;
    assert!(refused.status == 422 && refused.text.contains("example.org"), "{}", refused.text);
    assert_eq!(anyone.post(&page, &form("eve@example.org")).await.status, 200);
    // Closed again, what was mailed opens nothing.
    let path = path_in(&mail(&house, &sink, 1).await);
    open(&house, json!({ "open": false })).await;
    assert_eq!(anyone.post("/registration", &format!("token={}", token_of(&path))).await.status, 401);
    house.stop().await;
}

#[tokio::test]
async fn one_network_cannot_register_without_end() {
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
    let page = open(&house, json!({ "open": true })).await;
    let mut anyone = Browser::new(&house);
    for n in 0..2 {
        assert_eq!(anyone.post(&page, &form(&format!("n{n}@example.com"))).await.status, 200);
    }
    assert_eq!(anyone.post(&page, &form("n3@example.com")).await.status, 429);
    house.stop().await;
}

#[tokio::test]
async fn an_address_is_changed_by_who_has_the_new_one_and_the_old_one_is_told() {
    let sink = Sink::start().await;
    let house = with_mail(&sink).await;
    let mut ana = admin(&house).await;
    mail(&house, &sink, 1).await;
    let taken = json!({ "email": "taken@example.com", "name": "T", "role": "viewer" });
    house.admin.post("/api/v1/users", &taken).await.expect(201);
    // The same answer for an address that somebody has; its owner is told.
    let one = ana.post("/account/address", "email=taken%40example.com").await;
    let known = mail(&house, &sink, 2).await;
    let two = ana.post("/account/address", "email=new%40example.com").await;
    assert_eq!((one.status, to(&one)), (two.status, to(&two)));
    assert!(known.contains("You have an account already"), "{known}");
    let path = path_in(&mail(&house, &sink, 3).await);
    assert_eq!(ana.get("/api/v1/me").await.expect(200)["user"]["email"], ADMIN, "not before it is shown");
    let token = format!("token={}", token_of(&path));
    let mut anywhere = Browser::new(&house);
    assert_eq!(anywhere.get(&path).await.status, 200);
    assert_eq!(anywhere.post("/sign-in/address", &token).await.status, 200);
    assert_eq!(anywhere.post("/sign-in/address", &token).await.status, 401);
    let told = mail(&house, &sink, 4).await;
    assert!(told.contains("new@example.com") && sink.taken()[3].to == [ADMIN], "{told}");
    assert_eq!(ana.get("/api/v1/me").await.expect(200)["user"]["email"], "new@example.com");
    assert_eq!(anywhere.password(ADMIN, PASSWORD).await.status, 401);
    assert_eq!(to(&anywhere.password("new@example.com", PASSWORD).await), "/");
    house.stop().await;
}
