//! `switchboard number`: numbers that phones write to, and their keywords.

use clap::Subcommand;
use reqwest::Method;

use super::client::{Client, Kind};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind =
    Kind { path: "inbound-numbers", prefix: "num", noun: "number", names: &["number", "name"] };

/// What to do with numbers.
#[derive(Debug, Subcommand)]
pub(super) enum NumberCommand {
    /// The numbers, the oldest first
    List,
    /// Register a number or short code
    Add {
        /// The number in international form, or a short code
        number: String,
        /// Only messages through this connection, by its id
        #[arg(long)]
        connection: Option<String>,
        #[command(flatten)]
        flags: Flags,
    },
    /// One number with its keywords
    Show {
        /// Its id, number or name
        number: String,
    },
    /// Change a number; what is not named stays
    Change {
        /// Its id, number or name
        number: String,
        #[command(flatten)]
        flags: Flags,
        /// Only if it still has this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Remove a number. Its messages stay
    Remove {
        /// Its id, number or name
        number: String,
    },
}

/// What new and changed numbers have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Whether its rules are asked at all: true or false
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// Any member of the rule by name, e.g. 'otherwise=[{"kind":"inbox"}]' or 'keywords=[…]'; null brings the default back
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Flags {
    fn body(&self) -> Result<Members, Failure> {
        let rule = Members::default().with_set(&self.set)?;
        Ok(Members::default()
            .with("name", self.name.clone())
            .with("active", self.active)
            .with("rule", rule.unless_empty()))
    }
}

const FIRST: &[&str] = &["id", "number", "name", "active", "rule"];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &NumberCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |number: &str| client.find(&KIND, number).await;
    let answer = match command {
        NumberCommand::List => {
            let columns = [("ID", "/id"), ("NUMBER", "/number"), ("NAME", "/name"), ("ACTIVE", "/active")];
            client.get(&[KIND.path], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        NumberCommand::Remove { number } => {
            client.write(Method::DELETE, &[KIND.path, &find(number).await?], None).await?;
            out.note("Removed.");
            return Ok(());
        }
        NumberCommand::Add { number, connection, flags } => {
            let body =
                flags.body()?.with("number", Some(number.clone())).with("connection", connection.clone());
            client.post(&[KIND.path], &body.value()).await?
        }
        NumberCommand::Show { number } => client.get(&[KIND.path, &find(number).await?], &[]).await?,
        NumberCommand::Change { number, flags, revision } => {
            let body = flags.body()?.with("revision", *revision);
            client.patch(&[KIND.path, &find(number).await?], &body.value()).await?
        }
    };
    answer.show(out, |value| out.facts(value, FIRST));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flags_are_members() {
        let flags = Flags {
            active: Some(false),
            set: vec![r#"otherwise=[{"kind":"inbox"}]"#.to_owned()],
            ..Flags::default()
        };
        let body = flags.body().unwrap().value();
        assert_eq!(body, json!({ "active": false, "rule": { "otherwise": [{ "kind": "inbox" }] } }));
        assert_eq!(Flags::default().body().unwrap().value(), json!({}));
    }
}
