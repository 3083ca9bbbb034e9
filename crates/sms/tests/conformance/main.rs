//! Judges the crate by octets and values that independent implementations assert.

mod gsm;
mod receipts;
mod segmentation;

use serde_json::Value;

/// Runs a check over a file of vectors. Every entry must pass but those in `wrong`, listed with the reason
/// why the source is not to be followed; these must fail, so that the list stays true. Without the file
/// nothing is judged.
fn judge(file: &str, wrong: &[(&str, &str)], check: impl Fn(&Value) -> Result<(), String>) {
    let path = format!("{}/../../../shared/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(json) = std::fs::read_to_string(&path) else {
        eprintln!("{file} is not here: nothing judged");
        return;
    };
    let entries: Vec<Value> = serde_json::from_str(&json).expect("the vectors are JSON");
    let mut faults = Vec::new();
    for entry in &entries {
        let id = string(&entry["id"]);
        let known = wrong.iter().find(|(wrong, _)| *wrong == id);
        match (check(entry), known) {
            (Err(fault), None) => faults.push(format!("{id}: {fault}")),
            (Ok(()), Some((_, reason))) => faults.push(format!("{id} passes, though listed: {reason}")),
            _ => {}
        }
    }
    eprintln!("{file}: {} entries, {} left out", entries.len(), wrong.len());
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[expect(clippy::needless_pass_by_value, reason = "both are temporaries of the checks")]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}")) }
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or_default()
}

fn octets(value: &Value) -> Vec<u8> {
    sms::Encoding::Binary.encode(string(value)).expect("hexadecimal digits")
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| string(item).to_owned()).collect()
}
