//! Retention: a tenant says for how long each class of its data is kept, what is older goes, and nothing else does.

use db::{Arg, Engine, Tenancy, Tx, args, record};
use runtime::personal::Kept;
use runtime::retention::{Forget, Walk};
use serde_json::{Value, json};
use testkit::{Client, House};
use types::{MessageId, TenantId};

const HOUR_MS: i64 = 3_600_000;
const HELD: &str = "33698765432";

record! { struct Count { n: i64 } }

#[test]
fn every_table_with_personal_data_says_for_how_long_and_every_class_reaches_its_tables() {
    let (tables, classes) = (server::serve::personal_tables(), server::serve::retention_classes());
    let class = |name: &str| classes.iter().find(|class| class.name == name);
    for table in tables.iter().filter(|table| !table.columns.is_empty()) {
        match table.kept {
            Kept::Until(words) => assert!(!words.is_empty(), "say for how long {} is kept", table.table),
            Kept::For(names) => {
                assert!(!names.is_empty(), "{}", table.table);
                for name in names {
                    let class = class(name).unwrap_or_else(|| panic!("{} is kept for {name}", table.table));
                    assert!(class.tables.contains(table.table), "{name} does not reach {}", table.table);
                }
            }
        }
    }
    let all = server::serve::tables();
    for class in &classes {
        for table in class.tables.split_whitespace() {
            assert!(all.contains(&table), "{} reaches {table}, which is no tenants' table", class.name);
        }
        assert_eq!(classes.iter().filter(|one| one.name == class.name).count(), 1, "{}", class.name);
    }
}

record! { struct Step { detail: String } }

/// A statement with the numbers of its rows in its text, as a list.
fn with_rows(statement: &str) -> String {
    statement.replace("from rows(k bigint) r", "from (select 1 as k union all select 2) r")
}

/// How SQLite carries a statement out, step by step.
async fn plan(tx: &mut Tx, statement: &str, args: Vec<Arg>) -> Vec<String> {
    let text: &'static str = format!("explain query plan {}", with_rows(statement)).leak();
    let steps: Vec<Step> = tx.all(text, args).await.unwrap();
    steps.into_iter().map(|step| step.detail).collect()
}

/// The same on PostgreSQL, which is kept from reading whole tables where there is another way: one that is left has none.
async fn plan_there(tx: &mut Tx, statement: &str, args: &[i64]) -> Vec<String> {
    let mut text = with_rows(statement);
    for (at, value) in args.iter().enumerate().rev() {
        text = text.replace(&format!("${}", at + 1), &format!("({value})::bigint"));
    }
    let steps: Vec<Step> =
        tx.all("select detail from pg_temp.plan_of($1) as p (detail)", args![text]).await.unwrap();
    steps.into_iter().map(|step| step.detail).collect()
}

/// Whether a step reads a table from its beginning to its end. What is bound, and what a statement has made itself, is short.
fn reads_all(step: &str) -> bool {
    let short = ["SCAN r", "SCAN x", "SCAN CONSTANT", "SCAN ("];
    let sqlite = step.starts_with("SCAN ") && !short.iter().any(|short| step.starts_with(short));
    sqlite || step.contains("Seq Scan on")
}

#[tokio::test]
async fn no_sweep_reads_a_table_from_its_beginning_to_its_end() {
    let house = House::start().await;
    let mut tx = house.server.runtime.db.write(Tenancy::Every).await.unwrap();
    let sqlite = house.server.runtime.db.engine() == Engine::Sqlite;
    if !sqlite {
        tx.execute("set local enable_seqscan = off", args![]).await.unwrap();
        tx.execute(
            "create function pg_temp.plan_of(statement text) returns setof text language plpgsql as \
             'begin return query execute ''explain '' || statement; end'",
            args![],
        )
        .await
        .unwrap();
    }
    let (mut bad, mut seen) = (Vec::new(), 0);
    for class in server::serve::retention_classes() {
        let (looks, forgets): (Vec<(&str, &[i64])>, &[&str]) = match class.walk {
            Walk::Rows { page, forget: Forget::Statements(texts) } => (vec![(page, &[1, 2, 3, 4, 5])], texts),
            Walk::Rows { page, forget: Forget::Function(_) } => (vec![(page, &[1, 2, 3, 4, 5])], &[]),
            Walk::Whole { count, .. } => (vec![(count, &[1, 2, 3])], &[]),
        };
        for (text, numbers) in looks.into_iter().chain(forgets.iter().map(|text| (*text, &[1][..]))) {
            let args = numbers.iter().map(|number| Arg::from(*number)).collect();
            let steps = match sqlite {
                true => plan(&mut tx, text, args).await,
                false => plan_there(&mut tx, text, numbers).await,
            };
            assert!(!steps.is_empty(), "{text}");
            seen += 1;
            let found = steps.into_iter().filter(|step| reads_all(step));
            bad.extend(found.map(|step| format!("{}: {step}\n  {text}", class.name)));
        }
    }
    drop(tx);
    assert!(seen > 20, "only {seen} statements were looked at");
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    house.stop().await;
}

/// Messages of a tenant that came to their end so long ago, as the journal leaves them.
async fn old(house: &House, tenant: TenantId, (count, hours, intent): (i64, i64, &str), phone: Option<&str>) {
    let runtime = &house.server.runtime;
    let mut tx = runtime.db.write(Tenancy::Every).await.unwrap();
    let at = runtime.clock.now().plus_ms(-hours * HOUR_MS);
    for n in 0..count {
        let id = MessageId::from_parts(at.plus_ms(n), count as u32);
        let phone = phone.map_or_else(|| format!("336{n:08}"), str::to_owned);
        tx.execute(
            "insert into message (id, tenant_id, direction, state, sender, sender_kind, recipient, recipient_kind, text, \
             data_coding, parts, intent, lane, registered, attempts, maybe_twice, accepted_at, expires_at, updated_at, done_at) \
             values ($1, $2, 'out', 'delivered', 'A', 1280, $3, 257, 'secret words', 0, 1, $4, 1, 0, 1, false, $5, $5, $5, $5)",
            args![id, tenant, phone, intent, at],
        )
        .await
        .unwrap();
    }
    for (bucket, name) in [(0, "delivered"), (60_000, "accepted")] {
        tx.execute(
            "insert into tally (tenant_id, bucket, name, n) values ($1, $2, $3, $4) \
             on conflict (tenant_id, bucket, name) do update set n = tally.n + excluded.n",
            args![tenant, i64::from(bucket), name, count],
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn count(house: &House, text: &'static str, tenant: TenantId) -> i64 {
    let mut tx = house.server.runtime.db.read(Tenancy::Tenant(tenant)).await.unwrap();
    tx.one::<Count>(text, args![tenant]).await.unwrap().n
}

const TEXTS: &str = "select count(*) as n from message where tenant_id = $1 and text is not null";
const ROWS: &str = "select count(*) as n from message where tenant_id = $1";

async fn set(client: &Client, term: &Value) -> Value {
    client.send("PUT", "/api/v1/privacy/retention", term).await.expect(200)
}

/// The sweeps that the trail tells of.
async fn told(house: &House) -> Vec<Value> {
    let events = house.admin.get("/api/v1/events?type=privacy.retention_swept").await.expect(200);
    events["items"].as_array().unwrap().iter().map(|event| event["data"].clone()).collect()
}

#[tokio::test]
async fn texts_go_before_messages_by_purpose_and_nobody_elses() {
    let house = House::start().await;
    let (ours, (theirs, neighbour)) = (house.server.first_start.tenant, house.neighbour().await);
    old(&house, ours, (1_200, 2, "otp"), None).await;
    old(&house, ours, (1, 2, "otp"), Some(HELD)).await;
    old(&house, ours, (3, 2, "marketing"), None).await;
    old(&house, ours, (2, 0, "otp"), None).await;
    old(&house, theirs, (5, 2, "otp"), None).await;
    let hold = json!({ "identifier": format!("+{HELD}"), "reason": "a case in court" });
    house.admin.send("PUT", "/api/v1/privacy/holds", &hold).await.expect(200);
    let sums = house.admin.get("/api/v1/messages/sums").await.expect(200);

    let asked = "/api/v1/privacy/retention/preview?class=message.text&purpose=otp&keep_h=1";
    let preview = house.admin.get(asked).await.expect(200);
    assert_eq!((&preview["rows"], &preview["held"]), (&json!(1_200), &json!(1)), "{preview}");
    assert!(preview["oldest"].is_string() && preview["complete"] == json!(true));
    let all =
        house.admin.get("/api/v1/privacy/retention/preview?class=message.text&keep_h=1").await.expect(200);
    assert_eq!(all["rows"], json!(1_203), "a term for all reaches every purpose: {all}");
    assert_eq!(count(&house, TEXTS, ours).await, 1_206, "a preview lets nothing go");

    let term = json!({ "class": "message.text", "purpose": "otp", "keep_h": 1 });
    set(&house.admin, &term).await;
    house.until("the texts are gone", async || count(&house, TEXTS, ours).await == 6).await;
    house.until("the sweep is told of", async || told(&house).await.len() == 1).await;
    let after = told(&house).await[0]["after"].clone();
    assert_eq!((&after["gone"], &after["held"]), (&json!(1_200), &json!(1)), "{after}");
    assert_eq!((count(&house, ROWS, ours).await, count(&house, TEXTS, theirs).await), (1_206, 5));
    assert_eq!(house.admin.get("/api/v1/messages/sums").await.expect(200), sums, "no sum has moved");
    let page = house.admin.get("/api/v1/messages?limit=200").await.expect(200);
    assert!(page["items"].as_array().unwrap().iter().any(|one| one["text"].is_null()));

    // What a hold kept goes when it is lifted.
    let lifted = json!({ "identifier": format!("+{HELD}") });
    house.admin.send("PUT", "/api/v1/privacy/holds", &lifted).await.expect(200);
    set(&house.admin, &term).await;
    house.until("the held text is gone", async || count(&house, TEXTS, ours).await == 5).await;

    set(&house.admin, &json!({ "class": "message", "purpose": "otp", "keep_h": 1 })).await;
    house.until("the messages are gone", async || count(&house, ROWS, ours).await == 5).await;
    let after = house.admin.get("/api/v1/messages/sums").await.expect(200);
    assert_eq!((&after["forgotten"], &after["balanced"]), (&json!(1_201), &json!(true)), "{after}");
    assert_eq!(after["accepted"], sums["accepted"]);
    assert_eq!(count(&house, ROWS, theirs).await, 5);
    let foreign = neighbour.get("/api/v1/privacy/retention").await.expect(200);
    assert!(foreign["items"].as_array().unwrap().iter().all(|one| one["keep_h"].is_null()));
    house.stop().await;
}

#[tokio::test]
async fn terms_stay_within_bounds_and_are_shown_where_they_matter() {
    let house = House::start_with(|config| config.messaging.keep_days = 400).await;
    let refused = async |term: Value| {
        let answer = house.admin.send("PUT", "/api/v1/privacy/retention", &term).await;
        (answer.status, answer.json()["at"].as_str().unwrap_or_default().to_owned())
    };
    for (term, at) in [
        (json!({ "class": "audit", "keep_h": 24 }), "keep_h"),
        (json!({ "class": "message", "keep_h": 401 * 24 }), "keep_h"),
        (json!({ "class": "message", "keep_h": 0 }), "keep_h"),
        (json!({ "class": "nothing", "keep_h": 24 }), "class"),
        (json!({ "class": "refusal", "purpose": "otp", "keep_h": 24 }), "purpose"),
    ] {
        assert_eq!(refused(term.clone()).await, (422, at.to_owned()), "{term}");
    }
    let told = set(&house.admin, &json!({ "class": "message.text", "keep_h": 720 })).await;
    let line = |value: &Value, purpose: Value| {
        value["items"].as_array().unwrap().iter().find(|one| one["purpose"] == purpose).cloned().unwrap()
    };
    assert_eq!(line(&told, Value::Null)["keep_h"], json!(720));
    assert_eq!(line(&told, json!("otp"))["in_force_h"], json!(720), "a purpose without its own follows");
    assert_eq!(line(&told, json!("otp"))["most_h"], json!(9_600));
    let told = set(&house.admin, &json!({ "class": "message.text", "purpose": "otp", "keep_h": 6 })).await;
    assert_eq!(line(&told, json!("otp"))["in_force_h"], json!(6));
    let register = house.admin.get("/api/v1/privacy/register").await.expect(200);
    let messages =
        register["program"].as_array().unwrap().iter().find(|one| one["table"] == "message").unwrap();
    let kept = messages["kept"].as_str().unwrap();
    assert!(kept.contains("Texts of messages: 30 days, otp 6 hours"), "{kept}");
    assert!(kept.contains("Messages: 400 days"), "{kept}");
    let told = set(&house.admin, &json!({ "class": "message.text", "keep_h": null })).await;
    assert_eq!(line(&told, Value::Null)["in_force_h"], json!(9_600));
    let viewer = house.key(&["message.view"]).await;
    assert_eq!(viewer.get("/api/v1/privacy/retention").await.status, 403);
    let looks = house.key(&["privacy.view"]).await;
    let term = json!({ "class": "message", "keep_h": 24 });
    assert_eq!(looks.send("PUT", "/api/v1/privacy/retention", &term).await.status, 403);
    house.stop().await;
}

/// Makes rows of a table older by days: their number, and some of their times.
async fn age(house: &House, table: &str, (key, times): (&str, &[&str]), days: i64) {
    let ms = days * 24 * HOUR_MS;
    let times: String = times.iter().map(|time| format!(", {time} = {time} - {ms}")).collect();
    let shift = ms * (1 << 21);
    let text = format!("update {table} set {key} = {key} - {shift}{times} /* every tenant: a test */");
    let mut tx = house.server.runtime.db.write(Tenancy::Every).await.unwrap();
    tx.execute(text.leak(), args![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn evidence_histories_and_refusals_go_in_their_time_and_what_stands_stays() {
    let house = House::start_with(|config| {
        config.retention.evidence_days_min = 0;
        config.retention.security_days_min = 0;
    })
    .await;
    let (admin, tenant) = (&house.admin, house.server.first_start.tenant);
    let consent = async |phone: &str, given: bool| {
        let body = json!({ "identifier": phone, "purpose": "news", "channel": "sms", "given": given, "source": "form" });
        admin.post("/api/v1/privacy/consents", &body).await.expect(201);
    };
    consent("+33600000001", true).await;
    consent("+33600000001", false).await;
    consent("+33600000002", true).await;
    let request = async |kind: &str, phone: &str| {
        let body = json!({ "kind": kind, "identifiers": [phone] });
        let made = admin.post("/api/v1/privacy/requests", &body).await.expect(201);
        format!("/api/v1/privacy/requests/{}", made["id"].as_str().unwrap())
    };
    let why = json!({ "reason": "not the person" });
    let over = request("access", "+33600000003").await;
    admin.post(&format!("{over}/refuse"), &why).await.expect(200);
    let open = request("access", "+33600000004").await;
    let breach = admin.post("/api/v1/privacy/breaches", &json!({ "title": "A lost disk" })).await.expect(201);
    let steps = format!("/api/v1/privacy/breaches/{}/steps", breach["id"].as_str().unwrap());
    admin.post(&steps, &json!({ "step": "closed", "note": "encrypted" })).await.expect(201);
    let listed = json!({ "kind": "number", "value": "+33600000005" });
    admin.post("/api/v1/blacklist", &listed).await.expect(201);
    let message = json!({ "to": "+33600000005", "text": "no" });
    assert_eq!(admin.post("/api/v1/messages", &message).await.problem(), "recipient_blacklisted");
    const REFUSALS: &str = "select count(*) as n from refusal where tenant_id = $1";
    house.until("the refusal is written", async || count(&house, REFUSALS, tenant).await == 1).await;
    age(&house, "consent", ("id", &["at"]), 10).await;
    age(&house, "privacy_request", ("id", &["opened_at", "ended_at"]), 10).await;
    age(&house, "privacy_step", ("request_id", &[]), 10).await;
    age(&house, "breach", ("id", &["discovered_at", "closed_at"]), 10).await;
    age(&house, "breach_step", ("breach_id", &[]), 10).await;
    age(&house, "refusal", ("id", &["at"]), 10).await;
    for class in ["consent", "privacy_request", "breach", "refusal"] {
        let preview = admin
            .get(&format!("/api/v1/privacy/retention/preview?class={class}&keep_h=48"))
            .await
            .expect(200);
        let due = if class == "consent" { 2 } else { 1 };
        assert_eq!(preview["rows"], json!(due), "{class}: {preview}");
        set(admin, &json!({ "class": class, "keep_h": 48 })).await;
    }
    let left = async || {
        let mut left = Vec::new();
        for text in [
            "select count(*) as n from consent where tenant_id = $1",
            "select count(*) as n from privacy_request where tenant_id = $1",
            "select count(*) as n from privacy_step s where s.tenant_id = $1 and not exists (select 1 from privacy_request q \
             where q.tenant_id = s.tenant_id and q.id = s.request_id)",
            "select count(*) as n from breach where tenant_id = $1",
            "select count(*) as n from breach_step where tenant_id = $1",
            REFUSALS,
        ] {
            left.push(count(&house, text, tenant).await);
        }
        left
    };
    house.until("what is due is gone, and no more", async || left().await == [1, 1, 0, 0, 0, 0]).await;
    drop(open);
    house.stop().await;
}

/// What a repetition of a request is answered.
async fn repeated(client: &Client, key: &str) -> Value {
    let headers = [("idempotency-key", key), ("content-type", "application/json")];
    let body = json!({ "title": "once" }).to_string().into_bytes();
    client.ask("POST", "/api/v1/privacy/breaches", &headers, Some(body)).await.expect(201)["id"].clone()
}

#[tokio::test]
async fn answers_and_browsers_go_in_the_time_that_a_tenant_chooses() {
    let house = House::start().await;
    let (ours, (theirs, neighbour)) = (house.server.first_start.tenant, house.neighbour().await);
    let (old, new) = (repeated(&house.admin, "old").await, repeated(&house.admin, "new").await);
    let foreign = repeated(&neighbour, "old").await;
    let sign_in = async || {
        let link = identity::first_start::new_link(&house.server.runtime, "admin@localhost").await.unwrap();
        house.sign_in(&link.path).await
    };
    sign_in().await;
    age(&house, "session", ("id", &["created_at", "last_seen_at"]), 3).await;
    age(&house, "device", ("id", &["created_at", "last_seen_at"]), 40).await;
    let mut tx = house.server.runtime.db.write(Tenancy::Every).await.unwrap();
    tx.execute("update idempotency set at = at - 7200000 where key = 'old'", args![]).await.unwrap();
    tx.commit().await.unwrap();
    let cookie = sign_in().await;

    const SESSIONS: &str = "select count(*) as n from session where tenant_id = $1";
    const DEVICES: &str = "select count(*) as n from device where tenant_id = $1";
    const ANSWERS: &str = "select count(*) as n from idempotency where tenant_id = $1";
    assert_eq!((count(&house, SESSIONS, ours).await, count(&house, DEVICES, ours).await), (2, 2));
    // A term does not sign out earlier than the installation does.
    let early = json!({ "class": "session", "keep_h": 1 });
    assert_eq!(house.admin.send("PUT", "/api/v1/privacy/retention", &early).await.status, 422);
    for (class, keep_h) in [("session", 24), ("device", 30 * 24), ("answer", 1)] {
        let asked = format!("/api/v1/privacy/retention/preview?class={class}&keep_h={keep_h}");
        assert_eq!(house.admin.get(&asked).await.expect(200)["rows"], 1, "{class}");
        set(&house.admin, &json!({ "class": class, "keep_h": keep_h })).await;
    }
    house.until("the old session is gone", async || count(&house, SESSIONS, ours).await == 1).await;
    house.until("the old browser is forgotten", async || count(&house, DEVICES, ours).await == 1).await;
    house.until("the old answer is gone", async || count(&house, ANSWERS, ours).await == 1).await;
    let home = house.anonymous().ask("GET", "/", &[("cookie", &cookie)], None).await;
    assert_eq!(home.status, 200, "the session that is used goes on");
    assert_eq!(repeated(&house.admin, "new").await, new);
    assert_ne!(repeated(&house.admin, "old").await, old, "it is a new request now");
    assert_eq!(count(&house, ANSWERS, theirs).await, 1);
    assert_eq!(repeated(&neighbour, "old").await, foreign);
    house.stop().await;
}
