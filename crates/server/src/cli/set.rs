//! Flags become the members of settings.

use serde_json::{Map, Value};

use super::failure::Failure;

/// Members of a JSON object in the making.
#[derive(Debug, Default)]
pub(super) struct Members(Map<String, Value>);

impl From<Map<String, Value>> for Members {
    fn from(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl Members {
    /// Adds a member where the flag was given.
    pub(super) fn with<T: Into<Value>>(mut self, name: &str, value: Option<T>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Adds a list where the flag was given at least once. A single `none` is the empty list.
    pub(super) fn with_list(mut self, name: &str, values: &[String]) -> Self {
        let emptied = values.len() == 1 && values[0] == "none";
        if !values.is_empty() {
            let values = if emptied { Vec::new() } else { values.to_vec() };
            self.0.insert(name.to_owned(), Value::from(values));
        }
        self
    }

    /// Adds what `--set key=value` says. It wins over the other flags.
    ///
    /// # Errors
    /// A text without `=`, or with nothing before it.
    pub(super) fn with_set(mut self, pairs: &[String]) -> Result<Self, Failure> {
        for pair in pairs {
            let (name, value) = parse(pair)?;
            self.0.insert(name, value);
        }
        Ok(self)
    }

    /// The object.
    pub(super) fn object(self) -> Map<String, Value> {
        self.0
    }

    /// The object as a member of another, unless it is empty.
    pub(super) fn unless_empty(self) -> Option<Value> {
        (!self.0.is_empty()).then_some(Value::Object(self.0))
    }

    /// The object as a value.
    pub(super) fn value(self) -> Value {
        Value::Object(self.0)
    }
}

/// Reads `key=value`. The value is JSON where it can be read as such (`8`, `true`, `null`, `["a"]`, `"8"`), else text.
fn parse(pair: &str) -> Result<(String, Value), Failure> {
    match pair.split_once('=') {
        Some((name, text)) if !name.trim().is_empty() => {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            Ok((name.trim().to_owned(), value))
        }
        _ => Err(Failure::usage(
            format!("--set {pair:?} is not key=value"),
            "write e.g. --set window=50, --set 'numbers=[\"+3361\"]', --set source_ton=null.",
        )),
    }
}

/// A secret given as a flag, or by standard input where the flag is `-`, so that it is in no list of processes.
///
/// # Errors
/// When standard input cannot be read.
pub(super) fn secret(flag: Option<&str>) -> Result<Option<String>, Failure> {
    match flag {
        Some("-") => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map_err(|error| {
                Failure::usage(
                    format!("standard input cannot be read: {error}"),
                    "give the secret on one line.",
                )
            })?;
            Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_json_or_text() {
        let pairs =
            ["window=50", "host=smsc.example", "a=null", "l=[1]", "text=\"8\"", "e="].map(str::to_owned);
        let members = Members::default().with("window", Some(1)).with_set(&pairs).unwrap();
        assert_eq!(
            members.value(),
            json!({ "window": 50, "host": "smsc.example", "a": null, "l": [1], "text": "8", "e": "" })
        );
        for bad in ["window", "=1", " =2"] {
            assert!(Members::default().with_set(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_given_is_absent() {
        let members = Members::default().with("a", None::<u16>).with_list("l", &[]);
        assert_eq!(members.unless_empty(), None);
        let members =
            Members::default().with_list("l", &["none".to_owned()]).with_list("m", &["x".to_owned()]);
        assert_eq!(members.value(), json!({ "l": [], "m": ["x"] }));
    }
}
