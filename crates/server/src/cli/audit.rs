//! `switchboard audit`: who did what. Verifying is `switchboard verify audit`.

use std::io::Write;

use clap::Subcommand;
use serde_json::Value;

use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::show::{self, Out};

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Who did what, newest first
    List {
        #[command(flatten)]
        filter: FilterFlags,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Take the trail away: as JSON lines that verify by themselves, or as CSV, to standard output or a file
    Export {
        #[command(flatten)]
        filter: FilterFlags,
        /// As CSV, which does not verify
        #[arg(long)]
        csv: bool,
        /// The file; standard output when not given
        #[arg(long, value_name = "FILE")]
        file: Option<std::path::PathBuf>,
    },
    /// Where the trail stands, the key to verify it with, and its newest checkpoints
    Checkpoints,
    /// Sign a checkpoint now
    Sign,
}

/// Which entries.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FilterFlags {
    /// Only what this user or key did: usr_…, key_…
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only this kind, such as user.refused
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<String>,
    /// Only what was done to this record: an id, or the address of a sign-in
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// From this day or instant on, e.g. 2026-01-31
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Up to the end of this day, or before this instant
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only entries with these letters in them
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

impl FilterFlags {
    fn query(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("actor", self.actor.clone()),
            ("type", self.kind.clone()),
            ("subject", self.subject.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("text", self.text.clone()),
        ]
    }
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses; a file that cannot be written.
pub(super) async fn run(command: &AuditCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        AuditCommand::List { filter, page } => {
            let mut query = filter.query();
            query.extend(page.query());
            let columns = [
                ("NO.", "/number"),
                ("WHEN", "/at"),
                ("WHO", "/actor"),
                ("WHAT", "/type"),
                ("ABOUT", "/subject"),
                ("FROM", "/from"),
            ];
            client.get(&["audit"], &query).await?.show_page(out, &columns);
        }
        AuditCommand::Export { filter, csv, file } => {
            let mut query = filter.query();
            query.push(("format", csv.then(|| "csv".to_owned())));
            export(client, &query, file.as_deref(), out).await?;
        }
        AuditCommand::Checkpoints => {
            client.get(&["audit", "checkpoints"], &[]).await?.show(out, |value| standing(value, out));
        }
        AuditCommand::Sign => {
            client.act(&["audit", "checkpoints"]).await?.show(out, |value| standing(value, out));
        }
    }
    Ok(())
}

fn standing(value: &Value, out: &Out) {
    out.line(&format!(
        "rows {} to {}, hash {}",
        show::words(&value["first"]),
        show::words(&value["last"]),
        show::words(&value["hash"])
    ));
    out.line(&format!("public key {}", show::words(&value["public_key"])));
    if let Some(checkpoints) = value["checkpoints"].as_array().filter(|all| !all.is_empty()) {
        out.table(
            checkpoints,
            &[
                ("CHECKPOINT", "/checkpoint"),
                ("WHEN", "/at"),
                ("ROW", "/number"),
                ("WHY", "/reason"),
                ("HASH", "/hash"),
            ],
        );
    }
}

/// Streams the export: it may be larger than memory.
async fn export(
    client: &Client,
    query: &[(&'static str, Option<String>)],
    file: Option<&std::path::Path>,
    out: &Out,
) -> Result<(), Failure> {
    let mut response = client.download(&["audit", "export"], query).await?;
    let failed = |error: std::io::Error| {
        Failure::failed(format!("the export could not be written: {error}"), "check the file and its folder.")
    };
    let mut sink: Box<dyn Write> = match file {
        Some(path) => Box::new(std::fs::File::create(path).map_err(failed)?),
        None => Box::new(std::io::stdout()),
    };
    while let Some(chunk) = response.chunk().await.map_err(|error| {
        Failure::failed(
            format!("the export broke off: {error}"),
            "take it again; what was written does not verify.",
        )
    })? {
        sink.write_all(&chunk).map_err(failed)?;
    }
    sink.flush().map_err(failed)?;
    if let Some(path) = file {
        out.note(&format!("Written to {}. Verify it: switchboard verify audit --file {0}", path.display()));
    }
    Ok(())
}
