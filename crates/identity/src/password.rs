//! Passwords: argon2id (RFC 9106), computed apart from the requests and a few at a time.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use runtime::{Parts, Runtime};
use tokio::sync::Semaphore;
use types::{Code, Error, Result};

/// The longest password; more octets would only cost time.
const CHARS_MAX: usize = 256;

/// The hash function with the configuration's costs, and the slots that bound its memory.
struct Hasher {
    argon2: Argon2<'static>,
    slots: Arc<Semaphore>,
    /// A hash of nothing anybody knows, for those who are not known: it takes the time of a real one.
    decoy: OnceLock<String>,
}

impl Hasher {
    fn new(parts: &Parts) -> Self {
        let security = &parts.config.security;
        let params =
            Params::new(security.argon2_memory_kib, security.argon2_passes, security.argon2_lanes, None);
        let params = params.unwrap_or_else(|error| {
            tracing::warn!(%error, "security.argon2_* do not fit together; the library's own costs are used");
            Params::default()
        });
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            slots: Arc::new(Semaphore::new(security.argon2_concurrency_max)),
            decoy: OnceLock::new(),
        }
    }

    fn hash(&self, password: &str) -> Result<String> {
        let hash = self.argon2.hash_password(password.as_bytes());
        Ok(hash.map_err(|error| Error::internal(error.to_string()))?.to_string())
    }

    fn matches(&self, password: &str, hash: Option<&str>) -> Result<bool> {
        let decoy = match self.decoy.get() {
            Some(decoy) => decoy,
            None => {
                let made = self.hash(&runtime::secrets::token(32).map_err(Error::internal)?)?;
                self.decoy.get_or_init(|| made)
            }
        };
        let right = self.argon2.verify_password(password.as_bytes(), hash.unwrap_or(decoy)).is_ok();
        Ok(right && hash.is_some())
    }
}

/// Waits for a slot and computes on a thread of its own; the slot is held until the end, though the request be given up.
async fn apart<T: Send + 'static>(
    runtime: &Runtime,
    work: impl FnOnce(&Hasher) -> Result<T> + Send + 'static,
) -> Result<T> {
    let hasher = runtime.kept(Hasher::new);
    let slot = Arc::clone(&hasher.slots).acquire_owned().await.map_err(Error::internal)?;
    let computed = tokio::task::spawn_blocking(move || {
        let result = work(&hasher);
        drop(slot);
        result
    });
    computed.await.map_err(Error::internal)?
}

/// Refuses a password that is too short, or too long to be one.
///
/// # Errors
/// [`Code::WeakPassword`] with the bounds.
pub fn check(runtime: &Runtime, password: &str) -> Result<()> {
    let least = runtime.config.security.password_chars_min;
    let chars = password.chars().count();
    if chars < least || chars > CHARS_MAX {
        return Err(Error::new(
            Code::WeakPassword,
            format!("a password has {least} to {CHARS_MAX} characters"),
        )
        .at("password")
        .hint("Several words that do not belong together are long and easy to remember."));
    }
    Ok(())
}

/// A password's hash, with its salt and costs (PHC string format). Whether it is good enough is for the caller to
/// [`check`]: a person's must be, and what a machine binds with has the length that its protocol leaves it.
///
/// # Errors
/// When the system gives no random salt.
pub async fn hash(runtime: &Runtime, password: &str) -> Result<String> {
    let password = password.to_owned();
    apart(runtime, move |hasher| hasher.hash(&password)).await
}

/// Whether the password is the one that was hashed. Without a hash the answer is no, after the same time.
///
/// # Errors
/// When the system gives no random octets.
pub async fn verify(runtime: &Runtime, password: &str, hash: Option<String>) -> Result<bool> {
    if password.chars().count() > CHARS_MAX {
        return Ok(false);
    }
    let password = password.to_owned();
    apart(runtime, move |hasher| hasher.matches(&password, hash.as_deref())).await
}
