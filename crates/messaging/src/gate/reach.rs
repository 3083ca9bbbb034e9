//! Whose messages a rule is about.

use serde::{Deserialize, Serialize};
use types::{AccountId, Error, Result};

use super::Ask;
use crate::Intent;
use crate::settings;

/// Whose messages a rule is about. What is empty is about all; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reach {
    /// Only messages of these SMPP accounts.
    pub accounts: Vec<AccountId>,
    /// Only messages of the API; beside `accounts`, of both.
    pub api: bool,
    /// Only messages that are for this.
    pub intents: Vec<Intent>,
    /// Only messages to these countries, ISO 3166-1 alpha-2 such as `FR`.
    pub countries: Vec<String>,
    /// Only messages from these senders, in either case; with `*` at its end, from senders that begin so.
    pub senders: Vec<String>,
}

const ACCOUNTS_MAX: usize = 500;
const COUNTRIES_MAX: usize = 300;
const SENDERS_MAX: usize = 500;
const SENDER_CHARS_MAX: usize = 21;

/// A country's code in its normal form.
///
/// # Errors
/// At `field` for what is no country's code.
pub(crate) fn country_code(field: &str, text: &str) -> Result<String> {
    let code = text.trim().to_ascii_uppercase();
    if sms::country::is_country(&code) {
        return Ok(code);
    }
    Err(Error::invalid(field, format!("{text:?} is no country; give its code by ISO 3166, such as FR")))
}

/// A sender or its beginning with `*`, as it is compared: folded, without `+`.
///
/// # Errors
/// At `field` for an empty or overlong text.
pub(crate) fn sender_pattern(field: &str, text: &str) -> Result<String> {
    let folded = fold(text.trim());
    if folded.is_empty() || folded.chars().count() > SENDER_CHARS_MAX || folded.contains('\0') {
        return Err(Error::invalid(field, format!("{text:?} is no sender, nor the beginning of one with *")));
    }
    Ok(folded)
}

/// A sender as it is compared: in lower case and without `+`, as phones show names and networks read numbers.
pub(crate) fn fold(sender: &str) -> String {
    sender.trim_start_matches('+').to_lowercase()
}

/// Whether a folded sender is the folded pattern's.
pub(crate) fn matches(pattern: &str, folded: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == folded, |start| folded.starts_with(start))
}

impl Reach {
    /// The reach in its normal form.
    ///
    /// # Errors
    /// At `rule.reach.<member>` for what none can be.
    pub(crate) fn checked(mut self) -> Result<Self> {
        settings::at_most("rule.reach.accounts", &self.accounts, ACCOUNTS_MAX)?;
        settings::at_most("rule.reach.intents", &self.intents, Intent::ALL.len())?;
        settings::at_most("rule.reach.countries", &self.countries, COUNTRIES_MAX)?;
        settings::at_most("rule.reach.senders", &self.senders, SENDERS_MAX)?;
        for country in &mut self.countries {
            *country = country_code("rule.reach.countries", country)?;
        }
        for sender in &mut self.senders {
            *sender = sender_pattern("rule.reach.senders", sender)?;
        }
        self.countries.sort();
        self.countries.dedup();
        Ok(self)
    }

    /// Why a message is not one that the rule is about; nothing when it is. `sender` is folded.
    pub(crate) fn misses(&self, ask: &Ask<'_>, country: Option<&str>, sender: &str) -> Option<&'static str> {
        if !self.accounts.is_empty() || self.api {
            let meant = ask.account.map_or(self.api, |account| self.accounts.contains(&account));
            if !meant {
                return Some("It is about other accounts.");
            }
        }
        if !self.intents.is_empty() && !self.intents.contains(&ask.intent) {
            return Some("It is about messages that are for something else.");
        }
        if !self.countries.is_empty() && !self.countries.iter().any(|known| Some(known.as_str()) == country) {
            return Some("It is about other countries.");
        }
        if !self.senders.is_empty() && !self.senders.iter().any(|pattern| matches(pattern, sender)) {
            return Some("It is about other senders.");
        }
        None
    }
}
