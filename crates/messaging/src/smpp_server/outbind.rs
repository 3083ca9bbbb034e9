//! outbind: we call a customer's system that is to be called (SMPP v5 §4.1.1.7). It binds on the connection that we open,
//! and is served like one that it opened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connectors::Host;
use db::{Tenancy, args, record, sql};
use smpp::{Outbind, Pdu, Status};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use types::{AccountId, Result, TenantId};

use super::{Hub, connection};
use crate::connection::dial;

/// How often it is looked whether something waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a call that led to no bind, or whose session has ended.
const CALL_AGAIN: Duration = Duration::from_secs(30);

/// A customer's system that is called.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    /// Which account's.
    pub(crate) account: AccountId,
    /// Whose account it is.
    pub(crate) tenant: TenantId,
    /// Where it listens.
    pub(crate) host: Host,
}

/// Accounts that are being called, or when they may be called again.
type Calls = Arc<Mutex<HashMap<AccountId, Option<Instant>>>>;

/// Calls systems for which something waits until the program stops.
pub(super) async fn call(hub: Hub) {
    let tasks = hub.engine.runtime().tasks.clone();
    let stopping = tasks.stopping();
    let calls = Calls::default();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = Instant::now();
        for called in hub.engine.outbinds().iter() {
            let rests = {
                let calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
                calls.get(&called.account).is_some_and(|again| again.is_none_or(|at| at > now))
            };
            if rests || hub.sessions.receives(called.account) {
                continue;
            }
            match something_waits(&hub, called.account).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    tracing::warn!(?error, account = %called.account, "what waits for an account cannot be read");
                    continue;
                }
            }
            let (hub, called, calls) = (hub.clone(), called.clone(), Arc::clone(&calls));
            calls.lock().unwrap_or_else(PoisonError::into_inner).insert(called.account, None);
            tasks.spawn("smpp-outbind", async move {
                let why = talk(hub, &called).await;
                if let Err(why) = why {
                    metrics::counter!("switchboard_smpp_outbinds_total", "outcome" => "failed").increment(1);
                    tracing::info!(account = %called.account, host = %called.host, %why, "outbind failed");
                }
                let again = Some(Instant::now() + CALL_AGAIN);
                calls.lock().unwrap_or_else(PoisonError::into_inner).insert(called.account, again);
            });
        }
    }
}

/// Connects, says outbind, and serves the connection to its end.
async fn talk(hub: Hub, called: &Called) -> Result<(), String> {
    let (runtime, host) = (hub.engine.runtime(), &called.host);
    let config = &runtime.config.smpp;
    let dial = dial::of(runtime, called.tenant).await.map_err(|error| error.to_string())?;
    let place = Arc::clone(&hub.unbound)
        .try_acquire_owned()
        .map_err(|_| "too many connections are not bound yet".to_owned())?;
    let patience = Duration::from_millis(config.connect_timeout_ms);
    let connecting = async {
        let mut socket = dial.connect(&host.name, host.port).await.map_err(std::io::Error::other)?;
        let mut out = Vec::new();
        let outbind = Outbind { system_id: config.system_id.as_str().into(), ..Outbind::default() };
        Pdu::Outbind(outbind).encode(1, Status::ROK, &mut out).map_err(std::io::Error::other)?;
        socket.write_all(&out).await?;
        let peer = socket.peer_addr()?;
        Ok::<_, std::io::Error>((socket, peer))
    };
    let connected = timeout(patience, connecting).await.map_err(|_| "no connection in time".to_owned())?;
    let (socket, peer) = connected.map_err(|error| error.to_string())?;
    metrics::counter!("switchboard_smpp_outbinds_total", "outcome" => "sent").increment(1);
    connection::run(hub.clone(), socket, peer, place, None).await;
    Ok(())
}

record! { struct Waiting { id: i64 } }

async fn something_waits(hub: &Hub, account: AccountId) -> Result<bool> {
    let runtime = hub.engine.runtime();
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let first: Option<Waiting> = tx
        .optional(
            sql!(
                "select id from push where account_id = $1 and expires_at > $2 order by id limit 1 \
                 /* every tenant: an account has one */"
            ),
            args![account, runtime.clock.now()],
        )
        .await?;
    Ok(first.is_some_and(|waiting| waiting.id != 0))
}
