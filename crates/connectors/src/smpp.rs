//! Our side of an SMPP connection: a client (ESME) that keeps several binds to one message centre alive.

use std::marker::PhantomData;
use std::time::Duration;

use runtime::{Clock, Tasks};
use smpp::SmRef;
use tokio::sync::mpsc;

mod report;
mod session;
mod settings;
mod status;

pub use report::{Answer, Delivered, NoAnswer, Report};
pub use settings::{BindKind, Settings};
pub use status::{BindStatus, Counters, State, Status};

/// The connection is draining or stopped and gives no more places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is draining or stopped")
    }
}

impl std::error::Error for Stopped {}

/// Leave to hand over so many PDUs. Dropping returns those not used.
#[derive(Debug)]
pub struct Places {
    n: usize,
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
}

/// A connection to one message centre. Cloning shares it; when the last clone is dropped it unbinds.
pub struct Link<T> {
    tag: PhantomData<fn(T)>,
}

impl<T> Clone for Link<T> {
    fn clone(&self) -> Self {
        Self { tag: PhantomData }
    }
}

impl<T: Clone + Send + 'static> Link<T> {
    /// Starts the binds as tasks. `T` is the caller's mark for each PDU it hands over.
    pub fn start(_settings: Settings, _tasks: &Tasks, _clock: Clock) -> (Self, mpsc::Receiver<Report<T>>) {
        (Self { tag: PhantomData }, mpsc::channel(1).1)
    }

    /// Waits until at least one PDU may leave now, and gives leave for up to `max`.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn places(&self, _max: usize) -> Result<Places, Stopped> {
        Err(Stopped)
    }

    /// Hands over one submit_sm.
    ///
    /// # Errors
    /// The tag: nothing left.
    pub fn submit(&self, _places: &mut Places, _sm: &SmRef<'_>, tag: T) -> Result<(), T> {
        Err(tag)
    }

    /// What it looks like now.
    pub fn status(&self) -> Status {
        Status {
            state: State::Stopped,
            pause_ms: 0,
            binds: Vec::new(),
            counters: Counters::default(),
            parts_per_second: 0.0,
        }
    }

    /// Hands over nothing more, and waits for open answers. The binds stay.
    pub fn drain(&self) {}

    /// Drains, unbinds politely, then closes.
    pub async fn stop(&self, _within: Duration) {}
}
