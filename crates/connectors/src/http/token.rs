//! Tokens for client credentials (RFC 6749 §4.4): one for the whole connection, had before it is needed, and had anew before
//! its end or when the provider does not know it any more.

use std::time::Duration;

use runtime::outbound::{Method, Outbound, OutboundError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::description::Auth;
use super::sign::base64;
use super::template::percent;
use super::values::Fixed;

/// How long before its end a token is had anew.
const EARLY: Duration = Duration::from_secs(60);
/// How long a token is used whose end is not told.
const UNTOLD: Duration = Duration::from_secs(300);
/// The longest token.
const TOKEN_CHARS_MAX: usize = 16 * 1024;

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoToken {
    pub(super) why: String,
    /// Our credentials are refused: the same question will be refused again.
    pub(super) lasting: bool,
}

#[derive(Default)]
pub(super) struct Tokens {
    kept: Mutex<Option<(String, Instant)>>,
}

impl Tokens {
    /// The token; empty where none is needed. Who comes meanwhile waits for the same one.
    pub(super) async fn get(
        &self,
        auth: &Auth,
        fixed: &Fixed,
        outbound: &Outbound,
    ) -> Result<String, NoToken> {
        let Auth::OAuth2 { token_url, scope, in_body } = auth else { return Ok(String::new()) };
        let mut kept = self.kept.lock().await;
        if let Some((token, _)) = kept.as_ref().filter(|(_, until)| Instant::now() < *until) {
            return Ok(token.clone());
        }
        let (token, lasts) = ask(token_url, scope, *in_body, fixed, outbound).await?;
        let until = Instant::now() + lasts.saturating_sub(EARLY).max(lasts / 2);
        *kept = Some((token.clone(), until));
        Ok(token)
    }

    /// Forgets a token that the provider does not know.
    pub(super) async fn forget(&self, token: &str) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|(known, _)| known == token) {
            *kept = None;
        }
    }
}

async fn ask(
    url: &str,
    scope: &str,
    in_body: bool,
    fixed: &Fixed,
    outbound: &Outbound,
) -> Result<(String, Duration), NoToken> {
    let mut body = b"grant_type=client_credentials".to_vec();
    let mut field = |name: &str, value: &str| {
        body.extend_from_slice(format!("&{name}=").as_bytes());
        percent(value.as_bytes(), &mut body);
    };
    if !scope.is_empty() {
        field("scope", scope);
    }
    if in_body {
        field("client_id", &fixed.user);
        field("client_secret", &fixed.password);
    }
    let encoded = |text: &str| {
        let mut out = Vec::new();
        percent(text.as_bytes(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    // RFC 6749 §2.3.1: both are form-encoded before they are joined.
    let pair = format!("{}:{}", encoded(&fixed.user), encoded(&fixed.password));
    let basic = format!("Basic {}", base64(pair.as_bytes()));
    let mut headers =
        vec![("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
    if !in_body {
        headers.push(("authorization", basic.as_str()));
    }
    let no = |why: String, lasting| NoToken { why, lasting };
    let answer =
        outbound.send(Method::POST, url, &headers, body.into()).await.map_err(|error: OutboundError| {
            let lasting = !error.is_temporary();
            no(format!("no token: {error}"), lasting)
        })?;
    if answer.status != 200 {
        return Err(no(
            format!("no token: the token service answered {}", answer.status),
            answer.status < 500,
        ));
    }
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token =
        told["access_token"].as_str().filter(|token| !token.is_empty() && token.len() <= TOKEN_CHARS_MAX);
    let token =
        token.ok_or_else(|| no("no token: the token service answered without one".to_owned(), true))?;
    let lasts = told["expires_in"].as_u64().map_or(UNTOLD, |s| Duration::from_secs(s.min(86_400)));
    Ok((token.to_owned(), lasts))
}
