//! One message: what it is, its way step by step, and why it went there.

use std::collections::HashMap;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::Response;
use identity::user;
use maud::{Markup, html};
use runtime::personal::Sight;
use sms::Encoding;
use types::{Code, ConnectionId, MessageId, Permission, Result, Timestamp};
use web::console::{self, Content};
use web::ui::dialog::{self, Confirm};
use web::ui::form;
use web::ui::icon::Icon;
use web::ui::timeline::{self, Event};
use web::ui::tone::Tone;
use web::ui::words::Words;
use web::ui::{badge, browse, card, code, feedback};
use web::{PageProblem, Paging, Visitor, body};

use super::{LivePage, address, ago, encoding_name, live_page, state_badge};
use crate::api::Gateway;
use crate::connection;
use crate::inbound::decide::Decision;
use crate::inquiry;
use crate::message::State;
use crate::message::cancel;
use crate::message::pdu::{self, WirePdu};
use crate::message::query::{self, Message, Reasons};
use crate::message::timeline::{self as way_of, Step};
use crate::pages::may;
use crate::route::{Liveness, Looked, Verdict};

/// Connections whose names the page looks up at most.
const NAMES_MAX: &str = "200";
/// Parts whose octets are shown.
const PARTS_SHOWN_MAX: usize = 10;

/// The names of connections, for those who may see them.
struct Names(HashMap<ConnectionId, String>);

impl Names {
    async fn to(visitor: &Visitor) -> Result<Self> {
        if !may(visitor, Permission::ConnectionView) {
            return Ok(Self(HashMap::new()));
        }
        let paging = Paging { limit: Some(NAMES_MAX.to_owned()), ..Paging::default() };
        let page = connection::list(&visitor.scope, &paging).await?;
        Ok(Self(page.items.into_iter().map(|one| (one.id, one.name)).collect()))
    }

    /// A connection's name with a link; its id for one that is gone, or for those who may not see it.
    fn link(&self, id: ConnectionId) -> Markup {
        html! {
            @match self.0.get(&id) {
                Some(name) => a href={ "/connections/" (id) } { bdi { (name) } },
                None => code dir="ltr" { (id) },
            }
        }
    }
}

/// A moment to the millisecond: what happens to a message happens fast.
fn moment(at: Timestamp) -> Markup {
    let whole = at.to_string();
    let shown = whole.get(..23).unwrap_or(&whole).replace('T', " ");
    timeline::time(&whole, &format!("{shown} UTC"))
}

/// How long something took, in the unit that suits it.
fn lasted(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// What a step's time was between.
fn took_words(what: &str, ms: f64) -> String {
    // Below a second the fraction tells carriers apart.
    let took = if ms < 100.0 { format!("{ms:.1} ms") } else { lasted(ms as i64) };
    match what {
        "sent" => format!("Answered after {took}."),
        "attempted" => format!("After {took}."),
        _ => format!("{took} after the carrier took it over."),
    }
}

fn content_card(message: &Message, let_go: bool) -> Markup {
    card::panel(&html! {
        div class="toolbar" {
            (state_badge(message.state))
            @if message.maybe_twice { (badge::badge_icon(Tone::Warn, Icon::Warning, "It may have arrived twice")) }
            @if let Some(error) = message.error.as_deref().filter(|_| message.state != State::Delivered) {
                span class="hint" { bdi { (error) } }
            }
        }
        @match &message.text {
            Some(text) => p class="preview" dir="auto" { (text) },
            None if message.confidential => p class="hint" { "A code to sign in: what it says is for its recipient alone." },
            None if let_go => p class="hint" { "What it said is not kept any more." },
            None => p class="hint" { "Binary content; its octets are below." },
        }
    })
}

/// Who has sent a message: their name with a link, for those who may see them.
async fn sender(visitor: &Visitor, message: &Message) -> Result<Option<Markup>> {
    let Some(owner) = message.owner else { return Ok(None) };
    if visitor.scope.held().myself() == Some(owner) {
        return Ok(Some(html! { "you" }));
    }
    let known = match visitor.scope.held().allows(Permission::UserView, Some(owner)) {
        true => match user::get(&visitor.scope, owner).await {
            Err(error) if error.code() == Code::NotFound => None,
            user => Some(user?),
        },
        false => None,
    };
    Ok(Some(html! {
        @match known {
            Some(user) => a href={ "/users/" (owner) } { bdi { (user.name) } },
            None => code dir="ltr" { (owner) },
        }
    }))
}

fn facts(
    words: &Words,
    message: &Message,
    encoding: Encoding,
    names: &Names,
    sender: Option<Markup>,
) -> Markup {
    let mut pairs = vec![
        ("To", address(&message.to)),
        ("From", address(&message.from)),
        ("Id", code::value(words, "message-id", &message.id.to_string())),
        (
            "Way",
            html! { @if message.direction == "in" { "from a phone" } @else { "to a phone, " (message.intent.as_str()) } },
        ),
        (
            "Parts",
            html! { (message.parts) " × " (encoding_name(encoding)) ", data_coding " code { (message.data_coding) } },
        ),
    ];
    if let Some(reference) = &message.client_ref {
        pairs.push(("Your reference", html! { bdi { code { (reference) } } }));
    }
    if let Some(sender) = sender {
        pairs.push(("Sent by", sender));
    }
    if let Some(account) = message.account {
        pairs.push((
            "SMPP account",
            html! { a href={ "/accounts/" (account) } { code dir="ltr" { (account) } } },
        ));
    }
    if let Some(connection) = message.connection {
        pairs.push(("Connection", names.link(connection)));
    }
    pairs.push((
        if message.direction == "in" { "Came in" } else { "Accepted" },
        html! { (moment(message.accepted_at)) ", " (ago(message.accepted_at)) },
    ));
    if let Some(done_at) = message.done_at.filter(|_| message.direction == "out") {
        pairs.push((
            "Ended",
            html! { (moment(done_at)) ", after " (lasted(done_at.since_ms(message.accepted_at))) },
        ));
    } else if message.direction == "out" {
        pairs.push(("Valid until", html! { (moment(message.expires_at)) }));
    }
    if message.direction == "out" {
        pairs.push((
            "Handed over",
            html! { @match message.attempts { 0 => "not yet", 1 => "once", n => { (n) " times" } } },
        ));
    }
    card::card("Facts", &html! {}, &card::facts(&pairs))
}

/// A step's title and mood.
fn step_words(what: &str) -> (&str, Tone) {
    match what {
        "accepted" => ("Accepted", Tone::Neutral),
        "received" => ("Received", Tone::Good),
        "scheduled" => ("Scheduled", Tone::Neutral),
        "attempted" => ("Tried", Tone::Warn),
        "asked" => ("Asked the carrier", Tone::Info),
        "acknowledged" => ("Acknowledged", Tone::Good),
        "receipt" => ("Receipt", Tone::Info),
        "sent" => ("Sent", Tone::Info),
        "delivered" => ("Delivered", Tone::Good),
        "failed" => ("Failed", Tone::Bad),
        "rejected" => ("Rejected", Tone::Bad),
        "expired" => ("Expired", Tone::Warn),
        "cancelled" => ("Cancelled", Tone::Neutral),
        "indeterminate" => ("Unknown", Tone::Warn),
        other => (other, Tone::Neutral),
    }
}

fn way(message: &Message, steps: &[Step], names: &Names) -> Markup {
    let begin = steps.first().map(|step| step.at);
    let events: Vec<_> = steps
        .iter()
        .map(|step| {
            let (title, tone) = step_words(&step.what);
            let since = begin.map_or(0, |begin| step.at.since_ms(begin));
            let whole = step.at.to_string();
            let shown = if since == 0 { whole.get(11..23).unwrap_or_default().to_owned() } else { format!("\u{2066}+{}\u{2069}", lasted(since)) };
            Event {
                time: html! { span title=(whole) { (timeline::time(&whole, &shown)) } },
                title,
                detail: html! {
                    @if let Some(part) = step.part { "Part " (part) ". " }
                    @else if message.parts > 1 && step.what == message.state.as_str() { "The whole message. " }
                    @if let Some(connection) = step.connection { "Through " (names.link(connection)) ". " }
                    @if let Some(detail) = &step.detail { bdi { (detail) } " " }
                    @if let Some(bind) = step.bind { "On bind " (bind) ". " }
                    @if let Some(took) = step.took_ms { (took_words(&step.what, took)) " " }
                    @if let Some(raw) = &step.raw { "The receipt: " code dir="ltr" { (raw) } " " }
                    @if let Some(id) = &step.provider_id { "The carrier’s id: " code dir="ltr" { (id) } }
                },
                tone,
            }
        })
        .collect();
    let waits = html! { @if !message.state.is_final() { span class="hint" { "follows live" } } };
    card::card("What happened", &waits, &timeline::timeline(&events))
}

fn verdict(looked: &Looked) -> Markup {
    match looked.verdict {
        Verdict::Takes => badge::badge_icon(Tone::Good, Icon::Check, "Takes it"),
        Verdict::Waits => badge::badge_icon(Tone::Warn, Icon::Clock, "Takes it, waits"),
        Verdict::NoConnection => badge::badge_icon(Tone::Bad, Icon::Warning, "No connection"),
        Verdict::Inactive => badge::badge_icon(Tone::Neutral, Icon::Pause, "Switched off"),
        _ => badge::badge(Tone::Neutral, "Passes"),
    }
}

fn why(reasons: &Reasons, names: &Names, may_see_routes: bool) -> Markup {
    let chosen = reasons.route.map(|id| {
        reasons
            .then
            .iter()
            .chain(&reasons.now)
            .find(|looked| looked.route == id)
            .map_or_else(|| id.to_string(), |looked| looked.name.clone())
    });
    let body = html! {
        p {
            @match (&chosen, reasons.connection) {
                (Some(route), Some(connection)) => { "When it was accepted, the route " strong { bdi { (route) } } " led it to " (names.link(connection)) "." }
                (_, Some(connection)) => { "It was led to " (names.link(connection)) "." }
                _ => "Nothing is kept about its route.",
            }
            " As " (reasons.intent) "."
        }
        @if !reasons.gates.is_empty() {
            h3 { "What each gate says of it" }
            ul { @for looked in &reasons.gates { li { bdi { (looked.name) } ": " bdi { (looked.why) } } } }
        }
        @if may_see_routes {
            @if !reasons.then.is_empty() {
                h3 { "What each route said then" }
                (looked_at(&reasons.then, names))
            }
            h3 { "What each route says of it now" }
            @if reasons.now.is_empty() { p class="hint" { "There is no route." } }
            (looked_at(&reasons.now, names))
        }
    };
    card::card("Why it went there", &html! {}, &body)
}

/// Why a message from a phone went where it went.
fn why_in(message: &Message, decision: Option<&Decision>) -> Markup {
    let body = match decision {
        None => html! {
            p {
                "No rules of " (address(&message.to)) " were asked. "
                @if message.account.is_some() { "It went to the SMPP account that owns the number." }
                @else { "No SMPP account owns the number: it stays in the inbox." }
            }
        },
        Some(decision) => html! {
            p {
                "The rules of " a href={ "/inbound/" (decision.number) } { bdi { (decision.name) } } " were asked. "
                @if let Some(word) = &decision.word {
                    "The text means " strong { (word.meaning.as_str()) }
                    @if let Some(language) = &word.language { " (" (language) ")" }
                    "."
                } @else if let Some(keyword) = &decision.keyword {
                    "The keyword " strong { bdi { (keyword) } } " fitted."
                } @else { "No keyword fitted." }
            }
            ul { @for done in &decision.done { li { bdi { (done) } } } }
        },
    };
    card::card("Why it went there", &html! {}, &body)
}

/// The rules in the order in which they were asked, with the connections that each passed over.
fn looked_at(rules: &[Looked], names: &Names) -> Markup {
    html! {
        ol class="facts" {
            @for looked in rules {
                li class="toolbar" {
                    a href={ "/routes/" (looked.route) } { bdi { (looked.name) } } (verdict(looked))
                    span class="hint" {
                        bdi { (looked.why) }
                        @for candidate in &looked.passed_over {
                            " " (names.link(candidate.connection)) " " (stood(candidate.state))
                            @if let Some(reason) = candidate.reason { ", " (reason.words()) }
                            "."
                        }
                    }
                }
            }
        }
    }
}

fn stood(state: Liveness) -> &'static str {
    match state {
        Liveness::Up => "was up",
        Liveness::Down => "was down",
        Liveness::Stopped => "was stopped",
        Liveness::Draining => "took nothing more",
        Liveness::Unknown => "was not there",
    }
}

/// The PDUs of a message to a phone, or the content of one from a phone.
fn raw(words: &Words, pdus: &[WirePdu], content: &[u8]) -> Markup {
    let total = pdus.len();
    let body = html! { div class="stack" {
        @if pdus.is_empty() {
            (code::hex(words, "content", &format!("Content, {} octets", content.len()), content))
        } @else {
            p class="hint" {
                @if pdus.iter().any(|pdu| pdu.text.is_some()) { "As the connection's description writes it. Secrets are hidden." }
                @else if pdus.iter().any(|pdu| pdu.at.is_some()) { "As it was handed over. The sequence number is each session's own, and 0 here." }
                @else { "As the connection's dialect writes it. The sequence number is each session's own, and 0 here." }
            }
        }
        @for (at, pdu) in pdus.iter().take(PARTS_SHOWN_MAX).enumerate() {
            @if let Some(text) = &pdu.text {
                (code::block(words, &format!("pdu-{at}"), &format!("Request, part {} of {total}", pdu.part), text))
            } @else {
                @let label = format!("PDU, part {} of {total}, {} octets", pdu.part, pdu.octets.len());
                (code::hex(words, &format!("pdu-{at}"), &label, &pdu.octets))
            }
        }
        @if total > PARTS_SHOWN_MAX { p class="hint" { (total - PARTS_SHOWN_MAX) " more parts are not shown." } }
    } };
    card::panel(&feedback::help("Octets on the wire", &body))
}

/// What stands beside the title: what can still be done about the message.
fn actions(visitor: &Visitor, words: &Words, message: &Message) -> Markup {
    let inbound = message.direction == "in";
    let waits = matches!(message.state, State::Scheduled | State::Queued);
    let again = match inbound {
        true => body::with_query("/send", &[("to", &message.from), ("from", &message.to)]),
        false => body::with_query(
            "/send",
            &[
                ("to", &message.to),
                ("from", &message.from),
                ("text", message.text.as_ref().unwrap_or(&String::new())),
            ],
        ),
    };
    let sight = Sight::of(&visitor.scope);
    let whole = sight.identifiers && sight.content;
    let action = format!("/messages/{}/cancel", message.id);
    let ask = Confirm {
        id: "cancel",
        button: "Cancel message…",
        title: "Cancel this message?",
        text: "It is taken back and not sent. If it leaves first, it goes on as it would.",
        confirm: "Cancel message",
        action: &action,
        csrf: "",
        danger: true,
    };
    let may_ask = !inbound
        && matches!(message.state, State::Sent | State::Indeterminate)
        && may(visitor, Permission::ConnectionOperate);
    html! {
        @if may_ask {
            (form::post(&format!("/messages/{}/query", message.id), "", &html! {
                button type="submit" class="button" { "Ask the carrier" }
            }))
        }
        @if waits && !inbound && visitor.scope.held().allows(Permission::MessageCancel, message.owner) { (dialog::confirm(words, &ask)) }
        // A masked phone and a hidden text are nothing to send again.
        @if may(visitor, Permission::MessageSend) && whole {
            (form::link(if inbound { "Reply" } else { "Send another like it" }, &again).icon(Icon::Send))
        }
    }
}

async fn page(visitor: &Visitor, gateway: &Gateway, id: MessageId, above: Markup) -> Result<Response> {
    let scope = &visitor.scope;
    let words = Words::for_lang(&visitor.person.language);
    let message = query::get(scope, id).await?;
    let steps = way_of::timeline(scope, id).await?;
    // A dialect that cannot carry the message is no reason not to show it.
    let pdus = pdu::pdus(scope, id).await.unwrap_or_default();
    let sight = Sight::of(scope);
    let content = match sight.content {
        true => pdu::content(scope, id).await?,
        false => Vec::new(),
    };
    // What binary content there is is shown as octets; a text that was let go leaves nothing.
    let let_go = sight.content && message.text.is_none() && content.is_empty();
    let encoding = Encoding::from_data_coding(message.data_coding, Encoding::GSM7);
    let names = Names::to(visitor).await?;
    let sender = sender(visitor, &message).await?;
    let reasons = query::why(scope, &gateway.engine, id).await?;
    let main = html! {
        (content_card(&message, let_go))
        (facts(words, &message, encoding, &names, sender))
        @if message.direction == "in" { (why_in(&message, reasons.inbound.as_ref())) }
        @else { (why(&reasons, &names, may(visitor, Permission::RouteView))) }
        @if !pdus.is_empty() || !content.is_empty() { (raw(words, &pdus, &content)) }
    };
    // Isolates keep a number's plus sign in its place, also in a language that reads the other way.
    let title = match message.direction.as_str() {
        "in" => format!("Message from \u{2066}{}\u{2069}", message.from),
        _ => format!("Message to \u{2066}{}\u{2069}", message.to),
    };
    let actions = actions(visitor, words, &message);
    let body = html! {
        (card::split(&main, &way(&message, &steps, &names)))
        // What can be done changes with the state, and stands outside of the region that refreshes itself.
        @if visitor.taste.fragment {
            hx-partial hx-target=".page-head .toolbar" hx-swap="innerMorph" { (actions) }
        }
    };
    let content = Content {
        title: &title,
        body,
        actions,
        breadcrumbs: browse::breadcrumbs(words, &[("Messages", "/messages")], &message.id.to_string()),
    };
    let (url, topic) = (format!("/messages/{id}"), format!("message:{id}"));
    Ok(live_page(visitor, LivePage { content, region: "message", url: &url, topics: &[&topic], above }))
}

/// The message.
pub(super) async fn show(
    visitor: Visitor,
    Extract(gateway): Extract<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    Ok(page(&visitor, &gateway, id.parse()?, html! {}).await?)
}

/// Asks the carrier, and shows what it said.
pub(super) async fn query_carrier(
    visitor: Visitor,
    Extract(gateway): Extract<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let id: MessageId = id.parse()?;
    let above = match inquiry::ask(&visitor.scope, &gateway.engine, id).await {
        Ok(told) => {
            let several = told.parts.len() > 1;
            let said = html! {
                ul {
                    @for part in &told.parts {
                        li { @if several { "Part " (part.part) ": " } bdi { (part.words) } " " code dir="ltr" { (part.provider_id) } }
                    }
                }
            };
            html! { div role="status" { (feedback::notice(Tone::Info, "The carrier was asked, and says", &said)) } }
        }
        Err(error) if matches!(error.code(), Code::Conflict | Code::Unavailable) => {
            let note =
                feedback::notice(Tone::Warn, "The carrier could not be asked", &html! { (error.message()) });
            let mut response = page(&visitor, &gateway, id, html! { div role="alert" { (note) } }).await?;
            *response.status_mut() = StatusCode::CONFLICT;
            return Ok(response);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(page(&visitor, &gateway, id, above).await?)
}

/// Takes it back, if it has not left.
pub(super) async fn cancel(
    visitor: Visitor,
    Extract(gateway): Extract<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let id: MessageId = id.parse()?;
    match cancel::cancel(&visitor.scope, &gateway.engine, id).await {
        Ok(_) => Ok(console::done(&format!("/messages/{id}"), "The message is cancelled.")),
        Err(error) if error.code() == Code::NotCancellable => {
            let note = feedback::notice(Tone::Warn, "It was too late", &html! { (error.message()) });
            let mut response = page(&visitor, &gateway, id, html! { div role="alert" { (note) } }).await?;
            *response.status_mut() = StatusCode::CONFLICT;
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}
