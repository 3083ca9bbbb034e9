//! A rate over the last moments.

/// Slots that are looked back on.
const SLOTS: i64 = 10;

/// Counts in slots of `MS` milliseconds: a ring of ten, and the one that is running.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter<const MS: i64> {
    counts: [u64; SLOTS as usize + 1],
    /// The slot of the newest count.
    newest: i64,
}

impl<const MS: i64> Meter<MS> {
    /// `n` more at `now_ms`, milliseconds from 0 on, on a clock that does not go back.
    pub(super) fn add(&mut self, n: u64, now_ms: i64) {
        self.turn(now_ms);
        self.counts[index(self.newest)] += n;
    }

    /// How many in the last ten slots, the running one among them.
    pub(super) fn recent(&mut self, now_ms: i64) -> u64 {
        self.turn(now_ms);
        self.counts.iter().sum::<u64>() - self.counts[index(self.newest - SLOTS)]
    }

    /// The average per second over the last ten slots that are over, or as many as there were.
    pub(super) fn per_second(&self, now_ms: i64) -> f64 {
        let mut ring = self.clone();
        ring.turn(now_ms);
        let over = ring.newest.min(SLOTS);
        let sum =
            ring.counts.iter().sum::<u64>() - if over > 0 { ring.counts[index(ring.newest)] } else { 0 };
        sum as f64 * 1000.0 / (over.max(1) * MS) as f64
    }

    /// Empties the slots in which nothing was counted.
    fn turn(&mut self, now_ms: i64) {
        let now = (now_ms / MS).max(self.newest);
        for slot in (self.newest + 1..=now).rev().take(self.counts.len()) {
            self.counts[index(slot)] = 0;
        }
        self.newest = now;
    }
}

fn index(slot: i64) -> usize {
    usize::try_from(slot.rem_euclid(SLOTS + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_what_is_over_and_forgets_what_is_old() {
        let mut meter = Meter::<500>::default();
        meter.add(7, 300);
        assert_eq!((meter.per_second(400), meter.per_second(600)), (14.0, 14.0));
        for second in 1..=20 {
            meter.add(100, second * 1000);
            meter.add(50, second * 1000 + 999);
        }
        assert_eq!(meter.per_second(21_000), 150.0);
        assert_eq!(meter.per_second(23_000), 90.0);
        assert_eq!(meter.recent(23_999), 300);
        assert_eq!(meter.per_second(1_000_000), 0.0);
        assert_eq!(meter.recent(1_000_000), 0);
    }
}
