//! `switchboard alert`: who is told of security events.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::{Client, Kind};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind = Kind { path: "alert-rules", prefix: "alr", noun: "alert", names: &["name"] };
const USER: Kind = Kind { path: "users", prefix: "usr", noun: "user", names: &["email"] };

/// What to do with alerts.
#[derive(Debug, Subcommand)]
pub(super) enum AlertCommand {
    /// The tenant's alerts, by name
    List,
    /// One alert
    Show {
        /// Its id or name
        which: String,
    },
    /// Create an alert. The secret of its webhook is shown this once
    Create {
        /// What people call it
        name: String,
        /// About the platform's own events, not the tenant's
        #[arg(long)]
        platform: bool,
        #[command(flatten)]
        words: AlertWords,
    },
    /// Change an alert
    Change {
        /// Its id or name
        which: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// Whether it counts at all
        #[arg(long, value_name = "true|false")]
        active: Option<bool>,
        /// Sign with a new secret from now on
        #[arg(long)]
        new_secret: bool,
        #[command(flatten)]
        words: AlertWords,
    },
    /// Tell its people and its webhook of an event that did not happen
    Test {
        /// Its id or name
        which: String,
    },
    /// Delete an alert
    Delete {
        /// Its id or name
        which: String,
    },
}

/// What an alert is about, and whom it tells.
#[derive(Debug, Args)]
pub(super) struct AlertWords {
    /// A kind of event, e.g. brute_force; repeat it or separate with commas; `none` is for all kinds
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// From this severity on: low, medium or high
    #[arg(long)]
    severity: Option<String>,
    /// A person who gets a mail, by id or e-mail address; repeat it or separate with commas; `none` is for nobody
    #[arg(long = "person", value_name = "USER", value_delimiter = ',')]
    people: Vec<String>,
    /// Where it is posted; an empty text for nowhere
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

impl AlertWords {
    async fn members(&self, client: &Client) -> Result<Members, Failure> {
        let people = match self.people.as_slice() {
            [one] if one == "none" => self.people.clone(),
            people => client.find_all(&USER, people).await?,
        };
        Ok(Members::default()
            .with_list("kinds", &self.kinds)
            .with("severity", self.severity.clone())
            .with_list("people", &people)
            .with("url", self.webhook.clone()))
    }
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &AlertCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let first = ["id", "name", "active", "severity", "kinds", "people", "url", "secret"];
    let answer = match command {
        AlertCommand::List => {
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ACTIVE", "/active"),
                ("SEVERITY", "/severity"),
                ("KINDS", "/kinds"),
                ("URL", "/url"),
            ];
            client.get(&["alert-rules"], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        AlertCommand::Show { which } => {
            let id = client.find(&KIND, which).await?;
            client.get(&["alert-rules", &id], &[]).await?
        }
        AlertCommand::Create { name, platform, words } => {
            let body = words
                .members(client)
                .await?
                .with("name", Some(name.clone()))
                .with("platform", platform.then_some(true));
            client.post(&["alert-rules"], &body.value()).await?
        }
        AlertCommand::Change { which, name, active, new_secret, words } => {
            let id = client.find(&KIND, which).await?;
            let body = words
                .members(client)
                .await?
                .with("name", name.clone())
                .with("active", *active)
                .with("new_secret", new_secret.then_some(true));
            client.patch(&["alert-rules", &id], &body.value()).await?
        }
        AlertCommand::Test { which } => {
            let id = client.find(&KIND, which).await?;
            client.act(&["alert-rules", &id, "test"]).await?
        }
        AlertCommand::Delete { which } => {
            let id = client.find(&KIND, which).await?;
            client.write(Method::DELETE, &["alert-rules", &id], None).await?;
            out.note("Deleted.");
            return Ok(());
        }
    };
    answer.show(out, |value| {
        out.facts(value, &first);
        if value.get("secret").is_some() {
            out.note("Keep the secret now: it is not shown again.");
        }
    });
    Ok(())
}
