//! `switchboard list`: distribution lists.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::blacklist::read;
use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind =
    Kind { path: "distribution-lists", prefix: "dls", noun: "distribution list", names: &["name"] };

/// What to do with distribution lists.
#[derive(Debug, Subcommand)]
pub(super) enum ListCommand {
    /// The lists, newest first
    List(PageFlags),
    /// Create a list
    Create {
        /// dl_name: at most 20 characters without blanks
        name: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// One list with its recipients
    Show {
        /// Its id or name
        list: String,
    },
    /// Change a list; what is not named stays
    Change {
        /// Its id or name
        list: String,
        /// dl_name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        flags: Flags,
        /// Only if it still has this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Delete a list. Messages that were sent to it stay
    Delete {
        /// Its id or name
        list: String,
    },
}

/// What new and changed lists have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// A recipient in international form; repeatable; `none` empties the list
    #[arg(long = "member", value_name = "NUMBER")]
    members: Vec<String>,
    /// A file with a recipient on each line, in place of --member; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "members")]
    file: Option<PathBuf>,
    /// An SMPP account that may use it, by its id; repeatable; `none` lets all
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<String>,
}

impl Flags {
    fn rule(&self) -> Result<Option<Value>, Failure> {
        let members = match &self.file {
            Some(file) => read(file)?.split_whitespace().map(str::to_owned).collect(),
            None => self.members.clone(),
        };
        let rule = Members::default().with_list("members", &members).with_list("accounts", &self.accounts);
        Ok(rule.unless_empty())
    }
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &ListCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |list: &str| client.find(&KIND, list).await;
    let answer = match command {
        ListCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("FIRST", "/rule/members/0"),
                ("REVISION", "/revision"),
                ("CHANGED", "/changed_at"),
            ];
            client.get(&[KIND.path], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        ListCommand::Delete { list } => {
            client.write(Method::DELETE, &[KIND.path, &find(list).await?], None).await?;
            out.note("Deleted.");
            return Ok(());
        }
        ListCommand::Create { name, flags } => {
            let rule = flags.rule()?.unwrap_or_else(|| json!({}));
            client.post(&[KIND.path], &json!({ "name": name, "rule": rule })).await?
        }
        ListCommand::Show { list } => client.get(&[KIND.path, &find(list).await?], &[]).await?,
        ListCommand::Change { list, name, flags, revision } => {
            let body = Members::default()
                .with("name", name.clone())
                .with("rule", flags.rule()?)
                .with("revision", *revision);
            client.patch(&[KIND.path, &find(list).await?], &body.value()).await?
        }
    };
    answer.show(out, |value| out.facts(value, &["id", "name", "rule"]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_the_members_of_the_rule() {
        let flags = Flags { members: vec!["+33612345678".to_owned()], ..Flags::default() };
        assert_eq!(flags.rule().unwrap(), Some(json!({ "members": ["+33612345678"] })));
        let emptied = Flags { members: vec!["none".to_owned()], ..Flags::default() };
        assert_eq!(emptied.rule().unwrap(), Some(json!({ "members": [] })));
        assert_eq!(Flags::default().rule().unwrap(), None);
    }
}
