//! Checkpoints: what the trail's hash was at a row, signed with the tenant's Ed25519 key (RFC 8032).
//!
//! The signing half is sealed by the tenant's data key; whoever has the database alone can make rows anew, but no checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use db::{Tenancy, Tx, args, sql};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use runtime::Runtime;
use runtime::secrets::{sha256_hex, token};
use serde::{Deserialize, Serialize};
use types::{Code, Error, Result, TenantId, Timestamp};

use super::chain::{self, Chain};
use crate::encryption::{self, Sealed};

/// Where the signing half is sealed.
const TABLE: &str = "audit_chain";
const COLUMN: &str = "signing_key_sealed";
const ROW: &str = "ed25519";

/// The signing halves, for a new data key to seal anew.
pub const SEALED: Sealed = Sealed {
    title: "The audit trail's signing key",
    table: TABLE,
    column: COLUMN,
    row: |_| ROW.to_owned(),
    count: sql!("select count(*) as n from audit_chain where tenant_id = $1 and signing_key_sealed like $2"),
    walk: sql!(
        "select tenant_id as id, signing_key_sealed as sealed from audit_chain where tenant_id = $1 and tenant_id > $2 \
         order by tenant_id limit $3"
    ),
    replace: sql!(
        "update audit_chain set signing_key_sealed = r.new from rows(id bigint, old text, new text) r \
         where audit_chain.tenant_id = $1 and audit_chain.tenant_id = r.id and audit_chain.signing_key_sealed = r.old"
    ),
};

/// Characters of a key's id.
const ID_CHARS: usize = 16;
/// What stands before the 32 octets of an Ed25519 key in its DER form (RFC 8410 §4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What a checkpoint says; its JSON text is what is signed.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Checkpoint {
    /// Whose trail.
    pub tenant: String,
    /// 1, 2, 3 … without a gap.
    pub checkpoint: i64,
    /// The row that it stands behind.
    pub number: i64,
    /// That row's hash.
    pub hash: String,
    /// When it was signed.
    pub at: Timestamp,
    /// Why: `rows`, `day` or `asked`.
    pub reason: String,
    /// The id of the key that signed it.
    pub key: String,
}

/// A tenant's key, to sign with.
pub(crate) struct Signing {
    pair: Ed25519KeyPair,
    /// The half that everybody may know, in base64url.
    pub(super) public: String,
}

impl Signing {
    fn from_seed(seed: &str) -> Result<Self> {
        let seed = BASE64.decode(seed).map_err(Error::internal)?;
        let pair =
            Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| Error::internal(error.to_string()))?;
        let public = BASE64.encode(pair.public_key());
        Ok(Self { pair, public })
    }

    /// The half that everybody may know.
    pub(crate) fn public_half(&self) -> &str {
        &self.public
    }

    pub(crate) fn sign(&self, text: &str) -> String {
        BASE64.encode(self.pair.sign(text.as_bytes()))
    }

    pub(crate) fn id(&self) -> String {
        key_id(&self.public)
    }
}

/// A key's id: the first digits of the SHA-256 of its 32 octets. It tells one key from another.
pub fn key_id(public: &str) -> String {
    let octets = BASE64.decode(public).unwrap_or_default();
    sha256_hex(octets).chars().take(ID_CHARS).collect()
}

/// A key in the form that other programs read (RFC 8410, PEM).
pub fn pem(public: &str) -> String {
    let octets = BASE64.decode(public).unwrap_or_default();
    let der = STANDARD.encode([SPKI.as_slice(), &octets].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
}

/// Reads a key that somebody gives: base64url or PEM.
///
/// # Errors
/// [`Code::InvalidValue`] for what is neither.
pub fn read_key(given: &str) -> Result<String> {
    let body: String = given.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let octets = BASE64.decode(&body).or_else(|_| STANDARD.decode(&body)).unwrap_or_default();
    let octets = octets.strip_prefix(SPKI.as_slice()).unwrap_or(&octets);
    if octets.len() != 32 {
        return Err(Error::new(Code::InvalidValue, "this is no Ed25519 public key")
            .at("public_key")
            .hint("give it as the audit trail shows it: 43 characters of base64url, or PEM"));
    }
    Ok(BASE64.encode(octets))
}

/// Whether a text was signed with this key, and the signature is written in the one way it can be.
pub fn signed(public: &str, text: &str, signature: &str) -> bool {
    let (Ok(key), Ok(octets)) = (BASE64.decode(public), BASE64.decode(signature)) else { return false };
    BASE64.encode(&octets) == signature
        && UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &octets).is_ok()
}

/// A tenant's key, for others to sign what they state.
pub struct Signer(Signing);

impl Signer {
    /// The half that everybody may know, in base64url.
    pub fn public_key(&self) -> &str {
        &self.0.public
    }

    /// The signature of a text, in base64url.
    pub fn signature(&self, text: &str) -> String {
        self.0.sign(text)
    }
}

/// The key that signs a tenant's checkpoints.
///
/// # Errors
/// [`Code::NotFound`] for a tenant without a trail; when the database does not answer.
pub async fn signer(runtime: &Runtime, whose: TenantId) -> Result<Signer> {
    super::follow::catch_up(runtime, whose).await?;
    let mut tx = runtime.db.read(Tenancy::Tenant(whose)).await?;
    let chain = chain::standing(&mut tx, whose).await?;
    drop(tx);
    let chain = chain.ok_or_else(|| Error::not_found("audit trail"))?;
    Ok(Signer(key(runtime, whose, &chain).await?))
}

/// A new key for a tenant, and its signing half sealed.
pub(super) async fn new_key(runtime: &Runtime, whose: TenantId) -> Result<(Signing, String)> {
    let seed = token(32).map_err(Error::internal)?;
    let sealed = encryption::seal_for(runtime, whose, TABLE, COLUMN, ROW, &seed).await?;
    Ok((Signing::from_seed(&seed)?, sealed))
}

/// The tenant's key.
pub(super) async fn key(runtime: &Runtime, whose: TenantId, chain: &Chain) -> Result<Signing> {
    let seed = encryption::open(runtime, whose, TABLE, COLUMN, ROW, &chain.signing_key_sealed).await?;
    Signing::from_seed(seed.expose())
}

/// Signs where a trail stands and keeps that.
pub(super) async fn insert(
    tx: &mut Tx,
    whose: TenantId,
    chain: &Chain,
    signing: &Signing,
    at: Timestamp,
    reason: &str,
) -> Result<Checkpoint> {
    let checkpoint = Checkpoint {
        tenant: whose.to_string(),
        checkpoint: chain.checkpoint + 1,
        number: chain.number,
        hash: chain.hash.clone(),
        at,
        reason: reason.to_owned(),
        key: signing.id(),
    };
    let body = serde_json::to_string(&checkpoint).map_err(Error::internal)?;
    let signature = signing.sign(&body);
    tx.execute(
        sql!(
            "insert into audit_checkpoint (tenant_id, checkpoint, number, at, body, signature) values ($1, $2, $3, $4, $5, $6)"
        ),
        args![whose, checkpoint.checkpoint, checkpoint.number, at, body, signature],
    )
    .await?;
    // Outside the database too, for whoever keeps the logs elsewhere.
    tracing::info!(tenant = %whose, checkpoint = checkpoint.checkpoint, number = checkpoint.number,
        hash = checkpoint.hash, key = checkpoint.key, "signed a checkpoint of the audit trail");
    Ok(checkpoint)
}

/// Signs where a tenant's trail stands now. Nothing where the last checkpoint stands there already.
pub(super) async fn sign(runtime: &Runtime, whose: TenantId, reason: &str) -> Result<Option<Checkpoint>> {
    let mut tx = runtime.db.read(Tenancy::Tenant(whose)).await?;
    let chain = chain::standing(&mut tx, whose).await?;
    drop(tx);
    let Some(chain) = chain.filter(|chain| chain.number > chain.checkpoint_number) else { return Ok(None) };
    let (signing, now) = (key(runtime, whose, &chain).await?, runtime.clock.now());
    let mut tx = runtime.db.write(Tenancy::Tenant(whose)).await?;
    let moved = tx
        .execute(
            sql!(
                "update audit_chain set checkpoint = checkpoint + 1, checkpoint_number = number, checkpoint_at = $4 \
                 where tenant_id = $1 and number = $2 and checkpoint = $3"
            ),
            args![whose, chain.number, chain.checkpoint, now],
        )
        .await?;
    if moved == 0 {
        return Err(Error::new(Code::Conflict, "the audit trail grew meanwhile").hint("try again"));
    }
    let made = insert(&mut tx, whose, &chain, &signing, now, reason).await?;
    tx.commit().await?;
    Ok(Some(made))
}
