//! Rates: what an account or a connection may do in a second is kept within five percent over ten seconds, in parts, and who
//! is too fast gets all that it may have.

use std::time::{Duration, Instant};

use serde_json::json;
use smpp::{CommandId, Pdu, Sm, Status};
use testkit::customer::numbered;
use testkit::{Customer, House};

const RATE: u32 = 60;
const WINDOW: usize = 20;
const TIME: Duration = Duration::from_secs(10);

fn near(parts: u64, time: Duration) {
    let wanted = f64::from(RATE) * time.as_secs_f64();
    let share = parts as f64 / wanted;
    assert!((0.95..=1.05).contains(&share), "{parts} parts in {time:?} are {share:.3} of what is allowed");
}

/// A text of three parts.
fn long(number: u64) -> Pdu {
    let Pdu::SubmitSm(sm) = numbered(number) else { unreachable!("a submit_sm") };
    let mut long = Sm { short_message: Vec::new(), ..sm };
    let text = format!("ID{number} {}", "x".repeat(350));
    long.tlvs.set_message_payload(text.as_bytes()).unwrap();
    Pdu::SubmitSm(long)
}

/// Sends as fast as answers come, refusals or not, and counts the parts that were taken after the first second, when the
/// burst is used up.
async fn flood(house: &House, message: fn(u64) -> Pdu, parts: u64) -> (u64, u64, Duration) {
    let mut customer = Customer::bound(house.server.smpp, "fast", "secret12").await.unwrap();
    let window: Vec<Pdu> = (0..WINDOW as u64).map(message).collect();
    customer.say(&window).await.unwrap();
    let (mut number, mut taken, mut refused) = (WINDOW as u64, 0, 0);
    let mut from: Option<Instant> = None;
    let began = Instant::now();
    loop {
        let (header, _) = customer.hear().await.expect("an answer");
        if header.command_id != CommandId::SUBMIT_SM_RESP {
            customer.take(&header).await.unwrap();
            continue;
        }
        match from {
            Some(from) if from.elapsed() >= TIME => return (taken, refused, from.elapsed()),
            Some(_) if header.status == Status::ROK => taken += parts,
            Some(_) => refused += parts,
            None if began.elapsed() > Duration::from_secs(1) => from = Some(Instant::now()),
            None => {}
        }
        if header.status != Status::ROK {
            assert_eq!(header.status, Status::RTHROTTLED);
            // Who is refused asks again soon, but not at once: the answers would fill the line.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        customer.say(&[message(number)]).await.unwrap();
        number += 1;
    }
}

async fn account_is_held(message: fn(u64) -> Pdu, parts: u64) {
    let house = House::start().await;
    let new = json!({ "system_id": "fast", "password": "secret12", "settings": { "window_max": WINDOW, "throughput": RATE } });
    house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let (taken, refused, time) = flood(&house, message, parts).await;
    near(taken, time);
    assert!(refused > 0, "it was too fast");
    house.stop().await;
}

#[tokio::test]
async fn an_account_that_is_too_fast_gets_its_rate() {
    account_is_held(numbered, 1).await;
}

#[tokio::test]
async fn an_accounts_rate_counts_parts() {
    account_is_held(long, 3).await;
}

#[tokio::test]
async fn a_connection_keeps_its_rate_in_parts() {
    let house = House::start().await;
    let carrier = house.server.simulator.clone().unwrap();
    let connection = house.admin.get("/api/v1/connections").await.json()["items"][0]["id"].clone();
    let path = format!("/api/v1/connections/{}", connection.as_str().unwrap());
    house.admin.send("PATCH", &path, &json!({ "settings": { "throughput": RATE } })).await.expect(200);
    let text = "x".repeat(350);
    let messages: Vec<_> =
        (0..400).map(|n| json!({ "to": format!("+336{n:08}"), "text": format!("ID{n} {text}") })).collect();
    house.admin.post("/api/v1/messages/batch", &json!({ "messages": messages })).await.expect(202);
    house.until("it has begun", async || carrier.counts().accepted > u64::from(RATE)).await;
    let (before, from) = (carrier.counts().accepted, Instant::now());
    tokio::time::sleep(TIME).await;
    near(carrier.counts().accepted - before, from.elapsed());
    house.stop().await;
}

#[tokio::test]
async fn a_sender_and_a_phone_keep_their_rates_and_others_pass_them() {
    let house = House::start().await;
    let carrier = house.server.simulator.clone().unwrap();
    let connection = house.admin.get("/api/v1/connections").await.json()["items"][0]["id"].clone();
    let path = format!("/api/v1/connections/{}", connection.as_str().unwrap());
    let rates = json!({ "settings": { "sender_per_second": 4, "recipient_every_ms": 2_000 } });
    house.admin.send("PATCH", &path, &rates).await.expect(200);
    let began = Instant::now();
    let slow = (0..10).map(|n| json!({ "from": "ACME", "to": format!("+33612345{n:03}"), "text": "slow" }));
    let same = (0..3).map(|n| json!({ "from": format!("S{n}"), "to": "+33700000001", "text": "same" }));
    let free =
        (0..40).map(|n| json!({ "from": format!("F{n}"), "to": format!("+33622345{n:03}"), "text": "free" }));
    let messages: Vec<_> = slow.chain(same).chain(free).collect();
    house.admin.post("/api/v1/messages/batch", &json!({ "messages": messages })).await.expect(202);
    // One of the sender, one to the phone, and all of the others.
    house.until("the others have left", async || carrier.counts().accepted >= 42).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let queue = house.admin.get("/api/v1/queue").await.expect(200);
    let held = queue["connections"].as_array().unwrap().iter().find(|one| one["connection"] == connection);
    assert!(held.unwrap()["held_back"].as_u64() >= Some(5), "{queue}");
    house.until("all have left", async || carrier.counts().accepted == 53).await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(3_900), "two rests of two seconds, and nine quarters: {took:?}");
    // Without the rates what waits leaves at once.
    let messages: Vec<_> = (0..30)
        .map(|n| json!({ "from": "ACME", "to": format!("+33632345{n:03}"), "text": "slow" }))
        .collect();
    house.admin.post("/api/v1/messages/batch", &json!({ "messages": messages })).await.expect(202);
    let none = json!({ "settings": { "sender_per_second": 0, "recipient_every_ms": 0 } });
    house.admin.send("PATCH", &path, &none).await.expect(200);
    let began = Instant::now();
    house.until("the rest has left", async || carrier.counts().accepted == 83).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    house.stop().await;
}
