//! Who asks: tenant, actor, permissions, clock and database in one value.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use db::{OnConflict, Tenancy, Tx, args, record, sql};
use serde::Serialize;
use types::{
    AccountId, ClientId, Code, Error, Event, KeyId, Permission, Permissions, Result, TenantId, Timestamp,
    UserId,
};

use crate::Runtime;
use crate::outbox::{self, Happened};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person.
    User(UserId),
    /// A program with an API key.
    Key(KeyId),
    /// A program with a token of its own (RFC 6749 §4.4).
    Client(ClientId),
    /// An application with a person's token: it acts for them, within what they let it do, and is not them.
    App {
        /// The application.
        client: ClientId,
        /// For whom.
        user: UserId,
    },
    /// A customer's system over SMPP.
    Account(AccountId),
    /// A part of the product, by its name.
    System(&'static str),
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "{id}"),
            Self::Key(id) => write!(f, "{id}"),
            Self::Client(id) => write!(f, "{id}"),
            Self::App { client, user } => write!(f, "{client} for {user}"),
            Self::Account(id) => write!(f, "{id}"),
            Self::System(part) => write!(f, "system {part}"),
        }
    }
}

/// A request's own marks, for the audit trail and the logs.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The request's id.
    pub request_id: Option<String>,
    /// The network address it came from.
    pub from: Option<String>,
}

/// A keyed request: its answer is kept in the change's own transaction and given again to its repetitions.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// The caller's `Idempotency-Key`.
    pub key: String,
    /// A hash of method, path and body.
    pub request_hash: String,
    /// The status that the answer travels with.
    pub status: u16,
}

/// The only way to an operation. Authentication and the job runner make it; nothing can be asked without a tenant.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    tenant: TenantId,
    actor: Actor,
    permissions: Permissions,
    origin: Origin,
    keyed: Option<Keyed>,
    test: bool,
}

impl Inner {
    fn copied(&self) -> Self {
        let Self { runtime, tenant, actor, permissions, origin, keyed, test } = self;
        Self {
            runtime: runtime.clone(),
            tenant: *tenant,
            actor: actor.clone(),
            permissions: *permissions,
            origin: origin.clone(),
            keyed: keyed.clone(),
            test: *test,
        }
    }
}

impl Scope {
    /// Grants a scope. Only authentication, the job runner and the program's own start may call this; a tidy check
    /// holds them to it.
    pub fn grant(
        runtime: Runtime,
        tenant: TenantId,
        actor: Actor,
        permissions: Permissions,
        origin: Origin,
    ) -> Self {
        Self {
            inner: Arc::new(Inner { runtime, tenant, actor, permissions, origin, keyed: None, test: false }),
        }
    }

    /// The same scope for a keyed request.
    #[must_use]
    pub fn keyed(&self, keyed: Keyed) -> Self {
        Self { inner: Arc::new(Inner { keyed: Some(keyed), ..self.inner.copied() }) }
    }

    /// The same scope for a test: what it sends goes to the simulator and to nobody else.
    #[must_use]
    pub fn in_test(&self) -> Self {
        Self { inner: Arc::new(Inner { test: true, ..self.inner.copied() }) }
    }

    /// Whether what it sends must go to the simulator and to nobody else.
    pub fn is_test(&self) -> bool {
        self.inner.test
    }

    /// Whose rows.
    pub fn tenant(&self) -> TenantId {
        self.inner.tenant
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.inner.actor
    }

    /// What the actor may do.
    pub fn permissions(&self) -> Permissions {
        self.inner.permissions
    }

    /// The request's marks.
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// The request's key, where it has one.
    pub fn key(&self) -> Option<&Keyed> {
        self.inner.keyed.as_ref()
    }

    /// Clock, ids, configuration and the rest.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// The instant.
    pub fn now(&self) -> Timestamp {
        self.inner.runtime.clock.now()
    }

    /// Refuses an actor without the permission.
    ///
    /// # Errors
    /// [`Code::Forbidden`] naming the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.inner.permissions.contains(permission) {
            return Ok(());
        }
        Err(Error::new(Code::Forbidden, format!("the permission {} is missing", permission.as_str())).hint(
            format!("ask an administrator for the permission to {}", permission.title().to_lowercase()),
        ))
    }

    /// Begins a transaction that reads this tenant's rows.
    ///
    /// # Errors
    /// When no connection comes free in time.
    pub async fn read(&self) -> Result<Tx> {
        Ok(self.inner.runtime.db.read(Tenancy::Tenant(self.tenant())).await?)
    }

    /// Begins a change to this tenant's rows.
    ///
    /// # Errors
    /// When the writer does not come free in time.
    pub async fn write(&self) -> Result<Write> {
        let tx = self.inner.runtime.db.write(Tenancy::Tenant(self.tenant())).await?;
        Ok(Write { tx, scope: self.clone(), events: Vec::new(), elsewhere: Vec::new() })
    }

    /// Begins a change to the tenants themselves, whose rows are nobody's own.
    ///
    /// # Errors
    /// [`Code::Forbidden`] without the permission to manage tenants; otherwise as [`Scope::write`].
    pub async fn write_every(&self) -> Result<Write> {
        self.require(Permission::TenantManage)?;
        let tx = self.inner.runtime.db.write(Tenancy::Every).await?;
        Ok(Write { tx, scope: self.clone(), events: Vec::new(), elsewhere: Vec::new() })
    }

    /// The events of a change by this actor, for the stream.
    pub fn happened(&self, events: Vec<Event>) -> Happened {
        Happened {
            tenant: self.tenant(),
            at: self.now(),
            actor: self.actor().to_string(),
            request_id: self.origin().request_id.clone(),
            from: self.origin().from.clone(),
            events,
        }
    }
}

/// A change under way: its rows, its events and, for a keyed request, its answer become durable together or not at all.
pub struct Write {
    tx: Tx,
    scope: Scope,
    events: Vec<Event>,
    // In other tenants' streams, which only `Scope::write_every` can reach.
    elsewhere: Vec<(TenantId, Event)>,
}

impl Write {
    /// Notes an event of this change.
    pub fn happened(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Notes an event of another tenant; only for a change begun with [`Scope::write_every`].
    pub fn happened_to(&mut self, tenant: TenantId, event: Event) {
        if tenant == self.scope.tenant() {
            self.events.push(event);
        } else {
            self.elsewhere.push((tenant, event));
        }
    }

    /// Commits, keeping the answer for a repetition of a keyed request, and gives it back.
    ///
    /// # Errors
    /// When the commit failed (nothing happened), or [`Code::KeyInProgress`] when a request with the same key was
    /// carried out at the same time.
    pub async fn commit<T: Serialize>(self, answer: T) -> Result<T> {
        self.commit_keeping(&answer).await?;
        Ok(answer)
    }

    /// Commits, keeping for a repetition something else than the answer: an answer that shows a secret once must not
    /// lie in a table with it.
    ///
    /// # Errors
    /// As [`Write::commit`].
    pub async fn commit_keeping<T: Serialize>(mut self, kept: &T) -> Result<()> {
        if let Some(keyed) = self.scope.key() {
            let body = serde_json::to_string(kept).map_err(Error::internal)?;
            keep_answer(&mut self.tx, self.scope.tenant(), keyed, body, self.scope.now()).await?;
        }
        let mut happened = vec![self.scope.happened(self.events)];
        for (tenant, event) in self.elsewhere {
            match happened.iter_mut().find(|one| one.tenant == tenant) {
                Some(one) => one.events.push(event),
                None => happened.push(Happened { tenant, ..self.scope.happened(vec![event]) }),
            }
        }
        let written = outbox::write(&mut self.tx, happened).await?;
        self.tx.commit().await?;
        written.tell(&self.scope.runtime().live);
        Ok(())
    }
}

impl Deref for Write {
    type Target = Tx;
    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

async fn keep_answer(
    tx: &mut Tx,
    tenant: TenantId,
    keyed: &Keyed,
    body: String,
    at: Timestamp,
) -> Result<()> {
    let inserted = tx.execute(
        sql!("insert into idempotency (tenant_id, key, request_hash, status, body, at) values ($1, $2, $3, $4, $5, $6)"),
        args![tenant, &keyed.key, &keyed.request_hash, keyed.status, body, at],
    );
    inserted.await.on_unique(|| {
        Error::new(
            Code::KeyInProgress,
            "a request with this Idempotency-Key was carried out at the same time",
        )
    })?;
    Ok(())
}

record! {
    /// The answer that a keyed request got the first time.
    pub struct KeptAnswer {
        /// A hash of method, path and body.
        pub request_hash: String,
        /// The status it travelled with.
        pub status: u16,
        /// The body, byte for byte.
        pub body: String,
    }
}

/// The answer that a key was given before, if it was.
///
/// # Errors
/// When the database does not answer.
pub async fn kept_answer(scope: &Scope, key: &str) -> Result<Option<KeptAnswer>> {
    let mut tx = scope.read().await?;
    Ok(tx
        .optional(
            sql!("select request_hash, status, body from idempotency where tenant_id = $1 and key = $2"),
            args![scope.tenant(), key],
        )
        .await?)
}

/// Forgets answers older than an instant, a batch at a time, and gives how many it forgot.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_answers(runtime: &Runtime, before: Timestamp) -> Result<u64> {
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let forgotten = tx
        .execute(
            sql!("delete from idempotency where at < $1 /* every tenant: age alone decides */"),
            args![before],
        )
        .await?;
    tx.commit().await?;
    Ok(forgotten)
}
