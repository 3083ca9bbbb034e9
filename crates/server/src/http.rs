//! All routes in one place: the capabilities' own, and those that are about the program itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use db::{Tenancy, args, record, sql};
use messaging::Gateway;
use serde_json::json;
use simulator::Smsc;
use types::{Code, Error};
use utoipa::PartialSchema;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{
    AuthorizationCode, ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes,
    SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, Content, Header, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr};
use web::access::ClientAddress;
use web::console::NavEntry;
use web::problem::ProblemBody;
use web::{App, Problem};

use crate::{docs, phones, system};

/// The console's navigation.
pub fn navigation(with_phones: bool) -> Arc<[NavEntry]> {
    let mut entries = [messaging::NAV, identity::NAV, privacy::NAV, system::pages::NAV].concat();
    if with_phones {
        entries.extend(phones::NAV);
    }
    entries.into()
}

/// The whole API's description.
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Switchboard")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Every conversation between an organisation and the people it serves."))
        .build();
    let mut whole = OpenApiBuilder::new().info(info).build();
    whole.merge(identity::api().into_openapi());
    whole.merge(privacy::api().into_openapi());
    whole.merge(messaging::api().into_openapi());
    whole.merge(system::api::router().into_openapi());
    whole.merge(web::stream::api().into_openapi());
    secured(&mut whole);
    complete(&mut whole);
    whole
}

/// How a program says who it is: by a key, or by an access token, which a server gets by its secret and an application by a
/// person's consent. A scope of OAuth 2.0 is a permission.
fn secured(whole: &mut OpenApi) {
    let all = types::Permission::ALL.iter().map(|permission| (permission.as_str(), permission.title()));
    let scopes = Scopes::from_iter(all);
    let token = "/oauth/token";
    let code = AuthorizationCode::new("/oauth/authorize", token, scopes.clone());
    let oauth = OAuth2::with_description(
        [Flow::ClientCredentials(ClientCredentials::new(token, scopes)), Flow::AuthorizationCode(code)],
        "Access tokens of registered applications.",
    );
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, `sb_live_…` or `sb_test_…`, or an access token."))
        .build();
    let components = whole.components.get_or_insert_with(Components::new);
    components.add_security_scheme("api_key", SecurityScheme::Http(key));
    components.add_security_scheme("oauth2", SecurityScheme::OAuth2(oauth));
    let none: [&str; 0] = [];
    whole.security =
        Some(vec![SecurityRequirement::new("api_key", none), SecurityRequirement::new("oauth2", none)]);
}

/// Says what all operations have in common: refusals are problem+json (RFC 9457), and any operation may refuse for reasons
/// that are not its own, such as a malformed body, a missing key or too many requests.
fn complete(whole: &mut OpenApi) {
    const PROBLEM: &str = "application/problem+json";
    let problem = || Content::new(Some(Ref::from_schema_name("ProblemBody")));
    let components = whole.components.get_or_insert_default();
    components.schemas.entry("ProblemBody".to_owned()).or_insert_with(ProblemBody::schema);
    let methods = whole.paths.paths.values_mut().flat_map(|item| {
        [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
            .into_iter()
            .flatten()
    });
    for operation in methods {
        for (status, response) in &mut operation.responses.responses {
            let RefOr::T(response) = response else { continue };
            if status.starts_with(['4', '5']) {
                response.content = [(PROBLEM.to_owned(), RefOr::T(problem()))].into_iter().collect();
            }
        }
        let other = ResponseBuilder::new()
            .description("Any other refusal; its code says which")
            .content(PROBLEM, problem())
            .build();
        operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(other));
        let too_fast = too_fast(problem());
        operation.responses.responses.entry("429".to_owned()).or_insert(RefOr::T(too_fast));
        for response in operation.responses.responses.values_mut() {
            let RefOr::T(response) = response else { continue };
            for (name, about) in QUOTAS {
                response.headers.entry(name.to_owned()).or_insert_with(|| RefOr::T(described(about)));
            }
        }
    }
}

/// How the quotas stand, where the configuration sets rates (IETF httpapi, RateLimit header fields).
const QUOTAS: [(&str, &str); 2] = [
    (
        "RateLimit-Policy",
        "The quotas that count for the request, by name: `q` requests in `w` seconds; where a rate is set",
    ),
    (
        "RateLimit",
        "What is left of each quota: `r` requests, and `t` seconds until there is more; where a rate is set",
    ),
];

fn described(about: &str) -> Header {
    let mut header = Header::default();
    header.description = Some(about.to_owned());
    header
}

/// The answer to who asks too fast.
fn too_fast(problem: Content) -> utoipa::openapi::Response {
    ResponseBuilder::new()
        .description("Too fast, or the queue is full")
        .content("application/problem+json", problem)
        .header("Retry-After", described("Seconds to wait"))
        .build()
}

/// Every route, with the limits and the hardening around.
pub fn routes(app: &App, gateway: &Gateway, simulator: Option<Smsc>) -> Router {
    let api = Router::new()
        .merge(Router::from(identity::api()).with_state(app.clone()))
        .merge(Router::from(privacy::api()).with_state(app.clone()))
        .merge(Router::from(web::stream::api()).with_state(app.clone()))
        .merge(Router::from(messaging::api()).with_state(gateway.clone()))
        .merge(Router::from(system::api::router()).with_state(gateway.clone()));
    let doors = messaging::doors(app.runtime.config.sendsms.enabled)
        .with_state(gateway.clone())
        .merge(identity::doors().with_state(app.clone()));
    let mut pages = Router::new()
        .merge(identity::pages().with_state(app.clone()))
        .merge(privacy::pages().with_state(app.clone()))
        .merge(web::stream::pages().with_state(app.clone()))
        .merge(messaging::pages().with_state(gateway.clone()))
        .merge(system::pages::router().with_state(gateway.clone()));
    if let Some(simulator) = simulator {
        pages = pages.merge(phones::pages::router(app.clone(), simulator));
    }
    let pages = web::shield::console(pages, app);
    let own = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(|| async { Json(openapi()) }))
        .merge(docs::pages::router())
        .with_state(app.clone());
    web::shield::around(
        api.merge(pages).merge(doors).merge(own).merge(web::assets::router()).merge(web::accent::router()),
        app,
    )
}

record! { struct One { n: i64 } }

/// Ready when the database answers and the program is not stopping. Whether the books balance is told and decides nothing:
/// a server that is taken out of service for it would only add to what is wrong.
async fn ready(State(app): State<App>) -> Response {
    let answers = async {
        let mut tx = app.runtime.db.read(Tenancy::Every).await?;
        tx.one::<One>(sql!("select cast(1 as bigint) as n"), args![]).await
    };
    let stopping = app.runtime.tasks.stopping().is_cancelled();
    let database = answers.await.is_ok();
    let status = if database && !stopping { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let balanced = messaging::accounting::watch::standing(&app.runtime).balanced;
    let ready = database && !stopping;
    (
        status,
        Json(json!({ "ready": ready, "database": database, "stopping": stopping, "balanced": balanced })),
    )
        .into_response()
}

/// What Prometheus reads, without a key and therefore by network; the labels name customers and carriers.
async fn metrics(
    State(app): State<App>,
    Extension(ClientAddress(from)): Extension<ClientAddress>,
) -> Response {
    if !app.runtime.config.http.metrics_networks.iter().any(|network| network.contains(from)) {
        let refused = Error::new(Code::Forbidden, format!("the metrics are not for {from}"));
        return Problem(
            refused.hint("add its network to metrics_networks in the section http of the configuration"),
        )
        .into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.runtime.telemetry.render()).into_response()
}
