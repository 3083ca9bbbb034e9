//! Requests of persons in the console.

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use identity::actor;
use maud::{Markup, html};
use serde::Deserialize;
use types::{Permission, PrivacyRequestId};
use web::console::Content;
use web::ui::dialog::{self, Confirm};
use web::ui::field::Choice;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, feedback, field, form, live};
use web::{App, Form, PageProblem, Query, Refused, Visitor, console};

use super::api::FileQuery;
use super::{Kind, NewRequest, Reason, Request, RequestFilter, decide};
use crate::erase::Erased;
use crate::pages::{at, clock, may, tabs, who};

const fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Access => "Access: to be told what is kept",
        Kind::Portability => "Portability: what they gave, for machines",
        Kind::Rectification => "Rectification: to have it put right",
        Kind::Erasure => "Erasure: to have it erased",
        Kind::Restriction => "Restriction: kept, and not used",
        Kind::Objection => "Objection: no marketing",
    }
}

fn kind_short(kind: Kind) -> &'static str {
    kind_words(kind).split_once(':').map_or("", |(name, _)| name)
}

fn state(one: &Request) -> Markup {
    match one.state.as_str() {
        "done" => badge::badge_icon(Tone::Good, Icon::Check, "done"),
        "refused" => badge::badge_icon(Tone::Neutral, Icon::Cross, "refused"),
        "working" => badge::badge_icon(Tone::Info, Icon::Clock, "working"),
        _ if one.overdue => badge::badge_icon(Tone::Bad, Icon::Warning, "overdue"),
        _ => badge::badge(Tone::Info, "open"),
    }
}

fn whose(one: &Request) -> Markup {
    html! {
        @if one.identifiers.is_empty() { "erased person" }
        span dir="ltr" { (one.identifiers.join(", ")) }
    }
}

fn left(visitor: &Visitor, one: &Request) -> Markup {
    match one.ended_at {
        Some(ended) => html! { "answered " (at(ended)) },
        None => clock(one.opened_at, one.due_at, visitor.scope.now()),
    }
}

async fn list(visitor: Visitor, Query(filter): Query<RequestFilter>) -> Result<Response, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let page = super::list(&visitor.scope, &filter).await?;
    let rows = page.items.iter().map(|one| {
        row(vec![html! { (kind_short(one.kind)) }, whose(one), state(one), left(&visitor, one)])
            .link(format!("/privacy/requests/{}", one.id))
    });
    let create = html! {
        @if may(&visitor, Permission::PrivacyOpen) {
            (form::link("New request", "/privacy/requests/new").icon(Icon::Plus).weight(form::Weight::Primary))
        }
    };
    let empty = feedback::empty(
        Icon::Users,
        "No requests yet",
        "When somebody asks what is kept about them, or wants it erased, take it in here; the clock runs and the system does the work.",
        &create,
    );
    let older = page.next.as_ref().map(|next| format!("/privacy?after={next}"));
    let heads = vec![column("Asks for"), column("Person"), column("State"), column("Time")];
    let body = html! {
        (tabs(&visitor, "/privacy"))
        (table("Requests", heads, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page(Content { actions: create, ..Content::new("Privacy", body) }))
}

#[derive(Debug, Deserialize)]
struct NewForm {
    kind: Kind,
    #[serde(default)]
    identifiers: String,
    #[serde(default)]
    note: String,
}

fn new_page(words: &'static Words, given: &NewForm, refused: &Refused) -> Content<'static> {
    let choices = Kind::ALL.map(|kind| Choice::new(kind.as_str(), kind_words(kind)));
    // One line is one identifier, and whichever is wrong, the field is this one.
    let wrong = (0..super::IDENTIFIERS_MAX).find_map(|n| refused.at(&format!("identifiers[{n}]")));
    let body = html! {
        (refused.summary(words, &["kind", "identifiers", "note"]))
        (form::post("/privacy", "", &html! {
            (field::select("kind", "Asks for", &choices).value(given.kind.as_str()).error(refused.at("kind")))
            (field::textarea("identifiers", "Phones, mail addresses or user ids").value(&given.identifiers)
                .hint("One on each line, all of the same person: +33612345678, anna@example.org")
                .error(wrong.or(refused.at("identifiers"))).rows(3).required())
            (field::textarea("note", "What they say").value(&given.note).error(refused.at("note")).rows(4)
                .hint("For a rectification, what is right. It is encrypted for this person alone."))
            (form::actions(&html! { (form::submit("Take it in")) (form::link("Cancel", "/privacy")) }))
        }))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Privacy", "/privacy")], "New request");
    Content { breadcrumbs, ..Content::new("New request", body) }
}

async fn show_new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::PrivacyOpen)?;
    let given = NewForm { kind: Kind::Access, identifiers: String::new(), note: String::new() };
    Ok(visitor.page(new_page(Words::for_lang(&visitor.person.language), &given, &Refused::NONE)))
}

async fn open(visitor: Visitor, Form(given): Form<NewForm>) -> Result<Response, PageProblem> {
    let lines = given.identifiers.lines().map(str::trim).filter(|line| !line.is_empty());
    let new = NewRequest {
        kind: given.kind,
        identifiers: lines.map(str::to_owned).collect(),
        note: given.note.clone(),
        received_at: None,
    };
    match super::open(&visitor.scope, new).await {
        Ok(one) => Ok(console::done(&format!("/privacy/requests/{}", one.id), "Taken in; the clock runs.")),
        Err(error) => {
            let words = Words::for_lang(&visitor.person.language);
            Ok(visitor.page_again(new_page(words, &given, &Refused::by(error)?)))
        }
    }
}

fn found(rows: &[Erased]) -> Markup {
    let cells = rows.iter().map(|one| row(vec![html! { (one.title) }, html! { (one.rows) }]));
    let empty = feedback::empty(
        Icon::Search,
        "Nothing is kept",
        "No table holds anything of this person.",
        &html! {},
    );
    let heads = vec![column("What"), column("Rows").number()];
    html! { (table("What is kept of this person now", heads, cells.collect()).caption_shown().empty(empty)) }
}

/// The one form of a request: a reason, and what it is for.
fn decide(one: &Request, given: &str, refused: &Refused) -> Markup {
    let checked = one.checked_at.is_some();
    html! {
        (form::post(&format!("/privacy/requests/{}/decide", one.id), "", &html! {
            (field::textarea("reason", if checked { "Reason" } else { "How their identity was checked, or the reason" }).value(given).error(refused.at("reason")).rows(3).required())
            (form::actions(&html! {
                @if !checked { (form::submit("Identity checked").sends("what", "check")) }
                @if one.extended_at.is_none() { (form::submit("Extend the time").sends("what", "extend").weight(form::Weight::Plain)) }
                (form::submit("Refuse").sends("what", "refuse").weight(form::Weight::Plain))
            }))
        }))
    }
}

/// What the page shows of a request while it moves: where it stands, what came of it, what is there, who did what.
async fn standing(visitor: &Visitor, one: &Request) -> Result<Markup, PageProblem> {
    let preview = match one.state == "open" && !one.identifiers.is_empty() {
        true => Some(super::preview(&visitor.scope, one.id).await?),
        false => None,
    };
    let names = actor::names(&visitor.scope, one.steps.iter().map(|step| step.actor.as_str())).await?;
    let file = format!("/privacy/requests/{}/file", one.id);
    Ok(html! {
        (card::panel(&html! {
            (card::facts(&[
                ("Asks for", html! { (kind_words(one.kind)) }),
                ("Person", whose(one)),
                ("State", state(one)),
                ("Time", left(visitor, one)),
                ("Identity", html! { @match one.checked_at { Some(checked) => { "checked " (at(checked)) }, None => "not checked yet" } }),
                ("Says", html! { (one.note.as_deref().unwrap_or("nothing more")) }),
            ]))
            @if one.file_until.is_some() && may(visitor, Permission::PrivacyDownload) {
                (form::actions(&html! {
                    (form::link("Download as a page", &format!("{file}?format=html")).weight(form::Weight::Primary))
                    (form::link("Download as JSON", &file))
                }))
            }
            @if one.certified {
                (form::actions(&html! {
                    (form::link("Download the certificate", &format!("/privacy/requests/{}/certificate", one.id)).weight(form::Weight::Primary))
                }))
            }
        }))
        @if let Some(waits) = &one.waits_for { (feedback::notice(Tone::Info, "It waits", &html! { "for " (waits) "." })) }
        @if let Some(rows) = &preview { (found(rows)) }
        (card::card("History", &html! {}, &html! {
            ul { @for step in &one.steps { li { (at(step.at)) " " b { (step.step) } " by " (who(&step.actor, &names)) @if let Some(note) = &step.note { ": " (note) } } } }
        }))
    })
}

async fn detail(
    visitor: &Visitor,
    one: &Request,
    given: &str,
    refused: &Refused,
) -> Result<Content<'static>, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let erasure = one.kind == Kind::Erasure;
    let action = format!("/privacy/requests/{}/carry-out", one.id);
    let ask = Confirm {
        id: "carry-out",
        button: "Carry out…",
        title: if erasure { "Erase this person?" } else { "Carry this request out?" },
        text: if erasure {
            "Everything about them is deleted or overwritten, and their key is destroyed. This cannot be undone. Sums stay as they are."
        } else {
            "The system does it; this page shows when it is done."
        },
        confirm: if erasure { "Erase the person" } else { "Carry it out" },
        action: &action,
        csrf: "",
        danger: erasure,
    };
    let decides = may(visitor, Permission::PrivacyDecide) && one.state == "open";
    let ready = decides && one.checked_at.is_some() && (!erasure || may(visitor, Permission::PrivacyErase));
    let actions = html! { @if ready { (dialog::confirm(words, &ask)) } };
    let own = format!("/privacy/requests/{}", one.id);
    let body = html! {
        (refused.summary(words, &["reason"]))
        @if decides { (card::card("Decide", &html! {}, &decide(one, given, refused))) }
        (live::live("standing", &own, &["privacy"], &standing(visitor, one).await?))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Privacy", "/privacy")], kind_short(one.kind));
    Ok(Content { actions, breadcrumbs, ..Content::new("Request", body) })
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let one = super::get(&visitor.scope, id.parse()?).await?;
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Request", standing(&visitor, &one).await?)));
    }
    Ok(visitor.page_or_fragment(detail(&visitor, &one, "", &Refused::NONE).await?))
}

#[derive(Debug, Deserialize)]
struct Decision {
    #[serde(default)]
    reason: String,
    what: What,
}

/// What a reason is given for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Check,
    Extend,
    Refuse,
}

async fn decided(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Decision>,
) -> Result<Response, PageProblem> {
    let id: PrivacyRequestId = id.parse()?;
    let reason = Reason { reason: given.reason.clone() };
    let (done, said) = match given.what {
        What::Extend => (decide::extend(&visitor.scope, id, &reason).await, "The time is extended."),
        What::Refuse => (decide::refuse(&visitor.scope, id, &reason).await, "Refused."),
        What::Check => (decide::check(&visitor.scope, id, &reason).await, "Noted."),
    };
    match done {
        Ok(_) => Ok(console::done(&format!("/privacy/requests/{id}"), said)),
        Err(error) => {
            let refused = Refused::by(error)?;
            let one = super::get(&visitor.scope, id).await?;
            Ok(visitor.page_again(detail(&visitor, &one, &given.reason, &refused).await?))
        }
    }
}

async fn carry_out(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id: PrivacyRequestId = id.parse()?;
    decide::carry_out(&visitor.scope, id).await?;
    Ok(console::done(&format!("/privacy/requests/{id}"), "The system carries it out now."))
}

async fn file(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(query): Query<FileQuery>,
) -> Result<Response, PageProblem> {
    Ok(super::api::as_file(&visitor.scope, id.parse()?, &query).await?)
}

async fn certificate(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id: PrivacyRequestId = id.parse()?;
    let signed = super::certificate(&visitor.scope, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}-certificate.json\"")),
    ];
    Ok((headers, serde_json::to_string_pretty(&signed).map_err(types::Error::internal)?).into_response())
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/privacy", get(list).post(open))
        .route("/privacy/requests/new", get(show_new))
        .route("/privacy/requests/{id}", get(show))
        .route("/privacy/requests/{id}/decide", post(decided))
        .route("/privacy/requests/{id}/carry-out", post(carry_out))
        .route("/privacy/requests/{id}/file", get(file))
        .route("/privacy/requests/{id}/certificate", get(certificate))
}
