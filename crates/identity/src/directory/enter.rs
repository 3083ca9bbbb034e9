//! Signing in by a directory: the password is checked by a bind in the person's name (RFC 4513 §5.1.3), and never kept.
//!
//! Our own lockout stands before the directory's. Whether somebody is known shows neither in the answer nor in its time: who is not
//! found is bound for as well, under a name that nobody has, and every refusal leaves at a full step of time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use db::{Tx, args, record, sql};
use futures::FutureExt as _;
use runtime::secrets::token;
use runtime::{Actor, Runtime, Scope, Write};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use types::{Code, DirectoryId, Error, Permissions, Result, TenantId, UserId};

use super::entry::{self, Found};
use super::plan::{Known, Not, Step, decide};
use super::wire::{Bound, Session, Steps, Trouble};
use super::{Directory, Stored, carry};
use crate::federation::foreign::failed;
use crate::name;
use crate::sign_in::{Browser, Candidate};

/// A refusal leaves at a multiple of this since its sign-in began, so that what it took does not tell who is known.
const STEP_MS: u64 = 500;
/// Sign-ins that ask one directory at once.
const ASKING_MAX: usize = 8;
/// Directories whose sign-ins are counted.
const PLACES_MAX: usize = 1_000;
/// The part of the product that the trail names.
const ACTOR: Actor = Actor::System("directory");

/// How many sign-ins ask each directory now: one that does not answer holds up its own alone.
#[derive(Default)]
struct Places(Mutex<HashMap<DirectoryId, Arc<Semaphore>>>);

impl Places {
    fn of(&self, id: DirectoryId) -> Arc<Semaphore> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES_MAX {
            places.retain(|_, place| Arc::strong_count(place) > 1);
        }
        Arc::clone(places.entry(id).or_insert_with(|| Arc::new(Semaphore::new(ASKING_MAX))))
    }
}

/// Who decides about a password.
#[derive(Debug)]
pub(crate) struct Leading {
    /// The directory, where it is one.
    pub(crate) directory: Option<Directory>,
    /// Whether the address's domain leads to one: then every refusal takes the same time, whoever decides.
    pub(crate) steps: bool,
}

record! { struct Few { n: i64 } }

/// Who decides about the password of an address. A user who is tied to a directory goes by that; one who is not, by their own
/// password, which is how an administrator comes in when a directory is down. Who has none, and who is not known, goes where the
/// domain leads. Addresses that nobody has lead to a directory at the tenant's own host, and at the common one only where there is
/// one tenant: else a tenant could name a domain to be told the passwords of others.
pub(crate) async fn leading(
    tx: &mut Tx,
    candidate: Option<&Candidate>,
    email: &str,
    browser: &Browser,
) -> Result<Leading> {
    let domain = email.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    let by_domain: Option<Stored> = tx
        .optional(
            sql!(
                "select d.id, d.tenant_id, d.name, d.active, d.bind_password_sealed, d.settings, d.revision, d.read_next_at, \
                 d.created_at, d.changed_at from directory_domain l join directory d on d.id = l.directory_id \
                 join tenant t on t.id = d.tenant_id where l.domain = $1 and d.active and t.status = 'active' \
                 /* every tenant: the domain says whose it is */"
            ),
            args![domain],
        )
        .await?;
    let steps = by_domain.is_some();
    let Some(candidate) = candidate else {
        let Few { n } = tx
            .one(
                sql!(
                    "select count(*) as n from (select id from tenant where status = 'active' limit 2) few \
                      /* every tenant: whether there is more than one */"
                ),
                args![],
            )
            .await?;
        let ours = |row: &Stored| browser.house.map_or(n == 1, |house| house == row.tenant_id);
        return Ok(Leading { directory: by_domain.filter(ours).map(Directory::from), steps });
    };
    let tied = of_user(tx, candidate.tenant_id, candidate.id).await?;
    let steps = steps || tied.is_some();
    let ours =
        by_domain.filter(|row| row.tenant_id == candidate.tenant_id && candidate.password_hash.is_none());
    Ok(Leading { directory: tied.or(ours.map(Directory::from)), steps })
}

/// The directory that a user is tied to, while it is switched on.
pub(crate) async fn of_user(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<Option<Directory>> {
    let tied: Option<Stored> = tx
        .optional(
            sql!(
                "select d.id, d.tenant_id, d.name, d.active, d.bind_password_sealed, d.settings, d.revision, d.read_next_at, \
                 d.created_at, d.changed_at from directory_person p join directory d on d.id = p.directory_id \
                 where p.tenant_id = $1 and d.tenant_id = $1 and p.user_id = $2 and d.active"
            ),
            args![tenant, user],
        )
        .await?;
    Ok(tied.map(Directory::from))
}

record! { struct Entry { entry: String } }

/// Whether a user has this password in the directory that they are tied to.
///
/// # Errors
/// `directory_unavailable`.
pub(crate) async fn is_password_of(
    scope: &Scope,
    directory: &Directory,
    (user, email): (UserId, &str),
    given: &str,
) -> Result<bool> {
    let Said::Is(found) = ask(scope.runtime(), directory, email, given).await? else { return Ok(false) };
    let tied: Option<Entry> = scope
        .read()
        .await?
        .optional(
            sql!("select entry from directory_person where tenant_id = $1 and directory_id = $2 and user_id = $3"),
            args![scope.tenant(), directory.id, user],
        )
        .await?;
    Ok(tied.is_some_and(|tied| tied.entry == found.entry))
}

/// Waits until a refusal may leave.
pub(crate) async fn wait_for_step(began: Instant) {
    let spent = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let until = (spent / STEP_MS).saturating_add(1).saturating_mul(STEP_MS);
    tokio::time::sleep_until(began + Duration::from_millis(until)).await;
}

/// What a directory says of an address and a password.
#[derive(Debug)]
pub(crate) enum Said {
    /// It is this person.
    Is(Box<Found>),
    /// It is not, for this reason.
    No(&'static str),
}

/// Asks a directory about an address and a password.
///
/// # Errors
/// `directory_unavailable`.
pub(crate) async fn ask(runtime: &Runtime, directory: &Directory, email: &str, given: &str) -> Result<Said> {
    if given.is_empty() {
        return Ok(Said::No("no password was given"));
    }
    let place = runtime.kept(|_| Places::default()).of(directory.id);
    let limit = Duration::from_millis(runtime.config.directory.timeout_ms);
    let asked = async {
        let _place = tokio::time::timeout(limit, place.acquire_owned())
            .await
            .map_err(|_| Trouble::new("too many sign-ins wait for it"))?;
        prove(runtime, directory, email, given).await
    };
    // The library trusts what it is sent to be LDAP; what is not must end this sign-in alone.
    let said = std::panic::AssertUnwindSafe(asked).catch_unwind().await;
    let said = said.unwrap_or_else(|_| Err(Trouble::new("the server sent what is no LDAP")));
    said.map_err(|Trouble { why, .. }| {
        tracing::warn!(directory = %directory.id, why, "a directory could not be asked");
        Error::new(Code::DirectoryUnavailable, "the directory of your organisation does not answer")
    })
}

async fn prove(runtime: &Runtime, directory: &Directory, email: &str, given: &str) -> Result<Said, Trouble> {
    let settings = &directory.settings;
    let steps = &mut Steps::default();
    let own = directory.password(runtime).await;
    let own = own.map_err(|_| Trouble::new("the password that we ask with cannot be opened"))?;
    let mut session = Session::open(runtime, settings, steps).await?;
    session.bind_own(&settings.bind_dn, own.expose()).await?;
    let found = entry::look_up(&mut session, settings, email, runtime.clock.now()).await?;
    let mut theirs = Session::open(runtime, settings, steps).await?;
    let Some(mut found) = found else {
        let nobody = token(16).map_err(|_| Trouble::new("there is no chance to be had"))?;
        let nobody = ["cn=", &nobody, ",", &settings.base].concat();
        theirs.bind(&nobody, given).await?;
        return Ok(Said::No("the directory has nobody, or more than one, with this address"));
    };
    let Bound { code, words } = theirs.bind(&found.dn, given).await?;
    match code {
        0 => {}
        code if entry::is_of_person(code) => return Ok(Said::No(entry::why_refused(code, &words))),
        code => return Err(Trouble::new(format!("it answers a bind with {code}: {words}"))),
    }
    entry::look_up_groups(&mut session, settings, &mut found).await?;
    Ok(match found.shut {
        Some(why) => Said::No(why),
        None => Said::Is(Box::new(found)),
    })
}

/// Acting for a directory, in its tenant.
pub(super) fn acting(runtime: &Runtime, tenant: TenantId, origin: runtime::Origin) -> Scope {
    Scope::grant(runtime.clone(), tenant, ACTOR, Permissions::all_of_a_tenant(), origin)
}

record! {
    struct Row {
        id: UserId,
        name: String,
        role: String,
        status: String,
        left_at: Option<types::Timestamp>,
        dn: Option<String>,
    }
}

impl Row {
    fn known(self) -> Known {
        Known {
            user: self.id,
            name: self.name,
            role: self.role,
            active: self.status == crate::user::Status::Active.as_str(),
            left: self.left_at.is_some(),
        }
    }
}

/// The user who a proved person is: tied already, tied now, or made of them; with the role that their groups give now.
///
/// # Errors
/// `sign_in_failed` with why they are none.
pub(crate) async fn settle(
    runtime: &Runtime,
    directory: &Directory,
    found: &Found,
    origin: runtime::Origin,
) -> Result<UserId> {
    let scope = acting(runtime, directory.tenant, origin);
    let mut write = scope.write().await?;
    let (tied, namesake) = known(&mut write, directory, found).await?;
    let (actions, so) = decide(&directory.settings, found, tied.as_ref(), namesake.as_ref());
    so.map_err(why)?;
    let mut user = tied.map(|known| known.user);
    for action in actions {
        let step = Step { action, found: Some(found.clone()) };
        let carried = carry::carry_out(&mut write, &scope, directory, &step).await.map_err(|error| {
            match error.code() {
                Code::AlreadyExists | Code::InvalidValue => failed("no user could be made for you")
                    .hint(format!("An administrator should know: {}.", error.message())),
                _ => error,
            }
        })?;
        if carried.is_none() && user.is_none() {
            return Err(why(Not::Namesake));
        }
        user = user.or(carried);
    }
    let user = user.ok_or_else(|| why(Not::Created))?;
    write.commit(()).await?;
    Ok(user)
}

async fn known(
    write: &mut Write,
    directory: &Directory,
    found: &Found,
) -> Result<(Option<Known>, Option<Known>)> {
    let tied: Option<Row> = write
        .optional(
            sql!(
                "select u.id, u.name, u.role, u.status, p.left_at, p.dn from directory_person p \
                 join users u on u.id = p.user_id and u.tenant_id = p.tenant_id \
                 where p.tenant_id = $1 and p.directory_id = $2 and p.entry = $3"
            ),
            args![directory.tenant, directory.id, &found.entry],
        )
        .await?;
    if let Some(row) = tied {
        if row.dn.as_ref() != Some(&found.dn) {
            write
                .execute(
                    sql!("update directory_person set dn = $4 where tenant_id = $1 and directory_id = $2 and entry = $3"),
                    args![directory.tenant, directory.id, &found.entry, &found.dn],
                )
                .await?;
        }
        return Ok((Some(row.known()), None));
    }
    let Some(mail) = &found.mail else { return Ok((None, None)) };
    let namesake: Option<Row> = write
        .optional(
            sql!(
                "select u.id, u.name, u.role, u.status, p.left_at, p.dn from users u \
                 left join directory_person p on p.user_id = u.id and p.tenant_id = u.tenant_id \
                 where u.tenant_id = $1 and u.email_folded = $2"
            ),
            args![directory.tenant, name::folded(mail)],
        )
        .await?;
    match namesake {
        // Somebody else's entry is tied to them already.
        Some(row) if row.dn.is_some() => Err(why(Not::Namesake)),
        row => Ok((None, row.map(Row::known))),
    }
}

/// Why a proved person is no user, in words for them.
fn why(not: Not) -> Error {
    match not {
        Not::Shut(_) => Error::new(Code::SignInRefused, "this account is not active"),
        Not::Role => failed("none of your groups in the directory has a role here")
            .hint("Ask an administrator to map one of your groups to a role, or to add you to one."),
        Not::Namesake => {
            failed("a user with your e-mail address exists here, and is not tied to the directory")
                .hint("Ask an administrator to tie users by their address.")
        }
        Not::Created => {
            failed("you are no user here yet").hint("Ask an administrator to create a user for you.")
        }
        Not::Address => failed("the directory has no address of yours whose people become users here")
            .hint("Ask an administrator which domains are let in."),
    }
}
