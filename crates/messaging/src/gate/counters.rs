//! Counters for duplicates, floods and messages a day: in memory, bounded, and rebuilt from the messages after a start.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use types::Timestamp;

/// Shards: enough that threads seldom wait for each other.
const SHARDS: usize = 64;

/// Counts within windows of time. A window begins with the first hit and ends at an instant that the first hit names.
///
/// At most so many counters are kept. When a shard is full, those whose windows have ended go first, then the half that
/// ends soonest: what they counted may pass again, which is the smaller harm.
#[derive(Debug)]
pub struct Counters {
    shards: Vec<Mutex<HashMap<u64, Counter>>>,
    shard_max: usize,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Counter {
    until: Timestamp,
    n: u32,
}

/// What a counter counts: made by [`Counters::key`].
pub type CounterKey = u64;

impl Counters {
    /// Room for so many.
    pub fn new(max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_max: (max / SHARDS).max(2),
            hasher: RandomState::new(),
        }
    }

    /// The key of what is counted. The hash is keyed anew by each process, so nobody can aim at a collision.
    pub fn key(&self, what: impl Hash) -> CounterKey {
        self.hasher.hash_one(what)
    }

    /// Counts one more, unless the window has `max` already. True when it has.
    pub fn hit(&self, key: CounterKey, now: Timestamp, until: Timestamp, max: u32) -> bool {
        let mut shard = self.shard(key);
        if let Some(counter) = shard.get_mut(&key)
            && counter.until > now
            && counter.n > 0
        {
            if counter.n >= max {
                return true;
            }
            counter.n += 1;
            return false;
        }
        if max == 0 {
            return true;
        }
        if shard.len() >= self.shard_max && !shard.contains_key(&key) {
            make_room(&mut shard, now);
        }
        shard.insert(key, Counter { until, n: 1 });
        false
    }

    /// Whether the window has `max` already; counts nothing.
    pub fn is_over(&self, key: CounterKey, now: Timestamp, max: u32) -> bool {
        self.shard(key).get(&key).is_some_and(|counter| counter.until > now && counter.n >= max) || max == 0
    }

    /// Takes a hit back: its message was not accepted after all.
    pub fn take_back(&self, key: CounterKey) {
        if let Some(counter) = self.shard(key).get_mut(&key) {
            counter.n = counter.n.saturating_sub(1);
        }
    }

    /// Counters that are kept.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: CounterKey) -> MutexGuard<'_, HashMap<u64, Counter>> {
        let at = usize::try_from(key % SHARDS as u64).unwrap_or_default();
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what has ended; when that is too little, the half that ends soonest. So the cost of forgetting is spread over as
/// many new counters as it made room for.
fn make_room(shard: &mut HashMap<u64, Counter>, now: Timestamp) {
    let before = shard.len();
    shard.retain(|_, counter| counter.until > now && counter.n > 0);
    if shard.len() > before / 2 {
        let mut ends: Vec<Timestamp> = shard.values().map(|counter| counter.until).collect();
        let middle = ends.len() / 2;
        let (_, median, _) = ends.select_nth_unstable(middle);
        let median = *median;
        let mut left = middle + 1;
        shard.retain(|_, counter| {
            let goes = counter.until <= median && left > 0;
            left -= usize::from(goes);
            !goes
        });
        metrics::counter!("switchboard_gate_counters_forgotten_total")
            .increment((before - shard.len()) as u64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn a_window_lets_its_number_through_and_then_begins_anew() {
        let counters = Counters::new(1_000);
        let key = counters.key(("rule", "336"));
        assert_eq!([1, 2, 3].map(|now| counters.hit(key, at(now), at(100), 2)), [false, false, true]);
        assert!(counters.is_over(key, at(99), 2) && !counters.is_over(key, at(100), 2));
        assert!(!counters.hit(key, at(100), at(200), 2));
        counters.take_back(key);
        assert_eq!([101, 102, 103].map(|now| counters.hit(key, at(now), at(200), 2)), [false, false, true]);
        assert!(counters.hit(counters.key("none"), at(0), at(9), 0));
    }

    #[test]
    fn a_duplicate_that_was_taken_back_may_be_sent_again() {
        let counters = Counters::new(1_000);
        let key = counters.key("text");
        assert!(!counters.hit(key, at(0), at(60), 1));
        assert!(counters.hit(key, at(1), at(61), 1));
        counters.take_back(key);
        assert!(!counters.hit(key, at(50), at(110), 1));
        assert!(counters.hit(key, at(100), at(160), 1), "the window is the one that was accepted");
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_its_bound(keys in proptest::collection::vec(any::<u64>(), 1..4_000)) {
            let counters = Counters::new(640);
            for (now, key) in keys.iter().enumerate() {
                let now = at(i64::try_from(now).unwrap());
                counters.hit(*key, now, now.plus_ms(1_000_000), 1);
                prop_assert!(counters.hit(*key, now, now.plus_ms(1_000_000), 1), "the latest is known");
            }
            prop_assert!(counters.len() <= 640);
        }
    }
}
