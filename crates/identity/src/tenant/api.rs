//! Tenants over the API, for the platform's administrators and for resellers.

use axum::extract::Path;
use types::{Page, TenantId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Query, Writer};

use super::tree::{self, ListedTenant, Listing, NewParent};
use super::{CreatedTenant, FirstUser, Invited, NewTenant, Tenant, TenantChange};

/// All tenants, or those beneath yours, newest first, each followed by those beneath it.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", params(Listing),
    responses((status = 200, body = Page<ListedTenant>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(wanted): Query<Listing>,
) -> Result<Answer<200, Page<ListedTenant>>, Problem> {
    Ok(Answer(tree::list(&scope, &wanted).await?))
}

/// Create a tenant and, if told, its first administrator, whose sign-in link is shown this once. A reseller's stands beneath
/// their own.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", request_body = NewTenant,
    responses((status = 201, body = CreatedTenant), (status = 409, description = "The slug or address is taken", body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewTenant>,
) -> Result<Answer<201, CreatedTenant>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{id}", tag = "tenants", params(("id" = TenantId, Path)),
    responses((status = 200, body = Tenant), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Change a tenant; what is absent stays. A suspended tenant's people and programs are refused at once; those beneath it go on.
#[utoipa::path(patch, path = "/api/v1/tenants/{id}", tag = "tenants", params(("id" = TenantId, Path)), request_body = TenantChange,
    responses((status = 200, body = Tenant), (status = 404, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<TenantChange>,
) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(super::update(&scope, id.parse()?, wanted).await?))
}

/// Invite the first administrator of a tenant, or invite them again: for as long as nobody of it was let in. The sign-in link is
/// shown this once.
#[utoipa::path(post, path = "/api/v1/tenants/{id}/administrator", tag = "tenants", params(("id" = TenantId, Path)), request_body = FirstUser,
    responses((status = 201, body = Invited), (status = 404, body = ProblemBody),
        (status = 409, description = "Somebody of it was let in, or the address is in use", body = ProblemBody)))]
async fn invite(
    Writer(scope): Writer<201>,
    Path(id): Path<String>,
    Json(first): Json<FirstUser>,
) -> Result<Answer<201, Invited>, Problem> {
    Ok(Answer(super::invite(&scope, id.parse()?, first).await?))
}

/// Move a tenant, with all that stand beneath it, beneath another one or to the root; for the platform's administrators alone.
#[utoipa::path(put, path = "/api/v1/tenants/{id}/parent", tag = "tenants", params(("id" = TenantId, Path)), request_body = NewParent,
    responses((status = 200, body = Tenant), (status = 404, body = ProblemBody),
        (status = 409, description = "The parent may have none, or stands beneath it or too deep", body = ProblemBody)))]
async fn move_to(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    Json(wanted): Json<NewParent>,
) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(tree::move_to(&scope, id.parse()?, wanted).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update))
        .routes(routes!(invite))
        .routes(routes!(move_to))
}
