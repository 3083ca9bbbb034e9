//! `switchboard registration`: newcomers who register by themselves.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

/// What to do with newcomers.
#[derive(Debug, Subcommand)]
pub(super) enum RegistrationCommand {
    /// Who waits to be let in, newest first
    List(PageFlags),
    /// Let a newcomer in who waits
    Approve {
        /// Their registration's id
        id: String,
    },
    /// Forget a newcomer who waits
    Refuse {
        /// Their registration's id
        id: String,
    },
    /// Who may register; changed by what is named
    Policy {
        /// Whether anybody may: true or false
        #[arg(long)]
        open: Option<bool>,
        /// A mail domain whose people may; several times for several, `none` for any address
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        /// The role that newcomers get
        #[arg(long)]
        role: Option<String>,
        /// Whether somebody must let each of them in: true or false
        #[arg(long)]
        approval: Option<bool>,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &RegistrationCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let (id, decision) = match command {
        RegistrationCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("EMAIL", "/email"),
                ("NAME", "/name"),
                ("SINCE", "/verified_at"),
                ("FROM", "/from_address"),
            ];
            client.get(&["registrations"], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        RegistrationCommand::Policy { open, domains, role, approval } => {
            const SHOWN: &[&str] = &["open", "domains", "role", "approval"];
            let now = client.get(&["registration-policy"], &[]).await?;
            if open.is_none() && domains.is_empty() && role.is_none() && approval.is_none() {
                now.show(out, |value| out.facts(value, SHOWN));
                return Ok(());
            }
            let body = Members::from(now.value.as_object().cloned().unwrap_or_default())
                .with("open", *open)
                .with_list("domains", domains)
                .with("role", role.clone())
                .with("approval", *approval);
            let changed = client.write(Method::PUT, &["registration-policy"], Some(&body.value())).await?;
            changed.show(out, |value| out.facts(value, SHOWN));
            return Ok(());
        }
        RegistrationCommand::Approve { id } => (id, "approve"),
        RegistrationCommand::Refuse { id } => (id, "refuse"),
    };
    let body = json!({ "registration": id, "decision": decision });
    let done = client.post(&["registrations", "decide"], &body).await?;
    done.show(out, |value| out.facts(value, &["id", "email", "name"]));
    Ok(())
}
