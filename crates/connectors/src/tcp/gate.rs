//! The gate: how many PDUs may leave now, and on which bind.
//!
//! All that limits a connection meets here under one lock: the windows of its binds, the rate, the peer's wishes, and
//! whether it is open at all. What the PDUs carry is none of its business.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::pace::Pace;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::meter::Meter;
use super::throttle::Throttle;
use crate::Counters;

/// Shortest time in which the rate may be used up at once: a carrier that counts per second sees at most a twentieth more.
const BURSTS_PER_SECOND: u32 = 20;

/// The connection is draining or stopped and gives no more places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is draining or stopped")
    }
}

impl std::error::Error for Stopped {}

/// Leave to hand over so many PDUs: room in the windows that nobody else can take. Dropping returns what was not used.
#[derive(Debug)]
pub struct Places {
    n: usize,
    gate: Arc<Gate>,
}

impl Places {
    /// How many are left.
    pub fn len(&self) -> usize {
        self.n
    }

    /// True where all are used.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Uses one place of this gate for a PDU on the bind with the most room. `None` where no place or no bind is left.
    pub(crate) fn take(&mut self, gate: &Arc<Gate>) -> Option<Turn> {
        if self.n == 0 || !Arc::ptr_eq(gate, &self.gate) {
            return None;
        }
        self.n -= 1;
        gate.state().take(gate.now_ms())
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if self.n > 0 {
            self.gate.state().give_back(self.n);
            self.gate.freed.notify_waiters();
        }
    }
}

/// The right to write one PDU on this bind, as long as it is the same session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) bind: usize,
    pub(crate) epoch: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    /// Rung when there may be more room than before, or when the gate closes.
    freed: Notify,
    /// Where the connection's own clock began. It does not go back when somebody sets the system's.
    started: Instant,
}

impl Gate {
    /// A gate for these binds, all of them closed; for each, whether it is on standby.
    pub(crate) fn new(standby: &[bool], throughput: u32, throttle: Throttle) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(standby, throughput, throttle)),
            freed: Notify::new(),
            started: Instant::now(),
        })
    }

    /// Milliseconds since the connection was started.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_us() / 1000
    }

    /// Microseconds since the connection was started.
    pub(crate) fn now_us(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets those who wait for places look again.
    pub(crate) fn ring(&self) {
        self.freed.notify_waiters();
    }

    /// Takes up to `max` of the places that there are now, if there are any.
    pub(crate) fn places_now(self: &Arc<Self>, max: usize) -> Option<Places> {
        match self.state().grant(max, self.now_ms()) {
            Grant::Now(n) => Some(Places { n, gate: Arc::clone(self) }),
            Grant::In(_) | Grant::WhenFreed | Grant::Never => None,
        }
    }

    /// Waits for at least one place and takes up to `max`.
    pub(crate) async fn places(self: &Arc<Self>, max: usize) -> Result<Places, Stopped> {
        loop {
            // Created before the look, so that what is freed in between is not missed.
            let freed = self.freed.notified();
            let grant = self.state().grant(max, self.now_ms());
            match grant {
                Grant::Now(n) => return Ok(Places { n, gate: Arc::clone(self) }),
                Grant::In(ms) => {
                    let _ = tokio::time::timeout(Duration::from_millis(ms), freed).await;
                }
                Grant::WhenFreed => freed.await,
                Grant::Never => return Err(Stopped),
            }
        }
    }
}

/// The answer to a wish for places.
#[derive(Debug, PartialEq, Eq)]
enum Grant {
    Now(usize),
    /// After so many milliseconds, or when something is freed.
    In(u64),
    WhenFreed,
    Never,
}

/// The room of one bind.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// Counts sessions, so that a turn of the last one is not used on this one.
    epoch: u64,
    /// Unanswered requests that are allowed; 0 while it is not bound for sending.
    limit: usize,
    used: usize,
    /// Requests sent, over all sessions.
    submitted: u64,
    /// More waits to be written than should.
    clogged: bool,
    /// Used only while no other has a limit.
    standby: bool,
}

impl Room {
    fn free(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }
}

#[derive(Debug)]
pub(crate) struct State {
    binds: Vec<Room>,
    /// Places given and not yet used.
    reserved: usize,
    closed: bool,
    /// Parts per second that the operator allows; 0 for any.
    throughput: u32,
    /// Keeps the lower of `throughput` and what the peer was found to take.
    pace: Option<(u32, Pace)>,
    /// Places that were paid for at `pace` and given back, at most one burst.
    paid: usize,
    pub(crate) throttle: Throttle,
    meter: Meter<500>,
    pub(crate) counters: Counters,
}

impl State {
    fn new(standby: &[bool], throughput: u32, throttle: Throttle) -> Self {
        let room = |standby: &bool| Room { standby: *standby, ..Room::default() };
        Self {
            binds: standby.iter().map(room).collect(),
            reserved: 0,
            closed: false,
            throughput,
            pace: None,
            paid: 0,
            throttle,
            meter: Meter::default(),
            counters: Counters::default(),
        }
    }

    fn grant(&mut self, max: usize, now_ms: i64) -> Grant {
        if self.closed {
            return Grant::Never;
        }
        let pause_ms = self.throttle.pause_ms(now_ms);
        if pause_ms > 0 {
            return Grant::In(pause_ms);
        }
        let regular = self.has_regular();
        let open = self.binds.iter().filter(|room| !(room.clogged || regular && room.standby));
        let free: usize = open.map(|room| self.throttle.window(room.limit).saturating_sub(room.used)).sum();
        let wanted = free.saturating_sub(self.reserved).min(max.max(1));
        if wanted == 0 {
            return Grant::WhenFreed;
        }
        match self.pay(wanted, now_ms) {
            Ok(n) => {
                self.reserved += n;
                Grant::Now(n)
            }
            Err(ms) => Grant::In(ms),
        }
    }

    /// As many of the wanted places as the rate allows, or the milliseconds until it allows one.
    fn pay(&mut self, wanted: usize, now_ms: i64) -> Result<usize, u64> {
        self.set_pace(now_ms);
        let Some((_, pace)) = &mut self.pace else { return Ok(wanted) };
        let mut n = wanted.min(self.paid);
        self.paid -= n;
        while n < wanted {
            match pace.take(now_ms, 1) {
                Ok(()) => n += 1,
                Err(ms) if n == 0 => return Err(ms),
                Err(_) => break,
            }
        }
        Ok(n)
    }

    /// Follows the peer's ceiling.
    fn set_pace(&mut self, now_ms: i64) {
        let limits = [Some(self.throughput).filter(|limit| *limit > 0), self.throttle.ceiling(now_ms)];
        match (limits.into_iter().flatten().min(), &mut self.pace) {
            (None, pace) => *pace = None,
            (Some(rate), None) => self.pace = Some((rate, Pace::new(rate, burst(rate)))),
            (Some(rate), Some((now, pace))) if rate != *now => {
                *now = rate;
                pace.set(now_ms, rate, burst(rate));
            }
            _ => {}
        }
    }

    /// Whether a bind that is not on standby may send.
    fn has_regular(&self) -> bool {
        self.binds.iter().any(|room| !room.standby && room.limit > 0)
    }

    fn take(&mut self, now_ms: i64) -> Option<Turn> {
        self.reserved = self.reserved.saturating_sub(1);
        if self.closed {
            return None;
        }
        let regular = self.has_regular();
        // The most room wins, which also takes equal binds in turn; a clogged one only where all others are full.
        let (bind, room) = self
            .binds
            .iter_mut()
            .enumerate()
            .filter(|(_, room)| room.free() > 0 && !(regular && room.standby))
            .max_by_key(|(_, room)| (!room.clogged, room.free()))?;
        room.used += 1;
        room.submitted += 1;
        self.meter.add(1, now_ms);
        self.counters.submitted += 1;
        Some(Turn { bind, epoch: room.epoch })
    }

    fn give_back(&mut self, n: usize) {
        self.reserved = self.reserved.saturating_sub(n);
        let burst_max = self.pace.as_ref().map_or(0, |(rate, _)| burst(*rate));
        self.paid = (self.paid + n).min(burst_max as usize);
    }

    /// A session may send from now on, with a window of `limit`. Gives its epoch.
    pub(crate) fn open(&mut self, bind: usize, limit: usize) -> u64 {
        let Room { epoch, submitted, standby, .. } = self.binds[bind];
        self.binds[bind] = Room { epoch: epoch + 1, limit, used: 0, submitted, clogged: false, standby };
        epoch + 1
    }

    /// Room for more binds, all of them closed; for each, whether it is on standby.
    pub(super) fn make_binds(&mut self, standby: impl Iterator<Item = bool>) {
        self.binds.extend(standby.map(|standby| Room { standby, ..Room::default() }));
    }

    /// Other limits from now on, for the sessions that may send too.
    pub(super) fn set_limits(&mut self, window: usize, throughput: u32) {
        self.binds.iter_mut().filter(|room| room.limit > 0).for_each(|room| room.limit = window);
        self.throughput = throughput;
    }

    /// Requests sent on a bind, over all its sessions, and how many sessions it had.
    pub(super) fn history(&self, bind: usize) -> (u64, u64) {
        (self.binds[bind].submitted, self.binds[bind].epoch)
    }

    /// It may have so many open requests from now on, those that are open included.
    pub(crate) fn widen(&mut self, bind: usize, limit: usize) {
        self.binds[bind].limit = limit;
    }

    /// The session sends no new requests; those that are open stay.
    pub(crate) fn retire(&mut self, bind: usize) {
        self.binds[bind].limit = 0;
    }

    /// The session is over, and with it all its open requests.
    pub(crate) fn close(&mut self, bind: usize) {
        let Room { epoch, submitted, standby, .. } = self.binds[bind];
        self.binds[bind] = Room { epoch, submitted, standby, ..Room::default() };
    }

    /// A request of this turn is open no longer.
    pub(crate) fn release(&mut self, turn: Turn) {
        let room = &mut self.binds[turn.bind];
        if room.epoch == turn.epoch {
            room.used = room.used.saturating_sub(1);
        }
    }

    /// A request of this turn came to an end that is counted.
    pub(crate) fn settle(&mut self, turn: Turn, count: impl FnOnce(&mut Counters)) {
        self.release(turn);
        count(&mut self.counters);
    }

    /// The turn was not used: nothing was written.
    pub(crate) fn undo(&mut self, turn: Turn) {
        self.release(turn);
        self.counters.submitted = self.counters.submitted.saturating_sub(1);
    }

    /// The turn was used for something that is no message, and is not counted as one.
    pub(crate) fn uncount(&mut self, turn: Turn) {
        let room = &mut self.binds[turn.bind];
        room.submitted = room.submitted.saturating_sub(1);
        self.counters.submitted = self.counters.submitted.saturating_sub(1);
    }

    /// Whether too much waits to be written on the bind of this turn.
    pub(crate) fn is_clogged(&self, turn: Turn) -> bool {
        let room = self.binds[turn.bind];
        room.epoch == turn.epoch && room.clogged
    }

    /// Too much waits to be written on this bind, or no longer so.
    pub(crate) fn clog(&mut self, turn: Turn, clogged: bool) {
        let room = &mut self.binds[turn.bind];
        if room.epoch == turn.epoch {
            room.clogged = clogged;
        }
    }

    /// No more places, for good.
    pub(crate) fn shut(&mut self) {
        self.closed = true;
    }

    /// Open requests of a bind, and how many it may have now.
    pub(crate) fn window(&self, bind: usize) -> (usize, usize) {
        let room = self.binds[bind];
        (room.used, self.throttle.window(room.limit))
    }

    /// Parts handed over per second, lately.
    pub(crate) fn per_second(&self, now_ms: i64) -> f64 {
        self.meter.per_second(now_ms)
    }
}

/// Parts that may leave at once at this rate.
fn burst(rate: u32) -> u32 {
    rate.div_ceil(BURSTS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limits: &[usize], throughput: u32) -> State {
        let standby = vec![false; limits.len()];
        let mut state = State::new(&standby, throughput, Throttle::new(1_000, 30_000));
        for (bind, limit) in limits.iter().enumerate() {
            state.open(bind, *limit);
        }
        state
    }

    #[test]
    fn gives_no_more_places_than_the_windows_have() {
        let mut gate = gate(&[3, 2], 0);
        assert_eq!(gate.grant(4, 0), Grant::Now(4));
        assert_eq!(gate.grant(4, 0), Grant::Now(1));
        assert_eq!(gate.grant(4, 0), Grant::WhenFreed);
        gate.give_back(2);
        assert_eq!(gate.grant(4, 0), Grant::Now(2));
        let turns: Vec<usize> = (0..5).map(|_| gate.take(0).unwrap().bind).collect();
        assert_eq!(turns.iter().filter(|bind| **bind == 0).count(), 3);
        assert_eq!(gate.take(0), None, "a place too many finds no room");
        gate.release(Turn { bind: 1, epoch: 1 });
        assert_eq!(gate.grant(4, 0), Grant::Now(1));
        assert_eq!(gate.take(0).unwrap().bind, 1);
    }

    #[test]
    fn a_bind_on_standby_is_used_while_no_other_can_send() {
        let mut gate = State::new(&[false, true], 0, Throttle::new(1_000, 30_000));
        gate.open(0, 2);
        gate.open(1, 5);
        assert_eq!(gate.grant(9, 0), Grant::Now(2), "the other's room does not count");
        assert_eq!([(); 2].map(|()| gate.take(0).unwrap().bind), [0, 0]);
        assert_eq!(gate.grant(9, 0), Grant::WhenFreed);
        gate.close(0);
        assert_eq!(gate.grant(9, 0), Grant::Now(5));
        assert_eq!(gate.take(0).unwrap().bind, 1);
        gate.open(0, 2);
        assert_eq!(gate.take(0).unwrap().bind, 0, "it is back");
    }

    #[test]
    fn equal_binds_take_turns() {
        let mut gate = gate(&[10, 10, 10], 0);
        assert_eq!(gate.grant(30, 0), Grant::Now(30));
        let mut counts = [0; 3];
        for turn in 1..=30 {
            counts[gate.take(0).unwrap().bind] += 1;
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "after {turn}");
        }
    }

    #[test]
    fn a_lost_bind_takes_its_turns_with_it_and_the_next_session_is_whole() {
        let mut gate = gate(&[2], 0);
        gate.grant(2, 0);
        let old = gate.take(0).unwrap();
        gate.close(0);
        assert_eq!(gate.take(0), None);
        gate.open(0, 2);
        gate.release(old);
        assert_eq!(gate.window(0), (0, 2));
        assert_eq!(gate.grant(9, 0), Grant::Now(2));
    }

    #[test]
    fn the_rate_holds_and_places_given_back_are_not_paid_twice() {
        let mut gate = gate(&[1_000], 100);
        assert_eq!(gate.grant(500, 0), Grant::Now(5));
        assert_eq!(gate.grant(500, 0), Grant::In(10));
        gate.give_back(5);
        assert_eq!(gate.grant(3, 0), Grant::Now(3));
        assert_eq!(gate.grant(3, 0), Grant::Now(2));
        let mut given = 0;
        for now in 1..=10_000 {
            if let Grant::Now(n) = gate.grant(500, now) {
                given += n;
                for _ in 0..n {
                    let turn = gate.take(now).unwrap();
                    gate.release(turn);
                }
            }
        }
        assert_eq!(given, 1_000);
    }

    #[test]
    fn pause_clog_and_end_are_kept() {
        let mut gate = gate(&[2, 2], 0);
        gate.throttle.queue_full(0, 0, 1.0);
        assert_eq!(gate.grant(1, 400), Grant::In(3_600));
        gate.clog(Turn { bind: 0, epoch: 1 }, true);
        assert_eq!(gate.grant(9, 4_000), Grant::Now(2));
        assert_eq!(gate.take(1_000).unwrap().bind, 1);
        gate.retire(1);
        assert_eq!(gate.window(1), (1, 0));
        gate.shut();
        assert_eq!(gate.grant(9, 1_000), Grant::Never);
        assert_eq!(gate.take(1_000), None);
    }

    /// What part of a peer's rate gets through when we send as fast as we may and the peer throttles: over a minute, after
    /// ten seconds to learn.
    fn goodput(per_second: u32, burst: u32, window: usize, round_trip_ms: i64) -> f64 {
        let mut gate = State::new(&[false], 0, Throttle::new(1_000, 30_000));
        gate.open(0, window);
        let mut peer = Pace::new(per_second, burst);
        let mut under_way = std::collections::VecDeque::new();
        let mut accepted = 0_u32;
        let mut random = 7_u32;
        for now in 0..70_000_i64 {
            while under_way.front().is_some_and(|(_, _, at)| *at <= now) {
                let (turn, sent, _) = under_way.pop_front().unwrap();
                gate.release(turn);
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if peer.take(now, 1).is_ok() {
                    accepted += u32::from(now >= 10_000);
                    gate.throttle.accepted(sent, now);
                } else {
                    gate.throttle.too_fast(sent, now, f64::from(random) / f64::from(u32::MAX));
                }
            }
            while let Grant::Now(n) = gate.grant(500, now) {
                for _ in 0..n {
                    under_way.push_back((gate.take(now).unwrap(), now, now + round_trip_ms));
                }
            }
        }
        f64::from(accepted) / (f64::from(per_second) * 60.0)
    }

    #[test]
    fn a_throttling_peer_gets_nearly_all_it_would_take() {
        for (rate, burst, window, round_trip_ms, least) in [
            (100, 100, 10, 20, 0.95),
            (100, 10, 10, 20, 0.9),
            (100, 5, 50, 20, 0.9),
            (1_000, 1_000, 100, 5, 0.95),
            (1_000, 100, 100, 5, 0.9),
            (5_000, 500, 500, 30, 0.9),
            // Whole parts per second are coarse where there are few.
            (20, 1, 100, 50, 0.8),
        ] {
            let part = goodput(rate, burst, window, round_trip_ms);
            assert!(part >= least, "{rate} {burst} {window} {round_trip_ms}: {part:.3}");
        }
    }
}
