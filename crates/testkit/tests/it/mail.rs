//! Mail for phones, messages as mail, messages from phones as mail that is answered, and what became of each.

use serde_json::{Value, json};
use testkit::House;
use testkit::mail::{Sink, Taken, Talker};

const PHONE: &str = "33612345678";

async fn house(sink: &Sink) -> House {
    let port = sink.address.port();
    House::start_with(move |config| {
        config.smtp.enabled = true;
        config.smtp.domain = "sms.example".to_owned();
        config.smtp.plain_auth = true;
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.port = port;
        config.mail.tls = runtime::config::Encryption::None;
        config.mail.from = "gateway@sms.example".to_owned();
        config.jobs.retry_min_ms = 50;
    })
    .await
}

async fn account(house: &House, name: &str, settings: Value) -> (String, String) {
    let new = json!({ "system_id": name, "settings": settings });
    let made = house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    (made["id"].as_str().unwrap().to_owned(), made["password"].as_str().unwrap().to_owned())
}

async fn client(house: &House) -> Talker {
    Talker::connect(house.server.smtp.as_ref().unwrap().address).await
}

/// What phones were sent.
fn screen(house: &House, phone: &str) -> Vec<(String, String)> {
    let phones = house.server.simulator.as_ref().unwrap().phones();
    let received =
        |shown: &&simulator::phones::Message| shown.direction == simulator::phones::Direction::Received;
    phones
        .screen(phone)
        .iter()
        .filter(received)
        .map(|shown| (shown.peer.clone(), shown.text.clone()))
        .collect()
}

async fn sent_to(house: &House, phone: &str) -> Vec<Value> {
    let list = house.admin.get(&format!("/api/v1/messages?direction=out&to=%2B{phone}")).await.expect(200);
    list["items"].as_array().unwrap().clone()
}

/// The mail that fits, once it is there.
async fn mail(house: &House, sink: &Sink, fits: impl Fn(&Taken) -> bool) -> Taken {
    house.until("the mail came", async || sink.taken().iter().any(&fits)).await;
    sink.taken().into_iter().find(|taken| fits(taken)).unwrap()
}

#[tokio::test]
async fn a_mail_becomes_a_message_for_each_recipient_once() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    let (id, password) = account(&house, "mailer", json!({ "sender_default": "ACME" })).await;
    let mut client = client(&house).await;
    client.sign_in("mailer", &password).await;
    let content = "Message-ID: <m1@x.example>\nSubject: Table\n\nYour table is ready.\n-- \nAnna";
    let to = ["<+33612345678@sms.example>", "<33612345679@sms.example>"];
    let reply = client.send("<anna@x.example>", &to, content).await;
    assert!(reply.starts_with("250 2.0.0 Taken as msg_"), "{reply}");
    house
        .until("both phones have it", async || {
            [PHONE, "33612345679"].iter().all(|phone| {
                screen(&house, phone) == [("ACME".to_owned(), "Your table is ready.".to_owned())]
            })
        })
        .await;
    // The 250 was lost: the same mail comes again, to one more.
    let to = [to[0], to[1], "<33612345670@sms.example>"];
    let reply = client.send("<anna@x.example>", &to, content).await;
    assert_eq!(reply.matches("msg_").count(), 1, "{reply}");
    let reply = client.send("<anna@x.example>", &to, content).await;
    assert_eq!(reply, "250 2.0.0 Taken before");
    assert_eq!(sent_to(&house, PHONE).await.len(), 1);
    let message = &sent_to(&house, PHONE).await[0];
    assert_eq!((&message["account"], &message["from"]), (&json!(id), &json!("ACME")));
    let binds = house.admin.get(&format!("/api/v1/smpp-accounts/{id}/binds")).await.expect(200);
    assert!(binds.to_string().contains("\"mail\""), "the session is shown: {binds}");
    house.stop().await;
}

#[tokio::test]
async fn refusals_have_codes_and_leave_nothing_behind() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    let (_, password) =
        account(&house, "mailer", json!({ "senders": ["ACME"], "sender_default": "ACME" })).await;
    house
        .admin
        .post("/api/v1/opt-outs", &json!({ "phone": "+33600000001", "scope": "all" }))
        .await
        .expect(201);
    let rule = json!({ "when": { "kind": "pattern", "pattern": "forbidden" }, "action": "refuse" });
    house.admin.post("/api/v1/firewall-rules", &json!({ "name": "No", "rule": rule })).await.expect(201);
    let mut client = client(&house).await;
    let refused = client.say("EHLO x").await;
    assert!(refused.contains("AUTH PLAIN LOGIN") && refused.contains("DSN"), "{refused}");
    let plain = "Subject: x\n\nHello";
    let phone = "<+33612345678@sms.example>";
    for (to, begins) in [
        (phone, "530 5.7.0 unauthenticated"),
        ("<+33612345678@other.sms.example>", "550 5.7.1 forbidden"),
        ("<anna@elsewhere.example>", "550 5.7.1 forbidden"),
        ("<r.aaaaaaaaaaaa@sms.example>", "550 5.1.1 not_found"),
        ("<b.aaaaaaaaaaaa@sms.example>", "550 5.1.1 not_found"),
    ] {
        let reply = client.send("<anna@x.example>", &[to], plain).await;
        assert!(reply.starts_with(begins), "{to}: {reply}");
    }
    assert!(client.say("AUTH PLAIN AG1haWxlcgB3cm9uZw==").await.starts_with("535 5.7.8"));
    client.sign_in("mailer", &password).await;
    for (to, begins) in [
        ("<anna@sms.example>", "550 5.1.3 invalid_recipient"),
        ("<+33600000001@sms.example>", "550 5.7.1 recipient_opted_out"),
    ] {
        let reply = client.send("<anna@x.example>", &[to], plain).await;
        assert!(reply.starts_with(begins), "{to}: {reply}");
    }
    let many = format!("Subject: x\n\n{}", "long ".repeat(2_000));
    for (from, content, begins) in [
        ("<>", plain, "554 5.4.6 mail_loop"),
        ("<a@x.example>", "Auto-Submitted: auto-replied\nSubject: x\n\nAway", "554 5.4.6 mail_loop"),
        ("<a@x.example>", "Subject: x\n\n-- \nAnna", "554 5.6.0 empty_text"),
        ("<a@x.example>", many.as_str(), "552 5.3.4 text_too_long"),
    ] {
        let reply = client.send(from, &[phone], content).await;
        assert!(reply.starts_with(begins), "{reply}");
    }
    let to = ["<+33612345670@sms.example>", phone];
    let reply = client.send("<a@x.example>", &to, "Subject: x\n\nforbidden").await;
    assert!(reply.starts_with("550 5.7.1 content_blocked"), "{reply}");
    assert!(sent_to(&house, PHONE).await.is_empty());
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!(sums["balanced"], true, "{sums}");
    house.stop().await;
}

#[tokio::test]
async fn a_gateway_lets_a_mail_server_send_without_signing_in() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    let (id, _) = account(&house, "mailer", json!({})).await;
    let gateway = json!({ "account": id, "subdomain": "acme", "settings": {
        "networks": ["127.0.0.0/8"], "senders": ["@x.example"], "subject": "prefix", "parts_max": 1, "too_long": "shorten",
        "sender": "ACME", "sender_of": [{ "address": "bob@x.example", "sender": "Bob" }], "cut_at": ["Sent from"] } });
    let made = house.admin.post("/api/v1/mail-gateways", &gateway).await.expect(201);
    let mut client = client(&house).await;
    client.say("EHLO mx.x.example").await;
    let to = ["<+33612345678@acme.sms.example>"];
    let reply = client.send("<eve@y.example>", &to, "Subject: x\n\nHello").await;
    assert!(reply.starts_with("550 5.7.1 forbidden"), "{reply}");
    let content = "Subject: Alarm\n\nDoor 3\nSent from my phone";
    assert!(client.send("<anna@x.example>", &to, content).await.starts_with("250"));
    let long = format!("Subject: L\n\n{}", "a".repeat(400));
    assert!(client.send("<bob@x.example>", &to, &long).await.starts_with("250"));
    house.until("both came", async || screen(&house, PHONE).len() == 2).await;
    let screen = screen(&house, PHONE);
    assert!(screen.contains(&("ACME".to_owned(), "Alarm: Door 3".to_owned())), "{screen:?}");
    assert!(screen.contains(&("Bob".to_owned(), format!("L: {}", "a".repeat(157)))), "{screen:?}");
    let path = format!("/api/v1/mail-gateways/{}", made["id"].as_str().unwrap());
    house.admin.send("PATCH", &path, &json!({ "active": false })).await.expect(200);
    assert!(client.send("<anna@x.example>", &to, content).await.starts_with("550 5.7.1"));
    house.stop().await;
}

#[tokio::test]
async fn the_senders_of_mails_hear_what_became_of_them() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    let (_, password) = account(&house, "mailer", json!({})).await;
    let mut client = client(&house).await;
    client.sign_in("mailer", &password).await;
    client.say("MAIL FROM:<anna@x.example> ENVID=e42").await;
    client.say("RCPT TO:<+33612345678@sms.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@x.example").await;
    client.say("RCPT TO:<+33612345679@sms.example> NOTIFY=NEVER").await;
    client.say("DATA").await;
    let reply = client.say("Message-ID: <m2@x.example>\r\nSubject: Hi\r\n\r\nHello\r\n.").await;
    assert!(reply.starts_with("250"), "{reply}");
    let notice = mail(&house, &sink, |taken| taken.header("Subject").starts_with("Delivered")).await;
    assert_eq!((notice.from.as_str(), notice.to.as_slice()), ("", &["anna@x.example".to_owned()][..]));
    assert!(notice.header("Content-Type").contains("report-type=delivery-status"), "{}", notice.content);
    for field in [
        "Original-Envelope-Id: e42",
        "Original-Recipient: rfc822; bob@x.example",
        "Final-Recipient: rfc822; +33612345678@sms.example",
        "Action: delivered",
        "Status: 2.0.0",
    ] {
        assert!(notice.content.contains(field), "{field} in {}", notice.content);
    }
    assert_eq!(notice.header("In-Reply-To"), "<m2@x.example>");
    house
        .until("both were delivered", async || {
            let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
            sums["states"].as_array().unwrap().iter().any(|one| one["name"] == "delivered" && one["n"] == 2)
        })
        .await;
    assert_eq!(sink.taken().len(), 1, "nothing was told of the other");
    // A notification cannot be answered by a machine.
    assert!(notice.header("Auto-Submitted").starts_with("auto-replied"));
    house.stop().await;
}

#[tokio::test]
async fn a_message_from_a_phone_is_mailed_and_answered() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    let rule = json!({ "otherwise": [{ "kind": "mail", "to": ["desk@x.example"], "subject": "{from} says {text}" }] });
    let new = json!({ "number": "10000", "rule": rule });
    house.admin.post("/api/v1/inbound-numbers", &new).await.expect(201);
    let phones = house.server.simulator.as_ref().unwrap().phones();
    phones.reply(PHONE, "10000", "Are you open?").unwrap();
    let asked = mail(&house, &sink, |taken| taken.to == ["desk@x.example"]).await;
    assert_eq!(asked.header("Subject"), "+33612345678 says Are you open?");
    assert_eq!(
        (asked.from.as_str(), asked.address("From").as_str()),
        ("gateway@sms.example", "gateway@sms.example")
    );
    assert!(asked.content.contains("Are you open?"));
    let reply_to = format!("<{}>", asked.address("Reply-To"));
    assert!(reply_to.starts_with("<r.") && reply_to.ends_with("@sms.example>"), "{reply_to}");
    let mut client = client(&house).await;
    client.say("EHLO mx.x.example").await;
    let answer = "Message-ID: <a1@x.example>\nSubject: Re: x\n\nUntil eight.\n\nOn Monday +33612345678 wrote:\n> Are you open?";
    let upper = reply_to.to_uppercase();
    assert!(client.send("<desk@x.example>", &[&upper], answer).await.starts_with("250"));
    assert!(
        client.send("<desk@x.example>", &[&reply_to], answer).await.starts_with("250"),
        "the same again is well"
    );
    let away = "Auto-Submitted: auto-replied\nSubject: Away\n\nI am away";
    assert!(client.send("<desk@x.example>", &[&reply_to], away).await.starts_with("554 5.4.6"));
    house.until("the phone has it", async || !screen(&house, PHONE).is_empty()).await;
    assert_eq!(screen(&house, PHONE), [("10000".to_owned(), "Until eight.".to_owned())]);
    assert_eq!(sent_to(&house, PHONE).await.len(), 1, "one answer, though it came twice");
    let thread = house.admin.get("/api/v1/conversations/%2B33612345678").await;
    assert!(thread.text.contains("Until eight."), "{}", thread.text);
    // Whoever has opted out is not written to by mail either.
    house
        .admin
        .post("/api/v1/opt-outs", &json!({ "phone": format!("+{PHONE}"), "scope": "all" }))
        .await
        .expect(201);
    let more = "Message-ID: <a2@x.example>\n\nMore";
    let refused = client.send("<desk@x.example>", &[&reply_to], more).await;
    assert!(refused.starts_with("550 5.7.1 recipient_opted_out"), "{refused}");
    house.stop().await;
}

async fn by_mail(house: &House, sink: &Sink, settings: Value) {
    let mut all = json!({ "protocol": "mail", "host": "127.0.0.1", "port": sink.address.port(),
        "mail_to": "{to}@phones.example", "mail_subject": "From {from}", "mail_body": "{text}", "reconnect_min_ms": 50 });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let made = house
        .admin
        .post("/api/v1/connections", &json!({ "name": "Mail", "settings": all }))
        .await
        .expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    let rule = json!({ "recipient_prefixes": ["49"], "targets": [id] });
    let route = json!({ "name": "By mail", "priority": 900, "rule": rule });
    house.admin.post("/api/v1/routes", &route).await.expect(201);
    house
        .until("it is bound", async || {
            let connection = house.admin.get(&format!("/api/v1/connections/{id}")).await.expect(200);
            connection["status"]["state"] == "bound"
        })
        .await;
}

async fn send(house: &House, to: &str, text: &str) -> String {
    let body = json!({ "to": to, "from": "ACME", "text": text });
    house.admin.post("/api/v1/messages", &body).await.expect(202)["id"].as_str().unwrap().to_owned()
}

async fn ends(house: &House, id: &str, state: &str) -> Value {
    house
        .until(&format!("the message is {state}"), async || {
            house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200)["state"] == state
        })
        .await;
    house.admin.get(&format!("/api/v1/messages/{id}")).await.expect(200)
}

#[tokio::test]
async fn messages_leave_as_mail() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    by_mail(&house, &sink, json!({})).await;
    let text = "Grüße, 🍝 and so on. ".repeat(10);
    let id = send(&house, "+4915112345678", text.trim()).await;
    ends(&house, &id, "delivered").await;
    let taken = mail(&house, &sink, |taken| taken.to == ["4915112345678@phones.example"]).await;
    assert_eq!(taken.header("Subject"), "From ACME");
    assert!(taken.from.starts_with("b.") && taken.from.ends_with("@sms.example"), "{}", taken.from);
    assert_eq!(sink.taken().len(), 1, "one mail, however many parts");
    house.stop().await;
}

#[tokio::test]
async fn notifications_about_mails_are_receipts() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    by_mail(&house, &sink, json!({ "mail_receipts": "notification" })).await;
    for (number, action, state) in
        [("+4915112345678", "delivered", "delivered"), ("+4915112345679", "failed", "failed")]
    {
        let id = send(&house, number, "Hello").await;
        ends(&house, &id, "sent").await;
        let to = format!("{}@phones.example", &number[1..]);
        let taken = mail(&house, &sink, |taken| taken.to == [to.clone()]).await;
        let mut client = client(&house).await;
        client.say("EHLO mx.example").await;
        let path = format!("<{}>", taken.from);
        let away = "Subject: Away\nAuto-Submitted: auto-replied\n\nI am away";
        assert!(client.send("<>", &[&path], away).await.starts_with("250"), "it is nothing to us");
        let notice = format!(
            "Subject: Notice\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=q\n\n\
             --q\n\nWords\n--q\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n\
             Final-Recipient: rfc822; {to}\nAction: {action}\nStatus: 5.1.1\n\n--q--\n"
        );
        assert!(client.send("<>", &[&path], &notice).await.starts_with("250"));
        ends(&house, &id, state).await;
    }
    house.stop().await;
}

#[tokio::test]
async fn what_a_mail_server_refuses_ends_or_waits() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    by_mail(&house, &sink, json!({ "mail_to": "nobody{to}@phones.example" })).await;
    let id = send(&house, "+4915112345678", "Hello").await;
    let message = ends(&house, &id, "rejected").await;
    assert!(message["error"].as_str().unwrap().contains("SMTP 550 5.1.1"), "{message}");
    house.stop().await;
}

#[tokio::test]
async fn a_mail_whose_answer_is_lost_is_not_sent_again_by_itself() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    by_mail(&house, &sink, json!({ "mail_to": "silent{to}@phones.example" })).await;
    let body = json!({ "to": "+4915112345678", "from": "ACME", "text": "Shoes", "intent": "marketing" });
    let id = house.admin.post("/api/v1/messages", &body).await.expect(202)["id"].as_str().unwrap().to_owned();
    ends(&house, &id, "indeterminate").await;
    assert_eq!(sink.taken().len(), 1);
    house.stop().await;
}

#[tokio::test]
async fn a_test_mail_says_what_the_server_says() {
    let sink = Sink::start().await;
    let house = house(&sink).await;
    let sent = house.admin.post("/api/v1/mail/test", &json!({ "to": "anna@x.example" })).await.expect(200);
    assert_eq!(sent["to"], "anna@x.example");
    assert_eq!(sink.taken()[0].to, ["anna@x.example"]);
    let refused = house.admin.post("/api/v1/mail/test", &json!({ "to": "nobody@x.example" })).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"));
    assert!(refused.text.contains("550") && refused.text.contains("Nobody of that name"), "{}", refused.text);
    let refused = house.admin.post("/api/v1/mail/test", &json!({ "to": "anna" })).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid_address"));
    house.stop().await;
}

#[tokio::test]
async fn mail_over_tls_and_with_starttls() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let (certificate, private) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&private, key.serialize_pem()).unwrap();
    let (shown, secret) = (certificate.clone(), private.clone());
    let house = House::start_with(move |config| {
        config.smtp.enabled = true;
        config.smtp.domain = "sms.example".to_owned();
        config.smtp.tls.listen = runtime::config::Listen(Some("127.0.0.1:0".parse().unwrap()));
        config.smtp.tls.certificate = shown;
        config.smtp.tls.key = secret;
    })
    .await;
    let (_, password) = account(&house, "mailer", json!({ "require_tls": true })).await;
    let mut plain = client(&house).await;
    let hello = plain.say("EHLO x").await;
    assert!(hello.contains("STARTTLS") && !hello.contains("AUTH"), "{hello}");
    let smtp = house.server.smtp.clone().unwrap();
    for (name, port, starttls) in
        [("First", smtp.tls.unwrap().port(), false), ("Then", smtp.address.port(), true)]
    {
        // Our own client signs in there, as a connection of the same house.
        let settings = json!({ "protocol": "mail", "host": "localhost", "port": port, "tls": true, "starttls": starttls,
            "tls_ca": std::fs::read_to_string(&certificate).unwrap(), "system_id": "mailer",
            "mail_from": "us@x.example", "mail_to": format!("{PHONE}@sms.example"), "mail_body": "{text}" });
        let new = json!({ "name": name, "password": password, "settings": settings });
        let made = house.admin.post("/api/v1/connections", &new).await.expect(201);
        let prefix = if starttls { "49" } else { "48" };
        let rule = json!({ "recipient_prefixes": [prefix], "targets": [made["id"]] });
        house
            .admin
            .post("/api/v1/routes", &json!({ "name": name, "priority": 900, "rule": rule }))
            .await
            .expect(201);
        // It is let in, and refused as what it is: a message that would go round for ever.
        let id = send(&house, if starttls { "+4915112345678" } else { "+48512345678" }, "over TLS").await;
        let message = ends(&house, &id, "rejected").await;
        assert!(message["error"].as_str().unwrap().contains("SMTP 554 5.4.6"), "{message}");
    }
    assert!(screen(&house, PHONE).is_empty());
    house.stop().await;
}
