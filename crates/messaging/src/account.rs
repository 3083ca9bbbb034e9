//! SMPP accounts: customers' systems that bind to us.

use db::{OnConflict, Tenancy, args, record, sql};
use identity::password;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{AccountId, Code, Error, Event, Page, Permission, Result, TenantId, Timestamp};
use web::Paging;

use crate::route;
use crate::settings::{self, Patch};

mod allowed;
pub mod api;
mod bind;
pub mod pages;
mod receipts;
mod terms;

pub use allowed::{TlvPolicy, TlvTag};
pub(crate) use bind::find_for_gateway;
pub use bind::{AccountForBind, find_for_bind, password_matches};
pub use receipts::{IdForm, ReceiptDates, ReceiptErrors, ReceiptFormat, ReceiptsIn};
pub use terms::{AccountSettings, RECEIPTS_KEEP_S};

/// A customer's system. Its password is not here: only its hash is kept, and nothing shows that.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// The name it binds with: 1 to 15 characters, unique over the whole platform.
    pub system_id: String,
    /// What people call it.
    pub name: String,
    /// Whether it may bind.
    pub active: bool,
    /// Limits and defaults.
    pub settings: AccountSettings,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// Accounts that one look reads at most.
const READ_MAX: i64 = 100_000;

/// An account to be created.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// The name it binds with: 1 to 15 printable ASCII characters without blanks, unique over the whole platform.
    pub system_id: String,
    /// What people call it; the system_id when not given.
    pub name: Option<String>,
    /// Its password, 6 to 16 printable ASCII characters; made and shown once when not given. SMPP v3.4 §4.1.1 has room
    /// for 8, and some clients send no more.
    pub password: Option<String>,
    /// Whether it may bind; true when not given.
    pub active: Option<bool>,
    /// Limits and defaults; what is not named has the installation's default.
    #[serde(default)]
    #[schema(value_type = AccountSettings)]
    pub settings: Patch,
}

/// A change to an account. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it may bind. Its sessions end when it may not.
    pub active: Option<bool>,
    /// Limits and defaults; null brings a member's default back.
    #[serde(default)]
    #[schema(value_type = AccountSettings)]
    pub settings: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

/// An account with its password, this once.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Credentials {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// The password; nobody can ask for it again.
    pub password: String,
}

record! {
    struct Stored {
        id: AccountId, tenant_id: TenantId, system_id: String, name: String, password_hash: String, active: bool,
        settings: String, revision: i64, created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn account(self) -> Result<Account> {
        Ok(Account {
            id: self.id,
            tenant: self.tenant_id,
            system_id: self.system_id,
            name: self.name,
            active: self.active,
            settings: settings::stored(&self.settings)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// Letters and digits that cannot be mistaken for each other when read out or copied by hand.
const PASSWORD_ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// What the field of a bind holds beside its NUL (SMPP v3.4 §4.1.1); guessing is slowed by the server's pause.
const PASSWORD_CHARS: usize = 8;

fn made_password() -> String {
    (0..PASSWORD_CHARS)
        .map(|_| char::from(PASSWORD_ALPHABET[rand::random_range(0..PASSWORD_ALPHABET.len())]))
        .collect()
}

/// Creates an account.
///
/// # Errors
/// [`Code::AlreadyExists`] for a system_id that somebody has, without telling who; [`Code::InvalidValue`] and its kin for
/// settings.
pub async fn create(scope: &Scope, new: NewAccount) -> Result<Credentials> {
    scope.require(Permission::AccountCreate)?;
    let runtime = scope.runtime();
    settings::c_octets("system_id", &new.system_id, &(1..=15))?;
    if let Some(password) = &new.password {
        settings::c_octets("password", password, &(6..=16))?;
    }
    let defaults = AccountSettings::defaults(&runtime.config);
    let password = new.password.unwrap_or_else(made_password);
    let now = scope.now();
    let account = Account {
        id: runtime.ids.next(),
        tenant: scope.tenant(),
        name: identity::name::given("name", new.name.as_deref().unwrap_or(&new.system_id))?,
        system_id: new.system_id,
        active: new.active.unwrap_or(true),
        settings: settings::changed("settings", &defaults, &defaults, &new.settings)?.checked(runtime)?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let hash = password::hash(runtime, &password).await?;
    let mut write = scope.write().await?;
    refuse_shared_numbers(&mut write, &account).await?;
    let inserted = write.execute(
        sql!(
            "insert into smpp_account (id, tenant_id, system_id, name, password_hash, active, settings, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)"
        ),
        args![
            account.id,
            account.tenant,
            &account.system_id,
            &account.name,
            hash,
            account.active,
            settings::to_store(&account.settings)?,
            account.revision,
            now,
        ],
    );
    inserted.await.on_unique(|| {
        Error::new(Code::AlreadyExists, format!("the system_id {:?} is taken", account.system_id))
            .at("system_id")
    })?;
    write.happened(Event::AccountCreated(audited(&account, None, Some(&account))?));
    write.commit_keeping(&account).await?;
    Ok(Credentials { account, password })
}

/// Accounts, newest first.
///
/// # Errors
/// [`Code::Forbidden`], [`Code::InvalidCursor`], [`Code::InvalidFilter`].
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Account>> {
    scope.require(Permission::AccountView)?;
    let limit = paging.limit()?;
    let mut tx = scope.read().await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, system_id, name, password_hash, active, settings, revision, created_at, changed_at
                 from smpp_account where tenant_id = $1 and id < $2 order by id desc limit $3"
            ),
            args![scope.tenant(), paging.behind(i64::MAX)?, limit as i64 + 1],
        )
        .await?;
    let accounts = stored.into_iter().map(Stored::account).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfull(accounts, limit, |account| account.id.raw()))
}

/// The tenant's accounts by name, at most so many.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn all(scope: &Scope, max: i64) -> Result<Vec<Account>> {
    scope.require(Permission::AccountView)?;
    let stored: Vec<Stored> = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, tenant_id, system_id, name, password_hash, active, settings, revision, created_at, changed_at
                 from smpp_account where tenant_id = $1 order by name limit $2"
            ),
            args![scope.tenant(), max],
        )
        .await?;
    stored.into_iter().map(Stored::account).collect()
}

/// One account.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: AccountId) -> Result<Account> {
    scope.require(Permission::AccountView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: AccountId) -> Result<Account> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, system_id, name, password_hash, active, settings, revision, created_at, changed_at
                 from smpp_account where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("SMPP account"))?.account()
}

/// Changes an account.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::NotFound`]; refusals of its values.
pub async fn change(scope: &Scope, id: AccountId, patch: AccountPatch) -> Result<Account> {
    scope.require(Permission::AccountChange)?;
    let runtime = scope.runtime();
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("account", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    after.active = patch.active.unwrap_or(before.active);
    let defaults = AccountSettings::defaults(&runtime.config);
    after.settings =
        settings::changed("settings", &before.settings, &defaults, &patch.settings)?.checked(runtime)?;
    after.revision += 1;
    after.changed_at = scope.now();
    refuse_shared_numbers(&mut write, &after).await?;
    let changed = write
        .execute(
            sql!(
                "update smpp_account set name = $3, active = $4, settings = $5, revision = $6, changed_at = $7
                 where tenant_id = $1 and id = $2 and revision = $8"
            ),
            args![
                scope.tenant(),
                id,
                &after.name,
                after.active,
                settings::to_store(&after.settings)?,
                after.revision,
                after.changed_at,
                before.revision,
            ],
        )
        .await?;
    if changed == 0 {
        return Err(settings::outdated("account", after.revision));
    }
    write.happened(Event::AccountChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Gives an account a new password. Sessions that are bound stay; the next bind needs the new one.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn reset_password(scope: &Scope, id: AccountId) -> Result<Credentials> {
    scope.require(Permission::AccountPassword)?;
    let password = made_password();
    let hash = password::hash(scope.runtime(), &password).await?;
    let mut write = scope.write().await?;
    let mut account = present(&mut write, scope.tenant(), id).await?;
    account.revision += 1;
    account.changed_at = scope.now();
    write
        .execute(
            sql!(
                "update smpp_account set password_hash = $3, revision = revision + 1, changed_at = $4
                 where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id, hash, account.changed_at],
        )
        .await?;
    let mut reset = audited(&account, None, Some(&account))?;
    if let Some(serde_json::Value::Object(after)) = &mut reset.after {
        after.insert("password".to_owned(), "reset".into());
    }
    write.happened(Event::AccountChanged(reset));
    write.commit_keeping(&account).await?;
    Ok(Credentials { account, password })
}

/// Deletes an account. Its messages stay.
///
/// # Errors
/// [`Code::StillInUse`] while a route is for it; [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: AccountId) -> Result<()> {
    scope.require(Permission::AccountDelete)?;
    let mut write = scope.write().await?;
    let account = present(&mut write, scope.tenant(), id).await?;
    route::refuse_use(&mut write, scope.tenant(), |rule| rule.names_account(id)).await?;
    write
        .execute(
            sql!("delete from mail_gateway where tenant_id = $1 and account_id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    write
        .execute(sql!("delete from smpp_account where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::AccountDeleted(audited(&account, Some(&account), None)?));
    write.commit(()).await
}

/// Every tenant's accounts, for the engine's look-ups.
///
/// # Errors
/// When the database does not answer.
pub async fn load_all(runtime: &Runtime) -> Result<Vec<Account>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, system_id, name, password_hash, active, settings, revision, created_at, changed_at
                 from smpp_account order by id limit $1 /* every tenant: the engine serves all */"
            ),
            args![READ_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::account).collect()
}

/// One account, whoever's it is; nothing when it is gone.
///
/// # Errors
/// When the database does not answer.
pub async fn load(runtime: &Runtime, id: AccountId) -> Result<Option<Account>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, system_id, name, password_hash, active, settings, revision, created_at, changed_at
                 from smpp_account where id = $1 /* every tenant: the engine serves all */"
            ),
            args![id],
        )
        .await?;
    stored.map(Stored::account).transpose()
}

/// A number's inbound messages go to one account, so two of a tenant cannot have the same.
async fn refuse_shared_numbers(tx: &mut db::Tx, account: &Account) -> Result<()> {
    if account.settings.numbers.is_empty() {
        return Ok(());
    }
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, system_id, name, password_hash, active, settings, revision, created_at, changed_at
                 from smpp_account where tenant_id = $1 and id <> $2 limit $3"
            ),
            args![account.tenant, account.id, READ_MAX],
        )
        .await?;
    for other in stored {
        let other = other.account()?;
        if let Some(number) =
            account.settings.numbers.iter().find(|number| other.settings.numbers.contains(number))
        {
            return Err(Error::invalid(
                "settings.numbers",
                format!("{number} belongs to {} already", other.system_id),
            ));
        }
    }
    Ok(())
}

record! {
    /// An account's name, for whom routes concern.
    pub struct Named {
        /// Its id.
        pub id: AccountId,
        /// What people call it.
        pub name: String,
    }
}

/// The names of the tenant's accounts, as routes show them.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn names(scope: &Scope) -> Result<Vec<Named>> {
    scope.require(Permission::RouteView)?;
    let mut tx = scope.read().await?;
    let named = tx.all(
        sql!("select id, name from smpp_account where tenant_id = $1 order by name limit $2"),
        args![scope.tenant(), READ_MAX],
    );
    Ok(named.await?)
}

fn audited(account: &Account, before: Option<&Account>, after: Option<&Account>) -> Result<Change> {
    Ok(Change {
        id: account.id.to_string(),
        name: account.system_id.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

#[cfg(test)]
mod tests;
