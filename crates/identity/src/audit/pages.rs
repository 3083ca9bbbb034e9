//! The console's pages.

use axum::Router;
use web::App;

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
}
