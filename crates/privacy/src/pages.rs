//! Privacy in the console: the register, consents and breaches; requests have pages of their own.

use std::collections::HashMap;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use identity::actor;
use maud::{Markup, html};
use serde::Deserialize;
use types::{Permission, Timestamp};
use web::console::{Content, NavEntry};
use web::ui::browse::Tab;
use web::ui::field::Choice;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Refused, Visitor, console};

use crate::breach::{self, Breach, NewBreach, NewBreachStep, StepKind};
use crate::consent::{self, ConsentFilter};
use crate::{register, request, retention};

/// The console's pages of this crate.
pub fn pages() -> Router<App> {
    Router::new()
        .merge(request::pages::router())
        .merge(retention::pages::router())
        .route("/privacy/register", get(show_register))
        .route("/privacy/consents", get(consents))
        .route("/privacy/breaches", get(breaches).post(note))
        .route("/privacy/breaches/new", get(new_breach))
        .route("/privacy/breaches/{id}", get(show_breach).post(add_step))
}

/// Their place in the navigation.
pub const NAV: &[NavEntry] = &[NavEntry {
    group: "Oversight",
    label: "Privacy",
    href: "/privacy",
    icon: Icon::Shield,
    key: None,
    permission: Permission::PrivacyView,
}];

pub(crate) fn may(visitor: &Visitor, permission: Permission) -> bool {
    visitor.scope.permissions().contains(permission)
}

/// The tabs above all pages of this crate that the visitor may open.
pub(crate) fn tabs(visitor: &Visitor, here: &str) -> Markup {
    let all = [
        ("Requests", "/privacy", Permission::PrivacyView),
        ("Consents", "/privacy/consents", Permission::ConsentView),
        ("Breaches", "/privacy/breaches", Permission::BreachView),
        ("Retention", "/privacy/retention", Permission::PrivacyView),
        ("Register", "/privacy/register", Permission::PrivacyView),
    ];
    let shown: Vec<Tab<'_>> = all
        .into_iter()
        .filter(|(_, _, permission)| may(visitor, *permission))
        .map(|(label, href, _)| Tab { label, href, current: href == here, count: None })
        .collect();
    browse::tabs("Privacy", &shown)
}

pub(crate) fn at(instant: Timestamp) -> Markup {
    relative_time(&instant.to_string(), &instant.to_minute())
}

/// Who did a step: by name, where there is one.
pub(crate) fn who(actor: &str, names: &HashMap<String, String>) -> Markup {
    html! { @match names.get(actor) { Some(name) => span title=(actor) { (name) }, None => (actor) } }
}

/// A clock: how much of the time is used, and what is left.
pub(crate) fn clock(from: Timestamp, due: Timestamp, now: Timestamp) -> Markup {
    let whole = due.since_ms(from).max(1);
    let used = now.since_ms(from).clamp(0, whole);
    html! {
        @if now > due { (badge::badge_icon(Tone::Bad, Icon::Warning, "overdue")) " " }
        (feedback::progress("Time used", used.unsigned_abs(), Some(whole.unsigned_abs()), "")) " until " (at(due))
    }
}

async fn show_register(visitor: Visitor) -> Result<Response, PageProblem> {
    let register = register::register(&visitor.scope).await?;
    let rows = register.program.iter().map(|one| {
        row(vec![
            html! { (one.title) " " code dir="ltr" { (one.table) } },
            html! { (one.subjects) },
            html! { (one.purpose) },
            html! { (one.legal_basis) },
            html! { (one.kept) },
            html! { (one.erasure) },
        ])
    });
    let own = register.activities.iter().map(|one| {
        row(vec![
            html! { (one.purpose) },
            html! { (one.subjects) },
            html! { (one.legal_basis) },
            html! { (one.recipients) },
            html! { (one.transfers) },
            html! { (one.kept) },
        ])
    });
    let unsaid = |text: &str| if text.is_empty() { "not said yet".to_owned() } else { text.to_owned() };
    let body = html! {
        (tabs(&visitor, "/privacy/register"))
        (card::panel(&card::facts(&[
            ("Controller", html! { (unsaid(&register.controller)) }),
            ("Data protection officer", html! { (unsaid(&register.officer)) }),
        ])))
        (table("What the program keeps", vec![
            column("What"), column("Whose"), column("Purpose"), column("Legal basis"), column("Kept"), column("On erasure"),
        ], rows.collect()).caption_shown())
        (table("What the organisation adds", vec![
            column("Purpose"), column("Whose"), column("Legal basis"), column("Recipients"), column("Transfers"), column("Kept"),
        ], own.collect()).caption_shown().empty(feedback::empty(Icon::Book, "Nothing added", "Add activities over the API or with switchboard privacy settings.", &html! {})))
        (card::card("Safeguards", &html! {}, &html! { ul { @for one in register.safeguards { li { (one) } } } }))
    };
    Ok(visitor.page(Content::new("Processing register", body)))
}

async fn consents(visitor: Visitor, Query(filter): Query<ConsentFilter>) -> Result<Response, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let page = consent::list(&visitor.scope, &filter).await?;
    let rows = page.items.iter().map(|one| {
        let mark = match one.given {
            true => badge::badge_icon(Tone::Good, Icon::Check, "given"),
            false => badge::badge_icon(Tone::Neutral, Icon::Cross, "withdrawn"),
        };
        row(vec![
            html! { span dir="ltr" { (one.identifier.as_deref().unwrap_or("erased person")) } },
            mark,
            html! { (one.purpose) },
            html! { (one.channel) },
            html! { (one.source) },
            at(one.at),
        ])
    });
    let heads = vec![
        column("Person"),
        column("Consent"),
        column("Purpose"),
        column("Channel"),
        column("Source"),
        column("When"),
    ];
    let empty = feedback::empty(
        Icon::Check,
        "No consents yet",
        "They are recorded over the API, as they are given and withdrawn.",
        &html! {},
    );
    let older = page.next.as_ref().map(|next| format!("/privacy/consents?after={next}"));
    let body = html! {
        (tabs(&visitor, "/privacy/consents"))
        (table("Consents", heads, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content::new("Consents", body)))
}

fn breach_clock(one: &Breach, now: Timestamp) -> Markup {
    match (one.authority_told_at, one.closed_at) {
        (Some(told), _) => html! { "authority told " (at(told)) },
        (None, Some(closed)) => html! { "closed " (at(closed)) },
        (None, None) => clock(one.discovered_at, one.due_at, now),
    }
}

async fn breaches(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let page = breach::list(&visitor.scope, &paging).await?;
    let now = visitor.scope.now();
    let rows = page.items.iter().map(|one| {
        row(vec![html! { (one.title) }, at(one.discovered_at), breach_clock(one, now)])
            .link(format!("/privacy/breaches/{}", one.id))
    });
    let create = html! {
        @if may(&visitor, Permission::BreachManage) {
            (form::link("Note a breach", "/privacy/breaches/new").icon(Icon::Plus).weight(form::Weight::Primary))
        }
    };
    let empty = feedback::empty(
        Icon::Shield,
        "No breaches",
        "A breach that is noted gets its clock, so that the authority hears in time.",
        &create,
    );
    let older = page.next.as_ref().map(|next| format!("/privacy/breaches?after={next}"));
    let heads = vec![column("Breach"), column("Discovered"), column("Authority")];
    let body = html! {
        (tabs(&visitor, "/privacy/breaches"))
        (table("Breaches", heads, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content { actions: create, ..Content::new("Breaches", body) }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BreachForm {
    title: String,
    about: String,
    persons: String,
}

fn breach_form(words: &'static Words, given: &BreachForm, refused: &Refused) -> Content<'static> {
    let body = html! {
        (refused.summary(words, &["title", "about", "persons"]))
        (form::post("/privacy/breaches", "", &html! {
            (field::text("title", "What happened, in a line").value(&given.title).error(refused.at("title")).max_chars(200).required())
            (field::textarea("about", "Which data, and what may come of it").value(&given.about).error(refused.at("about")).rows(6))
            (field::number("persons", "About how many persons").value(&given.persons).error(refused.at("persons")).range("0", "1000000000"))
            (form::actions(&html! { (form::submit("Note it")) (form::link("Cancel", "/privacy/breaches")) }))
        }))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Breaches", "/privacy/breaches")], "New");
    Content { breadcrumbs, ..Content::new("Note a breach", body) }
}

async fn new_breach(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::BreachManage)?;
    let words = Words::for_lang(&visitor.person.language);
    Ok(visitor.page(breach_form(words, &BreachForm::default(), &Refused::NONE)))
}

async fn note(visitor: Visitor, Form(given): Form<BreachForm>) -> Result<Response, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let persons = match given.persons.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| types::Error::invalid("persons", "give a number")),
    };
    let noted = match persons {
        Ok(persons) => {
            let (title, about) = (given.title.clone(), given.about.clone());
            breach::note(&visitor.scope, NewBreach { title, about, discovered_at: None, persons }).await
        }
        Err(error) => Err(error),
    };
    match noted {
        Ok(one) => Ok(console::done(&format!("/privacy/breaches/{}", one.id), "Noted; the clock runs.")),
        Err(error) => Ok(visitor.page_again(breach_form(words, &given, &Refused::by(error)?))),
    }
}

#[derive(Debug, Deserialize)]
struct StepForm {
    step: StepKind,
    #[serde(default)]
    note: String,
}

async fn breach_page(
    visitor: &Visitor,
    one: &Breach,
    given: &str,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let names = actor::names(&visitor.scope, one.steps.iter().map(|step| step.actor.as_str())).await?;
    let words = Words::for_lang(&visitor.person.language);
    let choices = [
        Choice::new("note", "Something was found out or done"),
        Choice::new("authority_told", "The authority was told"),
        Choice::new("persons_told", "The persons were told"),
        Choice::new("closed", "Nothing more is to be done"),
    ];
    let told = |instant: Option<Timestamp>| html! { @match instant { Some(instant) => (at(instant)), None => "not yet" } };
    let body = html! {
        (card::panel(&html! {
            p { (one.about) }
            (card::facts(&[
                ("Discovered", at(one.discovered_at)),
                ("Authority", breach_clock(one, visitor.scope.now())),
                ("Persons told", told(one.persons_told_at)),
                ("Persons", html! { @match one.persons { Some(n) => (n), None => "not known yet" } }),
            ]))
        }))
        (card::card("What was done", &html! {}, &html! {
            @if one.steps.is_empty() { p { "Nothing yet." } }
            ul { @for step in &one.steps { li { (at(step.at)) " " b { (step_words(step.step)) } " " (step.note) " (" (who(&step.actor, &names)) ")" } } }
        }))
        @if may(visitor, Permission::BreachManage) && one.closed_at.is_none() {
            (refused.summary(words, &["note"]))
            (card::card("Next step", &html! {}, &form::post(&format!("/privacy/breaches/{}", one.id), "", &html! {
                (field::select("step", "What", &choices))
                (field::textarea("note", "Who was told what, or what was done").value(given).error(refused.at("note")).rows(3).required())
                (form::actions(&html! { (form::submit("Note it")) }))
            })))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Breaches", "/privacy/breaches")], &one.title);
    Ok(Content { breadcrumbs, ..Content::new("Breach", body) })
}

const fn step_words(step: StepKind) -> &'static str {
    match step {
        StepKind::Note => "Noted:",
        StepKind::AuthorityTold => "Authority told:",
        StepKind::PersonsTold => "Persons told:",
        StepKind::Closed => "Closed:",
    }
}

async fn show_breach(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let one = breach::get(&visitor.scope, id.parse()?).await?;
    Ok(visitor.page(breach_page(&visitor, &one, "", &Refused::NONE).await?))
}

async fn add_step(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<StepForm>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let step = NewBreachStep { step: given.step, note: given.note.clone() };
    match breach::add_step(&visitor.scope, id, &step).await {
        Ok(_) => Ok(console::done(&format!("/privacy/breaches/{id}"), "Noted.")),
        Err(error) => {
            let one = breach::get(&visitor.scope, id).await?;
            let refused = Refused::by(error)?;
            Ok(visitor.page_again(breach_page(&visitor, &one, &given.note, &refused).await?))
        }
    }
}
