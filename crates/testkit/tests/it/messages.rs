//! The vertical: accepted, durable, routed, handed over, receipted, seen.

use serde_json::{Value, json};
use testkit::House;

async fn until_ended(house: &House, id: &str) -> Value {
    house
        .until("the message ended", async || {
            house.admin.get(&format!("/api/v1/messages/{id}")).await.json()["done_at"].is_string()
        })
        .await;
    house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200)
}

/// A PDU as the API shows it.
fn pdu_of(shown: &Value) -> smpp::Pdu {
    let hex = shown["hex"].as_str().unwrap();
    let octets: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    smpp::decode(&octets, smpp::Mode::Strict).unwrap().1
}

#[tokio::test]
async fn a_message_is_delivered_and_explains_itself() {
    let house = House::start().await;
    let accepted = house
        .admin
        .post("/api/v1/messages", &json!({ "to": "+33612345678", "from": "ACME", "text": "Hello ID7 {€}", "client_ref": "order 7" }))
        .await
        .expect(202);
    assert_eq!((&accepted["parts"], &accepted["encoding"]), (&json!(1), &json!("gsm7")));
    let id = accepted["id"].as_str().unwrap();
    let message = until_ended(&house, id).await;
    assert_eq!(message["state"], "delivered");
    assert_eq!(message["client_ref"], "order 7");

    let timeline = house.admin.get(&format!("/api/v1/messages/{id}/timeline")).await.expect(200);
    let steps: Vec<_> =
        timeline.as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert_eq!(steps, ["accepted", "sent", "delivered"]);
    assert!(timeline[1]["provider_id"].is_string());

    let why = house.admin.get(&format!("/api/v1/messages/{id}/why")).await.expect(200);
    assert_eq!(why["then"], why["now"]);
    assert_eq!(why["now"][0]["name"], "Everything");

    let pdus = house.admin.get(&format!("/api/v1/messages/{id}/pdus")).await.expect(200);
    assert_eq!(pdus.as_array().unwrap().len(), 1);
    let smpp::Pdu::SubmitSm(sm) = pdu_of(&pdus[0]) else { panic!("a submit_sm") };
    // Braces and the euro sign are two septets each in the GSM alphabet.
    assert_eq!(sm.short_message, b"Hello ID7 \x1b\x28\x1b\x65\x1b\x29");

    let phones = house.server.simulator.as_ref().unwrap().phones();
    assert_eq!(phones.screen("33612345678")[0].text, "Hello ID7 {€}");
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!((&sums["balanced"], &sums["accepted"]), (&json!(true), &json!(1)));
    house.stop().await;
}

#[tokio::test]
async fn octets_go_out_with_their_header_and_scheme() {
    let house = House::start().await;
    let send = async |body: Value| {
        let mut whole = json!({ "to": "+33612345678", "from": "10000" });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        house.admin.post("/api/v1/messages", &whole).await
    };
    // Application port addressing, 16 bits: 05 04 0B84 23F0.
    let header = "BgUEC4Qj8A==";
    let pushed =
        json!({ "binary": "AQID", "udh": header, "data_coding": 245, "protocol_id": 64, "priority": 3 });
    let id = send(pushed).await.expect(202)["id"].as_str().unwrap().to_owned();
    until_ended(&house, &id).await;
    let pdus = house.admin.get(&format!("/api/v1/messages/{id}/pdus")).await.expect(200);
    let smpp::Pdu::SubmitSm(sm) = pdu_of(&pdus[0]) else { panic!("a submit_sm") };
    assert_eq!(sm.short_message, [6, 5, 4, 0x0B, 0x84, 0x23, 0xF0, 1, 2, 3]);
    let told = (sm.esm_class.udhi(), sm.data_coding.0, sm.protocol_id, sm.priority_flag);
    assert_eq!(told, (true, 245, 64, 3));
    for (body, code, at) in [
        (json!({ "text": "no", "udh": header }), "invalid_value", "udh"),
        (json!({ "text": "no", "data_coding": 4 }), "invalid_value", "data_coding"),
        (json!({ "binary": "AQID", "data_coding": 8 }), "invalid_value", "data_coding"),
        (json!({ "binary": "AQID", "udh": "BwUEC4Qj8A==" }), "invalid_binary", "udh"),
        (json!({ "binary": "", "udh": header }), "invalid_binary", "binary"),
        (json!({ "text": "no", "priority": 4 }), "invalid_value", "priority"),
    ] {
        let refused = send(body.clone()).await;
        let told = refused.json();
        assert_eq!(
            (refused.status, &told["code"], &told["at"]),
            (422, &json!(code), &json!(at)),
            "{body}: {told}"
        );
    }
    house.stop().await;
}

#[tokio::test]
async fn the_reasons_are_those_of_the_decision() {
    let house = House::start().await;
    let connection = house.admin.get("/api/v1/connections").await.json()["items"][0]["id"].clone();
    let rule = json!({ "sender": "OTHER", "targets": [connection] });
    let others = json!({ "name": "Others first", "priority": 500, "rule": rule });
    let route =
        house.admin.post("/api/v1/routes", &others).await.expect(201)["id"].as_str().unwrap().to_owned();
    let message = json!({ "to": "+33612345678", "from": "ACME", "text": "Hello" });
    let accepted = house.admin.post("/api/v1/messages", &message).await.expect(202);
    let why = format!("/api/v1/messages/{}/why", accepted["id"].as_str().unwrap());

    let then = house.admin.get(&why).await.expect(200)["then"].clone();
    assert_eq!(
        (then[0]["verdict"].as_str(), then[1]["verdict"].as_str()),
        (Some("other_sender"), Some("takes"))
    );
    assert_eq!(then[0]["why"], "It is for the sender OTHER; this message is from ACME.");

    let patch = json!({ "rule": { "sender": null } });
    house.admin.send("PATCH", &format!("/api/v1/routes/{route}"), &patch).await.expect(200);
    let changed = house.admin.get(&why).await.expect(200);
    assert_eq!(changed["then"][0]["why"], "It was for other senders. The rule has been changed since.");
    assert_eq!(changed["then"][1], then[1]);
    assert_eq!((changed["now"][0]["verdict"].as_str(), &changed["now"][1]), (Some("takes"), &Value::Null));

    house.admin.delete(&format!("/api/v1/routes/{route}")).await.expect(204);
    let gone = house.admin.get(&why).await.expect(200);
    assert_eq!(gone["then"][0]["why"], "It was for other senders. The rule has been deleted since.");
    assert_eq!(gone["route"], gone["then"][1]["route"]);
    house.stop().await;
}

#[tokio::test]
async fn long_messages_and_other_alphabets_arrive_whole() {
    let house = House::start().await;
    let phones = house.server.simulator.as_ref().unwrap().phones();
    let long_gsm = "Seven bits are enough for this text, which goes on and on. ".repeat(8);
    let arabic = "مرحبا بالعالم ".repeat(20);
    for (number, text, parts, encoding) in [
        ("33600000001", long_gsm.trim(), 4, "gsm7"),
        ("33600000002", arabic.trim(), 5, "ucs2"),
        ("33600000003", "👋🏽 hello", 1, "ucs2"),
    ] {
        let accepted =
            house.admin.post("/api/v1/messages", &json!({ "to": number, "text": text })).await.expect(202);
        assert_eq!((&accepted["parts"], &accepted["encoding"]), (&json!(parts), &json!(encoding)), "{text}");
        let message = until_ended(&house, accepted["id"].as_str().unwrap()).await;
        assert_eq!(message["state"], "delivered");
        assert_eq!(phones.screen(number)[0].text, text);
    }
    house.stop().await;
}

#[tokio::test]
async fn a_batch_answers_for_each_message() {
    let house = House::start().await;
    let batch = json!({ "messages": [
        { "to": "+33612345678", "text": "one" },
        { "to": "nobody", "text": "two" },
        { "to": "+33612345679", "text": "three", "intent": "marketing" },
    ]});
    let results = house.admin.post("/api/v1/messages/batch", &batch).await.expect(202);
    let results = results["results"].as_array().unwrap();
    assert!(results[0]["id"].is_string() && results[2]["id"].is_string());
    assert_eq!(results[1]["error"]["code"], "invalid_recipient");
    assert_eq!(results[1]["error"]["at"], "messages[1].to");
    until_ended(&house, results[2]["id"].as_str().unwrap()).await;
    house.stop().await;
}

#[tokio::test]
async fn a_scheduled_message_waits_and_can_be_taken_back() {
    let house = House::start().await;
    let at = house.server.runtime.clock.now().plus_ms(3_600_000);
    let body = json!({ "to": "+33612345678", "text": "later", "schedule_at": at });
    let accepted = house.admin.post("/api/v1/messages", &body).await.expect(202);
    let id = accepted["id"].as_str().unwrap();
    assert_eq!(accepted["state"], "scheduled");
    let cancelled = house.admin.post(&format!("/api/v1/messages/{id}/cancel"), &json!({})).await.expect(200);
    assert_eq!(cancelled["state"], "cancelled");
    let again = house.admin.post(&format!("/api/v1/messages/{id}/cancel"), &json!({})).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "not_cancellable"));
    let soon = house.server.runtime.clock.now().plus_ms(1_200);
    let body = json!({ "to": "+33612345678", "text": "soon", "schedule_at": soon });
    let accepted = house.admin.post("/api/v1/messages", &body).await.expect(202);
    let message = until_ended(&house, accepted["id"].as_str().unwrap()).await;
    assert_eq!(message["state"], "delivered");
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["balanced"], true, "{sums}");
    house.stop().await;
}

#[tokio::test]
async fn a_refusing_carrier_is_tried_again_and_a_refusal_for_good_ends_the_message() {
    let house = House::start_with(|config| {
        config.messaging.retry_min_ms = 200;
        config.messaging.retry_max_ms = 400;
    })
    .await;
    let simulator = house.server.simulator.clone().unwrap();
    simulator.change(|settings| {
        settings.errors =
            vec![simulator::smsc::ErrorShare { status: smpp::Status::RSYSERR.0, percent: 100.0 }];
    });
    let accepted = house
        .admin
        .post("/api/v1/messages", &json!({ "to": "+33612345678", "text": "again" }))
        .await
        .expect(202);
    let id = accepted["id"].as_str().unwrap().to_owned();
    house
        .until("it was tried", async || {
            house.admin.get(&format!("/api/v1/messages/{id}")).await.json()["attempts"].as_u64().unwrap_or(0)
                >= 1
        })
        .await;
    simulator.change(|settings| settings.errors = Vec::new());
    let message = until_ended(&house, &id).await;
    assert_eq!(message["state"], "delivered");
    assert!(message["attempts"].as_u64().unwrap() >= 2);

    simulator.change(|settings| {
        settings.errors =
            vec![simulator::smsc::ErrorShare { status: smpp::Status::RINVDSTADR.0, percent: 100.0 }];
    });
    let accepted = house
        .admin
        .post("/api/v1/messages", &json!({ "to": "+33612345678", "text": "never" }))
        .await
        .expect(202);
    let message = until_ended(&house, accepted["id"].as_str().unwrap()).await;
    assert_eq!((&message["state"], &message["error"]), (&json!("rejected"), &json!("ESME_RINVDSTADR")));
    house.stop().await;
}

#[tokio::test]
async fn a_reply_from_a_phone_is_stored_and_seen() {
    let house = House::start().await;
    let phones = house.server.simulator.as_ref().unwrap().phones();
    let long = "A long answer from a phone, in several parts. ".repeat(8);
    phones.reply("33612345678", "10000", "STOP it").unwrap();
    phones.reply("33612345678", "10000", long.trim()).unwrap();
    house
        .until("both came in", async || {
            let list = house.admin.get("/api/v1/messages?direction=in").await.json();
            list["items"].as_array().is_some_and(|items| items.len() == 2)
        })
        .await;
    let list = house.admin.get("/api/v1/messages?direction=in").await.expect(200);
    let texts: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert!(texts.contains(&"STOP it") && texts.contains(&long.trim()), "{texts:?}");
    house.stop().await;
}

/// What went over the wire for a message of one part.
async fn on_the_wire(house: &House, id: &str) -> smpp::Sm {
    let pdus = house.admin.get(&format!("/api/v1/messages/{id}/pdus")).await.expect(200);
    let hex = pdus[0]["hex"].as_str().unwrap();
    let octets: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    match smpp::decode(&octets, smpp::Mode::Strict).unwrap().1 {
        smpp::Pdu::SubmitSm(sm) => sm,
        _ => panic!("a submit_sm"),
    }
}

#[tokio::test]
async fn a_sender_chooses_alphabet_class_and_plain_characters() {
    let house = House::start().await;
    let send = async |more: Value| {
        let mut message = json!({ "to": "+33612345678", "text": "“Hello”" });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        house.admin.post("/api/v1/messages", &message).await
    };
    let accepted = async |more: Value| send(more).await.expect(202)["id"].as_str().unwrap().to_owned();
    let flash = on_the_wire(&house, &accepted(json!({ "flash": true, "replace": true })).await).await;
    assert_eq!((flash.data_coding.0, flash.short_message.as_slice()), (0x10, &b"\"Hello\""[..]));
    let wide = on_the_wire(&house, &accepted(json!({ "flash": true })).await).await;
    assert_eq!((wide.data_coding.0, wide.short_message.len()), (0x18, 14));
    let forced = on_the_wire(&house, &accepted(json!({ "text": "plain", "encoding": "ucs2" })).await).await;
    assert_eq!((forced.data_coding.0, forced.short_message.len()), (8, 10));
    let refused = send(json!({ "encoding": "gsm7" })).await;
    assert_eq!((refused.status, refused.json()["at"].as_str()), (422, Some("encoding")));
    assert!(refused.text.contains('“'), "it names the character: {}", refused.text);
    house.stop().await;
}

#[tokio::test]
async fn a_quote_tells_what_a_message_would_take_and_sends_nothing() {
    let house = House::start().await;
    let message = json!({ "to": "+33612345678", "text": "Don’t wait" });
    let quote = house.admin.post("/api/v1/messages/quote", &message).await.expect(200);
    assert_eq!((&quote["parts"], &quote["encoding"]), (&json!(1), &json!("ucs2")));
    assert_eq!(quote["forcing"], json!([{ "at": 3, "character": "’" }]));
    assert_eq!(quote["replacements"], json!([{ "at": 3, "from": "’", "to": "'" }]));
    assert_eq!(quote["gates"]["verdict"], "accepted");
    assert!(quote["route"].is_string() && quote["connection"].is_string(), "{quote}");
    let batch = json!({ "messages": [message, { "to": "nobody", "text": "x" }] });
    let quotes = house.admin.post("/api/v1/messages/batch/quote", &batch).await.expect(200);
    assert_eq!(quotes["results"][0]["parts"], 1);
    assert_eq!(quotes["results"][1]["error"]["at"], "messages[1].to");
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["accepted"], 0);
    house.stop().await;
}

#[tokio::test]
async fn what_waits_for_its_time_gets_another_text_time_and_validity() {
    let house = House::start().await;
    let at = house.server.runtime.clock.now().plus_ms(3_600_000);
    let message = json!({ "to": "+33612345678", "text": "Old", "schedule_at": at });
    let id = house.admin.post("/api/v1/messages", &message).await.expect(202)["id"].clone();
    let path = format!("/api/v1/messages/{}", id.as_str().unwrap());
    let replace = async |with: Value| house.admin.post(&format!("{path}/replace"), &with).await;
    let soon = house.server.runtime.clock.now().plus_ms(2_000);
    let replaced =
        replace(json!({ "text": "Neu €", "schedule_at": soon, "validity_s": 600 })).await.expect(200);
    assert_eq!((&replaced["text"], &replaced["state"]), (&json!("Neu €"), &json!("scheduled")));
    assert_eq!(replaced["expires_at"], json!(soon.plus_ms(600_000)));
    assert_eq!(replace(json!({})).await.status, 422);
    let ended = until_ended(&house, id.as_str().unwrap()).await;
    assert_eq!(ended["state"], "delivered");
    let phones = house.server.simulator.as_ref().unwrap().phones();
    assert_eq!(phones.screen("33612345678")[0].text, "Neu €");
    let late = replace(json!({ "text": "Too late" })).await;
    assert_eq!((late.status, late.problem().as_str()), (409, "not_cancellable"));
    house.stop().await;
}
