//! Messages in the console: the traffic as it flows, sending, looking at one.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use runtime::Reached;
use sms::Encoding;
use types::{Permission, Reach, Timestamp};
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
use crate::pages::none;

mod forecast;
mod home;
mod list;
mod send;
mod show;

/// The traffic's place in the navigation.
pub(crate) const HOME: NavEntry = entry("Home", "/", Icon::Home, 'h', Permission::MessageView);
/// The sending form's.
pub(crate) const SEND: NavEntry = entry("Send", "/send", Icon::Send, 's', Permission::MessageSend);
/// The list's.
pub(crate) const MESSAGES: NavEntry =
    entry("Messages", "/messages", Icon::Message, 'm', Permission::MessageView);

const fn entry(
    label: &'static str,
    href: &'static str,
    icon: Icon,
    key: char,
    permission: Permission,
) -> NavEntry {
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

fn ago(at: Timestamp) -> Markup {
    relative_time(&at.to_string(), &at.to_minute())
}

/// An encoding's name as people know it.
fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Gsm7(_) => "GSM 7-bit",
        Encoding::Latin1 => "ISO 8859-1",
        Encoding::Cyrillic => "ISO 8859-5",
        Encoding::Hebrew => "ISO 8859-8",
        Encoding::Ucs2 => "UCS-2",
        Encoding::Binary => "8-bit data",
    }
}

/// Characters of a text that a list shows.
const PREVIEW_CHARS: usize = 100;

fn preview(message: &Message) -> Markup {
    let Some(text) = &message.text else {
        let why = if message.confidential { "for its recipient alone" } else { "binary" };
        return html! { span class="hint" { (why) } };
    };
    let mut short: String = text.chars().take(PREVIEW_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    html! { span class="clip" { bdi { (short) } } }
}

/// Whether somebody sees messages of others at all.
fn sees_others(visitor: &Visitor) -> bool {
    match visitor.scope.held().reached(Permission::MessageView) {
        Reached::All => true,
        Reached::Only(people) => people.len() > 1,
    }
}

/// Whose messages a page shows, where those are not everybody's.
fn seen_alone(visitor: &Visitor) -> Markup {
    let whose = match visitor.scope.held().reach(Permission::MessageView) {
        Some(Reach::Own) => "You see what you have sent, here or by your keys and applications.",
        Some(Reach::Team) => "You see what you and the people of your teams have sent.",
        Some(Reach::All) | None => return html! {},
    };
    html! { p class="hint" { (whose) } }
}

/// Messages as rows; the newest first, as they come.
fn messages_table(id: &str, messages: &[Message], empty: Markup) -> Markup {
    let rows = messages.iter().map(|message| {
        row(vec![
            address(&message.to),
            address(&message.from),
            html! {
                (state_badge(message.state))
                @if message.maybe_twice { " " (badge::badge(Tone::Warn, "maybe twice")) }
            },
            preview(message),
            if message.direction == "in" {
                none()
            } else {
                html! { (message.intent.as_str()) }
            },
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
        .route("/messages/{id}/query", post(show::query_carrier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_word_and_a_picture() {
        for state in State::ALL {
            let shown = state_badge(state).into_string();
            assert!(shown.contains(state_name(state)) && shown.contains("<svg"), "{shown}");
        }
    }
}
