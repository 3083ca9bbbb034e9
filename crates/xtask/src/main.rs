//! The repository's own commands; `README.md` says what each is for.
#![expect(clippy::print_stdout, reason = "a command-line tool answers on standard output")]

mod install;
mod suites;
mod tidy;

// The cluster that serves a whole run is started by the same text as the one that a test starts for itself. Depending on
// `testkit` would build the product before the first check.
#[path = "../../testkit/src/postgres.rs"]
#[expect(unreachable_pub, reason = "public in testkit")]
#[cfg_attr(not(test), expect(dead_code, reason = "the cluster only; the databases are for tests"))]
mod postgres;
#[path = "../../testkit/src/tether.rs"]
#[expect(unreachable_pub, reason = "public in testkit")]
mod tether;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask test [SUITE…] [--fast]   all checks and suites, installing what they need
cargo xtask tidy                     the architecture's invariants
cargo xtask install                  what the suites need, and nothing else

Suites, in order:";

fn main() -> ExitCode {
    obey().unwrap_or_else(|error| {
        // Without the backtrace that anyhow's Debug adds: whoever reads this has mistyped or misses a package.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn obey() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["test", ref rest @ ..] => {
            let (flags, names): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| word.starts_with("--"));
            if let Some(flag) = flags.iter().find(|flag| **flag != "--fast") {
                bail!("`cargo xtask test` has no flag {flag}, only --fast");
            }
            suites::run(&names, !flags.is_empty())
        }
        ["tidy"] => Ok(if tidy::report(root())? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        ["install"] => {
            install::ensure(&install::ALL, &target())?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            println!("{USAGE} {}", suites::names().join(" "));
            Ok(if arguments.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies in crates/xtask")
}

/// Cargo's target folder, which is where this program was built: `<target>/<profile>/xtask`.
fn target() -> PathBuf {
    let program = std::env::current_exe().ok();
    let folder = program.as_deref().and_then(|path| path.ancestors().nth(2));
    folder.map_or_else(|| root().join("target"), Path::to_path_buf)
}
