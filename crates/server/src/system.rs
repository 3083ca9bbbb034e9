//! The program itself: how it runs, under which configuration, and reading that again.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use db::{Tenancy, args, record, sql};
use messaging::Engine;
use runtime::config::reload::{self, Changed, Reloaded};
use runtime::config::{Entry, Finding, Origin, Severity};
use runtime::telemetry::Usage;
use runtime::{Runtime, Scope};
use serde::Serialize;
use types::event::Change;
use types::{Code, Error, Event, Permission, Result, Timestamp};

pub mod api;
pub mod pages;

/// What is kept about this run of the program.
#[derive(Debug, Default)]
struct Run {
    began: OnceLock<(Timestamp, Vec<Listener>, Vec<Entry>)>,
    reloaded: Mutex<Option<LastReload>>,
}

impl Run {
    fn of(runtime: &Runtime) -> std::sync::Arc<Self> {
        runtime.kept(|_| Self::default())
    }
}

/// A port that is listened on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Listener {
    /// What for: `http`, `smpp`, `ucp`, `simulator`.
    pub what: &'static str,
    /// Where.
    pub address: String,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// What came of the last time that the configuration was read again.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LastReload {
    /// When.
    pub at: Timestamp,
    /// What was taken over; absent where the configuration was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub taken: Option<Reloaded>,
    /// What was wrong with it.
    #[schema(value_type = Vec<Object>)]
    pub mistakes: Vec<Finding>,
}

/// A setting that is in force.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// The value as TOML writes it; secrets are masked.
    pub value: String,
    /// Where it came from.
    pub origin: String,
    /// Whether a new value counts without a restart.
    pub at_once: bool,
    /// Whether it is another than at the start.
    pub changed: bool,
}

/// Where rows are kept.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Database {
    /// Its address, without a password.
    pub url: String,
    /// Whether it answers.
    pub answers: bool,
    /// Jobs that wait or run.
    pub jobs: i64,
    /// Jobs that were set aside after their last try.
    pub dead_jobs: i64,
}

/// The disk that the data are on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Disk {
    /// The data folder.
    pub folder: String,
    /// Octets that are free; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
}

/// How the program runs.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct System {
    /// Its version.
    pub version: &'static str,
    /// When it began.
    pub began_at: Timestamp,
    /// For how long it runs, seconds.
    pub uptime_s: i64,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Where rows are kept.
    pub database: Database,
    /// What the process uses, as far as the system tells.
    #[schema(value_type = Object)]
    pub process: Usage,
    /// The disk that the data are on.
    pub disk: Disk,
    /// Messages in memory, waiting or out.
    pub messages_in_memory: usize,
    /// Writes that wait for their transaction.
    pub writes_waiting: usize,
    /// What came of the last time that the configuration was read again; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<LastReload>,
    /// The configuration in force, in the order of the manual.
    pub configuration: Vec<Setting>,
}

/// Notes how the program began.
pub(crate) fn began(runtime: &Runtime, listeners: Vec<Listener>) {
    let began = (runtime.clock.now(), listeners, runtime.config.entries());
    // A program begins once.
    let _ = Run::of(runtime).began.set(began);
}

record! { struct Count { n: i64 } }

async fn database(runtime: &Runtime) -> Database {
    let counted = async {
        let mut tx = runtime.db.read(Tenancy::Every).await?;
        let jobs: Count = tx
            .one(
                sql!(
                    "select count(*) as n from job where not dead /* every tenant: only how many there are */"
                ),
                args![],
            )
            .await?;
        let dead: Count = tx
            .one(
                sql!("select count(*) as n from job where dead /* every tenant: only how many there are */"),
                args![],
            )
            .await?;
        Ok::<_, Error>((jobs.n, dead.n))
    };
    let counted = counted.await;
    let (jobs, dead_jobs) = *counted.as_ref().unwrap_or(&(0, 0));
    Database { url: runtime.config.database_url().masked(), answers: counted.is_ok(), jobs, dead_jobs }
}

/// Free octets of the disk that a folder is on (POSIX df -P); nothing where the system does not tell.
async fn free_bytes(folder: &Path) -> Option<u64> {
    let answer = tokio::process::Command::new("df").arg("-Pk").arg("--").arg(folder).output().await.ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    kib.checked_mul(1_024)
}

/// How the program runs, and under which configuration.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn look(scope: &Scope, engine: &Engine) -> Result<System> {
    scope.require(Permission::SystemView)?;
    let runtime = scope.runtime();
    let run = Run::of(runtime);
    let now = scope.now();
    let (began_at, listeners, first) = run.began.get().cloned().unwrap_or((now, Vec::new(), Vec::new()));
    let setting = |entry: Entry| Setting {
        at_once: reload::is_taken_at_once(&entry.key),
        changed: first.iter().any(|before| before.key == entry.key && before.value != entry.value),
        origin: entry.origin.to_string(),
        key: entry.key,
        value: entry.value,
    };
    let folder = &runtime.config.data_dir;
    let last_reload = run.reloaded.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(System {
        version: env!("CARGO_PKG_VERSION"),
        began_at,
        uptime_s: now.since_ms(began_at) / 1_000,
        listeners,
        database: database(runtime).await,
        process: Usage::read(),
        disk: Disk { folder: folder.display().to_string(), free_bytes: free_bytes(folder).await },
        messages_in_memory: engine.queue().taken(),
        writes_waiting: engine.journal().waiting(),
        last_reload,
        configuration: runtime.config.entries().into_iter().map(setting).collect(),
    })
}

/// Reads the configuration again, and remembers what came of it.
///
/// # Errors
/// Everything that is wrong with it; nothing changes then.
pub(crate) fn reread(runtime: &Runtime) -> std::result::Result<Reloaded, Vec<Finding>> {
    let read = runtime.reload().map_err(|errors| errors.0);
    let last = LastReload {
        at: runtime.clock.now(),
        taken: read.as_ref().ok().cloned(),
        mistakes: read.as_ref().err().cloned().unwrap_or_default(),
    };
    *Run::of(runtime).reloaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    match &read {
        Ok(told) => {
            for Changed { key, before, after, .. } in &told.applied {
                tracing::info!(key, before, after, "a setting was taken over");
            }
            for Changed { key, .. } in &told.after_restart {
                tracing::warn!(key, "a setting has changed and needs a restart");
            }
        }
        Err(mistakes) => {
            for finding in mistakes {
                tracing::error!(%finding, "the configuration is wrong; the former one stays in force");
            }
        }
    }
    read
}

/// Reads the configuration again and takes over what can be taken over at once.
///
/// # Errors
/// [`Code::InvalidConfiguration`] with every mistake; nothing changes then.
pub async fn reload(scope: &Scope) -> Result<Reloaded> {
    scope.require(Permission::SystemManage)?;
    let told = reread(scope.runtime()).map_err(|mistakes| refusal(&mistakes))?;
    let mut write = scope.write().await?;
    let keys = |changed: &[Changed]| {
        let shown = |one: &Changed| (one.key.clone(), serde_json::Value::from(one.after.clone()));
        serde_json::Value::Object(changed.iter().map(shown).collect())
    };
    let before: serde_json::Map<_, _> =
        told.applied.iter().map(|one| (one.key.clone(), one.before.clone().into())).collect();
    write.happened(Event::SystemReloaded(Change {
        id: "configuration".to_owned(),
        name: "configuration".to_owned(),
        before: Some(before.into()),
        after: Some(keys(&told.applied)),
    }));
    write.commit(told).await
}

/// A configuration that cannot be used, as a refusal: the first mistake's place, and all of them in words.
fn refusal(mistakes: &[Finding]) -> Error {
    let errors: Vec<&Finding> =
        mistakes.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let at = errors.first().map_or_else(String::new, |finding| match &finding.origin {
        Origin::File(path) if finding.key.is_empty() => path.display().to_string(),
        _ => finding.key.clone(),
    });
    Error::new(Code::InvalidConfiguration, words.join("\n")).at(at)
}
