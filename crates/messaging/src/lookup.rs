//! Which network a number is of: by the plan of prefixes, and by whoever knows of ported numbers.

mod countries;

use std::fmt;

use serde::{Deserialize, Serialize};
use types::TenantId;

/// A mobile network, as far as it is known (ITU-T E.212).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Network {
    /// `208-01`: the mobile country code and the network's code; `208` where only the country is known; empty where nothing is.
    pub code: String,
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
        f.write_str(if self.is_unknown() { "not known" } else { &self.code })
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

/// What is known of numbers' networks without asking anybody.
#[derive(Debug, Default)]
pub struct Networks {}

impl Networks {
    /// The network of a number, as far as it is known: at least its country's code, where the country has one.
    pub fn of(&self, _tenant: TenantId, number: &str) -> Network {
        let code = sms::country(number).and_then(countries::mcc).unwrap_or_default();
        Network { code: code.to_owned() }
    }
}
