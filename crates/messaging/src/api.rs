//! The routers' state, and what the JSON handlers of this crate have in common.

use axum::Router;
use axum::extract::FromRef;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use types::{Code, Error, Result};
use web::{Answer, App};

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

/// A record's answer with its revision as a strong entity tag (RFC 9110 §8.8.3).
pub(crate) struct Tagged<const STATUS: u16, T> {
    /// The record.
    pub(crate) answer: T,
    /// Its revision.
    pub(crate) revision: i64,
}

impl<const STATUS: u16, T: Serialize> IntoResponse for Tagged<STATUS, T> {
    fn into_response(self) -> Response {
        ([(header::ETAG, format!("\"{}\"", self.revision))], Answer::<STATUS, T>(self.answer)).into_response()
    }
}

/// The revision that a change was decided on: the body's, or `If-Match` (RFC 9110 §13.1.1) as an answer's `ETag` gave it.
pub(crate) fn decided_on(headers: &HeaderMap, in_body: Option<i64>) -> Result<Option<i64>> {
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

/// Lets the engine follow a committed change. What it could not do now it does at its next look; the change stands.
pub(crate) async fn follow(told: impl Future<Output = Result<()>>) {
    if let Err(error) = told.await {
        tracing::warn!(?error, "the engine could not follow a change at once");
    }
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
