//! What went over the wire, for connections that keep that.

use db::{Arg, Rows, args, sql};
use types::{MessageId, Result, TenantId};

use super::{Answered, Batch, CarrierReceipt, hex};
use crate::message::Outgoing;

/// How a part left, as far as its connection keeps that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The PDU, under the sequence number 0.
    pub octets: std::sync::Arc<[u8]>,
    /// On which session it left, and how long its answer took; absent where nobody knows.
    pub way: Option<connectors::Way>,
}

/// A row of what is kept.
pub(crate) struct KeptRow {
    tenant: TenantId,
    message: MessageId,
    part: u8,
    kind: &'static str,
    way: Option<connectors::Way>,
    content: String,
}

/// Notes how a part left.
pub(super) fn submitted(batch: &mut Batch, answered: &Answered) {
    let Some(kept) = &answered.kept else { return };
    batch.kept.push(KeptRow {
        tenant: answered.message.tenant,
        message: answered.message.id,
        part: answered.part,
        kind: "submit",
        way: kept.way,
        content: hex(&kept.octets),
    });
}

/// Notes a receipt as the carrier wrote it.
pub(super) fn receipted(batch: &mut Batch, message: MessageId, part: u8, receipt: &CarrierReceipt) {
    let Some(text) = &receipt.raw else { return };
    let (tenant, content) = (receipt.tenant, text.clone());
    batch.kept.push(KeptRow { tenant, message, part, kind: "receipt", way: None, content });
}

/// As [`receipted`], of a message in memory. A receipt repeats the beginning of the text, so that of a confidential one is
/// not kept.
pub(super) fn receipted_sent(batch: &mut Batch, message: &Outgoing, receipt: &CarrierReceipt) {
    if !message.is_confidential() {
        receipted(batch, message.id, 1, receipt);
    }
}

/// Writes what was noted.
pub(super) async fn write(batch: &mut Batch) -> Result<()> {
    if batch.kept.is_empty() {
        return Ok(());
    }
    let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    let rows: Rows = std::mem::take(&mut batch.kept)
        .into_iter()
        .map(|row| {
            let id = batch.runtime.ids.next::<types::kind::Job>();
            [
                id.into(),
                row.tenant.into(),
                row.message.into(),
                row.part.into(),
                Arg::word(row.kind),
                row.way.map(|way| signed(way.bind)).into(),
                row.way.map(|way| signed(way.took_us)).into(),
                row.content.into(),
            ]
        })
        .collect();
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into pdu (id, tenant_id, message_id, part, at, kind, bind, took_us, content) \
                 select r.id, r.tenant, r.message, r.part, $1, r.kind, r.bind, r.took, r.content \
                 from rows(id bigint, tenant bigint, message bigint, part bigint, kind text, bind bigint, took bigint, \
                 content text) r"
            ),
            args![batch.now],
            rows,
        )
        .await?;
    Ok(())
}
