//! `switchboard tenant`: organisations.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::client::{Answer, Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;
use super::suitcase::{self, PassphraseFlags};
use super::{ConfigFlags, ReachFlags};

const KIND: Kind = Kind { path: "tenants", prefix: "ten", noun: "tenant", names: &["slug", "name"] };

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// All tenants, or those beneath yours, newest first, each followed by those beneath it
    List {
        /// Only those beneath this one: its id, slug or name
        #[arg(long, value_name = "TENANT")]
        beneath: Option<String>,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Create a tenant, with its first administrator if told; a reseller's stands beneath their own
    Create(Opening),
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
        /// active, or suspended: its people and programs are refused then, its binds and connections end; tenants beneath it go
        /// on
        #[arg(long)]
        status: Option<String>,
        /// Whether it may have tenants beneath it
        #[arg(long, value_name = "true|false")]
        reseller: Option<bool>,
    },
    /// Invite the first administrator of a tenant, or invite them again: for as long as nobody of it was let in
    Invite {
        /// Its id, slug or name
        tenant: String,
        /// The administrator's e-mail address
        email: String,
        /// The administrator's name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Move a tenant, with all that stand beneath it, beneath another one or to the root
    Move {
        /// Its id, slug or name
        tenant: String,
        /// The tenant that it shall stand beneath: its id, slug or name
        #[arg(long, value_name = "TENANT", required_unless_present = "root", conflicts_with = "root")]
        beneath: Option<String>,
        /// Directly beneath the installation
        #[arg(long)]
        root: bool,
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
    /// Take all of a tenant away in one file, shut by a passphrase; import restores it elsewhere
    Export {
        /// Its id, slug or name
        tenant: String,
        /// Where to put the file
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Shut the tenant first, so that it never lives twice: people, programs and binds are refused from then on. Messages
        /// that a carrier has not answered yet are told
        #[arg(long)]
        suspend: bool,
        #[command(flatten)]
        passphrase: PassphraseFlags,
        /// Do not ask the server: by the database itself, where no server runs
        #[arg(long)]
        offline: bool,
    },
    /// Restore a tenant from a file that export has written. Everything is checked before anything is written
    Import {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Open the tenant at once; without it you open it when you have compared the hashes
        #[arg(long)]
        open: bool,
        /// The public key of the tenant's audit trail, as it was kept elsewhere: base64url, or PEM
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
        #[command(flatten)]
        passphrase: PassphraseFlags,
        /// Do not ask the server: into the database itself, where no server runs
        #[arg(long)]
        offline: bool,
    },
    /// The number of rows and the hash of each table of a tenant: the same on every installation that has it
    Hash {
        /// Its id, slug or name
        tenant: String,
        /// Do not ask the server: by the database itself
        #[arg(long)]
        offline: bool,
    },
    /// The certificate of an erasure, for a file of yours; verify erasure reads it without a server
    Certificate {
        /// The erasure's id
        erasure: String,
    },
}

/// A tenant to be created.
#[derive(Debug, clap::Args)]
pub(super) struct Opening {
    /// What people call it
    name: String,
    /// Its short name; made of the name when not given
    #[arg(long)]
    slug: Option<String>,
    #[command(flatten)]
    flags: Flags,
    /// The tenant that it shall stand beneath: its id, slug or name
    #[arg(long, value_name = "TENANT")]
    beneath: Option<String>,
    /// It may have tenants beneath it
    #[arg(long)]
    reseller: bool,
    /// The e-mail address of its first administrator, who gets a sign-in link
    #[arg(long, value_name = "EMAIL")]
    admin: Option<String>,
    /// The administrator's name
    #[arg(long, value_name = "NAME", requires = "admin")]
    admin_name: Option<String>,
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
pub(super) async fn run(
    command: &TenantCommand,
    (flags, reach): (&ConfigFlags, &ReachFlags),
    out: &Out,
) -> Result<(), Failure> {
    match command {
        TenantCommand::Export { tenant, to, suspend, passphrase, offline: true } => {
            suitcase::export_offline((tenant, to), *suspend, passphrase.read()?, (flags, out)).await
        }
        TenantCommand::Import { file, open, public_key, passphrase, offline: true } => {
            let wish = (*open, public_key.clone());
            suitcase::import_offline(file, wish, passphrase.read()?, (flags, out)).await
        }
        TenantCommand::Hash { tenant, offline: true } => suitcase::hash_offline(tenant, flags, out).await,
        _ => ask(command, &Client::new(flags, reach)?, out).await,
    }
}

async fn ask(command: &TenantCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        TenantCommand::List { beneath, page } => {
            return list(client, beneath.as_deref(), page, out).await;
        }
        TenantCommand::Create(new) => create(new, client).await?,
        TenantCommand::Show { tenant } => {
            client.get(&["tenants", &client.find(&KIND, tenant).await?], &[]).await?
        }
        TenantCommand::Invite { tenant, email, name } => {
            let body = json!({ "email": email, "name": name.as_ref().unwrap_or(email) });
            client.post(&["tenants", &client.find(&KIND, tenant).await?, "administrator"], &body).await?
        }
        TenantCommand::Move { tenant, beneath, .. } => {
            let body = json!({ "parent": found(client, beneath.as_deref()).await? });
            let tenant = client.find(&KIND, tenant).await?;
            client.write(Method::PUT, &["tenants", &tenant, "parent"], Some(&body)).await?
        }
        TenantCommand::Change { tenant, name, flags, status, reseller } => {
            let body = Members::default()
                .with("name", name.clone())
                .with("locale", flags.locale.clone())
                .with("time_zone", flags.time_zone.clone())
                .with("currency", flags.currency.clone())
                .with("status", status.clone())
                .with("reseller", *reseller);
            client.patch(&["tenants", &client.find(&KIND, tenant).await?], &body.value()).await?
        }
        TenantCommand::Export { .. } | TenantCommand::Import { .. } | TenantCommand::Hash { .. } => {
            return travel(command, client, out).await;
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

/// The id of a tenant, where one is named.
async fn found(client: &Client, named: Option<&str>) -> Result<Option<String>, Failure> {
    match named {
        Some(named) => client.find(&KIND, named).await.map(Some),
        None => Ok(None),
    }
}

async fn list(client: &Client, beneath: Option<&str>, page: &PageFlags, out: &Out) -> Result<(), Failure> {
    let columns = [
        ("ID", "/id"),
        ("SLUG", "/slug"),
        ("NAME", "/name"),
        ("STATUS", "/status"),
        ("DEPTH", "/depth"),
        ("BENEATH", "/parent"),
        ("CREATED", "/created_at"),
    ];
    let mut query = page.query();
    query.push(("beneath", found(client, beneath).await?));
    client.get(&["tenants"], &query).await?.show_page(out, &columns);
    Ok(())
}

async fn create(new: &Opening, client: &Client) -> Result<Answer, Failure> {
    let Opening { name, slug, flags, beneath, reseller, admin, admin_name } = new;
    let administrator =
        admin.as_ref().map(|email| json!({ "email": email, "name": admin_name.as_ref().unwrap_or(email) }));
    let body = Members::default()
        .with("name", Some(name.clone()))
        .with("slug", slug.clone())
        .with("locale", flags.locale.clone())
        .with("time_zone", flags.time_zone.clone())
        .with("currency", flags.currency.clone())
        .with("parent", found(client, beneath.as_deref()).await?)
        .with("reseller", reseller.then_some(true))
        .with("administrator", administrator);
    client.post(&["tenants"], &body.value()).await
}

/// What is about all of a tenant in one file.
async fn travel(command: &TenantCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        TenantCommand::Export { tenant, to, suspend, passphrase, .. } => {
            let (tenant, passphrase) = (client.find(&KIND, tenant).await?, passphrase.read()?);
            suitcase::export(client, (&tenant, to), (*suspend, &passphrase), out).await
        }
        TenantCommand::Import { file, open, public_key, passphrase, .. } => {
            let passphrase = passphrase.read()?;
            suitcase::import(client, (file, *open), (&passphrase, public_key.as_deref()), out).await
        }
        TenantCommand::Hash { tenant, .. } => {
            let hashes = client.get(&["tenants", &client.find(&KIND, tenant).await?, "hashes"], &[]).await?;
            suitcase::tell_hashes(&hashes.value, out);
            Ok(())
        }
        _ => Ok(()),
    }
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
