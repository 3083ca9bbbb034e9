//! One struct for each section of `config/default.toml`, which says at length what every key means, its range
//! and its default. Units are in the names.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

mod trust;

pub use trust::{Audit, Directory, Kms, Retention, Security, Tenants, Watch};

use super::values::{DatabaseUrl, Encryption, Listen, LogFormat, Network, Secret, Synchronous};

/// `[http]`: the HTTP listener: API and console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port of the API and the console.
    pub listen: SocketAddr,
    /// Address under which users reach this server, for links in e-mails and callbacks; see
    /// [`Config::public_url`](crate::config::Config::public_url) for when it is empty.
    pub public_url: String,
    /// Networks of the proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Network>,
    /// Networks that may read /metrics.
    pub metrics_networks: Vec<Network>,
    /// Networks from which people may use the console.
    pub console_networks: Vec<Network>,
    /// Origins whose pages may use the API with a key.
    pub cors_origins: Vec<String>,
    /// Connections open at once.
    pub connections_max: usize,
    /// Largest request body.
    pub body_bytes_max: usize,
    /// How long a client may take to send its request's headers, so that slow clients do not hold
    /// connections.
    pub header_timeout_ms: u64,
    /// How long a request may take until it is answered with 408.
    pub request_timeout_ms: u64,
    /// Requests per second that one API key or one signed-in person may make on average; 0 for no limit.
    pub rate_per_second: u32,
    /// Requests that may come at once before `rate_per_second` is applied.
    pub rate_burst: u32,
    /// Requests per second of one tenant; 0: no limit.
    pub tenant_rate_per_second: u32,
    /// Requests of one tenant that may come at once before `tenant_rate_per_second` is applied.
    pub tenant_rate_burst: u32,
    /// Requests per second from one network address; 0: no limit.
    pub address_rate_per_second: u32,
    /// Requests from one address that may come at once before `address_rate_per_second` is applied.
    pub address_rate_burst: u32,
    /// How the port is encrypted.
    pub tls: HttpTls,
}

/// `[http.tls]`: the HTTP listener with TLS in place of plain text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTls {
    /// The PEM file of the certificate and its issuers; empty for no TLS.
    pub certificate: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
    /// How often the files are looked at for changes.
    pub reload_ms: u64,
}

impl HttpTls {
    /// Whether the port speaks TLS.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// `[smpp]`: the SMPP listener and the SMPP client: timers and limits of sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smpp {
    /// Address and port for the SMPP binds of your customers.
    pub listen: SocketAddr,
    /// Name that this server gives itself in bind responses (SMPP 5.0, section 4.7.6, at most 15 octets).
    pub system_id: String,
    /// Binds of all accounts together.
    pub binds_max: usize,
    /// Connections that have not bound yet, all peers together.
    pub unbound_max: usize,
    /// Binds that an account may hold when the account itself does not say.
    pub binds_per_account_default: usize,
    /// How long a connection may stay without a bind (`session_init_timer`, SMPP 5.0, section 2.7).
    pub session_init_ms: u64,
    /// Silence after which the peer is asked with `enquire_link` (`enquire_link_timer`).
    pub enquire_link_ms: u64,
    /// Unanswered `enquire_link` after which the connection is closed.
    pub enquire_missed_max: u32,
    /// Time without any operation besides `enquire_link` after which a session is unbound
    /// (`inactivity_timer`).
    pub inactivity_ms: u64,
    /// How long a request to a peer may stay unanswered.
    pub response_timeout_ms: u64,
    /// How long the answer to our unbind is awaited before the connection is closed.
    pub unbind_timeout_ms: u64,
    /// Largest PDU, header included.
    pub pdu_bytes_max: usize,
    /// Unanswered requests that each side may have on one bind, where account or connection do not say.
    pub window_default: usize,
    /// Largest window that an account or connection may be given.
    pub window_max: usize,
    /// Message parts per second that an account may submit where the account itself does not say.
    pub throughput_default: u32,
    /// Octets waiting to be written to one peer.
    pub write_queue_bytes_max: usize,
    /// Pause before a refused bind is answered, against guessing of passwords.
    pub bind_failure_delay_ms: u64,
    /// Whether a refused bind says only `ESME_RBINDFAIL` (true), or which of `system_id` and password was
    /// wrong (false).
    pub hide_bind_reason: bool,
    /// How long connecting to a carrier may take.
    pub connect_timeout_ms: u64,
    /// First pause before a lost connection to a carrier is tried again.
    pub reconnect_min_ms: u64,
    /// Longest pause between two attempts to connect to a carrier.
    pub reconnect_max_ms: u64,
    /// First pause of a bind after a carrier's `ESME_RTHROTTLED`.
    pub throttle_min_ms: u64,
    /// Longest pause of a bind after `ESME_RTHROTTLED`.
    pub throttle_max_ms: u64,
    /// The same port once more, encrypted.
    pub tls: SmppTls,
}

/// `[smpp.tls]`: the SMPP listener with TLS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmppTls {
    /// Address and port for binds over TLS; none for no such port.
    pub listen: Listen,
    /// The PEM file of the certificate and its issuers.
    pub certificate: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
    /// The PEM file of who issues the clients' certificates; empty where clients need none.
    pub client_ca: PathBuf,
    /// How often the files are looked at for changes.
    pub reload_ms: u64,
}

/// `[database]`: where rows are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST/NAME`.
    pub url: DatabaseUrl,
    /// SQLite only: connections that read at the same time.
    pub readers: u32,
    /// PostgreSQL only: connections of this process.
    pub pool_max: u32,
    /// SQLite only: what a power cut may take.
    pub synchronous: Synchronous,
    /// SQLite only: how long a statement waits for a database that another program has locked.
    pub busy_timeout_ms: u64,
    /// How long an operation waits for a free connection before it fails.
    pub acquire_timeout_ms: u64,
}

/// `[messaging]`: the engine: batches, validity, retries, receipts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messaging {
    /// Messages that are written in one statement and one commit.
    pub batch_rows_max: usize,
    /// How long a message may wait for others to share its commit.
    pub batch_delay_ms: u64,
    /// Messages held in memory between acceptance and hand-over.
    pub queue_in_memory_max: usize,
    /// Messages in one POST of a batch.
    pub api_batch_max: usize,
    /// Parts that one long message may have.
    pub parts_max: u32,
    /// How long a message is tried when its sender does not say.
    pub validity_default_s: u64,
    /// Longest validity that a sender may ask for.
    pub validity_max_s: u64,
    /// How far ahead a message may be scheduled.
    pub schedule_max_s: u64,
    /// First pause before a message is tried again after a temporary error.
    pub retry_min_ms: u64,
    /// Longest pause between two attempts.
    pub retry_max_ms: u64,
    /// Attempts until a message fails for good, its validity permitting.
    pub attempts_max: u32,
    /// How long a receipt waits for the response that tells its message's id.
    pub receipt_hold_s: u64,
    /// Messages that await their receipt in memory.
    pub sent_in_memory_max: usize,
    /// How often the sums are held against the messages; 0 for never.
    pub accounting_every_s: u64,
    /// How long the parts of a long message are awaited before what has come is shown as incomplete.
    pub reassembly_s: u64,
    /// Long inbound messages whose parts are being collected, all tenants together.
    pub reassembly_max: usize,
    /// How long the answer to a request with an Idempotency-Key is kept, so that its repetition gets the same
    /// answer.
    pub idempotency_keep_h: u32,
    /// How long a message that comes over HTTP waits until its recipient is looked up; 0 for not at all.
    pub lookup_wait_ms: u64,
    /// Versions of its routes that a tenant keeps.
    pub route_versions_max: u32,
    /// How long messages are kept after their end; 0 for ever.
    pub keep_days: u32,
}

/// `[gates]`: what a message passes before it is accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// Refusals that wait in memory to be written.
    pub refusals_waiting_max: usize,
    /// How long refusals and the counts of rules are kept; 0 for ever.
    pub refusals_keep_days: u32,
    /// Whether a refusal keeps the text of its message.
    pub refusals_keep_text: bool,
    /// Counters in memory, all tenants together.
    pub counters_max: usize,
    /// Messages that the counters are rebuilt from at the start.
    pub rebuild_rows_max: usize,
}

/// `[jobs]`: background jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Jobs, such as callbacks, that run at once.
    pub workers: usize,
    /// Jobs of one tenant that run at once.
    pub tenant_workers_max: usize,
    /// How often the database is asked for due jobs when nothing woke the workers.
    pub poll_ms: u64,
    /// How long a job belongs to the process that took it.
    pub lease_ms: u64,
    /// Attempts until a job is set aside.
    pub attempts_max: u32,
    /// First pause before a failed job runs again.
    pub retry_min_ms: u64,
    /// Longest pause between two attempts of a job.
    pub retry_max_ms: u64,
    /// How long a job that was set aside stays in the database.
    pub keep_h: u32,
}

/// `[live]`: streams of live events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// Browsers and programs that follow live events at once.
    pub clients_max: usize,
    /// Changes that wait in memory for a slow client.
    pub queue_max: usize,
    /// Silence after which a comment is sent, so that proxies keep the stream open.
    pub heartbeat_ms: u64,
}

/// `[outbound]`: HTTP towards the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    /// Private networks that tenants' callbacks, connections, directories and mail servers may reach.
    pub allow_private: Vec<Network>,
    /// How long connecting may take, TLS included.
    pub connect_timeout_ms: u64,
    /// How long a whole exchange may take, redirects and body included.
    pub timeout_ms: u64,
    /// Redirects that are followed.
    pub redirects_max: usize,
    /// Largest response body.
    pub response_bytes_max: usize,
    /// Idle connections kept for one host.
    pub idle_per_host_max: usize,
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// "text" for people, "json" for collectors.
    pub format: LogFormat,
    /// What is logged.
    pub filter: String,
}

/// `[cdr]`: call detail records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cdr {
    /// Whether records are written for the tenants that have switched them on.
    pub enabled: bool,
    /// Folder of the files; see [`Config::cdr_dir`](crate::config::Config::cdr_dir) for when it is empty.
    pub directory: String,
    /// Folder of archived files; see [`Config::cdr_archive_dir`](crate::config::Config::cdr_archive_dir) for when
    /// it is empty.
    pub archive_directory: String,
    /// Rows after which a file is closed.
    pub lines_max: i64,
    /// Octets, before compression, after which a file is closed.
    pub bytes_max: u64,
    /// Age at which a file is closed.
    pub age_max_s: i64,
    /// How often streams are looked at.
    pub poll_ms: u64,
    /// Whether a file ends in a line with its counts.
    pub trailer: bool,
    /// After how many days a file is archived; 0 for never.
    pub archive_days: u32,
    /// After how many days a file is removed; 0 for never.
    pub keep_days: u32,
    /// For how long messages and events are kept longer because their records are not written yet.
    pub hold_days: u32,
    /// Program that is run with the path of each closed file.
    pub command: String,
}

/// `[ucp]`: the UCP/EMI listener. Its timers and limits are those of `[smpp]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ucp {
    /// Whether customers can open UCP sessions.
    pub enabled: bool,
    /// Address and port for them.
    pub listen: SocketAddr,
}

/// `[smtp]`: the SMTP listener: mail for phones, answers and notifications.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Whether mail is taken.
    pub enabled: bool,
    /// Address and port.
    pub listen: SocketAddr,
    /// Domain of the addresses that mean phones.
    pub domain: String,
    /// Whether passwords are taken without TLS too.
    pub plain_auth: bool,
    /// Connections open at once.
    pub connections_max: usize,
    /// Connections open at once from one address.
    pub connections_per_address_max: usize,
    /// Recipients of one mail.
    pub recipients_max: usize,
    /// Largest mail.
    pub mail_bytes_max: usize,
    /// Refused commands and recipients after which a connection is closed.
    pub errors_max: u32,
    /// How long a client may take for its next command, and between two pieces of a mail.
    pub command_timeout_ms: u64,
    /// How long a connection may last.
    pub session_ms: u64,
    /// For how many days a mail about a message from a phone can be answered.
    pub reply_days: u32,
    /// The certificate, and the port that is encrypted from its first octet on.
    pub tls: SmtpTls,
}

/// `[smtp.tls]`: the SMTP listener with TLS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpTls {
    /// Address and port for TLS from the beginning; none for no such port.
    pub listen: Listen,
    /// The PEM file of the certificate and its issuers; empty for no TLS.
    pub certificate: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
    /// How often the files are looked at for changes.
    pub reload_ms: u64,
}

impl SmtpTls {
    /// Whether there is a certificate to show.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// `[mail]`: the server through which mail is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Its host name or address; empty where no mail is sent.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Encryption,
    /// The PEM file of who may have issued its certificate; empty for the roots of this machine.
    pub ca: PathBuf,
    /// Name to sign in with; empty for none.
    pub user: String,
    /// Password to sign in with.
    pub password: Secret,
    /// Address that mail comes from.
    pub from: String,
    /// How long each step of sending may take.
    pub timeout_ms: u64,
}

impl Mail {
    /// Whether mail can be sent.
    pub fn is_on(&self) -> bool {
        !self.host.is_empty()
    }
}

/// `[sendsms]`: the door for systems that speak to Kannel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendSms {
    /// Whether it is open.
    pub enabled: bool,
}

/// `[simulator]`: the built-in carrier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulator {
    /// Whether the built-in carrier simulator runs and is the first connection, so that messages can be sent
    /// without a carrier.
    pub enabled: bool,
    /// Address and port of the simulated carrier.
    pub listen: SocketAddr,
    /// How long the simulated carrier takes to answer a submit.
    pub latency_ms: u64,
    /// How long after its acceptance a message's receipt is sent.
    pub receipt_delay_ms: u64,
    /// Share of messages that are accepted and then reported as undelivered.
    pub undelivered_percent: u32,
    /// Share of submits that are refused with a temporary error.
    pub error_percent: u32,
    /// Message parts per second above which the simulated carrier answers `ESME_RTHROTTLED`.
    pub throughput: u32,
    /// Messages that the simulated phones remember.
    pub inbox_max: usize,
}

/// `[demo]`: what a first start with nothing creates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    /// Whether the first start creates a demo tenant with an administrator, a sign-in link and an SMPP
    /// account.
    pub enabled: bool,
}
