//! Who am I, and what is there to be allowed.

use serde::Serialize;
use types::Permission;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Problem};

use super::CatalogueEntry;
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
        runtime::Actor::User(_) => Some(user::own(&scope).await?),
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

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(me)).routes(routes!(permissions))
}
