//! Who gets in, what is kept secret, what is noticed, and what is kept.

use serde::{Deserialize, Serialize};

use super::super::values::{KmsProvider, Secret};

/// `[directory]`: directories that people sign in with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Whether they may be asked without TLS.
    pub allow_plain: bool,
    /// How long one may take for each answer.
    pub timeout_ms: u64,
    /// Entries that one reading takes.
    pub entries_max: usize,
}

/// `[security]`: keys, sessions, passwords.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// File with the root key under which secrets in the database are encrypted.
    pub root_key_file: String,
    /// The root keys themselves, the current one first, in place of the file.
    pub root_key: Secret,
    /// If set at first start, becomes the API key of the first administrator, so that automation can begin.
    pub admin_key: Secret,
    /// How long a session lasts, used or not.
    pub session_ttl_h: u32,
    /// How long an unused session lasts.
    pub session_idle_m: u32,
    /// How long a one-time sign-in link can be used.
    pub link_ttl_m: u32,
    /// How long a sign-in that was begun waits for its second step.
    pub second_step_ttl_m: u32,
    /// How long a browser is remembered whose person asked not to be asked for the second step again.
    pub remember_days: u32,
    /// How long a proof of who one is counts.
    pub step_up_m: u32,
    /// How long somebody may act as another user at most.
    pub impersonation_m_max: u32,
    /// Mails with links and codes that can be asked for one address within `login_window_s`.
    pub mails_max: u32,
    /// How long a code that was sent to a phone can be used.
    pub sms_code_ttl_m: u32,
    /// Codes that can be sent to one person, or to one number, within an hour.
    pub sms_codes_max: u32,
    /// A user's former passwords that are refused as the new one.
    pub password_history: u32,
    /// How long an access token of an application lasts.
    pub access_token_ttl_s: u32,
    /// How long an application may act for a person before it must ask again.
    pub grant_ttl_h: u32,
    /// How long a key signs access tokens.
    pub signing_key_days: u32,
    /// Shortest password.
    pub password_chars_min: usize,
    /// Memory of one password hash (argon2id, RFC 9106).
    pub argon2_memory_kib: u32,
    /// Passes of one password hash.
    pub argon2_passes: u32,
    /// Lanes of one password hash.
    pub argon2_lanes: u32,
    /// Password hashes computed at once.
    pub argon2_concurrency_max: usize,
    /// Failed sign-ins of one user or from one address within `login_window_s`.
    pub login_attempts_max: u32,
    /// Time over which failed sign-ins are counted.
    pub login_window_s: u32,
}

/// `[kms]`: a key management service that opens the root key at the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kms {
    /// What it speaks.
    pub provider: KmsProvider,
    /// Its address.
    pub url: String,
    /// The key under which it closes root keys.
    pub key: String,
    /// The region, for AWS.
    pub region: String,
    /// Who asks, for AWS.
    pub access_key_id: Secret,
    /// Their key, for AWS.
    pub secret_access_key: Secret,
    /// Their session, for AWS.
    pub session_token: Secret,
    /// Who asks, for Vault.
    pub token: Secret,
    /// A file with the credentials, in place of the settings.
    pub credentials_file: String,
    /// Where the transit engine is mounted, for Vault.
    pub mount: String,
    /// How long it may take to answer.
    pub timeout_ms: u64,
}

/// `[audit]`: the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// How often it is looked for what the trail has to take in.
    pub poll_ms: u64,
    /// Rows after which a checkpoint is signed.
    pub checkpoint_rows: i64,
    /// For how long the trail is kept; 0: for ever.
    pub keep_days: u32,
}

/// `[watch]`: what is a security event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Time over which it is counted.
    pub window_m: u32,
    /// What is noticed again within this time is the same event.
    pub same_m: u32,
    /// Failures of one user or account.
    pub failures_max: u64,
    /// Failed sign-ins from one network.
    pub network_failures_max: u64,
    /// Users whose sign-in fails from one network.
    pub sprayed_users_max: usize,
    /// Answers of 401, 403 and 404 to one address.
    pub turned_away_max: u64,
    /// Wrong names and garbage from one address at other ports.
    pub strangers_max: u64,
    /// Rows that one person or key reads.
    pub rows_read_max: u64,
    /// Messages from one account to a new country.
    pub new_country_max: u64,
    /// How long a country counts as new.
    pub new_country_h: u32,
    /// For how long closed events are kept; 0: for ever.
    pub keep_days: u32,
}

/// `[retention]`: what tenants must keep at least.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Their audit trail.
    pub audit_days_min: u32,
    /// Files of call detail records.
    pub cdr_days_min: u32,
    /// Requests of persons, withdrawn consents, closed breaches.
    pub evidence_days_min: u32,
    /// Closed security events and sign-ins.
    pub security_days_min: u32,
}

/// `[tenants]`: what tenants may have, and how they go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// How long an erasure can be called off.
    pub grace_h: u32,
    /// The largest SQLite file that is written anew after an erasure.
    pub rewrite_bytes_max: i64,
    /// Tenants that resellers open beneath one.
    pub beneath_max: i64,
    /// Domains of one tenant's own.
    pub domains_max: usize,
    /// The port at which a domain's proof is read.
    pub domain_proof_port: u16,
    /// The largest logo.
    pub logo_bytes_max: usize,
    /// How long a suitcase's file is kept.
    pub suitcase_keep_h: u32,
    /// The largest suitcase that is uploaded.
    pub suitcase_bytes_max: i64,
    /// Rows that are restored into SQLite while the server runs.
    pub restore_rows_max: u64,
}
