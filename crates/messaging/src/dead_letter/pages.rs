//! Dead letters and dead jobs in the console.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{Permission, Result};
use web::console::{Content, done};
use web::ui::field::{self, Choice};
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, feedback};
use web::{Form, PageProblem, Paging, Query, Visitor};

use super::jobs::{self as dead, DeadSelection};
use super::redrive::{self, Redrive, Redriven};
use super::{Class, DeadFilter, DeadLetter, Reason};
use crate::api::Gateway;
use crate::pages::{Fields, again, may, moment, none, words};
use crate::queue::pages::tabs;

const HERE: &str = "/queue/dead-letters";
const JOBS: &str = "/queue/dead-jobs";

const fn label(class: Class) -> &'static str {
    match class {
        Class::Refused => "Refused by the carrier",
        Class::GaveUp => "Given up after all attempts",
        Class::Undelivered => "Not delivered, said the carrier",
        Class::NoReceipt => "No receipt came",
        Class::UnknownFate => "Nobody knows whether it left",
        Class::NeverLeft => "Its validity ended before it left",
    }
}

fn class_label(name: &str) -> &str {
    match Class::named(name) {
        Some(class) => label(class),
        None => name,
    }
}

fn filters(visitor: &Visitor, filter: &DeadFilter) -> Markup {
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let (class, redriven) = (value(&filter.class), value(&filter.redriven));
    let mut classes = vec![Choice::new("", "Any reason")];
    classes.extend(Class::ALL.map(|class| Choice::new(class.as_str(), label(class))));
    let again = [
        Choice::new("", "Sent again or not"),
        Choice::new("false", "Not sent again"),
        Choice::new("true", "Sent again"),
    ];
    let fields = html! {
        (field::select("class", "Reason", &classes).value(&class))
        (field::select("redriven", "Sent again", &again).value(&redriven))
    };
    let active: Vec<_> = filter
        .class
        .iter()
        .filter(|class| !class.is_empty())
        .map(|class| browse::ActiveFilter {
            label: class_label(class).to_owned(),
            remove_href: HERE.to_owned(),
        })
        .collect();
    browse::filter_bar(words(visitor), HERE, &fields, &active)
}

fn reasons_table(reasons: &[Reason]) -> Markup {
    let most = reasons.iter().map(|reason| reason.n).max().unwrap_or_default().max(1);
    let rows = reasons.iter().map(|reason| {
        let error = reason.error.clone().unwrap_or_default();
        row(vec![
            html! { a href={ (HERE) "?class=" (reason.class) } { (class_label(&reason.class)) } },
            html! { bdi { (error) } },
            html! { progress value=(reason.n) max=(most) aria-label={ (class_label(&reason.class)) " " (error) } { (reason.n) } },
            html! { (count(reason.n.unsigned_abs())) },
            html! { (count(reason.redriven.unsigned_abs())) },
        ])
    });
    let columns = vec![
        column("Reason"),
        column("Error").detail(),
        column("Share").detail(),
        column("Messages").number(),
        column("Sent again").number(),
    ];
    html! { (table("Why messages are dead", columns, rows.collect()).id("reasons").dense()) }
}

fn letters_table(visitor: &Visitor, letters: &[DeadLetter]) -> Markup {
    let manage = may(visitor, Permission::DeadLetterRedrive);
    let rows = letters.iter().map(|letter| {
        let message = &letter.message;
        row(vec![
            html! { a href={ "/messages/" (message.id) } { bdi dir="ltr" { (message.to) } } },
            html! { bdi { (message.from) } },
            html! { (label(letter.class)) },
            html! { bdi { (message.error.as_deref().unwrap_or_default()) } },
            moment(message.done_at.unwrap_or(message.accepted_at)),
            html! {
                @match letter.redriven_as {
                    Some(new) => a href={ "/messages/" (new) } { "sent again" },
                    None if manage => {
                        form method="post" action={ (HERE) "/redrive" } {
                            input type="hidden" name="id" value=(message.id);
                            (form::submit(&format!("Send again to {}", message.to)).weight(Weight::Quiet).icon_only(Icon::Refresh).small())
                        }
                    }
                    None => (none()),
                }
            },
        ])
        .key(message.id.to_string())
    });
    let columns = vec![
        column("To"),
        column("From").detail(),
        column("Reason"),
        column("Error").detail(),
        column("When"),
        column("Again").actions(),
    ];
    let empty = feedback::empty(
        Icon::Check,
        "No dead letter",
        "Messages that end without reaching a phone stand here.",
        &html! {},
    );
    html! { (table("Dead letters", columns, rows.collect()).id("letters").dense().empty(empty)) }
}

fn redrive_form(filter: &DeadFilter) -> Markup {
    card::card(
        "Send again",
        &html! { a href={ (HERE) "/export" } { "Download as CSV" } },
        &html! {
            (form::post(&format!("{HERE}/redrive"), "", &html! {
                input type="hidden" name="class" value=(filter.class.clone().unwrap_or_default());
                div class="fields" {
                    (field::number("max", "At most").value("100").range("1", "500")
                        .hint("Of those shown by the filter, the newest first. Each is sent again once."))
                    (field::number("validity_s", "Valid for seconds").hint("As long as each was at first when left empty."))
                    (field::checkbox("may_have_arrived", "Also what may have reached the phone")
                        .hint("Advertising never."))
                }
                (form::actions(&html! { (form::submit("Send again").weight(Weight::Plain).icon(Icon::Refresh)) }))
            }))
        },
    )
}

/// What came of sending again, where not all could be.
fn outcome(done: &Redriven) -> Markup {
    let title = format!("{} sent again, {} not", done.redriven.len(), done.refused.len());
    let shown = done.refused.iter().take(20);
    feedback::notice(
        Tone::Warn,
        &title,
        &html! { ul { @for one in shown {
            li { a href={ "/messages/" (one.message) } { (one.message) } ": " (one.error.detail) }
        } } },
    )
}

async fn content(visitor: &Visitor, filter: &DeadFilter, notice: Markup) -> Result<Content<'static>> {
    let page = super::list(&visitor.scope, filter).await?;
    let reasons = super::reasons(&visitor.scope, filter).await?;
    let older = page.next.as_ref().map(|next| {
        let mut query = vec![("after", next.clone())];
        query.extend(filter.class.clone().map(|class| ("class", class)));
        query.extend(filter.redriven.clone().map(|redriven| ("redriven", redriven)));
        web::body::with_query(HERE, &query)
    });
    let body = html! {
        (tabs(HERE))
        (notice)
        (filters(visitor, filter))
        @if !reasons.is_empty() { (reasons_table(&reasons)) }
        (letters_table(visitor, &page.items))
        (browse::pager(words(visitor), None, older.as_deref(), ""))
        @if may(visitor, Permission::DeadLetterRedrive) { (redrive_form(filter)) }
    };
    Ok(Content::new("Dead letters", body))
}

async fn list(visitor: Visitor, Query(filter): Query<DeadFilter>) -> Result<Response, PageProblem> {
    let content = content(&visitor, &filter, html! {}).await?;
    Ok(visitor.page_or_fragment(content))
}

async fn send_again(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let filter = DeadFilter { class: fields.owned("class"), ..DeadFilter::default() };
    let one = fields.get("id").map(str::parse).transpose()?;
    let asked = Redrive {
        ids: one.into_iter().collect(),
        filter: one.is_none().then(|| filter.clone()),
        max: fields.get("max").and_then(|text| text.parse().ok()),
        validity_s: fields.get("validity_s").and_then(|text| text.parse().ok()),
        may_have_arrived: fields.get("may_have_arrived") == Some("true"),
    };
    match redrive::redrive(&visitor.scope, &gateway.engine, &asked).await {
        Ok(all) if all.refused.is_empty() => {
            Ok(done(HERE, &format!("{} messages sent again.", all.redriven.len())))
        }
        Ok(some) => Ok(visitor.page_again(content(&visitor, &filter, outcome(&some)).await?)),
        Err(refused) => {
            let refused = again(refused)?;
            let notice = feedback::notice(Tone::Bad, refused.message(), &html! { (refused.advice()) });
            Ok(visitor.page_again(content(&visitor, &filter, notice).await?))
        }
    }
}

async fn export(visitor: Visitor, Query(filter): Query<DeadFilter>) -> Result<Response, PageProblem> {
    Ok(super::api::as_file(super::export(&visitor.scope, &filter).await?))
}

async fn jobs(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = dead::list(&visitor.scope, paging.behind(i64::MAX)?, paging.limit()?).await?;
    let manage = may(&visitor, Permission::DeadJobSteer);
    let rows = page.items.iter().map(|job| {
        row(vec![
            html! { (badge::tag(&job.kind)) },
            html! { bdi dir="ltr" { (job.url.as_deref().unwrap_or("–")) } },
            html! { (job.error) },
            html! { (job.attempts) },
            moment(job.dead_since),
            html! {
                @if manage {
                    form method="post" action={ (JOBS) "/redrive" } {
                        input type="hidden" name="id" value=(job.id);
                        (form::submit("Run again").weight(Weight::Plain).small())
                    }
                    form method="post" action={ (JOBS) "/discard" } {
                        input type="hidden" name="id" value=(job.id);
                        (form::submit("Discard").weight(Weight::Quiet).small())
                    }
                }
            },
        ])
        .key(job.id.to_string())
    });
    let columns = vec![
        column("What"),
        column("Where").detail(),
        column("Why"),
        column("Attempts").number(),
        column("Since"),
        column("Decide").actions(),
    ];
    let empty = feedback::empty(
        Icon::Check,
        "No dead job",
        "Callbacks that no receiver took, and other work that was given up, stand here.",
        &html! {},
    );
    let older = page.next.as_ref().map(|next| web::body::with_query(JOBS, &[("after", next)]));
    let body = html! {
        (tabs(JOBS))
        (table("Dead jobs", columns, rows.collect()).id("jobs").dense().empty(empty))
        (browse::pager(words(&visitor), None, older.as_deref(), ""))
    };
    Ok(visitor.page_or_fragment(Content::new("Dead jobs", body)))
}

fn one_job(fields: Vec<(String, String)>) -> Result<DeadSelection> {
    let id = Fields(fields).get("id").unwrap_or_default().parse()?;
    Ok(DeadSelection { ids: vec![id], ..DeadSelection::default() })
}

async fn run_again(
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    dead::redrive(&visitor.scope, &one_job(fields)?).await?;
    Ok(done(JOBS, "It runs again."))
}

async fn discard(
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    dead::discard(&visitor.scope, &one_job(fields)?).await?;
    Ok(done(JOBS, "Job discarded."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route(HERE, get(list))
        .route("/queue/dead-letters/redrive", post(send_again))
        .route("/queue/dead-letters/export", get(export))
        .route(JOBS, get(jobs))
        .route("/queue/dead-jobs/redrive", post(run_again))
        .route("/queue/dead-jobs/discard", post(discard))
}
