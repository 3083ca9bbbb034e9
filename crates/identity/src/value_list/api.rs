//! Value lists over the API.

use axum::extract::Path;
use axum::http::HeaderMap;
use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::reply::{Tagged, decided_on};
use web::{Answer, App, Caller, Json, Problem, Writer};

use super::{NewValueList, ValueList, ValueListPatch};

fn tagged<const STATUS: u16>(list: ValueList) -> Tagged<STATUS, ValueList> {
    Tagged { revision: list.revision, answer: list }
}

/// The tenant's value lists, by name.
#[utoipa::path(get, path = "/api/v1/value-lists", tag = "value lists",
    responses((status = 200, body = Page<ValueList>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<ValueList>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Create a value list.
#[utoipa::path(post, path = "/api/v1/value-lists", tag = "value lists", request_body = NewValueList,
    responses((status = 201, body = ValueList), (status = 409, description = "The name is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewValueList>,
) -> Result<Tagged<201, ValueList>, Problem> {
    Ok(tagged(super::create(&scope, new).await?))
}

/// One value list. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/value-lists/{id}", tag = "value lists",
    params(("id" = String, Path, description = "The list's name")),
    responses((status = 200, body = ValueList), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(name): Path<String>) -> Result<Tagged<200, ValueList>, Problem> {
    Ok(tagged(super::get(&scope, &name).await?))
}

/// Change a value list; what is absent stays. With `If-Match`, or `revision` in the body, only when nobody changed it
/// meanwhile.
#[utoipa::path(patch, path = "/api/v1/value-lists/{id}", tag = "value lists",
    params(("id" = String, Path, description = "The list's name"), ("If-Match" = Option<String>, Header)),
    request_body = ValueListPatch,
    responses((status = 200, body = ValueList), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile, or a value that came with the product is left out", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn update(
    Writer(scope): Writer<200>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<ValueListPatch>,
) -> Result<Tagged<200, ValueList>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    Ok(tagged(super::update(&scope, &name, patch).await?))
}

/// Delete a value list that the tenant has made.
#[utoipa::path(delete, path = "/api/v1/value-lists/{id}", tag = "value lists",
    params(("id" = String, Path, description = "The list's name")),
    responses((status = 204), (status = 404, body = ProblemBody),
        (status = 409, description = "It came with the product", body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(name): Path<String>) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, &name).await?;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, delete))
}
