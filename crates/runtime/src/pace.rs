//! Rate limits: a token bucket that never drifts.
//!
//! Pure: the time is an argument. Tokens are counted in whole numbers of 1/1000 token, so that one
//! millisecond at one token per second adds exactly one unit and nothing is lost to rounding, however often
//! the bucket is asked.

/// Units of one token.
const UNIT: u64 = 1000;

/// A token bucket. It starts full, so that a burst may go at once.
///
/// Over any stretch of `t` seconds no more than `burst + per_second * (t + 0.001)` tokens are given. The
/// millisecond more is the clock's step: what flows in between two steps is not lost at the brim, so that a
/// burst of one still reaches the rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Tokens a second, which is units a millisecond.
    per_second: u64,
    /// Units of a burst.
    capacity: u64,
    /// Units in the bucket; negative after something dearer than the whole bucket has been let through.
    level: i64,
    /// Milliseconds at which `level` was right. `None` before the first question.
    at_ms: Option<i64>,
}

/// A step back of the clock that counts as the same instant: threads that read the clock and then race for
/// the bucket come in the wrong order by less. A longer one is a clock that was set, and waiting for it to
/// catch up would stop the traffic.
const RACE_MS: i64 = 1000;

impl Pace {
    /// A full bucket that fills at `per_second` tokens a second and holds `burst` tokens. Zero counts as one
    /// in both.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let capacity = u64::from(burst.max(1)) * UNIT;
        let level = i64::try_from(capacity).unwrap_or(i64::MAX);
        Pace { per_second: u64::from(per_second.max(1)), capacity, level, at_ms: None }
    }

    /// Takes `cost` tokens (a long message costs its parts) at `now_ms`, Unix milliseconds.
    ///
    /// A cost above the burst is let through when the bucket is full, and what is missing is owed: the next
    /// must wait until it has flowed in, so the average holds.
    ///
    /// # Errors
    ///
    /// The milliseconds after which the same question will be answered with yes, if nobody takes in between.
    /// Nothing is taken.
    pub fn take(&mut self, now_ms: i64, cost: u32) -> Result<(), u64> {
        self.fill(now_ms);
        let cost = u64::from(cost) * UNIT;
        let missing = i128::from(cost.min(self.capacity)) - i128::from(self.level);
        match u64::try_from(missing) {
            Ok(missing) if missing > 0 => Err(missing.div_ceil(self.per_second)),
            _ => {
                self.level = self.level.saturating_sub_unsigned(cost);
                Ok(())
            }
        }
    }

    /// Whole tokens in the bucket, and the milliseconds after which it is full, as of the last question.
    pub fn left(&self) -> (u32, u64) {
        let capacity = i64::try_from(self.capacity).unwrap_or(i64::MAX);
        let missing = u64::try_from(capacity - self.level).unwrap_or(0);
        let whole = u64::try_from(self.level).unwrap_or(0).min(self.capacity) / UNIT;
        (u32::try_from(whole).unwrap_or(u32::MAX), missing.div_ceil(self.per_second))
    }

    /// Changes rate and burst at `now_ms`. What has flowed in until then stays, as far as the new bucket
    /// holds it, and so does what is owed.
    pub fn set(&mut self, now_ms: i64, per_second: u32, burst: u32) {
        self.fill(now_ms);
        self.per_second = u64::from(per_second.max(1));
        self.capacity = u64::from(burst.max(1)) * UNIT;
        self.level = self.level.min(i64::try_from(self.capacity).unwrap_or(i64::MAX));
    }

    /// Lets flow in what belongs to the time since the last question.
    fn fill(&mut self, now_ms: i64) {
        let before = self.at_ms.unwrap_or(now_ms);
        if now_ms < before && before.saturating_sub(now_ms) < RACE_MS {
            return;
        }
        self.at_ms = Some(now_ms);
        let elapsed = u64::try_from(now_ms.saturating_sub(before)).unwrap_or(0);
        let level = self.level.saturating_add_unsigned(elapsed.saturating_mul(self.per_second));
        // The burst, and what flows in within one step of the clock.
        self.level = level.min(i64::try_from(self.capacity + self.per_second).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Offers tokens at the given instants and returns those that were let through, as (instant, cost).
    fn run(pace: &mut Pace, arrivals: impl IntoIterator<Item = (i64, u32)>) -> Vec<(i64, u32)> {
        arrivals.into_iter().filter(|(now, cost)| pace.take(*now, *cost).is_ok()).collect()
    }

    fn sum(taken: &[(i64, u32)]) -> u64 {
        taken.iter().map(|(_, cost)| u64::from(*cost)).sum()
    }

    #[test]
    fn a_full_bucket_gives_its_burst_at_once_and_then_the_rate() {
        let mut pace = Pace::new(10, 3);
        assert_eq!((0..3).map(|_| pace.take(0, 1)).collect::<Vec<_>>(), [Ok(()); 3]);
        assert_eq!(pace.take(0, 1), Err(100));
        assert_eq!(pace.take(99, 1), Err(1));
        assert_eq!(pace.take(100, 1), Ok(()));
        assert_eq!(pace.take(100, 1), Err(100));
    }

    #[test]
    fn a_saturated_bucket_gives_exactly_the_rate_whatever_the_rate() {
        for per_second in [1, 3, 7, 333, 999, 1000, 1001, 12_345, 1_000_000] {
            let burst = per_second / 100 + 1;
            let mut pace = Pace::new(per_second, burst);
            // Empty it, so that only what flows in is counted.
            run(&mut pace, (0..burst).map(|_| (0, 1)));
            let mut given = 0;
            for now in 1..=10_000 {
                while pace.take(now, 1).is_ok() {
                    given += 1;
                }
            }
            assert_eq!(given, u64::from(per_second) * 10, "{per_second}");
        }
    }

    #[test]
    fn no_arrival_pattern_gets_more_than_the_rate_nor_a_patient_one_less() {
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let per_second = random.random_range(1..5_000_u32);
            let burst = random.random_range(1..=(per_second / 20).max(1));
            let cost_max = random.random_range(1..=burst.min(10));
            // How late one may come without the bucket flowing over.
            let late_max = u64::from(burst - cost_max) * 1000 / u64::from(per_second);
            let mut pace = Pace::new(per_second, burst);
            let (mut now, mut taken) = (0_i64, Vec::new());
            // Demand without end: whoever is refused comes back when told, or a little later or earlier.
            while now <= 10_000 && taken.len() < 100_000 {
                let cost = random.random_range(1..=cost_max);
                match pace.take(now, cost) {
                    Ok(()) => taken.push((now, cost)),
                    Err(wait) => {
                        let early = random.random_bool(0.1);
                        let jitter = random.random_range(0..=late_max);
                        now += if early { 1 } else { i64::try_from(wait + jitter).unwrap() };
                    }
                }
            }
            // From any instant on, at most the burst and the rate.
            for start in [0, taken.len() / 3, taken.len() / 2] {
                let Some(first) = taken.get(start) else { continue };
                let span = u64::try_from(taken.last().unwrap().0 - first.0).unwrap();
                let bound = u64::from(burst) * 1000 + (span + 1) * u64::from(per_second);
                assert!(sum(&taken[start..]) * 1000 <= bound, "seed {seed}");
            }
            // A wait that is kept loses nothing: within 5 % of the rate, and of one message where the rate is
            // small.
            let wanted = u64::from(per_second) * 10;
            assert!(
                sum(&taken) + u64::from(cost_max) + wanted / 20 >= wanted,
                "seed {seed}: {} of {wanted}",
                sum(&taken)
            );
            assert!(sum(&taken) <= wanted + wanted / 20 + u64::from(burst), "seed {seed}");
        }
    }

    #[test]
    fn the_told_wait_is_enough_and_not_a_millisecond_too_long() {
        for (per_second, cost) in [(1, 1), (3, 2), (7, 5), (1000, 7), (1500, 5)] {
            let mut pace = Pace::new(per_second, 5.max(cost));
            pace.take(0, 5.max(cost)).unwrap();
            let wait = i64::try_from(pace.take(0, cost).unwrap_err()).unwrap();
            assert!(pace.clone().take(wait - 1, cost).is_err(), "{per_second} {cost}");
            assert_eq!(pace.take(wait, cost), Ok(()), "{per_second} {cost}");
        }
    }

    #[test]
    fn what_costs_more_than_the_burst_passes_a_full_bucket_and_is_owed() {
        let mut pace = Pace::new(10, 5);
        assert_eq!(pace.take(0, 25), Ok(()));
        // 20 owed and 1 wanted: 21 tokens at 10 a second.
        assert_eq!(pace.take(0, 1), Err(2_100));
        assert_eq!(pace.take(2_100, 1), Ok(()));
        assert_eq!(pace.take(2_100, u32::MAX), Err(500));
    }

    #[test]
    fn a_new_rate_keeps_what_is_in_the_bucket_and_what_is_owed() {
        let mut pace = Pace::new(10, 10);
        pace.take(0, 10).unwrap();
        // Half a second at the old rate: 5 tokens; the new rate counts only from then on.
        pace.set(500, 1000, 100);
        assert_eq!(pace.take(500, 5), Ok(()));
        assert_eq!(pace.take(500, 1), Err(1));
        pace.set(10_000, 1, 2);
        assert_eq!(pace.take(10_000, 2), Ok(()), "cut to the new burst");
        assert_eq!(pace.take(10_000, 1), Err(1_000));
        let mut owing = Pace::new(10, 1);
        owing.take(0, 11).unwrap();
        owing.set(0, 20, 1);
        assert_eq!(owing.take(0, 1), Err(550));
    }

    #[test]
    fn a_clock_that_jumps_neither_gives_nor_stops() {
        let mut pace = Pace::new(10, 1);
        pace.take(100_000, 1).unwrap();
        // Racing threads: forth and back over the same millisecond gives nothing.
        for _ in 0..10_000 {
            assert!(pace.take(99_990, 1).is_err());
            assert!(pace.take(100_000, 1).is_err());
        }
        // Set back by an hour: goes on from there.
        assert_eq!(pace.take(100_000 - 3_600_000, 1), Err(100));
        assert_eq!(pace.take(100_100 - 3_600_000, 1), Ok(()));
        // Ahead by a century: one burst, no overflow.
        assert_eq!(pace.take(i64::MAX, 1), Ok(()));
        assert!(pace.take(i64::MAX, 1).is_err());
        assert!(pace.take(i64::MIN, 1).is_err());
    }
}
