//! Which of a route's targets takes a message: the state that turns need, and the choice itself.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use types::ConnectionId;

use super::decide::Liveness;
use super::rule::{RouteRule, Strategy, TARGETS_MAX, Target};

/// How connections stand while a decision is made.
pub trait Board {
    /// Whether it takes messages.
    fn liveness(&self, connection: ConnectionId) -> Liveness;

    /// How much it has to do, in thousandths of its window.
    fn load(&self, _connection: ConnectionId) -> u64 {
        0
    }

    /// Notes that it was given a message because it had least to do.
    fn gave(&self, _connection: ConnectionId) {}
}

/// Who knows only whether connections live is a board too.
impl<F: Fn(ConnectionId) -> Liveness> Board for F {
    fn liveness(&self, connection: ConnectionId) -> Liveness {
        self(connection)
    }
}

/// Why a connection that could have taken the message did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// It is switched off in the route.
    Disabled,
    /// It was another's turn.
    NotItsTurn,
    /// It had more to do than the chosen one.
    HeavierLoad,
    /// It costs more than the chosen one.
    Dearer,
    /// It costs the same, and stands behind the chosen one.
    StandsBy,
    /// The recipient belongs to another.
    OtherRecipients,
}

impl Passed {
    /// In words, for people who wonder.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Disabled => "switched off in the route",
            Self::NotItsTurn => "not its turn",
            Self::HeavierLoad => "heavier load",
            Self::Dearer => "dearer",
            Self::StandsBy => "stands by at the same cost",
            Self::OtherRecipients => "has other recipients",
        }
    }
}

/// Whether a decision moves the turns on, or only looks at whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// A message goes.
    Take,
    /// Somebody wonders.
    Look,
}

/// Whose turn it is at one route. It outlives changes of other routes.
#[derive(Debug, Default)]
pub(super) struct Turns {
    next: AtomicU32,
    /// For each target what smooth weighted turns have come to.
    smooth: Mutex<Vec<i64>>,
}

impl Turns {
    fn number(&self, turn: Turn) -> usize {
        let number = match turn {
            Turn::Take => self.next.fetch_add(1, Ordering::Relaxed),
            Turn::Look => self.next.load(Ordering::Relaxed),
        };
        number as usize
    }

    /// Smooth weighted turns: everybody gains its weight, the richest is chosen and pays what all have gained. So turns
    /// are spread, and after as many turns as the weights' sum each has had its weight's share.
    fn weighted(&self, targets: &[Target], among: &[usize], turn: Turn) -> usize {
        let mut held = self.smooth.lock().unwrap_or_else(PoisonError::into_inner);
        held.resize(targets.len(), 0);
        let weight = |at: usize| i64::from(targets[at].weight);
        let richest = among.iter().copied().max_by_key(|at| (held[*at] + weight(*at), Reverse(*at)));
        let chosen = richest.unwrap_or_default();
        if turn == Turn::Take {
            for at in among {
                held[*at] += weight(*at);
            }
            held[chosen] -= among.iter().map(|at| weight(*at)).sum::<i64>();
        }
        chosen
    }
}

/// Places of targets, in order; no more than a route has.
#[derive(Debug, Default)]
pub(super) struct Places {
    at: [usize; TARGETS_MAX],
    len: usize,
}

impl Places {
    /// Adds one.
    pub(super) fn push(&mut self, at: usize) {
        if let Some(place) = self.at.get_mut(self.len) {
            *place = at;
            self.len += 1;
        }
    }

    /// Those there are.
    pub(super) fn as_slice(&self) -> &[usize] {
        &self.at[..self.len]
    }
}

/// Which target of a route takes a message for a recipient, of those that could: the place of one.
///
/// `among` is not empty.
pub(super) fn choose(
    rule: &RouteRule,
    turns: &Turns,
    among: &[usize],
    recipient: &str,
    board: &impl Board,
    turn: Turn,
) -> usize {
    let targets = &rule.targets;
    let first = among.first().copied().unwrap_or_default();
    match rule.strategy {
        Strategy::Failover => first,
        _ if among.len() == 1 => first,
        Strategy::RoundRobin => among[turns.number(turn) % among.len()],
        Strategy::Weighted => turns.weighted(targets, among, turn),
        Strategy::LeastLoad => {
            // Of equals, each in its turn.
            let begin = turns.number(turn) % among.len();
            let in_turn = (0..among.len()).map(|step| among[(begin + step) % among.len()]);
            let chosen = in_turn.min_by_key(|at| board.load(targets[*at].connection)).unwrap_or(first);
            if turn == Turn::Take {
                board.gave(targets[chosen].connection);
            }
            chosen
        }
        Strategy::LeastCost => among.iter().copied().min_by_key(|at| cost(&targets[*at])).unwrap_or(first),
        Strategy::Sticky => {
            among.iter().copied().max_by_key(|at| pull(recipient, targets[*at].connection)).unwrap_or(first)
        }
    }
}

/// Why a target that could have taken the message did not, another having been chosen.
pub(super) fn why_not(rule: &RouteRule, target: &Target, chosen: &Target) -> Option<Passed> {
    match rule.strategy {
        Strategy::Failover => None,
        Strategy::RoundRobin | Strategy::Weighted => Some(Passed::NotItsTurn),
        Strategy::LeastLoad => Some(Passed::HeavierLoad),
        Strategy::LeastCost if cost(target) == cost(chosen) => Some(Passed::StandsBy),
        Strategy::LeastCost => Some(Passed::Dearer),
        Strategy::Sticky => Some(Passed::OtherRecipients),
    }
}

fn cost(target: &Target) -> u64 {
    target.cost.as_ref().map_or(u64::MAX, |cost| cost.amount_milli)
}

/// How strongly a connection draws a recipient (rendezvous hashing): whoever draws most has it, so that a connection which
/// goes away or comes back moves its own recipients and nobody else's. The same in every process and at every start.
fn pull(recipient: &str, connection: ConnectionId) -> u64 {
    // FNV-1a over the digits, then SplitMix64's finish over both.
    let digits = recipient.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut mixed = digits ^ (connection.raw() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
