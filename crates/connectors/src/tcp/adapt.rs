//! Other settings for a connection that runs, and sessions made anew.

use std::sync::Arc;
use std::time::Duration;

use runtime::Tasks;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::shared::{Phase, Rules, Shared, later};
use super::wire::Wire;
use super::{Link, Settings, attempt};
use crate::Report;

/// What other settings meant for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapted {
    /// They are in force; no session had to end.
    AtOnce,
    /// One session after the other ends when nothing is open on it, and comes back under them.
    InTurn,
    /// They make another connection of it: nothing was changed.
    NotPossible,
}

/// How often a session that is being renewed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Starts the sessions that are wanted and that nobody keeps.
pub(super) fn make_binds<T: Clone + Send + 'static, W: Wire>(
    shared: &Arc<Shared<T, W>>,
    tasks: &Tasks,
    reports: &mpsc::Sender<Report<T>>,
) {
    for (bind, kind) in shared.make_binds() {
        let (shared, alive) = (Arc::clone(shared), shared.tracker.token());
        tasks.spawn("link-session", attempt::keep_bound(shared, bind, kind, reports.clone(), alive));
    }
}

impl<T: Clone + Send + 'static, W: Wire> Link<T, W> {
    /// Goes on under other settings. Window, rate, timers, reconnection and the number of sessions are taken over at once;
    /// what the peer learns when a session is opened makes the sessions end and come back, one after the other, so that the
    /// connection stays bound where it has several. Nothing is lost: each waits for its open answers.
    pub fn adapt(&self, settings: Settings<W::Login>) -> Adapted {
        let shared = &self.owned.shared;
        let before = shared.rules.load_full();
        let rules = Rules::<W>::of(settings, &shared.clock);
        let running = *shared.phase.borrow() == Phase::Running;
        let Some(reports) = self.owned.reports.upgrade().filter(|_| running) else {
            return Adapted::NotPossible;
        };
        // The places of those on standby come behind the others', whose number must stay then.
        let (new, old) = (&rules.settings, &before.settings);
        let rescaled = new.binds != old.binds && !old.reach.standby.is_empty();
        if new.bind != old.bind || new.reach != old.reach || rescaled {
            return Adapted::NotPossible;
        }
        let anew = opens_otherwise(&before.settings, &rules.settings);
        let (window, throughput) = (usize::from(rules.settings.window), rules.settings.throughput);
        let (min_ms, max_ms) = (rules.settings.throttle_min_ms, rules.settings.throttle_max_ms);
        shared.rules.store(rules);
        let mut gate = shared.gate.state();
        gate.set_limits(window, throughput);
        if (old.throttle_min_ms, old.throttle_max_ms) != (min_ms, max_ms) {
            gate.throttle.set_pauses(min_ms, max_ms);
        }
        drop(gate);
        make_binds(shared, &self.owned.tasks, &reports);
        let wanted = *shared.wanted.borrow();
        for (bind, lane) in shared.lanes().iter().enumerate() {
            lane.set_window(window);
            lane.ask_to_refresh();
            if bind >= wanted {
                lane.ask_to_renew();
            }
        }
        shared.gate.ring();
        if !anew {
            return Adapted::AtOnce;
        }
        let present = shared.rules.load_full();
        self.owned.tasks.spawn("link-renewal", renew_in_turn(Arc::clone(shared), present));
        Adapted::InTurn
    }

    /// Ends one session, by its number from 1, when nothing is open on it; it comes back at once. False where there is none.
    pub fn renew(&self, number: u64) -> bool {
        let lanes = self.owned.shared.lanes();
        let lane = usize::try_from(number).ok().and_then(|number| lanes.get(number.checked_sub(1)?));
        lane.inspect(|lane| lane.ask_to_renew()).is_some()
    }
}

/// Whether the peer sees something else when a session is opened.
fn opens_otherwise<L: PartialEq + Clone>(before: &Settings<L>, after: &Settings<L>) -> bool {
    let seen = |of: &Settings<L>| {
        let Settings { host, system_id, password, tls, login, pdu_bytes_max, .. } = of.clone();
        (host, system_id, password, tls, login, pdu_bytes_max)
    };
    seen(before) != seen(after)
}

/// Renews one session after the other, as long as these rules are in force. The next waits until the one before is open
/// again, or until that has had its time.
async fn renew_in_turn<T: Clone + Send + 'static, W: Wire>(shared: Arc<Shared<T, W>>, rules: Arc<Rules<W>>) {
    let settings = &rules.settings;
    let patience_ms =
        settings.response_timeout_ms.saturating_mul(2).saturating_add(settings.connect_timeout_ms);
    for (bind, lane) in shared.lanes().iter().enumerate() {
        let sessions = || shared.gate.state().history(bind).1;
        let before = sessions();
        lane.ask_to_renew();
        let until = later(Instant::now(), patience_ms);
        while sessions() == before && Instant::now() < until && *shared.phase.borrow() == Phase::Running {
            if !Arc::ptr_eq(&shared.rules.load_full(), &rules) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
