//! The routers' state, and what the JSON handlers of this crate have in common.

use axum::Router;
use axum::extract::FromRef;
use types::Result;
use web::App;
pub(crate) use web::reply::{Tagged, decided_on};

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

/// Doors beside the API: hooks of connections over HTTP, and `/cgi-bin/sendsms` where it is open.
pub fn doors(sendsms: bool) -> Router<Gateway> {
    let doors = crate::connection::hook::api::doors();
    if sendsms { doors.merge(crate::sendsms::api::door()) } else { doors }
}

/// Lets the engine follow a committed change. What it could not do now it does at its next look; the change stands.
pub(crate) async fn follow(told: impl Future<Output = Result<()>>) {
    if let Err(error) = told.await {
        tracing::warn!(?error, "the engine could not follow a change at once");
    }
}
