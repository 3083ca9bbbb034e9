//! Conversations over the JSON API.

use axum::extract::{Path, State};
use serde::Deserialize;
use types::Page;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, Caller, Json, Paging, Problem, Query, Writer};

use super::Conversation;
use crate::api::Gateway;
use crate::message::query::Message;
use crate::message::submit::Accepted;

/// Phones that have written, the one that wrote last first.
#[utoipa::path(get, path = "/api/v1/conversations", tag = "inbound", params(Paging),
    responses((status = 200, body = Page<Conversation>)))]
async fn list(
    Caller(scope): Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Conversation>>, Problem> {
    Ok(Answer(super::list(&scope, &paging).await?))
}

/// What a phone has written and was sent, newest first.
#[utoipa::path(get, path = "/api/v1/conversations/{phone}", tag = "inbound",
    params(("phone" = String, Path, description = "Its number, such as +33612345678"), Paging),
    responses((status = 200, body = Page<Message>), (status = 404, body = ProblemBody)))]
async fn thread(
    Caller(scope): Caller,
    Path(phone): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Answer<200, Page<Message>>, Problem> {
    Ok(Answer(super::thread(&scope, &phone, &paging).await?))
}

/// Note that somebody has read a conversation up to now.
#[utoipa::path(post, path = "/api/v1/conversations/{phone}/read", tag = "inbound",
    params(("phone" = String, Path)), responses((status = 204), (status = 404, body = ProblemBody)))]
async fn read(Writer(scope): Writer<204>, Path(phone): Path<String>) -> Result<Answer<204, ()>, Problem> {
    super::read(&scope, &phone).await?;
    Ok(Answer(()))
}

/// An answer to a phone.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Reply {
    /// What to say.
    text: String,
}

/// Answer a phone, from the number that it wrote to last.
#[utoipa::path(post, path = "/api/v1/conversations/{phone}/reply", tag = "inbound",
    params(("phone" = String, Path)), request_body = Reply,
    responses((status = 202, body = Accepted), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn reply(
    Writer(scope): Writer<202>,
    State(gateway): State<Gateway>,
    Path(phone): Path<String>,
    Json(reply): Json<Reply>,
) -> Result<Answer<202, Accepted>, Problem> {
    Ok(Answer(super::reply(&scope, &gateway.engine, &phone, &reply.text).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(thread))
        .routes(routes!(read))
        .routes(routes!(reply))
}
