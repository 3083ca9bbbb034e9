//! The messages in memory: for each connection three lanes, and a bound over all of them.
//!
//! A message has a *place* from its acceptance until a carrier has answered for it. Without a place it waits in the
//! table and is read from there, so memory stays flat however much is accepted.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use types::{ConnectionId, MessageId, PauseId, RouteId};

use crate::Intent;
use crate::load::Loads;
use crate::message::{Outgoing, Why};
use crate::pause::Rest;
use crate::route::{Ask, Board, Chosen, Decision, Liveness, Routes};

pub mod api;
pub(crate) mod exit;
mod lane;
pub(crate) mod pages;
pub mod steer;
pub mod view;

use exit::{Before, Exit};
use lane::Lane;

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
    /// What is paused.
    pub(crate) rest: Rest,
}

/// How connections stand, as routes ask for it.
struct Standing<'a> {
    alive: &'a HashMap<ConnectionId, Liveness>,
    loads: &'a ArcSwap<Loads>,
}

impl Board for Standing<'_> {
    fn liveness(&self, connection: ConnectionId) -> Liveness {
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

    /// Notes how much connections have to do.
    pub fn set_loads(&self, loads: Loads) {
        self.loads.store(Arc::new(loads));
    }

    /// Where a message goes.
    pub fn route(&self, ask: &Ask<'_>) -> Option<Chosen> {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        self.routes.load().decide(ask, &Standing { alive: &alive, loads: &self.loads })
    }

    /// Where a new message goes, and why.
    pub fn decide(&self, ask: &Ask<'_>) -> Option<Why> {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        let standing = Standing { alive: &alive, loads: &self.loads };
        let (chosen, rules) = self.routes.load().decide_and_keep(ask, &standing)?;
        Some(Why { connection: Some(chosen.connection), rules })
    }

    /// Where a message would go by these routes, and why; nobody's turn passes.
    pub fn explain(&self, routes: &Routes, ask: &Ask<'_>) -> Decision {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        routes.explain(ask, &Standing { alive: &alive, loads: &self.loads })
    }

    /// The route that takes a message; nobody's turn passes.
    pub fn route_of(&self, ask: &Ask<'_>) -> Option<RouteId> {
        self.explain(&self.routes(), ask).chosen.map(|chosen| chosen.route)
    }

    /// Where a message goes that had a try already: elsewhere than before if another connection of its route is up.
    pub fn route_again(&self, message: &Outgoing, before: Option<ConnectionId>) -> Option<ConnectionId> {
        let ask = Ask::of(message);
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        let standing = Standing { alive: &alive, loads: &self.loads };
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
        for message in line.take(usize::MAX).into_iter().rev() {
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

/// What waits for one connection.
#[derive(Debug, Default)]
pub struct Line {
    lanes: Mutex<[Lane; Intent::ALL.len()]>,
    filled: Notify,
    /// Absent while nobody hands over.
    exit: Mutex<Option<Exit>>,
    before: Before,
}

impl Line {
    /// Puts a message into its lane, at the back or `first`.
    pub fn put(&self, message: Arc<Outgoing>, first: bool) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = message.intent.lane();
        lanes[lane].put(message, first);
        drop(lanes);
        self.filled.notify_one();
    }

    /// Takes up to so many, the first lane first, and in each lane the accounts in turns.
    pub fn take(&self, max: usize) -> Vec<Arc<Outgoing>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::with_capacity(max.min(lanes.iter().map(Lane::len).sum()));
        for lane in lanes.iter_mut() {
            lane.take(max - taken.len(), &mut taken);
        }
        taken
    }

    /// Waits until something is there.
    pub async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if self.waiting() != [0; Intent::ALL.len()] {
                return;
            }
            filled.await;
        }
    }

    fn waiting(&self) -> [usize; Intent::ALL.len()] {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        std::array::from_fn(|lane| lanes[lane].len())
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
        let free = self.before.is_empty() && self.waiting() == [0; Intent::ALL.len()];
        free.then(|| self.exit.lock().unwrap_or_else(PoisonError::into_inner).clone()).flatten()
    }

    /// Takes what is so, in its order.
    pub(crate) fn take_where(&self, so: impl Fn(&Outgoing) -> bool) -> Vec<Arc<Outgoing>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter_mut().flat_map(|lane| lane.take_where(&so)).collect()
    }

    fn withdraw(&self, message: MessageId) -> bool {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter_mut().any(|lane| lane.withdraw(message))
    }
}

#[cfg(test)]
mod tests;
