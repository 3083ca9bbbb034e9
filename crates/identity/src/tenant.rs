//! Organisations.

use db::{OnConflict, Tx, args, record, sql};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, TenantId, Timestamp};
use web::Paging;

use crate::link::{self, Link};
use crate::user::{self, NewUser, User};
use crate::{name, role, value_list};

pub mod api;
pub mod pages;

record! {
    /// An organisation whose rows are its own.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Tenant {
        /// Its id.
        pub id: TenantId,
        /// What people call it.
        pub name: String,
        /// Its short name for addresses, unique over all tenants.
        pub slug: String,
        /// The language and region of its texts (BCP 47).
        pub locale: String,
        /// The zone its people live by (IANA).
        pub time_zone: String,
        /// The currency of its prices (ISO 4217).
        pub currency: String,
        /// Where its people ask for help; absent where nothing is set.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub support_email: Option<String>,
        /// Its colour, `rrggbb`; absent where it has none of its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub accent: Option<String>,
        /// The SHA-256 of its logo, which is at `/brand/logo/SHA256`; absent where it has none.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub logo: Option<String>,
        /// `active`, `suspended`, or `erasing` when it cannot be called back.
        pub status: String,
        /// When it is to be erased; absent while nobody has asked for that.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub erase_at: Option<Timestamp>,
        /// When it was created.
        pub created_at: Timestamp,
    }
}

/// Whether a tenant's people and programs are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = TenantStatus)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// They are.
    Active,
    /// They are not; nothing is lost.
    Suspended,
}

/// What stands in place of a status while the tenant's rows are deleted.
pub(crate) const ERASING: &str = "erasing";

impl Status {
    /// The name that rows and answers hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// A tenant to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// What people call it.
    pub name: String,
    /// Its short name; made of the name when not given.
    pub slug: Option<String>,
    /// `en` when not given.
    pub locale: Option<String>,
    /// `UTC` when not given.
    pub time_zone: Option<String>,
    /// `USD` when not given (ISO 4217).
    pub currency: Option<String>,
    /// Its first administrator, who gets a sign-in link.
    pub administrator: Option<FirstUser>,
}

/// The first administrator of a new tenant.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstUser {
    /// Their e-mail address.
    pub email: String,
    /// Their name.
    pub name: String,
}

/// A new tenant, and how its first administrator gets in.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CreatedTenant {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// Its first administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub administrator: Option<User>,
    /// Their sign-in link; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

/// What to change of a tenant; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// What people call it.
    pub name: Option<String>,
    /// The language and region of its texts (BCP 47).
    pub locale: Option<String>,
    /// The zone its people live by (IANA).
    pub time_zone: Option<String>,
    /// The currency of its prices (ISO 4217).
    pub currency: Option<String>,
    /// Whether its people and programs are let in.
    pub status: Option<Status>,
}

/// All tenants, newest first.
///
/// # Errors
/// Without `tenant.view`; a malformed cursor or limit.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Tenant>> {
    scope.require(Permission::TenantView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let tenants = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, name, slug, locale, time_zone, currency, support_email, accent, logo, status, erase_at, created_at \
                 from tenant where id < $1 \
                 order by id desc limit $2 /* every tenant: the platform's administrators see all */"
            ),
            args![behind, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(tenants, limit, |tenant: &Tenant| tenant.id.raw()))
}

/// A tenant by its id.
///
/// # Errors
/// Without `tenant.view`; `not_found`.
pub async fn get(scope: &Scope, id: TenantId) -> Result<Tenant> {
    scope.require(Permission::TenantView)?;
    find(&mut scope.read().await?, id).await
}

/// The caller's own tenant, which everybody may see.
///
/// # Errors
/// When the database does not answer.
pub async fn own(scope: &Scope) -> Result<Tenant> {
    find(&mut scope.read().await?, scope.tenant()).await
}

record! { struct Own { id: TenantId } }

/// The installation's own tenant, whose audit trail tells of the others and signs the certificates of their ends. It is the one
/// that the first start made; a tenant that was restored may be older.
pub(crate) async fn platform(tx: &mut Tx) -> Result<TenantId> {
    let Own { id } = tx
        .one(
            sql!("select id from tenant where platform order by id limit 1 /* every tenant: the installation's own */"),
            args![],
        )
        .await?;
    Ok(id)
}

pub(crate) async fn find(tx: &mut Tx, id: TenantId) -> Result<Tenant> {
    tx.optional(
        sql!("select id, name, slug, locale, time_zone, currency, support_email, accent, logo, status, erase_at, created_at \
                 from tenant where id = $1"),
        args![id],
    )
    .await?
    .ok_or_else(|| Error::not_found("tenant"))
}

/// Creates a tenant, its data key and, if told, its first administrator with a sign-in link.
///
/// # Errors
/// Without `tenant.create`; a name, slug or address that is malformed or taken.
pub async fn create(scope: &Scope, new: NewTenant) -> Result<CreatedTenant> {
    scope.require(Permission::TenantCreate)?;
    let administrator = new.administrator.clone();
    let row = prepare(scope.runtime(), new)?;
    let mut write = scope.write_every().await?;
    insert(&mut write, &row).await?;
    let tenant = row.tenant;
    write.happened(Event::TenantCreated(change(&tenant, None)));
    let mut created = CreatedTenant { tenant, administrator: None, link: None };
    if let Some(FirstUser { email, name }) = administrator {
        let new =
            NewUser { email, name, role: role::TENANT_ADMIN.to_owned(), language: None, password_hash: None };
        let user = user::insert(&mut write, scope.runtime(), created.tenant.id, new).await?;
        let link = link::insert(&mut write, scope.runtime(), (created.tenant.id, user.id), None).await?;
        write.happened_to(created.tenant.id, Event::UserCreated(user::change(&user, None)));
        created.administrator = Some(user);
        created.link = Some(link);
    }
    let kept = CreatedTenant { link: None, ..created.clone() };
    write.commit_keeping(&kept).await?;
    Ok(created)
}

/// A tenant ready to be inserted, with its wrapped data key.
pub(crate) struct Prepared {
    pub(crate) tenant: Tenant,
    data_key: String,
}

/// Checks a new tenant and makes its data key, before any transaction is open.
pub(crate) fn prepare(runtime: &Runtime, new: NewTenant) -> Result<Prepared> {
    let name = name::given("name", &new.name)?;
    let slug = match new.slug {
        Some(slug) => name::slug(&slug)?,
        None => name::slug_of(&name),
    };
    let tenant = Tenant {
        id: runtime.ids.next(),
        slug,
        name,
        locale: name::locale(new.locale.as_deref().unwrap_or("en"))?,
        time_zone: name::time_zone(new.time_zone.as_deref().unwrap_or("UTC"))?,
        currency: name::currency(new.currency.as_deref().unwrap_or("USD"))?,
        support_email: None,
        accent: None,
        logo: None,
        erase_at: None,
        status: Status::Active.as_str().to_owned(),
        created_at: runtime.clock.now(),
    };
    let (_, data_key) = runtime.vault.create_data_key(&tenant.id.to_string()).map_err(Error::internal)?;
    Ok(Prepared { tenant, data_key })
}

/// Inserts a prepared tenant; the transaction reaches every tenant.
pub(crate) async fn insert(tx: &mut Tx, Prepared { tenant, data_key }: &Prepared) -> Result<()> {
    tx.execute(
        sql!(
            "insert into tenant (id, name, slug, locale, time_zone, status, data_key, created_at, currency) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ),
        args![
            tenant.id,
            &tenant.name,
            &tenant.slug,
            &tenant.locale,
            &tenant.time_zone,
            &tenant.status,
            data_key,
            tenant.created_at,
            &tenant.currency
        ],
    )
    .await
    .on_unique(|| {
        Error::new(Code::AlreadyExists, format!("the slug {:?} is taken", tenant.slug)).at("slug")
    })?;
    value_list::seed(tx, tenant.id, tenant.created_at).await
}

/// Changes a tenant.
///
/// # Errors
/// Without `tenant.change`; `not_found`; `conflict` for who would shut themselves out.
pub async fn update(scope: &Scope, id: TenantId, wanted: TenantChange) -> Result<Tenant> {
    scope.require(Permission::TenantChange)?;
    if id == scope.tenant() && wanted.status == Some(Status::Suspended) {
        return Err(Error::new(Code::Conflict, "you cannot suspend the tenant that you are in").at("status"));
    }
    let mut write = scope.write_every().await?;
    let before = find(&mut write, id).await?;
    let name = wanted.name.map(|name| name::given("name", &name)).transpose()?;
    let locale = wanted.locale.map(|locale| name::locale(&locale)).transpose()?;
    let time_zone = wanted.time_zone.map(|zone| name::time_zone(&zone)).transpose()?;
    let currency = wanted.currency.map(|currency| name::currency(&currency)).transpose()?;
    if before.status == ERASING {
        return Err(Error::new(Code::Conflict, "the tenant is being erased"));
    }
    write
        .execute(
            sql!(
                "update tenant set name = coalesce($2, name), locale = coalesce($3, locale), \
                 time_zone = coalesce($4, time_zone), status = coalesce($5, status), \
                 currency = coalesce($6, currency) where id = $1"
            ),
            args![id, name, locale, time_zone, wanted.status.map(Status::as_str), currency],
        )
        .await?;
    let after = find(&mut write, id).await?;
    write.happened(Event::TenantChanged(change(&after, Some(&before))));
    write.commit(after).await
}

/// What the audit trail keeps of a change to a tenant.
pub(crate) fn change(tenant: &Tenant, before: Option<&Tenant>) -> Change {
    Change {
        id: tenant.id.to_string(),
        name: tenant.name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(tenant).ok(),
    }
}
