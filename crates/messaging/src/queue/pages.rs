//! The queue in the console: what waits, how fast it leaves, and what can be done about it.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{Permission, Result};
use web::console::{Content, NavEntry, done};
use web::ui::card::{self, Stat};
use web::ui::field::{self, Choice};
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, chart, dialog, feedback};
use web::{Form, PageProblem, Visitor};

use super::steer::{self, Action, Selection, Steered};
use super::view::{self, ConnectionQueue, QueueView, Waiting};
use crate::api::{Gateway, follow};
use crate::gate::pages::intent_label;
use crate::intent::Intent;
use crate::pages::{Fields, Shown, again, may, moment, none, region, words};
use crate::pause::{self, Kind, NewPause, Pause};
use crate::settings::Patch;

/// The queue's place in the navigation.
pub(crate) const QUEUE: NavEntry = NavEntry {
    group: "Gateway",
    label: "Queue",
    href: "/queue",
    icon: Icon::List,
    key: Some('q'),
    permission: Permission::QueueView,
};

/// The tabs over the queue's pages.
pub(crate) fn tabs(current: &str) -> Markup {
    let tab = |label, href| browse::Tab { label, href, count: None, current: href == current };
    browse::tabs(
        "Queue",
        &[
            tab("What waits", "/queue"),
            tab("Dead letters", "/queue/dead-letters"),
            tab("Dead jobs", "/queue/dead-jobs"),
        ],
    )
}

fn number(n: i64) -> String {
    count(n.unsigned_abs())
}

/// Seconds as people say them.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn figures(view: &QueueView) -> Markup {
    let Waiting { paused, scheduled, held, .. } = view.waiting;
    let [ready, paused_n, scheduled_n, held_n] = [view.waiting.ready(), paused, scheduled, held].map(number);
    let oldest = view.waiting.oldest_at.map(|at| {
        format!("the oldest for {}", span(u64::try_from(view.at.since_ms(at) / 1_000).unwrap_or_default()))
    });
    let out: f64 = view.connections.iter().map(|one| one.out_per_second).sum();
    let trends = ["accepted", "sent"]
        .map(|name| view::by_minute(view, name).into_iter().map(|(_, n)| n as f64).collect::<Vec<_>>());
    let rates = [format!("{:.1} / s", view::in_per_second(view)), format!("{out:.1} / s")];
    card::stats(&[
        Stat { label: "Ready to leave", value: &ready, note: oldest.as_deref(), ..Stat::default() },
        Stat {
            label: "Messages in",
            value: &rates[0],
            note: Some("last five minutes"),
            trend: &trends[0],
            ..Stat::default()
        },
        Stat {
            label: "Parts out",
            value: &rates[1],
            note: Some("last seconds"),
            trend: &trends[1],
            ..Stat::default()
        },
        Stat {
            label: "Paused",
            value: &paused_n,
            tone: if paused > 0 { Tone::Warn } else { Tone::Neutral },
            ..Stat::default()
        },
        Stat {
            label: "Scheduled",
            value: &scheduled_n,
            href: Some("/messages?state=scheduled"),
            ..Stat::default()
        },
        Stat {
            label: "Held",
            value: &held_n,
            tone: if held > 0 { Tone::Warn } else { Tone::Neutral },
            ..Stat::default()
        },
    ])
}

fn state(connection: &ConnectionQueue) -> Markup {
    match connection.state {
        "up" => badge::badge_icon(Tone::Good, Icon::Plug, "Up"),
        "down" => badge::badge_icon(Tone::Bad, Icon::Cross, "Down"),
        "paused" => badge::badge_icon(Tone::Warn, Icon::Pause, "Paused"),
        "draining" => badge::badge_icon(Tone::Warn, Icon::Clock, "Draining"),
        "stopped" => badge::badge_icon(Tone::Neutral, Icon::Pause, "Stopped"),
        _ => badge::badge_icon(Tone::Neutral, Icon::Dot, "Unknown"),
    }
}

fn by_connection(view: &QueueView) -> Markup {
    let rows = view.connections.iter().map(|one| {
        let lanes = one.lanes.iter().map(|lane| lane.waiting.ready());
        let name = match one.connection {
            Some(id) => html! { a href={ "/connections/" (id) } { bdi { (one.name) } } },
            None => html! { (one.name) },
        };
        let state = html! {
            (state(one))
            @if one.held_back > 0 {
                " " (badge::badge_icon(Tone::Neutral, Icon::Clock, &format!("{} wait for a rate", count(one.held_back as u64))))
            }
        };
        let mut cells = vec![name, state];
        cells.extend(lanes.map(|n| html! { (number(n)) }));
        cells.extend([
            html! { (number(one.waiting.paused)) },
            html! { (number(one.waiting.scheduled + one.waiting.held)) },
            html! { (one.on_the_wire) },
            html! { (format!("{:.1}", one.out_per_second)) },
            match one.waiting.oldest_at {
                Some(at) => moment(at),
                None => none(),
            },
            html! { @match one.empty_in_s { Some(seconds) => { (span(seconds)) } None => { (none()) } } },
        ]);
        row(cells).key(one.connection.map_or_else(|| "none".to_owned(), |id| id.to_string()))
    });
    let columns = vec![
        column("Connection"),
        column("State"),
        column("Codes").number(),
        column("Transactional").number(),
        column("Marketing").number(),
        column("Paused").number(),
        column("Later").number().detail(),
        column("On the wire").number().detail(),
        column("Parts / s").number(),
        column("Oldest").detail(),
        column("Empty in"),
    ];
    let empty = feedback::empty(
        Icon::Plug,
        "No connection yet",
        "Messages wait for connections to carriers.",
        &html! { (form::link("Connections", "/connections")) },
    );
    let points: Vec<(String, f64)> =
        view.connections.iter().map(|one| (one.name.clone(), one.waiting.ready() as f64)).collect();
    let series = chart::Series {
        caption: "Ready to leave, by connection",
        axis: "Connection",
        measure: "Messages",
        points: &points,
    };
    card::card(
        "By connection",
        &html! { @if view.more { span class="hint" { "more wait than are counted here" } } },
        &html! {
            @if points.len() > 1 { (chart::bars(&series)) }
            (table("What waits for each connection", columns, rows.collect()).id("connections").dense().empty(empty))
        },
    )
}

fn by_account(view: &QueueView) -> Markup {
    let most = view.accounts.iter().map(|one| one.waiting.all()).max().unwrap_or_default().max(1);
    let rows = view.accounts.iter().map(|one| {
        let all = one.waiting.all();
        let label = format!("{} messages", number(all));
        row(vec![
            html! { bdi { (one.name) } },
            html! { progress value=(all) max=(most) aria-label={ "What waits of " (one.name) } { (label) } },
            html! { (number(one.waiting.ready())) },
            html! { (number(one.waiting.paused)) },
            html! { (number(one.waiting.scheduled + one.waiting.held)) },
        ])
        .key(one.account.map_or_else(|| "api".to_owned(), |id| id.to_string()))
    });
    let columns = vec![
        column("Account"),
        column("Share").detail(),
        column("Ready").number(),
        column("Paused").number(),
        column("Later").number(),
    ];
    let empty = feedback::empty(Icon::Check, "Nothing waits", "Every message has left.", &html! {});
    card::card(
        "By account",
        &html! {},
        &html! { (table("What waits of each account", columns, rows.collect()).id("accounts").dense().empty(empty)) },
    )
}

const fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Tenant => "Everything",
        Kind::Connection => "Connection",
        Kind::Account => "Account",
        Kind::Route => "Route",
        Kind::Intent => "Purpose",
    }
}

/// What people call a pause's target.
fn target(pause: &Pause, known: &Known) -> String {
    let Some(target) = &pause.target else { return String::new() };
    known
        .0
        .iter()
        .find(|(value, _)| value.ends_with(target))
        .map_or_else(|| target.clone(), |(_, name)| name.clone())
}

fn pauses(visitor: &Visitor, view: &QueueView, known: &Known) -> Markup {
    let manage = may(visitor, Permission::PauseEnd);
    let rows = view.pauses.iter().map(|pause| {
        let name = target(pause, known);
        row(vec![
            html! { (kind_label(pause.kind)) " " bdi { (name) } },
            html! { (pause.by) @if !pause.reason.is_empty() { ": " bdi { (pause.reason) } } },
            moment(pause.since),
            html! {
                @if manage {
                    form method="post" action={ "/queue/pauses/" (pause.id) "/resume" } {
                        (form::submit(&format!("Resume {name}")).weight(Weight::Plain).small())
                    }
                }
            },
        ])
        .key(pause.id.to_string())
    });
    let columns = vec![column("Paused"), column("By"), column("Since"), column("Resume").actions()];
    let empty = feedback::empty(
        Icon::Pause,
        "Nothing is paused",
        "A pause accepts messages and keeps them until somebody resumes.",
        &html! {},
    );
    card::card(
        "Pauses",
        &html! {},
        &html! { (table("Pauses", columns, rows.collect()).id("pauses").empty(empty)) },
    )
}

fn by_tenant(view: &QueueView) -> Markup {
    let rows = view.tenants.iter().map(|one| {
        row(vec![
            html! { bdi { (one.name) } },
            html! { (number(one.queued)) },
            html! { (number(one.scheduled)) },
        ])
        .key(one.tenant.to_string())
    });
    let columns = vec![column("Tenant"), column("Queued").number(), column("Scheduled").number()];
    let places = view
        .places
        .map(|[taken, all]| format!("{} of {} places in memory", count(taken as u64), count(all as u64)));
    card::card(
        "All tenants",
        &html! { @if let Some(places) = &places { span class="hint" { (places) } } },
        &html! { (table("What waits of each tenant", columns, rows.collect()).id("tenants").dense()) },
    )
}

/// What can be paused: `kind:target` and its name.
struct Known(Vec<(String, String)>);

impl Known {
    fn of(view: &QueueView, routes: &[crate::route::Route]) -> Self {
        let mut known = vec![("tenant:".to_owned(), "Everything".to_owned())];
        let connections = view.connections.iter().filter_map(|one| Some((one.connection?, &one.name)));
        known
            .extend(connections.map(|(id, name)| (format!("connection:{id}"), format!("Connection {name}"))));
        let accounts = view.accounts.iter().filter_map(|one| Some((one.account?, &one.name)));
        known.push(("account:api".to_owned(), "The API".to_owned()));
        known.extend(accounts.map(|(id, name)| (format!("account:{id}"), format!("Account {name}"))));
        known.extend(routes.iter().map(|one| (format!("route:{}", one.id), format!("Route {}", one.name))));
        known.extend(
            Intent::ALL
                .map(|intent| (format!("intent:{}", intent.as_str()), intent_label(intent).to_owned())),
        );
        Self(known)
    }
}

fn pause_form(visitor: &Visitor, known: &Known, shown: &Shown<'_>) -> Markup {
    let choices: Vec<_> = known.0.iter().map(|(value, name)| Choice::new(value, name)).collect();
    let (what, reason) = (shown.value("what"), shown.value("reason"));
    card::card(
        "Pause",
        &html! {},
        &html! {
            (form::post("/queue/pauses", "", &html! {
                (shown.summary(visitor))
                div class="fields" {
                    (field::select("what", "What", &choices).value(&what).error(shown.error("target"))
                        .hint("Messages are accepted and kept; what a carrier has already is not called back."))
                    (field::text("reason", "Why").value(&reason).max_chars(200).error(shown.error("reason")))
                }
                (form::actions(&html! { (form::submit("Pause").weight(Weight::Plain).icon(Icon::Pause)) }))
            }))
        },
    )
}

/// Messages of one recipient, sender or purpose: held, released or cancelled.
fn steer_form(visitor: &Visitor, shown: &Shown<'_>) -> Markup {
    let [to, from, intent] = ["to", "from", "intent"].map(|name| shown.value(name));
    let mut intents = vec![Choice::new("", "Any purpose")];
    intents.extend(Intent::ALL.map(|intent| Choice::new(intent.as_str(), intent_label(intent))));
    let sure = html! {
        p { "What fits is taken back for good, at most 1,000 messages at once. What has left is not called back." }
        (form::actions(&html! {
            (form::submit("Cancel messages").weight(Weight::Danger).sends("action", "cancel").form("steer"))
        }))
    };
    card::card(
        "Hold, release or cancel",
        &html! {},
        &html! {
            form id="steer" method="post" action="/queue/steer" {
                (shown.summary(visitor))
                div class="fields" {
                    (field::tel("to", "To").value(&to).placeholder("+33612345678"))
                    (field::text("from", "From").value(&from))
                    (field::select("intent", "Are", &intents).value(&intent))
                    (field::checkbox("all", "Everything that waits").checked(shown.value("all") == "true"))
                }
                (form::actions(&html! {
                    (form::submit("Hold").weight(Weight::Plain).icon(Icon::Pause).sends("action", "hold"))
                    (form::submit("Release").weight(Weight::Plain).icon(Icon::Check).sends("action", "release"))
                    @if may(visitor, Permission::MessageCancel) { (form::opens("Cancel…", "cancel-messages").weight(Weight::Danger)) }
                }))
            }
            (dialog::dialog(words(visitor), "cancel-messages", "Cancel what fits?", &sure))
        },
    )
}

async fn content(gateway: &Gateway, visitor: &Visitor, shown: &Shown<'_>) -> Result<Content<'static>> {
    let view = view::view(&visitor.scope, &gateway.engine).await?;
    let routes = match may(visitor, Permission::RouteView) {
        true => crate::route::list(&visitor.scope).await?.items,
        false => Vec::new(),
    };
    let known = Known::of(&view, &routes);
    let live = html! {
        (figures(&view))
        (by_connection(&view))
        (card::split(&by_account(&view), &pauses(visitor, &view, &known)))
        @if !view.tenants.is_empty() || view.places.is_some() { (by_tenant(&view)) }
    };
    if visitor.taste.fragment {
        return Ok(Content::new("Queue", live));
    }
    let body = html! {
        (tabs("/queue"))
        (region(visitor, "queue", &["message", "connection", "pause", "queue"], live))
        @if may(visitor, Permission::PauseCreate) {
            (card::split(&pause_form(visitor, &known, shown), &steer_form(visitor, shown)))
        }
    };
    Ok(Content::new("Queue", body))
}

async fn show(State(gateway): State<Gateway>, visitor: Visitor) -> Result<Response, PageProblem> {
    let content = content(&gateway, &visitor, &Shown::of(Patch::new())).await?;
    Ok(visitor.page_or_fragment(content))
}

async fn pause(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let (kind, target) = fields.get("what").and_then(|what| what.split_once(':')).unwrap_or_default();
    let new = serde_json::from_value(serde_json::json!(kind)).map(|kind| NewPause {
        kind,
        target: Some(target.to_owned()).filter(|target| !target.is_empty()),
        reason: fields.owned("reason").unwrap_or_default(),
    });
    let made = match new {
        Ok(new) => pause::create(&visitor.scope, new).await,
        Err(_) => Err(types::Error::invalid("target", "choose what is to be paused")),
    };
    match made {
        Ok(_) => {
            follow(gateway.engine.pauses_changed()).await;
            Ok(done("/queue", "Paused."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            Ok(visitor.page_again(content(&gateway, &visitor, &Shown::again(&fields, &refused)).await?))
        }
    }
}

async fn resume(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    pause::end(&visitor.scope, id.parse()?).await?;
    follow(gateway.engine.pauses_changed()).await;
    Ok(done("/queue", "Resumed."))
}

fn steered(action: Action, steered: &Steered) -> String {
    let done = match action {
        Action::Hold => "held",
        Action::Release => "released",
        Action::Cancel => "cancelled",
    };
    let more = if steered.more { "; more may fit, do it again" } else { "" };
    format!("{} messages {done}{more}.", count(steered.done))
}

async fn steer(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let action = match fields.get("action") {
        Some("release") => Action::Release,
        Some("cancel") => Action::Cancel,
        _ => Action::Hold,
    };
    let selection = Selection {
        to: fields.owned("to"),
        from: fields.owned("from"),
        intent: fields.get("intent").and_then(Intent::named),
        all: fields.get("all") == Some("true"),
        ..Selection::default()
    };
    match steer::steer(&visitor.scope, &gateway.engine, action, &selection).await {
        Ok(outcome) => Ok(done("/queue", &steered(action, &outcome))),
        Err(refused) => {
            let refused = again(refused)?;
            Ok(visitor.page_again(content(&gateway, &visitor, &Shown::again(&fields, &refused)).await?))
        }
    }
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    // A refused form is shown at the address it was posted to: the page's live part asks there again.
    Router::new()
        .route("/queue", get(show))
        .route("/queue/pauses", get(show).post(pause))
        .route("/queue/pauses/{id}/resume", post(resume))
        .route("/queue/steer", get(show).post(steer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_their_own_unit() {
        assert_eq!([90, 600, 7_200, 259_200].map(span), ["90 s", "10 min", "2 h", "3 days"]);
    }
}
