//! Mail gateways over the JSON API, and a mail to try the settings with.

use axum::extract::Path;
use axum::http::HeaderMap;
use types::{MailGatewayId, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Problem, Writer};

use super::outgoing::{self, TestMail, TestMailSent};
use super::{MailGateway, MailGatewayPatch, NewMailGateway};
use crate::api::{Gateway, Tagged, decided_on};

fn tagged<const STATUS: u16>(record: MailGateway) -> Tagged<STATUS, MailGateway> {
    Tagged { revision: record.revision, answer: record }
}

/// The tenant's mail gateways, the oldest first.
#[utoipa::path(get, path = "/api/v1/mail-gateways", tag = "mail",
    responses((status = 200, body = Page<MailGateway>), (status = 403, body = ProblemBody)))]
async fn list(Caller(scope): Caller) -> Result<Answer<200, Page<MailGateway>>, Problem> {
    Ok(Answer(super::list(&scope).await?))
}

/// Let an SMPP account send by mail: who may, and what becomes of the text.
#[utoipa::path(post, path = "/api/v1/mail-gateways", tag = "mail", request_body = NewMailGateway,
    responses((status = 201, body = MailGateway),
        (status = 409, description = "The account has one, or the subdomain is taken", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn create(
    Writer(scope): Writer<201>,
    Json(new): Json<NewMailGateway>,
) -> Result<Tagged<201, MailGateway>, Problem> {
    Ok(tagged(super::create(&scope, new).await?))
}

/// One mail gateway. `ETag` holds its revision.
#[utoipa::path(get, path = "/api/v1/mail-gateways/{id}", tag = "mail", params(("id" = MailGatewayId, Path)),
    responses((status = 200, body = MailGateway), (status = 404, body = ProblemBody)))]
async fn get(Caller(scope): Caller, Path(id): Path<String>) -> Result<Tagged<200, MailGateway>, Problem> {
    Ok(tagged(super::get(&scope, id.parse()?).await?))
}

/// Change a mail gateway; what is absent stays, and null brings a setting's default back. With `If-Match`, or `revision` in
/// the body, only when nobody changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/mail-gateways/{id}", tag = "mail",
    params(("id" = MailGatewayId, Path), ("If-Match" = Option<String>, Header)), request_body = MailGatewayPatch,
    responses((status = 200, body = MailGateway), (status = 404, body = ProblemBody),
        (status = 409, description = "It was changed meanwhile", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    Writer(scope): Writer<200>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut patch): Json<MailGatewayPatch>,
) -> Result<Tagged<200, MailGateway>, Problem> {
    patch.revision = decided_on(&headers, patch.revision)?;
    Ok(tagged(super::change(&scope, id.parse()?, patch).await?))
}

/// Delete a mail gateway. Its account may still sign in and send, by the usual settings.
#[utoipa::path(delete, path = "/api/v1/mail-gateways/{id}", tag = "mail", params(("id" = MailGatewayId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete(Writer(scope): Writer<204>, Path(id): Path<String>) -> Result<Answer<204, ()>, Problem> {
    super::delete(&scope, id.parse()?).await?;
    Ok(Answer(()))
}

/// Send a test mail through the configured server, at once, and hear what the server says.
#[utoipa::path(post, path = "/api/v1/mail/test", tag = "mail", request_body = TestMail,
    responses((status = 200, body = TestMailSent), (status = 422, body = ProblemBody),
        (status = 503, description = "No server is configured, or it did not take the mail", body = ProblemBody)))]
async fn test(
    Caller(scope): Caller,
    Json(test): Json<TestMail>,
) -> Result<Answer<200, TestMailSent>, Problem> {
    Ok(Answer(outgoing::test(&scope, &test).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(test))
}
