//! Who is bound, over whichever protocol: the sessions of all accounts, their bounds and their counters.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use runtime::pace::Pace;
use runtime::wire::Outlet;
use smpp::{Sequence, State};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use types::{AccountId, Timestamp};

use crate::account::AccountForBind;
use crate::connection::Protocol;
use crate::engine::Bound;
use crate::message::sm::Sender;

/// The sessions that are bound now.
#[derive(Default)]
pub struct Sessions {
    state: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    by_account: HashMap<AccountId, Customer>,
    bound: usize,
    serial: u64,
    /// The rates of accounts that come without a session, while they have none.
    callers: HashMap<AccountId, (u32, Arc<Mutex<Pace>>)>,
}

/// Accounts without a session whose rates are remembered.
const CALLERS_MAX: usize = 10_000;

/// An account with at least one session.
struct Customer {
    sessions: Vec<Arc<Session>>,
    /// Over all its sessions: how many parts a second, and the bucket that they share.
    pace: (u32, Arc<Mutex<Pace>>),
}

/// The far side of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Where it is.
    pub(crate) address: SocketAddr,
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
    /// On whose behalf it submits.
    pub(crate) sender: Sender,
    /// What people call the account.
    pub(crate) name: String,
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// One of the bound states; for UCP that of a transceiver.
    pub(crate) state: State,
    /// The far side.
    pub(crate) peer: Peer,
    since: Timestamp,
    /// Absent where the account has no limit.
    pace: Option<Arc<Mutex<Pace>>>,
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
    pub fn new() -> Self {
        Self::default()
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
        let pace = match registry.by_account.get(&account) {
            Some(customer) => Arc::clone(&customer.pace.1),
            None => {
                if registry.callers.len() >= CALLERS_MAX {
                    registry.callers.clear();
                }
                let called = registry.callers.entry(account);
                let called = called.or_insert_with(|| (rate, Arc::new(Mutex::new(Pace::new(rate, rate)))));
                if called.0 != rate {
                    called.0 = rate;
                    let mut pace = called.1.lock().unwrap_or_else(PoisonError::into_inner);
                    pace.set(now.unix_ms(), rate, rate);
                }
                Arc::clone(&called.1)
            }
        };
        drop(registry);
        pace.lock().unwrap_or_else(PoisonError::into_inner).take(now.unix_ms(), parts).is_ok()
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
            pace: called.unwrap_or_else(|| (rate, Arc::new(Mutex::new(Pace::new(rate, rate))))),
        });
        if customer.pace.0 != rate {
            customer.pace.0 = rate;
            let mut pace = customer.pace.1.lock().unwrap_or_else(PoisonError::into_inner);
            pace.set(now.unix_ms(), rate, rate);
        }
        let session = Arc::new(Session {
            serial,
            sender: Sender {
                tenant: account.tenant,
                account: account.id,
                settings: Arc::new(account.settings),
                from: Some(peer.address.ip()),
            },
            name: account.name,
            protocol,
            state,
            peer,
            since: now,
            pace: (rate > 0).then(|| Arc::clone(&customer.pace.1)),
            submitted: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            unanswered: AtomicU32::new(0),
            answered: Notify::new(),
            sequence: Mutex::default(),
            outlet: OnceLock::new(),
            ending: CancellationToken::new(),
        });
        customer.sessions.push(Arc::clone(&session));
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
        let account = self.session.sender.account;
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
        Bound {
            kind: self.kind(),
            peer: self.peer.to_string(),
            tls: self.peer.encrypted,
            since: self.since,
            submitted: self.submitted.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            window_used: self.unanswered.load(Ordering::Relaxed),
        }
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
        self.pace.as_ref().is_none_or(|pace| {
            pace.lock().unwrap_or_else(PoisonError::into_inner).take(now.unix_ms(), parts).is_ok()
        })
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

    /// Waits until fewer than `window` requests are unanswered.
    pub(crate) async fn room(&self, window: u32) {
        while self.unanswered.load(Ordering::Acquire) >= window {
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
    pub(crate) fn took(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }
}
