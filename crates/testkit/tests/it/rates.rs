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
