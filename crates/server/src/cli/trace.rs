//! `switchboard trace`: the PDUs of a connection or an account as they pass.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Kind};
use super::failure::Failure;
use super::serve::wait_for_signal;
use super::set::Members;
use super::show::{self, Out};
use super::{account, connection};

/// What to do with traces.
#[derive(Debug, Subcommand)]
pub(super) enum TraceCommand {
    /// Begin a trace, and with --follow show its PDUs as they pass
    Start {
        /// Of this connection, by name or id
        #[arg(
            long,
            value_name = "CONNECTION",
            conflicts_with = "account",
            required_unless_present = "account"
        )]
        connection: Option<String>,
        /// Of this account, by system_id, name or id
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Only the bind of this number
        #[arg(long, value_name = "N")]
        bind: Option<u64>,
        /// Only PDUs with this sender or recipient, and the answers to them
        #[arg(long, value_name = "NUMBER")]
        address: Option<String>,
        /// For so many minutes, 1 to 60
        #[arg(long, value_name = "N")]
        minutes: Option<u32>,
        /// At most so many PDUs, 1 to 20,000
        #[arg(long, value_name = "N")]
        pdus: Option<usize>,
        /// Show its PDUs until it ends; when interrupted, it is stopped
        #[arg(long, short)]
        follow: bool,
    },
    /// The traces that are kept
    List,
    /// The PDUs of a trace, field by field
    Show {
        /// The trace's id
        trace: String,
        /// Each PDU in one line
        #[arg(long)]
        short: bool,
    },
    /// End a trace; what it holds stays
    Stop {
        /// The trace's id
        trace: String,
    },
    /// Take a trace away as a file
    Save {
        /// The trace's id
        trace: String,
        /// The file: .pcapng for Wireshark, .jsonl for JSON lines
        file: PathBuf,
    },
    /// End a trace and throw away what it holds
    Delete {
        /// The trace's id
        trace: String,
    },
}

/// PDUs that are asked for at once.
const AT_ONCE: &str = "200";
/// The pause between two questions.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("OF", "/name"),
    ("BIND", "/bind"),
    ("ADDRESS", "/address"),
    ("BEGAN", "/began_at"),
    ("PDUS", "/pdus"),
    ("ENDED", "/why"),
];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &TraceCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        TraceCommand::Start { connection, account, bind, address, minutes, pdus, follow } => {
            let find = async |kind: &Kind, given: &Option<String>| match given {
                Some(given) => client.find(kind, given).await.map(Some),
                None => Ok(None),
            };
            let body = Members::default()
                .with("connection", find(&connection::KIND, connection).await?)
                .with("account", find(&account::KIND, account).await?)
                .with("bind", *bind)
                .with("address", address.clone())
                .with("minutes", *minutes)
                .with("pdus", *pdus)
                .value();
            let answer = client.post(&["traces"], &body).await?;
            if !follow {
                answer.show(out, |value| out.facts(value, &["id", "name"]));
                return Ok(());
            }
            let id = answer.value["id"].as_str().unwrap_or_default().to_owned();
            out.note(&format!("Trace {id} has begun."));
            tokio::select! {
                done = show(&id, false, true, client, out) => done,
                () = wait_for_signal() => client.act(&["traces", &id, "stop"]).await.map(drop),
            }
        }
        TraceCommand::List => {
            client.get(&["traces"], &[]).await?.show_page(out, COLUMNS);
            Ok(())
        }
        TraceCommand::Show { trace, short } => show(trace, *short, false, client, out).await,
        TraceCommand::Stop { trace } => {
            let answer = client.act(&["traces", trace, "stop"]).await?;
            answer.show(out, |value| out.facts(value, &["id", "name"]));
            Ok(())
        }
        TraceCommand::Save { trace, file } => save(trace, file, client, out).await,
        TraceCommand::Delete { trace } => {
            client.write(Method::DELETE, &["traces", trace], None).await?;
            out.note("Deleted.");
            Ok(())
        }
    }
}

/// Shows what a trace holds, and as long as it runs what comes where that is followed.
async fn show(id: &str, short: bool, follow: bool, client: &Client, out: &Out) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let query = [("after", Some(after.to_string())), ("limit", Some(AT_ONCE.to_owned()))];
        let answer = client.get(&["traces", id, "pdus"], &query).await?;
        for pdu in answer.items() {
            if out.json() {
                out.line(&pdu.to_string());
            } else {
                out.text(&in_words(pdu, short));
            }
        }
        let before = after;
        after = answer.value["after"].as_u64().unwrap_or(before);
        if after > before {
            continue;
        }
        if !follow || answer.value["running"] != json!(true) {
            return Ok(());
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

fn in_words(pdu: &Value, short: bool) -> String {
    let word = |name: &str| show::words(&pdu[name]);
    let arrow = if pdu["direction"] == json!("in") { "<-" } else { "->" };
    let mut text = format!(
        "{} #{} {arrow} {} {} {}{}\n",
        word("at"),
        word("bind"),
        word("peer"),
        word("name"),
        word("sequence"),
        pdu["status"].as_str().map_or_else(String::new, |status| format!("  {}", show::plain(status))),
    );
    if !short {
        for field in pdu["fields"].as_array().into_iter().flatten() {
            text.push_str(&format!(
                "    {:<24}  {}\n",
                show::words(&field["name"]),
                show::words(&field["value"])
            ));
        }
        text.push_str(&format!("    {:<24}  {}\n", "hex", word("hex")));
    }
    text
}

async fn save(id: &str, file: &PathBuf, client: &Client, out: &Out) -> Result<(), Failure> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = match extension {
        "pcapng" | "jsonl" => extension,
        _ => {
            return Err(Failure::usage(
                format!("{} is neither .pcapng nor .jsonl", file.display()),
                "let the file's name end in .pcapng for Wireshark, or in .jsonl.",
            ));
        }
    };
    let mut response = client.stream(&["traces", id, format], &[]).await?;
    let mut octets = Vec::new();
    let broke = |error: reqwest::Error| {
        Failure::unreachable(format!("the connection broke within the file: {error}"), "try again.")
    };
    while let Some(chunk) = response.chunk().await.map_err(broke)? {
        octets.extend_from_slice(&chunk);
    }
    std::fs::write(file, &octets).map_err(|error| {
        Failure::failed(format!("{} cannot be written: {error}", file.display()), "choose another file.")
    })?;
    out.note(&format!("{} octets are in {}.", octets.len(), file.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pdu_is_told_in_lines() {
        let pdu = json!({
            "at": "2026-11-30T05:00:00.000Z", "bind": 1, "direction": "out", "peer": "127.0.0.1:2775",
            "name": "submit_sm", "sequence": 7, "fields": [{ "name": "source_addr", "value": "Shop" }], "hex": "00",
        });
        let text = in_words(&pdu, false);
        assert!(text.starts_with("2026-11-30T05:00:00.000Z #1 -> 127.0.0.1:2775 submit_sm 7\n"), "{text}");
        assert!(text.contains("    source_addr               Shop\n"), "{text}");
        assert_eq!(in_words(&pdu, true).lines().count(), 1);
    }
}
