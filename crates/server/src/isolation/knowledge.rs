//! What the API's routes are about: a record of each kind that a path can name, and bodies that each operation can read. The
//! test of every route reads the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use types::{Error, Result};

use super::Asker;

/// Tries until what appears a moment later is there, such as a closed file of records.
const TRIES: u32 = 100;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_default().to_owned()
}

async fn first(admin: &Asker, path: &str) -> Result<String> {
    let list = admin.get(path).await?.json();
    Ok(id(&list["items"][0]))
}

/// A message that waits, and a closed file of the record of another one, which was cancelled.
async fn traffic(admin: &Asker, found: &mut BTreeMap<&'static str, String>) -> Result<Option<String>> {
    admin.ask("PATCH", "/api/v1/cdr-settings", &json!({ "active": true })).await?;
    let message = json!({ "to": "+33612345678", "text": "mine", "schedule_at": in_an_hour() });
    let message =
        admin.ask("POST", "/api/v1/messages", &message).await?.with(202, "POST /api/v1/messages")?;
    found.insert("/api/v1/messages", id(&message));
    let other = json!({ "to": "+33612345679", "text": "a record", "schedule_at": in_an_hour() });
    let other = id(&admin.ask("POST", "/api/v1/messages", &other).await?.json());
    admin.ask("POST", &format!("/api/v1/messages/{other}/cancel"), &json!({})).await?;
    for _ in 0..TRIES {
        admin.ask("POST", "/api/v1/cdr-files/rotate", &json!({})).await?;
        let file = first(admin, "/api/v1/cdr-files").await?;
        if !file.is_empty() {
            found.insert("/api/v1/cdr-files", file);
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Some("no file of call detail records was closed; are they switched off?".to_owned()))
}

/// Records of those who watch: who is told, what was noticed, what is reviewed, what is chosen from.
async fn watched(
    admin: &Asker,
    guest: &str,
    mark: &str,
    found: &mut BTreeMap<&'static str, String>,
) -> Result<Option<String>> {
    let alert = json!({ "name": "All", "people": [guest] });
    found.insert("/api/v1/alert-rules", id(&admin.made("/api/v1/alert-rules", alert).await?));
    found.insert("/api/v1/reviews", id(&admin.made("/api/v1/reviews", json!({})).await?));
    let list = format!("colours_{mark}");
    admin.made("/api/v1/value-lists", json!({ "name": list, "titles": { "en": "Colours" } })).await?;
    found.insert("/api/v1/value-lists", list);
    for _ in 0..TRIES {
        let noticed = first(admin, "/api/v1/security-events?kind=privilege_change").await?;
        if !noticed.is_empty() {
            found.insert("/api/v1/security-events", noticed);
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Some("no security event came of a grant; are they switched off?".to_owned()))
}

/// Records of programs and of the services that people sign in with.
async fn machines(
    admin: &Asker,
    person: Option<&Asker>,
    mark: &str,
    found: &mut BTreeMap<&'static str, String>,
) -> Result<()> {
    let client = json!({ "name": "App", "scopes": ["message.view"], "redirect_uris": [LED_BACK] });
    let provider =
        json!({ "name": format!("Login {mark}"), "issuer": "https://login.example", "client_id": "x" });
    let client = id(&admin.made("/api/v1/oauth-clients", client).await?);
    found
        .insert("/api/v1/identity-providers", id(&admin.made("/api/v1/identity-providers", provider).await?));
    let settings = json!({ "servers": ["ldaps://directory.isolation.invalid"], "base": "dc=isolation" });
    let directory = json!({ "name": format!("Directory {mark}"), "settings": settings });
    found.insert("/api/v1/directories", id(&admin.made("/api/v1/directories", directory).await?));
    if let Some(person) = person {
        found.insert("/api/v1/me/consents", consent(person, &client).await?);
    }
    found.insert("/api/v1/oauth-clients", client);
    Ok(())
}

/// Where the application would be led back to.
const LED_BACK: &str = "https://app.isolation.example/back";

/// Lets an application act for a person.
async fn consent(person: &Asker, client: &str) -> Result<String> {
    // Nobody asks for the code, so no verifier belongs to this challenge.
    let challenge = "A".repeat(43);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", LED_BACK),
            ("code_challenge_method", "S256"),
            ("code_challenge", &challenge),
            ("answer", "allow"),
        ])
        .finish();
    person.form("/oauth/authorize", form).await?;
    let mine = person.get("/api/v1/me/consents").await?.json();
    Ok(id(&mine[0]))
}

/// Records of what persons have asked, and of what went wrong with their data.
async fn persons(admin: &Asker, found: &mut BTreeMap<&'static str, String>) -> Result<()> {
    let request = json!({ "kind": "access", "identifiers": ["+33600000007"] });
    found.insert("/api/v1/privacy/requests", id(&admin.made("/api/v1/privacy/requests", request).await?));
    let breach = json!({ "title": "A lost disk" });
    found.insert("/api/v1/privacy/breaches", id(&admin.made("/api/v1/privacy/breaches", breach).await?));
    Ok(())
}

fn in_an_hour() -> String {
    runtime::Clock::system().now().plus_ms(3_600_000).to_string()
}

/// Makes a record of each kind that a path can name, for the tenant of somebody who may do everything there: by the record's
/// collection, its id. Beside them, in words, what could not be made. What only people have is made where a person is given.
///
/// # Errors
/// When the server refuses one.
pub async fn records(
    admin: &Asker,
    person: Option<&Asker>,
    mark: &str,
) -> Result<(BTreeMap<&'static str, String>, Vec<String>)> {
    let mut found = BTreeMap::new();
    let account = admin.made("/api/v1/smpp-accounts", json!({ "system_id": format!("p{mark}") })).await?;
    let account = id(if account["account"].is_object() { &account["account"] } else { &account });
    let over_http = json!({ "protocol": "http", "http": { "dialect": "twilio" } });
    let over_http = json!({ "name": format!("Provider {mark}"), "wanted": "started", "settings": over_http });
    let connection = id(&admin.made("/api/v1/connections", over_http).await?);
    let rule = json!({ "targets": [{ "connection": connection }] });
    let route = json!({ "name": format!("Route {mark}"), "priority": 1, "rule": rule });
    found.insert("/api/v1/routes", id(&admin.made("/api/v1/routes", route).await?));
    let mut missing: Vec<String> = traffic(admin, &mut found).await?.into_iter().collect();
    let guest =
        json!({ "email": format!("guest@{mark}.isolation.invalid"), "name": "Guest", "role": "viewer" });
    let guest = id(&admin.made("/api/v1/users", guest).await?);
    let role = format!("night-shift-{mark}");
    let pool = json!({ "members": [{ "sender": "ACME" }] });
    let made = [
        ("/api/v1/senders", json!({ "name": "ACME" })),
        ("/api/v1/sender-pools", json!({ "name": "Pool", "rule": pool })),
        ("/api/v1/blacklist", json!({ "kind": "number", "value": "+33600000000" })),
        ("/api/v1/firewall-rules", json!({ "name": "Links", "rule": {} })),
        ("/api/v1/hours", json!({ "name": "Slow", "rule": { "parts_per_second": 1000 } })),
        ("/api/v1/inbound-numbers", json!({ "number": "+33700000000" })),
        ("/api/v1/mail-gateways", json!({ "account": account, "subdomain": format!("m{mark}") })),
        ("/api/v1/opt-outs", json!({ "phone": "+33600000009" })),
        ("/api/v1/distribution-lists", json!({ "name": "friends" })),
        ("/api/v1/pauses", json!({ "kind": "intent", "target": "marketing" })),
        (
            "/api/v1/lookup-providers",
            json!({ "name": "Hub", "settings": { "url": "https://lookup.example/{number}" } }),
        ),
        ("/api/v1/traces", json!({ "account": account })),
        ("/api/v1/roles", json!({ "name": role, "permissions": { "message.view": "all" } })),
        ("/api/v1/teams", json!({ "name": "Night" })),
        (
            "/api/v1/grants",
            json!({ "user": guest, "role": "support", "reason": "a probe", "ends_at": in_an_hour() }),
        ),
        ("/api/v1/domains", json!({ "host": format!("sms-{mark}.isolation.example") })),
    ];
    for (collection, body) in made {
        found.insert(collection, id(&admin.made(collection, body).await?));
    }
    missing.extend(watched(admin, &guest, mark, &mut found).await?);
    machines(admin, person, mark, &mut found).await?;
    persons(admin, &mut found).await?;
    found.insert("/api/v1/roles", role);
    found.insert("/api/v1/smpp-accounts", account);
    found.insert("/api/v1/connections", connection);
    found.insert("/api/v1/users", guest);
    found.insert("/api/v1/route-versions", first(admin, "/api/v1/route-versions").await?);
    found.insert("/api/v1/api-keys", first(admin, "/api/v1/api-keys").await?);
    found.insert("/api/v1/tenants", id(&admin.get("/api/v1/organisation").await?.json()));
    match found.iter().find(|(_, id)| id.is_empty()) {
        Some((collection, _)) => {
            Err(Error::new(types::Code::Unavailable, format!("no record of {collection} could be made")))
        }
        None => Ok((found, missing)),
    }
}

/// Requests that name a record of a tenant in their body or their query: method, path, body.
pub fn references(records: &BTreeMap<&'static str, String>) -> Vec<(&'static str, String, Value)> {
    let of = |collection: &str| records.get(collection).cloned().unwrap_or_default();
    let (user, account) = (of("/api/v1/users"), of("/api/v1/smpp-accounts"));
    let (connection, message) = (of("/api/v1/connections"), of("/api/v1/messages"));
    let post = |path: &str, body: Value| ("POST", path.to_owned(), body);
    vec![
        post(
            "/api/v1/grants",
            json!({ "user": user, "role": "viewer", "reason": "x", "ends_at": in_an_hour() }),
        ),
        post("/api/v1/teams", json!({ "name": "Mixed", "members": [user] })),
        post("/api/v1/mail-gateways", json!({ "account": account, "subdomain": "mixed" })),
        post("/api/v1/traces", json!({ "account": account })),
        post("/api/v1/traces", json!({ "connection": connection })),
        post("/api/v1/pauses", json!({ "kind": "connection", "target": connection })),
        post("/api/v1/pauses", json!({ "kind": "account", "target": account })),
        post(
            "/api/v1/routes",
            json!({ "name": "Mixed", "rule": { "targets": [{ "connection": connection }] } }),
        ),
        ("PUT", "/api/v1/sender-policies".to_owned(), json!({ "whose": account, "policy": {} })),
        ("GET", format!("/api/v1/explain?who={user}&permission=message.send"), Value::Null),
        ("GET", format!("/api/v1/messages?account={account}"), Value::Null),
        ("GET", format!("/api/v1/messages?connection={connection}"), Value::Null),
        ("GET", format!("/api/v1/audit?subject={message}"), Value::Null),
    ]
}

/// The same of what persons ask, by the path behind `privacy`.
fn plausible_of_persons(method: &str, path: &[&str]) -> Value {
    match (method, path) {
        ("POST", ["requests"]) => json!({ "kind": "access", "identifiers": ["+33600000006"] }),
        ("POST", ["requests", _, "check" | "extend" | "refuse" | "lift"]) => {
            json!({ "reason": "a test" })
        }
        ("PUT", ["retention"]) => json!({ "class": "refusal", "keep_h": 48 }),
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
pub fn plausible(method: &str, path: &str) -> Value {
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
        ("PUT", ["route-draft"]) => json!({ "routes": [] }),
        ("POST", ["routes", "try"]) => json!({ "to": "+33612345678" }),
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
        (_, rest) => plausible_of_access(method, rest),
    }
}

/// As [`plausible`], for who may do what, and for the tenant itself.
fn plausible_of_access(method: &str, rest: &[&str]) -> Value {
    match (method, rest) {
        ("PUT", ["me", "phone"]) => json!({ "phone": "+33612345678" }),
        ("POST", ["me", "phone", "confirm"]) => json!({ "code": "123456" }),
        ("PUT", ["sign-in-policy"]) => json!({ "mail_codes": true }),
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
        ("POST", ["identity-providers", _, "subjects"]) => {
            json!({ "subject": "x", "user_id": "usr_0000000000001" })
        }
        ("POST", ["identity-providers", _, "subjects", "untie"]) => json!({ "subject": "x" }),
        ("POST", ["directories"]) => json!({
            "name": "Another", "settings": { "servers": ["ldaps://directory.isolation.invalid"], "base": "dc=isolation" },
        }),
        ("POST", ["directories", _, "people", "untie"]) => json!({ "user_id": "usr_0000000000001" }),
        ("POST", ["users"]) => json!({ "email": "x@example.org", "name": "x", "role": "viewer" }),
        ("PUT", ["registration-policy"]) => json!({ "open": false }),
        ("POST", ["registrations", "decide"]) => {
            json!({ "registration": "reg_0000000000001", "decision": "refuse" })
        }
        ("POST", ["users", _, "impersonation"]) => json!({ "reason": "a test" }),
        ("POST", ["tenants"]) => json!({ "name": "x" }),
        ("POST", ["tenants", _, "administrator"]) => json!({ "email": "x@example.org", "name": "x" }),
        ("PUT", ["tenants", _, "parent"]) => json!({ "parent": null }),
        ("POST", ["tenants", _, "erasure"] | ["organisation", "erasure"]) => json!({ "name": "x" }),
        (
            "POST",
            ["tenants", _, "suitcases"] | ["organisation", "suitcases"] | ["suitcases", _, "restore"],
        ) => {
            json!({ "passphrase": "six words that nobody would guess" })
        }
        ("POST", ["domains"]) => json!({ "host": "another.example.org" }),
        ("PATCH", _) => json!({ "name": "Changed" }),
        _ => json!({}),
    }
}
