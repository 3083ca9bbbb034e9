//! Connections: carriers that we bind to.

use connectors::{BindKind, cimd, http as over_http, smpp, ucp};
use db::{OnConflict, Tenancy, args, record, sql};
use runtime::outbound::Dial;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, ConnectionId, Error, Event, Page, Permission, Result, TenantId, Timestamp};
use web::Paging;

use crate::live::meter::Board;
use crate::route;
use crate::settings::{self, Patch};

pub mod api;
pub(crate) mod dial;
mod dialect;
pub(crate) mod errors;
pub mod hook;
mod http;
mod mail;
pub mod pages;
pub mod password;
pub mod preview;
mod words;

pub use dialect::{ConnectionSettings, MailReceipts};
pub use errors::{ErrorConvention, ErrorPlace, ErrorRule};
pub use words::{
    Alphabet, ExtraTlv, LongMessages, Protocol, ReceiptIds, Standby, TimeFormat, Unanswered, Version,
};
pub(crate) use words::{host, language, receipt_state};

/// A carrier's message centre that we bind to. The password is not shown, not even sealed.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// Whether it should be up.
    pub wanted: Wanted,
    /// Where it leads, how fast it goes, and what the carrier's side is like.
    pub settings: ConnectionSettings,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// The password for the bind, readable with the tenant's key alone.
    #[serde(skip)]
    password_sealed: String,
}

/// What an operator wants of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Bound, and taking messages.
    Started,
    /// Not bound. Its messages wait.
    Stopped,
    /// Bound for answers and receipts of what has left, but taking nothing more.
    Draining,
}

impl Wanted {
    /// The name that programs see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Draining => "draining",
        }
    }

    fn named(name: &str) -> Result<Self> {
        let known =
            [Self::Started, Self::Stopped, Self::Draining].into_iter().find(|known| known.as_str() == name);
        known
            .ok_or_else(|| Error::internal(format!("{name:?} is nothing that can be wanted of a connection")))
    }
}

/// A connection to be created.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// What people call it.
    pub name: String,
    /// The password for the bind, at most 64 printable ASCII characters (8 by the specification); over HTTP the password, key
    /// or token, at most 4,096. None when not given.
    pub password: Option<String>,
    /// HTTP: what proves who posts to the connection's hooks; the password when not given.
    pub hook_secret: Option<String>,
    /// Whether it should be up; `started` when not given.
    pub wanted: Option<Wanted>,
    /// Where it leads and what the carrier's side is like. `host` and `system_id` must be given.
    #[schema(value_type = ConnectionSettings)]
    pub settings: Patch,
}

/// A change to a connection. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionPatch {
    /// What people call it.
    pub name: Option<String>,
    /// A new password for the bind.
    pub password: Option<String>,
    /// HTTP: what proves who posts to the connection's hooks; the password when empty.
    pub hook_secret: Option<String>,
    /// Settings; null brings a member's default back.
    #[serde(default)]
    #[schema(value_type = ConnectionSettings)]
    pub settings: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: ConnectionId, tenant_id: TenantId, name: String, wanted: String, settings: String, password_sealed: String,
        revision: i64, created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn connection(self) -> Result<Connection> {
        Ok(Connection {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            wanted: Wanted::named(&self.wanted)?,
            settings: settings::stored(&self.settings)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
            password_sealed: self.password_sealed,
        })
    }
}

/// Connections that one look reads at most.
const READ_MAX: i64 = 100_000;

/// Creates a connection. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`] for a name that another of the tenant's connections has; refusals of its values.
pub async fn create(scope: &Scope, mut new: NewConnection) -> Result<Connection> {
    scope.require(Permission::ConnectionCreate)?;
    let runtime = scope.runtime();
    let defaults = ConnectionSettings::defaults(&runtime.config);
    let now = scope.now();
    let id = runtime.ids.next();
    http::whole(&defaults, &mut new.settings)?;
    let settings = settings::changed("settings", &defaults, &defaults, &new.settings)?;
    let settings = http::checked(runtime, settings)?.checked(&runtime.config)?;
    let password = new.password.as_deref().unwrap_or_default();
    let connection = Connection {
        id,
        tenant: scope.tenant(),
        name: identity::name::given("name", &new.name)?,
        wanted: new.wanted.unwrap_or(Wanted::Started),
        revision: 1,
        created_at: now,
        changed_at: now,
        password_sealed: password::seal(scope, id, settings.protocol, password).await?,
        settings,
    };
    let hook_secret = hook::sealed(scope, id, new.hook_secret.as_deref().unwrap_or_default()).await?;
    let mut write = scope.write().await?;
    let inserted = write.execute(
        sql!(
            "insert into connection (id, tenant_id, name, wanted, settings, password_sealed, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)"
        ),
        args![
            connection.id,
            connection.tenant,
            &connection.name,
            connection.wanted.as_str(),
            settings::to_store(&connection.settings)?,
            &connection.password_sealed,
            connection.revision,
            now,
        ],
    );
    inserted.await.on_unique(|| taken(&connection.name))?;
    hook::keep(&mut write, &connection, None, &hook_secret).await?;
    write.happened(Event::ConnectionCreated(audited(&connection, None, Some(&connection))?));
    write.commit(connection).await
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is a connection named {name:?} already")).at("name")
}

/// Connections, newest first.
///
/// # Errors
/// [`Code::Forbidden`], [`Code::InvalidCursor`], [`Code::InvalidFilter`].
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Connection>> {
    scope.require(Permission::ConnectionView)?;
    let limit = paging.limit()?;
    let mut tx = scope.read().await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, wanted, settings, password_sealed, revision, created_at, changed_at
                 from connection where tenant_id = $1 and id < $2 order by id desc limit $3"
            ),
            args![scope.tenant(), paging.behind(i64::MAX)?, limit as i64 + 1],
        )
        .await?;
    let connections = stored.into_iter().map(Stored::connection).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfull(connections, limit, |connection| connection.id.raw()))
}

/// The tenant's connections by name, at most so many.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn all(scope: &Scope, max: i64) -> Result<Vec<Connection>> {
    scope.require(Permission::ConnectionView)?;
    let stored: Vec<Stored> = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, tenant_id, name, wanted, settings, password_sealed, revision, created_at, changed_at
                 from connection where tenant_id = $1 order by name limit $2"
            ),
            args![scope.tenant(), max],
        )
        .await?;
    stored.into_iter().map(Stored::connection).collect()
}

/// One connection.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: ConnectionId) -> Result<Connection> {
    scope.require(Permission::ConnectionView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: ConnectionId) -> Result<Connection> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, wanted, settings, password_sealed, revision, created_at, changed_at
                 from connection where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("connection"))?.connection()
}

/// Changes a connection. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`]; refusals
/// of its values.
pub async fn change(scope: &Scope, id: ConnectionId, mut patch: ConnectionPatch) -> Result<Connection> {
    scope.require(Permission::ConnectionChange)?;
    let (runtime, config) = (scope.runtime(), &scope.runtime().config);
    let protocol = present(&mut scope.read().await?, scope.tenant(), id).await?.settings.protocol;
    let protocol = match patch.settings.get("protocol").and_then(serde_json::Value::as_str) {
        None => protocol,
        Some("http") => Protocol::Http,
        Some(_) => Protocol::Smpp,
    };
    let password = match &patch.password {
        Some(password) => Some(password::seal(scope, id, protocol, password).await?),
        None => None,
    };
    let hook_secret = match &patch.hook_secret {
        Some(secret) => Some(hook::sealed(scope, id, secret).await?),
        None => None,
    };
    let no_secret = hook::sealed(scope, id, "").await?;
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("connection", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    let defaults = ConnectionSettings::defaults(config);
    http::whole(&before.settings, &mut patch.settings)?;
    let settings = settings::changed("settings", &before.settings, &defaults, &patch.settings)?;
    after.settings = http::checked(runtime, settings)?.checked(config)?;
    after.password_sealed = password.unwrap_or(after.password_sealed);
    store(&mut write, scope.now(), &before, &mut after).await?;
    hook::keep(&mut write, &after, hook_secret.as_deref(), &no_secret).await?;
    write.happened(Event::ConnectionChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Says what is wanted of a connection: to be started, stopped or drained. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn operate(scope: &Scope, id: ConnectionId, wanted: Wanted) -> Result<Connection> {
    scope.require(Permission::ConnectionOperate)?;
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    let mut after = Connection { wanted, ..before.clone() };
    // Nothing to say when it is so already; a keyed request's answer is kept all the same.
    if before.wanted != wanted {
        store(&mut write, scope.now(), &before, &mut after).await?;
        write.happened(Event::ConnectionChanged(audited(&after, Some(&before), Some(&after))?));
    }
    write.commit(after).await
}

async fn store(tx: &mut db::Tx, now: Timestamp, before: &Connection, after: &mut Connection) -> Result<()> {
    after.revision = before.revision + 1;
    after.changed_at = now;
    let stored = tx.execute(
        sql!(
            "update connection set name = $3, wanted = $4, settings = $5, password_sealed = $6, revision = $7, changed_at = $8
             where tenant_id = $1 and id = $2 and revision = $9"
        ),
        args![
            after.tenant,
            after.id,
            &after.name,
            after.wanted.as_str(),
            settings::to_store(&after.settings)?,
            &after.password_sealed,
            after.revision,
            now,
            before.revision,
        ],
    );
    match stored.await.on_unique(|| taken(&after.name))? {
        0 => Err(settings::outdated("connection", after.revision)),
        _ => Ok(()),
    }
}

/// Deletes a connection. Tell the engine after it. Its messages stay.
///
/// # Errors
/// [`Code::StillInUse`] while a route leads to it; [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: ConnectionId) -> Result<()> {
    scope.require(Permission::ConnectionDelete)?;
    let mut write = scope.write().await?;
    let connection = present(&mut write, scope.tenant(), id).await?;
    route::refuse_use(&mut write, scope.tenant(), |rule| rule.connections().any(|used| used == id)).await?;
    write
        .execute(sql!("delete from connection where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    hook::remove(&mut write, scope.tenant(), id).await?;
    write.happened(Event::ConnectionDeleted(audited(&connection, Some(&connection), None)?));
    write.commit(()).await
}

/// Every tenant's connections, oldest first, for the engine.
///
/// # Errors
/// When the database does not answer.
pub async fn load_all(runtime: &Runtime) -> Result<Vec<Connection>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select c.id, c.tenant_id, c.name, case when coalesce(t.status, 'active') = 'active' then c.wanted \
                 else 'stopped' end as wanted, c.settings, c.password_sealed, c.revision, c.created_at, c.changed_at \
                 from connection c left join tenant t on t.id = c.tenant_id order by c.id limit $1 /* every tenant: the engine serves all */"
            ),
            args![READ_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::connection).collect()
}

/// One connection, whoever's it is; nothing when it is gone.
///
/// # Errors
/// When the database does not answer.
pub async fn load(runtime: &Runtime, id: ConnectionId) -> Result<Option<Connection>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Option<Stored> = tx
        .optional(
            sql!(
                "select c.id, c.tenant_id, c.name, case when coalesce(t.status, 'active') = 'active' then c.wanted \
                 else 'stopped' end as wanted, c.settings, c.password_sealed, c.revision, c.created_at, c.changed_at \
                 from connection c left join tenant t on t.id = c.tenant_id where c.id = $1 /* every tenant: the engine serves all */"
            ),
            args![id],
        )
        .await?;
    stored.map(Stored::connection).transpose()
}

/// What the link is started with, its password opened.
///
/// # Errors
/// When the password does not open: another root key, or a row that was tampered with.
pub async fn link_settings(runtime: &Runtime, connection: &Connection) -> Result<connectors::Settings> {
    let settings = &connection.settings;
    let password = &password::open(runtime, connection).await?;
    let dial = dial::of(runtime, connection.tenant).await?;
    Ok(match settings.protocol {
        Protocol::Smpp => {
            let login = smpp::Login {
                system_type: settings.system_type.clone(),
                version: settings.version.interface_version(),
                address_range: settings.address_range.clone(),
                addr_ton: settings.addr_ton,
                addr_npi: settings.addr_npi,
            };
            connectors::Settings::Smpp(over_tcp(runtime, connection, (password, dial), login))
        }
        Protocol::Ucp => {
            let login = ucp::Login {
                oton: settings.oton.to_string(),
                onpi: settings.onpi.to_string(),
                alert_pid: settings.alert_pid.clone(),
                notification_address: settings.notification_address.clone(),
                notification_pid: settings.notification_pid.clone(),
                utc_offset_minutes: settings.utc_offset_minutes,
            };
            connectors::Settings::Ucp(over_tcp(runtime, connection, (password, dial), login))
        }
        Protocol::Cimd2 => {
            let login = cimd::Login {
                subaddress: settings.subaddress.clone(),
                announce_window: settings.announce_window,
                no_checksum: !settings.checksum,
            };
            connectors::Settings::Cimd(over_tcp(runtime, connection, (password, dial), login))
        }
        Protocol::Mail => connectors::Settings::Mail(mail::settings(runtime, connection, (password, dial))),
        Protocol::Http => {
            connectors::Settings::Http(Box::new(http_link(runtime, connection, password).await?))
        }
    })
}

/// What a link over HTTP is started with: a client of its own, with its own time-outs and pool.
async fn http_link(
    runtime: &Runtime,
    connection: &Connection,
    password: &str,
) -> Result<over_http::Settings> {
    let settings = &connection.settings;
    let hooks = hook::of(runtime, connection).await?;
    let hooks = hooks.map(|hook| hook::HookAddresses::of(runtime, &hook.token));
    let (receipts_url, inbound_url) = hooks.map(|hooks| (hooks.receipts, hooks.inbound)).unwrap_or_default();
    let outbound = runtime::config::Outbound {
        connect_timeout_ms: settings.connect_timeout_ms,
        timeout_ms: settings.response_timeout_ms,
        redirects_max: 0,
        idle_per_host_max: usize::from(settings.window),
        ..runtime.config.outbound.clone()
    };
    Ok(over_http::Settings {
        name: connection.name.clone(),
        description: settings.http.as_deref().cloned().unwrap_or_default(),
        user: settings.system_id.clone(),
        password: password.to_owned(),
        receipts_url,
        inbound_url,
        window: settings.window,
        throughput: settings.throughput,
        reconnect_min_ms: settings.reconnect_min_ms,
        reconnect_max_ms: settings.reconnect_max_ms,
        throttle_min_ms: settings.throttle_min_ms,
        throttle_max_ms: settings.throttle_max_ms,
        response_timeout_ms: settings.response_timeout_ms,
        outbound: runtime::outbound::Outbound::new(&outbound).map_err(Error::internal)?,
    })
}

/// What all protocols over TCP have in common.
fn over_tcp<L>(
    runtime: &Runtime,
    connection: &Connection,
    (password, dial): (&str, Dial),
    login: L,
) -> connectors::tcp::Settings<L> {
    let (settings, config) = (&connection.settings, &runtime.config.smpp);
    connectors::tcp::Settings {
        name: connection.name.clone(),
        host: connectors::Host { name: settings.host.clone(), port: settings.port },
        reach: reach(settings),
        dial,
        classes: errors::ErrorTable::new(&settings.errors, settings.error_convention).classes(),
        system_id: settings.system_id.clone(),
        password: password.to_owned(),
        bind: settings.bind,
        binds: settings.binds,
        window: settings.window,
        throughput: settings.throughput,
        enquire_link_ms: settings.enquire_link_ms,
        enquire_missed_max: settings.enquire_missed_max,
        response_timeout_ms: settings.response_timeout_ms,
        tls: settings.tls.then(|| connectors::tcp::Tls {
            server_name: settings.tls_server_name.clone(),
            ca: settings.tls_ca.clone(),
        }),
        connect_timeout_ms: settings.connect_timeout_ms,
        reconnect_min_ms: settings.reconnect_min_ms,
        reconnect_max_ms: settings.reconnect_max_ms,
        throttle_min_ms: settings.throttle_min_ms,
        throttle_max_ms: settings.throttle_max_ms,
        pdu_bytes_max: config.pdu_bytes_max,
        write_queue_bytes_max: config.write_queue_bytes_max,
        point: Board::of(runtime).connection(connection.id).point.clone(),
        login,
    }
}

fn reach(settings: &ConnectionSettings) -> connectors::Reach {
    // They were read when the settings were checked.
    let hosts = |hosts: &[String]| hosts.iter().filter_map(|host| words::host("hosts", host).ok()).collect();
    connectors::Reach {
        hosts: hosts(&settings.hosts),
        standby: hosts(&settings.standby_hosts),
        warm: settings.standby == Standby::Warm,
        standby_after_ms: settings.standby_after_ms,
        rebalance_ms: settings.rebalance_ms,
    }
}

record! {
    /// A connection's name, for whom routes concern.
    pub struct Named {
        /// Its id.
        pub id: ConnectionId,
        /// What people call it.
        pub name: String,
    }
}

/// The names of the tenant's connections, as routes show them.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn names(scope: &Scope) -> Result<Vec<Named>> {
    scope.require(Permission::RouteView)?;
    let mut tx = scope.read().await?;
    let named = tx.all(
        sql!("select id, name from connection where tenant_id = $1 order by name limit $2"),
        args![scope.tenant(), READ_MAX],
    );
    Ok(named.await?)
}

fn audited(
    connection: &Connection,
    before: Option<&Connection>,
    after: Option<&Connection>,
) -> Result<Change> {
    Ok(Change {
        id: connection.id.to_string(),
        name: connection.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

#[cfg(test)]
mod tests;
