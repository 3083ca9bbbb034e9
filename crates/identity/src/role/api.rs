//! Who am I, what is there to be allowed, and by which roles.

use axum::extract::Path;
use serde::{Deserialize, Serialize};
use types::{Page, Permission};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Query, Writer};

use super::CatalogueEntry;
use super::custom::{self, NewRole, RolePatch, RoleShown};
use super::explain::{self, Explanation, Question};
use crate::tenant::{self, Tenant};
use crate::user::{self, User};

/// Who asks.
#[derive(Serialize, utoipa::ToSchema)]
struct Me {
    /// The user or the key.
    actor: String,
    /// The tenant whose rows are seen.
    tenant: Tenant,
    /// The person, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User>,
    /// What may be done.
    permissions: Vec<Permission>,
}

/// Who am I: actor, tenant and permissions behind these credentials.
#[utoipa::path(get, path = "/api/v1/me", tag = "access", responses((status = 200, body = Me), (status = 401, body = ProblemBody)))]
async fn me(Caller(scope): Caller) -> Result<Answer<200, Me>, Problem> {
    let user = match scope.actor() {
        runtime::Actor::User(id) | runtime::Actor::As { user: id, .. } => {
            Some(user::find(&mut scope.read().await?, scope.tenant(), *id).await?)
        }
        _ => None,
    };
    Ok(Answer(Me {
        actor: scope.actor().to_string(),
        tenant: tenant::own(&scope).await?,
        user,
        permissions: scope.permissions().iter().collect(),
    }))
}

/// The permission catalogue and the system roles.
#[derive(Serialize, utoipa::ToSchema)]
struct Catalogue {
    /// Every permission, in the order it is shown.
    permissions: Vec<CatalogueEntry>,
    /// Every role, the most powerful first.
    roles: Vec<RoleEntry>,
}

/// A role and what it allows.
#[derive(Serialize, utoipa::ToSchema)]
struct RoleEntry {
    /// The name that users' records hold.
    name: &'static str,
    /// What people call it.
    title: &'static str,
    /// Whom it is for.
    about: &'static str,
    /// What it allows.
    permissions: Vec<Permission>,
}

/// Every permission that a key can hold, and every role with what it allows.
#[utoipa::path(get, path = "/api/v1/permissions", tag = "access", responses((status = 200, body = Catalogue)))]
async fn permissions(_caller: Caller) -> Answer<200, Catalogue> {
    let entry = |role: &super::Role| RoleEntry {
        name: role.name,
        title: role.title,
        about: role.about,
        permissions: role.permissions().iter().collect(),
    };
    Answer(Catalogue { permissions: super::catalogue(), roles: super::ROLES.iter().map(entry).collect() })
}

/// All roles of the tenant with what they allow: those of every installation, then its own.
#[utoipa::path(get, path = "/api/v1/roles", tag = "roles",
    responses((status = 200, body = Page<RoleShown>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<RoleShown>>, Problem> {
    Ok(Answer(Page { items: custom::list(&scope).await?, next: None }))
}

/// Make a role. Nobody gives what they do not hold, neither by its own permissions nor by the role above it.
#[utoipa::path(post, path = "/api/v1/roles", tag = "roles", request_body = NewRole,
    responses((status = 201, body = RoleShown), (status = 403, description = "What the caller does not hold", body = ProblemBody),
        (status = 409, description = "The name is taken", body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewRole>,
) -> Result<Answer<201, RoleShown>, Problem> {
    Ok(Answer(custom::create(&scope, new).await?))
}

/// One role, by its name.
#[utoipa::path(get, path = "/api/v1/roles/{id}", tag = "roles", params(("id" = String, Path, description = "The role's name")),
    responses((status = 200, body = RoleShown), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(name): Path<String>) -> Result<Answer<200, RoleShown>, Problem> {
    Ok(Answer(custom::get(&scope, &name).await?))
}

/// Change a role; what is absent stays. Whoever has it holds the new rights from the next request on.
#[utoipa::path(patch, path = "/api/v1/roles/{id}", tag = "roles", params(("id" = String, Path, description = "The role's name")),
    request_body = RolePatch,
    responses((status = 200, body = RoleShown), (status = 409, description = "It was changed meanwhile, or cannot be", body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(name): Path<String>,
    Json(patch): Json<RolePatch>,
) -> Result<Answer<200, RoleShown>, Problem> {
    Ok(Answer(custom::update(&scope, &name, patch).await?))
}

/// Who has the role instead.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Succession {
    /// The role that its users get; needed where it has users.
    successor: Option<String>,
}

/// Delete a role. One in use needs a successor.
#[utoipa::path(delete, path = "/api/v1/roles/{id}", tag = "roles",
    params(("id" = String, Path, description = "The role's name"), Succession),
    responses((status = 204), (status = 409, description = "It is in use", body = ProblemBody)))]
async fn delete(
    Writer(scope): Writer<204>,
    Path(name): Path<String>,
    Query(succession): Query<Succession>,
) -> Result<Answer<204, ()>, Problem> {
    custom::delete(&scope, &name, succession.successor.as_deref()).await?;
    Ok(Answer(()))
}

/// Whether somebody may do something at this moment, and what that rests on. Everybody may ask about themselves.
#[utoipa::path(get, path = "/api/v1/explain", tag = "roles", params(Question),
    responses((status = 200, body = Explanation), (status = 403, body = ProblemBody)))]
async fn explain(
    Caller(scope): Caller,
    Query(question): Query<Question>,
) -> Result<Answer<200, Explanation>, Problem> {
    Ok(Answer(explain::explain(&scope, &question).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(permissions))
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(explain))
}
