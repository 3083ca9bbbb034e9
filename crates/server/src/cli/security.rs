//! `switchboard security`: security events.

use clap::Subcommand;

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const USER: Kind = Kind { path: "users", prefix: "usr", noun: "user", names: &["email"] };
const FIRST: [&str; 7] = ["id", "kind", "severity", "subject", "detail", "count", "state"];

/// What to do with security events.
#[derive(Debug, Subcommand)]
pub(super) enum SecurityCommand {
    /// Security events, newest first
    List {
        /// Only this kind, e.g. brute_force
        #[arg(long)]
        kind: Option<String>,
        /// Only those that are at least so bad: low, medium or high
        #[arg(long)]
        severity: Option<String>,
        /// Only those in this state: open, acknowledged or closed
        #[arg(long)]
        state: Option<String>,
        /// Only those about this user: an id or e-mail address
        #[arg(long)]
        user: Option<String>,
        /// Only those whose subject holds this
        #[arg(long)]
        subject: Option<String>,
        /// The platform's own instead of the tenant's
        #[arg(long)]
        platform: bool,
        #[command(flatten)]
        page: PageFlags,
    },
    /// How many wait, and how many there were on each of the last 30 days
    Summary {
        /// The platform's own instead of the tenant's
        #[arg(long)]
        platform: bool,
    },
    /// One event
    Show {
        /// Its id
        id: String,
    },
    /// Say that somebody looks into it
    Acknowledge {
        /// Its id
        id: String,
        /// What is to be noted
        #[arg(long)]
        note: Option<String>,
    },
    /// Close it
    Close {
        /// Its id
        id: String,
        /// Why: a value of the list security_closing, e.g. false_alarm
        #[arg(long)]
        reason: String,
        /// What is to be noted
        #[arg(long)]
        note: Option<String>,
    },
    /// Open it again
    Reopen {
        /// Its id
        id: String,
        /// What is to be noted
        #[arg(long)]
        note: Option<String>,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &SecurityCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let flag = |set: &bool| set.then(|| "true".to_owned());
    let (id, state, reason, note) = match command {
        SecurityCommand::List { kind, severity, state, user, subject, platform, page } => {
            let user = match user {
                Some(user) => Some(client.find(&USER, user).await?),
                None => None,
            };
            let mut query = page.query();
            query.extend([
                ("kind", kind.clone()),
                ("severity", severity.clone()),
                ("state", state.clone()),
                ("user", user),
                ("subject", subject.clone()),
                ("platform", flag(platform)),
            ]);
            let columns = [
                ("ID", "/id"),
                ("LAST SEEN", "/last_at"),
                ("SEVERITY", "/severity"),
                ("KIND", "/kind"),
                ("ABOUT", "/subject"),
                ("TIMES", "/count"),
                ("STATE", "/state"),
            ];
            client.get(&["security-events"], &query).await?.show_page(out, &columns);
            return Ok(());
        }
        SecurityCommand::Summary { platform } => {
            let answer = client.get(&["security-events", "summary"], &[("platform", flag(platform))]).await?;
            answer.show(out, |value| {
                let mut counts = value.clone();
                counts.as_object_mut().and_then(|counts| counts.remove("days"));
                out.facts(&counts, &["high", "medium", "low", "acknowledged"]);
                let days = value["days"].as_array().map_or(&[][..], Vec::as_slice);
                out.table(days, &[("DAY", "/day"), ("EVENTS", "/events")]);
            });
            return Ok(());
        }
        SecurityCommand::Show { id } => {
            client.get(&["security-events", id], &[]).await?.show(out, |value| out.facts(value, &FIRST));
            return Ok(());
        }
        SecurityCommand::Acknowledge { id, note } => (id, "acknowledged", None, note),
        SecurityCommand::Close { id, reason, note } => (id, "closed", Some(reason.clone()), note),
        SecurityCommand::Reopen { id, note } => (id, "open", None, note),
    };
    let body =
        Members::default().with("state", Some(state)).with("reason", reason).with("note", note.clone());
    let answer = client.patch(&["security-events", id], &body.value()).await?;
    answer.show(out, |value| out.facts(value, &FIRST));
    Ok(())
}
