//! Reading the configuration again while the program runs: what can be taken over at once, and what needs a restart.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Serialize;

use super::{Config, ConfigErrors, Finding, Origin};

/// A value that everybody reads and that is replaced when the configuration is read again.
///
/// Who reads it borrows it for as long as they like, so a value that was replaced stays in memory; how often it can be is
/// bounded by [`RELOADS_MAX`].
#[derive(Debug)]
pub struct InForce<T: 'static> {
    present: ArcSwap<&'static T>,
}

/// How often values can be replaced before the program must be restarted.
pub const RELOADS_MAX: usize = 10_000;

/// A value that stays for as long as the program runs.
fn kept<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl<T> InForce<T> {
    /// The first value.
    pub fn new(value: T) -> Self {
        Self { present: ArcSwap::from_pointee(kept(value)) }
    }

    /// Another value from now on.
    pub(crate) fn replace(&self, value: T) {
        self.present.store(Arc::new(kept(value)));
    }
}

impl<T> Deref for InForce<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let present: &'static T = **self.present.load();
        present
    }
}

/// A setting that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The dotted key.
    pub key: String,
    /// What is in force, or was, as TOML writes it; secrets are masked.
    pub before: String,
    /// What was read.
    pub after: String,
    /// Where that came from.
    pub origin: Origin,
}

/// What came of reading the configuration again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// In force from now on.
    pub applied: Vec<Changed>,
    /// In force after the next start.
    pub after_restart: Vec<Changed>,
    /// What works, but hardly as intended.
    pub warnings: Vec<Finding>,
}

/// Declares which settings are read where they are used, so that a new value counts at once.
macro_rules! taken_at_once {
    ($($($part:ident).+;)*) => {
        /// Their keys; spaces in them mean nothing.
        const AT_ONCE: &[&str] = &[$(stringify!($($part).+),)*];

        fn take(into: &mut Config, from: &Config) {
            $(into.$($part).+ = from.$($part).+.clone();)*
        }
    };
}

taken_at_once! {
    drain_ms;
    http.trusted_proxies;
    http.metrics_networks;
    http.console_networks;
    http.rate_per_second;
    http.rate_burst;
    http.tenant_rate_per_second;
    http.tenant_rate_burst;
    http.address_rate_per_second;
    http.address_rate_burst;
    smpp.system_id;
    smpp.binds_max;
    smpp.binds_per_account_default;
    smpp.session_init_ms;
    smpp.enquire_link_ms;
    smpp.enquire_missed_max;
    smpp.inactivity_ms;
    smpp.response_timeout_ms;
    smpp.unbind_timeout_ms;
    smpp.window_default;
    smpp.window_max;
    smpp.throughput_default;
    smpp.bind_failure_delay_ms;
    smpp.hide_bind_reason;
    smpp.connect_timeout_ms;
    smpp.reconnect_min_ms;
    smpp.reconnect_max_ms;
    smpp.throttle_min_ms;
    smpp.throttle_max_ms;
    messaging.api_batch_max;
    messaging.parts_max;
    messaging.validity_default_s;
    messaging.validity_max_s;
    messaging.schedule_max_s;
    messaging.retry_min_ms;
    messaging.retry_max_ms;
    messaging.attempts_max;
    messaging.receipt_hold_s;
    messaging.reassembly_s;
    messaging.reassembly_max;
    messaging.idempotency_keep_h;
    messaging.lookup_wait_ms;
    messaging.route_versions_max;
    messaging.keep_days;
    gates.refusals_keep_days;
    jobs.tenant_workers_max;
    jobs.attempts_max;
    jobs.retry_min_ms;
    jobs.retry_max_ms;
    jobs.keep_h;
    live.heartbeat_ms;
    outbound.allow_private;
    outbound.connect_timeout_ms;
    outbound.timeout_ms;
    outbound.redirects_max;
    outbound.response_bytes_max;
    outbound.idle_per_host_max;
    directory.allow_plain;
    directory.timeout_ms;
    directory.entries_max;
    security.session_ttl_h;
    security.session_idle_m;
    security.link_ttl_m;
    security.second_step_ttl_m;
    security.remember_days;
    security.step_up_m;
    security.impersonation_m_max;
    security.mails_max;
    security.sms_code_ttl_m;
    security.password_history;
    security.access_token_ttl_s;
    security.grant_ttl_h;
    security.signing_key_days;
    security.password_chars_min;
    audit.poll_ms;
    audit.checkpoint_rows;
    audit.keep_days;
    watch.window_m;
    watch.same_m;
    watch.failures_max;
    watch.network_failures_max;
    watch.sprayed_users_max;
    watch.turned_away_max;
    watch.strangers_max;
    watch.rows_read_max;
    watch.new_country_max;
    watch.new_country_h;
    watch.keep_days;
    retention.audit_days_min;
    retention.cdr_days_min;
    retention.evidence_days_min;
    retention.security_days_min;
    tenants.grace_h;
    tenants.rewrite_bytes_max;
    tenants.beneath_max;
    tenants.domains_max;
    tenants.domain_proof_port;
    tenants.logo_bytes_max;
    tenants.suitcase_keep_h;
    tenants.suitcase_bytes_max;
    tenants.restore_rows_max;
    log.filter;
    cdr.lines_max;
    cdr.bytes_max;
    cdr.age_max_s;
    cdr.trailer;
    cdr.archive_days;
    cdr.keep_days;
    cdr.hold_days;
    cdr.command;
}

/// Whether a new value of this key counts at once.
pub fn is_taken_at_once(key: &str) -> bool {
    AT_ONCE.iter().any(|known| known.chars().filter(|ch| !ch.is_whitespace()).eq(key.chars()))
}

impl Config {
    /// The same sources, read again: the configuration that can be in force without a restart, and what it changes.
    /// Nothing is done yet.
    ///
    /// # Errors
    /// Everything that is wrong with them; nothing changes then.
    pub fn reread(&self) -> Result<(Config, Reloaded), ConfigErrors> {
        let read = Config::load(&self.sources)?;
        let mut told = Reloaded { warnings: read.check(), ..Reloaded::default() };
        let mut next = self.clone();
        take(&mut next, &read);
        for (now, after) in self.entries().into_iter().zip(read.entries()) {
            if now.value == after.value {
                continue;
            }
            let changed =
                Changed { key: now.key, before: now.value, after: after.value, origin: after.origin.clone() };
            if is_taken_at_once(&changed.key) {
                next.origins.insert(changed.key.clone(), after.origin);
                told.applied.push(changed);
            } else {
                told.after_restart.push(changed);
            }
        }
        next.warnings = read.warnings;
        Ok((next, told))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sources, rules};
    use super::*;

    #[test]
    fn every_key_that_is_taken_at_once_is_a_setting() {
        for key in AT_ONCE {
            let key: String = key.chars().filter(|ch| !ch.is_whitespace()).collect();
            assert!(rules::rule(&key).is_some(), "{key} is no setting");
            assert!(is_taken_at_once(&key));
        }
        assert!(!is_taken_at_once("http.listen") && !is_taken_at_once("drain"));
    }

    #[test]
    fn a_file_that_changes_is_taken_over_in_part_and_one_that_is_wrong_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("switchboard.toml");
        std::fs::write(&file, "[messaging]\nattempts_max = 3\n").unwrap();
        let sources = Sources { file: Some(file.clone()), ..Sources::default() };
        let config = Config::load(&sources).unwrap();
        assert_eq!(config.reread().unwrap().1.applied, []);

        std::fs::write(&file, "[messaging]\nattempts_max = 4\nbatch_rows_max = 7\n").unwrap();
        let (next, told) = config.reread().unwrap();
        let rows_max = config.messaging.batch_rows_max;
        assert_eq!((next.messaging.attempts_max, next.messaging.batch_rows_max), (4, rows_max));
        let keys = |changed: &[Changed]| changed.iter().map(|one| one.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&told.applied), ["messaging.attempts_max"]);
        assert_eq!((told.applied[0].before.as_str(), told.applied[0].after.as_str()), ("3", "4"));
        assert_eq!(keys(&told.after_restart), ["messaging.batch_rows_max"]);
        // What waits for a restart is told again, what was taken over is not.
        let told = next.reread().unwrap().1;
        assert_eq!((told.applied.len(), told.after_restart.len()), (0, 1));

        std::fs::write(&file, "[messaging]\nattempts_max = 0\nno_such = 1\n").unwrap();
        assert_eq!(next.reread().unwrap_err().0.len(), 2);
    }

    #[test]
    fn who_borrowed_a_value_keeps_it() {
        let in_force = InForce::new(vec![1]);
        let before: &Vec<i32> = &in_force;
        in_force.replace(vec![2]);
        assert_eq!((before[0], in_force[0]), (1, 2));
    }
}
