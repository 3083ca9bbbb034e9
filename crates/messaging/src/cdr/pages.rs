//! Call detail records in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use serde_json::Value;
use types::{Error, Permission, Result};
use web::body::Paging;
use web::console::{Content, NavEntry, done};
use web::ui::chart::{self, Series};
use web::ui::field::Choice;
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, feedback, field};
use web::{Form, PageProblem, Query, Visitor};

use super::{CdrFile, CdrPatch, CdrStream, Compression, Day, Format};
use crate::api::Gateway;
use crate::pages::{Fields, Shown, again, may, moment, none, post_button, region};
use crate::settings::{self, Patch};

/// Their place in the navigation.
pub(crate) const RECORDS: NavEntry = NavEntry {
    group: "Gateway",
    label: "Records",
    href: "/records",
    icon: Icon::Book,
    key: Some('e'),
    permission: Permission::CdrView,
};

/// Files on a page.
const FILES: usize = 50;
/// Days that the chart shows.
const DAYS: usize = 30;

/// A size as people read it.
fn size(bytes: i64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{} kB", count((bytes / 1_000).unsigned_abs())),
        _ => format!("{} MB", count((bytes / 1_000_000).unsigned_abs())),
    }
}

fn rows(number: i64) -> String {
    count(number.unsigned_abs())
}

fn state(file: &CdrFile) -> Markup {
    match file.state.as_str() {
        "closed" => badge::badge_icon(Tone::Good, Icon::Check, "Closed"),
        "archived" => badge::badge(Tone::Neutral, "Archived"),
        "removed" => badge::badge(Tone::Neutral, "Removed"),
        other => badge::badge(Tone::Neutral, other),
    }
}

fn files_table(files: &[CdrFile]) -> Markup {
    let rows = files.iter().map(|file| {
        let cells = vec![
            html! { (file.number) },
            html! {
                @if file.state == "removed" { (file.name) }
                @else { a href={ "/records/" (file.id) } download=(file.name) { (file.name) } }
                @if file.lost > 0 { " " (badge::badge(Tone::Bad, "Incomplete")) }
            },
            html! { (rows(file.rows)) },
            html! { (rows(file.first_seq)) "–" (rows(file.last_seq)) },
            html! { (size(file.bytes)) },
            html! { span { (moment(file.closed_at)) " (" (file.reason) ")" } },
            html! {
                (state(file))
                @if file.uploaded_at.is_some() { " " (badge::tag("uploaded")) }
            },
        ];
        row(cells).key(file.id.to_string())
    });
    let columns = vec![
        column("No.").number(),
        column("File"),
        column("Rows").number(),
        column("Numbers"),
        column("Size").number(),
        column("Closed"),
        column("State"),
    ];
    let empty = feedback::empty(
        Icon::Book,
        "No closed files yet",
        "A file is closed when it has its lines, its size or its age, or when you close it.",
        &html! {},
    );
    table("Closed files, the newest first", columns, rows.collect()).id("files").empty(empty).render()
}

fn standing(visitor: &Visitor, stream: &CdrStream) -> Markup {
    let state = match stream.active {
        true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
        false => badge::badge(Tone::Neutral, "Off"),
    };
    let written = format!("{}, {}", stream.settings.format.as_str(), stream.settings.compression.as_str());
    let open = match &stream.open {
        Some(open) => html! {
            "No. " (open.number) ": " (rows(open.last_seq - open.first_seq + 1)) " rows, since " (moment(open.opened_at))
        },
        None => none(),
    };
    let actions = html! {
        @if may(visitor, Permission::CdrChange) {
            @if stream.active { (post_button("/records/rotate", "Close the open file", Icon::Check)) }
            (form::link("Settings", "/records/settings").weight(Weight::Plain).small())
        }
    };
    card::card(
        "Records",
        &actions,
        &card::facts(&[
            ("Written", state),
            ("As", html! { (written) }),
            ("Open file", open),
            ("Rows in closed files", html! { (rows(stream.closed_seq)) }),
        ]),
    )
}

fn sums(days: &[Day]) -> Markup {
    let shown: Vec<&Day> = days.iter().take(DAYS).rev().collect();
    let points: Vec<(String, f64)> =
        shown.iter().map(|day| (day.day.clone(), day.states.values().sum::<i64>() as f64)).collect();
    let rows_of = days.iter().take(7).flat_map(|day| {
        day.states.iter().map(|(state, number)| {
            row(vec![html! { (day.day) }, badge::message_state(state, state), html! { (rows(*number)) }])
        })
    });
    let columns = vec![column("Day"), column("State"), column("Rows").number()];
    html! {
        @if !points.is_empty() {
            (card::card("Rows by day", &html! {}, &html! {
                (chart::bars(&Series { caption: "Rows of closed files by day", axis: "Day", measure: "Rows", points: &points }))
                (table("By state, the last seven days", columns, rows_of.collect()).id("sums").caption_shown())
            }))
        }
    }
}

async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let stream = super::get(&visitor.scope).await?;
    let page = super::list(&visitor.scope, paging.behind(i64::MAX)?, FILES).await?;
    let next = page.next.as_ref().map(|next| format!("/records?after={next}"));
    let inner = html! {
        (standing(&visitor, &stream))
        (files_table(&page.items))
        (browse::pager(crate::pages::words(&visitor), None, next.as_deref(), ""))
    };
    let live = region(&visitor, "records-live", &["cdr"], inner);
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Records", live)));
    }
    let days = super::sums(&visitor.scope).await?;
    let body = html! {
        (live)
        (sums(&days))
        (feedback::help("What is a call detail record?", &html! {
            p { "A row for each part of each message that came to its end: who, when, which way, and what became of it; never its text. "
                "Rows are numbered without a gap, so what is missing shows." }
        }))
    };
    Ok(visitor.page_or_fragment(Content::new("Records", body)))
}

async fn download(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    Ok(super::api::download(&visitor.scope, id.parse()?).await?)
}

async fn rotate(visitor: Visitor) -> Result<Response, PageProblem> {
    Ok(match super::rotate(&visitor.scope).await? {
        Some(file) => done("/records", &format!("{} is closed.", file.name)),
        None => done("/records", "There was no row to write."),
    })
}

fn settings_form<'a>(visitor: &Visitor, shown: &Shown<'_>) -> Content<'a> {
    let [active, format, compression, url] =
        ["active", "format", "compression", "upload_url"].map(|name| shown.value(name));
    let formats =
        [Choice::new("csv", "CSV"), Choice::new("jsonl", "JSON lines"), Choice::new("parquet", "Parquet")];
    let compressions =
        [Choice::new("none", "None"), Choice::new("gzip", "gzip"), Choice::new("zstd", "Zstandard")];
    let body = form::post(
        "/records/settings",
        "",
        &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(shown.value("revision"));
            (form::section("Records", Some("They begin with what happens after they were switched on."), &html! {
                (field::checkbox("active", "Write records").checked(active == "true"))
                (field::select("format", "Format", &formats).value(&format).error(shown.error("format")))
                (field::select("compression", "Compression", &compressions).value(&compression)
                    .hint("Parquet compresses its own pages by it.").error(shown.error("compression")))
                (field::text("upload_url", "Upload to").mono().wide().value(&url)
                    .hint("Each closed file is put here under its name, by HTTP PUT. Empty: nowhere.").error(shown.error("upload_url")))
            }))
            (form::actions(&html! { (form::submit("Save settings")) (form::link("Cancel", "/records")) }))
        },
    );
    Content::new("Record settings", body)
}

fn members(stream: &CdrStream) -> Result<Patch> {
    let mut members = settings::members(&stream.settings)?;
    members.insert("active".to_owned(), stream.active.into());
    members.insert("revision".to_owned(), stream.revision.into());
    Ok(members)
}

async fn edit(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::CdrChange)?;
    let stream = super::get(&visitor.scope).await?;
    let shown = Shown::of(members(&stream)?);
    Ok(visitor.page(settings_form(&visitor, &shown)))
}

async fn change(
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let choice = |name: &str, known: bool| {
        let text = fields.get(name).unwrap_or_default();
        if known || text.is_empty() {
            return Ok(Value::from(text));
        }
        Err(Error::invalid(name, format!("{text:?} is not one of the choices")))
    };
    let patch = || -> Result<CdrPatch> {
        let format = choice("format", fields.get("format").and_then(Format::named).is_some())?;
        let compression =
            choice("compression", fields.get("compression").and_then(Compression::named).is_some())?;
        let upload_url = fields.get("upload_url").map_or(Value::Null, Value::from);
        let settings = [("format", format), ("compression", compression), ("upload_url", upload_url)];
        Ok(CdrPatch {
            active: Some(fields.get("active").is_some()),
            settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            revision: fields.revision(),
        })
    };
    let changed = match patch() {
        Ok(patch) => super::change(&visitor.scope, patch).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(done("/records", "The settings are saved.")),
        Err(error) => {
            let refused = again(error)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(settings_form(&visitor, &shown)))
        }
    }
}

/// The pages.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/records", get(list))
        .route("/records/rotate", post(rotate))
        .route("/records/settings", get(edit).post(change))
        .route("/records/{id}", get(download))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [size(0), size(9_999), size(12_345), size(67_000_000)],
            ["0 B", "9999 B", "12 kB", "67 MB"]
        );
    }
}
