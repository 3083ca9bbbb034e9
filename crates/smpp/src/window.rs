//! The window: the requests that one side has sent and that are not answered yet (SMPP v5 §2.6).

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::fmt;

/// Outstanding requests by sequence number, each with what the caller must remember and a deadline.
///
/// All operations take constant time, amortised, and the memory is bound by the capacity. An answer that comes after its
/// deadline finds nothing here: [`complete`](Self::complete) gives `None`.
///
/// Deadlines are milliseconds on any clock the caller keeps, and are expected not to go back: a deadline before that of the
/// request before it expires together with that one.
#[derive(Debug)]
pub struct Window<T> {
    outstanding: HashMap<u32, Waiting<T>>,
    /// In the order of insertion. A completed request stays until its turn comes or until half of the queue is such
    /// remains.
    deadlines: VecDeque<Deadline>,
    capacity: usize,
    inserted: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    ms: i64,
    sequence: u32,
    /// Tells a request from an earlier one that had the same sequence number.
    serial: u64,
}

/// A request that the window does not take; its item is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refused<T> {
    /// As many requests as allowed are unanswered.
    Full(T),
    /// A request with this sequence number is unanswered.
    InUse(T),
}

impl<T> Refused<T> {
    /// The item that was not taken.
    pub fn into_item(self) -> T {
        match self {
            Self::Full(item) | Self::InUse(item) => item,
        }
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full",
            Self::InUse(_) => "InUse",
        })
    }
}

impl<T> Window<T> {
    /// An empty window for at most `capacity` requests.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { outstanding: HashMap::new(), deadlines: VecDeque::new(), capacity, inserted: 0 }
    }

    /// Notes a request that is being sent.
    ///
    /// # Errors
    /// The window is full, or the sequence number is in use; the window is unchanged.
    pub fn insert(&mut self, sequence: u32, item: T, deadline_ms: i64) -> Result<(), Refused<T>> {
        let full = self.is_full();
        let latest = self.deadlines.back().map_or(deadline_ms, |latest| latest.ms);
        match self.outstanding.entry(sequence) {
            Entry::Occupied(_) => Err(Refused::InUse(item)),
            Entry::Vacant(_) if full => Err(Refused::Full(item)),
            Entry::Vacant(entry) => {
                let serial = self.inserted;
                self.inserted += 1;
                entry.insert(Waiting { item, serial });
                self.deadlines.push_back(Deadline { ms: deadline_ms.max(latest), sequence, serial });
                Ok(())
            }
        }
    }

    /// Takes out the request that an answer is for; `None` where there is none: it was never sent, is answered already,
    /// or has expired.
    pub fn complete(&mut self, sequence: u32) -> Option<T> {
        let waiting = self.outstanding.remove(&sequence)?;
        if self.deadlines.len() > 2 * self.outstanding.len() + 16 {
            let outstanding = &self.outstanding;
            self.deadlines.retain(|deadline| is_current(outstanding, deadline));
        }
        Some(waiting.item)
    }

    /// Whether a request with this sequence number is unanswered.
    #[must_use]
    pub fn contains(&self, sequence: u32) -> bool {
        self.outstanding.contains_key(&sequence)
    }

    /// Takes out all requests whose deadline is `now_ms` or earlier, in the order they were sent.
    pub fn expired(&mut self, now_ms: i64) -> Vec<(u32, T)> {
        let mut expired = Vec::new();
        while let Some(due) = self.deadlines.pop_front_if(|deadline| deadline.ms <= now_ms) {
            if is_current(&self.outstanding, &due) {
                expired.extend(
                    self.outstanding.remove(&due.sequence).map(|waiting| (due.sequence, waiting.item)),
                );
            }
        }
        expired
    }

    /// Takes out everything, in the order it was sent: the session is lost, and what became of these is not known.
    pub fn drain(&mut self) -> Vec<(u32, T)> {
        self.expired(i64::MAX)
    }

    /// When to ask for [`expired`](Self::expired) next; `None` while nothing is outstanding. May be early, never late.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        if self.is_empty() { None } else { self.deadlines.front().map(|deadline| deadline.ms) }
    }

    /// Changes how many requests may be unanswered; those above a smaller number stay until answered or expired.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// How many requests may be unanswered.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many requests are unanswered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outstanding.len()
    }

    /// True where no request is unanswered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// True where no further request may be sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outstanding.len() >= self.capacity
    }
}

/// The request is outstanding, and not only a later one with the same sequence number.
fn is_current<T>(outstanding: &HashMap<u32, Waiting<T>>, deadline: &Deadline) -> bool {
    outstanding.get(&deadline.sequence).is_some_and(|waiting| waiting.serial == deadline.serial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_come_in_any_order_and_once() {
        let mut window = Window::new(2);
        window.insert(1, "a", 10).expect("room");
        window.insert(2, "b", 11).expect("room");
        assert_eq!(window.insert(3, "c", 12), Err(Refused::Full("c")));
        assert_eq!(window.complete(2), Some("b"));
        assert_eq!(window.insert(1, "c", 12), Err(Refused::InUse("c")));
        assert_eq!(window.complete(2), None);
        assert_eq!(window.complete(1), Some("a"));
        assert_eq!(window.next_deadline(), None);
    }

    #[test]
    fn an_expired_slot_is_free_and_its_answer_is_late() {
        let mut window = Window::new(1);
        window.insert(1, (), 10).expect("room");
        assert_eq!(window.expired(9), []);
        assert_eq!(window.expired(10), [(1, ())]);
        assert_eq!(window.complete(1), None);
        assert!(window.insert(2, (), 20).is_ok());
    }

    #[test]
    fn a_reused_number_has_its_own_deadline() {
        let mut window = Window::new(4);
        window.insert(1, "first", 10).expect("room");
        window.complete(1);
        window.insert(1, "second", 50).expect("room");
        assert_eq!(window.expired(49), []);
        assert_eq!(window.expired(50), [(1, "second")]);
    }

    #[test]
    fn completed_requests_leave_no_memory() {
        let mut window = Window::new(10);
        for sequence in 1..100_000 {
            window.insert(sequence, (), i64::from(sequence)).expect("room");
            window.complete(sequence);
            assert!(window.deadlines.len() <= 40);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32),
        Complete(u32),
        Wait(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u32..12).prop_map(Step::Insert),
            (0u32..12).prop_map(Step::Complete),
            (0i64..8).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// The window does what an unordered list of (sequence, item, deadline) would do.
        #[test]
        fn agrees_with_a_plain_list(steps in steps(), capacity in 0usize..8) {
            const TIMEOUT: i64 = 10;
            let mut window = Window::new(capacity);
            let mut list: Vec<(u32, usize, i64)> = Vec::new();
            let mut now = 0;
            for (item, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(sequence) => {
                        let taken = list.len() < capacity && list.iter().all(|&(held, ..)| held != sequence);
                        if taken {
                            list.push((sequence, item, now + TIMEOUT));
                        }
                        prop_assert_eq!(window.insert(sequence, item, now + TIMEOUT).is_ok(), taken);
                    }
                    Step::Complete(sequence) => {
                        let at = list.iter().position(|&(held, ..)| held == sequence);
                        let item = at.map(|at| list.remove(at).1);
                        prop_assert_eq!(window.complete(sequence), item);
                    }
                    Step::Wait(ms) => {
                        now += ms;
                        let (gone, kept) = list.into_iter().partition(|&(.., deadline)| deadline <= now);
                        let gone: Vec<(u32, usize, i64)> = gone;
                        list = kept;
                        let gone: Vec<_> = gone.into_iter().map(|(sequence, item, _)| (sequence, item)).collect();
                        prop_assert_eq!(window.expired(now), gone);
                    }
                }
                prop_assert_eq!(window.len(), list.len());
                if let Some(next) = list.iter().map(|&(.., deadline)| deadline).min() {
                    prop_assert!(window.next_deadline().is_some_and(|deadline| deadline <= next));
                }
            }
            let rest: Vec<_> = list.into_iter().map(|(sequence, item, _)| (sequence, item)).collect();
            prop_assert_eq!(window.drain(), rest);
        }
    }
}
