//! Hosts of a tenant's own: proved by a file on them, then they show that tenant's sign-in page and let in nobody else's
//! people.
//!
//! The proof is read before the host leads to this server, from whoever serves it then: this server never answers it itself,
//! so a host that was pointed here in advance proves nothing to a stranger who names it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use db::{OnConflict, Tenancy, Tx, args, record, sql};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, DomainId, Error, Event, Page, Permission, Result, TenantId, Timestamp};
use web::access::Brand;

use crate::name;

pub mod api;
pub mod pages;

/// Where the proof is read.
pub const PROOF_PATH: &str = "/.well-known/switchboard-domain.txt";
/// Hosts that are known at once.
const HOSTS_MAX: i64 = 100_000;
/// Lines of a proof that are looked at.
const LINES_MAX: usize = 100;

record! {
    /// A host of a tenant's own.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Domain {
        /// Its id.
        pub id: DomainId,
        /// The host's name.
        pub host: String,
        /// The line that must stand in the file at `/.well-known/switchboard-domain.txt` on the host.
        pub token: String,
        /// When it was added.
        pub created_at: Timestamp,
        /// When the proof was last looked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub checked_at: Option<Timestamp>,
        /// Why the last look found no proof.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub problem: Option<String>,
        /// Since when it is proved; absent while it is not, and serves nobody.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub proved_at: Option<Timestamp>,
    }
}

/// A host to be added.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    /// Its name, such as `sms.example.com`.
    pub host: String,
}

/// Whose a host is, and how that tenant looks.
#[derive(Debug, Clone)]
pub struct House {
    /// The tenant.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// How it looks.
    pub brand: Brand,
    /// Whether people may register with it by themselves.
    pub registers: bool,
}

/// The proved hosts, as they were last read.
#[derive(Default)]
struct Known(RwLock<Arc<HashMap<String, Arc<House>>>>);

record! {
    struct HouseRow {
        host: String, tenant_id: TenantId, name: String, accent: Option<String>, logo: Option<String>, support_email: Option<String>,
        registers: bool,
    }
}

/// How a tenant looks, from its columns.
pub(crate) fn brand(accent: Option<String>, logo: Option<&str>, support: Option<String>) -> Brand {
    Brand { accent, logo: logo.map(|sha256| format!("/brand/logo/{sha256}")), support }
}

/// Reads the proved hosts; also every few seconds, because another process on the database may have proved one.
///
/// # Errors
/// When the database does not answer; what was known stays.
pub async fn refresh(runtime: &Runtime) -> Result<()> {
    let rows: Vec<HouseRow> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select d.host, d.tenant_id, t.name, t.accent, t.logo, t.support_email, (p.open is not null and p.open) as registers \
                 from domain d join tenant t on t.id = d.tenant_id left join registration_policy p on p.tenant_id = d.tenant_id where d.proved_at is not null order by d.host limit $1 \
                 /* every tenant: the host says whose it is */"
            ),
            args![HOSTS_MAX],
        )
        .await?;
    let houses = rows.into_iter().map(|row| {
        let brand = brand(row.accent, row.logo.as_deref(), row.support_email);
        (row.host, Arc::new(House { tenant: row.tenant_id, name: row.name, brand, registers: row.registers }))
    });
    let known = runtime.kept(|_| Known::default());
    *known.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(houses.collect());
    Ok(())
}

/// Whose own a host is; nobody's for most.
pub fn house(runtime: &Runtime, host: Option<&str>) -> Option<Arc<House>> {
    let known = runtime.kept(|_| Known::default());
    let known = known.0.read().unwrap_or_else(PoisonError::into_inner);
    known.get(host?).cloned()
}

/// The door that somebody stands at: a tenant's own host, or the installation's address.
pub(crate) struct Door {
    /// Whose own it is; the installation's lets in everybody's people.
    pub(crate) house: Option<TenantId>,
    /// Its address, without a path.
    pub(crate) url: String,
}

impl Door {
    /// Whether a tenant's people come in here.
    pub(crate) fn is_for(&self, tenant: TenantId) -> bool {
        self.house.is_none_or(|house| house == tenant)
    }
}

/// The door that a request has come to.
pub(crate) fn door(runtime: &Runtime, host: Option<&str>) -> Door {
    match (house(runtime, host), host) {
        (Some(house), Some(host)) => Door { house: Some(house.tenant), url: format!("https://{host}") },
        _ => Door { house: None, url: runtime.config.public_url() },
    }
}

record! { struct Host { host: String } }

/// The address under which a tenant's people reach the console: its own oldest proved host, or the installation's.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn public_url(tx: &mut Tx, runtime: &Runtime, tenant: TenantId) -> Result<String> {
    let first: Option<Host> = tx
        .optional(
            sql!(
                "select host from domain where tenant_id = $1 and proved_at is not null order by id limit 1"
            ),
            args![tenant],
        )
        .await?;
    Ok(first.map_or_else(|| runtime.config.public_url(), |Host { host }| format!("https://{host}")))
}

record! { struct Named { name: String, support_email: Option<String> } }

/// How mails to a tenant's people are signed: by the tenant's name and where they ask for help.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn signature(tx: &mut Tx, tenant: TenantId) -> Result<String> {
    let named: Option<Named> =
        tx.optional(sql!("select name, support_email from tenant where id = $1"), args![tenant]).await?;
    Ok(match named {
        Some(Named { name, support_email: Some(support) }) => format!("{name}, {support}"),
        Some(Named { name, support_email: None }) => name,
        None => "Switchboard".to_owned(),
    })
}

/// The tenant's own domains.
///
/// # Errors
/// Without `organisation.view`.
pub async fn list(scope: &Scope) -> Result<Page<Domain>> {
    scope.require(Permission::OrganisationView)?;
    let domains: Vec<Domain> = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, host, token, created_at, checked_at, problem, proved_at from domain where tenant_id = $1 \
                 order by id limit 1000"
            ),
            args![scope.tenant()],
        )
        .await?;
    Ok(Page { items: domains, next: None })
}

/// One of the tenant's own domains.
///
/// # Errors
/// Without `organisation.view`; `not_found`.
pub async fn get(scope: &Scope, id: DomainId) -> Result<Domain> {
    scope.require(Permission::OrganisationView)?;
    find(&mut scope.read().await?, scope.tenant(), id).await
}

async fn find(tx: &mut Tx, tenant: TenantId, id: DomainId) -> Result<Domain> {
    let found = tx.optional(
        sql!(
            "select id, host, token, created_at, checked_at, problem, proved_at from domain where tenant_id = $1 and id = $2"
        ),
        args![tenant, id],
    );
    found.await?.ok_or_else(|| Error::not_found("domain"))
}

record! { struct Counted { n: i64 } }

/// Adds a domain. It serves nobody until it is proved, and anybody may add it until somebody has proved it.
///
/// # Errors
/// Without `organisation.domains`; a host that is none; `already_exists`; `conflict` at the bound.
pub async fn create(scope: &Scope, new: NewDomain) -> Result<Domain> {
    scope.require(Permission::DomainManage)?;
    let host = name::host(&new.host)?;
    let ours = scope.runtime().config.public_url();
    if ours.split("://").nth(1).is_some_and(|rest| rest.split([':', '/']).next() == Some(host.as_str())) {
        return Err(Error::new(Code::Conflict, "this is the installation's own host").at("host"));
    }
    let domain = Domain {
        id: scope.runtime().ids.next(),
        host,
        token: format!("switchboard-{}", runtime::secrets::token(24).map_err(Error::internal)?),
        created_at: scope.now(),
        checked_at: None,
        problem: None,
        proved_at: None,
    };
    let mut write = scope.write().await?;
    let Counted { n } = write
        .one(sql!("select count(*) as n from domain where tenant_id = $1"), args![scope.tenant()])
        .await?;
    let limit = scope.runtime().config.tenants.domains_max;
    if usize::try_from(n).is_ok_and(|n| n >= limit) {
        return Err(Error::new(Code::Conflict, format!("there are {n} domains, and {limit} are the most"))
            .hint("remove one first, or raise tenants.domains_max"));
    }
    let inserted = write.execute(
        sql!("insert into domain (id, tenant_id, host, token, created_at) values ($1, $2, $3, $4, $5)"),
        args![domain.id, scope.tenant(), &domain.host, &domain.token, domain.created_at],
    );
    inserted.await.on_unique(|| {
        Error::new(Code::AlreadyExists, format!("{} is added already", domain.host)).at("host")
    })?;
    write.happened(Event::DomainAdded(told(&domain, None)?));
    write.commit(domain).await
}

fn told(domain: &Domain, before: Option<&Domain>) -> Result<Change> {
    Ok(Change {
        id: domain.id.to_string(),
        name: domain.host.clone(),
        before: before.map(serde_json::to_value).transpose().map_err(Error::internal)?,
        after: Some(serde_json::to_value(domain).map_err(Error::internal)?),
    })
}

/// Looks for the proof on the host and, where it stands there, gives the host to the tenant.
///
/// # Errors
/// Without `organisation.domains`; `not_found`; `domain_not_proved` with what was found instead, which is kept;
/// `already_exists` when another tenant has proved it.
pub async fn check(scope: &Scope, id: DomainId) -> Result<Domain> {
    scope.require(Permission::DomainManage)?;
    let domain = find(&mut scope.read().await?, scope.tenant(), id).await?;
    if domain.proved_at.is_some() {
        return Ok(domain);
    }
    let found = proof(scope.runtime(), &domain).await;
    let now = scope.now();
    if let Err(problem) = found {
        // Without the answer of a keyed request: the next try may find it.
        let mut tx = scope.runtime().db.write(Tenancy::Tenant(scope.tenant())).await?;
        tx.execute(
            sql!("update domain set checked_at = $3, problem = $4 where tenant_id = $1 and id = $2"),
            args![scope.tenant(), id, now, &problem],
        )
        .await?;
        tx.commit().await?;
        return Err(Error::new(Code::DomainNotProved, format!("{}: {problem}", domain.host)));
    }
    let mut write = scope.write().await?;
    let proved = Domain { checked_at: Some(now), problem: None, proved_at: Some(now), ..domain.clone() };
    let updated = write.execute(
        sql!(
            "update domain set checked_at = $3, problem = null, proved_at = $3 where tenant_id = $1 and id = $2"
        ),
        args![scope.tenant(), id, now],
    );
    updated.await.on_unique(|| {
        Error::new(Code::AlreadyExists, format!("another organisation has proved {}", domain.host)).at("host")
    })?;
    write.happened(Event::DomainProved(told(&proved, Some(&domain))?));
    let proved = write.commit(proved).await?;
    refresh(scope.runtime()).await?;
    Ok(proved)
}

/// Whether the proof stands on the host; otherwise what does.
async fn proof(runtime: &Runtime, domain: &Domain) -> Result<(), String> {
    let port = match runtime.config.tenants.domain_proof_port {
        80 => String::new(),
        port => format!(":{port}"),
    };
    let url = format!("http://{}{port}{PROOF_PATH}", domain.host);
    let answer = runtime.outbound.get(&url, &[]).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("{PROOF_PATH} answers {}", answer.status));
    }
    let text = String::from_utf8_lossy(&answer.body);
    match text.lines().take(LINES_MAX).any(|line| line.trim() == domain.token) {
        true => Ok(()),
        false => Err(format!("{PROOF_PATH} does not hold the line {}", domain.token)),
    }
}

/// Removes a domain; the host serves nobody in particular then.
///
/// # Errors
/// Without `organisation.domains`; `not_found`.
pub async fn delete(scope: &Scope, id: DomainId) -> Result<()> {
    scope.require(Permission::DomainManage)?;
    let mut write = scope.write().await?;
    let domain = find(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from domain where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::DomainRemoved(Change {
        id: domain.id.to_string(),
        name: domain.host.clone(),
        before: Some(serde_json::to_value(&domain).map_err(Error::internal)?),
        after: None,
    }));
    write.commit(()).await?;
    refresh(scope.runtime()).await
}
