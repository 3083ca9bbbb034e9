//! Carrying a request out. A job does it, a bounded batch at a time; after a crash it goes on.

use std::sync::{Arc, OnceLock};

use db::{args, record, sql};
use futures::future::BoxFuture;
use identity::audit::{checkpoint, follow};
use runtime::job::{self, Handler, Outcome};
use runtime::personal::By;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, PrivacyRequestId, Result, Timestamp};

use super::{About, Kind, Stored, step};
use crate::certificate::{Certificate, SignedCertificate};
use crate::person::{self, Key};
use crate::standing::Standings;
use crate::tombstone::{self, Tombstone};
use crate::{consent, erase, export, register};

/// The kind of this job.
pub const KIND: &str = "privacy.carry_out";
/// How long it waits before it looks again whether what is on its way has arrived.
const LOOK_AGAIN_MS: i64 = 2_000;
/// When what was written behind the traffic is looked for once more.
const AFTERWARDS_MS: i64 = 120_000;
/// Octets of a file in one row.
const PIECE_BYTES: usize = 1 << 20;
const DAY_MS: i64 = 86_400_000;

/// Which request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) request: PrivacyRequestId,
}

/// What is on its way to or from some phones: stops what can be stopped, and gives how many messages from before an instant
/// have still to come to their end. And, once they are erased, forgets them in memory.
pub trait Traffic: Send + Sync {
    /// Stops what waits for the phones and counts what is left.
    fn settle<'a>(
        &'a self,
        scope: &'a Scope,
        phones: &'a [String],
        before: Timestamp,
    ) -> BoxFuture<'a, Result<u64>>;
    /// Whether one of the phones has opted out of anything.
    fn opted_out<'a>(&'a self, scope: &'a Scope, phones: &'a [String]) -> BoxFuture<'a, Result<bool>>;
    /// Reads again what memory holds of the tenant's lists.
    fn forget<'a>(&'a self, scope: &'a Scope, phones: &'a [String]) -> BoxFuture<'a, Result<()>>;
}

#[derive(Default)]
struct Gateway(OnceLock<Arc<dyn Traffic>>);

/// Names who carries messages. Called once, at the start.
pub fn name_traffic(runtime: &Runtime, traffic: Arc<dyn Traffic>) {
    // A second call would be a second start of the same runtime; the first one's word stands.
    let _ = runtime.kept(|_| Gateway::default()).0.set(traffic);
}

fn traffic(runtime: &Runtime) -> Option<Arc<dyn Traffic>> {
    runtime.kept(|_| Gateway::default()).0.get().cloned()
}

/// The job.
pub(crate) fn handler() -> Handler {
    Arc::new(|scope, payload, _| {
        Box::pin(async move {
            let Ok(Payload { request }) = serde_json::from_str(&payload) else {
                return Outcome::Dead("its payload cannot be read".to_owned());
            };
            match work(&scope, request).await {
                Ok(()) => Outcome::Done,
                Err(error) if error.code() == Code::NotFound => Outcome::Dead(error.to_string()),
                Err(error) => Outcome::Retry(error.to_string()),
            }
        })
    })
}

async fn work(scope: &Scope, id: PrivacyRequestId) -> Result<()> {
    let row = super::stored(&mut scope.read().await?, scope.tenant(), id).await?;
    if row.state != "working" {
        return Ok(());
    }
    let Some(key) = person::key(scope.runtime(), scope.tenant(), row.person_id).await? else {
        return lost(scope, &row).await;
    };
    let about = row.about(&key)?;
    let before = row.started_at.unwrap_or_else(|| scope.now());
    match row.kind() {
        Kind::Access | Kind::Portability => gather(scope, &row, &key, &about, before).await,
        Kind::Erasure => erase_all(scope, &row, &key, &about).await,
        Kind::Rectification => rectify(scope, &row, &key, &about).await,
        Kind::Restriction => {
            stop(scope, &about, before).await?;
            finish(scope, &row, &key, "Messages to this person are refused from now on.").await
        }
        Kind::Objection => {
            finish(scope, &row, &key, "Marketing to this person is refused from now on.").await
        }
    }
}

/// The person was erased by another request meanwhile: there is nothing left to carry out.
async fn lost(scope: &Scope, row: &Stored) -> Result<()> {
    let mut write = scope.write().await?;
    write
        .execute(
            sql!(
                "update privacy_request set state = 'done', ended_at = $3, waits_for = null, revision = revision + 1 \
                 where tenant_id = $1 and id = $2 and state = 'working'"
            ),
            args![scope.tenant(), row.id, scope.now()],
        )
        .await?;
    step(&mut write, scope, None, row, "done", "").await?;
    write.commit(()).await
}

async fn finish(scope: &Scope, row: &Stored, key: &Key, note: &str) -> Result<()> {
    let mut write = scope.write().await?;
    let done = write
        .execute(
            sql!(
                "update privacy_request set state = 'done', ended_at = $3, waits_for = null, revision = revision + 1 \
                 where tenant_id = $1 and id = $2 and state = 'working'"
            ),
            args![scope.tenant(), row.id, scope.now()],
        )
        .await?;
    if done > 0 {
        step(&mut write, scope, Some(key), row, "done", note).await?;
    }
    write.commit(()).await
}

async fn gather(scope: &Scope, row: &Stored, key: &Key, about: &About, before: Timestamp) -> Result<()> {
    let given_alone = row.kind() == Kind::Portability;
    let own = super::beside(about);
    let file = export::gather(scope, row.person_id, &about.identifiers, (given_alone, before), own).await?;
    let days = register::settings(scope).await?.file_days;
    let until = scope.now().plus_ms(i64::from(days) * DAY_MS);
    let mut write = scope.write().await?;
    write
        .execute(
            sql!("delete from privacy_file where tenant_id = $1 and request_id = $2"),
            args![scope.tenant(), row.id],
        )
        .await?;
    for (at, piece) in file.chunks(PIECE_BYTES).enumerate() {
        let locked = key.lock("privacy_file", "body_locked", &format!("{}/{at}", row.id), piece)?;
        write
            .execute(
                sql!(
                    "insert into privacy_file (request_id, piece, tenant_id, body_locked) values ($1, $2, $3, $4)"
                ),
                args![row.id, at as i64, scope.tenant(), locked],
            )
            .await?;
    }
    write
        .execute(
            sql!(
                "update privacy_request set state = 'done', ended_at = $3, file_until = $4, file_bytes = $5, waits_for = null, \
                 revision = revision + 1 where tenant_id = $1 and id = $2 and state = 'working'"
            ),
            args![scope.tenant(), row.id, scope.now(), until, file.len() as i64],
        )
        .await?;
    step(&mut write, scope, Some(key), row, "done", "").await?;
    write.commit(()).await
}

/// What the person says is right goes with everything that they are told from now on; a user's name is changed where it is
/// given as `name: …`.
async fn rectify(scope: &Scope, row: &Stored, key: &Key, about: &About) -> Result<()> {
    let name = about.note.lines().find_map(|line| line.trim().strip_prefix("name:")).map(str::trim);
    for user in about.identifiers.iter().filter(|one| one.is(By::User)) {
        let (Some(name), Ok(id)) = (name, user.value.parse::<i64>()) else { continue };
        let change = identity::user::UserChange {
            name: Some(name.to_owned()),
            ..identity::user::UserChange::default()
        };
        identity::user::update(scope, types::UserId::from_raw(id), change).await?;
    }
    finish(scope, row, key, "What the person says is kept with their request.").await
}

fn phones(about: &About) -> Vec<String> {
    about.identifiers.iter().filter(|one| one.is(By::Phone)).map(|one| one.value.clone()).collect()
}

async fn stop(scope: &Scope, about: &About, before: Timestamp) -> Result<u64> {
    match traffic(scope.runtime()) {
        Some(traffic) => traffic.settle(scope, &phones(about), before).await,
        None => Ok(0),
    }
}

record! { struct Mark { mark: String } }
record! { struct Objected { objected: bool } }

async fn erase_all(scope: &Scope, row: &Stored, key: &Key, about: &About) -> Result<()> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    // Messages to the person are refused since the start, so what is left can only become less.
    let before = scope.now().plus_ms(1);
    let left = stop(scope, about, before).await?;
    if left > 0 {
        return wait(scope, row, left).await;
    }
    // Before the opt-out list goes: erasing somebody must not bring marketing back to them.
    let objected = objected(scope, row, about).await?;
    // The trail is made of the stream: what the stream still holds must be in the trail before both are cleaned.
    follow::catch_up(runtime, tenant).await?;
    // And the ledger is made of the trail: what it has taken is locked by the key that goes at last.
    consent::follow::catch_up(scope).await?;
    erase::sweep(scope, Some(row.id), &about.identifiers, before).await?;
    if let Some(traffic) = traffic(runtime) {
        traffic.forget(scope, &phones(about)).await?;
    }
    let mut tx = scope.read().await?;
    let marks: Vec<Mark> = tx
        .all(
            sql!("select mark from person_mark where tenant_id = $1 and person_id = $2 limit 1000"),
            args![tenant, row.person_id],
        )
        .await?;
    drop(tx);
    let marks = marks.into_iter().map(|row| row.mark).collect();
    let stone = Tombstone { tenant, marks, erased_at: scope.now().plus_ms(1), objected };
    let certificate = Certificate {
        format: String::new(),
        tenant: tenant.to_string(),
        request: row.id.to_string(),
        person: row.person_id.to_string(),
        before,
        at: scope.now(),
        erased: erase::erased(scope, row.id).await?,
        kept: erase::kept(scope, &about.identifiers, before).await?,
        key_destroyed: key.id().to_owned(),
        signed_by: String::new(),
    };
    let signer = checkpoint::signer(runtime, tenant).await?;
    let text = certificate.text(signer.public_key())?;
    let signature = signer.signature(&text);
    tombstone::keep(runtime, &stone)?;
    let signed =
        SignedCertificate { certificate: text, signature, public_key: signer.public_key().to_owned() };
    close(scope, row, &stone, signed).await?;
    Standings::changed(runtime, tenant).await
}

/// The last transaction: the key goes, and the certificate stands.
async fn close(scope: &Scope, row: &Stored, stone: &Tombstone, signed: SignedCertificate) -> Result<()> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let mut write = scope.write().await?;
    tombstone::insert(&mut write, stone).await?;
    let done = write
        .execute(
            sql!(
                "update privacy_request set state = 'done', ended_at = $3, waits_for = null, certificate = $4, signature = $5, \
                 public_key = $6, revision = revision + 1 where tenant_id = $1 and id = $2 and state = 'working'"
            ),
            args![tenant, row.id, scope.now(), signed.certificate, signed.signature, signed.public_key],
        )
        .await?;
    if done == 0 {
        return Err(Error::new(Code::Conflict, "the request was changed meanwhile"));
    }
    person::shred(&mut write, tenant, row.person_id, stone.erased_at).await?;
    write
        .execute(
            sql!("delete from privacy_erased where tenant_id = $1 and request_id = $2"),
            args![tenant, row.id],
        )
        .await?;
    step(&mut write, scope, None, row, "done", "").await?;
    write.happened(Event::PersonErased(Change {
        id: row.person_id.to_string(),
        name: row.id.to_string(),
        before: None,
        after: None,
    }));
    // What is written behind the traffic, such as refusals, may come after all this.
    job::enqueue(&mut write, runtime, tenant, tombstone::KIND, &(), scope.now().plus_ms(AFTERWARDS_MS))
        .await?;
    write.commit(()).await
}

async fn wait(scope: &Scope, row: &Stored, left: u64) -> Result<()> {
    let mut write = scope.write().await?;
    let why = match left {
        1 => "one message that is on its way".to_owned(),
        n => format!("{n} messages that are on their way"),
    };
    write
        .execute(
            sql!(
                "update privacy_request set waits_for = $3 where tenant_id = $1 and id = $2 and state = 'working'"
            ),
            args![scope.tenant(), row.id, why],
        )
        .await?;
    let at = scope.now().plus_ms(LOOK_AGAIN_MS);
    job::enqueue(&mut write, scope.runtime(), scope.tenant(), KIND, &Payload { request: row.id }, at).await?;
    write.commit(()).await
}

/// Whether the person wanted no marketing, or had opted out of it. The answer is kept with the person, because after a crash the
/// list may be gone already.
async fn objected(scope: &Scope, row: &Stored, about: &About) -> Result<bool> {
    let opted_out = match traffic(scope.runtime()) {
        Some(traffic) => traffic.opted_out(scope, &phones(about)).await?,
        None => false,
    };
    let mut tx = scope.runtime().db.write(db::Tenancy::Tenant(scope.tenant())).await?;
    if opted_out {
        tx.execute(
            sql!(
                "update person set objected_at = $3 where tenant_id = $1 and id = $2 and objected_at is null"
            ),
            args![scope.tenant(), row.person_id, scope.now()],
        )
        .await?;
    }
    let found: Objected = tx
        .one(
            sql!("select (objected_at is not null) as objected from person where tenant_id = $1 and id = $2"),
            args![scope.tenant(), row.person_id],
        )
        .await?;
    tx.commit().await?;
    Ok(found.objected)
}
