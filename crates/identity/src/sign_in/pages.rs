//! Signing in and out in the browser: the first step. Nothing here needs script but passkeys.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use runtime::Runtime;
use serde::Deserialize;
use types::{Code, Error};
use web::access::{SESSION_COOKIE, Stranger, cookie, host};
use web::body::with_query;
use web::ui::icon::Icon;
use web::ui::layout::{self, Dir, Page, THEME_COOKIE, Theme};
use web::ui::tone::Tone;
use web::ui::{feedback, field, form};
use web::{App, Form, Json, PageProblem, Problem, Query, Refused, Visitor, assets, console};

use super::texts::Texts;
use super::{Browser, Entered};
use crate::domain;
use crate::factor::passkey::{self, Challenge};
use crate::session::{self, SignedIn};
use crate::{federation, mail};

mod mailed;
mod second;

pub(crate) use second::{backup_codes, enrolment};

/// The cookie of a sign-in that waits for its second step.
const PENDING_COOKIE: &str = "switchboard_pending";
/// The cookie by which a browser is known as one that people have signed in with: a token for each of them.
const DEVICE_COOKIE: &str = "switchboard_browser";
/// How long a browser keeps that cookie.
const DEVICE_COOKIE_S: u32 = crate::device::KNOWN_DAYS * 86_400;
/// People that one browser is known for.
const DEVICE_TOKENS_MAX: usize = 5;

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

/// The texts for whoever asks, before they are known.
pub(crate) fn texts(headers: &HeaderMap) -> &'static Texts {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Texts::accepted(accepted.unwrap_or_default())
}

/// A page without navigation, in the browser's theme and with the looks of whose host was asked, that no cache keeps.
pub(crate) fn bare(
    runtime: &Runtime,
    status: StatusCode,
    texts: &Texts,
    title: &str,
    headers: &HeaderMap,
    body: Markup,
) -> Response {
    let house = domain::house(runtime, host(headers).as_deref());
    let house = house.as_deref();
    let theme = Theme::from_cookie(cookie(headers, THEME_COOKIE).as_deref());
    let support = house.and_then(|house| house.brand.support.as_deref());
    let page = Page {
        theme,
        lang: texts.lang,
        dir: Dir::of_lang(texts.lang),
        tenant: house.map(|house| house.name.as_str()),
        brand: house.map(|house| &house.brand),
        footer: html! { @if let Some(support) = support { a href={ "mailto:" (support) } { (support) } } },
        ..Page::new(title, body)
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Html(layout::bare(&page).into_string())).into_response()
}

pub(crate) fn status(refused: &Refused) -> StatusCode {
    StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
}

/// A button that asks the browser for a passkey; script shows it where the browser knows passkeys.
pub(crate) fn passkey_button(label: &str, failed: &str, at: &str, back: &str, autofill: bool) -> Markup {
    html! {
        div class="passkey" data-passkey=(at) data-back=(back) data-failed=(failed) data-autofill[autofill] hidden {
            button type="button" class="button wide" { (web::ui::icon::icon(Icon::Key)) span { (label) } }
            p class="passkey-failed" role="alert" {}
        }
        script src=(assets::url("passkey.js")) defer {}
    }
}

fn sign_in_form(app: &App, headers: &HeaderMap, given: &SignIn, refused: &Refused) -> Response {
    let texts = texts(headers);
    let house = domain::house(&app.runtime, host(headers).as_deref());
    let back = inside(&given.back);
    let fields = html! {
        input type="hidden" name="back" value=(back);
        (field::email("email", texts.email).autocomplete("username webauthn").value(&given.email).error(refused.at("email")).words(texts.words()).required().autofocus())
        (field::secret("password", texts.password).autocomplete("current-password").words(texts.words()).required())
        (form::actions(&html! { (form::submit(texts.sign_in)) }))
    };
    let body = html! {
        (refused.summary(texts.words(), &["email"]))
        (form::post("/sign-in", "", &fields))
        @if passkey::are_possible(&app.runtime) && house.is_none() {
            (passkey_button(texts.passkey, texts.passkey_failed, "/sign-in/passkey", back, true))
        }
        ul class="ways" {
            @if house.as_ref().is_some_and(|house| house.registers) { li { a href="/register" { (texts.register) } } }
            li { a href=(with_query("/sign-in/with", &[("back", back)])) { (texts.with_service) } }
            @if mail::is_on(&app.runtime) {
                li { a href="/sign-in/mail?wanted=link" { (texts.mail_link) } }
                li { a href="/sign-in/mail?wanted=reset" { (texts.forgot) } }
            }
        }
        @if !mail::is_on(&app.runtime) {
            (feedback::help(texts.no_way, &html! {
                p { (texts.ask_administrator) " " (texts.on_the_server) " " }
                p { code dir="ltr" { "switchboard user link" } }
            }))
        }
    };
    bare(&app.runtime, status(refused), texts, texts.sign_in, headers, body)
}

async fn show(State(app): State<App>, headers: HeaderMap, Query(given): Query<SignIn>) -> Response {
    sign_in_form(&app, &headers, &SignIn { password: String::new(), ..given }, &Refused::NONE)
}

async fn sign_in(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<SignIn>,
) -> Result<Response, PageProblem> {
    let browser = browser(&app.runtime, origin, &headers);
    let back = inside(&given.back);
    match super::by_password(&app.runtime, &given.email, &given.password, browser, back).await {
        Ok(entered) => Ok(entered_response(&app.runtime, &headers, entered, back, None)),
        Err(error) => {
            let retry_after = error.retry_after();
            let refused = Refused::by(texts(&headers).refusal(error))?;
            let mut response = sign_in_form(&app, &headers, &given, &refused);
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(response)
        }
    }
}

/// In, or on to the second step.
pub(crate) fn entered_response(
    runtime: &Runtime,
    headers: &HeaderMap,
    entered: Entered,
    back: &str,
    sentence: Option<&str>,
) -> Response {
    match entered {
        Entered::In(signed) => {
            let response = match sentence {
                Some(sentence) => console::done(back, sentence),
                None => Redirect::to(back).into_response(),
            };
            enter(runtime, headers, &signed, response)
        }
        Entered::Second(begun) => {
            let mut response = Redirect::to("/sign-in/second").into_response();
            let seconds = begun.expires_at.since_ms(runtime.clock.now()) / 1_000;
            set_cookie(runtime, &mut response, (PENDING_COOKIE, "/sign-in"), begun.token.expose(), seconds);
            response
        }
    }
}

async fn passkey_options(State(app): State<App>) -> Result<axum::Json<Challenge>, Problem> {
    Ok(axum::Json(passkey::ask(&app.runtime)?))
}

async fn by_passkey(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Json(response): Json<passkey::Response>,
) -> Result<Response, Problem> {
    let signed = super::by_passkey(&app.runtime, &response, browser(&app.runtime, origin, &headers)).await?;
    Ok(enter(&app.runtime, &headers, &signed, on_to(inside(&response.back))))
}

/// What script is told after a passkey: where to go.
pub(crate) fn on_to(path: &str) -> Response {
    axum::Json(serde_json::json!({ "to": path })).into_response()
}

/// The link's landing changes nothing: mail programs and chats open links to preview them, and must not use it up.
async fn show_link(State(app): State<App>, headers: HeaderMap, Query(given): Query<LinkToken>) -> Response {
    let texts = texts(&headers);
    let fields = html! {
        input type="hidden" name="token" value=(given.token);
        (form::actions(&html! { (form::submit(texts.sign_in)) }))
    };
    let body = html! {
        p { (texts.link_text) }
        (form::post("/sign-in/link", "", &fields))
    };
    bare(&app.runtime, StatusCode::OK, texts, texts.sign_in, &headers, body)
}

async fn use_link(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<LinkToken>,
) -> Result<Response, PageProblem> {
    match super::by_link(&app.runtime, &given.token, browser(&app.runtime, origin, &headers)).await {
        Ok(entered) => {
            let without = matches!(&entered, Entered::In(signed) if !signed.has_password);
            let sentence = if without {
                "You are signed in. Set a password under Security to sign in without a link."
            } else {
                "You are signed in."
            };
            Ok(entered_response(&app.runtime, &headers, entered, "/", Some(sentence)))
        }
        Err(error) if error.code() == Code::LinkUsed => Ok(link_of_no_use(&app.runtime, &headers)),
        Err(error) => Err(error.into()),
    }
}

/// The page for a link that cannot be used, whatever it was for.
pub(crate) fn link_of_no_use(runtime: &Runtime, headers: &HeaderMap) -> Response {
    let texts = texts(headers);
    let body = html! {
        (feedback::notice(Tone::Warn, texts.link_used_text, &html! {}))
        div class="actions" { (form::link(texts.sign_in, "/sign-in")) }
    };
    bare(runtime, StatusCode::UNAUTHORIZED, texts, texts.link_used, headers, body)
}

async fn sign_out(visitor: Visitor, headers: HeaderMap) -> Result<Response, PageProblem> {
    let token = cookie(&headers, SESSION_COOKIE).unwrap_or_default();
    session::sign_out(&visitor.scope, &token).await?;
    let elsewhere = federation::pages::signed_out(visitor.scope.runtime(), &headers).await;
    let mut response = elsewhere.unwrap_or_else(|| Redirect::to("/sign-in").into_response());
    set_cookie(visitor.scope.runtime(), &mut response, (SESSION_COOKIE, "/"), "", 0);
    Ok(response)
}

/// Where a request comes from.
pub(crate) fn browser(runtime: &Runtime, origin: runtime::Origin, headers: &HeaderMap) -> Browser {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    let house = domain::house(runtime, host(headers).as_deref());
    Browser::new(origin, agent, devices(headers)).at(house.map(|house| house.tenant))
}

fn devices(headers: &HeaderMap) -> Vec<String> {
    let tokens = cookie(headers, DEVICE_COOKIE).unwrap_or_default();
    tokens.split('.').filter(|token| !token.is_empty()).map(str::to_owned).collect()
}

/// Hands the browser its session, and its further token where it has one.
fn enter(runtime: &Runtime, headers: &HeaderMap, signed: &SignedIn, mut response: Response) -> Response {
    let seconds = signed.expires_at.since_ms(runtime.clock.now()) / 1_000;
    set_cookie(runtime, &mut response, (SESSION_COOKIE, "/"), signed.token.expose(), seconds);
    if cookie(headers, PENDING_COOKIE).is_some() {
        set_cookie(runtime, &mut response, (PENDING_COOKIE, "/sign-in"), "", 0);
    }
    if let Some(device) = &signed.device {
        let mut tokens = devices(headers);
        tokens.push(device.expose().to_owned());
        let kept = tokens.len().saturating_sub(DEVICE_TOKENS_MAX);
        let text = tokens[kept..].join(".");
        set_cookie(runtime, &mut response, (DEVICE_COOKIE, "/"), &text, DEVICE_COOKIE_S.into());
    }
    response
}

/// Lax, so that a link from an e-mail finds its reader signed in; over https never sent without it.
fn set_cookie(
    runtime: &Runtime,
    response: &mut Response,
    (name, path): (&str, &str),
    text: &str,
    seconds: i64,
) {
    let secure = if runtime.config.is_https() { "; Secure" } else { "" };
    let text = format!("{name}={text}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// An error of a form that a person can mend, in their language.
pub(crate) fn refused_by(texts: &Texts, error: Error) -> Result<Refused, PageProblem> {
    Refused::by(texts.refusal(error))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-in/link", get(show_link).post(use_link))
        .route("/sign-in/passkey/options", post(passkey_options))
        .route("/sign-in/passkey", post(by_passkey))
        .route("/sign-out", post(sign_out))
        .merge(second::router())
        .merge(mailed::router())
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
