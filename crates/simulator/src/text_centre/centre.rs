//! The centre's state: who is logged in, what it was given, and what it owes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use runtime::pace::Pace;
use runtime::wire::Outlet;
use serde::Serialize;
use smpp::Sm;
use sms::Encoding;
use sms::segment::{Options, segment};
use tokio_util::sync::CancellationToken;
use types::{Code, Error, Result};

use super::{Protocol, Settings, cimd, ucp};
use crate::phones::Arrival;
use crate::smsc::agenda::Agenda;
use crate::smsc::seen::Ledger;

/// Milliseconds until a delivery that the peer put off is tried again.
const RETRY_MS: u64 = 1_000;
/// Accounts that ever logged in; where anybody may, somebody may try all names.
const ACCOUNTS_MAX: usize = 10_000;

/// What the centre did, since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Sessions that were let in.
    pub logins: u64,
    /// Logins that were refused.
    pub refused_logins: u64,
    /// Messages submitted.
    pub submits: u64,
    /// Messages that were taken.
    pub accepted: u64,
    /// Messages answered with "too fast".
    pub throttled: u64,
    /// Messages refused with another error.
    pub refused: u64,
    /// Messages that were taken and left without an answer.
    pub unanswered: u64,
    /// Questions whether the centre is there.
    pub alive: u64,
    /// Receipts that were sent, repetitions included.
    pub receipts: u64,
    /// Inbound messages, or parts of them, that were sent.
    pub inbound: u64,
    /// Receipts and inbound messages that were answered well.
    pub acknowledged: u64,
    /// Frames that could not be read.
    pub unreadable: u64,
    /// Receipts and inbound messages that were forgotten, as there were too many.
    pub forgotten: u64,
    /// Receipts and inbound messages that wait for a session.
    pub waiting: u64,
}

/// A message that a peer submits.
pub(super) struct Submit {
    /// Its fields, as SMPP has them.
    pub(super) sm: Sm,
    /// The recipient as the peer wrote it.
    pub(super) recipient: String,
    pub(super) wants_success: bool,
    pub(super) wants_failure: bool,
}

/// What the centre says to a submit.
pub(super) enum Verdict {
    /// Taken at this time, Unix milliseconds.
    Taken(i64),
    /// Refused with this error of the protocol's table.
    Refused(u16),
}

/// What became of a message.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) recipient: String,
    pub(super) sender: String,
    /// The time that names it, Unix milliseconds.
    pub(super) taken_ms: i64,
    pub(super) done_ms: i64,
    pub(super) delivered: bool,
}

/// A message from a phone, or one part of it.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) encoding: Encoding,
    pub(super) header: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) at_ms: i64,
}

/// Something for an account.
#[derive(Debug, Clone)]
pub(super) enum Delivery {
    Receipt(Arc<Report>),
    Inbound(Arc<Inbound>),
}

/// Something that happens later.
pub(super) enum Event {
    Say { session: u64, octets: Vec<u8> },
    Settle { account: usize, report: Option<Arc<Report>>, arrival: Option<Box<Arrival>> },
    Retry { account: usize, delivery: Delivery },
}

/// A session that is logged in.
struct Session {
    outlet: Outlet,
    cut: CancellationToken,
    account: usize,
    numbers: Numbers,
    unanswered: BTreeMap<u8, Delivery>,
}

/// The numbers of what the centre sends.
enum Numbers {
    Ucp(::ucp::Trns),
    Cimd2(::cimd::Numbers),
}

#[derive(Default)]
struct Account {
    sessions: Vec<u64>,
    turn: usize,
    waiting: VecDeque<Delivery>,
    pace: Option<(u32, Pace)>,
}

pub(super) struct Centre {
    pub(super) settings: Settings,
    pub(super) agenda: Agenda<Event>,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) now_unix_ms: i64,
    accounts: Vec<Account>,
    names: HashMap<String, usize>,
    sessions: HashMap<u64, Session>,
    sessions_made: u64,
    /// Inbound messages for whoever logs in first.
    unclaimed: VecDeque<Delivery>,
    references: u16,
    random: SmallRng,
}

impl Centre {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            agenda: Agenda::new(),
            ledger: Ledger::default(),
            counts: Counts::default(),
            arrivals: Vec::new(),
            now_unix_ms: 0,
            accounts: Vec::new(),
            names: HashMap::new(),
            sessions: HashMap::new(),
            sessions_made: 0,
            unclaimed: VecDeque::new(),
            references: 0,
            random: SmallRng::from_rng(&mut rand::rng()),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let waiting = self.accounts.iter().map(|account| account.waiting.len()).sum::<usize>();
        Counts { waiting: (waiting + self.unclaimed.len()) as u64, ..self.counts }
    }

    /// Lets a peer in; `None` where it may not.
    pub(super) fn log_in(
        &mut self,
        (outlet, cut): (Outlet, CancellationToken),
        user: &str,
        password: &str,
    ) -> Option<u64> {
        let accounts = &self.settings.accounts;
        let known =
            accounts.is_empty() || accounts.iter().any(|(name, right)| name == user && right == password);
        let account = if known { self.account(user) } else { None };
        let Some(account) = account else {
            self.counts.refused_logins += 1;
            return None;
        };
        self.counts.logins += 1;
        self.sessions_made += 1;
        let numbers = match self.settings.protocol {
            Protocol::Ucp => Numbers::Ucp(::ucp::Trns::default()),
            Protocol::Cimd2 => Numbers::Cimd2(::cimd::Numbers::of_centre()),
        };
        let session = Session { outlet, cut, account, numbers, unanswered: BTreeMap::new() };
        self.sessions.insert(self.sessions_made, session);
        let present = &mut self.accounts[account];
        present.sessions.push(self.sessions_made);
        present.waiting.extend(self.unclaimed.drain(..));
        Some(self.sessions_made)
    }

    fn account(&mut self, user: &str) -> Option<usize> {
        if let Some(known) = self.names.get(user) {
            return Some(*known);
        }
        if self.accounts.len() >= ACCOUNTS_MAX {
            return None;
        }
        self.accounts.push(Account::default());
        self.names.insert(user.to_owned(), self.accounts.len() - 1);
        Some(self.accounts.len() - 1)
    }

    /// Hands over what waits for the session's account; to be called when its answer to the login is written.
    pub(super) fn drain_for(&mut self, session: u64) {
        if let Some(account) = self.sessions.get(&session).map(|session| session.account) {
            self.drain(account);
        }
    }

    /// Forgets a session. What its peer has not answered goes to the account's next.
    pub(super) fn log_out(&mut self, number: u64) {
        let Some(session) = self.sessions.remove(&number) else { return };
        let account = &mut self.accounts[session.account];
        account.sessions.retain(|other| *other != number);
        for delivery in session.unanswered.into_values().rev() {
            account.waiting.push_front(delivery);
        }
        self.drain(session.account);
    }

    pub(super) fn cut_all(&self) {
        self.sessions.values().for_each(|session| session.cut.cancel());
    }

    /// Takes or refuses a message; the answer is written when its time has come.
    pub(super) fn submit(
        &mut self,
        number: u64,
        submit: Submit,
        answer: impl FnOnce(&Submit, Verdict) -> Vec<u8>,
    ) {
        let Some(account) = self.sessions.get(&number).map(|session| session.account) else { return };
        self.counts.submits += 1;
        let due = self.agenda.now_ms + self.settings.latency_ms;
        if let Some(error) = self.refusal(account, &submit) {
            let octets = answer(&submit, Verdict::Refused(error));
            return self.agenda.at(due, Event::Say { session: number, octets });
        }
        self.counts.accepted += 1;
        self.ledger.count(submit.sm.content(), submit.sm.data_coding);
        if self.chance(self.settings.unanswered_percent) {
            self.counts.unanswered += 1;
        } else {
            let octets = answer(&submit, Verdict::Taken(self.now_unix_ms));
            self.agenda.at(due, Event::Say { session: number, octets });
        }
        let delivered = !self.chance(self.settings.undelivered_percent);
        let wanted = if delivered { submit.wants_success } else { submit.wants_failure };
        let arrival = (delivered && self.settings.inbox_max > 0)
            .then(|| Box::new(Arrival::of(&submit.sm.view(), self.now_unix_ms)));
        let delay = self.settings.latency_ms + self.settings.receipt_delay_ms;
        let report = wanted.then(|| {
            Arc::new(Report {
                recipient: submit.recipient,
                sender: submit.sm.source.addr.as_str().into_owned(),
                taken_ms: self.now_unix_ms,
                done_ms: self.now_unix_ms.saturating_add_unsigned(delay),
                delivered,
            })
        });
        self.agenda.at(self.agenda.now_ms + delay, Event::Settle { account, report, arrival });
    }

    fn refusal(&mut self, account: usize, submit: &Submit) -> Option<u16> {
        let rate = self.settings.throughput;
        if rate > 0 {
            let burst = (rate / 10).max(1);
            let pace = &mut self.accounts[account].pace;
            if pace.as_ref().is_none_or(|(known, _)| *known != rate) {
                *pace = Some((rate, Pace::new(rate, burst)));
            }
            if pace.as_mut().is_some_and(|(_, pace)| pace.take(self.now_unix_ms, 1).is_err()) {
                self.counts.throttled += 1;
                return Some(match self.settings.protocol {
                    Protocol::Ucp => u16::from(::ucp::ErrorCode::NOT_ALLOWED.0),
                    Protocol::Cimd2 => ::cimd::ErrorCode::CONGESTION.0,
                });
            }
        }
        let (error, percent) = self.settings.error;
        let refused = if submit.recipient.is_empty() {
            Some(match self.settings.protocol {
                Protocol::Ucp => u16::from(::ucp::ErrorCode::ADC_INVALID.0),
                Protocol::Cimd2 => ::cimd::ErrorCode::DESTINATION.0,
            })
        } else {
            self.chance(percent).then_some(error)
        };
        self.counts.refused += u64::from(refused.is_some());
        refused
    }

    fn chance(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.random.random::<f64>() * 100.0 < percent
    }

    /// The peer answered a delivery; `false` puts it off.
    pub(super) fn answered(&mut self, session: u64, number: u8, taken: bool) {
        let Some(session) = self.sessions.get_mut(&session) else { return };
        let account = session.account;
        let Some(delivery) = session.unanswered.remove(&number) else { return };
        if taken {
            self.counts.acknowledged += 1;
        } else {
            self.agenda.at(self.agenda.now_ms + RETRY_MS, Event::Retry { account, delivery });
        }
        self.drain(account);
    }

    /// A text from a phone; gives its number of parts.
    pub(super) fn inject(&mut self, from: &str, to: &str, encoding: Encoding, body: &[u8]) -> Result<usize> {
        self.references = self.references.wrapping_add(1);
        let options = Options { reference: self.references, ..Options::default() };
        let parts = segment(body, encoding, &options)
            .map_err(|why| Error::new(Code::TextTooLong, why.to_string()).at("text"))?;
        let at_ms = self.now_unix_ms;
        for part in &parts {
            let whole = part.short_message();
            let header = whole[..whole.len() - part.payload.len()].to_vec();
            let (from, to) = (from.trim_start_matches('+').to_owned(), to.trim_start_matches('+').to_owned());
            let inbound = Inbound { from, to, encoding, header, body: part.payload.to_vec(), at_ms };
            let delivery = Delivery::Inbound(Arc::new(inbound));
            match self.accounts.iter().position(|account| !account.sessions.is_empty()) {
                Some(account) => self.deliver(account, delivery),
                None => keep(&mut self.unclaimed, delivery, self.settings.pending_max, &mut self.counts),
            }
        }
        Ok(parts.len())
    }

    fn deliver(&mut self, account: usize, delivery: Delivery) {
        keep(&mut self.accounts[account].waiting, delivery, self.settings.pending_max, &mut self.counts);
        self.drain(account);
    }

    /// Hands over what waits, as far as there is room.
    fn drain(&mut self, account: usize) {
        while let Some(delivery) = self.accounts[account].waiting.pop_front() {
            if let Some(back) = self.send(account, delivery) {
                self.accounts[account].waiting.push_front(back);
                return;
            }
        }
    }

    /// Writes a delivery to a session with room; gives it back where there is none.
    fn send(&mut self, account: usize, delivery: Delivery) -> Option<Delivery> {
        let window = self.settings.delivery_window.max(1);
        let present = &mut self.accounts[account];
        let count = present.sessions.len();
        let free = (0..count).map(|step| present.sessions[(present.turn + step) % count]).find(|number| {
            self.sessions
                .get(number)
                .is_some_and(|session| session.unanswered.len() < window && !session.outlet.is_closed())
        });
        present.turn = present.turn.wrapping_add(1);
        let Some(session) = free.and_then(|number| self.sessions.get_mut(&number)) else {
            return Some(delivery);
        };
        let unanswered = &session.unanswered;
        let in_use = |number: u8| unanswered.contains_key(&number);
        let number = match &mut session.numbers {
            Numbers::Ucp(trns) => trns.take(in_use),
            Numbers::Cimd2(numbers) => numbers.take(in_use),
        };
        let Some(number) = number else { return Some(delivery) };
        let octets = match self.settings.protocol {
            Protocol::Ucp => ucp::delivery(number, &delivery),
            Protocol::Cimd2 => cimd::delivery(number, &delivery),
        };
        if session.outlet.write(|out| out.extend_from_slice(&octets)).is_err() {
            return Some(delivery);
        }
        match &delivery {
            Delivery::Receipt(_) => self.counts.receipts += 1,
            Delivery::Inbound(_) => self.counts.inbound += 1,
        }
        session.unanswered.insert(number, delivery);
        None
    }

    /// Does what is due; `false` when nothing is.
    pub(super) fn step(&mut self) -> bool {
        let Some(mut slot) = self.agenda.due() else { return false };
        for event in slot.drain(..) {
            match event {
                Event::Say { session, octets } => {
                    if let Some(session) = self.sessions.get(&session) {
                        // Closed: there is nobody to tell.
                        let _ = session.outlet.write(|out| out.extend_from_slice(&octets));
                    }
                }
                Event::Settle { account, report, arrival } => {
                    self.arrivals.extend(arrival.map(|arrival| *arrival));
                    if let Some(report) = report {
                        self.deliver(account, Delivery::Receipt(report));
                    }
                }
                Event::Retry { account, delivery } => self.deliver(account, delivery),
            }
        }
        self.agenda.recycle(slot);
        true
    }
}

fn keep(line: &mut VecDeque<Delivery>, delivery: Delivery, most: usize, counts: &mut Counts) {
    line.push_back(delivery);
    while line.len() > most {
        line.pop_front();
        counts.forgotten += 1;
    }
}
