//! Keyed hashes, both ways: over what we send, and over what we are sent.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};

/// A keyed hash (RFC 2104).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HttpHash)]
pub enum Hash {
    /// HMAC with SHA-1, for those who know nothing else.
    Sha1,
    /// HMAC with SHA-256.
    #[default]
    Sha256,
    /// HMAC with SHA-512.
    Sha512,
}

/// How a hash is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HttpCoding)]
pub enum Coding {
    /// Two digits for each octet, in either case where it is read.
    #[default]
    Hex,
    /// RFC 4648 §4.
    Base64,
}

impl Hash {
    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// The hash of a message under a key, written.
    pub(super) fn signed(self, key: &str, message: &[u8], coding: Coding) -> String {
        let tag = hmac::sign(&hmac::Key::new(self.algorithm(), key.as_bytes()), message);
        match coding {
            Coding::Hex => super::template::hex(tag.as_ref()),
            Coding::Base64 => base64(tag.as_ref()),
        }
    }

    /// Whether a text is the hash of a message under a key. It takes as long whichever it is.
    pub(super) fn is_signed(self, key: &str, message: &[u8], coding: Coding, text: &str) -> bool {
        let given = match coding {
            Coding::Hex => super::template::unhex(text),
            Coding::Base64 => unbase64(text),
        };
        let key = hmac::Key::new(self.algorithm(), key.as_bytes());
        given.is_some_and(|given| hmac::verify(&key, message, &given).is_ok())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "HMAC-SHA1",
            Self::Sha256 => "HMAC-SHA256",
            Self::Sha512 => "HMAC-SHA512",
        })
    }
}

/// Whether two secrets are the same. It takes as long whichever it is.
pub(super) fn same(one: &str, other: &str) -> bool {
    // Hashed first, so that neither length nor beginning shows in the time.
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
    hmac::verify(&key, one.as_bytes(), hmac::sign(&key, other.as_bytes()).as_ref()).is_ok()
}

/// RFC 4648 §4.
pub(super) fn base64(octets: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(octets)
}

/// What base 64 stands for; `None` where it is none.
pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()
}
