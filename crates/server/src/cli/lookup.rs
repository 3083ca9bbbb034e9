//! `switchboard lookup`: which network a number is of, the services that know, and the numbering plan.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind =
    Kind { path: "lookup-providers", prefix: "lkp", noun: "look-up service", names: &["name"] };

/// What to do with look-ups.
#[derive(Debug, Subcommand)]
pub(super) enum LookupCommand {
    /// Which network a number is of, as far as it is known
    Number {
        /// The number
        number: String,
        /// Ask the services now, which may cost
        #[arg(long)]
        ask: bool,
    },
    /// The services, in the order in which they are asked
    List,
    /// Add a service
    Create {
        /// What people call it
        name: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// One service
    Show {
        /// Its id or name
        service: String,
    },
    /// Change a service; what is not named stays
    Change {
        /// Its id or name
        service: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Delete a service
    Delete {
        /// Its id or name
        service: String,
    },
    /// The numbering plan
    Plan {
        #[command(flatten)]
        page: PageFlags,
    },
    /// Import a numbering plan in the place of the one before: lines of prefix,mcc,mnc,name,country
    Import {
        /// The file; `-` for standard input
        file: PathBuf,
    },
}

/// What new and changed services have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// Where it is asked, e.g. https://lookup.example/v1/{number}
    #[arg(long)]
    url: Option<String>,
    /// Whether it is asked: true or false
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// Numbers to look up before routing, by their beginning, or * for all; repeatable
    #[arg(long = "prefix", value_name = "DIGITS")]
    prefixes: Vec<String>,
    /// How long its answer is awaited, in milliseconds
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u32>,
    /// A secret header, e.g. 'Authorization: Bearer …'; all of them, repeatable
    #[arg(long = "secret-header", value_name = "NAME: VALUE")]
    secret_headers: Vec<String>,
    /// Any setting by name, e.g. --set mccmnc=/result/imsi
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Flags {
    fn body(&self) -> Result<Members, Failure> {
        let settings = Members::default()
            .with("url", self.url.clone())
            .with_list("prefixes", &self.prefixes)
            .with("timeout_ms", self.timeout_ms)
            .with_set(&self.set)?;
        let mut secret = Map::new();
        for header in &self.secret_headers {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                Failure::usage(
                    "a secret header has no colon".to_owned(),
                    "write e.g. --secret-header 'X-Key: …'.",
                )
            })?;
            secret.insert(name.trim().to_owned(), value.trim().into());
        }
        Ok(Members::default()
            .with("active", self.active)
            .with("settings", settings.unless_empty())
            .with("secret_headers", (!secret.is_empty()).then_some(Value::Object(secret))))
    }
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses, or a file that cannot be read.
pub(super) async fn run(command: &LookupCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |service: &str| client.find(&KIND, service).await;
    let answer = match command {
        LookupCommand::Number { number, ask } => {
            client.post(&["lookups"], &json!({ "number": number, "ask": ask })).await?.show(out, |value| {
                out.facts(&value["network"], &["code", "name", "source"]);
                let asked = value["asked"].as_array().map_or(&[][..], Vec::as_slice);
                if !asked.is_empty() {
                    out.table(asked, &[("SERVICE", "/name"), ("MS", "/took_ms"), ("ERROR", "/error")]);
                }
            });
            return Ok(());
        }
        LookupCommand::List => {
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ACTIVE", "/active"),
                ("BEFORE ROUTING TO", "/settings/prefixes"),
                ("MS", "/settings/timeout_ms"),
            ];
            client.get(&[KIND.path], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        LookupCommand::Plan { page } => {
            let columns = [
                ("PREFIX", "/prefix"),
                ("MCC", "/mcc"),
                ("MNC", "/mnc"),
                ("NAME", "/name"),
                ("COUNTRY", "/country"),
            ];
            client.get(&["number-plan"], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        LookupCommand::Import { file } => {
            let text = if file.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin())
            } else {
                std::fs::read_to_string(file)
            };
            let csv = text.map_err(|error| {
                Failure::usage(format!("{} cannot be read: {error}", file.display()), "give a file of lines.")
            })?;
            client.write(Method::PUT, &["number-plan"], Some(&json!({ "csv": csv }))).await?
        }
        LookupCommand::Delete { service } => {
            client.write(Method::DELETE, &[KIND.path, &find(service).await?], None).await?;
            out.note("Deleted.");
            return Ok(());
        }
        LookupCommand::Create { name, flags } => {
            client.post(&[KIND.path], &flags.body()?.with("name", Some(name.clone())).value()).await?
        }
        LookupCommand::Show { service } => client.get(&[KIND.path, &find(service).await?], &[]).await?,
        LookupCommand::Change { service, flags } => {
            client.patch(&[KIND.path, &find(service).await?], &flags.body()?.value()).await?
        }
    };
    answer.show(out, |value| out.facts(value, &["id", "name", "active", "settings"]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_members_of_the_settings() {
        let flags = Flags {
            url: Some("https://h/{number}".to_owned()),
            prefixes: vec!["33".to_owned()],
            secret_headers: vec!["X-Key: a:b".to_owned()],
            set: vec!["mnc=/r/mnc".to_owned()],
            ..Flags::default()
        };
        assert_eq!(
            flags.body().unwrap().value(),
            json!({
                "settings": { "url": "https://h/{number}", "prefixes": ["33"], "mnc": "/r/mnc" },
                "secret_headers": { "X-Key": "a:b" }
            })
        );
        let bad = Flags { secret_headers: vec!["X".to_owned()], ..Flags::default() };
        assert!(bad.body().is_err());
    }
}
