//! What a text costs: which encoding it takes, how many units and parts, and why.

use std::borrow::Cow;

use crate::gsm::{Alphabet, Language};
use crate::segment::Capacity;
use crate::{Encoding, Width};

/// What the route allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// National languages whose tables may be used, besides the default alphabet.
    pub languages: Vec<Language>,
    /// Whether ISO 8859-1 may be used before UCS-2.
    pub latin1: bool,
    /// Whether typographic characters may be replaced where that keeps the text in the default alphabet.
    pub replace: bool,
    /// Width of the reference of concatenated parts.
    pub width: Width,
}

/// Encoding, units and parts of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The encoding chosen.
    pub encoding: Encoding,
    /// Units in all: septets (escapes count), octets, or UTF-16 units.
    pub units: usize,
    /// Messages that are sent, and paid; at least 1. More than [`crate::segment::MAX_PARTS`] cannot be sent.
    pub parts: usize,
    /// Units that one of these messages holds.
    pub per_part: usize,
    /// Units still free in the last one.
    pub remaining_in_last: usize,
}

/// A character that is replaced before encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// Its offset in the text, in characters.
    pub index: usize,
    /// The character.
    pub from: char,
    /// What stands for it.
    pub to: &'static str,
}

/// A [`Count`] with its reasons, for the person who writes the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// Encoding, units and parts, after the replacements.
    pub count: Count,
    /// The characters (offset in characters) that the default alphabet lacks, where the text needs another
    /// encoding; at most [`MAX_FORCING`].
    pub forcing: Vec<(usize, char)>,
    /// What [`replace`] changes; empty where it would not keep the text in the default alphabet.
    pub replacements: Vec<Replacement>,
}

/// Characters that [`Analysis::forcing`] lists at most.
pub const MAX_FORCING: usize = 1_000;

/// Chooses the encoding of a text and counts its parts; a text is counted as it is, without replacement.
///
/// The default alphabet is taken where it suffices; else the one with the fewest parts among the national
/// tables allowed, ISO 8859-1 if allowed, and UCS-2, in this order where they are equal.
#[must_use]
pub fn count(text: &str, options: &Options) -> Count {
    count_septets(text, Alphabet::DEFAULT, options.width)
        .unwrap_or_else(|| count_beyond_default(text, options))
}

/// Chooses and counts as [`count`] does, and tells the reasons. With [`Options::replace`] the count is that
/// of the text that [`replace`] gives.
#[must_use]
pub fn analyse(text: &str, options: &Options) -> Analysis {
    if let Some(count) = count_septets(text, Alphabet::DEFAULT, options.width) {
        return Analysis { count, forcing: Vec::new(), replacements: Vec::new() };
    }
    if options.replace
        && let Some(replacements) = replacements(text)
    {
        let count = count(&apply(text, &replacements), options);
        return Analysis { count, forcing: Vec::new(), replacements };
    }
    let forcing = text
        .chars()
        .enumerate()
        .filter(|&(_, ch)| Alphabet::DEFAULT.septets(ch).is_none())
        .take(MAX_FORCING)
        .collect();
    Analysis { count: count_beyond_default(text, options), forcing, replacements: Vec::new() }
}

/// The text with its typographic characters replaced, where that brings it into the default alphabet; else as
/// it is.
#[must_use]
pub fn replace(text: &str) -> Cow<'_, str> {
    if text.chars().all(|ch| Alphabet::DEFAULT.septets(ch).is_some()) {
        return Cow::Borrowed(text);
    }
    match replacements(text) {
        Some(replacements) => Cow::Owned(apply(text, &replacements)),
        None => Cow::Borrowed(text),
    }
}

/// The replacements that bring a text into the default alphabet, if they suffice.
fn replacements(text: &str) -> Option<Vec<Replacement>> {
    let mut found = Vec::new();
    for (index, from) in text.chars().enumerate() {
        if Alphabet::DEFAULT.septets(from).is_none() {
            found.push(Replacement { index, from, to: plain(from)? });
        }
    }
    Some(found)
}

fn apply(text: &str, replacements: &[Replacement]) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut next = replacements.iter().peekable();
    for (index, ch) in text.chars().enumerate() {
        match next.next_if(|replacement| replacement.index == index) {
            Some(replacement) => plain.push_str(replacement.to),
            None => plain.push(ch),
        }
    }
    plain
}

/// What stands for a typographic character in the default alphabet. Letters are never replaced.
const fn plain(ch: char) -> Option<&'static str> {
    Some(match ch {
        '\u{2018}'..='\u{201B}' | '\u{2032}' | '\u{2035}' | '\u{00B4}' | '`' | '\u{02BC}' => "'",
        '\u{201C}'..='\u{201F}' | '\u{2033}' | '\u{2036}' | '«' | '»' => "\"",
        '‹' => "<",
        '›' => ">",
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' => "-",
        '…' => "...",
        '•' | '·' | '\u{2219}' => "-",
        '\u{00A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\t' => " ",
        '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{00AD}' => "",
        '\u{2028}' | '\u{2029}' => "\n",
        _ => return None,
    })
}

/// The best count where the default alphabet does not suffice.
fn count_beyond_default(text: &str, options: &Options) -> Count {
    let national = options.languages.iter().flat_map(|&language| {
        let single = Alphabet { locking: Language::Default, single: language };
        let locking = Alphabet { locking: language, single: Language::Default };
        let both = Alphabet { locking: language, single: language };
        let tables = if language.has_locking_shift() { 3 } else { 1 };
        [single, locking, both].into_iter().take(tables)
    });
    let ucs2 = count_ucs2(text, options.width);
    let latin1 = || options.latin1.then(|| count_latin1(text, options.width)).flatten();
    national
        .filter_map(|alphabet| count_septets(text, alphabet, options.width))
        .chain(latin1())
        .chain([ucs2])
        // `min_by_key` keeps the first of equals.
        .min_by_key(|count| count.parts)
        .unwrap_or(ucs2)
}

fn count_septets(text: &str, alphabet: Alphabet, width: Width) -> Option<Count> {
    let encoding = Encoding::Gsm7(alphabet);
    let mut filling = Filling::new(encoding, width);
    for ch in text.chars() {
        filling.add(alphabet.septets(ch)?);
    }
    Some(filling.count(encoding))
}

fn count_latin1(text: &str, width: Width) -> Option<Count> {
    let mut filling = Filling::new(Encoding::Latin1, width);
    for ch in text.chars() {
        if u32::from(ch) > 0xFF {
            return None;
        }
        filling.add(1);
    }
    Some(filling.count(Encoding::Latin1))
}

fn count_ucs2(text: &str, width: Width) -> Count {
    let mut filling = Filling::new(Encoding::Ucs2, width);
    for ch in text.chars() {
        filling.add(ch.len_utf16());
    }
    filling.count(Encoding::Ucs2)
}

/// Parts being filled character by character, as [`crate::segment::pieces`] cuts them.
struct Filling {
    capacity: Capacity,
    units: usize,
    parts: usize,
    in_part: usize,
}

impl Filling {
    fn new(encoding: Encoding, width: Width) -> Self {
        Self { capacity: Capacity::of(encoding, width), units: 0, parts: 1, in_part: 0 }
    }

    fn add(&mut self, units: usize) {
        self.units += units;
        self.in_part += units;
        if self.in_part > self.capacity.part {
            self.parts += 1;
            self.in_part = units;
        }
    }

    fn count(&self, encoding: Encoding) -> Count {
        let single = self.units <= self.capacity.single;
        let (parts, per_part, used) = if single {
            (1, self.capacity.single, self.units)
        } else {
            (self.parts, self.capacity.part, self.in_part)
        };
        Count { encoding, units: self.units, parts, per_part, remaining_in_last: per_part - used }
    }
}

#[cfg(test)]
mod tests;
