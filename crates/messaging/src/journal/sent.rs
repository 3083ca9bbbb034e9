//! What carriers have taken over and not receipted yet, as far as memory holds it: most receipts come within seconds,
//! and need not be looked up in the table then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use types::{ConnectionId, MessageId, Timestamp};

use crate::message::Outgoing;

/// A carrier's id in the form that receipts are matched by.
pub(crate) type Key = (ConnectionId, Box<str>);

/// Messages of one part that are with their carrier. What is not here is in the table all the same.
#[derive(Debug)]
pub(crate) struct Sent {
    messages: HashMap<Key, (Arc<Outgoing>, Timestamp)>,
    /// The order in which they came; also holds those that have gone meanwhile.
    order: VecDeque<(Key, MessageId)>,
    max: usize,
}

impl Sent {
    /// None yet, and never more than `max`.
    pub(crate) fn new(max: usize) -> Self {
        Self { messages: HashMap::new(), order: VecDeque::new(), max }
    }

    /// Remembers a message that was taken over at `at`; the one that has waited longest makes room.
    pub(crate) fn insert(&mut self, key: Key, message: Arc<Outgoing>, at: Timestamp) {
        if self.max == 0 {
            return;
        }
        while self.messages.len() >= self.max || self.order.len() >= self.max * 2 {
            let Some((key, message)) = self.order.pop_front() else { break };
            if self.messages.get(&key).is_some_and(|(kept, _)| kept.id == message) {
                self.messages.remove(&key);
            }
        }
        self.order.push_back((key.clone(), message.id));
        // Ids recur: a receipt is for the newest message under its id.
        self.messages.insert(key, (message, at));
    }

    /// The message under a carrier's id.
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Outgoing>> {
        self.messages.get(key).map(|(message, _)| message)
    }

    /// Forgets a message that has come to its end, and gives when the carrier had taken it over.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Timestamp> {
        self.messages.remove(key).map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_ms(7);

    fn key(connection: i64, id: &str) -> Key {
        (ConnectionId::from_raw(connection), Box::from(id))
    }

    #[test]
    fn the_oldest_makes_room_and_the_newest_of_an_id_counts() {
        let mut sent = Sent::new(2);
        for (id, message) in [("a", 1), ("b", 2), ("c", 3)] {
            sent.insert(key(1, id), Outgoing::of_test(message), AT);
        }
        let known = |sent: &Sent, id| sent.get(&key(1, id)).map(|message| message.id.raw());
        assert_eq!(["a", "b", "c"].map(|id| known(&sent, id)), [None, Some(2), Some(3)]);
        assert!(sent.get(&key(2, "c")).is_none(), "another carrier's id is another");
        sent.insert(key(1, "c"), Outgoing::of_test(4), AT);
        assert_eq!(known(&sent, "c"), Some(4));
        assert_eq!(sent.remove(&key(1, "c")), Some(AT));
        for n in 0..100 {
            sent.insert(key(1, "d"), Outgoing::of_test(n), AT);
            sent.remove(&key(1, "d"));
        }
        assert!(sent.order.len() <= 4 && sent.messages.len() <= 2, "what is gone takes no room for ever");
        let mut none = Sent::new(0);
        none.insert(key(1, "a"), Outgoing::of_test(1), AT);
        assert!(none.get(&key(1, "a")).is_none());
    }
}
