//! Messages that their sender sees: people of one tenant who see their own or their team's, over every public door.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use types::Permission;

use crate::people::Browser;

/// Somebody who has signed in.
struct Somebody {
    id: String,
    browser: Browser,
}

async fn enter(house: &House, name: &str, role: &str) -> Somebody {
    let email = format!("{name}@example.com");
    let new = json!({ "email": email, "name": name, "role": role });
    let made = house.admin.post("/api/v1/users", &new).await.expect(201);
    let link = identity::first_start::new_link(&house.server.runtime, &email).await.unwrap();
    let token = link.path.split_once("token=").unwrap().1;
    let mut browser = Browser::new(house);
    assert_eq!(browser.post("/sign-in/link", &format!("token={token}")).await.status, 303);
    Somebody { id: made["id"].as_str().unwrap().to_owned(), browser }
}

fn later(house: &House) -> String {
    house.server.runtime.clock.now().plus_ms(3_600_000).to_string()
}

/// A message that waits for an hour.
fn waits(house: &House, text: &str) -> Value {
    json!({ "to": "+33612345678", "text": text, "schedule_at": later(house) })
}

fn id_of(message: &Value) -> String {
    message["id"].as_str().unwrap().to_owned()
}

impl Somebody {
    async fn sends(&mut self, house: &House, text: &str) -> String {
        id_of(&self.browser.json("POST", "/api/v1/messages", &waits(house, text)).await.expect(202))
    }

    /// The texts that a list shows, sorted.
    async fn texts(&mut self, path: &str) -> Vec<String> {
        texts(&self.browser.get(path).await.expect(200))
    }
}

fn texts(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    let mut texts: Vec<_> = items.map(|one| one["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn a_customer_sees_their_own_messages_by_every_door_and_no_others() {
    let house = House::start().await;
    let mut ana = enter(&house, "ana", "customer").await;
    let mut cleo = enter(&house, "cleo", "customer").await;
    let mine = ana.sends(&house, "from ana").await;
    let theirs = cleo.sends(&house, "from cleo").await;
    let nobodys =
        id_of(&house.admin.post("/api/v1/messages", &waits(&house, "from a system")).await.expect(202));
    // What her key sends is hers too, and her key sees what she sees.
    let scopes = ["message.send", "message.view", "message.cancel", "content.view"];
    let key = json!({ "name": "Shop", "scopes": scopes });
    let key = ana.browser.json("POST", "/api/v1/api-keys", &key).await.expect(201);
    let key = house.anonymous().with_key(key["secret"].as_str().unwrap());
    let by_key = id_of(&key.post("/api/v1/messages", &waits(&house, "by her key")).await.expect(202));
    assert_eq!(ana.texts("/api/v1/messages").await, ["by her key", "from ana"]);
    assert_eq!(texts(&key.get("/api/v1/messages").await.expect(200)), ["by her key", "from ana"]);
    assert_eq!(cleo.texts("/api/v1/messages").await, ["from cleo"]);
    let own = format!("/api/v1/messages?owner={}", ana.id);
    assert_eq!(cleo.texts(&own).await, Vec::<String>::new());
    let all = house.admin.get(&own).await.expect(200);
    assert_eq!(texts(&all), ["by her key", "from ana"]);
    assert_eq!(all["items"][0]["owner"], ana.id.as_str());

    for other in [&theirs, &nobodys] {
        let path = format!("/api/v1/messages/{other}");
        for part in ["", "/timeline", "/why"] {
            let answer = ana.browser.get(&format!("{path}{part}")).await;
            assert_eq!(answer.status, 404, "{part}: {}", answer.text);
            assert_eq!(key.get(&format!("{path}{part}")).await.status, 404, "{part}");
        }
        assert_eq!(ana.browser.json("POST", &format!("{path}/cancel"), &json!({})).await.status, 404);
        let text = json!({ "text": "x" });
        assert_eq!(ana.browser.json("POST", &format!("{path}/replace"), &text).await.status, 404);
        assert_eq!(ana.browser.get(&format!("/messages/{other}")).await.status, 404);
        assert_eq!(ana.browser.post(&format!("/messages/{other}/cancel"), "").await.status, 404);
        assert_eq!(house.admin.get(&path).await.expect(200)["state"], "scheduled");
    }
    // What cannot be narrowed is not hers.
    for path in ["events", "queue", "conversations", "cdr-files", "dead-letters", "refusals", "accounting"] {
        let answer = ana.browser.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
    let steered = ana.browser.json("POST", "/api/v1/queue/cancel", &json!({ "all": true })).await.expect(200);
    assert_eq!((&steered["done"], &steered["passed_over"]), (&json!(2), &json!(0)));
    let states = json!([{ "name": "cancelled", "n": 2 }]);
    assert_eq!(ana.browser.get("/api/v1/messages/sums").await.expect(200), json!({ "states": states }));
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!((&sums["accepted"], &sums["balanced"]), (&json!(4), &json!(true)));
    for hers in [&mine, &by_key] {
        assert_eq!(ana.browser.get(&format!("/messages/{hers}")).await.status, 200);
    }

    let home = ana.browser.get("/").await.text;
    let list = ana.browser.get("/messages").await.text;
    for page in [&home, &list] {
        assert!(page.contains("from ana") && page.contains("You see what you have sent"), "{page}");
        assert!(!page.contains("from cleo") && !page.contains("from a system"), "{page}");
    }
    assert!(home.contains("2 in all"), "{home}");

    let explained = async |record: &str| {
        let path = format!("/api/v1/explain?who={}&permission=message.view&record={record}", ana.id);
        house.admin.get(&path).await.expect(200)["allowed"].clone()
    };
    assert_eq!((explained(&mine).await, explained(&theirs).await), (json!(true), json!(false)));
    let (_, neighbour) = house.neighbour().await;
    assert_eq!(neighbour.get(&format!("/api/v1/messages/{mine}")).await.status, 404);
    assert_eq!(texts(&neighbour.get(&own).await.expect(200)), Vec::<String>::new());
    house.stop().await;
}

#[tokio::test]
async fn a_business_user_sees_what_the_people_of_their_teams_have_sent() {
    let house = House::start().await;
    let mut ana = enter(&house, "ana", "corporate").await;
    let mut ben = enter(&house, "ben", "corporate").await;
    let mut cleo = enter(&house, "cleo", "corporate").await;
    let team = json!({ "name": "Desk", "members": [ana.id, ben.id] });
    let team = house.admin.post("/api/v1/teams", &team).await.expect(201);
    ana.sends(&house, "from ana").await;
    let bens = ben.sends(&house, "from ben").await;
    cleo.sends(&house, "from cleo").await;
    assert_eq!(ana.texts("/api/v1/messages").await, ["from ana", "from ben"]);
    assert_eq!(cleo.texts("/api/v1/messages").await, ["from cleo"]);
    let page = ana.browser.get(&format!("/messages/{bens}")).await;
    assert!(
        page.status == 200 && page.text.contains(&format!("href=\"/users/{}\"", ben.id)),
        "{}",
        page.text
    );
    let list = ana.browser.get("/messages").await.text;
    assert!(list.contains("Sent by") && list.contains(&ben.id) && !list.contains(&cleo.id), "{list}");
    // Who leaves the team leaves its messages.
    let path = format!("/api/v1/teams/{}", team["id"].as_str().unwrap());
    house.admin.send("PATCH", &path, &json!({ "members": [ben.id] })).await.expect(200);
    assert_eq!(ana.texts("/api/v1/messages").await, ["from ana"]);
    assert_eq!(ana.browser.get(&format!("/api/v1/messages/{bens}")).await.status, 404);
    house.stop().await;
}

#[tokio::test]
async fn what_phones_write_and_systems_submit_is_nobodys() {
    let house = House::start().await;
    let mut ana = enter(&house, "ana", "customer").await;
    let sent = json!({ "to": "+33612345678", "from": "10000", "text": "question" });
    ana.browser.json("POST", "/api/v1/messages", &sent).await.expect(202);
    let phones = house.server.simulator.as_ref().unwrap().phones();
    phones.reply("33612345678", "10000", "answer").unwrap();
    house
        .until("the phone has written", async || {
            texts(&house.admin.get("/api/v1/messages?direction=in").await.expect(200)) == ["answer"]
        })
        .await;
    assert_eq!(ana.texts("/api/v1/messages").await, ["question"]);
    let inbound = house.admin.get("/api/v1/messages?direction=in").await.expect(200)["items"][0].clone();
    assert!(inbound["owner"].is_null(), "{inbound}");
    assert_eq!(ana.browser.get(&format!("/api/v1/messages/{}", id_of(&inbound))).await.status, 404);
    house.stop().await;
}

/// What the console's pages are told over a while.
async fn told(house: &House, cookies: &str, during: impl AsyncFnOnce(), least: Duration) -> String {
    let request = format!("GET /live HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n");
    let mut stream = TcpStream::connect(house.server.http).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut some = [0; 4096];
    let mut said = String::new();
    let read = timeout(Duration::from_secs(20), stream.read(&mut some)).await.unwrap().unwrap();
    said.push_str(&String::from_utf8_lossy(&some[..read]));
    during().await;
    let ends = Instant::now() + least;
    // A pulse ends it, so that whatever was to be told by then has been told.
    while !(Instant::now() > ends && said.contains("event: pulse")) {
        if let Ok(Ok(read @ 1..)) = timeout(Duration::from_millis(500), stream.read(&mut some)).await {
            said.push_str(&String::from_utf8_lossy(&some[..read]));
        }
    }
    said
}

#[tokio::test]
async fn pages_hear_nothing_of_others_messages() {
    let house = House::start().await;
    let ana = enter(&house, "ana", "customer").await;
    let boss = enter(&house, "boss", "viewer").await;
    let sent = async || {
        house.admin.post("/api/v1/messages", &waits(&house, "from a system")).await.expect(202);
    };
    let wait = Duration::from_secs(3);
    let all = told(&house, &boss.browser.cookies(), sent, wait).await;
    assert!(all.starts_with("HTTP/1.1 200") && all.contains("event: message:msg_"), "{all}");
    let hers = told(&house, &ana.browser.cookies(), sent, wait).await;
    assert!(hers.starts_with("HTTP/1.1 200") && !hers.contains("message:msg_"), "{hers}");
    // Her pages look again by themselves, whether something has happened or not.
    let calm = told(&house, &ana.browser.cookies(), async || {}, wait).await;
    for said in [&hers, &calm] {
        assert!(said.contains("event: message\n"), "{said}");
    }
    house.stop().await;
}

#[tokio::test]
async fn the_roles_hold_what_is_theirs_and_no_more() {
    let house = House::start().await;
    for (role, reach) in [("customer", "own"), ("corporate", "team")] {
        let shown = house.admin.get(&format!("/api/v1/roles/{role}")).await.expect(200);
        for permission in [Permission::MessageView, Permission::MessageCancel, Permission::MessageReplace] {
            assert_eq!(shown["allows"][permission.as_str()], reach, "{role}");
        }
        for never in [Permission::EventView, Permission::ConversationView, Permission::QueueView] {
            assert!(shown["allows"][never.as_str()].is_null(), "{role}");
        }
    }
    house.stop().await;
}
