//! The page that asks a person whether an application may act for them, and the list of those that may.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Code, Error, Permissions};
use url::Url;
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::layout::{self, Page};
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::{card, feedback, form};
use web::{App, Form, PageProblem, Query, Visitor, console};

use super::Allowed;
use crate::client;
use crate::oauth::{self, Known, Refusal};

/// What an application asks for (RFC 6749 §4.1.1, RFC 7636 §4.3). The page sends it along with the answer, and all of it is
/// checked again then.
#[derive(Debug, Clone, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    response_type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    redirect_uri: String,
    scope: Option<String>,
    state: Option<String>,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    /// The person's answer: `allow` or nothing.
    answer: Option<String>,
}

/// A request that may be put before a person.
struct Fit {
    client: Known,
    scopes: Permissions,
}

/// Why it may not: where nobody may be led to, or what the application is told.
enum Unfit {
    Here(Error),
    There(&'static str, String),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

impl Asked {
    /// Until application and address are certain, nobody is led anywhere (RFC 6749 §4.1.2.1).
    async fn fit(&self, visitor: &Visitor) -> Result<Fit, Unfit> {
        let client = oauth::asked_for(visitor.scope.runtime(), &self.client_id).await?;
        // Another tenant's application is none here.
        let client = client.filter(|client| client.tenant == visitor.scope.tenant());
        let client = client.ok_or_else(|| Error::not_found("application"))?;
        if !client::leads_back(&client.redirect_uris, &self.redirect_uri) {
            let why = "the application asks to lead you to an address that is not registered for it";
            let error = Error::new(Code::BadRequest, why).hint("Tell whoever runs the application.");
            return Err(error.into());
        }
        if self.response_type != "code" {
            return Err(Unfit::There("unsupported_response_type", "only code is given".to_owned()));
        }
        // RFC 7636 §4.2: SHA-256 in base64url has 43 characters.
        if self.code_challenge_method != "S256" || self.code_challenge.len() != 43 {
            let why = "a code_challenge by S256 is needed".to_owned();
            return Err(Unfit::There("invalid_request", why));
        }
        let offer = client.scopes.and(visitor.scope.permissions());
        match oauth::within(offer, self.scope.as_deref()) {
            Ok(scopes) => Ok(Fit { client, scopes }),
            Err(Refusal::Protocol(error, why)) => Err(Unfit::There(error, why)),
            Err(Refusal::Ours(error)) => Err(error.into()),
        }
    }

    /// Back to the application, with these parameters and those that every answer has (RFC 9207 §2).
    fn back(&self, visitor: &Visitor, pairs: &[(&str, &str)]) -> Result<Response, PageProblem> {
        let mut url = Url::parse(&self.redirect_uri).map_err(Error::internal)?;
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(pairs);
            if let Some(state) = &self.state {
                query.append_pair("state", state);
            }
            query.append_pair("iss", &visitor.scope.runtime().config.public_url());
        }
        let mut response = Redirect::to(url.as_str()).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    fn told(&self, visitor: &Visitor, unfit: Unfit) -> Result<Response, PageProblem> {
        match unfit {
            Unfit::Here(error) => Err(error.into()),
            Unfit::There(error, why) => self.back(visitor, &[("error", error), ("error_description", &why)]),
        }
    }

    /// Where forms of this page may lead (CSP Level 3, form-action): browsers ask that of the redirect too.
    fn policy(&self) -> String {
        let target = Url::parse(&self.redirect_uri).ok().map(|url| match url.origin() {
            origin if origin.is_tuple() => origin.ascii_serialization(),
            _ => format!("{}:", url.scheme()),
        });
        let target = target.unwrap_or_default();
        format!(
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self' {target}; frame-ancestors 'none'"
        )
    }
}

fn question(visitor: &Visitor, asked: &Asked, Fit { client, scopes }: &Fit) -> Response {
    let hidden = [
        ("response_type", Some(asked.response_type.as_str())),
        ("client_id", Some(asked.client_id.as_str())),
        ("redirect_uri", Some(asked.redirect_uri.as_str())),
        ("scope", asked.scope.as_deref()),
        ("state", asked.state.as_deref()),
        ("code_challenge", Some(asked.code_challenge.as_str())),
        ("code_challenge_method", Some(asked.code_challenge_method.as_str())),
    ];
    let fields = html! {
        @for (name, value) in hidden {
            @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
        }
        (form::actions(&html! {
            (form::submit("Allow").sends("answer", "allow"))
            (form::submit("Do not allow").sends("answer", "deny").weight(form::Weight::Quiet))
        }))
    };
    let body = html! {
        p { strong { (client.name) } " wants to act for you, " (visitor.person.email) ", in " (visitor.person.tenant) ". It could:" }
        ul { @for permission in scopes.iter() { li { (permission.title()) } } }
        p { "It can never do more than you may yourself, and you can end this at any time under Your account." }
        p { "You are led to " code dir="ltr" { (asked.redirect_uri) } "." }
        (form::post("/oauth/authorize", "", &fields))
    };
    let page =
        layout::bare(&Page { theme: visitor.taste.theme, ..Page::new("Let this application in?", body) });
    let mut response = ([(header::CACHE_CONTROL, "no-store")], Html(page.into_string())).into_response();
    if let Ok(policy) = HeaderValue::from_str(&asked.policy()) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

async fn ask(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, PageProblem> {
    match asked.fit(&visitor).await {
        Ok(fit) => Ok(question(&visitor, &asked, &fit)),
        Err(unfit) => asked.told(&visitor, unfit),
    }
}

async fn answer(visitor: Visitor, Form(asked): Form<Asked>) -> Result<Response, PageProblem> {
    let Fit { client, scopes } = match asked.fit(&visitor).await {
        Ok(fit) => fit,
        Err(unfit) => return asked.told(&visitor, unfit),
    };
    if asked.answer.as_deref() != Some("allow") {
        return asked.back(&visitor, &[("error", "access_denied")]);
    }
    let consent = Allowed {
        client: client.id,
        name: &client.name,
        scopes,
        redirect_uri: &asked.redirect_uri,
        challenge: &asked.code_challenge,
    };
    let code = super::allow(&visitor.scope, &consent).await?;
    asked.back(&visitor, &[("code", &code)])
}

async fn list(visitor: Visitor, State(_): State<App>) -> Result<Response, PageProblem> {
    let grants = super::list_own(&visitor.scope).await?;
    let when = |at: types::Timestamp| relative_time(&at.to_string(), &at.to_minute());
    let rows = grants.iter().map(|grant| {
        let end = form::post(
            &format!("/account/applications/{}/end", grant.id),
            "",
            &html! { (form::submit("End").weight(form::Weight::Quiet).small()) },
        );
        row(vec![
            html! { (grant.client) },
            html! { @for scope in &grant.scopes { code { (scope) } " " } },
            when(grant.created_at),
            html! {
                @if let Some(at) = grant.last_used_at { (when(at)) } @else { "never" }
                @if let Some(from) = &grant.from_address { " from " code dir="ltr" { (from) } }
            },
            when(grant.expires_at),
            end,
        ])
    });
    let columns = vec![
        column("Application"),
        column("Permissions").detail(),
        column("Since"),
        column("Last used"),
        column("Ends"),
        column("End it"),
    ];
    let empty: Markup = feedback::empty(
        Icon::Plug,
        "No application acts for you",
        "When you let one in, it is listed here and you can end it.",
        &html! {},
    );
    let body = html! {
        (card::panel(&html! { p { "These applications act for you, within what you may do yourself." } }))
        (table("Applications", columns, rows.collect()).empty(empty))
    };
    Ok(visitor.page(Content::new("Your applications", body)))
}

async fn end(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::end_own(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/account/applications", "The application does not act for you any more."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/oauth/authorize", get(ask).post(answer))
        .route("/account/applications", get(list))
        .route("/account/applications/{id}/end", post(end))
}
