//! What carriers say beside their receipts: answers to query_sm, acknowledgements of phones; and what is kept of it all.

use std::time::Duration;

use runtime::{Clock, Tasks};
use serde_json::{Value, json};
use simulator::smsc::{Delay, ErrorShare, Settings, Smsc};
use smpp::{Address, EsmClass, Pdu, RegisteredDelivery, Sm};
use testkit::{Customer, House};

/// The program with one connection, whose carrier sends no receipts.
struct Silent {
    house: House,
    centre: Smsc,
    tasks: Tasks,
}

impl Silent {
    async fn over(centre: Settings, more: Value) -> Self {
        Self::as_it_is(Settings { no_receipt_percent: 100.0, ..centre }, more).await
    }

    /// With a carrier that does as it is told.
    async fn as_it_is(centre: Settings, more: Value) -> Self {
        let tasks = Tasks::new();
        let centre = Smsc::start(centre, &tasks, Clock::system()).await.unwrap();
        let house = House::start_with(|config| config.simulator.enabled = false).await;
        let mut settings = json!({ "host": "127.0.0.1", "port": centre.address().port(), "system_id": "us" });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let new = json!({ "name": "Carrier", "password": "secret", "settings": settings });
        let connection = house.admin.post("/api/v1/connections", &new).await.expect(201);
        let route = json!({ "name": "All", "rule": { "targets": [connection["id"]] } });
        house.admin.post("/api/v1/routes", &route).await.expect(201);
        let path = format!("/api/v1/connections/{}", connection["id"].as_str().unwrap());
        house
            .until("the connection is bound", async || {
                house.admin.get(&path).await.expect(200)["status"]["state"] == "bound"
            })
            .await;
        Self { house, centre, tasks }
    }

    /// Sends a text and waits until the carrier has it. Gives the message's path.
    async fn sent(&self, text: &str) -> String {
        let message = json!({ "to": "33600000001", "from": "SHOP", "text": text });
        let accepted = self.house.admin.post("/api/v1/messages", &message).await.expect(202);
        let path = format!("/api/v1/messages/{}", accepted["id"].as_str().unwrap());
        self.until(&path, "sent").await;
        path
    }

    async fn until(&self, path: &str, state: &str) {
        let what = format!("{path} is {state}");
        let get = async || self.house.admin.get(path).await.expect(200)["state"] == state;
        self.house.until(&what, get).await;
    }

    /// What the carrier said each time it was asked for a message.
    async fn said(&self, path: &str) -> Vec<String> {
        let steps = self.house.admin.get(&format!("{path}/timeline")).await.expect(200);
        let asked = steps.as_array().unwrap().iter().filter(|step| step["what"] == "asked");
        asked.map(|step| step["detail"].as_str().unwrap().to_owned()).collect()
    }

    async fn stop(self) {
        self.house.stop().await;
        self.tasks.stop(Duration::from_secs(1)).await;
    }
}

const OFTEN: fn() -> Value = || json!({ "query_after_s": 1, "query_every_s": 1, "query_times": 100 });

#[tokio::test]
async fn a_receipt_that_stays_away_is_asked_for() {
    let silent = Silent::over(Settings::default(), OFTEN()).await;
    let short = silent.sent("hello").await;
    let long = silent.sent(&"x".repeat(400)).await;
    silent.until(&short, "delivered").await;
    silent.until(&long, "delivered").await;
    assert!(silent.said(&short).await[0].starts_with("DELIVRD, final date "));
    assert_eq!(silent.said(&long).await.len(), 3, "each part was asked for");
    silent.centre.change(|settings| settings.undelivered_percent = 100.0);
    let failed = silent.sent("hello").await;
    silent.until(&failed, "failed").await;
    assert!(silent.said(&failed).await[0].starts_with("UNDELIV, error 1, final date "));
    let sums = silent.house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["balanced"], true);
    silent.stop().await;
}

#[tokio::test]
async fn what_is_on_its_way_is_asked_for_again_and_no_more_often_than_allowed() {
    let centre = Settings { receipt_delay: Delay::of_ms(600_000), ..Settings::default() };
    let silent =
        Silent::over(centre, json!({ "query_after_s": 1, "query_every_s": 2, "query_times": 2 })).await;
    let path = silent.sent("hello").await;
    silent.house.until("it was asked twice", async || silent.said(&path).await.len() == 2).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(silent.said(&path).await, ["ENROUTE", "ENROUTE"]);
    silent.until(&path, "sent").await;
    silent.stop().await;
}

#[tokio::test]
async fn a_person_asks_and_sees_the_carriers_words() {
    let centre = Settings { receipt_delay: Delay::of_ms(1_000), ..Settings::default() };
    let silent = Silent::over(centre, json!({})).await;
    let path = silent.sent("hello").await;
    let ask = format!("{path}/query");
    let told = silent.house.admin.post(&ask, &json!({})).await.expect(200);
    assert_eq!(
        (&told["parts"][0]["state"], &told["parts"][0]["words"]),
        (&json!("ENROUTE"), &json!("ENROUTE"))
    );
    assert_eq!(told["message"]["state"], "sent");
    let told = async || silent.house.admin.post(&ask, &json!({})).await.expect(200);
    silent.house.until("it arrived", async || told().await["message"]["state"] == "delivered").await;
    let told = told().await;
    assert_eq!(
        (&told["parts"][0]["state"], told["parts"][0]["final_date"].is_string()),
        (&json!("DELIVRD"), true)
    );
    // A carrier that forgets what it took: nobody can say any more.
    silent.centre.change(|settings| (settings.remembered, settings.pending_max) = (0, 1));
    let forgotten = silent.sent("hello").await;
    silent.sent("another").await;
    let ask = format!("{forgotten}/query");
    let told = silent.house.admin.post(&ask, &json!({})).await.expect(200);
    assert_eq!(told["parts"][0]["words"], "ESME_RQUERYFAIL (query_sm failed)", "{told}");
    assert_eq!(told["parts"][0]["state"], Value::Null);
    silent.until(&forgotten, "sent").await;
    let (_, neighbour) = silent.house.neighbour().await;
    assert_eq!(neighbour.post(&ask, &json!({})).await.status, 404);
    let viewer = silent.house.key(&["message.view"]).await;
    assert_eq!(viewer.post(&ask, &json!({})).await.status, 403);
    silent.stop().await;
}

#[tokio::test]
async fn what_goes_over_the_wire_is_told_where_it_is_kept() {
    let slow =
        Settings { latency: Delay::of_ms(30), receipt_delay: Delay::of_ms(200), ..Settings::default() };
    for keeps in [true, false] {
        let carried = Silent::as_it_is(slow.clone(), json!({ "keep_pdus": keeps })).await;
        let path = carried.sent("hello").await;
        carried.until(&path, "delivered").await;
        let steps = carried.house.admin.get(&format!("{path}/timeline")).await.expect(200);
        let step =
            |what: &str| steps.as_array().unwrap().iter().find(|step| step["what"] == what).unwrap().clone();
        let (sent, delivered) = (step("sent"), step("delivered"));
        assert!(delivered["took_ms"].as_f64().is_some_and(|ms| ms >= 150.0), "{delivered}");
        let pdus = carried.house.admin.get(&format!("{path}/pdus")).await.expect(200);
        assert_eq!(pdus.as_array().unwrap().len(), 1);
        assert_eq!(pdus[0]["at"].is_string(), keeps, "{pdus}");
        let octets = hex(pdus[0]["hex"].as_str().unwrap());
        let (_, pdu) = smpp::decode(&octets, smpp::Mode::Strict).unwrap();
        assert!(matches!(pdu, Pdu::SubmitSm(sm) if sm.short_message == b"hello"));
        if keeps {
            assert_eq!((&sent["bind"], &pdus[0]["bind"]), (&json!(1), &json!(1)));
            assert!(sent["took_ms"].as_f64().is_some_and(|ms| ms >= 25.0), "{sent}");
            let raw = delivered["raw"].as_str().unwrap();
            assert!(
                raw.contains("stat:DELIVRD") && raw.contains(sent["provider_id"].as_str().unwrap()),
                "{raw}"
            );
            // A refusal is an attempt that left too.
            let refuses = ErrorShare { status: smpp::Status::RINVDSTADR.0, percent: 100.0 };
            carried.centre.change(|settings| settings.errors = vec![refuses]);
            let message = json!({ "to": "33600000002", "from": "SHOP", "text": "no" });
            let refused = carried.house.admin.post("/api/v1/messages", &message).await.expect(202);
            let path = format!("/api/v1/messages/{}", refused["id"].as_str().unwrap());
            carried.until(&path, "rejected").await;
            let steps = carried.house.admin.get(&format!("{path}/timeline")).await.expect(200);
            let tried = steps.as_array().unwrap().iter().find(|step| step["what"] == "attempted").unwrap();
            assert_eq!((tried["took_ms"].is_number(), &tried["bind"]), (true, &json!(1)), "{tried}");
        } else {
            assert_eq!(
                (&sent["bind"], &sent["took_ms"], &delivered["raw"]),
                (&Value::Null, &Value::Null, &Value::Null)
            );
        }
        carried.stop().await;
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn a_phones_acknowledgement_reaches_who_asked_for_it() {
    let carried = Silent::as_it_is(Settings::default(), json!({})).await;
    let new = json!({ "system_id": "acks", "password": "secret12" });
    carried.house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    let mut customer = Customer::bound(carried.house.server.smpp, "acks", "secret12").await.unwrap();
    // The final outcome and the phone's own acknowledgement, or nothing at all.
    let submit = |registered: u8| {
        Pdu::SubmitSm(Sm {
            source: Address::alphanumeric("SHOP"),
            destination: Address::international("33600000001"),
            registered_delivery: RegisteredDelivery(registered),
            short_message: b"hello".to_vec(),
            ..Sm::default()
        })
    };
    let mut ids = Vec::new();
    for registered in [0x04, 0x00] {
        customer.say(&[submit(registered)]).await.unwrap();
        let Some((_, Pdu::SubmitSmResp(answer))) = customer.hear().await else { panic!("no answer") };
        ids.push(answer.message_id);
    }
    for id in &ids {
        let id = format!("msg_{}", id.as_str());
        let path = format!("/api/v1/messages/{id}");
        carried.until(&path, "delivered").await;
        let steps = carried.house.admin.get(&format!("{path}/timeline")).await.expect(200);
        let sent = steps.as_array().unwrap().iter().find(|step| step["what"] == "sent").unwrap().clone();
        let mut ack = Sm {
            source: Address::international("33600000001"),
            destination: Address::alphanumeric("SHOP"),
            esm_class: EsmClass(0x08),
            short_message: b"read it".to_vec(),
            ..Sm::default()
        };
        ack.tlvs.set_receipted_message_id(&sent["provider_id"].as_str().unwrap().into()).unwrap();
        carried.centre.inject(ack.clone());
        // One of a person, that this message did not ask for.
        carried.centre.inject(Sm { esm_class: EsmClass(0x10), ..ack });
        let told = async || {
            let steps = carried.house.admin.get(&format!("{path}/timeline")).await.expect(200);
            let told = steps.as_array().unwrap().iter().filter(|step| step["what"] == "acknowledged");
            told.map(|step| step["detail"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        carried.house.until("both are told", async || told().await.len() == 2).await;
        assert!(told().await.contains(&"by the phone: read it".to_owned()), "{:?}", told().await);
        assert!(told().await.contains(&"by its owner: read it".to_owned()));
        assert_eq!(carried.house.admin.get(&path).await.expect(200)["state"], "delivered");
    }
    let Some((header, Pdu::DeliverSm(sm))) = customer.hear().await else { panic!("no deliver_sm") };
    customer.take(&header).await.unwrap();
    assert_eq!((sm.esm_class, sm.short_message.as_slice()), (EsmClass(0x08), b"read it".as_slice()));
    assert_eq!(sm.tlvs.receipted_message_id().unwrap().as_bytes(), ids[0].as_bytes());
    assert!(customer.hear_within(Duration::from_secs(1)).await.is_none(), "nobody asked for more");
    let inbound = carried.house.admin.get("/api/v1/messages?direction=in").await.expect(200);
    assert_eq!(inbound["items"], json!([]), "an acknowledgement is no message");
    carried.stop().await;
}
