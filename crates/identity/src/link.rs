//! One-time sign-in links: 32 random octets of which only the SHA-256 is stored, usable once and not for long.

use db::{Tx, args, record, sql};
use runtime::secrets::{sha256_hex, token};
use runtime::{Actor, Origin, Runtime, Scope};
use serde::Serialize;
use types::event::Access;
use types::{Error, Event, Permission, Result, TenantId, Timestamp, UserId};

use crate::journal::{self, Kind};
use crate::user;

/// Links of one user that can be used at the same time; a further one replaces the oldest.
const LINKS_MAX: i64 = 5;

/// A sign-in link that was just made.
#[derive(Clone, Serialize, utoipa::ToSchema)]
#[schema(as = SignInLink)]
pub struct Link {
    /// The whole address; absent when the answer is a repetition.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub url: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// The address without scheme and host, for who knows better under which the server is reached.
    #[serde(skip)]
    pub path: String,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link(until {})", self.expires_at)
    }
}

/// Makes a sign-in link for a user of the tenant, shown this once.
///
/// # Errors
/// Without `user.link`; `not_found`; `forbidden` for a user who may do more than the caller.
pub async fn create(scope: &Scope, id: UserId) -> Result<Link> {
    scope.require(Permission::UserLink)?;
    scope.require_fresh()?;
    let mut write = scope.write().await?;
    let user = user::find(&mut write, scope.tenant(), id).await?;
    scope.require_for(Permission::UserLink, Some(id))?;
    user::may_govern(&mut write, scope, &user).await?;
    if user.status != user::Status::Active.as_str() {
        return Err(Error::new(types::Code::Conflict, "this user is disabled").hint("enable the user first."));
    }
    let link = insert(&mut write, scope.runtime(), (scope.tenant(), id), None).await?;
    journal::note(&mut write, scope, id, Kind::LinkIssued, None, None).await?;
    write.happened(Event::LinkIssued(Access { who: user.email, by: "link".to_owned(), reason: None }));
    let kept = Link { url: String::new(), path: String::new(), ..link.clone() };
    write.commit_keeping(&kept).await?;
    Ok(link)
}

/// Inserts a link; the transaction reaches the tenant. One that is mailed names the address, folded, that it proves.
pub(crate) async fn insert(
    tx: &mut Tx,
    runtime: &Runtime,
    (tenant, user): (TenantId, UserId),
    mailed_to: Option<&str>,
) -> Result<Link> {
    let now = runtime.clock.now();
    let secret = token(32).map_err(Error::internal)?;
    let path = format!("/sign-in/link?token={secret}");
    let link = Link {
        url: format!("{}{path}", crate::domain::public_url(tx, runtime, tenant).await?),
        expires_at: now.plus_ms(i64::from(runtime.config.security.link_ttl_m) * 60_000),
        path,
    };
    tx.execute(
        sql!(
            "delete from sign_in_link where tenant_id = $1 and user_id = $2 and (expires_at <= $3 or token_hash not in \
             (select token_hash from sign_in_link where tenant_id = $1 and user_id = $2 order by expires_at desc limit $4))"
        ),
        args![tenant, user, now, LINKS_MAX - 1],
    )
    .await?;
    tx.execute(
        sql!(
            "insert into sign_in_link (token_hash, tenant_id, user_id, expires_at, mailed_to) \
             values ($1, $2, $3, $4, $5)"
        ),
        args![sha256_hex(&secret), tenant, user, link.expires_at, mailed_to.map(str::to_owned)],
    )
    .await?;
    Ok(link)
}

record! { struct Owner { id: UserId, tenant_id: TenantId } }

/// Makes a link for the user of this address without anybody asking over the network: for the command line beside the
/// database, when nobody can get in.
///
/// # Errors
/// `not_found` when no active user has the address.
pub async fn create_offline(runtime: &Runtime, email: &str) -> Result<Link> {
    let (scope, id) = offline(runtime, email).await?;
    create(&scope, id).await
}

/// The scope of the command line beside the database, in the tenant of the active user of this address.
///
/// # Errors
/// `not_found` when no active user has the address.
pub(crate) async fn offline(runtime: &Runtime, email: &str) -> Result<(Scope, UserId)> {
    let owner: Option<Owner> = runtime
        .db
        .read(db::Tenancy::Every)
        .await?
        .optional(
            sql!(
                "select id, tenant_id from users where email_folded = $1 and status = 'active' \
                 /* every tenant: the address says whose it is */"
            ),
            args![crate::name::folded(email)],
        )
        .await?;
    let owner = owner.ok_or_else(|| Error::not_found("user"))?;
    let actor = Actor::System("command line");
    let scope =
        Scope::grant(runtime.clone(), owner.tenant_id, actor, types::Permissions::all(), Origin::default());
    Ok((scope, owner.id))
}
