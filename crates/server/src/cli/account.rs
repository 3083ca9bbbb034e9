//! `switchboard account`: customers' systems that bind to us.

use clap::Subcommand;
use reqwest::Method;

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::{self, Members};
use super::show::Out;

/// How accounts are named.
pub(super) const KIND: Kind =
    Kind { path: "smpp-accounts", prefix: "acc", noun: "SMPP account", names: &["system_id", "name"] };

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// The tenant's accounts, newest first
    List(PageFlags),
    /// Create an account. Its password is shown this once
    Create {
        /// The name it binds with, 1 to 15 characters
        system_id: String,
        /// Its password, 6 to 16 characters, - for standard input; made when not given
        #[arg(long)]
        password: Option<String>,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// One account
    Show {
        /// Its id or system_id
        account: String,
    },
    /// Change an account; what is not named stays
    Change {
        /// Its id or system_id
        account: String,
        #[command(flatten)]
        flags: Box<Flags>,
        /// Only if it still has this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Give it a new password, shown this once
    Password {
        /// Its id or system_id
        account: String,
    },
    /// The sessions that are bound now
    Binds {
        /// Its id or system_id
        account: String,
    },
    /// End one bind; what it has submitted is answered first
    End {
        /// Its id or system_id
        account: String,
        /// The bind's number, as `account binds` shows it
        bind: u64,
    },
    /// What it does: rates, refusals, receipts that wait, sessions
    Metrics {
        /// Its id or system_id
        account: String,
    },
    /// Delete an account. Its sessions end; its messages stay
    Delete {
        /// Its id or system_id
        account: String,
    },
}

/// What new and changed accounts have in common. A list flag is repeated for each entry; `none` empties the list.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Whether it may bind: true or false
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// Sessions bound at once
    #[arg(long, value_name = "N")]
    binds_max: Option<u16>,
    /// Unanswered requests of each session
    #[arg(long, value_name = "N")]
    window_max: Option<u16>,
    /// Message parts a second, 0 for no limit
    #[arg(long, value_name = "N")]
    throughput: Option<u32>,
    /// A network it may bind from, e.g. 203.0.113.0/24; repeatable
    #[arg(long, value_name = "NETWORK")]
    allow_from: Vec<String>,
    /// Whether it may bind over TLS only: true or false
    #[arg(long, value_name = "BOOL")]
    require_tls: Option<bool>,
    /// The sender of messages that name none
    #[arg(long, value_name = "SENDER")]
    sender_default: Option<String>,
    /// A sender that it may use; repeatable
    #[arg(long = "sender", value_name = "SENDER")]
    senders: Vec<String>,
    /// Which optional parameters go on to the carrier: pass (all), allow or deny (those of --tlv-tag)
    #[arg(long, value_name = "POLICY")]
    tlv_policy: Option<String>,
    /// The tag of a listed parameter, e.g. 0x1401; repeatable
    #[arg(long = "tlv-tag", value_name = "TAG")]
    tlv_tags: Vec<String>,
    /// A number whose inbound messages it gets; repeatable
    #[arg(long = "number", value_name = "NUMBER")]
    numbers: Vec<String>,
    /// What its messages are for when they do not say: otp, transactional, marketing
    #[arg(long, value_name = "INTENT")]
    intent_default: Option<String>,
    /// Where receipts and inbound messages are posted
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// Any setting by name, e.g. receipts_keep_s=3600; null brings its default back
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Flags {
    fn body(&self) -> Result<Members, Failure> {
        let settings = Members::default()
            .with("binds_max", self.binds_max)
            .with("window_max", self.window_max)
            .with("throughput", self.throughput)
            .with_list("allow_from", &self.allow_from)
            .with("require_tls", self.require_tls)
            .with("sender_default", self.sender_default.clone())
            .with_list("senders", &self.senders)
            .with("tlv_policy", self.tlv_policy.clone())
            .with_list("tlv_tags", &self.tlv_tags)
            .with_list("numbers", &self.numbers)
            .with("intent_default", self.intent_default.clone())
            .with("callback_url", self.callback_url.clone())
            .with_set(&self.set)?;
        Ok(Members::default()
            .with("name", self.name.clone())
            .with("active", self.active)
            .with("settings", settings.unless_empty()))
    }
}

const FIRST: &[&str] = &["id", "system_id", "password", "name", "active"];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &AccountCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |account: &str| client.find(&KIND, account).await;
    let answer = match command {
        AccountCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("SYSTEM_ID", "/system_id"),
                ("NAME", "/name"),
                ("ACTIVE", "/active"),
                ("BINDS", "/settings/binds_max"),
                ("WINDOW", "/settings/window_max"),
                ("PER SECOND", "/settings/throughput"),
                ("NUMBERS", "/settings/numbers"),
            ];
            client.get(&[KIND.path], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        AccountCommand::Binds { account } => {
            let columns = [
                ("NUMBER", "/number"),
                ("KIND", "/kind"),
                ("FROM", "/peer"),
                ("TLS", "/tls"),
                ("SINCE", "/since"),
                ("SUBMITTED", "/submitted"),
                ("DELIVERED", "/delivered"),
                ("WINDOW USED", "/window_used"),
            ];
            client.get(&[KIND.path, &find(account).await?, "binds"], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        AccountCommand::End { account, bind } => {
            let path = [KIND.path, &find(account).await?, "unbind"];
            client.post(&path, &serde_json::json!({ "bind": bind })).await?;
            out.note("It is sent an unbind.");
            return Ok(());
        }
        AccountCommand::Metrics { account } => {
            client.get(&[KIND.path, &find(account).await?, "metrics"], &[]).await?
        }
        AccountCommand::Delete { account } => {
            client.write(Method::DELETE, &[KIND.path, &find(account).await?], None).await?;
            out.note("Deleted.");
            return Ok(());
        }
        AccountCommand::Create { system_id, password, flags } => {
            let password = set::secret(password.as_deref())?;
            let body = flags.body()?.with("system_id", Some(system_id.clone())).with("password", password);
            client.post(&[KIND.path], &body.value()).await?
        }
        AccountCommand::Show { account } => client.get(&[KIND.path, &find(account).await?], &[]).await?,
        AccountCommand::Change { account, flags, revision } => {
            let body = flags.body()?.with("revision", *revision);
            client.patch(&[KIND.path, &find(account).await?], &body.value()).await?
        }
        AccountCommand::Password { account } => {
            client.act(&[KIND.path, &find(account).await?, "password"]).await?
        }
    };
    answer.show(out, |value| out.facts(value, FIRST));
    if matches!(command, AccountCommand::Create { .. } | AccountCommand::Password { .. }) {
        out.note("Keep the password now: it is not shown again.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_are_members_of_the_settings() {
        let flags = Flags {
            active: Some(false),
            window_max: Some(10),
            numbers: vec!["+1".to_owned(), "+2".to_owned()],
            senders: vec!["none".to_owned()],
            set: vec!["receipts_keep_s=60".to_owned(), "window_max=null".to_owned()],
            ..Flags::default()
        };
        assert_eq!(
            flags.body().unwrap().value(),
            json!({ "active": false, "settings": {
                "window_max": null, "numbers": ["+1", "+2"], "senders": [], "receipts_keep_s": 60
            } })
        );
        assert_eq!(Flags::default().body().unwrap().value(), json!({}));
    }
}
