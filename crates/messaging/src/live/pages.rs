//! What is going on, in the console: a page for all, and parts of the pages of each connection and account.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use types::{Permission, Result};
use web::console::{Content, NavEntry, done};
use web::ui::card::{self, Stat};
use web::ui::figure::count;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, chart, feedback};
use web::{Form, PageProblem, Visitor};

use super::meter::SessionEvent;
use super::series::{Point, Quantiles, Window};
use super::{AccountLine, AccountMetrics, ConnectionLine, ConnectionMetrics, Share, Waiting};
use crate::api::Gateway;
use crate::pages::{Fields, moment, none, region};

/// Its place in the navigation.
pub(crate) const LIVE: NavEntry = NavEntry {
    group: "Gateway",
    label: "Traffic",
    href: "/traffic",
    icon: Icon::Chart,
    key: Some('l'),
    permission: Permission::ConnectionView,
};

/// What makes the regions look again: binds that come and go, and the pulse of rates and windows.
const TOPICS: &[&str] = &["connection", "account", web::stream::PULSE];

fn rate(per_second: f64) -> Markup {
    html! { (format!("{per_second:.1}")) }
}

fn rate_of(window: Option<&Window>, of: fn(&Window) -> f64) -> Markup {
    window.map_or_else(none, |window| rate(of(window)))
}

fn ms(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.1} ms"),
        10.0..1_000.0 => format!("{value:.0} ms"),
        1_000.0..120_000.0 => format!("{:.1} s", value / 1_000.0),
        _ => format!("{:.0} min", value / 60_000.0),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn used(used: u64, limit: u64) -> Markup {
    feedback::progress("Window", used, Some(limit), &format!("{used} of {limit}"))
}

fn waiting(waiting: Waiting) -> Markup {
    let Waiting { otp, transactional, marketing } = waiting;
    let lanes = format!("{otp} one-time codes, {transactional} transactional, {marketing} marketing");
    html! { span title=(lanes) { (count(waiting.all() as u64)) } }
}

fn top(share: Option<&Share>) -> Markup {
    share.map_or_else(none, |share| {
        html! { span title=(share.words) { code { (share.name) } " " (percent(share.share)) } }
    })
}

fn state(line: &ConnectionLine) -> Markup {
    let name = serde_json::to_value(line.state).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or("stopped");
    let label = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    badge::connection_state(name, &label)
}

fn connections(lines: &[ConnectionLine]) -> Markup {
    let rows = lines.iter().map(|line| {
        let (one, fifteen) = (line.lately.window(1), line.lately.window(15));
        row(vec![
            html! { (line.name) },
            state(line),
            html! { (line.bound) " of " (line.binds) },
            used(line.window_used as u64, line.window_limit as u64),
            rate(line.lately.sent_per_second),
            rate_of(one, |window| window.sent_per_second),
            rate_of(fifteen, |window| window.sent_per_second),
            rate(line.lately.received_per_second),
            one.map_or_else(none, |window| html! { (percent(window.throttled_share)) }),
            waiting(line.waiting),
            one.and_then(|window| window.latency).map_or_else(none, |of| html! { (ms(of.p95_ms)) }),
            top(line.top_error.as_ref()),
        ])
        .key(line.id.to_string())
        .link(format!("/connections/{}", line.id))
    });
    let columns = vec![
        column("Connection"),
        column("State"),
        column("Binds").number(),
        column("Window"),
        column("Out/s").number(),
        column("1 min").number().detail(),
        column("15 min").number().detail(),
        column("In/s").number(),
        column("Throttled").number().detail(),
        column("Waiting").number(),
        column("Answer p95").number(),
        column("Errors"),
    ];
    let text = "A connection binds to a carrier; here it is seen at work.";
    let empty = feedback::empty(Icon::Plug, "No connections yet", text, &html! {});
    table("Connections", columns, rows.collect()).id("traffic-connections").dense().empty(empty).render()
}

fn accounts(lines: &[AccountLine]) -> Markup {
    let rows = lines.iter().map(|line| {
        let (one, fifteen) = (line.lately.window(1), line.lately.window(15));
        row(vec![
            html! { (line.name) },
            html! { code { (line.system_id) } },
            html! { (line.bound) },
            used(line.window_used, line.window_limit),
            rate(line.lately.received_per_second),
            rate_of(one, |window| window.received_per_second),
            rate_of(fifteen, |window| window.received_per_second),
            rate(line.lately.sent_per_second),
            top(line.top_error.as_ref()),
            line.last_activity.map_or_else(none, moment),
        ])
        .key(line.id.to_string())
        .link(format!("/accounts/{}", line.id))
    });
    let columns = vec![
        column("Account"),
        column("System id").detail(),
        column("Binds").number(),
        column("Window"),
        column("In/s").number(),
        column("1 min").number().detail(),
        column("15 min").number().detail(),
        column("Out/s").number(),
        column("Refusals"),
        column("Last activity").detail(),
    ];
    let text = "A customer's system binds with an account; here it is seen at work.";
    let empty = feedback::empty(Icon::Users, "No SMPP accounts yet", text, &html! {});
    table("SMPP accounts", columns, rows.collect()).id("traffic-accounts").dense().empty(empty).render()
}

async fn overview(State(gateway): State<Gateway>, visitor: Visitor) -> Result<Response, PageProblem> {
    let overview = super::overview(&visitor.scope, &gateway.engine).await?;
    let out: f64 = overview.connections.iter().map(|line| line.lately.sent_per_second).sum();
    let submitted: f64 = overview.accounts.iter().map(|line| line.lately.received_per_second).sum();
    let waits: usize = overview.connections.iter().map(|line| line.waiting.all()).sum();
    let (bound, wanted) = overview
        .connections
        .iter()
        .fold((0, 0), |(bound, wanted), line| (bound + line.bound, wanted + line.binds));
    let (out, submitted) = (format!("{out:.1}"), format!("{submitted:.1}"));
    let (waits, binds) = (count(waits as u64), format!("{bound} of {wanted}"));
    let figures = card::stats(&[
        Stat { label: "To carriers, parts a second", value: &out, ..Stat::default() },
        Stat { label: "From customers, parts a second", value: &submitted, ..Stat::default() },
        Stat { label: "Waiting in memory", value: &waits, ..Stat::default() },
        Stat {
            label: "Binds to carriers",
            value: &binds,
            tone: if bound < wanted { Tone::Warn } else { Tone::Good },
            ..Stat::default()
        },
    ]);
    let inner = html! {
        (figures)
        (card::card("Connections", &html! {}, &connections(&overview.connections)))
        @if visitor.scope.permissions().contains(Permission::AccountView) {
            (card::card("SMPP accounts", &html! {}, &accounts(&overview.accounts)))
        }
    };
    let body = region(&visitor, "traffic-live", TOPICS, inner);
    Ok(visitor.page_or_fragment(Content::new("Traffic", body)))
}

fn line_chart(caption: &str, measure: &str, points: &[Point], of: impl Fn(&Point) -> f64) -> Markup {
    let label = |point: &Point| point.at.to_string().get(11..19).unwrap_or_default().to_owned();
    let points: Vec<(String, f64)> = points.iter().map(|point| (label(point), of(point))).collect();
    html! {
        @if points.is_empty() { p class="hint" { "Nothing was measured yet." } }
        @else {
            (chart::sparkline(&chart::Series { caption, axis: "Time, UTC", measure, points: &points }))
        }
    }
}

fn quantiles(of: Option<Quantiles>) -> [Markup; 3] {
    match of {
        Some(of) => [of.p50_ms, of.p95_ms, of.p99_ms].map(|value| html! { (ms(value)) }),
        None => [none(), none(), none()],
    }
}

/// The windows of a connection: rates, shares and delays side by side.
fn windows(windows: &[Window]) -> Markup {
    let rows = windows.iter().map(|window| {
        let [answer_50, answer_95, answer_99] = quantiles(window.latency);
        let [receipt_50, receipt_95, _] = quantiles(window.receipt_lag);
        row(vec![
            html! { (window.minutes) " min" },
            rate(window.sent_per_second),
            rate(window.received_per_second),
            html! { (count(window.accepted)) },
            html! { (count(window.refused)) },
            html! { (percent(window.throttled_share)) },
            html! { (count(window.unanswered)) },
            answer_50,
            answer_95,
            answer_99,
            receipt_50,
            receipt_95,
        ])
    });
    let columns = vec![
        column("Over"),
        column("Out/s").number(),
        column("In/s").number(),
        column("Accepted").number(),
        column("Refused").number(),
        column("Throttled").number(),
        column("Unanswered").number(),
        column("Answer p50").number(),
        column("p95").number(),
        column("p99").number(),
        column("Receipt p50").number(),
        column("p95").number(),
    ];
    table("Rates and delays", columns, rows.collect()).id("windows").dense().render()
}

/// What came how often, drawn as bars, with what each means.
fn mix(caption: &str, axis: &str, shares: &[Share]) -> Markup {
    let points: Vec<(String, f64)> =
        shares.iter().map(|share| (share.name.clone(), share.n as f64)).collect();
    let rows = shares.iter().map(|share| {
        row(vec![
            html! { code { (share.name) } },
            html! { (share.words) },
            html! { (count(share.n)) },
            html! { (percent(share.share)) },
        ])
    });
    let columns = vec![column(axis), column("Means"), column("Times").number(), column("Share").number()];
    html! {
        @if shares.is_empty() { p class="hint" { "None in the last " (super::MIX_MINUTES) " minutes." } }
        @else {
            (chart::bars(&chart::Series { caption, axis, measure: "Times", points: &points }))
            (table(caption, columns, rows.collect()).dense().render())
        }
    }
}

fn sessions(events: &[SessionEvent]) -> Markup {
    let rows = events.iter().map(|event| {
        let tone = if event.what == "bound" { Tone::Good } else { Tone::Warn };
        row(vec![
            moment(event.at),
            badge::badge(tone, if event.what == "bound" { "Bound" } else { "Lost" }),
            html! { (event.kind) },
            html! { code { (event.peer) } },
            event.why.as_deref().map_or_else(none, |why| html! { (why) }),
        ])
    });
    let columns =
        vec![column("When"), column("What"), column("Bind"), column("Peer").detail(), column("Why")];
    html! {
        @if events.is_empty() { p class="hint" { "Nothing has happened to its sessions since the start." } }
        @else { (table("Sessions", columns, rows.collect()).id("sessions").dense().render()) }
    }
}

/// What a connection's page shows of its traffic.
pub(crate) fn of_connection(metrics: &ConnectionMetrics) -> Markup {
    let (seconds, minutes) = (&metrics.seconds, &metrics.minutes);
    html! {
        (card::card("Rates and delays", &html! {}, &html! {
            (windows(&metrics.line.lately.windows))
            (line_chart("Parts handed over, the last two minutes", "Parts", seconds, |point| point.sent as f64))
            @if minutes.len() > 1 {
                (line_chart("Parts handed over, by minute", "Parts", minutes, |point| point.sent as f64))
            }
            (line_chart("Waiting for it, the last two minutes", "Messages", seconds, |point| point.waiting as f64))
        }))
        (card::card("Errors", &html! {}, &mix("Refusals of the last 15 minutes", "Status", &metrics.errors)))
        (card::card("Receipts", &html! {}, &mix("Receipts of the last 15 minutes", "State", &metrics.receipts)))
        (card::card("Sessions", &html! {}, &sessions(&metrics.sessions)))
    }
}

/// What an account's page shows of its traffic.
pub(crate) fn of_account(metrics: &AccountMetrics) -> Markup {
    let waits = count(u64::try_from(metrics.waiting).unwrap_or(0));
    let not_taken = count(metrics.not_taken);
    let rows = metrics.line.lately.windows.iter().map(|window| {
        row(vec![
            html! { (window.minutes) " min" },
            rate(window.received_per_second),
            html! { (count(window.accepted)) },
            html! { (count(window.refused)) },
            html! { (percent(window.throttled_share)) },
            rate(window.sent_per_second),
        ])
    });
    let columns = vec![
        column("Over"),
        column("Parts in/s").number(),
        column("Accepted").number(),
        column("Refused").number(),
        column("Throttled").number(),
        column("Given/s").number(),
    ];
    html! {
        (card::card("Traffic", &html! {}, &html! {
            (card::facts(&[
                ("Receipts and messages that wait", html! { (waits)
                    @if let Some(since) = metrics.waiting_since { ", the oldest since " (moment(since)) } }),
                ("Refused or left unanswered by its system", html! { (not_taken) }),
                ("Last activity", metrics.line.last_activity.map_or_else(none, moment)),
            ]))
            (table("Rates", columns, rows.collect()).id("windows").dense().render())
            (line_chart("Parts submitted, the last two minutes", "Parts", &metrics.seconds, |point| point.received as f64))
            @if metrics.minutes.len() > 1 {
                (line_chart("Parts submitted, by minute", "Parts", &metrics.minutes, |point| point.received as f64))
            }
        }))
        (card::card("Refusals", &html! {}, &mix("Refusals of the last 15 minutes", "Status", &metrics.refusals)))
        (card::card("Sessions", &html! {}, &sessions(&metrics.sessions)))
    }
}

fn bind_of(fields: &Fields) -> u64 {
    fields.get("bind").and_then(|text| text.parse().ok()).unwrap_or_default()
}

async fn renew(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    super::renew(&visitor.scope, &gateway.engine, id.parse()?, bind_of(&Fields(fields))).await?;
    Ok(done(&format!("/connections/{id}"), "The bind ends when nothing is open on it, and comes back."))
}

async fn end(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    super::end(&visitor.scope, &gateway.engine, id.parse()?, bind_of(&Fields(fields))).await?;
    Ok(done(&format!("/accounts/{id}"), "The bind is ended."))
}

/// A button that does something to one bind.
pub(crate) fn bind_button(action: &str, label: &str, bind: u64) -> Markup {
    use web::ui::form::{self, Weight};
    html! {
        form method="post" action=(action) {
            input type="hidden" name="bind" value=(bind);
            (form::submit(label).weight(Weight::Plain).small())
        }
    }
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/traffic", get(overview))
        .route("/connections/{id}/renew", post(renew))
        .route("/accounts/{id}/unbind", post(end))
}
