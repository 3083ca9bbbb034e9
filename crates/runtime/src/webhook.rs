//! Signed webhooks as [Standard Webhooks](https://www.standardwebhooks.com) has them, so that a receiver verifies ours with
//! any of its libraries: three headers name the message, its time and its signature, an HMAC-SHA-256 over
//! `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use types::Timestamp;

use crate::config::Secret;
use crate::secrets;

/// What every secret begins with.
const PREFIX: &str = "whsec_";
/// Octets of a secret that we make; the standard takes 24 to 64.
const SECRET_OCTETS: usize = 32;

/// A new secret, for the receiver and for us.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_secret() -> types::Result<Secret> {
    let mut octets = [0; SECRET_OCTETS];
    secrets::fill(&mut octets).map_err(types::Error::internal)?;
    Ok(Secret::new(format!("{PREFIX}{}", STANDARD.encode(octets))))
}

/// The headers of a message: its name, which is the same at each try, when this try is made, and the signature.
///
/// # Errors
/// For a secret that is none of ours.
pub fn headers(
    secret: &Secret,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> types::Result<[(&'static str, String); 3]> {
    let text = secret.expose();
    let key = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map_err(types::Error::internal)?;
    let seconds = at.unix_ms().div_euclid(1_000).to_string();
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        mac.update(part);
    }
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    Ok([("webhook-id", id.to_owned()), ("webhook-timestamp", seconds), ("webhook-signature", signature)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_published_libraries() {
        // The example that the libraries of the standard are tested with.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let at = Timestamp::from_unix_ms(1_614_265_330_000);
        let headers =
            headers(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#).unwrap();
        assert_eq!(headers[1].1, "1614265330");
        assert_eq!(headers[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_new_each_time_and_long() {
        let (one, other) = (new_secret().unwrap(), new_secret().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert!(one.expose().len() > 40 && one.expose().starts_with(PREFIX));
    }
}
