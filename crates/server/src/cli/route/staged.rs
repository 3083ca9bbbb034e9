//! `switchboard route versions|diff|rollback|draft`: changes of the routes, kept, compared, staged and undone.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::client::{Client, PageFlags};
use crate::cli::failure::Failure;
use crate::cli::set::Members;
use crate::cli::show::Out;

/// What to do with the draft.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DraftCommand {
    /// Begin a draft with a copy of the routes in use; an earlier one is discarded
    Begin,
    /// The draft, as `put` takes it
    Show,
    /// Put whole routes into the draft, from a file as `show --json` prints it
    Put {
        /// The file; `-` for standard input
        file: PathBuf,
    },
    /// What publishing it would change
    Diff,
    /// Where the last messages would have gone
    Replay {
        /// How many, 1 to 1,000; 1,000 when not given
        #[arg(long, value_name = "N")]
        messages: Option<u32>,
    },
    /// Put it in the place of the routes in use, as a new version
    Publish {
        /// What the change is
        #[arg(long)]
        comment: Option<String>,
        /// Undo what was changed since it was begun
        #[arg(long)]
        anyway: bool,
    },
    /// Discard it
    Discard,
}

const VERSIONS: &str = "route-versions";
const DRAFT: &str = "route-draft";
const STAGED: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("PRIORITY", "/priority"),
    ("ACTIVE", "/active"),
    ("STRATEGY", "/rule/strategy"),
    ("LEADS TO", "/rule/targets/0/connection"),
];

/// Optional parameters as the API takes them.
pub(super) fn tlvs(given: &[String]) -> Result<Value, Failure> {
    let read = |text: &String| {
        let (tag, hex) = text.split_once('=').map_or((text.as_str(), None), |(tag, hex)| (tag, Some(hex)));
        let number = match tag.strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16).ok(),
            None => tag.parse().ok(),
        };
        number.map(|tag| json!({ "tag": tag, "hex": hex })).ok_or_else(|| {
            Failure::usage(
                format!("--tlv {text:?} is no tag"),
                "write e.g. --tlv 0x1401 or --tlv 0x1401=0a0b.",
            )
        })
    };
    given.iter().map(read).collect()
}

/// Lists versions, or shows one.
pub(super) async fn versions(
    version: Option<&str>,
    page: &PageFlags,
    client: &Client,
    out: &Out,
) -> Result<(), Failure> {
    let Some(version) = version else {
        let columns = [
            ("VERSION", "/number"),
            ("AT", "/at"),
            ("BY", "/by"),
            ("ROUTES", "/routes_count"),
            ("WHAT", "/comment"),
            ("ID", "/id"),
        ];
        client.get(&[VERSIONS], &page.query()).await?.show_page(out, &columns);
        return Ok(());
    };
    client.get(&[VERSIONS, version], &[]).await?.show(out, |value| {
        out.heading(&format!("Version {}: {}", value["number"], crate::cli::show::words(&value["comment"])));
        out.table(value["routes"].as_array().map_or(&[][..], Vec::as_slice), STAGED);
    });
    Ok(())
}

/// Shows what a change was.
pub(super) async fn diff(
    version: &str,
    with: Option<&str>,
    client: &Client,
    out: &Out,
) -> Result<(), Failure> {
    let answer = match version {
        "draft" => client.get(&[DRAFT, "diff"], &[]).await?,
        version => client.get(&[VERSIONS, version, "diff"], &[("with", with.map(str::to_owned))]).await?,
    };
    answer.show(out, |value| show_diff(value, out));
    Ok(())
}

fn show_diff(diff: &Value, out: &Out) {
    let mut rows = Vec::new();
    for (change, list) in [("added", &diff["added"]), ("removed", &diff["removed"])] {
        let routes = list.as_array().into_iter().flatten();
        rows.extend(routes.map(|route| json!({ "route": route["name"], "change": change })));
    }
    for changed in diff["changed"].as_array().into_iter().flatten() {
        let fields = changed["fields"].as_array().into_iter().flatten();
        rows.extend(fields.map(|field| {
            json!({
                "route": changed["name"], "change": "changed", "field": field["field"],
                "before": field["before"].to_string(), "after": field["after"].to_string(),
            })
        }));
    }
    if rows.is_empty() {
        out.note("Nothing is different.");
    } else {
        let columns = [
            ("ROUTE", "/route"),
            ("CHANGE", "/change"),
            ("WHAT", "/field"),
            ("BEFORE", "/before"),
            ("AFTER", "/after"),
        ];
        out.table(&rows, &columns);
    }
}

/// Brings the routes of a version back.
pub(super) async fn roll_back(version: &str, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = client.post(&[VERSIONS, version, "rollback"], &json!({})).await?;
    answer.show(out, |value| out.facts(value, &["number", "comment"]));
    Ok(())
}

/// Works on the draft.
pub(super) async fn draft(command: &DraftCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let routes = |value: &Value| {
        out.note(&format!("From version {}.", value["base"]));
        out.table(value["routes"].as_array().map_or(&[][..], Vec::as_slice), STAGED);
    };
    match command {
        DraftCommand::Begin => client.post(&[DRAFT], &json!({})).await?.show(out, routes),
        DraftCommand::Show => client.get(&[DRAFT], &[]).await?.show(out, routes),
        DraftCommand::Put { file } => {
            let body = read(file)?;
            let body = json!({ "routes": body.get("routes").unwrap_or(&body) });
            client.write(Method::PUT, &[DRAFT], Some(&body)).await?.show(out, routes);
        }
        DraftCommand::Diff => diff("draft", None, client, out).await?,
        DraftCommand::Replay { messages } => {
            let query = [("messages", messages.map(|messages| messages.to_string()))];
            client.get(&[DRAFT, "replay"], &query).await?.show(out, |value| {
                out.heading(&format!(
                    "{} of {} messages would go elsewhere",
                    value["moved"], value["messages"]
                ));
                let shares = value["by_connection"].as_array().map_or(&[][..], Vec::as_slice);
                out.table(shares, &[("CONNECTION", "/name"), ("IN USE", "/before"), ("DRAFT", "/after")]);
                out.note(&format!(
                    "Refused: {} in use, {} by the draft.",
                    value["refused_before"], value["refused_after"]
                ));
            });
        }
        DraftCommand::Publish { comment, anyway } => {
            let body =
                Members::default().with("comment", comment.clone()).with("anyway", anyway.then_some(true));
            let answer = client.post(&[DRAFT, "publish"], &body.value()).await?;
            answer.show(out, |value| out.facts(value, &["number", "comment"]));
        }
        DraftCommand::Discard => {
            client.write(Method::DELETE, &[DRAFT], None).await?;
            out.note("Discarded.");
        }
    }
    Ok(())
}

fn read(file: &PathBuf) -> Result<Value, Failure> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let refuse = |why: String| {
        Failure::usage(
            format!("{} cannot be read: {why}", file.display()),
            "give the JSON of `route draft show --json`.",
        )
    };
    serde_json::from_str(&text.map_err(|error| refuse(error.to_string()))?)
        .map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_tags_with_or_without_octets() {
        let given = ["0x1401".to_owned(), "5122=0A0b".to_owned()];
        assert_eq!(
            tlvs(&given).unwrap(),
            json!([{ "tag": 5121, "hex": null }, { "tag": 5122, "hex": "0A0b" }])
        );
        assert!(tlvs(&["0xzz".to_owned()]).is_err());
    }
}
