//! `switchboard verify`: whether what is kept adds up, and is as it was written. With `--data` or `--database` the database itself is read, and no
//! server is asked; it may run.

use std::path::Path;

use clap::Subcommand;
use identity::audit::{Report, verify};
use identity::erasure::certificate::{self, Signed};
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
    /// Whether tenants meet: on a running server two throw-away tenants are made, every route is asked for what the first has, as
    /// every role of the second and without credentials, and both are erased. Exit code 1 when something leaks. Asks with a key of
    /// the platform's administrator
    Isolation,
    /// Whether the certificate of a tenant's erasure is as it was signed. Asks no server
    Erasure {
        /// The certificate's file, as the server handed it out; - for standard input
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
        /// The public key of the platform's audit trail, as it was kept elsewhere: base64url, or a file with it in PEM
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
    },
    /// Whether the audit trail is whole: of the server, of an exported file, or of a database. Exit code 1 when not, with the
    /// first row that was changed, deleted, put in or moved
    Audit {
        /// An exported file, read by this program alone
        #[arg(long, value_name = "FILE")]
        file: Option<std::path::PathBuf>,
        /// The trail's public key, as it was kept elsewhere: base64url, or a file with it in PEM
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
    },
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
    if let VerifyCommand::Audit { file, public_key } = command {
        return audit(file.as_deref(), public_key.as_deref(), config, reach, out).await;
    }
    if let VerifyCommand::Erasure { file, public_key } = command {
        return erasure(file, public_key.as_deref(), out);
    }
    if matches!(command, VerifyCommand::Isolation) {
        return isolation(&Client::new(config, reach)?, out).await;
    }
    if config.data.is_some() || config.database.is_some() {
        return judged(&offline(config).await?, out);
    }
    let client = Client::new(config, reach)?;
    let books = client.get(&["accounting"], &[]).await?;
    judged(&[books.value], out)
}

/// Probes the server for what one tenant can reach of another.
async fn isolation(client: &Client, out: &Out) -> Result<(), Failure> {
    let report = crate::isolation::probe(&client.asker()?).await?;
    if out.json() {
        out.value(&json!(report));
    } else {
        let word = match report.isolated {
            true => out.paint(Tone::Good, "isolated"),
            false => out.paint(Tone::Bad, "not isolated"),
        };
        out.line(&format!(
            "{} operations, {} roles, {} requests  {word}",
            report.operations,
            report.roles.len(),
            report.requests
        ));
        if !report.leaks.is_empty() {
            let leaks: Vec<Value> = report.leaks.iter().map(|leak| json!(leak)).collect();
            let columns = [
                ("METHOD", "/method"),
                ("PATH", "/path"),
                ("AS", "/actor"),
                ("STATUS", "/status"),
                ("WHAT", "/why"),
            ];
            out.table(&leaks, &columns);
        }
        report.not_probed.iter().for_each(|one| out.note(&format!("Not probed: {one}.")));
    }
    match (report.isolated, out.json()) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::shown()),
        (false, false) => Err(Failure::failed(
            "one tenant reaches another, or could not be probed".to_owned(),
            "take the server out of service until the routes that are named are closed.",
        )),
    }
}

/// Verifies the audit trail where the flags say: a file, a database, or the server.
async fn audit(
    file: Option<&Path>,
    key: Option<&str>,
    config: &ConfigFlags,
    reach: &ReachFlags,
    out: &Out,
) -> Result<(), Failure> {
    let reports = match file {
        Some(file) => vec![json!(audit_file(file, key)?)],
        None if config.data.is_some() || config.database.is_some() => audits_of_database(config).await?,
        None => vec![Client::new(config, reach)?.get(&["audit", "verify"], &[]).await?.value],
    };
    if reports.is_empty() {
        return Err(Failure::failed(
            "there is no audit trail in this database".to_owned(),
            "a server that runs on it makes one within a second; where one has run, the trail was taken out.",
        ));
    }
    let whole = reports.iter().all(|one| one["whole"] == json!(true));
    if out.json() {
        out.value(&json!({ "whole": whole, "trails": reports }));
    } else {
        reports.iter().for_each(|one| tell_audit(one, out));
    }
    if whole {
        return Ok(());
    }
    if out.json() {
        return Err(Failure::shown());
    }
    Err(Failure::failed(
        "the audit trail is not as it was written".to_owned(),
        "keep a copy of what was verified as it is, and compare it with other exports and backups.",
    ))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{} cannot be read: {error}", path.display()), "check the path.")
}

/// A key as it was given: itself, or the name of a file with it.
fn key_text(key: Option<&str>) -> Result<Option<String>, Failure> {
    let read = |key: &str| match Path::new(key).is_file() {
        true => std::fs::read_to_string(key).map_err(|error| unreadable(Path::new(key), &error)),
        false => Ok(key.to_owned()),
    };
    key.map(read).transpose()
}

fn audit_file(path: &Path, key: Option<&str>) -> Result<Report, Failure> {
    let key = key_text(key)?;
    let opened = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(verify::file(std::io::BufReader::new(opened), key.as_deref())?)
}

/// Verifies the certificate of a tenant's erasure.
fn erasure(path: &Path, key: Option<&str>, out: &Out) -> Result<(), Failure> {
    let key = key_text(key)?;
    let text = match path == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    let text = text.map_err(|error| unreadable(path, &error))?;
    let signed: Signed = serde_json::from_str(&text).map_err(|_| {
        Failure::usage("this is no certificate", "give what tenant certificate has written, as it is.")
    })?;
    let mut told = json!(certificate::verify(&signed, key.as_deref())?);
    if out.json() {
        out.value(&told);
        return Ok(());
    }
    let tables = told.as_object_mut().and_then(|told| told.remove("tables")).unwrap_or_default();
    out.line("The certificate is as it was signed.");
    out.facts(
        &told,
        &[
            "tenant",
            "name_sha256",
            "asked_by",
            "asked_at",
            "began_at",
            "erased_at",
            "rows",
            "platform",
            "key",
        ],
    );
    let tables = tables.as_object().into_iter().flatten();
    let tables: Vec<Value> = tables.map(|(name, rows)| json!({ "table": name, "rows": rows })).collect();
    out.line("");
    out.table(&tables, &[("TABLE", "/table"), ("ROWS", "/rows")]);
    if key.is_none() {
        out.note(
            "Verified with the key that it names; give --public-key to hold it against the one you know.",
        );
    }
    Ok(())
}

async fn audits_of_database(flags: &ConfigFlags) -> Result<Vec<Value>, Failure> {
    let config = config::usable(flags)?;
    let db = db::Db::open_to_read(config.database_url().expose(), &db::Options::default()).await?;
    let reports = verify::every(&db).await;
    db.close().await;
    Ok(reports?.iter().map(|report| json!(report)).collect())
}

fn tell_audit(report: &Value, out: &Out) {
    let whole = report["whole"] == json!(true);
    let word = if whole { out.paint(Tone::Good, "whole") } else { out.paint(Tone::Bad, "damaged") };
    out.line(&format!(
        "{}  rows {} to {}, {} checkpoints, signed until {}  {word}",
        show::words(&report["tenant"]),
        show::words(&report["first"]),
        show::words(&report["last"]),
        show::words(&report["checkpoints"]),
        show::words(&report["signed_until"])
    ));
    if report["key_given"] == json!(false) {
        out.note(&format!(
            "The key is the trail's own, {}; compare it with the one you kept.",
            show::words(&report["public_key"])
        ));
    }
    if report["selection"] == json!(true) {
        out.note("This is a selection: what it holds verifies, what lies between does not.");
    }
    if let Some(damage) = report.get("damage") {
        out.table(
            std::slice::from_ref(damage),
            &[
                ("DONE", "/what"),
                ("ROW", "/number"),
                ("UNTIL", "/until"),
                ("LINE", "/line"),
                ("WHAT", "/detail"),
            ],
        );
    }
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
