//! What every answer and every request goes through: headers that harden the browser, and the limits.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::csrf::CsrfLayer;
use types::{Code, Error};

use crate::access::{App, ClientAddress, is_fragment};
use crate::problem::{PageProblem, Problem};
use crate::{idempotency, observe, rate};

/// No inline script or style anywhere, nothing from elsewhere, no framing (CSP Level 3).
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What pages of other origins may use; the console's own pages are nobody else's.
const OPEN_TO_PAGES: [&str; 4] = ["/api/", "/openapi.json", "/oauth/", "/.well-known/"];

/// Nothing of the machine but what a security key needs; a page that calls will ask for the microphone itself.
const PERMISSIONS_POLICY: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-get=(self), publickey-credentials-create=(self)";

/// A browser that has been here once asks over TLS for a year (HSTS, RFC 6797). Said only where this port itself speaks TLS:
/// behind a proxy it is the proxy's to say.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Puts the limits and the hardening around all routes.
pub fn around(router: Router, app: &App) -> Router {
    let limits = &app.runtime.config.http;
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(app.clone(), idempotency::mark))
        .layer(middleware::from_fn(lead_to_proof))
        .layer(middleware::from_fn_with_state(app.clone(), without_session))
        .layer(csrf(&limits.cors_origins))
        .layer(cors(&limits.cors_origins))
        .layer(middleware::map_response(explain_cross_site))
        .layer(DefaultBodyLimit::max(limits.body_bytes_max))
        .layer(tower_http::limit::RequestBodyLimitLayer::new(limits.body_bytes_max))
        .layer(middleware::from_fn_with_state(Duration::from_millis(limits.request_timeout_ms), in_time))
        .layer(CatchPanicLayer::custom(|_| Problem(Error::internal("a handler panicked")).into_response()))
        .layer(middleware::from_fn_with_state(app.clone(), rate::from_address))
        .layer(middleware::map_response_with_state(limits.tls.is_on(), harden))
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
}

/// Lets pages of the configured origins use the API: with a key that they show, never with somebody's session
/// ([Fetch standard](https://fetch.spec.whatwg.org/#http-cors-protocol)).
fn cors(origins: &[String]) -> CorsLayer {
    const ASKED: [HeaderName; 4] = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        HeaderName::from_static("idempotency-key"),
    ];
    const SHOWN: [HeaderName; 5] = [
        header::ETAG,
        header::RETRY_AFTER,
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("ratelimit"),
        HeaderName::from_static("ratelimit-policy"),
    ];
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let listed = move |origin: &HeaderValue, request: &Parts| {
        OPEN_TO_PAGES.iter().any(|path| request.uri.path().starts_with(path)) && origins.contains(origin)
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(listed))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(ASKED)
        .expose_headers(SHOWN)
        .max_age(Duration::from_secs(600))
}

/// Refuses writes from other sites, but for the origins that may use the API: what they send loses its session before it
/// is looked at.
fn csrf(origins: &[String]) -> CsrfLayer {
    origins.iter().fold(CsrfLayer::new(), |layer, origin| {
        // The configuration was checked; an origin that the layer does not take is simply not trusted.
        layer.clone().add_trusted_origin(origin).unwrap_or(layer)
    })
}

/// Takes the cookies from a request that must not act for a person: one from a page of another origin, or from outside the
/// networks of the console.
async fn without_session(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let origins = &app.runtime.config.http.cors_origins;
    if comes_from_elsewhere(request.headers(), origins) || !may_see_the_console(&app, &request) {
        request.headers_mut().remove(header::COOKIE);
    }
    next.run(request).await
}

fn comes_from_elsewhere(headers: &HeaderMap, origins: &[String]) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let listed = text(header::ORIGIN).is_some_and(|from| origins.iter().any(|origin| origin == from));
    listed && text(HeaderName::from_static("sec-fetch-site")) != Some("same-origin")
}

fn may_see_the_console(app: &App, request: &Request) -> bool {
    let networks = &app.runtime.config.http.console_networks;
    match request.extensions().get::<ClientAddress>() {
        Some(ClientAddress(from)) => {
            from.is_loopback() || networks.iter().any(|network| network.contains(*from))
        }
        // Nobody knows from where: only where nobody is asked.
        None => networks.iter().any(|network| network.to_string().ends_with("/0")),
    }
}

/// Keeps the console's pages for the networks that the configuration names, and their forms for whom they were shown to.
pub fn console(pages: Router, app: &App) -> Router {
    pages
        .layer(middleware::from_fn_with_state(app.clone(), crate::marker::read))
        .layer(middleware::from_fn_with_state(app.clone(), from_console_networks))
}

async fn from_console_networks(State(app): State<App>, request: Request, next: Next) -> Response {
    if may_see_the_console(&app, &request) {
        return next.run(request).await;
    }
    let error = Error::new(Code::NetworkNotAllowed, "the console is not open to your network")
        .hint("an administrator can add it to console_networks in the section http of the configuration");
    PageProblem(error).into_response()
}

async fn harden(State(tls): State<bool>, mut response: Response) -> Response {
    const HEADERS: &[(&str, &str)] = &[
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", PERMISSIONS_POLICY),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    if tls {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    response
}

/// A request that takes too long is given up. Streams have answered by then and go on.
async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem(Error::new(Code::RequestTimeout, "the request took too long")).into_response(),
    }
}

/// Marks an answer to a person who must prove again who they are.
#[derive(Clone, Copy)]
struct ProofWanted;

/// The answer to a person who must prove again who they are; where they came from is filled in around it.
pub(crate) fn proof_wanted() -> Response {
    let mut response = StatusCode::FORBIDDEN.into_response();
    response.extensions_mut().insert(ProofWanted);
    response
}

/// Leads whoever must prove again who they are to the page for it, and from there back to the page that they were on: a form
/// is sent again by its person and not by us.
async fn lead_to_proof(request: Request, next: Next) -> Response {
    if is_api(&request) {
        return next.run(request).await;
    }
    let (own, fragment) = (request.method() == Method::GET, is_fragment(request.headers()));
    let path = request.uri().path_and_query().map(|path| path.as_str().to_owned());
    // Browsers send our own pages' addresses to us whole (`referrer-policy: same-origin`).
    let page = request.headers().get(header::REFERER).and_then(|page| page.to_str().ok()).map(inside);
    let response = next.run(request).await;
    if response.extensions().get::<ProofWanted>().is_none() {
        return response;
    }
    let back = if own && !fragment { path } else { page.unwrap_or_default() };
    let back = back.unwrap_or_else(|| "/".to_owned());
    let target = format!("/step-up?{}", serde_urlencoded::to_string([("back", back)]).unwrap_or_default());
    if fragment {
        return (StatusCode::FORBIDDEN, [("HX-Redirect", target)]).into_response();
    }
    Redirect::to(&target).into_response()
}

/// The path and query of an address of ours.
fn inside(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    rest.find('/').map(|at| rest[at..].to_owned())
}

/// The layer that refuses cross-site writes answers in plain text; say it in our own form.
async fn explain_cross_site(response: Response) -> Response {
    if response.extensions().get::<tower_http::csrf::ProtectionError>().is_some() {
        return Problem(Error::new(Code::CrossSite, "the request came from another site")).into_response();
    }
    response
}

async fn no_such_path(request: Request) -> Response {
    let error = Error::new(Code::NotFound, format!("there is nothing at {}", request.uri().path()));
    if is_api(&request) { Problem(error).into_response() } else { PageProblem(error).into_response() }
}

async fn no_such_method(method: Method, request: Request) -> Response {
    let error = Error::new(Code::MethodNotAllowed, format!("{} takes no {method}", request.uri().path()));
    if is_api(&request) { Problem(error).into_response() } else { PageProblem(error).into_response() }
}

fn is_api(request: &Request) -> bool {
    request.uri().path().starts_with("/api/")
}
