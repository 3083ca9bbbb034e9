//! `switchboard organisation`: one's own organisation, its looks, its domains, its end.

use clap::Subcommand;
use serde_json::json;

use super::client::{Client, Kind};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const DOMAIN: Kind = Kind { path: "domains", prefix: "dom", noun: "domain", names: &["host"] };

/// What to do with the organisation.
#[derive(Debug, Subcommand)]
pub(super) enum OrganisationCommand {
    /// Its settings
    Show,
    /// Change its settings; what is not named stays
    Change {
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// The language and region of its texts (BCP 47)
        #[arg(long)]
        locale: Option<String>,
        /// The zone its people live by (IANA), such as Europe/Paris
        #[arg(long)]
        time_zone: Option<String>,
        /// The currency of its prices (ISO 4217)
        #[arg(long)]
        currency: Option<String>,
        /// Where its people ask for help; an empty text for nowhere
        #[arg(long, value_name = "EMAIL")]
        support_email: Option<String>,
        /// Its colour, such as #0b625d; an empty text for ours
        #[arg(long, value_name = "COLOUR")]
        accent: Option<String>,
    },
    /// Give it a logo: PNG, JPEG or WebP
    Logo {
        /// The picture
        #[arg(required_unless_present = "remove")]
        file: Option<std::path::PathBuf>,
        /// Take it away
        #[arg(long, conflicts_with = "file")]
        remove: bool,
    },
    /// Its own domains
    Domains,
    /// Add a domain, which is to be proved then
    AddDomain {
        /// The host, such as sms.example.com
        host: String,
    },
    /// Look for a domain's proof
    CheckDomain {
        /// Its host or id
        domain: String,
    },
    /// Remove a domain
    RemoveDomain {
        /// Its host or id
        domain: String,
    },
    /// Ask for its erasure: everything of it, for ever. It can be called off until the time that is told
    Erase {
        /// Its name, as it is, to say that you mean it
        #[arg(long)]
        name: String,
    },
    /// Call its erasure off
    CallOff,
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses; a file that cannot be read.
pub(super) async fn run(command: &OrganisationCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        OrganisationCommand::Show => client.get(&["organisation"], &[]).await?,
        OrganisationCommand::Change { name, locale, time_zone, currency, support_email, accent } => {
            let body = Members::default()
                .with("name", name.clone())
                .with("locale", locale.clone())
                .with("time_zone", time_zone.clone())
                .with("currency", currency.clone())
                .with("support_email", support_email.clone())
                .with("accent", accent.clone());
            client.patch(&["organisation"], &body.value()).await?
        }
        OrganisationCommand::Logo { file: Some(file), .. } => {
            let octets = std::fs::read(file).map_err(|error| {
                Failure::failed(format!("{} cannot be read: {error}", file.display()), "check the path.")
            })?;
            client.put_octets(&["organisation", "logo"], &[], octets).await?
        }
        OrganisationCommand::Logo { file: None, .. } => client.remove(&["organisation", "logo"], &[]).await?,
        OrganisationCommand::Domains => {
            let columns = [
                ("ID", "/id"),
                ("HOST", "/host"),
                ("PROVED", "/proved_at"),
                ("LINE", "/token"),
                ("PROBLEM", "/problem"),
            ];
            client.get(&["domains"], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        OrganisationCommand::AddDomain { host } => {
            let added = client.post(&["domains"], &json!({ "host": host })).await?;
            added.show(out, |value| {
                out.facts(value, &["id", "host", "token"]);
                out.note(&format!(
                    "Put the token as a line into http://{host}/.well-known/switchboard-domain.txt, then: switchboard organisation check-domain {host}"
                ));
            });
            return Ok(());
        }
        OrganisationCommand::CheckDomain { domain } => {
            client.act(&["domains", &client.find(&DOMAIN, domain).await?, "check"]).await?
        }
        OrganisationCommand::RemoveDomain { domain } => {
            client.remove(&["domains", &client.find(&DOMAIN, domain).await?], &[]).await?;
            out.note("The domain is removed.");
            return Ok(());
        }
        OrganisationCommand::Erase { name } => {
            client.post(&["organisation", "erasure"], &json!({ "name": name })).await?
        }
        OrganisationCommand::CallOff => client.remove(&["organisation", "erasure"], &[]).await?,
    };
    answer.show(out, |value| out.facts(value, &["id", "name", "host", "slug", "status", "erase_at"]));
    Ok(())
}
