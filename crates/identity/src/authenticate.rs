//! A request's credentials become a scope.
//!
//! Known keys and sessions are remembered for a few seconds, so that a busy program costs no query for each request.
//! What is remembered is dropped by the event stream: before each answer the news are read, and a commit tells its news
//! before it returns, so a key is refused from the moment its revocation was answered.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use db::{Arg, Tenancy, args, record, sql};
use runtime::live::{Heard, Listener};
use runtime::scope::Seat;
use runtime::secrets::sha256_hex;
use runtime::{Actor, Held, Runtime, Scope};
use serde::Serialize;
use types::{Code, Error, Event, KeyId, Result, SessionId, TenantId, Timestamp, UserId};
use web::access::{Authenticate, Credentials, Person, Signed};

use crate::device;
use crate::domain;
use crate::role::rights::{self, Facts};

/// How long somebody is remembered. Another process on the same database learns of a revocation after at most this.
const REMEMBERED_MS: i64 = 10_000;
/// The keys and sessions that are remembered at once.
const REMEMBERED_MAX: usize = 20_000;
/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 512;
/// How often uses are written down, and what has expired is swept out.
const WRITTEN_EVERY: Duration = Duration::from_secs(60);

/// Somebody known by a token.
#[derive(Clone)]
struct Known {
    tenant: TenantId,
    actor: Actor,
    /// Whose rights bound them; for a session the user.
    owner: Option<UserId>,
    held: Held,
    person: Option<Person>,
    session: Option<Seat>,
    expires_at: Option<Timestamp>,
    remembered_until: Timestamp,
}

struct Memory {
    heard: Listener,
    known: HashMap<String, Known>,
    /// Grows with each thing forgotten: what was read before that must not be remembered after it.
    generation: u64,
    /// Last uses that are not written down yet.
    keys_used: HashMap<KeyId, Timestamp>,
    sessions_seen: HashMap<SessionId, Timestamp>,
}

/// Knows people and keys.
pub struct Identity {
    runtime: Runtime,
    memory: Mutex<Memory>,
}

record! {
    struct KeyRow {
        id: KeyId,
        tenant_id: TenantId,
        expires_at: Option<Timestamp>,
        owner_id: Option<UserId>,
    }
}

record! {
    struct SessionRow {
        id: SessionId,
        tenant_id: TenantId,
        user_id: UserId,
        expires_at: Timestamp,
        last_seen_at: Timestamp,
        proven_at: Timestamp,
        name: String,
        email: String,
        language: String,
        tenant: String,
        accent: Option<String>,
        logo: Option<String>,
        support_email: Option<String>,
    }
}

#[derive(Serialize)]
struct Used {
    id: i64,
    at: i64,
}

impl Identity {
    /// Knows whom the runtime's database knows. [`Identity::keep`] must run beside it.
    pub fn new(runtime: Runtime) -> Self {
        let memory = Memory {
            heard: runtime.live.listen(),
            known: HashMap::new(),
            generation: 0,
            keys_used: HashMap::new(),
            sessions_seen: HashMap::new(),
        };
        Self { runtime, memory: Mutex::new(memory) }
    }

    /// Writes uses down and sweeps out what has expired, once a minute until the program stops.
    pub async fn keep(self: Arc<Self>) {
        let stopping = self.runtime.tasks.stopping();
        loop {
            let over = tokio::select! {
                () = stopping.cancelled() => true,
                () = tokio::time::sleep(WRITTEN_EVERY) => false,
            };
            if let Err(error) = self.write_down().await {
                tracing::warn!(
                    ?error,
                    "last uses could not be written down; they will be with the next ones"
                );
            }
            if over {
                return;
            }
        }
    }

    /// Writes down when keys and sessions were last used, and sweeps out what has expired: sessions, links, pending sign-ins, mailed
    /// tokens, browsers that were not seen for a year.
    ///
    /// # Errors
    /// When the database does not answer; the uses are kept for the next time.
    pub async fn write_down(&self) -> Result<()> {
        let (keys, sessions) = {
            let memory = self.lock();
            (memory.keys_used.clone(), memory.sessions_seen.clone())
        };
        let now = self.runtime.clock.now();
        let mut tx = self.runtime.db.write(Tenancy::Every).await?;
        if !keys.is_empty() {
            let used: Vec<_> = keys.iter().map(|(id, at)| Used { id: id.raw(), at: at.unix_ms() }).collect();
            tx.execute(
                sql!(
                    "update api_key set last_used_at = cast(r.value ->> 'at' as bigint) from json_rows($1) r \
                     where api_key.id = cast(r.value ->> 'id' as bigint) /* every tenant: one batch for all keys in use */"
                ),
                vec![Arg::json(&used)?],
            )
            .await?;
        }
        if !sessions.is_empty() {
            let seen: Vec<_> =
                sessions.iter().map(|(id, at)| Used { id: id.raw(), at: at.unix_ms() }).collect();
            tx.execute(
                sql!(
                    "update session set last_seen_at = cast(r.value ->> 'at' as bigint) from json_rows($1) r \
                     where session.id = cast(r.value ->> 'id' as bigint) /* every tenant: one batch for all sessions in use */"
                ),
                vec![Arg::json(&seen)?],
            )
            .await?;
        }
        tx.execute(
            sql!("delete from session where expires_at <= $1 /* every tenant: age alone decides */"),
            args![now],
        )
        .await?;
        tx.execute(
            sql!("delete from sign_in_link where expires_at <= $1 /* every tenant: age alone decides */"),
            args![now],
        )
        .await?;
        tx.execute(
            sql!("delete from pending_sign_in where expires_at <= $1 /* every tenant: age alone decides */"),
            args![now],
        )
        .await?;
        tx.execute(
            sql!("delete from mailed_token where expires_at <= $1 /* every tenant: age alone decides */"),
            args![now],
        )
        .await?;
        tx.execute(
            sql!("delete from device where last_seen_at <= $1 /* every tenant: age alone decides */"),
            args![now.plus_ms(-device::KNOWN_DAYS * 86_400_000)],
        )
        .await?;
        tx.commit().await?;
        let mut memory = self.lock();
        memory.keys_used.retain(|id, at| keys.get(id) != Some(at));
        memory.sessions_seen.retain(|id, at| sessions.get(id) != Some(at));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn recognise(&self, credentials: &Credentials) -> Result<Signed> {
        // A key that is shown counts, though a cookie be shown too: a program says what it means.
        let (token, is_key) = match (&credentials.bearer, &credentials.cookie) {
            (Some(bearer), _) => (bearer, true),
            (None, Some(cookie)) => (cookie, false),
            (None, None) => return Err(Error::new(Code::Unauthenticated, "no credentials were shown")),
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(unknown());
        }
        let hash = format!("{}{}", if is_key { "k" } else { "s" }, sha256_hex(token));
        let now = self.runtime.clock.now();
        let (found, generation) = {
            let mut memory = self.lock();
            memory.listen();
            (memory.known.get(&hash).filter(|known| known.remembered_until > now).cloned(), memory.generation)
        };
        // A tenant's own host serves that tenant alone.
        let house = domain::house(&self.runtime, credentials.host.as_deref());
        let known = match found {
            Some(known) => known,
            None => {
                let known = if is_key {
                    self.read_key(&hash[1..], now).await?
                } else {
                    self.read_session(&hash[1..], now).await?
                };
                self.lock().remember(hash, &known, generation, now);
                known
            }
        };
        if known.expires_at.is_some_and(|at| at <= now)
            || house.is_some_and(|house| house.tenant != known.tenant)
        {
            return Err(unknown());
        }
        self.lock().note_use(&known, now);
        let Known { tenant, actor, held, person, session, .. } = known;
        let scope = Scope::grant(self.runtime.clone(), tenant, actor, held, credentials.origin.clone());
        let scope = match session {
            Some(seat) => scope.seated(seat),
            None => scope,
        };
        Ok(Signed { scope, person })
    }

    async fn read_key(&self, hash: &str, now: Timestamp) -> Result<Known> {
        let row: Option<KeyRow> = self
            .runtime
            .db
            .read(Tenancy::Every)
            .await?
            .optional(
                sql!(
                    "select k.id, k.tenant_id, k.expires_at, k.owner_id \
                     from api_key k join tenant t on t.id = k.tenant_id \
                     left join users u on u.id = k.owner_id and u.tenant_id = k.tenant_id and u.status = 'active' \
                     where k.secret_hash = $1 and k.revoked_at is null and t.status = 'active' \
                     and (k.owner_id is null or u.id is not null) /* every tenant: the key says whose it is */"
                ),
                args![hash],
            )
            .await?;
        let row = row.ok_or_else(unknown)?;
        let mut tx = self.runtime.db.read(Tenancy::Tenant(row.tenant_id)).await?;
        let facts = rights::of_key(&mut tx, row.tenant_id, row.id, now).await?;
        let (held, remembered_until) = entered(&facts, now)?;
        Ok(Known {
            tenant: row.tenant_id,
            actor: Actor::Key(row.id),
            owner: row.owner_id,
            held,
            person: None,
            session: None,
            expires_at: row.expires_at,
            remembered_until,
        })
    }

    async fn read_session(&self, hash: &str, now: Timestamp) -> Result<Known> {
        let row: Option<SessionRow> = self
            .runtime
            .db
            .read(Tenancy::Every)
            .await?
            .optional(
                sql!(
                    "select s.id, s.tenant_id, s.user_id, s.expires_at, s.last_seen_at, s.proven_at, u.name, u.email, \
                     u.language, t.name as tenant, t.accent, t.logo, t.support_email from session s join users u on u.id = s.user_id and u.tenant_id = s.tenant_id \
                     join tenant t on t.id = s.tenant_id where s.token_hash = $1 and u.status = 'active' \
                     and t.status = 'active' /* every tenant: the session says whose it is */"
                ),
                args![hash],
            )
            .await?;
        let row = row.ok_or_else(unknown)?;
        let seen = self.lock().sessions_seen.get(&row.id).copied().unwrap_or(row.last_seen_at);
        let idle_ms = i64::from(self.runtime.config.security.session_idle_m) * 60_000;
        if now.since_ms(seen) > idle_ms {
            return Err(unknown());
        }
        let mut tx = self.runtime.db.read(Tenancy::Tenant(row.tenant_id)).await?;
        let facts = rights::of_user(&mut tx, row.tenant_id, row.user_id, now).await?;
        let (held, remembered_until) = entered(&facts, now)?;
        Ok(Known {
            tenant: row.tenant_id,
            actor: Actor::User(row.user_id),
            owner: Some(row.user_id),
            held,
            person: Some(Person {
                name: row.name,
                email: row.email,
                tenant: row.tenant,
                language: row.language,
                brand: domain::brand(row.accent, row.logo.as_deref(), row.support_email),
            }),
            session: Some(Seat { session: row.id, proven_at: row.proven_at }),
            expires_at: Some(row.expires_at),
            // Shorter than the least idle time that can be configured, so what is remembered is never idle.
            remembered_until,
        })
    }
}

/// What somebody holds who is let in, and until when that may be remembered: what is given for a time ends on time.
fn entered(facts: &Facts, now: Timestamp) -> Result<(Held, Timestamp)> {
    if facts.shut(now).is_some() {
        return Err(unknown());
    }
    let remembered = now.plus_ms(REMEMBERED_MS);
    Ok((facts.held(now), facts.until(now).map_or(remembered, |until| until.min(remembered))))
}

/// One refusal for everything: never made, revoked, expired, of a suspended tenant.
fn unknown() -> Error {
    Error::new(Code::Unauthenticated, "nobody is known by these credentials")
}

impl Memory {
    /// Reads the news and forgets whom they concern.
    fn listen(&mut self) {
        while let Some(heard) = self.heard.heard() {
            match heard {
                Heard::News(news) => news.events.iter().for_each(|event| self.hear(news.tenant, event)),
                Heard::Missed => self.forget(|_| true),
                Heard::Over => return,
            }
        }
    }

    fn hear(&mut self, tenant: TenantId, event: &Event) {
        match event {
            Event::KeyRevoked(change) => {
                self.forget(|known| matches!(known.actor, Actor::Key(id) if id.to_string() == change.id));
            }
            Event::UserChanged(change) | Event::UserPasswordChanged(change) => {
                self.forget(|known| known.owner.is_some_and(|id| id.to_string() == change.id));
            }
            Event::UserSignedOut(access) | Event::UserProved(access) => {
                self.forget(|known| known.person.as_ref().is_some_and(|person| person.email == access.who));
            }
            Event::TenantChanged(change)
            | Event::BrandChanged(change)
            | Event::TenantErased(change)
            | Event::SignInPolicyChanged(change) => {
                self.forget(|known| known.tenant.to_string() == change.id);
            }
            Event::RoleChanged(_)
            | Event::RoleDeleted(_)
            | Event::GrantCreated(_)
            | Event::GrantEnded(_)
            | Event::TeamChanged(_)
            | Event::TeamDeleted(_)
            | Event::TeamCreated(_) => self.forget(|known| known.tenant == tenant),
            _ => {}
        }
    }

    fn forget(&mut self, concerned: impl Fn(&Known) -> bool) {
        self.generation += 1;
        self.known.retain(|_, known| !concerned(known));
    }

    fn remember(&mut self, hash: String, known: &Known, generation: u64, now: Timestamp) {
        self.listen();
        if self.generation != generation {
            return;
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.retain(|_, known| known.remembered_until > now);
        }
        if self.known.len() < REMEMBERED_MAX {
            self.known.insert(hash, known.clone());
        }
    }

    fn note_use(&mut self, known: &Known, now: Timestamp) {
        if let Actor::Key(id) = known.actor
            && (self.keys_used.len() < REMEMBERED_MAX || self.keys_used.contains_key(&id))
        {
            self.keys_used.insert(id, now);
        }
        if let Some(id) = known.session.map(|seat| seat.session)
            && (self.sessions_seen.len() < REMEMBERED_MAX || self.sessions_seen.contains_key(&id))
        {
            self.sessions_seen.insert(id, now);
        }
    }
}

impl Authenticate for Identity {
    fn signed<'a>(
        &'a self,
        credentials: &'a Credentials,
    ) -> Pin<Box<dyn Future<Output = Result<Signed>> + Send + 'a>> {
        Box::pin(self.recognise(credentials))
    }
}
