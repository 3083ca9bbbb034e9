//! Code, bytes and secrets.

use crate::ui::{
    icon::{Icon, icon},
    words::Words,
};
use maud::{Markup, html};
use std::fmt::Write as _;

/// A button that copies the text of the element of this id; absent without script.
#[must_use]
pub fn copy_button(words: &Words, from_id: &str) -> Markup {
    html! {
        button type="button" class="button quiet small js-only copy" data-copy=(from_id) data-copied=(words.copied) {
            (icon(Icon::Copy)) span { (words.copy) }
        }
    }
}

/// Code with a copy button. `label` names it, `id` is unique on the page.
#[must_use]
pub fn block(words: &Words, id: &str, label: &str, text: &str) -> Markup {
    html! {
        figure class="code" {
            figcaption { span { (label) } (copy_button(words, id)) }
            pre id=(id) tabindex="0" dir="ltr" aria-label=(label) role="region" { code { (text) } }
        }
    }
}

/// A short value in the flow of text with a copy button: ids, addresses.
#[must_use]
pub fn value(words: &Words, id: &str, text: &str) -> Markup {
    html! { span class="copyable" { code id=(id) dir="ltr" { (text) } (copy_button(words, id)) } }
}

/// Bytes of a line of a hex dump.
const LINE_BYTES: usize = 16;
/// Longest dump, in bytes; what is beyond is counted, not shown.
const DUMP_BYTES: usize = 4096;

/// A dump of bytes: offset, hexadecimal, ASCII.
#[must_use]
pub fn hex(words: &Words, id: &str, label: &str, bytes: &[u8]) -> Markup {
    block(words, id, label, &hex_text(bytes))
}

fn hex_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, chunk) in bytes[..bytes.len().min(DUMP_BYTES)].chunks(LINE_BYTES).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:04x}  ", line * LINE_BYTES);
        for at in 0..LINE_BYTES {
            let gap = if at == LINE_BYTES / 2 { " " } else { "" };
            let _ = match chunk.get(at) {
                Some(byte) => write!(text, "{gap}{byte:02x} "),
                None => write!(text, "{gap}   "),
            };
        }
        text.push(' ');
        text.extend(
            chunk.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }),
        );
        text.push('\n');
    }
    if bytes.len() > DUMP_BYTES {
        let _ = writeln!(text, "… {} more", bytes.len() - DUMP_BYTES);
    }
    text
}

/// A secret that is shown this once, right after it was made.
#[must_use]
pub fn secret_once(words: &Words, id: &str, label: &str, secret: &str) -> Markup {
    html! {
        div class="secret" {
            p class="secret-label" { (icon(Icon::Key)) strong { (label) } }
            div class="secret-row" { code id=(id) dir="ltr" { (secret) } (copy_button(words, id)) }
            p class="hint" { (words.once_only) }
        }
    }
}
