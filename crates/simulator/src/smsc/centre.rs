//! The centre's state, and the way of deliveries: which bind gets a receipt or an inbound message, and
//! when.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use runtime::pace::Pace;
use runtime::wire::Outlet;
use serde::Serialize;
use smpp::{COctetString, CommandId, RetryClass, Sequence, Sm, State, Status, Version};
use tokio_util::sync::CancellationToken;

use super::agenda::Agenda;
use super::book::Book;
use super::receipt::Pen;
use super::seen::Ledger;
use super::settings::{Delay, ReceiptPath, Settings};
use crate::phones::Arrival;

/// Accounts that ever bound; where anybody may bind, somebody may try all names.
const ACCOUNTS_MAX: usize = 10_000;
/// Delays are cut to a year, which no timer minds.
const DELAY_MAX_MS: u64 = 365 * 24 * 3_600 * 1_000;
/// Milliseconds until a delivery that the peer put off is tried again.
const RETRY_MS: u64 = 1_000;

/// What the centre did, since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Connections that came.
    pub connections: u64,
    /// Binds that were let in.
    pub binds: u64,
    /// Submits of all kinds, a submit_multi counting its destinations.
    pub submits: u64,
    /// Messages that were taken.
    pub accepted: u64,
    /// Submits answered with ESME_RTHROTTLED.
    pub throttled: u64,
    /// Submits answered with another error.
    pub refused: u64,
    /// Messages that were taken and their connection closed without an answer.
    pub dropped: u64,
    /// PDUs of nonsense that were sent.
    pub nonsense: u64,
    /// PDUs that could not be read.
    pub unreadable: u64,
    /// Receipts that were sent, repetitions included.
    pub receipts: u64,
    /// Inbound messages, or parts of them, that were sent.
    pub inbound: u64,
    /// Receipts and inbound messages that were answered well.
    pub acknowledged: u64,
    /// Receipts and inbound messages that were refused for good.
    pub undeliverable: u64,
    /// Receipts and inbound messages that wait for a bind.
    pub waiting: u64,
    /// Messages, receipts and inbound messages that were forgotten, as there were too many.
    pub forgotten: u64,
}

/// Something for an ESME.
#[derive(Debug, Clone)]
pub(super) enum Delivery {
    /// The receipt of a message.
    Receipt(u64),
    /// A message from a phone.
    Inbound(Arc<Sm>),
}

/// Something that happens later.
#[derive(Debug)]
pub(super) enum Event {
    /// A submit gets its response.
    Respond { link: u64, command: CommandId, sequence: u32, number: u64 },
    /// A message reaches its final state.
    Settle(u64),
    /// A delivery is tried again.
    Retry { account: u32, delivery: Delivery },
}

/// One bound connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) outlet: Outlet,
    /// Ends the connection.
    pub(super) cut: CancellationToken,
    account: u32,
    state: State,
    version: Version,
    sequence: Sequence,
    /// Deliveries that the peer has not answered, in the order of their sequence numbers; answered ones
    /// stay as `None` until they come to the front.
    unanswered: VecDeque<(u32, Option<Delivery>)>,
    /// How many of them are not answered.
    outstanding: usize,
}

impl Link {
    fn has_room(&self, window: usize) -> bool {
        // A peer that never answers one of them must not make the list of answered ones behind it grow for
        // ever.
        self.outstanding < window
            && self.unanswered.len() < window.saturating_mul(4)
            && !self.outlet.is_closed()
    }

    /// Takes out what an answer is for.
    fn answered(&mut self, sequence: u32) -> Option<Delivery> {
        let (front, _) = self.unanswered.front()?;
        // The numbers are consecutive, but for one that could not be written and for the wrap.
        let near = sequence.checked_sub(*front).and_then(|offset| usize::try_from(offset).ok());
        let at = near
            .filter(|at| self.unanswered.get(*at).is_some_and(|(sent, _)| *sent == sequence))
            .or_else(|| self.unanswered.iter().position(|(sent, _)| *sent == sequence))?;
        let delivery = self.unanswered.get_mut(at)?.1.take()?;
        self.outstanding -= 1;
        while matches!(self.unanswered.front(), Some((_, None))) {
            self.unanswered.pop_front();
        }
        Some(delivery)
    }
}

/// A system_id with all its binds.
#[derive(Debug)]
pub(super) struct Account {
    pace: Option<Pace>,
    /// The rate that the bucket is set to.
    paced: u32,
    /// Connections that may receive.
    receivers: Vec<u64>,
    turn: usize,
    waiting: VecDeque<Delivery>,
}

#[derive(Debug)]
pub(super) struct Centre {
    pub(super) book: Book,
    pub(super) agenda: Agenda<Event>,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    pub(super) random: SmallRng,
    pub(super) accounts: Vec<Account>,
    names: HashMap<COctetString, u32>,
    pub(super) links: HashMap<u64, Link>,
    links_made: u64,
    /// Inbound messages for whoever binds first.
    unclaimed: VecDeque<Arc<Sm>>,
    pen: Pen,
    /// The id that is being written.
    pub(super) id: Vec<u8>,
    /// References given to long inbound messages.
    pub(super) references: u16,
}

impl Account {
    /// The account's bucket at this rate, holding a tenth of a second.
    pub(super) fn pace_at(&mut self, per_second: u32, now_ms: i64) -> &mut Pace {
        let burst = (per_second / 10).max(1);
        let pace = self.pace.get_or_insert_with(|| Pace::new(per_second, burst));
        if self.paced != per_second {
            self.paced = per_second;
            pace.set(now_ms, per_second, burst);
        }
        pace
    }
}

impl Centre {
    pub(super) fn new(settings: &Settings, first_id: u64) -> Self {
        let random = match settings.seed {
            Some(seed) => SmallRng::seed_from_u64(seed),
            None => SmallRng::from_rng(&mut rand::rng()),
        };
        Self {
            book: Book::new(first_id),
            agenda: Agenda::new(),
            ledger: Ledger::default(),
            counts: Counts::default(),
            random,
            accounts: Vec::new(),
            names: HashMap::new(),
            links: HashMap::new(),
            links_made: 0,
            unclaimed: VecDeque::new(),
            pen: Pen::default(),
            id: Vec::new(),
            references: 0,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let waiting = self.accounts.iter().map(|account| account.waiting.len()).sum::<usize>();
        Counts {
            waiting: (waiting + self.unclaimed.len()) as u64,
            forgotten: self.counts.forgotten + self.book.forgotten,
            ..self.counts
        }
    }

    /// Whether chance falls into a share of so many percent.
    pub(super) fn chance(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.percentage() < percent
    }

    /// Draws from 0 to 100.
    pub(super) fn percentage(&mut self) -> f64 {
        self.random.random::<f64>() * 100.0
    }

    /// Draws a delay, in milliseconds.
    pub(super) fn draw(&mut self, delay: Delay) -> u64 {
        let (ms, jitter) = (delay.ms.min(DELAY_MAX_MS), delay.jitter_ms.min(DELAY_MAX_MS));
        match jitter {
            0 => ms,
            jitter => self.random.random_range(ms.saturating_sub(jitter)..=ms + jitter),
        }
    }

    /// The account of a system_id; `None` where there are too many.
    pub(super) fn account(&mut self, system_id: &COctetString) -> Option<u32> {
        if let Some(known) = self.names.get(system_id) {
            return Some(*known);
        }
        let number = u32::try_from(self.accounts.len()).ok()?;
        if self.accounts.len() >= ACCOUNTS_MAX {
            return None;
        }
        let account =
            Account { pace: None, paced: 0, receivers: Vec::new(), turn: 0, waiting: VecDeque::new() };
        self.accounts.push(account);
        self.names.insert(system_id.clone(), number);
        Some(number)
    }

    /// Enters a bound connection and gives its number.
    pub(super) fn bind(
        &mut self,
        (outlet, cut): (Outlet, CancellationToken),
        account: u32,
        state: State,
        version: Version,
    ) -> u64 {
        self.links_made += 1;
        let number = self.links_made;
        let (sequence, unanswered) = (Sequence::default(), VecDeque::new());
        let link = Link { outlet, cut, account, state, version, sequence, unanswered, outstanding: 0 };
        self.links.insert(number, link);
        if state.can_deliver() {
            let account = &mut self.accounts[account as usize];
            account.receivers.push(number);
            account.waiting.extend(self.unclaimed.drain(..).map(Delivery::Inbound));
        }
        self.counts.binds += 1;
        number
    }

    /// Forgets a connection. What its peer has not answered goes to the account's next bind: nothing says
    /// that it arrived.
    pub(super) fn unbind(&mut self, number: u64, settings: &Settings) {
        let Some(link) = self.links.remove(&number) else { return };
        let account = &mut self.accounts[link.account as usize];
        account.receivers.retain(|receiver| *receiver != number);
        for delivery in link.unanswered.into_iter().rev().filter_map(|(_, delivery)| delivery) {
            account.waiting.push_front(delivery);
        }
        self.drain(link.account, settings);
    }

    /// Hands a delivery to a bind of the account, or keeps it until one has room.
    pub(super) fn deliver(&mut self, account: u32, delivery: Delivery, settings: &Settings) {
        let idle = self.accounts[account as usize].waiting.is_empty();
        let delivery = if idle { self.send(account, delivery, settings) } else { Some(delivery) };
        let Some(delivery) = delivery else { return };
        let waiting = &mut self.accounts[account as usize].waiting;
        waiting.push_back(delivery);
        if waiting.len() > settings.pending_max {
            let oldest = waiting.pop_front();
            self.counts.forgotten += 1;
            if let Some(Delivery::Receipt(number)) = oldest {
                self.book.release(number);
            }
        }
    }

    /// Hands over what waits, as far as there is room.
    pub(super) fn drain(&mut self, account: u32, settings: &Settings) {
        while let Some(delivery) = self.accounts[account as usize].waiting.pop_front() {
            if let Some(back) = self.send(account, delivery, settings) {
                self.accounts[account as usize].waiting.push_front(back);
                return;
            }
        }
    }

    /// An inbound message goes to the first account that can receive, else to the next that can.
    pub(super) fn inbound(&mut self, parts: Vec<Arc<Sm>>, settings: &Settings) {
        let account = self.accounts.iter().position(|account| !account.receivers.is_empty());
        match account.and_then(|account| u32::try_from(account).ok()) {
            Some(account) => {
                for part in parts {
                    self.deliver(account, Delivery::Inbound(part), settings);
                }
            }
            None => {
                self.unclaimed.extend(parts);
                while self.unclaimed.len() > settings.pending_max {
                    self.unclaimed.pop_front();
                    self.counts.forgotten += 1;
                }
            }
        }
    }

    /// The peer answered a delivery.
    pub(super) fn answered(&mut self, number: u64, sequence: u32, status: Status, settings: &Settings) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let account = link.account;
        let Some(delivery) = link.answered(sequence) else { return };
        match status.class() {
            RetryClass::Success => self.settle_delivery(&delivery, true),
            RetryClass::Permanent | RetryClass::DestinationBlocked => self.settle_delivery(&delivery, false),
            _ => {
                let due = self.agenda.now_ms + RETRY_MS;
                self.agenda.at(due, Event::Retry { account, delivery });
            }
        }
        if !self.accounts[account as usize].waiting.is_empty() {
            self.drain(account, settings);
        }
    }

    fn settle_delivery(&mut self, delivery: &Delivery, well: bool) {
        if well {
            self.counts.acknowledged += 1;
        } else {
            self.counts.undeliverable += 1;
        }
        if let Delivery::Receipt(number) = delivery {
            self.book.release(*number);
        }
    }

    /// Writes a delivery to a bind with room; gives it back where there is none.
    fn send(&mut self, account: u32, delivery: Delivery, settings: &Settings) -> Option<Delivery> {
        let submitter = match &delivery {
            Delivery::Receipt(number) => match self.book.get(*number) {
                Some(message) => Some(message.link),
                // Forgotten meanwhile.
                None => return None,
            },
            Delivery::Inbound(_) => None,
        };
        let Some(number) = self.receiver(account, submitter, settings) else { return Some(delivery) };
        let Some(link) = self.links.get_mut(&number) else { return Some(delivery) };
        let sequence = link.sequence.take();
        let (book, pen, tlvs) = (&self.book, &mut self.pen, link.version.has_tlvs());
        let written = link.outlet.write(|out| match &delivery {
            Delivery::Receipt(number) => match book.get(*number) {
                Some(message) => pen.write(message, settings, tlvs, sequence, out),
                None => Ok(()),
            },
            Delivery::Inbound(sm) => smpp::encode_deliver_sm(sequence, &sm.view(), out),
        });
        match written {
            // The connection is closing: its reader will take it out of the list.
            Err(runtime::wire::Closed) => return Some(delivery),
            Ok(Err(unfit)) => {
                tracing::warn!(%unfit, "a delivery cannot be written");
                self.settle_delivery(&delivery, false);
                return None;
            }
            Ok(Ok(())) => {}
        }
        match &delivery {
            Delivery::Receipt(_) => self.counts.receipts += 1,
            Delivery::Inbound(_) => self.counts.inbound += 1,
        }
        link.unanswered.push_back((sequence, Some(delivery)));
        link.outstanding += 1;
        None
    }

    /// The bind that takes the account's next delivery.
    fn receiver(&mut self, account: u32, submitter: Option<u64>, settings: &Settings) -> Option<u64> {
        let account = &mut self.accounts[account as usize];
        let free = |number: &u64| {
            self.links.get(number).is_some_and(|link| {
                link.has_room(settings.delivery_window.max(1))
                    && (settings.receipt_path != ReceiptPath::Receiver || link.state == State::BoundRx)
            })
        };
        if settings.receipt_path == ReceiptPath::Same
            && let Some(submitter) = submitter
            && account.receivers.contains(&submitter)
        {
            return Some(submitter).filter(free);
        }
        let binds = account.receivers.len();
        for _ in 0..binds {
            account.turn = (account.turn + 1) % binds;
            let number = account.receivers[account.turn];
            if free(&number) {
                return Some(number);
            }
        }
        None
    }

    /// Does what is due first, one millisecond's worth, and adds what phones received. False when nothing
    /// is due.
    pub(super) fn step(&mut self, settings: &Settings, arrivals: &mut Vec<Arrival>) -> bool {
        let Some(mut slot) = self.agenda.due() else { return false };
        for event in slot.drain(..) {
            match event {
                Event::Respond { link, command, sequence, number } => {
                    self.respond_late(link, command, sequence, number, settings);
                }
                Event::Settle(number) => self.settle(number, settings, arrivals),
                Event::Retry { account, delivery } => self.deliver(account, delivery, settings),
            }
        }
        self.agenda.recycle(slot);
        true
    }

    fn respond_late(
        &mut self,
        link: u64,
        command: CommandId,
        sequence: u32,
        number: u64,
        settings: &Settings,
    ) {
        // Gone meanwhile: the submit stays unanswered, as it does in life.
        let Some(link) = self.links.get(&link) else { return };
        let outlet = link.outlet.clone();
        // A closed connection answers nothing.
        _ = outlet.write(|out| self.write_response(command, sequence, number, settings, out));
    }

    fn settle(&mut self, number: u64, settings: &Settings, arrivals: &mut Vec<Arrival>) {
        let Some(message) = self.book.get_mut(number) else { return };
        let (account, receipt) = (message.account, message.receipt);
        if let Some(arrival) = message.arrival.take()
            && message.state == smpp::MessageState::DELIVERED
        {
            arrivals.push(*arrival);
        }
        if !receipt {
            self.book.release(number);
            return;
        }
        if self.chance(settings.duplicate_receipt_percent) {
            if let Some(message) = self.book.get_mut(number) {
                message.open += 1;
            }
            self.deliver(account, Delivery::Receipt(number), settings);
        }
        self.deliver(account, Delivery::Receipt(number), settings);
    }
}
