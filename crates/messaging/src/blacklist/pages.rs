//! The blacklist in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{Error, Permission, Result, Timestamp};
use web::console::{Content, done};
use web::ui::field::{self, Choice};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, feedback};
use web::{Form, PageProblem, Query, Visitor};

use super::{Entry, EntryFilter, Import, Imported, Kind, NewEntry};
use crate::api::{Gateway, follow};
use crate::pages::{Fields, Shown, again, may, moment, words};
use crate::settings::Patch;

const fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "Number",
        Kind::Prefix => "Prefix",
        Kind::Ip => "Network address",
        Kind::Sender => "Sender",
        Kind::Key => "API key",
        Kind::Content => "Phrase",
    }
}

fn kinds() -> [Choice<'static>; 6] {
    Kind::ALL.map(|kind| Choice::new(kind.as_str(), kind_label(kind)))
}

fn entries_table(visitor: &Visitor, entries: &[Entry], searched: bool) -> Markup {
    let now = visitor.scope.now();
    let manage = may(visitor, Permission::BlacklistRemove);
    let rows = entries.iter().map(|entry| {
        row(vec![
            html! { (kind_label(entry.kind)) },
            html! { bdi { (entry.value) } },
            html! { (entry.reason) },
            html! { (entry.source) },
            match entry.expires_at {
                None => html! { "never" },
                Some(at) if at <= now => badge::badge(Tone::Neutral, "Expired"),
                Some(at) => moment(at),
            },
            html! {
                @if manage {
                    form method="post" action={ "/blacklist/" (entry.id) "/remove" } {
                        (form::submit(&format!("Remove {}", entry.value)).weight(Weight::Quiet).icon_only(Icon::Trash).small())
                    }
                }
            },
        ])
        .key(entry.id.to_string())
    });
    let columns = vec![
        column("Kind"),
        column("Value"),
        column("Reason"),
        column("Source").detail(),
        column("Expires"),
        column("Remove").actions(),
    ];
    let empty = match searched {
        true => feedback::empty(
            Icon::Search,
            "Nothing catches it",
            "No entry is about this value now.",
            &html! {},
        ),
        false => feedback::empty(
            Icon::Shield,
            "The blacklist is empty",
            "Add a number, a prefix, a sender or a phrase, or import a list.",
            &html! {},
        ),
    };
    html! { (table("Blacklist", columns, rows.collect()).id("entries").dense().empty(empty)) }
}

fn add_form(visitor: &Visitor, shown: &Shown<'_>, reasons: &[(String, String)]) -> Markup {
    let reasons: Vec<&str> = reasons.iter().map(|(_, title)| title.as_str()).collect();
    let (kind, value, reason, until) =
        (shown.value("kind"), shown.value("value"), shown.value("reason"), shown.value("expires_at"));
    card::card(
        "Add an entry",
        &html! {},
        &html! {
            (form::post("/blacklist", "", &html! {
                (shown.summary(visitor))
                div class="fields" {
                    (field::select("kind", "Kind", &kinds()).value(&kind))
                    (field::text("value", "Value").value(&value).required().error(shown.error("value"))
                        .hint("A number, prefix, sender, phrase, network or key's id."))
                    (field::text("reason", "Reason").value(&reason).max_chars(200).error(shown.error("reason")).suggestions(&reasons)
                        .hint("Whoever is refused sees it."))
                    (field::date("expires_at", "In force until").value(&until).error(shown.error("expires_at"))
                        .hint("The last day, UTC; for ever when empty."))
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
            (form::post("/blacklist/import", "", &html! {
                div class="fields" {
                    (field::textarea("list", "Lines").value(text).rows(4).wide().mono().required().error(error)
                        .hint("One value a line, or value,reason,expires_at; a heading line may name the columns kind, value, reason, source, expires_at."))
                    (field::select("import_kind", "Lines are", &kinds()).value("number"))
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
        let shown = Shown::of(Patch::new());
        Self { shown, import: (None, ""), notice: html! {} }
    }
}

async fn content(
    gateway: &Gateway,
    visitor: &Visitor,
    filter: &EntryFilter,
    around: &Around<'_>,
) -> Result<Content<'static>> {
    let page = super::list(&visitor.scope, &gateway.engine, filter).await?;
    let language = &visitor.person.language;
    let reasons = identity::value_list::offered(&visitor.scope, "blacklist_reason", language).await?;
    let (kind, catches) =
        (filter.kind.clone().unwrap_or_default(), filter.catches.clone().unwrap_or_default());
    let mut choices = vec![Choice::new("", "All")];
    choices.extend(kinds());
    let fields = html! {
        (field::select("kind", "Kind", &choices).value(&kind).id("filter-kind"))
        (field::text("catches", "Look up").value(&catches).hint("What is about this number, sender, address or text?"))
    };
    let older = page.next.as_ref().map(|next| {
        web::body::with_query(
            "/blacklist",
            &[("kind", kind.as_str()), ("catches", catches.as_str()), ("after", next)],
        )
    });
    let body = html! {
        (around.notice)
        (browse::filter_bar(words(visitor), "/blacklist", &fields, &[]))
        (entries_table(visitor, &page.items, filter.catches.is_some()))
        (browse::pager(words(visitor), None, older.as_deref(), ""))
        @if may(visitor, Permission::BlacklistAdd) {
            (add_form(visitor, &around.shown, &reasons))
            (import_form(around.import.0, around.import.1))
        }
    };
    Ok(Content::new("Blacklist", body))
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(filter): Query<EntryFilter>,
) -> Result<Response, PageProblem> {
    let content = content(&gateway, &visitor, &filter, &Around::nothing()).await?;
    Ok(visitor.page_or_fragment(content))
}

/// The end of a day that a form gave.
fn until(fields: &Fields) -> Result<Option<Timestamp>> {
    let Some(day) = fields.get("expires_at") else { return Ok(None) };
    let end = crate::hours::week::day_start(&jiff::tz::TimeZone::UTC, day, true);
    end.map(Some)
        .ok_or_else(|| Error::invalid("expires_at", format!("{day:?} is not a day such as 2027-01-31")))
}

async fn add(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let new = NewEntry {
            kind: fields.get("kind").and_then(Kind::named),
            value: fields.owned("value").unwrap_or_default(),
            reason: fields.owned("reason"),
            source: None,
            expires_at: until(&fields)?,
        };
        super::add(&visitor.scope, &new).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
            Ok(done("/blacklist", "Entry added."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            let around = Around { shown, ..Around::nothing() };
            let content = content(&gateway, &visitor, &EntryFilter::default(), &around).await?;
            Ok(visitor.page_again(content))
        }
    }
}

fn refused_lines(imported: &Imported) -> Markup {
    let title = format!("{} added, {} lines could not be read", imported.added, imported.refused_count);
    feedback::notice(
        Tone::Warn,
        &title,
        &html! {
            ul { @for line in &imported.refused { li { "Line " (line.line) ": " (line.why) } } }
        },
    )
}

async fn import(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = Import {
        kind: fields.get("import_kind").and_then(Kind::named),
        text: fields.owned("list").unwrap_or_default(),
        source: fields.owned("source"),
        ..Import::default()
    };
    let imported = super::import(&visitor.scope, &asked).await;
    follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
    let filter = EntryFilter::default();
    match imported {
        Ok(imported) if imported.refused_count == 0 => {
            Ok(done("/blacklist", &format!("{} entries are on the list.", imported.added)))
        }
        Ok(imported) => {
            let around = Around { notice: refused_lines(&imported), ..Around::nothing() };
            Ok(visitor.page_again(content(&gateway, &visitor, &filter, &around).await?))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let around = Around { import: (Some(refused.message()), &asked.text), ..Around::nothing() };
            Ok(visitor.page_again(content(&gateway, &visitor, &filter, &around).await?))
        }
    }
}

async fn remove(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    super::remove(&visitor.scope, id.parse()?).await?;
    follow(gateway.engine.gates_changed(visitor.scope.tenant())).await;
    Ok(done("/blacklist", "Entry removed."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/blacklist", get(list).post(add))
        .route("/blacklist/import", post(import))
        .route("/blacklist/{id}/remove", post(remove))
}
