//! Security events in the console.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use types::Permission;
use web::console::Content;
use web::ui::browse::{self, ActiveFilter, Tab};
use web::ui::card::{self, Stat};
use web::ui::chart::{self, Series};
use web::ui::field::{self, Choice};
use web::ui::form::Weight;
use web::ui::icon::Icon;
use web::ui::table::{Row, column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, feedback, form, live};
use web::{App, Form, PageProblem, Query, Refused, Visitor, console};

use super::{CLOSING, Filter, Handling, Kind, SecurityEvent, SecuritySummary, Severity};
use crate::{user, value_list};

fn kind_title(kind: &str) -> &str {
    Kind::named(kind).map_or(kind, |known| known.title())
}

fn severity(severity: &str) -> Markup {
    match Severity::named(severity) {
        Severity::Low => badge::badge(Tone::Neutral, "low"),
        Severity::Medium => badge::badge_icon(Tone::Warn, Icon::Warning, "medium"),
        Severity::High => badge::badge_icon(Tone::Bad, Icon::Warning, "high"),
    }
}

fn state(state: &str) -> Markup {
    match state {
        "closed" => badge::badge_icon(Tone::Good, Icon::Check, "closed"),
        "acknowledged" => badge::badge(Tone::Info, "acknowledged"),
        other => badge::badge(Tone::Warn, other),
    }
}

fn line(event: &SecurityEvent) -> Row {
    row(vec![
        relative_time(&event.last_at.to_string(), &event.last_at.to_minute()),
        severity(&event.severity),
        html! { (kind_title(&event.kind)) },
        html! { (event.subject) },
        html! { (event.detail) },
        html! { (event.count) },
        state(&event.state),
    ])
    .link(format!("/security-events/{}", event.id))
    .key(event.id.to_string())
}

/// Events as people read them about themselves: nothing to be done with them.
pub(crate) fn of_oneself(events: &[SecurityEvent]) -> Markup {
    let rows = events.iter().map(|event| {
        row(vec![
            relative_time(&event.last_at.to_string(), &event.last_at.to_minute()),
            html! { (kind_title(&event.kind)) },
            html! { (event.detail) },
            state(&event.state),
        ])
    });
    let columns = vec![column("Last seen"), column("What"), column("Seen"), column("State")];
    let none = feedback::empty(
        Icon::Shield,
        "Nothing was noticed",
        "What looks like an attack on your account would stand here.",
        &html! {},
    );
    html! { (table("Security events about you", columns, rows.collect()).dense().empty(none)) }
}

fn href(filter: &Filter, without: &str, after: Option<&str>) -> String {
    let pairs = [
        ("kind", &filter.kind),
        ("severity", &filter.severity),
        ("state", &filter.state),
        ("user", &filter.user),
        ("subject", &filter.subject),
        ("platform", &filter.platform),
    ];
    let filled: Vec<_> = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref().filter(|value| !value.is_empty())?)))
        .filter(|(name, _)| *name != without)
        .chain(after.map(|after| ("after", after)))
        .collect();
    web::body::with_query("/security-events", &filled)
}

fn filter_fields(filter: &Filter) -> Markup {
    let value = |field: &Option<String>| field.clone().unwrap_or_default();
    let kinds: Vec<Choice<'_>> = std::iter::once(Choice::new("", "Everything"))
        .chain(Kind::ALL.iter().map(|kind| Choice::new(kind.as_str(), kind.title())))
        .collect();
    let severities =
        [("", "Any"), ("medium", "Medium and high"), ("high", "High alone")].map(|(v, l)| Choice::new(v, l));
    let states = [("", "Any"), ("open", "Open"), ("acknowledged", "Acknowledged"), ("closed", "Closed")]
        .map(|(value, label)| Choice::new(value, label));
    html! {
        (field::search("subject", "About").value(&value(&filter.subject)).max_chars(200))
        (field::select("kind", "What", &kinds).value(&value(&filter.kind)))
        (field::select("severity", "Severity", &severities).value(&value(&filter.severity)))
        (field::select("state", "State", &states).value(&value(&filter.state)))
        @if filter.platform.as_deref() == Some("true") { input type="hidden" name="platform" value="true"; }
    }
}

fn active(filter: &Filter) -> Vec<ActiveFilter> {
    let pairs = [
        ("subject", filter.subject.clone()),
        ("kind", filter.kind.as_deref().map(|kind| kind_title(kind).to_owned())),
        ("severity", filter.severity.as_ref().map(|least| format!("at least {least}"))),
        ("state", filter.state.clone()),
        ("user", filter.user.clone()),
    ];
    let filled =
        pairs.into_iter().filter_map(|(name, label)| Some((name, label.filter(|label| !label.is_empty())?)));
    filled.map(|(name, label)| ActiveFilter { label, remove_href: href(filter, name, None) }).collect()
}

fn drawing(summary: &SecuritySummary) -> Markup {
    let stat =
        |label, value, tone, href| Stat { label, value, note: None, tone, href: Some(href), trend: &[] };
    let (high, medium) = (summary.high.to_string(), summary.medium.to_string());
    let (low, taken) = (summary.low.to_string(), summary.acknowledged.to_string());
    let points: Vec<(String, f64)> =
        summary.days.iter().map(|day| (day.day.clone(), day.events as f64)).collect();
    let series = Series { caption: "Events a day", axis: "Day", measure: "Events", points: &points };
    html! {
        (card::stats(&[
            stat("Open, high", &high, Tone::Bad, "/security-events?state=open&severity=high"),
            stat("Open, medium", &medium, Tone::Warn, "/security-events?state=open&severity=medium"),
            stat("Open, low", &low, Tone::Neutral, "/security-events?state=open"),
            stat("Acknowledged", &taken, Tone::Info, "/security-events?state=acknowledged"),
        ]))
        (card::card("Last 30 days", &html! {}, &chart::bars(&series)))
    }
}

async fn list(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &filter).await?;
    let platform = filter.platform.as_deref() == Some("true");
    let words = Words::for_lang(&visitor.person.language);
    let columns = vec![
        column("Last seen"),
        column("Severity"),
        column("What"),
        column("About"),
        column("Seen").detail(),
        column("Times").number().detail(),
        column("State"),
    ];
    let empty = feedback::empty(Icon::Shield, "Nothing here", "Nothing of this kind was noticed.", &html! {});
    let older = page.next.as_deref().map(|next| href(&filter, "", Some(next)));
    let rows = page.items.iter().map(line).collect();
    let region = html! {
        (table("Security events", columns, rows).id("security-events").dense().empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Security events", region)));
    }
    let summary = super::summary(&visitor.scope, platform).await?;
    let own = href(&filter, "", filter.after.as_deref());
    let tabs = [
        Tab { label: "This tenant", href: "/security-events", count: None, current: !platform },
        Tab {
            label: "The platform's own",
            href: "/security-events?platform=true",
            count: None,
            current: platform,
        },
    ];
    let body = html! {
        @if visitor.scope.permissions().contains(Permission::SystemView) { (browse::tabs("Whose events", &tabs)) }
        (drawing(&summary))
        (browse::filter_bar(words, "/security-events", &filter_fields(&filter), &active(&filter)))
        (live::live("security-events-region", &own, &["security_event"], &region))
    };
    let actions = html! { (form::link("Who is told", "/alert-rules").icon(Icon::Bell)) };
    Ok(visitor.page_or_fragment(Content { actions, ..Content::new("Security events", body) }))
}

/// What is to be done, as the form brings it.
#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    state: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    revision: String,
}

async fn handling(
    visitor: &Visitor,
    event: &SecurityEvent,
    given: &Given,
    refused: &Refused,
) -> Result<Markup, PageProblem> {
    let offered = value_list::offered(&visitor.scope, CLOSING, &visitor.person.language).await?;
    let reasons: Vec<Choice<'_>> = std::iter::once(Choice::new("", "None"))
        .chain(offered.iter().map(|(code, title)| Choice::new(code, title)))
        .collect();
    let states = [
        Choice { hint: Some("Somebody looks into it."), ..Choice::new("acknowledged", "Acknowledged") },
        Choice { hint: Some("With a reason."), ..Choice::new("closed", "Closed") },
        Choice::new("open", "Open"),
    ];
    let fields = html! {
        input type="hidden" name="revision" value=(event.revision);
        (field::radios("state", "State", &states).value(&given.state).error(refused.at("state")).required())
        (field::select("reason", "Why it is closed", &reasons).value(&given.reason).error(refused.at("reason")))
        (field::textarea("note", "Note").value(&given.note).rows(3).max_chars(1_000).error(refused.at("note")))
        (form::actions(&html! { (form::submit("Save").weight(Weight::Primary)) }))
    };
    let action = format!("/security-events/{}", event.id);
    Ok(card::card("What is done about it", &html! {}, &form::post(&action, "", &fields)))
}

async fn content(
    visitor: &Visitor,
    event: &SecurityEvent,
    given: &Given,
    refused: &Refused,
) -> Result<Response, PageProblem> {
    let words = Words::for_lang(&visitor.person.language);
    let scope = &visitor.scope;
    let at = |at: types::Timestamp| relative_time(&at.to_string(), &at.to_minute());
    let reason = match &event.reason {
        Some(code) => Some(value_list::title_of(scope, CLOSING, code, &visitor.person.language).await?),
        None => None,
    };
    let may = |permission| scope.permissions().contains(permission);
    let person = match event.user_id.filter(|_| may(Permission::UserView)) {
        Some(id) => user::get(scope, id).await.ok(),
        None => None,
    };
    let mut facts = vec![
        ("Severity", severity(&event.severity)),
        ("About", html! { (event.subject) }),
        ("Seen", html! { (event.detail) }),
        ("Times", html! { (event.count) }),
        ("First", at(event.first_at)),
        ("Last", at(event.last_at)),
        ("State", state(&event.state)),
    ];
    if let Some(person) = &person {
        facts.push(("User", html! { a href=(format!("/users/{}", person.id)) { (person.name) } }));
    }
    if let Some(reason) = &reason {
        facts.push(("Why it is closed", html! { (reason) }));
    }
    if let Some(note) = &event.note {
        facts.push(("Note", html! { (note) }));
    }
    if let (Some(by), Some(when)) = (&event.handled_by, event.handled_at) {
        facts.push(("Handled", html! { (by) ", " (at(when)) }));
    }
    let form = match may(Permission::SecurityEventHandle) {
        true => handling(visitor, event, given, refused).await?,
        false => html! {},
    };
    let body = html! {
        (refused.summary(words, &["state", "reason", "note"]))
        (card::panel(&card::facts(&facts)))
        (form)
    };
    let title = kind_title(&event.kind);
    let content = Content {
        breadcrumbs: browse::breadcrumbs(words, &[("Security events", "/security-events")], &event.subject),
        ..Content::new(title, body)
    };
    Ok(if refused.status() == 200 { visitor.page(content) } else { visitor.page_again(content) })
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let event = super::get(&visitor.scope, id.parse()?).await?;
    let next = if event.state == "open" { "acknowledged" } else { &event.state };
    let given = Given {
        state: next.to_owned(),
        reason: event.reason.clone().unwrap_or_default(),
        note: event.note.clone().unwrap_or_default(),
        revision: String::new(),
    };
    content(&visitor, &event, &given, &Refused::NONE).await
}

async fn handle(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, PageProblem> {
    let id = id.parse()?;
    let wanted = Handling {
        state: given.state.clone(),
        reason: Some(given.reason.clone()),
        note: Some(given.note.clone()),
        revision: given.revision.parse().ok(),
    };
    match super::handle(&visitor.scope, id, wanted).await {
        Ok(_) => Ok(console::done(&format!("/security-events/{id}"), "Saved.")),
        Err(error) => {
            let event = super::get(&visitor.scope, id).await?;
            content(&visitor, &event, &given, &Refused::by(error)?).await
        }
    }
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/security-events", get(list)).route("/security-events/{id}", get(show).post(handle))
}
