//! `switchboard user`: people who sign in. A sign-in link can be had without the server too: it is the way back in.

use clap::Subcommand;
use identity::{factor, first_start};
use reqwest::Method;
use runtime::{Clock, Runtime};
use serde_json::json;

use super::client::{Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::Out;
use super::{ConfigFlags, ReachFlags, config};
use crate::serve;

pub(super) const KIND: Kind = Kind { path: "users", prefix: "usr", noun: "user", names: &["email"] };

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// The tenant's users, newest first
    List(PageFlags),
    /// Create a user, who signs in by a link first
    Create {
        /// Their e-mail address
        email: String,
        /// What to call them; the address when not given
        #[arg(long)]
        name: Option<String>,
        /// What they may do: tenant_admin, operator, developer, support, viewer, platform_admin
        #[arg(long)]
        role: String,
        /// The language they read: en, fr, ar
        #[arg(long)]
        language: Option<String>,
        /// The hash of their password from another system, bcrypt or argon2id; they get in by a link when not given
        #[arg(long, value_name = "HASH")]
        password_hash: Option<String>,
    },
    /// How a user's account is kept safe: second factors, failed attempts
    Security {
        /// Their id or e-mail address
        user: String,
    },
    /// A user's security history, newest first
    History {
        /// Their id or e-mail address
        user: String,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Let a user who failed too often try again at once
    Unlock {
        /// Their id or e-mail address
        user: String,
    },
    /// The browsers that a user is signed in with
    Sessions {
        /// Their id or e-mail address
        user: String,
    },
    /// Sign a user out everywhere, for one whose browser is in other hands
    SignOut {
        /// Their id or e-mail address
        user: String,
    },
    /// Take a user's second factors away, for one who has lost them
    ResetFactors {
        /// Their id or e-mail address; with --offline the address
        user: String,
        /// Do not ask the server: by the database itself
        #[arg(long)]
        offline: bool,
    },
    /// How people of the tenant sign in; changed by what is named
    Policy {
        /// A role that needs a second factor; several times for several, `none` for no role
        #[arg(long = "second-factor", value_name = "ROLE")]
        second_factor_roles: Vec<String>,
        /// Whether a code by mail stands in for a second factor that is not at hand: true or false
        #[arg(long)]
        mail_codes: Option<bool>,
        /// Whether a user is told by mail when somebody acts as them: true or false
        #[arg(long)]
        impersonation_mails: Option<bool>,
        /// Whether people may add a phone that codes to sign in go to by SMS: true or false
        #[arg(long)]
        sms_codes: Option<bool>,
        /// Whether a phone is enough as a second step, with nothing beside it: true or false
        #[arg(long)]
        sms_alone: Option<bool>,
        /// How numbers begin that codes go to, such as +33; several times for several, `none` for none
        #[arg(long = "sms-prefix", value_name = "PREFIX")]
        sms_prefixes: Vec<String>,
        /// Who the codes come from
        #[arg(long)]
        sms_sender: Option<String>,
        /// Codes within an hour, of everybody together
        #[arg(long)]
        sms_hour_max: Option<i64>,
    },
    /// Who acted as whom, newest first
    Impersonations(PageFlags),
    /// End what others do as a user, at once
    EndImpersonation {
        /// Their id or e-mail address
        user: String,
    },
    /// Make a one-time sign-in link; by the database itself where the server does not answer
    Link {
        /// Their e-mail address, or id where the server answers
        user: String,
        /// Do not ask the server
        #[arg(long)]
        offline: bool,
    },
    /// Change a user; what is not named stays
    Change {
        /// Their id or e-mail address
        user: String,
        /// What to call them
        #[arg(long)]
        name: Option<String>,
        /// A role's name
        #[arg(long)]
        role: Option<String>,
        /// en, fr or ar
        #[arg(long)]
        language: Option<String>,
        /// active, or disabled: sessions and keys are refused at once
        #[arg(long)]
        status: Option<String>,
    },
}

const FIRST: &[&str] = &["id", "email", "name", "role", "status"];

/// What is shown of a signed-in browser.
const BROWSERS: &[(&str, &str)] = &[
    ("SIGNED IN", "/created_at"),
    ("LAST SEEN", "/last_seen_at"),
    ("FROM", "/from_address"),
    ("BROWSER", "/user_agent"),
];

/// Carries the command out.
///
/// # Errors
/// What the server refuses; for a link also what the database does.
pub(super) async fn run(
    command: &UserCommand,
    flags: &ConfigFlags,
    reach: &ReachFlags,
    out: &Out,
) -> Result<(), Failure> {
    if let UserCommand::Link { user, offline } = command {
        return link(user, *offline, flags, reach, out).await;
    }
    if let UserCommand::ResetFactors { user, offline: true } = command {
        return reset_offline(user, flags, out).await;
    }
    let client = Client::new(flags, reach)?;
    if let UserCommand::Policy { .. } = command {
        return policy(&client, command, out).await;
    }
    let answer = match command {
        UserCommand::Security { user } => {
            client.get(&["users", &client.find(&KIND, user).await?, "security"], &[]).await?
        }
        UserCommand::History { user, page } => return history(&client, user, page, out).await,
        UserCommand::Unlock { user } => {
            client.act(&["users", &client.find(&KIND, user).await?, "unlock"]).await?
        }
        UserCommand::Sessions { user } => {
            let id = client.find(&KIND, user).await?;
            let found = client.get(&["users", &id, "sessions"], &[]).await?;
            found.show(out, |_| out.table(found.items(), BROWSERS));
            return Ok(());
        }
        UserCommand::SignOut { user } => {
            let id = client.find(&KIND, user).await?;
            client.write(Method::DELETE, &["users", &id, "sessions"], None).await?;
            out.note("They are signed out everywhere.");
            return Ok(());
        }
        UserCommand::Impersonations(page) => return impersonations(&client, page, out).await,
        UserCommand::EndImpersonation { user } => {
            let id = client.find(&KIND, user).await?;
            client.write(Method::DELETE, &["users", &id, "impersonation"], None).await?;
            out.note("Nobody acts as them any more.");
            return Ok(());
        }
        UserCommand::ResetFactors { user, .. } => {
            let id = client.find(&KIND, user).await?;
            client.write(Method::DELETE, &["users", &id, "factors"], None).await?
        }
        UserCommand::List(page) => return list(&client, page, out).await,
        UserCommand::Create { email, name, role, language, password_hash } => {
            let body = Members::default()
                .with("email", Some(email.clone()))
                .with("name", Some(name.clone().unwrap_or_else(|| email.clone())))
                .with("role", Some(role.clone()))
                .with("language", language.clone())
                .with("password_hash", password_hash.clone());
            client.post(&["users"], &body.value()).await?
        }
        UserCommand::Change { user, name, role, language, status } => {
            let body = Members::default()
                .with("name", name.clone())
                .with("role", role.clone())
                .with("language", language.clone())
                .with("status", status.clone());
            client.patch(&["users", &client.find(&KIND, user).await?], &body.value()).await?
        }
        // Made above, as it does not need the server.
        UserCommand::Link { .. } | UserCommand::Policy { .. } => return Ok(()),
    };
    answer.show(out, |value| out.facts(value, FIRST));
    if let UserCommand::Create { email, password_hash: None, .. } = command {
        out.note(&format!("They get in by a link: switchboard user link {email}"));
    }
    Ok(())
}

async fn link(
    user: &str,
    offline: bool,
    flags: &ConfigFlags,
    reach: &ReachFlags,
    out: &Out,
) -> Result<(), Failure> {
    if !offline {
        let client = Client::new(flags, reach)?;
        // Without a key the server could only refuse; who may read the data folder needs no key.
        if client.has_key() || reach.url.is_some() {
            match online(&client, user, out).await {
                Err(failure) if failure.is_unreachable() && reach.url.is_none() => {
                    out.note("The server does not answer; asking the database itself.");
                }
                Err(failure) if failure.is_unauthenticated() => {
                    return Err(failure.with_hint(
                        "give another key, or --offline on the server's own machine.".to_owned(),
                    ));
                }
                done => return done,
            }
        }
    }
    let runtime = beside(flags).await?;
    let made = first_start::new_link(&runtime, user).await;
    runtime.db.close().await;
    let made = made?;
    match out.json() {
        true => out.value(&json!(made)),
        false => out.facts(&json!(made), &["url"]),
    }
    Ok(())
}

async fn history(client: &Client, user: &str, page: &PageFlags, out: &Out) -> Result<(), Failure> {
    let columns = [
        ("AT", "/at"),
        ("WHAT", "/kind"),
        ("DETAIL", "/detail"),
        ("BY", "/done_by"),
        ("FROM", "/from_address"),
        ("BROWSER", "/user_agent"),
    ];
    let id = client.find(&KIND, user).await?;
    client.get(&["users", &id, "security", "history"], &page.query()).await?.show_page(out, &columns);
    Ok(())
}

async fn list(client: &Client, page: &PageFlags, out: &Out) -> Result<(), Failure> {
    let columns = [
        ("ID", "/id"),
        ("EMAIL", "/email"),
        ("NAME", "/name"),
        ("ROLE", "/role"),
        ("STATUS", "/status"),
        ("LAST SIGN-IN", "/last_sign_in_at"),
    ];
    client.get(&["users"], &page.query()).await?.show_page(out, &columns);
    Ok(())
}

async fn impersonations(client: &Client, page: &PageFlags, out: &Out) -> Result<(), Failure> {
    let columns = [
        ("AS", "/user_name"),
        ("BY", "/by_name"),
        ("WHY", "/reason"),
        ("SINCE", "/started_at"),
        ("UNTIL", "/ends_at"),
        ("ENDED", "/ended_at"),
    ];
    client.get(&["impersonations"], &page.query()).await?.show_page(out, &columns);
    Ok(())
}

/// The database itself, where there is one.
async fn beside(flags: &ConfigFlags) -> Result<Runtime, Failure> {
    let config = config::usable(flags)?;
    let database = config.database_url();
    if let Some(path) = database.expose().strip_prefix("sqlite:")
        && !std::path::Path::new(path.trim_start_matches("//")).exists()
    {
        return Err(Failure::failed(
            format!("there is no database {path} yet"),
            "start the server once, or name its data folder with --data.",
        ));
    }
    Ok(serve::runtime(config, Clock::system()).await?)
}

async fn reset_offline(email: &str, flags: &ConfigFlags, out: &Out) -> Result<(), Failure> {
    let runtime = beside(flags).await?;
    let taken = factor::take_away_offline(&runtime, email).await;
    runtime.db.close().await;
    taken?;
    out.note("The second factors are taken away; a running server knows at once.");
    Ok(())
}

async fn policy(client: &Client, command: &UserCommand, out: &Out) -> Result<(), Failure> {
    const SHOWN: &[&str] = &[
        "second_factor_roles",
        "mail_codes",
        "impersonation_mails",
        "sms_codes",
        "sms_alone",
        "sms_prefixes",
        "sms_sender",
        "sms_hour_max",
    ];
    let UserCommand::Policy {
        second_factor_roles,
        mail_codes,
        impersonation_mails,
        sms_codes,
        sms_alone,
        sms_prefixes,
        sms_sender,
        sms_hour_max,
    } = command
    else {
        return Ok(());
    };
    let named = Members::default()
        .with_list("second_factor_roles", second_factor_roles)
        .with("mail_codes", *mail_codes)
        .with("impersonation_mails", *impersonation_mails)
        .with("sms_codes", *sms_codes)
        .with("sms_alone", *sms_alone)
        .with_list("sms_prefixes", sms_prefixes)
        .with("sms_sender", sms_sender.clone())
        .with("sms_hour_max", *sms_hour_max)
        .value();
    let now = client.get(&["sign-in-policy"], &[]).await?;
    let mut wanted = now.value.as_object().cloned().unwrap_or_default();
    let named = named.as_object().cloned().unwrap_or_default();
    if named.is_empty() {
        now.show(out, |value| out.facts(value, SHOWN));
        return Ok(());
    }
    wanted.extend(named);
    let changed = client.write(Method::PUT, &["sign-in-policy"], Some(&wanted.into())).await?;
    changed.show(out, |value| out.facts(value, SHOWN));
    Ok(())
}

async fn online(client: &Client, user: &str, out: &Out) -> Result<(), Failure> {
    let id = client.find(&KIND, user).await?;
    client.act(&["users", &id, "link"]).await?.show(out, |value| out.facts(value, &["url"]));
    Ok(())
}
