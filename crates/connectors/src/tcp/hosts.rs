//! A peer with several hosts: which bind goes where, when it comes back, and when those on standby are needed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::shared::{Entry, Phase, Shared};
use super::wire::Wire;
use crate::State;

/// Why a bind leaves a host that stood in for its own.
const ITS_OWN: &str = "its own host is back";
/// Why a bind on standby leaves.
const NOT_NEEDED: &str = "a bind that is not on standby is back";

impl Entry {
    /// The place of its own host among so many: binds are dealt out in turns.
    pub(super) fn home(&self, hosts: usize) -> usize {
        self.nth % hosts.max(1)
    }
}

/// Sees to it, until the connection stops, that binds return to their own hosts: one at a time, so that what is open is
/// answered and the others go on sending.
pub(super) async fn rebalance<T: Clone + Send + 'static, W: Wire>(shared: Arc<Shared<T, W>>) {
    let every = Duration::from_millis(shared.rules.load().settings.reach.rebalance_ms);
    let mut phase = shared.phase.subscribe();
    loop {
        tokio::select! {
            _ = phase.wait_for(|phase| *phase != Phase::Running) => return,
            () = sleep(every) => {}
        }
        let hosts = shared.hosts(false);
        let away = |(_, entry): &(usize, Entry)| {
            !entry.standby && entry.state == State::Bound && entry.at != entry.home(hosts.len())
        };
        let Some((bind, entry)) = shared.entries().into_iter().enumerate().find(away) else { continue };
        let host = &hosts[entry.home(hosts.len())];
        let rules = shared.rules.load_full();
        let patience = Duration::from_millis(rules.settings.connect_timeout_ms);
        let reached = timeout(patience, rules.settings.dial.connect(&host.name, host.port)).await;
        if matches!(reached, Ok(Ok(_))) {
            shared.lane(bind).ask_to_leave(ITS_OWN);
        }
    }
}

/// Waits until a bind on standby is needed: at once where those are kept warm.
pub(super) async fn needed<T: Clone + Send + 'static, W: Wire>(shared: &Shared<T, W>, entry: &Entry) {
    let rules = shared.rules.load_full();
    let reach = &rules.settings.reach;
    if !entry.standby || reach.warm {
        return;
    }
    let mut regulars = shared.regulars.subscribe();
    loop {
        // The sender is in `Shared`.
        let _ = regulars.wait_for(|regulars| *regulars == 0).await;
        let back = regulars.wait_for(|regulars| *regulars > 0);
        if timeout(Duration::from_millis(reach.standby_after_ms), back).await.is_err() {
            return;
        }
    }
}

/// Asks a bind on standby that is not kept warm to leave when it is not needed any more; never done otherwise.
pub(super) async fn relieve<T: Clone + Send + 'static, W: Wire>(
    shared: &Shared<T, W>,
    bind: usize,
    entry: &Entry,
) -> Infallible {
    let mut regulars = shared.regulars.subscribe();
    if entry.standby
        && !shared.rules.load().settings.reach.warm
        && regulars.wait_for(|regulars| *regulars > 0).await.is_ok()
    {
        shared.lane(bind).ask_to_leave(NOT_NEEDED);
    }
    std::future::pending().await
}
