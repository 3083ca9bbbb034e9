//! Pauses that double: exponential back-off with jitter.

/// A row of pauses: the first, then twice as long each time up to the longest, until it is reset. Pure: chance is an argument.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    /// The pause before this one, without jitter; 0 after a reset.
    last_ms: u64,
}

impl Backoff {
    /// Pauses from `min_ms` to `max_ms`; zero counts as one, and a longest below the shortest as the shortest.
    pub(crate) fn new(min_ms: u64, max_ms: u64) -> Self {
        let min_ms = min_ms.max(1);
        Self { min_ms, max_ms: max_ms.max(min_ms), last_ms: 0 }
    }

    /// The next pause. `chance`, 0 to 1, spreads it over its upper half, so that many who were cut off together do not come
    /// back together.
    pub(crate) fn next(&mut self, chance: f64) -> u64 {
        let doubled = self.last_ms.saturating_mul(2);
        self.last_ms = doubled.clamp(self.min_ms, self.max_ms);
        let half = self.last_ms / 2;
        let spread = (half as f64 * chance.clamp(0.0, 1.0)) as u64;
        self.last_ms - half + spread.min(half)
    }

    /// The next pause is the longest: trying again soon would change nothing.
    pub(crate) fn skip_to_longest(&mut self) {
        self.last_ms = self.max_ms;
    }

    /// The next pause is the first again.
    pub(crate) fn reset(&mut self) {
        self.last_ms = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_longest_and_starts_again_after_a_reset() {
        let mut backoff = Backoff::new(1_000, 5_000);
        assert_eq!([1.0; 5].map(|chance| backoff.next(chance)), [1_000, 2_000, 4_000, 5_000, 5_000]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), 1_000);
        backoff.skip_to_longest();
        assert_eq!(backoff.next(1.0), 5_000);
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        for chance in [0.0, 0.3, 1.0, 7.0, f64::NAN] {
            let pause = Backoff::new(1_001, 1_001).next(chance);
            assert!((501..=1_001).contains(&pause), "{pause}");
        }
        assert_ne!(Backoff::new(1_000, 1_000).next(0.0), Backoff::new(1_000, 1_000).next(0.5));
    }

    #[test]
    fn odd_settings_neither_spin_nor_overflow() {
        assert_eq!(Backoff::new(0, 0).next(0.0), 1);
        assert_eq!(Backoff::new(50, 10).next(1.0), 50);
        let mut endless = Backoff::new(u64::MAX / 2 + 1, u64::MAX);
        endless.next(1.0);
        assert!(endless.next(1.0) >= u64::MAX / 2);
    }
}
