//! Everybody's own account: name, language, password, signed-in browsers.

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use web::access::{SESSION_COOKIE, cookie};
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, card, field, form};
use web::{App, Form, PageProblem, Refused, Visitor, console};

use super::super::{self as user, User};
use crate::session::{self, Session};

#[derive(Debug, Deserialize)]
struct Profile {
    #[serde(default)]
    name: String,
    #[serde(default)]
    language: String,
}

#[derive(Debug, Deserialize)]
struct Passwords {
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    repeated: String,
}

/// What the page shows: the record, the browsers, and what is wrong with one of its forms.
struct Shown {
    user: User,
    sessions: Vec<Session>,
    profile: Refused,
    password: Refused,
}

impl Shown {
    async fn load(visitor: &Visitor, headers: &HeaderMap) -> Result<Self, PageProblem> {
        let token = cookie(headers, SESSION_COOKIE);
        Ok(Self {
            user: user::own(&visitor.scope).await?,
            sessions: session::list_own(&visitor.scope, token.as_deref()).await?,
            profile: Refused::NONE,
            password: Refused::NONE,
        })
    }

    fn content(&self, visitor: &Visitor) -> Content<'static> {
        let words = Words::for_lang(&visitor.person.language);
        let body = html! {
            (self.profile.summary(words, &["name", "language"]))
            (self.password.summary(words, &["current", "password", "repeated"]))
            (card::card("You", &html! {}, &self.profile_form()))
            (card::card("Password", &html! {}, &self.password_form(visitor)))
            (card::card("Signed-in browsers", &html! {}, &self.browsers()))
            (form::actions(&html! { (form::link("Applications that act for you", "/account/applications")) }))
        };
        Content::new("Your account", body)
    }

    fn profile_form(&self) -> Markup {
        let languages = super::languages();
        form::post(
            "/account",
            "",
            &html! {
                (card::facts(&[
                    ("E-mail address", html! { (self.user.email) }),
                    ("Role", html! { (crate::role::title(&self.user.role)) }),
                ]))
                (field::text("name", "Name").autocomplete("name").value(&self.user.name).max_chars(100).error(self.profile.at("name")).required())
                (field::select("language", "Language", &languages).value(&self.user.language).error(self.profile.at("language")))
                (form::actions(&html! { (form::submit("Save")) }))
            },
        )
    }

    fn password_form(&self, visitor: &Visitor) -> Markup {
        let least = visitor.scope.runtime().config.security.password_chars_min;
        let hint = format!("At least {least} characters. Your other browsers are signed out.");
        form::post(
            "/account/password",
            "",
            &html! {
                // For password managers, which want to know whose password it is.
                input type="hidden" name="username" autocomplete="username" value=(self.user.email);
                @if self.user.has_password {
                    (field::secret("current", "Present password").autocomplete("current-password").error(self.password.at("current")).required())
                }
                (field::secret("password", "New password").autocomplete("new-password").hint(&hint).error(self.password.at("password")).required())
                (field::secret("repeated", "New password again").autocomplete("new-password").error(self.password.at("repeated")).required())
                (form::actions(&html! { (form::submit(if self.user.has_password { "Change password" } else { "Set password" })) }))
            },
        )
    }

    fn browsers(&self) -> Markup {
        let rows = self.sessions.iter().map(|session| {
            let end = form::post(
                &format!("/account/sessions/{}/revoke", session.id),
                "",
                &html! { (form::submit("Sign out").weight(form::Weight::Quiet).small()) },
            );
            row(vec![
                html! { (session.user_agent.as_deref().unwrap_or("unknown")) },
                html! { (session.from_address.as_deref().unwrap_or("")) },
                relative_time(&session.created_at.to_string(), &session.created_at.to_minute()),
                relative_time(&session.last_seen_at.to_string(), &session.last_seen_at.to_minute()),
                html! { @if session.current { (badge::badge_icon(Tone::Info, Icon::Check, "this one")) } @else { (end) } },
            ])
        });
        let columns = vec![
            column("Browser"),
            column("Address"),
            column("Signed in").detail(),
            column("Last seen"),
            column("Action").actions(),
        ];
        html! { (table("Signed-in browsers", columns, rows.collect())) }
    }
}

async fn show(visitor: Visitor, headers: HeaderMap) -> Result<Response, PageProblem> {
    let shown = Shown::load(&visitor, &headers).await?;
    Ok(visitor.page(shown.content(&visitor)))
}

async fn save(
    visitor: Visitor,
    headers: HeaderMap,
    Form(given): Form<Profile>,
) -> Result<Response, PageProblem> {
    match user::update_own(&visitor.scope, &given.name, &given.language).await {
        Ok(_) => Ok(console::done("/account", "Saved.")),
        Err(error) => {
            let mut shown = Shown::load(&visitor, &headers).await?;
            (shown.user.name, shown.user.language) = (given.name, given.language);
            shown.profile = Refused::by(error)?;
            Ok(visitor.page_again(shown.content(&visitor)))
        }
    }
}

async fn set_password(
    visitor: Visitor,
    headers: HeaderMap,
    Form(given): Form<Passwords>,
) -> Result<Response, PageProblem> {
    let token = cookie(&headers, SESSION_COOKIE);
    let set = if given.password == given.repeated {
        user::set_own_password(&visitor.scope, &given.current, &given.password, token.as_deref()).await
    } else {
        Err(types::Error::invalid("repeated", "the two are not the same"))
    };
    match set {
        Ok(()) => Ok(console::done("/account", "The password is set.")),
        Err(error) => {
            let mut shown = Shown::load(&visitor, &headers).await?;
            shown.password = Refused::by(error)?;
            Ok(visitor.page_again(shown.content(&visitor)))
        }
    }
}

async fn revoke(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    session::revoke_own(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/account", "That browser is signed out."))
}

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/account", get(show).post(save))
        .route("/account/password", post(set_password))
        .route("/account/sessions/{id}/revoke", post(revoke))
}
