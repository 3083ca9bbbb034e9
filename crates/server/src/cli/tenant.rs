//! `switchboard tenant`: organisations.

use clap::Subcommand;
use serde_json::json;

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind = Kind { path: "tenants", prefix: "ten", noun: "tenant", names: &["slug", "name"] };

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// All tenants, newest first
    List(PageFlags),
    /// Create a tenant, with its first administrator if told
    Create {
        /// What people call it
        name: String,
        /// Its short name; made of the name when not given
        #[arg(long)]
        slug: Option<String>,
        #[command(flatten)]
        flags: Flags,
        /// The e-mail address of its first administrator, who gets a sign-in link
        #[arg(long, value_name = "EMAIL")]
        admin: Option<String>,
        /// The administrator's name
        #[arg(long, value_name = "NAME", requires = "admin")]
        admin_name: Option<String>,
    },
    /// One tenant
    Show {
        /// Its id, slug or name
        tenant: String,
    },
    /// Change a tenant; what is not named stays
    Change {
        /// Its id, slug or name
        tenant: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        flags: Flags,
        /// active, or suspended: its people and programs are refused then, its binds and connections end
        #[arg(long)]
        status: Option<String>,
    },
    /// Ask for the erasure of a tenant: everything of it, for ever. It can be called off until the time that is told
    Erase {
        /// Its id, slug or name
        tenant: String,
        /// Its name, as it is, to say that you mean it
        #[arg(long)]
        name: String,
        /// Hours in which it can be called off; tenants.grace_h when not given
        #[arg(long, value_name = "N")]
        grace_hours: Option<u32>,
    },
    /// Call the erasure of a tenant off
    CallOff {
        /// Its id, slug or name
        tenant: String,
    },
    /// All erasures, newest first; with --json their certificates too
    Erasures(PageFlags),
    /// The certificate of an erasure, for a file of yours; verify erasure reads it without a server
    Certificate {
        /// The erasure's id
        erasure: String,
    },
}

/// What new and changed tenants have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// The language and region of its texts (BCP 47)
    #[arg(long)]
    locale: Option<String>,
    /// The zone its people live by (IANA), such as Europe/Paris
    #[arg(long)]
    time_zone: Option<String>,
    /// The currency of its prices (ISO 4217)
    #[arg(long)]
    currency: Option<String>,
}

const FIRST: &[&str] = &["id", "name", "slug", "status"];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &TenantCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        TenantCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("SLUG", "/slug"),
                ("NAME", "/name"),
                ("STATUS", "/status"),
                ("CREATED", "/created_at"),
            ];
            client.get(&["tenants"], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        TenantCommand::Create { name, slug, flags, admin, admin_name } => {
            let administrator = admin
                .as_ref()
                .map(|email| json!({ "email": email, "name": admin_name.as_ref().unwrap_or(email) }));
            let body = Members::default()
                .with("name", Some(name.clone()))
                .with("slug", slug.clone())
                .with("locale", flags.locale.clone())
                .with("time_zone", flags.time_zone.clone())
                .with("currency", flags.currency.clone())
                .with("administrator", administrator);
            client.post(&["tenants"], &body.value()).await?
        }
        TenantCommand::Show { tenant } => {
            client.get(&["tenants", &client.find(&KIND, tenant).await?], &[]).await?
        }
        TenantCommand::Change { tenant, name, flags, status } => {
            let body = Members::default()
                .with("name", name.clone())
                .with("locale", flags.locale.clone())
                .with("time_zone", flags.time_zone.clone())
                .with("currency", flags.currency.clone())
                .with("status", status.clone());
            client.patch(&["tenants", &client.find(&KIND, tenant).await?], &body.value()).await?
        }
        TenantCommand::Erase { tenant, name, grace_hours } => {
            let body = json!({ "name": name, "grace_h": grace_hours });
            client.post(&["tenants", &client.find(&KIND, tenant).await?, "erasure"], &body).await?
        }
        TenantCommand::CallOff { tenant } => {
            client.remove(&["tenants", &client.find(&KIND, tenant).await?, "erasure"], &[]).await?
        }
        TenantCommand::Erasures(page) => {
            let columns = [
                ("ID", "/id"),
                ("TENANT", "/tenant"),
                ("ASKED", "/asked_at"),
                ("UNTIL", "/erase_at"),
                ("CALLED OFF", "/called_off_at"),
                ("ERASED", "/erased_at"),
            ];
            client.get(&["erasures"], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        TenantCommand::Certificate { erasure } => {
            return certificate(client, erasure, out).await;
        }
    };
    answer.show(out, |value| out.facts(value, FIRST));
    Ok(())
}

async fn certificate(client: &Client, erasure: &str, out: &Out) -> Result<(), Failure> {
    let one = client.get(&["erasures", erasure], &[]).await?.value;
    if !one["body"].is_string() {
        return Err(Failure::failed(
            "this erasure has no certificate yet".to_owned(),
            "wait until it is done: switchboard tenant erasures.",
        ));
    }
    let part = |name: &str| one[name].clone();
    out.value(
        &json!({ "body": part("body"), "signature": part("signature"), "public_key": part("public_key") }),
    );
    Ok(())
}
