//! Tenants as they live: their looks, their own domain, their end; and the probe that finds what one reaches of another.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use db::{Tenancy, record};
use identity::erasure::certificate::{self, Signed};
use runtime::config::Secret;
use serde_json::{Value, json};
use server::isolation::{self, Asker};
use testkit::{Client, House};
use types::TenantId;

use crate::routes::asker;

/// Stands in each text of the tenant; whoever finds it in the database's file has found something that is left.
const MARK: &str = "mark-of-the-erased";

/// A transparent picture of one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

#[tokio::test]
async fn an_organisation_has_its_own_looks() {
    let house = House::start().await;
    let (_, neighbour) = house.neighbour().await;
    let change = json!({ "currency": "mad", "time_zone": "Africa/Casablanca", "accent": "#8a1c4a", "support_email": "help@n.example" });
    let changed = neighbour.send("PATCH", "/api/v1/organisation", &change).await.expect(200);
    assert_eq!((&changed["currency"], &changed["accent"]), (&json!("MAD"), &json!("8a1c4a")));
    for (field, bad) in
        [("currency", "ZZZ"), ("time_zone", "Mars/Olympus"), ("accent", "#ffee00"), ("locale", "?")]
    {
        let answer = neighbour.send("PATCH", "/api/v1/organisation", &json!({ field: bad })).await;
        assert_eq!((answer.status, &answer.json()["at"]), (422, &json!(field)), "{}", answer.text);
    }
    let same = neighbour.get("/api/v1/organisation").await.expect(200);
    assert_eq!(same, changed, "a refusal changes nothing");

    let body = Some(PNG.to_vec());
    let octets = [("content-type", "application/octet-stream")];
    let with_logo = neighbour.ask("PUT", "/api/v1/organisation/logo", &octets, body).await.expect(200);
    let address = format!("/brand/logo/{}", with_logo["logo"].as_str().unwrap());
    let logo = house.anonymous().get(&address).await;
    assert_eq!((logo.status, &logo.headers["content-type"]), (200, &"image/png".parse().unwrap()));
    assert_eq!(logo.headers["x-content-type-options"], "nosniff");
    let etag = logo.headers["etag"].to_str().unwrap().to_owned();
    let again = house.anonymous().ask("GET", &address, &[("if-none-match", &etag)], None).await;
    assert_eq!(again.status, 304);
    let svg = Some(b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec());
    assert_eq!(neighbour.ask("PUT", "/api/v1/organisation/logo", &octets, svg).await.status, 422);
    neighbour.delete("/api/v1/organisation/logo").await.expect(200);
    assert_eq!(house.anonymous().get(&address).await.status, 404);
    let colour = house.anonymous().get("/brand/accent/8a1c4a.css").await;
    assert!(colour.status == 200 && colour.text.contains("--accent: light-dark(#8a1c4a"), "{}", colour.text);
    house.stop().await;
}

/// A host's web server that answers the proof's path with a text, and the port it listens on.
async fn host_with(text: Arc<Mutex<String>>) -> u16 {
    let serve = get(move || async move { text.lock().unwrap().clone() });
    let app = Router::new().route("/.well-known/switchboard-domain.txt", serve);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let tasks = runtime::Tasks::new();
    tasks.spawn("a host", async move { axum::serve(socket, app).await.unwrap() });
    port
}

#[tokio::test]
async fn a_domain_is_proved_and_then_serves_one_tenant_alone() {
    let text = Arc::new(Mutex::new("nothing of ours".to_owned()));
    let port = host_with(Arc::clone(&text)).await;
    let house = House::start_with(|config| {
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.tenants.domain_proof_port = port;
    })
    .await;
    let (_, neighbour) = house.neighbour().await;
    let host = "sms.neighbour.localhost";
    let added =
        neighbour.post("/api/v1/domains", &json!({ "host": "SMS.Neighbour.localhost." })).await.expect(201);
    assert_eq!(added["host"], host);
    let check = format!("/api/v1/domains/{}/check", added["id"].as_str().unwrap());
    let refused = neighbour.post(&check, &json!({})).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "domain_not_proved"), "{}", refused.text);
    // Somebody else names the host too, and is not hindered by that; the proof decides.
    let theirs = house.admin.post("/api/v1/domains", &json!({ "host": host })).await.expect(201);
    assert_ne!(theirs["token"], added["token"]);
    *text.lock().unwrap() = format!("a line\n{}\n", added["token"].as_str().unwrap());
    neighbour.post(&check, &json!({})).await.expect(200);
    let late = format!("/api/v1/domains/{}/check", theirs["id"].as_str().unwrap());
    assert_eq!(house.admin.post(&late, &json!({})).await.problem(), "domain_not_proved");
    *text.lock().unwrap() = theirs["token"].as_str().unwrap().to_owned();
    assert_eq!(house.admin.post(&late, &json!({})).await.problem(), "already_exists");

    let at = [("host", host)];
    let page = house.anonymous().ask("GET", "/sign-in", &at, None).await;
    assert!(page.status == 200 && page.text.contains("Neighbour"), "{}", page.text);
    let elsewhere = house.anonymous().get("/sign-in").await;
    assert!(!elsewhere.text.contains("Neighbour"));
    let mine = neighbour.ask("GET", "/api/v1/me", &at, None).await;
    assert_eq!(mine.status, 200);
    let foreign = house.admin.ask("GET", "/api/v1/me", &at, None).await;
    assert_eq!((foreign.status, foreign.problem().as_str()), (401, "unauthenticated"));
    // Nor are other tenants' applications known there.
    let application = json!({ "name": "App", "scopes": ["message.view"] });
    for (owner, status) in [(&neighbour, 200), (&house.admin, 401)] {
        let app = owner.post("/api/v1/oauth-clients", &application).await.expect(201);
        let (id, secret) = (app["id"].as_str().unwrap(), app["secret"].as_str().unwrap());
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let got = house.anonymous().form("/oauth/token", &at, &form).await;
        assert_eq!(got.status, status, "{}", got.text);
        assert_eq!(house.anonymous().form("/oauth/token", &[], &form).await.status, 200);
    }
    let invited = json!({ "email": "new@neighbour.example", "name": "New", "role": "viewer" });
    let invited = neighbour.post("/api/v1/users", &invited).await.expect(201);
    let link = format!("/api/v1/users/{}/link", invited["id"].as_str().unwrap());
    let link = neighbour.post(&link, &json!({})).await.expect(201);
    assert!(
        link["url"].as_str().unwrap().starts_with(&format!("https://{host}/sign-in/link?token=")),
        "{link}"
    );
    // A link of another tenant opens nothing on this host, and stays good for its own.
    let other = json!({ "email": "new@first.example", "name": "New", "role": "viewer" });
    let other = house.admin.post("/api/v1/users", &other).await.expect(201);
    let other =
        house.admin.post(&format!("/api/v1/users/{}/link", other["id"].as_str().unwrap()), &json!({})).await;
    let token = other.expect(201)["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
    let tried = house.anonymous().form("/sign-in/link", &at, &format!("token={token}")).await;
    assert_eq!(tried.status, 401);
    let good = house.anonymous().form("/sign-in/link", &[], &format!("token={token}")).await;
    assert_eq!(good.status, 303);
    neighbour.delete(&format!("/api/v1/domains/{}", added["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(house.admin.ask("GET", "/api/v1/me", &at, None).await.status, 200);
    house.stop().await;
}

/// Fills a tenant with rows whose texts bear the mark.
pub(crate) async fn fill(admin: &Client) {
    let marked = |what: &str| format!("{MARK} {what}");
    let over_http = json!({ "protocol": "http", "http": { "dialect": "twilio" } });
    let connection = json!({ "name": marked("connection"), "wanted": "started", "settings": over_http, "password": format!("{MARK}-pw") });
    let connection = admin.post("/api/v1/connections", &connection).await.expect(201);
    let rule = json!({ "targets": [{ "connection": connection["id"] }] });
    admin.post("/api/v1/routes", &json!({ "name": marked("route"), "rule": rule })).await.expect(201);
    admin
        .post("/api/v1/smpp-accounts", &json!({ "system_id": "marked", "name": marked("account") }))
        .await
        .expect(201);
    // Nothing is sent: they wait.
    let later = runtime::Clock::system().now().plus_ms(3_600_000).to_string();
    for n in 0..30 {
        let message =
            json!({ "to": format!("+336120000{n:02}"), "text": marked("text"), "schedule_at": later });
        admin.post("/api/v1/messages", &message).await.expect(202);
    }
    admin
        .post(
            "/api/v1/blacklist",
            &json!({ "kind": "number", "value": "+33699999999", "reason": marked("why") }),
        )
        .await
        .expect(201);
    admin
        .send("PATCH", "/api/v1/organisation", &json!({ "support_email": format!("{MARK}@x.example") }))
        .await
        .expect(200);
    let made = async |path: &str, body: Value| admin.post(path, &body).await.expect(201);
    made("/api/v1/oauth-clients", json!({ "name": marked("app"), "scopes": ["message.view"] })).await;
    let domain = format!("{MARK}.example");
    let login = json!({
        "name": marked("login"), "issuer": "https://login.example", "client_id": marked("client"),
        "client_secret": marked("secret"), "settings": { "domains": [domain] },
    });
    made("/api/v1/identity-providers", login).await;
    made("/api/v1/privacy/requests", json!({ "kind": "access", "identifiers": ["+33612000001"] })).await;
    let consent = json!({
        "identifier": "+33612000002", "purpose": MARK, "channel": "sms", "given": true, "source": marked("form"),
    });
    made("/api/v1/privacy/consents", consent).await;
    made("/api/v1/privacy/breaches", json!({ "title": marked("breach") })).await;
    admin.get("/api/v1/audit").await.expect(200);
}

record! { struct Counted { n: i64 } }

/// Rows of a tenant in each table of the schema that has a tenant.
async fn rows_of(house: &House, tenant: TenantId) -> Vec<(String, i64)> {
    let db = &house.server.runtime.db;
    let schema = db.schema().await.unwrap();
    let mut tx = db.read(Tenancy::Every).await.unwrap();
    let mut found = Vec::new();
    for table in
        schema.iter().filter(|column| column.column_name == "tenant_id").map(|column| &column.table_name)
    {
        let text: &'static str = format!("select count(*) as n from {table} where tenant_id = $1").leak();
        let Counted { n } = tx.one(text, db::args![tenant]).await.unwrap();
        found.push((table.clone(), n));
    }
    found
}

#[tokio::test]
async fn every_table_with_a_tenant_is_one_that_an_erasure_knows() {
    let house = House::start().await;
    let schema = house.server.runtime.db.schema().await.unwrap();
    let with_tenant = schema.iter().filter(|column| column.column_name == "tenant_id");
    let mut wanted: Vec<&str> = with_tenant.map(|column| column.table_name.as_str()).collect();
    let mut known = server::serve::tables();
    wanted.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, wanted, "list each table with a tenant_id in its crate's TABLES");
    house.stop().await;
}

/// Writes one row of each table for a tenant, but for some: each number is `n`, so that what refers to another row finds it.
pub(crate) async fn row_in_each_table(db: &db::Db, tenant: TenantId, n: i64, without: &[&str]) {
    let schema = db.schema().await.unwrap();
    let mut tx = db.write(Tenancy::Every).await.unwrap();
    let tables = server::serve::tables();
    for table in ["tenant"].iter().chain(&tables).filter(|table| !without.contains(table)) {
        let columns: Vec<_> = schema.iter().filter(|column| column.table_name == *table).collect();
        let value = |name: &str, kind: &str| match (name, kind) {
            ("tenant_id", _) => tenant.raw().to_string(),
            ("id", _) if *table == "tenant" => tenant.raw().to_string(),
            // It stands beneath nobody.
            ("parent", _) if *table == "tenant" => "null".to_owned(),
            (_, "text") => format!("'text {n}'"),
            (_, "boolean") => "true".to_owned(),
            (_, "bytea") if db.engine() == db::Engine::Postgres => "'octets'".to_owned(),
            (_, "bytea") => "x'00'".to_owned(),
            _ => n.to_string(),
        };
        let names: Vec<_> = columns.iter().map(|column| column.column_name.as_str()).collect();
        let values: Vec<_> =
            columns.iter().map(|column| value(&column.column_name, &column.type_name)).collect();
        let text = format!("insert into {table} ({}) values ({})", names.join(", "), values.join(", "));
        let done = tx.execute(text.clone().leak(), db::args![]).await;
        assert!(done.is_ok(), "{text}: {done:?}");
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_row_of_each_table_goes_whatever_refers_to_what() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = runtime::Config::for_tests(folder.path());
    let database = testkit::house::on_postgres().then(|| testkit::postgres::start().database());
    if let Some(database) = &database {
        config.database.url = runtime::config::DatabaseUrl::new(&database.url);
    }
    let runtime = server::serve::runtime(config, runtime::Clock::system()).await.unwrap();
    identity::first_start::run(&runtime).await.unwrap();
    let [doomed, other]: [TenantId; 2] = [runtime.ids.next(), runtime.ids.next()];
    row_in_each_table(&runtime.db, doomed, 77, &[]).await;
    row_in_each_table(&runtime.db, other, 78, &[]).await;
    let mut tx = runtime.db.write(Tenancy::Every).await.unwrap();
    let asked = "insert into erasure (id, tenant, name_sha256, asked_by, asked_at, erase_at, counts) values (1, $1, '', 'a test', 1, 1, '{}')";
    tx.execute(asked, db::args![doomed]).await.unwrap();
    tx.commit().await.unwrap();
    // Nothing runs beside the rows here, so nothing of it has to leave.
    let leave: identity::erasure::Leave = Arc::new(|_| Box::pin(async { Ok(()) }));
    let tables = server::serve::tables();
    runtime.tasks.spawn("erasures", identity::erasure::keep(runtime.clone(), tables.clone(), leave));
    record! { struct Done { body: Option<String> } }
    let mut body = None;
    for _ in 0..300 {
        let mut tx = runtime.db.read(Tenancy::Every).await.unwrap();
        let done: Done = tx.one("select body from erasure where id = 1", db::args![]).await.unwrap();
        body = done.body;
        if body.is_some() {
            break;
        }
        drop(tx);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let told: certificate::Certificate = serde_json::from_str(&body.expect("it comes to its end")).unwrap();
    let mut tx = runtime.db.read(Tenancy::Every).await.unwrap();
    for table in &tables {
        assert_eq!(told.tables.get(*table), Some(&1), "{table} on the certificate");
        assert_eq!(tx.count_rows(table, doomed).await.unwrap(), 0, "{table}");
        assert_eq!(tx.count_rows(table, other).await.unwrap(), 1, "{table} of another tenant");
    }
    assert_eq!(told.rows, tables.len() as u64 + 1, "and the tenant's own row");
    drop(tx);
    runtime.tasks.stop(std::time::Duration::from_secs(5)).await;
    runtime.db.close().await;
}

#[tokio::test]
async fn an_erased_tenant_leaves_nothing_but_its_certificate() {
    let house = House::start().await;
    let (tenant, neighbour) = house.neighbour().await;
    fill(&neighbour).await;
    let stays = rows_of(&house, house.server.first_start.tenant).await;
    assert!(rows_of(&house, tenant).await.iter().filter(|(_, n)| *n > 0).count() > 25);

    let at = format!("/api/v1/tenants/{tenant}/erasure");
    let wrong = house.admin.post(&at, &json!({ "name": "neighbour" })).await;
    assert_eq!((wrong.status, &wrong.json()["at"]), (422, &json!("name")));
    let own = format!("/api/v1/tenants/{}/erasure", house.server.first_start.tenant);
    assert_eq!(house.admin.post(&own, &json!({ "name": "Demo" })).await.status, 409);
    // It is called off once, and everything is as before.
    let asked =
        neighbour.post("/api/v1/organisation/erasure", &json!({ "name": "Neighbour", "grace_h": 0 })).await;
    let asked = asked.expect(202);
    assert!(asked["erase_at"].as_str() > asked["asked_at"].as_str(), "its own people cannot hurry: {asked}");
    assert_eq!(house.admin.post(&at, &json!({ "name": "Neighbour" })).await.status, 409);
    neighbour.delete("/api/v1/organisation/erasure").await.expect(200);
    neighbour.get("/api/v1/me").await.expect(200);

    house.admin.post(&at, &json!({ "name": "Neighbour", "grace_h": 0 })).await.expect(202);
    let latest = async || house.admin.get("/api/v1/erasures").await.json()["items"][0].clone();
    house.until("the tenant is erased", async || latest().await["erased_at"].is_string()).await;
    assert_eq!(neighbour.get("/api/v1/me").await.status, 401);
    assert_eq!(house.admin.get(&format!("/api/v1/tenants/{tenant}")).await.status, 404);
    for (table, n) in rows_of(&house, tenant).await {
        assert_eq!(n, 0, "{table} still has rows of the tenant");
    }
    for ((table, before), (_, after)) in
        stays.iter().zip(rows_of(&house, house.server.first_start.tenant).await)
    {
        assert!(after >= *before, "{table} of another tenant lost rows");
    }

    let done = latest().await;
    let body: Value = serde_json::from_str(done["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["tenant"], json!(tenant.to_string()));
    assert_eq!(body["tables"]["message"], 30);
    let key = house.admin.get("/api/v1/audit/checkpoints").await.expect(200)["public_key"].clone();
    assert_eq!(done["public_key"], key, "signed by the key of the platform's trail");
    let text = |field: &str| done[field].as_str().unwrap().to_owned();
    let one = house.admin.get(&format!("/api/v1/erasures/{}", text("id"))).await.expect(200);
    assert_eq!(one, done);
    // What anybody can do with the three texts alone.
    let signed: Signed = serde_json::from_value(one).unwrap();
    let told = certificate::verify(&signed, key.as_str()).unwrap();
    assert_eq!((told.tenant, told.tables["message"]), (tenant, 30));
    assert_eq!(told.rows, told.tables.values().sum::<u64>());
    let changed = Signed { body: signed.body.replace(":30,", ":31,"), ..signed.clone() };
    assert_ne!(changed.body, signed.body);
    assert!(certificate::verify(&changed, None).is_err());
    let another = Some("A".repeat(43));
    assert!(certificate::verify(&signed, another.as_deref()).is_err(), "another key is another signer");
    let trail = house.admin.get("/api/v1/audit?type=tenant.erased").await.expect(200);
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(1));
    nothing_in_the_file(&house).await;
    house.stop().await;
}

/// Looks for the mark in the octets of SQLite's files, once they are written anew.
async fn nothing_in_the_file(house: &House) {
    if testkit::house::on_postgres() {
        return;
    }
    let path = house.server.runtime.config.database_url().expose().trim_start_matches("sqlite:").to_owned();
    house
        .until("nothing of the tenant is in the file", async || {
            ["", "-wal"].iter().all(|end| {
                let octets = std::fs::read(format!("{path}{end}")).unwrap_or_default();
                !octets.windows(MARK.len()).any(|part| part == MARK.as_bytes())
            })
        })
        .await;
}

#[tokio::test]
async fn the_probe_finds_nothing_to_reach() {
    let house = House::start().await;
    let report = isolation::probe(&asker(&house)).await.unwrap();
    assert!(report.isolated, "{report:#?}");
    let beside = report.roles.iter().filter(|role| !role.contains(' ')).count();
    assert_eq!(report.roles.len(), beside + 4, "resellers and administrators above and beneath");
    assert!(beside >= 10 && report.requests > 1_000 && report.records.len() >= 24, "{report:#?}");
    let erasures = async || house.admin.get("/api/v1/erasures").await.json()["items"].clone();
    house
        .until("its tenants are erased", async || {
            // One more was asked for and called off, to be asked about.
            let all = erasures().await.as_array().cloned().unwrap_or_default();
            let (off, on): (Vec<_>, Vec<_>) = all.iter().partition(|one| one["called_off_at"].is_string());
            off.len() == 1 && on.len() == 4 && on.iter().all(|one| one["erased_at"].is_string())
        })
        .await;
    house.stop().await;
}

/// A server before the real one with one broken route: who asks for a sender gets it as its owner would.
struct Broken {
    real: SocketAddr,
    http: reqwest::Client,
    /// The credentials by which each sender was made.
    owners: Mutex<Vec<(String, String)>>,
}

async fn pass(State(broken): State<Arc<Broken>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let bearer =
        parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let url = format!("http://{}{}", broken.real, parts.uri.path_and_query().unwrap());
    let mut onward = broken.http.request(parts.method.clone(), url);
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != header::HOST) {
        onward = onward.header(name, value);
    }
    if parts.method == Method::GET
        && let Some(id) = path.strip_prefix("/api/v1/senders/")
        && let Some((_, owner)) = broken.owners.lock().unwrap().iter().find(|(made, _)| made == id)
    {
        let mut headers = header::HeaderMap::new();
        headers.insert(header::AUTHORIZATION, owner.parse().unwrap());
        onward = broken.http.get(format!("http://{}{path}", broken.real)).headers(headers);
    }
    let answer = onward.body(to_bytes(body, 1 << 20).await.unwrap()).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    // That the body came in pieces is between the two behind (RFC 9110 §7.6.1): it goes on whole.
    headers.remove(header::TRANSFER_ENCODING);
    let octets = answer.bytes().await.unwrap();
    if parts.method == Method::POST
        && path == "/api/v1/senders"
        && let (Some(bearer), Ok(made)) = (bearer, serde_json::from_slice::<Value>(&octets))
        && let Some(id) = made["id"].as_str()
    {
        broken.owners.lock().unwrap().push((id.to_owned(), bearer));
    }
    (status, headers, Body::from(octets)).into_response()
}

#[tokio::test]
async fn the_probe_finds_a_route_that_was_broken() {
    let house = House::start().await;
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let broken = Broken { real: house.server.http, http: http.clone(), owners: Mutex::default() };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let app = Router::new().fallback(pass).with_state(Arc::new(broken));
    let tasks = runtime::Tasks::new();
    tasks.spawn("a broken door", async move { axum::serve(socket, app).await.unwrap() });
    let key = Some(Secret::new(testkit::house::ADMIN_KEY.to_owned()));
    let through = Asker::new(format!("http://{address}").parse().unwrap(), http, key);
    let report = isolation::probe(&through).await.unwrap();
    assert!(!report.isolated);
    let paths: std::collections::BTreeSet<_> = report.leaks.iter().map(|leak| leak.path.as_str()).collect();
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), ["/api/v1/senders/{id}"], "{report:#?}");
    let actors = report.leaks.iter().filter(|leak| leak.method == "GET" && leak.status == 200).count();
    assert!(actors > report.roles.len() / 2, "it opens for every role and for outsiders: {report:#?}");
    house.stop().await;
}
