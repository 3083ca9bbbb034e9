//! A tenant leaves in a file and is restored elsewhere to the same hashes, on either engine; what is wrong with a file is named
//! before anything of it is there.

use std::path::{Path, PathBuf};

use db::{Tenancy, args, record};
use identity::suitcase::{self, Hashes, Manifest};
use runtime::config::{DatabaseUrl, Secret};
use runtime::{Clock, Config, Runtime};
use serde_json::json;
use server::Server;
use testkit::{Client, House, postgres};
use types::{Code, TenantId};

use crate::tenancy::{fill, row_in_each_table};

const PASSPHRASE: &str = "six words that nobody would guess";

/// An installation on which no server runs, with a root key of its own.
struct Elsewhere {
    runtime: Runtime,
    folder: tempfile::TempDir,
    _database: Option<postgres::Database<'static>>,
}

fn config(folder: &Path, database: Option<&str>) -> Config {
    let mut config = Config::for_tests(folder);
    config.simulator.enabled = false;
    config.demo.enabled = false;
    config.log.filter = "warn".to_owned();
    if let Some(url) = database {
        config.database.url = DatabaseUrl::new(url);
        config.database.pool_max = 5;
    }
    config
}

impl Elsewhere {
    async fn new(on_postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = (on_postgres && postgres::programs().is_some()).then(|| postgres::start().database());
        let config = config(folder.path(), database.as_ref().map(|one| one.url.as_str()));
        let runtime = server::serve::runtime(config, Clock::system()).await.unwrap();
        suitcase::name_luggage(&runtime, server::serve::luggage());
        server::serve::first_start(&runtime).await.unwrap();
        Self { runtime, folder, _database: database }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tenant.suitcase")
    }

    async fn export(&self, tenant: TenantId) -> (PathBuf, Manifest) {
        let file = self.file();
        let packed =
            suitcase::export_offline(&self.runtime, tenant, true, (&file, PASSPHRASE)).await.unwrap();
        (file, packed)
    }

    async fn import(&self, file: &Path) -> types::Result<Manifest> {
        suitcase::import_offline(&self.runtime, (file, PASSPHRASE), false, None).await
    }

    async fn hashes(&self, tenant: TenantId) -> Hashes {
        suitcase::hashes(&self.runtime, tenant).await.unwrap()
    }

    /// Changes rows beside the product.
    async fn run(&self, text: String) {
        let mut tx = self.runtime.db.write(Tenancy::Every).await.unwrap();
        tx.execute(text.leak(), args![]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A tenant with a row in each table; its texts and numbers are `n`, and its keys are real.
    async fn tenant(&self, n: i64) -> TenantId {
        let tenant: TenantId = self.runtime.ids.next();
        // The stream and the trail are made by what happens, as they hold each other together.
        let made = ["event_head", "event_page", "audit_chain", "audit_row", "audit_checkpoint"];
        row_in_each_table(&self.runtime.db, tenant, n, &made).await;
        let key = || self.runtime.vault.create_data_key(&tenant.to_string()).unwrap().1;
        let id = tenant.raw();
        self.run(format!("update tenant set data_key = '{}', platform = false where id = {id}", key())).await;
        self.run(format!("update former_data_key set wrapped = '{}' where tenant_id = {id}", key())).await;
        self.run(format!(
            "insert into audit_checkpoint (tenant_id, checkpoint, number, at, body, signature) values ({id}, {n}, {n}, {n}, 'text', 'text')"
        ))
        .await;
        self.run(format!(
            "insert into claim (id, connection_id, at, messages) values ({n}, {n}, 1, '[{n}]')"
        ))
        .await;
        tenant
    }

    async fn stop(self) {
        self.runtime.db.close().await;
    }
}

#[tokio::test]
async fn a_row_of_each_table_comes_to_another_engine_and_back_with_its_hash() {
    let here = Elsewhere::new(false).await;
    let tenant = here.tenant(77).await;
    let (file, packed) = here.export(tenant).await;
    let travels = server::serve::luggage().travels;
    for travel in travels.iter().filter(|travel| travel.travels()) {
        let sum = packed.tables.iter().find(|sum| sum.table == travel.table).unwrap();
        assert!(sum.rows >= 1, "{} is empty: nothing is said about it", travel.table);
    }
    assert_eq!(packed.in_flight, 1);
    assert_eq!(here.hashes(tenant).await.tables, packed.tables);

    let there = Elsewhere::new(true).await;
    let bystander = there.tenant(78).await;
    let before = there.hashes(bystander).await;
    let came = there.import(&file).await.unwrap();
    assert_eq!(came.digest, packed.digest);
    let hashes = there.hashes(tenant).await;
    assert_eq!((&hashes.tables, &hashes.digest), (&packed.tables, &packed.digest));
    assert_eq!(there.hashes(bystander).await, before, "another tenant is as it was");
    let mut tx = there.runtime.db.read(Tenancy::Every).await.unwrap();
    for table in server::serve::tables() {
        let stays = travels.iter().any(|travel| travel.table == table && !travel.travels());
        let wanted = if stays { 0 } else { 1 };
        let n = tx.count_rows(table, tenant).await.unwrap();
        assert!(if stays { n == 0 } else { n >= wanted }, "{table}: {n}");
    }
    record! { struct Row { status: String, platform: bool } }
    let row: Row = tx.one("select status, platform from tenant where id = $1", args![tenant]).await.unwrap();
    assert_eq!((row.status.as_str(), row.platform), ("suspended", false));
    drop(tx);
    // The tenant is older than the installation that it came to, and is not its own for that.
    let first = identity::first_start::run(&there.runtime).await.unwrap();
    assert_ne!(first.tenant, tenant);

    // And back, where it must not be yet.
    let (back, packed) = there.export(tenant).await;
    assert_eq!(here.import(&back).await.unwrap_err().code(), Code::TenantExists);
    let again = Elsewhere::new(false).await;
    again.import(&back).await.unwrap();
    assert_eq!(again.hashes(tenant).await.tables, packed.tables);
    for place in [here, there, again] {
        place.stop().await;
    }
}

#[tokio::test]
async fn each_table_says_how_it_travels() {
    let mut said: Vec<&str> = server::serve::luggage().travels.iter().map(|travel| travel.table).collect();
    let mut wanted: Vec<&str> = server::serve::tables();
    wanted.extend(["tenant", "claim"]);
    said.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(said, wanted, "say in the crate's TRAVEL how each table travels, or why it stays");
    let here = Elsewhere::new(false).await;
    let schema = here.runtime.db.schema().await.unwrap();
    for travel in server::serve::luggage().travels {
        let db::How::But(told) = travel.how else { continue };
        for one in told {
            let known =
                |column: &db::Table| column.table_name == travel.table && column.column_name == one.column;
            assert!(schema.iter().any(known), "{}.{}", travel.table, one.column);
            assert!(!one.why.is_empty());
        }
    }
    here.stop().await;
}

/// What can be there only once, and where it is told that it is taken.
const TAKEN: [(&str, &str); 6] = [
    ("update tenant set slug = 'text 77' where slug = 'text 78'", "tenant.slug"),
    ("update users set email_folded = 'text 77' where email_folded = 'text 78'", "users.email_folded"),
    ("update smpp_account set system_id = 'text 77' where system_id = 'text 78'", "smpp_account.system_id"),
    ("update mail_gateway set subdomain = 'text 77' where subdomain = 'text 78'", "mail_gateway.subdomain"),
    ("update identity_domain set domain = 'text 77' where domain = 'text 78'", "identity_domain.domain"),
    ("update directory_domain set domain = 'text 77' where domain = 'text 78'", "directory_domain.domain"),
];

/// Rights over the platform, and what takes them away again.
const RIGHTS: [(&str, &str); 6] = [
    (
        "update users set role = 'platform_admin' where id = 77",
        "update users set role = 'viewer' where id = 77",
    ),
    (
        "update api_key set scopes = '[\"*\"]', owner_id = null where id = 77",
        "update api_key set scopes = '[]', owner_id = 77 where id = 77",
    ),
    (
        "update access_grant set permissions = '{\"tenant.view\":\"all\"}' where id = 77",
        "update access_grant set permissions = '{}' where id = 77",
    ),
    (
        "update registration_policy set role = 'platform_admin' where tenant_id in (select tenant_id from users where id = 77)",
        "update registration_policy set role = 'viewer' where tenant_id in (select tenant_id from users where id = 77)",
    ),
    (
        "update identity_provider set settings = '{\"group_roles\":[[\"a\",\"platform_admin\"]]}' where id = 77",
        "update identity_provider set settings = '{}' where id = 77",
    ),
    (
        "update directory set settings = '{\"default_role\":\"platform_admin\"}' where id = 77",
        "update directory set settings = '{}' where id = 77",
    ),
];

#[tokio::test]
async fn what_is_wrong_with_a_suitcase_is_named_and_nothing_of_it_is_there() {
    let here = Elsewhere::new(false).await;
    let tenant = here.tenant(77).await;
    let (file, _) = here.export(tenant).await;
    let there = Elsewhere::new(testkit::house::on_postgres()).await;
    let gone = async |why: &str| {
        let error = suitcase::hashes(&there.runtime, tenant).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{why}");
        let mut tx = there.runtime.db.read(Tenancy::Every).await.unwrap();
        for table in server::serve::tables() {
            assert_eq!(tx.count_rows(table, tenant).await.unwrap(), 0, "{why}: {table}");
        }
    };
    let octets = std::fs::read(&file).unwrap();
    let changed = there.file();
    // A bit in the first lines, in the middle and at the end; and an end that is missing.
    for at in [5, 60, octets.len() / 2, octets.len() - 3] {
        let mut bad = octets.clone();
        bad[at] ^= 4;
        std::fs::write(&changed, bad).unwrap();
        let error = there.import(&changed).await.unwrap_err();
        assert!(
            matches!(error.code(), Code::SuitcaseDamaged | Code::SuitcaseLocked),
            "octet {at}: {error:?}"
        );
        gone("a changed bit").await;
    }
    for length in [0, 20, octets.len() / 2, octets.len() - 1] {
        std::fs::write(&changed, &octets[..length]).unwrap();
        assert_eq!(there.import(&changed).await.unwrap_err().code(), Code::SuitcaseDamaged, "{length}");
        gone("cut off").await;
    }
    let other = suitcase::import_offline(&there.runtime, (&file, "another passphrase"), false, None).await;
    let other = other.unwrap_err();
    assert_eq!((other.code(), other.place()), (Code::SuitcaseLocked, Some("passphrase")));
    let key = "5P4j5oHWMPzV3NWwXQnyBfmkNmWVPMrRqhVaxlYyTqk";
    let signed = suitcase::import_offline(&there.runtime, (&file, PASSPHRASE), false, Some(key)).await;
    assert_eq!(signed.unwrap_err().place(), Some("public_key"));

    // What can be there only once is looked for before a row is written.
    let bystander = there.tenant(78).await;
    for (text, at) in TAKEN {
        there.run(text.to_owned()).await;
        let error = there.import(&file).await.unwrap_err();
        assert_eq!((error.code(), error.place()), (Code::SuitcaseConflict, Some(at)));
        gone(at).await;
        there.run(text.replace("77", "#").replace("78", "77").replace('#', "78")).await;
    }
    there.run("update message set id = 77 where id = 78".to_owned()).await;
    assert_eq!(there.import(&file).await.unwrap_err().place(), Some("message.id"));
    there.run("update message set id = 78 where id = 77".to_owned()).await;

    // Rights over the platform do not come in.
    for (text, back) in RIGHTS {
        here.run(text.to_owned()).await;
        let (file, _) = here.export(tenant).await;
        assert_eq!(there.import(&file).await.unwrap_err().code(), Code::SuitcaseRights, "{text}");
        gone(text).await;
        here.run(back.to_owned()).await;
    }
    let (file, packed) = here.export(tenant).await;
    there.import(&file).await.unwrap();
    assert_eq!(there.hashes(tenant).await.tables, packed.tables);
    assert_ne!(there.hashes(bystander).await.digest, packed.digest);
    here.stop().await;
    there.stop().await;
}

/// An installation's own tenant stays with it.
#[tokio::test]
async fn the_installations_own_tenant_stays() {
    let here = Elsewhere::new(testkit::house::on_postgres()).await;
    let own = identity::first_start::run(&here.runtime).await.unwrap().tenant;
    let tried = suitcase::export_offline(&here.runtime, own, true, (&here.file(), PASSPHRASE)).await;
    assert_eq!(tried.unwrap_err().code(), Code::Conflict);
    assert!(!here.file().exists());
    here.stop().await;
}

#[tokio::test]
async fn a_tenant_goes_on_where_it_was_restored() {
    let house = House::start().await;
    let (tenant, neighbour) = house.neighbour().await;
    fill(&neighbour).await;
    let connection = neighbour.get("/api/v1/connections").await.json()["items"][0]["id"].clone();
    let events = neighbour.get("/api/v1/audit").await.expect(200);
    assert!(events["items"].as_array().unwrap().len() > 5);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tenant.suitcase");
    let source = &house.server.runtime;
    let packed = suitcase::export_offline(source, tenant, true, (&file, PASSPHRASE)).await.unwrap();
    assert_eq!(suitcase::hashes(source, tenant).await.unwrap().tables, packed.tables);
    let refused = neighbour.get("/api/v1/messages").await;
    assert!(refused.status == 401 || refused.status == 403, "it is shut: {}", refused.status);
    let trail = identity::audit::verify::stored(&source.db, tenant).await.unwrap();

    let there = Elsewhere::new(!testkit::house::on_postgres()).await;
    there.import(&file).await.unwrap();
    assert_eq!(there.hashes(tenant).await.tables, packed.tables);
    let came = identity::audit::verify::stored(&there.runtime.db, tenant).await.unwrap();
    assert!(came.whole && came.rows == trail.rows && came.public_key == trail.public_key, "{came:?}");
    there.run(format!("update tenant set status = 'active' where id = {}", tenant.raw())).await;
    let mut config = config(there.folder.path(), there._database.as_ref().map(|one| one.url.as_str()));
    config.security.admin_key = Secret::new(String::new());
    there.runtime.db.close().await;

    let server = Server::start(config, Clock::system()).await.unwrap();
    let theirs = neighbour.at(server.http);
    let messages = theirs.get("/api/v1/messages?limit=100").await.expect(200);
    assert_eq!(messages["items"].as_array().unwrap().len(), 30, "the key opens, and everything is there");
    let sealed = theirs.get(&format!("/api/v1/connections/{}", connection.as_str().unwrap())).await;
    sealed.expect(200);
    record! { struct Sealed { id: i64, password_sealed: String } }
    let mut tx = server.runtime.db.read(Tenancy::Tenant(tenant)).await.unwrap();
    let row: Sealed = tx
        .one("select id, password_sealed from connection where tenant_id = $1 limit 1", args![tenant])
        .await
        .unwrap();
    drop(tx);
    let id = types::ConnectionId::from_raw(row.id).to_string();
    let (runtime, sealed) = (&server.runtime, row.password_sealed.as_str());
    let opened = identity::encryption::open(runtime, tenant, "connection", "password_sealed", &id, sealed)
        .await
        .unwrap();
    assert!(opened.expose().ends_with("-pw"));
    // The stream and the trail go on behind what came.
    theirs
        .post("/api/v1/blacklist", &json!({ "kind": "number", "value": "+33611111111", "reason": "after" }))
        .await
        .expect(201);
    let verified = theirs.get("/api/v1/audit/verify").await.expect(200);
    assert_eq!(verified["whole"], true, "{verified}");
    assert_eq!(verified["public_key"], json!(trail.public_key));
    assert!(verified["last"].as_i64().unwrap() > trail.last);
    record! { struct Pages { events: i64, last: i64 } }
    let mut tx = server.runtime.db.read(Tenancy::Tenant(tenant)).await.unwrap();
    let pages: Pages = tx
        .one(
            "select cast(sum(last_seq - first_seq + 1) as bigint) as events, max(last_seq) as last from event_page where tenant_id = $1",
            args![tenant],
        )
        .await
        .unwrap();
    drop(tx);
    assert_eq!(pages.events, pages.last, "no number is left out");
    server.stop().await;
    house.stop().await;
}

/// Waits until the record of a suitcase is in one of two states.
async fn reached(admin: &Client, id: &str) -> serde_json::Value {
    for _ in 0..600 {
        let one = admin.get(&format!("/api/v1/suitcases/{id}")).await.expect(200);
        if !matches!(one["state"].as_str().unwrap(), "waits" | "working" | "arriving") {
            return one;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the suitcase {id} does not come to its end");
}

/// What the record of a suitcase says of the work while it is under way: the step, and how much of it is done.
async fn followed(admin: &Client, id: &str) -> Vec<(String, u64)> {
    let mut told = Vec::new();
    for _ in 0..60_000 {
        let one = admin.get(&format!("/api/v1/suitcases/{id}")).await.expect(200);
        if let (Some(step), Some(share)) = (one["step"].as_str(), one["share"].as_u64()) {
            told.push((step.to_owned(), share));
        }
        if !matches!(one["state"].as_str().unwrap(), "waits" | "working" | "arriving") {
            break;
        }
    }
    told
}

/// A tenant's own administrator takes a copy, which shuts nothing and is nobody else's.
async fn takes_itself_along(here: &House, neighbour: &Client, asked: &serde_json::Value) {
    let own = neighbour.post("/api/v1/organisation/suitcases", asked).await;
    assert_eq!((own.status, &own.json()["at"]), (422, &json!("suspend")));
    let short = neighbour.post("/api/v1/organisation/suitcases", &json!({ "passphrase": "short" })).await;
    assert_eq!((short.status, &short.json()["at"]), (422, &json!("passphrase")));
    let own = neighbour
        .post("/api/v1/organisation/suitcases", &json!({ "passphrase": PASSPHRASE }))
        .await
        .expect(202);
    let own = own["id"].as_str().unwrap().to_owned();
    assert_eq!(reached(&here.admin, &own).await["state"], "ready");
    let file = neighbour.octets(&format!("/api/v1/organisation/suitcases/{own}/file")).await;
    assert!(file.starts_with(b"switchboard suitcase 1\n"));
    assert_eq!(neighbour.get("/api/v1/suitcases").await.status, 403);
    let others = here.admin.get(&format!("/api/v1/organisation/suitcases/{own}")).await;
    assert_eq!(others.status, 404, "it is the other tenant's own");
}

/// The pages that show it to the platform's administrator.
async fn its_pages_open(here: &House, tenant: TenantId, id: &str) {
    let link = here.server.first_start.made.as_ref().unwrap().link.url.clone();
    let cookie = here.sign_in(&link).await;
    for page in [
        "/suitcases".to_owned(),
        format!("/suitcases/{id}"),
        format!("/tenants/{tenant}/suitcases"),
        "/organisation/suitcases".to_owned(),
    ] {
        let shown = here.anonymous().ask("GET", &page, &[("cookie", &cookie)], None).await;
        assert_eq!(shown.status, 200, "{page}: {}", shown.text);
    }
}

/// Once more: it is there already, and the record says so.
async fn comes_only_once(there: &House, octets: Vec<u8>, restore: &serde_json::Value) {
    let up = there.admin.post("/api/v1/suitcases", &json!({})).await.expect(201)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let headers = [("content-type", "application/octet-stream")];
    there.admin.ask("PUT", &format!("/api/v1/suitcases/{up}/file"), &headers, Some(octets)).await.expect(200);
    there.admin.post(&format!("/api/v1/suitcases/{up}/restore"), restore).await.expect(202);
    let failed = reached(&there.admin, &up).await;
    assert_eq!(failed["state"], "failed");
    assert!(failed["problem"].as_str().unwrap().starts_with("tenant_exists"), "{failed}");
    there.admin.delete(&format!("/api/v1/suitcases/{up}")).await.expect(200);
    let trail = there.admin.get("/api/v1/audit?type=tenant.restored").await.expect(200);
    assert_eq!(trail["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_tenant_moves_from_one_running_server_to_another() {
    let (here, there) = (House::start().await, House::start().await);
    let (tenant, neighbour) = here.neighbour().await;
    fill(&neighbour).await;
    let asked = json!({ "passphrase": PASSPHRASE, "suspend": true });
    takes_itself_along(&here, &neighbour, &asked).await;

    // The platform's administrator moves it.
    let path = format!("/api/v1/tenants/{tenant}/suitcases");
    let packed = here.admin.post(&path, &asked).await.expect(202);
    let packed = reached(&here.admin, packed["id"].as_str().unwrap()).await;
    assert_eq!((&packed["state"], &packed["switched"]), (&json!("ready"), &json!(true)), "{packed}");
    let octets =
        here.admin.octets(&format!("/api/v1/suitcases/{}/file", packed["id"].as_str().unwrap())).await;
    assert_eq!(packed["bytes"], octets.len());
    let hashes = here.admin.get(&format!("/api/v1/tenants/{tenant}/hashes")).await.expect(200);
    assert_eq!(hashes["digest"], packed["manifest"]["digest"]);

    its_pages_open(&here, tenant, packed["id"].as_str().unwrap()).await;
    let up = there.admin.post("/api/v1/suitcases", &json!({})).await.expect(201)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let at = format!("/api/v1/suitcases/{up}");
    let put = async |offset: usize, piece: &[u8]| {
        let headers = [("content-type", "application/octet-stream")];
        there.admin.ask("PUT", &format!("{at}/file?offset={offset}"), &headers, Some(piece.to_vec())).await
    };
    let restore = json!({ "passphrase": PASSPHRASE, "open": true });
    let early = there.admin.post(&format!("{at}/restore"), &restore).await;
    assert_eq!((early.status, &early.json()["at"]), (409, &json!("file")));
    let half = octets.len() / 2;
    put(0, &octets[..half]).await.expect(200);
    // How long the whole is may be said: then a part of it is not restored, and another file does not go on.
    let said = async |total: usize| {
        let headers = [("content-type", "application/octet-stream")];
        there
            .admin
            .ask("PUT", &format!("{at}/file?offset={half}&total={total}"), &headers, Some(Vec::new()))
            .await
    };
    assert_eq!(said(octets.len()).await.expect(200)["bytes_total"], octets.len());
    let other = said(octets.len() + 1).await;
    assert_eq!((other.status, &other.json()["at"]), (422, &json!("total")));
    let early = there.admin.post(&format!("{at}/restore"), &restore).await;
    assert_eq!((early.status, &early.json()["at"]), (409, &json!("file")), "{}", early.text);
    assert_eq!(put(half + 1, &octets[half..]).await.status, 409, "it goes on where it stands");
    assert_eq!(put(half, &octets[half..]).await.expect(200)["bytes"], octets.len());
    let wrong =
        there.admin.post(&format!("{at}/restore"), &json!({ "passphrase": "another passphrase" })).await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (422, "suitcase_locked"));
    there.admin.post(&format!("{at}/restore"), &restore).await.expect(202);
    let told = followed(&there.admin, &up).await;
    assert!(told.iter().any(|(step, _)| step == "checks" || step == "restores"), "{told:?}");
    assert!(told.iter().all(|(_, share)| *share <= 100), "{told:?}");
    let done = reached(&there.admin, &up).await;
    assert_eq!(done.get("step"), None);
    assert_eq!((&done["state"], &done["tenant"]), (&json!("done"), &json!(tenant.to_string())), "{done}");
    assert_eq!(done["manifest"]["digest"], packed["manifest"]["digest"]);

    // The neighbour's key opens the new place and no longer the old one; their messages are there and can be called off.
    let theirs = neighbour.at(there.server.http);
    let messages = theirs.get("/api/v1/messages?limit=100").await.expect(200);
    let first = messages["items"][0]["id"].as_str().unwrap();
    theirs.post(&format!("/api/v1/messages/{first}/cancel"), &json!({})).await.expect(200);
    assert_ne!(neighbour.get("/api/v1/messages").await.status, 200);
    assert_eq!(theirs.get("/api/v1/audit/verify").await.expect(200)["whole"], true);
    comes_only_once(&there, octets, &restore).await;
    here.stop().await;
    there.stop().await;
}
