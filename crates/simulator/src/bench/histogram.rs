//! Durations by their frequency, exact to one percent whatever their size.

use serde::Serialize;

/// Bits of a value that are kept; the rest of its length is the bucket's width.
const KEPT: u32 = 7;
/// Longer durations, beyond twelve days, count as this long.
const LONGEST: u64 = (1 << 40) - 1;
const BUCKETS: usize = (40 - KEPT as usize + 2) << (KEPT - 1);

/// Counts of durations in microseconds, in buckets whose width grows with their value: 128 for each
/// doubling.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    sum: u64,
    max: u64,
}

/// What a histogram tells, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Latency {
    /// Durations measured.
    pub count: u64,
    /// Their mean.
    pub mean_ms: f64,
    /// Half of them were at most this long.
    pub p50_ms: f64,
    /// 90 percent.
    pub p90_ms: f64,
    /// 99 percent.
    pub p99_ms: f64,
    /// 99.9 percent.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Latency {
    /// A line of a report, under `mean p50 p90 p99 p99.9 max`.
    pub(super) fn line(&self, name: &str) -> String {
        let Self { mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = self;
        format!("{name:<12}{mean_ms:>8.2}{p50_ms:>8.2}{p90_ms:>8.2}{p99_ms:>8.2}{p999_ms:>8.2}{max_ms:>8.2}")
    }
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0, sum: 0, max: 0 }
    }

    pub(super) fn record(&mut self, micros: u64) {
        let micros = micros.min(LONGEST);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.sum += micros;
        self.max = self.max.max(micros);
    }

    /// The duration that a share of all did not exceed, in microseconds: the upper end of its bucket.
    fn quantile(&self, share: f64) -> u64 {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut below = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank.max(1) {
                return upper(index).min(self.max);
            }
        }
        self.max
    }

    pub(super) fn latency(&self) -> Latency {
        let ms = |micros: u64| micros as f64 / 1_000.0;
        Latency {
            count: self.count,
            mean_ms: if self.count == 0 { 0.0 } else { ms(self.sum) / self.count as f64 },
            p50_ms: ms(self.quantile(0.5)),
            p90_ms: ms(self.quantile(0.9)),
            p99_ms: ms(self.quantile(0.99)),
            p999_ms: ms(self.quantile(0.999)),
            max_ms: ms(self.max),
        }
    }
}

fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(KEPT);
    ((shift as usize) << (KEPT - 1)) + (micros >> shift) as usize
}

/// The greatest value of a bucket.
fn upper(index: usize) -> u64 {
    let half = 1 << (KEPT - 1);
    if index < 2 * half {
        return index as u64;
    }
    let (shift, kept) = (index / half - 1, index % half + half);
    ((kept as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_holds_it_within_a_percent_or_two() {
        let mut value = 0_u64;
        while value < LONGEST {
            let index = bucket(value);
            assert!(index < BUCKETS, "{value}");
            assert!(value <= upper(index) && (index == 0 || value > upper(index - 1)), "{value}");
            assert!(upper(index) - value <= value / 64, "{value}");
            value = value + value / 50 + 1;
        }
        assert!(bucket(LONGEST) < BUCKETS);
    }

    #[test]
    fn quantiles_of_a_known_row() {
        let mut histogram = Histogram::new();
        (1..=1_000).for_each(|ms| histogram.record(ms * 1_000));
        let latency = histogram.latency();
        let near = |is: f64, wanted: f64| assert!((is / wanted - 1.0).abs() < 0.02, "{is} for {wanted}");
        near(latency.p50_ms, 500.0);
        near(latency.p90_ms, 900.0);
        near(latency.p99_ms, 990.0);
        near(latency.p999_ms, 999.0);
        near(latency.mean_ms, 500.5);
        assert_eq!((latency.max_ms, latency.count), (1_000.0, 1_000));
        assert_eq!(Histogram::new().latency(), Latency::default());
    }
}
