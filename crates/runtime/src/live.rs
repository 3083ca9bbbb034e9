//! Events as they happen, for pages and readers that wait.

use std::sync::Arc;

use tokio::sync::broadcast;
use types::{Event, TenantId};

/// What one transaction did to one tenant.
#[derive(Debug, Clone)]
pub struct News {
    /// Whose.
    pub tenant: TenantId,
    /// What, in order.
    pub events: Arc<[Event]>,
}

/// The hub. It promises nothing: a slow listener loses news and reads the stream from the database instead, so no
/// listener can hold up the work or grow the memory.
#[derive(Clone, Debug)]
pub struct Live {
    news: broadcast::Sender<News>,
}

impl Live {
    /// A hub that holds at most so many unread transactions.
    pub fn new(unread_max: usize) -> Self {
        Self { news: broadcast::Sender::new(unread_max.max(1)) }
    }

    /// Tells all listeners; nobody listening is fine.
    pub(crate) fn tell(&self, tenant: TenantId, events: Vec<Event>) {
        if self.news.receiver_count() > 0 {
            // Fails only when the last listener has just left.
            let _nobody = self.news.send(News { tenant, events: events.into() });
        }
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        Listener { news: self.news.subscribe() }
    }
}

/// One listener's place.
#[derive(Debug)]
pub struct Listener {
    news: broadcast::Receiver<News>,
}

/// What a listener hears.
#[derive(Debug, Clone)]
pub enum Heard {
    /// Something happened.
    News(News),
    /// Some news were lost because this listener was slow: read the stream again from where you are.
    Missed,
    /// The program is stopping.
    Over,
}

impl Listener {
    /// The next news.
    pub async fn next(&mut self) -> Heard {
        match self.news.recv().await {
            Ok(news) => Heard::News(news),
            Err(broadcast::error::RecvError::Lagged(_)) => Heard::Missed,
            Err(broadcast::error::RecvError::Closed) => Heard::Over,
        }
    }

    /// What has been heard since the last look, without waiting; nothing when all is known.
    pub fn heard(&mut self) -> Option<Heard> {
        match self.news.try_recv() {
            Ok(news) => Some(Heard::News(news)),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(Heard::Missed),
            Err(broadcast::error::TryRecvError::Closed) => Some(Heard::Over),
            Err(broadcast::error::TryRecvError::Empty) => None,
        }
    }
}
