//! A rate over the last seconds.

/// Whole seconds that the rate is taken over.
const SECONDS: i64 = 5;

/// Counts per second, in a ring of as many seconds as the rate needs and the one that is running.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    counts: [u64; SECONDS as usize + 1],
    /// The second of the newest count.
    second: i64,
}

impl Meter {
    /// `n` more at `now_ms`, milliseconds from 0 on, on a clock that does not go back.
    pub(super) fn add(&mut self, n: u64, now_ms: i64) {
        self.turn(now_ms);
        self.counts[slot(self.second)] += n;
    }

    /// The average per second over the last five whole seconds, or as many as there were.
    pub(super) fn per_second(&self, now_ms: i64) -> f64 {
        let mut ring = self.clone();
        ring.turn(now_ms);
        let whole = ring.second.min(SECONDS);
        if whole == 0 {
            return ring.counts[slot(0)] as f64;
        }
        let sum: u64 = (ring.second - whole..ring.second).map(|second| ring.counts[slot(second)]).sum();
        sum as f64 / whole as f64
    }

    /// Empties the seconds in which nothing was counted.
    fn turn(&mut self, now_ms: i64) {
        let now = (now_ms / 1000).max(self.second);
        for second in (self.second + 1..=now).rev().take(self.counts.len()) {
            self.counts[slot(second)] = 0;
        }
        self.second = now;
    }
}

fn slot(second: i64) -> usize {
    usize::try_from(second.rem_euclid(SECONDS + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_whole_seconds_and_forgets_old_ones() {
        let mut meter = Meter::default();
        meter.add(7, 300);
        assert_eq!(meter.per_second(500), 7.0);
        for second in 1..=20 {
            meter.add(100, second * 1000);
            meter.add(50, second * 1000 + 999);
        }
        assert_eq!(meter.per_second(20_999), 150.0);
        assert_eq!(meter.per_second(23_000), 90.0);
        assert_eq!(meter.per_second(1_000_000), 0.0);
    }
}
