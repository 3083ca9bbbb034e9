//! Phones that can be reached again, and whom to tell: a carrier's alert_notification is passed on to the account that sent
//! to the phone last and asked for it (set_dpf, SMPP v5 §4.8.4.52), or is set to be told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use smpp::{AlertNotification, COctetString, Npi, Pdu, Status, Ton};
use types::{AccountId, Address, TenantId};

use crate::engine::Engine;

/// Phones that are remembered; the oldest make room.
const PHONES_MAX: usize = 100_000;

type Phone = (TenantId, String);

/// Who sent to which phone last and wants to hear of it. In memory alone: an alert is a hint, and after a restart the next
/// message asks for it anew.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    phones: Mutex<Phones>,
}

#[derive(Debug, Default)]
struct Phones {
    last: HashMap<Phone, (AccountId, Address)>,
    order: VecDeque<Phone>,
}

impl Awaited {
    /// Remembers that an account wants to hear when this phone is back.
    pub(crate) fn note(&self, tenant: TenantId, phone: &str, account: AccountId, sender: Address) {
        let mut phones = self.phones.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant, phone.to_owned());
        if phones.last.insert(key.clone(), (account, sender)).is_none() {
            phones.order.push_back(key);
        }
        while phones.order.len() > PHONES_MAX {
            let Some(oldest) = phones.order.pop_front() else { break };
            phones.last.remove(&oldest);
        }
    }

    /// Who wants to hear of a phone.
    fn of(&self, tenant: TenantId, phone: &str) -> Option<(AccountId, Address)> {
        let phones = self.phones.lock().unwrap_or_else(PoisonError::into_inner);
        phones.last.get(&(tenant, phone.to_owned())).cloned()
    }
}

impl Engine {
    /// A carrier says that a phone can be reached again: whoever waits for that is told, on a session that receives. There
    /// is no answer to an alert, so one that finds no session is not kept.
    pub(crate) fn reachable(&self, tenant: TenantId, phone: &str) {
        let waits = self.awaited().of(tenant, phone);
        let told = waits.is_some_and(|(account, sender)| self.alert(account, phone, &sender));
        let outcome = if told { "told" } else { "nobody" };
        metrics::counter!("switchboard_alerts_total", "outcome" => outcome).increment(1);
    }

    fn alert(&self, account: AccountId, phone: &str, sender: &Address) -> bool {
        let alert = AlertNotification {
            source: smpp::Address::international(phone.to_owned()),
            esme: smpp::Address {
                ton: Ton(sender.ton.0),
                npi: Npi(sender.npi.0),
                addr: COctetString::from(sender.text.as_str()),
            },
            ..AlertNotification::default()
        };
        let alert = Pdu::AlertNotification(alert);
        self.sessions().tell(account, |sequence, out| {
            if let Err(error) = alert.encode(sequence, Status::ROK, out) {
                tracing::debug!(%error, "an alert does not fit its PDU");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sender_is_remembered_within_the_bound_and_the_tenant() {
        let awaited = Awaited::default();
        let (ours, theirs) = (TenantId::from_raw(1), TenantId::from_raw(2));
        let sender = Address::sender("ACME").unwrap();
        for account in [1, 2] {
            awaited.note(ours, "33612345678", AccountId::from_raw(account), sender.clone());
        }
        let of = |tenant, phone| awaited.of(tenant, phone).map(|(account, _)| account.raw());
        assert_eq!(of(ours, "33612345678"), Some(2));
        assert_eq!(of(theirs, "33612345678"), None);
        for n in 0..PHONES_MAX {
            awaited.note(theirs, &n.to_string(), AccountId::from_raw(3), sender.clone());
        }
        assert_eq!((of(ours, "33612345678"), of(theirs, "7")), (None, Some(3)));
    }
}
