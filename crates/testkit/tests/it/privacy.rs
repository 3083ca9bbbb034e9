//! Persons: what they ask is carried out, and an erased one is nowhere while every sum stands.

use std::collections::{BTreeMap, BTreeSet};

use db::{Tenancy, args, record};
use privacy::certificate::{self, SignedCertificate};
use serde_json::{Value, json};
use testkit::House;

/// Stands in what is about the person and nowhere else.
const MARK: &str = "plaintext-mark";
const PHONE: &str = "33698765432";

#[tokio::test]
async fn every_column_is_named_as_personal_or_not() {
    let house = House::start().await;
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for table in server::serve::personal_tables() {
        let columns = table.columns.split_whitespace().chain(table.others.split_whitespace());
        let before = named.insert(table.table, columns.collect());
        assert!(before.is_none(), "{} is named twice", table.table);
        assert_eq!(table.columns.is_empty(), table.title.is_empty(), "{}", table.table);
    }
    let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for column in house.server.runtime.db.schema().await.unwrap() {
        there.entry(column.table_name).or_default().insert(column.column_name);
    }
    there.remove("schema_migration");
    for (table, columns) in &there {
        let known =
            named.get(table.as_str()).unwrap_or_else(|| panic!("name {table} in its crate's PERSONAL"));
        let known: BTreeSet<String> = known.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(&known, columns, "name each column of {table}: as personal, or among the others");
    }
    for table in named.keys() {
        assert!(there.contains_key(*table), "{table} is named and not there");
    }
    house.stop().await;
}

record! { struct Cell { v: Option<String> } }

/// Everything that lies in the database, as text.
async fn dump(db: &db::Db) -> String {
    let mut all = String::new();
    for column in db.schema().await.unwrap() {
        let (table, name) = (column.table_name, column.column_name);
        let text: &'static str = format!(
            "select cast(\"{name}\" as text) as v from \"{table}\" /* every tenant: a test looks at all */"
        )
        .leak();
        let mut tx = db.read(Tenancy::Every).await.unwrap();
        for cell in tx.all::<Cell>(text, args![]).await.unwrap() {
            if let Some(value) = cell.v {
                all.push_str(&format!("{table}.{name}: {value}\n"));
            }
        }
    }
    all
}

fn lines_with(dump: &str, needle: &str) -> Vec<String> {
    dump.lines().filter(|line| line.to_lowercase().contains(needle)).map(str::to_owned).collect()
}

async fn done(house: &House, id: &str) -> Value {
    let path = format!("/api/v1/privacy/requests/{id}");
    house
        .until("the request is carried out", async || {
            house.admin.get(&path).await.expect(200)["state"] == "done"
        })
        .await;
    house.admin.get(&path).await.expect(200)
}

/// Opens a request, notes the check and carries it out.
async fn carried(house: &House, kind: &str, identifiers: &[&str]) -> String {
    let body = json!({ "kind": kind, "identifiers": identifiers, "note": format!("{MARK} please") });
    let made = house.admin.post("/api/v1/privacy/requests", &body).await.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/privacy/requests/{id}");
    let refused = house.admin.post(&format!("{path}/carry-out"), &json!({})).await;
    assert_eq!(refused.problem(), "identity_unchecked");
    let reason = json!({ "reason": "showed a passport" });
    house.admin.post(&format!("{path}/check"), &reason).await.expect(200);
    house.admin.post(&format!("{path}/carry-out"), &json!({})).await.expect(202);
    id
}

async fn furnish(house: &House) {
    let admin = &house.admin;
    let shown = format!("+{PHONE}");
    for n in 0..5 {
        let body =
            json!({ "to": shown, "text": format!("{MARK} {n}"), "client_ref": format!("{MARK}-ref-{n}") });
        admin.post_keyed("/api/v1/messages", &format!("key-{n}"), &body).await.expect(202);
    }
    admin
        .post("/api/v1/messages", &json!({ "to": "+33611111111", "text": "somebody else" }))
        .await
        .expect(202);
    let later = runtime::Clock::system().now().plus_ms(3_600_000).to_string();
    let scheduled = json!({ "to": shown, "text": format!("{MARK} later"), "schedule_at": later });
    admin.post("/api/v1/messages", &scheduled).await.expect(202);
    admin
        .post_keyed("/api/v1/opt-outs", "opt", &json!({ "phone": shown, "source": format!("{MARK} form") }))
        .await
        .expect(201);
    let list = json!({ "name": "friends", "rule": { "members": [shown, "+33611111111"] } });
    admin.post("/api/v1/distribution-lists", &list).await.expect(201);
    let listed = json!({ "kind": "number", "value": shown, "reason": format!("{MARK} rude") });
    admin.post("/api/v1/blacklist", &listed).await.expect(201);
    let refused = json!({ "to": shown, "text": "no" });
    assert_eq!(admin.post("/api/v1/messages", &refused).await.problem(), "recipient_blacklisted");
    house
        .until("what is written behind the traffic is written", async || {
            admin.get("/api/v1/refusals").await.expect(200)["items"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        })
        .await;
    let consent = json!({
        "identifier": shown, "purpose": "marketing", "channel": "sms", "given": true, "source": "web form",
        "shown": format!("{MARK} I agree"), "address": "192.0.2.77",
    });
    admin.post("/api/v1/privacy/consents", &consent).await.expect(201);
    house
        .until("the messages are delivered", async || {
            let page =
                admin.get(&format!("/api/v1/messages?to=%2B{PHONE}&state=delivered")).await.expect(200);
            page["items"].as_array().is_some_and(|items| items.len() == 5)
        })
        .await;
}

async fn sums(house: &House) -> (Value, Value) {
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);
    (sums["accepted"].clone(), sums["balanced"].clone())
}

#[tokio::test]
async fn an_erased_person_is_nowhere_and_every_sum_stands() {
    let house = House::start().await;
    furnish(&house).await;
    let shown = format!("+{PHONE}");
    let id = carried(&house, "access", &[&shown]).await;
    let request = done(&house, &id).await;
    assert!(request["file_bytes"].as_i64().is_some_and(|bytes| bytes > 500), "{request}");
    let told = file_of(&house, &id).await;
    assert!(told.matches(MARK).count() >= 8, "{told}");
    let (accepted, balanced) = sums(&house).await;
    assert_eq!(balanced, json!(true));
    assert!(!lines_with(&dump(&house.server.runtime.db).await, PHONE).is_empty());

    let id = carried(&house, "erasure", &[&shown]).await;
    let request = done(&house, &id).await;
    assert_eq!(request["identifiers"], json!([]));
    assert!(request["note"].is_null() && request["certified"] == json!(true), "{request}");
    let all = dump(&house.server.runtime.db).await;
    for needle in [PHONE, MARK, "192.0.2.77"] {
        assert_eq!(lines_with(&all, needle), Vec::<String>::new(), "{needle} is still there");
    }
    assert_eq!(sums(&house).await, (accepted, json!(true)));
    let sums = house.admin.get("/api/v1/accounting").await;
    assert!(sums.status == 404 || sums.json()["balanced"] == json!(true), "{}", sums.text);
    let verified = house.admin.get("/api/v1/audit/verify").await.expect(200);
    assert_eq!(verified["whole"], json!(true), "{verified}");

    let signed = house.admin.get(&format!("/api/v1/privacy/requests/{id}/certificate")).await.expect(200);
    let signed: SignedCertificate = serde_json::from_value(signed).unwrap();
    let key = house.admin.get("/api/v1/audit/checkpoints").await.expect(200);
    let told = certificate::verify(&signed, key["public_key"].as_str()).unwrap();
    let rows = |table: &str| told.erased.iter().find(|one| one.table == table).map_or(0, |one| one.rows);
    assert_eq!((rows("message"), rows("opt_out"), rows("blacklist")), (6, 1, 1), "{told:?}");
    let changed = signed.certificate.replace("\"rows\":6", "\"rows\":5");
    assert!(certificate::verify(&SignedCertificate { certificate: changed, ..signed }, None).is_err());

    // The person did not want marketing; erasing them does not bring it back.
    let marketing = json!({ "to": shown, "text": "buy", "intent": "marketing" });
    assert_eq!(house.admin.post("/api/v1/messages", &marketing).await.problem(), "recipient_objected");
    let consents = house.admin.get("/api/v1/privacy/consents").await.expect(200);
    assert_eq!(consents["items"].as_array().map(Vec::len), Some(2), "the count of consents stands");
    assert!(consents["items"][0]["identifier"].is_null());
    house.stop().await;
}

async fn file_of(house: &House, id: &str) -> String {
    let path = format!("/api/v1/privacy/requests/{id}/file");
    let page = house.admin.get(&format!("{path}?format=html")).await;
    assert!(page.status == 200 && page.text.contains(PHONE), "{}", page.text);
    let answer = house.admin.get(&path).await;
    assert!(answer.json()["data"].is_array(), "{}", answer.text);
    answer.text
}

#[tokio::test]
async fn a_restored_backup_is_cleaned_of_who_was_erased() {
    let house = House::start().await;
    let shown = format!("+{PHONE}");
    let runtime = house.server.runtime.clone();
    house.admin.post("/api/v1/opt-outs", &json!({ "phone": shown })).await.expect(201);
    let id = carried(&house, "erasure", &[&shown]).await;
    done(&house, &id).await;
    // As after a restore: the row is back, and the database knows nothing of the erasure.
    let mut tx = runtime.db.write(Tenancy::Every).await.unwrap();
    tx.execute("delete from tombstone where tenant_id > $1", args![0]).await.unwrap();
    tx.execute(
        "insert into opt_out (id, tenant_id, phone, scope, number, word, source, at) values ($1, $2, $3, 'all', '', '', '', 1)",
        args![1, house.server.first_start.tenant, PHONE],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(privacy::tombstone::after_start(&runtime).await.unwrap(), 1);
    house
        .until("the person is erased again", async || lines_with(&dump(&runtime.db).await, PHONE).is_empty())
        .await;
    assert_eq!(privacy::tombstone::after_start(&runtime).await.unwrap(), 0);
    house.stop().await;
}

#[tokio::test]
async fn restriction_and_objection_stand_before_messages() {
    let house = House::start().await;
    let shown = format!("+{PHONE}");
    let send = async |intent: &str| {
        let body = json!({ "to": shown, "text": "x", "intent": intent });
        let answer = house.admin.post("/api/v1/messages", &body).await;
        if answer.status == 202 { "accepted".to_owned() } else { answer.problem() }
    };
    assert_eq!(send("marketing").await, "accepted");
    let objection = carried(&house, "objection", &[&shown]).await;
    assert_eq!(
        (send("marketing").await, send("otp").await),
        ("recipient_objected".into(), "accepted".into())
    );
    let restriction = carried(&house, "restriction", &[&shown]).await;
    assert_eq!(send("otp").await, "recipient_restricted");
    let other = json!({ "to": "+33611111111", "text": "x" });
    house.admin.post("/api/v1/messages", &other).await.expect(202);
    for id in [&restriction, &objection] {
        done(&house, id).await;
        let lift = format!("/api/v1/privacy/requests/{id}/lift");
        house.admin.post(&lift, &json!({ "reason": "they agree again" })).await.expect(200);
    }
    assert_eq!(send("marketing").await, "accepted");
    house.stop().await;
}

/// Has a user noticed, reviewed and given something for a time.
async fn watched(house: &House, user: &str) {
    let admin = &house.admin;
    let noticed = async || {
        admin.get(&format!("/api/v1/security-events?user={user}")).await.expect(200)["items"][0].clone()
    };
    house.until("a new administrator is noticed", async || noticed().await["subject"].is_string()).await;
    assert!(noticed().await["subject"].as_str().unwrap().contains(MARK));
    let event = format!("/api/v1/security-events/{}", noticed().await["id"].as_str().unwrap());
    let taken = json!({ "state": "acknowledged", "note": format!("asked {MARK}") });
    admin.send("PATCH", &event, &taken).await.expect(200);
    let ends_at = runtime::Clock::system().now().plus_ms(3_600_000).to_string();
    let grant = json!({ "user": user, "role": "support", "reason": "a test", "ends_at": ends_at });
    admin.post_keyed("/api/v1/grants", "grant", &grant).await.expect(201);
    let review = admin.post("/api/v1/reviews", &json!({})).await.expect(201);
    let path = format!("/api/v1/reviews/{}", review["id"].as_str().unwrap());
    let lines = admin.get(&path).await.expect(200)["all"].as_array().unwrap().clone();
    let theirs: Vec<_> =
        lines.iter().filter(|line| line["name"].as_str().is_some_and(|name| name.contains(MARK))).collect();
    assert_eq!(theirs.len(), 2, "{lines:?}");
    for line in theirs {
        let keep = json!({ "line": line["number"], "decision": "keep", "note": format!("{MARK} needs it") });
        admin.post_keyed(&format!("{path}/decide"), &line["number"].to_string(), &keep).await.expect(200);
    }
}

#[tokio::test]
async fn a_user_is_erased_and_what_they_did_is_kept_under_their_number() {
    let house = House::start().await;
    let mail = format!("{MARK}@example.org");
    let new = json!({ "email": mail, "name": format!("{MARK} Guest"), "role": "tenant_admin" });
    let user = house.admin.post_keyed("/api/v1/users", "user", &new).await.expect(201);
    let user = user["id"].as_str().unwrap();
    watched(&house, user).await;
    let held = json!({ "identifier": user, "reason": "a case in court" });
    house.admin.send("PUT", "/api/v1/privacy/holds", &held).await.expect(200);
    let body = json!({ "kind": "erasure", "identifiers": [user] });
    let made = house.admin.post("/api/v1/privacy/requests", &body).await.expect(201);
    let path = format!("/api/v1/privacy/requests/{}", made["id"].as_str().unwrap());
    house.admin.post(&format!("{path}/check"), &json!({ "reason": "in person" })).await.expect(200);
    assert_eq!(house.admin.post(&format!("{path}/carry-out"), &json!({})).await.problem(), "conflict");
    let out = json!({ "status": "disabled" });
    house.admin.send("PATCH", &format!("/api/v1/users/{user}"), &out).await.expect(200);
    assert_eq!(house.admin.post(&format!("{path}/carry-out"), &json!({})).await.problem(), "legal_hold");
    house.admin.send("PUT", "/api/v1/privacy/holds", &json!({ "identifier": user })).await.expect(200);
    house.admin.post(&format!("{path}/carry-out"), &json!({})).await.expect(202);
    done(&house, made["id"].as_str().unwrap()).await;
    assert_eq!(lines_with(&dump(&house.server.runtime.db).await, MARK), Vec::<String>::new());
    let shown = house.admin.get(&format!("/api/v1/users/{user}")).await.expect(200);
    assert_eq!((shown["name"].as_str(), shown["status"].as_str()), (Some("erased"), Some("disabled")));
    let verified = house.admin.get("/api/v1/audit/verify").await.expect(200);
    assert_eq!(verified["whole"], json!(true), "{verified}");
    house.stop().await;
}

#[tokio::test]
async fn who_may_not_see_persons_sees_them_masked() {
    let house = House::start().await;
    let body = json!({ "to": format!("+{PHONE}"), "text": MARK });
    let sent = house.admin.post("/api/v1/messages", &body).await.expect(202);
    house.admin.post("/api/v1/opt-outs", &json!({ "phone": format!("+{PHONE}") })).await.expect(201);
    let poor = house.key(&["message.view", "opt_out.view", "conversation.view", "refusal.view"]).await;
    for path in [
        format!("/api/v1/messages/{}", sent["id"].as_str().unwrap()),
        "/api/v1/messages".to_owned(),
        "/api/v1/opt-outs".to_owned(),
    ] {
        let answer = poor.get(&path).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.text.contains(PHONE) && !answer.text.contains(MARK), "{path}: {}", answer.text);
        assert!(answer.text.contains("+336******32"), "{path}: {}", answer.text);
    }
    let rich = house.key(&["message.view", "identifier.view", "content.view"]).await;
    let answer = rich.get("/api/v1/messages").await;
    assert!(answer.text.contains(PHONE) && answer.text.contains(MARK));
    house.stop().await;
}

#[tokio::test]
async fn clocks_run_and_reasons_are_asked_for() {
    let house = House::start().await;
    let ago = |days: i64| runtime::Clock::system().now().plus_ms(-days * 86_400_000).to_string();
    let body = json!({ "kind": "access", "identifiers": [format!("+{PHONE}")], "received_at": ago(40) });
    let made = house.admin.post("/api/v1/privacy/requests", &body).await.expect(201);
    assert_eq!(made["overdue"], json!(true));
    let path = format!("/api/v1/privacy/requests/{}", made["id"].as_str().unwrap());
    let empty = house.admin.post(&format!("{path}/extend"), &json!({ "reason": "" })).await;
    assert_eq!((empty.status, empty.json()["at"].as_str()), (422, Some("reason")));
    let extended =
        house.admin.post(&format!("{path}/extend"), &json!({ "reason": "many copies" })).await.expect(200);
    assert_eq!(extended["overdue"], json!(false));
    let again = house.admin.post(&format!("{path}/extend"), &json!({ "reason": "still many" })).await;
    assert_eq!(again.problem(), "conflict");
    let refused =
        house.admin.post(&format!("{path}/refuse"), &json!({ "reason": "not the person" })).await.expect(200);
    assert_eq!(
        (refused["state"].as_str(), refused["steps"].as_array().map(Vec::len)),
        (Some("refused"), Some(3))
    );
    let breach = json!({ "title": "A lost disk", "discovered_at": ago(4) });
    let breach = house.admin.post("/api/v1/privacy/breaches", &breach).await.expect(201);
    assert_eq!(breach["overdue"], json!(true));
    let path = format!("/api/v1/privacy/breaches/{}/steps", breach["id"].as_str().unwrap());
    let told = json!({ "step": "authority_told", "note": "by their form" });
    assert_eq!(house.admin.post(&path, &told).await.expect(201)["overdue"], json!(false));
    house.admin.post(&path, &json!({ "step": "closed", "note": "encrypted" })).await.expect(201);
    assert_eq!(house.admin.post(&path, &told).await.problem(), "conflict");
    house.stop().await;
}
