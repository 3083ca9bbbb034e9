//! Self-registration: a tenant says who may, newcomers show that their address is theirs ([`join`]), and where the tenant wants
//! that, somebody lets them in. Before all of that is done there is no user, and so nothing that could be used.

use db::{Tx, args, record, sql};
use runtime::{Scope, Write};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Permissions, RegistrationId, Result, TenantId, Timestamp};
use web::Paging;

use crate::mail::{self, Account, Letter, Mail};
use crate::role::rights;
use crate::user::{self, NewUser, User};
use crate::{domain, name};

pub mod api;
pub mod join;
pub mod pages;
pub mod waiting;

/// Mail domains that a tenant names.
const DOMAINS_MAX: usize = 100;

/// What no newcomer's role may allow: to decide who gets in and what they may do.
const ADMINISTRATION: &[Permission] = &[
    Permission::UserCreate,
    Permission::UserChange,
    Permission::UserRole,
    Permission::UserLink,
    Permission::UserSecurity,
    Permission::UserImpersonate,
    Permission::SecurityManage,
    Permission::RoleCreate,
    Permission::RoleChange,
    Permission::RoleDelete,
    Permission::GrantCreate,
    Permission::TeamCreate,
    Permission::TeamChange,
    Permission::ProviderCreate,
    Permission::ProviderChange,
    Permission::PrivacyManage,
    Permission::EncryptionManage,
    Permission::OrganisationChange,
    Permission::DomainManage,
    Permission::OrganisationErase,
];

/// Who may register by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrationPolicy {
    /// Whether anybody may. Off unless set.
    #[serde(default)]
    pub open: bool,
    /// The mail domains whose people may, at most 100; all when there is none.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The role that newcomers get: one that decides nothing about users, roles, sign-in or the organisation.
    #[serde(default = "viewer")]
    pub role: String,
    /// Whether somebody who may create users must let each of them in. On unless set.
    #[serde(default = "on")]
    pub approval: bool,
}

fn viewer() -> String {
    "viewer".to_owned()
}

const fn on() -> bool {
    true
}

impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self { open: false, domains: Vec::new(), role: viewer(), approval: true }
    }
}

impl RegistrationPolicy {
    /// Whether people of this address may.
    fn admits(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
        self.open && (self.domains.is_empty() || self.domains.contains(&domain))
    }
}

record! {
    /// A newcomer who has shown that their address is theirs, and waits to be let in.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    #[schema(as = Newcomer)]
    pub struct Registration {
        /// Its id.
        pub id: RegistrationId,
        /// Their e-mail address.
        pub email: String,
        /// What to call them.
        pub name: String,
        /// The language they read.
        pub language: String,
        /// When they registered.
        pub created_at: Timestamp,
        /// When they showed that the address is theirs.
        pub verified_at: Option<Timestamp>,
        /// The network address they came from.
        pub from_address: Option<String>,
    }
}

/// What becomes of a newcomer who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationDecision {
    /// They become a user, and are told by mail.
    Approve,
    /// They are forgotten.
    Refuse,
}

/// A decision about one who waits.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideRegistration {
    /// Who waits.
    pub registration: RegistrationId,
    /// What becomes of them.
    pub decision: RegistrationDecision,
}

record! { struct Stored { open: bool, domains: String, role: String, approval: bool } }

/// A tenant's policy; closed where it has set none.
pub(crate) async fn policy(tx: &mut Tx, tenant: TenantId) -> Result<RegistrationPolicy> {
    let stored: Option<Stored> = tx
        .optional(
            sql!("select open, domains, role, approval from registration_policy where tenant_id = $1"),
            args![tenant],
        )
        .await?;
    Ok(stored.map_or_else(RegistrationPolicy::default, |stored| RegistrationPolicy {
        open: stored.open,
        domains: serde_json::from_str(&stored.domains).unwrap_or_default(),
        role: stored.role,
        approval: stored.approval,
    }))
}

/// Who may register by themselves.
///
/// # Errors
/// Without `security.manage`.
pub async fn get_policy(scope: &Scope) -> Result<RegistrationPolicy> {
    scope.require(Permission::SecurityManage)?;
    policy(&mut scope.read().await?, scope.tenant()).await
}

/// Refuses a role that decides who gets in.
async fn refuse_administration(tx: &mut Tx, tenant: TenantId, role: &str) -> Result<()> {
    // Also where the tenant may have none beneath it yet: newcomers must not come to look after them by that.
    let customs = rights::Customs { reseller: true, ..rights::customs(tx, tenant).await? };
    let held = rights::held_by_role(&customs, role).permissions();
    let theirs: Permissions = ADMINISTRATION.iter().copied().collect();
    let too_much = held
        .and(theirs)
        .iter()
        .chain(held.iter().filter(|one| one.is_platform() || one.is_of_reseller()))
        .next();
    match too_much {
        None => Ok(()),
        Some(one) => Err(Error::invalid(
            "role",
            format!("the role {role} is not for newcomers: it allows {}", one.as_str()),
        )),
    }
}

/// Changes who may register by themselves. What waits keeps waiting.
///
/// # Errors
/// Without `security.manage`; `step_up_required`; `invalid_value` for a domain that is none, or a role with rights of
/// administration; `forbidden` for a role that allows more than the caller may; `conflict` to open it where no mail can be
/// sent.
pub async fn set_policy(scope: &Scope, wanted: RegistrationPolicy) -> Result<RegistrationPolicy> {
    scope.require(Permission::SecurityManage)?;
    scope.require_fresh()?;
    if wanted.open && !mail::is_on(scope.runtime()) {
        let why = "newcomers show their address by a mail, and no mail server is configured";
        return Err(Error::new(Code::Conflict, why).at("open").hint("Set mail.host and mail.from first."));
    }
    if wanted.domains.len() > DOMAINS_MAX {
        return Err(Error::invalid("domains", format!("at most {DOMAINS_MAX} domains")));
    }
    let host = |text: &String| {
        name::host(text)
            .map_err(|_| Error::invalid("domains", format!("{text:?} is no domain such as example.com")))
    };
    let mut domains = wanted.domains.iter().map(host).collect::<Result<Vec<_>>>()?;
    domains.sort();
    domains.dedup();
    let after = RegistrationPolicy { domains, ..wanted };
    let mut write = scope.write().await?;
    rights::may_give(&mut write, scope, &after.role).await?;
    refuse_administration(&mut write, scope.tenant(), &after.role).await?;
    let before = policy(&mut write, scope.tenant()).await?;
    let domains = serde_json::to_string(&after.domains).map_err(Error::internal)?;
    write
        .execute(
            sql!(
                "insert into registration_policy (tenant_id, open, domains, role, approval, changed_at) \
                 values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id) do update set open = excluded.open, \
                 domains = excluded.domains, role = excluded.role, approval = excluded.approval, \
                 changed_at = excluded.changed_at"
            ),
            args![scope.tenant(), after.open, &domains, &after.role, after.approval, scope.now()],
        )
        .await?;
    write.happened(Event::RegistrationPolicyChanged(Change {
        id: scope.tenant().to_string(),
        name: "Registration".to_owned(),
        before: serde_json::to_value(&before).ok(),
        after: serde_json::to_value(&after).ok(),
    }));
    let after = write.commit(after).await?;
    // The sign-in page of the tenant's own domain leads to its door.
    domain::refresh(scope.runtime()).await?;
    Ok(after)
}

/// Who waits to be let in, newest first.
///
/// # Errors
/// Without `user.create`; a malformed cursor or limit.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Registration>> {
    scope.require(Permission::UserCreate)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let found = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, email, name, language, created_at, verified_at, from_address from registration \
                 where tenant_id = $1 and id < $2 and verified_at is not null and expires_at > $3 order by id desc limit $4"
            ),
            args![scope.tenant(), behind, scope.now(), limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(found, limit, |one: &Registration| one.id.raw()))
}

/// Lets a newcomer in who waits, or forgets them; they hear of it by mail.
///
/// # Errors
/// Without `user.create`; `not_found` for one who does not wait; `forbidden` for a role that allows more than the caller may;
/// `already_exists` when somebody has the address by now.
pub async fn decide(scope: &Scope, decided: DecideRegistration) -> Result<Registration> {
    scope.require(Permission::UserCreate)?;
    let tenant = scope.tenant();
    let mut write = scope.write().await?;
    let found: Option<Newcomer> = write
        .optional(
            sql!(
                "select id, email, name, language, password_hash, created_at, verified_at, from_address from registration \
                 where tenant_id = $1 and id = $2 and verified_at is not null and expires_at > $3"
            ),
            args![tenant, decided.registration, scope.now()],
        )
        .await?;
    let newcomer = found.ok_or_else(|| Error::not_found("registration"))?;
    let shown = newcomer.shown();
    match decided.decision {
        RegistrationDecision::Approve => {
            let role = policy(&mut write, tenant).await?.role;
            rights::may_give(&mut write, scope, &role).await?;
            let url = format!("{}/sign-in", domain::public_url(&mut write, scope.runtime(), tenant).await?);
            let letter = Letter::Account(Account::Admitted { url: &url });
            let notice = Mail::written(scope, &newcomer.email, &newcomer.language, &letter).await?;
            admit(&mut write, scope, newcomer, role).await?;
            mail::enqueue(notice.as_ref(), &mut write, scope.runtime()).await?;
        }
        RegistrationDecision::Refuse => {
            let Named { name } =
                write.one(sql!("select name from tenant where id = $1"), args![tenant]).await?;
            let letter = Letter::Account(Account::Refused { organisation: &name });
            let notice = Mail::written(scope, &newcomer.email, &newcomer.language, &letter).await?;
            mail::enqueue(notice.as_ref(), &mut write, scope.runtime()).await?;
            forget(&mut write, tenant, newcomer.id).await?;
            write.happened(Event::RegistrationRefused(told(&newcomer, "refused")));
        }
    }
    let shown = write.commit(shown).await?;
    scope.runtime().job_wake.notify_one();
    Ok(shown)
}

record! { struct Named { name: String } }

record! {
    struct Newcomer {
        id: RegistrationId,
        email: String,
        name: String,
        language: String,
        password_hash: String,
        created_at: Timestamp,
        verified_at: Option<Timestamp>,
        from_address: Option<String>,
    }
}

impl Newcomer {
    fn shown(&self) -> Registration {
        Registration {
            id: self.id,
            email: self.email.clone(),
            name: self.name.clone(),
            language: self.language.clone(),
            created_at: self.created_at,
            verified_at: self.verified_at,
            from_address: self.from_address.clone(),
        }
    }
}

/// What the stream keeps of a newcomer.
fn told(newcomer: &Newcomer, state: &str) -> Change {
    Change {
        id: newcomer.id.to_string(),
        name: newcomer.name.clone(),
        before: None,
        after: Some(serde_json::json!({ "email": newcomer.email, "name": newcomer.name, "state": state })),
    }
}

async fn forget(write: &mut Write, tenant: TenantId, id: RegistrationId) -> Result<()> {
    let gone = write
        .execute(sql!("delete from registration where tenant_id = $1 and id = $2"), args![tenant, id])
        .await?;
    // Somebody else was faster.
    if gone == 0 { Err(Error::not_found("registration")) } else { Ok(()) }
}

/// Makes a user of a newcomer whose address is theirs.
async fn admit(write: &mut Write, scope: &Scope, newcomer: Newcomer, role: String) -> Result<User> {
    let tenant = scope.tenant();
    refuse_administration(write, tenant, &role).await?;
    forget(write, tenant, newcomer.id).await?;
    let change = told(&newcomer, "active");
    let verified_at = newcomer.verified_at.unwrap_or_else(|| scope.now());
    let new = NewUser {
        email: newcomer.email,
        name: newcomer.name,
        role,
        language: Some(newcomer.language),
        password_hash: Some(newcomer.password_hash),
    };
    let user = user::insert(write, scope.runtime(), tenant, new).await?;
    write
        .execute(
            sql!("update users set email_verified_at = $3, password_set_at = $3 where tenant_id = $1 and id = $2"),
            args![tenant, user.id, verified_at],
        )
        .await?;
    write.happened(Event::UserRegistered(change));
    write.happened(Event::UserCreated(user::change(&user, None)));
    Ok(user)
}

/// Whether nobody is refused for what they cannot know: the code of a door that is closed.
pub(crate) fn closed() -> Error {
    Error::new(Code::NotFound, "nobody can register here by themselves")
        .hint("An administrator of the organisation can create an account for you.")
}
