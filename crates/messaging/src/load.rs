//! How much each connection has to do, and whether it still does it.
//!
//! Routes that give the next message to the connection with least to do are told from here. A connection that leaves
//! everything unanswered for as long as the pause before an enquire_link is left here, before its bind is known to be dead:
//! a bind is given up only when enquire_links went unanswered too, and until then its window would hold messages up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use connectors::smpp::{BindKind, BindStatus, Counters, State, Status};
use tokio::time::Instant;
use types::ConnectionId;

use crate::connection::Connection;
use crate::engine::Engine;
use crate::route::Liveness;

/// How often it is measured. Between two looks each message that is given away counts, so that a burst spreads too.
const MEASURE_EVERY: Duration = Duration::from_millis(100);

/// What all connections had to do at the last look, and what they were given since.
#[derive(Debug, Default)]
pub struct Loads {
    by_connection: HashMap<ConnectionId, Load>,
}

#[derive(Debug)]
struct Load {
    /// Messages waiting or out.
    open: u64,
    /// Messages that may be out at once: the binds' windows together.
    window: u64,
    /// Messages given since the look.
    given: AtomicU32,
}

impl Loads {
    /// Adds a connection: what waits for it or is out, and how many may be out at once.
    pub fn add(&mut self, connection: ConnectionId, open: u64, window: u64) {
        let load = Load { open, window: window.max(1), given: AtomicU32::new(0) };
        self.by_connection.insert(connection, load);
    }

    /// What a connection has to do, in thousandths of its window; one that was never measured has nothing to do.
    pub fn of(&self, connection: ConnectionId) -> u64 {
        self.by_connection.get(&connection).map_or(0, |load| {
            (load.open + u64::from(load.given.load(Ordering::Relaxed))).saturating_mul(1_000) / load.window
        })
    }

    /// Counts a message that was given to a connection.
    pub fn gave(&self, connection: ConnectionId) {
        if let Some(load) = self.by_connection.get(&connection) {
            load.given.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How long a connection may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// With requests open and no word of any kind, until it is left.
    silent: Duration,
    /// Once left, until it is tried again: a dead bind is known to be dead by then.
    left: Duration,
}

impl Patience {
    /// As a connection's settings say.
    pub(crate) fn of(connection: &Connection) -> Self {
        let settings = &connection.settings;
        let missed_ms = settings.response_timeout_ms.saturating_mul(settings.enquire_missed_max.into());
        Self {
            silent: Duration::from_millis(settings.enquire_link_ms),
            left: Duration::from_millis(settings.enquire_link_ms.saturating_add(missed_ms)),
        }
    }
}

/// What was last seen of a connection.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Words of the peer, of any kind that is counted.
    heard: u64,
    /// When that was new, or nothing was open.
    since: Instant,
    /// Whether it was left for its silence.
    left: bool,
}

/// What to do about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stays,
    Leave,
    ComeBack,
}

/// What a connection's silence means: nothing while nothing is open; with requests open, that it is left in time.
fn judge(seen: &mut Seen, heard: u64, open: usize, patience: Patience, now: Instant) -> Verdict {
    let spoke = seen.heard != heard;
    if spoke || (open == 0 && !seen.left) {
        *seen = Seen { heard, since: now, left: seen.left && !spoke };
        return if spoke { Verdict::ComeBack } else { Verdict::Stays };
    }
    let silent = now.saturating_duration_since(seen.since);
    if !seen.left && silent >= patience.silent {
        *seen = Seen { since: now, left: true, ..*seen };
        return Verdict::Leave;
    }
    if seen.left && silent >= patience.left {
        *seen = Seen { since: now, left: false, ..*seen };
        return Verdict::ComeBack;
    }
    Verdict::Stays
}

/// Watches for as long as the program runs.
pub(crate) async fn watch(engine: Engine) {
    let stopping = engine.runtime().tasks.stopping();
    let mut seen: HashMap<ConnectionId, Seen> = HashMap::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(MEASURE_EVERY) => {}
        }
        let statuses = engine.statuses();
        seen.retain(|known, _| statuses.iter().any(|(connection, ..)| connection == known));
        let measured = engine.queue().routes().measure_load();
        let mut loads = Loads::default();
        for (connection, status, patience) in statuses {
            let open: usize = status.binds.iter().map(|bind| bind.window_used).sum();
            if measured {
                let waiting: usize = engine.queue().waiting(connection).iter().sum();
                let window: usize = status.binds.iter().map(|bind| bind.window_limit).sum();
                loads.add(connection, (waiting + open) as u64, window as u64);
            }
            let heard = heard(&status.counters);
            let now = Instant::now();
            let fresh = Seen { heard, since: now, left: false };
            let known = seen.entry(connection).or_insert(fresh);
            let was_left = known.left;
            match judge(known, heard, open, patience, now) {
                Verdict::Leave => leave(&engine, connection),
                Verdict::ComeBack if was_left => come_back(&engine, connection, &status),
                Verdict::ComeBack | Verdict::Stays => {}
            }
        }
        if measured {
            engine.queue().set_loads(loads);
        }
    }
}

/// Whatever the peer said.
fn heard(counters: &Counters) -> u64 {
    let Counters { accepted, refused, late, delivered, notices, odd, binds, .. } = *counters;
    accepted + refused + late + delivered + notices + odd + binds
}

fn leave(engine: &Engine, connection: ConnectionId) {
    let queue = engine.queue();
    if queue.alive(connection) == Liveness::Up {
        queue.set_alive(connection, Liveness::Down);
        let moved = queue.reroute(connection);
        tracing::warn!(%connection, moved, "the connection leaves everything unanswered; its messages go elsewhere");
    }
}

fn come_back(engine: &Engine, connection: ConnectionId, status: &Status) {
    let sends = |bind: &BindStatus| bind.kind != BindKind::Receiver && bind.state == State::Bound;
    if engine.queue().alive(connection) == Liveness::Down && status.binds.iter().any(sends) {
        engine.queue().set_alive(connection, Liveness::Up);
        tracing::info!(%connection, "the connection is used again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_measured_by_the_window_and_grows_with_what_is_given() {
        let (small, large) = (ConnectionId::from_raw(1), ConnectionId::from_raw(2));
        let mut loads = Loads::default();
        loads.add(small, 5, 10);
        loads.add(large, 20, 100);
        assert_eq!((loads.of(small), loads.of(large), loads.of(ConnectionId::from_raw(3))), (500, 200, 0));
        (0..40).for_each(|_| loads.gave(large));
        assert_eq!(loads.of(large), 600);
    }

    #[test]
    fn silence_counts_while_something_is_open() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let patience = Patience { silent: Duration::from_millis(100), left: Duration::from_millis(300) };
        let mut seen = Seen { heard: 1, since: start, left: false };
        let mut ask = |heard, open, ms| judge(&mut seen, heard, open, patience, at(ms));
        assert_eq!(ask(1, 0, 500), Verdict::Stays, "nothing was asked of it");
        assert_eq!(ask(1, 3, 599), Verdict::Stays);
        assert_eq!(ask(1, 3, 600), Verdict::Leave);
        // What was open has timed out: that says nothing about the peer.
        assert_eq!(ask(1, 0, 800), Verdict::Stays);
        assert_eq!(ask(1, 0, 900), Verdict::ComeBack, "it is tried again");
        assert_eq!(ask(1, 5, 1_000), Verdict::Leave);
        assert_eq!(ask(2, 5, 1_010), Verdict::ComeBack, "it spoke");
        assert_eq!(ask(3, 5, 1_100), Verdict::ComeBack);
        assert_eq!(ask(3, 5, 1_150), Verdict::Stays);
    }
}
