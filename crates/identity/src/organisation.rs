//! A tenant's own settings, as its own administrators see and change them: name, locale, time zone, currency, colour, logo.

use db::{args, sql};
use runtime::Scope;
use runtime::secrets::sha256_hex;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Permission, Result};

use crate::name;
use crate::tenant::{self, Tenant};

pub mod api;
pub mod pages;
pub mod picture;

pub use picture::Logo;

/// What to change of one's own organisation; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationChange {
    /// What people call it, 1 to 100 characters.
    pub name: Option<String>,
    /// The language and region of its texts (BCP 47).
    pub locale: Option<String>,
    /// The zone its people live by (IANA).
    pub time_zone: Option<String>,
    /// The currency of its prices (ISO 4217).
    pub currency: Option<String>,
    /// Where its people ask for help; an empty text for nowhere.
    pub support_email: Option<String>,
    /// Its colour, six hexadecimal digits that can be read on a light page; an empty text for ours.
    pub accent: Option<String>,
}

/// The caller's own organisation.
///
/// # Errors
/// Without `organisation.view`.
pub async fn get(scope: &Scope) -> Result<Tenant> {
    scope.require(Permission::OrganisationView)?;
    tenant::own(scope).await
}

/// A text that is set, taken away by an empty one, or left as it is.
fn wanted(
    given: Option<String>,
    before: Option<&String>,
    check: impl FnOnce(&str) -> Result<String>,
) -> Result<Option<String>> {
    match given {
        None => Ok(before.cloned()),
        Some(text) if text.trim().is_empty() => Ok(None),
        Some(text) => check(&text).map(Some),
    }
}

/// Changes the caller's own organisation.
///
/// # Errors
/// Without `organisation.change`; a value that its field does not take, such as a colour too pale to be read.
pub async fn change(scope: &Scope, change: OrganisationChange) -> Result<Tenant> {
    scope.require(Permission::OrganisationChange)?;
    let mut write = scope.write().await?;
    let before = tenant::mine(&mut write, scope).await?;
    let email = |text: &str| {
        name::email(text)
            .map_err(|_| Error::invalid("support_email", "give an e-mail address such as help@example.com"))
    };
    let after = Tenant {
        name: change.name.map_or(Ok(before.name.clone()), |text| name::given("name", &text))?,
        locale: change.locale.map_or(Ok(before.locale.clone()), |text| name::locale(&text))?,
        time_zone: change.time_zone.map_or(Ok(before.time_zone.clone()), |text| name::time_zone(&text))?,
        currency: change.currency.map_or(Ok(before.currency.clone()), |text| name::currency(&text))?,
        support_email: wanted(change.support_email, before.support_email.as_ref(), email)?,
        accent: wanted(change.accent, before.accent.as_ref(), web::accent::checked)?,
        ..before.clone()
    };
    write
        .execute(
            sql!(
                "update tenant set name = $2, locale = $3, time_zone = $4, currency = $5, support_email = $6, accent = $7 \
                 where id = $1"
            ),
            args![
                after.id,
                &after.name,
                &after.locale,
                &after.time_zone,
                &after.currency,
                after.support_email.clone(),
                after.accent.clone()
            ],
        )
        .await?;
    write.happened(Event::TenantChanged(tenant::change(&after, Some(&before))));
    let after = write.commit(after).await?;
    crate::domain::refresh(scope.runtime()).await?;
    Ok(after)
}

/// Gives the caller's own organisation a logo, in the place of the one before it.
///
/// # Errors
/// Without `organisation.change`; `invalid_value` for octets that are no PNG, JPEG or WebP, or a picture that is too large.
pub async fn set_logo(scope: &Scope, octets: Vec<u8>) -> Result<Tenant> {
    scope.require(Permission::OrganisationChange)?;
    let limit = scope.runtime().config.tenants.logo_bytes_max;
    if octets.len() > limit {
        return Err(Error::invalid(
            "logo",
            format!("the logo has {} octets, and at most {limit} are taken", octets.len()),
        ));
    }
    let media_type = picture::media_type(&octets)?;
    let sha256 = sha256_hex(&octets);
    let mut write = scope.write().await?;
    write
        .execute(
            sql!(
                "insert into tenant_logo (tenant_id, sha256, media_type, octets, changed_at) values ($1, $2, $3, $4, $5) \
                 on conflict (tenant_id) do update set sha256 = excluded.sha256, media_type = excluded.media_type, \
                 octets = excluded.octets, changed_at = excluded.changed_at"
            ),
            args![scope.tenant(), &sha256, media_type, octets, scope.now()],
        )
        .await?;
    logo_changed(scope, write, Some(sha256)).await
}

/// Takes the logo of the caller's own organisation away.
///
/// # Errors
/// Without `organisation.change`; `not_found` where there is none.
pub async fn remove_logo(scope: &Scope) -> Result<Tenant> {
    scope.require(Permission::OrganisationChange)?;
    let mut write = scope.write().await?;
    let gone =
        write.execute(sql!("delete from tenant_logo where tenant_id = $1"), args![scope.tenant()]).await?;
    if gone == 0 {
        return Err(Error::not_found("logo"));
    }
    logo_changed(scope, write, None).await
}

async fn logo_changed(scope: &Scope, mut write: runtime::Write, logo: Option<String>) -> Result<Tenant> {
    let before = tenant::mine(&mut write, scope).await?;
    write
        .execute(sql!("update tenant set logo = $2 where id = $1"), args![scope.tenant(), logo.clone()])
        .await?;
    let after = Tenant { logo, ..before.clone() };
    write.happened(Event::BrandChanged(Change {
        id: after.id.to_string(),
        name: after.name.clone(),
        before: Some(serde_json::json!({ "logo": before.logo })),
        after: Some(serde_json::json!({ "logo": after.logo })),
    }));
    let after = write.commit(after).await?;
    crate::domain::refresh(scope.runtime()).await?;
    Ok(after)
}

/// A logo by its hash. The sign-in page shows it to everybody, and nobody finds it without knowing what it is.
///
/// # Errors
/// `not_found`.
pub async fn logo(runtime: &runtime::Runtime, sha256: &str) -> Result<Logo> {
    let found: Option<Logo> = runtime
        .db
        .read(db::Tenancy::Every)
        .await?
        .optional(
            sql!(
                "select media_type, octets from tenant_logo where sha256 = $1 limit 1 \
                 /* every tenant: the address is the picture's own hash */"
            ),
            args![sha256],
        )
        .await?;
    found.ok_or_else(|| Error::new(Code::NotFound, "there is no such picture"))
}
