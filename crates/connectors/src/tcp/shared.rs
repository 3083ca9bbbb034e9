//! What the tasks of one connection and its owner have in common.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::Clock;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use types::Timestamp;

use super::gate::Gate;
use super::lane::Lane;
use super::throttle::Throttle;
use super::wire::Wire;
use super::{Host, Settings};
use crate::{BindKind, BindStatus, State, Status};

/// Whether the connection is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Nothing new leaves; the binds stay.
    Draining,
    /// Unbind when nothing is open, at this time at the latest.
    Stopping {
        by: Instant,
    },
}

/// See the module.
pub(super) struct Shared<T, W: Wire> {
    pub(super) settings: Settings<W::Login>,
    /// What writes messages; made once.
    pub(super) writer: W::Writer,
    pub(super) clock: Clock,
    pub(super) gate: Arc<Gate>,
    /// One for each session that is kept.
    pub(super) lanes: Vec<Lane<T, W>>,
    board: Mutex<Vec<Entry>>,
    /// How many binds that are not on standby can send now, or receive where the connection never sends.
    pub(super) regulars: watch::Sender<usize>,
    pub(super) phase: watch::Sender<Phase>,
    /// Counts the tasks of the binds.
    pub(super) tracker: TaskTracker,
}

/// What the status says about one session beside its counts.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: BindKind,
    /// Whether it is used only while no other bind can send.
    pub(super) standby: bool,
    /// Its place among the binds of its rank; both halves of a pair have the same.
    pub(super) nth: usize,
    /// The place of the host that it is, or is to be, bound to, among those of its rank.
    pub(super) at: usize,
    pub(super) state: State,
    pub(super) peer: Option<SocketAddr>,
    pub(super) peer_system_id: Option<String>,
    pub(super) since: Timestamp,
    pub(super) last_error: Option<String>,
}

impl<T, W: Wire> Shared<T, W> {
    pub(super) fn new(settings: Settings<W::Login>, clock: Clock) -> Self {
        let settings = usable::<W>(settings);
        let since = clock.now();
        let mut board: Vec<Entry> = Vec::new();
        for standby in [false, true] {
            let hosts = if standby { settings.reach.standby.len() } else { settings.reach.hosts.len() + 1 };
            for nth in (0..usize::from(settings.binds)).filter(|_| hosts > 0) {
                board.extend(settings.bind.sessions().iter().map(|kind| Entry {
                    kind: *kind,
                    standby,
                    nth,
                    at: nth % hosts,
                    state: if standby && !settings.reach.warm { State::Down } else { State::Binding },
                    peer: None,
                    peer_system_id: None,
                    since,
                    last_error: None,
                }));
            }
        }
        let standby: Vec<bool> = board.iter().map(|entry| entry.standby).collect();
        let throttle = Throttle::new(settings.throttle_min_ms, settings.throttle_max_ms);
        let tracker = TaskTracker::new();
        tracker.close();
        Self {
            gate: Gate::new(&standby, settings.throughput, throttle),
            lanes: board.iter().map(|_| Lane::new()).collect(),
            board: Mutex::new(board),
            regulars: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Running),
            writer: W::writer(&settings, &clock),
            settings,
            clock,
            tracker,
        }
    }

    /// The hosts of a rank.
    pub(super) fn hosts(&self, standby: bool) -> Vec<&Host> {
        let settings = &self.settings;
        if standby {
            settings.reach.standby.iter().collect()
        } else {
            std::iter::once(&settings.host).chain(&settings.reach.hosts).collect()
        }
    }

    /// What stands about one bind.
    pub(super) fn entry(&self, bind: usize) -> Entry {
        self.board()[bind].clone()
    }

    /// What stands about all of them.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.board().clone()
    }

    /// Whether a bind counts among [`regulars`](Self::regulars) while it is there.
    pub(super) fn is_regular(&self, entry: &Entry) -> bool {
        let sends = self.settings.bind != BindKind::Receiver;
        !entry.standby && entry.kind.submits() == sends
    }

    fn board(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kinds of the sessions that are kept, by their place.
    pub(super) fn kinds(&self) -> Vec<BindKind> {
        self.board().iter().map(|entry| entry.kind).collect()
    }

    /// Writes what a session has come to.
    pub(super) fn note(&self, bind: usize, state: State, change: impl FnOnce(&mut Entry)) {
        let since = self.clock.now();
        if let Some(entry) = self.board().get_mut(bind) {
            change(entry);
            entry.state = state;
            entry.since = since;
        }
    }

    /// No new requests from now on.
    pub(super) fn drain(&self) {
        self.gate.state().shut();
        self.gate.ring();
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Draining;
            }
            running
        });
    }

    /// Unbind when nothing is open, and at this time at the latest.
    pub(super) fn stop_by(&self, by: Instant) {
        self.drain();
        self.phase.send_modify(|phase| {
            let by = if let Phase::Stopping { by: earlier } = *phase { by.min(earlier) } else { by };
            *phase = Phase::Stopping { by };
        });
    }

    /// The time of a stop that nobody gave a time for: long enough for every open answer to come or be missing.
    pub(super) fn unhurried(&self) -> Instant {
        later(Instant::now(), self.settings.response_timeout_ms.saturating_mul(2))
    }

    pub(super) fn status(&self) -> Status {
        let entries = self.entries();
        let phase = *self.phase.borrow();
        let now_ms = self.gate.now_ms();
        let mut gate = self.gate.state();
        let pause_ms = gate.throttle.pause_ms(now_ms);
        let state = overall(phase, pause_ms, &entries);
        let binds = entries.into_iter().enumerate().map(|(bind, entry)| {
            let (window_used, window_limit) = gate.window(bind);
            let draining = entry.state == State::Bound && phase != Phase::Running;
            BindStatus {
                kind: entry.kind,
                state: if draining { State::Draining } else { entry.state },
                host: self.hosts(entry.standby).get(entry.at).map_or_else(String::new, ToString::to_string),
                standby: entry.standby,
                peer: entry.peer,
                peer_system_id: entry.peer_system_id,
                since: entry.since,
                window_used,
                window_limit,
                last_error: entry.last_error,
                last_round_trip_us: self.lanes[bind].round_trip_us(),
            }
        });
        Status {
            state,
            pause_ms,
            binds: binds.collect(),
            counters: gate.counters,
            learned_per_second: gate.throttle.ceiling(now_ms),
            parts_per_second: gate.per_second(now_ms),
        }
    }
}

/// The connection's state from those of its sessions: it is bound when it can submit, or, where it never submits, when
/// it can receive.
fn overall(phase: Phase, pause_ms: u64, entries: &[Entry]) -> State {
    let submits = entries.iter().any(|entry| entry.kind.submits());
    let all = |state| entries.iter().all(|entry| entry.state == state);
    let any = |state| entries.iter().any(|entry| entry.state == state && entry.kind.submits() == submits);
    if all(State::Stopped) {
        State::Stopped
    } else if phase != Phase::Running {
        State::Draining
    } else if any(State::Bound) {
        if pause_ms > 0 { State::Throttled } else { State::Bound }
    } else if any(State::Binding) {
        State::Binding
    } else {
        State::Down
    }
}

/// So many milliseconds later, or a day where that cannot be told.
pub(super) fn later(now: Instant, ms: u64) -> Instant {
    let day = Duration::from_secs(86_400);
    now.checked_add(Duration::from_millis(ms)).unwrap_or(now + day)
}

/// No protocol has PDUs whose limit could be lower.
const PDU_BYTES_MIN: usize = 16;

/// Zero counts as one where zero would mean nothing at all.
fn usable<W: Wire>(mut settings: Settings<W::Login>) -> Settings<W::Login> {
    settings.binds = settings.binds.max(1);
    settings.window = settings.window.clamp(1, W::WINDOW_MAX);
    settings.enquire_link_ms = settings.enquire_link_ms.max(1);
    settings.response_timeout_ms = settings.response_timeout_ms.max(1);
    settings.connect_timeout_ms = settings.connect_timeout_ms.max(1);
    settings.pdu_bytes_max = settings.pdu_bytes_max.max(PDU_BYTES_MIN);
    settings.write_queue_bytes_max = settings.write_queue_bytes_max.max(1);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(states: &[(BindKind, State)]) -> Vec<Entry> {
        let entry = |(kind, state): &(BindKind, State)| Entry {
            kind: *kind,
            standby: false,
            nth: 0,
            at: 0,
            state: *state,
            peer: None,
            peer_system_id: None,
            since: Timestamp::default(),
            last_error: None,
        };
        states.iter().map(entry).collect()
    }

    #[test]
    fn a_connection_is_as_good_as_its_best_bind_that_can_submit() {
        use BindKind::{Receiver, Transceiver, Transmitter};
        for (phase, pause, states, expected) in [
            (Phase::Running, 0, vec![(Transceiver, State::Down), (Transceiver, State::Bound)], State::Bound),
            (Phase::Running, 5, vec![(Transceiver, State::Bound)], State::Throttled),
            (Phase::Running, 0, vec![(Transmitter, State::Down), (Receiver, State::Bound)], State::Down),
            (Phase::Running, 0, vec![(Receiver, State::Bound)], State::Bound),
            (Phase::Running, 5, vec![(Transmitter, State::Binding), (Receiver, State::Down)], State::Binding),
            (Phase::Draining, 5, vec![(Transceiver, State::Bound)], State::Draining),
            (Phase::Draining, 0, vec![(Transceiver, State::Stopped)], State::Stopped),
        ] {
            assert_eq!(overall(phase, pause, &entries(&states)), expected, "{states:?}");
        }
    }
}
