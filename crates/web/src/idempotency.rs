//! `Idempotency-Key` on every write.
//!
//! The layer reads the body (which is bounded) and marks the request with its key and a hash; the
//! [`Writer`](crate::access::Writer) extractor answers a repetition; the operation keeps its answer in its own
//! transaction. So a crash between the change and the answer cannot make a repetition happen twice.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use types::{Code, Error};

use crate::access::App;
use crate::problem::Problem;

/// The header (draft-ietf-httpapi-idempotency-key-header).
const HEADER: &str = "Idempotency-Key";
/// The longest key.
const KEY_CHARS_MAX: usize = 128;

/// A request's key and the hash of what it asks.
#[derive(Debug, Clone)]
pub struct PresentedKey {
    /// The key.
    pub key: String,
    /// SHA-256 of method, path and body, in hex.
    pub request_hash: String,
}

/// Marks keyed writes.
pub async fn mark(State(app): State<App>, request: Request, next: Next) -> Response {
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let Some(key) = request.headers().get(HEADER).filter(|_| writes).cloned() else {
        return next.run(request).await;
    };
    let key = match key.to_str() {
        Ok(key) if (1..=KEY_CHARS_MAX).contains(&key.len()) => key.to_owned(),
        _ => {
            return Problem(
                Error::new(
                    Code::InvalidValue,
                    format!("an Idempotency-Key has 1 to {KEY_CHARS_MAX} visible ASCII characters"),
                )
                .at(HEADER),
            )
            .into_response();
        }
    };
    let (mut parts, body) = request.into_parts();
    let limit = app.runtime.config.http.body_bytes_max;
    let Ok(body) = axum::body::to_bytes(body, limit).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, Problem(crate::body::too_large(limit))).into_response();
    };
    let mut hash = Sha256::new();
    hash.update(parts.method.as_str());
    hash.update(b" ");
    hash.update(parts.uri.path());
    hash.update(b"\n");
    hash.update(&body);
    let request_hash = hash.finalize().iter().map(|octet| format!("{octet:02x}")).collect();
    parts.extensions.insert(PresentedKey { key, request_hash });
    next.run(Request::from_parts(parts, Body::from(body))).await
}
