//! The chain: each row's canonical form holds the hash of the row before, so that no row can be changed, taken out, put in
//! or moved without all that follow.
//!
//! The canonical form is the compact JSON text of [`Row`], its fields in this order, the event's data octet for octet as
//! it is stored. A row's hash is the SHA-256 of that text in lower-case hexadecimal digits. In an export a row is the line
//! `{"row":TEXT,"hash":"HASH"}`, so whoever verifies needs a SHA-256 and nothing of ours.

use db::{Arg, Tx, args, record, sql};
use runtime::secrets::sha256_hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use types::event::Recorded;
use types::{Error, Result, TenantId, Timestamp};

/// What stands in place of the hash before the first row.
pub(super) const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Letters of a row that a search looks through.
const FOLDED_CHARS_MAX: usize = 4_000;

/// The canonical form of a row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) tenant: TenantId,
    pub(super) number: i64,
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    pub(super) actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    pub(super) data: Box<RawValue>,
    pub(super) previous: String,
}

/// What a verifier reads of a row's text; the rest is held by the hash.
#[derive(Debug, Deserialize)]
pub(super) struct Bound {
    pub(super) tenant: String,
    pub(super) number: i64,
    pub(super) previous: String,
}

/// A row, its hash, and what a search looks through.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) row: Row,
    pub(super) hash: String,
    pub(super) folded: String,
}

impl Row {
    /// The text that is hashed.
    pub(super) fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }

    /// What a search looks through: who, what, and every value of the data, in lower case.
    pub(super) fn folded(&self) -> String {
        let mut words = vec![self.kind.clone(), self.actor.clone()];
        words.extend(self.from.clone());
        if let Ok(data) = serde_json::from_str(self.data.get()) {
            gather(&data, &mut words);
        }
        words.join(" ").to_lowercase().chars().take(FOLDED_CHARS_MAX).collect()
    }
}

/// The values of some data, in its order.
fn gather(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => words.push(text.clone()),
        Value::Number(number) => words.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| gather(value, words)),
        Value::Object(fields) => fields.values().for_each(|value| gather(value, words)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Binds events to the row before them.
pub(super) fn link(tenant: TenantId, number: i64, hash: &str, events: Vec<Recorded>) -> Result<Vec<Linked>> {
    let mut linked: Vec<Linked> = Vec::with_capacity(events.len());
    for (recorded, number) in events.into_iter().zip(number + 1..) {
        let Recorded { seq, at, actor, request_id, from, event } = recorded;
        let mut value = serde_json::to_value(&event).map_err(Error::internal)?;
        let data = value["data"].take();
        let subject = ["id", "who", "what"].iter().find_map(|name| data[name].as_str()).map(str::to_owned);
        let previous = linked.last().map_or(hash, |before| before.hash.as_str()).to_owned();
        let data = serde_json::value::to_raw_value(&data).map_err(Error::internal)?;
        let kind = event.kind().to_owned();
        let row = Row { tenant, number, seq, at, actor, request_id, from, kind, subject, data, previous };
        let (hash, folded) = (sha256_hex(row.text()?), row.folded());
        linked.push(Linked { row, hash, folded });
    }
    Ok(linked)
}

/// Inserts rows; their place in the stream is moved in the same transaction.
pub(super) async fn insert(tx: &mut Tx, rows: &[Linked]) -> Result<()> {
    let mut batch = db::Rows::with_capacity(rows.len(), 13);
    for Linked { row, hash, folded } in rows {
        batch.push([
            row.tenant.into(),
            row.number.into(),
            row.seq.into(),
            row.at.into(),
            (&row.actor).into(),
            row.request_id.clone().into(),
            row.from.clone().into(),
            (&row.kind).into(),
            row.subject.clone().into(),
            row.data.get().into(),
            folded.into(),
            (&row.previous).into(),
            Arg::from(hash),
        ]);
    }
    tx.execute_rows(
        sql!(
            "insert into audit_row (tenant_id, number, seq, at, actor, request_id, from_address, kind, subject, data, folded, \
             previous, hash) select r.tenant, r.number, r.seq, r.at, r.actor, r.request, r.from_address, r.kind, r.subject, \
             r.data, r.folded, r.previous, r.hash from rows(tenant bigint, number bigint, seq bigint, at bigint, actor text, \
             request text, from_address text, kind text, subject text, data text, folded text, previous text, hash text) r"
        ),
        args![],
        batch,
    )
    .await?;
    Ok(())
}

record! {
    /// A row as it lies in the table.
    pub(super) struct Stored {
        number: i64,
        seq: i64,
        at: Timestamp,
        actor: String,
        request_id: Option<String>,
        from_address: Option<String>,
        kind: String,
        subject: Option<String>,
        data: String,
        folded: String,
        previous: String,
        hash: String,
    }
}

impl Stored {
    /// The row as the columns have it, with the hash beside it. Data that is no JSON is taken for a text, so that its row is
    /// the one that does not fit.
    pub(super) fn linked(self, tenant: TenantId) -> Result<Linked> {
        let data = match RawValue::from_string(self.data) {
            Ok(data) => data,
            Err(error) => serde_json::value::to_raw_value(&error.to_string()).map_err(Error::internal)?,
        };
        let row = Row {
            tenant,
            number: self.number,
            seq: self.seq,
            at: self.at,
            actor: self.actor,
            request_id: self.request_id,
            from: self.from_address,
            kind: self.kind,
            subject: self.subject,
            data,
            previous: self.previous,
        };
        Ok(Linked { row, hash: self.hash, folded: self.folded })
    }
}

/// A tenant's rows from a number on, in their order.
pub(super) async fn read(tx: &mut Tx, tenant: TenantId, from: i64, limit: i64) -> Result<Vec<Linked>> {
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select number, seq, at, actor, request_id, from_address, kind, subject, data, folded, previous, hash \
                 from audit_row where tenant_id = $1 and number >= $2 order by number limit $3"
            ),
            args![tenant, from, limit],
        )
        .await?;
    rows.into_iter().map(|row| row.linked(tenant)).collect()
}

record! {
    /// How far a tenant's trail is.
    #[derive(Debug, Clone)]
    pub(super) struct Chain {
        pub(super) event_seq: i64,
        pub(super) number: i64,
        pub(super) hash: String,
        pub(super) first: i64,
        pub(super) checkpoint: i64,
        pub(super) checkpoint_number: i64,
        pub(super) checkpoint_at: Timestamp,
        pub(super) public_key: String,
        pub(super) signing_key_sealed: String,
    }
}

/// How far a tenant's trail is; nothing before its first row.
pub(super) async fn standing(tx: &mut Tx, tenant: TenantId) -> Result<Option<Chain>> {
    Ok(tx
        .optional(
            sql!(
                "select event_seq, number, hash, first, checkpoint, checkpoint_number, checkpoint_at, public_key, signing_key_sealed \
                 from audit_chain where tenant_id = $1"
            ),
            args![tenant],
        )
        .await?)
}
