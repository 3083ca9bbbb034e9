//! Refusals on the wire: problem+json (RFC 9457) for programs, a page for people.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use types::{Code, Error};

use crate::ui::layout::{self, Dir, ErrorPage, Theme};

/// A refusal for a program.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// The body of a refusal (RFC 9457 §3), with our stable code beside the standard members.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// The page that documents this code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// What was wrong this time.
    pub detail: String,
    /// Where: a field's name or a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What to do.
    pub hint: String,
}

impl ProblemBody {
    /// The body for a refusal.
    pub fn of(error: &Error) -> Self {
        let code = error.code();
        Self {
            kind: format!("/docs/errors#{}", code.as_str()),
            title: code.title(),
            status: code.status(),
            code: code.as_str(),
            detail: error.message().to_owned(),
            at: error.place().map(str::to_owned),
            hint: error.advice().to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(error) = self;
        note(&error);
        let body = serde_json::to_string(&ProblemBody::of(&error)).unwrap_or_default();
        let mut response =
            (status(&error), [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        // RFC 6750 §3.
        let challenge = match error.code() {
            Code::Unauthenticated => Some("Bearer"),
            Code::TokenExpired => {
                Some("Bearer error=\"invalid_token\", error_description=\"the access token has expired\"")
            }
            _ => None,
        };
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        with_retry_after(&error, response)
    }
}

/// A refusal for a person.
#[derive(Debug)]
pub struct PageProblem(pub Error);

impl From<Error> for PageProblem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        let Self(error) = self;
        note(&error);
        let code = error.code();
        if code == Code::StepUpRequired {
            return crate::shield::proof_wanted();
        }
        let page = layout::error_page(&ErrorPage {
            status: code.status(),
            title: code.title(),
            detail: error.message(),
            hint: error.advice(),
            request_id: &crate::observe::request_id(),
            way_out: Some(("Home", "/")),
            lang: "en",
            dir: Dir::Ltr,
            theme: Theme::Auto,
        });
        let response = (status(&error), axum::response::Html(page.into_string())).into_response();
        with_retry_after(&error, response)
    }
}

fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn with_retry_after(error: &Error, mut response: Response) -> Response {
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Our own faults go to the log, once, here; a caller's mistakes are theirs to read.
fn note(error: &Error) {
    if error.code().status() >= 500 {
        tracing::error!(error = ?error, "a request failed");
    }
    metrics::counter!("switchboard_refusals_total", "code" => error.code().as_str()).increment(1);
}
