//! What the gates cost a message: `cargo test -p messaging --profile release -- --ignored --nocapture what_the_gates_cost`.

use std::time::Instant;

use super::*;

const ROUNDS: u32 = 200_000;

/// Nanoseconds a message, the best of some runs.
fn cost(gates: &Gates, letters: &[Letter]) -> f64 {
    let asks: Vec<_> = letters.iter().map(Letter::ask).collect();
    let run = || {
        let began = Instant::now();
        for round in 0..ROUNDS as usize {
            let ask = &asks[round % asks.len()];
            let now = noonish().plus_ms(i64::try_from(round).unwrap());
            std::hint::black_box(gates.judge(ask, &|_| None, now)).ok();
        }
        began.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    };
    (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement, not a check"]
fn what_the_gates_cost() {
    let letters: Vec<_> = (0..4_096)
        .map(|n| {
            letter(
                "ACME",
                &format!("3361234{n:04}"),
                &format!("Your table {n} is ready at eight. See you then!"),
            )
        })
        .collect();
    let theirs: Vec<_> = letters.iter().map(|one| Letter { tenant: THEIRS, ..one.clone() }).collect();
    let lists = (0..100_000)
        .fold(Rules::default(), |rules, n| rules.listed(Kind::Number, &format!("4479{n:06}"), None));
    let words: Vec<_> = (0..200).map(|n| format!("forbidden{n}")).collect();
    let few = || {
        Rules::default()
            .rule("words", json!({ "when": { "kind": "words", "words": words }, "action": "refuse" }))
            .rule("links", json!({ "when": { "kind": "url" }, "action": "refuse" }))
    };
    let many = few()
        .policy(-1, json!({ "mode": "listed", "allowed": ["acme"] }))
        .listed(Kind::Content, "free money", None)
        .rule(
            "names",
            json!({ "when": { "kind": "impersonates", "names": ["PayPal", "Amazon"] }, "action": "refuse" }),
        )
        .rule(
            "pattern",
            json!({ "when": { "kind": "pattern", "pattern": r"(?i)iban\s*\d+" }, "action": "refuse" }),
        )
        .rule("again", json!({ "when": { "kind": "duplicate", "minutes": 1 }, "action": "count" }))
        .rule("day", json!({ "when": { "kind": "per_day", "max": 1_000_000 }, "action": "count" }))
        .hours("Shop", json!({ "windows": [{ "days": ["wed"], "from": "08:00", "to": "20:00" }] }));
    let none = cost(&few().gates(), &theirs);
    for (name, gates) in [
        ("100,000 numbers on the blacklist", lists.gates()),
        ("two text rules", few().gates()),
        ("everything", many.gates()),
    ] {
        let with = cost(&gates, &letters);
        eprintln!("{name}: {with:.0} ns a message, {:.1} times the {none:.0} ns without rules", with / none);
    }
}
