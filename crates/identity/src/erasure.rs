//! The end of a tenant: asked for, waited for, carried out row by row, certified.
//!
//! Whoever asks types the tenant's name, and until the time that is given it can be called off. Then every row of the tenant
//! goes, a window of a table at a time and the tenant's own row with its data key last, so that a process that dies goes on
//! where it was. What stays is the platform's: a certificate with the number of rows of each table, signed by the key that
//! signs the checkpoints of the platform's audit trail, and what that trail says of who created, changed and erased the tenant.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use db::{Tenancy, Tx, args, record, sql};
use futures::future::BoxFuture;
use runtime::outbox::{self, Happened};
use runtime::secrets::sha256_hex;
use runtime::{Actor, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, ErasureId, Error, Event, Page, Permission, Result, TenantId, Timestamp};
use web::Paging;

use crate::tenant::{self, ERASING, platform};
use crate::{audit, domain, encryption};

pub mod api;
pub mod certificate;
pub mod pages;

use certificate::{Certificate, Signed};

/// How often it is looked for what is due.
const LOOKED_EVERY: Duration = Duration::from_secs(2);
/// Rows that one transaction looks through.
const WINDOW_ROWS: i64 = 2_000;
/// The pause behind a transaction that deleted something, for others to write.
const PAUSE: Duration = Duration::from_millis(10);
/// For how long late rows, of work that was under way, are still swept out.
const LATE_MS: i64 = 3_600_000;
/// Erasures that one look finds.
const DUE_MAX: i64 = 1_000;

/// Ends what runs for a tenant outside the database's rows: binds, links, files. It may be called again.
pub type Leave = Arc<dyn Fn(TenantId) -> BoxFuture<'static, Result<()>> + Send + Sync>;

record! {
    /// The erasure of a tenant.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Erasure {
        /// Its id.
        pub id: ErasureId,
        /// The tenant.
        pub tenant: TenantId,
        /// Who asked for it.
        pub asked_by: String,
        /// When.
        pub asked_at: Timestamp,
        /// Until when it can be called off.
        pub erase_at: Timestamp,
        /// When it was called off.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub called_off_at: Option<Timestamp>,
        /// When it began.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub began_at: Option<Timestamp>,
        /// When the last row was gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub erased_at: Option<Timestamp>,
        /// The certificate: what was signed, octet for octet.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub body: Option<String>,
        /// Its signature (Ed25519, base64url).
        #[serde(skip_serializing_if = "Option::is_none")]
        pub signature: Option<String>,
        /// The key that verifies it, that of the platform's audit trail.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub public_key: Option<String>,
    }
}

impl Erasure {
    /// Its certificate as it is handed out; nothing before it is done.
    pub fn signed(&self) -> Option<Signed> {
        let (body, signature, public_key) =
            (self.body.clone()?, self.signature.clone()?, self.public_key.clone()?);
        Some(Signed { body, signature, public_key })
    }
}

/// A wish that a tenant be erased.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskErasure {
    /// The tenant's name, as it is, so that nobody erases another by mistake.
    pub name: String,
    /// Hours in which it can be called off; `tenants.grace_h` when not given. Only the platform's administrators may give
    /// fewer.
    pub grace_h: Option<u32>,
}

/// Whether the caller's tenant is the installation's own, which keeps the certificates and cannot be erased.
pub(crate) async fn is_platform(scope: &Scope) -> Result<bool> {
    Ok(platform(&mut scope.read().await?).await? == scope.tenant())
}

/// Asks for the erasure of the caller's own tenant.
///
/// # Errors
/// Without `organisation.erase`; `step_up_required`; `invalid_value` for another name; `conflict` when it was asked for before, or
/// while other tenants stand beneath it.
pub async fn ask_own(scope: &Scope, asked: AskErasure) -> Result<Erasure> {
    scope.require(Permission::OrganisationErase)?;
    let least = scope.runtime().config.tenants.grace_h;
    let grace_h = asked.grace_h.unwrap_or(least).max(least);
    ask(scope, scope.tenant(), &asked.name, grace_h).await
}

/// Asks for the erasure of any tenant.
///
/// # Errors
/// Without `tenant.erase`; otherwise as [`ask_own`].
pub async fn ask_any(scope: &Scope, tenant: TenantId, asked: AskErasure) -> Result<Erasure> {
    scope.require(Permission::TenantErase)?;
    let grace_h = asked.grace_h.unwrap_or(scope.runtime().config.tenants.grace_h);
    ask(scope, tenant, &asked.name, grace_h).await
}

async fn ask(scope: &Scope, whose: TenantId, name: &str, grace_h: u32) -> Result<Erasure> {
    scope.require_fresh()?;
    if grace_h > GRACE_MAX_H {
        return Err(Error::invalid("grace_h", format!("give at most {GRACE_MAX_H} hours")));
    }
    let (runtime, now) = (scope.runtime(), scope.now());
    let mut write = match whose == scope.tenant() {
        true => scope.write().await?,
        false => scope.write_every().await?,
    };
    tenant::tree::turn(&mut write).await?;
    let tenant = tenant::find(&mut write, whose).await?;
    if platform(&mut write).await? == whose {
        return Err(Error::new(
            Code::Conflict,
            "this is the installation's own tenant, which keeps the certificates",
        )
        .hint("remove the whole installation instead: its database, its data folder and its root key"));
    }
    if name.trim() != tenant.name {
        return Err(
            Error::invalid("name", "this is not the tenant's name").hint("type it exactly as it is shown")
        );
    }
    if tenant.erase_at.is_some() || tenant.status == ERASING {
        return Err(Error::new(Code::Conflict, "the erasure was asked for before").at("tenant"));
    }
    tenant::tree::refuse_above_others(&mut write, whose).await?;
    let erasure = Erasure {
        id: runtime.ids.next(),
        tenant: whose,
        asked_by: scope.actor().to_string(),
        asked_at: now,
        erase_at: now.plus_ms(i64::from(grace_h) * 3_600_000),
        called_off_at: None,
        began_at: None,
        erased_at: None,
        body: None,
        signature: None,
        public_key: None,
    };
    write
        .execute(
            sql!(
                "insert into erasure (id, tenant, name_sha256, asked_by, asked_at, erase_at, counts) \
                 values ($1, $2, $3, $4, $5, $6, '{}')"
            ),
            args![erasure.id, whose, sha256_hex(&tenant.name), &erasure.asked_by, now, erasure.erase_at],
        )
        .await?;
    write
        .execute(sql!("update tenant set erase_at = $2 where id = $1"), args![whose, erasure.erase_at])
        .await?;
    let told = Change {
        id: whose.to_string(),
        name: tenant.name.clone(),
        before: None,
        after: Some(serde_json::json!({ "erasure": erasure.id, "erase_at": erasure.erase_at })),
    };
    both(&mut write, scope, whose, Event::ErasureAsked(told));
    write.commit(erasure).await
}

/// Hours that can be given to think about it.
const GRACE_MAX_H: u32 = 8_760;

/// Tells the tenant and, where somebody else does it, whoever that is.
fn both(write: &mut runtime::Write, scope: &Scope, whose: TenantId, event: Event) {
    if whose != scope.tenant() {
        write.happened(event.clone());
    }
    write.happened_to(whose, event);
}

/// Calls the erasure of the caller's own tenant off.
///
/// # Errors
/// Without `organisation.erase`; `not_found` where none was asked for; `conflict` when it has begun.
pub async fn call_off_own(scope: &Scope) -> Result<Erasure> {
    scope.require(Permission::OrganisationErase)?;
    call_off(scope, scope.tenant()).await
}

/// Calls the erasure of any tenant off.
///
/// # Errors
/// Without `tenant.erase`; otherwise as [`call_off_own`].
pub async fn call_off_any(scope: &Scope, tenant: TenantId) -> Result<Erasure> {
    scope.require(Permission::TenantErase)?;
    call_off(scope, tenant).await
}

async fn call_off(scope: &Scope, whose: TenantId) -> Result<Erasure> {
    let mut write = match whose == scope.tenant() {
        true => scope.write().await?,
        false => scope.write_every().await?,
    };
    let erasure = latest(&mut write, whose).await?.filter(|one| one.called_off_at.is_none());
    let erasure = erasure.ok_or_else(|| Error::not_found("erasure"))?;
    let changed = write
        .execute(
            sql!("update erasure set called_off_at = $2 where id = $1 and called_off_at is null and began_at is null"),
            args![erasure.id, scope.now()],
        )
        .await?;
    if changed == 0 {
        return Err(Error::new(Code::Conflict, "the erasure has begun and cannot be called off"));
    }
    write.execute(sql!("update tenant set erase_at = null where id = $1"), args![whose]).await?;
    let told = Change {
        id: whose.to_string(),
        name: "erasure".to_owned(),
        before: Some(serde_json::json!({ "erasure": erasure.id, "erase_at": erasure.erase_at })),
        after: None,
    };
    both(&mut write, scope, whose, Event::ErasureCalledOff(told));
    write.commit(Erasure { called_off_at: Some(scope.now()), ..erasure }).await
}

async fn latest(tx: &mut Tx, whose: TenantId) -> Result<Option<Erasure>> {
    Ok(tx
        .optional(
            sql!(
                "select id, tenant, asked_by, asked_at, erase_at, called_off_at, began_at, erased_at, body, signature, public_key \
                 from erasure where tenant = $1 order by id desc limit 1"
            ),
            args![whose],
        )
        .await?)
}

/// The erasure that was last asked for of the caller's own tenant.
///
/// # Errors
/// Without `organisation.erase`; `not_found` where none was.
pub async fn own(scope: &Scope) -> Result<Erasure> {
    scope.require(Permission::OrganisationErase)?;
    latest(&mut scope.read().await?, scope.tenant()).await?.ok_or_else(|| Error::not_found("erasure"))
}

/// All erasures with their certificates, newest first.
///
/// # Errors
/// Without `tenant.erase`.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Erasure>> {
    scope.require(Permission::TenantErase)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let found = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, tenant, asked_by, asked_at, erase_at, called_off_at, began_at, erased_at, body, signature, public_key \
                 from erasure where id < $1 order by id desc limit $2"
            ),
            args![behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(found, limit, |one: &Erasure| one.id.raw()))
}

/// One erasure.
///
/// # Errors
/// Without `tenant.erase`; `not_found`.
pub async fn get(scope: &Scope, id: ErasureId) -> Result<Erasure> {
    scope.require(Permission::TenantErase)?;
    let found = scope
        .read()
        .await?
        .optional(
            sql!(
                "select id, tenant, asked_by, asked_at, erase_at, called_off_at, began_at, erased_at, body, signature, public_key \
                 from erasure where id = $1"
            ),
            args![id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("erasure"))
}

record! {
    struct Due {
        id: ErasureId, tenant: TenantId, name_sha256: String, asked_by: String, asked_at: Timestamp, began_at: Option<Timestamp>,
        counts: String, erased_at: Option<Timestamp>,
    }
}

/// Carries out what is due, until the program stops.
pub async fn keep(runtime: Runtime, tables: Vec<&'static str>, leave: Leave) {
    let stopping = runtime.tasks.stopping();
    let mut swept = HashMap::new();
    while !stopping.is_cancelled() {
        if let Err(error) = round(&runtime, &tables, &leave, &mut swept).await {
            tracing::error!(?error, "an erasure could not go on; trying again");
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(LOOKED_EVERY) => {}
        }
    }
}

/// Carries out what is due now. `swept` is when late rows were last looked for: each pause is as long as all before it together.
async fn round(
    runtime: &Runtime,
    tables: &[&'static str],
    leave: &Leave,
    swept: &mut HashMap<ErasureId, Timestamp>,
) -> Result<()> {
    let now = runtime.clock.now();
    let due: Vec<Due> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select id, tenant, name_sha256, asked_by, asked_at, began_at, counts, erased_at from erasure \
                 where called_off_at is null and erase_at <= $1 and (rewritten_at is null or erased_at > $2) \
                 order by case when erased_at is null then 0 else 1 end, erase_at limit $3"
            ),
            args![now, now.plus_ms(-LATE_MS), DUE_MAX],
        )
        .await?;
    swept.retain(|id, _| due.iter().any(|one| one.id == *id));
    for one in due {
        let Some(erased_at) = one.erased_at else {
            erase(runtime, tables, leave, &one).await?;
            continue;
        };
        let last = swept.get(&one.id).copied();
        if last.is_none_or(|last| now.since_ms(last) >= last.since_ms(erased_at)) {
            finish(runtime, tables, &one).await?;
            swept.insert(one.id, now);
        }
    }
    Ok(())
}

/// Deletes everything of one tenant, from wherever a process before this one has come.
async fn erase(runtime: &Runtime, tables: &[&'static str], leave: &Leave, due: &Due) -> Result<()> {
    let whose = due.tenant;
    let Some(began_at) = begin(runtime, due).await? else { return Ok(()) };
    leave(whose).await?;
    let mut counts: BTreeMap<String, u64> = serde_json::from_str(&due.counts).map_err(Error::internal)?;
    let stopping = runtime.tasks.stopping();
    for table in tables.iter().rev() {
        let mut from = 0;
        loop {
            if stopping.is_cancelled() {
                return Ok(());
            }
            let mut tx = runtime.db.write(Tenancy::Every).await?;
            tx.overwrite_deleted(true).await?;
            let window = tx.delete_window(table, whose, from, WINDOW_ROWS).await?;
            if window.deleted > 0 {
                *counts.entry((*table).to_owned()).or_default() += window.deleted;
                keep_counts(&mut tx, due.id, &counts).await?;
            }
            tx.overwrite_deleted(false).await?;
            tx.commit().await?;
            if window.deleted > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            match window.next {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    // What still ran has nothing to run for any more.
    leave(whose).await?;
    certify(runtime, tables, due, began_at, counts).await?;
    encryption::forget(runtime, whose);
    domain::refresh(runtime).await?;
    leave(whose).await
}

async fn keep_counts(tx: &mut Tx, id: ErasureId, counts: &BTreeMap<String, u64>) -> Result<()> {
    let text = serde_json::to_string(counts).map_err(Error::internal)?;
    tx.execute(sql!("update erasure set counts = $2 where id = $1"), args![id, text]).await?;
    Ok(())
}

/// Shuts the tenant for good. Nothing when it was called off a moment before.
async fn begin(runtime: &Runtime, due: &Due) -> Result<Option<Timestamp>> {
    if let Some(began_at) = due.began_at {
        return Ok(Some(began_at));
    }
    let now = runtime.clock.now();
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let began = tx
        .execute(
            sql!("update erasure set began_at = $2 where id = $1 and called_off_at is null and began_at is null"),
            args![due.id, now],
        )
        .await?;
    if began == 0 {
        return Ok(None);
    }
    tx.execute(sql!("update tenant set status = $2 where id = $1"), args![due.tenant, ERASING]).await?;
    let told = Change {
        id: due.tenant.to_string(),
        name: "status".to_owned(),
        before: None,
        after: Some(serde_json::json!({ "status": ERASING, "erasure": due.id })),
    };
    let platform = platform(&mut tx).await?;
    let written =
        outbox::write(&mut tx, vec![happened(runtime, platform, Event::TenantChanged(told))]).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    Ok(Some(now))
}

fn happened(runtime: &Runtime, tenant: TenantId, event: Event) -> Happened {
    Happened {
        tenant,
        at: runtime.clock.now(),
        actor: Actor::System("erasure").to_string(),
        request_id: None,
        from: None,
        events: vec![event],
    }
}

/// The last rows, the tenant's own row with its data key, and the certificate: together or not at all.
async fn certify(
    runtime: &Runtime,
    tables: &[&'static str],
    due: &Due,
    began_at: Timestamp,
    mut counts: BTreeMap<String, u64>,
) -> Result<()> {
    let platform = platform(&mut runtime.db.read(Tenancy::Every).await?).await?;
    let signing = audit::signing(runtime, platform).await?;
    let erased_at = runtime.clock.now();
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    tx.overwrite_deleted(true).await?;
    for table in tables.iter().rev() {
        let late = tx.delete_rest(table, due.tenant).await?;
        if late > 0 {
            *counts.entry((*table).to_owned()).or_default() += late;
        }
    }
    let gone = tx.execute(sql!("delete from tenant where id = $1"), args![due.tenant]).await?;
    counts.insert("tenant".to_owned(), gone);
    let certificate = Certificate {
        certificate: certificate::FORMAT.to_owned(),
        erasure: due.id,
        tenant: due.tenant,
        name_sha256: due.name_sha256.clone(),
        asked_by: due.asked_by.clone(),
        asked_at: due.asked_at,
        began_at,
        erased_at,
        rows: counts.values().sum(),
        tables: counts.clone(),
        platform,
        key: signing.id(),
    };
    let body = serde_json::to_string(&certificate).map_err(Error::internal)?;
    let signature = signing.sign(&body);
    tx.execute(
        sql!("update erasure set erased_at = $2, body = $3, signature = $4, public_key = $5 where id = $1"),
        args![due.id, erased_at, &body, signature, signing.public_half()],
    )
    .await?;
    keep_counts(&mut tx, due.id, &counts).await?;
    tx.overwrite_deleted(false).await?;
    let told = Change {
        id: due.tenant.to_string(),
        name: due.id.to_string(),
        before: None,
        after: Some(serde_json::json!({ "rows": certificate.rows, "certificate_sha256": sha256_hex(&body) })),
    };
    let written =
        outbox::write(&mut tx, vec![happened(runtime, platform, Event::TenantErased(told))]).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    tracing::info!(tenant = %due.tenant, rows = certificate.rows, "a tenant is erased");
    Ok(())
}

/// Sweeps out what work under way has written behind the erasure, and writes the database's file anew, once.
async fn finish(runtime: &Runtime, tables: &[&'static str], due: &Due) -> Result<()> {
    let mut late = 0;
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    for table in tables {
        late += tx.count_rows(table, due.tenant).await?;
    }
    drop(tx);
    if late > 0 {
        let mut tx = runtime.db.write(Tenancy::Every).await?;
        tx.overwrite_deleted(true).await?;
        for table in tables.iter().rev() {
            tx.delete_rest(table, due.tenant).await?;
        }
        tx.overwrite_deleted(false).await?;
        tx.commit().await?;
        tracing::info!(tenant = %due.tenant, late, "rows that came behind an erasure are gone too");
    }
    record! { struct Rewritten { rewritten_at: Option<Timestamp> } }
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let Rewritten { rewritten_at } =
        tx.one(sql!("select rewritten_at from erasure where id = $1"), args![due.id]).await?;
    drop(tx);
    if rewritten_at.is_some() && late == 0 {
        return Ok(());
    }
    if !runtime.db.rewrite(runtime.config.tenants.rewrite_bytes_max).await? {
        tracing::info!(tenant = %due.tenant, "the database was not written anew after the erasure");
    }
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    tx.execute(
        sql!("update erasure set rewritten_at = $2 where id = $1"),
        args![due.id, runtime.clock.now()],
    )
    .await?;
    tx.commit().await?;
    Ok(())
}
