//! Retention in the console.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use types::{Error, Permission};
use web::console::Content;
use web::ui::field::Choice;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, feedback, field, form, live};
use web::{App, Form, PageProblem, Query, Refused, Visitor, console};

use super::{Asked, Preview, Term, TermChange, words};
use crate::pages::{at, may, tabs};

const HERE: &str = "/privacy/retention";
const EDIT: &str = "/privacy/retention/edit";

fn purpose_words(purpose: &str) -> &'static str {
    match purpose {
        "otp" => "one-time codes",
        "transactional" => "transactional",
        "marketing" => "marketing",
        _ => "all others",
    }
}

/// What a term is of, with its purpose where the class has some.
fn what(term: &Term) -> Markup {
    html! { (term.title) @if let Some(purpose) = term.purpose { ": " (purpose_words(purpose)) } }
}

fn link(term: &Term) -> String {
    let query = [("class", term.class), ("purpose", term.purpose.unwrap_or_default())];
    let text: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{EDIT}?{}", text.join("&"))
}

fn last(term: &Term) -> Markup {
    let Some(sweep) = &term.sweep else { return html! { "nothing yet" } };
    html! {
        @match sweep.ended_at {
            Some(ended) => { (sweep.gone) " " (at(ended)) },
            None => { (badge::badge_icon(Tone::Info, Icon::Clock, "under way")) " " (sweep.gone) " so far" },
        }
        @if sweep.held > 0 { ", " (sweep.held) " held" }
    }
}

fn listed(visitor: &Visitor, terms: &[Term]) -> Markup {
    let changes = may(visitor, Permission::PrivacyManage);
    let rows = terms.iter().map(|term| {
        let bounds = match term.most_h {
            Some(most) => format!("{} to {}", words(Some(term.least_h)), words(Some(most))),
            None => format!("{} and more", words(Some(term.least_h))),
        };
        let by = if term.keep_h.is_some() { "this organisation" } else { "the installation" };
        let line = row(vec![
            what(term),
            html! { b { bdi { (words(term.in_force_h)) } } },
            html! { (by) },
            html! { bdi { (bounds) } },
            last(term),
        ]);
        if changes { line.link(link(term)) } else { line }
    });
    let heads =
        vec![column("What"), column("Kept"), column("Set by"), column("Can be set to"), column("Went last")];
    html! { (table("Retention", heads, rows.collect())) }
}

async fn list(visitor: Visitor) -> Result<Response, PageProblem> {
    let terms = super::list(&visitor.scope).await?;
    let inner = listed(&visitor, &terms);
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Retention", inner)));
    }
    let body = html! {
        (tabs(&visitor, HERE))
        p class="hint" { "What is older goes within the hour, a little at a time. What a legal hold keeps stays until it is lifted." }
        (live::live("terms", HERE, &["privacy"], &inner))
    };
    Ok(visitor.page_or_fragment(Content::new("Retention", body)))
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct TermForm {
    class: String,
    purpose: String,
    keep: String,
    unit: String,
    /// `set` sets it, `default` takes the tenant's term away.
    act: String,
}

impl TermForm {
    /// The term that is asked for, in hours; nothing for the installation's.
    fn hours(&self) -> types::Result<Option<u32>> {
        if self.act == "default" {
            return Ok(None);
        }
        let number: u32 =
            self.keep.trim().parse().map_err(|_| Error::invalid("keep_h", "give a whole number"))?;
        let hours = if self.unit == "days" { number.checked_mul(24) } else { Some(number) };
        hours.map(Some).ok_or_else(|| Error::invalid("keep_h", "that is too long"))
    }
}

fn would_go(told: &Preview) -> Markup {
    let more = if told.complete { "" } else { "at least " };
    let title = match told.rows {
        0 => "Nothing would go".to_owned(),
        n => format!("{more}{n} would go, for ever"),
    };
    let tone = if told.rows == 0 { Tone::Good } else { Tone::Warn };
    feedback::notice(
        tone,
        &title,
        &html! {
            @if let Some(oldest) = told.oldest { "The oldest is from " (at(oldest)) ". " }
            @if told.held > 0 { "A legal hold keeps " (told.held) ". " }
            @if told.waits_for_holds { "While somebody is held, none of it goes." }
        },
    )
}

fn edit(
    words_of: &'static Words,
    term: &Term,
    given: &TermForm,
    (told, refused): (Option<&Preview>, &Refused),
) -> Content<'static> {
    let units = [Choice::new("hours", "hours"), Choice::new("days", "days")];
    let bounds = match term.most_h {
        Some(most) => {
            format!("{} at least, {} at most", words(Some(term.least_h)), words(Some(most)))
        }
        None => format!("{} at least", words(Some(term.least_h))),
    };
    let class = html! {
        input type="hidden" name="class" value=(term.class);
        input type="hidden" name="purpose" value=(term.purpose.unwrap_or_default());
    };
    let sets = html! {
        (class)
        input type="hidden" name="keep" value=(given.keep);
        input type="hidden" name="unit" value=(given.unit);
        (form::actions(&html! { (form::submit("Set it").sends("act", "set").weight(form::Weight::Danger)) }))
    };
    let gives_back = html! {
        (class)
        (form::actions(&html! { (form::submit("As the installation says").sends("act", "default").weight(form::Weight::Plain)) }))
    };
    let body = html! {
        (refused.summary(words_of, &["keep"]))
        (card::panel(&html! {
            p { (term.about) }
            (card::facts(&[
                ("For", html! { (term.purpose.map_or("all that have no term of their own", purpose_words)) }),
                ("Kept now", html! { (words(term.in_force_h)) }),
                ("Can be set to", html! { (bounds) }),
            ]))
        }))
        (form::get(EDIT, &html! {
            (class)
            (field::number("keep", "Keep for").value(&given.keep).error(refused.at("keep")).range("1", "876000").required())
            (field::select("unit", "Unit", &units).value(&given.unit))
            (form::actions(&html! { (form::submit("Show what would go")) (form::link("Cancel", HERE)) }))
        }))
        @if let Some(told) = told {
            (would_go(told))
            (form::post(EDIT, "", &sets))
        }
        @if term.keep_h.is_some() { (form::post(EDIT, "", &gives_back)) }
    };
    let breadcrumbs = browse::breadcrumbs(words_of, &[("Retention", HERE)], term.title);
    Content { breadcrumbs, ..Content::new(term.title, body) }
}

/// The term that a form is about.
async fn about(visitor: &Visitor, given: &TermForm) -> Result<Term, PageProblem> {
    visitor.scope.require(Permission::PrivacyManage)?;
    let terms = super::list(&visitor.scope).await?;
    let found = terms
        .into_iter()
        .find(|term| term.class == given.class && term.purpose.unwrap_or_default() == given.purpose);
    Ok(found.ok_or_else(|| Error::not_found("class of data"))?)
}

/// The form as it stands, or with what would go.
async fn show(visitor: Visitor, Query(given): Query<TermForm>) -> Result<Response, PageProblem> {
    let term = about(&visitor, &given).await?;
    let language = Words::for_lang(&visitor.person.language);
    if given.keep.is_empty() {
        let (keep, unit) = match term.in_force_h {
            Some(hours) if hours % 24 == 0 => ((hours / 24).to_string(), "days"),
            Some(hours) => (hours.to_string(), "hours"),
            None => (String::new(), "days"),
        };
        let given = TermForm { keep, unit: unit.to_owned(), ..given };
        return Ok(visitor.page(edit(language, &term, &given, (None, &Refused::NONE))));
    }
    let told = match given.hours() {
        Ok(keep_h) => {
            let purpose = Some(given.purpose.clone());
            super::preview(&visitor.scope, &Asked { class: given.class.clone(), purpose, keep_h }).await
        }
        Err(error) => Err(error),
    };
    Ok(match told {
        Ok(told) => visitor.page(edit(language, &term, &given, (Some(&told), &Refused::NONE))),
        Err(error) => visitor.page_again(edit(language, &term, &given, (None, &wrong(error)?))),
    })
}

/// What is wrong, at the form's own field.
fn wrong(error: Error) -> Result<Refused, PageProblem> {
    let at_keep = error.place() == Some("keep_h");
    Refused::by(if at_keep { error.at("keep") } else { error })
}

async fn change(visitor: Visitor, Form(given): Form<TermForm>) -> Result<Response, PageProblem> {
    let term = about(&visitor, &given).await?;
    let done = match given.hours() {
        Ok(keep_h) => {
            let purpose = Some(given.purpose.clone());
            super::set(&visitor.scope, &TermChange { class: given.class.clone(), purpose, keep_h }).await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => Ok(console::done(HERE, "Set; what is older goes now, a little at a time.")),
        Err(error) => {
            let language = Words::for_lang(&visitor.person.language);
            Ok(visitor.page_again(edit(language, &term, &given, (None, &wrong(error)?))))
        }
    }
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new().route(HERE, get(list)).route(EDIT, get(show).post(change))
}
