//! The certificate of an erasure: what was erased and what is kept, signed with the key that signs the audit trail's
//! checkpoints, so that whoever has the public key can verify it without us.

use identity::audit::checkpoint;
use serde::{Deserialize, Serialize};
use types::{Code, Error, Result, Timestamp};

use crate::erase::{Erased, Kept};

/// The name and version of the format.
const FORMAT: &str = "switchboard erasure certificate 1";

/// What a certificate says; its JSON text is what is signed.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Certificate {
    /// The name and version of the format.
    pub format: String,
    /// Whose installation.
    pub tenant: String,
    /// The request that it answers.
    pub request: String,
    /// The person, by a number that leads to nobody any more.
    pub person: String,
    /// Everything from before this instant was erased.
    pub before: Timestamp,
    /// When it was done.
    pub at: Timestamp,
    /// What was erased.
    pub erased: Vec<Erased>,
    /// What the law keeps, and why.
    pub kept: Vec<Kept>,
    /// The id of the person's key, which was destroyed.
    pub key_destroyed: String,
    /// The id of the key that signed.
    pub signed_by: String,
}

/// A certificate as it is handed out.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedCertificate {
    /// The text that is signed: JSON.
    pub certificate: String,
    /// Ed25519 (RFC 8032), in base64url.
    pub signature: String,
    /// The key that verifies it, in base64url.
    pub public_key: String,
}

impl Certificate {
    pub(crate) fn text(mut self, key: &str) -> Result<String> {
        FORMAT.clone_into(&mut self.format);
        self.signed_by = checkpoint::key_id(key);
        serde_json::to_string(&self).map_err(Error::internal)
    }
}

/// Verifies a certificate. With a key, only what that key signed counts; without, its own does. Needs no server.
///
/// # Errors
/// [`Code::InvalidValue`] for what was changed, was signed by another key, or is no certificate.
pub fn verify(signed: &SignedCertificate, key: Option<&str>) -> Result<Certificate> {
    let refuse = |why: &str| Error::new(Code::InvalidValue, why).at("certificate");
    let own = checkpoint::read_key(&signed.public_key)?;
    let key = match key {
        Some(given) => checkpoint::read_key(given)?,
        None => own.clone(),
    };
    if key != own {
        return Err(refuse("the certificate was signed by another key than the one that was given"));
    }
    if !checkpoint::signed(&key, &signed.certificate, &signed.signature) {
        return Err(refuse("the signature is not of this text: the certificate was changed"));
    }
    let certificate: Certificate = serde_json::from_str(&signed.certificate)
        .map_err(|error| refuse("this is no certificate").because(error))?;
    if certificate.format != FORMAT {
        return Err(refuse("this is no certificate of an erasure"));
    }
    Ok(certificate)
}
