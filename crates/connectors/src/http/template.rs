//! Texts with places for values: `{to}`, `{body|hex}`, `{encoding|map:gsm7=text,ucs2=unicode}`.
//!
//! There are no loops, no conditions and no nesting, so that rendering takes as long as its text and values are, and a
//! template can be judged when it is written. Who renders says how values are escaped where they go: nothing that is in a
//! message can end a field and begin another.

use std::borrow::Cow;

/// The longest template.
const CHARS_MAX: usize = 4_000;
/// Filters behind one name.
const FILTERS_MAX: usize = 4;

/// A template that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value { name: String, filters: Vec<Filter> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    /// Another value where this one is empty.
    Or(String),
    /// Two lower-case digits for each octet.
    Hex,
    /// The same with a blank between octets.
    SpacedHex,
    /// RFC 4648 §4.
    Base64,
    /// Percent-encoded, for an address within a field.
    Url,
    /// ASCII letters in capitals.
    Upper,
    /// A number where the field has types.
    Int,
    /// Not less than this, where it is a number.
    AtLeast(i64),
    /// Not more than this, where it is a number.
    AtMost(i64),
    /// Another word for each of a closed list; nothing for all others.
    Map(Vec<(String, String)>),
}

/// What a name stands for; `None` for a name that means nothing here.
pub(super) trait Values {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}

impl Template {
    /// Reads a template whose names are all among those that `knows`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn read(text: &str, knows: impl Fn(&str) -> bool) -> Result<Self, String> {
        if text.chars().count() > CHARS_MAX {
            return Err(format!("it is longer than {CHARS_MAX} characters"));
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                plain.push_str(&from[..1]);
                rest = after;
                continue;
            }
            let inside = from.strip_prefix('{').ok_or("a } stands alone; write }} for the sign itself")?;
            let end = inside.find('}').ok_or("a { is not closed; write {{ for the sign itself")?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(value(&inside[..end], &knows)?);
            rest = &inside[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }

    /// Renders it; each value goes through `escape`, each text of its own stands as it is. `None` where it has places for
    /// values and all of these are empty: the field that it is for is left out.
    pub(super) fn render(
        &self,
        values: &dyn Values,
        escape: impl Fn(&[u8], &mut Vec<u8>),
    ) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let (mut asked, mut found) = (false, false);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value { name, filters } => {
                    let value = filtered(values, name, filters);
                    asked = true;
                    found |= !value.is_empty();
                    escape(&value, &mut out);
                }
            }
        }
        (found || !asked).then_some(out)
    }

    /// Renders it as text.
    pub(super) fn text(&self, values: &dyn Values) -> Option<String> {
        let octets = self.render(values, |value, out| out.extend_from_slice(value))?;
        Some(String::from_utf8_lossy(&octets).into_owned())
    }

    /// Whether it names this value.
    pub(super) fn names(&self, wanted: &str) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Value { name, filters } => {
                name == wanted
                    || filters.iter().any(|filter| matches!(filter, Filter::Or(other) if other == wanted))
            }
        })
    }

    /// Whether it has places for values.
    pub(super) fn varies(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Value { .. }))
    }

    /// Whether it is one value and to be a number.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Value { filters, .. }] if filters.contains(&Filter::Int))
    }

    /// Whether it begins with this value, and has it nowhere else.
    pub(super) fn begins_with(&self, wanted: &str) -> bool {
        let is = |piece: &Piece| matches!(piece, Piece::Value { name, .. } if name == wanted);
        self.pieces.first().is_some_and(is) && self.pieces.iter().filter(|piece| is(piece)).count() == 1
    }

    /// The template behind its first piece.
    pub(super) fn behind_first(&self) -> Self {
        Self { pieces: self.pieces.get(1..).unwrap_or_default().to_vec() }
    }
}

fn value(inside: &str, knows: &impl Fn(&str) -> bool) -> Result<Piece, String> {
    let known = |name: &str| match knows(name) {
        true => Ok(name.to_owned()),
        false => Err(format!("{{{name}}} is no value that can stand here")),
    };
    let mut words = inside.split('|').map(str::trim);
    let name = known(words.next().unwrap_or_default())?;
    let mut filters = Vec::new();
    for word in words {
        filters.push(match word.split_once(':') {
            None if word == "hex" => Filter::Hex,
            None if word == "spaced_hex" => Filter::SpacedHex,
            None if word == "base64" => Filter::Base64,
            None if word == "url" => Filter::Url,
            None if word == "upper" => Filter::Upper,
            None if word == "int" => Filter::Int,
            Some(("or", other)) => Filter::Or(known(other)?),
            Some(("at_least", bound)) => Filter::AtLeast(number(bound)?),
            Some(("at_most", bound)) => Filter::AtMost(number(bound)?),
            Some(("map", pairs)) => Filter::Map(map(pairs)?),
            _ => {
                return Err(format!(
                    "|{word} is none of hex, spaced_hex, base64, url, upper, int, or:NAME, at_least:N, at_most:N, \
                     map:A=B,C=D"
                ));
            }
        });
    }
    if filters.len() > FILTERS_MAX {
        return Err(format!("{{{name}}} has more than {FILTERS_MAX} filters"));
    }
    Ok(Piece::Value { name, filters })
}

fn number(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is no number"))
}

fn map(pairs: &str) -> Result<Vec<(String, String)>, String> {
    pairs
        .split(',')
        .map(|pair| match pair.split_once('=') {
            Some((from, to)) => Ok((from.trim().to_owned(), to.trim().to_owned())),
            None => Err(format!("{pair:?} in a map is no A=B")),
        })
        .collect()
}

fn filtered<'v>(values: &'v dyn Values, name: &str, filters: &[Filter]) -> Cow<'v, [u8]> {
    let mut value = values.value(name).unwrap_or_default();
    for filter in filters {
        value = match filter {
            Filter::Or(other) if value.is_empty() => values.value(other).unwrap_or_default(),
            Filter::Or(_) | Filter::Int => value,
            Filter::AtLeast(bound) => bounded(value, |number| number.max(*bound)),
            Filter::AtMost(bound) => bounded(value, |number| number.min(*bound)),
            Filter::Hex => Cow::Owned(hex(&value).into_bytes()),
            Filter::SpacedHex => {
                let octets: Vec<String> = value.chunks(1).map(hex).collect();
                Cow::Owned(octets.join(" ").into_bytes())
            }
            Filter::Base64 => Cow::Owned(super::sign::base64(&value).into_bytes()),
            Filter::Url => {
                let mut out = Vec::new();
                percent(&value, &mut out);
                Cow::Owned(out)
            }
            Filter::Upper => Cow::Owned(value.to_ascii_uppercase()),
            Filter::Map(pairs) => {
                let mapped = pairs.iter().find(|(from, _)| from.as_bytes() == &*value);
                Cow::Owned(mapped.map(|(_, to)| to.clone().into_bytes()).unwrap_or_default())
            }
        };
    }
    value
}

/// A number within its bound; what is none, such as what is empty, stays as it is.
fn bounded(value: Cow<'_, [u8]>, bound: impl Fn(i64) -> i64) -> Cow<'_, [u8]> {
    match std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()) {
        Some(number) => Cow::Owned(bound(number).to_string().into_bytes()),
        None => value,
    }
}

/// Two lower-case digits for each octet.
pub(super) fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |octet: &u8| [DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]];
    octets.iter().flat_map(digits).map(char::from).collect()
}

/// The octets of hexadecimal digits, perhaps with blanks between; `None` where it is none.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|ch| !ch.is_whitespace()).map(|ch| ch.to_digit(16)).collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect()
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
pub(super) fn percent(octets: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for octet in octets {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(octet) {
            out.push(*octet);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
        }
    }
}

/// Escapes for XML content and attribute values (XML 1.0 §2.4); what XML cannot carry becomes U+FFFD.
pub(super) fn xml(octets: &[u8], out: &mut Vec<u8>) {
    for ch in String::from_utf8_lossy(octets).chars() {
        let plain: &str = match ch {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            '"' => "&quot;",
            '\'' => "&#39;",
            '\t' | '\n' | '\r' => {
                out.extend_from_slice(format!("&#{};", u32::from(ch)).as_bytes());
                continue;
            }
            ch if ch.is_control() => "\u{fffd}",
            ch => {
                out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        out.extend_from_slice(plain.as_bytes());
    }
}

/// Escapes for the inside of a JSON string (RFC 8259 §7).
pub(super) fn json(octets: &[u8], out: &mut Vec<u8>) {
    let quoted = serde_json::Value::from(String::from_utf8_lossy(octets)).to_string();
    out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Some3;

    impl Values for Some3 {
        fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
            match name {
                "to" => Some(Cow::Borrowed(b"33612345678")),
                "text" => Some(Cow::Borrowed("a&b=\"<é\u{1}".as_bytes())),
                "empty" => Some(Cow::Borrowed(b"")),
                _ => None,
            }
        }
    }

    fn read(text: &str) -> Result<Template, String> {
        Template::read(text, |name| Some3.value(name).is_some())
    }

    #[test]
    fn values_stand_where_they_are_named() {
        let text = |template: &str| read(template).unwrap().text(&Some3);
        assert_eq!(text("{{{to}}}").as_deref(), Some("{33612345678}"));
        assert_eq!(text("{to|map:1=a,33612345678=b}").as_deref(), Some("b"));
        assert_eq!(text("{to|hex|upper}").as_deref(), Some("3333363132333435363738"));
        assert_eq!(text("{empty|or:to}").as_deref(), Some("33612345678"));
        assert_eq!(text("{to|spaced_hex}").unwrap().get(..8), Some("33 33 36"));
        assert_eq!(text("{to|at_most:36000}").as_deref(), Some("36000"));
        assert_eq!(text("{to|at_least:5|at_most:99999999999}").as_deref(), Some("33612345678"));
        assert_eq!(text("{empty|at_least:5}"), None, "what is not there has no bound");
        assert_eq!(text("{to|base64}").as_deref(), Some("MzM2MTIzNDU2Nzg="));
        assert_eq!(text("plain").as_deref(), Some("plain"));
        assert_eq!(text("id={empty}"), None, "a field whose values are all empty is left out");
    }

    #[test]
    fn no_value_can_leave_its_field() {
        let rendered = |escape: fn(&[u8], &mut Vec<u8>)| {
            String::from_utf8(read("{text}").unwrap().render(&Some3, escape).unwrap()).unwrap()
        };
        assert_eq!(rendered(percent), "a%26b%3D%22%3C%C3%A9%01");
        assert_eq!(rendered(xml), "a&amp;b=&quot;&lt;é\u{fffd}");
        assert_eq!(rendered(json), "a&b=\\\"<é\\u0001");
    }

    #[test]
    fn mistakes_are_told_when_it_is_read() {
        for (template, why) in [
            ("{nobody}", "{nobody} is no value"),
            ("{to", "not closed"),
            ("to}", "stands alone"),
            ("{to|lower}", "|lower is none of"),
            ("{to|or:nobody}", "{nobody}"),
            ("{to|map:a}", "no A=B"),
            ("{to|at_most:many}", "no number"),
            ("{to|hex|hex|hex|hex|hex}", "more than 4"),
        ] {
            let told = read(template).unwrap_err();
            assert!(told.contains(why), "{template}: {told}");
        }
        assert!(read(&"a".repeat(CHARS_MAX + 1)).is_err());
    }
}
