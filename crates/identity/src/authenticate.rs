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
use runtime::config::Network;
use runtime::live::Listener;
use runtime::scope::Seat;
use runtime::secrets::sha256_hex;
use runtime::{Actor, Held, Runtime, Scope};
use serde::Serialize;
use types::{Code, ConsentId, Error, KeyId, ProviderId, Result, SessionId, TenantId, Timestamp, UserId};
use web::access::{Acting, Authenticate, Credentials, Person, Rate, Signed};

use crate::domain;
use crate::impersonation::{self, Standing};
use crate::role::rights::{self, Facts};
use crate::token::accepted;
use crate::{consent, factor, key, network, token};

mod memory;
mod used;

use used::{Machine, Uses};

/// How long somebody is remembered. Another process on the same database learns of a revocation after at most this.
const REMEMBERED_MS: i64 = 10_000;
/// The keys and sessions that are remembered at once.
const REMEMBERED_MAX: usize = 20_000;
/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 4_096;
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
    /// Who acts, where they act as the person.
    behind: Option<Behind>,
    /// What a program shows, and from where it may.
    program: Option<Arc<Program>>,
    expires_at: Option<Timestamp>,
    remembered_until: Timestamp,
}

/// Whose session it is in which somebody acts as another.
#[derive(Clone)]
struct Behind {
    id: UserId,
    email: String,
}

/// A program that is known by a key or an access token.
struct Program {
    name: String,
    machine: Machine,
    networks: Arc<[Network]>,
    rate: Option<Rate>,
    test: bool,
    grant: Option<ConsentId>,
    /// The access token's id.
    token: Option<String>,
}

struct Memory {
    heard: Listener,
    known: HashMap<String, Known>,
    /// Grows with each thing forgotten: what was read before that must not be remembered after it.
    generation: u64,
    /// Last uses that are not written down yet.
    used: Uses,
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
        name: String,
        kind: String,
        networks: String,
        rate_per_second: Option<u32>,
        rate_burst: Option<u32>,
        expires_at: Option<Timestamp>,
        former_until: Option<Timestamp>,
        former: bool,
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
            used: Uses::default(),
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

    /// Writes down when keys, applications and sessions were last used, sweeps out what has expired (sessions, links, pending
    /// sign-ins, mailed tokens, codes and refresh tokens), and makes the next signing
    /// key when its time has come.
    ///
    /// # Errors
    /// When the database does not answer; the uses are kept for the next time.
    pub async fn write_down(&self) -> Result<()> {
        let (used, sessions) = {
            let memory = self.lock();
            (memory.used.clone(), memory.sessions_seen.clone())
        };
        let now = self.runtime.clock.now();
        let mut tx = self.runtime.db.write(Tenancy::Every).await?;
        used.write(&mut tx).await?;
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
            sql!("delete from registration where expires_at <= $1 /* every tenant: age alone decides */"),
            args![now],
        )
        .await?;
        factor::phone::sweep(&mut tx, now).await?;
        consent::sweep(&mut tx, now).await?;
        tx.commit().await?;
        {
            let mut memory = self.lock();
            memory.used.forget(&used);
            memory.sessions_seen.retain(|id, at| sessions.get(id) != Some(at));
        }
        token::keys::keep(&self.runtime).await
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
                let known = match is_key {
                    // A signed token is three parts (RFC 7515 §7.1); keys have no dots.
                    true if token.matches('.').count() == 2 => self.read_token(token, now).await?,
                    true => self.read_key(&hash[1..], now).await?,
                    false => self.read_session(&hash[1..], now).await?,
                };
                self.lock().remember(hash, &known, generation, now);
                known
            }
        };
        if house.is_some_and(|house| house.tenant != known.tenant) {
            return Err(unknown());
        }
        if known.expires_at.is_some_and(|at| at <= now) {
            let is_token = known.program.is_some_and(|program| program.token.is_some());
            return Err(if is_token { token::expired() } else { unknown() });
        }
        self.let_in(&known, credentials)?;
        self.lock().note_use(&known, credentials, now);
        let Known { tenant, actor, held, person, session, program, .. } = known;
        let mut scope = Scope::grant(self.runtime.clone(), tenant, actor, held, credentials.origin.clone());
        if let Some(seat) = session {
            scope = scope.seated(seat);
        }
        if program.as_ref().is_some_and(|program| program.test) {
            scope = scope.in_test();
        }
        Ok(Signed { scope, person, rate: program.and_then(|program| program.rate) })
    }

    /// Refuses a program from where it may not be used, and tells of it: whoever has its secret is not where they should be.
    fn let_in(&self, known: &Known, credentials: &Credentials) -> Result<()> {
        let Some(program) = &known.program else { return Ok(()) };
        let from = credentials.origin.from.as_deref();
        if network::lets_in(&program.networks, from) {
            return Ok(());
        }
        let (Known { tenant, actor, held, .. }, origin) = (known, credentials.origin.clone());
        let scope = Scope::grant(self.runtime.clone(), *tenant, actor.clone(), held.clone(), origin);
        let by = if program.token.is_some() { "access token" } else { "API key" };
        network::tell_refused(scope, &program.name, by);
        let what = format!("{} may not be used from {}", program.name, from.unwrap_or("an unknown address"));
        Err(Error::new(Code::NetworkNotAllowed, what))
    }

    /// A token that a tenant's own sign-in service has signed.
    async fn read_accepted(&self, service: ProviderId, text: &str, now: Timestamp) -> Result<Known> {
        let accepted = accepted::read(&self.runtime, service, text).await?;
        let accepted::Accepted { tenant, provider, name, user, held, expires_at, until } = accepted;
        let program = Program {
            name,
            machine: Machine::Service(provider),
            networks: Arc::default(),
            rate: None,
            test: false,
            grant: None,
            token: Some(String::new()),
        };
        let remembered = now.plus_ms(REMEMBERED_MS);
        Ok(Known {
            tenant,
            actor: Actor::Foreign { provider, user },
            owner: Some(user),
            held,
            person: None,
            session: None,
            behind: None,
            program: Some(Arc::new(program)),
            expires_at: Some(expires_at),
            remembered_until: until.map_or(remembered, |until| until.min(remembered)),
        })
    }

    async fn read_token(&self, text: &str, now: Timestamp) -> Result<Known> {
        if let Some(service) = accepted::service(&self.runtime, text) {
            return self.read_accepted(service, text, now).await;
        }
        let bearer = token::bearer(&self.runtime, text).await?;
        let expires_at = Some(bearer.until());
        let token::Bearer { tenant, actor, name, owner, held, remembered_until, networks, claims } = bearer;
        let (machine, grant) = match &actor {
            Actor::App { client, consent, .. } => (Machine::Consent(*consent, *client), Some(*consent)),
            Actor::Client(client) => (Machine::Client(*client), None),
            _ => return Err(unknown()),
        };
        let program = Program {
            name,
            machine,
            networks: networks.into(),
            rate: None,
            test: false,
            grant,
            token: Some(claims.jti),
        };
        let remembered = now.plus_ms(REMEMBERED_MS);
        Ok(Known {
            tenant,
            actor,
            owner,
            held,
            person: None,
            session: None,
            behind: None,
            program: Some(Arc::new(program)),
            expires_at,
            remembered_until: remembered_until.map_or(remembered, |until| until.min(remembered)),
        })
    }

    async fn read_key(&self, hash: &str, now: Timestamp) -> Result<Known> {
        let row: Option<KeyRow> = self
            .runtime
            .db
            .read(Tenancy::Every)
            .await?
            .optional(
                sql!(
                    "select k.id, k.tenant_id, k.name, k.kind, k.networks, k.rate_per_second, k.rate_burst, k.expires_at, \
                     k.former_until, (k.secret_hash <> $1) as former, k.owner_id \
                     from api_key k join tenant t on t.id = k.tenant_id \
                     left join users u on u.id = k.owner_id and u.tenant_id = k.tenant_id and u.status = 'active' \
                     where (k.secret_hash = $1 or (k.former_hash = $1 and k.former_until > $2)) and k.revoked_at is null and t.status = 'active' \
                     and (k.owner_id is null or u.id is not null) /* every tenant: the key says whose it is */"
                ),
                args![hash, now],
            )
            .await?;
        let row = row.ok_or_else(unknown)?;
        let mut tx = self.runtime.db.read(Tenancy::Tenant(row.tenant_id)).await?;
        let facts = rights::of_key(&mut tx, row.tenant_id, row.id, now).await?;
        let (held, remembered_until) = entered(&facts, now)?;
        let per_second = row.rate_per_second;
        let rate = per_second.map(|rate| Rate { per_second: rate, burst: row.rate_burst.unwrap_or(rate) });
        let program = Program {
            name: row.name,
            machine: if row.former { Machine::FormerKey(row.id) } else { Machine::Key(row.id) },
            networks: network::stored(&row.networks).ok_or_else(unknown)?.into(),
            rate,
            test: key::Kind::stored(&row.kind) == key::Kind::Test,
            grant: None,
            token: None,
        };
        let former_until = row.former_until.filter(|_| row.former);
        Ok(Known {
            tenant: row.tenant_id,
            actor: Actor::Key(row.id),
            owner: row.owner_id,
            held,
            person: None,
            session: None,
            behind: None,
            program: Some(Arc::new(program)),
            expires_at: row.expires_at.into_iter().chain(former_until).min(),
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
        let standing = impersonation::standing(&mut tx, (row.tenant_id, row.id), &held, now).await?;
        let own = Known {
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
                acting: None,
            }),
            session: Some(Seat { session: row.id, proven_at: row.proven_at }),
            behind: None,
            program: None,
            expires_at: Some(row.expires_at),
            // Shorter than the least idle time that can be configured, so what is remembered is never idle.
            remembered_until,
        };
        Ok(match standing {
            Some(standing) => own.acting_as(row.user_id, standing),
            None => own,
        })
    }
}

impl Known {
    /// The same session while its owner acts as another user.
    fn acting_as(self, by: UserId, standing: Standing) -> Self {
        let Standing { user, name, email, language, held, until, ends_at } = standing;
        let own = self.person.unwrap_or_default();
        Self {
            actor: Actor::As { user, by },
            owner: Some(user),
            held,
            behind: Some(Behind { id: by, email: own.email }),
            remembered_until: self.remembered_until.min(until),
            person: Some(Person {
                name,
                email,
                language,
                acting: Some(Acting { by: own.name, until: ends_at }),
                tenant: own.tenant,
                brand: own.brand,
            }),
            ..self
        }
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

impl Authenticate for Identity {
    fn signed<'a>(
        &'a self,
        credentials: &'a Credentials,
    ) -> Pin<Box<dyn Future<Output = Result<Signed>> + Send + 'a>> {
        Box::pin(self.recognise(credentials))
    }
}
