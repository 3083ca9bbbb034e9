//! `switchboard firewall`: rules, what they refused and hold; trying a message.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::account;
use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind = Kind { path: "firewall-rules", prefix: "fwr", noun: "firewall rule", names: &["name"] };

/// What to do with the firewall.
#[derive(Debug, Subcommand)]
pub(super) enum FirewallCommand {
    /// The rules, in the order in which they are asked
    List,
    /// Add a rule; it only counts unless --action says more
    Add {
        /// What people call it
        name: String,
        /// Its condition as JSON, e.g. '{"kind":"words","words":["casino"]}' or '{"kind":"url"}'
        #[arg(long, value_name = "JSON")]
        when: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// One rule
    Show {
        /// Its id or name
        rule: String,
    },
    /// Change a rule; what is not named stays
    Change {
        /// Its id or name
        rule: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// Its condition as JSON
        #[arg(long, value_name = "JSON")]
        when: Option<String>,
        #[command(flatten)]
        flags: Box<Flags>,
        /// Only if it still has this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Remove a rule. Messages that it holds stay held
    Remove {
        /// Its id or name
        rule: String,
    },
    /// What the gates would say about a message, and why. Nothing is sent
    Check(CheckArgs),
    /// Messages that were refused, newest first
    Refusals {
        /// Only with this error code
        #[arg(long)]
        code: Option<String>,
        /// Only to this recipient
        #[arg(long)]
        to: Option<String>,
        #[command(flatten)]
        page: PageFlags,
    },
    /// What each rule did in the last 24 hours
    Counts,
    /// Messages that a rule holds for a person
    Held(PageFlags),
    /// Let a held message go; to refuse it, `switchboard message cancel`
    Release {
        /// Its id
        message: String,
    },
}

/// What new and changed rules have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// What happens: refuse, hold, mark, count
    #[arg(long)]
    action: Option<String>,
    /// Its place: the highest is asked first; 100 when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Whether it is asked at all: true or false
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Whose messages a rule is about. A list flag is repeated for each entry; without any flag it is about all.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ReachArgs {
    /// Only messages of this SMPP account, by id or system_id; repeatable
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// Only messages of the API
    #[arg(long)]
    api: bool,
    /// Only messages for this: otp, transactional, marketing; repeatable
    #[arg(long = "intent", value_name = "INTENT")]
    intents: Vec<String>,
    /// Only messages to this country, e.g. FR; repeatable
    #[arg(long = "country", value_name = "COUNTRY")]
    countries: Vec<String>,
    /// Only messages from this sender; with * at its end, from senders that begin so; repeatable
    #[arg(long = "sender", value_name = "SENDER")]
    senders: Vec<String>,
}

impl ReachArgs {
    /// The member `reach`, where a flag was given.
    pub(super) async fn reach(&self, client: &Client) -> Result<Option<Value>, Failure> {
        let accounts = client.find_all(&account::KIND, &self.accounts).await?;
        Ok(Members::default()
            .with_list("accounts", &accounts)
            .with("api", self.api.then_some(true))
            .with_list("intents", &self.intents)
            .with_list("countries", &self.countries)
            .with_list("senders", &self.senders)
            .unless_empty())
    }
}

/// A message to be tried.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Its recipient
    #[arg(long)]
    to: String,
    /// Its sender
    #[arg(long)]
    from: Option<String>,
    /// Its text
    #[arg(long)]
    text: Option<String>,
    /// The SMPP account that would send it, by id or system_id
    #[arg(long)]
    account: Option<String>,
    /// What it would be for: otp, transactional, marketing
    #[arg(long)]
    intent: Option<String>,
    /// When it would be sent, e.g. 2027-01-31T09:30:00Z
    #[arg(long)]
    at: Option<String>,
}

/// JSON of a flag.
///
/// # Errors
/// A text that is none.
pub(super) fn json_flag(flag: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::usage(
            format!("--{flag} is no JSON: {error}"),
            "quote it for the shell: '{\"kind\":\"url\"}'.",
        )
    })
}

const REFUSALS: &[(&str, &str)] = &[
    ("AT", "/at"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("CODE", "/code"),
    ("RULE", "/rule_name"),
    ("WHY", "/reason"),
];
const HELD: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("HELD BY", "/held_by"),
    ("EXPIRES", "/expires_at"),
    ("TEXT", "/text"),
];
const FIRST: &[&str] = &["id", "name", "priority", "active", "rule"];

/// Carries the command out.
///
/// # Errors
/// What the server refuses; for a check also when the message would be refused.
pub(super) async fn run(command: &FirewallCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |rule: &str| client.find(&KIND, rule).await;
    let answer = match command {
        FirewallCommand::List => {
            let columns = [
                ("PRIORITY", "/priority"),
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ACTIVE", "/active"),
                ("CONDITION", "/rule/when/kind"),
                ("ACTION", "/rule/action"),
            ];
            client.get(&[KIND.path], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        FirewallCommand::Check(args) => return check(args, client, out).await,
        FirewallCommand::Refusals { code, to, page } => {
            let mut query = page.query();
            query.extend([("code", code.clone()), ("to", to.clone())]);
            client.get(&["refusals"], &query).await?.show_page(out, REFUSALS);
            return Ok(());
        }
        FirewallCommand::Counts => {
            let columns = [("RULE", "/rule"), ("OUTCOME", "/outcome"), ("N", "/n")];
            client.get(&["gates", "counts"], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        FirewallCommand::Held(page) => {
            client.get(&["messages", "held"], &page.query()).await?.show_page(out, HELD);
            return Ok(());
        }
        FirewallCommand::Release { message } => {
            client.act(&["messages", message, "release"]).await?.show(out, |_| out.note("Released."));
            return Ok(());
        }
        FirewallCommand::Remove { rule } => {
            client.write(Method::DELETE, &[KIND.path, &find(rule).await?], None).await?;
            out.note("Removed.");
            return Ok(());
        }
        FirewallCommand::Add { name, when, flags } => {
            let body =
                flags.body(client, Some(json_flag("when", when)?)).await?.with("name", Some(name.clone()));
            client.post(&[KIND.path], &body.value()).await?
        }
        FirewallCommand::Show { rule } => client.get(&[KIND.path, &find(rule).await?], &[]).await?,
        FirewallCommand::Change { rule, name, when, flags, revision } => {
            let when = when.as_deref().map(|text| json_flag("when", text)).transpose()?;
            let body = flags.body(client, when).await?.with("name", name.clone()).with("revision", *revision);
            client.patch(&[KIND.path, &find(rule).await?], &body.value()).await?
        }
    };
    answer.show(out, |value| out.facts(value, FIRST));
    Ok(())
}

impl Flags {
    async fn body(&self, client: &Client, when: Option<Value>) -> Result<Members, Failure> {
        let rule = Members::default()
            .with("when", when)
            .with("action", self.action.clone())
            .with("reach", self.reach.reach(client).await?);
        Ok(Members::default()
            .with("priority", self.priority)
            .with("active", self.active)
            .with("rule", rule.unless_empty()))
    }
}

/// What the gates would say: the same for each of their commands.
///
/// # Errors
/// What the server refuses; also when the message would be refused.
pub(super) async fn check(args: &CheckArgs, client: &Client, out: &Out) -> Result<(), Failure> {
    let account = match &args.account {
        Some(account) => Some(client.find(&account::KIND, account).await?),
        None => None,
    };
    let body = Members::default()
        .with("to", Some(args.to.clone()))
        .with("from", args.from.clone())
        .with("text", args.text.clone())
        .with("account", account)
        .with("intent", args.intent.clone())
        .with("at", args.at.clone());
    let answer = client.post(&["gates", "check"], &body.value()).await?;
    answer.show(out, |value| {
        out.heading(&super::show::words(&value["summary"]));
        let looked = value["looked_at"].as_array().map_or(&[][..], Vec::as_slice);
        let columns = [("GATE", "/gate"), ("RULE", "/name"), ("VERDICT", "/verdict"), ("WHY", "/why")];
        out.table(looked, &columns);
    });
    if answer.value["verdict"] == json!("refused") { Err(Failure::shown()) } else { Ok(()) }
}
