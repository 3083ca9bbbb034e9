//! `switchboard directory`: directories that people sign in with (LDAP).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::{Members, secret};
use super::show::Out;

const KIND: Kind = Kind { path: "directories", prefix: "dir", noun: "directory", names: &["name"] };

/// What to do with directories.
#[derive(Debug, Subcommand)]
pub(super) enum DirectoryCommand {
    /// The tenant's directories, newest first
    List(PageFlags),
    /// Show a directory, and its last readings
    Show {
        /// Its id or name
        which: String,
    },
    /// Add a directory; try it, then switch it on with change --active true
    Create {
        /// What people call it
        name: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Change a directory; what is not given stays
    Change {
        /// Its id or name
        which: String,
        /// What people call it from now on
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Try it: connecting, TLS, bind, and what one person would get
    Test {
        /// Its id or name
        which: String,
        /// The e-mail address of a person
        person: Option<String>,
    },
    /// Read it now, so that users follow it
    Sync {
        /// Its id or name
        which: String,
        /// Only say what would change
        #[arg(long)]
        dry: bool,
        /// The most users who may be shut out, where a reading was held back
        #[arg(long, value_name = "USERS")]
        leavers_max: Option<i64>,
    },
    /// Its last readings, newest first
    Runs {
        /// Its id or name
        which: String,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Which users are which of its entries
    People {
        /// Its id or name
        which: String,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Let a user follow it no longer
    Untie {
        /// Its id or name
        which: String,
        /// The user's id or e-mail address
        user: String,
    },
    /// Remove a directory; its people stay users
    Delete {
        /// Its id or name
        which: String,
    },
}

/// How it is asked, and what its people get.
#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// Whether people sign in with it, and users follow it
    #[arg(long)]
    active: Option<bool>,
    /// The kind, by which filters and attributes are filled in: openldap or active_directory
    #[arg(long)]
    kind: Option<String>,
    /// A server, e.g. ldaps://directory.example.com; repeat it, they are tried in this order
    #[arg(long = "server", value_name = "URL")]
    servers: Vec<String>,
    /// A file with the certificates of who issued the servers' own, as PEM; none for the machine's roots
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The entry that we ask as
    #[arg(long, value_name = "DN")]
    bind_dn: Option<String>,
    /// Its password; - reads it from standard input
    #[arg(long, env = "SWITCHBOARD_BIND_PASSWORD", hide_env_values = true)]
    bind_password: Option<String>,
    /// The entry below which people stand
    #[arg(long, value_name = "DN")]
    base: Option<String>,
    /// A group and its role, e.g. operators=operator; repeat it, the first that fits counts; none for no mapping
    #[arg(long = "group", value_name = "GROUP=ROLE")]
    groups: Vec<String>,
    /// The role of everybody else; none to let nobody else in
    #[arg(long, value_name = "ROLE")]
    default_role: Option<String>,
    /// Whether people who are not known yet become users
    #[arg(long)]
    create_users: Option<bool>,
    /// Whether users are tied to who has their e-mail address in it
    #[arg(long)]
    link_by_email: Option<bool>,
    /// A domain of addresses whose people sign in with it; repeat it or separate with commas; none for no domain
    #[arg(long = "domain", value_name = "DOMAIN", value_delimiter = ',')]
    domains: Vec<String>,
    /// Minutes between two readings of all of it; 0 for none
    #[arg(long, value_name = "MINUTES")]
    read_minutes: Option<u32>,
    /// Any other setting, e.g. --set user_filter=(uid={login}); repeat it
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Flags {
    /// The settings: those that are given, on top of those that are there.
    fn settings(&self, present: Option<&Value>) -> Result<Option<Value>, Failure> {
        let mut roles = Vec::with_capacity(self.groups.len());
        for line in self.groups.iter().filter(|line| *line != "none") {
            let (group, role) = line.rsplit_once('=').ok_or_else(|| {
                Failure::usage(
                    format!("{line:?} is not a group and its role"),
                    "write it as operators=operator.".to_owned(),
                )
            })?;
            roles.push(json!({ "group": group, "role": role }));
        }
        let role =
            self.default_role.as_deref().map(|role| if role == "none" { Value::Null } else { role.into() });
        let ca = match self.ca.as_deref() {
            Some(path) if path.as_os_str() == "none" => Some(String::new()),
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(
                    format!("{} cannot be read: {error}", path.display()),
                    "give a file of PEM.".to_owned(),
                )
            })?),
            None => None,
        };
        let given = Members::default()
            .with("kind", self.kind.clone())
            .with_list("servers", &self.servers)
            .with("ca", ca)
            .with("bind_dn", self.bind_dn.clone())
            .with("base", self.base.clone())
            .with("group_roles", (!self.groups.is_empty()).then_some(Value::from(roles)))
            .with("default_role", role)
            .with("create_users", self.create_users)
            .with("link_by_email", self.link_by_email)
            .with_list("domains", &self.domains)
            .with("read_minutes", self.read_minutes)
            .with_set(&self.set)?
            .object();
        if given.is_empty() {
            return Ok(None);
        }
        let mut settings = present.and_then(Value::as_object).cloned().unwrap_or_default();
        settings.extend(given);
        Ok(Some(Value::Object(settings)))
    }

    fn onto(&self, members: Members, present: Option<&Value>) -> Result<Value, Failure> {
        let members = members
            .with("bind_password", secret(self.bind_password.as_deref())?)
            .with("active", self.active)
            .with("settings", self.settings(present)?);
        Ok(members.value())
    }
}

const RUN_COLUMNS: [(&str, &str); 6] = [
    ("STARTED", "/started_at"),
    ("STATE", "/state"),
    ("DRY", "/dry"),
    ("PEOPLE", "/entries"),
    ("SHUT OUT", "/outcome/left"),
    ("WHY", "/outcome/reason"),
];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &DirectoryCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        DirectoryCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("SERVERS", "/settings/servers"),
                ("ACTIVE", "/active"),
                ("DOMAINS", "/settings/domains"),
            ];
            client.get(&[KIND.path], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        DirectoryCommand::Show { which } => {
            client.get(&[KIND.path, &client.find(&KIND, which).await?], &[]).await?
        }
        DirectoryCommand::Create { name, flags } => {
            let members = Members::default().with("name", Some(name.clone()));
            client.post(&[KIND.path], &flags.onto(members, None)?).await?
        }
        DirectoryCommand::Change { which, name, flags } => {
            let id = client.find(&KIND, which).await?;
            let present = client.get(&[KIND.path, &id], &[]).await?.value;
            let members = Members::default()
                .with("name", name.clone())
                .with("revision", present.get("revision").cloned());
            let body = flags.onto(members, present.get("settings"))?;
            client.write(Method::PATCH, &[KIND.path, &id], Some(&body)).await?
        }
        DirectoryCommand::Delete { which } => {
            let id = client.find(&KIND, which).await?;
            client.write(Method::DELETE, &[KIND.path, &id], None).await?;
            out.note("Removed.");
            return Ok(());
        }
        other => return on_people(other, client, out).await,
    };
    const SHOWN: &[&str] = &["id", "name", "active", "has_bind_password", "settings", "read_next_at"];
    answer.show(out, |value| out.facts(value, SHOWN));
    Ok(())
}

/// What is about its people.
async fn on_people(command: &DirectoryCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        DirectoryCommand::Test { which, person } => {
            let id = client.find(&KIND, which).await?;
            let body = json!({ "login": person.clone().unwrap_or_default() });
            let answer = client.post(&[KIND.path, &id, "try"], &body).await?;
            answer.show(out, |value| {
                for step in value["steps"].as_array().into_iter().flatten() {
                    out.facts(step, &["step", "server", "done", "detail", "took_ms"]);
                }
                if value["person"].is_object() {
                    out.facts(
                        &value["person"],
                        &["dn", "entry", "email", "name", "groups", "role", "shut", "tied"],
                    );
                }
            });
        }
        DirectoryCommand::Sync { which, dry, leavers_max } => {
            let id = client.find(&KIND, which).await?;
            let body = Members::default().with("dry", Some(*dry)).with("leavers_max", *leavers_max).value();
            let answer = client.post(&[KIND.path, &id, "runs"], &body).await?;
            answer.show(out, |value| out.facts(value, &["id", "state", "dry"]));
        }
        DirectoryCommand::Runs { which, page } => {
            let id = client.find(&KIND, which).await?;
            client.get(&[KIND.path, &id, "runs"], &page.query()).await?.show_page(out, &RUN_COLUMNS);
        }
        DirectoryCommand::People { which, page } => {
            let id = client.find(&KIND, which).await?;
            let columns = [
                ("USER", "/user_id"),
                ("NAME", "/user_name"),
                ("ROLE", "/role"),
                ("STATUS", "/status"),
                ("ENTRY", "/dn"),
            ];
            client.get(&[KIND.path, &id, "people"], &page.query()).await?.show_page(out, &columns);
        }
        DirectoryCommand::Untie { which, user } => {
            let id = client.find(&KIND, which).await?;
            let user = client.find(&super::user::KIND, user).await?;
            client.post(&[KIND.path, &id, "people", "untie"], &json!({ "user_id": user })).await?;
            out.note("Untied.");
        }
        // The others are carried out above.
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_comes_on_top_of_what_is_there() {
        let present = json!({ "base": "dc=example", "create_users": true, "default_role": "viewer" });
        let flags = Flags {
            groups: vec!["cn=ops,dc=example=operator".to_owned()],
            default_role: Some("none".to_owned()),
            set: vec!["user_filter=(uid={login})".to_owned()],
            ..Flags::default()
        };
        let settings = flags.settings(Some(&present)).unwrap().unwrap();
        let wanted = json!({
            "base": "dc=example", "create_users": true, "default_role": null, "user_filter": "(uid={login})",
            "group_roles": [{ "group": "cn=ops,dc=example", "role": "operator" }],
        });
        assert_eq!(settings, wanted);
        assert!(Flags::default().settings(Some(&present)).unwrap().is_none());
    }
}
