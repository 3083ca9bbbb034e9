//! Rates of single senders and phones on one connection. What comes too fast for its sender, or too soon for its phone, is
//! held back until its turn; everything else passes it.
//!
//! Each sender and phone has a theoretical arrival time (the generic cell rate algorithm, ITU-T I.371 annex A): it is moved on
//! by what leaves, and nothing leaves before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use types::{MessageId, Timestamp};

use crate::intent::Intent;
use crate::message::Outgoing;

/// What a connection lets through of one sender, and to one phone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    /// Parts a second of one sender; 0 for any.
    pub(crate) sender_per_second: u32,
    /// The least time between two messages to one phone; 0 for none.
    pub(crate) recipient_every_ms: u32,
}

impl Rates {
    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }
}

/// Whose rate it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Whose {
    Sender(Arc<str>),
    Phone(Arc<str>),
}

/// How much sooner than its time something may leave: timers are not exact, and a rate that waits for them is not reached.
const EARLY_US: i64 = 20_000;
/// Senders and phones that are remembered before those are forgotten whose time has come.
const REMEMBERED: usize = 10_000;

/// What is held back for one sender or phone: the first lane first, in each the oldest first.
type Held = BTreeMap<(usize, u64), Arc<Outgoing>>;

/// What is held back on a connection. Times are microseconds of the Unix clock.
#[derive(Debug, Default)]
pub(super) struct Paced {
    rates: Rates,
    /// When each may send next.
    next: HashMap<Whose, i64>,
    held: HashMap<Whose, Held>,
    /// When to look at each of which something is held.
    due: BTreeSet<(i64, Whose)>,
    serial: u64,
    len: [usize; Intent::ALL.len()],
}

impl Paced {
    pub(super) fn rates(&self) -> Rates {
        self.rates
    }

    /// Goes on by other rates; all that is held is looked at anew.
    pub(super) fn set(&mut self, rates: Rates) {
        if self.rates == rates {
            return;
        }
        self.rates = rates;
        self.next.clear();
        self.due = self.held.keys().map(|whose| (i64::MIN, whose.clone())).collect();
    }

    /// The message, if it may leave now; it is counted then. Held back if not.
    pub(super) fn pass(&mut self, message: Arc<Outgoing>, now: Timestamp) -> Option<Arc<Outgoing>> {
        if !self.rates.is_any() {
            return Some(message);
        }
        let now_us = micros(now);
        let costs = self.costs(&message);
        let latest = costs.iter().map(|(whose, _)| (self.opens_at(whose), whose)).max();
        match latest {
            Some((at, whose)) if at > now_us => {
                self.hold(whose.clone(), at, message);
                None
            }
            _ => {
                for (whose, cost_us) in costs {
                    let next = self.next.entry(whose).or_insert(now_us);
                    *next = (*next).max(now_us).saturating_add(cost_us);
                }
                if self.next.len() > REMEMBERED {
                    self.next.retain(|_, next| *next > now_us);
                }
                Some(message)
            }
        }
    }

    /// Takes up to so many of those whose time has come.
    pub(super) fn take(&mut self, max: usize, now: Timestamp, taken: &mut Vec<Arc<Outgoing>>) {
        let full = taken.len().saturating_add(max);
        while taken.len() < full
            && let Some((at, whose)) = self.due.pop_first()
        {
            if at > micros(now) {
                self.due.insert((at, whose));
                return;
            }
            let Some((_, message)) = self.held.get_mut(&whose).and_then(BTreeMap::pop_first) else {
                continue;
            };
            self.forget_empty(&whose);
            self.len[message.intent.lane()] -= 1;
            taken.extend(self.pass(message, now));
            if self.held.contains_key(&whose) {
                self.due.insert((self.opens_at(&whose), whose));
            }
        }
    }

    /// When the next may leave.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let (at, _) = self.due.first()?;
        Some(Timestamp::from_unix_ms(at.div_euclid(1_000).saturating_add(1)))
    }

    /// How many are held back, by lane.
    pub(super) fn len(&self) -> [usize; Intent::ALL.len()] {
        self.len
    }

    /// Takes what is so, in no order.
    pub(super) fn take_where(&mut self, so: &impl Fn(&Outgoing) -> bool) -> Vec<Arc<Outgoing>> {
        let mut taken = Vec::new();
        self.held.retain(|_, held| {
            taken.extend(held.extract_if(.., |_, message| so(message)).map(|(_, message)| message));
            !held.is_empty()
        });
        for message in &taken {
            self.len[message.intent.lane()] -= 1;
        }
        taken
    }

    /// Takes a message out; false when it is not here.
    pub(super) fn withdraw(&mut self, message: MessageId) -> bool {
        !self.take_where(&|held: &Outgoing| held.id == message).is_empty()
    }

    /// Whose rates a message counts for, and how far it moves them.
    fn costs(&self, message: &Outgoing) -> Vec<(Whose, i64)> {
        let Rates { sender_per_second, recipient_every_ms } = self.rates;
        let mut costs = Vec::with_capacity(2);
        if sender_per_second > 0 && !message.sender.text.is_empty() {
            let part_us = 1_000_000 / i64::from(sender_per_second);
            let whose = Whose::Sender(message.sender.text.as_str().into());
            costs.push((whose, part_us * i64::from(message.parts.max(1))));
        }
        if recipient_every_ms > 0 {
            let whose = Whose::Phone(message.recipient.text.as_str().into());
            costs.push((whose, i64::from(recipient_every_ms) * 1_000));
        }
        costs
    }

    /// From when on something may leave.
    fn opens_at(&self, whose: &Whose) -> i64 {
        self.next.get(whose).map_or(i64::MIN, |next| next - EARLY_US)
    }

    fn hold(&mut self, whose: Whose, at: i64, message: Arc<Outgoing>) {
        self.serial += 1;
        let lane = message.intent.lane();
        self.len[lane] += 1;
        let held = self.held.entry(whose.clone()).or_default();
        if held.is_empty() {
            self.due.insert((at, whose));
        }
        held.insert((lane, self.serial), message);
    }

    fn forget_empty(&mut self, whose: &Whose) {
        if self.held.get(whose).is_some_and(BTreeMap::is_empty) {
            self.held.remove(whose);
        }
    }
}

fn micros(at: Timestamp) -> i64 {
    at.unix_ms().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use types::Address;

    use super::*;

    fn message(id: i64, sender: &str, phone: &str, intent: Intent) -> Arc<Outgoing> {
        let mut message = Arc::into_inner(Outgoing::of_test(id)).unwrap();
        message.sender = Address::sender(sender).unwrap();
        message.recipient = Address::recipient(phone).unwrap();
        message.intent = intent;
        Arc::new(message)
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_000_000 + ms)
    }

    fn paced(sender_per_second: u32, recipient_every_ms: u32) -> Paced {
        let mut paced = Paced::default();
        paced.set(Rates { sender_per_second, recipient_every_ms });
        paced
    }

    /// What leaves until a moment, looking every millisecond.
    fn leaves(paced: &mut Paced, from: i64, until: i64) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        for ms in from..=until {
            let mut taken = Vec::new();
            paced.take(usize::MAX, at(ms), &mut taken);
            all.extend(taken.into_iter().map(|message| (ms, message.id.raw())));
        }
        all
    }

    #[test]
    fn a_sender_gets_its_rate_and_others_pass_it() {
        let mut paced = paced(2, 0);
        let phone = |n: i64| format!("+3361234567{n}");
        let passed: Vec<i64> = (0..4)
            .filter_map(|n| paced.pass(message(n, "ACME", &phone(n), Intent::Transactional), at(0)))
            .map(|message| message.id.raw())
            .collect();
        assert_eq!(passed, [0]);
        assert!(paced.pass(message(9, "Other", &phone(9), Intent::Transactional), at(0)).is_some());
        assert_eq!(paced.len().iter().sum::<usize>(), 3);
        assert_eq!(paced.next_at(), Some(at(481)));
        assert_eq!(leaves(&mut paced, 0, 2_000), [(480, 1), (980, 2), (1_480, 3)]);
        assert_eq!((paced.len().iter().sum::<usize>(), paced.held.len(), paced.due.len()), (0, 0, 0));
    }

    #[test]
    fn a_code_goes_before_what_is_held_back() {
        let mut paced = paced(1, 0);
        for n in 0..3 {
            paced.pass(message(n, "ACME", "+33612345678", Intent::Marketing), at(0));
        }
        paced.pass(message(7, "ACME", "+33612345678", Intent::Otp), at(1));
        assert_eq!(leaves(&mut paced, 1, 3_000).iter().map(|(_, id)| *id).collect::<Vec<_>>(), [7, 1, 2]);
    }

    #[test]
    fn a_phone_and_a_sender_both_count() {
        let mut paced = paced(10, 1_000);
        let one = |n| message(n, "ACME", "+33612345678", Intent::Otp);
        assert!(paced.pass(one(0), at(0)).is_some() && paced.pass(one(1), at(0)).is_none());
        let other = message(2, "ACME", "+33612345679", Intent::Otp);
        assert!(paced.pass(other, at(0)).is_none(), "its sender is too fast");
        assert_eq!(leaves(&mut paced, 0, 2_000), [(80, 2), (980, 1)]);
    }

    #[test]
    fn long_messages_count_their_parts_and_other_rates_count_at_once() {
        let mut paced = paced(1, 0);
        let mut long = Arc::into_inner(message(0, "ACME", "+33612345678", Intent::Otp)).unwrap();
        long.parts = 3;
        assert!(paced.pass(Arc::new(long), at(0)).is_some());
        paced.pass(message(1, "ACME", "+33612345678", Intent::Otp), at(0));
        assert_eq!(paced.next_at(), Some(at(2_981)));
        paced.set(Rates::default());
        assert_eq!(leaves(&mut paced, 5, 5), [(5, 1)]);
    }

    #[test]
    fn what_is_held_back_can_be_taken_out() {
        let mut paced = paced(1, 0);
        for n in 0..3 {
            paced.pass(message(n, "ACME", "+33612345678", Intent::Otp), at(0));
        }
        assert!(paced.withdraw(MessageId::from_raw(1)) && !paced.withdraw(MessageId::from_raw(1)));
        assert_eq!(paced.take_where(&|_: &Outgoing| true).len(), 1);
        assert_eq!(paced.len(), [0; Intent::ALL.len()]);
        assert_eq!(leaves(&mut paced, 0, 3_000), []);
    }
}
