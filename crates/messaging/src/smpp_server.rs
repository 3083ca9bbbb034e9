//! Customers' systems bind to us.

use types::AccountId;

use crate::engine::Bound;

/// The sessions that are bound.
#[derive(Debug, Default)]
pub struct Sessions {}

impl Sessions {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends an account's sessions.
    pub fn end(&self, _account: AccountId) {}

    /// An account's sessions.
    pub fn of(&self, _account: AccountId) -> Vec<Bound> {
        Vec::new()
    }
}
