//! What the gates would say about a message. Nothing is sent, counted or kept.

use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::{AccountId, Address, Permission, Result, Timestamp};

use super::{Ask, Looked};
use crate::Intent;
use crate::engine::Engine;
use crate::route;

/// A message that somebody wonders about.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = GateQuestion)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its recipient.
    #[schema(example = "+33612345678")]
    pub to: String,
    /// Its sender; none for no sender.
    pub from: Option<String>,
    /// Its text.
    pub text: Option<String>,
    /// The account that would send it; none for the API.
    pub account: Option<AccountId>,
    /// What it would be for; transactional when not given.
    pub intent: Option<Intent>,
    /// When it would be sent; now when not given.
    pub at: Option<Timestamp>,
}

/// What the gates would say.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Answer {
    /// `accepted`, `postponed`, `held` or `refused`.
    pub verdict: &'static str,
    /// The same in a sentence.
    pub summary: String,
    /// The error code, for a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The sender that it would have.
    pub sender: String,
    /// The recipient's country, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<&'static str>,
    /// When it would go, for what is postponed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_at: Option<Timestamp>,
    /// The rules that would mark it.
    pub marks: Vec<String>,
    /// Each rule that was looked at, up to the one that decided.
    pub looked_at: Vec<Looked>,
}

/// What the gates would say about a message now.
///
/// # Errors
/// [`types::Code::Forbidden`], [`types::Code::InvalidRecipient`], [`types::Code::InvalidSender`].
pub fn check(scope: &Scope, engine: &Engine, question: &Question) -> Result<Answer> {
    scope.require(Permission::FirewallView)?;
    let recipient = Address::recipient(&question.to)?;
    let nobody = crate::message::submit::default_sender();
    let sender = question.from.as_deref().map_or(Ok(nobody), Address::sender)?;
    let intent = question.intent.unwrap_or_default();
    let parts = question.text.as_deref().map_or(1, |text| {
        u8::try_from(sms::count(text, &sms::analysis::Options::default()).parts).unwrap_or(u8::MAX)
    });
    let ask = Ask {
        tenant: scope.tenant(),
        account: question.account,
        key: None,
        from: None,
        sender: &sender,
        named: question.from.is_some(),
        recipient: &recipient.text,
        intent,
        text: question.text.as_deref(),
        octets: &[],
        parts,
        schedule_at: question.at,
        expires_at: None,
    };
    let route = |sender: &str| {
        let ask = route::Ask {
            text: question.text.as_deref(),
            parts,
            at: question.at,
            ..route::Ask::new(scope.tenant(), question.account, sender, &recipient.text, intent)
        };
        engine.queue().route_of(&ask)
    };
    let (judged, looked_at) = engine.gates().explain(&ask, &route, scope.now());
    let country = Some(recipient.text.as_str()).filter(|digits| digits.len() > 6).and_then(sms::country);
    let mut answer = Answer {
        verdict: "accepted",
        summary: "It would be accepted.".to_owned(),
        code: None,
        sender: sender.to_string(),
        country,
        schedule_at: None,
        marks: Vec::new(),
        looked_at,
    };
    match judged {
        Err(refusal) => {
            answer.verdict = "refused";
            answer.code = Some(refusal.code.as_str());
            answer.summary = format!("It would be refused: {}.", refusal.reason);
        }
        Ok(pass) => {
            if let Some(sender) = &pass.sender {
                answer.sender = sender.to_string();
            }
            if let Some(at) = pass.postponed_to {
                (answer.verdict, answer.schedule_at) = ("postponed", Some(at));
                answer.summary = format!("It would be accepted and go at {}.", at.to_minute());
            }
            if let Some(rule) = &pass.held_by {
                answer.verdict = "held";
                answer.summary = format!("It would be held by the rule {rule:?} until a person releases it.");
            }
            answer.marks = pass.marks;
        }
    }
    Ok(answer)
}
