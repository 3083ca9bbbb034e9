//! Signing in and out in the browser.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use runtime::Runtime;
use serde::Deserialize;
use web::access::{SESSION_COOKIE, Stranger, cookie};
use web::ui::layout::{self, Page, THEME_COOKIE, Theme};
use web::ui::tone::Tone;
use web::ui::words::ENGLISH;
use web::ui::{feedback, field, form};
use web::{App, Form, PageProblem, Query, Refused, Visitor, console};

use super::{Browser, SignedIn};

#[derive(Debug, Default, Deserialize)]
struct SignIn {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    back: String,
}

#[derive(Debug, Deserialize)]
struct LinkToken {
    #[serde(default)]
    token: String,
}

/// Where to go after signing in: only ever to a path of our own. Browsers read `//host` and `/\host` as another host.
pub(crate) fn inside(back: &str) -> &str {
    let own = back.starts_with('/') && !back.starts_with("//") && !back.contains(['\\', '\r', '\n', '\t']);
    if own && !back.starts_with("/sign-in") { back } else { "/" }
}

/// A page without navigation, in the browser's theme, that no cache keeps.
pub(crate) fn bare(status: StatusCode, title: &str, headers: &HeaderMap, body: Markup) -> Response {
    let theme = Theme::from_cookie(cookie(headers, THEME_COOKIE).as_deref());
    let page = layout::bare(&Page { theme, ..Page::new(title, body) });
    (status, [(header::CACHE_CONTROL, "no-store")], Html(page.into_string())).into_response()
}

fn sign_in_form(headers: &HeaderMap, given: &SignIn, refused: &Refused) -> Response {
    let fields = html! {
        input type="hidden" name="back" value=(inside(&given.back));
        (field::email("email", "E-mail address").autocomplete("username").value(&given.email).error(refused.at("email")).required().autofocus())
        (field::secret("password", "Password").autocomplete("current-password").required())
        (form::actions(&html! { (form::submit("Sign in")) }))
    };
    let other = web::body::with_query("/sign-in/with", &[("back", inside(&given.back))]);
    let body = html! {
        (refused.summary(&ENGLISH, &["email"]))
        (form::post("/sign-in", "", &fields))
        div class="actions" { (form::link("Sign in with your organisation", &other)) }
        (feedback::help("No password yet, or forgotten?", &html! {
            p { "An administrator can make you a sign-in link on the Users page. On the server itself, this makes one: " }
            p { code dir="ltr" { "switchboard user link" } }
        }))
    };
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    bare(status, "Sign in", headers, body)
}

async fn show(headers: HeaderMap, Query(given): Query<SignIn>) -> Response {
    sign_in_form(&headers, &SignIn { password: String::new(), ..given }, &Refused::NONE)
}

async fn sign_in(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<SignIn>,
) -> Result<Response, PageProblem> {
    let browser = Browser { origin, user_agent: user_agent(&headers) };
    match super::sign_in(&app.runtime, &given.email, &given.password, browser).await {
        Ok(signed) => Ok(enter(&app.runtime, &signed, Redirect::to(inside(&given.back)).into_response())),
        Err(error) => {
            let retry_after = error.retry_after();
            let refused = Refused::by(error)?;
            let mut response = sign_in_form(&headers, &given, &refused);
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(response)
        }
    }
}

/// The link's landing changes nothing: mail programs and chats open links to preview them, and must not use it up.
async fn show_link(headers: HeaderMap, Query(given): Query<LinkToken>) -> Response {
    let fields = html! {
        input type="hidden" name="token" value=(given.token);
        (form::actions(&html! { (form::submit("Sign in")) }))
    };
    let body = html! {
        p { "This link signs you in once." }
        (form::post("/sign-in/link", "", &fields))
    };
    bare(StatusCode::OK, "Sign in", &headers, body)
}

async fn use_link(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<LinkToken>,
) -> Result<Response, PageProblem> {
    let browser = Browser { origin, user_agent: user_agent(&headers) };
    match super::sign_in_by_link(&app.runtime, &given.token, browser).await {
        Ok(signed) => {
            let sentence = if signed.has_password {
                "You are signed in."
            } else {
                "You are signed in. Set a password under Your account to sign in without a link."
            };
            Ok(enter(&app.runtime, &signed, console::done("/", sentence)))
        }
        Err(error) if error.code() == types::Code::LinkUsed => {
            let body = html! {
                (feedback::notice(Tone::Warn, error.message(), &html! { (error.advice()) }))
                div class="actions" { (form::link("Sign in with a password", "/sign-in")) }
            };
            Ok(bare(StatusCode::UNAUTHORIZED, "This link is of no use", &headers, body))
        }
        Err(error) => Err(error.into()),
    }
}

async fn sign_out(visitor: Visitor, headers: HeaderMap) -> Result<Response, PageProblem> {
    let token = cookie(&headers, SESSION_COOKIE).unwrap_or_default();
    super::sign_out(&visitor.scope, &token).await?;
    let elsewhere = crate::federation::pages::signed_out(visitor.scope.runtime(), &headers).await;
    let mut response = elsewhere.unwrap_or_else(|| Redirect::to("/sign-in").into_response());
    set_cookie(visitor.scope.runtime(), &mut response, "", 0);
    Ok(response)
}

pub(crate) fn user_agent(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned())
}

pub(crate) fn enter(runtime: &Runtime, signed: &SignedIn, mut response: Response) -> Response {
    let seconds = signed.expires_at.since_ms(runtime.clock.now()) / 1_000;
    set_cookie(runtime, &mut response, signed.token.expose(), seconds);
    response
}

/// Lax, so that a link from an e-mail finds its reader signed in; over https never sent without it.
fn set_cookie(runtime: &Runtime, response: &mut Response, token: &str, seconds: i64) {
    let secure = if runtime.config.is_https() { "; Secure" } else { "" };
    let text = format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-in/link", get(show_link).post(use_link))
        .route("/sign-out", post(sign_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        assert_eq!(inside("/messages?state=sent"), "/messages?state=sent");
        for outside in
            ["", "https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "/sign-in"]
        {
            assert_eq!(inside(outside), "/", "{outside}");
        }
    }
}
