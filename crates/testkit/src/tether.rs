//! A server that a test starts must not outlive the test process, however that ends: normally, by a panic, or by `kill -9`.
//!
//! Rust drops no statics at exit and nothing at all after a `SIGKILL`, so [`Tether`] lets the kernel tell. The server runs
//! under a small shell that holds the read end of a pipe; the write end is ours. When we are gone the kernel closes it, the
//! shell reads end-of-file, signals the server and removes its folder. The shell has a process group of its own, so that an
//! interrupt typed at the terminal reaches it only by that way.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// `$1` the signal, `$2` a folder to remove or nothing, the rest the server's command line. A shell gives its background
/// commands no standard input, hence the pipe as descriptor 3.
const WATCH: &str = r#"
signal=$1 folder=$2
shift 2
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ cat <&3; kill -s "$signal" "$server"; } >/dev/null 2>&1 &
exec 3<&-
wait "$server"
code=$?
[ -z "$folder" ] || rm -rf -- "$folder"
exit "$code"
"#;

/// A running server. Dropping it stops the server and waits until it has ended.
#[derive(Debug)]
pub struct Tether {
    shell: Child,
}

impl Tether {
    /// Starts `command` (program first). On the end of this process, or of the value, the server gets `signal` (a name such as
    /// `TERM`), and then `folder` is removed. The server's output goes to `log`, which must not lie in `folder`'s way: a file
    /// inside it is fine and goes with it.
    ///
    /// # Errors
    /// When the log cannot be made or no shell can be started. A server that does not start shows in [`Tether::ended`].
    pub fn start<S: AsRef<OsStr>>(
        command: &[S],
        signal: &str,
        folder: Option<&Path>,
        log: &Path,
    ) -> io::Result<Tether> {
        let log = std::fs::File::create(log)?;
        let shell = Command::new("/bin/sh")
            .args(["-c", WATCH, "tether", signal])
            .arg(folder.unwrap_or(Path::new("")))
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        Ok(Tether { shell })
    }

    /// The server's exit status, once it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().ok().flatten()
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Nothing can be done about a failure here, and the shell ends by itself.
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_ends_the_server_and_removes_its_folder() {
        let folder = std::env::temp_dir().join(format!("tether-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut tether =
            Tether::start(&["sleep", "1000"], "TERM", Some(&folder), &folder.join("log")).unwrap();
        assert!(tether.ended().is_none());
        drop(tether);
        assert!(!folder.exists());
    }

    #[test]
    fn a_server_that_ends_by_itself_is_noticed() {
        let log = std::env::temp_dir().join(format!("tether-{}.log", std::process::id()));
        let mut tether = Tether::start(&["sh", "-c", "echo gone; exit 7"], "TERM", None, &log).unwrap();
        // Not `wait`, which would close the pipe first.
        let status = loop {
            if let Some(status) = tether.ended() {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(7));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "gone\n");
        std::fs::remove_file(&log).unwrap();
    }
}
