//! Keeping the snapshot, the counters and the log: from the tables at the start and after each change.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use db::{Arg, Tenancy, args, record, sql};
use runtime::Runtime;
use types::{AccountId, MessageId, Result, TenantId, Timestamp};

use super::{Ask, Gates, TenantGates};
use crate::Intent;
use crate::blacklist::{self, Lists};
use crate::firewall::{self, Firewall};
use crate::hours::week::zone;
use crate::hours::{self, Calendar};
use crate::journal::unhex;
use crate::message::address_of;
use crate::sender::{self, Senders};

record! { struct Zone { id: TenantId, time_zone: String } }
record! { struct Owner { tenant_id: TenantId } }
record! {
    struct Accepted {
        id: MessageId, tenant_id: TenantId, account_id: Option<AccountId>, sender: String, sender_kind: i64,
        recipient: String, text: Option<String>, octets: Option<String>, intent: String, accepted_at: Timestamp,
    }
}

/// How often it is looked whether a tenant has moved to another zone, which no rule's change tells.
const ZONES_EVERY: Duration = Duration::from_secs(30);
/// Tenants that one look reads at most.
const TENANTS_MAX: i64 = 1_000_000;

impl Gates {
    /// Reads everybody's rules, rebuilds the counters, and keeps both from then on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn start(self: &Arc<Self>, runtime: &Runtime) -> Result<()> {
        let mut tx = runtime.db.read(Tenancy::Every).await?;
        let owners: Vec<Owner> = tx
            .all(
                sql!(
                    "select tenant_id from sender union select tenant_id from sender_policy \
                     union select tenant_id from blacklist union select tenant_id from firewall_rule \
                     union select tenant_id from hours"
                ),
                args![],
            )
            .await?;
        drop(tx);
        for owner in owners {
            self.changed(runtime, owner.tenant_id).await?;
        }
        self.rebuild(runtime).await?;
        let (gates, writer) = (Arc::clone(self), runtime.clone());
        runtime.writers.spawn("refusals", async move { gates.log.run(&writer).await });
        let (gates, watcher) = (Arc::clone(self), runtime.clone());
        runtime.tasks.spawn("gates-zones", async move { gates.follow_zones(&watcher).await });
        Ok(())
    }

    /// Reads a tenant's rules again; call it after a committed change of any.
    ///
    /// # Errors
    /// When the database does not answer; the former rules stay in force.
    pub(crate) async fn changed(&self, runtime: &Runtime, tenant: TenantId) -> Result<()> {
        let _changing = self.changing.lock().await;
        let gates = load(runtime, tenant).await?;
        let mut tenants = HashMap::clone(&self.tenants.load());
        if gates.is_open() {
            tenants.remove(&tenant);
        } else {
            tenants.insert(tenant, Arc::new(gates));
        }
        self.tenants.store(Arc::new(tenants));
        Ok(())
    }

    /// Counts the messages that were accepted before the start, as far as a rule still remembers them: one statement, the
    /// latest messages first.
    async fn rebuild(&self, runtime: &Runtime) -> Result<()> {
        let now = runtime.clock.now();
        let tenants = self.tenants.load_full();
        let remembering: Vec<_> = tenants
            .iter()
            .map(|(tenant, gates)| (*tenant, gates.firewall.memory_ms()))
            .filter(|(_, ms)| *ms > 0)
            .collect();
        let Some(longest) = remembering.iter().map(|(_, ms)| *ms).max() else { return Ok(()) };
        let ids: Vec<_> =
            remembering.iter().map(|(tenant, _)| serde_json::json!({ "id": tenant.raw() })).collect();
        let mut tx = runtime.db.read(Tenancy::Every).await?;
        let mut rows: Vec<Accepted> = tx
            .all(
                sql!(
                    "with t as materialized (select cast(value ->> 'id' as bigint) as id from json_rows($1)) \
                     select m.id, m.tenant_id, m.account_id, m.sender, m.sender_kind, m.recipient, m.text, m.octets, \
                     m.intent, m.accepted_at from message m join t on t.id = m.tenant_id \
                     where m.id >= $2 and m.direction = 'out' order by m.id desc limit $3"
                ),
                vec![
                    Arg::json(&ids)?,
                    MessageId::from_parts(now.plus_ms(-longest), 0).into(),
                    (runtime.config.gates.rebuild_rows_max as i64).into(),
                ],
            )
            .await?;
        drop(tx);
        rows.reverse();
        for row in &rows {
            self.replay_row(row);
        }
        if !rows.is_empty() {
            tracing::info!(messages = rows.len(), "the gates' counters were rebuilt");
        }
        Ok(())
    }

    fn replay_row(&self, row: &Accepted) {
        let octets = match (&row.text, &row.octets) {
            (None, Some(hex)) => unhex(hex),
            _ => Vec::new(),
        };
        let ask = Ask {
            tenant: row.tenant_id,
            account: row.account_id,
            key: None,
            from: None,
            sender: &address_of(row.sender.clone(), row.sender_kind),
            named: true,
            recipient: &row.recipient,
            intent: Intent::named(&row.intent).unwrap_or_default(),
            text: row.text.as_deref(),
            octets: &octets,
            parts: 1,
            schedule_at: None,
            expires_at: None,
        };
        self.replay(&ask, row.accepted_at);
    }

    async fn follow_zones(&self, runtime: &Runtime) {
        let stopping = runtime.tasks.stopping();
        while !stopping.is_cancelled() {
            if let Err(error) = self.look_at_zones(runtime).await {
                tracing::warn!(?error, "the tenants' zones could not be read; trying again");
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(ZONES_EVERY) => {}
            }
        }
    }

    async fn look_at_zones(&self, runtime: &Runtime) -> Result<()> {
        let known = self.tenants.load_full();
        if known.is_empty() {
            return Ok(());
        }
        let mut tx = runtime.db.read(Tenancy::Every).await?;
        let zones: Vec<Zone> = tx
            .all(
                sql!("select id, time_zone from tenant order by id limit $1 /* every tenant: the engine serves all */"),
                args![TENANTS_MAX],
            )
            .await?;
        drop(tx);
        for zone in zones {
            if known.get(&zone.id).is_some_and(|gates| gates.zone_name != zone.time_zone) {
                self.changed(runtime, zone.id).await?;
            }
        }
        Ok(())
    }
}

/// A tenant's rules, ready to be asked.
async fn load(runtime: &Runtime, tenant: TenantId) -> Result<TenantGates> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let found: Option<Zone> =
        tx.optional(sql!("select id, time_zone from tenant where id = $1"), args![tenant]).await?;
    let zone_name = found.map_or_else(|| "UTC".to_owned(), |found| found.time_zone);
    let home = zone(&zone_name);
    let senders = sender::of_tenant(&mut tx, tenant).await?;
    let policies = sender::policy::of_tenant(&mut tx, tenant).await?;
    let pools = sender::pool::of_tenant(&mut tx, tenant).await?;
    let entries = blacklist::of_tenant(&mut tx, tenant).await?;
    let rules = firewall::of_tenant(&mut tx, tenant).await?;
    let hours = hours::of_tenant(&mut tx, tenant).await?;
    Ok(TenantGates {
        senders: Senders::new(senders, policies, pools, &home)?,
        lists: Lists::new(entries)?,
        firewall: Firewall::new(rules)?,
        calendar: Calendar::new(hours, &home)?,
        zone: home,
        zone_name,
    })
}
