//! Where a message would go, and why, without sending it.

use runtime::Scope;
use serde::{Deserialize, Serialize};
use sms::Encoding;
use types::{AccountId, Address, Error, Permission, Result, Timestamp};

use super::ask::{Ask, Tlvs};
use super::decide::{Decision, Routes};
use super::rule::TlvMatch;
use super::{draft, of_tenant};
use crate::connection;
use crate::intent::Intent;
use crate::queue::Queue;

/// A message that somebody wonders about.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The account that would send it; none for the API.
    pub account: Option<AccountId>,
    /// Its sender; none for no sender.
    pub from: Option<String>,
    /// Its recipient.
    pub to: String,
    /// What it would be for; transactional when not given.
    pub intent: Option<Intent>,
    /// What it would say; nothing when not given.
    pub text: Option<String>,
    /// Its SMPP service type.
    pub service_type: Option<String>,
    /// Its optional parameters of SMPP.
    #[serde(default)]
    pub tlvs: Vec<TlvMatch>,
    /// When it would go; now when not given.
    pub at: Option<Timestamp>,
    /// Whether the draft is asked instead of the routes in use.
    #[serde(default)]
    pub draft: bool,
}

/// Where a message would go, in ids and in words.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Tried {
    /// The decision and its reasons.
    #[serde(flatten)]
    pub decision: Decision,
    /// The decision in a sentence.
    pub summary: String,
}

/// Optional parameters that one trial may have.
const TLVS_MAX: usize = 50;

/// Where a message would go now, and why. Nothing is sent, and nobody's turn passes.
///
/// # Errors
/// [`types::Code::InvalidRecipient`], [`types::Code::InvalidSender`]; [`types::Code::NotFound`] where the draft is asked
/// and there is none.
pub async fn try_out(scope: &Scope, trial: &Trial, queue: &Queue) -> Result<Tried> {
    scope.require(Permission::RouteTry)?;
    let recipient = Address::recipient(&trial.to)?;
    let sender = trial.from.as_deref().map(Address::sender).transpose()?;
    crate::settings::at_most("tlvs", &trial.tlvs, TLVS_MAX)?;
    let live = queue.routes();
    let mut tx = scope.read().await?;
    let routes = if trial.draft {
        let draft = draft::present(&mut tx, scope.tenant()).await?;
        draft.routes.into_iter().map(|route| route.route(scope.tenant(), scope.now())).collect()
    } else {
        of_tenant(&mut tx, scope.tenant()).await?
    };
    drop(tx);
    let routes = Routes::following(routes, live.world().clone(), &live);
    let text = trial.text.as_deref().unwrap_or_default();
    let count = sms::count(text, &sms::analysis::Options::default());
    let encoding: Encoding = count.encoding;
    let octets = encoding.encode_lossy(text);
    let tlvs: Vec<(u16, String)> =
        trial.tlvs.iter().map(|tlv| (tlv.tag, tlv.hex.clone().unwrap_or_default())).collect();
    let decision = {
        let ask = Ask {
            text: Some(text),
            octets: &octets,
            encoding,
            parts: u8::try_from(count.parts).unwrap_or(u8::MAX).max(1),
            service_type: trial.service_type.as_deref().unwrap_or_default(),
            tlvs: Tlvs::Kept(&tlvs),
            at: trial.at,
            ..Ask::new(
                scope.tenant(),
                trial.account,
                sender.as_ref().map_or("", |sender| sender.text.as_str()),
                &recipient.text,
                trial.intent.unwrap_or_default(),
            )
        };
        queue.explain(&routes, &ask)
    };
    let summary = summary(scope, &decision).await?;
    Ok(Tried { decision, summary })
}

async fn summary(scope: &Scope, decision: &Decision) -> Result<String, Error> {
    Ok(match &decision.chosen {
        None if decision.looked_at.is_empty() => "It would be refused: there are no routes.".to_owned(),
        None => "It would be refused: no route takes it.".to_owned(),
        Some(chosen) => {
            let connections = connection::names(scope).await?;
            let connection = connections.iter().find(|named| named.id == chosen.connection);
            let connection = connection.map_or("a connection that is gone", |named| named.name.as_str());
            let route = decision.looked_at.last().map_or("", |looked| looked.name.as_str());
            match chosen.waits {
                false => format!("It would go through {connection}, by the route {route}."),
                true => format!("It would wait for {connection}, which is down, by the route {route}."),
            }
        }
    })
}
