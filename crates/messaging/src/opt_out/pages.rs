//! The opt-out list in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{Permission, Result};
use web::console::{Content, NavEntry, done};
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{browse, card, feedback};
use web::{Form, PageProblem, Query, Visitor};

use super::{Extent, ImportOptOuts, ImportedOptOuts, NewOptOut, OptOut, OptOutFilter};
use crate::api::Gateway;
use crate::pages::{Fields, Shown, again, may, moment, none, words};
use crate::settings::Patch;

/// The list's place in the navigation.
pub(crate) const OPT_OUTS: NavEntry = NavEntry {
    group: "Inbound",
    label: "Opt-outs",
    href: "/opt-outs",
    icon: Icon::Bell,
    key: None,
    permission: Permission::OptOutView,
};

const fn label(extent: Extent) -> &'static str {
    match extent {
        Extent::Number => "Marketing from one sender",
        Extent::Marketing => "All marketing",
        Extent::All => "Every message",
    }
}

fn extents() -> [Choice<'static>; 3] {
    [Extent::Marketing, Extent::Number, Extent::All].map(|extent| Choice::new(extent.as_str(), label(extent)))
}

fn entries_table(visitor: &Visitor, entries: &[OptOut], searched: bool) -> Markup {
    let manage = may(visitor, Permission::OptOutRemove);
    let rows = entries.iter().map(|entry| {
        row(vec![
            html! { bdi dir="ltr" { (entry.phone) } },
            html! { (label(entry.scope)) },
            match &entry.number {
                Some(number) => html! { bdi { (number) } },
                None => none(),
            },
            html! {
                @match (&entry.word, &entry.message) {
                    (Some(word), Some(message)) => a href={ "/messages/" (message) } { bdi { (word) } },
                    (Some(word), None) => bdi { (word) },
                    _ => bdi { (entry.source) },
                }
            },
            moment(entry.at),
            html! {
                @if manage {
                    form method="post" action={ "/opt-outs/" (entry.id) "/remove" } {
                        (form::submit(&format!("Remove {}", entry.phone)).weight(Weight::Quiet).icon_only(Icon::Trash).small())
                    }
                }
            },
        ])
        .key(entry.id.to_string())
    });
    let columns = vec![
        column("Phone"),
        column("Gets no more of"),
        column("Number").detail(),
        column("By"),
        column("Since"),
        column("Remove").actions(),
    ];
    let empty = match searched {
        true => feedback::empty(Icon::Search, "Not on the list", "No entry is like this.", &html! {}),
        false => feedback::empty(
            Icon::Bell,
            "Nobody has opted out",
            "Phones that write STOP to one of your numbers stand here.",
            &html! {},
        ),
    };
    html! { (table("Opt-outs", columns, rows.collect()).id("opt-outs").dense().empty(empty)) }
}

fn add_form(visitor: &Visitor, shown: &Shown<'_>) -> Markup {
    let [phone, scope, number] = ["phone", "scope", "number"].map(|name| shown.value(name));
    card::card(
        "Add a phone",
        &html! {},
        &html! {
            (form::post("/opt-outs", "", &html! {
                (shown.summary(visitor))
                div class="fields" {
                    (field::tel("phone", "Phone").value(&phone).required().placeholder("+33612345678").error(shown.error("phone")))
                    (field::select("scope", "Gets no more of", &extents()).value(&scope))
                    (field::text("number", "Sender").value(&number).error(shown.error("number")).hint("For marketing from one sender."))
                }
                (form::actions(&html! { (form::submit("Add").icon(Icon::Plus)) }))
            }))
        },
    )
}

fn import_form(error: Option<&str>, text: &str) -> Markup {
    card::card(
        "Import a list",
        &html! {},
        &html! {
            (form::post("/opt-outs/import", "", &html! {
                div class="fields" {
                    (field::textarea("list", "Lines").value(text).rows(4).wide().mono().required().error(error)
                        .hint("phone, or phone,scope,number; scopes are number, marketing and all."))
                    (field::select("import_scope", "Lines without a scope are", &extents()).value("marketing"))
                    (field::text("source", "Source").max_chars(100).hint("Where the list comes from."))
                }
                (form::actions(&html! { (form::submit("Import").weight(Weight::Plain)) }))
            }))
        },
    )
}

/// What stands on the page beside the list.
struct Around<'a> {
    shown: Shown<'a>,
    import: (Option<&'a str>, &'a str),
    notice: Markup,
}

impl Around<'_> {
    fn nothing() -> Self {
        Self { shown: Shown::of(Patch::new()), import: (None, ""), notice: html! {} }
    }
}

async fn content(visitor: &Visitor, filter: &OptOutFilter, around: &Around<'_>) -> Result<Content<'static>> {
    let page = super::list(&visitor.scope, filter).await?;
    let phone = filter.phone.clone().unwrap_or_default();
    let scope = filter.scope.clone().unwrap_or_default();
    let mut choices = vec![Choice::new("", "All")];
    choices.extend(extents());
    let fields = html! {
        (field::search("phone", "Phone").value(&phone).id("filter-phone"))
        (field::select("scope", "Gets no more of", &choices).value(&scope).id("filter-scope"))
    };
    let older = page.next.as_ref().map(|next| {
        let query = [("phone", phone.as_str()), ("scope", scope.as_str()), ("after", next)];
        web::body::with_query("/opt-outs", &query)
    });
    let searched = !phone.is_empty() || !scope.is_empty();
    let body = html! {
        (around.notice)
        (browse::filter_bar(words(visitor), "/opt-outs", &fields, &[]))
        (entries_table(visitor, &page.items, searched))
        (browse::pager(words(visitor), None, older.as_deref(), ""))
        @if may(visitor, Permission::OptOutAdd) {
            (add_form(visitor, &around.shown))
            (import_form(around.import.0, around.import.1))
        }
    };
    let actions = html! { (form::link("Download as CSV", "/opt-outs/export").weight(Weight::Plain)) };
    Ok(Content { actions, ..Content::new("Opt-outs", body) })
}

async fn list(visitor: Visitor, Query(filter): Query<OptOutFilter>) -> Result<Response, PageProblem> {
    // A field of the form that was left empty is no filter.
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let filter = OptOutFilter { phone: given(filter.phone), scope: given(filter.scope), ..filter };
    let content = content(&visitor, &filter, &Around::nothing()).await?;
    Ok(visitor.page_or_fragment(content))
}

async fn export(visitor: Visitor) -> Result<Response, PageProblem> {
    let text = super::export(&visitor.scope).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"opt-outs.csv\""),
    ];
    Ok((headers, text).into_response())
}

async fn add(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let new = NewOptOut {
        phone: fields.owned("phone").unwrap_or_default(),
        scope: fields.get("scope").and_then(Extent::named),
        number: fields.owned("number"),
        source: None,
    };
    match super::add(&visitor.scope, &gateway.engine, &new).await {
        Ok(_) => Ok(done("/opt-outs", "Phone added.")),
        Err(refused) => {
            let refused = again(refused)?;
            let around = Around { shown: Shown::again(&fields, &refused), ..Around::nothing() };
            Ok(visitor.page_again(content(&visitor, &OptOutFilter::default(), &around).await?))
        }
    }
}

fn refused_lines(imported: &ImportedOptOuts) -> Markup {
    let title = format!("{} added, {} lines could not be read", imported.added, imported.refused_count);
    feedback::notice(
        Tone::Warn,
        &title,
        &html! { ul { @for line in &imported.refused { li { "Line " (line.line) ": " (line.why) } } } },
    )
}

async fn import(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = ImportOptOuts {
        text: fields.owned("list").unwrap_or_default(),
        scope: fields.get("import_scope").and_then(Extent::named),
        source: fields.owned("source"),
    };
    let filter = OptOutFilter::default();
    match super::import(&visitor.scope, &gateway.engine, &asked).await {
        Ok(imported) if imported.refused_count == 0 => {
            Ok(done("/opt-outs", &format!("{} phones are on the list.", imported.added)))
        }
        Ok(imported) => {
            let around = Around { notice: refused_lines(&imported), ..Around::nothing() };
            Ok(visitor.page_again(content(&visitor, &filter, &around).await?))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let around = Around { import: (Some(refused.message()), &asked.text), ..Around::nothing() };
            Ok(visitor.page_again(content(&visitor, &filter, &around).await?))
        }
    }
}

async fn remove(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    super::remove(&visitor.scope, &gateway.engine, id.parse()?).await?;
    Ok(done("/opt-outs", "Phone removed."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/opt-outs", get(list).post(add))
        .route("/opt-outs/export", get(export))
        .route("/opt-outs/import", post(import))
        .route("/opt-outs/{id}/remove", post(remove))
}
