//! Authenticator apps: time-based one-time codes (RFC 6238) of six digits and 30 seconds, by HMAC-SHA-1, which is what all
//! apps know. The secret is sealed with the tenant's key; a step whose code was accepted is never accepted again.

use db::{Tx, args, record, sql};
use fast_qr::convert::svg::SvgBuilder;
use fast_qr::qr::QRBuilder;
use runtime::Scope;
use serde::Serialize;
use totp_rs::{Builder, Secret, Totp};
use types::{Code, Error, Result, TenantId, UserId};

use super::{backup, changed, notice, tidy_up};
use crate::encryption::{self, Sealed};
use crate::journal::Kind;
use crate::user;

/// Octets of a secret: as many as the hash has (RFC 4226 §4).
const SECRET_OCTETS: usize = 20;
/// Steps that an authenticator's clock may be ahead or behind (RFC 6238 §5.2).
const SKEW_STEPS: u16 = 1;
const STEP_S: u64 = 30;
/// The name under which apps show the account.
const ISSUER: &str = "Switchboard";

/// The sealed secrets, for whoever seals them anew.
pub const SEALED: Sealed = Sealed {
    title: "Authenticators of people",
    table: "totp",
    column: "secret_sealed",
    row: |id| UserId::from_raw(id).to_string(),
    count: sql!("select count(*) as n from totp where tenant_id = $1 and secret_sealed like $2"),
    walk: sql!(
        "select user_id as id, secret_sealed as sealed from totp where tenant_id = $1 and user_id > $2 \
         order by user_id limit $3"
    ),
    replace: sql!(
        "update totp set secret_sealed = r.new from rows(id bigint, old text, new text) r \
         where totp.tenant_id = $1 and totp.user_id = r.id and totp.secret_sealed = r.old"
    ),
};

/// An authenticator that is being added; it does not count before a code of it was shown.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct Enrolment {
    /// The secret in base 32, for who types it.
    pub secret: String,
    /// The address that the QR code holds.
    pub url: String,
    /// The QR code as SVG.
    #[serde(skip)]
    pub picture: String,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Enrolment")
    }
}

record! { struct Stored { secret: String, confirmed: bool, last_step: i64 } }

async fn stored(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<Option<Stored>> {
    Ok(tx
        .optional(
            sql!(
                "select secret_sealed as secret, (confirmed_at is not null) as confirmed, last_step from totp \
                 where tenant_id = $1 and user_id = $2"
            ),
            args![tenant, id],
        )
        .await?)
}

fn with_secret(secret: Secret, account: &str) -> Result<Totp> {
    // Neither name may hold a colon, which parts them in the address.
    let account = account.replace(':', " ");
    Builder::new()
        .with_secret(secret)
        .with_skew(SKEW_STEPS)
        .with_step_duration(STEP_S)
        .with_account_name(account)
        .with_issuer(Some(ISSUER))
        .build()
        .map_err(|error| Error::internal(error.to_string()))
}

async fn opened(scope: &Scope, id: UserId, sealed: &str, account: &str) -> Result<Totp> {
    let secret =
        encryption::open(scope.runtime(), scope.tenant(), "totp", "secret_sealed", &id.to_string(), sealed)
            .await?;
    let secret =
        Secret::try_from_base32(secret.expose()).map_err(|error| Error::internal(error.to_string()))?;
    with_secret(secret, account)
}

/// Begins to add an authenticator of one's own; called again before it counts, it shows the same one.
///
/// # Errors
/// `forbidden` for a program; `step_up_required`; `conflict` where there is one.
pub async fn begin(scope: &Scope) -> Result<Enrolment> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let mut tx = scope.read().await?;
    let user = user::find(&mut tx, scope.tenant(), id).await?;
    let before = stored(&mut tx, scope.tenant(), id).await?;
    drop(tx);
    let totp = match before {
        Some(stored) if stored.confirmed => {
            return Err(Error::new(Code::Conflict, "you have an authenticator already")
                .hint("Remove it before you add another one."));
        }
        Some(stored) => opened(scope, id, &stored.secret, &user.email).await?,
        None => {
            let mut octets = [0_u8; SECRET_OCTETS];
            runtime::secrets::fill(&mut octets).map_err(Error::internal)?;
            let totp = with_secret(Secret::from(octets.to_vec()), &user.email)?;
            let plain = totp.secret().to_base32();
            let sealed = encryption::seal(scope, "totp", "secret_sealed", &id.to_string(), &plain).await?;
            let mut write = scope.write().await?;
            write
                .execute(
                    sql!(
                        "insert into totp (user_id, tenant_id, secret_sealed, created_at, last_step) values ($2, $1, $3, $4, 0) \
                         on conflict (user_id) do nothing"
                    ),
                    args![scope.tenant(), id, sealed, scope.now()],
                )
                .await?;
            write.commit(()).await?;
            // Of two that begin at once the first one's secret is shown to both.
            let kept = stored(&mut scope.read().await?, scope.tenant(), id).await?;
            let kept =
                kept.ok_or_else(|| Error::new(Code::Conflict, "the authenticator was removed meanwhile"))?;
            opened(scope, id, &kept.secret, &user.email).await?
        }
    };
    let url = totp.to_url().map_err(|error| Error::internal(error.to_string()))?;
    let code = QRBuilder::new(url.clone()).build().map_err(|error| Error::internal(error.to_string()))?;
    Ok(Enrolment { secret: totp.secret().to_base32(), url, picture: SvgBuilder::default().to_str(&code) })
}

/// Makes the authenticator count, by a code of it. Whoever had no second factor before gets backup codes, shown this once.
///
/// # Errors
/// `code_refused` at `code`; `conflict` where none is being added.
pub async fn confirm(scope: &Scope, code: &str) -> Result<Vec<String>> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let mut tx = scope.read().await?;
    let user = user::find(&mut tx, scope.tenant(), id).await?;
    let begun = stored(&mut tx, scope.tenant(), id).await?.filter(|stored| !stored.confirmed);
    drop(tx);
    let begun = begun.ok_or_else(|| Error::new(Code::Conflict, "no authenticator is being added"))?;
    let totp = opened(scope, id, &begun.secret, &user.email).await?;
    let step = totp.check(&plain(code), seconds(scope)).ok_or_else(refused)?;
    let notice = notice(scope, &user, "authenticator added").await?;
    let mut write = scope.write().await?;
    let had = super::has_any(&mut write, scope.tenant(), id).await?;
    let confirmed = write
        .execute(
            sql!(
                "update totp set confirmed_at = $3, last_step = $4 where tenant_id = $1 and user_id = $2 \
                 and confirmed_at is null and secret_sealed = $5"
            ),
            args![scope.tenant(), id, scope.now(), step as i64, &begun.secret],
        )
        .await?;
    if confirmed == 0 {
        return Err(Error::new(Code::Conflict, "the authenticator was changed meanwhile"));
    }
    let codes = if had { Vec::new() } else { backup::insert(&mut write, scope, id).await? };
    changed(&mut write, scope, &user, Kind::FactorAdded, "authenticator", notice.as_ref()).await?;
    write.commit(()).await?;
    Ok(codes)
}

/// Removes one's own authenticator, or the one that is being added.
///
/// # Errors
/// `forbidden` for a program; `step_up_required`; `conflict` where it is the last second factor and the tenant demands one.
pub async fn remove(scope: &Scope) -> Result<()> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let user = user::find(&mut scope.read().await?, scope.tenant(), id).await?;
    let notice = notice(scope, &user, "authenticator removed").await?;
    let mut write = scope.write().await?;
    let before = stored(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from totp where tenant_id = $1 and user_id = $2"), args![scope.tenant(), id])
        .await?;
    if before.is_some_and(|stored| stored.confirmed) {
        super::keep_demanded(&mut write, scope, &user).await?;
        tidy_up(&mut write, scope.tenant(), id).await?;
        changed(&mut write, scope, &user, Kind::FactorRemoved, "authenticator", notice.as_ref()).await?;
    }
    write.commit(()).await
}

/// The step of a code that the user's authenticator shows about now; nothing for another code, or without one.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn step_of(scope: &Scope, id: UserId, code: &str) -> Result<Option<i64>> {
    let found = stored(&mut scope.read().await?, scope.tenant(), id).await?;
    let Some(stored) = found.filter(|stored| stored.confirmed) else { return Ok(None) };
    let totp = opened(scope, id, &stored.secret, "user").await?;
    let step = totp.check(&plain(code), seconds(scope)).map(|step| step as i64);
    Ok(step.filter(|step| *step > stored.last_step))
}

/// Uses a step up, in the transaction that its code opens the door in; `false` when it, or a later one, was used before.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn use_step(tx: &mut Tx, scope: &Scope, id: UserId, step: i64) -> Result<bool> {
    let used = tx
        .execute(
            sql!(
                "update totp set last_step = $3, last_used_at = $4 where tenant_id = $1 and user_id = $2 \
                 and confirmed_at is not null and last_step < $3"
            ),
            args![scope.tenant(), id, step, scope.now()],
        )
        .await?;
    Ok(used == 1)
}

fn seconds(scope: &Scope) -> u64 {
    u64::try_from(scope.now().unix_ms() / 1_000).unwrap_or(0)
}

/// Apps show codes in groups, and people type them so.
pub(crate) fn plain(code: &str) -> String {
    code.chars().filter(|ch| !ch.is_whitespace() && *ch != '-').collect()
}

pub(crate) fn refused() -> Error {
    Error::new(Code::CodeRefused, "this code is wrong, or was used before").at("code")
}
