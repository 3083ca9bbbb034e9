//! The endpoints of OAuth 2.0. Their form is the standards', not our API's.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runtime::Origin;
use serde::Deserialize;
use serde_json::json;
use web::access::{Stranger, host};
use web::{App, Form, Problem};

use super::{Presented, Refusal, TokenRequest};
use crate::domain;
use crate::token::keys;

/// A refusal as applications read it (RFC 6749 §5.2).
struct Told(Refusal);

impl From<Refusal> for Told {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let (error, description) = match self.0 {
            Refusal::Ours(error) => return Problem(error).into_response(),
            Refusal::Protocol(error, description) => (error, description),
        };
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "access_denied" => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = axum::Json(json!({ "error": error, "error_description": description }));
        let mut response = (status, unkept(), body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"Switchboard\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// No cache keeps what has a token in it (RFC 6749 §5.1).
fn unkept() -> [(header::HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}

/// What the application shows: in the header, each part form-encoded (RFC 6749 §2.3.1), or in the body.
fn presented(
    app: &App,
    headers: &HeaderMap,
    origin: Origin,
    id: Option<String>,
    secret: Option<String>,
) -> Result<Presented, Told> {
    let house = domain::house(&app.runtime, host(headers).as_deref()).map(|house| house.tenant);
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let Some((_, text)) = basic else { return Ok(Presented { id, secret, origin, house }) };
    let unreadable =
        || Told(Refusal::Protocol("invalid_client", "the Authorization header cannot be read".to_owned()));
    let octets = STANDARD.decode(text.trim()).map_err(|_| unreadable())?;
    let text = String::from_utf8(octets).map_err(|_| unreadable())?;
    let (name, password) = text.split_once(':').ok_or_else(unreadable)?;
    let decoded = |part: &str| {
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(&format!("v={part}")).unwrap_or_default();
        pairs.into_iter().next().map(|(_, value)| value).unwrap_or_default()
    };
    let name = decoded(name);
    if secret.is_some() || id.is_some_and(|id| id != name) {
        let twice = "the application says who it is in the header and in the body";
        return Err(Told(Refusal::Protocol("invalid_request", twice.to_owned())));
    }
    Ok(Presented { id: Some(name), secret: Some(decoded(password)), origin, house })
}

async fn token(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Result<Response, Told> {
    let (id, secret) = (request.client_id.clone(), request.client_secret.clone());
    let presented = presented(&app, &headers, origin, id, secret)?;
    let tokens = super::tokens(&app.runtime, &presented, &request).await?;
    Ok((unkept(), axum::Json(tokens)).into_response())
}

/// A token to be revoked or looked at. The hint about its kind is not needed: tokens say what they are.
#[derive(Debug, Deserialize)]
struct OneToken {
    token: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

impl OneToken {
    fn text(&self) -> Result<&str, Told> {
        let missing = || Told(Refusal::Protocol("invalid_request", "token is missing".to_owned()));
        self.token.as_deref().ok_or_else(missing)
    }
}

async fn revoke(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(request): Form<OneToken>,
) -> Result<Response, Told> {
    let (id, secret) = (request.client_id.clone(), request.client_secret.clone());
    let presented = presented(&app, &headers, origin, id, secret)?;
    super::revoke(&app.runtime, &presented, request.text()?).await?;
    Ok((unkept(), StatusCode::OK).into_response())
}

async fn introspect(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(request): Form<OneToken>,
) -> Result<Response, Told> {
    let (id, secret) = (request.client_id.clone(), request.client_secret.clone());
    let presented = presented(&app, &headers, origin, id, secret)?;
    let told = super::introspect(&app.runtime, &presented, request.text()?).await?;
    Ok((unkept(), axum::Json(told)).into_response())
}

async fn metadata(State(app): State<App>) -> Response {
    axum::Json(super::metadata(&app.runtime)).into_response()
}

async fn key_set(State(app): State<App>) -> Result<Response, Problem> {
    let keys = keys::published(&app.runtime).await?;
    let kept = format!("public, max-age={}", keys::CACHED_S);
    Ok(([(header::CACHE_CONTROL, kept)], axum::Json(keys)).into_response())
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
        .route("/oauth/introspect", post(introspect))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/.well-known/jwks.json", get(key_set))
}
