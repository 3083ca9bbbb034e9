//! What is seen at the doors and may be the beginning of an attack: counted in bounded memory where it happens, and taken away
//! by whoever judges it. Noting something costs a look into a map; nothing waits for a database, and nothing is noted of what
//! goes well but the rows that people and programs read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use types::TenantId;

use crate::{Actor, Runtime, Scope};

/// Different things that are held until they are taken away; what finds no place is not counted.
const SIGHTINGS_MAX: usize = 20_000;
/// Letters that are kept of an account's name.
const ACCOUNT_CHARS_MAX: usize = 64;

/// A way into the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// The API and the console.
    Http,
    /// Customers' systems over SMPP.
    Smpp,
    /// Customers' systems over UCP/EMI.
    Ucp,
    /// Mail.
    Smtp,
}

impl Door {
    /// What people call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Smpp => "SMPP",
            Self::Ucp => "UCP",
            Self::Smtp => "SMTP",
        }
    }
}

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sighting {
    /// A stranger was turned away: an answer of 401, 403 or 404 over HTTP, a name or a protocol that nobody knows elsewhere.
    TurnedAway {
        /// Where.
        door: Door,
        /// From which address.
        from: IpAddr,
    },
    /// A customer's system showed a wrong password for an account that exists.
    Guessed {
        /// Where.
        door: Door,
        /// Whose account.
        tenant: TenantId,
        /// Its name.
        account: String,
        /// From which address.
        from: IpAddr,
    },
    /// A person's sign-in was refused.
    SignInRefused {
        /// Whose person; nobody's where the address is not known.
        tenant: Option<TenantId>,
        /// A hash of the address that was tried.
        who: u64,
        /// From which network address.
        from: IpAddr,
    },
    /// Rows were read.
    Read {
        /// Whose.
        tenant: TenantId,
        /// By whom, as the audit trail names them.
        actor: String,
        /// What, by name: `messages`.
        what: &'static str,
    },
}

/// What was seen and not taken away yet.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<HashMap<Sighting, u64>>);

impl Sightings {
    /// Counts something so many times.
    pub fn note(&self, sighting: Sighting, times: u64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = seen.get_mut(&sighting) {
            *counted = counted.saturating_add(times);
        } else if seen.len() < SIGHTINGS_MAX && times > 0 {
            seen.insert(sighting, times);
        } else {
            metrics::counter!("switchboard_sightings_lost_total").increment(1);
        }
    }

    /// Takes away all that was counted.
    pub fn take(&self) -> Vec<(Sighting, u64)> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        taken.into_iter().collect()
    }
}

fn sightings(runtime: &Runtime) -> std::sync::Arc<Sightings> {
    runtime.kept(|_| Sightings::default())
}

/// Counts something that was seen once.
pub fn note(runtime: &Runtime, sighting: Sighting) {
    sightings(runtime).note(sighting, 1);
}

/// Notes a stranger who was turned away.
pub fn turned_away(runtime: &Runtime, door: Door, from: IpAddr) {
    note(runtime, Sighting::TurnedAway { door, from });
}

/// Notes a wrong password for an account.
pub fn guessed(runtime: &Runtime, door: Door, tenant: TenantId, account: &str, from: IpAddr) {
    let account = account.chars().take(ACCOUNT_CHARS_MAX).collect();
    note(runtime, Sighting::Guessed { door, tenant, account, from });
}

/// Notes rows that somebody has read. What the program reads for itself is nobody's reading.
pub fn read(scope: &Scope, what: &'static str, rows: usize) {
    if rows == 0 || matches!(scope.actor(), Actor::System(_)) {
        return;
    }
    let sighting = Sighting::Read { tenant: scope.tenant(), actor: scope.actor().to_string(), what };
    sightings(scope.runtime()).note(sighting, rows as u64);
}

/// Takes away all that was counted.
pub fn take(runtime: &Runtime) -> Vec<(Sighting, u64)> {
    sightings(runtime).take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_counted_once_and_within_bounds() {
        let seen = Sightings::default();
        let from = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        let away = |n| Sighting::TurnedAway { door: Door::Http, from: from(n) };
        seen.note(away(0), 1);
        seen.note(away(0), 2);
        assert_eq!(seen.take(), [(away(0), 3)]);
        assert!(seen.take().is_empty());
        for n in 0..SIGHTINGS_MAX + 5 {
            seen.note(away(n), 1);
        }
        assert_eq!(seen.take().len(), SIGHTINGS_MAX);
    }
}
