//! What must be so of each message, whatever else happens. Each rule is one statement over a range of ids.

use db::{Tx, args, record, sql};
use types::{MessageId, Result, TenantId};

use super::Discrepancy;

/// All of a tenant's messages.
pub(super) const ALL: (i64, i64) = (0, i64::MAX);
/// Messages that one rule names in one look.
const NAMED_MAX: i64 = 20;

record! { struct Broken { id: MessageId, state: String, found: String } }

/// A rule's name, its statement, and what is told of a message that breaks it.
type Rule = (&'static str, &'static str, fn(&Broken) -> String);

/// The messages behind an id and up to another that break a rule.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn broken(tx: &mut Tx, tenant: TenantId, range: (i64, i64)) -> Result<Vec<Discrepancy>> {
    let rules: [Rule; 4] = [
        (
            "state",
            // A message that has ended is not looked at again; one that has not is.
            sql!(
                "select id, state, case when done_at is null then 'has no end' else 'has an end' end as found from message \
                 where tenant_id = $1 and id > $2 and id <= $3 and ( \
                 (state in ('scheduled', 'queued', 'sent', 'indeterminate') and (wake_at is null or done_at is not null)) \
                 or (state in ('delivered', 'failed', 'rejected', 'expired', 'cancelled', 'received') \
                 and (wake_at is not null or done_at is null)) \
                 or (state = 'received') <> (direction = 'in') \
                 or state not in ('scheduled', 'queued', 'sent', 'indeterminate', 'delivered', 'failed', 'rejected', \
                 'expired', 'cancelled', 'received')) order by id limit $4"
            ),
            |broken| {
                format!("it is {:?}, and its row {} and does not fit that state", broken.state, broken.found)
            },
        ),
        (
            "part",
            // What a carrier has taken over has the carrier's answer.
            sql!(
                "select m.id, m.state, 'no part' as found from message m where m.tenant_id = $1 and m.id > $2 and m.id <= $3 \
                 and m.state = 'sent' and m.direction = 'out' \
                 and not exists (select 1 from part p where p.message_id = m.id and p.tenant_id = $1) order by m.id limit $4"
            ),
            |_| "it is \"sent\", and no part of it was taken over by a carrier".to_owned(),
        ),
        (
            "push",
            // A receipt that is owed says what the message came to.
            sql!(
                "select p.message_id as id, p.state, coalesce(m.state, 'not there') as found from push p \
                 left join message m on m.id = p.message_id and m.tenant_id = p.tenant_id \
                 where p.tenant_id = $1 and p.message_id > $2 and p.message_id <= $3 \
                 and (m.id is null or (p.kind = 'receipt' and m.state <> p.state)) order by p.message_id limit $4"
            ),
            |broken| format!("a receipt is owed that says {:?}, and it is {}", broken.state, broken.found),
        ),
        (
            "part",
            sql!(
                "select p.message_id as id, p.state, 'not there' as found from part p \
                 where p.tenant_id = $1 and p.message_id > $2 and p.message_id <= $3 \
                 and not exists (select 1 from message m where m.id = p.message_id and m.tenant_id = $1) \
                 order by p.message_id limit $4"
            ),
            |_| "a part of it is there, and the message is not".to_owned(),
        ),
    ];
    let mut found = Vec::new();
    for (rule, text, told) in rules {
        let broken: Vec<Broken> = tx.all(text, args![tenant, range.0, range.1, NAMED_MAX]).await?;
        found.extend(broken.iter().map(|one| Discrepancy { rule, message: Some(one.id), detail: told(one) }));
    }
    Ok(found)
}
