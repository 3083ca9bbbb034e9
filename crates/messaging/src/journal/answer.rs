//! What became of the parts that were handed over.
//!
//! A message's fate is decided when all its parts have been answered, by the worst of the answers: refused for good,
//! then unknown, then to be tried again, then taken over.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use connectors::Class;
use db::{Rows, args, record, sql};
use rand::RngExt;
use types::event::MessageChange;
use types::{ConnectionId, Error, Event, MessageId, Result, Timestamp};

use super::blocked::Destination;
use super::rows::{Attempt, Standing, Wake, write_attempts};
use super::{After, Batch, ClaimId, Entry, Kept, kept, settle};
use crate::message::{Outgoing, PartSet, State};
use crate::queue::Queued;
use crate::sendsms::dlr;

/// How long a message of unknown fate waits at least for a receipt that tells of it, even beyond its validity: longer than
/// receipts are held before they are matched by their addresses.
const RECEIPT_WAIT_MS: i64 = 30_000;

/// What became of one part.
pub struct Answered {
    /// The message.
    pub message: Arc<Outgoing>,
    /// Which part, from 1.
    pub part: u8,
    /// How many parts were handed over this time.
    pub handed_over: u8,
    /// Through which connection.
    pub connection: ConnectionId,
    /// Under which claim.
    pub claim: ClaimId,
    /// What became of it.
    pub outcome: Outcome,
    /// How it left, where its connection keeps that.
    pub kept: Option<Kept>,
}

/// What became of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The carrier took it over under this id.
    Taken {
        /// The carrier's id.
        provider_id: String,
    },
    /// The carrier refused it.
    Refused {
        /// What to do.
        class: Class,
        /// Why, as it is kept: see [`Reason`](crate::fault::Reason).
        why: String,
        /// Seconds before the next tries; the installation's pauses when empty.
        retry_s: Arc<[u32]>,
    },
    /// It had not left, and the carrier takes nothing for its recipient.
    Blocked {
        /// As the carrier said it.
        why: String,
    },
    /// It left, and no answer came.
    Unanswered {
        /// What happened instead.
        why: &'static str,
        /// Whether it is sent again; as its intent says when not given.
        resend: Option<bool>,
    },
    /// It did not leave.
    NotSent,
    /// It cannot be put on the wire.
    Unsendable {
        /// Why.
        why: String,
    },
    /// Every part was taken over before, and only that was to be found out.
    AllTaken,
    /// Its validity ended before it left.
    Expired,
    /// An answer came after it had been given up.
    Late {
        /// The carrier's id.
        provider_id: String,
    },
}

/// The worst of a message's answers so far; a later one is worse.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Taken,
    NotSent,
    Throttled,
    Temporary(String, Arc<[u32]>),
    Unanswered(String, Option<bool>),
    Expired,
    Refused(String),
    Blocked(String),
}

impl Worst {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Taken { .. } | Outcome::AllTaken | Outcome::Late { .. } => Self::Taken,
            Outcome::NotSent => Self::NotSent,
            Outcome::Unanswered { why, resend } => Self::Unanswered((*why).to_owned(), *resend),
            Outcome::Unsendable { why } | Outcome::Blocked { why } => Self::Refused(why.clone()),
            Outcome::Expired => Self::Expired,
            Outcome::Refused { class, why, retry_s } => match class {
                Class::Throttled => Self::Throttled,
                Class::Temporary | Class::QueueFull | Class::Reconnect => {
                    Self::Temporary(why.clone(), retry_s.clone())
                }
                Class::Permanent => Self::Refused(why.clone()),
                Class::Blocked => Self::Blocked(why.clone()),
            },
        }
    }
}

/// A long message that is out.
#[derive(Debug, Clone)]
struct Long {
    taken: PartSet,
    answered: u8,
    worst: Worst,
}

/// What is out: which messages of each claim await an answer, and how far long messages are. Kept by the journal
/// alone, and changed only after a commit.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    claims: HashMap<ClaimId, BTreeSet<MessageId>>,
    long: HashMap<MessageId, Long>,
}

/// The change that a committed batch makes to [`Progress`].
#[derive(Debug, Default)]
pub(crate) struct ProgressChange {
    answered: Vec<(ClaimId, MessageId)>,
    long: HashMap<MessageId, Option<Long>>,
}

impl Progress {
    pub(crate) fn claimed(&mut self, id: ClaimId, messages: Vec<MessageId>) {
        self.claims.insert(id, messages.into_iter().collect());
    }

    pub(crate) fn apply(&mut self, change: ProgressChange) {
        for (claim, message) in change.answered {
            if let Some(open) = self.claims.get_mut(&claim) {
                open.remove(&message);
                if open.is_empty() {
                    self.claims.remove(&claim);
                }
            }
        }
        for (message, long) in change.long {
            match long {
                Some(long) => drop(self.long.insert(message, long)),
                None => drop(self.long.remove(&message)),
            }
        }
    }
}

/// A part with the carrier's id, as this batch learnt it; receipts of the same batch and held ones look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartRow {
    m: i64,
    p: u8,
    n: u32,
    t: i64,
    pub(crate) c: i64,
    i: String,
    pub(crate) k: String,
}

/// What the answers of a batch brought.
pub(crate) struct AnswersOfBatch {
    pub(crate) parts: Vec<PartRow>,
    pub(crate) progress: ProgressChange,
}

/// Works through the batch's answers.
pub(crate) async fn answer(
    batch: &mut Batch,
    work: &[(Option<usize>, Entry)],
    progress: &Progress,
) -> Result<AnswersOfBatch> {
    let mut found = AnswersOfBatch { parts: Vec::new(), progress: ProgressChange::default() };
    let mut attempts = Vec::new();
    let mut decided = Vec::new();
    for (_, entry) in work {
        let Entry::Answered(answered) = entry else { continue };
        note_part(answered, &mut found.parts);
        kept::submitted(batch, answered);
        note_attempt(answered, &mut attempts);
        let whole = match &answered.outcome {
            Outcome::Late { .. } => Some((Worst::Taken, PartSet::default())),
            _ if answered.handed_over <= 1 => Some((Worst::of(&answered.outcome), PartSet::default())),
            _ => advance(answered, progress, &mut found.progress),
        };
        if let Some((worst, taken)) = whole {
            if !matches!(answered.outcome, Outcome::Late { .. }) {
                found.progress.answered.push((answered.claim, answered.message.id));
            }
            decided.push((answered, worst, taken));
        }
    }
    if decided.is_empty() && found.parts.is_empty() {
        return Ok(found);
    }
    write_parts(batch, &found.parts).await?;
    write_attempts(batch, attempts).await?;
    let surprising: Vec<MessageId> = decided
        .iter()
        .filter(|(answered, ..)| {
            answered.message.parts > 1
                || answered.message.maybe_twice
                || matches!(answered.outcome, Outcome::Late { .. })
        })
        .map(|(answered, ..)| answered.message.id)
        .collect();
    let states = states_of(batch, &surprising).await?;
    for (answered, worst, taken) in decided {
        let from = states.get(&answered.message.id).copied().unwrap_or(State::Queued);
        if let Worst::Blocked(why) = &worst {
            batch.after.push(After::Blocked(Destination::of(answered), why.clone()));
        }
        decide(batch, answered, worst, taken, from).await?;
    }
    shrink_claims(batch, progress, &found.progress).await?;
    Ok(found)
}

fn note_part(answered: &Answered, parts: &mut Vec<PartRow>) {
    let (Outcome::Taken { provider_id } | Outcome::Late { provider_id }) = &answered.outcome else { return };
    parts.push(PartRow {
        m: answered.message.id.raw(),
        p: answered.part,
        n: answered.message.attempts,
        t: answered.message.tenant.raw(),
        c: answered.connection.raw(),
        i: provider_id.clone(),
        k: sms::id::key(provider_id).into_owned(),
    });
}

fn note_attempt(answered: &Answered, attempts: &mut Vec<Attempt>) {
    let outcome = match &answered.outcome {
        Outcome::Taken { .. } | Outcome::AllTaken | Outcome::NotSent | Outcome::Expired => return,
        Outcome::Refused { class: Class::Throttled, .. } => return,
        Outcome::Refused { why, .. } => format!("refused: {why}"),
        Outcome::Blocked { why } => format!("not sent, as its recipient is blocked: {why}"),
        Outcome::Unanswered { why, .. } => format!("left, and no answer came: {why}"),
        Outcome::Unsendable { why } => format!("cannot be sent: {why}"),
        Outcome::Late { provider_id } => format!("answered late: {provider_id}"),
    };
    attempts.push(Attempt {
        tenant: answered.message.tenant,
        message: answered.message.id,
        part: answered.part,
        connection: Some(answered.connection),
        outcome,
    });
}

/// Counts a part of a long message; its worst answer when this was the last one.
fn advance(
    answered: &Answered,
    progress: &Progress,
    change: &mut ProgressChange,
) -> Option<(Worst, PartSet)> {
    let id = answered.message.id;
    let known = change
        .long
        .get(&id)
        .cloned()
        .flatten()
        .or_else(|| if change.long.contains_key(&id) { None } else { progress.long.get(&id).cloned() });
    let mut long =
        known.unwrap_or(Long { taken: answered.message.parts_done, answered: 0, worst: Worst::Taken });
    let worst = Worst::of(&answered.outcome);
    if worst == Worst::Taken {
        long.taken.insert(answered.part);
    }
    long.worst = long.worst.max(worst);
    long.answered += 1;
    if long.answered < answered.handed_over {
        change.long.insert(id, Some(long));
        return None;
    }
    change.long.insert(id, None);
    Some((long.worst, long.taken))
}

async fn write_parts(batch: &mut Batch, parts: &[PartRow]) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let rows: Rows = parts
        .iter()
        .map(|part| {
            [
                part.m.into(),
                part.p.into(),
                part.n.into(),
                part.t.into(),
                part.c.into(),
                (&part.i).into(),
                (&part.k).into(),
            ]
        })
        .collect();
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into part (message_id, part, attempt, tenant_id, connection_id, provider_id, provider_key, state, sent_at) \
                 select r.message, r.part, r.attempt, r.tenant, r.connection, r.id, r.key, 'sent', $1 \
                 from rows(message bigint, part bigint, attempt bigint, tenant bigint, connection bigint, id text, key text) r \
                 where true on conflict (message_id, part, attempt) do nothing"
            ),
            args![batch.now],
            rows,
        )
        .await?;
    Ok(())
}

record! { struct StateRecord { id: MessageId, state: String } }

/// The states that messages have now, for those whose state may have moved meanwhile.
pub(crate) async fn states_of(
    batch: &mut Batch,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, State>> {
    if messages.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<StateRecord> = batch
        .tx
        .all_rows(
            sql!(
                "select m.id, m.state from rows(id bigint) r join message m on m.id = r.id \
                 /* every tenant: by ids that the journal was given */"
            ),
            args![],
            messages.iter().map(|message| [(*message).into()]).collect(),
        )
        .await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.id, State::named(&row.state)?))).collect())
}

/// Brings a message to what its worst answer means.
async fn decide(
    batch: &mut Batch,
    answered: &Answered,
    worst: Worst,
    taken: PartSet,
    from: State,
) -> Result<()> {
    let (message, connection) = (&answered.message, Some(answered.connection));
    let late = matches!(answered.outcome, Outcome::Late { .. });
    if from.is_final() || (late && from != State::Indeterminate) {
        // What was answered late may be out again, and then keeps its place.
        batch.after.extend((!late).then_some(After::Release(message.id)));
        return Ok(());
    }
    let change = |state: State, error: Option<String>| MessageChange {
        message: message.id,
        state: state.as_str().into(),
        account: message.account,
        connection,
        error,
    };
    // What is in memory is looked at when its validity has ended, wherever it stands by then.
    let standing = |state, error, wake| Standing {
        state,
        connection,
        attempts: message.attempts + 1,
        maybe_twice: message.maybe_twice,
        error,
        wake,
    };
    // What is sent, ended or waiting in the table gives up its place in memory; what goes out again keeps it.
    let (mut place, mut ended) = (After::Release(message.id), None);
    match worst {
        Worst::Taken => {
            batch.count(message.tenant, Some(from), State::Sent);
            // Where its carrier is to be asked for it, it is looked at earlier.
            let first = batch.inquiries.first(answered.connection, batch.now, message.expires_at);
            batch.set(message.id, standing(State::Sent, None, first.map_or(Wake::AsBefore, Wake::At)));
            batch.event(message.tenant, Event::MessageSent(change(State::Sent, None)));
            taken_over(batch, answered)?;
        }
        // Nothing was tried: back to the front of the queue, and no attempt is counted.
        Worst::NotSent | Worst::Throttled => {
            place = again(message, taken, message.attempts, message.maybe_twice, answered.connection);
        }
        Worst::Temporary(why, _) if exhausted(batch, message) => {
            let why = format!("given up after {} attempts: {why}", message.attempts + 1);
            ended = Some((State::Failed, Some(why)));
        }
        Worst::Temporary(why, retry_s) => {
            let at = next_try(batch, message, &retry_s);
            batch.set(message.id, standing(State::Queued, Some(why.clone()), Wake::At(at)));
            batch.event(message.tenant, Event::MessageRetried(change(State::Queued, Some(why))));
        }
        Worst::Unanswered(why, resend)
            if resend.unwrap_or(message.intent.resends()) && may_try(batch, message) =>
        {
            // The first time at once; a carrier that stays silent is not asked again without a pause.
            let at_once = !message.maybe_twice;
            let wake = if at_once { Wake::AsBefore } else { Wake::At(next_try(batch, message, &[])) };
            let resent = standing(State::Queued, Some(why.clone()), wake);
            batch.set(message.id, Standing { maybe_twice: true, ..resent });
            batch.event(message.tenant, Event::MessageRetried(change(State::Queued, Some(why))));
            if at_once {
                place = again(message, taken, message.attempts + 1, true, answered.connection);
            }
        }
        Worst::Unanswered(why, _) => {
            batch.count(message.tenant, Some(from), State::Indeterminate);
            let wake = receipt_due(batch, message);
            batch.set(message.id, standing(State::Indeterminate, Some(why.clone()), wake));
            batch.event(message.tenant, Event::MessageIndeterminate(change(State::Indeterminate, Some(why))));
        }
        Worst::Expired => ended = Some((State::Expired, None)),
        Worst::Refused(why) | Worst::Blocked(why) => ended = Some((State::Rejected, Some(why))),
    }
    if let Some((to, why)) = ended {
        settle::end(batch, &settle::Ending::of(message, from, to, why), connection).await?;
    }
    batch.after.push(place);
    Ok(())
}

/// Until when a message of unknown fate waits for a receipt: nothing else can still tell.
fn receipt_due(batch: &Batch, message: &Outgoing) -> Wake {
    Wake::At(message.expires_at.max(batch.now.plus_ms(RECEIPT_WAIT_MS)))
}

/// Tells a customer who wants to hear of it, and keeps a message of one part at hand for its receipt. A name that others can have too is looked up in the table, which
/// has all of them.
fn taken_over(batch: &mut Batch, answered: &Answered) -> Result<()> {
    let Answered { message, connection, outcome, .. } = answered;
    if let Outcome::Taken { provider_id } = outcome
        && message.parts == 1
        && message.attempts == 0
        && !connectors::is_named_by_time(provider_id)
    {
        let key = (*connection, Box::from(sms::id::key(provider_id)));
        batch.sent.insert(key, message.clone());
    }
    dlr::taken_over(batch, message, *connection)
}

fn again(
    message: &Arc<Outgoing>,
    taken: PartSet,
    attempts: u32,
    maybe_twice: bool,
    connection: ConnectionId,
) -> After {
    let message = Arc::new(Outgoing {
        attempts,
        maybe_twice,
        parts_done: taken,
        sender: message.sender.clone(),
        recipient: message.recipient.clone(),
        body: message.body.clone(),
        options: message.options.clone(),
        ..**message
    });
    After::Dispatch(Queued { message, connection, first: true })
}

/// When a message is tried again, within its validity: by the schedule, whose last pause repeats, or without one doubling
/// from the shortest to the longest pause.
///
/// A quarter more or less, so that what failed together does not come back together; a schedule is kept to a twentieth.
fn next_try(batch: &Batch, message: &Outgoing, retry_s: &[u32]) -> Timestamp {
    next_look(batch, message.attempts, message.expires_at, retry_s)
}

/// As [`next_try`], for a message of so many attempts.
pub(crate) fn next_look(batch: &Batch, attempts: u32, expires_at: Timestamp, retry_s: &[u32]) -> Timestamp {
    let config = &batch.runtime.config.messaging;
    let nth = usize::try_from(attempts).unwrap_or(usize::MAX);
    let (pause, spread) = match retry_s.get(nth).or(retry_s.last()) {
        Some(seconds) => (u64::from(*seconds) * 1_000, 20),
        None => (config.retry_min_ms.saturating_mul(1 << attempts.min(16)).min(config.retry_max_ms), 4),
    };
    let pause = rand::rng().random_range(pause - pause / spread..=pause + pause / spread);
    batch.now.plus_ms(i64::try_from(pause).unwrap_or(i64::MAX)).min(expires_at)
}

/// Whether a message may be handed over once more.
fn may_try(batch: &Batch, message: &Outgoing) -> bool {
    batch.now < message.expires_at && !exhausted(batch, message)
}

/// Whether a message has been handed over as often as is allowed.
fn exhausted(batch: &Batch, message: &Outgoing) -> bool {
    message.attempts + 1 >= batch.runtime.config.messaging.attempts_max
}

/// Takes answered messages out of their claims, so that what stands in a claim is exactly what is out.
async fn shrink_claims(batch: &mut Batch, progress: &Progress, change: &ProgressChange) -> Result<()> {
    let mut open: HashMap<ClaimId, BTreeSet<MessageId>> = HashMap::new();
    for (claim, message) in &change.answered {
        let left =
            open.entry(*claim).or_insert_with(|| progress.claims.get(claim).cloned().unwrap_or_default());
        left.remove(message);
    }
    let (empty, left): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, messages)| messages.is_empty());
    if !empty.is_empty() {
        batch
            .tx
            .leave_rows(
                sql!("delete from claim where id in (select r.id from rows(id bigint) r)"),
                args![],
                empty.iter().map(|(claim, _)| [(*claim).into()]).collect(),
            )
            .await?;
    }
    if !left.is_empty() {
        let mut rows = Rows::with_capacity(left.len(), 2);
        for (claim, messages) in left {
            let raw: Vec<i64> = messages.iter().map(|message| message.raw()).collect();
            rows.push([claim.into(), serde_json::to_string(&raw).map_err(Error::internal)?.into()]);
        }
        batch
            .tx
            .leave_rows(
                sql!(
                    "update claim set messages = r.messages from rows(id bigint, messages text) r where claim.id = r.id"
                ),
                args![],
                rows,
            )
            .await?;
    }
    Ok(())
}
