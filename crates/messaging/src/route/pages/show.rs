//! How a rule reads: the table of routes, and a rule's conditions and targets in a few words.

use maud::{Markup, Render, html};
use types::Permission;
use web::Visitor;
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, feedback};

use super::{Names, add_button};
use crate::api::Gateway;
use crate::intent::Intent;
use crate::pages::may;
use crate::route::traffic::Traffic;
use crate::route::{Liveness, Route, RouteRule, Span, Strategy, Target, words};

/// Entries of a list that a cell shows.
const SHOWN: usize = 6;

pub(super) fn liveness(alive: Liveness) -> Markup {
    match alive {
        Liveness::Up => badge::connection_state("bound", "Up"),
        Liveness::Down => badge::connection_state("down", "Down"),
        Liveness::Stopped => badge::connection_state("stopped", "Stopped"),
        Liveness::Draining => badge::connection_state("draining", "Draining"),
        Liveness::Unknown => badge::badge(Tone::Neutral, "Unknown"),
    }
}

pub(super) fn intent_label(intent: Intent) -> &'static str {
    match intent {
        Intent::Otp => "One-time codes",
        Intent::Transactional => "Transactional",
        Intent::Marketing => "Marketing",
    }
}

pub(super) fn traffic_label(traffic: Traffic) -> &'static str {
    match traffic {
        Traffic::Otp => "Reads like a code",
        Traffic::Transactional => "Reads like neither",
        Traffic::Promotional => "Reads like advertising",
    }
}

pub(super) fn strategy_label(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Failover => "First that is up (fail-over)",
        Strategy::RoundRobin => "In turns",
        Strategy::Weighted => "In turns, by weight",
        Strategy::LeastLoad => "Least load",
        Strategy::LeastCost => "Least cost",
        Strategy::Sticky => "Same for each recipient",
    }
}

/// A rule's lists with the words before them.
fn lists(rule: &RouteRule, names: &Names) -> Vec<(&'static str, Vec<String>)> {
    let accounts = |ids: &[types::AccountId]| ids.iter().map(|id| names.account(*id)).collect();
    let plus = |list: &[String]| list.iter().map(|prefix| format!("+{prefix}")).collect();
    let span = |span: Option<Span>, unit: &str| {
        let ends = span.map(|span| {
            let end = |end: Option<u32>| end.map_or_else(|| "…".to_owned(), |end| end.to_string());
            format!("{}–{} {unit}", end(span.min), end(span.max))
        });
        ends.into_iter().collect::<Vec<_>>()
    };
    let labels = |labels: Vec<&str>| labels.into_iter().map(str::to_owned).collect::<Vec<_>>();
    vec![
        ("of", accounts(&rule.accounts)),
        ("not of", accounts(&rule.not_accounts)),
        ("over", labels(rule.sources.iter().map(|source| source.as_str()).collect())),
        ("from", rule.senders.clone()),
        ("not from", rule.not_senders.clone()),
        ("to", plus(&rule.recipient_prefixes)),
        ("not to", plus(&rule.not_recipient_prefixes)),
        ("in", rule.countries.clone()),
        ("not in", rule.not_countries.clone()),
        ("on", rule.networks.clone()),
        ("not on", rule.not_networks.clone()),
        ("", labels(rule.intents.iter().map(|intent| intent_label(*intent)).collect())),
        ("", labels(rule.traffic.iter().map(|traffic| traffic_label(*traffic)).collect())),
        ("with", [rule.keywords.as_slice(), &rule.patterns].concat()),
        ("without", [rule.not_keywords.as_slice(), &rule.not_patterns].concat()),
        ("in", rule.encodings.clone()),
        ("of", span(rule.parts, "parts")),
        ("of", span(rule.octets, "octets")),
        ("at", rule.times.iter().map(words::window).collect()),
        ("as", rule.service_types.clone()),
        ("with", rule.tlvs.iter().map(|tlv| format!("TLV {:#06x}", tlv.tag)).collect()),
    ]
}

/// The conditions of a rule, in words.
pub(super) fn conditions(rule: &RouteRule, names: &Names) -> Markup {
    let lists = lists(rule, names);
    html! {
        @for (word, list) in &lists {
            @if !list.is_empty() {
                (word) " " @for entry in list.iter().take(SHOWN) { (badge::tag(entry)) " " }
                @if list.len() > SHOWN { "and " (list.len() - SHOWN) " more " }
            }
        }
        @if lists.iter().all(|(_, list)| list.is_empty()) { "every message" }
    }
}

/// Where a rule leads, in words.
pub(super) fn targets(rule: &RouteRule, names: &Names, alive: impl Fn(&Target) -> Liveness) -> Markup {
    html! {
        @if rule.strategy != Strategy::Failover { (badge::tag(strategy_label(rule.strategy))) " " }
        @for (at, target) in rule.targets.iter().enumerate() {
            @if at > 0 { @if rule.strategy == Strategy::Failover { ", then " } @else { ", " } }
            (names.connection(target.connection)) " "
            @if rule.strategy == Strategy::Weighted { "×" (target.weight) " " }
            @if let Some(cost) = &target.cost { "(" (cost) ") " }
            @if target.enabled { (liveness(alive(target))) } @else { (badge::badge(Tone::Neutral, "Off")) }
        }
    }
}

/// The routes in the order in which they are asked.
pub(super) fn routes_table(gateway: &Gateway, visitor: &Visitor, routes: &[Route], names: &Names) -> Markup {
    let rows = routes.iter().map(|route| {
        let href = format!("/routes/{}", route.id);
        let cells = vec![
            html! { (route.name) },
            html! { (route.priority) },
            conditions(&route.rule, names),
            targets(&route.rule, names, |target| gateway.engine.liveness(target.connection)),
            match route.active {
                true => badge::badge_icon(Tone::Good, Icon::Check, "On"),
                false => badge::badge(Tone::Neutral, "Off"),
            },
        ];
        let row = row(cells).key(route.id.to_string());
        if may(visitor, Permission::RouteChange) { row.link(href) } else { row }
    });
    let columns = vec![
        column("Route"),
        column("Priority").number(),
        column("Takes"),
        column("Leads to"),
        column("State"),
    ];
    let empty = feedback::empty(
        Icon::Route,
        "No routes yet",
        "Without a route every message is refused. One without conditions takes all.",
        &add_button(visitor),
    );
    table("Routes in the order in which they are asked", columns, rows.collect())
        .id("routes")
        .empty(empty)
        .render()
}
