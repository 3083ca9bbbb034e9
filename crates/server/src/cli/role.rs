//! `switchboard role`, `grant`, `team` and `explain`: who may do what, and why.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value};

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::{self, Out, Tone};

const USER: Kind = Kind { path: "users", prefix: "usr", noun: "user", names: &["email"] };
const KEY: Kind = Kind { path: "api-keys", prefix: "key", noun: "API key", names: &["name"] };
const TEAM: Kind = Kind { path: "teams", prefix: "tea", noun: "team", names: &["name"] };

/// What to do with roles.
#[derive(Debug, Subcommand)]
pub(super) enum RoleCommand {
    /// All roles, those of every installation first
    List,
    /// The permission catalogue
    Permissions,
    /// A role and all that it allows
    Show {
        /// Its name
        name: String,
    },
    /// Make a role
    Create {
        /// Its name: lower-case letters, digits and dashes
        name: String,
        #[command(flatten)]
        words: RoleFlags,
    },
    /// Change a role; what is not named stays, and permissions are named all together
    Change {
        /// Its name
        name: String,
        #[command(flatten)]
        words: RoleFlags,
    },
    /// Delete a role
    Delete {
        /// Its name
        name: String,
        /// The role that its users get
        #[arg(long, value_name = "ROLE")]
        successor: Option<String>,
    },
}

/// What a role is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RoleFlags {
    /// What people call it
    #[arg(long)]
    title: Option<String>,
    /// Whom it is for
    #[arg(long)]
    about: Option<String>,
    /// A role whose permissions it has too; empty for none
    #[arg(long, value_name = "ROLE")]
    parent: Option<String>,
    /// A permission, for all records or =own or =team; repeat it or separate with commas
    #[arg(long = "allow", value_name = "PERMISSION[=REACH]", value_delimiter = ',')]
    allow: Vec<String>,
}

impl RoleFlags {
    fn members(&self) -> Members {
        Members::default()
            .with("title", self.title.clone())
            .with("about", self.about.clone())
            .with("parent", self.parent.clone())
            .with("permissions", permissions(&self.allow))
    }
}

/// `key.view=own` and `message.view` as the API takes them; nothing where none is named.
fn permissions(allow: &[String]) -> Option<Value> {
    let pairs = allow.iter().map(|one| match one.split_once('=') {
        Some((name, reach)) => (name.to_owned(), Value::from(reach)),
        None => (one.clone(), Value::from("all")),
    });
    let map: Map<String, Value> = pairs.collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &RoleCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let first = ["name", "title", "about", "parent", "users"];
    match command {
        RoleCommand::List => {
            let columns = [
                ("NAME", "/name"),
                ("TITLE", "/title"),
                ("SYSTEM", "/system"),
                ("PARENT", "/parent"),
                ("USERS", "/users"),
            ];
            client.get(&["roles"], &[]).await?.show_page(out, &columns);
        }
        RoleCommand::Permissions => {
            let answer = client.get(&["permissions"], &[]).await?;
            answer.show(out, |value| {
                let all = value["permissions"].as_array().map_or(&[][..], Vec::as_slice);
                out.table(all, &[("PERMISSION", "/name"), ("GROUP", "/group"), ("WHAT IT ALLOWS", "/title")]);
            });
        }
        RoleCommand::Show { name } => {
            client.get(&["roles", name], &[]).await?.show(out, |value| out.facts(value, &first));
        }
        RoleCommand::Create { name, words } => {
            let body = words.members().with("name", Some(name.clone()));
            client.post(&["roles"], &body.value()).await?.show(out, |value| out.facts(value, &first));
        }
        RoleCommand::Change { name, words } => {
            let answer = client.patch(&["roles", name], &words.members().value()).await?;
            answer.show(out, |value| out.facts(value, &first));
        }
        RoleCommand::Delete { name, successor } => {
            client.remove(&["roles", name], &[("successor", successor.clone())]).await?;
            out.note("Deleted.");
        }
    }
    Ok(())
}

/// What to do with what is given for a time.
#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// What users were given for a time, newest first
    List {
        /// Only this user's: an id or e-mail address
        #[arg(long)]
        user: Option<String>,
        /// Only those that count at this moment
        #[arg(long)]
        active: bool,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Give a user a role or permissions for a time
    Create {
        /// Their id or e-mail address
        user: String,
        /// A role's name
        #[arg(long)]
        role: Option<String>,
        /// A permission, for all records or =own or =team; repeat it or separate with commas
        #[arg(long = "allow", value_name = "PERMISSION[=REACH]", value_delimiter = ',')]
        allow: Vec<String>,
        /// Why
        #[arg(long)]
        reason: String,
        /// When it ends by itself (RFC 3339), within a year
        #[arg(long, value_name = "TIME")]
        until: String,
    },
    /// End what was given before its time
    End {
        /// Its id
        grant: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn grant(command: &GrantCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let first = ["id", "user", "role", "reason", "ends_at"];
    match command {
        GrantCommand::List { user, active, page } => {
            let user = match user {
                Some(user) => Some(client.find(&USER, user).await?),
                None => None,
            };
            let mut query = page.query();
            query.extend([("user", user), ("active", active.then(|| "true".to_owned()))]);
            let columns = [
                ("ID", "/id"),
                ("USER", "/user_name"),
                ("ROLE", "/role"),
                ("REASON", "/reason"),
                ("ENDS", "/ends_at"),
                ("ACTIVE", "/active"),
            ];
            client.get(&["grants"], &query).await?.show_page(out, &columns);
        }
        GrantCommand::Create { user, role, allow, reason, until } => {
            let body = Members::default()
                .with("user", Some(client.find(&USER, user).await?))
                .with("role", role.clone())
                .with("permissions", permissions(allow))
                .with("reason", Some(reason.clone()))
                .with("ends_at", Some(until.clone()));
            client.post(&["grants"], &body.value()).await?.show(out, |value| out.facts(value, &first));
        }
        GrantCommand::End { grant } => {
            let answer = client.write(Method::DELETE, &["grants", grant], None).await?;
            answer.show(out, |value| out.facts(value, &first));
        }
    }
    Ok(())
}

/// What to do with teams.
#[derive(Debug, Subcommand)]
pub(super) enum TeamCommand {
    /// The teams, by name
    List,
    /// Create a team
    Create {
        /// What people call it
        name: String,
        #[command(flatten)]
        words: TeamFlags,
    },
    /// Change a team; what is not named stays, and members are named all together
    Change {
        /// Its id or name
        team: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        words: TeamFlags,
    },
    /// Delete a team; its members stay
    Delete {
        /// Its id or name
        team: String,
    },
}

/// What a team is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TeamFlags {
    /// What it is for
    #[arg(long)]
    about: Option<String>,
    /// Who is in it: an id or e-mail address; repeat it or separate with commas
    #[arg(long = "member", value_name = "USER", value_delimiter = ',')]
    members: Vec<String>,
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn team(command: &TeamCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let members = async |words: &TeamFlags| -> Result<Members, Failure> {
        let found = client.find_all(&USER, &words.members).await?;
        Ok(Members::default()
            .with("about", words.about.clone())
            .with("members", (!found.is_empty()).then_some(found)))
    };
    let first = ["id", "name", "about"];
    match command {
        TeamCommand::List => {
            let columns = [("ID", "/id"), ("NAME", "/name"), ("ABOUT", "/about")];
            client.get(&["teams"], &[]).await?.show_page(out, &columns);
        }
        TeamCommand::Create { name, words } => {
            let body = members(words).await?.with("name", Some(name.clone()));
            client.post(&["teams"], &body.value()).await?.show(out, |value| out.facts(value, &first));
        }
        TeamCommand::Change { team, name, words } => {
            let body = members(words).await?.with("name", name.clone());
            let id = client.find(&TEAM, team).await?;
            client.patch(&["teams", &id], &body.value()).await?.show(out, |value| out.facts(value, &first));
        }
        TeamCommand::Delete { team } => {
            let id = client.find(&TEAM, team).await?;
            client.write(Method::DELETE, &["teams", &id], None).await?;
            out.note("Deleted.");
        }
    }
    Ok(())
}

/// Who, what, and about which record.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// A user or API key, by id, e-mail address or name; me for whose key this is
    who: String,
    /// The permission, e.g. message.send
    permission: String,
    /// A record's id, where it matters whose it is
    record: Option<String>,
}

/// Says whether somebody may do something, and what that rests on. Not allowed is exit code 1.
///
/// # Errors
/// What the server refuses; a verdict of not allowed.
pub(super) async fn explain(args: &ExplainArgs, client: &Client, out: &Out) -> Result<(), Failure> {
    let who = match args.who.as_str() {
        "me" => None,
        id if id.starts_with("usr_") || id.starts_with("key_") => Some(id.to_owned()),
        address if address.contains('@') => Some(client.find(&USER, address).await?),
        name => Some(client.find(&KEY, name).await?),
    };
    let query =
        [("who", who), ("permission", Some(args.permission.clone())), ("record", args.record.clone())];
    let answer = client.get(&["explain"], &query).await?;
    answer.show(out, |value| {
        let allowed = value["allowed"] == Value::Bool(true);
        let verdict =
            if allowed { out.paint(Tone::Good, "allowed") } else { out.paint(Tone::Bad, "not allowed") };
        out.line(&format!(
            "{}  {}  {verdict}",
            show::words(&value["name"]),
            show::words(&value["permission"])
        ));
        for (title, list) in [("GIVEN BY", "given_by"), ("BARRED BY", "barred_by")] {
            if let Some(grounds) = value[list].as_array().filter(|all| !all.is_empty()) {
                out.line("");
                out.table(
                    grounds,
                    &[(title, "/detail"), ("REACH", "/reach"), ("UNTIL", "/until"), ("WHERE", "/href")],
                );
            }
        }
    });
    match answer.value["allowed"] == Value::Bool(true) {
        true => Ok(()),
        false => Err(Failure::shown()),
    }
}
