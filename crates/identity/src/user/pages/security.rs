//! Everybody's own security: password, second step, browsers, history.

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use serde::Deserialize;
use types::Code;
use web::access::{SESSION_COOKIE, cookie};
use web::console::Content;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, feedback, field, form};
use web::{App, Form, Json, PageProblem, Paging, Problem, Query, Refused, Visitor, assets, console};

use super::super::{self as user, User};
use super::secret_page;
use crate::device::{self, Device};
use crate::factor::passkey::{self, Challenge};
use crate::factor::{self, Security, backup, totp};
use crate::impersonation;
use crate::journal::{self, SecurityEntry};
use crate::mail;
use crate::policy;
use crate::security_event::{self, SecurityEvent};
use crate::session::{self, Session};
use crate::sign_in::pages::on_to;
use crate::sign_in::pages::{backup_codes, enrolment};
use crate::sign_in::recovery;

#[derive(Debug, Deserialize)]
struct Passwords {
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    repeated: String,
}

#[derive(Debug, Default, Deserialize)]
struct Code6 {
    #[serde(default)]
    code: String,
}

/// Entries of the history on the page; the rest is behind a link.
const HISTORY_SHOWN: &str = "10";
const BACKUP_WHY: &str = "Each works once, in place of your app or passkey. Keep them where you will find them without your phone.";

/// What the page shows, and what is wrong with its form.
struct Shown {
    user: User,
    security: Security,
    texts: bool,
    sessions: Vec<Session>,
    devices: Vec<Device>,
    history: Vec<SecurityEntry>,
    noticed: Vec<SecurityEvent>,
    acted: Markup,
    password: Refused,
}

/// Browsers that are signed in, with what can be done about each.
pub(super) fn signed_in(sessions: &[Session], action: Option<&dyn Fn(&Session) -> Markup>) -> Markup {
    let rows = sessions.iter().map(|session| {
        let mut cells = vec![
            html! { (session.user_agent.as_deref().unwrap_or("unknown")) },
            html! { (session.from_address.as_deref().unwrap_or("")) },
            relative_time(&session.created_at.to_string(), &session.created_at.to_minute()),
            relative_time(&session.last_seen_at.to_string(), &session.last_seen_at.to_minute()),
        ];
        cells.extend(action.map(|action| action(session)));
        row(cells)
    });
    let mut columns =
        vec![column("Browser"), column("Address"), column("Signed in").detail(), column("Last seen")];
    columns.extend(action.map(|_| column("Action").actions()));
    table("Signed-in browsers", columns, rows.collect()).render()
}

impl Shown {
    async fn load(visitor: &Visitor, headers: &HeaderMap) -> Result<Self, PageProblem> {
        let token = cookie(headers, SESSION_COOKIE);
        let few = Paging { limit: Some(HISTORY_SHOWN.to_owned()), after: None };
        Ok(Self {
            user: user::own(&visitor.scope).await?,
            security: factor::own(&visitor.scope).await?,
            texts: policy::read(&mut visitor.scope.read().await?, visitor.scope.tenant()).await?.sms_codes,
            sessions: session::list_own(&visitor.scope, token.as_deref()).await?,
            devices: device::list_own(&visitor.scope).await?,
            history: journal::own(&visitor.scope, &few).await?.items,
            noticed: security_event::own(&visitor.scope, &few).await?.items,
            acted: impersonation::pages::own_card(visitor).await?,
            password: Refused::NONE,
        })
    }

    fn content(&self, visitor: &Visitor) -> Content<'static> {
        let words = Words::for_lang(&visitor.person.language);
        let more = form::link("Whole history", "/account/security/history").small();
        let body = html! {
            (self.password.summary(words, &["current", "password", "repeated"]))
            @if self.security.second_factor_required && !self.security.has_second_factor() {
                (feedback::notice(Tone::Warn, "Your role needs a second step to sign in", &html! { "Add one below." }))
            }
            (card::card("Second step", &html! {}, &self.second(visitor)))
            (card::card("Password", &html! {}, &self.password_form(visitor)))
            (card::card("Signed in now", &html! {}, &self.browsers()))
            (card::card("Known browsers", &html! {}, &self.known(visitor)))
            (self.acted)
            (card::card("Noticed", &html! {}, &security_event::pages::of_oneself(&self.noticed)))
            (card::card("History", &html! { (more) }, &history(&self.history)))
        };
        Content::new("Security", body)
    }

    fn second(&self, visitor: &Visitor) -> Markup {
        let possible = passkey::are_possible(visitor.scope.runtime());
        html! {
            p { "A second step keeps your account yours when somebody learns your password." }
            h3 { "Authenticator app" }
            @match &self.security.authenticator {
                Some(held) => {
                    p { (badge::badge_icon(Tone::Good, Icon::Check, "on")) " since " (relative_time(&held.since.to_string(), &held.since.to_minute())) }
                    (form::post("/account/security/totp/remove", "", &form::actions(&html! { (form::submit("Remove the authenticator").weight(form::Weight::Plain)) })))
                }
                None => {
                    p { "An app on your phone that shows a new code every 30 seconds." }
                    div class="actions" { (form::link("Add an authenticator", "/account/security/totp").icon(Icon::Plus)) }
                }
            }
            h3 { "Passkeys" }
            @if self.security.passkeys.is_empty() {
                p { "A key on your phone, computer or a stick that opens by finger, face or number. It signs you in alone, without a password." }
            } @else { (self.passkeys()) }
            @if possible { (new_passkey()) } @else {
                p class="hint" { "Passkeys need the console to have a name: an administrator sets public_url in the configuration." }
            }
            (super::phone::section(&self.security, self.texts))
            @if self.security.has_second_factor() {
                h3 { "Backup codes" }
                p { (self.security.backup_codes) " are left. " "Each works once, for the day when app and key are lost." }
                (form::post("/account/security/backup-codes", "", &form::actions(&html! { (form::submit("Make new codes").weight(form::Weight::Plain)) })))
            }
            h3 { "E-mail address" }
            @match self.security.email_verified_at {
                Some(at) => p { (badge::badge_icon(Tone::Good, Icon::Check, "known to be yours")) " since " (relative_time(&at.to_string(), &at.to_minute())) },
                None => {
                    p { (badge::badge(Tone::Neutral, "not verified")) " " (self.user.email) }
                    @if mail::is_on(visitor.scope.runtime()) {
                        (form::post("/account/security/verify", "", &form::actions(&html! { (form::submit("Mail me a link").weight(form::Weight::Plain)) })))
                    }
                }
            }
        }
    }

    fn passkeys(&self) -> Markup {
        let rows = self.security.passkeys.iter().map(|held| {
            let remove = form::post(
                &format!("/account/security/passkeys/{}/remove", held.id),
                "",
                &html! { (form::submit("Remove").weight(form::Weight::Quiet).small()) },
            );
            row(vec![
                html! { (held.name) },
                relative_time(&held.created_at.to_string(), &held.created_at.to_minute()),
                html! { @match held.last_used_at { Some(at) => (relative_time(&at.to_string(), &at.to_minute())), None => "never" } },
                remove,
            ])
        });
        let columns =
            vec![column("Name"), column("Added"), column("Last used").detail(), column("Action").actions()];
        html! { (table("Passkeys", columns, rows.collect())) }
    }

    fn password_form(&self, visitor: &Visitor) -> Markup {
        let least = visitor.scope.runtime().config.security.password_chars_min;
        let hint = format!(
            "At least {least} characters, and nothing that others would guess. Your other browsers are signed out."
        );
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
        let end = |session: &Session| {
            html! {
                @if session.current { (badge::badge_icon(Tone::Info, Icon::Check, "this one")) }
                @else {
                    (form::post(
                        &format!("/account/sessions/{}/revoke", session.id),
                        "",
                        &html! { (form::submit("Sign out").weight(form::Weight::Quiet).small()) },
                    ))
                }
            }
        };
        let others = self.sessions.iter().any(|session| !session.current);
        html! {
            (signed_in(&self.sessions, Some(&end)))
            @if others {
                (form::post("/account/sessions/others/revoke", "", &form::actions(&html! { (form::submit("Sign all others out").weight(form::Weight::Plain)) })))
            }
        }
    }

    fn known(&self, visitor: &Visitor) -> Markup {
        let now = visitor.scope.now();
        let rows = self.devices.iter().map(|known| {
            let forget = form::post(
                &format!("/account/security/devices/{}/forget", known.id),
                "",
                &html! { (form::submit("Forget").weight(form::Weight::Quiet).small()) },
            );
            let trusted = known.trusted_until.filter(|until| *until > now);
            row(vec![
                html! { (known.user_agent.as_deref().unwrap_or("unknown")) },
                html! { (known.from_address.as_deref().unwrap_or("")) },
                relative_time(&known.last_seen_at.to_string(), &known.last_seen_at.to_minute()),
                html! { @match trusted { Some(until) => { "not asked until " (relative_time(&until.to_string(), &until.to_minute())) }, None => "asked" } },
                forget,
            ])
        });
        let columns = vec![
            column("Browser"),
            column("Address").detail(),
            column("Last signed in"),
            column("Second step"),
            column("Action").actions(),
        ];
        html! {
            p { "We tell you by mail when a browser signs in that is not on this list." }
            (table("Known browsers", columns, rows.collect()))
        }
    }
}

/// The entries of a security history.
pub(super) fn history(entries: &[SecurityEntry]) -> Markup {
    let rows = entries.iter().map(|entry| {
        row(vec![
            relative_time(&entry.at.to_string(), &entry.at.to_minute()),
            html! { (journal::title(&entry.kind)) },
            html! { (entry.detail.as_deref().unwrap_or("")) @if let Some(by) = &entry.done_by { " by " (by) } },
            html! { (entry.from_address.as_deref().unwrap_or("")) },
            html! { (entry.user_agent.as_deref().unwrap_or("")) },
        ])
    });
    let columns =
        vec![column("When"), column("What"), column("Detail"), column("Address"), column("Browser").detail()];
    html! { (table("Security history", columns, rows.collect()).dense()) }
}

/// A name, and the button by which script asks the browser for a passkey.
fn new_passkey() -> Markup {
    html! {
        div class="passkey" data-passkey="/account/security/passkeys" data-create data-name="f-passkey_name"
            data-failed="The passkey was not added. Try again, or with another one."
            data-codes=(BACKUP_WHY) data-kept="I have kept them" hidden {
            (field::text("passkey_name", "Name of the passkey").hint("So that you know it again: Phone, Office key.").max_chars(60).autocomplete("off"))
            button type="button" class="button" { (web::ui::icon::icon(Icon::Plus)) span { "Add a passkey" } }
            p class="passkey-failed" role="alert" {}
        }
        script src=(assets::url("passkey.js")) defer {}
    }
}

async fn show(visitor: Visitor, headers: HeaderMap) -> Result<Response, PageProblem> {
    let shown = Shown::load(&visitor, &headers).await?;
    Ok(visitor.page(shown.content(&visitor)))
}

async fn show_history(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = journal::own(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let older = page.next.as_ref().map(|next| format!("/account/security/history?after={next}"));
    let body = html! {
        (history(&page.items))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content {
        breadcrumbs: browse::breadcrumbs(words, &[("Security", "/account/security")], "History"),
        ..Content::new("Security history", body)
    }))
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
        Ok(()) => Ok(console::done("/account/security", "The password is set.")),
        Err(error) => {
            let refused = Refused::by(error)?;
            let mut shown = Shown::load(&visitor, &headers).await?;
            shown.password = refused;
            Ok(visitor.page_again(shown.content(&visitor)))
        }
    }
}

async fn revoke(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    session::revoke_own(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/account/security", "That browser is signed out."))
}

async fn revoke_others(visitor: Visitor, headers: HeaderMap) -> Result<Response, PageProblem> {
    let token = cookie(&headers, SESSION_COOKIE).unwrap_or_default();
    session::revoke_others(&visitor.scope, &token).await?;
    Ok(console::done("/account/security", "All your other browsers are signed out."))
}

async fn forget(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    device::forget_own(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/account/security", "That browser is forgotten."))
}

async fn totp_page(visitor: &Visitor, refused: &Refused) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let begun = totp::begin(&visitor.scope).await?;
    let fields = html! {
        (field::text("code", "Code that the app shows").autocomplete("one-time-code").mono().max_chars(10).error(refused.at("code")).words(words).required())
        (form::actions(&html! { (form::submit("Add the authenticator")) (form::link("Cancel", "/account/security")) }))
    };
    let body = html! {
        (refused.summary(words, &["code"]))
        (card::panel(&html! {
            (enrolment(words, "Scan this picture with the app.", "Or type this key into it:", &begun))
            (form::post("/account/security/totp", "", &fields))
        }))
    };
    Ok(Content {
        breadcrumbs: browse::breadcrumbs(words, &[("Security", "/account/security")], "Authenticator"),
        ..Content::new("Add an authenticator", body)
    })
}

async fn show_totp(visitor: Visitor) -> Result<Response, PageProblem> {
    let content = totp_page(&visitor, &Refused::NONE).await?;
    Ok(secret_page(&visitor, content))
}

/// Back to the page of one's security, by the codes where some were made.
pub(super) fn with_codes(visitor: &Visitor, codes: &[String], sentence: &str) -> Response {
    if codes.is_empty() {
        return console::done("/account/security", sentence);
    }
    let words = Words::for_lang(&visitor.person.language);
    let body = html! {
        (feedback::notice(Tone::Good, sentence, &html! {}))
        (card::panel(&backup_codes(words, BACKUP_WHY, codes)))
        div class="actions" { (form::link("I have kept them", "/account/security").weight(form::Weight::Primary)) }
    };
    secret_page(visitor, Content::new("Your backup codes", body))
}

async fn confirm_totp(visitor: Visitor, Form(given): Form<Code6>) -> Result<Response, PageProblem> {
    match totp::confirm(&visitor.scope, &given.code).await {
        Ok(codes) => Ok(with_codes(&visitor, &codes, "The authenticator is added.")),
        Err(error) if error.code() == Code::Conflict => Err(error.into()),
        Err(error) => Ok(visitor.page_again(totp_page(&visitor, &Refused::by(error)?).await?)),
    }
}

async fn remove_totp(visitor: Visitor) -> Result<Response, PageProblem> {
    totp::remove(&visitor.scope).await?;
    Ok(console::done("/account/security", "The authenticator is removed."))
}

async fn renew_codes(visitor: Visitor) -> Result<Response, PageProblem> {
    let codes = backup::renew(&visitor.scope).await?;
    Ok(with_codes(&visitor, &codes, "These are your new codes; the former ones are of no use any more."))
}

async fn passkey_options(visitor: Visitor) -> Result<axum::Json<Challenge>, Problem> {
    Ok(axum::Json(passkey::begin(&visitor.scope).await?))
}

async fn add_passkey(visitor: Visitor, Json(response): Json<passkey::Response>) -> Result<Response, Problem> {
    let (_, codes) = passkey::finish(&visitor.scope, response).await?;
    if codes.is_empty() {
        return Ok(on_to("/account/security"));
    }
    // Script shows them in the page, so that they lie in no address and no cache.
    Ok(axum::Json(serde_json::json!({ "to": "/account/security", "codes": codes })).into_response())
}

async fn remove_passkey(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    passkey::remove(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/account/security", "The passkey is removed. Remove it on your device too."))
}

async fn verify(visitor: Visitor) -> Result<Response, PageProblem> {
    recovery::ask_verification(&visitor.scope).await?;
    Ok(console::done("/account/security", "A mail is on its way to you."))
}

/// What can only be posted to, opened by hand or by the way back from a proof.
async fn back_to_security() -> Redirect {
    Redirect::to("/account/security")
}

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/account/security", get(show))
        .route("/account/security/history", get(show_history))
        .route("/account/password", get(back_to_security).post(set_password))
        .route("/account/sessions/others/revoke", post(revoke_others))
        .route("/account/sessions/{id}/revoke", post(revoke))
        .route("/account/security/devices/{id}/forget", post(forget))
        .route("/account/security/totp", get(show_totp).post(confirm_totp))
        .route("/account/security/totp/remove", post(remove_totp))
        .route("/account/security/backup-codes", get(back_to_security).post(renew_codes))
        .route("/account/security/passkeys/options", post(passkey_options))
        .route("/account/security/passkeys", post(add_passkey))
        .route("/account/security/passkeys/{id}/remove", post(remove_passkey))
        .route("/account/security/verify", post(verify))
}
