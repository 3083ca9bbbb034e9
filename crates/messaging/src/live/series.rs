//! What happened lately, second by second and minute by minute, made of counters that only grow. No clock, no I/O.

use std::collections::VecDeque;

use runtime::measure::Sizes;
use serde::Serialize;
use types::Timestamp;

/// Seconds that are kept one by one.
const SECONDS_MAX: usize = 120;
/// Minutes that are kept one by one.
const MINUTES_MAX: usize = 240;
/// Pictures for windows of a minute: one each ten seconds.
const SHORT_EVERY_MS: i64 = 10_000;
const SHORT_MAX: usize = 8;
/// Pictures for longer windows: one each minute.
const LONG_EVERY_MS: i64 = 60_000;
const LONG_MAX: usize = 17;

/// Counters of one direction of traffic and its answers, since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// To the far side: parts handed over to a carrier, receipts and messages given to a customer.
    pub sent: u64,
    /// From the far side: receipts and messages of a carrier, parts submitted by a customer.
    pub received: u64,
    /// Submits that were accepted.
    pub accepted: u64,
    /// Submits that were refused.
    pub refused: u64,
    /// Of them: too fast, or a full queue.
    pub throttled: u64,
    /// Submits that nobody answered.
    pub unanswered: u64,
}

impl Flow {
    fn since(self, earlier: Self) -> Self {
        let less = u64::saturating_sub;
        Self {
            sent: less(self.sent, earlier.sent),
            received: less(self.received, earlier.received),
            accepted: less(self.accepted, earlier.accepted),
            refused: less(self.refused, earlier.refused),
            throttled: less(self.throttled, earlier.throttled),
            unanswered: less(self.unanswered, earlier.unanswered),
        }
    }

    fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.received += more.received;
        self.accepted += more.accepted;
        self.refused += more.refused;
        self.throttled += more.throttled;
        self.unanswered += more.unanswered;
    }
}

/// What does not grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// Requests that await their answer.
    pub window_used: u64,
    /// How many may.
    pub window_limit: u64,
    /// Messages that wait for this connection.
    pub waiting: u64,
}

/// Codes with how often each came; nothing for those that are counted together.
pub type Counts = Vec<(Option<u64>, u64)>;

/// All counters at one moment.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// What passed.
    pub flow: Flow,
    /// How much is open.
    pub level: Level,
    /// How long answers took, microseconds.
    pub latency: Sizes,
    /// How long receipts took from the answer on, milliseconds.
    pub lag: Sizes,
    /// Why submits were refused.
    pub refusals: Counts,
    /// What receipts said.
    pub receipts: Counts,
}

/// A second or a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Point {
    /// When it began.
    pub at: Timestamp,
    /// To the far side: parts to a carrier, receipts and messages to a customer.
    pub sent: u64,
    /// From the far side: receipts and messages of a carrier, parts of a customer.
    pub received: u64,
    /// Submits that were refused.
    pub refused: u64,
    /// Of them for being too fast, or for a full queue.
    pub throttled: u64,
    /// Submits that nobody answered.
    pub unanswered: u64,
    /// Requests that awaited their answer at its end.
    pub window_used: u64,
    /// How many might.
    pub window_limit: u64,
    /// Messages that waited at its end.
    pub waiting: u64,
}

/// What happened over the last minutes.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = LiveWindow)]
pub struct Window {
    /// How many minutes were asked for.
    pub minutes: u32,
    /// Over how many seconds it was counted: fewer after a start.
    pub seconds: f64,
    /// To the far side, per second.
    pub sent_per_second: f64,
    /// From the far side, per second.
    pub received_per_second: f64,
    /// Submits that were accepted.
    pub accepted: u64,
    /// Submits that were refused.
    pub refused: u64,
    /// Submits that nobody answered.
    pub unanswered: u64,
    /// Which part of the answers was "too fast" or "my queue is full", 0 to 1.
    pub throttled_share: f64,
    /// How long answers took, milliseconds; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Quantiles>,
    /// How long after the answer receipts came, milliseconds; absent where none came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_lag: Option<Quantiles>,
}

/// Durations in milliseconds, each right to within an eighth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 95 percent took no longer.
    pub p95_ms: f64,
    /// 99 percent took no longer.
    pub p99_ms: f64,
}

impl Quantiles {
    /// Of durations in units of which `per_ms` make a millisecond.
    fn of(sizes: &Sizes, per_ms: f64) -> Option<Self> {
        let at = |share| sizes.quantile(share).map(|value| value as f64 / per_ms);
        Some(Self { count: sizes.count(), p50_ms: at(0.5)?, p95_ms: at(0.95)?, p99_ms: at(0.99)? })
    }
}

/// The last two minutes by seconds, the last four hours by minutes, and pictures to take differences from. A sample each
/// second is expected; one that comes late makes a longer point.
#[derive(Debug, Default)]
pub struct Series {
    last: Option<Sample>,
    seconds: VecDeque<Point>,
    minutes: VecDeque<Point>,
    /// What the minute that runs has brought, and when it began.
    running: Option<(Timestamp, Flow)>,
    short: VecDeque<Sample>,
    long: VecDeque<Sample>,
    untold: Flow,
}

impl Series {
    /// Takes the counters of this moment.
    pub fn push(&mut self, sample: Sample) {
        // A connection that is started anew counts anew, and what came before the first look counts too.
        let anew = self.last.as_ref().is_none_or(|last| sample.flow.sent < last.flow.sent);
        if anew {
            let before = Sample {
                at: Timestamp::from_unix_ms(sample.at.unix_ms() - 1_000),
                level: sample.level,
                flow: Flow::default(),
                latency: Sizes::default(),
                ..self.last.take().unwrap_or_default()
            };
            for pictures in [&mut self.short, &mut self.long] {
                pictures.clear();
                pictures.push_back(before.clone());
            }
            self.last = Some(before);
        }
        let Some(last) = &self.last else { return };
        let passed = sample.flow.since(last.flow);
        self.untold.add(passed);
        keep(&mut self.seconds, point(last.at, passed, sample.level), SECONDS_MAX);
        let minute = Timestamp::from_unix_ms(sample.at.unix_ms() / 60_000 * 60_000);
        match &mut self.running {
            Some((began, flow)) if *began == minute => flow.add(passed),
            running => {
                if let Some((began, flow)) = running.replace((minute, passed)) {
                    keep(&mut self.minutes, point(began, flow, sample.level), MINUTES_MAX);
                }
            }
        }
        for (pictures, every_ms, max) in
            [(&mut self.short, SHORT_EVERY_MS, SHORT_MAX), (&mut self.long, LONG_EVERY_MS, LONG_MAX)]
        {
            if pictures.back().is_none_or(|back| sample.at.since_ms(back.at) >= every_ms) {
                keep(pictures, sample.clone(), max);
            }
        }
        self.last = Some(sample);
    }

    /// The last counters; nothing before the first.
    pub fn last(&self) -> Option<&Sample> {
        self.last.as_ref()
    }

    /// The last two minutes, by seconds.
    pub fn seconds(&self) -> Vec<Point> {
        self.seconds.iter().copied().collect()
    }

    /// The last four hours, by minutes; the one that runs is not among them.
    pub fn minutes(&self) -> Vec<Point> {
        self.minutes.iter().copied().collect()
    }

    /// The counters of so many minutes ago, or the oldest that are known.
    fn earlier(&self, minutes: u32) -> Option<&Sample> {
        let last = self.last.as_ref()?;
        let pictures = if minutes <= 1 { &self.short } else { &self.long };
        let by = i64::from(minutes) * 60_000;
        let old_enough = |picture: &&Sample| last.at.since_ms(picture.at) >= by;
        pictures.iter().rev().find(old_enough).or_else(|| pictures.front())
    }

    /// What happened over the last 1, 5 or 15 minutes.
    pub fn window(&self, minutes: u32) -> Option<Window> {
        let (last, then) = (self.last.as_ref()?, self.earlier(minutes)?);
        let flow = last.flow.since(then.flow);
        let seconds = (last.at.since_ms(then.at) as f64 / 1_000.0).max(0.001);
        let answers = flow.accepted + flow.refused;
        Some(Window {
            minutes,
            seconds,
            sent_per_second: flow.sent as f64 / seconds,
            received_per_second: flow.received as f64 / seconds,
            accepted: flow.accepted,
            refused: flow.refused,
            unanswered: flow.unanswered,
            throttled_share: if answers == 0 { 0.0 } else { flow.throttled as f64 / answers as f64 },
            latency: Quantiles::of(&last.latency.since(&then.latency), 1_000.0),
            receipt_lag: Quantiles::of(&last.lag.since(&then.lag), 1.0),
        })
    }

    /// How often each code came over the last minutes: of refusals, and of receipts; the most frequent first.
    pub fn mixes(&self, minutes: u32) -> (Counts, Counts) {
        let (Some(last), Some(then)) = (&self.last, self.earlier(minutes)) else { return Default::default() };
        (since(&last.refusals, &then.refusals), since(&last.receipts, &then.receipts))
    }

    /// What passed since this was asked last.
    pub fn untold(&mut self) -> Flow {
        std::mem::take(&mut self.untold)
    }

    /// Per second over the last ten seconds: to the far side, and from it.
    pub fn now(&self) -> (f64, f64) {
        let recent = self.seconds.range(self.seconds.len().saturating_sub(10)..);
        let since = recent.clone().next().map(|first| first.at).zip(self.last.as_ref());
        let (sent, received) =
            recent.fold((0, 0), |(sent, received), point| (sent + point.sent, received + point.received));
        let seconds = since.map_or(0.0, |(first, last)| last.at.since_ms(first) as f64 / 1_000.0);
        if seconds <= 0.0 { (0.0, 0.0) } else { (sent as f64 / seconds, received as f64 / seconds) }
    }
}

fn since(now: &Counts, then: &Counts) -> Counts {
    let before = |code: &Option<u64>| then.iter().find(|(known, _)| known == code).map_or(0, |(_, n)| *n);
    let mut counts: Counts =
        now.iter().map(|(code, n)| (*code, n.saturating_sub(before(code)))).filter(|(_, n)| *n > 0).collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts
}

fn point(at: Timestamp, flow: Flow, level: Level) -> Point {
    Point {
        at,
        sent: flow.sent,
        received: flow.received,
        refused: flow.refused,
        throttled: flow.throttled,
        unanswered: flow.unanswered,
        window_used: level.window_used,
        window_limit: level.window_limit,
        waiting: level.waiting,
    }
}

fn keep<T>(kept: &mut VecDeque<T>, one: T, max: usize) {
    if kept.len() >= max {
        kept.pop_front();
    }
    kept.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: i64, sent: u64, refused: u64) -> Sample {
        let flow = Flow { sent, refused, accepted: sent - refused, throttled: refused, ..Flow::default() };
        Sample {
            at: Timestamp::from_unix_ms(1_790_000_040_000 + second * 1_000),
            flow,
            refusals: vec![(Some(0x58), refused)],
            ..Sample::default()
        }
    }

    #[test]
    fn rates_are_those_of_their_window_and_the_rings_are_bounded() {
        let mut series = Series::default();
        assert_eq!(series.window(1), None);
        let (mut sent, mut refused) = (0, 0);
        for second in 0..20_000 {
            // Ten a second, and a hundred in the last minute, one in ten of them refused.
            let more = if second > 19_940 { 100 } else { 10 };
            sent += more;
            refused += more / 10;
            series.push(sample(second, sent, refused));
        }
        let (one, five) = (series.window(1).unwrap(), series.window(5).unwrap());
        assert!((one.sent_per_second - 100.0).abs() < 15.0, "{one:?}");
        assert!((five.sent_per_second - 28.0).abs() < 6.0, "{five:?}");
        assert!((one.throttled_share - 0.1).abs() < 0.001, "{one:?}");
        assert_eq!(series.now().0, 100.0);
        assert_eq!((series.seconds().len(), series.minutes().len()), (SECONDS_MAX, MINUTES_MAX));
        assert_eq!(series.minutes().last().unwrap().sent, 600 + 90 * series_overlap(&series));
        let (refusals, receipts) = series.mixes(5);
        assert_eq!((refusals[0].0, receipts.len()), (Some(0x58), 0));
        assert!(series.short.len() <= SHORT_MAX && series.long.len() <= LONG_MAX);
    }

    /// Seconds of the fast last minute that fell into the last whole minute.
    fn series_overlap(series: &Series) -> u64 {
        let last = series.minutes().last().unwrap().at;
        let fast = Timestamp::from_unix_ms(1_790_000_040_000 + 19_941 * 1_000);
        u64::try_from((last.unix_ms() + 60_000 - fast.unix_ms()) / 1_000).unwrap_or(0)
    }

    #[test]
    fn a_young_series_counts_over_what_there_is() {
        let mut series = Series::default();
        series.push(sample(0, 20, 0));
        series.push(sample(1, 60, 0));
        let window = series.window(15).unwrap();
        assert_eq!((window.seconds, window.sent_per_second, window.latency), (2.0, 30.0, None));
        assert_eq!(series.mixes(1), Default::default());
    }

    #[test]
    fn counters_that_begin_anew_are_no_traffic_backwards() {
        let mut series = Series::default();
        series.push(sample(0, 1_000, 10));
        series.push(Sample { refusals: vec![(Some(0x58), 11)], ..sample(1, 5, 0) });
        let window = series.window(1).unwrap();
        assert_eq!((window.accepted, window.refused, window.sent_per_second), (5, 0, 5.0));
        assert_eq!(series.seconds().last().unwrap().sent, 5);
        assert_eq!((series.untold().sent, series.untold().sent), (1_005, 0));
        assert_eq!(series.mixes(1).0, [(Some(0x58), 1)]);
    }
}
