//! From the queue to the carrier: take, claim, hand over.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use connectors::{Link, Places, Stopped};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio_util::sync::CancellationToken;
use types::{ConnectionId, MessageId, kind};

use crate::assemble::{Assembled, Dialect};
use crate::journal::{Answered, ClaimId, Entry, Journal, NO_CLAIM, Outcome};
use crate::message::Outgoing;
use crate::queue::{Line, Queue};
use runtime::Runtime;

/// The mark of a part on the wire; it comes back with its answer.
#[derive(Debug, Clone)]
pub struct Tag {
    /// The message.
    pub message: Arc<Outgoing>,
    /// Which part.
    pub part: u8,
    /// How many parts were handed over together.
    pub handed_over: u8,
    /// The claim that says so.
    pub claim: ClaimId,
}

/// Messages taken at once.
const TAKE_MAX: usize = 500;
/// Claims being written while the next messages are taken already.
const CLAIMS_UNDER_WAY: usize = 3;
/// How long to wait when a claim could not be written.
const PAUSE: Duration = Duration::from_millis(500);

/// What a dispatcher works with.
pub struct Dispatcher {
    /// Time, ids, tasks.
    pub runtime: Runtime,
    /// Which connection.
    pub connection: ConnectionId,
    /// Its link.
    pub link: Link<Tag>,
    /// Its dialect, which may change.
    pub dialect: Arc<ArcSwap<Dialect>>,
    /// Where its messages wait.
    pub queue: Arc<Queue>,
    /// Where claims and outcomes are written.
    pub journal: Journal,
    /// Done when this link is to hand over no more.
    pub stopped: CancellationToken,
}

/// Messages that are taken, with their PDUs.
struct Taken {
    claim: ClaimId,
    /// By which they were assembled, and are written.
    dialect: Arc<Dialect>,
    messages: Vec<(Arc<Outgoing>, Assembled)>,
    places: Places,
}

impl Dispatcher {
    /// Hands over until the link stops.
    pub async fn run(self) {
        let line = self.queue.line(self.connection);
        let mut claims = FuturesOrdered::new();
        loop {
            tokio::select! {
                biased;
                Some((taken, claimed)) = claims.next(), if !claims.is_empty() => self.claimed(&line, taken, claimed).await,
                places = self.ready(&line), if claims.len() < CLAIMS_UNDER_WAY => match places {
                    Ok(places) => {
                        let taken = self.take(&line, places).await;
                        if !taken.messages.is_empty() {
                            claims.push_back(self.claim(taken));
                        }
                    }
                    Err(Stopped) => break,
                },
            }
        }
        while let Some((taken, claimed)) = claims.next().await {
            self.claimed(&line, taken, claimed).await;
        }
    }

    /// Waits for messages and for room on the wire. It may be given up at any await: nothing is taken yet.
    async fn ready(&self, line: &Line) -> Result<Places, Stopped> {
        tokio::select! {
            () = line.filled() => self.link.places(TAKE_MAX).await,
            () = self.stopped.cancelled() => Err(Stopped),
        }
    }

    /// Takes as many messages as may leave.
    async fn take(&self, line: &Line, places: Places) -> Taken {
        let now = self.runtime.clock.now();
        let dialect = self.dialect.load_full();
        let mut messages = Vec::with_capacity(places.len());
        for message in line.take(places.len()) {
            if message.expires_at <= now {
                self.end(&message, Outcome::Expired).await;
                continue;
            }
            match dialect.assemble(&message, now) {
                Ok(assembled) if !assembled.is_empty() => messages.push((message, assembled)),
                // Every part is with the carrier already: only the answer that said so was lost.
                Ok(_) => self.end(&message, Outcome::AllTaken).await,
                Err(why) => self.end(&message, Outcome::Unsendable { why }).await,
            }
        }
        Taken { claim: self.runtime.ids.next::<kind::Job>().raw(), dialect, messages, places }
    }

    /// Writes down what is about to leave.
    async fn claim(&self, taken: Taken) -> (Taken, bool) {
        let messages: Vec<MessageId> = taken.messages.iter().map(|(message, _)| message.id).collect();
        let entry = Entry::Claim { id: taken.claim, connection: self.connection, messages };
        let claimed = self.journal.write(entry).await.is_ok();
        (taken, claimed)
    }

    /// Hands over what is claimed, or puts it back.
    async fn claimed(&self, line: &Line, taken: Taken, claimed: bool) {
        if !claimed {
            for (message, _) in taken.messages.into_iter().rev() {
                line.put(message, true);
            }
            tokio::time::sleep(PAUSE).await;
            return;
        }
        let mut places = taken.places;
        for (message, assembled) in taken.messages {
            self.hand_over(&message, (&taken.dialect, &assembled), taken.claim, &mut places).await;
        }
    }

    async fn hand_over(
        &self,
        message: &Arc<Outgoing>,
        (dialect, assembled): (&Dialect, &Assembled),
        claim: ClaimId,
        places: &mut Places,
    ) {
        let handed_over = u8::try_from(assembled.len()).unwrap_or(u8::MAX);
        let name = if dialect.names_messages() { message.id.bare() } else { String::new() };
        for piece in assembled.pieces() {
            // A long message needs more places than were taken for it; its parts go out as they come free.
            if places.is_empty() {
                match self.link.places(1).await {
                    Ok(more) => *places = more,
                    Err(Stopped) => {
                        tracing::debug!(message = %message.id, "the link stopped between two parts");
                    }
                }
            }
            let tag = Tag { message: message.clone(), part: piece.number(), handed_over, claim };
            let sm = dialect.sm(message, assembled, piece);
            if let Err(tag) = self.link.submit(places, (&name, piece.number()), &sm, tag) {
                self.answered(tag.message, tag.part, handed_over, claim, Outcome::NotSent).await;
            }
        }
    }

    /// Ends a message that is not handed over.
    async fn end(&self, message: &Arc<Outgoing>, outcome: Outcome) {
        self.answered(message.clone(), 1, 1, NO_CLAIM, outcome).await;
    }

    async fn answered(
        &self,
        message: Arc<Outgoing>,
        part: u8,
        handed_over: u8,
        claim: ClaimId,
        outcome: Outcome,
    ) {
        let answered = Answered { message, part, handed_over, connection: self.connection, claim, outcome };
        // Only a stopped journal refuses; after the next start the claim says what must be looked at.
        drop(self.journal.leave(Entry::Answered(Box::new(answered))).await);
    }
}
