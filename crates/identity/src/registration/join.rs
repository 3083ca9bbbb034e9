//! The newcomer's side: ask, show that the address is one's own, be in or wait.
//!
//! Whoever asks learns nothing about an address. Each asking does the same work, a password hashed and a row put down, and what
//! the address is to us is looked up by a job, which mails a link to one that is new and a word to one that has an account.

use std::sync::Arc;

use db::{Tenancy, args, record, sql};
use runtime::config::Secret;
use runtime::job::{self, Handler, Outcome};
use runtime::secrets::{sha256_hex, token};
use runtime::{Actor, Origin, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{Code, Error, Event, Permissions, RegistrationId, Result, TenantId, Timestamp};

use super::{Newcomer, RegistrationPolicy, admit, closed, policy, told, waiting};
use crate::attempt::MailAsks;
use crate::mail::{self, Account, Letter, Mail};
use crate::password::{self, Owner};
use crate::sign_in::Candidate;
use crate::{domain, name};

/// The kind of the jobs that look up who asked.
pub const KIND: &str = "identity.registered";
/// Newcomers of one tenant that have not shown their address yet.
const UNVERIFIED_MAX: i64 = 10_000;
/// Askings of one address that can be used at the same time; a further one replaces the oldest.
const SAME_MAX: i64 = 3;
/// How long somebody waits to be let in before they are forgotten.
const WAITING_MS: i64 = 90 * 86_400_000;

/// What a newcomer says of themselves.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    /// Their e-mail address.
    pub email: String,
    /// What to call them.
    pub name: String,
    /// The password they want.
    pub password: Secret,
    /// The language they read.
    pub language: String,
}

/// A tenant that can be registered with.
#[derive(Debug, Clone)]
pub struct Door {
    /// The tenant.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    policy: RegistrationPolicy,
}

/// Where a newcomer stands who has shown that their address is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// They can sign in.
    In,
    /// Somebody must let them in.
    Waiting,
}

record! { struct TenantRow { id: TenantId, name: String } }

/// The tenant whose own a host is, or that has this slug, if it lets people register.
///
/// # Errors
/// `not_found`, the same for a tenant that is not there and for one that is closed.
pub async fn door(runtime: &Runtime, host: Option<&str>, slug: Option<&str>) -> Result<Door> {
    let house = domain::house(runtime, host).map(|house| house.tenant);
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let row: Option<TenantRow> = tx
        .optional(
            sql!(
                "select id, name from tenant where status = 'active' and ((cast($1 as bigint) is not null and id = $1) \
                 or (cast($1 as bigint) is null and slug = $2)) /* every tenant: a stranger names it */"
            ),
            args![house, slug.map(str::to_owned)],
        )
        .await?;
    let row = row.ok_or_else(closed)?;
    let policy = policy(&mut tx, row.id).await?;
    if !policy.open || !mail::is_on(runtime) {
        return Err(closed());
    }
    Ok(Door { tenant: row.id, name: row.name, policy })
}

/// Who acts before anybody is known.
fn scope(runtime: &Runtime, tenant: TenantId, origin: Origin) -> Scope {
    Scope::grant(runtime.clone(), tenant, Actor::System("registration"), Permissions::NONE, origin)
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    id: RegistrationId,
}

record! { struct Counted { n: i64 } }

/// Asks to become a user. The answer and the time it takes are the same whether anybody has the address.
///
/// # Errors
/// `invalid_value` for a name or an address that is none, or an address of another domain; `weak_password`;
/// `too_many_requests` when the address or the network asked too often; `unavailable` when too many wait.
pub async fn ask(runtime: &Runtime, door: &Door, new: NewRegistration, origin: &Origin) -> Result<()> {
    let given = name::given("name", &new.name)?;
    let email = name::email(&new.email)?;
    let language = name::language(&new.language)?;
    if !door.policy.admits(&email) {
        let domains = door.policy.domains.join(", ");
        return Err(Error::invalid("email", format!("only addresses of {domains} can be registered here")));
    }
    password::check(runtime, Owner { name: &given, email: &email }, new.password.expose())?;
    let (folded, now) = (name::folded(&email), runtime.clock.now());
    runtime.kept(MailAsks::new).admit(&folded, origin.from.as_deref(), now)?;
    let hash = password::hash(runtime, new.password.expose()).await?;
    let (tenant, id) = (door.tenant, runtime.ids.next::<types::kind::Registration>());
    let expires_at = now.plus_ms(i64::from(runtime.config.security.link_ttl_m) * 60_000);
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    let open: Counted = tx
        .one(
            sql!(
                "select count(*) as n from registration where tenant_id = $1 and verified_at is null and expires_at > $2"
            ),
            args![tenant, now],
        )
        .await?;
    if open.n >= UNVERIFIED_MAX {
        return Err(Error::new(Code::Unavailable, "too many want to register at the same time")
            .hint("try again in an hour."));
    }
    tx.execute(
        sql!(
            "delete from registration where tenant_id = $1 and email_folded = $2 and verified_at is null and id not in \
             (select id from registration where tenant_id = $1 and email_folded = $2 and verified_at is null \
             order by id desc limit $3)"
        ),
        args![tenant, &folded, SAME_MAX - 1],
    )
    .await?;
    tx.execute(
        sql!(
            "insert into registration (id, tenant_id, email, email_folded, name, language, password_hash, from_address, \
             created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ),
        args![id, tenant, &email, &folded, &given, &language, hash, origin.from.clone(), now, expires_at],
    )
    .await?;
    job::enqueue(&mut tx, runtime, tenant, KIND, &Asked { id }, now).await?;
    tx.commit().await?;
    runtime.job_wake.notify_one();
    Ok(())
}

/// Looks up who asked, and puts the mail down.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            let asked: Asked = match serde_json::from_str(&payload) {
                Ok(asked) => asked,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            match answer(&scope, asked.id).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry(error.message().to_owned()),
            }
        })
    })
}

record! { struct Row { email: String, email_folded: String, language: String } }
record! { struct Wait { n: i64 } }

async fn answer(scope: &Scope, id: RegistrationId) -> Result<()> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let row: Option<Row> = tx
        .optional(
            sql!(
                "select email, email_folded, language from registration where tenant_id = $1 and id = $2 \
                 and verified_at is null and token_hash is null"
            ),
            args![tenant, id],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let known = Candidate::by_email(&mut tx, &row.email_folded).await?;
    let waits: Wait = tx
        .one(
            sql!(
                "select count(*) as n from registration where tenant_id = $1 and email_folded = $2 and verified_at is not null"
            ),
            args![tenant, &row.email_folded],
        )
        .await?;
    drop(tx);
    let mut write = scope.write().await?;
    let base = domain::public_url(&mut write, runtime, tenant).await?;
    if known.is_some() || waits.n > 0 {
        write
            .execute(sql!("delete from registration where tenant_id = $1 and id = $2"), args![tenant, id])
            .await?;
        // Who is shut out, or waits already, is told nothing new.
        if let Some(known) = known.filter(Candidate::may_enter) {
            let url = format!("{base}/sign-in");
            let letter = Letter::Account(Account::Known { url: &url });
            let mail = Mail::written(scope, &known.email, &known.language, &letter).await?;
            mail::enqueue(mail.as_ref(), &mut write, runtime).await?;
        }
    } else {
        let secret = token(32).map_err(Error::internal)?;
        let url = format!("{base}/registration?token={secret}");
        let letter =
            Letter::Account(Account::Register { url: &url, minutes: runtime.config.security.link_ttl_m });
        let mail = Mail::written(scope, &row.email, &row.language, &letter).await?;
        write
            .execute(
                sql!(
                    "update registration set token_hash = $3 where tenant_id = $1 and id = $2 and token_hash is null"
                ),
                args![tenant, id, sha256_hex(&secret)],
            )
            .await?;
        mail::enqueue(mail.as_ref(), &mut write, runtime).await?;
    }
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}

fn used() -> Error {
    Error::new(Code::LinkUsed, "this link is used, expired or incomplete").hint("Register again.")
}

record! { struct Whose { id: RegistrationId, tenant_id: TenantId, tenant_status: String } }

/// Shows by a mailed token that the address is the newcomer's; the token is used up by it.
///
/// # Errors
/// `link_used`, also when the tenant has closed meanwhile or somebody has the address by now.
pub async fn confirm(runtime: &Runtime, given: &str, origin: &Origin) -> Result<Joined> {
    let (hash, now) = (sha256_hex(given), runtime.clock.now());
    let whose: Option<Whose> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .optional(
            sql!(
                "select r.id, r.tenant_id, t.status as tenant_status from registration r join tenant t on t.id = r.tenant_id \
                 where r.token_hash = $1 and r.expires_at > $2 /* every tenant: the token says whose it is */"
            ),
            args![&hash, now],
        )
        .await?;
    let whose = whose.filter(|whose| whose.tenant_status == "active").ok_or_else(used)?;
    let scope = scope(runtime, whose.tenant_id, origin.clone());
    let mut write = scope.write().await?;
    let policy = policy(&mut write, whose.tenant_id).await?;
    let waits_until: Timestamp = now.plus_ms(WAITING_MS);
    let taken = write
        .execute(
            sql!(
                "update registration set token_hash = null, verified_at = $4, expires_at = $5 \
                 where tenant_id = $1 and id = $2 and token_hash = $3 and expires_at > $4"
            ),
            args![whose.tenant_id, whose.id, &hash, now, waits_until],
        )
        .await?;
    if taken == 0 {
        return Err(used());
    }
    let newcomer: Newcomer = write
        .one(
            sql!(
                "select id, email, name, language, password_hash, created_at, verified_at, from_address from registration \
                 where tenant_id = $1 and id = $2"
            ),
            args![whose.tenant_id, whose.id],
        )
        .await?;
    if !policy.admits(&newcomer.email) {
        return Err(used());
    }
    if policy.approval {
        // Of several askings one waits.
        write
            .execute(
                sql!("delete from registration where tenant_id = $1 and email_folded = $2 and id <> $3"),
                args![whose.tenant_id, name::folded(&newcomer.email), whose.id],
            )
            .await?;
        waiting::gather(&mut write, runtime, whose.tenant_id).await?;
        write.happened(Event::UserRegistered(told(&newcomer, "waiting")));
        return write.commit(()).await.map(|()| Joined::Waiting);
    }
    match admit(&mut write, &scope, newcomer, policy.role).await {
        Ok(_) => write.commit(()).await.map(|()| Joined::In),
        // Somebody was created with the address meanwhile.
        Err(error) if error.code() == Code::AlreadyExists => Err(used()),
        Err(error) => Err(error),
    }
}
