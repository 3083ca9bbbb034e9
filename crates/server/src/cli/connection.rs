//! `switchboard connection`: carriers that we bind to.

use clap::Subcommand;
use messaging::connection::ErrorRule;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answer, Client, Kind, PageFlags};
use super::failure::Failure;
use super::set::{self, Members};
use super::show::Out;

/// How connections are named.
pub(super) const KIND: Kind =
    Kind { path: "connections", prefix: "con", noun: "connection", names: &["name"] };

/// What to do with connections.
#[derive(Debug, Subcommand)]
pub(super) enum ConnectionCommand {
    /// The tenant's connections and how they stand, newest first
    List(PageFlags),
    /// Create a connection. It is started unless told otherwise
    Create {
        /// What people call it
        name: String,
        /// Leave it stopped
        #[arg(long)]
        stopped: bool,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// One connection and how it stands: sessions, windows, counts
    Show {
        /// Its id or name
        connection: String,
    },
    /// Change a connection; what is not named stays
    Change {
        /// Its id or name
        connection: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        flags: Box<Flags>,
        /// Only if it still has this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Keep so many binds from now on; the others stay as they are
    Scale {
        /// Its id or name
        connection: String,
        /// Binds, 1 to 100
        binds: u16,
    },
    /// End one bind when nothing is open on it, and open it anew
    Renew {
        /// Its id or name
        connection: String,
        /// The bind's number, as `connection show` has it
        bind: u64,
    },
    /// What it does: rates, delays, errors, receipts, sessions
    Metrics {
        /// Its id or name
        connection: String,
    },
    /// Bind, and take messages
    Start {
        /// Its id or name
        connection: String,
    },
    /// Unbind. Messages wait
    Stop {
        /// Its id or name
        connection: String,
    },
    /// Take nothing more, but stay bound for answers and receipts
    Drain {
        /// Its id or name
        connection: String,
    },
    /// What would be sent for a message; nothing is sent, and secrets are hidden
    Preview {
        /// Its id or name
        connection: String,
        /// Who would receive it
        #[arg(long, value_name = "NUMBER")]
        to: Option<String>,
        /// Who would send it
        #[arg(long, value_name = "SENDER")]
        from: Option<String>,
        /// What it would say
        #[arg(long)]
        text: Option<String>,
        /// For how many seconds it would be worth something
        #[arg(long, value_name = "SECONDS")]
        validity_s: Option<u64>,
    },
    /// HTTP: the addresses to give to the provider, for receipts and messages from phones
    Hooks {
        /// Its id or name
        connection: String,
        /// Make new ones; the former are closed at once
        #[arg(long)]
        renew: bool,
    },
    /// Delete a connection. Its messages stay
    Delete {
        /// Its id or name
        connection: String,
    },
}

/// What new and changed connections have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// What the carrier speaks: smpp, ucp, cimd2, http or mail
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<String>,
    /// The carrier's host name or address
    #[arg(long)]
    host: Option<String>,
    /// Its TCP port; 2775 when not given
    #[arg(long)]
    port: Option<u16>,
    /// Whether it is encrypted with TLS: true or false
    #[arg(long, value_name = "BOOL")]
    tls: Option<bool>,
    /// The name that the carrier's certificate must be for; the host when not given
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// A PEM file of who may have issued it; the roots of the server's machine when not given
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<std::path::PathBuf>,
    /// The name that we bind with
    #[arg(long)]
    system_id: Option<String>,
    /// The password that we bind with, over HTTP the key or token; - reads it from standard input
    #[arg(long)]
    password: Option<String>,
    /// HTTP: the ready dialect to begin with: twilio, infobip, vonage, kannel, jasmin
    #[arg(long, value_name = "NAME")]
    dialect: Option<String>,
    /// HTTP: where the provider is, such as https://api.example.com
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// HTTP: a JSON file with the description, or with the parts of it that are to be changed
    #[arg(long, value_name = "FILE")]
    description: Option<std::path::PathBuf>,
    /// HTTP: what proves who posts to the connection's hooks; the password when not given
    #[arg(long, value_name = "SECRET")]
    hook_secret: Option<String>,
    /// What kind of system we are, as the carrier wants it
    #[arg(long)]
    system_type: Option<String>,
    /// transceiver, transmitter_receiver, transmitter or receiver
    #[arg(long, value_name = "KIND")]
    bind: Option<String>,
    /// Sessions (or pairs of them) held at once
    #[arg(long, value_name = "N")]
    binds: Option<u16>,
    /// The SMPP version that the bind announces: 3.4 or 5.0
    #[arg(long, value_name = "VERSION")]
    smpp_version: Option<String>,
    /// Unanswered requests of each session
    #[arg(long, value_name = "N")]
    window: Option<u16>,
    /// Message parts a second over all sessions, 0 for no limit of ours
    #[arg(long, value_name = "N")]
    throughput: Option<u32>,
    /// What data_coding 0 means to the carrier: gsm7, gsm7_packed, latin1, ucs2
    #[arg(long, value_name = "ALPHABET")]
    default_alphabet: Option<String>,
    /// How long texts are handed over: udh8, udh16, sar, payload
    #[arg(long, value_name = "WAY")]
    long_messages: Option<String>,
    /// How ids in receipts relate to those in responses: auto, same, hex_to_decimal, decimal_to_hex
    #[arg(long, value_name = "WAY")]
    receipt_ids: Option<String>,
    /// A further host with its port, such as smsc2.example:2775; repeatable; `none` takes all away
    #[arg(long = "more-host", value_name = "HOST:PORT")]
    hosts: Vec<String>,
    /// A host with its port that is used while no bind to the others can send; repeatable; `none` takes all away
    #[arg(long = "standby-host", value_name = "HOST:PORT")]
    standby_hosts: Vec<String>,
    /// When binds on standby are there: cold, warm
    #[arg(long, value_name = "WHEN")]
    standby: Option<String>,
    /// The ready table of errors in receipts: standard, gsm_map, aggregator
    #[arg(long, value_name = "TABLE")]
    error_convention: Option<String>,
    /// A line of the error table, the whole of which they become: answer or receipt, code, class, and then what there is of
    /// pauses in seconds, meaning and words; repeatable; `none` empties it
    #[arg(long = "error", value_name = "LINE")]
    errors: Vec<String>,
    /// What becomes of a message that left and was not answered: by_intent, wait, resend
    #[arg(long, value_name = "WHAT")]
    unanswered: Option<String>,
    /// Any setting by name, e.g. enquire_link_ms=30000; null brings its default back
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Flags {
    /// The description in the file that was named.
    fn described(&self) -> Result<serde_json::Map<String, Value>, Failure> {
        let Some(path) = &self.description else { return Ok(serde_json::Map::new()) };
        let wrong = |why: String| {
            Failure::usage(
                format!("{}: {why}", path.display()),
                "name a file with one JSON object, as `switchboard connection show --json` prints under settings.http.",
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
    }

    fn body(&self) -> Result<Members, Failure> {
        let ca = self.tls_ca.as_ref().map(|path| {
            std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("{} cannot be read: {error}", path.display()), "name a PEM file.")
            })
        });
        let http = Members::from(self.described()?)
            .with("dialect", self.dialect.clone())
            .with("url", self.url.clone())
            .unless_empty();
        let settings = Members::default()
            .with("http", http)
            .with("tls", self.tls)
            .with("tls_server_name", self.tls_server_name.clone())
            .with("tls_ca", ca.transpose()?)
            .with("protocol", self.protocol.clone())
            .with("host", self.host.clone())
            .with("port", self.port)
            .with("system_id", self.system_id.clone())
            .with("system_type", self.system_type.clone())
            .with("bind", self.bind.clone())
            .with("binds", self.binds)
            .with("version", self.smpp_version.clone())
            .with("window", self.window)
            .with("throughput", self.throughput)
            .with("default_alphabet", self.default_alphabet.clone())
            .with("long_messages", self.long_messages.clone())
            .with("receipt_ids", self.receipt_ids.clone())
            .with_list("hosts", &self.hosts)
            .with_list("standby_hosts", &self.standby_hosts)
            .with("standby", self.standby.clone())
            .with("error_convention", self.error_convention.clone())
            .with("errors", errors(&self.errors)?)
            .with("unanswered", self.unanswered.clone())
            .with_set(&self.set)?;
        Ok(Members::default()
            .with("password", set::secret(self.password.as_deref())?)
            .with("hook_secret", self.hook_secret.clone())
            .with("settings", settings.unless_empty()))
    }
}

/// Lines of an error table as the API takes them; nothing where there is none.
fn errors(lines: &[String]) -> Result<Option<Value>, Failure> {
    if lines.is_empty() {
        return Ok(None);
    }
    let read = |line: &String| {
        let rule = ErrorRule::of_line(line).map_err(|why| {
            Failure::usage(
                format!("--error: {why}"),
                "write e.g. --error 'answer 0x400-0x4FF temporary 60/300 filtered by the firewall'.",
            )
        })?;
        Ok(json!(rule))
    };
    let lines = lines.iter().filter(|line| *line != "none").map(read);
    lines.collect::<Result<Vec<Value>, Failure>>().map(|lines| Some(lines.into()))
}

const FIRST: &[&str] = &["id", "name", "wanted", "status"];

/// The columns of a list of connections.
pub(super) const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("WANTED", "/wanted"),
    ("STATE", "/status/state"),
    ("PROTOCOL", "/settings/protocol"),
    ("HOST", "/settings/host"),
    ("PORT", "/settings/port"),
    ("PARTS/S", "/status/parts_per_second"),
    ("ACCEPTED", "/status/counters/accepted"),
    ("REFUSED", "/status/counters/refused"),
    ("LAST ERROR", "/status/binds/0/last_error"),
];

fn new_connection(name: &str, stopped: bool, flags: &Flags) -> Result<Value, Failure> {
    let body = flags.body()?.with("name", Some(name.to_owned())).with("wanted", stopped.then_some("stopped"));
    let mut body = body.value();
    if body.get("settings").is_none() {
        body["settings"] = json!({});
    }
    Ok(body)
}

fn show_preview(answer: &Answer, out: &Out) {
    answer.show(out, |parts| {
        for part in parts.as_array().into_iter().flatten() {
            out.heading(&format!("Part {}", part["part"]));
            out.line(part["text"].as_str().or(part["hex"].as_str()).unwrap_or_default());
        }
    });
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &ConnectionCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let find = async |connection: &str| client.find(&KIND, connection).await;
    let operate =
        async |connection: &str, what| client.act(&[KIND.path, &find(connection).await?, what]).await;
    let answer = match command {
        ConnectionCommand::List(page) => {
            client.get(&[KIND.path], &page.query()).await?.show_page(out, COLUMNS);
            return Ok(());
        }
        ConnectionCommand::Delete { connection } => {
            client.write(Method::DELETE, &[KIND.path, &find(connection).await?], None).await?;
            out.note("Deleted.");
            return Ok(());
        }
        ConnectionCommand::Create { name, stopped, flags } => {
            client.post(&[KIND.path], &new_connection(name, *stopped, flags)?).await?
        }
        ConnectionCommand::Show { connection } => {
            client.get(&[KIND.path, &find(connection).await?], &[]).await?
        }
        ConnectionCommand::Change { connection, name, flags, revision } => {
            let body: Value = flags.body()?.with("name", name.clone()).with("revision", *revision).value();
            client.patch(&[KIND.path, &find(connection).await?], &body).await?
        }
        ConnectionCommand::Scale { connection, binds } => {
            let body = json!({ "settings": { "binds": binds } });
            client.patch(&[KIND.path, &find(connection).await?], &body).await?
        }
        ConnectionCommand::Renew { connection, bind } => {
            let path = [KIND.path, &find(connection).await?, "renew"];
            client.post(&path, &json!({ "bind": bind })).await?;
            out.note("It ends when nothing is open on it, and comes back.");
            return Ok(());
        }
        ConnectionCommand::Metrics { connection } => {
            client.get(&[KIND.path, &find(connection).await?, "metrics"], &[]).await?
        }
        ConnectionCommand::Preview { connection, to, from, text, validity_s } => {
            let sample = Members::default()
                .with("to", to.clone())
                .with("from", from.clone())
                .with("text", text.clone())
                .with("validity_s", *validity_s);
            let path = [KIND.path, &find(connection).await?, "preview"];
            show_preview(&client.post(&path, &sample.value()).await?, out);
            return Ok(());
        }
        ConnectionCommand::Hooks { connection, renew } => {
            let id = find(connection).await?;
            let answer = match renew {
                true => client.act(&[KIND.path, &id, "hooks", "renew"]).await?,
                false => client.get(&[KIND.path, &id, "hooks"], &[]).await?,
            };
            answer.show(out, |hooks| out.facts(hooks, &["receipts", "inbound"]));
            return Ok(());
        }
        ConnectionCommand::Start { connection } => operate(connection, "start").await?,
        ConnectionCommand::Stop { connection } => operate(connection, "stop").await?,
        ConnectionCommand::Drain { connection } => operate(connection, "drain").await?,
    };
    answer.show(out, |value| match command {
        ConnectionCommand::Start { .. }
        | ConnectionCommand::Stop { .. }
        | ConnectionCommand::Drain { .. } => {
            out.facts(&json!({ "id": value["id"], "name": value["name"], "wanted": value["wanted"] }), FIRST);
        }
        _ => out.facts(value, FIRST),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_line() {
        let lines =
            ["answer 0x58 throttled", "receipt 27 temporary 60/300 absent_subscriber off"].map(str::to_owned);
        assert_eq!(
            errors(&lines).unwrap().unwrap(),
            json!([
                { "place": "answer", "code": "0x58", "class": "throttled" },
                { "place": "receipt", "code": "27", "class": "temporary", "retry_s": [60, 300],
                    "fault": "absent_subscriber", "text": "off" },
            ])
        );
        assert_eq!(errors(&["none".to_owned()]).unwrap(), Some(json!([])));
        assert_eq!(errors(&[]).unwrap(), None);
        assert!(errors(&["receipt 27".to_owned()]).is_err());
    }

    #[test]
    fn flags_are_members_of_the_settings_and_the_password_is_not() {
        let flags = Flags {
            protocol: Some("ucp".to_owned()),
            host: Some("smsc.example".to_owned()),
            password: Some("p".to_owned()),
            smpp_version: Some("5.0".to_owned()),
            window: Some(8),
            set: vec!["extra=[{\"tag\":5120,\"hex\":\"00\"}]".to_owned(), "service_type=CMT".to_owned()],
            ..Flags::default()
        };
        assert_eq!(
            flags.body().unwrap().value(),
            json!({ "password": "p", "settings": {
                "protocol": "ucp", "host": "smsc.example", "version": "5.0", "window": 8,
                "extra": [{ "tag": 5120, "hex": "00" }], "service_type": "CMT"
            } })
        );
    }
}
