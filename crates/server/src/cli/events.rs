//! `switchboard events`: what happened, in its order, and as it happens.

use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::failure::Failure;
use super::serve::wait_for_signal;
use super::show::{self, Out};

/// Which events.
#[derive(Debug, clap::Args)]
pub(super) struct EventsArgs {
    /// Only those behind this sequence number; the latest when not given
    #[arg(long, value_name = "SEQ")]
    after: Option<i64>,
    /// At most about so many, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=EVENTS_MAX))]
    limit: i64,
    /// Only this kind, such as message.ended
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<String>,
    /// Go on with what happens from now on, until interrupted
    #[arg(long, short)]
    follow: bool,
}

/// The most events that one question is answered with.
const EVENTS_MAX: i64 = 1_000;
/// The longest line of a stream that is read; an event is far smaller.
const LINE_BYTES_MAX: usize = 8 << 20;
/// The pause before a broken stream is taken up again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(args: &EventsArgs, client: &Client, out: &Out) -> Result<(), Failure> {
    // The server counts before it sifts: of one kind, the latest stand further back.
    let look_back = if args.kind.is_some() { EVENTS_MAX } else { args.limit };
    let (after, limit) = match args.after {
        Some(after) => (after, args.limit),
        None => ((latest(client).await? - look_back).max(0), look_back),
    };
    let query =
        [("after", Some(after.to_string())), ("limit", Some(limit.to_string())), ("type", args.kind.clone())];
    if args.follow {
        return tokio::select! {
            done = follow(after, args.kind.as_ref(), client, out) => done,
            () = wait_for_signal() => Ok(()),
        };
    }
    let answer = client.get(&["events"], &query).await?;
    answer.show(out, |_| {
        let surplus = match args.after {
            Some(_) => 0,
            None => answer.items().len().saturating_sub(usize::try_from(args.limit).unwrap_or(usize::MAX)),
        };
        for event in &answer.items()[surplus..] {
            out.line(&event_line(event));
        }
        if answer.items().is_empty() {
            out.line("(none)");
            out.note("--after 0 looks from the beginning.");
        }
    });
    Ok(())
}

/// The latest sequence number. Numbers have no gaps, so halving finds it in some forty questions for one event each.
async fn latest(client: &Client) -> Result<i64, Failure> {
    let there = async |seq: i64| -> Result<bool, Failure> {
        let query = [("after", Some((seq - 1).to_string())), ("limit", Some("1".to_owned()))];
        Ok(!client.get(&["events"], &query).await?.items().is_empty())
    };
    let (mut known, mut beyond) = (0, 1);
    while there(beyond).await? {
        known = beyond;
        beyond = beyond.saturating_mul(4);
    }
    while beyond - known > 1 {
        let middle = known + (beyond - known) / 2;
        if there(middle).await? { known = middle } else { beyond = middle }
    }
    Ok(known)
}

/// Prints events as they come. A stream that breaks is taken up where it was.
async fn follow(mut after: i64, kind: Option<&String>, client: &Client, out: &Out) -> Result<(), Failure> {
    let mut opened = false;
    let mut told = false;
    loop {
        let query = [("after", Some(after.to_string())), ("type", kind.cloned())];
        match client.stream(&["events"], &query).await {
            Ok(mut response) => {
                (opened, told) = (true, false);
                let mut lines = Lines::default();
                // An error ends this stream like its end does: it is taken up again.
                while let Ok(Some(chunk)) = response.chunk().await {
                    for event in lines.events(&chunk)? {
                        after = event.get("seq").and_then(Value::as_i64).unwrap_or(after);
                        out.line(&if out.json() { event.to_string() } else { event_line(&event) });
                    }
                }
            }
            Err(failure) if opened && failure.is_unreachable() => {}
            Err(failure) => return Err(failure),
        }
        if !told {
            out.note("The stream ended; it is taken up as soon as the server answers.");
            told = true;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Reads server-sent events (HTML Living Standard §9.2.6); of each only the data matters.
#[derive(Debug, Default)]
struct Lines {
    open: Vec<u8>,
    data: String,
}

impl Lines {
    /// The events that a chunk completes.
    fn events(&mut self, chunk: &[u8]) -> Result<Vec<Value>, Failure> {
        let mut events = Vec::new();
        for octet in chunk {
            if *octet != b'\n' {
                self.open.push(*octet);
                if self.open.len() > LINE_BYTES_MAX {
                    return Err(Failure::failed(
                        "the stream has a line without end",
                        "is this a Switchboard server?",
                    ));
                }
                continue;
            }
            let line = String::from_utf8_lossy(&self.open).trim_end_matches('\r').to_owned();
            self.open.clear();
            if let Some(data) = line.strip_prefix("data:") {
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            } else if line.is_empty() && !self.data.is_empty() {
                events.extend(serde_json::from_str::<Value>(&self.data));
                self.data.clear();
            }
        }
        Ok(events)
    }
}

fn pair((name, value): (&String, &Value)) -> String {
    format!("{name}={}", show::words(value))
}

/// `seq  when  kind  by whom  the rest`.
fn event_line(event: &Value) -> String {
    let told = |name: &str| event.get(name).map(show::words).unwrap_or_default();
    let known = ["seq", "at", "type", "actor", "request_id", "from"];
    let mut rest = Vec::new();
    for (name, value) in
        event.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str()))
    {
        match value {
            // What it was and is now is more than a line holds; --json has it.
            Value::Object(members) => {
                rest.extend(members.iter().filter(|(_, value)| !value.is_object()).map(pair));
            }
            _ => rest.push(pair((name, value))),
        }
    }
    format!("{:>6}  {}  {:<22}  {}  {}", told("seq"), told("at"), told("type"), told("actor"), rest.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = serde_json::json!({
            "seq": 7, "at": "2027-01-31T09:00:00.000Z", "type": "key.created", "actor": "usr_1",
            "data": { "id": "key_1", "after": { "name": "n" } },
        });
        assert_eq!(
            event_line(&event),
            "     7  2027-01-31T09:00:00.000Z  key.created             usr_1  id=key_1"
        );
    }

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let text =
            ": keep-alive\n\nid: 7\nevent: a.b\ndata: {\"seq\":7}\n\ndata:{\"seq\":\r\ndata: 8}\r\n\r\n";
        for size in [1, 3, text.len()] {
            let mut lines = Lines::default();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                events.extend(lines.events(chunk).unwrap());
            }
            let numbers: Vec<_> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
            assert_eq!(numbers, [7, 8], "in chunks of {size}");
        }
    }
}
