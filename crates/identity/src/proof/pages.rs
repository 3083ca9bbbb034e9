//! The page on which somebody proves again who they are, and from which they go back to where they were.

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::html;
use serde::Deserialize;
use web::console::Content;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{feedback, field, form};
use web::{App, Form, Json, PageProblem, Problem, Query, Refused, Visitor};

use crate::factor::passkey::{self, Challenge};
use crate::sign_in::pages::{inside, on_to, passkey_button};

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    back: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

async fn content(
    visitor: &Visitor,
    given: &Given,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let ways = super::ways(&visitor.scope).await?;
    let back = inside(&given.back);
    let minutes = visitor.scope.runtime().config.security.step_up_m;
    let hidden = html! { input type="hidden" name="back" value=(back); };
    let password = html! {
        (hidden)
        input type="hidden" name="username" autocomplete="username" value=(visitor.person.email);
        (field::secret("password", "Password").autocomplete("current-password").error(refused.at("password")).words(words).required().autofocus())
        (form::actions(&html! { (form::submit("Continue")) (form::link("Cancel", back)) }))
    };
    let code = html! {
        (hidden)
        (field::text("code", "Code of your authenticator, or a backup code").autocomplete("one-time-code").mono().max_chars(40).error(refused.at("code")).words(words).required())
        (form::actions(&html! { (form::submit("Continue with the code").weight(form::Weight::Plain)) }))
    };
    let none = !ways.password && !ways.code && !ways.passkey;
    let body = html! {
        (refused.summary(words, &["password", "code"]))
        p { "What you are about to do could harm you if somebody else sat at your screen. Prove once that it is you; for " (minutes) " minutes nothing asks again. Then do it again: nothing was changed yet." }
        @if ways.passkey {
            (passkey_button("Continue with a passkey", "The passkey was not accepted. Try again, or by another way.", "/step-up/passkey", back, false))
        }
        @if ways.password { (form::post("/step-up", "", &password)) }
        @if ways.code { (form::post("/step-up", "", &code)) }
        @if none {
            (feedback::notice(Tone::Warn, "There is nothing to prove it with", &html! {
                p { "You have neither a password nor a second factor. Sign out and in again by a new link: that counts as a proof." }
                (form::post("/sign-out", "", &html! { (form::submit("Sign out")) }))
            }))
        }
    };
    Ok(Content::new("Is it you?", body))
}

async fn show(visitor: Visitor, Query(given): Query<Given>) -> Result<Response, PageProblem> {
    Ok(visitor.page(content(&visitor, &given, &Refused::NONE).await?))
}

async fn prove(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    let proved = if given.code.is_empty() {
        super::by_password(&visitor.scope, &given.password).await
    } else {
        super::by_code(&visitor.scope, &given.code).await
    };
    match proved {
        Ok(()) => Ok(Redirect::to(inside(&given.back)).into_response()),
        Err(error) => Ok(visitor.page_again(content(&visitor, &given, &Refused::by(error)?).await?)),
    }
}

async fn passkey_options(visitor: Visitor) -> Result<axum::Json<Challenge>, Problem> {
    Ok(axum::Json(super::ask_passkey(&visitor.scope).await?))
}

async fn by_passkey(visitor: Visitor, Json(response): Json<passkey::Response>) -> Result<Response, Problem> {
    super::by_passkey(&visitor.scope, &response).await?;
    Ok(on_to(inside(&response.back)))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/step-up", get(show).post(prove))
        .route("/step-up/passkey/options", post(passkey_options))
        .route("/step-up/passkey", post(by_passkey))
}
