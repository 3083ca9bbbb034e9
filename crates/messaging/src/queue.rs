//! The messages in memory: for each connection three lanes, and a bound over all of them.
//!
//! A message has a *place* from its acceptance until a carrier has answered for it. Without a place it waits in the
//! table and is read from there, so memory stays flat however much is accepted.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use runtime::Clock;
use tokio::sync::Notify;
use types::{ConnectionId, MessageId, PauseId, RouteId, Timestamp};

use crate::Intent;
use crate::load::Loads;
use crate::message::{Outgoing, Why};
use crate::pause::Rest;
use crate::route::{Ask, Board, Chosen, Decision, Liveness, Routes};

pub mod api;
pub(crate) mod exit;
mod lane;
mod paced;
pub(crate) mod pages;
pub mod steer;
pub mod view;

use exit::{Before, Exit};
use lane::Lane;
use paced::Paced;
pub(crate) use paced::Rates;

/// A message for a connection.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The message.
    pub message: Arc<Outgoing>,
    /// Where it goes.
    pub connection: ConnectionId,
    /// Whether it goes before those that wait: it has waited already.
    pub first: bool,
}

/// The queue of all connections.
#[derive(Debug)]
pub struct Queue {
    places: Mutex<HashSet<MessageId>>,
    places_max: usize,
    lines: RwLock<HashMap<ConnectionId, Arc<Line>>>,
    routes: ArcSwap<Routes>,
    alive: RwLock<HashMap<ConnectionId, Liveness>>,
    loads: ArcSwap<Loads>,
    /// The connections that lead to the simulator.
    simulators: ArcSwap<HashSet<ConnectionId>>,
    /// What is paused.
    pub(crate) rest: Rest,
}

/// How connections stand, as routes ask for it.
struct Standing<'a> {
    alive: &'a HashMap<ConnectionId, Liveness>,
    loads: &'a ArcSwap<Loads>,
    /// For a test's message: the only connections that there are.
    only: Option<Arc<HashSet<ConnectionId>>>,
}

impl Board for Standing<'_> {
    fn liveness(&self, connection: ConnectionId) -> Liveness {
        if self.only.as_ref().is_some_and(|only| !only.contains(&connection)) {
            return Liveness::Unknown;
        }
        self.alive.get(&connection).copied().unwrap_or(Liveness::Unknown)
    }

    fn load(&self, connection: ConnectionId) -> u64 {
        self.loads.load().of(connection)
    }

    fn gave(&self, connection: ConnectionId) {
        self.loads.load().gave(connection);
    }
}

/// The same, but a connection that has just failed counts as down.
struct Without<'a> {
    standing: &'a Standing<'a>,
    failed: Option<ConnectionId>,
}

impl Board for Without<'_> {
    fn liveness(&self, connection: ConnectionId) -> Liveness {
        match self.standing.liveness(connection) {
            Liveness::Up if Some(connection) == self.failed => Liveness::Down,
            other => other,
        }
    }

    fn load(&self, connection: ConnectionId) -> u64 {
        self.standing.load(connection)
    }

    fn gave(&self, connection: ConnectionId) {
        self.standing.gave(connection);
    }
}

impl Queue {
    /// A queue with so many places.
    pub fn new(places_max: usize) -> Self {
        Self {
            places: Mutex::default(),
            places_max,
            lines: RwLock::default(),
            routes: ArcSwap::default(),
            alive: RwLock::default(),
            loads: ArcSwap::default(),
            simulators: ArcSwap::default(),
            rest: Rest::default(),
        }
    }

    /// Takes a place for a message; false when all are taken. A message that has one keeps it.
    pub fn reserve(&self, message: MessageId) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= self.places_max {
            return places.contains(&message);
        }
        places.insert(message);
        true
    }

    /// Whether a message has a place.
    pub fn has_place(&self, message: MessageId) -> bool {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).contains(&message)
    }

    /// Gives a message's place back.
    pub fn release(&self, message: MessageId) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&message);
    }

    /// Places that are free.
    pub fn room(&self) -> usize {
        self.places_max - self.places.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Places that are taken: messages waiting or out.
    pub fn taken(&self) -> usize {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The messages that have a place.
    pub(crate) fn places(&self) -> Vec<MessageId> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Places that there are.
    pub(crate) fn places_max(&self) -> usize {
        self.places_max
    }

    /// Puts a message into its lane; into another connection's, if its own has died meanwhile and a route leads elsewhere.
    pub fn put(&self, queued: Queued) {
        let Queued { message, connection, first } = queued;
        let connection = match self.alive(connection) {
            Liveness::Up => connection,
            _ => self.route(&Ask::of(&message)).map_or(connection, |chosen| chosen.connection),
        };
        self.enter(connection, message, first);
    }

    /// Puts a message into a connection's lane, or aside where a pause keeps it.
    fn enter(&self, connection: ConnectionId, message: Arc<Outgoing>, first: bool) {
        match self.paused(&message, connection) {
            Some(pause) => self.rest.put(message, connection, pause),
            None => self.line(connection).put(message, first),
        }
    }

    /// The pause that a message for a connection waits for, if it does.
    pub(crate) fn paused(&self, message: &Outgoing, connection: ConnectionId) -> Option<PauseId> {
        self.rest.pauses().of(message, connection, || self.route_of(&Ask::of(message)))
    }

    /// Sets aside what waits in memory and is paused now.
    pub(crate) fn set_aside(&self) {
        let lines: Vec<_> = {
            let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
            lines.iter().map(|(connection, line)| (*connection, line.clone())).collect()
        };
        for (connection, line) in lines {
            for message in line.take_where(|message| self.paused(message, connection).is_some()) {
                self.enter(connection, message, false);
            }
        }
    }

    /// A connection's line; made when there is none.
    pub fn line(&self, connection: ConnectionId) -> Arc<Line> {
        if let Some(line) = self.lines.read().unwrap_or_else(PoisonError::into_inner).get(&connection) {
            return line.clone();
        }
        self.lines.write().unwrap_or_else(PoisonError::into_inner).entry(connection).or_default().clone()
    }

    /// Uses other routes from now on.
    pub fn set_routes(&self, routes: Routes) {
        self.routes.store(Arc::new(routes));
    }

    /// The routes in use.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Notes how a connection stands.
    pub fn set_alive(&self, connection: ConnectionId, liveness: Liveness) {
        self.alive.write().unwrap_or_else(PoisonError::into_inner).insert(connection, liveness);
    }

    /// How a connection stands.
    pub fn alive(&self, connection: ConnectionId) -> Liveness {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        alive.get(&connection).copied().unwrap_or(Liveness::Unknown)
    }

    /// Notes whether a connection leads to the simulator.
    pub(crate) fn set_simulator(&self, connection: ConnectionId, is_one: bool) {
        self.simulators.rcu(|known| {
            let mut known = HashSet::clone(known);
            if is_one {
                known.insert(connection)
            } else {
                known.remove(&connection)
            };
            known
        });
    }

    /// Whether a message may leave by a connection: a test's leaves by the simulator's alone.
    pub(crate) fn may_leave(&self, message: &Outgoing, connection: ConnectionId) -> bool {
        let test = message.options.as_ref().is_some_and(|options| options.test);
        !test || self.simulators.load().contains(&connection)
    }

    fn standing<'a>(&'a self, alive: &'a HashMap<ConnectionId, Liveness>, ask: &Ask<'_>) -> Standing<'a> {
        let only = ask.test.then(|| self.simulators.load_full());
        Standing { alive, loads: &self.loads, only }
    }

    /// Notes how much connections have to do.
    pub fn set_loads(&self, loads: Loads) {
        self.loads.store(Arc::new(loads));
    }

    /// Where a message goes.
    pub fn route(&self, ask: &Ask<'_>) -> Option<Chosen> {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        self.routes.load().decide(ask, &self.standing(&alive, ask))
    }

    /// Where a new message goes, and why.
    pub fn decide(&self, ask: &Ask<'_>) -> Option<Why> {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        let standing = self.standing(&alive, ask);
        let (chosen, rules) = self.routes.load().decide_and_keep(ask, &standing)?;
        Some(Why { connection: Some(chosen.connection), rules })
    }

    /// Where a message would go by these routes, and why; nobody's turn passes.
    pub fn explain(&self, routes: &Routes, ask: &Ask<'_>) -> Decision {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        routes.explain(ask, &self.standing(&alive, ask))
    }

    /// The route that takes a message; nobody's turn passes.
    pub fn route_of(&self, ask: &Ask<'_>) -> Option<RouteId> {
        self.explain(&self.routes(), ask).chosen.map(|chosen| chosen.route)
    }

    /// Where a message goes that had a try already: elsewhere than before if another connection of its route is up.
    pub fn route_again(&self, message: &Outgoing, before: Option<ConnectionId>) -> Option<ConnectionId> {
        let ask = Ask::of(message);
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        let standing = self.standing(&alive, &ask);
        let routes = self.routes.load();
        let failed = before.filter(|_| message.attempts > 0);
        let chosen = match routes.decide(&ask, &Without { standing: &standing, failed }) {
            Some(chosen) if !chosen.waits => Some(chosen),
            _ => routes.decide(&ask, &standing),
        };
        chosen.map(|chosen| chosen.connection)
    }

    /// The exit by which new messages of a connection may leave at once; none while others are before them.
    pub(crate) fn open_exit(&self, connection: ConnectionId) -> Option<Exit> {
        if self.alive(connection) != Liveness::Up {
            return None;
        }
        self.line(connection).open_exit()
    }

    /// Moves what waits for a connection to where it goes now; called when the connection has died or its routes changed.
    pub fn reroute(&self, connection: ConnectionId) -> usize {
        let line = self.line(connection);
        let mut moved = 0;
        // The last first, because each goes to the front: so their order stays.
        for message in line.take_where(|_| true).into_iter().rev() {
            let next = self.route(&Ask::of(&message)).map_or(connection, |chosen| chosen.connection);
            moved += usize::from(next != connection);
            self.enter(next, message, true);
        }
        moved
    }

    /// Messages that wait for a connection, by lane.
    pub fn waiting(&self, connection: ConnectionId) -> [usize; Intent::ALL.len()] {
        self.line(connection).waiting()
    }

    /// Takes a message out of the queue before it leaves; false when it is not there.
    pub fn withdraw(&self, message: MessageId) -> bool {
        let lines: Vec<_> =
            self.lines.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let found = lines.iter().any(|line| line.withdraw(message)) || self.rest.withdraw(message);
        if found {
            self.release(message);
        }
        found
    }
}

/// What waits in a line.
#[derive(Debug, Default)]
struct Waits {
    lanes: [Lane; Intent::ALL.len()],
    /// What has come to the end of its lane, and must wait for its sender's or its phone's rate.
    paced: Paced,
}

impl Waits {
    /// By lane.
    fn len(&self) -> [usize; Intent::ALL.len()] {
        let held = self.paced.len();
        std::array::from_fn(|lane| self.lanes[lane].len() + held[lane])
    }
}

/// When something may leave a line, as far as the line knows.
enum Ready {
    Now,
    At(Timestamp),
    /// When something comes.
    Then,
}

/// What waits for one connection.
#[derive(Debug, Default)]
pub struct Line {
    waits: Mutex<Waits>,
    filled: Notify,
    /// Absent while nobody hands over.
    exit: Mutex<Option<Exit>>,
    before: Before,
}

impl Line {
    /// Puts a message into its lane, at the back or `first`.
    pub fn put(&self, message: Arc<Outgoing>, first: bool) {
        let lane = message.intent.lane();
        self.waits().lanes[lane].put(message, first);
        self.filled.notify_one();
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to so many: those whose turn has come by their sender's or their phone's rate, then the first lane first, and in
    /// each lane the accounts in turns.
    pub fn take(&self, max: usize, now: Timestamp) -> Vec<Arc<Outgoing>> {
        let mut waits = self.waits();
        let Waits { lanes, paced } = &mut *waits;
        let mut taken = Vec::with_capacity(max.min(lanes.iter().map(Lane::len).sum()));
        paced.take(max, now, &mut taken);
        for lane in lanes.iter_mut() {
            while taken.len() < max && lane.len() > 0 {
                let mut next = Vec::with_capacity(lane.len().min(max - taken.len()));
                lane.take(max - taken.len(), &mut next);
                taken.extend(next.into_iter().filter_map(|message| paced.pass(message, now)));
            }
        }
        taken
    }

    /// Waits until something may leave.
    pub async fn filled(&self, clock: &Clock) {
        loop {
            let filled = self.filled.notified();
            match self.ready() {
                Ready::Now => return,
                Ready::Then => filled.await,
                Ready::At(at) => {
                    let wait_ms = u64::try_from(at.since_ms(clock.now())).unwrap_or(0);
                    if wait_ms == 0 {
                        return;
                    }
                    drop(tokio::time::timeout(Duration::from_millis(wait_ms), filled).await);
                }
            }
        }
    }

    fn ready(&self) -> Ready {
        let waits = self.waits();
        if waits.lanes.iter().any(|lane| lane.len() > 0) {
            return Ready::Now;
        }
        waits.paced.next_at().map_or(Ready::Then, Ready::At)
    }

    fn waiting(&self) -> [usize; Intent::ALL.len()] {
        self.waits().len()
    }

    /// Of those that wait, how many wait for their sender's or their phone's rate.
    pub(crate) fn held_back(&self) -> usize {
        self.waits().paced.len().iter().sum()
    }

    /// Lets through so much of one sender, and to one phone, from now on.
    pub(crate) fn set_rates(&self, rates: Rates) {
        self.waits().paced.set(rates);
        self.filled.notify_one();
    }

    /// New messages may leave by this exit from now on.
    pub(crate) fn set_exit(&self, exit: Exit) {
        *self.exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit);
    }

    /// Nobody leaves by this exit any more.
    pub(crate) fn close_exit(&self, exit: &Exit) {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner).take_if(|now| now.is(exit));
    }

    fn open_exit(&self) -> Option<Exit> {
        let waits = self.waits();
        let free =
            self.before.is_empty() && !waits.paced.rates().is_any() && waits.len() == [0; Intent::ALL.len()];
        drop(waits);
        free.then(|| self.exit.lock().unwrap_or_else(PoisonError::into_inner).clone()).flatten()
    }

    /// Takes what is so, in its order.
    pub(crate) fn take_where(&self, so: impl Fn(&Outgoing) -> bool) -> Vec<Arc<Outgoing>> {
        let mut waits = self.waits();
        let mut taken: Vec<_> = waits.lanes.iter_mut().flat_map(|lane| lane.take_where(&so)).collect();
        taken.extend(waits.paced.take_where(&so));
        taken
    }

    fn withdraw(&self, message: MessageId) -> bool {
        let mut waits = self.waits();
        waits.lanes.iter_mut().any(|lane| lane.withdraw(message)) || waits.paced.withdraw(message)
    }
}

#[cfg(test)]
mod tests;
