//! A rule's conditions, made ready to be asked: only those that are given, the cheap ones first.
//!
//! Patterns are compiled, prefixes sorted and zones looked up once, when routes are loaded; a message then pays for what
//! its tenant's rules name and for nothing else.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use regex::{RegexSet, RegexSetBuilder};
use types::AccountId;

use super::ask::{Ask, World};
use super::decide::Verdict;
use super::rule::{Day, RouteRule, Source, Span, TimeWindow, TlvMatch};
use super::traffic::Traffic;
use crate::intent::Intent;

/// The names of the encodings.
pub(super) const ENCODINGS: [&str; 6] = ["gsm7", "latin1", "cyrillic", "hebrew", "ucs2", "binary"];

/// What one compiled set of patterns may take in memory, and its lazy automaton again.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// One condition.
#[derive(Debug)]
pub(super) struct Condition {
    test: Test,
    /// What the test must say: no for a `not_` list.
    wanted: bool,
}

#[derive(Debug)]
enum Test {
    Account(Vec<AccountId>),
    Source(Vec<Source>),
    Intent(Vec<Intent>),
    ServiceType(Vec<String>),
    Encoding(Vec<String>),
    Parts(Span),
    Octets(Span),
    Sender(Vec<Pattern>),
    Recipient(Prefixes),
    Tlv(Vec<TlvMatch>),
    Time(Vec<Window>),
    Country(Vec<String>),
    Network(Vec<String>),
    /// Nothing for patterns that could not be compiled again: such a condition never holds.
    Content(Option<RegexSet>),
    Traffic(Vec<Traffic>),
}

impl Condition {
    /// The conditions of a rule, the cheap ones first.
    pub(super) fn of(rule: &RouteRule) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |given: bool, wanted: bool, test: &dyn Fn() -> Test| {
            if given {
                all.push(Self { test: test(), wanted });
            }
        };
        let patterns = |list: &[String]| Test::Sender(list.iter().map(|text| Pattern::new(text)).collect());
        let text = |words: &[String], patterns: &[String]| {
            Test::Content(content(words, patterns, COMPILED_BYTES_MAX).ok())
        };
        add(!rule.accounts.is_empty(), true, &|| Test::Account(rule.accounts.clone()));
        add(!rule.not_accounts.is_empty(), false, &|| Test::Account(rule.not_accounts.clone()));
        add(!rule.sources.is_empty(), true, &|| Test::Source(rule.sources.clone()));
        add(!rule.intents.is_empty(), true, &|| Test::Intent(rule.intents.clone()));
        add(!rule.senders.is_empty(), true, &|| patterns(&rule.senders));
        add(!rule.not_senders.is_empty(), false, &|| patterns(&rule.not_senders));
        let prefixes = &rule.recipient_prefixes;
        add(!prefixes.is_empty(), true, &|| Test::Recipient(Prefixes::new(prefixes)));
        let others = &rule.not_recipient_prefixes;
        add(!others.is_empty(), false, &|| Test::Recipient(Prefixes::new(others)));
        add(!rule.service_types.is_empty(), true, &|| Test::ServiceType(rule.service_types.clone()));
        add(!rule.encodings.is_empty(), true, &|| Test::Encoding(rule.encodings.clone()));
        add(rule.parts.is_some(), true, &|| Test::Parts(rule.parts.unwrap_or_default()));
        add(rule.octets.is_some(), true, &|| Test::Octets(rule.octets.unwrap_or_default()));
        add(!rule.tlvs.is_empty(), true, &|| Test::Tlv(rule.tlvs.clone()));
        add(!rule.countries.is_empty(), true, &|| Test::Country(rule.countries.clone()));
        add(!rule.not_countries.is_empty(), false, &|| Test::Country(rule.not_countries.clone()));
        add(!rule.times.is_empty(), true, &|| {
            Test::Time(rule.times.iter().cloned().filter_map(|mut given| window(&mut given).ok()).collect())
        });
        add(!rule.networks.is_empty(), true, &|| Test::Network(rule.networks.clone()));
        add(!rule.not_networks.is_empty(), false, &|| Test::Network(rule.not_networks.clone()));
        let worded = !rule.keywords.is_empty() || !rule.patterns.is_empty();
        add(worded, true, &|| text(&rule.keywords, &rule.patterns));
        let unworded = !rule.not_keywords.is_empty() || !rule.not_patterns.is_empty();
        add(unworded, false, &|| text(&rule.not_keywords, &rule.not_patterns));
        add(!rule.traffic.is_empty(), true, &|| Test::Traffic(rule.traffic.clone()));
        all
    }

    /// The beginnings that a recipient must have, where that is what the condition says.
    pub(super) fn beginnings(&self) -> Option<&[String]> {
        match &self.test {
            Test::Recipient(prefixes) if self.wanted => Some(&prefixes.sorted),
            _ => None,
        }
    }

    /// Whether a message meets it.
    pub(super) fn holds(&self, ask: &Ask<'_>, world: &World) -> bool {
        self.test.fits(ask, world).is_some_and(|fits| fits == self.wanted)
    }

    /// What a rule says whose condition this is, to a message that does not meet it.
    pub(super) fn verdict(&self) -> Verdict {
        match self.test {
            Test::Account(_) => Verdict::OtherAccount,
            Test::Source(_) => Verdict::OtherSource,
            Test::Intent(_) => Verdict::OtherIntent,
            Test::ServiceType(_) => Verdict::OtherServiceType,
            Test::Encoding(_) => Verdict::OtherEncoding,
            Test::Parts(_) | Test::Octets(_) => Verdict::OtherSize,
            Test::Sender(_) => Verdict::OtherSender,
            Test::Recipient(_) => Verdict::OtherRecipient,
            Test::Tlv(_) => Verdict::OtherTlv,
            Test::Time(_) => Verdict::OtherTime,
            Test::Country(_) => Verdict::OtherCountry,
            Test::Network(_) => Verdict::OtherNetwork,
            Test::Content(_) => Verdict::OtherContent,
            Test::Traffic(_) => Verdict::OtherTraffic,
        }
    }

    /// Whether it is a `not_` list.
    pub(super) const fn excludes(&self) -> bool {
        !self.wanted
    }
}

impl Test {
    /// Nothing where it cannot be asked.
    fn fits(&self, ask: &Ask<'_>, world: &World) -> Option<bool> {
        Some(match self {
            Self::Account(accounts) => {
                ask.account.is_some_and(|account| accounts.binary_search(&account).is_ok())
            }
            Self::Source(sources) => sources.contains(&ask.source()),
            Self::Intent(intents) => intents.contains(&ask.intent),
            Self::ServiceType(types) => types.iter().any(|known| known == ask.service_type),
            Self::Encoding(names) => {
                let name = crate::message::submit::encoding_name(ask.encoding);
                names.iter().any(|known| known == name)
            }
            Self::Parts(span) => span.holds(u32::from(ask.parts)),
            Self::Octets(span) => span.holds(u32::try_from(ask.octets.len()).unwrap_or(u32::MAX)),
            Self::Sender(patterns) => patterns.iter().any(|pattern| pattern.fits(ask.sender)),
            Self::Recipient(prefixes) => prefixes.fit(ask.recipient),
            Self::Tlv(tlvs) => tlvs.iter().any(|tlv| ask.tlvs.have(tlv)),
            Self::Time(windows) => {
                let at = ask.moment(world);
                windows.iter().any(|window| window.holds(at))
            }
            Self::Country(countries) => sms::country(ask.recipient).is_some_and(|country| {
                countries.binary_search_by(|known| known.as_str().cmp(country)).is_ok()
            }),
            Self::Network(networks) => {
                let network = ask.network(world);
                networks.iter().any(|known| network.is_of(known))
            }
            Self::Content(set) => set.as_ref()?.is_match(ask.text()),
            Self::Traffic(traffic) => traffic.contains(&ask.traffic().traffic),
        })
    }
}

/// The words and patterns of a rule as one automaton that reads a text once.
pub(super) fn content(
    words: &[String],
    patterns: &[String],
    bytes_max: usize,
) -> Result<RegexSet, regex::Error> {
    let words = words.iter().map(|word| format!("(?i){}", regex::escape(word)));
    RegexSetBuilder::new(words.chain(patterns.iter().cloned()))
        .size_limit(bytes_max)
        .dfa_size_limit(bytes_max)
        .build()
}

/// A sender, or the beginning of some.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    open: bool,
}

impl Pattern {
    /// From its text; with `*` at its end, the beginning of some.
    pub(super) fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(start) => Self { text: start.to_owned(), open: true },
            None => Self { text: text.to_owned(), open: false },
        }
    }

    /// Whether a sender is the pattern's, in either case.
    pub(super) fn fits(&self, sender: &str) -> bool {
        if self.open {
            sender.get(..self.text.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(&self.text))
        } else {
            self.text.eq_ignore_ascii_case(sender)
        }
    }
}

/// Beginnings of numbers, sorted, none of which begins with another: so the greatest that is not behind a number is the
/// only one that it can begin with, and one binary search finds it among thousands.
#[derive(Debug)]
pub(super) struct Prefixes {
    sorted: Vec<String>,
}

impl Prefixes {
    /// From a list in any order.
    pub(super) fn new(list: &[String]) -> Self {
        let mut sorted = list.to_vec();
        sorted.sort();
        sorted.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        Self { sorted }
    }

    /// Whether a number begins with one of them.
    pub(super) fn fit(&self, number: &str) -> bool {
        let behind = self.sorted.partition_point(|prefix| prefix.as_str() <= number);
        behind.checked_sub(1).is_some_and(|at| number.starts_with(self.sorted[at].as_str()))
    }
}

/// A time that comes again each week, with its zone's rules.
#[derive(Debug)]
pub(super) struct Window {
    /// Bit n is the n-th day from Monday.
    days: u8,
    /// Minutes from midnight.
    from: i32,
    to: i32,
    zone: TimeZone,
}

const EVERY_DAY: u8 = 0b111_1111;
const DAY_MINUTES: i32 = 24 * 60;

/// A window from its form in the API, which is brought into its normal form.
///
/// # Errors
/// What cannot be read, in words.
pub(super) fn window(given: &mut TimeWindow) -> Result<Window, String> {
    let zone = if given.zone.trim().is_empty() { "UTC" } else { given.zone.trim() }.to_owned();
    let from = clock(&given.from)?;
    let to = match clock(&given.to)? {
        0 => DAY_MINUTES,
        to => to,
    };
    let found =
        TimeZone::get(&zone).map_err(|_| format!("{zone:?} is no time zone, such as Europe/Paris"))?;
    let days = given.days.iter().fold(0, |days, day| days | 1 << (*day as u8));
    given.from = format!("{:02}:{:02}", from / 60, from % 60);
    given.to = format!("{:02}:{:02}", to % DAY_MINUTES / 60, to % 60);
    given.zone = zone;
    Ok(Window { days: if days == 0 { EVERY_DAY } else { days }, from, to, zone: found })
}

/// Minutes from midnight; 24:00 is midnight too.
fn clock(text: &str) -> Result<i32, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(0);
    }
    let read =
        |text: &str| text.parse::<u8>().ok().filter(|_| text.bytes().all(|octet| octet.is_ascii_digit()));
    let parts = text.split_once(':').and_then(|(hours, minutes)| Some((read(hours)?, read(minutes)?)));
    match parts {
        Some((24, 0)) => Ok(0),
        Some((hours @ 0..=23, minutes @ 0..=59)) => Ok(i32::from(hours) * 60 + i32::from(minutes)),
        _ => Err(format!("{text:?} is no time, such as 08:00")),
    }
}

impl Window {
    /// Whether an instant is within it, by the clocks of its zone.
    pub(super) fn holds(&self, at: types::Timestamp) -> bool {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.unix_ms()) else { return false };
        let local = self.zone.to_datetime(instant);
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let today = local.weekday();
        if self.from < self.to {
            return self.begins_on(today) && (self.from..self.to).contains(&minute);
        }
        // Over midnight: what began today, or yesterday and has not ended.
        (minute >= self.from && self.begins_on(today))
            || (minute < self.to && self.begins_on(today.previous()))
    }

    fn begins_on(&self, day: Weekday) -> bool {
        self.days & 1 << day.to_monday_zero_offset() != 0
    }
}

impl Day {
    /// The days from Monday.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// The name that the API holds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
}

#[cfg(test)]
mod tests;
