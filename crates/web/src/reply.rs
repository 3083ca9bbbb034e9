//! Answers.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use types::{Code, Error, Result};

use crate::problem::Problem;

/// A JSON answer with its status.
pub struct Answer<const STATUS: u16, T>(pub T);

impl<const STATUS: u16, T: Serialize> IntoResponse for Answer<STATUS, T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(body) => json(STATUS, body),
            Err(error) => Problem(Error::internal(error)).into_response(),
        }
    }
}

/// A record's answer with its revision as a strong entity tag (RFC 9110 §8.8.3).
pub struct Tagged<const STATUS: u16, T> {
    /// The record.
    pub answer: T,
    /// Its revision.
    pub revision: i64,
}

impl<const STATUS: u16, T: Serialize> IntoResponse for Tagged<STATUS, T> {
    fn into_response(self) -> Response {
        ([(header::ETAG, format!("\"{}\"", self.revision))], Answer::<STATUS, T>(self.answer)).into_response()
    }
}

/// The revision that a change was decided on: the body's, or `If-Match` (RFC 9110 §13.1.1) as an answer's `ETag` gave it.
///
/// # Errors
/// [`Code::BadRequest`] for an `If-Match` that no `ETag` of ours is.
pub fn decided_on(headers: &HeaderMap, in_body: Option<i64>) -> Result<Option<i64>> {
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(in_body) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(in_body);
    }
    let revision = tag.trim_matches('"').parse().map_err(|_| {
        Error::new(Code::BadRequest, format!("If-Match holds {tag:?}, which no ETag of ours is"))
            .at("If-Match")
    })?;
    Ok(Some(revision))
}

/// The kept answer of a keyed request, byte for byte, and a header that says so.
pub(crate) fn replayed(status: u16, body: String) -> Response {
    let mut response = json(status, body);
    response.headers_mut().insert("Idempotent-Replayed", HeaderValue::from_static("true"));
    response
}

fn json(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if status == StatusCode::NO_CONTENT {
        return status.into_response();
    }
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_comes_by_header_or_body() {
        let with = |tag: &str| HeaderMap::from_iter([(header::IF_MATCH, tag.parse().unwrap())]);
        assert_eq!(decided_on(&HeaderMap::new(), Some(3)).unwrap(), Some(3));
        assert_eq!(decided_on(&with("\"7\""), Some(3)).unwrap(), Some(7));
        assert_eq!(decided_on(&with("*"), None).unwrap(), None);
        assert_eq!(decided_on(&with("W/\"x\""), None).unwrap_err().code(), Code::BadRequest);
    }
}
