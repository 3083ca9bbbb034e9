use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::{Config, Tasks};
use serde_json::{Value, json};
use smpp::{Address, RegisteredDelivery, Sm};
use sms::MessageState;
use tokio::sync::mpsc;

use super::*;
use crate::report::{Answer, Class, NoAnswer, Refusal, Report};
use crate::{Link as AnyLink, State};

pub(super) fn settings(description: Description) -> Settings {
    let mut config = Config::for_tests("/nowhere").outbound;
    config.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    config.redirects_max = 0;
    config.timeout_ms = 1_000;
    Settings {
        name: "test".to_owned(),
        description,
        user: "us".to_owned(),
        password: "se&cret".to_owned(),
        receipts_url: "https://sms.example/hooks/connections/t/receipts".to_owned(),
        inbound_url: "https://sms.example/hooks/connections/t/inbound".to_owned(),
        window: 5,
        throughput: 0,
        reconnect_min_ms: 50,
        reconnect_max_ms: 200,
        throttle_min_ms: 50,
        throttle_max_ms: 500,
        response_timeout_ms: 1_000,
        outbound: Outbound::new(&config).unwrap(),
    }
}

pub(super) fn text(text: &str) -> Sm {
    let encoding = sms::count(text, &sms::analysis::Options::default()).encoding;
    Sm {
        source: Address::alphanumeric("ACME & Co"),
        destination: Address::international("33612345678"),
        data_coding: smpp::DataCoding(encoding.data_coding()),
        registered_delivery: RegisteredDelivery(1),
        short_message: encoding.encode_lossy(text),
        ..Sm::default()
    }
}

/// The request that a plan makes, with its secrets.
pub(super) fn made(settings: &Settings, sm: &Sm) -> Result<Prepared, String> {
    let plan = Plan::read(&settings.description).unwrap();
    let fixed = settings.fixed();
    let message = Message::read(&fixed, &sm.view(), ("abc", 1), 0)?;
    let mut prepared = plan.request(&fixed, &message)?;
    plan.prove(&mut prepared, &fixed, "token", 1_700_000_000)?;
    Ok(prepared)
}

pub(super) fn body(prepared: &Prepared) -> String {
    String::from_utf8(prepared.body.clone()).unwrap()
}

fn header<'a>(prepared: &'a Prepared, name: &str) -> &'a str {
    prepared.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
}

#[test]
fn every_ready_dialect_is_whole() {
    for (name, _) in dialects::names() {
        let described = dialects::named(name).unwrap();
        assert_eq!(check(&described), Ok(()), "{name}");
        let again: Description = serde_json::from_value(serde_json::to_value(&described).unwrap()).unwrap();
        assert_eq!(again, described, "{name}");
        let hooks = Hooks::read(&described, "").unwrap();
        assert!(hooks.has_receipts() && hooks.has_inbound(), "{name}");
        assert!(made(&settings(described), &text("hello")).is_ok(), "{name}");
    }
    assert!(dialects::named("nobody").is_none());
}

#[test]
fn twilio_is_asked_in_its_own_words() {
    let asked = made(&settings(dialects::named("twilio").unwrap()), &text("1 & 2 = é?")).unwrap();
    assert_eq!(
        (asked.method, asked.url.as_str()),
        ("POST", "https://api.twilio.com/2010-04-01/Accounts/us/Messages.json")
    );
    assert_eq!(
        body(&asked),
        "Body=1%20%26%202%20%3D%20%C3%A9%3F&From=ACME%20%26%20Co&StatusCallback=https%3A%2F%2Fsms.example%2Fhooks%2F\
         connections%2Ft%2Freceipts&To=%2B33612345678"
    );
    assert_eq!(header(&asked, "Authorization"), "Basic dXM6c2UmY3JldA==");
}

#[test]
fn infobip_and_vonage_are_asked_in_their_own_words() {
    let asked = made(&settings(dialects::named("infobip").unwrap()), &text("a \"quote\"")).unwrap();
    let said: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(said["messages"][0]["content"], json!({ "text": "a \"quote\"" }));
    assert_eq!(said["messages"][0]["destinations"], json!([{ "to": "33612345678", "messageId": "abc.1" }]));
    assert!(said["messages"][0].get("options").is_none(), "no validity, no options: {said}");
    assert_eq!(header(&asked, "Authorization"), "App se&cret");

    let validity = Sm { validity_period: "000000000500000R".into(), ..text("hello") };
    let asked = made(&settings(dialects::named("infobip").unwrap()), &validity).unwrap();
    let said: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(
        said["messages"][0]["options"]["validityPeriod"],
        json!({ "amount": 300, "timeUnit": "SECONDS" })
    );

    let asked = made(&settings(dialects::named("vonage").unwrap()), &text("Ж")).unwrap();
    let said = body(&asked);
    assert!(
        said.contains("api_secret=se%26cret&")
            && said.contains("type=unicode")
            && said.contains("text=%D0%96"),
        "{said}"
    );
    assert!(!said.contains("ttl=") && !said.contains("body="), "{said}");
}

#[test]
fn kannel_is_given_octets_and_an_address_within_an_address() {
    let binary = Sm {
        data_coding: smpp::DataCoding(4),
        esm_class: smpp::EsmClass(0x40),
        short_message: vec![5, 0, 3, 9, 2, 1, 0xFF, b'&'],
        ..text("")
    };
    let asked = made(&settings(dialects::named("kannel").unwrap()), &binary).unwrap();
    assert!(
        asked.url.contains("&text=%FF%26&") && asked.url.contains("&udh=%05%00%03%09%02%01&"),
        "{}",
        asked.url
    );
    assert!(asked.url.contains("coding=1&") && !asked.url.contains("charset"), "{}", asked.url);
    assert!(asked.url.contains("to%3D33612345678%26from%3D%25P"), "{}", asked.url);
    assert!(asked.url.contains("%3Fid%3Dabc.1%26type%3D%25d"), "{}", asked.url);
}

#[test]
fn what_a_description_cannot_carry_is_not_mutilated() {
    let twilio = settings(dialects::named("twilio").unwrap());
    let binary = Sm { data_coding: smpp::DataCoding(4), ..text("") };
    assert!(made(&twilio, &binary).unwrap_err().contains("binary"));
    let part =
        Sm { esm_class: smpp::EsmClass(0x40), short_message: vec![5, 0, 3, 9, 2, 1, b'a'], ..text("") };
    assert!(made(&twilio, &part).unwrap_err().contains("user data header"));
}

#[test]
fn a_preview_hides_what_is_secret() {
    for (name, _) in dialects::names() {
        let settings = settings(dialects::named(name).unwrap());
        let seen = settings.preview(&Clock::system(), ("abc", 1), &text("hello").view()).unwrap().written();
        let seen = String::from_utf8(seen).unwrap();
        for secret in ["se&cret", "se%26cret", "dXM6c2UmY3JldA=="] {
            assert!(!seen.contains(secret), "{name}: {seen}");
        }
        assert!(seen.contains("HTTP/1.1\r\nHost: "), "{seen}");
    }
}

#[test]
fn requests_are_signed_as_described() {
    let mut described = dialects::named("infobip").unwrap();
    described.auth = Auth::Hmac {
        hash: Hash::Sha256,
        over: "{method}\n{path}\n{timestamp}\n{body}".to_owned(),
        header: "X-Signature".to_owned(),
        value: "v1={signature}".to_owned(),
        coding: Coding::Hex,
        timestamp_header: "X-Time".to_owned(),
    };
    let asked = made(&settings(described), &text("hello")).unwrap();
    let over = format!("POST\n/sms/3/messages\n1700000000\n{}", body(&asked));
    assert_eq!(
        header(&asked, "X-Signature"),
        format!("v1={}", Hash::Sha256.signed("se&cret", over.as_bytes(), Coding::Hex))
    );
    assert_eq!(header(&asked, "X-Time"), "1700000000");
    // RFC 4231 §4.3, test case 2.
    assert_eq!(
        Hash::Sha256.signed("Jefe", b"what do ya want for nothing?", Coding::Hex),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn mistakes_in_a_description_are_told_with_their_place() {
    let at = |change: fn(&mut Description)| {
        let mut described = dialects::named("twilio").unwrap();
        change(&mut described);
        check(&described).unwrap_err().at
    };
    assert_eq!(at(|d| d.request.url = "https://elsewhere/{url}".to_owned()), "request.url");
    assert_eq!(at(|d| d.request.headers = [("Host".to_owned(), "x".to_owned())].into()), "request.headers");
    assert_eq!(
        at(|d| d.request.query = [("a".to_owned(), "{nothing}".to_owned())].into()),
        "request.query.a"
    );
    assert_eq!(at(|d| d.request.method = Method::Get), "request.body");
    assert_eq!(at(|d| d.answers[1].status = "42".to_owned()), "answers[1]");
    assert_eq!(at(|d| d.answers[1].matches = "(".to_owned()), "answers[1]");
    assert_eq!(at(|d| d.answers.truncate(0)), "answers");
    assert_eq!(at(|d| d.receipts.id = "reference".to_owned()), "receipts.id");
    assert_eq!(at(|d| d.receipts.list = "results".to_owned()), "receipts.list");
    assert_eq!(at(|d| d.reply.status = 404), "reply.status");
    assert_eq!(at(|d| d.auth = Auth::Header { name: "a b".to_owned(), value: String::new() }), "auth");
}

pub(super) fn hook<'a>(headers: &'a [(String, String)], body: &'a [u8]) -> HookRequest<'a> {
    HookRequest {
        url: "https://mycompany.com/myapp.php?foo=1&bar=2",
        query: "foo=1&bar=2",
        headers,
        body,
        now_s: 1_000,
    }
}

pub(super) fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The example of Twilio's "Validating requests".
#[test]
fn twilios_own_example_of_a_signature_is_verified() {
    let hooks = Hooks::read(&dialects::named("twilio").unwrap(), "12345").unwrap();
    let form =
        b"CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212";
    let mut sent = headers(&[
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-twilio-signature", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="),
    ]);
    // It is signed, and no receipt.
    assert!(matches!(hooks.receipts(&hook(&sent, form)), Err(Refused::Unreadable(_))));
    assert_eq!(hooks.inbound(&hook(&sent, form)).unwrap()[0].source.addr.as_str(), "12349013030");
    sent[1].1 = "0/KCTR6DLpKmkAf8muzZqo1nDgA=".to_owned();
    assert!(matches!(hooks.inbound(&hook(&sent, form)), Err(Refused::Unproven(_))));
}

#[test]
fn receipts_come_alone_and_in_lists() {
    let hooks = Hooks::read(&dialects::named("infobip").unwrap(), "").unwrap();
    let sent = headers(&[("content-type", "application/json")]);
    let said = json!({ "results": [
        { "messageId": "a", "to": "336", "sender": "ACME", "status": { "groupName": "DELIVERED" }, "error": { "name": "NO_ERROR" } },
        { "messageId": "b", "to": "337", "status": { "groupName": "UNDELIVERABLE" }, "error": { "name": "EC_ABSENT_SUBSCRIBER" } },
        { "messageId": "c", "status": { "groupName": "SOMETHING_NEW" } },
    ] });
    let read = hooks.receipts(&hook(&sent, said.to_string().as_bytes())).unwrap();
    let states: Vec<_> = read.iter().map(|receipt| (receipt.message_id.as_str(), receipt.state)).collect();
    assert_eq!(
        states,
        [("a", MessageState::Delivered), ("b", MessageState::Undeliverable), ("c", MessageState::Unknown)]
    );
    assert_eq!((read[0].error.as_deref(), read[1].error.as_deref()), (None, Some("EC_ABSENT_SUBSCRIBER")));
    assert!(matches!(hooks.receipts(&hook(&sent, b"{}")), Err(Refused::Unreadable(_))));

    let kannel = Hooks::read(&dialects::named("kannel").unwrap(), "").unwrap();
    let asked = HookRequest { query: "id=abc.1&type=16&reply=NACK%2F11&to=336", ..hook(&[], b"") };
    let read = kannel.receipts(&asked).unwrap();
    assert_eq!((read[0].state, read[0].error.as_deref()), (MessageState::Rejected, Some("NACK/11")));
}

#[test]
fn each_proof_is_asked_for_and_old_ones_are_refused() {
    let of = |signature: Signature| {
        Hooks::read(&Description { signature, ..dialects::named("vonage").unwrap() }, "key").unwrap()
    };
    let form = "msisdn=336&to=ACME&messageId=1&status=delivered&note=a%26b%3Dc&timestamp=900";
    let hmac = of(Signature::Hmac {
        hash: Hash::Sha256,
        over: "{pairs}".to_owned(),
        at: "sig".to_owned(),
        prefix: String::new(),
        coding: Coding::Hex,
        timestamp: "timestamp".to_owned(),
        tolerance_s: 300,
    });
    let over = "&messageId=1&msisdn=336&note=a_b_c&status=delivered&timestamp=900&to=ACME";
    let signed =
        format!("{form}&sig={}", Hash::Sha256.signed("key", over.as_bytes(), Coding::Hex).to_uppercase());
    let asked = HookRequest { query: &signed, ..hook(&[], b"") };
    assert_eq!(hmac.receipts(&asked).unwrap()[0].state, MessageState::Delivered);
    let late = HookRequest { now_s: 1_201, ..asked };
    assert_eq!(hmac.receipts(&late), Err(Refused::Unproven("it was signed too long ago".to_owned())));
    assert!(matches!(hmac.receipts(&HookRequest { query: form, ..asked }), Err(Refused::Unproven(_))));

    let token = of(Signature::Token { at: "header:Authorization".to_owned(), prefix: "Bearer ".to_owned() });
    let basic = of(Signature::Basic { user: "us".to_owned() });
    for (hooks, right, wrong) in
        [(&token, "Bearer key", "Bearer kez"), (&basic, "Basic dXM6a2V5", "Basic dXM6a2V6")]
    {
        let sent = headers(&[("authorization", right)]);
        assert!(hooks.receipts(&HookRequest { query: form, headers: &sent, ..asked }).is_ok());
        let sent = headers(&[("authorization", wrong)]);
        assert!(hooks.receipts(&HookRequest { query: form, headers: &sent, ..asked }).is_err());
        assert!(hooks.receipts(&HookRequest { query: form, headers: &[], ..asked }).is_err());
    }
}

#[test]
fn messages_from_phones_are_read_in_every_form() {
    let vonage = Hooks::read(&dialects::named("vonage").unwrap(), "").unwrap();
    let sent = headers(&[("content-type", "application/json")]);
    let part = json!({ "msisdn": "33612345678", "to": "20000", "text": "Ж", "type": "unicode",
        "concat": "true", "concat-ref": "258", "concat-total": "2", "concat-part": "1" });
    let read = vonage.inbound(&hook(&sent, part.to_string().as_bytes())).unwrap();
    assert_eq!(read[0].short_message, [6, 8, 4, 1, 2, 2, 1, 0x04, 0x16]);
    assert!(read[0].esm_class.udhi() && read[0].data_coding.0 == 8);
    let kannel = Hooks::read(&dialects::named("kannel").unwrap(), "").unwrap();
    let asked = HookRequest {
        query: "from=%2B336&to=20000&text=%04%16&charset=UTF-16BE&udh=%05%00%03%09%02%01",
        ..hook(&[], b"")
    };
    let read = kannel.inbound(&asked).unwrap();
    assert_eq!(read[0].short_message, [5, 0, 3, 9, 2, 1, 0x04, 0x16]);
    assert!(matches!(kannel.inbound(&hook(&[], b"")), Err(Refused::Unreadable(_))));
}

#[test]
fn answers_are_read_by_the_first_rule_that_fits() {
    let means = |dialect: &str, status: u16, body: &str| {
        let plan = Plan::read(&dialects::named(dialect).unwrap()).unwrap();
        let heard = answer::Heard {
            status,
            headers: &headers(&[("Retry-After", "7")]),
            body: body.as_bytes(),
            reference: "abc.1",
        };
        let read = plan.read_answer(&heard);
        assert_eq!(read.retry_after_s, Some(7));
        read.answer
    };
    let accepted = |id: &str| Answer::Accepted { message_id: id.to_owned() };
    assert_eq!(means("twilio", 201, r#"{"sid":"SM1","status":"queued"}"#), accepted("SM1"));
    assert_eq!(means("kannel", 202, "0: Accepted for delivery"), accepted("abc.1"));
    assert_eq!(means("jasmin", 200, "Success \"0703-4\""), accepted("0703-4"));
    let of_vonage = |status: &str| {
        format!(r#"{{"messages":[{{"status":"{status}","message-id":"v1","error-text":"no"}}]}}"#)
    };
    assert_eq!(means("vonage", 200, &of_vonage("0")), accepted("v1"));
    let class = |answer: Answer| match answer {
        Answer::Refused { class, .. } => class,
        other => panic!("{other:?}"),
    };
    assert_eq!(class(means("vonage", 200, &of_vonage("1"))), Class::Throttled);
    assert_eq!(class(means("vonage", 200, &of_vonage("4"))), Class::Reconnect);
    assert_eq!(class(means("vonage", 200, &of_vonage("77"))), Class::Permanent);
    assert_eq!(class(means("twilio", 429, "{}")), Class::Throttled);
    assert_eq!(class(means("infobip", 503, "")), Class::Temporary);
    assert_eq!(class(means("kannel", 403, "Authorization failed for sendsms")), Class::Reconnect);
    assert_eq!(class(means("kannel", 403, "Not routable. Do not try again.")), Class::Permanent);
    for (dialect, status, body) in
        [("twilio", 500, "{}"), ("twilio", 200, "<html>"), ("kannel", 202, "what?")]
    {
        assert_eq!(means(dialect, status, body), Answer::NoAnswer(NoAnswer::Unclear), "{dialect} {status}");
    }
    let refused = means("twilio", 400, r#"{"code":21211,"message":"Invalid 'To'"}"#);
    assert!(
        matches!(&refused, Answer::Refused { refusal, .. } if refusal.to_string() == "HTTP 400: Invalid 'To'"),
        "{refused:?}"
    );
}

/// A provider that answers as it is told, over real sockets, and closes after each answer.
struct Provider {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    fn start(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
                while let Ok(n @ 1..) = socket.read(&mut piece) {
                    heard.extend_from_slice(&piece[..n]);
                    let text = String::from_utf8_lossy(&heard).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| {
                        line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                    });
                    if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                        break;
                    }
                }
                let text = String::from_utf8_lossy(&heard).into_owned();
                let reply = if text.starts_with("HEAD ") {
                    Some("HTTP/1.1 404 N\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned())
                } else {
                    answer(&text)
                };
                if !text.starts_with("HEAD ") {
                    seen.lock().unwrap().push(text);
                }
                match reply {
                    Some(reply) => drop(socket.write_all(reply.as_bytes())),
                    None => std::thread::sleep(Duration::from_millis(1_300)),
                }
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn replied(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

struct Ours {
    link: AnyLink<&'static str>,
    reports: mpsc::Receiver<Report<&'static str>>,
    _tasks: Tasks,
}

impl Ours {
    fn start(settings: Settings) -> Self {
        let tasks = Tasks::new();
        let (link, reports) =
            AnyLink::start(crate::Settings::Http(Box::new(settings)), &tasks, Clock::system());
        Self { link, reports, _tasks: tasks }
    }

    async fn report(&mut self) -> Report<&'static str> {
        tokio::time::timeout(Duration::from_secs(5), self.reports.recv()).await.unwrap().unwrap()
    }

    async fn send(&mut self, tag: &'static str) {
        let mut places =
            tokio::time::timeout(Duration::from_secs(5), self.link.places(1)).await.unwrap().unwrap();
        self.link.submit(&mut places, ("abc", 1), &text("hello").view(), tag).unwrap();
    }

    async fn answered(&mut self) -> (&'static str, Answer) {
        loop {
            if let Report::Answered { tag, answer, .. } = self.report().await {
                return (tag, answer);
            }
        }
    }
}

fn kannel(url: String) -> Settings {
    settings(Description { url, ..dialects::named("kannel").unwrap() })
}

#[tokio::test]
async fn a_message_goes_out_and_its_answer_comes_back() {
    let provider = Provider::start(|_| Some(replied("202 Accepted", "0: Accepted for delivery")));
    let mut ours = Ours::start(kannel(provider.url()));
    assert!(matches!(ours.report().await, Report::Bound { peer, .. } if peer == provider.url()));
    ours.send("a").await;
    assert_eq!(ours.answered().await, ("a", Answer::Accepted { message_id: "abc.1".to_owned() }));
    assert!(provider.asked.lock().unwrap()[0].starts_with("GET /cgi-bin/sendsms?"));
    let status = ours.link.status();
    assert_eq!((status.state, status.counters.accepted, status.binds[0].window_used), (State::Bound, 1, 0));
    ours.link.stop(Duration::from_secs(1)).await;
    assert!(ours.link.places(1).await.is_err());
}

#[tokio::test]
async fn silence_and_nonsense_leave_the_fate_open_and_refusals_do_not() {
    let provider = Provider::start(|_| None);
    let mut ours = Ours::start(kannel(provider.url()));
    ours.send("silent").await;
    assert_eq!(ours.answered().await, ("silent", Answer::NoAnswer(NoAnswer::TimedOut)));
    let provider = Provider::start(|_| Some(replied("500 Oops", "<html>")));
    let mut ours = Ours::start(kannel(provider.url()));
    ours.send("unclear").await;
    assert_eq!(ours.answered().await, ("unclear", Answer::NoAnswer(NoAnswer::Unclear)));
    let provider = Provider::start(|_| Some(String::new()));
    let mut ours = Ours::start(kannel(provider.url()));
    ours.send("cut").await;
    assert_eq!(ours.answered().await, ("cut", Answer::NoAnswer(NoAnswer::BindLost)));
    assert_eq!(ours.link.status().state, State::Bound);
}

#[tokio::test]
async fn who_is_not_there_gets_nothing_and_is_asked_again() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut ours = Ours::start(kannel(format!("http://{free}")));
    assert!(matches!(ours.report().await, Report::Lost { why, .. } if why.contains("no connection")));
    let waits = tokio::time::timeout(Duration::from_millis(200), ours.link.places(1)).await;
    assert!(waits.is_err(), "there is no place while nobody is there");
    let listener = TcpListener::bind(free).unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().take(1) {
            let _ = socket
                .unwrap()
                .write_all(b"HTTP/1.1 404 N\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    while !matches!(ours.report().await, Report::Bound { .. }) {}
    // It is gone again: the message surely did not leave.
    tokio::time::sleep(Duration::from_millis(100)).await;
    ours.send("lost").await;
    assert!(matches!(ours.answered().await, ("lost", Answer::NotSent(_))));
}

#[tokio::test]
async fn too_fast_pauses_for_as_long_as_is_asked_and_wrong_credentials_stop_all() {
    let provider = Provider::start(|_| {
        Some(
            "HTTP/1.1 429 T\r\nretry-after: 3\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
        )
    });
    let twilio = Description { url: provider.url(), ..dialects::named("twilio").unwrap() };
    let mut ours = Ours::start(settings(twilio));
    ours.send("fast").await;
    assert!(
        matches!(ours.answered().await, ("fast", Answer::Refused { refusal, .. }) if refusal.class() == Class::Throttled)
    );
    let status = ours.link.status();
    assert!(status.state == State::Throttled && status.pause_ms > 2_000, "{status:?}");

    let provider = Provider::start(|_| Some(replied("403 F", "Authorization failed for sendsms")));
    let mut ours = Ours::start(kannel(provider.url()));
    ours.send("denied").await;
    assert!(matches!(ours.answered().await, ("denied", Answer::Refused { refusal: Refusal::Http(_), .. })));
    let told = || ours.link.status().binds[0].last_error.clone().unwrap_or_default();
    for _ in 0..100 {
        if told().contains("credentials are refused: HTTP 403") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{}", told());
}

#[tokio::test]
async fn a_token_is_had_once_and_anew_when_it_is_unknown() {
    let tokens = Arc::new(Mutex::new(0));
    let had = tokens.clone();
    let provider = Provider::start(move |asked| {
        if asked.starts_with("POST /token") {
            let mut had = had.lock().unwrap();
            *had += 1;
            return Some(replied("200 OK", &format!(r#"{{"access_token":"t{}","expires_in":3600}}"#, *had)));
        }
        let known = asked.to_ascii_lowercase().contains("authorization: bearer t2");
        Some(if known {
            replied("202 A", "0: Accepted for delivery")
        } else {
            replied("403 F", "Authorization failed")
        })
    });
    let mut described = Description { url: provider.url(), ..dialects::named("kannel").unwrap() };
    described.auth = Auth::OAuth2 {
        token_url: format!("{}/token", provider.url()),
        scope: "sms".to_owned(),
        in_body: false,
    };
    let mut ours = Ours::start(settings(described));
    for tag in ["a", "b"] {
        ours.send(tag).await;
        assert!(matches!(ours.answered().await, (_, Answer::Accepted { .. })));
    }
    assert_eq!(*tokens.lock().unwrap(), 2);
    let asked = provider.asked.lock().unwrap();
    assert!(asked[0].to_ascii_lowercase().contains("authorization: basic dxm6c2ulmjzjcmv0"), "{}", asked[0]);
    assert!(asked[0].ends_with("grant_type=client_credentials&scope=sms"), "{}", asked[0]);
}

#[tokio::test]
async fn a_stop_waits_for_what_is_under_way_and_then_gives_it_up() {
    let provider = Provider::start(|_| None);
    let mut ours = Ours::start(kannel(provider.url()));
    ours.send("open").await;
    ours.link.stop(Duration::from_millis(100)).await;
    assert_eq!(ours.answered().await, ("open", Answer::NoAnswer(NoAnswer::BindLost)));
}
