//! The sending side of one bind: its open requests and where they are written to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime::measure::Histogram;
use runtime::wire::{Closed, Outlet};
use smpp::{Address, SmRef, Window};
use tokio::sync::{Notify, oneshot};

use super::gate::Turn;
use super::wire::Wire;
use crate::Queried;

/// Where a caller's PDU meets the session that happens to run.
pub(super) struct Lane<T, W: Wire> {
    sending: Mutex<Option<Sending<T, W>>>,
    /// Rung when the session should look: at unfit messages, or at too much that waits to be written.
    pub(super) attend: Notify,
    /// Of the last answer; 0 before the first.
    round_trip_us: AtomicU64,
    /// Of all answers, microseconds.
    pub(super) round_trips: Histogram,
    /// The session is to end when nothing is open, and to come back.
    renew: AtomicBool,
    /// The settings have changed.
    refresh: AtomicBool,
    /// Why the session is asked to step down.
    leave: Mutex<Option<&'static str>>,
}

struct Sending<T, W: Wire> {
    epoch: u64,
    outlet: Outlet,
    numbers: W::Numbers,
    window: Window<Open<T>>,
    /// Questions what became of messages. Each has a place like a message's own.
    questions: Window<Question>,
    /// What could not be written as a PDU, and why, until the session reports it. Each keeps its place in the window.
    unfit: Vec<(T, String)>,
}

impl<T, W: Wire> Sending<T, W> {
    /// The next number that no unanswered request has; `None` where all are in use.
    fn number(&mut self) -> Option<u32> {
        let (window, questions) = (&self.window, &self.questions);
        W::take_number(&mut self.numbers, |number| window.contains(number) || questions.contains(number))
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct Open<T> {
    pub(super) tag: T,
    /// When it was handed over, on the connection's clock.
    pub(super) sent_us: i64,
}

impl<T> Open<T> {
    pub(super) fn sent_ms(&self) -> i64 {
        self.sent_us / 1000
    }
}

/// A question what became of a message, until it is answered.
#[derive(Debug)]
pub(super) struct Question {
    /// Who wants to know. Where nobody does any more, the answer is thrown away.
    pub(super) asker: oneshot::Sender<Queried>,
    /// When it was asked, on the connection's clock.
    pub(super) sent_ms: i64,
}

/// What a closed lane leaves to be reported.
pub(super) struct Rest<T> {
    pub(super) open: Vec<(u32, Open<T>)>,
    pub(super) unfit: Vec<(T, String)>,
}

impl<T, W: Wire> Lane<T, W> {
    /// A lane without a session.
    pub(super) fn new() -> Self {
        Self {
            sending: Mutex::new(None),
            attend: Notify::new(),
            round_trip_us: AtomicU64::new(0),
            round_trips: Histogram::default(),
            renew: AtomicBool::new(false),
            refresh: AtomicBool::new(false),
            leave: Mutex::default(),
        }
    }

    /// Asks the session to end when nothing is open, and to come back.
    pub(super) fn ask_to_renew(&self) {
        self.renew.store(true, Ordering::Release);
        self.attend.notify_one();
    }

    /// Whether that was asked since the last look.
    pub(super) fn is_to_renew(&self) -> bool {
        self.renew.swap(false, Ordering::AcqRel)
    }

    /// Waits until that is asked.
    pub(super) async fn renewal(&self) {
        while !self.renew.load(Ordering::Acquire) {
            self.attend.notified().await;
        }
    }

    /// Asks the session to look at the settings again.
    pub(super) fn ask_to_refresh(&self) {
        self.refresh.store(true, Ordering::Release);
        self.attend.notify_one();
    }

    /// Whether that was asked since the last look.
    pub(super) fn is_to_refresh(&self) -> bool {
        self.refresh.swap(false, Ordering::AcqRel)
    }

    /// Lets the session have so many unanswered requests.
    pub(super) fn set_window(&self, window: usize) {
        if let Some(sending) = self.sending().as_mut() {
            sending.window.set_capacity(window);
            sending.questions.set_capacity(window);
        }
    }

    fn sending(&self) -> MutexGuard<'_, Option<Sending<T, W>>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the session to send nothing more and to end when nothing is open.
    pub(super) fn ask_to_leave(&self, why: &'static str) {
        *self.leave.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.attend.notify_one();
    }

    /// Why the session was asked to leave, once.
    pub(super) fn asked_to_leave(&self) -> Option<&'static str> {
        self.leave.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A session begins to send.
    pub(super) fn open(&self, epoch: u64, outlet: Outlet, numbers: W::Numbers, window: usize) {
        self.asked_to_leave();
        let (window, questions) = (Window::new(window), Window::new(window));
        *self.sending() = Some(Sending { epoch, outlet, numbers, window, questions, unfit: Vec::new() });
    }

    /// Writes a message into what its session sends next. Gives the octets that wait to be written.
    ///
    /// # Errors
    /// The tag: the session is gone, and nothing was written.
    pub(super) fn submit(
        &self,
        turn: Turn,
        (wire, sm): (&W::Writer, &SmRef<'_>),
        tag: T,
        now_us: i64,
        deadline_ms: i64,
    ) -> Result<usize, T> {
        let mut sending = self.sending();
        let Some(sending) = sending.as_mut().filter(|sending| sending.epoch == turn.epoch) else {
            return Err(tag);
        };
        let Some(number) = sending.number() else { return Err(tag) };
        // Noted before it is written; the lock keeps its answer from being looked for in between.
        let open = Open { tag, sent_us: now_us };
        if let Err(refused) = sending.window.insert(number, open, deadline_ms) {
            return Err(refused.into_item().tag);
        }
        let written = sending.outlet.write(|out| W::submit(wire, number, sm, out).map(|()| out.len()));
        if let Ok(Ok(waiting)) = written {
            return Ok(waiting);
        }
        let tag = sending.window.complete(number).expect("it was inserted above").tag;
        match written {
            Ok(Err(unfit)) => {
                sending.unfit.push((tag, unfit));
                self.attend.notify_one();
                Ok(0)
            }
            _ => Err(tag),
        }
    }

    /// Writes the question what became of a message.
    ///
    /// # Errors
    /// Why it was not asked, in words; nothing was written.
    pub(super) fn query(
        &self,
        turn: Turn,
        (wire, message): (&W::Writer, (&str, &Address)),
        now_ms: i64,
        deadline_ms: i64,
    ) -> Result<oneshot::Receiver<Queried>, String> {
        let gone = || "the session is gone".to_owned();
        let mut sending = self.sending();
        let sending = sending.as_mut().filter(|sending| sending.epoch == turn.epoch).ok_or_else(gone)?;
        let number = sending.number().ok_or_else(gone)?;
        let (asker, told) = oneshot::channel();
        let question = Question { asker, sent_ms: now_ms };
        if sending.questions.insert(number, question, deadline_ms).is_err() {
            return Err(gone());
        }
        let why = match sending.outlet.write(|out| W::query(wire, number, message, out)) {
            Ok(Ok(true)) => return Ok(told),
            Ok(Ok(false)) => format!("{} has no question for it", W::NAME),
            Ok(Err(unfit)) => unfit,
            Err(closed) => closed.to_string(),
        };
        sending.questions.complete(number);
        Err(why)
    }

    /// Whether a question has this number.
    pub(super) fn expects(&self, sequence: u32) -> bool {
        self.sending().as_ref().is_some_and(|sending| sending.questions.contains(sequence))
    }

    /// The question that an answer is for.
    pub(super) fn asked(&self, sequence: u32) -> Option<Question> {
        self.sending().as_mut()?.questions.complete(sequence)
    }

    /// The questions that waited until `now_ms` and longer than they should.
    pub(super) fn unanswered(&self, now_ms: i64) -> Vec<Question> {
        let expired = self.sending().as_mut().map(|sending| sending.questions.expired(now_ms));
        expired.unwrap_or_default().into_iter().map(|(_, question)| question).collect()
    }

    /// Writes a request of the session's own, with the next number. Where all numbers are in use nothing is written: the
    /// answers to those are awaited, and say as much.
    pub(super) fn write<R: Default>(&self, encode: impl FnOnce(u32, &mut Vec<u8>) -> R) -> Result<R, Closed> {
        let mut sending = self.sending();
        let sending = sending.as_mut().ok_or(Closed)?;
        match sending.number() {
            Some(number) => sending.outlet.write(|out| encode(number, out)),
            None => Ok(R::default()),
        }
    }

    /// The open request that an answer is for.
    pub(super) fn complete(&self, sequence: u32) -> Option<Open<T>> {
        self.sending().as_mut()?.window.complete(sequence)
    }

    /// The requests that waited until `now_ms` and longer than they should, by their sequence numbers.
    pub(super) fn expired(&self, now_ms: i64) -> Vec<(u32, Open<T>)> {
        self.sending().as_mut().map(|sending| sending.window.expired(now_ms)).unwrap_or_default()
    }

    /// The messages that could not be written as a PDU.
    pub(super) fn unfit(&self) -> Vec<(T, String)> {
        self.sending().as_mut().map(|sending| std::mem::take(&mut sending.unfit)).unwrap_or_default()
    }

    /// Remembers how long an answer took.
    pub(super) fn note_round_trip(&self, us: i64) {
        let us = u64::try_from(us).unwrap_or(0).max(1);
        self.round_trip_us.store(us, Ordering::Relaxed);
        self.round_trips.record(us);
    }

    /// How long the last answer took, microseconds.
    pub(super) fn round_trip_us(&self) -> Option<u64> {
        Some(self.round_trip_us.load(Ordering::Relaxed)).filter(|us| *us > 0)
    }

    /// Whether nothing is open.
    pub(super) fn is_idle(&self) -> bool {
        self.sending().as_ref().is_none_or(|sending| {
            sending.window.is_empty() && sending.questions.is_empty() && sending.unfit.is_empty()
        })
    }

    /// The session is over.
    pub(super) fn close(&self) -> Rest<T> {
        match self.sending().take() {
            Some(mut sending) => Rest { open: sending.window.drain(), unfit: sending.unfit },
            None => Rest { open: Vec::new(), unfit: Vec::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{smpp, ucp};
    use ::smpp::Sequence;

    const TURN: Turn = Turn { bind: 0, epoch: 4 };

    fn lane() -> (Lane<&'static str, smpp::Wire>, Outlet) {
        let (lane, outlet) = (Lane::new(), Outlet::new(1_000));
        lane.open(TURN.epoch, outlet.clone(), Sequence::starting_at(7), 2);
        (lane, outlet)
    }

    #[test]
    fn a_tag_comes_back_from_every_way_that_writes_nothing() {
        let (lane, outlet) = lane();
        let sm = (&(), &SmRef::default());
        assert_eq!(Lane::<_, smpp::Wire>::new().submit(TURN, sm, "no session", 0, 9), Err("no session"));
        assert_eq!(lane.submit(Turn { epoch: 3, ..TURN }, sm, "old", 0, 9), Err("old"));
        assert_eq!(lane.submit(TURN, sm, "a", 0, 9), Ok(33));
        assert_eq!(lane.submit(TURN, sm, "b", 0, 9), Ok(66));
        assert_eq!(lane.submit(TURN, sm, "full", 0, 9), Err("full"));
        lane.complete(7).unwrap();
        outlet.close();
        assert_eq!(lane.submit(TURN, sm, "closed", 0, 9), Err("closed"));
        assert_eq!(lane.close().open.into_iter().map(|(_, open)| open.tag).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn what_does_not_fit_writes_nothing_and_is_kept_to_be_told() {
        let (lane, outlet) = lane();
        let sm = SmRef { service_type: b"far too long", ..SmRef::default() };
        assert_eq!(lane.submit(TURN, (&(), &sm), "a", 0, 9), Ok(0));
        assert!(!lane.is_idle());
        assert_eq!(outlet.write(|out| out.len()), Ok(0));
        let unfit = lane.unfit();
        assert!(unfit[0].0 == "a" && unfit[0].1.contains("service_type"), "{unfit:?}");
        assert!(lane.is_idle());
    }

    #[test]
    fn a_number_in_use_is_left_out_and_none_is_left_when_all_are() {
        let lane = Lane::<u8, ucp::Wire>::new();
        lane.open(TURN.epoch, Outlet::new(100_000), ucp::Wire::numbers(), 100);
        let writer = ucp::Writer::default();
        for tag in 0..100 {
            assert!(lane.submit(TURN, (&writer, &SmRef::default()), tag, 0, 9).is_ok());
        }
        assert_eq!(lane.write(|number, _| Some(number)), Ok(None));
        lane.complete(7).unwrap();
        assert_eq!(lane.write(|number, _| Some(number)), Ok(Some(7)));
    }
}
