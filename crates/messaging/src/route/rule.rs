//! What a route takes and where it leads: its form in the API and in the table, and its limits.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::{AccountId, Address, ConnectionId, Error, Result};

use super::condition;
use super::traffic::Traffic;
use crate::intent::Intent;
use crate::settings::{self, Patch};

/// What a route takes, and where it leads. A condition that is not given takes everything; all that are given must hold.
/// Of a list any entry will do; a `not_` list refuses what its counterpart would take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteRule {
    /// Only messages of these accounts. `account` with a single one is read too.
    pub accounts: Vec<AccountId>,
    /// No messages of these accounts.
    pub not_accounts: Vec<AccountId>,
    /// Only messages that came in so.
    pub sources: Vec<Source>,
    /// Only messages that are for this.
    pub intents: Vec<Intent>,
    /// Only messages whose text reads so, whatever they say that they are for.
    pub traffic: Vec<Traffic>,
    /// Only messages from these senders, in either case; with `*` at its end, from senders that begin so. `sender` with a
    /// single one is read too.
    pub senders: Vec<String>,
    /// No messages from these senders.
    pub not_senders: Vec<String>,
    /// Only messages to numbers that begin with one of these digits, country code first, without `+`.
    pub recipient_prefixes: Vec<String>,
    /// No messages to numbers that begin with one of these.
    pub not_recipient_prefixes: Vec<String>,
    /// Only messages to numbers of these countries, by calling code (ISO 3166-1 alpha-2, such as `FR`).
    pub countries: Vec<String>,
    /// No messages to numbers of these countries.
    pub not_countries: Vec<String>,
    /// Only messages to subscribers of these networks: `208` for a mobile country code, `208-01` for one network (ITU-T E.212).
    pub networks: Vec<String>,
    /// No messages to subscribers of these networks.
    pub not_networks: Vec<String>,
    /// Only messages of these SMPP service types; an empty one is the default service type.
    pub service_types: Vec<String>,
    /// Only messages in these encodings: `gsm7`, `latin1`, `cyrillic`, `hebrew`, `ucs2`, `binary`.
    pub encodings: Vec<String>,
    /// Only messages of so many parts.
    pub parts: Option<Span>,
    /// Only messages whose content has so many octets in its encoding.
    pub octets: Option<Span>,
    /// Only messages whose text holds one of these, in either case.
    pub keywords: Vec<String>,
    /// No messages whose text holds one of these.
    pub not_keywords: Vec<String>,
    /// Only messages whose text one of these regular expressions finds. They are asked in linear time and know no
    /// backreferences; `(?i)` at the beginning makes one blind to case.
    pub patterns: Vec<String>,
    /// No messages whose text one of these regular expressions finds.
    pub not_patterns: Vec<String>,
    /// Only at these times.
    pub times: Vec<TimeWindow>,
    /// Only messages with one of these optional parameters of SMPP.
    pub tlvs: Vec<TlvMatch>,
    /// How one of the targets is chosen.
    pub strategy: Strategy,
    /// The connections that it leads to, at least one, the preferred first. The id alone stands for one without more.
    pub targets: Vec<Target>,
}

/// How a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MessageSource)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Over the API or the console.
    Http,
    /// Over SMPP, from an account.
    Smpp,
}

impl Source {
    /// The name that the API holds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Smpp => "smpp",
        }
    }
}

/// From so many to so many, both included; an end that is missing is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RouteSpan)]
#[serde(default, deny_unknown_fields)]
pub struct Span {
    /// The least.
    pub min: Option<u32>,
    /// The most.
    pub max: Option<u32>,
}

impl Span {
    /// Whether a number is within it.
    pub fn holds(self, number: u32) -> bool {
        self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max)
    }
}

/// A time that comes again each week.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeWindow {
    /// The days on which it begins: `mon` to `sun`; none for every day.
    pub days: Vec<Day>,
    /// When it begins, as `08:00`; midnight when not given.
    pub from: String,
    /// When it has ended, as `20:00`; midnight when not given. Before `from`, it ends on the next day.
    pub to: String,
    /// The zone of the IANA time zone database that the times are in, such as `Europe/Paris`; UTC when not given.
    pub zone: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RouteDay)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// An optional parameter of SMPP (SMPP v5 §4.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TlvMatch {
    /// Its tag, 1 to 65,535.
    pub tag: u16,
    /// Its octets in hex; with none, the parameter need only be there.
    #[serde(default)]
    pub hex: Option<String>,
}

/// How one of a route's targets is chosen among those that are up. What is down is left under each of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By priority: the first takes all messages, the others stand by.
    #[default]
    #[serde(alias = "priority")]
    Failover,
    /// In turns.
    RoundRobin,
    /// In turns, each as often as its weight says.
    Weighted,
    /// The one with the fewest messages under way, measured by its window.
    LeastLoad,
    /// The one that costs least; those without a cost come last, equals in their order.
    LeastCost,
    /// Each recipient always by the same one.
    Sticky,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Failover, Self::RoundRobin, Self::Weighted, Self::LeastLoad, Self::LeastCost, Self::Sticky];

    /// The name that the API holds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::LeastLoad => "least_load",
            Self::LeastCost => "least_cost",
            Self::Sticky => "sticky",
        }
    }
}

/// A connection that a route leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The connection.
    pub connection: ConnectionId,
    /// Its share under `weighted`, 1 to 1,000; 1 when not given.
    #[serde(default = "one")]
    pub weight: u16,
    /// What one part costs there.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// Whether it is used at all; true when not given.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn one() -> u16 {
    1
}

const fn yes() -> bool {
    true
}

impl Target {
    /// A connection without more.
    pub const fn to(connection: ConnectionId) -> Self {
        Self { connection, weight: 1, cost: None, enabled: true }
    }
}

/// A price for one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Thousandths of the currency's minor unit, since parts cost fractions of a cent: 3,500 is 3.5 cents.
    pub amount_milli: u64,
    /// The currency (ISO 4217), such as `EUR`; the same for all targets of a route.
    pub currency: String,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.amount_milli / 1_000, self.amount_milli % 1_000);
        let rest = format!("{rest:03}");
        match rest.trim_end_matches('0') {
            "" => write!(f, "{whole} minor units {}", self.currency),
            rest => write!(f, "{whole}.{rest} minor units {}", self.currency),
        }
    }
}

const PREFIXES_MAX: usize = 2_000;
pub(super) const TARGETS_MAX: usize = 16;
const ACCOUNTS_MAX: usize = 200;
const SENDERS_MAX: usize = 200;
const NETWORKS_MAX: usize = 500;
const COUNTRIES_MAX: usize = 300;
const KEYWORDS_MAX: usize = 100;
const PATTERNS_MAX: usize = 20;
const PATTERN_CHARS_MAX: usize = 500;
const WINDOWS_MAX: usize = 20;
const TLVS_MAX: usize = 20;
const WEIGHT_MAX: u16 = 1_000;
/// The most digits that a number has (E.164).
const PREFIX_DIGITS_MAX: usize = 15;
/// What one route's texts may cost when they are made ready to be asked, in octets.
const CONTENT_BYTES_MAX: usize = 1 << 20;

/// Brings the members of a rule that was written for one account, one sender or plain targets into today's form. Stored
/// rules of before and short forms in requests come through here.
pub(super) fn modern(members: &mut Patch) {
    for (single, list) in [("account", "accounts"), ("sender", "senders")] {
        if let Some(value) = members.remove(single) {
            let value = if value.is_null() { value } else { Value::Array(vec![value]) };
            members.entry(list).or_insert(value);
        }
    }
    if let Some(Value::Array(targets)) = members.get_mut("targets") {
        for target in targets.iter_mut().filter(|target| target.is_string()) {
            *target = serde_json::json!({ "connection": target.take() });
        }
    }
}

impl RouteRule {
    /// A rule from the table, also one of an older version.
    pub(super) fn stored(text: &str) -> Result<Self> {
        let mut members: Patch = settings::stored(text)?;
        modern(&mut members);
        members.retain(|_, value| !value.is_null());
        serde_json::from_value(Value::Object(members)).map_err(Error::internal)
    }

    /// The connections that it leads to.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.targets.iter().map(|target| target.connection)
    }

    /// Whether it names an account.
    pub fn names_account(&self, account: AccountId) -> bool {
        self.accounts.contains(&account) || self.not_accounts.contains(&account)
    }

    /// The rule in its normal form, when every condition is one that can be met.
    pub(super) fn checked(mut self) -> Result<Self> {
        settings::at_most("rule.accounts", &self.accounts, ACCOUNTS_MAX)?;
        settings::at_most("rule.not_accounts", &self.not_accounts, ACCOUNTS_MAX)?;
        prefixes("rule.recipient_prefixes", &mut self.recipient_prefixes)?;
        prefixes("rule.not_recipient_prefixes", &mut self.not_recipient_prefixes)?;
        senders("rule.senders", &mut self.senders)?;
        senders("rule.not_senders", &mut self.not_senders)?;
        countries("rule.countries", &mut self.countries)?;
        countries("rule.not_countries", &mut self.not_countries)?;
        networks("rule.networks", &mut self.networks)?;
        networks("rule.not_networks", &mut self.not_networks)?;
        for list in [&mut self.accounts, &mut self.not_accounts] {
            list.sort();
            list.dedup();
        }
        self.intents.dedup();
        settings::at_most("rule.intents", &self.intents, Intent::ALL.len())?;
        self.traffic.dedup();
        settings::at_most("rule.traffic", &self.traffic, Traffic::ALL.len())?;
        self.sources.dedup();
        settings::at_most("rule.sources", &self.sources, 2)?;
        self.check_technical()?;
        self.check_content()?;
        self.check_targets()?;
        Ok(self)
    }

    /// How the message is coded, when it goes, and what SMPP says of it.
    fn check_technical(&mut self) -> Result<()> {
        settings::at_most("rule.service_types", &self.service_types, TLVS_MAX)?;
        for service_type in &self.service_types {
            settings::c_octets("rule.service_types", service_type, &(0..=5))?;
        }
        self.encodings.dedup();
        settings::at_most("rule.encodings", &self.encodings, condition::ENCODINGS.len())?;
        if let Some(strange) =
            self.encodings.iter().find(|name| !condition::ENCODINGS.contains(&name.as_str()))
        {
            let why = format!("{strange:?} is none of {}", condition::ENCODINGS.join(", "));
            return Err(Error::invalid("rule.encodings", why));
        }
        for (field, span) in [("rule.parts", self.parts), ("rule.octets", self.octets)] {
            if let Some(Span { min: Some(min), max: Some(max) }) = span
                && min > max
            {
                return Err(Error::invalid(field, format!("nothing is from {min} to {max}")));
            }
        }
        settings::at_most("rule.times", &self.times, WINDOWS_MAX)?;
        for window in &mut self.times {
            condition::window(window).map_err(|why| Error::invalid("rule.times", why))?;
        }
        settings::at_most("rule.tlvs", &self.tlvs, TLVS_MAX)?;
        for tlv in &mut self.tlvs {
            if crate::message::sm::OUR_TLVS.contains(&smpp::Tag(tlv.tag)) {
                let why = format!("{:#06x} is read with the message and not kept as a parameter", tlv.tag);
                return Err(Error::invalid("rule.tlvs", why));
            }
            if let Some(hex) = &mut tlv.hex {
                *hex = hex.trim().to_ascii_lowercase();
                if hex.len() % 2 == 1
                    || hex.len() > 510
                    || !hex.bytes().all(|octet| octet.is_ascii_hexdigit())
                {
                    return Err(Error::invalid("rule.tlvs", format!("{hex:?} are not octets in hex")));
                }
            }
        }
        Ok(())
    }

    fn check_content(&mut self) -> Result<()> {
        for (field, words) in
            [("rule.keywords", &mut self.keywords), ("rule.not_keywords", &mut self.not_keywords)]
        {
            settings::at_most(field, words, KEYWORDS_MAX)?;
            for word in words.iter_mut() {
                *word = word.trim().to_owned();
                if word.is_empty() || word.chars().count() > PATTERN_CHARS_MAX {
                    return Err(Error::invalid(
                        field,
                        format!("a word has 1 to {PATTERN_CHARS_MAX} characters"),
                    ));
                }
            }
        }
        for (field, patterns) in
            [("rule.patterns", &self.patterns), ("rule.not_patterns", &self.not_patterns)]
        {
            settings::at_most(field, patterns, PATTERNS_MAX)?;
            if let Some(long) = patterns.iter().find(|pattern| pattern.chars().count() > PATTERN_CHARS_MAX) {
                let why = format!("{} characters are more than {PATTERN_CHARS_MAX}", long.chars().count());
                return Err(Error::invalid(field, why));
            }
        }
        for (field, words, patterns) in [
            ("rule.patterns", &self.keywords, &self.patterns),
            ("rule.not_patterns", &self.not_keywords, &self.not_patterns),
        ] {
            condition::content(words, patterns, CONTENT_BYTES_MAX)
                .map_err(|error| Error::invalid(field, error.to_string()))?;
        }
        Ok(())
    }

    fn check_targets(&mut self) -> Result<()> {
        settings::at_most("rule.targets", &self.targets, TARGETS_MAX)?;
        if self.targets.is_empty() {
            return Err(Error::invalid("rule.targets", "a route leads to at least one connection"));
        }
        for (at, target) in self.targets.iter_mut().enumerate() {
            settings::within(&format!("rule.targets[{at}].weight"), &target.weight, &(1..=WEIGHT_MAX))?;
            if let Some(cost) = &mut target.cost {
                cost.currency = cost.currency.trim().to_ascii_uppercase();
                if cost.currency.len() != 3 || !cost.currency.bytes().all(|octet| octet.is_ascii_uppercase())
                {
                    let why = format!("{:?} is no currency, such as EUR", cost.currency);
                    return Err(Error::invalid(&format!("rule.targets[{at}].cost"), why));
                }
            }
        }
        let mut currencies = self.targets.iter().filter_map(|target| target.cost.as_ref());
        if let Some(first) = currencies.next()
            && let Some(other) = currencies.find(|cost| cost.currency != first.currency)
        {
            let why = format!("{} and {} cannot be compared", first.currency, other.currency);
            return Err(Error::invalid("rule.targets", why));
        }
        Ok(())
    }
}

fn prefixes(field: &str, list: &mut Vec<String>) -> Result<()> {
    settings::at_most(field, list, PREFIXES_MAX)?;
    for prefix in list.iter_mut() {
        let digits = prefix.trim().trim_start_matches('+').to_owned();
        let plain = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
        if !plain || digits.len() > PREFIX_DIGITS_MAX {
            let why = format!("{prefix:?} is not the beginning of a number, such as 336");
            return Err(Error::invalid(field, why));
        }
        *prefix = digits;
    }
    list.sort();
    list.dedup();
    Ok(())
}

fn senders(field: &str, list: &mut Vec<String>) -> Result<()> {
    settings::at_most(field, list, SENDERS_MAX)?;
    for sender in list.iter_mut() {
        let (text, star) = sender.strip_suffix('*').map_or((sender.as_str(), ""), |text| (text, "*"));
        if text.is_empty() {
            return Err(Error::invalid(field, "leave it out where any sender will do"));
        }
        // The beginning of a number need not be a number.
        let number = text.trim_start_matches('+').bytes().all(|octet| octet.is_ascii_digit());
        let text = if number && star == "*" {
            text.trim_start_matches('+').to_owned()
        } else {
            Address::sender(text).map_err(|error| error.at(field))?.text
        };
        *sender = format!("{text}{star}");
    }
    list.dedup();
    Ok(())
}

fn countries(field: &str, list: &mut Vec<String>) -> Result<()> {
    settings::at_most(field, list, COUNTRIES_MAX)?;
    for country in list.iter_mut() {
        *country = country.trim().to_ascii_uppercase();
        if !sms::country::is_country(country) {
            return Err(Error::invalid(field, format!("{country:?} is no country, such as FR")));
        }
    }
    list.sort();
    list.dedup();
    Ok(())
}

fn networks(field: &str, list: &mut Vec<String>) -> Result<()> {
    settings::at_most(field, list, NETWORKS_MAX)?;
    for network in list.iter_mut() {
        *network = network.trim().to_owned();
        if !crate::lookup::is_network(network) {
            return Err(Error::invalid(field, format!("{network:?} is no network, such as 208 or 208-01")));
        }
    }
    list.sort();
    list.dedup();
    Ok(())
}
