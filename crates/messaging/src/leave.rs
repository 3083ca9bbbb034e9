//! What runs for a tenant follows whether the tenant is active: links and binds end with a suspension or an erasure, and
//! links come back with the tenant.

use db::{Tenancy, args, record, sql};
use runtime::live::Heard;
use types::{AccountId, ConnectionId, Event, Result, TenantId};

use crate::cdr::file;
use crate::{Engine, recover};

record! { struct Link { id: ConnectionId } }
record! { struct Customer { id: AccountId } }
record! { struct Standing { status: String } }

/// Brings a tenant's links to what is wanted of an active tenant, or ends them and its customers' sessions.
///
/// # Errors
/// When the database does not answer.
async fn follow(engine: &Engine, tenant: TenantId) -> Result<()> {
    let mut tx = engine.runtime().db.read(Tenancy::Tenant(tenant)).await?;
    let links: Vec<Link> = tx
        .all(sql!("select id from connection where tenant_id = $1 order by id limit 100000"), args![tenant])
        .await?;
    let customers: Vec<Customer> = tx
        .all(sql!("select id from smpp_account where tenant_id = $1 order by id limit 100000"), args![tenant])
        .await?;
    let standing: Option<Standing> =
        tx.optional(sql!("select status from tenant where id = $1"), args![tenant]).await?;
    drop(tx);
    for Link { id } in links {
        engine.connection_changed(id).await?;
    }
    if standing.is_none_or(|standing| standing.status != "active") {
        customers.iter().for_each(|customer| engine.sessions().end(customer.id));
    }
    Ok(())
}

/// Ends what runs for a tenant that is being erased, and removes what it has outside the database: claims, which name no
/// tenant, and files of records. It may be called again.
///
/// # Errors
/// When the database does not answer, or a file cannot be removed.
pub async fn erase(engine: &Engine, tenant: TenantId) -> Result<()> {
    let runtime = engine.runtime();
    follow(engine, tenant).await?;
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    // Those too whose connection is gone already: the journal may have written them behind it.
    tx.execute(
        sql!(
            "delete from claim where connection_id in (select id from connection where tenant_id = $1) \
             or connection_id not in (select id from connection) /* every tenant: it belongs to no connection any more */"
        ),
        args![tenant],
    )
    .await?;
    tx.commit().await?;
    for folder in [file::folder(&runtime.config, tenant), file::archive(&runtime.config, tenant)] {
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(types::Error::internal(error));
            }
            _ => {}
        }
    }
    engine.routes_changed().await?;
    engine.inbound_changed().await?;
    engine.pauses_changed().await?;
    engine.lookups().reload().await?;
    engine.gates_changed(tenant).await
}

/// Takes up a tenant that was restored, before anybody opens it: what was claimed at the old place is judged as after a start,
/// and what memory holds of tenants' settings is read again. It may be called again.
///
/// # Errors
/// When the database does not answer.
pub async fn arrive(engine: &Engine, tenant: TenantId) -> Result<()> {
    recover::after_arrival(engine.runtime(), tenant).await?;
    engine.routes_changed().await?;
    engine.inbound_changed().await?;
    engine.pauses_changed().await?;
    engine.lookups().reload().await?;
    engine.gates_changed(tenant).await?;
    follow(engine, tenant).await
}

/// Follows tenants that are suspended and let in again, until the program stops.
pub(crate) async fn run(engine: Engine) {
    let stopping = engine.runtime().tasks.stopping();
    let mut listener = engine.runtime().live.listen();
    loop {
        let heard = tokio::select! {
            () = stopping.cancelled() => return,
            heard = listener.next() => heard,
        };
        let Heard::News(news) = heard else {
            if matches!(heard, Heard::Over) {
                return;
            }
            // Too slow for all that happens: what a change of a tenant means is asked again.
            follow_all(&engine).await;
            continue;
        };
        for event in news.events.iter() {
            let Event::TenantChanged(change) = event else { continue };
            let Ok(tenant) = change.id.parse() else { continue };
            if let Err(error) = follow(&engine, tenant).await {
                tracing::error!(?error, %tenant, "what runs for a tenant could not follow its state");
            }
        }
    }
}

record! { struct Whose { id: TenantId } }

async fn follow_all(engine: &Engine) {
    let all = async {
        let mut tx = engine.runtime().db.read(Tenancy::Every).await?;
        let shut: Vec<Whose> = tx
            .all(
                sql!("select id from tenant where status <> 'active' order by id limit 100000 /* every tenant: the engine serves all */"),
                args![],
            )
            .await?;
        drop(tx);
        for Whose { id } in shut {
            follow(engine, id).await?;
        }
        Ok::<_, types::Error>(())
    };
    if let Err(error) = all.await {
        tracing::error!(?error, "what runs for tenants could not follow their states");
    }
}
