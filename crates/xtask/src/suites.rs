//! `cargo xtask test`: the checks and suites in order, what they print passed through, a table and one plain line at the end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::output::{Counts, Failure, Results};
use crate::install::{self, Need};
use crate::postgres::{Cluster, Fsync, programs};
use crate::{root, target, tidy};

mod output;

/// The integration suites of `testkit`: files in its `tests` folder that the unit step leaves out.
const INTEGRATION: [&str; 4] = ["it", "peers", "kill", "browser"];

/// Failed tests of the browser that are run again; when more fail, it is not the browser.
const AGAIN_MAX: usize = 3;

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
#[derive(Debug, Default)]
struct Ending {
    passed: bool,
    counts: Counts,
    failures: Vec<Failure>,
    /// Tests that passed only when they were run again.
    again: usize,
}

impl Ending {
    /// Of a step that is no test.
    fn of(passed: bool) -> Ending {
        Ending { passed, ..Ending::default() }
    }

    /// A step that failed without a failed test (it did not compile, a lint, untidiness) counts as one failure, so that a
    /// failed run never says `0 failed`.
    fn failed(&self) -> u64 {
        if self.passed { 0 } else { self.counts.failed.max(1) }
    }
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
    let mut table = vec![("set-up", begun.elapsed(), Ending::of(true))];
    for step in steps {
        println!("\n=== {}", step.name);
        let begun = Instant::now();
        // A step that cannot even be started has failed; the others still tell something.
        let ending = perform(&step.work, url).unwrap_or_else(|error| {
            println!("{error:#}");
            Ending::of(false)
        });
        println!("=== {}: {:.1} s", step.name, begun.elapsed().as_secs_f64());
        table.push((step.name, begun.elapsed(), ending));
    }
    Ok(summary(&table))
}

fn perform(work: &Work, postgres: Option<&str>) -> Result<Ending> {
    let common = ["test", "--locked", "--workspace", "--no-fail-fast"];
    match work {
        Work::Tidy => Ok(Ending::of(tidy::report(root())?)),
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
            let suite = |more: &[&str]| {
                let arguments = [&arguments, more].concat();
                cargo(Command::new("cargo").env("TEST_DB", engine), &arguments, postgres)
            };
            let ending = suite(&[])?;
            if *file == "browser" { once_more(ending, suite) } else { Ok(ending) }
        }
    }
}

/// Runs what failed in the browser again, once and alone, as runners of browser tests do: Chromium on a busy machine is now and
/// then late with what it tells. The table says so; what fails twice has failed.
fn once_more(first: Ending, suite: impl Fn(&[&str]) -> Result<Ending>) -> Result<Ending> {
    let failed: Vec<&str> = first.failures.iter().map(|failure| failure.test.as_str()).collect();
    if failed.is_empty() || failed.len() > AGAIN_MAX {
        return Ok(first);
    }
    println!("\nonce more, alone: {}", failed.join(" "));
    let second = suite(&[&["--", "--exact", "--test-threads=1"], failed.as_slice()].concat())?;
    if !second.passed || second.counts.passed != failed.len() as u64 {
        return Ok(first);
    }
    let counts = Counts { passed: first.counts.passed + second.counts.passed, failed: 0, ..first.counts };
    Ok(Ending { passed: true, counts, again: failed.len(), failures: first.failures })
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
    let mut results = Results::default();
    let mut line = Vec::new();
    // A test may print what is not UTF-8.
    while output.read_until(b'\n', &mut line)? > 0 {
        let mut out = std::io::stdout().lock();
        out.write_all(&line)?;
        out.flush()?;
        results.read(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    let passed = child.wait()?.success();
    Ok(Ending { passed, counts: results.counts, failures: results.failures, again: 0 })
}

/// Prints what failed, the table and the closing line.
fn summary(table: &[(&str, Duration, Ending)]) -> ExitCode {
    for (step, _, ending) in table {
        for Failure { test, words } in &ending.failures {
            let when = if ending.passed { ", the first time" } else { "" };
            println!("\n{step}: {test} failed{when}\n    {}", words.join("\n    "));
        }
    }
    println!("\n{:<10} {:>8}  result", "step", "seconds");
    let (mut passed, mut failed) = (0, 0);
    for (name, took, ending) in table {
        let result = if ending.passed { "ok" } else { "FAILED" };
        println!("{name:<10} {:>8.1}  {result}{}", took.as_secs_f64(), told(ending));
        passed += ending.counts.passed;
        failed += ending.failed();
    }
    let seconds: f64 = table.iter().map(|(_, took, _)| took.as_secs_f64()).sum();
    println!("{:<10} {seconds:>8.1}\n", "all");
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(ending: &Ending) -> String {
    let Counts { passed, failed, ignored } = ending.counts;
    if ending.counts == Counts::default() {
        return String::new();
    }
    let ignored = if ignored == 0 { String::new() } else { format!(", {ignored} ignored") };
    let again =
        if ending.again == 0 { String::new() } else { format!(", {} at the second time", ending.again) };
    format!(": {passed} passed, {failed} failed{ignored}{again}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_never_counts_as_no_failure() {
        assert_eq!(Ending::of(false).failed(), 1);
        let counts = Counts { passed: 1, failed: 3, ignored: 0 };
        assert_eq!(Ending { counts, ..Ending::of(false) }.failed(), 3);
        assert_eq!(Ending::of(true).failed(), 0);
    }

    #[test]
    fn what_fails_twice_has_failed() {
        let failure = || Failure { test: "one".to_owned(), words: vec!["no".to_owned()] };
        let first = || Ending {
            counts: Counts { passed: 4, failed: 1, ignored: 0 },
            failures: vec![failure()],
            ..Ending::of(false)
        };
        let passes = |more: &[&str]| {
            assert!(more.ends_with(&["one"]), "{more:?}");
            Ok(Ending { counts: Counts { passed: 1, ..Counts::default() }, ..Ending::of(true) })
        };
        let mended = once_more(first(), passes).unwrap();
        assert_eq!((mended.passed, mended.counts.passed, mended.failed(), mended.again), (true, 5, 0, 1));
        let fails = |_: &[&str]| Ok(Ending { failures: vec![failure()], ..Ending::of(false) });
        assert_eq!(once_more(first(), fails).unwrap().failed(), 1);
        // Nothing was run, so nothing has passed.
        let nothing = |_: &[&str]| Ok(Ending::of(true));
        assert_eq!(once_more(first(), nothing).unwrap().failed(), 1);
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
