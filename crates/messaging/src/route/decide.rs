//! The decision: pure, over a snapshot of all routes, for each message that is accepted.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::{ConnectionId, RouteId, TenantId};

use super::Route;
use super::ask::{Ask, World};
use super::condition::Condition;
use super::rule::{Strategy, Target};
use super::strategy::{self, Board, Passed, Places, Turn, Turns};
use super::traffic::Detected;
use super::words::{outline, words};
use crate::lookup::Network;

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It takes messages, though perhaps not as fast as wished.
    Up,
    /// It should be bound and is not.
    Down,
    /// It was stopped.
    Stopped,
    /// It takes nothing more.
    Draining,
    /// Nobody knows it: deleted, or not loaded yet.
    Unknown,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Chosen {
    /// The rule that decided.
    pub route: RouteId,
    /// The connection.
    pub connection: ConnectionId,
    /// Whether it waits there, because none of the route's connections is up.
    pub waits: bool,
}

/// What one rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RouteVerdict)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is switched off.
    Inactive,
    /// It is for another account.
    OtherAccount,
    /// It is for other senders.
    OtherSender,
    /// It is for other recipients.
    OtherRecipient,
    /// It is for messages that are for something else.
    OtherIntent,
    /// It is for messages that come in by another way.
    OtherSource,
    /// It is for other SMPP service types.
    OtherServiceType,
    /// It is for other encodings.
    OtherEncoding,
    /// It is for shorter or longer messages.
    OtherSize,
    /// It is for messages with other optional parameters.
    OtherTlv,
    /// It is for another time.
    OtherTime,
    /// It is for other countries.
    OtherCountry,
    /// It is for other networks.
    OtherNetwork,
    /// It is for other texts.
    OtherContent,
    /// It is for texts that read otherwise.
    OtherTraffic,
    /// It takes the message, but all its connections are stopped, draining or gone.
    NoConnection,
    /// It takes the message; its connections are down, so the message waits at the first that is not stopped.
    Waits,
    /// It takes the message.
    Takes,
}

/// A connection that a rule leads to and that was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Candidate {
    /// The connection.
    #[serde(rename = "id")]
    pub connection: ConnectionId,
    /// How it stood.
    pub state: Liveness,
    /// Why it was passed over though it may have been up.
    #[serde(rename = "why", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Passed>,
}

/// A rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RouteLooked)]
pub struct Looked {
    /// The rule.
    pub route: RouteId,
    /// What people call it.
    pub name: String,
    /// What it said.
    pub verdict: Verdict,
    /// The same in words.
    pub why: String,
    /// Its connections that were passed over, in the order in which they were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<Candidate>,
}

/// One rule's answer as it is kept with a message: few octets, since most messages keep none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The rule.
    #[serde(rename = "r")]
    pub route: RouteId,
    /// Its revision then: where it is another now, its words would be about another rule.
    #[serde(rename = "n")]
    pub revision: i64,
    /// What it said.
    #[serde(rename = "v")]
    pub verdict: Verdict,
    /// Its connections that were passed over.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<Candidate>,
}

/// Rules whose answers are kept with a message; of those that were asked after these, only the one that decided.
const KEPT_MAX: usize = 50;

/// A decision with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RouteDecision)]
pub struct Decision {
    /// Where the message goes; absent when no route leads there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// The rules in the order in which they were asked, up to the one that decided.
    pub looked_at: Vec<Looked>,
    /// What the text reads like; absent without a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Detected>,
    /// The recipient's network, as far as it is known; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// A route, ready to be asked.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) route: Route,
    pub(super) conditions: Vec<Condition>,
    turns: Arc<Turns>,
}

impl Ready {
    fn new(route: Route, turns: Arc<Turns>) -> Self {
        Self { conditions: Condition::of(&route.rule), route, turns }
    }
}

/// One tenant's routes in the order in which they are asked.
#[derive(Debug, Default)]
struct Asked {
    all: Vec<Arc<Ready>>,
    /// For the two first digits of a recipient the places of those routes, behind the first [`KEPT_MAX`], that may take it.
    /// Empty where there are no more routes than those.
    by_digits: Vec<Vec<u32>>,
}

/// The first two digits of a number; none where it does not begin with two.
fn two_digits(number: &str) -> Option<usize> {
    match number.as_bytes() {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', ..] => Some(usize::from(a - b'0') * 10 + usize::from(b - b'0')),
        _ => None,
    }
}

impl Asked {
    fn new(mut all: Vec<Arc<Ready>>) -> Self {
        all.sort_by_key(|ready| (std::cmp::Reverse(ready.route.priority), ready.route.id));
        let mut by_digits = Vec::new();
        if all.len() > KEPT_MAX {
            by_digits.resize(100, Vec::new());
            for (place, ready) in (0_u32..).zip(&all).skip(KEPT_MAX) {
                let beginnings = ready.conditions.iter().find_map(Condition::beginnings);
                for (digits, places) in by_digits.iter_mut().enumerate() {
                    let digits = format!("{digits:02}");
                    let meets =
                        |prefix: &String| prefix.starts_with(&digits) || digits.starts_with(prefix.as_str());
                    if beginnings.is_none_or(|list| list.iter().any(meets)) {
                        places.push(place);
                    }
                }
            }
        }
        Self { all, by_digits }
    }

    /// The routes that a message must ask: all of the first `whole`, and of the others those that its recipient does not
    /// rule out.
    fn of(&self, recipient: &str, whole: usize) -> impl Iterator<Item = &Ready> {
        let places = two_digits(recipient).and_then(|digits| self.by_digits.get(digits));
        let first = match places {
            Some(_) => whole.max(KEPT_MAX).min(self.all.len()),
            None => self.all.len(),
        };
        let behind = places.map_or(&[][..], Vec::as_slice).iter().map(|place| *place as usize);
        let behind = behind.filter(move |place| *place >= first);
        self.all[..first].iter().chain(behind.map(|place| &self.all[place])).map(Arc::as_ref)
    }
}

/// Who is told what each rule said.
type Look<'l> = dyn FnMut(&Route, Verdict, Vec<Candidate>) + 'l;

/// All tenants' routes, each tenant's in the order in which they are asked. Made once after each change.
#[derive(Debug, Default)]
pub struct Routes {
    by_tenant: HashMap<TenantId, Asked>,
    world: World,
}

impl Routes {
    /// Makes routes ready to be asked: the highest priority first, of equals the oldest.
    pub fn new(routes: Vec<Route>, world: World) -> Self {
        Self::following(routes, world, &Self::default())
    }

    /// Makes routes ready that follow others: what has not changed is taken over as it is, and whose turn it is as long as
    /// the route leads to the same connections.
    pub fn following(routes: Vec<Route>, world: World, before: &Self) -> Self {
        let known: HashMap<RouteId, &Arc<Ready>> = before
            .by_tenant
            .values()
            .flat_map(|asked| &asked.all)
            .map(|ready| (ready.route.id, ready))
            .collect();
        let mut by_tenant: HashMap<TenantId, Vec<Arc<Ready>>> = HashMap::new();
        for route in routes {
            let ready = match known.get(&route.id) {
                Some(ready) if ready.route == route => Arc::clone(ready),
                Some(ready) if ready.route.rule.connections().eq(route.rule.connections()) => {
                    Arc::new(Ready::new(route, Arc::clone(&ready.turns)))
                }
                _ => Arc::new(Ready::new(route, Arc::default())),
            };
            by_tenant.entry(ready.route.tenant).or_default().push(ready);
        }
        let by_tenant = by_tenant.into_iter().map(|(tenant, all)| (tenant, Asked::new(all))).collect();
        Self { by_tenant, world }
    }

    /// A tenant's routes in their order.
    pub fn of(&self, tenant: TenantId) -> impl Iterator<Item = &Route> {
        self.by_tenant.get(&tenant).into_iter().flat_map(|asked| &asked.all).map(|ready| &ready.route)
    }

    /// What decisions may ask beside the message.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Whether any route measures load, so that somebody must.
    pub fn measure_load(&self) -> bool {
        let mut all = self.by_tenant.values().flat_map(|asked| &asked.all);
        all.any(|ready| ready.route.rule.strategy == Strategy::LeastLoad)
    }

    /// Where a message goes, without the reasons; the turns move on. `board` may also be told to take a connection that
    /// has just failed for down, so that the next target is chosen.
    pub fn decide(&self, ask: &Ask<'_>, board: &impl Board) -> Option<Chosen> {
        self.ask(ask, board, Turn::Take, 0, None)
    }

    /// The same decision with what is kept of it: the rules that were asked, the one that decided last.
    pub fn decide_and_keep(&self, ask: &Ask<'_>, board: &impl Board) -> Option<(Chosen, Vec<Kept>)> {
        let mut kept = Vec::new();
        let mut look = |route: &Route, verdict, passed_over| {
            kept.truncate(KEPT_MAX - 1);
            kept.push(Kept { route: route.id, revision: route.revision, verdict, passed_over });
        };
        let chosen = self.ask(ask, board, Turn::Take, KEPT_MAX, Some(&mut look))?;
        Some((chosen, kept))
    }

    /// The same decision in words, for people who wonder; whose turn it is stays.
    pub fn explain(&self, ask: &Ask<'_>, board: &impl Board) -> Decision {
        let mut looked_at = Vec::new();
        let mut look = |route: &Route, verdict, passed_over| {
            let why = words(route, ask, &self.world, verdict);
            looked_at.push(Looked { route: route.id, name: route.name.clone(), verdict, why, passed_over });
        };
        let chosen = self.ask(ask, board, Turn::Look, usize::MAX, Some(&mut look));
        let traffic = (!ask.text().is_empty()).then(|| ask.traffic().clone());
        let network = Some(ask.network(&self.world).clone()).filter(|network| !network.is_unknown());
        Decision { chosen, looked_at, traffic, network }
    }

    /// What was kept of a decision, in words. A rule that was changed since can only say which of its conditions did
    /// not hold; one that is gone has no name any more.
    pub fn tell(&self, ask: &Ask<'_>, kept: Vec<Kept>) -> Vec<Looked> {
        kept.into_iter()
            .map(|Kept { route: id, revision, verdict, passed_over }| {
                let route = self.of(ask.tenant).find(|route| route.id == id);
                let why = match route {
                    Some(route) if route.revision == revision => words(route, ask, &self.world, verdict),
                    Some(_) => format!("{} The rule has been changed since.", outline(verdict)),
                    None => format!("{} The rule has been deleted since.", outline(verdict)),
                };
                let name = route.map_or_else(|| id.to_string(), |route| route.name.clone());
                Looked { route: id, name, verdict, why, passed_over }
            })
            .collect()
    }

    /// Asks the rules in their order until one decides, and tells `look` what each said; of those behind the first `whole`
    /// only what the recipient does not rule out at once.
    fn ask(
        &self,
        ask: &Ask<'_>,
        board: &impl Board,
        turn: Turn,
        whole: usize,
        mut look: Option<&mut Look<'_>>,
    ) -> Option<Chosen> {
        let asked = self.by_tenant.get(&ask.tenant)?;
        asked.of(ask.recipient, whole).find_map(|ready| {
            let mut passed_over = Vec::new();
            let judged =
                judge(ready, ask, &self.world, board, turn, look.is_some().then_some(&mut passed_over));
            if let Some(look) = &mut look {
                let verdict = match judged {
                    Ok(Chosen { waits: true, .. }) => Verdict::Waits,
                    Ok(_) => Verdict::Takes,
                    Err(verdict) => verdict,
                };
                look(&ready.route, verdict, passed_over);
            }
            judged.ok()
        })
    }
}

/// What one rule says about a message: the choice, or why it passes.
fn judge(
    ready: &Ready,
    ask: &Ask<'_>,
    world: &World,
    board: &impl Board,
    turn: Turn,
    passed_over: Option<&mut Vec<Candidate>>,
) -> Result<Chosen, Verdict> {
    let Ready { route, conditions, turns } = ready;
    if !route.active {
        return Err(Verdict::Inactive);
    }
    if let Some(unmet) = conditions.iter().find(|condition| !condition.holds(ask, world)) {
        return Err(unmet.verdict());
    }
    let rule = &route.rule;
    let (mut up, mut down) = (Places::default(), Places::default());
    for (at, target) in rule.targets.iter().enumerate().filter(|(_, target)| target.enabled) {
        match board.liveness(target.connection) {
            Liveness::Up => up.push(at),
            Liveness::Down => down.push(at),
            Liveness::Stopped | Liveness::Draining | Liveness::Unknown => {}
        }
        if rule.strategy == Strategy::Failover && !up.as_slice().is_empty() {
            break;
        }
    }
    let waits = up.as_slice().is_empty();
    let among = if waits { &down } else { &up };
    let chosen = (!among.as_slice().is_empty())
        .then(|| strategy::choose(rule, turns, among.as_slice(), ask.recipient, board, turn));
    if let Some(passed_over) = passed_over {
        *passed_over = others(route, chosen, waits, board);
    }
    let connection = rule.targets[chosen.ok_or(Verdict::NoConnection)?].connection;
    Ok(Chosen { route: route.id, connection, waits })
}

/// The targets that were passed over, each with its reason. Where the first that is up takes all messages, those behind
/// it were not asked.
fn others(route: &Route, chosen: Option<usize>, waits: bool, board: &impl Board) -> Vec<Candidate> {
    let rule = &route.rule;
    let last = match chosen {
        Some(at) if rule.strategy == Strategy::Failover && !waits => at,
        _ => rule.targets.len(),
    };
    let candidate = |target: &Target| {
        let state = board.liveness(target.connection);
        let could = state == if waits { Liveness::Down } else { Liveness::Up };
        let reason = match chosen {
            _ if !target.enabled => Some(Passed::Disabled),
            Some(at) if could => strategy::why_not(rule, target, &rule.targets[at]),
            _ => None,
        };
        Candidate { connection: target.connection, state, reason }
    };
    let all = rule.targets.iter().enumerate().take(last);
    all.filter(|(at, _)| Some(*at) != chosen).map(|(_, target)| candidate(target)).collect()
}

#[cfg(test)]
mod tests;
