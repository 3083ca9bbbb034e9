//! From the table back into memory: one message when its time comes, all of them after a start.

use db::{Arg, Tenancy, args, record, sql};
use runtime::Runtime;
use types::{AccountId, ConnectionId, Error, MessageId, PauseId, Result, TenantId, Timestamp, UserId};

use crate::Intent;
use crate::journal::{Ending, Standing, Wake, unhex};
use crate::message::{Options, Outgoing, PartSet, State, address_of};

record! {
    /// A message's row.
    #[derive(Debug, Clone)]
    pub struct MessageRecord {
        /// Its id.
        pub id: MessageId,
        /// Whose.
        pub tenant_id: TenantId,
        /// `out` or `in`.
        pub direction: String,
        /// Where it stands.
        pub state: String,
        /// The account it came from, or went to.
        pub account_id: Option<AccountId>,
        /// The connection it was routed to, or came from.
        pub connection_id: Option<ConnectionId>,
        /// Who sends.
        pub sender: String,
        /// TON × 256 + NPI.
        pub sender_kind: i64,
        /// Who receives.
        pub recipient: String,
        /// TON × 256 + NPI.
        pub recipient_kind: i64,
        /// Its text, for people.
        pub text: Option<String>,
        /// Its octets in hex, where the text does not give them back.
        pub octets: Option<String>,
        /// How the octets are to be read.
        pub data_coding: u8,
        /// How many parts were counted.
        pub parts: u8,
        /// What it is for.
        pub intent: String,
        /// Which receipts its sender wants.
        pub registered: u8,
        /// Its sender's own reference.
        pub client_ref: Option<String>,
        /// What is seldom asked for.
        pub options: Option<String>,
        /// How its route was chosen.
        pub why: Option<String>,
        /// How often it was handed over.
        pub attempts: u32,
        /// Whether it may have reached a carrier more than once.
        pub maybe_twice: bool,
        /// The last reason.
        pub error: Option<String>,
        /// When it was accepted.
        pub accepted_at: Timestamp,
        /// When it is worth nothing any more.
        pub expires_at: Timestamp,
        /// When it last changed.
        pub updated_at: Timestamp,
        /// When it came to its end.
        pub done_at: Option<Timestamp>,
        /// When something must be done about it next.
        pub wake_at: Option<Timestamp>,
        /// The pause that it waits for.
        pub paused_by: Option<PauseId>,
        /// The person who has sent it.
        pub owner_id: Option<UserId>,
    }
}

impl MessageRecord {
    pub(crate) fn options(&self) -> Result<Option<Options>> {
        self.options.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)
    }

    /// The message as the engine holds it.
    ///
    /// # Errors
    /// When the row holds what no version has written.
    pub fn outgoing(&self) -> Result<Outgoing> {
        let options = self.options()?;
        let encoding = sms::Encoding::from_data_coding(self.data_coding, sms::Encoding::GSM7);
        let body = match (&self.octets, &self.text) {
            (Some(octets), _) => unhex(octets),
            (None, Some(text)) => encoding.encode_lossy(text),
            (None, None) => Vec::new(),
        };
        Ok(Outgoing {
            id: self.id,
            tenant: self.tenant_id,
            account: self.account_id,
            sender: address_of(self.sender.clone(), self.sender_kind),
            recipient: address_of(self.recipient.clone(), self.recipient_kind),
            body,
            encoding,
            data_coding: self.data_coding,
            parts: self.parts,
            intent: Intent::named(&self.intent).unwrap_or_default(),
            registered: self.registered,
            validity_chosen: options.as_ref().is_some_and(|options| options.validity_chosen),
            options: options.map(Box::new),
            accepted_at: self.accepted_at,
            expires_at: self.expires_at,
            attempts: self.attempts,
            maybe_twice: self.maybe_twice,
            parts_done: PartSet::default(),
        })
    }

    /// The end of the message.
    pub(crate) fn ending(&self, from: State, to: State, error: Option<String>) -> Result<Ending> {
        Ok(Ending {
            message: self.id,
            tenant: self.tenant_id,
            account: self.account_id,
            from,
            to,
            error,
            attempts: self.attempts,
            maybe_twice: self.maybe_twice,
            registered: self.registered,
            options: self.options()?,
            sender: address_of(self.sender.clone(), self.sender_kind),
            recipient: address_of(self.recipient.clone(), self.recipient_kind),
            accepted_at: self.accepted_at,
            expires_at: self.expires_at,
        })
    }

    /// The message's standing with another next look.
    pub(crate) fn standing(&self, state: State, wake: Wake, error: Option<String>) -> Standing {
        Standing {
            state,
            connection: self.connection_id,
            attempts: self.attempts,
            maybe_twice: self.maybe_twice,
            error,
            wake,
        }
    }
}

record! { struct ClaimRecord { id: i64, messages: String } }

/// After a start: what is claimed and unanswered may have left. What may be sent again is marked and waits for the next
/// look; what may not awaits its receipt. Everything else that waits is looked at at once.
///
/// # Errors
/// When the database does not answer; nothing has happened then.
pub async fn after_start(runtime: &Runtime) -> Result<()> {
    let now = runtime.clock.now();
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    tx.execute(
        sql!(
            "update message set wake_at = $1 where wake_at is not null and wake_at > $1 and state = 'queued' \
             and wake_at > expires_at /* every tenant: the process that held them is gone */"
        ),
        args![now],
    )
    .await?;
    let mut unknown = 0;
    loop {
        let claims: Vec<ClaimRecord> =
            tx.all(sql!("select id, messages from claim order by id limit 100"), args![]).await?;
        if claims.is_empty() {
            break;
        }
        for claim in claims {
            unknown += take_up(&mut tx, runtime, &claim, now).await?;
        }
    }
    tx.commit().await?;
    if unknown > 0 {
        tracing::warn!(
            unknown,
            "messages had left, or were about to, when the process ended; each goes on as its intent says"
        );
    }
    Ok(())
}

/// After a tenant was restored from elsewhere, while this process has nothing of it in memory: the same for its own messages.
///
/// # Errors
/// When the database does not answer; nothing has happened then.
pub async fn after_arrival(runtime: &Runtime, tenant: TenantId) -> Result<()> {
    let now = runtime.clock.now();
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    tx.execute(
        sql!(
            "update message set wake_at = $2 where tenant_id = $1 and wake_at is not null and wake_at > $2 \
             and state = 'queued' and wake_at > expires_at"
        ),
        args![tenant, now],
    )
    .await?;
    loop {
        let claims: Vec<ClaimRecord> = tx
            .all(
                sql!(
                    "select id, messages from claim where connection_id in \
                     (select id from connection where tenant_id = $1) order by id limit 100"
                ),
                args![tenant],
            )
            .await?;
        if claims.is_empty() {
            break;
        }
        for claim in claims {
            take_up(&mut tx, runtime, &claim, now).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn take_up(tx: &mut db::Tx, runtime: &Runtime, claim: &ClaimRecord, now: Timestamp) -> Result<u64> {
    let messages: Vec<i64> = serde_json::from_str(&claim.messages).map_err(Error::internal)?;
    // Each message's id, and an id for what is noted about it.
    let ids: Vec<[i64; 2]> =
        messages.into_iter().map(|id| [id, runtime.ids.next::<types::kind::Job>().raw()]).collect();
    let ids = Arg::json(&ids)?;
    tx.execute(
        sql!(
            "with r as materialized (select cast(value ->> 0 as bigint) as id, cast(value ->> 1 as bigint) as noted from json_rows($1)) \
             insert into attempt (id, tenant_id, message_id, part, connection_id, at, outcome) \
             select r.noted, m.tenant_id, m.id, 0, m.connection_id, $2, \
             'it had left, or was about to, when the process ended' from r join message m on m.id = r.id \
             where m.state = 'queued' \
             /* every tenant: by the ids of a claim */"
        ),
        vec![ids.clone(), now.into()],
    )
    .await?;
    tx.execute(
        sql!(
            "with r as materialized (select cast(value ->> 0 as bigint) as id from json_rows($1)) \
             insert into tally (tenant_id, bucket, name, n) select m.tenant_id, 0, s.name, sum(s.n) from r \
             join message m on m.id = r.id \
             join (select 'queued' as name, -1 as n union all select 'indeterminate', 1) s on true \
             where m.state = 'queued' and m.intent = 'marketing' group by m.tenant_id, s.name \
             on conflict (tenant_id, bucket, name) do update set n = tally.n + excluded.n"
        ),
        vec![ids.clone()],
    )
    .await?;
    let unknown = tx
        .execute(
            sql!(
                "with r as materialized (select cast(value ->> 0 as bigint) as id from json_rows($1)) \
                 update message set state = case when intent = 'marketing' then 'indeterminate' else 'queued' end, \
                 wake_at = case when intent = 'marketing' then expires_at else $2 end, \
                 maybe_twice = true, attempts = attempts + 1, updated_at = $2, \
                 error = 'it had left, or was about to, when the process ended' \
                 from r where message.id = r.id and message.state = 'queued' \
                 /* every tenant: by the ids of a claim */"
            ),
            vec![ids, now.into()],
        )
        .await?;
    tx.execute(sql!("delete from claim where id = $1"), args![claim.id]).await?;
    Ok(unknown)
}
