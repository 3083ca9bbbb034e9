//! Routes over the JSON API.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use types::{Page, RouteId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::trial::{self, Trial, Tried};
use super::{NewRoute, Route, RoutePatch};
use crate::api::{Gateway, Tagged, decided_on, follow};

fn tagged<const STATUS: u16>(route: Route) -> Tagged<STATUS, Route> {
    Tagged { revision: route.revision, answer: route }
}

/// The tenant's routes, in the order in which they are asked.
#[utoipa::path(get, path = "/api/v1/routes", tag = "routes",
    responses((status = 200, body = Page<Route>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Route>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Create a route.
#[utoipa::path(post, path = "/api/v1/routes", tag = "routes", request_body = NewRoute,
    responses((status = 201, body = Route), (status = 409, description = "The name is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewRoute>,
) -> Result<Tagged<201, Route>, Problem> {
    let route = super::create(&scope, new).await?;
    follow(gateway.engine.routes_changed()).await;
    Ok(tagged(route))
}

/// One route. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/routes/{id}", tag = "routes", params(("id" = RouteId, Path)),
    responses((status = 200, body = Route), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, Route>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Change a route; what is absent stays, and null takes a condition away. With `If-Match`, or `revision` in the body, only
/// when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/routes/{id}", tag = "routes",
    params(("id" = RouteId, Path), ("If-Match" = Option<String>, Header)), request_body = RoutePatch,
    responses((status = 200, body = Route), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<RoutePatch>,
) -> Result<Tagged<200, Route>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let route = super::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.routes_changed()).await;
    Ok(tagged(route))
}

/// Delete a route. Messages that it has routed keep their way.
#[utoipa::path(delete, path = "/api/v1/routes/{id}", tag = "routes", params(("id" = RouteId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    follow(gateway.engine.routes_changed()).await;
    Ok(Answer(()))
}

/// Where a message would go now, and why. Nothing is sent.
#[utoipa::path(post, path = "/api/v1/routes/try", tag = "routes", request_body = Trial,
    responses((status = 200, body = Tried), (status = 422, body = ProblemBody)))]
async fn try_out(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Json(trial): Json<Trial>,
) -> Result<Answer<200, Tried>, Problem> {
    Ok(Answer(trial::try_out(&scope, &trial, gateway.engine.queue()).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(try_out))
}
