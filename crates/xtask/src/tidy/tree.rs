//! The files that the rules look at.

use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = ["target", "node_modules", "switchboard-data", ".git", "venv"];
/// Kinds of files that the rules read.
const TEXTS: [&str; 15] =
    ["rs", "toml", "md", "sql", "py", "js", "css", "c", "h", "sh", "html", "yml", "yaml", "json", "txt"];

/// The text files of a repository.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    /// Every path there is, texts or not, folders too.
    pub(super) paths: Vec<String>,
}

/// A text file.
pub(super) struct File {
    /// From the repository, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// For a Rust file.
    pub(super) rust: Option<Rust>,
}

/// A Rust text taken apart.
pub(super) struct Rust {
    /// The text with comments gone and strings empty, line for line.
    pub(super) code: String,
    /// The string literals with the lines they begin on, escapes resolved.
    pub(super) strings: Vec<(usize, String)>,
    /// The line on which the unit tests begin, which stand at a file's end. 1 in a file of tests.
    pub(super) tests_from: usize,
}

impl Tree {
    /// Reads a repository.
    pub(super) fn read(root: &Path) -> Result<Tree> {
        let mut tree = Tree { files: Vec::new(), paths: Vec::new() };
        tree.walk(root, "")?;
        Ok(tree)
    }

    /// A made-up repository.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree { files: Vec::new(), paths: Vec::new() };
        for (path, text) in files {
            let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
            tree.paths.extend(folders);
            tree.add((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.walk(&entry.path(), &format!("{path}/"))?;
                }
                self.paths.push(path);
            } else if is_text(&path) {
                let text =
                    std::fs::read_to_string(entry.path()).with_context(|| format!("reading {path}"))?;
                self.add(path, text);
            } else {
                self.paths.push(path);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String, text: String) {
        let rust = path.ends_with(".rs").then(|| Rust::of(&path, &text));
        self.paths.push(path.clone());
        self.files.push(File { path, text, rust });
    }

    /// The Rust files with the crate each belongs to.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &File, &Rust)> {
        self.files.iter().filter_map(|file| Some((file.crate_name()?, file, file.rust.as_ref()?)))
    }

    /// The text of the file at a path.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }
}

impl File {
    /// `sms` for `crates/sms/src/gsm.rs`.
    pub(super) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split_once('/').map(|(name, _)| name)
    }

    /// Others' text, kept as they wrote it.
    pub(super) fn is_vendored(&self) -> bool {
        self.path.split('/').any(|part| part == "vendor")
    }
}

impl Rust {
    fn of(path: &str, text: &str) -> Rust {
        let (code, strings) = take_apart(text);
        let is_test_file =
            path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs");
        let mut lines = code.lines().zip(code.lines().skip(1)).enumerate();
        let begin = lines.find(|(_, (line, next))| {
            line.trim() == "#[cfg(test)]" && next.trim_start().starts_with("mod ") && next.contains('{')
        });
        let tests_from = match begin {
            _ if is_test_file => 1,
            Some((at, _)) => at + 1,
            None => usize::MAX,
        };
        Rust { code, strings, tests_from }
    }

    /// The code's lines, numbered from 1, without the tests.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
            .take_while(|(at, _)| *at < self.tests_from)
    }
}

/// The words of a line of code: identifiers and numbers.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn is_text(path: &str) -> bool {
    path == ".ci/run" || path.rsplit_once('.').is_some_and(|(_, end)| TEXTS.contains(&end))
}

/// Splits Rust text into code and strings. Knows comments (nested), strings plain, raw and of bytes, characters and lifetimes.
fn take_apart(text: &str) -> (String, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut strings) = (String::with_capacity(text.len()), Vec::new());
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        let end = match (chars[at], next) {
            ('/', Some('/')) => find(&chars, at, |rest| rest[0] == '\n'),
            ('/', Some('*')) => end_of_comment(&chars, at),
            ('"', _) => {
                let hashes = raw_hashes(&code);
                let end = end_of_string(&chars, at, hashes).min(chars.len());
                strings.push((line, content(&chars[at + 1..end], hashes)));
                code.push_str("\"\"");
                end
            }
            ('\'', Some('\\')) => find(&chars, at + 3, |rest| rest[0] == '\'') + 1,
            ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3,
            (other, _) => {
                code.push(other);
                line += usize::from(other == '\n');
                at += 1;
                continue;
            }
        };
        let end = end.min(chars.len());
        // What was left out keeps its lines.
        let lines = chars[at..end].iter().filter(|c| **c == '\n').count();
        code.extend(std::iter::repeat_n('\n', lines));
        line += lines;
        at = end;
    }
    (code, strings)
}

/// The first place from `at` on where the rest pleases, or the end.
fn find(chars: &[char], at: usize, pleases: impl Fn(&[char]) -> bool) -> usize {
    (at..chars.len()).find(|place| pleases(&chars[*place..])).unwrap_or(chars.len())
}

fn end_of_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

/// How many `#` stand before the quote of a raw string, given the code up to the quote; `None` when it is not raw.
fn raw_hashes(code: &str) -> Option<usize> {
    let before = code.trim_end_matches('#');
    let hashes = code.len() - before.len();
    let prefix = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next();
    matches!(prefix, Some("r" | "br" | "cr")).then_some(hashes)
}

/// The place after the closing quote and its `#`.
fn end_of_string(chars: &[char], open: usize, hashes: Option<usize>) -> usize {
    match hashes {
        Some(hashes) => {
            let closes = |rest: &[char]| {
                rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#')
            };
            find(chars, open + 1, closes) + 1 + hashes
        }
        None => {
            let mut at = open + 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at + 1
        }
    }
}

/// A string's value, given what follows the opening quote. Escapes other than of lines are of no interest to the rules.
fn content(chars: &[char], hashes: Option<usize>) -> String {
    let closing = 1 + hashes.unwrap_or(0);
    let inner = &chars[..chars.len().saturating_sub(closing)];
    if hashes.is_some() {
        return inner.iter().collect();
    }
    let mut value = String::new();
    let mut rest = inner.iter().peekable();
    while let Some(&c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some('\n')) => while rest.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('n')) => {
                value.push('\n');
                rest.next();
            }
            ('\\', Some(&&other)) => {
                value.push(other);
                rest.next();
            }
            _ => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_leave_the_code() {
        let text = r##"let a = "x // \"y\""; // gone "b"
/* one /* two */
three */ let c: &'static str = r#"raw " quote"#; let d = '"'; let e = b"bytes"; 'l: loop {}
let f = "one \
         two";"##;
        let (code, strings) = take_apart(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(code.contains("let c: &'static str = r#\"\""), "{code}");
        assert!(!code.contains("gone") && !code.contains("three") && code.contains("'l: loop"), "{code}");
        let lines: Vec<(usize, &str)> = strings.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(lines, [(1, "x // \"y\""), (3, "raw \" quote"), (3, "bytes"), (4, "one two")]);
    }

    #[test]
    fn broken_text_ends() {
        for text in ["\"", "r#\"", "/*", "'", "'\\", "\"\\"] {
            take_apart(text);
        }
    }

    #[test]
    fn tests_at_the_end_are_left_out() {
        let text = "fn a() {}\n#[cfg(test)]\nuse b;\n#[cfg(test)]\nmod tests {\n    use c;\n}\n";
        let rust = Rust::of("crates/x/src/a.rs", text);
        assert_eq!(rust.tests_from, 4);
        assert_eq!(rust.lines().count(), 3);
        assert_eq!(Rust::of("crates/x/src/a/tests.rs", text).lines().count(), 0);
    }
}
