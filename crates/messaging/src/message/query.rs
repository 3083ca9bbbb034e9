//! Looking at messages: lists, one, its timeline, its why, and the sums.

use db::{args, record, sql};
use runtime::personal::Sight;
use runtime::{Scope, sighting};
use serde::{Deserialize, Serialize};
use types::{
    AccountId, ConnectionId, Error, MessageId, Page, PauseId, Permission, Reach, Result, RouteId, Timestamp,
    UserId,
};

use super::{find, own};
use crate::fault::{Fault, Reason};
use crate::gate;
use crate::intent::Intent;
use crate::message::{Options, Outgoing, State, Why, address_of};
use crate::recover::MessageRecord;
use crate::route::Looked;

/// A message, as its sender sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// `out` to a phone, `in` from one.
    pub direction: String,
    /// Where it stands.
    pub state: State,
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// What it says; absent for binary content, and where it is for its recipient alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// SMPP data_coding.
    pub data_coding: u8,
    /// Parts on the wire.
    pub parts: u8,
    /// What it is for.
    pub intent: Intent,
    /// The SMPP account it came from, or went to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The person who sent it, themselves or by a key or an application of theirs. Absent for what systems submit over SMPP,
    /// UCP and mail, for what is sent by itself, and for what phones write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// The connection it goes, or came, through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Your own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<String>,
    /// How often it was handed over.
    pub attempts: u32,
    /// Whether it may have reached a carrier more than once.
    pub maybe_twice: bool,
    /// The last reason, where something went wrong; a carrier's in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What that reason means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultTold>,
    /// The firewall rule that holds it for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// The pause that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<PauseId>,
    /// The message that failed and that this one was sent for again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redrive_of: Option<MessageId>,
    /// Whether a test key sent it, so that it went to the simulator alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Whether what it says is for its recipient alone, such as a code to sign in: it is shown to nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub confidential: bool,
    /// The firewall rules that marked it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// When it was accepted, or came in.
    pub accepted_at: Timestamp,
    /// When it is worth nothing any more.
    pub expires_at: Timestamp,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

/// What a carrier's reason means, in words that are the same for every carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FaultTold {
    /// Its name.
    pub code: Fault,
    /// Its number, 1 to 99.
    pub number: u16,
    /// What it means, and what the connection's error table adds.
    pub text: String,
}

impl FaultTold {
    /// The carrier's own words of a reason that is kept, and what they mean.
    pub(crate) fn split(kept: &str) -> (String, Option<Self>) {
        let reason = Reason::read(kept);
        let told = reason.meaning().map(|fault| Self {
            code: fault,
            number: fault.number(),
            text: match reason.text {
                "" => fault.text().to_owned(),
                more => format!("{}: {more}", fault.text()),
            },
        });
        (reason.raw.to_owned(), told)
    }
}

impl Message {
    /// As somebody may see it.
    pub(crate) fn of(record: MessageRecord, sight: Sight) -> Self {
        let reason = record.error.as_deref().map(FaultTold::split);
        let (error, fault) = reason.map_or((None, None), |(raw, told)| (Some(raw), told));
        // What no version has written is nothing that a list of messages should fail for.
        let options = record.options.as_deref().filter(|text| {
            ["\"held\"", "\"marks\"", "\"redrive_of\"", "\"test\"", "\"sealed\""]
                .iter()
                .any(|member| text.contains(member))
        });
        let options: Options = options.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let confidential = options.sealed.is_some();
        Self {
            confidential,
            held_by: options.held.map(|held| held.by),
            marks: options.marks,
            test: options.test,
            redrive_of: options.redrive_of,
            paused_by: record.paused_by.filter(|_| record.state == State::Queued.as_str()),
            id: record.id,
            state: State::named(&record.state).unwrap_or(State::Indeterminate),
            from: sight.identifier(address_of(record.sender, record.sender_kind).to_string()),
            to: sight.identifier(address_of(record.recipient, record.recipient_kind).to_string()),
            text: record.text.filter(|_| !confidential).map(|text| sight.text(text)),
            data_coding: record.data_coding,
            parts: record.parts,
            intent: Intent::named(&record.intent).unwrap_or_default(),
            account: record.account_id,
            owner: record.owner_id,
            connection: record.connection_id,
            client_ref: record.client_ref,
            attempts: record.attempts,
            maybe_twice: record.maybe_twice,
            error: error.map(|error| sight.words(error)),
            fault,
            accepted_at: record.accepted_at,
            expires_at: record.expires_at,
            done_at: record.done_at,
            direction: record.direction,
        }
    }
}

/// Which messages.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageFilter {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
    /// `out` or `in`.
    pub direction: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only to this recipient.
    pub to: Option<String>,
    /// Only from this sender.
    pub from: Option<String>,
    /// Only of this SMPP account.
    pub account: Option<AccountId>,
    /// Only through this connection.
    pub connection: Option<ConnectionId>,
    /// Only with your own reference.
    pub client_ref: Option<String>,
    /// Only what this person has sent, themselves or by a key or an application of theirs.
    pub owner: Option<UserId>,
}

impl MessageFilter {
    fn paging(&self) -> web::Paging {
        web::Paging { after: self.after.clone(), limit: self.limit.clone() }
    }

    pub(super) fn state(&self) -> Result<Option<&'static str>> {
        let Some(name) = self.state.as_deref() else { return Ok(None) };
        State::named(name).map(|state| Some(state.as_str())).ok_or_else(|| {
            let known: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
            Error::new(
                types::Code::InvalidFilter,
                format!("{name:?} is no state; they are {}", known.join(", ")),
            )
            .at("state")
        })
    }
}

/// Messages, newest first: those of everybody, or of the people whose whoever asks may see.
///
/// # Errors
/// A filter or cursor that is none.
pub async fn list(scope: &Scope, filter: &MessageFilter) -> Result<Page<Message>> {
    scope.require(Permission::MessageView)?;
    let paging = filter.paging();
    let limit = paging.limit()?;
    let before = paging.behind(i64::MAX)?;
    let rows = find::newest(scope, filter, before, limit as i64 + 1).await?;
    // A page of the console that follows what happens reads its first rows over and over.
    if filter.after.is_some() || scope.seat().is_none() {
        sighting::read(scope, "messages", rows.len());
    }
    let sight = Sight::of(scope);
    Ok(Page::from_overfull(rows, limit, |row| row.id.raw()).map(|row| Message::of(row, sight)))
}

/// The row of a message that whoever asks may see; another one is as if it were not there.
pub(crate) async fn record(scope: &Scope, id: MessageId) -> Result<MessageRecord> {
    scope.require(Permission::MessageView)?;
    let mut tx = scope.read().await?;
    let found: Option<MessageRecord> = tx
        .optional(sql!("select * from message where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    found
        .filter(|record| scope.held().allows(Permission::MessageView, record.owner_id))
        .ok_or_else(|| Error::not_found("message"))
}

/// Whether somebody sees everybody's messages, and those of nobody.
pub(crate) fn sees_all(scope: &Scope) -> bool {
    scope.held().reach(Permission::MessageView) == Some(Reach::All)
}

/// One message.
///
/// # Errors
/// [`types::Code::NotFound`].
pub async fn get(scope: &Scope, id: MessageId) -> Result<Message> {
    Ok(Message::of(record(scope, id).await?, Sight::of(scope)))
}

/// Why a message went where it went.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Reasons {
    /// The rule that decided when it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteId>,
    /// Where it led then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What each rule said then, in the order in which they were asked, up to the one that decided. None for those who see
    /// some people's messages alone and may not see routes.
    pub then: Vec<Looked>,
    /// What each rule would say now; none for the same.
    pub now: Vec<Looked>,
    /// What its text reads like; absent without a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<crate::route::traffic::Detected>,
    /// The recipient's network, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<crate::lookup::Network>,
    /// For a message from a phone: the number whose rules were asked, the keyword and what was done. Absent where its
    /// number is not registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound: Option<crate::inbound::decide::Decision>,
    /// What each gate says of it, under the rules of now and at the time of its acceptance. None for a message
    /// from a phone, and for those who may not see firewall rules.
    pub gates: Vec<gate::Looked>,
    /// The pause that it waits for, while it does: of what, by whom, since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<crate::pause::Pause>,
    /// What its intent means for it.
    pub intent: String,
    /// Why it was not delivered, as the carrier said it and as it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What that means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultTold>,
}

/// What is kept with a message from a phone.
#[derive(Deserialize)]
struct KeptInbound {
    i: Option<crate::inbound::decide::Decision>,
}

/// What each gate says of a message that was accepted. Nothing is counted.
fn gates(engine: &crate::Engine, message: &Outgoing, at: Timestamp) -> Vec<gate::Looked> {
    let way = crate::route::Ask { at: Some(at), ..crate::route::Ask::of(message) };
    let ask = gate::Ask::of(&way, &message.sender);
    let route = |_: &str| engine.queue().route_of(&way);
    engine.gates().explain(&ask, &route, at).1
}

/// Why a message went where it went: what was decided when it was accepted, and what each rule would say now.
///
/// # Errors
/// [`types::Code::NotFound`].
pub async fn why(scope: &Scope, engine: &crate::Engine, id: MessageId) -> Result<Reasons> {
    let record = record(scope, id).await?;
    let kept: Option<Why> =
        record.why.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
    let inbound = record.why.as_deref().filter(|_| record.direction == "in");
    let inbound: Option<KeptInbound> =
        inbound.map(serde_json::from_str).transpose().map_err(Error::internal)?;
    let paused = match record.paused_by.filter(|_| record.state == State::Queued.as_str()) {
        Some(pause) => crate::pause::kept_by(scope, pause).await?,
        None => None,
    };
    let message = record.outgoing()?;
    let intent = message.intent;
    let routes = engine.queue().routes();
    let (now, then) = {
        let ask = crate::route::Ask::of(&message);
        let now = engine.queue().explain(&routes, &ask);
        let then = crate::route::Ask { at: Some(record.accepted_at), ..crate::route::Ask::of(&message) };
        (now, kept.as_ref().map_or_else(Vec::new, |why| routes.tell(&then, why.rules.clone())))
    };
    let reason = record.error.as_deref().map(FaultTold::split);
    let (error, fault) = reason.map_or((None, None), |(raw, told)| (Some(raw), told));
    let again = if intent.resends() {
        "it is sent again when no answer came, and marked then"
    } else {
        "it is never sent again when it may have left"
    };
    let sight = Sight::of(scope);
    let routes_seen = sees_all(scope) || scope.permissions().contains(Permission::RouteView);
    let seen = |one: Looked| Looked { why: sight.words(one.why), ..one };
    Ok(Reasons {
        route: kept.as_ref().and_then(|why| why.rules.last()).map(|rule| rule.route),
        connection: kept.as_ref().and_then(|why| why.connection),
        then: then.into_iter().filter(|_| routes_seen).map(seen).collect(),
        now: now.looked_at.into_iter().filter(|_| routes_seen).map(seen).collect(),
        traffic: now.traffic,
        network: now.network,
        inbound: inbound.and_then(|kept| kept.i),
        gates: match scope.permissions().contains(Permission::FirewallView) && record.direction == "out" {
            true => gates(engine, &message, record.accepted_at)
                .into_iter()
                .map(|one| gate::Looked { why: sight.words(one.why), ..one })
                .collect(),
            false => Vec::new(),
        },
        paused,
        intent: format!("{}: {again}", intent.as_str()),
        error: error.map(|error| sight.words(error)),
        fault,
    })
}

record! {
    /// How many messages are in a state.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct StateCount {
        /// The state.
        pub name: String,
        /// How many.
        pub n: i64,
    }
}

/// The accounting identity: what was accepted, and where all of it stands. The books are the tenant's: who sees the messages
/// of some people alone is told where those stand.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Sums {
    /// Messages accepted, counted as they were; for whoever sees everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<i64>,
    /// Messages in each state now.
    pub states: Vec<StateCount>,
    /// Messages that ended so long ago that they are kept no more; for whoever sees everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<i64>,
    /// Whether the states' sum, with what was forgotten, is what was accepted; for whoever sees everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balanced: Option<bool>,
}

record! { struct Total { n: i64 } }

/// The sums of a tenant's outgoing messages, counted row by row and held against what was accepted.
///
/// # Errors
/// When the database does not answer.
pub async fn sums(scope: &Scope) -> Result<Sums> {
    scope.require(Permission::MessageView)?;
    if !sees_all(scope) {
        let states = own::states(scope).await?;
        return Ok(Sums { accepted: None, forgotten: None, balanced: None, states });
    }
    let mut tx = scope.read().await?;
    let states: Vec<StateCount> = tx
        .all(
            sql!(
                "select state as name, count(*) as n from message where tenant_id = $1 and direction = 'out' group by state order by state"
            ),
            args![scope.tenant()],
        )
        .await?;
    let accepted: Total = tx
        .one(
            sql!(
                "select cast(coalesce(sum(n), 0) as bigint) as n from tally where tenant_id = $1 and bucket > 0 and name = 'accepted'"
            ),
            args![scope.tenant()],
        )
        .await?;
    let forgotten: Total = tx
        .one(
            sql!(
                "select cast(coalesce(sum(n), 0) as bigint) as n from tally where tenant_id = $1 and bucket > 0 and name = 'forgotten'"
            ),
            args![scope.tenant()],
        )
        .await?;
    let total: i64 = states.iter().map(|state| state.n).sum();
    let balanced = accepted.n == total + forgotten.n;
    let (accepted, forgotten) = (Some(accepted.n), Some(forgotten.n));
    Ok(Sums { accepted, forgotten, balanced: Some(balanced), states })
}

/// How many messages are in each state now, those from phones too, by the sums that are kept with each change: quick
/// however many messages there are. Of some people's alone the newest are counted.
///
/// # Errors
/// When the database does not answer.
pub async fn states_now(scope: &Scope) -> Result<Vec<StateCount>> {
    scope.require(Permission::MessageView)?;
    if !sees_all(scope) {
        return own::states(scope).await;
    }
    let mut tx = scope.read().await?;
    Ok(tx
        .all(
            sql!("select name, n from tally where tenant_id = $1 and bucket = 0 and n > 0 order by name limit 100"),
            args![scope.tenant()],
        )
        .await?)
}

record! {
    /// What happened in one minute.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Flow {
        /// The minute's beginning.
        pub bucket: Timestamp,
        /// What: `accepted`, `sent`, `delivered` …
        pub name: String,
        /// How often.
        pub n: i64,
    }
}

/// What happened in each minute since an instant, oldest first. Of some people's messages alone: to those accepted since then.
///
/// # Errors
/// When the database does not answer.
pub async fn flow_since(scope: &Scope, since: Timestamp) -> Result<Vec<Flow>> {
    scope.require(Permission::MessageView)?;
    if !sees_all(scope) {
        return own::flow_since(scope, since).await;
    }
    let mut tx = scope.read().await?;
    Ok(tx
        .all(
            sql!("select bucket, name, n from tally where tenant_id = $1 and bucket >= $2 and bucket > 0 order by bucket, name limit 20000"),
            args![scope.tenant(), since],
        )
        .await?)
}
