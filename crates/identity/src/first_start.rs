//! What an empty database begins with: a tenant, its administrator, and the ways in.

use db::{Tenancy, Tx, args, record, sql};
use runtime::config::Secret;
use runtime::outbox::{self, Happened};
use runtime::{Actor, Runtime, secrets};
use types::event::Access;
use types::{Code, Error, Event, Result, TenantId, UserId};

use crate::key::{self, Key};
use crate::link::{self, Link};
use crate::role;
use crate::tenant::{self, NewTenant};
use crate::user::{self, NewUser};

/// The address of the first administrator.
pub const ADMIN_EMAIL: &str = "admin@localhost";

/// What the first start made, or what it found.
#[derive(Debug)]
pub struct FirstStart {
    /// The oldest tenant.
    pub tenant: TenantId,
    /// Its name.
    pub tenant_name: String,
    /// The e-mail address of the oldest platform administrator, if there is one.
    pub administrator: Option<String>,
    /// The ways in, when this was the first start.
    pub made: Option<Made>,
}

/// The secrets that a first start made; they are shown now or never.
#[derive(Debug)]
pub struct Made {
    /// The administrator's one-time sign-in link.
    pub link: Link,
    /// A key with all permissions for the command line on this machine.
    pub cli_key: Secret,
}

record! { struct Oldest { id: TenantId, name: String } }
record! { struct Administrator { email: String } }

/// Makes an empty database usable, in one transaction; does nothing where a tenant exists.
///
/// # Errors
/// When the database does not answer.
pub async fn run(runtime: &Runtime) -> Result<FirstStart> {
    if let Some(found) = existing(runtime).await? {
        return Ok(found);
    }
    match make(runtime).await {
        // Another process began with the same empty database and was faster.
        Err(error) if error.code() == Code::AlreadyExists => existing(runtime).await?.ok_or(error),
        made => made,
    }
}

/// A fresh sign-in link for the user of an address, made beside the database: the way back in.
///
/// # Errors
/// `not_found` when no active user has the address.
pub async fn new_link(runtime: &Runtime, email: &str) -> Result<Link> {
    link::create_offline(runtime, email).await
}

async fn existing(runtime: &Runtime) -> Result<Option<FirstStart>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let oldest: Option<Oldest> = tx
        .optional(
            sql!("select id, name from tenant where platform order by id limit 1 /* every tenant: is there one? */"),
            args![],
        )
        .await?;
    let Some(Oldest { id, name }) = oldest else { return Ok(None) };
    let administrator: Option<Administrator> = tx
        .optional(
            sql!("select email from users where tenant_id = $1 and role = $2 and status = 'active' order by id limit 1"),
            args![id, role::PLATFORM_ADMIN],
        )
        .await?;
    let administrator = administrator.map(|found| found.email);
    Ok(Some(FirstStart { tenant: id, tenant_name: name, administrator, made: None }))
}

async fn make(runtime: &Runtime) -> Result<FirstStart> {
    let name = if runtime.config.demo.enabled { "Demo" } else { "Main" };
    let prepared = tenant::prepare(runtime, NewTenant { name: name.to_owned(), ..NewTenant::default() })?;
    let id = prepared.tenant.id;
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    tenant::insert(&mut tx, &prepared).await?;
    tx.execute(sql!("update tenant set platform = true where id = $1"), args![id]).await?;
    let administrator = NewUser {
        email: ADMIN_EMAIL.to_owned(),
        name: "Administrator".to_owned(),
        role: role::PLATFORM_ADMIN.to_owned(),
        language: None,
        password_hash: None,
    };
    let administrator = user::insert(&mut tx, runtime, id, administrator).await?;
    let mut events = vec![
        Event::TenantCreated(tenant::change(&prepared.tenant, None)),
        Event::UserCreated(user::change(&administrator, None)),
    ];
    let admin_key = runtime.config.security.admin_key.expose();
    if !admin_key.is_empty() {
        let owner = Some(administrator.id);
        events.push(insert_key(&mut tx, runtime, id, owner, "Administrator's key", admin_key).await?);
    }
    let cli_key = format!("{}{}", key::PREFIX, secrets::token(32).map_err(Error::internal)?);
    events.push(insert_key(&mut tx, runtime, id, None, "Command line on this machine", &cli_key).await?);
    let link = link::insert(&mut tx, runtime, (id, administrator.id), None).await?;
    events.push(Event::LinkIssued(Access {
        who: administrator.email.clone(),
        by: "link".to_owned(),
        reason: None,
    }));
    let happened = Happened {
        tenant: id,
        at: runtime.clock.now(),
        actor: ACTOR.to_string(),
        request_id: None,
        from: None,
        events,
    };
    let written = outbox::write(&mut tx, vec![happened]).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    Ok(FirstStart {
        tenant: id,
        tenant_name: prepared.tenant.name,
        administrator: Some(administrator.email),
        made: Some(Made { link, cli_key: Secret::new(cli_key) }),
    })
}

/// Who the audit trail names for all this.
const ACTOR: Actor = Actor::System("first start");

async fn insert_key(
    tx: &mut Tx,
    runtime: &Runtime,
    tenant: TenantId,
    owner: Option<UserId>,
    name: &str,
    secret: &str,
) -> Result<Event> {
    let scopes = vec![key::EVERYTHING.to_owned()];
    let by = ACTOR.to_string();
    let key = Key::new(runtime.ids.next(), name.to_owned(), scopes, by, runtime.clock.now());
    let key = key::insert(tx, tenant, owner, key, secret).await?;
    Ok(Event::KeyCreated(key::change(&key, None)))
}
