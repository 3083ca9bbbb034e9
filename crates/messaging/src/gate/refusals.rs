//! What was refused, and what rules did: kept behind the traffic, in batches and within bounds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use db::{Arg, Tenancy, args, record, sql};
use runtime::personal::Sight;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{AccountId, Code, Error, KeyId, Page, Permission, RefusalId, Result, TenantId, Timestamp};

use super::{Ask, Refusal};

/// How often what has gathered is written.
const WRITTEN_EVERY: Duration = Duration::from_secs(1);
/// Refusals in one transaction.
const BATCH: usize = 1_000;
/// An hour.
const HOUR_MS: i64 = 3_600_000;
/// Characters of a sender or recipient that are kept; longer ones are refused for that very reason.
const ADDRESS_CHARS_MAX: usize = 30;

/// A refusal as it is noted.
pub(super) struct Refused<'a> {
    pub(super) ask: &'a Ask<'a>,
    pub(super) sender: &'a str,
    pub(super) refusal: &'a Refusal,
    pub(super) at: Timestamp,
}

/// What waits to be written.
pub(super) struct RefusalLog {
    waiting: Mutex<Waiting>,
    waiting_max: usize,
    keep_text: bool,
}

#[derive(Default)]
struct Waiting {
    rows: VecDeque<Row>,
    /// By tenant, hour, rule and outcome: as many as there are rules.
    counts: HashMap<(TenantId, i64, i64, &'static str), i64>,
}

#[derive(Serialize)]
struct Row {
    t: i64,
    at: i64,
    ac: Option<i64>,
    k: Option<i64>,
    f: String,
    r: String,
    c: &'static str,
    u: Option<i64>,
    n: String,
    y: String,
    x: Option<String>,
}

#[derive(Serialize)]
struct NumberedRow<'a> {
    id: i64,
    #[serde(flatten)]
    row: &'a Row,
}

#[derive(Serialize)]
struct CountRow<'a> {
    t: i64,
    h: i64,
    u: i64,
    o: &'a str,
    n: i64,
}

impl RefusalLog {
    pub(super) fn new(waiting_max: usize, keep_text: bool) -> Self {
        Self { waiting: Mutex::default(), waiting_max, keep_text }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what a rule did.
    pub(super) fn count(&self, tenant: TenantId, rule: i64, outcome: &'static str, at: Timestamp) {
        let hour = at.unix_ms() / HOUR_MS * HOUR_MS;
        *self.lock().counts.entry((tenant, hour, rule, outcome)).or_default() += 1;
    }

    /// Counts a refusal and keeps it; when too many wait, the oldest is dropped.
    pub(super) fn note(&self, refused: &Refused<'_>) {
        let Refused { ask, sender, refusal, at } = *refused;
        let code = refusal.code.as_str();
        metrics::counter!("switchboard_gate_refusals_total", "code" => code).increment(1);
        self.count(ask.tenant, refusal.rule, code, at);
        // One too fast repeats itself by the thousand; its count says it all.
        if refusal.code == Code::RateExceeded {
            return;
        }
        let short = |text: &str| text.chars().take(ADDRESS_CHARS_MAX).collect::<String>();
        let row = Row {
            t: ask.tenant.raw(),
            at: at.unix_ms(),
            ac: ask.account.map(AccountId::raw),
            k: ask.key.map(KeyId::raw),
            f: short(if ask.named { &ask.sender.text } else { sender }).replace('\0', ""),
            r: short(ask.recipient),
            c: code,
            u: Some(refusal.rule).filter(|rule| *rule != 0),
            n: refusal.name.clone(),
            y: refusal.reason.replace('\0', ""),
            x: ask.text.filter(|_| self.keep_text).map(|text| text.replace('\0', "")),
        };
        let mut waiting = self.lock();
        if waiting.rows.len() >= self.waiting_max {
            waiting.rows.pop_front();
            metrics::counter!("switchboard_refusals_dropped_total").increment(1);
        }
        waiting.rows.push_back(row);
    }

    /// Writes what has gathered, and gives whether there is more.
    async fn write(&self, runtime: &Runtime) -> Result<bool> {
        let (rows, counts, more) = {
            let mut waiting = self.lock();
            let n = waiting.rows.len().min(BATCH);
            let rows: Vec<Row> = waiting.rows.drain(..n).collect();
            (rows, std::mem::take(&mut waiting.counts), !waiting.rows.is_empty())
        };
        if rows.is_empty() && counts.is_empty() {
            return Ok(false);
        }
        let written = insert(runtime, &rows, &counts).await;
        if written.is_err() {
            let mut waiting = self.lock();
            for (key, n) in counts {
                *waiting.counts.entry(key).or_default() += n;
            }
            let room = self.waiting_max.saturating_sub(waiting.rows.len());
            let lost = rows.len().saturating_sub(room);
            metrics::counter!("switchboard_refusals_dropped_total").increment(lost as u64);
            for row in rows.into_iter().skip(lost).rev() {
                waiting.rows.push_front(row);
            }
        }
        written.map(|()| more)
    }

    /// Writes until the program has stopped, and then once more.
    pub(super) async fn run(&self, runtime: &Runtime) {
        let stopping = runtime.writers.stopping();
        loop {
            let stopped = stopping.is_cancelled();
            loop {
                match self.write(runtime).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(?error, "refusals could not be kept; trying again");
                        break;
                    }
                }
            }
            if stopped {
                return;
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(WRITTEN_EVERY) => {}
            }
        }
    }
}

async fn insert(
    runtime: &Runtime,
    rows: &[Row],
    counts: &HashMap<(TenantId, i64, i64, &'static str), i64>,
) -> Result<()> {
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    if !rows.is_empty() {
        let numbered: Vec<_> = rows
            .iter()
            .map(|row| NumberedRow { id: runtime.ids.next::<types::kind::Refusal>().raw(), row })
            .collect();
        tx.execute(
            sql!(
                "insert into refusal (id, tenant_id, at, account_id, key_id, sender, recipient, code, rule_id, rule, \
                 reason, text) select cast(r.value ->> 'id' as bigint), cast(r.value ->> 't' as bigint), \
                 cast(r.value ->> 'at' as bigint), cast(r.value ->> 'ac' as bigint), cast(r.value ->> 'k' as bigint), \
                 r.value ->> 'f', r.value ->> 'r', r.value ->> 'c', cast(r.value ->> 'u' as bigint), r.value ->> 'n', \
                 r.value ->> 'y', r.value ->> 'x' from json_rows($1) r"
            ),
            vec![Arg::json(&numbered)?],
        )
        .await?;
    }
    if !counts.is_empty() {
        // In the order of the keys, so that two writers never wait for each other in turns.
        let mut sums: Vec<_> = counts
            .iter()
            .map(|((tenant, hour, rule, outcome), n)| CountRow {
                t: tenant.raw(),
                h: *hour,
                u: *rule,
                o: outcome,
                n: *n,
            })
            .collect();
        sums.sort_by_key(|row| (row.t, row.h, row.u, row.o));
        tx.execute(
            sql!(
                "insert into gate_tally (tenant_id, hour, rule_id, outcome, n) \
                 select cast(r.value ->> 't' as bigint), cast(r.value ->> 'h' as bigint), \
                 cast(r.value ->> 'u' as bigint), r.value ->> 'o', cast(r.value ->> 'n' as bigint) \
                 from json_rows($1) r where true \
                 on conflict (tenant_id, hour, rule_id, outcome) do update set n = gate_tally.n + excluded.n"
            ),
            vec![Arg::json(&sums)?],
        )
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

record! {
    struct Stored {
        id: RefusalId, at: Timestamp, account_id: Option<AccountId>, key_id: Option<KeyId>, sender: String,
        recipient: String, code: String, rule_id: Option<i64>, rule: String, reason: String, text: Option<String>,
    }
}

/// A message that was not accepted.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct KeptRefusal {
    /// Its id.
    pub id: RefusalId,
    /// When.
    pub at: Timestamp,
    /// The SMPP account that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The API key that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Who would have sent.
    pub from: String,
    /// Who would have received.
    pub to: String,
    /// The error code.
    pub code: String,
    /// The id of the rule or entry that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What people call it.
    pub rule_name: String,
    /// Why, in words.
    pub reason: String,
    /// The message's text, where the configuration keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A rule's number as its id: the code says of which kind it is.
fn rule_id(code: &str, raw: i64) -> String {
    let code = Code::ALL.iter().find(|known| known.as_str() == code);
    match code {
        Some(Code::OutsideHours | Code::RateExceeded) => types::HoursId::from_raw(raw).to_string(),
        Some(Code::RecipientBlacklisted | Code::SenderBlacklisted | Code::CallerBlacklisted) => {
            types::BlacklistedId::from_raw(raw).to_string()
        }
        _ => types::RuleId::from_raw(raw).to_string(),
    }
}

impl KeptRefusal {
    fn of(stored: Stored, sight: Sight) -> Self {
        // A phrase of the blacklist has the firewall's code; its name tells them apart.
        let rule = stored.rule_id.map(|raw| match stored.rule.as_str() {
            "blacklist" => types::BlacklistedId::from_raw(raw).to_string(),
            _ => rule_id(&stored.code, raw),
        });
        Self {
            id: stored.id,
            at: stored.at,
            account: stored.account_id,
            key: stored.key_id,
            from: stored.sender,
            to: sight.identifier(stored.recipient),
            rule,
            code: stored.code,
            rule_name: stored.rule,
            reason: sight.words(stored.reason),
            text: stored.text.map(|text| sight.text(text)),
        }
    }
}

/// Which refusals.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RefusalFilter {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
    /// Only with this code.
    pub code: Option<String>,
    /// Only to this recipient.
    pub to: Option<String>,
    /// Only from this sender.
    pub from: Option<String>,
    /// Only of this SMPP account.
    pub account: Option<AccountId>,
    /// Only by the rule of this name.
    pub rule: Option<String>,
}

/// Refusals, newest first.
///
/// # Errors
/// [`Code::Forbidden`]; a filter or cursor that is none.
pub async fn list(scope: &Scope, filter: &RefusalFilter) -> Result<Page<KeptRefusal>> {
    scope.require(Permission::RefusalView)?;
    let paging = web::Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    if let Some(code) = &filter.code
        && Code::ALL.iter().all(|known| known.as_str() != code)
    {
        return Err(Error::new(Code::InvalidFilter, format!("{code:?} is no error code")).at("code"));
    }
    let plain =
        |text: &Option<String>| text.as_deref().map(|text| text.trim().trim_start_matches('+').to_owned());
    let sight = Sight::of(scope);
    let mut tx = scope.read().await?;
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select id, at, account_id, key_id, sender, recipient, code, rule_id, rule, reason, text from refusal \
                 where tenant_id = $1 and id < $2 and (cast($3 as text) is null or code = $3) \
                 and (cast($4 as text) is null or recipient = $4) and (cast($5 as text) is null or sender = $5) \
                 and (cast($6 as bigint) is null or account_id = $6) and (cast($7 as text) is null or rule = $7) \
                 order by id desc limit $8"
            ),
            args![
                scope.tenant(),
                before,
                filter.code.clone(),
                plain(&filter.to),
                plain(&filter.from),
                filter.account,
                filter.rule.clone(),
                limit as i64 + 1
            ],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row| row.id.raw()).map(|row| KeptRefusal::of(row, sight)))
}

record! { struct Counted { hour: i64, rule_id: i64, outcome: String, n: i64 } }

/// What one rule did in the last 24 hours.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RuleCount {
    /// The rule's id; absent for what no rule decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// An error code, or `held`, `marked`, `counted`, `postponed`.
    pub outcome: String,
    /// How often.
    pub n: i64,
    /// How often in each of the 24 hours, the oldest first.
    pub by_hour: Vec<i64>,
    /// The rule's number.
    #[serde(skip)]
    pub(crate) raw: i64,
}

/// Hours that are counted.
const HOURS: i64 = 24;
/// Rows that one look reads at most.
const COUNTS_MAX: i64 = 50_000;

/// What the rules did in the last 24 hours.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn counts(scope: &Scope) -> Result<Vec<RuleCount>> {
    scope.require(Permission::RefusalView)?;
    let first = (scope.now().unix_ms() / HOUR_MS - HOURS + 1) * HOUR_MS;
    let rows: Vec<Counted> = scope
        .read()
        .await?
        .all(
            sql!(
                "select hour, rule_id, outcome, n from gate_tally where tenant_id = $1 and hour >= $2 \
                 order by rule_id, outcome, hour limit $3"
            ),
            args![scope.tenant(), first, COUNTS_MAX],
        )
        .await?;
    let mut counts: Vec<RuleCount> = Vec::new();
    for row in rows {
        if counts.last().is_none_or(|last| last.raw != row.rule_id || last.outcome != row.outcome) {
            let rule = (row.rule_id != 0).then(|| match row.outcome.as_str() {
                "postponed" => types::HoursId::from_raw(row.rule_id).to_string(),
                outcome => rule_id(outcome, row.rule_id),
            });
            let by_hour = vec![0; usize::try_from(HOURS).unwrap_or_default()];
            counts.push(RuleCount { rule, outcome: row.outcome, n: 0, by_hour, raw: row.rule_id });
        }
        if let Some(last) = counts.last_mut() {
            last.n += row.n;
            let at = usize::try_from((row.hour - first) / HOUR_MS).ok();
            if let Some(hour) = at.and_then(|at| last.by_hour.get_mut(at)) {
                *hour += row.n;
            }
        }
    }
    Ok(counts)
}

/// Forgets counts of rules from before an instant, at most so many at a time, and gives how many.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_counts(runtime: &Runtime, before: Timestamp, at_most: usize) -> Result<u64> {
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let counts = tx
        .execute(
            sql!(
                "delete from gate_tally where (tenant_id, hour, rule_id, outcome) in \
                 (select tenant_id, hour, rule_id, outcome from gate_tally where hour < $1 limit $2)"
            ),
            args![before.plus_ms(-HOUR_MS), at_most as i64],
        )
        .await?;
    tx.commit().await?;
    Ok(counts)
}
