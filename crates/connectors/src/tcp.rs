//! A connection over TCP that keeps sessions, on which numbered requests are answered: what SMPP, UCP and CIMD2 have in
//! common. What they have not is a [`Wire`].
//!
//! ```text
//! places() ── gate: windows, rate, peer's wishes ── submit() ── lane: open requests ── socket
//!                                                                       │
//! Receiver<Report> ◄── session: matches answers, keeps time-outs ◄──────┘
//! ```
//!
//! - [`Link::places`] waits until something may leave; [`Link::submit`] uses one place and writes the PDU straight into what
//!   the session sends next. Neither decides what: that is the caller's.
//! - Each message that was taken is reported once as [`Report::Answered`], whatever happens: answered, timed out, or its session
//!   lost. What the session left open is never taken for refused: it may have been delivered.
//! - Reports wait in a bounded queue. An owner that does not read them stops the sessions from reading on, so read them in
//!   another task than the one that waits for places.
//! - "Too fast" and "queue full" pause all sessions together; so does a congested peer of SMPP 5.0. The rate that a
//!   throttling peer takes is learned and kept just below, so that the pauses stay rare.
//! - A lost session comes back by itself, with pauses that grow. Nothing of a lost session is sent again.
//!
//! Beneath: `gate` says how many may leave and on which session, `lane` joins callers and session, `session` is one session
//! from login to end, `attempt` makes sessions; `throttle`, `ceiling`, `backoff` and `meter` are plain arithmetic over a
//! time that is given.

use std::sync::Arc;
use std::time::Duration;

use runtime::measure::Sizes;
use runtime::{Clock, Tasks};
use smpp::{Address, SmRef};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{NoAnswer, Queried, Report, Status};

mod adapt;
mod attempt;
pub(crate) mod backoff;
mod ceiling;
pub(crate) mod gate;
mod hosts;
mod lane;
mod meter;
mod session;
mod settings;
mod shared;
pub(crate) mod throttle;
mod wire;

pub use gate::{Places, Stopped};
pub use settings::{BindKind, Host, Reach, Settings, Tls};
pub use wire::{Heard, Lost, Wire};

pub use adapt::Adapted;
use shared::{Phase, Shared, later};

/// Reports that may wait for their owner.
const REPORTS_MAX: usize = 1024;

/// A connection to one message centre, spoken in `W`. Cloning shares it. When the last clone or the receiver of its reports is dropped, or
/// the program stops, it drains and unbinds by itself.
pub struct Link<T: Clone + Send + 'static, W: Wire> {
    owned: Arc<Owned<T, W>>,
}

impl<T: Clone + Send + 'static, W: Wire> Clone for Link<T, W> {
    fn clone(&self) -> Self {
        Self { owned: Arc::clone(&self.owned) }
    }
}

impl<T: Clone + Send + 'static, W: Wire> std::fmt::Debug for Link<T, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("settings", &self.owned.shared.rules.load().settings)
            .finish_non_exhaustive()
    }
}

/// What the tasks of the connection do not hold, so that they see when everybody has left.
struct Owned<T, W: Wire> {
    shared: Arc<Shared<T, W>>,
    /// Where more sessions run and report to, as long as there are any.
    tasks: Tasks,
    reports: mpsc::WeakSender<Report<T>>,
}

impl<T, W: Wire> Drop for Owned<T, W> {
    fn drop(&mut self) {
        self.shared.stop_by(self.shared.unhurried());
    }
}

impl<T: Clone + Send + 'static, W: Wire> Link<T, W> {
    /// Starts the binds as tasks. `T` is the caller's mark for each PDU it hands over; it is cloned only when an answer does
    /// not come in time. The receiver ends when all binds have.
    pub fn start(
        settings: Settings<W::Login>,
        tasks: &Tasks,
        clock: Clock,
    ) -> (Self, mpsc::Receiver<Report<T>>) {
        let shared = Arc::new(Shared::new(settings, clock));
        let (reports, receiver) = mpsc::channel(REPORTS_MAX);
        adapt::make_binds(&shared, tasks, &reports);
        let weak = reports.downgrade();
        let reach = shared.rules.load().settings.reach.clone();
        if !reach.hosts.is_empty() && reach.rebalance_ms > 0 {
            tasks.spawn("link-hosts", hosts::rebalance(Arc::clone(&shared)));
        }
        tasks.spawn("link", watch_over(Arc::clone(&shared), reports, tasks.stopping()));
        let owned = Owned { shared, tasks: tasks.clone(), reports: weak };
        (Self { owned: Arc::new(owned) }, receiver)
    }

    /// Waits until at least one PDU may leave now (a bind has room, the rate allows it, the peer asked for no pause), and
    /// gives leave for up to `max`. Cheap: take many at once. A pause that begins afterwards does not take them back.
    ///
    /// # Errors
    /// [`Stopped`]: drained or stopped, for good.
    pub async fn places(&self, max: usize) -> Result<Places, Stopped> {
        self.owned.shared.gate.places(max).await
    }

    /// As [`crate::Link::places_now`].
    pub fn places_now(&self, max: usize) -> Option<Places> {
        self.owned.shared.gate.places_now(max)
    }

    /// Hands over one message, using one of the places, on the session with the most room. It is given in the fields of
    /// submit_sm, which has those of the other protocols, and written in the link's own. From then on the tag comes back in
    /// exactly one [`Report::Answered`].
    ///
    /// # Errors
    /// The tag: no place was left in `places`, or the binds went away before anything was written. The PDU surely did not
    /// leave.
    pub fn submit(&self, places: &mut Places, sm: &SmRef<'_>, tag: T) -> Result<(), T> {
        let shared = &self.owned.shared;
        let Some(turn) = places.take(&shared.gate) else { return Err(tag) };
        let now_us = shared.gate.now_us();
        let rules = shared.rules.load();
        let deadline_ms = (now_us / 1000).saturating_add_unsigned(rules.settings.response_timeout_ms);
        let lane = shared.lane(turn.bind);
        match lane.submit(turn, (&rules.writer, sm), tag, now_us, deadline_ms) {
            Ok(waiting) => {
                if waiting > rules.settings.write_queue_bytes_max {
                    shared.gate.state().clog(turn, true);
                    lane.attend.notify_one();
                }
                Ok(())
            }
            Err(tag) => {
                shared.gate.state().undo(turn);
                Err(tag)
            }
        }
    }

    /// As [`crate::Link::written`].
    pub fn written(&self, sm: &SmRef<'_>) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        W::submit(&self.owned.shared.rules.load().writer, 0, sm, &mut octets).ok().map(|()| octets)
    }

    /// As [`crate::Link::query`].
    pub async fn query(&self, places: &mut Places, message: (&str, &Address)) -> Queried {
        match self.ask(places, message) {
            // The lane drops the questions of a session that ends.
            Ok(told) => told.await.unwrap_or(Queried::NoAnswer(NoAnswer::BindLost)),
            Err(why) => Queried::NotAsked(why),
        }
    }

    fn ask(
        &self,
        places: &mut Places,
        message: (&str, &Address),
    ) -> Result<oneshot::Receiver<Queried>, String> {
        let shared = &self.owned.shared;
        let Some(turn) = places.take(&shared.gate) else { return Err("no session is there".to_owned()) };
        let now_ms = shared.gate.now_ms();
        let rules = shared.rules.load();
        let deadline_ms = now_ms.saturating_add_unsigned(rules.settings.response_timeout_ms);
        let asked = shared.lane(turn.bind).query(turn, (&rules.writer, message), now_ms, deadline_ms);
        let mut gate = shared.gate.state();
        gate.uncount(turn);
        if asked.is_err() {
            gate.release(turn);
        }
        asked
    }

    /// What it looks like now.
    pub fn status(&self) -> Status {
        self.owned.shared.status()
    }

    /// How long each answer took since the start, microseconds.
    pub fn round_trips(&self) -> Sizes {
        self.owned.shared.round_trips()
    }

    /// Hands over nothing more and waits for open answers. The binds stay, for answers, receipts and inbound messages.
    pub fn drain(&self) {
        self.owned.shared.drain();
    }

    /// Drains, unbinds, and closes, all within that time; what is open then is reported as [`NoAnswer::BindLost`](crate::NoAnswer::BindLost). The
    /// reports must be read meanwhile, or the sessions cannot end.
    pub async fn stop(&self, within: Duration) {
        let shared = &self.owned.shared;
        let by = later(Instant::now(), u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
        shared.stop_by(by);
        let ended = shared.tracker.wait();
        // A moment more for the last words on the wire.
        let _ = tokio::time::timeout_at(later(by, 1_000), ended).await;
    }
}

/// Ends the connection when the program stops or when nobody listens to it any more.
async fn watch_over<T, W: Wire>(
    shared: Arc<Shared<T, W>>,
    reports: mpsc::Sender<Report<T>>,
    program_stops: CancellationToken,
) {
    let mut phase = shared.phase.subscribe();
    tokio::select! {
        () = program_stops.cancelled() => shared.stop_by(shared.unhurried()),
        () = reports.closed() => shared.stop_by(shared.unhurried()),
        _ = phase.wait_for(|phase| matches!(phase, Phase::Stopping { .. })) => {}
    }
}
