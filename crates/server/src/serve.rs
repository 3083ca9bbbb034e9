//! Starting, and stopping in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use db::{Db, Options};
use identity::authenticate::Identity;
use identity::encryption::{self, Sealed};
use identity::first_start::{self, FirstStart};
use identity::suitcase::{self, Luggage};
use identity::value_list;
use messaging::{Engine, Gateway};
use runtime::config::Synchronous;
use runtime::config::reload::InForce;
use runtime::kms;
use runtime::outbound::Outbound;
use runtime::personal::{self, Personal};
use runtime::retention::{self, Class};
use runtime::secrets::{Keys, Service, Vault};
use runtime::telemetry::Telemetry;
use runtime::{Clock, Config, Ids, Live, Parts, Runtime, Tasks};
use simulator::Smsc;
use types::{Code, Error, Result};
use web::App;

use crate::demo::{self, Demo};
use crate::system::{self, Listener};
use crate::{http, listen, upkeep};

/// All steps of the schema, in order.
pub fn migrations() -> Vec<db::Migration> {
    [runtime::MIGRATIONS, identity::MIGRATIONS, privacy::MIGRATIONS, messaging::MIGRATIONS].concat()
}

/// All tables that hold tenants' rows, each behind those that it refers to.
pub fn tables() -> Vec<&'static str> {
    [runtime::TABLES, identity::TABLES, privacy::TABLES, messaging::TABLES].concat()
}

/// What goes into a tenant's suitcase, the tenant's own row first.
pub fn luggage() -> Luggage {
    Luggage {
        travels: [identity::TRAVEL, runtime::TRAVEL, privacy::TRAVEL, messaging::TRAVEL].concat(),
        migrations: migrations(),
        folders: messaging::cdr::folders,
    }
}

/// All columns that hold sealed texts.
pub fn sealed() -> Vec<Sealed> {
    [identity::SEALED, privacy::SEALED, messaging::SEALED].concat()
}

/// All tables, with what they hold about persons, in the order in which erasure walks them: the lists before the messages,
/// users last, because what else is theirs is found by them.
pub fn personal_tables() -> Vec<Personal> {
    [messaging::PERSONAL, privacy::PERSONAL, personal::PERSONAL, identity::PERSONAL].concat()
}

/// All classes of data that are kept for a time, in the order in which they are shown and swept.
pub fn retention_classes() -> Vec<Class> {
    [messaging::RETENTION, retention::CLASSES, privacy::RETENTION, identity::RETENTION].concat()
}

/// The running program.
pub struct Server {
    /// What every part shares.
    pub runtime: Runtime,
    /// The running gateway.
    pub engine: Engine,
    /// Where the API and the console are.
    pub http: SocketAddr,
    /// Where customers' systems bind.
    pub smpp: SocketAddr,
    /// Where they bind over TLS, where that is configured.
    pub smpp_tls: Option<SocketAddr>,
    /// Where customers' systems open UCP sessions, where that is enabled.
    pub ucp: Option<SocketAddr>,
    /// Where mail is taken, where that is enabled.
    pub smtp: Option<messaging::smtp_server::Server>,
    /// The built-in carrier, where it is enabled.
    pub simulator: Option<Smsc>,
    /// What the first start made, or what was there.
    pub first_start: FirstStart,
    /// The demo's SMPP account, where this start made it.
    pub demo: Option<Demo>,
}

/// Opens the configured database as it is.
///
/// # Errors
/// When it cannot be opened.
pub async fn connect_database(config: &Config) -> Result<Db> {
    make_folder(&config.data_dir)?;
    let url = config.database_url();
    let sqlite = url.expose().starts_with("sqlite:");
    let options = Options {
        connections: if sqlite { config.database.readers } else { config.database.pool_max },
        wait: Duration::from_millis(config.database.acquire_timeout_ms),
        lock_wait: Duration::from_millis(config.database.busy_timeout_ms),
        flush_each_commit: config.database.synchronous == Synchronous::Full,
    };
    Db::open(url.expose(), &options).await
}

/// Opens the configured database and brings its schema up to date.
///
/// # Errors
/// When it cannot be opened or migrated.
pub async fn open_database(config: &Config) -> Result<Db> {
    let db = connect_database(config).await?;
    let ran = db.migrate(&migrations()).await?;
    if !ran.is_empty() {
        tracing::info!(steps = ran.len(), "the database's schema is up to date");
    }
    Ok(db)
}

/// The data folder, for its owner alone: it holds keys.
fn make_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| {
        Error::new(Code::Unavailable, format!("the data folder {} cannot be made: {error}", folder.display()))
            .hint("check data_dir, and who may write there")
    })
}

/// Reads the root keys, and lets the key management service open them where one has closed them.
async fn open_vault(config: &Config, db: &Db, clock: &Clock) -> Result<Vault> {
    let unavailable = |error: String| Error::new(Code::Unavailable, error);
    let service = match kms::keeper(config, clock).map_err(|error| unavailable(error.to_string()))? {
        None => None,
        Some(keeper) => {
            let installation = encryption::root::installation(db, clock.now()).await?;
            Some(Service { keeper, installation })
        }
    };
    let (handed, file) = (config.security.root_key.expose().trim(), config.root_key_file());
    let keys = if handed.is_empty() { Keys::File(&file) } else { Keys::Handed(handed) };
    let keeper = service.as_ref().map(|service| service.keeper.clone());
    let vault = Vault::open(keys, service).await.map_err(|error| unavailable(error.to_string()))?;
    if let Some(keeper) = keeper.filter(|_| !vault.is_closed()) {
        tracing::warn!(
            "the root key lies in the clear, though a key management service is configured: `switchboard encryption turn-root` \
             closes it"
        );
        // Found out now, and not when somebody turns the key.
        if let Err(error) = keeper.check().await {
            tracing::warn!(%error, "and the service would not close it");
        }
    }
    Ok(vault)
}

/// Puts the runtime together.
///
/// # Errors
/// When the database cannot be opened, or the root key cannot be read.
pub async fn runtime(config: Config, clock: Clock) -> Result<Runtime> {
    let telemetry = Telemetry::install(&config.log).map_err(Error::internal)?;
    let db = open_database(&config).await?;
    let unavailable = |error: String| Error::new(Code::Unavailable, error);
    let vault = open_vault(&config, &db, &clock).await?;
    Ok(Runtime::new(Parts {
        vault,
        outbound: InForce::new(
            Outbound::new(&config.outbound).map_err(|error| unavailable(error.to_string()))?,
        ),
        ids: Ids::new(clock.clone(), 0),
        live: Live::new(config.live.queue_max),
        tasks: Tasks::new(),
        writers: Tasks::new(),
        job_wake: Arc::default(),
        config: InForce::new(config),
        db,
        clock,
        telemetry,
    }))
}

impl Server {
    /// Starts everything and gives it running.
    ///
    /// # Errors
    /// When the database, a key or a listener cannot be had; nothing runs then.
    pub async fn start(config: Config, clock: Clock) -> Result<Self> {
        listen::rehearse(&config)?;
        let runtime = runtime(config, clock).await?;
        encryption::name_columns(&runtime, sealed());
        personal::name_tables(&runtime, personal_tables());
        retention::name_classes(&runtime, retention_classes());
        suitcase::name_luggage(&runtime, luggage());
        // It keeps its key at once: whatever fails from here on, the next start makes no second one.
        let first_start = first_start(&runtime).await?;
        value_list::seed_all(&runtime).await?;
        encryption::root::finish(&runtime, first_start.tenant).await?;
        identity::domain::refresh(&runtime).await?;
        let simulator = match runtime.config.simulator.enabled {
            true => Some(demo::start_simulator(&runtime).await?),
            false => None,
        };
        if let Some(simulator) = &simulator {
            messaging::simulated::listens_at(&runtime, simulator.address());
        }
        let engine = Engine::start(&runtime).await?;
        let traffic = Arc::new(messaging::PersonalTraffic(engine.clone()));
        privacy::request::job::name_traffic(&runtime, traffic);
        let courier = Arc::new(messaging::SignInCodes(engine.clone()));
        identity::factor::phone::name_courier(&runtime, courier);
        privacy::tombstone::after_start(&runtime).await?;
        let demo = match (&first_start.made, runtime.config.demo.enabled) {
            (Some(_), true) => {
                Some(demo::make(&runtime, &engine, first_start.tenant, simulator.as_ref()).await?)
            }
            _ => None,
        };
        let smpp = messaging::smpp_server::listen(engine.clone(), runtime.config.smpp.listen).await?;
        let ucp = match runtime.config.ucp.enabled {
            true => {
                let listening = messaging::ucp_server::listen(engine.clone(), runtime.config.ucp.listen);
                Some(listening.await?.address)
            }
            false => None,
        };
        let smtp = match runtime.config.smtp.enabled {
            true => Some(messaging::smtp_server::listen(engine.clone()).await?),
            false => None,
        };
        let identity = Arc::new(Identity::new(runtime.clone()));
        runtime.tasks.spawn("identity", identity.clone().keep());
        let app = App {
            runtime: runtime.clone(),
            authenticate: identity,
            nav: http::navigation(simulator.is_some()),
        };
        let gateway = Gateway { app: app.clone(), engine: engine.clone() };
        let routes = http::routes(&app, &gateway, simulator.clone());
        let http = listen::http(&runtime, routes).await?;
        upkeep::start(&runtime, &engine);
        let (smpp, smpp_tls) = (smpp.address, smpp.tls);
        let listener = |what, address: SocketAddr, tls| Listener { what, address: address.to_string(), tls };
        let mut listeners =
            vec![listener("http", http, runtime.config.http.tls.is_on()), listener("smpp", smpp, false)];
        listeners.extend(smpp_tls.map(|address| listener("smpp", address, true)));
        listeners.extend(ucp.map(|address| listener("ucp", address, false)));
        listeners.extend(smtp.as_ref().map(|one| listener("smtp", one.address, false)));
        listeners
            .extend(smtp.as_ref().and_then(|one| one.tls).map(|address| listener("smtp", address, true)));
        listeners.extend(simulator.as_ref().map(|one| listener("simulator", one.address(), false)));
        system::began(&runtime, listeners);
        Ok(Self { runtime, engine, http, smpp, smpp_tls, ucp, smtp, simulator, first_start, demo })
    }

    /// Stops in order: doors close, open work drains within the configured time, the database is closed last.
    pub async fn stop(self) {
        let wait = Duration::from_millis(self.runtime.config.drain_ms);
        self.engine.stop().await;
        if !self.runtime.tasks.stop(wait).await {
            tracing::warn!("some work had not drained in time; the database knows it");
        }
        self.runtime.writers.stop(wait).await;
        self.runtime.db.close().await;
    }
}

/// Makes an empty database usable, and keeps the key that it made.
///
/// # Errors
/// When the database does not answer.
pub async fn first_start(runtime: &Runtime) -> Result<FirstStart> {
    let first_start = first_start::run(runtime).await?;
    keep_cli_key(runtime, &first_start);
    Ok(first_start)
}

/// Keeps the first start's key for the command line on this machine, readable by its owner alone.
fn keep_cli_key(runtime: &Runtime, first_start: &FirstStart) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt;
    let Some(made) = &first_start.made else { return };
    let path = runtime.config.data_dir.join("cli.key");
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let kept = file.and_then(|mut file| file.write_all(made.cli_key.expose().as_bytes()));
    if let Err(error) = kept {
        tracing::warn!(%error, path = %path.display(), "the command line's key could not be kept");
    }
}
