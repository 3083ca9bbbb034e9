//! How much each connection has to do, for routes that give the next message to the one with least.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use types::ConnectionId;

use crate::engine::Engine;

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

/// Measures for as long as the program runs, while any route asks for it.
pub(crate) async fn measure(engine: Engine) {
    let stopping = engine.runtime().tasks.stopping();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(MEASURE_EVERY) => {}
        }
        if !engine.queue().routes().measure_load() {
            continue;
        }
        let mut loads = Loads::default();
        for (connection, status) in engine.statuses() {
            let waiting: usize = engine.queue().waiting(connection).iter().sum();
            let out: u64 = status.binds.iter().map(|bind| bind.window_used as u64).sum();
            let window: u64 = status.binds.iter().map(|bind| bind.window_limit as u64).sum();
            loads.add(connection, waiting as u64 + out, window);
        }
        engine.queue().set_loads(loads);
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
}
