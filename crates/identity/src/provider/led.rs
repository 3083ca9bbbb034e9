//! Domains of e-mail addresses, and the services that they lead to.

use db::{OnConflict, Tx, args, record, sql};
use runtime::Scope;
use types::{Code, Error, ProviderId, Result, TenantId};

use super::{ENTRIES_MAX, fits};
use crate::domain::Door;
use crate::name;

/// Domains of e-mail addresses in their normal form.
pub(crate) fn domains(given: &[String]) -> Result<Vec<String>> {
    let mut domains: Vec<String> = given.iter().map(|domain| domain.trim().to_lowercase()).collect();
    domains.sort();
    domains.dedup();
    let refuse = |why: String| Err(Error::invalid("settings.domains", why));
    if domains.len() > ENTRIES_MAX {
        return refuse(format!("it takes at most {ENTRIES_MAX} entries"));
    }
    let is_domain = |text: &String| fits(text) && name::email(&format!("x@{text}")).is_ok();
    match domains.iter().find(|text| !is_domain(text)) {
        Some(bad) => refuse(format!("{bad:?} is no domain such as example.com")),
        None => Ok(domains),
    }
}

record! { struct Elsewhere { domain: String } }

/// Refuses a domain that leads to a directory of another tenant.
pub(super) async fn refuse_foreign(scope: &Scope, domains: &[String]) -> Result<()> {
    let mut tx = scope.runtime().db.read(db::Tenancy::Every).await?;
    for domain in domains {
        let elsewhere: Option<Elsewhere> = tx
            .optional(
                sql!(
                    "select domain from directory_domain where domain = $1 and tenant_id <> $2 \
                     /* every tenant: whose the domain is shows nobody more than a refusal */"
                ),
                args![domain, scope.tenant()],
            )
            .await?;
        if let Some(Elsewhere { domain }) = elsewhere {
            return Err(
                Error::new(Code::AlreadyExists, format!("{domain} leads elsewhere")).at("settings.domains")
            );
        }
    }
    Ok(())
}

/// Lets these domains, and no others, lead to a service.
pub(super) async fn lead(tx: &mut Tx, scope: &Scope, id: ProviderId, domains: &[String]) -> Result<()> {
    tx.execute(
        sql!("delete from identity_domain where tenant_id = $1 and provider_id = $2"),
        args![scope.tenant(), id],
    )
    .await?;
    for domain in domains {
        tx.execute(
            sql!("insert into identity_domain (domain, tenant_id, provider_id) values ($1, $2, $3)"),
            args![domain, scope.tenant(), id],
        )
        .await
        .on_unique(|| {
            Error::new(Code::AlreadyExists, format!("{domain} leads to another service"))
                .at("settings.domains")
        })?;
    }
    Ok(())
}

record! { struct Led { provider_id: ProviderId, tenant_id: TenantId } }

/// The service that an e-mail address leads to at a door, if its domain does.
pub(crate) async fn of_address(
    runtime: &runtime::Runtime,
    email: &str,
    door: &Door,
) -> Result<Option<ProviderId>> {
    let Some((_, domain)) = email.trim().rsplit_once('@') else { return Ok(None) };
    let mut tx = runtime.db.read(db::Tenancy::Every).await?;
    let led: Option<Led> = tx
        .optional(
            sql!(
                "select d.provider_id, d.tenant_id from identity_domain d join identity_provider p on p.id = d.provider_id \
                 where d.domain = $1 and p.active /* every tenant: the domain says whose it is */"
            ),
            args![domain.to_lowercase()],
        )
        .await?;
    Ok(led.filter(|led| door.is_for(led.tenant_id)).map(|led| led.provider_id))
}
