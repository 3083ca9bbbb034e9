//! The audit trail in the console.

use std::collections::{BTreeSet, HashMap};

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;
use types::Event;
use types::event::{Access, Change, FileClosed, Link, MessageChange, PartChange, Recorded};
use web::console::Content;
use web::ui::browse::{self, ActiveFilter};
use web::ui::field::{self, Choice};
use web::ui::icon::Icon;
use web::ui::table::{Row, column, row, table};
use web::ui::timeline::relative_time;
use web::ui::words::Words;
use web::ui::{feedback, live};
use web::{App, PageProblem, Query, Visitor};

use super::Filter;

/// So many touched fields are named above their values; more are counted.
const NAMES_SHOWN: usize = 3;

/// A kind of event in words: `key.created` is "Key created".
fn kind_title(kind: &str) -> String {
    let words = kind.replace(['.', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What an event is about, in words, and what it changed.
#[expect(clippy::too_many_lines, reason = "a line for each event, so that the compiler asks for the next")]
fn about(event: &Event) -> (String, Option<&Change>) {
    match event {
        Event::TenantCreated(change)
        | Event::TenantChanged(change)
        | Event::UserCreated(change)
        | Event::UserChanged(change)
        | Event::KeyCreated(change)
        | Event::KeyRevoked(change)
        | Event::KeyChanged(change)
        | Event::ClientCreated(change)
        | Event::ClientChanged(change)
        | Event::ClientDeleted(change)
        | Event::ConsentGiven(change)
        | Event::ConsentEnded(change)
        | Event::TokenRevoked(change)
        | Event::ProviderCreated(change)
        | Event::ProviderChanged(change)
        | Event::ProviderDeleted(change)
        | Event::AccountCreated(change)
        | Event::AccountChanged(change)
        | Event::AccountDeleted(change)
        | Event::ConnectionCreated(change)
        | Event::ConnectionChanged(change)
        | Event::ConnectionDeleted(change)
        | Event::ConnectionRenewed(change)
        | Event::AccountEnded(change)
        | Event::TraceStarted(change)
        | Event::TraceDownloaded(change)
        | Event::TraceDeleted(change)
        | Event::SystemReloaded(change)
        | Event::DataKeyTurned(change)
        | Event::DataKeyRemoved(change)
        | Event::RootKeyTurned(change)
        | Event::RootKeysForgotten(change)
        | Event::RouteCreated(change)
        | Event::RouteChanged(change)
        | Event::RouteDeleted(change)
        | Event::CdrChanged(change)
        | Event::SenderCreated(change)
        | Event::SenderChanged(change)
        | Event::SenderDeleted(change)
        | Event::PoolCreated(change)
        | Event::PoolChanged(change)
        | Event::PoolDeleted(change)
        | Event::SenderPolicyChanged(change)
        | Event::BlacklistAdded(change)
        | Event::BlacklistRemoved(change)
        | Event::FirewallRuleCreated(change)
        | Event::FirewallRuleChanged(change)
        | Event::FirewallRuleDeleted(change)
        | Event::HoursCreated(change)
        | Event::DistributionListCreated(change)
        | Event::DistributionListChanged(change)
        | Event::DistributionListDeleted(change)
        | Event::InboundNumberCreated(change)
        | Event::InboundNumberChanged(change)
        | Event::InboundNumberDeleted(change)
        | Event::MailGatewayCreated(change)
        | Event::MailGatewayChanged(change)
        | Event::MailGatewayDeleted(change)
        | Event::OptOutAdded(change)
        | Event::OptOutRemoved(change)
        | Event::HoursChanged(change)
        | Event::HoursDeleted(change)
        | Event::RoutesReplaced(change)
        | Event::RouteDraftChanged(change)
        | Event::LookupCreated(change)
        | Event::LookupChanged(change)
        | Event::LookupDeleted(change)
        | Event::PauseCreated(change)
        | Event::PauseEnded(change)
        | Event::QueueSteered(change)
        | Event::NumberPlanImported(change) => (change.name.clone(), Some(change)),
        Event::UserSignedIn(access)
        | Event::UserRefused(access)
        | Event::UserSignedOut(access)
        | Event::LinkIssued(access)
        | Event::KeyRefused(access)
        | Event::RefreshReused(access)
        | Event::UserLinked(access) => (access_text(access), None),
        Event::AccountBound(Link { name, detail, .. })
        | Event::AccountUnbound(Link { name, detail, .. })
        | Event::ConnectionBound(Link { name, detail, .. })
        | Event::ConnectionLost(Link { name, detail, .. }) => (format!("{name}: {detail}"), None),
        Event::MessageAccepted(MessageChange { message, .. })
        | Event::MessageSent(MessageChange { message, .. })
        | Event::MessageEnded(MessageChange { message, .. })
        | Event::MessageIndeterminate(MessageChange { message, .. })
        | Event::MessageRetried(MessageChange { message, .. })
        | Event::MessageReceived(MessageChange { message, .. })
        | Event::MessageReleased(MessageChange { message, .. })
        | Event::MessageHeld(MessageChange { message, .. })
        | Event::MessageAmended(PartChange { message, .. }) => (message.to_string(), None),
        Event::AccountingUnbalanced(told) | Event::AccountingBalanced(told) => (told.detail.clone(), None),
        Event::CdrClosed(FileClosed { name, .. }) => (name.clone(), None),
    }
}

fn access_text(access: &Access) -> String {
    match &access.reason {
        Some(reason) => format!("{}, by {}: {reason}", access.who, access.by),
        None => format!("{}, by {}", access.who, access.by),
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
fn touched(change: &Change) -> Vec<Touched<'_>> {
    let fields =
        |side: &'_ Option<Value>| side.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (fields(&change.before), fields(&change.after));
    let names: BTreeSet<&str> = [&change.before, &change.after]
        .into_iter()
        .filter_map(|side| side.as_ref()?.as_object())
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

fn difference(change: &Change) -> Markup {
    let touched = touched(change);
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

fn entry(recorded: &Recorded, names: &HashMap<String, String>) -> Row {
    let (text, change) = about(&recorded.event);
    let actor = html! {
        @match names.get(&recorded.actor) {
            Some(name) => { a href=(format!("/audit?actor={}", recorded.actor)) title=(recorded.actor) { (name) } }
            None => (recorded.actor),
        }
    };
    row(vec![
        relative_time(&recorded.at.to_string(), &recorded.at.to_minute()),
        actor,
        html! { span title=(recorded.event.kind()) { (kind_title(recorded.event.kind())) } },
        html! { (text) @if let Some(change) = change { (difference(change)) } },
        html! { (recorded.from.as_deref().unwrap_or("")) },
    ])
    .key(recorded.seq.to_string())
}

/// The page's address with these filters and from this place on.
fn href(actor: Option<&str>, kind: Option<&str>, after: Option<&str>) -> String {
    let pairs = [("actor", actor), ("type", kind), ("after", after)];
    let filled: Vec<_> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    match serde_urlencoded::to_string(&filled) {
        Ok(query) if !query.is_empty() => format!("/audit?{query}"),
        _ => "/audit".to_owned(),
    }
}

async fn list(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &filter).await?;
    let names = super::actors(&visitor.scope, &page.items).await?;
    let words = Words::for_lang(&visitor.person.language);
    let (actor, kind) = (filter.actor.as_deref(), filter.kind.as_deref());
    let titles: Vec<_> = Event::audited_kinds().map(|kind| (kind, kind_title(kind))).collect();
    let kinds: Vec<Choice<'_>> = std::iter::once(Choice::new("", "Everything"))
        .chain(titles.iter().map(|(kind, title)| Choice::new(kind, title)))
        .collect();
    let fields = html! {
        (field::select("type", "What", &kinds).value(kind.unwrap_or_default()))
        (field::text("actor", "Who").value(actor.unwrap_or_default()).placeholder("usr_… or key_…"))
    };
    let mut active = Vec::new();
    if let Some(kind) = kind {
        active.push(ActiveFilter { label: kind_title(kind), remove_href: href(actor, None, None) });
    }
    if let Some(actor) = actor {
        let label = names.get(actor).map_or(actor, String::as_str).to_owned();
        active.push(ActiveFilter { label, remove_href: href(None, kind, None) });
    }
    let columns =
        vec![column("When"), column("Who"), column("What"), column("About"), column("From").detail()];
    let rows = page.items.iter().map(|recorded| entry(recorded, &names)).collect();
    let empty = feedback::empty(
        Icon::Shield,
        "Nothing here",
        "Nobody did such a thing, or it lies further back.",
        &html! {},
    );
    let older = page.next.as_deref().map(|next| href(actor, kind, Some(next)));
    let region = html! {
        (table("Audit trail", columns, rows).id("audit").dense().empty(empty))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Audit", region)));
    }
    let own = href(actor, kind, filter.after.as_deref());
    let body = html! {
        (browse::filter_bar(words, "/audit", &fields, &active))
        (live::live("audit-region", &own, &["user", "key", "tenant", "account", "connection", "route"], &region))
    };
    Ok(visitor.page_or_fragment(Content::new("Audit", body)))
}

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/audit", get(list))
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
        let change = Change {
            id: "usr_1".to_owned(),
            name: "Ana".to_owned(),
            before: Some(json!({ "name": "Ana", "role": "viewer", "gone": 1 })),
            after: Some(json!({ "name": "Ana", "role": "support", "new": [true] })),
        };
        let touched: Vec<_> =
            touched(&change).into_iter().map(|one| (one.field.to_owned(), one.before, one.after)).collect();
        let expected = [("gone", "1", ""), ("new", "", "[true]"), ("role", "viewer", "support")];
        assert_eq!(touched, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    }
}
