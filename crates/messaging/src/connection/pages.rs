//! Connections in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use connectors::{BindStatus, Counters, State as LinkState, Status};
use maud::{Markup, Render, html};
use types::{ConnectionId, Permission, Result};
use web::console::{Content, done};
use web::ui::card::{self, Stat};
use web::ui::dialog::{Confirm, confirm};
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, chart, feedback, field};
use web::{Form, PageProblem, Paging, Query, Visitor};

use super::{Connection, ConnectionPatch, ConnectionSettings, NewConnection, Protocol, ReceiptIds, Wanted};
use crate::api::{Gateway, follow};
use crate::journal::Learned;
use crate::live::ConnectionMetrics;
use crate::pages::{Fields, Shown, again, may, moment, none, patch, post_button, region, words};
use crate::settings;

mod form_sections;
mod over_http;
use form_sections::SECTIONS;

/// Traffic moves windows and rates though nothing is said about the connection itself.
const TOPICS: &[&str] = &["connection", web::stream::PULSE];

pub(crate) fn state(connection: &Connection, status: Option<&Status>) -> Markup {
    let (name, label) = match status.map(|status| status.state) {
        Some(LinkState::Bound) => ("bound", "Bound"),
        Some(LinkState::Throttled) => ("throttled", "Throttled"),
        Some(LinkState::Binding) => ("binding", "Binding"),
        Some(LinkState::Draining) => ("draining", "Draining"),
        Some(LinkState::Down) => ("down", "Down"),
        Some(LinkState::Stopped) => ("stopped", "Stopped"),
        None if connection.wanted == Wanted::Stopped => ("stopped", "Stopped"),
        None => ("binding", "Starting"),
    };
    badge::connection_state(name, label)
}

/// How much of its window a connection or session uses, drawn.
fn window(used: usize, limit: usize) -> Markup {
    feedback::progress("Window", used as u64, Some(limit as u64), &format!("{used} of {limit}"))
}

fn windows(status: &Status) -> Markup {
    let sum = |of: fn(&BindStatus) -> usize| status.binds.iter().map(of).sum();
    window(sum(|bind| bind.window_used), sum(|bind| bind.window_limit))
}

fn bound(status: &Status) -> String {
    let bound =
        status.binds.iter().filter(|bind| matches!(bind.state, LinkState::Bound | LinkState::Throttled));
    format!("{} of {}", bound.count(), status.binds.len())
}

/// The share of submits that the carrier refused.
fn refused(counters: &Counters) -> String {
    if counters.submitted == 0 {
        return "–".to_owned();
    }
    format!("{:.1} %", counters.refused as f64 * 100.0 / counters.submitted as f64)
}

fn last_error(status: &Status) -> Option<&str> {
    status.binds.iter().find_map(|bind| bind.last_error.as_deref())
}

fn buttons(visitor: &Visitor, connection: &Connection) -> Markup {
    let at = format!("/connections/{}", connection.id);
    html! {
        @if may(visitor, Permission::ConnectionOperate) {
            @if connection.wanted != Wanted::Started { (post_button(&format!("{at}/start"), "Start", Icon::Refresh)) }
            @if connection.wanted == Wanted::Started { (post_button(&format!("{at}/drain"), "Drain", Icon::ArrowDown)) }
            @if connection.wanted != Wanted::Stopped { (post_button(&format!("{at}/stop"), "Stop", Icon::Pause)) }
        }
    }
}

fn add_button(visitor: &Visitor) -> Markup {
    html! {
        @if may(visitor, Permission::ConnectionCreate) {
            (form::link("Add connection", "/connections/new").weight(Weight::Primary).icon(Icon::Plus))
        }
    }
}

async fn list(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Query(paging): Query<Paging>,
) -> Result<Response, PageProblem> {
    let page = super::list(&visitor.scope, &paging).await?;
    let rows = page.items.iter().map(|connection| {
        let status = gateway.engine.connection_status(connection.id);
        let status = status.as_ref();
        row(vec![
            html! { (connection.name) },
            state(connection, status),
            html! { code { (connection.settings.host) ":" (connection.settings.port) } },
            html! { (connection.settings.protocol.name()) },
            status.map_or_else(none, |status| html! { (bound(status)) }),
            status.map_or_else(none, windows),
            status.map_or_else(none, |status| html! { (format!("{:.1}", status.parts_per_second)) }),
            status.map_or_else(none, |status| html! { (refused(&status.counters)) }),
            status.and_then(last_error).map_or_else(none, |error| html! { (error) }),
            html! { (browse::toolbar(&buttons(&visitor, connection))) },
        ])
        .key(connection.id.to_string())
        .link(format!("/connections/{}", connection.id))
    });
    let columns = vec![
        column("Connection"),
        column("State"),
        column("Carrier").detail(),
        column("Protocol").detail(),
        column("Binds").number(),
        column("Window"),
        column("Parts/s").number(),
        column("Refused").number(),
        column("Last error").detail(),
        column("Actions").actions(),
    ];
    let empty = feedback::empty(
        Icon::Plug,
        "No connections yet",
        "A connection leads to a carrier over SMPP, UCP, CIMD2 or HTTP, and routes send messages through it.",
        &add_button(&visitor),
    );
    let older = page.next.as_deref().map(|next| format!("/connections?after={next}"));
    let inner = html! {
        (table("Connections", columns, rows.collect()).id("connections").empty(empty))
        (browse::pager(words(&visitor), None, older.as_deref(), ""))
    };
    let body = region(&visitor, "connections-live", TOPICS, inner);
    let actions = html! { (over_http::add_button(&visitor)) (add_button(&visitor)) };
    Ok(visitor.page_or_fragment(Content { actions, ..Content::new("Connections", body) }))
}

fn binds_table(visitor: &Visitor, connection: &Connection, status: &Status) -> Markup {
    let operate = may(visitor, Permission::ConnectionRenew);
    let at = format!("/connections/{}/renew", connection.id);
    let rows = status.binds.iter().map(|bind| {
        let (name, label) = match bind.state {
            LinkState::Bound => ("bound", "Bound"),
            LinkState::Binding => ("binding", "Binding"),
            LinkState::Throttled => ("throttled", "Throttled"),
            LinkState::Draining => ("draining", "Draining"),
            LinkState::Down => ("down", "Down"),
            LinkState::Stopped => ("stopped", "Stopped"),
        };
        row(vec![
            html! { "#" (bind.number) " " (bind.kind) @if bind.standby { " " (badge::tag("standby")) } },
            badge::connection_state(name, label),
            html! { code { (bind.host) } },
            bind.peer.map_or_else(none, |peer| html! { code { (peer) } }),
            moment(bind.since),
            window(bind.window_used, bind.window_limit),
            bind.last_round_trip_us
                .map_or_else(none, |us| html! { (format!("{:.1} ms", us as f64 / 1000.0)) }),
            bind.answers_us.map_or_else(none, |[p50, p95, p99]| {
                let ms = |us: u64| format!("{:.1}", us as f64 / 1000.0);
                html! { (ms(p50)) " / " (ms(p95)) " / " (ms(p99)) " ms" }
            }),
            html! { (count(bind.submitted)) },
            html! { (count(bind.sessions)) },
            bind.last_error.as_deref().map_or_else(none, |error| html! { (error) }),
            html! { @if operate { (crate::live::pages::bind_button(&at, "Renew", bind.number)) } },
        ])
    });
    let columns = vec![
        column("Bind"),
        column("State"),
        column("Host").detail(),
        column("Peer").detail(),
        column("Since"),
        column("Window"),
        column("Round trip").number(),
        column("Answers p50, p95, p99").detail(),
        column("Submitted").number(),
        column("Sessions").number(),
        column("Last error"),
        column("Actions").actions(),
    ];
    table("Binds", columns, rows.collect()).id("binds").render()
}

/// How the ids in a carrier's receipts are written, as far as that is known.
fn receipt_ids(connection: &Connection, learned: Option<Learned>) -> Markup {
    let words = |form| match form {
        ReceiptIds::Auto => "being found out",
        ReceiptIds::Same => "the same as in responses",
        ReceiptIds::HexToDecimal => "decimal, where responses are hexadecimal",
        ReceiptIds::DecimalToHex => "hexadecimal, where responses are decimal",
    };
    match (connection.settings.receipt_ids, learned) {
        (ReceiptIds::Auto, Some(learned)) => html! {
            (words(learned.form)) ", "
            @if learned.certain { "certain after " } @else { "probably, after " }
            (count(u64::from(learned.matches))) " receipts"
        },
        (set, _) => html! { (words(set)) },
    }
}

fn live_part(
    visitor: &Visitor,
    connection: &Connection,
    metrics: &ConnectionMetrics,
    learned: Option<Learned>,
) -> Markup {
    let status = metrics.status.as_ref();
    let facts = card::facts(&[
        ("State", state(connection, status)),
        ("Protocol", html! { (connection.settings.protocol.name()) }),
        ("Wanted", html! { (connection.wanted.as_str()) }),
        ("Ids in receipts", receipt_ids(connection, learned)),
    ]);
    let Some(status) = status else {
        return html! { (card::card("Now", &buttons(visitor, connection), &facts)) };
    };
    let counters = &status.counters;
    let (rate, submitted) = (format!("{:.1}", status.parts_per_second), count(counters.submitted));
    let (delivered, pause) = (count(counters.delivered), format!("{:.1} s", status.pause_ms as f64 / 1000.0));
    let mut figures = vec![
        Stat { label: "Parts a second", value: &rate, ..Stat::default() },
        Stat { label: "Submitted since the start", value: &submitted, ..Stat::default() },
        Stat { label: "Receipts and inbound", value: &delivered, ..Stat::default() },
    ];
    if status.pause_ms > 0 {
        figures.push(Stat {
            label: "Pauses at the carrier's wish",
            value: &pause,
            tone: Tone::Warn,
            ..Stat::default()
        });
    }
    let mix: Vec<(String, f64)> = [
        ("Accepted", counters.accepted),
        ("Refused", counters.refused),
        ("of them throttled", counters.throttled),
        ("Timed out", counters.timed_out),
        ("Answered late", counters.late),
        ("Open when the bind was lost", counters.lost),
    ]
    .map(|(label, number)| (label.to_owned(), number as f64))
    .into();
    let series = chart::Series {
        caption: "Answers to submits since the start",
        axis: "Answer",
        measure: "Submits",
        points: &mix,
    };
    html! {
        (card::stats(&figures))
        (card::card("Now", &buttons(visitor, connection), &html! { (facts) (windows(status)) }))
        @if let Some(error) = last_error(status) { (feedback::notice(Tone::Warn, "Last error", &html! { (error) })) }
        (card::card("Binds", &html! {}, &binds_table(visitor, connection, status)))
        (card::card("Answers", &html! {}, &chart::bars(&series)))
    }
}

async fn detail(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let connection = super::get(&visitor.scope, id.parse()?).await?;
    let metrics = crate::live::of_connection(&visitor.scope, &gateway.engine, connection.id).await?;
    let learned = gateway.engine.journal().receipt_ids(connection.id);
    let inner = html! {
        (live_part(&visitor, &connection, &metrics, learned))
        (crate::live::pages::of_connection(&metrics))
    };
    let live = region(&visitor, "connection-live", TOPICS, inner);
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new(&connection.name, live)));
    }
    let settings = settings::members(&connection.settings)?;
    let shown = Shown::of(settings);
    let manage = may(&visitor, Permission::ConnectionChange);
    let at = format!("/connections/{}", connection.id);
    let over_http = connection.settings.protocol == Protocol::Http;
    let hooks = over_http::hooks_card(&visitor, &connection).await?;
    let sections: &[_] = if over_http { &[] } else { SECTIONS };
    let body = html! {
        (live)
        (hooks)
        @if over_http { (over_http::facts(&connection)?) }
        @for section in sections {
            @let facts: Vec<(&str, Markup)> = section.settings.iter().filter(|setting| !shown.value(setting.name).is_empty())
                .map(|setting| (setting.label, html! { code { (shown.value(setting.name)) } })).collect();
            @if !facts.is_empty() { (card::card(section.title, &html! {}, &card::facts(&facts))) }
        }
        (card::panel(&card::facts(&[
            ("Id", html! { code { (connection.id) } }),
            ("Created", moment(connection.created_at)),
            ("Changed", moment(connection.changed_at)),
        ])))
        @if manage {
            (confirm(words(&visitor), &Confirm {
                id: "delete", button: "Delete…", title: "Delete this connection?",
                text: "Its binds end. Messages that went through it stay. This cannot be undone.",
                confirm: "Delete connection", action: &format!("{at}/delete"), csrf: "", danger: true,
            }))
        }
    };
    let edit = format!("{at}/edit");
    let actions = html! {
        @if over_http { (over_http::try_button(&connection)) }
        @if manage { (form::link("Edit", &edit).icon(Icon::Edit)) }
    };
    let breadcrumbs =
        browse::breadcrumbs(words(&visitor), &[("Connections", "/connections")], &connection.name);
    Ok(visitor.page_or_fragment(Content { title: &connection.name, body, actions, breadcrumbs }))
}

fn form_page<'a>(
    visitor: &Visitor,
    title: &'a str,
    action: &str,
    back: &str,
    shown: &Shown<'_>,
) -> Content<'a> {
    let (name, error) = (shown.value("name"), shown.error("name"));
    let new = action.ends_with("/new");
    let hint = if new {
        "At most 8 characters by the specification; some carriers take more."
    } else {
        "Left empty, the present one stays."
    };
    let body = form::post(
        action,
        "",
        &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(shown.value("revision"));
            (form::section("Name", None, &html! {
                (field::text("name", "Name").value(&name).required().max_chars(100).error(error).hint("What people call this carrier."))
                (field::secret("password", "Password").hint(hint).error(shown.error("password")))
            }))
            (shown.sections(SECTIONS))
            (form::actions(&html! {
                (form::submit(if new { "Add connection" } else { "Save connection" }))
                (form::link("Cancel", back))
            }))
        },
    );
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Connections", "/connections")], title);
    Content { title, body, actions: html! {}, breadcrumbs }
}

async fn new(visitor: Visitor) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::ConnectionCreate)?;
    let defaults = ConnectionSettings::defaults(&visitor.scope.runtime().config);
    let shown = Shown::of(settings::members(&defaults)?);
    Ok(visitor.page(form_page(&visitor, "Add connection", "/connections/new", "/connections", &shown)))
}

async fn create(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let asked = async {
        let new = NewConnection {
            name: fields.owned("name").unwrap_or_default(),
            password: fields.owned("password"),
            hook_secret: None,
            wanted: None,
            settings: patch(SECTIONS, &fields)?,
        };
        super::create(&visitor.scope, new).await
    };
    match asked.await {
        Ok(made) => {
            follow(gateway.engine.connection_changed(made.id)).await;
            Ok(done(&format!("/connections/{}", made.id), "Connection added. It binds now."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(
                &visitor,
                "Add connection",
                "/connections/new",
                "/connections",
                &shown,
            )))
        }
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::ConnectionChange)?;
    let connection = super::get(&visitor.scope, id.parse()?).await?;
    if connection.settings.protocol == Protocol::Http {
        return Ok(visitor.page(over_http::edit_page(&visitor, &connection)?));
    }
    let mut members = settings::members(&connection.settings)?;
    members.insert("name".to_owned(), connection.name.into());
    members.insert("revision".to_owned(), connection.revision.into());
    let shown = Shown::of(members);
    let back = format!("/connections/{}", connection.id);
    Ok(visitor.page(form_page(&visitor, "Edit connection", &format!("{back}/edit"), &back, &shown)))
}

async fn change(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let (id, fields): (ConnectionId, _) = (id.parse()?, Fields(fields));
    let back = format!("/connections/{id}");
    let asked = async {
        let wanted = ConnectionPatch {
            name: Some(fields.owned("name").unwrap_or_default()),
            password: fields.owned("password"),
            hook_secret: None,
            settings: patch(SECTIONS, &fields)?,
            revision: fields.revision(),
        };
        super::change(&visitor.scope, id, wanted).await
    };
    match asked.await {
        Ok(_) => {
            follow(gateway.engine.connection_changed(id)).await;
            Ok(done(&back, "Connection saved."))
        }
        Err(refused) => {
            let refused = again(refused)?;
            let shown = Shown::again(&fields, &refused);
            Ok(visitor.page_again(form_page(
                &visitor,
                "Edit connection",
                &format!("{back}/edit"),
                &back,
                &shown,
            )))
        }
    }
}

async fn operate(
    gateway: &Gateway,
    visitor: &Visitor,
    id: &str,
    wanted: Wanted,
) -> Result<Response, PageProblem> {
    let connection = super::operate(&visitor.scope, id.parse()?, wanted).await?;
    follow(gateway.engine.connection_changed(connection.id)).await;
    let what = match wanted {
        Wanted::Started => "is started",
        Wanted::Stopped => "is stopped; its messages wait",
        Wanted::Draining => "takes nothing more and waits for what has left",
    };
    Ok(done(&format!("/connections/{}", connection.id), &format!("{} {what}.", connection.name)))
}

async fn start(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    operate(&gateway, &visitor, &id, Wanted::Started).await
}

async fn stop(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    operate(&gateway, &visitor, &id, Wanted::Stopped).await
}

async fn drain(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    operate(&gateway, &visitor, &id, Wanted::Draining).await
}

async fn delete(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let id: ConnectionId = id.parse()?;
    super::delete(&visitor.scope, id).await?;
    follow(gateway.engine.connection_changed(id)).await;
    Ok(done("/connections", "Connection deleted."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/connections", get(list))
        .route("/connections/new", get(new).post(create))
        .route("/connections/{id}", get(detail))
        .route("/connections/{id}/edit", get(edit).post(change))
        .route("/connections/{id}/start", post(start))
        .route("/connections/{id}/stop", post(stop))
        .route("/connections/{id}/drain", post(drain))
        .route("/connections/{id}/delete", post(delete))
        .merge(over_http::router())
}
