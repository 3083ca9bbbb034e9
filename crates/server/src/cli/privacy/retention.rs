//! `switchboard privacy retention`: for how long each class of data is kept.

use clap::Subcommand;
use privacy::retention::words;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::failure::Failure;
use super::super::show::Out;

/// What to do about retention.
#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Each class with its term, its bounds and what the last sweep did
    Show,
    /// Set a term; what is older goes at once and does not come back
    Set {
        /// The class, as `show` names it
        class: String,
        /// Only what is for this: otp, transactional or marketing
        #[arg(long)]
        purpose: Option<String>,
        /// For how long: 12h, 30d
        #[arg(long, value_parser = hours, required_unless_present = "default", conflicts_with = "default")]
        keep: Option<u32>,
        /// As the installation says
        #[arg(long)]
        default: bool,
    },
    /// What would go if a term were set; nothing goes
    Preview {
        /// The class, as `show` names it
        class: String,
        /// Only what is for this: otp, transactional or marketing
        #[arg(long)]
        purpose: Option<String>,
        /// For how long: 12h, 30d; without it, as the installation says
        #[arg(long, value_parser = hours)]
        keep: Option<u32>,
    },
}

/// Hours, from `12h` or `30d`.
fn hours(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no time; write 12h or 30d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    match unit {
        'h' => Ok(number),
        'd' => number.checked_mul(24).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn said(value: &Value) -> String {
    words(value.as_u64().and_then(|hours| u32::try_from(hours).ok()))
}

fn table(value: &Value, out: &Out) {
    let rows: Vec<Value> =
        value["items"].as_array().map_or(&[][..], Vec::as_slice).iter().map(readable).collect();
    let columns = [
        ("CLASS", "/class"),
        ("PURPOSE", "/purpose"),
        ("KEPT", "/kept"),
        ("SET", "/set"),
        ("AT LEAST", "/least"),
        ("AT MOST", "/most"),
        ("WENT LAST", "/sweep/gone"),
        ("HELD", "/sweep/held"),
        ("WHEN", "/sweep/ended_at"),
    ];
    out.table(&rows, &columns);
}

/// A term as people read it.
fn readable(term: &Value) -> Value {
    json!({
        "class": term["class"], "purpose": term["purpose"], "kept": said(&term["in_force_h"]),
        "set": if term["keep_h"].is_null() { json!("by the installation") } else { json!("by the tenant") },
        "least": said(&term["least_h"]), "most": said(&term["most_h"]), "sweep": term["sweep"],
    })
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &RetentionCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        RetentionCommand::Show => {
            let answer = client.get(&["privacy", "retention"], &[]).await?;
            answer.show(out, |value| table(value, out));
        }
        RetentionCommand::Set { class, purpose, keep, .. } => {
            let body = json!({ "class": class, "purpose": purpose, "keep_h": keep });
            let answer = client.write(Method::PUT, &["privacy", "retention"], Some(&body)).await?;
            answer.show(out, |value| table(value, out));
        }
        RetentionCommand::Preview { class, purpose, keep } => {
            let query = [
                ("class", Some(class.clone())),
                ("purpose", purpose.clone()),
                ("keep_h", keep.map(|hours| hours.to_string())),
            ];
            let answer = client.get(&["privacy", "retention", "preview"], &query).await?;
            answer.show(out, |value| {
                out.facts(value, &["rows", "oldest", "before", "held", "waits_for_holds", "complete"]);
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_hours_or_days() {
        assert_eq!((hours("12h"), hours("30d")), (Ok(12), Ok(720)));
        for bad in ["", "12", "h", "-1d", "1w", "9999999999d", "400000000d", "1é"] {
            assert!(hours(bad).is_err(), "{bad}");
        }
    }
}
