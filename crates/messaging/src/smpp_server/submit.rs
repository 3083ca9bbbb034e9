//! Taking messages: submit_sm, data_sm and submit_multi (SMPP v5 §4.2).
//!
//! The reader reads a submit_sm where it stands in its buffer, hands it to the engine, and puts its sequence number with
//! the promise of a commit into a queue. A second task waits for the commits in that order and writes the answers of
//! those that are there in one go. No more stand in it than the session's window holds, so a full one stops the reader: the
//! customer's own sending waits, and our memory does not grow.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use runtime::wire::Outlet;
use smpp::{
    COctetString, CommandId, DataSm, Destination, HEADER_LEN, Header, MessageIdResp, Mode, Pdu, SmRef,
    Status, SubmitMulti, SubmitMultiResp, Tag, Unsuccessful, Version, decode_sm, encode_header,
    encode_submit_sm_resp, encode_submit_sm_resp_congested,
};
use sms::segment::Capacity;
use sms::{Encoding, Width};
use tokio::sync::{mpsc, oneshot};
use types::{MessageId, Result};

use super::connection::{End, refuse};
use super::refusal;
use super::session::Bound;
use crate::distribution;
use crate::engine::Engine;
use crate::message::sm::Submitted;
use crate::sessions::Session;

/// Answers that are written in one go at most.
const BUNCH: usize = 128;

/// The session's requests that wait for their commit.
pub(super) struct Submits {
    waiting: mpsc::Sender<Waiting>,
}

/// A request that is answered after its commit.
struct Waiting {
    sequence: u32,
    kind: Kind,
}

enum Kind {
    Submit(Submitted),
    Data(Submitted),
    Multi(Box<Multi>),
}

/// A submit_multi under way.
struct Multi {
    taken: Vec<(smpp::Address, Submitted)>,
    refused: Vec<Unsuccessful>,
}

impl Submits {
    /// Starts the task that answers; it ends with the session.
    pub(super) fn start(engine: &Engine, session: &Arc<Session>, outlet: &Outlet, version: Version) -> Self {
        // The window may grow; it never grows beyond what any may be.
        let most = engine.runtime().config.smpp.window_max.max(session.window() as usize);
        let (waiting, queue) = mpsc::channel(most);
        let answering = Answering {
            engine: engine.clone(),
            session: Arc::clone(session),
            outlet: outlet.clone(),
            tells_congestion: version >= Version::V5_0,
            out: Vec::new(),
            done: 0,
            taken: 0,
        };
        engine.runtime().tasks.spawn("smpp-answers", answering.run(queue));
        Self { waiting }
    }
}

impl Bound {
    /// The frequent one: no allocation beside the message's own.
    pub(super) async fn submit_sm(&self, header: &Header, octets: &[u8]) -> Result<(), End> {
        self.session.room(|| self.session.window()).await;
        let answered = match decode_sm(&octets[HEADER_LEN..], Mode::Strict) {
            Ok(sm) => self.submit(&sm, parts(&sm)),
            Err((status, _)) => {
                metrics::counter!("switchboard_smpp_malformed_total", "what" => "pdu").increment(1);
                Err(status)
            }
        };
        self.answer_later(header, answered.map(Kind::Submit), 1).await
    }

    /// As submit_sm; the text stands in message_payload.
    pub(super) async fn data_sm(&self, header: &Header, data: &DataSm) -> Result<(), End> {
        self.session.room(|| self.session.window()).await;
        let sm = SmRef {
            service_type: data.service_type.as_bytes(),
            source: data.source.view(),
            destination: data.destination.view(),
            esm_class: data.esm_class,
            registered_delivery: data.registered_delivery,
            data_coding: data.data_coding,
            tlvs: data.tlvs.view(),
            ..SmRef::default()
        };
        let answered = self.submit(&sm, parts(&sm));
        self.answer_later(header, answered.map(Kind::Data), 1).await
    }

    /// One message for each destination; the answer names those for whom it failed.
    pub(super) async fn submit_multi(&self, header: &Header, multi: &SubmitMulti) -> Result<(), End> {
        self.session.room(|| self.session.window()).await;
        if multi.destinations.is_empty() {
            return self.answer_later(header, Err(Status::RINVNUMDESTS), 0).await;
        }
        let mut under_way = Multi { taken: Vec::new(), refused: Vec::new() };
        let sm = multi.message.view();
        let addresses = match self.addresses(multi, &mut under_way.refused).await {
            Ok(addresses) => addresses,
            Err(error) => {
                return self.answer_later(header, Err(refusal::status(error.code())), 0).await;
            }
        };
        let destinations = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let leave = parts(&sm).saturating_mul(destinations);
        if !self.session.may_submit(leave, self.engine.runtime().clock.now()) {
            return self.answer_later(header, Err(Status::RTHROTTLED), 0).await;
        }
        for address in addresses {
            let sm = SmRef { destination: address.view(), ..sm };
            match self.engine.submit_sm(&self.session.sender(), &sm) {
                Ok(submitted) => under_way.taken.push((address, submitted)),
                Err(status) => under_way.refused.push(Unsuccessful { address, status }),
            }
        }
        let taken = under_way.taken.len() as u64;
        self.answer_later(header, Ok(Kind::Multi(Box::new(under_way))), taken).await
    }

    /// The addresses that a submit_multi is for, those of its lists too, each once; a list that the account does not know
    /// is refused.
    async fn addresses(
        &self,
        multi: &SubmitMulti,
        refused: &mut Vec<Unsuccessful>,
    ) -> Result<Vec<smpp::Address>> {
        let sender = self.session.sender();
        let mut addresses = Vec::with_capacity(multi.destinations.len());
        for destination in &multi.destinations {
            let name = match destination {
                Destination::Address(address) => {
                    addresses.push(address.clone());
                    continue;
                }
                Destination::List(name) => name,
            };
            let runtime = self.engine.runtime();
            match distribution::members(runtime, sender.tenant, sender.account, &name.as_str()).await? {
                Some(members) => addresses.extend(
                    members.iter().map(|member| smpp::Address::international(member.trim_start_matches('+'))),
                ),
                None => refused.push(Unsuccessful {
                    address: smpp::Address { addr: name.clone(), ..smpp::Address::default() },
                    status: Status::RINVDLNAME,
                }),
            }
        }
        let mut seen = HashSet::new();
        addresses.retain(|address| seen.insert(address.addr.clone()));
        Ok(addresses)
    }

    fn submit(&self, sm: &SmRef<'_>, parts: u32) -> Result<Submitted, Status> {
        if !self.session.may_submit(parts, self.engine.runtime().clock.now()) {
            return Err(Status::RTHROTTLED);
        }
        self.engine.submit_sm(&self.session.sender(), sm)
    }

    async fn answer_later(
        &self,
        header: &Header,
        kind: Result<Kind, Status>,
        messages: u64,
    ) -> Result<(), End> {
        match kind {
            Ok(kind) => {
                self.session.asked(messages);
                let waiting = Waiting { sequence: header.sequence, kind };
                self.submits.waiting.send(waiting).await.map_err(|_| End::Lost)
            }
            Err(status) => {
                count(&self.session, status, 1);
                refuse(&self.outlet, header, status);
                Ok(())
            }
        }
    }
}

fn count(session: &Session, status: Status, answers: u64) {
    if status.is_ok() {
        session.meter.accepted.fetch_add(answers, Ordering::Relaxed);
    } else {
        let too_fast = matches!(status, Status::RTHROTTLED | Status::RMSGQFUL);
        session.meter.refused(status.0.into(), too_fast, answers);
    }
    let name = status.name().unwrap_or("other");
    metrics::counter!("switchboard_smpp_submits_total", "status" => name).increment(answers);
}

/// The parts that a message will be sent in, for the rate: what is split already is one part, the rest is counted as it
/// will be split.
pub(crate) fn parts(sm: &SmRef<'_>) -> u32 {
    if sm.esm_class.udhi() || sm.tlvs.get(Tag::SAR_MSG_REF_NUM).is_some() {
        return 1;
    }
    let encoding = Encoding::from_data_coding(sm.data_coding.0, Encoding::GSM7);
    let capacity = Capacity::of(encoding, Width::Bits8);
    let content = sm.content();
    let units = if encoding == Encoding::Ucs2 { content.len().div_ceil(2) } else { content.len() };
    if units <= capacity.single {
        1
    } else {
        u32::try_from(units.div_ceil(capacity.part.max(1))).unwrap_or(u32::MAX)
    }
}

/// The task that answers.
struct Answering {
    engine: Engine,
    session: Arc<Session>,
    outlet: Outlet,
    /// Whether the peer is told how busy we are: 3.4 knows no such thing.
    tells_congestion: bool,
    /// Answers that are not written yet.
    out: Vec<u8>,
    done: u32,
    /// Messages taken that are not counted yet.
    taken: u64,
}

impl Answering {
    async fn run(mut self, mut queue: mpsc::Receiver<Waiting>) {
        // It grows with what comes: an idle session holds none.
        let mut bunch = Vec::new();
        while queue.recv_many(&mut bunch, BUNCH).await > 0 {
            for Waiting { sequence, kind } in bunch.drain(..) {
                match kind {
                    Kind::Submit(submitted) => self.one(CommandId::SUBMIT_SM_RESP, sequence, submitted).await,
                    Kind::Data(submitted) => self.one(CommandId::DATA_SM_RESP, sequence, submitted).await,
                    Kind::Multi(multi) => self.multi(sequence, *multi).await,
                }
                self.done += 1;
            }
            self.flush();
        }
    }

    /// Writes what has gathered. A closed outlet has nobody behind it: the messages are taken all the same.
    fn flush(&mut self) {
        if !self.out.is_empty() {
            let _ = self.outlet.write(|out| out.extend_from_slice(&self.out));
            self.out.clear();
        }
        if self.taken > 0 {
            count(&self.session, Status::ROK, std::mem::take(&mut self.taken));
        }
        if self.done > 0 {
            self.session.answered(std::mem::take(&mut self.done));
        }
    }

    /// Waits for a commit; before it really waits it lets the answers go that are there.
    async fn committed(&mut self, mut submitted: Submitted) -> Result<MessageId, Status> {
        let result = match submitted.committed.try_recv() {
            Ok(result) => Ok(result),
            Err(oneshot::error::TryRecvError::Closed) => Err(Status::RSYSERR),
            Err(oneshot::error::TryRecvError::Empty) => {
                self.flush();
                submitted.committed.await.map_err(|_| Status::RSYSERR)
            }
        };
        let status = match result {
            Ok(Ok(())) => Ok(submitted.id),
            Ok(Err(error)) => Err(refusal::status(error.code())),
            Err(status) => Err(status),
        };
        match status {
            Ok(_) => self.taken += 1,
            Err(status) => {
                self.engine.gates().take_back(&submitted.counted);
                count(&self.session, status, 1);
            }
        }
        status
    }

    async fn one(&mut self, command: CommandId, sequence: u32, submitted: Submitted) {
        let (status, id) = match self.committed(submitted).await {
            Ok(id) => (Status::ROK, self.session.sender().settings.id_form.write(id)),
            Err(status) => (status, String::new()),
        };
        let congestion = self.tells_congestion.then(|| self.engine.journal().congestion());
        let written = match (command, congestion) {
            (CommandId::SUBMIT_SM_RESP, None) => {
                encode_submit_sm_resp(sequence, status, id.as_bytes(), &mut self.out)
            }
            (CommandId::SUBMIT_SM_RESP, Some(state)) => {
                encode_submit_sm_resp_congested(sequence, status, id.as_bytes(), state, &mut self.out)
            }
            (_, congestion) => {
                let mut response = MessageIdResp::new(id);
                if let Some(state) = congestion {
                    response.tlvs.set_congestion_state(state);
                }
                Pdu::DataSmResp(response).encode(sequence, status, &mut self.out)
            }
        };
        written.expect("an id of at most 19 characters fits its field");
    }

    async fn multi(&mut self, sequence: u32, multi: Multi) {
        let Multi { taken, mut refused } = multi;
        let mut first: Option<MessageId> = None;
        for (address, submitted) in taken {
            match self.committed(submitted).await {
                Ok(id) => _ = first.get_or_insert(id),
                Err(status) => refused.push(Unsuccessful { address, status }),
            }
        }
        let Some(id) = first else {
            // Nobody gets it: the answer is an error, and an error has no body that could name them.
            let status = refused.first().map_or(Status::RSUBMITFAIL, |refused| refused.status);
            encode_header(CommandId::SUBMIT_MULTI_RESP, status, sequence, &mut self.out);
            return;
        };
        // The answer's count is one octet.
        refused.truncate(usize::from(u8::MAX));
        let message_id = COctetString::from(self.session.sender().settings.id_form.write(id));
        let response =
            Pdu::SubmitMultiResp(SubmitMultiResp { message_id, unsuccessful: refused, ..Default::default() });
        if let Err(error) = response.encode(sequence, Status::ROK, &mut self.out) {
            tracing::error!(%error, "a submit_multi could not be answered in full");
            encode_header(CommandId::SUBMIT_MULTI_RESP, Status::RSYSERR, sequence, &mut self.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::{DataCoding, EsmClass, Tlvs};

    #[test]
    fn the_rate_counts_parts() {
        let counted = |octets: usize, coding, esm_class| {
            let text = vec![b'a'; octets];
            parts(&SmRef { short_message: &text, data_coding: coding, esm_class, ..SmRef::default() })
        };
        assert_eq!(counted(0, DataCoding::DEFAULT, EsmClass::DEFAULT), 1);
        assert_eq!(counted(160, DataCoding::DEFAULT, EsmClass::DEFAULT), 1);
        assert_eq!(counted(161, DataCoding::DEFAULT, EsmClass::DEFAULT), 2);
        assert_eq!(counted(140, DataCoding::UCS2, EsmClass::DEFAULT), 1);
        assert_eq!(counted(142, DataCoding::UCS2, EsmClass::DEFAULT), 2);
        assert_eq!(counted(254, DataCoding::UCS2, EsmClass::UDHI), 1);
        let mut tlvs = Tlvs::new();
        tlvs.set_message_payload(&[b'a'; 1531]).unwrap();
        assert_eq!(parts(&SmRef { tlvs: tlvs.view(), ..SmRef::default() }), 11);
    }
}
