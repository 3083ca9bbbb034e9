//! What would become of a message that is being written.

use maud::{Markup, html};
use types::{Address, Permission, Result};
use web::Visitor;
use web::ui::feedback;
use web::ui::tone::Tone;

use crate::api::Gateway;
use crate::gate::check::{self, Question};
use crate::message::submit::SendMessage;
use crate::pages::may;
use crate::route::trial::{self, Trial};

/// What the gates and the routes would say now, as far as the visitor may know. Nothing is sent or counted.
///
/// A number that is still being typed is no mistake yet: the hint stays until there is a whole one.
pub(super) async fn forecast(
    visitor: &Visitor,
    gateway: &Gateway,
    message: &Result<SendMessage>,
) -> Result<Markup> {
    let waits_for_more = html! {
        p class="hint" { "What would become of the message shows here, once it has a number and a text." }
    };
    let Ok(message) = message else { return Ok(waits_for_more) };
    let sender_reads = message.from.as_deref().is_none_or(|from| Address::sender(from).is_ok());
    let whole = Address::recipient(&message.to).is_ok() && sender_reads;
    if !whole || message.text.as_deref().is_none_or(str::is_empty) {
        return Ok(waits_for_more);
    }
    let gates = may(visitor, Permission::GateCheck).then(|| {
        let question = Question {
            to: message.to.clone(),
            from: message.from.clone(),
            text: message.text.clone(),
            account: None,
            intent: message.intent,
            at: message.schedule_at,
        };
        check::check(&visitor.scope, &gateway.engine, &question)
    });
    let gates = gates.transpose()?;
    if let Some(gates) = gates.as_ref().filter(|gates| gates.verdict == "refused") {
        let code =
            html! { @if let Some(code) = gates.code { "The error code would be " code { (code) } "." } };
        return Ok(feedback::notice(Tone::Bad, &gates.summary, &code));
    }
    let route = if may(visitor, Permission::RouteTry) && may(visitor, Permission::RouteView) {
        let trial = Trial {
            to: message.to.clone(),
            from: message.from.clone(),
            text: message.text.clone(),
            intent: message.intent,
            at: message.schedule_at,
            ..Trial::default()
        };
        Some(trial::try_out(&visitor.scope, &trial, gateway.engine.queue()).await?)
    } else {
        None
    };
    let waits = gates.as_ref().filter(|gates| gates.verdict != "accepted");
    let tone = match &route {
        Some(tried) if tried.decision.chosen.is_none() => Tone::Bad,
        Some(tried) if tried.decision.chosen.is_some_and(|chosen| chosen.waits) => Tone::Warn,
        _ if waits.is_some() => Tone::Warn,
        Some(_) => Tone::Good,
        None => return Ok(html! {}),
    };
    let first = waits.map(|gates| gates.summary.as_str());
    let then = route.as_ref().map(|tried| tried.summary.as_str());
    let (title, more) = match (first, then) {
        (Some(first), then) => (first, then),
        (None, then) => (then.unwrap_or_default(), None),
    };
    let more = html! { @if let Some(more) = more { (more) " " } "Nothing is sent yet." };
    Ok(feedback::notice(tone, title, &more))
}
