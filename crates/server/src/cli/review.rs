//! `switchboard review`: who may do what, looked at once a quarter.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::show::Out;

/// What to do with reviews.
#[derive(Debug, Subcommand)]
pub(super) enum ReviewCommand {
    /// Reviews, newest first
    List(PageFlags),
    /// Open a review now; one is opened by itself in each quarter
    Open,
    /// The lines of a review; with --json everything about it
    Show {
        /// Its id
        id: String,
    },
    /// A review as CSV
    Csv {
        /// Its id
        id: String,
    },
    /// Let a user, a key or a grant keep what it holds
    Keep {
        /// The review's id
        id: String,
        /// The line's number
        line: i64,
        /// Why
        #[arg(long)]
        note: Option<String>,
    },
    /// Take away at once: a user is disabled, a key revoked, a grant ended
    Revoke {
        /// The review's id
        id: String,
        /// The line's number
        line: i64,
        /// Why
        #[arg(long)]
        note: Option<String>,
    },
    /// Close a review whose lines are all decided
    Close {
        /// Its id
        id: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &ReviewCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let first = ["id", "quarter", "lines", "undecided", "revoked"];
    let (id, line, decision, note) = match command {
        ReviewCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("QUARTER", "/quarter"),
                ("OPENED", "/opened_at"),
                ("LINES", "/lines"),
                ("UNDECIDED", "/undecided"),
                ("REVOKED", "/revoked"),
                ("CLOSED", "/closed_at"),
            ];
            client.get(&["reviews"], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        ReviewCommand::Open => {
            client.act(&["reviews"]).await?.show(out, |value| out.facts(value, &first));
            return Ok(());
        }
        ReviewCommand::Show { id } => {
            let answer = client.get(&["reviews", id], &[]).await?;
            answer.show(out, |value| {
                let columns = [
                    ("LINE", "/number"),
                    ("KIND", "/kind"),
                    ("WHO", "/name"),
                    ("HOLDS", "/held"),
                    ("LAST USED", "/last_used_at"),
                    ("REMARKS", "/remarks"),
                    ("DECISION", "/decision"),
                ];
                out.table(value["all"].as_array().map_or(&[][..], Vec::as_slice), &columns);
            });
            return Ok(());
        }
        ReviewCommand::Csv { id } => {
            let answer = client.download(&["reviews", id, "csv"], &[]).await?;
            out.text(&answer.text().await.unwrap_or_default());
            return Ok(());
        }
        ReviewCommand::Close { id } => {
            client.act(&["reviews", id, "close"]).await?.show(out, |value| out.facts(value, &first));
            return Ok(());
        }
        ReviewCommand::Keep { id, line, note } => (id, line, "keep", note),
        ReviewCommand::Revoke { id, line, note } => (id, line, "revoke", note),
    };
    let mut body = json!({ "line": line, "decision": decision });
    if let (Some(note), Value::Object(members)) = (note, &mut body) {
        members.insert("note".to_owned(), note.clone().into());
    }
    let answer = client.post(&["reviews", id, "decide"], &body).await?;
    answer.show(out, |value| out.facts(value, &["number", "name", "held", "decision"]));
    Ok(())
}
