//! `switchboard privacy`: what persons ask by data protection law.

use std::path::PathBuf;

use ::privacy::certificate::{self, SignedCertificate};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::blacklist::read;
use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::show::Out;

mod retention;

pub(super) use retention::RetentionCommand;

/// What to do about personal data.
#[derive(Debug, Subcommand)]
pub(super) enum PrivacyCommand {
    /// Requests of persons, newest first
    Requests {
        /// Only in this state: open, working, done, refused
        #[arg(long)]
        state: Option<String>,
        /// Only what is not answered and overdue
        #[arg(long)]
        overdue: bool,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Take in a request
    Open {
        /// What is asked for: access, portability, rectification, erasure, restriction, objection
        kind: String,
        /// The person's phones, mail addresses or user ids
        #[arg(required = true)]
        identifiers: Vec<String>,
        /// What the person says; for a rectification what is right
        #[arg(long, default_value = "")]
        note: String,
    },
    /// One request, with what was done about it
    Show {
        /// Its id
        request: String,
    },
    /// What is kept about the person of a request now, by table
    Preview {
        /// Its id
        request: String,
    },
    /// Note how the identity of whoever asks was checked
    Check {
        /// The request's id
        request: String,
        /// How
        reason: String,
    },
    /// Extend the time for an answer, once
    Extend {
        /// The request's id
        request: String,
        /// Why
        reason: String,
    },
    /// Refuse a request
    Refuse {
        /// The request's id
        request: String,
        /// Why
        reason: String,
    },
    /// Carry a request out; an erasure cannot be undone
    CarryOut {
        /// The request's id
        request: String,
        /// Erase without asking again
        #[arg(long)]
        yes: bool,
    },
    /// Lift the restriction, or take back the objection, of a request
    Lift {
        /// The request's id
        request: String,
        /// Why
        reason: String,
    },
    /// Save what was gathered for a request
    Download {
        /// The request's id
        request: String,
        /// The file
        file: PathBuf,
        /// As a page for people, not as JSON
        #[arg(long)]
        html: bool,
    },
    /// The certificate of an erasure, as JSON
    Certificate {
        /// The request's id
        request: String,
    },
    /// Verify a certificate. Asks no server
    Verify {
        /// The certificate's file; - for standard input
        file: PathBuf,
        /// The public key that must have signed it, as `audit checkpoints` shows it
        #[arg(long)]
        key: Option<String>,
    },
    /// Set a person's legal hold, or lift it
    Hold {
        /// A phone, a mail address or a user's id
        identifier: String,
        /// Which law or case keeps the data; without it the hold is lifted
        #[arg(long)]
        reason: Option<String>,
    },
    /// Erase again everybody who was erased, such as after an old file was imported
    Reapply,
    /// For how long each class of data is kept
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// The processing register
    Register,
    /// Times, and the tenant's part of the register; with a file, replace them
    Settings {
        /// JSON as it is shown without a file; - for standard input
        file: Option<PathBuf>,
    },
    /// Consents and withdrawals, newest first
    Consents {
        /// Only of whoever has this phone, mail address or user id
        #[arg(long)]
        identifier: Option<String>,
        /// Only for this purpose
        #[arg(long)]
        purpose: Option<String>,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Record a consent
    Consent {
        /// The person's phone, mail address or user id
        identifier: String,
        /// What for, such as marketing
        purpose: String,
        /// By which channel, such as sms
        channel: String,
        /// Where it comes from
        #[arg(long, default_value = "command line")]
        source: String,
        /// The text that the person was shown
        #[arg(long, default_value = "")]
        shown: String,
        /// It is withdrawn, not given
        #[arg(long)]
        withdrawn: bool,
    },
    /// Breaches of personal data, newest first
    Breaches {
        #[command(flatten)]
        page: PageFlags,
    },
    /// Note a breach; its clock runs from now
    Breach {
        /// In a line
        title: String,
        /// What happened
        #[arg(long, default_value = "")]
        about: String,
        /// About how many persons it concerns
        #[arg(long)]
        persons: Option<i64>,
    },
    /// Note what was done about a breach
    BreachStep {
        /// The breach's id
        breach: String,
        /// note, authority_told, persons_told or closed
        step: String,
        /// In words
        note: String,
    },
}

const FACTS: &[&str] = &[
    "id",
    "kind",
    "state",
    "person",
    "opened_at",
    "due_at",
    "overdue",
    "checked_at",
    "waits_for",
    "ended_at",
    "file_until",
];

/// Verifies a certificate without a server.
///
/// # Errors
/// What is wrong with it.
pub(super) fn verify(file: &PathBuf, key: Option<&str>, out: &Out) -> Result<(), Failure> {
    let signed: SignedCertificate = serde_json::from_str(&read(file)?).map_err(|_| {
        Failure::usage("this is no certificate", "give the file as the server handed it out.")
    })?;
    let told = certificate::verify(&signed, key)?;
    let value = serde_json::to_value(&told).map_err(types::Error::internal)?;
    if out.json() {
        out.line(&value.to_string());
        return Ok(());
    }
    out.line("The certificate is as it was signed.");
    out.facts(&value, &["tenant", "request", "person", "before", "at", "key_destroyed", "signed_by"]);
    for name in ["erased", "kept"] {
        out.line("");
        out.heading(name);
        let rows = value[name].as_array().map_or(&[][..], Vec::as_slice);
        out.table(rows, &[("TABLE", "/table"), ("WHAT", "/title"), ("ROWS", "/rows"), ("WHY", "/why")]);
    }
    if key.is_none() {
        out.note("Verified with the key that it names; give --key to hold it against the one you know.");
    }
    Ok(())
}

async fn decide(client: &Client, out: &Out, request: &str, what: &str, reason: &str) -> Result<(), Failure> {
    let path = ["privacy", "requests", request, what];
    let answer = client.post(&path, &json!({ "reason": reason })).await?;
    answer.show(out, |value| out.facts(value, FACTS));
    Ok(())
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &PrivacyCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        PrivacyCommand::Requests { state, overdue, page } => {
            let mut query = page.query();
            query.extend([("state", state.clone()), ("overdue", overdue.then(|| "true".to_owned()))]);
            let columns = [
                ("ID", "/id"),
                ("KIND", "/kind"),
                ("STATE", "/state"),
                ("DUE", "/due_at"),
                ("OVERDUE", "/overdue"),
                ("WAITS FOR", "/waits_for"),
            ];
            client.get(&["privacy", "requests"], &query).await?.show_page(out, &columns);
        }
        PrivacyCommand::Open { kind, identifiers, note } => {
            let body = json!({ "kind": kind, "identifiers": identifiers, "note": note });
            let answer = client.post(&["privacy", "requests"], &body).await?;
            answer.show(out, |value| out.facts(value, FACTS));
        }
        PrivacyCommand::Show { request } => show(client, out, request).await?,
        PrivacyCommand::Preview { request } => {
            let answer = client.get(&["privacy", "requests", request, "preview"], &[]).await?;
            answer.show_page(out, &[("TABLE", "/table"), ("WHAT", "/title"), ("ROWS", "/rows")]);
        }
        PrivacyCommand::Check { request, reason } => decide(client, out, request, "check", reason).await?,
        PrivacyCommand::Extend { request, reason } => decide(client, out, request, "extend", reason).await?,
        PrivacyCommand::Refuse { request, reason } => decide(client, out, request, "refuse", reason).await?,
        PrivacyCommand::Lift { request, reason } => decide(client, out, request, "lift", reason).await?,
        PrivacyCommand::CarryOut { request, yes } => carry_out(client, out, request, *yes).await?,
        PrivacyCommand::Download { request, file, html } => {
            let format = html.then(|| "html".to_owned());
            download(client, out, (request, format), file).await?;
        }
        PrivacyCommand::Certificate { request } => {
            let answer = client.get(&["privacy", "requests", request, "certificate"], &[]).await?;
            out.text(&answer.text);
        }
        PrivacyCommand::Verify { file, key } => verify(file, key.as_deref(), out)?,
        PrivacyCommand::Hold { identifier, reason } => {
            let body = json!({ "identifier": identifier, "reason": reason });
            let answer = client.write(Method::PUT, &["privacy", "holds"], Some(&body)).await?;
            answer.show(out, |value| out.facts(value, &["person", "reason"]));
        }
        PrivacyCommand::Reapply => {
            let answer = client.act(&["privacy", "reapply"]).await?;
            answer.show(out, |value| out.note(&format!("{} marks are looked for.", value["tombstones"])));
        }
        PrivacyCommand::Retention(command) => retention::run(command, client, out).await?,
        PrivacyCommand::Register => {
            let answer = client.get(&["privacy", "register"], &[]).await?;
            answer.show(out, |value| register(value, out));
        }
        PrivacyCommand::Settings { file } => settings(client, out, file.as_ref()).await?,
        _ => records(command, client, out).await?,
    }
    Ok(())
}

async fn show(client: &Client, out: &Out, request: &str) -> Result<(), Failure> {
    let answer = client.get(&["privacy", "requests", request], &[]).await?;
    answer.show(out, |value| {
        out.facts(value, FACTS);
        let steps = value["steps"].as_array().map_or(&[][..], Vec::as_slice);
        out.line("");
        out.table(steps, &[("WHEN", "/at"), ("WHO", "/actor"), ("STEP", "/step"), ("NOTE", "/note")]);
    });
    Ok(())
}

async fn carry_out(client: &Client, out: &Out, request: &str, yes: bool) -> Result<(), Failure> {
    let shown = client.get(&["privacy", "requests", request], &[]).await?;
    if shown.value["kind"] == "erasure" && !yes {
        return Err(Failure::usage("an erasure cannot be undone", "say --yes to erase the person."));
    }
    let answer = client.act(&["privacy", "requests", request, "carry-out"]).await?;
    answer.show(out, |value| out.facts(value, FACTS));
    Ok(())
}

async fn download(
    client: &Client,
    out: &Out,
    (request, format): (&str, Option<String>),
    file: &std::path::Path,
) -> Result<(), Failure> {
    let response = client.download(&["privacy", "requests", request, "file"], &[("format", format)]).await?;
    let broken =
        |error: String| Failure::failed(format!("the file could not be saved: {error}"), "try again.");
    let octets = response.bytes().await.map_err(|error| broken(error.to_string()))?;
    std::fs::write(file, &octets).map_err(|error| broken(error.to_string()))?;
    out.note(&format!("Saved to {}.", file.display()));
    Ok(())
}

fn register(value: &Value, out: &Out) {
    out.facts(value, &["controller", "officer"]);
    let columns = [
        ("WHAT", "/title"),
        ("PURPOSE", "/purpose"),
        ("BASIS", "/legal_basis"),
        ("KEPT", "/kept"),
        ("ON ERASURE", "/erasure"),
    ];
    for name in ["program", "activities"] {
        out.line("");
        out.table(value[name].as_array().map_or(&[][..], Vec::as_slice), &columns);
    }
}

async fn settings(client: &Client, out: &Out, file: Option<&PathBuf>) -> Result<(), Failure> {
    let answer = match file {
        None => client.get(&["privacy", "settings"], &[]).await?,
        Some(file) => {
            let body: Value = serde_json::from_str(&read(file)?)
                .map_err(|error| Failure::usage(format!("the file is no JSON: {error}"), "correct it."))?;
            client.write(Method::PUT, &["privacy", "settings"], Some(&body)).await?
        }
    };
    out.text(&answer.text);
    Ok(())
}

/// Consents and breaches.
async fn records(command: &PrivacyCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        PrivacyCommand::Consents { identifier, purpose, page } => {
            let mut query = page.query();
            query.extend([("identifier", identifier.clone()), ("purpose", purpose.clone())]);
            let columns = [
                ("ID", "/id"),
                ("PERSON", "/identifier"),
                ("GIVEN", "/given"),
                ("PURPOSE", "/purpose"),
                ("CHANNEL", "/channel"),
                ("SOURCE", "/source"),
                ("WHEN", "/at"),
            ];
            client.get(&["privacy", "consents"], &query).await?.show_page(out, &columns);
        }
        PrivacyCommand::Consent { identifier, purpose, channel, source, shown, withdrawn } => {
            let body = json!({
                "identifier": identifier, "purpose": purpose, "channel": channel, "source": source, "shown": shown,
                "given": !withdrawn,
            });
            let answer = client.post(&["privacy", "consents"], &body).await?;
            answer.show(out, |value| out.facts(value, &["id", "person", "given", "purpose", "at"]));
        }
        PrivacyCommand::Breaches { page } => {
            let columns = [
                ("ID", "/id"),
                ("TITLE", "/title"),
                ("DISCOVERED", "/discovered_at"),
                ("DUE", "/due_at"),
                ("OVERDUE", "/overdue"),
                ("AUTHORITY", "/authority_told_at"),
                ("CLOSED", "/closed_at"),
            ];
            client.get(&["privacy", "breaches"], &page.query()).await?.show_page(out, &columns);
        }
        PrivacyCommand::Breach { title, about, persons } => {
            let body = json!({ "title": title, "about": about, "persons": persons });
            let answer = client.post(&["privacy", "breaches"], &body).await?;
            answer.show(out, |value| out.facts(value, &["id", "title", "due_at"]));
        }
        PrivacyCommand::BreachStep { breach, step, note } => {
            let body = json!({ "step": step, "note": note });
            let answer = client.post(&["privacy", "breaches", breach, "steps"], &body).await?;
            answer.show(out, |value| out.facts(value, &["id", "due_at", "authority_told_at", "closed_at"]));
        }
        _ => {}
    }
    Ok(())
}
