//! Who of a service is whom here: people tie themselves by signing in; an administrator ties a program, which cannot.

use db::{OnConflict, Tx, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Access;
use types::{Code, Error, Event, Page, Permission, ProviderId, Result, TenantId, Timestamp, UserId};
use web::Paging;

use super::{find, plain};
use crate::federation::reaches_over;
use crate::user;

record! {
    /// A subject of a service and the user who it is here.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    #[schema(as = IdentitySubject)]
    pub struct Subject {
        /// What the service calls them: the claim `sub`, never given to somebody else (OpenID Connect Core 1.0 §2).
        pub subject: String,
        /// The user.
        pub user_id: UserId,
        /// Their name.
        pub user_name: String,
        /// Since when.
        pub linked_at: Timestamp,
    }
}

/// A subject to be tied to a user.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewIdentitySubject)]
pub struct NewSubject {
    /// What the service calls them: `sub` in its tokens; of a program often its client id.
    pub subject: String,
    /// The user who it is here.
    pub user_id: UserId,
}

/// A subject to be tied to nobody any more.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UntiedIdentitySubject)]
pub struct UntiedSubject {
    /// What the service calls them.
    pub subject: String,
}

/// The subjects of a service that are tied, by when they were, newest first. The cursor is a time.
///
/// # Errors
/// Without `identity_provider.view`; `not_found`; a malformed cursor or limit.
pub async fn list(scope: &Scope, id: ProviderId, paging: &Paging) -> Result<Page<Subject>> {
    scope.require(Permission::ProviderView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let mut tx = scope.read().await?;
    find(&mut tx, scope, id).await?;
    let rows = tx
        .all(
            sql!(
                "select i.subject, i.user_id, u.name as user_name, i.linked_at from user_identity i \
                 join users u on u.id = i.user_id and u.tenant_id = i.tenant_id \
                 where i.tenant_id = $1 and i.provider_id = $2 and i.linked_at < $3 order by i.linked_at desc, i.subject limit $4"
            ),
            args![scope.tenant(), id, behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row: &Subject| row.linked_at.unix_ms()))
}

/// Ties a subject to a user: from now on the service speaks for them. Never to one who may do more than the caller, nor to one
/// who reaches over all tenants.
///
/// # Errors
/// Without `identity_provider.change`; `step_up_required`; `not_found`; `forbidden` for such a user; `already_exists` for a
/// subject that is tied.
pub async fn tie(scope: &Scope, id: ProviderId, new: NewSubject) -> Result<Subject> {
    scope.require(Permission::ProviderChange)?;
    scope.require_fresh()?;
    let subject = plain("subject", &new.subject)?;
    let mut write = scope.write().await?;
    let provider = find(&mut write, scope, id).await?;
    let person = user::find(&mut write, scope.tenant(), new.user_id).await?;
    user::may_govern(&mut write, scope, &person).await?;
    if reaches_over(&mut write, scope, person.id).await? {
        let why = "a user who reaches over all tenants is tied to no tenant's service";
        return Err(Error::new(Code::Forbidden, why).at("user_id"));
    }
    let now = scope.now();
    insert(&mut write, (scope.tenant(), id), &subject, person.id, now).await.on_unique(|| {
        Error::new(Code::AlreadyExists, format!("{subject:?} is tied already")).at("subject")
    })?;
    write.happened(Event::UserLinked(Access {
        who: person.email,
        by: provider.name,
        reason: Some(subject.clone()),
    }));
    write.commit(Subject { subject, user_id: person.id, user_name: person.name, linked_at: now }).await
}

/// Ties a subject to nobody: the service speaks for the user no longer.
///
/// # Errors
/// Without `identity_provider.change`; `step_up_required`; `not_found`.
pub async fn untie(scope: &Scope, id: ProviderId, untied: &UntiedSubject) -> Result<()> {
    scope.require(Permission::ProviderChange)?;
    scope.require_fresh()?;
    let mut write = scope.write().await?;
    let provider = find(&mut write, scope, id).await?;
    let gone: Option<Gone> = write
        .optional(
            sql!(
                "select u.email from user_identity i join users u on u.id = i.user_id and u.tenant_id = i.tenant_id \
                 where i.tenant_id = $1 and i.provider_id = $2 and i.subject = $3"
            ),
            args![scope.tenant(), id, &untied.subject],
        )
        .await?;
    let gone = gone.ok_or_else(|| Error::not_found("subject of this service"))?;
    write
        .execute(
            sql!("delete from user_identity where tenant_id = $1 and provider_id = $2 and subject = $3"),
            args![scope.tenant(), id, &untied.subject],
        )
        .await?;
    let reason = Some(untied.subject.clone());
    write.happened(Event::UserUnlinked(Access { who: gone.email, by: provider.name, reason }));
    write.commit(()).await
}

record! { struct Gone { email: String } }

/// Ties a subject. Each stands at an instant of its own, by which lists go on.
pub(crate) async fn insert(
    tx: &mut Tx,
    (tenant, provider): (TenantId, ProviderId),
    subject: &str,
    user: UserId,
    now: Timestamp,
) -> db::Result<u64> {
    tx.execute(
        sql!(
            "insert into user_identity (provider_id, subject, tenant_id, user_id, linked_at) \
             select $1, $2, $3, $4, coalesce(max(case when i.linked_at >= $5 then i.linked_at + 1 end), $5) \
             from user_identity i where i.tenant_id = $3 and i.provider_id = $1"
        ),
        args![provider, subject, tenant, user, now],
    )
    .await
}
