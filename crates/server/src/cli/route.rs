//! `switchboard route`: which message goes through which connection.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;
use super::{account, connection};

mod staged;

const KIND: Kind = Kind { path: "routes", prefix: "rte", noun: "route", names: &["name"] };

/// What to do with routes.
#[derive(Debug, Subcommand)]
pub(super) enum RouteCommand {
    /// The tenant's routes, in the order in which they are asked
    List,
    /// Create a route
    Create {
        /// What people call it
        name: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// One route
    Show {
        /// Its id or name
        route: String,
    },
    /// Change a route; what is not named stays
    Change {
        /// Its id or name
        route: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        flags: Box<Flags>,
        /// Only if it still has this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Delete a route. Messages that it has routed keep their way
    Delete {
        /// Its id or name
        route: String,
    },
    /// Where a message would go now, and why. Nothing is sent
    Try {
        /// Its recipient
        #[arg(long)]
        to: String,
        /// Its sender
        #[arg(long)]
        from: Option<String>,
        /// The SMPP account that would send it, by id or system_id
        #[arg(long)]
        account: Option<String>,
        /// What it would be for: otp, transactional, marketing
        #[arg(long)]
        intent: Option<String>,
        /// What it would say
        #[arg(long)]
        text: Option<String>,
        /// Its SMPP service type
        #[arg(long)]
        service_type: Option<String>,
        /// An optional parameter of SMPP, e.g. 0x1401 or 0x1401=0a0b; repeatable
        #[arg(long = "tlv", value_name = "TAG[=HEX]")]
        tlvs: Vec<String>,
        /// When it would go, e.g. 2027-01-31T22:00:00Z
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Ask the draft instead of the routes in use
        #[arg(long)]
        draft: bool,
    },
    /// The versions of the routes, newest first; or one with its routes
    Versions {
        /// A version's id or number
        version: Option<String>,
        #[command(flatten)]
        page: PageFlags,
    },
    /// What a change was: a version against the one before it, or `draft` against the routes in use
    Diff {
        /// A version's id or number, or `draft`
        version: String,
        /// Compare with this instead: a version, `live` or `draft`
        #[arg(long)]
        with: Option<String>,
    },
    /// Bring the routes of a version back, as a new version
    Rollback {
        /// A version's id or number
        version: String,
    },
    /// Routes that are worked on while messages still follow those in use
    #[command(subcommand)]
    Draft(staged::DraftCommand),
}

/// What new and changed routes have in common. A list flag is repeated for each entry; `none` takes a condition away.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// A connection it leads to, by id or name, the preferred first; repeatable. Weights and costs: `--set targets=…`
    #[arg(long = "target", value_name = "CONNECTION")]
    targets: Vec<String>,
    /// Its place: the highest is asked first; 100 when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Whether it is asked at all: true or false
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// How one of them is chosen: failover, round_robin, weighted, least_load, least_cost, sticky
    #[arg(long)]
    strategy: Option<String>,
    /// Only messages of this SMPP account, by id or system_id; repeatable
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// Only messages from this sender; with * at its end, from senders that begin so; repeatable
    #[arg(long = "sender", value_name = "SENDER")]
    senders: Vec<String>,
    /// Only messages to numbers of this country, e.g. FR; repeatable
    #[arg(long = "country", value_name = "CODE")]
    countries: Vec<String>,
    /// Only messages to this network, e.g. 208 or 208-01; repeatable
    #[arg(long = "network", value_name = "MCC-MNC")]
    networks: Vec<String>,
    /// Only messages whose text reads so: otp, transactional, promotional; repeatable
    #[arg(long = "traffic", value_name = "TRAFFIC")]
    traffic: Vec<String>,
    /// Only messages whose text holds this; repeatable
    #[arg(long = "keyword", value_name = "WORD")]
    keywords: Vec<String>,
    /// Only messages to numbers that begin so, e.g. 336; repeatable
    #[arg(long = "prefix", value_name = "DIGITS")]
    prefixes: Vec<String>,
    /// Only messages for this: otp, transactional, marketing; repeatable
    #[arg(long = "intent", value_name = "INTENT")]
    intents: Vec<String>,
    /// Any member of the rule by name; null takes a condition away
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Flags {
    /// The body, names of connections and accounts replaced by their ids.
    async fn body(&self, client: &Client) -> Result<Members, Failure> {
        let targets = client.find_all(&connection::KIND, &self.targets).await?;
        let accounts = match self.accounts.as_slice() {
            [none] if none == "none" => self.accounts.clone(),
            named => client.find_all(&account::KIND, named).await?,
        };
        self.members(&targets, &accounts)
    }

    fn members(&self, targets: &[String], accounts: &[String]) -> Result<Members, Failure> {
        let rule = Members::default()
            .with_list("targets", targets)
            .with("strategy", self.strategy.clone())
            .with_list("accounts", accounts)
            .with_list("senders", &self.senders)
            .with_list("countries", &self.countries)
            .with_list("networks", &self.networks)
            .with_list("traffic", &self.traffic)
            .with_list("keywords", &self.keywords)
            .with_list("recipient_prefixes", &self.prefixes)
            .with_list("intents", &self.intents)
            .with_set(&self.set)?;
        Ok(Members::default()
            .with("priority", self.priority)
            .with("active", self.active)
            .with("rule", rule.unless_empty()))
    }
}

const FIRST: &[&str] = &["id", "name", "priority", "active", "rule"];

/// Carries the command out.
///
/// # Errors
/// What the server refuses; for a trial also when no route leads there.
pub(super) async fn run(command: &RouteCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |route: &str| client.find(&KIND, route).await;
    let answer = match command {
        RouteCommand::List => {
            let columns = [
                ("PRIORITY", "/priority"),
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ACTIVE", "/active"),
                ("ACCOUNTS", "/rule/accounts"),
                ("SENDERS", "/rule/senders"),
                ("PREFIXES", "/rule/recipient_prefixes"),
                ("INTENTS", "/rule/intents"),
                ("STRATEGY", "/rule/strategy"),
                ("LEADS TO", "/rule/targets/0/connection"),
                ("THEN", "/rule/targets/1/connection"),
            ];
            client.get(&[KIND.path], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        RouteCommand::Versions { version, page } => {
            return staged::versions(version.as_deref(), page, client, out).await;
        }
        RouteCommand::Diff { version, with } => {
            return staged::diff(version, with.as_deref(), client, out).await;
        }
        RouteCommand::Rollback { version } => return staged::roll_back(version, client, out).await,
        RouteCommand::Draft(command) => return staged::draft(command, client, out).await,
        RouteCommand::Try { to, from, account, intent, text, service_type, tlvs, at, draft } => {
            let account = match account {
                Some(account) => Some(client.find(&account::KIND, account).await?),
                None => None,
            };
            let body = Members::default()
                .with("to", Some(to.clone()))
                .with("from", from.clone())
                .with("account", account)
                .with("intent", intent.clone())
                .with("text", text.clone())
                .with("service_type", service_type.clone())
                .with("tlvs", (!tlvs.is_empty()).then(|| staged::tlvs(tlvs)).transpose()?)
                .with("at", at.clone())
                .with("draft", draft.then_some(true));
            return try_out(&body.value(), client, out).await;
        }
        RouteCommand::Delete { route } => {
            client.write(Method::DELETE, &[KIND.path, &find(route).await?], None).await?;
            out.note("Deleted.");
            return Ok(());
        }
        RouteCommand::Create { name, flags } => {
            let mut body = flags.body(client).await?.with("name", Some(name.clone())).value();
            if body.get("rule").is_none() {
                body["rule"] = json!({});
            }
            client.post(&[KIND.path], &body).await?
        }
        RouteCommand::Show { route } => client.get(&[KIND.path, &find(route).await?], &[]).await?,
        RouteCommand::Change { route, name, flags, revision } => {
            let body = flags.body(client).await?.with("name", name.clone()).with("revision", *revision);
            client.patch(&[KIND.path, &find(route).await?], &body.value()).await?
        }
    };
    answer.show(out, |value| out.facts(value, FIRST));
    Ok(())
}

async fn try_out(body: &serde_json::Value, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = client.post(&[KIND.path, "try"], body).await?;
    answer.show(out, |value| {
        out.heading(&super::show::words(&value["summary"]));
        let looked = value["looked_at"].as_array().map_or(&[][..], Vec::as_slice);
        out.table(looked, LOOKED);
        let last = looked.last().and_then(|looked| looked["passed_over"].as_array());
        if let Some(passed) = last.filter(|passed| !passed.is_empty()) {
            out.heading("Connections that were passed over");
            out.table(passed, &[("CONNECTION", "/id"), ("STATE", "/state"), ("WHY", "/why")]);
        }
        if let Some(reason) = value["traffic"]["reason"].as_str() {
            out.note(&format!(
                "Its text reads {}: {reason}.",
                super::show::words(&value["traffic"]["traffic"])
            ));
        }
    });
    if answer.value.get("chosen").is_some_and(|chosen| !chosen.is_null()) {
        Ok(())
    } else {
        Err(Failure::shown())
    }
}

/// The columns of what each rule said.
pub(super) const LOOKED: &[(&str, &str)] =
    &[("ID", "/route"), ("ROUTE", "/name"), ("VERDICT", "/verdict"), ("WHY", "/why")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_members_of_the_rule() {
        let flags = Flags {
            priority: Some(-5),
            prefixes: vec!["336".to_owned(), "337".to_owned()],
            intents: vec!["none".to_owned()],
            senders: vec!["AC*".to_owned()],
            strategy: Some("sticky".to_owned()),
            set: vec!["accounts=null".to_owned()],
            ..Flags::default()
        };
        assert_eq!(
            flags.members(&["con_1".to_owned()], &["acc_1".to_owned()]).unwrap().value(),
            json!({ "priority": -5, "rule": {
                "targets": ["con_1"], "strategy": "sticky", "accounts": null, "senders": ["AC*"], "recipient_prefixes": ["336", "337"], "intents": []
            } })
        );
    }
}
