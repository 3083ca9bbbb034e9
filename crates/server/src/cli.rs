//! The command line.
//!
//! What shows or changes something asks the running server over its HTTP API, so a command is the same operation as the
//! API's, with the same rights. What begins, checks or measures (`serve`, `sim`, `bench`, `config`, `migrate`, and parts
//! of `doctor`) works by itself; so does `user link` where the server does not answer.
//!
//! Answers go to standard output, everything else to standard error. Exit codes: 0 done, 1 refused, 2 a usage or
//! configuration that cannot be used, 3 the server is not reached.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};

use client::Client;
use failure::Failure;
use show::Out;

mod account;
mod alert;
mod application;
mod audit;
mod bench;
mod blacklist;
mod cdr;
mod client;
mod config;
mod connection;
mod conversation;
mod directory;
mod distribution;
mod doctor;
mod encryption;
mod events;
mod failure;
mod firewall;
mod hours;
mod identity_provider;
mod inbound;
mod key;
mod lookup;
mod mail;
mod message;
mod migrate;
mod opt_out;
mod organisation;
mod privacy;
mod queue;
mod registration;
mod review;
mod role;
mod route;
mod security;
mod send;
mod sender;
mod serve;
mod set;
mod show;
mod sim;
mod status;
mod suitcase;
mod system;
mod tenant;
mod top;
mod trace;
mod user;
mod value_list;
mod verify;

/// Switchboard: every conversation between an organisation and the people it serves.
#[derive(Debug, Parser)]
#[command(
    name = "switchboard",
    version,
    after_help = "Exit codes: 0 done, 1 refused, 2 wrong usage or configuration, 3 server not reached."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    reach: ReachFlags,
    #[command(flatten)]
    look: LookFlags,
}

/// Where the configuration comes from; also understood from the environment.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
struct ConfigFlags {
    /// The configuration file (also SWITCHBOARD_CONFIG)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder (also SWITCHBOARD_DATA)
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The database: sqlite:… or postgres://… (also SWITCHBOARD_DATABASE)
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    database: Option<String>,
    /// Address and port of API and console (also SWITCHBOARD_HTTP)
    #[arg(long, global = true, value_name = "ADDR", hide_short_help = true)]
    http: Option<String>,
    /// Address and port for SMPP binds (also SWITCHBOARD_SMPP)
    #[arg(long, global = true, value_name = "ADDR", hide_short_help = true)]
    smpp: Option<String>,
    /// Address and port for SMPP binds over TLS, which are off without it (also SWITCHBOARD_SMPP_TLS)
    #[arg(long, global = true, value_name = "ADDR", hide_short_help = true)]
    smpp_tls: Option<String>,
    /// Address and port for UCP sessions, which are off without it
    #[arg(long, global = true, value_name = "ADDR", hide_short_help = true)]
    ucp: Option<String>,
}

/// Which server is asked, and as whom.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Server")]
struct ReachFlags {
    /// The server's address (also SWITCHBOARD_URL); the configured http.listen when not given
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The API key (also SWITCHBOARD_KEY, SWITCHBOARD_ADMIN_KEY); cli.key of the data folder when not given
    #[arg(long, global = true, value_name = "KEY")]
    key: Option<String>,
}

/// How answers look.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Output")]
struct LookFlags {
    /// Print the API's JSON as it is
    #[arg(long, global = true)]
    json: bool,
    /// No colours
    #[arg(long, global = true, env = "NO_COLOR", hide_env = true, value_parser = FalseyValueParser::new())]
    no_color: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (also without any command)
    Serve,
    /// How it goes: health, connections, queue, sums
    Status,
    /// Connections and accounts at work: binds, windows, rates, delays, errors
    Top(top::TopArgs),
    /// The PDUs of a connection or an account as they pass
    #[command(subcommand, visible_alias = "traces")]
    Trace(trace::TraceCommand),
    /// The keys under which secrets lie in the database
    #[command(subcommand)]
    Encryption(encryption::EncryptionCommand),
    /// What persons ask by data protection law, consents and breaches
    #[command(subcommand)]
    Privacy(privacy::PrivacyCommand),
    /// How the server runs, and under which configuration
    System,
    /// Let the server read its configuration again
    Reload,
    /// Check everything that usually goes wrong, with advice
    Doctor,
    /// Send a message
    Send(send::SendArgs),
    /// Messages: what became of them, and why
    #[command(subcommand, visible_alias = "messages")]
    Message(message::MessageCommand),
    /// Events in their order, as they happen with --follow
    Events(events::EventsArgs),
    /// What waits, pauses, holds, dead letters
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Connections to carriers
    #[command(subcommand, visible_alias = "connections")]
    Connection(connection::ConnectionCommand),
    /// Routes: which message goes through which connection
    #[command(subcommand, visible_alias = "routes")]
    Route(route::RouteCommand),
    /// Look-ups: which network a number is of, and who knows
    #[command(subcommand, visible_alias = "lookups")]
    Lookup(lookup::LookupCommand),
    /// SMPP accounts: customers' systems that bind to us
    #[command(subcommand, visible_alias = "accounts")]
    Account(account::AccountCommand),
    /// Call detail records: files, checks, loading
    #[command(subcommand, visible_alias = "records")]
    Cdr(cdr::CdrCommand),
    /// Senders: where they are registered, pools, and who may send as whom
    #[command(subcommand, visible_alias = "senders")]
    Sender(sender::SenderCommand),
    /// The blacklist: numbers, prefixes, senders, phrases, addresses, keys
    #[command(subcommand)]
    Blacklist(blacklist::BlacklistCommand),
    /// Firewall rules, what they refused and hold; trying a message
    #[command(subcommand)]
    Firewall(firewall::FirewallCommand),
    /// Working hours and limits
    #[command(subcommand)]
    Hours(hours::HoursCommand),
    /// Recipients under one name, to which SMPP accounts send with submit_multi
    #[command(subcommand, visible_alias = "lists")]
    List(distribution::ListCommand),
    /// Numbers that phones write to, and their keywords
    #[command(subcommand, visible_alias = "numbers")]
    Number(inbound::NumberCommand),
    /// Mail for phones: gateways, and a test mail
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// What phones have written and were sent, in one thread each
    #[command(subcommand, visible_alias = "conversations")]
    Conversation(conversation::ConversationCommand),
    /// Who does not want to be written to
    #[command(subcommand, visible_alias = "opt-outs")]
    OptOut(opt_out::OptOutCommand),
    /// API keys
    #[command(subcommand, visible_alias = "keys")]
    Key(key::KeyCommand),
    /// Applications that ask for tokens (OAuth 2.0)
    #[command(subcommand, visible_alias = "applications")]
    Application(application::ApplicationCommand),
    /// Services that people sign in with (OpenID Connect)
    #[command(subcommand, visible_alias = "identity-providers")]
    IdentityProvider(identity_provider::ProviderCommand),
    /// Directories that people sign in with, and users follow (LDAP, Active Directory)
    #[command(subcommand, visible_alias = "directories")]
    Directory(directory::DirectoryCommand),
    /// People who sign in
    #[command(subcommand, visible_alias = "users")]
    User(user::UserCommand),
    /// Roles: what each allows, and roles of one's own
    #[command(subcommand, visible_alias = "roles")]
    Role(role::RoleCommand),
    /// What users are given for a time
    #[command(subcommand, visible_alias = "grants")]
    Grant(role::GrantCommand),
    /// Teams of users
    #[command(subcommand, visible_alias = "teams")]
    Team(role::TeamCommand),
    /// Whether somebody may do something, and why
    Explain(role::ExplainArgs),
    /// Who did what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What was noticed and looks like an attack, and what is done about it
    #[command(subcommand)]
    Security(security::SecurityCommand),
    /// Who is told of security events
    #[command(subcommand, visible_alias = "alerts")]
    Alert(alert::AlertCommand),
    /// Newcomers who register by themselves: who may, and who waits
    #[command(subcommand, visible_alias = "registrations")]
    Registration(registration::RegistrationCommand),
    /// Who may do what, looked at once a quarter
    #[command(subcommand, visible_alias = "reviews")]
    Review(review::ReviewCommand),
    /// Reasons, titles and categories that people choose from
    #[command(subcommand, name = "value-list", visible_alias = "value-lists")]
    ValueList(value_list::ValueListCommand),
    /// Your own organisation: settings, looks, domains, erasure
    #[command(subcommand)]
    Organisation(organisation::OrganisationCommand),
    /// Organisations
    #[command(subcommand, visible_alias = "tenants")]
    Tenant(tenant::TenantCommand),
    /// The configuration: check it, show it, read the manual
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Whether what is kept adds up
    #[command(subcommand)]
    Verify(verify::VerifyCommand),
    /// Bring the database's schema up to date
    Migrate,
    /// The simulated carrier alone
    Sim(Box<sim::SimArgs>),
    /// Load generators
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// The program's version
    Version,
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let out = Out::new(cli.look.json, cli.look.no_color);
    let command = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => return serve::run(&cli.config),
        command => command,
    };
    match carry_out(command, &cli.config, &cli.reach, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(&out),
    }
}

fn carry_out(command: Command, config: &ConfigFlags, reach: &ReachFlags, out: &Out) -> Result<(), Failure> {
    match command {
        Command::Serve => Ok(()),
        Command::Config(command) => config::run(&command, config, out),
        Command::Version => version(out),
        Command::Encryption(encryption::EncryptionCommand::NewRootKey) => encryption::new_root_key(out),
        Command::Privacy(privacy::PrivacyCommand::Verify { file, key }) => {
            privacy::verify(&file, key.as_deref(), out)
        }
        Command::Migrate => wait(migrate::run(config, out)),
        Command::Sim(args) => on_all_processors(sim::run(&args, out)),
        Command::Bench(command) => on_all_processors(bench::run(&command, config, reach, out)),
        Command::Doctor => wait(doctor::run(config, reach, out)),
        Command::Cdr(command) => wait(cdr::run(&command, config, reach, out)),
        Command::Verify(command) => wait(verify::run(&command, config, reach, out)),
        Command::User(command) => wait(user::run(&command, config, reach, out)),
        Command::Tenant(command) => wait(tenant::run(&command, (config, reach), out)),
        command => {
            let client = Client::new(config, reach)?;
            wait(ask(command, &client, out))
        }
    }
}

async fn ask(command: Command, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        Command::Status => status::run(client, out).await,
        Command::Top(args) => top::run(&args, client, out).await,
        Command::Trace(command) => trace::run(&command, client, out).await,
        Command::Encryption(command) => encryption::run(&command, client, out).await,
        Command::Privacy(command) => privacy::run(&command, client, out).await,
        Command::System => system::show(client, out).await,
        Command::Reload => system::reload(client, out).await,
        Command::Send(args) => send::run(&args, client, out).await,
        Command::Message(command) => message::run(&command, client, out).await,
        Command::Events(args) => events::run(&args, client, out).await,
        Command::Queue(command) => queue::run(&command, client, out).await,
        Command::Connection(command) => connection::run(&command, client, out).await,
        Command::Route(command) => route::run(&command, client, out).await,
        Command::Lookup(command) => lookup::run(&command, client, out).await,
        Command::Account(command) => account::run(&command, client, out).await,
        Command::Sender(command) => sender::run(&command, client, out).await,
        Command::Blacklist(command) => blacklist::run(&command, client, out).await,
        Command::Firewall(command) => firewall::run(&command, client, out).await,
        Command::Hours(command) => hours::run(&command, client, out).await,
        Command::Mail(command) => mail::run(&command, client, out).await,
        Command::List(command) => distribution::run(&command, client, out).await,
        Command::Number(command) => inbound::run(&command, client, out).await,
        Command::Conversation(command) => conversation::run(&command, client, out).await,
        Command::OptOut(command) => opt_out::run(&command, client, out).await,
        Command::Key(command) => key::run(&command, client, out).await,
        Command::Role(command) => role::run(&command, client, out).await,
        Command::Grant(command) => role::grant(&command, client, out).await,
        Command::Team(command) => role::team(&command, client, out).await,
        Command::Explain(args) => role::explain(&args, client, out).await,
        Command::Audit(command) => audit::run(&command, client, out).await,
        Command::Security(command) => security::run(&command, client, out).await,
        Command::Alert(command) => alert::run(&command, client, out).await,
        Command::Registration(command) => registration::run(&command, client, out).await,
        Command::Review(command) => review::run(&command, client, out).await,
        Command::ValueList(command) => value_list::run(&command, client, out).await,
        Command::Application(command) => application::run(&command, client, out).await,
        Command::IdentityProvider(command) => identity_provider::run(&command, client, out).await,
        Command::Directory(command) => directory::run(&command, client, out).await,
        Command::Organisation(command) => organisation::run(&command, client, out).await,
        // The others have been carried out without a client.
        _ => Ok(()),
    }
}

/// Waits for a command that mostly waits itself: one thread is enough.
fn wait(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(no_threads)?.block_on(work)
}

fn on_all_processors(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(no_threads)?.block_on(work)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn no_threads(error: std::io::Error) -> Failure {
    Failure::failed(format!("no threads can be had: {error}"), "check the machine's limits (ulimit -u).")
}

fn version(out: &Out) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match out.json() {
        true => out.value(&serde_json::json!({ "name": "switchboard", "version": version })),
        false => out.line(&format!("switchboard {version}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command() {
        let help = Cli::command().render_long_help().to_string();
        let wanted = [
            "serve",
            "sim",
            "bench",
            "config",
            "migrate",
            "tenant",
            "organisation",
            "user",
            "role",
            "grant",
            "team",
            "explain",
            "audit",
            "key",
            "account",
            "connection",
            "route",
            "cdr",
            "sender",
            "blacklist",
            "firewall",
            "hours",
            "number",
            "opt-out",
            "conversation",
            "lookup",
            "send",
            "message",
            "events",
            "status",
            "top",
            "trace",
            "system",
            "reload",
            "doctor",
            "version",
        ];
        for name in wanted {
            assert!(
                help.lines().any(|line| line.trim_start().starts_with(name)),
                "{name} is missing in\n{help}"
            );
        }
        assert!(help.contains("Exit codes"));
    }

    #[test]
    fn serving_takes_its_flags_with_and_without_its_name() {
        for words in [&["switchboard", "serve"][..], &["switchboard"]] {
            let words = words.iter().copied().chain([
                "--http",
                "127.0.0.1:1",
                "--smpp",
                "127.0.0.1:2",
                "--ucp",
                "127.0.0.1:3",
                "--data",
                "d",
            ]);
            let cli = Cli::try_parse_from(words).unwrap();
            assert!(matches!(cli.command, None | Some(Command::Serve)));
            assert_eq!(cli.config.http.as_deref(), Some("127.0.0.1:1"));
            assert_eq!(cli.config.smpp.as_deref(), Some("127.0.0.1:2"));
            assert_eq!(cli.config.ucp.as_deref(), Some("127.0.0.1:3"));
        }
    }

    #[test]
    fn the_common_flags_stand_anywhere() {
        let words = ["switchboard", "--json", "message", "list", "--limit", "3", "--url", "http://h:1"];
        let cli = Cli::try_parse_from(words).unwrap();
        assert!(cli.look.json);
        assert_eq!(cli.reach.url.as_deref(), Some("http://h:1"));
        assert_eq!(Cli::try_parse_from(["switchboard", "nothing"]).unwrap_err().exit_code(), 2);
    }
}
