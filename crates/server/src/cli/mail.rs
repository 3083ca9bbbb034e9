//! `switchboard mail`: gateways for mail to phones, and a test mail.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::account;
use super::client::{Client, Kind};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind =
    Kind { path: "mail-gateways", prefix: "mgw", noun: "mail gateway", names: &["subdomain", "name"] };
/// What to do with mail.
#[derive(Debug, Subcommand)]
pub(super) enum MailCommand {
    /// The mail gateways, the oldest first
    List,
    /// Let an SMPP account send by mail without signing in, and say what becomes of its mails
    Add {
        /// The account's id or system_id
        account: String,
        /// Its name below the SMTP server's domain
        subdomain: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// One mail gateway
    Show {
        /// Its id, subdomain or name
        gateway: String,
    },
    /// Change a mail gateway; what is not named stays
    Change {
        /// Its id, subdomain or name
        gateway: String,
        /// Another name below the SMTP server's domain
        #[arg(long)]
        subdomain: Option<String>,
        #[command(flatten)]
        flags: Flags,
        /// Only if it still has this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Remove a mail gateway. Its account may still sign in and send
    Remove {
        /// Its id, subdomain or name
        gateway: String,
    },
    /// Send a test mail through the configured server, and hear what it says
    Test {
        /// Where it goes
        to: String,
    },
}

/// What new and changed gateways have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Whether it takes mail: true or false
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// A network from which mail needs no sign-in; repeatable
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
    /// Who may send from there: an address, or @ and a domain; repeatable
    #[arg(long = "sender-address", value_name = "ADDRESS")]
    senders: Vec<String>,
    /// The sender of the messages
    #[arg(long)]
    sender: Option<String>,
    /// Any setting by name, e.g. subject=prefix or too_long=shorten; null brings the default back
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Flags {
    fn body(&self) -> Result<Members, Failure> {
        let listed = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        let settings = Members::default()
            .with("networks", listed(&self.networks))
            .with("senders", listed(&self.senders))
            .with("sender", self.sender.clone())
            .with_set(&self.set)?;
        Ok(Members::default()
            .with("name", self.name.clone())
            .with("active", self.active)
            .with("settings", settings.unless_empty()))
    }
}

const FIRST: &[&str] = &["id", "subdomain", "name", "account", "active", "settings"];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &MailCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |gateway: &str| client.find(&KIND, gateway).await;
    let answer = match command {
        MailCommand::List => {
            let columns = [
                ("ID", "/id"),
                ("SUBDOMAIN", "/subdomain"),
                ("NAME", "/name"),
                ("ACCOUNT", "/account"),
                ("ACTIVE", "/active"),
            ];
            client.get(&[KIND.path], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        MailCommand::Remove { gateway } => {
            client.write(Method::DELETE, &[KIND.path, &find(gateway).await?], None).await?;
            out.note("Removed.");
            return Ok(());
        }
        MailCommand::Test { to } => client.post(&["mail", "test"], &json!({ "to": to })).await?,
        MailCommand::Add { account: named, subdomain, flags } => {
            let account = client.find(&account::KIND, named).await?;
            let body =
                flags.body()?.with("account", Some(account)).with("subdomain", Some(subdomain.clone()));
            client.post(&[KIND.path], &body.value()).await?
        }
        MailCommand::Show { gateway } => client.get(&[KIND.path, &find(gateway).await?], &[]).await?,
        MailCommand::Change { gateway, subdomain, flags, revision } => {
            let body = flags.body()?.with("subdomain", subdomain.clone()).with("revision", *revision);
            client.patch(&[KIND.path, &find(gateway).await?], &body.value()).await?
        }
    };
    answer.show(out, |value| out.facts(value, FIRST));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_members() {
        let flags = Flags {
            networks: vec!["10.0.0.0/8".to_owned()],
            senders: vec!["@a.example".to_owned()],
            set: vec!["subject=prefix".to_owned()],
            ..Flags::default()
        };
        let body = flags.body().unwrap().value();
        let settings = json!({ "networks": ["10.0.0.0/8"], "senders": ["@a.example"], "subject": "prefix" });
        assert_eq!(body, json!({ "settings": settings }));
        assert_eq!(Flags::default().body().unwrap().value(), json!({}));
    }
}
