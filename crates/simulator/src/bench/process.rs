//! What a process costs, as Linux tells it in /proc.

use serde::Serialize;

/// Clock ticks of /proc/…/stat in a second: USER_HZ, which is 100 on every architecture that Linux programs
/// see.
const TICKS_PER_SECOND: f64 = 100.0;

/// One look at a process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Look {
    /// CPU seconds so far, of all threads, user and system.
    pub(super) cpu_s: f64,
    /// Resident memory, in KiB.
    pub(super) rss_kib: u64,
}

/// What a process used while it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Usage {
    /// CPU seconds of all threads, user and system.
    pub cpu_s: f64,
    /// The same for 1,000 accepted submits.
    pub cpu_s_per_1000: f64,
    /// CPU seconds per second: 1.0 is one core.
    pub cores: f64,
    /// Resident memory at the start of the measurement, in MiB.
    pub rss_before_mib: f64,
    /// The most that was seen, in MiB.
    pub rss_peak_mib: f64,
    /// At the end, in MiB.
    pub rss_after_mib: f64,
}

impl Usage {
    /// A line of a report.
    pub(super) fn line(&self, name: &str) -> String {
        format!(
            "{name:<12}{:>8.4} CPU s per 1,000, {:.2} cores, MiB {:.0} before, {:.0} peak, {:.0} after",
            self.cpu_s_per_1000, self.cores, self.rss_before_mib, self.rss_peak_mib, self.rss_after_mib
        )
    }
}

/// Looks at a process. `None` where it is gone, or the system is not Linux.
pub(super) fn look(pid: u32) -> Option<Look> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Look { cpu_s: cpu_s(&stat)?, rss_kib: rss_kib(&status)? })
}

/// Fields 14 and 15 (proc_pid_stat(5)). The name in field 2 may hold blanks and brackets, so counting
/// begins after the last.
fn cpu_s(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

fn rss_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Follows a process through a measurement.
#[derive(Debug)]
pub(super) struct Meter {
    pid: u32,
    start: Option<Look>,
    last: Look,
    peak_kib: u64,
}

impl Meter {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid, start: None, last: Look::default(), peak_kib: 0 }
    }

    /// Begins to measure.
    pub(super) fn start(&mut self) {
        self.start = look(self.pid);
        self.sample();
    }

    /// Looks again; what is gone keeps its last values.
    pub(super) fn sample(&mut self) {
        if let Some(look) = look(self.pid) {
            self.last = look;
            self.peak_kib = self.peak_kib.max(look.rss_kib);
        }
    }

    /// What was used since the start. `None` where the process could not be looked at.
    pub(super) fn usage(&self, accepted: u64, elapsed_s: f64) -> Option<Usage> {
        let start = self.start?;
        let cpu_s = self.last.cpu_s - start.cpu_s;
        let mib = |kib: u64| kib as f64 / 1024.0;
        let per = |divisor: f64| if divisor > 0.0 { cpu_s / divisor } else { 0.0 };
        Some(Usage {
            cpu_s,
            cpu_s_per_1000: per(accepted as f64 / 1_000.0),
            cores: per(elapsed_s),
            rss_before_mib: mib(start.rss_kib),
            rss_peak_mib: mib(self.peak_kib),
            rss_after_mib: mib(self.last.rss_kib),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(cpu_s(stat), Some(2.0));
        assert_eq!(cpu_s("42 (a) S 1"), None);
        assert_eq!(rss_kib("VmHWM:\t 9 kB\nVmRSS:\t  2048 kB\n"), Some(2048));
    }

    #[test]
    fn we_can_look_at_ourselves() {
        let mut meter = Meter::new(std::process::id());
        meter.start();
        // Elsewhere than on Linux there is nothing to look at.
        if let Some(usage) = meter.usage(1_000, 1.0) {
            assert!(usage.rss_before_mib > 0.1 && usage.cpu_s >= 0.0);
        }
        assert_eq!(Meter::new(u32::MAX).usage(1, 1.0), None);
    }
}
