//! Claims against messages: what is about to leave, or has left and awaits its answer, is in a state that this allows.

use std::collections::HashMap;

use db::{Rows, Tx, args, record, sql};
use types::{Error, MessageId, Result, TenantId};

use super::{Discrepancy, TOLD_MAX};
use crate::message::State;

/// Claims that are looked at; far more than windows leave room for.
const CLAIMS_MAX: i64 = 100_000;

record! { struct Claim { id: i64, messages: String, tenant_id: Option<TenantId> } }
record! {
    struct Claimed {
        idx: i64, id: MessageId, tenant_id: Option<TenantId>, state: Option<String>, parts: Option<i64>,
        maybe_twice: Option<bool>,
    }
}

/// What the claims name.
pub(super) struct Claims {
    /// Messages whose claim does not fit them, with their tenants.
    pub(super) broken: Vec<(TenantId, Discrepancy)>,
    /// Messages that are out by a claim and by their rows, with their tenants: each has a place in memory while a server runs.
    pub(super) out: Vec<(MessageId, TenantId)>,
}

/// Looks at all claims, and tells of one tenant or of all.
///
/// # Errors
/// When the database does not answer, or a claim holds what no version has written.
pub(super) async fn look(tx: &mut Tx, of: Option<TenantId>) -> Result<Claims> {
    let claims: Vec<Claim> = tx
        .all(
            sql!(
                "select c.id, c.messages, o.tenant_id from claim c left join connection o on o.id = c.connection_id \
                 order by c.id limit $1 /* every tenant: a claim names messages of all who use its connection */"
            ),
            args![CLAIMS_MAX],
        )
        .await?;
    let mut rows = Rows::new();
    for (at, claim) in claims.iter().enumerate() {
        let messages: Vec<i64> = serde_json::from_str(&claim.messages).map_err(Error::internal)?;
        for message in messages {
            rows.push([(at as i64).into(), message.into()]);
        }
    }
    let mut found = Claims { broken: Vec::new(), out: Vec::new() };
    if rows.is_empty() {
        return Ok(found);
    }
    let claimed: Vec<Claimed> = tx
        .all_rows(
            sql!(
                "select r.idx, r.id, m.tenant_id, m.state, m.parts, m.maybe_twice from rows(idx bigint, id bigint) r \
                 left join message m on m.id = r.id /* every tenant: a claim names messages of all who use its connection */"
            ),
            args![],
            rows,
        )
        .await?;
    let mut seen: HashMap<MessageId, i64> = HashMap::new();
    for one in claimed {
        let claim = usize::try_from(one.idx).ok().and_then(|at| claims.get(at));
        let Some(tenant) = one.tenant_id.or(claim.and_then(|claim| claim.tenant_id)) else { continue };
        if of.is_some_and(|of| of != tenant) {
            continue;
        }
        let twice = seen.insert(one.id, one.idx).is_some();
        match wrong(&one, twice) {
            Some(detail) if found.broken.len() < TOLD_MAX => {
                let rule = "claim";
                found.broken.push((tenant, Discrepancy { rule, message: Some(one.id), detail }));
            }
            Some(_) => {}
            None if one.state.as_deref() == Some(State::Queued.as_str()) => found.out.push((one.id, tenant)),
            None => {}
        }
    }
    Ok(found)
}

/// What does not fit about a claimed message, in words.
///
/// What is out is queued until its answers are in. A receipt may end it before: for one part of several, or for an earlier
/// try, since what may be out twice says so.
fn wrong(one: &Claimed, twice: bool) -> Option<String> {
    let Some(state) = one.state.as_deref() else {
        return Some("a claim names it, and it is not there".to_owned());
    };
    if twice {
        return Some("two claims name it".to_owned());
    }
    let ended_early = one.parts.unwrap_or(1) > 1 || one.maybe_twice.unwrap_or(false);
    let final_state = State::named(state).is_some_and(State::is_final);
    let fits = state == State::Queued.as_str() || (final_state && ended_early);
    (!fits).then(|| format!("a claim says that it is out, and it is {state}"))
}
