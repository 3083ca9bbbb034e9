#![doc = include_str!("../README.md")]

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use config::reload::{InForce, RELOADS_MAX, Reloaded};
use config::{ConfigErrors, Finding, Severity};
use db::{Migration, Told, Travel};
use tokio::sync::Notify;

pub mod clock;
pub mod config;
pub mod job;
pub mod kms;
pub mod live;
pub mod mail;
pub mod measure;
pub mod outbound;
pub mod outbox;
pub mod pace;
pub mod personal;
pub mod retention;
pub mod scope;
pub mod secrets;
pub mod sighting;
pub mod signed;
pub mod tasks;
pub mod telemetry;
pub mod tls;
pub mod trace;
pub mod webhook;
pub mod wire;

pub use clock::{Clock, Ids};
pub use config::Config;
pub use live::Live;
pub use scope::{Actor, Held, Origin, Reached, Scope, Write};
pub use tasks::Tasks;

/// What every part of the program shares. Cloning shares it.
#[derive(Clone)]
pub struct Runtime {
    parts: Arc<Parts>,
    /// How often the configuration was read again; and one at a time.
    reloads: Arc<Mutex<usize>>,
    kept: Arc<Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>>,
}

/// The parts of a [`Runtime`].
pub struct Parts {
    /// The checked configuration.
    pub config: InForce<Config>,
    /// The database.
    pub db: db::Db,
    /// The time.
    pub clock: Clock,
    /// The maker of ids.
    pub ids: Ids,
    /// The program's tasks.
    pub tasks: Tasks,
    /// Writers that others leave their work with; they stop when all other tasks have.
    pub writers: Tasks,
    /// Events as they happen.
    pub live: Live,
    /// HTTP towards the world.
    pub outbound: InForce<outbound::Outbound>,
    /// The keeper of secrets at rest.
    pub vault: secrets::Vault,
    /// Metrics to be scraped.
    pub telemetry: telemetry::Telemetry,
    /// Rung when a job may be due.
    pub job_wake: Arc<Notify>,
}

impl Runtime {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), reloads: Arc::default(), kept: Arc::default() }
    }

    /// Reads the configuration again and takes over what can be taken over at once. A configuration that is wrong changes
    /// nothing.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn reload(&self) -> Result<Reloaded, ConfigErrors> {
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = |key: &str, problem: String, advice: &str| {
            ConfigErrors(vec![Finding {
                key: key.to_owned(),
                origin: self.config.origin(key),
                severity: Severity::Error,
                problem,
                advice: advice.to_owned(),
            }])
        };
        if *reloads >= RELOADS_MAX {
            return Err(refused("", format!("it was read again {RELOADS_MAX} times"), "restart the program"));
        }
        let (next, told) = self.config.reread()?;
        if told.applied.is_empty() {
            return Ok(told);
        }
        let outbound = match next.outbound == self.config.outbound {
            true => None,
            false => Some(
                outbound::Outbound::new(&next.outbound)
                    .map_err(|error| refused("outbound", error.to_string(), "check the section"))?,
            ),
        };
        if next.log.filter != self.config.log.filter {
            let unusable =
                |error: telemetry::TelemetryError| refused("log.filter", error.to_string(), "correct it");
            self.telemetry.set_filter(&next.log.filter).map_err(unusable)?;
        }
        *reloads += 1;
        if let Some(outbound) = outbound {
            self.outbound.replace(outbound);
        }
        self.config.replace(next);
        Ok(told)
    }

    /// What a capability above keeps in memory beside its rows, such as a cache or a semaphore: one value of each type,
    /// made when it is first asked for. A static would be shared by runtimes that have nothing to do with each other.
    pub fn kept<T: Any + Send + Sync>(&self, make: impl FnOnce(&Parts) -> T) -> Arc<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let value = Arc::clone(kept.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(make(&self.parts))));
        value.downcast().unwrap_or_else(|_| unreachable!("the map's key is the value's own type"))
    }

    /// A runtime around a configuration, a database and a clock, as tests of the capabilities above want it.
    ///
    /// # Errors
    /// When the outbound client or the telemetry cannot be made.
    pub fn for_tests(config: Config, db: db::Db, clock: Clock) -> types::Result<Self> {
        let outbound =
            InForce::new(outbound::Outbound::new(&config.outbound).map_err(types::Error::internal)?);
        let telemetry = telemetry::Telemetry::install(&config.log).map_err(types::Error::internal)?;
        Ok(Self::new(Parts {
            ids: Ids::new(clock.clone(), 0),
            live: Live::new(config.live.queue_max),
            vault: secrets::Vault::from_key([7; 32]),
            tasks: Tasks::new(),
            writers: Tasks::new(),
            job_wake: Arc::new(Notify::new()),
            config: InForce::new(config),
            db,
            clock,
            outbound,
            telemetry,
        }))
    }
}

impl std::ops::Deref for Runtime {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The tables of this crate that hold tenants' rows, each behind those that it refers to.
pub const TABLES: &[&str] = &["event_head", "event_page", "idempotency", "job"];

/// How they travel with their tenant.
pub const TRAVEL: &[Travel] = &[
    Travel::whole("event_head"),
    Travel::whole("event_page"),
    // Also where a request is repeated at the new place, nothing happens twice.
    Travel::whole("idempotency"),
    Travel::but(
        "job",
        &[Told {
            column: "leased_until",
            as_sql: "cast(0 as bigint)",
            why: "the process that ran it is at the old place",
        }],
    ),
];

/// The tables of the event stream, kept answers and jobs.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "runtime/0001_events", text: include_str!("../migrations/0001_events.sql") },
    Migration { name: "runtime/0002_jobs", text: include_str!("../migrations/0002_jobs.sql") },
    Migration { name: "runtime/0039_answers", text: include_str!("../migrations/0039_answers.sql") },
];
