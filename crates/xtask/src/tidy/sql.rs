//! No statement touches a tenant's table without naming the tenant.

use super::Violation;
use super::tree::{Tree, words};

/// What stands in a comment of a statement that looks across tenants on purpose, followed by the reason.
const EXCUSES: [&str; 2] = ["-- every tenant:", "/* every tenant:"];
/// How a statement, or a piece of one, begins.
const BEGINNINGS: [&str; 9] =
    ["select", "insert", "update", "delete", "with", "from", "join", "where", "merge"];

/// Every SQL string outside tests that reads or writes a tenant's table names `tenant_id`. A tenant's table is one whose
/// migration gives it a column of that name.
pub(super) fn tenants_are_named(tree: &Tree) -> Vec<Violation> {
    let tables = tenant_tables(tree);
    let mut violations = Vec::new();
    for (name, file, rust) in tree.rust() {
        if matches!(name, "testkit" | "xtask") {
            continue;
        }
        for (line, sql) in rust.strings.iter().filter(|(line, _)| *line < rust.tests_from) {
            let Some(table) = unguarded_table(sql, &tables) else { continue };
            violations.push(Violation {
                path: file.path.clone(),
                line: *line,
                rule: format!("SQL on the tenants' table {table} without tenant_id"),
                why: "one forgotten condition shows a tenant another's data",
                fix: "add `tenant_id = $n` from the scope; if it must see all tenants, write \
                      `/* every tenant: <reason> */` into the statement",
            });
        }
    }
    violations
}

/// The first tenant's table that the text touches although it neither names `tenant_id` nor gives a reason.
fn unguarded_table(sql: &str, tables: &[String]) -> Option<String> {
    let excused = EXCUSES.iter().any(|excuse| {
        let reason = sql.split_once(excuse).and_then(|(_, rest)| rest.split(['\n', '*']).next());
        reason.is_some_and(|reason| !reason.trim().is_empty())
    });
    let plain = without_comments(sql).to_lowercase();
    let words: Vec<&str> = words(&plain).collect();
    if excused || words.contains(&"tenant_id") || !BEGINNINGS.contains(words.first()?) {
        return None;
    }
    let touched = words.windows(2).find(|pair| {
        matches!(pair[0], "from" | "update" | "into" | "join") && tables.iter().any(|table| table == pair[1])
    });
    touched.map(|pair| pair[1].to_owned())
}

/// The tables with a column `tenant_id`, from the migrations of all crates.
fn tenant_tables(tree: &Tree) -> Vec<String> {
    let mut tables = Vec::new();
    for file in &tree.files {
        if file.crate_name().is_none() || !file.path.contains("/migrations/") || !file.path.ends_with(".sql")
        {
            continue;
        }
        let text = without_comments(&file.text).to_lowercase();
        for statement in text.split(';') {
            let words: Vec<&str> =
                words(statement).filter(|word| !matches!(*word, "if" | "not" | "exists" | "only")).collect();
            let table = match words[..] {
                ["create", "table", name, ..] | ["alter", "table", name, ..] => name,
                _ => continue,
            };
            if words.contains(&"tenant_id") && !tables.iter().any(|other| other == table) {
                tables.push(table.to_owned());
            }
        }
    }
    tables
}

fn without_comments(sql: &str) -> String {
    let mut plain = String::new();
    for (at, piece) in sql.split("/*").enumerate() {
        // Each piece but the first opens inside a comment.
        plain.push_str(if at == 0 { piece } else { piece.split_once("*/").map_or("", |(_, rest)| rest) });
    }
    plain
        .lines()
        .map(|line| line.split_once("--").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIGRATION: (&str, &str) = (
        "crates/desk/migrations/0001_ticket.sql",
        "-- tickets\ncreate table ticket (\n  id bigint primary key,\n  tenant_id bigint not null\n);\n\
         create table if not exists country (code text); -- tenant_id\n\
         create table note (id bigint);\nalter table note add column tenant_id bigint;",
    );

    #[test]
    fn tables_of_tenants_are_found_in_migrations() {
        let tree = Tree::of(&[MIGRATION, ("docs/migrations/x.sql", "create table y (tenant_id bigint)")]);
        assert_eq!(tenant_tables(&tree), ["ticket", "note"]);
    }

    #[test]
    fn a_statement_without_the_tenant_is_refused() {
        let text = r#"
let a = "select id from ticket where id = $1";
let b = "select id from ticket where tenant_id = $1 and id = $2";
let c = "update note set x = 1";
let d = "select code from country";
let e = "-- every tenant: the job runner serves all\nselect id from ticket";
let f = "-- every tenant:\nselect id from ticket";
let g = "Take a number from ticket machines";
let h = "insert into ticket (id) values ($1)";
let k = "delete from ticket where at < $1 /* every tenant: age alone decides */";
let l = "delete from ticket /* every tenant: */ where at < $1 /* tenant_id */";
let i = "select n.id from country n join ticket t on t.id = n.id -- tenant_id";
#[cfg(test)]
mod tests {
    let j = "delete from ticket";
}
"#;
        let tree = Tree::of(&[MIGRATION, ("crates/desk/src/ticket.rs", text)]);
        let lines: Vec<usize> = tenants_are_named(&tree).iter().map(|violation| violation.line).collect();
        assert_eq!(lines, [2, 4, 7, 9, 11, 12]);
    }
}
