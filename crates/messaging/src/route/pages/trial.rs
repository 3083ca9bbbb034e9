//! Trying a message: its form, and the picture of what each route would say.

use maud::{Markup, html};
use serde::Deserialize;
use types::{Error, Result};
use web::Visitor;
use web::ui::field::Choice;
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::table::{column, row, table};
use web::ui::tone::Tone;
use web::ui::{badge, card, feedback, field};

use super::Names;
use super::show::{intent_label, liveness};
use crate::api::Gateway;
use crate::intent::Intent;
use crate::route::trial::{self, Trial, Tried};
use crate::route::{Candidate, Looked, Verdict};

/// A trial as its form sends it.
#[derive(Default, Deserialize)]
pub(super) struct Question {
    to: Option<String>,
    from: Option<String>,
    account: Option<String>,
    intent: Option<String>,
    text: Option<String>,
    draft: Option<String>,
}

/// What became of a trial, if somebody asked for one.
pub(super) async fn tried(
    gateway: &Gateway,
    visitor: &Visitor,
    question: &Question,
) -> Result<Option<Tried>> {
    let Some(to) = question.to.clone() else { return Ok(None) };
    let trial = Trial {
        account: question.account.as_deref().map(str::parse).transpose()?,
        from: question.from.clone(),
        to,
        intent: question.intent.as_deref().and_then(Intent::named),
        text: question.text.clone(),
        draft: question.draft.is_some(),
        ..Trial::default()
    };
    trial::try_out(&visitor.scope, &trial, gateway.engine.queue()).await.map(Some)
}

fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Takes => badge::badge_icon(Tone::Good, Icon::Check, "Takes it"),
        Verdict::Waits => badge::badge_icon(Tone::Warn, Icon::Clock, "Waits"),
        Verdict::NoConnection => badge::badge_icon(Tone::Bad, Icon::Cross, "No connection"),
        _ => badge::badge(Tone::Neutral, "Passed over"),
    }
}

fn candidates(looked: &Looked, chosen: Option<types::ConnectionId>, names: &Names) -> Markup {
    let other = |candidate: &Candidate| {
        html! {
            li {
                (names.connection(candidate.connection)) " " (liveness(candidate.state))
                @if let Some(reason) = candidate.reason { " – " (reason.words()) }
            }
        }
    };
    html! {
        @if chosen.is_some() || !looked.passed_over.is_empty() {
            ul {
                @if let Some(chosen) = chosen {
                    li { strong { (names.connection(chosen)) } " " (badge::badge_icon(Tone::Good, Icon::Check, "Chosen")) }
                }
                @for candidate in &looked.passed_over { (other(candidate)) }
            }
        }
    }
}

/// The answer: where, what was found out about the message, and what each route said.
pub(super) fn answer(tried: &Tried, names: &Names) -> Markup {
    let decision = &tried.decision;
    let tone = match decision.chosen {
        Some(chosen) if !chosen.waits => Tone::Good,
        Some(_) => Tone::Warn,
        None => Tone::Bad,
    };
    let last = decision.looked_at.len().saturating_sub(1);
    let rows = decision.looked_at.iter().enumerate().map(|(at, looked)| {
        let chosen = decision.chosen.filter(|_| at == last).map(|chosen| chosen.connection);
        row(vec![
            html! { (looked.name) },
            verdict(looked.verdict),
            html! { (looked.why) },
            candidates(looked, chosen, names),
        ])
    });
    let columns = vec![column("Route"), column("Verdict"), column("Why"), column("Connections")];
    let mut facts = Vec::new();
    if let Some(found) = &decision.traffic {
        facts.push((
            "Its text reads",
            html! { (found.traffic.as_str()) " (" (found.confidence) " %): " (found.reason) },
        ));
    }
    if let Some(network) = &decision.network {
        facts.push(("Network", html! { (network) }));
    }
    html! {
        (feedback::notice(tone, &tried.summary, &html! { "Nothing was sent." }))
        @if !facts.is_empty() { (card::facts(&facts)) }
        @if !decision.looked_at.is_empty() { (table("Routes asked", columns, rows.collect()).id("asked").caption_shown()) }
    }
}

/// The form of a trial. `draft` offers to ask the draft instead of the routes in use.
pub(super) fn trial_form(question: &Question, names: &Names, refused: Option<&Error>, draft: bool) -> Markup {
    let error = |name: &str| refused.filter(|refused| refused.place() == Some(name)).map(Error::message);
    let accounts: Vec<_> =
        names.accounts.iter().map(|named| (named.id.to_string(), named.name.as_str())).collect();
    let mut account_choices = vec![Choice::new("", "The API")];
    account_choices.extend(accounts.iter().map(|(id, name)| Choice::new(id, name)));
    let intents = Intent::ALL.map(|intent| Choice::new(intent.as_str(), intent_label(intent)));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (to, from, account, said) =
        (text(&question.to), text(&question.from), text(&question.account), text(&question.text));
    let intent = question.intent.clone().unwrap_or_else(|| Intent::Transactional.as_str().to_owned());
    form::get(
        "/routes",
        &html! {
            div class="fields" {
                (field::tel("to", "To").value(&to).required().placeholder("+33612345678").error(error("to")))
                (field::text("from", "From").value(&from).error(error("from")))
                (field::select("account", "Sent by", &account_choices).value(&account))
                (field::select("intent", "Is", &intents).value(&intent))
                (field::textarea("text", "Says").value(&said).rows(2).wide())
                @if draft {
                    (field::checkbox("draft", "Ask the draft instead of the routes in use").checked(question.draft.is_some()))
                }
            }
            (form::actions(&html! { (form::submit("Try").weight(Weight::Plain).icon(Icon::Route)) }))
        },
    )
}
