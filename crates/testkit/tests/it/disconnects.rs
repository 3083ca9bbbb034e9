//! Customers that leave in the middle of a window: what was answered goes out once, receipts wait for the next bind.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;
use smpp::{CommandId, Header, Pdu, Status};
use testkit::customer::{numbered, receipted};
use testkit::{Customer, House};

const WINDOW: u64 = 60;
const PASSWORD: &str = "secret12";

/// What a customer learnt over all its binds.
#[derive(Default)]
struct Learnt {
    /// Numbers of messages that were answered, by their ids.
    answered: HashMap<String, u64>,
    /// How often each receipt came, by the message's id.
    receipts: HashMap<String, u32>,
    /// Receipts that were taken over.
    taken: HashSet<String>,
}

impl Learnt {
    /// Notes what came; an answer tells of the message that was sent under its number. True for an answer.
    fn note(&mut self, header: &Header, pdu: &Pdu, first: (u32, u64)) -> bool {
        match pdu {
            Pdu::SubmitSmResp(response) => {
                assert_eq!(header.status, Status::ROK);
                let number = first.1 + u64::from(header.sequence - first.0);
                let new = self.answered.insert(response.message_id.as_str().into_owned(), number);
                assert_eq!(new, None, "an id is given once");
                true
            }
            Pdu::DeliverSm(_) => {
                let id = receipted(pdu).expect("a receipt");
                assert!(!self.taken.contains(&id), "a receipt that was taken over does not come again");
                *self.receipts.entry(id).or_default() += 1;
                false
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn house() -> House {
    let house = House::start_with(|config| config.simulator.receipt_delay_ms = 20).await;
    let settings = json!({ "window_max": WINDOW, "throughput": 0 });
    let new = json!({ "system_id": "leaver", "password": PASSWORD, "settings": settings });
    house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    house
}

async fn bound(house: &House) -> Customer {
    Customer::bound(house.server.smpp, "leaver", PASSWORD).await.unwrap()
}

/// Binds, sends a window, waits for some answers and breaks the connection: by a reset, or after its last word was sent.
async fn visit(house: &House, learnt: &mut Learnt, from: u64, answers: u64, reset: bool) {
    let mut customer = bound(house).await;
    let window: Vec<Pdu> = (from..from + WINDOW).map(numbered).collect();
    let first = (customer.say(&window).await.unwrap(), from);
    let mut answered = 0;
    while answered < answers {
        let (header, pdu) = customer.hear().await.expect("an answer");
        if learnt.note(&header, &pdu, first) {
            answered += 1;
        } else if answered % 2 == 0 && !reset {
            // A reset may overtake our answer.
            customer.take(&header).await.unwrap();
            learnt.taken.extend(receipted(&pdu));
        }
    }
    if reset {
        customer.socket.set_zero_linger().unwrap();
    } else {
        tokio::io::AsyncWriteExt::shutdown(&mut customer.socket).await.unwrap();
        while customer.hear().await.is_some() {}
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_mid_window_loses_and_doubles_nothing() {
    let house = house().await;
    let carrier = house.server.simulator.clone().unwrap();
    let mut learnt = Learnt::default();
    let visits = 12;
    for visited in 0..visits {
        visit(&house, &mut learnt, visited * WINDOW, visited * 5, visited % 2 == 0).await;
    }
    let sums = || async { house.admin.get("/api/v1/messages/sums").await.expect(200) };
    house
        .until("all that was accepted is delivered", async || {
            let sums = sums().await;
            assert_eq!(sums["balanced"], true, "{sums}");
            let delivered = sums["states"].as_array().unwrap().iter().find(|one| one["name"] == "delivered");
            delivered.is_some_and(|delivered| delivered["n"] == sums["accepted"])
        })
        .await;
    let accepted = sums().await["accepted"].as_u64().unwrap();
    let seen = carrier.seen();
    assert_eq!((seen.distinct, seen.repeated), (accepted, 0), "each of the accepted goes out once");
    let never: HashSet<u64> = carrier.missing(0..visits * WINDOW).into_iter().collect();
    let lost: Vec<_> = learnt.answered.values().filter(|number| never.contains(number)).collect();
    assert!(lost.is_empty() && learnt.answered.len() >= 300, "answered and lost: {lost:?}");

    // Whoever binds next gets what is left, and nothing that was taken over.
    let mut customer = bound(&house).await;
    while (learnt.receipts.len() as u64) < accepted {
        let (header, pdu) = customer.hear().await.expect("a receipt");
        learnt.note(&header, &pdu, (0, 0));
        learnt.taken.extend(receipted(&pdu));
        customer.take(&header).await.unwrap();
    }
    let unknown: Vec<_> = learnt.answered.keys().filter(|id| !learnt.receipts.contains_key(*id)).collect();
    assert!(unknown.is_empty(), "answered and without a receipt: {unknown:?}");
    // Receipts that came on a broken connection and were not taken over come again.
    while let Some((header, pdu)) = customer.hear_within(Duration::from_millis(500)).await {
        learnt.note(&header, &pdu, (0, 0));
        customer.take(&header).await.unwrap();
    }
    drop(customer);
    house.stop().await;
}

#[tokio::test]
async fn an_unbind_in_mid_window_is_answered_last() {
    let house = house().await;
    let carrier = house.server.simulator.clone().unwrap();
    let mut learnt = Learnt::default();
    for visited in 0..5 {
        let mut customer = bound(&house).await;
        let from = visited * WINDOW;
        let window: Vec<Pdu> = (from..from + WINDOW).map(numbered).chain([Pdu::Unbind]).collect();
        let first = (customer.say(&window).await.unwrap(), from);
        let mut answers = 0;
        loop {
            let (header, pdu) = customer.hear().await.expect("the answer to the unbind");
            if header.command_id == CommandId::UNBIND_RESP {
                break;
            }
            answers += u64::from(learnt.note(&header, &pdu, first));
        }
        assert_eq!(answers, WINDOW, "everything before the unbind is answered before it");
        assert!(customer.hear().await.is_none(), "and then the connection is closed");
    }
    learnt.receipts.clear();
    let mut customer = bound(&house).await;
    while learnt.taken.len() < learnt.answered.len() {
        let (header, pdu) = customer.hear().await.expect("a receipt");
        learnt.note(&header, &pdu, (0, 0));
        learnt.taken.extend(receipted(&pdu));
        customer.take(&header).await.unwrap();
    }
    assert!(learnt.receipts.values().all(|times| *times == 1), "{:?}", learnt.receipts);
    assert!(customer.hear_within(Duration::from_millis(300)).await.is_none(), "no receipt is left");
    let seen = carrier.seen();
    assert_eq!((seen.distinct, seen.repeated), (5 * WINDOW, 0));
    drop(customer);
    house.stop().await;
}
