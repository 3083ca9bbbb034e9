//! The way past the lanes: while nothing waits for a connection and there is room on the wire, a message is claimed in the
//! transaction that accepts it, and leaves with that commit instead of the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use connectors::{Link, Places};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::dispatch::Tag;
use crate::journal::ClaimId;
use crate::message::Outgoing;

/// Messages that were claimed with their acceptance, and leave to go.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// The claim that names them.
    pub claim: ClaimId,
    /// Which.
    pub messages: Vec<Arc<Outgoing>>,
    /// Room on the wire for each of them.
    pub places: Places,
}

/// Where messages leave by. What is under way in it is bounded by the windows of its link.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    link: Link<Tag>,
    leaving: UnboundedSender<Leaving>,
}

impl Exit {
    /// An exit to a link, and what leaves by it.
    pub(crate) fn to(link: Link<Tag>) -> (Self, UnboundedReceiver<Leaving>) {
        let (leaving, received) = mpsc::unbounded_channel();
        (Self { link, leaving }, received)
    }

    /// Room for up to so many, if there is any now.
    pub(crate) fn room(&self, max: usize) -> Option<Places> {
        self.link.places_now(max)
    }

    /// Lets messages go.
    ///
    /// # Errors
    /// The messages, where nobody hands them over any more: they have not left.
    pub(crate) fn leave(&self, leaving: Leaving) -> Result<(), Leaving> {
        self.leaving.send(leaving).map_err(|refused| refused.0)
    }

    /// Whether both are the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.leaving.same_channel(&other.leaving)
    }
}

/// Batches from the lanes that have not left yet. While there are some, nobody passes them.
#[derive(Debug, Default)]
pub(crate) struct Before(AtomicUsize);

impl Before {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// One more, until it is dropped.
    pub(crate) fn one_more(line: &Arc<super::Line>) -> OneBefore {
        line.before.0.fetch_add(1, Ordering::AcqRel);
        OneBefore(line.clone())
    }
}

/// A batch from the lanes that has not left yet.
#[derive(Debug)]
pub(crate) struct OneBefore(Arc<super::Line>);

impl Drop for OneBefore {
    fn drop(&mut self) {
        self.0.before.0.fetch_sub(1, Ordering::AcqRel);
    }
}
