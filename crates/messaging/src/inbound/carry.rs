//! What follows from decisions about messages from phones, written with them: one statement of each kind for a batch.

use std::collections::BTreeMap;

use db::{Rows, args, sql};
use runtime::job::{self, NewJob};
use serde::Serialize;
use types::event::Change;
use types::{Address, Error, Event, MessageId, OptOutId, Result, TenantId};

use super::decide::{Asked, Decision, Effects, is_phone};
use super::{Desk, job as jobs};
use crate::journal::{After, Batch};
use crate::mail;
use crate::opt_out::{Extent, Noted, OptOut, OptOuts};

/// What a batch's messages from phones leave behind.
#[derive(Default)]
pub(crate) struct Carried {
    jobs: Vec<NewJob>,
    /// By tenant, phone and number: the last word of a batch counts.
    words: BTreeMap<(TenantId, String, String), Said>,
    /// The newest message of each phone.
    conversations: BTreeMap<(TenantId, String), MessageId>,
}

enum Said {
    Out { id: OptOutId, extent: Extent, word: String, message: MessageId },
    In { message: MessageId },
}

/// A message that was stored in this batch.
pub(crate) struct Stored<'a> {
    pub(crate) id: MessageId,
    pub(crate) asked: Asked<'a>,
    pub(crate) recipient: &'a Address,
    /// Its octets in hex, for content that is no text.
    pub(crate) octets: &'a str,
}

/// What a decision is kept as.
#[derive(Serialize)]
struct Kept<'a> {
    i: &'a Decision,
}

/// Decides about a message, and gives what is kept with it and the effects.
pub(crate) fn decide(batch: &Batch, asked: &Asked<'_>) -> Result<Option<(Decision, Effects, String)>> {
    let desk = batch.runtime.kept(|_| Desk::default());
    let Some((decision, effects)) = desk.decide(asked) else { return Ok(None) };
    let kept = serde_json::to_string(&Kept { i: &decision }).map_err(Error::internal)?;
    Ok(Some((decision, effects, kept)))
}

/// The phone's conversation goes on.
pub(crate) fn converse(batch: &mut Batch, tenant: TenantId, phone: &Address, id: MessageId) {
    if is_phone(phone) {
        batch.carried.conversations.insert((tenant, phone.text.clone()), id);
    }
}

/// Notes what follows from a decision; [`write`] writes it.
pub(crate) fn note(
    batch: &mut Batch,
    stored: &Stored<'_>,
    decision: &Decision,
    effects: Effects,
) -> Result<()> {
    let Stored { id, asked, recipient, octets } = stored;
    let (tenant, at) = (asked.tenant, batch.now);
    for url in effects.webhooks {
        let body = jobs::Received {
            kind: "message.received".to_owned(),
            id: *id,
            from: asked.phone.to_string(),
            to: recipient.to_string(),
            text: asked.text.map(str::to_owned),
            octets: asked.text.is_none().then(|| (*octets).to_owned()),
            number: decision.number,
            keyword: decision.keyword.clone(),
            connection: asked.connection,
            received_at: at,
        };
        batch.carried.jobs.push(NewJob::new(tenant, jobs::WEBHOOK, &jobs::Webhook { url, body })?);
    }
    for (mail_to, subject) in effects.mails {
        let received = mail::job::Received {
            mail_to,
            subject,
            id: *id,
            from: asked.phone.to_string(),
            to: recipient.to_string(),
            text: asked.text.unwrap_or(octets).to_owned(),
            received_at: at,
        };
        batch.carried.jobs.push(NewJob::new(tenant, mail::job::KIND, &received)?);
    }
    for reply in effects.replies {
        let answer = jobs::Answer {
            message: *id,
            number: decision.number,
            rule: reply.rule,
            every_minutes: reply.every_minutes,
            to: asked.phone.to_string(),
            from: super::shown_number(asked.number),
            text: reply.text,
        };
        batch.carried.jobs.push(NewJob::new(tenant, jobs::REPLY, &answer)?);
    }
    let key = || (tenant, asked.phone.text.clone(), asked.number.to_owned());
    if let Some(extent) = effects.opts_out {
        let word = asked.text.unwrap_or_default().trim().chars().take(WORD_CHARS_KEPT).collect();
        let said = Said::Out { id: batch.runtime.ids.next(), extent, word, message: *id };
        batch.carried.words.insert(key(), said);
    } else if effects.opts_in {
        batch.carried.words.insert(key(), Said::In { message: *id });
    }
    Ok(())
}

/// Characters of what a phone wrote that the list keeps.
const WORD_CHARS_KEPT: usize = 60;

/// Writes what the batch's messages from phones left behind.
pub(crate) async fn write(batch: &mut Batch) -> Result<()> {
    let Carried { jobs, words, conversations } = std::mem::take(&mut batch.carried);
    if !jobs.is_empty() {
        let (runtime, now) = (batch.runtime.clone(), batch.now);
        job::enqueue_all(&mut batch.tx, &runtime, jobs, now).await?;
        batch.after.push(After::JobsWaiting);
    }
    if !words.is_empty() {
        write_words(batch, words).await?;
    }
    if conversations.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new();
    for ((tenant, phone), id) in conversations {
        rows.push([tenant.into(), phone.into(), id.into()]);
    }
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into conversation (tenant_id, phone, last_id, read_id) select r.tenant, r.phone, r.id, 0 \
                 from rows(tenant bigint, phone text, id bigint) r where true \
                 on conflict (tenant_id, phone) do update set last_id = excluded.last_id"
            ),
            args![],
            rows,
        )
        .await?;
    Ok(())
}

async fn write_words(batch: &mut Batch, words: BTreeMap<(TenantId, String, String), Said>) -> Result<()> {
    let known = batch.runtime.kept(|_| OptOuts::default());
    let (mut out, mut back, mut noted) = (Rows::new(), Rows::new(), Vec::new());
    for ((tenant, phone, number), said) in words {
        match said {
            Said::Out { id, extent, word, message } => {
                let entry = OptOut {
                    id,
                    phone: format!("+{phone}"),
                    scope: extent,
                    number: Some(super::shown_number(&number)),
                    word: Some(word.clone()),
                    source: PHONE.to_owned(),
                    message: Some(message),
                    at: batch.now,
                };
                batch.event(tenant, Event::OptOutAdded(crate::opt_out::audited(&entry, None, Some(&entry))?));
                out.push([
                    id.into(),
                    tenant.into(),
                    (&phone).into(),
                    db::Arg::word(extent.as_str()),
                    (&number).into(),
                    word.into(),
                    message.into(),
                ]);
                noted.push(Noted::Out { tenant, id, phone, extent, number });
            }
            Said::In { message } => {
                // Whoever had opted out of nothing says nothing new; the row may be of this moment all the same.
                if known.has(tenant, &phone, &number) {
                    let name = format!("+{phone}");
                    let change = Change { id: message.to_string(), name, before: None, after: None };
                    batch.event(tenant, Event::OptOutRemoved(change));
                }
                back.push([tenant.into(), (&phone).into(), (&number).into()]);
                noted.push(Noted::In { tenant, phone, number });
            }
        }
    }
    if !out.is_empty() {
        insert(batch, out).await?;
    }
    if !back.is_empty() {
        batch
            .tx
            .leave_rows(
                sql!(
                    "delete from opt_out where (tenant_id, phone, number) in \
                     (select r.tenant, r.phone, r.number from rows(tenant bigint, phone text, number text) r)"
                ),
                args![],
                back,
            )
            .await?;
    }
    batch.after.push(After::OptedOut(noted));
    Ok(())
}

/// Where entries come from that phones made themselves.
const PHONE: &str = "phone";

async fn insert(batch: &mut Batch, rows: Rows) -> Result<()> {
    let now = batch.now;
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into opt_out (id, tenant_id, phone, scope, number, word, source, message_id, at) \
                 select r.id, r.tenant, r.phone, r.extent, r.number, r.word, 'phone', r.message, $1 \
                 from rows(id bigint, tenant bigint, phone text, extent text, number text, word text, message bigint) r \
                 where true on conflict (tenant_id, phone, scope, number) do update set id = excluded.id, \
                 word = excluded.word, source = excluded.source, message_id = excluded.message_id, at = excluded.at"
            ),
            args![now],
            rows,
        )
        .await?;
    Ok(())
}
