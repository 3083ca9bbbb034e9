//! What each single setting may be. Every key of the manual has a rule here and every rule a key there.

use std::net::SocketAddr;

use figment::value::Value;

use super::values::Network;

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rule {
    /// A whole number between two bounds, both allowed.
    Integer { min: u64, max: u64 },
    /// True or false.
    Flag,
    /// `IP:port`.
    Address,
    /// `IP:port`, or an empty text for none.
    Listen,
    /// One of a closed set.
    Choice(&'static [&'static str]),
    /// A text whose length in characters has bounds.
    Text { min: usize, max: usize },
    /// A list of networks.
    Networks { max: usize },
    /// A list of web origins (RFC 6454): scheme, host and port, as browsers name them.
    Origins { max: usize },
}

use Rule::{Address, Choice, Flag, Integer, Listen, Networks, Origins, Text};

/// The rule of a key, if there is such a key.
pub(crate) fn rule(key: &str) -> Option<Rule> {
    RULES.iter().find(|(name, _)| *name == key).map(|(_, rule)| *rule)
}

impl Rule {
    /// What to write, for the advice of an error.
    pub(crate) fn advice(self) -> String {
        match self {
            Integer { min, max } => format!("write a whole number from {min} to {max}"),
            Flag => "write true or false".to_owned(),
            Address => "write an IP address and a port, e.g. 127.0.0.1:8080 or [::1]:8080".to_owned(),
            Listen => "write an IP address and a port, e.g. 0.0.0.0:2776, or \"\" for none".to_owned(),
            Choice(choices) => format!("write one of: {}", choices.join(", ")),
            Text { min, max } => format!("write a text of {min} to {max} characters"),
            Networks { max } => format!("write at most {max} networks, e.g. 10.0.0.0/8 or fd00::/8"),
            Origins { max } => {
                format!(
                    "write at most {max} origins in small letters, e.g. https://crm.example.com or http://localhost:3000"
                )
            }
        }
    }

    /// Makes a value from the text of an environment variable or a flag. A list is separated by commas.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Integer { .. } => match text.parse::<u64>() {
                Ok(number) => Ok(Value::from(number)),
                // Negative or huge: out of range, and told so.
                Err(_) => text.parse::<i128>().map(Value::from).map_err(|_| "not a whole number".to_owned()),
            },
            Flag => text.parse::<bool>().map(Value::from).map_err(|_| "neither true nor false".to_owned()),
            Networks { .. } | Origins { .. } => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::from(items.map(Value::from).collect::<Vec<_>>()))
            }
            Address | Listen | Choice(_) | Text { .. } => Ok(Value::from(text)),
        }
    }

    /// Says what is wrong with the value, if anything is; never shows a free text, as it may be a secret.
    pub(crate) fn check(self, value: &Value) -> Result<(), String> {
        match self {
            Integer { min, max } => {
                let number = value.to_i128().or_else(|| value.to_u128().and_then(|n| i128::try_from(n).ok()));
                let number = number.ok_or("not a whole number")?;
                let range = i128::from(min)..=i128::from(max);
                if range.contains(&number) { Ok(()) } else { Err(format!("{number} is out of range")) }
            }
            Flag => value.to_bool().map(drop).ok_or_else(|| "neither true nor false".to_owned()),
            Listen if value.as_str() == Some("") => Ok(()),
            Address | Listen => {
                let text = value.as_str().ok_or("not a text")?;
                text.parse::<SocketAddr>().map(drop).map_err(|_| format!("{text:?} is not IP:port"))
            }
            Choice(choices) => {
                let text = value.as_str().ok_or("not a text")?;
                if choices.contains(&text) { Ok(()) } else { Err(format!("{text:?} is not known")) }
            }
            Text { min, max } => {
                let length = value.as_str().ok_or("not a text")?.chars().count();
                if (min..=max).contains(&length) { Ok(()) } else { Err(format!("{length} characters long")) }
            }
            Networks { max } => {
                let items = value.as_array().ok_or("not a list")?;
                if items.len() > max {
                    return Err(format!("{} networks", items.len()));
                }
                for item in items {
                    item.as_str().ok_or("not a list of texts")?.parse::<Network>()?;
                }
                Ok(())
            }
            Origins { max } => {
                let items = value.as_array().ok_or("not a list")?;
                if items.len() > max {
                    return Err(format!("{} origins", items.len()));
                }
                let origin = |item: &Value| {
                    let text = item.as_str().ok_or("not a list of texts")?;
                    is_origin(text).then_some(()).ok_or_else(|| format!("{text:?} is no origin"))
                };
                items.iter().try_for_each(origin)
            }
        }
    }
}

/// Whether a browser would send the text as `Origin`: byte for byte, so no path, no default port and no capitals.
fn is_origin(text: &str) -> bool {
    let (rest, default) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, 443),
        (_, Some(rest)) => (rest, 80),
        _ => return false,
    };
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let named = |host: &str| {
        let letter =
            |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b".-".contains(&octet);
        !host.is_empty() && host.len() <= 253 && host.bytes().all(letter)
    };
    let numbered = port.parse::<u16>().is_ok_and(|number| number != default && number.to_string() == port);
    named(host) && (numbered || !rest.contains(':'))
}

/// All keys, in the order of the manual.
pub(crate) const RULES: &[(&str, Rule)] = &[
    ("data_dir", Text { min: 1, max: 4096 }),
    ("drain_ms", Integer { min: 0, max: 600_000 }),
    ("http.listen", Address),
    ("http.public_url", Text { min: 0, max: 2048 }),
    ("http.trusted_proxies", Networks { max: 64 }),
    ("http.metrics_networks", Networks { max: 64 }),
    ("http.console_networks", Networks { max: 64 }),
    ("http.cors_origins", Origins { max: 64 }),
    ("http.connections_max", Integer { min: 1, max: 1_000_000 }),
    ("http.body_bytes_max", Integer { min: 1_024, max: 1_073_741_824 }),
    ("http.header_timeout_ms", Integer { min: 100, max: 600_000 }),
    ("http.request_timeout_ms", Integer { min: 100, max: 600_000 }),
    ("http.rate_per_second", Integer { min: 0, max: 1_000_000 }),
    ("http.rate_burst", Integer { min: 1, max: 1_000_000 }),
    ("http.tenant_rate_per_second", Integer { min: 0, max: 1_000_000 }),
    ("http.tenant_rate_burst", Integer { min: 1, max: 1_000_000 }),
    ("http.address_rate_per_second", Integer { min: 0, max: 1_000_000 }),
    ("http.address_rate_burst", Integer { min: 1, max: 1_000_000 }),
    ("http.tls.certificate", Text { min: 0, max: 4096 }),
    ("http.tls.key", Text { min: 0, max: 4096 }),
    ("http.tls.reload_ms", Integer { min: 10, max: 86_400_000 }),
    ("smpp.listen", Address),
    ("smpp.system_id", Text { min: 1, max: 15 }),
    ("smpp.binds_max", Integer { min: 1, max: 100_000 }),
    ("smpp.unbound_max", Integer { min: 1, max: 100_000 }),
    ("smpp.binds_per_account_default", Integer { min: 1, max: 10_000 }),
    ("smpp.session_init_ms", Integer { min: 100, max: 600_000 }),
    ("smpp.enquire_link_ms", Integer { min: 100, max: 3_600_000 }),
    ("smpp.enquire_missed_max", Integer { min: 1, max: 100 }),
    ("smpp.inactivity_ms", Integer { min: 0, max: 86_400_000 }),
    ("smpp.response_timeout_ms", Integer { min: 100, max: 600_000 }),
    ("smpp.unbind_timeout_ms", Integer { min: 0, max: 60_000 }),
    ("smpp.pdu_bytes_max", Integer { min: 1_024, max: 1_048_576 }),
    ("smpp.window_default", Integer { min: 1, max: 10_000 }),
    ("smpp.window_max", Integer { min: 1, max: 10_000 }),
    ("smpp.throughput_default", Integer { min: 0, max: 1_000_000 }),
    ("smpp.write_queue_bytes_max", Integer { min: 1_024, max: 268_435_456 }),
    ("smpp.bind_failure_delay_ms", Integer { min: 0, max: 60_000 }),
    ("smpp.hide_bind_reason", Flag),
    ("smpp.connect_timeout_ms", Integer { min: 100, max: 120_000 }),
    ("smpp.reconnect_min_ms", Integer { min: 10, max: 3_600_000 }),
    ("smpp.reconnect_max_ms", Integer { min: 10, max: 3_600_000 }),
    ("smpp.throttle_min_ms", Integer { min: 10, max: 600_000 }),
    ("smpp.throttle_max_ms", Integer { min: 10, max: 600_000 }),
    ("smpp.tls.listen", Listen),
    ("smpp.tls.certificate", Text { min: 0, max: 4096 }),
    ("smpp.tls.key", Text { min: 0, max: 4096 }),
    ("smpp.tls.client_ca", Text { min: 0, max: 4096 }),
    ("smpp.tls.reload_ms", Integer { min: 10, max: 86_400_000 }),
    ("ucp.enabled", Flag),
    ("ucp.listen", Address),
    ("smtp.enabled", Flag),
    ("smtp.listen", Address),
    ("smtp.domain", Text { min: 0, max: 200 }),
    ("smtp.plain_auth", Flag),
    ("smtp.connections_max", Integer { min: 1, max: 100_000 }),
    ("smtp.connections_per_address_max", Integer { min: 1, max: 100_000 }),
    ("smtp.recipients_max", Integer { min: 1, max: 1_000 }),
    ("smtp.mail_bytes_max", Integer { min: 1_024, max: 104_857_600 }),
    ("smtp.errors_max", Integer { min: 1, max: 10_000 }),
    ("smtp.command_timeout_ms", Integer { min: 100, max: 3_600_000 }),
    ("smtp.session_ms", Integer { min: 1_000, max: 86_400_000 }),
    ("smtp.reply_days", Integer { min: 1, max: 365 }),
    ("smtp.tls.listen", Listen),
    ("smtp.tls.certificate", Text { min: 0, max: 4096 }),
    ("smtp.tls.key", Text { min: 0, max: 4096 }),
    ("smtp.tls.reload_ms", Integer { min: 10, max: 86_400_000 }),
    ("mail.host", Text { min: 0, max: 253 }),
    ("mail.port", Integer { min: 1, max: 65_535 }),
    ("mail.tls", Choice(&["none", "starttls", "implicit"])),
    ("mail.ca", Text { min: 0, max: 4096 }),
    ("mail.user", Text { min: 0, max: 256 }),
    ("mail.password", Text { min: 0, max: 256 }),
    ("mail.from", Text { min: 0, max: 254 }),
    ("mail.timeout_ms", Integer { min: 100, max: 600_000 }),
    ("sendsms.enabled", Flag),
    ("database.url", Text { min: 0, max: 4096 }),
    ("database.readers", Integer { min: 1, max: 256 }),
    ("database.pool_max", Integer { min: 2, max: 1_000 }),
    ("database.synchronous", Choice(&["full", "normal"])),
    ("database.busy_timeout_ms", Integer { min: 0, max: 600_000 }),
    ("database.acquire_timeout_ms", Integer { min: 10, max: 600_000 }),
    ("messaging.batch_rows_max", Integer { min: 1, max: 10_000 }),
    ("messaging.batch_delay_ms", Integer { min: 0, max: 1_000 }),
    ("messaging.queue_in_memory_max", Integer { min: 100, max: 10_000_000 }),
    ("messaging.api_batch_max", Integer { min: 1, max: 100_000 }),
    ("messaging.parts_max", Integer { min: 1, max: 255 }),
    ("messaging.validity_default_s", Integer { min: 10, max: 31_536_000 }),
    ("messaging.validity_max_s", Integer { min: 60, max: 31_536_000 }),
    ("messaging.schedule_max_s", Integer { min: 60, max: 63_072_000 }),
    ("messaging.retry_min_ms", Integer { min: 10, max: 86_400_000 }),
    ("messaging.retry_max_ms", Integer { min: 10, max: 86_400_000 }),
    ("messaging.attempts_max", Integer { min: 1, max: 1_000 }),
    ("messaging.receipt_hold_s", Integer { min: 0, max: 86_400 }),
    ("messaging.sent_in_memory_max", Integer { min: 0, max: 10_000_000 }),
    ("messaging.accounting_every_s", Integer { min: 0, max: 86_400 }),
    ("messaging.reassembly_s", Integer { min: 10, max: 604_800 }),
    ("messaging.reassembly_max", Integer { min: 10, max: 1_000_000 }),
    ("messaging.idempotency_keep_h", Integer { min: 1, max: 720 }),
    ("messaging.lookup_wait_ms", Integer { min: 0, max: 5_000 }),
    ("messaging.route_versions_max", Integer { min: 2, max: 10_000 }),
    ("messaging.keep_days", Integer { min: 0, max: 36_500 }),
    ("gates.refusals_waiting_max", Integer { min: 100, max: 1_000_000 }),
    ("gates.refusals_keep_days", Integer { min: 0, max: 36_500 }),
    ("gates.refusals_keep_text", Flag),
    ("gates.counters_max", Integer { min: 1_000, max: 100_000_000 }),
    ("gates.rebuild_rows_max", Integer { min: 0, max: 10_000_000 }),
    ("jobs.workers", Integer { min: 1, max: 1_000 }),
    ("jobs.tenant_workers_max", Integer { min: 1, max: 1_000 }),
    ("jobs.poll_ms", Integer { min: 10, max: 600_000 }),
    ("jobs.lease_ms", Integer { min: 1_000, max: 3_600_000 }),
    ("jobs.attempts_max", Integer { min: 1, max: 1_000 }),
    ("jobs.retry_min_ms", Integer { min: 10, max: 86_400_000 }),
    ("jobs.retry_max_ms", Integer { min: 10, max: 86_400_000 }),
    ("jobs.keep_h", Integer { min: 0, max: 8_760 }),
    ("live.clients_max", Integer { min: 1, max: 1_000_000 }),
    ("live.queue_max", Integer { min: 1, max: 100_000 }),
    ("live.heartbeat_ms", Integer { min: 1_000, max: 600_000 }),
    ("outbound.allow_private", Networks { max: 64 }),
    ("outbound.connect_timeout_ms", Integer { min: 10, max: 120_000 }),
    ("outbound.timeout_ms", Integer { min: 10, max: 600_000 }),
    ("outbound.redirects_max", Integer { min: 0, max: 20 }),
    ("outbound.response_bytes_max", Integer { min: 0, max: 1_073_741_824 }),
    ("outbound.idle_per_host_max", Integer { min: 0, max: 1_000 }),
    ("directory.allow_plain", Flag),
    ("directory.timeout_ms", Integer { min: 10, max: 120_000 }),
    ("directory.entries_max", Integer { min: 10, max: 1_000_000 }),
    ("security.root_key_file", Text { min: 0, max: 4096 }),
    ("security.root_key", Text { min: 0, max: 8192 }),
    ("security.admin_key", Text { min: 0, max: 256 }),
    ("security.session_ttl_h", Integer { min: 1, max: 8_760 }),
    ("security.session_idle_m", Integer { min: 1, max: 525_600 }),
    ("security.link_ttl_m", Integer { min: 1, max: 10_080 }),
    ("security.second_step_ttl_m", Integer { min: 1, max: 60 }),
    ("security.remember_days", Integer { min: 0, max: 365 }),
    ("security.step_up_m", Integer { min: 1, max: 1_440 }),
    ("security.impersonation_m_max", Integer { min: 1, max: 480 }),
    ("security.mails_max", Integer { min: 1, max: 1_000 }),
    ("security.sms_code_ttl_m", Integer { min: 1, max: 10 }),
    ("security.sms_codes_max", Integer { min: 1, max: 100 }),
    ("security.password_history", Integer { min: 0, max: 24 }),
    ("security.access_token_ttl_s", Integer { min: 60, max: 86_400 }),
    ("security.grant_ttl_h", Integer { min: 1, max: 17_520 }),
    ("security.signing_key_days", Integer { min: 2, max: 366 }),
    ("security.password_chars_min", Integer { min: 8, max: 128 }),
    ("security.argon2_memory_kib", Integer { min: 8, max: 4_194_304 }),
    ("security.argon2_passes", Integer { min: 1, max: 100 }),
    ("security.argon2_lanes", Integer { min: 1, max: 16 }),
    ("security.argon2_concurrency_max", Integer { min: 1, max: 256 }),
    ("security.login_attempts_max", Integer { min: 1, max: 10_000 }),
    ("security.login_window_s", Integer { min: 1, max: 86_400 }),
    ("kms.provider", Choice(&["off", "aws", "vault"])),
    ("kms.url", Text { min: 0, max: 1024 }),
    ("kms.key", Text { min: 0, max: 512 }),
    ("kms.region", Text { min: 0, max: 64 }),
    ("kms.access_key_id", Text { min: 0, max: 256 }),
    ("kms.secret_access_key", Text { min: 0, max: 256 }),
    ("kms.session_token", Text { min: 0, max: 4096 }),
    ("kms.token", Text { min: 0, max: 4096 }),
    ("kms.credentials_file", Text { min: 0, max: 4096 }),
    ("kms.mount", Text { min: 1, max: 128 }),
    ("kms.timeout_ms", Integer { min: 100, max: 60_000 }),
    ("audit.poll_ms", Integer { min: 10, max: 60_000 }),
    ("audit.checkpoint_rows", Integer { min: 10, max: 1_000_000 }),
    ("audit.keep_days", Integer { min: 0, max: 36_500 }),
    ("watch.window_m", Integer { min: 1, max: 1_440 }),
    ("watch.same_m", Integer { min: 1, max: 10_080 }),
    ("watch.failures_max", Integer { min: 2, max: 10_000 }),
    ("watch.network_failures_max", Integer { min: 2, max: 100_000 }),
    ("watch.sprayed_users_max", Integer { min: 2, max: 1_000 }),
    ("watch.turned_away_max", Integer { min: 10, max: 1_000_000 }),
    ("watch.strangers_max", Integer { min: 2, max: 1_000_000 }),
    ("watch.rows_read_max", Integer { min: 100, max: 1_000_000_000 }),
    ("watch.new_country_max", Integer { min: 5, max: 1_000_000 }),
    ("watch.new_country_h", Integer { min: 1, max: 720 }),
    ("watch.keep_days", Integer { min: 0, max: 36_500 }),
    ("retention.audit_days_min", Integer { min: 0, max: 36_500 }),
    ("retention.cdr_days_min", Integer { min: 0, max: 36_500 }),
    ("retention.evidence_days_min", Integer { min: 0, max: 36_500 }),
    ("retention.security_days_min", Integer { min: 0, max: 36_500 }),
    ("tenants.grace_h", Integer { min: 0, max: 8_760 }),
    ("tenants.rewrite_bytes_max", Integer { min: 0, max: 1_099_511_627_776 }),
    ("tenants.beneath_max", Integer { min: 0, max: 1_000_000 }),
    ("tenants.domains_max", Integer { min: 0, max: 1_000 }),
    ("tenants.domain_proof_port", Integer { min: 1, max: 65_535 }),
    ("tenants.logo_bytes_max", Integer { min: 1_024, max: 4_194_304 }),
    ("tenants.suitcase_keep_h", Integer { min: 1, max: 8_760 }),
    ("tenants.suitcase_bytes_max", Integer { min: 1_048_576, max: 17_592_186_044_416 }),
    ("tenants.restore_rows_max", Integer { min: 1, max: 1_000_000_000 }),
    ("log.format", Choice(&["text", "json"])),
    ("log.filter", Text { min: 1, max: 1024 }),
    ("cdr.enabled", Flag),
    ("cdr.directory", Text { min: 0, max: 4096 }),
    ("cdr.archive_directory", Text { min: 0, max: 4096 }),
    ("cdr.lines_max", Integer { min: 1, max: 10_000_000 }),
    ("cdr.bytes_max", Integer { min: 1024, max: 4_294_967_296 }),
    ("cdr.age_max_s", Integer { min: 1, max: 604_800 }),
    ("cdr.poll_ms", Integer { min: 10, max: 60_000 }),
    ("cdr.trailer", Flag),
    ("cdr.archive_days", Integer { min: 0, max: 36_500 }),
    ("cdr.keep_days", Integer { min: 0, max: 36_500 }),
    ("cdr.hold_days", Integer { min: 0, max: 365 }),
    ("cdr.command", Text { min: 0, max: 4096 }),
    ("simulator.enabled", Flag),
    ("simulator.listen", Address),
    ("simulator.latency_ms", Integer { min: 0, max: 60_000 }),
    ("simulator.receipt_delay_ms", Integer { min: 0, max: 86_400_000 }),
    ("simulator.undelivered_percent", Integer { min: 0, max: 100 }),
    ("simulator.error_percent", Integer { min: 0, max: 100 }),
    ("simulator.throughput", Integer { min: 0, max: 1_000_000 }),
    ("simulator.inbox_max", Integer { min: 10, max: 1_000_000 }),
    ("demo.enabled", Flag),
];
