//! What became of every submit: exact, and a few octets each.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

use smpp::Status;
use sms::MessageState;

use super::histogram::Histogram;
use super::report::{Receipts, Second};

/// Submits that one run can account for.
pub(super) const UNITS_MAX: usize = 20_000_000;
/// Receipts that wait for the response that brings their id.
const EARLY_MAX: usize = 1_000_000;
/// Seconds of the timeline.
const TIMELINE_MAX: usize = 24 * 3600;
/// Unknown ids and missing messages that are shown.
const SHOWN_MAX: usize = 20;

/// One submit: a message, or a part of one.
#[derive(Debug, Clone, Copy)]
struct Unit {
    /// When it was sent last, in microseconds since the start.
    sent_us: u64,
    state: UnitState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnitState {
    Open,
    Accepted,
    Receipted,
    Rejected,
    Indeterminate,
    Unsent,
}

/// The hash of an id, taken as it is.
#[derive(Default)]
pub(super) struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type ById<T> = HashMap<u64, T, BuildHasherDefault<Taken>>;

/// The accounts of a run.
#[derive(Debug)]
pub(super) struct Ledger {
    units: Vec<Unit>,
    /// By the hash of the id in its response. 64 bits: with three million ids, chance makes two equal once
    /// in four million runs.
    by_id: ById<u32>,
    /// Receipts whose id no response has brought yet: state and time.
    early: ById<(Option<MessageState>, u64)>,
    /// Latencies of what was sent before are not recorded.
    warm_up_us: u64,
    pub(super) accepted: u64,
    /// Accepted, and sent after the warm-up.
    pub(super) measured: u64,
    pub(super) indeterminate: u64,
    pub(super) unsent: u64,
    pub(super) rejected: BTreeMap<Status, u64>,
    rejections: u64,
    pub(super) throttled: u64,
    pub(super) queue_full: u64,
    pub(super) late_responses: u64,
    pub(super) repeated_ids: u64,
    pub(super) inbound: u64,
    pub(super) receipts: Receipts,
    pub(super) response: Histogram,
    pub(super) receipt: Histogram,
    pub(super) timeline: Vec<Second>,
    /// When the last response or receipt came.
    pub(super) progress_us: u64,
    pub(super) last_response_us: u64,
    pub(super) last_receipt_us: u64,
}

impl Ledger {
    /// Accounts for about so many submits.
    pub(super) fn new(expected: usize, warm_up_us: u64) -> Self {
        let expected = expected.min(4_000_000);
        Self {
            units: Vec::with_capacity(expected),
            by_id: HashMap::with_capacity_and_hasher(expected, BuildHasherDefault::default()),
            early: HashMap::default(),
            warm_up_us,
            accepted: 0,
            measured: 0,
            indeterminate: 0,
            unsent: 0,
            rejected: BTreeMap::new(),
            rejections: 0,
            throttled: 0,
            queue_full: 0,
            late_responses: 0,
            repeated_ids: 0,
            inbound: 0,
            receipts: Receipts::default(),
            response: Histogram::new(),
            receipt: Histogram::new(),
            timeline: Vec::new(),
            progress_us: 0,
            last_response_us: 0,
            last_receipt_us: 0,
        }
    }

    /// Opens the account of a submit; `None` when there is no room for more.
    pub(super) fn open(&mut self) -> Option<u32> {
        let unit = u32::try_from(self.units.len()).ok()?;
        if self.units.len() >= UNITS_MAX {
            return None;
        }
        self.units.push(Unit { sent_us: 0, state: UnitState::Open });
        Some(unit)
    }

    pub(super) fn submits(&self) -> u64 {
        self.units.len() as u64
    }

    /// Submits whose fate is not known yet.
    pub(super) fn unsettled(&self) -> u64 {
        self.submits() - self.accepted - self.rejections - self.indeterminate - self.unsent
    }

    /// Accepted submits without a final receipt.
    pub(super) fn missing(&self) -> u64 {
        self.accepted - self.receipts.delivered - self.receipts.failed
    }

    pub(super) fn sent(&mut self, unit: u32, now_us: u64) {
        if let Some(unit) = self.units.get_mut(unit as usize) {
            unit.sent_us = now_us;
        }
        self.second(now_us, |second| second.submits += 1);
    }

    /// The submit was accepted under this id.
    pub(super) fn accept(&mut self, unit: u32, id: &[u8], now_us: u64) {
        let Some(account) = self.units.get_mut(unit as usize) else { return };
        account.state = UnitState::Accepted;
        let sent_us = account.sent_us;
        self.accepted += 1;
        if sent_us >= self.warm_up_us {
            self.measured += 1;
            self.response.record(now_us.saturating_sub(sent_us));
        }
        (self.progress_us, self.last_response_us) = (now_us, now_us);
        self.second(now_us, |second| second.accepted += 1);
        let id = hash(id);
        if self.by_id.insert(id, unit).is_some() {
            self.repeated_ids += 1;
        }
        if !self.early.is_empty()
            && let Some((state, came_us)) = self.early.remove(&id)
        {
            self.receipts.early += 1;
            self.match_receipt(unit, state, came_us);
        }
    }

    /// The submit was refused for good.
    pub(super) fn reject(&mut self, unit: u32, status: Status, now_us: u64) {
        self.settle(unit, UnitState::Rejected);
        self.rejections += 1;
        // What a peer makes up must not fill our memory.
        let listed = if self.rejected.len() < 100 { status } else { Status::RUNKNOWNERR };
        *self.rejected.entry(listed).or_default() += 1;
        (self.progress_us, self.last_response_us) = (now_us, now_us);
    }

    /// No answer came, and none will: the peer may have the message or not.
    pub(super) fn lose(&mut self, unit: u32) {
        self.settle(unit, UnitState::Indeterminate);
        self.indeterminate += 1;
    }

    /// The run ends before it was sent.
    pub(super) fn give_up(&mut self, unit: u32) {
        self.settle(unit, UnitState::Unsent);
        self.unsent += 1;
    }

    fn settle(&mut self, unit: u32, state: UnitState) {
        if let Some(unit) = self.units.get_mut(unit as usize) {
            unit.state = state;
        }
    }

    /// A receipt came. Its id is looked up as it is written, then in the other base.
    pub(super) fn receipt(&mut self, id: &[u8], state: Option<MessageState>, now_us: u64) {
        (self.progress_us, self.last_receipt_us) = (now_us, now_us);
        self.second(now_us, |second| second.receipts += 1);
        let exact = hash(id);
        let found = self.by_id.get(&exact).copied().or_else(|| {
            let key = sms::id::key(std::str::from_utf8(id).ok()?);
            sms::id::candidates(&key).find_map(|form| self.by_id.get(&hash(form.as_bytes())).copied())
        });
        match found {
            Some(unit) => self.match_receipt(unit, state, now_us),
            None if self.early.len() < EARLY_MAX => {
                let before = self.early.insert(exact, (state, now_us));
                if before.is_some_and(|(state, _)| state.is_some_and(MessageState::is_final)) {
                    self.receipts.duplicate += 1;
                }
                if self.receipts.unknown_ids.len() < SHOWN_MAX {
                    self.receipts.unknown_ids.push(String::from_utf8_lossy(id).into_owned());
                }
            }
            None => self.receipts.unknown += 1,
        }
    }

    fn match_receipt(&mut self, unit: u32, state: Option<MessageState>, now_us: u64) {
        let Some(account) = self.units.get_mut(unit as usize) else { return };
        match state {
            None => self.receipts.unreadable += 1,
            Some(state) if !state.is_final() => self.receipts.intermediate += 1,
            Some(_) if account.state == UnitState::Receipted => self.receipts.duplicate += 1,
            Some(state) => {
                account.state = UnitState::Receipted;
                let sent_us = account.sent_us;
                if sent_us >= self.warm_up_us {
                    self.receipt.record(now_us.saturating_sub(sent_us));
                }
                match state {
                    MessageState::Delivered => self.receipts.delivered += 1,
                    _ => self.receipts.failed += 1,
                }
            }
        }
    }

    /// A receipt without a readable id.
    pub(super) fn unreadable(&mut self) {
        self.receipts.unreadable += 1;
    }

    fn second(&mut self, now_us: u64, count: impl FnOnce(&mut Second)) {
        let index = usize::try_from(now_us / 1_000_000).unwrap_or(usize::MAX).min(TIMELINE_MAX);
        if index >= self.timeline.len() {
            self.timeline.resize(index + 1, Second::default());
        }
        count(&mut self.timeline[index]);
    }

    /// The receipts' accounts, closed.
    pub(super) fn close_receipts(&mut self) -> Receipts {
        let mut receipts = std::mem::take(&mut self.receipts);
        receipts.missing = self.accepted - receipts.delivered - receipts.failed;
        receipts.unknown += self.early.len() as u64;
        if receipts.unknown == 0 {
            receipts.unknown_ids.clear();
        }
        let open = self.units.iter().enumerate().filter(|(_, unit)| unit.state == UnitState::Accepted);
        receipts.missing_submits = open.map(|(unit, _)| unit as u64).take(SHOWN_MAX).collect();
        receipts
    }
}

/// The hash of an id without regard to case and zeros in front, which receipts often have otherwise than
/// the response.
fn hash(id: &[u8]) -> u64 {
    let key = std::str::from_utf8(id).map(sms::id::key);
    let mut hasher = DefaultHasher::new();
    hasher.write(key.as_deref().map_or(id, str::as_bytes));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERED: Option<MessageState> = Some(MessageState::Delivered);

    fn with_units(count: u32) -> Ledger {
        let mut ledger = Ledger::new(10, 0);
        (0..count).for_each(|unit| assert_eq!(ledger.open(), Some(unit)));
        ledger
    }

    #[test]
    fn each_submit_has_one_fate() {
        let mut ledger = with_units(5);
        ledger.accept(0, b"a", 10);
        ledger.accept(1, b"b", 20);
        ledger.reject(2, Status::RINVDSTADR, 30);
        ledger.lose(3);
        assert_eq!(ledger.unsettled(), 1);
        ledger.give_up(4);
        assert_eq!((ledger.unsettled(), ledger.missing()), (0, 2));
        ledger.receipt(b"a", DELIVERED, 40);
        ledger.receipt(b"a", DELIVERED, 41);
        ledger.receipt(b"b", Some(MessageState::Enroute), 42);
        ledger.receipt(b"z", DELIVERED, 43);
        let receipts = ledger.close_receipts();
        assert_eq!((receipts.delivered, receipts.duplicate, receipts.intermediate), (1, 1, 1));
        assert_eq!((receipts.missing, receipts.missing_submits), (1, vec![1]));
        assert_eq!((receipts.unknown, receipts.unknown_ids), (1, vec!["z".to_owned()]));
    }

    #[test]
    fn a_receipt_before_its_response_is_matched_and_timed() {
        let mut ledger = with_units(1);
        ledger.sent(0, 100);
        ledger.receipt(b"x", DELIVERED, 150);
        ledger.accept(0, b"x", 300);
        let receipts = ledger.close_receipts();
        assert_eq!((receipts.delivered, receipts.early, receipts.unknown), (1, 1, 0));
        assert!(receipts.unknown_ids.is_empty());
        assert_eq!(ledger.receipt.latency().max_ms, 0.05);
    }

    #[test]
    fn ids_match_across_their_forms() {
        let mut ledger = with_units(2);
        ledger.accept(0, b"00FF", 0);
        ledger.accept(1, b"1234", 0);
        ledger.receipt(b"255", DELIVERED, 0);
        ledger.receipt(b"0000001234", DELIVERED, 0);
        assert_eq!(ledger.close_receipts().delivered, 2);
    }

    #[test]
    fn the_warm_up_is_not_measured() {
        let mut ledger = Ledger::new(10, 1_000);
        for (unit, sent) in [(0, 999), (1, 1_000)] {
            ledger.open();
            ledger.sent(unit, sent);
            ledger.accept(unit, &[unit as u8], sent + 10);
        }
        assert_eq!((ledger.accepted, ledger.measured, ledger.response.latency().count), (2, 1, 1));
    }
}
