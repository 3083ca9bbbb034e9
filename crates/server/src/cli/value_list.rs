//! `switchboard value-list`: reasons, titles and categories that people choose from.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::failure::Failure;
use super::show::Out;

/// What to do with value lists.
#[derive(Debug, Subcommand)]
pub(super) enum ValueListCommand {
    /// The tenant's lists
    List,
    /// The values of a list, in their order
    Show {
        /// Its name, e.g. security_closing
        list: String,
    },
    /// Create a list
    Create {
        /// Its name: a to z, 0 to 9 and _
        list: String,
        /// What people call it
        #[arg(long)]
        title: String,
    },
    /// Add a value, or change one
    Set {
        /// The list
        list: String,
        /// The value's code: a to z, 0 to 9 and _; it never changes
        code: String,
        /// What people read, in English
        #[arg(long)]
        en: Option<String>,
        /// In French
        #[arg(long)]
        fr: Option<String>,
        /// In Arabic
        #[arg(long)]
        ar: Option<String>,
        /// Whether it is offered
        #[arg(long, value_name = "true|false")]
        active: Option<bool>,
    },
    /// Put a value at another place; 1 is the first
    Move {
        /// The list
        list: String,
        /// The value's code
        code: String,
        /// Where to
        to: usize,
    },
    /// Remove a value of one's own
    Remove {
        /// The list
        list: String,
        /// The value's code
        code: String,
    },
    /// Delete a list of one's own
    Delete {
        /// Its name
        list: String,
    },
}

/// A list's values and its revision.
async fn read(client: &Client, list: &str) -> Result<(Vec<Value>, Value), Failure> {
    let answer = client.get(&["value-lists", list], &[]).await?;
    let values = answer.value["values"].as_array().cloned().unwrap_or_default();
    Ok((values, answer.value["revision"].clone()))
}

async fn write(
    client: &Client,
    out: &Out,
    list: &str,
    values: Vec<Value>,
    revision: Value,
) -> Result<(), Failure> {
    let body = json!({ "values": values, "revision": revision });
    client.patch(&["value-lists", list], &body).await?.show(out, |value| show(out, value));
    Ok(())
}

fn show(out: &Out, value: &Value) {
    let values = value["values"].as_array().map_or(&[][..], Vec::as_slice);
    let columns = [
        ("CODE", "/code"),
        ("ENGLISH", "/titles/en"),
        ("FRENCH", "/titles/fr"),
        ("ARABIC", "/titles/ar"),
        ("OFFERED", "/active"),
        ("COMES WITH THE PRODUCT", "/system"),
    ];
    out.table(values, &columns);
}

fn place(values: &[Value], list: &str, code: &str) -> Result<usize, Failure> {
    values.iter().position(|value| value["code"] == code).ok_or_else(|| {
        let hint = format!("`switchboard value-list show {list}` names its values.");
        Failure::usage(format!("{list} has no value {code:?}"), hint)
    })
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &ValueListCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        ValueListCommand::List => {
            let columns = [("NAME", "/name"), ("TITLE", "/titles/en"), ("COMES WITH THE PRODUCT", "/system")];
            client.get(&["value-lists"], &[]).await?.show_page(out, &columns);
        }
        ValueListCommand::Show { list } => {
            client.get(&["value-lists", list], &[]).await?.show(out, |value| show(out, value));
        }
        ValueListCommand::Create { list, title } => {
            let body = json!({ "name": list, "titles": { "en": title } });
            client.post(&["value-lists"], &body).await?.show(out, |value| out.facts(value, &["name"]));
        }
        ValueListCommand::Set { list, code, en, fr, ar, active } => {
            let (mut values, revision) = read(client, list).await?;
            let at = values.iter().position(|value| value["code"] == *code).unwrap_or_else(|| {
                values.push(json!({ "code": code, "titles": {} }));
                values.len() - 1
            });
            let mut titles: Map<String, Value> =
                values[at]["titles"].as_object().cloned().unwrap_or_default();
            for (tag, title) in [("en", en), ("fr", fr), ("ar", ar)] {
                if let Some(title) = title {
                    titles.insert(tag.to_owned(), title.clone().into());
                }
            }
            values[at]["titles"] = Value::Object(titles);
            if let Some(active) = active {
                values[at]["active"] = (*active).into();
            }
            write(client, out, list, values, revision).await?;
        }
        ValueListCommand::Move { list, code, to } => {
            let (mut values, revision) = read(client, list).await?;
            let moved = values.remove(place(&values, list, code)?);
            values.insert(to.saturating_sub(1).min(values.len()), moved);
            write(client, out, list, values, revision).await?;
        }
        ValueListCommand::Remove { list, code } => {
            let (mut values, revision) = read(client, list).await?;
            values.remove(place(&values, list, code)?);
            write(client, out, list, values, revision).await?;
        }
        ValueListCommand::Delete { list } => {
            client.write(Method::DELETE, &["value-lists", list], None).await?;
            out.note("Deleted.");
        }
    }
    Ok(())
}
