//! The built program as a process of its own, to be killed at any moment.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::house::ADMIN_KEY;

/// Where a process listens and keeps its data; the same over its restarts.
#[derive(Debug, Clone)]
pub struct Place {
    /// The data folder.
    pub data: PathBuf,
    /// The database's address; empty for SQLite in the data folder.
    pub database: String,
    /// API and console.
    pub http: SocketAddr,
    /// SMPP.
    pub smpp: SocketAddr,
    /// More settings, as environment variables.
    pub settings: Vec<(String, String)>,
}

impl Place {
    /// A place with free ports.
    ///
    /// # Panics
    /// When no port is free.
    pub fn new(data: &Path, database: Option<&str>) -> Self {
        let free =
            || TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        Self {
            data: data.to_owned(),
            database: database.unwrap_or_default().to_owned(),
            http: free(),
            smpp: free(),
            settings: Vec::new(),
        }
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Its administrator.
    pub admin: Client,
}

/// The built program: beside the test's own binary.
///
/// # Panics
/// When it has not been built.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/debug");
    let program = folder.join("switchboard");
    assert!(program.exists(), "{} is missing: cargo build -p server", program.display());
    program
}

impl Process {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready within 30 seconds; its log is shown.
    pub async fn start(place: &Place) -> Self {
        let log = place.data.join("log");
        std::fs::create_dir_all(&place.data).expect("a data folder");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let mut command = Command::new(program());
        command
            .current_dir(&place.data)
            .env_clear()
            .env("SWITCHBOARD_DATA", place.data.join("switchboard"))
            .env("SWITCHBOARD_HTTP", place.http.to_string())
            .env("SWITCHBOARD_SMPP", place.smpp.to_string())
            .env("SWITCHBOARD__SIMULATOR__LISTEN", "127.0.0.1:0")
            .env("SWITCHBOARD_ADMIN_KEY", ADMIN_KEY)
            .env("SWITCHBOARD__LOG__FILTER", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        if !place.database.is_empty() {
            command.env("SWITCHBOARD_DATABASE", &place.database);
        }
        for (name, value) in &place.settings {
            command.env(name, value);
        }
        let child = command.spawn().expect("the program starts");
        let process = Self { child, admin: Client::anonymous(place.http).with_key(ADMIN_KEY) };
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            if process.admin.finds("/ready").await {
                return process;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it is not ready after 30 seconds:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, as a power cut would: no signal handler runs.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("its end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive the test.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
