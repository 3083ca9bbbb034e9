//! Giving a session its account's receipts and inbound messages.
//!
//! A task takes from the account's line as much as the window has room for and writes it; the session's reader brings the
//! answers. What was taken over is removed from the table; what was refused for now comes again later; what got no answer
//! goes back to its place in the line, for whichever session is next.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::wire::Outlet;
use smpp::{RetryClass, Status, Version, Window};
use tokio::sync::Notify;
use types::Timestamp;

use crate::account::AccountSettings;
use crate::engine::Engine;
use crate::journal::Entry;
use crate::push::{Push, Receiver, Taken, Waiting};
use crate::sessions::Session;
use crate::smpp_server::deliver_sm;
use crate::ucp_server::delivery;

/// How long to wait after the table could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// The longest sleep, so that a clock that was set is noticed.
const NAP: Duration = Duration::from_secs(60);

/// How a session's protocol writes what it is given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// deliver_sm, for a peer of this version.
    Smpp(Version),
    /// Operations 52 and 53.
    Ucp,
}

/// A push as the PDUs that it is given in.
enum Parts {
    Smpp(deliver_sm::Parts),
    Ucp(delivery::Parts),
}

impl Form {
    /// Deliveries that can be unanswered.
    fn window_max(self) -> usize {
        match self {
            Self::Smpp(_) => usize::MAX,
            Self::Ucp => usize::from(ucp::TRNS),
        }
    }

    /// Numbers come round so soon that a late answer could be taken for another's.
    fn numbers_recur(self) -> bool {
        matches!(self, Self::Ucp)
    }

    fn parts(self, push: &Push, settings: &AccountSettings) -> Result<Parts, &'static str> {
        match self {
            Self::Smpp(version) => deliver_sm::parts(push, version, settings).map(Parts::Smpp),
            Self::Ucp => delivery::parts(push).map(Parts::Ucp),
        }
    }
}

impl Parts {
    fn count(&self) -> usize {
        match self {
            Self::Smpp(parts) => parts.count(),
            Self::Ucp(parts) => parts.count(),
        }
    }

    fn encode(&self, part: usize, push: &Push, number: u32, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Smpp(parts) => parts.encode(part, push, number, out).map_err(|error| error.to_string()),
            Self::Ucp(parts) => parts.encode(part, number, out).map_err(|error| error.to_string()),
        }
    }
}

/// One session's deliveries.
pub(crate) struct Deliver {
    engine: Engine,
    session: Arc<Session>,
    outlet: Outlet,
    form: Form,
    state: Mutex<State>,
    /// Transaction numbers, where they come round soon.
    trns: Mutex<ucp::Trns>,
    /// Rung when the window has room again, or the session ends.
    changed: Notify,
    receiver: Receiver,
}

struct State {
    /// What each unanswered deliver_sm is a part of.
    window: Window<Part>,
    loads: HashMap<i64, Load>,
    /// Counts the loads.
    turns: u64,
    /// False when nothing more is to be given.
    giving: bool,
    /// The peer asked for a pause: nothing before this time.
    paused_until: Option<Timestamp>,
    /// How long the last pause was; 0 after an acceptance.
    pause_ms: u64,
}

/// One deliver_sm that is out.
#[derive(Clone, Copy)]
struct Part {
    push: i64,
    turn: u64,
}

/// A push that is under way.
struct Load {
    waiting: Waiting,
    /// Tells it from an earlier time that the same push was under way: late answers to that must not count for this.
    turn: u64,
    /// Parts that are not answered yet.
    unanswered: usize,
    verdict: Verdict,
}

/// What the answers to a push's parts amount to; of several the last in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Taken,
    /// Not before a pause of the whole session.
    Throttled,
    /// Not now.
    Later,
    /// Never.
    Refused,
}

impl Verdict {
    fn of(status: Status) -> Self {
        match status.class() {
            RetryClass::Success => Self::Taken,
            RetryClass::Throttled => Self::Throttled,
            RetryClass::Temporary | RetryClass::QueueFull | RetryClass::ReconnectNeeded => Self::Later,
            // The receiver of all is the customer's one system, so a blocked destination is this message's matter.
            RetryClass::Permanent | RetryClass::DestinationBlocked => Self::Refused,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Throttled => "throttled",
            Self::Later => "put off",
            Self::Refused => "refused",
        }
    }
}

/// What the task does next.
enum Step {
    Take(usize),
    Wait(Option<Timestamp>),
    End,
}

impl Deliver {
    /// Starts the task that gives; it ends after [`Deliver::stop`].
    pub(crate) fn start(engine: &Engine, session: Arc<Session>, outlet: Outlet, form: Form) -> Arc<Self> {
        let window = (session.window() as usize).min(form.window_max());
        let deliver = Arc::new(Self {
            receiver: engine.pushes().receive(session.account),
            engine: engine.clone(),
            session,
            outlet,
            form,
            trns: Mutex::default(),
            state: Mutex::new(State {
                window: Window::new(window),
                loads: HashMap::new(),
                turns: 0,
                giving: true,
                paused_until: None,
                pause_ms: 0,
            }),
            changed: Notify::new(),
        });
        engine.runtime().tasks.spawn("deliver", Arc::clone(&deliver).run());
        deliver
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.engine.runtime().clock.now()
    }

    /// Gives nothing more; answers are still taken.
    pub(crate) fn stop(&self) {
        self.lock().giving = false;
        self.changed.notify_one();
    }

    /// The session is over: what is not answered goes back to the line.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        state.giving = false;
        state.window.drain();
        let unanswered: Vec<Waiting> = state.loads.drain().map(|(_, load)| load.waiting).collect();
        drop(state);
        self.receiver.give_back(unanswered);
        self.changed.notify_one();
    }

    async fn run(self: Arc<Self>) {
        let mut out = Vec::new();
        loop {
            self.expire();
            let until = match self.step() {
                Step::End => return,
                Step::Wait(until) => until,
                Step::Take(room) => {
                    if self.outlet.room().await.is_err() {
                        return;
                    }
                    match self.receiver.take(room, self.now()) {
                        Taken::Give(pushes) => {
                            self.give(pushes, &mut out).await;
                            continue;
                        }
                        Taken::Expired(ids) => {
                            count("expired", ids.len());
                            for id in ids {
                                self.remove(id).await;
                            }
                            continue;
                        }
                        Taken::Page(after) => {
                            self.read(after).await;
                            continue;
                        }
                        Taken::Nothing(due) => {
                            let sleep = self.nap(due);
                            tokio::select! {
                                () = self.receiver.filled() => {}
                                () = self.changed.notified() => {}
                                () = sleep => {}
                            }
                            continue;
                        }
                    }
                }
            };
            let sleep = self.nap(until);
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep => {}
            }
        }
    }

    fn step(&self) -> Step {
        let now = self.now();
        let mut state = self.lock();
        if !state.giving {
            return Step::End;
        }
        if state.paused_until.is_some_and(|until| until <= now) {
            state.paused_until = None;
        }
        state.window.set_capacity((self.session.window() as usize).min(self.form.window_max()));
        let room = state.window.capacity().saturating_sub(state.window.len());
        match state.paused_until {
            Some(until) => Step::Wait(Some(until)),
            None if room == 0 => Step::Wait(None),
            None => Step::Take(room),
        }
    }

    /// Sleeps until a time or until the first unanswered deliver_sm expires, whichever is earlier.
    fn nap(&self, until: Option<Timestamp>) -> tokio::time::Sleep {
        let deadline = self.lock().window.next_deadline().map(Timestamp::from_unix_ms);
        let now = self.now();
        let earliest = [until, deadline].into_iter().flatten().min();
        let ms = earliest.map_or(u64::MAX, |at| u64::try_from(at.since_ms(now)).unwrap_or(0).max(1));
        tokio::time::sleep(Duration::from_millis(ms).min(NAP))
    }

    async fn read(&self, after: i64) {
        if let Err(error) = self.receiver.read_page(self.engine.runtime(), self.engine.journal(), after).await
        {
            tracing::warn!(?error, account = %self.session.account, "receipts and inbound messages cannot be read; tried again");
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(READ_AGAIN) => {}
            }
        }
    }

    async fn give(&self, pushes: Vec<Waiting>, out: &mut Vec<u8>) {
        let mut pushes = pushes.into_iter();
        for waiting in pushes.by_ref() {
            match self.form.parts(&waiting.push, &self.session.sender().settings) {
                Ok(parts) => {
                    if !self.give_one(waiting, &parts, out).await {
                        break;
                    }
                }
                Err(why) => self.drop_unsendable(waiting.push.id, why).await,
            }
        }
        self.flush(out);
        // Only when the session ends in the middle is anything left.
        self.receiver.give_back(pushes);
    }

    /// Writes all parts of a push, waiting for the window between them. False when the session gives no more.
    async fn give_one(&self, waiting: Waiting, parts: &Parts, out: &mut Vec<u8>) -> bool {
        let push = Arc::clone(&waiting.push);
        let turn = {
            let mut state = self.lock();
            if !state.giving {
                drop(state);
                self.receiver.give_back([waiting]);
                return false;
            }
            state.turns += 1;
            let turn = state.turns;
            let load = Load { waiting, turn, unanswered: parts.count(), verdict: Verdict::Taken };
            state.loads.insert(push.id, load);
            turn
        };
        for part in 0..parts.count() {
            if !self.window_has_room(push.id, out).await {
                // Settled by the answer to an earlier part, or by the session's end.
                return self.lock().giving;
            }
            let sequence = self.number();
            if let Err(error) = parts.encode(part, &push, sequence, out) {
                self.lock().loads.remove(&push.id);
                tracing::debug!(error, "a push does not fit its PDU");
                self.drop_unsendable(push.id, "a field does not fit").await;
                return true;
            }
            let timeout = self.engine.runtime().config.smpp.response_timeout_ms;
            let deadline = self.now().unix_ms().saturating_add_unsigned(timeout);
            // A number is taken only when no unanswered delivery has it, and only this task fills the window.
            let _ = self.lock().window.insert(sequence, Part { push: push.id, turn }, deadline);
        }
        true
    }

    /// Waits until the window has room for the next part; false when the push is no longer under way.
    async fn window_has_room(&self, push: i64, out: &mut Vec<u8>) -> bool {
        loop {
            {
                let state = self.lock();
                if !state.giving || !state.loads.contains_key(&push) {
                    return false;
                }
                if !state.window.is_full() {
                    return true;
                }
            }
            self.flush(out);
            let sleep = self.nap(None);
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep => {}
            }
            self.expire();
        }
    }

    /// The number of the next delivery; no unanswered one has it.
    fn number(&self) -> u32 {
        match self.form {
            Form::Smpp(_) => self.session.next_sequence(),
            // The window is not full, so there is one.
            Form::Ucp => self.trn().map_or(0, u32::from),
        }
    }

    /// A transaction number that no unanswered delivery has.
    pub(crate) fn trn(&self) -> Option<u8> {
        let state = self.lock();
        let in_use = |trn: u8| state.window.contains(u32::from(trn));
        self.trns.lock().unwrap_or_else(PoisonError::into_inner).take(in_use)
    }

    fn flush(&self, out: &mut Vec<u8>) {
        if !out.is_empty() {
            // Closed: the session's end puts back what is unanswered.
            let _ = self.outlet.write(|pending| pending.extend_from_slice(out));
            out.clear();
        }
    }

    /// Takes the peer's answer to a deliver_sm. Late and unknown ones change nothing.
    pub(crate) async fn answered(&self, sequence: u32, status: Status) {
        let settled = self.settle(sequence, status);
        self.changed.notify_one();
        let Some((waiting, verdict)) = settled else { return };
        count(verdict.as_str(), 1);
        if verdict != Verdict::Taken {
            self.session.meter.not_given.fetch_add(1, Ordering::Relaxed);
        }
        match verdict {
            Verdict::Taken => {
                self.session.took(self.now());
                self.remove(waiting.push.id).await;
            }
            Verdict::Refused => {
                tracing::info!(
                    account = %self.session.account, about = %waiting.push.message, %status,
                    "the customer's system refused a receipt or inbound message for good"
                );
                self.remove(waiting.push.id).await;
            }
            Verdict::Later => self.receiver.retry(waiting, self.now()),
            Verdict::Throttled => self.receiver.give_back([waiting]),
        }
    }

    /// Notes an answer; gives the push when it was the answer to its last part, or one that decides.
    fn settle(&self, sequence: u32, status: Status) -> Option<(Waiting, Verdict)> {
        let config = &self.engine.runtime().config.smpp;
        let now = self.now();
        let mut state = self.lock();
        let part = state.window.complete(sequence)?;
        let verdict = Verdict::of(status);
        match verdict {
            Verdict::Taken => state.pause_ms = 0,
            // The answers to what was sent before the pause do not prolong it.
            Verdict::Throttled if state.paused_until.is_none() => {
                state.pause_ms = (state.pause_ms * 2)
                    .clamp(config.throttle_min_ms, config.throttle_max_ms.max(config.throttle_min_ms));
                state.paused_until = Some(now.plus_ms(i64::try_from(state.pause_ms).unwrap_or(i64::MAX)));
            }
            _ => {}
        }
        let load = state.loads.get_mut(&part.push).filter(|load| load.turn == part.turn)?;
        load.unanswered = load.unanswered.saturating_sub(1);
        load.verdict = load.verdict.max(verdict);
        let decided = load.unanswered == 0 || load.verdict != Verdict::Taken;
        if decided { state.loads.remove(&part.push).map(|load| (load.waiting, load.verdict)) } else { None }
    }

    /// Frees what was not answered in time: it may have been taken, and is given again.
    fn expire(&self) {
        let now = self.now();
        let mut state = self.lock();
        if state.window.next_deadline().is_none_or(|deadline| deadline > now.unix_ms()) {
            return;
        }
        let expired = state.window.expired(now.unix_ms());
        let silent: Vec<Waiting> = expired
            .into_iter()
            .filter(|(_, part)| state.loads.get(&part.push).is_some_and(|load| load.turn == part.turn))
            .map(|(_, part)| part.push)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter_map(|push| state.loads.remove(&push).map(|load| load.waiting))
            .collect();
        drop(state);
        count("unanswered", silent.len());
        self.session.meter.not_given.fetch_add(silent.len() as u64, Ordering::Relaxed);
        if self.form.numbers_recur() && !silent.is_empty() {
            // A late answer would be taken for that to whatever has the number next.
            self.lock().giving = false;
            self.session.ending.cancel();
        }
        for mut waiting in silent {
            // At once the first time; a peer that never answers is asked less and less often.
            if waiting.attempts == 0 {
                waiting.attempts = 1;
                self.receiver.give_back([waiting]);
            } else {
                self.receiver.retry(waiting, now);
            }
        }
    }

    async fn drop_unsendable(&self, push: i64, why: &'static str) {
        tracing::warn!(account = %self.session.account, push, why, "a receipt or inbound message cannot be given and is dropped");
        count("unsendable", 1);
        self.remove(push).await;
    }

    /// Lets the journal take a push out of the table.
    async fn remove(&self, push: i64) {
        if let Err(error) = self.engine.journal().leave(Entry::Pushed { id: push }).await {
            tracing::warn!(?error, push, "a push that is done with stays in the table and is given again");
        }
    }
}

fn count(outcome: &'static str, pushes: usize) {
    if pushes > 0 {
        metrics::counter!("switchboard_pushes_total", "outcome" => outcome).increment(pushes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_is_not_taken_decides_for_all() {
        for (statuses, verdict) in [
            (vec![Status::ROK, Status::ROK], Verdict::Taken),
            (vec![Status::ROK, Status::RTHROTTLED], Verdict::Throttled),
            (vec![Status::RX_T_APPN], Verdict::Later),
            (vec![Status::RMSGQFUL], Verdict::Later),
            (vec![Status::RSYSERR, Status::RX_P_APPN], Verdict::Refused),
            (vec![Status(0x4FF)], Verdict::Refused),
        ] {
            assert_eq!(statuses.into_iter().map(Verdict::of).max(), Some(verdict));
        }
    }
}
