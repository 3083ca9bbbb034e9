//! Conversations in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use types::{Permission, Result};
use web::console::{Content, NavEntry, done};
use web::ui::chat::{self, Bubble, PhoneScreen};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::relative_time;
use web::ui::tone::Tone;
use web::ui::{badge, browse, feedback, live};
use web::{Form, PageProblem, Paging, Query, Visitor};

use super::Conversation;
use crate::api::Gateway;
use crate::message::State as Fate;
use crate::message::query::Message;
use crate::pages::{again, may, moment, region, words};

/// The conversations' place in the navigation.
pub(crate) const CONVERSATIONS: NavEntry = NavEntry {
    group: "Inbound",
    label: "Conversations",
    href: "/conversations",
    icon: Icon::Inbox,
    key: Some('i'),
    permission: Permission::ConversationView,
};

/// Characters of a text that the list shows.
const PREVIEW_CHARS: usize = 80;
/// What changes the list and a thread.
const TOPICS: [&str; 1] = ["message"];

fn path(phone: &str) -> String {
    format!("/conversations/{}", phone.trim_start_matches('+'))
}

fn conversations_table(all: &[Conversation]) -> Markup {
    let rows = all.iter().map(|one| {
        let text = one.text.as_deref().unwrap_or("binary");
        let mut short: String = text.chars().take(PREVIEW_CHARS).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        row(vec![
            html! { bdi dir="ltr" { (one.phone) } @if one.unread { " " (badge::badge_icon(Tone::Info, Icon::Bell, "New")) } },
            html! {
                span class="clip" {
                    @if one.direction == "out" { span class="hint" { "You: " } }
                    bdi { (short) }
                }
            },
            moment(one.at),
        ])
        .link(path(&one.phone))
        .key(one.phone.clone())
    });
    let columns = vec![column("Phone"), column("Said last"), column("When")];
    let empty = feedback::empty(
        Icon::Inbox,
        "Nobody has written yet",
        "Phones that write to one of your numbers stand here, with what they were sent.",
        &html! {},
    );
    html! { (table("Conversations", columns, rows.collect()).id("conversations").empty(empty)) }
}

async fn list(visitor: Visitor, uri: Uri, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let older =
        page.next.as_ref().map(|next| web::body::with_query("/conversations", &[("after", next.as_str())]));
    let newest = paging.after.is_some().then_some("/conversations");
    let inner = html! {
        (conversations_table(&page.items))
        (browse::pager(words(&visitor), newest, older.as_deref(), ""))
    };
    let body = match visitor.taste.fragment {
        true => inner,
        false => {
            let url = uri.path_and_query().map_or("/conversations", |path| path.as_str());
            live::live("conversation-list", url, &TOPICS, &inner)
        }
    };
    Ok(visitor.page_or_fragment(Content::new("Conversations", body)))
}

/// What became of a message, in a word.
fn fate(message: &Message) -> Markup {
    match message.state {
        Fate::Received => html! {},
        state => badge::message_state(state.as_str(), state.as_str()),
    }
}

fn bubbles(visitor: &Visitor, messages: &[Message]) -> Markup {
    let bubbles: Vec<Bubble<'_>> = messages
        .iter()
        .rev()
        .map(|message| Bubble {
            mine: message.direction == "out",
            text: message.text.as_deref().unwrap_or("binary"),
            time: html! {
                a href={ "/messages/" (message.id) } {
                    (relative_time(&message.accepted_at.to_string(), &message.accepted_at.to_minute()))
                }
            },
            state: fate(message),
        })
        .collect();
    chat::bubbles(words(visitor), &bubbles)
}

async fn content(
    gateway: &Gateway,
    visitor: &Visitor,
    phone: &str,
    paging: &Paging,
    wrong: Option<&str>,
) -> Result<Content<'static>> {
    let page = super::thread(&visitor.scope, phone, paging).await?;
    let number = super::number(&visitor.scope, phone).await?;
    super::read(&visitor.scope, phone).await?;
    let inner = bubbles(visitor, &page.items);
    if visitor.taste.fragment {
        return Ok(Content::new("Conversation", inner));
    }
    let digits = phone.trim().trim_start_matches('+');
    let shown = format!("+{digits}");
    let here = path(phone);
    let older = page.next.as_ref().map(|next| web::body::with_query(&here, &[("after", next.as_str())]));
    // What an older page shows no new message changes; it stands still for its reader.
    let messages = match paging.after {
        Some(_) => inner,
        None => region(visitor, "thread", &TOPICS, inner),
    };
    let writes = may(visitor, Permission::MessageSend) && paging.after.is_none();
    let screen = PhoneScreen {
        id: "conversation",
        owner: &number,
        peer: &shown,
        messages,
        reply_action: writes.then_some(here.as_str()),
        reply_label: "Your answer",
        csrf: "",
    };
    let out = gateway.engine.opt_outs().of(visitor.scope.tenant(), digits);
    let body = html! {
        @if let Some(wrong) = wrong { (feedback::notice(Tone::Bad, "It was not sent", &html! { p { (wrong) } })) }
        @if let Some(extent) = out {
            (feedback::notice(Tone::Warn, "Opted out", &html! { p { "This phone gets no more of " (extent.words()) "." } }))
        }
        (chat::phone(words(visitor), &screen))
        (browse::pager(words(visitor), paging.after.is_some().then_some(here.as_str()), older.as_deref(), ""))
    };
    let crumb = format!("\u{2066}{shown}\u{2069}");
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Conversations", "/conversations")], &crumb);
    Ok(Content { breadcrumbs, ..Content::new("Conversation", body) })
}

async fn show(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(phone): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Response, PageProblem> {
    let content = content(&gateway, &visitor, &phone, &paging, None).await?;
    Ok(visitor.page_or_fragment(content))
}

/// What the reply form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    text: String,
}

async fn reply(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(phone): Path<String>,
    Form(written): Form<Written>,
) -> Result<Response, PageProblem> {
    // Browsers send a line break as two characters, and each would be paid for.
    let text = written.text.replace("\r\n", "\n");
    match super::reply(&visitor.scope, &gateway.engine, &phone, &text).await {
        Ok(_) => Ok(done(&path(&phone), "Sent.")),
        Err(refused) => {
            let refused = again(refused)?;
            let content =
                content(&gateway, &visitor, &phone, &Paging::default(), Some(refused.message())).await?;
            Ok(visitor.page_again(content))
        }
    }
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new().route("/conversations", get(list)).route("/conversations/{phone}", get(show).post(reply))
}
