//! The audit trail in the console.

use std::collections::{BTreeSet, HashMap};

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::Value;
use types::{Event, Permission};
use web::console::Content;
use web::ui::browse::{self, ActiveFilter};
use web::ui::field::{self, Choice};
use web::ui::form::Weight;
use web::ui::icon::Icon;
use web::ui::table::{Row, column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{card, code, feedback, form, live};
use web::{App, PageProblem, Query, Visitor, console};

use super::api::ExportQuery;
use super::{Entry, Filter, Report};
use crate::actor;

/// So many touched fields are named above their values; more are counted.
const NAMES_SHOWN: usize = 3;

/// A kind of event in words: `key.created` is "Key created".
fn kind_title(kind: &str) -> String {
    let words = kind.replace(['.', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What an entry is about, in words: a record's name, who came in and why not, or what else the event tells.
fn about(data: &Value) -> String {
    let text = |name: &str| data[name].as_str().filter(|text| !text.is_empty());
    match (text("name"), text("who")) {
        (Some(name), _) => name.to_owned(),
        (None, Some(who)) => {
            let by = text("by").map(|by| format!(", by {by}")).unwrap_or_default();
            let reason = text("reason").map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{who}{by}{reason}")
        }
        (None, None) => ["detail", "what", "id"].into_iter().find_map(text).unwrap_or_default().to_owned(),
    }
}

/// A field that a change touched: its name, and its value before and after.
#[derive(Debug, PartialEq, Eq)]
struct Touched<'a> {
    field: &'a str,
    before: String,
    after: String,
}

/// The fields whose values differ, by name. Of a new or deleted record that is every field with a value.
fn touched(data: &Value) -> Vec<Touched<'_>> {
    let (before, after) = (&data["before"], &data["after"]);
    let names: BTreeSet<&str> = [before, after]
        .into_iter()
        .filter_map(Value::as_object)
        .flat_map(|fields| fields.keys().map(String::as_str))
        .collect();
    let shown = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    names
        .into_iter()
        .map(|field| Touched { field, before: shown(before.get(field)), after: shown(after.get(field)) })
        .filter(|touched| touched.before != touched.after)
        .collect()
}

fn difference(data: &Value) -> Markup {
    let touched = touched(data);
    let rows = touched.iter().map(|one| {
        row(vec![
            html! { code { (one.field) } },
            html! { @if !one.before.is_empty() { del { (one.before) } } },
            html! { @if !one.after.is_empty() { ins { (one.after) } } },
        ])
    });
    let names: Vec<&str> = touched.iter().map(|one| one.field).collect();
    let label = match names.len() {
        1..=NAMES_SHOWN => names.join(", "),
        several => format!("{several} fields"),
    };
    let columns = vec![column("Field"), column("Before"), column("After")];
    html! {
        @if !touched.is_empty() {
            (feedback::help(&label, &html! { (table("Fields before and after", columns, rows.collect()).dense()) }))
        }
    }
}

fn entry(entry: &Entry, names: &HashMap<String, String>) -> Row {
    let actor = html! {
        @match names.get(&entry.actor) {
            // Of somebody who acted as a user: what they did is what is asked for next.
            Some(name) => { a href=(format!("/audit?actor={}", entry.actor.rsplit(' ').next().unwrap_or_default())) title=(entry.actor) { (name) } }
            None => (entry.actor),
        }
    };
    row(vec![
        html! { (entry.number) },
        relative_time(&entry.at.to_string(), &entry.at.to_minute()),
        actor,
        html! { span title=(entry.kind) { (kind_title(&entry.kind)) } },
        html! { (about(&entry.data)) (difference(&entry.data)) },
        html! { (entry.from.as_deref().unwrap_or("")) },
    ])
    .key(entry.number.to_string())
}

/// The page's address with these filters, but for one, and from this place on.
fn href(path: &str, filter: &Filter, without: &str, after: Option<&str>) -> String {
    let pairs = [
        ("actor", &filter.actor),
        ("type", &filter.kind),
        ("subject", &filter.subject),
        ("since", &filter.since),
        ("until", &filter.until),
        ("text", &filter.text),
    ];
    let filled: Vec<_> = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref().filter(|value| !value.is_empty())?)))
        .filter(|(name, _)| *name != without)
        .chain(after.map(|after| ("after", after)))
        .collect();
    web::body::with_query(path, &filled)
}

fn filter_fields(filter: &Filter, kinds: &[Choice<'_>]) -> Markup {
    let value = |field: &Option<String>| field.clone().unwrap_or_default();
    html! {
        (field::search("text", "Search").value(&value(&filter.text)).max_chars(200))
        (field::select("type", "What", kinds).value(&value(&filter.kind)))
        (field::text("actor", "Who").value(&value(&filter.actor)).placeholder("usr_… or key_…"))
        (field::text("subject", "About").value(&value(&filter.subject)).placeholder("an id or address"))
        (field::text("since", "Since").value(&value(&filter.since)).placeholder("2026-01-31"))
        (field::text("until", "Until").value(&value(&filter.until)).placeholder("2026-01-31"))
    }
}

fn active_filters(filter: &Filter, names: &HashMap<String, String>) -> Vec<ActiveFilter> {
    let named = |actor: &String| names.get(actor).unwrap_or(actor).clone();
    let pairs = [
        ("text", filter.text.clone()),
        ("type", filter.kind.as_deref().map(kind_title)),
        ("actor", filter.actor.as_ref().map(named)),
        ("subject", filter.subject.clone()),
        ("since", filter.since.as_ref().map(|since| format!("since {since}"))),
        ("until", filter.until.as_ref().map(|until| format!("until {until}"))),
    ];
    let filled =
        pairs.into_iter().filter_map(|(name, label)| Some((name, label.filter(|label| !label.is_empty())?)));
    filled
        .map(|(name, label)| ActiveFilter { label, remove_href: href("/audit", filter, name, None) })
        .collect()
}

async fn list(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &filter).await?;
    let actors = page.items.iter().map(|entry| entry.actor.as_str());
    let names = actor::names(&visitor.scope, actors).await?;
    let words = Words::for_lang(&visitor.person.language);
    let titles: Vec<_> = Event::audited_kinds().map(|kind| (kind, kind_title(kind))).collect();
    let kinds: Vec<Choice<'_>> = std::iter::once(Choice::new("", "Everything"))
        .chain(titles.iter().map(|(kind, title)| Choice::new(kind, title)))
        .collect();
    let columns = vec![
        column("No.").number().detail(),
        column("When"),
        column("Who"),
        column("What"),
        column("About"),
        column("From").detail(),
    ];
    let rows = page.items.iter().map(|one| entry(one, &names)).collect();
    let empty = feedback::empty(
        Icon::Shield,
        "Nothing here",
        "Nobody did such a thing, or it lies further back.",
        &html! {},
    );
    let older = page.next.as_deref().map(|next| href("/audit", &filter, "", Some(next)));
    let region = html! {
        (table("Audit trail", columns, rows).id("audit").dense().empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Audit", region)));
    }
    let own = href("/audit", &filter, "", filter.after.as_deref());
    let active = active_filters(&filter, &names);
    let body = html! {
        (browse::filter_bar(words, "/audit", &filter_fields(&filter, &kinds), &active))
        (live::live("audit-region", &own, &["user", "key", "tenant", "account", "connection", "route"], &region))
    };
    let may = |permission| visitor.scope.permissions().contains(permission);
    let export = href("/audit/export", &filter, "", None);
    let csv = format!("{export}{}format=csv", if export.contains('?') { "&" } else { "?" });
    let actions = html! {
        @if may(Permission::AuditExport) {
            (form::link("Download", &export).weight(Weight::Plain))
            (form::link("Download as CSV", &csv).weight(Weight::Plain))
        }
        @if may(Permission::AuditVerify) { (form::link("Verify", "/audit/verify").icon(Icon::Shield)) }
    };
    Ok(visitor.page_or_fragment(Content { actions, ..Content::new("Audit", body) }))
}

async fn export(visitor: Visitor, Query(query): Query<ExportQuery>) -> Result<Response, PageProblem> {
    Ok(super::api::as_file(&visitor.scope, query).await?)
}

fn verdict(report: &Report) -> Markup {
    let rows = format!("rows {} to {}, {} checkpoints", report.first, report.last, report.checkpoints);
    match &report.damage {
        None => feedback::notice(
            Tone::Good,
            "The trail is whole",
            &html! { p { "Looked at " (rows) ". Signed up to row " (report.signed_until) "." } },
        ),
        Some(damage) => feedback::notice(
            Tone::Bad,
            "The trail is damaged",
            &html! {
                p { @if let Some(number) = damage.number { "Row " (number) ": " } (damage.detail) "." }
                p { "Keep a copy of the database as it is, and compare it with your exports and backups." }
            },
        ),
    }
}

async fn verify(visitor: Visitor) -> Result<Response, PageProblem> {
    let report = super::check(&visitor.scope).await?;
    let standing = super::standing(&visitor.scope).await?;
    let words = Words::for_lang(&visitor.person.language);
    let rows = standing.checkpoints.iter().map(|signed| {
        let told = &signed.checkpoint;
        row(vec![
            html! { (told.checkpoint) },
            relative_time(&told.at.to_string(), &told.at.to_minute()),
            html! { (told.number) },
            html! { code { (told.hash) } },
        ])
    });
    let columns = vec![column("Checkpoint"), column("When"), column("Row").number(), column("Hash").detail()];
    let none =
        feedback::empty(Icon::Shield, "No checkpoint yet", "The first is signed within a minute.", &html! {});
    let key = html! {
        p { "Keep this key apart from this server: with it, an export verifies without trusting the server that made it." }
        (code::block(words, "public-key", "Public key", &standing.public_key_pem))
    };
    let body = html! {
        (verdict(&report))
        (card::card("Key", &html! {}, &key))
        (table("Checkpoints", columns, rows.collect()).caption_shown().dense().empty(none))
    };
    let actions = html! {
        (form::post("/audit/checkpoints", "", &html! { (form::submit("Sign a checkpoint").weight(Weight::Plain)) }))
        (form::link("Verify again", "/audit/verify"))
    };
    let breadcrumbs = browse::breadcrumbs(words, &[("Audit", "/audit")], "Verify");
    Ok(visitor.page(Content { actions, breadcrumbs, ..Content::new("Verify the audit trail", body) }))
}

async fn sign(visitor: Visitor) -> Result<Response, PageProblem> {
    super::sign(&visitor.scope).await?;
    Ok(console::done("/audit/verify", "Checkpoint signed."))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/audit", get(list))
        .route("/audit/export", get(export))
        .route("/audit/verify", get(verify))
        .route("/audit/checkpoints", post(sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_are_read_as_words() {
        assert_eq!(kind_title("user.signed_in"), "User signed in");
        assert_eq!(kind_title(""), "");
    }

    #[test]
    fn only_what_differs_is_touched() {
        let change = json!({
            "id": "usr_1",
            "name": "Ana",
            "before": { "name": "Ana", "role": "viewer", "gone": 1 },
            "after": { "name": "Ana", "role": "support", "new": [true] },
        });
        let touched: Vec<_> =
            touched(&change).into_iter().map(|one| (one.field.to_owned(), one.before, one.after)).collect();
        let expected = [("gone", "1", ""), ("new", "", "[true]"), ("role", "viewer", "support")];
        assert_eq!(touched, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    }

    #[test]
    fn what_an_entry_is_about_is_said_in_words() {
        let refused = json!({ "who": "ana@example.com", "by": "password", "reason": "wrong password" });
        assert_eq!(about(&refused), "ana@example.com, by password: wrong password");
        assert_eq!(about(&json!({ "what": "opt_outs" })), "opt_outs");
        assert_eq!(about(&json!({ "id": "x", "name": "Ana" })), "Ana");
        assert_eq!(about(&Value::Null), "");
    }
}
