//! `switchboard identity-provider`: services that people sign in with.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;

const KIND: Kind =
    Kind { path: "identity-providers", prefix: "idp", noun: "identity provider", names: &["name"] };

/// What to do with services that people sign in with.
#[derive(Debug, Subcommand)]
pub(super) enum ProviderCommand {
    /// The tenant's services, newest first
    List(PageFlags),
    /// Show a service, with the address it must lead people back to
    Show {
        /// Its id or name
        which: String,
    },
    /// Add a service that people sign in with (OpenID Connect)
    Create {
        /// What people call it
        name: String,
        /// Its address, e.g. https://login.example/realms/company
        #[arg(long)]
        issuer: String,
        /// What we are called there
        #[arg(long)]
        client_id: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Change a service; what is not given stays
    Change {
        /// Its id or name
        which: String,
        /// What people call it from now on
        #[arg(long)]
        name: Option<String>,
        /// Its address
        #[arg(long)]
        issuer: Option<String>,
        /// What we are called there
        #[arg(long)]
        client_id: Option<String>,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    #[command(flatten)]
    Subject(SubjectCommand),
    /// Remove a service; its people stay users
    Delete {
        /// Its id or name
        which: String,
    },
}

/// What to do with who somebody is at a service.
#[derive(Debug, Subcommand)]
pub(super) enum SubjectCommand {
    /// Who of a service is which user here
    Subjects {
        /// Its id or name
        which: String,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Tie a subject of a service, such as a program's, to a user: its access tokens act for them
    Tie {
        /// The service's id or name
        which: String,
        /// What the service calls it in its tokens: the claim sub
        subject: String,
        /// The user's id or e-mail address
        user: String,
    },
    /// Tie a subject of a service to nobody any more
    Untie {
        /// The service's id or name
        which: String,
        /// What the service calls it in its tokens
        subject: String,
    },
}

/// What people who sign in get.
#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// Our secret there
    #[arg(long, env = "SWITCHBOARD_CLIENT_SECRET", hide_env_values = true)]
    client_secret: Option<String>,
    /// Whether people can sign in with it
    #[arg(long)]
    active: Option<bool>,
    /// What is asked for, e.g. openid,email,profile,groups
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// The claim that names a person's groups
    #[arg(long, value_name = "CLAIM")]
    groups_claim: Option<String>,
    /// A group and its role, e.g. operators=operator; repeat it, the first that fits counts; none for no mapping
    #[arg(long = "group", value_name = "GROUP=ROLE")]
    groups: Vec<String>,
    /// The role of everybody else; none to let nobody else in
    #[arg(long, value_name = "ROLE")]
    default_role: Option<String>,
    /// Whether people who are not known yet become users
    #[arg(long)]
    create_users: Option<bool>,
    /// Whether users are tied to it by their verified e-mail address
    #[arg(long)]
    link_by_email: Option<bool>,
    /// A domain of addresses that leads here; repeat it or separate with commas; none for no domain
    #[arg(long = "domain", value_name = "DOMAIN", value_delimiter = ',')]
    domains: Vec<String>,
    /// A value of amr or acr, such as mfa, by which it says that it asked for a second step itself; repeat it or separate with
    /// commas; none for no such value
    #[arg(long = "second-step-by", value_name = "VALUE", value_delimiter = ',')]
    second_step_by: Vec<String>,
    /// A permission, such as message.send, that bearers of its access tokens have at most; repeat it or separate with commas;
    /// none to take no such tokens
    #[arg(long = "token-scope", value_name = "PERMISSION", value_delimiter = ',')]
    token_scopes: Vec<String>,
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
        let given = Members::default()
            .with_list("scopes", &self.scopes)
            .with("groups_claim", self.groups_claim.clone())
            .with("group_roles", (!self.groups.is_empty()).then_some(Value::from(roles)))
            .with("default_role", role)
            .with("create_users", self.create_users)
            .with("link_by_email", self.link_by_email)
            .with_list("domains", &self.domains)
            .with_list("second_step_by", &self.second_step_by)
            .with_list("token_scopes", &self.token_scopes)
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
            .with("client_secret", self.client_secret.clone())
            .with("active", self.active)
            .with("settings", self.settings(present)?);
        Ok(members.value())
    }
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &ProviderCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        ProviderCommand::List(page) => {
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ISSUER", "/issuer"),
                ("ACTIVE", "/active"),
                ("DOMAINS", "/settings/domains"),
            ];
            client.get(&[KIND.path], &page.query()).await?.show_page(out, &columns);
            return Ok(());
        }
        ProviderCommand::Show { which } => {
            client.get(&[KIND.path, &client.find(&KIND, which).await?], &[]).await?
        }
        ProviderCommand::Create { name, issuer, client_id, flags } => {
            let members = Members::default()
                .with("name", Some(name.clone()))
                .with("issuer", Some(issuer.clone()))
                .with("client_id", Some(client_id.clone()));
            client.post(&[KIND.path], &flags.onto(members, None)?).await?
        }
        ProviderCommand::Change { which, name, issuer, client_id, flags } => {
            let id = client.find(&KIND, which).await?;
            let present = client.get(&[KIND.path, &id], &[]).await?.value;
            let members = Members::default()
                .with("name", name.clone())
                .with("issuer", issuer.clone())
                .with("client_id", client_id.clone())
                .with("revision", present.get("revision").cloned());
            let body = flags.onto(members, present.get("settings"))?;
            client.write(Method::PATCH, &[KIND.path, &id], Some(&body)).await?
        }
        ProviderCommand::Subject(command) => return on_subjects(command, client, out).await,
        ProviderCommand::Delete { which } => {
            let id = client.find(&KIND, which).await?;
            client.write(Method::DELETE, &[KIND.path, &id], None).await?;
            out.note("Removed.");
            return Ok(());
        }
    };
    let facts = [
        "id",
        "name",
        "issuer",
        "client_id",
        "active",
        "settings",
        "redirect_uri",
        "sign_in_url",
        "token_audience",
    ];
    answer.show(out, |value| out.facts(value, &facts));
    Ok(())
}

async fn on_subjects(command: &SubjectCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        SubjectCommand::Subjects { which, page } => {
            let id = client.find(&KIND, which).await?;
            let columns = [
                ("SUBJECT", "/subject"),
                ("USER", "/user_id"),
                ("NAME", "/user_name"),
                ("SINCE", "/linked_at"),
            ];
            client.get(&[KIND.path, &id, "subjects"], &page.query()).await?.show_page(out, &columns);
        }
        SubjectCommand::Tie { which, subject, user } => {
            let id = client.find(&KIND, which).await?;
            let user = client.find(&super::user::KIND, user).await?;
            let body = json!({ "subject": subject, "user_id": user });
            let answer = client.post(&[KIND.path, &id, "subjects"], &body).await?;
            answer.show(out, |value| out.facts(value, &["subject", "user_id", "user_name", "linked_at"]));
        }
        SubjectCommand::Untie { which, subject } => {
            let id = client.find(&KIND, which).await?;
            client.post(&[KIND.path, &id, "subjects", "untie"], &json!({ "subject": subject })).await?;
            out.note("Untied.");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_comes_on_top_of_what_is_there() {
        let present = json!({ "groups_claim": "roles", "create_users": true, "default_role": "viewer" });
        let flags = Flags {
            groups: vec!["ops=operator".to_owned()],
            default_role: Some("none".to_owned()),
            ..Flags::default()
        };
        let settings = flags.settings(Some(&present)).unwrap().unwrap();
        let wanted = json!({
            "groups_claim": "roles", "create_users": true, "default_role": null,
            "group_roles": [{ "group": "ops", "role": "operator" }],
        });
        assert_eq!(settings, wanted);
        assert!(Flags::default().settings(Some(&present)).unwrap().is_none());
        let bad = Flags { groups: vec!["ops".to_owned()], ..Flags::default() };
        assert!(bad.settings(None).is_err());
    }
}
