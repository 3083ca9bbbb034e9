//! The caller's own organisation over the API.

use axum::body::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Writer};

use super::OrganisationChange;
use crate::tenant::Tenant;

/// Your own organisation: its name, locale, time zone, currency and looks.
#[utoipa::path(get, path = "/api/v1/organisation", tag = "organisation",
    responses((status = 200, body = Tenant), (status = 403, body = ProblemBody)))]
async fn get(Caller(scope): Caller) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(super::get(&scope).await?))
}

/// Change your own organisation; what is absent stays. A colour must be readable: the refusal names one that would do.
#[utoipa::path(patch, path = "/api/v1/organisation", tag = "organisation", request_body = OrganisationChange,
    responses((status = 200, body = Tenant), (status = 422, description = "A value that its field does not take", body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    Json(wanted): Json<OrganisationChange>,
) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(super::change(&scope, wanted).await?))
}

/// Give your organisation a logo: the body is the picture itself, PNG, JPEG or WebP, at most 2,048 pixels each way.
#[utoipa::path(put, path = "/api/v1/organisation/logo", tag = "organisation",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Tenant), (status = 422, description = "No picture that is taken", body = ProblemBody)))]
async fn set_logo(Writer(scope): Writer<200>, octets: Bytes) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(super::set_logo(&scope, octets.to_vec()).await?))
}

/// Take your organisation's logo away.
#[utoipa::path(delete, path = "/api/v1/organisation/logo", tag = "organisation",
    responses((status = 200, body = Tenant), (status = 404, body = ProblemBody)))]
async fn remove_logo(Writer(scope): Writer<200>) -> Result<Answer<200, Tenant>, Problem> {
    Ok(Answer(super::remove_logo(&scope).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get, change)).routes(routes!(set_logo, remove_logo))
}
