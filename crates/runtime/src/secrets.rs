//! Secrets at rest: envelope encryption, random tokens, digests.
//!
//! A root key lies in a file apart from the database. It wraps the data keys of each tenant, and the newest of them
//! seals the tenant's fields; both with AES-256-GCM (NIST SP 800-38D) and a random nonce of 96 bits. The
//! database holds only wrapped keys and sealed fields, so a copy of it alone tells nothing, and a new root
//! key means wrapping the data keys anew, not every field.
//!
//! Every text that leaves this file has the form `v1.<key id>.<base64url of nonce, ciphertext and tag>`. The
//! key id is a digest of the key: it tells a wrong key from a damaged text. A data key serves up to 2^32
//! seals (section 8.3), far more than the secrets of a tenant.

use std::fmt;
use std::io;
use std::path::PathBuf;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac as _};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::kms::KmsError;

mod vault;

pub use vault::{Keys, Lying, ROOT_KEYS_MAX, Service, Vault};

/// Name of the format. Another cipher would be `v2`, read beside this one.
const VERSION: &str = "v1";
/// Octets of a key.
const KEY_BYTES: usize = 32;
/// Octets of a nonce (SP 800-38D, section 8.2.2).
const NONCE_BYTES: usize = 12;
/// Octets of an authentication tag.
const TAG_BYTES: usize = 16;
/// Longest text that is opened, so that a wrong column cannot take all memory.
const SEALED_CHARS_MAX: usize = 16 * 1024 * 1024;

/// Why a secret cannot be sealed or opened. No variant holds a key or a plaintext.
#[derive(Debug)]
pub enum SecretsError {
    /// The root key's file cannot be read or made.
    File {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        attempt: &'static str,
        /// The system's answer.
        error: io::Error,
    },
    /// The root key's file is there, but it holds no key, or not a whole one.
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Others can read or change the root key's file.
    KeyFileOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is not of the form that this file writes.
    Format(&'static str),
    /// The text was sealed with another key.
    OtherKey {
        /// Id of the key that sealed it.
        sealed: String,
        /// Id of the key at hand.
        given: String,
    },
    /// The key is right, but the text was changed or belongs to another place.
    Forged,
    /// The system gives no random octets.
    Random,
    /// The root keys come from the configuration, so the program cannot change them.
    Handed,
    /// There are as many former root keys as a file holds.
    TooMany,
    /// A root key is closed, and no service is configured that opens it.
    Closed,
    /// Root keys cannot be closed: no service is configured.
    NoService,
    /// The key management service did not close or open a root key.
    Service(KmsError),
}

impl fmt::Display for SecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretsError::File { path, attempt, error } => {
                write!(f, "the root key file {} could not be {attempt}: {error}", path.display())
            }
            SecretsError::KeyFile { path, problem } => write!(
                f,
                "the root key file {} {problem}; put back the copy of it: with a new key the secrets in the database stay \
                 closed for ever",
                path.display()
            ),
            SecretsError::KeyFileOpen { path, mode } => write!(
                f,
                "the root key file {} can be read or changed by others (mode {mode:03o}); run chmod 600 on it",
                path.display()
            ),
            SecretsError::Format(problem) => write!(f, "not a sealed text: {problem}"),
            SecretsError::OtherKey { sealed, given } => write!(
                f,
                "sealed with key {sealed}, but the key at hand is {given}; is this the root key file that belongs to the database?"
            ),
            SecretsError::Forged => f.write_str(
                "the sealed text was changed, or was sealed for another tenant, table, column or row",
            ),
            SecretsError::Random => f.write_str("the system gives no random octets"),
            SecretsError::Handed => f.write_str(
                "the root key is handed over by the configuration; put a new one before it there, and start again",
            ),
            SecretsError::TooMany => {
                write!(f, "there are {ROOT_KEYS_MAX} root keys already; forget the former ones first")
            }
            SecretsError::Closed => f.write_str(
                "the root key was closed by a key management service, and none is configured; set kms.provider and what belongs \
                 to it",
            ),
            SecretsError::NoService => {
                f.write_str("no key management service is configured; set kms.provider and start again")
            }
            SecretsError::Service(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SecretsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SecretsError::File { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The field that a sealed text belongs to. A text moved to another field does not open there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The tenant's id.
    pub tenant: &'a str,
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's id.
    pub row: &'a str,
}

impl Place<'_> {
    /// `tenant/table/column/row`. The row comes last, so that a slash in it makes no other place.
    fn aad(&self) -> Vec<u8> {
        format!("{}/{}/{}/{}", self.tenant, self.table, self.column, self.row).into_bytes()
    }
}

/// A key and its id.
struct Key {
    octets: Zeroizing<[u8; KEY_BYTES]>,
    id: String,
}

impl Key {
    fn new(octets: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"switchboard key id");
        digest.update(octets.as_slice());
        Key { id: hex(&digest.finalize()[..8]), octets }
    }

    fn random() -> Result<Self, SecretsError> {
        let mut octets = Zeroizing::new([0; KEY_BYTES]);
        fill(octets.as_mut_slice())?;
        Ok(Key::new(octets))
    }

    fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<String, SecretsError> {
        let mut nonce = [0; NONCE_BYTES];
        fill(&mut nonce)?;
        let sealed = self
            .cipher()
            .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad })
            .map_err(|_| SecretsError::Format("the plaintext is too long"))?;
        let octets = [nonce.as_slice(), &sealed].concat();
        Ok(format!("{VERSION}.{}.{}", self.id, BASE64.encode(octets)))
    }

    fn open(&self, aad: &[u8], text: &str) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
        let (id, octets) = parts(text)?;
        if id != self.id {
            return Err(SecretsError::OtherKey { sealed: id.to_owned(), given: self.id.clone() });
        }
        let (nonce, sealed) = octets
            .split_first_chunk::<NONCE_BYTES>()
            .filter(|(_, sealed)| sealed.len() >= TAG_BYTES)
            .ok_or(SecretsError::Format("shorter than nonce and tag"))?;
        self.cipher()
            .decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad })
            .map(Zeroizing::new)
            .map_err(|_| SecretsError::Forged)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&(*self.octets).into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// A tenant's key. Its memory is wiped when it is dropped.
#[derive(Debug)]
pub struct DataKey {
    key: Key,
}

impl DataKey {
    /// Id of the key: 16 hexadecimal digits, no secret.
    pub fn id(&self) -> &str {
        &self.key.id
    }

    /// A key from 32 random octets that somebody else keeps, such as the key of one person.
    pub fn from_octets(octets: [u8; 32]) -> Self {
        Self { key: Key::new(Zeroizing::new(octets)) }
    }

    /// Encrypts a field's value for its place. The text is `v1.<key id>.<base64url>`; it is another one each
    /// time.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Random`].
    pub fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Result<String, SecretsError> {
        self.key.seal(&place.aad(), plaintext)
    }

    /// Decrypts a field's value.
    ///
    /// # Errors
    ///
    /// [`SecretsError::OtherKey`], [`SecretsError::Forged`] or [`SecretsError::Format`].
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
        self.key.open(&place.aad(), sealed)
    }
}

/// Id of the key that has sealed or wrapped a text, so that what an old root key has wrapped can be found.
///
/// # Errors
///
/// [`SecretsError::Format`].
pub fn sealing_key_id(text: &str) -> Result<&str, SecretsError> {
    parts(text).map(|(id, _)| id)
}

/// A random text of letters, digits, `-` and `_` from `bytes` random octets: 16 are enough for an id that
/// nobody guesses, 32 for a key.
///
/// # Errors
///
/// [`SecretsError::Random`].
pub fn token(bytes: usize) -> Result<String, SecretsError> {
    let mut octets = Zeroizing::new(vec![0; bytes]);
    fill(&mut octets)?;
    Ok(BASE64.encode(octets.as_slice()))
}

/// SHA-256 (FIPS 180-4) in 64 hexadecimal digits: how tokens and keys are stored, because they are long and
/// random. Passwords are neither and need a slow hash.
pub fn sha256_hex(octets: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(octets))
}

/// Whether two secrets are the same, in a time that does not tell how many octets agree, nor whether the
/// lengths do.
pub fn constant_time_eq(a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> bool {
    // Digests are compared, in constant time, instead of the secrets: what comparing tells is not about them.
    let digest = |octets: &[u8]| {
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new(&Default::default());
        mac.update(octets);
        mac.finalize()
    };
    digest(a.as_ref()) == digest(b.as_ref())
}

/// Key id and octets of a text.
fn parts(text: &str) -> Result<(&str, Vec<u8>), SecretsError> {
    if text.len() > SEALED_CHARS_MAX {
        return Err(SecretsError::Format("longer than 16 MiB"));
    }
    let rest = text
        .strip_prefix(VERSION)
        .and_then(|rest| rest.strip_prefix('.'))
        .ok_or(SecretsError::Format("it does not begin with v1"))?;
    let (id, encoded) = rest.split_once('.').ok_or(SecretsError::Format("it has no key id"))?;
    if id.len() != 16 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(SecretsError::Format("its key id is not 16 hexadecimal digits"));
    }
    let octets = BASE64.decode(encoded).map_err(|_| SecretsError::Format("it is not base64url"))?;
    Ok((id, octets))
}

/// Fills octets by the system's own chance.
///
/// # Errors
///
/// [`SecretsError::Random`].
pub fn fill(octets: &mut [u8]) -> Result<(), SecretsError> {
    SysRng.try_fill_bytes(octets).map_err(|_| SecretsError::Random)
}

fn hex(octets: &[u8]) -> String {
    use fmt::Write as _;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
