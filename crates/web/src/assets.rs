//! The console's static files: embedded in the binary, served under names that carry their hash.
//!
//! A file's address is `/assets/<hash>/<name>`, where the hash is of the file itself: a changed file is a new
//! address, so every answer may be kept for ever (RFC 8246, `immutable`). An old hash is answered with 404
//! rather than with another version's bytes.

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::fmt::Write as _;

/// The files of `assets/`.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/assets"]
struct Files;

/// Hexadecimal digits of SHA-256 that an address carries: 64 bits are enough to tell versions apart.
const HASH_DIGITS: usize = 16;

/// The address of an asset, such as `/assets/0f3a…/switchboard.css`.
///
/// An asset that does not exist gets an address that answers 404; a test keeps that from happening for the
/// names that components use.
#[must_use]
pub fn url(name: &str) -> String {
    let hash = Files::get(name).map_or_else(|| "missing".to_owned(), |file| hash(&file));
    format!("/assets/{hash}/{name}")
}

/// The text of an asset, for tools that write a page to a file. `None` if absent or not UTF-8.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    String::from_utf8(Files::get(name)?.data.into_owned()).ok()
}

/// Whether an asset of this name is embedded.
#[must_use]
pub fn exists(name: &str) -> bool {
    Files::get(name).is_some()
}

/// Serves `/assets/{hash}/{name}` (GET and HEAD).
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{hash}/{name}", get(serve))
}

async fn serve(Path((asked, name)): Path<(String, String)>) -> Response {
    match Files::get(&name) {
        Some(file) if hash(&file) == asked => (
            [
                (header::CONTENT_TYPE, content_type(&name)),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ],
            file.data.into_owned(),
        )
            .into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn hash(file: &EmbeddedFile) -> String {
    let mut hex = String::with_capacity(HASH_DIGITS);
    for byte in &file.metadata.sha256_hash()[..HASH_DIGITS / 2] {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;

    async fn ask(path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).expect("a path");
        router::<()>().oneshot(request).await.expect("infallible")
    }

    #[tokio::test]
    async fn an_asset_may_be_kept_for_ever() {
        let answer = ask(&url("switchboard.css")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    }

    #[tokio::test]
    async fn an_old_hash_and_an_unknown_name_are_not_found() {
        assert_eq!(ask("/assets/0000000000000000/switchboard.css").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(ask(&url("absent.css")).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(ask("/assets/missing/..%2FCargo.toml").await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn an_address_carries_the_hash_of_the_file() {
        let address = url("switchboard.js");
        let hash = address.split('/').nth(2).expect("a hash");
        assert_eq!(hash.len(), HASH_DIGITS);
        assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
