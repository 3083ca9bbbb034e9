//! Pushes as the table holds them.

use db::{Tenancy, args, record, sql};
use runtime::Runtime;
use types::{AccountId, MessageId, Result, TenantId, Timestamp};

use super::{Push, PushKind};
use crate::journal::By;
use crate::message::{State, address_of};

record! {
    struct Row {
        id: i64, tenant_id: TenantId, message_id: MessageId, kind: String, state: String, error: Option<String>,
        at: Timestamp, expires_at: Timestamp, sender: String, sender_kind: i64, recipient: String, recipient_kind: i64,
        text: Option<String>, octets: Option<String>, data_coding: u8, accepted_at: Timestamp,
    }
}

/// An account's pushes above an id, in the order of the ids.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn page(
    runtime: &Runtime,
    account: AccountId,
    after: i64,
    rows: usize,
) -> Result<Vec<Push>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let found: Vec<Row> = tx
        .all(
            sql!(
                "select p.id, p.tenant_id, p.message_id, p.kind, p.state, p.error, p.at, p.expires_at, m.sender, \
                 m.sender_kind, m.recipient, m.recipient_kind, case when p.kind = 'message' then m.text end as text, \
                 case when p.kind = 'message' then m.octets end as octets, m.data_coding, m.accepted_at \
                 from push p join message m on m.id = p.message_id and m.tenant_id = p.tenant_id \
                 where p.account_id = $1 and p.id > $2 order by p.id limit $3 /* every tenant: an account has one */"
            ),
            args![account, after, i64::try_from(rows).unwrap_or(i64::MAX)],
        )
        .await?;
    Ok(found.into_iter().map(|row| row.push(account)).collect())
}

impl Row {
    fn push(self, account: AccountId) -> Push {
        let message_sender = address_of(self.sender, self.sender_kind);
        let message_recipient = address_of(self.recipient, self.recipient_kind);
        let (kind, sender, recipient) = if self.kind == "message" {
            let body = body(self.text.as_deref(), self.octets.as_deref(), self.data_coding);
            (PushKind::Message { data_coding: self.data_coding, body }, message_sender, message_recipient)
        } else if self.kind == "notice" {
            let state = sms::MessageState::from_text(&self.state).unwrap_or(sms::MessageState::Unknown);
            (PushKind::Notice { state, error: self.error }, message_recipient, message_sender)
        } else if self.kind == "ack" {
            let (by, words) = (By::named(&self.state), self.error.unwrap_or_default());
            (PushKind::Ack { by, words }, message_recipient, message_sender)
        } else {
            // Only a newer version could have written a state that is not known here; its receipt says so.
            let state = State::named(&self.state).unwrap_or(State::Indeterminate);
            (PushKind::Receipt { state, error: self.error }, message_recipient, message_sender)
        };
        Push {
            id: self.id,
            tenant: self.tenant_id,
            account,
            message: self.message_id,
            kind,
            sender,
            recipient,
            accepted_at: self.accepted_at,
            at: self.at,
            expires_at: self.expires_at,
        }
    }
}

/// A message's octets: as they came, or its text in its coding.
fn body(text: Option<&str>, octets: Option<&str>, data_coding: u8) -> Vec<u8> {
    match octets {
        Some(octets) => sms::Encoding::Binary.encode(octets).unwrap_or_default(),
        None => sms::Encoding::from_data_coding(data_coding, sms::Encoding::GSM7)
            .encode_lossy(text.unwrap_or_default()),
    }
}
