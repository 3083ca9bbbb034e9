//! How fast the peer wants us: pauses after ESME_RTHROTTLED and ESME_RMSGQFUL, and congestion_state (SMPP v5 §2.9).
//!
//! A window holds many PDUs, so one moment of "too fast" comes back as many answers. Only what was sent after the last
//! step may cause the next one; otherwise a single burst would push the pause to its longest at once.

use super::backoff::Backoff;
use super::ceiling::Ceiling;

/// A full queue empties more slowly than a second of rate limit passes.
const QUEUE_FULL_FACTOR: u64 = 4;

/// Parts of the window that congestion_state takes away and gives back.
const WHOLE_SHARE: usize = 8;

/// The governor of one connection. Pure: `now_ms` and `sent_ms` are milliseconds on one clock that does not go back.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    rate: Pause,
    queue: Pause,
    ceiling: Ceiling,
    /// Of [`WHOLE_SHARE`], how much of each window may be used.
    share: usize,
    /// When `share` last changed.
    share_at_ms: i64,
}

#[derive(Clone, Debug)]
struct Pause {
    steps: Backoff,
    until_ms: i64,
}

impl Pause {
    fn new(min_ms: u64, max_ms: u64) -> Self {
        Self { steps: Backoff::new(min_ms, max_ms), until_ms: 0 }
    }

    /// Gives whether this was more than the rest of the last burst.
    fn begin(&mut self, sent_ms: i64, now_ms: i64, chance: f64) -> bool {
        let anew = sent_ms >= self.until_ms;
        if anew {
            self.until_ms = now_ms.saturating_add_unsigned(self.steps.next(chance));
        }
        anew
    }

    fn went_well(&mut self, sent_ms: i64) {
        if sent_ms >= self.until_ms {
            self.steps.reset();
        }
    }
}

impl Throttle {
    /// No pause yet; pauses will be `min_ms` to `max_ms` long, and four times that when the peer's queue is full.
    pub(crate) fn new(min_ms: u64, max_ms: u64) -> Self {
        Self {
            rate: Pause::new(min_ms, max_ms),
            queue: Pause::new(
                min_ms.saturating_mul(QUEUE_FULL_FACTOR),
                max_ms.saturating_mul(QUEUE_FULL_FACTOR),
            ),
            ceiling: Ceiling::default(),
            share: WHOLE_SHARE,
            share_at_ms: 0,
        }
    }

    /// Other pauses from now on; what was learned stays.
    pub(super) fn set_pauses(&mut self, min_ms: u64, max_ms: u64) {
        let Self { rate, queue, .. } = Self::new(min_ms, max_ms);
        self.rate.steps = rate.steps;
        self.queue.steps = queue.steps;
    }

    /// ESME_RTHROTTLED came for what was sent at `sent_ms`.
    pub(crate) fn too_fast(&mut self, sent_ms: i64, now_ms: i64, chance: f64) {
        if self.rate.begin(sent_ms, now_ms, chance) {
            self.ceiling.too_fast(now_ms);
        }
    }

    /// ESME_RMSGQFUL came for what was sent at `sent_ms`.
    pub(crate) fn queue_full(&mut self, sent_ms: i64, now_ms: i64, chance: f64) {
        self.queue.begin(sent_ms, now_ms, chance);
    }

    /// The peer says for how long it wants to be left alone.
    pub(crate) fn wait(&mut self, ms: u64, now_ms: i64) {
        self.rate.until_ms = self.rate.until_ms.max(now_ms.saturating_add_unsigned(ms));
    }

    /// What was sent at `sent_ms` was accepted: pauses start small again.
    pub(crate) fn accepted(&mut self, sent_ms: i64, now_ms: i64) {
        self.ceiling.accepted(now_ms);
        self.rate.went_well(sent_ms);
        self.queue.went_well(sent_ms);
    }

    /// The congestion_state of an answer, where it had one. Below 80 the peer has room, 80 to 89 is what it likes best, from
    /// 90 on we halve what is under way, at 100 we pause. An answer without it says nothing against more: some peers name
    /// congestion only while there is any.
    pub(crate) fn congestion(&mut self, state: Option<u8>, sent_ms: i64, now_ms: i64, chance: f64) {
        if state.is_some_and(|state| state >= 100) {
            self.rate.begin(sent_ms, now_ms, chance);
        }
        if sent_ms < self.share_at_ms {
            return;
        }
        let share = match state.unwrap_or(0) {
            0..=79 => (self.share + 1).min(WHOLE_SHARE),
            80..=89 => self.share,
            90.. => (self.share / 2).max(1),
        };
        if share != self.share {
            self.share = share;
            // What is sent within this very millisecond may still have left before the change.
            self.share_at_ms = now_ms.saturating_add(1);
        }
    }

    /// How long nothing may leave; 0 for no pause.
    pub(crate) fn pause_ms(&self, now_ms: i64) -> u64 {
        let until_ms = self.rate.until_ms.max(self.queue.until_ms);
        u64::try_from(until_ms.saturating_sub(now_ms)).unwrap_or(0)
    }

    /// Parts per second that the peer was found to take; `None` while it has not complained.
    pub(crate) fn ceiling(&mut self, now_ms: i64) -> Option<u32> {
        self.ceiling.rate(now_ms)
    }

    /// How much of a window of this size may be used now: all of it, or less while the peer is congested, at least one.
    pub(crate) fn window(&self, whole: usize) -> usize {
        if self.share == WHOLE_SHARE { whole } else { (whole * self.share / WHOLE_SHARE).max(whole.min(1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_burst_is_one_step_and_the_next_burst_doubles() {
        let mut throttle = Throttle::new(1_000, 3_000);
        for _ in 0..100 {
            throttle.too_fast(0, 50, 1.0);
        }
        assert_eq!(throttle.pause_ms(50), 1_000);
        assert_eq!(throttle.pause_ms(1_050), 0);
        throttle.too_fast(1_050, 1_060, 1.0);
        assert_eq!(throttle.pause_ms(1_060), 2_000);
        throttle.too_fast(3_060, 3_060, 1.0);
        assert_eq!(throttle.pause_ms(3_060), 3_000);
    }

    #[test]
    fn only_a_success_sent_after_the_pause_resets_it() {
        let mut throttle = Throttle::new(1_000, 30_000);
        throttle.too_fast(0, 0, 1.0);
        throttle.accepted(0, 500);
        throttle.too_fast(1_000, 1_000, 1.0);
        assert_eq!(throttle.pause_ms(1_000), 2_000, "the success was of the same burst");
        throttle.accepted(3_000, 3_000);
        throttle.too_fast(3_001, 3_001, 1.0);
        assert_eq!(throttle.pause_ms(3_001), 1_000);
    }

    #[test]
    fn a_full_queue_pauses_longer_even_within_a_pause() {
        let mut throttle = Throttle::new(1_000, 30_000);
        throttle.too_fast(0, 0, 1.0);
        throttle.queue_full(0, 0, 1.0);
        assert_eq!(throttle.pause_ms(0), 4_000);
        throttle.too_fast(1, 1, 1.0);
        assert_eq!(throttle.pause_ms(1), 3_999);
    }

    #[test]
    fn congestion_reduces_holds_and_gives_back_once_a_round_trip() {
        let mut throttle = Throttle::new(1_000, 30_000);
        assert_eq!(throttle.window(100), 100);
        for _ in 0..50 {
            throttle.congestion(Some(95), 0, 10, 1.0);
        }
        assert_eq!(throttle.window(100), 50);
        throttle.congestion(Some(85), 20, 30, 1.0);
        assert_eq!(throttle.window(100), 50);
        throttle.congestion(Some(10), 20, 30, 1.0);
        throttle.congestion(Some(10), 20, 31, 1.0);
        assert_eq!(throttle.window(100), 62);
        for round in 2..10 {
            throttle.congestion(None, round * 100, round * 100 + 50, 1.0);
        }
        assert_eq!(throttle.window(100), 100);
        assert_eq!(throttle.pause_ms(1_000), 0);
    }

    #[test]
    fn full_congestion_pauses_and_leaves_one_place() {
        let mut throttle = Throttle::new(1_000, 30_000);
        for round in 0..9 {
            throttle.congestion(Some(100), round * 100_000, round * 100_000, 1.0);
        }
        assert_eq!(throttle.window(4), 1);
        assert_eq!(throttle.window(0), 0, "a receiver has no place to give");
        assert_eq!(throttle.pause_ms(800_000), 30_000);
    }
}
