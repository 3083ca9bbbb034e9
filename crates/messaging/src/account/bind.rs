//! What must be known of an account to let it in.

use db::{Tenancy, args, record, sql};
use identity::password;
use runtime::Runtime;
use types::{AccountId, Result, TenantId};

use super::AccountSettings;
use crate::settings;

/// What the SMPP server must know to let somebody in.
#[derive(Debug, Clone)]
pub struct AccountForBind {
    /// The account.
    pub id: AccountId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it binds with.
    pub system_id: String,
    /// What people call it.
    pub name: String,
    /// Whether it may bind.
    pub active: bool,
    /// Whether its tenant is not suspended.
    pub tenant_active: bool,
    /// For [`password_matches`].
    pub password_hash: String,
    /// Its limits and defaults.
    pub settings: AccountSettings,
}

record! {
    struct StoredForBind {
        id: AccountId, tenant_id: TenantId, system_id: String, name: String, active: bool, tenant_active: bool, password_hash: String,
        settings: String,
    }
}

impl StoredForBind {
    fn account(self) -> Result<AccountForBind> {
        Ok(AccountForBind {
            id: self.id,
            tenant: self.tenant_id,
            system_id: self.system_id,
            name: self.name,
            active: self.active,
            tenant_active: self.tenant_active,
            password_hash: self.password_hash,
            settings: settings::stored(&self.settings)?,
        })
    }
}

/// Whether a bind's password is the account's. Without an account the answer is no, after the same time.
///
/// # Errors
/// When the hash cannot be computed.
pub async fn password_matches(
    runtime: &Runtime,
    password: &str,
    account: Option<&AccountForBind>,
) -> Result<bool> {
    password::verify(runtime, password, account.map(|account| account.password_hash.clone())).await
}

/// The account that a bind names, whoever's it is.
///
/// # Errors
/// When the database does not answer.
pub async fn find_for_bind(runtime: &Runtime, system_id: &str) -> Result<Option<AccountForBind>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let found: Option<StoredForBind> = tx
        .optional(
            sql!(
                "select a.id, a.tenant_id, a.system_id, a.name, a.active, t.status = 'active' as tenant_active, a.password_hash, a.settings
                 from smpp_account a join tenant t on t.id = a.tenant_id
                 where a.system_id = $1 /* every tenant: a bind names no tenant */"
            ),
            args![system_id],
        )
        .await?;
    found.map(StoredForBind::account).transpose()
}

/// The account that a mail gateway sends as, as if it had signed in.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn find_for_gateway(
    runtime: &Runtime,
    tenant: TenantId,
    id: AccountId,
) -> Result<Option<AccountForBind>> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let found: Option<StoredForBind> = tx
        .optional(
            sql!(
                "select a.id, a.tenant_id, a.system_id, a.name, a.active, t.status = 'active' as tenant_active, a.password_hash, a.settings
                 from smpp_account a join tenant t on t.id = a.tenant_id where a.tenant_id = $1 and a.id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.map(StoredForBind::account).transpose()
}
