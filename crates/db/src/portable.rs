//! The three words that differ between the engines.

use std::borrow::Cow;

use crate::Engine;

/// A statement's text as the engine wants it.
pub(crate) fn statement(engine: Engine, text: &'static str) -> Cow<'static, str> {
    match engine {
        Engine::Sqlite
            if text.contains("json_rows(") || text.contains("from_hex(") || text.contains(SKIP_LOCKED) =>
        {
            text.replace("json_rows(", "json_each(")
                .replace("from_hex(", "unhex(")
                .replace(SKIP_LOCKED, "")
                .into()
        }
        Engine::Postgres if text.contains("json_rows(") || text.contains("from_hex(") => {
            postgres(text).into()
        }
        _ => Cow::Borrowed(text),
    }
}

const SKIP_LOCKED: &str = " for update skip locked";

fn postgres(text: &str) -> String {
    let text = with_argument(text, "json_rows(", |argument| format!("json_array_elements({argument}::json)"));
    with_argument(&text, "from_hex(", |argument| format!("decode({argument}, 'hex')"))
}

/// Replaces `word argument )`, the argument's own brackets balanced.
fn with_argument(text: &str, word: &str, replacement: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        let mut depth = 1_usize;
        let end = after
            .char_indices()
            .find(|(_, ch)| {
                match ch {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                depth == 0
            })
            .map_or(after.len(), |(at, _)| at);
        out.push_str(before);
        out.push_str(&replacement(&after[..end]));
        rest = after.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// A migration's text as the engine wants it; migrations are written for PostgreSQL.
pub(crate) fn migration(engine: Engine, text: &str) -> Cow<'_, str> {
    match engine {
        Engine::Postgres => Cow::Borrowed(text),
        Engine::Sqlite => {
            // `bigint primary key` must become SQLite's rowid, which only the exact word `integer` does.
            text.replace("bigint", "integer")
                .replace("bytea", "blob")
                .replace("double precision", "real")
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_rewritten_and_all_else_is_kept() {
        let text = "insert into t select cast(r.value ->> 'a' as bigint), from_hex(r.value ->> 'b') from json_rows($1) r where true";
        assert_eq!(
            statement(Engine::Sqlite, text),
            "insert into t select cast(r.value ->> 'a' as bigint), unhex(r.value ->> 'b') from json_each($1) r where true"
        );
        assert_eq!(
            statement(Engine::Postgres, text),
            "insert into t select cast(r.value ->> 'a' as bigint), decode(r.value ->> 'b', 'hex') from json_array_elements($1::json) r where true"
        );
        assert_eq!(
            statement(Engine::Sqlite, "select 1 from t for update skip locked limit 1"),
            "select 1 from t limit 1"
        );
        assert!(matches!(statement(Engine::Postgres, "select 1"), Cow::Borrowed(_)));
    }
}
