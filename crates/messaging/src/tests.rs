//! A house with two tenants, on a database of its own.

use db::{Db, Options};
use identity::tenant::{self, NewTenant};
use runtime::{Actor, Clock, Config, Origin, Runtime, Scope, outbox};
use serde_json::Value;
use types::{MessageId, Permissions, TenantId, Timestamp};

use crate::Engine;
use crate::settings::Patch;

mod pages;

/// Two tenants who must never meet.
pub(crate) struct House {
    /// What they share.
    pub(crate) runtime: Runtime,
    /// The first tenant's, with every right within it.
    pub(crate) ours: Scope,
    /// The other tenant's.
    pub(crate) theirs: Scope,
    _dir: tempfile::TempDir,
}

impl House {
    /// Builds it; passwords are hashed as cheaply as the function allows.
    pub(crate) async fn build() -> Self {
        Self::build_with(|_| {}).await
    }

    /// Builds it with another configuration.
    pub(crate) async fn build_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests(dir.path());
        config.security.argon2_memory_kib = 8;
        config.security.argon2_passes = 1;
        change(&mut config);
        let options = Options { flush_each_commit: false, ..Options::default() };
        let db = Db::open(config.database_url().expose(), &options).await.unwrap();
        db.migrate(
            &[runtime::MIGRATIONS, identity::MIGRATIONS, privacy::MIGRATIONS, crate::MIGRATIONS].concat(),
        )
        .await
        .unwrap();
        let clock = Clock::manual(Timestamp::from_unix_ms(1_790_000_000_000));
        let runtime = Runtime::for_tests(config, db, clock).unwrap();
        let first = identity::first_start::run(&runtime).await.unwrap().tenant;
        let ours = grant(&runtime, first, Permissions::all());
        let neighbour = NewTenant { name: "Neighbour".to_owned(), ..NewTenant::default() };
        let second = tenant::create(&ours, neighbour).await.unwrap().tenant.id;
        let theirs = grant(&runtime, second, Permissions::all_of_a_tenant());
        Self { runtime, ours, theirs, _dir: dir }
    }

    /// The same house under another configuration, as after a restart.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = self.runtime.config.clone();
        change(&mut config);
        let (db, clock) = (self.runtime.db.clone(), self.runtime.clock.clone());
        self.runtime = Runtime::for_tests(config, db, clock).unwrap();
        let again = |scope: &Scope| grant(&self.runtime, scope.tenant(), scope.permissions());
        (self.ours, self.theirs) = (again(&self.ours), again(&self.theirs));
    }

    /// Somebody with only these rights.
    pub(crate) fn scope(&self, tenant: TenantId, permissions: Permissions) -> Scope {
        grant(&self.runtime, tenant, permissions)
    }

    /// An engine whose one route leads to a carrier that nobody answers for: what is sent waits.
    pub(crate) async fn engine_without_carrier(&self) -> Engine {
        let connection = serde_json::json!({
            "name": "Away", "settings": { "host": "127.0.0.1", "port": 1, "system_id": "x" }
        });
        let connection = serde_json::from_value(connection).unwrap();
        let connection = crate::connection::create(&self.ours, connection).await.unwrap();
        let route = serde_json::json!({ "name": "All", "rule": { "targets": [connection.id] } });
        crate::route::create(&self.ours, serde_json::from_value(route).unwrap()).await.unwrap();
        Engine::start(&self.runtime).await.unwrap()
    }

    /// Sends a message in the first tenant's name.
    pub(crate) async fn send(&self, engine: &Engine, message: Value) -> MessageId {
        let message = serde_json::from_value(message).unwrap();
        crate::message::submit::send(&self.ours, engine, &message).await.unwrap().id
    }

    /// The first tenant's whole stream, as text.
    pub(crate) async fn events(&self) -> String {
        let events = outbox::read_after(&self.runtime.db, self.ours.tenant(), 0, 1_000).await.unwrap();
        serde_json::to_string(&events).unwrap()
    }
}

fn grant(runtime: &Runtime, tenant: TenantId, permissions: Permissions) -> Scope {
    Scope::grant(runtime.clone(), tenant, Actor::System("test"), permissions, Origin::default())
}

/// A patch written as JSON.
pub(crate) fn patch(value: Value) -> Patch {
    let Value::Object(patch) = value else { panic!("a patch is an object") };
    patch
}
