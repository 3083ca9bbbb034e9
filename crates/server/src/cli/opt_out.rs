//! `switchboard opt-out`: who does not want to be written to.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;

use super::blacklist::read;
use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

/// What to do with the opt-out list.
#[derive(Debug, Subcommand)]
pub(super) enum OptOutCommand {
    /// The entries, newest first
    List {
        /// Only of this phone
        #[arg(long)]
        phone: Option<String>,
        /// Only of this scope: number, marketing, all
        #[arg(long)]
        scope: Option<String>,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Put a phone on the list
    Add {
        /// The phone in international form
        phone: String,
        /// What it gets no more of: number, marketing, all
        #[arg(long)]
        scope: Option<String>,
        /// The sender, for the scope number
        #[arg(long)]
        number: Option<String>,
        /// Where it comes from
        #[arg(long)]
        source: Option<String>,
    },
    /// Put the lines of a CSV file on the list: phone, or phone,scope,number
    Import {
        /// The file; - for standard input
        file: PathBuf,
        /// What lines without a scope are: number, marketing, all
        #[arg(long)]
        scope: Option<String>,
        /// Where the list comes from
        #[arg(long)]
        source: Option<String>,
    },
    /// The whole list as CSV
    Export,
    /// Take an entry off the list, with the recipient's consent
    Remove {
        /// Its id
        entry: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses; for an import also when a line could not be read.
pub(super) async fn run(command: &OptOutCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        OptOutCommand::List { phone, scope, page } => {
            let mut query = page.query();
            query.extend([("phone", phone.clone()), ("scope", scope.clone())]);
            let columns = [
                ("ID", "/id"),
                ("PHONE", "/phone"),
                ("SCOPE", "/scope"),
                ("NUMBER", "/number"),
                ("WORD", "/word"),
                ("SOURCE", "/source"),
                ("SINCE", "/at"),
            ];
            client.get(&["opt-outs"], &query).await?.show_page(out, &columns);
        }
        OptOutCommand::Add { phone, scope, number, source } => {
            let body = Members::default()
                .with("phone", Some(phone.clone()))
                .with("scope", scope.clone())
                .with("number", number.clone())
                .with("source", source.clone());
            let answer = client.post(&["opt-outs"], &body.value()).await?;
            answer.show(out, |value| out.facts(value, &["id", "phone", "scope", "at"]));
        }
        OptOutCommand::Import { file, scope, source } => {
            let body = Members::default()
                .with("text", Some(read(file)?))
                .with("scope", scope.clone())
                .with("source", source.clone());
            let answer = client.post(&["opt-outs", "import"], &body.value()).await?;
            answer.show(out, |value| {
                out.note(&format!("{} phones are on the list.", value["added"]));
                let refused = value["refused"].as_array().map_or(&[][..], Vec::as_slice);
                if !refused.is_empty() {
                    out.table(refused, &[("LINE", "/line"), ("WHY", "/why")]);
                }
            });
            if answer.value["refused_count"] != 0 {
                return Err(Failure::shown());
            }
        }
        OptOutCommand::Export => {
            let answer = client.get(&["opt-outs", "export"], &[]).await?;
            out.text(&answer.text);
        }
        OptOutCommand::Remove { entry } => {
            client.write(Method::DELETE, &["opt-outs", entry], None).await?;
            out.note("Removed.");
        }
    }
    Ok(())
}
