//! The consent ledger over the API.

use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Query, Writer};

use super::{ConsentEntry, ConsentFilter, NewConsent};

/// Consents and withdrawals, newest first.
#[utoipa::path(get, path = "/api/v1/privacy/consents", tag = "privacy", params(ConsentFilter),
    responses((status = 200, body = Page<ConsentEntry>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<ConsentFilter>,
) -> Result<Answer<200, Page<ConsentEntry>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// Record a consent, or its withdrawal.
#[utoipa::path(post, path = "/api/v1/privacy/consents", tag = "privacy", request_body = NewConsent,
    responses((status = 201, body = ConsentEntry), (status = 422, body = ProblemBody)))]
async fn record(
    Writer(scope): Writer<201>,
    Json(new): Json<NewConsent>,
) -> Result<Answer<201, ConsentEntry>, Problem> {
    Ok(Answer(super::record(&scope, new).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, record))
}
