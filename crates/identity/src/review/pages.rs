//! Reviews in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use types::{Permission, ReviewId};
use web::console::Content;
use web::ui::form::Weight;
use web::ui::icon::Icon;
use web::ui::table::{Row, column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, feedback, field, form};
use web::{App, Form, PageProblem, Paging, Query, Visitor, console};

use super::{Decision, Review, ReviewLine};

fn at(at: types::Timestamp) -> Markup {
    relative_time(&at.to_string(), &at.to_minute())
}

fn remark(remark: &str) -> (&'static str, Tone) {
    match remark {
        "never_used" => ("never used", Tone::Warn),
        "dormant" => ("not used for 90 days", Tone::Warn),
        "wide" => ("wide rights", Tone::Info),
        "idle_rights" => ("changed nothing for 90 days", Tone::Warn),
        "no_end" => ("never expires", Tone::Neutral),
        "ownerless" => ("no owner", Tone::Warn),
        _ => ("worth a look", Tone::Neutral),
    }
}

fn state(review: &Review) -> Markup {
    match review.closed_at {
        Some(_) => badge::badge_icon(Tone::Good, Icon::Check, "closed"),
        None => badge::badge(Tone::Warn, &format!("{} to decide", review.undecided)),
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let words = Words::for_lang(&visitor.person.language);
    let rows = page.items.iter().map(|review| {
        row(vec![
            html! { (review.quarter) },
            at(review.opened_at),
            html! { (review.lines) },
            html! { (review.revoked) },
            state(review),
        ])
        .link(format!("/reviews/{}", review.id))
    });
    let columns = vec![
        column("Quarter"),
        column("Opened"),
        column("Lines").number(),
        column("Revoked").number(),
        column("State"),
    ];
    let empty = feedback::empty(
        Icon::Book,
        "No review yet",
        "One is opened by itself each quarter; it lists every user, key and temporary grant.",
        &html! {},
    );
    let older = page.next.as_ref().map(|next| format!("/reviews?after={next}"));
    let body = html! {
        (table("Reviews", columns, rows.collect()).empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    let actions = html! {
        @if visitor.scope.permissions().contains(Permission::ReviewDecide) {
            (form::post("/reviews", "", &html! { (form::submit("Open a review").weight(Weight::Primary)) }))
        }
    };
    Ok(visitor.page(Content { actions, ..Content::new("Reviews", body) }))
}

fn decision(line: &ReviewLine, action: &str, may: bool) -> Markup {
    match (line.decision.as_deref(), may) {
        (Some("revoke"), _) => badge::badge(Tone::Bad, "revoked"),
        (decided, false) => html! { (decided.unwrap_or("open")) },
        (decided, true) => {
            let note = format!("note-{}", line.number);
            let label = format!("Note on {}", line.name);
            let fields = html! {
                input type="hidden" name="line" value=(line.number);
                @if decided.is_some() { (badge::badge_icon(Tone::Good, Icon::Check, "kept")) }
                (field::text("note", &label).id(&note).value(line.note.as_deref().unwrap_or_default()).max_chars(500)
                    .placeholder("Note").label_hidden())
                @if decided.is_none() {
                    (form::submit("Keep").weight(Weight::Plain).small().sends("decision", "keep"))
                }
                (form::submit("Revoke").weight(Weight::Danger).small().sends("decision", "revoke"))
            };
            form::post(action, "", &fields)
        }
    }
}

fn shown(line: &ReviewLine, action: &str, may: bool) -> Row {
    let href = match line.kind.as_str() {
        "user" => Some(format!("/users/{}", line.subject)),
        "key" => Some("/api-keys".to_owned()),
        _ => None,
    };
    row(vec![
        html! { (line.kind) },
        html! { @match href { Some(href) => { a href=(href) { (line.name) } } None => (line.name) } },
        html! { (line.held) },
        at(line.since),
        html! { @match line.last_used_at { Some(used) => (at(used)), None => "never" } },
        html! { @for one in &line.remarks { @let (text, tone) = remark(one); (badge::badge(tone, text)) " " } },
        decision(line, action, may),
    ])
    .key(line.number.to_string())
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let one = super::get(&visitor.scope, id.parse()?).await?;
    let (review, words) = (&one.review, Words::for_lang(&visitor.person.language));
    let open = review.closed_at.is_none();
    let may = open && visitor.scope.permissions().contains(Permission::ReviewDecide);
    let action = format!("/reviews/{}/decide", review.id);
    let columns = vec![
        column("Kind"),
        column("Who"),
        column("Holds"),
        column("Since").detail(),
        column("Last used"),
        column("Remarks"),
        column("Decision"),
    ];
    let rows = one.all.iter().map(|line| shown(line, &action, may)).collect();
    let done = u64::try_from(review.lines - review.undecided).unwrap_or(0);
    let total = u64::try_from(review.lines).unwrap_or(0);
    let body = html! {
        (card::panel(&card::facts(&[
            ("State", state(review)),
            ("Opened", html! { (at(review.opened_at)) ", by " (review.opened_by) }),
            ("Revoked", html! { (review.revoked) }),
        ])))
        (feedback::progress("Decided", done, Some(total), &format!("{done} of {total}")))
        (table("Lines", columns, rows).dense())
        (feedback::help("What does revoking do?", &html! {
            p { "A user is disabled and signed out, a key is revoked, a grant ends: at once, with your own rights, and in the audit trail. "
                "A role that is wider than needed is changed on the user's page." }
        }))
    };
    let actions = html! {
        (form::link("Download as CSV", &format!("/reviews/{}/csv", review.id)).weight(Weight::Plain))
        @if may && review.undecided == 0 {
            (form::post(&format!("/reviews/{}/close", review.id), "", &html! { (form::submit("Close the review").weight(Weight::Primary)) }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Reviews", "/reviews")], &review.quarter);
    let title = format!("Review {}", review.quarter);
    Ok(visitor.page(Content { actions, breadcrumbs, ..Content::new(&title, body) }))
}

async fn open(visitor: Visitor) -> Result<Response, PageProblem> {
    let review = super::open(&visitor.scope).await?;
    Ok(console::done(&format!("/reviews/{}", review.id), "Review opened."))
}

#[derive(Debug, Default, Deserialize)]
struct Given {
    line: i64,
    #[serde(default)]
    decision: String,
    #[serde(default)]
    note: String,
}

async fn decide(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    let id: ReviewId = id.parse()?;
    let wanted = Decision { line: given.line, decision: given.decision, note: Some(given.note) };
    let line = super::decide(&visitor.scope, id, wanted).await?;
    let what = if line.decision.as_deref() == Some("revoke") { "revoked" } else { "kept" };
    Ok(console::done(&format!("/reviews/{id}"), &format!("{}: {what}.", line.name)))
}

async fn close(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let review = super::close(&visitor.scope, id.parse()?).await?;
    Ok(console::done(&format!("/reviews/{}", review.id), "Review closed."))
}

async fn csv(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    Ok(super::api::as_file(id, super::csv(&visitor.scope, id).await?))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/reviews", get(list).post(open))
        .route("/reviews/{id}", get(show))
        .route("/reviews/{id}/csv", get(csv))
        .route("/reviews/{id}/decide", post(decide))
        .route("/reviews/{id}/close", post(close))
}
