//! A connection's error table: what its carrier's numbers mean, and what is done about them.

use std::sync::Arc;

use connectors::{Classed, Refusal};
use serde::{Deserialize, Serialize};
use smpp::Status;
use types::{Error, Result};

use crate::fault::{ErrorClass, Fault, Reason};
use crate::settings;

/// Where an error stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorPlace {
    /// In the answer to a submit: command_status of SMPP, EC of UCP, 900 of CIMD2.
    #[default]
    Answer,
    /// In a receipt: `err`, or the code of network_error_code.
    Receipt,
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// `answer` or `receipt`.
    #[serde(default)]
    pub place: ErrorPlace,
    /// The carrier's code: a number (`88`, `0x58`), a range (`0x400-0x4FF`), the name of an SMPP status (`ESME_RTHROTTLED`), or
    /// of a receipt a text such as `0A1`. Zeros in front and case do not count.
    pub code: String,
    /// What is done. In a receipt: `permanent`, `blocked_destination`, `success` (it was delivered), or `temporary`, which sends
    /// the message again where `retry_s` says when.
    pub class: ErrorClass,
    /// Seconds before the second, third … try, at most 20 of 1 to 604,800; the last one repeats. The installation's pauses
    /// when empty. The installation's bound on attempts holds all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry_s: Vec<u32>,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// More in words, at most 100 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl ErrorRule {
    /// A line as people write it: place, code, class, and then what there is of pauses, meaning and words.
    ///
    /// `answer 0x400-0x4FF temporary 60/300 filtered by the firewall`
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn of_line(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace().peekable();
        let (Some(place), Some(code), Some(class)) = (words.next(), words.next(), words.next()) else {
            return Err(format!(
                "{line:?} is not at least a place, a code and a class, such as: receipt 27 temporary"
            ));
        };
        let pauses = |word: &&str| word.split('/').map(|one| one.parse().ok()).collect::<Option<Vec<u32>>>();
        let retry_s = words.peek().and_then(pauses);
        if retry_s.is_some() {
            words.next();
        }
        let fault = words.peek().and_then(|word| Fault::ALL.iter().find(|fault| fault.as_str() == *word));
        if fault.is_some() {
            words.next();
        }
        Ok(Self {
            place: named(place, "answer and receipt")?,
            code: code.to_owned(),
            class: named(
                class,
                "permanent, temporary, throttled, queue_full, reconnect, blocked_destination and success",
            )?,
            retry_s: retry_s.unwrap_or_default(),
            fault: fault.copied(),
            text: words.collect::<Vec<_>>().join(" "),
        })
    }

    /// The line that [`ErrorRule::of_line`] reads.
    #[must_use]
    pub fn line(&self) -> String {
        let place = if self.place == ErrorPlace::Answer { "answer" } else { "receipt" };
        let class = serde_json::to_value(self.class).ok();
        let pauses = self.retry_s.iter().map(ToString::to_string).collect::<Vec<_>>().join("/");
        let class = class.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        let words = [place, &self.code, class, &pauses, self.fault.map_or("", Fault::as_str), &self.text];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// One of a closed set by its name.
fn named<T: serde::de::DeserializeOwned>(name: &str, known: &str) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|_| format!("{name:?} is none of {known}"))
}

/// A ready table, for carriers that follow a known convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorConvention {
    /// SMPP's own table, and receipts as their state says.
    #[default]
    Standard,
    /// Receipts carry the errors of MAP (3GPP TS 29.002 §17.6), as most hubs pass them on.
    GsmMap,
    /// Receipts carry the short list of 1 to 99 that began with Nexmo and that many aggregators share.
    Aggregator,
}

impl ErrorConvention {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Standard, Self::GsmMap, Self::Aggregator];

    /// Its lines: code of a receipt, class, meaning.
    const fn lines(self) -> &'static [(&'static str, ErrorClass, Fault)] {
        use ErrorClass::{Permanent, Temporary};
        match self {
            Self::Standard => &[],
            Self::GsmMap => &[
                ("1", Permanent, Fault::UnknownSubscriber),
                ("5", Permanent, Fault::UnknownSubscriber),
                ("6", Temporary, Fault::AbsentSubscriber),
                ("9", Permanent, Fault::Barred),
                ("10", Permanent, Fault::NotProvisioned),
                ("11", Permanent, Fault::NotProvisioned),
                ("12", Permanent, Fault::Barred),
                ("13", Permanent, Fault::Barred),
                ("20", Permanent, Fault::NotProvisioned),
                ("21", Permanent, Fault::NotProvisioned),
                ("27", Temporary, Fault::AbsentSubscriber),
                ("31", Temporary, Fault::HandsetBusy),
                ("32", Temporary, Fault::HandsetError),
                ("33", Temporary, Fault::QueueFull),
                ("34", Temporary, Fault::NetworkError),
                ("35", Temporary, Fault::NetworkError),
                ("36", Temporary, Fault::NetworkError),
            ],
            Self::Aggregator => &[
                ("1", Permanent, Fault::Unknown),
                ("2", Temporary, Fault::AbsentSubscriber),
                ("3", Permanent, Fault::UnknownSubscriber),
                ("4", Permanent, Fault::Barred),
                ("5", Permanent, Fault::Ported),
                ("6", Permanent, Fault::Filtered),
                ("7", Temporary, Fault::HandsetBusy),
                ("8", Temporary, Fault::NetworkError),
                ("9", Permanent, Fault::InvalidRecipient),
                ("10", Permanent, Fault::InvalidContent),
                ("11", Permanent, Fault::NoRoute),
                ("12", Temporary, Fault::AbsentSubscriber),
                ("13", Permanent, Fault::Barred),
                ("14", Permanent, Fault::OptedOut),
                ("15", Permanent, Fault::NoCredit),
                ("99", Permanent, Fault::Unknown),
            ],
        }
    }

    /// Its lines as rules, to be looked at or to begin a table with.
    #[must_use]
    pub fn rules(self) -> Vec<ErrorRule> {
        let rule = |&(code, class, fault): &(&str, ErrorClass, Fault)| ErrorRule {
            place: ErrorPlace::Receipt,
            code: code.to_owned(),
            class,
            retry_s: Vec::new(),
            fault: Some(fault),
            text: String::new(),
        };
        self.lines().iter().map(rule).collect()
    }
}

const RULES_MAX: usize = 200;
const RETRIES_MAX: usize = 20;
/// A week.
const RETRY_S_MAX: u32 = 604_800;
const TEXT_CHARS_MAX: usize = 100;
const CODE_CHARS_MAX: usize = 32;

/// What a code is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Code {
    Numbers(u32, u32),
    Text(String),
}

impl Code {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > CODE_CHARS_MAX || text.chars().any(char::is_control) {
            return None;
        }
        if let Some(status) = Status::ALL
            .iter()
            .find(|status| status.name().is_some_and(|name| name.eq_ignore_ascii_case(text)))
        {
            return Some(Self::Numbers(status.0, status.0));
        }
        if let Some(number) = number(text) {
            return Some(Self::Numbers(number, number));
        }
        let range = text.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?)));
        match range {
            Some((first, last)) => (first <= last).then_some(Self::Numbers(first, last)),
            None => Some(Self::Text(text.to_ascii_lowercase())),
        }
    }

    fn fits(&self, error: &str) -> bool {
        match self {
            // Carriers' errors are decimal wherever they can be read so.
            Self::Numbers(first, last) => {
                error.parse().is_ok_and(|error: u32| (*first..=*last).contains(&error))
            }
            Self::Text(text) => {
                error.trim_start_matches('0').eq_ignore_ascii_case(text.trim_start_matches('0'))
            }
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
    }
}

/// Refuses a table that cannot be read, or whose lines cannot be done.
pub(super) fn check(rules: &[ErrorRule]) -> Result<()> {
    settings::at_most("settings.errors", rules, RULES_MAX)?;
    for (at, rule) in rules.iter().enumerate() {
        let place = |member: &str| format!("settings.errors[{at}].{member}");
        let code = Code::read(&rule.code).ok_or_else(|| {
            let why = format!(
                "{:?} is no number, range, name of a status or text of at most 32 characters",
                rule.code
            );
            Error::invalid(&place("code"), why)
        })?;
        match (rule.place, rule.class, &code) {
            (ErrorPlace::Answer, _, Code::Text(_)) => {
                let why =
                    "an answer has a number, a range such as 0x400-0x4FF, or the name of an SMPP status";
                return Err(Error::invalid(&place("code"), why));
            }
            (ErrorPlace::Answer, _, Code::Numbers(0, _)) => {
                return Err(Error::invalid(&place("code"), "0 is no error"));
            }
            (
                ErrorPlace::Receipt,
                ErrorClass::Throttled | ErrorClass::QueueFull | ErrorClass::Reconnect,
                _,
            ) => {
                let why = "a receipt is permanent, temporary, blocked_destination or success";
                return Err(Error::invalid(&place("class"), why));
            }
            _ => {}
        }
        settings::at_most(&place("retry_s"), &rule.retry_s, RETRIES_MAX)?;
        for pause in &rule.retry_s {
            settings::within(&place("retry_s"), pause, &(1..=RETRY_S_MAX))?;
        }
        if rule.text.chars().count() > TEXT_CHARS_MAX || rule.text.contains(['[', ']']) {
            let why = format!("it takes at most {TEXT_CHARS_MAX} characters, and no brackets");
            return Err(Error::invalid(&place("text"), why));
        }
    }
    Ok(())
}

/// What a table says about one error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// What is done, where the table says.
    pub(crate) class: Option<ErrorClass>,
    /// The reason as it is kept.
    pub(crate) why: String,
    /// Seconds before the next tries.
    pub(crate) retry_s: Arc<[u32]>,
}

/// The table, ready to be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorTable {
    lines: Vec<(ErrorPlace, Code, Line)>,
}

#[derive(Debug, Clone)]
struct Line {
    class: ErrorClass,
    retry_s: Arc<[u32]>,
    fault: Option<Fault>,
    text: String,
}

impl ErrorTable {
    /// The connection's own lines, and behind them those of the convention.
    pub(crate) fn new(rules: &[ErrorRule], convention: ErrorConvention) -> Self {
        let line = |rule: &ErrorRule| {
            let line = Line {
                class: rule.class,
                retry_s: rule.retry_s.as_slice().into(),
                fault: rule.fault,
                text: rule.text.clone(),
            };
            Some((rule.place, Code::read(&rule.code)?, line))
        };
        Self { lines: rules.iter().chain(&convention.rules()).filter_map(line).collect() }
    }

    /// What the link is told of answers.
    pub(crate) fn classes(&self) -> Arc<[Classed]> {
        let classed = |(place, code, line): &(ErrorPlace, Code, Line)| match (place, code) {
            (ErrorPlace::Answer, Code::Numbers(first, last)) => {
                Some(Classed { codes: *first..=*last, class: line.class.class() })
            }
            _ => None,
        };
        self.lines.iter().filter_map(classed).collect()
    }

    /// A refusal as it is kept, with the pauses before the next tries.
    pub(crate) fn answer(&self, refusal: &Refusal) -> (String, Arc<[u32]>) {
        let number = refusal.number();
        let fits =
            |code: &Code| matches!(code, Code::Numbers(first, last) if (*first..=*last).contains(&number));
        let raw = refusal.to_string();
        let read = self.read(&raw, |place, code| place == ErrorPlace::Answer && fits(code));
        (read.why, read.retry_s)
    }

    /// A receipt's error as it is kept, and what is done about it.
    pub(crate) fn receipt(&self, error: &str) -> Read {
        // `network 3:27` is a code of a network.
        let code =
            error.rsplit_once(':').filter(|_| error.starts_with("network ")).map_or(error, |(_, code)| code);
        self.read(error, |place, known| place == ErrorPlace::Receipt && known.fits(code.trim()))
    }

    fn read(&self, raw: &str, fits: impl Fn(ErrorPlace, &Code) -> bool) -> Read {
        match self.lines.iter().find(|(place, code, _)| fits(*place, code)) {
            None => Read { class: None, why: raw.to_owned(), retry_s: Arc::new([]) },
            Some((_, _, line)) => Read {
                class: Some(line.class),
                why: Reason { raw, fault: line.fault, text: &line.text }.kept(),
                retry_s: line.retry_s.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(place: ErrorPlace, code: &str, class: ErrorClass) -> ErrorRule {
        ErrorRule {
            place,
            code: code.to_owned(),
            class,
            retry_s: vec![60, 300],
            fault: Some(Fault::Filtered),
            text: "by the firewall".to_owned(),
        }
    }

    #[test]
    fn the_first_line_that_fits_counts_and_the_convention_comes_last() {
        use ErrorPlace::{Answer, Receipt};
        let rules = [
            rule(Answer, "0x400-0x4FF", ErrorClass::Temporary),
            rule(Answer, "ESME_RSUBMITFAIL", ErrorClass::Success),
            rule(Receipt, "0a1", ErrorClass::Permanent),
            rule(Receipt, "27", ErrorClass::Temporary),
        ];
        let table = ErrorTable::new(&rules, ErrorConvention::GsmMap);
        let (why, retry_s) = table.answer(&Refusal::Smpp(Status(0x402)));
        assert_eq!(
            (why.as_str(), &retry_s[..]),
            ("status 0x00000402 [filtered] by the firewall", &[60, 300][..])
        );
        assert_eq!(table.answer(&Refusal::Smpp(Status::RINVDSTADR)).0, "ESME_RINVDSTADR");
        let classes = table.classes();
        assert_eq!(classes.len(), 2);
        assert_eq!(classes[1], Classed { codes: 0x45..=0x45, class: None });
        for (error, class, fault) in [
            ("A1", Some(ErrorClass::Permanent), Some(Fault::Filtered)),
            ("027", Some(ErrorClass::Temporary), Some(Fault::Filtered)),
            ("network 3:27", Some(ErrorClass::Temporary), Some(Fault::Filtered)),
            ("001", Some(ErrorClass::Permanent), Some(Fault::UnknownSubscriber)),
            ("777", None, None),
        ] {
            let read = table.receipt(error);
            assert_eq!((read.class, Reason::read(&read.why).fault), (class, fault), "{error}");
            assert_eq!(Reason::read(&read.why).raw, error);
        }
    }

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let lines = [
            "answer 0x400-0x4FF temporary 60/300 filtered by the firewall",
            "receipt 0A1 permanent",
            "receipt 27 temporary 30 absent_subscriber",
            "answer ESME_RSUBMITFAIL success and no more than that",
        ];
        for line in lines {
            assert_eq!(ErrorRule::of_line(line).unwrap().line(), line);
        }
        assert_eq!(ErrorRule::of_line(lines[0]).unwrap().retry_s, [60, 300]);
        for wrong in ["receipt 27", "elsewhere 27 permanent", "receipt 27 perhaps"] {
            assert!(ErrorRule::of_line(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_table_that_cannot_be_followed_is_refused_at_its_place() {
        use ErrorPlace::{Answer, Receipt};
        for (bad, place) in [
            (rule(Answer, "blocked", ErrorClass::Permanent), "settings.errors[0].code"),
            (rule(Answer, "", ErrorClass::Permanent), "settings.errors[0].code"),
            (rule(Answer, "9-3", ErrorClass::Permanent), "settings.errors[0].code"),
            (rule(Answer, "0", ErrorClass::Permanent), "settings.errors[0].code"),
            (rule(Receipt, "1", ErrorClass::Throttled), "settings.errors[0].class"),
            (
                ErrorRule { retry_s: vec![0], ..rule(Receipt, "1", ErrorClass::Temporary) },
                "settings.errors[0].retry_s",
            ),
            (
                ErrorRule { text: "[x]".to_owned(), ..rule(Receipt, "1", ErrorClass::Temporary) },
                "settings.errors[0].text",
            ),
        ] {
            assert_eq!(check(&[bad]).unwrap_err().place(), Some(place));
        }
        for convention in ErrorConvention::ALL {
            check(&convention.rules()).unwrap();
        }
    }
}
