//! Finding out how a carrier's receipts write the ids of its responses.
//!
//! A number can be read in two bases, so a receipt's id can fit one message as it is and another one in the other base.
//! While nothing is known every form is tried, and a receipt that fits several messages waits. Once enough receipts have
//! fitted one message in one form alone, that form is the connection's, and nothing else is tried. When receipts begin to
//! fit in another form only, it is found out anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use types::ConnectionId;

use crate::connection::ReceiptIds;

/// Unambiguous matches in one form after which it is the connection's.
pub(crate) const LEARNED_AFTER: u32 = 20;
/// Receipts that fit in another form only, without one that fits as learned, after which it is found out anew.
const FORGOTTEN_AFTER: u32 = 5;

/// What was found out about a carrier's receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Learned {
    /// The form: `same`, `hex_to_decimal` or `decimal_to_hex`.
    pub form: ReceiptIds,
    /// Receipts that have shown it.
    pub matches: u32,
    /// Whether it is certain, so that no other form is tried.
    pub certain: bool,
}

#[derive(Debug, Default)]
struct Learner {
    form: ReceiptIds,
    matches: u32,
    certain: bool,
    against: u32,
}

/// What is known of every carrier.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    learners: Mutex<HashMap<ConnectionId, Learner>>,
}

impl Ids {
    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Learner>> {
        self.learners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found out, for people.
    pub(crate) fn learned(&self, connection: ConnectionId) -> Option<Learned> {
        let learners = self.lock();
        let learner = learners.get(&connection).filter(|learner| learner.matches > 0)?;
        Some(Learned { form: learner.form, matches: learner.matches, certain: learner.certain })
    }

    /// The form of a connection, where it is certain.
    pub(crate) fn certain(&self, connection: ConnectionId) -> Option<ReceiptIds> {
        self.lock().get(&connection).filter(|learner| learner.certain).map(|learner| learner.form)
    }

    /// Knows nothing of a connection any more.
    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.lock().remove(&connection);
    }

    /// A receipt fitted one message in this form alone. True when that made it certain, or doubtful.
    pub(crate) fn fitted(&self, connection: ConnectionId, form: ReceiptIds) -> bool {
        let mut learners = self.lock();
        let learner = learners.entry(connection).or_default();
        if learner.form != form && learner.certain {
            drop(learners);
            return self.contradicted(connection);
        }
        if learner.form != form {
            *learner = Learner { form, ..Learner::default() };
        }
        learner.against = 0;
        learner.matches = learner.matches.saturating_add(1);
        let now = !learner.certain && learner.matches >= LEARNED_AFTER;
        learner.certain |= now;
        now
    }

    /// A receipt fitted in another form than the one that was certain. True when that is so no longer.
    pub(crate) fn contradicted(&self, connection: ConnectionId) -> bool {
        let mut learners = self.lock();
        let Some(learner) = learners.get_mut(&connection).filter(|learner| learner.certain) else {
            return false;
        };
        learner.against += 1;
        let over = learner.against >= FORGOTTEN_AFTER;
        if over {
            learners.remove(&connection);
        }
        over
    }
}

/// The stored forms that a receipt's id may stand for, the likeliest first, none twice. Empty for an empty id.
pub(crate) fn forms(id: &str) -> Vec<(ReceiptIds, String)> {
    let key = sms::id::key(id).into_owned();
    if key.is_empty() {
        return Vec::new();
    }
    let hexadecimal = sms::id::decimal_to_hexadecimal(&key).map(|key| (ReceiptIds::HexToDecimal, key));
    let decimal = sms::id::hexadecimal_to_decimal(&key).map(|key| (ReceiptIds::DecimalToHex, key));
    let mut forms = vec![(ReceiptIds::Same, key)];
    for other in [hexadecimal, decimal].into_iter().flatten() {
        if forms.iter().all(|(_, known)| *known != other.1) {
            forms.push(other);
        }
    }
    forms
}

/// The one stored form that an id stands for, where that is known.
pub(crate) fn form(id: &str, form: ReceiptIds) -> Vec<(ReceiptIds, String)> {
    let key = sms::id::key(id).into_owned();
    if key.is_empty() {
        return Vec::new();
    }
    let converted = match form {
        ReceiptIds::Auto | ReceiptIds::Same => None,
        ReceiptIds::HexToDecimal => sms::id::decimal_to_hexadecimal(&key),
        ReceiptIds::DecimalToHex => sms::id::hexadecimal_to_decimal(&key),
    };
    // What does not read as a number of that base stands for itself.
    converted.map_or_else(|| vec![(ReceiptIds::Same, key)], |converted| vec![(form, converted)])
}

/// Whether a match in one of its forms tells anything: `7` is the same in both bases.
pub(crate) fn tells(id: &str) -> bool {
    forms(id).len() > 1 || sms::id::hexadecimal_to_decimal(id).is_none()
}

/// Whether two numbers are one, however their writers begin them.
pub(crate) fn same_number(one: &str, other: &str) -> bool {
    let digits = |text: &str| {
        let text = text.trim_start_matches('+');
        text.strip_prefix("00").unwrap_or(text).to_owned()
    };
    let (one, other) = (digits(one), digits(other));
    let (long, short) = if one.len() >= other.len() { (&one, &other) } else { (&other, &one) };
    !short.is_empty()
        && (long == short || (short.len() >= 7 && long.ends_with(short.trim_start_matches('0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTION: ConnectionId = ConnectionId::from_raw(1);

    #[test]
    fn a_form_is_certain_after_enough_and_doubtful_after_some_against_it() {
        let ids = Ids::default();
        assert_eq!(ids.learned(CONNECTION), None);
        ids.fitted(CONNECTION, ReceiptIds::Same);
        for n in 1..=LEARNED_AFTER {
            assert_eq!(ids.fitted(CONNECTION, ReceiptIds::HexToDecimal), n == LEARNED_AFTER, "{n}");
        }
        assert_eq!(ids.certain(CONNECTION), Some(ReceiptIds::HexToDecimal));
        assert_eq!(ids.certain(ConnectionId::from_raw(2)), None);
        for _ in 1..FORGOTTEN_AFTER {
            assert!(!ids.contradicted(CONNECTION));
        }
        ids.fitted(CONNECTION, ReceiptIds::HexToDecimal);
        for n in 1..=FORGOTTEN_AFTER {
            assert_eq!(
                ids.contradicted(CONNECTION),
                n == FORGOTTEN_AFTER,
                "a fit between them began the count anew"
            );
        }
        assert_eq!(ids.learned(CONNECTION), None);
    }

    #[test]
    fn an_id_has_each_form_once() {
        let written = |id| forms(id).into_iter().map(|(_, key)| key).collect::<Vec<_>>();
        assert_eq!(written("0010"), ["10", "a", "16"]);
        assert_eq!(written("7"), ["7"]);
        assert_eq!(written("00AB"), ["ab", "171"]);
        assert!(written("").is_empty());
        assert_eq!(form("16", ReceiptIds::HexToDecimal), [(ReceiptIds::HexToDecimal, "10".to_owned())]);
        assert_eq!([tells("7"), tells("10"), tells("msg-7")], [false, true, true]);
    }

    #[test]
    fn numbers_are_compared_without_their_beginnings() {
        assert!(same_number("+33612345678", "0033612345678"));
        assert!(same_number("0612345678", "33612345678"));
        assert!(!same_number("33612345678", "33612345679"));
        assert!(!same_number("", "33612345679"));
    }
}
