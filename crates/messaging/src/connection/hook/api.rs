//! Hooks over HTTP: the API that tells their addresses, and the doors themselves.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use connectors::http::HookRequest;
use types::ConnectionId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Problem, Writer};

use super::{HookAddresses, Posted};
use crate::api::{Gateway, follow};

/// The largest request that a hook reads.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The addresses to give to the provider of a connection over HTTP.
#[utoipa::path(get, path = "/api/v1/connections/{id}/hooks", tag = "connections", params(("id" = ConnectionId, Path)),
    responses((status = 200, body = HookAddresses),
        (status = 404, description = "No such connection, or not over HTTP", body = ProblemBody)))]
async fn addresses(
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Answer<200, HookAddresses>, Problem> {
    Ok(Answer(super::addresses(&scope, id.parse()?).await?))
}

/// New addresses for the provider; the former ones are closed at once.
#[utoipa::path(post, path = "/api/v1/connections/{id}/hooks/renew", tag = "connections",
    params(("id" = ConnectionId, Path)),
    responses((status = 200, body = HookAddresses), (status = 404, body = ProblemBody)))]
async fn renew(
    Writer(scope): Writer<200>,
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Answer<200, HookAddresses>, Problem> {
    let id: ConnectionId = id.parse()?;
    let addresses = super::renew(&scope, id).await?;
    follow(gateway.engine.connection_changed(id)).await;
    Ok(Answer(addresses))
}

/// The routes of the API.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(addresses)).routes(routes!(renew))
}

async fn receipts(gateway: State<Gateway>, token: Path<String>, request: Request) -> Response {
    posted(&gateway, &token, Posted::Receipts, request).await
}

async fn inbound(gateway: State<Gateway>, token: Path<String>, request: Request) -> Response {
    posted(&gateway, &token, Posted::Inbound, request).await
}

async fn posted(gateway: &Gateway, token: &str, posted: Posted, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").into_response();
    };
    let runtime = gateway.engine.runtime();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let asked = HookRequest {
        url: &format!("{}{path}", runtime.config.public_url()),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
        now_s: runtime.clock.now().unix_ms() / 1_000,
    };
    let taken = super::take(&gateway.engine, gateway.engine.numbers(), token, posted, &asked).await;
    match taken {
        Ok(reply) => {
            let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
            let content_type = [(header::CONTENT_TYPE, reply.content_type)];
            if status == StatusCode::NO_CONTENT {
                return status.into_response();
            }
            (status, content_type, Body::from(reply.body)).into_response()
        }
        Err(error) => Problem(error).into_response(),
    }
}

/// The doors that providers post to.
pub(crate) fn doors() -> Router<Gateway> {
    Router::new()
        .route("/hooks/connections/{token}/receipts", get(receipts).post(receipts))
        .route("/hooks/connections/{token}/inbound", get(inbound).post(inbound))
}
