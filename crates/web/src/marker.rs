//! Whom a form was shown to. Who acts as another user may have forms of both in two tabs of one browser; each is carried out only as
//! whom it was shown to. The mark is no secret and proves nothing: that a request comes from our own pages is another matter.

use std::cell::OnceCell;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::App;
use crate::problem::PageProblem;
use crate::ui::form::{CSRF_FIELD, CSRF_HEADER};

tokio::task_local! {
    /// Who sees the page that is being made; set by the extractor that recognises them.
    static SEEN_BY: OnceCell<String>;
}

/// Whom a form that was sent had been shown to, as the form says.
#[derive(Debug, Clone)]
struct ShownTo(String);

/// Reads whom a form was shown to, and lets the page that answers mark its own forms.
pub(crate) async fn read(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let request = match is_form && !request.method().is_safe() {
        false => request,
        true => {
            let (mut parts, body) = request.into_parts();
            let limit = app.runtime.config.http.body_bytes_max;
            let Ok(body) = axum::body::to_bytes(body, limit).await else {
                return (StatusCode::PAYLOAD_TOO_LARGE, PageProblem(crate::body::too_large(limit)))
                    .into_response();
            };
            let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).unwrap_or_default();
            let shown = fields.into_iter().find(|(name, value)| name == CSRF_FIELD && !value.is_empty());
            if let Some((_, shown)) = shown {
                parts.extensions.insert(ShownTo(shown));
            }
            Request::from_parts(parts, Body::from(body))
        }
    };
    SEEN_BY.scope(OnceCell::new(), next.run(request)).await
}

/// Marks what is made from now on for this request as shown to somebody.
pub(crate) fn set(who: &str) {
    // Outside of the console's pages nothing is marked.
    let _ = SEEN_BY.try_with(|seen| seen.set(who.to_owned()));
}

/// Who sees the page that is being made; nobody where that is not known.
pub(crate) fn now() -> String {
    SEEN_BY.try_with(|seen| seen.get().cloned()).ok().flatten().unwrap_or_default()
}

/// Whether a request comes from a form or a page that was shown to somebody, or to somebody else; nothing where it does not say.
pub(crate) fn was_shown_to(parts: &Parts, who: &str) -> Option<bool> {
    let by_header = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    let shown = parts.extensions.get::<ShownTo>().map(|shown| shown.0.as_str()).or(by_header);
    shown.filter(|shown| !shown.is_empty()).map(|shown| shown == who)
}
