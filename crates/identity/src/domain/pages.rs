//! The organisation's own domains in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::Permission;
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::icon::Icon;
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, feedback, field, form};
use web::{App, Form, PageProblem, Refused, Visitor, console};

use super::{Domain, NewDomain, PROOF_PATH};

/// The entry of the navigation that these pages hang under.
const UNDER: &str = "/organisation";

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    host: String,
}

fn one(words: &Words, domain: &Domain, manages: bool) -> Markup {
    let state = match domain.proved_at {
        Some(at) => html! {
            (badge::badge_icon(Tone::Good, Icon::Check, "proved")) " " (relative_time(&at.to_string(), &at.to_minute()))
        },
        None => badge::badge_icon(Tone::Warn, Icon::Clock, "to be proved"),
    };
    let action = format!("/domains/{}/remove", domain.id);
    let (id, title) = (format!("remove-{}", domain.id), format!("Remove {}?", domain.host));
    let ask = Confirm {
        id: &id,
        button: "Remove…",
        title: &title,
        text: match domain.proved_at {
            Some(_) => {
                "Its sign-in page is then the installation's again, and links in mails lead there. Your people sign in anew."
            }
            None => "It serves nobody yet. When you add it again, it has another line.",
        },
        confirm: "Remove domain",
        action: &action,
        csrf: "",
        danger: false,
    };
    let actions = html! {
        @if manages {
            @if domain.proved_at.is_none() {
                (form::post(&format!("/domains/{}/check", domain.id), "", &html! { (form::submit("Check now").weight(form::Weight::Plain)) }))
            }
            (dialog::confirm(words, &ask))
        }
    };
    let body = html! {
        p { (state) }
        @if domain.proved_at.is_none() {
            div class="prose" { ol {
                li {
                    p { "Put this line into the file " code dir="ltr" { "http://" (domain.host) (PROOF_PATH) } ", where anybody can read it:" }
                    (code::value(words, &format!("token-{}", domain.id), &domain.token))
                }
                li { "Check it. Whoever proves the host has it." }
                li { "Then let the host lead to this server, with a certificate for it." }
            } }
            @if let Some(problem) = &domain.problem { (feedback::notice(Tone::Warn, "The last check found no proof", &html! { (problem) })) }
        } @else {
            p { "Let the host lead to this server: its people sign in at " code dir="ltr" { "https://" (domain.host) "/" } ", and nobody else's do." }
        }
    };
    card::card(&domain.host, &actions, &body)
}

async fn content(
    visitor: &Visitor,
    given: &Given,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let domains = super::list(&visitor.scope).await?.items;
    let manages = visitor.scope.permissions().contains(Permission::DomainManage);
    let add = html! {
        (field::text("host", "Host").hint("Such as sms.example.com").mono().value(&given.host).max_chars(253).error(refused.at("host")).required())
        (form::actions(&html! { (form::submit("Add domain")) }))
    };
    let body = html! {
        (refused.summary(words, &["host"]))
        @if domains.is_empty() {
            (card::panel(&feedback::empty(Icon::Globe, "No domain of your own", "Add one below: your people then sign in with your name and looks at an address of yours, and links in mails lead there.", &html! {})))
        }
        @for domain in &domains { (one(words, domain, manages)) }
        @if manages { (card::card("Add a domain", &html! {}, &form::post("/domains", "", &add))) }
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Organisation", "/organisation")], "Domains");
    Ok(Content { breadcrumbs, ..Content::new("Domains", body) })
}

async fn show(visitor: Visitor) -> Result<Response, PageProblem> {
    let shown = content(&visitor, &Given::default(), &Refused::NONE).await?;
    Ok(visitor.under(UNDER).page(shown))
}

async fn add(visitor: Visitor, Form(given): Form<Given>) -> Result<Response, PageProblem> {
    match super::create(&visitor.scope, NewDomain { host: given.host.clone() }).await {
        Ok(domain) => Ok(console::done("/domains", &format!("{} is added. Now prove it.", domain.host))),
        Err(error) => {
            let again = content(&visitor, &given, &Refused::by(error)?).await?;
            Ok(visitor.under(UNDER).page_again(again))
        }
    }
}

async fn check(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    match super::check(&visitor.scope, id.parse()?).await {
        Ok(domain) => Ok(console::done("/domains", &format!("{} is proved.", domain.host))),
        Err(error) => {
            let refused = Refused::by(error)?;
            let again = content(&visitor, &Given::default(), &refused).await?;
            Ok(visitor.under(UNDER).page_again(again))
        }
    }
}

async fn remove(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(console::done("/domains", "The domain is removed."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/domains", get(show).post(add))
        .route("/domains/{id}/check", post(check))
        .route("/domains/{id}/remove", post(remove))
}
