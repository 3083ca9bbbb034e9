//! Whoever may not see persons sees them nowhere: every operation of the API that reads and every page of the console is asked by
//! somebody with every right but those two, over a tenant full of one phone, one address and one text.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use server::isolation::knowledge;
use testkit::{Client, House};

use crate::routes::asker;

/// What must be in no answer: phones of persons, an address, and what a message says.
const NEEDLES: [&str; 6] =
    ["33698765432", "33612345678", "33612345679", "33600000007", "anna.marked@", "plaintext-mark"];
const PHONE: &str = "+33698765432";
const ADDRESS: &str = "anna.marked@example.org";
const TEXT: &str = "plaintext-mark";
/// Pages that a crawl of the console opens at most.
const PAGES_MAX: usize = 600;

/// Every place that a person can stand in holds the marked one.
async fn furnish(house: &House) -> BTreeMap<&'static str, String> {
    let admin = &house.admin;
    let (mut records, missing) = knowledge::records(&asker(house), None, "masked").await.unwrap();
    assert_eq!(missing, Vec::<String>::new());
    let account = admin.get("/api/v1/smpp-accounts").await.expect(200)["items"][0]["id"].clone();
    let message = json!({ "to": PHONE, "text": TEXT });
    let later = runtime::Clock::system().now().plus_ms(3_600_000).to_string();
    let trace =
        admin.post("/api/v1/traces", &json!({ "connection": connection(house).await })).await.expect(201);
    let sent = admin.post("/api/v1/messages", &message).await.expect(202);
    let waits = json!({ "to": PHONE, "text": TEXT, "schedule_at": later });
    admin.post("/api/v1/messages", &waits).await.expect(202);
    house
        .until("it is delivered", async || {
            let path = format!("/api/v1/messages/{}", sent["id"].as_str().unwrap());
            admin.get(&path).await.expect(200)["state"] == "delivered"
        })
        .await;
    let phones = house.server.simulator.as_ref().unwrap().phones();
    phones.reply("33698765432", "10000", TEXT).unwrap();
    house
        .until("the phone has written", async || {
            !admin.get("/api/v1/messages?direction=in").await.expect(200)["items"]
                .as_array()
                .unwrap()
                .is_empty()
        })
        .await;
    let list = json!({ "name": "marked", "rule": { "members": [PHONE] } });
    let list = admin.post("/api/v1/distribution-lists", &list).await.expect(201);
    let opt_out = json!({ "phone": PHONE, "source": format!("asked by {ADDRESS}") });
    let opt_out = admin.post("/api/v1/opt-outs", &opt_out).await.expect(201);
    let gateway = admin.get("/api/v1/mail-gateways").await.expect(200)["items"][0].clone();
    let gateway = format!("/api/v1/mail-gateways/{}", gateway["id"].as_str().unwrap());
    let settings = json!({ "settings": { "networks": ["192.0.2.0/24"], "senders": [ADDRESS],
        "sender_of": [{ "address": ADDRESS, "sender": "ACME" }] } });
    admin.send("PATCH", &gateway, &settings).await.expect(200);
    let consent =
        json!({ "identifier": PHONE, "purpose": "news", "channel": "sms", "given": true, "source": ADDRESS });
    admin.post("/api/v1/privacy/consents", &consent).await.expect(201);
    let request = json!({ "kind": "access", "identifiers": [PHONE, ADDRESS] });
    let request = admin.post("/api/v1/privacy/requests", &request).await.expect(201);
    let listed = json!({ "kind": "number", "value": PHONE, "reason": format!("rude to {ADDRESS}") });
    let listed = admin.post("/api/v1/blacklist", &listed).await.expect(201);
    assert_eq!(admin.post("/api/v1/messages", &message).await.problem(), "recipient_blacklisted");
    admin.post("/api/v1/queue/hold", &json!({ "to": PHONE })).await;
    house
        .until("the refusal is written", async || {
            !admin.get("/api/v1/refusals").await.expect(200)["items"].as_array().unwrap().is_empty()
        })
        .await;
    admin.post("/api/v1/cdr-files/rotate", &json!({})).await;
    let file = admin.get("/api/v1/cdr-files").await.expect(200)["items"][0]["id"].clone();
    let text = |value: &Value| value["id"].as_str().unwrap().to_owned();
    records.extend([
        ("/api/v1/messages", text(&sent)),
        ("/api/v1/traces", text(&trace)),
        ("/api/v1/distribution-lists", text(&list)),
        ("/api/v1/opt-outs", text(&opt_out)),
        ("/api/v1/privacy/requests", text(&request)),
        ("/api/v1/blacklist", text(&listed)),
        ("/api/v1/cdr-files", file.as_str().unwrap().to_owned()),
        ("/api/v1/smpp-accounts", account.as_str().unwrap().to_owned()),
    ]);
    records
}

async fn connection(house: &House) -> Value {
    let all = house.admin.get("/api/v1/connections").await.expect(200);
    let bound = all["items"].as_array().unwrap().iter().find(|one| one["status"]["state"] == "bound");
    bound.unwrap()["id"].clone()
}

/// What a role with every right of the tenant but the two has: its permissions by name.
async fn all_but_two(house: &House) -> Vec<String> {
    let mine = house.admin.get("/api/v1/permissions").await.expect(200);
    let all = mine["permissions"].as_array().unwrap().iter();
    // Nobody of the installation's own tenant holds what is over the tenants beneath one's own.
    let of_reseller = |one: &&Value| one["group"] == json!("Reseller");
    all.filter(|one| one["platform"] == json!(false) && !of_reseller(one))
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .filter(|name| name != "identifier.view" && name != "content.view")
        .collect()
}

/// The needles that stand in a text.
fn shown(text: &str) -> Vec<&'static str> {
    NEEDLES.into_iter().filter(|needle| text.contains(needle)).collect()
}

/// The same of a page, whose fields show a number of nobody as an example.
fn shown_on(page: &str) -> Vec<&'static str> {
    shown(page).into_iter().filter(|needle| *needle != "33612345678").collect()
}

#[tokio::test]
async fn who_may_not_see_persons_finds_them_in_no_answer_of_the_api() {
    let house = House::start_with(|config| config.gates.refusals_keep_text = true).await;
    let records = furnish(&house).await;
    let scopes = all_but_two(&house).await;
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let poor = house.key(&scopes).await;
    let document = house.anonymous().get("/openapi.json").await.expect(200);
    let (mut leaks, mut answered, mut seen) = (Vec::new(), 0, BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        if !item["get"].is_object() {
            continue;
        }
        let filled = match path.split_once("/{id}") {
            None => path.replace("{phone}", PHONE.trim_start_matches('+')),
            Some((collection, _)) => match records.get(collection) {
                Some(id) => path.replace("{id}", id),
                None => continue,
            },
        };
        let answer = poor.get(&filled).await;
        answered += usize::from(answer.status < 400);
        if !shown(&answer.text).is_empty() && !filled.contains(PHONE.trim_start_matches('+')) {
            leaks.push(format!("{path} ({}) shows {:?}", answer.status, shown(&answer.text)));
        }
        // The same is there for whoever may see it, or this test would look at nothing.
        seen.extend(shown(&house.admin.get(&filled).await.text));
    }
    assert!(answered > 60, "only {answered} operations were answered");
    assert_eq!(leaks, Vec::<String>::new());
    assert_eq!(seen.len(), NEEDLES.len(), "only {seen:?} can be seen by whoever may");
    let streamed = poor.ask("GET", "/api/v1/events?after=0&limit=1000", &[], None).await;
    assert_eq!(shown(&streamed.text), Vec::<&str>::new());
    house.stop().await;
}

/// The addresses of a page's links that lead to further pages.
fn links(page: &str) -> Vec<String> {
    page.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.starts_with('/') && !link.starts_with("/assets") && !link.starts_with("/docs"))
        .filter(|link| !link.contains("sign-out"))
        .map(|link| link.split('#').next().unwrap_or_default().replace("&amp;", "&"))
        .collect()
}

/// A link without what parts the pages of one list: each kind of page is opened a few times.
fn kind(link: &str) -> String {
    let path = link.split('?').next().unwrap_or_default();
    let parts = path.split('/').map(|part| if part.contains('_') && part.len() > 12 { "{id}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Opens every page that links lead to, and says where a needle stands.
async fn crawl(client: &Client, cookie: &str, begin: &[String]) -> (usize, Vec<String>) {
    let mut queue: VecDeque<String> = begin.iter().cloned().collect();
    let (mut opened, mut kinds, mut leaks) = (BTreeSet::new(), BTreeMap::<String, usize>::new(), Vec::new());
    while let Some(link) = queue.pop_front() {
        let seen = kinds.entry(kind(&link)).or_default();
        if *seen >= 4 || opened.len() >= PAGES_MAX || !opened.insert(link.clone()) {
            continue;
        }
        *seen += 1;
        let answer = client.ask("GET", &link, &[("cookie", cookie)], None).await;
        if !shown_on(&answer.text).is_empty() {
            leaks.push(format!("{link} ({}) shows {:?}", answer.status, shown_on(&answer.text)));
        }
        queue.extend(links(&answer.text));
    }
    (opened.len(), leaks)
}

#[tokio::test]
async fn who_may_not_see_persons_finds_them_on_no_page_of_the_console() {
    let house = House::start_with(|config| config.gates.refusals_keep_text = true).await;
    let records = furnish(&house).await;
    let held: serde_json::Map<String, Value> =
        all_but_two(&house).await.into_iter().map(|name| (name, json!("all"))).collect();
    house.admin.post("/api/v1/roles", &json!({ "name": "blind", "permissions": held })).await.expect(201);
    let user = json!({ "email": "blind@example.com", "name": "Blind", "role": "blind" });
    let user = house.admin.post("/api/v1/users", &user).await.expect(201);
    let link = format!("/api/v1/users/{}/link", user["id"].as_str().unwrap());
    let link = house.admin.post(&link, &json!({})).await.expect(201);
    let cookie = house.sign_in(link["url"].as_str().unwrap()).await;
    let pages = [
        ("/messages", "/api/v1/messages"),
        ("/traces", "/api/v1/traces"),
        ("/distribution-lists", "/api/v1/distribution-lists"),
        ("/privacy/requests", "/api/v1/privacy/requests"),
    ];
    let mut begin = vec!["/".to_owned(), "/phones".to_owned()];
    begin.extend(pages.iter().map(|(page, collection)| format!("{page}/{}", records[collection])));
    let (opened, leaks) = crawl(&house.anonymous(), &cookie, &begin).await;
    assert!(opened > 60, "only {opened} pages were found");
    assert_eq!(leaks, Vec::<String>::new());
    house.stop().await;
}
