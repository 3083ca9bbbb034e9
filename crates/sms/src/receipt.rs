//! Delivery receipts (SMPP v3.4 appendix B): reading what centres send, writing what customers expect.
//!
//! ```text
//! id:IIIIIIIIII sub:SSS dlvrd:DDD submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DDDDDDD err:E text:...
//! ```
//!
//! Hardly two centres write it alike. The reader takes the fields it knows in any order and spelling, and
//! leaves absent what it cannot read; it never fails.

mod date;
mod state;

use std::borrow::Cow;
use std::fmt;

pub use date::Date;
pub use state::MessageState;

use crate::Encoding;

/// Characters of the message that a receipt repeats.
pub const TEXT_CHARACTERS: usize = 20;

/// A delivery receipt. Absent fields are `None`; texts are as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt<'a> {
    /// The identifier that tells the message: of the TLV if there is one, else [`Receipt::text_id`]. Empty
    /// where the field is there without a value.
    pub id: Option<Cow<'a, str>>,
    /// The identifier in the text; it may have another form than the TLV's.
    pub text_id: Option<&'a str>,
    /// Messages submitted.
    pub sub: Option<u32>,
    /// Messages delivered.
    pub dlvrd: Option<u32>,
    /// When the message was submitted.
    pub submit_date: Option<Date>,
    /// When it reached its state.
    pub done_date: Option<Date>,
    /// The state as written, known or not.
    pub stat: Option<&'a str>,
    /// The state, of the TLV if there is one, else of `stat` where that has a known spelling.
    pub state: Option<MessageState>,
    /// The centre's error code; by no means always a number.
    pub err: Option<&'a str>,
    /// The start of the message.
    pub text: Option<&'a str>,
}

/// The text of a receipt in a message without its user data header. Borrowed in the common case; octets that
/// are not UTF-8 are read as ISO 8859-1, as the fields are ASCII in any case and GSM 7 bit shares their
/// characters.
#[must_use]
pub fn text_of(octets: &[u8], data_coding: u8) -> Cow<'_, str> {
    if Encoding::from_data_coding(data_coding, Encoding::GSM7) == Encoding::Ucs2 {
        return Cow::Owned(Encoding::Ucs2.decode(octets));
    }
    match str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(Encoding::Latin1.decode(octets)),
    }
}

impl<'a> Receipt<'a> {
    /// Reads the text of a receipt. Of a repeated field the first counts. Nothing after `text:` is taken for
    /// a field, unless no state stood before it: then the message is in the middle, and fields follow it.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let mut receipt = Self::default();
        let mut rest = text.trim_end_matches('\0');
        loop {
            rest = rest.trim_start_matches(is_separator);
            if rest.is_empty() {
                break;
            }
            match field_at(rest) {
                Some((Field::Text, after)) => {
                    if receipt.text.is_some() {
                        rest = after;
                        continue;
                    }
                    let end = if receipt.stat.is_none() { next_field(after) } else { after.len() };
                    let (excerpt, others) = after.split_at(end);
                    receipt.text = Some(if others.is_empty() { excerpt } else { excerpt.trim() });
                    rest = others;
                }
                Some((field, after)) => rest = receipt.take(field, after),
                None => rest = skip_word(rest),
            }
        }
        receipt.id = receipt.text_id.map(Cow::Borrowed);
        receipt.state = receipt.stat.and_then(MessageState::from_text);
        receipt
    }

    /// Puts the TLVs `receipted_message_id` and `message_state` over what the text says, as they are the
    /// centre's own fields and no template. An empty identifier counts as absent.
    #[must_use]
    pub fn with_tlvs(mut self, receipted_message_id: Option<&'a [u8]>, message_state: Option<u8>) -> Self {
        if let Some(octets) = receipted_message_id {
            let end = octets.iter().position(|&octet| octet == 0).unwrap_or(octets.len());
            if end > 0 {
                self.id = Some(text_of(&octets[..end], 0x03));
            }
        }
        if let Some(number) = message_state {
            self.state = Some(MessageState::from_number(number));
        }
        self
    }

    /// Whether the text reads as a receipt even where the message is not marked as one: it has an identifier
    /// and a known state. People write such texts too, so the identifier must be one that was given out.
    #[must_use]
    pub fn is_recognised(&self) -> bool {
        self.text_id.is_some_and(|id| !id.is_empty()) && self.state.is_some()
    }

    /// The first field of appendix B that is absent or unreadable; `None` for a complete receipt.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        [
            ("id", self.id.is_none()),
            ("sub", self.sub.is_none()),
            ("dlvrd", self.dlvrd.is_none()),
            ("submit date", self.submit_date.is_none()),
            ("done date", self.done_date.is_none()),
            ("stat", self.stat.is_none()),
            ("err", self.err.is_none()),
            ("text", self.text.is_none()),
        ]
        .into_iter()
        .find_map(|(name, absent)| absent.then_some(name))
    }

    /// Takes the value of a field from the start of `after` and returns what follows it.
    fn take(&mut self, field: Field, after: &'a str) -> &'a str {
        let start = after.trim_start_matches(is_separator);
        if field_at(start).is_some() {
            // A field without value: the next word is a field already.
            if field == Field::Id {
                self.text_id.get_or_insert("");
            }
            return start;
        }
        let date = matches!(field, Field::SubmitDate | Field::DoneDate);
        let (value, rest) = start.split_at(if date { date::length(start) } else { word(start) });
        let value = value.trim_end_matches([',', ';']);
        match field {
            Field::Id => _ = self.text_id.get_or_insert(value),
            Field::Sub => self.sub = self.sub.or_else(|| value.parse().ok()),
            Field::Dlvrd => self.dlvrd = self.dlvrd.or_else(|| value.parse().ok()),
            Field::SubmitDate => self.submit_date = self.submit_date.or_else(|| Date::parse(value)),
            Field::DoneDate => self.done_date = self.done_date.or_else(|| Date::parse(value)),
            Field::Stat if !value.is_empty() => _ = self.stat.get_or_insert(value),
            Field::Err if !value.is_empty() => _ = self.err.get_or_insert(value),
            Field::Stat | Field::Err | Field::Text => {}
        }
        rest
    }
}

/// Writes appendix B to the letter: three digit counters, ten digit dates, the standard's state texts and at
/// most [`TEXT_CHARACTERS`] of the message. Absent counters are 0, absent dates ten zeros, an absent error
/// `000`.
impl fmt::Display for Receipt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

/// A receipt whose dates are written with their seconds: twelve digits, as many centres do.
#[derive(Debug, Clone, Copy)]
pub struct WithSeconds<'r, 'a>(pub &'r Receipt<'a>);

impl fmt::Display for WithSeconds<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, true)
    }
}

impl Receipt<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, seconds: bool) -> fmt::Result {
        let date = |date: Option<Date>| match (date, seconds) {
            (Some(date), false) => date.to_string(),
            (Some(date), true) => format!("{date}{:02}", date.second),
            (None, false) => "0000000000".to_owned(),
            (None, true) => "000000000000".to_owned(),
        };
        write!(
            f,
            "id:{} sub:{:03} dlvrd:{:03} submit date:{} done date:{} stat:{} err:{} text:",
            self.id.as_deref().unwrap_or_default(),
            self.sub.unwrap_or_default(),
            self.dlvrd.unwrap_or_default(),
            date(self.submit_date),
            date(self.done_date),
            self.state.unwrap_or(MessageState::Unknown).text(),
            self.err.unwrap_or("000"),
        )?;
        let text = self.text.unwrap_or_default();
        let end = text.char_indices().nth(TEXT_CHARACTERS).map_or(text.len(), |(at, _)| at);
        f.write_str(&text[..end])
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Sub,
    Dlvrd,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
}

/// The names of the fields in the spellings met, in lower case.
const NAMES: [(&str, Field); 14] = [
    ("id", Field::Id),
    ("sub", Field::Sub),
    ("dlvrd", Field::Dlvrd),
    ("submit date", Field::SubmitDate),
    ("submit_date", Field::SubmitDate),
    ("submitdate", Field::SubmitDate),
    ("done date", Field::DoneDate),
    ("done_date", Field::DoneDate),
    ("donedate", Field::DoneDate),
    ("stat", Field::Stat),
    ("status", Field::Stat),
    ("err", Field::Err),
    ("error", Field::Err),
    ("text", Field::Text),
];

/// The field whose name and colon stand at the start, and what follows the colon.
fn field_at(text: &str) -> Option<(Field, &str)> {
    let initial = text.as_bytes().first()?.to_ascii_lowercase();
    NAMES.iter().filter(|(name, _)| name.as_bytes()[0] == initial).find_map(|&(name, field)| {
        let (head, tail) = text.split_at_checked(name.len())?;
        let after = tail.strip_prefix(':')?;
        head.eq_ignore_ascii_case(name).then_some((field, after))
    })
}

/// Offset of the next word that is a field other than `text`, or the length of the text.
fn next_field(text: &str) -> usize {
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches(is_separator);
        if start.is_empty() {
            return text.len();
        }
        if field_at(start).is_some_and(|(field, _)| field != Field::Text) {
            return text.len() - start.len();
        }
        rest = skip_word(start);
    }
}

/// Length of the word at the start, which ends at a blank, or at a comma or semicolon before a field.
fn word(text: &str) -> usize {
    let ends = |at: usize, ch: char| match ch {
        ',' | ';' => field_at(&text[at + 1..]).is_some(),
        _ => is_separator(ch),
    };
    text.char_indices().find(|&(at, ch)| ends(at, ch)).map_or(text.len(), |(at, _)| at)
}

/// What follows the word at the start and its comma; always shorter than a text that is not empty.
fn skip_word(text: &str) -> &str {
    let end = word(text).max(text.chars().next().map_or(0, char::len_utf8));
    &text[end..]
}

fn is_separator(ch: char) -> bool {
    ch.is_ascii_whitespace() || ch == '\0'
}

#[cfg(test)]
mod tests;
