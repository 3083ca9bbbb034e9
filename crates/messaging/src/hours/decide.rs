//! Whether a message may go now, and how fast: the decision.

use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;
use runtime::pace::Pace;
use types::{Code, HoursId, Result, RouteId, Timestamp};

use super::week::{Opening, Week, local, zone};
use super::{Hours, Outside};
use crate::gate::{Gate, Judging, Reach, Refusal, Verdict};

/// A tenant's hours and rates, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Calendar {
    rules: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    id: HoursId,
    name: String,
    reach: Reach,
    routes: Vec<RouteId>,
    keys: Vec<types::KeyId>,
    week: Option<Week>,
    zone: TimeZone,
    outside: Outside,
    /// Parts a second and the bucket that all its messages share.
    pace: Option<(u32, Mutex<Pace>)>,
    /// How it stood when it was asked last: true as long as the instant lies in it. The zone's rules are asked once a
    /// window, not once a message.
    known: Mutex<Option<Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    from: Timestamp,
    until: Timestamp,
    opening: Opening,
}

/// Rounds of postponing: several rules may each move a message to where another is closed.
const ROUNDS_MAX: usize = 16;

impl Ready {
    fn opening(&self, week: &Week, at: Timestamp) -> Opening {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = *known
            && known.from <= at
            && at < known.until
        {
            return known.opening;
        }
        let opening = week.at(at);
        let until = match opening {
            Opening::Open(until) | Opening::Closed(until) => until,
            Opening::Never => at.plus_ms(60_000),
        };
        *known = Some(Known { from: at, until, opening });
        opening
    }

    fn concerns(&self, judging: &Judging<'_>, route: Option<RouteId>) -> Option<&'static str> {
        if !self.routes.is_empty() && route.is_none_or(|route| !self.routes.contains(&route)) {
            return Some("It is about other routes.");
        }
        if !self.keys.is_empty() && judging.ask.key.is_none_or(|key| !self.keys.contains(&key)) {
            return Some("It is about other API keys.");
        }
        self.reach.misses(judging.ask, judging.country, &judging.sender)
    }
}

impl Calendar {
    /// Makes the rules ready. `home` is the zone of rules that name none.
    ///
    /// # Errors
    /// When a rule is one that no version has checked.
    pub(crate) fn new(rules: Vec<Hours>, home: &TimeZone) -> Result<Self> {
        let ready = rules.into_iter().filter(|hours| hours.active).map(|hours| {
            let rule = hours.rule;
            let zone = rule.time_zone.as_deref().map_or_else(|| home.clone(), zone);
            let week = match rule.windows.is_empty() {
                true => None,
                false => Some(Week::new(zone.clone(), &rule.windows, &rule.holidays)?),
            };
            Ok(Ready {
                id: hours.id,
                name: hours.name,
                reach: rule.reach,
                routes: rule.routes,
                keys: rule.keys,
                week,
                zone,
                outside: rule.outside,
                pace: rule.parts_per_second.map(|rate| (rate, Mutex::new(Pace::new(rate, rate)))),
                known: Mutex::new(None),
            })
        });
        Ok(Self { rules: ready.collect::<Result<_>>()? })
    }

    /// Whether there is no rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Postpones or refuses a message outside of hours, and refuses one that comes too fast.
    pub(crate) fn judge(
        &self,
        judging: &mut Judging<'_>,
        route: &dyn Fn(&str) -> Option<RouteId>,
    ) -> Result<(), Refusal> {
        if self.is_empty() {
            return Ok(());
        }
        let by_route = self.rules.iter().any(|rule| !rule.routes.is_empty());
        let sender = judging.pass.sender.as_ref().unwrap_or(judging.ask.sender);
        let route = if by_route { route(&sender.text) } else { None };
        let mut concerned = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            match rule.concerns(judging, route) {
                None => concerned.push(rule),
                Some(why) => judging.looked(
                    gate(rule),
                    || Some(rule.id.to_string()),
                    &rule.name,
                    Verdict::NotConcerned,
                    || why.to_owned(),
                ),
            }
        }
        postpone(judging, &concerned)?;
        concerned.iter().try_for_each(|rule| slow_down(judging, rule))
    }
}

const fn gate(rule: &Ready) -> Gate {
    if rule.week.is_some() { Gate::Hours } else { Gate::Rate }
}

/// Finds the first instant at which all rules are open.
fn postpone(judging: &mut Judging<'_>, rules: &[&Ready]) -> Result<(), Refusal> {
    let wanted = judging.ask.schedule_at.unwrap_or(judging.now).max(judging.now);
    let mut at = wanted;
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for rule in rules {
            let Some(week) = &rule.week else { continue };
            let opening = if at == judging.now { rule.opening(week, at) } else { week.at(at) };
            let opens = match opening {
                Opening::Open(_) => continue,
                Opening::Closed(opens) if rule.outside == Outside::Postpone => opens,
                Opening::Closed(_) | Opening::Never => return Err(closed(judging, rule, opening)),
            };
            if judging.ask.expires_at.is_some_and(|end| end <= opens) {
                return Err(closed(judging, rule, opening));
            }
            judging.looked(
                Gate::Hours,
                || Some(rule.id.to_string()),
                &rule.name,
                Verdict::Postpones,
                || format!("It is closed; the message would go at {}.", local(&rule.zone, opens)),
            );
            judging.noted.push((rule.id.raw(), "postponed"));
            at = opens;
            moved = true;
        }
        if !moved {
            if at > wanted {
                judging.pass.postponed_to = Some(at);
            }
            return Ok(());
        }
    }
    match rules.iter().find(|rule| rule.week.is_some()) {
        Some(rule) => Err(closed(judging, rule, Opening::Never)),
        None => Ok(()),
    }
}

fn closed(judging: &mut Judging<'_>, rule: &Ready, opening: Opening) -> Refusal {
    let name = &rule.name;
    let reason = match opening {
        Opening::Closed(opens) if rule.outside == Outside::Postpone => {
            let opens = local(&rule.zone, opens);
            format!("the message's validity ends before the hours {name:?} open, {opens}")
        }
        Opening::Closed(opens) => {
            format!("it is outside of the hours {name:?}, which open {}", local(&rule.zone, opens))
        }
        Opening::Open(_) | Opening::Never => format!("the hours {name:?} do not open within a year"),
    };
    let why = reason.clone();
    judging.looked(Gate::Hours, || Some(rule.id.to_string()), name, Verdict::Refuses, || why);
    Refusal::new(Code::OutsideHours, rule.id.raw(), name, reason)
}

fn slow_down(judging: &mut Judging<'_>, rule: &Ready) -> Result<(), Refusal> {
    let id = || Some(rule.id.to_string());
    let Some((rate, pace)) = &rule.pace else {
        judging.looked(gate(rule), id, &rule.name, Verdict::Passes, || "It is open.".to_owned());
        return Ok(());
    };
    judging.looked(Gate::Rate, id, &rule.name, Verdict::Passes, || {
        format!("It lets {rate} parts a second pass.")
    });
    if !judging.counting {
        return Ok(());
    }
    let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
    let Err(wait_ms) = pace.take(judging.now.unix_ms(), u32::from(judging.ask.parts)) else { return Ok(()) };
    let reason = format!("more than the {rate} parts a second of {:?}", rule.name);
    let mut refusal = Refusal::new(Code::RateExceeded, rule.id.raw(), &rule.name, reason);
    refusal.retry_after_s = u32::try_from(wait_ms.div_ceil(1_000)).ok();
    Err(refusal)
}
