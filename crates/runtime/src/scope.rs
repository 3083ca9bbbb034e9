//! Who asks: tenant, actor, permissions, clock and database in one value.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use db::{OnConflict, Tenancy, Tx, args, record, sql};
use serde::Serialize;
use types::{
    AccountId, ClientId, Code, ConsentId, Error, Event, KeyId, Permission, Permissions, ProviderId, Reach,
    Result, SessionId, TenantId, Timestamp, UserId,
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
        /// What that person lets it do.
        consent: ConsentId,
    },
    /// A program with an access token that a tenant's own sign-in service has signed: it acts for the user whom the token names,
    /// within what the tenant lets such tokens do, and is not them.
    Foreign {
        /// The service.
        provider: ProviderId,
        /// For whom.
        user: UserId,
    },
    /// A person who acts as another one for a time. What they do is the other's, and says by whom.
    As {
        /// As whom.
        user: UserId,
        /// Who it is.
        by: UserId,
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
            Self::App { client, user, .. } => write!(f, "{client} for {user}"),
            Self::Foreign { provider, user } => write!(f, "{provider} for {user}"),
            Self::As { user, by } => write!(f, "{user} by {by}"),
            Self::Account(id) => write!(f, "{id}"),
            Self::System(part) => write!(f, "system {part}"),
        }
    }
}

impl Actor {
    /// Whether a person acts, or somebody as them, or they as somebody: what nobody may do for themselves is not done so either.
    pub fn is_person(&self, id: UserId) -> bool {
        match self {
            Self::User(user) => *user == id,
            Self::As { user, by } => [*user, *by].contains(&id),
            Self::Key(_)
            | Self::Client(_)
            | Self::App { .. }
            | Self::Foreign { .. }
            | Self::Account(_)
            | Self::System(_) => false,
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

/// What an actor may do, and about whose records. One permission stands in one of the three sets, the widest that applies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    all: Permissions,
    team: Permissions,
    own: Permissions,
    myself: Option<UserId>,
    mates: Arc<[UserId]>,
}

/// Whose records a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached<'a> {
    /// Everybody's, and nobody's.
    All,
    /// Those of these people.
    Only(&'a [UserId]),
}

impl From<Permissions> for Held {
    fn from(all: Permissions) -> Self {
        Self { all, ..Self::default() }
    }
}

impl Held {
    /// Nothing yet, of a person and the others of their teams.
    pub fn by(myself: UserId, mates: impl IntoIterator<Item = UserId>) -> Self {
        let mut people: Vec<_> = std::iter::once(myself).chain(mates).collect();
        people[1..].sort_unstable();
        people.dedup();
        Self { myself: Some(myself), mates: people.into(), ..Self::default() }
    }

    /// Adds permissions with one reach; who holds one more widely already keeps that. What has no owner is held for all or
    /// not at all.
    #[must_use]
    pub fn with(mut self, permissions: Permissions, reach: Reach) -> Self {
        let ownerless = permissions.iter().filter(|one| reach == Reach::All || !one.has_owner());
        let (all, rest) = match reach {
            Reach::All => (permissions, Permissions::NONE),
            Reach::Team | Reach::Own => {
                let all: Permissions = ownerless.collect();
                (all, permissions.without(all))
            }
        };
        self.all = self.all.or(all);
        match reach {
            Reach::Team => self.team = self.team.or(rest),
            Reach::Own => self.own = self.own.or(rest),
            Reach::All => {}
        }
        self.team = self.team.without(self.all);
        self.own = self.own.without(self.all).without(self.team);
        self
    }

    /// What is held at all, whatever it reaches.
    pub fn permissions(&self) -> Permissions {
        self.all.or(self.team).or(self.own)
    }

    /// How far a permission reaches, if it is held.
    pub fn reach(&self, permission: Permission) -> Option<Reach> {
        [(self.all, Reach::All), (self.team, Reach::Team), (self.own, Reach::Own)]
            .into_iter()
            .find_map(|(set, reach)| set.contains(permission).then_some(reach))
    }

    /// Whose records a permission reaches; nobody's where it is not held.
    pub fn reached(&self, permission: Permission) -> Reached<'_> {
        match self.reach(permission) {
            Some(Reach::All) => Reached::All,
            Some(Reach::Team) => Reached::Only(&self.mates),
            Some(Reach::Own) => Reached::Only(&self.mates[..self.mates.len().min(1)]),
            None => Reached::Only(&[]),
        }
    }

    /// Whether a permission is held for a record of this owner; a record without an owner is reached by all alone.
    pub fn allows(&self, permission: Permission, owner: Option<UserId>) -> bool {
        match self.reached(permission) {
            Reached::All => true,
            Reached::Only(people) => owner.is_some_and(|owner| people.contains(&owner)),
        }
    }

    /// The person whose it is.
    pub fn myself(&self) -> Option<UserId> {
        self.myself
    }

    /// What is left within some permissions.
    #[must_use]
    pub fn and(mut self, permissions: Permissions) -> Self {
        self.all = self.all.and(permissions);
        self.team = self.team.and(permissions);
        self.own = self.own.and(permissions);
        self
    }

    /// Whether all that another holds is held, at least as widely.
    pub fn covers(&self, other: &Self) -> bool {
        self.all.covers(other.all)
            && self.all.or(self.team).covers(other.team)
            && self.permissions().covers(other.own)
    }
}

/// The only way to an operation. Authentication and the job runner make it; nothing can be asked without a tenant.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    runtime: Runtime,
    tenant: TenantId,
    actor: Actor,
    held: Held,
    origin: Origin,
    keyed: Option<Keyed>,
    seat: Option<Seat>,
    test: bool,
}

/// The browser's session that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The session.
    pub session: SessionId,
    /// When the person behind it last proved who they are.
    pub proven_at: Timestamp,
}

impl Scope {
    /// Grants a scope. Only authentication, the job runner and the program's own start may call this; a tidy check
    /// holds them to it.
    pub fn grant(
        runtime: Runtime,
        tenant: TenantId,
        actor: Actor,
        held: impl Into<Held>,
        origin: Origin,
    ) -> Self {
        let (held, keyed, seat) = (held.into(), None, None);
        Self { inner: Arc::new(Inner { runtime, tenant, actor, held, origin, keyed, seat, test: false }) }
    }

    /// The same scope for a keyed request.
    #[must_use]
    pub fn keyed(&self, keyed: Keyed) -> Self {
        Self { inner: Arc::new(Inner { keyed: Some(keyed), ..(*self.inner).clone() }) }
    }

    /// The same scope without the request's key, for a change that another one carries out: the key's answer is the other's.
    #[must_use]
    pub fn without_key(&self) -> Self {
        Self { inner: Arc::new(Inner { keyed: None, ..(*self.inner).clone() }) }
    }

    /// The same scope for a request of a signed-in browser.
    #[must_use]
    pub fn seated(&self, seat: Seat) -> Self {
        Self { inner: Arc::new(Inner { seat: Some(seat), ..(*self.inner).clone() }) }
    }

    /// The same scope for a test: what it sends goes to the simulator and to nobody else.
    #[must_use]
    pub fn in_test(&self) -> Self {
        Self { inner: Arc::new(Inner { test: true, ..(*self.inner).clone() }) }
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

    /// What the actor may do, about some records at least.
    pub fn permissions(&self) -> Permissions {
        self.inner.held.permissions()
    }

    /// What the actor may do, and about whose records.
    pub fn held(&self) -> &Held {
        &self.inner.held
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
        if self.permissions().contains(permission) {
            return Ok(());
        }
        Err(Error::new(Code::Forbidden, format!("the permission {} is missing", permission.as_str())).hint(
            format!("ask an administrator for the permission to {}", permission.title().to_lowercase()),
        ))
    }

    /// Refuses an actor who does not hold the permission for records of this owner, after [`Scope::require`] let it pass.
    ///
    /// # Errors
    /// [`Code::Forbidden`] naming the permission and how far it reaches.
    pub fn require_for(&self, permission: Permission, owner: Option<UserId>) -> Result<()> {
        self.require(permission)?;
        if self.inner.held.allows(permission, owner) {
            return Ok(());
        }
        let whose = match self.inner.held.reach(permission) {
            Some(Reach::Team) => "your team's records",
            _ => "your own records",
        };
        Err(Error::new(Code::Forbidden, format!("you hold {} for {whose} alone", permission.as_str())))
    }

    /// The browser's session that asks; nothing for a program.
    pub fn seat(&self) -> Option<Seat> {
        self.inner.seat
    }

    /// Refuses a browser whose person has not proved lately who they are, before something that whoever sits down at an
    /// abandoned screen must not do. Programs prove themselves with each request. Who acts as another cannot prove to be them.
    ///
    /// # Errors
    /// [`Code::StepUpRequired`]; [`Code::Forbidden`] for who acts as another.
    pub fn require_fresh(&self) -> Result<()> {
        if matches!(self.inner.actor, Actor::As { .. }) {
            return Err(Error::new(
                Code::Forbidden,
                "this cannot be done by somebody who acts as another user",
            )
            .hint("Stop acting as them, and do it in your own name."));
        }
        let minutes = self.inner.runtime.config.security.step_up_m;
        match self.inner.seat {
            Some(seat) if self.now().since_ms(seat.proven_at) > i64::from(minutes) * 60_000 => {
                Err(Error::new(Code::StepUpRequired, "this needs a fresh proof of who you are"))
            }
            _ => Ok(()),
        }
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
    /// [`Code::Forbidden`] without a permission to create, change, export or erase tenants, or to create or change those beneath
    /// one's own; otherwise as [`Scope::write`].
    pub async fn write_every(&self) -> Result<Write> {
        let may = |one| self.permissions().contains(one);
        let any = [
            Permission::TenantCreate,
            Permission::TenantErase,
            Permission::TenantExport,
            Permission::SubtenantCreate,
            Permission::SubtenantChange,
        ];
        if !any.into_iter().any(may) {
            self.require(Permission::TenantChange)?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_reach_counts_and_what_has_no_owner_is_held_for_all() {
        let (me, mate, other) = (UserId::from_raw(1), UserId::from_raw(2), UserId::from_raw(3));
        let set = |one: Permission| Permissions::from_iter([one]);
        let held = Held::by(me, [mate])
            .with(set(Permission::KeyView), Reach::Own)
            .with(set(Permission::UserView), Reach::Team)
            .with(set(Permission::RouteView), Reach::Own);
        assert!(held.allows(Permission::KeyView, Some(me)) && !held.allows(Permission::KeyView, Some(mate)));
        assert!(!held.allows(Permission::KeyView, None), "nobody's record is not one's own");
        assert!(
            held.allows(Permission::UserView, Some(mate)) && !held.allows(Permission::UserView, Some(other))
        );
        assert_eq!(held.reach(Permission::RouteView), Some(Reach::All));
        assert!(!held.allows(Permission::KeyRevoke, Some(me)));
        let wide = held.clone().with(set(Permission::KeyView), Reach::All);
        assert!(wide.allows(Permission::KeyView, None) && wide.covers(&held) && !held.covers(&wide));
        assert_eq!(
            wide.with(set(Permission::KeyView), Reach::Own).reach(Permission::KeyView),
            Some(Reach::All)
        );
    }
}
