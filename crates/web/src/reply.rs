//! Answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::Problem;

/// A JSON answer with its status.
pub struct Answer<const STATUS: u16, T>(pub T);

impl<const STATUS: u16, T: Serialize> IntoResponse for Answer<STATUS, T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(body) => json(STATUS, body),
            Err(error) => Problem(types::Error::internal(error)).into_response(),
        }
    }
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
