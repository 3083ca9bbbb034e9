//! `switchboard verify`: whether what is kept adds up. With `--data` or `--database` the database itself is read, and no
//! server is asked; it may run.

use clap::Subcommand;
use messaging::accounting::{self, Books};
use runtime::Clock;
use serde_json::{Value, json};

use super::client::Client;
use super::config;
use super::failure::Failure;
use super::show::{self, Out, Tone};
use super::{ConfigFlags, ReachFlags};

/// What to verify.
#[derive(Debug, Subcommand)]
pub(super) enum VerifyCommand {
    /// Whether each accepted message is in exactly one state, and everything that is kept about it agrees. Exit code 1 when
    /// not
    Accounting,
}

/// Carries the command out.
///
/// # Errors
/// Exit code 1 when the books do not balance; a database that cannot be read; what the server refuses.
pub(super) async fn run(
    command: &VerifyCommand,
    config: &ConfigFlags,
    reach: &ReachFlags,
    out: &Out,
) -> Result<(), Failure> {
    let VerifyCommand::Accounting = command;
    if config.data.is_some() || config.database.is_some() {
        return judged(&offline(config).await?, out);
    }
    let client = Client::new(config, reach)?;
    let books = client.get(&["accounting"], &[]).await?;
    judged(&[books.value], out)
}

/// The books of all tenants of the database that the flags name.
async fn offline(flags: &ConfigFlags) -> Result<Vec<Value>, Failure> {
    let config = config::usable(flags)?;
    let db = db::Db::open_to_read(config.database_url().expose(), &db::Options::default()).await?;
    let books = accounting::verify(&db, Clock::system().now()).await;
    db.close().await;
    let books: Vec<Books> = books?;
    books
        .iter()
        .map(|one| serde_json::to_value(one).map_err(|error| types::Error::internal(error).into()))
        .collect()
}

fn judged(books: &[Value], out: &Out) -> Result<(), Failure> {
    let balanced = books.iter().all(|one| one["balanced"] == json!(true));
    if out.json() {
        out.value(&json!({ "balanced": balanced, "books": books }));
    } else {
        books.iter().for_each(|one| tell(one, out));
    }
    if balanced {
        return Ok(());
    }
    if out.json() {
        return Err(Failure::shown());
    }
    let first = books.iter().filter_map(|one| one["discrepancies"].as_array()).flatten();
    let first = first.filter_map(|found| found["message"].as_str()).next();
    Err(Failure::failed(
        match first {
            Some(message) => {
                format!("the books do not balance; the first message that does not add up is {message}")
            }
            None => "the books do not balance, and no single message is to blame".to_owned(),
        },
        "keep a copy of the database as it is, and look at the message's timeline.",
    ))
}

fn tell(books: &Value, out: &Out) {
    let balanced = books["balanced"] == json!(true);
    let word = if balanced { out.paint(Tone::Good, "balanced") } else { out.paint(Tone::Bad, "unbalanced") };
    out.line(&format!(
        "{}  {} accepted, {} forgotten  {word}",
        show::words(&books["tenant"]),
        show::words(&books["accepted"]),
        show::words(&books["forgotten"])
    ));
    if let Some(states) = books["states"].as_array().filter(|states| !states.is_empty()) {
        out.table(states, &[("STATE", "/name"), ("MESSAGES", "/rows"), ("KEPT SUM", "/kept")]);
    }
    if let Some(found) = books["discrepancies"].as_array().filter(|found| !found.is_empty()) {
        out.line("");
        out.table(found, &[("RULE", "/rule"), ("MESSAGE", "/message"), ("WHAT", "/detail")]);
    }
    out.line("");
}
