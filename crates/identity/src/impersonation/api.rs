//! Acting as another user, over the API: a person's browser begins it, nobody's key.

use axum::extract::Path;
use axum::http::StatusCode;
use types::Page;
use types::UserId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Json, Problem, Query, Writer};

use super::{Impersonation, ImpersonationFilter, NewImpersonation};

/// Who acted as whom, newest first.
#[utoipa::path(get, path = "/api/v1/impersonations", tag = "users", params(ImpersonationFilter),
    responses((status = 200, body = Page<Impersonation>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(filter): Query<ImpersonationFilter>,
) -> Result<Answer<200, Page<Impersonation>>, Problem> {
    Ok(Answer(super::list(&scope, &filter).await?))
}

/// Act as another user for a time, in the session of the browser that asks. Keys and applications are refused, and so are
/// users who may do more than the caller or may act as others themselves.
#[utoipa::path(post, path = "/api/v1/users/{id}/impersonation", tag = "users", params(("id" = UserId, Path)),
    request_body = NewImpersonation,
    responses((status = 201, body = Impersonation), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, description = "Oneself, a disabled user, or the session acts as somebody already", body = ProblemBody)))]
async fn start(
    Writer(scope): Writer<201>,
    Path(id): Path<String>,
    Json(wanted): Json<NewImpersonation>,
) -> Result<Answer<201, Impersonation>, Problem> {
    Ok(Answer(super::start(&scope, id.parse()?, wanted).await?))
}

/// End what others do as this user: the next request of theirs is their own again. Users may end it for themselves.
#[utoipa::path(delete, path = "/api/v1/users/{id}/impersonation", tag = "users", params(("id" = UserId, Path)),
    responses((status = 204, description = "Nobody acts as them any more"), (status = 404, body = ProblemBody)))]
async fn end(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    super::end(&scope, id.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(start, end))
}
