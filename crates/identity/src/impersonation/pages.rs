//! Acting as another user in the console: a card on the user's page, one on one's own, and the way out of it.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::post;
use maud::{Markup, Render, html};
use serde::Deserialize;
use types::{Error, Permission};
use web::ui::field::Choice;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::words::Words;
use web::ui::{card as cards, field, form};
use web::{App, Form, PageProblem, Paging, Refused, Visitor, console};

use super::{Impersonation, ImpersonationFilter, NewImpersonation};
use crate::user::User;

/// The times that the console offers, in minutes.
const MINUTES: &[u32] = &[15, 30, 60, 120, 240, 480];
/// Former ones that a card shows.
const SHOWN: &str = "5";

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    acting_reason: String,
    #[serde(default)]
    acting_minutes: String,
}

fn lines(found: &[Impersonation]) -> Markup {
    let at = |at: types::Timestamp| relative_time(&at.to_string(), &at.to_minute());
    let rows = found.iter().map(|one| {
        row(vec![
            html! { bdi { (one.by_name) } },
            html! { (one.reason) },
            at(one.started_at),
            html! { @if one.active { "until " (at(one.ends_at)) } @else { "ended " (at(one.ended_at.unwrap_or(one.ends_at))) } },
        ])
    });
    let columns = vec![column("Who"), column("Why"), column("Since"), column("State")];
    table("Who acted as this user", columns, rows.collect()).dense().render()
}

/// What others did as a user, and the form to do so; nothing for somebody who may not.
pub(crate) async fn card(
    visitor: &Visitor,
    user: &User,
    governs: bool,
    (given, refused): (&Given, &Refused),
) -> Result<Markup, PageProblem> {
    let scope = &visitor.scope;
    if !scope.permissions().contains(Permission::UserImpersonate) {
        return Ok(html! {});
    }
    let filter = ImpersonationFilter { user: Some(user.id), limit: Some(SHOWN.to_owned()), after: None };
    let found = super::list(scope, &filter).await?.items;
    let words = Words::for_lang(&visitor.person.language);
    let most = scope.runtime().config.security.impersonation_m_max;
    let offered: Vec<(String, String)> = MINUTES
        .iter()
        .copied()
        .filter(|minutes| *minutes < most)
        .chain([most])
        .map(|minutes| (minutes.to_string(), format!("{minutes} minutes")))
        .collect();
    let choices: Vec<Choice<'_>> = offered.iter().map(|(value, title)| Choice::new(value, title)).collect();
    let chosen = if given.acting_minutes.is_empty() { "30" } else { &given.acting_minutes };
    let fields = html! {
        (field::text("acting_reason", "Why do you act as them").value(&given.acting_reason).max_chars(200).hint("They read it, and it stands in the audit trail.").error(refused.at("acting_reason")).words(words).required())
        (field::select("acting_minutes", "For", &choices).value(chosen).error(refused.at("acting_minutes")))
        (form::actions(&html! { (form::submit("Act as this user").weight(form::Weight::Plain)) }))
    };
    let address = format!("/users/{}/impersonation", user.id);
    let active = found.iter().any(|one| one.active);
    Ok(cards::card(
        "Act as this user",
        &html! {},
        &html! {
            @if !found.is_empty() { (lines(&found)) }
            @if active { (form::post(&format!("{address}/end"), "", &form::actions(&html! { (form::submit("End it now").weight(form::Weight::Plain)) }))) }
            @if governs && !scope.actor().is_person(user.id) {
                p { "You see and do what they may, and everything names you beside them. Their password, factors, sessions and keys stay closed." }
                (form::post(&address, "", &fields))
            }
        },
    ))
}

/// Who acted as oneself, with the end of it.
pub(crate) async fn own_card(visitor: &Visitor) -> Result<Markup, PageProblem> {
    let few = Paging { limit: Some(SHOWN.to_owned()), after: None };
    let found = super::list_own(&visitor.scope, &few).await?.items;
    if found.is_empty() {
        return Ok(html! {});
    }
    let active = found.iter().any(|one| one.active);
    Ok(cards::card(
        "Who acted as you",
        &html! {},
        &html! {
            (lines(&found))
            @if active { (form::post("/account/impersonation/end", "", &form::actions(&html! { (form::submit("End it now").weight(form::Weight::Plain)) }))) }
        },
    ))
}

async fn start(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let minutes = given.acting_minutes.trim();
    let minutes = match minutes {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Error::invalid("minutes", "this is no number")),
    };
    let begun = match minutes {
        Ok(minutes) => {
            super::start(
                &visitor.scope,
                id,
                NewImpersonation { reason: given.acting_reason.clone(), minutes },
            )
            .await
        }
        Err(error) => Err(error),
    };
    match begun {
        Ok(begun) => Ok(console::done("/", &format!("You act as {} now.", begun.user_name))),
        Err(error) => {
            // The page has other forms with a reason.
            let error = match error.place().map(|place| format!("acting_{place}")) {
                Some(at) => error.at(at),
                None => error,
            };
            let refused = Refused::by(error)?;
            let user = crate::user::get(&visitor.scope, id).await?;
            crate::user::pages::again(&visitor, &user, (&given, &refused)).await
        }
    }
}

async fn end(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    super::end(&visitor.scope, id).await?;
    Ok(console::done(&format!("/users/{id}"), "Nobody acts as this user any more."))
}

async fn end_own(visitor: Visitor) -> Result<Response, PageProblem> {
    super::end(&visitor.scope, crate::user::person(&visitor.scope)?).await?;
    Ok(console::done("/account/security", "Nobody acts as you any more."))
}

async fn stop(visitor: Visitor) -> Result<Response, PageProblem> {
    match super::stop(&visitor.scope).await {
        Ok(ended) => Ok(console::done(&format!("/users/{}", ended.user), "You are yourself again.")),
        // It ended by itself while the page was open.
        Err(error) if error.code() == types::Code::Conflict => {
            Ok(console::done("/", "You are yourself again."))
        }
        Err(error) => Err(error.into()),
    }
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/users/{id}/impersonation", post(start))
        .route("/users/{id}/impersonation/end", post(end))
        .route("/account/impersonation/end", post(end_own))
        .route("/impersonation/stop", post(stop))
}
