//! A message centre of the protocols that are text: UCP/EMI and CIMD2.
//!
//! It behaves as [`Smsc`](crate::Smsc) does, with fewer whims. Messages are named by recipient and time stamp, so two for
//! one recipient within one second have one name, and their receipts come in the order in which they were submitted.

mod centre;
mod cimd;
mod session;
mod ucp;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::{Clock, Tasks};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until};
use types::Result;

pub use centre::Counts;

use crate::phones::{Message, Screens};
use crate::smsc::Seen;
use centre::Centre;

/// What the centre speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// UCP/EMI.
    Ucp,
    /// CIMD2.
    Cimd2,
}

/// How the centre behaves. All but `protocol`, `listen` and `connections_max` can be changed while it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at once; further ones are closed at once.
    pub connections_max: usize,
    /// Who may log in, and by which password. Empty: anybody, and over UCP also without.
    pub accounts: Vec<(String, String)>,
    /// Milliseconds until a message is answered.
    pub latency_ms: u64,
    /// Milliseconds from the answer to the final state and its receipt.
    pub receipt_delay_ms: u64,
    /// Messages per second and account above which the answer is "too fast"; 0 for no limit.
    pub throughput: u32,
    /// An error of the protocol's table, and the percentage of messages that are refused with it.
    pub error: (u16, f64),
    /// Percentage of messages that are taken and never answered.
    pub unanswered_percent: f64,
    /// Percentage of messages that are reported as undelivered.
    pub undelivered_percent: f64,
    /// Receipts and inbound messages that one session leaves unanswered.
    pub delivery_window: usize,
    /// Receipts and inbound messages that wait for an account; above it the oldest are forgotten.
    pub pending_max: usize,
    /// Messages that the phones remember; 0 for no phones.
    pub inbox_max: usize,
}

impl Settings {
    /// A fast, faithful centre on a free port.
    #[must_use]
    pub fn of(protocol: Protocol) -> Self {
        Self {
            protocol,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            connections_max: 1_000,
            accounts: Vec::new(),
            latency_ms: 0,
            receipt_delay_ms: 0,
            throughput: 0,
            error: (0, 0.0),
            unanswered_percent: 0.0,
            undelivered_percent: 0.0,
            delivery_window: 10,
            pending_max: 100_000,
            inbox_max: 1_000,
        }
    }
}

/// A running centre. Cloning shares it; it stops with its [`Tasks`].
#[derive(Clone)]
pub struct TextCentre {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What the connections share.
struct Shared {
    centre: Mutex<Centre>,
    screens: Screens,
    protocol: Protocol,
    clock: Clock,
    tasks: Tasks,
    started: Instant,
    /// Rung when something is entered in the agenda before what its task sleeps for.
    earlier: Notify,
}

impl Shared {
    /// The centre's state, with its time set.
    fn centre(&self) -> MutexGuard<'_, Centre> {
        let mut centre = self.centre.lock().unwrap_or_else(PoisonError::into_inner);
        centre.agenda.now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        centre.now_unix_ms = self.clock.now().unix_ms();
        centre
    }

    /// Does with the centre, carries out what is due at once, and wakes the agenda's task for what is not.
    fn with<T>(&self, does: impl FnOnce(&mut Centre) -> T) -> T {
        let mut centre = self.centre();
        let done = does(&mut centre);
        while centre.step() {}
        let arrivals = std::mem::take(&mut centre.arrivals);
        if centre.agenda.take_ring() {
            self.earlier.notify_one();
        }
        drop(centre);
        self.screens.receive(arrivals.into_iter());
        done
    }
}

impl TextCentre {
    /// Binds the listener and begins to serve.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(settings: Settings, tasks: &Tasks, clock: Clock) -> Result<Self> {
        let (listener, address) = crate::listen(settings.listen).await?;
        let places = Arc::new(Semaphore::new(settings.connections_max.min(Semaphore::MAX_PERMITS)));
        let shared = Arc::new(Shared {
            screens: Screens::new(settings.inbox_max),
            protocol: settings.protocol,
            centre: Mutex::new(Centre::new(settings)),
            clock,
            tasks: tasks.clone(),
            started: Instant::now(),
            earlier: Notify::new(),
        });
        tasks.spawn("text centre", accept(Arc::clone(&shared), listener, places));
        tasks.spawn("text centre agenda", keep_agenda(Arc::clone(&shared)));
        Ok(Self { shared, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how it behaves, from the next operation on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut centre = self.shared.centre();
        change(&mut centre.settings);
        self.shared.screens.set_bound(centre.settings.inbox_max);
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.centre().counts()
    }

    /// What it was sent, by the `ID<digits>` markers in the texts.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.shared.centre().ledger.seen()
    }

    /// The messages on a phone's screen, oldest first.
    #[must_use]
    pub fn screen(&self, number: &str) -> Vec<Message> {
        self.shared.screens.screen(number.trim_start_matches('+'))
    }

    /// Sends a text from a phone to whoever is logged in, or logs in next; gives its number of parts.
    ///
    /// # Errors
    /// A text of more than 255 parts.
    pub fn inject_mo(&self, from: &str, to: &str, text: &str) -> Result<usize> {
        let encoding = sms::count(text, &sms::analysis::Options::default()).encoding;
        let body = encoding.encode_lossy(text);
        self.shared.with(|centre| centre.inject(from, to, encoding, &body))
    }

    /// Closes every connection, as a centre does that is restarted; peers may log in again at once.
    pub fn disconnect(&self) {
        self.shared.centre().cut_all();
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, places: Arc<Semaphore>) {
    let stopping = shared.tasks.stopping();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        let Ok((socket, _)) = accepted else {
            // Out of descriptors, most likely: the next attempt at once would fail as well.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Beyond the bound the connection is closed by being dropped.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let session = session::serve(Arc::clone(&shared), socket);
        shared.tasks.spawn("text centre session", async move {
            session.await;
            drop(place);
        });
    }
}

/// Does what the agenda says when its time has come.
async fn keep_agenda(shared: Arc<Shared>) {
    let stopping = shared.tasks.stopping();
    loop {
        shared.with(|_| ());
        let next = shared.centre().agenda.sleep();
        let due = async {
            match next {
                Some(ms) => sleep_until(shared.started + Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = shared.earlier.notified() => {}
            () = stopping.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests;
