//! `switchboard key`: API keys.

use clap::Subcommand;
use reqwest::Method;
use types::{Permission, Permissions};

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind = Kind { path: "api-keys", prefix: "key", noun: "API key", names: &["name"] };

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// The tenant's keys, newest first, the revoked ones too
    List(PageFlags),
    /// Create a key. Its secret is shown this once
    Create {
        /// What people call it
        name: String,
        /// A permission it has, e.g. message.send; repeat it or separate with commas
        #[arg(long = "scope", value_name = "PERMISSION", value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        /// From when it is refused (RFC 3339), e.g. 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Revoke a key: the next request with it is refused
    Revoke {
        /// Its id or name
        which: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &KeyCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        KeyCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("BEGINS", "/shown"),
                ("SCOPES", "/scopes"),
                ("LAST USED", "/last_used_at"),
                ("EXPIRES", "/expires_at"),
                ("REVOKED", "/revoked_at"),
            ];
            client.get(&["api-keys"], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        KeyCommand::Create { name, scopes, expires_at } => {
            if let Some(unknown) = scopes.iter().find(|scope| Permissions::named(scope).is_none()) {
                let known: Vec<_> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
                let hint = format!("the permissions are {}.", known.join(", "));
                return Err(Failure::usage(format!("{unknown:?} is no permission"), hint));
            }
            let body = Members::default()
                .with("name", Some(name.clone()))
                .with("scopes", Some(scopes.clone()))
                .with("expires_at", expires_at.clone());
            client.post(&["api-keys"], &body.value()).await?
        }
        KeyCommand::Revoke { which } => {
            let id = client.find(&KIND, which).await?;
            client.write(Method::DELETE, &["api-keys", &id], None).await?
        }
    };
    answer.show(out, |value| out.facts(value, &["id", "name", "secret", "scopes"]));
    if matches!(command, KeyCommand::Create { .. }) {
        out.note("Keep the secret now: it is not shown again.");
    }
    Ok(())
}
