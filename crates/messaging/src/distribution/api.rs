//! Distribution lists over the JSON API.

use axum::extract::Path;
use axum::http::HeaderMap;
use types::{DistributionListId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Paging, Problem, Query, Writer};

use super::{DistributionList, DistributionListPatch, NewDistributionList};
use crate::api::{Gateway, Tagged, decided_on};

fn tagged<const STATUS: u16>(list: DistributionList) -> Tagged<STATUS, DistributionList> {
    Tagged { revision: list.revision, answer: list }
}

/// The tenant's distribution lists, newest first.
#[utoipa::path(get, path = "/api/v1/distribution-lists", tag = "accounts", params(Paging),
    responses((status = 200, body = Page<DistributionList>), (status = 403, body = ProblemBody)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<DistributionList>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// Create a distribution list, which SMPP accounts send to with submit_multi.
#[utoipa::path(post, path = "/api/v1/distribution-lists", tag = "accounts", request_body = NewDistributionList,
    responses((status = 201, body = DistributionList),
        (status = 409, description = "The name is taken", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewDistributionList>,
) -> Result<Tagged<201, DistributionList>, Problem> {
    Ok(tagged(super::create(&scope, new).await?))
}

/// One distribution list. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/distribution-lists/{id}", tag = "accounts",
    params(("id" = DistributionListId, Path)),
    responses((status = 200, body = DistributionList), (status = 404, body = ProblemBody)))]
async fn get(
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Tagged<200, DistributionList>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Change a distribution list; what is absent stays, and null brings a default back. With `If-Match`, or `revision` in the
/// body, only when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/distribution-lists/{id}", tag = "accounts",
    params(("id" = DistributionListId, Path), ("If-Match" = Option<String>, Header)),
    request_body = DistributionListPatch,
    responses((status = 200, body = DistributionList), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<DistributionListPatch>,
) -> Result<Tagged<200, DistributionList>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    Ok(tagged(super::change(&scope, id.parse()?, patch).await?))
}

/// Delete a distribution list. Messages that were sent to it stay.
#[utoipa::path(delete, path = "/api/v1/distribution-lists/{id}", tag = "accounts",
    params(("id" = DistributionListId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete))
}
