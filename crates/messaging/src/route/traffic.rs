//! What a text reads like: a one-time code, an answer to what somebody did, or advertising.
//!
//! A judgement by words and form, not by meaning: it serves routes that must keep advertising off a connection for codes,
//! and it never changes what a message says that it is for.

use serde::{Deserialize, Serialize};

mod lexicon;

use lexicon::{CODE_WORDS, DEED_WORDS, NO_CODE_WORDS, OFFER_WORDS, OPT_OUT_WORDS};

/// What a text reads like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// A one-time code.
    Otp,
    /// An answer to what somebody did, or anything else that is no advertising.
    Transactional,
    /// Advertising.
    Promotional,
}

impl Traffic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Transactional, Self::Promotional];

    /// The name that the API holds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Transactional => "transactional",
            Self::Promotional => "promotional",
        }
    }
}

/// What was found in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Detected {
    /// What it reads like.
    pub traffic: Traffic,
    /// How sure that is, 0 to 100.
    pub confidence: u8,
    /// What spoke for it; a code itself is never repeated.
    pub reason: String,
}

/// The characters that are looked at; advertising and codes show themselves before.
const CHARS_MAX: usize = 1_600;
/// Characters between a code and the word that says that it is one.
const NEAR: usize = 30;
const FAR: usize = 90;

/// What a text reads like.
pub fn detect(text: &str) -> Detected {
    let text: String = text.chars().take(CHARS_MAX).flat_map(char::to_lowercase).collect();
    let letters: Vec<char> = text.chars().collect();
    let found = |traffic, confidence, reason: String| Detected { traffic, confidence, reason };

    let opt_out = find(&letters, OPT_OUT_WORDS);
    let offers: Vec<_> = OFFER_WORDS.iter().filter(|word| place(&letters, word).is_some()).take(3).collect();
    let (link, percent) = (has_link(&text), has_percent(&letters));
    let weight = 3 * usize::from(opt_out.is_some())
        + 2 * offers.len()
        + usize::from(link)
        + usize::from(percent)
        + usize::from(text.contains('!'));

    let word = if find(&letters, NO_CODE_WORDS).is_some() { None } else { find(&letters, CODE_WORDS) };
    if let Some((word, distance)) = word.and_then(|_| nearest_code(&letters))
        && weight < 4
    {
        let confidence = if distance <= NEAR { 95 } else { 75 };
        let confidence = confidence - 10 * u8::try_from(weight.min(3)).unwrap_or_default();
        return found(Traffic::Otp, confidence, format!("a code stands near the word \"{}\"", shown(word)));
    }
    if weight >= 3 {
        let mut reasons: Vec<String> = Vec::new();
        if let Some((word, _)) = opt_out {
            reasons.push(format!("it says how to opt out (\"{}\")", shown(word)));
        }
        if !offers.is_empty() {
            let offers: Vec<_> = offers.iter().map(|word| format!("\"{}\"", shown(word))).collect();
            reasons.push(format!("it offers ({})", offers.join(", ")));
        }
        if link {
            reasons.push("it has a link".to_owned());
        }
        if percent {
            reasons.push("it names a percentage".to_owned());
        }
        let confidence = u8::try_from(50 + 8 * weight).unwrap_or(u8::MAX).min(98);
        return found(Traffic::Promotional, confidence, reasons.join(", "));
    }
    match find(&letters, DEED_WORDS) {
        Some((word, _)) => {
            found(Traffic::Transactional, 80, format!("it speaks of what was done (\"{}\")", shown(word)))
        }
        None => found(Traffic::Transactional, 50, "nothing in it is a code or an offer".to_owned()),
    }
}

/// A word of the lexicon without its marks.
fn shown(word: &str) -> &str {
    word.trim_matches(['~', '*'])
}

/// The first word of a list that stands in a text, with its place.
fn find<'w>(text: &[char], words: &[&'w str]) -> Option<(&'w str, usize)> {
    words.iter().find_map(|word| place(text, word).map(|at| (*word, at)))
}

/// Where a word stands: whole; with `*` behind it, beginning a word; with `~` before it, anywhere, as in scripts that do
/// not part words.
fn place(text: &[char], word: &str) -> Option<usize> {
    places(text, word).next()
}

fn places<'t>(text: &'t [char], word: &str) -> impl Iterator<Item = usize> + 't {
    let (anywhere, stem) = (word.starts_with('~'), word.ends_with('*'));
    let letters: Vec<char> = shown(word).chars().collect();
    (0..(text.len() + 1).saturating_sub(letters.len())).filter(move |at| {
        text[*at..].starts_with(&letters)
            && (anywhere || *at == 0 || !text[*at - 1].is_alphanumeric())
            && (anywhere || stem || text.get(*at + letters.len()).is_none_or(|next| !next.is_alphanumeric()))
    })
}

/// The code that stands nearest to a word that announces one: the word, and how far they are apart.
fn nearest_code(text: &[char]) -> Option<(&'static str, usize)> {
    let codes = codes(text);
    if codes.is_empty() {
        return None;
    }
    let mut nearest: Option<(&'static str, usize)> = None;
    for word in CODE_WORDS {
        for at in places(text, word) {
            let end = at + shown(word).chars().count();
            for (from, to) in &codes {
                let distance = if *from >= end { from - end } else { at.saturating_sub(*to) };
                if distance <= FAR && nearest.is_none_or(|(_, known)| distance < known) {
                    nearest = Some((word, distance));
                }
            }
        }
    }
    nearest
}

/// Where codes stand: 4 to 8 digits alone, or twice three with a blank or hyphen between; no amounts, dates, phone or card
/// numbers.
fn codes(text: &[char]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = at + text[at..].iter().take_while(|letter| letter.is_numeric()).count();
        if end > at {
            runs.push((at, end));
        }
        at = end.max(at + 1);
    }
    let joined = |a: &(usize, usize), b: &(usize, usize)| b.0 - a.1 == 1 && matches!(text[a.1], ' ' | '-');
    let mut found = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let next = runs.get(place + 1);
        let before = place.checked_sub(1).map(|place| &runs[place]);
        let pair = next.filter(|next| run.1 - run.0 == 3 && next.1 - next.0 == 3 && joined(run, next));
        let (from, to) = match pair {
            Some(next) if before.is_none_or(|before| !joined(before, run)) => (run.0, next.1),
            _ if before.is_some_and(|before| joined(before, run))
                || next.is_some_and(|next| joined(run, next)) =>
            {
                continue;
            }
            _ => *run,
        };
        let digits = text[from..to].iter().filter(|letter| letter.is_numeric()).count();
        if (4..=8).contains(&digits) && stands_alone(text, from, to) {
            found.push((from, to));
        }
    }
    found
}

/// Whether digits are no part of an amount, a date, a number or a word. `G-` and the like before a code are its own.
fn stands_alone(text: &[char], from: usize, to: usize) -> bool {
    const MONEY: &[char] = &['$', '€', '£', '¥', '₹', '₽', '₺', '+', '*', '#', '/', '@'];
    let before = from.checked_sub(1).map(|at| text[at]);
    let further = from.checked_sub(2).map(|at| text[at]);
    let after = text.get(to).copied();
    let beyond = text.get(to + 1).copied();
    let touches = |next: Option<char>, digit: Option<char>| {
        matches!(next, Some('.' | ',' | ':' | '/' | '-')) && digit.is_some_and(char::is_numeric)
    };
    let split =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    !before.is_some_and(|letter| MONEY.contains(&letter))
        && !split(before)
        && !split(after)
        && !matches!(after, Some('%' | '€' | '$' | '₽' | '/' | '*'))
        && !touches(before, further)
        && !touches(after, beyond)
}

/// A URL, or what phones make one of.
fn has_link(text: &str) -> bool {
    const ENDS: [&str; 18] = [
        ".com", ".net", ".org", ".io", ".ly", ".co/", ".de/", ".fr/", ".ru/", ".me/", ".cn/", ".shop",
        ".app", ".uk/", ".es/", ".it/", ".in/", ".tr/",
    ];
    text.contains("://") || text.contains("www.") || ENDS.iter().any(|end| text.contains(end))
}

fn has_percent(text: &[char]) -> bool {
    text.windows(2).any(|pair| {
        pair[0].is_numeric() && matches!(pair[1], '%' | '٪' | '折')
            || matches!(pair[0], '%' | '٪') && pair[1].is_numeric()
    }) || text.windows(3).any(|three| three[0].is_numeric() && three[1] == ' ' && three[2] == '%')
}

#[cfg(test)]
mod tests;
