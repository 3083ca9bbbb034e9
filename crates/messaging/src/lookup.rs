//! Which network a number is of: by whoever knows of ported numbers, by the tenant's plan of prefixes, or at least by its
//! country.
//!
//! A decision never waits: it takes what is in memory. What is not there is asked for before, by the request that brings
//! the message in (HTTP, which waits within a bound) or beside it (SMPP, so that the next message to that number knows).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use types::{TenantId, Timestamp};

pub mod api;
mod asking;
mod countries;
pub mod pages;
pub mod plan;
pub mod provider;

pub use asking::Lookups;
pub use plan::Plans;

/// A mobile network, as far as it is known (ITU-T E.212).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Network {
    /// `208-01`: the mobile country code and the network's code; `208` where only the country is known; empty where nothing is.
    pub code: String,
    /// What it is called, where that is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Who says so.
    #[serde(default)]
    pub source: Source,
    /// Whether the number was taken along from another network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ported: Option<bool>,
    /// Whether the phone is in another network now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roaming: Option<bool>,
    /// Whether the phone can be reached now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// The subscriber's identity, its network's digits alone: `20801**********`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imsi: Option<String>,
}

/// Who says which network a number is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = LookupSource)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The country's calling code.
    #[default]
    Country,
    /// The tenant's plan of prefixes.
    Plan,
    /// A look-up service.
    Lookup,
}

impl Network {
    /// Whether nothing is known.
    pub const fn is_unknown(&self) -> bool {
        self.code.is_empty()
    }

    /// Whether it is a network, or one of a country's: `208-01` is of `208-01` and of `208`.
    pub fn is_of(&self, wanted: &str) -> bool {
        self.code.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.name.as_str()) {
            ("", _) => f.write_str("not known"),
            (code, "") => f.write_str(code),
            (code, name) => write!(f, "{code} ({name})"),
        }
    }
}

/// Whether a text is a network or a country's networks: three digits, or three digits, a hyphen and two or three.
pub fn is_network(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    match text.split_once('-') {
        None => text.len() == 3 && digits(text),
        Some((mcc, mnc)) => mcc.len() == 3 && (2..=3).contains(&mnc.len()) && digits(mcc) && digits(mnc),
    }
}

/// Answers in memory, all tenants together; the oldest are forgotten first, the table still has them.
const ANSWERS_MAX: usize = 200_000;

/// What is known of numbers' networks without asking anybody.
#[derive(Debug, Default)]
pub struct Networks {
    plans: ArcSwap<Plans>,
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    by_number: HashMap<(TenantId, String), Answer>,
    order: VecDeque<(TenantId, String)>,
}

/// What a service has said of a number.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Nothing where no service knew.
    pub(crate) network: Option<Network>,
    /// Until when that counts.
    pub(crate) expires_at: Timestamp,
}

impl Networks {
    /// The network of a number, as far as it is known: at least its country's code, where the country has one.
    pub fn of(&self, tenant: TenantId, number: &str, now: Timestamp) -> Network {
        if let Some(Answer { network: Some(network), .. }) = self.answer(tenant, number, now) {
            return network;
        }
        if let Some(network) = self.plans.load().of(tenant, number) {
            return network;
        }
        let code = sms::country(number).and_then(countries::mcc).unwrap_or_default();
        Network { code: code.to_owned(), ..Network::default() }
    }

    /// Uses other plans from now on.
    pub fn set_plans(&self, plans: Plans) {
        self.plans.store(plans.into());
    }

    /// What a service has said and still counts, also that none knew.
    pub(crate) fn answer(&self, tenant: TenantId, number: &str, now: Timestamp) -> Option<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.by_number.is_empty() {
            return None;
        }
        let answer = answers.by_number.get(&(tenant, number.to_owned()))?;
        (answer.expires_at > now).then(|| answer.clone())
    }

    /// Remembers what a service has said.
    pub(crate) fn remember(&self, tenant: TenantId, number: &str, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant, number.to_owned());
        if answers.by_number.insert(key.clone(), answer).is_none() {
            answers.order.push_back(key);
        }
        while answers.by_number.len() > ANSWERS_MAX {
            match answers.order.pop_front() {
                Some(oldest) => _ = answers.by_number.remove(&oldest),
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests;
