//! Everybody's own phone that codes go to: adding one, putting another in its place, removing it.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Code, Error};
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, feedback, field, form};
use web::{App, Form, PageProblem, Refused, Visitor, console};

use super::security::with_codes;
use crate::factor::{Security, phone};
use crate::policy;

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    phone: String,
    #[serde(default)]
    code: String,
}

/// What a person should know before they rely on it (NIST SP 800-63B-4 §3.2.9).
const RESTRICTED: &str = "A code by SMS is weaker than an app or a passkey: whoever talks your carrier into it gets your number, and your codes. Use it as a way back, beside one of those.";

/// A phone on the page of one's security; nothing where the tenant has none.
pub(super) fn section(security: &Security, offered: bool) -> Markup {
    let at = |at: types::Timestamp| relative_time(&at.to_string(), &at.to_minute());
    html! {
        @if offered || security.phone.is_some() {
            h3 { "Phone" }
            @match &security.phone {
                Some(held) => {
                    p {
                        @if held.in_use { (badge::badge_icon(Tone::Good, Icon::Check, "on")) } @else { (badge::badge(Tone::Neutral, "not in use")) }
                        " " bdi dir="ltr" { (held.number) } " since " (at(held.since))
                        @if let Some(used) = held.last_used_at { ", last used " (at(used)) }
                    }
                    @if !held.in_use { p class="hint" { "Your organisation sends no codes to numbers like this one now." } }
                    @if held.in_use && !held.alone && !security.has_second_factor() {
                        p class="hint" { "It counts only beside an authenticator or a passkey, and you have neither." }
                    }
                    div class="actions" {
                        @if offered { (form::link("Change the phone", "/account/security/phone")) }
                        (form::post("/account/security/phone/remove", "", &html! { (form::submit("Remove the phone").weight(form::Weight::Plain)) }))
                    }
                }
                None => {
                    p { "We send a code to it by SMS when your app or passkey is not at hand. " (RESTRICTED) }
                    div class="actions" { (form::link("Add a phone", "/account/security/phone").icon(Icon::Plus)) }
                }
            }
        }
    }
}

fn page(words: &'static Words, body: Markup) -> Content<'static> {
    Content {
        breadcrumbs: browse::breadcrumbs(words, &[("Security", "/account/security")], "Phone"),
        ..Content::new("Phone for codes", body)
    }
}

async fn number_page(
    visitor: &Visitor,
    given: &Given,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let policy = policy::read(&mut visitor.scope.read().await?, visitor.scope.tenant()).await?;
    if !policy.sms_codes {
        return Err(phone::not_offered().into());
    }
    let hint = format!(
        "In international form. Codes go to numbers that begin with {}.",
        policy.sms_prefixes.join(", ")
    );
    let fields = html! {
        (field::tel("phone", "Phone number").autocomplete("tel").placeholder("+33612345678").hint(&hint).value(&given.phone).max_chars(30).error(refused.at("phone")).words(words).required().autofocus())
        (form::actions(&html! { (form::submit("Send me a code")) (form::link("Cancel", "/account/security")) }))
    };
    Ok(page(
        words,
        html! {
            (refused.summary(words, &["phone"]))
            (feedback::notice(Tone::Warn, "Weaker than an app or a passkey", &html! { (RESTRICTED) }))
            (card::panel(&form::post("/account/security/phone", "", &fields)))
        },
    ))
}

async fn code_page(visitor: &Visitor, refused: &Refused) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let Some(number) = phone::wanted(&visitor.scope).await? else {
        return number_page(visitor, &Given::default(), refused).await;
    };
    let fields = html! {
        (field::text("code", "Code").autocomplete("one-time-code").mono().max_chars(10).error(refused.at("code")).words(words).required().autofocus())
        (form::actions(&html! { (form::submit("Use this phone")) (form::link("Another number", "/account/security/phone")) }))
    };
    Ok(page(
        words,
        html! {
            (refused.summary(words, &["code"]))
            p { "A code is on its way to " bdi dir="ltr" { (number) } ". Enter it here to show that the phone is yours." }
            (card::panel(&form::post("/account/security/phone/confirm", "", &fields)))
        },
    ))
}

async fn show(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require_fresh()?;
    Ok(visitor.page(number_page(&visitor, &Given::default(), &Refused::NONE).await?))
}

async fn begin(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    match phone::begin(&visitor.scope, &given.phone).await {
        Ok(()) => Ok(console::done("/account/security/phone/confirm", "A code is on its way to your phone.")),
        Err(error) => {
            let error = match error.code() {
                // Why the gateway did not take it is in the log.
                Code::Unavailable => {
                    Error::new(Code::Conflict, error.message()).hint(error.advice()).at("phone")
                }
                _ => error,
            };
            Ok(visitor.page_again(number_page(&visitor, &given, &Refused::by(error)?).await?))
        }
    }
}

async fn show_confirm(visitor: Visitor) -> Result<Response, PageProblem> {
    Ok(visitor.page(code_page(&visitor, &Refused::NONE).await?))
}

async fn confirm(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    match phone::confirm(&visitor.scope, &given.code).await {
        Ok(confirmed) => Ok(with_codes(&visitor, &confirmed.backup_codes, "The phone is added.")),
        Err(error) => Ok(visitor.page_again(code_page(&visitor, &Refused::by(error)?).await?)),
    }
}

async fn remove(visitor: Visitor) -> Result<Response, PageProblem> {
    phone::remove(&visitor.scope).await?;
    Ok(console::done("/account/security", "The phone is removed."))
}

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/account/security/phone", get(show).post(begin))
        .route("/account/security/phone/confirm", get(show_confirm).post(confirm))
        .route("/account/security/phone/remove", post(remove))
}
