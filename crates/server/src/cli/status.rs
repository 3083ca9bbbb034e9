//! `switchboard status`: how it goes, in one look.

use serde_json::{Value, json};

use super::client::Client;
use super::connection;
use super::failure::Failure;
use super::show::{self, Out, Tone};

/// What is shown of the metrics: its name there, and the name here.
const GAUGES: &[(&str, &str)] = &[
    ("switchboard_queue_places_taken", "messages in memory"),
    ("switchboard_journal_waiting", "writes that wait"),
    ("switchboard_links", "SMPP links"),
    ("process_resident_memory_bytes", "memory, MiB"),
];

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(client: &Client, out: &Out) -> Result<(), Failure> {
    let ready = client.get_plain(&["ready"], &[]).await?;
    let me = client.get(&["me"], &[]).await?;
    let connections = client.get(&["connections"], &[("limit", Some("200".to_owned()))]).await?;
    let sums = client.get(&["messages", "sums"], &[]).await?;
    let metrics = client.get_plain(&["metrics"], &[]).await?;
    let gauges: Vec<(&str, f64)> = GAUGES
        .iter()
        .filter_map(|(name, shown)| gauge(&metrics.text, name).map(|value| (*shown, value)))
        .collect();
    if out.json() {
        let gauges: serde_json::Map<_, _> = GAUGES
            .iter()
            .filter_map(|(name, _)| Some(((*name).to_owned(), json!(gauge(&metrics.text, name)?))))
            .collect();
        out.value(&json!({
            "url": client.address(), "ready": ready.value, "me": me.value, "connections": connections.value,
            "sums": sums.value, "gauges": gauges,
        }));
        return Ok(());
    }
    let is_ready = ready.value["ready"] == json!(true);
    let word = if is_ready { out.paint(Tone::Good, "ready") } else { out.paint(Tone::Bad, "not ready") };
    out.line(&format!(
        "{} is {word}; you are {} of tenant {}",
        client.address(),
        show::words(&me.value["actor"]),
        show::words(&me.value["tenant"]["name"])
    ));
    out.line("");
    out.heading("Connections");
    out.table(connections.items(), connection::COLUMNS);
    out.line("");
    out.heading("Messages");
    out.text(&sums_in_words(&sums.value, out));
    let checked = match &ready.value["balanced"] {
        Value::Bool(true) => out.paint(Tone::Good, "balanced"),
        Value::Bool(false) => out.paint(Tone::Bad, "unbalanced: see `switchboard verify accounting`"),
        _ => "not checked yet".to_owned(),
    };
    out.line(&format!("{:<20}  {checked}", "running check"));
    out.line("");
    out.heading("Process");
    for (name, value) in gauges {
        let value = if name.ends_with("MiB") { value / f64::from(1 << 20) } else { value };
        out.line(&format!("{name:<20}  {value:.0}"));
    }
    Ok(())
}

fn sums_in_words(sums: &Value, out: &Out) -> String {
    let mut text = match &sums["balanced"] {
        // Who sees some people's messages alone is told where those stand; there are no books of them.
        Value::Null => String::new(),
        balanced => {
            let (word, tone) = match balanced {
                Value::Bool(true) => ("balanced", Tone::Good),
                _ => ("unbalanced", Tone::Bad),
            };
            format!("{:<20}  {}  {}\n", "accepted", show::words(&sums["accepted"]), out.paint(tone, word))
        }
    };
    for state in sums["states"].as_array().into_iter().flatten() {
        text.push_str(&format!("  {:<18}  {}\n", show::words(&state["name"]), show::words(&state["n"])));
    }
    text
}

/// The value of a metric without labels in the Prometheus text format.
fn gauge(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_found_by_its_whole_name() {
        let metrics = "# HELP switchboard_links x\nswitchboard_links_more 9\nswitchboard_links 2\n";
        assert_eq!(gauge(metrics, "switchboard_links"), Some(2.0));
        assert_eq!(gauge(metrics, "switchboard"), None);
    }

    #[test]
    fn sums_say_whether_they_balance() {
        let sums = json!({ "accepted": 3, "balanced": false, "states": [{ "name": "sent", "n": 2 }] });
        let text = sums_in_words(&sums, &Out::new(false, true));
        assert!(text.contains("3  unbalanced\n  sent                2\n"), "{text}");
    }
}
