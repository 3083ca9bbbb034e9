//! What is to happen later, by the millisecond.
//!
//! A busy centre has tens of thousands of responses and receipts to come. One queue with one task that
//! wakes for the earliest costs a fraction of a timer for each.

use std::collections::BTreeMap;

/// Events in the order of their times; those of one millisecond in the order they were entered.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    slots: BTreeMap<u64, Vec<E>>,
    /// Emptied slots, to be filled again.
    spare: Vec<Vec<E>>,
    /// The present millisecond, since the centre's start: whoever works with the agenda sets it first.
    pub(crate) now_ms: u64,
    /// What the waker sleeps for.
    awaited: u64,
    ring: bool,
}

const SPARE_MAX: usize = 64;

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { slots: BTreeMap::new(), spare: Vec::new(), now_ms: 0, awaited: u64::MAX, ring: false }
    }

    /// Enters an event for an instant.
    pub(crate) fn at(&mut self, due_ms: u64, event: E) {
        let spare = &mut self.spare;
        self.slots.entry(due_ms).or_insert_with(|| spare.pop().unwrap_or_default()).push(event);
        self.ring |= due_ms < self.awaited;
    }

    /// Takes the slot that is due first, if it is due. Give it back with [`Agenda::recycle`].
    pub(crate) fn due(&mut self) -> Option<Vec<E>> {
        let first = self.slots.first_entry()?;
        (*first.key() <= self.now_ms).then(|| first.remove())
    }

    /// Keeps the memory of a slot.
    pub(crate) fn recycle(&mut self, mut slot: Vec<E>) {
        slot.clear();
        if self.spare.len() < SPARE_MAX {
            self.spare.push(slot);
        }
    }

    /// When the waker has to come back; it must be rung for whatever is entered before that.
    pub(crate) fn sleep(&mut self) -> Option<u64> {
        let next = self.slots.first_key_value().map(|(due, _)| *due);
        self.awaited = next.unwrap_or(u64::MAX);
        self.ring = false;
        next
    }

    /// Whether the waker has to be rung since [`Agenda::sleep`]; says so once, and not for what was done
    /// meanwhile.
    pub(crate) fn take_ring(&mut self) -> bool {
        let ring = std::mem::take(&mut self.ring);
        ring && self.slots.first_key_value().is_some_and(|(due, _)| *due < self.awaited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_and_not_early() {
        let mut agenda = Agenda::new();
        for (due, event) in [(5, 'c'), (3, 'a'), (3, 'b'), (9, 'd')] {
            agenda.at(due, event);
        }
        agenda.now_ms = 2;
        assert_eq!(agenda.due(), None);
        agenda.now_ms = 5;
        assert_eq!(agenda.due(), Some(vec!['a', 'b']));
        assert_eq!(agenda.due(), Some(vec!['c']));
        assert_eq!(agenda.due(), None);
        assert_eq!(agenda.sleep(), Some(9));
    }

    #[test]
    fn the_waker_is_rung_once_and_only_for_what_is_earlier() {
        let mut agenda = Agenda::new();
        assert_eq!(agenda.sleep(), None);
        agenda.at(10, ());
        assert!(agenda.take_ring() && !agenda.take_ring());
        agenda.sleep();
        agenda.at(11, ());
        assert!(!agenda.take_ring());
        agenda.at(9, ());
        assert!(agenda.take_ring());
    }
}
