//! Recipients for whom a carrier takes nothing: what waits for them on its connection ends too.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use types::{ConnectionId, TenantId, Timestamp};

use super::answer::{Answered, Outcome};
use super::{Entry, NO_CLAIM};
use crate::message::Outgoing;
use crate::queue::Queue;

/// A tenant's recipient on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    connection: ConnectionId,
    tenant: TenantId,
    recipient: String,
}

impl Destination {
    /// A recipient of a tenant's.
    pub(crate) fn new(connection: ConnectionId, tenant: TenantId, recipient: &str) -> Self {
        Self { connection, tenant, recipient: recipient.to_owned() }
    }

    /// That of a message that was answered.
    pub(crate) fn of(answered: &Answered) -> Self {
        let message = &answered.message;
        Self::new(answered.connection, message.tenant, &message.recipient.text)
    }
}

/// Destinations that are remembered; the oldest make room.
const REMEMBERED_MAX: usize = 10_000;

/// What was refused lately, for messages that wait in the table: each is looked at when its time comes.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    since: HashMap<Destination, (Timestamp, String)>,
    order: VecDeque<Destination>,
}

impl Blocked {
    /// Remembers destinations that were refused, and takes what waits for them out of memory: entries that end it.
    pub(crate) fn note(
        &mut self,
        refused: Vec<(Destination, String)>,
        now: Timestamp,
        queue: &Queue,
    ) -> Vec<Entry> {
        let mut by_connection: HashMap<ConnectionId, HashMap<(TenantId, String), String>> = HashMap::new();
        for (destination, why) in refused {
            let on = by_connection.entry(destination.connection).or_default();
            on.insert((destination.tenant, destination.recipient.clone()), why.clone());
            if self.since.insert(destination.clone(), (now, why)).is_none() {
                self.order.push_back(destination);
            }
            while self.order.len() > REMEMBERED_MAX {
                let Some(oldest) = self.order.pop_front() else { break };
                self.since.remove(&oldest);
            }
        }
        let mut entries = Vec::new();
        for (connection, refused) in by_connection {
            let why = |message: &Outgoing| refused.get(&(message.tenant, message.recipient.text.clone()));
            for message in queue.line(connection).take_where(|message| why(message).is_some()) {
                let why = why(&message).cloned().unwrap_or_default();
                entries.push(ends(message, connection, why));
            }
        }
        entries
    }

    /// Why a message that was accepted before its recipient was refused is not sent.
    pub(crate) fn why(&self, message: &Outgoing, connection: ConnectionId) -> Option<&str> {
        if self.since.is_empty() {
            return None;
        }
        let recipient = message.recipient.text.clone();
        let (since, why) = self.since.get(&Destination { connection, tenant: message.tenant, recipient })?;
        (message.accepted_at <= *since).then_some(why)
    }
}

/// The end of a message that does not leave.
fn ends(message: Arc<Outgoing>, connection: ConnectionId, why: String) -> Entry {
    let outcome = Outcome::Blocked { why };
    Entry::Answered(Box::new(Answered {
        message,
        part: 1,
        handed_over: 1,
        connection,
        claim: NO_CLAIM,
        outcome,
        kept: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Queued;

    const CONNECTION: ConnectionId = ConnectionId::from_raw(1);

    #[test]
    fn what_waits_for_the_recipient_ends_and_what_comes_later_does_not() {
        let (queue, mut blocked) = (Queue::new(10), Blocked::default());
        let other = |id, recipient: &str| {
            let mut message = Arc::try_unwrap(Outgoing::of_test(id)).unwrap();
            message.recipient.text = recipient.to_owned();
            Arc::new(message)
        };
        for message in [Outgoing::of_test(1), other(2, "33600000000"), Outgoing::of_test(3)] {
            queue.put(Queued { message, connection: CONNECTION, first: false });
        }
        let refused = Destination {
            connection: CONNECTION,
            tenant: TenantId::from_raw(1),
            recipient: "33612345678".to_owned(),
        };
        let now = Timestamp::from_unix_ms(5);
        let ended = blocked.note(vec![(refused, "ESME_RX_P_APPN".to_owned())], now, &queue);
        let ids: Vec<i64> = ended
            .iter()
            .filter_map(
                |entry| if let Entry::Answered(one) = entry { Some(one.message.id.raw()) } else { None },
            )
            .collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(
            queue.line(CONNECTION).take(9, Timestamp::default()).len(),
            1,
            "the other recipient's message stays"
        );
        let mut later = Arc::try_unwrap(Outgoing::of_test(4)).unwrap();
        assert_eq!(blocked.why(&later, CONNECTION), Some("ESME_RX_P_APPN"));
        assert_eq!(blocked.why(&later, ConnectionId::from_raw(2)), None, "another carrier may take it");
        later.accepted_at = Timestamp::from_unix_ms(6);
        assert_eq!(blocked.why(&later, CONNECTION), None);
    }

    #[test]
    fn memory_has_a_bound() {
        let (queue, mut blocked) = (Queue::new(10), Blocked::default());
        let refused = |n: usize| Destination {
            connection: CONNECTION,
            tenant: TenantId::from_raw(1),
            recipient: n.to_string(),
        };
        let all = (0..REMEMBERED_MAX + 5).map(|n| (refused(n), String::new())).collect();
        blocked.note(all, Timestamp::from_unix_ms(0), &queue);
        assert_eq!((blocked.since.len(), blocked.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }
}
