//! Every route of the API: described, closed to outsiders, closed to other tenants, and to keys without its permission.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::House;

/// Each operation of the OpenAPI document: method and path.
async fn operations(house: &House) -> Vec<(String, String, Value)> {
    let document = house.anonymous().get("/openapi.json").await.expect(200);
    assert_eq!(document["openapi"].as_str().map(|version| version.starts_with("3.1")), Some(true));
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                found.push((method.to_uppercase(), path.clone(), operation.clone()));
            }
        }
    }
    assert!(found.len() >= 40, "only {} operations are described", found.len());
    found
}

/// An id of the first tenant for each kind of record that a path can name.
async fn records(house: &House) -> BTreeMap<&'static str, String> {
    let admin = &house.admin;
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let first = |list: Value| list["items"][0]["id"].as_str().unwrap().to_owned();
    let message =
        admin.post("/api/v1/messages", &json!({ "to": "+33612345678", "text": "mine" })).await.expect(202);
    admin.send("PATCH", "/api/v1/cdr-settings", &json!({ "active": true })).await.expect(200);
    admin.post("/api/v1/messages", &json!({ "to": "+33612345679", "text": "a record" })).await.expect(202);
    let files = async || admin.get("/api/v1/cdr-files").await.expect(200);
    house
        .until("a file of records is closed", async || {
            admin.post("/api/v1/cdr-files/rotate", &json!({})).await.expect(200);
            files().await["items"][0]["id"].is_string()
        })
        .await;
    let made = async |path: &str, body: Value| id(&admin.post(path, &body).await.expect(201));
    let number = made("/api/v1/inbound-numbers", json!({ "number": "+33700000000" })).await;
    let account = first(admin.get("/api/v1/smpp-accounts").await.expect(200));
    let mail = json!({ "account": account, "subdomain": "mine" });
    let mail = made("/api/v1/mail-gateways", mail).await;
    let over_http = json!({ "protocol": "http", "http": { "dialect": "twilio" } });
    let over_http = json!({ "name": "Provider", "wanted": "stopped", "settings": over_http });
    let over_http = made("/api/v1/connections", over_http).await;
    let service = json!({ "name": "Hub", "settings": { "url": "https://lookup.example/{number}" } });
    let lookup = admin.post("/api/v1/lookup-providers", &service).await.expect(201);
    let role = json!({ "name": "night-shift-of-one", "permissions": { "message.view": "all" } });
    admin.post("/api/v1/roles", &role).await.expect(201);
    let guest = json!({ "email": "guest@example.org", "name": "Guest", "role": "viewer" });
    let guest = made("/api/v1/users", guest).await;
    let ends_at = runtime::Clock::system().now().plus_ms(3_600_000).to_string();
    let grant = json!({ "user": guest, "role": "support", "reason": "a test", "ends_at": ends_at });
    let grant = made("/api/v1/grants", grant).await;
    let trace = made("/api/v1/traces", json!({ "account": account })).await;
    let mut records = watched(house, &guest).await;
    records.extend(machines(house).await);
    records.extend(gates(house).await);
    records.extend(persons(house).await);
    records.extend([
        ("/api/v1/cdr-files", first(files().await)),
        ("/api/v1/inbound-numbers", number),
        ("/api/v1/mail-gateways", mail),
        ("/api/v1/opt-outs", made("/api/v1/opt-outs", json!({ "phone": "+33600000009" })).await),
        (
            "/api/v1/distribution-lists",
            made("/api/v1/distribution-lists", json!({ "name": "friends" })).await,
        ),
        ("/api/v1/pauses", made("/api/v1/pauses", json!({ "kind": "intent", "target": "marketing" })).await),
        ("/api/v1/messages", id(&message)),
        ("/api/v1/smpp-accounts", first(admin.get("/api/v1/smpp-accounts").await.expect(200))),
        ("/api/v1/connections", over_http),
        ("/api/v1/routes", first(admin.get("/api/v1/routes").await.expect(200))),
        ("/api/v1/lookup-providers", id(&lookup)),
        ("/api/v1/traces", trace),
        ("/api/v1/roles", "night-shift-of-one".to_owned()),
        ("/api/v1/teams", made("/api/v1/teams", json!({ "name": "Night" })).await),
        ("/api/v1/grants", grant),
        ("/api/v1/route-versions", first(admin.get("/api/v1/route-versions").await.expect(200))),
        ("/api/v1/api-keys", first(admin.get("/api/v1/api-keys").await.expect(200))),
        ("/api/v1/users", first(admin.get("/api/v1/users").await.expect(200))),
        ("/api/v1/tenants", first(admin.get("/api/v1/tenants").await.expect(200))),
    ]);
    records
}

/// Records of what is asked before a message is taken.
async fn gates(house: &House) -> BTreeMap<&'static str, String> {
    let new = [
        ("/api/v1/senders", json!({ "name": "ACME" })),
        ("/api/v1/sender-pools", json!({ "name": "Pool", "rule": { "members": [{ "sender": "ACME" }] } })),
        ("/api/v1/blacklist", json!({ "kind": "number", "value": "+33600000000" })),
        ("/api/v1/firewall-rules", json!({ "name": "Links", "rule": {} })),
        ("/api/v1/hours", json!({ "name": "Slow", "rule": { "parts_per_second": 1000 } })),
    ];
    let mut made = BTreeMap::new();
    for (path, body) in new {
        let record = house.admin.post(path, &body).await.expect(201);
        made.insert(path, record["id"].as_str().unwrap_or_default().to_owned());
    }
    made
}

/// Records of programs and of the services that people sign in with.
async fn machines(house: &House) -> BTreeMap<&'static str, String> {
    let made = async |path: &str, body: Value| {
        house.admin.post(path, &body).await.expect(201)["id"].as_str().unwrap_or_default().to_owned()
    };
    let client = json!({ "name": "App", "scopes": ["message.view"] });
    let provider = json!({ "name": "Login", "issuer": "https://login.example", "client_id": "x" });
    BTreeMap::from([
        ("/api/v1/oauth-clients", made("/api/v1/oauth-clients", client).await),
        ("/api/v1/identity-providers", made("/api/v1/identity-providers", provider).await),
    ])
}

/// Records of what persons have asked, and of what went wrong with their data.
async fn persons(house: &House) -> BTreeMap<&'static str, String> {
    let made = async |path: &str, body: Value| {
        house.admin.post(path, &body).await.expect(201)["id"].as_str().unwrap_or_default().to_owned()
    };
    let request = json!({ "kind": "access", "identifiers": ["+33600000007"] });
    BTreeMap::from([
        ("/api/v1/privacy/requests", made("/api/v1/privacy/requests", request).await),
        (
            "/api/v1/privacy/breaches",
            made("/api/v1/privacy/breaches", json!({ "title": "A lost disk" })).await,
        ),
    ])
}

/// Records of those who watch: who is told, what was noticed, what is reviewed, what is chosen from.
async fn watched(house: &House, guest: &str) -> BTreeMap<&'static str, String> {
    let admin = &house.admin;
    let made = async |path: &str, body: Value| {
        admin.post(path, &body).await.expect(201)["id"].as_str().unwrap_or_default().to_owned()
    };
    let review = made("/api/v1/reviews", json!({})).await;
    let alert = json!({ "name": "All", "people": [guest] });
    let alert = made("/api/v1/alert-rules", alert).await;
    made("/api/v1/value-lists", json!({ "name": "colours", "titles": { "en": "Colours" } })).await;
    let noticed = async || admin.get("/api/v1/security-events?kind=privilege_change").await.expect(200);
    house.until("a grant is noticed", async || noticed().await["items"][0]["id"].is_string()).await;
    BTreeMap::from([
        ("/api/v1/alert-rules", alert),
        ("/api/v1/reviews", review),
        ("/api/v1/security-events", noticed().await["items"][0]["id"].as_str().unwrap().to_owned()),
        ("/api/v1/value-lists", "colours".to_owned()),
    ])
}

/// The path with the first tenant's id in it.
fn filled(path: &str, records: &BTreeMap<&'static str, String>) -> String {
    let Some((collection, _)) = path.split_once("/{id}") else { return path.to_owned() };
    if collection == "/api/v1/me/consents" {
        // One's own alone: a program has none, whatever the id.
        return path.replace("{id}", "cns_0000000000001");
    }
    let id = records.get(collection).unwrap_or_else(|| panic!("give {path} a record in this test"));
    path.replace("{id}", id)
}

#[tokio::test]
async fn every_route_is_described() {
    let house = House::start().await;
    for (method, path, operation) in operations(&house).await {
        assert!(
            operation["summary"].as_str().is_some_and(|text| text.len() > 5),
            "{method} {path} has no summary"
        );
        assert!(
            operation["responses"].as_object().is_some_and(|all| !all.is_empty()),
            "{method} {path} has no response"
        );
        assert!(operation["tags"][0].is_string(), "{method} {path} has no tag");
        let too_fast = &operation["responses"]["429"]["headers"];
        assert!(too_fast["Retry-After"].is_object() && too_fast["RateLimit"].is_object(), "{method} {path}");
    }
    house.stop().await;
}

#[tokio::test]
async fn no_route_opens_for_an_outsider() {
    let house = House::start().await;
    let records = records(&house).await;
    let powerless = house.key(&["simulator.use"]).await;
    let mut missing = std::collections::BTreeSet::new();
    let wrong = house.anonymous().with_key("sb_live_of_nobody_at_all_0123456789abcdef");
    for (method, path, _) in operations(&house).await {
        let path = filled(&path, &records);
        for outsider in [house.anonymous(), wrong.clone()] {
            let answer = outsider.send(&method, &path, &json!({})).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (401, "unauthenticated"),
                "{method} {path}"
            );
        }
        if ["/api/v1/me", "/api/v1/permissions"].contains(&path.as_str()) {
            continue;
        }
        let asked = match path.as_str() {
            "/api/v1/explain" => format!("{path}?who={}&permission=message.send", records["/api/v1/users"]),
            _ => path.clone(),
        };
        let answer = powerless.send(&method, &asked, &plausible(&method, &path)).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (403, "forbidden"),
            "{method} {path}: {}",
            answer.text
        );
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        missing.extend(detail.split_whitespace().find(|word| word.contains('.')).map(str::to_owned));
    }
    // What the API refuses for want of a permission is the catalogue: nothing stands in it that opens no door.
    let catalogue = house.admin.get("/api/v1/permissions").await.expect(200);
    let names = catalogue["permissions"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    let idle: Vec<&str> = names.filter(|name| !missing.contains(*name) && !BESIDE.contains(name)).collect();
    assert!(idle.is_empty(), "no route asks for {idle:?}");
    house.stop().await;
}

/// Permissions that no route of the API asks for first: the console's phones, and what an operation asks for beside another
/// permission or for some of its requests.
const BESIDE: &[&str] = &[
    "simulator.use",
    "user.role",
    "lookup.ask",
    "held.release",
    "tenant.change",
    "event.view",
    // They say how much is shown.
    "identifier.view",
    "content.view",
    // Asked for beside privacy.decide, and by what erases again.
    "privacy.erase",
];

#[tokio::test]
async fn no_route_shows_or_changes_another_tenants_record() {
    let house = House::start().await;
    let records = records(&house).await;
    let (_, neighbour) = house.neighbour().await;
    for (method, path, _) in operations(&house).await {
        let names_record = path.contains("{id}");
        let path = filled(&path, &records);
        if names_record {
            let answer = neighbour.send(&method, &path, &plausible(&method, &path)).await;
            let forbidden = ["/tenants/", "/me/"].iter().any(|part| path.contains(part));
            let closed = answer.status == 404 || (answer.status == 403 && forbidden);
            assert!(closed, "{method} {path}: {} {}", answer.status, answer.text);
        } else if method == "GET" {
            let answer = neighbour.get(&path).await;
            for (collection, id) in &records {
                assert!(
                    !answer.text.contains(id.as_str()),
                    "{path} shows the other tenant's {collection} {id}"
                );
            }
        }
    }
    for (collection, id) in &records {
        assert_eq!(
            house.admin.get(&format!("{collection}/{id}")).await.status,
            200,
            "{collection} is as it was"
        );
    }
    house.stop().await;
}

/// The same of what persons ask, by the path behind `privacy`.
fn plausible_of_persons(method: &str, path: &[&str]) -> Value {
    match (method, path) {
        ("POST", ["requests"]) => json!({ "kind": "access", "identifiers": ["+33600000006"] }),
        ("POST", ["requests", _, "check" | "extend" | "refuse" | "lift"]) => {
            json!({ "reason": "a test" })
        }
        ("PUT", ["holds"]) => json!({ "identifier": "+33600000006" }),
        ("POST", ["consents"]) => json!({
            "identifier": "+33600000006", "purpose": "x", "channel": "sms", "given": true, "source": "a test",
        }),
        ("POST", ["breaches"]) => json!({ "title": "Another" }),
        ("POST", ["breaches", _, "steps"]) => json!({ "step": "note", "note": "a test" }),
        ("PATCH", _) => json!({ "name": "Changed" }),
        _ => json!({}),
    }
}

/// A body that an operation can read, so that its refusal is about permission and not about form.
fn plausible(method: &str, path: &str) -> Value {
    match (method, path.trim_start_matches("/api/v1/").split('/').collect::<Vec<_>>().as_slice()) {
        ("POST", ["messages"]) => json!({ "to": "+33612345678", "text": "x" }),
        ("POST", ["messages", "batch"]) => json!({ "messages": [{ "to": "+33612345678", "text": "x" }] }),
        ("POST", ["messages", "quote"]) => json!({ "to": "+33612345678", "text": "x" }),
        ("POST", ["messages", "batch", "quote"]) => {
            json!({ "messages": [{ "to": "+33612345678", "text": "x" }] })
        }
        ("POST", ["messages", _, "replace"]) => json!({ "text": "x" }),
        ("POST", ["smpp-accounts"]) => json!({ "system_id": "another" }),
        ("POST", ["connections"]) => {
            json!({ "name": "Another", "settings": { "host": "127.0.0.1", "system_id": "x" } })
        }
        ("POST", ["routes"]) => json!({ "name": "Another", "rule": { "targets": [] } }),
        ("PUT", ["number-plan"]) => json!({ "csv": "" }),
        ("POST", ["lookups"]) => json!({ "number": "+33612345678" }),
        ("POST", ["lookup-providers"]) => {
            json!({ "name": "Another", "settings": { "url": "https://lookup.example/{number}" } })
        }
        ("PUT", ["sign-in-policy"]) => json!({ "mail_codes": true }),
        ("PUT", ["route-draft"]) => json!({ "routes": [] }),
        ("POST", ["routes", "try"]) => json!({ "to": "+33612345678" }),
        ("POST", ["api-keys"]) => json!({ "name": "x", "scopes": ["message.send"] }),
        ("POST", ["roles"]) => json!({ "name": "another" }),
        ("PATCH", ["roles", _]) => json!({ "title": "Changed" }),
        ("POST", ["reviews", _, "decide"]) => json!({ "line": 1, "decision": "keep" }),
        ("POST", ["alert-rules"]) => json!({ "name": "Another", "people": ["usr_0000000000001"] }),
        ("POST", ["value-lists"]) => json!({ "name": "another", "titles": { "en": "Another" } }),
        ("PATCH", ["value-lists", _]) => json!({ "titles": { "en": "Changed" } }),
        ("PATCH", ["security-events", _]) => json!({ "state": "acknowledged" }),
        ("POST", ["teams"]) => json!({ "name": "Another" }),
        ("POST", ["grants"]) => json!({
            "user": "usr_0000000000001", "role": "viewer", "reason": "x", "ends_at": "2099-01-01T00:00:00Z",
        }),
        ("POST", ["oauth-clients"]) => json!({ "name": "x", "scopes": ["message.send"] }),
        ("POST", ["identity-providers"]) => {
            json!({ "name": "Another", "issuer": "https://login.example", "client_id": "x" })
        }
        ("POST", ["users"]) => json!({ "email": "x@example.org", "name": "x", "role": "viewer" }),
        ("POST", ["tenants"]) => json!({ "name": "x" }),
        ("PATCH", ["cdr-settings"]) => json!({ "active": true }),
        ("POST", ["senders"]) => json!({ "name": "Another" }),
        ("POST", ["distribution-lists"]) => json!({ "name": "another" }),
        ("PATCH", ["distribution-lists", _]) => json!({ "name": "changed" }),
        ("POST", ["sender-pools" | "firewall-rules" | "hours"]) => json!({ "name": "Another", "rule": {} }),
        ("PUT", ["sender-policies"]) => json!({ "whose": "api", "policy": {} }),
        ("POST", ["blacklist"]) => json!({ "kind": "number", "value": "+33600000001" }),
        ("POST", ["blacklist", "import"]) => json!({ "text": "+33600000001" }),
        ("POST", ["inbound-numbers"]) => json!({ "number": "+33700000001" }),
        ("POST", ["mail-gateways"]) => json!({ "account": "acc_01h5b2c3d4e5f", "subdomain": "another" }),
        ("POST", ["mail", "test"]) => json!({ "to": "anna@example.com" }),
        ("POST", ["conversations", _, "reply"]) => json!({ "text": "x" }),
        ("POST", ["opt-outs"]) => json!({ "phone": "+33600000008" }),
        ("POST", ["opt-outs", "import"]) => json!({ "text": "+33600000008" }),
        ("POST", ["pauses"]) => json!({ "kind": "intent", "target": "otp" }),
        ("POST", ["queue", _]) => json!({ "to": "+33612345678" }),
        ("POST", ["dead-letters", "redrive"]) => json!({ "filter": {} }),
        ("POST", ["dead-jobs", _]) => json!({ "all": true }),
        ("POST", ["gates", "check"]) => json!({ "to": "+33612345678" }),
        ("POST", ["connections", _, "renew"] | ["smpp-accounts", _, "unbind"]) => json!({ "bind": 1 }),
        (_, ["privacy", rest @ ..]) => plausible_of_persons(method, rest),
        ("POST", ["traces"]) => json!({ "connection": "con_0000000000001" }),
        ("PATCH", ["senders", _]) => json!({ "record": { "note": "changed" } }),
        ("PATCH", _) => json!({ "name": "Changed" }),
        _ => json!({}),
    }
}
