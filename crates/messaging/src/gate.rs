//! The gates that a message passes before it is accepted: who sends it and as whom, the blacklist, the firewall, the hours
//! and the rates.
//!
//! The decision is pure: over a snapshot of one tenant's rules, a message and an instant. Only counters and rates remember,
//! in memory. A tenant without rules pays one look-up. Nothing here reads the database while a message waits: the snapshot
//! is made after each change, refusals are written behind the traffic.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use serde::Serialize;
use types::{AccountId, Address, Code, Error, KeyId, RouteId, TenantId, Timestamp};

use privacy::standing::{Bar, Standings};

use crate::Intent;
use crate::blacklist::Lists;
use crate::firewall::Firewall;
use crate::hours::Calendar;
use crate::opt_out::OptOuts;
use crate::sender::Senders;

pub mod api;
pub mod check;
pub mod counters;
pub mod held;
mod keep;
pub(crate) mod pages;
mod reach;
pub mod refusals;

pub use counters::Counters;
pub use reach::Reach;
pub(crate) use reach::{country_code, fold, matches, sender_pattern};
use refusals::{RefusalLog, Refused};

/// A message, as far as the gates care.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Whose it is.
    pub tenant: TenantId,
    /// The account that sends it; none for the API.
    pub account: Option<AccountId>,
    /// The API key that sends it, where one does.
    pub key: Option<KeyId>,
    /// The network address that it comes from, where it is known.
    pub from: Option<IpAddr>,
    /// Who sends; without text for nobody.
    pub sender: &'a Address,
    /// Whether the message itself names the sender; a default may take its place otherwise.
    pub named: bool,
    /// Its recipient's digits without `+`.
    pub recipient: &'a str,
    /// What it is for.
    pub intent: Intent,
    /// Its text; none for binary content.
    pub text: Option<&'a str>,
    /// Its octets, for content that is no text.
    pub octets: &'a [u8],
    /// The parts that it counts for in rates.
    pub parts: u8,
    /// When it is to be sent; now when absent.
    pub schedule_at: Option<Timestamp>,
    /// When it is worth nothing any more, where its sender said so.
    pub expires_at: Option<Timestamp>,
}

impl<'a> Ask<'a> {
    /// A message as routes see it, whose sender it names itself.
    pub fn of(way: &crate::route::Ask<'a>, sender: &'a Address) -> Self {
        Self {
            tenant: way.tenant,
            account: way.account,
            key: None,
            from: None,
            sender,
            named: true,
            recipient: way.recipient,
            intent: way.intent,
            text: way.text,
            octets: way.octets,
            parts: way.parts,
            schedule_at: way.at,
            expires_at: None,
        }
    }
}

/// A gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Who may send as whom.
    Sender,
    /// The blacklist.
    Blacklist,
    /// The firewall.
    Firewall,
    /// Working hours.
    Hours,
    /// Parts a second.
    Rate,
    /// The opt-out list.
    OptOut,
    /// What the recipient has asked for by data protection law.
    Privacy,
}

/// What one rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[schema(as = GateVerdict)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is not about this message.
    NotConcerned,
    /// It has nothing against it.
    Passes,
    /// It chooses the sender.
    Chooses,
    /// It lets it through and counts it.
    Counts,
    /// It lets it through with a mark.
    Marks,
    /// It holds it for a person.
    Holds,
    /// It sends it later.
    Postpones,
    /// It refuses it.
    Refuses,
}

/// A rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = GateLooked)]
pub struct Looked {
    /// The gate that it belongs to.
    pub gate: Gate,
    /// Its id, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it said.
    pub verdict: Verdict,
    /// The same in words.
    pub why: String,
}

/// A message that may be accepted, and what the gates changed.
#[derive(Debug, Default)]
pub struct Pass {
    /// The sender that takes the place of the message's own.
    pub sender: Option<Address>,
    /// When it goes, where hours postponed it.
    pub postponed_to: Option<Timestamp>,
    /// The rule that holds it until a person releases it.
    pub held_by: Option<String>,
    /// The rules that marked it.
    pub marks: Vec<String>,
    /// What was counted for it; give it to [`Gates::take_back`] when it is not accepted after all.
    pub counted: Counted,
}

/// Counters that a message has moved.
#[derive(Debug, Default)]
pub struct Counted(Vec<counters::CounterKey>);

/// Why a message is refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The stable name.
    pub code: Code,
    /// The rule's id as a number, 0 where no rule decided.
    pub rule: i64,
    /// What people call the rule, or the list.
    pub name: String,
    /// What was wrong, in words; never the message's text.
    pub reason: String,
    /// When to try again, for what passes.
    pub retry_after_s: Option<u32>,
}

impl Refusal {
    /// A refusal by a rule.
    pub(crate) fn new(code: Code, rule: i64, name: &str, reason: impl Into<String>) -> Self {
        Self { code, rule, name: name.to_owned(), reason: reason.into(), retry_after_s: None }
    }

    /// As its sender is told.
    pub fn error(&self) -> Error {
        let place = match self.code {
            Code::SenderNotAllowed
            | Code::SenderNotRegistered
            | Code::SenderBlacklisted
            | Code::SenderImpersonation => Some("from"),
            Code::RecipientBlacklisted
            | Code::RecipientOptedOut
            | Code::RecipientRestricted
            | Code::RecipientObjected
            | Code::RecipientLimit => Some("to"),
            Code::ContentBlocked | Code::DuplicateMessage => Some("text"),
            Code::OutsideHours => Some("schedule_at"),
            _ => None,
        };
        let error = Error::new(self.code, &self.reason);
        let error = match place {
            Some(place) => error.at(place),
            None => error,
        };
        match self.retry_after_s {
            Some(seconds) => error.retry_after_s(seconds),
            None => error,
        }
    }
}

/// One tenant's rules, ready to be asked.
#[derive(Debug)]
pub struct TenantGates {
    /// The name of the zone that its people live by.
    pub(crate) zone_name: String,
    /// The zone itself.
    pub(crate) zone: TimeZone,
    /// Who may send as whom.
    pub(crate) senders: Senders,
    /// The blacklist.
    pub(crate) lists: Lists,
    /// The firewall.
    pub(crate) firewall: Firewall,
    /// Hours and rates.
    pub(crate) calendar: Calendar,
}

impl TenantGates {
    /// Whether there is nothing to ask.
    fn is_open(&self) -> bool {
        self.senders.is_open()
            && self.lists.is_empty()
            && self.firewall.is_empty()
            && self.calendar.is_empty()
    }
}

/// A message under judgement: what is known of it, and what the gates have said so far.
pub(crate) struct Judging<'a> {
    pub(crate) ask: &'a Ask<'a>,
    pub(crate) now: Timestamp,
    pub(crate) zone: &'a TimeZone,
    /// The recipient's country.
    pub(crate) country: Option<&'static str>,
    /// The sender as it is compared: the message's, or the one that takes its place.
    pub(crate) sender: String,
    pub(crate) counters: &'a Counters,
    /// Whether counters and rates count; a trial looks and counts nothing.
    pub(crate) counting: bool,
    /// Whether only the text is judged: the message itself was accepted already.
    pub(crate) text_only: bool,
    pub(crate) pass: Pass,
    /// Rules that did something other than refuse: for the counts.
    pub(crate) noted: Vec<(i64, &'static str)>,
    text: OnceCell<String>,
    looked: Option<Vec<Looked>>,
}

impl<'a> Judging<'a> {
    fn new(
        gates: &'a TenantGates,
        counters: &'a Counters,
        ask: &'a Ask<'a>,
        now: Timestamp,
        counting: bool,
    ) -> Self {
        let country =
            if ask.recipient.len() < FULL_NUMBER_DIGITS_MIN { None } else { sms::country(ask.recipient) };
        Self {
            ask,
            now,
            zone: &gates.zone,
            country,
            sender: fold(&ask.sender.text),
            counters,
            counting,
            text_only: false,
            pass: Pass::default(),
            noted: Vec::new(),
            text: OnceCell::new(),
            looked: None,
        }
    }

    /// The text as phrases are looked for in it: lower case, without what is not seen.
    pub(crate) fn text(&self) -> Option<&str> {
        self.ask.text.map(|text| self.text.get_or_init(|| plain(text)).as_str())
    }

    /// Puts another sender in the place of the message's own.
    pub(crate) fn send_as(&mut self, sender: &Address) {
        self.sender = fold(&sender.text);
        self.pass.sender = Some(sender.clone());
    }

    /// Counts a hit of a window, unless it is full. True when it is.
    pub(crate) fn hit(&mut self, key: counters::CounterKey, until: Timestamp, max: u32) -> bool {
        if !self.counting {
            return self.counters.is_over(key, self.now, max);
        }
        let over = self.counters.hit(key, self.now, until, max);
        if !over {
            self.pass.counted.0.push(key);
        }
        over
    }

    /// Notes what a rule said, where somebody wants to know.
    pub(crate) fn looked(
        &mut self,
        gate: Gate,
        rule: impl FnOnce() -> Option<String>,
        name: &str,
        verdict: Verdict,
        why: impl FnOnce() -> String,
    ) {
        if let Some(looked) = &mut self.looked {
            looked.push(Looked { gate, rule: rule(), name: name.to_owned(), verdict, why: sentence(&why()) });
        }
    }

    /// Asks the gates in their order.
    fn run(&mut self, gates: &TenantGates, route: &dyn Fn(&str) -> Option<RouteId>) -> Result<(), Refusal> {
        gates.lists.judge_caller(self)?;
        gates.senders.judge(self)?;
        gates.lists.judge_message(self)?;
        gates.firewall.judge(self)?;
        gates.calendar.judge(self, route)
    }
}

/// A reason as a sentence of its own.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if reason.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// The outcome of a rule on trial.
pub(crate) const COUNTED: &str = "counted";
/// The fewest digits of a full number; anything shorter is a short code, which has no country.
const FULL_NUMBER_DIGITS_MIN: usize = 7;

/// A text in lower case without the characters that a phone does not show, which keywords are hidden with.
pub(crate) fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().filter(|ch| !is_unseen(*ch)).flat_map(char::to_lowercase).collect()
}

const fn is_unseen(ch: char) -> bool {
    matches!(ch, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// What the opt-out list said, or the recipient's request.
fn opted_out(refusal: &Refusal) -> Looked {
    Looked {
        gate: if refusal.code == Code::RecipientOptedOut { Gate::OptOut } else { Gate::Privacy },
        rule: None,
        name: refusal.name.clone(),
        verdict: Verdict::Refuses,
        why: sentence(&refusal.reason),
    }
}

/// All tenants' gates.
pub struct Gates {
    tenants: ArcSwap<HashMap<TenantId, Arc<TenantGates>>>,
    counters: Counters,
    log: RefusalLog,
    opt_outs: Arc<OptOuts>,
    standings: Arc<Standings>,
    /// One snapshot at a time, so that an older one never takes the place of a newer.
    changing: tokio::sync::Mutex<()>,
}

impl Gates {
    /// No rules yet.
    pub fn new(config: &runtime::config::Gates) -> Self {
        Self {
            tenants: ArcSwap::default(),
            counters: Counters::new(config.counters_max),
            log: RefusalLog::new(config.refusals_waiting_max, config.refusals_keep_text),
            opt_outs: Arc::default(),
            standings: Arc::default(),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// The same with the list of those who opted out.
    #[must_use]
    pub(crate) fn with_opt_outs(mut self, opt_outs: Arc<OptOuts>) -> Self {
        self.opt_outs = opt_outs;
        self
    }

    /// The same with the persons who have asked for restriction, or objected.
    #[must_use]
    pub(crate) fn with_standings(mut self, standings: Arc<Standings>) -> Self {
        self.standings = standings;
        self
    }

    /// Whether the recipient's own wish lets a message pass: first of all, because a restriction is about any processing.
    fn wanted(&self, ask: &Ask<'_>) -> Result<(), Refusal> {
        match self.standings.bar(ask.tenant, ask.recipient) {
            Some(Bar::Restricted) => {
                let reason = "the recipient's data may not be processed now";
                Err(Refusal::new(Code::RecipientRestricted, 0, "restriction", reason))
            }
            Some(Bar::Objected) if ask.intent == Intent::Marketing => {
                let reason = "the recipient has objected to marketing";
                Err(Refusal::new(Code::RecipientObjected, 0, "objection", reason))
            }
            _ => Ok(()),
        }
    }

    /// Whether a message may be accepted, and what is changed about it. `route` says which rule would route it from a
    /// sender; it is asked only where hours are given for routes.
    ///
    /// # Errors
    /// The refusal. It is counted and kept; nothing else has happened.
    pub fn judge(
        &self,
        ask: &Ask<'_>,
        route: &dyn Fn(&str) -> Option<RouteId>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        let tenants = self.tenants.load();
        let Some(gates) = tenants.get(&ask.tenant) else {
            let wanted = self.wanted(ask).and_then(|()| self.opt_outs.judge(ask, &ask.sender.text));
            return wanted.map(|()| Pass::default()).inspect_err(|refusal| {
                self.log.note(&Refused { ask, sender: &fold(&ask.sender.text), refusal, at: now });
            });
        };
        let mut judging = Judging::new(gates, &self.counters, ask, now, true);
        let judged = self.wanted(ask).and_then(|()| judging.run(gates, route));
        // Last, because a sender of a pool may have taken the place of the message's own.
        let judged = judged.and_then(|()| self.opt_outs.judge(ask, &judging.sender));
        let Judging { pass, noted, sender, .. } = judging;
        for (rule, outcome) in noted {
            // What was refused in the end was neither held, marked nor postponed; a rule on trial counts it all the same.
            if judged.is_ok() || outcome == COUNTED {
                self.log.count(ask.tenant, rule, outcome, now);
            }
        }
        match judged {
            Ok(()) => Ok(pass),
            Err(refusal) => {
                self.take_back(&pass.counted);
                self.log.note(&Refused { ask, sender: &sender, refusal: &refusal, at: now });
                Err(refusal)
            }
        }
    }

    /// As [`Gates::judge`], with each rule that was looked at, up to the one that decided. Nothing is counted or kept.
    pub fn explain(
        &self,
        ask: &Ask<'_>,
        route: &dyn Fn(&str) -> Option<RouteId>,
        now: Timestamp,
    ) -> (Result<Pass, Refusal>, Vec<Looked>) {
        let tenants = self.tenants.load();
        let Some(gates) = tenants.get(&ask.tenant) else {
            let wanted = self.wanted(ask).and_then(|()| self.opt_outs.judge(ask, &ask.sender.text));
            let looked = wanted.as_ref().err().map(opted_out).into_iter().collect();
            return (wanted.map(|()| Pass::default()), looked);
        };
        let mut judging = Judging::new(gates, &self.counters, ask, now, false);
        judging.looked = Some(Vec::new());
        let judged = match self.wanted(ask) {
            Ok(()) => judging.run(gates, route),
            Err(refusal) => {
                let looked = vec![opted_out(&refusal)];
                return (Err(refusal), looked);
            }
        };
        let mut looked = judging.looked.take().unwrap_or_default();
        let judged = judged.and_then(|()| {
            self.opt_outs.judge(ask, &judging.sender).inspect_err(|refusal| looked.push(opted_out(refusal)))
        });
        (judged.map(|()| judging.pass), looked)
    }

    /// Whether a text may take the place of an accepted message's own. What a rule would hold is refused here, because
    /// nobody is asked twice about one message. Nothing is counted but a refusal.
    ///
    /// # Errors
    /// The refusal.
    pub fn judge_replacement(&self, ask: &Ask<'_>, now: Timestamp) -> Result<(), Refusal> {
        let tenants = self.tenants.load();
        let Some(gates) = tenants.get(&ask.tenant) else { return Ok(()) };
        let mut judging = Judging::new(gates, &self.counters, ask, now, false);
        judging.text_only = true;
        let judged = gates.lists.judge_text(&mut judging).and_then(|()| gates.firewall.judge(&mut judging));
        let judged = judged.and_then(|()| match &judging.pass.held_by {
            Some(rule) => {
                let reason = format!("the firewall rule {rule:?} would hold the replacing text");
                Err(Refusal::new(Code::ContentBlocked, 0, rule, reason))
            }
            None => Ok(()),
        });
        judged.inspect_err(|refusal| {
            self.log.note(&Refused { ask, sender: &judging.sender, refusal, at: now });
        })
    }

    /// Takes back what was counted for a message that was not accepted after all.
    pub fn take_back(&self, counted: &Counted) {
        for key in &counted.0 {
            self.counters.take_back(*key);
        }
    }

    /// A tenant's rules; nothing where it has none.
    pub(crate) fn tenant(&self, tenant: TenantId) -> Option<Arc<TenantGates>> {
        self.tenants.load().get(&tenant).cloned()
    }

    /// Counts what a message that was accepted before the start counts for.
    fn replay(&self, ask: &Ask<'_>, at: Timestamp) {
        let tenants = self.tenants.load();
        let Some(gates) = tenants.get(&ask.tenant) else { return };
        let mut judging = Judging::new(gates, &self.counters, ask, at, true);
        gates.firewall.count(&mut judging);
    }
}

#[cfg(test)]
mod tests;
