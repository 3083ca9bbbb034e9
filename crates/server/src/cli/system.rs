//! `switchboard system` and `switchboard reload`: how the program runs, and reading its configuration again.

use serde_json::{Value, json};

use super::client::Client;
use super::failure::Failure;
use super::show::{self, Out, Tone};

/// Shows how the server runs.
///
/// # Errors
/// What the server refuses.
pub(super) async fn show(client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = client.get(&["system"], &[]).await?;
    answer.show(out, |value| {
        let mut facts = value.clone();
        let settings = facts.as_object_mut().and_then(|facts| facts.remove("configuration"));
        out.facts(&facts, &["version", "began_at", "uptime_s"]);
        out.line("");
        let changed =
            |setting: &&Value| setting["origin"] != json!("default") || setting["changed"] == json!(true);
        let settings = settings.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let shown: Vec<Value> = settings.iter().filter(changed).cloned().collect();
        out.heading("Settings that are not the default");
        out.table(
            &shown,
            &[("SETTING", "/key"), ("VALUE", "/value"), ("FROM", "/origin"), ("AT ONCE", "/at_once")],
        );
    });
    Ok(())
}

/// Lets the server read its configuration again.
///
/// # Errors
/// What the server refuses: a configuration that is wrong, with every mistake.
pub(super) async fn reload(client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = client.act(&["system", "reload"]).await?;
    answer.show(out, |value| {
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        let (applied, restart) = (list("applied"), list("after_restart"));
        for (tone, word, changed) in [(Tone::Good, "in force", &applied), (Tone::Fair, "restart", &restart)] {
            for one in changed {
                let (key, before, after) =
                    (show::words(&one["key"]), show::words(&one["before"]), show::words(&one["after"]));
                out.line(&format!("{}  {key}  {before} -> {after}", out.paint(tone, word)));
            }
        }
        if applied.is_empty() && restart.is_empty() {
            out.line("Nothing has changed.");
        }
    });
    Ok(())
}
