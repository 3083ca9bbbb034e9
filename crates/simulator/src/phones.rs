//! The phones behind the simulated carrier: what their screens show, and what their owners answer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use smpp::{COctetString, DataCoding, SmRef, Tag};
use sms::{ConcatRef, Encoding};
use tokio::sync::watch;
use types::{Result, Timestamp};

use crate::Smsc;

/// Unfinished long messages that one phone keeps.
const UNFINISHED_MAX: usize = 8;

/// The phones behind a message centre. Cloning shares them.
#[derive(Clone)]
pub struct Phones {
    smsc: Smsc,
}

/// A phone in the list of phones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Phone {
    /// Its number, as the wire carries it.
    pub number: String,
    /// Its latest message.
    pub latest: Message,
    /// How many messages its screen holds.
    pub messages: usize,
}

/// A message on a phone's screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Whether the phone received or sent it.
    pub direction: Direction,
    /// The other side: who sent it, or to whom it went.
    pub peer: String,
    /// The text, of all parts together; hexadecimal digits for binary content.
    pub text: String,
    /// When it came or went.
    pub at: Timestamp,
    /// Whether it was to be shown at once and not stored.
    pub flash: bool,
    /// Parts that it had.
    pub parts: u8,
    /// data_coding of what was received.
    pub data_coding: u8,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the phone.
    Received,
    /// From the phone.
    Sent,
}

impl Phones {
    pub(crate) fn of(smsc: Smsc) -> Self {
        Self { smsc }
    }

    /// The phones that have messages, the one with the latest first.
    #[must_use]
    pub fn list(&self) -> Vec<Phone> {
        self.smsc.screens().list()
    }

    /// The messages on a phone's screen, oldest first; none for a number that was never written to.
    #[must_use]
    pub fn screen(&self, number: &str) -> Vec<Message> {
        self.smsc.screens().screen(digits(number))
    }

    /// Sends a text from a phone to `to` (a sender, mostly) and shows it on the phone's screen.
    ///
    /// # Errors
    /// An address or a text that no message can carry; nothing is sent then.
    pub fn reply(&self, number: &str, to: &str, text: &str) -> Result<()> {
        let parts = self.smsc.inject_mo(number, to, text)?;
        let message = Message {
            direction: Direction::Sent,
            peer: to.to_owned(),
            text: text.to_owned(),
            at: Timestamp::from_unix_ms(self.smsc.now_ms()),
            flash: false,
            parts: u8::try_from(parts).unwrap_or(u8::MAX),
            data_coding: 0,
        };
        self.smsc.screens().show(digits(number).to_owned(), message);
        Ok(())
    }

    /// Empties all screens.
    pub fn clear(&self) {
        self.smsc.screens().clear();
    }

    /// Tells that some screen changed. The number only grows.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.smsc.screens().changes.subscribe()
    }
}

/// Numbers are kept without their plus sign, as the wire has them.
fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

/// What the carrier hands to a phone.
#[derive(Debug)]
pub(crate) struct Arrival {
    to: COctetString,
    from: COctetString,
    content: Box<[u8]>,
    data_coding: DataCoding,
    udhi: bool,
    sar: Option<ConcatRef>,
    at_ms: i64,
}

impl Arrival {
    pub(crate) fn of(sm: &SmRef<'_>, at_ms: i64) -> Self {
        Self {
            to: COctetString::new(sm.destination.addr),
            from: COctetString::new(sm.source.addr),
            content: sm.content().into(),
            data_coding: sm.data_coding,
            udhi: sm.esm_class.udhi(),
            sar: sar(sm),
            at_ms,
        }
    }

    /// Another text in the same coding, in one part.
    pub(crate) fn replace(&mut self, content: &[u8]) {
        self.content = content.into();
        (self.udhi, self.sar) = (false, None);
    }
}

/// The concatenation of the sar_* TLVs (SMPP v5 §4.8.4.51).
fn sar(sm: &SmRef<'_>) -> Option<ConcatRef> {
    let [high, low] = *sm.tlvs.get(Tag::SAR_MSG_REF_NUM)?.first_chunk()?;
    let [total] = *sm.tlvs.get(Tag::SAR_TOTAL_SEGMENTS)?.first_chunk()?;
    let [part] = *sm.tlvs.get(Tag::SAR_SEGMENT_SEQNUM)?.first_chunk()?;
    ConcatRef::new(u16::from_be_bytes([high, low]), sms::Width::Bits16, total, part)
}

/// All screens.
#[derive(Debug)]
pub(crate) struct Screens {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    phones: HashMap<String, Screen>,
    /// The numbers of all messages on screens, oldest first, so that the oldest of all can go.
    order: VecDeque<String>,
    /// The numbers of phones that had nothing but a first part when it came, oldest first, so that they can go too.
    begun: VecDeque<String>,
    bound: usize,
    /// Grows with each message; tells which phone had the latest.
    serial: u64,
}

#[derive(Debug, Default)]
struct Screen {
    messages: VecDeque<Message>,
    unfinished: VecDeque<Unfinished>,
    latest: u64,
}

/// A long message of which parts are missing.
#[derive(Debug)]
struct Unfinished {
    from: COctetString,
    reference: u16,
    total: u8,
    parts: Vec<(u8, Box<[u8]>)>,
}

impl Screens {
    pub(crate) fn new(bound: usize) -> Self {
        let state = State {
            phones: HashMap::new(),
            order: VecDeque::new(),
            begun: VecDeque::new(),
            bound,
            serial: 0,
        };
        Self { state: Mutex::new(state), changes: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_bound(&self, bound: usize) {
        let mut state = self.state();
        state.bound = bound;
        state.keep_bound();
    }

    /// Shows what arrived, and tells of it once.
    pub(crate) fn receive(&self, arrivals: impl ExactSizeIterator<Item = Arrival>) {
        if arrivals.len() == 0 {
            return;
        }
        let mut state = self.state();
        for arrival in arrivals {
            state.receive(&arrival);
        }
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn show(&self, number: String, message: Message) {
        self.state().show(number, message);
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn list(&self) -> Vec<Phone> {
        let state = self.state();
        let mut phones: Vec<_> = state.phones.iter().collect();
        phones.sort_by_key(|(_, screen)| std::cmp::Reverse(screen.latest));
        let phone = |(number, screen): (&String, &Screen)| {
            let latest = screen.messages.back()?.clone();
            Some(Phone { number: number.clone(), latest, messages: screen.messages.len() })
        };
        phones.into_iter().filter_map(phone).collect()
    }

    pub(crate) fn screen(&self, number: &str) -> Vec<Message> {
        let state = self.state();
        state.phones.get(number).map_or_else(Vec::new, |screen| screen.messages.iter().cloned().collect())
    }

    fn clear(&self) {
        let mut state = self.state();
        state.phones.clear();
        state.order.clear();
        state.begun.clear();
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl State {
    fn receive(&mut self, arrival: &Arrival) {
        let number = arrival.to.as_str().into_owned();
        let (header, body) = match arrival.udhi.then(|| sms::udh::split(&arrival.content)) {
            Some(Ok((header, body))) => (header, body),
            _ => (sms::udh::Header::default(), &*arrival.content),
        };
        let default = Encoding::Gsm7(header.alphabet());
        let encoding = Encoding::from_data_coding(arrival.data_coding.0, default);
        let place = header.concatenation().or(arrival.sar).filter(|place| place.total > 1);
        let (text, parts) = match place {
            None => (encoding.decode(body), 1),
            Some(place) => {
                let screen = self.phones.entry(number.clone()).or_default();
                let is_new = screen.messages.is_empty() && screen.unfinished.is_empty();
                let Some(whole) = screen.join(&arrival.from, place, body) else {
                    self.begun.extend(is_new.then_some(number));
                    return self.keep_bound();
                };
                (encoding.decode(&whole), place.total)
            }
        };
        let message = Message {
            direction: Direction::Received,
            peer: arrival.from.as_str().into_owned(),
            text,
            at: Timestamp::from_unix_ms(arrival.at_ms),
            flash: sms::text::message_class(arrival.data_coding.0) == Some(0),
            parts,
            data_coding: arrival.data_coding.0,
        };
        self.show(number, message);
    }

    fn show(&mut self, number: String, message: Message) {
        self.serial += 1;
        let screen = self.phones.entry(number.clone()).or_default();
        screen.latest = self.serial;
        screen.messages.push_back(message);
        self.order.push_back(number);
        self.keep_bound();
    }

    fn keep_bound(&mut self) {
        while self.order.len() > self.bound
            && let Some(number) = self.order.pop_front()
        {
            if let Some(screen) = self.phones.get_mut(&number) {
                screen.messages.pop_front();
                if screen.messages.is_empty() {
                    self.phones.remove(&number);
                }
            }
        }
        while self.begun.len() > self.bound
            && let Some(number) = self.begun.pop_front()
        {
            if self.phones.get(&number).is_some_and(|screen| screen.messages.is_empty()) {
                self.phones.remove(&number);
            }
        }
    }
}

impl Screen {
    /// Keeps a part; gives the whole when it was the last that was missing.
    fn join(&mut self, from: &COctetString, place: ConcatRef, body: &[u8]) -> Option<Vec<u8>> {
        let fits = |other: &Unfinished| {
            other.from == *from && other.reference == place.reference && other.total == place.total
        };
        let at = match self.unfinished.iter().position(fits) {
            Some(at) => at,
            None => {
                if self.unfinished.len() >= UNFINISHED_MAX {
                    self.unfinished.pop_front();
                }
                self.unfinished.push_back(Unfinished {
                    from: from.clone(),
                    reference: place.reference,
                    total: place.total,
                    parts: Vec::new(),
                });
                self.unfinished.len() - 1
            }
        };
        let unfinished = &mut self.unfinished[at];
        if unfinished.parts.iter().all(|(part, _)| *part != place.part) {
            unfinished.parts.push((place.part, body.into()));
        }
        if unfinished.parts.len() < usize::from(unfinished.total) {
            return None;
        }
        let whole = self.unfinished.remove(at)?;
        sms::segment::join(whole.total, whole.parts.iter().map(|(part, body)| (*part, &**body)))
    }
}

#[cfg(test)]
mod tests;
