//! `switchboard blacklist`: numbers, prefixes, senders, phrases, addresses, keys.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;

use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::firewall::{self, CheckArgs};
use super::set::Members;
use super::show::Out;

/// What to do with the blacklist.
#[derive(Debug, Subcommand)]
pub(super) enum BlacklistCommand {
    /// The entries, newest first
    List {
        /// Only of this kind: number, prefix, ip, sender, key, content
        #[arg(long)]
        kind: Option<String>,
        /// Only what is about this number, sender, address, key or text now
        #[arg(long, value_name = "VALUE")]
        catches: Option<String>,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Put something on the blacklist
    Add {
        /// The number, prefix, sender, phrase, network or key's id
        value: String,
        /// What it is: number, prefix, ip, sender, key, content
        #[arg(long, default_value = "number")]
        kind: String,
        #[command(flatten)]
        about: About,
    },
    /// Put the lines of a file on the blacklist
    Import {
        /// The file; - for standard input
        file: PathBuf,
        /// What lines without a kind are
        #[arg(long, default_value = "number")]
        kind: String,
        #[command(flatten)]
        about: About,
    },
    /// Take an entry off the blacklist
    Remove {
        /// Its id
        entry: String,
    },
    /// What the gates would say about a message, and why. Nothing is sent
    Check(CheckArgs),
}

/// What people should know about entries.
#[derive(Debug, Default, clap::Args)]
pub(super) struct About {
    /// Why; whoever is refused sees it
    #[arg(long)]
    reason: Option<String>,
    /// Where it comes from
    #[arg(long)]
    source: Option<String>,
    /// Until when, e.g. 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

impl About {
    fn members(&self) -> Members {
        Members::default()
            .with("reason", self.reason.clone())
            .with("source", self.source.clone())
            .with("expires_at", self.expires_at.clone())
    }
}

pub(super) fn read(file: &PathBuf) -> Result<String, Failure> {
    let read = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    read.map_err(|error| {
        Failure::usage(
            format!("{} cannot be read: {error}", file.display()),
            "give a text file, or - for standard input.",
        )
    })
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses; for an import also when a line could not be read.
pub(super) async fn run(command: &BlacklistCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        BlacklistCommand::List { kind, catches, page } => {
            let mut query = page.query();
            query.extend([("kind", kind.clone()), ("catches", catches.clone())]);
            let columns = [
                ("ID", "/id"),
                ("KIND", "/kind"),
                ("VALUE", "/value"),
                ("REASON", "/reason"),
                ("SOURCE", "/source"),
                ("EXPIRES", "/expires_at"),
            ];
            client.get(&["blacklist"], &query).await?.show_page(out, &columns);
            Ok(())
        }
        BlacklistCommand::Add { value, kind, about } => {
            let body = about.members().with("value", Some(value.clone())).with("kind", Some(kind.clone()));
            let answer = client.post(&["blacklist"], &body.value()).await?;
            answer.show(out, |value| out.facts(value, &["id", "kind", "value", "reason"]));
            Ok(())
        }
        BlacklistCommand::Import { file, kind, about } => {
            let body = about.members().with("text", Some(read(file)?)).with("kind", Some(kind.clone()));
            let answer = client.post(&["blacklist", "import"], &body.value()).await?;
            answer.show(out, |value| {
                out.note(&format!("{} entries are on the list.", value["added"]));
                let refused = value["refused"].as_array().map_or(&[][..], Vec::as_slice);
                if !refused.is_empty() {
                    out.table(refused, &[("LINE", "/line"), ("WHY", "/why")]);
                }
            });
            if answer.value["refused_count"] == 0 { Ok(()) } else { Err(Failure::shown()) }
        }
        BlacklistCommand::Remove { entry } => {
            client.write(Method::DELETE, &["blacklist", entry], None).await?;
            out.note("Removed.");
            Ok(())
        }
        BlacklistCommand::Check(args) => firewall::check(args, client, out).await,
    }
}
