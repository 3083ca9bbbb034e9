//! `switchboard key`: API keys.

use clap::{Args, Subcommand};
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
        /// A key for tests: it reads and sends, to the simulator alone
        #[arg(long)]
        test: bool,
        #[command(flatten)]
        guards: Guards,
        /// From when it is refused (RFC 3339), e.g. 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Change a key's name, networks or rate
    Change {
        /// Its id or name
        which: String,
        /// What people call it from now on
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        guards: Guards,
    },
    /// Give a key a new secret, which is shown this once; the former is let in for a while
    Rotate {
        /// Its id or name
        which: String,
        /// For how many seconds the former secret is let in; a day when not given, 0 for one that leaked
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
    },
    /// End a key's former secret before its time
    EndFormer {
        /// Its id or name
        which: String,
    },
    /// Revoke a key: the next request with it is refused
    Revoke {
        /// Its id or name
        which: String,
    },
}

/// From where a key may be used, and how often.
#[derive(Debug, Args)]
pub(super) struct Guards {
    /// A network it may be used from, e.g. 192.0.2.0/24; repeat it or separate with commas; none for everywhere
    #[arg(long = "network", value_name = "NETWORK", value_delimiter = ',')]
    networks: Vec<String>,
    /// Requests a second; 0 for the installation's rate
    #[arg(long, value_name = "NUMBER")]
    rate: Option<u32>,
    /// Requests at once
    #[arg(long, value_name = "NUMBER")]
    burst: Option<u32>,
}

impl Guards {
    fn onto(&self, members: Members) -> Members {
        members
            .with_list("networks", &self.networks)
            .with("rate_per_second", self.rate)
            .with("rate_burst", self.burst)
    }
}

/// Permissions as they are given, each a known one.
pub(super) fn permissions(scopes: &[String]) -> Result<&[String], Failure> {
    match scopes.iter().find(|scope| Permissions::named(scope).is_none()) {
        None => Ok(scopes),
        Some(unknown) => {
            let known: Vec<_> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
            let hint = format!("the permissions are {}.", known.join(", "));
            Err(Failure::usage(format!("{unknown:?} is no permission"), hint))
        }
    }
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
                ("KIND", "/kind"),
                ("BEGINS", "/shown"),
                ("SCOPES", "/scopes"),
                ("LAST USED", "/last_used_at"),
                ("EXPIRES", "/expires_at"),
                ("REVOKED", "/revoked_at"),
            ];
            client.get(&["api-keys"], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        KeyCommand::Create { name, scopes, test, guards, expires_at } => {
            let body = Members::default()
                .with("name", Some(name.clone()))
                .with("scopes", Some(permissions(scopes)?.to_vec()))
                .with("kind", test.then_some("test"))
                .with("expires_at", expires_at.clone());
            client.post(&["api-keys"], &guards.onto(body).value()).await?
        }
        KeyCommand::Change { which, name, guards } => {
            let id = client.find(&KIND, which).await?;
            let body = guards.onto(Members::default().with("name", name.clone())).value();
            client.write(Method::PATCH, &["api-keys", &id], Some(&body)).await?
        }
        KeyCommand::Rotate { which, overlap } => {
            let id = client.find(&KIND, which).await?;
            let body = Members::default().with("overlap_s", *overlap).value();
            client.post(&["api-keys", &id, "rotate"], &body).await?
        }
        KeyCommand::EndFormer { which } => {
            let id = client.find(&KIND, which).await?;
            client.write(Method::DELETE, &["api-keys", &id, "former-secret"], None).await?
        }
        KeyCommand::Revoke { which } => {
            let id = client.find(&KIND, which).await?;
            client.write(Method::DELETE, &["api-keys", &id], None).await?
        }
    };
    answer.show(out, |value| out.facts(value, &["id", "name", "kind", "secret", "scopes", "networks"]));
    if matches!(command, KeyCommand::Create { .. } | KeyCommand::Rotate { .. }) {
        out.note("Keep the secret now: it is not shown again.");
    }
    Ok(())
}
