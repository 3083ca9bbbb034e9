//! The phones' pages.

use axum::Router;
use axum::extract::{FromRef, Path, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use simulator::Smsc;
use simulator::phones::{Direction, Message, Phone, Phones};
use types::{Error, Permission, Result};
use web::body::with_query;
use web::console::{self, Content};
use web::ui::browse::{self, Tab};
use web::ui::chat::{self, Bubble, PhoneScreen};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::timeline::{relative_time, time};
use web::ui::words::Words;
use web::ui::{card, feedback, field, live};
use web::{App, Form, PageProblem, Query, Refused, Visitor};

/// The pages' state.
#[derive(Clone)]
struct Screens {
    app: App,
    simulator: Smsc,
}

impl FromRef<Screens> for App {
    fn from_ref(screens: &Screens) -> Self {
        screens.app.clone()
    }
}

/// Phones that the list shows.
const PHONES_SHOWN_MAX: usize = 200;
/// Messages that a phone's screen shows, the newest.
const BUBBLES_MAX: usize = 200;
/// Characters of a text that the list shows.
const PREVIEW_CHARS: usize = 100;
/// Nothing tells of an arrival on a phone, but each has its receipt, and a reply its message.
const TOPICS: [&str; 1] = ["message"];

/// A number as people write it. Short codes have no plus sign.
fn shown(number: &str) -> String {
    let international = number.len() >= 7 && number.bytes().all(|octet| octet.is_ascii_digit());
    if international { format!("+{number}") } else { number.to_owned() }
}

fn address(number: &str) -> Markup {
    let number = shown(number);
    html! { bdi dir=[number.starts_with('+').then_some("ltr")] { (number) } }
}

fn screen_path(number: &str, peer: Option<&str>) -> String {
    let path = format!("/phones/{}", number.trim_start_matches('+'));
    match peer {
        Some(peer) => with_query(&path, &[("with", peer)]),
        None => path,
    }
}

fn preview(message: &Message) -> Markup {
    let mut short: String = message.text.chars().take(PREVIEW_CHARS).collect();
    if short.len() < message.text.len() {
        short.push('…');
    }
    html! { span class="clip" { bdi { (short) } } }
}

fn phones_table(phones: &[Phone]) -> Markup {
    let rows = phones.iter().take(PHONES_SHOWN_MAX).map(|phone| {
        let latest = &phone.latest;
        row(vec![
            address(&phone.number),
            html! { @if latest.direction == Direction::Sent { "to " } @else { "from " } (address(&latest.peer)) },
            preview(latest),
            html! { (phone.messages) },
            relative_time(&latest.at.to_string(), &latest.at.to_minute()),
        ])
        .link(screen_path(&phone.number, None))
        .key(phone.number.clone())
    });
    let columns = vec![
        column("Phone"),
        column("Latest"),
        column("Text").detail(),
        column("Messages").number(),
        column("When"),
    ];
    let empty = feedback::empty(
        Icon::Phone,
        "No phone has a message yet",
        "Every number is a phone here. Send to any, and its screen shows what arrived.",
        &html! { (form::link("Send a message", "/send").icon(Icon::Send).weight(Weight::Primary)) },
    );
    html! {
        (table("Phones", columns, rows.collect()).id("phones").dense().empty(empty))
        @if phones.len() > PHONES_SHOWN_MAX {
            p class="hint" { (PHONES_SHOWN_MAX) " of " (phones.len()) " phones, those with the latest messages." }
        }
    }
}

/// What somebody writes on a phone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    number: String,
    to: String,
    text: String,
}

/// A text from any phone to any number: for phones that nobody has written to.
fn write_card(words: &'static Words, given: &Written, refused: &Refused, open: bool) -> Markup {
    let fields = html! {
        (refused.summary(words, &["number", "to", "text"]))
        (field::tel("number", "Phone").value(&given.number).placeholder("+33612345678").hint("Whose phone it is").error(refused.at("number")).required().words(words))
        (field::text("to", "To").value(&given.to).placeholder("+10000").hint("A number of one of your SMPP accounts").error(refused.at("to")).required().words(words))
        (field::textarea("text", "Text").value(&given.text).rows(2).error(refused.at("text")).required().words(words))
        (form::actions(&html! { (form::submit("Send from this phone").icon(Icon::Send)) }))
    };
    card::panel(&html! {
        details class="help" open[open] {
            summary { "Write from a phone" }
            div { (form::post("/phones", "", &fields)) }
        }
    })
}

fn list_page(
    visitor: &Visitor,
    phones: &Phones,
    given: &Written,
    refused: &Refused,
    open: bool,
) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let rows = phones_table(&phones.list());
    if visitor.taste.fragment {
        return Content::new("Phones", rows);
    }
    let body = html! {
        p class="hint" { "The phones behind the built-in carrier. They are kept in memory and are gone after a restart." }
        (live::live("phone-list", "/phones", &TOPICS, &rows))
        (write_card(words, given, refused, open))
    };
    Content::new("Phones", body)
}

/// Whoever uses the phones sees their numbers and reads what they got.
fn may(visitor: &Visitor) -> Result<()> {
    let needed = [Permission::SimulatorUse, Permission::IdentifierView, Permission::ContentView];
    needed.into_iter().try_for_each(|permission| visitor.scope.require(permission))
}

async fn list(visitor: Visitor, State(screens): State<Screens>) -> Result<Response, PageProblem> {
    may(&visitor)?;
    let page = list_page(&visitor, &screens.simulator.phones(), &Written::default(), &Refused::NONE, false);
    Ok(visitor.page_or_fragment(page))
}

async fn write(
    visitor: Visitor,
    State(screens): State<Screens>,
    Form(given): Form<Written>,
) -> Result<Response, PageProblem> {
    may(&visitor)?;
    match reply(&screens.simulator.phones(), &given.number, &given.to, &given.text) {
        Ok(()) => Ok(console::done(
            &screen_path(given.number.trim(), Some(peer_of(&given.to))),
            "Sent from the phone.",
        )),
        Err(error) => {
            let refused = Refused::by(error)?;
            Ok(visitor.page_again(list_page(&visitor, &screens.simulator.phones(), &given, &refused, true)))
        }
    }
}

/// The name under which a phone keeps a conversation.
fn peer_of(to: &str) -> &str {
    to.trim().trim_start_matches('+')
}

fn reply(phones: &Phones, number: &str, to: &str, text: &str) -> Result<()> {
    let number = number.trim().trim_start_matches('+');
    if number.is_empty() || number.len() > 15 || !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Error::invalid("number", format!("{number:?} is not a phone's number")));
    }
    if peer_of(to).is_empty() {
        return Err(Error::invalid("to", "say whom the phone writes to"));
    }
    let text = text.replace("\r\n", "\n");
    if text.trim().is_empty() {
        return Err(Error::invalid("text", "there is nothing to send"));
    }
    phones.reply(number, peer_of(to), &text)
}

/// The others that a phone has messages with, the one with the latest first.
fn peers(messages: &[Message]) -> Vec<&str> {
    let mut peers: Vec<&str> = Vec::new();
    for message in messages.iter().rev() {
        if !peers.contains(&message.peer.as_str()) {
            peers.push(&message.peer);
        }
    }
    peers
}

fn bubbles(words: &Words, messages: &[Message], peer: &str) -> Markup {
    let of_peer: Vec<_> = messages.iter().filter(|message| message.peer == peer).collect();
    let latest = of_peer.len().saturating_sub(BUBBLES_MAX);
    let bubbles: Vec<_> = of_peer[latest..]
        .iter()
        .map(|message| {
            let whole = message.at.to_string();
            let parts = (message.parts > 1).then(|| format!("{} parts", message.parts));
            Bubble {
                mine: message.direction == Direction::Sent,
                text: &message.text,
                time: time(&whole, whole.get(11..16).unwrap_or_default()),
                state: html! {
                    @if message.flash { span { "flash" } }
                    @if let Some(parts) = parts { span { (parts) } }
                },
            }
        })
        .collect();
    chat::bubbles(words, &bubbles)
}

fn conversations(number: &str, messages: &[Message], current: &str) -> Markup {
    let rows: Vec<(String, String)> =
        peers(messages).into_iter().map(|peer| (shown(peer), screen_path(number, Some(peer)))).collect();
    let current = shown(current);
    let tabs: Vec<_> = rows
        .iter()
        .map(|(label, href)| Tab { label, href, count: None, current: *label == current })
        .collect();
    browse::tabs("Conversations", &tabs)
}

/// What a phone is, for people who meet one for the first time.
fn about(number: &str) -> Markup {
    let to_it = with_query("/messages", &[("to", shown(number))]);
    let from_it = with_query("/messages", &[("from", shown(number))]);
    card::card(
        "This phone",
        &html! {},
        &html! {
            (browse::toolbar(&html! { (form::link("Messages to it", &to_it).small()) (form::link("Messages from it", &from_it).small()) }))
            p class="hint" { "A reply goes to the SMPP account that has the number it was sent to. Where none has it, the message is kept and shown among those from phones." }
        },
    )
}

#[derive(Debug, Deserialize)]
struct With {
    with: Option<String>,
}

/// The words that a phone's page needs and the form's state.
struct Screen<'a> {
    number: &'a str,
    peer: Option<String>,
    here: String,
    wrong: Option<Markup>,
}

fn screen_page(visitor: &Visitor, phones: &Phones, screen: &Screen<'_>) -> Content<'static> {
    let words = Words::for_lang(&visitor.person.language);
    let number = screen.number.trim_start_matches('+');
    let messages = phones.screen(number);
    let peer = screen.peer.clone().or_else(|| peers(&messages).first().map(|peer| (*peer).to_owned()));
    let title = "Phone";
    let breadcrumbs =
        browse::breadcrumbs(words, &[("Phones", "/phones")], &format!("\u{2066}{}\u{2069}", shown(number)));
    let Some(peer) = peer else {
        let send = with_query("/send", &[("to", shown(number))]);
        let empty = feedback::empty(
            Icon::Phone,
            "Nothing has arrived here",
            "This phone exists like every other; nobody has written to it since the start.",
            &html! { (form::link("Send it a message", &send).icon(Icon::Send).weight(Weight::Primary)) },
        );
        let body = if visitor.taste.fragment {
            empty
        } else {
            live::live("screen", &screen.here, &TOPICS, &card::panel(&empty))
        };
        return Content { breadcrumbs, ..Content::new(title, body) };
    };
    let inner = bubbles(words, &messages, &peer);
    if visitor.taste.fragment {
        return Content::new(title, inner);
    }
    let (owner, shown_peer, action) = (shown(number), shown(&peer), screen_path(number, Some(&peer)));
    let phone = chat::phone(
        words,
        &PhoneScreen {
            id: "phone",
            owner: &owner,
            peer: &shown_peer,
            messages: live::live("screen", &screen.here, &TOPICS, &inner),
            reply_action: Some(&action),
            reply_label: "Reply",
            csrf: "",
        },
    );
    let send = with_query("/send", &[("to", owner.as_str()), ("from", shown_peer.as_str())]);
    let body = html! {
        @if let Some(wrong) = &screen.wrong { (wrong) }
        (conversations(number, &messages, &peer))
        (card::split(&phone, &about(number)))
    };
    let actions = html! { (form::link("Send it a message", &send).icon(Icon::Send)) };
    Content { actions, breadcrumbs, ..Content::new(title, body) }
}

async fn show(
    visitor: Visitor,
    State(screens): State<Screens>,
    Path(number): Path<String>,
    Query(With { with }): Query<With>,
    uri: Uri,
) -> Result<Response, PageProblem> {
    may(&visitor)?;
    let here = uri.path_and_query().map_or("/phones", |path| path.as_str()).to_owned();
    let screen = Screen { number: &number, peer: with, here, wrong: None };
    Ok(visitor.page_or_fragment(screen_page(&visitor, &screens.simulator.phones(), &screen)))
}

async fn answer(
    visitor: Visitor,
    State(screens): State<Screens>,
    Path(number): Path<String>,
    Query(With { with }): Query<With>,
    Form(given): Form<Written>,
) -> Result<Response, PageProblem> {
    may(&visitor)?;
    let peer = with.unwrap_or_default();
    match reply(&screens.simulator.phones(), &number, &peer, &given.text) {
        Ok(()) => Ok(console::done(&screen_path(&number, Some(&peer)), "Sent from the phone.")),
        Err(error) => {
            let words = Words::for_lang(&visitor.person.language);
            let wrong = Refused::by(error)?.summary(words, &[]);
            let here = screen_path(&number, Some(&peer));
            let screen = Screen { number: &number, peer: Some(peer), here, wrong: Some(wrong) };
            Ok(visitor.page_again(screen_page(&visitor, &screens.simulator.phones(), &screen)))
        }
    }
}

/// The phones' routes.
pub fn router(app: App, simulator: Smsc) -> Router {
    Router::new()
        .route("/phones", get(list).post(write))
        .route("/phones/{number}", get(show).post(answer))
        .with_state(Screens { app, simulator })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_plus_sign_and_names_none() {
        assert_eq!([shown("33612345678"), shown("10000"), shown("ACME")], ["+33612345678", "10000", "ACME"]);
        assert_eq!(screen_path("+336", Some("A&B")), "/phones/336?with=A%26B");
    }
}
