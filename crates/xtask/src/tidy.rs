//! `cargo xtask tidy`: the architecture's invariants, each a function from a tree of files to what is wrong with it.
//!
//! # Layout
//! - [`tree`]: the files of the repository, and Rust text taken apart into code, strings and tests
//! - [`crates`]: manifests: ranks, protocol crates, lints, workspace dependencies, papers
//! - [`code`]: who names sqlx and axum, who makes a scope, names that say nothing, long files, names of schemas
//! - [`sql`]: no statement on a tenant's table without `tenant_id`
//! - [`words`]: words that do not belong in the product, links that lead nowhere

mod code;
mod crates;
mod sql;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use tree::Tree;

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Violation {
    path: String,
    /// From 1; 0 for the file as a whole.
    line: usize,
    /// What is wrong here.
    rule: String,
    /// What goes wrong if it stays.
    why: &'static str,
    /// What to do about it.
    fix: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { path, line, rule, why, fix } = self;
        match line {
            0 => writeln!(f, "{path}: {rule}")?,
            line => writeln!(f, "{path}:{line}: {rule}")?,
        }
        write!(f, "  why: {why}\n  do:  {fix}")
    }
}

/// Every rule, in the order of their reports.
const RULES: [fn(&Tree) -> Vec<Violation>; 16] = [
    crates::look_down_only,
    crates::testkit_is_for_tests,
    crates::protocols_stand_alone,
    crates::use_the_workspace,
    crates::dependencies_are_used,
    crates::have_lints_and_readme,
    code::only_db_names_sqlx,
    code::only_the_edge_names_axum,
    code::only_authentication_makes_a_scope,
    code::names_say_something,
    code::files_are_short,
    code::schemas_have_names_of_their_own,
    sql::tenants_are_named,
    words::speak_of_the_product,
    words::nothing_is_left_to_do,
    words::links_lead_somewhere,
];

/// Prints what is wrong with the repository; true when nothing is.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn report(root: &Path) -> Result<bool> {
    let tree = Tree::read(root)?;
    let violations: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    for violation in &violations {
        println!("{violation}\n");
    }
    match violations.len() {
        0 => println!("tidy: {} files, {} rules, nothing to say", tree.files.len(), RULES.len()),
        count => println!("tidy: {count} places to change"),
    }
    Ok(violations.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_is_tidy() {
        assert!(report(crate::root()).unwrap(), "`cargo xtask tidy` says what to change");
    }

    #[test]
    fn a_violation_tells_place_rule_reason_and_remedy() {
        let violation =
            Violation { path: "a.rs".to_owned(), line: 3, rule: "names b".to_owned(), why: "c", fix: "d" };
        assert_eq!(violation.to_string(), "a.rs:3: names b\n  why: c\n  do:  d");
    }
}
