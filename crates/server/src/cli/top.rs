//! `switchboard top`: connections and accounts at work, as they work.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::failure::Failure;
use super::serve::wait_for_signal;
use super::show::Out;

/// How it is shown.
#[derive(Debug, clap::Args)]
pub(super) struct TopArgs {
    /// Show it once and end; also where the output is no terminal
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
}

/// Clears the screen and goes to its beginning (ECMA-48 §8.3.39, §8.3.21).
const CLEAR: &str = "\x1b[2J\x1b[H";

const CONNECTIONS: &[(&str, &str)] = &[
    ("CONNECTION", "/name"),
    ("STATE", "/state"),
    ("BINDS", "/binds_shown"),
    ("WINDOW", "/window_shown"),
    ("OUT/S", "/lately/sent_per_second"),
    ("1 MIN", "/m1/sent_per_second"),
    ("5 MIN", "/m5/sent_per_second"),
    ("15 MIN", "/m15/sent_per_second"),
    ("IN/S", "/lately/received_per_second"),
    ("WAITING", "/waiting_shown"),
    ("P95 MS", "/m1/latency/p95_ms"),
    ("RECEIPT P95 MS", "/m15/receipt_lag/p95_ms"),
    ("THROTTLED", "/throttled_shown"),
    ("ERRORS", "/error_shown"),
];
const ACCOUNTS: &[(&str, &str)] = &[
    ("ACCOUNT", "/name"),
    ("SYSTEM ID", "/system_id"),
    ("BINDS", "/bound"),
    ("WINDOW", "/window_shown"),
    ("IN/S", "/lately/received_per_second"),
    ("1 MIN", "/m1/received_per_second"),
    ("5 MIN", "/m5/received_per_second"),
    ("15 MIN", "/m15/received_per_second"),
    ("OUT/S", "/lately/sent_per_second"),
    ("LAST ACTIVITY", "/last_activity"),
    ("REFUSALS", "/error_shown"),
];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(args: &TopArgs, client: &Client, out: &Out) -> Result<(), Failure> {
    let live = !args.once && !out.json() && std::io::stdout().is_terminal();
    if !live {
        return look(client, out, "").await;
    }
    let looking = async {
        loop {
            look(client, out, CLEAR).await?;
            tokio::time::sleep(Duration::from_secs(args.every)).await;
        }
    };
    tokio::select! {
        done = looking => done,
        () = wait_for_signal() => Ok(()),
    }
}

async fn look(client: &Client, out: &Out, before: &str) -> Result<(), Failure> {
    let answer = client.get(&["live"], &[]).await?;
    answer.show(out, |value| {
        out.text(before);
        out.heading(&format!("{}  {}", client.address(), value["at"].as_str().unwrap_or_default()));
        for (name, columns) in [("connections", CONNECTIONS), ("accounts", ACCOUNTS)] {
            out.line("");
            let lines: Vec<Value> = value[name].as_array().into_iter().flatten().map(line).collect();
            out.table(&lines, columns);
        }
    });
    Ok(())
}

/// A line with what stands in one cell put together.
fn line(value: &Value) -> Value {
    let mut line = value.clone();
    let of = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    line["binds_shown"] = json!(format!("{}/{}", of("bound"), of("binds")));
    line["window_shown"] = json!(format!("{}/{}", of("window_used"), of("window_limit")));
    let lanes = value["waiting"].as_object().into_iter().flatten();
    let lanes: Vec<u64> = lanes.filter_map(|(_, n)| n.as_u64()).collect();
    line["waiting_shown"] = json!(lanes.iter().sum::<u64>());
    for window in value["lately"]["windows"].as_array().into_iter().flatten() {
        line[format!("m{}", window["minutes"])] = window.clone();
    }
    let share = |share: &Value| format!("{:.1}%", share.as_f64().unwrap_or_default() * 100.0);
    line["throttled_shown"] = json!(share(&line["m1"]["throttled_share"]));
    line["error_shown"] = match value.get("top_error") {
        Some(error) => {
            json!(format!("{} {}", error["name"].as_str().unwrap_or_default(), share(&error["share"])))
        }
        None => Value::Null,
    };
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_puts_together_what_stands_in_one_cell() {
        let told = line(&json!({
            "bound": 1, "binds": 2, "window_used": 3, "window_limit": 10,
            "waiting": { "otp": 1, "transactional": 2, "marketing": 3 },
            "lately": { "windows": [{ "minutes": 1, "throttled_share": 0.25 }] },
            "top_error": { "name": "ESME_RTHROTTLED", "share": 0.5 },
        }));
        assert_eq!(
            (&told["binds_shown"], &told["window_shown"], &told["waiting_shown"]),
            (&json!("1/2"), &json!("3/10"), &json!(6))
        );
        assert_eq!(told["throttled_shown"], "25.0%");
        assert_eq!(told["error_shown"], "ESME_RTHROTTLED 50.0%");
    }
}
