//! `switchboard message`: what became of messages, and why.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::show::Out;
use super::{account, connection, route, user};

/// What to do with messages.
#[derive(Debug, Subcommand)]
pub(super) enum MessageCommand {
    /// Messages, newest first
    List(Box<ListFlags>),
    /// One message
    Show {
        /// Its id
        id: String,
    },
    /// Its way, step by step
    Timeline {
        /// Its id
        id: String,
    },
    /// Why it went where it went
    Why {
        /// Its id
        id: String,
    },
    /// Its PDUs on the wire, in hex
    Pdus {
        /// Its id
        id: String,
    },
    /// Ask the carrier what became of it
    Query {
        /// Its id
        id: String,
    },
    /// Take it back, if it has not left
    Cancel {
        /// Its id
        id: String,
    },
}

/// Which messages.
#[derive(Debug, clap::Args)]
pub(super) struct ListFlags {
    #[command(flatten)]
    page: PageFlags,
    /// out or in
    #[arg(long)]
    direction: Option<String>,
    /// Only in this state, e.g. queued, sent, delivered, failed
    #[arg(long)]
    state: Option<String>,
    /// Only to this recipient
    #[arg(long)]
    to: Option<String>,
    /// Only from this sender
    #[arg(long)]
    from: Option<String>,
    /// Only of this SMPP account, by id or system_id
    #[arg(long)]
    account: Option<String>,
    /// Only through this connection, by id or name
    #[arg(long)]
    connection: Option<String>,
    /// Only with your own reference
    #[arg(long, value_name = "REF")]
    client_ref: Option<String>,
    /// Only what this person has sent, by id or e-mail address
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
}

const FIRST: &[&str] =
    &["id", "state", "from", "to", "text", "error", "direction", "parts", "accepted_at", "done_at"];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &MessageCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        MessageCommand::List(flags) => list(flags, client, out).await,
        MessageCommand::Show { id } => {
            client.get(&["messages", id], &[]).await?.show(out, |value| out.facts(value, FIRST));
            Ok(())
        }
        MessageCommand::Timeline { id } => {
            let answer = client.get(&["messages", id, "timeline"], &[]).await?;
            answer.show(out, |_| out.table(answer.items(), STEPS));
            Ok(())
        }
        MessageCommand::Why { id } => {
            client.get(&["messages", id, "why"], &[]).await?.show(out, |value| why(value, out));
            Ok(())
        }
        MessageCommand::Pdus { id } => {
            let answer = client.get(&["messages", id, "pdus"], &[]).await?;
            answer.show(out, |_| out.table(answer.items(), &[("PART", "/part"), ("PDU", "/hex")]));
            Ok(())
        }
        MessageCommand::Query { id } => {
            let told = client.act(&["messages", id, "query"]).await?;
            told.show(out, |value| {
                let parts = value["parts"].as_array().map_or(&[][..], Vec::as_slice);
                out.table(parts, TOLD);
            });
            Ok(())
        }
        MessageCommand::Cancel { id } => {
            client.act(&["messages", id, "cancel"]).await?.show(out, |value| out.facts(value, FIRST));
            Ok(())
        }
    }
}

/// The columns of what a carrier said.
const TOLD: &[(&str, &str)] = &[
    ("PART", "/part"),
    ("CARRIER'S ID", "/provider_id"),
    ("STATE", "/state"),
    ("ERROR", "/error_code"),
    ("THE CARRIER SAYS", "/words"),
];

/// The columns of a timeline.
pub(super) const STEPS: &[(&str, &str)] = &[
    ("TIME", "/at"),
    ("STEP", "/what"),
    ("PART", "/part"),
    ("CONNECTION", "/connection"),
    ("BIND", "/bind"),
    ("TOOK MS", "/took_ms"),
    ("CARRIER'S ID", "/provider_id"),
    ("DETAIL", "/detail"),
    ("RECEIPT", "/raw"),
];

async fn list(flags: &ListFlags, client: &Client, out: &Out) -> Result<(), Failure> {
    let account = match &flags.account {
        Some(account) => Some(client.find(&account::KIND, account).await?),
        None => None,
    };
    let connection = match &flags.connection {
        Some(connection) => Some(client.find(&connection::KIND, connection).await?),
        None => None,
    };
    let owner = match &flags.owner {
        Some(owner) => Some(client.find(&user::KIND, owner).await?),
        None => None,
    };
    let mut query = flags.page.query();
    query.extend([
        ("direction", flags.direction.clone()),
        ("state", flags.state.clone()),
        ("to", flags.to.clone()),
        ("from", flags.from.clone()),
        ("account", account),
        ("connection", connection),
        ("client_ref", flags.client_ref.clone()),
        ("owner", owner),
    ]);
    let columns = [
        ("ID", "/id"),
        ("ACCEPTED", "/accepted_at"),
        ("STATE", "/state"),
        ("WAY", "/direction"),
        ("FROM", "/from"),
        ("TO", "/to"),
        ("PARTS", "/parts"),
        ("TEXT", "/text"),
    ];
    client.get(&["messages"], &query).await?.show_page(out, &columns);
    Ok(())
}

fn why(value: &Value, out: &Out) {
    let decided = json!({
        "route": value["route"], "connection": value["connection"], "intent": value["intent"],
    });
    out.heading("Decided when it was accepted");
    out.facts(&decided, &["route", "connection"]);
    out.heading("What each route said then");
    out.table(value["then"].as_array().map_or(&[][..], Vec::as_slice), route::LOOKED);
    out.heading("What each route would say now");
    out.table(value["now"].as_array().map_or(&[][..], Vec::as_slice), route::LOOKED);
}
