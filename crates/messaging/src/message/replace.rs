//! Another text, time or validity for a message that has not left.

use db::{Tx, args, sql};
use runtime::Scope;
use runtime::personal::Sight;
use serde::{Deserialize, Serialize};
use smpp::EsmClass;
use types::{Code, Error, MessageId, Permission, Result, Timestamp};

use super::query::{self, Message};
use super::submit::{self, SendMessage, content};
use super::{Options, State, address_of};
use crate::Intent;
use crate::engine::Engine;
use crate::gate;
use crate::recover::MessageRecord;

/// What is to be replaced. What is not named stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Replace {
    /// Another text. Its parts are counted anew.
    pub text: Option<String>,
    /// Another time to send it.
    pub schedule_at: Option<Timestamp>,
    /// For how many seconds from its time it is worth something.
    pub validity_s: Option<u64>,
}

/// Another content, ready to be written.
pub(crate) struct NewContent {
    pub(crate) text: Option<String>,
    pub(crate) octets: Option<String>,
    pub(crate) data_coding: u8,
    pub(crate) parts: u8,
}

/// Replaces text, time or validity of a message that is scheduled or held. One that is queued may be leaving: hold it first.
///
/// # Errors
/// [`Code::NotFound`], [`Code::NotCancellable`]; the refusals of its values and of the gates. Nothing is changed then.
pub async fn replace(scope: &Scope, engine: &Engine, id: MessageId, with: &Replace) -> Result<Message> {
    scope.require(Permission::MessageReplace)?;
    let record = query::record(scope, id).await?;
    scope.require_for(Permission::MessageReplace, record.owner_id)?;
    refuse_started(&record)?;
    if with.text.is_none() && with.schedule_at.is_none() && with.validity_s.is_none() {
        return Err(Error::invalid("text", "name what is to be replaced: text, schedule_at or validity_s"));
    }
    let now = scope.now();
    let new = match &with.text {
        None => None,
        Some(text) => {
            let message = SendMessage { text: Some(text.clone()), ..SendMessage::default() };
            let content = content(engine, &message)?;
            judge(engine, &record, text, None)?;
            Some(NewContent {
                text: content.text,
                octets: content.octets,
                data_coding: content.data_coding,
                parts: content.parts,
            })
        }
    };
    let schedule_at = match with.schedule_at {
        Some(at) => Some(submit::schedule(engine, Some(at), now)?.unwrap_or(now)),
        None => None,
    };
    let from = schedule_at.or(planned(&record)?).unwrap_or(now).max(now);
    let validity = with.validity_s.map(|seconds| submit::expiry(engine, Some(seconds), from)).transpose()?;
    let mut again = Again::of(&record, schedule_at, validity, now)?;
    if new.is_some() {
        // A text has no header of its own; what the binary content had before it goes with that.
        again.options.esm_class = EsmClass(again.options.esm_class).with_udhi(false).0;
    }
    let mut write = scope.write().await?;
    put(&mut write, &record, new, &again, now).await?;
    let again: Option<MessageRecord> = write
        .optional(sql!("select * from message where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    let again = again.ok_or_else(|| Error::not_found("message"))?;
    write.commit(Message::of(again, Sight::of(scope))).await
}

/// When a message was to go; none where it is held and would go at once.
fn planned(record: &MessageRecord) -> Result<Option<Timestamp>> {
    let held = record.options()?.and_then(|options| options.held);
    Ok(held.map_or(record.wake_at, |held| held.not_before))
}

/// When a message goes and ends from now on.
pub(crate) struct Again {
    options: Options,
    wake_at: Timestamp,
    expires_at: Timestamp,
}

impl Again {
    /// Another time, another end, or what is where they are absent. A held message stays held.
    ///
    /// # Errors
    /// [`Code::InvalidValidity`] when it would end before it goes.
    pub(crate) fn of(
        record: &MessageRecord,
        goes_at: Option<Timestamp>,
        validity: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self> {
        let mut options = record.options()?.unwrap_or_default();
        let planned = planned(record)?;
        let goes = goes_at.or(planned).unwrap_or(now);
        let expires_at = validity.unwrap_or(record.expires_at);
        if goes >= expires_at || expires_at <= now {
            let at = if validity.is_some() { "validity_s" } else { "schedule_at" };
            return Err(Error::new(Code::InvalidValidity, "its validity would end before it goes").at(at));
        }
        options.validity_chosen |= validity.is_some();
        let held = options.held.is_some();
        if let Some(held) = &mut options.held {
            held.not_before = goes_at.or(planned);
        }
        Ok(Self { options, wake_at: if held { expires_at } else { goes }, expires_at })
    }
}

/// Refuses a message that is not waiting for its time.
pub(crate) fn refuse_started(record: &MessageRecord) -> Result<()> {
    if record.state == State::Scheduled.as_str() {
        return Ok(());
    }
    let error = Error::new(Code::NotCancellable, format!("the message is {} already", record.state));
    Err(if record.state == State::Queued.as_str() {
        error.hint("hold it first, then replace and release it")
    } else {
        error
    })
}

/// Refuses a text that the gates would not have let through. `from` is where the request came from.
pub(crate) fn judge(
    engine: &Engine,
    record: &MessageRecord,
    text: &str,
    from: Option<std::net::IpAddr>,
) -> Result<()> {
    let ask = gate::Ask {
        tenant: record.tenant_id,
        account: record.account_id,
        key: None,
        from,
        sender: &address_of(record.sender.clone(), record.sender_kind),
        named: true,
        recipient: &record.recipient,
        intent: Intent::named(&record.intent).unwrap_or_default(),
        text: Some(text),
        octets: &[],
        parts: 1,
        schedule_at: record.wake_at,
        expires_at: None,
    };
    let now = engine.runtime().clock.now();
    engine.gates().judge_replacement(&ask, now).map_err(|refusal| refusal.error())
}

/// Writes what is new, if the message still waits and was not changed meanwhile.
pub(crate) async fn put(
    tx: &mut Tx,
    record: &MessageRecord,
    new: Option<NewContent>,
    again: &Again,
    now: Timestamp,
) -> Result<()> {
    let options = &again.options;
    let options = (*options != Options::default()).then(|| serde_json::to_string(options)).transpose();
    let new = new.unwrap_or_else(|| NewContent {
        text: record.text.clone(),
        octets: record.octets.clone(),
        data_coding: record.data_coding,
        parts: record.parts,
    });
    let replaced = tx
        .execute(
            sql!(
                "update message set text = $3, octets = $4, data_coding = $5, parts = $6, options = $7, wake_at = $8, \
                 expires_at = $9, updated_at = $10 where tenant_id = $1 and id = $2 and state = 'scheduled' and updated_at = $11"
            ),
            args![
                record.tenant_id,
                record.id,
                new.text,
                new.octets,
                new.data_coding,
                new.parts,
                options.map_err(Error::internal)?,
                again.wake_at,
                again.expires_at,
                now,
                record.updated_at
            ],
        )
        .await?;
    if replaced == 1 {
        return Ok(());
    }
    Err(Error::new(Code::NotCancellable, "the message has left meanwhile, or was changed"))
}
