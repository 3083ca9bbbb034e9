//! What the settings of accounts, connections and routes have in common: how they are changed and what their values
//! may be.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use types::{Code, Error, Result};

/// Members of settings to be changed: JSON Merge Patch (RFC 7396). What is not named stays; null brings the default back.
pub type Patch = Map<String, Value>;

/// The settings after a change.
///
/// # Errors
/// [`Code::UnknownField`] or [`Code::InvalidBody`] at `<within>.<member>`.
pub(crate) fn changed<T: Serialize + DeserializeOwned>(
    within: &str,
    now: &T,
    defaults: &T,
    patch: &Patch,
) -> Result<T> {
    let mut members = members(now)?;
    let defaults = self::members(defaults)?;
    for (name, value) in patch {
        let value = if value.is_null() { defaults.get(name).unwrap_or(&Value::Null) } else { value };
        members.insert(name.clone(), value.clone());
    }
    let text = serde_json::to_vec(&members).map_err(Error::internal)?;
    web::body::json(&text).map_err(|error| {
        let place = error.place().map_or_else(|| within.to_owned(), |place| format!("{within}.{place}"));
        error.at(place)
    })
}

/// Settings as the members of a JSON object, as forms and patches see them.
pub(crate) fn members<T: Serialize>(settings: &T) -> Result<Patch> {
    match serde_json::to_value(settings).map_err(Error::internal)? {
        Value::Object(members) => Ok(members),
        _ => Err(Error::internal("settings are an object")),
    }
}

/// Settings from the database. What an older version has not written has its default.
pub(crate) fn stored<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(Error::internal)
}

/// Settings for the database.
pub(crate) fn to_store<T: Serialize>(settings: &T) -> Result<String> {
    serde_json::to_string(settings).map_err(Error::internal)
}

/// A record as an event shows it.
pub(crate) fn shown<T: Serialize>(record: &T) -> Result<Value> {
    serde_json::to_value(record).map_err(Error::internal)
}

/// Refuses a number out of its range.
pub(crate) fn within<T: PartialOrd + Display>(
    field: &str,
    value: &T,
    range: &RangeInclusive<T>,
) -> Result<()> {
    if range.contains(value) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("{value} is not from {} to {}", range.start(), range.end())))
}

/// Refuses a list that is too long.
pub(crate) fn at_most<T>(field: &str, list: &[T], max: usize) -> Result<()> {
    if list.len() <= max {
        return Ok(());
    }
    Err(Error::invalid(field, format!("{} entries are more than the {max} that it takes", list.len())))
}

/// Refuses text that a C-octet string of SMPP cannot hold: more octets than its field has beside the NUL, or anything
/// but printable ASCII (SMPP v3.4 §3.1).
pub(crate) fn c_octets(field: &str, text: &str, range: &RangeInclusive<usize>) -> Result<()> {
    if !range.contains(&text.len()) || !text.bytes().all(|octet| octet.is_ascii_graphic()) {
        let (least, most) = (range.start(), range.end());
        return Err(Error::invalid(
            field,
            format!("it takes {least} to {most} printable ASCII characters without blanks"),
        ));
    }
    Ok(())
}

/// The refusal of a change that was decided on an older state than the present one.
#[track_caller]
pub(crate) fn outdated(noun: &str, now: i64) -> Error {
    Error::new(Code::Conflict, format!("the {noun} was changed meanwhile and is at revision {now}"))
        .at("revision")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        host: String,
        port: u16,
        ton: Option<u8>,
    }

    fn patch(value: Value) -> Result<Sample> {
        let now = Sample { host: "a".to_owned(), port: 1, ton: Some(5) };
        let defaults = Sample { host: String::new(), port: 2775, ton: None };
        let Value::Object(patch) = value else { panic!("an object") };
        changed("settings", &now, &defaults, &patch)
    }

    #[test]
    fn a_patch_keeps_changes_and_resets() {
        assert_eq!(patch(json!({})).unwrap(), Sample { host: "a".to_owned(), port: 1, ton: Some(5) });
        let reset = patch(json!({"port": null, "ton": null, "host": "b"})).unwrap();
        assert_eq!(reset, Sample { host: "b".to_owned(), port: 2775, ton: None });
    }

    #[test]
    fn a_refusal_names_the_member() {
        let error = patch(json!({"port": 70_000})).unwrap_err();
        assert_eq!((error.code(), error.place()), (Code::InvalidBody, Some("settings.port")));
        for value in [json!(1), json!(null)] {
            let error = patch(json!({"prot": value})).unwrap_err();
            assert_eq!(error.code(), Code::UnknownField);
            assert!(error.message().contains("prot"));
        }
    }
}
