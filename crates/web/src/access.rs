//! Who asks: the extractors that turn a request into a [`Scope`].
//!
//! The extractor in a handler's signature says what the handler is: [`Caller`] reads over the API, [`Writer`] changes
//! over the API (and honours `Idempotency-Key`), [`Visitor`] is a person in the console.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use futures::future::BoxFuture;
use runtime::scope::{Keyed, kept_answer};
use runtime::{Origin, Runtime, Scope};
use types::{Code, Error, Result, Timestamp};

use crate::console::{NavEntry, Taste};
use crate::idempotency::PresentedKey;
use crate::marker;
use crate::problem::Problem;
pub use crate::rate::Rate;
use crate::{rate, reply};

/// What a request shows of itself.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<String>,
    /// The session cookie's value.
    pub cookie: Option<String>,
    /// The host that was asked, in lower case and without its port.
    pub host: Option<String>,
    /// The request's id and address.
    pub origin: Origin,
    /// The program's description of itself.
    pub agent: Option<String>,
}

/// The person behind a session, for the console's header and its habits.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// What to call them.
    pub name: String,
    /// Their e-mail address.
    pub email: String,
    /// Their tenant's name.
    pub tenant: String,
    /// The language they read: `en`, `fr`, `ar`.
    pub language: String,
    /// How their tenant looks.
    pub brand: Brand,
    /// Who acts as them, where it is not they themselves who ask.
    pub acting: Option<Acting>,
}

/// Somebody who acts as another person.
#[derive(Debug, Clone)]
pub struct Acting {
    /// What they themselves are called.
    pub by: String,
    /// Until when.
    pub until: Timestamp,
}

/// How a tenant looks.
#[derive(Debug, Clone, Default)]
pub struct Brand {
    /// Its colour, `rrggbb`.
    pub accent: Option<String>,
    /// The address of its logo.
    pub logo: Option<String>,
    /// Where its people ask for help.
    pub support: Option<String>,
}

/// Who a request comes from.
#[derive(Clone)]
pub struct Signed {
    /// What they may ask.
    pub scope: Scope,
    /// The person, where it is one.
    pub person: Option<Person>,
    /// How fast they may ask, where that is their own.
    pub rate: Option<Rate>,
}

/// Knows people and keys; implemented by `identity`.
pub trait Authenticate: Send + Sync {
    /// Who shows these credentials.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] when nobody is known by them.
    fn signed<'a>(&'a self, credentials: &'a Credentials) -> BoxFuture<'a, Result<Signed>>;
}

/// What every router's state can give.
#[derive(Clone)]
pub struct App {
    /// The runtime.
    pub runtime: Runtime,
    /// Who knows people and keys.
    pub authenticate: Arc<dyn Authenticate>,
    /// The console's navigation.
    pub nav: Arc<[NavEntry]>,
}

/// The name of the session cookie. The `__Host-` prefix would be better, but browsers take it over https alone, and
/// the first start is on http.
pub const SESSION_COOKIE: &str = "switchboard_session";

/// Where one signs out, which harms nobody: it may come from any page.
const SIGN_OUT: &str = "/sign-out";

/// The request's own id, put there by [`observe`](crate::observe::observe).
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// The client's own address, put there by [`observe`](crate::observe::observe).
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

fn credentials(parts: &Parts) -> Credentials {
    let bearer = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    Credentials {
        bearer,
        cookie: cookie(&parts.headers, SESSION_COOKIE),
        host: host(&parts.headers),
        origin: Origin {
            request_id: parts.extensions.get::<RequestId>().map(|id| id.0.clone()),
            from: parts.extensions.get::<ClientAddress>().map(|from| from.0.to_string()),
        },
        agent: parts
            .headers
            .get(header::USER_AGENT)
            .map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned()),
    }
}

/// The host that a request asks, in lower case and without its port (RFC 9110 §7.2).
pub fn host(headers: &HeaderMap) -> Option<String> {
    headers.get(header::HOST).and_then(|value| value.to_str().ok()).map(bare_host)
}

/// A host without its port, in lower case.
fn bare_host(host: &str) -> String {
    let bare = match host.rsplit_once(':') {
        // What is left of an IPv6 address in brackets has its own colons.
        Some((bare, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => bare,
        _ => host,
    };
    bare.trim_end_matches('.').to_ascii_lowercase()
}

/// A cookie's value (RFC 6265 §5.4: the header is `name=value; name=value`).
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

/// A request's id and address, for handlers that serve people before they are known.
pub struct Stranger(pub Origin);

impl<S: Send + Sync> FromRequestParts<S> for Stranger {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(credentials(parts).origin))
    }
}

/// A program, or a person, that reads over the API.
pub struct Caller(pub Scope);

impl<S> FromRequestParts<S> for Caller
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let app = App::from_ref(state);
        let signed = app.authenticate.signed(&credentials(parts)).await;
        let signed = signed.map_err(|error| Problem(error).into_response())?;
        rate::take(&signed, &parts.extensions).map_err(IntoResponse::into_response)?;
        Ok(Self(signed.scope))
    }
}

/// A program, or a person, that changes something over the API; the answer travels with `STATUS`.
pub struct Writer<const STATUS: u16>(pub Scope);

impl<const STATUS: u16, S> FromRequestParts<S> for Writer<STATUS>
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Caller(scope) = Caller::from_request_parts(parts, state).await?;
        let Some(PresentedKey { key, request_hash }) = parts.extensions.get::<PresentedKey>().cloned() else {
            return Ok(Self(scope));
        };
        match kept_answer(&scope, &key).await.map_err(|error| Problem(error).into_response())? {
            None => Ok(Self(scope.keyed(Keyed { key, request_hash, status: STATUS }))),
            Some(kept) if kept.request_hash == request_hash => Err(reply::replayed(kept.status, kept.body)),
            Some(_) => Err(Problem(Error::new(
                Code::KeyReused,
                "this Idempotency-Key was used before, for a request with another path or body",
            ))
            .into_response()),
        }
    }
}

/// A person in the console. Somebody unknown is led to the sign-in page and back.
pub struct Visitor {
    /// What they may ask.
    pub scope: Scope,
    /// Who they are.
    pub person: Person,
    /// The path they are on, for the navigation.
    pub path: String,
    /// What their browser asks for beside the page.
    pub taste: Taste,
    pub(crate) nav: Arc<[NavEntry]>,
}

impl<S> FromRequestParts<S> for Visitor
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let app = App::from_ref(state);
        let signed = match app.authenticate.signed(&credentials(parts)).await {
            Ok(signed) => signed,
            Err(error) if error.code() == Code::Unauthenticated => return Err(to_sign_in(parts)),
            Err(error) => return Err(crate::problem::PageProblem(error).into_response()),
        };
        rate::take(&signed, &parts.extensions).map_err(IntoResponse::into_response)?;
        let path = parts.uri.path().to_owned();
        match signed {
            Signed { scope, person: Some(person), .. } => {
                let taste = Taste::of(&parts.headers);
                let who = scope.actor().to_string();
                // A form that was filled in as another user must not be sent as oneself, nor the other way round. What does not
                // say whom it was shown to goes by the browser's last page.
                let shown = marker::was_shown_to(parts, &who);
                let stale = !shown.unwrap_or(!taste.acted || person.acting.is_some());
                if stale && !parts.method.is_safe() && path != SIGN_OUT {
                    return Err(no_longer(&parts.headers, person.acting.is_some()));
                }
                marker::set(&who);
                Ok(Self { scope, person, path, taste, nav: app.nav })
            }
            Signed { person: None, .. } => Err(to_sign_in(parts)),
        }
    }
}

/// To the home page, for whoever wanted to do something as somebody who they are not now.
fn no_longer(headers: &HeaderMap, acting: bool) -> Response {
    let said = match acting {
        true => {
            "You act as another user now, and that page was shown to you as somebody else. Nothing was done."
        }
        false => "The time in which you acted as another user is over. Nothing was done.",
    };
    match is_fragment(headers) {
        true => ([("HX-Redirect", "/")], axum::http::StatusCode::CONFLICT).into_response(),
        false => crate::console::done("/", said),
    }
}

/// To the sign-in page, remembering where the person wanted to go. A fragment's request is answered with a header
/// that makes htmx load the whole page.
fn to_sign_in(parts: &Parts) -> Response {
    let back = if parts.method == axum::http::Method::GET && !is_fragment(&parts.headers) {
        parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned()
    } else {
        "/".to_owned()
    };
    let query = serde_urlencoded::to_string([("back", back)]).unwrap_or_default();
    let target = format!("/sign-in?{query}");
    if is_fragment(&parts.headers) {
        return ([("HX-Redirect", target)], axum::http::StatusCode::UNAUTHORIZED).into_response();
    }
    Redirect::to(&target).into_response()
}

/// Whether htmx asks for a part of a page.
pub fn is_fragment(headers: &HeaderMap) -> bool {
    headers.contains_key("HX-Request")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_without_its_port() {
        for (host, bare) in [
            ("Example.COM", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.:80", "example.com"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(bare_host(host), bare);
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; switchboard_session=abc=; b=2".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION_COOKIE).as_deref(), Some("abc="));
        assert_eq!(cookie(&headers, "session"), None);
    }
}
