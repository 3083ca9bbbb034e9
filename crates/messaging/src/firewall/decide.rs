//! What the firewall says about a message: the decision.

use std::collections::{HashMap, HashSet};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;
use types::{Code, Error, Result, RuleId, Timestamp};

use super::lookalike::skeleton;
use super::url::urls;
use super::{Action, Condition, FirewallRule, Per, Rule};
use crate::gate::{COUNTED, Gate, Judging, Reach, Refusal, Verdict, plain};
use crate::hours::week::day_end;

/// A tenant's firewall rules in their order, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Firewall {
    rules: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    id: RuleId,
    name: String,
    reach: Reach,
    action: Action,
    check: Check,
}

/// A condition, ready to be asked.
#[derive(Debug)]
enum Check {
    Url,
    UrlNotOn(HashSet<String>),
    Words { found: AhoCorasick, whole: bool },
    Pattern(Regex),
    Impersonates { names: HashMap<String, String>, exactly: bool },
    Flood { per: Per, max: u32, seconds: u32 },
    Duplicate { minutes: u32 },
    PerDay { max: u32 },
}

/// The octets that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A regular expression, compiled within bounds. The engine's time grows with the text alone, whatever the pattern.
///
/// # Errors
/// At `rule.when.pattern` for what is none, or is too large.
pub(super) fn pattern(text: &str) -> Result<Regex> {
    regex::RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| Error::invalid("rule.when.pattern", error.to_string().replace('\n', " ")))
}

impl Check {
    fn new(condition: &Condition) -> Result<Self> {
        Ok(match condition {
            Condition::Url => Self::Url,
            Condition::UrlNotOnList { domains } => Self::UrlNotOn(domains.iter().cloned().collect()),
            Condition::Words { words, whole } => {
                let words: Vec<String> = words.iter().map(|word| plain(word)).collect();
                let found = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&words);
                Self::Words { found: found.map_err(Error::internal)?, whole: *whole }
            }
            Condition::Pattern { pattern } => Self::Pattern(self::pattern(pattern)?),
            Condition::Impersonates { names, exactly } => Self::Impersonates {
                names: names.iter().map(|name| (skeleton(name), name.to_lowercase())).collect(),
                exactly: *exactly,
            },
            Condition::Flood { per, max, seconds } => Self::Flood { per: *per, max: *max, seconds: *seconds },
            Condition::Duplicate { minutes } => Self::Duplicate { minutes: *minutes },
            Condition::PerDay { max } => Self::PerDay { max: *max },
        })
    }

    /// Whether it remembers messages.
    const fn counts(&self) -> bool {
        matches!(self, Self::Flood { .. } | Self::Duplicate { .. } | Self::PerDay { .. })
    }

    /// Why it holds for a message; nothing when it does not.
    fn holds(&self, rule: RuleId, judging: &mut Judging<'_>) -> Option<(Code, String)> {
        let said = |code, why: &str| Some((code, why.to_owned()));
        match self {
            Self::Url => {
                let found = urls(judging.text()?).next().is_some();
                found.then(|| said(Code::ContentBlocked, "the text holds a web address"))?
            }
            Self::UrlNotOn(domains) => {
                let stranger = urls(judging.text()?).any(|host| !is_on(domains, host));
                stranger.then(|| {
                    said(Code::ContentBlocked, "the text holds a web address whose domain is not on the list")
                })?
            }
            Self::Words { found, whole } => {
                let text = judging.text()?;
                let hit = found
                    .find_overlapping_iter(text)
                    .any(|hit| !whole || stands_alone(text, hit.start(), hit.end()));
                hit.then(|| said(Code::ContentBlocked, "the text holds a word of the rule"))?
            }
            Self::Pattern(pattern) => {
                let found = pattern.is_match(judging.ask.text?);
                found.then(|| said(Code::ContentBlocked, "the text matches the rule's pattern"))?
            }
            Self::Impersonates { names, exactly } => {
                let shown = judging.pass.sender.as_ref().unwrap_or(judging.ask.sender);
                let name = names.get(&skeleton(&shown.text))?;
                if !exactly && judging.sender == *name {
                    return None;
                }
                Some((Code::SenderImpersonation, format!("the sender can be taken for {name:?}")))
            }
            Self::Flood { .. } | Self::Duplicate { .. } | Self::PerDay { .. } => self.over(rule, judging),
        }
    }

    /// As [`Check::holds`], for what remembers; it counts the message.
    fn over(&self, rule: RuleId, judging: &mut Judging<'_>) -> Option<(Code, String)> {
        let (counters, now, recipient) = (judging.counters, judging.now, judging.ask.recipient);
        let after = |seconds: i64| now.plus_ms(seconds * 1_000);
        let (key, until, max): (_, Timestamp, _) = match self {
            Self::Flood { per: Per::Recipient, max, seconds } => {
                (counters.key((rule, recipient)), after(i64::from(*seconds)), *max)
            }
            Self::Flood { per: Per::Sender, max, seconds } => {
                (counters.key((rule, &judging.sender)), after(i64::from(*seconds)), *max)
            }
            Self::Duplicate { minutes } => {
                let key = match judging.ask.text {
                    Some(text) => counters.key((rule, recipient, text)),
                    None => counters.key((rule, recipient, judging.ask.octets)),
                };
                (key, after(i64::from(*minutes) * 60), 1)
            }
            Self::PerDay { max } => (counters.key((rule, recipient)), day_end(judging.zone, now), *max),
            _ => return None,
        };
        if !judging.hit(key, until, max) {
            return None;
        }
        Some(match self {
            Self::Flood { per, max, seconds } => {
                let whom = if *per == Per::Sender { "from this sender" } else { "to this recipient" };
                (Code::RecipientLimit, format!("there were {max} messages {whom} within {seconds} seconds"))
            }
            Self::PerDay { max } => {
                (Code::RecipientLimit, format!("there were {max} messages to this recipient today"))
            }
            _ => (Code::DuplicateMessage, "the same was sent to this recipient just before".to_owned()),
        })
    }
}

/// Whether a host is one of the domains, or below one.
fn is_on(domains: &HashSet<String>, host: &str) -> bool {
    let mut rest = host;
    loop {
        if domains.contains(rest) {
            return true;
        }
        match rest.split_once('.') {
            Some((_, parent)) => rest = parent,
            None => return false,
        }
    }
}

/// Whether neither a letter nor a digit touches the place.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].chars().next_back().is_some_and(char::is_alphanumeric);
    let behind = text[end..].chars().next().is_some_and(char::is_alphanumeric);
    !before && !behind
}

impl Firewall {
    /// Makes the rules ready; they come in their order.
    ///
    /// # Errors
    /// When a rule is one that no version has checked.
    pub(crate) fn new(rules: Vec<Rule>) -> Result<Self> {
        let ready = rules.into_iter().filter(|rule| rule.active).map(|rule| {
            let FirewallRule { when, reach, action } = rule.rule;
            Ok(Ready { id: rule.id, name: rule.name, reach, action, check: Check::new(&when)? })
        });
        Ok(Self { rules: ready.collect::<Result<_>>()? })
    }

    /// Whether there is no rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule remembers messages, and for how many milliseconds at most.
    pub(crate) fn memory_ms(&self) -> i64 {
        let ms = |rule: &Ready| match rule.check {
            Check::Flood { seconds, .. } => i64::from(seconds) * 1_000,
            Check::Duplicate { minutes } => i64::from(minutes) * 60_000,
            // A day has up to 25 hours where the clocks change.
            Check::PerDay { .. } => 90_000_000,
            _ => 0,
        };
        self.rules.iter().map(ms).max().unwrap_or_default()
    }

    /// Asks the rules in their order. The first that refuses ends it; one that holds does so unless a later one refuses.
    pub(crate) fn judge(&self, judging: &mut Judging<'_>) -> Result<(), Refusal> {
        let text_only = judging.text_only;
        for rule in self.rules.iter().filter(|rule| !text_only || !rule.check.counts()) {
            let id = || Some(rule.id.to_string());
            if let Some(why) = rule.reach.misses(judging.ask, judging.country, &judging.sender) {
                judging.looked(Gate::Firewall, id, &rule.name, Verdict::NotConcerned, || why.to_owned());
                continue;
            }
            let Some((code, reason)) = rule.check.holds(rule.id, judging) else {
                judging.looked(Gate::Firewall, id, &rule.name, Verdict::Passes, || {
                    "Its condition does not hold.".to_owned()
                });
                continue;
            };
            let (verdict, outcome) = match rule.action {
                Action::Refuse => (Verdict::Refuses, ""),
                Action::Hold => (Verdict::Holds, "held"),
                Action::Mark => (Verdict::Marks, "marked"),
                Action::Count => (Verdict::Counts, COUNTED),
            };
            judging.looked(Gate::Firewall, id, &rule.name, verdict, || reason.clone());
            match rule.action {
                Action::Refuse => {
                    let reason = format!("{reason} (firewall rule {:?})", rule.name);
                    return Err(Refusal::new(code, rule.id.raw(), &rule.name, reason));
                }
                Action::Hold => _ = judging.pass.held_by.get_or_insert_with(|| rule.name.clone()),
                Action::Mark => judging.pass.marks.push(rule.name.clone()),
                Action::Count => {}
            }
            judging.noted.push((rule.id.raw(), outcome));
        }
        Ok(())
    }

    /// Counts a message that was accepted before, for the rules that remember.
    pub(crate) fn count(&self, judging: &mut Judging<'_>) {
        for rule in self.rules.iter().filter(|rule| rule.check.counts()) {
            if rule.reach.misses(judging.ask, judging.country, &judging.sender).is_none() {
                rule.check.over(rule.id, judging);
            }
        }
    }
}
