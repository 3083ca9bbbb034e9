//! The phones' pages.

use axum::Router;
use simulator::Smsc;
use web::App;

/// The phones' routes.
pub fn router(app: App, simulator: Smsc) -> Router {
    drop((app, simulator));
    Router::new()
}
