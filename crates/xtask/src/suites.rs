//! `cargo xtask test`: the checks and suites in order, what they print passed through, a table and one plain line at the end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::install::{self, Need};
use crate::postgres::{Cluster, Fsync, programs};
use crate::{root, target, tidy};

/// The integration suites of `testkit`: files in its `tests` folder that the unit step leaves out.
const INTEGRATION: [&str; 4] = ["it", "peers", "kill", "browser"];

/// One line of the final table.
struct Step {
    name: &'static str,
    /// What it needs beside Rust.
    needs: &'static [Need],
    work: Work,
}

enum Work {
    /// A cargo command, shown as it is.
    Cargo(&'static [&'static str]),
    Tidy,
    /// The unit tests, and the integration tests of every crate but those in [`INTEGRATION`].
    Unit,
    /// A file in `crates/testkit/tests`, on an engine.
    Suite {
        file: &'static str,
        engine: &'static str,
    },
}

/// In this order; those without needs are the fast ones.
const STEPS: [Step; 11] = [
    Step { name: "fmt", needs: &[], work: Work::Cargo(&["fmt", "--all", "--check"]) },
    Step { name: "tidy", needs: &[], work: Work::Tidy },
    Step {
        name: "clippy",
        needs: &[],
        work: Work::Cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    // Once for all steps that follow, with the programs that the integration suites start.
    Step {
        name: "build",
        needs: &[],
        work: Work::Cargo(&["build", "--locked", "--workspace", "--all-targets"]),
    },
    Step { name: "unit", needs: &[], work: Work::Unit },
    Step { name: "doc", needs: &[], work: Work::Cargo(&["test", "--locked", "--workspace", "--doc"]) },
    Step { name: "sqlite", needs: &[], work: Work::Suite { file: "it", engine: "sqlite" } },
    Step { name: "postgres", needs: &[Need::Postgres], work: Work::Suite { file: "it", engine: "postgres" } },
    Step {
        name: "peers",
        needs: &[Need::Kannel, Need::OsmoMsc, Need::Node, Need::Python],
        work: Work::Suite { file: "peers", engine: "sqlite" },
    },
    Step { name: "kill", needs: &[Need::Postgres], work: Work::Suite { file: "kill", engine: "sqlite" } },
    Step {
        name: "browser",
        needs: &[Need::Chromium, Need::Node],
        work: Work::Suite { file: "browser", engine: "sqlite" },
    },
];

/// How a step ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

enum Ending {
    Passed(Counts),
    Failed(Counts),
}

/// The names that `cargo xtask test` takes.
pub(crate) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

/// Runs the named steps, or all, or with `fast` those that need nothing but Rust.
///
/// # Errors
/// For a name that is no suite, or when what is missing cannot be installed. A failed step is not an error but a failure
/// exit code, after all steps have run.
pub(crate) fn run(chosen: &[&str], fast: bool) -> Result<ExitCode> {
    if let Some(name) = chosen.iter().find(|name| !names().contains(name)) {
        bail!("there is no suite {name}; there are: {}", names().join(" "));
    }
    let wanted = |step: &Step| {
        let named = chosen.is_empty() || chosen.contains(&step.name);
        named && (!fast || step.needs.is_empty())
    };
    let suite_chosen = STEPS.iter().any(|step| wanted(step) && matches!(step.work, Work::Suite { .. }));
    let steps: Vec<&Step> =
        STEPS.iter().filter(|step| wanted(step) || (step.name == "build" && suite_chosen)).collect();

    let begun = Instant::now();
    let mut needs: Vec<Need> = Vec::new();
    for need in steps.iter().flat_map(|step| step.needs) {
        if !needs.contains(need) {
            needs.push(*need);
        }
    }
    install::ensure(&needs, &target())?;
    let tests = |step: &&Step| matches!(step.work, Work::Unit | Work::Suite { .. });
    let cluster = match steps.iter().any(tests) && programs().is_some() {
        true => Some(Cluster::launch(Fsync::On)?),
        false => None,
    };
    let url = cluster.as_ref().map(Cluster::url);
    let mut table = vec![("set-up", begun.elapsed(), Ending::Passed(Counts::default()))];
    for step in steps {
        println!("\n=== {}", step.name);
        let begun = Instant::now();
        // A step that cannot even be started has failed; the others still tell something.
        let ending = perform(&step.work, url).unwrap_or_else(|error| {
            println!("{error:#}");
            Ending::Failed(Counts::default())
        });
        println!("=== {}: {:.1} s", step.name, begun.elapsed().as_secs_f64());
        table.push((step.name, begun.elapsed(), ending));
    }
    Ok(summary(&table))
}

fn perform(work: &Work, postgres: Option<&str>) -> Result<Ending> {
    let common = ["test", "--locked", "--workspace", "--no-fail-fast"];
    match work {
        Work::Tidy => {
            let clean = tidy::report(root())?;
            Ok(if clean { Ending::Passed(Counts::default()) } else { Ending::Failed(Counts::default()) })
        }
        Work::Cargo(arguments) => cargo(&mut Command::new("cargo"), arguments, postgres),
        Work::Unit => {
            let tests = test_files()?;
            let tests = tests.iter().flat_map(|name| ["--test", name]);
            let arguments: Vec<&str> = common.into_iter().chain(["--lib", "--bins"]).chain(tests).collect();
            cargo(&mut Command::new("cargo"), &arguments, postgres)
        }
        Work::Suite { file, engine } => {
            // Without its file cargo would say which tests it knows; this says what is wrong.
            let path = format!("crates/testkit/tests/{file}.rs");
            ensure!(root().join(&path).exists(), "{path} is missing, so nothing of this suite was tested");
            let arguments: Vec<&str> = common.into_iter().chain(["--test", file]).collect();
            cargo(Command::new("cargo").env("TEST_DB", engine), &arguments, postgres)
        }
    }
}

/// The integration tests of the crates: a file or a folder with `main.rs` in `crates/*/tests`, without those of
/// [`INTEGRATION`] in `testkit`.
fn test_files() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in std::fs::read_dir(root().join("crates"))? {
        let folder = folder?.path();
        for file in std::fs::read_dir(folder.join("tests")).into_iter().flatten() {
            let file = file?.path();
            let is_test = file.extension().is_some_and(|end| end == "rs") || file.join("main.rs").exists();
            let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let integration = folder.ends_with("testkit") && INTEGRATION.contains(&name.as_str());
            if is_test && !integration && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Runs cargo in the repository, passes its output through as it comes and adds up the test results in it.
fn cargo(command: &mut Command, arguments: &[&str], postgres: Option<&str>) -> Result<Ending> {
    println!("$ cargo {}", arguments.join(" "));
    if let Some(url) = postgres {
        command.env("TEST_POSTGRES_URL", url);
    }
    // What cargo told this program about itself is not for the build that it begins: some build scripts look at it, and
    // everything that needs them would be built anew each time that cargo is called the other way.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
            command.env_remove(&name);
        }
    }
    command.args(arguments).current_dir(root()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting cargo")?;
    let mut output = BufReader::new(child.stdout.take().context("cargo without its output")?);
    let mut counts = Counts::default();
    let mut line = Vec::new();
    // A test may print what is not UTF-8.
    while output.read_until(b'\n', &mut line)? > 0 {
        let mut out = std::io::stdout().lock();
        out.write_all(&line)?;
        out.flush()?;
        if let Some(more) = result_line(&String::from_utf8_lossy(&line)) {
            counts.passed += more.passed;
            counts.failed += more.failed;
            counts.ignored += more.ignored;
        }
        line.clear();
    }
    let status = child.wait()?;
    Ok(if status.success() { Ending::Passed(counts) } else { Ending::Failed(counts) })
}

/// The counts of a line such as `test result: ok. 12 passed; 0 failed; 1 ignored; …`, coloured or not.
fn result_line(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("test result: ")?;
    let count = |word: &str| -> Option<u64> {
        let before = &rest[..rest.find(word)?];
        before.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    Some(Counts { passed: count(" passed")?, failed: count(" failed")?, ignored: count(" ignored")? })
}

/// Prints the table and the closing line.
fn summary(table: &[(&str, Duration, Ending)]) -> ExitCode {
    println!("\n{:<10} {:>8}  result", "step", "seconds");
    let mut all = Counts::default();
    for (name, took, ending) in table {
        let result = match ending {
            Ending::Passed(counts) => format!("ok{}", told(*counts)),
            Ending::Failed(counts) => format!("FAILED{}", told(*counts)),
        };
        println!("{name:<10} {:>8.1}  {result}", took.as_secs_f64());
        all.passed += passed(ending);
        all.failed += failed(ending);
    }
    let seconds: f64 = table.iter().map(|(_, took, _)| took.as_secs_f64()).sum();
    println!("{:<10} {seconds:>8.1}\n", "all");
    println!("{} passed, {} failed", all.passed, all.failed);
    if all.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(counts: Counts) -> String {
    match counts {
        Counts { passed: 0, failed: 0, ignored: 0 } => String::new(),
        Counts { passed, failed, ignored: 0 } => format!(": {passed} passed, {failed} failed"),
        Counts { passed, failed, ignored } => {
            format!(": {passed} passed, {failed} failed, {ignored} ignored")
        }
    }
}

fn passed(ending: &Ending) -> u64 {
    let (Ending::Passed(counts) | Ending::Failed(counts)) = ending;
    counts.passed
}

/// A step that failed without a failed test (it did not compile, a lint, untidiness) counts as one failure, so that a failed
/// run never says `0 failed`.
fn failed(ending: &Ending) -> u64 {
    match ending {
        Ending::Failed(counts) => counts.failed.max(1),
        Ending::Passed(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read_plain_and_coloured() {
        let plain =
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s";
        assert_eq!(result_line(plain), Some(Counts { passed: 12, failed: 0, ignored: 1 }));
        let red = "test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 7 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(result_line(red), Some(Counts { passed: 7, failed: 2, ignored: 0 }));
        assert_eq!(result_line("test a_test_result: ok ... ok"), None);
    }

    #[test]
    fn a_failed_step_never_counts_as_no_failure() {
        assert_eq!(failed(&Ending::Failed(Counts::default())), 1);
        assert_eq!(failed(&Ending::Failed(Counts { passed: 1, failed: 3, ignored: 0 })), 3);
        assert_eq!(failed(&Ending::Passed(Counts::default())), 0);
    }

    #[test]
    fn every_suite_has_its_file_and_a_missing_one_is_no_success() {
        for file in INTEGRATION {
            let used = STEPS
                .iter()
                .any(|step| matches!(step.work, Work::Suite { file: suite, .. } if suite == file));
            assert!(used && root().join(format!("crates/testkit/tests/{file}.rs")).exists(), "{file}");
        }
        let error = perform(&Work::Suite { file: "no_such", engine: "sqlite" }, None).err().unwrap();
        assert!(error.to_string().contains("no_such.rs is missing"), "{error}");
    }

    #[test]
    fn an_unknown_suite_is_refused_by_name() {
        let error = run(&["unti"], false).unwrap_err().to_string();
        assert!(error.contains("unti") && error.contains("sqlite"), "{error}");
    }
}
