//! Messages in the console: the traffic as it flows, sending, looking at one.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{Permission, Timestamp};
use web::Visitor;
use web::console::{Content, NavEntry};
use web::ui::icon::Icon;
use web::ui::table::{Row, column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::{badge, live};

use super::State;
use super::query::Message;
use crate::api::Gateway;

mod home;
mod list;
mod send;
mod show;

/// These pages' places in the navigation.
pub const NAV: [NavEntry; 3] = [
    entry("Home", "/", Icon::Home, 'h', Permission::MessageView),
    entry("Send", "/send", Icon::Send, 's', Permission::MessageSend),
    entry("Messages", "/messages", Icon::Message, 'm', Permission::MessageView),
];

const fn entry(label: &'static str, href: &'static str, icon: Icon, key: char, permission: Permission) -> NavEntry {
    NavEntry { group: "Gateway", label, href, icon, key: Some(key), permission }
}

/// The console's words for a state.
fn state_name(state: State) -> &'static str {
    match state {
        State::Scheduled => "Scheduled",
        State::Queued => "Queued",
        State::Sent => "Sent",
        State::Indeterminate => "Unknown",
        State::Delivered => "Delivered",
        State::Failed => "Failed",
        State::Rejected => "Rejected",
        State::Expired => "Expired",
        State::Cancelled => "Cancelled",
        State::Received => "Received",
    }
}

fn state_badge(state: State) -> Markup {
    match state {
        State::Received => badge::badge_icon(Tone::Good, Icon::Inbox, state_name(state)),
        _ => badge::message_state(state.as_str(), state_name(state)),
    }
}

/// A number or a sender's name. Numbers read left to right in every language; a name as its letters say.
fn address(text: &str) -> Markup {
    html! {
        @if text.is_empty() { span class="hint" { "none" } }
        @else { bdi dir=[text.starts_with('+').then_some("ltr")] { (text) } }
    }
}

/// A number of things with its thousands apart: `12 480`, as every language reads it.
fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            // A narrow space that no line breaks at.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn ago(at: Timestamp) -> Markup {
    relative_time(&at.to_string(), &at.to_minute())
}

/// Characters of a text that a list shows.
const PREVIEW_CHARS: usize = 60;

fn preview(message: &Message) -> Markup {
    let Some(text) = &message.text else {
        return html! { span class="hint" { "binary" } };
    };
    let mut short: String = text.chars().take(PREVIEW_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    html! { bdi { (short) } }
}

/// Messages as rows; the newest first, as they come.
fn messages_table(id: &str, messages: &[Message], empty: Markup) -> Markup {
    let rows = messages.iter().map(|message| {
        let inbound = message.direction == "in";
        row(vec![
            address(&message.to),
            address(&message.from),
            html! {
                (state_badge(message.state))
                @if message.maybe_twice { " " (badge::badge(Tone::Warn, "maybe twice")) }
            },
            preview(message),
            html! { @if inbound { "in" } @else { (message.intent.as_str()) } },
            html! { (message.parts) },
            ago(message.accepted_at),
        ])
        .link(format!("/messages/{}", message.id))
        .key(message.id.to_string())
    });
    let columns = vec![
        column("To"),
        column("From"),
        column("State"),
        column("Text").detail(),
        column("For").detail(),
        column("Parts").number().detail(),
        column("When"),
    ];
    html! { (table("Messages", columns, rows.collect::<Vec<Row>>()).id(id).dense().empty(empty)) }
}

/// A page of which one region refreshes itself: the region alone when htmx asks for it at the same address.
struct LivePage<'a> {
    content: Content<'a>,
    region: &'a str,
    url: &'a str,
    topics: &'a [&'a str],
    /// What stands below the title before the region, such as filters; it is left alone by a refresh.
    above: Markup,
}

fn live_page(visitor: &Visitor, page: LivePage<'_>) -> Response {
    let LivePage { mut content, region, url, topics, above } = page;
    if !visitor.taste.fragment {
        content.body = html! { (above) (live::live(region, url, topics, &content.body)) };
    }
    visitor.page_or_fragment(content)
}

fn may(visitor: &Visitor, permission: Permission) -> bool {
    visitor.scope.permissions().contains(permission)
}

/// The routes.
pub fn router() -> Router<Gateway> {
    Router::new()
        .route("/", get(home::home))
        .route("/send", get(send::show).post(send::send))
        .route("/send/count", post(send::count))
        .route("/send/replace", post(send::replace))
        .route("/messages", get(list::list))
        .route("/messages/{id}", get(show::show))
        .route("/messages/{id}/cancel", post(show::cancel))
}

#[cfg(test)]
mod tests;
