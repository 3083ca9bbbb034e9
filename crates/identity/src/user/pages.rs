//! Users in the console, and everybody's own account.

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use serde::Deserialize;
use types::Permission;
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::field::Choice;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use super::{NewUser, Status, User, UserChange};
use crate::factor::{self, Security};
use crate::link::{self, Link};
use crate::role::custom::Offered;
use crate::session::{self, Session};
use crate::{attempt, grant, impersonation, journal, name, role};

mod account;
mod phone;
mod security;

#[derive(Debug, Default, Deserialize)]
struct UserForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    status: String,
}

impl UserForm {
    /// As the user is.
    fn of(user: &User) -> Self {
        Self {
            email: String::new(),
            name: user.name.clone(),
            role: user.role.clone(),
            language: user.language.clone(),
            status: user.status.clone(),
        }
    }
}

/// The choices of a language field.
fn languages() -> Vec<Choice<'static>> {
    name::LANGUAGES.iter().map(|(tag, title)| Choice::new(tag, title)).collect()
}

/// The roles that this person may give.
async fn roles(visitor: &Visitor) -> Result<Vec<Offered>, PageProblem> {
    Ok(role::custom::givable(&visitor.scope).await?)
}

fn role_choices(offered: &[Offered]) -> Vec<Choice<'_>> {
    offered
        .iter()
        .map(|one| Choice { hint: Some(&one.about), ..Choice::new(&one.name, &one.title) })
        .collect()
}

fn state(user: &User) -> Markup {
    if user.status == Status::Active.as_str() {
        badge::badge_icon(Tone::Good, Icon::Check, "active")
    } else {
        badge::badge_icon(Tone::Neutral, Icon::Pause, &user.status)
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let rows = page.items.iter().map(|user| {
        let seen = user.last_sign_in_at;
        row(vec![
            html! { (user.name) },
            html! { (user.email) },
            html! { (role::title(&user.role)) },
            state(user),
            html! { @match seen { Some(at) => (relative_time(&at.to_string(), &at.to_minute())), None => "never" } },
        ])
        .link(format!("/users/{}", user.id))
    });
    let columns = vec![
        column("Name"),
        column("E-mail address"),
        column("Role"),
        column("State"),
        column("Last signed in").detail(),
    ];
    let older = page.next.as_ref().map(|next| format!("/users?after={next}"));
    let body = html! {
        (table("Users", columns, rows.collect()))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    let actions = html! {
        @if visitor.scope.permissions().contains(Permission::UserCreate) {
            (form::link("New user", "/users/new").icon(Icon::Plus).weight(form::Weight::Primary))
        }
    };
    Ok(visitor.page(Content { actions, ..Content::new("Users", body) }))
}

fn new_form<'a>(visitor: &Visitor, offered: &[Offered], given: &UserForm, refused: &Refused) -> Content<'a> {
    let words = Words::for_lang(&visitor.person.language);
    let (roles, languages) = (role_choices(offered), languages());
    let fields = html! {
        (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required().autofocus())
        (field::email("email", "E-mail address").autocomplete("off").value(&given.email).error(refused.at("email")).required())
        (field::radios("role", "Role", &roles).value(&given.role).error(refused.at("role")).required())
        (field::select("language", "Language", &languages).value(&given.language).error(refused.at("language")))
        (form::actions(&html! { (form::submit("Create user")) (form::link("Cancel", "/users")) }))
    };
    let body = html! {
        (refused.summary(words, &["name", "email", "role", "language"]))
        (form::post("/users", "", &fields))
    };
    Content {
        breadcrumbs: browse::breadcrumbs(words, &[("Users", "/users")], "New user"),
        ..Content::new("New user", body)
    }
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::UserCreate)?;
    let language = super::spoken(&mut visitor.scope.read().await?, visitor.scope.tenant()).await?;
    let given = UserForm { role: "viewer".to_owned(), language, ..UserForm::default() };
    let offered = roles(&visitor).await?;
    Ok(visitor.page(new_form(&visitor, &offered, &given, &Refused::NONE)))
}

async fn create(visitor: Visitor, Form(given): Form<UserForm>) -> Result<Response, PageProblem> {
    let new = NewUser {
        email: given.email.clone(),
        name: given.name.clone(),
        role: given.role.clone(),
        language: Some(given.language.clone()).filter(|tag| !tag.is_empty()),
        password_hash: None,
    };
    match super::create(&visitor.scope, new).await {
        Ok(user) => Ok(console::done(
            &format!("/users/{}", user.id),
            "User created. Make a sign-in link and hand it over.",
        )),
        Err(error) => {
            let offered = roles(&visitor).await?;
            Ok(visitor.page_again(new_form(&visitor, &offered, &given, &Refused::by(error)?)))
        }
    }
}

/// What stands around a user on their page.
struct Around {
    offered: Vec<Offered>,
    governs: bool,
    grants: Markup,
    acting: Markup,
    security: Security,
    sessions: Vec<Session>,
}

impl Around {
    async fn of(
        visitor: &Visitor,
        user: &User,
        acting: (&impersonation::pages::Given, &Refused),
    ) -> Result<Self, PageProblem> {
        let scope = &visitor.scope;
        let governs = scope.held().allows(Permission::UserChange, Some(user.id))
            && super::may_govern(&mut scope.read().await?, scope, user).await.is_ok();
        let grants = grant::pages::card(visitor, user).await?;
        let acting = impersonation::pages::card(visitor, user, governs, acting).await?;
        let security = factor::of(scope, user.id).await?;
        let sessions = session::list_of(scope, user.id).await?;
        Ok(Self { offered: roles(visitor).await?, governs, grants, acting, security, sessions })
    }
}

/// How a user's account is kept safe, and what an administrator can do about it.
fn safety(words: &Words, user: &User, security: &Security, governs: bool, oneself: bool) -> Markup {
    let at = |at: types::Timestamp| relative_time(&at.to_string(), &at.to_minute());
    let second = match (&security.authenticator, security.passkeys.len()) {
        (None, 0) => {
            html! { @if !security.has_second_factor() { "none" @if security.second_factor_required { ", though the role needs one" } } }
        }
        (app, keys) => {
            html! { @if app.is_some() { "authenticator" } @if app.is_some() && keys > 0 { ", " } @if keys > 0 { (keys) " passkeys" } }
        }
    };
    let factors = format!("/users/{}/factors/remove", user.id);
    let ask = Confirm {
        id: "take-factors",
        button: "Take second factors away",
        title: "Take the second factors away?",
        text: "For somebody who has lost them. They sign in by the first step alone until they add new ones, and are told by mail.",
        confirm: "Take them away",
        action: &factors,
        csrf: "",
        danger: true,
    };
    let more = form::link("History", &format!("/users/{}/history", user.id)).small().render();
    card::card(
        "Security",
        &more,
        &html! {
            (card::facts(&[
                ("Second step", html! { (second) @if let Some(phone) = &security.phone {
                    @if security.authenticator.is_some() || !security.passkeys.is_empty() || !phone.alone { ", " }
                    "codes to the phone " bdi dir="ltr" { (phone.number) } @if !phone.in_use { ", not in use" }
                } }),
                ("Address verified", html! { @match security.email_verified_at { Some(since) => (at(since)), None => "no" } }),
                ("Failed attempts", html! { @match &security.lockout {
                    None => "none",
                    Some(lockout) => {
                        (lockout.failures) ", the last " (at(lockout.last_at))
                        @if let Some(until) = lockout.until { "; waits until " (at(until)) }
                    },
                } }),
            ]))
            @if governs && security.lockout.is_some() {
                (form::post(&format!("/users/{}/unlock", user.id), "", &html! { (form::submit("Let try again at once").weight(form::Weight::Plain)) }))
            }
            @if governs && !oneself && (security.has_second_factor() || security.phone.is_some()) { (dialog::confirm(words, &ask)) }
        },
    )
}

/// Where a user is signed in, and the way to end that.
fn signed_in(words: &Words, user: &User, sessions: &[Session], ends: bool) -> Markup {
    let action = format!("/users/{}/sessions/end", user.id);
    let ask = Confirm {
        id: "end-sessions",
        button: "Sign out everywhere",
        title: "Sign this user out everywhere?",
        text: "For somebody whose browser or link is in other hands. All their browsers are signed out, links that would sign them in end, and no browser is remembered.",
        confirm: "Sign out",
        action: &action,
        csrf: "",
        danger: true,
    };
    let body = html! {
        @if sessions.is_empty() { p { "Not signed in anywhere." } } @else { (security::signed_in(sessions, None)) }
        @if ends { (form::actions(&html! { (dialog::confirm(words, &ask)) })) }
    };
    card::card("Signed in now", &html! {}, &body)
}

fn detail<'a>(
    visitor: &Visitor,
    user: &'a User,
    around: &Around,
    given: &UserForm,
    refused: &Refused,
) -> Content<'a> {
    let words = Words::for_lang(&visitor.person.language);
    let (roles, languages) = (role_choices(&around.offered), languages());
    let oneself = super::person(&visitor.scope).is_ok_and(|id| id == user.id);
    let governs = around.governs;
    let explains = visitor.scope.permissions().contains(Permission::AccessExplain);
    let states = [
        Choice::new("active", "Active"),
        Choice::new("disabled", "Disabled: neither they nor their keys are let in"),
    ];
    let fields = html! {
        (field::text("name", "Name").value(&given.name).max_chars(100).error(refused.at("name")).required())
        (field::select("language", "Language", &languages).value(&given.language).error(refused.at("language")))
        @if !oneself {
            (field::radios("role", "Role", &roles).value(&given.role).error(refused.at("role")).required())
            (field::radios("status", "State", &states).value(&given.status).required())
        }
        (form::actions(&html! { (form::submit("Save")) }))
    };
    let link = html! {
        p { "A link signs this user in once, without a password." }
        (form::post(&format!("/users/{}/link", user.id), "", &html! { (form::submit("Make sign-in link").weight(form::Weight::Plain).icon(Icon::Key)) }))
    };
    let body = html! {
        (card::panel(&card::facts(&[
            ("E-mail address", html! { (user.email) }),
            ("Role", html! { (role::title(&user.role)) }),
            ("State", state(user)),
            ("Password", html! { (if user.has_password { "set" } else { "not set" }) }),
            ("Created", relative_time(&user.created_at.to_string(), &user.created_at.to_minute())),
        ])))
        (safety(words, user, &around.security, governs, oneself))
        (signed_in(words, user, &around.sessions, governs && !oneself))
        @if governs {
            (refused.summary(words, &["name", "role", "language", "acting_reason", "acting_minutes"]))
            (card::card("Change", &html! {}, &form::post(&format!("/users/{}", user.id), "", &fields)))
            (card::card("Sign-in link", &html! {}, &link))
        }
        (around.grants)
        (around.acting)
    };
    let actions = html! {
        @if explains { (form::link("Explain access", &format!("/explain?who={}", user.id)).icon(Icon::Shield)) }
    };
    Content {
        actions,
        breadcrumbs: browse::breadcrumbs(words, &[("Users", "/users")], &user.name),
        ..Content::new(&user.name, body)
    }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let user = super::get(&visitor.scope, id.parse()?).await?;
    let around = Around::of(&visitor, &user, (&Default::default(), &Refused::NONE)).await?;
    Ok(visitor.page(detail(&visitor, &user, &around, &UserForm::of(&user), &Refused::NONE)))
}

/// A user's page again, with what is wrong with the form by which one acts as them.
pub(crate) async fn again(
    visitor: &Visitor,
    user: &User,
    acting: (&impersonation::pages::Given, &Refused),
) -> Result<Response, PageProblem> {
    let around = Around::of(visitor, user, acting).await?;
    Ok(visitor.page_again(detail(visitor, user, &around, &UserForm::of(user), acting.1)))
}

async fn update(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<UserForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let before = super::get(&visitor.scope, id).await?;
    let wanted = UserChange {
        name: Some(given.name.clone()).filter(|name| *name != before.name),
        role: Some(given.role.clone()).filter(|role| !role.is_empty() && *role != before.role),
        language: Some(given.language.clone()).filter(|tag| !tag.is_empty() && *tag != before.language),
        status: match given.status.as_str() {
            status if status == before.status => None,
            "active" => Some(Status::Active),
            "disabled" => Some(Status::Disabled),
            _ => None,
        },
    };
    match super::update(&visitor.scope, id, wanted).await {
        Ok(_) => Ok(console::done(&format!("/users/{id}"), "User saved.")),
        Err(error) => {
            let around = Around::of(&visitor, &before, (&Default::default(), &Refused::NONE)).await?;
            Ok(visitor.page_again(detail(&visitor, &before, &around, &given, &Refused::by(error)?)))
        }
    }
}

async fn show_history(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Response, PageProblem> {
    let user = super::get(&visitor.scope, id.parse()?).await?;
    let page = journal::of(&visitor.scope, user.id, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let href = format!("/users/{}", user.id);
    let older = page.next.as_ref().map(|next| format!("{href}/history?after={next}"));
    let body = html! {
        (security::history(&page.items))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content {
        breadcrumbs: browse::breadcrumbs(words, &[("Users", "/users"), (&user.name, &href)], "History"),
        ..Content::new("Security history", body)
    }))
}

async fn take_factors(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    factor::take_away(&visitor.scope, id).await?;
    Ok(console::done(&format!("/users/{id}"), "Their second factors are taken away."))
}

async fn end_sessions(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    session::end_of(&visitor.scope, id).await?;
    Ok(console::done(&format!("/users/{id}"), "They are signed out everywhere."))
}

async fn unlock(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    attempt::unlock(&visitor.scope, id).await?;
    Ok(console::done(&format!("/users/{id}"), "They can try again at once."))
}

/// A link, shown this once: what is to be handed over, how, and until when it works.
pub(crate) fn link_shown(words: &Words, link: &Link) -> Markup {
    html! {
        (code::secret_once(words, "link", "Sign-in link", &link.url))
        p { "It works once, until " (relative_time(&link.expires_at.to_string(), &link.expires_at.to_minute())) ". Hand it over by a way that only this user reads." }
    }
}

/// A page with a secret on it, which no cache may keep.
pub(crate) fn secret_page(visitor: &Visitor, content: Content<'_>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], visitor.page(content)).into_response()
}

async fn create_link(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let link = link::create(&visitor.scope, id).await?;
    let words = Words::for_lang(&visitor.person.language);
    let back = format!("/users/{id}");
    let body = html! {
        (link_shown(words, &link))
        (form::actions(&html! { (form::link("Back to the user", &back)) }))
    };
    Ok(secret_page(&visitor, Content::new("Sign-in link", body)))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/new", get(show_new))
        .route("/users/{id}", get(show).post(update))
        .route("/users/{id}/link", post(create_link))
        .route("/users/{id}/history", get(show_history))
        .route("/users/{id}/factors/remove", post(take_factors))
        .route("/users/{id}/sessions/end", post(end_sessions))
        .route("/users/{id}/unlock", post(unlock))
        .merge(account::router())
        .merge(security::router())
        .merge(phone::router())
}
