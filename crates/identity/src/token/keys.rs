//! The keys that sign access tokens: ECDSA on P-256 (ES256, RFC 7518 §3.4), which every library for such tokens reads.
//!
//! A key is published for a while before it signs and stays published for as long as a token that it signed can live. The
//! private key is sealed in the database; whoever has the same root key can sign.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Tenancy, Tx, args, record, sql};
use jsonwebtoken::{DecodingKey, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use runtime::Runtime;
use runtime::secrets::Place;
use serde::Serialize;
use serde_json::Value;
use types::{Error, Id, Result, Timestamp, kind};

use super::SKEW_MS;

/// How long a key is published before it signs: longer than readers keep the list.
pub(crate) const PUBLISHED_BEFORE_MS: i64 = 24 * 3_600_000;
/// How long readers may keep the list (`Cache-Control`).
pub(crate) const CACHED_S: u32 = 900;
/// Published keys that are read; there are two or three.
const KEYS_MAX: i64 = 16;
/// How long what was read is believed: another process may have made a key, or dropped one.
const READ_FOR_MS: i64 = 10_000;

/// A key that signs, will sign, or has signed.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    signs_from: Timestamp,
    pub(crate) encoding: EncodingKey,
    pub(crate) decoding: DecodingKey,
    public: Value,
}

/// The published keys (RFC 7517 §5).
#[derive(Debug, Serialize)]
pub struct KeySet {
    /// Each key as a JSON Web Key with its id, use and algorithm.
    pub keys: Vec<Value>,
}

#[derive(Default)]
struct Held {
    /// The one that signs last.
    keys: Vec<Arc<SigningKey>>,
    looked_at: Option<Timestamp>,
}

#[derive(Default)]
struct Keys {
    held: Mutex<Held>,
    /// One at a time makes a key.
    making: Arc<tokio::sync::Mutex<()>>,
}

record! {
    struct KeyRow {
        id: Id<kind::Job>,
        signs_from: Timestamp,
        public_key: String,
        data_key: String,
        private_key: String,
    }
}

fn place(id: &str) -> Place<'_> {
    Place { tenant: "", table: "signing_key", column: "private_key", row: id }
}

/// For which name the data key of a signing key is wrapped; no tenant has one like it.
fn wrapped_for(id: &str) -> String {
    format!("signing key {id}")
}

impl KeyRow {
    fn key(&self, runtime: &Runtime) -> Result<SigningKey> {
        let id = self.id.bare();
        let data = runtime.vault.unwrap(&wrapped_for(&id), &self.data_key).map_err(Error::internal)?;
        let private = data.open(place(&id), &self.private_key).map_err(Error::internal)?;
        let public: Value = serde_json::from_str(&self.public_key).map_err(Error::internal)?;
        let part = |name: &str| public[name].as_str().unwrap_or_default().to_owned();
        Ok(SigningKey {
            decoding: DecodingKey::from_ec_components(&part("x"), &part("y")).map_err(Error::internal)?,
            encoding: EncodingKey::from_ec_der(&private),
            id,
            signs_from: self.signs_from,
            public,
        })
    }
}

/// What is held, read again when it is older than [`READ_FOR_MS`].
async fn held(runtime: &Runtime) -> Result<Vec<Arc<SigningKey>>> {
    let now = runtime.clock.now();
    let keys = runtime.kept(|_| Keys::default());
    {
        let held = keys.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.looked_at.is_some_and(|at| (0..READ_FOR_MS).contains(&now.since_ms(at))) {
            return Ok(held.keys.clone());
        }
    }
    reload(runtime).await
}

/// Reads the keys from the database and gives them, the one that signs last at the end.
pub(crate) async fn reload(runtime: &Runtime) -> Result<Vec<Arc<SigningKey>>> {
    let keys = runtime.kept(|_| Keys::default());
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    load(runtime, &mut tx, &keys).await
}

/// The key that signs now; made when there is none.
pub(crate) async fn signing(runtime: &Runtime) -> Result<Arc<SigningKey>> {
    // Asked anew each time: a key that is made below signs from an instant behind this line.
    let signs = |keys: Vec<Arc<SigningKey>>| {
        let now = runtime.clock.now();
        keys.into_iter().rfind(|key| key.signs_from <= now)
    };
    if let Some(key) = signs(held(runtime).await?) {
        return Ok(key);
    }
    keep(runtime).await?;
    signs(held(runtime).await?).ok_or_else(|| Error::internal("no key signs though one was just made"))
}

/// The key of this id, if it is published.
pub(crate) async fn named(runtime: &Runtime, id: &str) -> Result<Option<Arc<SigningKey>>> {
    Ok(held(runtime).await?.into_iter().find(|key| key.id == id))
}

/// The published keys' ids and from when each signs, the one that signs last at the end.
pub(crate) async fn times(runtime: &Runtime) -> Result<Vec<(String, Timestamp)>> {
    signing(runtime).await?;
    Ok(reload(runtime).await?.iter().map(|key| (key.id.clone(), key.signs_from)).collect())
}

/// What is published now.
///
/// # Errors
/// When the database does not answer.
pub async fn published(runtime: &Runtime) -> Result<KeySet> {
    signing(runtime).await?;
    Ok(KeySet { keys: held(runtime).await?.iter().map(|key| key.public.clone()).collect() })
}

/// Holds off whoever else would make a key.
pub(crate) async fn alone(runtime: &Runtime) -> tokio::sync::OwnedMutexGuard<()> {
    Arc::clone(&runtime.kept(|_| Keys::default()).making).lock_owned().await
}

/// Drops every key.
pub(crate) async fn drop_all(tx: &mut Tx) -> Result<()> {
    tx.execute(sql!("delete from signing_key"), args![]).await?;
    Ok(())
}

/// Makes the next key when its time has come, and deletes those whose tokens have all expired.
pub(crate) async fn keep(runtime: &Runtime) -> Result<()> {
    let _making = alone(runtime).await;
    let keys = runtime.kept(|_| Keys::default());
    let now = runtime.clock.now();
    let security = &runtime.config.security;
    let term_ms = i64::from(security.signing_key_days) * 86_400_000;
    let lives_ms = i64::from(security.access_token_ttl_s) * 1_000 + 2 * SKEW_MS;
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    load(runtime, &mut tx, &keys).await?;
    tx.commit().await?;
    let (latest, over): (Option<Timestamp>, Vec<String>) = {
        let held = keys.held.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = held.keys.windows(2).filter(|pair| now.since_ms(pair[1].signs_from) > lives_ms);
        let over = spent.map(|pair| pair[0].id.clone()).collect();
        // Where a clock was set back no key signs yet, and one is made as at the first start.
        let signs = held.keys.iter().any(|key| key.signs_from <= now);
        (held.keys.last().map(|key| key.signs_from).filter(|_| signs), over)
    };
    let next = match latest {
        None => Some(now),
        Some(latest) if now.since_ms(latest) >= term_ms - PUBLISHED_BEFORE_MS => {
            Some(latest.plus_ms(term_ms).max(now.plus_ms(PUBLISHED_BEFORE_MS)))
        }
        Some(_) => None,
    };
    if next.is_none() && over.is_empty() {
        return Ok(());
    }
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    if let Some(signs_from) = next {
        insert(runtime, &mut tx, signs_from).await?;
    }
    for id in over {
        let id: Id<kind::Job> = id.parse()?;
        tx.execute(sql!("delete from signing_key where id = $1"), args![id]).await?;
    }
    load(runtime, &mut tx, &keys).await?;
    tx.commit().await?;
    Ok(())
}

async fn load(runtime: &Runtime, tx: &mut Tx, keys: &Keys) -> Result<Vec<Arc<SigningKey>>> {
    let rows: Vec<KeyRow> = tx
        .all(
            sql!(
                "select id, signs_from, public_key, data_key, private_key from signing_key \
                 order by signs_from desc, id desc limit $1"
            ),
            args![KEYS_MAX],
        )
        .await?;
    let mut read = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        read.push(Arc::new(row.key(runtime)?));
    }
    let mut held = keys.held.lock().unwrap_or_else(PoisonError::into_inner);
    held.keys.clone_from(&read);
    held.looked_at = Some(runtime.clock.now());
    Ok(read)
}

/// Makes a key that signs from then on, and gives its id.
pub(crate) async fn insert(runtime: &Runtime, tx: &mut Tx, signs_from: Timestamp) -> Result<String> {
    let id: Id<kind::Job> = runtime.ids.next();
    let text = id.bare();
    let random = SystemRandom::new();
    let unfit = |error: &dyn std::fmt::Display| Error::internal(error.to_string());
    let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .map_err(|error| unfit(&error))?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_ref(), &random)
        .map_err(|error| unfit(&error))?;
    // An uncompressed point (SEC 1 §2.3.3): 4, then the two coordinates of 32 octets.
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let public = serde_json::json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": text,
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    });
    let (data, data_key) = runtime.vault.create_data_key(&wrapped_for(&text)).map_err(Error::internal)?;
    let sealed = data.seal(place(&text), private.as_ref()).map_err(Error::internal)?;
    tx.execute(
        sql!(
            "insert into signing_key (id, created_at, signs_from, public_key, data_key, private_key) \
             values ($1, $2, $3, $4, $5, $6)"
        ),
        args![id, runtime.clock.now(), signs_from, public.to_string(), data_key, sealed],
    )
    .await?;
    Ok(text)
}

record! { struct Counted { n: i64 } }

/// Signing keys whose data key no text like this one wraps.
pub(crate) async fn to_wrap(tx: &mut Tx, ours: &str) -> Result<i64> {
    let counted: Counted =
        tx.one(sql!("select count(*) as n from signing_key where data_key not like $1"), args![ours]).await?;
    Ok(counted.n)
}

record! { struct Wrapped { id: Id<kind::Job>, data_key: String } }

/// Wraps the data keys of signing keys that another root key has wrapped by the current one, and gives how many those were.
pub(crate) async fn wrap_anew(tx: &mut Tx, runtime: &Runtime) -> Result<usize> {
    let ours = format!("v1.{}.%", runtime.vault.key_id());
    let rows: Vec<Wrapped> = tx
        .all(
            sql!("select id, data_key from signing_key where data_key not like $1 order by id limit $2"),
            args![ours, KEYS_MAX],
        )
        .await?;
    for Wrapped { id, data_key } in &rows {
        let anew = runtime.vault.rewrap(&wrapped_for(&id.bare()), data_key).map_err(Error::internal)?;
        tx.execute(sql!("update signing_key set data_key = $2 where id = $1"), args![*id, anew]).await?;
    }
    Ok(rows.len())
}
