//! Every request gets an id, a line in the log and its place in the metrics.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use runtime::sighting::{self, Door};
use types::kind;

use crate::access::{App, ClientAddress, RequestId};
use crate::{forwarded, rate};

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request that is being served, for a page that must name it; empty outside a request.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Marks, times and counts a request. A caller's own `X-Request-Id` is kept when it is short and plain.
pub async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let given = request.headers().get("X-Request-Id").and_then(|value| value.to_str().ok());
    let id = given
        .filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_graphic()))
        .map_or_else(|| format!("req_{}", app.runtime.ids.next::<kind::Job>().bare()), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let trusted = &app.runtime.config.http.trusted_proxies;
        let from = ClientAddress(forwarded::client(peer.ip(), request.headers(), trusted));
        request.extensions_mut().insert(from);
    }
    let shown = rate::Shown::default();
    request.extensions_mut().insert(shown.clone());
    let from = request.extensions().get::<ClientAddress>().copied();
    // HTTP/2 has no Host header of its own (RFC 9113 §8.3.1); whoever reads it finds the same in both.
    if !request.headers().contains_key(header::HOST)
        && let Some(Ok(host)) = request.uri().authority().map(|asked| HeaderValue::from_str(asked.as_str()))
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let method = request.method().clone();
    // The pattern, not the path: ids in a label would make a metric for each message.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched".to_owned(), |path| path.as_str().to_owned());
    let began = Instant::now();
    let mut response = REQUEST_ID.scope(id.clone(), next.run(request)).await;
    let took = began.elapsed();
    let status = response.status().as_u16();
    if let (401 | 403 | 404, Some(ClientAddress(from))) = (status, from) {
        sighting::turned_away(&app.runtime, Door::Http, from);
    }
    metrics::counter!("switchboard_http_requests_total", "method" => method.to_string(), "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("switchboard_http_seconds", "route" => route.clone()).record(took.as_secs_f64());
    tracing::debug!(request_id = id, %method, route, status, took_us = took.as_micros() as u64, "request");
    shown.put_into(&mut response);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("X-Request-Id", value);
    }
    response
}
