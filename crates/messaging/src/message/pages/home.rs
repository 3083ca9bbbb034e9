//! The first page: the traffic of the last hour, and how everything stands.

use axum::extract::State as Extract;
use axum::response::Response;
use connectors::State as LinkState;
use maud::{Markup, html};
use types::{Permission, Result, Timestamp};
use web::console::Content;
use web::ui::card::{self, Stat};
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, chart, feedback};
use web::{PageProblem, Paging, Visitor};

use super::{LivePage, live_page, messages_table, seen_alone, state_badge};
use crate::account;
use crate::api::Gateway;
use crate::connection::{self, Connection};
use crate::message::State;
use crate::message::query::{self, Flow, MessageFilter, StateCount};
use crate::pages::may;

/// Minutes that the page looks back.
const MINUTES: usize = 60;
const MINUTE_MS: i64 = 60_000;
/// Messages that the page shows.
const LATEST: &str = "8";
/// Connections, and accounts, that the page shows; more are on their own pages.
const SHOWN_MAX: &str = "12";

/// The last hour, minute by minute.
struct Hour {
    begins: Timestamp,
    flows: Vec<Flow>,
}

impl Hour {
    fn until(now: Timestamp) -> Timestamp {
        let minute = now.unix_ms() / MINUTE_MS * MINUTE_MS;
        Timestamp::from_unix_ms(minute - (MINUTES as i64 - 1) * MINUTE_MS)
    }

    /// How often one of these things happened in each minute, the oldest first.
    fn by_minute(&self, names: &[&str]) -> Vec<f64> {
        let mut minutes = vec![0.0; MINUTES];
        for flow in self.flows.iter().filter(|flow| names.contains(&flow.name.as_str())) {
            let at = usize::try_from(flow.bucket.since_ms(self.begins) / MINUTE_MS);
            if let Some(minute) = at.ok().and_then(|at| minutes.get_mut(at)) {
                *minute += flow.n as f64;
            }
        }
        minutes
    }

    fn sum(&self, names: &[&str]) -> u64 {
        let found = self.flows.iter().filter(|flow| names.contains(&flow.name.as_str()));
        found.map(|flow| flow.n.unsigned_abs()).sum()
    }
}

/// What ends a message without its having reached the phone.
const UNDELIVERED: [&str; 3] = ["failed", "rejected", "expired"];

fn figures(hour: &Hour) -> Markup {
    let (delivered, undelivered) = (hour.sum(&["delivered"]), hour.sum(&UNDELIVERED));
    let ended = delivered + undelivered;
    let rate = match ended {
        0 => "–".to_owned(),
        _ => format!("{:.1} %", delivered as f64 * 100.0 / ended as f64),
    };
    let of = format!("of {} that ended", count(ended));
    let [accepted, sent, reached, lost] =
        [hour.sum(&["accepted"]), hour.sum(&["sent"]), delivered, undelivered].map(count);
    let (inbound, now) = (hour.sum(&["received"]), hour.by_minute(&["accepted"]));
    let this_minute = format!("{} this minute", count(now.last().copied().unwrap_or_default() as u64));
    let from_phones = format!("{} came in from phones", count(inbound));
    let trends =
        [now, hour.by_minute(&["sent"]), hour.by_minute(&["delivered"]), hour.by_minute(&UNDELIVERED)];
    card::stats(&[
        Stat {
            label: "Accepted, last hour",
            value: &accepted,
            note: Some(&this_minute),
            href: Some("/messages?direction=out"),
            trend: &trends[0],
            ..Stat::default()
        },
        Stat {
            label: "Sent",
            value: &sent,
            note: (inbound > 0).then_some(from_phones.as_str()),
            trend: &trends[1],
            ..Stat::default()
        },
        Stat {
            label: "Delivered",
            value: &reached,
            href: Some("/messages?state=delivered"),
            trend: &trends[2],
            ..Stat::default()
        },
        Stat {
            label: "Failed",
            value: &lost,
            note: (undelivered > 0).then_some("failed, rejected or expired"),
            tone: if undelivered > 0 { Tone::Bad } else { Tone::Neutral },
            href: Some("/messages?state=failed"),
            trend: &trends[3],
        },
        Stat {
            label: "Delivery rate",
            value: &rate,
            note: (ended > 0).then_some(of.as_str()),
            tone: mood(delivered, ended),
            ..Stat::default()
        },
    ])
}

fn mood(delivered: u64, ended: u64) -> Tone {
    match delivered * 100 {
        _ if ended == 0 => Tone::Neutral,
        share if share >= ended * 95 => Tone::Good,
        share if share >= ended * 80 => Tone::Warn,
        _ => Tone::Bad,
    }
}

/// Where all messages stand, each state with its share.
fn states(counts: &[StateCount]) -> Markup {
    let total: u64 = counts.iter().map(|count| count.n.unsigned_abs()).sum();
    let rows = State::ALL.into_iter().filter_map(|state| {
        let n = counts.iter().find(|count| count.name == state.as_str())?.n.unsigned_abs();
        let label = format!("{} of {}", count(n), count(total));
        let bar = html! { progress value=(n) max=(total.max(1)) aria-label=(state.as_str()) { (label) } };
        Some(
            row(vec![state_badge(state), bar, html! { (count(n)) }])
                .link(format!("/messages?state={}", state.as_str()))
                .key(state.as_str()),
        )
    });
    let columns = vec![column("State"), column("Share"), column("Messages").number()];
    card::card(
        "Where messages stand",
        &html! { span class="hint" { (count(total)) " in all" } },
        &html! { (table("Messages in each state", columns, rows.collect()).id("states").dense()) },
    )
}

fn by_minute(hour: &Hour) -> Markup {
    let labels = (0..MINUTES).map(|minute| {
        let at = hour.begins.plus_ms(minute as i64 * MINUTE_MS).to_string();
        at.get(11..16).unwrap_or_default().to_owned()
    });
    let points: Vec<(String, f64)> = labels.zip(hour.by_minute(&["accepted"])).collect();
    let series = chart::Series {
        caption: "Accepted by minute, UTC",
        axis: "Minute",
        measure: "Messages",
        points: &points,
    };
    let most = points.iter().map(|point| point.1).fold(0.0, f64::max) as u64;
    let hint = html! { span class="hint" { "last hour, at most " (count(most)) " a minute" } };
    card::card("Accepted by minute", &hint, &chart::bars(&series))
}

fn connections(gateway: &Gateway, connections: &[Connection]) -> Markup {
    let rows = connections.iter().map(|connection| {
        let status = gateway.engine.connection_status(connection.id);
        let binds = status.as_ref().map_or(&[][..], |status| &status.binds);
        let up = binds.iter().filter(|bind| bind.state == LinkState::Bound).count();
        let open: usize = binds.iter().map(|bind| bind.window_used).sum();
        let pace = status.as_ref().map_or(0.0, |status| status.parts_per_second);
        row(vec![
            html! { bdi { (connection.name) } },
            connection::pages::state(connection, status.as_ref()),
            html! { (up) " / " (binds.len()) },
            html! { (open) },
            html! { (format!("{pace:.1}")) },
        ])
        .link(format!("/connections/{}", connection.id))
        .key(connection.id.to_string())
    });
    let columns = vec![
        column("Connection"),
        column("State"),
        column("Binds").number(),
        column("In flight").number().detail(),
        column("Parts / s").number(),
    ];
    let empty = feedback::empty(
        Icon::Plug,
        "No connection yet",
        "A connection leads to a carrier. Without one no message can leave.",
        &html! { (form::link("Connections", "/connections")) },
    );
    let all = html! { a href="/connections" { "All connections" } };
    let body =
        html! { (table("Connections", columns, rows.collect()).id("connections").dense().empty(empty)) };
    card::card("Connections", &all, &body)
}

/// Customers' systems, and how many sessions each has.
async fn accounts(visitor: &Visitor, gateway: &Gateway) -> Result<Markup> {
    let paging = Paging { limit: Some(SHOWN_MAX.to_owned()), ..Paging::default() };
    let page = account::list(&visitor.scope, &paging).await?;
    let rows = page.items.iter().map(|account| {
        let binds = gateway.engine.account_binds(account.id);
        let state = match (account.active, binds.len()) {
            (false, _) => badge::badge_icon(Tone::Neutral, Icon::Pause, "Off"),
            (true, 0) => badge::badge_icon(Tone::Neutral, Icon::Dot, "Not bound"),
            (true, _) => badge::badge_icon(Tone::Good, Icon::Plug, "Bound"),
        };
        row(vec![html! { code dir="ltr" { (account.system_id) } }, state, html! { (binds.len()) }])
            .link(format!("/accounts/{}", account.id))
            .key(account.id.to_string())
    });
    let columns = vec![column("Account"), column("State"), column("Binds").number()];
    let empty = feedback::empty(
        Icon::Users,
        "No SMPP account yet",
        "An account lets a customer's system bind to this gateway.",
        &html! { (form::link("SMPP accounts", "/accounts")) },
    );
    let all = html! { a href="/accounts" { "All accounts" } };
    let body =
        html! { (table("SMPP accounts", columns, rows.collect()).id("accounts").dense().empty(empty)) };
    Ok(card::card("SMPP accounts", &all, &body))
}

/// Before the first message: what to do.
fn first_steps(visitor: &Visitor) -> Markup {
    let phones = visitor.scope.runtime().config.simulator.enabled && may(visitor, Permission::SimulatorUse);
    html! {
        (card::panel(&feedback::empty(
            Icon::Send,
            "No message yet",
            "Everything is running. The first message shows here the moment it is accepted, and each step of its way after it.",
            &html! { @if may(visitor, Permission::MessageSend) {
                (form::link("Send your first message", "/send").icon(Icon::Send).weight(Weight::Primary))
            } },
        )))
        (card::grid(&html! {
            @if phones {
                (card::choice("/phones", Icon::Phone, "See it arrive", "The simulator's phones show what was sent to any number, and answer."))
            }
            (card::choice("/docs", Icon::Book, "Send from a program", "The API reference, with an example for each call."))
            @if may(visitor, Permission::KeyCreate) {
                (card::choice("/api-keys/new", Icon::Key, "Make an API key", "A program sends in this tenant's name with one."))
            }
        }))
    }
}

async fn traffic(visitor: &Visitor, gateway: &Gateway) -> Result<Markup> {
    let scope = &visitor.scope;
    let begins = Hour::until(scope.now());
    let hour = Hour { begins, flows: query::flow_since(scope, begins).await? };
    let counts = query::states_now(scope).await?;
    let latest = MessageFilter { limit: Some(LATEST.to_owned()), ..MessageFilter::default() };
    let latest = query::list(scope, &latest).await?.items;
    let links = match may(visitor, Permission::ConnectionView) {
        true => {
            let paging = Paging { limit: Some(SHOWN_MAX.to_owned()), ..Paging::default() };
            Some(connections(gateway, &connection::list(scope, &paging).await?.items))
        }
        false => None,
    };
    let binds = match may(visitor, Permission::AccountView) {
        true => Some(accounts(visitor, gateway).await?),
        false => None,
    };
    let sides = match (links, binds) {
        (Some(links), Some(binds)) => card::split(&links, &binds),
        (links, binds) => html! { @if let Some(one) = links.or(binds) { (one) } },
    };
    if latest.is_empty() {
        return Ok(html! { (first_steps(visitor)) (sides) });
    }
    let all = html! { a href="/messages" { "All messages" } };
    let latest = messages_table("latest", &latest, html! {});
    Ok(html! {
        (figures(&hour))
        (card::split(&by_minute(&hour), &states(&counts)))
        (card::card("Latest messages", &all, &latest))
        (sides)
    })
}

/// The traffic.
pub(super) async fn home(
    visitor: Visitor,
    Extract(gateway): Extract<Gateway>,
) -> Result<Response, PageProblem> {
    if !may(&visitor, Permission::MessageView) {
        let body = card::panel(&feedback::empty(
            Icon::Home,
            "Welcome",
            "Your permissions do not include messages. What you may use is in the menu.",
            &html! { (form::link("Your account", "/account")) },
        ));
        return Ok(visitor.page(Content::new("Home", body)));
    }
    let body = traffic(&visitor, &gateway).await?;
    let actions = html! {
        @if may(&visitor, Permission::MessageSend) {
            (form::link("Send a message", "/send").icon(Icon::Send).weight(Weight::Primary))
        }
    };
    let content = Content { actions, ..Content::new("Home", body) };
    let topics = ["message", "connection", "account"];
    Ok(live_page(
        &visitor,
        LivePage { content, region: "traffic", url: "/", topics: &topics, above: seen_alone(&visitor) },
    ))
}
