//! A throw-away PostgreSQL cluster, and in it a fresh database for each test.
//!
//! The cluster is the one named by `TEST_POSTGRES_URL` (a superuser's URL; `cargo xtask test` starts one for the whole run),
//! or else one that this process starts for itself at the first call, from the server's own programs, in a temporary folder.
//! It ends with the process, also after a panic or a `kill -9`: see [`crate::tether`].

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::tether::Tether;

/// How long a new cluster may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Distinguishes the clusters and databases of one process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Whether a commit waits for the disk. Tests of durability need `On`; whoever only wants speed takes `Off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fsync {
    /// As in production.
    #[default]
    On,
    /// A crash of the machine loses commits.
    Off,
}

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    psql: PathBuf,
    _tether: Option<Tether>,
}

/// An empty database of its own, dropped with the value.
#[derive(Debug)]
pub struct Database<'c> {
    cluster: &'c Cluster,
    name: String,
    /// `postgres://role:password@host:port/database`. The role owns the database but is no superuser and does not bypass row-level
    /// security, so policies bite as they do in production.
    pub url: String,
}

/// The cluster of this process: attached to, or started at the first call.
///
/// # Panics
/// When there is no PostgreSQL on this machine or it does not start: no test that asks for it could go on.
pub fn start() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "how the test runner tells its tests about the cluster")]
    let given = || std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty());
    CLUSTER.get_or_init(|| {
        let cluster = match given() {
            Some(url) => Cluster::attach(url),
            None => Cluster::launch(Fsync::On),
        };
        cluster.expect("a PostgreSQL cluster for the tests")
    })
}

/// The folder of PostgreSQL's server programs: the newest of Debian's, else that of `initdb` on the path.
pub fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| path.file_name()?.to_str()?.parse::<u32>().ok());
    newest.map(|path| path.join("bin")).or_else(|| {
        let path = std::env::split_paths(&std::ffi::OsString::from(env_path())).collect::<Vec<_>>();
        path.into_iter().find(|folder| folder.join("initdb").exists())
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the search path is the system's, not a setting of the product"
)]
fn env_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

impl Cluster {
    /// Uses a server that runs already; `url` is a superuser's.
    ///
    /// # Errors
    /// When no `psql` is found or the server does not answer.
    pub fn attach(url: String) -> Result<Cluster> {
        let psql = programs().map_or_else(|| PathBuf::from("psql"), |folder| folder.join("psql"));
        let cluster = Cluster { url, psql, _tether: None };
        cluster.sql("select 1").context("TEST_POSTGRES_URL names a server that does not answer")?;
        Ok(cluster)
    }

    /// Starts a new server on a free port of the loopback interface, with its own temporary folder.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or with the server's own words when it does not start.
    pub fn launch(fsync: Fsync) -> Result<Cluster> {
        let programs = programs().context(
            "no PostgreSQL server programs found (looked in /usr/lib/postgresql/*/bin and PATH): apt-get install postgresql",
        )?;
        // A socket's path may hold about 100 bytes, so the folder lies directly in the system's temporary one.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("switchboard-pg-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        let started = launch_in(&folder, &programs, fsync);
        if started.is_err() {
            let _ = std::fs::remove_dir_all(&folder);
        }
        started
    }

    /// The superuser's URL, to hand to a child process as `TEST_POSTGRES_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A fresh, empty database owned by a fresh role without privileges.
    ///
    /// # Panics
    /// When the server refuses: the test could not go on.
    pub fn database(&self) -> Database<'_> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let made = self.drop_database(&name).and_then(|()| {
            self.sql(&format!("create role {name} login password '{name}' nosuperuser nobypassrls"))?;
            self.sql(&format!("create database {name} owner {name}"))
        });
        made.expect("a fresh database for a test");
        let url = self.url_of(&name);
        Database { cluster: self, name, url }
    }

    fn drop_database(&self, name: &str) -> Result<()> {
        self.sql(&format!("drop database if exists {name} with (force)"))?;
        self.sql(&format!("drop role if exists {name}"))
    }

    /// The cluster's URL with another role and database, keeping host, port and parameters.
    fn url_of(&self, name: &str) -> String {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let parameters = path.split_once('?').map_or(String::new(), |(_, rest)| format!("?{rest}"));
        format!("postgres://{name}:{name}@{host}/{name}{parameters}")
    }

    /// Runs one statement as the superuser. `create database` allows no transaction, so each goes alone.
    fn sql(&self, statement: &str) -> Result<()> {
        let output = Command::new(&self.psql)
            .args(["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"])
            .args(["--dbname", &self.url, "--command", statement])
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running {}", self.psql.display()))?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "PostgreSQL refused `{statement}`: {}", words.trim());
        Ok(())
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A test that panics must not panic again here; what stays behind goes with the cluster.
        if let Err(error) = self.cluster.drop_database(&self.name) {
            eprintln!("could not drop {}: {error:#}", self.name);
        }
    }
}

fn launch_in(folder: &Path, programs: &Path, fsync: Fsync) -> Result<Cluster> {
    let as_owner = owner_prefix(folder)?;
    let data = folder.join("data");
    let mut initdb = as_owner.clone();
    initdb.extend([text(&programs.join("initdb")), "--pgdata".to_owned(), text(&data)]);
    initdb.extend(
        ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
            .map(str::to_owned),
    );
    let output = Command::new(&initdb[0]).args(&initdb[1..]).current_dir(folder).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "initdb failed: {}", words.trim());

    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut server = as_owner;
    server.extend([text(&programs.join("postgres")), "-D".to_owned(), text(&data)]);
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", text(folder)),
        "max_connections=300".to_owned(),
        format!("fsync={}", if fsync == Fsync::On { "on" } else { "off" }),
    ] {
        server.extend(["-c".to_owned(), setting]);
    }
    let log = folder.join("log");
    // QUIT ends the server without a checkpoint: nobody will read these files again.
    let tether = Tether::start(&server, "QUIT", Some(folder), &log)?;
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let mut cluster = Cluster { url, psql: programs.join("psql"), _tether: None };
    wait_until_it_answers(&cluster, tether, &log).map(|tether| {
        cluster._tether = Some(tether);
        cluster
    })
}

fn wait_until_it_answers(cluster: &Cluster, mut tether: Tether, log: &Path) -> Result<Tether> {
    let begun = Instant::now();
    loop {
        // Read before asking whether it ended, as its folder goes with it.
        let words = std::fs::read_to_string(log).unwrap_or_default();
        if let Some(status) = tether.ended() {
            bail!("PostgreSQL ended with {status}: {words}");
        }
        let Err(error) = cluster.sql("select 1") else { return Ok(tether) };
        if begun.elapsed() > START_LIMIT {
            return Err(error.context(format!("PostgreSQL did not start within {START_LIMIT:?}: {words}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What to put before a command so that it runs as an ordinary user: PostgreSQL refuses to run as root. The folder is given
/// to that user.
fn owner_prefix(folder: &Path) -> Result<Vec<String>> {
    let output = Command::new("id").arg("-u").output().context("asking for the user's id")?;
    if output.stdout.trim_ascii() != b"0" {
        return Ok(Vec::new());
    }
    let given = Command::new("chown").arg("postgres:").arg(folder).status()?;
    ensure!(
        given.success(),
        "there is no user `postgres` to run the server as, and it refuses to run as root"
    );
    Ok(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"].map(str::to_owned).to_vec())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(url: &str, statement: &str) -> String {
        let psql = programs().unwrap().join("psql");
        let output =
            Command::new(psql).args(["-X", "-A", "-t", "-d", url, "-c", statement]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn each_database_is_fresh_and_its_role_has_no_privileges() {
        if programs().is_none() {
            eprintln!("PostgreSQL is not installed: not tested");
            return;
        }
        let cluster = start();
        let (one, two) = (cluster.database(), cluster.database());
        assert_ne!(one.url, two.url);
        ask(&one.url, "create table only_here (a bigint)");
        assert_eq!(ask(&one.url, "select count(*) from only_here"), "0");
        assert_eq!(ask(&two.url, "select to_regclass('only_here') is null"), "t");
        let powers = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user";
        assert_eq!(ask(&one.url, powers), "f");

        let name = one.name.clone();
        drop(one);
        let left = format!("select count(*) from pg_database where datname = '{name}'");
        assert_eq!(ask(cluster.url(), &left), "0");
    }

    #[test]
    fn a_cluster_ends_with_its_value() {
        if programs().is_none() {
            eprintln!("PostgreSQL is not installed: not tested");
            return;
        }
        let cluster = Cluster::launch(Fsync::Off).unwrap();
        let url = cluster.url().to_owned();
        assert_eq!(ask(&url, "show fsync"), "off");
        drop(cluster);
        assert_eq!(ask(&url, "select 1"), "");
    }

    #[test]
    fn the_url_keeps_host_port_and_parameters() {
        let cluster = Cluster {
            url: "postgres://root:secret@db:5433/postgres?sslmode=disable".to_owned(),
            psql: PathBuf::new(),
            _tether: None,
        };
        assert_eq!(cluster.url_of("t"), "postgres://t:t@db:5433/t?sslmode=disable");
    }
}
