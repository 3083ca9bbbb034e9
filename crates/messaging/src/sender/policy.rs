//! Who may send as whom: one policy for the API, one for each SMPP account, one for whoever has none of its own.

use db::{args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{AccountId, Address, Error, Event, Page, Permission, PoolId, Result, TenantId, Timestamp};

use super::decide::{API, EVERYONE};
use crate::gate::{country_code, sender_pattern};
use crate::settings;

/// What senders may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SenderMode {
    /// Any that is not blocked, refused or expired.
    #[default]
    Free,
    /// Only those in `allowed`.
    Listed,
    /// Only those whose registration for the recipient's country is approved, and those in `allowed` that nobody has
    /// registered.
    Registered,
}

impl SenderMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Free, Self::Listed, Self::Registered];

    /// The name that the API and forms hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Listed => "listed",
            Self::Registered => "registered",
        }
    }
}

/// Who may send as whom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SenderPolicy {
    /// What senders may be used.
    pub mode: SenderMode,
    /// Senders that may be used, in either case; with `*` at the end, those that begin so.
    pub allowed: Vec<String>,
    /// Senders that may never be used.
    pub blocked: Vec<String>,
    /// Who sends a message that names nobody: the first for the recipient's country, else the first for all.
    pub defaults: Vec<SenderDefault>,
}

/// A sender for messages that name none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SenderDefault {
    /// The countries it is for, by ISO 3166; none for all.
    pub countries: Vec<String>,
    /// The sender. Or `pool`, not both.
    pub sender: Option<String>,
    /// The pool that it comes from.
    pub pool: Option<PoolId>,
}

/// Whose policy it is: `everyone`, `api`, or an SMPP account's id.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PolicyRecord {
    /// `everyone` for whoever has none of its own, `api`, or an SMPP account's id.
    pub whose: String,
    /// The policy.
    pub policy: SenderPolicy,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// A policy to be set. One that lets everything through and has no default takes the policy away.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPolicy {
    /// `everyone` for whoever has none of its own, `api`, or an SMPP account's id.
    #[schema(example = "api")]
    pub whose: String,
    /// The policy.
    pub policy: SenderPolicy,
}

const LIST_MAX: usize = 1_000;
const DEFAULTS_MAX: usize = 300;
/// Policies of a tenant that one look reads.
const POLICIES_MAX: i64 = 100_000;

fn named(raw: i64) -> String {
    match raw {
        API => "api".to_owned(),
        EVERYONE => "everyone".to_owned(),
        account => AccountId::from_raw(account).to_string(),
    }
}

impl SenderPolicy {
    fn checked(mut self) -> Result<Self> {
        settings::at_most("policy.allowed", &self.allowed, LIST_MAX)?;
        settings::at_most("policy.blocked", &self.blocked, LIST_MAX)?;
        settings::at_most("policy.defaults", &self.defaults, DEFAULTS_MAX)?;
        for (field, list) in [("policy.allowed", &mut self.allowed), ("policy.blocked", &mut self.blocked)] {
            for sender in list.iter_mut() {
                *sender = sender_pattern(field, sender)?;
            }
            list.sort();
            list.dedup();
        }
        for default in &mut self.defaults {
            for country in &mut default.countries {
                *country = country_code("policy.defaults", country)?;
            }
            match (&mut default.sender, default.pool) {
                (Some(sender), None) => {
                    let address = Address::sender(sender).map_err(|error| error.at("policy.defaults"))?;
                    *sender = address.to_string();
                }
                (None, Some(_)) => {}
                _ => {
                    return Err(Error::invalid(
                        "policy.defaults",
                        "a default is a sender or a pool, and not both",
                    ));
                }
            }
        }
        Ok(self)
    }
}

record! { struct Stored { account_id: i64, policy: String, changed_at: Timestamp } }
record! { struct Found { id: i64 } }

async fn stored(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Stored>> {
    Ok(tx
        .all(
            sql!("select account_id, policy, changed_at from sender_policy where tenant_id = $1 order by account_id limit $2"),
            args![tenant, POLICIES_MAX],
        )
        .await?)
}

/// A tenant's policies by the account's number.
pub(crate) async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<(i64, SenderPolicy)>> {
    let stored = stored(tx, tenant).await?;
    stored.into_iter().map(|one| Ok((one.account_id, settings::stored(&one.policy)?))).collect()
}

/// All policies: everyone's, the API's, then the accounts'.
///
/// # Errors
/// [`types::Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<PolicyRecord>> {
    scope.require(Permission::SenderPolicyView)?;
    let stored = stored(&mut scope.read().await?, scope.tenant()).await?;
    let items = stored.into_iter().map(|one| {
        let policy = settings::stored(&one.policy)?;
        Ok(PolicyRecord { whose: named(one.account_id), policy, changed_at: one.changed_at })
    });
    Ok(Page { items: items.collect::<Result<_>>()?, next: None })
}

/// Sets who may send as whom. Tell the engine after it.
///
/// # Errors
/// Refusals of its values, at their place.
pub async fn set(scope: &Scope, new: SetPolicy) -> Result<PolicyRecord> {
    scope.require(Permission::SenderPolicyChange)?;
    let policy = new.policy.checked()?;
    let mut write = scope.write().await?;
    let tenant = scope.tenant();
    let raw = match new.whose.as_str() {
        "api" => API,
        "everyone" => EVERYONE,
        account => {
            let refuse = || {
                Error::invalid("whose", format!("{account:?} is neither everyone, api nor an SMPP account"))
            };
            let id: AccountId = account.parse().map_err(|_| refuse())?;
            let found: Option<Found> = write
                .optional(
                    sql!("select id from smpp_account where tenant_id = $1 and id = $2"),
                    args![tenant, id],
                )
                .await?;
            found.ok_or_else(refuse)?;
            id.raw()
        }
    };
    refuse_strangers(&mut write, tenant, &policy).await?;
    let before = of_tenant(&mut write, tenant).await?.into_iter().find(|(known, _)| *known == raw);
    let now = scope.now();
    if policy == SenderPolicy::default() {
        write
            .execute(
                sql!("delete from sender_policy where tenant_id = $1 and account_id = $2"),
                args![tenant, raw],
            )
            .await?;
    } else {
        write
            .execute(
                sql!(
                    "insert into sender_policy (tenant_id, account_id, policy, changed_at) values ($1, $2, $3, $4) \
                     on conflict (tenant_id, account_id) do update set policy = excluded.policy, changed_at = excluded.changed_at"
                ),
                args![tenant, raw, settings::to_store(&policy)?, now],
            )
            .await?;
    }
    write.happened(Event::SenderPolicyChanged(Change {
        id: named(raw),
        name: named(raw),
        before: before.map(|(_, policy)| settings::shown(&policy)).transpose()?,
        after: Some(settings::shown(&policy)?),
    }));
    write.commit(PolicyRecord { whose: named(raw), policy, changed_at: now }).await
}

async fn refuse_strangers(tx: &mut db::Tx, tenant: TenantId, policy: &SenderPolicy) -> Result<()> {
    let pools = super::pool::of_tenant(tx, tenant).await?;
    let stranger = policy.defaults.iter().filter_map(|default| default.pool);
    match stranger.into_iter().find(|pool| pools.iter().all(|known| known.id != *pool)) {
        Some(pool) => Err(Error::invalid("policy.defaults", format!("there is no sender pool {pool}"))),
        None => Ok(()),
    }
}
