//! Look-up services and the numbering plan over the JSON API.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use types::{LookupId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Paging, Problem, Query, Writer};

use super::asking::{Looked, Question};
use super::plan::{self, Import, Imported, Line};
use super::provider::{self, NewProvider, Provider, ProviderPatch};
use crate::api::{Gateway, Tagged, decided_on, follow};

fn tagged<const STATUS: u16>(provider: Provider) -> Tagged<STATUS, Provider> {
    Tagged { revision: provider.revision, answer: provider }
}

/// The tenant's look-up services, in the order in which they are asked.
#[utoipa::path(get, path = "/api/v1/lookup-providers", tag = "lookups",
    responses((status = 200, body = Page<Provider>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<Provider>>, Problem> {
    Ok(Answer(provider::list(&scope).await?))
}

/// Add a look-up service. Its secret headers are never shown again.
#[utoipa::path(post, path = "/api/v1/lookup-providers", tag = "lookups", request_body = NewProvider,
    responses((status = 201, body = Provider), (status = 409, description = "The name is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    State(gateway): State<Gateway>,
    Json(new): Json<NewProvider>,
) -> Result<Tagged<201, Provider>, Problem> {
    let provider = provider::create(&scope, new).await?;
    follow(gateway.engine.lookups().reload()).await;
    Ok(tagged(provider))
}

/// One look-up service. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/lookup-providers/{id}", tag = "lookups", params(("id" = LookupId, Path)),
    responses((status = 200, body = Provider), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, Provider>, Problem> {
    Ok(tagged(provider::get(&scope, id.parse()?).await?))
}

/// Change a look-up service; what is absent stays, and null brings a setting's default back.
#[utoipa::path(patch, path = "/api/v1/lookup-providers/{id}", tag = "lookups",
    params(("id" = LookupId, Path), ("If-Match" = Option<String>, Header)), request_body = ProviderPatch,
    responses((status = 200, body = Provider), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<ProviderPatch>,
) -> Result<Tagged<200, Provider>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    let provider = provider::change(&scope, id.parse()?, patch).await?;
    follow(gateway.engine.lookups().reload()).await;
    Ok(tagged(provider))
}

/// Delete a look-up service. What it has answered counts until its time.
#[utoipa::path(delete, path = "/api/v1/lookup-providers/{id}", tag = "lookups", params(("id" = LookupId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(
    Writer(scope): Writer<204>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<204, ()>, Problem> {
    provider::delete(&scope, id.parse()?).await?;
    follow(gateway.engine.lookups().reload()).await;
    Ok(Answer(()))
}

/// Which network a number is of, as far as it is known; with `ask`, the services are asked now, which may cost.
#[utoipa::path(post, path = "/api/v1/lookups", tag = "lookups", request_body = Question,
    responses((status = 200, body = Looked), (status = 422, body = ProblemBody)))]
async fn look(
    Caller(scope): Caller,
    State(gateway): State<Gateway>,
    Json(question): Json<Question>,
) -> Result<Answer<200, Looked>, Problem> {
    Ok(Answer(gateway.engine.lookups().look(&scope, &question).await?))
}

/// The numbering plan, in the order of its prefixes.
#[utoipa::path(get, path = "/api/v1/number-plan", tag = "lookups", params(Paging),
    responses((status = 200, body = Page<Line>), (status = 403, body = ProblemBody)))]
async fn plan(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Line>>, Problem> {
    Ok(Answer(plan::list(&scope, &paging).await?))
}

/// Import a numbering plan in the place of the one before. Nothing is changed where a line cannot be read.
#[utoipa::path(put, path = "/api/v1/number-plan", tag = "lookups", request_body = Import,
    responses((status = 200, body = Imported), (status = 422, body = ProblemBody)))]
async fn import(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Json(import): Json<Import>,
) -> Result<Answer<200, Imported>, Problem> {
    let imported = plan::import(&scope, &import).await?;
    follow(gateway.engine.lookups().reload()).await;
    Ok(Answer(imported))
}

/// Look-ups and the plan.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(look))
        .routes(routes!(plan, import))
}
