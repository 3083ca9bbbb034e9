//! Taking a person out of the trail, so that it still verifies.
//!
//! The row keeps its number, its hash and the hash of the row before, so the chain and its checkpoints stand. Its data becomes
//! `{"erasure":"SIGNATURE","data":DATA}`, the person's identifier in it replaced. The signature is the tenant's key's over the
//! row's hash and the SHA-256 of the row's new text with an empty signature: whoever has the database alone can change no
//! row in this way, and a verifier needs the public key and nothing else.

use db::{Tx, args, record, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::Runtime;
use runtime::personal::{Named, scrub, scrub_event};
use runtime::secrets::sha256_hex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::{Error, Result, TenantId, Timestamp, UserId};

use super::chain::{self, Chain, Linked};
use super::checkpoint::{self, Signing};

/// Rows that one transaction changes.
const BATCH: usize = 100;
/// Rows that are looked at together.
const PAGE: i64 = 500;

/// The data of a row that somebody was taken out of.
#[derive(Debug, Serialize, Deserialize)]
struct Erased {
    erasure: String,
    data: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
struct Probe {
    data: Erased,
}

/// What is signed.
fn statement(blank: &str, hash: &str) -> String {
    format!("switchboard audit erasure\n{hash}\n{}", sha256_hex(blank))
}

/// Whether a row's text differs from what its hash was made of because the key's owner took a person out of it.
pub(super) fn allowed(public_key: &str, text: &str, hash: &str) -> bool {
    let Ok(Probe { data: Erased { erasure, .. } }) = serde_json::from_str::<Probe>(text) else {
        return false;
    };
    if erasure.is_empty() {
        return false;
    }
    let signed = format!("{{\"erasure\":\"{erasure}\"");
    checkpoint::signed(
        public_key,
        &statement(&text.replacen(&signed, "{\"erasure\":\"\"", 1), hash),
        &erasure,
    )
}

/// The row without some words, signed; nothing where they do not stand in it.
fn without(linked: Linked, signing: &Signing, words: &Words) -> Result<Option<Linked>> {
    let Linked { mut row, hash, .. } = linked;
    let raw = row.data.get();
    let inner =
        serde_json::from_str::<Erased>(raw).map_or_else(|_| raw.to_owned(), |one| one.data.get().to_owned());
    let mut clean = scrub_event(&row.kind, &inner, &words.identifier).unwrap_or_else(|| inner.clone());
    if row.subject.as_deref().is_some_and(|subject| Some(subject) == words.user.as_deref()) {
        clean = Named { id: "", name: &words.name }.taken_out(&clean)?;
    }
    let subject = row.subject.as_deref().map(|subject| scrub(subject, &words.identifier));
    if clean == inner && subject == row.subject {
        return Ok(None);
    }
    row.subject = subject;
    let data = RawValue::from_string(clean).map_err(Error::internal)?;
    let mut erased = Erased { erasure: String::new(), data };
    let wrap = |erased: &Erased| serde_json::value::to_raw_value(erased).map_err(Error::internal);
    row.data = wrap(&erased)?;
    erased.erasure = signing.sign(&statement(&row.text()?, &hash));
    row.data = wrap(&erased)?;
    let folded = row.folded();
    Ok(Some(Linked { row, hash, folded }))
}

/// Who is taken out.
#[derive(Debug, Default)]
struct Words {
    identifier: String,
    user: Option<String>,
    name: String,
}

async fn take_out(
    runtime: &Runtime,
    tx: &mut Tx,
    (tenant, before): (TenantId, Timestamp),
    words: &Words,
) -> Result<u64> {
    let Some(chain): Option<Chain> = chain::standing(tx, tenant).await? else { return Ok(0) };
    let signing = checkpoint::key(runtime, tenant, &chain).await?;
    let like = format!("%{}%", words.identifier.replace(['%', '\\'], "_"));
    let subject = words.user.clone().unwrap_or_default();
    let (mut behind, mut done) = (0, 0);
    while done < BATCH {
        let rows: Vec<chain::Stored> = tx
            .all(
                sql!(
                    "select number, seq, at, actor, request_id, from_address, kind, subject, data, folded, previous, hash \
                     from audit_row where tenant_id = $1 and number > $2 and at < $3 \
                     and (lower(data) like $4 or lower(subject) like $4 or subject = $5) order by number limit $6"
                ),
                args![tenant, behind, before, &like, &subject, PAGE],
            )
            .await?;
        let whole = rows.len() < PAGE as usize;
        for stored in rows {
            let linked = stored.linked(tenant)?;
            behind = linked.row.number;
            let Some(linked) = without(linked, &signing, words)? else { continue };
            put(tx, tenant, &linked).await?;
            done += 1;
            if done == BATCH {
                break;
            }
        }
        if whole {
            break;
        }
    }
    Ok(done as u64)
}

async fn put(tx: &mut Tx, tenant: TenantId, linked: &Linked) -> Result<()> {
    tx.execute(
        sql!(
            "update audit_row set subject = $3, data = $4, folded = $5 where tenant_id = $1 and number = $2"
        ),
        args![tenant, linked.row.number, linked.row.subject.clone(), linked.row.data.get(), &linked.folded],
    )
    .await?;
    Ok(())
}

/// Takes a phone or a mail address out of a batch of rows from before an instant.
pub(crate) fn identifier<'a>(
    runtime: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    value: &'a str,
    before: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let words = Words { identifier: value.to_owned(), ..Words::default() };
        take_out(runtime, tx, (tenant, before), &words).await
    }
    .boxed()
}

record! { struct Who { email_folded: String, name: String } }

/// Takes a user's address and name out of a batch of rows. What they did stays, under the number of their id.
pub(crate) fn user<'a>(
    runtime: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    value: &'a str,
    before: Timestamp,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let id = UserId::from_raw(value.parse().map_err(Error::internal)?);
        let who: Option<Who> = tx
            .optional(
                sql!("select email_folded, name from users where tenant_id = $1 and id = $2"),
                args![tenant, id],
            )
            .await?;
        let Some(Who { email_folded, name }) = who.filter(|who| who.email_folded.contains('@')) else {
            return Ok(0);
        };
        let words = Words { identifier: email_folded, user: Some(id.to_string()), name };
        take_out(runtime, tx, (tenant, before), &words).await
    }
    .boxed()
}
