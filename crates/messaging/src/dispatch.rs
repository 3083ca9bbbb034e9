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
use crate::queue::exit::{Before, Exit, Leaving, OneBefore};
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
    /// Its PDU, where the connection keeps that.
    pub pdu: Option<Arc<[u8]>>,
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
    /// New messages do not pass these.
    before: OneBefore,
}

impl Dispatcher {
    /// Hands over until the link stops.
    pub async fn run(self) {
        let line = self.queue.line(self.connection);
        let (exit, mut leaving) = Exit::to(self.link.clone());
        line.set_exit(exit.clone());
        let mut claims = FuturesOrdered::new();
        loop {
            tokio::select! {
                biased;
                Some((taken, claimed)) = claims.next(), if !claims.is_empty() => self.claimed(&line, taken, claimed).await,
                Some(claimed) = leaving.recv() => self.leave(claimed).await,
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
        line.close_exit(&exit);
        leaving.close();
        while let Some((taken, claimed)) = claims.next().await {
            self.claimed(&line, taken, claimed).await;
        }
        while let Some(claimed) = leaving.recv().await {
            self.leave(claimed).await;
        }
    }

    /// Waits for messages and for room on the wire. It may be given up at any await: nothing is taken yet.
    async fn ready(&self, line: &Line) -> Result<Places, Stopped> {
        tokio::select! {
            () = line.filled(&self.runtime.clock) => self.link.places(TAKE_MAX).await,
            () = self.stopped.cancelled() => Err(Stopped),
        }
    }

    /// Takes as many messages as may leave.
    async fn take(&self, line: &Arc<Line>, places: Places) -> Taken {
        let dialect = self.dialect.load_full();
        let before = Before::one_more(line);
        let mut messages = Vec::with_capacity(places.len());
        for message in line.take(places.len(), self.runtime.clock.now()) {
            if let Some(assembled) = self.assemble(&dialect, &message, NO_CLAIM).await {
                messages.push((message, assembled));
            }
        }
        Taken { claim: self.runtime.ids.next::<kind::Job>().raw(), dialect, messages, places, before }
    }

    /// A message as PDUs. One that is not to leave is ended, and is none.
    async fn assemble(
        &self,
        dialect: &Dialect,
        message: &Arc<Outgoing>,
        claim: ClaimId,
    ) -> Option<Assembled> {
        let now = self.runtime.clock.now();
        let outcome = if message.expires_at <= now {
            Outcome::Expired
        } else {
            match dialect.assemble(message, now) {
                Ok(assembled) if !assembled.is_empty() => return Some(assembled),
                // Every part is with the carrier already: only the answer that said so was lost.
                Ok(_) => Outcome::AllTaken,
                Err(why) => Outcome::Unsendable { why },
            }
        };
        self.answered(message.clone(), 1, 1, claim, outcome).await;
        None
    }

    /// Hands over what was claimed with its acceptance.
    async fn leave(&self, leaving: Leaving) {
        let Leaving { claim, messages, mut places } = leaving;
        let dialect = self.dialect.load_full();
        for message in messages {
            if let Some(assembled) = self.assemble(&dialect, &message, claim).await {
                self.hand_over(&message, (&dialect, &assembled), claim, &mut places).await;
            }
        }
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
        drop(taken.before);
    }

    async fn hand_over(
        &self,
        message: &Arc<Outgoing>,
        (dialect, assembled): (&Dialect, &Assembled),
        claim: ClaimId,
        places: &mut Places,
    ) {
        if !self.queue.may_leave(message, self.connection) {
            // The last look before the wire: the connection may have been led elsewhere since the message was routed.
            let why = "a test message leaves by the simulator's connection alone".to_owned();
            return self.answered(message.clone(), 1, 1, claim, Outcome::Unsendable { why }).await;
        }
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
            let sm = dialect.sm(message, assembled, piece);
            let kept = dialect.keeps_pdus() && !message.is_confidential();
            let pdu = if kept { self.link.written(&sm).map(Arc::from) } else { None };
            let tag = Tag { message: message.clone(), part: piece.number(), handed_over, claim, pdu };
            if let Err(tag) = self.link.submit(places, (&name, piece.number()), &sm, tag) {
                self.answered(tag.message, tag.part, handed_over, claim, Outcome::NotSent).await;
            }
        }
    }

    async fn answered(
        &self,
        message: Arc<Outgoing>,
        part: u8,
        handed_over: u8,
        claim: ClaimId,
        outcome: Outcome,
    ) {
        let connection = self.connection;
        let answered = Answered { message, part, handed_over, connection, claim, outcome, kept: None };
        // Only a stopped journal refuses; after the next start the claim says what must be looked at.
        drop(self.journal.leave(Entry::Answered(Box::new(answered))).await);
    }
}
