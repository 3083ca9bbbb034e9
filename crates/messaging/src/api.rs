//! The routers' state.

use axum::extract::FromRef;
use web::App;

use crate::engine::Engine;

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
