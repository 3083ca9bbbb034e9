//! A message centre that speaks SMPP 3.4 and 5.0 over TCP, and behaves as well or as badly as its
//! [`Settings`] say.

pub(crate) mod agenda;
mod ancillary;
mod book;
mod centre;
mod id;
mod inbound;
mod nonsense;
mod receipt;
pub(crate) mod seen;
mod session;
mod settings;
mod submit;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use runtime::{Clock, Tasks};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until};
use types::Result;

pub use centre::Counts;
pub use seen::Seen;
pub use settings::{Credentials, Delay, ErrorShare, IdForm, ReceiptPath, ReceiptStyle, Settings};

use crate::phones::{Phones, Screens};
use centre::Centre;

/// A running message centre. Cloning shares it; it stops with its [`Tasks`].
#[derive(Clone)]
pub struct Smsc {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What the connections share.
pub(crate) struct Shared {
    settings: RwLock<Arc<Settings>>,
    centre: Mutex<Centre>,
    pub(crate) screens: Screens,
    clock: Clock,
    tasks: Tasks,
    started: Instant,
    /// Rung when something is entered in the agenda before what its task sleeps for.
    earlier: Notify,
}

impl Shared {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The centre's state, with its time set.
    fn centre(&self) -> MutexGuard<'_, Centre> {
        let mut centre = self.centre.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        centre.agenda.now_ms = elapsed;
        centre
    }
}

impl Smsc {
    /// Binds the listener and begins to serve. Dates, throttling and ids go by `clock`, delays by the
    /// runtime's timers.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(settings: Settings, tasks: &Tasks, clock: Clock) -> Result<Self> {
        let (listener, address) = crate::listen(settings.listen).await?;
        // A thousand ids for each millisecond: a restart does not come to numbers of before.
        let by_time = u64::try_from(clock.now().unix_ms()).unwrap_or(0).saturating_mul(1_000);
        let centre = Centre::new(&settings, settings.first_id.unwrap_or(by_time));
        let connections = Arc::new(Semaphore::new(settings.connections_max.min(Semaphore::MAX_PERMITS)));
        let shared = Arc::new(Shared {
            screens: Screens::new(settings.inbox_max),
            settings: RwLock::new(Arc::new(settings)),
            centre: Mutex::new(centre),
            clock,
            tasks: tasks.clone(),
            started: Instant::now(),
            earlier: Notify::new(),
        });
        tasks.spawn("simulator", accept(Arc::clone(&shared), listener, connections));
        tasks.spawn("simulator agenda", keep_agenda(Arc::clone(&shared)));
        Ok(Self { shared, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it behaves now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.shared.settings()
    }

    /// Changes how it behaves, from the next PDU on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.shared.settings.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut settings));
        self.shared.screens.set_bound(settings.inbox_max);
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.centre().counts()
    }

    /// What it was sent, by the markers in the texts. Takes time when there are millions.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.shared.centre().ledger.seen()
    }

    /// How often the text with this marker was taken, up to 255.
    #[must_use]
    pub fn times_seen(&self, id: u64) -> u8 {
        self.shared.centre().ledger.times(id)
    }

    /// The markers of a range that never came: at most 10,000.
    #[must_use]
    pub fn missing(&self, range: Range<u64>) -> Vec<u64> {
        self.shared.centre().ledger.missing(range)
    }

    /// Forgets the markers that were counted.
    pub fn clear_seen(&self) {
        self.shared.centre().ledger = seen::Ledger::default();
    }

    /// The phones behind the centre.
    #[must_use]
    pub fn phones(&self) -> Phones {
        Phones::of(self.clone())
    }

    /// Sends a text from a phone to whoever is bound, or binds next; gives its number of parts.
    ///
    /// # Errors
    /// An address or a text that no message can carry.
    pub fn inject_mo(&self, from: &str, to: &str, text: &str) -> Result<usize> {
        let settings = self.shared.settings();
        let reference = {
            let mut centre = self.shared.centre();
            centre.references = centre.references.wrapping_add(1);
            centre.references
        };
        let parts = inbound::parts(from, to, text, reference, settings.inbound_sar)?;
        let count = parts.len();
        let mut centre = self.shared.centre();
        centre.inbound(parts, &settings);
        Ok(count)
    }

    /// Closes every connection, as a centre does that is restarted; peers may bind again at once.
    pub fn disconnect(&self) {
        for link in self.shared.centre().links.values() {
            link.cut.cancel();
        }
    }

    pub(crate) fn screens(&self) -> &Screens {
        &self.shared.screens
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.shared.clock.now().unix_ms()
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, connections: Arc<Semaphore>) {
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
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
        shared.centre().counts.connections += 1;
        let session = session::serve(Arc::clone(&shared), socket);
        shared.tasks.spawn("simulator session", async move {
            session.await;
            drop(permit);
        });
    }
}

/// Does what the agenda says when its time has come.
async fn keep_agenda(shared: Arc<Shared>) {
    let stopping = shared.tasks.stopping();
    let mut arrivals = Vec::new();
    loop {
        let settings = shared.settings();
        // One millisecond's worth for each lock: connections come in between.
        while shared.centre().step(&settings, &mut arrivals) {
            shared.screens.receive(arrivals.drain(..));
        }
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
