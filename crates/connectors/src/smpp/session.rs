//! One session, from the bind response to its end: answers the peer, matches its answers, keeps the time-outs.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use runtime::wire::Outlet;
use smpp::session::{State as Bound, refusal};
use smpp::{
    CommandId, DataSm, DecodeError, EncodeError, Enquire, EnquireAction, Framer, Header, MessageIdResp, Mode,
    Pdu, RetryClass, Role, Sequence, Sm, Status, Window, decode, encode_header,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::gate::Turn;
use super::lane::Lane;
use super::report::Reply;
use super::shared::{Phase, Shared, later};
use super::{Answer, BindKind, Delivered, NoAnswer, Report};

/// Octets asked of the socket at once.
pub(super) const READ_BYTES: usize = 16 * 1024;

/// Tags of timed-out requests that a session remembers for late answers, per place in its window.
const LATE_PER_PLACE: usize = 4;

/// How long such a tag is remembered, in response time-outs.
const LATE_TIMEOUTS: u64 = 20;

/// Looks at the clock per time-out: how exactly time-outs are kept.
const TICKS_PER_TIMEOUT: u64 = 8;

/// How long the last words of a session that is over may take to leave.
const FLUSH: Duration = Duration::from_secs(1);

/// What a PDU or a moment means for the session.
#[derive(Debug)]
enum Flow {
    GoesOn,
    /// It is over, and why.
    Ends(String),
}

/// A bound session.
pub(super) struct Session<T> {
    shared: Arc<Shared<T>>,
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
    /// Our unbind is sent; until when its answer is awaited.
    unbinding: Option<Instant>,
    /// More waits to be written than should.
    clogged: bool,
}

impl<T: Clone + Send + 'static> Session<T> {
    /// Opens the lane: from here on the session is used.
    pub(super) fn begin(
        shared: Arc<Shared<T>>,
        reports: mpsc::Sender<Report<T>>,
        bind: usize,
        kind: BindKind,
        peer: SocketAddr,
        sequence: Sequence,
    ) -> Self {
        let settings = &shared.settings;
        let outlet = Outlet::new(settings.write_queue_bytes_max);
        let window = if kind.submits() { usize::from(settings.window) } else { 0 };
        let now_ms = shared.gate.now_ms();
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let enquire = Enquire::new(
            signed(settings.enquire_link_ms),
            signed(settings.response_timeout_ms),
            settings.enquire_missed_max,
            now_ms,
        );
        let mut gate = shared.gate.state();
        gate.counters.binds += 1;
        let epoch = gate.open(bind, window);
        drop(gate);
        shared.lanes[bind].open(epoch, outlet.clone(), sequence, window);
        shared.gate.ring();
        Self {
            shared,
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
        framer: Framer,
    ) -> String {
        let outlet = self.outlet.clone();
        let mut pump = pin!(outlet.clone().pump(writer));
        let mut pumped = false;
        // What has come is taken before a failed write ends the session: it may answer what would count as lost.
        let why = tokio::select! {
            biased;
            why = self.converse(reader, framer) => why,
            () = &mut pump => {
                pumped = true;
                "the connection broke while writing".to_owned()
            }
        };
        self.shared.gate.state().close(self.turn.bind);
        outlet.close();
        if !pumped {
            // A last word, such as unbind_resp or generic_nack, still goes out where the peer reads.
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
            self.answer(open.tag, Answer::NoAnswer(NoAnswer::BindLost)).await;
        }
    }

    fn lane(&self) -> &Lane<T> {
        &self.shared.lanes[self.turn.bind]
    }

    /// Takes turns between the peer, the callers and the clock until the session ends.
    async fn converse(&mut self, mut reader: impl AsyncRead + Unpin, mut framer: Framer) -> String {
        let shared = Arc::clone(&self.shared);
        let outlet = self.outlet.clone();
        let mut phase = shared.phase.subscribe();
        let mut ticks = tokio::time::interval(self.tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Flow::Ends(why) = self.take_frames(&mut framer).await {
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
                read = read_when_room(&outlet, &mut reader, &mut framer) => {
                    if let Some(why) = self.was_read(read) {
                        return why;
                    }
                }
                () = shared.lanes[self.turn.bind].attend.notified() => {}
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
        let settings = &self.shared.settings;
        let shortest_ms = settings.response_timeout_ms.min(settings.enquire_link_ms);
        Duration::from_millis((shortest_ms / TICKS_PER_TIMEOUT).clamp(1, 1_000))
    }

    /// Handles all whole PDUs that were read.
    async fn take_frames(&mut self, framer: &mut Framer) -> Flow {
        loop {
            match framer.next_pdu() {
                Ok(Some(octets)) => match decode(octets, Mode::Lenient) {
                    Ok((header, pdu)) => {
                        if let Flow::Ends(why) = self.take(header, pdu).await {
                            return Flow::Ends(why);
                        }
                    }
                    Err(error) => self.unreadable(error).await,
                },
                Ok(None) => return Flow::GoesOn,
                Err(error) => {
                    self.odd();
                    self.write_header(CommandId::GENERIC_NACK, error.status(), 0);
                    return Flow::Ends(format!("what the peer sends is no SMPP: {error}"));
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

    /// One PDU of the peer.
    async fn take(&mut self, header: Header, pdu: Pdu) -> Flow {
        match pdu {
            Pdu::SubmitSmResp(body) => self.answered(header, body).await,
            Pdu::GenericNack => {
                // A nack that says ESME_ROK refuses all the same.
                let status = if header.status.is_ok() { Status::RUNKNOWNERR } else { header.status };
                self.answered(Header { status, ..header }, MessageIdResp::default()).await;
            }
            Pdu::DeliverSm(sm) => self.delivered(header, sm).await,
            Pdu::DataSm(data) => self.delivered(header, as_sm(data)).await,
            Pdu::EnquireLink => {
                self.write_header(CommandId::ENQUIRE_LINK_RESP, Status::ROK, header.sequence);
            }
            Pdu::EnquireLinkResp => {}
            Pdu::Unbind => {
                self.write_header(CommandId::UNBIND_RESP, Status::ROK, header.sequence);
                return Flow::Ends("the peer unbound".to_owned());
            }
            Pdu::UnbindResp if self.unbinding.is_some() => return Flow::Ends(self.farewell()),
            Pdu::AlertNotification(_) | Pdu::Outbind(_) => {
                self.shared.gate.state().counters.notices += 1;
            }
            _ => self.refuse(header),
        }
        Flow::GoesOn
    }

    /// A PDU that has no place here: a request is refused as the specification says, a response is counted.
    fn refuse(&mut self, header: Header) {
        self.odd();
        let state = match self.kind {
            BindKind::Transmitter => Bound::BoundTx,
            BindKind::Receiver => Bound::BoundRx,
            BindKind::Transceiver | BindKind::TransmitterReceiver => Bound::BoundTrx,
        };
        if let Some(status) = refusal(Role::Mc, state, header.command_id) {
            let command = header.command_id.response().unwrap_or(CommandId::GENERIC_NACK);
            self.write_header(command, status, header.sequence);
        }
    }

    /// A PDU whose frame is whole and whose body is not. The next one is not touched by it.
    async fn unreadable(&mut self, error: DecodeError) {
        tracing::debug!(connection = %self.shared.settings.name, peer = %self.peer, %error, "unreadable PDU");
        if error.header.command_id == CommandId::SUBMIT_SM_RESP {
            // The status can be read, and it is what counts; the id is lost.
            return self.answered(error.header, MessageIdResp::default()).await;
        }
        self.odd();
        // Closed means the session ends with the next turn.
        let _ = self.outlet.write(|out| error.encode_answer(out));
    }

    /// The answer to a submit_sm.
    async fn answered(&mut self, header: Header, body: MessageIdResp) {
        let answer = match header.status {
            Status::ROK => Answer::Accepted { message_id: body.message_id.as_str().into_owned() },
            status => Answer::Refused { status },
        };
        let Some(open) = self.lane().complete(header.sequence) else {
            return self.answered_late(header.sequence, answer).await;
        };
        let (sent_ms, now_us) = (open.sent_ms(), self.shared.gate.now_us());
        self.lane().note_round_trip(now_us - open.sent_us);
        self.govern(header.status, body.tlvs.congestion_state(), sent_ms, now_us / 1000);
        self.answer(open.tag, answer).await;
    }

    /// What an answer means for all that follow.
    fn govern(&mut self, status: Status, congestion: Option<u8>, sent_ms: i64, now_ms: i64) {
        let chance = rand::random();
        let class = status.class();
        let mut gate = self.shared.gate.state();
        gate.release(self.turn);
        gate.throttle.congestion(congestion, sent_ms, now_ms, chance);
        match class {
            RetryClass::Success => {
                gate.throttle.accepted(sent_ms, now_ms);
                gate.counters.accepted += 1;
                return;
            }
            RetryClass::Throttled => gate.throttle.too_fast(sent_ms, now_ms, chance),
            RetryClass::QueueFull => gate.throttle.queue_full(sent_ms, now_ms, chance),
            // The others of the window may still be answered; a sudden end would leave their fate unknown.
            RetryClass::ReconnectNeeded => gate.retire(self.turn.bind),
            _ => {}
        }
        gate.counters.refused += 1;
        gate.counters.throttled += u64::from(matches!(class, RetryClass::Throttled | RetryClass::QueueFull));
        drop(gate);
        if class == RetryClass::ReconnectNeeded && self.retired.is_none() {
            self.retired =
                Some(format!("the peer no longer knows the bind: {} ({status})", status.describe()));
        }
    }

    async fn answered_late(&mut self, sequence: u32, answer: Answer) {
        match self.late.complete(sequence) {
            Some(tag) => {
                self.shared.gate.state().counters.late += 1;
                let at_ms = self.shared.clock.now().unix_ms();
                self.emit(Report::Late { tag, answer, at_ms }).await;
            }
            None => self.odd(),
        }
    }

    /// A message or receipt. It is taken on any bind: refusing one that comes on a transmitter would only lose it.
    async fn delivered(&mut self, header: Header, sm: Sm) {
        self.shared.gate.state().counters.delivered += 1;
        let delivered = Delivered {
            sm: Box::new(sm),
            operation: header.command_id,
            peer: self.peer,
            at_ms: self.shared.clock.now().unix_ms(),
            reply: Reply::new(self.outlet.clone(), header),
        };
        self.emit(Report::Delivered(delivered)).await;
    }

    /// Sees to what callers have left.
    async fn attend(&mut self) {
        let unfit = self.lane().unfit();
        self.report_unfit(unfit).await;
        self.clogged = self.shared.gate.state().is_clogged(self.turn);
    }

    async fn report_unfit(&mut self, unfit: Vec<(T, EncodeError)>) {
        for (tag, error) in unfit {
            self.shared.gate.state().settle(self.turn, |counters| counters.unfit += 1);
            self.answer(tag, Answer::Unfit(error)).await;
        }
    }

    async fn tick_passed(&mut self) -> Flow {
        let now_ms = self.shared.gate.now_ms();
        self.expire(now_ms).await;
        match self.enquire.poll(now_ms) {
            EnquireAction::Wait { .. } => Flow::GoesOn,
            EnquireAction::Send => {
                let enquire = |sequence, out: &mut Vec<u8>| {
                    encode_header(CommandId::ENQUIRE_LINK, Status::ROK, sequence, out);
                };
                match self.lane().write(enquire) {
                    Ok(()) => Flow::GoesOn,
                    Err(closed) => Flow::Ends(closed.to_string()),
                }
            }
            EnquireAction::Dead => Flow::Ends("the peer left enquire_link unanswered".to_owned()),
        }
    }

    /// A peer that never stops sending keeps the clock from its turn. Its answers may lag behind by one more time-out, then
    /// they are missing.
    async fn look_in_a_flood(&mut self) {
        let now_ms = self.shared.gate.now_ms();
        let timeout_ms = self.shared.settings.response_timeout_ms;
        if now_ms > self.looked_ms.saturating_add_unsigned(timeout_ms) {
            self.expire(now_ms.saturating_sub_unsigned(timeout_ms)).await;
            self.looked_ms = now_ms;
        }
    }

    /// Frees the places of requests without an answer, and remembers their tags for a while.
    async fn expire(&mut self, as_of_ms: i64) {
        self.looked_ms = as_of_ms.max(self.looked_ms);
        self.late.expired(as_of_ms);
        let keep_ms = self.shared.settings.response_timeout_ms.saturating_mul(LATE_TIMEOUTS);
        for (sequence, open) in self.lane().expired(as_of_ms) {
            self.shared.gate.state().settle(self.turn, |counters| counters.timed_out += 1);
            if let Some(oldest) = self.late.next_deadline().filter(|_| self.late.is_full()) {
                self.late.expired(oldest);
            }
            let until_ms = as_of_ms.saturating_add_unsigned(keep_ms);
            // Refused only where the number is in use, which takes two thousand million requests in between.
            let _ = self.late.insert(sequence, open.tag.clone(), until_ms);
            self.answer(open.tag, Answer::NoAnswer(NoAnswer::TimedOut)).await;
        }
    }

    /// Unbinds when it is time to. Gives when the session ends at the latest, or why it ends now.
    fn step_down(&mut self, phase: Phase) -> Result<Option<Instant>, String> {
        let stop_by = match phase {
            Phase::Stopping { by } => Some(by),
            Phase::Running | Phase::Draining if self.retired.is_none() => return Ok(None),
            Phase::Running | Phase::Draining => None,
        };
        let now = Instant::now();
        if self.unbinding.is_none() && (self.lane().is_idle() || stop_by.is_some_and(|by| by <= now)) {
            let unbind =
                |sequence, out: &mut Vec<u8>| encode_header(CommandId::UNBIND, Status::ROK, sequence, out);
            self.lane().write(unbind).map_err(|closed| closed.to_string())?;
            self.unbinding = Some(later(now, self.shared.settings.response_timeout_ms));
        }
        let ends_at = [stop_by, self.unbinding].into_iter().flatten().min();
        if ends_at.is_some_and(|at| at <= now) { Err(self.farewell()) } else { Ok(ends_at) }
    }

    fn farewell(&mut self) -> String {
        self.retired.take().unwrap_or_else(|| "unbound".to_owned())
    }

    async fn answer(&mut self, tag: T, answer: Answer) {
        let at_ms = self.shared.clock.now().unix_ms();
        self.emit(Report::Answered { tag, answer, at_ms }).await;
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

    fn write_header(&self, command: CommandId, status: Status, sequence: u32) {
        // Closed means the session ends with the next turn.
        let _ = self.outlet.write(|out| encode_header(command, status, sequence, out));
    }
}

/// Reads, but not while the peer leaves unread what we answer. May be dropped at any time without losing an octet.
async fn read_when_room(
    outlet: &Outlet,
    reader: &mut (impl AsyncRead + Unpin),
    framer: &mut Framer,
) -> std::io::Result<usize> {
    outlet.room().await.map_err(std::io::Error::other)?;
    reader.read_buf(framer.buffer(READ_BYTES)).await
}

/// A data_sm as the message it carries.
fn as_sm(data: DataSm) -> Sm {
    Sm {
        service_type: data.service_type,
        source: data.source,
        destination: data.destination,
        esm_class: data.esm_class,
        registered_delivery: data.registered_delivery,
        data_coding: data.data_coding,
        tlvs: data.tlvs,
        ..Sm::default()
    }
}
