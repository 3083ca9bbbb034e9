//! The organisation's own domains over the API.

use axum::extract::Path;
use types::{DomainId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Writer};

use super::{Domain, NewDomain};

/// Your organisation's own domains.
#[utoipa::path(get, path = "/api/v1/domains", tag = "organisation",
    responses((status = 200, body = Page<Domain>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Domain>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Add a domain. It serves nobody until it is proved.
#[utoipa::path(post, path = "/api/v1/domains", tag = "organisation", request_body = NewDomain,
    responses((status = 201, body = Domain), (status = 409, description = "It is added already", body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewDomain>,
) -> Result<Answer<201, Domain>, Problem> {
    Ok(Answer(super::create(&scope, new).await?))
}

/// One domain.
#[utoipa::path(get, path = "/api/v1/domains/{id}", tag = "organisation", params(("id" = DomainId, Path)),
    responses((status = 200, body = Domain), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Answer<200, Domain>, Problem> {
    Ok(Answer(super::get(&scope, id.parse()?).await?))
}

/// Remove a domain.
#[utoipa::path(delete, path = "/api/v1/domains/{id}", tag = "organisation", params(("id" = DomainId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    Ok(Answer(()))
}

/// Look for the proof on the host, and give the host to your organisation where it stands there.
#[utoipa::path(post, path = "/api/v1/domains/{id}/check", tag = "organisation", params(("id" = DomainId, Path)),
    responses((status = 200, body = Domain), (status = 422, description = "The proof was not found", body = ProblemBody)))]
async fn check(Writer(scope): Writer<200>, Path(id): Path<String>) -> Result<Answer<200, Domain>, Problem> {
    Ok(Answer(super::check(&scope, id.parse()?).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, delete)).routes(routes!(check))
}
