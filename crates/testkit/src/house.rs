//! The real program in this process, on free ports and a database of its own.

use std::time::Duration;

use runtime::{Clock, Config};
use serde_json::{Value, json};
use server::Server;
use types::TenantId;

use crate::client::Client;
use crate::postgres;

/// The key of the first tenant's administrator, as automation sets it.
pub const ADMIN_KEY: &str = "test-key-of-the-first-administrator";

/// The running program.
pub struct House {
    /// The program.
    pub server: Server,
    /// The first tenant's administrator, with platform rights.
    pub admin: Client,
    // Dropped last: the folder and the database go when nothing uses them any more.
    _database: Option<postgres::Database<'static>>,
    _folder: tempfile::TempDir,
}

/// Which engine this run is for.
#[expect(clippy::disallowed_methods, reason = "the suite is told by its environment which engine to run on")]
pub fn on_postgres() -> bool {
    std::env::var("TEST_DB").is_ok_and(|engine| engine == "postgres")
}

impl House {
    /// Boots it.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Boots it with another configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::for_tests(folder.path());
        config.security.admin_key = runtime::config::Secret::new(ADMIN_KEY.to_owned());
        // Tests hash many passwords and guard none.
        config.security.argon2_memory_kib = 8;
        config.security.argon2_passes = 1;
        config.simulator.receipt_delay_ms = 0;
        config.smpp.bind_failure_delay_ms = 10;
        config.drain_ms = 5_000;
        config.log.filter = "warn".to_owned();
        let database = on_postgres().then(|| postgres::start().database());
        if let Some(database) = &database {
            config.database.url = runtime::config::DatabaseUrl::new(&database.url);
            config.database.pool_max = 5;
        }
        change(&mut config);
        let server = Server::start(config, Clock::system()).await.expect("the program starts");
        let admin = Client::anonymous(server.http).with_key(ADMIN_KEY);
        let house = Self { server, admin, _database: database, _folder: folder };
        house
            .until("the simulator is bound", async || {
                let connections = house.admin.get("/api/v1/connections").await.json();
                connections["items"]
                    .as_array()
                    .is_some_and(|all| all.iter().all(|one| one["status"]["state"] == "bound"))
            })
            .await;
        house
    }

    /// Somebody without credentials.
    pub fn anonymous(&self) -> Client {
        Client::anonymous(self.server.http)
    }

    /// A key of the first tenant with these scopes.
    pub async fn key(&self, scopes: &[&str]) -> Client {
        let made = self
            .admin
            .post("/api/v1/api-keys", &json!({ "name": "test", "scopes": scopes }))
            .await
            .expect(201);
        self.anonymous().with_key(made["secret"].as_str().unwrap_or_default())
    }

    /// The session cookie of whoever follows a one-time link.
    pub async fn sign_in(&self, link: &str) -> String {
        let token = link.rsplit_once("token=").map(|(_, token)| token).unwrap_or_default();
        let signed_in = self.anonymous().form("/sign-in/link", &[], &format!("token={token}")).await;
        assert_eq!(signed_in.status, 303, "{}", signed_in.text);
        let cookies = signed_in.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let session = cookies.into_iter().find(|value| value.contains("session")).unwrap_or_default();
        session.split(';').next().unwrap_or_default().to_owned()
    }

    /// Another tenant's administrator.
    pub async fn neighbour(&self) -> (TenantId, Client) {
        let new = json!({ "name": "Neighbour", "administrator": { "email": "neighbour@example.org", "name": "N" } });
        let made = self.admin.post("/api/v1/tenants", &new).await.expect(201);
        let cookie = self.sign_in(made["link"]["url"].as_str().unwrap_or_default()).await;
        let catalogue = self.admin.get("/api/v1/permissions").await.expect(200);
        let scopes: Vec<String> = permissions(&catalogue);
        let body = serde_json::to_vec(&json!({ "name": "theirs", "scopes": scopes })).expect("JSON");
        let headers = [("content-type", "application/json"), ("cookie", cookie.as_str())];
        let made_key =
            self.anonymous().ask("POST", "/api/v1/api-keys", &headers, Some(body)).await.expect(201);
        let tenant = made["id"].as_str().and_then(|id| id.parse().ok()).expect("a tenant's id");
        (tenant, self.anonymous().with_key(made_key["secret"].as_str().unwrap_or_default()))
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When it is not within 20 seconds.
    pub async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        for _ in 0..400 {
            if so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("after 20 seconds it is still not so that {what}");
    }

    /// Stops it in order.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn permissions(catalogue: &Value) -> Vec<String> {
    types::Permissions::all_of_a_tenant()
        .iter()
        .map(|permission| permission.as_str().to_owned())
        .filter(|name| catalogue.to_string().contains(name.as_str()))
        .collect()
}
