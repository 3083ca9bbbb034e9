//! Ready descriptions, chosen by name and copied, so that they can be changed.
//!
//! Each is the provider's published interface:
//!
//! - `twilio`: Programmable Messaging, "Messages resource" of API version 2010-04-01, its status callbacks and "Validating
//!   requests" (X-Twilio-Signature)
//! - `infobip`: SMS API version 3, `/sms/3/messages`, its delivery reports and "Receive inbound SMS"
//! - `vonage`: SMS API, `/sms/json`, its delivery receipts, inbound SMS and signed webhooks
//! - `kannel`: Kannel 1.4 user guide, "Using the SMSBox HTTP interface" and "Delivery reports"
//! - `jasmin`: Jasmin 0.10 manual, "HTTP API": `/send`, its delivery receipt callbacks and "Receiving SMS-MO"

#[cfg(test)]
mod tests;

use super::Description;

/// Name, label, whether the provider splits long texts itself, description.
const READY: [(&str, &str, bool, &str); 5] = [
    ("twilio", "Twilio", true, include_str!("dialects/twilio.json")),
    ("infobip", "Infobip", true, include_str!("dialects/infobip.json")),
    ("vonage", "Vonage", true, include_str!("dialects/vonage.json")),
    ("kannel", "Kannel", false, include_str!("dialects/kannel.json")),
    ("jasmin", "Jasmin", true, include_str!("dialects/jasmin.json")),
];

/// Their names, as programs and as people write them.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    READY.iter().map(|(name, label, ..)| (*name, *label))
}

/// Whether the provider of this dialect takes long texts whole, and splits them itself.
pub fn splits(name: &str) -> bool {
    READY.iter().any(|(known, _, splits, _)| *known == name && *splits)
}

/// The ready description of this name.
///
/// # Panics
/// Never: a test reads each.
pub fn named(name: &str) -> Option<Description> {
    let (name, _, _, text) = READY.iter().find(|(known, ..)| *known == name)?;
    let described: Description = serde_json::from_str(text).expect("a test reads each of them");
    Some(Description { dialect: (*name).to_owned(), ..described })
}
