//! Time and ids as inputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use types::{Id, Timestamp};

/// Where the time comes from: the system's clock, or hands that a test moves.
#[derive(Clone, Debug)]
pub struct Clock {
    hands: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { hands: None }
    }

    /// A clock that stands still until it is moved.
    pub fn manual(at: Timestamp) -> Self {
        Self { hands: Some(Arc::new(AtomicI64::new(at.unix_ms()))) }
    }

    /// The instant.
    pub fn now(&self) -> Timestamp {
        match &self.hands {
            Some(hands) => Timestamp::from_unix_ms(hands.load(Ordering::Acquire)),
            None => system_now(),
        }
    }

    /// Moves a manual clock forward; the system's clock does not listen.
    pub fn advance_ms(&self, ms: i64) {
        if let Some(hands) = &self.hands {
            hands.fetch_add(ms, Ordering::AcqRel);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn system_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Makes ids: each greater than the one before, whatever the clock does, and never the same on two nodes.
#[derive(Debug)]
pub struct Ids {
    clock: Clock,
    node: u32,
    // Milliseconds and, below them, a counter of COUNTER_BITS.
    last: AtomicI64,
}

const COUNTER_BITS: u32 = 16;

impl Ids {
    /// A maker for the node with this number, 0 to 31.
    pub fn new(clock: Clock, node: u8) -> Self {
        Self { clock, node: u32::from(node & 31), last: AtomicI64::new(0) }
    }

    /// A new id.
    pub fn next<K>(&self) -> Id<K> {
        let floor = self.clock.now().unix_ms() << COUNTER_BITS;
        let step = |last: i64| Some(floor.max(last + 1));
        // The closure never gives None, so both arms hold the value before.
        let (Ok(last) | Err(last)) = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
        let made = floor.max(last + 1);
        let counter = (made & ((1 << COUNTER_BITS) - 1)) as u32;
        Id::from_parts(Timestamp::from_unix_ms(made >> COUNTER_BITS), (self.node << COUNTER_BITS) | counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::MessageId;

    #[test]
    fn ids_grow_though_the_clock_stands_or_goes_back() {
        let clock = Clock::manual(Timestamp::from_unix_ms(1_790_000_000_000));
        let ids = Ids::new(clock.clone(), 3);
        let mut before: MessageId = ids.next();
        for round in 0..100_000 {
            if round == 50_000 {
                clock.advance_ms(-60_000);
            }
            let next = ids.next();
            assert!(next > before);
            before = next;
        }
    }

    #[test]
    fn nodes_do_not_meet() {
        let clock = Clock::manual(Timestamp::from_unix_ms(1_790_000_000_000));
        let (one, two) = (Ids::new(clock.clone(), 0), Ids::new(clock, 1));
        let first: std::collections::HashSet<MessageId> = (0..70_000).map(|_| one.next()).collect();
        assert!((0..70_000).all(|_| !first.contains(&two.next())));
    }
}
