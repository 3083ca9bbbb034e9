//! The way to another service and back.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::html;
use runtime::Runtime;
use serde::Deserialize;
use types::{Code, Error};
use web::access::{Stranger, cookie, host};
use web::ui::tone::Tone;
use web::ui::{feedback, field, form};
use web::{App, Form, PageProblem, Query, Refused};

use super::{ATTEMPT_S, Led};
use crate::domain::{self, Door};
use crate::provider;
use crate::sign_in::pages::{bare, browser, entered_response, inside, texts};

/// What a browser keeps while its person is at the other service.
const ATTEMPT_COOKIE: &str = "switchboard_attempt";

/// What a browser keeps as long as its session: by which service its person signed in.
const SERVICE_COOKIE: &str = "switchboard_service";

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    email: String,
    #[serde(default)]
    back: String,
}

/// Sent along by the link from another site, so lax; away from everything but these pages.
fn keep(app: &App, response: &mut Response, text: &str, seconds: i64) {
    let secure = if app.runtime.config.is_https() { "; Secure" } else { "" };
    let text =
        format!("{ATTEMPT_COOKIE}={text}; Path=/sign-in; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn door(app: &App, headers: &HeaderMap) -> Door {
    domain::door(&app.runtime, host(headers).as_deref())
}

/// A page that says what went wrong and what to do.
fn refused(runtime: &Runtime, headers: &HeaderMap, error: Error) -> Result<Response, PageProblem> {
    if error.code().status() >= 500 {
        return Err(error.into());
    }
    tracing::info!(error = ?error, "a sign-in with another service failed");
    let texts = texts(headers);
    let body = html! {
        (feedback::notice(Tone::Bad, error.message(), &html! { (error.advice()) }))
        div class="actions" { (form::link(texts.again, "/sign-in")) }
    };
    let status = StatusCode::from_u16(error.code().status()).unwrap_or(StatusCode::UNAUTHORIZED);
    Ok(bare(runtime, status, texts, texts.service_failed, headers, body))
}

fn address_form(runtime: &Runtime, headers: &HeaderMap, given: &Asked, wrong: &Refused) -> Response {
    let texts = texts(headers);
    let fields = html! {
        input type="hidden" name="back" value=(inside(&given.back));
        (field::email("email", texts.email).hint(texts.service_email_hint).autocomplete("username").value(&given.email).error(wrong.at("email")).words(texts.words()).required().autofocus())
        (form::actions(&html! { (form::submit(texts.go_on)) }))
    };
    let body = html! {
        (wrong.summary(texts.words(), &["email"]))
        (form::post("/sign-in/with", "", &fields))
        ul class="ways" { li { a href="/sign-in" { (texts.with_password) } } }
    };
    let status = StatusCode::from_u16(wrong.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    bare(runtime, status, texts, texts.with_service, headers, body)
}

async fn ask(State(app): State<App>, headers: HeaderMap, Query(given): Query<Asked>) -> Response {
    address_form(&app.runtime, &headers, &given, &Refused::NONE)
}

/// Says whether a domain has a service, never whether an address is known.
async fn find(
    State(app): State<App>,
    headers: HeaderMap,
    Form(given): Form<Asked>,
) -> Result<Response, PageProblem> {
    match provider::led::of_address(&app.runtime, &given.email, &door(&app, &headers)).await? {
        Some(id) => {
            let to = web::body::with_query(&format!("/sign-in/with/{id}"), &[("back", inside(&given.back))]);
            let texts = texts(&headers);
            let body = html! {
                p { (texts.service_own_page) }
                div class="actions" { (form::link(texts.go_on, &to).weight(form::Weight::Primary)) }
            };
            // Not a redirect: the policy keeps forms, and what they are redirected to, on our own pages.
            let mut response =
                bare(&app.runtime, StatusCode::OK, texts, texts.service_moment, &headers, body);
            if let Ok(value) = HeaderValue::from_str(&format!("0; url={to}")) {
                response.headers_mut().insert("Refresh", value);
            }
            Ok(response)
        }
        None => {
            let error = Error::invalid("email", texts(&headers).service_none);
            Ok(address_form(&app.runtime, &headers, &given, &Refused::by(error)?))
        }
    }
}

async fn go(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(given): Query<Asked>,
) -> Result<Response, PageProblem> {
    let door = door(&app, &headers);
    match super::begin(&app.runtime, id.parse()?, inside(&given.back), &door, origin).await {
        Ok(begun) => {
            let mut response = Redirect::to(&begun.to).into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            keep(&app, &mut response, &begun.kept, ATTEMPT_S);
            Ok(response)
        }
        Err(error) if error.code() == Code::NotFound => Err(error.into()),
        Err(error) => refused(&app.runtime, &headers, error),
    }
}

async fn come_back(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Query(led): Query<Led>,
) -> Result<Response, PageProblem> {
    let kept = cookie(&headers, ATTEMPT_COOKIE).unwrap_or_default();
    let browser = browser(&app.runtime, origin, &headers);
    let mut response = match super::finish(&app.runtime, led, &kept, browser).await {
        Ok((entered, back, id)) => {
            let mut response = entered_response(&app.runtime, &headers, entered, inside(&back), None);
            let seconds = i64::from(app.runtime.config.security.session_ttl_h) * 3_600;
            remember(&app, &mut response, &id.to_string(), seconds);
            response
        }
        Err(error) => refused(&app.runtime, &headers, error)?,
    };
    keep(&app, &mut response, "", 0);
    Ok(response)
}

/// By which service a browser's person signed in, for when they sign out. It is no proof of anything.
fn remember(app: &App, response: &mut Response, id: &str, seconds: i64) {
    let secure = if app.runtime.config.is_https() { "; Secure" } else { "" };
    let text = format!("{SERVICE_COOKIE}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// What somebody sees who signed in with a service and has signed out here: the way out there too. Nothing for others.
pub(crate) async fn signed_out(runtime: &Runtime, headers: &HeaderMap) -> Option<Response> {
    let id = cookie(headers, SERVICE_COOKIE)?;
    let (name, url) = super::way_out(runtime, &id).await?;
    let texts = texts(headers);
    let body = html! {
        p { (texts.still_there) " " (name) }
        div class="actions" {
            (form::link(texts.sign_out_there, &url).weight(form::Weight::Primary))
            (form::link(texts.again, "/sign-in"))
        }
    };
    let mut response = bare(runtime, StatusCode::OK, texts, texts.signed_out, headers, body);
    let gone = HeaderValue::from_static("switchboard_service=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    response.headers_mut().append(header::SET_COOKIE, gone);
    Some(response)
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/sign-in/with", get(ask).post(find))
        .route("/sign-in/with/{id}", get(go))
        .route("/sign-in/callback", get(come_back))
}
