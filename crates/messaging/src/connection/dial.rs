//! Which addresses a tenant's carriers and customers may have.

use db::{Tenancy, args, record, sql};
use runtime::Runtime;
use runtime::outbound::Dial;
use types::{Result, TenantId};

record! { struct Standing { platform: bool } }

/// Any for the installation's own tenant, whose administrators run the machine. Other tenants reach what their URLs may
/// reach: nothing of the operator's own network that `outbound.allow_private` does not name.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn of(runtime: &Runtime, tenant: TenantId) -> Result<Dial> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let standing: Option<Standing> =
        tx.optional(sql!("select platform from tenant where id = $1"), args![tenant]).await?;
    Ok(match standing {
        Some(Standing { platform: true }) => Dial::anywhere(),
        _ => runtime.outbound.dial(),
    })
}
