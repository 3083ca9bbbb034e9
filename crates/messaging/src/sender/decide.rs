//! Who may send as whom: the decision.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::tz::TimeZone;
use types::{AccountId, Address, Code, PoolId, Result, Timestamp};

use super::policy::{SenderMode, SenderPolicy};
use super::pool::{Choice, Pool};
use super::{EVERYWHERE, RegistrationState, Sender};
use crate::gate::{Gate, Judging, Refusal, Verdict, fold, matches};
use crate::hours::week::day_start;

/// The account number of the API's policy in its table.
pub(super) const API: i64 = 0;
/// The account number of the policy for whoever has none of its own.
pub(super) const EVERYONE: i64 = -1;

/// A tenant's senders, policies and pools, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    register: HashMap<String, Vec<Standing>>,
    policies: HashMap<i64, Policy>,
    pools: HashMap<PoolId, Members>,
}

/// A registration with its days as instants of the tenant's zone.
#[derive(Debug)]
struct Standing {
    country: String,
    state: RegistrationState,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Debug)]
struct Policy {
    mode: SenderMode,
    allowed: Vec<String>,
    blocked: Vec<String>,
    defaults: Vec<Fallback>,
}

#[derive(Debug)]
struct Fallback {
    countries: Vec<String>,
    sender: Option<Address>,
    pool: Option<PoolId>,
}

#[derive(Debug)]
struct Members {
    name: String,
    choice: Choice,
    members: Vec<(Address, Vec<String>)>,
    next: AtomicUsize,
}

impl Senders {
    /// Makes them ready.
    ///
    /// # Errors
    /// When a row holds a sender that is none.
    pub(crate) fn new(
        senders: Vec<Sender>,
        policies: Vec<(i64, SenderPolicy)>,
        pools: Vec<Pool>,
        zone: &TimeZone,
    ) -> Result<Self> {
        let mut made = Self::default();
        for sender in senders {
            let standings = sender.record.registrations.into_iter().map(|one| Standing {
                from: one.from.as_deref().and_then(|day| day_start(zone, day, false)),
                until: one.until.as_deref().and_then(|day| day_start(zone, day, true)),
                country: one.country,
                state: one.state,
            });
            made.register.insert(fold(&sender.name), standings.collect());
        }
        for (whose, policy) in policies {
            let defaults = policy.defaults.into_iter().map(|one| {
                let sender = one.sender.as_deref().map(Address::sender).transpose()?;
                Ok(Fallback { countries: one.countries, sender, pool: one.pool })
            });
            let defaults = defaults.collect::<Result<_>>()?;
            let folded = |list: Vec<String>| list.iter().map(|sender| fold(sender)).collect();
            let (allowed, blocked) = (folded(policy.allowed), folded(policy.blocked));
            made.policies.insert(whose, Policy { mode: policy.mode, allowed, blocked, defaults });
        }
        for pool in pools {
            let members = pool.rule.members.into_iter();
            let members = members.map(|member| Ok((Address::sender(&member.sender)?, member.countries)));
            let members = Members {
                name: pool.name,
                choice: pool.rule.choice,
                members: members.collect::<Result<_>>()?,
                next: AtomicUsize::new(0),
            };
            made.pools.insert(pool.id, members);
        }
        Ok(made)
    }

    /// Whether anybody may send as anybody.
    pub(crate) fn is_open(&self) -> bool {
        self.register.is_empty() && self.policies.is_empty()
    }

    /// Chooses a sender where the message names none, then says whether it may be used.
    pub(crate) fn judge(&self, judging: &mut Judging<'_>) -> Result<(), Refusal> {
        if self.is_open() {
            return Ok(());
        }
        let own = judging.ask.account.map_or(API, AccountId::raw);
        let policy = self.policies.get(&own).or_else(|| self.policies.get(&EVERYONE));
        if !judging.ask.named
            && let Some(policy) = policy
        {
            self.choose(policy, judging);
        }
        let refused = self.refusal(policy, judging);
        match &refused {
            Some((_, why)) => {
                let why = why.clone();
                judging.looked(Gate::Sender, || None, NAME, Verdict::Refuses, || why);
            }
            None => judging.looked(
                Gate::Sender,
                || None,
                NAME,
                Verdict::Passes,
                || "The sender may be used.".to_owned(),
            ),
        }
        refused.map_or(Ok(()), |(code, why)| Err(Refusal::new(code, 0, NAME, why)))
    }

    fn choose(&self, policy: &Policy, judging: &mut Judging<'_>) {
        let country = judging.country;
        let concerns = |default: &&Fallback| {
            default.countries.is_empty()
                || default.countries.iter().any(|known| Some(known.as_str()) == country)
        };
        // A default that names the country goes before one for all.
        let mut defaults: Vec<&Fallback> = policy.defaults.iter().filter(concerns).collect();
        defaults.sort_by_key(|default| default.countries.is_empty());
        for default in defaults {
            let pool = default.pool.and_then(|pool| self.pools.get(&pool));
            let (sender, from) = match (&default.sender, pool) {
                (Some(sender), _) => (sender, "the default"),
                (None, Some(pool)) => match self.member(pool, policy, judging) {
                    Some(sender) => (sender, pool.name.as_str()),
                    None => continue,
                },
                (None, None) => continue,
            };
            judging.looked(
                Gate::Sender,
                || None,
                from,
                Verdict::Chooses,
                || format!("The message names no sender, so {sender} sends it."),
            );
            judging.send_as(sender);
            return;
        }
    }

    /// A pool's member for a message: of those that may be used, as the pool chooses.
    fn member<'p>(&self, pool: &'p Members, policy: &Policy, judging: &Judging<'_>) -> Option<&'p Address> {
        let country = judging.country;
        let at_home = |countries: &[String]| countries.iter().any(|known| Some(known.as_str()) == country);
        let usable: Vec<_> = pool
            .members
            .iter()
            .filter(|(sender, countries)| {
                (countries.is_empty() || at_home(countries))
                    && (policy.mode != SenderMode::Registered
                        || self.state(&fold(&sender.text), country, judging.now)
                            == Some(RegistrationState::Approved))
            })
            .collect();
        let chosen = match pool.choice {
            // The one for this country before those for all.
            Choice::Country => usable.iter().find(|(_, countries)| at_home(countries)).or(usable.first()),
            // The member that weighs most for the recipient: when the pool changes, few recipients get another.
            Choice::Sticky => {
                usable.iter().max_by_key(|(sender, _)| weight(judging.ask.recipient, &sender.text))
            }
            Choice::RoundRobin if usable.is_empty() => None,
            Choice::RoundRobin if judging.counting => {
                usable.get(pool.next.fetch_add(1, Ordering::Relaxed) % usable.len())
            }
            Choice::RoundRobin => usable.get(pool.next.load(Ordering::Relaxed) % usable.len()),
        };
        chosen.map(|(sender, _)| sender)
    }

    /// How a sender stands in a country now; nothing where nobody has registered it there.
    fn state(&self, folded: &str, country: Option<&str>, now: Timestamp) -> Option<RegistrationState> {
        let standings = self.register.get(folded)?;
        let there = standings.iter().find(|one| Some(one.country.as_str()) == country);
        let standing = there.or_else(|| standings.iter().find(|one| one.country == EVERYWHERE))?;
        Some(match standing.state {
            RegistrationState::Approved if standing.until.is_some_and(|until| until <= now) => {
                RegistrationState::Expired
            }
            RegistrationState::Approved if standing.from.is_some_and(|from| from > now) => {
                RegistrationState::Pending
            }
            state => state,
        })
    }

    /// Why a sender may not be used, if it may not.
    fn refusal(&self, policy: Option<&Policy>, judging: &Judging<'_>) -> Option<(Code, String)> {
        let (sender, mode) = (&judging.sender, policy.map_or(SenderMode::Free, |policy| policy.mode));
        if sender.is_empty() {
            let why = "the message names no sender, none is set as default, and not every sender may be used";
            return (mode != SenderMode::Free).then(|| (Code::SenderNotAllowed, why.to_owned()));
        }
        let shown = judging.pass.sender.as_ref().unwrap_or(judging.ask.sender);
        let listed = |list: &[String]| list.iter().any(|pattern| matches(pattern, sender));
        if policy.is_some_and(|policy| listed(&policy.blocked)) {
            return Some((Code::SenderNotAllowed, format!("the sender {shown} is blocked here")));
        }
        if policy.is_some_and(|policy| mode == SenderMode::Listed && !listed(&policy.allowed)) {
            let why = format!("the sender {shown} is not among those that may be used here");
            return Some((Code::SenderNotAllowed, why));
        }
        let state = self.state(sender, judging.country, judging.now);
        let where_to = judging.country.map_or("this recipient", |country| country);
        let refused = match (mode, state) {
            (SenderMode::Registered, Some(RegistrationState::Approved)) => None,
            (SenderMode::Registered, None) => Some("is not registered"),
            (_, Some(RegistrationState::Refused)) => Some("was refused"),
            (_, Some(RegistrationState::Expired)) => Some("has an expired registration"),
            (SenderMode::Registered, Some(RegistrationState::Draft)) => {
                Some("has only a drafted registration")
            }
            (SenderMode::Registered, Some(RegistrationState::Pending)) => Some("awaits its approval"),
            (SenderMode::Free | SenderMode::Listed, _) => None,
        };
        // What the policy names itself needs no registration beside it.
        let named = policy.is_some_and(|policy| mode == SenderMode::Registered && listed(&policy.allowed));
        refused
            .filter(|_| !(named && state.is_none()))
            .map(|what| (Code::SenderNotRegistered, format!("the sender {shown} {what} for {where_to}")))
    }
}

/// What the rules of senders are called in refusals.
const NAME: &str = "senders";

/// A weight of a member for a recipient, the same in every process (FNV-1a).
fn weight(recipient: &str, sender: &str) -> u64 {
    let octets = recipient.bytes().chain([0]).chain(sender.bytes());
    let hash = octets
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3));
    // The last octets of two names must reach the high bits, which decide.
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
