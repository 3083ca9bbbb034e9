//! The text of a message, and how many parts it will take.

use crate::ui::{
    field::{self, Field},
    words::Words,
};
use maud::{Markup, html};

/// How a text will be cut for the radio path (3GPP TS 23.038, TS 23.040 §9.2.3.24).
#[derive(Debug, Clone, Copy)]
pub struct PartCount<'a> {
    /// The text counted, to show which of its characters force the 16-bit alphabet.
    pub text: &'a str,
    /// The alphabet's name as people know it: `GSM 7-bit`, `UCS-2`.
    pub encoding: &'a str,
    /// Units of that alphabet that the text takes: septets, octets or 16-bit units.
    pub units: u32,
    /// Parts that will be sent; 0 for an empty text.
    pub parts: u32,
    /// Units still free in the last part.
    pub remaining: u32,
    /// Characters without a place in the 7-bit alphabet, in any order; empty when it suffices.
    pub forcing: &'a [char],
    /// More parts than the sender may send.
    pub too_long: bool,
}

/// Longest text, in characters, whose forcing characters are shown in place; a longer one lists them only.
const PREVIEW_CHARS: usize = 500;

/// The answer to the counter's request, and the counter's first content.
#[must_use]
pub fn part_counter(words: &Words, count: &PartCount<'_>) -> Markup {
    html! {
        dl class=(if count.too_long { "counter too-long" } else { "counter" }) {
            div { dt { (words.encoding) } dd { (count.encoding) } }
            div { dt { (words.units) } dd { (count.units) } }
            div { dt { (words.parts) } dd { (count.parts) } }
            div { dt { (words.remaining) } dd { (count.remaining) } }
        }
        @if !count.forcing.is_empty() {
            div class="forcing" {
                p {
                    (words.forced_by) " "
                    @for character in unique(count.forcing) {
                        span class="chip" { bdi { (character) } " " code { (format!("U+{:04X}", u32::from(character))) } } " "
                    }
                }
                @if count.text.chars().take(PREVIEW_CHARS + 1).count() <= PREVIEW_CHARS {
                    p class="preview" dir="auto" { (marked(count.text, count.forcing)) }
                }
            }
        }
    }
}

fn unique(characters: &[char]) -> Vec<char> {
    let mut seen = characters.to_vec();
    seen.sort_unstable();
    seen.dedup();
    seen.truncate(20);
    seen
}

/// The text with each run of forcing characters in a `mark`.
fn marked(text: &str, forcing: &[char]) -> Markup {
    let mut runs: Vec<(bool, &str)> = Vec::new();
    let mut start = 0;
    let mut inside = None;
    for (at, character) in text.char_indices() {
        let forces = forcing.contains(&character);
        if inside.is_some_and(|inside| inside != forces) {
            runs.push((!forces, &text[start..at]));
            start = at;
        }
        inside = Some(forces);
    }
    if let Some(forces) = inside {
        runs.push((forces, &text[start..]));
    }
    html! {
        @for (forces, run) in runs {
            @if forces { mark { (run) } } @else { (run) }
        }
    }
}

/// A text area whose counter follows while one types.
///
/// `field` is a [`field::textarea`]; `count_url` answers a POST of the surrounding form with
/// [`part_counter`]. Without script the counter shows what the server counted when it made the page.
#[must_use]
pub fn message_text(words: &Words, field: Field<'_>, count_url: &str, count: &PartCount<'_>) -> Markup {
    html! {
        div class="compose" hx-post=(count_url) hx-trigger="input delay:200ms" hx-target="find .compose-count" hx-swap="innerHTML"
            hx-include="closest form" {
            (field)
            div class="compose-count" { (part_counter(words, count)) }
        }
    }
}

/// The field that [`message_text`] usually holds: named `text`, with the given label and value.
pub fn text_field<'a>(label: &'a str, value: &'a str) -> Field<'a> {
    field::textarea("text", label).value(value).rows(4).wide()
}
