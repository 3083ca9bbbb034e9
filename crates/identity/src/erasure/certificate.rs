//! The certificate of an erasure: which tenant, when, and how many rows of which table. It is signed by the key that signs the
//! checkpoints of the platform's audit trail, so whoever has the public key can verify it without a server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{Code, ErasureId, Error, Result, TenantId, Timestamp};

use crate::audit::checkpoint;

/// The name and version of the format.
pub(super) const FORMAT: &str = "switchboard/erasure/1";

/// What a certificate says; its JSON text is what is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Certificate {
    /// The name and version of the format.
    pub certificate: String,
    /// The erasure.
    pub erasure: ErasureId,
    /// The tenant that is no more.
    pub tenant: TenantId,
    /// SHA-256 of its name, in hexadecimal digits: who knows the name can tell that it was this one.
    pub name_sha256: String,
    /// Who asked for it.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// When it began.
    pub began_at: Timestamp,
    /// When the last row was gone.
    pub erased_at: Timestamp,
    /// Rows that were deleted, of all tables together.
    pub rows: u64,
    /// Rows that were deleted, by table; those of which there were none are left out.
    pub tables: BTreeMap<String, u64>,
    /// Whose audit trail's key signs: the installation's own tenant.
    pub platform: TenantId,
    /// The id of that key.
    pub key: String,
}

/// A certificate as it is handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signed {
    /// The text that is signed, octet for octet: JSON.
    pub body: String,
    /// Ed25519 (RFC 8032), in base64url.
    pub signature: String,
    /// The key that verifies it, in base64url.
    pub public_key: String,
}

/// Verifies a certificate. With a key, only what that key signed counts; without, its own does. Needs no server.
///
/// # Errors
/// [`Code::InvalidValue`] for what was changed, was signed by another key, or is no certificate.
pub fn verify(signed: &Signed, key: Option<&str>) -> Result<Certificate> {
    let refuse = |why: &str| {
        Error::new(Code::InvalidValue, why)
            .at("certificate")
            .hint("ask whoever runs the platform for it anew: switchboard tenant certificate")
    };
    let own = checkpoint::read_key(&signed.public_key)?;
    if key.map(checkpoint::read_key).transpose()?.is_some_and(|given| given != own) {
        return Err(refuse("the certificate was signed by another key than the one that was given"));
    }
    if !checkpoint::signed(&own, &signed.body, &signed.signature) {
        return Err(refuse("the signature is not of this text: the certificate was changed"));
    }
    let told: Certificate = serde_json::from_str(&signed.body)
        .map_err(|error| refuse("this is no certificate").because(error))?;
    if told.certificate != FORMAT || told.key != checkpoint::key_id(&own) {
        return Err(refuse("this is no certificate of a tenant's erasure"));
    }
    Ok(told)
}
