//! `switchboard application`: applications that ask for tokens.

use clap::Subcommand;
use reqwest::Method;

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::key::permissions;
use super::set::Members;
use super::show::Out;

const KIND: Kind = Kind { path: "oauth-clients", prefix: "app", noun: "application", names: &["name"] };

/// What to do with applications.
#[derive(Debug, Subcommand)]
pub(super) enum ApplicationCommand {
    /// The tenant's applications, newest first
    List(PageFlags),
    /// Register an application. Its secret is shown this once
    Create {
        /// What people call it
        name: String,
        /// A permission that its tokens can have; repeat it or separate with commas
        #[arg(long = "scope", value_name = "PERMISSION", value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        /// It runs on people's own machines and keeps no secret
        #[arg(long)]
        public: bool,
        /// An address that people are led back to; repeat it
        #[arg(long = "redirect-uri", value_name = "ADDRESS")]
        redirect_uris: Vec<String>,
        /// A network it may be used from; repeat it or separate with commas
        #[arg(long = "network", value_name = "NETWORK", value_delimiter = ',')]
        networks: Vec<String>,
    },
    /// Change an application; its tokens are judged by what is new
    Change {
        /// Its id or name
        which: String,
        /// What people call it from now on
        #[arg(long)]
        name: Option<String>,
        /// All the permissions that its tokens can have
        #[arg(long = "scope", value_name = "PERMISSION", value_delimiter = ',')]
        scopes: Vec<String>,
        /// All the addresses that people are led back to; none for no address
        #[arg(long = "redirect-uri", value_name = "ADDRESS")]
        redirect_uris: Vec<String>,
        /// All the networks it may be used from; none for everywhere
        #[arg(long = "network", value_name = "NETWORK", value_delimiter = ',')]
        networks: Vec<String>,
    },
    /// Give a confidential application a new secret, which is shown this once
    Rotate {
        /// Its id or name
        which: String,
        /// For how many seconds the former secret is let in; a day when not given, 0 for one that leaked
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
    },
    /// Remove an application: its tokens are refused from the next request on
    Delete {
        /// Its id or name
        which: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &ApplicationCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        ApplicationCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("KIND", "/kind"),
                ("SCOPES", "/scopes"),
                ("LAST USED", "/last_used_at"),
            ];
            client.get(&["oauth-clients"], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        ApplicationCommand::Create { name, scopes, public, redirect_uris, networks } => {
            let body = Members::default()
                .with("name", Some(name.clone()))
                .with("scopes", Some(permissions(scopes)?.to_vec()))
                .with("kind", public.then_some("public"))
                .with_list("redirect_uris", redirect_uris)
                .with_list("networks", networks);
            client.post(&["oauth-clients"], &body.value()).await?
        }
        ApplicationCommand::Change { which, name, scopes, redirect_uris, networks } => {
            let id = client.find(&KIND, which).await?;
            let body = Members::default()
                .with("name", name.clone())
                .with_list("scopes", permissions(scopes)?)
                .with_list("redirect_uris", redirect_uris)
                .with_list("networks", networks)
                .value();
            client.write(Method::PATCH, &["oauth-clients", &id], Some(&body)).await?
        }
        ApplicationCommand::Rotate { which, overlap } => {
            let id = client.find(&KIND, which).await?;
            let body = Members::default().with("overlap_s", *overlap).value();
            client.post(&["oauth-clients", &id, "rotate"], &body).await?
        }
        ApplicationCommand::Delete { which } => {
            let id = client.find(&KIND, which).await?;
            client.write(Method::DELETE, &["oauth-clients", &id], None).await?;
            out.note("Removed.");
            return Ok(());
        }
    };
    let created = matches!(command, ApplicationCommand::Create { public: false, .. });
    let with_secret = created || matches!(command, ApplicationCommand::Rotate { .. });
    answer.show(out, |value| out.facts(value, &["id", "name", "kind", "secret", "scopes", "redirect_uris"]));
    if with_secret {
        out.note("Keep the secret now: it is not shown again.");
    }
    Ok(())
}
