use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use types::Code;

use super::asking::Question;
use super::plan::Import;
use super::provider::{self, LookupSettings, NewProvider, ProviderPatch};
use super::*;
use crate::tests::{House, patch};

/// A look-up service that answers every question in the same way, after a while, and counts them.
struct Double {
    url: String,
    asked: Arc<AtomicUsize>,
    heard: Arc<Mutex<String>>,
}

impl Double {
    async fn answering(status: u16, body: &str, after: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/{{number}}", listener.local_addr().unwrap());
        let (asked, heard) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let (count, hear): (_, Arc<Mutex<String>>) = (asked.clone(), Arc::clone(&heard));
        #[expect(clippy::disallowed_methods, reason = "a double of its own")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, count, hear) = (answer.clone(), count.clone(), hear.clone());
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    let read = stream.read(&mut request).await.unwrap_or_default();
                    *hear.lock().unwrap() = String::from_utf8_lossy(&request[..read]).into_owned();
                    count.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(after).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, asked, heard }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn house() -> (House, Arc<Lookups>) {
    let house = House::build_with(|config| {
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.messaging.lookup_wait_ms = 400;
    })
    .await;
    let lookups = Lookups::new(&house.runtime);
    (house, lookups)
}

async fn service(
    house: &House,
    lookups: &Lookups,
    name: &str,
    url: &str,
    settings: serde_json::Value,
) -> types::LookupId {
    let mut members = patch(json!({ "url": url, "prefixes": ["336"], "timeout_ms": 200 }));
    members.extend(patch(settings));
    let secret = [("X-Key".to_owned(), "hunter2!".to_owned())];
    let new = NewProvider {
        name: name.to_owned(),
        settings: members,
        secret_headers: secret.into(),
        ..NewProvider::default()
    };
    let provider = provider::create(&house.ours, new).await.unwrap();
    lookups.reload().await.unwrap();
    provider.id
}

fn code(house: &House, lookups: &Lookups, number: &str) -> String {
    lookups.networks().of(house.ours.tenant(), number, house.runtime.clock.now()).code
}

#[tokio::test]
async fn a_number_is_asked_for_once_and_the_answer_counts_for_its_time() {
    let (house, lookups) = house().await;
    let tenant = house.ours.tenant();
    let body = r#"{"mcc":208,"mnc":"1","name":"Orange","ported":true,"imsi":"208011234567890"}"#;
    let double = Double::answering(200, body, Duration::from_millis(50)).await;
    let pointers = json!({ "network": "/name", "ported": "/ported", "imsi": "/imsi", "ttl_s": 600 });
    service(&house, &lookups, "double", &double.url, pointers).await;
    assert_eq!(code(&house, &lookups, "33612345678"), "208", "the country, before anybody was asked");

    // Many at the same time are one question; numbers that nobody asks for are none.
    let many = ["+33612345678"; 50].into_iter().chain(["+4915112345678", "nobody"]);
    let (one, two) =
        (lookups.before_routing(tenant, many), lookups.before_routing(tenant, ["+33612345678"].into_iter()));
    futures::join!(one, two);
    assert_eq!((double.asked(), code(&house, &lookups, "33612345678").as_str()), (1, "208-01"));
    let network = lookups.networks().of(tenant, "33612345678", house.runtime.clock.now());
    assert_eq!(
        (network.name.as_str(), network.ported, network.source),
        ("Orange", Some(true), Source::Lookup)
    );
    assert_eq!(network.imsi.as_deref(), Some("20801**********"), "the subscriber is nobody's business");
    assert!(double.heard.lock().unwrap().contains("hunter2!"), "the secret header goes with the question");
    assert_eq!(code(&house, &lookups, "4915112345678"), "262");
    assert_eq!(
        lookups.networks().of(house.theirs.tenant(), "33612345678", house.runtime.clock.now()).code,
        "208",
        "an answer is its tenant's own"
    );

    // Another process finds the answer in the table.
    let other = Lookups::new(&house.runtime);
    other.reload().await.unwrap();
    other.before_routing(tenant, ["+33612345678"].into_iter()).await;
    assert_eq!((double.asked(), code(&house, &other, "33612345678").as_str()), (1, "208-01"));

    house.runtime.clock.advance_ms(601_000);
    assert_eq!(code(&house, &lookups, "33612345678"), "208");
    lookups.before_routing(tenant, ["+33612345678"].into_iter()).await;
    assert_eq!(double.asked(), 2);
}

#[tokio::test]
async fn a_service_that_does_not_answer_never_holds_a_message() {
    let (house, lookups) = house().await;
    let tenant = house.ours.tenant();
    let slow = Double::answering(200, r#"{"mcc":"208","mnc":"10"}"#, Duration::from_secs(5)).await;
    service(&house, &lookups, "slow", &slow.url, json!({ "timeout_ms": 5_000, "negative_ttl_s": 60 })).await;
    let begun = tokio::time::Instant::now();
    lookups.before_routing(tenant, ["+33612345678"].into_iter()).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(390) && took < Duration::from_millis(1_500), "{took:?}");
    // Beside a message nobody waits at all.
    let begun = tokio::time::Instant::now();
    lookups.beside_routing(tenant, "33612345679");
    assert!(begun.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn the_next_service_is_asked_and_not_knowing_counts_for_a_short_time() {
    let (house, lookups) = house().await;
    let tenant = house.ours.tenant();
    let broken = Double::answering(500, "no", Duration::ZERO).await;
    let empty = Double::answering(200, r#"{"error":"unknown"}"#, Duration::ZERO).await;
    let first = service(&house, &lookups, "broken", &broken.url, json!({})).await;
    service(&house, &lookups, "empty", &empty.url, json!({ "negative_ttl_s": 30 })).await;
    for _ in 0..3 {
        lookups.before_routing(tenant, ["+33612345678"].into_iter()).await;
    }
    assert_eq!((broken.asked(), empty.asked()), (1, 1), "not knowing is remembered");
    house.runtime.clock.advance_ms(31_000);
    let sound = Double::answering(200, r#"{"r":{"both":"20810"}}"#, Duration::ZERO).await;
    let settings = json!({ "mcc": "", "mnc": "", "mccmnc": "/r/both" });
    service(&house, &lookups, "sound", &sound.url, settings).await;
    let looked =
        lookups.look(&house.ours, &Question { number: "+33612345678".to_owned(), ask: true }).await.unwrap();
    assert_eq!(looked.network.code, "208-10");
    let errors: Vec<_> = looked.asked.iter().map(|told| told.error.as_deref()).collect();
    assert_eq!(errors, [Some("it answered 500"), Some("its answer names no network"), None]);

    // A service that is switched off is not asked, and another tenant's is not to be seen.
    let off = ProviderPatch { active: Some(false), ..ProviderPatch::default() };
    assert_eq!(provider::change(&house.theirs, first, off.clone()).await.unwrap_err().code(), Code::NotFound);
    provider::change(&house.ours, first, off).await.unwrap();
    lookups.reload().await.unwrap();
    let before = broken.asked();
    lookups.look(&house.ours, &Question { number: "+33612345670".to_owned(), ask: true }).await.unwrap();
    assert_eq!(broken.asked(), before);
    let events = house.events().await;
    assert!(events.contains("lookup.created") && !events.contains("hunter2!"));
}

#[tokio::test]
async fn the_plan_tells_more_than_the_country() {
    let (house, lookups) = house().await;
    let csv = "prefix,mcc,mnc,name,country\n33612,208,01,Orange,FR\n336,208,20,Other,FR\n".to_owned();
    assert_eq!(plan::import(&house.ours, &Import { csv }).await.unwrap().lines, 2);
    lookups.reload().await.unwrap();
    assert_eq!(code(&house, &lookups, "33612345678"), "208-01");
    assert_eq!(code(&house, &lookups, "33698345678"), "208-20");
    assert_eq!(code(&house, &lookups, "33712345678"), "208");
    assert_eq!(
        lookups.networks().of(house.theirs.tenant(), "33612345678", house.runtime.clock.now()).code,
        "208"
    );
    let page =
        plan::list(&house.ours, &web::Paging { limit: Some("1".to_owned()), after: None }).await.unwrap();
    let rest = plan::list(&house.ours, &web::Paging { limit: None, after: page.next }).await.unwrap();
    assert_eq!((page.items[0].prefix.as_str(), rest.items[0].prefix.as_str()), ("336", "33612"));
    let refused = plan::import(&house.ours, &Import { csv: "x".to_owned() + "\n1,2,3" }).await.unwrap_err();
    assert_eq!((refused.code(), refused.place()), (Code::InvalidValue, Some("csv")));
    lookups.reload().await.unwrap();
    assert_eq!(code(&house, &lookups, "33612345678"), "208-01", "nothing was changed");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let (house, _) = house().await;
    let cases = [
        (json!({ "url": "https://lookup.example/v1" }), Code::InvalidValue, "settings.url"),
        (json!({ "url": "ftp://lookup.example/{number}" }), Code::InvalidUrl, "settings.url"),
        (json!({ "url": "http://10.0.0.1/{number}" }), Code::InvalidUrl, "settings.url"),
        (
            json!({ "url": "https://lookup.example/{number}", "mcc": "mcc" }),
            Code::InvalidValue,
            "settings.mcc",
        ),
        (
            json!({ "url": "https://lookup.example/{number}", "timeout_ms": 9_000 }),
            Code::InvalidValue,
            "settings.timeout_ms",
        ),
        (
            json!({ "url": "https://lookup.example/{number}", "prefixes": ["x"] }),
            Code::InvalidValue,
            "settings.prefixes",
        ),
        (
            json!({ "url": "https://lookup.example/{number}", "headers": { "a b": "c" } }),
            Code::InvalidValue,
            "settings.headers",
        ),
    ];
    for (settings, code, place) in cases {
        let new = NewProvider { name: "x".to_owned(), settings: patch(settings), ..NewProvider::default() };
        let refused = provider::create(&house.ours, new).await.unwrap_err();
        assert_eq!((refused.code(), refused.place()), (code, Some(place)));
    }
}

#[test]
fn answers_are_read_in_many_forms() {
    let read = |settings: LookupSettings, answer: serde_json::Value| settings.read(&answer);
    let plain = read(LookupSettings::default(), json!({ "mcc": "310", "mnc": "260" })).unwrap();
    assert_eq!(plain.code, "310-260");
    assert_eq!(read(LookupSettings::default(), json!({ "mcc": "310" })).unwrap().code, "310");
    assert_eq!(read(LookupSettings::default(), json!({ "mcc": "no" })), None);
    assert_eq!(read(LookupSettings::default(), json!([1, 2])), None);
    let imsi = LookupSettings {
        imsi: "/imsi".to_owned(),
        reachable: "/status".to_owned(),
        roaming: "/roaming".to_owned(),
        ..LookupSettings::default()
    };
    let read = read(imsi, json!({ "imsi": "208011234567890", "status": "absent", "roaming": 0 })).unwrap();
    assert_eq!((read.code.as_str(), read.reachable, read.roaming), ("208-01", Some(false), Some(false)));
}

#[test]
fn networks_are_told_from_other_texts() {
    for network in ["208", "208-01", "310-260"] {
        assert!(is_network(network), "{network}");
    }
    for other in ["", "20", "2081", "208-1", "208-", "208-0001", "abc", "20a-01"] {
        assert!(!is_network(other), "{other}");
    }
    let network = Network { code: "208-01".to_owned(), ..Network::default() };
    assert!(
        network.is_of("208") && network.is_of("208-01") && !network.is_of("20") && !network.is_of("208-0")
    );
}
