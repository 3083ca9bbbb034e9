//! What cargo prints about tests, read while it passes through.

/// Lines of a failed test that are kept: what it said and where, not the whole stack.
const LINES_MAX: usize = 12;
/// Characters of such a line that are kept.
const LINE_MAX: usize = 1_000;
/// Failed tests that are kept; a broken build of the product fails all of them alike.
const FAILURES_MAX: usize = 20;

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

/// A failed test, with the beginning of what it said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) test: String,
    pub(super) words: Vec<String>,
}

/// The results of the test programs of one cargo command.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) counts: Counts,
    pub(super) failures: Vec<Failure>,
    /// The lines that come are the last failure's.
    telling: bool,
}

impl Results {
    /// Takes a line of cargo's output, without its end.
    pub(super) fn read(&mut self, line: &str) {
        if let Some(more) = result_line(line) {
            self.counts.passed += more.passed;
            self.counts.failed += more.failed;
            self.counts.ignored += more.ignored;
        } else if let Some(test) =
            line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"))
        {
            self.telling = self.failures.len() < FAILURES_MAX;
            if self.telling {
                self.failures.push(Failure { test: test.to_owned(), words: Vec::new() });
            }
        } else if line == "failures:" || line == "stack backtrace:" {
            self.telling = false;
        } else if self.telling && !line.is_empty() {
            let words = &mut self.failures.last_mut().expect("begun by its head line").words;
            if words.len() < LINES_MAX {
                words.push(line.chars().take(LINE_MAX).collect());
            }
        }
    }
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
    fn a_failed_test_is_kept_with_its_words_and_without_its_stack() {
        let output = "
test one ... ok
test two ... FAILED

failures:

---- two stdout ----

thread 'two' panicked at src/lib.rs:3:5:
assertion failed: false
stack backtrace:
   0: rust_begin_unwind

failures:
    two

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        let mut results = Results::default();
        output.lines().for_each(|line| results.read(line));
        assert_eq!(results.counts, Counts { passed: 1, failed: 1, ignored: 0 });
        let words = ["thread 'two' panicked at src/lib.rs:3:5:", "assertion failed: false"];
        let failure = Failure { test: "two".to_owned(), words: words.map(str::to_owned).into() };
        assert_eq!(results.failures, [failure]);
    }
}
