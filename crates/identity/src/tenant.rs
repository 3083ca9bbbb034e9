//! Organisations. The platform's administrators look after all of them; resellers after those beneath their own.

use db::{OnConflict, Tenancy, Tx, args, record, sql};
use runtime::{Runtime, Scope, Write};
use serde::{Deserialize, Serialize};
use types::event::{Access, Change};
use types::{Code, Error, Event, Permission, Result, TenantId, Timestamp, UserId};

use crate::link::{self, Link};
use crate::user::{self, NewUser, User};
use crate::{name, role, value_list};

pub mod api;
pub mod pages;
pub mod tree;

use tree::{Sight, sight};

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
        /// The tenant that it stands beneath; absent for one at the root, and where it is one's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub parent: Option<TenantId>,
        /// Whether it may have tenants beneath it.
        pub reseller: bool,
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
    /// The tenant that it shall stand beneath. When not given: the reseller's own, and the root where the platform opens it.
    pub parent: Option<TenantId>,
    /// Whether it may have tenants beneath it; not, when not given.
    #[serde(default)]
    pub reseller: bool,
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
    /// Whether its people and programs are let in. What was suspended from above stays so until it is let in from there.
    pub status: Option<Status>,
    /// Whether it may have tenants beneath it. Those that it has stay when it may not any more.
    pub reseller: Option<bool>,
}

/// A tenant by its id.
///
/// # Errors
/// Without `tenant.view` and `subtenant.view`; `not_found`, also for one that the caller's does not stand above.
pub async fn get(scope: &Scope, id: TenantId) -> Result<Tenant> {
    let sight = sight(scope, Permission::TenantView, Permission::SubtenantView)?;
    tree::reach(&mut scope.read().await?, sight, id).await
}

/// The caller's own tenant, which everybody may see.
///
/// # Errors
/// When the database does not answer.
pub async fn own(scope: &Scope) -> Result<Tenant> {
    mine(&mut scope.read().await?, scope).await
}

/// The caller's own tenant as its people see it: who stands above it is not told.
pub(crate) async fn mine(tx: &mut Tx, scope: &Scope) -> Result<Tenant> {
    Ok(Tenant { parent: None, ..find(tx, scope.tenant()).await? })
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
        sql!(
            "select id, name, slug, parent, reseller, locale, time_zone, currency, support_email, accent, logo, status, \
             erase_at, created_at from tenant where id = $1"
        ),
        args![id],
    )
    .await?
    .ok_or_else(|| Error::not_found("tenant"))
}

/// Creates a tenant, its data key and, if told, its first administrator with a sign-in link. A reseller's stands beneath theirs.
///
/// # Errors
/// Without `tenant.create` and `subtenant.create`; a name, slug or address that is malformed or taken; as [`tree::place`] for a
/// parent.
pub async fn create(scope: &Scope, new: NewTenant) -> Result<CreatedTenant> {
    let sight = sight(scope, Permission::TenantCreate, Permission::SubtenantCreate)?;
    let (administrator, parent) = (new.administrator.clone(), new.parent);
    let mut row = prepare(scope.runtime(), new)?;
    let mut write = scope.write_every().await?;
    row.tenant.parent = tree::place(&mut write, scope, sight, parent).await?;
    insert(&mut write, &row).await?;
    let tenant = row.tenant;
    tell(&mut write, scope, tenant.parent, Event::TenantCreated(change(&tenant, None))).await?;
    let mut created = CreatedTenant { tenant, administrator: None, link: None };
    if let Some(first) = administrator {
        let (user, link) = invite_first(&mut write, scope, created.tenant.id, first).await?;
        created.administrator = Some(user);
        created.link = Some(link);
    }
    let kept = CreatedTenant { link: None, ..created.clone() };
    write.commit_keeping(&kept).await?;
    Ok(created)
}

/// Tells whoever acts, the platform, whose trail tells of all tenants, and the tenant directly above.
async fn tell(write: &mut Write, scope: &Scope, parent: Option<TenantId>, event: Event) -> Result<()> {
    let platform = platform(write).await?;
    write.happened(event.clone());
    let others = [Some(platform), parent].into_iter().flatten();
    for whose in others.filter(|whose| *whose != scope.tenant()) {
        write.happened_to(whose, event.clone());
    }
    Ok(())
}

record! { struct Counted { n: i64 } }
record! { struct Waiting { id: UserId } }

/// Whether nobody of a tenant has been let in yet: then whoever looks after it may invite its first administrator.
async fn is_untouched(tx: &mut Tx, id: TenantId) -> Result<bool> {
    let Counted { n } = tx
        .one(
            sql!(
                "select count(*) as n from users where tenant_id = $1 \
                 and (last_sign_in_at is not null or password_hash is not null)"
            ),
            args![id],
        )
        .await?;
    Ok(n == 0)
}

/// An administrator, made or there already and waiting, with a fresh link.
async fn invite_first(
    write: &mut Write,
    scope: &Scope,
    tenant: TenantId,
    FirstUser { email, name }: FirstUser,
) -> Result<(User, Link)> {
    let waiting: Option<Waiting> = write
        .optional(
            sql!("select id from users where tenant_id = $1 and email_folded = $2 and role = $3 and status = 'active'"),
            args![tenant, name::folded(&email), role::TENANT_ADMIN],
        )
        .await?;
    let user = match waiting {
        Some(Waiting { id }) => user::find(write, tenant, id).await?,
        None => {
            let role = role::TENANT_ADMIN.to_owned();
            let new = NewUser { email, name, role, language: None, password_hash: None };
            let user = user::insert(write, scope.runtime(), tenant, new).await?;
            write.happened_to(tenant, Event::UserCreated(user::change(&user, None)));
            user
        }
    };
    let link = link::insert(write, scope.runtime(), (tenant, user.id), None).await?;
    Ok((user, link))
}

/// A first administrator who was invited, and how they get in.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Invited {
    /// Who they are.
    pub administrator: User,
    /// Their sign-in link; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

/// Whether the first administrator of a tenant may still be invited.
///
/// # Errors
/// As [`get`].
pub(crate) async fn awaits(scope: &Scope, id: TenantId) -> Result<bool> {
    get(scope, id).await?;
    is_untouched(&mut scope.runtime().db.read(Tenancy::Tenant(id)).await?, id).await
}

/// Invites the first administrator of a tenant, or invites them again when their link has run out. It ends with the first person
/// who is let in: whoever looks after a tenant must not come into what its people do.
///
/// # Errors
/// Without `tenant.create` and `subtenant.create`; `not_found`; `conflict` for one's own tenant, one that is being erased, or one
/// whose people were let in; `already_exists` for an address that is in use.
pub async fn invite(scope: &Scope, id: TenantId, first: FirstUser) -> Result<Invited> {
    let sight = sight(scope, Permission::TenantCreate, Permission::SubtenantCreate)?;
    let mut write = scope.write_every().await?;
    let tenant = tree::reach(&mut write, sight, id).await?;
    if id == scope.tenant() {
        return Err(Error::new(Code::Conflict, "this is your own tenant").hint("create a user instead"));
    }
    if tenant.status == ERASING {
        return Err(Error::new(Code::Conflict, "the tenant is being erased"));
    }
    if !is_untouched(&mut write, id).await? {
        return Err(Error::new(Code::Conflict, "somebody of this tenant was let in before")
            .hint("its own administrators invite others"));
    }
    let (user, link) = invite_first(&mut write, scope, id, first).await?;
    let issued = Access { who: user.email.clone(), by: "link".to_owned(), reason: None };
    write.happened(Event::LinkIssued(issued.clone()));
    write.happened_to(id, Event::LinkIssued(issued));
    let invited = Invited { administrator: user, link: Some(link) };
    write.commit_keeping(&Invited { link: None, ..invited.clone() }).await?;
    Ok(invited)
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
        parent: None,
        reseller: new.reseller,
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
            "insert into tenant (id, name, slug, locale, time_zone, status, data_key, created_at, currency, parent, reseller) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
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
            &tenant.currency,
            tenant.parent,
            tenant.reseller
        ],
    )
    .await
    .on_unique(|| {
        Error::new(Code::AlreadyExists, format!("the slug {:?} is taken", tenant.slug)).at("slug")
    })?;
    value_list::seed(tx, tenant.id, tenant.created_at).await
}

record! { struct Suspension { suspended_by: Option<TenantId> } }

/// By whom a tenant is suspended after a change; refuses to let in what was suspended from above.
async fn suspended_by(
    tx: &mut Tx,
    sight: Sight,
    before: &Tenant,
    wanted: Option<Status>,
) -> Result<Option<TenantId>> {
    let Suspension { suspended_by } =
        tx.one(sql!("select suspended_by from tenant where id = $1"), args![before.id]).await?;
    let is_suspended = before.status == Status::Suspended.as_str();
    let from_above = match (sight, suspended_by) {
        (Sight::All, _) => false,
        (Sight::Beneath(_), None) => is_suspended,
        (Sight::Beneath(root), Some(by)) => {
            is_suspended && by != root && !tree::is_beneath(tx, root, by).await?
        }
    };
    match (wanted, sight) {
        (None, _) => Ok(suspended_by),
        (Some(Status::Suspended), _) if from_above => Ok(suspended_by),
        (Some(Status::Suspended), Sight::All) => Ok(None),
        (Some(Status::Suspended), Sight::Beneath(root)) => Ok(Some(root)),
        (Some(Status::Active), _) if from_above => {
            Err(Error::new(Code::Forbidden, "the tenant was suspended from above yours")
                .at("status")
                .hint("whoever stands above you lets it in again"))
        }
        (Some(Status::Active), _) => Ok(None),
    }
}

/// Changes a tenant. Those beneath it are not touched by that: a suspended reseller's tenants go on.
///
/// # Errors
/// Without `tenant.change` and `subtenant.change`; `not_found`, also for one that the caller's does not stand above; `forbidden`
/// to let in what was suspended from above; `conflict` for who would shut themselves out, for a tenant that is being erased, and
/// to make a reseller of the installation's own tenant.
pub async fn update(scope: &Scope, id: TenantId, wanted: TenantChange) -> Result<Tenant> {
    let sight = sight(scope, Permission::TenantChange, Permission::SubtenantChange)?;
    if id == scope.tenant() && wanted.status == Some(Status::Suspended) {
        return Err(Error::new(Code::Conflict, "you cannot suspend the tenant that you are in").at("status"));
    }
    let mut write = scope.write_every().await?;
    tree::turn(&mut write).await?;
    let before = tree::reach(&mut write, sight, id).await?;
    let name = wanted.name.map(|name| name::given("name", &name)).transpose()?;
    let locale = wanted.locale.map(|locale| name::locale(&locale)).transpose()?;
    let time_zone = wanted.time_zone.map(|zone| name::time_zone(&zone)).transpose()?;
    let currency = wanted.currency.map(|currency| name::currency(&currency)).transpose()?;
    if before.status == ERASING {
        return Err(Error::new(Code::Conflict, "the tenant is being erased"));
    }
    if wanted.reseller == Some(true) && id == platform(&mut write).await? {
        return Err(Error::new(
            Code::Conflict,
            "this is the installation's own tenant, which stands above all",
        )
        .at("reseller")
        .hint("its administrators look after all tenants as it is"));
    }
    let by = suspended_by(&mut write, sight, &before, wanted.status).await?;
    write
        .execute(
            sql!(
                "update tenant set name = coalesce($2, name), locale = coalesce($3, locale), \
                 time_zone = coalesce($4, time_zone), status = coalesce($5, status), \
                 currency = coalesce($6, currency), reseller = coalesce($7, reseller), suspended_by = $8 where id = $1"
            ),
            args![
                id,
                name,
                locale,
                time_zone,
                wanted.status.map(Status::as_str),
                currency,
                wanted.reseller,
                by
            ],
        )
        .await?;
    let after = find(&mut write, id).await?;
    tell(&mut write, scope, after.parent, Event::TenantChanged(change(&after, Some(&before)))).await?;
    if id != scope.tenant() {
        // Who stands above is not told to those beneath.
        let hidden = |tenant: &Tenant| Tenant { parent: None, ..tenant.clone() };
        write.happened_to(id, Event::TenantChanged(change(&hidden(&after), Some(&hidden(&before)))));
    }
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
