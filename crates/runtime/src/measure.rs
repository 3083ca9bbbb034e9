//! Counting on hot paths: plain atomics that only grow, so that whoever wants to know takes differences.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts of each doubling: a value is told to within an eighth.
const PARTS: usize = 4;
/// Values up to 2^40: twelve days in microseconds, thirty years in milliseconds.
const DOUBLINGS: usize = 40;
const BUCKETS: usize = (DOUBLINGS - 1) * PARTS;

/// How often values of each size came. Recording is one relaxed addition.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Histogram {
    /// Counts a value.
    pub fn record(&self, value: u64) {
        self.buckets[bucket(value)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn sizes(&self) -> Sizes {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        Sizes::of(counts.collect())
    }
}

/// The counts of a [`Histogram`] at one moment, or between two. Small where there are few values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes(Box<[u64]>);

impl Sizes {
    fn of(mut counts: Vec<u64>) -> Self {
        let used = counts.iter().rposition(|n| *n > 0).map_or(0, |last| last + 1);
        counts.truncate(used);
        Self(counts.into())
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What came since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let then = earlier.0.iter().copied().chain(std::iter::repeat(0));
        Self::of(self.0.iter().zip(then).map(|(now, then)| now.saturating_sub(then)).collect())
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        let mut sum = self.0.to_vec();
        sum.resize(self.0.len().max(other.0.len()), 0);
        sum.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum += more);
        self.0 = sum.into();
    }

    /// The value that a share (0 to 1) of all did not exceed, to within an eighth; nothing where there is none.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((count as f64 * share).ceil() as u64).clamp(1, count);
        let mut below = 0;
        let at = self.0.iter().position(|n| {
            below += n;
            below >= rank
        });
        at.map(middle)
    }

    /// The values that 50, 95 and 99 percent did not exceed, to within an eighth; nothing where there is none.
    pub fn p50_p95_p99(&self) -> Option<[u64; 3]> {
        Some([self.quantile(0.5)?, self.quantile(0.95)?, self.quantile(0.99)?])
    }
}

fn bucket(value: u64) -> usize {
    if value < PARTS as u64 {
        return usize::try_from(value).unwrap_or(0);
    }
    let doubling = value.ilog2() as usize;
    let part = usize::try_from((value >> (doubling - 2)) & 3).unwrap_or(0);
    ((doubling - 1) * PARTS + part).min(BUCKETS - 1)
}

/// The value in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    if bucket < PARTS {
        return bucket as u64;
    }
    let (doubling, part) = (bucket / PARTS + 1, bucket % PARTS);
    let width = 1_u64 << (doubling - 2);
    (PARTS as u64 + part as u64) * width + width / 2
}

/// Codes that are told apart; what comes beyond them is counted together.
const CODES_MAX: usize = 48;

/// How often each of a few codes came: carriers' statuses, refusals. Without a lock; a code takes a place for good.
#[derive(Debug)]
pub struct Codes {
    /// The code and one, so that 0 is a free place; and how often it came.
    places: Box<[(AtomicU64, AtomicU64)]>,
    others: AtomicU64,
}

impl Default for Codes {
    fn default() -> Self {
        let place = |_| (AtomicU64::new(0), AtomicU64::new(0));
        Self { places: (0..CODES_MAX).map(place).collect(), others: AtomicU64::new(0) }
    }
}

impl Codes {
    /// Counts a code, which is below the largest number.
    pub fn count(&self, code: u64, n: u64) {
        let wanted = code.wrapping_add(1);
        for (name, count) in &self.places {
            let known = match name.load(Ordering::Relaxed) {
                0 => match name.compare_exchange(0, wanted, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => wanted,
                    Err(taken) => taken,
                },
                known => known,
            };
            if known == wanted {
                count.fetch_add(n, Ordering::Relaxed);
                return;
            }
        }
        self.others.fetch_add(n, Ordering::Relaxed);
    }

    /// Each code with how often it came, in the order in which they came first; nothing for the code of all others.
    pub fn counts(&self) -> Vec<(Option<u64>, u64)> {
        let known = self.places.iter().map_while(|(name, count)| {
            let code = name.load(Ordering::Relaxed).checked_sub(1)?;
            Some((Some(code), count.load(Ordering::Relaxed)))
        });
        let others = Some((None, self.others.load(Ordering::Relaxed))).filter(|(_, n)| *n > 0);
        known.chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_within_an_eighth() {
        let histogram = Histogram::default();
        (1..=10_000_u64).for_each(|value| histogram.record(value * 10));
        let before = histogram.sizes();
        for (share, value) in [(0.5, 50_000.0), (0.95, 95_000.0), (0.99, 99_000.0)] {
            let told = before.quantile(share).unwrap() as f64;
            assert!((told - value).abs() <= value / 8.0, "{share}: {told}");
        }
        histogram.record(3);
        let since = histogram.sizes().since(&before);
        assert_eq!((since.count(), since.quantile(0.99)), (1, Some(3)));
        assert_eq!(Sizes::default().quantile(0.5), None);
    }

    #[test]
    fn every_value_has_its_bucket() {
        let mut last = 0;
        for value in (0..200).chain((3..63).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let at = bucket(value);
            assert!(at >= last.min(BUCKETS - 1) || value < 200, "{value}");
            if value < 1 << DOUBLINGS {
                let told = middle(at);
                assert!(told.abs_diff(value) <= value / 8 + 1, "{value} is told as {told}");
            }
            last = at;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn codes_beyond_the_places_are_counted_together() {
        let codes = Codes::default();
        for code in 0..CODES_MAX as u64 + 5 {
            codes.count(code, 2);
        }
        codes.count(7, 1);
        let counts = codes.counts();
        assert_eq!(counts.len(), CODES_MAX + 1);
        assert_eq!(counts[7], (Some(7), 3));
        assert_eq!(counts.last(), Some(&(None, 10)));
    }
}
