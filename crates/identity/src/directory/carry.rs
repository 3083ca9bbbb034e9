//! Carrying out what a directory changes in a user, in the transaction that tells of it.

use db::{args, sql};
use runtime::{Scope, Write};
use types::event::Access;
use types::{Error, Event, Result, UserId};

use super::Directory;
use super::entry::Found;
use super::plan::{Action, Step};
use crate::federation::reaches_over;
use crate::user::{self, NewUser, Status, UserChange};
use crate::{impersonation, name, session};

/// Carries a step out and gives whose it was; nobody's where the user reaches over all tenants: whoever runs a tenant's
/// directory would have a way up.
///
/// # Errors
/// When the database refuses, or another change was faster.
pub(super) async fn carry_out(
    write: &mut Write,
    scope: &Scope,
    directory: &Directory,
    step: &Step,
) -> Result<Option<UserId>> {
    let found = step.found.as_ref();
    let id = match &step.action {
        Action::Create { email, role } => {
            let found = found.ok_or_else(|| Error::internal("a user is made of an entry"))?;
            return create(write, scope, directory, (email, role), found).await.map(Some);
        }
        Action::Tie { user_id }
        | Action::Role { user_id, .. }
        | Action::Rename { user_id }
        | Action::Leave { user_id, .. }
        | Action::Return { user_id } => *user_id,
    };
    if reaches_over(write, scope, id).await? {
        return Ok(None);
    }
    let before = user::find(write, scope.tenant(), id).await?;
    let wanted = match &step.action {
        Action::Create { .. } => UserChange::default(),
        Action::Tie { .. } => {
            let found = found.ok_or_else(|| Error::internal("a user is tied to an entry"))?;
            tie(write, scope, directory, found, (id, &before.email)).await?;
            return Ok(Some(id));
        }
        Action::Role { to, .. } => UserChange { role: Some(to.clone()), ..UserChange::default() },
        Action::Rename { .. } => {
            let name = found.and_then(|found| found.name.as_deref()).unwrap_or(&before.name);
            UserChange { name: Some(name::given("name", name)?), ..UserChange::default() }
        }
        Action::Leave { .. } => UserChange { status: Some(Status::Disabled), ..UserChange::default() },
        Action::Return { .. } => UserChange { status: Some(Status::Active), ..UserChange::default() },
    };
    user::save(write, scope.tenant(), id, &wanted).await?;
    if wanted.role.is_some() || wanted.status.is_some() {
        impersonation::break_off(write, scope.tenant(), id, scope.now()).await?;
    }
    if let Some(status) = wanted.status {
        let leaves = status == Status::Disabled;
        if leaves {
            session::end_all(write, scope.tenant(), id, None).await?;
        }
        write
            .execute(
                sql!("update directory_person set left_at = $3 where tenant_id = $1 and user_id = $2"),
                args![scope.tenant(), id, leaves.then(|| scope.now())],
            )
            .await?;
    }
    let after = user::find(write, scope.tenant(), id).await?;
    if user::change(&after, None) != user::change(&before, None) {
        write.happened(Event::UserChanged(user::change(&after, Some(&before))));
    }
    Ok(Some(id))
}

async fn create(
    write: &mut Write,
    scope: &Scope,
    directory: &Directory,
    (email, role): (&str, &str),
    found: &Found,
) -> Result<UserId> {
    let named = found.name.as_ref().filter(|name| name::given("name", name).is_ok());
    let new = NewUser {
        email: email.to_owned(),
        name: named.cloned().unwrap_or_else(|| email.to_owned()),
        role: role.to_owned(),
        language: None,
        password_hash: None,
    };
    let user = user::insert(write, scope.runtime(), scope.tenant(), new).await?;
    write.happened(Event::UserCreated(user::change(&user, None)));
    tie(write, scope, directory, found, (user.id, &user.email)).await?;
    Ok(user.id)
}

async fn tie(
    write: &mut Write,
    scope: &Scope,
    directory: &Directory,
    found: &Found,
    (user, email): (UserId, &str),
) -> Result<()> {
    write
        .execute(
            sql!(
                "insert into directory_person (directory_id, entry, tenant_id, user_id, dn, tied_at) \
                 values ($1, $2, $3, $4, $5, $6)"
            ),
            args![directory.id, &found.entry, scope.tenant(), user, &found.dn, scope.now()],
        )
        .await?;
    let who = Access { who: email.to_owned(), by: directory.name.clone(), reason: None };
    write.happened(Event::UserLinked(who));
    Ok(())
}
