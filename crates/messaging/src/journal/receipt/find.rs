//! What a receipt speaks of: by the carrier's id, in the form that its receipts are known to have, or in every form.

use std::collections::HashSet;
use std::sync::Arc;

use db::{args, record, sql};
use types::{AccountId, ConnectionId, MessageId, Result, TenantId, Timestamp};

use super::super::Batch;
use super::super::ids::{self, Ids};
use super::super::rows;
use super::super::sent::{self, Sent};
use super::CarrierReceipt;
use crate::connection::ReceiptIds;
use crate::message::{Outgoing, State};

/// What memory knows.
pub(crate) struct Known<'a> {
    /// Messages that await their receipts.
    pub(crate) sent: &'a Sent,
    /// How each carrier writes ids.
    pub(crate) ids: &'a Ids,
}

struct LookupRow {
    i: usize,
    n: usize,
    c: i64,
    k: String,
}

record! {
    pub(super) struct Match {
        pub(super) idx: i64, pub(super) nth: i64, pub(super) message_id: MessageId, pub(super) part: i64,
        pub(super) attempt: i64, pub(super) tenant_id: TenantId, pub(super) state: String,
        pub(super) account_id: Option<AccountId>, pub(super) connection_id: Option<ConnectionId>, pub(super) parts: i64,
        pub(super) attempts: u32, pub(super) maybe_twice: bool, pub(super) registered: u8, pub(super) sender: String,
        pub(super) sender_kind: i64, pub(super) recipient: String, pub(super) recipient_kind: i64,
        pub(super) options: Option<String>, pub(super) accepted_at: Timestamp, pub(super) expires_at: Timestamp,
        pub(super) done_at: Option<Timestamp>, pub(super) part_done_at: Option<Timestamp>,
        pub(super) sent_at: Timestamp,
    }
}

/// What a receipt speaks of.
pub(super) enum Found {
    /// A message of one part that memory holds, and under which id.
    Sent(Arc<Outgoing>, sent::Key),
    /// A part, with its message.
    Row(Box<Match>),
}

/// One form of a receipt's id with what fits it.
struct Fit {
    form: ReceiptIds,
    key: sent::Key,
    /// In memory.
    sent: Option<Arc<Outgoing>>,
    /// In the table, from the least to the most likely.
    rows: Vec<Match>,
}

impl Fit {
    fn is_any(&self) -> bool {
        self.sent.is_some() || !self.rows.is_empty()
    }

    /// Whether what fits went to this phone.
    fn went_to(&self, phone: &str) -> bool {
        self.sent.as_ref().is_some_and(|message| ids::same_number(&message.recipient.text, phone))
            || self.rows.iter().any(|row| ids::same_number(&row.recipient, phone))
    }
}

/// What the batch's receipts were found to be for.
pub(super) struct Matches {
    /// For each receipt.
    pub(super) found: Vec<Option<Found>>,
    /// Connections of which it became certain, or doubtful, how they write ids: what waits is to be looked at again.
    pub(super) anew: Vec<ConnectionId>,
}

/// Finds what each receipt speaks of.
pub(super) async fn find(
    batch: &mut Batch,
    receipts: &[CarrierReceipt],
    known: &Known<'_>,
) -> Result<Matches> {
    let forms: Vec<Vec<(ReceiptIds, String)>> =
        receipts.iter().map(|receipt| forms_of(receipt, known.ids)).collect();
    let mut fits = fits(batch, receipts, forms, known.sent).await?;
    let mut anew = contradictions(batch, receipts, &mut fits, known).await?;
    for (receipt, fits) in receipts.iter().zip(&mut fits) {
        if receipt.ids != ReceiptIds::Auto {
            continue;
        }
        let certain = known.ids.certain(receipt.connection).is_some();
        unambiguous(receipt, fits, certain);
        let mut those = fits.iter().filter(|fit| fit.is_any());
        if let (Some(one), None) = (those.next(), those.next())
            && ids::tells(&receipt.provider_id)
            && known.ids.fitted(receipt.connection, one.form)
        {
            anew.push(receipt.connection);
        }
    }
    Ok(Matches { found: chosen(receipts, fits), anew })
}

/// The forms that a receipt's id may have: one where it is set or certain, else all.
fn forms_of(receipt: &CarrierReceipt, known: &Ids) -> Vec<(ReceiptIds, String)> {
    let form = match receipt.ids {
        ReceiptIds::Auto => known.certain(receipt.connection),
        set => Some(set),
    };
    form.map_or_else(|| ids::forms(&receipt.provider_id), |form| ids::form(&receipt.provider_id, form))
}

/// Keeps one form of those in which an id fits something: that in which it fits a message to the receipt's own phone. Where
/// several do, or none, the receipt waits until it is certain how the carrier writes ids.
fn unambiguous(receipt: &CarrierReceipt, fits: &mut Vec<Fit>, certain: bool) {
    if certain || fits.iter().filter(|fit| fit.is_any()).count() < 2 {
        return;
    }
    let to_phone: Vec<ReceiptIds> =
        fits.iter().filter(|fit| fit.went_to(&receipt.phone)).map(|fit| fit.form).collect();
    fits.retain(|fit| to_phone == [fit.form]);
}

/// Receipts that fit nothing that went to their phone in the form that is certain, and something that did in another: the
/// carrier has changed its ways. They fit nothing then, and wait.
async fn contradictions(
    batch: &mut Batch,
    receipts: &[CarrierReceipt],
    found: &mut [Vec<Fit>],
    known: &Known<'_>,
) -> Result<Vec<ConnectionId>> {
    let suspect = |at: &usize| {
        let receipt = &receipts[*at];
        receipt.ids == ReceiptIds::Auto
            && !found[*at].iter().any(|fit| fit.went_to(&receipt.phone))
            && known.ids.certain(receipt.connection).is_some()
            && ids::forms(&receipt.provider_id).len() > 1
    };
    let suspects: Vec<usize> = (0..receipts.len()).filter(suspect).collect();
    let mut doubtful = Vec::new();
    if suspects.is_empty() {
        return Ok(doubtful);
    }
    let asked: Vec<CarrierReceipt> = suspects.iter().map(|at| receipts[*at].clone()).collect();
    let forms = asked.iter().map(|receipt| ids::forms(&receipt.provider_id)).collect();
    let fits = fits(batch, &asked, forms, known.sent).await?;
    for ((at, receipt), fits) in suspects.into_iter().zip(&asked).zip(fits) {
        if !fits.iter().any(|fit| fit.went_to(&receipt.phone)) {
            continue;
        }
        found[at].clear();
        if known.ids.contradicted(receipt.connection) {
            doubtful.push(receipt.connection);
        }
    }
    Ok(doubtful)
}

/// What fits each form: in memory, else in the table.
async fn fits(
    batch: &mut Batch,
    receipts: &[CarrierReceipt],
    forms: Vec<Vec<(ReceiptIds, String)>>,
    sent: &Sent,
) -> Result<Vec<Vec<Fit>>> {
    let now = batch.now;
    let mut rows = Vec::new();
    let mut fits: Vec<Vec<Fit>> = Vec::with_capacity(receipts.len());
    for (at, (receipt, forms)) in receipts.iter().zip(forms).enumerate() {
        let mut of_one = Vec::with_capacity(forms.len());
        for (nth, (form, key)) in forms.into_iter().enumerate() {
            // Beyond its validity it may have been ended already.
            let key = (receipt.connection, Box::from(key));
            let known = batch.sent.get(&key).or_else(|| sent.get(&key));
            let known = known.filter(|message| now < message.expires_at).cloned();
            if known.is_none() {
                rows.push(LookupRow { i: at, n: nth, c: receipt.connection.raw(), k: key.1.to_string() });
            }
            of_one.push(Fit { form, key, sent: known, rows: Vec::new() });
        }
        fits.push(of_one);
    }
    look_up(batch, rows, &mut fits).await?;
    Ok(fits)
}

/// One message or part for each receipt.
///
/// Where messages have no ids but recipient and time, those to one recipient within one second have the same name: their
/// receipts are taken in the order in which they were submitted, and one for which none is open waits.
fn chosen(receipts: &[CarrierReceipt], fits: Vec<Vec<Fit>>) -> Vec<Option<Found>> {
    let mut taken = HashSet::new();
    let mut in_order = |receipt: &CarrierReceipt, mut fits: Vec<Match>| {
        let name = |fit: &Match| (fit.message_id, fit.part, fit.attempt);
        // With one part it is the message that ends.
        let open = |fit: &Match| fit.part_done_at.is_none() && (fit.parts > 1 || fit.done_at.is_none());
        if fits.len() < 2 {
            return fits.pop();
        }
        fits.sort_by_key(name);
        let first = fits.iter().position(|fit| open(fit) && !taken.contains(&name(fit)))?;
        let first = fits.swap_remove(first);
        if State::from_receipt(sms::MessageState::from_number(receipt.state)).is_some() {
            taken.insert(name(&first));
        }
        Some(first)
    };
    let choose = |(receipt, fits): (&CarrierReceipt, Vec<Fit>)| {
        let fit = fits.into_iter().find(Fit::is_any)?;
        if let Some(message) = fit.sent {
            return Some(Found::Sent(message, fit.key));
        }
        let mut rows = fit.rows;
        let row = if connectors::is_named_by_time(&receipt.provider_id) {
            in_order(receipt, rows)
        } else {
            rows.pop()
        };
        row.map(|row| Found::Row(Box::new(row)))
    };
    receipts.iter().zip(fits).map(choose).collect()
}

async fn look_up(batch: &mut Batch, rows: Vec<LookupRow>, fits: &mut [Vec<Fit>]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    // What this batch's answers changed must stand in the rows that are looked at.
    rows::write_settled(batch).await?;
    let rows = rows
        .into_iter()
        .map(|row| [(row.i as i64).into(), (row.n as i64).into(), row.c.into(), row.k.into()])
        .collect();
    // Ids recur: of several messages the newest that is not at its end counts, else the newest. All forms of one id
    // stand in one row's neighbourhood, but not always in one run of the batch, so the order is made here.
    let mut matches: Vec<Match> = batch
        .tx
        .all_rows(
            sql!(
                "select r.idx, r.nth, p.message_id, p.part, p.attempt, m.tenant_id, m.state, m.account_id, m.connection_id, \
                 m.parts, m.attempts, m.maybe_twice, m.registered, m.sender, m.sender_kind, m.recipient, m.recipient_kind, \
                 m.options, m.accepted_at, m.expires_at, m.done_at, p.done_at as part_done_at, p.sent_at \
                 from rows(idx bigint, nth bigint, connection bigint, key text) r join part p on p.connection_id = r.connection \
                 and p.provider_key = r.key join message m on m.id = p.message_id \
                 /* every tenant: a connection belongs to one tenant, and so do its parts */"
            ),
            args![],
            rows,
        )
        .await?;
    matches.sort_by_key(|one| (one.idx, one.nth, one.done_at.is_none(), one.message_id));
    for one in matches {
        let place = (usize::try_from(one.idx), usize::try_from(one.nth));
        if let (Ok(at), Ok(nth)) = place
            && let Some(fit) = fits.get_mut(at).and_then(|fits| fits.get_mut(nth))
        {
            fit.rows.push(one);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
