//! The second step in the browser: a code, a passkey, a code by mail or SMS, or adding an authenticator.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;
use types::{Code, Error};
use web::access::{Stranger, cookie};
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{code, feedback, field, form};
use web::{App, Form, Json, PageProblem, Problem, Refused};

use super::super::Browser;
use super::super::second::{self, Pending};
use super::super::texts::Texts;
use super::{
    PENDING_COOKIE, bare, browser, enter, inside, on_to, passkey_button, refused_by, set_cookie, status,
    texts,
};
use crate::factor::passkey::{self, Challenge};
use crate::factor::totp::Enrolment;

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    code: String,
    #[serde(default)]
    remember: bool,
}

fn token(headers: &HeaderMap) -> String {
    cookie(headers, PENDING_COOKIE).unwrap_or_default()
}

/// Whoever has no sign-in under way begins one.
fn begin_again(app: &App) -> Response {
    let mut response = Redirect::to("/sign-in").into_response();
    set_cookie(&app.runtime, &mut response, (PENDING_COOKIE, "/sign-in"), "", 0);
    response
}

fn step(app: &App, pending: &Pending, headers: &HeaderMap, given: &Given, refused: &Refused) -> Response {
    let texts = Texts::of(&pending.language);
    let possible = pending.has_passkeys && passkey::are_possible(&app.runtime);
    let takes_codes = pending.has_authenticator || pending.mailed || pending.texted || !possible;
    let days = app.runtime.config.security.remember_days;
    let fields = html! {
        (field::text("code", texts.code).autocomplete("one-time-code").mono().max_chars(40).error(refused.at("code")).words(texts.words()).required().autofocus())
        @if days > 0 { (field::checkbox("remember", texts.remember).checked(given.remember)) }
        (form::actions(&html! { (form::submit(texts.go_on)) }))
    };
    let body = html! {
        (refused.summary(texts.words(), &["code"]))
        @if pending.texted { (feedback::notice(Tone::Info, texts.code_texted, &html! {})) }
        @if pending.mailed { (feedback::notice(Tone::Info, texts.code_mailed, &html! {})) }
        @if possible {
            p { (texts.second_passkey) }
            (passkey_button(texts.passkey, texts.passkey_failed, "/sign-in/second/passkey", "", false))
        }
        @if takes_codes {
            @if pending.has_authenticator { p { (texts.second_code) } }
            (form::post("/sign-in/second", "", &fields))
        } @else {
            (feedback::help(texts.lost, &html! {
                p { (texts.lost_help) }
                (form::post("/sign-in/second", "", &fields))
            }))
        }
        @if pending.may_mail {
            (form::post("/sign-in/second/mail", "", &html! { (form::submit(texts.mail_code).weight(form::Weight::Plain)) }))
        }
        @if let Some(number) = &pending.phone {
            // The number reads left to right in every language.
            (form::post("/sign-in/second/phone", "", &html! {
                (form::submit(&format!("{} \u{2066}{number}\u{2069}", texts.text_code)).weight(form::Weight::Plain))
            }))
        }
        @if takes_codes { (feedback::help(texts.lost, &html! { p { (texts.lost_help) } })) }
        p { a href="/sign-in" { (texts.again_from_start) } }
    };
    bare(&app.runtime, status(refused), texts, texts.second, headers, body)
}

async fn show(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let browser = browser(&app.runtime, origin, &headers);
    let pending = match second::find(&app.runtime, &token(&headers), &browser).await {
        Ok(pending) => pending,
        Err(error) if error.code() == Code::SignInExpired => return Ok(begin_again(&app)),
        Err(error) => return Err(error.into()),
    };
    if pending.enrol {
        return Ok(Redirect::to("/sign-in/enrol").into_response());
    }
    Ok(step(&app, &pending, &headers, &Given::default(), &Refused::NONE))
}

async fn by_code(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    let browser = browser(&app.runtime, origin, &headers);
    let token = token(&headers);
    match second::by_code(&app.runtime, &token, &given.code, given.remember, browser.clone()).await {
        Ok((signed, back)) => {
            Ok(enter(&app.runtime, &headers, &signed, Redirect::to(inside(&back)).into_response()))
        }
        Err(error) => {
            let pending = match second::find(&app.runtime, &token, &browser).await {
                Ok(pending) => pending,
                Err(over) if over.code() == Code::SignInExpired => {
                    return Ok(over_page(&app, &headers, error));
                }
                Err(other) => return Err(other.into()),
            };
            let refused = refused_by(Texts::of(&pending.language), error)?;
            Ok(step(&app, &pending, &headers, &given, &refused))
        }
    }
}

/// The last try was wrong: what was wrong, and the way back to the beginning.
fn over_page(app: &App, headers: &HeaderMap, last: Error) -> Response {
    let texts = texts(headers);
    let last = texts.refusal(last);
    let over = texts.expired;
    let body = html! {
        div role="alert" { (feedback::notice(Tone::Warn, last.message(), &html! { (over) })) }
        div class="actions" { (form::link(texts.again_from_start, "/sign-in")) }
    };
    bare(&app.runtime, axum::http::StatusCode::UNAUTHORIZED, texts, texts.second, headers, body)
}

async fn mail(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let browser = browser(&app.runtime, origin, &headers);
    let token = token(&headers);
    let sent = second::mail_code(&app.runtime, &token, &browser).await;
    sent_response(&app, &headers, &token, &browser, sent).await
}

/// Back to the step, where the code is asked for, or what is wrong.
async fn sent_response(
    app: &App,
    headers: &HeaderMap,
    token: &str,
    browser: &Browser,
    sent: types::Result<()>,
) -> Result<Response, PageProblem> {
    match sent {
        Ok(()) => Ok(Redirect::to("/sign-in/second").into_response()),
        Err(error) if error.code() == Code::SignInExpired => Ok(begin_again(app)),
        Err(error) => {
            let pending = second::find(&app.runtime, token, browser).await?;
            let texts = Texts::of(&pending.language);
            let error = match error.code() {
                // Why the gateway did not take it is in the log.
                Code::Unavailable => Error::new(Code::Conflict, texts.no_code_sent).hint(texts.lost_help),
                _ => error,
            };
            Ok(step(app, &pending, headers, &Given::default(), &refused_by(texts, error)?))
        }
    }
}

async fn text(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let browser = browser(&app.runtime, origin, &headers);
    let token = token(&headers);
    let sent = second::text_code(&app.runtime, &token, &browser).await;
    sent_response(&app, &headers, &token, &browser, sent).await
}

async fn passkey_options(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
) -> Result<axum::Json<Challenge>, Problem> {
    let browser = browser(&app.runtime, origin, &headers);
    Ok(axum::Json(second::ask_passkey(&app.runtime, &token(&headers), &browser).await?))
}

async fn by_passkey(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Json(response): Json<passkey::Response>,
) -> Result<Response, Problem> {
    let browser = browser(&app.runtime, origin, &headers);
    let (signed, back) = second::by_passkey(&app.runtime, &token(&headers), &response, browser).await?;
    Ok(enter(&app.runtime, &headers, &signed, on_to(inside(&back))))
}

/// The picture and the secret of an authenticator that is being added.
pub(crate) fn enrolment(words: &Words, scan: &str, kind: &str, enrolment: &Enrolment) -> Markup {
    html! {
        p { (scan) }
        // Dark on light whatever the theme is: cameras want it so.
        div class="qr" role="img" aria-label=(scan) { (PreEscaped(&enrolment.picture)) }
        p { (kind) }
        (code::value(words, "secret", &enrolment.secret))
    }
}

/// Backup codes, shown this once.
pub(crate) fn backup_codes(words: &Words, why: &str, codes: &[String]) -> Markup {
    html! {
        p { (why) }
        (code::block(words, "backup-codes", why, &codes.join("\n")))
        p class="hint" { (words.once_only) }
    }
}

async fn enrol_page(
    app: &App,
    pending: &Pending,
    headers: &HeaderMap,
    refused: &Refused,
) -> Result<Response, PageProblem> {
    let texts = Texts::of(&pending.language);
    let begun = second::enrolment(pending).await?;
    let fields = html! {
        (field::text("code", texts.enrol_code).autocomplete("one-time-code").mono().max_chars(40).error(refused.at("code")).words(texts.words()).required())
        (form::actions(&html! { (form::submit(texts.go_on)) }))
    };
    let body = html! {
        (refused.summary(texts.words(), &["code"]))
        p { (texts.enrol_why) }
        (enrolment(texts.words(), texts.enrol_scan, texts.enrol_type, &begun))
        (form::post("/sign-in/enrol", "", &fields))
    };
    Ok(bare(&app.runtime, status(refused), texts, texts.enrol, headers, body))
}

async fn show_enrol(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    match second::find(&app.runtime, &token(&headers), &browser(&app.runtime, origin, &headers)).await {
        Ok(pending) if pending.enrol => enrol_page(&app, &pending, &headers, &Refused::NONE).await,
        Ok(_) => Ok(Redirect::to("/sign-in/second").into_response()),
        Err(error) if error.code() == Code::SignInExpired => Ok(begin_again(&app)),
        Err(error) => Err(error.into()),
    }
}

async fn enrol(
    State(app): State<App>,
    Stranger(origin): Stranger,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    let browser = browser(&app.runtime, origin, &headers);
    let token = token(&headers);
    let pending = match second::find(&app.runtime, &token, &browser).await {
        Ok(pending) => pending,
        Err(error) if error.code() == Code::SignInExpired => return Ok(begin_again(&app)),
        Err(error) => return Err(error.into()),
    };
    let texts = Texts::of(&pending.language);
    match second::enrol(&app.runtime, &token, &given.code, browser.clone()).await {
        Ok((signed, back, codes)) => {
            let body = html! {
                (backup_codes(texts.words(), texts.codes_why, &codes))
                div class="actions" { (form::link(texts.codes_kept, inside(&back)).weight(form::Weight::Primary)) }
            };
            let page = bare(&app.runtime, axum::http::StatusCode::OK, texts, texts.codes, &headers, body);
            Ok(enter(&app.runtime, &headers, &signed, page))
        }
        Err(error) if error.code() == Code::SignInExpired => Ok(begin_again(&app)),
        Err(error) => {
            if second::find(&app.runtime, &token, &browser).await.is_err() {
                return Ok(over_page(&app, &headers, error));
            }
            enrol_page(&app, &pending, &headers, &refused_by(texts, error)?).await
        }
    }
}

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/sign-in/second", get(show).post(by_code))
        .route("/sign-in/second/mail", post(mail))
        .route("/sign-in/second/phone", post(text))
        .route("/sign-in/second/passkey/options", post(passkey_options))
        .route("/sign-in/second/passkey", post(by_passkey))
        .route("/sign-in/enrol", get(show_enrol).post(enrol))
}
