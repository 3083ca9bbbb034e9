//! What Rust code may name, and how files are called and how long they are.

use std::collections::BTreeMap;

use super::Violation;
use super::tree::{File, Tree, words};

/// Where a page or an API is answered.
const EDGE: [&str; 3] = ["web", "server", "testkit"];
/// Authentication, the job runner, the wiring of both, and the tests' stand-in for them.
const SCOPE_MAKERS: [&str; 4] = ["identity", "runtime", "server", "testkit"];
/// Names under which anything can be put.
const EMPTY_NAMES: [&str; 5] = ["utils", "common", "helpers", "manager", "core"];
/// The longest a file may be.
const LINES_MAX: usize = 600;
/// Kinds of files that are read as code.
const CODE: [&str; 8] = ["rs", "py", "js", "css", "sql", "c", "sh", "html"];
/// The files that are longer for now.
const LONG_FILES: &str = "crates/xtask/long-files.txt";
/// How many there are. It only ever goes down.
const LONG_FILES_COUNT: usize = 0;

/// sqlx is named in `db` alone.
pub(super) fn only_db_names_sqlx(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (name, file, rust) in tree.rust() {
        if name == "db" {
            continue;
        }
        let hits = rust.code.lines().enumerate().filter(|(_, line)| words(line).any(|word| word == "sqlx"));
        violations.extend(hits.map(|(at, _)| Violation {
            path: file.path.clone(),
            line: at + 1,
            rule: "names sqlx".to_owned(),
            why: "one SQL text serves two engines only while one crate knows that there are two",
            fix: "use what db offers, or let db offer more",
        }));
    }
    violations
}

/// axum is named where requests are answered.
pub(super) fn only_the_edge_names_axum(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (name, file, rust) in tree.rust() {
        let in_pages = file.path.split('/').rev().skip(1).any(|folder| folder == "pages");
        let is_edge = EDGE.contains(&name) || in_pages || matches!(file_stem(file), "api" | "pages");
        if is_edge {
            continue;
        }
        let hits = rust.code.lines().enumerate().filter(|(_, line)| words(line).any(|word| word == "axum"));
        violations.extend(hits.map(|(at, _)| Violation {
            path: file.path.clone(),
            line: at + 1,
            rule: "names axum".to_owned(),
            why: "an operation that knows HTTP cannot be called by the command line, SMPP or a job",
            fix: "move the handler to the capability's api.rs, pages.rs or pages folder; the glue belongs to web",
        }));
    }
    violations
}

/// A scope is made by who has checked the actor.
pub(super) fn only_authentication_makes_a_scope(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (name, file, rust) in tree.rust().filter(|(name, ..)| !SCOPE_MAKERS.contains(name)) {
        let makes = |line: &str| {
            let words: Vec<&str> = words(line).collect();
            words.windows(2).any(|pair| pair == ["Scope", "grant"]) && line.contains("Scope::grant")
        };
        violations.extend(rust.lines().filter(|(_, line)| makes(line)).map(|(at, _)| Violation {
            path: file.path.clone(),
            line: at,
            rule: format!("{name} makes a Scope"),
            why: "a tenant and permissions that nobody checked are how one tenant sees another's data",
            fix: "take `&Scope` from the caller: a handler by its extractor, a job from the runner",
        }));
    }
    violations
}

/// Files, folders, crates and modules are called after what is in them.
pub(super) fn names_say_something(tree: &Tree) -> Vec<Violation> {
    let violation = |path: &str, line, rule| Violation {
        path: path.to_owned(),
        line,
        rule,
        why: "a name that says nothing collects everything, and nobody finds it there",
        fix: "name it after the thing it is about; a module's own file is `name.rs` beside its folder",
    };
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_vendored()) {
        if file.path.ends_with("/mod.rs") {
            violations.push(violation(&file.path, 0, "is called mod.rs".to_owned()));
        }
        let parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        for name in parts.filter(|part| EMPTY_NAMES.contains(part)) {
            violations.push(violation(&file.path, 0, format!("is called {name}")));
        }
        let Some(rust) = &file.rust else { continue };
        for (at, line) in rust.code.lines().enumerate() {
            let words: Vec<&str> = words(line).collect();
            let module = words.windows(2).find(|pair| pair[0] == "mod" && EMPTY_NAMES.contains(&pair[1]));
            if let Some(module) = module {
                violations.push(violation(&file.path, at + 1, format!("has a module {}", module[1])));
            }
        }
    }
    violations
}

/// A file fits in a head; those that do not yet are on a list that shrinks.
pub(super) fn files_are_short(tree: &Tree) -> Vec<Violation> {
    let violation = |path: &str, rule, fix| Violation {
        path: path.to_owned(),
        line: 0,
        rule,
        why: "a longer file is about more than one thing",
        fix,
    };
    let split = "split it by capability";
    let listed = long_files(tree.text(LONG_FILES).unwrap_or_default());
    let mut violations = Vec::new();
    if listed.len() > LONG_FILES_COUNT {
        let rule = format!("lists {} files, more than {LONG_FILES_COUNT}", listed.len());
        violations.push(violation(LONG_FILES, rule, split));
    }
    for (lines, path, reason) in &listed {
        let now = tree.text(path).map_or(0, |text| text.lines().count());
        if reason.is_empty() {
            violations.push(violation(
                LONG_FILES,
                format!("gives no reason for {path}"),
                "say why it is long",
            ));
        }
        if now <= LINES_MAX {
            let rule = format!("lists {path}, which is short or gone");
            violations.push(violation(LONG_FILES, rule, "remove the line, and lower the count in code.rs"));
        } else if now < *lines {
            let rule = format!("says {lines} for {path}, which has {now} lines");
            violations.push(violation(LONG_FILES, rule, "lower the number"));
        }
    }
    for file in tree.files.iter().filter(|file| is_code(file) && !file.is_vendored()) {
        let lines = file.text.lines().count();
        let allowed =
            listed.iter().find(|(_, path, _)| *path == file.path).map_or(LINES_MAX, |(lines, ..)| *lines);
        if lines > allowed.max(LINES_MAX) {
            violations.push(violation(&file.path, format!("has {lines} lines, more than {allowed}"), split));
        }
    }
    violations
}

fn long_files(text: &str) -> Vec<(usize, &str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line| {
        let (lines, rest) = str::split_once(line, ' ').unwrap_or((line, ""));
        let (path, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        (lines.parse().unwrap_or(0), path, reason.trim())
    };
    lines.map(entry).collect()
}

fn is_code(file: &File) -> bool {
    file.path.rsplit_once('.').is_some_and(|(_, end)| CODE.contains(&end))
}

fn file_stem(file: &File) -> &str {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    name.split('.').next().unwrap_or_default()
}

/// The API's description has one schema under each name: of two types with the same name one would stand for both.
pub(super) fn schemas_have_names_of_their_own(tree: &Tree) -> Vec<Violation> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut violations = Vec::new();
    for (_, file, rust) in tree.rust() {
        let lines: Vec<&str> = rust.code.lines().collect();
        let derives = |line: &str| line.contains("derive(") && words(line).any(|word| word == "ToSchema");
        for at in (0..lines.len()).filter(|at| at + 1 < rust.tests_from && derives(lines[*at])) {
            let behind = &lines[at + 1..];
            let attributes = behind.iter().take_while(|line| line.trim_start().starts_with("#["));
            let own = attributes.clone().find_map(|line| line.split_once("schema(as = "));
            let named = own.map(|(_, rest)| rest.trim_end_matches(|ch: char| !ch.is_alphanumeric()));
            let declared = behind
                .get(attributes.count())
                .and_then(|line| words(line).skip_while(|word| !matches!(*word, "struct" | "enum")).nth(1));
            let Some(name) = named.or(declared) else { continue };
            let place = format!("{}:{}", file.path, at + 1);
            let Some(other) = seen.insert(name.to_owned(), place) else { continue };
            violations.push(Violation {
                path: file.path.clone(),
                line: at + 1,
                rule: format!("gives the API another schema {name}, beside {other}"),
                why: "one of the two stands for both in the API's description, and clients believe it",
                fix: "give one of them a name of its own with #[schema(as = …)]",
            });
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(violations: &[Violation]) -> Vec<String> {
        violations.iter().map(|violation| format!("{}:{}", violation.path, violation.line)).collect()
    }

    #[test]
    fn sqlx_belongs_to_db() {
        let text = "// sqlx is fine here\nlet a = \"sqlx\";\nuse sqlx::Row;\nuse sqlx_like;\n";
        let tree = Tree::of(&[("crates/db/src/lib.rs", text), ("crates/web/src/a.rs", text)]);
        assert_eq!(places(&only_db_names_sqlx(&tree)), ["crates/web/src/a.rs:3"]);
    }

    #[test]
    fn axum_belongs_to_the_edge() {
        let text = "use axum::Router;";
        let tree = Tree::of(&[
            ("crates/web/src/a.rs", text),
            ("crates/desk/src/ticket/api.rs", text),
            ("crates/desk/src/ticket/pages.rs", text),
            ("crates/desk/src/ticket/pages/list.rs", text),
            ("crates/desk/src/ticket.rs", text),
        ]);
        assert_eq!(places(&only_the_edge_names_axum(&tree)), ["crates/desk/src/ticket.rs:1"]);
    }

    #[test]
    fn scopes_are_made_by_authentication() {
        let text = "fn a(scope: &Scope) { scope.grant() }\nlet s = Scope::grant(t);\n#[cfg(test)]\nmod tests {\n Scope::grant(t)\n}\n";
        let tree = Tree::of(&[("crates/identity/src/a.rs", text), ("crates/desk/src/a.rs", text)]);
        assert_eq!(places(&only_authentication_makes_a_scope(&tree)), ["crates/desk/src/a.rs:2"]);
    }

    #[test]
    fn two_schemas_of_one_name_are_refused() {
        let tree = Tree::of(&[
            ("crates/a/src/a.rs", "#[derive(Debug, utoipa::ToSchema)]\npub struct Window {}\n"),
            ("crates/a/src/b.rs", "#[derive(ToSchema)]\n#[serde(x)]\npub enum Window { A }\n"),
            ("crates/a/src/c.rs", "#[derive(ToSchema)]\n#[schema(as = Pane)]\npub struct Window;\n"),
            ("crates/a/src/d.rs", "#[derive(Debug)]\npub struct Window;\n"),
        ]);
        assert_eq!(places(&schemas_have_names_of_their_own(&tree)), ["crates/a/src/b.rs:1"]);
    }

    #[test]
    fn empty_names_are_refused() {
        let tree = Tree::of(&[
            ("crates/web/src/mod.rs", ""),
            ("crates/web/src/core/a.rs", ""),
            ("crates/web/src/helpers.rs", ""),
            ("crates/web/src/commonplace.rs", "pub(crate) mod utils;"),
            ("crates/web/vendor/common/mod.rs", ""),
        ]);
        let wanted = [
            "crates/web/src/mod.rs:0",
            "crates/web/src/core/a.rs:0",
            "crates/web/src/helpers.rs:0",
            "crates/web/src/commonplace.rs:1",
        ];
        assert_eq!(places(&names_say_something(&tree)), wanted);
    }

    #[test]
    fn long_files_are_refused_and_the_list_only_shrinks() {
        let long = "x\n".repeat(601);
        let tree = Tree::of(&[("crates/web/src/a.rs", &long), ("docs/a.md", &long)]);
        assert_eq!(places(&files_are_short(&tree)), ["crates/web/src/a.rs:0"]);

        let list = "# why\n700 crates/web/src/a.rs a table\n601 gone.rs\n";
        let tree = Tree::of(&[("crates/web/src/a.rs", &long), (LONG_FILES, list)]);
        let rules: Vec<String> = files_are_short(&tree).into_iter().map(|violation| violation.rule).collect();
        let wanted = [
            "lists 2 files, more than 0",
            "says 700 for crates/web/src/a.rs, which has 601 lines",
            "gives no reason for gone.rs",
            "lists gone.rs, which is short or gone",
        ];
        assert_eq!(rules, wanted);
    }
}
