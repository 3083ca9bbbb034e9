//! Answers for people: aligned tables and facts. Colour only on a terminal, and never alone: the word is always there.

use std::io::{IsTerminal as _, Write as _};

use serde_json::{Map, Value};

/// The widest cell of a table; what is longer ends in `…` and is whole in `show` and `--json`.
const CELL_CHARS_MAX: usize = 48;
/// The widest cell of a table's last column, where words about the others stand.
const LAST_CHARS_MAX: usize = 160;
/// The widest name that facts are aligned by.
const NAME_CHARS_MAX: usize = 28;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// On its way, or worth a look.
    Fair,
    /// Not as it should be.
    Bad,
    /// A heading.
    Strong,
}

impl Tone {
    /// The tone of a word that the API uses for a state.
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "bound" | "delivered" | "received" | "active" | "started" | "balanced" | "ready" | "takes"
            | "ok" => Self::Good,
            "throttled" | "draining" | "binding" | "queued" | "scheduled" | "sent" | "indeterminate"
            | "waits" | "warning" => Self::Fair,
            "down" | "failed" | "rejected" | "expired" | "disabled" | "suspended" | "refused"
            | "unbalanced" | "error" => Self::Bad,
            _ => return None,
        })
    }

    /// The SGR parameter (ECMA-48 §8.3.117).
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Fair => "33",
            Self::Bad => "31",
            Self::Strong => "1",
        }
    }
}

/// Standard output, and how it is written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    json: bool,
    colour: bool,
    colour_errors: bool,
}

impl Out {
    /// Colour needs a terminal.
    pub(super) fn new(json: bool, no_colour: bool) -> Self {
        let colour = |terminal: bool| terminal && !no_colour;
        Self {
            json,
            colour: colour(std::io::stdout().is_terminal()),
            colour_errors: colour(std::io::stderr().is_terminal()),
        }
    }

    /// Whether a program reads the answers.
    pub(super) const fn json(&self) -> bool {
        self.json
    }

    /// Writes a line.
    pub(super) fn line(&self, text: &str) {
        self.text(&format!("{text}\n"));
    }

    /// Writes a text as it is. Who closes the pipe has read enough.
    pub(super) fn text(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
    }

    /// Writes JSON of our own making.
    pub(super) fn value(&self, value: &Value) {
        self.line(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// Says something beside the answer: on standard error, and to people alone.
    pub(super) fn note(&self, text: &str) {
        if !self.json {
            drop(std::io::stderr().write_all(format!("{text}\n").as_bytes()));
        }
    }

    /// A heading.
    pub(super) fn heading(&self, text: &str) {
        self.line(&paint(self.colour, Tone::Strong, text));
    }

    /// Colours a word on standard output.
    pub(super) fn paint(&self, tone: Tone, word: &str) -> String {
        paint(self.colour, tone, word)
    }

    /// Colours a word on standard error.
    pub(super) fn paint_error(&self, tone: Tone, word: &str) -> String {
        paint(self.colour_errors, tone, word)
    }

    /// Writes records as a table; a column is a title and a JSON pointer (RFC 6901).
    pub(super) fn table(&self, rows: &[Value], columns: &[(&str, &str)]) {
        if rows.is_empty() {
            self.line("(none)");
            return;
        }
        self.text(&table(rows, columns, self.colour));
    }

    /// Writes a record as names and values: those named first, in their order, then the rest.
    /// Names stay as the API has them, for `--set` takes them so.
    pub(super) fn facts(&self, value: &Value, first: &[&str]) {
        self.text(&facts(value, first, self.colour));
    }
}

fn paint(colour: bool, tone: Tone, word: &str) -> String {
    if colour { format!("\x1b[{}m{word}\x1b[0m", tone.code()) } else { word.to_owned() }
}

/// A text that a terminal takes for nothing else: messages come from strangers and may hold control characters.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\r' | '\t' => ' ',
            // Directional controls could show another text than the one that is there.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            other if other.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// A value in a few words.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number
            .as_f64()
            .filter(|_| number.is_f64())
            .map_or_else(|| number.to_string(), |number| format!("{number:.1}")),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => plain(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let told = members.iter().filter(|(_, value)| !value.is_null());
            told.map(|(name, value)| format!("{name}={}", words(value))).collect::<Vec<_>>().join(" ")
        }
    }
}

fn shortened(text: String, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text,
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
    }
}

fn toned(colour: bool, word: &str) -> String {
    Tone::of(word).map_or_else(|| word.to_owned(), |tone| paint(colour, tone, word))
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn table(rows: &[Value], columns: &[(&str, &str)], colour: bool) -> String {
    let cell = |row: &Value, at: usize, pointer: &str| {
        let chars_max = if at + 1 == columns.len() { LAST_CHARS_MAX } else { CELL_CHARS_MAX };
        shortened(row.pointer(pointer).map_or_else(|| "-".to_owned(), words), chars_max)
    };
    let cells =
        |row: &Value| columns.iter().enumerate().map(|(at, (_, pointer))| cell(row, at, pointer)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, (title, _))| {
            rows.iter().map(|row| width(&row[at])).chain([width(title)]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<(String, usize)>| {
        let padded = cells
            .into_iter()
            .zip(&widths)
            .map(|((shown, chars), width)| format!("{shown}{:1$}", "", width - chars));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let titles =
        columns.iter().map(|(title, _)| (paint(colour, Tone::Strong, title), width(title))).collect();
    let mut text = line(titles);
    for row in rows {
        text.push_str(&line(row.into_iter().map(|word| (toned(colour, &word), width(&word))).collect()));
    }
    text
}

fn facts(value: &Value, first: &[&str], colour: bool) -> String {
    let mut text = String::new();
    if let Value::Object(members) = value {
        members_of(members, first, colour, 0, &mut text);
    } else {
        text = format!("{}\n", words(value));
    }
    text
}

fn members_of(members: &Map<String, Value>, first: &[&str], colour: bool, indent: usize, text: &mut String) {
    let leading = first.iter().filter_map(|name| members.get_key_value(*name));
    let (nested, plain): (Vec<_>, Vec<_>) = members
        .iter()
        .filter(|(name, _)| !first.contains(&name.as_str()))
        .partition(|(_, value)| value.is_object());
    let ordered: Vec<_> = leading.chain(plain).chain(nested).collect();
    let chars = ordered.iter().map(|(name, _)| width(name)).max().unwrap_or(0).min(NAME_CHARS_MAX);
    for (name, value) in ordered {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                text.push_str(&format!("{:indent$}{name}\n", ""));
                members_of(inner, &[], colour, indent + 2, text);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                text.push_str(&format!("{:indent$}{name}\n", ""));
                for item in items {
                    text.push_str(&format!("{:1$}{2}\n", "", indent + 2, words(item)));
                }
            }
            other => {
                text.push_str(&format!("{:indent$}{name:chars$}  {}\n", "", toned(colour, &words(other))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_aligned_with_and_without_colour() {
        let rows = [json!({ "id": "a", "s": { "state": "bound" } }), json!({ "id": "longer", "n": 2.25 })];
        let columns = [("ID", "/id"), ("STATE", "/s/state"), ("N", "/n")];
        assert_eq!(table(&rows, &columns, false), "ID      STATE  N\na       bound  -\nlonger  -      2.2\n");
        let coloured = table(&rows, &columns, true);
        assert!(coloured.contains("a       \x1b[32mbound\x1b[0m  -\n"), "{coloured:?}");
    }

    #[test]
    fn long_cells_end_in_an_ellipsis() {
        let text = table(&[json!({ "t": "é".repeat(200) })], &[("T", "/t"), ("LAST", "/t")], false);
        let cells: Vec<_> = text.lines().nth(1).unwrap().split("  ").collect();
        assert_eq!(
            cells.iter().map(|cell| width(cell)).collect::<Vec<_>>(),
            [CELL_CHARS_MAX, LAST_CHARS_MAX]
        );
        assert!(cells.iter().all(|cell| cell.ends_with('…')));
    }

    #[test]
    fn facts_begin_with_what_matters() {
        let value =
            json!({ "a_b": true, "id": "x", "deep": { "k": [1, 2], "none": null }, "list": [{ "p": 1 }] });
        let text = facts(&value, &["id", "absent"], false);
        assert_eq!(text, "id    x\na_b   yes\nlist\n  p=1\ndeep\n  k     1, 2\n  none  -\n");
    }

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(plain("a\u{1b}[31m\nb\u{202e}c"), "a\u{fffd}[31m b\u{fffd}c");
    }
}
