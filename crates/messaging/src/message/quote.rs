//! What a message would take, and what would become of it. Nothing is sent, counted or kept.

use runtime::Scope;
use serde::Serialize;
use sms::analysis;
use types::{ConnectionId, Permission, Result, RouteId};
use web::problem::ProblemBody;

use super::submit::{SendMessage, content};
use crate::engine::Engine;
use crate::gate::check::{self, Answer, Question};
use crate::route::Ask;

/// A character that the 7-bit alphabet lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Forcing {
    /// Its place in the text, in characters from 0.
    pub at: usize,
    /// The character.
    pub character: char,
}

/// A typographic character and what would stand for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Replaced {
    /// Its place in the text, in characters from 0.
    pub at: usize,
    /// The character.
    pub from: char,
    /// What would stand for it; empty for nothing.
    pub to: &'static str,
}

/// What a message would take.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Quote {
    /// Parts on the wire, and on the bill.
    pub parts: u8,
    /// `gsm7`, `ucs2` or `binary`.
    pub encoding: &'static str,
    /// Units in all: septets (escapes count), octets, or UTF-16 units.
    pub units: usize,
    /// Parts that one message may have.
    pub parts_max: u32,
    /// The characters that the 7-bit alphabet lacks and that make it UCS-2, at most 1,000.
    pub forcing: Vec<Forcing>,
    /// What `replace` would change, where that keeps the text in the 7-bit alphabet.
    pub replacements: Vec<Replaced>,
    /// Parts that it would take then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts_if_replaced: Option<usize>,
    /// What the gates would say; absent without the permission to see the firewall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gates: Option<Answer>,
    /// The route that would take it; absent where none leads there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteId>,
    /// The connection that it would go through now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Whether it would wait there, because no connection of the route is up.
    pub waits: bool,
}

/// What a message would take, and what would become of it.
///
/// # Errors
/// A refusal naming the field, as sending it would give.
pub fn quote(scope: &Scope, engine: &Engine, message: &SendMessage) -> Result<Quote> {
    scope.require(Permission::MessageQuote)?;
    let recipient = types::Address::recipient(&message.to)?;
    let nobody = super::submit::default_sender();
    let sender = message.from.as_deref().map_or(Ok(nobody), types::Address::sender)?;
    let content = content(engine, message)?;
    let gates = scope.permissions().contains(Permission::FirewallView).then(|| {
        let question = Question {
            to: message.to.clone(),
            from: message.from.clone(),
            text: message.text.clone(),
            account: None,
            intent: message.intent,
            at: message.schedule_at,
        };
        check::check(scope, engine, &question)
    });
    let intent = message.intent.unwrap_or_default();
    let ask = Ask {
        text: content.text.as_deref(),
        octets: &content.body,
        encoding: content.encoding,
        parts: content.parts,
        at: message.schedule_at,
        test: scope.is_test(),
        ..Ask::new(scope.tenant(), None, &sender.text, &recipient.text, intent)
    };
    let chosen = engine.queue().explain(&engine.queue().routes(), &ask).chosen;
    let text = message.text.as_deref().unwrap_or_default();
    let seen = sms::analyse(text, &analysis::Options::default());
    let plain = sms::analyse(text, &analysis::Options { replace: true, ..analysis::Options::default() });
    Ok(Quote {
        parts: content.parts,
        encoding: content.name,
        units: match content.encoding {
            sms::Encoding::Ucs2 => content.body.len() / 2,
            _ => content.body.len(),
        },
        parts_max: engine.runtime().config.messaging.parts_max,
        forcing: seen
            .forcing
            .iter()
            .map(|(at, character)| Forcing { at: *at, character: *character })
            .collect(),
        parts_if_replaced: (!plain.replacements.is_empty()).then_some(plain.count.parts),
        replacements: plain
            .replacements
            .iter()
            .map(|one| Replaced { at: one.index, from: one.from, to: one.to })
            .collect(),
        gates: gates.transpose()?,
        route: chosen.map(|chosen| chosen.route),
        connection: chosen.map(|chosen| chosen.connection),
        waits: chosen.is_some_and(|chosen| chosen.waits),
    })
}

/// One message's quote in a batch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ItemQuote {
    /// It could be sent.
    Quote(Box<Quote>),
    /// It would be refused for its form.
    Refused {
        /// Why.
        error: ProblemBody,
    },
}

/// What each message of a batch would take.
///
/// # Errors
/// When the batch is empty or too large.
pub fn quote_batch(scope: &Scope, engine: &Engine, messages: &[SendMessage]) -> Result<Vec<ItemQuote>> {
    scope.require(Permission::MessageQuote)?;
    super::submit::check_batch(scope, messages.len())?;
    let quotes = messages.iter().enumerate().map(|(at, message)| match quote(scope, engine, message) {
        Ok(quote) => ItemQuote::Quote(Box::new(quote)),
        Err(error) => ItemQuote::Refused { error: super::submit::item_refused(at, error) },
    });
    Ok(quotes.collect())
}
