//! One bind of the generator.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use smpp::{
    Bind, CommandId, Framer, HEADER_LEN, Header, MessageType, Mode, Pdu, RetryClass, Sequence, Status, Tag,
    Window,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use types::{Code, Error, Result};

use super::ledger::Ledger;
use super::plan::Job;
use super::{Options, Run};

/// Octets that are read at once.
const READ_ROOM: usize = 16 * 1024;
/// Octets that wait to be sent above which no more submits are written.
const OUT_MAX: usize = 256 * 1024;
/// The same, above which nothing more is read, as the answers do not get away.
const ANSWERS_MAX: usize = 4 * 1024 * 1024;
/// How long a bind may take.
const BIND_WITHIN: Duration = Duration::from_secs(10);
/// The least and the most that a throttled bind pauses.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// An idle bind asks whether the peer is there.
const ENQUIRE_AFTER: Duration = Duration::from_secs(20);
/// A bind looks at its deadlines at least so often.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// With a fixed rate, the least between two looks at what is due: waking for each message would cost more than
/// sending it.
const PACE_STEP: Duration = Duration::from_millis(2);
/// Between two attempts to connect.
const RECONNECT_AFTER: Duration = Duration::from_millis(200);

/// What a bind is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Transceiver,
    Transmitter,
    Receiver,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The run is over.
    Finished,
    /// The connection broke.
    Lost,
}

/// A bind, across all its connections.
pub(super) struct Esme {
    run: Arc<Run>,
    role: Role,
    /// What is to be sent: parts of messages begun, and what was throttled.
    queue: VecDeque<Job>,
    window: Window<Job>,
    sequence: Sequence,
    /// Written and not yet sent.
    out: Vec<u8>,
    text: Vec<u8>,
    /// Messages taken from the plan.
    taken: u64,
    paused_until: Option<Instant>,
    back_off: Duration,
    written_at: Instant,
}

/// A connection that is bound.
pub(super) struct Bound {
    socket: TcpStream,
    framer: Framer,
}

impl Esme {
    pub(super) fn new(run: Arc<Run>, role: Role) -> Self {
        let window = Window::new(run.options.window.max(1));
        Self {
            run,
            role,
            queue: VecDeque::new(),
            window,
            sequence: Sequence::default(),
            out: Vec::new(),
            text: Vec::new(),
            taken: 0,
            paused_until: None,
            back_off: BACK_OFF.0,
            written_at: Instant::now(),
        }
    }

    /// Sends and receives until the run is over, and binds anew when the connection breaks.
    pub(super) async fn work(mut self, first: Bound) {
        let mut bound = Some(first);
        let mut give_up_at = None;
        while !self.run.finish.is_cancelled() {
            if let Some(connection) = bound.take() {
                give_up_at = None;
                let end = self.converse(connection).await;
                self.lose_window();
                if end == End::Finished {
                    break;
                }
                self.run.reconnecting();
            }
            bound = bind(&self.run.options, self.role).await.ok();
            if bound.is_none() {
                let until = *give_up_at.get_or_insert_with(|| Instant::now() + self.run.reconnect_for());
                if Instant::now() >= until {
                    // Without this bind the rest would not be what was asked for.
                    self.run.plan.stop();
                    break;
                }
                let again = sleep_until(Instant::now() + RECONNECT_AFTER);
                tokio::select! { () = again => {}, () = self.run.finish.cancelled() => {} }
            }
        }
        let mut ledger = self.run.ledger();
        for job in self.queue.drain(..) {
            ledger.give_up(job.unit);
        }
    }

    /// What was not answered on a connection that is gone will not be.
    fn lose_window(&mut self) {
        self.out.clear();
        let mut ledger = self.run.ledger();
        for (_, job) in self.window.drain() {
            ledger.lose(job.unit);
        }
    }

    async fn converse(&mut self, bound: Bound) -> End {
        let Bound { socket, mut framer } = bound;
        let (mut reader, mut writer) = socket.into_split();
        if self.take(&mut framer).is_err() {
            return End::Lost;
        }
        loop {
            let wake = self.fill();
            // Mostly the socket takes all at once, and nothing is left to wait for.
            while !self.out.is_empty() {
                match writer.try_write(&self.out) {
                    Ok(written) => drop(self.out.drain(..written)),
                    Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => return End::Lost,
                }
            }
            tokio::select! {
                read = reader.read_buf(framer.buffer(READ_ROOM)), if self.out.len() < ANSWERS_MAX => {
                    if !matches!(read, Ok(1..)) {
                        return End::Lost;
                    }
                    if self.take(&mut framer).is_err() {
                        // The answer to an unbind, if there is one.
                        drop(writer.try_write(&self.out));
                        return End::Lost;
                    }
                }
                ready = writer.writable(), if !self.out.is_empty() => {
                    if ready.is_err() {
                        return End::Lost;
                    }
                }
                () = sleep_until(wake) => {}
                () = self.run.finish.cancelled() => {
                    smpp::encode_header(CommandId::UNBIND, Status::ROK, self.sequence.take(), &mut self.out);
                    // A peer that has gone needs no farewell.
                    drop(timeout(BIND_WITHIN, writer.write_all(&self.out)).await);
                    drop(timeout(Duration::from_secs(1), until_unbound(&mut reader, &mut framer)).await);
                    return End::Finished;
                }
            }
        }
    }

    /// Writes as many submits as window, rate and pause allow; tells when to look again.
    fn fill(&mut self) -> Instant {
        let now = Instant::now();
        let look = now + LOOK_EVERY;
        self.expire();
        if now.duration_since(self.written_at) > ENQUIRE_AFTER {
            self.written_at = now;
            smpp::encode_header(CommandId::ENQUIRE_LINK, Status::ROK, self.sequence.take(), &mut self.out);
        }
        if self.role == Role::Receiver {
            return look;
        }
        if let Some(until) = self.paused_until {
            if now < until {
                return until.min(look);
            }
            self.paused_until = None;
        }
        let mut wake = look;
        let run = Arc::clone(&self.run);
        let now_us = run.now_us();
        let deadline = i64::try_from(now_us / 1_000).unwrap_or(i64::MAX).saturating_add(run.response_ms());
        let mut ledger = None;
        while !self.window.is_full() && self.out.len() < OUT_MAX {
            let ledger = ledger.get_or_insert_with(|| run.ledger());
            if self.queue.is_empty() {
                if let Err(wait_us) = run.due(self.taken, now_us) {
                    wake = wake.min(now + Duration::from_micros(wait_us).max(PACE_STEP));
                    break;
                }
                if !self.begin_message(ledger) {
                    break;
                }
            }
            let Some(job) = self.queue.pop_front() else { break };
            let sequence = self.sequence.take();
            let written = run.plan.write(job, sequence, &mut self.text, &mut self.out);
            if written.is_err() || self.window.insert(sequence, job, deadline).is_err() {
                ledger.give_up(job.unit);
                continue;
            }
            ledger.sent(job.unit, now_us);
            self.written_at = now;
        }
        wake
    }

    /// Takes the next message of the plan; false when there is none.
    fn begin_message(&mut self, ledger: &mut Ledger) -> bool {
        let Some((message, parts)) = self.run.plan.next() else { return false };
        self.taken += 1;
        for part in 1..=parts {
            let part = if parts == 1 { 0 } else { part };
            match ledger.open() {
                Some(unit) => self.queue.push_back(Job { message, part, unit }),
                None => self.run.plan.stop(),
            }
        }
        true
    }

    fn expire(&mut self) {
        let now_ms = i64::try_from(self.run.now_us() / 1_000).unwrap_or(i64::MAX);
        if self.window.next_deadline().is_some_and(|deadline| deadline <= now_ms) {
            let mut ledger = self.run.ledger();
            for (_, job) in self.window.expired(now_ms) {
                ledger.lose(job.unit);
            }
        }
    }

    /// Takes all whole PDUs that were read.
    fn take(&mut self, framer: &mut Framer) -> Result<(), End> {
        let run = Arc::clone(&self.run);
        let mut ledger = run.ledger();
        let now_us = run.now_us();
        loop {
            match framer.next_pdu() {
                Ok(Some(octets)) => self.pdu(&mut ledger, now_us, octets)?,
                Ok(None) => return Ok(()),
                Err(_) => return Err(End::Lost),
            }
        }
    }

    fn pdu(&mut self, ledger: &mut Ledger, now_us: u64, octets: &[u8]) -> Result<(), End> {
        let Some(header) = Header::read(octets) else { return Err(End::Lost) };
        let body = &octets[HEADER_LEN..];
        match header.command_id {
            CommandId::SUBMIT_SM_RESP => self.response(ledger, now_us, header, body),
            // The peer could not read a submit: no other answer will come.
            CommandId::GENERIC_NACK => self.response(ledger, now_us, header, b""),
            CommandId::DELIVER_SM => {
                smpp::encode_deliver_sm_resp(header.sequence, Status::ROK, &mut self.out);
                deliver(ledger, now_us, body);
            }
            CommandId::DATA_SM => self.data(ledger, now_us, octets),
            CommandId::ENQUIRE_LINK => {
                smpp::encode_header(
                    CommandId::ENQUIRE_LINK_RESP,
                    Status::ROK,
                    header.sequence,
                    &mut self.out,
                );
            }
            CommandId::UNBIND => {
                let sequence = header.sequence;
                smpp::encode_header(CommandId::UNBIND_RESP, Status::ROK, sequence, &mut self.out);
                return Err(End::Lost);
            }
            _ => {}
        }
        Ok(())
    }

    fn response(&mut self, ledger: &mut Ledger, now_us: u64, header: Header, body: &[u8]) {
        let Some(job) = self.window.complete(header.sequence) else {
            ledger.late_responses += 1;
            return;
        };
        match header.status.class() {
            RetryClass::Success if header.command_id == CommandId::SUBMIT_SM_RESP => {
                self.back_off = BACK_OFF.0;
                let id = body.split(|&octet| octet == 0).next().unwrap_or_default();
                ledger.accept(job.unit, id, now_us);
            }
            RetryClass::Throttled => {
                ledger.throttled += 1;
                self.again(job);
            }
            RetryClass::QueueFull => {
                ledger.queue_full += 1;
                self.again(job);
            }
            _ => ledger.reject(job.unit, header.status, now_us),
        }
    }

    /// Sends it once more, after a pause of the whole bind that doubles until something is taken.
    fn again(&mut self, job: Job) {
        self.queue.push_front(job);
        if self.paused_until.is_none() {
            self.paused_until = Some(Instant::now() + self.back_off);
            self.back_off = (self.back_off * 2).min(BACK_OFF.1);
        }
    }

    fn data(&mut self, ledger: &mut Ledger, now_us: u64, octets: &[u8]) {
        let Ok((header, Pdu::DataSm(data))) = smpp::decode(octets, Mode::Lenient) else { return };
        let answer = Pdu::DataSmResp(smpp::MessageIdResp::default());
        answer.encode(header.sequence, Status::ROK, &mut self.out).expect("an empty response always fits");
        let sm = smpp::SmRef {
            esm_class: data.esm_class,
            data_coding: data.data_coding,
            tlvs: data.tlvs.view(),
            ..smpp::SmRef::default()
        };
        receipt(ledger, now_us, &sm);
    }
}

fn deliver(ledger: &mut Ledger, now_us: u64, body: &[u8]) {
    match smpp::decode_sm(body, Mode::Lenient) {
        Ok(sm) => receipt(ledger, now_us, &sm),
        Err(_) => ledger.unreadable(),
    }
}

/// Reads a receipt, marked as one or not, and books it; all else is an inbound message.
fn receipt(ledger: &mut Ledger, now_us: u64, sm: &smpp::SmRef<'_>) {
    let kind = sm.esm_class.message_type();
    let tlv_id = sm.tlvs.get(Tag::RECEIPTED_MESSAGE_ID);
    let tlv_state = sm.tlvs.get(Tag::MESSAGE_STATE).and_then(|value| value.first().copied());
    if let (Some(id), Some(state)) = (tlv_id, tlv_state) {
        // The TLVs say it all; the text need not be read.
        let id = id.split(|&octet| octet == 0).next().unwrap_or_default();
        return ledger.receipt(id, Some(sms::MessageState::from_number(state)), now_us);
    }
    let text = sms::receipt::text_of(sm.content(), sm.data_coding.0);
    let receipt = sms::Receipt::parse(&text).with_tlvs(tlv_id, tlv_state);
    let marked = matches!(kind, MessageType::Receipt | MessageType::Intermediate);
    if !marked && !receipt.is_recognised() {
        ledger.inbound += 1;
        return;
    }
    match receipt.id.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => ledger.receipt(id.as_bytes(), receipt.state, now_us),
        None => ledger.unreadable(),
    }
}

/// Connects and binds.
///
/// # Errors
/// No connection, no answer in time, or a refusal.
pub(super) async fn bind(options: &Options, role: Role) -> Result<Bound> {
    let unavailable = |why: String| Error::new(Code::Unavailable, format!("{}: {why}", options.target));
    match timeout(BIND_WITHIN, connect(options, role)).await {
        Ok(bound) => bound.map_err(unavailable),
        Err(_) => Err(unavailable("no answer to the bind in ten seconds".to_owned())),
    }
}

async fn connect(options: &Options, role: Role) -> Result<Bound, String> {
    let mut socket = TcpStream::connect(options.target.as_str()).await.map_err(|why| why.to_string())?;
    drop(socket.set_nodelay(true));
    let bind = Bind {
        system_id: options.system_id.as_str().into(),
        password: options.password.as_str().into(),
        ..Bind::default()
    };
    let bind = match role {
        Role::Transceiver => Pdu::BindTransceiver(bind),
        Role::Transmitter => Pdu::BindTransmitter(bind),
        Role::Receiver => Pdu::BindReceiver(bind),
    };
    let mut out = Vec::new();
    bind.encode(1, Status::ROK, &mut out).map_err(|why| why.to_string())?;
    socket.write_all(&out).await.map_err(|why| why.to_string())?;
    let mut framer = Framer::new(smpp::DEFAULT_MAX_PDU);
    loop {
        let read = socket.read_buf(framer.buffer(READ_ROOM)).await.map_err(|why| why.to_string())?;
        if read == 0 {
            return Err("the connection was closed in place of an answer to the bind".to_owned());
        }
        match framer.next_pdu() {
            Ok(Some(octets)) => {
                let status = Header::read(octets).map_or(Status::RBINDFAIL, |header| header.status);
                return if status.is_ok() {
                    Ok(Bound { socket, framer })
                } else {
                    Err(format!("the bind was refused: {status}, {}", status.describe()))
                };
            }
            Ok(None) => {}
            Err(why) => return Err(why.to_string()),
        }
    }
}

/// Reads on until the peer has answered the unbind, or is gone.
async fn until_unbound(reader: &mut (impl AsyncReadExt + Unpin), framer: &mut Framer) {
    while matches!(reader.read_buf(framer.buffer(READ_ROOM)).await, Ok(1..)) {
        while let Ok(Some(octets)) = framer.next_pdu() {
            if Header::read(octets).is_some_and(|header| header.command_id == CommandId::UNBIND_RESP) {
                return;
            }
        }
    }
}
