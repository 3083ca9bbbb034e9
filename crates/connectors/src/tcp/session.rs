//! One session, from its opening to its end: answers the peer, matches its answers, keeps the time-outs.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use runtime::trace::Tap;
use runtime::wire::Outlet;
use smpp::{Enquire, EnquireAction, Window};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::BindKind;
use super::gate::Turn;
use super::lane::Lane;
use super::shared::{Phase, Rules, Shared, later};
use super::wire::{Heard, Wire};
use crate::report::{Content, Owed, Reply};
use crate::{Answer, Class, Delivered, NoAnswer, Queried, Report, Way};

/// Octets asked of the socket at once.
pub(super) const READ_BYTES: usize = 16 * 1024;

/// Tags of timed-out requests that a session remembers for late answers, per place in its window.
const LATE_PER_PLACE: usize = 4;

/// How long such a tag is remembered, in response time-outs.
const LATE_TIMEOUTS: u64 = 20;

/// Looks at the clock per time-out: how exactly time-outs are kept.
const TICKS_PER_TIMEOUT: u64 = 8;

/// Why a session ends that somebody wanted anew.
pub(super) const RENEWED: &str = "renewed";

/// How long the last words of a session that is over may take to leave.
const FLUSH: Duration = Duration::from_secs(1);

/// What a PDU or a moment means for the session.
enum Flow {
    GoesOn,
    /// It is over, and why.
    Ends(String),
}

/// An open session.
pub(super) struct Session<T, W: Wire> {
    shared: Arc<Shared<T, W>>,
    rules: Arc<Rules<W>>,
    lane: Arc<Lane<T, W>>,
    reports: mpsc::Sender<Report<T>>,
    turn: Turn,
    kind: BindKind,
    peer: SocketAddr,
    outlet: Outlet,
    enquire: Enquire,
    /// Tags of requests that timed out, for answers that come all the same.
    late: Window<T>,
    /// When time-outs were last looked at.
    looked_ms: i64,
    /// Why no new request is sent: the session is bound anew once the open ones are answered.
    retired: Option<String>,
    /// We have said that we leave; until when the answer to that is awaited.
    unbinding: Option<Instant>,
    /// More waits to be written than should.
    clogged: bool,
}

impl<T: Clone + Send + 'static, W: Wire> Session<T, W> {
    /// Opens the lane: from here on the session is used.
    pub(super) fn begin(
        shared: Arc<Shared<T, W>>,
        reports: mpsc::Sender<Report<T>>,
        bind: usize,
        kind: BindKind,
        (peer, tap): (SocketAddr, Tap),
    ) -> Self {
        let (rules, lane) = (shared.rules.load_full(), shared.lane(bind));
        let settings = &rules.settings;
        let outlet = Outlet::new(settings.write_queue_bytes_max);
        outlet.set_tap(tap);
        let window = if kind.submits() { usize::from(settings.window) } else { 0 };
        let now_ms = shared.gate.now_ms();
        let enquire = enquire(&rules, now_ms);
        let mut gate = shared.gate.state();
        gate.counters.binds += 1;
        let epoch = gate.open(bind, window);
        drop(gate);
        lane.open(epoch, outlet.clone(), W::numbers(), window);
        shared.gate.ring();
        Self {
            shared,
            rules,
            lane,
            reports,
            turn: Turn { bind, epoch },
            kind,
            peer,
            outlet,
            enquire,
            late: Window::new((window * LATE_PER_PLACE).max(1)),
            looked_ms: now_ms,
            retired: None,
            unbinding: None,
            clogged: false,
        }
    }

    /// Lives until it ends, and gives the reason. Whatever was open is reported then.
    pub(super) async fn run(
        mut self,
        reader: impl AsyncRead + Unpin,
        writer: impl AsyncWrite + Unpin,
        wire: W,
    ) -> String {
        let outlet = self.outlet.clone();
        let mut pump = pin!(outlet.clone().pump(writer));
        let mut pumped = false;
        // What has come is taken before a failed write ends the session: it may answer what would count as lost.
        let why = tokio::select! {
            biased;
            why = self.converse(reader, wire) => why,
            () = &mut pump => {
                pumped = true;
                "the connection broke while writing".to_owned()
            }
        };
        self.shared.gate.state().close(self.turn.bind);
        outlet.close();
        if !pumped {
            // A last word, such as the answer to an unbind, still goes out where the peer reads.
            let _ = tokio::time::timeout(FLUSH, pump).await;
        }
        self.report_rest().await;
        why
    }

    /// Reports what was open when the session ended.
    async fn report_rest(&mut self) {
        let rest = self.lane().close();
        self.shared.gate.state().counters.lost += rest.open.len() as u64;
        self.report_unfit(rest.unfit).await;
        for (_, open) in rest.open {
            let way = self.way(open.sent_us);
            self.answer(open.tag, Answer::NoAnswer(NoAnswer::BindLost), way).await;
        }
    }

    fn lane(&self) -> &Lane<T, W> {
        &self.lane
    }

    /// Takes turns between the peer, the callers and the clock until the session ends.
    async fn converse(&mut self, mut reader: impl AsyncRead + Unpin, mut wire: W) -> String {
        let (shared, lane) = (Arc::clone(&self.shared), Arc::clone(&self.lane));
        let outlet = self.outlet.clone();
        let mut phase = shared.phase.subscribe();
        let mut ticks = tokio::time::interval(self.tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Flow::Ends(why) = self.take_all(&mut wire).await {
                return why;
            }
            self.attend().await;
            self.look_in_a_flood().await;
            shared.gate.ring();
            let ends_at = match self.step_down(*phase.borrow_and_update()) {
                Ok(ends_at) => ends_at,
                Err(why) => return why,
            };
            // The order is kept: time-outs are looked at only when nothing is left to be read, so that an answer which
            // waits in the socket is not taken for missing. What only wakes is seen to above, at every turn.
            tokio::select! {
                biased;
                read = read_when_room(&outlet, &mut reader, &mut wire) => {
                    if let Some(why) = self.was_read(read) {
                        return why;
                    }
                }
                () = lane.attend.notified() => {}
                changed = phase.changed() => if changed.is_err() { return "nobody is left".to_owned() },
                room = outlet.room(), if self.clogged => match room {
                    Ok(()) => {
                        self.clogged = false;
                        shared.gate.state().clog(self.turn, false);
                    }
                    Err(closed) => return closed.to_string(),
                },
                () = tokio::time::sleep_until(ends_at.unwrap_or_else(Instant::now)), if ends_at.is_some() => {}
                _ = ticks.tick() => if let Flow::Ends(why) = self.tick_passed().await {
                    return why;
                },
            }
        }
    }

    fn tick(&self) -> Duration {
        let settings = &self.rules.settings;
        let shortest_ms = settings.response_timeout_ms.min(settings.enquire_link_ms);
        Duration::from_millis((shortest_ms / TICKS_PER_TIMEOUT).clamp(1, 1_000))
    }

    /// Handles everything that was read whole.
    async fn take_all(&mut self, wire: &mut W) -> Flow {
        loop {
            match wire.heard(self.kind) {
                Ok(Some(heard)) => {
                    if let Flow::Ends(why) = self.take(heard).await {
                        return Flow::Ends(why);
                    }
                }
                Ok(None) => return Flow::GoesOn,
                Err(lost) => {
                    self.odd();
                    self.say(&lost.last_word);
                    return Flow::Ends(lost.why);
                }
            }
        }
    }

    /// What a read gave; the reason where it was the last.
    fn was_read(&mut self, read: std::io::Result<usize>) -> Option<String> {
        match read {
            Ok(0) if self.unbinding.is_some() => Some(self.farewell()),
            Ok(0) => Some("the peer closed the connection".to_owned()),
            Ok(_) => {
                self.enquire.heard(self.shared.gate.now_ms());
                None
            }
            Err(error) => Some(format!("the connection broke: {error}")),
        }
    }

    /// One thing that the peer said.
    async fn take(&mut self, heard: Heard) -> Flow {
        match heard {
            Heard::Answered { number, answer, congestion } => self.answered(number, answer, congestion).await,
            Heard::Told { number, told } => self.told(number, told),
            Heard::Delivered(content, owed) => self.delivered(content, owed).await,
            Heard::Asked(answer) => self.say(&answer),
            Heard::Alive => {}
            Heard::Notice => self.shared.gate.state().counters.notices += 1,
            Heard::Reachable { phone } => {
                self.shared.gate.state().counters.notices += 1;
                self.emit(Report::Reachable { phone }).await;
            }
            Heard::Left(answer) => {
                self.say(&answer);
                return Flow::Ends(format!("the peer {}", W::LEFT));
            }
            Heard::MayLeave if self.unbinding.is_some() => return Flow::Ends(self.farewell()),
            Heard::Odd(answer) => {
                self.odd();
                self.say(&answer);
            }
            Heard::MayLeave | Heard::LoggedIn { .. } | Heard::LoginRefused { .. } => self.odd(),
        }
        Flow::GoesOn
    }

    /// The answer to a message.
    async fn answered(&mut self, number: u32, answer: Answer, congestion: Option<u8>) {
        let Some(open) = self.lane().complete(number) else {
            // What refuses any request may refuse a question.
            if let Answer::Refused { refusal, .. } = &answer
                && self.lane().expects(number)
            {
                return self.told(number, Queried::Refused(refusal.clone()));
            }
            return self.answered_late(number, answer).await;
        };
        let answer = answer.read_by(&self.rules.settings.classes);
        let (sent_ms, now_us) = (open.sent_ms(), self.shared.gate.now_us());
        self.lane().note_round_trip(now_us - open.sent_us);
        self.govern(&answer, congestion, sent_ms, now_us / 1000);
        let way = self.way(open.sent_us);
        self.answer(open.tag, answer, way).await;
    }

    /// The answer to a question what became of a message.
    fn told(&mut self, number: u32, told: Queried) {
        let Some(question) = self.lane().asked(number) else { return self.odd() };
        let now_ms = self.shared.gate.now_ms();
        let mut gate = self.shared.gate.state();
        gate.release(self.turn);
        if let Queried::Refused(refusal) = &told
            && refusal.class() == Class::Throttled
        {
            gate.throttle.too_fast(question.sent_ms, now_ms, rand::random());
        }
        drop(gate);
        // Nobody wants to know any more.
        let _ = question.asker.send(told);
    }

    /// What an answer means for all that follow.
    fn govern(&mut self, answer: &Answer, congestion: Option<u8>, sent_ms: i64, now_ms: i64) {
        let chance = rand::random();
        let mut gate = self.shared.gate.state();
        gate.release(self.turn);
        gate.throttle.congestion(congestion, sent_ms, now_ms, chance);
        let Answer::Refused { refusal, class } = answer else {
            gate.throttle.accepted(sent_ms, now_ms);
            gate.counters.accepted += 1;
            return;
        };
        match class {
            Class::Throttled => gate.throttle.too_fast(sent_ms, now_ms, chance),
            Class::QueueFull => gate.throttle.queue_full(sent_ms, now_ms, chance),
            // The others of the window may still be answered; a sudden end would leave their fate unknown.
            Class::Reconnect => gate.retire(self.turn.bind),
            Class::Permanent | Class::Temporary | Class::Blocked => {}
        }
        gate.counters.refused += 1;
        gate.counters.throttled += u64::from(matches!(class, Class::Throttled | Class::QueueFull));
        drop(gate);
        if *class == Class::Reconnect && self.retired.is_none() {
            self.retired = Some(format!("the peer no longer knows the session: {refusal}"));
        }
    }

    async fn answered_late(&mut self, sequence: u32, answer: Answer) {
        match self.late.complete(sequence) {
            Some(tag) => {
                let answer = answer.read_by(&self.rules.settings.classes);
                self.shared.gate.state().counters.late += 1;
                let at_ms = self.shared.clock.now().unix_ms();
                self.emit(Report::Late { tag, answer, at_ms }).await;
            }
            None => self.odd(),
        }
    }

    /// A message or receipt. It is taken on any session: refusing one that comes on a transmitter would only lose it.
    async fn delivered(&mut self, content: Content, owed: Owed) {
        self.shared.gate.state().counters.delivered += 1;
        let delivered = Delivered {
            content,
            peer: self.peer,
            at_ms: self.shared.clock.now().unix_ms(),
            reply: Reply::new(self.outlet.clone(), owed),
        };
        self.emit(Report::Delivered(delivered)).await;
    }

    /// Sees to what callers have left.
    async fn attend(&mut self) {
        if self.lane.is_to_refresh() {
            self.rules = self.shared.rules.load_full();
            self.enquire = enquire(&self.rules, self.shared.gate.now_ms());
        }
        if self.lane.is_to_renew() && self.retired.is_none() {
            self.shared.gate.state().retire(self.turn.bind);
            self.retired = Some(RENEWED.to_owned());
        }
        let unfit = self.lane().unfit();
        self.report_unfit(unfit).await;
        let asked = self.lane().asked_to_leave();
        let mut gate = self.shared.gate.state();
        self.clogged = gate.is_clogged(self.turn);
        if let Some(why) = asked.filter(|_| self.retired.is_none()) {
            gate.retire(self.turn.bind);
            drop(gate);
            self.retired = Some(why.to_owned());
        }
    }

    async fn report_unfit(&mut self, unfit: Vec<(T, String)>) {
        for (tag, why) in unfit {
            self.shared.gate.state().settle(self.turn, |counters| counters.unfit += 1);
            self.answer(tag, Answer::Unfit(why), None).await;
        }
    }

    async fn tick_passed(&mut self) -> Flow {
        let now_ms = self.shared.gate.now_ms();
        self.expire(now_ms).await;
        match self.enquire.poll(now_ms) {
            EnquireAction::Wait { .. } => Flow::GoesOn,
            EnquireAction::Send => {
                let writer = &self.rules.writer;
                match self.lane().write(|number, out| W::ask(writer, number, out)) {
                    Ok(()) => Flow::GoesOn,
                    Err(closed) => Flow::Ends(closed.to_string()),
                }
            }
            EnquireAction::Dead => Flow::Ends(format!("the peer left {} unanswered", W::QUESTION)),
        }
    }

    /// A peer that never stops sending keeps the clock from its turn. Its answers may lag behind by one more time-out, then
    /// they are missing.
    async fn look_in_a_flood(&mut self) {
        let now_ms = self.shared.gate.now_ms();
        let timeout_ms = self.rules.settings.response_timeout_ms;
        if now_ms > self.looked_ms.saturating_add_unsigned(timeout_ms) {
            self.expire(now_ms.saturating_sub_unsigned(timeout_ms)).await;
            self.looked_ms = now_ms;
        }
    }

    /// Frees the places of requests without an answer, and remembers their tags for a while.
    async fn expire(&mut self, as_of_ms: i64) {
        self.looked_ms = as_of_ms.max(self.looked_ms);
        self.late.expired(as_of_ms);
        let keep_ms = self.rules.settings.response_timeout_ms.saturating_mul(LATE_TIMEOUTS);
        for question in self.lane().unanswered(as_of_ms) {
            self.shared.gate.state().release(self.turn);
            let _ = question.asker.send(Queried::NoAnswer(NoAnswer::TimedOut));
        }
        for (sequence, open) in self.lane().expired(as_of_ms) {
            self.shared.gate.state().settle(self.turn, |counters| counters.timed_out += 1);
            if let Some(oldest) = self.late.next_deadline().filter(|_| self.late.is_full()) {
                self.late.expired(oldest);
            }
            let until_ms = as_of_ms.saturating_add_unsigned(keep_ms);
            // Refused only where the number is in use: so soon numbers do not come round, or the session is given up.
            let _ = self.late.insert(sequence, open.tag.clone(), until_ms);
            if W::NUMBERS_RECUR && self.retired.is_none() {
                self.shared.gate.state().retire(self.turn.bind);
                self.retired = Some("the peer left a message unanswered".to_owned());
            }
            let way = self.way(open.sent_us);
            self.answer(open.tag, Answer::NoAnswer(NoAnswer::TimedOut), way).await;
        }
    }

    /// Leaves when it is time to. Gives when the session ends at the latest, or why it ends now.
    fn step_down(&mut self, phase: Phase) -> Result<Option<Instant>, String> {
        let stop_by = match phase {
            Phase::Stopping { by } => Some(by),
            Phase::Running | Phase::Draining if self.retired.is_none() => return Ok(None),
            Phase::Running | Phase::Draining => None,
        };
        let now = Instant::now();
        if self.unbinding.is_none() && (self.lane().is_idle() || stop_by.is_some_and(|by| by <= now)) {
            let answered = self.lane().write(W::log_out).map_err(|closed| closed.to_string())?;
            let patience_ms = if answered { self.rules.settings.response_timeout_ms } else { 0 };
            self.unbinding = Some(later(now, patience_ms));
        }
        let ends_at = [stop_by, self.unbinding].into_iter().flatten().min();
        if ends_at.is_some_and(|at| at <= now) { Err(self.farewell()) } else { Ok(ends_at) }
    }

    fn farewell(&mut self) -> String {
        self.retired.take().unwrap_or_else(|| W::LEFT.to_owned())
    }

    /// How a request left that was handed over then.
    fn way(&self, sent_us: i64) -> Option<Way> {
        let took_us = u64::try_from(self.shared.gate.now_us() - sent_us).unwrap_or(0);
        Some(Way { bind: self.turn.bind as u64 + 1, took_us })
    }

    async fn answer(&mut self, tag: T, answer: Answer, way: Option<Way>) {
        let at_ms = self.shared.clock.now().unix_ms();
        self.emit(Report::Answered { tag, answer, way, at_ms }).await;
    }

    /// Hands a report over. A slow owner is waited for; where there is none any more, the connection is stopping already.
    async fn emit(&mut self, report: Report<T>) {
        if let Err(mpsc::error::TrySendError::Full(report)) = self.reports.try_send(report) {
            self.shared.gate.ring();
            let _ = self.reports.send(report).await;
            // The peer may have answered long ago; it was not the one who was late.
            self.looked_ms = self.shared.gate.now_ms();
        }
    }

    fn odd(&self) {
        self.shared.gate.state().counters.odd += 1;
    }

    fn say(&self, octets: &[u8]) {
        if !octets.is_empty() {
            // Closed means the session ends with the next turn.
            let _ = self.outlet.write(|out| out.extend_from_slice(octets));
        }
    }
}

/// When the peer is asked whether it is there.
fn enquire<W: Wire>(rules: &Rules<W>, now_ms: i64) -> Enquire {
    let settings = &rules.settings;
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    Enquire::new(
        signed(settings.enquire_link_ms),
        signed(settings.response_timeout_ms),
        settings.enquire_missed_max,
        now_ms,
    )
}

/// Reads, but not while the peer leaves unread what we answer. May be dropped at any time without losing an octet.
async fn read_when_room<W: Wire>(
    outlet: &Outlet,
    reader: &mut (impl AsyncRead + Unpin),
    wire: &mut W,
) -> std::io::Result<usize> {
    outlet.room().await.map_err(std::io::Error::other)?;
    reader.read_buf(wire.buffer(READ_BYTES)).await
}
