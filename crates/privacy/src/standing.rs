//! Restriction and objection in memory: what the gates before messages ask. Only marks are held, so memory tells nobody's
//! phone; a tenant without such persons pays one look.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use db::{Tenancy, args, record, sql};
use runtime::Runtime;
use runtime::personal::By;
use types::{Result, TenantId};

use crate::person::{Blind, MARK_BYTES, known_blind};

/// Persons of a tenant that are held at most; a request beyond them is refused when it is carried out.
pub const PERSONS_MAX: usize = 1_000_000;

/// What a person has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// Nothing is processed but kept (GDPR article 18), or erasure is under way.
    Restricted,
    /// No marketing (GDPR article 21).
    Objected,
}

struct Held {
    blind: Blind,
    marks: HashMap<[u8; MARK_BYTES], Bar>,
}

/// All tenants' persons.
#[derive(Default)]
pub struct Standings {
    tenants: RwLock<HashMap<TenantId, Held>>,
    persons: AtomicUsize,
}

impl std::fmt::Debug for Standings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Standings({})", self.persons.load(Ordering::Relaxed))
    }
}

record! { struct Owner { tenant_id: TenantId } }
record! { struct Row { mark: String, restricted: bool } }

impl Standings {
    /// The program's one.
    pub fn of(runtime: &Runtime) -> Arc<Self> {
        runtime.kept(|_| Self::default())
    }

    /// Reads everybody's, at the start.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(runtime: &Runtime) -> Result<()> {
        let mut tx = runtime.db.read(Tenancy::Every).await?;
        let owners: Vec<Owner> = tx
            .all(
                sql!("select tenant_id from privacy_tenant /* every tenant: the gates serve all */"),
                args![],
            )
            .await?;
        drop(tx);
        for owner in owners {
            Self::changed(runtime, owner.tenant_id).await?;
        }
        Ok(())
    }

    /// Reads a tenant's again; called after a committed change.
    ///
    /// # Errors
    /// When the database does not answer; the former ones stay in force.
    pub async fn changed(runtime: &Runtime, tenant: TenantId) -> Result<()> {
        let Some(blind) = known_blind(runtime, tenant).await? else {
            Self::of(runtime).hold(tenant, None);
            return Ok(());
        };
        let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
        let rows: Vec<Row> = tx
            .all(
                sql!(
                    "select m.mark, (p.restricted_at is not null) as restricted from person p \
                     join person_mark m on m.tenant_id = p.tenant_id and m.person_id = p.id \
                     where p.tenant_id = $1 and (p.restricted_at is not null or p.objected_at is not null) \
                     union select mark, false as restricted from tombstone where tenant_id = $1 and objected limit $2"
                ),
                args![tenant, PERSONS_MAX as i64],
            )
            .await?;
        drop(tx);
        let mut marks = HashMap::with_capacity(rows.len());
        for row in rows {
            let octets = BASE64.decode(&row.mark).ok().and_then(|octets| octets.try_into().ok());
            let Some(mark) = octets else { continue };
            let bar = if row.restricted { Bar::Restricted } else { Bar::Objected };
            let held = marks.entry(mark).or_insert(bar);
            if bar == Bar::Restricted {
                *held = bar;
            }
        }
        Self::of(runtime).hold(tenant, (!marks.is_empty()).then_some(Held { blind, marks }));
        Ok(())
    }

    fn hold(&self, tenant: TenantId, held: Option<Held>) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        match held {
            Some(held) => tenants.insert(tenant, held),
            None => tenants.remove(&tenant),
        };
        let persons = tenants.values().map(|held| held.marks.len()).sum();
        self.persons.store(persons, Ordering::Release);
    }

    /// What stands against a message to a phone: its digits without `+`.
    pub fn bar(&self, tenant: TenantId, phone: &str) -> Option<Bar> {
        if self.persons.load(Ordering::Acquire) == 0 {
            return None;
        }
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let held = tenants.get(&tenant)?;
        held.marks.get(&held.blind.mark(By::Phone, phone)).copied()
    }
}
