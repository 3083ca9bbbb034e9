//! Traces in the console.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, Render, html};
use runtime::trace::Direction;
use types::{Error, Permission, Result, TraceId};
use web::console::{Content, NavEntry, done};
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::{self, Choice};
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, code, feedback};
use web::{Form, PageProblem, Query, Visitor};

use super::dissect::Kind;
use super::{Format, NewTrace, Trace, TracedPdu};
use crate::api::Gateway;
use crate::pages::{Fields, Shown, again, may, moment, none, post_button, region, words};
use crate::{account, connection, live};

/// Its place in the navigation.
pub(crate) const TRACES: NavEntry = NavEntry {
    group: "Network",
    label: "Traces",
    href: "/traces",
    icon: Icon::Search,
    key: None,
    permission: Permission::TraceView,
};

/// PDUs that the page shows, the latest.
const SHOWN_MAX: usize = 50;

fn state(trace: &Trace) -> Markup {
    match trace.why {
        None => badge::badge_icon(Tone::Good, Icon::Dot, "Running"),
        Some(_) => badge::badge(Tone::Neutral, "Ended"),
    }
}

fn of(trace: &Trace) -> Markup {
    html! {
        bdi { (trace.name) }
        @if let Some(bind) = trace.bind { ", bind #" (bind) }
        @if let Some(address) = &trace.address { ", " code dir="ltr" { (address) } }
    }
}

async fn list(visitor: Visitor) -> Result<Response, PageProblem> {
    let traces = super::list(&visitor.scope)?;
    let rows = traces.iter().map(|trace| {
        row(vec![
            of(trace),
            state(trace),
            moment(trace.began_at),
            html! { (count(trace.pdus as u64)) " of " (count(trace.pdus_max as u64)) },
            trace.why.map_or_else(none, |why| html! { (why) }),
        ])
        .key(trace.id.to_string())
        .link(format!("/traces/{}", trace.id))
    });
    let columns = vec![
        column("Of"),
        column("State"),
        column("Began"),
        column("PDUs").number(),
        column("Ended because"),
    ];
    let start = form::link("Start a trace", "/traces/new").weight(Weight::Primary).icon(Icon::Plus);
    let text = "A trace shows the PDUs of a connection or an account as they pass, field by field.";
    let actions = html! { (start) };
    let empty = feedback::empty(Icon::Search, "No traces", text, &actions);
    let inner = table("Traces", columns, rows.collect()).id("traces").empty(empty).render();
    let body = region(&visitor, "traces-live", &[web::stream::PULSE], inner);
    Ok(visitor.page_or_fragment(Content { actions, ..Content::new("Traces", body) }))
}

async fn form_page<'a>(visitor: &Visitor, shown: &Shown<'_>) -> Result<Content<'a>> {
    let scope = &visitor.scope;
    let mut choices = Vec::new();
    if may(visitor, Permission::ConnectionView) {
        for one in connection::all(scope, live::SHOWN_MAX).await? {
            choices.push((one.id.to_string(), format!("Connection {}", one.name)));
        }
    }
    if may(visitor, Permission::AccountView) {
        for one in account::all(scope, live::SHOWN_MAX).await? {
            choices.push((one.id.to_string(), format!("Account {}", one.name)));
        }
    }
    let options: Vec<_> = choices.iter().map(|(value, label)| Choice::new(value, label)).collect();
    let (of, bind, address) = (shown.value("of"), shown.value("bind"), shown.value("address"));
    let (minutes, pdus) = (shown.value("minutes"), shown.value("pdus"));
    let error = shown.error("connection").or_else(|| shown.error("account"));
    let body = form::post(
        "/traces/new",
        "",
        &html! {
            (shown.summary(visitor))
            (form::section("What", None, &html! {
                (field::select("of", "Of", &options).value(&of).error(error))
                (field::number("bind", "Bind").range("1", "1000000").value(&bind).error(shown.error("bind"))
                    .hint("Its number, as the page of the connection or account shows it; all when left empty."))
                (field::text("address", "Address").mono().value(&address).error(shown.error("address"))
                    .hint("Only PDUs whose sender or recipient holds it, and the answers to them."))
            }))
            (form::section("How long", None, &html! {
                (field::number("minutes", "Minutes").range("1", "60").value(&minutes).error(shown.error("minutes"))
                    .hint("1 to 60; 10 when left empty."))
                (field::number("pdus", "PDUs").range("1", "20000").value(&pdus).error(shown.error("pdus"))
                    .hint("1 to 20,000; 1,000 when left empty."))
            }))
            (form::actions(&html! { (form::submit("Start trace")) (form::link("Cancel", "/traces")) }))
        },
    );
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Traces", "/traces")], "Start a trace");
    Ok(Content { title: "Start a trace", body, actions: html! {}, breadcrumbs })
}

#[derive(serde::Deserialize)]
struct Wanted {
    of: Option<String>,
}

async fn new(visitor: Visitor, Query(wanted): Query<Wanted>) -> Result<Response, PageProblem> {
    visitor.scope.require(Permission::TraceStart)?;
    let mut members = crate::settings::Patch::new();
    members.insert("of".to_owned(), wanted.of.into());
    Ok(visitor.page(form_page(&visitor, &Shown::of(members)).await?))
}

fn wanted(fields: &Fields) -> Result<NewTrace> {
    let of = fields.get("of").unwrap_or_default();
    let number = |name: &str| {
        let read = |text: &str| {
            text.parse::<u64>().map_err(|_| Error::invalid(name, format!("{text:?} is no whole number")))
        };
        fields.get(name).map(read).transpose()
    };
    Ok(NewTrace {
        connection: of.starts_with("con_").then(|| of.parse()).transpose()?,
        account: of.starts_with("acc_").then(|| of.parse()).transpose()?,
        bind: number("bind")?,
        address: fields.owned("address"),
        minutes: number("minutes")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        pdus: number("pdus")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
    })
}

async fn start(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let fields = Fields(fields);
    let started = async { super::start(&visitor.scope, &gateway.engine, wanted(&fields)?).await };
    match started.await {
        Ok(trace) => Ok(done(&format!("/traces/{}", trace.id), "The trace has begun.")),
        Err(refused) => {
            let refused = again(refused)?;
            Ok(visitor.page_again(form_page(&visitor, &Shown::again(&fields, &refused)).await?))
        }
    }
}

fn way(one: &TracedPdu) -> &'static str {
    match one.direction {
        Direction::In => "to us",
        Direction::Out => "from us",
    }
}

/// A moment of a day, to the millisecond.
fn clock(one: &TracedPdu) -> String {
    one.at.to_string().get(11..23).unwrap_or_default().to_owned()
}

/// Who writes to whom, as far as a PDU says so.
fn addresses(one: &TracedPdu) -> String {
    let addresses = one.pdu.fields.iter().filter(|field| field.kind == Kind::Address);
    addresses
        .map(|field| field.value.as_str())
        .filter(|value| !value.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

fn pdus_table(id: TraceId, pdus: &[TracedPdu]) -> Markup {
    let rows = pdus.iter().rev().map(|one| {
        row(vec![
            html! { (one.number) },
            html! { code dir="ltr" { (clock(one)) } },
            html! { (way(one)) },
            html! { "#" (one.bind) },
            html! { code { (one.pdu.name) } },
            html! { (one.pdu.sequence) },
            html! { code dir="ltr" { (addresses(one)) } },
            one.pdu.status.as_deref().map_or_else(none, |status| html! { (status) }),
        ])
        .key(one.number.to_string())
        .link(format!("/traces/{id}/pdus/{}", one.number))
    });
    let columns = vec![
        column("PDU").number(),
        column("At, UTC"),
        column("Way"),
        column("Bind").detail(),
        column("Operation"),
        column("Sequence").number().detail(),
        column("Addresses"),
        column("Answer"),
    ];
    let empty = html! { p { "Nothing has passed yet." } };
    table("PDUs", columns, rows.collect()).id("pdus").dense().empty(empty).render()
}

async fn pdu(visitor: Visitor, Path((id, number)): Path<(String, u64)>) -> Result<Response, PageProblem> {
    let id: TraceId = id.parse()?;
    let trace = super::get(&visitor.scope, id)?;
    let after = number.checked_sub(1).ok_or_else(|| Error::not_found("PDU"))?;
    let found = super::pdus(&visitor.scope, id, after, 1)?;
    let one = found.items.first().ok_or_else(|| Error::not_found("PDU"))?;
    let words = words(&visitor);
    let fields = one.pdu.fields.iter();
    let rows =
        fields.map(|field| row(vec![html! { code { (field.name) } }, html! { bdi { (field.value) } }]));
    let body = html! {
        (card::card("PDU", &html! {}, &card::facts(&[
            ("Operation", html! { code { (one.pdu.name) } ", " (one.pdu.sequence) }),
            ("Way", html! { (way(one)) ", bind #" (one.bind) ", " (one.kind) ", " code dir="ltr" { (one.peer) } }),
            ("At", html! { code dir="ltr" { (one.at) } }),
            ("Answer", one.pdu.status.as_deref().map_or_else(none, |status| html! { (status) })),
        ])))
        (card::card("Fields", &html! {}, &table("Fields", vec![column("Field"), column("Value")], rows.collect()).dense().render()))
        (card::panel(&code::hex(words, "octets", &format!("{} octets", one.octets.len()), &one.octets)))
        (browse::toolbar(&html! {
            @if number > 1 { (form::link("Earlier", &format!("/traces/{id}/pdus/{after}"))) }
            @if (number as usize) < trace.pdus { (form::link("Later", &format!("/traces/{id}/pdus/{}", number + 1))) }
        }))
    };
    let title = format!("PDU {number}");
    let of = format!("Trace of {}", trace.name);
    let (list, up) = (("Traces", "/traces"), format!("/traces/{id}"));
    let breadcrumbs = browse::breadcrumbs(words, &[list, (&of, &up)], &title);
    Ok(visitor.page(Content { title: &title, body, actions: html! {}, breadcrumbs }))
}

async fn detail(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id: TraceId = id.parse()?;
    let trace = super::get(&visitor.scope, id)?;
    let held = trace.pdus as u64;
    let first = held.saturating_sub(SHOWN_MAX as u64);
    let pdus = super::pdus(&visitor.scope, id, first, SHOWN_MAX)?;
    let at = format!("/traces/{id}");
    let inner = html! {
        (card::card("Trace", &state(&trace), &card::facts(&[
            ("Of", of(&trace)),
            ("Began", moment(trace.began_at)),
            ("Ends at the latest", moment(trace.until)),
            ("PDUs", html! { (count(held)) " of " (count(trace.pdus_max as u64)) }),
            ("Missed", html! { (count(trace.missed)) }),
            ("Ended because", trace.why.map_or_else(none, |why| html! { (why) })),
        ])))
        (card::card("PDUs", &html! { @if first > 0 { span class="hint" { "the latest " (SHOWN_MAX) } } }, &pdus_table(id, &pdus.items)))
        @if trace.why.is_none() { (post_button(&format!("{at}/stop"), "Stop", Icon::Pause)) }
    };
    let topics: &[&str] = if trace.why.is_none() { &[web::stream::PULSE] } else { &["trace"] };
    let live = region(&visitor, "trace-live", topics, inner);
    if visitor.taste.fragment {
        return Ok(visitor.page_or_fragment(Content::new("Trace", live)));
    }
    let body = html! {
        (live)
        (confirm(words(&visitor), &Confirm {
            id: "delete", button: "Delete…", title: "Delete this trace?",
            text: "What it holds is thrown away. This cannot be undone.",
            confirm: "Delete trace", action: &format!("{at}/delete"), csrf: "", danger: true,
        }))
    };
    let (pcapng, jsonl) = (format!("{at}/pcapng"), format!("{at}/jsonl"));
    let actions = html! {
        (form::link("For Wireshark", &pcapng).icon(Icon::ArrowDown))
        (form::link("JSON lines", &jsonl).icon(Icon::ArrowDown))
    };
    let title = format!("Trace of {}", trace.name);
    let breadcrumbs = browse::breadcrumbs(words(&visitor), &[("Traces", "/traces")], &title);
    Ok(visitor.page_or_fragment(Content { title: &title, body, actions, breadcrumbs }))
}

async fn stop(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::stop(&visitor.scope, id.parse()?).await?;
    Ok(done(&format!("/traces/{id}"), "The trace has ended."))
}

async fn delete(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    super::delete(&visitor.scope, id.parse()?).await?;
    Ok(done("/traces", "Trace deleted."))
}

async fn pcapng(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id: TraceId = id.parse()?;
    Ok(super::api::attached(id, "pcapng", super::file(&visitor.scope, id, Format::Pcapng).await?))
}

async fn jsonl(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    let id: TraceId = id.parse()?;
    Ok(super::api::attached(id, "jsonl", super::file(&visitor.scope, id, Format::JsonLines).await?))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/traces", get(list))
        .route("/traces/new", get(new).post(start))
        .route("/traces/{id}", get(detail))
        .route("/traces/{id}/pdus/{number}", get(pdu))
        .route("/traces/{id}/stop", post(stop))
        .route("/traces/{id}/delete", post(delete))
        .route("/traces/{id}/pcapng", get(pcapng))
        .route("/traces/{id}/jsonl", get(jsonl))
}
