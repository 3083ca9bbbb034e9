//! Keys of sealed secrets over the API.

use runtime::secrets::Lying;
use serde::Deserialize;
use types::Error;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::problem::ProblemBody;
use web::{Answer, App, Caller, Problem, Query, Writer};

use super::root::{self, RootKeys};
use super::signing::{self, SigningKeys};
use super::{Encryption, Turned};

/// How the tenant's secrets are sealed, and how far a new data key has come.
#[utoipa::path(get, path = "/api/v1/encryption", tag = "encryption",
    responses((status = 200, body = Encryption), (status = 403, body = ProblemBody)))]
async fn show(Caller(scope): Caller) -> Result<Answer<200, Encryption>, Problem> {
    Ok(Answer(super::show(&scope).await?))
}

/// Give the tenant a new data key. It seals from now on; what the former ones have sealed is sealed anew beside the traffic.
#[utoipa::path(post, path = "/api/v1/encryption/turn", tag = "encryption",
    responses((status = 200, body = Turned), (status = 409, description = "Too many former keys are still needed", body = ProblemBody)))]
async fn turn(Writer(scope): Writer<200>) -> Result<Answer<200, Turned>, Problem> {
    Ok(Answer(super::turn(&scope).await?))
}

/// The root keys, which wrap the data keys of all tenants, by their ids.
#[utoipa::path(get, path = "/api/v1/root-keys", tag = "encryption",
    responses((status = 200, body = RootKeys), (status = 403, body = ProblemBody)))]
async fn show_root(Caller(scope): Caller) -> Result<Answer<200, RootKeys>, Problem> {
    Ok(Answer(root::show(&scope).await?))
}

/// How root keys are to lie on the disk.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Turning {
    /// `kms`: closed by the key management service, which is usual where one is configured; `file`: in the clear.
    to: Option<String>,
}

impl Turning {
    fn lying(&self) -> types::Result<Option<Lying>> {
        match self.to.as_deref() {
            None => Ok(None),
            Some("kms") => Ok(Some(Lying::Closed)),
            Some("file") => Ok(Some(Lying::Clear)),
            Some(other) => Err(Error::invalid("to", format!("{other:?} is neither kms nor file"))),
        }
    }
}

/// Make a new root key and wrap every data key anew. The former one stays in the key file, for backups.
#[utoipa::path(post, path = "/api/v1/root-keys/turn", tag = "encryption", params(Turning),
    responses((status = 200, body = RootKeys), (status = 409, description = "The configuration hands the root key over", body = ProblemBody)))]
async fn turn_root(
    Writer(scope): Writer<200>,
    Query(turning): Query<Turning>,
) -> Result<Answer<200, RootKeys>, Problem> {
    Ok(Answer(root::turn(&scope, turning.lying()?).await?))
}

/// Drop the former root keys. Backups made under them can no longer be read.
#[utoipa::path(post, path = "/api/v1/root-keys/forget", tag = "encryption",
    responses((status = 200, body = RootKeys), (status = 409, description = "A data key still needs one of them", body = ProblemBody)))]
async fn forget_roots(Writer(scope): Writer<200>) -> Result<Answer<200, RootKeys>, Problem> {
    Ok(Answer(root::forget(&scope).await?))
}

/// The keys that sign access tokens, by their ids.
#[utoipa::path(get, path = "/api/v1/signing-keys", tag = "encryption",
    responses((status = 200, body = SigningKeys), (status = 403, body = ProblemBody)))]
async fn show_signing(Caller(scope): Caller) -> Result<Answer<200, SigningKeys>, Problem> {
    Ok(Answer(signing::show(&scope).await?))
}

/// Make the next key that signs access tokens before its time. It is published now and signs a day later; tokens stay good.
#[utoipa::path(post, path = "/api/v1/signing-keys/turn", tag = "encryption",
    responses((status = 200, body = SigningKeys), (status = 409, description = "The next key is published already", body = ProblemBody)))]
async fn turn_signing(Writer(scope): Writer<200>) -> Result<Answer<200, SigningKeys>, Problem> {
    Ok(Answer(signing::turn(&scope).await?))
}

/// Drop all keys that sign access tokens and make one that signs at once: every access token is refused from now on.
#[utoipa::path(post, path = "/api/v1/signing-keys/revoke", tag = "encryption",
    responses((status = 200, body = SigningKeys), (status = 403, body = ProblemBody)))]
async fn revoke_signing(Writer(scope): Writer<200>) -> Result<Answer<200, SigningKeys>, Problem> {
    Ok(Answer(signing::revoke(&scope).await?))
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(turn))
        .routes(routes!(show_root))
        .routes(routes!(turn_root))
        .routes(routes!(forget_roots))
        .routes(routes!(show_signing))
        .routes(routes!(turn_signing))
        .routes(routes!(revoke_signing))
}
