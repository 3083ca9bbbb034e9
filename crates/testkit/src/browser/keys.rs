//! Keys as `Input.dispatchKeyEvent` takes them.

use serde_json::{Value, json};

/// The bit of Shift among the modifiers of `Input.dispatchKeyEvent`.
pub(super) const SHIFT: u8 = 8;

/// A key's name without the modifiers before it, and their bits.
pub(super) fn split_modifiers(mut key: &str) -> (&str, u8) {
    let mut modifiers = 0;
    for (name, bit) in [("Alt+", 1), ("Control+", 2), ("Meta+", 4), ("Shift+", SHIFT)].repeat(4) {
        if let Some(rest) = key.strip_prefix(name).filter(|rest| !rest.is_empty()) {
            (key, modifiers) = (rest, modifiers | bit);
        }
    }
    (key, modifiers)
}

/// The event for a key. Chromium acts on a named key by its Windows virtual key code; a character needs only its text.
pub(super) fn key_event(key: &str) -> Value {
    let code = match key {
        "Backspace" => 8,
        "Tab" => 9,
        "Enter" | "\n" => {
            return json!({"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"});
        }
        "Escape" => 27,
        "PageUp" => 33,
        "PageDown" => 34,
        "End" => 35,
        "Home" => 36,
        "ArrowLeft" => 37,
        "ArrowUp" => 38,
        "ArrowRight" => 39,
        "ArrowDown" => 40,
        "Delete" => 46,
        character => {
            // Shortcuts go by the key's code, which for letters and digits is the upper-case character.
            let code = character.chars().next().filter(char::is_ascii_alphanumeric);
            let code = code.map_or(0, |letter| letter.to_ascii_uppercase() as u32);
            return json!({"key": character, "text": character, "windowsVirtualKeyCode": code});
        }
    };
    json!({"key": key, "code": key, "windowsVirtualKeyCode": code})
}
