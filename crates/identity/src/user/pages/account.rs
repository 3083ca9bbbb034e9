//! Everybody's own account: name and language. How it is kept safe is on the page beside it.

use axum::Router;
use axum::response::{Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::words::Words;
use web::ui::{card, field, form};
use web::{App, Form, PageProblem, Refused, Visitor, console};

use super::super::{self as user, User, address};
use crate::mail;

#[derive(Debug, Deserialize)]
struct Profile {
    #[serde(default)]
    name: String,
    #[serde(default)]
    language: String,
}

#[derive(Debug, Deserialize)]
struct NewAddress {
    #[serde(default)]
    email: String,
}

fn content(visitor: &Visitor, user: &User, refused: &Refused) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let body = html! {
        (refused.summary(words, &["name", "language", "email"]))
        (card::card("You", &html! {}, &profile_form(user, refused)))
        @if mail::is_on(visitor.scope.runtime()) { (card::card("E-mail address", &html! {}, &address_form(refused))) }
        (card::choice("/account/security", Icon::Shield, "Security", "Password, second step, passkeys, browsers, history"))
        (card::choice("/account/applications", Icon::Plug, "Applications", "Programs that act for you, and how to end that"))
    };
    Content::new("Your account", body)
}

fn profile_form(user: &User, refused: &Refused) -> Markup {
    let languages = super::languages();
    form::post(
        "/account",
        "",
        &html! {
            (card::facts(&[
                ("E-mail address", html! { (user.email) }),
                ("Role", html! { (crate::role::title(&user.role)) }),
            ]))
            (field::text("name", "Name").autocomplete("name").value(&user.name).max_chars(100).error(refused.at("name")).required())
            (field::select("language", "Language", &languages).value(&user.language).error(refused.at("language")))
            (form::actions(&html! { (form::submit("Save")) }))
        },
    )
}

fn address_form(refused: &Refused) -> Markup {
    form::post(
        "/account/address",
        "",
        &html! {
            (field::email("email", "New e-mail address").autocomplete("email").hint("A link is mailed to it; the address changes when you open that. The old one is told.").error(refused.at("email")).required())
            (form::actions(&html! { (form::submit("Change address").weight(form::Weight::Plain)) }))
        },
    )
}

async fn change_address(visitor: Visitor, Form(given): Form<NewAddress>) -> Result<Response, PageProblem> {
    match address::ask(&visitor.scope, &given.email).await {
        Ok(()) => Ok(console::done(
            "/account",
            "If the address can be used, a mail with a link is on its way to it.",
        )),
        Err(error) => {
            let refused = Refused::by(error)?;
            let user = user::own(&visitor.scope).await?;
            Ok(visitor.page_again(content(&visitor, &user, &refused)))
        }
    }
}

/// What can only be posted to, opened by the way back from a proof.
async fn back() -> Redirect {
    Redirect::to("/account")
}

async fn show(visitor: Visitor) -> Result<Response, PageProblem> {
    let user = user::own(&visitor.scope).await?;
    Ok(visitor.page(content(&visitor, &user, &Refused::NONE)))
}

async fn save(visitor: Visitor, Form(given): Form<Profile>) -> Result<Response, PageProblem> {
    match user::update_own(&visitor.scope, &given.name, &given.language).await {
        Ok(_) => Ok(console::done("/account", "Saved.")),
        Err(error) => {
            let refused = Refused::by(error)?;
            let before = user::own(&visitor.scope).await?;
            let user = User { name: given.name, language: given.language, ..before };
            Ok(visitor.page_again(content(&visitor, &user, &refused)))
        }
    }
}

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/account", get(show).post(save))
        .route("/account/address", get(back).post(change_address))
}
