//! What the pages of the gates have in common: trying a message, refusals, counts as bars, held messages.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use types::{AccountId, Error, Permission, Result};
use web::console::{Content, done};
use web::ui::field::{self, Choice};
use web::ui::figure::count;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, browse, card, feedback};
use web::{PageProblem, Paging, Query, Visitor};

use super::check::{self, Answer, Question};
use super::refusals::{self, KeptRefusal, RefusalFilter, RuleCount};
use super::{Gate, Verdict, held};
use crate::Intent;
use crate::account;
use crate::api::Gateway;
use crate::message::cancel;
use crate::pages::{may, moment, none, words};

/// A question as the form sends it.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(crate) struct Tried {
    to: Option<String>,
    from: Option<String>,
    text: Option<String>,
    account: Option<String>,
    intent: Option<String>,
}

const fn gate_name(gate: Gate) -> &'static str {
    match gate {
        Gate::Sender => "Senders",
        Gate::Blacklist => "Blacklist",
        Gate::Firewall => "Firewall",
        Gate::Hours => "Hours",
        Gate::OptOut => "Opt-outs",
        Gate::Privacy => "Privacy",
        Gate::Rate => "Rate",
    }
}

fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::NotConcerned => badge::badge(Tone::Neutral, "Not concerned"),
        Verdict::Passes => badge::badge_icon(Tone::Good, Icon::Check, "Passes"),
        Verdict::Chooses => badge::badge(Tone::Neutral, "Chooses the sender"),
        Verdict::Counts => badge::badge(Tone::Warn, "Counts"),
        Verdict::Marks => badge::badge(Tone::Warn, "Marks"),
        Verdict::Holds => badge::badge_icon(Tone::Warn, Icon::Pause, "Holds"),
        Verdict::Postpones => badge::badge_icon(Tone::Warn, Icon::Clock, "Postpones"),
        Verdict::Refuses => badge::badge_icon(Tone::Bad, Icon::Cross, "Refuses"),
    }
}

fn answer(answer: &Answer) -> Markup {
    let tone = match answer.verdict {
        "accepted" => Tone::Good,
        "refused" => Tone::Bad,
        _ => Tone::Warn,
    };
    let rows = answer.looked_at.iter().map(|looked| {
        row(vec![
            html! { (gate_name(looked.gate)) },
            html! { (looked.name) },
            verdict(looked.verdict),
            html! { (looked.why) },
        ])
    });
    let columns = vec![column("Gate"), column("Rule"), column("Verdict"), column("Why")];
    html! {
        (feedback::notice(tone, &answer.summary, &html! {
            @if let Some(code) = answer.code { "The error code is " code { (code) } ". " }
            @if let Some(country) = answer.country { "The recipient's country is " (country) ". " }
            "Nothing was sent or counted."
        }))
        @if !answer.looked_at.is_empty() {
            (table("Rules asked", columns, rows.collect()).id("asked").caption_shown())
        }
    }
}

/// The panel in which a message is tried: its form at the page's own address, and the answer below it.
pub(crate) async fn try_panel(
    gateway: &Gateway,
    visitor: &Visitor,
    action: &str,
    tried: &Tried,
) -> Result<Markup> {
    if !may(visitor, Permission::GateCheck) {
        return Ok(html! {});
    }
    let outcome = tried.to.as_ref().map(|to| ask(gateway, visitor, to, tried));
    let refused = match &outcome {
        Some(Err(error)) if error.code().status() >= 500 => return Err(Error::internal("a trial failed")),
        Some(Err(error)) => Some(error),
        _ => None,
    };
    let error = |name: &str| refused.filter(|refused| refused.place() == Some(name)).map(Error::message);
    let accounts = match may(visitor, Permission::RouteView) {
        true => account::names(&visitor.scope).await?,
        false => Vec::new(),
    };
    let accounts: Vec<_> = accounts.iter().map(|named| (named.id.to_string(), named.name.as_str())).collect();
    let mut choices = vec![Choice::new("", "The API")];
    choices.extend(accounts.iter().map(|(id, name)| Choice::new(id, name)));
    let intents = Intent::ALL.map(|intent| Choice::new(intent.as_str(), intent_label(intent)));
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let (to, from, text, account) =
        (value(&tried.to), value(&tried.from), value(&tried.text), value(&tried.account));
    let intent = tried.intent.clone().unwrap_or_else(|| Intent::Transactional.as_str().to_owned());
    let fields = html! {
        div class="fields" {
            (field::tel("to", "To").value(&to).required().placeholder("+33612345678").error(error("to")))
            (field::text("from", "From").value(&from).error(error("from")))
            (field::select("account", "Sent by", &choices).value(&account))
            (field::select("intent", "Is", &intents).value(&intent))
            (field::textarea("text", "Text").value(&text).rows(2).wide())
        }
        (form::actions(&html! { (form::submit("Try").weight(Weight::Plain).icon(Icon::Shield)) }))
    };
    Ok(card::card(
        "Try a message",
        &html! {},
        &html! {
            (form::get(action, &fields))
            @if let Some(Ok(found)) = &outcome { (answer(found)) }
        },
    ))
}

fn ask(gateway: &Gateway, visitor: &Visitor, to: &str, tried: &Tried) -> Result<Answer> {
    let account = tried.account.as_deref().map(str::parse::<AccountId>).transpose()?;
    let question = Question {
        to: to.to_owned(),
        from: tried.from.clone(),
        text: tried.text.clone(),
        account,
        intent: tried.intent.as_deref().and_then(Intent::named),
        at: None,
    };
    check::check(&visitor.scope, &gateway.engine, &question)
}

/// An intent as people call it.
pub(crate) const fn intent_label(intent: Intent) -> &'static str {
    match intent {
        Intent::Otp => "One-time codes",
        Intent::Transactional => "Transactional",
        Intent::Marketing => "Marketing",
    }
}

/// Width and height of the little bars, in units of their drawing.
const BAR: (usize, usize) = (4, 20);

/// The last 24 hours as small bars; the words beside them say the same.
pub(crate) fn day_bars(counts: &[&RuleCount]) -> Markup {
    let total: i64 = counts.iter().map(|count| count.n).sum();
    let hours = counts.iter().map(|count| count.by_hour.len()).max().unwrap_or_default();
    let sums: Vec<i64> =
        (0..hours).map(|hour| counts.iter().filter_map(|count| count.by_hour.get(hour)).sum()).collect();
    let most = sums.iter().copied().max().unwrap_or_default().max(1);
    let tall =
        |n: i64| usize::try_from(n.max(0)).unwrap_or_default() * BAR.1 / usize::try_from(most).unwrap_or(1);
    html! {
        @if total == 0 { (none()) } @else {
            (count(u64::try_from(total).unwrap_or_default())) " "
            svg width=(hours * BAR.0) height=(BAR.1) viewBox={ "0 0 " (hours * BAR.0) " " (BAR.1) } aria-hidden="true" focusable="false" {
                @for (at, n) in sums.iter().enumerate() {
                    @let height = tall(*n).max(usize::from(*n > 0) * 2);
                    rect x=(at * BAR.0) y=(BAR.1 - height) width=(BAR.0 - 1) height=(height) fill="currentColor" {}
                }
            }
        }
    }
}

fn refusals_table(refusals: &[KeptRefusal]) -> Markup {
    let rows = refusals.iter().map(|refusal| {
        row(vec![
            moment(refusal.at),
            html! { bdi { (if refusal.from.is_empty() { "–" } else { &refusal.from }) } },
            html! { bdi dir="ltr" { (refusal.to) } },
            html! { code { (refusal.code) } },
            html! { (refusal.rule_name) },
            html! { (refusal.reason) @if let Some(text) = &refusal.text { ": " bdi { (text) } } },
        ])
        .key(refusal.id.to_string())
    });
    let columns = vec![
        column("When"),
        column("From"),
        column("To"),
        column("Code"),
        column("Rule"),
        column("Why").detail(),
    ];
    let empty = feedback::empty(
        Icon::Shield,
        "Nothing was refused",
        "Refusals appear here within a second.",
        &html! {},
    );
    html! { (table("Refusals", columns, rows.collect()).id("refusals").dense().empty(empty)) }
}

/// The tabs over the firewall's pages.
pub(crate) fn tabs(current: &str) -> Markup {
    let tab = |label, href| browse::Tab { label, href, count: None, current: href == current };
    browse::tabs(
        "Firewall",
        &[
            tab("Rules", "/firewall"),
            tab("Refusals", "/firewall/refusals"),
            tab("Held messages", "/firewall/held"),
        ],
    )
}

async fn refused(visitor: Visitor, Query(filter): Query<RefusalFilter>) -> Result<Response, PageProblem> {
    let page = refusals::list(&visitor.scope, &filter).await?;
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let (to, from, rule, code) =
        (value(&filter.to), value(&filter.from), value(&filter.rule), value(&filter.code));
    let codes = types::Code::ALL.iter().filter(|code| is_gates(**code));
    let mut choices = vec![Choice::new("", "All")];
    choices.extend(codes.map(|code| Choice::new(code.as_str(), code.title())));
    let fields = html! {
        (field::select("code", "Code", &choices).value(&code))
        (field::text("to", "To").value(&to))
        (field::text("from", "From").value(&from))
        (field::text("rule", "Rule").value(&rule))
    };
    let named = [("code", &filter.code), ("to", &filter.to), ("from", &filter.from), ("rule", &filter.rule)];
    let given: Vec<(&str, String)> =
        named.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.clone()))).collect();
    let active: Vec<_> = given
        .iter()
        .map(|(name, value)| {
            let others: Vec<_> = given.iter().filter(|(other, _)| other != name).cloned().collect();
            browse::ActiveFilter {
                label: format!("{name}: {value}"),
                remove_href: web::body::with_query("/firewall/refusals", &others),
            }
        })
        .collect();
    let older = page.next.as_ref().map(|next| {
        let mut query = given.clone();
        query.push(("after", next.clone()));
        web::body::with_query("/firewall/refusals", &query)
    });
    let words = words(&visitor);
    let body = html! {
        (tabs("/firewall/refusals"))
        (browse::filter_bar(words, "/firewall/refusals", &fields, &active))
        (refusals_table(&page.items))
        (browse::pager(words, None, older.as_deref(), ""))
    };
    Ok(visitor.page_or_fragment(Content::new("Refusals", body)))
}

/// Whether a code is one that the gates give.
const fn is_gates(code: types::Code) -> bool {
    use types::Code;
    matches!(
        code,
        Code::SenderNotAllowed
            | Code::SenderNotRegistered
            | Code::SenderBlacklisted
            | Code::SenderImpersonation
            | Code::RecipientBlacklisted
            | Code::CallerBlacklisted
            | Code::ContentBlocked
            | Code::DuplicateMessage
            | Code::RecipientLimit
            | Code::OutsideHours
    )
}

async fn held_messages(visitor: Visitor, Query(paging): Query<Paging>) -> Result<Response, PageProblem> {
    let page = held::list(&visitor.scope, &paging).await?;
    let (release, cancel) =
        (may(&visitor, Permission::HeldRelease), may(&visitor, Permission::MessageCancel));
    let rows = page.items.iter().map(|message| {
        let held_by = message.held_by.as_deref().unwrap_or_default();
        row(vec![
            html! { a href={ "/messages/" (message.id) } { bdi dir="ltr" { (message.to) } } },
            html! { bdi { (message.from) } },
            html! { bdi { (message.text.as_deref().unwrap_or("binary")) } },
            html! { (held_by) },
            moment(message.expires_at),
            html! {
                @if release {
                    form method="post" action={ "/firewall/held/" (message.id) "/release" } {
                        (form::submit("Release").weight(Weight::Plain).icon(Icon::Check).small())
                    }
                }
                @if cancel {
                    form method="post" action={ "/firewall/held/" (message.id) "/refuse" } {
                        (form::submit("Refuse").weight(Weight::Quiet).icon(Icon::Cross).small())
                    }
                }
            },
        ])
        .key(message.id.to_string())
    });
    let columns = vec![
        column("To"),
        column("From"),
        column("Text"),
        column("Held by"),
        column("Expires"),
        column("Decide").actions(),
    ];
    let empty = feedback::empty(
        Icon::Pause,
        "Nothing is held",
        "Messages that a rule holds wait here for a person.",
        &html! {},
    );
    let older = page.next.as_ref().map(|next| web::body::with_query("/firewall/held", &[("after", next)]));
    let body = html! {
        (tabs("/firewall/held"))
        (table("Held messages", columns, rows.collect()).id("held").empty(empty))
        (browse::pager(words(&visitor), None, older.as_deref(), ""))
    };
    Ok(visitor.page_or_fragment(Content::new("Held messages", body)))
}

async fn release(visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageProblem> {
    held::release(&visitor.scope, id.parse()?).await?;
    Ok(done("/firewall/held", "Message released."))
}

async fn refuse(
    State(gateway): State<Gateway>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    cancel::cancel(&visitor.scope, &gateway.engine, id.parse()?).await?;
    Ok(done("/firewall/held", "Message refused."))
}

/// The routes.
pub(crate) fn router() -> Router<Gateway> {
    Router::new()
        .route("/firewall/refusals", get(refused))
        .route("/firewall/held", get(held_messages))
        .route("/firewall/held/{id}/release", post(release))
        .route("/firewall/held/{id}/refuse", post(refuse))
}
