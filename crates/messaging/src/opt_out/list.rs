//! The opt-out list in memory, which every message is held against.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use db::{Tenancy, args, record, sql};
use runtime::Runtime;
use types::{Code, OptOutId, Result, TenantId};

use super::Extent;
use crate::Intent;
use crate::gate::{Ask, Refusal, fold};

/// What has changed, to be noted after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noted {
    /// A phone is on the list. The same phone, extent and number has one entry: the newest.
    Out { tenant: TenantId, id: OptOutId, phone: String, extent: Extent, number: String },
    /// A phone has opted in by a number: whatever it had opted out of by that number is off.
    In { tenant: TenantId, phone: String, number: String },
    /// An entry is off.
    Removed { tenant: TenantId, id: OptOutId, phone: String },
}

#[derive(Debug)]
struct Held {
    id: OptOutId,
    extent: Extent,
    number: Box<str>,
}

type Phones = HashMap<Box<str>, Vec<Held>>;

/// All tenants' entries.
#[derive(Debug, Default)]
pub(crate) struct OptOuts {
    tenants: RwLock<HashMap<TenantId, Phones>>,
    /// Phones with entries: whoever has none pays this look alone.
    phones: AtomicUsize,
}

record! { struct Row { id: OptOutId, tenant_id: TenantId, phone: String, scope: String, number: String } }

/// Rows that are read at once.
const PAGE: i64 = 10_000;

impl OptOuts {
    /// Reads the whole list.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn load(&self, runtime: &Runtime) -> Result<()> {
        let mut tx = runtime.db.read(Tenancy::Every).await?;
        let mut after = 0;
        loop {
            let rows: Vec<Row> = tx
                .all(
                    sql!(
                        "select id, tenant_id, phone, scope, number from opt_out where id > $1 order by id limit $2 \
                         /* every tenant: the engine serves all */"
                    ),
                    args![after, PAGE],
                )
                .await?;
            let Some(last) = rows.last().map(|row| row.id.raw()) else { return Ok(()) };
            after = last;
            let noted: Vec<Noted> = rows
                .into_iter()
                .map(|row| Noted::Out {
                    tenant: row.tenant_id,
                    id: row.id,
                    phone: row.phone,
                    extent: Extent::named(&row.scope).unwrap_or(Extent::All),
                    number: row.number,
                })
                .collect();
            self.note(&noted);
        }
    }

    /// Follows committed changes.
    pub(crate) fn note(&self, changes: &[Noted]) {
        if changes.is_empty() {
            return;
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Noted::Out { tenant, id, phone, extent, number } => {
                    let of_phone =
                        tenants.entry(*tenant).or_default().entry(phone.as_str().into()).or_default();
                    of_phone.retain(|held| held.extent != *extent || *held.number != **number);
                    of_phone.push(Held { id: *id, extent: *extent, number: number.as_str().into() });
                }
                Noted::In { tenant, phone, number } => {
                    take(&mut tenants, *tenant, phone, |held| *held.number == **number);
                }
                Noted::Removed { tenant, id, phone } => {
                    take(&mut tenants, *tenant, phone, |held| held.id == *id);
                }
            }
        }
        let phones = tenants.values().map(HashMap::len).sum();
        self.phones.store(phones, Ordering::Release);
    }

    /// The entries of a phone.
    pub(crate) fn entries(&self, tenant: TenantId, phone: &str) -> Vec<OptOutId> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let held = tenants.get(&tenant).and_then(|phones| phones.get(phone));
        held.map_or_else(Vec::new, |held| held.iter().map(|one| one.id).collect())
    }

    /// Whether a phone has opted out by a number.
    pub(crate) fn has(&self, tenant: TenantId, phone: &str, number: &str) -> bool {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let held = tenants.get(&tenant).and_then(|phones| phones.get(phone));
        held.is_some_and(|held| held.iter().any(|held| *held.number == *number))
    }

    /// What a phone gets no more of, the widest extent first.
    pub(crate) fn of(&self, tenant: TenantId, phone: &str) -> Option<Extent> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let held = tenants.get(&tenant)?.get(phone)?;
        Extent::ALL.into_iter().rev().find(|extent| held.iter().any(|held| held.extent == *extent))
    }

    /// Whether a message may go to its recipient, from this sender.
    ///
    /// # Errors
    /// The refusal, [`Code::RecipientOptedOut`].
    pub(crate) fn judge(&self, ask: &Ask<'_>, sender: &str) -> Result<(), Refusal> {
        if self.phones.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = tenants.get(&ask.tenant).and_then(|phones| phones.get(ask.recipient)) else {
            return Ok(());
        };
        let marketing = ask.intent == Intent::Marketing;
        let refuses = |held: &&Held| match held.extent {
            Extent::All => true,
            Extent::Marketing => marketing,
            // Whom a message without a sender will seem to be from, the carrier decides; it may be this one.
            Extent::Number => marketing && (sender.is_empty() || fold(sender) == *held.number),
        };
        match held.iter().find(refuses) {
            None => Ok(()),
            Some(held) => {
                let reason = format!("the recipient has opted out of {}", held.extent.words());
                Err(Refusal::new(Code::RecipientOptedOut, 0, "opt-out list", reason))
            }
        }
    }
}

fn take(
    tenants: &mut HashMap<TenantId, Phones>,
    tenant: TenantId,
    phone: &str,
    goes: impl Fn(&Held) -> bool,
) {
    let Some(phones) = tenants.get_mut(&tenant) else { return };
    if let Some(held) = phones.get_mut(phone) {
        held.retain(|held| !goes(held));
        if held.is_empty() {
            phones.remove(phone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route;
    use types::Address;

    const PHONE: &str = "33612345678";

    fn judged(list: &OptOuts, tenant: i64, sender: &str, intent: Intent) -> bool {
        let address = Address { text: sender.to_owned(), ..Address::sender("ACME").unwrap() };
        let way = route::Ask::new(TenantId::from_raw(tenant), None, sender, PHONE, intent);
        list.judge(&Ask::of(&way, &address), sender).is_ok()
    }

    fn out(id: i64, extent: Extent, number: &str) -> Noted {
        Noted::Out {
            tenant: TenantId::from_raw(1),
            id: OptOutId::from_raw(id),
            phone: PHONE.to_owned(),
            extent,
            number: number.to_owned(),
        }
    }

    #[test]
    fn the_extent_says_what_is_refused() {
        for (extent, marketing_from_it, marketing_from_other, password) in [
            (Extent::Number, false, true, true),
            (Extent::Marketing, false, false, true),
            (Extent::All, false, false, false),
        ] {
            let list = OptOuts::default();
            list.note(&[out(1, extent, "acme")]);
            assert_eq!(judged(&list, 1, "ACME", Intent::Marketing), marketing_from_it);
            assert_eq!(judged(&list, 1, "Other", Intent::Marketing), marketing_from_other);
            assert_eq!(judged(&list, 1, "ACME", Intent::Otp), password);
            assert_eq!(judged(&list, 1, "ACME", Intent::Transactional), password);
            assert!(judged(&list, 2, "ACME", Intent::Marketing), "another tenant's list is not ours");
            assert!(!judged(&list, 1, "", Intent::Marketing));
        }
    }

    #[test]
    fn opting_in_takes_off_what_was_opted_out_of_by_that_number() {
        let list = OptOuts::default();
        let tenant = TenantId::from_raw(1);
        list.note(&[out(1, Extent::Marketing, "10000"), out(2, Extent::Marketing, "20000")]);
        let back = |number: &str| Noted::In { tenant, phone: PHONE.to_owned(), number: number.to_owned() };
        list.note(&[back("10000")]);
        assert!(!list.has(tenant, PHONE, "10000") && list.has(tenant, PHONE, "20000"));
        assert!(!judged(&list, 1, "ACME", Intent::Marketing));
        // A removal of an entry that was made anew meanwhile takes nothing.
        list.note(&[out(3, Extent::Marketing, "20000")]);
        list.note(&[Noted::Removed { tenant, id: OptOutId::from_raw(2), phone: PHONE.to_owned() }]);
        assert!(!judged(&list, 1, "ACME", Intent::Marketing));
        list.note(&[back("20000")]);
        assert!(judged(&list, 1, "ACME", Intent::Marketing));
        assert_eq!(list.phones.load(Ordering::Acquire), 0);
        assert_eq!(list.of(tenant, PHONE), None);
    }
}
