//! Where a value stands in what came: in an answer, or in a request to one of our hooks.

use regex::Regex;
use serde_json::Value;

/// The longest regular expression, and what it may grow to.
const REGEX_CHARS_MAX: usize = 500;
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A place, read from its text.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Nowhere.
    Nowhere,
    /// A field of the query or the form, or a member of the body's object.
    Field(String),
    /// A JSON Pointer (RFC 6901).
    Pointer(String),
    /// A header.
    Header(String),
    /// The first group of an expression over the body, or all that it fits.
    Regex(Regex),
    /// The whole body.
    Body,
    /// The name that we gave the message.
    Reference,
}

/// An expression within its bounds.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn regex(text: &str) -> Result<Regex, String> {
    if text.len() > REGEX_CHARS_MAX {
        return Err(format!("the expression is longer than {REGEX_CHARS_MAX} characters"));
    }
    regex::RegexBuilder::new(text)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| format!("no regular expression: {error}"))
}

impl Source {
    /// Reads a place.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" => Self::Nowhere,
            "body" => Self::Body,
            "reference" => Self::Reference,
            _ if text.starts_with('/') => Self::Pointer(text.to_owned()),
            _ => match text.split_once(':') {
                Some(("header", name)) if !name.is_empty() => Self::Header(name.to_ascii_lowercase()),
                Some(("regex", expression)) => Self::Regex(regex(expression)?),
                Some(_) => {
                    return Err(format!("{text:?} is no field, /pointer, header:NAME or regex:EXPRESSION"));
                }
                None => Self::Field(text.to_owned()),
            },
        })
    }

    /// What stands there.
    pub(super) fn find(&self, came: &Came<'_>) -> Option<Vec<u8>> {
        match self {
            Self::Nowhere => None,
            // What one provider sends as a form, another version of it sends as an object.
            Self::Field(name) => match came.field(name) {
                Some(value) => Some(value.to_vec()),
                None => came.json?.get(name).and_then(scalar).map(String::into_bytes),
            },
            Self::Pointer(pointer) => came.json?.pointer(pointer).and_then(scalar).map(String::into_bytes),
            Self::Header(name) => {
                let found = came.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.as_bytes().to_vec())
            }
            Self::Regex(expression) => {
                let text = String::from_utf8_lossy(came.body);
                let groups = expression.captures(&text)?;
                groups.get(1).or_else(|| groups.get(0)).map(|found| found.as_str().as_bytes().to_vec())
            }
            Self::Body => Some(came.body.to_vec()),
            Self::Reference => Some(came.reference.as_bytes().to_vec()),
        }
    }

    /// What stands there, as text without blanks around; nothing where that is empty.
    pub(super) fn text(&self, came: &Came<'_>) -> Option<String> {
        let text = self.find(came)?;
        let text = String::from_utf8_lossy(&text);
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Whether it names a place at all.
    pub(super) fn is_somewhere(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }
}

/// A value of JSON as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What came.
#[derive(Clone, Copy, Default)]
pub(super) struct Came<'a> {
    /// Fields of the query, then those of the form.
    pub(super) fields: &'a [(String, Vec<u8>)],
    /// The body as JSON, or one element of its list.
    pub(super) json: Option<&'a Value>,
    /// Headers.
    pub(super) headers: &'a [(String, String)],
    /// The body as it came.
    pub(super) body: &'a [u8],
    /// The name that we gave the message.
    pub(super) reference: &'a str,
}

impl Came<'_> {
    fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// The fields of a query or a form, decoded (URL Standard §5.1).
pub fn fields(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let decoded = |part: &[u8]| {
        let mut out = Vec::with_capacity(part.len());
        let mut at = 0;
        while at < part.len() {
            let digit = |place: usize| part.get(place).and_then(|octet| char::from(*octet).to_digit(16));
            match (part[at], digit(at + 1), digit(at + 2)) {
                (b'%', Some(high), Some(low)) => {
                    out.push(u8::try_from(high << 4 | low).unwrap_or_default());
                    at += 2;
                }
                (b'+', ..) => out.push(b' '),
                (octet, ..) => out.push(octet),
            }
            at += 1;
        }
        out
    };
    text.split(|octet| *octet == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|octet| *octet == b'=').unwrap_or(pair.len());
            let name = String::from_utf8_lossy(&decoded(&pair[..at])).into_owned();
            (name, decoded(pair.get(at + 1..).unwrap_or_default()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_place_is_found() {
        let json = json!({"a": [{"b": "x"}], "n": 7, "t": true, "o": {}});
        let came = Came {
            fields: &fields(b"to=%2B33&raw=%00%ff&e=&q=a+b%zz&only"),
            json: Some(&json),
            headers: &[("X-Id".to_owned(), "9".to_owned())],
            body: b"Success \"id-1\"",
            reference: "ref",
        };
        let find = |text: &str| Source::read(text).unwrap().find(&came);
        let text = |text: &str| find(text).map(|octets| String::from_utf8(octets).unwrap());
        assert_eq!(text("to").as_deref(), Some("+33"));
        assert_eq!(find("raw"), Some(vec![0, 0xff]));
        assert_eq!(text("q").as_deref(), Some("a b%zz"));
        assert_eq!(text("only").as_deref(), Some(""));
        assert_eq!(text("/a/0/b").as_deref(), Some("x"));
        assert_eq!((text("/n").as_deref(), text("/t").as_deref()), (Some("7"), Some("true")));
        assert_eq!((text("/o"), text("/a/1/b"), text("")), (None, None, None));
        assert_eq!(text("header:x-id").as_deref(), Some("9"));
        assert_eq!(text("regex:\"([^\"]+)\"").as_deref(), Some("id-1"));
        assert_eq!(text("regex:Succ").as_deref(), Some("Succ"));
        assert_eq!(
            (text("body").as_deref(), text("reference").as_deref()),
            (Some("Success \"id-1\""), Some("ref"))
        );
        assert!(Source::read("regex:(").is_err() && Source::read("cookie:x").is_err());
    }
}
