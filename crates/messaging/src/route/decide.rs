//! The decision: pure, over a snapshot of all routes, for each message that is accepted.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use types::{AccountId, ConnectionId, RouteId, TenantId};

use super::Route;
use crate::intent::Intent;

/// A message, as far as routes care.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Whose it is.
    pub tenant: TenantId,
    /// The account that sends it; none for the API.
    pub account: Option<AccountId>,
    /// Its sender's digits without `+`, or name.
    pub sender: &'a str,
    /// Its recipient's digits without `+`.
    pub recipient: &'a str,
    /// What it is for.
    pub intent: Intent,
}

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
}

/// A rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
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
pub struct Decision {
    /// Where the message goes; absent when no route leads there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// The rules in the order in which they were asked, up to the one that decided.
    pub looked_at: Vec<Looked>,
}

/// All tenants' routes, each tenant's in the order in which they are asked. Made once after each change.
#[derive(Debug, Default)]
pub struct Routes {
    by_tenant: HashMap<TenantId, Vec<Route>>,
}

impl Routes {
    /// Sorts the routes: the highest priority first, of equals the oldest.
    pub fn new(routes: Vec<Route>) -> Self {
        let mut by_tenant: HashMap<TenantId, Vec<Route>> = HashMap::new();
        for route in routes {
            by_tenant.entry(route.tenant).or_default().push(route);
        }
        for routes in by_tenant.values_mut() {
            routes.sort_by_key(|route| (std::cmp::Reverse(route.priority), route.id));
        }
        Self { by_tenant }
    }

    /// A tenant's routes in their order.
    pub fn of(&self, tenant: TenantId) -> &[Route] {
        self.by_tenant.get(&tenant).map_or(&[], Vec::as_slice)
    }

    /// Where a message goes, without the reasons. `alive` may also be told to take a connection that has just failed
    /// for down, so that the next target is chosen.
    pub fn decide(&self, ask: &Ask<'_>, alive: impl Fn(ConnectionId) -> Liveness) -> Option<Chosen> {
        self.ask(ask, alive, |_, _, _| {})
    }

    /// The same decision with what is kept of it: the rules that were asked, the one that decided last.
    pub fn decide_and_keep(
        &self,
        ask: &Ask<'_>,
        alive: impl Fn(ConnectionId) -> Liveness,
    ) -> Option<(Chosen, Vec<Kept>)> {
        let mut kept = Vec::new();
        let chosen = self.ask(ask, alive, |route, verdict, passed_over| {
            kept.truncate(KEPT_MAX - 1);
            kept.push(Kept { route: route.id, revision: route.revision, verdict, passed_over });
        })?;
        Some((chosen, kept))
    }

    /// The same decision in words, for people who wonder.
    pub fn explain(&self, ask: &Ask<'_>, alive: impl Fn(ConnectionId) -> Liveness) -> Decision {
        let mut looked_at = Vec::new();
        let chosen = self.ask(ask, alive, |route, verdict, passed_over| {
            let why = words(route, ask, verdict);
            looked_at.push(Looked { route: route.id, name: route.name.clone(), verdict, why, passed_over });
        });
        Decision { chosen, looked_at }
    }

    /// What was kept of a decision, in words. A rule that was changed since can only say which of its conditions did
    /// not hold; one that is gone has no name any more.
    pub fn tell(&self, ask: &Ask<'_>, kept: Vec<Kept>) -> Vec<Looked> {
        let routes = self.of(ask.tenant);
        kept.into_iter()
            .map(|Kept { route: id, revision, verdict, passed_over }| {
                let route = routes.iter().find(|route| route.id == id);
                let why = match route {
                    Some(route) if route.revision == revision => words(route, ask, verdict),
                    Some(_) => format!("{} The rule has been changed since.", outline(verdict)),
                    None => format!("{} The rule has been deleted since.", outline(verdict)),
                };
                let name = route.map_or_else(|| id.to_string(), |route| route.name.clone());
                Looked { route: id, name, verdict, why, passed_over }
            })
            .collect()
    }

    /// Asks the rules in their order until one decides, and tells `look` what each said.
    fn ask(
        &self,
        ask: &Ask<'_>,
        alive: impl Fn(ConnectionId) -> Liveness,
        mut look: impl FnMut(&Route, Verdict, Vec<Candidate>),
    ) -> Option<Chosen> {
        self.of(ask.tenant).iter().find_map(|route| {
            let mut passed_over = Vec::new();
            let judged = judge(route, ask, &alive, &mut passed_over);
            let verdict = match judged {
                Ok(Chosen { waits: true, .. }) => Verdict::Waits,
                Ok(_) => Verdict::Takes,
                Err(verdict) => verdict,
            };
            look(route, verdict, passed_over);
            judged.ok()
        })
    }
}

/// What one rule says about a message: the choice, or why it passes.
fn judge(
    route: &Route,
    ask: &Ask<'_>,
    alive: &impl Fn(ConnectionId) -> Liveness,
    passed_over: &mut Vec<Candidate>,
) -> Result<Chosen, Verdict> {
    let rule = &route.rule;
    if !route.active {
        return Err(Verdict::Inactive);
    }
    if rule.account.is_some() && rule.account != ask.account {
        return Err(Verdict::OtherAccount);
    }
    if !rule.intents.is_empty() && !rule.intents.contains(&ask.intent) {
        return Err(Verdict::OtherIntent);
    }
    if !rule.sender.as_deref().is_none_or(|pattern| sender_matches(pattern, ask.sender)) {
        return Err(Verdict::OtherSender);
    }
    let prefixes = &rule.recipient_prefixes;
    if !prefixes.is_empty() && !prefixes.iter().any(|prefix| ask.recipient.starts_with(prefix.as_str())) {
        return Err(Verdict::OtherRecipient);
    }
    for connection in rule.targets.iter().copied() {
        match alive(connection) {
            Liveness::Up => return Ok(Chosen { route: route.id, connection, waits: false }),
            state => passed_over.push(Candidate { connection, state }),
        }
    }
    let waits_at = passed_over.iter().position(|candidate| candidate.state == Liveness::Down);
    let connection = passed_over.remove(waits_at.ok_or(Verdict::NoConnection)?).connection;
    Ok(Chosen { route: route.id, connection, waits: true })
}

/// Whether a sender is the pattern's: the same in either case, or beginning with what stands before its `*`.
fn sender_matches(pattern: &str, sender: &str) -> bool {
    match pattern.strip_suffix('*') {
        None => pattern.eq_ignore_ascii_case(sender),
        Some(start) => sender.get(..start.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(start)),
    }
}

/// Prefixes that a sentence names before it says how many more there are.
const PREFIXES_NAMED: usize = 5;

fn words(route: &Route, ask: &Ask<'_>, verdict: Verdict) -> String {
    let rule = &route.rule;
    match verdict {
        Verdict::Inactive => "It is switched off.".to_owned(),
        Verdict::OtherAccount if ask.account.is_none() => {
            "It is for an SMPP account, and this message comes from the API.".to_owned()
        }
        Verdict::OtherAccount => "It is for another SMPP account.".to_owned(),
        Verdict::OtherIntent => {
            let taken: Vec<_> = rule.intents.iter().map(|intent| intent.as_str()).collect();
            format!("It takes {} only; this message is {}.", taken.join(" and "), ask.intent.as_str())
        }
        Verdict::OtherSender => {
            let pattern = rule.sender.as_deref().unwrap_or_default();
            match ask.sender {
                "" => format!("It is for the sender {pattern}; this message names none."),
                sender => format!("It is for the sender {pattern}; this message is from {sender}."),
            }
        }
        Verdict::OtherRecipient => {
            let named: Vec<_> = rule.recipient_prefixes.iter().take(PREFIXES_NAMED).map(String::as_str).collect();
            let more = match rule.recipient_prefixes.len().saturating_sub(PREFIXES_NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("It is for numbers that begin with {}{more}; {} does not.", named.join(", "), ask.recipient)
        }
        Verdict::NoConnection => {
            "It takes the message, but all its connections are stopped, draining or gone.".to_owned()
        }
        Verdict::Waits => {
            "It takes the message. None of its connections is up, so the message waits at the first that is not stopped."
                .to_owned()
        }
        Verdict::Takes => "It takes the message.".to_owned(),
    }
}

/// What a verdict means where the rule that gave it is no more what it was.
fn outline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Inactive => "It was switched off.",
        Verdict::OtherAccount => "It was for another account.",
        Verdict::OtherSender => "It was for other senders.",
        Verdict::OtherRecipient => "It was for other numbers.",
        Verdict::OtherIntent => "It was for messages that are for something else.",
        Verdict::NoConnection => {
            "It took the message, but all its connections were stopped, draining or gone."
        }
        Verdict::Waits => "It took the message, which waited: none of its connections was up.",
        Verdict::Takes => "It took the message.",
    }
}

#[cfg(test)]
mod tests;
