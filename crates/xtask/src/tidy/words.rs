//! What texts must not say, and where their links lead.

use super::Violation;
use super::tree::{File, Tree, words};

/// Marks of unfinished work. In two halves, so that this file does not hold what it looks for.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
/// A folder that exists on one machine alone.
const MACHINE: &str = concat!("/wo", "rk/");

/// Texts and comments speak of the product alone.
pub(super) fn speak_of_the_product(tree: &Tree) -> Vec<Violation> {
    let why = "a reader has the repository and nothing else";
    let mut violations = Vec::new();
    for (file, at, line) in lines(tree) {
        // As a path of its own, not inside an address or a longer path.
        let path = line
            .find(MACHINE)
            .is_some_and(|at| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.'));
        let violation = |rule, fix| Violation { path: file.path.clone(), line: at, rule, why, fix };
        if path {
            violations.push(violation(format!("names a path under {MACHINE}"), "say what it is, or ship it"));
        }
        if let Some(number) = issue_number(line) {
            violations.push(violation(format!("names issue #{number}"), "say the reason itself"));
        }
    }
    violations
}

/// What is in the tree is finished.
pub(super) fn nothing_is_left_to_do(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, at, line) in lines(tree) {
        for mark in words(line).filter(|word| MARKS.contains(word)) {
            violations.push(Violation {
                path: file.path.clone(),
                line: at,
                rule: format!("says {mark}"),
                why: "a mark in the text is a promise that nobody keeps",
                fix: "do it now, or say as a fact what is not covered",
            });
        }
    }
    violations
}

/// A relative link in a Markdown file leads to something that exists.
pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md") && !file.is_vendored()) {
        let mut fenced = false;
        for (at, line) in file.text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            if fenced {
                continue;
            }
            for target in targets(line) {
                let path = resolve(&file.path, target);
                if !tree.paths.contains(&path) && !path.is_empty() {
                    violations.push(Violation {
                        path: file.path.clone(),
                        line: at + 1,
                        rule: format!("links to {target}, which does not exist"),
                        why: "a reader who follows it is lost",
                        fix: "correct the link, or write what it promises",
                    });
                }
            }
        }
    }
    violations
}

/// The lines of all texts of ours, numbered from 1.
fn lines(tree: &Tree) -> impl Iterator<Item = (&File, usize, &str)> {
    let ours = tree.files.iter().filter(|file| !file.is_vendored());
    ours.flat_map(|file| file.text.lines().enumerate().map(move |(at, line)| (file, at + 1, line)))
}

fn issue_number(line: &str) -> Option<&str> {
    let folded = line.to_ascii_lowercase();
    let at = folded.find("issue #")? + "issue #".len();
    let digits =
        line[at..].find(|c: char| !c.is_ascii_digit()).map_or(&line[at..], |end| &line[at..at + end]);
    (!digits.is_empty()).then_some(digits)
}

/// The relative targets of a line's links and pictures, and of a link definition, without anchors.
fn targets(line: &str) -> Vec<&str> {
    let mut prose = Vec::new();
    // Every second piece between backticks is code.
    prose.extend(line.split('`').enumerate().filter(|(at, _)| at % 2 == 0).map(|(_, piece)| piece));
    // Where the text of a link is code, its target opens the next piece.
    let inline = prose
        .iter()
        .flat_map(|piece| piece.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next());
    let defined =
        line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    let relative = |target: &&str| {
        !target.is_empty()
            && !target.starts_with(['#', '/', '<'])
            && !target.contains("://")
            && !target.starts_with("mailto:")
            // A link of rustdoc, in a README that is a crate's documentation.
            && !target.contains("::")
            && !target.contains('@')
    };
    inline.chain(defined).map(|target| target.split('#').next().unwrap_or(target)).filter(relative).collect()
}

/// The path in the repository that a link in a file leads to.
fn resolve(file: &str, target: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_paths_and_issue_numbers_are_refused() {
        let text =
            format!("see {MACHINE}a\nsee https://b.c{MACHINE}d\nclosed by Issue {}5\nan issue # mark\n", '#');
        let tree = Tree::of(&[("docs/a.md", &text), ("crates/web/vendor/a.js", &text)]);
        let lines: Vec<usize> = speak_of_the_product(&tree).iter().map(|violation| violation.line).collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn marks_are_refused_as_whole_words() {
        let text = format!("// {}: later\n// X{}X\n// todo list\n", MARKS[0], MARKS[2]);
        let tree = Tree::of(&[("crates/web/src/a.rs", &text)]);
        let lines: Vec<usize> = nothing_is_left_to_do(&tree).iter().map(|violation| violation.line).collect();
        assert_eq!(lines, [1]);
    }

    #[test]
    fn dead_links_are_found() {
        let text = "[a](b.md) [c](../crates/web/) [`d`](gone.md#x) [e](https://f.g) [h](#i) `[j](k)` [l](web::M)\n\
                    ```\n[n](o)\n```\n[p]: q.md\n![r](s.png \"title\")\n";
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("crates/web/a.rs", "")]);
        let found: Vec<String> =
            links_lead_somewhere(&tree).into_iter().map(|violation| violation.rule).collect();
        let wanted = ["gone.md", "q.md", "s.png"].map(|to| format!("links to {to}, which does not exist"));
        assert_eq!(found, wanted);
    }
}
