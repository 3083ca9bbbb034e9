//! The configuration: one typed struct for each concern, read from four layers and checked before anything
//! starts.
//!
//! `config/default.toml` is built in; it holds every key with its default and is the manual at once. Over it
//! lie a file, the environment and the flags of the command line. [`Config::load`] tells all mistakes of all
//! layers together, each with its place and what to write instead.

mod check;
mod layers;
pub mod reload;
mod rules;
mod sections;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};

pub use sections::{
    Audit, Cdr, Database, Demo, Directory, Gates, Http, HttpTls, Jobs, Kms, Live, Log, Mail, Messaging,
    Outbound, Retention, Security, SendSms, Simulator, Smpp, SmppTls, Smtp, SmtpTls, Tenants, Ucp, Watch,
};
pub use values::{DatabaseUrl, Encryption, KmsProvider, Listen, LogFormat, Network, Secret, Synchronous};

/// The text of `config/default.toml`: every key, its meaning, range and default.
pub const MANUAL: &str = include_str!("../config/default.toml");

/// Everything that can be set. Units are in the names of the fields; `config/default.toml` explains each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder for everything kept on this machine.
    pub data_dir: PathBuf,
    /// How long a stopping server waits for what is in flight.
    pub drain_ms: u64,
    /// The HTTP listener.
    pub http: Http,
    /// The SMPP listener and client.
    pub smpp: Smpp,
    /// The UCP listener.
    pub ucp: Ucp,
    /// The SMTP listener.
    pub smtp: Smtp,
    /// The server through which mail is sent.
    pub mail: Mail,
    /// The door for systems that speak to Kannel.
    pub sendsms: SendSms,
    /// Where rows are kept.
    pub database: Database,
    /// The engine.
    pub messaging: Messaging,
    /// What a message passes before it is accepted.
    pub gates: Gates,
    /// Background jobs.
    pub jobs: Jobs,
    /// Streams of live events.
    pub live: Live,
    /// HTTP towards the world.
    pub outbound: Outbound,
    /// Directories that people sign in with.
    pub directory: Directory,
    /// Keys, sessions, passwords.
    pub security: Security,
    /// A key management service that opens the root key at the start.
    pub kms: Kms,
    /// The audit trail.
    pub audit: Audit,
    /// What is a security event.
    pub watch: Watch,
    /// What tenants must keep at least.
    pub retention: Retention,
    /// What tenants may have, and how they go.
    pub tenants: Tenants,
    /// What is logged.
    pub log: Log,
    /// Call detail records.
    pub cdr: Cdr,
    /// The built-in carrier.
    pub simulator: Simulator,
    /// What a first start creates.
    pub demo: Demo,
    /// Where each value came from that is not the manual's.
    #[serde(skip)]
    origins: BTreeMap<String, Origin>,
    /// What the layers were warned of, for [`Config::check`] to repeat.
    #[serde(skip)]
    warnings: Vec<Finding>,
    /// What it was read from, for reading it again.
    #[serde(skip)]
    sources: Sources,
}

/// The layers over the manual. All are inputs, so that a test or a check can ask "what if".
#[derive(Clone, Default, PartialEq)]
pub struct Sources {
    /// A TOML file. If absent, `SWITCHBOARD_CONFIG` of `env` may name one.
    pub file: Option<PathBuf>,
    /// Environment variables, usually [`process_environment`]. Those that do not begin with `SWITCHBOARD_`
    /// are ignored.
    pub env: Vec<(String, String)>,
    /// Values from the command line: dotted key and text, e.g. `("http.listen", "0.0.0.0:80")`. Lists are
    /// separated by commas.
    pub overrides: Vec<(String, String)>,
}

/// Variables and flags may hold secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The manual.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// The variable of that name.
    Environment(String),
    /// The command line's value for that key.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file:{}", path.display()),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::Flag(key) => write!(f, "flag for {key}"),
        }
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Works, but hardly as intended.
    Warning,
    /// The server does not start with it.
    Error,
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The dotted key, or empty when it concerns a whole layer.
    pub key: String,
    /// Where its value came from.
    pub origin: Origin,
    /// Whether the server starts all the same.
    pub severity: Severity,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let gap = if self.key.is_empty() { "" } else { " " };
        write!(f, "{severity}: {}{gap}({}): {}; {}", self.key, self.origin, self.problem, self.advice)
    }
}

/// Why a configuration cannot be used: everything that was found, warnings too. One line each when shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Finding>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One setting as it may be shown: secrets are masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The dotted key.
    pub key: String,
    /// The value as TOML writes it.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// The variables of this process that concern Switchboard: the one place where the environment is read.
/// Text that is not UTF-8 comes with replacement characters, so that the check of its value can complain.
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, text)| (name.to_string_lossy().into_owned(), text.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(layers::PREFIX))
        .collect()
}

impl Config {
    /// Lays the sources over the manual and checks the result.
    ///
    /// # Errors
    ///
    /// All findings of all layers, if one of them is an error. Where there are only warnings the
    /// configuration is given, and [`Config::check`] tells them.
    pub fn load(sources: &Sources) -> Result<Config, ConfigErrors> {
        let mut layers = layers::Layers::default();
        layers.toml(MANUAL, &Origin::Default);
        let named = sources.env.iter().find(|(name, text)| name == layers::FILE_VARIABLE && !text.is_empty());
        if let Some(path) = sources.file.clone().or_else(|| named.map(|(_, path)| PathBuf::from(path))) {
            layers.file(&path);
        }
        layers.environment(&sources.env);
        for (key, text) in &sources.overrides {
            layers.text(key, text, &Origin::Flag(key.clone()));
        }

        let mut config: Config = layers.figment.extract().map_err(|error| {
            let (mut findings, key) = (layers.findings.clone(), error.path.join("."));
            findings.push(Finding {
                origin: layers.origins.get(&key).cloned().unwrap_or(Origin::Default),
                key,
                severity: Severity::Error,
                problem: error.kind.to_string(),
                advice: "compare with the manual".to_owned(),
            });
            ConfigErrors(findings)
        })?;
        config.origins = layers.origins;
        config.sources = sources.clone();
        let mut findings = config.check();
        // Where a value was refused the one beneath it is in force: what does not fit that one is nobody's
        // mistake.
        findings.retain(|finding| !layers.findings.iter().any(|refused| refused.key == finding.key));
        findings.splice(0..0, layers.findings.iter().cloned());
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(ConfigErrors(findings));
        }
        config.warnings = layers.findings;
        Ok(config)
    }

    /// The manual's values, with the data in a folder of the caller's choice and every listener on a port
    /// that the system chooses: how a test begins.
    pub fn for_tests(data_dir: impl Into<PathBuf>) -> Config {
        let chosen = |key: &str| (key.to_owned(), "127.0.0.1:0".to_owned());
        let sources = Sources {
            overrides: vec![
                chosen("http.listen"),
                chosen("smpp.listen"),
                chosen("ucp.listen"),
                chosen("smtp.listen"),
                chosen("simulator.listen"),
            ],
            ..Sources::default()
        };
        let config = Config::load(&sources).expect("the manual is a valid configuration");
        Config { data_dir: data_dir.into(), ..config }
    }

    /// Where the value of a dotted key came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Every setting in the order of the manual, as `switchboard config show` prints it.
    pub fn entries(&self) -> Vec<Entry> {
        let values = self.values();
        let entry = |key: &str| {
            let value = values.find_ref(key).map(shown).unwrap_or_default();
            Entry { key: key.to_owned(), value, origin: self.origin(key) }
        };
        rules::RULES.iter().map(|(key, _)| entry(key)).collect()
    }

    /// The database's address: the one that is set, or the SQLite file in the data folder.
    pub fn database_url(&self) -> DatabaseUrl {
        if !self.database.url.expose().is_empty() {
            return self.database.url.clone();
        }
        DatabaseUrl::new(format!("sqlite:{}", self.data_dir.join("switchboard.db").display()))
    }

    /// The folder of call detail records: the one that is set, or `cdr` in the data folder.
    pub fn cdr_dir(&self) -> PathBuf {
        match self.cdr.directory.as_str() {
            "" => self.data_dir.join("cdr"),
            path => PathBuf::from(path),
        }
    }

    /// The folder of archived call detail records: the one that is set, or `archive` in the folder of the others.
    pub fn cdr_archive_dir(&self) -> PathBuf {
        match self.cdr.archive_directory.as_str() {
            "" => self.cdr_dir().join("archive"),
            path => PathBuf::from(path),
        }
    }

    /// The file of the root key: the one that is set, or `root.key` in the data folder.
    pub fn root_key_file(&self) -> PathBuf {
        match self.security.root_key_file.as_str() {
            "" => self.data_dir.join("root.key"),
            path => PathBuf::from(path),
        }
    }

    /// Whether users reach this server over https: through its own TLS, or a proxy's.
    pub fn is_https(&self) -> bool {
        self.http.tls.is_on() || self.http.public_url.starts_with("https:")
    }

    /// The address under which users reach this server, without a slash at its end: the one that is set, or
    /// the listen address behind `https://` or `http://`.
    pub fn public_url(&self) -> String {
        match self.http.public_url.as_str() {
            "" if self.http.tls.is_on() => format!("https://{}", self.http.listen),
            "" => format!("http://{}", self.http.listen),
            url => url.trim_end_matches('/').to_owned(),
        }
    }

    /// All values as one tree, secrets masked.
    fn values(&self) -> Value {
        Value::serialize(self).unwrap_or_else(|_| Value::from(Dict::new()))
    }
}

/// A value as TOML writes it.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_, items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Bool(_, flag) => flag.to_string(),
        other => match (other.as_str(), other.to_i128(), other.to_u128()) {
            (Some(text), _, _) => format!("{text:?}"),
            (_, Some(number), _) => number.to_string(),
            (_, _, Some(number)) => number.to_string(),
            _ => String::new(),
        },
    }
}

#[cfg(test)]
mod tests;
