//! What a first start with nothing creates: a carrier, a route to it, and an SMPP account. By the operations that
//! everybody uses.

use messaging::Engine;
use messaging::account::{self, NewAccount};
use messaging::connection::{self, NewConnection};
use messaging::route::{self, NewRoute};
use runtime::{Actor, Origin, Runtime, Scope};
use serde_json::{Value, json};
use simulator::smsc::Credentials;
use simulator::{Settings, Smsc};
use types::{ConnectionId, Permissions, Result, TenantId};

/// The demo's SMPP account; its password is shown now or never.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The name to bind with.
    pub system_id: String,
    /// The password.
    pub password: String,
}

/// What our own connection binds to the simulator with. It is no secret: the simulator stands for a carrier and hears on
/// this machine alone.
const SYSTEM_ID: &str = "switchboard";
const PASSWORD: &str = "carrier";

/// Starts the built-in carrier.
///
/// # Errors
/// When its port is taken.
pub async fn start_simulator(runtime: &Runtime) -> Result<Smsc> {
    let accounts = vec![Credentials { system_id: SYSTEM_ID.to_owned(), password: PASSWORD.to_owned() }];
    let settings = Settings { accounts, ..Settings::from(&runtime.config.simulator) };
    Smsc::start(settings, &runtime.tasks, runtime.clock.clone()).await
}

/// Makes the first connection, route and account.
///
/// # Errors
/// When the database does not answer.
pub async fn make(
    runtime: &Runtime,
    engine: &Engine,
    tenant: TenantId,
    simulator: Option<&Smsc>,
) -> Result<Demo> {
    let actor = Actor::System("first start");
    let scope =
        Scope::grant(runtime.clone(), tenant, actor, Permissions::all_of_a_tenant(), Origin::default());
    if let Some(simulator) = simulator {
        let id = connect(&scope, simulator).await?;
        let everything = NewRoute {
            name: "Everything".to_owned(),
            priority: None,
            active: None,
            rule: members(json!({ "targets": [id] })),
        };
        route::create(&scope, everything).await?;
        engine.routes_changed().await?;
        engine.connection_changed(id).await?;
    }
    let new = NewAccount {
        system_id: "demo".to_owned(),
        name: Some("Demo".to_owned()),
        password: None,
        active: None,
        settings: members(json!({ "numbers": ["10000"] })),
    };
    let made = account::create(&scope, new).await?;
    engine.account_changed(made.account.id).await?;
    Ok(Demo { system_id: made.account.system_id, password: made.password })
}

async fn connect(scope: &Scope, simulator: &Smsc) -> Result<ConnectionId> {
    let address = simulator.address();
    let settings = json!({
        "host": address.ip().to_string(), "port": address.port(), "system_id": SYSTEM_ID, "binds": 2, "window": 500,
    });
    let new = NewConnection {
        name: "Simulator".to_owned(),
        password: Some(PASSWORD.to_owned()),
        hook_secret: None,
        wanted: None,
        settings: members(settings),
    };
    Ok(connection::create(scope, new).await?.id)
}

fn members(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}
