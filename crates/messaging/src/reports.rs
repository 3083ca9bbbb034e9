//! What carriers say: answers, receipts, messages from phones.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use connectors::{Answer, BindKind, BindStatus, Content, Delivered, NoAnswer, Refusal, Report, Way};
use smpp::{MessageType, Sm, Status};
use sms::{Receipt, udh};
use tokio::sync::mpsc;
use types::{AccountId, Address, ConnectionId, Event, Npi, TenantId, Ton, event};

use crate::connection::errors::ErrorTable;
use crate::connection::{self, ConnectionSettings, Protocol, ReceiptIds, Unanswered};
use crate::dispatch::Tag;
use crate::engine::Engine;
use crate::fault::ErrorClass;
use crate::journal::{Ack, Answered, By, CarrierReceipt, Entry, InboundPart, Kept, Outcome};
use crate::live::meter::{Meter, SessionEvent, code_of, code_of_silence};
use crate::message::State;
use crate::route::Liveness;

/// Which account owns a number, for each tenant; made anew when an account changes.
pub type Numbers = Arc<ArcSwap<HashMap<(TenantId, String), AccountId>>>;

/// A connection whose reports are read.
pub struct Reader {
    /// What is alive.
    pub engine: Engine,
    /// Whose connection.
    pub tenant: TenantId,
    /// Which.
    pub connection: ConnectionId,
    /// Its name.
    pub name: String,
    /// How its carrier speaks, which may change.
    pub tongue: Arc<ArcSwap<Tongue>>,
    /// What is counted about it.
    pub meter: Arc<Meter>,
    /// Which account owns a number.
    pub numbers: Numbers,
}

/// How a carrier says what became of messages.
#[derive(Debug, Clone)]
pub struct Tongue {
    protocol: Protocol,
    receipt_ids: ReceiptIds,
    /// States that it names in its own way.
    states: Vec<(String, sms::MessageState)>,
    errors: ErrorTable,
    unanswered: Unanswered,
    /// Whether receipts are kept as they come.
    keep_pdus: bool,
    /// What recipients lose and get on their way out.
    strip: String,
    prefix: String,
}

impl Tongue {
    /// As a connection's settings say.
    pub fn of(settings: &ConnectionSettings) -> Self {
        let state = |text: &String| {
            connection::receipt_state(text).map(|(stat, state)| (stat.to_ascii_lowercase(), state))
        };
        Self {
            protocol: settings.protocol,
            receipt_ids: settings.receipt_ids,
            states: settings.receipt_states.iter().filter_map(state).collect(),
            errors: ErrorTable::new(&settings.errors, settings.error_convention),
            unanswered: settings.unanswered,
            keep_pdus: settings.keep_pdus,
            strip: settings.dest_strip.clone(),
            prefix: settings.dest_prefix.trim_start_matches('+').to_owned(),
        }
    }

    /// The state of a receipt; `stat` is as it is written.
    fn state(&self, stat: Option<&str>, read: Option<sms::MessageState>) -> sms::MessageState {
        let number = read.map(|state| state.number().to_string());
        let named = |name: &str| self.states.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let own = stat.and_then(named).or_else(|| number.as_deref().and_then(named));
        own.map(|(_, state)| *state).or(read).unwrap_or(sms::MessageState::Unknown)
    }

    /// A number as it was before it was written for this carrier.
    fn number(&self, text: &str) -> String {
        let text = text.trim_start_matches('+');
        if self.strip.is_empty() && self.prefix.is_empty() {
            return text.to_owned();
        }
        text.strip_prefix(&self.prefix)
            .map_or_else(|| text.to_owned(), |rest| format!("{}{rest}", self.strip))
    }

    /// A receipt of a protocol that says what is one.
    pub(crate) fn said(
        &self,
        whose: (TenantId, ConnectionId),
        receipt: &connectors::Receipt,
    ) -> CarrierReceipt {
        let id = receipt.message_id.clone();
        let told = (self.state(None, Some(receipt.state)), receipt.error.clone());
        self.carrier_receipt(whose, (&receipt.phone, &receipt.sender), id, told, ReceiptIds::Auto)
    }

    /// The answer to a question what became of a message, by the id that it was asked for by.
    pub(crate) fn answered(
        &self,
        whose: (TenantId, ConnectionId),
        id: String,
        (state, error): (sms::MessageState, Option<String>),
    ) -> CarrierReceipt {
        let state = self.state(None, Some(state));
        self.carrier_receipt(whose, ("", ""), id, (state, error), ReceiptIds::Same)
    }

    /// What a receipt says, with what the connection's table makes of its error.
    fn carrier_receipt(
        &self,
        (tenant, connection): (TenantId, ConnectionId),
        (phone, sender): (&str, &str),
        provider_id: String,
        (mut state, error): (sms::MessageState, Option<String>),
        ids: ReceiptIds,
    ) -> CarrierReceipt {
        let read = error.map(|error| self.errors.receipt(&error));
        let failed = State::from_receipt(state).is_some_and(|state| state != State::Delivered);
        let class = read.as_ref().and_then(|read| read.class).filter(|_| failed);
        if class == Some(ErrorClass::Success) {
            state = sms::MessageState::Delivered;
        }
        let temporary = class == Some(ErrorClass::Temporary);
        let retry_s =
            read.as_ref().filter(|_| temporary).map(|read| read.retry_s.to_vec()).unwrap_or_default();
        CarrierReceipt {
            tenant,
            connection,
            phone: self.number(phone),
            sender: sender.trim_start_matches('+').to_owned(),
            provider_id,
            state: state.number(),
            error: read.map(|read| read.why),
            ids,
            retry_s,
            blocks: class == Some(ErrorClass::BlockedDestination),
            asked: None,
            raw: None,
            ack: None,
        }
    }

    fn outcome(&self, answer: Answer) -> Outcome {
        let resend = match self.unanswered {
            Unanswered::ByIntent => None,
            Unanswered::Wait => Some(false),
            Unanswered::Resend => Some(true),
        };
        let unanswered = |why| Outcome::Unanswered { why, resend };
        match answer {
            // No receipt will ever name it: what became of the message is as unknown as without an answer.
            Answer::Accepted { message_id } if message_id.len() > PROVIDER_ID_OCTETS_MAX => {
                unanswered("the carrier answered with an id that is longer than any can be")
            }
            Answer::Accepted { message_id } => Outcome::Taken { provider_id: message_id },
            Answer::Refused { refusal: Refusal::Smpp(Status::ROK), .. } => {
                Outcome::Taken { provider_id: String::new() }
            }
            Answer::Refused { refusal, class } => {
                let (why, retry_s) = self.errors.answer(&refusal);
                Outcome::Refused { class, why, retry_s }
            }
            Answer::NoAnswer(NoAnswer::TimedOut) => unanswered("the carrier did not answer in time"),
            Answer::NoAnswer(NoAnswer::BindLost) => unanswered("the bind was lost"),
            Answer::NoAnswer(NoAnswer::Unclear) => unanswered("the carrier's answer could not be read"),
            Answer::Unfit(why) => Outcome::Unsendable { why },
            Answer::NotSent(_) => Outcome::NotSent,
        }
    }
}

impl Reader {
    /// Reads until the link is gone and has said everything.
    pub async fn run(self, mut reports: mpsc::Receiver<Report<Tag>>) {
        while let Some(report) = reports.recv().await {
            let entry = match report {
                Report::Answered { tag, answer, way, .. } => {
                    self.count(&answer);
                    let outcome = self.tongue.load().outcome(answer);
                    self.answered(tag, outcome, way)
                }
                Report::Late { tag, answer: Answer::Accepted { message_id }, .. } => {
                    self.answered(tag, Outcome::Late { provider_id: message_id }, None)
                }
                Report::Late { .. } => continue,
                Report::Delivered(delivered) => self.delivered(delivered),
                Report::Reachable { phone } => {
                    self.engine.reachable(self.tenant, &self.tongue.load().number(&phone));
                    continue;
                }
                Report::Bound { kind, peer } => {
                    self.stands();
                    self.note("bound", kind, peer.clone(), None);
                    self.link_event(Event::ConnectionBound, peer, kind.name().to_owned()).await;
                    continue;
                }
                Report::Lost { kind, peer, why } => {
                    self.stands();
                    let peer = peer.unwrap_or_default();
                    self.note("lost", kind, peer.clone(), Some(why.clone()));
                    self.link_event(Event::ConnectionLost, peer, why).await;
                    continue;
                }
            };
            // The journal's queue is bounded: when it is full we wait here, and the link with us.
            if self.engine.journal().leave(entry).await.is_err() {
                return;
            }
        }
    }

    /// Counts why a submit was not taken.
    fn count(&self, answer: &Answer) {
        match answer {
            Answer::Refused { refusal, .. } => self.meter.refusals.count(code_of(refusal), 1),
            Answer::NoAnswer(why) => self.meter.refusals.count(code_of_silence(*why), 1),
            Answer::Accepted { .. } | Answer::Unfit(_) | Answer::NotSent(_) => {}
        }
    }

    fn note(&self, what: &'static str, kind: BindKind, peer: String, why: Option<String>) {
        let at = self.engine.runtime().clock.now();
        self.meter.note(SessionEvent { at, what, kind: kind.name().to_owned(), peer, why });
    }

    /// Notes whether the link can send now; what waits for a dead one goes elsewhere.
    fn stands(&self) {
        let sends =
            |bind: &BindStatus| bind.kind != BindKind::Receiver && bind.state == connectors::State::Bound;
        let up = self
            .engine
            .connection_status(self.connection)
            .is_some_and(|status| status.binds.iter().any(sends));
        let queue = self.engine.queue();
        if matches!(queue.alive(self.connection), Liveness::Up | Liveness::Down) {
            queue.set_alive(self.connection, if up { Liveness::Up } else { Liveness::Down });
        }
        if !up {
            let moved = queue.reroute(self.connection);
            if moved > 0 {
                tracing::info!(connection = %self.connection, moved, "the connection is down; its messages go elsewhere");
            }
        }
    }

    async fn link_event(&self, kind: fn(event::Link) -> Event, peer: String, detail: String) {
        // It may have been given another name meanwhile.
        let name = self.engine.link_name(self.connection).unwrap_or_else(|| self.name.clone());
        let link = event::Link { id: self.connection.to_string(), name, peer, detail };
        self.engine.happened(self.tenant, kind(link)).await;
    }

    fn answered(&self, tag: Tag, outcome: Outcome, way: Option<Way>) -> Entry {
        // Of a late answer the first report has told how it left.
        let late = matches!(outcome, Outcome::Late { .. });
        let kept = tag.pdu.filter(|_| !late).map(|octets| Kept { octets, way });
        Entry::Answered(Box::new(Answered {
            message: tag.message,
            part: tag.part,
            handed_over: tag.handed_over,
            connection: self.connection,
            claim: tag.claim,
            outcome,
            kept,
        }))
    }

    /// A receipt, or a message from a phone. What claims to be a receipt and names no message is held as one, for its
    /// addresses may tell; the carrier is acknowledged all the same.
    fn delivered(&self, delivered: Delivered) -> Entry {
        let sm = match &delivered.content {
            Content::Receipt(receipt) => {
                self.meter.receipts.count(receipt.state.number().into(), 1);
                let said = self.tongue.load().said(self.whose(), receipt);
                return Entry::Receipt(Box::new(said), Some(delivered));
            }
            Content::Sm(sm) => sm,
        };
        // Only SMPP has receipts that come as messages.
        let receipt = if self.tongue.load().protocol == Protocol::Smpp { self.receipt(sm) } else { None };
        match receipt {
            Some(receipt) => {
                if receipt.ack.is_none() {
                    self.meter.receipts.count(receipt.state.into(), 1);
                }
                Entry::Receipt(Box::new(receipt), Some(delivered))
            }
            None => {
                let part = inbound_part(self.whose(), &self.numbers, sm);
                Entry::Inbound(Box::new(part), Some(delivered))
            }
        }
    }

    fn receipt(&self, sm: &Sm) -> Option<CarrierReceipt> {
        let kind = sm.esm_class.message_type();
        let named = matches!(kind, MessageType::Receipt | MessageType::Intermediate);
        let acknowledges = match kind {
            MessageType::DeliveryAck => Some(By::Device),
            MessageType::UserAck => Some(By::Person),
            _ => None,
        };
        let id = sm.tlvs.receipted_message_id();
        let text = sms::receipt::text_of(sm.content(), sm.data_coding.0);
        let read = Receipt::parse(&text).with_tlvs(
            id.as_ref().map(smpp::COctetString::as_bytes),
            sm.tlvs.message_state().map(|state| state.0),
        );
        // An acknowledgement that names no message is a phone's words like others.
        if acknowledges.is_some() && read.id.as_deref().is_none_or(str::is_empty) {
            return None;
        }
        // Some carriers leave the type out; a text that reads like a receipt is one.
        if !named && id.is_none() && !read.is_recognised() {
            return None;
        }
        if read.id.is_none() {
            tracing::warn!(connection = %self.connection, text = %text, "a receipt names no message");
        }
        let network_error =
            sm.tlvs.network_error_code().map(|code| format!("network {}:{}", code.network, code.code));
        let error =
            read.err.filter(|err| err.chars().any(|ch| ch != '0')).map(str::to_owned).or(network_error);
        let addresses = (address(&sm.source).text, address(&sm.destination).text);
        let id = read.id.as_deref().unwrap_or_default().to_owned();
        let tongue = self.tongue.load();
        let state = match acknowledges {
            // Receipts alone say how it ended.
            Some(_) => sms::MessageState::Unknown,
            None => tongue.state(read.stat, read.state),
        };
        let ack = acknowledges.map(|by| {
            let words = if read.is_recognised() { read.text.unwrap_or_default() } else { &text };
            Ack::new(by, words, sm.tlvs.user_response_code())
        });
        let ids = tongue.receipt_ids;
        let raw = tongue.keep_pdus.then(|| text.replace('\0', ""));
        let told =
            tongue.carrier_receipt(self.whose(), (&addresses.0, &addresses.1), id, (state, error), ids);
        Some(CarrierReceipt { raw, ack, ..told })
    }

    fn whose(&self) -> (TenantId, ConnectionId) {
        (self.tenant, self.connection)
    }
}

/// A message from a phone, or a part of one, as it came through a connection.
pub(crate) fn inbound_part(
    (tenant, connection): (TenantId, ConnectionId),
    numbers: &Numbers,
    sm: &Sm,
) -> InboundPart {
    let content = sm.content();
    let header = if sm.esm_class.udhi() || udh::looks_like_concatenation(content) {
        udh::split(content).ok()
    } else {
        None
    };
    let (place, body) = match header {
        Some((header, body)) => {
            (header.concatenation().map(|place| (place.reference, place.total, place.part)), body)
        }
        None => (sm.tlvs.sar().map(|sar| (sar.reference, sar.total, sar.sequence)), content),
    };
    let recipient = address(&sm.destination);
    let account = numbers.load().get(&(tenant, recipient.text.clone())).copied();
    InboundPart {
        tenant,
        connection,
        sender: address(&sm.source),
        recipient,
        data_coding: sm.data_coding.0,
        body: body.to_vec(),
        place: place.filter(|(_, total, part)| (1..=*total).contains(part) && *total > 1),
        account,
    }
}

/// What a message_id has room for beside its NUL (SMPP v5 §4.7.14).
const PROVIDER_ID_OCTETS_MAX: usize = 64;

/// An address from the wire.
pub(crate) fn address(address: &smpp::Address) -> Address {
    Address {
        text: address.addr.as_str().trim_start_matches('+').replace('\0', ""),
        ton: Ton(address.ton.0),
        npi: Npi(address.npi.0),
    }
}
