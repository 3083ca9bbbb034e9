//! `switchboard cdr`: call detail records. `verify` of a folder and `load` work on files alone, without a server.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Subcommand;
use messaging::cdr::{load, verify};
use serde_json::{Value, json};

use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::serve::wait_for_signal;
use super::set::Members;
use super::show::{self, Out};
use super::{ConfigFlags, ReachFlags};

/// What to do with records.
#[derive(Debug, Subcommand)]
pub(super) enum CdrCommand {
    /// Whether and how records are written, and how far they have come
    Settings,
    /// Switch records on or off, or change how they are written
    Set {
        /// Whether records are written: true or false
        #[arg(long, value_name = "BOOL")]
        active: Option<bool>,
        /// csv, jsonl or parquet
        #[arg(long)]
        format: Option<String>,
        /// none, gzip or zstd
        #[arg(long)]
        compression: Option<String>,
        /// Where each closed file is put by HTTP PUT; `none` for nowhere
        #[arg(long, value_name = "URL")]
        upload_url: Option<String>,
        /// Only if they still have this revision
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
    },
    /// Closed files, the newest first
    Files(#[command(flatten)] PageFlags),
    /// Download a closed file
    Download {
        /// Its id
        file: String,
        /// The folder to put it into; the working folder when not given
        #[arg(long, value_name = "DIR", default_value = ".")]
        to: PathBuf,
    },
    /// Write what has happened so far and close the open file
    Rotate,
    /// Whether a row is missing or double: in the files of a folder, or, without one, in the server's files and registration
    Verify {
        /// A folder with files, or files; no server is asked
        paths: Vec<PathBuf>,
    },
    /// Load files into a database; what is there already stays
    Load {
        /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME: a database of its own, not a server's
        #[arg(long, value_name = "URL")]
        into: String,
        /// Files, or folders with files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Rows as they happen, one JSON object a line, until interrupted
    Follow {
        /// Only those behind this row's seq, or behind `next` of an answer; those from now on when not given
        #[arg(long, default_value = "now")]
        after: String,
    },
}

/// The pause between two looks for new rows.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Carries the command out.
///
/// # Errors
/// What the server refuses; files that cannot be read; when a check finds something missing or double.
pub(super) async fn run(
    command: &CdrCommand,
    config: &ConfigFlags,
    reach: &ReachFlags,
    out: &Out,
) -> Result<(), Failure> {
    match command {
        CdrCommand::Load { into, paths } => return load_into(into, paths, out).await,
        CdrCommand::Verify { paths } if !paths.is_empty() => {
            let report = verify::files(&files_of(paths)?);
            return judged(&serde_json::to_value(report).map_err(types::Error::internal)?, out);
        }
        _ => {}
    }
    let client = Client::new(config, reach)?;
    match command {
        CdrCommand::Settings => facts(&client.get(&["cdr-settings"], &[]).await?, out),
        CdrCommand::Set { active, format, compression, upload_url, revision } => {
            let nowhere = upload_url.as_deref() == Some("none");
            let url = upload_url.clone().map(|url| if nowhere { Value::Null } else { url.into() });
            let settings = Members::default()
                .with("format", format.clone())
                .with("compression", compression.clone())
                .with("upload_url", url);
            let body = Members::default()
                .with("active", *active)
                .with("settings", settings.unless_empty())
                .with("revision", *revision);
            facts(&client.patch(&["cdr-settings"], &body.value()).await?, out);
        }
        CdrCommand::Files(page) => {
            let columns = [
                ("NUMBER", "/number"),
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ROWS", "/rows"),
                ("FIRST", "/first_seq"),
                ("LAST", "/last_seq"),
                ("BYTES", "/bytes"),
                ("STATE", "/state"),
                ("CLOSED BY", "/reason"),
            ];
            client.get(&["cdr-files"], &page.query()).await?.show_page(out, &columns);
        }
        CdrCommand::Download { file, to } => download(file, to, &client, out).await?,
        CdrCommand::Rotate => {
            let answer = client.act(&["cdr-files", "rotate"]).await?;
            answer.show(out, |value| match value.get("closed") {
                Some(closed) => out.facts(closed, &["id", "name", "rows"]),
                None => out.line("There was no row to write."),
            });
        }
        CdrCommand::Verify { .. } => {
            return judged(&client.get(&["cdr-files", "verify"], &[]).await?.value, out);
        }
        CdrCommand::Follow { after } => {
            return tokio::select! {
                ended = follow(after.clone(), &client, out) => ended,
                () = wait_for_signal() => Ok(()),
            };
        }
        CdrCommand::Load { .. } => {}
    }
    Ok(())
}

fn facts(answer: &super::client::Answer, out: &Out) {
    answer.show(out, |value| out.facts(value, &["active", "revision", "closed_number", "closed_seq"]));
}

/// The files that paths name: a folder stands for those in it.
fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = verify::files_under(path).map_err(|error| {
                Failure::usage(format!("{} cannot be read: {error}", path.display()), "check the folder.")
            })?;
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Shows a report; what is not as it should be is a failure.
fn judged(report: &Value, out: &Out) -> Result<(), Failure> {
    if out.json() {
        out.value(report);
    } else {
        let number = |name: &str| report.get(name).map(show::words).unwrap_or_default();
        out.line(&format!("{} files, {} rows", number("files"), number("rows")));
        let list = |name: &str| report.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        for tenant in list("tenants") {
            let told = |name: &str| tenant.get(name).map(show::words).unwrap_or_default();
            out.line(&format!("{}: rows {} to {}", told("tenant"), told("first_seq"), told("last_seq")));
            for (name, title) in [("missing", "missing"), ("doubled", "double")] {
                for span in tenant.get(name).and_then(Value::as_array).into_iter().flatten() {
                    out.line(&format!("  {title}: {} to {}", span["from"], span["to"]));
                }
            }
            if tenant["repeated"].as_i64().is_some_and(|repeated| repeated > 0) {
                out.line(&format!("  the same part more than once: {}", tenant["repeated"]));
            }
        }
        for fault in list("faults") {
            out.line(&show::words(&fault));
        }
    }
    if report["ok"] == true {
        out.note("Nothing is missing, nothing is double.");
        return Ok(());
    }
    Err(Failure::failed("the records are not whole", "what is wrong is named above."))
}

async fn download(file: &str, to: &Path, client: &Client, out: &Out) -> Result<(), Failure> {
    let registered = client.get(&["cdr-files", file], &[]).await?.value;
    let name = registered["name"].as_str().unwrap_or_default();
    // The name is the server's word; only its last component is taken.
    let target = to.join(Path::new(name).file_name().unwrap_or_default());
    let refused = |error: std::io::Error| {
        Failure::failed(format!("{} cannot be written: {error}", target.display()), "check the folder.")
    };
    let mut response = client.stream(&["cdr-files", file, "content"], &[]).await?;
    let mut written = std::fs::File::create(&target).map_err(refused)?;
    let mut bytes = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                bytes += chunk.len();
                written.write_all(&chunk).map_err(refused)?;
            }
            Ok(None) => break,
            Err(error) => return Err(Failure::failed(format!("the file broke off: {error}"), "ask again.")),
        }
    }
    match out.json() {
        true => out.value(&json!({ "path": target, "bytes": bytes })),
        false => out.line(&target.display().to_string()),
    }
    Ok(())
}

async fn load_into(url: &str, paths: &[PathBuf], out: &Out) -> Result<(), Failure> {
    let files = files_of(paths)?;
    let began = Instant::now();
    let db = load::open(url).await?;
    let loaded = load::into(&db, &files).await;
    db.close().await;
    let loaded = loaded?;
    let seconds = began.elapsed().as_secs_f64();
    let rate = loaded.rows as f64 / seconds.max(0.001);
    match out.json() {
        true => out.value(
            &json!({ "files": loaded.files, "rows": loaded.rows, "new": loaded.new, "seconds": seconds }),
        ),
        false => out.line(&format!(
            "{} files, {} rows, {} of them new, in {seconds:.1} s ({rate:.0} rows/s)",
            loaded.files, loaded.rows, loaded.new
        )),
    }
    Ok(())
}

async fn follow(mut after: String, client: &Client, out: &Out) -> Result<(), Failure> {
    loop {
        let query = [("after", Some(after.clone())), ("limit", Some("200".to_owned()))];
        let answer = client.get(&["cdrs"], &query).await?;
        for row in answer.items() {
            out.line(&row.to_string());
        }
        if let Some(next) = answer.value.get("next").and_then(Value::as_str) {
            next.clone_into(&mut after);
        }
        if answer.items().is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_is_not_whole_is_a_failure() {
        let out = Out::new(true, true);
        assert!(
            judged(&json!({ "ok": true, "files": 1, "rows": 2, "tenants": [], "faults": [] }), &out).is_ok()
        );
        assert!(judged(&json!({ "ok": false, "tenants": [], "faults": ["gone"] }), &out).is_err());
    }
}
