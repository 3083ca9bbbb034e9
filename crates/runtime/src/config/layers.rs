//! The layers of the configuration, laid over each other: manual, file, environment, flags.
//!
//! Each value is judged when it is laid, so that every mistake of every layer is found in one look, and a
//! wrong value never hides the right one beneath it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::rules::{self, RULES};
use super::{Finding, Origin, Severity};

/// Largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 1_048_576;

/// Prefix of every variable that concerns Switchboard.
pub(crate) const PREFIX: &str = "SWITCHBOARD_";

/// Short names of the variables that are set most.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("SWITCHBOARD_HTTP", "http.listen"),
    ("SWITCHBOARD_SMPP", "smpp.listen"),
    ("SWITCHBOARD_SMPP_TLS", "smpp.tls.listen"),
    ("SWITCHBOARD_DATABASE", "database.url"),
    ("SWITCHBOARD_DATA", "data_dir"),
    ("SWITCHBOARD_ADMIN_KEY", "security.admin_key"),
];

/// Names the configuration file; not a setting itself.
pub(crate) const FILE_VARIABLE: &str = "SWITCHBOARD_CONFIG";

/// What has been laid so far.
#[derive(Default)]
pub(crate) struct Layers {
    pub(crate) figment: Figment,
    pub(crate) origins: BTreeMap<String, Origin>,
    pub(crate) findings: Vec<Finding>,
}

/// One value on its way into figment, named so that figment's own errors tell where it came from.
struct Setting<'a> {
    key: &'a str,
    value: Value,
    origin: &'a Origin,
}

impl Provider for Setting<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(self.key, self.value.clone());
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

impl Layers {
    /// Lays a TOML text.
    pub(crate) fn toml(&mut self, text: &str, origin: &Origin) {
        match Toml::from_str::<Dict>(text) {
            Ok(dict) => self.dict(&dict, "", origin),
            Err(error) => {
                // Only the message and the place: the line itself may hold a secret.
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let problem = format!("line {line} is not TOML: {}", error.message().replace('\n', ", "));
                let advice = "texts stand in double quotes, lists in square brackets";
                self.find("", origin, Severity::Error, &problem, advice.to_owned());
            }
        }
    }

    /// Lays a configuration file.
    pub(crate) fn file(&mut self, path: &Path) {
        let origin = Origin::File(path.to_owned());
        // Bounded, because the path may name anything, a device too.
        let read = std::fs::File::open(path).and_then(|file| {
            let mut text = String::new();
            file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map(|_| text)
        });
        match read {
            Ok(text) if text.len() as u64 > FILE_BYTES_MAX => {
                let problem = "longer than 1 MiB";
                self.find("", &origin, Severity::Error, problem, "is it a configuration?".to_owned());
            }
            Ok(text) => self.toml(&text, &origin),
            Err(error) => {
                let problem = format!("cannot be read: {error}");
                let advice = "name a readable TOML file with --config or SWITCHBOARD_CONFIG".to_owned();
                self.find("", &origin, Severity::Error, &problem, advice);
            }
        }
    }

    /// Lays the variables that concern Switchboard; all others are ignored.
    pub(crate) fn environment(&mut self, variables: &[(String, String)]) {
        let mut named: BTreeMap<String, (&str, &str)> = BTreeMap::new();
        for (name, text) in variables {
            if !name.starts_with(PREFIX) || name == FILE_VARIABLE {
                continue;
            }
            let origin = Origin::Environment(name.clone());
            let Some(key) = key_of_variable(name) else {
                // Only a warning: a container platform adds variables of its own that begin with a service's
                // name.
                let near = nearest(name, SHORT_NAMES.iter().map(|(short, _)| *short));
                let advice = match near {
                    Some(near) => format!("did you mean {near}? Otherwise unset it"),
                    None => "any setting can be given as SWITCHBOARD__SECTION__KEY".to_owned(),
                };
                self.find(name, &origin, Severity::Warning, "an unknown variable, ignored", advice);
                continue;
            };
            if let Some((other, before)) = named.get(&key)
                && *before != text
            {
                let problem = format!("set to something else by {other}");
                self.find(&key, &origin, Severity::Error, &problem, format!("unset {name} or {other}"));
                continue;
            }
            self.text(&key, text, &origin);
            named.insert(key, (name, text));
        }
    }

    /// Lays one value given as text.
    pub(crate) fn text(&mut self, key: &str, text: &str, origin: &Origin) {
        match rules::rule(key) {
            None => self.unknown(key, origin),
            Some(rule) => match rule.parse(text) {
                Ok(value) => self.value(key, value, origin),
                Err(problem) => self.find(key, origin, Severity::Error, &problem, rule.advice()),
            },
        }
    }

    fn dict(&mut self, dict: &Dict, above: &str, origin: &Origin) {
        for (name, value) in dict {
            let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            match value {
                Value::Dict(_, inner) if rules::rule(&key).is_none() => {
                    if above.is_empty() && !is_section(&key) {
                        self.unknown(&key, origin);
                    } else {
                        self.dict(inner, &key, origin);
                    }
                }
                _ => self.value(&key, value.clone(), origin),
            }
        }
    }

    fn value(&mut self, key: &str, value: Value, origin: &Origin) {
        let Some(rule) = rules::rule(key) else { return self.unknown(key, origin) };
        if let Err(problem) = rule.check(&value) {
            return self.find(key, origin, Severity::Error, &problem, rule.advice());
        }
        let setting = Setting { key, value, origin };
        self.figment = std::mem::take(&mut self.figment).merge(setting);
        self.origins.insert(key.to_owned(), origin.clone());
    }

    fn unknown(&mut self, key: &str, origin: &Origin) {
        let advice = if is_section(key) {
            format!("{key} is a section: write its keys under [{key}]")
        } else {
            // The right name in the wrong section is likelier than a slip of the pen.
            let last = key.rsplit('.').next().unwrap_or(key);
            let moved =
                RULES.iter().map(|(name, _)| *name).find(|name| name.rsplit('.').next() == Some(last));
            match nearest(key, RULES.iter().map(|(name, _)| *name)).or(moved) {
                Some(near) => format!("did you mean {near}?"),
                None => "remove it; `switchboard config show` lists the keys that there are".to_owned(),
            }
        };
        self.find(key, origin, Severity::Error, "an unknown key", advice);
    }

    /// Notes a finding about the value of `key` in one layer.
    fn find(&mut self, key: &str, origin: &Origin, severity: Severity, problem: &str, advice: String) {
        let key = key.to_owned();
        self.findings.push(Finding {
            key,
            origin: origin.clone(),
            severity,
            problem: problem.to_owned(),
            advice,
        });
    }
}

fn is_section(key: &str) -> bool {
    RULES.iter().any(|(name, _)| name.split_once('.').is_some_and(|(section, _)| section == key))
}

/// The dotted key that a variable sets: a short name, or `SWITCHBOARD__SECTION__KEY`.
fn key_of_variable(name: &str) -> Option<String> {
    if let Some((_, key)) = SHORT_NAMES.iter().find(|(short, _)| *short == name) {
        return Some((*key).to_owned());
    }
    name.strip_prefix("SWITCHBOARD__").map(|path| path.replace("__", ".").to_ascii_lowercase())
}

/// The candidate that differs in the fewest characters, if they are few enough to be a slip.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 4).clamp(1, 4);
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements that make one text of the other (Levenshtein). Longer texts than
/// any key are cut.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(128).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(128).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
