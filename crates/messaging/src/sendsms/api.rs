//! The door itself: a GET with its query, a form, or a body with `X-Kannel-…` headers, as Kannel's smsbox takes them.

use std::net::IpAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use connectors::http::form_fields;
use web::access::Stranger;

use super::{Asked, send};
use crate::api::Gateway;

/// The largest body.
const BODY_BYTES_MAX: usize = 64 * 1024;

async fn sendsms(State(gateway): State<Gateway>, stranger: Stranger, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large, rejected").into_response();
    };
    let mut asked = Asked::default();
    for (name, value) in form_fields(parts.uri.query().unwrap_or_default().as_bytes()) {
        asked.set(&name, value);
    }
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        for (name, value) in form_fields(&body) {
            asked.set(&name, value);
        }
    } else if !body.is_empty() {
        asked.set_headers(&parts.headers);
        if let Some((_, charset)) = content_type.split_once("charset=") {
            asked.charset = charset.trim_matches(['"', ' ']).to_owned();
        }
        if content_type.starts_with("application/octet-stream") {
            asked.coding.get_or_insert_with(|| "1".to_owned());
        }
        asked.text = body.to_vec();
    }
    let from: Option<IpAddr> = stranger.0.from.as_deref().and_then(|from| from.parse().ok());
    let encrypted = gateway.engine.runtime().config.http.tls.is_on();
    let said = send(&gateway.engine, &asked, from, encrypted).await;
    let status = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, [(header::CONTENT_TYPE, "text/html")], said.body).into_response();
    if let Some(code) = said.code {
        let name = HeaderName::from_static("x-switchboard-code");
        response.headers_mut().insert(name, HeaderValue::from_static(code.as_str()));
    }
    response
}

impl Asked {
    fn set(&mut self, name: &str, value: Vec<u8>) {
        let text = || String::from_utf8_lossy(&value).into_owned();
        match name {
            "username" | "user" => self.username = text(),
            "password" | "pass" => self.password = text(),
            "from" => self.from = text(),
            "to" => self.to = text(),
            "text" => self.text = value,
            "charset" => self.charset = text(),
            "coding" => self.coding = Some(text()),
            "udh" => self.udh = value,
            "mclass" | "flash" => self.mclass = Some(text()),
            "priority" => self.priority = Some(text()),
            "pid" => self.pid = Some(text()),
            "validity" => self.validity = Some(text()),
            "deferred" => self.deferred = Some(text()),
            "dlr-mask" | "dlrmask" => self.dlr_mask = Some(text()),
            "dlr-url" | "dlrurl" => self.dlr_url = text(),
            // What Kannel knows and we decide otherwise, and what nobody knows.
            _ => {}
        }
    }

    /// The same by `X-Kannel-…` headers; the user data header is hexadecimal there.
    fn set_headers(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            let Some(name) = name.as_str().strip_prefix("x-kannel-") else { continue };
            let value = value.as_bytes().trim_ascii().to_vec();
            if name == "udh" {
                self.udh = crate::journal::unhex(&String::from_utf8_lossy(&value));
            } else {
                self.set(name, value);
            }
        }
    }
}

/// The door.
pub(crate) fn door() -> Router<Gateway> {
    Router::new().route("/cgi-bin/sendsms", get(sendsms).post(sendsms))
}
