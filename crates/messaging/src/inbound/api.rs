//! Numbers and keywords over the JSON API.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use types::{InboundNumberId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::{InboundNumber, InboundNumberPatch, NewInboundNumber};
use crate::api::{Gateway, Tagged, decided_on, follow};

fn tagged<const STATUS: u16>(record: InboundNumber) -> Tagged<STATUS, InboundNumber> {
    Tagged { revision: record.revision, answer: record }
}

/// The tenant's numbers and short codes with their keywords, the oldest first.
#[utoipa::path(get, path = "/api/v1/inbound-numbers", tag = "inbound",
    responses((status = 200, body = Page<InboundNumber>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<InboundNumber>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Register a number or short code that phones write to.
#[utoipa::path(post, path = "/api/v1/inbound-numbers", tag = "inbound", request_body = NewInboundNumber,
    responses((status = 201, body = InboundNumber), (status = 409, description = "The number is registered already", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewInboundNumber>,
) -> Result<Tagged<201, InboundNumber>, Problem> {
    let made = super::create(&scope, new).await?;
    follow(gateway.engine.inbound_changed()).await;
    Ok(tagged(made))
}

/// One number. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/inbound-numbers/{id}", tag = "inbound", params(("id" = InboundNumberId, Path)),
    responses((status = 200, body = InboundNumber), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, InboundNumber>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Change a number and its keywords. What is absent stays, and null brings the default back. With `If-Match`, or
/// `revision` in the body, only when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/inbound-numbers/{id}", tag = "inbound",
    params(("id" = InboundNumberId, Path), ("If-Match" = Option<String>, Header)), request_body = InboundNumberPatch,
    responses((status = 200, body = InboundNumber), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<InboundNumberPatch>,
) -> Result<Tagged<200, InboundNumber>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let changed = super::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.inbound_changed()).await;
    Ok(tagged(changed))
}

/// Delete a number. Its messages stay; later ones go to the SMPP account that owns the number.
#[utoipa::path(delete, path = "/api/v1/inbound-numbers/{id}", tag = "inbound", params(("id" = InboundNumberId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    follow(gateway.engine.inbound_changed()).await;
    Ok(Answer(()))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete))
}
