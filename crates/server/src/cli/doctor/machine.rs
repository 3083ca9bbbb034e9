//! What can be looked at without the server: folders, disk, ports, database, clock.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use db::{Db, Tenancy, args, record, sql};
use runtime::{Clock, Config};
use tokio::net::{TcpListener, TcpStream};
use types::Timestamp;

use super::super::client::reachable;
use super::{Check, Outcome};
use crate::serve;

/// Below this much free space the operator should act: about five million messages.
const DISK_WARNING_KIB: u64 = 2 << 20;
/// Below this much the database may soon refuse to write.
const DISK_ERROR_KIB: u64 = 256 << 10;
/// How long a port may take to answer.
const PORT_WITHIN: Duration = Duration::from_secs(1);
/// A clock before this instant was never set: 2025-01-01.
const CLOCK_MIN: Timestamp = Timestamp::from_unix_ms(1_735_689_600_000);

const ANSWERS: &str = " answers";
const FREE: &str = " is free";

record! { struct Applied { name: String } }

/// Looks at this machine.
pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let mut checks = vec![
        folder(&config.data_dir),
        private_file(
            "root key",
            &config.root_key_file(),
            "without it no stored password or secret can be read",
        ),
        private_file("cli key", &config.data_dir.join("cli.key"), "it holds all rights"),
        disk(&config.data_dir).await,
        database(config).await,
    ];
    let http = port("HTTP port", config.http.listen, "--http").await;
    let smpp = port("SMPP port", config.smpp.listen, "--smpp").await;
    let half = http.found.ends_with(ANSWERS) && smpp.found.ends_with(FREE);
    checks.extend([http, smpp]);
    if half {
        let found = "something answers HTTP, and nobody SMPP";
        let advice = "if that is the server, does it run with another configuration than this command?";
        checks.push(Check::new("SMPP port", Outcome::Warning, found, advice));
    }
    checks.push(clock(Clock::system().now()));
    checks
}

fn folder(path: &Path) -> Check {
    let name = "data folder";
    let shown = path.display();
    let mode = match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => {
            return Check::new(
                name,
                Outcome::Error,
                format!("{shown} is no folder"),
                "name another with --data",
            );
        }
        Ok(found) => found.permissions().mode() & 0o777,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Check::skipped(name, format!("{shown} is not there yet; the first start makes it"));
        }
        Err(error) => {
            return Check::new(
                name,
                Outcome::Error,
                format!("{shown}: {error}"),
                "run this as the server's user",
            );
        }
    };
    let probe = path.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, b"x");
    drop(std::fs::remove_file(&probe));
    match written {
        Err(error) => {
            let advice = format!("give it to the server's user: chown -R USER {shown}");
            Check::new(name, Outcome::Error, format!("{shown} cannot be written to: {error}"), advice)
        }
        Ok(()) if mode & 0o077 != 0 => {
            let found = format!("{shown} is open to others (mode {mode:03o})");
            Check::new(name, Outcome::Warning, found, format!("chmod 700 {shown}"))
        }
        Ok(()) => Check::ok(name, format!("{shown}, mode {mode:03o}")),
    }
}

fn private_file(name: &'static str, path: &PathBuf, why: &str) -> Check {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let found = format!("{shown} is open to others, and {why}");
            Check::new(name, Outcome::Error, found, format!("chmod 600 {shown}"))
        }
        Ok(_) => Check::ok(name, format!("{shown}, its owner's alone")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Check::skipped(name, format!("{shown} is not there; the first start makes it"))
        }
        Err(error) => {
            Check::new(name, Outcome::Error, format!("{shown}: {error}"), "run this as the server's user")
        }
    }
}

/// The nearest folder above that is there: the one whose disk will be used.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."))
}

async fn disk(data_dir: &Path) -> Check {
    let name = "disk";
    let answer =
        tokio::process::Command::new("df").arg("-Pk").arg("--").arg(existing(data_dir)).output().await;
    let free = answer.ok().and_then(|answer| free_kib(&String::from_utf8_lossy(&answer.stdout)));
    match free {
        None => Check::skipped(name, "df does not tell the free space"),
        Some(kib) => {
            let found = format!("{:.1} GiB free", kib as f64 / f64::from(1 << 20));
            let advice = "free space, or move data_dir; a full disk refuses messages, but loses none";
            match kib {
                kib if kib < DISK_ERROR_KIB => Check::new(name, Outcome::Error, found, advice),
                kib if kib < DISK_WARNING_KIB => Check::new(name, Outcome::Warning, found, advice),
                _ => Check::ok(name, found),
            }
        }
    }
}

/// The fourth field of the second line (POSIX df -P).
fn free_kib(text: &str) -> Option<u64> {
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

async fn database(config: &Config) -> Check {
    let name = "database";
    let url = config.database_url();
    let file = url
        .expose()
        .strip_prefix("sqlite:")
        .map(|path| path.trim_start_matches("//").split('?').next().unwrap_or_default());
    if let Some(path) = file.filter(|path| !Path::new(path).exists()) {
        return Check::skipped(name, format!("{path} is not there yet; the first start makes it"));
    }
    let db = match serve::connect_database(config).await {
        Ok(db) => db,
        Err(error) => {
            return Check::new(name, Outcome::Error, error.message().to_owned(), error.advice().to_owned());
        }
    };
    let check = schema(&db, &url.masked()).await;
    db.close().await;
    check
}

async fn schema(db: &Db, shown: &str) -> Check {
    let name = "database";
    let applied = async {
        let mut tx = db.read(Tenancy::Every).await?;
        tx.all::<Applied>(sql!("select name from schema_migration order by name limit 10000"), args![]).await
    };
    let Ok(applied) = applied.await else {
        let found = format!("{shown} answers, and has no schema");
        return Check::new(name, Outcome::Warning, found, "start the server, or run `switchboard migrate`");
    };
    let steps = serve::migrations();
    let missing = steps.iter().filter(|step| applied.iter().all(|known| known.name != step.name)).count();
    let unknown = applied.iter().find(|known| steps.iter().all(|step| step.name != known.name));
    match (missing, unknown) {
        (_, Some(unknown)) => {
            let found = format!("{shown} has the step {}, which this version does not know", unknown.name);
            Check::new(
                name,
                Outcome::Error,
                found,
                "run the newer version that made it, or restore a backup from before",
            )
        }
        (0, None) => Check::ok(name, format!("{shown} answers, schema up to date ({} steps)", steps.len())),
        (missing, None) => {
            let found = format!("{shown} answers, {missing} step(s) of its schema are missing");
            Check::new(name, Outcome::Warning, found, "start the server, or run `switchboard migrate`")
        }
    }
}

async fn port(name: &'static str, address: SocketAddr, flag: &str) -> Check {
    if address.port() == 0 {
        return Check::skipped(name, format!("{address}: the system chooses the port"));
    }
    if let Ok(Ok(_)) = tokio::time::timeout(PORT_WITHIN, TcpStream::connect(reachable(address))).await {
        return Check::ok(name, format!("{address}{ANSWERS}"));
    }
    match TcpListener::bind(address).await {
        Ok(_) => Check::ok(name, format!("{address}{FREE}")),
        Err(error) => {
            let found = format!("{address} neither answers nor can be listened on: {error}");
            Check::new(
                name,
                Outcome::Error,
                found,
                format!("choose another with {flag}, or give the right to use it"),
            )
        }
    }
}

fn clock(now: Timestamp) -> Check {
    if now < CLOCK_MIN {
        let found = format!("it is {now}, says this machine");
        return Check::new(
            "clock",
            Outcome::Error,
            found,
            "set the clock, best by NTP: ids, validity and receipts go by it",
        );
    }
    Check::ok("clock", now.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_df() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 100 40 60 40% /\n";
        assert_eq!(free_kib(text), Some(60));
        assert_eq!(free_kib(""), None);
    }

    #[test]
    fn a_clock_that_was_never_set_is_found() {
        assert_eq!(clock(Timestamp::from_unix_ms(0)).outcome, Outcome::Error);
        assert_eq!(clock(CLOCK_MIN).outcome, Outcome::Ok);
    }

    #[tokio::test]
    async fn a_port_is_free_or_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(port("p", address, "--p").await.found.ends_with(ANSWERS));
        drop(listener);
        assert!(port("p", address, "--p").await.found.ends_with(FREE));
    }
}
