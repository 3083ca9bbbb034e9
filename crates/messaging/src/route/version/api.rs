//! Versions of the routes over the JSON API.

use axum::extract::{Path, State};
use serde::Deserialize;
use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Paging, Problem, Query, Writer};

use super::{FullVersion, Version};
use crate::api::{Gateway, follow};
use crate::route::diff::Diff;

/// What a version is compared with.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
struct With {
    /// Another version by its id or number, `live` or `draft`; the version before it when not given.
    with: Option<String>,
}

/// The versions of the tenant's routes, newest first. Each change makes one.
#[utoipa::path(get, path = "/api/v1/route-versions", tag = "routes", params(Paging),
    responses((status = 200, body = Page<Version>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Version>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// One version with its routes, by its id or its number.
#[utoipa::path(get, path = "/api/v1/route-versions/{id}", tag = "routes", params(("id" = String, Path)),
    responses((status = 200, body = FullVersion), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, FullVersion>, Problem> {
    Ok(Answer(super::get(&scope, &id).await?))
}

/// What is different between a version and another: routes that were added, removed and changed.
#[utoipa::path(get, path = "/api/v1/route-versions/{id}/diff", tag = "routes", params(("id" = String, Path), With),
    responses((status = 200, body = Diff), (status = 404, body = ProblemBody)))]
async fn diff(
    Caller(scope): Caller,
    Path(id): Path<String>,
    Query(with): Query<With>,
) -> Result<Answer<200, Diff>, Problem> {
    Ok(Answer(super::compare(&scope, &id, with.with.as_deref()).await?))
}

/// Bring the routes of a version back. That is a new version, so it can be undone in the same way.
#[utoipa::path(post, path = "/api/v1/route-versions/{id}/rollback", tag = "routes", params(("id" = String, Path)),
    responses((status = 200, body = Version), (status = 404, body = ProblemBody),
        (status = 422, description = "It names a connection or account that is gone", body = ProblemBody)))]
async fn roll_back(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<200, Version>, Problem> {
    let version = super::roll_back(&scope, &id).await?;
    follow(gateway.engine.routes_changed()).await;
    Ok(Answer(version))
}

/// The versions.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(diff))
        .routes(routes!(roll_back))
}
