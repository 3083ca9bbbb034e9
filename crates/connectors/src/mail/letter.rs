//! A message as a mail.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use smpp::SmRef;
use types::Timestamp;

use super::Settings;

/// A message as it is handed over: what the templates are filled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The recipient's digits.
    pub to: String,
    /// The sender: digits, or a name; empty for none.
    pub from: String,
    /// The text.
    pub text: String,
}

impl Letter {
    /// The message of a short message's fields.
    pub(super) fn of(sm: &SmRef<'_>) -> Self {
        let address = |octets: &[u8]| String::from_utf8_lossy(octets).trim_start_matches('+').to_owned();
        let content = sm.content();
        let content = if sm.esm_class.udhi() {
            sms::udh::split(content).map_or(content, |(_, text)| text)
        } else {
            content
        };
        let encoding = sms::Encoding::from_data_coding(sm.data_coding.0, sms::Encoding::GSM7);
        let text = match encoding {
            // What is no text is shown as what it is.
            sms::Encoding::Binary => content.iter().map(|octet| format!("{octet:02x}")).collect(),
            _ => encoding.decode(content),
        };
        Self { to: address(sm.destination.addr), from: address(sm.source.addr), text }
    }

    /// The mail, in octets.
    ///
    /// # Errors
    /// What the templates made that no mail can hold, in words.
    pub(super) fn written(
        &self,
        settings: &Settings,
        to: &str,
        name: &str,
        at: Timestamp,
    ) -> Result<Vec<u8>, String> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|_| format!("{text:?} is no address"));
        let (_, domain) = settings.from.rsplit_once('@').unwrap_or(("", "localhost"));
        let since = Duration::from_millis(u64::try_from(at.unix_ms()).unwrap_or(0));
        let subject: String = filled(&settings.subject, self)
            .chars()
            .map(|ch| if ch.is_control() { ' ' } else { ch })
            .take(SUBJECT_CHARS_MAX)
            .collect();
        let mut message = Message::builder()
            .from(mailbox(&settings.from)?)
            .to(mailbox(to)?)
            .subject(subject)
            .message_id(Some(format!("<{name}@{}>", domain.trim_end_matches('>'))))
            .date(SystemTime::UNIX_EPOCH + since)
            .header(ContentType::TEXT_PLAIN)
            .body(filled(&settings.body, self))
            .map_err(|error| error.to_string())?;
        // Nobody's holiday notice is to answer it (RFC 3834 §5).
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
        Ok(message.formatted())
    }
}

/// Characters of a subject.
const SUBJECT_CHARS_MAX: usize = 200;

/// A template with its places filled: `{to}`, `{from}`, `{text}`. What is filled in is not looked at again.
pub fn filled(template: &str, letter: &Letter) -> String {
    let mut text = String::with_capacity(template.len() + letter.text.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let places = [("{to}", &letter.to), ("{from}", &letter.from), ("{text}", &letter.text)];
        match places.into_iter().find(|(place, _)| rest.starts_with(place)) {
            Some((place, value)) => {
                text.push_str(value);
                rest = &rest[place.len()..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_a_template() {
        let letter =
            Letter { to: "33612345678".to_owned(), from: "ACME".to_owned(), text: "{to} é {".to_owned() };
        assert_eq!(filled("{to}@x.example", &letter), "33612345678@x.example");
        assert_eq!(filled("{from}: {text}{", &letter), "ACME: {to} é {{");
        assert_eq!(filled("{nothing} {{to}}", &letter), "{nothing} {33612345678}");
    }
}
