//! Keywords as people write them in a form, one a line: `VOTE, CAST => reply Thank you | webhook https://example.org/`.
//!
//! Words by commas are first words, with `*` at their ends beginnings; `/…/` is a pattern and `*` alone is any text. A line
//! may begin with the keyword's name and `:=`; its words are its name otherwise. Actions are set apart by `|`: `account`
//! and an id, `webhook` and an address, `mail` and addresses by commas (with `;` and a subject behind them), `reply` and a text,
//! `reply/60` for once in 60 minutes, and `inbox`.

use types::{Error, Result};

use super::{Action, Keyword, When, every_minutes};

/// The lines of keywords.
pub(super) fn keywords(keywords: &[Keyword]) -> String {
    keywords.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(keyword: &Keyword) -> String {
    let when = match &keyword.when {
        When::Word { words } => words.join(", "),
        When::Prefix { words } => words.iter().map(|word| format!("{word}*")).collect::<Vec<_>>().join(", "),
        When::Pattern { pattern } => format!("/{pattern}/"),
        When::Any => "*".to_owned(),
    };
    let name = if keyword.name == when { String::new() } else { format!("{} := ", keyword.name) };
    match keyword.actions.is_empty() {
        true => format!("{name}{when}"),
        false => format!("{name}{when} => {}", actions(&keyword.actions)),
    }
}

/// Actions in a line.
pub(super) fn actions(actions: &[Action]) -> String {
    let texts = actions.iter().map(|action| match action {
        Action::Account { account } => format!("account {account}"),
        Action::Webhook { url } => format!("webhook {url}"),
        Action::Reply { text, every_minutes: minutes } if *minutes == every_minutes() => {
            format!("reply {text}")
        }
        Action::Reply { text, every_minutes } => format!("reply/{every_minutes} {text}"),
        Action::Mail { to, subject: None } => format!("mail {}", to.join(", ")),
        Action::Mail { to, subject: Some(subject) } => format!("mail {}; {subject}", to.join(", ")),
        Action::Inbox => "inbox".to_owned(),
    });
    texts.collect::<Vec<_>>().join(" | ")
}

/// Reads the lines of keywords.
///
/// # Errors
/// At `keywords`, naming the line.
pub(super) fn read_keywords(text: &str) -> Result<Vec<Keyword>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            read_line(line)
                .map_err(|error| Error::invalid("keywords", format!("line {}: {}", at + 1, error.message())))
        })
        .collect()
}

fn read_line(line: &str) -> Result<Keyword> {
    let (head, tail) = line.split_once("=>").unwrap_or((line, ""));
    let (name, when) = match head.split_once(":=") {
        Some((name, when)) => (name.trim(), when.trim()),
        None => (head.trim(), head.trim()),
    };
    Ok(Keyword { name: name.to_owned(), when: read_when(when)?, actions: read_actions("keywords", tail)? })
}

fn read_when(text: &str) -> Result<When> {
    if text == "*" {
        return Ok(When::Any);
    }
    if let Some(pattern) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        return Ok(When::Pattern { pattern: pattern.to_owned() });
    }
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    let beginnings: Vec<String> =
        words.iter().filter_map(|word| word.strip_suffix('*')).map(str::to_owned).collect();
    match beginnings.len() {
        0 => Ok(When::Word { words: words.into_iter().map(str::to_owned).collect() }),
        n if n == words.len() => Ok(When::Prefix { words: beginnings }),
        _ => Err(Error::invalid("keywords", "its words are all whole, or all beginnings with *")),
    }
}

/// Reads a line of actions.
///
/// # Errors
/// At `field`, for what is none.
pub(super) fn read_actions(field: &str, text: &str) -> Result<Vec<Action>> {
    text.split('|')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| read_action(field, part))
        .collect()
}

fn read_action(field: &str, part: &str) -> Result<Action> {
    let (verb, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
    let (verb, rest) = (verb.to_lowercase(), rest.trim());
    match (verb.as_str(), verb.strip_prefix("reply/")) {
        ("inbox", _) => Ok(Action::Inbox),
        ("account", _) => {
            Ok(Action::Account { account: rest.parse().map_err(|error: Error| error.at(field))? })
        }
        ("webhook", _) => Ok(Action::Webhook { url: rest.to_owned() }),
        ("mail", _) => {
            let (to, subject) = rest.split_once(';').unwrap_or((rest, ""));
            let to = to.split(',').map(str::trim).filter(|to| !to.is_empty()).map(str::to_owned).collect();
            let subject = Some(subject.trim().to_owned()).filter(|subject| !subject.is_empty());
            Ok(Action::Mail { to, subject })
        }
        ("reply", _) => Ok(Action::Reply { text: rest.to_owned(), every_minutes: every_minutes() }),
        (_, Some(minutes)) => match minutes.parse() {
            Ok(every_minutes) => Ok(Action::Reply { text: rest.to_owned(), every_minutes }),
            Err(_) => Err(Error::invalid(field, format!("{minutes:?} is no number of minutes"))),
        },
        _ => Err(Error::invalid(
            field,
            format!("{verb:?} is no action; they are account, webhook, mail, reply and inbox"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were() {
        let text = "Votes := VOTE, cast it => reply/60 Thank you, => no | webhook https://h.example/x?a=b\n\
                    promo*, offer* => mail a@x.example, b@x.example; From {from}\n/^#\\d+/ => inbox\n* => reply Hi";
        let read = read_keywords(text).unwrap();
        assert_eq!(read.len(), 4);
        assert_eq!(read[0].name, "Votes");
        assert_eq!(keywords(&read), text);
        for wrong in ["a, b* => inbox", "a => shout x", "a => reply/x y", "a => account nobody"] {
            let error = read_keywords(&format!("\n{wrong}")).unwrap_err();
            assert!(error.message().starts_with("line 2"), "{}", error.message());
            assert_eq!(error.place(), Some("keywords"));
        }
    }
}
