//! Tokens that others signed: their keys are fetched, kept for a while, and fetched again when a token names one that is not
//! among them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use runtime::Runtime;
use serde::de::DeserializeOwned;
use serde_json::Value;
use types::{Code, Error, Result, Timestamp};

use crate::token::SKEW_MS;

/// How long fetched documents are kept.
const KEPT_MS: i64 = 3_600_000;
/// How often a key that is not known makes us fetch again: an attacker can name as many as they like.
const AGAIN_MS: i64 = 60_000;
/// Documents that are kept at once.
const DOCUMENTS_MAX: usize = 1_000;
/// Keys of one set that are looked at.
const KEYS_MAX: usize = 100;

/// Documents of others, by their address.
#[derive(Default)]
struct Documents(Mutex<HashMap<String, (Timestamp, Arc<Value>)>>);

/// What went wrong with the other service, in words for the person and for the log.
pub(crate) fn failed(why: impl Into<String>) -> Error {
    Error::new(Code::SignInFailed, why)
}

/// A JSON document of the other service; a kept one, unless that is older than wanted.
pub(crate) async fn document(runtime: &Runtime, url: &str, age_ms: i64) -> Result<Arc<Value>> {
    let documents = runtime.kept(|_| Documents::default());
    let now = runtime.clock.now();
    let kept = {
        let kept = documents.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(url).filter(|(at, _)| now.since_ms(*at) < age_ms).map(|(_, document)| document.clone())
    };
    if let Some(document) = kept {
        return Ok(document);
    }
    let answer = runtime.outbound.get(url, &[("accept", "application/json")]).await;
    let answer = answer.map_err(|error| failed(format!("the service cannot be reached: {error}")))?;
    if answer.status != 200 {
        return Err(failed(format!("the service answers {} where its metadata should be", answer.status)));
    }
    let document: Value = serde_json::from_slice(&answer.body)
        .map_err(|_| failed("what the service says of itself cannot be read"))?;
    let document = Arc::new(document);
    let mut kept = documents.0.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= DOCUMENTS_MAX {
        kept.clear();
    }
    kept.insert(url.to_owned(), (now, document.clone()));
    Ok(document)
}

/// The metadata of a service (OpenID Connect Discovery 1.0 §4). It must name the very issuer that was asked for (§4.3).
pub(crate) async fn metadata(runtime: &Runtime, issuer: &str) -> Result<Arc<Value>> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let metadata = document(runtime, &url, KEPT_MS).await?;
    if metadata["issuer"].as_str() != Some(issuer) {
        let says = metadata["issuer"].as_str().unwrap_or("nothing");
        return Err(failed(format!("the service calls itself {says}, and {issuer} was expected")));
    }
    Ok(metadata)
}

/// Who must have made a token, and for whom.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) keys: &'a str,
}

/// The algorithms that are taken. None with a shared secret: the published keys are public (RFC 8725 §3.2).
const fn takes(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

/// Whether a published key is for signatures by an algorithm (RFC 7517 §4.2, §4.4).
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => {
            matches!(algorithm, A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512)
        }
        AlgorithmParameters::EllipticCurve(parameters) => match parameters.curve {
            EllipticCurve::P256 => algorithm == A::ES256,
            EllipticCurve::P384 => algorithm == A::ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(_) => algorithm == A::EdDSA,
        _ => false,
    };
    let said = key.common.key_algorithm.is_none_or(|said: KeyAlgorithm| {
        said.to_string().parse::<Algorithm>().is_ok_and(|said| said == algorithm)
    });
    let signs = key.common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    kind && said && signs
}

/// What a token of another service says, if it is whole, of that service, for us, and of this time. The clocks may differ by a
/// minute.
pub(crate) async fn verify<T: DeserializeOwned>(
    runtime: &Runtime,
    text: &str,
    expected: &Expected<'_>,
) -> Result<T> {
    let header = jsonwebtoken::decode_header(text).map_err(|_| failed("the token cannot be read"))?;
    if !takes(header.alg) {
        return Err(failed(format!("the token is signed by {:?}, which is not taken", header.alg)));
    }
    let key = key(runtime, expected.keys, header.kid.as_deref(), header.alg).await?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Looked at below, by the program's own clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims = jsonwebtoken::decode::<Value>(text, &key, &validation)
        .map_err(|error| failed(format!("the token is refused: {error}")))?
        .claims;
    in_time(&claims, runtime.clock.now())?;
    serde_json::from_value(claims).map_err(|error| failed(format!("the token cannot be read: {error}")))
}

fn in_time(claims: &Value, now: Timestamp) -> Result<()> {
    let ms = |name: &str| claims[name].as_f64().map(|s| (s * 1_000.0) as i64);
    let now_ms = now.unix_ms();
    let expires = ms("exp").ok_or_else(|| failed("the token says no time at which it ends"))?;
    if expires.saturating_add(SKEW_MS) <= now_ms {
        return Err(failed("the token has expired: compare the clocks of both machines"));
    }
    let later = |name: &str| ms(name).is_some_and(|at| at > now_ms.saturating_add(SKEW_MS));
    if later("nbf") || later("iat") {
        return Err(failed("the token is of the future: compare the clocks of both machines"));
    }
    Ok(())
}

/// The published key that a token names; the only fitting one, where it names none.
async fn key(runtime: &Runtime, url: &str, id: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey> {
    for age_ms in [KEPT_MS, AGAIN_MS] {
        let set = document(runtime, url, age_ms).await?;
        let keys = set["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
        // A set may hold keys of kinds that nobody here knows; they are passed over (RFC 7517 §5).
        let keys =
            keys.iter().take(KEYS_MAX).filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let set = JwkSet { keys: keys.filter(|key| fits(key, algorithm)).collect() };
        let found = match id {
            Some(id) => set.find(id),
            None if set.keys.len() == 1 => set.keys.first(),
            None => None,
        };
        if let Some(found) = found {
            return DecodingKey::from_jwk(found).map_err(|_| failed("the service's key cannot be read"));
        }
    }
    Err(failed("the token is signed by a key that the service does not publish"))
}
