//! Messages from phones: keywords by number, answers, webhooks, opting out and in, conversations.

use std::sync::{Arc, Mutex};

use runtime::Tasks;
use serde_json::{Value, json};
use testkit::House;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const PHONE: &str = "33612345678";

/// The body of the request that a connection brings; it is answered with 204.
async fn body(stream: TcpStream) -> Value {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.unwrap();
        let header = header.trim().to_lowercase();
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets).await.unwrap();
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
    serde_json::from_slice(&octets).unwrap()
}

/// A receiver of webhooks, and what it got.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&got);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    Tasks::new().spawn("receiver", async move {
        while let Ok((stream, _)) = socket.accept().await {
            let body = body(stream).await;
            kept.lock().unwrap().push(body);
        }
    });
    (format!("http://{address}/mo"), got)
}

async fn house() -> House {
    House::start_with(|config| config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()]).await
}

/// What the phone was sent.
fn screen(house: &House, phone: &str) -> Vec<String> {
    let phones = house.server.simulator.as_ref().unwrap().phones();
    let received =
        |shown: &&simulator::phones::Message| shown.direction == simulator::phones::Direction::Received;
    phones.screen(phone).iter().filter(received).map(|shown| shown.text.clone()).collect()
}

fn write(house: &House, phone: &str, number: &str, text: &str) {
    house.server.simulator.as_ref().unwrap().phones().reply(phone, number, text).unwrap();
}

async fn came_in(house: &House, text: &str) -> Value {
    let found = async || {
        let list = house.admin.get("/api/v1/messages?direction=in").await.expect(200);
        list["items"].as_array().unwrap().iter().find(|one| one["text"] == text).cloned()
    };
    house.until("the message came in", async || found().await.is_some()).await;
    found().await.unwrap()
}

async fn marketing(house: &House, from: &str) -> (u16, String) {
    let body = json!({ "to": format!("+{PHONE}"), "from": from, "text": "New shoes", "intent": "marketing" });
    let answer = house.admin.post("/api/v1/messages", &body).await;
    (answer.status, if answer.status == 202 { String::new() } else { answer.problem() })
}

#[tokio::test]
async fn the_same_keyword_on_two_short_codes_goes_two_ways() {
    let house = house().await;
    let (url, got) = receiver().await;
    let vote = json!({ "keywords": [{ "name": "Votes", "when": { "kind": "word", "words": ["VÓTE"] },
        "actions": [{ "kind": "webhook", "url": url }, { "kind": "reply", "text": "Counted" }] }] });
    let other = json!({ "keywords": [{ "name": "Votes", "when": { "kind": "word", "words": ["vote"] },
        "actions": [{ "kind": "reply", "text": "The vote is over" }] }], "otherwise": [{ "kind": "inbox" }] });
    for (number, rule) in [("10000", vote), ("20000", other)] {
        let new = json!({ "number": number, "name": format!("Code {number}"), "rule": rule });
        house.admin.post("/api/v1/inbound-numbers", &new).await.expect(201);
    }
    let again = house.admin.post("/api/v1/inbound-numbers", &json!({ "number": "10000" })).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "already_exists"));
    write(&house, PHONE, "10000", "Vote 7");
    house.until("it was posted", async || got.lock().unwrap().len() == 1).await;
    house.until("it was answered", async || screen(&house, PHONE) == ["Counted"]).await;
    {
        let got = got.lock().unwrap();
        let posted = (&got[0]["type"], &got[0]["from"], &got[0]["text"], &got[0]["keyword"]);
        assert_eq!(
            posted,
            (&json!("message.received"), &json!("+33612345678"), &json!("Vote 7"), &json!("Votes"))
        );
    }
    // Another number, another answer; the same phone at once again, none.
    write(&house, PHONE, "20000", "vote 7!");
    house.until("the other answered", async || screen(&house, PHONE).len() == 2).await;
    write(&house, PHONE, "10000", "vote 8");
    house.until("it was posted too", async || got.lock().unwrap().len() == 2).await;
    write(&house, "33612345679", "20000", "what?");
    let message = came_in(&house, "what?").await;
    let why = house.admin.get(&format!("/api/v1/messages/{}/why", message["id"].as_str().unwrap())).await;
    let why = why.expect(200);
    assert_eq!((&why["inbound"]["name"], &why["inbound"]["keyword"]), (&json!("Code 20000"), &Value::Null));
    assert_eq!(why["inbound"]["done"], json!(["Kept in the inbox."]));
    let message = came_in(&house, "Vote 7").await;
    let why = house.admin.get(&format!("/api/v1/messages/{}/why", message["id"].as_str().unwrap())).await;
    assert_eq!(why.expect(200)["inbound"]["keyword"], "Votes");
    let out = house.admin.get("/api/v1/messages?direction=out").await.expect(200);
    let answers: Vec<_> = out["items"].as_array().unwrap().iter().map(|one| one["from"].clone()).collect();
    assert_eq!(answers.len(), 2, "one answer each: {out}");
    assert!(answers.contains(&json!("10000")) && answers.contains(&json!("20000")));
    assert!(screen(&house, "33612345679").is_empty());
    house.stop().await;
}

#[tokio::test]
async fn stop_ends_marketing_and_start_begins_it_again() {
    let house = house().await;
    let rule = json!({ "opt_out": { "stop_text": "You get no more", "start_text": "Welcome back",
        "help_text": "Call +33 1 23 45 67 89", "stop_words": ["genug"] } });
    let new = json!({ "number": "10000", "rule": rule });
    house.admin.post("/api/v1/inbound-numbers", &new).await.expect(201);
    assert_eq!(marketing(&house, "10000").await.0, 202);
    write(&house, PHONE, "10000", "Arrêt !");
    house
        .until("it was confirmed", async || screen(&house, PHONE).contains(&"You get no more".to_owned()))
        .await;
    assert_eq!(marketing(&house, "ACME").await, (422, "recipient_opted_out".to_owned()));
    let password = json!({ "to": format!("+{PHONE}"), "from": "ACME", "text": "1234", "intent": "otp" });
    house.admin.post("/api/v1/messages", &password).await.expect(202);
    let listed = house.admin.get("/api/v1/opt-outs?phone=%2B33612345678").await.expect(200);
    let entry = &listed["items"][0];
    assert_eq!((&entry["scope"], &entry["word"]), (&json!("marketing"), &json!("Arrêt !")));
    assert_eq!((&entry["number"], &entry["source"]), (&json!("10000"), &json!("phone")));
    let audit = house.admin.get("/api/v1/audit?limit=200").await.expect(200).to_string();
    assert!(audit.contains("opt_out.added"), "{audit}");
    let check = json!({ "to": format!("+{PHONE}"), "from": "ACME", "intent": "marketing" });
    let check = house.admin.post("/api/v1/gates/check", &check).await.expect(200);
    assert_eq!(
        (&check["code"], &check["looked_at"][0]["gate"]),
        (&json!("recipient_opted_out"), &json!("opt_out"))
    );
    write(&house, PHONE, "10000", "help");
    house
        .until("help came", async || screen(&house, PHONE).iter().any(|text| text.starts_with("Call")))
        .await;
    write(&house, PHONE, "10000", "START");
    house.until("it is welcome", async || screen(&house, PHONE).contains(&"Welcome back".to_owned())).await;
    assert_eq!(marketing(&house, "ACME").await.0, 202);
    assert_eq!(house.admin.get("/api/v1/opt-outs").await.expect(200)["items"], json!([]));
    // A word of the tenant's own.
    write(&house, PHONE, "10000", "GENUG");
    house.until("it is heard", async || marketing(&house, "ACME").await.0 == 422).await;
    house.stop().await;
}

#[tokio::test]
async fn the_list_is_edited_imported_and_exported() {
    let house = House::start().await;
    let admin = &house.admin;
    let text = "phone,scope,number\n+33612345678,number,Acme\n+33612345679,all\nnobody\n";
    let imported = admin.post("/api/v1/opt-outs/import", &json!({ "text": text, "source": "crm" })).await;
    let imported = imported.expect(200);
    assert_eq!((&imported["added"], &imported["refused"][0]["line"]), (&json!(2), &json!(4)));
    assert_eq!(marketing(&house, "ACME").await.1, "recipient_opted_out");
    assert_eq!(marketing(&house, "Other").await.0, 202);
    let all = json!({ "to": "+33612345679", "from": "ACME", "text": "1234", "intent": "otp" });
    assert_eq!(admin.post("/api/v1/messages", &all).await.problem(), "recipient_opted_out");
    let (_, neighbour) = house.neighbour().await;
    assert_eq!(neighbour.get("/api/v1/opt-outs").await.expect(200)["items"], json!([]));
    let exported = admin.get("/api/v1/opt-outs/export").await;
    assert_eq!(exported.status, 200);
    assert!(exported.text.contains("+33612345678,number,acme,,crm,"), "{}", exported.text);
    let back = admin.post("/api/v1/opt-outs/import", &json!({ "text": exported.text })).await.expect(200);
    assert_eq!((&back["added"], &back["refused_count"]), (&json!(2), &json!(0)));
    let listed = admin.get("/api/v1/opt-outs?scope=all").await.expect(200);
    let id = listed["items"][0]["id"].as_str().unwrap();
    assert_eq!(admin.delete(&format!("/api/v1/opt-outs/{id}")).await.status, 204);
    assert_eq!(admin.post("/api/v1/messages", &all).await.status, 202);
    let wrong = admin.post("/api/v1/opt-outs", &json!({ "phone": "+33612345670", "scope": "number" })).await;
    assert_eq!((wrong.status, wrong.json()["at"].clone()), (422, json!("number")));
    house.stop().await;
}

#[tokio::test]
async fn both_directions_stand_in_one_thread() {
    let house = House::start().await;
    let admin = &house.admin;
    let sent = json!({ "to": format!("+{PHONE}"), "from": "10000", "text": "Are you coming?" });
    admin.post("/api/v1/messages", &sent).await.expect(202);
    house.until("it is on the phone", async || screen(&house, PHONE).len() == 1).await;
    assert_eq!(admin.get("/api/v1/conversations").await.expect(200)["items"], json!([]));
    assert_eq!(admin.get(&format!("/api/v1/conversations/{PHONE}")).await.status, 404);
    write(&house, PHONE, "10000", "At eight");
    write(&house, "33612345679", "10000", "Who is this?");
    came_in(&house, "At eight").await;
    came_in(&house, "Who is this?").await;
    let list = admin.get("/api/v1/conversations?limit=1").await.expect(200);
    assert_eq!((&list["items"][0]["unread"], &list["items"][0]["direction"]), (&json!(true), &json!("in")));
    let next = list["next"].as_str().unwrap();
    let second = admin.get(&format!("/api/v1/conversations?limit=1&after={next}")).await.expect(200);
    assert_ne!(list["items"][0]["phone"], second["items"][0]["phone"]);
    assert_eq!(second["next"], Value::Null);
    let at = format!("/api/v1/conversations/%2B{PHONE}");
    let answered = admin.post(&format!("{at}/reply"), &json!({ "text": "See you" })).await.expect(202);
    assert!(answered["id"].is_string());
    let thread = admin.get(&at).await.expect(200);
    let texts: Vec<_> =
        thread["items"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["See you", "At eight", "Are you coming?"]);
    assert_eq!(thread["items"][0]["from"], "10000", "from the number that the phone wrote to");
    let one = admin.get(&format!("{at}?limit=2")).await.expect(200);
    let rest = admin.get(&format!("{at}?limit=2&after={}", one["next"].as_str().unwrap())).await.expect(200);
    assert_eq!(rest["items"][0]["text"], "Are you coming?");
    assert_eq!(admin.post(&format!("{at}/read"), &json!({})).await.status, 204);
    let list = admin.get("/api/v1/conversations").await.expect(200);
    let of =
        |phone: &str| list["items"].as_array().unwrap().iter().find(|one| one["phone"] == phone).cloned();
    let read = of("+33612345678").unwrap();
    assert_eq!((&read["unread"], &read["text"]), (&json!(false), &json!("See you")));
    assert_eq!(of("+33612345679").unwrap()["unread"], json!(true));
    let (_, neighbour) = house.neighbour().await;
    assert_eq!(neighbour.get(&at).await.status, 404);
    house.stop().await;
}
