//! `switchboard sender`: where senders are registered, pools, and who may send as whom.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::account;
use super::client::{Client, Kind};
use super::failure::Failure;
use super::firewall::{self, CheckArgs};
use super::set::Members;
use super::show::Out;

const KIND: Kind = Kind { path: "senders", prefix: "snd", noun: "sender", names: &["name"] };
const POOL: Kind = Kind { path: "sender-pools", prefix: "pol", noun: "sender pool", names: &["name"] };

/// What to do with senders.
#[derive(Debug, Subcommand)]
pub(super) enum SenderCommand {
    /// The senders that the tenant has registered
    List,
    /// Register a sender
    Add {
        /// The name, number or short code
        name: String,
        /// Where it is registered, e.g. FR=approved; * for all others; repeatable
        #[arg(long = "in", value_name = "COUNTRY=STATE")]
        registrations: Vec<String>,
        /// What people should know about it
        #[arg(long)]
        note: Option<String>,
    },
    /// One sender
    Show {
        /// Its id or name
        sender: String,
    },
    /// Change where a sender is registered: the countries given take the place of their former registrations
    Change {
        /// Its id or name
        sender: String,
        /// Where it is registered, e.g. FR=approved; repeatable
        #[arg(long = "in", value_name = "COUNTRY=STATE")]
        registrations: Vec<String>,
        /// What people should know about it
        #[arg(long)]
        note: Option<String>,
    },
    /// Take a sender off the register
    Remove {
        /// Its id or name
        sender: String,
    },
    /// The pools
    Pools,
    /// Add a pool
    AddPool {
        /// What people call it
        name: String,
        /// How a member is chosen: sticky, country, `round_robin`
        #[arg(long, default_value = "sticky")]
        choice: String,
        /// A member, or member=FR+BE for some countries; repeatable
        #[arg(long = "member", value_name = "SENDER", required = true)]
        members: Vec<String>,
    },
    /// Remove a pool
    RemovePool {
        /// Its id or name
        pool: String,
    },
    /// Who may send as whom
    Policies,
    /// Set who may send as whom
    Policy {
        /// `everyone`, `api`, or an SMPP account by id or system_id
        whose: String,
        /// Which senders: free, listed, registered
        #[arg(long, default_value = "free")]
        mode: String,
        /// A sender that may be used; repeatable
        #[arg(long = "allow", value_name = "SENDER")]
        allowed: Vec<String>,
        /// A sender that may never be used; repeatable
        #[arg(long = "block", value_name = "SENDER")]
        blocked: Vec<String>,
        /// Who sends messages that name nobody: ACME, FR+BE=ACME, or FR=pol_…; repeatable
        #[arg(long = "default", value_name = "SENDER")]
        defaults: Vec<String>,
    },
    /// What the gates would say about a message, and why. Nothing is sent
    Check(CheckArgs),
}

/// Reads `FR=approved`.
fn registration(text: &str) -> Result<Value, Failure> {
    let (country, state) = text.split_once('=').ok_or_else(|| {
        Failure::usage(
            format!("--in {text:?} is not country=state"),
            "write e.g. --in FR=approved --in '*=pending'.",
        )
    })?;
    Ok(json!({ "country": country.trim(), "state": state.trim() }))
}

/// Reads `ACME` or `ACME=FR+BE`.
fn member(text: &str) -> Value {
    let (sender, countries) = text.split_once('=').unwrap_or((text, ""));
    let countries: Vec<&str> = countries.split('+').filter(|country| !country.is_empty()).collect();
    json!({ "sender": sender, "countries": countries })
}

/// Reads `ACME`, `FR+BE=ACME` or `FR=pol_…`.
fn default(text: &str) -> Value {
    let (countries, to) = text.split_once('=').unwrap_or(("", text));
    let countries: Vec<&str> = countries.split('+').filter(|country| !country.is_empty()).collect();
    match to.starts_with("pol_") {
        true => json!({ "countries": countries, "pool": to }),
        false => json!({ "countries": countries, "sender": to }),
    }
}

async fn changed(
    client: &Client,
    sender: &str,
    registrations: &[String],
    note: Option<&String>,
) -> Result<super::client::Answer, Failure> {
    let id = client.find(&KIND, sender).await?;
    let present = client.get(&[KIND.path, &id], &[]).await?.value;
    let given = registrations.iter().map(|text| registration(text)).collect::<Result<Vec<_>, _>>()?;
    let mut merged = present["registrations"].as_array().cloned().unwrap_or_default();
    merged.retain(|one| given.iter().all(|other| other["country"] != one["country"]));
    merged.extend(given);
    let record = Members::default()
        .with("registrations", (!registrations.is_empty()).then_some(merged))
        .with("note", note.cloned());
    let body = Members::default()
        .with("record", record.unless_empty())
        .with("revision", present["revision"].as_i64());
    client.patch(&[KIND.path, &id], &body.value()).await
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses; for a check also when the message would be refused.
pub(super) async fn run(command: &SenderCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        SenderCommand::List => {
            let columns =
                [("ID", "/id"), ("SENDER", "/name"), ("REGISTERED", "/registrations"), ("NOTE", "/note")];
            client.get(&[KIND.path], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        SenderCommand::Pools => {
            let columns =
                [("ID", "/id"), ("NAME", "/name"), ("CHOICE", "/rule/choice"), ("MEMBERS", "/rule/members")];
            client.get(&[POOL.path], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        SenderCommand::Policies => {
            let columns = [
                ("WHOSE", "/whose"),
                ("MODE", "/policy/mode"),
                ("ALLOWED", "/policy/allowed"),
                ("BLOCKED", "/policy/blocked"),
                ("DEFAULTS", "/policy/defaults"),
            ];
            client.get(&["sender-policies"], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        SenderCommand::Check(args) => return firewall::check(args, client, out).await,
        SenderCommand::Remove { sender } => {
            client.write(Method::DELETE, &[KIND.path, &client.find(&KIND, sender).await?], None).await?;
            out.note("Removed.");
            return Ok(());
        }
        SenderCommand::RemovePool { pool } => {
            client.write(Method::DELETE, &[POOL.path, &client.find(&POOL, pool).await?], None).await?;
            out.note("Removed.");
            return Ok(());
        }
        SenderCommand::Add { name, registrations, note } => {
            let read = registrations.iter().map(|text| registration(text)).collect::<Result<Vec<_>, _>>()?;
            let record = Members::default().with("registrations", Some(read)).with("note", note.clone());
            client.post(&[KIND.path], &json!({ "name": name, "record": record.value() })).await?
        }
        SenderCommand::Show { sender } => {
            client.get(&[KIND.path, &client.find(&KIND, sender).await?], &[]).await?
        }
        SenderCommand::Change { sender, registrations, note } => {
            changed(client, sender, registrations, note.as_ref()).await?
        }
        SenderCommand::AddPool { name, choice, members } => {
            let members: Vec<Value> = members.iter().map(|text| member(text)).collect();
            let body = json!({ "name": name, "rule": { "choice": choice, "members": members } });
            client.post(&[POOL.path], &body).await?
        }
        SenderCommand::Policy { whose, mode, allowed, blocked, defaults } => {
            let whose = match whose.as_str() {
                "everyone" | "api" => whose.clone(),
                account => client.find(&account::KIND, account).await?,
            };
            let defaults: Vec<Value> = defaults.iter().map(|text| default(text)).collect();
            let policy =
                json!({ "mode": mode, "allowed": allowed, "blocked": blocked, "defaults": defaults });
            let body = json!({ "whose": whose, "policy": policy });
            client.write(Method::PUT, &["sender-policies"], Some(&body)).await?
        }
    };
    answer.show(out, |value| out.facts(value, &["id", "name", "whose"]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_read() {
        assert_eq!(registration("FR=approved").unwrap(), json!({ "country": "FR", "state": "approved" }));
        assert!(registration("FR").is_err());
        assert_eq!(member("ACME=FR+BE"), json!({ "sender": "ACME", "countries": ["FR", "BE"] }));
        assert_eq!(default("ACME"), json!({ "countries": [], "sender": "ACME" }));
        assert_eq!(default("FR=pol_1"), json!({ "countries": ["FR"], "pool": "pol_1" }));
    }
}
