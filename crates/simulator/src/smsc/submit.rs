//! Submits: whether a message is taken, what becomes of it, and its response.

use smpp::{
    Address, CommandId, DataSm, Destination, MessageIdResp, MessageState, Pdu, SmRef, Status, SubmitMulti,
    SubmitMultiResp, Unsuccessful,
};

use super::book::Message;
use super::centre::{Centre, Event};
use super::settings::{Delay, Settings};
use super::{id, nonsense, receipt};
use crate::phones::Arrival;

/// Milliseconds within which a response that is to be overtaken comes late.
const OVERTAKEN_MS: u64 = 50;
/// Milliseconds between a receipt and the response that it overtakes.
const RECEIPT_LEAD_MS: u64 = 50;

/// What follows from a PDU for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It goes on.
    Go,
    /// It is closed, after what was written is sent.
    Close,
}

/// Where a submit came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) link: u64,
    pub(super) account: u32,
    /// Unix milliseconds of its arrival.
    pub(super) now_ms: i64,
}

impl Centre {
    /// Takes or refuses a submit_sm, or a data_sm in its form, and sees to its response.
    pub(super) fn submit(
        &mut self,
        origin: Origin,
        command: CommandId,
        sequence: u32,
        sm: &SmRef<'_>,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Flow {
        let response = CommandId(command.0 | 0x8000_0000);
        self.counts.submits += 1;
        if let Some(status) = self.refusal(origin, sm.destination.addr, 1, settings) {
            smpp::encode_header(response, status, sequence, out);
            return Flow::Go;
        }
        if self.chance(settings.drop_after_accept_percent) {
            self.counts.dropped += 1;
            let number = self.book.next();
            self.accept(origin, sm, number, 0, settings);
            return Flow::Close;
        }
        let mut wait = self.draw(settings.latency);
        if self.chance(settings.out_of_order_percent) {
            wait += self.draw(Delay { ms: OVERTAKEN_MS / 2, jitter_ms: OVERTAKEN_MS / 2 });
        }
        let number = self.book.next();
        if self.chance(settings.receipt_first_percent) {
            self.accept(origin, sm, number, 0, settings);
            // Later than the latest that the receipt's delay can be drawn.
            let latest = settings.receipt_delay.ms.saturating_add(settings.receipt_delay.jitter_ms);
            wait += RECEIPT_LEAD_MS + self.draw(Delay::of_ms(latest));
        } else {
            self.accept(origin, sm, number, wait, settings);
        }
        if wait == 0 {
            self.write_response(response, sequence, number, settings, out);
        } else {
            let due = self.agenda.now_ms + wait;
            self.agenda.at(due, Event::Respond { link: origin.link, command: response, sequence, number });
        }
        Flow::Go
    }

    /// A data_sm says what a submit_sm says, with its text in message_payload.
    pub(super) fn submit_data(
        &mut self,
        origin: Origin,
        sequence: u32,
        data: &DataSm,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Flow {
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
        self.submit(origin, CommandId::DATA_SM, sequence, &sm, settings, out)
    }

    /// A submit_multi is a message to each of its addresses under one id; the centre has no distribution
    /// lists.
    pub(super) fn submit_multi(
        &mut self,
        origin: Origin,
        sequence: u32,
        multi: &SubmitMulti,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) {
        let count = multi.destinations.len();
        self.counts.submits += count as u64;
        let refusal = match count {
            0 => Some(Status::RINVNUMDESTS),
            _ => self.refusal(origin, b"1", u32::try_from(count).unwrap_or(u32::MAX), settings),
        };
        if let Some(status) = refusal {
            smpp::encode_header(CommandId::SUBMIT_MULTI_RESP, status, sequence, out);
            return;
        }
        let id = self.book.next();
        let mut unsuccessful = Vec::new();
        for destination in &multi.destinations {
            match destination {
                Destination::Address(address) if !address.addr.is_empty() => {
                    let sm = SmRef { destination: address.view(), ..multi.message.view() };
                    self.accept(origin, &sm, id, 0, settings);
                }
                Destination::Address(address) => {
                    let address = address.clone();
                    unsuccessful.push(Unsuccessful { address, status: Status::RINVDSTADR });
                }
                Destination::List(name) => {
                    let address = Address::alphanumeric(name.clone());
                    unsuccessful.push(Unsuccessful { address, status: Status::RINVDLNAME });
                }
            }
        }
        let mut message_id = Vec::new();
        id::write(settings.id_form, id, &mut message_id);
        let response =
            SubmitMultiResp { message_id: message_id.as_slice().into(), unsuccessful, ..Default::default() };
        encode(&Pdu::SubmitMultiResp(response), sequence, out);
    }

    /// Why a submit is refused, if it is.
    fn refusal(&mut self, origin: Origin, to: &[u8], parts: u32, settings: &Settings) -> Option<Status> {
        if settings.throughput > 0 {
            let pace = self.accounts[origin.account as usize].pace_at(settings.throughput, origin.now_ms);
            if pace.take(origin.now_ms, parts).is_err() {
                self.counts.throttled += u64::from(parts);
                return Some(Status::RTHROTTLED);
            }
        }
        let refused = if to.is_empty() {
            Some(Status::RINVDSTADR)
        } else {
            // One draw for all of them, so that the shares add up.
            let mut drawn = if settings.errors.is_empty() { f64::MAX } else { self.percentage() };
            settings.errors.iter().find_map(|share| {
                let hit = drawn < share.percent;
                drawn -= share.percent;
                hit.then_some(Status(share.status))
            })
        };
        self.counts.refused += if refused.is_some() { u64::from(parts) } else { 0 };
        refused
    }

    /// Enters a message that will be answered in `wait` milliseconds, and what will become of it.
    fn accept(&mut self, origin: Origin, sm: &SmRef<'_>, id: u64, wait: u64, settings: &Settings) {
        self.counts.accepted += 1;
        let content = sm.content();
        if settings.ledger {
            self.ledger.count(content, sm.data_coding);
        }
        let state = if self.chance(settings.undelivered_percent) {
            MessageState::UNDELIVERABLE
        } else {
            MessageState::DELIVERED
        };
        let wanted = match state {
            MessageState::DELIVERED => sm.registered_delivery.on_success(),
            _ => sm.registered_delivery.on_failure(),
        };
        let receipt = wanted && !self.chance(settings.no_receipt_percent);
        let arrival = (settings.inbox_max > 0).then(|| Box::new(Arrival::of(sm, origin.now_ms)));
        let delay = wait + self.draw(settings.receipt_delay);
        let settles = receipt || arrival.is_some();
        let number = self.book.next();
        let message = Message {
            id,
            account: origin.account,
            link: origin.link,
            source: sm.source.to_owned(),
            destination: sm.destination.to_owned(),
            excerpt: if receipt {
                receipt::excerpt(content, sm.esm_class.udhi(), sm.data_coding)
            } else {
                smpp::COctetString::EMPTY
            },
            submitted_ms: origin.now_ms,
            done_ms: origin.now_ms.saturating_add_unsigned(delay),
            state,
            receipt,
            arrival,
            open: u8::from(settles),
        };
        self.book.add(message, settings.remembered, settings.pending_max);
        if settles {
            let due = self.agenda.now_ms + delay;
            self.agenda.at(due, Event::Settle(number));
        }
    }

    /// Appends the response to a submit that was taken.
    pub(super) fn write_response(
        &mut self,
        command: CommandId,
        sequence: u32,
        number: u64,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) {
        if self.chance(settings.nonsense_percent) {
            self.counts.nonsense += 1;
            nonsense::write(&mut self.random, sequence, out);
            return;
        }
        self.id.clear();
        id::write(settings.id_form, number, &mut self.id);
        if command == CommandId::SUBMIT_SM_RESP {
            smpp::encode_submit_sm_resp(sequence, Status::ROK, &self.id, out)
                .expect("an id has fewer than 64 octets and no NUL");
        } else {
            encode(&Pdu::DataSmResp(MessageIdResp::new(self.id.as_slice())), sequence, out);
        }
    }
}

/// Appends a response that was made here.
pub(super) fn encode(pdu: &Pdu, sequence: u32, out: &mut Vec<u8>) {
    if let Err(unfit) = pdu.encode(sequence, Status::ROK, out) {
        // Only with a name in the settings that is too long.
        tracing::warn!(%unfit, "a response cannot be written");
        smpp::encode_header(pdu.command_id(), Status::RSYSERR, sequence, out);
    }
}
