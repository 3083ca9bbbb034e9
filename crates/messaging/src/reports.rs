//! What carriers say: answers, receipts, messages from phones.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use connectors::{Answer, BindKind, BindStatus, Content, Delivered, NoAnswer, Refusal, Report, State};
use smpp::{MessageType, Sm, Status};
use sms::{Receipt, udh};
use tokio::sync::mpsc;
use types::{AccountId, Address, ConnectionId, Event, Npi, TenantId, Ton, event};

use crate::assemble::Dialect;
use crate::connection::{Protocol, ReceiptIds};
use crate::dispatch::Tag;
use crate::engine::Engine;
use crate::journal::{Answered, CarrierReceipt, Entry, InboundPart, Outcome};
use crate::live::meter::{Meter, SessionEvent, code_of, code_of_silence};
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
    /// What it speaks.
    pub protocol: Protocol,
    /// Its dialect, which says how the ids in its receipts relate to those in its responses.
    pub dialect: Arc<ArcSwap<Dialect>>,
    /// What is counted about it.
    pub meter: Arc<Meter>,
    /// Which account owns a number.
    pub numbers: Numbers,
}

impl Reader {
    /// Reads until the link is gone and has said everything.
    pub async fn run(self, mut reports: mpsc::Receiver<Report<Tag>>) {
        while let Some(report) = reports.recv().await {
            let entry = match report {
                Report::Answered { tag, answer, .. } => {
                    self.count(&answer);
                    self.answered(tag, outcome(answer))
                }
                Report::Late { tag, answer: Answer::Accepted { message_id }, .. } => {
                    self.answered(tag, Outcome::Late { provider_id: message_id })
                }
                Report::Late { .. } => continue,
                Report::Delivered(delivered) => self.delivered(delivered),
                Report::Bound { kind, peer } => {
                    self.stands();
                    self.note("bound", kind, peer.to_string(), None);
                    self.link_event(Event::ConnectionBound, peer.to_string(), kind.name().to_owned()).await;
                    continue;
                }
                Report::Lost { kind, peer, why } => {
                    self.stands();
                    let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
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
            Answer::Refused { refusal } => self.meter.refusals.count(code_of(*refusal), 1),
            Answer::NoAnswer(why) => self.meter.refusals.count(code_of_silence(*why), 1),
            Answer::Accepted { .. } | Answer::Unfit(_) => {}
        }
    }

    fn note(&self, what: &'static str, kind: BindKind, peer: String, why: Option<String>) {
        let at = self.engine.runtime().clock.now();
        self.meter.note(SessionEvent { at, what, kind: kind.name().to_owned(), peer, why });
    }

    /// Notes whether the link can send now; what waits for a dead one goes elsewhere.
    fn stands(&self) {
        let sends = |bind: &BindStatus| bind.kind != BindKind::Receiver && bind.state == State::Bound;
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

    fn answered(&self, tag: Tag, outcome: Outcome) -> Entry {
        Entry::Answered(Box::new(Answered {
            message: tag.message,
            part: tag.part,
            handed_over: tag.handed_over,
            connection: self.connection,
            claim: tag.claim,
            outcome,
        }))
    }

    /// A receipt, or a message from a phone. What claims to be a receipt and names no message is held as one, for its
    /// addresses may tell; the carrier is acknowledged all the same.
    fn delivered(&self, delivered: Delivered) -> Entry {
        let sm = match &delivered.content {
            Content::Receipt(receipt) => {
                self.meter.receipts.count(receipt.state.number().into(), 1);
                return Entry::Receipt(Box::new(self.said(receipt)), Some(delivered));
            }
            Content::Sm(sm) => sm,
        };
        // Only SMPP has receipts that come as messages.
        let receipt = if self.protocol == Protocol::Smpp { self.receipt(sm) } else { None };
        match receipt {
            Some(receipt) => {
                self.meter.receipts.count(receipt.state.into(), 1);
                Entry::Receipt(Box::new(receipt), Some(delivered))
            }
            None => Entry::Inbound(Box::new(self.inbound(sm)), Some(delivered)),
        }
    }

    /// A receipt of a protocol that says what is one.
    fn said(&self, receipt: &connectors::Receipt) -> CarrierReceipt {
        let number = |text: &str| text.trim_start_matches('+').to_owned();
        CarrierReceipt {
            tenant: self.tenant,
            connection: self.connection,
            phone: number(&receipt.phone),
            sender: number(&receipt.sender),
            provider_id: receipt.message_id.clone(),
            state: receipt.state.number(),
            error: receipt.error.clone(),
        }
    }

    fn receipt(&self, sm: &Sm) -> Option<CarrierReceipt> {
        let named = matches!(sm.esm_class.message_type(), MessageType::Receipt | MessageType::Intermediate);
        let id = sm.tlvs.receipted_message_id();
        let text = sms::receipt::text_of(sm.content(), sm.data_coding.0);
        let read = Receipt::parse(&text).with_tlvs(
            id.as_ref().map(smpp::COctetString::as_bytes),
            sm.tlvs.message_state().map(|state| state.0),
        );
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
        Some(CarrierReceipt {
            tenant: self.tenant,
            connection: self.connection,
            phone: address(&sm.source).text,
            sender: address(&sm.destination).text,
            provider_id: as_responded(
                self.dialect.load().receipt_ids(),
                read.id.as_deref().unwrap_or_default(),
            ),
            state: read.state.unwrap_or(sms::MessageState::Unknown).number(),
            error,
        })
    }

    fn inbound(&self, sm: &Sm) -> InboundPart {
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
        let account = self.numbers.load().get(&(self.tenant, recipient.text.clone())).copied();
        InboundPart {
            tenant: self.tenant,
            connection: self.connection,
            sender: address(&sm.source),
            recipient,
            data_coding: sm.data_coding.0,
            body: body.to_vec(),
            place: place.filter(|(_, total, part)| (1..=*total).contains(part) && *total > 1),
            account,
        }
    }
}

/// A receipt's id in the form of the response, where the two are known to differ. Otherwise the journal tries every form.
fn as_responded(receipt_ids: ReceiptIds, id: &str) -> String {
    let converted = match receipt_ids {
        ReceiptIds::Auto | ReceiptIds::Same => None,
        ReceiptIds::HexToDecimal => sms::id::decimal_to_hexadecimal(id),
        ReceiptIds::DecimalToHex => sms::id::hexadecimal_to_decimal(id),
    };
    converted.unwrap_or_else(|| id.to_owned())
}

/// What a message_id has room for beside its NUL (SMPP v5 §4.7.14).
const PROVIDER_ID_OCTETS_MAX: usize = 64;

fn outcome(answer: Answer) -> Outcome {
    match answer {
        // No receipt will ever name it: what became of the message is as unknown as without an answer.
        Answer::Accepted { message_id } if message_id.len() > PROVIDER_ID_OCTETS_MAX => {
            Outcome::Unanswered { why: "the carrier answered with an id that is longer than any can be" }
        }
        Answer::Accepted { message_id } => Outcome::Taken { provider_id: message_id },
        Answer::Refused { refusal: Refusal::Smpp(Status::ROK) } => {
            Outcome::Taken { provider_id: String::new() }
        }
        Answer::Refused { refusal } => Outcome::Refused { refusal },
        Answer::NoAnswer(NoAnswer::TimedOut) => {
            Outcome::Unanswered { why: "the carrier did not answer in time" }
        }
        Answer::NoAnswer(NoAnswer::BindLost) => Outcome::Unanswered { why: "the bind was lost" },
        Answer::Unfit(why) => Outcome::Unsendable { why },
    }
}

/// An address from the wire.
pub(crate) fn address(address: &smpp::Address) -> Address {
    Address {
        text: address.addr.as_str().trim_start_matches('+').replace('\0', ""),
        ton: Ton(address.ton.0),
        npi: Npi(address.npi.0),
    }
}
