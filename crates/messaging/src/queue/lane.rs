//! A lane: what waits for one connection and is for the same purpose, fair between the accounts that sent it.
//!
//! Deficit round robin (M. Shreedhar and G. Varghese, 1996): each account in its turn may send so many parts, and what a long
//! message takes beyond that is taken off its next turn. One account alone has every turn.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use types::{AccountId, MessageId};

use crate::message::Outgoing;

/// Parts that an account may send in one turn.
const TURN_PARTS: i64 = 10;

/// What waits in a lane.
#[derive(Debug, Default)]
pub(super) struct Lane {
    lines: HashMap<i64, Line>,
    /// The accounts of which something waits, in the order of their turns.
    turns: VecDeque<i64>,
    len: usize,
}

#[derive(Debug, Default)]
struct Line {
    messages: VecDeque<Arc<Outgoing>>,
    /// Parts that it may still send in its turn; below zero, what it has sent too much.
    credit: i64,
}

fn owner(message: &Outgoing) -> i64 {
    message.account.map_or(0, AccountId::raw)
}

impl Lane {
    /// Puts a message behind its account's others, or before them.
    pub(super) fn put(&mut self, message: Arc<Outgoing>, first: bool) {
        let owner = owner(&message);
        let line = self.lines.entry(owner).or_default();
        match (line.messages.is_empty(), first) {
            (true, true) => self.turns.push_front(owner),
            (true, false) => self.turns.push_back(owner),
            (false, _) => {}
        }
        if first {
            line.messages.push_front(message);
        } else {
            line.messages.push_back(message);
        }
        self.len += 1;
    }

    /// Takes up to so many, each account in its turn.
    pub(super) fn take(&mut self, max: usize, taken: &mut Vec<Arc<Outgoing>>) {
        let until = taken.len() + max.min(self.len);
        while taken.len() < until {
            let Some(owner) = self.turns.pop_front() else { return };
            let Some(line) = self.lines.get_mut(&owner) else { continue };
            let alone = self.turns.is_empty();
            if line.credit <= 0 {
                line.credit += TURN_PARTS;
            }
            while (alone || line.credit > 0) && taken.len() < until {
                let Some(message) = line.messages.pop_front() else { break };
                // Nobody waits for what one takes who is alone.
                line.credit -= if alone { 0 } else { i64::from(message.parts.max(1)) };
                self.len -= 1;
                taken.push(message);
            }
            if line.messages.is_empty() {
                self.lines.remove(&owner);
            } else if line.credit > 0 {
                // Its turn was cut short by what may leave now, and goes on.
                self.turns.push_front(owner);
            } else {
                self.turns.push_back(owner);
            }
        }
    }

    /// Takes what is so, in its order.
    pub(super) fn take_where(&mut self, so: &impl Fn(&Outgoing) -> bool) -> Vec<Arc<Outgoing>> {
        let mut taken = Vec::new();
        for owner in &self.turns {
            let Some(line) = self.lines.get_mut(owner) else { continue };
            let (these, others): (VecDeque<_>, VecDeque<_>) =
                line.messages.drain(..).partition(|message| so(message));
            line.messages = others;
            taken.extend(these);
        }
        self.len -= taken.len();
        self.forget_empty();
        taken
    }

    /// Takes a message out; false when it is not here.
    pub(super) fn withdraw(&mut self, message: MessageId) -> bool {
        let found = self.lines.values_mut().any(|line| {
            let at = line.messages.iter().position(|waiting| waiting.id == message);
            at.and_then(|at| line.messages.remove(at)).is_some()
        });
        if found {
            self.len -= 1;
            self.forget_empty();
        }
        found
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn forget_empty(&mut self) {
        self.lines.retain(|_, line| !line.messages.is_empty());
        self.turns.retain(|owner| self.lines.contains_key(owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: i64, account: i64, parts: u8) -> Arc<Outgoing> {
        let mut message = Arc::into_inner(Outgoing::of_test(id)).unwrap();
        (message.account, message.parts) = (Some(AccountId::from_raw(account)), parts);
        Arc::new(message)
    }

    fn taken(lane: &mut Lane, max: usize) -> Vec<i64> {
        let mut taken = Vec::new();
        lane.take(max, &mut taken);
        taken.iter().map(|message| message.id.raw()).collect()
    }

    #[test]
    fn a_flood_of_one_account_leaves_the_others_their_turns() {
        let mut lane = Lane::default();
        (0..100_000).for_each(|id| lane.put(message(id, 1, 1), false));
        (0..20).for_each(|id| lane.put(message(1_000_000 + id, 2, 1), false));
        let first = taken(&mut lane, 40);
        assert_eq!(
            first.iter().filter(|id| **id >= 1_000_000).count(),
            20,
            "half of what leaves is the other's"
        );
        assert!(first.iter().filter(|id| **id >= 1_000_000).is_sorted(), "in its order");
        assert_eq!(taken(&mut lane, 3), [20, 21, 22]);
        assert_eq!(lane.len(), 100_000 + 20 - 43);
    }

    #[test]
    fn long_messages_count_their_parts() {
        let mut lane = Lane::default();
        (0..100).for_each(|id| lane.put(message(id, 1, 20), false));
        (100..400).for_each(|id| lane.put(message(id, 2, 1), false));
        let parts = |ids: &[i64], of_first: bool| -> i64 {
            ids.iter().filter(|id| (**id < 100) == of_first).map(|id| if *id < 100 { 20 } else { 1 }).sum()
        };
        let first = taken(&mut lane, 210);
        let (long, short) = (parts(&first, true), parts(&first, false));
        assert!((long - short).abs() <= 30, "{long} parts of long messages, {short} of short ones");
    }

    #[test]
    fn one_alone_keeps_its_order_and_what_comes_back_is_first() {
        let mut lane = Lane::default();
        (1..=30).for_each(|id| lane.put(message(id, 1, 1), false));
        assert_eq!(taken(&mut lane, 15), (1..=15).collect::<Vec<_>>());
        lane.put(message(15, 1, 1), true);
        assert_eq!(taken(&mut lane, 2), [15, 16]);
        assert!(lane.withdraw(MessageId::from_raw(18)) && !lane.withdraw(MessageId::from_raw(18)));
        assert_eq!(lane.take_where(&|message| message.id.raw() % 2 == 0).len(), 6);
        assert_eq!(taken(&mut lane, 100), [17, 19, 21, 23, 25, 27, 29]);
        assert_eq!(lane.len(), 0);
    }
}
