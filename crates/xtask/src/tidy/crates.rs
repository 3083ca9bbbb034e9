//! What manifests must say.

use super::Violation;
use super::tree::{File, Tree};

/// The order of the house: a crate may depend on lower ranks only, never on its equals.
const RANKS: [(&str, u8); 25] = [
    ("types", 0),
    ("sms", 0),
    ("smpp", 0),
    ("ucp", 0),
    ("cimd", 0),
    ("smtp", 0),
    ("db", 1),
    ("runtime", 2),
    ("web", 3),
    ("simulator", 3),
    ("identity", 4),
    ("contacts", 5),
    ("ledger", 5),
    ("connectors", 5),
    ("privacy", 5),
    ("messaging", 6),
    ("notify", 7),
    ("campaigns", 7),
    ("desk", 7),
    ("commerce", 7),
    ("callcentre", 7),
    ("reports", 8),
    ("server", 9),
    ("testkit", 10),
    ("xtask", 10),
];

/// Crates that could be published alone: no crate of ours and no runtime, not even in their tests.
const PROTOCOLS: [&str; 5] = ["sms", "smpp", "ucp", "cimd", "smtp"];

/// A crate's `Cargo.toml`.
struct Manifest<'t> {
    name: &'t str,
    path: &'t str,
    text: &'t str,
}

/// A line under a heading of dependencies.
struct Dependency<'t> {
    line: usize,
    name: &'t str,
    /// What follows the name.
    rest: &'t str,
    for_tests: bool,
}

fn manifests(tree: &Tree) -> Vec<Manifest<'_>> {
    tree.files.iter().filter_map(manifest).collect()
}

fn manifest(file: &File) -> Option<Manifest<'_>> {
    let File { path, text, .. } = file;
    let name = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
    (!name.contains('/')).then_some(Manifest { name, path, text })
}

impl<'t> Manifest<'t> {
    /// The lines of a section with their numbers, comments and empty lines left out.
    fn section(&self, pleases: impl Fn(&str) -> bool) -> Vec<(usize, &'t str, &'t str)> {
        let mut heading = "";
        let mut lines = Vec::new();
        for (at, line) in self.text.lines().enumerate() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                heading = name;
            } else if !line.is_empty() && !line.starts_with('#') && pleases(heading) {
                lines.push((at + 1, heading, line));
            }
        }
        lines
    }

    fn dependencies(&self) -> Vec<Dependency<'t>> {
        let lines = self.section(|heading| heading.ends_with("dependencies"));
        let dependency = |(line, heading, text): (usize, &str, &'t str)| {
            let end = text.find(['.', '=', ' ']).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            Dependency { line, name, rest: rest.trim(), for_tests: heading.ends_with("dev-dependencies") }
        };
        lines.into_iter().map(dependency).collect()
    }

    fn violation(&self, line: usize, rule: String, why: &'static str, fix: &'static str) -> Violation {
        Violation { path: self.path.to_owned(), line, rule, why, fix }
    }
}

fn rank(name: &str) -> Option<u8> {
    RANKS.iter().find(|(other, _)| *other == name).map(|(_, rank)| *rank)
}

/// Each crate has a rank and depends on lower ones only.
pub(super) fn look_down_only(tree: &Tree) -> Vec<Violation> {
    let why = "the order is what keeps a change local: whoever reads a crate need not know what stands above or beside it";
    let mut violations = Vec::new();
    for manifest in manifests(tree) {
        let Some(own) = rank(manifest.name) else {
            let rule = format!("the crate {} has no rank", manifest.name);
            let fix = "add it to RANKS in crates/xtask/src/tidy/crates.rs, and to ARCHITECTURE.md";
            violations.push(manifest.violation(0, rule, why, fix));
            continue;
        };
        for dependency in manifest.dependencies() {
            // Whether testkit is where it may be is a rule of its own.
            let Some(other) = rank(dependency.name).filter(|_| dependency.name != "testkit") else {
                continue;
            };
            if other >= own {
                let rule =
                    format!("{} (rank {own}) depends on {} (rank {other})", manifest.name, dependency.name);
                let fix = "move what both need further down, or let them meet through types::Event";
                violations.push(manifest.violation(dependency.line, rule, why, fix));
            }
        }
    }
    violations
}

/// testkit is a dependency of tests alone.
pub(super) fn testkit_is_for_tests(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for manifest in manifests(tree) {
        for dependency in manifest.dependencies() {
            if dependency.name == "testkit" && !dependency.for_tests {
                violations.push(manifest.violation(
                    dependency.line,
                    format!("{} depends on testkit", manifest.name),
                    "testkit makes users, scopes and clocks at will, which must not be in the product",
                    "move the line to [dev-dependencies]",
                ));
            }
        }
    }
    violations
}

/// A protocol crate depends on nothing of ours and on no runtime.
pub(super) fn protocols_stand_alone(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for manifest in manifests(tree).iter().filter(|manifest| PROTOCOLS.contains(&manifest.name)) {
        for dependency in manifest.dependencies() {
            let runtime = dependency.name.starts_with("tokio") || dependency.name.starts_with("async-");
            if runtime || rank(dependency.name).is_some() {
                violations.push(manifest.violation(
                    dependency.line,
                    format!("the protocol crate {} depends on {}", manifest.name, dependency.name),
                    "a protocol without I/O is tested octet by octet and can be published and fuzzed alone",
                    "take and give octets and values; let the caller read, write, wait and convert",
                ));
            }
        }
    }
    violations
}

/// Versions and features stand once, in the workspace.
pub(super) fn use_the_workspace(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for manifest in manifests(tree) {
        for dependency in manifest.dependencies() {
            let rest: String = dependency.rest.chars().filter(|c| !c.is_whitespace()).collect();
            if !rest.contains("workspace=true") {
                violations.push(manifest.violation(
                    dependency.line,
                    format!("{} is not the workspace's", dependency.name),
                    "two versions or feature sets of a library are built twice, and differ in what they fixed",
                    "name it in [workspace.dependencies] and write `name.workspace = true` here, on one line",
                ));
            }
        }
    }
    violations
}

/// What a crate depends on, its code names; what only its tests name, only they depend on.
pub(super) fn dependencies_are_used(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for manifest in manifests(tree) {
        let folder = format!("crates/{}/", manifest.name);
        let own = || {
            let files = tree.files.iter().filter(|file| file.path.starts_with(&folder));
            files.filter_map(|file| Some((file, file.rust.as_ref()?)))
        };
        for dependency in manifest.dependencies() {
            let name = dependency.name.replace('-', "_");
            let shipped = own().any(|(file, rust)| {
                let lines = rust.code.lines().take(rust.tests_from.saturating_sub(1));
                !["tests/", "examples/"].iter().any(|dev| file.path[folder.len()..].starts_with(dev))
                    && lines.into_iter().any(|line| names(line, &name))
            });
            let tested = || own().any(|(_, rust)| names(&rust.code, &name));
            let (rule, fix) = match (shipped, dependency.for_tests) {
                (true, false) => continue,
                (false, true) if tested() => continue,
                (true, true) | (false, false) if tested() => {
                    let (is, should) = if shipped { ("tests", "the code") } else { ("the code", "tests") };
                    (format!("{} is for {is} and named by {should}", dependency.name), "move the line")
                }
                _ => (format!("{} is named nowhere", dependency.name), "take the line out"),
            };
            let why = "a dependency that nobody needs is built, audited and updated all the same";
            violations.push(manifest.violation(dependency.line, rule, why, fix));
        }
    }
    violations
}

/// Whether code names a crate: at the head of a path, or in a `use`.
fn names(code: &str, name: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let word = !before.ends_with(part_of_word) && !after.starts_with(part_of_word);
        word && (after.starts_with("::") || before.ends_with("use "))
    })
}

/// Each crate has the workspace's lints and says what it promises.
pub(super) fn have_lints_and_readme(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for manifest in manifests(tree) {
        let lints = manifest.section(|heading| heading == "lints");
        if !lints.iter().any(|(_, _, line)| line.replace(' ', "") == "workspace=true") {
            violations.push(manifest.violation(
                0,
                format!("{} has no workspace lints", manifest.name),
                "a crate without them may hold unsafe code and unwraps that nobody sees",
                "add `[lints]` with `workspace = true`",
            ));
        }
        let readme = format!("crates/{}/README.md", manifest.name);
        if !tree.paths.contains(&readme) {
            violations.push(manifest.violation(
                0,
                format!("{} has no README.md", manifest.name),
                "whoever opens the folder wants to know in twenty lines what the crate promises",
                "write it, and include it as the crate's documentation",
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_of(violations: Vec<Violation>) -> Vec<String> {
        violations.into_iter().map(|violation| format!("{}: {}", violation.line, violation.rule)).collect()
    }

    #[test]
    fn equals_and_higher_ranks_are_refused() {
        let tree = Tree::of(&[
            ("crates/db/Cargo.toml", "[dependencies]\ntypes.workspace = true\nruntime.workspace = true\n"),
            ("crates/desk/Cargo.toml", "[dev-dependencies]\ncampaigns = { workspace = true }\n"),
            ("crates/novel/Cargo.toml", ""),
        ]);
        let wanted = [
            "3: db (rank 1) depends on runtime (rank 2)",
            "2: desk (rank 7) depends on campaigns (rank 7)",
            "0: the crate novel has no rank",
        ];
        assert_eq!(rules_of(look_down_only(&tree)), wanted);
    }

    #[test]
    fn testkit_is_refused_where_it_ships() {
        let text = "[dependencies]\ntestkit.workspace = true\n[dev-dependencies]\ntestkit.workspace = true\n";
        let tree = Tree::of(&[("crates/web/Cargo.toml", text)]);
        assert_eq!(rules_of(testkit_is_for_tests(&tree)), ["2: web depends on testkit"]);
        assert!(look_down_only(&tree).is_empty());
    }

    #[test]
    fn protocols_have_neither_runtime_nor_family() {
        let text = "[dependencies]\nbytes.workspace = true\n[dev-dependencies]\ntokio.workspace = true\ntypes.workspace = true\n";
        let tree = Tree::of(&[("crates/smpp/Cargo.toml", text), ("crates/web/Cargo.toml", text)]);
        let wanted =
            ["4: the protocol crate smpp depends on tokio", "5: the protocol crate smpp depends on types"];
        assert_eq!(rules_of(protocols_stand_alone(&tree)), wanted);
    }

    #[test]
    fn versions_stand_in_the_workspace() {
        let text = "[package]\nversion = \"1\"\n[dependencies]\na = \"1\"\nb = { workspace = true, features = [] }\n# c = 1\n";
        let tree = Tree::of(&[
            ("crates/web/Cargo.toml", text),
            ("Cargo.toml", "[workspace.dependencies]\na = \"1\""),
        ]);
        assert_eq!(rules_of(use_the_workspace(&tree)), ["4: a is not the workspace's"]);
    }

    #[test]
    fn what_nobody_names_is_refused() {
        let manifest = "[dependencies]\nused.workspace = true\nin-tests.workspace = true\nnowhere.workspace = true\n\
             [dev-dependencies]\nmocks.workspace = true\n";
        let code = "use used::Thing; // nowhere\nfn f() { nowhere_else() }\n#[cfg(test)]\nmod tests { use in_tests::A; }\n";
        let tree = Tree::of(&[
            ("crates/web/Cargo.toml", manifest),
            ("crates/web/src/lib.rs", code),
            ("crates/web/tests/all.rs", "use mocks::Mock;"),
        ]);
        let wanted = ["3: in-tests is for the code and named by tests", "4: nowhere is named nowhere"];
        assert_eq!(rules_of(dependencies_are_used(&tree)), wanted);
    }

    #[test]
    fn lints_and_readme_are_asked_for() {
        let tree = Tree::of(&[
            ("crates/web/Cargo.toml", "[lints]\nworkspace = true\n"),
            ("crates/web/README.md", "# web"),
            ("crates/db/Cargo.toml", "[package]\nworkspace = true\n"),
        ]);
        let wanted = ["0: db has no workspace lints", "0: db has no README.md"];
        assert_eq!(rules_of(have_lints_and_readme(&tree)), wanted);
    }
}
