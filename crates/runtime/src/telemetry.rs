//! What the process tells of itself: log lines on standard error, and metrics in the Prometheus text format.

use std::fmt;
use std::sync::OnceLock;

use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use crate::config::{self, LogFormat};

/// Bounds of histograms whose name ends in `_seconds`: fine where a message passes, coarse where a job runs.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Bounds of histograms whose name ends in `_rows`: the fill of batches.
const ROWS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0];

/// Clock ticks in a second of `/proc/self/stat`: fixed at 100 towards programs, whatever the kernel's own
/// tick (proc(5), USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// The process has one log and one set of metrics.
static INSTALLED: OnceLock<Telemetry> = OnceLock::new();

/// Why logs or metrics cannot be had.
#[derive(Debug)]
pub enum TelemetryError {
    /// `log.filter` cannot be read.
    Filter(String),
    /// The bounds of the histograms are refused.
    Metrics(String),
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TelemetryError::Filter(problem) => {
                write!(f, "log.filter: {problem}; write a level, then exceptions, e.g. \"info,smpp=debug\"")
            }
            TelemetryError::Metrics(problem) => write!(f, "the metrics cannot be set up: {problem}"),
        }
    }
}

impl std::error::Error for TelemetryError {}

/// Handle of the metrics. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    metrics: PrometheusHandle,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}

impl Telemetry {
    /// Sets up logs and metrics for the whole process. Where that was done before, gives the same handle and
    /// changes nothing; where a program has its own log or metrics, leaves those in place.
    ///
    /// # Errors
    ///
    /// [`TelemetryError`].
    pub fn install(log: &config::Log) -> Result<Telemetry, TelemetryError> {
        let filter = filter(&log.filter)?;
        let refused =
            |error: metrics_exporter_prometheus::BuildError| TelemetryError::Metrics(error.to_string());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), ROWS))
            .map_err(refused)?;
        let telemetry = INSTALLED.get_or_init(|| {
            let recorder = recorder.build_recorder();
            let metrics = recorder.handle();
            // Both fail only where another was first, which then stays.
            let _ = metrics::set_global_recorder(recorder);
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
            let lines = match log.format {
                LogFormat::Text => {
                    lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
                }
                LogFormat::Json => lines.json().flatten_event(true).boxed(),
            };
            let (filter, handle) = reload::Layer::new(filter);
            let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
            describe_process();
            Telemetry { metrics, filter: handle }
        });
        Ok(telemetry.clone())
    }

    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`]; the former one stays.
    pub fn set_filter(&self, wanted: &str) -> Result<(), TelemetryError> {
        let wanted = filter(wanted)?;
        self.filter.reload(wanted).map_err(|error| TelemetryError::Filter(error.to_string()))
    }

    /// All metrics in the Prometheus text exposition format 0.0.4 (`text/plain; version=0.0.4`), those of the
    /// process fresh.
    pub fn render(&self) -> String {
        record_process();
        self.metrics.run_upkeep();
        self.metrics.render()
    }

    /// Folds what histograms have collected. To be called every few seconds: where nobody reads the metrics,
    /// the samples would pile up otherwise.
    pub fn upkeep(&self) {
        self.metrics.run_upkeep();
    }
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(text).map_err(|error| TelemetryError::Filter(error.to_string()))
}

fn describe_process() {
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory of the process that is in RAM");
    describe_gauge!("process_cpu_seconds_total", Unit::Seconds, "CPU time of the process, user and system");
    describe_gauge!("process_open_fds", Unit::Count, "Open file descriptors of the process");
    describe_gauge!("process_max_fds", Unit::Count, "File descriptors that the process may open");
    describe_gauge!("process_threads", Unit::Count, "Threads of the process");
}

/// Reads /proc/self; where there is none, the gauges are left out.
fn record_process() {
    let usage = Usage::read();
    let gauges = [
        ("process_resident_memory_bytes", usage.resident_bytes),
        ("process_cpu_seconds_total", usage.cpu_seconds),
        ("process_open_fds", usage.open_fds),
        ("process_max_fds", usage.max_fds),
        ("process_threads", usage.threads),
    ];
    for (name, value) in gauges {
        if let Some(value) = value {
            gauge!(name).set(value);
        }
    }
}

/// What the process uses, as far as the system tells.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Usage {
    /// Memory that is in RAM.
    pub resident_bytes: Option<f64>,
    /// CPU time, user and system.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<f64>,
    /// File descriptors that may be open.
    pub max_fds: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
}

impl Usage {
    /// As it is now.
    pub fn read() -> Usage {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let mut usage = Usage::of(&text("status"), &text("stat"), &text("limits"));
        // Less the one that reads the folder.
        usage.open_fds =
            std::fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count().saturating_sub(1) as f64);
        usage
    }

    fn of(status: &str, stat: &str, limits: &str) -> Usage {
        let number = |text: &str, label: &str| -> Option<f64> {
            text.lines().find_map(|line| line.strip_prefix(label))?.split_whitespace().next()?.parse().ok()
        };
        // The second field is the program's name in parentheses and may hold anything; utime and stime are
        // fields 14 and 15.
        let ticks = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
        let ticks: Option<Vec<f64>> =
            ticks.and_then(|fields| fields.map(|field| field.parse().ok()).collect());
        Usage {
            resident_bytes: number(status, "VmRSS:").map(|kib| kib * 1024.0),
            cpu_seconds: ticks.filter(|t| t.len() == 2).map(|t| t.iter().sum::<f64>() / TICKS_PER_SECOND),
            open_fds: None,
            max_fds: number(limits, "Max open files"),
            threads: number(status, "Threads:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, histogram};

    use super::*;

    fn log(filter: &str, format: LogFormat) -> config::Log {
        config::Log { filter: filter.to_owned(), format }
    }

    #[test]
    fn installing_again_gives_the_same_metrics() {
        let first = Telemetry::install(&log("warn", LogFormat::Json)).unwrap();
        counter!("telemetry_test_total").increment(2);
        let second = Telemetry::install(&log("info", LogFormat::Text)).unwrap();
        counter!("telemetry_test_total").increment(1);
        histogram!("telemetry_test_seconds").record(0.003);
        second.upkeep();
        for text in [first.render(), second.render()] {
            assert!(text.contains("telemetry_test_total 3"), "{text}");
            assert!(text.contains("telemetry_test_seconds_bucket{le=\"0.005\"} 1"), "{text}");
            assert!(text.contains("telemetry_test_seconds_bucket{le=\"0.0025\"} 0"), "{text}");
            assert!(text.contains("# TYPE process_open_fds gauge"), "{text}");
            assert!(text.contains("# HELP process_resident_memory_bytes"), "{text}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_told() {
        let error = Telemetry::install(&log("info,smpp=loud", LogFormat::Text)).unwrap_err().to_string();
        assert!(error.contains("log.filter"), "{error}");
    }

    #[test]
    fn the_process_is_measured() {
        let usage = Usage::read();
        assert!(usage.resident_bytes.unwrap() > 1_000_000.0, "{usage:?}");
        assert!(usage.open_fds.unwrap() >= 3.0, "{usage:?}");
        assert!(usage.threads.unwrap() >= 1.0 && usage.max_fds.unwrap() >= 3.0, "{usage:?}");
        assert!(usage.cpu_seconds.is_some(), "{usage:?}");
    }

    #[test]
    fn a_program_name_with_parentheses_and_a_missing_proc_do_no_harm() {
        let stat = "42 (sw) R 9 9 (x)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1 1";
        let usage =
            Usage::of("Threads:\t4\nVmRSS:\t    2048 kB\n", stat, "Max open files  1024  4096  files");
        assert_eq!(usage.cpu_seconds, Some(3.0));
        assert_eq!((usage.resident_bytes, usage.threads), (Some(2_097_152.0), Some(4.0)));
        assert_eq!(usage.max_fds, Some(1024.0));
        let nothing = Usage::of("", "", "unlimited");
        assert!(
            nothing.cpu_seconds.is_none() && nothing.resident_bytes.is_none() && nothing.max_fds.is_none()
        );
    }
}
