//! How people of a tenant sign in: who needs a second factor, and whether a code by mail or SMS stands in for one.

use db::{Tx, args, record, sql};
use runtime::{Actor, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Address, Code, Error, Event, Permission, Result, TenantId, UserId};

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
    /// Whether people may add a phone that a code is sent to when their second factor is not at hand. Off unless set: numbers
    /// can be taken over, and each code costs a message. A restricted authenticator (NIST SP 800-63B-4 §3.2.9).
    #[serde(default)]
    pub sms_codes: bool,
    /// Whether a phone is a second factor by itself, with nothing beside it; means nothing without `sms_codes`. Off unless set.
    #[serde(default)]
    pub sms_alone: bool,
    /// Who the codes come from: a number, a short code or a name; the connection's own sender when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ACME")]
    pub sms_sender: Option<String>,
    /// Beginnings of the numbers that codes are sent to, such as `+33`; at least one where `sms_codes` is on, at most 50.
    #[serde(default)]
    pub sms_prefixes: Vec<String>,
    /// Codes that the tenant's people get within an hour, all together: 1 to 100,000; 100 unless set.
    #[serde(default = "usual_hour")]
    pub sms_hour_max: i64,
}

const fn on() -> bool {
    true
}

/// Codes within an hour where nobody says.
const HOUR_USUAL: i64 = 100;
/// The most that may be said.
const HOUR_MAX: i64 = 100_000;
/// Beginnings of numbers.
const PREFIXES_MAX: usize = 50;

const fn usual_hour() -> i64 {
    HOUR_USUAL
}

impl Default for SignInPolicy {
    fn default() -> Self {
        Self {
            second_factor_roles: Vec::new(),
            mail_codes: false,
            impersonation_mails: true,
            sms_codes: false,
            sms_alone: false,
            sms_sender: None,
            sms_prefixes: Vec::new(),
            sms_hour_max: HOUR_USUAL,
        }
    }
}

record! {
    struct Stored {
        second_factor_roles: String,
        mail_codes: bool,
        impersonation_mails: bool,
        sms_codes: bool,
        sms_alone: bool,
        sms_sender: Option<String>,
        sms_prefixes: String,
        sms_hour_max: i64,
    }
}

impl SignInPolicy {
    /// Whether people of this role need a second factor.
    pub(crate) fn needs_second(&self, role: &str) -> bool {
        self.second_factor_roles.iter().any(|named| named == role)
    }

    /// Whether codes go to a number, which is given by its digits alone.
    pub(crate) fn texts_to(&self, phone: &str) -> bool {
        let begins = |prefix: &String| phone.starts_with(prefix.trim_start_matches('+'));
        self.sms_codes && self.sms_prefixes.iter().any(begins)
    }

    /// What is said of codes by SMS, in its normal form.
    fn checked(mut self) -> Result<Self> {
        for prefix in &mut self.sms_prefixes {
            let digits = prefix.trim().trim_start_matches('+').replace([' ', '-'], "");
            if !(1..=10).contains(&digits.len())
                || digits.starts_with('0')
                || !digits.bytes().all(|octet| octet.is_ascii_digit())
            {
                let why = format!("{prefix:?} is not how an international number begins");
                return Err(Error::invalid("sms_prefixes", why).hint("give a country code, such as +33"));
            }
            *prefix = format!("+{digits}");
        }
        self.sms_prefixes.sort();
        self.sms_prefixes.dedup();
        if self.sms_prefixes.len() > PREFIXES_MAX {
            return Err(Error::invalid("sms_prefixes", format!("at most {PREFIXES_MAX} are kept")));
        }
        if self.sms_codes && self.sms_prefixes.is_empty() {
            return Err(Error::invalid(
                "sms_prefixes",
                "codes by SMS need the countries that they may go to",
            )
            .hint("give at least one, such as +33: codes to any country would be an invitation to fraud"));
        }
        if !(1..=HOUR_MAX).contains(&self.sms_hour_max) {
            return Err(Error::invalid(
                "sms_hour_max",
                format!("{} is not from 1 to {HOUR_MAX}", self.sms_hour_max),
            ));
        }
        self.sms_sender = self.sms_sender.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        if let Some(sender) = &self.sms_sender {
            Address::sender(sender)
                .map_err(|error| Error::invalid("sms_sender", error.message().to_owned()))?;
        }
        Ok(self)
    }
}

impl From<Stored> for SignInPolicy {
    fn from(stored: Stored) -> Self {
        Self {
            second_factor_roles: serde_json::from_str(&stored.second_factor_roles).unwrap_or_default(),
            mail_codes: stored.mail_codes,
            impersonation_mails: stored.impersonation_mails,
            sms_codes: stored.sms_codes,
            sms_alone: stored.sms_alone,
            sms_sender: stored.sms_sender,
            sms_prefixes: serde_json::from_str(&stored.sms_prefixes).unwrap_or_default(),
            sms_hour_max: stored.sms_hour_max,
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
                "select second_factor_roles, mail_codes, impersonation_mails, sms_codes, sms_alone, sms_sender, sms_prefixes, \
                 sms_hour_max from sign_in_policy where tenant_id = $1"
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
    let mut policy = wanted.checked()?;
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
        if policy.needs_second(&own.role)
            && !factor::has_any_under(&mut write, scope.tenant(), *id, &policy).await?
        {
            return Err(Error::new(Code::Conflict, "you have no second factor yourself")
                .at("second_factor_roles")
                .hint("Add one on your page Security first: your own sessions would end."));
        }
    }
    keep(&mut write, scope, &policy).await?;
    end_sessions(&mut write, scope.tenant(), &policy).await?;
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

async fn keep(tx: &mut Tx, scope: &Scope, policy: &SignInPolicy) -> Result<()> {
    let roles = serde_json::to_string(&policy.second_factor_roles).map_err(Error::internal)?;
    let prefixes = serde_json::to_string(&policy.sms_prefixes).map_err(Error::internal)?;
    tx.execute(
        sql!(
            "insert into sign_in_policy (tenant_id, second_factor_roles, mail_codes, changed_at, impersonation_mails, \
             sms_codes, sms_alone, sms_sender, sms_prefixes, sms_hour_max) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (tenant_id) do update set \
             second_factor_roles = excluded.second_factor_roles, mail_codes = excluded.mail_codes, \
             changed_at = excluded.changed_at, impersonation_mails = excluded.impersonation_mails, \
             sms_codes = excluded.sms_codes, sms_alone = excluded.sms_alone, sms_sender = excluded.sms_sender, \
             sms_prefixes = excluded.sms_prefixes, sms_hour_max = excluded.sms_hour_max"
        ),
        args![
            scope.tenant(),
            roles,
            policy.mail_codes,
            scope.now(),
            policy.impersonation_mails,
            policy.sms_codes,
            policy.sms_alone,
            policy.sms_sender.clone(),
            prefixes,
            policy.sms_hour_max
        ],
    )
    .await?;
    Ok(())
}

record! { struct Owner { user_id: UserId, phone: String } }

/// Ends the sessions of those who need a second factor and have none.
async fn end_sessions(tx: &mut Tx, tenant: TenantId, policy: &SignInPolicy) -> Result<()> {
    // Whose phone is enough is a matter of how numbers begin, which is judged in one place.
    let owners: Vec<Owner> = match policy.sms_alone {
        true => {
            tx.all(
                sql!(
                    "select user_id, phone from user_phone where tenant_id = $1 and phone is not null \
                     and confirmed_at is not null"
                ),
                args![tenant],
            )
            .await?
        }
        false => Vec::new(),
    };
    let owners: Vec<i64> = owners
        .iter()
        .filter(|owner| policy.texts_to(&owner.phone))
        .map(|owner| owner.user_id.raw())
        .collect();
    let roles: Vec<_> = policy.second_factor_roles.iter().map(|role| Named { role }).collect();
    tx.execute(
        sql!(
            "delete from session where tenant_id = $1 and user_id in (select u.id from users u where u.tenant_id = $1 \
             and u.role in (select r.value ->> 'role' from json_rows($2) r) \
             and u.id not in (select cast(o.value ->> 0 as bigint) from json_rows($3) o) \
             and not exists (select 1 from totp o where o.tenant_id = $1 and o.user_id = u.id and o.confirmed_at is not null) \
             and not exists (select 1 from passkey p where p.tenant_id = $1 and p.user_id = u.id))"
        ),
        vec![
            tenant.into(),
            db::Arg::json(&roles)?,
            db::Arg::json(&owners.into_iter().map(|id| [id]).collect::<Vec<_>>())?,
        ],
    )
    .await?;
    Ok(())
}
