//! The rate that a peer takes, learned from its ESME_RTHROTTLED.
//!
//! A peer does not say its limit, and pauses alone would find it by running into it again and again: where it allows no
//! bursts, next to nothing gets through between two pauses. So the first "too fast" sets a ceiling at what was just accepted.
//! While that is a guess the ceiling doubles each second; once the guess was put to the test it stays just below and grows
//! slowly, then faster the longer nothing is said against it. A peer that never complains never gets one.

use super::meter::Meter;

/// Growth per second while the ceiling is a guess: it doubles.
const GUESSING: f64 = 1.0;

/// Growth per second right after the limit was found.
const FOUND: f64 = 0.0025;

/// Time in which the growth itself doubles while the peer says nothing.
const PATIENCE_MS: f64 = 10_000.0;

/// What is left of the ceiling when it proved too high: the peer's limit is within it.
const CUT: f64 = 0.95;

/// A ceiling below this part of what was in use is no cut any more but a new guess.
const NEW_GUESS: f64 = 0.5;

/// A ceiling above this stops nothing.
const NO_CEILING: f64 = 1_000_000.0;

/// See the module. Pure: times are milliseconds on one clock that does not go back.
#[derive(Clone, Debug, Default)]
pub(super) struct Ceiling {
    /// Parts per second; `None` while the peer has said nothing, or not for long.
    rate: Option<f64>,
    /// Per second, of `rate`.
    growth: f64,
    /// When `rate` was right.
    at_ms: i64,
    /// Over the last second.
    accepted: Meter<100>,
}

impl Ceiling {
    /// The peer accepted one part.
    pub(super) fn accepted(&mut self, now_ms: i64) {
        self.accepted.add(1, now_ms);
    }

    /// The peer said "too fast" to what was sent after it had said so the last time.
    pub(super) fn too_fast(&mut self, now_ms: i64) {
        self.grow(now_ms);
        let accepted = self.accepted.recent(now_ms).max(1) as f64;
        match self.rate {
            Some(rate) if accepted >= rate * NEW_GUESS => {
                self.rate = Some((rate.min(accepted / CUT) * CUT).max(1.0));
                self.growth = FOUND;
            }
            _ => {
                self.rate = Some(accepted);
                self.growth = GUESSING;
            }
        }
    }

    /// Parts per second that should leave at most; `None` for no limit.
    pub(super) fn rate(&mut self, now_ms: i64) -> Option<u32> {
        self.grow(now_ms);
        self.rate.map(|rate| rate.round() as u32)
    }

    fn grow(&mut self, now_ms: i64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms) as f64;
        self.at_ms = now_ms.max(self.at_ms);
        let Some(rate) = self.rate else { return };
        let grown = rate * (1.0 + self.growth).powf(passed_ms / 1000.0);
        self.rate = (grown < NO_CEILING).then_some(grown);
        self.growth = (self.growth * (passed_ms / PATIENCE_MS).exp2()).min(GUESSING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts so many per second for a while.
    fn accept(ceiling: &mut Ceiling, per_second: i64, from_ms: i64, to_ms: i64) {
        for now in from_ms..to_ms {
            (0..per_second * (now + 1) / 1000 - per_second * now / 1000).for_each(|_| ceiling.accepted(now));
        }
    }

    #[test]
    fn a_peer_that_does_not_complain_has_no_ceiling() {
        let mut ceiling = Ceiling::default();
        accept(&mut ceiling, 100, 0, 5_000);
        assert_eq!(ceiling.rate(5_000), None);
    }

    #[test]
    fn a_guess_doubles_each_second_until_it_is_tested_and_then_stays_below() {
        let mut ceiling = Ceiling::default();
        (0..10).for_each(|_| ceiling.accepted(0));
        ceiling.too_fast(5);
        assert_eq!((ceiling.rate(5), ceiling.rate(3_005)), (Some(10), Some(80)));
        accept(&mut ceiling, 100, 2_500, 3_500);
        ceiling.too_fast(3_500);
        let found = ceiling.rate(3_500).unwrap();
        assert!((88..=100).contains(&found), "{found}");
        let later = ceiling.rate(8_500).unwrap();
        assert!((found..=found + 2).contains(&later), "{later}");
    }

    #[test]
    fn a_limit_that_is_gone_is_forgotten() {
        let mut ceiling = Ceiling::default();
        accept(&mut ceiling, 1_000, 0, 1_000);
        ceiling.too_fast(1_000);
        ceiling.too_fast(1_001);
        assert!(ceiling.rate(2_000).unwrap() < 1_000);
        let gone = (0..300).find(|second| ceiling.rate(2_000 + second * 1_000).is_none());
        assert!(gone.is_some_and(|second| second > 30), "{gone:?}");
    }

    #[test]
    fn a_burst_after_a_quiet_time_is_a_new_guess() {
        let mut ceiling = Ceiling::default();
        accept(&mut ceiling, 1_000, 0, 1_000);
        ceiling.too_fast(1_000);
        ceiling.too_fast(1_001);
        (0..20).for_each(|_| ceiling.accepted(40_000));
        ceiling.too_fast(40_000);
        assert_eq!(ceiling.rate(40_000), Some(20));
        assert_eq!(ceiling.rate(42_000), Some(80));
    }
}
