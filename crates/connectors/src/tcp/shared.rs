//! What the tasks of one connection and its owner have in common.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use runtime::Clock;
use runtime::measure::Sizes;
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
    pub(super) rules: ArcSwap<Rules<W>>,
    pub(super) clock: Clock,
    pub(super) gate: Arc<Gate>,
    /// One for each session that is kept, or was.
    lanes: ArcSwap<Vec<Arc<Lane<T, W>>>>,
    /// How many sessions are to be kept.
    pub(super) wanted: watch::Sender<usize>,
    board: Mutex<Vec<Entry>>,
    /// How many binds that are not on standby can send now, or receive where the connection never sends.
    pub(super) regulars: watch::Sender<usize>,
    pub(super) phase: watch::Sender<Phase>,
    /// Counts the tasks of the binds.
    pub(super) tracker: TaskTracker,
}

/// The settings in force, and what follows from them.
pub(super) struct Rules<W: Wire> {
    pub(super) settings: Settings<W::Login>,
    /// What writes messages.
    pub(super) writer: W::Writer,
}

impl<W: Wire> Rules<W> {
    pub(super) fn of(settings: Settings<W::Login>, clock: &Clock) -> Arc<Self> {
        let settings = usable::<W>(settings);
        Arc::new(Self { writer: W::writer(&settings, clock), settings })
    }

    /// The sessions that are to be kept, by their place: those on standby come last.
    fn sessions(&self, since: Timestamp) -> Vec<Entry> {
        let settings = &self.settings;
        let mut sessions = Vec::new();
        for standby in [false, true] {
            let hosts = if standby { settings.reach.standby.len() } else { settings.reach.hosts.len() + 1 };
            for nth in (0..usize::from(settings.binds)).filter(|_| hosts > 0) {
                sessions.extend(settings.bind.sessions().iter().map(|kind| Entry {
                    standby,
                    nth,
                    at: nth % hosts,
                    state: if standby && !settings.reach.warm { State::Down } else { State::Binding },
                    ..Entry::new(*kind, since)
                }));
            }
        }
        sessions
    }
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
    /// A task keeps it.
    pub(super) kept: bool,
}

impl<T, W: Wire> Shared<T, W> {
    pub(super) fn new(settings: Settings<W::Login>, clock: Clock) -> Self {
        let rules = Rules::<W>::of(settings, &clock);
        let settings = &rules.settings;
        let throttle = Throttle::new(settings.throttle_min_ms, settings.throttle_max_ms);
        let tracker = TaskTracker::new();
        tracker.close();
        Self {
            gate: Gate::new(&[], settings.throughput, throttle),
            lanes: ArcSwap::default(),
            wanted: watch::Sender::new(0),
            board: Mutex::default(),
            regulars: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Running),
            rules: ArcSwap::new(rules),
            clock,
            tracker,
        }
    }

    /// The hosts of a rank.
    pub(super) fn hosts(&self, standby: bool) -> Vec<Host> {
        let settings = &self.rules.load().settings;
        if standby {
            settings.reach.standby.clone()
        } else {
            std::iter::once(&settings.host).chain(&settings.reach.hosts).cloned().collect()
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
        let sends = self.rules.load().settings.bind != BindKind::Receiver;
        !entry.standby && entry.kind.submits() == sends
    }

    fn board(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lane of a session.
    pub(super) fn lane(&self, bind: usize) -> Arc<Lane<T, W>> {
        self.lanes.load()[bind].clone()
    }

    /// The lanes of all sessions.
    pub(super) fn lanes(&self) -> Vec<Arc<Lane<T, W>>> {
        self.lanes.load_full().to_vec()
    }

    /// Makes as many sessions wanted as the rules say, and gives those that no task keeps yet; they count as kept.
    pub(super) fn make_binds(&self) -> Vec<(usize, BindKind)> {
        let sessions = self.rules.load().sessions(self.clock.now());
        let mut lanes = self.lanes();
        let more = sessions.iter().skip(lanes.len()).map(|session| session.standby);
        self.gate.state().make_binds(more);
        lanes.resize_with(sessions.len().max(lanes.len()), || Arc::new(Lane::new()));
        self.lanes.store(Arc::new(lanes));
        // A task that is about to end looks at this under the board's lock.
        self.wanted.send_replace(sessions.len());
        let mut board = self.board();
        let mut new = Vec::new();
        for (bind, session) in sessions.into_iter().enumerate() {
            let kind = session.kind;
            if bind == board.len() {
                board.push(session);
            }
            if !std::mem::replace(&mut board[bind].kept, true) {
                new.push((bind, kind));
            }
        }
        new
    }

    /// Whether the task that keeps a session may end: it is not wanted, or `for_good`.
    pub(super) fn leaves(&self, bind: usize, for_good: bool) -> bool {
        let since = self.clock.now();
        let mut board = self.board();
        let leaves = for_good || bind >= *self.wanted.borrow();
        if leaves && let Some(entry) = board.get_mut(bind) {
            *entry = Entry { state: State::Stopped, since, kept: false, ..entry.clone() };
        }
        leaves
    }

    /// How long each answer took, over all sessions.
    pub(super) fn round_trips(&self) -> Sizes {
        let mut all = Sizes::default();
        self.lanes.load().iter().for_each(|lane| all.add(&lane.round_trips.sizes()));
        all
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
        later(Instant::now(), self.rules.load().settings.response_timeout_ms.saturating_mul(2))
    }

    pub(super) fn status(&self) -> Status {
        let mut entries = self.entries();
        // Those that are wanted no more are told of until they have ended.
        let wanted = *self.wanted.borrow();
        while entries.len() > wanted && entries.last().is_some_and(|entry| !entry.kept) {
            entries.pop();
        }
        let lanes = self.lanes.load();
        let (hosts, standby_hosts) = (self.hosts(false), self.hosts(true));
        let phase = *self.phase.borrow();
        let now_ms = self.gate.now_ms();
        let mut gate = self.gate.state();
        let pause_ms = gate.throttle.pause_ms(now_ms);
        let state = overall(phase, pause_ms, &entries);
        let binds = entries.into_iter().enumerate().map(|(bind, entry)| {
            let (window_used, window_limit) = gate.window(bind);
            let leaving = phase != Phase::Running || bind >= wanted;
            let draining = entry.state == State::Bound && leaving;
            let (submitted, sessions) = gate.history(bind);
            let answers_us = lanes[bind].round_trips.sizes().p50_p95_p99();
            BindStatus {
                number: bind as u64 + 1,
                kind: entry.kind,
                state: if draining { State::Draining } else { entry.state },
                host: (if entry.standby { &standby_hosts } else { &hosts })
                    .get(entry.at)
                    .map_or_else(String::new, ToString::to_string),
                standby: entry.standby,
                peer: entry.peer,
                peer_system_id: entry.peer_system_id,
                since: entry.since,
                window_used,
                window_limit,
                last_error: entry.last_error,
                last_round_trip_us: lanes[bind].round_trip_us(),
                answers_us,
                submitted,
                sessions,
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

impl Entry {
    fn new(kind: BindKind, since: Timestamp) -> Self {
        Self {
            kind,
            standby: false,
            nth: 0,
            at: 0,
            state: State::Binding,
            peer: None,
            peer_system_id: None,
            since,
            last_error: None,
            kept: false,
        }
    }
}

/// The connection's state from those of its sessions: it is bound when it can submit, or, where it never submits, when
/// it can receive.
fn overall(phase: Phase, pause_ms: u64, entries: &[Entry]) -> State {
    let submits = entries.iter().any(|entry| entry.kind.submits());
    let sessions: Vec<_> =
        entries.iter().map(|entry| (entry.state, entry.kind.submits() == submits)).collect();
    State::of_sessions(phase == Phase::Running, pause_ms, &sessions)
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
            state: *state,
            ..Entry::new(*kind, Timestamp::default())
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
