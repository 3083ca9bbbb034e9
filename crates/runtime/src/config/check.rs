//! What settings must be together, beyond the range of each.

use std::net::SocketAddr;

use tracing_subscriber::EnvFilter;

use super::rules::RULES;
use super::values::{Encryption, KmsProvider, Synchronous};
use super::{Config, Finding, Severity};

/// Characters that an administrator's key needs at least.
const ADMIN_KEY_CHARS_MIN: usize = 32;

/// The least that OWASP's password storage advice asks of argon2id with two passes.
const ARGON2_ADVISED_KIB: u32 = 19_456;

impl Config {
    /// Everything that is wrong or doubtful, all at once: each value's range, how values fit together, and
    /// what the layers were warned of.
    pub fn check(&self) -> Vec<Finding> {
        let mut check = Check { config: self, findings: self.warnings.clone() };
        check.ranges();
        check.listeners();
        check.tls();
        check.mail();
        check.orders();
        check.public_url();
        check.database();
        check.security();
        check.kms();
        check.outbound();
        check.jobs();
        check.log();
        check.findings
    }
}

struct Check<'a> {
    config: &'a Config,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn error(&mut self, key: &str, problem: impl Into<String>, advice: impl Into<String>) {
        self.find(key, Severity::Error, problem.into(), advice.into());
    }

    fn warning(&mut self, key: &str, problem: impl Into<String>, advice: impl Into<String>) {
        self.find(key, Severity::Warning, problem.into(), advice.into());
    }

    fn find(&mut self, key: &str, severity: Severity, problem: String, advice: String) {
        let origin = self.config.origin(key);
        self.findings.push(Finding { key: key.to_owned(), origin, severity, problem, advice });
    }

    /// The layers are judged as they are read; this is for a configuration that a program has changed since.
    fn ranges(&mut self) {
        let values = self.config.values();
        for (key, rule) in RULES {
            match values.find_ref(key) {
                Some(value) => {
                    if let Err(problem) = rule.check(value) {
                        self.error(key, problem, rule.advice());
                    }
                }
                None => self.error(key, "no value", rule.advice()),
            }
        }
    }

    fn listeners(&mut self) {
        let config = self.config;
        let mut taken: Vec<(&str, SocketAddr)> =
            vec![("http.listen", config.http.listen), ("smpp.listen", config.smpp.listen)];
        if let Some(address) = config.smpp.tls.listen.0 {
            taken.push(("smpp.tls.listen", address));
        }
        if config.ucp.enabled {
            taken.push(("ucp.listen", config.ucp.listen));
        }
        if config.smtp.enabled {
            taken.push(("smtp.listen", config.smtp.listen));
            if let Some(address) = config.smtp.tls.listen.0 {
                taken.push(("smtp.tls.listen", address));
            }
        }
        if config.simulator.enabled {
            taken.push(("simulator.listen", config.simulator.listen));
        }
        for (index, (key, address)) in taken.iter().enumerate() {
            let same = taken[..index].iter().find(|(_, other)| clash(*address, *other));
            if let Some((other, _)) = same {
                self.error(
                    key,
                    format!("{address} is taken by {other} too"),
                    "give each listener its own port",
                );
            }
        }
        if config.simulator.enabled && !config.simulator.listen.ip().is_loopback() {
            let advice = "listen on 127.0.0.1, or set simulator.enabled to false";
            self.warning(
                "simulator.listen",
                "anyone who reaches it may bind to the simulated carrier",
                advice,
            );
        }
        if config.demo.enabled && !config.http.listen.ip().is_loopback() {
            let advice = "set demo.enabled to false in production";
            self.warning(
                "demo.enabled",
                "the demo tenant is created on a server that others can reach",
                advice,
            );
        }
    }

    fn tls(&mut self) {
        let http = &self.config.http;
        if http.tls.is_on() == http.tls.key.as_os_str().is_empty() {
            let (absent, present) = match http.tls.is_on() {
                true => ("http.tls.key", "http.tls.certificate"),
                false => ("http.tls.certificate", "http.tls.key"),
            };
            self.error(absent, format!("not set, but {present} is"), "name a PEM file");
        }
        if http.tls.is_on() && http.public_url.starts_with("http:") {
            self.warning("http.public_url", "says http, but the port speaks TLS", "write https");
        }
        let tls = &self.config.smpp.tls;
        if tls.listen.0.is_some() {
            for (key, path) in [("smpp.tls.certificate", &tls.certificate), ("smpp.tls.key", &tls.key)] {
                if path.as_os_str().is_empty() {
                    self.error(key, "not set, but smpp.tls.listen is", "name a PEM file");
                }
            }
        }
    }

    fn mail(&mut self) {
        let (smtp, mail) = (&self.config.smtp, &self.config.mail);
        let tls = &smtp.tls;
        if tls.is_on() == tls.key.as_os_str().is_empty() {
            let absent = if tls.is_on() { "smtp.tls.key" } else { "smtp.tls.certificate" };
            self.error(absent, "not set, but the other of the pair is", "name a PEM file");
        }
        if tls.listen.0.is_some() && !tls.is_on() {
            self.error("smtp.tls.certificate", "not set, but smtp.tls.listen is", "name a PEM file");
        }
        let name = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '-');
        if !smtp.domain.chars().all(name) || smtp.domain.starts_with('.') || smtp.domain.ends_with('.') {
            self.error("smtp.domain", "no domain name", "write it like \"sms.example.com\"");
        }
        if smtp.enabled && smtp.domain.is_empty() {
            self.error("smtp.domain", "not set, but smtp.enabled is", "write it like \"sms.example.com\"");
        }
        if smtp.enabled && smtp.plain_auth && !smtp.listen.ip().is_loopback() {
            let advice = "set smtp.tls.certificate, and smtp.plain_auth to false";
            self.warning("smtp.plain_auth", "passwords can be read on the way", advice);
        }
        if mail.is_on() && !mail.from.contains('@') {
            self.error(
                "mail.from",
                "no address, but mail.host is set",
                "write it like \"gateway@sms.example.com\"",
            );
        }
        if mail.is_on() && !mail.user.is_empty() && mail.tls == Encryption::None {
            self.warning(
                "mail.tls",
                "the password can be read on the way",
                "take \"starttls\" or \"implicit\"",
            );
        }
    }

    fn orders(&mut self) {
        for (low, small, high, large) in pairs(self.config) {
            if small > large {
                self.error(
                    low,
                    format!("{small} is more than {high}, {large}"),
                    format!("lower it, or raise {high}"),
                );
            }
        }
        let c = self.config;
        if c.smpp.inactivity_ms != 0 && c.smpp.inactivity_ms < c.smpp.enquire_link_ms {
            let problem = format!("shorter than smpp.enquire_link_ms, {}", c.smpp.enquire_link_ms);
            self.warning(
                "smpp.inactivity_ms",
                problem,
                "sessions end before they are ever asked: raise it, or 0 for never",
            );
        }
        if c.drain_ms < c.smpp.unbind_timeout_ms {
            let problem = format!("shorter than smpp.unbind_timeout_ms, {}", c.smpp.unbind_timeout_ms);
            self.warning(
                "drain_ms",
                problem,
                "binds are cut instead of unbound when the server stops: raise it",
            );
        }
        if c.database.busy_timeout_ms > c.http.request_timeout_ms {
            let problem = format!("longer than http.request_timeout_ms, {}", c.http.request_timeout_ms);
            self.warning(
                "database.busy_timeout_ms",
                problem,
                "requests are given up while they wait: lower it",
            );
        }
    }

    fn public_url(&mut self) {
        let http = &self.config.http;
        if http.public_url.is_empty() {
            if !http.listen.ip().is_loopback() {
                let advice = "set it to the address that users type, e.g. \"https://sms.example.com\"";
                self.warning("http.public_url", "not set: links will name the listen address", advice);
            }
            return;
        }
        let example = "write it like \"https://sms.example.com\"";
        match url::Url::parse(&http.public_url) {
            Err(error) => self.error("http.public_url", format!("not a URL: {error}"), example),
            Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
                self.error("http.public_url", "not an http or https URL", example);
            }
            Ok(url) if url.path() != "/" || url.query().is_some() || url.fragment().is_some() => {
                self.error("http.public_url", "has something after the host", example);
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                self.error("http.public_url", "has a user name in it", example);
            }
            Ok(url) if url.scheme() == "http" && !is_local(&url) => {
                let advice = "use https, with [http.tls] or a TLS proxy in front, so that cookies and keys are not read on the way";
                self.warning("http.public_url", "not encrypted", advice);
            }
            Ok(_) => {}
        }
    }

    fn database(&mut self) {
        let database = &self.config.database;
        let url = database.url.expose();
        let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if !url.is_empty() && !postgres && !url.starts_with("sqlite:") {
            let advice = "write sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME, or leave it empty";
            self.error("database.url", "neither SQLite nor PostgreSQL", advice);
        } else if postgres && url::Url::parse(url).is_err() {
            let advice = "write postgres://USER:PASSWORD@HOST/NAME; %-encode what is special in the password";
            self.error("database.url", "not a URL", advice);
        }
        if !postgres && database.synchronous == Synchronous::Normal {
            let problem = "a power cut may take the last accepted messages with it";
            self.warning("database.synchronous", problem, "set it to \"full\" unless that is acceptable");
        }
    }

    fn kms(&mut self) {
        let kms = &self.config.kms;
        let needs: &[(&str, &str, &str)] = match kms.provider {
            KmsProvider::Off => return,
            KmsProvider::Aws => &[
                ("kms.key", kms.key.as_str(), "name the key"),
                ("kms.region", &kms.region, "name the region, such as eu-west-3"),
            ],
            KmsProvider::Vault => &[
                ("kms.key", kms.key.as_str(), "name the key"),
                ("kms.url", &kms.url, "give its address, such as https://vault.example:8200"),
            ],
        };
        for (key, _, advice) in needs.iter().filter(|(_, text, _)| text.is_empty()) {
            self.error(key, "empty, though a key management service is configured", *advice);
        }
        let near = |url: &url::Url| match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match url::Url::parse(&kms.url) {
            Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && near(&url)) => {}
            Ok(url) if url.scheme() == "http" => {
                self.error("kms.url", "the root key would go over the network in the clear", "use https");
            }
            _ if kms.url.is_empty() => {}
            _ => self.error("kms.url", "no address of a service", "write it as https://kms.example:8200"),
        }
    }

    fn security(&mut self) {
        let security = &self.config.security;
        let length = security.admin_key.expose().chars().count();
        if length != 0 && length < ADMIN_KEY_CHARS_MIN {
            let advice = format!("take at least {ADMIN_KEY_CHARS_MIN} random characters");
            self.error("security.admin_key", format!("only {length} characters long"), advice);
        } else if !security.admin_key.expose().chars().all(|c| c.is_ascii_graphic()) {
            // It travels in an HTTP header.
            let problem = "has spaces, control or non-ASCII characters";
            self.error("security.admin_key", problem, "take visible ASCII characters");
        }
        if security.argon2_memory_kib < 8 * security.argon2_lanes {
            let advice = "argon2 needs 8 KiB for each lane (RFC 9106, section 3.1): raise it";
            self.error("security.argon2_memory_kib", "too little for security.argon2_lanes", advice);
        } else if security.argon2_memory_kib < ARGON2_ADVISED_KIB {
            let advice = format!("take {ARGON2_ADVISED_KIB} or more outside of tests");
            self.warning("security.argon2_memory_kib", "stolen password hashes are guessed cheaply", advice);
        }
        if u64::from(security.session_idle_m) > u64::from(security.session_ttl_h) * 60 {
            let problem = format!("longer than security.session_ttl_h, {}", security.session_ttl_h);
            self.warning("security.session_idle_m", problem, "sessions end before: lower it");
        }
    }

    fn outbound(&mut self) {
        if self.config.outbound.allow_private.iter().any(super::Network::is_everything) {
            let advice = "name only the networks that callbacks need";
            self.warning(
                "outbound.allow_private",
                "users' URLs may reach every host of your network",
                advice,
            );
        }
        if self.config.http.trusted_proxies.iter().any(super::Network::is_everything) {
            let advice = "name only the addresses of your proxies";
            self.error("http.trusted_proxies", "anyone may claim any address", advice);
        }
    }

    fn jobs(&mut self) {
        let config = self.config;
        if config.jobs.lease_ms < 2 * config.jobs.poll_ms {
            let advice = "a job may be taken twice: make it at least twice jobs.poll_ms";
            self.error(
                "jobs.lease_ms",
                format!("too short beside jobs.poll_ms, {}", config.jobs.poll_ms),
                advice,
            );
        }
    }

    fn log(&mut self) {
        if let Err(error) = EnvFilter::builder().parse(&self.config.log.filter) {
            let advice = "write a level, then exceptions by module, e.g. \"info,smpp=debug\"";
            self.error("log.filter", error.to_string(), advice);
        }
    }
}

/// Pairs of which the first may not exceed the second: key and value of each.
fn pairs(c: &Config) -> [(&'static str, u64, &'static str, u64); 8] {
    let (smpp, messaging, jobs, outbound) = (&c.smpp, &c.messaging, &c.jobs, &c.outbound);
    let validity = (messaging.validity_default_s, messaging.validity_max_s);
    let batch = (messaging.batch_rows_max as u64, messaging.queue_in_memory_max as u64);
    let connect = (outbound.connect_timeout_ms, outbound.timeout_ms);
    [
        ("smpp.window_default", smpp.window_default as u64, "smpp.window_max", smpp.window_max as u64),
        ("smpp.reconnect_min_ms", smpp.reconnect_min_ms, "smpp.reconnect_max_ms", smpp.reconnect_max_ms),
        ("smpp.throttle_min_ms", smpp.throttle_min_ms, "smpp.throttle_max_ms", smpp.throttle_max_ms),
        ("messaging.batch_rows_max", batch.0, "messaging.queue_in_memory_max", batch.1),
        ("messaging.validity_default_s", validity.0, "messaging.validity_max_s", validity.1),
        ("messaging.retry_min_ms", messaging.retry_min_ms, "messaging.retry_max_ms", messaging.retry_max_ms),
        ("jobs.retry_min_ms", jobs.retry_min_ms, "jobs.retry_max_ms", jobs.retry_max_ms),
        ("outbound.connect_timeout_ms", connect.0, "outbound.timeout_ms", connect.1),
    ]
}

/// Whether two listeners cannot both have their address: port 0 is a new port each time, and the unspecified
/// address is all.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0
        && a.port() == b.port()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

/// Whether the URL names this machine itself, where nobody listens on the way.
fn is_local(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
