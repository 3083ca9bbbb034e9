//! The real program in this process, on free ports and a database of its own.

use std::time::Duration;

use runtime::{Clock, Config};
use serde_json::json;
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
        self.anonymous().sign_in(link).await
    }

    /// Another tenant's administrator.
    pub async fn neighbour(&self) -> (TenantId, Client) {
        self.admin.neighbour().await
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
