//! Trying a directory: each step in words, and what one person would get.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use db::{args, record, sql};
use futures::FutureExt as _;
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::{DirectoryId, Error, Permission, Result};

use super::entry::{self, Found};
use super::wire::{Session, Steps, TrialStep, Trouble};
use super::{Directory, find};

/// What is to be tried.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewTrial {
    /// The address of a person to look for; nobody when empty.
    pub login: String,
}

/// Who was found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TrialPerson {
    /// The entry's own id, which stays.
    pub entry: String,
    /// Where the entry stands.
    pub dn: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The groups, as their entries are named.
    pub groups: Vec<String>,
    /// The role that these give here.
    pub role: Option<String>,
    /// Why the directory lets them in no more, where it says so.
    pub shut: Option<String>,
    /// Whether a user here is tied to them.
    pub tied: bool,
}

/// What came of a trial.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DirectoryTrial {
    /// Whether every step was made.
    pub done: bool,
    /// The steps, up to the first that failed.
    pub steps: Vec<TrialStep>,
    /// Who was found, where somebody was looked for.
    pub person: Option<TrialPerson>,
}

record! { struct Tied { n: i64 } }

/// Tries a directory, without anybody's password: connecting, TLS, bind, and the search for one person.
///
/// # Errors
/// Without `identity_provider.change`; `not_found`. That a step fails is no error, but what one wants to know.
pub async fn attempt(scope: &Scope, id: DirectoryId, wanted: &NewTrial) -> Result<DirectoryTrial> {
    scope.require(Permission::ProviderChange)?;
    let directory = find(&mut scope.read().await?, scope.tenant(), id).await?;
    let mut steps = Steps::default();
    let login = wanted.login.trim();
    let tried = AssertUnwindSafe(go(scope, &directory, login, &mut steps)).catch_unwind().await;
    let tried = tried.unwrap_or_else(|_| Err(Trouble::new("the server sent what is no LDAP")));
    let done = tried.is_ok();
    let person = match tried.ok().flatten() {
        Some(found) => Some(described(scope, &directory, found).await?),
        None => None,
    };
    Ok(DirectoryTrial { done, steps: steps.0, person })
}

async fn go(
    scope: &Scope,
    directory: &Directory,
    login: &str,
    steps: &mut Steps,
) -> Result<Option<Found>, Trouble> {
    let settings = &directory.settings;
    let own = directory.password(scope.runtime()).await;
    let own = own.map_err(|_| Trouble::new("the password that we ask with cannot be opened"))?;
    let mut session = Session::open(scope.runtime(), settings, steps).await?;
    let began = Instant::now();
    let bound = session.bind_own(&settings.bind_dn, own.expose()).await;
    let whose = if settings.bind_dn.is_empty() { "as nobody" } else { settings.bind_dn.as_str() };
    steps.note(("bind", None), began, &bound, |()| whose.to_owned());
    bound?;
    if login.is_empty() {
        return Ok(None);
    }
    let began = Instant::now();
    let found = entry::look_up(&mut session, settings, login, scope.now()).await;
    let found = match found {
        Ok(None) => Err(Trouble::new("nobody, or more than one, signs in with this address")),
        found => found,
    };
    steps.note(("search", None), began, &found, |found| {
        found.as_ref().map_or(String::new(), |one| one.dn.clone())
    });
    let Some(mut found) = found? else { return Ok(None) };
    let began = Instant::now();
    let groups = entry::look_up_groups(&mut session, settings, &mut found).await;
    steps.note(("groups", None), began, &groups, |()| format!("{} groups", found.groups.len()));
    groups?;
    Ok(Some(found))
}

async fn described(scope: &Scope, directory: &Directory, found: Found) -> Result<TrialPerson> {
    let Tied { n } = scope
        .read()
        .await?
        .one(
            sql!("select count(*) as n from directory_person where tenant_id = $1 and directory_id = $2 and entry = $3"),
            args![scope.tenant(), directory.id, &found.entry],
        )
        .await
        .map_err(Error::from)?;
    Ok(TrialPerson {
        role: entry::role_of(&directory.settings, &found.groups).map(str::to_owned),
        entry: found.entry,
        dn: found.dn,
        email: found.mail,
        name: found.name,
        groups: found.groups,
        shut: found.shut.map(str::to_owned),
        tied: n > 0,
    })
}
