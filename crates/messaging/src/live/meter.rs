//! What is counted about each connection and each account while traffic passes.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use connectors::{NoAnswer, Refusal};
use runtime::Runtime;
use runtime::measure::{Codes, Histogram};
use runtime::trace::Point;
use serde::Serialize;
use types::{AccountId, ConnectionId, Timestamp};

use super::series::Series;

/// Events of its sessions that each connection and account remembers.
const SESSIONS_MAX: usize = 50;
/// Connections, and accounts, that are measured. What finds no place is not.
const METERS_MAX: usize = 20_000;
/// How long after its last use a meter is kept.
const IDLE_MS: i64 = 4 * 3_600_000;

/// Something that happened to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SessionEvent {
    /// When.
    pub at: Timestamp,
    /// `bound`, or `lost`.
    pub what: &'static str,
    /// The kind of session.
    pub kind: String,
    /// The far side's address; empty where it never came to a connection.
    pub peer: String,
    /// Why it was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What connections and accounts have in common.
#[derive(Debug, Default)]
pub struct Meter {
    /// Why submits were refused, as [`code_of`] or a status writes it.
    pub refusals: Codes,
    /// What receipts said, by their state's number.
    pub receipts: Codes,
    /// How long receipts took from the answer on, milliseconds.
    pub lag: Histogram,
    /// Parts that a customer submitted.
    pub parts: AtomicU64,
    /// Messages that were accepted from a customer.
    pub accepted: AtomicU64,
    /// Of a customer's refused submits: too fast, or a full queue.
    pub throttled: AtomicU64,
    /// Receipts and messages that a customer's system took.
    pub given: AtomicU64,
    /// Receipts and messages that it did not take.
    pub not_given: AtomicU64,
    /// When a customer's system did something last, Unix milliseconds; 0 for not yet.
    pub active_ms: AtomicI64,
    /// Sessions that were opened and are not in the metrics yet.
    pub bound: AtomicU64,
    /// Where its sessions can be listened to.
    pub point: Point,
    sessions: Mutex<VecDeque<SessionEvent>>,
    series: Mutex<Series>,
}

impl Meter {
    /// Remembers something that happened to a session.
    pub fn note(&self, event: SessionEvent) {
        if event.what == "bound" {
            self.bound.fetch_add(1, Ordering::Relaxed);
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(event);
    }

    /// What happened to its sessions, the latest first.
    pub fn sessions(&self) -> Vec<SessionEvent> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.iter().rev().cloned().collect()
    }

    /// What happened lately.
    pub fn series(&self) -> MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refused submit of a customer.
    pub fn refused(&self, code: u64, too_fast: bool, n: u64) {
        self.refusals.count(code, n);
        if too_fast {
            self.throttled.fetch_add(n, Ordering::Relaxed);
        }
    }
}

/// The meters of one kind of record.
#[derive(Debug)]
struct Meters<K>(RwLock<HashMap<K, Arc<Meter>>>);

impl<K> Default for Meters<K> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Copy + Eq + Hash> Meters<K> {
    fn find(&self, key: K) -> Option<Arc<Meter>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn of(&self, key: K) -> Arc<Meter> {
        if let Some(meter) = self.find(key) {
            return meter;
        }
        let mut meters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match meters.get(&key) {
            Some(meter) => meter.clone(),
            None if meters.len() >= METERS_MAX => Arc::default(),
            None => meters.entry(key).or_default().clone(),
        }
    }

    fn all(&self) -> Vec<(K, Arc<Meter>)> {
        let meters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        meters.iter().map(|(key, meter)| (*key, meter.clone())).collect()
    }

    /// Forgets what nobody holds and has not been used for long.
    fn forget(&self, used_at: impl Fn(&Meter) -> Timestamp, now: Timestamp) {
        let idle = |meter: &Meter| now.since_ms(used_at(meter)) > IDLE_MS;
        let mut meters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        meters.retain(|_, meter| Arc::strong_count(meter) > 1 || !idle(meter));
    }
}

/// The meters of all connections and accounts.
#[derive(Debug, Default)]
pub struct Board {
    connections: Meters<ConnectionId>,
    accounts: Meters<AccountId>,
}

impl Board {
    /// The one of this program.
    pub fn of(runtime: &Runtime) -> Arc<Self> {
        runtime.kept(|_| Self::default())
    }

    /// A connection's meter, made where there is none.
    pub fn connection(&self, id: ConnectionId) -> Arc<Meter> {
        self.connections.of(id)
    }

    /// A connection's meter, where it has one.
    pub fn known_connection(&self, id: ConnectionId) -> Option<Arc<Meter>> {
        self.connections.find(id)
    }

    /// An account's meter, made where there is none.
    pub fn account(&self, id: AccountId) -> Arc<Meter> {
        self.accounts.of(id)
    }

    /// An account's meter, where it has one.
    pub fn known_account(&self, id: AccountId) -> Option<Arc<Meter>> {
        self.accounts.find(id)
    }

    /// The meters of all accounts.
    pub fn accounts(&self) -> Vec<(AccountId, Arc<Meter>)> {
        self.accounts.all()
    }

    /// Forgets what has not been used for long.
    pub fn forget(&self, now: Timestamp) {
        let looked_at = |meter: &Meter| meter.series().last().map_or(now, |last| last.at);
        self.connections.forget(looked_at, now);
        let active_at = |meter: &Meter| Timestamp::from_unix_ms(meter.active_ms.load(Ordering::Relaxed));
        self.accounts.forget(active_at, now);
    }
}

/// What stands behind a code, above its 32 bits.
const UCP: u64 = 1 << 32;
const CIMD: u64 = 2 << 32;
const NO_ANSWER: u64 = 3 << 32;
/// Statuses of HTTP.
const HTTP: u64 = 5 << 32;
/// Reply codes of mail servers.
const MAIL: u64 = 6 << 32;
/// Codes of customers over UCP.
const UCP_SUBMIT: u64 = 4 << 32;

/// A carrier's refusal as a code.
pub fn code_of(refusal: &Refusal) -> u64 {
    match refusal {
        Refusal::Http(refusal) => HTTP | u64::from(refusal.status),
        Refusal::Smpp(status) => u64::from(status.0),
        Refusal::Ucp(error) => UCP | u64::from(error.0),
        Refusal::Cimd(error) => CIMD | u64::from(error.0),
        Refusal::Mail(code) => MAIL | u64::from(code.code),
    }
}

/// A missing answer as a code.
pub fn code_of_silence(why: NoAnswer) -> u64 {
    match why {
        NoAnswer::TimedOut => NO_ANSWER,
        NoAnswer::BindLost => NO_ANSWER | 1,
        NoAnswer::Unclear => NO_ANSWER | 2,
    }
}

/// The refusal of a customer's submit over UCP as a code.
pub fn code_of_ucp(error: ucp::ErrorCode) -> u64 {
    UCP_SUBMIT | u64::from(error.0)
}

/// A code's name in its protocol, and what it means.
pub fn in_words(code: Option<u64>) -> (String, String) {
    let Some(code) = code else {
        return ("others".to_owned(), "codes beyond those that are told apart".to_owned());
    };
    let low = (code & 0xFFFF_FFFF) as u32;
    let small = u16::try_from(low).unwrap_or(u16::MAX);
    match code >> 32 {
        0 => {
            let status = smpp::Status(low);
            (status.to_string(), status.describe().to_owned())
        }
        1 | 4 => {
            let error = ucp::ErrorCode(u8::try_from(small).unwrap_or(u8::MAX));
            (format!("UCP {:02}", error.0), error.describe().to_owned())
        }
        2 => (format!("CIMD2 {small}"), cimd::ErrorCode(small).describe().to_owned()),
        6 if low < 500 => (format!("SMTP {low}"), "the mail server wants it tried again later".to_owned()),
        6 => (format!("SMTP {low}"), "the mail server refused it for good".to_owned()),
        5 => (format!("HTTP {low}"), "the provider refused the request".to_owned()),
        _ if low == 2 => ("unclear".to_owned(), "what was answered does not tell".to_owned()),
        _ if low == 0 => ("no answer".to_owned(), "none came in time".to_owned()),
        _ => ("bind lost".to_owned(), "the bind was lost before an answer came".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_in_words() {
        for (code, name, words) in [
            (code_of(&Refusal::Smpp(smpp::Status::RTHROTTLED)), "ESME_RTHROTTLED", "throttl"),
            (code_of(&Refusal::Smpp(smpp::Status(0x401))), "status 0x00000401", "provider"),
            (code_of(&Refusal::Ucp(ucp::ErrorCode::ADC_INVALID)), "UCP 06", "AdC invalid"),
            (code_of_ucp(ucp::ErrorCode::SYNTAX), "UCP 02", "syntax"),
            (code_of(&Refusal::Cimd(cimd::ErrorCode::CONGESTION)), "CIMD2 10", "congestion"),
            (
                code_of(&Refusal::Mail(runtime::mail::MailCode::read(550, "5.1.1 nobody"))),
                "SMTP 550",
                "for good",
            ),
            (code_of_silence(NoAnswer::TimedOut), "no answer", "none came"),
            (code_of_silence(NoAnswer::BindLost), "bind lost", "lost"),
        ] {
            let told = in_words(Some(code));
            assert_eq!(told.0, name, "{told:?}");
            assert!(told.1.to_lowercase().contains(&words.to_lowercase()), "{told:?}");
        }
    }

    #[test]
    fn a_meter_keeps_the_last_events_and_goes_when_nobody_needs_it() {
        let board = Board::default();
        let id = ConnectionId::from_raw(1);
        let meter = board.connection(id);
        for n in 0..60 {
            let (kind, peer) = ("transceiver".to_owned(), n.to_string());
            meter.note(SessionEvent { at: Timestamp::default(), what: "bound", kind, peer, why: None });
        }
        let sessions = meter.sessions();
        assert_eq!((sessions.len(), sessions[0].peer.as_str()), (SESSIONS_MAX, "59"));
        meter.series().push(super::super::series::Sample::default());
        board.forget(Timestamp::from_unix_ms(IDLE_MS + 1));
        assert!(board.known_connection(id).is_some(), "somebody holds it");
        drop(meter);
        board.forget(Timestamp::from_unix_ms(IDLE_MS + 1));
        assert!(board.known_connection(id).is_none());
    }
}
