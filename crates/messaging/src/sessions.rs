//! Who is bound, over whichever protocol: the sessions of all accounts, their bounds and their counters.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use runtime::Runtime;
use runtime::pace::Pace;
use runtime::trace::{self, Line, Tap};
use runtime::wire::Outlet;
use smpp::{Sequence, State};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use types::{AccountId, TenantId, Timestamp};

use crate::account::{Account, AccountForBind, AccountSettings};
use crate::connection::Protocol;
use crate::engine::Bound;
use crate::live::meter::{Board, Meter, SessionEvent};
use crate::message::sm::Sender;

/// The sessions that are bound now.
pub struct Sessions {
    state: Mutex<Registry>,
    meters: Arc<Board>,
}

#[derive(Default)]
struct Registry {
    by_account: HashMap<AccountId, Customer>,
    bound: usize,
    serial: u64,
    /// The rates of accounts that come without a session, while they have none.
    callers: HashMap<AccountId, Arc<Rate>>,
}

/// Accounts without a session whose rates are remembered.
const CALLERS_MAX: usize = 10_000;

/// An account with at least one session.
struct Customer {
    sessions: Vec<Arc<Session>>,
    /// Over all its sessions.
    rate: Arc<Rate>,
}

/// How many parts a second an account may submit, and the bucket that its sessions share.
struct Rate {
    /// 0 for any.
    per_second: AtomicU32,
    pace: Mutex<Pace>,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        let pace = Mutex::new(Pace::new(per_second, per_second));
        Self { per_second: AtomicU32::new(per_second), pace }
    }

    fn set(&self, per_second: u32, now: Timestamp) {
        if self.per_second.swap(per_second, Ordering::Relaxed) != per_second {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.set(now.unix_ms(), per_second, per_second);
        }
    }

    fn take(&self, parts: u32, now: Timestamp) -> bool {
        self.per_second.load(Ordering::Relaxed) == 0
            || self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(now.unix_ms(), parts).is_ok()
    }
}

/// The far side of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// Where it came to, where that is known.
    pub(crate) local: Option<SocketAddr>,
    /// Whether nobody on the way can read along.
    pub(crate) encrypted: bool,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

/// Why a bind finds no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The account has as many sessions as it may have.
    Account,
    /// So has the server.
    Server,
}

/// What a session shares with those who look at it.
pub(crate) struct Session {
    serial: u64,
    /// Whose account it is.
    pub(crate) tenant: TenantId,
    /// The account.
    pub(crate) account: AccountId,
    /// The account's limits and defaults, which may change.
    settings: ArcSwap<AccountSettings>,
    /// What people call the account.
    pub(crate) name: String,
    /// What it binds with.
    pub(crate) system_id: String,
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// One of the bound states; for UCP that of a transceiver.
    pub(crate) state: State,
    /// The far side.
    pub(crate) peer: Peer,
    /// The version that it speaks; 0 where the protocol has none.
    version: AtomicU32,
    /// What is counted about its account.
    pub(crate) meter: Arc<Meter>,
    since: Timestamp,
    /// When it submitted or took something last, Unix milliseconds; 0 for not yet.
    active_ms: AtomicI64,
    rate: Arc<Rate>,
    submitted: AtomicU64,
    delivered: AtomicU64,
    unanswered: AtomicU32,
    /// Rung when `unanswered` has become less.
    answered: Notify,
    /// Of the requests that we send.
    sequence: Mutex<Sequence>,
    /// Where it is written to, once it is served.
    outlet: OnceLock<Outlet>,
    /// Done when somebody wants the session to end.
    pub(crate) ending: CancellationToken,
}

impl Sessions {
    /// Nobody is bound yet.
    pub fn new(meters: Arc<Board>) -> Self {
        Self { state: Mutex::default(), meters }
    }

    /// How many are bound.
    pub fn count(&self) -> usize {
        self.lock().bound
    }

    /// The sessions of an account, oldest first.
    pub fn of(&self, account: AccountId) -> Vec<Bound> {
        self.lock().by_account.get(&account).map_or_else(Vec::new, |customer| {
            customer.sessions.iter().map(|session| session.bound()).collect()
        })
    }

    /// Ends an account's sessions: each is sent an unbind, and what it has submitted is answered before it closes. The
    /// customer's next bind finds the account as it then is.
    pub fn end(&self, account: AccountId) {
        if let Some(customer) = self.lock().by_account.get(&account) {
            customer.sessions.iter().for_each(|session| session.ending.cancel());
        }
    }

    /// Lets an account's sessions go on under its other settings; those that could not bind under them end, and of more than
    /// may be bound the newest.
    pub fn adapt(&self, account: &Account, now: Timestamp) {
        let registry = self.lock();
        let Some(customer) = registry.by_account.get(&account.id) else { return };
        customer.rate.set(account.settings.throughput, now);
        let settings = Arc::new(account.settings.clone());
        for (nth, session) in customer.sessions.iter().enumerate() {
            if nth < usize::from(account.settings.binds_max) && session.may_stay(account) {
                session.settings.store(Arc::clone(&settings));
                session.answered.notify_one();
            } else {
                session.ending.cancel();
            }
        }
    }

    /// Ends one session of an account, by its number; false where there is none.
    pub fn end_one(&self, account: AccountId, number: u64) -> bool {
        let registry = self.lock();
        let customer = registry.by_account.get(&account);
        let session =
            customer.and_then(|customer| customer.sessions.iter().find(|session| session.serial == number));
        session.inspect(|session| session.ending.cancel()).is_some()
    }

    /// Of each account that is bound: requests that await our answer, and how many may.
    pub(crate) fn windows(&self) -> Vec<(AccountId, (u64, u64))> {
        let window = |session: &Arc<Session>| {
            (u64::from(session.unanswered.load(Ordering::Relaxed)), u64::from(session.window()))
        };
        let all = |sessions: &[Arc<Session>]| {
            sessions.iter().map(window).fold((0, 0), |(used, limit), one| (used + one.0, limit + one.1))
        };
        let registry = self.lock();
        registry.by_account.iter().map(|(id, customer)| (*id, all(&customer.sessions))).collect()
    }

    /// The meters of the accounts that are bound, by their system_id.
    pub(crate) fn meters(&self) -> Vec<(String, Arc<Meter>)> {
        let registry = self.lock();
        let first = registry.by_account.values().filter_map(|customer| customer.sessions.first());
        first.map(|session| (session.system_id.clone(), session.meter.clone())).collect()
    }

    /// Whether a session of the account receives.
    pub(crate) fn receives(&self, account: AccountId) -> bool {
        let registry = self.lock();
        let customer = registry.by_account.get(&account);
        customer.is_some_and(|customer| customer.sessions.iter().any(|session| session.state.can_deliver()))
    }

    /// Writes something that has no answer to a session of the account that receives over SMPP, with that session's next
    /// number. False where there is none.
    pub(crate) fn tell(&self, account: AccountId, write: impl FnOnce(u32, &mut Vec<u8>)) -> bool {
        let receiver = {
            let registry = self.lock();
            let receives = |session: &&Arc<Session>| {
                session.protocol == Protocol::Smpp
                    && session.state.can_deliver()
                    && session.outlet.get().is_some()
            };
            let customer = registry.by_account.get(&account);
            customer.and_then(|customer| customer.sessions.iter().find(receives).cloned())
        };
        let Some(session) = receiver else { return false };
        let number = session.next_sequence();
        session.outlet.get().is_some_and(|outlet| outlet.write(|out| write(number, out)).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes leave for so many parts of an account that comes without a session; false when it is above its rate, which all
    /// its sessions share.
    pub(crate) fn may_submit(&self, account: AccountId, rate: u32, parts: u32, now: Timestamp) -> bool {
        if rate == 0 {
            return true;
        }
        let mut registry = self.lock();
        let shared = match registry.by_account.get(&account) {
            Some(customer) => Arc::clone(&customer.rate),
            None => {
                if registry.callers.len() >= CALLERS_MAX {
                    registry.callers.clear();
                }
                let called = registry.callers.entry(account).or_insert_with(|| Arc::new(Rate::new(rate)));
                Arc::clone(called)
            }
        };
        drop(registry);
        shared.set(rate, now);
        shared.take(parts, now)
    }

    /// Gives a bind its place, where account and server have one.
    pub(crate) fn admit(
        self: &Arc<Self>,
        account: AccountForBind,
        (protocol, state): (Protocol, State),
        peer: Peer,
        now: Timestamp,
        server_max: usize,
    ) -> Result<Seat, NoPlace> {
        let mut registry = self.lock();
        let present = registry.by_account.get(&account.id).map_or(0, |customer| customer.sessions.len());
        if present >= usize::from(account.settings.binds_max) {
            return Err(NoPlace::Account);
        }
        if registry.bound >= server_max {
            return Err(NoPlace::Server);
        }
        registry.bound += 1;
        registry.serial += 1;
        let serial = registry.serial;
        let rate = account.settings.throughput;
        let called = registry.callers.remove(&account.id);
        let customer = registry.by_account.entry(account.id).or_insert_with(|| Customer {
            sessions: Vec::new(),
            rate: called.unwrap_or_else(|| Arc::new(Rate::new(rate))),
        });
        customer.rate.set(rate, now);
        let session = Arc::new(Session {
            serial,
            tenant: account.tenant,
            account: account.id,
            settings: ArcSwap::from_pointee(account.settings),
            name: account.name,
            system_id: account.system_id,
            protocol,
            state,
            peer,
            version: AtomicU32::new(0),
            meter: self.meters.account(account.id),
            since: now,
            active_ms: AtomicI64::new(0),
            rate: Arc::clone(&customer.rate),
            submitted: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            unanswered: AtomicU32::new(0),
            answered: Notify::new(),
            sequence: Mutex::default(),
            outlet: OnceLock::new(),
            ending: CancellationToken::new(),
        });
        customer.sessions.push(Arc::clone(&session));
        session.note(now, "bound", None);
        metrics::gauge!("switchboard_smpp_sessions").set(registry.bound as f64);
        Ok(Seat { session, sessions: Arc::clone(self) })
    }
}

/// A session's place among the others; free again when it is dropped.
pub(crate) struct Seat {
    session: Arc<Session>,
    sessions: Arc<Sessions>,
}

impl std::ops::Deref for Seat {
    type Target = Arc<Session>;
    fn deref(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut registry = self.sessions.lock();
        let account = self.session.account;
        if let Some(customer) = registry.by_account.get_mut(&account) {
            customer.sessions.retain(|session| session.serial != self.session.serial);
            if customer.sessions.is_empty() {
                registry.by_account.remove(&account);
            }
        }
        registry.bound = registry.bound.saturating_sub(1);
        metrics::gauge!("switchboard_smpp_sessions").set(registry.bound as f64);
    }
}

impl Session {
    fn bound(&self) -> Bound {
        let (active_ms, version) =
            (self.active_ms.load(Ordering::Relaxed), self.version.load(Ordering::Relaxed));
        Bound {
            number: self.serial,
            kind: self.kind(),
            peer: self.peer.to_string(),
            tls: self.peer.encrypted,
            since: self.since,
            submitted: self.submitted.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            window_used: self.unanswered.load(Ordering::Relaxed),
            window_limit: self.window(),
            version: Some(format!("{}.{}", version >> 4, version & 0x0F)).filter(|_| version > 0),
            active_at: Some(Timestamp::from_unix_ms(active_ms)).filter(|_| active_ms > 0),
        }
    }

    /// Requests that may await our answer.
    pub(crate) fn window(&self) -> u32 {
        u32::from(self.settings.load().window_max.max(1))
    }

    /// On whose behalf it submits, under what the account's settings are now.
    pub(crate) fn sender(&self) -> Sender {
        Sender {
            tenant: self.tenant,
            account: self.account,
            settings: self.settings.load_full(),
            from: Some(self.peer.address.ip()),
        }
    }

    /// Whether it could bind under other settings of its account.
    fn may_stay(&self, account: &Account) -> bool {
        let AccountSettings { allow_from, require_tls, .. } = &account.settings;
        let address = self.peer.address.ip();
        account.active
            && (allow_from.is_empty() || allow_from.iter().any(|network| network.contains(address)))
            && (!require_tls || self.peer.encrypted)
    }

    /// Notes the version that it speaks (SMPP v5 §4.7.13).
    pub(crate) fn speaks(&self, version: smpp::Version) {
        self.version.store(version.0.into(), Ordering::Relaxed);
    }

    /// Remembers that it came or went.
    pub(crate) fn note(&self, at: Timestamp, what: &'static str, why: Option<String>) {
        let (kind, peer) = (self.kind().to_owned(), self.peer.to_string());
        self.meter.note(SessionEvent { at, what, kind, peer, why });
    }

    fn active(&self, now_ms: i64) {
        self.active_ms.store(now_ms, Ordering::Relaxed);
        self.meter.active_ms.store(now_ms, Ordering::Relaxed);
    }

    /// What its octets are shown to.
    pub(crate) fn tap(&self, runtime: &Runtime) -> Tap {
        let protocol = match self.protocol {
            // No session is opened over HTTP, and nothing of one for mail is shown.
            Protocol::Smpp | Protocol::Http | Protocol::Mail => trace::Protocol::Smpp,
            Protocol::Ucp => trace::Protocol::Ucp,
            Protocol::Cimd2 => trace::Protocol::Cimd2,
        };
        let line = Line {
            bind: self.serial,
            kind: self.kind(),
            protocol,
            ours: self.peer.local.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
            peer: self.peer.address,
        };
        Tap::new(&self.meter.point, line, &runtime.clock)
    }

    /// The kind of bind, as people and events call it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.state {
            _ if self.protocol == Protocol::Ucp => "ucp",
            _ if self.protocol == Protocol::Mail => "mail",
            State::BoundTx => "transmitter",
            State::BoundRx => "receiver",
            _ => "transceiver",
        }
    }

    /// Takes leave for so many parts; false when the account is above its rate.
    pub(crate) fn may_submit(&self, parts: u32, now: Timestamp) -> bool {
        self.active(now.unix_ms());
        self.meter.parts.fetch_add(parts.into(), Ordering::Relaxed);
        self.rate.take(parts, now)
    }

    /// Counts a request that will be answered later, and the messages it brought.
    pub(crate) fn asked(&self, messages: u64) {
        self.unanswered.fetch_add(1, Ordering::AcqRel);
        self.submitted.fetch_add(messages, Ordering::Relaxed);
    }

    /// Counts answers that were written.
    pub(crate) fn answered(&self, requests: u32) {
        self.unanswered.fetch_sub(requests, Ordering::AcqRel);
        self.answered.notify_one();
    }

    /// Waits until fewer requests are unanswered than `window` says, which is asked again each time.
    pub(crate) async fn room(&self, window: impl Fn() -> u32) {
        while self.unanswered.load(Ordering::Acquire) >= window() {
            self.answered.notified().await;
        }
    }

    /// The number of our next request.
    pub(crate) fn next_sequence(&self) -> u32 {
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where it is written to from now on.
    pub(crate) fn served_by(&self, outlet: &Outlet) {
        // A session is served once.
        let _ = self.outlet.set(outlet.clone());
    }

    /// Counts a push that was taken.
    pub(crate) fn took(&self, now: Timestamp) {
        self.active(now.unix_ms());
        self.delivered.fetch_add(1, Ordering::Relaxed);
        self.meter.given.fetch_add(1, Ordering::Relaxed);
    }
}
