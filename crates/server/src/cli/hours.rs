//! `switchboard hours`: working hours and limits.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Kind};
use super::failure::Failure;
use super::firewall::{self, CheckArgs, ReachArgs};
use super::set::Members;
use super::show::Out;

const KIND: Kind = Kind { path: "hours", prefix: "hrs", noun: "hours rule", names: &["name"] };

/// What to do with hours.
#[derive(Debug, Subcommand)]
pub(super) enum HoursCommand {
    /// The rules, the oldest first
    List,
    /// Add a rule
    Add {
        /// What people call it
        name: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// One rule
    Show {
        /// Its id or name
        hours: String,
    },
    /// Change a rule; what is not named stays
    Change {
        /// Its id or name
        hours: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        flags: Box<Flags>,
        /// Only if it still has this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Remove a rule. Messages that it postponed keep their time
    Remove {
        /// Its id or name
        hours: String,
    },
    /// What the gates would say about a message, and why. Nothing is sent
    Check(CheckArgs),
}

/// What new and changed rules have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// When messages may go, e.g. mon,tue,wed=08:00-20:00; repeatable
    #[arg(long = "window", value_name = "DAYS=FROM-TO")]
    windows: Vec<String>,
    /// A day on which no window begins, e.g. 2027-01-01; repeatable; `none` empties the list
    #[arg(long = "holiday", value_name = "DAY")]
    holidays: Vec<String>,
    /// The zone of the windows, e.g. Africa/Casablanca; the tenant's own when not given
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// What happens outside of the windows: postpone, refuse
    #[arg(long)]
    outside: Option<String>,
    /// Message parts a second over all that the rule is about
    #[arg(long, value_name = "N")]
    parts_per_second: Option<u32>,
    /// Whether it is asked at all: true or false
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// Any member of the rule by name, e.g. 'routes=["rte_…"]'; null takes it away
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Reads `mon,tue=08:00-20:00`.
fn window(text: &str) -> Result<Value, Failure> {
    let parts = text.split_once('=').and_then(|(days, stretch)| Some((days, stretch.split_once('-')?)));
    let (days, (from, to)) = parts.ok_or_else(|| {
        Failure::usage(
            format!("--window {text:?} is not days=from-to"),
            "write e.g. --window mon,tue=08:00-20:00.",
        )
    })?;
    let days: Vec<&str> = days.split(',').map(str::trim).collect();
    Ok(json!({ "days": days, "from": from.trim(), "to": to.trim() }))
}

impl Flags {
    fn rule(&self, reach: Option<Value>) -> Result<Members, Failure> {
        let windows = self.windows.iter().map(|text| window(text)).collect::<Result<Vec<_>, _>>()?;
        Members::default()
            .with("windows", Some(windows).filter(|windows| !windows.is_empty()))
            .with_list("holidays", &self.holidays)
            .with("time_zone", self.time_zone.clone())
            .with("outside", self.outside.clone())
            .with("parts_per_second", self.parts_per_second)
            .with("reach", reach)
            .with_set(&self.set)
    }

    async fn body(&self, client: &Client) -> Result<Members, Failure> {
        let rule = self.rule(self.reach.reach(client).await?)?;
        Ok(Members::default().with("active", self.active).with("rule", rule.unless_empty()))
    }
}

const FIRST: &[&str] = &["id", "name", "active", "rule"];

/// Carries the command out.
///
/// # Errors
/// What the server refuses; for a check also when the message would be refused.
pub(super) async fn run(command: &HoursCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |hours: &str| client.find(&KIND, hours).await;
    let answer = match command {
        HoursCommand::List => {
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ACTIVE", "/active"),
                ("INTENTS", "/rule/reach/intents"),
                ("COUNTRIES", "/rule/reach/countries"),
                ("OUTSIDE", "/rule/outside"),
                ("PER SECOND", "/rule/parts_per_second"),
            ];
            client.get(&[KIND.path], &[]).await?.show_page(out, &columns);
            return Ok(());
        }
        HoursCommand::Check(args) => return firewall::check(args, client, out).await,
        HoursCommand::Remove { hours } => {
            client.write(Method::DELETE, &[KIND.path, &find(hours).await?], None).await?;
            out.note("Removed.");
            return Ok(());
        }
        HoursCommand::Add { name, flags } => {
            let mut body = flags.body(client).await?.with("name", Some(name.clone())).value();
            if body.get("rule").is_none() {
                body["rule"] = json!({});
            }
            client.post(&[KIND.path], &body).await?
        }
        HoursCommand::Show { hours } => client.get(&[KIND.path, &find(hours).await?], &[]).await?,
        HoursCommand::Change { hours, name, flags, revision } => {
            let body = flags.body(client).await?.with("name", name.clone()).with("revision", *revision);
            client.patch(&[KIND.path, &find(hours).await?], &body.value()).await?
        }
    };
    answer.show(out, |value| out.facts(value, FIRST));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_members_of_the_rule() {
        let flags = Flags {
            windows: vec!["mon, tue=08:00-20:00".to_owned()],
            holidays: vec!["none".to_owned()],
            parts_per_second: Some(5),
            set: vec!["time_zone=null".to_owned()],
            ..Flags::default()
        };
        assert_eq!(
            flags.rule(None).unwrap().value(),
            json!({ "windows": [{ "days": ["mon", "tue"], "from": "08:00", "to": "20:00" }], "holidays": [],
                "parts_per_second": 5, "time_zone": null })
        );
        assert!(window("mon 08:00").is_err());
    }
}
