//! How people of a tenant sign in: who needs a second factor, and whether a code by mail stands in for one.

use db::{Tx, args, record, sql};
use runtime::{Actor, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Permission, Result, TenantId};

use crate::{factor, role, user};

pub mod api;
pub mod pages;

/// How people of a tenant sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInPolicy {
    /// Roles whose people need a second factor. Who has none is led to one at the next sign-in, and gets nowhere before.
    #[serde(default)]
    pub second_factor_roles: Vec<String>,
    /// Whether people who have a second factor may have a code mailed to them when it is not at hand. Off unless set: a
    /// mailbox is often open where the password is kept.
    #[serde(default)]
    pub mail_codes: bool,
    /// Whether a user is told by mail when somebody acts as them. On unless set. Their security history tells it in any case.
    #[serde(default = "on")]
    pub impersonation_mails: bool,
}

const fn on() -> bool {
    true
}

impl Default for SignInPolicy {
    fn default() -> Self {
        Self { second_factor_roles: Vec::new(), mail_codes: false, impersonation_mails: true }
    }
}

record! {
    struct Stored {
        second_factor_roles: String,
        mail_codes: bool,
        impersonation_mails: bool,
    }
}

impl SignInPolicy {
    /// Whether people of this role need a second factor.
    pub(crate) fn needs_second(&self, role: &str) -> bool {
        self.second_factor_roles.iter().any(|named| named == role)
    }
}

impl From<Stored> for SignInPolicy {
    fn from(stored: Stored) -> Self {
        Self {
            second_factor_roles: serde_json::from_str(&stored.second_factor_roles).unwrap_or_default(),
            mail_codes: stored.mail_codes,
            impersonation_mails: stored.impersonation_mails,
        }
    }
}

/// A tenant's policy, the defaults where it has set none.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn read(tx: &mut Tx, tenant: TenantId) -> Result<SignInPolicy> {
    let stored: Option<Stored> = tx
        .optional(
            sql!(
                "select second_factor_roles, mail_codes, impersonation_mails from sign_in_policy where tenant_id = $1"
            ),
            args![tenant],
        )
        .await?;
    Ok(stored.map_or_else(SignInPolicy::default, SignInPolicy::from))
}

/// How people of the tenant sign in.
///
/// # Errors
/// Without `security.manage`.
pub async fn get(scope: &Scope) -> Result<SignInPolicy> {
    scope.require(Permission::SecurityManage)?;
    read(&mut scope.read().await?, scope.tenant()).await
}

/// Changes how people of the tenant sign in. Sessions of those who need a second factor now and have none end at once.
///
/// # Errors
/// Without `security.manage`; `step_up_required`; an unknown role; `conflict` for an administrator who would shut
/// themselves out.
pub async fn set(scope: &Scope, wanted: SignInPolicy) -> Result<SignInPolicy> {
    scope.require(Permission::SecurityManage)?;
    scope.require_fresh()?;
    let mut policy = wanted;
    policy.second_factor_roles.sort();
    policy.second_factor_roles.dedup();
    let mut write = scope.write().await?;
    let roles = role::custom::all(&mut write, scope.tenant()).await?;
    let unknown = |named: &&String| roles.iter().all(|role| role.name != **named);
    if let Some(named) = policy.second_factor_roles.iter().find(unknown) {
        return Err(Error::invalid("second_factor_roles", format!("{named:?} is no role")));
    }
    let before = read(&mut write, scope.tenant()).await?;
    if let Actor::User(id) = scope.actor() {
        let own = user::find(&mut write, scope.tenant(), *id).await?;
        if policy.needs_second(&own.role) && !factor::has_any(&mut write, scope.tenant(), *id).await? {
            return Err(Error::new(Code::Conflict, "you have no second factor yourself")
                .at("second_factor_roles")
                .hint("Add one on your page Security first: your own sessions would end."));
        }
    }
    let roles = serde_json::to_string(&policy.second_factor_roles).map_err(Error::internal)?;
    write
        .execute(
            sql!(
                "insert into sign_in_policy (tenant_id, second_factor_roles, mail_codes, changed_at, impersonation_mails) \
                 values ($1, $2, $3, $4, $5) on conflict (tenant_id) do update set \
                 second_factor_roles = excluded.second_factor_roles, mail_codes = excluded.mail_codes, \
                 changed_at = excluded.changed_at, impersonation_mails = excluded.impersonation_mails"
            ),
            args![scope.tenant(), &roles, policy.mail_codes, scope.now(), policy.impersonation_mails],
        )
        .await?;
    write
        .execute(
            sql!(
                "delete from session where tenant_id = $1 and user_id in (select u.id from users u where u.tenant_id = $1 \
                 and u.role in (select r.value ->> 'role' from json_rows($2) r) \
                 and not exists (select 1 from totp o where o.tenant_id = $1 and o.user_id = u.id and o.confirmed_at is not null) \
                 and not exists (select 1 from passkey p where p.tenant_id = $1 and p.user_id = u.id))"
            ),
            vec![
                scope.tenant().into(),
                db::Arg::json(&policy.second_factor_roles.iter().map(|role| Named { role }).collect::<Vec<_>>())?,
            ],
        )
        .await?;
    write.happened(Event::SignInPolicyChanged(Change {
        id: scope.tenant().to_string(),
        name: "Sign-in".to_owned(),
        before: serde_json::to_value(&before).ok(),
        after: serde_json::to_value(&policy).ok(),
    }));
    write.commit(policy).await
}

#[derive(Serialize)]
struct Named<'a> {
    role: &'a str,
}
