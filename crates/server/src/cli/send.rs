//! `switchboard send`: sends a message, and follows it to its end where that is wanted.

use std::collections::HashSet;
use std::io::Read as _;
use std::time::Duration;

use messaging::message::State;
use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::client::Client;
use super::failure::Failure;
use super::set::Members;
use super::show::{self, Out};

/// What is read of a text on standard input: more than the longest message.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// How often the timeline is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What to send.
#[derive(Debug, Default, clap::Args)]
#[command(group = clap::ArgGroup::new("content").required(true).args(["text", "binary"]))]
pub(super) struct SendArgs {
    /// Who receives: a number in international form, or a short code
    #[arg(long)]
    to: String,
    /// Who sends: a number, a short code, or a name of at most 11 characters
    #[arg(long)]
    from: Option<String>,
    /// What to say; - reads it from standard input
    #[arg(long)]
    text: Option<String>,
    /// Octets in base 64, sent as 8-bit data
    #[arg(long, value_name = "BASE64")]
    binary: Option<String>,
    /// The user data header before binary content, in base 64, with its length octet
    #[arg(long, value_name = "BASE64", requires = "binary")]
    udh: Option<String>,
    /// How phones read binary content: 4 when not given
    #[arg(long, value_name = "N", requires = "binary")]
    data_coding: Option<u8>,
    /// TP-PID: 64 for a message that no phone shows, 65 to 71 for one that replaces the last of its kind
    #[arg(long, value_name = "N")]
    protocol_id: Option<u8>,
    /// How urgent it is to the carrier, 0 to 3
    #[arg(long, value_name = "N")]
    priority: Option<u8>,
    /// What it is for: otp, transactional, marketing
    #[arg(long)]
    intent: Option<String>,
    /// Your own reference
    #[arg(long, value_name = "REF")]
    client_ref: Option<String>,
    /// When to send it (RFC 3339), e.g. 2027-01-31T09:00:00+01:00
    #[arg(long, value_name = "TIME")]
    schedule_at: Option<String>,
    /// For how many seconds it is worth something
    #[arg(long, value_name = "SECONDS")]
    validity_s: Option<u64>,
    /// Where its end is posted to
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// The key under which a repetition is known; a new one when not given
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Follow it until it ends; the exit code is 0 when it is delivered
    #[arg(long)]
    wait: bool,
    /// Seconds that --wait waits at most
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "wait")]
    timeout: u64,
}

impl SendArgs {
    fn body(&self) -> Result<Value, Failure> {
        let text = match self.text.as_deref() {
            Some("-") => Some(standard_input()?),
            text => text.map(str::to_owned),
        };
        Ok(Members::default()
            .with("to", Some(self.to.clone()))
            .with("from", self.from.clone())
            .with("text", text)
            .with("binary", self.binary.clone())
            .with("udh", self.udh.clone())
            .with("data_coding", self.data_coding)
            .with("protocol_id", self.protocol_id)
            .with("priority", self.priority)
            .with("intent", self.intent.clone())
            .with("client_ref", self.client_ref.clone())
            .with("schedule_at", self.schedule_at.clone())
            .with("validity_s", self.validity_s)
            .with("callback_url", self.callback_url.clone())
            .value())
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(TEXT_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| {
        Failure::usage(format!("standard input cannot be read: {error}"), "give UTF-8 text.")
    })?;
    // What `echo` adds is not meant to be sent.
    Ok(text
        .strip_suffix('\n')
        .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text))
        .to_owned())
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses; with `--wait` also an end that is not delivery.
pub(super) async fn run(args: &SendArgs, client: &Client, out: &Out) -> Result<(), Failure> {
    let body = args.body()?;
    let answer = match &args.idempotency_key {
        Some(key) => client.write_once(key, Method::POST, &["messages"], Some(&body)).await?,
        None => client.post(&["messages"], &body).await?,
    };
    if !args.wait {
        answer.show(out, |value| out.facts(value, &["id", "state", "parts", "encoding"]));
        return Ok(());
    }
    let id = answer.value.get("id").and_then(Value::as_str).unwrap_or_default();
    if !out.json() {
        out.facts(&answer.value, &["id", "state", "parts", "encoding"]);
    }
    follow(id, Duration::from_secs(args.timeout), client, out).await
}

async fn follow(id: &str, within: Duration, client: &Client, out: &Out) -> Result<(), Failure> {
    let until = Instant::now() + within.min(Duration::from_secs(7 * 24 * 3_600));
    let mut told = HashSet::new();
    loop {
        // The state first: the timeline that is read after it holds every step that led there.
        let message = client.get(&["messages", id], &[]).await?;
        let state = message.value.get("state").and_then(Value::as_str).and_then(State::named);
        if !out.json() {
            let timeline = client.get(&["messages", id, "timeline"], &[]).await?;
            for step in timeline.items() {
                // Steps come in the order of their times, and one that is late stands between known ones.
                if told.insert(step.to_string()) {
                    out.line(&step_line(step));
                }
            }
        }
        let over = state.is_some_and(State::is_final);
        if over || Instant::now() >= until {
            if out.json() {
                out.line(&message.text);
            } else if !over {
                out.note(&format!(
                    "Not at its end within {} s; go on with: switchboard message timeline {id}",
                    within.as_secs()
                ));
            }
            return if state == Some(State::Delivered) { Ok(()) } else { Err(Failure::shown()) };
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn step_line(step: &Value) -> String {
    let told = |name: &str| step.get(name).map(show::words);
    let mut line = format!("{}  {}", told("at").unwrap_or_default(), told("what").unwrap_or_default());
    for (name, before) in [("part", "part "), ("connection", "by "), ("provider_id", "as "), ("detail", "")] {
        if let Some(text) = told(name) {
            line.push_str(&format!("  {before}{text}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Send {
        #[command(flatten)]
        args: SendArgs,
    }

    #[test]
    fn what_is_not_given_is_not_sent() {
        let words = ["send", "--to", "+33612345678", "--text", "hello", "--validity-s", "60"];
        let body = Send::try_parse_from(words).unwrap().args.body().unwrap();
        assert_eq!(body, json!({ "to": "+33612345678", "text": "hello", "validity_s": 60 }));
    }

    #[test]
    fn there_is_exactly_one_content() {
        for words in [&["send", "--to", "1"][..], &["send", "--to", "1", "--text", "a", "--binary", "AA=="]] {
            assert!(Send::try_parse_from(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_step_is_a_line() {
        let step = json!({ "at": "2027-01-31T09:00:00.000Z", "what": "sent", "connection": "con_1", "provider_id": "77" });
        assert_eq!(step_line(&step), "2027-01-31T09:00:00.000Z  sent  by con_1  as 77");
    }
}
